"""The web app in a real browser: correct, paint, undo, queue, look; by mouse, by keyboard, on a phone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browsing import DESKTOP, NAMELESS, PHONE, Browse, Visit, playwright
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.people.preparation import PreparedClip, load_prepared
from synthetic_clip import film
from web_site import PROMPT, WebSite, add_prepared

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.usefixtures("pair")
NOSE, WRIST = (BODY_JOINTS.index(name) for name in ("nose", "left_wrist"))


@pytest.fixture
def clip(site: WebSite, request: pytest.FixtureRequest) -> Path:
    """The folder of a new prepared source of 8 frames that is named after the test."""
    id = add_prepared(site.library, "source", film(8, 96, 128), request.node.name)
    return site.library.folder / "clips" / id / "prepared"


async def open_clip(page: Any, name: str) -> None:
    tile = page.locator("#clip-list li", has=page.get_by_role("heading", name=name, exact=True))
    await tile.get_by_role("button", name="See and correct").click()
    await page.wait_for_selector("#editor:not([hidden])")


async def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a place in the pictures is on the screen."""
    box = await page.locator("#canvas").bounding_box()
    return box["x"] + x * box["width"] / 128, box["y"] + y * box["height"] / 96


async def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    await page.mouse.move(*await place(page, *start))
    await page.mouse.down()
    await page.mouse.move(*await place(page, *end), steps=4)
    await page.mouse.up()


async def go_to(page: Any, frame: int) -> None:
    await page.locator("#scrub").fill(str(frame))
    await playwright.expect(page.locator("#where")).to_have_text(f"{frame + 1} of 8")


async def saved(page: Any, changes: int) -> None:
    await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", str(changes))


def point(clip: PreparedClip, frame: int, joint: int) -> tuple[float, float]:
    x, y = clip.keypoints.body[frame, joint, :2].tolist()
    return x, y


def test_a_dragged_joint_takes_the_frames_around_along_up_to_the_next_corrected_one(
    site: WebSite, browse: Browse, clip: Path, request: pytest.FixtureRequest
) -> None:
    before = load_prepared(clip)

    async def scenario(visit: Visit) -> list[str]:
        page = await visit(site.address)
        await open_clip(page, request.node.name)
        x, y = point(before, 0, WRIST)
        said = []
        await drag(page, (x, y), (x + 8, y - 16))
        said.append(await page.text_content("#said"))
        await saved(page, 1)
        await go_to(page, 4)
        x, y = point(before, 4, WRIST)
        x, y = x + 1.6, y - 3.2  # it has followed by a fifth
        await drag(page, (x, y), (x, y + 10))
        said.append(await page.text_content("#said"))
        await saved(page, 2)
        await page.reload()
        await playwright.expect(page.locator("#editor-title")).to_have_text(request.node.name)
        return said

    said = browse(scenario)
    assert said == [
        "left wrist put right in frame 1; followed in frames 2 to 5.",
        "left wrist put right in frame 5; followed in frames 2 to 8.",
    ]
    moved = load_prepared(clip).keypoints.body[:, WRIST] - before.keypoints.body[:, WRIST]
    first = np.array([1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0])[:, None] * (8, -16)
    second = np.array([0, 0.25, 0.5, 0.75, 1, 0.8, 0.6, 0.4])[:, None] * (0, 10)
    np.testing.assert_allclose(moved[:, :2], first + second, atol=0.7)
    np.testing.assert_array_equal(load_prepared(clip).keypoints.body[:, NOSE], before.keypoints.body[:, NOSE])
    assert json.loads((clip / "corrected.json").read_text()) == {"left_wrist": [0, 4]}


def test_everything_is_done_by_keyboard_alone_and_undone(
    site: WebSite, browse: Browse, clip: Path, request: pytest.FixtureRequest
) -> None:
    before = load_prepared(clip)

    async def scenario(visit: Visit) -> dict[str, PreparedClip]:
        page = await visit(site.address)
        seen = {}
        await open_clip(page, request.node.name)
        await page.locator("#canvas").focus()
        await page.keyboard.press(".")
        await page.keyboard.press("Shift+ArrowRight")
        await saved(page, 1)
        seen["moved"] = load_prepared(clip)
        await page.keyboard.press("h")
        await saved(page, 2)
        seen["hidden"] = load_prepared(clip)
        await page.keyboard.press("x")
        await saved(page, 3)
        seen["swapped"] = load_prepared(clip)
        await page.keyboard.press("m")
        await page.keyboard.press("Enter")
        await saved(page, 4)
        await page.keyboard.press("e")
        await page.keyboard.press("Shift+ArrowLeft")
        await page.keyboard.press("Enter")
        await saved(page, 5)
        seen["painted"] = load_prepared(clip)
        for left in (4, 3, 2, 1, 0):
            await page.keyboard.press("Control+z")
            await saved(page, left)
        seen["undone"] = load_prepared(clip)
        await page.keyboard.press("Control+y")
        await saved(page, 1)
        seen["again"] = load_prepared(clip)
        return seen

    seen = browse(scenario)
    x, y = point(before, 1, NOSE)
    assert point(seen["moved"], 1, NOSE) == pytest.approx((x + 10, y), abs=1e-3)
    assert seen["hidden"].keypoints.body[1, NOSE, 2] == 0
    left, right = (BODY_JOINTS.index(f"{side}_knee") for side in ("left", "right"))
    np.testing.assert_allclose(point(seen["swapped"], 7, left), point(before, 7, right))
    assert (seen["painted"].masks[1] != before.masks[1]).any()
    np.testing.assert_allclose(seen["undone"].keypoints.body, before.keypoints.body, atol=1e-4)
    np.testing.assert_array_equal(seen["undone"].masks, before.masks)
    np.testing.assert_array_equal(seen["again"].keypoints.body, seen["moved"].keypoints.body)


