"""What a data set's name stands for."""

from pathlib import Path

import numpy as np

from sparsenas.data.cifar import load_cifar
from sparsenas.data.digits import load_digits
from sparsenas.data.image_folders import LAYOUT, load_images
from sparsenas.data.npz import ARRAYS, load_npz
from sparsenas.data.pictures import check_bytes, decode
from sparsenas.data.sources import KINDS, open_source, unreadable
from sparsenas.data.splits import Data, Report
from sparsenas.errors import UserError

EMBEDDED = ("digits",)
"""Data sets that need no files."""


def load(
    dataset: str,
    *,
    size: tuple[int, int],
    seed: int,
    limit: int | None = None,
    report: Report | None = None,
) -> Data:
    """Returns a data set as arrays; the same arguments give the same arrays.

    Every split has all classes in the proportions of the whole. Archives are read as streams: nothing is
    written to disk.

    Args:
        dataset: `digits` (scikit-learn's 1,797 handwritten digits); a folder or archive (.tar, .tar.gz,
            .tar.xz, .zip) with train/<class>/* and test/<class>/*, perhaps inside one more folder, or with
            the binary version of CIFAR-10 or CIFAR-100; or a .npz file with x_train, y_train, x_test and
            y_test. 15% of the training images become the validation split.
        size: (height, width) that every image is resized to, whatever its proportions.
        limit: at most this many images in each split.

    Raises:
        UserError: for an unknown name, a layout that does not fit, or a file that cannot be read.
    """
    if min(size) < 1:
        raise UserError(f"`size` must be a height and a width of at least 1, found {size}.")
    if limit is not None and limit < 1:
        raise UserError(f"`limit` must be at least 1, found {limit}.")
    if dataset == "digits":
        return load_digits(size, seed, limit)
    path = Path(dataset)
    if not path.is_dir() and not path.is_file():
        raise UserError(
            f"No data set named {dataset!r}, and no such file. There are: {', '.join(EMBEDDED)}; a folder or "
            f"archive ({KINDS}) with {LAYOUT} or with the binary version of CIFAR-10 or CIFAR-100, and a "
            f".npz file with {', '.join(ARRAYS)} work too."
        )
    if path.is_file() and path.suffix == ".npz":
        return load_npz(path, size=size, seed=seed, limit=limit)
    source = open_source(path)
    found = load_cifar(source, path, size=size, seed=seed, limit=limit, report=report)
    if found is not None:
        return found
    return load_images(source, path, size=size, seed=seed, limit=limit, report=report)


def read_image(path: str | Path, *, size: tuple[int, int]) -> np.ndarray:
    """Reads one image as `load` reads those of a data set: uint8 [H, W, 3]; raises `UserError`."""
    path = Path(path)
    try:
        check_bytes(path.name, path.stat().st_size, path.parent)
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    return decode(content, path.name, path.parent, size)
