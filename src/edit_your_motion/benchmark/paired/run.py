"""The paired benchmark: edits of rendered people whose truth is known, one cell for each method and pair."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from einops import reduce
from jaxtyping import Bool, UInt8

from edit_your_motion.benchmark.cells import (
    CRF,
    AnyMethod,
    Cell,
    CellRecord,
    CellScores,
    Failure,
    Labelled,
    Scene,
    Tune,
    load_cell,
    make_cells,
    open_people,
    plan_cell,
    reported,
    without_ready_people,
)
from edit_your_motion.benchmark.exports import export_scene
from edit_your_motion.benchmark.methods.catalogue import METHODS, Method, group_by_backbone
from edit_your_motion.benchmark.methods.external import ExternalMethod
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.benchmark.paired.pairs import PAIRS, PairChoice
from edit_your_motion.benchmark.paired.scores import Judges, Truth, find_lpips, score_edit
from edit_your_motion.benchmark.prefix_tuning import KeptTuning, keep_apart
from edit_your_motion.benchmark.tasks import spread_cases
from edit_your_motion.config import ClipConfig, VideoConfig
from edit_your_motion.executors.contract import Executor, Task
from edit_your_motion.jobs.early_checks import check_folder
from edit_your_motion.metrics import Lpips
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import Canvas, PreparedClip, prepare_reference, prepare_source
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.stage import RenderedClip, render_pair
from edit_your_motion.stage.figure import BODY_PARTS
from edit_your_motion.storage.files import sweep_below
from edit_your_motion.storage.locking import held
from edit_your_motion.video import Fit, Video, fit_frames, write_video

__all__ = ["Case", "CellRecord", "Failure", "PairedConfig", "load_cell", "render_case", "run_paired"]


@dataclass(frozen=True, eq=False)
class Case:
    """A pair as methods see it.

    Args:
        source: the person to be edited.
        reference: the motion.
        truth: what the edit should become.
        captions: of the source and the truth.
        clips: source, reference and truth as rendered, by name.
    """

    source: PreparedClip
    reference: PreparedClip
    truth: Truth
    captions: tuple[str, str]
    clips: Mapping[str, Video]


def run_paired(
    folder: Path,
    config: PairedConfig,
    progress: Progress,
    *,
    methods: Sequence[Method] = tuple(METHODS.values()),
    pairs: Sequence[PairChoice] = tuple(PAIRS.values()),
    external: Sequence[ExternalMethod] = (),
    export: bool = False,
    lpips: Lpips | None = None,
    tune: Tune | None = None,
    executor: Executor | None = None,
) -> list[Failure]:
    """Makes and scores every cell that is not there yet, and returns those that could not be made.

    A cell is ``METHOD/PAIR/``, see `edit_your_motion.benchmark.cells`; a cell of other settings is made anew.
    ``pairs/PAIR/`` holds the clips. A failure is kept, and the cell is tried again the next time. Methods that lack
    something (`Method.lacks`) are left out, and the log says so.

    Args:
        folder: of the benchmark.
        config: what all cells share.
        progress: is told how far it is.
        methods: which ones.
        pairs: which ones.
        external: other projects' outputs to be scored too.
        export: also write ``exports/PAIR/``, the pairs in the forms that other projects read.
        lpips: the network; by default AlexNet's, and a named gap where its weights cannot be had.
        tune: how people are tuned; by default as `tune_person` does, once for all methods that differ in less.
        executor: makes each pair as a task of its own; by default they are made here, and share the loaded networks.

    Raises:
        CheckpointError: the base cannot be loaded.
        ModelFileError: the people backend's files cannot be had, and people are to be detected.
        DiskFullError: no room is left; the benchmark goes on where it was when it is called again.
        FolderInUseError: another benchmark works in the folder.
    """
    check_folder(folder)
    with held(folder):
        sweep_below(folder)
        unfinished = folder / "unfinished"
        kept = tune or KeptTuning(unfinished)
        if executor is None:
            return _make_pairs(folder, config, progress, methods, pairs, external, export, lpips, kept)
        shared = (folder, config, SilentProgress(), methods)
        tasks = [
            Task(pair.name, make_pair, (*shared, pair, external, export, lpips, keep_apart(kept, pair.name)))
            for pair in pairs
        ]
        failures = spread_cases(executor, tasks, progress)
        if unfinished.is_dir() and not any(unfinished.iterdir()):
            unfinished.rmdir()
        return failures


def make_pair(
    folder: Path,
    config: PairedConfig,
    progress: Progress,
    methods: Sequence[Method],
    pair: PairChoice,
    external: Sequence[ExternalMethod],
    export: bool,
    lpips: Lpips | None,
    tune: Tune,
) -> list[Failure]:
    """The part of `run_paired` that is one pair's, beside those of others."""
    with held(folder / "pairs" / pair.name):
        return _make_pairs(folder, config, progress, methods, [pair], external, export, lpips, tune)


def _make_pairs(
    folder: Path,
    config: PairedConfig,
    progress: Progress,
    methods: Sequence[Method],
    pairs: Sequence[PairChoice],
    external: Sequence[ExternalMethod],
    export: bool,
    lpips: Lpips | None,
    tune: Tune,
) -> list[Failure]:
    """`run_paired`, once nobody else makes these pairs."""
    judges = Judges(lpips or find_lpips(), _open_people(config))
    failures: list[Failure] = []
    for number, (edit, able) in enumerate(group_by_backbone(methods, config.edit)):
        chosen: list[AnyMethod] = [*able, *(external if number == 0 else ())]
        if chosen or (export and number == 0):
            fitting = config.model_copy(update={"edit": edit})
            failures += _run_group(folder, fitting, progress, chosen, pairs, judges, export and number == 0, tune)
    if isinstance(tune, KeptTuning):
        tune.forget()  # of a run that was killed when its last pair was done
    return failures


