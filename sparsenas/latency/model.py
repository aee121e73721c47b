"""A latency table: measured layers, and the network they add up to.

The file is JSON with one measured layer a line, so that two tables can be compared with `diff`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.space import Arch, Layer, Space

FORMAT = 1

_KEY_FIELDS = (
    "op", "c_in", "c_out", "height", "width", "kernel", "stride", "activation", "pattern", "sparsity",
)  # fmt: skip
_HEADER_FIELDS = ("device", "data_type", "machine", "build", "version", "how", "network")


@dataclass(frozen=True)
class Entry:
    """One measured layer: its time alone on the device, and the kernel that took it."""

    us: float
    kernel: str


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What a whole network takes beyond the sum of its layers.

        network = fixed_us + scale * sum of layers

    Attributes:
        networks: how many whole networks it was fitted to.
        error: mean absolute relative error on networks that were left out of the fit.
    """

    fixed_us: float = 0.0
    scale: float = 1.0
    networks: int = 0
    error: float = math.nan


@dataclass(frozen=True, kw_only=True)
class LatencyModel:
    """Predicts milliseconds of one image from measurements of single layers.

    Attributes:
        device: the name people give it.
        machine: `cpu`, `isa`, `cores`, `l1d_bytes`, `l2_bytes` as measured.
        build: the native kernels' build, which the times belong to.
        how: settings of the measurement, for people.
    """

    device: str
    machine: dict[str, Any]
    build: str
    version: str
    how: dict[str, Any]
    network: Correction
    entries: dict[tuple, Entry]
    data_type: str = "float32"

    def layer_us(self, layer: Layer) -> float:
        """Returns the microseconds of a layer; raises `UserError` for one that was not measured."""
        try:
            return self.entries[layer.key].us
        except KeyError:
            raise UserError(
                f"The latency table of device {self.device!r} has no measurement of "
                f"{describe(layer)}; measure the space it belongs to: sparsenas measure --space NAME."
            ) from None

    def predict(self, layers: Sequence[Layer]) -> float:
        """Returns the milliseconds of a network."""
        return (self.network.fixed_us + self.network.scale * sum(map(self.layer_us, layers))) / 1e3

    def breakdown(self, layers: Sequence[Layer]) -> list[tuple[Layer, float, str]]:
        """Returns every layer with its share of the prediction in microseconds, and its kernel."""
        return [
            (layer, self.network.scale * self.layer_us(layer), self.entries[layer.key].kernel)
            for layer in layers
        ]

    def tabulate(self, space: Space) -> "Tabulated":
        """Returns the same predictions as arrays over the choices of a space."""
        terms = []
        for template in space.templates:
            shape = [len(space.choices[c].options) for c in template.choices]
            ms = np.zeros(shape)
            for arch in space.joint_options(template.choices):
                if template.present.at(arch):
                    layer = template.layer(arch, template.inputs)
                    ms[tuple(arch[c] for c in template.choices)] = (
                        self.network.scale * self.layer_us(layer) / 1e3
                    )
            terms.append((template.choices, ms))
        return Tabulated(self.network.fixed_us / 1e3, tuple(terms))


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Predicted latency of every architecture of a space: a constant, and a small array per layer.

    Attributes:
        fixed_ms: what every network takes.
        terms: for each layer the choices it depends on and its milliseconds over their options.
    """

    fixed_ms: float
    terms: tuple[tuple[tuple[int, ...], np.ndarray], ...]

    def __call__(self, archs: Sequence[Arch]) -> np.ndarray:
        """Returns milliseconds [N] of N architectures."""
        options = np.asarray(archs, dtype=np.intp).reshape(len(archs), -1)
        total = np.full(len(archs), self.fixed_ms)
        for choices, ms in self.terms:
            total += ms[tuple(options[:, c] for c in choices)]
        return total

    def fastest(self, choices: int) -> tuple[Arch, float]:
        """Returns the fastest architecture of a space with that many choices, and its milliseconds.

        Exact: choices are eliminated one by one, each by the minimum over its options of the layers that
        depend on it (min-sum variable elimination; Dechter, 1999,
        https://doi.org/10.1016/S0004-3702(99)00059-4).
        """
        factors = list(self.terms)
        decided: list[tuple[int, tuple[int, ...], np.ndarray]] = []
        remaining = {choice for scope, _ in factors for choice in scope}
        while remaining:
            choice = min(remaining, key=lambda c: len({x for s, _ in factors if c in s for x in s}))
            touched = [factor for factor in factors if choice in factor[0]]
            factors = [factor for factor in factors if choice not in factor[0]]
            scope, joint = _sum(touched)
            axis = scope.index(choice)
            rest = scope[:axis] + scope[axis + 1 :]
            decided.append((choice, rest, joint.argmin(axis)))
            factors.append((rest, joint.min(axis)))
            remaining.remove(choice)
        arch = [0] * choices
        for choice, rest, best in reversed(decided):
            arch[choice] = int(best[tuple(arch[c] for c in rest)])
        return tuple(arch), self.fixed_ms + float(sum(ms for _, ms in factors))


def _sum(factors: Sequence[tuple[tuple[int, ...], np.ndarray]]) -> tuple[tuple[int, ...], np.ndarray]:
    """Adds arrays over different choices into one over all of them."""
    scope = tuple(sorted({choice for choices, _ in factors for choice in choices}))
    total = 0.0
    for choices, ms in factors:
        index = tuple(slice(None) if choice in choices else None for choice in scope)
        total = total + ms[index]
    return scope, np.asarray(total)


def describe(layer: Layer) -> str:
    """Returns a layer's configuration as people read it.

    >>> describe(Layer(name="x", op="conv1x1", inputs=(0,), c_in=8, c_out=16, height=4, width=4))
    'conv1x1 8x16@4x4'
    """
    text = f"{layer.op} {layer.c_in}x{layer.c_out}@{layer.height}x{layer.width}"
    if layer.kernel > 1:
        text += f" kernel={layer.kernel}"
    if layer.stride > 1:
        text += f" stride={layer.stride}"
    if layer.activation != "none":
        text += f" {layer.activation}"
    if layer.sparsity:
        text += f" {layer.pattern.name}={layer.sparsity:g}"
    return text


def save(model: LatencyModel, path: Path) -> None:
    """Writes a table, one layer a line."""
    header = {
        "format": FORMAT,
        "device": model.device,
        "data_type": model.data_type,
        "machine": model.machine,
        "build": model.build,
        "version": model.version,
        "how": model.how,
        "network": vars(model.network),
    }
    lines = [
        json.dumps(
            dict(zip(_KEY_FIELDS, key, strict=True)) | {"us": round(entry.us, 4), "kernel_name": entry.kernel}
        )
        for key, entry in sorted(model.entries.items())
    ]
    text = json.dumps(header, indent=1)[:-2] + ',\n "layers": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    files.write(path, text)


def load(path: Path) -> LatencyModel:
    """Reads a table; raises `UserError` that names the file and what is wrong with it."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the latency table {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(
            f"The latency table {path} is not complete JSON ({error}); measure it again."
        ) from None
    if not isinstance(table, dict) or "format" not in table:
        raise UserError(f"Expected a latency table in {path}, found other JSON.")
    if table["format"] != FORMAT:
        raise UserError(
            f"The latency table {path} has format {table['format']}, this version reads {FORMAT}; "
            "measure it again or use a newer sparsenas."
        )
    missing = [name for name in (*_HEADER_FIELDS, "layers") if name not in table]
    if missing:
        raise UserError(f"The latency table {path} lacks {', '.join(missing)}; measure it again.")
    entries = {}
    for number, row in enumerate(table["layers"], start=1):
        try:
            key = tuple(row[name] for name in _KEY_FIELDS)
            us, kernel = float(row["us"]), str(row["kernel_name"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"Layer {number} of the latency table {path} is not complete ({error}); measure it again."
            ) from None
        if not (math.isfinite(us) and us > 0):
            raise UserError(
                f"Layer {number} of the latency table {path}: expected a time above 0 us, found {us}; "
                "measure it again."
            )
        entries[key] = Entry(us, kernel)
    try:
        network = Correction(**table["network"])
    except TypeError as error:
        raise UserError(f"The latency table {path}: `network` is not complete ({error}).") from None
    return LatencyModel(
        **{name: table[name] for name in _HEADER_FIELDS if name != "network"},
        network=network,
        entries=entries,
    )


def corrected(model: LatencyModel, sums_us: np.ndarray, measured_us: np.ndarray) -> LatencyModel:
    """Fits the correction to whole networks.

    Args:
        sums_us: [N], sums of their layers by the table.
        measured_us: [N], what they took.

    The fit minimises relative errors, so that a small network counts as much as a large one; the error
    stated is that of each network predicted from the others.
    """
    held_out = []
    for i in range(len(sums_us)):
        others = np.arange(len(sums_us)) != i
        fixed, scale = _fit(sums_us[others], measured_us[others])
        held_out.append(abs(fixed + scale * sums_us[i] - measured_us[i]) / measured_us[i])
    fixed, scale = _fit(sums_us, measured_us)
    return replace(
        model,
        network=Correction(
            fixed_us=float(fixed), scale=float(scale), networks=len(sums_us), error=float(np.mean(held_out))
        ),
    )


def _fit(sums_us: np.ndarray, measured_us: np.ndarray) -> tuple[float, float]:
    """Returns the fixed time and scale of least relative squared error; neither is negative."""
    a = np.stack([1 / measured_us, sums_us / measured_us], axis=1)
    fixed, scale = np.linalg.lstsq(a, np.ones(len(sums_us)), rcond=None)[0]
    if fixed < 0 or scale <= 0:
        ratio = sums_us / measured_us
        fixed, scale = 0.0, ratio.sum() / (ratio**2).sum()
    return fixed, scale
