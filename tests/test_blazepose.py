"""BlazePose: the laws of its decoder on synthetic tensors, and what it finds in real clips."""

from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edit_your_motion.errors import ConfigError, ModelFileError
from edit_your_motion.people.finders import blazepose
from edit_your_motion.people.finders.backends import load_backend
from edit_your_motion.people.finders.blazepose import BlazePose, Reading, clean_mask, describe_person, distinct, refine
from edit_your_motion.people.finders.blazepose_detector import decode, lay_anchors, merge_overlapping, overlap
from edit_your_motion.people.finders.contract import PeopleBackend, PersonDetection, PersonSegmenter
from edit_your_motion.people.finders.region import Region, tile
from edit_your_motion.people.keypoints import BODY_JOINTS

TURNED = Region(70.0, 45.0, 50.0, 0.7)


def _disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    down, across = np.mgrid[:size, :size] + 0.5
    return np.hypot(across - x, down - y) < radius


def test_a_region_maps_points_to_the_picture_and_back() -> None:
    points = np.random.default_rng(0).uniform(-100, 200, (50, 2))
    np.testing.assert_allclose(TURNED.to_picture(TURNED.from_picture(points)), points, atol=1e-9)
    np.testing.assert_allclose(TURNED.to_picture(np.array([[0.5, 0.5]])), [[70, 45]])


@pytest.mark.parametrize("angle", np.linspace(-3, 3, 7))
def test_a_region_about_two_points_stands_upright_on_them(angle: float) -> None:
    centre = np.array([30.0, 40.0])
    top = centre + 8 * np.array([np.sin(angle), -np.cos(angle)])
    region = Region.about(centre, top, margin=1.25)
    assert region.side == pytest.approx(20)
    assert region.angle == pytest.approx(angle)
    np.testing.assert_allclose(region.from_picture(top), [0.5, 0.5 - 0.4], atol=1e-9)


def test_a_crop_samples_the_picture_where_the_region_says() -> None:
    down, across = np.mgrid[:96, :128] + 0.5
    picture = Image.fromarray(np.stack([across, down, across * 0], axis=-1).astype(np.uint8))
    crop = TURNED.crop(picture, 40).astype(float)
    cells = (np.stack(np.meshgrid(np.arange(40), np.arange(40)), axis=-1) + 0.5) / 40
    expected = TURNED.to_picture(cells.reshape(-1, 2)).reshape(40, 40, 2)
    assert np.abs(crop[..., :2] + 0.5 - expected).max() < 1.01


@pytest.mark.parametrize("size", [16, 7])
def test_a_crop_much_smaller_than_its_region_averages(size: int) -> None:
    chequers = np.indices((128, 128)).sum(axis=0) % 2 * np.uint8(255)
    picture = Image.fromarray(np.repeat(chequers[..., None].astype(np.uint8), 3, axis=2))
    inner = Region(64.0, 64.0, 112.0).crop(picture, size)
    assert np.abs(inner.astype(float) - 127.5).max() < 20


def test_a_crop_is_black_outside_the_picture() -> None:
    crop = Region.around(20, 40).crop(Image.new("RGB", (40, 20), "white"), 40)
    assert (crop[:9] == 0).all()
    assert (crop[31:] == 0).all()
    assert (crop[11:29, 1:-1] == 255).all()


@pytest.mark.parametrize("centre", [(70.0, 45.0), (2.0, 118.0)])
def test_a_pasted_mask_lies_where_its_region_lay(centre: tuple[float, float]) -> None:
    region = Region(*centre, side=64.0, angle=-0.9)
    soft = _disc(256, 150.0, 90.0, 60.0).astype(np.float32)
    x, y = region.to_picture(np.array([[150.0, 90.0]]) / 256)[0]
    expected = _disc(128, x, y, 60 / 4)
    pasted = region.paste(soft, 128, 128)
    assert np.sum(pasted ^ expected) < 0.02 * np.pi * 15**2
    assert not Region(500.0, 500.0, 64.0).paste(soft, 128, 128).any()
    assert not region.paste(np.zeros((16, 16), np.float32), 128, 128).any()


