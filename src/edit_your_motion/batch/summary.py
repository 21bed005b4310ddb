"""What a batch has come to: a table of its rows as CSV and JSON, and a page of their sheets."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from typing import Any
from urllib.parse import quote

from edit_your_motion.batch.row_task import EDITS, FAILED, is_done
from edit_your_motion.batch.rows import Row
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.stores import Store

COLUMNS = ("name", "state", "source", "reference", "prompt", "person", "folder", "seconds", "error")
"""Of the table; a column for each score follows."""


@dataclass(frozen=True)
class Result:
    """What there is of a row.

    Args:
        name: of the row.
        state: done, failed, or missing.
        source: as the manifest names it.
        reference: likewise; empty where only keypoints are given.
        prompt: of the source.
        person: names who was tuned.
        folder: of the edit, in the batch's own.
        seconds: that the edit took, without its tuning; None where it is not there.
        scores: of the edit, by name.
        warnings: of its run.
        error: why it failed; empty where it did not.
    """

    name: str
    state: str
    source: str
    reference: str
    prompt: str
    person: str
    folder: str
    seconds: float | None
    scores: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    error: str = ""


def gather_results(rows: Sequence[Row], store: Store) -> list[Result]:
    """What there is of each row, in the manifest's order."""
    return [_gather(row, store) for row in rows]


def _gather(row: Row, store: Store) -> Result:
    folder = f"{EDITS}/{row.name}"
    record: dict[str, Any] = {}
    done = row.error is None and is_done(store, row)
    failed = {} if done else _read(store, f"{folder}/{FAILED}")
    if done:
        record = _read(store, f"{folder}/run.json")
    seconds, scores, warnings = _read_record(record) if done else (None, {}, ())
    return Result(
        name=row.name,
        state="done" if done else "failed" if failed else "missing",
        source=row.files.get("source.path", ""),
        reference=row.files.get("reference.path", ""),
        prompt=row.prompt,
        person=row.person,
        folder=folder,
        seconds=seconds,
        scores=scores,
        warnings=warnings,
        error=str(failed.get("error", "")),
    )


def _read_record(record: Mapping[str, Any]) -> tuple[float | None, dict[str, float], tuple[str, ...]]:
    """The seconds, the scores and the warnings of an edit; where its record is damaged, a warning of that."""
    try:
        seconds = round(sum(float(phase["seconds"]) for phase in dict(record["phases"]).values()), 1)
        edited = dict(record.get("scores", {})).get("edited", {})
        scores = {name: float(value) for name, value in dict(edited).items() if value is not None}
        return float(seconds), scores, tuple(str(warning) for warning in record.get("warnings", ()))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None, {}, ("run.json of this edit is damaged: remove it to have the edit made once more",)


def _read(store: Store, name: str) -> dict[str, Any]:
    """A document of a row; nothing where it is not there, or damaged."""
    content = store.read(name)
    try:
        document = parse_json(content.decode()) if content is not None else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def write_summary(results: Sequence[Result], store: Store) -> None:
    """Writes ``summary.csv``, ``summary.json`` and ``index.html``."""
    store.write("summary.csv", _to_csv(results).encode())
    document = [asdict(result) for result in results]
    store.write("summary.json", json.dumps(document, indent=1, ensure_ascii=False).encode())
    store.write("index.html", to_page(results).encode())


def _to_csv(results: Sequence[Result]) -> str:
    metrics = _list_metrics(results)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *metrics])
    for result in results:
        own = [_plain(getattr(result, column)) for column in COLUMNS]
        writer.writerow([*own, *(result.scores.get(metric, "") for metric in metrics)])
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A cell that a spreadsheet takes for no formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _list_metrics(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(metric for result in results for metric in result.scores))


_STYLE = """
body{margin:0 auto;max-width:80rem;padding:2rem 1.25rem 4rem;color:#1d2733;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}.scroll{overflow-x:auto}
th,td{padding:.3rem .7rem;text-align:left;border-bottom:1px solid #dfe4ea;vertical-align:top}
a{color:#0b5394}figure{margin:2rem 0}figcaption{font-size:.9rem}img{max-width:100%;height:auto}
.failed,.missing{color:#b45309}small{color:#6b7785;display:block}
"""


def to_page(results: Sequence[Result]) -> str:
    """The sheets of all edits with their scores, as one page that needs nothing but the batch's folder."""
    metrics = _list_metrics(results)
    counts = [(state, sum(result.state == state for result in results)) for state in ("done", "failed", "missing")]
    said = ", ".join(f"{count} {state}" for state, count in counts if count)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("row", "state", "seconds", *metrics))
    lines = "".join(_to_line(result, metrics) for result in results)
    figures = "".join(_to_figure(result) for result in results if result.state == "done")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Batch</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>\n<h1>Batch</h1><p>{said}</p>\n'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{lines}</tbody></table></div>\n'
        f"{figures}</html>\n"
    )


def _to_line(result: Result, metrics: Sequence[str]) -> str:
    scores = "".join(
        f"<td>{result.scores[metric]:.4g}</td>" if metric in result.scores else "<td></td>" for metric in metrics
    )
    name = escape(result.name)
    name = f'<a href="#{quote(result.name)}">{name}</a>' if result.state == "done" else name
    told = f"<small>{escape(result.error)}</small>" if result.error else ""
    seconds = "" if result.seconds is None else f"{result.seconds:g}"
    return f'<tr><td>{name}{told}</td><td class="{result.state}">{result.state}</td><td>{seconds}</td>{scores}</tr>\n'


def _to_figure(result: Result) -> str:
    place = quote(result.folder)
    told = "".join(f"<small>{escape(warning)}</small>" for warning in result.warnings)
    return (
        f'<figure id="{escape(result.name, quote=True)}"><figcaption><b>{escape(result.name)}</b> '
        f'<a href="{place}/edited.mp4">edit</a> <a href="{place}/comparison.mp4">comparison</a> '
        f'<a href="{place}/run.json">record</a><small>{escape(result.prompt)}</small>{told}</figcaption>'
        f'<img loading="lazy" src="{place}/sheet.png" alt="Source, reference, skeleton and edit of '
        f'{escape(result.name, quote=True)}"></figure>\n'
    )
