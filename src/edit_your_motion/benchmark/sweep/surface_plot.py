"""A sweep's surface as one SVG picture: a heat map of the grid, and the same numbers as lines with their intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from edit_your_motion.benchmark.paired.summary import Estimate
from edit_your_motion.benchmark.sweep.run import Counts
from edit_your_motion.benchmark.sweep.surface import Surface

WIDTH, HEIGHT = 940, 400
_HEAT = (70.0, 64.0, 380.0, 270.0)
_LINES = (540.0, 64.0, 300.0, 270.0)
_PALE, _DEEP = (236, 243, 250), (13, 60, 108)
_HUES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#56606b", "#882255", "#44aa99")
_INK, _FAINT = "#1d2733", "#6b7785"


def draw_surface(surface: Surface) -> str:
    """The picture as an SVG document.

    Left, a field for each cell with its mean and interval; the best has a thick frame, those that the pairs cannot
    tell from it a dashed one. Right, a line for each number of iterations of stage 1.
    """
    arrow = "↑" if surface.better == "higher" else "↓"
    title = f"{surface.metric} {arrow}, mean over {len(surface.pairs)} pairs"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(_HEAT[0], 30.0, title, size=16, anchor="start", weight=600),
        *_draw_heat_map(surface),
        *_draw_lines(surface),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _draw_heat_map(surface: Surface) -> Iterator[str]:
    left, top, width, height = _HEAT
    rows, columns = surface.grid.motion, surface.grid.appearance
    cell_width, cell_height = width / len(columns), height / len(rows)
    means = [estimate.value for estimate in surface.cells.values()]
    scale = _Scale(min(means), max(means), 0.0, 1.0)
    frames = []
    for row, first in enumerate(rows):
        y = top + row * cell_height
        yield _text(left - 10, y + cell_height / 2 + 4, str(first), anchor="end")
        for column, second in enumerate(columns):
            x = left + column * cell_width
            estimate = surface.cells.get((first, second))
            yield _field(x, y, cell_width, cell_height, estimate, scale, surface.better == "higher")
            if (frame := _frame_of(surface, (first, second))) is not None:
                frames.append(
                    f'<rect x="{x + 2:.1f}" y="{y + 2:.1f}" width="{cell_width - 4:.1f}" '
                    f'height="{cell_height - 4:.1f}" fill="none" stroke="#d55e00" {frame}/>'
                )
    yield from frames  # above their neighbours' fields
    for column, second in enumerate(columns):
        yield _text(left + (column + 0.5) * cell_width, top + height + 18, str(second))
    yield _text(left + width / 2, top + height + 38, "iterations of stage 2", colour=_FAINT)
    yield _text(left - 46, top + height / 2, "iterations of stage 1", colour=_FAINT, turned=True)


def _field(
    x: float, y: float, width: float, height: float, estimate: Estimate | None, scale: "_Scale", higher: bool
) -> str:
    """One cell of the heat map: the better, the deeper its blue."""
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" stroke="#ffffff"'
    if estimate is None:
        return f'{box} fill="#f0f0f0"/>{_text(x + width / 2, y + height / 2 + 4, "—", colour=_FAINT)}'
    depth = scale(estimate.value) if higher else 1 - scale(estimate.value)
    red, green, blue = (round(pale + depth * (deep - pale)) for pale, deep in zip(_PALE, _DEEP, strict=True))
    colour = "#ffffff" if depth > 0.6 else _INK
    value = _text(x + width / 2, y + height / 2, number(estimate.value), size=14, weight=600, colour=colour)
    field = f'{box} fill="rgb({red},{green},{blue})"/>{value}'
    if (interval := estimate.interval) is not None:
        between = f"[{number(interval.low)}, {number(interval.high)}]"
        field += _text(x + width / 2, y + height / 2 + 16, between, size=10, colour=colour)
    return field


def _frame_of(surface: Surface, cell: Counts) -> str | None:
    if cell == surface.best:
        return 'stroke-width="4"'
    return 'stroke-width="2" stroke-dasharray="5 4"' if cell in surface.as_good else None


def _draw_lines(surface: Surface) -> Iterator[str]:
    left, top, width, height = _LINES
    columns = surface.grid.appearance
    ends = [end for estimate in surface.cells.values() for end in _ends(estimate)]
    y_of = _Scale(min(ends), max(ends), top + height - 8, top + 8)
    x_of = _Scale(columns[0], columns[-1], left + 16, left + width - 16)
    yield f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="{_FAINT}"/>'
    for value in _ticks(min(ends), max(ends)):
        y = y_of(value)
        yield f'<path d="M{left} {y:.1f}H{left + width}" stroke="#e4e8ec"/>'
        yield _text(left - 8, y + 4, number(value), anchor="end", size=11)
    for second in columns:
        yield _text(x_of(second), top + height + 18, str(second))
    yield _text(left + width / 2, top + height + 38, "iterations of stage 2", colour=_FAINT)
    yield _text(left + width + 12, top + 2, "stage 1", anchor="start", colour=_FAINT, size=11)
    for row, first in enumerate(surface.grid.motion):
        colour = _HUES[row % len(_HUES)]
        shift = 4.0 * (row - (len(surface.grid.motion) - 1) / 2)  # or the bars of the lines would hide one another
        points = [(x_of(second) + shift, surface.cells[first, second]) for second in columns
                  if (first, second) in surface.cells]  # fmt: skip
        yield from _line(points, y_of, colour)
        y = top + 20 + 18 * row
        yield f'<path d="M{left + width + 12} {y - 4}h18" stroke="{colour}" stroke-width="2.5"/>'
        yield _text(left + width + 36, y, str(first), anchor="start")


def _line(points: Sequence[tuple[float, Estimate]], y_of: "_Scale", colour: str) -> Iterator[str]:
    path = " ".join(f"{x:.1f},{y_of(estimate.value):.1f}" for x, estimate in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    for x, estimate in points:
        low, high = (y_of(end) for end in _ends(estimate))
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="1.2" stroke-opacity="0.6"/>'
        yield f'<circle cx="{x:.1f}" cy="{y_of(estimate.value):.1f}" r="3.5" fill="{colour}"/>'


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, two to six of them; `low` alone where both are the same."""
    if low == high:
        return [low]
    power = 10.0 ** floor(log10((high - low) / 5))
    step = power * next(factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 5)
    return [step * count for count in range(ceil(low / step), floor(high / step) + 1)]


def _ends(estimate: Estimate) -> tuple[float, float]:
    interval = estimate.interval
    return (estimate.value, estimate.value) if interval is None else (interval.low, interval.high)


@dataclass(frozen=True)
class _Scale:
    """A linear map of `low` to `high` onto `start` to `end`; onto the middle where both are the same."""

    low: float | int
    high: float | int
    start: float
    end: float

    def __call__(self, value: float | int) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)


def number(value: float) -> str:
    """The value with as many digits as a plot can carry."""
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "middle",
    weight: int = 400,
    colour: str = _INK,
    turned: bool = False,
) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{colour}"{turn}>{escape(text)}</text>'
    )
