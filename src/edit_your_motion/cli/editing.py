"""The commands that edit: edit, tune, apply, prepare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import (
    COMMON,
    EDITING,
    ApplyFlags,
    CommonFlags,
    DemoFlags,
    EditFlags,
    EditingFlags,
    PrepareFlags,
    TuneFlags,
)
from edit_your_motion.config import ApplyConfig, EditConfig, PrepareConfig, TuneConfig
from edit_your_motion.errors import counted
from edit_your_motion.presets import choose_settings

if TYPE_CHECKING:
    from edit_your_motion.jobs.session import EditResult
    from edit_your_motion.runtime.progress import Progress

DEMO_CLIPS = Path(__file__).parents[1] / "demo"

DEMO = {
    "source": str(DEMO_CLIPS / "source.mp4"),
    "reference": str(DEMO_CLIPS / "reference.mp4"),
    "prompt": "a man in an orange sweater and blue trousers is marching on the spot in a gym",
    "model": {"base": "small"},
    "video": {"stride": 2},
}
"""What the demo edits, and with what; all else is the small base's own."""

SourcePath: TypeAlias = Annotated[
    str | None, Parameter(help="Video, picture, GIF or folder of frames with the person.")
]
ReferencePath: TypeAlias = Annotated[str | None, Parameter(help="Video, GIF or folder of frames with the motion.")]
Truth: TypeAlias = Annotated[
    Path | None, Parameter(help="Video of the same person truly doing that motion, to score against.")
]
Restart: TypeAlias = Annotated[bool, Parameter(help="Start over: throw away the person in OUTPUT.")]
Force: TypeAlias = Annotated[
    bool,
    Parameter(help="Begin though it takes more than a day, or skeletons are hardly a body's."),
]

MOVED = "Where it lies now, if it was moved."


def edit(
    source: SourcePath = None,
    reference: ReferencePath = None,
    /,
    *,
    output: Path = Path("edit"),
    truth: Truth = None,
    restart: Restart = False,
    force: Force = False,
    common: EditingFlags = EDITING,
    settings: EditFlags = None,
) -> None:
    """Give the person of SOURCE the motion of REFERENCE.

    Tunes on SOURCE (two stages), inverts it, and samples it with the aligned skeletons of REFERENCE. OUTPUT has
    edited.mp4, what to judge it by, and the tuned person; the same command again goes on where it stopped.

    Parameters
    ----------
    output
        Folder for the results.
    """
    chosen = common.choose(EditConfig, settings, source=source, reference=reference)
    _check(chosen.config)
    from edit_your_motion.jobs.session import run_edit

    progress = common.open_progress()
    _foresee(chosen.config, force, person=None if restart else output / "person", progress=progress)
    result = run_edit(chosen.config, output, progress, truth=truth, restart=restart, force=force, chosen=chosen)
    if not common.quiet:
        _show(result)


def demo(
    *,
    output: Path = Path("demo"),
    restart: Restart = False,
    common: EditingFlags = EDITING,
    settings: DemoFlags = None,
) -> None:
    """Edit rendered clips that come along, with the small base.

    The edit is scored against the truth.

    Parameters
    ----------
    output
        Folder for the results.
    """
    layers = [("the demo", DEMO), *common.list_layers(EditConfig, settings)]
    chosen = choose_settings(EditConfig, *layers, preset=common.preset)
    from edit_your_motion.jobs.session import run_edit

    truth = DEMO_CLIPS / "truth.mp4"
    result = run_edit(chosen.config, output, common.open_progress(), truth=truth, restart=restart, chosen=chosen)
    if not common.quiet:
        _show(result)


def tune(
    source: SourcePath = None,
    /,
    *,
    output: Path = Path("person"),
    restart: Restart = False,
    force: Force = False,
    common: EditingFlags = EDITING,
    settings: TuneFlags = None,
) -> None:
    """Tune the person of SOURCE once, for any motions of 'eym apply'.

    Parameters
    ----------
    output
        Folder for the tuned person.
    """
    chosen = common.choose(TuneConfig, settings, source=source)
    _check(chosen.config)
    from edit_your_motion.jobs.session import run_tune

    progress = common.open_progress()
    _foresee(chosen.config, force, person=None if restart else output, progress=progress)
    run_tune(chosen.config, output, progress, restart=restart, chosen=chosen)
    if not common.quiet:
        show(f"tuned person: {output}    next: eym apply {output} REFERENCE")


