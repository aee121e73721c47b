"""sparsenas profile: where a model file spends its time."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from sparsenas import native
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Shows the time of every layer of a model file on this machine, its kernel and its share.

    Attributes:
        model: a .snas file.
        repeats: runs to take the median of.
        core: the processor core to run on; the last one if left out.
        threads: how many share each large layer; more than one run wherever this process may.
    """

    model: Annotated[Path, tyro.conf.Positional]
    repeats: int = 300
    core: int | None = None
    threads: int = 1


def main(args: list[str]) -> None:
    options = parse(Options, args, command="profile")
    if options.repeats < 1:
        raise UserError(f"`repeats` must be at least 1, found {options.repeats}.")
    if options.core is not None and options.threads > 1:
        raise UserError(f"`core` is for one thread, found {options.threads}; leave one of the two out.")
    model = native.Model.open(options.model, threads=options.threads)
    place = native.pinned(options.core) if options.threads == 1 else contextlib.nullcontext()
    with place as core:
        whole = float(np.median(model.measure(options.repeats)))
        layers = np.median(model.profile(options.repeats), axis=0)
        peak = native.peak_gflops()
    rows = []
    for record, seconds in zip(model.layers, layers, strict=True):
        gflops = 2 * record.macs / seconds / 1e9
        rows.append(
            (
                record.name,
                record.shape,
                f"{record.zeros:.0%}" if record.zeros else "",
                record.kernel_name,
                f"{seconds * 1e6:.2f}",
                f"{seconds / layers.sum():.1%}",
                f"{gflops:.1f}" if record.macs else "",
                f"{gflops / peak:.0%}" if record.macs else "",
                record.note,
            )
        )
    machine = native.cpu()
    where = f"core {core}" if options.threads == 1 else f"{options.threads} threads"
    terminal = console()
    terminal.print(
        table(
            f"{options.model} on {machine['cpu']}, {machine['isa']}, {where}",
            ("layer", "shape", "zeros", "kernel", "us", "share", "useful GFLOP/s", "of peak", "why"),
            rows,
        )
    )
    if model.tuning:
        terminal.print(f"The file is {model.tuning}.", markup=False)
    terminal.print(
        f"Whole network {whole * 1e3:.4f} ms (median of {options.repeats}), sum of layers "
        f"{layers.sum() * 1e3:.4f} ms, activations {model.arena_bytes / 1e3:.1f} kB at most, "
        f"weights {model.weight_bytes / 1e3:.1f} kB packed, "
        f"peak of one core {peak:.0f} GFLOP/s",
    )
