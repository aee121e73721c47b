"""sparsenas tune: finds the fastest form of every layer of a model file on this machine."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from sparsenas import files, native
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError

FORMS = ("dense", "unstructured", "2x1", "4x1", "2:4", "pattern")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Times every layer of a model file in each form that its zeros allow, and keeps the fastest.

    Attributes:
        model: a .snas file.
        out: where to write the model with what was found and its weights packed for this machine; nothing is
            written if left out.
        threads: how many the network is to run with.
        force: write `out` even where there is such a file.
    """

    model: Annotated[Path, tyro.conf.Positional]
    out: Path | None = None
    threads: int = 1
    force: bool = False


def main(args: list[str]) -> None:
    options = parse(Options, args, command="tune")
    out = options.out
    if out is not None and out.exists() and not options.force:
        raise UserError(f"{str(out)!r} is there already; choose another name, or give --force.")
    terminal = console()
    # Several threads run wherever this process may.
    place = native.pinned() if options.threads == 1 else contextlib.nullcontext()
    with place, TerminalProgress(terminal).stage("trying forms") as update:
        data, layers = native.tune(options.model, threads=options.threads, progress=update)
    terminal.print(_table(options, layers))
    if out is not None:
        size = files.write(out, data)
        terminal.print(f"Wrote {out}, {size / 1e6:.2f} MB.", markup=False)


def _table(options: Options, layers: Sequence[native.TunedLayer]) -> Table:
    """One row for each layer that mixes channels, one column for each form that was tried with some."""
    forms = [form for form in FORMS if any(form in layer.us for layer in layers)]
    rows = [
        (layer.name, *(f"{layer.us[form]:.1f}" if form in layer.us else "" for form in forms), layer.note)
        for layer in layers
        if layer.note
    ]
    machine = native.cpu()
    threads = f"{options.threads} thread{'s' * (options.threads > 1)}"
    title = f"{options.model} on {machine['cpu']}, {machine['isa']}, {threads}: microseconds"
    return table(title, ("layer", *forms, "choice"), rows)
