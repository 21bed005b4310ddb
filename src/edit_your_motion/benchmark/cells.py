"""The cells of a benchmark: one method on one case, made once, scored, and traceable.

A cell is a folder ``METHOD/CASE/`` with ``edited.mp4``, ``config.yaml`` and, written last, ``scores.json``, so that its
presence means that the cell is complete. A failure is kept as ``failure.json``, and the cell is tried again.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from edit_your_motion import __version__
from edit_your_motion.benchmark.config import BenchmarkConfig
from edit_your_motion.benchmark.methods.catalogue import Method, scale_tuning
from edit_your_motion.benchmark.methods.external import ExternalMethod
from edit_your_motion.benchmark.methods.motion_editor import apply_in_two_branches
from edit_your_motion.benchmark.provenance import commit_of_package
from edit_your_motion.benchmark.settings import describe_settings
from edit_your_motion.config import (
    EditConfig,
    PeopleConfig,
    TuneConfig,
    VideoConfig,
    dump_config,
    explain,
    parse_config,
)
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import DiskFullError, EditYourMotionError, InputError, MissingExtraError, ModelFileError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.preparation import PreparedClip, open_backend
from edit_your_motion.person import Person
from edit_your_motion.runtime.profiling import PhaseRecord, Recorder
from edit_your_motion.runtime.progress import Advance, Progress
from edit_your_motion.runtime.random import Draws
from edit_your_motion.storage.files import remove_file, write_json, write_text
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.video import write_video

logger = logging.getLogger(__name__)

LARGEST_CELL = 1 << 20
"""Bytes of ``scores.json`` that are read."""

CRF = 8
"""H.264 quality of the clips that benchmarks write: hardly told from the frames that were scored."""


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True)
class CellRecord:
    """What ``scores.json`` says of one method on one case.

    Args:
        pair: name of the case.
        method: its name.
        description: of the method.
        scores: value by name.
        gaps: why a score is not there, by name.
        phases: seconds, peak memory and steps of each.
        device: what computed.
        base: digest of the base.
        version: of this package.
        request: everything that decides the content; ``benchmark`` in it is the same in all cells of a table.
        run: the folder that the cell was made in, with its ``config.yaml``; None in cells of older versions.
        commit: of this package's code, see `commit_of_package`.
        seed: of tuning's noise and of sampling from noise.
        created: when, in ISO 8601, UTC.
        notes: what a reader has to know besides (frames that were resized).
        settings: preset, base and what differs, see `edit_your_motion.benchmark.settings`; None where nothing was
            edited here, and in cells of older versions.
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
    run: str | None = None
    commit: str | None = None
    seed: int | None = None
    created: str | None = None
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None


_RECORD = TypeAdapter(CellRecord)


@dataclass(frozen=True)
class Failure:
    """A cell that could not be made."""

    pair: str
    method: str
    error: str


@dataclass(frozen=True)
class CellScores:
    """The scores of one method on one case.

    Args:
        values: by name.
        gaps: why a score is not there, by name; never a zero in its place.
        notes: what a reader has to know besides.
    """

    values: Mapping[str, float]
    gaps: Mapping[str, str]
    notes: tuple[str, ...] = ()


Score: TypeAlias = Callable[[UInt8[np.ndarray, "f h w 3"], Keypoints, Progress], CellScores]
"""The scores of an edit's frames, which the skeletons were to guide."""

AnyMethod: TypeAlias = Method | ExternalMethod

Tune: TypeAlias = Callable[[Backbone, PreparedClip, TuneConfig, Progress], Person]
"""Tunes a person on a source: `tune_person`, or what comes to the same."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A case as methods see it.

    Args:
        source: the person to be edited.
        reference: the motion.
        prompts: of the source, and of the edit.
        score: measures an edit.
        truth: what the edit should become, at the source's size; None if nobody knows.
        true_keypoints: of the person in `truth`; None if nobody knows.
    """

    source: PreparedClip
    reference: PreparedClip
    prompts: tuple[str, str]
    score: Score
    truth: UInt8[np.ndarray, "f h w 3"] | None = None
    true_keypoints: Keypoints | None = None


