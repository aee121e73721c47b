"""Kernels of NEON without an Arm machine: exact numbers of instructions, and modelled cycles.

The emulator runs the same program that runs on a device and counts how often each block of instructions
runs; the difference between many runs of a layer and one is what they take. LLVM's model of a core says
how many cycles a block takes when nothing waits for memory and branches are foreseen.
"""

import collections
import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sparsenas import __version__
from sparsenas.bench.kernels import OPS, Report, geometric_mean, layer_groups, pattern_name
from sparsenas.cross import built, repository, run, tool, zig_environment
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.space import Layer

EMULATOR = ("qemu-aarch64", "Debian: apt install qemu-user")
# An in-order core and two out-of-order ones, as LLVM knows them.
CORES = ("cortex-a55", "cortex-a72", "neoverse-n1")
# Before that, LLVM took the model of an older core for neoverse-n1.
_OLDEST_LLVM, _NEWEST_LLVM = 17, 30
# The emulator's interface for plugins goes by versions; all that is used here is in each.
_PLUGIN_VERSIONS = (1, 2, 3, 4, 5)
_LANES = 4  # Floats in a register.
# Where the system puts memory differs from start to start, and with it how a little of it is copied before
# the first run; among so many runs that comes to less than half an instruction.
_RUNS = 20

Block = tuple[int, int]
"""Address of the first instruction and how many there are."""


@dataclass(frozen=True)
class Model:
    """LLVM's simulator of cores: `llvm-mca` and the assembler that goes with it."""

    mca: str
    mc: str
    version: int


def find_model() -> Model | None:
    """Returns the newest llvm-mca that knows the cores; None where there is none."""
    for version in (*range(_NEWEST_LLVM, _OLDEST_LLVM - 1, -1), None):
        suffix = "" if version is None else f"-{version}"
        mca, mc = (shutil.which(f"{name}{suffix}") for name in ("llvm-mca", "llvm-mc"))
        if mca and mc and (found := _version(mca)) >= _OLDEST_LLVM:
            return Model(mca, mc, found)
    return None


def _version(mca: str) -> int:
    found = re.search(r"LLVM version (\d+)", run([mca, "--version"]))
    return int(found[1]) if found else 0


class Emulator:
    """Counts what a layer takes under qemu. Building it compiles the runtime for arm64 where that changed.

    Raises:
        UserError: where a tool is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._qemu = tool(*EMULATOR)
        self._program = built("arm64", "sparsenas-count-runs") / "tools" / "sparsenas-count-runs"
        self._folder = folder
        self._plugin = self._build_plugin()
        self.image = _segments(self._program.read_bytes())

    def _build_plugin(self) -> Path:
        """Compiles the plugin for the newest version of the interface that the emulator takes."""
        source = repository() / "native" / "tools" / "count_blocks.c"
        environment = zig_environment()
        complaint = ""
        for version in _PLUGIN_VERSIONS:
            plugin = self._folder / f"count_blocks{version}.so"
            zig = repository() / "native" / "cmake" / "zig-cc"
            command = [str(zig), "-shared", "-fPIC", "-O2", f"-DVERSION={version}", str(source)]
            run([*command, "-o", str(plugin)], environment)
            try:
                # Without arguments the program says how it is used and fails; the plugin must not.
                run([self._qemu, "-plugin", f"{plugin},out={os.devnull}", str(self._program)])
            except UserError as error:
                if "Usage" in str(error):
                    return plugin
                complaint = str(error)
        raise UserError(f"The emulator takes no plugin: {complaint}")

    def count(self, layer: Layer) -> tuple[str, dict[Block, int]]:
        """Returns the kernel of a layer and how often each block runs in one run of it."""
        return self.count_model(to_bytes(random_network([layer], seed=0)))

    def count_model(self, data: bytes) -> tuple[str, dict[Block, int]]:
        """Returns the first kernel of a model file and how often each block runs in one run of it."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            model, counts = Path(folder) / "layer.snas", Path(folder) / "counts.txt"
            model.write_bytes(data)
            times = []
            for runs in (1, 1 + _RUNS):
                plugin = f"{self._plugin},out={counts}"
                command = [self._qemu, "-plugin", plugin, str(self._program), str(model), str(runs)]
                kernel_name = run(command).strip()
                times.append(parse_counts(counts.read_text()))
        once, often = times
        a_run = {block: round((n - once[block]) / _RUNS) for block, n in often.items()}
        return kernel_name, {block: n for block, n in a_run.items() if n}


def parse_counts(text: str) -> collections.Counter[Block]:
    """Reads what native/tools/count_blocks.c writes.

    >>> parse_counts("1f0 3 2\\n1f0 3 5\\n")
    Counter({(496, 3): 7})
    """
    counts: collections.Counter[Block] = collections.Counter()
    for line in text.splitlines():
        address, size, times = line.split()
        counts[int(address, 16), int(size)] += int(times)
    return counts


def instructions(blocks: Mapping[Block, int]) -> int:
    """Returns how many instructions run.

    >>> instructions({(496, 3): 7, (508, 2): 1})
    23
    """
    return sum(size * times for (_, size), times in blocks.items())


