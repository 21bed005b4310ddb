"""The study's page in a real browser: several people at once, videos in step, resume, keys, a phone's width."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from browsing import DESKTOP, NAMELESS, PHONE, Browse, Visit, playwright
from edit_your_motion.study.answers import FILE, AnswerBook
from edit_your_motion.study.report import report_study
from edit_your_motion.study.table import list_rows
from edit_your_motion.video import write_video
from imagined_study import OURS
from study_site import CASES, FPS, Site, make_study, serving, write_clips

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two seconds each, but for one source of one picture and one result that is shorter."""
    folder = tmp_path_factory.mktemp("browser")
    origins = write_clips(folder, frames=16)
    still = np.full((1, 64, 64, 3), 90, np.uint8)
    write_video(origins.sources / "jump.mp4", still, FPS)
    write_video(origins.theirs["MotionEditor"] / "kick.mp4", np.repeat(still, 8, axis=0), FPS)
    study = make_study(folder / "study", origins, fewest_seconds=0, straight_line=4, comparisons_per_person=4)
    with serving(folder / "study", study) as site:
        yield site


async def begin(page: Any) -> None:
    await page.check("#agree")
    await page.click("#begin")
    await ready(page)


async def ready(page: Any) -> None:
    """Waits until the comparison can be answered."""
    await page.wait_for_selector("#questions fieldset:not([disabled])")


async def saved(page: Any) -> None:
    """Waits until the server has every answer."""
    await playwright.expect(page.locator("#saved")).to_have_text("Saved")


async def go_through(page: Any, answer: Callable[[Any], Awaitable[None]]) -> None:
    """Answers to the end, one comparison after the other."""
    while await page.is_visible("#task"):
        await ready(page)
        shown = await page.text_content("#count")
        await answer(page)
        await saved(page)
        await page.keyboard.press("Enter")
        if not shown.startswith("4"):
            await playwright.expect(page.locator("#count")).not_to_have_text(shown)
        else:
            await playwright.expect(page.locator("#task")).to_be_hidden()
    assert await page.text_content("#end-title") == "Thank you"


async def ours_is_left(page: Any, site: Site) -> bool:
    ours = {case.results[OURS] for case in site.study.cases}
    return (await page.get_attribute("#left", "src")).rpartition("/")[2] in ours


def test_several_people_at_once(site: Site, browse: Browse) -> None:
    async def by_keys(page: Any) -> None:
        key = "a" if await ours_is_left(page, site) else "b"
        for _ in range(await page.locator("fieldset").count()):
            await page.keyboard.press(key)

    async def by_mouse(page: Any) -> None:
        side = "left" if await ours_is_left(page, site) else "right"
        for field in await page.locator("fieldset").all():
            await field.locator(f"label:has([value={side}])").click()

    async def always_left(page: Any) -> None:
        for _ in range(await page.locator("fieldset").count()):
            await page.keyboard.press("ArrowLeft")

    async def scenario(visit: Visit) -> None:
        pages = [await visit(site.address, size) for size in (DESKTOP, PHONE, DESKTOP)]
        await asyncio.gather(*map(begin, pages))
        await asyncio.gather(*map(go_through, pages, (by_keys, by_mouse, always_left)))
        again = await visit(site.address, context=pages[0].context)
        await playwright.expect(again.locator("#known-link")).to_be_visible()  # whoever comes back is shown the way on
        await begin(again)
        await go_through(again, by_keys)

    browse(scenario)
    book = AnswerBook(site.folder / FILE, site.study)
    rows = list_rows(book)
    people = {row.answer.participant: row.marks for row in rows}
    assert sorted(people.values()) == [(), (), ("duplicate",), ("one-side",)]
    report = report_study(site.study, rows)
    assert report.everybody.complete == 4
    assert {each.score for each in report.unmarked.scores} == {1.0}, "the page sends the side that people mean"
    assert all(0 < row.answer.seconds < 60 for row in rows)


def test_videos_play_in_step_and_again(site: Site, browse: Browse) -> None:
    watch = """async () => {
        const videos = [...document.querySelectorAll("video")], samples = [];
        for (let end = performance.now() + 5000; performance.now() < end; ) {
            samples.push(videos.map((v) => [v.currentTime, v.duration, v.seeking, v.paused && !v.ended]));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return samples;
    }"""

    async def scenario(visit: Visit) -> tuple[list, list, list]:
        page = await visit(site.address)
        await begin(page)
        playing = await page.evaluate(watch)
        await page.keyboard.press("Space")
        assert await page.text_content("#play span") == "Play"
        times = "() => [...document.querySelectorAll('video')].map((v) => v.currentTime)"
        first = await page.evaluate(times)
        await page.wait_for_timeout(400)
        paused = [first, await page.evaluate(times)]
        await page.keyboard.press("r")
        await playwright.expect(page.locator("#play span")).to_have_text("Pause")
        again = await page.evaluate(watch)
        assert max(sample[2][0] for sample in again) > 1
        return playing, *paused

    playing, before, after = browse(scenario)
    assert before == pytest.approx(after, abs=0.13), "within a frame; what plays goes on by 0.4"
    assert all(video[0] >= 0 for sample in playing for video in sample)
    steady = [sample for sample in playing if not any(seeking or stopped for *_, seeking, stopped in sample)]
    assert len(steady) > len(playing) / 2
    # A clip that has ended holds its last frame, so it is where the others are or at its end.
    now = [max(time for time, *_ in sample) for sample in steady]
    spread = [
        max(min(latest, duration) - time for time, duration, *_ in sample)
        for latest, sample in zip(now, steady, strict=True)
    ]
    assert np.quantile(spread, 0.9) < 0.15
    left = np.array([sample[2][0] for sample in playing])
    assert (np.diff(left) < -1).sum() >= 2, "three rounds of two seconds in five"


