"""Things that stand around: boxes, columns and balls with a material each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from edit_your_motion.stage.surface import ellipsoid, grid_triangles, vertex_normals


@dataclass(frozen=True)
class Solid:
    """A thing of one material.

    Args:
        shape: "box" (sizes are width, height, depth), "column" (radius below, height, radius above) or "ball" (three
            radii).
        centre: of a box or ball; of a column's foot. Metres.
        sizes: see `shape`.
        material: its row in the place's table.
    """

    shape: str
    centre: tuple[float, float, float]
    sizes: tuple[float, float, float]
    material: int


@dataclass(frozen=True)
class Surface:
    """Triangles ready for the rasteriser."""

    vertices: Float32[np.ndarray, "v 3"]
    normals: Float32[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    material: Int32[np.ndarray, "t"]


def tessellate(solids: tuple[Solid, ...]) -> Surface:
    """The triangles of all solids, drawn from outside only."""
    vertices, normals = [np.zeros((0, 3))], [np.zeros((0, 3))]
    triangles, materials = [np.zeros((0, 3), int)], [np.zeros(0, int)]
    size = 0
    for solid in solids:
        points, outward, faces = _SHAPES[solid.shape](np.array(solid.centre), np.array(solid.sizes))
        vertices.append(points)
        normals.append(outward)
        triangles.append(faces + size)
        materials.append(np.full(len(faces), solid.material))
        size += len(points)
    return Surface(
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(normals).astype(np.float32),
        np.concatenate(triangles).astype(np.int32),
        np.concatenate(materials).astype(np.int32),
    )


def _box(centre: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points: list[np.ndarray] = []
    outward: list[np.ndarray] = []
    faces: list[list[int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            across = np.roll(normal, 1)
            along = np.cross(normal, across)
            corners = [normal + a * across + b * along for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            base = len(points) * 4
            points.append(np.array(corners) * sizes / 2 + centre)
            outward.append(np.tile(normal, (4, 1)))
            faces += [[base, base + 1, base + 2], [base, base + 2, base + 3]]
    return np.concatenate(points), np.concatenate(outward), np.array(faces)


def _column(centre: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    below, height, above = sizes
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    rings = [
        np.stack([radius * np.sin(around), np.full(16, level), radius * np.cos(around)], axis=1)
        for level, radius in ((height, 0.0), (height, above), (height, above), (0.0, below))
    ]
    points = np.concatenate(rings) + centre
    faces = np.concatenate([grid_triangles(2, 16, closed=True), grid_triangles(2, 16, closed=True) + 32])
    return points, vertex_normals(points, faces), faces


def _ball(centre: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points, faces = ellipsoid(centre.tolist(), sizes.tolist(), rows=10, columns=18)
    return points, (points - centre) / sizes**2 / np.linalg.norm((points - centre) / sizes**2, axis=1)[:, None], faces


_SHAPES = {"box": _box, "column": _column, "ball": _ball}
