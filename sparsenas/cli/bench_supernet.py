"""sparsenas bench supernet: its cost, and how well it ranks networks."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from sparsenas import files
from sparsenas.bench.supernet import TauSettings, bench_supernet
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.latency.library import cache_folder


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures what a step of a supernet and the evaluation of its networks cost, and trains random networks
    alone to see whether the supernet ranks them alike.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        dataset: `digits`, folders or archives to compare rankings on, as `sparsenas search` takes them; none
            if nothing follows.
        limit: at most this many images of each split.
        architectures: random networks that are trained alone, each with two seeds.
        supernet_steps: steps that the supernet is trained.
        steps: steps that each network alone is trained.
        batch: images of a step.
        folder: keeps what is trained, so that the benchmark can be interrupted.
        json: also write every figure to this file.
        rounds: how often each step takes its turn; a time is the median over turns.
        seed: of architectures and supernet.
    """

    space: str = "tiny"
    dataset: tuple[str, ...] = ("digits",)
    limit: int = 10_000
    architectures: int = TauSettings().architectures
    supernet_steps: int = TauSettings().supernet.steps
    steps: int = TauSettings().network.steps
    batch: int = 64
    folder: Path = Path("runs/bench-supernet")
    json: Path | None = None
    rounds: int = 9
    seed: int = 0


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench supernet")
    for name, least in (
        ("limit", 1), ("architectures", 2), ("supernet_steps", 1), ("steps", 1), ("batch", 1), ("rounds", 1),
    ):  # fmt: skip
        if getattr(options, name) < least:
            raise UserError(
                f"`--{name.replace('_', '-')}` must be at least {least}, found {getattr(options, name)}."
            )
    settings = TauSettings()
    settings = replace(
        settings,
        architectures=options.architectures,
        limit=options.limit,
        supernet=replace(settings.supernet, steps=options.supernet_steps, batch=options.batch),
        network=replace(settings.network, steps=options.steps, batch=options.batch),
        seed=options.seed,
    )
    # Both seeds of a network are one program.
    compiled = cache_folder() / "compiled"
    compiled.mkdir(parents=True, exist_ok=True, mode=0o700)
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    terminal = console()
    with TerminalProgress(terminal).stage("Measure and train") as update:
        result = bench_supernet(
            find_space(options.space),
            datasets=options.dataset,
            settings=settings,
            folder=options.folder,
            rounds=options.rounds,
            report=update,
        )
    terminal.print(
        table(f"Supernet of {result['space']}, {result['machine']['cpu']}", ("what", "figure"), _rows(result))
    )
    if result["tau"]:
        rows = [
            (
                t["dataset"],
                str(t["architectures"]),
                *("-" if tau is None else f"{tau:.3f}" for tau in (t["tau"], t["tau_flops"], t["tau_seeds"])),
                f"{t['spread']:.1f}",
            )
            for t in result["tau"]
        ]
        columns = (
            "data set",
            "networks",
            "supernet",
            "multiply-accumulates",
            "seeds",
            "points from worst to best",
        )
        terminal.print(table("Kendall's tau with networks trained alone", columns, rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("step of random networks", f"{result['step_ms']:.1f} ms"),
        ("step as the largest network", f"{result['supernet_as_largest_ms']:.1f} ms"),
        ("step of the largest network alone", f"{result['largest_step_ms']:.1f} ms"),
        ("random over alone", f"{result['step_ratio']:.2f}x"),
        ("compilations for 100 architectures", str(result["compilations"])),
        ("one architecture of 64, one by one", f"{result['one_by_one_ms']:.1f} ms"),
        ("one architecture of 64, in one call", f"{result['together_ms']:.1f} ms"),
        ("one call over one by one", f"{result['vmapped_speedup']:.2f}x"),
    ]
