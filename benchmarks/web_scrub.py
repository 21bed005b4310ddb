"""Measure how many frames a second the web app's editor shows, skeleton and mask over them, in a real browser.

    pip install -e '.[browser]'                       # and a Chromium, see CONTRIBUTING
    python benchmarks/web_scrub.py                    # ten seconds at 25 frames/s, as a clip of 1920x1080 is prepared
    python benchmarks/web_scrub.py --height 1080 --width 1920

Somebody scrubs through the clip in as long as it lasts, and then plays it, which asks for each frame when its time has
come. A frame counts once it is drawn with its overlay. The result is a JSON file: frames shown a second
and the longest time without a new one, of both, the first time (all comes from the server) and the second.
"""

import argparse
import json
import os
import shutil
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

COUNT = """() => {
  window.drawn = [];
  let numbered = 0;
  const canvas = document.getElementById("canvas"), context = canvas.getContext("2d"), draw = context.drawImage;
  context.drawImage = function (picture, ...rest) {
    const name = picture.src ?? (picture.number ??= ++numbered);
    if (!(picture instanceof HTMLCanvasElement)) drawn.push([performance.now(), name]);
    return draw.call(this, picture, ...rest);
  };
}"""
SCRUB = """async ([count, seconds]) => {
  const scrub = document.getElementById("scrub"), begun = performance.now();
  await new Promise((resolve) => {
    const step = () => {
      const share = (performance.now() - begun) / 1000 / seconds;
      scrub.value = Math.min(Math.floor(share * count), count - 1);
      scrub.dispatchEvent(new Event("input"));
      if (share < 1) setTimeout(step, 10); else resolve();
    };
    step();
  });
}"""


def summarise(drawn: list[list[Any]], seconds: float) -> dict[str, float]:
    """Different frames a second, and the longest wait for one, seconds."""
    new = [drawn[0], *(each for before, each in pairwise(drawn) if each[1] != before[1])]
    waits = [(each[0] - before[0]) / 1000 for before, each in pairwise(new)]
    return {"frames a second": round(len(new) / seconds, 1), "longest wait": round(max(waits), 3)}


def watch(address: str, frames: int, fps: int) -> dict[str, Any]:
    """What a browser shows of the only clip at an address."""
    from playwright.sync_api import sync_playwright

    seconds, found = frames / fps, dict[str, Any]()
    chromium = os.environ.get("EYM_CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with sync_playwright() as program:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = program.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(address)
        page.get_by_role("button", name="See and correct").click()
        page.wait_for_selector("#editor:not([hidden])")
        page.wait_for_timeout(1000)
        page.evaluate(COUNT)
        for turn in ("first", "second"):
            for what in ("scrubbed", "played"):
                page.evaluate("drawn.length = 0")
                if what == "scrubbed":
                    page.evaluate(SCRUB, [frames, seconds])
                else:
                    page.locator("#play").click()
                    page.wait_for_timeout(1000 * seconds)
                    page.locator("#play").click()
                found[f"{what}, {turn} time"] = summarise(page.evaluate("drawn"), seconds)
        found["browser"] = browser.version
        browser.close()
    return found


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--width", type=int, default=704)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--output", type=Path, default=Path("web-scrub.json"))
    args = parser.parse_args()
    from synthetic_clip import film
    from web_site import add_prepared, serving_web, tiny_settings

    clip = film(args.frames, args.height, args.width)
    clip = replace(clip, video=replace(clip.video, fps=Fraction(args.fps)))
    with TemporaryDirectory() as place:
        folder = Path(place)
        with serving_web(folder / "library", tiny_settings(folder, folder)) as site:
            add_prepared(site.library, "source", clip)
            found = watch(site.address, args.frames, args.fps)
    settings = {name: getattr(args, name) for name in ("height", "width", "frames", "fps")}
    args.output.write_text(json.dumps({"settings": settings, **found}, indent=2) + "\n")
    print(args.output.read_text())


if __name__ == "__main__":
    main()
