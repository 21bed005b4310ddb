"""The whole way in a real browser with what ships: two files are dropped, corrected and edited, the edit taken home.

On the way the page is reloaded, the process of the job is killed, and the server is ended and started again.
"""

import base64
import os
import re
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from browsing import Browse, Visit, playwright
from edit_your_motion.people.formats.keypoints_file import load_keypoints
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.people.preparation import load_prepared
from edit_your_motion.video import Fit, read_video, write_video
from web_site import WebSite, serving_web, wait_for_phase

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

FOUND, AGAIN, JOINT, MASK = "as found", "As found", "as Found", "AS FOUND"
"""Ends of the edits' prompts: as the clips were found, the same again, with a corrected joint, with a painted mask.
They differ in capitals alone, and so are the same words to the base."""

WRIST = BODY_JOINTS.index("right_wrist")
FRAMES = 3
SIDE = 128
PROMPT = "a person in dark clothes moves slowly outdoors"
DROP = """async ([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, {type: "video/mp4"}));
    const event = new DragEvent("drop", {dataTransfer: carried, cancelable: true, bubbles: true});
    document.getElementById("drop").dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of an edit with the small base that ends soon, to be served beside those that ship."""
    stage, steps = {"iterations": 2}, {"steps": 3}
    tuning = {"motion": stage, "appearance": stage, "decoder": {"iterations": 0}, "checkpoint_every": 1}
    settings = {"model": {"base": "small"}, "tuning": tuning, "inversion": steps, "sampling": steps}
    path = tmp_path_factory.mktemp("settings") / "quick.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def cut(clip: Path, place: Path, stride: int) -> Path:
    """A few small frames of a clip, as a file of its own."""
    film = read_video(clip, frames=FRAMES, stride=stride, fit=Fit(SIDE, SIDE))
    write_video(place, film.frames, film.fps)
    return place


async def drop(page: Any, path: Path, role: str) -> None:
    await page.select_option("#role", role)
    await page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])


def tile(page: Any, name: str) -> Any:
    return page.locator("#clip-list li", has=page.get_by_role("heading", name=name, exact=True))


async def find_person(page: Any, name: str) -> None:
    found = tile(page, name)
    await found.get_by_label("frames", exact=True).fill(str(FRAMES), timeout=120_000)
    await found.get_by_role("button", name="Find the person").click()
    await found.get_by_role("button", name="See and correct").wait_for(timeout=300_000)


async def queue(page: Any, name: str) -> str:
    """Asks for an edit; returns its id."""
    await page.click("[data-view=edits]")
    await page.select_option("#offer", "quick")
    await page.fill("#prompt", f"{PROMPT}, {name}")
    async with page.expect_response(lambda response: response.url.endswith("/api/jobs")) as answered:
        await page.keyboard.press("Enter")
    return str((await (await answered.value).json())["id"])


async def take_home(page: Any, name: str, place: Path) -> np.ndarray:
    """The frames of the film that somebody downloads once the job of that name is done."""
    job = page.locator("#job-list li", has_text=re.compile(name))
    await page.click("[data-view=edits]")
    look, failed = job.get_by_role("button", name="Look"), job.locator(".problem")
    await look.or_(failed).wait_for(timeout=600_000)
    assert not await failed.count(), await failed.all_text_contents()
    await look.click()
    await page.wait_for_selector("#look:not([hidden])")
    async with page.expect_download() as download:
        await page.click("#downloads a:has-text('edited.mp4')")
    await (await download.value).save_as(place)
    return read_video(place).frames


async def open_clip(page: Any, name: str) -> None:
    await page.click("[data-view=clips]")
    await tile(page, name).get_by_role("button", name="See and correct").click()
    await page.wait_for_selector("#editor:not([hidden])")


async def place_of(page: Any, x: float, y: float, width: int) -> tuple[float, float]:
    box = await page.locator("#canvas").bounding_box()
    return box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width


def prepared_of(site: WebSite, name: str) -> Path:
    clip = next(clip for clip in site.library.clips() if clip.name == name)
    return site.library.clip_folder(clip) / "prepared"


