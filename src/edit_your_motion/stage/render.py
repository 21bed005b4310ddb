"""Scenes to pictures, with the truth about every frame."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from edit_your_motion.errors import ConfigError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.stage import rasterizer
from edit_your_motion.stage.body import BONE, LANDMARKS, bone_transforms, skin
from edit_your_motion.stage.camera import Camera
from edit_your_motion.stage.caption import caption
from edit_your_motion.stage.figure import Figure, make_figure
from edit_your_motion.stage.places import Place
from edit_your_motion.stage.rasterizer import SAMPLES
from edit_your_motion.stage.retarget import retarget
from edit_your_motion.stage.scene import Scene, clearance, stage_root
from edit_your_motion.stage.solids import Surface, tessellate

NEAR = 0.2
"""Nothing nearer to the camera is drawn, metres."""

MAX_SIDE = 2048
"""Pixels along the longest side that a picture may have."""

_FACE_DEPTH, _LIMB_DEPTH = 0.06, 0.28
"""How far behind the surface that hides it a point of the face, or a joint inside a limb, still counts as seen."""


@dataclass(frozen=True)
class RenderedClip:
    """A rendered scene and the truth about it.

    Args:
        frames: sRGB.
        keypoints: OpenPose-18; confidence 1 where a joint is seen, 0 where something hides it or it is outside.
        masks: where the person is.
        parts: what of the person is seen there, 1 + one of the rows of materials of `stage.figure`; 0 elsewhere.
        backgrounds: the same place without anybody; one picture when the camera stands still, else one per frame.
        depth: metres along the camera's axis, infinity for the sky.
        shadows: where the person's contact shadow darkens the ground.
        caption: what is to be seen, in words.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    keypoints: Keypoints
    masks: Bool[np.ndarray, "f h w"]
    parts: UInt8[np.ndarray, "f h w"]
    backgrounds: UInt8[np.ndarray, "places h w 3"]
    depth: Float32[np.ndarray, "f h w"]
    shadows: Bool[np.ndarray, "f h w"]
    caption: str


def render_clip(
    scene: Scene, *, frames: int, size: tuple[int, int] = (256, 256), start: float | int = 0, fps: float | int = 12
) -> RenderedClip:
    """The scene over time; bit for bit the same at every call on one machine.

    Args:
        scene: what to show.
        frames: how many, 1 or more.
        size: height and width, pixels.
        start: seconds into the scene.
        fps: frames per second.

    Raises:
        ConfigError: a size, a number of frames or a rate that cannot be.
    """
    height, width = size
    if frames < 1 or not 8 <= min(size) <= max(size) <= MAX_SIDE or fps <= 0:
        raise ConfigError(
            f"expected at least 1 frame, sides of 8 to {MAX_SIDE} pixels and a positive rate; "
            f"got {frames} frames of {height}x{width} at {fps} per second"
        )
    seconds = start + np.arange(frames) / fps
    figure = make_figure(scene.identity)
    motion, markers = scene.performance.motion(), _markers(scene, seconds)
    rotations = retarget(markers, figure.body)
    root = stage_root(markers, figure.body.joints) + np.array([scene.offset[0], 0.0, scene.offset[1]])
    transforms = bone_transforms(figure.body.joints, rotations, root)
    heights = clearance(motion, markers)

    pictures = np.empty((frames, height, width, 3), np.uint8)
    depth = np.empty((frames, height, width), np.float32)
    masks, shadows = (np.zeros((frames, height, width), bool) for _ in range(2))
    parts = np.zeros((frames, height, width), np.uint8)
    points = np.zeros((frames, len(BODY_JOINTS), 3), np.float32)
    plates = []
    painter = _Painter(figure, scene.place, height, width)
    for i in range(frames):
        camera = scene.view.at(float(seconds[i]))
        if i == 0 or not scene.view.still:
            plate = paint_plate(scene.place, camera, height, width)
            plates.append(plate.picture)
        pictures[i], depth[i] = plate.picture, plate.depth
        points[i] = painter.paint(
            transforms[i], float(heights[i]), camera, plate, pictures[i], masks[i], parts[i], depth[i], shadows[i]
        )
    keypoints = Keypoints(points, height, width)
    return RenderedClip(pictures, keypoints, masks, parts, np.stack(plates), depth, shadows, caption(scene))


def usual_place(scene: Scene, *, frames: int, fps: float | int) -> tuple[float, float]:
    """Where the pelvis is in the middle of its travel over a clip: metres to the right and towards the camera.

    Args:
        scene: whose person.
        frames: of the clip.
        fps: frames per second.
    """
    root = stage_root(_markers(scene, np.arange(frames) / fps), make_figure(scene.identity).body.joints)
    x, _, z = np.median(root, axis=0)
    return float(x + scene.offset[0]), float(z + scene.offset[1])


def _markers(scene: Scene, seconds: Float[np.ndarray, "f"]) -> Float[np.ndarray, "f markers 3"]:
    performance = scene.performance
    return performance.motion().at(performance.start + seconds * performance.speed)


