"""sparsenas trials: the log of trials of a run."""

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sparsenas import files
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError
from sparsenas.trial_list import COLUMNS, Listing, Row, list_trials

_ROWS = 20


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
    exports = options.csv is not None or options.json is not None
    found = list_trials(
        options.run / "trials.sqlite",
        state=options.state,
        node=options.node,
        rung=options.rung,
        sort=options.sort,
        limit=options.limit or (None if exports else _ROWS),
    )
    metrics = tuple(dict.fromkeys(name for row in found.rows for name in row.trial.metrics or ()))
    records = [_record(row, metrics) for row in found.rows]
    if options.csv is not None:
        _write(options.csv, _csv(records, metrics))
    if options.json is not None:
        _write(options.json, json.dumps(records, indent=1) + "\n")
    if not exports:
        _show(options, found, records, metrics)


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
    return dict(zip(COLUMNS, values, strict=True)) | {name: found.get(name) for name in metrics}


def _csv(records: list[dict[str, Any]], metrics: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, *metrics), lineterminator="\n")
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
    found: Listing,
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
    counted = ", ".join(f"{count} {state}" for state, count in found.states.items())
    shown = f"; {len(records)} of {found.chosen} rows shown" if len(records) < found.chosen else ""
    terminal.print(f"{sum(found.states.values())} trials: {counted}{shown}", markup=False)
    for record in records:
        if record["error"]:
            terminal.print(f"{record['number']}: {record['error']}", markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
