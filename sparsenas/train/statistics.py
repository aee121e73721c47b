"""Means and variances of normalisation, measured for weights that stay as they are.

As in training, every batch is normalised by itself, and what they say is averaged (Wu and Johnson, 2021,
https://arxiv.org/abs/2105.07576).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.supernet import Choices
from sparsenas.train.batches import to_float

Stats = dict[str, dict[str, jax.Array]]
"""`mean` and `variance` of layers by name."""

# The mean of so many batches is as good as that of all.
_BATCHES = 8


def spread_batches(images: np.ndarray, *, batch: int, most: int) -> np.ndarray:
    """Returns up to `most` batches of images, [batches, N, H, W, C].

    They are evenly spaced within each batch too, as classes may come one after the other.

    Args:
        images: [images, H, W, C].
        batch: images of a batch; all there are where they are fewer.
    """
    batch = min(batch, len(images))
    batches = min(most, len(images) // batch)
    chosen = np.linspace(0, len(images) - 1, batches * batch).round().astype(int)
    return images[chosen].reshape(batch, batches, *images.shape[1:]).swapaxes(0, 1)


def measured(
    net: PureModule, variables: Variables, batches: jax.Array, choices: Choices, **settings: Any
) -> Stats:
    """Returns the statistics that batches have in a network, averaged.

    Args:
        batches: uint8 [batches, N, H, W, C].
        settings: of `net.apply` beside `train`.
    """

    def of_batch(x: jax.Array) -> Stats:
        return net.apply(variables, to_float(x), choices, train=True, **settings)[1]

    return {
        name: {
            "mean": found["mean"].mean(0),
            "variance": found["variance"].mean(0) + jnp.var(found["mean"], axis=0),
        }
        for name, found in lax.map(of_batch, batches).items()
    }


def settled(net: PureModule, variables: Variables, images: np.ndarray, *, batch: int) -> Variables:
    """Returns the variables of a network without choices, with statistics of its final weights.

    A running average mixes those of weights that have changed since; after a short training it may be far
    off.

    Args:
        images: uint8 [N, H, W, C], of the training.
        batch: images of a batch.
    """
    some = spread_batches(images, batch=batch, most=_BATCHES)
    measure = jax.jit(lambda variables, some: measured(net, variables, some, ()))
    return variables._replace(stats=jax.device_get(measure(variables, some)))
