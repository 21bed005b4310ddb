"""The paired benchmark: edits of rendered people whose truth is known, one cell for each method and pair."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import reduce
from jaxtyping import UInt8

from edit_your_motion import __version__
from edit_your_motion.backbone import Backbone
from edit_your_motion.benchmark.methods import METHODS, Method, shorten
from edit_your_motion.benchmark.paired_config import PairedConfig
from edit_your_motion.benchmark.paired_scores import Judges, PairedScores, Truth, find_lpips, score_edit
from edit_your_motion.benchmark.pairs import PAIRS, PairChoice
from edit_your_motion.config import EditConfig, PeopleConfig, VideoConfig, dump_config, parse_config
from edit_your_motion.edit import apply_motion, loop_frames, tune_person
from edit_your_motion.errors import DiskFullError, EditYourMotionError, InputError, MissingExtraError, ModelFileError
from edit_your_motion.files import written_whole
from edit_your_motion.measurement import PhaseRecord, Recorder
from edit_your_motion.metrics import Lpips
from edit_your_motion.people.alignment import align
from edit_your_motion.people.backends import PeopleBackend
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.person import Person
from edit_your_motion.preparation import (
    Canvas,
    PreparedClip,
    open_backend,
    prepare_reference,
    prepare_source,
)
from edit_your_motion.progress import Advance, Progress
from edit_your_motion.stage import RenderedClip, render_pair
from edit_your_motion.video import Fit, Video, fit_frame, write_video

logger = logging.getLogger(__name__)

LARGEST_CELL = 1 << 20
"""Bytes of ``scores.json`` that are read."""


@dataclass(frozen=True)
class CellRecord:
    """What ``scores.json`` says of one method on one pair.

    Args:
        pair: its name.
        method: its name.
        description: of the method.
        scores: value by name, see `PAIRED_METRICS`.
        gaps: why a score is not there, by name.
        phases: seconds, peak memory and steps of each.
        device: what computed.
        base: digest of the base.
        version: of this package.
        request: everything that decides the content; ``benchmark`` in it is the same in all cells of a table.
    """

    pair: str
    method: str
    description: str
    scores: Mapping[str, float]
    gaps: Mapping[str, str]
    phases: Mapping[str, PhaseRecord]
    device: str
    base: str
    version: str
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """A cell that could not be made."""

    pair: str
    method: str
    error: str


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
    lpips: Lpips | None = None,
) -> list[Failure]:
    """Makes and scores every cell that is not there yet, and returns those that could not be made.

    A cell is ``METHOD/PAIR/`` with ``edited.mp4``, ``config.yaml`` and, written last, ``scores.json``; a cell of other
    settings is made anew. ``pairs/PAIR/`` holds the clips. A failure is kept as ``METHOD/PAIR/failure.json``, and the
    cell is tried again the next time.

    Args:
        folder: of the benchmark.
        config: what all cells share.
        progress: is told how far it is.
        methods: which ones.
        pairs: which ones.
        lpips: the network; by default AlexNet's, and a named gap where its weights cannot be had.

    Raises:
        CheckpointError: the base cannot be loaded.
        ModelFileError: the people backend's files cannot be had, and people are to be detected.
        DiskFullError: no room is left; the benchmark goes on where it was when it is called again.
    """
    backbone = Backbone.load(config.edit.model, config.edit.runtime)
    config = config.model_copy(update={"size": config.size or backbone.base.native_side})
    judges = Judges(lpips or find_lpips(), _open_people(config))
    failures: list[Failure] = []
    for number, pair in enumerate(pairs, 1):
        cells = [cell for method in methods if not (cell := _Cell(folder, config, pair, method)).finished]
        if not cells:
            continue
        label = _Labelled(progress, f"{number}/{len(pairs)} {pair.name}")
        with _reported(cells, failures):
            case = render_case(pair, config, label)
            for name, video in case.clips.items():
                write_video(folder / "pairs" / pair.name / f"{name}.mp4", video.frames, video.fps, crf=8)
            _make_cells(cells, case, backbone, judges, label, failures)
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
        video, people = VideoConfig(frames=config.frames), _seeking(config.edit.people)
        source = prepare_source(clips["source"], canvas, video, people, progress)
        reference = prepare_reference(clips["reference"], config.frames, video, people, progress)
    else:
        source = _shrunk(rendered.source, zoom, rate)
        source = replace(
            source, video=Video(source.video.frames[:count], rate), keypoints=source.keypoints.take(np.arange(count)),
            masks=source.masks[:count],
        )  # fmt: skip
        source = source.repeated(config.frames) if count < config.frames else source
        reference = _shrunk(rendered.reference, 1, rate)
    true, of_source = _shrunk(rendered.truth, zoom, rate), _shrunk(rendered.source, zoom, rate)
    truth = Truth(true.video.frames, true.masks, of_source.masks, true.keypoints)
    return Case(source, reference, truth, (rendered.source.caption, rendered.truth.caption), clips)


def _shrunk(clip: RenderedClip, zoom: int, rate: Fraction) -> PreparedClip:
    """A rendered clip and the truth about its person, `zoom` times smaller."""
    height, width = (side // zoom for side in clip.frames.shape[1:3])
    frames = np.stack([fit_frame(frame, Fit(height, width)) for frame in clip.frames])
    covered = reduce(clip.masks.astype(np.float32), "f (h y) (w x) -> f h w", "mean", y=zoom, x=zoom)
    keypoints = clip.keypoints.mapped(np.full(2, 1 / zoom), np.zeros(2), height, width)
    return PreparedClip(Video(frames, rate), keypoints, covered >= 0.5)


class _Cell:
    """One method on one pair: what is asked for, and where it lies."""

    def __init__(self, folder: Path, config: PairedConfig, pair: PairChoice, method: Method) -> None:
        self.pair, self.method = pair, method
        self.folder = folder / method.name / pair.name
        self.shared = config
        clips = Path("pairs", pair.name)
        ours = {
            "source": str(clips / "source.mp4"),
            "reference": str(clips / "reference.mp4"),
            "video": VideoConfig(frames=config.frames, size=str(config.size)).model_dump(),
            "people": _seeking(config.edit.people).model_dump(),
        }
        base = parse_config(EditConfig, config.edit.model_dump(), ours)
        self.config = shorten(method.configure(base), config.share)

    @property
    def request(self) -> dict[str, Any]:
        """Everything that decides the cell's content."""
        shared = self.shared.model_dump(mode="json", exclude={"edit"})
        method = {name: getattr(self.method, name) for name in ("name", "start", "skeletons", "shows")}
        return {"pair": asdict(self.pair), "method": method, "benchmark": shared, "config": self.config.identity()}

    @property
    def finished(self) -> bool:
        """Whether the cell is there, made with these very settings."""
        try:
            return load_cell(self.folder).request == json.loads(json.dumps(self.request))
        except InputError:
            return False

    def prompted(self, captions: tuple[str, str]) -> EditConfig:
        """The cell's configuration with the pair's prompts, where the method sets none of its own."""
        source, truth = captions
        prompts = {"prompt": source, "edit_prompt": truth if self.shared.edit_prompt == "truth" else source}
        return parse_config(EditConfig, self.config.model_dump(), {**prompts, **_prompts_of(self.method)})


