"""From the name of a data set, a folder or an archive to arrays."""

import io
import lzma
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sparsenas.errors import UserError

EMBEDDED = ("digits",)
"""Data sets that need no files."""

_LAYOUT = "train/<class>/* and test/<class>/*"
_KINDS = ".tar, .tar.gz, .tar.xz or .zip"
# Of a folder's training images: enough to tell candidates apart, without starving the training.
_VALIDATION = 0.15
# Train, validation and test of a data set that comes in one piece.
_SHARES = (0.5, 0.2, 0.3)
# No photograph is larger; a header that claims more is damaged or an attack on the memory.
_LARGEST_FILE_BYTES = 256 * 2**20
_REPORT_EVERY = 500

# What desktop systems leave in folders, beside files whose name starts with a dot.
_CLUTTER = ("__macosx", "thumbs.db", "desktop.ini")
_READING_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,  # A zip compressed by a method that Python lacks.
    RuntimeError,  # A zip with a password.
    OSError,
)

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
        dataset: `digits` (scikit-learn's 1,797 handwritten digits), or a folder or archive (.tar, .tar.gz,
            .tar.xz, .zip) with train/<class>/* and test/<class>/*, perhaps inside one more folder.
            15% of its training images become the validation split.
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
        return _digits(size, seed, limit)
    path = Path(dataset)
    if path.is_dir():
        source = _folder(path)
    elif path.is_file():
        source = _archive(path)
    else:
        raise UserError(
            f"No data set named {dataset!r}, and no such file. There are: {', '.join(EMBEDDED)}; a folder or "
            f"archive ({_KINDS}) with {_LAYOUT} works too."
        )
    return _load(source, path, size=size, seed=seed, limit=limit, report=report)


def read_image(path: str | Path, *, size: tuple[int, int]) -> np.ndarray:
    """Reads one image as `load` reads those of a data set: uint8 [H, W, 3]; raises `UserError`."""
    path = Path(path)
    try:
        _check_bytes(path.name, path.stat().st_size, path.parent)
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    return _decode(content, path.name, path.parent, size)


def _digits(size: tuple[int, int], seed: int, limit: int | None) -> Data:
    from sklearn.datasets import load_digits  # Takes a second to import.

    digits = load_digits()
    rng = np.random.default_rng(seed)
    labels = digits.target.astype(np.int32)
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)

    def split(rows: np.ndarray) -> Split:
        rows = rng.permutation(_cap(rows, labels, limit, "digits"))
        images = np.stack([_fit(Image.fromarray(grey[row]), size) for row in rows])
        return Split(images, labels[rows])

    train, validation, test = map(split, _stratify(labels, _SHARES, rng))
    classes = tuple(str(name) for name in digits.target_names)
    return Data(name="digits", classes=classes, train=train, validation=validation, test=test)


class _Source(NamedTuple):
    """Files in a folder or archive.

    Attributes:
        names: of all files, with `/` between folders; the name of a folder ends in `/`.
        read: yields some files with their content, in any order.
    """

    names: Sequence[str]
    read: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]


def _folder(root: Path) -> _Source:
    def listing(folder: Path, *, depth: int) -> Iterator[str]:
        for child in folder.iterdir():
            if not _is_clutter(child.name):
                is_folder = child.is_dir()
                yield child.relative_to(root).as_posix() + "/" * is_folder
                if is_folder and depth > 1:
                    yield from listing(child, depth=depth - 1)

    def names() -> Iterator[str]:
        # Looks where images belong and nowhere else: somebody may give a home directory by mistake.
        top = list(listing(root, depth=1))
        yield from top
        inner = root
        if len(top) == 1 and top[0].endswith("/") and top[0] not in ("train/", "test/"):
            inner = root / top[0]
            yield from listing(inner, depth=1)
        for part in ("train", "test"):
            if (inner / part).is_dir():
                yield from listing(inner / part, depth=2)

    def read(chosen: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in chosen:
            path = root / name
            _check_bytes(name, path.stat().st_size, root)
            yield name, path.read_bytes()

    try:
        return _Source(list(names()), read)
    except OSError as error:
        raise _unreadable(root, error) from None


def _archive(path: Path) -> _Source:
    try:
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
        return _zip(path) if is_zip else _tar(path)
    except _READING_ERRORS as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"Cannot read {str(error.filename or path)!r}: {error.strerror}.")
    if isinstance(error, tarfile.ReadError) and "could not be opened successfully" in str(error):
        return UserError(
            f"Expected a folder or an archive ({_KINDS}) in {str(path)!r}, found another kind of file."
        )
    return UserError(f"Cannot read the archive {str(path)!r}: {_reason(error)}; pack or download it again.")


def _reason(error: Exception) -> str:
    """Returns an exception's message as part of a line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _zip(path: Path) -> _Source:
    with zipfile.ZipFile(path) as archive:
        # Some Windows programs write backslashes.
        members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}

    def read(chosen: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(path) as archive:
            for name in chosen:
                _check_bytes(name, members[name].file_size, path)
                yield name, archive.read(members[name])

    return _Source(list(members), read)


def _tar(path: Path) -> _Source:
    """Goes through the archive twice, for the names and for the images: cheaper than keeping what is read.

    Knowing all names first, nothing is decoded in vain, and a wrong layout shows at once.
    """
    names: list[str] = []
    with tarfile.open(path) as archive:
        for member in archive:
            if (member.issym() or member.islnk()) and not _is_clutter(member.name):
                raise UserError(
                    f"Expected files in the archive {str(path)!r}, found the link {member.name!r}; "
                    "pack files instead of links: tar --dereference --hard-dereference."
                )
            if member.isfile():
                names.append(member.name)
            elif member.isdir():
                names.append(f"{member.name}/")
        _check_end(archive)

    def read(chosen: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        wanted = set(chosen)
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name in wanted:
                    _check_bytes(member.name, member.size, path)
                    yield member.name, archive.extractfile(member).read()

    return _Source(names, read)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises `ReadError` where the archive does not end, but breaks off.

    `tarfile` takes a damaged header for the end, and never sees the checksum behind it.
    """
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"damaged header at byte {archive.offset}")
    while archive.fileobj.read(2**20):
        pass


def _check_bytes(name: str, file_bytes: int, path: Path) -> None:
    if file_bytes > _LARGEST_FILE_BYTES:
        raise UserError(
            f"Image {name!r} in {str(path)!r} has {file_bytes:,} bytes, at most {_LARGEST_FILE_BYTES:,} "
            "are read; shrink or remove it."
        )


def _is_clutter(name: str) -> bool:
    """Tells whether a path is hidden or in a hidden folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)


def _load(
    source: _Source, path: Path, *, size: tuple[int, int], seed: int, limit: int | None, report: Report | None
) -> Data:
    files = _by_class(source.names, path)
    classes = tuple(sorted(files["train"]))
    rng = np.random.default_rng(seed)

    # Sorted, so that a folder and an archive of it give the same arrays.
    listed = {
        part: [(label, name) for label, c in enumerate(classes) for name in sorted(files[part].get(c, ()))]
        for part in files
    }
    labels = {part: np.array([label for label, _ in rows], np.int32) for part, rows in listed.items()}
    learned, validated = _stratify(labels["train"], (1 - _VALIDATION, _VALIDATION), rng)
    if not len(validated):
        raise UserError(
            f"Expected two or more images in a class of train/ in {str(path)!r}, one to learn from and one "
            "to validate with, found one in each; add some."
        )
    rows = {"train": learned, "validation": validated, "test": np.arange(len(labels["test"]))}

    splits: dict[str, Split] = {}
    place: dict[str, tuple[np.ndarray, int]] = {}
    for split, indices in rows.items():
        part = "test" if split == "test" else "train"
        shuffled = rng.permutation(indices)
        kept = rng.permutation(_cap(shuffled, labels[part], limit, str(path)))
        images = np.empty((len(kept), *size, 3), np.uint8)
        splits[split] = Split(images, labels[part][kept])
        place.update({listed[part][index][1]: (images, row) for row, index in enumerate(kept)})

    for done, (name, image) in enumerate(_decoded(source, place, path, size), 1):
        images, row = place[name]
        images[row] = image
        if report and (done % _REPORT_EVERY == 0 or done == len(place)):
            report(done, len(place))
    name = path.name.removesuffix(path.suffix).removesuffix(".tar") if path.is_file() else path.resolve().name
    return Data(name=name, classes=classes, **splits)


def _by_class(names: Iterable[str], path: Path) -> dict[str, dict[str, list[str]]]:
    """Returns the image files of train and test by class, checked; raises `UserError`."""
    entries = [
        (name, [part for part in name.split("/") if part not in ("", ".")])
        for name in names
        if not _is_clutter(name)
    ]
    top = {parts[0] for _, parts in entries if parts}
    if len(top) == 1 and not top & {"train", "test"}:  # One folder around everything.
        entries = [(name, parts[1:]) for name, parts in entries]
        top = {parts[0] for _, parts in entries if parts}

    where = repr(str(path))
    if missing := [part for part in ("train", "test") if part not in top]:
        found = ", ".join(sorted(top)[:8]) or "nothing"
        raise UserError(
            f"Expected {_LAYOUT} in {where}, but {' and '.join(f'{part}/' for part in missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; found {found}."
        )
    files: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for name, (part, *inner) in ((name, parts) for name, parts in entries if len(parts) > 1):
        is_folder = name.endswith("/")
        if part in files and (is_folder or len(inner) > 1):
            images = files[part].setdefault(inner[0], [])
            if not is_folder and len(inner) == 2:
                images.append(name)

    for part, by_class in files.items():
        if not any(by_class.values()):
            raise UserError(f"No images in {part}/ of {where}; expected {_LAYOUT}.")
        for c, images in sorted(by_class.items()):
            if not images:
                raise UserError(
                    f"Class {c!r} has no images in {part}/{c}/ of {where}; add some or remove the folder."
                )
            if not c.isprintable():  # A model file holds class names as plain text.
                raise UserError(
                    f"Class {c!r} in {part}/ of {where} has a name that cannot be printed; rename the folder."
                )
    if len(files["train"]) < 2:
        raise UserError(
            f"Expected two or more classes in train/ of {where}, found only {next(iter(files['train']))!r}; "
            "add a folder for each class."
        )
    if unknown := sorted(files["test"].keys() - files["train"].keys()):
        raise UserError(
            f"Class {unknown[0]!r} is in test/ of {where} but not in train/; add images to "
            f"train/{unknown[0]}/ or remove test/{unknown[0]}/."
        )
    return files


def _stratify(labels: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> list[np.ndarray]:
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


def _cap(rows: np.ndarray, labels: np.ndarray, limit: int | None, where: str) -> np.ndarray:
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


def _decoded(
    source: _Source, names: Iterable[str], path: Path, size: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields images by name: uint8 [H, W, 3]."""
    contents = source.read(names)
    while True:
        try:
            name, content = next(contents)
        except StopIteration:
            return
        except _READING_ERRORS as error:
            raise _unreadable(path, error) from None
        yield name, _decode(content, name, path, size)


def _decode(content: bytes, name: str, path: Path, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About odd but harmless metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content)) as image:
                # A JPEG is decoded at the smallest eighth that is still large enough; no-op for others.
                image.draft("RGB", (width, height))
                return _fit(image, size)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise UserError(
                f"Image {name!r} in {str(path)!r} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, "
                "which may be an attack on the memory; shrink or remove it."
            ) from None
        except Exception as error:  # Decoders raise anything at all for damaged files.
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else _reason(error)
            raise UserError(
                f"Cannot read the image {name!r} in {str(path)!r}: {reason}; mend or remove it."
            ) from None


def _fit(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Converts to RGB and resizes: uint8 [H, W, 3]."""
    height, width = size
    if image.mode.startswith("I"):  # 16 bits; Pillow would clip them at 255.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)
