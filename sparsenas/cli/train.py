"""sparsenas train: one architecture alone."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas import files
from sparsenas.cli.lookup import ALL, find_series, find_space, known_series
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.single.conclusion import TrainSummary
from sparsenas.single.finished import load_trained
from sparsenas.single.run import load_run, open_run, run
from sparsenas.single.series import COLUMNS, Results, conclude, markdown, run_series
from sparsenas.single.settings import TrainSettings, architecture


@dataclass(frozen=True, kw_only=True)
class Options:
    """Trains one architecture of a space alone, with its zeros or with others, and writes its model file.

    Attributes:
        arch: option indices joined by '-', as `sparsenas search` prints them; the name of a reference network
            of the space; `largest`, `smallest`; or `dense`, the largest without zeros.
        out: the run's folder; a new one under runs/ if left out.
        resume: go on with this run, which was stopped; its own settings count.
        series: train all that an experiment compares, by name, `all` of them, or as a Python file that
            defines SERIES, measure the models here and print the table; what --out has already is not done
            again. Only --dataset, --limit and --device change it.
        full: with --series, the trainings of full size, which want a GPU.
    """

    arch: Annotated[str | None, tyro.conf.Positional] = None
    settings: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)
    out: Path | None = None
    resume: Path | None = None
    series: str | None = None
    full: bool = False


def main(args: list[str]) -> None:
    options = parse(Options, args, command="train")
    if options.series is not None:
        _all_series(options)
        return
    if options.full:
        raise UserError("`--full` is for --series.")
    if options.resume is not None:
        if options.settings != TrainSettings() or options.out is not None or options.arch is not None:
            raise UserError("A resumed run keeps its own settings; give --resume alone.")
        folder = options.resume
        settings, text = load_run(folder)
    else:
        settings, text = options.settings, options.arch
        if text is None:
            raise UserError("Expected an architecture to train, such as: sparsenas train largest")
        folder = options.out
    space = find_space(settings.space, settings.side)
    arch, settings = architecture(space, text, settings)
    start, teacher = (
        None if name is None else load_trained(Path(name), find_space)
        for name in (settings.start, settings.teacher)
    )
    if options.resume is None:
        folder = folder or _new_folder(settings, space.name)
        open_run(folder, settings, space.text(arch))
    terminal = console()
    terminal.print(f"Run folder {folder}")
    try:
        summary = run(
            settings, space, arch, folder, start=start, teacher=teacher, progress=TerminalProgress(terminal)
        )
    except KeyboardInterrupt:
        terminal.print(f"Stopped. Go on with: sparsenas train --resume {folder}")
        raise
    terminal.print(_results(summary))
    terminal.print(f"Next: sparsenas profile {folder}/best/model.snas")


def _all_series(options: Options) -> None:
    settings = options.settings
    plain = replace(TrainSettings(), dataset=settings.dataset, limit=settings.limit, device=settings.device)
    if settings != plain or options.arch is not None or options.resume is not None:
        raise UserError(
            "A series has its own settings; give --series with --out, --dataset, --limit, --device and "
            "--full only."
        )
    if options.series != ALL:
        stem = Path(options.series).stem
        _series(
            options, options.series, options.out or Path("runs") / (f"{stem}-full" if options.full else stem)
        )
        return
    folder = options.out or Path("runs")
    found = [f"## {name}\n\n{markdown(_series(options, name, folder / name))}" for name in known_series()]
    files.write(folder / "results.md", "\n".join(found))
    console().print(f"Wrote {folder / 'results.md'}")


def _series(options: Options, name: str, folder: Path) -> Results:
    settings = options.settings
    series = find_series(name, full=options.full)
    terminal = console()
    terminal.print(f"{series.claim} ({series.paper})", markup=False)
    summaries = {}
    try:
        for job, summary in run_series(
            series,
            folder,
            find_space,
            dataset=None if settings.dataset == TrainSettings().dataset else settings.dataset,
            limit=settings.limit,
            device=settings.device,
            progress=TerminalProgress(terminal),
        ):
            summaries[job] = summary
            terminal.print(f"{job}: {summary.accuracy:.2%}")
    except KeyboardInterrupt:
        terminal.print(f"Stopped. The same command goes on; what is done lies in {folder}.")
        raise
    results = conclude(series, summaries, folder)
    terminal.print(table(str(folder / "results.md"), COLUMNS, results.rows()))
    return results


def _results(summary: TrainSummary):
    """Returns the table of what came out."""
    rows = [
        ("test accuracy", f"{summary.accuracy:.2%}"),
        ("validation accuracy", f"{summary.validation_accuracy:.2%}"),
        ("weights left", f"{summary.nonzeros:,} of {summary.weights:,} ({summary.sparsity:.1%} zeros)"),
        ("multiply-adds", f"{summary.macs / 1e6:.2f} M"),
        ("model file", f"{summary.file_bytes / 1e3:.1f} kB"),
        ("training", f"{summary.steps} steps, {summary.train_seconds:.0f} s"),
        ("difference from JAX", f"{summary.parity_max_abs_error:.1e}"),
    ]
    if summary.latency_ms_predicted is not None:
        rows.insert(2, (f"latency, predicted on {summary.device}", f"{summary.latency_ms_predicted:.4f} ms"))
    return table(f"Trained {summary.arch or 'the only network'} of space {summary.space}", ("", ""), rows)


def _new_folder(settings: TrainSettings, space: str) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    dataset = Path(settings.dataset).name.split(".")[0]
    return Path("runs") / f"train-{space}-{dataset}-{stamp}"
