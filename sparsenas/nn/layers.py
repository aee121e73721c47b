"""Modules that hold the weights of layers; what they compute is in the files beside this one."""

import math

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

ACTIVATIONS = CLAMPS | {
    "hard_swish": lambda x: x * (jnp.clip(x + 3, 0, 6) / 6),
    "swish": jax.nn.silu,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": lambda x: jnp.clip(x + 3, 0, 6) / 6,
}

# Where a channel that is 0 would not stay so.
_NOT_ZERO_AT_ZERO = ("sigmoid", "hard_sigmoid")


def activate(name: str, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Applies an activation to channels that a mask may have made 0 before, and keeps them 0.

    Args:
        x: [N, H, W, D].
        mask: [D], the part of the networks that has each channel; None where all do.
    """
    y = ACTIVATIONS[name](x)
    if mask is None or name not in _NOT_ZERO_AT_ZERO:
        return y
    return y * mask.astype(y.dtype).reshape(1, 1, 1, -1)


def _early(name: str, mask: jax.Array | None) -> jax.Array | None:
    """Returns the mask by which channels are multiplied before an activation."""
    return None if name in _NOT_ZERO_AT_ZERO else mask


class Convolution(nnx.Module):
    """A convolution, batch normalisation and an activation.

    Attributes:
        weight: float32; [k, k, C, D] of a conv_hwc or conv, [C, D] of a conv1x1, [k, k, C] of a depthwise.
        rank: float32 [patterns, *weight], the ranks of the weights where the layer has a choice of zeros.
        scale, offset, mean, variance: float32 [D].
    """

    def __init__(
        self,
        op: str,
        shape: tuple[int, ...],
        *,
        stride: int,
        pad: int | None,
        activation: str,
        patterns: int,
        rng: np.random.Generator,
    ) -> None:
        self.op, self.stride, self.pad, self.activation = op, stride, pad, activation
        channels = shape[-1]
        fan_in = math.prod(shape[:-1])
        self.weight = nnx.Param(_he_normal(shape, fan_in, rng))
        self.rank = Rank(np.zeros((patterns, *shape), np.float32)) if patterns else None
        self.scale = nnx.Param(np.ones(channels, np.float32))
        self.offset = nnx.Param(np.zeros(channels, np.float32))
        self.mean = nnx.BatchStat(np.zeros(channels, np.float32))
        self.variance = nnx.BatchStat(np.ones(channels, np.float32))

    def __call__(
        self, x: jax.Array, *, kept: jax.Array | None, mask: jax.Array | None, train: bool
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Returns [N, H', W', D] of the type of `x`, and the mean and variance [D] that normalised it.

        Args:
            x: [N, H, W, C].
            kept: the part of the networks that has each weight, of a shape that broadcasts to the weight's.
            mask: [D], the part of the networks that has each channel.
            train: normalise with the statistics of this batch, not with those of the module.
        """
        weight = _of(self.weight[...], kept, x.dtype)
        scale, offset = self.scale[...], self.offset[...]
        early = _early(self.activation, mask)
        if early is not None:
            scale, offset = scale * early, offset * early
        # What is computed as one with the normalisation, if anything.
        clamp = self.activation if train and self.activation in CLAMPS else "none"
        # Sums over a batch need more digits than bfloat16 has.
        if not train:
            mean, variance = self.mean[...], self.variance[...]
            y = normalize(self._convolved(x, weight).astype(jnp.float32), scale, offset, mean, variance)
        elif self.op in ("conv1x1", "depthwise") and x.dtype == jnp.float32:
            y, mean, variance = normalized(x, weight, scale, offset, stride=self.stride, activation=clamp)
        else:
            y = self._convolved(x, weight).astype(jnp.float32)
            y, mean, variance = batch_norm(y, scale, offset, activation=clamp)
        if clamp == "none":
            y = activate(self.activation, y, mask)
        return y.astype(x.dtype), (mean, variance)

    def _convolved(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        match self.op:
            case "conv_hwc" | "conv":
                return convolution(x, weight, stride=self.stride, pad=self.pad)
            case "conv1x1":
                return pointwise(x, weight)
            case "depthwise":
                return depthwise(x, weight, stride=self.stride)
        raise ValueError(f"No such convolution: {self.op!r}.")


class FullyConnected(nnx.Module):
    """A linear layer and an activation.

    Attributes:
        weight: float32 [C * H * W, D], channel by channel and row by row.
        rank: [patterns, C * H * W, D], as for `Convolution`.
        bias: float32 [D].
    """

    def __init__(
        self, shape: tuple[int, int], *, activation: str, patterns: int, rng: np.random.Generator
    ) -> None:
        self.activation = activation
        c, d = shape
        self.weight = nnx.Param(_he_normal(shape, c, rng))
        self.rank = Rank(np.zeros((patterns, *shape), np.float32)) if patterns else None
        self.bias = nnx.Param(np.zeros(d, np.float32))

    def __call__(self, x: jax.Array, *, kept: jax.Array | None, mask: jax.Array | None) -> jax.Array:
        """Returns [N, 1, 1, D] for x [N, H, W, C]; arguments as for `Convolution`."""
        n, h, w, c = x.shape
        if h * w > 1:
            x = x.transpose(0, 3, 1, 2)
        y = pointwise(x.reshape(n, 1, 1, c * h * w), _of(self.weight[...], kept, x.dtype))
        y = y + self.bias[...].astype(x.dtype).reshape(1, 1, 1, -1)
        early = _early(self.activation, mask)
        if early is not None:
            y = y * early.astype(x.dtype).reshape(1, 1, 1, -1)
        return activate(self.activation, y, mask)


def _he_normal(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator) -> np.ndarray:
    """Draws weights that keep the size of activations (He et al., 2015, https://arxiv.org/abs/1502.01852)."""
    weight = rng.standard_normal(shape, np.float32)
    weight *= np.float32(math.sqrt(2 / fan_in))  # In place: weights may be hundreds of megabytes.
    return weight


def _of(weight: jax.Array, kept: jax.Array | None, dtype: jnp.dtype) -> jax.Array:
    """Returns the weights of a mixture: a convolution is linear in them, so one stands for many networks."""
    return (weight if kept is None else weight * kept).astype(dtype)
