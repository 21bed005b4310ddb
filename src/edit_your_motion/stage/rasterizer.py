"""A software rasteriser: triangles and rays to pixels, with perspective, a depth buffer and procedural surfaces.

Everything here is compiled by numba. Pictures are drawn at `SAMPLES` x `SAMPLES` points per pixel; depth is kept as its
inverse, 1 / metres along the camera's axis, so that an empty sample is 0 and nearer is greater.
"""

import math
from typing import no_type_check

import numpy as np

from edit_your_motion.errors import MissingExtraError
from edit_your_motion.stage.colours import (
    BANDS,
    BLOTCHES,
    BRICKS,
    CHECKS,
    DOTS,
    EYE_COLOURS,
    FACE,
    PINSTRIPES,
    PLAIN,
    PLANKS,
    PORTRAIT,
    TILES,
    TWO_TONE,
    WINDOWS,
)

try:
    from numba import njit
except ImportError as error:
    raise MissingExtraError("numba", "stage", "rendering synthetic people") from error

SAMPLES = 2
"""Points per pixel along each side."""

FARTHEST = 1 / 60
"""Inverse depth of the farthest plane that is still seen, 1 / metres."""

SAME_SURFACE = 0.01
"""Samples of one material whose depths differ by less than this share are of one surface."""

PAINTED = -2
"""In place of a surface's number: done with."""

_EYES = np.array(EYE_COLOURS)


# The import hook of the tests would wrap the functions before numba sees them; no_type_check keeps it away.


