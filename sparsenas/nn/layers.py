"""Modules that hold the weights of layers; what they compute is in the files beside this one."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sparsenas.nn.batch_norm import CLAMPS, batch_norm, normalize
from sparsenas.nn.convolution import convolution
from sparsenas.nn.depthwise import depthwise
from sparsenas.nn.normalized import normalized
from sparsenas.nn.pointwise import pointwise
from sparsenas.nn.pure import Rank

Mixture = Sequence[tuple[float, jax.Array]]
"""Pairs (sparsity, its share); the shares add up to 1."""

ACTIVATIONS = CLAMPS


class Convolution(nnx.Module):
    """A convolution, batch normalisation and an activation.

    Attributes:
        weight: float32; [k, k, C, D] of a conv_hwc, [C, D] of a conv1x1, [k, k, C] of a depthwise.
        rank: of the same shape, the ranks of the weights where the layer has a choice of sparsities.
        scale, offset, mean, variance: float32 [D].
    """

    def __init__(
        self,
        op: str,
        shape: tuple[int, ...],
        *,
        stride: int,
        activation: str,
        ranked: bool,
        rng: np.random.Generator,
    ) -> None:
        self.op, self.stride, self.activation = op, stride, activation
        channels = shape[-1]
        fan_in = math.prod(shape[:-1])
        self.weight = nnx.Param(_he_normal(shape, fan_in, rng))
        self.rank = Rank(np.zeros(shape, np.float32)) if ranked else None
        self.scale = nnx.Param(np.ones(channels, np.float32))
        self.offset = nnx.Param(np.zeros(channels, np.float32))
        self.mean = nnx.BatchStat(np.zeros(channels, np.float32))
        self.variance = nnx.BatchStat(np.ones(channels, np.float32))

    def __call__(self, x: jax.Array, *, mixture: Mixture, mask: jax.Array | None, train: bool) -> jax.Array:
        """Returns [N, H', W', D].

        Args:
            x: [N, H, W, C].
            mixture: of sparsities; not read where the layer has no ranks.
            mask: [D], by which channels are multiplied before the activation.
            train: normalise with the statistics of this batch, and leave them in `mean` and `variance`.
        """
        weight = _pruned(self.weight[...], self.rank, mixture)
        scale, offset = self.scale[...], self.offset[...]
        if mask is not None:
            scale, offset = scale * mask, offset * mask
        if not train:
            x = normalize(self._convolved(x, weight), scale, offset, self.mean[...], self.variance[...])
            return ACTIVATIONS[self.activation](x)
        if self.op in ("conv1x1", "depthwise"):
            settings = {"stride": self.stride, "activation": self.activation}
            x, mean, variance = normalized(x, weight, scale, offset, **settings)
        else:
            x = self._convolved(x, weight)
            x, mean, variance = batch_norm(x, scale, offset, activation=self.activation)
        self.mean.set_value(mean)
        self.variance.set_value(variance)
        return x

    def _convolved(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        match self.op:
            case "conv_hwc":
                return convolution(x, weight, stride=self.stride)
            case "conv1x1":
                return pointwise(x, weight)
            case "depthwise":
                return depthwise(x, weight, stride=self.stride)
        raise ValueError(f"No such convolution: {self.op!r}.")


class FullyConnected(nnx.Module):
    """A linear layer and an activation.

    Attributes:
        weight: float32 [C, D].
        rank: [C, D], the ranks of the weights where the layer has a choice of sparsities.
        bias: float32 [D].
    """

    def __init__(
        self, shape: tuple[int, int], *, activation: str, ranked: bool, rng: np.random.Generator
    ) -> None:
        self.activation = activation
        c, d = shape
        self.weight = nnx.Param(_he_normal(shape, c, rng))
        self.rank = Rank(np.zeros(shape, np.float32)) if ranked else None
        self.bias = nnx.Param(np.zeros(d, np.float32))

    def __call__(self, x: jax.Array, *, mixture: Mixture, mask: jax.Array | None) -> jax.Array:
        """Returns [N, 1, 1, D] for x [N, 1, 1, C]; arguments as for `Convolution`."""
        weight, bias = _pruned(self.weight[...], self.rank, mixture), self.bias[...]
        if mask is not None:
            weight, bias = weight * mask[None], bias * mask
        return ACTIVATIONS[self.activation](pointwise(x, weight) + bias.reshape(1, 1, 1, -1))


def _he_normal(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator) -> np.ndarray:
    """Draws weights that keep the size of activations (He et al., 2015, https://arxiv.org/abs/1502.01852)."""
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / fan_in))


def _pruned(weight: jax.Array, rank: Rank | None, mixture: Mixture) -> jax.Array:
    """Returns the sum over the mixture of share * (weight without its smallest entries).

    A convolution is linear in its weights, so one weight can stand for a mixture of networks.
    """
    if rank is None:
        return weight
    return weight * sum(share * jnp.float32(rank[...] >= sparsity) for sparsity, share in mixture)
