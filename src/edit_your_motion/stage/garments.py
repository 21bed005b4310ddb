"""Clothes: shells of the skin cut by where they are on the body, and skirts that hang from the hips."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from edit_your_motion.stage.body import BONE, Body, Cast
from edit_your_motion.stage.colours import Cloth
from edit_your_motion.stage.mesh import Part, attach, cut, inflate, skin_part
from edit_your_motion.stage.surface import grid_triangles, smooth, vertex_normals

SLEEVES = {"sleeveless": 0.0, "short": 0.75, "elbow-length": 1.05, "three-quarter": 1.45, "long": 1.9}
"""How far sleeves reach, in bones from the shoulder: 1 is the elbow, 2 the wrist."""

ELSEWHERE = 1.0
"""A distance from the edge, metres, for vertices that an edge does not concern."""


@dataclass(frozen=True)
class Top:
    """What covers the chest.

    Args:
        name: as captions say it: "shirt".
        cloth: what it is made of.
        sleeves: a key of `SLEEVES`.
        hem: height of its lower edge on the template, metres.
        open_front: a jacket, worn over a shirt of `inner` cloth.
        inner: see there.
    """

    name: str
    cloth: Cloth
    sleeves: str
    hem: float
    open_front: bool = False
    inner: Cloth | None = None


@dataclass(frozen=True)
class Bottom:
    """What covers the hips: legs when `flare` is None, else a skirt, or with a top of the same cloth a dress.

    Args:
        name: as captions say it: "trousers".
        cloth: what it is made of.
        hem: height of its lower edge on the template, metres.
        flare: widening of a skirt, metres per metre of fall.
    """

    name: str
    cloth: Cloth
    hem: float
    flare: float | None = None


SHOE = 0.005
"""How far above the ankle shoes end, metres."""


@dataclass(frozen=True)
class Footwear:
    """What covers the feet.

    Args:
        name: as captions say it: "shoes".
        cloth: what it is made of; an accent is the sole's colour.
        height: of its upper edge above the ankle, metres; 0 for bare feet.
    """

    name: str
    cloth: Cloth
    height: float = SHOE


@dataclass(frozen=True)
class Regions:
    """Where each vertex of the template is, in the terms that clothes are cut by.

    Args:
        arm: share of the bones of one arm, from the shoulder on.
        reach: along the arm from the shoulder, in bones.
        leg: share of the bones of a leg.
        head: share of head and neck.
        foot: share of foot and toes.
    """

    arm: Float[np.ndarray, "v"]
    reach: Float[np.ndarray, "v"]
    leg: Float[np.ndarray, "v"]
    head: Float[np.ndarray, "v"]
    foot: Float[np.ndarray, "v"]


def _share(part_weights: np.ndarray, *bones: str) -> np.ndarray:
    return part_weights[:, [BONE[f"{side}_{bone}"] for side in ("left", "right") for bone in bones]].sum(axis=1)


def find_regions(template: Body) -> Regions:
    """Regions of the template's vertices."""
    weights, vertices = template.weights, template.vertices
    reach = np.zeros(len(vertices))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints = [template.joints[BONE[f"{side}_{bone}"]] for bone in ("upper_arm", "forearm", "hand")]
        along = np.full(len(vertices), -np.inf)
        for number, (start, end) in enumerate(pairwise(joints)):
            axis = end - start
            share = (vertices - start) @ axis / (axis @ axis)
            along = np.maximum(along, np.where(share > 0, number + (share if number else np.minimum(share, 1)), share))
        reach = np.where(vertices[:, 0] * sign > 0, along, reach)
    return Regions(
        arm=_share(weights, "upper_arm", "forearm", "hand"),
        reach=reach,
        leg=_share(weights, "thigh", "shin", "foot", "toes"),
        head=weights[:, [BONE["head"], BONE["neck"]]].sum(axis=1),
        foot=_share(weights, "foot", "toes"),
    )


def top_cover(template: Body, regions: Regions, top: Top) -> Float[np.ndarray, "v"]:
    """How far inside the top's edge each vertex of the template is, metres; below zero it is bare."""
    _, y, z = template.vertices.T
    on_arm = regions.arm > 0.5
    hem = np.where(on_arm, ELSEWHERE, y - top.hem)
    if top.sleeves == "sleeveless":
        sleeve = (0.45 - regions.arm) * 0.15
    else:
        sleeve = np.where(on_arm, (SLEEVES[top.sleeves] - regions.reach) * 0.27, ELSEWHERE)
    # The neck's edge is a plane that falls toward the front: a measure that is linear in space cuts a clean edge.
    low, slope = (0.035, 0.6) if top.sleeves == "sleeveless" else (0.015, 0.35)
    collar = template.joints[BONE["neck"], 1] - low - slope * z
    neck = np.where(on_arm, ELSEWHERE, collar - y)
    return np.minimum(np.minimum(hem, sleeve), neck)


def leg_cover(template: Body, regions: Regions, bottom: Bottom) -> Float[np.ndarray, "v"]:
    """The same for trousers and shorts, which begin at the waist."""
    y = template.vertices[:, 1]
    waist = template.joints[BONE["pelvis"], 1] + 0.06
    return np.where(regions.arm > 0.3, -ELSEWHERE, np.minimum(y - bottom.hem, waist - y))