@dataclass(frozen=True)
class Plate:
    """A place seen by one camera, without anybody.

    Args:
        colours: of the samples.
        inverse: depth of the samples, 1 / metres.
        surface: 1 where a sample shows the ground.
        picture: of the pixels.
        depth: of the pixels, metres.
    """

    colours: UInt8[np.ndarray, "rows columns 3"]
    inverse: Float32[np.ndarray, "rows columns"]
    surface: UInt8[np.ndarray, "rows columns"]
    picture: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]


_NO_FACE = np.zeros(5, np.float32)


@lru_cache(maxsize=4)
def paint_plate(place: Place, camera: Camera, height: int, width: int) -> Plate:
    """The place as the camera sees it; the last few are kept."""
    rows, columns = SAMPLES * height, SAMPLES * width
    plate = Plate(
        np.empty((rows, columns, 3), np.uint8),
        np.empty((rows, columns), np.float32),
        np.empty((rows, columns), np.uint8),
        np.empty((height, width, 3), np.uint8),
        np.empty((height, width), np.float32),
    )
    planes = np.array([(p.axis, p.position, p.material, *p.haze) for p in place.planes], np.float32)
    sky = place.sky
    horizon = np.array([*sky.zenith, *sky.horizon, *sky.hills, sky.height, sky.waves, sky.phase], np.float32)
    materials, light, ray = np.array(place.materials, np.float32), _light_row(place), camera.rays(rows, columns)
    eye = np.array(camera.position, np.float32)
    rasterizer.paint_backdrop(
        ray, eye, planes, materials, horizon, light, _NO_FACE, plate.colours, plate.inverse, plate.surface
    )
    surface = _tessellate(place)
    if len(surface.triangles):
        points, _ = _project(surface.vertices, camera, rows, columns)
        index = np.full((rows, columns), -1, np.int32)
        outside = np.zeros(len(surface.triangles), bool)
        rasterizer.draw(points, surface.triangles, outside, plate.inverse, index)
        rasterizer.shade_samples(
            points, surface.triangles, surface.vertices, surface.normals, materials, surface.material, _NO_FACE,
            light, ray, index, plate.colours, plate.surface,
        )  # fmt: skip
    rasterizer.reduce_samples(plate.colours, plate.inverse, plate.picture, plate.depth)
    return plate


@lru_cache(maxsize=256)
def _tessellate(place: Place) -> Surface:
    return tessellate(place.solids)


def _light_row(place: Place) -> Float32[np.ndarray, "8"]:
    light = place.light
    toward = np.array(light.toward) / np.linalg.norm(light.toward)
    return np.array([*toward, light.ambient, light.direct, *light.tint], np.float32)


def _project(
    vertices: np.ndarray, camera: Camera, rows: int, columns: int
) -> tuple[Float32[np.ndarray, "v 3"], tuple[float, float, float, float]]:
    """Sample x, sample y and inverse depth of vertices, and the samples' top, bottom, left and right."""
    points = np.empty((len(vertices), 3), np.float32)
    limits = rasterizer.project_vertices(
        vertices, camera.rotation.astype(np.float32), np.array(camera.position, np.float32),
        np.float32(camera.focal * rows), np.float32(columns / 2), np.float32(rows / 2), np.float32(NEAR), points,
    )  # fmt: skip
    return points, limits