@no_type_check
@njit(cache=True, inline="always")
def _ramp(x):
    """0 below 0, 1 above 1, smooth between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@no_type_check
@njit(cache=True, inline="always")
def _wave(u):
    """A soft square wave of period 1: 0 and 1 for half a period each."""
    return _ramp((abs(u - math.floor(u) - 0.5) - 0.25) * 8.0 + 0.5)


@no_type_check
@njit(cache=True, inline="always")
def _lines(u, share):
    """1 near the whole numbers, over this share of the period, else 0."""
    t = abs(u - math.floor(u + 0.5))
    return 1.0 - _ramp((t / share - 0.4) * 4.0)


@no_type_check
@njit(cache=True, inline="always")
def _blob(x, y, width, height, softness):
    """1 inside an ellipse, 0 outside."""
    return 1.0 - _ramp((math.sqrt((x / width) ** 2 + (y / height) ** 2) - 1.0) / softness + 0.5)


@no_type_check
@njit(cache=True, inline="always")
def _chance(i, j, k):
    """A number in [0, 1) that belongs to a point of the lattice."""
    h = (i * 73856093) ^ (j * 19349663) ^ (k * 83492791)
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65536.0


@no_type_check
@njit(cache=True)
def _clouds(x, y, z):
    """Smooth noise of three sizes, the largest 1, mostly within [-1, 1]."""
    total = 0.0
    weight = 1.0
    for _ in range(3):
        i, j, k = math.floor(x), math.floor(y), math.floor(z)
        u, v, w = _ramp(x - i), _ramp(y - j), _ramp(z - k)
        value = 0.0
        for a in range(2):
            for b in range(2):
                for c in range(2):
                    share = (u if a else 1.0 - u) * (v if b else 1.0 - v) * (w if c else 1.0 - w)
                    value += share * _chance(i + a, j + b, k + c)
        total += weight * (2.0 * value - 1.0)
        weight *= 0.6
        x, y, z = 2.03 * x + 7.1, 2.03 * y + 3.7, 2.03 * z + 5.3
    return total


@no_type_check
@njit(cache=True, inline="always")
def _mix(out, share, r, g, b):
    """Moves a colour towards another by a share."""
    out[0] += share * (r - out[0])
    out[1] += share * (g - out[1])
    out[2] += share * (b - out[2])


@no_type_check
@njit(cache=True)
def _paint_portrait(m, k, face, x, y, z, out):
    """A face whose features still show where a head is 30 pixels high: larger and with more contrast than life.

    `face` is that of `_paint_face`.
    """
    out[0], out[1], out[2] = m[k, 1], m[k, 2], m[k, 3]
    ax = abs(x)
    ex, ey, mouth, nose = face[0], face[1], face[2], face[3]
    if z > face[4] and y > mouth - 0.07:
        dark = (0.45 * m[k, 1], 0.36 * m[k, 2], 0.34 * m[k, 3])
        old = m[k, 12]
        _mix(out, 0.22 * _blob(ax - ex - 0.008, y - nose, 0.018, 0.015, 1.0), 0.85, 0.75 * m[k, 2], 0.75 * m[k, 3])
        # Hollows: sockets, the sides of the nose, below it and below the lips.
        shadow = 0.30 * _blob(ax - ex, y - ey - 0.002, 0.026, 0.017, 0.9)
        shadow = max(shadow, 0.26 * _blob(ax - 0.013, y - 0.5 * (ey + nose), 0.005, 0.5 * (ey - nose), 0.9))
        shadow = max(shadow, 0.50 * _blob(x, y - nose + 0.013, 0.015, 0.0045, 0.8))
        shadow = max(shadow, 0.30 * _blob(x, y - mouth + 0.019, 0.018, 0.005, 0.9))
        if old > 0.0:
            fold = _blob(ax - 0.028 - 0.35 * (nose - y), y - 0.5 * (nose + mouth), 0.0035, 0.018, 0.8)
            lines = _lines((y - ey - 0.03) / 0.014, 0.22) * _blob(x, y - ey - 0.05, 0.034, 0.022, 0.4)
            shadow = max(shadow, old * max(0.55 * fold, 0.35 * lines))
            shadow = max(shadow, old * 0.4 * _blob(ax - ex, y - ey + 0.016, 0.017, 0.004, 0.8))
        _mix(out, shadow, dark[0], dark[1], dark[2])
        _mix(out, 0.25 * _blob(x, y - nose - 0.012, 0.0055, 0.024, 0.9), 1.0, 0.95, 0.88)
        if m[k, 11] > 0.0:
            jaw = _ramp((nose - 0.012 - y) / 0.012) * _ramp((ax - 0.06) / 0.01 + (mouth - y) / 0.02 + 1.2)
            _mix(out, m[k, 11] * jaw, m[k, 4], m[k, 5], m[k, 6])
        brow = _blob(ax - ex, y - ey - 0.023 + 3.0 * (ax - ex) ** 2, 0.023, 0.0058, 0.5)
        _mix(out, 0.92 * brow, m[k, 4], m[k, 5], m[k, 6])
        _mix(out, _blob(ax - ex, y - ey - 0.001, 0.0215, 0.0130, 0.3), 0.12, 0.08, 0.07)
        white = _blob(ax - ex, y - ey + 0.001, 0.0180, 0.0095, 0.3)
        _mix(out, white, 0.96, 0.96, 0.95)
        eye = int(m[k, 10])
        _mix(out, white * _blob(ax - ex, y - ey, 0.0090, 0.0100, 0.3), _EYES[eye, 0], _EYES[eye, 1], _EYES[eye, 2])
        _mix(out, white * _blob(ax - ex, y - ey, 0.0042, 0.0045, 0.4), 0.03, 0.03, 0.03)
        curve = y - mouth - 1.5 * x * x
        _mix(out, _blob(x, curve, 0.0270, 0.0100, 0.3), m[k, 7], m[k, 8], m[k, 9])
        _mix(out, 0.75 * _blob(x, curve, 0.0240, 0.0022, 0.6), 0.30 * m[k, 7], 0.22 * m[k, 8], 0.22 * m[k, 9])
        _mix(out, 0.6 * _blob(ax - 0.0085, y - nose + 0.011, 0.0055, 0.0040, 0.7), dark[0], dark[1], dark[2])
    if m[k, 15] > 0.0 and z > face[4] - 0.10:
        lens = _blob(ax - ex - 0.001, y - ey + 0.002, 0.0270, 0.0220, 0.12)
        rim = lens - _blob(ax - ex - 0.001, y - ey + 0.002, 0.0225, 0.0175, 0.14)
        bar = _ramp((0.0035 - abs(y - ey - 0.006)) / 0.002) * (ax > ex + 0.024 or ax < ex - 0.022)
        if z <= face[4]:
            lens, rim = 0.0, 0.0
        if m[k, 15] > 1.5:
            _mix(out, 0.93 * lens, 0.06, 0.06, 0.08)
        else:
            _mix(out, 0.12 * lens, 0.85, 0.92, 1.0)
        _mix(out, max(rim, bar), 0.07, 0.06, 0.06)


@no_type_check
@njit(cache=True)
def _paint_face(m, k, face, x, y, z, out):
    """Eyes, brows, mouth, cheeks and beard over skin, in the coordinates of the template's head.

    `face` holds the template's: eye x, eye y, mouth y, nose y, z behind which nothing is painted.
    """
    r, g, b = m[k, 1], m[k, 2], m[k, 3]
    if z > face[4] and y > face[2] - 0.06:
        ax = abs(x)
        blush = 0.25 * _blob(ax - face[0] - 0.008, y - face[3], 0.016, 0.014, 1.0)
        r += blush * (0.85 - r) * 0.6
        g -= blush * g * 0.25
        b -= blush * b * 0.25
        if m[k, 11] > 0.0:
            beard = (
                m[k, 11] * _ramp((face[3] - 0.012 - y) / 0.012) * _ramp((ax - 0.06) / 0.01 + (face[2] - y) / 0.02 + 1.2)
            )
            r += beard * (m[k, 4] - r)
            g += beard * (m[k, 5] - g)
            b += beard * (m[k, 6] - b)
        brow = _blob(ax - face[0], y - face[1] - 0.021 + 3.0 * (ax - face[0]) ** 2, 0.021, 0.0045, 0.6)
        r += brow * (m[k, 4] - r)
        g += brow * (m[k, 5] - g)
        b += brow * (m[k, 6] - b)
        lid = _blob(ax - face[0], y - face[1], 0.0185, 0.0105, 0.35)
        r += lid * (0.16 - r)
        g += lid * (0.10 - g)
        b += lid * (0.09 - b)
        white = _blob(ax - face[0], y - face[1] + 0.001, 0.0155, 0.0075, 0.35)
        r += white * (0.95 - r)
        g += white * (0.95 - g)
        b += white * (0.95 - b)
        iris = white * _blob(ax - face[0], y - face[1], 0.0068, 0.0075, 0.35)
        r += iris * (0.13 - r)
        g += iris * (0.09 - g)
        b += iris * (0.07 - b)
        lips = _blob(x, y - face[2] - 1.5 * x * x, 0.025, 0.0085, 0.35)
        r += lips * (m[k, 7] - r)
        g += lips * (m[k, 8] - g)
        b += lips * (m[k, 9] - b)
        gap = _blob(x, y - face[2] - 1.5 * x * x, 0.022, 0.0017, 0.8)
        r -= gap * r * 0.55
        g -= gap * g * 0.55
        b -= gap * b * 0.55
        nostril = _blob(ax - 0.008, y - face[3] + 0.012, 0.005, 0.0035, 0.8) * 0.5
        r -= nostril * r
        g -= nostril * g
        b -= nostril * b
    out[0], out[1], out[2] = r, g, b


@no_type_check
@njit(cache=True)
def _paint(m, k, face, x, y, z, nx, ny, nz, out):
    """The surface colour of row `k` of the materials `m` at a point of its own coordinates."""
    kind = int(m[k, 0])
    if kind == FACE:
        _paint_face(m, k, face, x, y, z, out)
        return
    if kind == PORTRAIT:
        _paint_portrait(m, k, face, x, y, z, out)
        return
    if kind == PLAIN:
        out[0], out[1], out[2] = m[k, 1], m[k, 2], m[k, 3]
    else:
        _paint_pattern(m, k, kind, x, y, z, nx, ny, nz, out)
    if m[k, 12] > 0.0:
        size = m[k, 13]
        bright = max(0.0, 1.0 + m[k, 12] * _clouds(x / size, y / (size * m[k, 14]), z / size))
        for i in range(3):
            out[i] = min(1.0, out[i] * bright)


@no_type_check
@njit(cache=True)
def _paint_pattern(m, k, kind, x, y, z, nx, ny, nz, out):
    """The colours of row `k`'s pattern."""
    size = m[k, 10]
    if abs(ny) > abs(nx) and abs(ny) > abs(nz):
        u, v = x / size, z / size
    elif abs(nx) > abs(nz):
        u, v = z / size, y / size
    else:
        u, v = x / size, y / size
    share = 0.0
    second = 0.0
    if kind == BANDS:
        share = _wave(v)
    elif kind == PINSTRIPES:
        share = _wave((abs(x) - z) / size)
    elif kind == CHECKS:
        share = 0.5 * (_wave(u) + _wave(v))
    elif kind == DOTS:
        row = math.floor(v)
        du = u + 0.5 * (row - 2.0 * math.floor(row / 2.0))
        share = _blob(du - math.floor(du) - 0.5, v - row - 0.5, 0.27, 0.27, 0.4)
    elif kind == TWO_TONE:
        share = _ramp((y - size) / 0.004 + 0.5)
    elif kind == WINDOWS:
        fu, fv = u - math.floor(u), v - math.floor(v)
        share = _ramp((0.30 - abs(fu - 0.5)) * 25.0) * _ramp((0.33 - abs(fv - 0.5)) * 25.0)
        second = share * _ramp((0.06 - abs(fu - 0.5)) * 25.0) * 0.35
    elif kind == BRICKS:
        row = math.floor(v)
        share = max(_lines(v, 0.12), _lines(0.5 * u + 0.25 * (row - 2.0 * math.floor(row / 2.0)), 0.06))
    elif kind == PLANKS:
        share = _lines(u, 0.08)
        second = 0.25 * (0.5 + 0.5 * math.sin(math.floor(u) * 12.9898))
    elif kind == BLOTCHES:
        share = _ramp(4.0 * _clouds(x / size, y / size, z / size) + 0.5)
    elif kind == TILES:
        share = max(_lines(u, 0.06), _lines(v, 0.06))
    for i in range(3):
        colour = m[k, 1 + i] + share * (m[k, 4 + i] - m[k, 1 + i])
        out[i] = colour + second * (m[k, 7 + i] - colour)


