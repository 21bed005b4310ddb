"""The command line as a user meets it: exit codes, one line for each error, silence where asked for."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml

from edit_your_motion.cli import app, main
from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig, dump_config, parse_config
from edit_your_motion.errors import ModelFileError, OutOfMemoryError
from edit_your_motion.jobs import session
from edit_your_motion.jobs.session import run_tune
from edit_your_motion.models.loading import load_base
from edit_your_motion.person import load_person
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import probe, read_video
from synthetic_clip import SyntheticClip, film, short_edit, write_clip

Run = Callable[..., tuple[int, str, str]]
PROGRAM = [sys.executable, "-m", "edit_your_motion"]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line within this process: exit code, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended, warnings.catch_warnings():
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return ended.value.code, out, err

    return run


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(2))


@pytest.fixture(scope="module")
def config(checkpoints: Path, walk: SyntheticClip) -> EditConfig:
    return short_edit(checkpoints, walk, walk)


@pytest.fixture
def file(config: EditConfig, tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(dump_config(config))
    return path


@pytest.fixture(autouse=True)
def no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(people: object) -> None:
        raise ModelFileError("no model files in this test")

    monkeypatch.setattr("edit_your_motion.people.generated_frames.open_backend", refuse)


def test_edit_then_apply(run: Run, walk: SyntheticClip, config: EditConfig, file: Path, tmp_path: Path) -> None:
    given = config.model_dump(mode="json")
    given["source"] = given["reference"] = None
    file.write_text(yaml.safe_dump(given))
    edit = ("edit", walk.video, walk.video, "--config", file, "--output", tmp_path / "edit", "--seed", 4)
    code, out, err = run(*edit, "--tuning.motion.iterations", 1)
    assert code == 0
    assert "edited.mp4" in out
    assert "nobody was looked for" in err
    record = json.loads((tmp_path / "edit/run.json").read_text())
    assert record["config"]["runtime"]["seed"] == 4
    assert record["preset"] == "paper"
    assert record["origins"]["runtime.seed"] == "the command line"
    assert record["origins"]["sampling.steps"] == str(file)
    assert record["config"]["tuning"]["motion"]["iterations"] == 1
    assert record["config"]["tuning"]["appearance"]["iterations"] == 2

    code, out, err = run(*edit, "--quiet")
    assert (code, out) == (1, "")
    assert "--restart" in err

    apply = ("apply", tmp_path / "edit/person", walk.video, "--output", tmp_path / "apply", "--frames", 2)
    keypoints = ("--people.reference-keypoints", walk.keypoints)
    assert run(*apply, *keypoints, "--sampling.steps", 1, "--quiet") == (0, "", "")
    assert probe(tmp_path / "apply/edited.mp4").frames == 2


def test_a_person_keeps_the_preset(run: Run, walk: SyntheticClip, file: Path, tmp_path: Path) -> None:
    assert run("tune", "--config", file, "--preset", "best", "--output", tmp_path / "person", "--quiet")[0] == 0
    record = json.loads((tmp_path / "person" / "run.json").read_text())
    assert (record["preset"], record["origins"]["tuning.motion.iterations"]) == ("best", str(file))
    settings = tmp_path / "apply.yaml"
    settings.write_text("sampling: {steps: 1}")
    apply = ("apply", tmp_path / "person", walk.video, "--config", settings, "--frames", 2, "--quiet")
    keypoints = ("--people.reference-keypoints", walk.keypoints)
    for preset, asked in (("best", ()), ("paper", ("--preset", "paper"))):
        assert run(*apply, *keypoints, *asked, "--output", tmp_path / preset)[0] == 0
        record = json.loads((tmp_path / preset / "run.json").read_text())
        assert record["preset"] == preset
        assert record["config"]["sampling"]["background"] == ("plate" if preset == "best" else "generated")


def test_interrupted_while_tuning_it_goes_on(run: Run, config: EditConfig, file: Path, tmp_path: Path) -> None:
    stage = {"iterations": 3}
    config = parse_config(EditConfig, config.model_dump(), {"tuning": {"motion": stage, "appearance": stage}})
    file.write_text(dump_config(config.for_tuning()))
    arguments = ["tune", "--config", str(file), "--output", str(tmp_path / "person")]
    checkpoint = tmp_path / "person.unfinished/tuning.safetensors"
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip().splitlines()[-1].startswith("interrupted; the same command goes on")
    assert "Traceback" not in err
    assert not (tmp_path / "person").exists()
    assert not list(tmp_path.rglob("*.partial*"))

    code, out, _ = run(*arguments)
    assert (code, "eym apply" in out) == (0, True)
    resumed, whole = load_person(tmp_path / "person"), run_tune(config.for_tuning(), tmp_path / "w", SilentProgress())
    assert resumed.losses == whole.losses
    assert all(torch.equal(value, resumed.parameters[name]) for name, value in whole.parameters.items())
    assert not checkpoint.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["edit"], 1, "expected a source"),
        (["edit", "a.mp4"], 1, "expected a reference"),
        (["edit", "a.mp4", "b.mp4"], 1, "expected a prompt"),
        (["tune"], 1, "expected a source"),
        (["apply"], 2, "PERSON"),
        (["apply", "nowhere", "b.mp4"], 1, "found no config.yaml"),
        (["prepare"], 1, "expected a source"),
        (["prepare", "nowhere.mp4"], 1, "nowhere.mp4 does not exist"),
        (["prepare", "."], 1, "no pictures"),
        (["edit", "a.mp4", "b.mp4", "c.mp4"], 2, "c.mp4"),
        (["edit", "a.mp4", "b.mp4", "--prmpt", "x"], 2, "--prompt"),
        (["edit", "a.mp4", "b.mp4", "--frames", "many"], 2, "--video.frames"),
        (["edit", "a.mp4", "b.mp4", "--frames", "0"], 2, "--video.frames"),
        (["edit", "a.mp4", "b.mp4", "--fit", "x"], 2, "--fit"),
        (["edit", "a.mp4", "b.mp4", "--video.fit", "stretch"], 2, "crop"),
        (["edit", "--config", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["edit", "a", "b", "--prompt", "x", "--base", "./nowhere"], 1, "a does not exist"),
        (["models", "fetch", "nothing"], 1, "nothing"),
        (["dance"], 2, "dance"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(
    run: Run, arguments: list[str], code: int, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert named in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_bad_setting_in_the_file_is_named(run: Run, file: Path) -> None:
    file.write_text("video: {frame: 3}\n")
    assert run("edit", "--config", file)[:2] == (1, "")
    file.write_text("3: 4\n")
    code, _, err = run("edit", "--config", file)
    assert (code, err.startswith("error: ")) == (1, True)


@pytest.mark.parametrize("place", ["edit.tune", "jobs.session.check_source"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("could not create a primitive"),
        ImportError("libnative.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_running_out_of_memory_is_explained(
    error: Exception, place: str, run: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(f"edit_your_motion.{place}", fail)
    code, out, err = run("edit", "--config", file, "--output", tmp_path / "edit", "--quiet")
    assert (code, out) == (1, "")
    assert "--video.size" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN])
def test_a_film_is_not_blamed_for_want_of_memory(
    number: int, walk: SyntheticClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise av.error.FFmpegError(number, os.strerror(number))

    monkeypatch.setattr("edit_your_motion.video.containers.render", fail)
    with pytest.raises(OutOfMemoryError, match=r"lower --video\.size"):
        read_video(walk.video)


@pytest.mark.parametrize(
    "reader",
    ["networks.init_empty_weights", "tensor_files.safe_open", "tokenizers.CLIPTokenizer", "schedules.DDIMScheduler"],
)
def test_a_checkpoint_is_not_blamed_for_want_of_memory(
    reader: str, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, *arguments: object, **options: object) -> None:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

        from_pretrained = from_config = __init__

    monkeypatch.setattr(f"edit_your_motion.models.{reader}", Failing)
    with pytest.raises(OutOfMemoryError, match=r"at .*(base|controlnet).*lower --video\.size"):
        load_base(str(checkpoints / "base"), str(checkpoints / "controlnet"))


def test_ctrl_c_within_this_process(run: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run_edit", interrupt)
    code, out, err = run("edit", "--config", file, "--output", tmp_path / "edit")
    assert (code, out) == (130, "")
    assert "goes on where it stopped" in err


def test_prepare(run: Run, walk: SyntheticClip, tmp_path: Path) -> None:
    ready = ("--people.keypoints", walk.keypoints, "--people.masks", walk.masks)
    arguments = ("prepare", walk.video, "--frames", 2, "--size", 64, "--output", tmp_path / "prepared")
    code, out, err = run(*arguments, *ready)
    assert (code, err) == (0, "")
    assert "person in 100% of 2 frames" in out
    assert (tmp_path / "prepared/preview.png").is_file()
    assert run(*arguments, *ready, "--quiet") == (0, "", "")


def test_prepare_keeps_the_detectors_chatter_off(run: Run, clips: Path, people_models: None, tmp_path: Path) -> None:
    arguments = ("prepare", clips / "tai-chi.mp4", "--frames", 2, "--size", 128, "--output", tmp_path / "prepared")
    assert run(*arguments, "--quiet") == (0, "", "")


def test_config_prints_what_config_reads(run: Run, tmp_path: Path) -> None:
    code, out, err = run("config")
    assert (code, err) == (0, "")
    assert parse_config(EditConfig, yaml.safe_load(out)) == EditConfig()
    assert run("config", "--output", tmp_path / "deep/all.yaml") == (0, "", "")
    assert (tmp_path / "deep/all.yaml").read_text() == out


def test_tiny_makes_what_edit_takes(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("tiny", tmp_path, "--widths", 32, 32, 32, 32)
    assert code == 0
    assert out.split() == ["--base", str(tmp_path / "base"), "--controlnet", str(tmp_path / "controlnet")]
    assert json.loads((tmp_path / "base/unet/config.json").read_text())["block_out_channels"] == [32] * 4


def test_tiny_refuses_widths_that_do_not_do(run: Run, tmp_path: Path) -> None:
    code, out, err = run("tiny", tmp_path / "new", "--widths", 30, 32, 32, 32)
    assert (code, out) == (1, "")
    assert "multiples of 32" in err
    assert not (tmp_path / "new").exists()


def test_doctor_and_models(run: Run) -> None:
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert torch.__version__ in out
    assert all(word in out for word in ("computes on", "memory", "H.264", "pose-detection"))
    code, out, err = run("models")
    assert (code, err) == (0, "")
    assert "sha256: 9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c" in out


def test_version_and_help(run: Run) -> None:
    from edit_your_motion import __version__

    assert run("--version") == (0, f"{__version__}\n", "")
    code, out, err = run("edit", "--help")
    assert (code, err) == (0, "")
    assert "--tuning.motion.iterations" in out
    assert "--inversion.fixed-point" not in out
    code, out, err = run("edit", "a.mp4", "--help-all")
    assert (code, err) == (0, "")
    assert "--inversion.fixed-point" in out
    assert run("dance", "--help")[0] == 2


def test_a_reader_that_stops_early_is_no_error() -> None:
    process = subprocess.run(
        f"{sys.executable} -c 'from edit_your_motion.cli import main; main()' config | head -n 1",
        shell=True, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stderr == ""


def test_short_forms_are_flags_that_exist() -> None:
    from edit_your_motion.cli.app import SHORT_FORMS

    flags = {flag for argument in app["edit"].assemble_argument_collection() for flag in argument.names}
    assert set(SHORT_FORMS.values()) <= flags
    assert np.unique(list(SHORT_FORMS.values())).size == len(SHORT_FORMS)


@pytest.mark.parametrize(("command", "flag"), [("pretrain", "--seed"), ("stage", "--frames"), ("tiny", "--seed")])
def test_a_command_keeps_settings_of_its_own_by_a_short_name(command: str, flag: str, run: Run, tmp_path: Path) -> None:
    code, _, err = run(command, tmp_path / "out", f"{flag}=none")
    assert code == 2
    assert f"{flag}:" in err


def test_words_too_many_are_named_with_how_several_values_are_given(run: Run, tmp_path: Path) -> None:
    code, _, err = run("benchmark", "paired", tmp_path / "out", "--methods", "source", "truth")
    assert code == 2
    assert "got truth;" in err
    assert "--methods source --methods truth" in err


def test_the_settings_of_an_edit_serve_its_parts(
    run: Run, config: EditConfig, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that 'edit' took goes to 'apply', 'tune' and 'prepare'; what has no part in them is said."""
    seen: dict[str, object] = {}
    monkeypatch.setattr(session, "run_apply", lambda person, config, *rest, **more: seen.update(apply=config))
    monkeypatch.setattr(session, "run_tune", lambda config, *rest, **more: seen.update(tune=config))
    monkeypatch.setattr("edit_your_motion.cli.editing._show", lambda result: None)
    code, _, err = run("apply", "anna", "--config", file)
    assert code == 0
    assert isinstance(seen["apply"], ApplyConfig)
    assert seen["apply"].for_applying() == config.for_applying()
    assert (
        "left out source, prompt, complete_prompt, model, network, tuning, inversion, which has no part in this command"
        in err
    )
    assert run("apply", "anna", "--config", file, "--quiet") == (0, "", "")
    code, _, err = run("tune", "--config", file)
    assert code == 0
    assert isinstance(seen["tune"], TuneConfig)
    assert seen["tune"].for_tuning() == config.for_tuning()
    assert "left out reference, edit_prompt, alignment, sampling" in err


