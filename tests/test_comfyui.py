"""ComfyUI's nodes: what they say of themselves, and what each of them does, with tiny networks and without a server."""

import importlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from comfy_stand_in import InterruptProcessingException, StandIn, VideoComponents, VideoInput, install
from comfyui_workflows import as_prompt, is_widget, read_inputs, read_workflow
from edit_your_motion.config import BaseConfig
from edit_your_motion.errors import CheckpointError, ConfigError, InputError, ModelFileError, PersonError, VideoError
from edit_your_motion.models import downloads
from edit_your_motion.people.alignment import align
from edit_your_motion.people.finders import backends
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.person import load_person
from synthetic_clip import SyntheticClip, film, write_clip

ROOT = Path(__file__).parents[1]
PACK = ROOT / "comfyui"
WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))
OURS = re.compile("EYM_|POSE_KEYPOINT")


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield install(tmp_path_factory.mktemp("models"), patch.setitem)
        for name in [name for name in sys.modules if name.partition(".")[0] == "comfyui"]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def extension(stand_in: StandIn) -> ModuleType:
    pack = importlib.import_module("comfyui")
    finish(pack.comfy_entrypoint())
    return importlib.import_module("comfyui.extension")


def finish(coroutine: Any) -> Any:
    """What a coroutine returns that waits for nothing."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


@pytest.fixture(scope="module")
def nodes(extension: ModuleType) -> dict[str, Any]:
    return {node.define_schema().node_id: node for node in finish(extension.EditYourMotion().get_node_list())}


@pytest.fixture(autouse=True)
def nobody_wants_to_stop(stand_in: StandIn) -> None:
    stand_in.managed.countdown = None
    stand_in.bar.shown.clear()


def describe(node: Any) -> dict[str, Any]:
    """A node as the server describes it."""
    schema = node.define_schema()
    info: dict[str, Any] = {"input": {"required": {}, "optional": {}}, **schema.describe()}
    for port in schema.inputs:
        info["input"]["optional" if port.optional else "required"][port.id] = (port.kind, port.given)
    return info


def run(node: Any, **given: Any) -> Any:
    """Executes a node as ComfyUI does: with the defaults of what is not given, and where no gradients are known."""
    inputs = {}
    for port in node.define_schema().inputs:
        if not port.optional and is_widget((port.kind,)):
            options = port.given.get("options")
            inputs[port.id] = port.given.get("default", options[0] if options else None)
    assert given.keys() <= {port.id for port in node.define_schema().inputs}
    with torch.inference_mode():
        return node.execute(**{**inputs, **given})


def test_every_node_says_what_it_is_and_what_it_takes(nodes: dict[str, Any]) -> None:
    assert len(nodes) == 12
    for id, node in nodes.items():
        schema = node.define_schema()
        assert id.startswith("EditYourMotion")
        assert schema.category == "Edit-Your-Motion"
        assert schema.description
        assert schema.display_name
        ports = [port.id for port in (*schema.inputs, *schema.outputs)]
        assert len(set(ports)) == len(ports), "ComfyUI wants them to differ, inputs from outputs too"
        assert all(port.tooltip for port in (*schema.inputs, *schema.outputs)), id
        optional = [port.optional for port in schema.inputs]
        assert optional == sorted(optional), "widgets' values are stored in the order of required and optional"


def test_every_type_is_given_and_taken(nodes: dict[str, Any]) -> None:
    schemas = [node.define_schema() for node in nodes.values()]
    given = {port.kind for schema in schemas for port in schema.outputs if OURS.match(port.kind)}
    taken = {port.kind for schema in schemas for port in schema.inputs if OURS.match(port.kind)}
    assert given == taken == {"EYM_POSES", "EYM_BASE", "EYM_PERSON", "POSE_KEYPOINT"}


def test_the_pack_asks_for_this_library() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("tomllib comes with Python 3.11")
    import tomllib

    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pack = tomllib.loads((PACK / "pyproject.toml").read_text())
    assert pack["project"]["dependencies"] == [f"{ours['name']}>={ours['version']}"]
    assert pack["project"]["requires-python"] == ours["requires-python"]
    assert (PACK / "requirements.txt").read_text().split() == pack["project"]["dependencies"]
    assert {"PublisherId", "DisplayName", "requires-comfyui"} <= pack["tool"]["comfy"].keys()


@pytest.mark.parametrize(
    ("version", "told"),
    [(None, "none .*edit_your_motion"), ("0.0.9", "0.0.9"), ("99.0", None), ("0.1.0.dev3", "0.1.0.dev3")],
)
def test_a_library_that_is_missing_or_old_is_one_line(
    version: str | None, told: str | None, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = importlib.import_module("comfyui")
    known = None if version is None else SimpleNamespace(__version__=version)
    monkeypatch.setitem(sys.modules, "edit_your_motion", known)
    check = importlib.import_module("comfyui.library").check_library
    if told is None:
        check()
        return
    with pytest.raises(ImportError, match=f"expected edit-your-motion>=.*, got {told}.*pip install") as problem:
        pack.comfy_entrypoint().send(None)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_node_of_a_workflow_lies_on_another(path: Path) -> None:
    """With the room that a node takes once it shows something: ComfyUI makes nodes higher for it."""
    title, square = 30, 340
    shows = {
        "LoadVideo": 90,
        "EditYourMotionTunePerson": 300 - square // 2,
        "EditYourMotionApplyMotion": 330,
        "SaveVideo": 110,
    }
    boxes = []
    for node in read_workflow(path)["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        assert height >= shows.get(node["type"], -square) + square
        boxes.append((x, y - title, x + width, y + height))
    for box, other in itertools.combinations(boxes, 2):
        apart = box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
        assert apart, f"{box} and {other}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_fit_the_nodes(path: Path, nodes: dict[str, Any]) -> None:
    workflow, described = read_workflow(path), {id: describe(node) for id, node in nodes.items()}
    ids = {node["id"]: node for node in workflow["nodes"]}
    ours = [node for node in workflow["nodes"] if node["type"].startswith("EditYourMotion")]
    assert ours
    prompt = as_prompt({**workflow, "nodes": ours}, described)
    for node in ours:
        info = described[node["type"]]
        inputs = prompt[str(node["id"])]["inputs"]
        assert inputs.keys() >= info["required"].keys(), "everything that has to be given is"
        assert [output["type"] for output in node["outputs"]] == info["output"]
        for name, (_, options) in read_inputs(info).items():
            if "options" in options and name not in ("base", "controlnet"):
                assert inputs[name] in options["options"]
            if "min" in options:
                assert options["min"] <= inputs[name] <= options["max"]
    for _, origin, slot, target, into, kind in workflow["links"]:
        assert ids[origin]["outputs"][slot]["type"] == kind
        assert kind in ids[target]["inputs"][into]["type"].split(",")
    assert path.with_suffix(".jpg").stat().st_size < 150_000, "beside it is what it made"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(4))


@pytest.fixture(scope="module")
def values(extension: ModuleType) -> ModuleType:
    return importlib.import_module("comfyui.values")


@pytest.fixture
def poses(values: ModuleType, walk: SyntheticClip) -> Any:
    return values.Poses(walk.prepared.keypoints, Fraction(8))


def pictures(clip: SyntheticClip) -> torch.Tensor:
    return torch.from_numpy(clip.prepared.video.frames) / 255


def test_pictures_and_masks_come_back_as_they_were(values: ModuleType, walk: SyntheticClip) -> None:
    frames = walk.prepared.video.frames
    np.testing.assert_array_equal(values.as_frames(values.as_images(frames)), frames)
    grey = values.as_frames(torch.full((1, 2, 2, 1), 0.5))
    assert grey.shape == (1, 2, 2, 3)
    clear = torch.cat([pictures(walk), torch.zeros(4, 64, 64, 1)], dim=-1)
    np.testing.assert_array_equal(values.as_frames(clear), frames)
    assert values.as_rate(29.97) == Fraction(30000, 1001) or abs(float(values.as_rate(29.97)) - 29.97) < 1e-3
    np.testing.assert_array_equal(values.as_mask(walk.prepared.masks).numpy() > 0.5, walk.prepared.masks)


def test_a_whole_video_is_read_from_its_file_and_a_part_of_one_is_not(values: ModuleType, walk: SyntheticClip) -> None:
    assert values.as_clip(VideoInput(walk.video, duration=0.5), 30) == walk.video
    two = VideoComponents(pictures(walk)[:2], Fraction(8))
    part = values.as_clip(VideoInput(walk.video, two, duration=0.25), 30)
    assert (len(part.frames), part.fps) == (2, 8)
    assert values.as_clip(pictures(walk), 12.5).fps == Fraction(25, 2)


def test_poses_pass_through_the_form_of_other_packs(nodes: dict[str, Any], poses: Any) -> None:
    (documents,) = run(nodes["EditYourMotionPosesToKeypoints"], poses=poses).args
    assert json.loads(json.dumps(documents)) == documents
    assert documents[0].keys() >= {"people", "canvas_width", "canvas_height"}
    (back,) = run(nodes["EditYourMotionPosesFromKeypoints"], keypoints=documents, fps=8.0).args
    np.testing.assert_array_equal(back.keypoints.body, poses.keypoints.body)
    assert back.fps == poses.fps
    for frame in documents:  # as packs do that write shares of the picture
        points = np.array(frame["people"][0]["pose_keypoints_2d"]).reshape(-1, 3) / (64, 64, 1)
        frame["people"][0]["pose_keypoints_2d"] = points.ravel().tolist()
    (shares,) = run(nodes["EditYourMotionPosesFromKeypoints"], keypoints=documents).args
    np.testing.assert_allclose(shares.keypoints.body, poses.keypoints.body, rtol=1e-6)
    with pytest.raises(PersonError, match="POSE_KEYPOINT"):
        run(nodes["EditYourMotionPosesFromKeypoints"], keypoints=[{"people": []}])


def test_keypoints_are_edited(nodes: dict[str, Any], poses: Any, walk: SyntheticClip) -> None:
    edit_keypoints = nodes["EditYourMotionEditKeypoints"]
    wrist = BODY_JOINTS.index("right_wrist")
    before = poses.keypoints.body
    moved, overlay = run(edit_keypoints, poses=poses, frames_chosen="2-3", dx=3.0, dy=-1.5, images=pictures(walk)).args
    expected = before.copy()
    expected[1:3, wrist, :2] += (3, -1.5)
    np.testing.assert_array_equal(moved.keypoints.body, expected)
    assert overlay.shape == (4, 64, 64, 3)
    hidden, _ = run(edit_keypoints, poses=poses, action="hide", joints="left arm, nose", frames_chosen="4").args
    gone = [BODY_JOINTS.index(name) for name in ("nose", "left_shoulder", "left_elbow", "left_wrist")]
    assert not hidden.keypoints.body[3, gone].any()
    np.testing.assert_array_equal(hidden.keypoints.body[:3], before[:3])
    swapped, _ = run(edit_keypoints, poses=poses, action="swap sides").args
    np.testing.assert_array_equal(swapped.keypoints.body[:, wrist], before[:, BODY_JOINTS.index("left_wrist")])
    with pytest.raises(PersonError, match="'tail'"):
        run(edit_keypoints, poses=poses, joints="tail")
    with pytest.raises(PersonError, match="frames of 1 to 4"):
        run(edit_keypoints, poses=poses, frames_chosen="3-9")


@pytest.mark.parametrize("method", ["limbs", "paper", "none"])
def test_a_motion_is_retargeted_as_the_library_does(
    method: Any, nodes: dict[str, Any], values: ModuleType, poses: Any
) -> None:
    large = film(6, 128, 96, seed=1)
    reference = values.Poses(large.keypoints, Fraction(16))
    aligned, skeletons, preview = run(
        nodes["EditYourMotionRetarget"], reference=reference, source=poses, method=method, place="inside"
    ).args
    expected = align(large.keypoints, poses.keypoints, method, place="inside")
    np.testing.assert_array_equal(aligned.keypoints.body, expected.body)
    assert aligned.fps == 16
    shifted, *_ = run(
        nodes["EditYourMotionRetarget"], reference=reference, source=poses, method=method, right=0.25
    ).args
    np.testing.assert_allclose(shifted.keypoints.body[..., 0], expected.body[..., 0] + 16, atol=1e-3)
    assert skeletons.shape == (6, 64, 64, 3)
    assert skeletons.max() > 0.5
    assert preview.shape[0] == 1


def test_a_clean_plate_lacks_the_person(nodes: dict[str, Any], values: ModuleType, stand_in: StandIn) -> None:
    clip = film(8, speed=6.0)
    images, masks = values.as_images(clip.video.frames), values.as_mask(clip.masks)
    plate, seen = run(nodes["EditYourMotionCleanPlate"], images=images, masks=masks).args
    place = plate.numpy()[clip.masks] * 255
    assert 85 < place.mean() < 125, "the background's brightness, where the person was"
    assert 0 < seen <= 1
    stand_in.managed.countdown = 2
    with pytest.raises(InterruptProcessingException):
        run(nodes["EditYourMotionCleanPlate"], images=images, masks=masks)
    with pytest.raises(VideoError, match="a mask for each image"):
        run(nodes["EditYourMotionCleanPlate"], images=images, masks=masks[:3])


def test_people_are_found_without_a_download_unless_asked(
    nodes: dict[str, Any], walk: SyntheticClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("EDIT_YOUR_MOTION_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "fetch", lambda *_: pytest.fail("something is downloaded"))
    monkeypatch.setattr(downloads, "locate", refuse)
    with pytest.raises(ModelFileError, match="is not here"):
        run(nodes["EditYourMotionFindPeople"], clip=pictures(walk))


def refuse(name: str) -> Path:
    raise ModelFileError(f"{name} is not here")


class KnowsThem:
    """Finds the figure of `film` by its place."""

    name = "blazepose"

    def __init__(self, **options: object) -> None:
        self.options = options

    def detect(self, frames: np.ndarray, *, on_frame: Any = None) -> list[list[Any]]:
        from edit_your_motion.people.finders.contract import PersonDetection

        found = []
        for index, frame in enumerate(frames):
            height, width = frame.shape[:2]
            body = np.ones((18, 3), np.float32)
            body[:, :2] = film(1).keypoints.body[0, :, :2] * (width / 64, height / 64)
            mask = np.zeros((height, width), bool)
            mask[height // 8 : height * 7 // 8, width // 4 : width * 5 // 8] = True
            box = np.array([width / 4, height / 8, width * 5 / 8, height * 7 / 8], np.float32)
            found.append([PersonDetection(box=box, score=1.0, body=body, hands=None, face=None, mask=mask)])
            if on_frame is not None:
                on_frame(index + 1, len(frames))
        return found


def test_a_source_gets_the_bases_size_and_a_reference_keeps_its_own(
    nodes: dict[str, Any], walk: SyntheticClip, base: Any, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends.BACKENDS, "blazepose", lambda: KnowsThem)
    find = nodes["EditYourMotionFindPeople"]
    still = film(4, speed=0.0)
    clip = torch.from_numpy(still.video.frames) / 255
    poses, masks, images, overlay, rate = run(find, clip=clip, base=base, size="64", frames=3, fps=8.0).args
    assert images.shape == overlay.shape == (3, 64, 64, 3)
    assert masks.shape == (3, 64, 64)
    assert (rate, poses.fps) == (8.0, 8)
    np.testing.assert_allclose(poses.keypoints.body[0, :, :2], still.keypoints.body[0, :, :2], atol=1.0)
    poses, masks, images, *_ = run(find, clip=clip, use="reference: only its motion", fps=8.0).args
    assert images.shape == (4, 512, 512, 3)
    assert (poses.keypoints.width, len(masks)) == (512, 4)
    stand_in.managed.countdown = 3
    with pytest.raises(InterruptProcessingException):
        run(find, clip=clip, fps=8.0)


@pytest.fixture(scope="module")
def base(extension: ModuleType, checkpoints: Path) -> Any:
    memory = importlib.import_module("comfyui.memory")
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    with torch.inference_mode():
        return memory.ManagedBase.load(model)


SHORT = "inversion: {steps: 2}\ntuning: {motion: {learning_rate: 1.0e-3}, gradient_checkpointing: false}"


def tune(nodes: dict[str, Any], base: Any, walk: SyntheticClip, poses: Any, iterations: int = 3, **given: Any) -> Any:
    short = {"motion_iterations": iterations, "appearance_iterations": 2, "settings": SHORT, "prompt": "a box walks"}
    clip = {"images": pictures(walk), "masks": torch.from_numpy(walk.prepared.masks).float(), "poses": poses}
    return run(nodes["EditYourMotionTunePerson"], base=base, **{**short, **clip, **given}).args[0]


def same(one: Any, other: Any) -> bool:
    return one.losses == other.losses and all(torch.equal(one.parameters[name], other.parameters[name])
                                              for name in one.parameters)  # fmt: skip


def test_a_person_is_tuned_kept_and_moved(
    nodes: dict[str, Any], base: Any, walk: SyntheticClip, poses: Any, stand_in: StandIn, values: ModuleType
) -> None:
    person = tune(nodes, base, walk, poses)
    assert len(person.losses) == 5
    assert person.preset == "paper", "what a base is tuned under that recommends none"
    assert stand_in.managed.loaded[-1] is base.patcher
    values_shown = [value for value, _, _ in stand_in.bar.shown]
    assert values_shown == sorted(values_shown), "one bar, from end to end"
    assert values_shown[-1] > 990
    assert any(preview is not None for *_, preview in stand_in.bar.shown)
    assert list((stand_in.models / "edit_your_motion" / "unfinished").iterdir()) == []

    said = run(nodes["EditYourMotionSavePerson"], person=person, name="walker").ui
    assert said == {"text": ("saved as walker",)}
    assert run(nodes["EditYourMotionSavePerson"], person=person, name="walker").ui == {"text": ("saved as walker_2",)}
    load = nodes["EditYourMotionLoadPerson"]
    assert load.define_schema().inputs[0].given["options"] == ["walker", "walker_2"]
    loaded, of_source, images, masks = run(load, name="walker").args
    assert same(loaded, person)
    assert len(of_source.keypoints) == len(images) == len(masks) == 4
    assert same(load_person(stand_in.models / "edit_your_motion" / "persons" / "walker"), person)

    large = film(3, 128, 128, seed=1)
    motion = values.Poses(large.keypoints, Fraction(8))
    stand_in.bar.shown.clear()
    edited, video, guided = run(
        nodes["EditYourMotionApplyMotion"], base=base, person=loaded, motion=motion, steps=2, alignment="limbs"
    ).args
    assert edited.shape == (3, 64, 64, 3)
    assert video.components.frame_rate == 8
    assert any(preview is not None for *_, preview in stand_in.bar.shown)
    expected = align(large.keypoints, poses.keypoints, "limbs", place="inside")
    np.testing.assert_array_equal(guided.keypoints.body, expected.body)
    again, *_ = run(
        nodes["EditYourMotionApplyMotion"], base=base, person=person, motion=guided, steps=2, alignment="none"
    ).args
    np.testing.assert_array_equal(again, edited), "a motion retargeted before is taken as it is"


def test_a_tuning_stopped_at_any_step_goes_on_from_there(
    nodes: dict[str, Any], base: Any, walk: SyntheticClip, poses: Any, stand_in: StandIn
) -> None:
    whole = tune(nodes, base, walk, poses, random_seed=3)
    told = len(stand_in.bar.shown)
    stopped = 0
    for countdown in range(1, told):
        stand_in.managed.countdown = countdown
        try:
            person = tune(nodes, base, walk, poses, random_seed=3)
        except InterruptProcessingException:
            stopped += 1
            continue
        break
    assert stopped > 5, "at each of the steps of tuning at least"
    assert same(person, whole)


def test_what_is_wrong_is_said_before_anything_is_tuned(
    nodes: dict[str, Any], base: Any, walk: SyntheticClip, poses: Any, values: ModuleType
) -> None:
    with pytest.raises(ConfigError, match=r"expected a prompt .* give one \('prompt'\), or .* \('preset' fast") as told:
        tune(nodes, base, walk, poses, prompt=" ")
    assert "--" not in str(told.value), "a node has no flags"
    with pytest.raises(ConfigError, match="expected settings of"):
        tune(nodes, base, walk, poses, settings="people: {keypoints: /etc/passwd}")
    with pytest.raises(ConfigError, match="expected settings as YAML"):
        tune(nodes, base, walk, poses, settings="- 1")
    with pytest.raises(ConfigError, match="unheard"):
        tune(nodes, base, walk, poses, settings="tuning: {unheard: 1}")
    with pytest.raises(VideoError, match="a mask for each"):
        tune(nodes, base, walk, poses, masks=torch.zeros(2, 64, 64))
    with pytest.raises(PersonError, match="Find people"):
        tune(nodes, base, walk, values.Poses(film(2).keypoints, Fraction(8)))
    odd = film(4, 60, 60)
    with pytest.raises(VideoError, match="multiples of"):
        run(
            nodes["EditYourMotionTunePerson"],
            base=base,
            images=values.as_images(odd.video.frames),
            masks=values.as_mask(odd.masks),
            poses=values.Poses(odd.keypoints, Fraction(8)),
            prompt="a box",
        )


def test_every_node_speaks_of_its_inputs(nodes: dict[str, Any]) -> None:
    for id, node in nodes.items():
        source = inspect.getsource(node.execute)
        assert "@in_node_words()" in source, f"{id} would tell people of flags"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("give it by --base and --controlnet", "give it by 'Load base'"),
        ("lower --windows.frames or --video.size", "lower 'settings' windows.frames or the images' size"),
        ("say what there is by --runtime.memory 8GB", "say what there is by the library's runtime.memory 8GB"),
    ],
)
def test_an_error_speaks_of_inputs(extension: ModuleType, message: str, said: str) -> None:
    messages = importlib.import_module("comfyui.messages")
    with pytest.raises(PersonError) as told, messages.in_node_words():
        raise PersonError(message)
    assert str(told.value) == said


def test_where_nobody_is_saved_a_node_says_so(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.import_module("comfyui.folders"), "_places", lambda part: [tmp_path / part])
    load = nodes["EditYourMotionLoadPerson"]
    (said,) = load.define_schema().inputs[0].given["options"]
    with pytest.raises(CheckpointError, match=r"expected a person in .*persons, got none: save one"):
        run(load, name=said)


@pytest.mark.parametrize("name", ["../out", "/tmp/x", "", "a/b", ".hidden", "con\0", "trailing."])
def test_a_name_from_a_workflow_stays_in_its_folder(name: str, nodes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected a name"):
        run(nodes["EditYourMotionSavePerson"], person=None, name=name)
    with pytest.raises(InputError, match="expected a name"):
        run(nodes["EditYourMotionLoadPerson"], name=name)


def test_bases_lie_where_comfyui_keeps_models(
    nodes: dict[str, Any], checkpoints: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stand_in.models / "edit_your_motion" / "bases"
    folder.mkdir(parents=True)
    (folder / "tiny").symlink_to(checkpoints / "base")
    for kind, name in (
        ("checkpoints", "one.safetensors"),
        ("checkpoints", "old.ckpt"),
        ("controlnet", "pose.safetensors"),
    ):
        (stand_in.models / kind).mkdir(exist_ok=True)
        (stand_in.models / kind / name).touch()
    load = nodes["EditYourMotionLoadBase"]
    choices, controlnets = (port.given["options"] for port in load.define_schema().inputs[:2])
    assert choices[:3] == ["small", "edit_your_motion/tiny", "checkpoints/one.safetensors"]
    assert controlnets == ["default", "controlnet/pose.safetensors"]
    with pytest.raises(CheckpointError, match="nothing may be downloaded unasked"):
        run(load, base="nobody/such-base")
    with pytest.raises(CheckpointError, match="which is not there"):
        run(load, base="edit_your_motion/nothing")


def test_an_edit_is_scored(
    nodes: dict[str, Any], walk: SyntheticClip, poses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends.BACKENDS, "blazepose", lambda: KnowsThem)
    scores = nodes["EditYourMotionScores"]
    output = run(scores, images=pictures(walk), poses=poses)
    measured = json.loads(output.args[0])
    assert measured.keys() == {"flicker", "pck", "keypoint_error"}
    assert output.ui["text"][0] == output.args[0]


def test_what_was_moved_by_comfyui_can_be_tuned(extension: ModuleType) -> None:
    memory = importlib.import_module("comfyui.memory")
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    with torch.inference_mode():
        network.to(torch.float64).to(torch.float32)
        with torch.inference_mode(False):
            memory.make_differentiable(network)
            network(torch.zeros(4, 3)).sum().backward()
    assert network[0].weight.grad is not None
