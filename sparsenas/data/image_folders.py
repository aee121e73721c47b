"""Image files by class: train/<class>/* and test/<class>/*."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sparsenas.data.pictures import decode
from sparsenas.data.sources import Source, contents, is_clutter
from sparsenas.data.splits import VALIDATION, Data, Report, Split, cap, stratify
from sparsenas.errors import UserError

LAYOUT = "train/<class>/* and test/<class>/*"
_REPORT_EVERY = 500


def load_images(
    source: Source, path: Path, *, size: tuple[int, int], seed: int, limit: int | None, report: Report | None
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
    learned, validated = stratify(labels["train"], (1 - VALIDATION, VALIDATION), rng)
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
        kept = rng.permutation(cap(shuffled, labels[part], limit, str(path)))
        images = np.empty((len(kept), *size, 3), np.uint8)
        splits[split] = Split(images, labels[part][kept])
        place.update({listed[part][index][1]: (images, row) for row, index in enumerate(kept)})

    for done, (name, content) in enumerate(contents(source, place, path), 1):
        images, row = place[name]
        images[row] = decode(content, name, path, size)
        if report and (done % _REPORT_EVERY == 0 or done == len(place)):
            report(done, len(place))
    name = path.name.removesuffix(path.suffix).removesuffix(".tar") if path.is_file() else path.resolve().name
    return Data(name=name, classes=classes, **splits)


def _by_class(names: Iterable[str], path: Path) -> dict[str, dict[str, list[str]]]:
    """Returns the image files of train and test by class, checked; raises `UserError`."""
    entries = [
        (name, [part for part in name.split("/") if part not in ("", ".")])
        for name in names
        if not is_clutter(name)
    ]
    top = {parts[0] for _, parts in entries if parts}
    if len(top) == 1 and not top & {"train", "test"}:  # One folder around everything.
        entries = [(name, parts[1:]) for name, parts in entries]
        top = {parts[0] for _, parts in entries if parts}

    where = repr(str(path))
    if missing := [part for part in ("train", "test") if part not in top]:
        found = ", ".join(sorted(top)[:8]) or "nothing"
        raise UserError(
            f"Expected {LAYOUT} in {where}, but {' and '.join(f'{part}/' for part in missing)} "
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
            raise UserError(f"No images in {part}/ of {where}; expected {LAYOUT}.")
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
