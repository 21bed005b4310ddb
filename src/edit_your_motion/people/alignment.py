"""The reference's skeletons moved onto the source's person: the paper's Algorithm 1, and a retargeting of every limb.

``paper`` is one scaling and shift for the whole clip. Its width depends on the pose (spread arms make a wide box), and
it gives the source the reference's proportions.

``limbs`` keeps the source person's proportions. What it does, for a tree of bones rooted at the middle of the hips (at
the neck where the hips are not seen):

1. The length of each bone is a high quantile of its lengths in the picture over the clip, of left and right together: a
   bone is seen at its full length when it lies in the picture plane, and shorter otherwise. One that is far shorter
   than people's proportions allow never lay in the plane (the shoulders of somebody who walks by, the thighs of
   somebody who sits) and counts as long as they allow; one that is far longer was misread, and counts so too. A bone
   that is seen in less than half of the frames with the person is not measured: where the legs are out of the picture
   a finder guesses them now and then. Ratios of the two people's lengths are drawn towards that of the whole body, the
   more so the fewer frames there are.
2. Every bone of every reference frame keeps its direction and its foreshortening and is scaled by source length over
   reference length. A joint whose parent is not seen hangs on its nearest seen ancestor, scaled by the bones between.
3. The root's travel is scaled by the legs' ratio, so that feet which rest keep resting.
4. The whole is placed so that the ground, a high quantile of the lower ankle, is the source's; where one of the clips
   shows ankles in less than half of its frames, so that the root's median y is. Where it goes from left to right is
   a choice (`Place`).
5. Eyes, ears and face move rigidly with the nose, hands with their wrists; a hand is scaled by the ratio of the two
   people's palms, which are measured as bones are, or by the forearms' where one clip shows no hand.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from edit_your_motion.config import AlignmentConfig
from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

AlignmentMethod = Literal["paper", "limbs", "none"]

Place = Literal["inside", "median", "start", "filmed"]
"""Where ``limbs`` lets the motion go from left to right: ``median`` puts the middle of its travel at the source's,
``inside`` too, but no farther out of the picture than must be; ``start`` begins where the source begins, and with
``filmed`` the middle of the travel is where the reference's picture has it."""

_FULL_LENGTH_QUANTILE = 0.9
_GROUND_QUANTILE = 0.75
_PRIOR = 16
"""Frames after which a bone's own ratio counts as much as the whole body's: in a few frames hardly any bone has lain in
the picture plane, and people differ less in their proportions than such lengths do."""

_USUAL = 0.5
"""Share of the frames with the person in which a joint must be seen for it to be measured by."""

_LARGEST_DEVIATION = 2.0
"""A bone's ratio stays within this factor of the whole body's: beyond it, the bone was never seen at full length."""

_MIDDLE_HIP = len(BODY_JOINTS)
_INDEX = {name: index for index, name in enumerate((*BODY_JOINTS, "middle_hip"))}
_NECK, _NOSE = _INDEX["neck"], _INDEX["nose"]
_HIPS = [_INDEX["right_hip"], _INDEX["left_hip"]]
_ANKLES = [_INDEX["right_ankle"], _INDEX["left_ankle"]]
_WRISTS = [_INDEX["left_wrist"], _INDEX["right_wrist"]]
_PALM = (0, 9)
"""Of a hand's points, the wrist and the middle finger's knuckle."""
_SIDED_PARENTS = (
    ("shoulder", "neck"), ("elbow", "shoulder"), ("wrist", "elbow"),
    ("hip", "middle_hip"), ("knee", "hip"), ("ankle", "knee"), ("eye", "nose"), ("ear", "nose"),
)  # fmt: skip
_BONE_GROUPS = (
    ((_NECK, _MIDDLE_HIP),),
    ((_NOSE, _NECK),),
    *(
        tuple((_INDEX[f"{side}_{child}"], _INDEX.get(parent, _INDEX.get(f"{side}_{parent}", -1))) for side in sides)
        for child, parent in _SIDED_PARENTS
        for sides in [("right", "left")]
    ),
)
"""(child, parent) of each bone; left and right, which are equally long, stand together."""
_TORSO, _THIGH, _SHIN, _EYE, _EAR = 0, 6, 7, 8, 9

