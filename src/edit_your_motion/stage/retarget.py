"""From the positions of markers to the rotations of a body's bones."""

import numpy as np
from jaxtyping import Float

from edit_your_motion.stage.body import BONE, Body
from edit_your_motion.stage.stick_figure import MARKER, cross

CLAVICLE_SHARE = 0.3
"""How much of an arm's raise above the horizontal the clavicle takes."""

HINGE_TRUST = 6.0
"""How fast a bent limb's own plane takes over from the minimal swing in deciding its twist."""


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), 1e-9)


def frame_from(up: Float[np.ndarray, "*s 3"], left: Float[np.ndarray, "*s 3"]) -> Float[np.ndarray, "*s 3 3"]:
    """Rotations whose columns are left, up and front: `up` is kept, `left` is made perpendicular to it."""
    up = _unit(up)
    left = _unit(left - (left * up).sum(axis=-1, keepdims=True) * up)
    return np.stack([left, up, cross(left, up)], axis=-1)


def swing(start: Float[np.ndarray, "*s 3"], end: Float[np.ndarray, "*s 3"]) -> Float[np.ndarray, "*s 3 3"]:
    """The smallest rotations that take one direction to the other."""
    start, end = np.broadcast_arrays(_unit(start), _unit(end))
    # Rodrigues with sin and cos from cross and dot: I + [v] + [v]^2 / (1 + c); opposite directions turn about any axis.
    v, c = cross(start, end), (start * end).sum(axis=-1)
    hat = np.zeros((*c.shape, 3, 3))
    hat[..., [2, 0, 1], [1, 2, 0]] = v
    hat[..., [1, 2, 0], [2, 0, 1]] = -v
    smooth = np.eye(3) + hat + hat @ hat / np.maximum(1 + c, 1e-6)[..., None, None]
    axis = _unit(cross(start, np.where(np.abs(start[..., :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0])))
    flipped = 2 * axis[..., :, None] * axis[..., None, :] - np.eye(3)
    return np.where((c < -0.9999)[..., None, None], flipped, smooth)


def _halfway(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Rotations this share of the way from one to another, by blending their columns."""
    mixed = (1 - share) * first + share * second
    return frame_from(mixed[..., :, 1], mixed[..., :, 0])


def _limb(
    parent: np.ndarray, rest: tuple[np.ndarray, np.ndarray], hinge: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of a limb's two bones: they point along `upper` and `lower`, and bend about the hinge.

    A straight limb's twist comes from the smallest swing that the parent allows, a bent one's from its own plane.
    """
    upper, lower = _unit(upper), _unit(lower)
    carried = parent @ rest[0]
    axis = (swing(carried, upper) @ parent) @ hinge
    bent = cross(upper, lower)
    axis = _unit(axis + HINGE_TRUST * np.linalg.norm(bent, axis=-1, keepdims=True) * bent)

    def oriented(direction: np.ndarray, across: np.ndarray, at_rest: np.ndarray, across_rest: np.ndarray) -> np.ndarray:
        return frame_from(direction, across) @ frame_from(at_rest, across_rest).swapaxes(-1, -2)

    return oriented(upper, axis, rest[0], hinge), oriented(lower, axis, rest[1], hinge)


def retarget(markers: Float[np.ndarray, "f 19 3"], body: Body) -> Float[np.ndarray, "f 22 3 3"]:
    """Rotations of the body's bones in the world that make it do what the markers do.

    Pelvis and chest follow the frames of hips and shoulders, the spine lies between them, each limb points where its
    markers point. Only directions count, so figures of any build can lead bodies of any build.

    Args:
        markers: positions of `stick_figure.MARKERS`, metres.
    """
    at = {name: markers[:, index] for name, index in MARKER.items()}
    joint = {name: body.joints[index] for name, index in BONE.items()}
    rotations = np.empty((len(markers), len(BONE), 3, 3))

    pelvis = frame_from(at["spine"] - at["pelvis"], at["left_hip"] - at["right_hip"])
    chest = frame_from(at["neck"] - at["spine"], at["left_shoulder"] - at["right_shoulder"])
    nose, crown = at["nose"] - at["neck"], at["crown"] - at["neck"]
    head = frame_from(crown, cross(crown, nose))
    for name, value in (
        ("pelvis", pelvis),
        ("spine", _halfway(pelvis, chest, 0.35)),
        ("waist", _halfway(pelvis, chest, 0.7)),
        ("chest", chest),
        ("neck", _halfway(chest, head, 0.5)),
        ("head", head),
    ):
        rotations[:, BONE[name]] = value

    for side in ("left", "right"):
        upper = at[f"{side}_elbow"] - at[f"{side}_shoulder"]
        lower = at[f"{side}_wrist"] - at[f"{side}_elbow"]
        rest = (
            joint[f"{side}_forearm"] - joint[f"{side}_upper_arm"],
            joint[f"{side}_hand"] - joint[f"{side}_forearm"],
        )
        clavicle = _raise_clavicle(chest, _unit(upper), side)
        arm, forearm = _limb(clavicle, rest, _unit(cross(*rest)), upper, lower)
        for name, value in (("clavicle", clavicle), ("upper_arm", arm), ("forearm", forearm), ("hand", forearm)):
            rotations[:, BONE[f"{side}_{name}"]] = value

        upper = at[f"{side}_knee"] - at[f"{side}_hip"]
        lower = at[f"{side}_ankle"] - at[f"{side}_knee"]
        rest = (joint[f"{side}_shin"] - joint[f"{side}_thigh"], joint[f"{side}_foot"] - joint[f"{side}_shin"])
        thigh, shin = _limb(pelvis, rest, np.array([1.0, 0.0, 0.0]), upper, lower)
        toward = _unit(at[f"{side}_toe"] - at[f"{side}_ankle"])
        foot_left = shin[..., :, 0]
        foot = frame_from(cross(toward, foot_left), foot_left)
        for name, value in (("thigh", thigh), ("shin", shin), ("foot", foot), ("toes", foot)):
            rotations[:, BONE[f"{side}_{name}"]] = value
    return rotations


def _raise_clavicle(chest: np.ndarray, upper: np.ndarray, side: str) -> np.ndarray:
    """The chest's rotation, and a shrug of the shoulder whose arm is raised above the horizontal."""
    along = (chest.swapaxes(-1, -2) @ upper[..., None])[..., 0]
    raised = np.maximum(0.0, along[:, 1]) * CLAVICLE_SHARE
    outward = 1.0 if side == "left" else -1.0
    resting = np.broadcast_to([outward, 0.0, 0.0], along.shape)
    lifted = np.stack([np.full_like(raised, outward), 2 * raised, np.zeros_like(raised)], axis=-1)
    return chest @ swing(resting, lifted)
