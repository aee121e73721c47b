"""Writing files so that nobody ever sees half of one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sparsenas.errors import UserError


def write(path: str | os.PathLike, data: bytes | str) -> int:
    """Writes a file beside its place, syncs it and renames it; returns its size in bytes.

    The file appears whole or not at all, also when the machine stops in the middle. Folders on the way
    are made. Raises `UserError` where the file cannot be written.
    """
    path = Path(path)
    data = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would keep other users from reading it.
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(f"Cannot write {str(path)!r}: {error.strerror}.") from None
    return len(data)


def write_folder(path: Path, contents: Mapping[str, bytes]) -> int:
    """Writes files into a new folder and returns their size in bytes.

    Names may have folders in them; scripts, which begin with `#!`, may be executed.
    """
    for name, data in contents.items():
        write(path / name, data)
        if data.startswith(b"#!"):
            (path / name).chmod(0o755)
    return sum(map(len, contents.values()))


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yields a place beside `path` for what is to be `path`, be it a file or a folder, in the end.

    It goes to its name when the block ends; nothing remains where the block fails. What has the name is
    replaced: a file at once, a folder in two steps, so that a machine that stops between them leaves it under
    another name.

    Raises:
        UserError: where there is no room for it, or no right to write there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as workplace:
            place = Path(workplace) / "new" / path.name
            place.parent.mkdir()
            yield place
            if path.is_dir():
                os.replace(path, Path(workplace) / "old")
            os.replace(place, path)
    except OSError as error:
        raise UserError(f"Cannot write {str(path)!r}: {error.strerror}.") from None
