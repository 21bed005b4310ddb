"""The commands that compare methods: benchmark."""

from pathlib import Path

from cyclopts import App

from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.cli.benchmarking_data import SUMMARIES, MethodNames, make_command
from edit_your_motion.cli.executors import MACHINE, MachineFlags
from edit_your_motion.cli.printing import finish
from edit_your_motion.cli.settings import COMMON, CommonFlags, PairedFlags

benchmark = App(name="benchmark", group="Measure", help="Compare methods on data with known answers.")
for kind in SUMMARIES:
    benchmark.command(make_command(kind), name=kind)


@benchmark.command
def paired(
    folder: Path,
    /,
    *,
    methods: MethodNames = (),
    pairs: tuple[str, ...] = (),
    external: tuple[str, ...] = (),
    variants: Path | None = None,
    export_clips: bool = False,
    machines: MachineFlags = MACHINE,
    common: CommonFlags = COMMON,
    settings: PairedFlags = None,
) -> None:
    """Edit rendered people, whose true edit is known.

    What FOLDER holds is not made again; table.md, table.json and sheets/ are made from all of it.

    Parameters
    ----------
    folder
        Folder of the benchmark, for all that it makes.
    pairs
        Pairs, by name; default: all.
    external
        NAME=FOLDER of another project's outputs to score, PAIR.mp4 or PAIR/ with pictures.
    variants
        YAML file of further methods by name: a 'description' and the 'edit' settings that each changes.
    export_clips
        Write exports/PAIR/: source, reference, skeletons and prompts in forms that other projects read.
    """
    from edit_your_motion.benchmark.methods.catalogue import METHODS, choose_methods
    from edit_your_motion.benchmark.methods.external import parse_external
    from edit_your_motion.benchmark.methods.variants import load_variants
    from edit_your_motion.benchmark.paired.pairs import PAIRS, choose_pairs
    from edit_your_motion.benchmark.paired.run import run_paired
    from edit_your_motion.benchmark.paired.summary import format_summary, summarise, write_sheets, write_summary

    resolved = common.resolve(PairedConfig, settings)
    progress = common.open_progress()
    others, choices = parse_external(external), choose_pairs(pairs or PAIRS)
    varied = load_variants(variants) if variants is not None else ()
    chosen = choose_methods(methods or (() if export_clips or others or varied else METHODS)) + varied
    failures = run_paired(
        folder,
        resolved,
        progress,
        methods=chosen,
        pairs=choices,
        external=others,
        export=export_clips,
        executor=machines.open_if_asked(folder),
    )
    text = None
    if any(folder.glob("*/*/scores.json")):
        summary = summarise(folder)
        write_summary(folder, summary)
        write_sheets(folder)
        text = format_summary(summary)
    finish(None if common.quiet else text, failures)
