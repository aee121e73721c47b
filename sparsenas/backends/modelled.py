"""Latency of Arm cores that nobody here has: counted instructions, published core models, public figures.

The emulator counts how often every block of the NEON kernels runs, exactly. LLVM's models of cores say how
many cycles a block takes at best: nothing waits for memory, every branch is foreseen. What reality adds is
one factor, calibrated on public times of whole networks on a Snapdragon 835 (Elsen et al., 2020,
https://arxiv.org/abs/1911.09723). They are of other kernels, of XNNPACK, so the factor holds what ours do
better or worse as well. Every time is an interval: from the cycles at best to the largest factor of any of
the public networks.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.emulated import Block, CycleModel, Emulator, find_model, instructions
from sparsenas.errors import UserError
from sparsenas.latency.design import Design
from sparsenas.latency.journal import Lines
from sparsenas.latency.layer_text import bare
from sparsenas.latency.subjects import Subject, layer_subject, network_subject
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import dense
from sparsenas.space import Layer

PREFIX = "modelled:"

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Core:
    """A core.

    Attributes:
        llvm: whose model stands for it; LLVM has none of its own for some.
        ghz: its clock in a product that many have.
        product: which.
    """

    llvm: str
    ghz: float
    product: str


CORES: Mapping[str, Core] = {
    "cortex-a55": Core(llvm="cortex-a55", ghz=1.8, product="the small cores of a Snapdragon 855"),
    "cortex-a72": Core(llvm="cortex-a72", ghz=1.5, product="Raspberry Pi 4"),
    "cortex-a76": Core(llvm="neoverse-n1", ghz=2.4, product="Raspberry Pi 5"),
}
_LLVM = tuple(core.llvm for core in CORES.values())
# The large core of a Snapdragon 835 is a Cortex-A73 in all but name. LLVM has the same model for it and A72.
_SNAPDRAGON_835 = Core(llvm="cortex-a72", ghz=2.45, product="Snapdragon 835")
_SNAPDRAGON_821 = Core(llvm="cortex-a72", ghz=2.15, product="Snapdragon 821")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A public time of a whole network, on one core.

    Attributes:
        fits: whether the factor is calibrated on it; the others only test.
    """

    network: str
    width: float
    preset: str
    zeros: float
    ms: float
    core: Core
    fits: bool

    @property
    def name(self) -> str:
        zeros = f"{self.zeros:.0%} zeros" if self.zeros else "dense"
        return f"{self.network} x{self.width:g}, {zeros}, {self.core.product}"

    @property
    def layers(self) -> tuple[Layer, ...]:
        made = REFERENCES[self.network]
        rule = made.presets[self.preset].rule(self.zeros) if self.zeros else dense
        return made.layers(width=self.width, rule=rule)


def _sparse(network: str, width: float, preset: str, zeros: float, ms: float) -> Figure:
    return Figure(
        network=network, width=width, preset=preset, zeros=zeros, ms=ms, core=_SNAPDRAGON_835, fits=True
    )


def _dense(network: str, ms: float, core: Core) -> Figure:
    return Figure(network=network, width=1.0, preset="", zeros=0.0, ms=ms, core=core, fits=False)


# Sparse ones: Elsen et al. Dense ones, Pixel 2 and Pixel: https://github.com/google/XNNPACK, its README.
FIGURES = (
    _sparse("mobilenet_v1", 0.75, "published", 0.9, 21),
    _sparse("mobilenet_v1", 1.0, "published", 0.9, 31),
    _sparse("mobilenet_v1", 1.4, "published", 0.9, 58),
    _sparse("mobilenet_v2", 0.8, "published", 0.85, 26),
    _sparse("mobilenet_v2", 1.15, "published", 0.85, 40),
    _sparse("mobilenet_v2", 1.4, "published", 0.85, 54),
    _sparse("mobilenet_v2", 2.0, "published", 0.85, 93),
    _sparse("mobilenet_v2", 1.8, "published", 0.8, 102),
    _sparse("efficientnet_b0", 1.0, "unstructured", 0.8, 80),
    _sparse("efficientnet_b1", 1.0, "unstructured", 0.85, 110),
    _dense("mobilenet_v1", 86, _SNAPDRAGON_835),
    _dense("mobilenet_v2", 53, _SNAPDRAGON_835),
    _dense("mobilenet_v1", 82, _SNAPDRAGON_821),
    _dense("mobilenet_v2", 49, _SNAPDRAGON_821),
)
# An emulated run is a hundred times slower than a real one.
_MOST_MACS = 30_000_000
# Looking up a block takes a tenth of a second, and most of a program's blocks hardly run.
_COVERED = 0.98
_MOST_LAYERS = {"quick": 120, "full": 600}


