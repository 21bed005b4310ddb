"""The paper's Tables II to VI as data, for printing ours beside theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from edit_your_motion.errors import ConfigError
from edit_your_motion.metrics.report import Better


@dataclass(frozen=True)
class PublishedColumn:
    """One column of a published table.

    Args:
        name: key of the column.
        title: as printed.
        better: which direction is better.
        metric: the metric of ours that stands beside it; None: none does (the user study).
        unit: "dB", "%" or "".
    """

    name: str
    title: str
    better: Better
    metric: str | None = None
    unit: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper.

    Args:
        name: its Roman number.
        caption: what it compares.
        data: which clips it was measured on.
        note: what one has to know before comparing with it.
        columns: in the order printed.
        rows: each method's (or setting's) cells in that order; None where none is printed or can be read.
    """

    name: str
    caption: str
    data: str
    note: str
    columns: tuple[PublishedColumn, ...]
    rows: Mapping[str, tuple[float | None, ...]]

    def value(self, row: str, column: str) -> float | None:
        """One cell.

        Raises:
            ConfigError: no such row or column.
        """
        names = [each.name for each in self.columns]
        if row not in self.rows or column not in names:
            raise ConfigError(
                f"Table {self.name} has the rows {', '.join(self.rows)} and the columns {', '.join(names)}; "
                f"got '{row}' and '{column}'"
            )
        return self.rows[row][names.index(column)]


@cache
def load_published() -> Mapping[str, PublishedTable]:
    """The paper's tables by Roman number, II to VI."""
    text = files("edit_your_motion.metrics").joinpath("published.yaml").read_text(encoding="utf-8")
    return MappingProxyType({table["name"]: _read_table(table) for table in yaml.safe_load(text)})


def _read_table(table: dict[str, Any]) -> PublishedTable:
    columns = tuple(PublishedColumn(name, **column) for name, column in table["columns"].items())
    rows = {name: tuple(cells) for name, cells in table["rows"].items()}
    assert all(len(cells) == len(columns) for cells in rows.values())
    return PublishedTable(
        table["name"], table["caption"], table["data"], table["note"], columns, MappingProxyType(rows)
    )
