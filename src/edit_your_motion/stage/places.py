"""Where somebody is: grounds, walls, skies, light and the things that stand around."""

from dataclasses import dataclass

import numpy as np

from edit_your_motion.stage.colours import (
    BANDS,
    BLOTCHES,
    BRICKS,
    CHECKS,
    DOTS,
    PINSTRIPES,
    PLAIN,
    PLANKS,
    TILES,
    WINDOWS,
    Colour,
    material,
)
from edit_your_motion.stage.identity import RESERVED
from edit_your_motion.stage.solids import Solid

PAINTS: tuple[Colour, ...] = (
    (0.93, 0.91, 0.86), (0.80, 0.86, 0.90), (0.86, 0.80, 0.72), (0.72, 0.80, 0.70), (0.90, 0.78, 0.74),
    (0.62, 0.70, 0.78), (0.78, 0.74, 0.84), (0.95, 0.88, 0.66), (0.60, 0.58, 0.56), (0.45, 0.55, 0.58),
    (0.70, 0.50, 0.42), (0.50, 0.62, 0.52),
)  # fmt: skip
"""Walls, furniture and fronts."""

WOODS: tuple[Colour, ...] = ((0.62, 0.42, 0.26), (0.75, 0.57, 0.38), (0.45, 0.30, 0.20), (0.82, 0.70, 0.54))

FAR_AWAY = 1000.0


@dataclass(frozen=True)
class Plane:
    """An endless plane: the ground, a wall, a ceiling.

    Args:
        axis: it is perpendicular to: 0 x, 1 y, 2 z.
        position: on that axis, metres.
        material: its row in the place's table.
        haze: from where, and over how many metres, it fades into the horizon's colour.
    """

    axis: int
    position: float
    material: int
    haze: tuple[float, float] = (FAR_AWAY, 1.0)


@dataclass(frozen=True)
class Sky:
    """What is seen where nothing is hit: colours from zenith to horizon, and hills before it.

    Args:
        zenith: sRGB in [0, 1].
        horizon: the same.
        hills: the same.
        height: of the hills, as a slope; 0 for none.
        waves: of the hills in a radian.
        phase: of those, radians.
    """

    zenith: Colour
    horizon: Colour
    hills: Colour = (0.0, 0.0, 0.0)
    height: float = 0.0
    waves: float = 3.0
    phase: float = 0.0


@dataclass(frozen=True)
class Light:
    """Where light comes from.

    Args:
        toward: the lamp or sun, any length.
        ambient: share of light that comes from everywhere.
        direct: share that comes from there.
        tint: of both.
    """

    toward: tuple[float, float, float]
    ambient: float
    direct: float
    tint: Colour = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Place:
    """One place, the same in every clip; the person stands around the origin, the camera somewhere along +z.

    Args:
        words: as a caption says it: "in a park".
        planes: the first is the ground.
        solids: what stands around.
        materials: the table that planes and solids refer to.
        sky: behind everything.
        light: see there.
    """

    words: str
    planes: tuple[Plane, ...]
    solids: tuple[Solid, ...]
    materials: tuple[tuple[float, ...], ...]
    sky: Sky
    light: Light


