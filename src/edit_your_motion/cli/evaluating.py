"""The command that measures: evaluate."""

import sys
from pathlib import Path
from typing import Literal

from edit_your_motion.benchmark.evaluation.config import EvaluationConfig
from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import COMMON, CommonFlags, EvaluationFlags
from edit_your_motion.errors import ConfigError


def evaluate(
    outputs: Path,
    /,
    *,
    against: Path | None = None,
    source: Path | None = None,
    reference: Path | None = None,
    prompt: str | None = None,
    dataset: Literal["tiktok", "wild", "cases", "paired"] | None = None,
    data: Path | None = None,
    metrics: tuple[str, ...] = (),
    output: Path = Path("evaluation"),
    common: CommonFlags = COMMON,
    settings: EvaluationFlags = None,
) -> None:
    """Measure OUTPUTS, whoever made them: a clip, or a folder of clips.

    OUTPUT has report.json, table.md and run.json: every number with its convention, and a named gap for each that could
    not be measured. Clips of a folder go with those of the same name, and may be hours long.

    Parameters
    ----------
    outputs
        What to measure: NAME.mp4, NAME/ with pictures, or a folder of many.
    against
        The truth: the same motion of the same person, frame by frame.
    source
        The clip that was edited; one for all, or a folder of many.
    reference
        The motion: a clip or ready keypoints; one for all, or a folder of many.
    prompt
        What OUTPUTS should show.
    dataset
        Takes truth, source, reference and prompt from a data set's cases, which OUTPUTS are named after.
    data
        Where that data set lies.
    metrics
        Metrics, by name; default: all that the above allow.
    output
        Folder for the results.
    """
    resolved = common.resolve(EvaluationConfig, settings)
    companions = (against, source, reference, prompt)
    if (dataset is None) != (data is None) or (dataset is not None and any(each is not None for each in companions)):
        raise ConfigError(
            "expected --dataset with --data, and then no --against, --source, --reference or --prompt, which it knows"
        )
    from edit_your_motion.benchmark.evaluation.report import format_set, write_set_report
    from edit_your_motion.benchmark.evaluation.run import evaluate_subjects
    from edit_your_motion.benchmark.evaluation.subjects import find_subjects, find_subjects_of
    from edit_your_motion.datasets.catalogue import open_dataset
    from edit_your_motion.jobs.early_checks import check_folder
    from edit_your_motion.jobs.run_record import write_record
    from edit_your_motion.runtime.profiling import Recorder
    from edit_your_motion.storage.locking import held

    recorder = Recorder(common.open_progress())
    if dataset is not None and data is not None:
        cases = open_dataset(dataset, data, resolved.cases)
        subjects, split = find_subjects_of(cases, outputs), f"{cases.name}: {cases.split}"
    else:
        subjects, split = find_subjects(outputs, against, source, reference, prompt), ""
    check_folder(output)
    with held(output):
        report = evaluate_subjects(subjects, resolved, recorder, metrics=metrics or None, split=split)
        write_set_report(output, report)
        write_record(output, resolved, recorder)
    if not common.quiet:
        show(format_set(report))
    for name, why in report.failures.items():
        sys.stderr.write(f"{name} could not be measured: {why}\n")
    if report.failures:
        sys.exit(1)
