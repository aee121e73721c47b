"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html), the binary version.

An image is one byte for its label (two in CIFAR-100, the coarse and the fine one), then 32 x 32 bytes of red,
as many of green and of blue, row by row.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sparsenas.data.sources import Source, contents
from sparsenas.data.splits import Data, Report, Split, in_memory
from sparsenas.errors import UserError

SIDE = 32
_PIXELS = SIDE * SIDE * 3


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Files of one of the two sets.

    Attributes:
        labels: bytes ahead of the pixels; the last one is the class.
        names: the file that names the classes, a line each.
    """

    name: str
    classes: int
    labels: int
    train: tuple[str, ...]
    test: str
    names: str


_LAYOUTS = (
    _Layout(
        name="cifar10",
        classes=10,
        labels=1,
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test="test_batch.bin",
        names="batches.meta.txt",
    ),
    _Layout(
        name="cifar100",
        classes=100,
        labels=2,
        train=("train.bin",),
        test="test.bin",
        names="fine_label_names.txt",
    ),
)
# The versions for Python, which is pickled, and for Matlab.
_OTHERS = {"data_batch_1": "Python", "data_batch_1.mat": "Matlab", "train.mat": "Matlab"}


def load_cifar(
    source: Source,
    path: Path,
    *,
    size: tuple[int, int],
    seed: int,
    limit: int | None,
    report: Report | None,
) -> Data | None:
    """Returns the data set of a folder or archive that holds one of the two; None where it is something else.

    Raises:
        UserError: for the pickled version, a missing or broken file.
    """
    places = {name: PurePosixPath(name) for name in source.names}
    files = {
        place.name: name
        for name, place in places.items()
        if len(place.parts) <= 2 and not name.endswith("/")  # Perhaps inside one folder.
    }
    layout = next((one for one in _LAYOUTS if {*one.train, one.test} & files.keys()), None)
    if layout is None:
        _refuse_other_versions(source, files, path)
        return None
    wanted = (*layout.train, layout.test)
    if missing := [name for name in wanted if name not in files]:
        raise UserError(
            f"Expected {', '.join(wanted)} of {layout.name} in {str(path)!r}; {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: unpack or download it again."
        )
    named = [layout.names] if layout.names in files else []
    found: dict[str, bytes] = {}
    for done, (name, content) in enumerate(contents(source, [files[n] for n in (*wanted, *named)], path), 1):
        found[PurePosixPath(name).name] = content
        if report:
            report(done, len(wanted) + len(named))
    parts = {name: _images(found[name], name, layout, path) for name in wanted}
    train = [parts[name] for name in layout.train]
    images = np.concatenate([part.images for part in train])
    labels = np.concatenate([part.labels for part in train])
    if len(np.unique(labels)) < 2:
        raise UserError(f"Expected images of two or more classes in {str(path)!r}, found only {labels[0]}.")
    classes = _classes(found.get(layout.names, b""), layout)
    return in_memory(
        layout.name, classes, Split(images, labels), parts[layout.test], size=size, seed=seed, limit=limit
    )


def _refuse_other_versions(source: Source, files: dict[str, str], path: Path) -> None:
    version = next((_OTHERS[name] for name in _OTHERS if name in files), None)
    folders = {path.name, *(part for name in source.names for part in PurePosixPath(name).parts[:-1])}
    if version is None and "cifar-100-python" in folders:
        version = "Python"
    if version is not None:
        raise UserError(
            f"{str(path)!r} is CIFAR's {version} version; take the binary version instead "
            "(cifar-10-binary.tar.gz or cifar-100-binary.tar.gz), which holds plain bytes and no program."
        )


def _images(content: bytes, name: str, layout: _Layout, path: Path) -> Split:
    record = layout.labels + _PIXELS
    count, rest = divmod(len(content), record)
    if rest or not count:
        raise UserError(
            f"{name} in {str(path)!r} should be images of {record:,} bytes each, found {len(content):,} "
            f"bytes, {rest:,} too many for {count:,} images; it may be cut off: download it again."
        )
    rows = np.frombuffer(content, np.uint8).reshape(count, record)
    labels = rows[:, layout.labels - 1].astype(np.int32)
    if labels.max() >= layout.classes:
        wrong = int(np.argmax(labels >= layout.classes))
        raise UserError(
            f"Image {wrong} of {name} in {str(path)!r} has label {labels[wrong]}, expected 0 to "
            f"{layout.classes - 1}; it may be the file of another data set."
        )
    images = rows[:, layout.labels :].reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), labels)


def _classes(content: bytes, layout: _Layout) -> tuple[str, ...]:
    """Returns the names of the classes; their numbers where the file is missing or says something else."""
    names = tuple(content.decode("ascii", "replace").split())
    if len(names) == layout.classes and len(set(names)) == len(names) and all(map(str.isprintable, names)):
        return names
    return tuple(map(str, range(layout.classes)))
