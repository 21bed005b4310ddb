"""What of a page keeps people out: controls without a name, text that is hard to read, pictures without words."""

from pathlib import Path
from typing import Any

AUDIT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


async def barriers(page: Any) -> list[str]:
    """What keeps people out of the page as it is shown now, in words."""
    return list(await page.evaluate(AUDIT))


FOCUS = r"""() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e);
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return { at: e.id || e.getAttribute("aria-label") || e.textContent.trim().slice(0, 60), seen };
}"""


async def tab_to(page: Any, name: str, most: int = 120) -> None:
    """Presses Tab until what has this id, label or text has the focus, which must be seen all the way."""
    passed = []
    for _ in range(most):
        focused = await page.evaluate(FOCUS)
        if focused is not None:
            passed.append(focused["at"])
            assert focused["seen"], f"the focus is not seen on {focused['at']}"
            if focused["at"] == name:
                return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not come to {name}, but to {passed}")
