"""Hair and hats: shells of the scalp, curtains that fall from it, knots."""

import numpy as np
from jaxtyping import Float

from edit_your_motion.stage.body import BONE, LANDMARKS, Body, Cast
from edit_your_motion.stage.garments import make_shell
from edit_your_motion.stage.mesh import Part, attach, bound_to
from edit_your_motion.stage.surface import ellipsoid, grid_triangles

STYLES = (
    "bald",
    "short",
    "crop",
    "curls",
    "bob",
    "long",
    "bun",
    "ponytail",
    "cap",
    "beanie",
    "afro",
    "waist",
    "pigtails",
)
"""What heads can wear."""

HATS = ("none", "cap", "beanie", "straw hat", "headscarf")
"""What goes over short, cropped, chin-length or long hair, or none."""

_LINES = {
    # Height of the hairline above the eyes for z from the back of the head to the forehead, metres.
    "short": (-0.085, -0.045, 0.020, 0.030, 0.020, 0.058),
    "low": (-0.10, -0.09, 0.00, 0.010, 0.015, 0.060),
    "cap": (0.000, 0.015, 0.030, 0.035, 0.040, 0.048),
}
_LINE_Z = (-0.06, -0.01, 0.015, 0.055, 0.09, 0.12)


def _eye_height(template: Body) -> float:
    return float(template.landmarks[LANDMARKS.index("left_eye"), 1])


def _scalp(template: Body, line: str) -> Float[np.ndarray, "v"]:
    """How far inside the hairline each vertex of the template is, metres."""
    _, y, z = template.vertices.T
    edge = _eye_height(template) + np.interp(z, _LINE_Z, _LINES[line])
    return np.where(template.weights[:, BONE["head"]] > 0.6, y - edge, -1.0)


def _cap_of_hair(body: Body, template: Body, line: str, thickness: float, lift: float, material: int) -> Part:
    """A shell over the scalp, thin at the hairline, `lift` thicker on top."""
    cover = _scalp(template, line)
    up = np.clip((template.vertices[:, 1] - _eye_height(template)) / 0.1, 0, 1)
    full = (thickness + lift * up) * np.clip(0.25 + cover / 0.03, 0.25, 1)
    return make_shell(body, template, cover, full, material)


def _curtain(cast: Cast, body: Body, end: float, material: int) -> Part:
    """Hair that falls from the crown over the ears and the back, down to a height on the template."""
    template = cast.template
    # It begins inside the cap of hair, so that no edge shows.
    start = _eye_height(template) + 0.085
    rows, columns = 10, 19
    heights = np.linspace(start, end, rows)[:, None]
    around = np.linspace(-1, 1, columns)[None] * np.deg2rad(112)
    fall = start - heights
    across = np.interp(fall, [0, 0.04, 0.10, 0.20, 0.33, 0.48], [0.055, 0.088, 0.101, 0.106, 0.115, 0.125])
    deep = np.interp(fall, [0, 0.04, 0.10, 0.20, 0.33, 0.48], [0.070, 0.100, 0.113, 0.112, 0.125, 0.130])
    x = across * np.sin(around)
    z = 0.028 - deep * np.cos(around)
    # In front of the shoulders it would cut through them, so the sides move back as they fall.
    z = z - 0.02 * np.clip((fall - 0.15) / 0.1, 0, 1)
    points = np.stack([x, heights * np.ones_like(x), z], axis=-1).reshape(-1, 3)
    weights = bound_to(len(points), "head")
    neck = template.joints[BONE["neck"], 1]
    chest = 0.75 * np.clip((neck + 0.03 - points[:, 1]) / 0.12, 0, 1)
    weights[:, BONE["head"]] = 1 - chest
    weights[:, BONE["chest"]] = chest
    # Columns run clockwise from above here, so the triangles are turned over.
    triangles = grid_triangles(rows, columns, closed=False)[:, ::-1].copy()
    return attach(cast, body, points, triangles, weights, material, two_sided=True)


