"""sparsenas search: the whole path from images to a model file."""

import dataclasses
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import tyro

from sparsenas.baselines import FILE as BASELINES
from sparsenas.baselines import Baseline, read_baselines
from sparsenas.cli.lookup import find_experiment, find_space, find_strategy
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.cluster.join import check_reachable
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.errors import UserError
from sparsenas.pipeline import run
from sparsenas.report.summary import Summary
from sparsenas.run_folder import load_settings, open_run
from sparsenas.search_settings import SearchSettings
from sparsenas.strategies.catalog import Factory
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE


@dataclass(frozen=True, kw_only=True)
class Options:
    """Finds a sparse network that is accurate on your images and fast on this machine.

    Without options: the space `tiny` on scikit-learn's handwritten digits, in about three minutes.

    Attributes:
        experiment: start from the settings of an experiment, by name or as a Python file that defines
            EXPERIMENT; other options change them.
        out: the run's folder; a new one under runs/ if left out.
        resume: go on with this run, which was stopped, here or on another machine or cluster; its own
            settings count, and what is given beside must be the same.
    """

    settings: Annotated[SearchSettings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchSettings
    )
    experiment: str | None = None
    out: Path | None = None
    resume: Path | None = None
    cluster: Annotated[ClusterSettings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=ClusterSettings
    )


def main(args: list[str]) -> None:
    options = parse(Options, args, command="search")
    if options.experiment is not None:
        default = Options(settings=find_experiment(options.experiment))
        options = parse(Options, args, command="search", default=default)
    if options.cluster.workers != 0:
        check_reachable(options.cluster)
    terminal = console()
    if options.resume is not None:
        if options.out is not None:
            raise UserError("A resumed run stays in its folder; give --resume without --out.")
        folder, settings = options.resume, load_settings(options.resume)
        _check_unchanged(folder, settings, asked=options.settings, given=_given(args))
        space, strategy = find_space(settings.space, settings.side), _factory(settings)
    else:
        settings = options.settings
        space, strategy = find_space(settings.space, settings.side), _factory(settings)
        folder = options.out or _new_folder(settings, space.name)
        open_run(folder, settings)
    terminal.print(f"Run folder {folder}")
    try:
        summary = run(
            settings,
            space,
            folder,
            strategy=strategy,
            workers=options.cluster.workers,
            cluster=options.cluster,
            command=shlex.join(["sparsenas", "search", *args]),
            progress=TerminalProgress(terminal),
        )
    except KeyboardInterrupt:
        terminal.print(f"Stopped. Go on with: sparsenas search --resume {folder}")
        raise
    terminal.print(results(summary))
    if (folder / BASELINES).exists():
        terminal.print(compared(*read_baselines(folder / BASELINES)))
    terminal.print(f"Next: sparsenas profile {folder}/best/model.snas, or open {folder}/report.html")


def results(summary: Summary):
    """Returns the table of the dense twin against the found network."""
    return table(
        f"Found {summary.arch} in space {summary.space}: target {summary.target_latency_ms:.4f} ms, "
        f"difference from JAX {summary.parity_max_abs_error:.1e}",
        ("", "dense twin", "found", "ratio"),
        (
            (
                "test accuracy",
                f"{summary.dense_accuracy:.2%}",
                f"{summary.accuracy:.2%}",
                f"{100 * (summary.accuracy - summary.dense_accuracy):+.2f} points",
            ),
            (
                "latency, measured",
                f"{summary.dense_latency_ms_measured:.4f} ms",
                f"{summary.latency_ms_measured:.4f} ms",
                f"{summary.speedup:.2f}x faster",
            ),
            (
                "latency, predicted",
                "",
                f"{summary.latency_ms_predicted:.4f} ms",
                f"{summary.latency_ms_predicted / summary.latency_ms_measured - 1:+.1%} off",
            ),
            (
                "model file",
                f"{summary.dense_file_bytes / 1e3:.1f} kB",
                f"{summary.file_bytes / 1e3:.1f} kB",
                f"{summary.dense_file_bytes / summary.file_bytes:.2f}x smaller",
            ),
        ),
    )


def compared(winner: Baseline, baselines: Sequence[Baseline]):
    """Returns the table of the found network among those with one sparsity in all layers."""
    rows = [
        (
            one.name,
            one.arch,
            f"{one.accuracy:.2%}",
            f"{100 * (winner.accuracy - one.accuracy):+.2f}",
            f"{one.latency_ms_measured:.4f}",
            f"{one.latency_ms_measured / winner.latency_ms_measured:.2f}x",
        )
        for one in (winner, *baselines)
    ]
    columns = (
        "sparsity", "network", "test accuracy", "found one, points", "measured ms", "of the found one",
    )  # fmt: skip
    return table("Among networks with one sparsity in all layers, trained alike", columns, rows)


def _check_unchanged(
    folder: Path, settings: SearchSettings, *, asked: SearchSettings, given: set[str]
) -> None:
    """Raises `UserError` where options ask for another experiment than the run's.

    Args:
        given: names of options, which count also where they ask for what is usual.
    """
    ours, theirs, usual = (_flat(dataclasses.asdict(one)) for one in (settings, asked, SearchSettings()))
    differing = [
        f"--{name.replace('_', '-')} is {json.dumps(ours[name])} there, {json.dumps(value)} here"
        for name, value in theirs.items()
        if (value != usual[name] or name in given) and value != ours[name]
    ]
    if differing:
        raise UserError(
            f"The run {str(folder)!r} is another experiment: {'; '.join(differing)}. Leave these "
            "options out, or start a new run with --out."
        )


def _given(args: list[str]) -> set[str]:
    """Returns the names of settings that options are given for.

    >>> sorted(_given(["--candidate.steps", "20", "--target_ms=3", "--no-busy"]))
    ['busy', 'candidate.steps', 'no_busy', 'target_ms']
    """
    names = {
        arg.removeprefix("--").partition("=")[0].replace("-", "_") for arg in args if arg.startswith("--")
    }
    return names | {re.sub(r"(^|\.)no_(?=[^.]*$)", r"\1", name) for name in names}


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _factory(settings: SearchSettings) -> Factory | None:
    return None if settings.strategy in DIFFERENTIABLE else find_strategy(settings.strategy)


def _new_folder(settings: SearchSettings, space: str) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    dataset = Path(settings.dataset).name.split(".")[0]
    return Path("runs") / f"{space}-{dataset}-{stamp}"
