"""Benchmarks on data sets: any methods on real people's clips, one cell for each method and case."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from edit_your_motion.benchmark.cells import (
    CRF,
    AnyMethod,
    Cell,
    CellScores,
    Failure,
    Labelled,
    Scene,
    make_cells,
    open_people,
    plan_cell,
    reported,
    without_ready_people,
)
from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.datasets.scores import Known, score_frames
from edit_your_motion.benchmark.exports import export_scene
from edit_your_motion.benchmark.methods.catalogue import METHODS, Method, group_by_backbone
from edit_your_motion.benchmark.methods.external import ExternalMethod
from edit_your_motion.benchmark.tasks import spread_cases
from edit_your_motion.config import ClipConfig, PeopleConfig, VideoConfig
from edit_your_motion.datasets.case import Case, CaseList, Dataset
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.errors import MissingExtraError, ModelFileError, VideoError
from edit_your_motion.executors.contract import Executor, Task
from edit_your_motion.jobs.early_checks import check_folder
from edit_your_motion.jobs.identity import digest_content
from edit_your_motion.metrics import FeatureNetworks
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.frame_mapping import fit_keypoints, fit_masks
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.preparation import (
    MIDDLE,
    Canvas,
    choose_canvas,
    prepare_reference,
    prepare_source,
    save_masks,
)
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.storage.files import sweep_below
from edit_your_motion.storage.locking import held
from edit_your_motion.video import fit_frames, write_video


def run_dataset(
    folder: Path,
    kind: str,
    dataset: Dataset,
    config: DatasetConfig,
    progress: Progress,
    *,
    methods: Sequence[Method] = tuple(METHODS.values()),
    external: Sequence[ExternalMethod] = (),
    export: bool = False,
    executor: Executor | None = None,
) -> list[Failure]:
    """Makes and scores every cell that is not there yet, and returns those that could not be made.

    A cell is ``METHOD/CASE/``, see `edit_your_motion.benchmark.cells`; a cell of other settings is made anew.
    ``cases/CASE/`` holds the clips as methods get them. A failure is kept, and the cell is tried again the next time.
    Methods that lack something, or that need a truth where there is none, are left out, and the log says so.

    Args:
        folder: of the benchmark.
        kind: of layout, one of `DATASETS`.
        dataset: the cases.
        config: what all cells share.
        progress: is told how far it is.
        methods: which ones.
        external: other projects' outputs to be scored too.
        export: also write ``exports/CASE/``, the cases in the forms that other projects read.
        executor: makes each case as a task of its own; by default they are made here, and share the loaded networks.

    Raises:
        CheckpointError: the base cannot be loaded.
        ModelFileError: the people backend's files cannot be had, and people are to be detected.
        DiskFullError: no room is left; the benchmark goes on where it was when it is called again.
        FolderInUseError: another benchmark works in the folder.
    """
    check_folder(folder)
    with held(folder):
        sweep_below(folder)
        if executor is None:
            return _make_cases(folder, kind, dataset, config, progress, methods, external, export)
        alone = [CaseList(dataset.name, dataset.split, (case,)) for case in dataset.cases]
        shared = (config, SilentProgress(), methods, external, export)
        tasks = [Task(case.cases[0].name, make_case, (folder, kind, case, *shared)) for case in alone]
        return spread_cases(executor, tasks, progress)


def make_case(
    folder: Path,
    kind: str,
    dataset: CaseList,
    config: DatasetConfig,
    progress: Progress,
    methods: Sequence[Method],
    external: Sequence[ExternalMethod],
    export: bool,
) -> list[Failure]:
    """The part of `run_dataset` that is one case's, the only one of `dataset`, beside those of others."""
    with held(folder / "cases" / dataset.cases[0].name):
        return _make_cases(folder, kind, dataset, config, progress, methods, external, export)


def _make_cases(
    folder: Path,
    kind: str,
    dataset: Dataset,
    config: DatasetConfig,
    progress: Progress,
    methods: Sequence[Method],
    external: Sequence[ExternalMethod],
    export: bool,
) -> list[Failure]:
    """`run_dataset`, once nobody else makes these cases."""
    failures: list[Failure] = []
    for number, (edit, able) in enumerate(group_by_backbone(methods, config.edit)):
        plain = number == 0
        chosen: list[AnyMethod] = [*able, *(external if plain else ())]
        if chosen or (export and plain):
            backbone = Backbone.load(edit.model, edit.runtime)
            _Run(folder, kind, dataset, config, backbone, export and plain).make(chosen, progress, failures)
    return failures