def test_what_is_no_setting_at_all_stays_an_error(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for text in ("modle: {base: small}\n", "model: {bse: small}\n"):
        file.write_text(text)
        code, _, err = run("apply", "anna", "b.mp4", "--config", file)
        assert code == 1
        assert "no such setting" in err


def test_what_is_needed_shows_no_default() -> None:
    prompt = next(argument for argument in app["edit"].assemble_argument_collection() if "--prompt" in argument.names)
    assert prompt.show_default is False


def test_the_demo_edits_its_own_clips(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr(session, "run_edit", lambda config, *rest, **more: seen.update(config=config, **more))
    monkeypatch.setattr("edit_your_motion.cli.editing._show", lambda result: None)
    assert run("demo", "--output", tmp_path / "demo", "--seed", 4)[0] == 0
    config, truth = seen["config"], seen["truth"]
    assert isinstance(config, EditConfig)
    assert isinstance(truth, Path)
    assert {probe(str(clip)).frames for clip in (config.source.path, config.reference.path, truth)} == {16}
    assert (config.model.base, config.video.stride, config.runtime.seed) == ("small", 2, 4)
    assert (config.sampling.guidance_scale, config.tuning.appearance.iterations) == (3, 100)


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "", "b.mp4", "--prompt", "x"),
        ("edit", "a.mp4", "b.mp4", "--output", ""),
        ("prepare", "a.mp4", "--people.masks="),
        ("tiny", ""),
        ("evaluate", "a.mp4", "--against", ""),
    ],
)
def test_a_variable_that_is_not_set_is_no_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """As a path an empty word would be the folder one is in, with what it happens to hold."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert "is a variable not set?" in err
    assert not list(tmp_path.iterdir())