class _Builder:
    """Collects a place's materials and solids."""

    def __init__(self, rng: np.random.Generator, held_out: bool, edition: int) -> None:
        self.rng = rng
        self.held_out = held_out
        self.varied = edition >= 2
        self.materials: list[tuple[float, ...]] = []
        self.solids: list[Solid] = []

    def material(
        self,
        kind: int,
        first: Colour,
        second: Colour = (0.0, 0.0, 0.0),
        third: Colour = (0.0, 0.0, 0.0),
        size: float = 1.0,
    ) -> int:
        """The number of a new material; in varied places it has a grain, as anything real has."""
        grain = (0.0, 1.0, 1.0)
        if self.varied:
            clouds = float(np.exp(self.rng.uniform(np.log(0.04), np.log(0.8))))
            grain = (self.between(0.02, 0.2), clouds, (0.2, 1.0, 1.0, 5.0)[self.rng.integers(4)])
        self.materials.append(tuple(material(kind, first, second, third, size, grain=grain).tolist()))
        return len(self.materials) - 1

    def add(self, shape: str, centre: tuple[float, float, float], sizes: tuple[float, float, float], m: int) -> None:
        self.solids.append(Solid(shape, centre, sizes, m))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, odds: float) -> bool:
        return bool(self.rng.random() < odds)

    def pick(self, colours: tuple[Colour, ...]) -> Colour:
        r, g, b = colours[self.rng.integers(len(colours))]
        change = self.between(-0.05, 0.05)
        return (_clip(r + change), _clip(g + change), _clip(b + change))

    def pick_two(self, first: tuple[Colour, ...], second: tuple[Colour, ...]) -> tuple[Colour, Colour]:
        """Colours of the two largest surfaces, out of the split's pairs."""
        while True:
            i, j = self.rng.integers(len(first)), self.rng.integers(len(second))
            if ((3 * i + j) % RESERVED == 0) == self.held_out:
                return self.pick((first[i],)), self.pick((second[j],))

    def tree(self, x: float, z: float, height: float, leaves: int, trunk: int) -> None:
        self.add("column", (x, 0.0, z), (0.06 * height, 0.5 * height, 0.04 * height), trunk)
        self.add("ball", (x, 0.68 * height, z), (0.26 * height, 0.34 * height, 0.26 * height), leaves)

    def potted_plant(self, x: float, z: float, height: float) -> None:
        pot = self.material(PLAIN, self.pick(((0.72, 0.38, 0.26), (0.9, 0.9, 0.88), (0.35, 0.37, 0.42))))
        leaves = self.material(PLAIN, self.pick(((0.20, 0.45, 0.22), (0.35, 0.55, 0.25), (0.16, 0.38, 0.30))))
        self.add("column", (x, 0.0, z), (0.10, 0.3 * height, 0.15), pot)
        self.add("ball", (x, 0.65 * height, z), (0.32 * height, 0.42 * height, 0.32 * height), leaves)

    def bench(self, x: float, z: float, wood: int) -> None:
        self.add("box", (x, 0.44, z), (1.3, 0.06, 0.42), wood)
        self.add("box", (x, 0.72, z - 0.2), (1.3, 0.28, 0.05), wood)
        for side in (-0.55, 0.55):
            self.add("box", (x + side, 0.21, z), (0.07, 0.42, 0.38), wood)

    def foreground(self) -> None:
        """Now and then something low between camera and person."""
        if not self.chance(0.18):
            return
        x = self.between(0.3, 0.75) * (1 if self.chance(0.5) else -1)
        z = self.between(0.95, 1.25)
        if self.chance(0.5):
            self.potted_plant(x, z, self.between(0.4, 0.75))
        else:
            size = self.between(0.25, 0.5)
            box = self.material(PLAIN, self.pick(WOODS + PAINTS))
            self.add("box", (x, size / 2, z), (size * 1.2, size, size), box)

    def finish(self, words: str, planes: tuple[Plane, ...], sky: Sky, light: Light) -> Place:
        self.foreground()
        if self.varied:
            walls = [-plane.position for plane in planes if plane.axis == 2]
            if walls:
                sides = [plane.position for plane in planes if plane.axis == 0]
                clutter_room(self, -walls[0], max(sides, default=3.0))
            else:
                clutter_ground(self)
            light = self.relight(light)
        return Place(words, planes, tuple(self.solids), tuple(self.materials), sky, light)

    def relight(self, light: Light) -> Light:
        """The same lamp or sun, harder or softer, warmer or colder, from farther round."""
        warm, level = self.between(-0.12, 0.14), self.between(0.72, 1.12)
        x, y, z = light.toward
        toward = (x + self.between(-0.7, 0.7), y * self.between(0.6, 1.2), z)
        direct = self.between(0.30, 0.75)
        tint = (level * (1.0 + warm / 2), level, level * (1.0 - warm))
        return Light(toward, 1.06 - direct * self.between(0.85, 1.0), direct, tint)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


def _darker(colour: Colour, by: float) -> Colour:
    r, g, b = colour
    return (_clip(r - by), _clip(g - by), _clip(b - by))


def _lamp(b: _Builder) -> Light:
    warm = b.between(-0.04, 0.05)
    toward = (b.between(-0.8, 0.8), b.between(0.7, 1.3), b.between(0.5, 1.2))
    return Light(toward, b.between(0.48, 0.62), b.between(0.42, 0.55), (1.0 + warm / 2, 1.0, 1.0 - warm))