@dataclass(frozen=True)
class Cell:
    """One method on one case: what is asked for, and where it lies.

    Args:
        folder: the cell's own.
        case: its name.
        method: under test.
        config: of the edit, without prompts.
        request: everything that decides the cell's content.
        settings: what the benchmark's edits are made with, for the tables.
    """

    folder: Path
    case: str
    method: AnyMethod
    config: EditConfig
    request: Mapping[str, Any]
    settings: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether the cell is there, made with these very settings."""
        try:
            return load_cell(self.folder).request == json.loads(json.dumps(self.request))
        except InputError:
            return False

    @property
    def edits(self) -> bool:
        """Whether the method makes its frames here, by tuning."""
        return isinstance(self.method, Method) and self.method.shows == "edit"

    def prompted(self, prompts: tuple[str, str]) -> EditConfig:
        """The cell's configuration with the case's prompts, where the method sets none of its own."""
        overrides = self.method.overrides if isinstance(self.method, Method) else {}
        own = {name: value for name, value in overrides.items() if name in ("prompt", "edit_prompt")}
        given = dict(zip(("prompt", "edit_prompt"), prompts, strict=True))
        return parse_config(EditConfig, self.config.model_dump(), {**given, **own})


def describe_method(method: AnyMethod, case: str) -> dict[str, Any]:
    """What of a method decides a cell's content besides the configuration that it changes."""
    if isinstance(method, ExternalMethod):
        return {"name": method.name, "outputs": method.fingerprint(case)}
    always, elsewhere = {"name", "start", "skeletons", "shows"}, {"description", "overrides", "joint"}
    told = {field.name: getattr(method, field.name) for field in fields(method) if field.name not in elsewhere}
    # Later fields stand there only where they are set, so that cells from before them stay valid.
    usual = {field.name: field.default for field in fields(method)}
    return {name: value for name, value in told.items() if name in always or value != usual[name]}


def plan_cell(
    folder: Path,
    shared: BenchmarkConfig,
    case: str,
    method: AnyMethod,
    clips: Path,
    video: VideoConfig,
    request: Mapping[str, Any],
) -> Cell:
    """What is asked for of one method on one case.

    Args:
        folder: of the benchmark.
        shared: what its cells have in common.
        case: its name.
        method: under test.
        clips: the folder of the case's clips, below `folder`.
        video: of the edit.
        request: what decides the content besides method and configuration.
    """
    ours: dict[str, Any] = {
        "source": str(clips / "source.mp4"),
        "reference": str(clips / "reference.mp4"),
        "video": video.model_dump(),
        "people": without_ready_people(shared.edit.people).model_dump(),
    }
    config = parse_config(EditConfig, shared.edit.model_dump(), ours)
    if isinstance(method, Method):
        config = scale_tuning(method.configure(config), shared.share, shared.rate)
    asked = {**request, "method": describe_method(method, case), "config": config.identity()}
    return Cell(folder / method.name / case, case, method, config, asked, describe_settings(shared))


def open_people(people: PeopleConfig) -> PeopleBackend | ModelFileError | MissingExtraError:
    """The people backend; why it cannot be had, where only scores may need it."""
    try:
        return open_backend(people.of_bodies())
    except (ModelFileError, MissingExtraError) as error:
        return error


def make_cells(
    cells: Sequence[Cell],
    scene: Scene,
    backbone: Backbone,
    progress: Progress,
    failures: list[Failure],
    tune: Tune | None = None,
) -> None:
    """Makes the cells of one case; those that are tuned alike share one tuning.

    Args:
        cells: of one case.
        scene: the case.
        backbone: the frozen networks.
        progress: is told how far it is.
        failures: gets those that could not be made.
        tune: how people are tuned; by default by `tune_person`.

    Raises:
        DiskFullError: no room is left.
    """
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        identity = cell.prompted(scene.prompts).for_tuning().identity() if cell.edits else cell.method.name
        alike.setdefault(json.dumps(identity), []).append(cell)
    for group in alike.values():
        tuning = _Tuning(backbone, scene, tune or tune_person)
        for cell in group:
            with reported(cell.case, [cell], failures):
                config, label = cell.prompted(scene.prompts), Labelled(progress, cell.method.name)
                recorder = Recorder(label, backbone.device)
                made = tuning.apply(cell.method, config, recorder) if cell.edits else _show(cell, scene, config)
                scores = scene.score(made.frames, made.given, label)
                _save(cell, config, made, scores, scene, backbone)


@dataclass(frozen=True)
class _Made:
    """A cell's frames, the skeletons that guided them, and what that took."""

    frames: UInt8[np.ndarray, "f h w 3"]
    given: Keypoints
    phases: Mapping[str, PhaseRecord]
    notes: tuple[str, ...] = ()


class _Tuning:
    """One tuning of a case, done when it is first needed."""

    def __init__(self, backbone: Backbone, scene: Scene, tune: Tune) -> None:
        self.backbone, self.scene, self.tune = backbone, scene, tune
        self.person: Person | None = None
        self.phases: Mapping[str, PhaseRecord] = {}

    def apply(self, method: AnyMethod, config: EditConfig, recorder: Recorder) -> _Made:
        """The edit; the phases of a tuning that another cell has shared count for this one too."""
        assert isinstance(method, Method), "only methods of ours are tuned"
        if self.person is None:
            self.person = self.tune(self.backbone, self.scene.source, config.for_tuning(), recorder)
            self.phases = dict(recorder.phases)
        person, reference = self.person, self.scene.reference
        if method.start == "noise":
            person = replace(person, noise=Draws(config.runtime.seed).normal(*person.noise.shape))
        if method.skeletons == "true":
            if self.scene.true_keypoints is None:
                raise InputError(
                    f"{method.name} needs the truth's own skeletons, which nobody knows: leave it out here"
                )
            reference = replace(reference, keypoints=self.scene.true_keypoints)
        apply = apply_in_two_branches if method.branches == 2 else apply_motion
        edit = apply(self.backbone, person, reference, config.for_applying(), recorder)
        return _Made(edit.frames, edit.skeletons, {**self.phases, **recorder.phases})


