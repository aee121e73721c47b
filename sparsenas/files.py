"""Writing files so that nobody ever sees half of one."""

import os
import tempfile
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