def test_from_two_dropped_files_to_a_downloaded_edit(
    clips: Path, people_models: None, quick: Path, browse: Browse, tmp_path: Path
) -> None:
    source = cut(clips / "tai-chi.mp4", tmp_path / "anna.mp4", stride=8)
    reference = cut(clips / "basketball.mp4", tmp_path / "dance.mp4", stride=4)
    library = tmp_path / "library"

    async def bring(site: WebSite, visit: Visit) -> str:
        page = await visit(site.address)
        await drop(page, source, "source")
        await tile(page, "anna.mp4").wait_for()
        await drop(page, reference, "reference")
        for name in ("anna.mp4", "dance.mp4"):
            await find_person(page, name)
        job = await queue(page, FOUND)
        wait_for_phase(site, job, "tune, stage 1")
        await page.reload()
        await page.click("[data-view=edits]")
        await playwright.expect(
            page.locator("#job-list li", has_text=re.compile(FOUND)).locator("progress")
        ).to_be_visible()
        running = site.library.job(job)
        assert running is not None
        process = site.runner.process_of(running)
        assert process is not None
        os.kill(process, signal.SIGKILL)
        wait_for_phase(site, job, "tune, stage 2")
        return job

    async def correct(site: WebSite, visit: Visit) -> dict[str, np.ndarray]:
        page = await visit(site.address)
        films = {FOUND: await take_home(page, FOUND, tmp_path / "found.mp4")}
        jobs = [await queue(page, AGAIN)]

        await open_clip(page, "dance.mp4")
        prepared = load_prepared(prepared_of(site, "dance.mp4"))
        x, y = prepared.keypoints.body[0, WRIST, :2].tolist()
        width = prepared.keypoints.width
        await page.fill("#reach", "1")
        await page.select_option("#joint", "right_wrist")
        await page.mouse.move(*await place_of(page, x, y, width))
        await page.mouse.down()
        await page.mouse.move(*await place_of(page, x, max(y - 0.2 * width, 2), width), steps=4)
        await page.mouse.up()
        await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", "1")
        jobs.append(await queue(page, JOINT))

        await open_clip(page, "anna.mp4")
        prepared = load_prepared(prepared_of(site, "anna.mp4"))
        height, width = prepared.masks.shape[1:]
        await page.click("#tool-mask")
        await page.fill("#carry", str(FRAMES))
        await page.fill("#brush", "80")
        await page.mouse.move(*await place_of(page, 0.1 * width, 0.3 * height, width))
        await page.mouse.down()
        await page.mouse.move(*await place_of(page, 0.9 * width, 0.3 * height, width), steps=4)
        await page.mouse.up()
        await playwright.expect(page.locator("#said")).to_have_attribute("data-saved", "1")
        jobs.append(await queue(page, MASK))
        for name in (AGAIN, JOINT, MASK):
            films[name] = await take_home(page, name, tmp_path / f"{name}.mp4")
        return films

    with serving_web(library, quick) as first:
        begun = browse(lambda visit: bring(first, visit))
    with serving_web(library, quick) as second:
        log = (library / "jobs" / begun / "log.txt").read_text()
        films = browse(lambda visit: correct(second, visit))
    assert len(second.library.jobs()) == 4 + 2 * 2, "four edits; each clip was looked at and prepared once"
    np.testing.assert_array_equal(films[FOUND], films[AGAIN], err_msg=log)
    names = (AGAIN, JOINT, MASK)
    for before, after in pairwise(names):
        changed = np.abs(films[after].astype(int) - films[before]).max(axis=-1) > 16
        assert changed.mean() > 0.005, f"{after}: no other edit than {before}"
    edits = {job.name.rpartition(", ")[2]: library / "jobs" / job.id / "edit" for job in second.library.jobs()}
    wrist = [load_keypoints(edits[name] / "skeletons.json").body[0, WRIST, 1] for name in (FOUND, JOINT)]
    assert wrist[1] < wrist[0] - 5, "higher up"