@no_type_check
@njit(cache=True, fastmath=True, inline="always")
def _light(m, k, nx, ny, nz, x, y, ray, light, out):
    """Turn a surface colour into what reaches the eye at a point of the picture, 0 to 255: wrapped diffuse light over
    ambient light from above, and a highlight.
    """
    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    diffuse = max(0.0, ((nx * light[0] + ny * light[1] + nz * light[2]) * length + 0.35) / 1.35)
    shine = light[3] * (0.875 + 0.125 * ny * length) + light[4] * diffuse
    gloss = 0.0
    if m[k, 11] > 0.0 and m[k, 0] != FACE and m[k, 0] != PORTRAIT:
        vx = ray[0, 0] + ray[1, 0] * x + ray[2, 0] * y
        vy = ray[0, 1] + ray[1, 1] * x + ray[2, 1] * y
        vz = ray[0, 2] + ray[1, 2] * x + ray[2, 2] * y
        away = 1.0 / math.sqrt(vx * vx + vy * vy + vz * vz)
        # Half way between light and eye.
        hx, hy, hz = light[0] - vx * away, light[1] - vy * away, light[2] - vz * away
        half = max(0.0, (nx * hx + ny * hy + nz * hz) * length / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12))
        half *= half
        half *= half
        half *= half
        gloss = m[k, 11] * half * half * half
    for i in range(3):
        out[i] = 255.0 * min(1.0, out[i] * shine * light[5 + i] + gloss)


