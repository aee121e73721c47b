"""From a latency table to milliseconds: of a layer, a network, every architecture of a space."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from sparsenas.errors import UserError
from sparsenas.latency import network
from sparsenas.latency.crowding import bytes_of
from sparsenas.latency.curve import Curve, curve
from sparsenas.latency.family import DENSE, Family, fit_family, form_of
from sparsenas.latency.features import Core, weights_of
from sparsenas.latency.layer_text import bare, describe
from sparsenas.latency.library import LOCAL, find_table, known_devices, local_table_path
from sparsenas.latency.network import Correction
from sparsenas.latency.regression import one_thread
from sparsenas.latency.result import Latency, LayerLatency
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table, load
from sparsenas.latency.tabulate import tabulate
from sparsenas.space import Arch, Layer, Space
from sparsenas.tables import html_table

_NEAREST = 5
# Layers remembered; a search asks for the same ones again and again.
_REMEMBERED = 100_000


@dataclass(frozen=True)
class Explanation:
    """Why a layer is predicted to take what it takes.

    Attributes:
        nearest: measurements that say most about it, and how far they are: 0 is the same layer, 1 is about
            half or twice as many channels or pixels.
        error: median relative error of layers like it that were left out of the fit.
    """

    layer: Layer
    latency: LayerLatency
    nearest: tuple[tuple[Measurement, float], ...]
    error: float


@dataclass(frozen=True, eq=False, repr=False)
class LatencyModel:
    """Predicts from the measurements of a device.

    Attributes:
        table: what was measured.
        threads: how many share a layer.
        carried: the correction that carries a table to another device; None for the table's own.
    """

    table: Table
    threads: int = 1
    carried: Correction | None = None
    _layers: dict[Layer, LayerLatency] = field(default_factory=dict, repr=False)
    _curves: dict[Layer, Curve] = field(default_factory=dict, repr=False)
    _families: dict[tuple[str, str], Family | None] = field(default_factory=dict, repr=False)

    @classmethod
    def from_table(cls, table: Table, *, threads: int = 1) -> "LatencyModel":
        """Returns the model of a table; raises `UserError` where nothing was measured with these threads."""
        found = sorted({m.threads for m in table.layers})
        if threads not in found:
            raise UserError(
                f"The latency table of device {table.device!r} has no layers measured with {threads} "
                f"threads, only with {', '.join(map(str, found)) or 'none'}."
            )
        return cls(table, threads)

    @classmethod
    def load(cls, device: str, *, threads: int = 1) -> "LatencyModel":
        """Returns the model of `local`, of a table that comes with the package, or of a table's file.

        Raises:
            UserError: where there is none, or it is damaged.
        """
        return cls.from_table(load(find_table(device)), threads=threads)

    @staticmethod
    def devices() -> tuple[str, ...]:
        """Returns the names that `load` knows."""
        local = (LOCAL,) if local_table_path().exists() else ()
        return (*local, *known_devices())

    def __repr__(self) -> str:
        carried = ", carried over" if self.carried else ""
        return (
            f"<latency on {self.device}: {self.table.kind}{carried}, {len(self.table.layers)} layers, "
            f"{len(self.table.networks)} networks, {self.threads} thread{'s' * (self.threads > 1)}>"
        )

    def _repr_html_(self) -> str:
        facts = {**self.machine, "build": self.build}
        errors = {f"error: {name.replace('_', ' ')}": value for name, value in self.table.error.items()}
        return html_table(repr(self), ("", ""), (facts | errors).items())

    @property
    def device(self) -> str:
        """The name that people give the device."""
        return self.table.device

    @property
    def machine(self) -> dict[str, Any]:
        """What the table says of the machine."""
        return self.table.machine

    @property
    def build(self) -> str:
        """The build of the native kernels, which the times belong to."""
        return self.table.build

    def layer(self, layer: Layer) -> LayerLatency:
        """Returns what a layer takes alone; raises `UserError` where nothing like it was measured."""
        found = self._layers.get(layer)
        if found is None:
            with one_thread():
                found = self._layer(bare(layer))
            if len(self._layers) >= _REMEMBERED:
                self._layers.clear()
            self._layers[layer] = found
        return found

    def layer_us(self, layer: Layer) -> float:
        """Returns the microseconds that a layer takes alone."""
        return self.layer(layer).us

    def predict(self, layers: "Sequence[Layer] | Arch", space: Space | None = None) -> Latency:
        """Returns the milliseconds of a network.

        Args:
            layers: of the network; or an architecture of `space`.
        """
        chosen = _layers_of(layers, space)
        alone = [self.layer(layer) for layer in chosen]
        correction = self.correction
        shares = [correction.share_us(layer, one.us) for layer, one in zip(chosen, alone, strict=True)]
        factor = correction.factor(chosen, shares)
        us = factor * (correction.fixed_us + sum(shares))
        off = correction.error * us
        notes = []
        for layer, one, share in zip(chosen, alone, shares, strict=True):
            if one.outside or not correction.networks:
                off += factor * share * (one.high_us / one.us - 1)
            if one.outside:
                notes.append(f"{describe(layer)}: {'; '.join(one.outside)}")
        low = us * us / (us + off)  # As far below as above, in ratio.
        return Latency(us / 1e3, low / 1e3, (us + off) / 1e3, tuple(dict.fromkeys(notes)))

    def breakdown(
        self, layers: "Sequence[Layer] | Arch", space: Space | None = None
    ) -> list[tuple[Layer, float, str]]:
        """Returns every layer with its share of the prediction in microseconds, and its kernel."""
        chosen = _layers_of(layers, space)
        alone = [self.layer(layer) for layer in chosen]
        shares = [self.correction.share_us(layer, one.us) for layer, one in zip(chosen, alone, strict=True)]
        factor = self.correction.factor(chosen, shares)
        return [
            (layer, factor * share, one.kernel)
            for layer, share, one in zip(chosen, shares, alone, strict=True)
        ]

    def fixed_us(self, layers: "Sequence[Layer] | Arch", space: Space | None = None) -> float:
        """Returns the part of a prediction that belongs to no layer."""
        return 1e3 * self.predict(layers, space) - sum(us for _, us, _ in self.breakdown(layers, space))

    def tabulate(self, space: Space) -> SpaceLatency:
        """Returns the same predictions as arrays over the choices of a space."""
        correction = self.correction

        def us(layer: Layer) -> float:
            return correction.share_us(layer, self.layer(layer).us)

        def weights(layer: Layer) -> float:
            return bytes_of(layer, correction.core)[0]

        def activations(layer: Layer) -> float:
            return bytes_of(layer, correction.core)[1]

        return SpaceLatency(
            tabulate(space, us, fixed=correction.fixed_us),
            tabulate(space, weights),
            tabulate(space, activations),
            correction.crowding,
        )

    def explain(self, layer: Layer) -> Explanation:
        """Returns what a layer's prediction rests on."""
        latency = self.layer(layer)
        form = layer.pattern.name if layer.sparsity else DENSE
        family = self._family(layer.op, form) or self._family(layer.op, DENSE)
        assert family is not None
        return Explanation(
            layer, latency, tuple(family.nearest(bare(layer), _NEAREST)), family.regression.error
        )

    def uncovered(self, layers: Sequence[Layer]) -> list[Layer]:
        """Returns the layers that nothing was measured for, or nothing near enough."""
        missing = []
        for layer in layers:
            try:
                outside = self.layer(layer).outside
            except UserError:
                outside = ("nothing like it",)
            if outside:
                missing.append(layer)
        return missing

    def transfer(
        self, networks: Sequence[NetworkMeasurement], *, device: str, machine: dict[str, Any] | None = None
    ) -> "LatencyModel":
        """Returns the model of another device, from a few whole networks measured there.

        Layers are believed to take as long as here, but for one factor for each group of operators, so that
        ten networks are enough. What it predicts is labelled modelled, for no layer was measured there.
        """
        if not networks:
            raise UserError("Expected at least one network that was measured on the device, found none.")
        how = {"from": self.device, "networks": len(networks)}
        table = replace(
            self.table,
            device=device,
            kind="modelled",
            machine=machine or {},
            how=how,
            networks=tuple(networks),
        )
        carried = self._fitted(networks, prior=self.correction)
        return LatencyModel(
            table, self.threads, carried, _layers=self._layers, _curves=self._curves, _families=self._families
        )

    def warm(self) -> None:
        """Fits all there is to fit, which otherwise waits for the first who asks."""
        with one_thread():
            for op, form in {(m.layer.op, form_of(m)) for m in self._exact.values()}:
                self._family(op, form)
        _ = self.correction

    @cached_property
    def correction(self) -> Correction:
        """What whole networks take beyond their layers, from those that may be learned from."""
        if self.carried:
            return self.carried
        prior = network.identity(self._core)
        if self.table.kind == "modelled":  # A computed network has no caches: it is the sum of its layers.
            return prior
        networks = [n for n in self.table.networks if n.role == "fit" and n.threads == self.threads]
        return self._fitted(networks, prior) if networks else prior

    def _fitted(self, networks: Sequence[NetworkMeasurement], prior: Correction) -> Correction:
        layers_us = [[self.layer_us(layer) for layer in n.layers] for n in networks]
        with one_thread():
            us = np.array([n.us for n in networks])
            doubt = np.array([n.high_us - n.low_us for n in networks]) / us
            return network.fit([n.layers for n in networks], layers_us, us, doubt=doubt, prior=prior)

    @cached_property
    def _core(self) -> Core:
        return Core.of(self.table.machine)

    @cached_property
    def _exact(self) -> dict[Layer, Measurement]:
        return {m.layer: m for m in self.table.layers if m.threads == self.threads}

    @cached_property
    def _alike(self) -> dict[Layer, list[Measurement]]:
        """Measurements of layers that differ in their nonzeros alone."""
        groups: dict[Layer, list[Measurement]] = {}
        for measurement in self._exact.values():
            groups.setdefault(_any_zeros(measurement.layer), []).append(measurement)
        return groups

    def _layer(self, layer: Layer) -> LayerLatency:
        exact = self._exact.get(layer)
        form = layer.pattern.name if layer.sparsity else DENSE
        if exact is None:
            curve_of, kernel, reasons, wider = self._modelled(layer, form)
            log_us, half = curve_of.at(layer.nonzeros)
        else:
            alike = self._alike[_any_zeros(layer)]
            log_us, half = curve(weights_of(layer), alike, None).at(layer.nonzeros)
            kernel, reasons, wider = exact.kernel, [], 0.0
        us, factor = math.exp(log_us), math.exp(half + wider)
        return LayerLatency(us, us / factor, us * factor, kernel, exact is not None, tuple(reasons))

    def _modelled(self, layer: Layer, form: str) -> tuple[Curve, str, list[str], float]:
        own, dense = self._family(layer.op, form), self._family(layer.op, DENSE)
        family = own or dense
        if family is None:
            raise UserError(
                f"The latency table of device {self.device!r} has no measurement of any {layer.op}, so that "
                f"{describe(layer)} cannot be predicted; measure the space it belongs to: "
                "sparsenas measure --space NAME."
            )
        reasons, wider = family.outside(layer)
        if own is None:
            reasons.append(f"no {form} {layer.op} measured, taken for dense")
            wider += 0.5
        key = _any_zeros(layer)
        if key not in self._curves:
            if len(self._curves) >= _REMEMBERED:
                self._curves.clear()
            self._curves[key] = self._curve(layer, own, dense)
        return self._curves[key], family.kernel, reasons, wider

    def _curve(self, layer: Layer, own: Family | None, dense: Family | None) -> Curve:
        weights = weights_of(layer)

        def model(held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """The runtime packs a layer in its own form or dense, whichever it expects to be faster."""
            found = []
            if own is not None:
                found.append(own.predict(layer, held))
            if dense is not None and dense is not own:
                log_us, half = self._dense(layer, dense)
                found.append((np.full(held.shape, log_us), np.full(held.shape, half)))
            best = np.argmin([log_us for log_us, _ in found], axis=0)
            at = np.arange(len(held))
            return np.array([f[0] for f in found])[best, at], np.array([f[1] for f in found])[best, at]

        if not layer.sparsity:
            log_us, half = model(np.array([float(weights)]))
            return Curve(np.zeros(1), log_us, half)
        return curve(weights, self._alike.get(_any_zeros(layer), ()), model)

    def _dense(self, layer: Layer, family: Family) -> tuple[float, float]:
        """Returns what a layer's dense twin takes, measured where it was."""
        twin = bare(layer.dense())
        if twin in self._exact:
            return math.log(self._exact[twin].us), 0.0
        log_us, half = family.predict(twin, np.array([float(weights_of(twin))]))
        return float(log_us[0]), float(half[0])

    def _family(self, op: str, form: str) -> Family | None:
        if (op, form) not in self._families:
            members = [m for m in self._exact.values() if m.layer.op == op and form_of(m) == form]
            self._families[op, form] = fit_family(op, form, members, self._core) if members else None
        return self._families[op, form]


def _any_zeros(layer: Layer) -> Layer:
    """Returns what layers have in common that differ in their nonzeros alone."""
    return replace(layer, sparsity=0.0)


def _layers_of(layers: "Sequence[Layer] | Arch", space: Space | None) -> Sequence[Layer]:
    return layers if space is None else space.layers(layers)
