"""sparsenas bench: measure what this project claims."""

import importlib
import sys

from sparsenas.errors import UserError

BENCHMARKS = {
    "kernels": "every operator, pattern and instruction set, beside what one core can do (without a name)",
    "networks": "whole reference networks, beside other engines",
    "training": "training steps on a processor, beside PyTorch",
    "web": "an exported page in a real browser, beside LiteRT.js",
    "latency": "predictions of latency tables, on networks measured here and now",
    "supernet": "cost of a supernet, and how well it ranks networks",
    "differentiable": "searches by gradient, on a space where every network is known",
    "grid": "makes the table of that space: every network trained and measured",
    "strategies": "how few evaluations search strategies need, on tables of trained architectures",
    "trials": "the log of trials, and what a candidate costs on a cluster beyond its training",
    "chaos": "a search on a cluster whose workers, drivers and nodes are killed",
}

_USAGE = """usage: sparsenas bench [NAME] [OPTIONS]

Measures what this project claims.

benchmarks:
{benchmarks}

`sparsenas bench NAME --help` lists a benchmark's options.
"""


def main(args: list[str]) -> None:
    if args and args[0] in ("-h", "--help"):
        width = max(map(len, BENCHMARKS))
        lines = (f"  {name:{width}}  {what}" for name, what in BENCHMARKS.items())
        print(_USAGE.format(benchmarks="\n".join(lines)))
        sys.exit(0)
    # Options alone are those of the first benchmark.
    name, rest = (args[0], args[1:]) if args and not args[0].startswith("-") else ("kernels", args)
    if name not in BENCHMARKS:
        raise UserError(f"No benchmark named {name!r}. There are: {', '.join(BENCHMARKS)}.")
    importlib.import_module(f"sparsenas.cli.bench_{name}").main(rest)