def shoe_cover(template: Body, regions: Regions, height: float) -> Float[np.ndarray, "v"]:
    """The same for shoes and boots, which end so many metres above the ankle."""
    on = regions.foot > 0.02 if height <= SHOE else regions.leg > 0.5
    edge = template.joints[BONE["left_foot"], 1] + height
    return np.where(on & (height > 0), edge - template.vertices[:, 1], -1.0)


def make_shell(
    body: Body, template: Body, cover: Float[np.ndarray, "v"], thickness: Float[np.ndarray, "v"], material: int
) -> Part:
    """A garment: the skin where `cover` is above zero, moved outward and smoothed across its folds."""
    part = inflate(skin_part(body, template, material), thickness)
    near = part.triangles[cover[part.triangles].max(axis=1) > -0.05]
    # Only along the normals: a move along the skin would bend the pattern and the hem.
    moved = ((smooth(part.vertices, near, rounds=2) - part.vertices) * part.normals).sum(axis=1, keepdims=True)
    vertices = part.vertices + np.maximum(moved, -0.5 * thickness[:, None]) * part.normals
    return cut(replace(part, vertices=vertices, normals=vertex_normals(vertices, part.triangles)), cover)


def make_top(body: Body, template: Body, regions: Regions, top: Top, material: int, inner: int) -> list[Part]:
    """A shirt, or a jacket with the shirt under it."""
    cover = top_cover(template, regions, top)
    loose = 0.012 + 0.012 * np.clip((1.35 - template.vertices[:, 1]) / 0.4, 0, 1) * (regions.arm < 0.5)
    if not top.open_front:
        return [make_shell(body, template, cover, loose, material)]
    shirt = make_shell(body, template, cover, loose, inner)
    x, y, z = template.vertices.T
    gap = 0.035 + 0.05 * np.clip((y - 1.2) / 0.3, 0, 1)
    halves = []
    for sign in (1.0, -1.0):
        # Each half by itself: |x| is not linear over a triangle that both halves share.
        edge = np.where((z > 0) & (regions.arm < 0.5), sign * x - gap, sign * x)
        halves.append(make_shell(body, template, np.minimum(cover, edge), loose + 0.012, material))
    return [shirt, *halves]


def make_legs(body: Body, template: Body, regions: Regions, bottom: Bottom, material: int) -> Part:
    """Trousers or shorts."""
    y = template.vertices[:, 1]
    loose = 0.008 + 0.014 * np.clip((0.95 - y) / 0.5, 0, 1)
    return make_shell(body, template, leg_cover(template, regions, bottom), loose, material)


def make_shoes(body: Body, template: Body, regions: Regions, height: float, material: int) -> Part:
    """A pair of shoes or boots."""
    thick = np.full(len(template.vertices), 0.009)
    return make_shell(body, template, shoe_cover(template, regions, height), thick, material)


def make_skirt(cast: Cast, body: Body, bottom: Bottom, material: int) -> Part:
    """A skirt around pelvis and thighs; its left side swings with the left thigh, its right with the right one."""
    assert bottom.flare is not None
    template = cast.template
    pelvis, knee = template.joints[BONE["pelvis"], 1], template.joints[BONE["left_shin"], 1]
    waist = pelvis + 0.10
    rows, columns = 10, 28
    heights = np.linspace(waist, bottom.hem, rows)
    outline = np.array([_half_widths(template, max(height, pelvis - 0.09)) for height in heights])
    # Never narrower than higher up: cloth hangs.
    outline[:, :2] = np.maximum.accumulate(outline[:, :2], axis=0)
    fall = np.maximum(0, pelvis + 0.02 - heights)[:, None]
    across = outline[:, :1] + 0.018 + bottom.flare * fall
    deep = outline[:, 1:2] + 0.022 + 0.8 * bottom.flare * fall
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    fold = 1 + 0.05 * np.sin(around * 7) * np.clip(fall / 0.4, 0, 1) * min(1.0, 3 * bottom.flare)
    x = across * np.sin(around) * fold
    z = outline[:, 2:3] + deep * np.cos(around) * fold
    y = np.broadcast_to(heights[:, None], x.shape)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)

    left = 0.5 + 0.5 * np.clip(1.6 * np.sin(around), -1, 1) * np.ones_like(fall)
    swing = 0.85 * np.clip((pelvis - heights) / 0.30, 0, 1)[:, None] * np.ones_like(around)
    calf = 0.35 * np.clip((knee - 0.02 - heights) / 0.3, 0, 1)[:, None] * np.ones_like(around)
    weights = np.zeros((rows * columns, len(BONE)))
    weights[:, BONE["pelvis"]] = (1 - swing).ravel()
    for side, share in (("left", left), ("right", 1 - left)):
        weights[:, BONE[f"{side}_thigh"]] = (swing * share * (1 - calf)).ravel()
        weights[:, BONE[f"{side}_shin"]] = (swing * share * calf).ravel()
    return attach(cast, body, points, grid_triangles(rows, columns, closed=True), weights, material, two_sided=True)


def _half_widths(template: Body, height: float) -> tuple[float, float, float]:
    """Half the trunk's width and depth at a height, and the middle of its depth."""
    arm = _share(template.weights, "upper_arm", "forearm", "hand")
    slab = template.vertices[(np.abs(template.vertices[:, 1] - height) < 0.04) & (arm < 0.2)]
    front, back = slab[:, 2].max(), slab[:, 2].min()
    return float(np.abs(slab[:, 0]).max()), float(front - back) / 2, float(front + back) / 2