@no_type_check
@njit(cache=True, fastmath=True)
def draw(points, triangles, two_sided, inverse, index):
    """Draw triangles into the buffers: at each sample the nearest one's inverse depth and number.

    Args:
        points: float32 (n, 3): sample x, sample y, inverse depth; an inverse depth of 0 or less is behind the camera.
        triangles: int32 (t, 3), clockwise on the screen (y down is counter-clockwise in space) when seen from outside.
        two_sided: bool (t,): drawn from behind too.
        inverse: float32 (rows, columns), changed in place.
        index: int32 (rows, columns), changed in place.
    """
    rows, columns = inverse.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        aw, bw, cw = points[a, 2], points[b, 2], points[c, 2]
        if aw <= 0.0 or bw <= 0.0 or cw <= 0.0:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or (area > 0.0 and not two_sided[t]):
            continue
        left = max(0, math.ceil(min(ax, bx, cx) - 0.5))
        right = min(columns - 1, math.floor(max(ax, bx, cx) - 0.5))
        top = max(0, math.ceil(min(ay, by, cy) - 0.5))
        bottom = min(rows - 1, math.floor(max(ay, by, cy) - 0.5))
        if left > right or top > bottom:
            continue
        scale = 1.0 / area
        # Weight of b and of c as linear functions of the sample's x and y.
        bdx, bdy = (cy - ay) * scale, -(cx - ax) * scale
        cdx, cdy = -(by - ay) * scale, (bx - ax) * scale
        for y in range(top, bottom + 1):
            py = y + 0.5 - ay
            px = left + 0.5 - ax
            wb = px * bdx + py * bdy
            wc = px * cdx + py * cdy
            for x in range(left, right + 1):
                if wb >= 0.0 and wc >= 0.0 and wb + wc <= 1.0:
                    near = aw + wb * (bw - aw) + wc * (cw - aw)
                    if near > inverse[y, x]:
                        inverse[y, x] = near
                        index[y, x] = t
                wb += bdx
                wc += cdx