class _Painter:
    """Draws one person over plates of one size, keeping its buffers between frames."""

    def __init__(self, figure: Figure, place: Place, height: int, width: int) -> None:
        self.figure = figure
        self.light = _light_row(place)
        self.height, self.width = height, width
        self.index = np.full((SAMPLES * height, SAMPLES * width), -1, np.int32)
        self.inverse = np.empty((SAMPLES * height, SAMPLES * width), np.float32)
        self.plate: Plate | None = None
        self.posed = np.empty_like(figure.vertices)
        self.normals = np.empty_like(figure.normals)

    def paint(
        self,
        transforms: np.ndarray,
        clearance: float,
        camera: Camera,
        plate: Plate,
        picture: np.ndarray,
        mask: np.ndarray,
        parts: np.ndarray,
        depth: np.ndarray,
        shaded: np.ndarray,
    ) -> Float32[np.ndarray, "18 3"]:
        """Draw the person into picture, mask, parts, depth and shadow; returns the keypoints."""
        figure = self.figure
        rows, columns = SAMPLES * self.height, SAMPLES * self.width
        if plate is not self.plate:
            self.inverse[:] = plate.inverse
            self.plate = plate
        lowest = rasterizer.pose_vertices(
            figure.vertices, figure.normals, figure.bones, figure.shares, transforms.astype(np.float32),
            self.posed, self.normals,
        )  # fmt: skip
        lift = np.float32(clearance - lowest)
        self.posed[:, 1] += lift
        points, limits = _project(self.posed, camera, rows, columns)
        rasterizer.draw(points, figure.triangles, figure.two_sided, self.inverse, self.index)

        landmarks = skin(figure.body.landmarks, figure.body.landmark_weights, transforms)
        landmarks[:, 1] += lift
        keypoints = self._find_keypoints(landmarks, camera)
        shadows = _contact_shadows(transforms, figure, float(lift))
        shadow_box = self._box(_limits_on_ground(shadows, camera, rows, columns))
        box = _union(self._box(limits), shadow_box)
        rasterizer.composite(
            points, figure.triangles, figure.coordinates, self.normals, figure.materials, figure.material, figure.face,
            self.light, camera.rays(rows, columns), np.array(camera.position, np.float32), shadows,
            plate.colours, plate.inverse, plate.surface, self.index, self.inverse, picture, mask, parts, depth, shaded,
            box, shadow_box,
        )  # fmt: skip
        return keypoints

    def _box(self, limits: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """Top, bottom, left and right, the ends excluded, of the pixels between limits in samples."""
        if not np.isfinite(limits).all():
            return 0, 0, 0, 0
        sides = (self.height, self.height, self.width, self.width)
        top, bottom, left, right = (int(np.clip(x / SAMPLES, -1, side)) for x, side in zip(limits, sides, strict=True))
        return max(top, 0), min(bottom + 1, self.height), max(left, 0), min(right + 1, self.width)

    def _find_keypoints(self, landmarks: np.ndarray, camera: Camera) -> Float32[np.ndarray, "18 3"]:
        """Where the joints are, with confidence 1 where the surface around them is seen."""
        shoulders = landmarks[[LANDMARKS.index(f"{side}_shoulder") for side in ("left", "right")]]
        joints = np.concatenate([landmarks, shoulders.mean(axis=0, keepdims=True)])[_BODY_ORDER]
        projected = camera.project(joints, self.height, self.width)
        places = projected * np.array([SAMPLES, SAMPLES, 1])
        seen = np.zeros(len(places), bool)
        rasterizer.find_visible(
            places, _SURROUNDING, _MARGIN, self.figure.triangles, self.figure.leading, self.index, self.inverse, seen
        )
        seen &= projected[:, 2] > NEAR
        return np.concatenate([projected[:, :2], seen[:, None]], axis=1).astype(np.float32)


def _union(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    if a[0] >= a[1] or b[0] >= b[1]:
        return a if b[0] >= b[1] else b
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def _limits_on_ground(
    shadows: Float32[np.ndarray, "s 4"], camera: Camera, rows: int, columns: int
) -> tuple[float, float, float, float]:
    """Top, bottom, left and right, in samples, of the discs' squares on the ground."""
    x, z, radius = shadows[:, 0], shadows[:, 1], shadows[:, 2]
    corners = [
        np.stack([x + dx * radius, 0 * x, z + dz * radius], axis=1) for dx, dz in ((-1, -1), (-1, 1), (1, -1), (1, 1))
    ]
    _, limits = _project(np.concatenate(corners).astype(np.float32), camera, rows, columns)
    return limits


def _surrounding(name: str) -> tuple[int, ...]:
    """The bones whose surface around a joint shows it."""
    side, _, joint = name.rpartition("_")
    bones = {
        "neck": ("neck", "chest", "head", "left_clavicle", "right_clavicle"),
        "shoulder": (f"{side}_clavicle", f"{side}_upper_arm", "chest"),
        "elbow": (f"{side}_upper_arm", f"{side}_forearm"),
        "wrist": (f"{side}_forearm", f"{side}_hand"),
        "hip": (f"{side}_thigh", "pelvis", "spine"),
        "knee": (f"{side}_thigh", f"{side}_shin", "pelvis"),
        "ankle": (f"{side}_shin", f"{side}_foot", f"{side}_toes"),
    }.get(joint, ("head",))
    return tuple(BONE[bone] for bone in bones)


_BODY_ORDER = [(*LANDMARKS, "neck").index(name) for name in BODY_JOINTS]
_SURROUNDING = np.array([[bone in _surrounding(name) for bone in BONE.values()] for name in BODY_JOINTS])
_MARGIN = np.where(_SURROUNDING.sum(axis=1) == 1, _FACE_DEPTH, _LIMB_DEPTH)

_SHADOWING = tuple(
    BONE[name] for name in ("left_foot", "left_toes", "right_foot", "right_toes", "left_shin", "right_shin", "pelvis",
                            "chest", "left_hand", "right_hand", "head")
)  # fmt: skip


def _contact_shadows(transforms: np.ndarray, figure: Figure, lift: float) -> Float32[np.ndarray, "s 4"]:
    """Discs on the ground below the body's joints: x, z, radius, darkness, wider and fainter with height."""
    joints = figure.body.joints[list(_SHADOWING)]
    chosen = transforms[list(_SHADOWING)]
    posed = np.einsum("bij,bj->bi", chosen[..., :3], joints) + chosen[..., 3]
    above = np.maximum(posed[:, 1] + lift, 0.0)
    radius = 0.16 + 0.25 * above
    return np.stack([posed[:, 0], posed[:, 2], radius, 0.5 * np.exp(-above / 0.45)], axis=1).astype(np.float32)
