"""All data sets by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from edit_your_motion.datasets.case import CaseList
from edit_your_motion.datasets.choice import choose
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.motion_editor import read_motion_editor
from edit_your_motion.datasets.paired_folder import read_paired
from edit_your_motion.datasets.tiktok import read_tiktok
from edit_your_motion.datasets.wild import read_wild

Reader: TypeAlias = Callable[[Path, CasesConfig], CaseList]

DATASETS: Mapping[str, Reader] = MappingProxyType(
    {"tiktok": read_tiktok, "wild": read_wild, "cases": read_motion_editor, "paired": read_paired}
)
"""What reads each layout."""


def open_dataset(name: str, folder: Path, config: CasesConfig) -> CaseList:
    """The cases of a data set; every file is seen to be there, and none is read yet.

    Args:
        name: one of `DATASETS`.
        folder: where the data set lies.
        config: how cases are cut out of it.

    Raises:
        ConfigError: no such data set, or no such split.
        InputError: something is missing or damaged; names the file.
    """
    (read,) = choose(DATASETS, [name], "data sets")
    return read(folder, config)


def choose_cases(dataset: CaseList, names: tuple[str, ...]) -> CaseList:
    """The data set with only the cases of these names, in this order; all of them without names.

    Raises:
        ConfigError: there is no case of a name.
    """
    if not names:
        return dataset
    cases = choose({case.name: case for case in dataset.cases}, names, "cases")
    return CaseList(dataset.name, dataset.split, cases)
