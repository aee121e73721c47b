"""sparsenas trials: the log of trials of a run."""

import csv
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sparsenas import files
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError
from sparsenas.trials import Row, read_rows

# Columns beside the metrics, in this order.
_COLUMNS = ("number", "arch", "rung", "state", "attempts", "node", "seconds", "error", "candidate")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Lists the trials of a run, also while it is running.

    Attributes:
        run: the run's folder.
        state: only trials whose result is known (`done`), that were given up (`failed`), or that are waited
            for (`open`).
        node: only trials whose result came from this node.
        rung: only trials of this rung.
        sort: order by a metric, the largest first, or by a column; by number if left out.
        limit: at most this many rows, 20 if left out; all where --csv or --json is given.
        csv: write the rows to this file, or to the terminal for `-`.
        json: write the rows to this file, or to the terminal for `-`.
    """

    run: Annotated[Path, tyro.conf.Positional]
    state: Literal["done", "failed", "open"] | None = None
    node: str | None = None
    rung: int | None = None
    sort: str | None = None
    limit: int | None = None
    csv: str | None = None
    json: str | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="trials")
    if options.limit is not None and options.limit < 1:
        raise UserError(f"`--limit` must be at least 1, found {options.limit}.")
    found = read_rows(options.run / "trials.sqlite")
    chosen = [
        row
        for row in found
        if options.state in (None, row.trial.state)
        and options.node in (None, row.node)
        and options.rung in (None, row.trial.rung)
    ]
    metrics = tuple(dict.fromkeys(name for row in chosen for name in row.trial.metrics or ()))
    if options.sort is not None:
        chosen = _sorted(chosen, options.sort, metrics)
    exports = options.csv is not None or options.json is not None
    limit = options.limit or (None if exports else 20)
    records = [_record(row, metrics) for row in chosen[:limit]]
    if options.csv is not None:
        _write(options.csv, _csv(records, metrics))
    if options.json is not None:
        _write(options.json, json.dumps(records, indent=1) + "\n")
    if not exports:
        _show(options, found, chosen, records, metrics)


def _sorted(rows: list[Row], by: str, metrics: tuple[str, ...]) -> list[Row]:
    if by not in (*_COLUMNS, *metrics):
        raise UserError(f"No column named {by!r}. There are: {', '.join((*_COLUMNS, *metrics))}.")
    known = [row for row in rows if _record(row, metrics)[by] is not None]
    unknown = [row for row in rows if _record(row, metrics)[by] is None]
    return sorted(known, key=lambda row: _record(row, metrics)[by], reverse=by in metrics) + unknown


def _record(row: Row, metrics: tuple[str, ...]) -> dict[str, Any]:
    trial = row.trial
    values = (
        trial.number,
        trial.arch,
        trial.rung,
        trial.state,
        row.attempts,
        row.node,
        row.seconds,
        trial.error,
        row.candidate,
    )
    found = trial.metrics or {}
    return dict(zip(_COLUMNS, values, strict=True)) | {name: found.get(name) for name in metrics}


def _csv(records: list[dict[str, Any]], metrics: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, (*_COLUMNS, *metrics), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
    else:
        files.write(path, text)


def _show(
    options: Options,
    found: list[Row],
    chosen: list[Row],
    records: list[dict[str, Any]],
    metrics: tuple[str, ...],
) -> None:
    terminal = console()
    columns = ("number", "arch", "rung", "state", "attempts", "node", "seconds", *metrics)
    terminal.print(
        table(
            str(options.run),
            columns,
            [tuple(_cell(record[column]) for column in columns) for record in records],
        )
    )
    states = Counter(row.trial.state for row in found)
    counted = ", ".join(f"{states[state]} {state}" for state in ("done", "failed", "open"))
    shown = f"; {len(records)} of {len(chosen)} rows shown" if len(records) < len(chosen) else ""
    terminal.print(f"{len(found)} trials: {counted}{shown}", markup=False)
    for record in records:
        if record["error"]:
            terminal.print(f"{record['number']}: {record['error']}", markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
