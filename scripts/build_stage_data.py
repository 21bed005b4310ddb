"""Extract the packaged data of the stage: one body and its shapes, and the motion clips. Build time only.

Needs, in an environment of its own (nothing of it is needed to render):
``anny==0.6.2`` (code Apache-2.0, body data CC0; install with ``--no-deps``) with ``torch roma trimesh warp-lang pyyaml
safetensors requests``, ``fast-simplification==0.2.0``, ``scipy``, and the unpacked wheel of ``pybullet==3.2.7``
(``pybullet_data/data/motions``, zlib licence). Building the rig takes minutes and anny's cache grows to about 1 GB.

    python scripts/build_stage_data.py body OUT.npz
    python scripts/build_stage_data.py motions MOTIONS_FOLDER OUT.npz
"""

import json
import sys
from pathlib import Path

import numpy as np

from edit_your_motion.stage.body import BONES, LANDMARKS
from edit_your_motion.stage.stick_figure import rotation_about, rotation_from_quaternion, stick_figure_markers

SEED = 20240
BODIES_SAMPLED = 480
DIRECTIONS = 20
TRIANGLES = 5000

RIG = {
    "Hips": "pelvis", "Spine": "spine", "Spine1": "waist", "Spine2": "chest", "Neck": "neck", "Head": "head",
    **{f"{Side}{theirs}": f"{side}_{ours}"
       for Side, side in (("Left", "left"), ("Right", "right"))
       for theirs, ours in (("Shoulder", "clavicle"), ("Arm", "upper_arm"), ("ForeArm", "forearm"), ("Hand", "hand"),
                            ("UpLeg", "thigh"), ("Leg", "shin"), ("Foot", "foot"), ("ToeBase", "toes"))},
}  # fmt: skip

HUMANOID = (
    ("pelvis", 4), ("spine", 4), ("neck", 4),
    ("right_hip", 4), ("right_knee", 1), ("right_ankle", 4), ("right_shoulder", 4), ("right_elbow", 1),
    ("left_hip", 4), ("left_knee", 1), ("left_ankle", 4), ("left_shoulder", 4), ("left_elbow", 1),
)  # fmt: skip
"""What follows duration and root position in a frame of a ``humanoid3d_*.txt``, and how many numbers each takes."""


def bone_of(label: str) -> str:
    """Our bone that a bone of the mixamo rig belongs to."""
    name = label.removeprefix("mixamorig:")
    if "Hand" in name:
        name = name[: name.index("Hand") + len("Hand")]
    return RIG[name]


