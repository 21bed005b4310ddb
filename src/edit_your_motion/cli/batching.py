"""The command that makes many edits: batch."""

import sys
from pathlib import Path

from edit_your_motion.cli.executors import MACHINE, MachineFlags
from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import EDITING, EditFlags, EditingFlags
from edit_your_motion.config import EditConfig
from edit_your_motion.errors import counted


def batch(
    manifest: Path,
    /,
    *,
    output: str = "batch",
    cache: Path | None = None,
    force: bool = False,
    machines: MachineFlags = MACHINE,
    common: EditingFlags = EDITING,
    settings: EditFlags = None,
) -> None:
    """Make an edit of every row of MANIFEST: CSV, YAML or JSON lines.

    Columns are source, reference, prompt, name, preset, truth, and any setting by its full name; a source or reference
    may be a pattern (clips/*.mp4). What OUTPUT holds already is not made again, each person is tuned once, and a
    failing row stops nothing. OUTPUT then has edits/NAME/, persons/, summary.csv, summary.json and index.html.

    Parameters
    ----------
    manifest
        Table of edits; docs/cluster.md.
    output
        Folder or URL (s3://bucket/folder) for the results.
    cache
        Folder of each machine for what it brings from elsewhere.
    force
        Also make edits of which the skeletons say that nothing good can come.
    """
    from edit_your_motion.batch.manifest import read_manifest
    from edit_your_motion.batch.row_task import Workshop
    from edit_your_motion.batch.rows import plan_rows
    from edit_your_motion.batch.run import run_batch
    from edit_your_motion.batch.summary import gather_results, write_summary
    from edit_your_motion.storage.stores import is_url, open_store

    progress = common.open_progress()
    shared = [values for _, values in common.list_layers(EditConfig, settings)]
    output = output if is_url(output) else str(Path(output).expanduser().absolute())
    rows = plan_rows(read_manifest(manifest), manifest.absolute().parent, shared, common.preset, output)
    workshop = Workshop(output, None if cache is None else cache.absolute(), force, str(manifest.absolute()))
    executor = machines.open(Path("slurm") if is_url(output) else Path(output) / "slurm", "local")
    store = open_store(output)
    try:
        failures = run_batch(rows, workshop, executor, progress)
    except KeyboardInterrupt:  # what has been made can be looked at
        write_summary(gather_results(rows, store), store)
        raise
    write_summary(gather_results(rows, store), store)
    if not common.quiet:
        show(f"{counted(len(rows) - len(failures), 'edit')} of {len(rows)} done: look at {output}/index.html")
    for row in rows:
        if row.name in failures:
            sys.stderr.write(f"{row.name} ({row.where}) failed: {failures[row.name]}\n")
    if failures:
        sys.exit(1)
