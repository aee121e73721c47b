"""sparsenas export: the winner of a run as a model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sparsenas import files, native
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console
from sparsenas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Writes the winner of a run, or its dense twin, as a model file.

    Attributes:
        run: the run's folder.
        out: the file to write.
        format: `snas`, the file of the native runtime.
        dense: the dense twin instead of the winner.
        force: replace an existing file.
    """

    run: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("model.snas")
    format: Literal["snas"] = "snas"
    dense: bool = False
    force: bool = False


def main(args: list[str]) -> None:
    options = parse(Options, args, command="export")
    source = options.run / "best" / ("dense.snas" if options.dense else "model.snas")
    if not source.is_file():
        raise UserError(f"Expected a finished run in {str(options.run)!r}, found no {source}.")
    if options.out.exists() and not options.force:
        raise UserError(
            f"The file {str(options.out)!r} exists; give another --out, or --force to replace it."
        )
    native.Model.open(source)  # A damaged file is said here, not on the device.
    size = files.write(options.out, source.read_bytes())
    console().print(f"Wrote {options.out}, {size / 1e3:.1f} kB")
