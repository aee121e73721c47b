"""What a whole network takes, from what its layers take alone.

In a network a layer finds other things in the caches than in the loop it was measured in. So its share is

    share = sum_g scale[g] * [layer is of group g] * us + constant + sum_b rate[b] * bytes[b]
    network = fixed + sum of shares

fitted to whole networks by ridge regression of relative errors, towards the sum of layers as it is. All of
it adds up over layers, so that a million architectures are still a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from sparsenas.latency.features import weights_of
from sparsenas.space import Layer

# Layers of a group are off by one factor.
_GROUPS = ("pruned", "convolution", "depthwise", "other")
# Beside the groups' times: constants and megabytes.
_EXTRAS = ("layer", "read", "written", "weights")
# How much a term is expected to change a network's time.
_STIFFNESS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_LEAST_SHARE = 0.2
_COVERED = 0.9


@dataclass(frozen=True, eq=False)
class Correction:
    """What whole networks take beyond their layers.

    Attributes:
        fixed_us: what every network takes.
        rates: [groups + extras], a factor for each group and microseconds of each extra.
        networks: how many it was fitted to.
        error: relative half width that holds nine of ten networks that were left out of the fit.
    """

    fixed_us: float
    rates: np.ndarray
    networks: int
    error: float

    def share_us(self, layer: Layer, us: float) -> float:
        """Returns what a layer that takes `us` alone adds to a network."""
        return max(float(self.rates @ _terms(layer, us)), _LEAST_SHARE * float(self.rates[0]) * us)

    def network_us(self, layers: Sequence[Layer], us: Sequence[float]) -> float:
        """Returns what a network of layers takes that take `us` alone."""
        return self.fixed_us + sum(self.share_us(layer, one) for layer, one in zip(layers, us, strict=True))


def identity() -> Correction:
    """Returns the correction that adds layers up and changes nothing."""
    return Correction(0.0, np.array([1.0] * len(_GROUPS) + [0.0] * len(_EXTRAS)), 0, 0.0)


def fit(
    networks: Sequence[Sequence[Layer]],
    layers_us: Sequence[Sequence[float]],
    us: np.ndarray,
    *,
    prior: Correction | None = None,
) -> Correction:
    """Fits N networks.

    Args:
        layers_us: what the layers of each take alone.
        us: [N], what the networks take.
        prior: what to believe but for the data: `identity` where left out, or that of another device, whose
            scale may be any.
    """
    prior = prior or identity()
    x = np.array(
        [
            [1.0, *np.sum([_terms(layer, one) for layer, one in zip(layers, each, strict=True)], axis=0)]
            for layers, each in zip(networks, layers_us, strict=True)
        ]
    )
    believed = np.array([prior.fixed_us, *prior.rates])
    believed = believed * np.median(us / (x @ believed))
    scores = [(np.mean(np.abs(_left_out(x, us, believed, stiff))), stiff) for stiff in _STIFFNESS]
    stiff = min(scores)[1]
    rates = _ridge(x, us, believed, stiff)
    errors = np.abs(_left_out(x, us, believed, stiff))
    return Correction(
        fixed_us=float(rates[0]),
        rates=rates[1:],
        networks=len(us),
        error=float(np.quantile(errors, _COVERED)) if len(us) > 1 else 0.3,
    )


def _terms(layer: Layer, us: float) -> np.ndarray:
    if layer.sparsity:
        group = 0
    elif layer.op in ("conv1x1", "conv", "conv_hwc", "fully_connected"):
        group = 1
    else:
        group = 2 if layer.op == "depthwise" else 3
    terms = np.zeros(len(_GROUPS) + len(_EXTRAS))
    terms[group] = us
    inputs = 2 if layer.op == "add" else 1
    held = layer.nonzeros if layer.sparsity else weights_of(layer)
    terms[len(_GROUPS) :] = (
        1.0,
        4e-6 * inputs * layer.c_in * layer.height * layer.width,
        4e-6 * layer.c_out * layer.out_height * layer.out_width,
        4e-6 * held,
    )
    return terms


def _ridge(x: np.ndarray, us: np.ndarray, believed: np.ndarray, stiff: float) -> np.ndarray:
    """Returns the rates of least relative error that are near what is believed.

    Factors and the rate of weights are not negative, so that fewer weights never cost more.
    """
    a = x / us[:, None]
    # A rate may change by what changes a network by about this fraction.
    typical = np.maximum(np.sqrt(np.mean(a**2, axis=0)), 1e-9)
    pull = np.diag(typical) * stiff * np.sqrt(len(us))
    low = np.full(x.shape[1], -np.inf)
    low[: 1 + len(_GROUPS)] = 0
    low[-1] = 0
    found = lsq_linear(
        np.concatenate([a, pull]), np.concatenate([np.ones(len(us)), pull @ believed]), bounds=(low, np.inf)
    )
    return found.x


def _left_out(x: np.ndarray, us: np.ndarray, believed: np.ndarray, stiff: float) -> np.ndarray:
    """Returns the relative error [N] of each network by a fit to the others."""
    if len(us) < 2:
        return x @ believed / us - 1
    errors = []
    for i in range(len(us)):
        others = np.arange(len(us)) != i
        errors.append(x[i] @ _ridge(x[others], us[others], believed, stiff) / us[i] - 1)
    return np.array(errors)
