"""Data sets from folders and archives, and what is said about those that are none."""

import io
import itertools
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparsenas.data import Data, load, read_image
from sparsenas.errors import UserError

SIZE = (6, 10)
GREEN_BLUE = {"ant": (10, 10), "bee": (250, 10), "cow": (10, 250)}
TRAIN, TEST = 20, 5


def png(color=(1, 2, 3), *, mode: str = "RGB", size: tuple[int, int] = (12, 9)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).convert(mode).save(file, "png")
    return file.getvalue()


def tree(prefix: str = "") -> dict[str, bytes]:
    """Returns files by name; the red channel of an image says which one it is."""
    files = {}
    for part, count, red in (("train", TRAIN, 0), ("test", TEST, 100)):
        for (name, green_blue), i in itertools.product(GREEN_BLUE.items(), range(count)):
            files[f"{prefix}{part}/{name}/{i:02}.png"] = png((red + i, *green_blue))
    return files


def write_folder(path: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return str(path)


def write_archive(path: Path, files: dict[str, bytes]) -> str:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, f"w:{path.suffix.removeprefix('.').removeprefix('tar')}") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return str(path)


def load_small(dataset: str, *, seed: int = 0, limit: int | None = None) -> Data:
    return load(dataset, size=SIZE, seed=seed, limit=limit)


def arrays(data: Data) -> list[np.ndarray]:
    return [a for split in (data.train, data.validation, data.test) for a in (split.images, split.labels)]


def assert_same(a: Data, b: Data) -> None:
    assert a.classes == b.classes
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)


def error_of(dataset: str, **arguments) -> str:
    with pytest.raises(UserError) as info:
        load_small(dataset, **arguments)
    text = str(info.value)
    assert "\n" not in text
    return text


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return write_folder(tmp_path / "animals", tree())


def test_digits_are_split_in_about_half_a_fifth_and_the_rest():
    data = load("digits", size=(16, 12), seed=3)
    assert data.classes == tuple("0123456789")
    sizes = [len(split.labels) for split in (data.train, data.validation, data.test)]
    assert sum(sizes) == 1797
    np.testing.assert_allclose(np.array(sizes) / 1797, [0.5, 0.2, 0.3], atol=0.005)
    for split in (data.train, data.validation, data.test):
        assert split.images.shape == (len(split.labels), 16, 12, 3)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
        # Ten classes of 9.7 to 10.2%; a stratified split is off by one image at most.
        np.testing.assert_allclose(np.bincount(split.labels) / len(split.labels), 0.1, atol=0.006)
    assert data.train.images.max() == 255


def test_digits_at_their_own_size_are_the_original_times_255_sixteenths():
    from sklearn.datasets import load_digits

    data = load("digits", size=(8, 8), seed=0)
    images = np.concatenate([s.images for s in (data.train, data.validation, data.test)])
    original = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(i[..., 0].tobytes() for i in images) == sorted(i.tobytes() for i in original)
    assert (images == images[..., :1]).all()


def test_no_image_is_in_two_splits(folder):
    data = load_small(folder)
    colors = [tuple(image[0, 0]) for s in (data.train, data.validation, data.test) for image in s.images]
    assert len(set(colors)) == len(colors) == 3 * (TRAIN + TEST)


def test_folder_gives_classes_by_name_and_every_image_its_label(folder):
    data = load_small(folder)
    assert data.name == "animals"
    assert data.classes == ("ant", "bee", "cow")
    assert data.train.images.shape == (3 * 17, *SIZE, 3)
    assert data.validation.images.shape == (3 * 3, *SIZE, 3)
    assert data.test.images.shape == (3 * TEST, *SIZE, 3)
    for split in (data.train, data.validation, data.test):
        assert len(set(np.bincount(split.labels))) == 1  # As many of each class.
        for image, label in zip(split.images, split.labels, strict=True):
            assert (image == image[0, 0]).all()
            assert tuple(image[0, 0, 1:]) == GREEN_BLUE[data.classes[label]]
            assert (image[0, 0, 0] >= 100) == (split is data.test)


def test_same_seed_gives_the_same_arrays_and_another_seed_others(folder):
    assert_same(load_small(folder, seed=7, limit=9), load_small(folder, seed=7, limit=9))
    a, b = load_small(folder, seed=7), load_small(folder, seed=8)
    assert not np.array_equal(a.validation.images, b.validation.images)


