"""A tuned person as a folder: what is loaded does what was saved; damage and misfits are named."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edit_your_motion.config import ApplyConfig, BaseConfig, SamplingConfig
from edit_your_motion.edit import Edit, apply_motion, tune_person
from edit_your_motion.errors import CheckpointError, DiskFullError, EditYourMotionError, InputError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.tiny import make_base, make_controlnet
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import CONFIG, LATENTS, PARAMETERS, SOURCE, is_person
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors
from edit_your_motion.tuning.loop import tuned_parameters
from synthetic_clip import film, short_tune, write_clip

pytestmark = pytest.mark.law

SHORT = ApplyConfig(sampling=SamplingConfig(steps=2))


@pytest.fixture(scope="module")
def person(checkpoints: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Person:
    clip = write_clip(tmp_path_factory.mktemp("source"), film(2))
    return tune_person(backbone, clip.prepared, short_tune(checkpoints, clip), SilentProgress())


@pytest.fixture(scope="module")
def backbone(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    config = short_tune(checkpoints, write_clip(tmp_path_factory.mktemp("clip"), film(2)))
    return Backbone.load(config.model, config.runtime)


@pytest.fixture
def saved(person: Person, tmp_path: Path) -> Path:
    person.save(tmp_path / "person")
    return tmp_path / "person"


def perform(backbone: Backbone, person: Person) -> Edit:
    return apply_motion(backbone, person, film(3, speed=4.0), SHORT, SilentProgress())


def test_what_is_loaded_equals_what_was_saved(person: Person, saved: Path) -> None:
    loaded = load_person(saved)
    assert {field.name for field in fields(Person)} == {
        "config", "base_digests", "parameters", "latents", "noise", "source", "losses", "stages", "decoder",
        "inputs", "preset", "completed_prompt",
    }  # fmt: skip
    assert (loaded.config, loaded.base_digests, loaded.losses) == (person.config, person.base_digests, person.losses)
    assert loaded.stages == person.stages
    assert loaded.inputs == person.inputs
    assert (loaded.preset, loaded.completed_prompt) == (person.preset, person.completed_prompt)
    replace(person, preset="best", completed_prompt="a red box walks").save(saved)
    loaded = load_person(saved)
    assert (loaded.preset, loaded.prompt) == ("best", "a red box walks")
    assert loaded.parameters.keys() == person.parameters.keys()
    assert all(torch.equal(value, loaded.parameters[name]) for name, value in person.parameters.items())
    assert torch.equal(loaded.latents, person.latents)
    assert torch.equal(loaded.noise, person.noise)
    np.testing.assert_array_equal(loaded.source.masks, person.source.masks)
    np.testing.assert_array_equal(loaded.source.keypoints.body, person.source.keypoints.body)


def test_only_what_was_tuned_is_saved(person: Person, saved: Path, backbone: Backbone) -> None:
    network = backbone.inflate(person.config.network, 0)
    assert load_tensors(saved / PARAMETERS).keys() == tuned_parameters(network.unet, person.config.tuning).keys()
    assert 'Prompt: "a box walks"' in (saved / "README.md").read_text()


def test_a_loaded_person_performs_bit_for_bit_the_same(person: Person, saved: Path, backbone: Backbone) -> None:
    one, other = perform(backbone, person), perform(backbone, load_person(saved))
    assert torch.equal(one.latents, other.latents)
    np.testing.assert_array_equal(one.frames, other.frames)


def test_the_tuning_shows_in_the_edit(person: Person, backbone: Backbone) -> None:
    untuned = backbone.inflate(person.config.network, person.config.runtime.seed)
    start = {name: value.clone() for name, value in tuned_parameters(untuned.unet, person.config.tuning).items()}
    fresh = replace(person, parameters=start)
    assert not torch.equal(perform(backbone, person).latents, perform(backbone, fresh).latents)


def test_another_base_is_refused(person: Person, tmp_path: Path, checkpoints: Path) -> None:
    base = make_base(tmp_path / "base", seed=7)
    controlnet = make_controlnet(tmp_path / "controlnet", base)
    model = person.config.model.model_copy(update={"base": str(base), "controlnet": str(controlnet)})
    other = Backbone.load(model, person.config.runtime)
    with pytest.raises(CheckpointError, match="another base"):
        perform(other, person)


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("base/vae/diffusion_pytorch_model.safetensors", "VAE"),
        ("base/unet/diffusion_pytorch_model.safetensors", "U-Net"),
        ("base/text_encoder/model.safetensors", "text encoder"),
        ("controlnet/diffusion_pytorch_model.safetensors", "ControlNet"),
    ],
)
def test_a_base_with_any_other_part_is_refused_by_its_name(
    person: Person, tmp_path: Path, checkpoints: Path, file: str, part: str
) -> None:
    folder = shutil.copytree(checkpoints, tmp_path / "checkpoints")
    tensors = load_tensors(folder / file)
    name = sorted(tensors)[-1]
    save_tensors(folder / file, {**tensors, name: tensors[name] * 1.01 + 1e-3})
    model = BaseConfig(base=str(folder / "base"), controlnet=str(folder / "controlnet"))
    with pytest.raises(CheckpointError, match=f"what is another: {part};.*--other-base"):
        perform(Backbone.load(model, person.config.runtime), person)


def test_a_person_of_the_first_format_is_checked_as_it_was(
    person: Person, saved: Path, backbone: Backbone, tmp_path: Path
) -> None:
    weight = backbone.base.unet.conv_in.weight.numpy()
    first = hashlib.sha256(np.round(weight, 3).tobytes()).hexdigest()[:16]
    tensors, metadata = load_tensors(saved / PARAMETERS), load_metadata(saved / PARAMETERS)
    save_tensors(saved / PARAMETERS, tensors, {**metadata, "base": first})
    assert torch.equal(perform(backbone, load_person(saved)).latents, perform(backbone, person).latents)
    save_tensors(saved / PARAMETERS, tensors, {**metadata, "base": "0123456789abcdef"})
    with pytest.raises(CheckpointError, match=r"another base.*first convolution of the U-Net"):
        perform(backbone, load_person(saved))
    for damaged in ("[1]", "{", "7"):
        save_tensors(saved / PARAMETERS, tensors, {**metadata, "base": damaged})
        with pytest.raises(CheckpointError, match="expected the base of a tuning"):
            load_person(saved)


def test_parameters_of_another_network_are_refused(person: Person, backbone: Backbone) -> None:
    name, value = next(iter(person.parameters.items()))
    missing = {key: tensor for key, tensor in person.parameters.items() if key != name}
    frozen = "unet.conv_in.weight"
    for parameters, named in (
        (missing, name),
        ({**person.parameters, name: value[:1]}, name),
        ({**person.parameters, frozen: torch.zeros(32, 4, 3, 3)}, frozen),
    ):
        with pytest.raises(CheckpointError, match=named):
            perform(backbone, replace(person, parameters=parameters))


@pytest.mark.parametrize("name", [CONFIG, PARAMETERS, LATENTS, SOURCE])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    path = saved / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(CheckpointError, match=name):
        load_person(saved)


@pytest.mark.parametrize("name", [CONFIG, PARAMETERS, LATENTS, f"{SOURCE}/keypoints.json", f"{SOURCE}/frames.mp4"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage: [" * 50], ids=["empty", "garbage"])
def test_a_damaged_file_is_named(saved: Path, name: str, content: bytes) -> None:
    (saved / name).write_bytes(content)
    with pytest.raises(EditYourMotionError, match=Path(name).name):
        load_person(saved)


def test_settings_that_we_do_not_know_name_the_file(saved: Path) -> None:
    (saved / CONFIG).write_text("prompt: x\nfuture: {setting: 1}\n")
    with pytest.raises(CheckpointError, match=r"config\.yaml.*future"):
        load_person(saved)


@pytest.mark.parametrize("shape", [(1, 3, 4, 8, 8), (2, 2, 4, 8, 8), (1, 2, 4, 8)], ids=["frames", "clips", "axes"])
def test_latents_of_another_size_are_refused(saved: Path, shape: tuple[int, ...]) -> None:
    save_tensors(saved / LATENTS, {"latents": torch.zeros(shape), "noise": torch.zeros(shape)})
    with pytest.raises(CheckpointError, match=r"latents\.safetensors"):
        load_person(saved)
    save_tensors(saved / LATENTS, {"latents": torch.zeros(1, 2, 4, 8, 8)})
    with pytest.raises(CheckpointError, match=r"latents\.safetensors"):
        load_person(saved)


def test_losses_that_are_none_are_refused(saved: Path) -> None:
    tensors, metadata = load_tensors(saved / PARAMETERS), load_metadata(saved / PARAMETERS)
    for losses in ("[", json.dumps([[1]]), json.dumps({"a": 1}), "7"):
        save_tensors(saved / PARAMETERS, tensors, {**metadata, "losses": losses})
        with pytest.raises(CheckpointError, match="losses"):
            load_person(saved)


@pytest.mark.parametrize("fails_at", ["tensors", "masks", "last move"])
def test_an_interrupted_save_leaves_the_old_person(
    person: Person, saved: Path, fails_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    replace_file = os.replace

    def fail(*arguments: object, **options: object) -> None:
        raise full

    def fail_at_the_last_move(source: Path, target: Path) -> None:
        if Path(target) == saved and Path(source).parent.suffix == ".partial":
            raise full
        replace_file(source, target)

    if fails_at == "last move":
        monkeypatch.setattr(os, "replace", fail_at_the_last_move)
        monkeypatch.setattr("edit_your_motion.storage.files._swap", lambda one, other: False)  # as on a network disk
    else:
        place = "storage.tensor_files.save_file" if fails_at == "tensors" else "people.preparation.Image.Image.save"
        monkeypatch.setattr(f"edit_your_motion.{place}", fail)
    with pytest.raises(DiskFullError, match="no room"):
        replace(person, losses=[1.0]).save(saved)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == files
    assert [path.name for path in saved.parent.iterdir()] == ["person"]


def test_saving_again_replaces_the_person(person: Person, saved: Path) -> None:
    replace(person, losses=[1.0]).save(saved)
    assert load_person(saved).losses == [1.0]
    assert [path.name for path in saved.parent.iterdir()] == ["person"]


def test_what_is_no_person_is_never_replaced(person: Person, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("precious")
    for place in (tmp_path, tmp_path / "holiday.jpg"):
        with pytest.raises(InputError, match="something else"):
            person.save(place)
    assert (tmp_path / "holiday.jpg").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    person.save(tmp_path / "empty")
    assert is_person(tmp_path / "empty")


def test_a_full_disk_below_safetensors_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def fail(*arguments: object) -> None:
        raise SafetensorError('Error while serializing: I/O error: Os { code: 28, kind: StorageFull, message: "No…" }')

    monkeypatch.setattr("edit_your_motion.storage.tensor_files.save_file", fail)
    with pytest.raises(DiskFullError, match=r"state\.safetensors"):
        save_tensors(tmp_path / "state.safetensors", {"x": torch.zeros(2)})
    assert not list(tmp_path.iterdir())
