"""Triangle meshes as arrays: normals, smoothing, and simple shapes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from edit_your_motion.stage.stick_figure import cross


def vertex_normals(vertices: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"]) -> Float[np.ndarray, "v 3"]:
    """Outward normals, each the area-weighted mean of its triangles'."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    faces = cross(b - a, c - a)
    normals = sum_by_target(triangles.ravel(), np.repeat(faces, 3, axis=0), len(vertices))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def sum_by_target(
    targets: Int[np.ndarray, "n"], values: Float[np.ndarray, "n 3"], count: int
) -> Float[np.ndarray, "v 3"]:
    """Sums of the values that belong to each of `count` targets."""
    return np.stack([np.bincount(targets, values[:, axis], minlength=count) for axis in range(3)], axis=1)


def smooth(values: Float[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"], rounds: int) -> np.ndarray:
    """Values averaged with their neighbours', so many times over: cloth bridges what skin follows."""
    edges = np.concatenate([triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0], [1, 0], [2, 1], [0, 2])])
    count = np.bincount(edges[:, 0], minlength=len(values))[:, None]
    for _ in range(rounds):
        neighbours = sum_by_target(edges[:, 0], values[edges[:, 1]], len(values)) / np.maximum(count, 1)
        values = np.where(count > 0, 0.5 * values + 0.5 * neighbours, values)
    return values


def grid_triangles(rows: int, columns: int, closed: bool) -> Int[np.ndarray, "t 3"]:
    """Triangles over a grid of vertices in row order, facing outward when columns run counter-clockwise from above and
    rows downward; `closed` joins the last column to the first.
    """
    steps = columns if closed else columns - 1
    row, column = (index.ravel() for index in np.meshgrid(np.arange(rows - 1), np.arange(steps), indexing="ij"))
    a, b = row * columns + column, row * columns + (column + 1) % columns
    c, d = a + columns, b + columns
    return np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)]).astype(np.int32)


def ellipsoid(
    centre: Sequence[float], radii: Sequence[float], rows: int = 7, columns: int = 12
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "t 3"]]:
    """Vertices and triangles of an ellipsoid."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    x = np.sin(polar) * np.sin(around)
    y = np.cos(polar) * np.ones_like(around)
    z = np.sin(polar) * np.cos(around)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3) * np.array(radii) + np.array(centre)
    return points, grid_triangles(rows, columns, closed=True)
