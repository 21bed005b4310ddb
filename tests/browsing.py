"""A real browser for tests of our pages: people open pages, each in a browser of their own, and nothing may fail."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.async_api", reason="no playwright: pip install playwright")

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("EYM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    pytest.skip(f"no Chromium found ({', '.join(NAMES)}, EYM_CHROMIUM)", allow_module_level=True)

playwright.expect.set_options(timeout=20_000)
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}

Visit = Callable[..., Awaitable[Any]]
Scenario = Callable[[Visit], Awaitable[Any]]
Browse = Callable[..., Any]
"""Runs a scenario; a second argument is what the console may say, as where a request is to be refused."""

NAMELESS = """[...document.querySelectorAll("button, input, select, progress")].filter((e) => e.checkVisibility() &&
    !(e.labels?.length || e.textContent.trim() || e.ariaLabel || e.getAttribute("aria-labelledby"))
).map((e) => e.outerHTML)"""
"""What of a page a screen reader has no name for."""


@contextmanager
def browsing() -> Iterator[Browse]:
    """Runs what people do; an error of a page's script, or in its console, fails the test."""
    loop = asyncio.new_event_loop()
    program = loop.run_until_complete(playwright.async_playwright().start())
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    browser = loop.run_until_complete(program.chromium.launch(executable_path=CHROMIUM, args=options))

    async def run(scenario: Scenario, expected: str) -> Any:
        troubles: list[str] = []

        async def visit(address: str, size: dict[str, int] = DESKTOP, context: Any = None) -> Any:
            page = await (context or await browser.new_context(viewport=size)).new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
            await page.goto(address)
            return page

        try:
            result = await scenario(visit)
        finally:
            await asyncio.gather(*(context.close() for context in browser.contexts))
        assert [each for each in troubles if expected not in each] == []
        return result

    yield lambda scenario, expected="ERR_INTERNET_DISCONNECTED": loop.run_until_complete(run(scenario, expected))
    loop.run_until_complete(browser.close())
    loop.run_until_complete(program.stop())
    loop.close()
