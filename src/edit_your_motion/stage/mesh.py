"""Pieces of surface that hang on the body's bones: shells of its skin, and shapes of their own."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from edit_your_motion.stage.body import BONES, Body, Cast
from edit_your_motion.stage.surface import vertex_normals


@dataclass(frozen=True)
class Part:
    """One surface of one material at rest.

    Args:
        coordinates: of the vertices on the template body, metres; patterns and cuts refer to them on everyone alike.
        vertices: of this person, metres.
        normals: outward, of length 1.
        weights: share of each bone in each vertex; rows sum to 1.
        triangles: counter-clockwise seen from outside.
        material: its row in the table of materials.
        two_sided: drawn from inside too.
    """

    coordinates: Float[np.ndarray, "v 3"]
    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    weights: Float[np.ndarray, "v 22"]
    triangles: Int[np.ndarray, "t 3"]
    material: int
    two_sided: bool = False


def skin_part(body: Body, template: Body, material: int) -> Part:
    """The whole skin of a body."""
    return Part(template.vertices, body.vertices, body.normals, body.weights, body.triangles, material)


def inflate(part: Part, thickness: Float[np.ndarray, "v"]) -> Part:
    """The part moved outward along its normals by so many metres."""
    return replace(part, vertices=part.vertices + part.normals * thickness[:, None])


def cut(part: Part, keep: Float[np.ndarray, "v"]) -> Part:
    """What remains of the part where `keep`, linear over each triangle, is above zero; triangles across are cut."""
    inside = keep > 0
    corners = inside[part.triangles]
    count = corners.sum(axis=1)
    attributes = np.concatenate([part.coordinates, part.vertices, part.normals, part.weights], axis=1)
    triangles = [part.triangles[count == 3]]
    pool, size = [attributes], len(attributes)

    def crossing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Numbers of new vertices where `keep` is zero between two others."""
        nonlocal size
        share = (keep[start] / (keep[start] - keep[end]))[:, None]
        pool.append(attributes[start] + share * (attributes[end] - attributes[start]))
        numbers = np.arange(size, size + len(start))
        size += len(start)
        return numbers

    for wanted, lone in ((1, True), (2, False)):
        chosen = part.triangles[count == wanted]
        if not len(chosen):
            continue
        # Turn each triangle until its odd corner comes first.
        odd = np.argmax(corners[count == wanted] == lone, axis=1)
        a, b, c = (chosen[np.arange(len(chosen)), (odd + turn) % 3] for turn in range(3))
        ab, ac = crossing(a, b), crossing(a, c)
        if lone:
            triangles.append(np.stack([a, ab, ac], axis=1))
        else:
            triangles += [np.stack([ab, b, c], axis=1), np.stack([ab, c, ac], axis=1)]
    return _compact(replace(part, triangles=np.concatenate(triangles)), np.concatenate(pool))


def _compact(part: Part, attributes: np.ndarray) -> Part:
    used, renumbered = np.unique(part.triangles, return_inverse=True)
    coordinates, vertices, normals, weights = np.split(attributes[used], [3, 6, 9], axis=1)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    triangles = renumbered.reshape(-1, 3).astype(np.int32)
    return replace(
        part, coordinates=coordinates, vertices=vertices, normals=normals, weights=weights, triangles=triangles
    )


def attach(
    cast: Cast,
    body: Body,
    points: Float[np.ndarray, "v 3"],
    triangles: Int[np.ndarray, "t 3"],
    weights: Float[np.ndarray, "v 22"],
    material: int,
    two_sided: bool = False,
) -> Part:
    """A shape designed around the template, moved to where the same places are on this body."""
    template = cast.template.vertices
    distance = (template**2).sum(axis=1) - 2 * points @ template.T
    nearest = np.argpartition(distance, 12, axis=1)[:, :12]
    moved = points + (body.vertices - template)[nearest].mean(axis=1)
    return Part(points, moved, vertex_normals(moved, triangles), weights, triangles, material, two_sided)


def bound_to(count: int, bone: str) -> Float[np.ndarray, "v 22"]:
    """Weights of vertices that move with one bone."""
    weights = np.zeros((count, len(BONES)))
    weights[:, BONES.index(bone)] = 1.0
    return weights