@pytest.mark.parametrize("shape", [(720, 1280), (512, 512), (1000, 90)])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_tiles_cover_the_picture_and_overlap_by_half(shape: tuple[int, int], parts: int) -> None:
    tiles = tile(*shape, parts)
    covered = np.zeros(shape, int)
    for region in tiles:
        assert region.side == max(shape) / parts
        left, top = np.maximum(np.floor([region.x - region.side / 2, region.y - region.side / 2]), 0).astype(int)
        covered[top : int(np.ceil(region.y + region.side / 2)), left : int(np.ceil(region.x + region.side / 2))] += 1
    assert covered.min() >= 1
    for axis in ("x", "y"):
        steps = np.diff(sorted({getattr(region, axis) for region in tiles}))
        assert (steps <= max(shape) / parts / 2 + 1e-9).all()


def test_anchors_lie_in_the_middle_of_the_cells_of_three_grids() -> None:
    cells = [
        ((column + 0.5) / size, (row + 0.5) / size)
        for size, repeats in ((28, 2), (14, 2), (7, 6))
        for row, column, _ in product(range(size), range(size), range(repeats))
    ]
    np.testing.assert_allclose(lay_anchors(), cells)


def test_decoding_adds_offsets_in_pixels_to_the_anchors() -> None:
    anchors = lay_anchors()
    raw = np.zeros((len(anchors), 12), np.float32)
    raw[:, :4] = [22.4, -22.4, 112, 56]
    raw[:, 4:6] = [0, 224]
    points, scores = decode(raw, np.full(len(anchors), -1000.0, np.float32), anchors)
    np.testing.assert_allclose(points[:, 0], anchors + np.array([0.1 - 0.25, -0.1 - 0.125]), atol=1e-6)
    np.testing.assert_allclose(points[:, 1] - points[:, 0], np.broadcast_to([0.5, 0.25], (len(anchors), 2)), atol=1e-6)
    np.testing.assert_allclose(points[:, 2], anchors + np.array([0, 1]), atol=1e-6)
    assert (scores == 0).all()


def _random_detections(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 1, (count, 1, 2))
    sizes = generator.uniform(0.1, 0.4, (count, 1, 2))
    extra = generator.uniform(0, 1, (count, 4, 2))
    return np.concatenate([corners, corners + sizes, extra], axis=1), generator.uniform(0.5, 1, count)