_STATURE_SHARES = np.array([0.288, 0.0, 0.129, 0.186, 0.146, 0.055, 0.245, 0.246, 0.0, 0.0])
"""Bone lengths as shares of the stature (Drillis and Contini, 1966), in the order of the groups; 0 for the head's."""

_SHORTEST_BONE, _LONGEST_BONE = 0.8, 1.5
"""How much shorter and longer than that share a person's bone may be."""


@dataclass(frozen=True)
class _Clip:
    """A clip's joints, the middle of the hips as a 19th, and which are seen."""

    joints: Float[np.ndarray, "f 19 2"]
    seen: Bool[np.ndarray, "f 19"]

    @classmethod
    def of(cls, keypoints: Keypoints, threshold: float) -> "_Clip":
        joints = keypoints.body[..., :2].astype(np.float64)
        seen = keypoints.visible(threshold)
        return cls(
            np.concatenate([joints, joints[:, _HIPS].mean(axis=1, keepdims=True)], axis=1),
            np.concatenate([seen, seen[:, _HIPS].all(axis=1, keepdims=True)], axis=1),
        )

    def share(self, seen: Bool[np.ndarray, " f"]) -> float:
        """The share, [0, 1], that these frames have of all that show anything of the person."""
        return float(seen.sum() / max(self.seen.any(axis=1).sum(), 1))


@dataclass(frozen=True)
class _Proportions:
    """How much longer the source's bones are than the reference's.

    Args:
        lengths: of the reference's bone to each joint's parent, pixels; 0 where it was never seen.
        ratios: source length over reference length of the same bones.
        body: the ratio of torso and legs, or of whatever both clips show.
        legs: the ratio of the legs alone; `body` where they are not seen.
    """

    lengths: Float[np.ndarray, "19"]
    ratios: Float[np.ndarray, "19"]
    body: float
    legs: float


def align(
    reference: Keypoints,
    source: Keypoints,
    method: AlignmentMethod = "paper",
    *,
    place: Place = "median",
    threshold: float = 0.3,
) -> Keypoints:
    """The reference's motion in the place of the source's person, on the source's canvas.

    Args:
        reference: whose motion.
        source: whose place and size; its number of frames need not be the reference's.
        method: "paper" for Algorithm 1 (x' = p_r + (x - p_r) w_s / w_r - (p_r - p_s), y with heights), "limbs" for the
            retargeting of every limb, "none" for the reference's canvas fitted into the source's.
        place: of "limbs": where the motion goes from left to right, see `Place`.
        threshold: joints up to this confidence take no part in the measuring; they are moved with the others.

    Returns:
        As many frames as the reference has, with its confidences.

    Raises:
        ConfigError: no such method.
        PersonError: the two clips show no joints in common, or too few to measure a size.
    """
    if method not in get_args(AlignmentMethod):
        raise ConfigError(f"expected an alignment of {', '.join(get_args(AlignmentMethod))}, got {method!r}")
    if place not in get_args(Place):
        raise ConfigError(f"expected a place of {', '.join(get_args(Place))}, got {place!r}")
    if method == "none":
        return _fit_canvas(reference, source)
    if method == "paper":
        return _offset_skeletons(reference, source, threshold)
    return _retarget_limbs(reference, source, place, threshold)


def align_as(config: AlignmentConfig, reference: Keypoints, source: Keypoints) -> Keypoints:
    """`align`, as the configuration asks for it, and then moved as somebody has put it by hand."""
    return _put_by_hand(align(reference, source, config.method, place=config.place), config)