def _prompts_of(method: Method) -> dict[str, Any]:
    return {name: value for name, value in method.overrides.items() if name in ("prompt", "edit_prompt")}


@dataclass(frozen=True)
class _Made:
    """A cell's frames, the skeletons that guided them, and what that took."""

    frames: UInt8[np.ndarray, "f h w 3"]
    given: Keypoints
    phases: Mapping[str, PhaseRecord]


def _make_cells(
    cells: Sequence[_Cell],
    case: Case,
    backbone: Backbone,
    judges: Judges,
    progress: Progress,
    failures: list[Failure],
) -> None:
    """Makes the cells of one pair; those that are tuned alike share one tuning."""
    alike: dict[str, list[_Cell]] = {}
    for cell in cells:
        tuned = cell.method.shows == "edit"
        identity = cell.prompted(case.captions).for_tuning().identity() if tuned else cell.method.shows
        alike.setdefault(json.dumps(identity), []).append(cell)
    for group in alike.values():
        tuning = _Tuning(backbone, case)
        for cell in group:
            with _reported([cell], failures):
                config, label = cell.prompted(case.captions), _Labelled(progress, cell.method.name)
                recorder = Recorder(label, backbone.device)
                if cell.method.shows == "edit":
                    made = tuning.apply(cell.method, config, recorder)
                else:
                    made = _show(cell.method, case, config, recorder)
                scores = score_edit(made.frames, made.given, case.truth, judges, label)
                _save(cell, config, made, scores, case.reference.video.fps, backbone)