@pytest.mark.parametrize("prefix", ["", "./", "animals/", "./animals/"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tgz", ".zip"])
def test_archive_gives_what_its_folder_gives(tmp_path, folder, suffix, prefix):
    archive = tmp_path / f"packed{suffix}"
    files = dict(reversed(tree(prefix).items()))
    if suffix == ".tgz":
        write_archive(tmp_path / "a.tar.gz", files)
        (tmp_path / "a.tar.gz").rename(archive)
    else:
        write_archive(archive, files)
    data = load_small(str(archive))
    assert data.name == "packed"
    assert_same(data, load_small(folder))


def test_folder_inside_a_folder_is_found(tmp_path, folder):
    write_folder(tmp_path / "outer" / "inner", tree())
    assert_same(load_small(str(tmp_path / "outer")), load_small(folder))


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar"])
def test_hidden_files_are_no_images(tmp_path, folder, suffix):
    junk = dict.fromkeys(
        [
            ".DS_Store",
            "train/.DS_Store",
            "train/ant/._00.png",
            "train/bee/Thumbs.db",
            "__MACOSX/train/ant/._00.png",
        ],
        b"junk",
    )
    junk |= {"README.md": b"Animals.", "train/list.txt": b"ant"}
    files = tree() | junk
    path = tmp_path / f"junk{suffix}"
    dataset = write_archive(path, files) if suffix else write_folder(path, files)
    assert_same(load_small(dataset), load_small(folder))


def test_nothing_is_written(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "a.zip", tree() | {"../train/ant/evil.png": png()})
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    load_small(archive)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("limit", [3, 7, 10, 30])
def test_limit_caps_every_split_and_keeps_all_classes(folder, limit):
    data = load_small(folder, limit=limit)
    for split, whole in ((data.train, 51), (data.validation, 9), (data.test, 15)):
        counts = np.bincount(split.labels, minlength=3)
        assert counts.sum() == min(limit, whole)
        assert counts.max() - counts.min() <= 1


def test_a_larger_limit_keeps_the_images_of_a_smaller_one(folder):
    few = {image.tobytes() for image in load_small(folder, limit=6).train.images}
    more = {image.tobytes() for image in load_small(folder, limit=12).train.images}
    assert few < more


def test_rare_class_is_in_every_split(tmp_path):
    files = {n: c for n, c in tree().items() if "train/cow" not in n or n.endswith(("00.png", "01.png"))}
    data = load_small(write_folder(tmp_path / "a", files))
    assert np.bincount(data.train.labels).tolist() == [17, 17, 1]
    assert np.bincount(data.validation.labels).tolist() == [3, 3, 1]


def test_report_counts_up_to_all_images(folder):
    calls = []
    load(folder, size=SIZE, seed=0, report=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (75, 75)


def pixel(content: bytes, tmp_path: Path) -> tuple[int, ...]:
    """Returns the first pixel of an image as `load` sees it."""
    files = tree() | {f"train/ant/{i:02}.png": content for i in range(TRAIN)}
    data = load_small(write_folder(tmp_path / "a", files))
    image = data.train.images[data.train.labels == 0][0]
    return tuple(image[0, 0].tolist())


def saved(image: Image.Image, kind: str = "png", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.new("RGB", (9, 7), (200, 100, 50)), "png", (200, 100, 50)),
        (Image.new("L", (9, 7), 77), "png", (77, 77, 77)),
        (Image.new("1", (9, 7), 1), "png", (255, 255, 255)),
        (Image.new("LA", (9, 7), (77, 255)), "png", (77, 77, 77)),
        (Image.new("RGBA", (9, 7), (200, 100, 50, 255)), "png", (200, 100, 50)),
        (Image.new("RGBA", (9, 7), (200, 100, 50, 0)), "png", (255, 255, 255)),
        (Image.new("RGB", (9, 7), (200, 100, 50)).quantize(4), "png", (200, 100, 50)),
        (Image.new("RGB", (9, 7), (200, 100, 50)), "gif", (200, 100, 50)),
        (Image.fromarray(np.full((7, 9), 0x4D4D, np.uint16)), "png", (77, 77, 77)),
        (Image.new("CMYK", (9, 7), (0, 255, 255, 0)), "tiff", (255, 0, 0)),
    ],
    ids=["rgb", "grey", "bilevel", "grey_alpha", "opaque", "transparent", "palette", "gif", "16_bit", "cmyk"],
)
def test_every_mode_becomes_rgb(tmp_path, image, kind, expected):
    assert pixel(saved(image, kind), tmp_path) == expected


def test_large_jpeg_is_resized_to_what_it_shows(tmp_path):
    content = saved(Image.new("RGB", (1000, 700), (200, 100, 50)), "jpeg", quality=95)
    # JPEG's colours are rounded twice, by its conversion to YCbCr and by the quantization.
    np.testing.assert_allclose(pixel(content, tmp_path), (200, 100, 50), atol=3)


def test_read_image_gives_what_load_gives(tmp_path, folder):
    image = read_image(Path(folder) / "test" / "cow" / "03.png", size=SIZE)
    data = load_small(folder)
    assert any(np.array_equal(image, other) for other in data.test.images[data.test.labels == 2])
    assert image.shape == (*SIZE, 3)


def test_read_image_names_what_it_cannot_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="'a.png'.*not an image"):
        read_image(tmp_path / "a.png", size=SIZE)
    with pytest.raises(UserError, match="b.png.*No such file"):
        read_image(tmp_path / "b.png", size=SIZE)