def _run_group(
    folder: Path,
    config: PairedConfig,
    progress: Progress,
    methods: Sequence[AnyMethod],
    pairs: Sequence[PairChoice],
    judges: Judges,
    export: bool,
    tune: Tune,
) -> list[Failure]:
    """`run_paired` for methods of one backbone."""
    backbone = Backbone.load(config.edit.model, config.edit.runtime)
    config = config.model_copy(update={"size": config.size or backbone.base.native_side})
    failures: list[Failure] = []
    for number, pair in enumerate(pairs, 1):
        chosen = [_cell(folder, config, pair, method) for method in methods]
        cells = [cell for cell in chosen if not cell.finished]
        if not cells and not export:
            continue
        label = Labelled(progress, f"{number}/{len(pairs)} {pair.name}")
        with reported(pair.name, cells, failures):
            case = render_case(pair, config, label)
            scene = _as_scene(case, config, judges)
            for name, video in case.clips.items():
                write_video(folder / "pairs" / pair.name / f"{name}.mp4", video.frames, video.fps, crf=CRF)
            if export:
                export_scene(folder / "exports" / pair.name, scene, config.edit.alignment)
            make_cells(cells, scene, backbone, label, failures, tune)
        if isinstance(tune, KeptTuning):
            tune.forget()
    return failures


def render_case(pair: PairChoice, config: PairedConfig, progress: Progress) -> Case:
    """The clips of a pair at the working size, with the people found in them as `config` says.

    Raises:
        PersonError: people are to be detected, and nobody is found.
    """
    assert config.size is not None, "run_paired knows the base and sets it"
    zoom = -(-config.rendered_side // config.size)
    side = zoom * config.size
    rendered = render_pair(pair.sample(), frames=config.frames, size=(side, side), fps=config.fps)
    count = 1 if pair.source == "picture" else config.frames
    rate = Fraction(config.fps)
    clips = {
        "source": Video(rendered.source.frames[:count], rate),
        "reference": Video(rendered.reference.frames, rate),
        "truth": Video(rendered.truth.frames, rate),
    }
    if config.people == "detected":
        canvas = Canvas(config.size, config.size)
        every, people = ClipConfig(frames=config.frames, stride=1), without_ready_people(config.edit.people)
        source = prepare_source(clips["source"], canvas, every, people, progress)
        reference = prepare_reference(clips["reference"], every, people, progress)
    else:
        source = _shrunk(rendered.source, zoom, rate)
        source = replace(
            source, video=Video(source.video.frames[:count], rate), keypoints=source.keypoints.take(np.arange(count)),
            masks=source.masks[:count],
        )  # fmt: skip
        source = source.repeated(config.frames) if count < config.frames else source
        reference = _shrunk(rendered.reference, 1, rate)
    true, of_source = _shrunk(rendered.truth, zoom, rate), _shrunk(rendered.source, zoom, rate)
    shown = {name: np.isin(rendered.truth.parts, 1 + np.array(rows)) for name, rows in BODY_PARTS.items()}
    parts = {name: _shrink_mask(mask, zoom) for name, mask in shown.items()}
    truth = Truth(true.video.frames, true.masks, of_source.video.frames, of_source.masks, true.keypoints, parts)
    return Case(source, reference, truth, (rendered.source.caption, rendered.truth.caption), clips)


def _shrunk(clip: RenderedClip, zoom: int, rate: Fraction) -> PreparedClip:
    """A rendered clip and the truth about its person, `zoom` times smaller."""
    height, width = (side // zoom for side in clip.frames.shape[1:3])
    frames = fit_frames(clip.frames, Fit(height, width))
    keypoints = clip.keypoints.mapped(np.full(2, 1 / zoom), np.zeros(2), height, width)
    return PreparedClip(Video(frames, rate), keypoints, _shrink_mask(clip.masks, zoom))


def _shrink_mask(mask: Bool[np.ndarray, "f h w"], zoom: int) -> Bool[np.ndarray, "f fit_h fit_w"]:
    """Where at least half of the pixels that become one are in the mask."""
    return reduce(mask.astype(np.float32), "f (h y) (w x) -> f h w", "mean", y=zoom, x=zoom) >= 0.5


def _as_scene(case: Case, config: PairedConfig, judges: Judges) -> Scene:
    """The case with what its edits are measured by."""
    source, truth = case.captions
    prompts = (source, truth if config.edit_prompt == "truth" else source)

    def score(frames: UInt8[np.ndarray, "f h w 3"], given: Keypoints, progress: Progress) -> CellScores:
        return score_edit(frames, given, case.truth, judges, progress)

    return Scene(case.source, case.reference, prompts, score, case.truth.frames, case.truth.keypoints)


def _cell(folder: Path, shared: PairedConfig, pair: PairChoice, method: AnyMethod) -> Cell:
    """What is asked for of one method on one pair."""
    video = VideoConfig(frames=shared.frames, stride=1, size=str(shared.size))
    benchmark = shared.model_dump(mode="json", exclude={"edit", "preset"})
    request = {"pair": asdict(pair), "benchmark": benchmark}
    return plan_cell(folder, shared, pair.name, method, Path("pairs", pair.name), video, request)


def _open_people(config: PairedConfig) -> PeopleBackend | str:
    """The people backend; why it cannot be had, where only scores would need it."""
    found = open_people(config.edit.people)
    if isinstance(found, PeopleBackend):
        return found
    if config.people == "detected":
        raise found
    return str(found)
