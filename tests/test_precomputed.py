"""Keypoints and masks from elsewhere: skeleton pictures are read back as drawn, the other layouts as written."""

import io
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.formats.precomputed import load_precomputed
from edit_your_motion.people.formats.skeleton_pictures import read_skeletons
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import draw_skeleton
from stick_figure import ADULT, Camera, make_motion, perform


@pytest.fixture(scope="module")
def dancer() -> Keypoints:
    """A dance whose joints all stay on the canvas."""
    return Camera(focal=700).film(perform(ADULT, make_motion("dance", 60))[::12])


def save_pictures(folder: Path, pictures: np.ndarray, suffix: str = ".png", **options: int) -> Path:
    folder.mkdir(parents=True)
    for frame, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{frame}{suffix}", **options)
    return folder


def recompress(pictures: np.ndarray, quality: int) -> np.ndarray:
    """JPEG with halved colour resolution, as videos have it too."""
    compressed = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=2)
        compressed.append(np.asarray(Image.open(file)))
    return np.stack(compressed)


def halve(pictures: np.ndarray) -> np.ndarray:
    size = (pictures.shape[2] // 2, pictures.shape[1] // 2)
    return np.stack([np.asarray(Image.fromarray(picture).resize(size)) for picture in pictures])


def add_noise(pictures: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 15, pictures.shape)
    return (pictures + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "scale", "most"),
    [
        (lambda pictures: pictures, 1.0, 0.5),
        (lambda pictures: recompress(pictures, 75), 1.0, 1.0),
        (halve, 0.5, 1.0),
        (add_noise, 1.0, 1.0),
    ],
    ids=["as drawn", "jpeg 75", "half the size", "noise"],
)
def test_drawn_skeletons_are_read_back(dancer: Keypoints, change: object, scale: float, most: float) -> None:
    assert callable(change)
    read = read_skeletons(change(draw_skeleton(dancer)))
    assert (read.height, read.width) == (512 * scale, 512 * scale)
    assert read.visible(0.3).mean() > 0.98
    apart = np.linalg.norm(read.body[..., :2] / scale - dancer.body[..., :2], axis=-1)[read.visible(0.3)]
    assert np.quantile(apart, 0.95) < most
    assert apart.max() < 2.5


def test_small_and_compressed_at_once_keeps_most(dancer: Keypoints) -> None:
    """At radius 2 under halved colour some joints are lost; those that are reported are right but for few."""
    read = read_skeletons(recompress(halve(draw_skeleton(dancer)), 75))
    seen = read.visible(0.3)
    apart = np.linalg.norm(read.body[..., :2] * 2 - dancer.body[..., :2], axis=-1)[seen]
    assert seen.mean() > 0.75
    assert np.mean(apart < 3) > 0.93


def test_absent_joints_stay_absent(dancer: Keypoints) -> None:
    body = dancer.body.copy()
    body[:, [4, 9, 10], 2] = 0
    read = read_skeletons(draw_skeleton(Keypoints(body, 512, 512)))
    np.testing.assert_array_equal(read.visible(), np.broadcast_to(body[..., 2] > 0, read.visible().shape))


def test_hands_do_not_pass_for_a_knee(dancer: Keypoints) -> None:
    """The dots of hands have the left knee's colour."""
    rng = np.random.default_rng(0)
    hands = np.ones((len(dancer), 2, 21, 3), np.float32)
    hands[..., :2] = dancer.body[:, [7, 4], None, :2] + rng.uniform(-25, 25, (len(dancer), 2, 21, 2))
    read = read_skeletons(draw_skeleton(Keypoints(dancer.body, 512, 512, hands)))
    knee = read.body[:, 13], read.body[:, 12]
    for found, joint in zip(knee, (13, 12), strict=True):
        seen = found[:, 2] > 0
        assert seen.mean() > 0.7
        assert np.linalg.norm(found[seen, :2] - dancer.body[seen, joint, :2], axis=-1).max() < 2


