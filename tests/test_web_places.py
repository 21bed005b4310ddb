"""Where somebody is in the web app, and who else is there: reload, back and on, two windows, a server that is away."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accessible import barriers
from browsing import PHONE, Browse, Visit, playwright
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.people.preparation import load_prepared
from edit_your_motion.web.job_files import copy_clip
from synthetic_clip import film
from web_site import WebSite, add_prepared, serving_web

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.usefixtures("pair")
NOSE, NECK = (BODY_JOINTS.index(name) for name in ("nose", "neck"))


@pytest.fixture
def clip(site: WebSite, request: pytest.FixtureRequest) -> str:
    """A prepared source of its own."""
    return add_prepared(site.library, "source", film(8, 96, 128), request.node.name)


def prepared_of(site: WebSite, clip: str) -> Path:
    return site.library.folder / "clips" / clip / "prepared"


async def move_joint(page: Any, joint: str, key: str, changes: int) -> None:
    await page.select_option("#joint", joint)
    await page.fill("#reach", "0")
    await page.locator("#canvas").focus()
    await page.keyboard.press(key)
    await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", str(changes))


def test_a_reload_stays_and_back_and_on_lead_through_what_was_seen(site: WebSite, browse: Browse, clip: str) -> None:
    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        own = page.locator("#clip-list li", has=page.get_by_role("heading", name=site.library.clip(clip).name))
        await own.get_by_role("button", name="See and correct").click()
        await playwright.expect(page.locator("#editor")).to_be_visible()
        await page.click("[data-view=edits]")
        await playwright.expect(page.locator("#edits")).to_be_visible()
        await page.fill("#prompt", "somebody typed this")
        await page.locator("#frames").fill("3")
        await page.reload()
        await playwright.expect(page.locator("#edits")).to_be_visible()
        await playwright.expect(page.locator("#prompt")).to_have_value("somebody typed this")
        await playwright.expect(page.locator("#frames")).to_have_value("3")
        await page.go_back()
        await playwright.expect(page.locator("#editor")).to_be_visible()
        await page.reload()
        await playwright.expect(page.locator("#editor-title")).to_have_text(site.library.clip(clip).name)
        await page.go_back()
        await playwright.expect(page.locator("#clips")).to_be_visible()
        await page.go_forward()
        await page.go_forward()
        await playwright.expect(page.locator("#edits")).to_be_visible()
        for gone in ("#editor/0123", "#look/0123", "#anything", "#editor"):
            await page.goto(f"{site.address}/{gone}")
            await playwright.expect(page.locator("#clips, #edits").locator("visible=true")).to_have_count(1)
            assert await barriers(page) == []

    browse(scenario, "404")


def test_an_edit_that_is_asked_for_waits_for_corrections(site: WebSite, browse: Browse, clip: str) -> None:
    heard: list[str] = []

    async def scenario(visit: Visit) -> None:
        page = await visit(f"{site.address}/#editor/{clip}")
        await page.wait_for_selector("#editor:not([hidden])")

        async def linger(route: Any) -> None:
            await page.wait_for_timeout(1500)
            await route.continue_()

        await page.route("**/keypoints", linger)
        page.on("requestfinished", lambda request: heard.append(f"{request.method} {request.url.rpartition('/')[2]}"))
        await page.locator("#canvas").focus()
        await page.keyboard.press("Shift+ArrowRight")
        await page.click("[data-view=edits]")
        await page.fill("#prompt", "a box")
        async with page.expect_response(lambda response: response.url.endswith("/api/jobs")) as answered:
            await page.keyboard.press("Enter")
        job = (await (await answered.value).json())["id"]
        site.library.move_job(site.library.job(job), "cancelled")

    browse(scenario)
    assert "PATCH keypoints" in heard[: heard.index("POST jobs")]


def test_two_windows_that_correct_one_clip_lose_nothing_in_silence(site: WebSite, browse: Browse, clip: str) -> None:
    folder = prepared_of(site, clip)
    before = load_prepared(folder)

    async def scenario(visit: Visit) -> list[str]:
        first, second = [await visit(f"{site.address}/#editor/{clip}") for _ in range(2)]
        for page in (first, second):
            await page.wait_for_selector("#editor:not([hidden])")
        await move_joint(first, "nose", "Shift+ArrowRight", 1)
        await second.select_option("#joint", "neck")
        await second.locator("#canvas").focus()
        await second.keyboard.press("Shift+ArrowRight")
        await playwright.expect(second.locator("#problem")).to_contain_text("somebody else corrected this clip")
        assert await barriers(second) == []
        kept = load_prepared(folder)
        np.testing.assert_array_equal(kept.keypoints.body[0, NECK], before.keypoints.body[0, NECK])
        await second.click("#problem-read")
        await move_joint(second, "neck", "Shift+ArrowLeft", 1)
        # The first paints on a mask that the second has painted on meanwhile.
        for page in (first, second):
            await page.click("#tool-mask")
            await page.locator("#canvas").focus()
        await second.click("#erase")
        await second.locator("#canvas").focus()
        await second.keyboard.press("Enter")
        await playwright.expect(second.locator("#said")).to_have_attribute("data-saved", "2")
        await first.keyboard.press("Enter")
        await playwright.expect(first.locator("#problem")).to_contain_text("somebody else corrected this clip")
        return []

    browse(scenario, "412")
    after = load_prepared(folder)
    assert after.keypoints.body[0, NOSE, 0] == pytest.approx(before.keypoints.body[0, NOSE, 0] + 10, abs=0.01)
    assert after.keypoints.body[0, NECK, 0] == pytest.approx(before.keypoints.body[0, NECK, 0] - 10, abs=0.01)
    assert json.loads((folder / "corrected.json").read_text()) == {"nose": [0], "neck": [0]}
    assert not after.masks[0, 48, 64]


def test_what_is_corrected_while_the_server_is_away_is_kept_once_it_is_back(
    site: WebSite, browse: Browse, clip: str
) -> None:
    folder = prepared_of(site, clip)
    before = load_prepared(folder)

    async def scenario(visit: Visit) -> None:
        page = await visit(f"{site.address}/#editor/{clip}")
        await page.wait_for_selector("#editor:not([hidden])")
        await page.context.set_offline(True)
        await page.locator("#canvas").focus()
        await page.keyboard.press("Shift+ArrowRight")
        await page.wait_for_timeout(1500)
        await page.context.set_offline(False)
        await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", "1")

    browse(scenario)
    after = load_prepared(folder)
    assert after.keypoints.body[0, NOSE, 0] == pytest.approx(before.keypoints.body[0, NOSE, 0] + 10, abs=0.01)


def test_who_has_no_token_or_an_old_one_is_told_so_in_words(settings: Path, browse: Browse, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", settings, token="a" * 32) as site:

        async def scenario(visit: Visit) -> None:
            page = await visit(site.address)
            await playwright.expect(page.locator("body")).to_contain_text("open the link that was printed")
            assert "{" not in await page.inner_text("body")
            await page.goto(f"{site.address}/?token={'b' * 32}")
            await playwright.expect(page.locator("body")).to_contain_text("Not let in")
            await page.goto(f"{site.address}/?token={'a' * 32}")
            await page.wait_for_selector("#begin:not([hidden])")
            await page.context.clear_cookies()
            await page.click("[data-view=edits]")
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it listens anew
            await playwright.expect(page.locator("#lost")).to_contain_text("open the link that was printed")
            assert await barriers(page) == []

        browse(scenario, "401")


def test_a_clip_that_waits_or_is_worked_on_is_cancelled_and_deleted(
    settings: Path, browse: Browse, tmp_path: Path
) -> None:
    with serving_web(tmp_path / "library", settings, working=False) as site:
        clip = add_prepared(site.library, "source", film(2), "waits.mp4")
        assert site.ask("POST", f"/api/clips/{clip}/preparation", {"frames": 2}).status == 200

        async def scenario(visit: Visit) -> None:
            page = await visit(site.address)
            tile = page.locator("#clip-list li", has=page.get_by_role("heading", name="waits.mp4"))
            await tile.get_by_role("button", name="Cancel").click()
            await playwright.expect(tile).to_contain_text("source, cancelled")
            await tile.get_by_role("button", name="Delete").click()
            await page.click("#answer-leave")
            await playwright.expect(tile).to_have_count(0)

        browse(scenario)
        assert site.library.clips() == []


def test_the_picture_is_wiped_by_dragging_on_it(site: WebSite, browse: Browse, pair: tuple[str, str]) -> None:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": "a box", "offer_name": "tiny"}
    job = site.library.add_job("edit", "wiped", {**asked, "frames": 4})
    site.library.move_job(job, "cancelled")
    folder = site.library.job_folder(job)
    for role, clip in zip(("source", "reference"), pair, strict=True):
        copy_clip(prepared_of(site, clip), folder / "inputs" / role)
    shutil.copytree(folder / "inputs" / "reference" / "pictures", folder / "pictures")
    (folder / "edit").mkdir()
    shutil.copy(folder / "inputs" / "reference" / "keypoints.json", folder / "edit" / "skeletons.json")
    (folder / "edit" / "run.json").write_text(json.dumps({"scores": {"edited": {"pck": 0.91234}}}))
    site.library._database.execute("UPDATE jobs SET state = 'done' WHERE id = ?", (job.id,))

    async def scenario(visit: Visit) -> None:
        page = await visit(f"{site.address}/#look/{job.id}", PHONE)
        await playwright.expect(page.locator("#scores")).to_have_text("Scores of edited: pck 0.9123")
        drawn = "document.getElementById('wiped').getContext('2d').getImageData(5, 5, 1, 1).data[3] > 0"
        while not await page.evaluate(drawn):
            await page.wait_for_timeout(50)
        await page.locator("#wiped").scroll_into_view_if_needed()
        box = await page.locator("#wiped").bounding_box()
        assert (await page.locator("#wipe").bounding_box())["width"] > 0.9 * box["width"]
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 30, steps=3)
        await page.mouse.up()
        await playwright.expect(page.locator("#wipe")).to_have_value("25")
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
        await playwright.expect(page.locator("#wipe")).to_have_value("25")
        assert await barriers(page) == []

    browse(scenario)
