"""A data set in memory, and how images are shared out to its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sparsenas.data.pictures import fit
from sparsenas.errors import UserError

VALIDATION = 0.15
"""Of the training images: enough to tell candidates apart, without starving the training."""

Report = Callable[[int, int], None]
"""`(images read, images in all)`."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels, in an order drawn from the seed.

    Attributes:
        images: uint8 [N, H, W, 3], RGB.
        labels: int32 [N], positions in the data set's `classes`.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set in memory. Supernet and candidates learn from `train` and are compared on `validation`.

    Nothing is chosen by `test`: it only says how good the choice was.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split


def in_memory(
    name: str,
    classes: tuple[str, ...],
    train: Split,
    test: Split,
    *,
    size: tuple[int, int],
    seed: int,
    limit: int | None,
) -> Data:
    """Returns the data set of images that are in memory already.

    Args:
        train, test: images uint8 [N, H, W, 3] of any size; 15% of the former become the validation split.
        size: (height, width) that every image is resized to.
        limit: at most this many images in each split.
    """
    rng = np.random.default_rng(seed)
    learned, validated = stratify(train.labels, (1 - VALIDATION, VALIDATION), rng)
    if not len(validated):
        raise UserError(
            f"Expected two or more training images in a class of {name!r}, one to learn from and one to "
            "validate with, found one in each; add some."
        )

    def split(source: Split, rows: np.ndarray) -> Split:
        rows = rng.permutation(cap(rng.permutation(rows), source.labels, limit, name))
        return Split(resized(source.images[rows], size), source.labels[rows])

    return Data(
        name=name,
        classes=classes,
        train=split(train, learned),
        validation=split(train, validated),
        test=split(test, np.arange(len(test.labels))),
    )


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns uint8 [N, H, W, 3] of another size."""
    if images.shape[1:3] == size or not len(images):
        return images
    return np.stack([fit(Image.fromarray(image), size) for image in images])


def stratify(labels: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Cuts rows into parts with the given shares of every class, at random.

    A part gets at least one row of a class that has enough of them, earlier parts first.
    """
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        counts = _apportion(len(rows), np.array(shares))
        for part, chosen in zip(parts, np.split(rows, np.cumsum(counts)[:-1]), strict=True):
            part.append(chosen)
    return [np.concatenate(part) for part in parts]


def cap(rows: np.ndarray, labels: np.ndarray, limit: int | None, where: str) -> np.ndarray:
    """Returns `limit` rows with the proportions of all; of each class the first."""
    if limit is None or limit >= len(rows):
        return rows
    present, sizes = np.unique(labels[rows], return_counts=True)
    if limit < len(present):
        raise UserError(
            f"`limit` must leave an image of each of the {len(present)} classes of {where!r}, found {limit}."
        )
    counts = _apportion(limit, sizes)
    return np.concatenate(
        [rows[labels[rows] == label][:count] for label, count in zip(present, counts, strict=True)]
    )


def _apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Shares a number out by weight, in whole numbers, one at least for each where there are enough.

    What is left over goes to the largest fractions (Hamilton's method).

    >>> _apportion(10, np.array([0.55, 0.44, 0.01])).tolist()
    [5, 4, 1]
    """
    if total <= len(weights):
        return np.array([1] * total + [0] * (len(weights) - total))
    exact = weights / weights.sum() * total
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() > total:  # The small ones were rounded up at the cost of the largest.
        counts[np.argmax(counts)] -= 1
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts
