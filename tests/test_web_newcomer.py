"""What people expect of such a page, in a real browser: files anywhere, failures that stay, progress, where to look."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from accessible import barriers
from browsing import DESKTOP, PHONE, Browse, Visit, playwright
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_pair, add_prepared, wait_for_phase

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.usefixtures("pair")

GIVE = """([how, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const options = { bubbles: true, cancelable: true };
  const events = how === "paste" ? [new ClipboardEvent("paste", { clipboardData: data, ...options })]
    : ["dragover", "drop"].map((name) => new DragEvent(name, { dataTransfer: data, ...options }));
  for (const event of events) document.querySelector("h1").dispatchEvent(event);
}"""


def tile(page: Any, name: str) -> Any:
    return page.locator("#clip-list li", has=page.get_by_role("heading", name=name, exact=True))


async def give(page: Any, how: str, path: Path, name: str) -> None:
    await page.evaluate(GIVE, [how, name, base64.b64encode(path.read_bytes()).decode()])


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_files_are_taken_wherever_they_are_dropped_and_asked_for_what(
    site: WebSite, browse: Browse, tmp_path: Path, how: str
) -> None:
    brought = write_clip(tmp_path, film(6)).video

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        await page.click("[data-view=edits]")
        await give(page, how, brought, f"{how}.mp4")
        await playwright.expect(page.locator("#sure-title")).to_have_text(f"What is {how}.mp4 for?")
        assert await barriers(page) == []
        await playwright.expect(page.locator("#landing")).to_be_hidden()
        await page.keyboard.press("Escape")
        await playwright.expect(page.locator("#sure")).to_be_hidden()
        await playwright.expect(page.locator("#edits")).to_be_visible()
        await give(page, how, brought, f"{how}.mp4")
        await page.click("#answer-reference")
        await playwright.expect(tile(page, f"{how}.mp4")).to_contain_text("reference, ", timeout=60_000)

    browse(scenario)
    assert [clip.role for clip in site.library.clips() if clip.name == f"{how}.mp4"] == ["reference"]


def test_a_question_asked_at_once_after_another_is_not_ended_by_it(site: WebSite, browse: Browse) -> None:
    asks = """async (address) => {
      const { askWhich } = await import(address), dialog = document.getElementById("sure");
      const answers = [["no", "No"], ["yes", "Yes"]];
      const told = [];
      askWhich("first?", answers).then((answer) => told.push(answer));
      dialog.close("yes");
      const second = askWhich("second?", answers).then((answer) => told.push(answer));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const open = dialog.open, before = [...told];
      dialog.close("yes");
      await second;
      return [open, before, told];
    }"""

    async def scenario(visit: Visit) -> Any:
        page = await visit(site.address)
        address = await page.evaluate("document.querySelector('script[type=module]').src")
        return await page.evaluate(asks, address.replace("main.js", "dom.js"))

    assert browse(scenario) == [True, ["yes"], ["yes", "yes"]]


def test_what_fails_on_its_way_is_sent_again_from_where_it_was(site: WebSite, browse: Browse, tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(bytes(9 << 20))
    offsets: list[str] = []

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        broken = True

        async def meet(route: Any) -> None:
            offsets.append(route.request.url.partition("offset=")[2])
            refused = {"status": 503, "json": {"error": "no"}}
            await (route.fulfill(**refused) if broken and len(offsets) > 1 else route.continue_())

        await page.route("**/content?offset=*", meet)
        await page.clock.install()
        await page.set_input_files("#files", path)
        note = page.locator("#bringing li")
        for _ in range(40):
            await page.clock.run_for(3000)
            if await note.get_by_role("button", name="Send again").count():
                break
            await page.wait_for_timeout(50)
        broken = False
        await note.get_by_role("button", name="Send again").click()
        for _ in range(100):
            await page.clock.run_for(1000)
            if not await note.count():
                return
            await page.wait_for_timeout(100)
        raise AssertionError("it did not come")

    browse(scenario, "status of 503")
    assert offsets[0] == "0"
    assert set(offsets[1:-1]) == {str(4 << 20)}
    assert offsets[-1] == str(8 << 20)
    assert [site.library.received(clip) for clip in site.library.clips() if clip.name == "long.bin"] == [9 << 20]


def test_a_file_that_was_broken_off_goes_on_after_a_reload(site: WebSite, browse: Browse, tmp_path: Path) -> None:
    path = tmp_path / "again.bin"
    path.write_bytes(bytes(9 << 20))
    offsets: list[str] = []

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)

        async def hold(route: Any) -> None:
            await (route.continue_() if route.request.url.endswith("offset=0") else route.abort())

        await page.route("**/content?offset=*", hold)
        async with page.expect_response("**/content?offset=0"):
            await page.set_input_files("#files", path)
        await page.reload()
        await page.unroute("**/content?offset=*")
        page.on("request", lambda request: offsets.append(request.url) if "offset=" in request.url else None)
        await playwright.expect(tile(page, "again.bin")).to_contain_text("4.2 MB of 9.4 MB have come")
        await page.set_input_files("#files", path)
        await playwright.expect(tile(page, "again.bin").locator(".problem")).to_be_visible(timeout=60_000)

    browse(scenario, "ERR_FAILED")
    assert [url.partition("offset=")[2] for url in offsets] == [str(4 << 20), str(8 << 20)]
    assert sum(clip.name == "again.bin" for clip in site.library.clips()) == 1


def test_a_failure_stays_in_sight_until_it_is_read(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> None:
        page = await visit(site.address, PHONE)
        await page.click("[data-view=edits]")
        await playwright.expect(page.locator("#offer option")).not_to_have_count(0)
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await page.click("#ask button.primary")
        problem = page.locator("#problem")
        await playwright.expect(problem).to_contain_text("expected a prompt")
        await playwright.expect(problem).to_be_in_viewport()
        add_prepared(site.library, "reference", film(4), "news.mp4")
        site.library.version += 1
        await playwright.expect(page.locator("#reference option", has_text="news.mp4")).to_have_count(1)
        await playwright.expect(problem).to_be_visible()
        await problem.get_by_role("button", name="Close").click()
        await playwright.expect(problem).to_be_hidden()

    browse(scenario, "status of 409")


def test_warnings_are_marked_and_said_at_their_frames(site: WebSite, browse: Browse) -> None:
    id = add_prepared(site.library, "source", film(6), "warned.mp4")
    facts = site.library.folder / "clips" / id / "prepared" / "facts.json"
    told = {"warnings": ["it is dark", "the feet are cut off"], "concerned": [[], [2, 4]]}
    facts.write_text(json.dumps({**json.loads(facts.read_text()), **told}))

    async def scenario(visit: Visit) -> None:
        page = await visit(site.address)
        await tile(page, "warned.mp4").get_by_role("button", name="See and correct").click()
        here, where = page.locator("#here"), page.locator("#where")
        await playwright.expect(page.locator("#confidence rect")).to_have_count(2)
        await playwright.expect(here).to_have_text("")
        await page.keyboard.press("w")
        await playwright.expect(where).to_have_text("3 of 6")
        await playwright.expect(here).to_have_text("Frame 3: the feet are cut off")
        await page.keyboard.press(".")
        await playwright.expect(here).to_have_text("")
        await page.get_by_role("button", name="Next warning").click()
        await playwright.expect(where).to_have_text("5 of 6")
        await page.get_by_role("button", name="Show frame 3").click()
        await playwright.expect(where).to_have_text("3 of 6")
        line = page.locator("#confidence")
        width = (await line.bounding_box())["width"]
        await line.click(position={"x": width - 3, "y": 5}, force=True)
        await playwright.expect(where).to_have_text("6 of 6")

    browse(scenario)


def test_an_edit_is_seen_while_it_is_sampled_and_the_tab_says_how_far_it_is(site: WebSite, browse: Browse) -> None:
    source, reference = add_pair(site.library)
    asked = {"kind": "edit", "source": source, "reference": reference, "prompt": f"{PROMPT}, seen", "offer": "tiny",
             "settings": {"sampling": {"steps": 400, "preview_every": 1}}}  # fmt: skip
    job = site.ask("POST", "/api/jobs", asked).json["id"]
    wait_for_phase(site, job, "sample", steps=2)

    async def scenario(visit: Visit) -> list[str]:
        page = await visit(site.address)
        await page.click("[data-view=edits]")
        picture = page.locator("#job-list li", has_text="seen").locator("img.preview")
        await playwright.expect(picture).to_be_visible()
        await playwright.expect(picture).to_have_js_property("naturalWidth", 64)
        first = await picture.get_attribute("src")
        await page.wait_for_function(
            "([first]) => document.querySelector('img.preview').src.indexOf(first) < 0", arg=[first]
        )
        await page.wait_for_function("/^[0-9]+ % · /.test(document.title)")
        return [first, await picture.get_attribute("src")]

    try:
        first, second = browse(scenario)
        assert first != second
    finally:
        site.ask("POST", f"/api/jobs/{job}/cancel")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_deletion_asks_with_what_it_frees(site: WebSite, browse: Browse, size: dict[str, int]) -> None:
    name = f"gone at {size['width']}.mp4"
    id = add_prepared(site.library, "reference", film(4), name)
    frees = site.ask("GET", f"/api/clips/{id}").json["disk"]["frees"]

    async def scenario(visit: Visit) -> str:
        page = await visit(site.address, size)
        await playwright.expect(tile(page, name).locator(".disk")).to_contain_text("B")
        await tile(page, name).get_by_role("button", name="Delete").click()
        await playwright.expect(page.locator("#sure-title")).to_contain_text("frees")
        asked = await page.locator("#sure-title").text_content()
        await page.click("#answer-leave")
        await playwright.expect(tile(page, name)).to_have_count(0)
        return str(asked)

    asked = browse(scenario)
    assert f"frees {frees / 1000:.2g} kB" in asked or f"frees {frees / 1000:.0f} kB" in asked


def test_pages_that_nobody_looks_at_leave_the_connections_to_others(site: WebSite, browse: Browse) -> None:
    async def scenario(visit: Visit) -> None:
        first = await visit(site.address)
        for _ in range(7):
            page = await visit(site.address, context=first.context)
            await page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        add_prepared(site.library, "reference", film(4), "late.mp4")
        site.library.version += 1
        await tile(first, "late.mp4").wait_for(timeout=20_000)

    browse(scenario)