def _sun(b: _Builder) -> Light:
    toward = (b.between(-1.2, 1.2), b.between(0.9, 1.6), b.between(0.2, 1.2))
    return Light(toward, b.between(0.42, 0.55), b.between(0.5, 0.65), (1.02, 1.0, b.between(0.92, 1.0)))


def _day(b: _Builder, hills: Colour = (0.0, 0.0, 0.0), height: float = 0.0) -> Sky:
    zenith, horizon = (
        ((0.30, 0.55, 0.88), (0.78, 0.88, 0.96)),
        ((0.45, 0.65, 0.90), (0.90, 0.93, 0.96)),
        ((0.66, 0.72, 0.80), (0.86, 0.88, 0.90)),
        ((0.48, 0.52, 0.80), (0.98, 0.80, 0.68)),
    )[b.rng.integers(4)]
    return Sky(zenith, horizon, hills, height, b.between(2.0, 5.0), b.between(0.0, 6.28))


def _room(b: _Builder) -> Place:
    wall_colour, floor_colour = b.pick_two(PAINTS, WOODS + PAINTS[8:])
    stripes = _darker(wall_colour, 0.07)
    kind = (PLAIN, PLAIN, PINSTRIPES, BANDS)[b.rng.integers(4)]
    wall = b.material(kind, wall_colour, stripes, size=b.between(0.4, 0.8))
    side_wall = b.material(PLAIN, _darker(wall_colour, 0.04))
    darker = _darker(floor_colour, 0.10)
    floor = b.material(
        (PLANKS, TILES, PLAIN)[b.rng.integers(3)], floor_colour, darker, darker, size=b.between(0.3, 0.6)
    )
    ceiling = b.material(PLAIN, (0.95, 0.95, 0.94))
    skirting = b.material(PLAIN, (0.94, 0.93, 0.90))
    depth, half = -b.between(1.3, 2.8), b.between(1.9, 2.8)
    b.add("box", (0.0, 0.06, depth + 0.02), (4 * half, 0.12, 0.04), skirting)
    _furnish(b, depth, half)
    planes = (Plane(1, 0.0, floor), Plane(2, depth, wall), Plane(0, -half, side_wall), Plane(0, half, side_wall),
              Plane(1, b.between(2.5, 2.9), ceiling))  # fmt: skip
    words = ("in a living room", "in a bedroom", "in an office")[b.rng.integers(3)]
    return b.finish(words, planes, Sky((0.9, 0.9, 0.9), (0.9, 0.9, 0.9)), _lamp(b))


def _furnish(b: _Builder, depth: float, half: float) -> None:
    """Things along the back wall."""
    wood = b.material(PLAIN, b.pick(WOODS))
    cloth = b.material(PLAIN, b.pick(PAINTS[3:]))
    side = 1.0 if b.chance(0.5) else -1.0
    x = side * b.between(0.5, 1.1)
    if b.chance(0.5):
        b.add("box", (x, 0.22, depth + 0.45), (1.5, 0.44, 0.8), cloth)
        b.add("box", (x, 0.55, depth + 0.16), (1.5, 0.6, 0.24), cloth)
        for arm in (-0.8, 0.8):
            b.add("box", (x + arm, 0.32, depth + 0.45), (0.18, 0.64, 0.8), cloth)
    elif b.chance(0.6):
        b.add("box", (x, 0.9, depth + 0.2), (0.9, 1.8, 0.36), wood)
        for shelf in range(4):
            books = b.material(PINSTRIPES, b.pick(PAINTS), b.pick(PAINTS), size=b.between(0.12, 0.2))
            b.add("box", (x, 0.28 + 0.42 * shelf, depth + 0.39), (0.8, 0.28, 0.02), books)
    else:
        b.add("box", (x, 0.74, depth + 0.4), (1.2, 0.06, 0.6), wood)
        for leg in (-0.54, 0.54):
            b.add("box", (x + leg, 0.36, depth + 0.4), (0.06, 0.72, 0.5), wood)
    if b.chance(0.6):
        frame = b.material(PLAIN, b.pick(WOODS))
        art = b.material((PLAIN, CHECKS, BANDS)[b.rng.integers(3)], b.pick(PAINTS), b.pick(PAINTS), size=0.35)
        width, height = b.between(0.4, 0.9), b.between(0.4, 0.7)
        at = (-side * b.between(0.3, 1.2), b.between(1.4, 1.7), depth)
        b.add("box", at, (width + 0.1, height + 0.1, 0.05), frame)
        b.add("box", at, (width, height, 0.06), art)
    else:
        frame, glass = b.material(PLAIN, (0.96, 0.96, 0.95)), b.material(PLAIN, (0.70, 0.85, 0.97))
        middle = -side * b.between(0.4, 1.1)
        b.add("box", (middle, 1.5, depth), (1.1, 1.2, 0.05), frame)
        for pane in (-0.26, 0.26):
            b.add("box", (middle + pane, 1.5, depth), (0.46, 1.06, 0.06), glass)
    if b.chance(0.5):
        b.potted_plant(-side * b.between(1.0, half - 0.3), depth + 0.4, b.between(0.8, 1.4))


