"""Which layers of a network are pruned, and how far each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sparsenas.dims import constant
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.space import Layer, Space, misplaced
from sparsenas.sparsity import distributions, guided
from sparsenas.sparsity.layout import outputs_first
from sparsenas.sparsity.natural import natural_patterns
from sparsenas.sparsity.patterns import DENSE, KernelPattern, NByM, Pattern, Sparse, Sparsity, Unstructured

Weights = Mapping[str, np.ndarray]
"""By the name of a layer, as `Layer.weight_shape` says."""

# Fractions of zeros that a guided layer may have; between them little changes.
_GRID = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98)

# How often time is shared out again for what crowding does to it.
_ALLOCATIONS = 6

_ANYWHERE = Unstructured()


@dataclass(frozen=True, kw_only=True)
class Guided:
    """What `guided_fractions` found.

    Attributes:
        fractions: of zeros by layer, 0 where zeros do not pay.
        bands: where they do, by layer; None where they never do.
        predicted_ms: of the whole network with these zeros.
        target_ms: what it was to take.
        lost: magnitude that is taken away, the sum over layers of parts of their squared weights.
    """

    fractions: dict[str, float]
    bands: dict[str, guided.Band | None]
    predicted_ms: float
    target_ms: float
    lost: float


def prunable(space: Space, pattern: Pattern = _ANYWHERE) -> dict[str, Pattern]:
    """Returns the layers of a single network that are pruned, and the pattern that each can have.

    All that mix channels, but the first layer, which has few weights, and the last, which answers for every
    class. Where a layer cannot have the pattern it is unstructured.

    Raises:
        UserError: where no layer can have the pattern.
    """
    layers = [layer for layer in space.layers(()) if layer.weight_shape is not None]
    found = {
        layer.name: pattern if not misplaced(pattern, layer.op, layer.kernel) else _ANYWHERE
        for layer in layers[:-1]
        if not misplaced(_ANYWHERE, layer.op, layer.kernel)
    }
    if pattern not in found.values():
        needs = " with 3x3 kernels" if isinstance(pattern, KernelPattern) else ""
        raise UserError(
            f"No layer{needs} of space {space.name!r} can have zeros in the pattern {pattern.name}; its "
            f"layers are {', '.join(sorted({layer.op for layer in layers}))}."
        )
    return found


def with_sparsity(space: Space, sparsities: Mapping[str, Sparsity]) -> Space:
    """Returns a single network with other zeros; layers that are not named are dense."""
    templates = tuple(
        replace(template, sparsity=constant(sparsities.get(template.name, DENSE)))
        for template in space.templates
    )
    return replace(space, templates=templates)


def shared_out(
    space: Space, fraction: float, pattern: Pattern = _ANYWHERE, *, how: Literal["uniform", "erk"] = "uniform"
) -> Space:
    """Returns a single network with an overall fraction of zeros in the layers that are pruned.

    Raises:
        UserError: for a fraction that would leave nothing, or that patterns do not allow.
    """
    patterns = prunable(space, pattern)
    layers = {layer.name: layer for layer in space.layers(())}
    shapes = [layers[name].weight_shape for name in patterns]
    share = {"uniform": distributions.uniform, "erk": distributions.erk}[how]
    fractions = share(shapes, fraction, list(patterns.values()))
    return with_fractions(space, dict(zip(patterns, fractions.tolist(), strict=True)), patterns)


def with_fractions(space: Space, fractions: Mapping[str, float], patterns: Mapping[str, Pattern]) -> Space:
    """Returns a single network with fractions of zeros by layer; next to none means dense."""
    # Six digits, so that a fraction survives being written down.
    rounded = {name: round(fraction, 6) for name, fraction in fractions.items()}
    return with_sparsity(
        space,
        {name: Sparse(f, _allowed(patterns[name], f)) for name, f in rounded.items() if f > 0},
    )


def _allowed(pattern: Pattern, fraction: float) -> Pattern:
    pattern.check(fraction)
    return pattern


def guided_fractions(
    layers: Sequence[Layer],
    weights: Weights,
    model: LatencyModel,
    patterns: Mapping[str, Pattern],
    *,
    target_ms: float | None = None,
    fraction: float | None = None,
) -> Guided:
    """Puts zeros where a device makes them pay.

    A layer is pruned only inside the band that the latency model says pays, and among all ways to meet the
    time the one that takes away least is found.

    Args:
        layers: of the network, whatever their zeros.
        weights: of the layers in `patterns`; only their magnitudes count, each layer's among themselves.
        model: of the device.
        patterns: of the layers that may have zeros.
        target_ms: what the whole network is to take; or
        fraction: the network is to be as fast as with this fraction of zeros in each of these layers.

    Raises:
        UserError: where zeros cannot make the network that fast.
    """
    if (target_ms is None) == (fraction is None):
        raise UserError("Expected a target in milliseconds or a fraction of zeros, found both or neither.")
    if fraction is not None:
        distributions.check_fraction(fraction)
    if target_ms is None:
        target_ms = model.predict(
            [
                sparse(layer, fraction, patterns[layer.name]) if layer.name in patterns else layer.dense()
                for layer in layers
            ]
        )
    correction = model.correction

    def us(layer: Layer) -> float:
        return correction.share_us(layer, model.layer_us(layer))

    options, rest_us = [], correction.fixed_us
    for layer in layers:
        if layer.name in patterns:
            options.append(_options(layer, weights[layer.name], patterns[layer.name], us))
        else:
            rest_us += us(layer.dense())
    bands = {option.name: guided.band(option) for option in options}
    within = [guided.inside_band(option) for option in options]

    def fractions(chosen: Sequence[int]) -> dict[str, float]:
        return {option.name: float(option.fractions[k]) for option, k in zip(within, chosen, strict=True)}

    def predicted_ms(chosen: Sequence[int]) -> float:
        zeros = fractions(chosen)
        return model.predict([_pruned(layer, zeros.get(layer.name, 0.0), patterns) for layer in layers])

    least = np.array([int(option.us.argmin()) for option in within])
    least_ms = predicted_ms(least)
    # Of two sums of the same times, one may be larger by the last bit.
    if least_ms > target_ms * (1 + 1e-9):
        raise UserError(
            f"Zeros make this network no faster than {least_ms:.4f} ms on device {model.device!r}, found a "
            f"target of {target_ms:.4f} ms; ask for more time or for a smaller network."
        )
    chosen = _allocated(within, rest_us, target_ms, predicted_ms, least)
    return Guided(
        fractions=fractions(chosen),
        bands=bands,
        predicted_ms=float(predicted_ms(chosen)),
        target_ms=float(target_ms),
        lost=_lost(within, chosen),
    )


def _allocated(
    options: Sequence[guided.Options],
    rest_us: float,
    target_ms: float,
    predicted_ms: Callable[[Sequence[int]], float],
    least: np.ndarray,
) -> np.ndarray:
    """Returns each layer's option so that the network meets the target.

    A network takes longer than its layers' shares by a factor that depends on all of them. So layers are
    given the time that is left by the factor of the allocation before, until it meets the target and no
    longer changes.

    Args:
        least: the fastest options, which meet it.
    """
    best, chosen = least, least
    for _ in range(_ALLOCATIONS):
        shares_us = rest_us + sum(float(one.us[k]) for one, k in zip(options, chosen, strict=True))
        factor = 1e3 * predicted_ms(chosen) / shares_us
        budget_us = target_ms * 1e3 * (1 + 1e-9) / factor - rest_us
        if budget_us < sum(option.us.min() for option in options):
            break
        before, chosen = chosen, guided.allocate(options, budget_us=budget_us)
        meets = predicted_ms(chosen) <= target_ms * (1 + 1e-9)
        if meets and _lost(options, chosen) < _lost(options, best):
            best = chosen
        if (chosen == before).all():
            break
    return best


def _lost(options: Sequence[guided.Options], chosen: Sequence[int]) -> float:
    return float(sum(option.lost[k] for option, k in zip(options, chosen, strict=True)))


def _pruned(layer: Layer, fraction: float, patterns: Mapping[str, Pattern]) -> Layer:
    return sparse(layer, fraction, patterns[layer.name]) if fraction else layer.dense()


def sparse(layer: Layer, fraction: float, pattern: Pattern) -> Layer:
    """Returns a layer with zeros, as near to a fraction as its pattern allows."""
    low, high = distributions.bounds(pattern)
    return replace(layer, pattern=pattern, sparsity=min(max(fraction, low), high))


def _options(
    layer: Layer, weight: np.ndarray, pattern: Pattern, us: Callable[[Layer], float]
) -> guided.Options:
    low, high = distributions.bounds(pattern)
    grid = (low,) if isinstance(pattern, NByM) else tuple(f for f in _GRID if low <= f <= high)
    variants = [layer.dense(), *(sparse(layer, f, pattern) for f in grid)]
    energy = np.square(weight.astype(np.float64))
    kept = [np.ones(weight.shape, bool), *(pattern.keep(energy, f) for f in grid)]
    return guided.Options(
        name=layer.name,
        fractions=np.array([0.0, *grid]),
        us=np.array([us(variant) for variant in variants]),
        lost=guided.losses(weight, kept),
    )


def trained_weights(space: Space, params: Mapping[str, Mapping[str, np.ndarray]]) -> Weights:
    """Returns the weights of a single network's parameters as `Layer.weight_shape` says."""
    return {
        layer.name: np.asarray(outputs_first(np.asarray(params[layer.name]["weight"]), layer.op))
        for layer in space.layers(())
        if layer.weight_shape is not None
    }


def learned_patterns(space: Space, weights: Weights, *, count: int) -> KernelPattern:
    """Returns the kernel patterns that a trained network's 3x3 convolutions have by themselves.

    Raises:
        UserError: where it has no such layers.
    """
    kernels = [weights[layer.name] for layer in space.layers(()) if layer.op == "conv" and layer.kernel == 3]
    return natural_patterns(kernels, count=count)