def apply(
    person: Path,
    reference: ReferencePath = None,
    /,
    *,
    output: Path = Path("edit"),
    truth: Truth = None,
    base: Annotated[str | None, Parameter(name="--model.base", help=MOVED)] = None,
    controlnet: Annotated[str | None, Parameter(name="--model.controlnet", help=MOVED)] = None,
    other_base: bool = False,
    force: Force = False,
    common: EditingFlags = EDITING,
    settings: ApplyFlags = None,
) -> None:
    """Give a tuned PERSON the motion of REFERENCE.

    Parameters
    ----------
    person
        Folder that 'eym tune' made.
    output
        Folder for the results.
    other_base
        Go on with another base or ControlNet than the person was tuned on; run.json says so.
    """
    from edit_your_motion.person_folder import read_base, read_preset

    of_person = {"base": base or read_base(person), "preset": read_preset(person)}
    chosen = common.choose(ApplyConfig, settings, reference=reference, **of_person)
    from edit_your_motion.jobs.session import run_apply

    progress = common.open_progress()
    _foresee(chosen.config, force, person=person, progress=progress)
    moved = {"base": base, "controlnet": controlnet}
    result = run_apply(
        person,
        chosen.config,
        output,
        progress,
        truth=truth,
        other_base=other_base,
        force=force,
        chosen=chosen,
        **moved,
    )
    if not common.quiet:
        _show(result)


def plan(
    source: SourcePath = None,
    reference: ReferencePath = None,
    /,
    *,
    common: EditingFlags = EDITING,
    settings: EditFlags = None,
) -> None:
    """Say what an edit will take in time, memory and disk; begin nothing."""
    chosen = common.choose(EditConfig, settings, source=source, reference=reference)
    from edit_your_motion.jobs.estimate import plan_edit

    common.open_progress()
    show(plan_edit(chosen.config).describe())


def prepare(
    source: SourcePath = None,
    reference: ReferencePath = None,
    /,
    *,
    output: Path = Path("prepared"),
    common: CommonFlags = COMMON,
    settings: PrepareFlags = None,
) -> None:
    """Find the people of SOURCE and REFERENCE, to look at and correct.

    Look at overlay.mp4, aligned.mp4 and puppet.mp4, correct keypoints.json or masks/ by hand, and give the folders in
    the place of the clips: eym edit OUTPUT OUTPUT/reference.

    Parameters
    ----------
    output
        Folder for the results.
    """
    resolved = common.resolve(PrepareConfig, settings, source=source, reference=reference)
    from edit_your_motion.jobs.preparing import run_prepare
    from edit_your_motion.jobs.run_record import describe_people

    progress = common.open_progress()
    clip = run_prepare(resolved, output, progress)
    if not common.quiet:
        facts = describe_people(clip)
        show(
            f"person in {facts['found']:.0%} of {counted(len(clip), 'frame')}, "
            f"mask {facts['mask_area']:.1%} of the picture, jitter {facts['jitter_before_smoothing']:.2f} px "
            f"before smoothing, {facts['jitter']:.2f} px after"
        )
        show(
            f"look at {output / 'overlay.mp4'}"
            + ("" if reference is None else f", {output / 'aligned.mp4'}, {output / 'puppet.mp4'}")
        )


def _check(config: TuneConfig | ApplyConfig) -> None:
    """Says what was not given, before what computes is loaded, which takes seconds."""
    from edit_your_motion.jobs.early_checks import check_given

    check_given(config)


def _foresee(config: TuneConfig | ApplyConfig, force: bool, person: Path | None, progress: "Progress") -> None:
    """Says what a job will take, also to the progress, and stops one of more than a day unless that is forced."""
    from edit_your_motion.jobs.estimate import foresee_job, require_patience
    from edit_your_motion.runtime.progress import expect

    if (estimate := foresee_job(config, person, skip_short=True, force=force)) is not None:
        require_patience(estimate, force=force)
        expect(progress, estimate.seconds)


def _show(result: "EditResult") -> None:
    for name, values in result.scores.items():
        show(f"scores of {name}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in values.items()))
    show(f"look at {result.folder / 'edited.mp4'}, {result.folder / 'comparison.mp4'}, {result.folder / 'sheet.png'}")
