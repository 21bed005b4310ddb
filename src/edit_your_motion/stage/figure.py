"""A dressed person, ready to be posed: all surfaces in one table of vertices and one of triangles."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from edit_your_motion.people.colour_words import COLOURS, HAIR_COLOURS
from edit_your_motion.stage.body import BONE, LANDMARKS, Body, load_cast
from edit_your_motion.stage.colours import FACE, PLAIN, PORTRAIT, TWO_TONE, material
from edit_your_motion.stage.garments import (
    Regions,
    find_regions,
    leg_cover,
    make_legs,
    make_shoes,
    make_skirt,
    make_top,
    shoe_cover,
    top_cover,
)
from edit_your_motion.stage.hair import make_hair, make_hat
from edit_your_motion.stage.identity import Identity
from edit_your_motion.stage.mesh import Part, cut, skin_part

SKIN, TOP, BOTTOM, SHOES, HAIR, HAT, INNER = range(7)
"""Rows of a figure's table of materials."""

BODY_PARTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"hair": (HAIR,), "skin": (SKIN,), "top": (TOP, INNER), "bottom": (BOTTOM,), "shoes": (SHOES,)}
)
"""What people tell somebody by, and its rows of materials."""

OVERLAP = 0.03
"""How far the skin goes on under a garment's edge, metres; further in it is left out and cannot poke through."""


@dataclass(frozen=True)
class Figure:
    """All surfaces of one person at rest.

    Args:
        body: the person's body.
        coordinates: of the vertices on the template, metres; patterns refer to them.
        vertices: at rest, metres.
        normals: at rest, of length 1.
        bones: the four bones that move each vertex most.
        shares: of those; rows sum to 1.
        leading: the bone with the greatest share.
        triangles: counter-clockwise seen from outside.
        material: of each triangle, a row of `materials`.
        two_sided: triangles drawn from inside too.
        materials: the table of materials.
        face: what the painter of faces needs to know about the template.
    """

    body: Body
    coordinates: Float32[np.ndarray, "v 3"]
    vertices: Float32[np.ndarray, "v 3"]
    normals: Float32[np.ndarray, "v 3"]
    bones: Int32[np.ndarray, "v 4"]
    shares: Float32[np.ndarray, "v 4"]
    leading: Int[np.ndarray, "v"]
    triangles: Int32[np.ndarray, "t 3"]
    material: Int32[np.ndarray, "t"]
    two_sided: Bool[np.ndarray, "t"]
    materials: Float32[np.ndarray, "m 16"]
    face: Float32[np.ndarray, "5"]


@lru_cache(maxsize=256)
def make_figure(identity: Identity) -> Figure:
    """The person, dressed."""
    cast = load_cast()
    template = cast.template
    body = cast.shaped(np.array(identity.shape))
    regions = find_regions(template)
    parts = [_bare_skin(body, template, regions, identity)]
    parts += make_top(body, template, regions, identity.top, TOP, INNER)
    if identity.bottom.flare is None:
        parts.append(make_legs(body, template, regions, identity.bottom, BOTTOM))
    else:
        parts.append(make_skirt(cast, body, identity.bottom, BOTTOM))
    if identity.footwear.height:
        parts.append(make_shoes(body, template, regions, identity.footwear.height, SHOES))
    parts += make_hair(cast, body, identity.hair, HAIR, HAT)
    parts += make_hat(cast, body, identity.hat, HAT)
    return _join(body, parts, _materials(identity))


def _bare_skin(body: Body, template: Body, regions: Regions, identity: Identity) -> Part:
    """The skin that clothes leave free."""
    covered = np.maximum(
        top_cover(template, regions, identity.top), shoe_cover(template, regions, identity.footwear.height)
    )
    bottom = identity.bottom
    if bottom.flare is None:
        covered = np.maximum(covered, leg_cover(template, regions, bottom))
    else:
        hidden = leg_cover(template, regions, replace(bottom, hem=bottom.hem + 0.05))
        covered = np.maximum(covered, hidden)
    return cut(skin_part(body, template, SKIN), OVERLAP - covered)


def _materials(identity: Identity) -> Float32[np.ndarray, "7 16"]:
    hair = HAIR_COLOURS[identity.hair_colour]
    r, g, b = identity.skin
    lips = (0.86 * r, 0.66 * g, 0.66 * b) if identity.male else (0.90 * r, 0.48 * g, 0.52 * b)
    brow = (0.6 * hair[0], 0.6 * hair[1], 0.6 * hair[2])
    face = material(FACE, identity.skin, brow, lips, gloss=identity.beard)
    strands = 0.0
    if (portrait := identity.portrait) is not None:
        wrinkled = (portrait.wrinkles, 1.0, 1.0)
        eyes, glasses = float(portrait.eyes), float(portrait.glasses)
        face = material(PORTRAIT, identity.skin, brow, lips, eyes, identity.beard, wrinkled, glasses)
        strands = 0.4
    inner = identity.top.inner or identity.top.cloth
    shoes = identity.footwear.cloth
    return np.stack(
        [
            face,
            identity.top.cloth.material(),
            identity.bottom.cloth.material(),
            material(TWO_TONE, COLOURS[shoes.accent], shoes.dye, size=0.018, gloss=0.1),
            material(PLAIN, hair, gloss=0.15, grain=(strands, 0.02, 8.0)),
            identity.hat_cloth.material(),
            inner.material(),
        ]
    )


def face_of(template: Body) -> Float32[np.ndarray, "5"]:
    """Where the face is painted on the template: eye x, eye y, mouth y, nose y, and the z of its rear edge."""
    eye, nose = (template.landmarks[LANDMARKS.index(name)] for name in ("left_eye", "nose"))
    mouth = nose[1] - 0.90 * (eye[1] - nose[1])
    return np.array([eye[0], eye[1], mouth, nose[1], template.joints[BONE["head"], 2] + 0.06], dtype=np.float32)


def _join(body: Body, parts: list[Part], materials: np.ndarray) -> Figure:
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    weights = np.concatenate([part.weights for part in parts])
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    shares = np.take_along_axis(weights, bones, axis=1)
    shares /= shares.sum(axis=1, keepdims=True)
    counts = [len(part.triangles) for part in parts]
    return Figure(
        body=body,
        coordinates=np.concatenate([part.coordinates for part in parts]).astype(np.float32),
        vertices=np.concatenate([part.vertices for part in parts]).astype(np.float32),
        normals=np.concatenate([part.normals for part in parts]).astype(np.float32),
        bones=bones.astype(np.int32),
        shares=shares.astype(np.float32),
        leading=bones[:, 0],
        triangles=np.concatenate([p.triangles + o for p, o in zip(parts, offsets, strict=True)]).astype(np.int32),
        material=np.repeat([part.material for part in parts], counts).astype(np.int32),
        two_sided=np.repeat([part.two_sided for part in parts], counts),
        materials=materials,
        face=face_of(load_cast().template),
    )
