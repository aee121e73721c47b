"""Batches of images, drawn, moved and mixed at random from a seed."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Images classified in one pass; more do not go faster, but need memory.
EVALUATION_BATCH = 256


class Batch(NamedTuple):
    """One batch, as numbers: int32 [N], [N, 2] pixels, bool [N], int32 [N], float32 scalar, float32 [N, 4].

    Attributes:
        partners: positions in the batch of the images that each is mixed with.
        share: of an image itself, the rest is its partner's; 1 where nothing is mixed.
        crops: top, left, height and width of the part of each image that fills it, as parts of the sides;
            None where all of it is shown.
    """

    indices: np.ndarray
    shifts: np.ndarray
    flips: np.ndarray
    partners: np.ndarray
    share: np.ndarray
    crops: np.ndarray | None = None


def batches_of(
    size: int,
    *,
    batch: int,
    shift: int,
    flip: bool,
    crop: float | None = None,
    mixup: float = 0.0,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Yields batches for ever; every image once before any comes again.

    Args:
        crop: least part of an image's area that is shown; all of it where left out.
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
        crops = None if crop is None else _crops(n, crop, rng)
        yield Batch(indices[:n], shifts, flips, partners, share, crops)
        indices = indices[n:]


def _crops(n: int, least: float, rng: np.random.Generator) -> np.ndarray:
    """Draws parts of images (Szegedy et al., 2015, https://arxiv.org/abs/1409.4842): float32 [n, 4].

    Their areas are uniform from `least` to 1, their proportions from 3:4 to 4:3, uniform in the logarithm;
    what would be longer than the image is as long as it.
    """
    area, ratio = rng.uniform(least, 1, n), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), n))
    sides = np.minimum(np.sqrt(np.stack([area / ratio, area * ratio], 1)), 1)  # [n, 2]
    corners = rng.random((n, 2)) * (1 - sides)
    return np.concatenate([corners, sides], 1).astype(np.float32)


def augmented(images: jax.Array, batch: Batch) -> jax.Array:
    """Returns the images of a batch: cropped, or moved, and mirrored.

    The border repeats where they move away from it. Crops fill the image by bilinear interpolation.

    Args:
        images: uint8 [images, H, W, C].

    Returns:
        [N, H, W, C], uint8, or float32 from 0 to 255 where there are crops.
    """
    if batch.crops is not None:
        return _cropped(images, batch)
    _, h, w, _ = images.shape
    rows = jnp.clip(jnp.arange(h)[None] + batch.shifts[:, :1], 0, h - 1)
    columns = jnp.clip(jnp.arange(w)[None] + batch.shifts[:, 1:], 0, w - 1)
    columns = jnp.where(batch.flips[:, None], columns[:, ::-1], columns)
    return images[batch.indices[:, None, None], rows[:, :, None], columns[:, None, :]]


def _cropped(images: jax.Array, batch: Batch) -> jax.Array:
    _, h, w, _ = images.shape
    top, left, height, width = jnp.asarray(batch.crops).T[:, :, None]  # [N, 1] each
    # Centres of pixels out, as positions among centres of pixels in.
    rows = jnp.clip((top + (jnp.arange(h)[None] + 0.5) / h * height) * h - 0.5, 0, h - 1)  # [N, H]
    columns = jnp.clip((left + (jnp.arange(w)[None] + 0.5) / w * width) * w - 0.5, 0, w - 1)
    columns = jnp.where(batch.flips[:, None], columns[:, ::-1], columns)
    first_row, first_column = jnp.floor(rows).astype(int), jnp.floor(columns).astype(int)
    total = jnp.zeros((len(batch.indices), h, w, images.shape[-1]))
    for r in (0, 1):
        for c in (0, 1):
            row, column = jnp.minimum(first_row + r, h - 1), jnp.minimum(first_column + c, w - 1)
            share = jnp.where(r, rows - first_row, 1 - rows + first_row)[:, :, None, None]
            share = share * jnp.where(c, columns - first_column, 1 - columns + first_column)[:, None, :, None]
            corner = images[batch.indices[:, None, None], row[:, :, None], column[:, None, :]]
            total = total + share * corner.astype(jnp.float32)
    return total


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
