"""Arrays in a numpy file: x_train, y_train, x_test, y_test."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from sparsenas.data.pictures import reason_of
from sparsenas.data.splits import Data, Split, in_memory
from sparsenas.errors import UserError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path, *, size: tuple[int, int], seed: int, limit: int | None) -> Data:
    """Returns the data set of a .npz file.

    Images are uint8 [N, H, W, 3] in RGB, or [N, H, W] or [N, H, W, 1] in grey; labels are whole numbers [N]
    from 0, each of which has training images. An array `classes` of strings may name them.

    Raises:
        UserError: for a damaged file or arrays that are something else.
    """
    arrays = _read(path)
    train, test = (_split(arrays, part, path) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(
            f"Images of x_train and x_test in {str(path)!r} should be of one size, found "
            f"{_sides(train)} and {_sides(test)}; bring them to one."
        )
    count = int(train.labels.max()) + 1
    present = np.bincount(train.labels, minlength=count) > 0
    if count < 2 or present.sum() < 2:
        raise UserError(
            f"Expected two or more classes in y_train of {str(path)!r}, found only {train.labels.max()}."
        )
    if not present.all():
        raise UserError(
            f"Labels in y_train of {str(path)!r} should be 0 to the number of classes less one; the highest "
            f"is {count - 1}, but {int(np.argmin(present))} has no image: number the classes anew."
        )
    if test.labels.max() >= count:
        raise UserError(
            f"y_test of {str(path)!r} has label {test.labels.max()}, but y_train only 0 to {count - 1}."
        )
    classes = _classes(arrays.get("classes"), count, path)
    return in_memory(path.stem, classes, train, test, size=size, seed=seed, limit=limit)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f"Expected a whole .npz file in {str(path)!r}; save it again with np.savez.")
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            if missing := [name for name in ARRAYS if name not in names]:
                found = ", ".join(names[:8]) or "nothing"
                raise UserError(
                    f"Expected the arrays {', '.join(ARRAYS)} in {str(path)!r}; {', '.join(missing)} "
                    f"{'is' if len(missing) == 1 else 'are'} missing, found {found}."
                )
            return {name: file[name] for name in names if name in (*ARRAYS, "classes")}
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror or reason_of(error)}.") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        if "Object arrays" in str(error):
            raise UserError(
                f"Arrays of {str(path)!r} hold Python objects, which are not read, as they may run programs; "
                "bring images of different sizes to one and save them as uint8."
            ) from None
        raise UserError(
            f"Cannot read the arrays of {str(path)!r}: {reason_of(error)}; save it again with np.savez."
        ) from None


def _split(arrays: dict[str, np.ndarray], part: str, path: Path) -> Split:
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    where = f"x_{part} in {str(path)!r}"
    if images.dtype != np.uint8:
        raise UserError(
            f"{where} should be uint8, 0 to 255, found {images.dtype}; "
            "of floats from 0 to 1 it is (x * 255).round().astype(np.uint8)."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UserError(
            f"{where} should have shape [N, H, W, 3], [N, H, W, 1] or [N, H, W], found "
            f"{list(arrays[f'x_{part}'].shape)}; channels come last."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise UserError(
            f"y_{part} in {str(path)!r} should be {len(images)} whole numbers, one for each image, found "
            f"{labels.dtype} {list(labels.shape)}."
        )
    if labels.min() < 0 or labels.max() >= 2**16:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(f"Labels in y_{part} of {str(path)!r} should be 0 to 65,535, found {wrong}.")
    return Split(np.repeat(images, 3 // images.shape[-1], axis=-1), labels.astype(np.int32))


def _sides(split: Split) -> str:
    return "x".join(map(str, split.images.shape[1:3]))


def _classes(names: np.ndarray | None, count: int, path: Path) -> tuple[str, ...]:
    if names is None:
        return tuple(map(str, range(count)))
    found = tuple(map(str, names.tolist())) if names.ndim == 1 and names.dtype.kind == "U" else ()
    if len(set(found)) != count or not all(one and one.isprintable() for one in found):
        raise UserError(
            f"`classes` in {str(path)!r} should be {count} different names that can be printed, one for each "
            f"label, found {names.dtype} {list(names.shape)}."
        )
    return found
