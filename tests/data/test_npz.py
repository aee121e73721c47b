"""Numpy arrays as a data set, and what is said about arrays that are none."""

import re

import numpy as np
import pytest

from sparsenas.data import load
from sparsenas.errors import UserError

RNG = np.random.default_rng(0)


def arrays(shape=(9, 7, 3), classes=3, **changes):
    made = {
        "x_train": RNG.integers(0, 256, (30, *shape), np.uint8),
        "y_train": np.arange(30) % classes,
        "x_test": RNG.integers(0, 256, (12, *shape), np.uint8),
        "y_test": np.arange(12) % classes,
    } | changes
    return {name: array for name, array in made.items() if array is not None}


def write(tmp_path, names=None, **changes):
    path = tmp_path / "held.npz"
    np.savez_compressed(path, **arrays(**changes), **({} if names is None else {"classes": names}))
    return path


def read(path, **changes):
    return load(str(path), **{"size": (9, 7), "seed": 0} | changes)


def error_of(path):
    with pytest.raises(UserError) as info:
        read(path)
    text = str(info.value)
    assert "\n" not in text
    assert "held.npz" in text
    return text


def pairs(*splits):
    return sorted((i.tobytes(), int(y)) for s in splits for i, y in zip(s.images, s.labels, strict=True))


@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7, 1), (9, 7)])
@pytest.mark.parametrize("labels", [np.uint8, np.int64])
def test_every_image_comes_back_with_its_label(tmp_path, shape, labels):
    made = arrays(shape)
    made["y_train"] = made["y_train"].astype(labels)[:, None]
    np.savez(tmp_path / "held.npz", **made)
    data = read(tmp_path / "held.npz")
    assert data.name == "held"
    assert data.classes == ("0", "1", "2")
    for part, splits in (("train", (data.train, data.validation)), ("test", (data.test,))):
        x = made[f"x_{part}"].reshape(-1, 9, 7, shape[2] if len(shape) == 3 else 1)
        x = np.broadcast_to(x, (*x.shape[:3], 3))
        y = made[f"y_{part}"].ravel()
        assert pairs(*splits) == sorted((i.tobytes(), int(label)) for i, label in zip(x, y, strict=True))


def test_images_are_resized_and_classes_named(tmp_path):
    data = read(write(tmp_path, names=np.array(["ant", "bee", "cow"])), size=(4, 5), limit=6)
    assert data.train.images.shape == (6, 4, 5, 3)
    assert data.classes == ("ant", "bee", "cow")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x_test": None}, "x_test is missing, found x_train, y_train, y_test"),
        ({"x_train": RNG.random((30, 9, 7, 3))}, "x_train in .* should be uint8, 0 to 255, found float64"),
        ({"x_train": np.zeros((30, 3, 9, 7), np.uint8)}, r"found \[30, 3, 9, 7\]; channels come last"),
        ({"x_train": np.zeros((30, 9, 7, 4), np.uint8)}, r"found \[30, 9, 7, 4\]"),
        ({"x_train": np.zeros((0, 9, 7, 3), np.uint8), "y_train": np.zeros(0, int)}, r"found \[0, 9, 7, 3\]"),
        ({"x_test": np.zeros((12, 8, 7, 3), np.uint8)}, "of one size, found 9x7 and 8x7"),
        ({"y_train": np.arange(29) % 3}, r"should be 30 whole numbers, .* found int64 \[29\]"),
        ({"y_train": np.arange(30) % 3 / 1}, r"whole numbers, one for each image, found float64 \[30\]"),
        ({"y_train": np.arange(30) % 3 - 1}, "should be 0 to 65,535, found -1"),
        ({"y_train": np.where(np.arange(30) < 9, 10**9, 0)}, "should be 0 to 65,535, found 1000000000"),
        ({"y_train": np.arange(30) % 2 * 2}, "the highest is 2, but 1 has no image"),
        ({"y_train": np.zeros(30, int)}, "two or more classes in y_train .* found only 0"),
        ({"y_test": np.arange(12)}, "y_test of .* has label 11, but y_train only 0 to 2"),
        ({"names": np.array(["a", "b"])}, "should be 3 different names"),
        ({"names": np.array(["a", "b", "b"])}, "should be 3 different names"),
        ({"names": np.array(["a", "b", "c\t"])}, "that can be printed"),
        ({"names": np.arange(3)}, "found int64"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, says):
    assert re.search(says, error_of(write(tmp_path, **changes)))


def test_python_objects_are_not_read(tmp_path):
    ragged = np.empty(30, object)
    ragged[:] = [np.zeros((i + 1, 4, 3), np.uint8) for i in range(30)]
    assert "bring images of different sizes to one" in error_of(write(tmp_path, x_train=ragged))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_one_error(tmp_path, share):
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "save it again with np.savez" in error_of(path)


def test_a_flipped_byte_never_passes(tmp_path):
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    error_of(path)