def _merge_slowly(points: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    remaining, merged = sorted(range(len(scores)), key=lambda index: -scores[index]), []
    while remaining:
        best, group = remaining[0], []
        for index in remaining:
            (left, top), (right, bottom) = points[best, :2]
            (other_left, other_top), (other_right, other_bottom) = points[index, :2]
            across = max(0.0, min(right, other_right) - max(left, other_left))
            down = max(0.0, min(bottom, other_bottom) - max(top, other_top))
            both = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
            if across * down / (both - across * down) > 0.3:
                group.append(index)
        total = sum(scores[index] for index in group)
        merged.append((sum(points[index] * scores[index] for index in group) / total, scores[best]))
        remaining = [index for index in remaining if index not in group]
    return merged


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_merging_equals_a_slow_loop(count: int) -> None:
    points, scores = _random_detections(count, seed=count)
    merged, expected = merge_overlapping(points, scores), _merge_slowly(points, scores)
    assert len(merged) == len(expected)
    for (place, score), (slow_place, slow_score) in zip(merged, expected, strict=True):
        np.testing.assert_allclose(place, slow_place)
        assert score == slow_score


def test_merging_does_not_depend_on_the_order() -> None:
    points, scores = _random_detections(30, seed=5)
    order = np.random.default_rng(6).permutation(30)
    one, other = merge_overlapping(points, scores), merge_overlapping(points[order], scores[order])
    np.testing.assert_allclose([place for place, _ in one], [place for place, _ in other])


def test_overlap_of_empty_boxes_is_zero() -> None:
    point = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert overlap(point, point[None])[0] == 0


def test_refinement_equals_a_slow_loop() -> None:
    generator = np.random.default_rng(1)
    places, heatmap = generator.uniform(-0.1, 1.1, (30, 2)), generator.normal(-3, 2, (64, 64, 30))
    refined = refine(places, heatmap)
    for index, (x, y) in enumerate(places):
        column, row = int(np.floor(x * 64)), int(np.floor(y * 64))
        mass = down = across = highest = 0.0
        for i, j in product(range(max(0, row - 3), min(64, row + 4)), range(max(0, column - 3), min(64, column + 4))):
            weight = 1 / (1 + np.exp(-heatmap[i, j, index]))
            mass, down, across = mass + weight, down + weight * i, across + weight * j
            highest = max(highest, weight)
        expected = (across / mass / 64, down / mass / 64) if highest >= 0.5 else (x, y)
        np.testing.assert_allclose(refined[index], expected)
    assert (refined != places).any()
    assert (refined == places).all(axis=1).any()


def _landmarks() -> tuple[np.ndarray, np.ndarray]:
    points = np.stack([np.arange(33.0), np.arange(33.0) * 2, np.zeros(33)], axis=1)
    return points, np.linspace(0.2, 0.9, 33)


def test_landmarks_become_openpose_joints_of_the_same_name() -> None:
    points, confidence = _landmarks()
    body = blazepose.to_openpose(points, confidence)
    known = {"nose": 0, "left_eye": 2, "right_eye": 5, "left_ear": 7, "right_ear": 8}
    limbs = ("shoulder", 11), ("elbow", 13), ("wrist", 15), ("hip", 23), ("knee", 25), ("ankle", 27)
    for limb, left in limbs:
        known |= {f"left_{limb}": left, f"right_{limb}": left + 1}
    for joint, source in known.items():
        np.testing.assert_allclose(body[BODY_JOINTS.index(joint)], [*points[source, :2], confidence[source]], rtol=1e-6)
    np.testing.assert_allclose(body[1], [11.5, 23, confidence[11]], rtol=1e-6)


@pytest.mark.parametrize(("nose", "shown"), [(-5.0, True), (5.0, False)])
def test_a_face_that_looks_away_is_hidden(nose: float, shown: bool) -> None:
    points, confidence = _landmarks()
    points[0, 2] = nose
    body = blazepose.to_openpose(points, confidence)
    hidden = {"nose", "left_eye", "right_eye"}
    assert {joint for joint, point in zip(BODY_JOINTS, body, strict=True) if point[2] == 0} == (
        set() if shown else hidden
    )


def _reading(offset: float, score: float, mask_at: float = 50.0) -> Reading:
    points = np.random.default_rng(2).uniform(20, 60, (39, 3)) + np.array([offset, 0, 0])
    points[0, 2] = 0
    mask = _disc(256, 128, 128, 60).astype(np.float32)
    return Reading(points, np.full(39, 0.9), score, mask, Region(mask_at, 50.0, 100.0))


def test_a_person_read_twice_is_kept_once_and_best() -> None:
    readings = [_reading(0, 0.7), _reading(9, 0.9), _reading(40, 0.8), _reading(-9, 0.6)]
    assert [reading.score for reading in distinct(readings)] == [0.9, 0.8]
    assert [reading.score for reading in distinct([_reading(0, 0.7), _reading(15, 0.9, mask_at=90.0)])] == [0.9, 0.7]


@pytest.mark.parametrize("shift", [0.0, 20.0, 200.0])
def test_the_share_of_a_mask_in_another_is_that_of_their_pixels(shift: float) -> None:
    one, other = _reading(0, 0.9), _reading(0, 0.9, mask_at=50.0 + shift)
    masks = [reading.region.paste(reading.mask, 100, 300) for reading in (one, other)]
    expected = (masks[0] & masks[1]).sum() / masks[0].sum()
    assert one.share_inside(other) == pytest.approx(expected, abs=0.01)


def test_joints_outside_the_frame_are_not_there() -> None:
    whole = describe_person(_reading(0, 0.9), np.zeros((100, 100, 3), np.uint8))
    cut = describe_person(_reading(0, 0.9), np.zeros((40, 45, 3), np.uint8))
    outside = (whole.body[:, 0] >= 45) | (whole.body[:, 1] >= 40)
    assert (whole.body[:, 2] > 0).all()
    assert 0 < outside.sum() < 18
    np.testing.assert_array_equal(cut.body[:, 2] > 0, ~outside)
    assert cut.box[2] <= 45
    assert cut.box[3] <= 40
    assert cut.mask is not None
    assert cut.mask.shape == (40, 45)


def test_cleaning_drops_specks_fills_pinholes_and_keeps_gaps() -> None:
    mask = np.zeros((64, 64))
    mask[10:50, 10:40] = 0.9
    expected = mask.copy()
    mask[20:24, 20:24] = 0.1
    expected[20:24, 20:24] = 1.0
    mask[30:40, 20:30] = expected[30:40, 20:30] = 0.2
    mask[60:62, 60:62] = 0.8
    np.testing.assert_array_equal(clean_mask(mask), expected)
    np.testing.assert_array_equal(clean_mask(np.zeros((8, 8))), np.zeros((8, 8)))
    np.testing.assert_array_equal(clean_mask(np.ones((8, 8))), np.ones((8, 8)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("openpose", {}, "blazepose, rtmlib, got 'openpose'"),
        ("blazepose", {"size": 3}, "its options are model"),
        ("blazepose", {"model": "huge"}, "full, heavy, lite, got 'huge'"),
    ],
)
def test_what_the_registry_does_not_know_is_one_error(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_backend(name, **options)


def test_absent_model_files_are_not_fetched_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match="eym models fetch pose-detection"):
        load_backend("blazepose")


@pytest.fixture(scope="session")
def backend(people_models: None) -> BlazePose:
    return BlazePose()


def _read_frames(clip: Path, *seconds: float) -> np.ndarray:
    """The frames of a clip at some times, 480 pixels high."""
    frames = []
    with av.open(str(clip)) as container:
        for second in sorted(seconds):
            picture = next(frame for frame in container.decode(video=0) if frame.time >= second).to_image()
            frames.append(np.asarray(picture.resize((round(picture.width * 480 / picture.height), 480))))
    return np.stack(frames)


@pytest.fixture(scope="session")
def frames(clips: Path) -> dict[str, np.ndarray]:
    return {path.stem: _read_frames(path, 0.1, 0.6, 1.1) for path in sorted(clips.glob("*.mp4"))}


def _only(people: list[PersonDetection]) -> PersonDetection:
    assert len(people) == 1
    return people[0]


def test_the_backend_keeps_the_contracts_and_the_models_fit_the_anchors(backend: BlazePose) -> None:
    assert isinstance(backend, PeopleBackend)
    assert isinstance(backend, PersonSegmenter)
    assert [len(network.get_input_details()) for network in (backend._detector, backend._landmarker)] == [1, 1]
    assert backend._detector.get_output_details()[0]["shape"].tolist() == [1, len(lay_anchors()), 12]
    assert len(lay_anchors()) == 2254


def test_nobody_is_found_where_nobody_is(backend: BlazePose) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)
    done: list[tuple[int, int]] = []
    assert backend.detect(noise, on_frame=lambda *counts: done.append(counts)) == [[], []]
    assert done == [(1, 2), (2, 2)]
    assert backend.segment(noise[0], np.array([10, 10, 60, 60], np.float32)) is None