@no_type_check
@njit(cache=True, fastmath=True, inline="always")
def _shade(x, y, t, points, triangles, coordinates, normals, materials, material, face, light, ray, colour):
    """Colour of triangle `t` at one point of the picture, in samples; 0 to 255."""
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ax, ay = points[a, 0], points[a, 1]
    bx, by = points[b, 0] - ax, points[b, 1] - ay
    cx, cy = points[c, 0] - ax, points[c, 1] - ay
    area = bx * cy - by * cx
    px, py = x - ax, y - ay
    scale = 1.0 / area
    wb = (px * cy - py * cx) * scale
    wc = (py * bx - px * by) * scale
    # Perspective-correct: weights over depth, normalised.
    wa = (1.0 - wb - wc) * points[a, 2]
    wb *= points[b, 2]
    wc *= points[c, 2]
    scale = 1.0 / (wa + wb + wc)
    wa, wb, wc = wa * scale, wb * scale, wc * scale
    qx = wa * coordinates[a, 0] + wb * coordinates[b, 0] + wc * coordinates[c, 0]
    qy = wa * coordinates[a, 1] + wb * coordinates[b, 1] + wc * coordinates[c, 1]
    qz = wa * coordinates[a, 2] + wb * coordinates[b, 2] + wc * coordinates[c, 2]
    nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
    ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
    nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
    if area > 0.0:
        nx, ny, nz = -nx, -ny, -nz
    row = material[t]
    _paint(materials, row, face, qx, qy, qz, nx, ny, nz, colour)
    _light(materials, row, nx, ny, nz, x, y, ray, light, colour)


@no_type_check
@njit(cache=True)
def _paint_sky(x, y, ray, sky, out):
    """The sky's colour at a point of the picture, and the hills before it, 0 to 255."""
    dx = ray[0, 0] + ray[1, 0] * x + ray[2, 0] * y
    dy = ray[0, 1] + ray[1, 1] * x + ray[2, 1] * y
    dz = ray[0, 2] + ray[1, 2] * x + ray[2, 2] * y
    slope = dy / math.sqrt(dx * dx + dz * dz)
    hill = 0.0
    if sky[9] > 0.0 and slope < 2.0 * sky[9]:
        angle = math.atan2(dx, -dz)
        waves = 1.0 + 0.5 * math.sin(angle * sky[10] + sky[11]) + 0.3 * math.sin(angle * sky[10] * 2.7)
        hill = _ramp((sky[9] * waves - slope) * 120.0 + 0.5)
    up = _ramp(slope * 1.2)
    for i in range(3):
        value = sky[3 + i] + up * (sky[i] - sky[3 + i])
        out[i] = 255.0 * (value + hill * (sky[6 + i] - value))


@no_type_check
@njit(cache=True, fastmath=True)
def _paint_plane(planes, p, distance, x, y, ray, eye, materials, sky, light, face, out):
    """A plane's colour at a point of the picture, 0 to 255."""
    axis = int(planes[p, 0])
    side = 1.0 if eye[axis] > planes[p, 1] else -1.0
    nx, ny, nz = side * (axis == 0), side * (axis == 1), side * (axis == 2)
    row = int(planes[p, 2])
    qx = eye[0] + distance * (ray[0, 0] + ray[1, 0] * x + ray[2, 0] * y)
    qy = eye[1] + distance * (ray[0, 1] + ray[1, 1] * x + ray[2, 1] * y)
    qz = eye[2] + distance * (ray[0, 2] + ray[1, 2] * x + ray[2, 2] * y)
    _paint(materials, row, face, qx, qy, qz, nx, ny, nz, out)
    _light(materials, row, nx, ny, nz, x, y, ray, light, out)
    # What is far fades into the hills or the horizon: a pattern there is finer than the samples.
    haze = _ramp((distance - planes[p, 3]) / planes[p, 4])
    far = 6 if sky[9] > 0.0 else 3
    for i in range(3):
        out[i] += haze * (255.0 * sky[far + i] - out[i])


