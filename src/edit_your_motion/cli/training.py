"""The command that trains a small base: pretrain."""

from pathlib import Path

from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import PretrainFlags, resolve
from edit_your_motion.pretrain.config import PretrainConfig


def pretrain(
    folder: Path,
    /,
    *,
    export: Path | None = None,
    config: Path | None = None,
    quiet: bool = False,
    verbose: bool = False,
    settings: PretrainFlags = None,
) -> None:
    """Train a small base and its ControlNet on synthetic people, going on from what FOLDER holds.

    Stop it at any time with Ctrl-C; the same command goes on. FOLDER gets pictures, checkpoints, logs, sample sheets.

    Parameters
    ----------
    folder
        Of the training.
    export
        Folder for base/ and controlnet/ in half precision; alone, with a training that is there, it only exports.
    config
        YAML file with settings; flags win over it.
    quiet
        Say nothing but errors.
    verbose
        Say more.
    """
    resolved = resolve(PretrainConfig, config, settings)
    from edit_your_motion import pretrain as training
    from edit_your_motion.cli.progress import set_up_output

    progress = set_up_output(quiet=quiet, verbose=verbose)
    if export is None or settings is not None or config is not None:
        training.pretrain(resolved, folder, progress)
    if export is not None:
        training.export(folder, export)
        if not quiet:
            show(f"eym edit --base {export / 'base'} --controlnet {export / 'controlnet'} ...")