def test_every_clip_shows_one_person_whose_joints_lie_in_the_mask(
    backend: BlazePose, frames: dict[str, np.ndarray]
) -> None:
    for clip in frames.values():
        for people in backend.detect(clip):
            person = _only(people)
            assert person.mask is not None
            assert person.score > 0.9
            sure = person.body[person.body[:, 2] > 0.5]
            assert len(sure) >= 14
            columns, rows = sure[:, :2].astype(int).T
            assert person.mask[rows, columns].mean() > 0.85
            left, top, right, bottom = person.box.astype(int)
            assert person.mask[top:bottom, left:right].sum() > 0.6 * person.mask.sum()


def test_the_nose_is_above_the_neck_above_the_hips_above_the_ankles(
    backend: BlazePose, frames: dict[str, np.ndarray]
) -> None:
    for clip in frames.values():
        for people in backend.detect(clip):
            height = dict(zip(BODY_JOINTS, _only(people).body[:, 1], strict=True))
            assert height["nose"] < height["neck"] < height["left_hip"] < height["left_ankle"]
            assert height["neck"] < height["right_hip"] < height["right_ankle"]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_frame_gives_turned_joints(backend: BlazePose, frames: dict[str, np.ndarray], turns: int) -> None:
    frame = frames["tai-chi"][1]
    side = frame.shape[0]
    upright = _only(backend.detect(frame[None])[0]).body
    turned = _only(backend.detect(np.ascontiguousarray(np.rot90(frame, turns))[None])[0]).body
    points = turned[:, :2]
    for _ in range(turns):
        points = np.stack([side - points[:, 1], points[:, 0]], axis=1)
    apart = np.linalg.norm(points - upright[:, :2], axis=1)
    assert np.median(apart) < 0.02 * side


