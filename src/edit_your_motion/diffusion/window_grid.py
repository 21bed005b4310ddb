"""Where the windows of frames lie over a clip."""

from edit_your_motion.config import WindowsConfig
from edit_your_motion.errors import ConfigError

GOLDEN_RATIO = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, stay as far apart as can be, however many there are."""


def check_windows(windows: WindowsConfig) -> None:
    """Passes windows that leave no frame without a say.

    Raises:
        ConfigError: in the place of those that do.
    """
    if not 2 * windows.context <= windows.overlap < windows.frames:
        raise ConfigError(
            "expected windows (--windows.frames) that are longer than they overlap (--windows.overlap), and overlap by "
            f"at least twice their context (--windows.context), got {windows.frames}, {windows.overlap} and "
            f"{windows.context}; change one of them"
        )


def window_starts(frames: int, windows: WindowsConfig, offset: int = 0) -> list[int]:
    """The first frame of each window, in order: a regular grid, the first and last moved inwards to the clip's ends.

    Args:
        frames: of the clip; more than one window holds.
        windows: their length and overlap.
        offset: how far the grid is moved towards the clip's beginning, 0 to stride - 1 frames.
    """
    last, stride = frames - windows.frames, windows.frames - windows.overlap
    return sorted({min(max(start, 0), last) for start in range(-offset, last + stride, stride)})


def offset_at(t: int, windows: WindowsConfig) -> int:
    """How far the grid of windows is moved at timestep `t`, spread evenly over the stride; always 0 without shift.

    It depends on nothing but the timestep: inversion and sampling have the same windows at the same noise level, and
    a solver may ask in any order, and again.
    """
    return int((windows.frames - windows.overlap) * (GOLDEN_RATIO * t % 1)) if windows.shift else 0
