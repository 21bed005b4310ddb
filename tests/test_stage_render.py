"""What the stage renders is true: pictures, masks, depth, keypoints, captions, pairs and splits agree."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from edit_your_motion.errors import ConfigError
from edit_your_motion.people.colour_words import COLOURS
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.stage import Pair, Scene, caption, rasterizer, render_clip, render_pair, training_stream
from edit_your_motion.stage.body import BONE, LANDMARKS, load_cast
from edit_your_motion.stage.camera import Camera
from edit_your_motion.stage.caption import describe_person
from edit_your_motion.stage.colours import SKIN_TONES, Cloth, material
from edit_your_motion.stage.figure import SHOES, SKIN, TOP, make_figure
from edit_your_motion.stage.garments import Bottom, Footwear, Top
from edit_your_motion.stage.hair import HATS, STYLES
from edit_your_motion.stage.identity import Portrait, is_reserved
from edit_your_motion.stage.render import paint_plate
from edit_your_motion.stage.scene import HELD_OUT_CLIPS, HELD_OUT_ROUTINES, Performance, View, stage_root
from edit_your_motion.stage.stream import stream_scene

SIZE = (96, 96)


def still(seed: int, name: str = "posing", heading: float = 0.0) -> Scene:
    """A scene before a tripod, the whole person in view, nothing in front."""
    scene = Scene.sample(seed)
    camera = Camera((0.0, 1.1, 4.2), pitch=-0.05, focal=1.6)
    solids = tuple(solid for solid in scene.place.solids if solid.centre[2] < 0.5)
    place = replace(scene.place, solids=solids)
    return replace(scene, place=place, performance=Performance(name, seed, heading=heading), view=View(camera))


def dilate(mask: np.ndarray, rounds: int = 1) -> np.ndarray:
    for _ in range(rounds):
        padded = np.pad(mask, 1)
        height, width = mask.shape
        mask = np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return mask


def test_a_scene_renders_the_same_bit_for_bit():
    scene = Scene.sample(11)
    first = render_clip(scene, frames=3, size=SIZE)
    make_figure.cache_clear()
    paint_plate.cache_clear()
    second = render_clip(Scene.sample(11), frames=3, size=SIZE)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.keypoints.body, second.keypoints.body)
    np.testing.assert_array_equal(first.depth, second.depth)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert first.caption == second.caption


def test_another_process_renders_the_same_bit_for_bit():
    code = (
        "import hashlib; from edit_your_motion.stage import Scene, render_clip; "
        "clip = render_clip(Scene.sample(12), frames=2, size=(96, 96)); "
        "print(hashlib.sha256(clip.frames.tobytes() + clip.keypoints.body.tobytes()).hexdigest())"
    )
    clip = render_clip(Scene.sample(12), frames=2, size=SIZE)
    expected = hashlib.sha256(clip.frames.tobytes() + clip.keypoints.body.tobytes()).hexdigest()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_a_clip_does_not_depend_on_how_much_of_it_is_rendered():
    scene = Scene.sample(13)
    long = render_clip(scene, frames=4, size=SIZE, fps=8)
    tail = render_clip(scene, frames=2, size=SIZE, fps=8, start=2 / 8)
    np.testing.assert_array_equal(long.frames[2:], tail.frames)


def test_different_seeds_give_different_scenes():
    assert len({Scene.sample(seed) for seed in range(30)}) == 30


def test_outside_mask_and_shadow_a_frame_is_its_background():
    for seed in (3, 4):
        clip = render_clip(still(seed), frames=2, size=SIZE)
        assert len(clip.backgrounds) == 1
        for frame, mask, shadow in zip(clip.frames, clip.masks, clip.shadows, strict=True):
            assert 0.02 < mask.mean() < 0.4
            untouched = ~dilate(mask) & ~shadow
            np.testing.assert_array_equal(frame[untouched], clip.backgrounds[0][untouched])
            assert np.abs(frame[mask].astype(int) - clip.backgrounds[0][mask]).mean() > 5


def test_a_shadow_only_darkens():
    clip = render_clip(still(5), frames=1, size=SIZE)
    shaded = clip.shadows[0] & ~dilate(clip.masks[0])
    assert shaded.any()
    before, after = clip.backgrounds[0][shaded].astype(int), clip.frames[0][shaded].astype(int)
    assert (after <= before + 1).all()
    assert after.mean() < before.mean() - 1


def test_a_mask_is_where_the_person_is_nearer_than_the_place():
    scene = still(6)
    clip = render_clip(scene, frames=1, size=SIZE)
    plate = paint_plate(scene.place, scene.view.camera, *SIZE)
    nearer = clip.depth[0] < plate.depth * 0.999
    assert (clip.masks[0] <= nearer).all()
    assert (nearer <= dilate(clip.masks[0])).all()
    body = clip.depth[0][clip.masks[0]]
    assert 3.2 < body.min() < body.max() < 5.2


def test_what_stands_in_front_hides_the_person_and_its_keypoints():
    scene = still(7, "standing")
    from edit_your_motion.stage.solids import Solid

    crate = Solid("box", (0.0, 0.35, 1.2), (2.0, 0.7, 0.2), 0)
    hidden = replace(scene, place=replace(scene.place, solids=(crate,)))
    free = render_clip(replace(scene, place=replace(scene.place, solids=())), frames=1, size=SIZE)
    behind = render_clip(hidden, frames=1, size=SIZE)
    assert behind.masks.sum() < 0.75 * free.masks.sum()
    assert (behind.masks <= free.masks).all()
    for side in ("left", "right"):
        ankle, shoulder = (BODY_JOINTS.index(f"{side}_{joint}") for joint in ("ankle", "shoulder"))
        assert free.keypoints.body[0, ankle, 2] == 1
        assert behind.keypoints.body[0, ankle, 2] == 0
        assert behind.keypoints.body[0, shoulder, 2] == 1
        np.testing.assert_allclose(behind.keypoints.body[0, ankle, :2], free.keypoints.body[0, ankle, :2])


def test_visible_keypoints_lie_on_the_person():
    for seed in range(20, 27):
        clip = render_clip(Scene.sample(seed), frames=2, size=SIZE)
        for points, mask in zip(clip.keypoints.body, clip.masks, strict=True):
            reach = dilate(mask)
            for x, y, confidence in points:
                if confidence > 0:
                    assert reach[int(y), int(x)]


def test_the_far_side_of_the_body_is_hidden():
    clip = render_clip(still(8, "standing", heading=np.pi / 2), frames=1, size=SIZE)
    seen = dict(zip(BODY_JOINTS, clip.keypoints.body[0, :, 2] > 0, strict=True))
    # Turned to its left, the figure shows its right side.
    assert seen["right_shoulder"]
    assert seen["right_ear"]
    assert not seen["left_ear"]
    assert not seen["left_shoulder"]
    back = render_clip(still(8, "standing", heading=np.pi), frames=1, size=SIZE)
    seen = dict(zip(BODY_JOINTS, back.keypoints.body[0, :, 2] > 0, strict=True))
    assert not any(seen[name] for name in ("nose", "left_eye", "right_eye"))
    assert seen["left_hip"]
    assert seen["right_hip"]


def test_an_arm_behind_the_trunk_is_hidden(monkeypatch):
    scene = still(9, "standing")
    motion = scene.performance.motion()
    from edit_your_motion.stage.stick_figure import MARKER

    markers = motion.markers.copy()
    chest = markers[:, MARKER["spine"]]
    markers[:, MARKER["left_elbow"]] = markers[:, MARKER["left_shoulder"]] + [0.10, -0.22, -0.14]
    markers[:, MARKER["left_wrist"]] = chest + np.array([-0.02, 0.0, -0.24])
    behind = replace(motion, markers=markers)
    monkeypatch.setattr(Performance, "motion", lambda self: behind)
    clip = render_clip(scene, frames=1, size=SIZE)
    seen = dict(zip(BODY_JOINTS, clip.keypoints.body[0, :, 2] > 0, strict=True))
    assert not seen["left_wrist"]
    assert seen["right_wrist"]
    assert seen["left_shoulder"]


def test_left_and_right_are_the_persons_own():
    body = render_clip(still(10, "standing"), frames=1, size=SIZE).keypoints.body[0]
    for joint in ("shoulder", "hip", "ankle", "eye"):
        left, right = (BODY_JOINTS.index(f"{side}_{joint}") for side in ("left", "right"))
        assert body[left, 0] > body[right, 0], joint


def test_keypoints_are_the_projected_landmarks():
    scene = still(14, "standing")
    camera = scene.view.camera
    figure = make_figure(scene.identity)
    body = render_clip(scene, frames=1, size=SIZE).keypoints.body[0]
    # A pinhole: the pixel distance of two joints side by side is their distance in metres x focal / depth.
    left, right = (figure.body.landmarks[LANDMARKS.index(f"{side}_hip")] for side in ("left", "right"))
    expected = np.linalg.norm(left - right) * camera.focal * SIZE[0] / camera.position[2]
    got = np.linalg.norm(body[BODY_JOINTS.index("left_hip"), :2] - body[BODY_JOINTS.index("right_hip"), :2])
    assert got == pytest.approx(expected, rel=0.08)


def test_a_camera_projects_as_a_pinhole_does():
    camera = Camera((1.0, 2.0, 3.0), focal=1.5)
    x, y, depth = camera.project(np.array([[1.0, 2.0, 0.0], [1.5, 2.5, 0.0]]), 100, 200).T
    np.testing.assert_allclose(depth, 3)
    np.testing.assert_allclose(x, [100, 100 + 0.5 * 150 / 3])
    np.testing.assert_allclose(y, [50, 50 - 0.5 * 150 / 3])
    turned = Camera((0.0, 0.0, 0.0), yaw=np.pi / 2)
    assert turned.project(np.array([[-5.0, 0.0, 0.0]]), 100, 100)[0, 2] == pytest.approx(5)
    ray = camera.rays(100, 200)
    direction = ray[0] + ray[1] * x[1] + ray[2] * y[1]
    np.testing.assert_allclose(direction * depth[1], [0.5, 0.5, -3.0], atol=1e-5)


def test_everybody_stands_on_the_ground():
    for seed in range(40, 44):
        scene = still(seed, "standing")
        clip = render_clip(scene, frames=1, size=SIZE)
        lowest = np.flatnonzero(clip.masks[0].any(axis=1))[-1]
        ground = scene.view.camera.project(np.zeros((1, 3)), *SIZE)[0, 1]
        assert abs(lowest - ground) < 5


def test_a_rasterised_triangle_covers_what_geometry_says():
    rng = np.random.default_rng(0)
    rows, columns = 40, 50
    for _ in range(20):
        corners = rng.uniform(-5, 50, (3, 2))
        near = rng.uniform(0.2, 1.0, 3)
        points = np.concatenate([corners, near[:, None]], axis=1).astype(np.float32)
        inverse, index = np.zeros((rows, columns), np.float32), np.full((rows, columns), -1, np.int32)
        rasterizer.draw(points, np.array([[0, 1, 2]], np.int32), np.array([True]), inverse, index)
        y, x = np.mgrid[:rows, :columns] + 0.5
        matrix = np.concatenate([corners.T, np.ones((1, 3))])
        weights = np.linalg.solve(matrix, np.stack([x.ravel(), y.ravel(), np.ones(x.size)])).T
        inside = (weights > 1e-3).all(axis=1).reshape(rows, columns)
        outside = (weights < -1e-3).any(axis=1).reshape(rows, columns)
        assert (index[inside] == 0).all()
        assert (index[outside] == -1).all()
        expected = (weights @ near).reshape(rows, columns)
        np.testing.assert_allclose(inverse[inside], expected[inside], rtol=1e-3)


def test_the_nearer_of_two_triangles_wins_and_backs_are_not_drawn():
    square = np.array([[0, 0], [20, 0], [0, 20]], np.float32)
    points = np.concatenate([np.c_[square, np.full(3, 0.2)], np.c_[square, np.full(3, 0.5)]]).astype(np.float32)
    triangles = np.array([[0, 2, 1], [3, 5, 4]], np.int32)
    for order in ([0, 1], [1, 0]):
        inverse, index = np.zeros((20, 20), np.float32), np.full((20, 20), -1, np.int32)
        rasterizer.draw(points, triangles[order], np.array([False, False]), inverse, index)
        assert index[3, 3] == order.index(1)
    inverse, index = np.zeros((20, 20), np.float32), np.full((20, 20), -1, np.int32)
    rasterizer.draw(points, triangles[:, ::-1].copy(), np.array([False, True]), inverse, index)
    assert set(np.unique(index)) == {-1, 1}


def test_the_compiled_skinning_agrees_with_the_plain_one():
    from edit_your_motion.stage.body import bone_transforms, skin
    from edit_your_motion.stage.motion import load_motion
    from edit_your_motion.stage.retarget import retarget

    figure = make_figure(Scene.sample(2).identity)
    markers = load_motion("dance_a").markers[40:41]
    rotations = retarget(markers, figure.body)
    transforms = bone_transforms(figure.body.joints, rotations, stage_root(markers, figure.body.joints))[0]
    posed, turned = np.empty_like(figure.vertices), np.empty_like(figure.normals)
    lowest = rasterizer.pose_vertices(
        figure.vertices, figure.normals, figure.bones, figure.shares, transforms.astype(np.float32), posed, turned
    )
    weights = np.zeros((len(figure.vertices), len(BONE)))
    np.put_along_axis(weights, figure.bones.astype(int), figure.shares.astype(float), axis=1)
    np.testing.assert_allclose(posed, skin(figure.vertices.astype(float), weights, transforms), atol=1e-5)
    assert lowest == pytest.approx(posed[:, 1].min())


@pytest.mark.parametrize(
    ("style", "hat"), [*((style, "none") for style in sorted(STYLES)), *(("long", hat) for hat in sorted(HATS))]
)
def test_every_hair_style_and_hat_leaves_the_face_free(style, hat):
    scene = still(15, "standing")
    identity = replace(scene.identity, hair=style, hat=hat)
    clip = render_clip(replace(scene, identity=identity), frames=1, size=SIZE)
    seen = dict(zip(BODY_JOINTS, clip.keypoints.body[0, :, 2] > 0, strict=True))
    assert seen["nose"]
    assert seen["left_eye"]
    assert seen["right_eye"]
    colour = np.array(identity.skin)
    nose = clip.keypoints.body[0, BODY_JOINTS.index("nose"), :2]
    pixel = clip.frames[0, int(nose[1]), int(nose[0])] / 255
    assert np.abs(pixel / pixel.max() - colour / colour.max()).max() < 0.3


def test_clothes_cover_what_their_name_says():
    scene = still(16, "standing")
    trousers = Bottom("trousers", Cloth("blue"), 0.08)
    shoulder = load_cast().template.joints[BONE["left_upper_arm"]]
    for sleeves, shortest, longest in (("sleeveless", 0.0, 0.15), ("short", 0.15, 0.30), ("long", 0.42, 0.60)):
        top = Top("shirt", Cloth("red"), sleeves, 0.95)
        figure = make_figure(replace(scene.identity, top=top, bottom=trousers))
        cloth = np.unique(figure.triangles[figure.material == TOP])
        on_arm = cloth[np.isin(figure.leading[cloth], [BONE["left_forearm"], BONE["left_upper_arm"]])]
        reach = np.linalg.norm(figure.coordinates[on_arm] - shoulder, axis=1)
        assert shortest <= reach.max() <= longest
    shoes = figure.coordinates[figure.triangles[figure.material == SHOES]]
    assert shoes[..., 1].max() < 0.12
    bare = figure.coordinates[figure.triangles[figure.material == SKIN]]
    trunk = (np.abs(bare[..., 0]) < 0.1) & (bare[..., 1] > 1.0) & (bare[..., 1] < 1.4)
    assert not trunk.any()


def test_a_caption_names_person_clothes_action_and_place():
    scene = still(17)
    identity = replace(
        scene.identity, male=False, old=False, top=Top("dress", Cloth("red"), "short", 1.04),
        bottom=Bottom("dress", Cloth("red"), 0.5, 0.2),
    )  # fmt: skip
    words = caption(replace(scene, identity=identity, performance=Performance("dance_a")))
    assert words == f"a woman in a red dress is dancing {scene.place.words}"
    identity = replace(
        identity, male=True, top=Top("sweater", Cloth("orange", "striped"), "long", 0.95),
        bottom=Bottom("trousers", Cloth("navy"), 0.08),
    )  # fmt: skip
    words = caption(replace(scene, identity=identity, performance=Performance("walk")))
    assert words.startswith("a man in an orange striped sweater and navy trousers is walking ")


def test_a_caption_of_edition_2_names_all_that_is_seen():
    scene = Scene.sample(3, edition=2)
    identity = replace(
        scene.identity, male=True, old=True, skin=SKIN_TONES[6], hair="short", hair_colour="grey", beard=0.9,
        top=Top("shirt", Cloth("red", "striped"), "three-quarter", 0.95),
        bottom=Bottom("cropped trousers", Cloth("navy"), 0.3),
        footwear=Footwear("boots", Cloth("black"), 0.2), hat="cap", hat_cloth=Cloth("orange"),
        portrait=Portrait(eyes=0, wrinkles=1.0, glasses=1),
    )  # fmt: skip
    whole = describe_person(identity)
    assert whole == (
        "an old man with dark brown skin, short grey hair, a grey beard and glasses in a three-quarter-sleeved red "
        "striped shirt, navy cropped trousers, black boots and an orange cap"
    )
    shortened = {describe_person(identity, np.random.default_rng(seed)) for seed in range(20)}
    assert len(shortened) > 15
    words = set(whole.replace(",", "").split()) | {"and", "with", "in", "a", "an"}
    assert all(set(text.replace(",", "").split()) <= words for text in shortened)
    # What edition 1 shows for a seed is named as ever.
    assert describe_person(replace(identity, portrait=None)) == (
        "an old man in a red striped shirt and navy cropped trousers"
    )


def test_what_a_caption_of_edition_2_names_is_in_the_picture():
    scene = replace(Scene.sample(5, edition=2), performance=Performance("standing"))
    plain = replace(
        scene.identity, male=True, hair="short", hat="none", beard=0.0, portrait=Portrait(0, 0.0, 0),
        footwear=Footwear("shoes", Cloth("white")), bottom=Bottom("shorts", Cloth("navy"), 0.7),
    )  # fmt: skip
    before = render_clip(replace(scene, identity=plain), frames=1, size=(256, 256))
    place = {name: before.keypoints.body[0, BODY_JOINTS.index(name), :2] for name in ("nose", "left_ankle")}
    for change, joint in (
        ({"portrait": Portrait(0, 0.0, 2)}, "nose"),
        ({"portrait": Portrait(0, 1.0, 0)}, "nose"),
        ({"hat": "straw hat"}, "nose"),
        ({"beard": 0.9}, "nose"),
        ({"footwear": Footwear("boots", Cloth("red"), 0.25)}, "left_ankle"),
    ):
        after = render_clip(replace(scene, identity=replace(plain, **change)), frames=1, size=(256, 256))
        changed = (after.frames[0] != before.frames[0]).any(axis=-1)
        rows, columns = np.nonzero(changed)
        assert changed.sum() > 4, change
        away = np.hypot(columns - place[joint][0], rows - place[joint][1])
        assert np.median(away) < 30, change


def test_an_edition_keeps_its_looks_and_an_unknown_one_is_refused():
    first, second = Scene.sample(8), Scene.sample(8, edition=2)
    assert first == Scene.sample(8, edition=1)
    assert first.identity.portrait is None
    assert second.identity.portrait is not None
    assert len(second.place.solids) > 0
    # No surface of edition 1 has a grain.
    assert not any(row[12] for row in first.place.materials)
    assert any(row[12] for row in second.place.materials)
    with pytest.raises(ConfigError, match="edition"):
        Scene.sample(8, edition=3)


def test_a_grain_is_light_and_shade_about_the_colour():
    out = np.zeros(3)
    row = np.stack([material(0, (0.5, 0.4, 0.3), grain=(0.2, 0.1, 1.0))])
    face = np.zeros(5, np.float32)
    seen = []
    for x, y, z in np.random.default_rng(0).uniform(-2, 2, (2000, 3)):
        rasterizer._paint(row, 0, face, x, y, z, 0.0, 0.0, 1.0, out)
        np.testing.assert_allclose(out / out[0], [1.0, 0.8, 0.6], rtol=1e-5)  # the hue stays
        seen.append(out[0])
    assert abs(np.mean(seen) - 0.5) < 0.02
    assert 0.02 < np.std(seen) < 0.08


def test_the_colour_of_the_caption_is_the_colour_of_the_picture():
    scene = still(18, "standing")
    for colour in ("red", "green", "blue", "yellow"):
        top = Top("shirt", Cloth(colour), "long", 0.95)
        clip = render_clip(replace(scene, identity=replace(scene.identity, top=top)), frames=1, size=SIZE)
        body = clip.keypoints.body[0]
        hips = body[[BODY_JOINTS.index(f"{side}_hip") for side in ("left", "right")], :2].mean(axis=0)
        x, y = 0.4 * hips + 0.6 * body[BODY_JOINTS.index("neck"), :2]
        got = clip.frames[0, int(y), int(x)].astype(float)
        distance = {
            name: np.linalg.norm(got / got.max() - np.array(COLOURS[name]) / max(COLOURS[name]))
            for name in ("red", "green", "blue", "yellow")
        }
        assert min(distance, key=distance.__getitem__) == colour


def test_a_stream_of_edition_2_leaves_parts_of_captions_out():
    batch = next(training_stream(5, (64, 64), 8, edition=2))
    assert len(batch.captions) == 8
    again = next(training_stream(5, (64, 64), 8, edition=2))
    assert batch.captions == again.captions
    whole = [caption(stream_scene(5, 0, slot, edition=2)) for slot in range(8)]
    assert any(short != full for short, full in zip(batch.captions, whole, strict=True))
    np.testing.assert_array_equal(batch.frames, again.frames)


@pytest.mark.parametrize("edition", [1, 2])
def test_splits_share_neither_people_nor_motions_nor_colours(edition):
    train, held = ([Scene.sample(seed, split, edition) for seed in range(40)] for split in ("train", "held_out"))
    reserved = {*HELD_OUT_CLIPS, *HELD_OUT_ROUTINES}
    assert {scene.performance.name for scene in held} <= reserved
    assert not {scene.performance.name for scene in train} & reserved
    for scene in train + held:
        if not scene.identity.dressed:
            first, second = scene.identity.top.cloth.colour, scene.identity.bottom.cloth.colour
            assert is_reserved(first, second) == (scene in held)
    assert not {scene.identity.shape for scene in train} & {scene.identity.shape for scene in held}
    assert not {scene.place for scene in train} & {scene.place for scene in held}


def test_a_pair_is_one_edit_with_its_truth():
    pair = Pair.sample(1)
    assert pair.truth.identity == pair.source.identity != pair.reference.identity
    assert pair.truth.place == pair.source.place != pair.reference.place
    assert pair.truth.view == pair.source.view
    assert pair.truth.performance == pair.reference.performance != pair.source.performance
    assert Pair.sample(1) == pair
    clips = render_pair(pair, frames=3, size=SIZE)
    np.testing.assert_array_equal(clips.source.backgrounds, clips.truth.backgrounds)
    for first, second in zip(range(3), range(3), strict=True):
        nobody = ~dilate(clips.source.masks[first] | clips.truth.masks[second])
        nobody &= ~clips.source.shadows[first] & ~clips.truth.shadows[second]
        assert nobody.mean() > 0.4
        np.testing.assert_array_equal(clips.source.frames[first][nobody], clips.truth.frames[second][nobody])
    assert np.abs(clips.source.frames.astype(int) - clips.truth.frames).max() > 30


def test_the_truth_keeps_the_source_s_place():
    pair = Pair.sample(33)
    assert pair.truth.performance.name == "kick", "somebody who travels"
    clips = render_pair(pair, frames=5, size=SIZE, fps=4)
    source, truth, unmoved = (
        np.median(clip.keypoints.body[:, [8, 11], 0].mean(axis=1))
        for clip in (clips.source, clips.truth, render_clip(pair.truth, frames=5, size=SIZE, fps=4))
    )
    assert abs(truth - source) < 0.03 * SIZE[1]
    assert abs(unmoved - source) > 0.05 * SIZE[1]


def test_a_single_picture_keeps_still_and_a_moving_camera_moves():
    picture = Pair.sample(2, single_picture=True)
    clip = render_clip(picture.source, frames=3, size=SIZE)
    np.testing.assert_array_equal(clip.frames[0], clip.frames[2])
    moving = Pair.sample(2, moving_camera=True)
    clip = render_clip(moving.source, frames=3, size=SIZE, fps=2)
    assert len(clip.backgrounds) == 3
    assert (clip.backgrounds[0] != clip.backgrounds[2]).any()


def test_the_stream_depends_on_seed_and_step_only():
    whole = list(islice(training_stream(5, (64, 64), 3), 4))
    resumed = next(training_stream(5, (64, 64), 3, first=3))
    np.testing.assert_array_equal(whole[3].frames, resumed.frames)
    assert whole[3].captions == resumed.captions
    shared = next(training_stream(5, (64, 64), 3, first=1, stride=2))
    np.testing.assert_array_equal(whole[1].frames, shared.frames)
    assert (whole[0].frames != whole[1].frames).any()
    assert whole[0].frames.shape == (3, 1, 64, 64, 3)
    assert len({scene.identity for scene in (stream_scene(5, step, 0) for step in range(24))}) >= 3
    other = next(training_stream(6, (64, 64), 3))
    assert (other.frames != whole[0].frames).any()


def test_the_stream_gives_short_clips_too():
    batch = next(training_stream(5, (64, 48), 2, frames=3, fps=8))
    assert batch.frames.shape == (2, 3, 64, 48, 3)
    assert batch.masks.shape == (2, 3, 64, 48)
    assert [len(keypoints) for keypoints in batch.keypoints] == [3, 3]


@pytest.mark.parametrize(
    "call",
    [
        lambda: Scene.sample(-1),
        lambda: Scene.sample(0, "test"),
        lambda: render_clip(Scene.sample(0), frames=0),
        lambda: render_clip(Scene.sample(0), frames=1, size=(4, 64)),
        lambda: render_clip(Scene.sample(0), frames=1, size=(64, 100_000)),
        lambda: next(training_stream(0, (64, 64), 0)),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(ConfigError, match="expected"):
        call()


def test_without_numba_scenes_work_and_rendering_says_what_to_install():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from edit_your_motion.errors import MissingExtraError\n"
        "import edit_your_motion.stage as stage\n"
        "print(stage.caption(stage.Scene.sample(0)))\n"
        "try:\n    stage.render_clip\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    words, message = done.stdout.splitlines()
    assert words == caption(Scene.sample(0))
    assert "numba" in message
    assert "edit-your-motion[stage]" in message


def test_the_data_is_small_and_of_plain_arrays():
    from edit_your_motion.stage.body import DATA

    for name in ("body.npz", "motions.npz"):
        assert (DATA / name).stat().st_size < 3 * 2**20
    assert load_cast().bodies.shape[0] > 200
    assert len(load_cast().template.vertices) < 5000
