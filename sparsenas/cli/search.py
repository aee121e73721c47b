"""sparsenas search: the whole path from images to a model file."""

import dataclasses
import os
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sparsenas.cli.lookup import find_experiment, find_space, find_strategy
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.pipeline import SearchSettings, load_settings, open_run, run
from sparsenas.report.summary import Summary


@dataclass(frozen=True, kw_only=True)
class Options:
    """Finds a sparse network that is accurate on your images and fast on this machine.

    Without options: the space `tiny` on scikit-learn's handwritten digits, in about three minutes.

    Attributes:
        experiment: start from the settings of an experiment, by name or as a Python file that defines
            EXPERIMENT; other options change them.
        out: the run's folder; a new one under runs/ if left out.
        resume: go on with this run, which was stopped; its own settings count.
        workers: networks trained at once: a number, or one per core. 0 trains in this process, without Ray.
    """

    settings: Annotated[SearchSettings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchSettings
    )
    experiment: str | None = None
    out: Path | None = None
    resume: Path | None = None
    workers: int | Literal["auto"] = "auto"


def main(args: list[str]) -> None:
    options = parse(Options, args, command="search")
    if options.experiment is not None:
        default = Options(settings=find_experiment(options.experiment))
        options = parse(Options, args, command="search", default=default)
    terminal = console()
    if options.resume is not None:
        if options.settings != SearchSettings() or options.out is not None:
            raise UserError("A resumed run keeps its own settings; give --resume with --workers only.")
        folder, settings = options.resume, load_settings(options.resume)
        space, strategy = find_space(settings.space, settings.side), find_strategy(settings.strategy)
    else:
        settings = options.settings
        space, strategy = find_space(settings.space, settings.side), find_strategy(settings.strategy)
        folder = options.out or _new_folder(settings, space.name)
        open_run(folder, settings)
    terminal.print(f"Run folder {folder}")
    try:
        summary = run(
            settings,
            space,
            folder,
            strategy=strategy,
            workers=_cores() if options.workers == "auto" else options.workers,
            command=shlex.join(["sparsenas", "search", *args]),
            progress=TerminalProgress(terminal),
        )
    except KeyboardInterrupt:
        terminal.print(f"Stopped. Go on with: sparsenas search --resume {folder}")
        raise
    terminal.print(results(summary))
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _new_folder(settings: SearchSettings, space: str) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    dataset = Path(settings.dataset).name.split(".")[0]
    return Path("runs") / f"{space}-{dataset}-{stamp}"