def test_unknown_name_lists_the_known_ones():
    text = error_of("imagenet21k")
    assert "'imagenet21k'" in text
    assert "digits" in text
    assert "folder or archive" in text


@pytest.mark.parametrize("suffix", ["", ".zip"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda n: n.replace("test/", "val/"), ["test/ is missing", "train", "val"]),
        (
            lambda n: n.replace("train/", "a/").replace("test/", "b/"),
            ["train/ and test/ are missing", "a, b"],
        ),
        (lambda n: n.replace("test/cow", "test/dog"), ["'dog'", "not in train/"]),
        (lambda n: n.replace("/bee/", "/ant/b").replace("/cow/", "/ant/c"), ["two or more classes", "'ant'"]),
        (lambda n: n.replace("train/", "train/x/"), ["No images in train/"]),
        (lambda n: n.replace("/ant/", "/a\tnt/"), ["'a\\tnt'", "printed"]),
        (lambda n: n if n.startswith("train/") else "test/notes.txt", ["No images in test/"]),
    ],
    ids=["no_test", "neither", "test_only", "one_class", "too_deep", "unprintable", "no_images"],
)
def test_wrong_layout_says_what_is_missing(tmp_path, suffix, change, expected):
    files = {change(name): content for name, content in tree().items()}
    path = tmp_path / f"wrong{suffix}"
    if suffix:
        write_archive(path, files)
    else:
        write_folder(path, files)
    text = error_of(str(path))
    for part in (*expected, str(path)):
        assert part in text


def test_empty_class_is_named(folder):
    (Path(folder) / "train" / "dog").mkdir()
    assert "Class 'dog' has no images in train/dog/" in error_of(folder)


def test_empty_folder_is_no_data_set(tmp_path):
    assert "found nothing" in error_of(str(tmp_path))


def test_one_image_a_class_is_too_few_to_validate(tmp_path):
    files = {n: c for n, c in tree().items() if n.startswith("test") or n.endswith("00.png")}
    assert "two or more images" in error_of(write_folder(tmp_path / "a", files))


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.gz"])
@pytest.mark.parametrize("content", [b"", b"no image", png()[:40], png()[:-20] + b"x" * 20])
def test_damaged_image_is_named(tmp_path, suffix, content):
    files = tree() | {"train/bee/07.png": content}
    path = tmp_path / f"a{suffix}"
    text = error_of(write_archive(path, files) if suffix else write_folder(path, files))
    assert "'train/bee/07.png'" in text
    assert str(path) in text


def test_image_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12 * 9)
    files = tree() | {"test/cow/01.png": png(size=(13, 9))}
    text = error_of(write_folder(tmp_path / "a", files))
    assert "'test/cow/01.png'" in text
    assert "108 pixels" in text


def test_limit_below_the_number_of_classes_is_refused(folder):
    assert "3 classes" in error_of(folder, limit=2)
    assert "at least 1" in error_of(folder, limit=0)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_archive_is_one_error(tmp_path, suffix, share):
    path = tmp_path / f"a{suffix}"
    write_archive(path, tree())
    content = path.read_bytes().rstrip(b"\0")  # A tar ends with zeros that nobody misses.
    path.write_bytes(content[: int(len(content) * share)])
    assert repr(str(path)) in error_of(str(path))


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz", ".zip"])
def test_flipped_byte_in_an_archive_never_passes(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_archive(path, tree())
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    assert repr(str(path)) in error_of(str(path))


def test_damaged_header_inside_a_tar_is_no_end(tmp_path):
    path = tmp_path / "a.tar"
    write_archive(path, tree())
    content = bytearray(path.read_bytes())
    content[1024 * 30 : 1024 * 30 + 100] = b"x" * 100
    path.write_bytes(content)
    assert "damaged header at byte 30720" in error_of(str(path))


def test_other_file_is_no_archive(tmp_path):
    (tmp_path / "a.txt").write_text("hello\n" * 1000)
    assert "found another kind of file" in error_of(str(tmp_path / "a.txt"))


def test_link_in_an_archive_is_an_error_not_a_missing_image(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("train/ant/00.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    assert "the link 'train/ant/00.png'" in error_of(str(path))