def test_a_brush_carries_on_to_the_next_frames(
    site: WebSite, browse: Browse, clip: Path, request: pytest.FixtureRequest
) -> None:
    before = load_prepared(clip)

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        await open_clip(page, request.node.name)
        await page.click("#tool-mask")
        await page.fill("#carry", "2")
        await go_to(page, 3)
        await drag(page, (10, 48), (30, 48))
        await playwright.expect(page.locator("#said")).to_have_text("Mask painted in frames 4 to 6.")
        await saved(page, 1)
        await page.check("#erase")
        await page.fill("#carry", "0")
        await drag(page, (60, 48), (80, 48))
        await saved(page, 2)

    browse(scenario)
    after = load_prepared(clip)
    assert after.masks[3:6, 48, 10:30].all()
    assert not after.masks[3, 48, 60:80].any()
    assert not before.masks[3:6, 48, 10:20].any()
    for frame in (0, 1, 2, 6, 7):
        np.testing.assert_array_equal(after.masks[frame], before.masks[frame])


@pytest.mark.parametrize("size", [DESKTOP, PHONE, {"width": 320, "height": 568}], ids=["desktop", "phone", "smallest"])
def test_everything_fits_and_has_a_name(site: WebSite, browse: Browse, size: dict[str, int]) -> None:
    name = f"A long <mark>name</mark> of a clip at width {size['width']}.mp4"  # the page itself marks nothing
    add_prepared(site.library, "source", film(8, 96, 128), name)

    async def fits(page: Any) -> None:
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, "nothing sticks out to the side"
        assert await page.evaluate(NAMELESS) == []
        small = [
            await each.text_content()
            for each in await page.locator("button, select, summary").all()
            if await each.is_visible() and (await each.bounding_box())["height"] < 24  # WCAG 2.5.8
        ]
        assert small == []

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address, size)
        await page.wait_for_selector("#clip-list li")
        await fits(page)
        await page.locator("#clip-list details").first.evaluate("each => each.open = true")
        await fits(page)
        await open_clip(page, name)
        await fits(page)
        await page.click("#tool-mask")
        await fits(page)
        await page.click("[data-view=edits]")
        await fits(page)
        assert await page.locator("mark").count() == 0, "names are text"

    browse(scenario)


@pytest.mark.slow
def test_the_way_from_the_queue_to_a_downloaded_edit(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> bytes:
        page = await visit(site.address)
        await page.click("[data-view=edits]")
        await page.select_option("#source", label="source.mp4 (4 frames)")
        await page.select_option("#offer", "tiny")
        await page.fill("#prompt", f"{PROMPT} <i>slowly</i>")
        await page.keyboard.press("Enter")
        await playwright.expect(page.locator("#asked")).to_have_text("It waits for its turn.")
        await page.reload()
        await page.click("[data-view=edits]")
        job = page.locator("#job-list li", has_text="slowly")
        await job.get_by_role("button", name="Look").click(timeout=400_000)
        await page.wait_for_selector("#look:not([hidden])")
        for row in ("source", "reference", "edited"):
            await playwright.expect(page.locator(f"#row-{row}")).to_have_js_property("width", 64)
        await page.locator("#wipe").fill("0")
        await playwright.expect(page.locator("#downloads a", has_text="edited.mp4")).to_be_visible()
        async with page.expect_download() as download:
            await page.click("#downloads a:has-text('edited.mp4')")
        path = await (await download.value).path()
        return Path(path).read_bytes()

    film = browse(scenario)
    assert film[4:8] == b"ftyp"
    assert any(path.read_bytes() == film for path in site.library.folder.glob("jobs/*/edit/edited.mp4"))
