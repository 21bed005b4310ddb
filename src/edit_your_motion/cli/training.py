"""The command that trains a small base: pretrain."""

from contextlib import nullcontext
from pathlib import Path

from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import COMMON, CommonFlags, PretrainFlags
from edit_your_motion.pretrain.config import PretrainConfig


def pretrain(
    folder: Path,
    /,
    *,
    export: Path | None = None,
    common: CommonFlags = COMMON,
    settings: PretrainFlags = None,
) -> None:
    """Train a small base and its ControlNet on rendered people.

    Stop it with Ctrl-C; the same command goes on. FOLDER gets pictures, checkpoints, logs, sample sheets.

    Parameters
    ----------
    folder
        Folder of the training.
    export
        Folder for base/ and controlnet/ in half precision; alone, it only exports what was trained.
    """
    resolved = common.resolve(PretrainConfig, settings)
    from edit_your_motion import pretrain as training
    from edit_your_motion.jobs.overwriting import rewritten

    progress = common.open_progress()
    with nullcontext() if export is None else rewritten(export.resolve().parent, (export.resolve().name,)):
        if export is None or settings is not None or common.config is not None:
            training.pretrain(resolved, folder, progress)
        if export is not None:
            training.export(folder, export)
    if export is not None and not common.quiet:
        show(f"eym edit --base {export / 'base'} --controlnet {export / 'controlnet'} ...")