def _knot(
    cast: Cast, body: Body, centre: tuple[float, float, float], radii: tuple[float, float, float], material: int
) -> Part:
    """A ball of hair, or a brim, at a place relative to the eyes' height."""
    middle = (centre[0], centre[1] + _eye_height(cast.template), centre[2])
    points, triangles = ellipsoid(middle, radii)
    return attach(cast, body, points, triangles, bound_to(len(points), "head"), material)


def make_hair(cast: Cast, body: Body, style: str, material: int, hat: int) -> list[Part]:
    """The parts of a hair style or hat.

    Args:
        style: one of `STYLES`.
        material: of the hair.
        hat: material of a hat.
    """
    template = cast.template
    neck = template.joints[BONE["neck"], 1]
    match style:
        case "bald":
            return []
        case "crop":
            return [_cap_of_hair(body, template, "short", 0.006, 0.004, material)]
        case "short":
            return [_cap_of_hair(body, template, "short", 0.012, 0.016, material)]
        case "curls":
            return [_cap_of_hair(body, template, "short", 0.030, 0.030, material)]
        case "afro":
            return [_cap_of_hair(body, template, "short", 0.055, 0.050, material)]
        case "bob" | "long" | "waist":
            end = neck - {"bob": 0.005, "long": 0.20, "waist": 0.40}[style]
            return [_cap_of_hair(body, template, "low", 0.014, 0.010, material), _curtain(cast, body, end, material)]
        case "bun":
            knot = _knot(cast, body, (0.0, 0.085, -0.055), (0.045, 0.045, 0.045), material)
            return [_cap_of_hair(body, template, "short", 0.010, 0.006, material), knot]
        case "ponytail":
            knot = _knot(cast, body, (0.0, 0.045, -0.095), (0.035, 0.035, 0.040), material)
            tail = _knot(cast, body, (0.0, -0.050, -0.115), (0.032, 0.105, 0.030), material)
            return [_cap_of_hair(body, template, "short", 0.010, 0.006, material), knot, tail]
        case "pigtails":
            tails = [_knot(cast, body, (x, -0.060, 0.0), (0.028, 0.090, 0.028), material) for x in (-0.112, 0.112)]
            return [_cap_of_hair(body, template, "short", 0.010, 0.006, material), *tails]
        case "cap":
            brim = _knot(cast, body, (0.0, 0.046, 0.150), (0.068, 0.008, 0.075), hat)
            under = _cap_of_hair(body, template, "short", 0.006, 0.0, material)
            return [under, _cap_of_hair(body, template, "cap", 0.016, 0.012, hat), brim]
        case "beanie":
            under = _cap_of_hair(body, template, "short", 0.008, 0.0, material)
            return [under, _cap_of_hair(body, template, "cap", 0.018, 0.020, hat)]
    raise AssertionError(style)


def make_hat(cast: Cast, body: Body, hat: str, material: int) -> list[Part]:
    """The parts of a hat.

    Args:
        hat: one of `HATS`.
        material: of it.
    """
    template = cast.template
    match hat:
        case "none":
            return []
        case "cap":
            brim = _knot(cast, body, (0.0, 0.046, 0.155), (0.070, 0.008, 0.078), material)
            return [_cap_of_hair(body, template, "cap", 0.021, 0.014, material), brim]
        case "beanie":
            return [_cap_of_hair(body, template, "cap", 0.023, 0.024, material)]
        case "straw hat":
            brim = _knot(cast, body, (0.0, 0.058, 0.030), (0.185, 0.010, 0.195), material)
            return [_cap_of_hair(body, template, "cap", 0.023, 0.034, material), brim]
        case "headscarf":
            end = template.joints[BONE["neck"], 1] - 0.09
            return [_cap_of_hair(body, template, "low", 0.022, 0.014, material), _curtain(cast, body, end, material)]
    raise AssertionError(hat)