def our_axes(points: np.ndarray) -> np.ndarray:
    """From anny's z up and y to the back to our y up and z to the front."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def sample_phenotypes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Adults, men (gender 0) and women (1); muscle, weight and height broadly around the middle."""
    gender = np.repeat([0.0, 1.0], BODIES_SAMPLED // 2)
    return {
        "gender": np.where(gender > 0.5, rng.uniform(0.85, 1.0, gender.shape), rng.uniform(0.0, 0.15, gender.shape)),
        "age": np.where(rng.random(gender.shape) < 0.75, rng.uniform(0.6, 0.75, gender.shape),
                        rng.uniform(0.75, 0.95, gender.shape)),
        "muscle": rng.uniform(0.25, 0.85, gender.shape),
        "weight": np.clip(rng.normal(0.5, 0.17, gender.shape), 0.15, 0.95),
        "height": np.clip(rng.normal(0.42, 0.10, gender.shape), 0.2, 0.65),
        "proportions": rng.uniform(0.35, 0.8, gender.shape),
    }  # fmt: skip


def decimate(points: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the vertices that stay and the triangles over them: dense on the face, sparse on hands and feet."""
    import fast_simplification
    from scipy.spatial import cKDTree

    scaled = points.copy()
    for bone, factor in (("left_hand", 0.1), ("right_hand", 0.1), ("left_foot", 0.5), ("right_foot", 0.5)):
        share = weights[:, BONES.index(bone)]
        centre = np.average(points, axis=0, weights=share)
        scaled += (share * (factor - 1))[:, None] * (points - centre)
    head = weights[:, BONES.index("head")]
    centre = np.average(points, axis=0, weights=head)
    scaled += (head * 0.9)[:, None] * (points - centre)
    kept, triangles = fast_simplification.simplify(scaled.astype(np.float32), faces.astype(np.int32),
                                                   target_count=TRIANGLES)  # fmt: skip
    _, nearest = cKDTree(scaled).query(kept)
    triangles = nearest[triangles]
    whole = (np.diff(np.sort(triangles, axis=1), axis=1) > 0).all(axis=1)
    used, renumbered = np.unique(triangles[whole], return_inverse=True)
    return used, renumbered.reshape(-1, 3)


def evaluate(model, phenotypes: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and bone heads at rest of every sampled person."""
    import torch

    with torch.no_grad():
        batches = [
            model(phenotype_kwargs={name: torch.as_tensor(values[i : i + 32]) for name, values in phenotypes.items()})
            for i in range(0, BODIES_SAMPLED, 32)
        ]
    return tuple(our_axes(np.concatenate([batch[f"rest_{part}"].numpy() for batch in batches]))
                 for part in ("vertices", "bone_heads"))  # fmt: skip


def bone_weights(model) -> np.ndarray:
    """Share of each of our bones in each vertex; fingers count for the hand."""
    indices, shares = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    ours = np.array([BONES.index(bone_of(label)) for label in model.bone_labels])
    weights = np.zeros((len(indices), len(BONES)))
    for column in range(indices.shape[1]):
        np.add.at(weights, (np.arange(len(weights)), ours[indices[:, column]]), shares[:, column])
    return weights


def regress_landmarks(phenotypes: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """COCO points of every sampled person and their bone weights; the regressors belong to anny's own topology."""
    import anny
    import torch

    model = anny.Anny(rig="mixamo", topology="anny")
    vertices, _ = evaluate(model, phenotypes)
    regressors = torch.load(Path(anny.__file__).parent / "data/keypoints/coco.pth", weights_only=True)
    regress = np.stack([regressors[name][model.base_mesh_vertex_indices].numpy() for name in LANDMARKS])
    regress /= regress.sum(axis=1, keepdims=True)
    return np.einsum("kv,bvc->bkc", regress, vertices), regress @ bone_weights(model)


def build_body(out: Path) -> None:
    """Sample people, thin out the mesh, and write the mean body with its principal shape directions."""
    import anny
    import torch

    torch.set_num_threads(1)
    model = anny.Anny(rig="mixamo", topology="notoes")
    phenotypes = sample_phenotypes(np.random.default_rng(SEED))
    vertices, heads = evaluate(model, phenotypes)
    weights = bone_weights(model)
    joints = np.stack([heads[:, [label.removeprefix("mixamorig:") for label in model.bone_labels].index(theirs)]
                       for theirs in sorted(RIG, key=lambda name: BONES.index(RIG[name]))], axis=1)  # fmt: skip

    landmarks, landmark_weights = regress_landmarks(phenotypes)

    # Everybody stands on the ground, the pelvis above the origin.
    origin = np.stack([joints[:, 0, 0], vertices[..., 1].min(axis=1), joints[:, 0, 2]], axis=-1)[:, None]
    vertices, joints, landmarks = vertices - origin, joints - origin, landmarks - origin

    used, triangles = decimate(vertices.mean(axis=0), model.faces.numpy(), weights)
    everything = np.concatenate([vertices[:, used], joints, landmarks], axis=1).reshape(BODIES_SAMPLED, -1)
    mean = everything.mean(axis=0)
    left, scale, right = np.linalg.svd(everything - mean, full_matrices=False)
    deviation = scale[:DIRECTIONS] / np.sqrt(BODIES_SAMPLED)
    residual = everything - mean - left[:, :DIRECTIONS] * scale[:DIRECTIONS] @ right[:DIRECTIONS]
    print(f"{len(used)} vertices, {len(triangles)} triangles; "
          f"shape residual {1000 * np.sqrt((residual**2).mean()):.2f} mm")  # fmt: skip

    split = np.cumsum([len(used), len(BONES)])
    basis = (right[:DIRECTIONS] * deviation[:, None]).reshape(DIRECTIONS, -1, 3)
    rest = mean.reshape(-1, 3)
    np.savez_compressed(
        out,
        vertices=rest[: split[0]].astype(np.float32),
        joints=rest[split[0] : split[1]].astype(np.float32),
        landmarks=rest[split[1] :].astype(np.float32),
        vertex_directions=basis[:, : split[0]].astype(np.float16),
        joint_directions=basis[:, split[0] : split[1]].astype(np.float16),
        landmark_directions=basis[:, split[1] :].astype(np.float16),
        weights=weights[used].astype(np.float16),
        landmark_weights=landmark_weights.astype(np.float16),
        triangles=triangles.astype(np.uint16),
        bodies=(left[:, :DIRECTIONS] * np.sqrt(BODIES_SAMPLED)).astype(np.float16),
        male=phenotypes["gender"] < 0.5,
        old=phenotypes["age"] > 0.82,
    )


def read_humanoid(path: Path) -> tuple[np.ndarray, float]:
    """Marker positions and frames per second of one ``humanoid3d_*.txt`` (x to its front, z to its right)."""
    frames = np.array(json.loads(path.read_text())["Frames"], dtype=np.float64)
    into_ours = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    rotations, column = {}, 4
    for joint, width in HUMANOID:
        values = frames[:, column : column + width]
        column += width
        if width == 1:
            rotations[joint] = rotation_about("x", -values[:, 0])
        else:
            w, x, y, z = values.T
            rotations[joint] = rotation_from_quaternion(np.stack([w, -z, y, x], axis=-1))
    if column != frames.shape[1]:
        raise SystemExit(f"{path}: expected {column} numbers in a frame, got {frames.shape[1]}")
    return stick_figure_markers(frames[:, 1:4] @ into_ours.T, rotations), 1 / frames[0, 0]


def build_motions(folder: Path, out: Path) -> None:
    """Write the marker positions of every clip of a folder."""
    clips = {}
    for path in sorted(folder.glob("humanoid3d_*.txt")):
        markers, fps = read_humanoid(path)
        name = path.stem.removeprefix("humanoid3d_")
        # In half precision a millimetre survives only near the origin, so travel is stored apart.
        travel = markers[:, 0].astype(np.float32)
        clips[f"{name}.shape"] = (markers - travel[:, None]).astype(np.float16)
        clips[f"{name}.travel"] = travel
        clips[f"{name}.fps"] = np.float32(fps)
        print(f"{name}: {len(markers)} frames at {fps:.0f} fps")
    np.savez_compressed(out, **clips)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["body", out]:
            build_body(Path(out))
        case ["motions", folder, out]:
            build_motions(Path(folder), Path(out))
        case _:
            raise SystemExit(__doc__)
