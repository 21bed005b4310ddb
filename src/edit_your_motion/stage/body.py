"""The parametric body: shapes of people, and their skin in a pose."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from edit_your_motion.stage.surface import vertex_normals

DATA = Path(__file__).parent / "data"

BONES = (
    "pelvis", "spine", "waist", "chest", "neck", "head",
    *(f"{side}_{bone}" for side in ("left", "right")
      for bone in ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toes")),
)  # fmt: skip
"""The bones that move the skin, parents first; left and right are the person's own."""

BONE = {name: index for index, name in enumerate(BONES)}

_TORSO = ("pelvis", "spine", "waist", "chest")
_ABOVE = {
    **{child: parent for parent, child in zip((*_TORSO, "neck"), (*_TORSO[1:], "neck", "head"), strict=True)},
    **{f"{side}_{bone}": parent if parent in ("chest", "pelvis") else f"{side}_{parent}"
       for side in ("left", "right")
       for bone, parent in (("clavicle", "chest"), ("upper_arm", "clavicle"), ("forearm", "upper_arm"),
                            ("hand", "forearm"), ("thigh", "pelvis"), ("shin", "thigh"), ("foot", "shin"),
                            ("toes", "foot"))},
}  # fmt: skip
PARENTS = tuple(BONE[_ABOVE[name]] if name in _ABOVE else -1 for name in BONES)

LANDMARKS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""COCO's points as the body data places them."""


@dataclass(frozen=True)
class Body:
    """A person at rest: the whole cast's template, or one shape of it.

    Metres; x to the person's left, y up from the ground, z to the front; arms hang at about 45 degrees.

    Args:
        vertices: of the skin.
        joints: where each of `BONES` begins.
        landmarks: `LANDMARKS`, inside the limbs and on the face.
        weights: share of each bone in each vertex; rows sum to 1.
        landmark_weights: the same for the landmarks.
        triangles: over the vertices, counter-clockwise seen from outside.
    """

    vertices: Float[np.ndarray, "v 3"]
    joints: Float[np.ndarray, "22 3"]
    landmarks: Float[np.ndarray, "17 3"]
    weights: Float[np.ndarray, "v 22"]
    landmark_weights: Float[np.ndarray, "17 22"]
    triangles: Int[np.ndarray, "t 3"]

    @cached_property
    def normals(self) -> Float[np.ndarray, "v 3"]:
        """Outward normals of the vertices, of length 1."""
        return vertex_normals(self.vertices, self.triangles)


@dataclass(frozen=True)
class Cast:
    """The template and everything that makes bodies of it.

    Args:
        template: the mean body.
        vertex_directions: principal shape directions, metres per standard deviation.
        joint_directions: the same for the joints.
        landmark_directions: the same for the landmarks.
        bodies: coefficients of sampled people along the directions.
        male: which of the sampled people are men.
        old: which are elderly.
    """

    template: Body
    vertex_directions: Float[np.ndarray, "d v 3"]
    joint_directions: Float[np.ndarray, "d 22 3"]
    landmark_directions: Float[np.ndarray, "d 17 3"]
    bodies: Float[np.ndarray, "people d"]
    male: Bool[np.ndarray, "people"]
    old: Bool[np.ndarray, "people"]

    def shaped(self, coefficients: Float[np.ndarray, "d"]) -> Body:
        """The body of somebody with these coefficients along the shape directions."""
        template = self.template
        return Body(
            template.vertices + np.tensordot(coefficients, self.vertex_directions, 1),
            template.joints + np.tensordot(coefficients, self.joint_directions, 1),
            template.landmarks + np.tensordot(coefficients, self.landmark_directions, 1),
            template.weights,
            template.landmark_weights,
            template.triangles,
        )


@cache
def load_cast() -> Cast:
    """The packaged body data (see scripts/build_stage_data.py for where it comes from)."""
    with np.load(DATA / "body.npz", allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    data = {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in data.items()}
    for name in ("weights", "landmark_weights"):
        data[name] /= data[name].sum(axis=1, keepdims=True)
    template = Body(
        data["vertices"],
        data["joints"],
        data["landmarks"],
        data["weights"],
        data["landmark_weights"],
        data["triangles"].astype(np.int32),
    )
    return Cast(
        template,
        data["vertex_directions"],
        data["joint_directions"],
        data["landmark_directions"],
        data["bodies"],
        data["male"],
        data["old"],
    )


def bone_transforms(
    joints: Float[np.ndarray, "22 3"], rotations: Float[np.ndarray, "f 22 3 3"], root: Float[np.ndarray, "f 3"]
) -> Float[np.ndarray, "f 22 3 4"]:
    """What takes each bone's points from rest to the pose: [R | t] with t = joint - R rest.

    Args:
        joints: at rest, metres.
        rotations: of each bone in the world, rest being the identity.
        root: where the pelvis joint goes, metres.
    """
    posed = np.empty((len(rotations), len(BONES), 3))
    for bone, parent in enumerate(PARENTS):
        if parent < 0:
            posed[:, bone] = root
        else:
            posed[:, bone] = posed[:, parent] + rotations[:, parent] @ (joints[bone] - joints[parent])
    offset = posed - np.einsum("fbij,bj->fbi", rotations, joints)
    return np.concatenate([rotations, offset[..., None]], axis=-1)


def skin(
    points: Float[np.ndarray, "v 3"], weights: Float[np.ndarray, "v 22"], transforms: Float[np.ndarray, "22 3 4"]
) -> Float[np.ndarray, "v 3"]:
    """Linear blend skinning of points at rest: sum over bones of w (R x + t)."""
    blended = np.tensordot(weights, transforms, 1)
    return np.einsum("vij,vj->vi", blended[..., :3], points) + blended[..., 3]
