"""sparsenas measure: a latency table of a device."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas.backends.modelled import PREFIX, modelled_table
from sparsenas.backends.open import DeviceSettings, open_device
from sparsenas.cli.lookup import DRAWN, find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console
from sparsenas.errors import UserError
from sparsenas.latency import campaign
from sparsenas.latency.check import checked
from sparsenas.latency.design import Design, full, of_space, quick
from sparsenas.latency.devices import check_writable
from sparsenas.latency.journal import journal_path
from sparsenas.latency.library import LOCAL, local_table_path
from sparsenas.latency.table import Table, save


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures layers and whole networks on a device and writes a latency table.

    What is interrupted, by Ctrl-C or a lost connection, goes on with the same command: until the table is
    complete, what is measured so far lies beside it, in FILE.part.

    Attributes:
        device: local, ssh://[USER@]HOST[:PORT], adb://SERIAL, node, browser, ray://NAME or modelled:CORE
            with cortex-a55, cortex-a72 or cortex-a76.
        quick: 90 seconds instead of 10 minutes on a fast core.
        space: only the layers of these spaces, and a few of their networks: names, or Python files that
            define SPACE.
        side: with --space, pixels of the image's side; the spaces' usual ones if left out.
        out: the table's file. Left out, it becomes this machine's own table in the cache folder.
        force: replace an existing file.
        threads: measure a part with so many threads as well.
        rounds: visits of each model; those of the design where left out.
        networks: with --space, how many whole networks are measured.
        seed: of what is drawn at random.
    """

    device: str = LOCAL
    quick: bool = False
    space: tuple[str, ...] = ()
    side: int | None = None
    out: Path | None = None
    force: bool = False
    threads: int = 1
    rounds: int | None = None
    networks: int = 24
    seed: int = 0
    settings: Annotated[DeviceSettings, tyro.conf.arg(name="")] = field(default_factory=DeviceSettings)


def main(args: list[str]) -> None:
    options = parse(Options, args, command="measure")
    path = _path(options)
    check_writable(path.parent)
    design = _design(options)
    terminal = console()
    with TerminalProgress(terminal).stage(f"Measure {design.name} on {options.device}") as update:
        if options.device.startswith(PREFIX):
            table = modelled_table(options.device, design, journal=journal_path(path), report=update)
        else:
            device = open_device(options.device, options.settings, threads=max(design.threads))
            with device:
                table = campaign.run(
                    design, device, journal=journal_path(path), seed=options.seed, report=update
                )
    if options.out is not None:
        table = replace(table, device=path.stem)
    table = checked(table)
    save(table, path)
    journal_path(path).unlink(missing_ok=True)
    for line in _summary(table):
        terminal.print(line)
    terminal.print(f"Wrote {path}")


def _path(options: Options) -> Path:
    if options.out is None and options.device != LOCAL:
        raise UserError(f"Give the table of {options.device!r} a file: --out NAME.json.")
    path = options.out or local_table_path()
    if options.out is not None and path.exists() and not options.force:
        raise UserError(f"The file {str(path)!r} exists; give another --out, or --force to replace it.")
    return path


def _design(options: Options) -> Design:
    if options.rounds is not None and options.rounds < 1:
        raise UserError(f"`rounds` must be at least 1, found {options.rounds}.")
    threads = (1,) if options.threads == 1 else (1, options.threads)
    if options.side is not None and not options.space:
        raise UserError("`--side` is the side of a space's images; give --space with it.")
    if options.space:
        designs = [
            of_space(
                find_space(name, options.side),
                seed=options.seed,
                networks=options.networks,
                rounds=40,
                threads=threads,
            )
            for name in options.space
        ]
        chosen = replace(
            designs[0],
            name=", ".join(one.name for one in designs),
            layers=tuple(dict.fromkeys(layer for one in designs for layer in one.layers)),
            networks=tuple(network for one in designs for network in one.networks),
        )
    else:
        make = quick if options.quick else full
        chosen = make([find_space(name) for name in DRAWN], seed=options.seed, threads=threads)
    return chosen if options.rounds is None else replace(chosen, rounds=options.rounds)


def _summary(table: Table) -> list[str]:
    how = table.how
    lines = [
        f"{len(table.layers)} layers and {len(table.networks)} networks to learn from and to test with, "
        f"{len(table.held_out_layers)} layers to test with, {table.kind}: {table.machine['cpu']}, "
        f"{table.machine['isa']}."
    ]
    if "drift" in how:
        drift = how["drift"]
        lines.append(
            f"The reference kernel took {drift['reference_us']:.2f} us, {drift['last_to_first'] - 1:+.1%} "
            f"from first to last; {how['measured_again']} measured again, {how['still_noisy']} still noisy."
        )
    if "mape" in table.error:
        error = table.error
        lines.append(
            f"Predictions of the {error['networks']} networks that no model learns from are "
            f"{error['mape']:.1%} off, {error['within_10_percent']:.0%} of them within 10 %."
        )
    return lines
