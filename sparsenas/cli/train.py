"""sparsenas train: one architecture alone."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.single import TrainSettings, TrainSummary, load_run, load_trained, open_run, run
from sparsenas.space import Arch, Space


@dataclass(frozen=True, kw_only=True)
class Options:
    """Trains one architecture of a space alone, with its zeros or with others, and writes its model file.

    Attributes:
        arch: option indices joined by '-', as `sparsenas search` prints them; the name of a reference network
            of the space; `largest`, `smallest`; or `dense`, the largest without zeros.
        out: the run's folder; a new one under runs/ if left out.
        resume: go on with this run, which was stopped; its own settings count.
    """

    arch: Annotated[str | None, tyro.conf.Positional] = None
    settings: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)
    out: Path | None = None
    resume: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="train")
    if options.resume is not None:
        if options.settings != TrainSettings() or options.out is not None or options.arch is not None:
            raise UserError("A resumed run keeps its own settings; give --resume alone.")
        folder = options.resume
        settings, text = load_run(folder)
    else:
        settings, text = options.settings, options.arch
        if text is None:
            raise UserError("Expected an architecture to train, such as: sparsenas train largest")
        if text == "dense":
            settings = replace(settings, dense=True)
        folder = options.out
    space = find_space(settings.space)
    arch = _architecture(space, text)
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


def _architecture(space: Space, text: str) -> Arch:
    """Returns the architecture that a name or option indices mean."""
    named = {"largest": space.largest, "dense": space.largest, "smallest": space.smallest, **space.references}
    if text in named:
        return space.check(named[text])
    try:
        return space.parse(text)
    except UserError as error:
        raise UserError(f"{error} Names of space {space.name!r} are {', '.join(named)}.") from None


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
