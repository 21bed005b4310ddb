"""The web app's page around the editor, in a real browser: trim, choose people, align, say what is wanted, compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accessible import barriers, tab_to
from browsing import DESKTOP, PHONE, Browse, Visit, playwright
from edit_your_motion.people.preparation import load_prepared
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_prepared

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.usefixtures("pair")


def tile(page: Any, name: str) -> Any:
    return page.locator("#clip-list li", has=page.get_by_role("heading", name=name, exact=True))


async def sent(page: Any, path: str, act: Any) -> Any:
    """What the page asks of an address when somebody does something; nothing is really asked."""
    told: list[Any] = []

    async def keep(route: Any) -> None:
        told.append(route.request.post_data_json)
        await route.fulfill(json={"jobs": [], "done": True})

    await page.route(f"**{path}", keep)
    await act()
    await page.wait_for_timeout(300)
    await page.unroute(f"**{path}")
    assert len(told) == 1
    return told[0]


def test_a_clip_is_trimmed_by_dragging_and_by_keys(site: WebSite, browse: Browse, tmp_path: Path) -> None:
    id = site.bring(write_clip(tmp_path, film(32, 64, 64, speed=0.5)).video, "reference", name="trimmed.mp4")
    site.wait(f"/api/clips/{id}", "known")

    async def scenario(visit: Visit) -> list[Any]:
        page = await visit(site.address)
        clip = tile(page, "trimmed.mp4")
        await playwright.expect(clip.locator("output")).to_have_text("0.00 s to 2.00 s")
        box = await clip.locator(".strip").bounding_box()
        for start, end in ((0.5, 0.75), (0.01, 0.25)):
            await page.mouse.move(box["x"] + start * box["width"], box["y"] + box["height"] / 2)
            await page.mouse.down()
            await page.mouse.move(box["x"] + end * box["width"], box["y"] + box["height"] / 2, steps=3)
            await page.mouse.up()
        await playwright.expect(clip.locator("output")).to_have_text("1.00 s to 3.00 s")
        find = clip.get_by_role("button", name="Find the person")
        dragged = await sent(page, "/preparation", find.click)
        await clip.get_by_label("end of trimmed.mp4, seconds").focus()
        for _ in range(50):
            await page.keyboard.press("ArrowLeft")
        return [dragged, await sent(page, "/preparation", find.click)]

    dragged, pressed = browse(scenario)
    assert dragged == {"start": pytest.approx(1, abs=0.02), "frames": 16}
    assert pressed["start"] == dragged["start"]
    assert pressed["frames"] == 12


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_of_a_clip_moves_when_its_pictures_come(
    site: WebSite, browse: Browse, tmp_path: Path, size: dict[str, int]
) -> None:
    id = site.bring(write_clip(tmp_path, film(32, 96, 64, speed=0.5)).video, "reference", name="late.mp4")
    site.wait(f"/api/clips/{id}", "known")

    async def scenario(visit: Visit) -> None:
        page = await visit("about:blank", size=size)
        late: list[Any] = []

        async def hold(route: Any) -> None:
            late.append(route)

        await page.route(f"**/{id}/*.jpg", hold)
        await page.goto(site.address)
        parts = tile(page, "late.mp4").locator("img, .strip, input, button, p")
        await playwright.expect(parts.last).to_be_visible()
        before = [await part.bounding_box() for part in await parts.all()]
        assert len(late) == 2  # the thumbnail and the strip
        for route in late:
            await route.continue_()
        pictures = await tile(page, "late.mp4").locator("img").all()
        for picture in pictures:
            await playwright.expect(picture).to_have_js_property("complete", True)
        after = [await part.bounding_box() for part in await parts.all()]
        assert [box for box in before if box["height"] < 2] == []
        for was, now in zip(before, after, strict=True):
            assert now == {name: pytest.approx(value, abs=1) for name, value in was.items()}

    browse(scenario)


def test_one_of_several_people_is_chosen_by_clicking(site: WebSite, browse: Browse) -> None:
    id = add_prepared(site.library, "source", film(), "crowd.mp4")
    prepared = site.library.folder / "clips" / id / "prepared"
    facts = json.loads((prepared / "facts.json").read_text())
    facts["people"] = {"1": [0.05, 0.1, 0.4, 0.9], "2": [0.5, 0.1, 0.9, 0.9]}
    (prepared / "facts.json").write_text(json.dumps(facts))
    (prepared / "people.jpg").write_bytes((prepared.parent / "thumbnail.jpg").read_bytes())

    async def scenario(visit: Visit) -> Any:
        page = await visit(site.address)
        clip = tile(page, "crowd.mp4")
        await clip.locator("summary").click()
        second = clip.get_by_role("button", name="person 2 of crowd.mp4")
        await second.click()
        await playwright.expect(second).to_have_attribute("aria-pressed", "true")
        await playwright.expect(clip.get_by_label("person from left")).to_have_value("2")
        await clip.get_by_role("button", name="Find the person").click()
        return await sent(page, "/preparation", page.locator("#answer-leave").click)

    assert browse(scenario)["person"] == 2


async def open_alignment(page: Any) -> None:
    await page.click("[data-view=edits]")
    await page.select_option("#source", label="source.mp4 (4 frames)")
    await page.select_option("#reference", label="reference.mp4 (4 frames)")
    await page.locator("#alignment > summary").click()
    await playwright.expect(page.locator("#align-where")).to_have_text("1 of 4")


def test_before_anything_is_aligned_its_buttons_do_nothing(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> Any:
        page = await visit(site.address)
        await page.route("**/api/alignment", lambda route: None)  # the answer is long in coming
        await page.click("[data-view=edits]")
        await page.locator("#alignment > summary").click()
        for name in ("before", "after", "play"):
            await page.click(f"#align-{name}")
        await page.locator("#align-scrub").fill("3")
        await playwright.expect(page.locator("#align-where")).to_have_text("")
        await playwright.expect(page.locator("#align-play")).to_have_text("Play")
        await page.unroute_all(behavior="ignoreErrors")

    browse(scenario)


def test_the_motion_is_put_on_the_person_by_dragging_and_by_keys(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> Any:
        page = await visit(site.address)
        await open_alignment(page)
        await page.fill("#prompt", PROMPT)
        box = await page.locator("#align-canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await page.mouse.move(x, y)
        await page.mouse.down()
        async with page.expect_response("**/api/alignment") as answered:
            await page.mouse.move(x + box["width"] / 4, y - box["height"] / 10, steps=5)
            await page.mouse.up()
        await (await answered.value).finished()
        await page.locator("#align-canvas").focus()
        await page.keyboard.press("Shift+ArrowLeft")
        await page.select_option("#align-method", "paper")
        await page.locator("#align-size").fill("150")
        return await sent(page, "/api/jobs", page.get_by_role("button", name="Put into the queue").click)

    put = browse(scenario)["settings"]["alignment"]
    assert put == {
        "method": "paper",
        "size": 1.5,
        "right": pytest.approx(0.15, abs=0.02),
        "down": pytest.approx(-0.1, abs=0.02),
    }


def test_values_of_a_setting_make_a_grid_and_one_value_a_setting(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> list[Any]:
        page = await visit(site.address)
        await page.click("[data-view=edits]")
        await page.fill("#prompt", PROMPT)
        await page.get_by_text("Settings, and grids of them").click()
        await page.select_option("#setting-0", "sampling.steps")
        await page.fill("#values-0", "5")
        queue = page.get_by_role("button", name="Put into the queue").click
        one = await sent(page, "/api/jobs", queue)
        await page.fill("#values-0", "5, 10")
        await page.select_option("#setting-1", "alignment.method")
        await page.fill("#values-1", "paper, limbs")
        return [one, await sent(page, "/api/grids", queue)]

    one, several = browse(scenario)
    assert one["settings"] == {"sampling": {"steps": 5}}
    assert several["vary"] == {"sampling.steps": [5, 10], "alignment.method": ["paper", "limbs"]}


@pytest.mark.slow
def test_two_edits_are_compared_in_what_differs(site: WebSite, browse: Browse) -> None:
    pair = {clip.name: clip.id for clip in site.library.clips()}
    asked = {
        "kind": "edit",
        "source": pair["source.mp4"],
        "reference": pair["reference.mp4"],
        "prompt": PROMPT,
        "offer": "tiny",
    }
    for steps in (1, 2):
        new = {**asked, "name": f"{steps} steps", "settings": {"sampling": {"steps": steps}}}
        site.wait(f"/api/jobs/{site.ask('POST', '/api/jobs', new).json['id']}", "done")

    async def scenario(visit: Visit) -> tuple[str, list[list[str]]]:
        page = await visit(site.address)
        await page.click("[data-view=edits]")
        await page.locator("#job-list li", has_text="2 steps").get_by_role("button", name="Look").click()
        await page.select_option("#against", label="1 steps")
        await page.locator("#differences caption", has_text="What differs").wait_for()
        assert await barriers(page) == []
        rows = [
            await row.locator("th, td").all_text_contents() for row in await page.locator("#differences tbody tr").all()
        ]
        async with page.expect_download() as download:
            await page.click("text=person.zip")
        return (await download.value).suggested_filename, rows

    name, rows = browse(scenario)
    assert name == "person.zip"
    assert ["sampling.steps", "2", "1"] in rows
    assert not [row for row in rows if row[0].startswith("tuning.")]


def test_warnings_of_an_edit_are_said_at_its_frames(site: WebSite, browse: Browse) -> None:
    clip = film(4)
    body = clip.keypoints.body.copy()
    body[2, :, 2] = 0
    unseen = replace(clip, keypoints=replace(clip.keypoints, body=body))
    asked = {
        "kind": "edit",
        "name": "with warnings",
        "source": add_prepared(site.library, "source", film(4)),
        "reference": add_prepared(site.library, "reference", unseen),
        "prompt": PROMPT,
        "offer": "tiny",
    }
    site.wait(f"/api/jobs/{site.ask('POST', '/api/jobs', asked).json['id']}", "done")

    async def scenario(visit: Visit) -> tuple[str, int]:
        page = await visit(site.address, PHONE)
        await page.click("[data-view=edits]")
        await page.locator("#job-list li", has_text="with warnings").get_by_role("button", name="Look").click()
        warning = page.locator("#look-warnings li", has_text="no joint of the person is seen")
        await playwright.expect(page.locator("#look-here")).to_have_text("")
        await warning.get_by_role("button", name="Show frame 3").click()
        await playwright.expect(page.locator("#look-where")).to_have_text("3 of 4")
        said = await page.locator("#look-here").inner_text()
        await page.keyboard.press(",")
        await page.keyboard.press("w")
        await playwright.expect(page.locator("#look-where")).to_have_text("3 of 4")
        assert await barriers(page) == []
        return said, await page.locator("#look-line rect").count()

    said, marked = browse(scenario)
    assert said.startswith("Frame 3: reference: no joint of the person is seen")
    assert marked == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_keeps_people_out(site: WebSite, browse: Browse, size: dict[str, int], scheme: str) -> None:
    async def scenario(visit: Visit) -> dict[str, list[str]]:
        page = await visit(site.address, size)
        await page.emulate_media(color_scheme=scheme)
        await page.locator("#clip-list details").first.evaluate("each => each.open = true")
        found = {"clips": await barriers(page)}
        await tile(page, "source.mp4").get_by_role("button", name="See and correct").click()
        await page.wait_for_selector("#editor:not([hidden])")
        found["joints"] = await barriers(page)
        await page.click("#tool-mask")
        found["mask"] = await barriers(page)
        await open_alignment(page)
        await page.get_by_text("Settings, and grids of them").click()
        found["edits"] = await barriers(page)
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, "nothing sticks out to the side"
        return found

    assert {view: found for view, found in browse(scenario).items() if found} == {}


@pytest.mark.slow
def test_every_step_is_done_by_keyboard_alone(site: WebSite, browse: Browse, tmp_path: Path) -> None:
    keys = add_prepared(site.library, "source", film(), "keys.mp4")
    before = load_prepared(site.library.folder / "clips" / keys / "prepared")
    brought = write_clip(tmp_path, film(6)).video

    async def scenario(visit: Visit) -> bytes:
        page = await visit(site.address)
        await page.wait_for_selector("#clip-list li")
        press = page.keyboard.press
        await tab_to(page, "role")
        await press("ArrowDown")
        await tab_to(page, "files")
        async with page.expect_file_chooser(timeout=90_000) as chooser:
            await press("Enter")
        await (await chooser.value).set_files(brought)
        clip = tile(page, brought.name)
        await clip.get_by_role("button", name="Find the person").wait_for(timeout=120_000)

        await page.reload()
        await page.wait_for_selector("#clip-list li")
        await tab_to(page, f"start of {brought.name}, seconds")
        await press("ArrowRight")
        await playwright.expect(clip.locator("output")).to_contain_text("0.01 s")

        await tile(page, "keys.mp4").get_by_role("button", name="See and correct").focus()
        await press("Enter")
        await page.wait_for_selector("#editor:not([hidden])")
        await tab_to(page, "canvas")
        await press("Shift+ArrowDown")
        await press("m")
        await press("e")  # the cursor begins in the middle of the picture, within the person
        await press("Enter")
        await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", "2")

        await page.keyboard.press("Shift+Tab")
        for _ in range(60):
            if await page.evaluate("document.activeElement.dataset.view") == "edits":
                break
            await press("Shift+Tab")
        await press("Enter")
        await tab_to(page, "source")
        await page.keyboard.type("keys")
        await tab_to(page, "reference")
        await page.keyboard.type("reference")
        await tab_to(page, "offer")
        await page.keyboard.type("tiny")
        await tab_to(page, "prompt")
        await page.keyboard.type("somebody by keyboard")
        await tab_to(page, "Alignment: see and move the motion on the person")
        await press("Enter")
        await tab_to(page, "align-canvas")
        await press("ArrowRight")
        await tab_to(page, "foresee")
        await press("Enter")
        await page.locator("#foreseen meter").first.wait_for(timeout=120_000)
        await page.keyboard.press("Shift+Tab")
        await tab_to(page, "Put into the queue")
        await press("Enter")
        job = page.locator("#job-list li", has_text="somebody by keyboard")
        await job.get_by_role("button", name="Look").wait_for(timeout=400_000)
        await tab_to(page, "Look")
        await press("Enter")
        await page.wait_for_selector("#look:not([hidden])")
        await tab_to(page, "wipe")
        await press("ArrowLeft")
        await playwright.expect(page.locator("#wipe")).to_have_value("49")
        await tab_to(page, "edited.mp4")
        async with page.expect_download() as download:
            await press("Enter")
        return Path(await (await download.value).path()).read_bytes()

    assert browse(scenario)[4:8] == b"ftyp"
    job = site.library.jobs()[-1]
    assert job.request["settings"] == {"alignment": {"right": 0.01}}
    after = load_prepared(site.library.folder / "clips" / keys / "prepared")
    assert (after.masks != before.masks).any()
    assert not np.array_equal(after.keypoints.body, before.keypoints.body)