def _park(b: _Builder) -> Place:
    greens = ((0.42, 0.62, 0.28), (0.34, 0.55, 0.27), (0.52, 0.66, 0.32), (0.58, 0.60, 0.30))
    hills_colours = ((0.36, 0.52, 0.36), (0.44, 0.58, 0.50), (0.50, 0.60, 0.66), (0.56, 0.55, 0.42))
    grass_colour, hills = b.pick_two(greens, hills_colours)
    darker = _darker(grass_colour, 0.05)
    grass = b.material((PLAIN, PINSTRIPES)[b.rng.integers(2)], grass_colour, darker, size=b.between(1.5, 2.5))
    leaves = b.material(PLAIN, b.pick(((0.18, 0.42, 0.20), (0.30, 0.50, 0.20), (0.70, 0.45, 0.18), (0.42, 0.52, 0.24))))
    trunk = b.material(PLAIN, (0.36, 0.26, 0.18))
    for _ in range(b.rng.integers(3, 8)):
        z = -b.between(2.5, 12.0)
        b.tree(b.between(-0.9, 0.9) * (4 - 0.6 * z) * 0.6, z, b.between(2.2, 4.5), leaves, trunk)
    if b.chance(0.4):
        b.bench(b.between(-1.6, 1.6), -b.between(1.5, 3.0), b.material(PLAIN, b.pick(WOODS)))
    for _ in range(b.rng.integers(0, 4)):
        size = b.between(0.3, 0.7)
        b.add("ball", (b.between(-3.0, 3.0), 0.3 * size, -b.between(1.6, 5.0)), (size, 0.7 * size, size), leaves)
    planes = (Plane(1, 0.0, grass, haze=(8.0, 45.0)),)
    words = ("in a park", "in a garden", "in a meadow")[b.rng.integers(3)]
    return b.finish(words, planes, _day(b, hills, b.between(0.06, 0.2)), _sun(b))


def _street(b: _Builder) -> Place:
    front_colour, ground_colour = b.pick_two(PAINTS, ((0.62, 0.62, 0.62), (0.70, 0.66, 0.60), (0.52, 0.54, 0.57)))
    darker = _darker(ground_colour, 0.08)
    pavement = b.material((TILES, BRICKS, PLAIN)[b.rng.integers(3)], ground_colour, darker, size=b.between(0.4, 0.7))
    road = b.material(PLAIN, (0.36, 0.37, 0.39))
    b.add("box", (0.0, -0.02, -4.0), (60.0, 0.05, 2.4), road)
    left, distance = -11.0, -b.between(5.5, 6.5)
    colours = [front_colour]
    while left < 11.0:
        width, height = b.between(2.5, 4.5), b.between(3.5, 9.0)
        glass = b.pick(((0.30, 0.38, 0.48), (0.55, 0.68, 0.78), (0.22, 0.24, 0.30), (0.92, 0.86, 0.62)))
        front = b.material(WINDOWS, colours[-1], glass, (0.9, 0.9, 0.9), size=b.between(0.9, 1.3))
        b.add("box", (left + width / 2, height / 2, distance - 1.5), (width, height, 3.0), front)
        left += width
        colours.append(b.pick(PAINTS))
    if b.chance(0.6):
        _car(b, b.between(-2.5, 2.5), -3.6)
    if b.chance(0.6):
        leaves, trunk = b.material(PLAIN, (0.25, 0.48, 0.24)), b.material(PLAIN, (0.36, 0.26, 0.18))
        b.tree(b.between(1.0, 2.2) * (1 if b.chance(0.5) else -1), -2.2, b.between(2.4, 3.4), leaves, trunk)
    if b.chance(0.5):
        post = b.material(PLAIN, (0.24, 0.25, 0.27))
        x = b.between(0.7, 1.9) * (1 if b.chance(0.5) else -1)
        b.add("column", (x, 0.0, -1.9), (0.06, 3.2, 0.04), post)
        b.add("ball", (x, 3.3, -1.9), (0.16, 0.16, 0.16), b.material(PLAIN, (0.98, 0.95, 0.82)))
    planes = (Plane(1, 0.0, pavement, haze=(14.0, 40.0)),)
    words = ("on a street", "in a city", "on a sidewalk")[b.rng.integers(3)]
    return b.finish(words, planes, _day(b), _sun(b))