def test_a_private_link_goes_on_elsewhere(site: Site, browse: Browse) -> None:
    async def scenario(visit: Visit) -> None:
        page = await visit(f"{site.address}/?code=panel-7")
        await begin(page)
        for number in range(2):
            for _ in range(await page.locator("fieldset").count()):
                await page.keyboard.press("b")
            await saved(page)
            if number == 0:
                await page.keyboard.press("Enter")
                await playwright.expect(page.locator("#count")).to_have_text("2 of 4")
                await ready(page)
        link = await page.input_value("#link")
        assert re.fullmatch(re.escape(site.address) + r"/p/[\w-]{32}", link)
        await page.context.close()
        elsewhere = await visit(link, PHONE)
        await ready(elsewhere)
        assert (await elsewhere.text_content("#count")).startswith("3 of 4")
        await elsewhere.keyboard.press("p")
        await ready(elsewhere)
        checked = await elsewhere.evaluate("[...document.querySelectorAll('input:checked')].map((e) => e.value)")
        assert set(checked) - {"on"} == {"right"}, "earlier answers are shown"

    browse(scenario)
    people = AnswerBook(site.folder / FILE, site.study).participants()
    assert [each.code for each in people].count("panel-7") == 1


def test_answers_wait_for_the_connection_to_come_back(site: Site, browse: Browse) -> None:
    async def scenario(visit: Visit) -> str:
        page = await visit(site.address)
        await begin(page)
        for number in range(1, 5):
            await playwright.expect(page.locator("#count")).to_have_text(f"{number} of 4")
            await ready(page)
            if number == 4:
                await page.context.set_offline(True)
            for key in "aba"[: await page.locator("fieldset").count()]:
                await page.keyboard.press(key)
            if number < 4:
                await page.keyboard.press("Enter")
        await page.wait_for_selector("#saved.failing")
        await page.keyboard.press("Enter")
        assert not await page.is_visible("#end"), "no thanks before all is saved"
        await page.context.set_offline(False)
        await playwright.expect(page.locator("#end-title")).to_have_text("Thank you")
        return (await page.input_value("#link")).rpartition("/")[2]

    book = AnswerBook(site.folder / FILE, site.study)
    participant = book.find(browse(scenario))
    assert participant is not None
    given = {(answer.position, answer.question): answer.choice for answer in book.answers(participant)}
    for position, comparison in enumerate(book.comparisons_of(participant)):
        asked = site.study.asked_of(site.study.case(comparison.case))
        assert [given[position, each.name] for each in asked] == ["left", "right", "left"][: len(asked)]


def test_withdrawing_asks_first(site: Site, browse: Browse) -> None:
    async def scenario(visit: Visit) -> str:
        page = await visit(site.address)
        await begin(page)
        await page.keyboard.press("a")
        await page.click("summary:has-text('withdraw')")
        token = (await page.input_value("#link")).rpartition("/")[2]
        await page.click("#withdraw")
        await page.keyboard.press("Enter")  # the focus is on staying
        assert await page.is_visible("#task")
        await page.click("#withdraw")
        await page.click("#leave")
        await page.wait_for_selector("text=You have withdrawn")
        return token

    book = AnswerBook(site.folder / FILE, site.study)
    participant = book.find(browse(scenario))
    assert participant is not None
    assert participant.withdrawn
    assert book.answers(participant) == ()


@pytest.mark.parametrize("size", [DESKTOP, PHONE, {"width": 320, "height": 568}], ids=["desktop", "phone", "smallest"])
def test_everything_fits_and_can_be_reached_without_a_mouse(site: Site, browse: Browse, size: dict[str, int]) -> None:
    async def scenario(visit: Visit) -> None:
        page = await visit(site.address, size)
        await begin(page)
        await page.wait_for_selector("video")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, "nothing sticks out to the side"
        boxes = [await video.bounding_box() for video in await page.locator("video").all()]
        assert all(box["y"] + box["height"] <= size["height"] for box in boxes), "all four are seen at once"
        assert boxes[2]["y"] == boxes[3]["y"], "results are side by side"
        assert min(box["width"] for box in boxes) > 130
        targets = "button, select, .choice, summary"
        small = [
            await each.text_content()
            for each in await page.locator(targets).all()
            if await each.is_visible() and (await each.bounding_box())["height"] < 24  # WCAG 2.5.8
        ]
        assert small == []
        nameless = await page.evaluate(NAMELESS)
        assert nameless == []
        reached = set()
        for _ in range(25):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.id || document.activeElement.tagName"))
            outline = await page.evaluate(
                "getComputedStyle(document.activeElement.closest('.choice') || document.activeElement).outlineStyle"
            )
            assert outline in ("solid", "auto") or await page.evaluate("document.activeElement === document.body")
        assert {"play", "restart", "speed", "INPUT", "SUMMARY"} <= reached

    browse(scenario)


def test_text_of_a_study_is_never_run(site: Site, browse: Browse) -> None:
    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        await playwright.expect(page).to_have_title(site.study.title)
        assert await page.text_content("#consent-text p") == "You are <b>asked</b>."
        assert await page.locator("#consent-text p").count() == 2
        await begin(page)
        prompts = {case.prompt for case in site.study.cases}
        assert (await page.text_content("#prompt-text") or None) in prompts
        assert await page.locator("#title i, #prompt-text b, #consent-text b").count() == 0

    browse(scenario)
    assert len(CASES) == 3
