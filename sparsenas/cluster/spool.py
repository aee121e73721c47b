"""Results as files in the run folder: what a worker leaves before it says that it is done.

A result appears whole or not at all, and only the first one of a candidate: it is written beside its place
and linked to its name, which fails where the name exists; then file and folder are synced, side by side. It
is one line of JSON with its own hash, by which one that a machine lost half of as it stopped is known.
"""

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import checkpoint, files
from sparsenas.cluster.points import reach
from sparsenas.errors import UserError

_FOLDER = "results"
_IDENTITY = "run.id"


class DiskFull(Exception):
    """There is no room for a result."""


def identify(run: Path) -> str:
    """Returns the id of a run, which whoever sees its folder finds in it; makes one for a new run."""
    path = run / _IDENTITY
    if not path.exists():
        files.write(path, uuid.uuid4().hex)
    return path.read_text()


def is_shared(run: Path, identity: str) -> bool:
    """Tells whether this machine sees the folder of the run with that id."""
    try:
        return (run / _IDENTITY).read_text() == identity
    except OSError:
        return False


def place(run: Path, candidate: str, rung: int) -> Path:
    """Returns where the result of a candidate lies."""
    return run / _FOLDER / f"{candidate}-{rung}.json"


def weights_place(run: Path, candidate: str, rung: int) -> Path:
    """Returns where the arrays of a candidate lie that a higher rung starts from."""
    return run / _FOLDER / f"{candidate}-{rung}.safetensors"


def load_weights(run: Path, candidate: str, rung: int) -> dict[str, np.ndarray]:
    """Returns the arrays of a candidate; raises `UserError` where they are gone."""
    arrays, _ = checkpoint.load(weights_place(run, candidate, rung))
    return arrays


def commit(
    run: Path, candidate: str, rung: int, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None
) -> dict[str, Any]:
    """Writes a result and the arrays that belong to it; returns the record that counts, perhaps an earlier
    one.

    Raises:
        DiskFull: where there is no room.
    """
    path = place(run, candidate, rung)
    if (found := read(path)) is not None:
        return found
    what = f"{candidate}-{rung}"
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if arrays is not None:
            checkpoint.save(weights_place(run, candidate, rung), dict(arrays), about={"candidate": candidate})
            reach("weights", what)
        try:
            # Closed before it has its name: other machines see what was closed.
            temporary.write_bytes(_line(record))
            reach("temporary", what)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        # A disk takes as long for both as for one of them.
        with ThreadPoolExecutor(2) as side:
            list(side.map(_sync, (path, path.parent)))
    except (OSError, UserError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"No room left for results in {str(path.parent)!r}") from None
        raise
    reach("linked", what)
    found = read(path)
    if found is None:
        raise OSError(errno.EIO, "a result that was just written cannot be read", str(path))
    return found


def read(path: Path) -> dict[str, Any] | None:
    """Returns a result; None where there is none, or a damaged one, which is moved aside."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, _, text = content.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        with contextlib.suppress(OSError):
            os.replace(path, path.with_name(f".{path.name}.damaged"))
        return None
    return json.loads(text)


def _line(record: Mapping[str, Any]) -> bytes:
    text = (json.dumps(record, sort_keys=True) + "\n").encode()
    return hashlib.sha256(text).hexdigest().encode() + b" " + text


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
