"""sparsenas bench training: training steps beside PyTorch's."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from sparsenas import files
from sparsenas.bench.training import bench_training
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import Counts, parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.space import Layer

Network = Literal["tiny", "mobilenet_v2"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures training steps on this machine's processor: of networks, and of what they consist of, in this
    package and in PyTorch, which `make peers` installs.

    Attributes:
        network: only these networks: the largest one of the space `tiny`, and MobileNet v2.
        batch: images of a step.
        threads: counts of threads, such as `2` or `1,2`; as many as there are cores if left out.
        core: the last processor core to run on; the machine's last one if left out.
        rounds: visits of 20 steps each; a time is the median over them.
        torch: measure PyTorch too.
        primitives: measure single primitives too.
        json: also write every figure to this file.
    """

    network: tuple[Network, ...] = ("tiny", "mobilenet_v2")
    batch: int = 128
    threads: Counts = ()
    core: int | None = None
    rounds: int = 5
    torch: bool = True
    primitives: bool = True
    json: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench training")
    for name in ("batch", "rounds"):
        if getattr(options, name) < 1:
            raise UserError(f"`--{name}` must be at least 1, found {getattr(options, name)}.")
    if not options.network:
        raise UserError("`--network` must name at least one, found none.")
    terminal = console()
    with TerminalProgress(terminal).stage("Measure training steps") as update:
        result = bench_training(
            {name: _layers(name) for name in options.network},
            batch=options.batch,
            threads=options.threads,
            core=options.core,
            rounds=options.rounds,
            torch=options.torch,
            primitives=options.primitives,
            report=update,
            note=lambda line: terminal.print(line, markup=False),
        )
    terminal.print(_steps(result, options))
    if result["primitives"]:
        terminal.print(_primitives(result))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _layers(name: Network) -> tuple[Layer, ...]:
    space = find_space(name, 32).with_classes(10)
    return space.layers(space.references["1.0"] if name == "mobilenet_v2" else space.largest)


def _steps(result: dict[str, Any], options: Options) -> Table:
    def cells(record: dict[str, Any]) -> tuple[str, ...]:
        step, torch = record["jax_step_ms"], record["torch_step_ms"]
        return (
            record["network"],
            str(record["threads"]),
            f"{step:.1f}",
            "-" if torch is None else f"{torch:.1f}",
            "-" if torch is None else f"{step / torch:.2f}",
            f"{record['forward_ms']:.1f}",
            f"{record['gradient_ms']:.1f}",
            f"{step / record['forward_ms']:.1f}",
        )

    title = f"{result['machine']['cpu']}; milliseconds of a training step, {options.batch} images of 32x32"
    columns = (
        "network",
        "threads",
        "step",
        "PyTorch",
        "of PyTorch's",
        "forward",
        "with gradient",
        "of forward",
    )
    return table(title, columns, [cells(record) for record in result["records"]])


def _primitives(result: dict[str, Any]) -> Table:
    names = ("forward_ms", "xla_forward_ms", "torch_forward_ms")
    names += ("gradient_ms", "xla_gradient_ms", "torch_gradient_ms")

    def cells(part: dict[str, Any]) -> tuple[str, ...]:
        shape = "x".join(map(str, part["shape"]))
        times = ("-" if part[name] is None else f"{part[name]:.2f}" for name in names)
        return part["primitive"], shape, str(part["out"]), str(part["stride"]), str(part["threads"]), *times

    columns = (
        "primitive", "input", "out", "stride", "threads",
        "forward", "XLA", "PyTorch", "gradient", "XLA", "PyTorch",
    )  # fmt: skip
    return table("Milliseconds of primitives", columns, [cells(part) for part in result["primitives"]])
