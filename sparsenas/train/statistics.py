"""Means and variances of normalisation, measured anew once the weights are what they stay."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.train.batches import to_float

# The mean of so many batches is as good as that of all.
_BATCHES = 8


def settled(net: PureModule, variables: Variables, images: np.ndarray, *, batch: int) -> Variables:
    """Returns the variables of a network without choices, with statistics of its final weights.

    A running average mixes those of weights that have changed since; after a short training it may be far
    off. As in training, every batch is normalised by itself, and what they say is averaged (Wu and Johnson,
    2021, https://arxiv.org/abs/2105.07576).

    Args:
        images: uint8 [N, H, W, C], of the training.
        batch: images of a batch.
    """
    batch = min(batch, len(images))
    batches = min(_BATCHES, len(images) // batch)
    # Evenly spaced, as classes may come one after the other.
    chosen = np.linspace(0, len(images) - 1, batches * batch).round().astype(int)
    some = images[chosen].reshape(batch, batches, *images.shape[1:]).swapaxes(0, 1)

    @jax.jit
    def measure(variables: Variables, some: jax.Array) -> dict[str, dict[str, jax.Array]]:
        def of_batch(x: jax.Array) -> dict[str, dict[str, jax.Array]]:
            return net.apply(variables, to_float(x), (), train=True)[1]

        return {
            name: {
                "mean": found["mean"].mean(0),
                "variance": found["variance"].mean(0) + jnp.var(found["mean"], axis=0),
            }
            for name, found in lax.map(of_batch, some).items()
        }

    return variables._replace(stats=jax.device_get(measure(variables, some)))
