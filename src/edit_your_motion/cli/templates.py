"""The commands that write something to start from: config, tiny."""

import sys
from pathlib import Path

from edit_your_motion.presets import PresetName


def config(*, output: Path | None = None, preset: PresetName = "paper", base: str | None = None) -> None:
    """Print every setting with its default, as a file for --config.

    Parameters
    ----------
    output
        File to write instead of printing.
    preset
        Preset whose settings are printed.
    base
        The base whose recommended settings lie over the preset's.
    """
    from edit_your_motion.config import EditConfig, dump_config
    from edit_your_motion.presets import make_config
    from edit_your_motion.storage.files import write_text

    text = dump_config(make_config(EditConfig, {"model": {"base": base}} if base else {}, preset=preset))
    if output is None:
        sys.stdout.write(text)
        return
    write_text(output, text)


def tiny(folder: Path, /, *, widths: tuple[int, int, int, int] = (32, 64, 64, 64), seed: int = 0) -> None:
    """Make an untrained base and ControlNet, small, to try things out.

    Parameters
    ----------
    folder
        Gets the folders base and controlnet.
    widths
        Channels of the U-Net's four levels, multiples of 32.
    seed
        Seed of the random weights.
    """
    from edit_your_motion.cli.progress import set_up_output
    from edit_your_motion.jobs.overwriting import rewritten
    from edit_your_motion.models.tiny import make_base, make_controlnet
    from edit_your_motion.storage.locking import held

    set_up_output(quiet=False, verbose=False)
    with held(folder), rewritten(folder, ("base", "controlnet")):
        base = make_base(folder / "base", widths=widths, seed=seed)
        make_controlnet(folder / "controlnet", base, seed=seed + 1)
    sys.stdout.write(f"--base {folder / 'base'} --controlnet {folder / 'controlnet'}\n")