def _put_by_hand(aligned: Keypoints, config: AlignmentConfig, threshold: float = 0.3) -> Keypoints:
    """Larger or smaller around the middle of the ground that the person stands on, and then shifted."""
    seen = aligned.visible(threshold)
    points = aligned.body[..., :2].astype(np.float64)
    there = seen.any(axis=1)
    if not there.any():
        return aligned
    lowest = np.where(seen, points[..., 1], -np.inf).max(axis=1)[there]
    feet = np.array([np.median(points[seen][:, 0]), np.quantile(lowest, _GROUND_QUANTILE)])
    shift = np.array([config.right * aligned.width, config.down * aligned.height])
    scale = np.full(2, config.size)
    return aligned.mapped(scale, feet * (1 - config.size) + shift, aligned.height, aligned.width)


def _fit_canvas(reference: Keypoints, source: Keypoints) -> Keypoints:
    scale, margin = _canvas_fit(reference, source)
    return reference.mapped(np.array([scale, scale]), margin, source.height, source.width)


def _canvas_fit(reference: Keypoints, source: Keypoints) -> tuple[float, Float[np.ndarray, "2"]]:
    """Scale and offset that bring the reference's canvas into the middle of the source's, as large as it fits."""
    scale = min(source.height / reference.height, source.width / reference.width)
    return scale, np.array([source.width - scale * reference.width, source.height - scale * reference.height]) / 2


def _offset_skeletons(reference: Keypoints, source: Keypoints, threshold: float) -> Keypoints:
    """Algorithm 1 with one transform for the clip: p is `centre`, (w, h) is `size`."""
    shared = _shared_joints(reference.visible(threshold), source.visible(threshold))
    centre_reference, size_reference = _measure_box(reference, shared, threshold, "reference")
    centre_source, size_source = _measure_box(source, shared, threshold, "source")
    scale = size_source / size_reference
    return reference.mapped(scale, centre_source - scale * centre_reference, source.height, source.width)


def _shared_joints(reference: Bool[np.ndarray, "f k"], source: Bool[np.ndarray, "g k"]) -> Bool[np.ndarray, "k"]:
    """The joints that both clips show in at least half of the frames that show anybody, or else show at all.

    Only these can be compared: where the source's legs are out of the picture, the reference's must not count.
    """
    shares = [seen[seen.any(axis=1)].mean(axis=0) if seen.any() else np.zeros(18) for seen in (reference, source)]
    usual = (shares[0] >= _USUAL) & (shares[1] >= _USUAL)
    ever = (shares[0] > 0) & (shares[1] > 0)
    if not ever.any():
        counts = " and ".join(f"{int((share > 0).sum())} in the {name}" for share, name in
                              zip(shares, ("reference", "source"), strict=True))  # fmt: skip
        raise PersonError(
            f"expected joints that are visible in both clips, got {counts} and none in common: "
            "look at the keypoints, or lower the threshold"
        )
    return usual if usual.sum() > 1 else ever