def _car(b: _Builder, x: float, z: float) -> None:
    paint = b.material(PLAIN, b.pick(((0.75, 0.15, 0.15), (0.15, 0.3, 0.65), (0.9, 0.9, 0.9), (0.25, 0.25, 0.28),
                                      (0.9, 0.7, 0.15), (0.2, 0.5, 0.35))))  # fmt: skip
    glass, tyre = b.material(PLAIN, (0.30, 0.40, 0.48)), b.material(PLAIN, (0.09, 0.09, 0.10))
    b.add("box", (x, 0.55, z), (3.6, 0.55, 1.5), paint)
    b.add("box", (x - 0.1, 1.0, z), (2.0, 0.45, 1.35), glass)
    b.add("box", (x - 0.1, 1.24, z), (1.9, 0.06, 1.3), paint)
    for wheel in (-1.15, 1.15):
        b.add("ball", (x + wheel, 0.30, z + 0.72), (0.32, 0.32, 0.12), tyre)


def _beach(b: _Builder) -> Place:
    sands, seas = ((0.90, 0.80, 0.60), (0.84, 0.74, 0.58), (0.93, 0.87, 0.74)), ((0.20, 0.52, 0.72), (0.14, 0.42, 0.62),
                                                                               (0.30, 0.64, 0.70))  # fmt: skip
    sand_colour, sea_colour = b.pick_two(sands, seas)
    sand, sea = b.material(PLAIN, sand_colour), b.material(PLAIN, sea_colour)
    foam = b.material(PLAIN, (0.95, 0.97, 0.97))
    shore = -b.between(3.0, 7.0)
    b.add("box", (0.0, -0.1, shore - 40.0), (200.0, 0.22, 80.0), sea)
    b.add("box", (0.0, -0.1, shore), (200.0, 0.224, 0.35), foam)
    if b.chance(0.6):
        pole, shade = b.material(PLAIN, (0.92, 0.92, 0.9)), b.material(PLAIN, b.pick(PAINTS[3:]))
        x = b.between(1.0, 2.2) * (1 if b.chance(0.5) else -1)
        b.add("column", (x, 0.0, -1.8), (0.03, 1.9, 0.03), pole)
        b.add("column", (x, 1.55, -1.8), (0.95, 0.45, 0.02), shade)
    planes = (Plane(1, 0.0, sand, haze=(20.0, 60.0)),)
    return b.finish("on a beach", planes, _day(b), _sun(b))


def _gym(b: _Builder) -> Place:
    wall_colour, floor_colour = b.pick_two(PAINTS, ((0.85, 0.62, 0.38), (0.42, 0.58, 0.66), (0.62, 0.36, 0.30)))
    darker = _darker(wall_colour, 0.10)
    wall = b.material((BRICKS, PLAIN)[b.rng.integers(2)], wall_colour, darker, size=b.between(0.3, 0.5))
    floor = b.material(PLAIN, floor_colour)
    line, mat = b.material(PLAIN, (0.95, 0.95, 0.93)), b.material(PLAIN, b.pick(PAINTS[4:]))
    depth = -b.between(2.2, 4.5)
    b.add("box", (0.0, -0.01, b.between(-1.6, -0.6)), (40.0, 0.024, 0.07), line)
    b.add("box", (b.between(-1.5, 1.5), -0.01, depth / 2), (0.07, 0.023, -depth), line)
    b.add("box", (0.0, 0.5, depth + 0.06), (40.0, 1.0, 0.12), mat)
    if b.chance(0.6):
        ball = b.material(PLAIN, (0.88, 0.42, 0.15))
        b.add("ball", (b.between(0.8, 1.6) * (1 if b.chance(0.5) else -1), 0.12, -0.9), (0.12, 0.12, 0.12), ball)
    if b.chance(0.5):
        b.bench(b.between(-1.8, 1.8), depth + 0.5, b.material(PLAIN, b.pick(WOODS)))
    planes = (Plane(1, 0.0, floor), Plane(2, depth, wall))
    return b.finish("in a gym", planes, Sky((0.9, 0.9, 0.9), (0.9, 0.9, 0.9)), _lamp(b))


