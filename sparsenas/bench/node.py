"""Kernels of WebAssembly SIMD, measured in node."""

import contextlib
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.kernels import OPS, SPARSITIES, Report, layer_groups, records_of
from sparsenas.cross import built, repository, run, tool
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes

_INSTALL = "install node 20 or newer, https://nodejs.org (Debian: apt install nodejs)"
# Instruction set -> folder of its build and module.
_MODULES = {"wasm128": ("wasm", "sparsenas.wasm"), "wasm_relaxed": ("wasm_relaxed", "sparsenas_relaxed.wasm")}


def find_node() -> tuple[str, str]:
    """Returns the path of node and what it calls its version.

    Raises:
        UserError: where it is missing or too old.
    """
    node = tool("node", _INSTALL)
    version = run([node, "--version"]).strip()
    if int(re.sub(r"\D.*", "", version.lstrip("v")) or 0) < 20:
        raise UserError(f"This needs node 20 or newer, found {version}: {_INSTALL}.")
    return node, version


def bench_node(
    *,
    isa: str = "wasm128",
    ops: Sequence[str] = OPS,
    sparsities: Sequence[float] = SPARSITIES,
    core: int | None = None,
    rounds: int = 7,
    report: Report = lambda done, total: None,
) -> dict:
    """Measures every shape in node on one pinned core, hot; the result is that of `bench_kernels`.

    Args:
        isa: "wasm128", or "wasm_relaxed" where the engine has relaxed SIMD.

    Raises:
        UserError: where a tool is missing.
    """
    node, version = find_node()
    scripts = repository() / "native" / "wasm"
    if (
        isa == "wasm_relaxed"
        and run([node, "--no-warnings", str(scripts / "has_relaxed.mjs")]).strip() != "true"
    ):
        raise UserError(f"node {version} has no relaxed SIMD; {_INSTALL}, or measure wasm128.")
    folder, module = _MODULES[isa]
    program = built(folder, "sparsenas_wasm") / "wasm" / module
    groups = list(layer_groups(ops, sparsities))
    records, peaks = [], []
    with tempfile.TemporaryDirectory() as models, native.pinned(core), contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [node, "--no-warnings", str(scripts / "measure.mjs"), str(program), str(rounds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        for done, layers in enumerate(groups):
            paths = [Path(models) / f"{i}.snas" for i in range(len(layers))]
            for path, layer in zip(paths, layers, strict=True):
                path.write_bytes(to_bytes(random_network([layer], seed=0)))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                said = process.stderr.read().strip().splitlines() or ["nothing"]
                raise UserError(f"node {version} stopped measuring: {said[-1]}")
            found = json.loads(line)
            peaks.append(found["peak_gflops"])
            records += records_of(
                layers, found["kernel_names"], found["us"], isa=found["isa"], peak=found["peak_gflops"]
            )
            report(done + 1, len(groups))
        process.stdin.close()
    machine = native.cpu() | {"isa": isa, "peak_gflops": float(np.median(peaks))}
    machine["cpu"] += f", node {version}"
    return {"machine": machine, "version": __version__, "records": [asdict(record) for record in records]}
