"""sparsenas bench differentiable: searches by gradient, on a space where every network is known."""

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from sparsenas import files
from sparsenas.bench.differentiable import (
    EVALUATIONS,
    FINALISTS,
    PREDICTOR,
    RANDOM,
    RANKING,
    SETTINGS,
    WITHIN,
    bench_differentiable,
)
from sparsenas.bench.tabular import read_table
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE

NAMES = (*DIFFERENTIABLE, PREDICTOR, RANDOM)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Searches the space `grid` by gradient at several latency targets, and looks what is found up in a table
    of all of its networks.

    Attributes:
        table: made by `sparsenas bench grid`; the one that comes with the package if left out.
        strategy: searches by name; all if left out.
        targets: latencies to search for, spread over the table's.
        seed: of the first search at each target.
        seeds: searches at each target, each with the next seed.
        finalists: networks of a search that are looked up; the best counts.
        evaluations: networks that the predictor evaluates, each by one training.
        steps: of each search by gradient.
        ranking_steps: of the supernet that ranks what lands.
        measure: so many of the networks that were found are also measured on this machine, which should be
            quiet and the one that measured the table.
        json: also write every figure to this file.
    """

    table: Path | None = None
    strategy: tuple[str, ...] = NAMES
    targets: int = 5
    seed: int = 0
    seeds: int = 1
    finalists: int = FINALISTS
    evaluations: int = EVALUATIONS
    steps: int = SETTINGS.steps
    ranking_steps: int = RANKING.steps
    measure: int = 0
    json: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench differentiable")
    for name in ("targets", "seeds", "finalists", "evaluations"):
        if getattr(options, name) < 1:
            raise UserError(f"`--{name}` must be at least 1, found {getattr(options, name)}.")
    if options.seed < 0:
        raise UserError(f"`--seed` must be at least 0, found {options.seed}.")
    for name in options.strategy:
        if name not in NAMES:
            raise UserError(f"No search named {name!r}. There are: {', '.join(NAMES)}.")
    if options.measure < 0:
        raise UserError(f"`--measure` must be at least 0, found {options.measure}.")
    if not options.strategy:
        raise UserError(f"`--strategy` needs a name. There are: {', '.join(NAMES)}.")
    terminal = console()
    with TerminalProgress(terminal).stage("Search") as update:
        result = bench_differentiable(
            find_space("grid"),
            read_table(options.table or _own_table()),
            strategies=options.strategy,
            targets=options.targets,
            seed=options.seed,
            seeds=options.seeds,
            finalists=options.finalists,
            settings=replace(SETTINGS, steps=options.steps),
            ranking=replace(RANKING, steps=options.ranking_steps),
            evaluations=options.evaluations,
            measure=options.measure,
            report=update,
        )
    rows = [
        (
            one["strategy"],
            f"{one['target_ms']:.4f}",
            f"{one['latency_ms'] / one['target_ms']:.1%}",
            f"{one['accuracy']:.2%}",
            f"{one['best_accuracy']:.2%}",
            f"{one['regret']:.2f}",
            f"{one['first_regret']:.2f}",
            one["collapsed"] or "-",
        )
        for one in result["records"]
    ]
    columns = (
        "search", "target, ms", "of the target", "accuracy", "best there is", "regret, points",
        "of the first finalist", "collapsed",
    )  # fmt: skip
    terminal.print(table(f"Searches of {result['records'][0]['table']}", columns, rows))
    rows = [
        (
            one["strategy"],
            *(f"{one[name]:.2f}" for name in ("regret_mean", "regret_max", "first_regret_mean")),
        )
        for one in result["summary"]
    ]
    terminal.print(
        table("Regret in points", ("search", "mean", "largest", "mean of the first finalist"), rows)
    )
    if result["measured"]:
        rows = [
            (
                one["arch"],
                f"{one['target_ms']:.4f}",
                f"{one['table_ms']:.4f}",
                f"{one['measured_ms']:.4f}",
                f"{one['measured_ms'] / one['table_ms'] - 1:+.1%}",
                f"{one['measured_ms'] / one['target_ms']:.1%}",
            )
            for one in result["measured"]
        ]
        columns = ("network", "target, ms", "table, ms", "measured, ms", "off", "of the target")
        met = sum(one["within_target"] for one in result["measured"])
        title = f"{met} of {len(rows)} measured within {WITHIN:.0%} over their target"
        terminal.print(table(title, columns, rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _own_table() -> Path:
    """Returns the table that comes with the package."""
    return Path(importlib.import_module("sparsenas.experiments").__path__[0]) / "grid.json"