def _studio(b: _Builder) -> Place:
    wall_colour, floor_colour = b.pick_two(PAINTS, PAINTS)
    wall, floor = b.material(PLAIN, wall_colour), b.material(PLAIN, floor_colour)
    depth = -b.between(1.2, 2.5)
    if b.chance(0.4):
        cube = b.material(PLAIN, b.pick(PAINTS))
        size = b.between(0.35, 0.6)
        b.add("box", (b.between(0.9, 1.4) * (1 if b.chance(0.5) else -1), size / 2, -0.7), (size, size, size), cube)
    planes = (Plane(1, 0.0, floor), Plane(2, depth, wall))
    return b.finish("in a studio", planes, Sky((0.9, 0.9, 0.9), (0.9, 0.9, 0.9)), _lamp(b))


_BRIGHT: tuple[Colour, ...] = (
    (0.80, 0.16, 0.16), (0.95, 0.75, 0.15), (0.15, 0.40, 0.75), (0.20, 0.55, 0.30), (0.92, 0.50, 0.15),
    (0.55, 0.22, 0.55), (0.12, 0.12, 0.13), (0.95, 0.95, 0.94), (0.55, 0.56, 0.58), (0.90, 0.60, 0.68),
)  # fmt: skip
"""Things that lie about."""


def clutter_room(b: _Builder, depth: float, half: float) -> None:
    """Things at the wall behind, at the sides and on the floor of a room.

    Args:
        b: of the room.
        depth: where the wall behind is, metres.
        half: how far the side walls are, metres.
    """
    if b.chance(0.4):
        kind = (CHECKS, BANDS, BLOTCHES, DOTS, PLAIN)[b.rng.integers(5)]
        rug = b.material(kind, b.pick(_BRIGHT + PAINTS), b.pick(_BRIGHT + PAINTS), size=b.between(0.25, 0.8))
        wide, deep = b.between(1.2, 2.6), b.between(0.9, 1.8)
        b.add("box", (b.between(-0.5, 0.5), 0.0, b.between(-0.6, 0.4)), (wide, 0.012, deep), rug)
    for _ in range(b.rng.integers(0, 4)):
        _hang(b, b.between(-half, half), b.between(1.0, 2.1), depth)
    for _ in range(b.rng.integers(1, 7)):
        _stand(b, b.between(-half + 0.2, half - 0.2), depth + b.between(0.25, 0.7))
    for _ in range(b.rng.integers(0, 4)):
        _stand(b, (1 if b.chance(0.5) else -1) * b.between(0.75, max(0.8, half - 0.2)), b.between(depth + 0.5, 0.2))


def clutter_ground(b: _Builder) -> None:
    """Things in the open: fences, posts, bins, bushes, boxes."""
    if b.chance(0.3):
        wood, z = b.material(PLAIN, b.pick(WOODS + PAINTS)), -b.between(1.6, 4.5)
        gap = b.between(0.25, 0.6)
        for rail in (0.35, 0.75):
            b.add("box", (0.0, rail, z), (14.0, 0.07, 0.04), wood)
        for post in range(-7, 8):
            b.add("box", (post * gap, 0.45, z), (0.08, 0.9, 0.06), wood)
    for _ in range(b.rng.integers(0, 6)):
        _stand(b, b.between(-3.5, 3.5), -b.between(1.2, 6.0))