def modelled_table(
    device: str,
    design: Design,
    *,
    figures: Sequence[Figure] = FIGURES,
    journal: Path | None = None,
    report: Report = lambda done, total, note: None,
) -> Table:
    """Returns the table of a core: a part of the design's layers, those with little to do.

    Args:
        device: `modelled:CORE`, one of `CORES`.
        figures: what the factor is calibrated on and tested with.
        journal: keeps what is counted, for when counting is interrupted and begun again. It is of no core:
            a copy of it serves another.

    Raises:
        UserError: where there is no such core, a tool is missing, or the journal is of other layers.
    """
    name = device.removeprefix(PREFIX)
    if name not in CORES:
        raise UserError(f"No modelled core named {name!r}. There are: {', '.join(CORES)}.")
    model = find_model()
    if model is None:
        raise UserError("This needs llvm-mca of LLVM 17 or newer, found none (Debian: apt install llvm-19).")
    core = CORES[name]
    layers = _layers(design)
    subjects = [layer_subject(layer, seed=0) for layer in layers]
    networks = {figure: network_subject(figure.layers, seed=0) for figure in figures}
    identity = {
        "build": native.build_id(), "design": f"{design.name}, {design.fingerprint()}", "layers": len(layers),
        "figures": [figure.name for figure in figures], "core_models": model.version,
    }  # fmt: skip
    lines = Lines(journal, identity)
    try:
        cycles = _cycles([*subjects, *networks.values()], model, lines, report)
    finally:
        lines.close()
    own = [cycles[i][1][core.llvm] / subject.copies for i, subject in enumerate(subjects)]
    whole = {figure: cycles[len(layers) + i][1] for i, figure in enumerate(figures)}
    ratios = {figure: figure.ms * 1e3 / _us(whole[figure], figure.core) for figure in figures}
    calibration = _calibration(ratios)

    def interval(us: float) -> dict[str, float]:
        return {
            "us": us * calibration["factor"],
            "low_us": us * min(1.0, calibration["least"]),
            "high_us": us * calibration["most"],
        }

    return Table(
        device=device,
        kind="modelled",
        machine={
            "cpu": f"{name}, {core.ghz:g} GHz ({core.product})", "isa": "neon", "cores": 1, "l1d_bytes": 0,
            "l2_bytes": 0,
        },
        build=native.build_id(),
        version=__version__,
        how={
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "design": design.name,
            "core_model": f"llvm-mca {core.llvm}",
            "ghz": core.ghz,
            "calibration": calibration,
        },
        layers=tuple(
            Measurement(layer=layer, kernel=kernel, **interval(one / core.ghz / 1e3))
            for layer, one, (kernel, _) in zip(layers, own, cycles, strict=False)
        ),
        networks=tuple(
            NetworkMeasurement(
                name=figure.name.rpartition(",")[0], role="fit", layers=tuple(map(bare, figure.layers)),
                **interval(_us(whole[figure], core)),
            )
            for figure in figures
            if figure.core is _SNAPDRAGON_835
        ),
    )  # fmt: skip


def _layers(design: Design) -> list[Layer]:
    most = _MOST_LAYERS["quick" if design.name.startswith("quick") else "full"]
    small = [layer for layer in design.layers if layer.macs <= _MOST_MACS]
    order = np.random.default_rng(0).permutation(len(small))[:most]
    return [small[i] for i in order]


def _cycles(
    subjects: Sequence[Subject], model: Any, lines: Lines, report: Report
) -> list[tuple[str, dict[str, float]]]:
    """Returns the kernel and the cycles of each core that a run of each model file takes."""
    try:
        found = [
            (str(line["kernel"]), {core: float(line["cycles"][core]) for core in _LLVM})
            for line in lines.found
        ]
    except (KeyError, TypeError, ValueError):
        raise lines.damaged() from None
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        emulator = Emulator(Path(folder))
        cores = CycleModel(model, emulator.image)
        waiting = [pool.submit(emulator.count_model, subject.model) for subject in subjects[len(found) :]]
        try:
            for one in waiting:
                kernel, blocks = one.result()
                cycles = {core: round(count, 1) for core, count in _estimated(cores, blocks).items()}
                found.append((kernel, cycles))
                lines.write({"kernel": kernel, "cycles": cycles})
                report(len(found), len(subjects), "")
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def _estimated(cores: CycleModel, blocks: Mapping[Block, int]) -> dict[str, float]:
    """Returns cycles from those blocks that make up nearly all instructions, the rest in proportion."""
    total, covered = instructions(blocks), 0
    most: dict[Block, int] = {}
    for block, times in sorted(blocks.items(), key=lambda item: -item[0][1] * item[1]):
        if covered >= _COVERED * total:
            break
        most[block] = times
        covered += block[1] * times
    return {core: cycles * total / covered for core, cycles in cores.cycles(most).items()}


def _us(cycles: Mapping[str, float], core: Core) -> float:
    return cycles[core.llvm] / core.ghz / 1e3


def _calibration(ratios: Mapping[Figure, float]) -> dict[str, Any]:
    """Returns the factor between cycles at best and public times, and how well it foretells each of them.

    What it is calibrated on is foretold by the factor of the others.
    """
    fits = [figure for figure in ratios if figure.fits]
    factor = _typical([ratios[figure] for figure in fits])
    errors = {}
    for figure, ratio in ratios.items():
        others = [ratios[other] for other in fits if other is not figure] if figure.fits else None
        errors[figure] = (_typical(others) if others else factor) / ratio - 1
    return {
        "on": "whole networks on one large core of a Snapdragon 835, with other kernels (XNNPACK)",
        "factor": round(factor, 3),
        "least": round(min(ratios[figure] for figure in fits), 3),
        "most": round(max(ratios.values()), 3),
        "mean_error": round(float(np.mean(np.abs(list(errors.values())))), 3),
        "worst_error": round(float(np.max(np.abs(list(errors.values())))), 3),
        "figures": {
            figure.name: {"public_ms": figure.ms, "error": round(error, 3)}
            for figure, error in errors.items()
        },
    }


def _typical(ratios: Sequence[float]) -> float:
    return float(np.exp(np.median(np.log(ratios))))