class _Run:
    """One backbone's part of a benchmark."""

    def __init__(
        self, folder: Path, kind: str, dataset: Dataset, config: DatasetConfig, backbone: Backbone, export: bool
    ) -> None:
        self.folder, self.kind, self.dataset, self.config = folder, kind, dataset, config
        self.backbone, self.export = backbone, export
        self.networks = FeatureNetworks(**dict(config.networks))
        self.people = open_people(config.edit.people)
        self.described = {case.name: _describe_case(case) for case in dataset.cases}

    def make(self, methods: Sequence[AnyMethod], progress: Progress, failures: list[Failure]) -> None:
        """Makes the cells that are not there yet."""
        cases = self.dataset.cases
        for number, case in enumerate(cases, 1):
            fitting = [method for method in methods if case.truth is not None or not _needs_truth(method)]
            cells = [cell for method in fitting if not (cell := self._cell(case, method)).finished]
            if not cells and not self.export:
                continue
            label = Labelled(progress, f"{number}/{len(cases)} {case.name}")
            with reported(case.name, cells, failures):
                scene = self._prepare(case, label)
                if self.export:
                    export_scene(self.folder / "exports" / case.name, scene, self.config.edit.alignment)
                make_cells(cells, scene, self.backbone, label, failures)

    def _cell(self, case: Case, method: AnyMethod) -> Cell:
        """What is asked for of one method on one case."""
        shared = self.config
        frames = case.reference.count or shared.cases.frames
        video = VideoConfig(frames=frames, stride=1, size=shared.size, fit=shared.fit)
        request = {"case": self.described[case.name], "benchmark": self._shared()}
        return plan_cell(self.folder, shared, case.name, method, Path("cases", case.name), video, request)

    def _shared(self) -> dict[str, Any]:
        """What is the same in all cells of a table: not the networks of pooled distances, which no cell has."""
        shared = self.config.model_dump(mode="json", exclude={"edit", "preset", "networks", "cases", "clip_stride"})
        side = int(self.config.size) if self.config.size.isdecimal() else self.config.size
        return {
            **shared,
            "dataset": self.kind,
            "name": self.dataset.name,
            "split": self.dataset.split,
            "frames": self.config.cases.frames,
            "size": side,
            "clip": self.config.networks.clip and Path(self.config.networks.clip).name,
        }

    def _prepare(self, case: Case, progress: Progress) -> Scene:
        """The case at the working size, with the people in it, and its clips written."""
        config, place = self.config, self.folder / "cases" / case.name
        source, reference = case.source.read(), case.reference.read()
        frames = len(reference.frames)
        video = VideoConfig(frames=frames, size=config.size, fit=config.fit)
        base = self.backbone.base
        # Tables are made of crops from the middle, whoever is where.
        canvas = replace(choose_canvas(source, video, base.side_multiple, base.native_side), place=MIDDLE)
        people = without_ready_people(config.edit.people)
        if config.people == "ready":
            people = people.model_copy(update=write_ready_people(case, canvas, place, people))
        if isinstance(self.people, ModelFileError | MissingExtraError) and not _all_ready(people):
            raise self.people
        still = len(source.frames) == 1
        # Frame goes with frame, whatever the rates, as in the literature.
        source = replace(source, fps=reference.fps)
        every = ClipConfig(frames=frames, stride=1)
        of_source = every if still else every.model_copy(update={"frames": len(source.frames)})
        prepared = prepare_source(source, canvas, of_source, people, progress)
        motion = prepare_reference(reference, every, people, progress)
        truth = None if case.truth is None else _read_truth(case.truth, canvas, frames)
        clips = {"source": prepared.video.frames[:1] if still else prepared.video.frames, "reference": reference.frames}
        for name, clip in {**clips, "truth": truth}.items():
            if clip is not None:
                write_video(place / f"{name}.mp4", clip, reference.fps, crf=CRF)

        looped = loop_frames(len(prepared), frames)
        shown = Known(prepared.video.frames[looped], prepared.masks[looped], truth, case.prompts[1], self.dataset.split)
        backend = self.people if isinstance(self.people, PeopleBackend) else str(self.people)

        def score(edited: UInt8[np.ndarray, "f h w 3"], given: Keypoints, progress: Progress) -> CellScores:
            return score_frames(edited, given, shown, self.networks, backend, progress)

        same = case.truth == case.reference
        true_keypoints = fit_keypoints(motion.keypoints, canvas.fit()) if same and truth is not None else None
        return Scene(prepared, motion, case.prompts, score, truth, true_keypoints)


def write_ready_people(case: Case, canvas: Canvas, place: Path, people: PeopleConfig) -> dict[str, Path]:
    """Writes what a data set knows of a case's people, as it lies on the canvas, and returns it as settings of people.

    Args:
        case: its clips may have keypoints and masks.
        canvas: of the edit.
        place: the folder to write to.
        people: says which of the people in the files are meant.

    Raises:
        PersonError: keypoints or masks cannot be read.
    """
    written: dict[str, Path] = {}
    if (keypoints := case.source.read_keypoints(people.person)) is not None:
        written["keypoints"] = place / "source-keypoints.json"
        save_keypoints(written["keypoints"], fit_keypoints(keypoints, canvas.fit()))
    if (masks := case.source.read_masks()) is not None:
        written["masks"] = place / "source-masks"
        save_masks(written["masks"], fit_masks(masks, canvas.fit()))
    if (keypoints := case.reference.read_keypoints(people.reference_person)) is not None:
        written["reference_keypoints"] = place / "reference-keypoints.json"
        save_keypoints(written["reference_keypoints"], keypoints)
    return written


def _read_truth(clip: Clip, canvas: Canvas, frames: int) -> UInt8[np.ndarray, "f h w 3"]:
    truth = clip.read().frames
    if len(truth) != frames:
        raise VideoError(
            f"expected a truth of {frames} frames as the reference has, got {len(truth)} in {clip.path}: cut it"
        )
    return fit_frames(truth, canvas.fit())


def _needs_truth(method: AnyMethod) -> bool:
    return isinstance(method, Method) and (method.shows == "truth" or method.skeletons == "true")


def _all_ready(people: PeopleConfig) -> bool:
    return None not in (people.keypoints, people.masks, people.reference_keypoints)


def _describe_case(case: Case) -> dict[str, Any]:
    """What tells a case from one of other contents or frames, wherever its files lie."""
    clips = {"source": case.source, "reference": case.reference, "truth": case.truth}
    described = {
        name: {
            "name": clip.path.name, "start": clip.start, "count": clip.count, "stride": clip.stride,
            "fps": None if clip.fps is None else float(clip.fps),
            "contents": [
                digest_content(path) for path in (clip.path, clip.keypoints, clip.masks) if path and path.exists()
            ],
        }
        for name, clip in clips.items()
        if clip is not None
    }  # fmt: skip
    return {"name": case.name, "prompts": list(case.prompts), **described}