@no_type_check
@njit(cache=True, fastmath=True)
def paint_backdrop(ray, eye, planes, materials, sky, light, face, colours, inverse, surface):
    """Fill every sample with the ground, walls and sky that its ray meets first.

    The inverse depth of a plane is linear over the picture, so the nearest one is a maximum of linear functions. A
    pixel that shows one surface only is painted once. `SAMPLES` is 2: two rows of samples are looked at together.

    Args:
        ray: float32 (3, 3): direction of a sample's ray = ray[0] + ray[1] x + ray[2] y, of length 1 along the axis.
        eye: float32 (3,): where rays begin.
        planes: float32 (p, 5): axis (0 x, 1 y, 2 z), position on it, material, haze from and over so many metres; the
            first one is the ground. They enclose the eye.
        sky: float32 (12,): colour at the zenith, at the horizon, of the hills; hills' height, waves, phase.
        colours: uint8 (rows, columns, 3); inverse: float32 (rows, columns); surface: uint8 (rows, columns), 1 where the
            ground is seen. All three are filled.
    """
    rows, columns = inverse.shape
    count = planes.shape[0]
    colour = np.zeros(3)
    linear = np.zeros((count, 3))
    for p in range(count):
        axis = int(planes[p, 0])
        for i in range(3):
            linear[p, i] = ray[i, axis] / (planes[p, 1] - eye[axis])
    hits = np.zeros(columns, np.int64)
    above = np.zeros(columns, np.int64)
    for y in range(rows):
        hits, above = above, hits
        for x in range(columns):
            best, hit = FARTHEST, -1
            for p in range(count):
                near = linear[p, 0] + linear[p, 1] * (x + 0.5) + linear[p, 2] * (y + 0.5)
                if near > best:
                    best, hit = near, p
            hits[x] = hit
            inverse[y, x] = best if hit >= 0 else 0.0
            surface[y, x] = 1 if hit == 0 else 0
        if y % SAMPLES != SAMPLES - 1:
            continue
        for left in range(0, columns, SAMPLES):
            whole = True
            for x in range(left, left + SAMPLES):
                whole = whole and hits[x] == hits[left] and above[x] == hits[left]
            for sample in range(SAMPLES * SAMPLES):
                sx, sy = left + sample % SAMPLES, y - SAMPLES + 1 + sample // SAMPLES
                if sample == 0 or not whole:
                    # In the middle of a whole pixel, else at each of its samples.
                    px, py = (left + 0.5 * SAMPLES, y + 1 - 0.5 * SAMPLES) if whole else (sx + 0.5, sy + 0.5)
                    hit = hits[sx] if sy == y else above[sx]
                    if hit < 0:
                        _paint_sky(px, py, ray, sky, colour)
                    else:
                        distance = 1.0 / (linear[hit, 0] + linear[hit, 1] * px + linear[hit, 2] * py)
                        _paint_plane(planes, hit, distance, px, py, ray, eye, materials, sky, light, face, colour)
                for i in range(3):
                    colours[sy, sx, i] = np.uint8(min(255.0, max(0.0, colour[i])) + 0.5)


