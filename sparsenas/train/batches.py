"""Batches of images, drawn, moved and mixed at random from a seed."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Images classified in one pass; more do not go faster, but need memory.
EVALUATION_BATCH = 256


class Batch(NamedTuple):
    """One batch, as numbers: int32 [N], [N, 2] pixels, bool [N], int32 [N], float32 scalar.

    Attributes:
        partners: positions in the batch of the images that each is mixed with.
        share: of an image itself, the rest is its partner's; 1 where nothing is mixed.
    """

    indices: np.ndarray
    shifts: np.ndarray
    flips: np.ndarray
    partners: np.ndarray
    share: np.ndarray


def batches_of(
    size: int, *, batch: int, shift: int, flip: bool, mixup: float = 0.0, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yields batches for ever; every image once before any comes again.

    Args:
        mixup: alpha of the Beta distribution that shares are drawn from; 0 mixes nothing.
    """
    indices = np.empty(0, np.int32)
    n = batch
    while True:
        while len(indices) < n:
            indices = np.concatenate([indices, rng.permutation(size).astype(np.int32)])
        shifts = rng.integers(-shift, shift + 1, (n, 2), np.int32)
        flips = rng.random(n) < 0.5 if flip else np.zeros(n, bool)
        partners, share = np.arange(n, dtype=np.int32), np.float32(1)
        if mixup:
            partners, share = rng.permutation(partners), np.float32(rng.beta(mixup, mixup))
        yield Batch(indices[:n], shifts, flips, partners, share)
        indices = indices[n:]


def augmented(images: jax.Array, batch: Batch) -> jax.Array:
    """Returns the moved and mirrored images of a batch; the border repeats where they move away from it."""
    _, h, w, _ = images.shape
    rows = jnp.clip(jnp.arange(h)[None] + batch.shifts[:, :1], 0, h - 1)
    columns = jnp.clip(jnp.arange(w)[None] + batch.shifts[:, 1:], 0, w - 1)
    columns = jnp.where(batch.flips[:, None], columns[:, ::-1], columns)
    return images[batch.indices[:, None, None], rows[:, :, None], columns[:, None, :]]


def mixed(values: jax.Array, batch: Batch) -> jax.Array:
    """Returns share * values + (1 - share) * those of the partners (Zhang et al., 2018).

    https://arxiv.org/abs/1710.09412; images and targets are mixed alike.

    Args:
        values: float32 [N, ...].
    """
    return batch.share * values + (1 - batch.share) * values[batch.partners]


def in_batches(images: np.ndarray, most: int) -> np.ndarray:
    """Returns [batches, N, H, W, C] with N at most `most`; the last batch is filled up with zeros."""
    count = -(-len(images) // most)
    n = -(-len(images) // count)
    batches = np.zeros((count * n, *images.shape[1:]), images.dtype)
    batches[: len(images)] = images
    return batches.reshape(count, n, *images.shape[1:])


def to_float(images: jax.Array) -> jax.Array:
    """Returns uint8 images as networks take them, float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255