def _hang(b: _Builder, x: float, y: float, depth: float) -> None:
    """Something on the wall: a picture, a curtain, a screen, a shelf with things."""
    kind = b.rng.integers(4)
    first, second = b.pick(_BRIGHT + PAINTS), b.pick(_BRIGHT + PAINTS)
    if kind == 0:
        art = b.material((BLOTCHES, CHECKS, DOTS, BANDS)[b.rng.integers(4)], first, second, size=b.between(0.08, 0.3))
        width, height = b.between(0.25, 0.9), b.between(0.25, 0.8)
        b.add("box", (x, y, depth), (width + 0.06, height + 0.06, 0.04), b.material(PLAIN, b.pick(WOODS + _BRIGHT)))
        b.add("box", (x, y, depth), (width, height, 0.05), art)
    elif kind == 1:
        cloth = b.material((PINSTRIPES, PLAIN, DOTS)[b.rng.integers(3)], first, _darker(first, 0.12), size=0.16)
        b.add("box", (x, 1.25, depth), (b.between(0.35, 0.9), 2.5, 0.10), cloth)
    elif kind == 2:
        width = b.between(0.6, 1.3)
        b.add("box", (x, y, depth), (width, 0.58 * width, 0.08), b.material(PLAIN, (0.07, 0.07, 0.08)))
    else:
        b.add("box", (x, y, depth + 0.10), (0.9, 0.04, 0.22), b.material(PLAIN, b.pick(WOODS)))
        for place in range(5):
            high = b.between(0.06, 0.26)
            thing = b.material(PLAIN, b.pick(_BRIGHT + PAINTS))
            shape = "box" if b.chance(0.7) else "ball"
            size = (b.between(0.04, 0.14), high, 0.12)
            b.add(shape, (x - 0.36 + 0.18 * place, y + 0.02 + high / 2, depth + 0.1), size, thing)


def _stand(b: _Builder, x: float, z: float) -> None:
    """Something on the ground: boxes, a chair, a lamp, a plant, a ball, a cupboard, a bin."""
    kind = b.rng.integers(7)
    paint = b.material((PLAIN, PLAIN, BLOTCHES, BANDS)[b.rng.integers(4)], b.pick(_BRIGHT + PAINTS + WOODS),
                       b.pick(_BRIGHT + PAINTS), size=b.between(0.1, 0.4))  # fmt: skip
    if kind == 0:
        level = 0.0
        for _ in range(b.rng.integers(1, 4)):
            width, height = b.between(0.2, 0.6), b.between(0.12, 0.4)
            b.add("box", (x, level + height / 2, z), (width, height, b.between(0.2, 0.5)), paint)
            level += height
    elif kind == 1:
        b.add("box", (x, 0.45, z), (0.42, 0.05, 0.42), paint)
        b.add("box", (x, 0.72, z - 0.19), (0.42, 0.5, 0.04), paint)
        for dx, dz in ((-0.18, -0.18), (0.18, -0.18), (-0.18, 0.18), (0.18, 0.18)):
            b.add("box", (x + dx, 0.22, z + dz), (0.04, 0.44, 0.04), paint)
    elif kind == 2:
        b.add("column", (x, 0.0, z), (0.02, 1.4, 0.02), b.material(PLAIN, (0.2, 0.2, 0.2)))
        b.add(
            "column", (x, 1.35, z), (0.22, 0.3, 0.12), b.material(PLAIN, b.pick(((0.98, 0.92, 0.75), (0.9, 0.4, 0.3))))
        )
    elif kind == 3:
        b.potted_plant(x, z, b.between(0.5, 1.5))
    elif kind == 4:
        radius = b.between(0.10, 0.35)
        b.add("ball", (x, radius, z), (radius, radius, radius), paint)
    elif kind == 5:
        height = b.between(0.7, 1.9)
        b.add("box", (x, height / 2, z), (b.between(0.4, 1.1), height, 0.35), paint)
        knob = b.material(PLAIN, (0.2, 0.2, 0.2))
        b.add("ball", (x, 0.55 * height, z + 0.18), (0.03, 0.03, 0.02), knob)
    else:
        b.add("column", (x, 0.0, z), (b.between(0.12, 0.25), b.between(0.4, 1.0), b.between(0.15, 0.28)), paint)


_KINDS = ((_room, 6), (_park, 5), (_street, 4), (_beach, 2), (_gym, 2), (_studio, 3))


def sample_place(rng: np.random.Generator, split: str, edition: int = 1) -> Place:
    """A place whose main colours belong to one split.

    Args:
        rng: where the choices come from.
        split: "train" or "held_out".
        edition: 1, or 2 for surfaces with a grain, more things around, and more kinds of light.
    """
    odds = np.array([odd for _, odd in _KINDS], dtype=float)
    kind, _ = _KINDS[rng.choice(len(_KINDS), p=odds / odds.sum())]
    return kind(_Builder(rng, split == "held_out", edition))
