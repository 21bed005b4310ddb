"""Clips of any length and rate: all of a clip is taken, an edit lasts as long as its motion, and this is said first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edit_your_motion import EditYourMotionPipeline
from edit_your_motion.config import (
    ClipConfig,
    EditConfig,
    PeopleConfig,
    PrepareConfig,
    TuneConfig,
    load_config,
    parse_config,
)
from edit_your_motion.errors import ConfigError, PersonError, VideoError
from edit_your_motion.jobs import costs
from edit_your_motion.jobs.early_checks import check_clip
from edit_your_motion.jobs.estimate import foresee_finding, foresee_job, is_short, plan_edit, require_patience
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.people.looping import follow_source, loop_frames
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.skeleton import DRAWN
from edit_your_motion.presets import make_config
from edit_your_motion.runtime import machine_load
from edit_your_motion.runtime.memory_plan import means_of
from edit_your_motion.runtime.progress import Advance, SilentProgress
from edit_your_motion.runtime.time_plan import StepSeconds
from edit_your_motion.video import Video, read_video, write_video
from synthetic_clip import SyntheticClip, film, ready_people, short_edit, write_clip

SILENT = SilentProgress()
WHOLE = {"video": {"frames": None, "size": "64"}}


def write(folder: Path, frames: int, fps: int, speed: float = 0.5) -> SyntheticClip:
    folder.mkdir()
    clip = film(frames, speed=speed)
    return write_clip(folder, replace(clip, video=replace(clip.video, fps=Fraction(fps))))


@pytest.mark.parametrize(
    ("source", "reference"), [((1, 8), (3, 8)), ((3, 30), (1, 8)), ((2, 8), (5, 24)), ((6, 24), (2, 1))]
)
def test_an_edit_is_as_long_as_its_reference_at_its_rate(
    checkpoints: Path, tmp_path: Path, source: tuple[int, int], reference: tuple[int, int]
) -> None:
    clips = write(tmp_path / "source", *source), write(tmp_path / "reference", *reference)
    config = short_edit(checkpoints, *clips, **WHOLE)
    result = run_edit(config, tmp_path / "edit", SILENT)
    edited = read_video(result.folder / "edited.mp4")
    assert (len(edited.frames), edited.fps) == reference
    assert len(read_video(result.folder / "comparison.mp4").frames) == reference[0]


@pytest.mark.parametrize(("fps", "kept", "rate"), [(60, 6, 30), (240, 2, 30), (1, 12, 1)])
def test_a_fast_reference_is_edited_at_30_frames_a_second(
    checkpoints: Path, tmp_path: Path, fps: int, kept: int, rate: int
) -> None:
    clip = write(tmp_path / "clip", 12, fps)
    pipeline = EditYourMotionPipeline.from_pretrained(
        checkpoints / "base", controlnet=checkpoints / "controlnet", device="cpu"
    )
    config = short_edit(checkpoints, clip, clip, **WHOLE)
    person = pipeline.tune(clip.video, "a box walks", config=config.for_tuning())
    assert (len(person.source), person.source.video.fps) == (kept, rate)
    assert len(pipeline.apply(clip.video, config=config.for_applying()).frames) == kept


def test_somebody_leaves_and_comes_back(checkpoints: Path, tmp_path: Path) -> None:
    """The edit's person goes as the reference's does; of a source, the frames that show them are asked for."""
    gone, there = slice(3, 6), [True] * 3 + [False] * 3 + [True] * 3
    clip = film(9, speed=0.5)
    masks, body = clip.masks.copy(), clip.keypoints.body.copy()
    masks[gone], body[gone] = False, 0
    left = PreparedClip(clip.video, replace(clip.keypoints, body=body), masks)
    for name in ("source", "reference"):
        (tmp_path / name).mkdir()
    source, reference = write_clip(tmp_path / "source", clip), write_clip(tmp_path / "reference", left)
    edit = run_edit(short_edit(checkpoints, source, reference, **WHOLE), tmp_path / "edit", SILENT).edit
    assert edit.skeletons.visible(DRAWN).any(axis=1).tolist() == there
    assert len(edit.frames) == 9
    with pytest.raises(PersonError, match=r"got empty ones in frames 4, 5, 6; .*--source.start 0 --source.frames 3"):
        run_edit(short_edit(checkpoints, reference, source, **WHOLE), tmp_path / "none", SILENT)


@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_clips_are_prepared(tmp_path: Path, frames: int) -> None:
    """A single picture is repeated; two frames are two."""
    files = write_clip(tmp_path, film(frames))
    people = ready_people(files)
    config = PrepareConfig.model_validate(
        {"source": {"path": str(files.video)}, "video": {"size": "64"}, "people": people.model_dump()}
    )
    clip = run_prepare(config, tmp_path / "prepared", SILENT)
    assert len(clip) == (8 if frames == 1 else 2)
    for name in ("frames.mp4", "overlay.mp4", "skeleton.mp4"):
        assert len(read_video(tmp_path / "prepared" / name).frames) == len(clip)


def test_the_source_s_place_moves_at_its_true_speed() -> None:
    source = replace(film(5), video=Video(film(5).video.frames, Fraction(15)))
    assert follow_source(source, 6, Fraction(15)).tolist() == [0, 1, 2, 3, 4, 3]
    assert follow_source(source, 6, Fraction(30)).tolist() == [0, 1, 1, 2, 2, 3]
    assert follow_source(source, 4, Fraction(5)).tolist() == [0, 3, 2, 1]
    for available, wanted in ((1, 4), (2, 5), (3, 7), (7, 3)):
        steps = np.abs(np.diff(loop_frames(available, wanted)))
        assert (steps == (available > 1)).all()


def test_what_is_not_there_is_said_before_anything_is_done(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", 8, 8)
    config = parse_config(EditConfig, {"source": str(clip.video)})

    def check(**frames: object) -> int | None:
        chosen = parse_config(EditConfig, config.model_dump(), {"source": frames})
        return check_clip(clip.video, chosen.source_clip, "source")

    assert check() == 8
    assert check(frames=64, fps=12) == 12
    with pytest.raises(VideoError, match=r"from 5 s on \(it lasts 1.00 s\).*--source.start"):
        check(start=5)
    with pytest.raises(VideoError, match=r"no frames from 0.5 s to 0.51 s"):
        check(start=0.5, duration=0.01)


def test_a_clip_of_10000_frames_says_how_much_of_it_can_be_taken(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", np.zeros((10_000, 16, 32, 3), np.uint8), 30)
    config = parse_config(EditConfig, {"reference": {"path": str(tmp_path / "long.mp4")}})
    with pytest.raises(VideoError, match=r"10000 frames, expected at most \d+ .*--reference.duration"):
        check_clip(tmp_path / "long.mp4", config.reference_clip, "reference")
    part = parse_config(EditConfig, config.model_dump(), {"reference": {"duration": 10.0}})
    assert check_clip(tmp_path / "long.mp4", part.reference_clip, "reference") == 300


def test_files_of_before_mean_what_they_meant(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "source: a.mp4\nreference: b.mp4\nprompt: x\n"
        "video: {frames: 8, fps: null, stride: 2, start: 1.5, reference_start: 2.5, size: '64'}\n"
    )
    values = load_config(tmp_path / "config.yaml")
    config = parse_config(EditConfig, values, {"source": {"end": 9.0}})
    assert (config.source.path, config.source.start, config.source.end) == ("a.mp4", 1.5, 9.0)
    assert (config.reference.path, config.reference.start) == ("b.mp4", 2.5)
    for clip in (config.source_clip, config.reference_clip):
        assert (clip.frames, clip.fps, clip.stride) == (8, None, 2)
    tuning = {name: value for name, value in values.items() if name != "reference"}
    assert parse_config(TuneConfig, tuning).source_clip.start == 1.5


def test_a_clip_s_own_rate_wins_over_that_of_both() -> None:
    config = parse_config(
        EditConfig, {"video": {"frames": 9, "stride": 3}, "source": {"fps": 12.0}, "reference": {"frames": 4}}
    )
    assert (config.source_clip.frames, config.source_clip.fps, config.source_clip.stride) == (9, 12, None)
    assert (config.reference_clip.frames, config.reference_clip.fps, config.reference_clip.stride) == (4, None, 3)


def test_a_plan_says_what_all_of_it_takes(checkpoints: Path, tmp_path: Path) -> None:
    clips = write(tmp_path / "source", 5, 8), write(tmp_path / "reference", 9, 8)
    config = short_edit(checkpoints, *clips, **WHOLE, windows={"frames": 4, "overlap": 2, "context": 1})
    estimate = plan_edit(config)
    assert (estimate.source, estimate.frames, estimate.size) == (5, 9, (64, 64))
    assert all(seconds > 0 for name, seconds in estimate.seconds.items() if name != "tune the decoder")
    # Four windows of 4 frames that share 2 cover 9; two cover 5.
    assert estimate.seconds["sample"] == pytest.approx(2 * estimate.seconds["invert"])
    assert estimate.memory > estimate.disk > 0
    require_patience(estimate, force=False)
    long = replace(estimate, seconds={"tune, stage 1": 3 * 86400.0})
    with pytest.raises(ConfigError, match=r"about 3 days on this machine.*shorter with.*--force"):
        require_patience(long, force=False)
    require_patience(long, force=True)


OWN_PIXELS = {"sampling": {"person_noise": "warped", "detail": "source", "background": "plate"}}


@pytest.mark.parametrize("sampling", [{}, OWN_PIXELS], ids=["generated", "own-pixels"])
def test_a_plan_has_the_phases_in_the_order_in_which_they_are_done(
    checkpoints: Path, tmp_path: Path, sampling: dict[str, Any]
) -> None:
    """A bar of the whole job takes what stands before a phase that begins to be over."""
    done: list[str] = []

    class Told:
        @contextmanager
        def phase(self, name: str, total: int) -> Iterator[Advance]:
            done.append(name)
            yield lambda: None

    clips = write(tmp_path / "source", 3, 8), write(tmp_path / "reference", 2, 8)
    config = parse_config(EditConfig, short_edit(checkpoints, *clips, **WHOLE).model_dump(), sampling)
    run_edit(config, tmp_path / "edit", Told())
    planned = list(plan_edit(config).seconds)
    shared = [name for name in planned if name in done]
    assert {"find the person", "find the motion", "encode", "invert", "sample", "decode"} <= set(shared)
    assert shared == [name for name in dict.fromkeys(done) if name in planned]
    own_pixels = {"warp the person", "lay the person over"} & set(shared)
    assert len(own_pixels) == (2 if sampling else 0)


def test_of_a_tuned_person_only_the_motion_takes_time(checkpoints: Path, tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", 2, 8)
    config = short_edit(checkpoints, clip, clip)
    folder = run_edit(config, tmp_path / "edit", SILENT).folder
    estimate = foresee_job(config, folder / "person")
    assert estimate is not None
    assert set(estimate.seconds) == {"find the motion", "sample", "decode", "score"}
    assert foresee_job(config.for_tuning(), folder / "person") is None


def test_what_was_measured_is_measured_once(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(costs.OtherPrograms, "share", 0.0)
    clips = write(tmp_path / "source", 2, 8), write(tmp_path / "reference", 3, 8)
    config = short_edit(checkpoints, *clips)
    job = costs.describe_job(config)
    measured = costs.measure(job)
    (kept,) = (tmp_path / "cache" / "measured").iterdir()

    def fail(*given: object) -> None:
        raise AssertionError("measured again")

    real = costs.time_steps
    monkeypatch.setattr(costs, "time_steps", fail)
    assert costs.measure(job) == measured
    # How often a step is done changes nothing of what it takes; what it is done on does.
    longer = config.model_copy(update={"inversion": config.inversion.model_copy(update={"steps": 77})})
    assert costs.describe_job(longer).key == job.key
    wider = config.model_copy(update={"video": config.video.model_copy(update={"size": "128"})})
    assert costs.describe_job(wider).key != job.key
    old = kept.stat().st_mtime - costs.KEPT - 60
    for spoil in (lambda: os.utime(kept, (old, old)), lambda: kept.write_text('{"steps": 1}')):
        monkeypatch.setattr(costs, "time_steps", fail)
        spoil()
        with pytest.raises(AssertionError, match="measured again"):
            costs.measure(job)
        monkeypatch.setattr(costs, "time_steps", real)
        assert costs.measure(job).memory == measured.memory
    monkeypatch.setattr(costs, "time_steps", fail)
    with pytest.raises(AssertionError, match="measured again"):
        costs.measure(job, afresh=True)


def test_what_is_measured_on_a_busy_machine_is_not_kept(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))
    clips = write(tmp_path / "source", 2, 8), write(tmp_path / "reference", 3, 8)
    steps = StepSeconds(1.0, (2.0, 2.0), 0.1, 0.1)
    monkeypatch.setattr(costs, "time_steps", lambda *given: steps)
    job = costs.describe_job(short_edit(checkpoints, *clips))
    monkeypatch.setattr(costs.OtherPrograms, "share", 0.8)
    assert costs.measure(job).steps == steps
    assert not (tmp_path / "cache" / "measured").exists()
    assert "other programs take 80%" in caplog.text
    monkeypatch.setattr(costs.OtherPrograms, "share", 0.1)
    costs.measure(job)
    assert len(list((tmp_path / "cache" / "measured").iterdir())) == 1


def test_other_programs_are_not_oneself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of four, of which we take one and others two, over two seconds."""
    moments = iter([10.0, 12.0])
    spent = iter([(3.0, 1.0), (7.0, 3.0)])
    own = iter([5.0, 7.0])
    monkeypatch.setattr(machine_load.time, "perf_counter", lambda: next(moments))
    monkeypatch.setattr(machine_load.time, "process_time", lambda: next(own))
    monkeypatch.setattr(machine_load.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(
        machine_load.psutil,
        "cpu_times",
        lambda: SimpleNamespace(**dict(zip(("user", "system"), next(spent), strict=True))),
    )
    assert machine_load.OtherPrograms().share == 0.5


def test_a_few_steps_of_small_networks_are_not_foreseen(checkpoints: Path, tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", 2, 8)
    config = short_edit(checkpoints, clip, clip)
    assert is_short(config)
    assert not is_short(make_config(EditConfig, {"model": {"base": "small"}}))


@pytest.mark.parametrize(
    ("background", "of", "after"),
    [("plate", "plate", "find the person"), ("source", "plate", "find the motion"), ("source", "source", None)],
)
def test_a_clean_plate_is_foreseen_where_it_is_made(
    checkpoints: Path, tmp_path: Path, background: str, of: str, after: str | None
) -> None:
    clip = write(tmp_path / "clip", 6, 8)
    config = short_edit(checkpoints, clip, clip)
    config = config.model_copy(
        update={
            "sampling": config.sampling.model_copy(update={"background": background}),
            "inversion": config.inversion.model_copy(update={"of": of}),
        }
    )
    phases = list(plan_edit(config).seconds)
    assert ("lay the clean plate" in phases) == (after is not None)
    assert after is None or phases[phases.index("follow the camera") - 1] == after


def test_a_short_source_is_foreseen_as_short_whatever_the_motion(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "time_steps", lambda *given: StepSeconds(1.0, (2.0, 2.0), 0.1, 0.1))
    clips = [write(tmp_path / name, frames, 8) for name, frames in (("source", 3), ("same", 3), ("long", 12))]
    config, longer = (
        short_edit(checkpoints, clips[0], motion, **WHOLE, windows={"frames": 8, "overlap": 4}) for motion in clips[1:]
    )
    job = costs.describe_job(longer)
    rehearsal = job.rehearsal
    assert rehearsal.tuned_frames(means_of(rehearsal, longer.windows, longer.runtime)) == 3
    one, two = plan_edit(config), plan_edit(longer)
    assert one.seconds["invert"] == two.seconds["invert"] == config.inversion.steps * 3
    assert one.seconds["sample"] == config.sampling.steps * 3
    assert two.seconds["sample"] == config.sampling.steps * 2 * 8  # two windows
    assert costs.describe_job(config).key != job.key


def test_hands_faces_size_and_what_lies_between_make_finding_longer(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", 6, 30)
    body = PeopleConfig(hands=False, face=False)

    def seconds(chosen: ClipConfig, people: PeopleConfig, frames: int) -> float:
        return foresee_finding(str(clip.video), chosen, people, frames)

    plain = seconds(ClipConfig(), body, 6)
    assert seconds(ClipConfig(), PeopleConfig(), 6) > 1.3 * plain
    assert seconds(ClipConfig(stride=3), body, 2) == pytest.approx(plain, rel=0.01)
    assert seconds(ClipConfig(stride=3), PeopleConfig(hands=False, face=False, rate=0.0), 2) < plain / 2
    assert foresee_finding(None, ClipConfig(), body, 6) == 0
    assert foresee_finding(str(clip.video), ClipConfig(), body, 6, ready=True) < plain / 50