class _Tuning:
    """One tuning of a pair, done when it is first needed."""

    def __init__(self, backbone: Backbone, case: Case) -> None:
        self.backbone, self.case = backbone, case
        self.person: Person | None = None
        self.phases: Mapping[str, PhaseRecord] = {}

    def apply(self, method: Method, config: EditConfig, recorder: Recorder) -> _Made:
        """The edit; the phases of a tuning that another cell has shared count for this one too."""
        if self.person is None:
            self.person = tune_person(self.backbone, self.case.source, config.for_tuning(), recorder)
            self.phases = dict(recorder.phases)
        person = self.person
        if method.start == "noise":
            generator = torch.Generator().manual_seed(config.runtime.seed)
            person = replace(person, noise=torch.randn(person.noise.shape, generator=generator))
        reference = self.case.reference
        if method.skeletons == "true":
            reference = replace(reference, keypoints=self.case.truth.keypoints)
        edit = apply_motion(self.backbone, person, reference, config.for_applying(), recorder)
        return _Made(edit.frames, edit.skeletons, {**self.phases, **recorder.phases})


def _show(method: Method, case: Case, config: EditConfig, recorder: Recorder) -> _Made:
    """Frames that nobody edits."""
    frames = case.truth.frames
    if method.shows == "source":
        frames = case.source.video.frames[loop_frames(len(case.source), len(case.truth.frames))]
    given = align(case.reference.keypoints, case.source.keypoints, config.alignment.method)
    return _Made(frames, given, recorder.phases)


def _save(
    cell: _Cell, config: EditConfig, made: _Made, scores: PairedScores, fps: Fraction, backbone: Backbone
) -> None:
    """Writes the cell; ``scores.json`` last, so that its presence means that the cell is complete."""
    (cell.folder / "scores.json").unlink(missing_ok=True)
    write_video(cell.folder / "edited.mp4", made.frames, fps, crf=8)
    with written_whole(cell.folder / "config.yaml") as temporary:
        temporary.write_text(dump_config(config), encoding="utf-8")
    record = CellRecord(
        pair=cell.pair.name,
        method=cell.method.name,
        description=cell.method.description,
        scores=scores.values,
        gaps=scores.gaps,
        phases=made.phases,
        device=backbone.device.type,
        base=backbone.digest,
        version=__version__,
        request=cell.request,
    )
    _write_json(cell.folder / "scores.json", asdict(record))
    (cell.folder / "failure.json").unlink(missing_ok=True)


def load_cell(folder: Path) -> CellRecord:
    """The ``scores.json`` of a cell.

    Raises:
        InputError: it is absent or damaged.
    """
    path = folder / "scores.json"
    try:
        if path.stat().st_size > LARGEST_CELL:
            raise ValueError(f"more than {LARGEST_CELL} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        read = {
            "scores": {str(name): float(value) for name, value in content["scores"].items()},
            "gaps": {str(name): str(reason) for name, reason in content["gaps"].items()},
            "phases": {str(name): PhaseRecord(**phase) for name, phase in content["phases"].items()},
            "request": dict(content["request"]),
        }
        return CellRecord(**{**content, **read})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"expected the scores of a benchmark's cell at {path}, got {error!r}: delete it") from error


@contextmanager
def _reported(cells: Sequence[_Cell], failures: list[Failure]) -> Iterator[None]:
    """Notes an error that belongs to these cells alone, so that the others go on."""
    try:
        yield
    except DiskFullError:
        raise
    except EditYourMotionError as error:
        logger.warning("%s, %s: %s", cells[0].pair.name, ", ".join(cell.method.name for cell in cells), error)
        for cell in cells:
            failures.append(Failure(cell.pair.name, cell.method.name, str(error)))
            (cell.folder / "scores.json").unlink(missing_ok=True)  # of other settings, or it would not be made anew
            _write_json(cell.folder / "failure.json", asdict(failures[-1]))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _open_people(config: PairedConfig) -> PeopleBackend | str:
    """The people backend; why it cannot be had, where only scores would need it."""
    try:
        return open_backend(config.edit.people)
    except (ModelFileError, MissingExtraError) as error:
        if config.people == "detected":
            raise
        return str(error)


def _seeking(people: PeopleConfig) -> PeopleConfig:
    """The backend's settings without ready keypoints and masks, which cannot fit every pair."""
    return people.model_copy(update={"keypoints": None, "masks": None, "reference_keypoints": None})


@dataclass(frozen=True)
class _Labelled:
    """Progress whose phases say what they belong to."""

    progress: Progress
    label: str

    def phase(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Announces the phase under its label."""
        return self.progress.phase(f"{self.label}: {name}", total)