@no_type_check
@njit(cache=True, fastmath=True)
def shade_samples(
    points, triangles, coordinates, normals, materials, material, face, light, ray, index, colours, surface
):
    """Paint every sample that shows a triangle; what it covers is no ground any more."""
    colour = np.zeros(3)
    for top in range(0, index.shape[0], SAMPLES):
        for left in range(0, index.shape[1], SAMPLES):
            whole = True
            for sample in range(SAMPLES * SAMPLES):
                whole = whole and index[top + sample // SAMPLES, left + sample % SAMPLES] == index[top, left]
            if whole and index[top, left] < 0:
                continue
            for sample in range(SAMPLES * SAMPLES):
                sx, sy = left + sample % SAMPLES, top + sample // SAMPLES
                t = index[sy, sx]
                if t < 0:
                    continue
                if sample == 0 or not whole:
                    px, py = (left + 0.5 * SAMPLES, top + 0.5 * SAMPLES) if whole else (sx + 0.5, sy + 0.5)
                    _shade(
                        px, py, t, points, triangles, coordinates, normals, materials, material, face, light, ray,
                        colour,
                    )  # fmt: skip
                surface[sy, sx] = 0
                for i in range(3):
                    colours[sy, sx, i] = np.uint8(colour[i] + 0.5)


@no_type_check
@njit(cache=True, fastmath=True)
def reduce_samples(colours, inverse, picture, depth):
    """Average the samples of each pixel; its depth is the nearest sample's, infinity where there is none."""
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            for i in range(3):
                total = 0
                for sy in range(SAMPLES):
                    for sx in range(SAMPLES):
                        total += colours[SAMPLES * y + sy, SAMPLES * x + sx, i]
                picture[y, x, i] = (total + SAMPLES * SAMPLES // 2) // (SAMPLES * SAMPLES)
            near = 0.0
            for sy in range(SAMPLES):
                for sx in range(SAMPLES):
                    near = max(near, inverse[SAMPLES * y + sy, SAMPLES * x + sx])
            depth[y, x] = 1.0 / near if near > 0.0 else np.inf


@no_type_check
@njit(cache=True, fastmath=True)
def _brightness(x, y, ray, eye, shadows):
    """What the contact shadow leaves of the light on the ground that a ray meets, in [0, 1]."""
    dx = ray[0, 0] + ray[1, 0] * x + ray[2, 0] * y
    dy = ray[0, 1] + ray[1, 1] * x + ray[2, 1] * y
    dz = ray[0, 2] + ray[1, 2] * x + ray[2, 2] * y
    bright = 1.0
    if dy < 0.0:
        gx, gz = eye[0] - eye[1] / dy * dx, eye[2] - eye[1] / dy * dz
        for s in range(shadows.shape[0]):
            away = ((gx - shadows[s, 0]) ** 2 + (gz - shadows[s, 1]) ** 2) / (shadows[s, 2] ** 2)
            if away < 1.0:
                bright *= 1.0 - shadows[s, 3] * (1.0 - away) ** 2
    return bright


@no_type_check
@njit(cache=True, fastmath=True)
def composite(
    points, triangles, coordinates, normals, materials, material, face, light, ray, eye, shadows,
    plate_colours, plate_inverse, plate_surface, index, inverse, picture, mask, parts, depth, shaded, box, shadow_box,
):  # fmt: skip
    """Put the drawn triangles and their contact shadow over the plate, inside one box of pixels.

    Triangles of one surface are painted once a pixel. `picture` and `depth` hold the plate's
    already; `index` and `inverse` are left as before the drawing.

    Args:
        shadows: float32 (s, 4): x and z on the ground, radius in metres, darkness in [0, 1].
        mask: bool (h, w): set where at least half of a pixel's samples show the triangles.
        parts: uint8 (h, w): set there to 1 + the row of materials that most of them show.
        shaded: bool (h, w): set where the shadow darkens the plate.
        box: top, bottom, left, right of the pixels concerned, the ends excluded.
        shadow_box: the same of those that the shadow may reach.
    """
    colour = np.zeros(3)
    total = np.zeros(3)
    samples = SAMPLES * SAMPLES
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            top, left = SAMPLES * y, SAMPLES * x
            covered, ground = 0, 0
            for sample in range(samples):
                sy, sx = top + sample // SAMPLES, left + sample % SAMPLES
                if index[sy, sx] >= 0:
                    covered += 1
                elif plate_surface[sy, sx] == 1:
                    ground += 1
            bright = 1.0
            if ground > 0 and shadow_box[0] <= y < shadow_box[1] and shadow_box[2] <= x < shadow_box[3]:
                bright = _brightness(left + 0.5 * SAMPLES, top + 0.5 * SAMPLES, ray, eye, shadows)
            if covered == 0 and bright == 1.0:
                continue
            total[:] = 0.0
            near = 0.0
            widest, part = 0, 0
            for first in range(samples):
                t = index[top + first // SAMPLES, left + first % SAMPLES]
                if t < 0:
                    continue
                # At its first sample, which is surely inside the triangle.
                px, py = left + first % SAMPLES + 0.5, top + first // SAMPLES + 0.5
                _shade(
                    px, py, t, points, triangles, coordinates, normals, materials, material, face, light, ray, colour
                )
                level = inverse[top + first // SAMPLES, left + first % SAMPLES]
                shown = 0
                for other in range(first, samples):
                    sy, sx = top + other // SAMPLES, left + other % SAMPLES
                    u = index[sy, sx]
                    if u >= 0 and material[u] == material[t] and abs(inverse[sy, sx] - level) < SAME_SURFACE * level:
                        near = max(near, inverse[sy, sx])
                        shown += 1
                        inverse[sy, sx] = plate_inverse[sy, sx]
                        index[sy, sx] = PAINTED
                        for i in range(3):
                            total[i] += colour[i]
                if shown > widest:
                    widest, part = shown, material[t] + 1
            for sample in range(samples):
                sy, sx = top + sample // SAMPLES, left + sample % SAMPLES
                if index[sy, sx] == -1:
                    near = max(near, inverse[sy, sx])
                    light_left = bright if plate_surface[sy, sx] == 1 else 1.0
                    for i in range(3):
                        total[i] += light_left * plate_colours[sy, sx, i]
                index[sy, sx] = -1
            for i in range(3):
                picture[y, x, i] = np.uint8(total[i] / samples + 0.5)
            mask[y, x] = 2 * covered >= samples
            parts[y, x] = part if mask[y, x] else 0
            shaded[y, x] = bright < 1.0
            if covered > 0:
                depth[y, x] = 1.0 / near


@no_type_check
@njit(cache=True)
def find_visible(places, allowed, margin, triangles, leading, index, inverse, seen):
    """Which points lie under a surface that belongs to them.

    Args:
        places: float (k, 3): sample x, sample y, depth in metres.
        allowed: bool (k, bones): the bones whose surface shows a point.
        margin: float (k,): how far behind that surface it may lie, metres.
        leading: the bone of each vertex.
        seen: bool (k,): set for the visible ones.
    """
    rows, columns = index.shape
    for k in range(places.shape[0]):
        x, y = math.floor(places[k, 0]), math.floor(places[k, 1])
        if not (0 <= x < columns and 0 <= y < rows):
            continue
        for sy in range(max(y - 1, 0), min(y + 2, rows)):
            for sx in range(max(x - 1, 0), min(x + 2, columns)):
                t = index[sy, sx]
                if t >= 0 and allowed[k, leading[triangles[t, 0]]] and places[k, 2] - 1.0 / inverse[sy, sx] < margin[k]:
                    seen[k] = True


@no_type_check
@njit(cache=True, fastmath=True)
def pose_vertices(vertices, normals, bones, shares, transforms, posed, turned):
    """Linear blend skinning with four bones a vertex, into `posed` and `turned`; returns the lowest height."""
    lowest = np.inf
    blend = np.zeros((3, 4))
    for v in range(vertices.shape[0]):
        blend[:] = 0.0
        for k in range(4):
            share = shares[v, k]
            if share > 0.0:
                transform = transforms[bones[v, k]]
                for i in range(3):
                    for j in range(4):
                        blend[i, j] += share * transform[i, j]
        for i in range(3):
            posed[v, i] = (
                blend[i, 0] * vertices[v, 0] + blend[i, 1] * vertices[v, 1] + blend[i, 2] * vertices[v, 2] + blend[i, 3]
            )
            turned[v, i] = blend[i, 0] * normals[v, 0] + blend[i, 1] * normals[v, 1] + blend[i, 2] * normals[v, 2]
        lowest = min(lowest, posed[v, 1])
    return lowest


@no_type_check
@njit(cache=True, fastmath=True)
def project_vertices(posed, rotation, position, focal, centre_x, centre_y, near, points):
    """Sample x, sample y and inverse depth of points; nearer than `near` metres counts as behind (inverse depth 0).

    Returns the top, bottom, left and right of what is not behind, in samples.

    Args:
        rotation: columns are right, up and backward of the camera.
        focal: in samples.
    """
    top, bottom, left, right = np.inf, -np.inf, np.inf, -np.inf
    for v in range(posed.shape[0]):
        x, y, z = posed[v, 0] - position[0], posed[v, 1] - position[1], posed[v, 2] - position[2]
        depth = -(x * rotation[0, 2] + y * rotation[1, 2] + z * rotation[2, 2])
        if depth < near:
            points[v, 2] = 0.0
            continue
        scale = focal / depth
        points[v, 0] = centre_x + scale * (x * rotation[0, 0] + y * rotation[1, 0] + z * rotation[2, 0])
        points[v, 1] = centre_y - scale * (x * rotation[0, 1] + y * rotation[1, 1] + z * rotation[2, 1])
        points[v, 2] = 1.0 / depth
        top, bottom = min(top, points[v, 1]), max(bottom, points[v, 1])
        left, right = min(left, points[v, 0]), max(right, points[v, 0])
    return top, bottom, left, right