def _measure_box(
    keypoints: Keypoints, joints: Bool[np.ndarray, "18"], threshold: float, name: str
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Median centre and median (width, height) of the frames' bounding boxes."""
    seen = keypoints.visible(threshold) & joints
    some = seen.any(axis=1)
    points = keypoints.body[some, :, :2].astype(np.float64)
    hidden = ~seen[some][..., None]
    low = np.where(hidden, np.inf, points).min(axis=1)
    high = np.where(hidden, -np.inf, points).max(axis=1)
    size = np.median(high - low, axis=0)
    if (size <= 0).any():
        raise PersonError(
            f"expected a {name} skeleton with a width and a height, got {size[0]:.1f} x {size[1]:.1f} pixels from the "
            f"{int(joints.sum())} joints that both clips show: look at the keypoints"
        )
    return np.median((low + high) / 2, axis=0), size


def _retarget_limbs(reference: Keypoints, source: Keypoints, place: Place, threshold: float) -> Keypoints:
    _shared_joints(reference.visible(threshold), source.visible(threshold))
    moving, standing = (_drop_misread(_Clip.of(clip, threshold)) for clip in (reference, source))
    root = _choose_root(moving, standing)
    proportions = _compare(moving, standing)
    path = _root_path(moving, root)
    moving = replace(moving, joints=_with_root(moving.joints, root, path), seen=_with_root(moving.seen, root, True))
    moved = _walk(moving, root, path * proportions.legs, proportions)
    moved[..., 1] += _ground_shift(moved, moving, standing, root)
    if place == "filmed":
        scale, margin = _canvas_fit(reference, source)
        moved[..., 0] += scale * np.median(path[:, 0]) + margin[0] - np.median(moved[:, root, 0])
    else:
        moved[..., 0] += _place_shift(moved, moving.seen, standing, root, place, source.width)

    def carry(points: np.ndarray, anchor: int, scale: float) -> np.ndarray:
        """Points moved rigidly with a joint, or with the root where it is not seen."""
        seen = moving.seen[:, anchor, None]
        before = np.where(seen, moving.joints[:, anchor], moving.joints[:, root])
        after = np.where(seen, moved[:, anchor], moved[:, root])
        carried = points.copy()
        carried[..., :2] = after[:, None] + (points[..., :2] - before[:, None]) * scale
        return carried

    body = reference.body.copy()
    body[..., :2] = moved[:, : len(BODY_JOINTS)]
    hands, face = reference.hands, reference.face
    if hands is not None:
        scale = _compare_palms(reference, source, threshold, proportions)
        sides = [carry(hands[:, side], wrist, scale) for side, wrist in enumerate(_WRISTS)]
        hands = np.stack(sides, axis=1)
    if face is not None:
        face = carry(face, _NOSE, float(proportions.ratios[_INDEX["right_eye"]]))
    return Keypoints(body=body, height=source.height, width=source.width, hands=hands, face=face)


def _compare_palms(reference: Keypoints, source: Keypoints, threshold: float, proportions: _Proportions) -> float:
    """How much larger the source's hands are than the reference's."""
    forearm = float(proportions.ratios[_WRISTS[0]])
    palms = [_full_palm(clip, threshold) for clip in (reference, source)]
    if min(palms) <= 0:
        return forearm
    least, most = proportions.body / _LARGEST_DEVIATION, proportions.body * _LARGEST_DEVIATION
    return float(np.clip(palms[1] / palms[0], least, most))


def _full_palm(clip: Keypoints, threshold: float) -> float:
    """From the wrist to the middle finger's knuckle when the palm lies in the picture plane, pixels; 0 if unseen."""
    if clip.hands is None:
        return 0.0
    ends = clip.hands[:, :, list(_PALM)].astype(np.float64)
    lengths = np.linalg.norm(ends[..., 0, :2] - ends[..., 1, :2], axis=-1)[(ends[..., 2] > threshold).all(axis=-1)]
    return float(np.quantile(lengths, _FULL_LENGTH_QUANTILE)) if lengths.size else 0.0


def _choose_root(moving: _Clip, standing: _Clip) -> int:
    """The first of hips, neck and nose that both clips usually show, else the one that they show most."""
    shares = {
        root: min(clip.share(clip.seen[:, root]) for clip in (moving, standing)) for root in (_MIDDLE_HIP, _NECK, _NOSE)
    }
    if not any(shares.values()):
        raise PersonError(
            'expected the nose, the neck or both hips in both clips, as alignment by "limbs" needs, got none of them: '
            'use "paper"'
        )
    return next((root for root, share in shares.items() if share >= _USUAL), max(shares, key=lambda root: shares[root]))


def _compare(moving: _Clip, standing: _Clip) -> _Proportions:
    for least in (_USUAL, 0.0):
        lengths = [_measure_bones(clip, least) for clip in (moving, standing)]
        known = (lengths[0] > 0) & (lengths[1] > 0)
        if known.any():
            break
    else:
        raise PersonError('expected a bone that both clips show, got none: look at the keypoints, or use "paper"')

    def ratio(groups: list[int], otherwise: float) -> float:
        """Over groups that both clips show: a sum forgives one bone's error."""
        both = [group for group in groups if known[group]]
        return float(lengths[1][both].sum() / lengths[0][both].sum()) if both else otherwise

    body = ratio([_TORSO, _THIGH, _SHIN], ratio(list(range(len(_BONE_GROUPS))), 1.0))
    ratios = np.full(len(_BONE_GROUPS), body)
    ratios[known] = np.clip(lengths[1][known] / lengths[0][known], body / _LARGEST_DEVIATION, body * _LARGEST_DEVIATION)
    head = ratio([_EYE, _EAR], ratios[1])
    ratios[[_EYE, _EAR]] = np.clip(head, body / _LARGEST_DEVIATION, body * _LARGEST_DEVIATION)
    legs = ratio([_THIGH, _SHIN], body) if known[_THIGH] and known[_SHIN] else body
    frames = min(int(clip.seen.any(axis=1).sum()) for clip in (moving, standing))
    own = frames / (frames + _PRIOR)
    ratios, legs = body * (ratios / body) ** own, body * (legs / body) ** own

    joint_lengths, joint_ratios = np.zeros(len(_INDEX)), np.full(len(_INDEX), body)
    for group, length, scale in zip(_BONE_GROUPS, lengths[0], ratios, strict=True):
        for child, _ in group:
            joint_lengths[child], joint_ratios[child] = length, scale
    return _Proportions(joint_lengths, joint_ratios, body, legs)


def _drop_misread(clip: _Clip) -> _Clip:
    """The clip without joints at the end of bones that are far longer than they are in most frames."""
    seen = clip.seen.copy()
    for group, length in zip(_BONE_GROUPS, _measure_bones(clip), strict=True):
        for child, parent in group if length > 0 else ():
            far = np.linalg.norm(clip.joints[:, child] - clip.joints[:, parent], axis=-1) > _LONGEST_BONE * length
            seen[far & _both_seen(clip, (child, parent)), child] = False
    return replace(clip, seen=seen)


def _measure_bones(clip: _Clip, least: float = _USUAL) -> Float[np.ndarray, "groups"]:
    """The lengths of the bones of each group in pixels, as people's can be.

    Args:
        clip: the joints.
        least: share of the frames that must show one of a group's bones; below it its length is 0.
    """
    shown = [np.any([_both_seen(clip, bone) for bone in group], axis=0) for group in _BONE_GROUPS]
    lengths = np.array([
        _full_length(clip, group) if clip.share(seen) >= least else 0.0
        for group, seen in zip(_BONE_GROUPS, shown, strict=True)
    ])  # fmt: skip
    trunk = [group for group in (_TORSO, _THIGH, _SHIN) if lengths[group] > 0]
    if trunk:
        usual = _STATURE_SHARES * np.median(lengths[trunk] / _STATURE_SHARES[trunk])
        lengths = np.where(lengths > 0, np.maximum(lengths, _SHORTEST_BONE * usual), 0)
        if len(trunk) == 3:  # the median of fewer does not tell a bone too long from others too short
            lengths = np.where(usual > 0, np.minimum(lengths, _LONGEST_BONE * usual), lengths)
    return lengths


def _both_seen(clip: _Clip, bone: tuple[int, int]) -> Bool[np.ndarray, " f"]:
    child, parent = bone
    return clip.seen[:, child] & clip.seen[:, parent]


def _full_length(clip: _Clip, group: tuple[tuple[int, int], ...]) -> float:
    """The length in pixels of the bones of a group when they lie in the picture plane; 0 where none is ever seen."""
    observed = [
        np.linalg.norm(clip.joints[both, child] - clip.joints[both, parent], axis=-1)
        for child, parent in group
        for both in [_both_seen(clip, (child, parent))]
    ]
    every = np.concatenate(observed)
    return float(np.quantile(every, _FULL_LENGTH_QUANTILE)) if every.size else 0.0


def _root_path(clip: _Clip, root: int) -> Float[np.ndarray, "f 2"]:
    """Where the root is in every frame, between the frames that show it on a straight line."""
    seen = np.flatnonzero(clip.seen[:, root])
    frames = np.arange(len(clip.joints))
    return np.stack([np.interp(frames, seen, clip.joints[seen, root, axis]) for axis in (0, 1)], axis=-1)


def _with_root(values: np.ndarray, root: int, replacement: np.ndarray | bool) -> np.ndarray:
    changed = values.copy()
    changed[:, root] = replacement
    return changed


def _walk(
    clip: _Clip, root: int, path: Float[np.ndarray, "f 2"], proportions: _Proportions
) -> Float[np.ndarray, "f 19 2"]:
    """Every joint on its scaled bone, from the root at `path` outwards."""
    parents = {child: parent for group in _BONE_GROUPS for child, parent in group}
    lengths, ratios = proportions.lengths.copy(), proportions.ratios.copy()
    # The bones between the root and the hips are walked the other way round.
    below, joint = root, parents.pop(root, None)
    while joint is not None:
        lengths[joint], ratios[joint] = proportions.lengths[below], proportions.ratios[below]
        above = parents.get(joint)
        parents[joint] = below
        below, joint = joint, above

    moved = _with_root(np.zeros_like(clip.joints), root, path)
    waiting = [root]
    for parent in waiting:
        waiting += [child for child, of in parents.items() if of == parent]
    for joint in waiting[1:]:
        ancestor, placed = joint, np.zeros(len(clip.joints), bool)
        before = after = 0.0
        while ancestor != root:
            before, after = before + lengths[ancestor], after + lengths[ancestor] * ratios[ancestor]
            ancestor = parents[ancestor]
            now = clip.seen[:, ancestor] & ~placed
            scale = after / before if before > 0 else proportions.body
            moved[now, joint] = moved[now, ancestor] + (clip.joints[now, joint] - clip.joints[now, ancestor]) * scale
            placed |= now
    return moved


def _ground_shift(moved: Float[np.ndarray, "f 19 2"], moving: _Clip, standing: _Clip, root: int) -> float:
    """How far down the moved skeletons must go to stand where the source does, pixels."""
    grounds = [_ground(standing), _ground(replace(moving, joints=moved))]
    if grounds[0] is not None and grounds[1] is not None:
        return grounds[0] - grounds[1]
    return float(np.median(standing.joints[standing.seen[:, root], root, 1]) - np.median(moved[:, root, 1]))


def _ground(clip: _Clip) -> float | None:
    """The y on which the lower ankle rests most of the time; None where ankles are not usually seen."""
    lowest = np.where(clip.seen[:, _ANKLES], clip.joints[:, _ANKLES, 1], -np.inf).max(axis=1)
    shown = np.isfinite(lowest)
    return float(np.quantile(lowest[shown], _GROUND_QUANTILE)) if clip.share(shown) >= _USUAL else None


def _place_shift(
    moved: Float[np.ndarray, "f 19 2"],
    seen: Bool[np.ndarray, "f 19"],
    standing: _Clip,
    root: int,
    place: Place,
    width: int,
) -> float:
    """How far to the right the moved skeletons must go, pixels."""
    places = _root_path(standing, root)[:, 0]
    path = moved[:, root, 0]
    if place == "start":
        return float(places[0] - path[0])
    shift = float(np.median(places) - np.median(path))
    if place == "median" or not seen.any():
        return shift
    there = seen.any(axis=1)
    path, x, seen = path[there] + shift, moved[there, :, 0] + shift, seen[there]
    lefts, rights = np.where(seen, x, np.inf).min(axis=1), np.where(seen, x, -np.inf).max(axis=1)
    # Somebody who stands at the picture's edge may be cut by it as before.
    left = min(0.0, places.min() - np.median(path - lefts))
    right = max(float(width), places.max() + np.median(rights - path))
    least, most = left - lefts.min(), right - rights.max()
    return shift + float(np.clip(0, least, most) if least <= most else (least + most) / 2)
