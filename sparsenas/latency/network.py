"""What a whole network takes, from what its layers take alone.

In a network a layer finds other things in the caches than in the loop it was measured in: weights that were
pushed out, activations that did not fit. So its share is

    share = sum_g scale[g] * [layer is of group g] * us + sum_e rate[e] * extra[e]
    network = crowding * (fixed + sum of shares)

The rates are fitted to whole networks by ridge regression of relative errors, towards the sum of layers as
it is; none is negative, so that a layer's share never grows when weights go. What is left depends on the
network as a whole (`crowding`), by sums over its layers: a million architectures are a few sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from sparsenas.latency import crowding
from sparsenas.latency.crowding import Crowding
from sparsenas.latency.features import Core, weights_of
from sparsenas.space import Layer

# Layers of a group are off by one factor.
_GROUPS = ("pruned", "convolution", "fully_connected", "depthwise", "other")
# Beside the groups' times: the part of the time of layers that are large for the level 2 cache; what every
# fully connected layer takes, and a megabyte of its weights, each used once; a megabyte of what comes from
# farther away than another layer's output: the image, or a tensor that waited for its second use.
_EXTRAS = ("large", "vector", "vector_weights", "far_input")
# How far rates are expected to be from what is believed, in microseconds where they are no factors: about
# what they were on a Zen 5 core.
_SPREAD = (*[0.033] * len(_GROUPS), 0.1, 2.0, 8.0, 5.0)
_SPREAD_FIXED = 1.0
# Part of the level 2 cache from which on a layer counts as large; at twice as much it does in full.
_LARGE = 0.3
# How far networks are expected to be from what their layers add up to, even with the right rates.
_OFF = 0.02
# How much harder or softer than that rates are pulled to what is believed.
_STIFFNESS = (0.3, 1.0, 3.0)
# Relative spread from which on a measurement counts less than half; error from which on it pulls no harder.
_DOUBTFUL = 0.04
_FAR = 0.03
_ROUNDS = 5
_COVERED = 0.9
# Fewer networks than these say nothing about crowding, and the error is that of so many fits to the others.
_CROWD = 20
_FOLDS = 8


@dataclass(frozen=True, eq=False)
class Correction:
    """What whole networks take beyond their layers.

    Attributes:
        fixed_us: what every network takes.
        rates: [groups + extras], a factor for each group and microseconds of each extra.
        crowding: the factor of the network as a whole.
        networks: how many it was fitted to.
        error: relative half width that holds nine of ten networks that were left out of the fit.
    """

    fixed_us: float
    rates: np.ndarray
    crowding: Crowding
    core: Core
    networks: int
    error: float

    def share_us(self, layer: Layer, us: float) -> float:
        """Returns what a layer that takes `us` alone adds to a network that is not crowded."""
        return float(self.rates @ _terms(layer, us, self.core))

    def factor(self, layers: Sequence[Layer], shares_us: Sequence[float]) -> float:
        """Returns how much longer a network takes than the shares of its layers."""
        weights, activations = np.sum([crowding.bytes_of(layer, self.core) for layer in layers], axis=0)
        return float(self.crowding(np.array(self.fixed_us + sum(shares_us)), weights, activations))


def identity(core: Core) -> Correction:
    """Returns the correction that adds layers up and changes nothing."""
    rates = np.array([1.0] * len(_GROUPS) + [0.0] * len(_EXTRAS))
    return Correction(0.0, rates, crowding.none(core), core, 0, 0.0)


def fit(
    networks: Sequence[Sequence[Layer]],
    layers_us: Sequence[Sequence[float]],
    us: np.ndarray,
    *,
    doubt: np.ndarray,
    prior: Correction,
) -> Correction:
    """Fits N networks.

    Args:
        layers_us: what the layers of each take alone.
        us: [N], what the networks take.
        doubt: [N], relative spread of each.
        prior: what to believe but for the data: `identity`, or the correction of another device. Its scale
            may be any.
    """
    x = np.array(
        [
            [1.0, *np.sum([_terms(*one, prior.core) for one in zip(layers, each, strict=True)], axis=0)]
            for layers, each in zip(networks, layers_us, strict=True)
        ]
    )
    of_bytes = np.array(
        [np.sum([crowding.bytes_of(layer, prior.core) for layer in layers], axis=0) for layers in networks]
    )
    data = _Networks(x, of_bytes, us, doubt)
    off = {
        stiff: np.abs(_left_out(data, prior, stiff))
        for stiff in (_STIFFNESS if len(us) > 1 else _STIFFNESS[:1])
    }
    trust = data.trust
    stiff = min(off, key=lambda one: np.average(off[one], weights=trust))
    rates, crowded = _fitted(data, prior, stiff)
    return Correction(
        fixed_us=float(rates[0]),
        rates=rates[1:],
        crowding=crowded,
        core=prior.core,
        networks=len(us),
        error=float(np.quantile(off[stiff], _COVERED)) if len(us) > 1 else 0.3,
    )


@dataclass(frozen=True, eq=False)
class _Networks:
    """N networks to fit to.

    Attributes:
        x: [N, 1 + groups + extras], sums of the terms of their layers.
        of_bytes: [N, 2], of weights and activations.
        us, doubt: [N].
    """

    x: np.ndarray
    of_bytes: np.ndarray
    us: np.ndarray
    doubt: np.ndarray

    @property
    def trust(self) -> np.ndarray:
        return 1 / (1 + (self.doubt / _DOUBTFUL) ** 2)

    def some(self, which: np.ndarray) -> "_Networks":
        return _Networks(self.x[which], self.of_bytes[which], self.us[which], self.doubt[which])

    def predicted(self, rates: np.ndarray, crowded: Crowding) -> np.ndarray:
        total = self.x @ rates
        return total * crowded(total, *self.of_bytes.T)


def _fitted(data: _Networks, prior: Correction, stiff: float) -> tuple[np.ndarray, Crowding]:
    """Returns the rates, that of what every network takes first, and the factor of networks as a whole."""
    believed = np.array([prior.fixed_us, *prior.rates])
    total = data.x @ believed
    before = prior.crowding(total, *data.of_bytes.T)
    scale = float(np.median(data.us / (total * before)))
    crowded = replace(prior.crowding, scale=prior.crowding.scale * scale)
    # As if no network were crowded: the factor of another device, or of a fit before, is taken out.
    rates = _ridge(data.x, data.us / before, data.trust, believed * scale, stiff)
    if len(data.us) < _CROWD:
        return rates, crowded
    sums = np.column_stack([data.x @ rates, data.of_bytes])
    return rates, crowding.fit(sums, data.us, data.doubt, prior.core)


def _terms(layer: Layer, us: float, core: Core) -> np.ndarray:
    if layer.op == "fully_connected":
        group = 2
    elif layer.op in ("conv1x1", "conv", "conv_hwc"):
        group = 0 if layer.sparsity else 1
    else:
        group = 3 if layer.op == "depthwise" else 4
    read = 4 * layer.c_in * layer.height * layer.width * (2 if layer.op == "add" else 1)
    written = 4 * layer.c_out * layer.out_height * layer.out_width
    # A weight that stands for itself has its place beside it.
    weights = 8 * layer.nonzeros if layer.sparsity else 4 * weights_of(layer)
    vector = layer.op == "fully_connected"
    large = (read + written + weights) / (_LARGE * core.l2_bytes) - 1
    terms = np.zeros(len(_GROUPS) + len(_EXTRAS))
    terms[group] = us
    terms[len(_GROUPS) :] = (
        us * min(max(large, 0), 1),
        vector,
        weights / 1e6 if vector else 0,
        read / 1e6 if group == 4 or layer.op == "conv_hwc" else 0,
    )
    return terms


def _ridge(
    x: np.ndarray, us: np.ndarray, trust: np.ndarray, expected: np.ndarray, stiff: float
) -> np.ndarray:
    """Returns the rates of least relative error that are near what is believed, none of them negative.

    Errors count in squares up to `_FAR` and as they are beyond (Huber, 1964,
    https://doi.org/10.1214/aoms/1177703732): a network that was disturbed does not bend all others.
    """
    spread = np.array([_SPREAD_FIXED, *_SPREAD]) * expected[1]
    pull = np.diag(stiff * _OFF / spread) * np.sqrt(len(us))
    rates, weight = expected, trust
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        a = np.concatenate([x / us[:, None] * root[:, None], pull])
        rates = nnls(a, np.concatenate([root, pull @ expected]))[0]
        weight = trust / np.maximum(1, np.abs(x @ rates / us - 1) / _FAR)
    return rates


def _left_out(data: _Networks, prior: Correction, stiff: float) -> np.ndarray:
    """Returns the relative error [N] of each network by a fit to others."""
    count = len(data.us)
    if count < 2:
        return np.zeros(count)
    errors = np.zeros(count)
    # Neighbours in the list are of different families, and so are those of a fold.
    fold = np.arange(count) % min(count, _FOLDS)
    for number in np.unique(fold):
        own = fold == number
        found = _fitted(data.some(~own), prior, stiff)
        errors[own] = data.some(own).predicted(*found) / data.us[own] - 1
    return errors