def test_a_mirrored_frame_gives_mirrored_joints_with_sides_swapped(
    backend: BlazePose, frames: dict[str, np.ndarray]
) -> None:
    swapped = [
        BODY_JOINTS.index(joint.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right"))
        for joint in BODY_JOINTS
    ]
    for clip in frames.values():
        frame = clip[0]
        body = _only(backend.detect(frame[None])[0]).body
        mirrored = _only(backend.detect(np.ascontiguousarray(frame[:, ::-1])[None])[0]).body[swapped]
        mirrored[:, 0] = frame.shape[1] - mirrored[:, 0]
        assert np.median(np.linalg.norm((body - mirrored)[:, :2], axis=1)) < 0.015 * frame.shape[0]


def test_two_people_side_by_side_are_both_found(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    left, right = frames["tai-chi"][1], frames["basketball"][0][:, :480]
    people = backend.detect(np.concatenate([left, right], axis=1)[None])[0]
    assert sorted(person.body[1, 0] > 480 for person in people) == [False, True]
    alone = _only(backend.detect(left[None])[0])
    beside = min(people, key=lambda person: person.body[1, 0])
    assert np.median(np.linalg.norm((alone.body - beside.body)[:, :2], axis=1)) < 0.02 * 480


def test_a_person_too_small_for_the_detector_is_found_in_a_part_of_the_frame(
    backend: BlazePose, frames: dict[str, np.ndarray]
) -> None:
    picture = Image.fromarray(frames["juggle"][0])
    small = picture.resize((picture.width // 5, picture.height // 5))
    frame = np.full((1, 640, 1280, 3), 96, np.uint8)
    frame[0, 300 : 300 + small.height, 700 : 700 + small.width] = np.asarray(small)
    assert backend.read_people(frame[0], [], search_tiles=False) == []
    body = _only(backend.detect(frame)[0]).body
    expected = _only(backend.detect(frames["juggle"][:1])[0]).body[:, :2] / 5 + (700, 300)
    assert np.median(np.linalg.norm(body[:, :2] - expected, axis=1)) < 0.05 * small.height


def test_everybody_in_a_crowd_of_small_people_is_found(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    frame = np.full((512, 1024, 3), 96, np.uint8)
    places = []
    for column, (name, index) in enumerate((name, index) for index in (0, -1) for name in frames):
        picture = frames[name][index]
        person = _only(backend.detect(picture[None])[0])
        left, top, right, bottom = map(round, person.box.tolist())
        scale = 170 / (bottom - top)
        margin = round(15 / scale)
        window = max(left - margin, 0), max(top - margin, 0), right + margin, bottom + margin
        cut = Image.fromarray(picture).crop(window)
        cut = cut.resize((round(cut.width * scale), round(cut.height * scale)))
        corner = 10 + 170 * column, 180 + 20 * (column % 2)
        canvas = Image.fromarray(frame)
        canvas.paste(cut, corner)
        frame = np.array(canvas)
        places.append((person.body[1, :2] - window[:2]) * scale + corner)
    found = [person.body[1, :2] for person in backend.detect(frame[None])[0]]
    for place in places:
        assert min(np.linalg.norm(neck - place) for neck in found) < 20
    assert len(found) == 6


def test_a_person_the_detector_loses_is_read_where_they_were(
    backend: BlazePose, frames: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frames["tai-chi"][1]
    before = backend.read_people(frame, [])[0]
    monkeypatch.setattr(backend, "_search", lambda picture, region: [])
    assert backend.read_people(frame, []) == []
    after = backend.read_people(frame, [before.next_region])[0]
    assert after.distance(before) < 0.02


def test_a_box_is_enough_to_find_the_mask(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    for clip in frames.values():
        person = _only(backend.detect(clip[:1])[0])
        mask = backend.segment(clip[0], person.box)
        assert mask is not None
        assert person.mask is not None
        assert (mask & person.mask).sum() / (mask | person.mask).sum() > 0.9