class CycleModel:
    """Cycles of blocks of a program, as LLVM's models of cores have it."""

    def __init__(self, model: Model, image: Sequence[tuple[int, bytes]]) -> None:
        self._model = model
        self._image = image
        self._cycles: dict[Block, dict[str, float]] = {}

    def cycles(self, blocks: Mapping[Block, int]) -> dict[str, float]:
        """Returns the cycles of each core that so many runs of blocks take."""
        self._look_up([block for block in blocks if block not in self._cycles])
        return {core: sum(self._cycles[b][core] * n for b, n in blocks.items()) for core in CORES}

    def _look_up(self, blocks: Sequence[Block]) -> None:
        if not blocks:
            return
        regions = []
        for i, block in enumerate(blocks):
            regions += [f"# LLVM-MCA-BEGIN {i}", *self._assembly(block), f"# LLVM-MCA-END {i}"]
        self._cycles |= {block: {} for block in blocks}
        # A call is a branch: what it calls has blocks of its own.
        options = ["--iterations=100", "--json", "--call-latency=1", "--skip-unsupported-instructions=any"]
        for core in CORES:
            command = [self._model.mca, "--mtriple=aarch64", f"--mcpu={core}", *options]
            answer = json.loads(run(command, text="\n".join(regions) + "\n"))
            for region in answer["CodeRegions"]:
                summary = region["SummaryView"]
                cycles = summary["TotalCycles"] / summary["Iterations"]
                self._cycles[blocks[int(region["Name"])]][core] = cycles

    def _assembly(self, block: Block) -> list[str]:
        address, size = block
        start, data = next(s for s in self._image if s[0] <= address < s[0] + len(s[1]))
        code = data[address - start : address - start + 4 * size]
        text = " ".join(f"0x{byte:02x}" for byte in code)
        lines = run([self._model.mc, "--disassemble", "--triple=aarch64", "--mattr=+all"], text=text)
        return [line for line in lines.splitlines() if not line.lstrip().startswith(".")]


def _segments(program: bytes) -> list[tuple[int, bytes]]:
    """Returns where the parts of a 64-bit ELF program lie in memory, and their bytes."""
    offset, entry, entries = (*struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54))
    segments = []
    for i in range(entries):
        kind, _, start, address, _, size = struct.unpack_from("<IIQQQQ", program, offset + i * entry)
        if kind == 1:  # PT_LOAD
            segments.append((address, program[start : start + size]))
    return segments


def bench_emulated(
    *,
    ops: Sequence[str] = OPS,
    sparsities: Sequence[float] = (0.8, 0.9),
    report: Report = lambda done, total: None,
) -> dict:
    """Counts the instructions of every shape.

    Returns:
        What `bench_kernels` does; times and rates are None, as nothing is measured. Records have two more
        fields: `instructions` of a run, and `modelled_cycles` of each core, empty where llvm-mca is missing.

    Raises:
        UserError: where the emulator or the compiler is missing.
    """
    groups = list(layer_groups(ops, sparsities))
    layers = [layer for group in groups for layer in group]
    model = find_model()
    records = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        emulator = Emulator(Path(folder))
        cycles = CycleModel(model, emulator.image) if model else None
        for layer, (kernel_name, blocks) in zip(layers, pool.map(emulator.count, layers), strict=True):
            records.append(_record(layer, kernel_name, blocks, cycles))
            report(len(records), len(layers))
    unknown = dict.fromkeys(("peak_gflops", "l1d_bytes", "l2_bytes"))
    machine = {"cpu": "emulated", "isa": "neon", "cores": 1, **unknown}
    return {"machine": machine, "version": __version__, "records": records}


def _record(layer: Layer, kernel_name: str, blocks: Mapping[Block, int], model: CycleModel | None) -> dict:
    return {
        "op": layer.op,
        "pattern": pattern_name(layer),
        "c_in": layer.c_in,
        "c_out": layer.c_out,
        "height": layer.height,
        "width": layer.width,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "sparsity": layer.sparsity,
        "isa": "neon",
        "kernel_name": kernel_name,
        **dict.fromkeys(("us", "dense_us", "useful_gflops", "fraction_of_peak", "speedup_over_dense")),
        "useful_macs": layer.macs,
        "instructions": instructions(blocks),
        "modelled_cycles": model.cycles(blocks) if model else {},
    }


@dataclass(frozen=True, kw_only=True)
class EmulatedSummary:
    """Geometric means over shapes for each useful multiply-add of four floats.

    Attributes:
        cycles: modelled, of each core.
    """

    op: str
    pattern: str
    sparsity: float
    instructions: float
    cycles: dict[str, float]


def summarize_emulated(records: Sequence[dict]) -> list[EmulatedSummary]:
    """Returns geometric means over shapes, in the order of the records."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["op"], record["pattern"], record["sparsity"]), []).append(record)
    return [
        EmulatedSummary(
            op=op,
            pattern=pattern,
            sparsity=sparsity,
            instructions=geometric_mean([r["instructions"] / r["useful_macs"] * _LANES for r in members]),
            cycles={
                core: geometric_mean(
                    [r["modelled_cycles"][core] / r["useful_macs"] * _LANES for r in members]
                )
                for core in members[0]["modelled_cycles"]
            },
        )
        for (op, pattern, sparsity), members in groups.items()
    ]
