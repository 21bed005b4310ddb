"""The one command that fills a gap in the tables."""

from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from edit_your_motion.benchmark.methods.catalogue import METHODS
from edit_your_motion.benchmark.tables.ablation import DECISIONS, PARTS
from edit_your_motion.benchmark.tables.further_scores import EVALUATION
from edit_your_motion.benchmark.tables.measured import Kind, Measured

NETWORKS = {"ta": "clip", "tc": "clip", "fvd": "i3d", "fid_vid": "resnet3d"}
"""The network that a metric needs, as the settings name it."""


def fill_table(kind: Kind, folder: Path | str = "FOLDER") -> str:
    """What measures on such data."""
    if kind == "sweep":
        return f"eym sweep {quote(str(folder))}"
    if kind == "paired":
        return f"eym benchmark paired {quote(str(folder))}"
    return f"eym benchmark {kind} {quote(str(folder))} --data DATA"


def fill_row(measured: Measured, method: str) -> str:
    """What adds a method to a benchmark's folder."""
    known = METHODS.get(method)
    if measured.kind == "paired" and method in (*PARTS, *DECISIONS):
        command = f"eym ablate {quote(str(measured.folder))}"
    else:
        command = fill_table(measured.kind, measured.folder)
        command += f" --methods {method}" if known else f" --external {quote(method)}=OUTPUTS"
    return f"{command} --edit.model.motion-adapter ADAPTER" if known and known.motion_adapter else command


def fill_scores(measured: Measured, method: str, metrics: Iterable[str]) -> str:
    """What adds metrics to a method's row; of the paired benchmark, whose own scores they are not, by evaluating it."""
    folder = measured.folder
    needed = dict.fromkeys(NETWORKS[metric] for metric in metrics if metric in NETWORKS)
    options = "".join(f" --networks.{name} {name.upper()}" for name in needed)
    if measured.kind in ("paired", "sweep"):
        outputs, data, place = (quote(str(path)) for path in (folder / method, folder, folder / method / EVALUATION))
        return f"eym evaluate {outputs} --dataset paired --data {data} --output {place}{options}"
    return fill_table(measured.kind, folder) + options


def fill_study() -> str:
    """What reports what people have answered."""
    return "eym study report STUDY"
