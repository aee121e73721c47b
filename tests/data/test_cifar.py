"""CIFAR-10 and CIFAR-100 as their authors publish them, and what is said about files that are not that."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from sparsenas.data import load
from sparsenas.errors import UserError

RNG = np.random.default_rng(0)
TEN = "cifar-10-batches-bin"
HUNDRED = "cifar-100-binary"


def images(count):
    return RNG.integers(0, 256, (count, 32, 32, 3), np.uint8)


def record(image, *labels):
    """Returns one image as the files have it: labels, then a plane for each colour."""
    return bytes(labels) + image.transpose(2, 0, 1).tobytes()


def cifar10(count=20):
    """Returns files by name, and the images and labels in them."""
    files, held = {}, {}
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        pictures, labels = images(count), np.arange(count) % 10
        files[name] = b"".join(record(p, label) for p, label in zip(pictures, labels, strict=True))
        held[name] = (pictures, labels)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    files["batches.meta.txt"] = ("\n".join(names) + "\n\n").encode()
    files["readme.html"] = b"<html>"
    return files, held, tuple(names)


def write(path, files, folder=TEN):
    for name, content in files.items():
        (path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (path / folder / name).write_bytes(content)
    return path / folder


def pack(path, files, folder=TEN):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"{folder}/{name}", content)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def read(path, **changes):
    return load(str(path), **{"size": (32, 32), "seed": 0} | changes)


def error_of(path, **changes):
    with pytest.raises(UserError) as info:
        read(path, **changes)
    assert "\n" not in str(info.value)
    return str(info.value)


def pairs(*splits):
    return sorted(
        (image.tobytes(), int(label)) for s in splits for image, label in zip(s.images, s.labels, strict=True)
    )


@pytest.mark.parametrize("kind", ["folder", "folder in a folder", ".tar.gz", ".zip"])
def test_every_image_comes_back_with_its_label(tmp_path, kind):
    files, held, names = cifar10()
    path = pack(tmp_path / f"a{kind}", files) if kind.startswith(".") else write(tmp_path, files)
    data = read(path.parent if kind == "folder in a folder" else path)
    assert data.name == "cifar10"
    assert data.classes == names
    train = [(p.tobytes(), int(y)) for n in held if "data" in n for p, y in zip(*held[n], strict=True)]
    assert pairs(data.train, data.validation) == sorted(train)
    assert pairs(data.test) == sorted(
        (p.tobytes(), int(y)) for p, y in zip(*held["test_batch.bin"], strict=True)
    )
    assert np.bincount(data.validation.labels).tolist() == [1] * 10
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int32


def test_cifar100_has_the_fine_label(tmp_path):
    pictures = images(400)
    files = {
        "train.bin": b"".join(record(p, 7, i % 100) for i, p in enumerate(pictures[:300])),
        "test.bin": b"".join(record(p, 7, i % 100) for i, p in enumerate(pictures[300:])),
    }
    data = read(pack(tmp_path / "a.tar.gz", files, HUNDRED))
    assert data.name == "cifar100"
    assert data.classes == tuple(map(str, range(100)))
    assert pairs(data.test) == sorted((p.tobytes(), i % 100) for i, p in enumerate(pictures[300:]))


def test_other_sizes_limits_and_seeds_are_those_of_folders(tmp_path):
    path = write(tmp_path, cifar10()[0])
    small = read(path, size=(16, 20), limit=10)
    assert small.train.images.shape == (10, 16, 20, 3)
    assert sorted(small.train.labels) == list(range(10))
    np.testing.assert_array_equal(read(path, seed=3).train.images, read(path, seed=3).train.images)
    assert not np.array_equal(read(path, seed=3).train.images, read(path, seed=4).train.images)


def test_a_file_that_was_cut_off_is_named(tmp_path):
    files, *_ = cifar10()
    files["data_batch_3.bin"] = files["data_batch_3.bin"][:-100]
    said = error_of(write(tmp_path, files))
    assert "data_batch_3.bin" in said
    assert "3,073 bytes each, found 61,360 bytes, 2,973 too many for 19 images" in said
    files["data_batch_3.bin"] = b""
    assert "found 0 bytes" in error_of(write(tmp_path, files))
    (tmp_path / TEN / "data_batch_3.bin").unlink()
    assert "data_batch_3.bin is missing" in error_of(tmp_path / TEN)


def test_a_label_out_of_range_is_named(tmp_path):
    files, *_ = cifar10()
    files["test_batch.bin"] = files["test_batch.bin"][:3073] + record(images(1)[0], 10)
    assert "Image 1 of test_batch.bin" in (said := error_of(write(tmp_path, files)))
    assert "has label 10, expected 0 to 9" in said


def test_one_class_is_none(tmp_path):
    files = {name: record(images(1)[0], 4) * 5 for name in cifar10()[0] if name.endswith(".bin")}
    assert "two or more classes" in error_of(write(tmp_path, files))


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("cifar-10-batches-py", "data_batch_1", "Python"),
        ("cifar-100-python", "train", "Python"),
        ("cifar-10-batches-mat", "data_batch_1.mat", "Matlab"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_pickled_versions_are_refused(tmp_path, folder, name, version, packed):
    files = {name: b"\x80\x04junk", "batches.meta": b"\x80"}
    path = pack(tmp_path / "a.tar.gz", files, folder) if packed else write(tmp_path, files, folder)
    assert f"is CIFAR's {version} version; take the binary version" in error_of(path)


def test_a_broken_archive_is_one_error(tmp_path):
    path = pack(tmp_path / "a.tar.gz", cifar10()[0])
    path.write_bytes(path.read_bytes()[:-2000])
    assert repr(str(path)) in error_of(path)