def test_pictures_without_skeletons_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    for pictures in (np.zeros_like(noise), noise):
        with pytest.raises(PersonError, match="OpenPose's colours"):
            read_skeletons(pictures)
    with pytest.raises(PersonError, match="photos"):
        load_precomputed(save_pictures(tmp_path / "photos", noise))


def test_every_kind_is_recognised(tmp_path: Path, dancer: Keypoints) -> None:
    save_keypoints(tmp_path / "ours.json", dancer)
    write_openpose(tmp_path / "openpose", dancer)
    masks = np.zeros((5, 512, 512), bool)
    masks[:, 100:400, 200:300] = True
    arrays = {"body": dancer.body, "height": 512, "width": 512, "masks": masks}
    np.savez_compressed(tmp_path / "arrays.npz", **arrays)
    save_pictures(tmp_path / "skeletons", draw_skeleton(dancer))
    for name in ("ours.json", "openpose", "arrays.npz", "openpose/000000_keypoints.json", "skeletons"):
        keypoints = load_precomputed(tmp_path / name).keypoints
        assert keypoints is not None
        frames = len(keypoints)
        seen = keypoints.visible()
        np.testing.assert_allclose(keypoints.body[seen], dancer.body[:frames][seen], atol=1.0)
        assert seen.mean() > 0.98
    both = load_precomputed(tmp_path / "arrays.npz").masks
    assert both is not None
    np.testing.assert_array_equal(both, masks)


def test_disco_masks_are_picked_out_and_cleaned(tmp_path: Path) -> None:
    truth = np.zeros((11, 64, 48), bool)
    for frame in range(11):
        truth[frame, 10 : 40 + frame, 12:30] = True
    pictures = np.repeat((truth * 255).astype(np.uint8)[..., None], 3, axis=-1)
    folder = save_pictures(tmp_path / "groundsam", pictures, ".png.mask.jpg", quality=60)
    Image.new("RGB", (20, 20), (200, 10, 10)).save(folder / "0.png.jpg")
    masks = load_precomputed(folder).masks
    assert masks is not None
    assert (masks != truth).mean() < 0.005


def test_arrays_are_checked(tmp_path: Path, dancer: Keypoints) -> None:
    good = {"body": dancer.body, "height": 512, "width": 512}
    broken = dancer.body.copy()
    broken[2, 3, 0] = np.nan
    for change, message in (
        ({"body": dancer.body[:, :17]}, "body: expected numbers of shape"),
        ({"body": broken}, "frame 2, right_elbow"),
        ({"height": 0}, "height"),
        ({"hands": np.zeros((3, 2, 21, 3))}, "hands: expected"),
        ({"masks": np.zeros((5, 8, 8), bool)}, "empty masks"),
        ({"masks": np.ones((5, 8, 8))}, "got float64"),
    ):
        np.savez(tmp_path / "a.npz", **{**good, **change})
        with pytest.raises(PersonError, match=message):
            load_precomputed(tmp_path / "a.npz")
    for name in ("body", "masks"):
        with ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr(f"{name}.npy", b"no array")
        with pytest.raises(PersonError, match=f"{name} is no array"):
            load_precomputed(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", joints=dancer.body)
    with pytest.raises(PersonError, match="body or masks"):
        load_precomputed(tmp_path / "a.npz")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", body=np.array([{"a": 1}], dtype=object))
    (tmp_path / "b.npz").write_bytes(b"\x80\x04K\x01.")
    for name in ("a.npz", "b.npz"):
        with pytest.raises(PersonError, match="plain arrays"):
            load_precomputed(tmp_path / name)


def test_paths_and_sizes_are_checked(tmp_path: Path) -> None:
    with pytest.raises(PersonError, match="check the path"):
        load_precomputed(tmp_path / "absent")
    with pytest.raises(ConfigError, match="both height and width"):
        load_precomputed(tmp_path, height=3)
    black = save_pictures(tmp_path / "black", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(PersonError, match="white people on black"):
        load_precomputed(black)