def _show(cell: Cell, scene: Scene, config: EditConfig) -> _Made:
    """Frames that nobody edits here: the truth, the untouched source, or what another project has made of it."""
    given = align_as(config.alignment, scene.reference.keypoints, scene.source.keypoints)
    wanted = len(scene.reference)
    if isinstance(cell.method, ExternalMethod):
        height, width = scene.source.video.frames.shape[1:3]
        frames, notes = cell.method.read(cell.case, wanted, height, width)
        return _Made(frames, given, {}, notes)
    if cell.method.shows == "source":
        return _Made(scene.source.video.frames[loop_frames(len(scene.source), wanted)], given, {})
    if scene.truth is None:
        raise InputError(f"{cell.case} has no truth that '{cell.method.name}' could show: leave it out here")
    return _Made(scene.truth, given, {})


def _save(cell: Cell, config: EditConfig, made: _Made, scores: CellScores, scene: Scene, backbone: Backbone) -> None:
    """Writes the cell; ``scores.json`` last."""
    remove_file(cell.folder / "scores.json")
    write_video(cell.folder / "edited.mp4", made.frames, scene.reference.video.fps, crf=CRF)
    write_text(cell.folder / "config.yaml", dump_config(config))
    record = CellRecord(
        pair=cell.case,
        method=cell.method.name,
        description=cell.method.description,
        scores=scores.values,
        gaps=scores.gaps,
        phases=made.phases,
        device=backbone.device.type,
        base=backbone.digest,
        version=__version__,
        request=cell.request,
        run=str(cell.folder.resolve()),
        commit=commit_of_package(),
        seed=config.runtime.seed,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        notes=(*made.notes, *scores.notes),
        settings=cell.settings if cell.edits else None,
    )
    write_json(cell.folder / "scores.json", asdict(record))
    remove_file(cell.folder / "failure.json")


def load_cell(folder: Path) -> CellRecord:
    """The ``scores.json`` of a cell.

    Raises:
        InputError: it is absent or damaged.
    """
    path = folder / "scores.json"
    try:
        if path.stat().st_size > LARGEST_CELL:
            raise ValueError(f"more than {LARGEST_CELL} bytes")
        record = _RECORD.validate_python(parse_json(path.read_text(encoding="utf-8")))
        config = record.request.get("config")
        for part in (
            record.request.get("benchmark"),
            config,
            config.get("runtime") if isinstance(config, dict) else None,
        ):
            if not isinstance(part, dict | None):
                raise ValueError(f"settings that are {part!r:.40}")
        return record
    except ValidationError as error:
        raise InputError(
            f"expected the scores of a benchmark's cell at {path}, got {explain(error)}: delete it"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"expected the scores of a benchmark's cell at {path}, got {error!r}: delete it") from error


def load_cells(folder: Path, methods: str = ".*") -> dict[Path, CellRecord]:
    """The cells of a benchmark by their folders.

    Args:
        folder: of the benchmark.
        methods: a pattern of the names of those that count.

    Raises:
        InputError: there are none, one is damaged, or they are of several bases or settings of the benchmark.
    """
    places = [path.parent for path in sorted(folder.glob("*/*/scores.json"))]
    cells = {place: load_cell(place) for place in places if re.fullmatch(methods, place.parent.name)}
    if not cells:
        raise InputError(f"expected METHOD/CASE/scores.json in {folder}, found none: run a benchmark there first")
    if len({json.dumps([cell.base, cell.request.get("benchmark")], sort_keys=True) for cell in cells.values()}) > 1:
        raise InputError(
            f"expected cells of one base and one setting of the benchmark in {folder}, got several: run the older "
            "methods and cases again, or remove their folders"
        )
    return cells


@contextmanager
def reported(case: str, cells: Sequence[Cell], failures: list[Failure]) -> Iterator[None]:
    """Notes an error that belongs to these cells of a case alone, so that the others go on."""
    try:
        yield
    except DiskFullError:
        raise
    except EditYourMotionError as error:
        logger.warning("%s, %s: %s", case, ", ".join(cell.method.name for cell in cells) or "its clips", error)
        for cell in cells:
            failures.append(Failure(case, cell.method.name, str(error)))
            remove_file(cell.folder / "scores.json")  # of other settings, or it would not be made anew
            write_json(cell.folder / "failure.json", asdict(failures[-1]))
        if not cells:
            failures.append(Failure(case, "its clips", str(error)))


def without_ready_people(people: PeopleConfig) -> PeopleConfig:
    """The backend's settings without ready keypoints, masks and plates, which cannot fit every case."""
    return people.without(("keypoints", "masks", "plate", "reference_keypoints"))


@dataclass(frozen=True)
class Labelled:
    """Progress whose phases say what they belong to."""

    progress: Progress
    label: str

    def phase(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Announces the phase under its label."""
        return self.progress.phase(f"{self.label}: {name}", total)
