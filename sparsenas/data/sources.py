"""Files in folders and archives, listed first and read when they are wanted."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsenas.data.pictures import check_bytes, reason_of
from sparsenas.errors import UserError

KINDS = ".tar, .tar.gz, .tar.xz or .zip"
"""Archives that are read."""

# What desktop systems leave in folders, beside files whose name starts with a dot.
_CLUTTER = ("__macosx", "thumbs.db", "desktop.ini")
READING_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,  # A zip compressed by a method that Python lacks.
    RuntimeError,  # A zip with a password.
    OSError,
)


class Source(NamedTuple):
    """Files in a folder or archive.

    Attributes:
        names: of all files, with `/` between folders; the name of a folder ends in `/`.
        read: yields some files with their content, in any order.
    """

    names: Sequence[str]
    read: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]


def open_source(path: Path) -> Source:
    """Lists a folder or an archive; raises `UserError` where it cannot be read."""
    return _folder(path) if path.is_dir() else _archive(path)


def contents(source: Source, names: Iterable[str], path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields files with their content, in any order; raises `UserError` where one cannot be read."""
    found = source.read(names)
    while True:
        try:
            yield next(found)
        except StopIteration:
            return
        except READING_ERRORS as error:
            raise unreadable(path, error) from None


def _folder(root: Path) -> Source:
    def listing(folder: Path, *, depth: int) -> Iterator[str]:
        for child in folder.iterdir():
            if not is_clutter(child.name):
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
            check_bytes(name, path.stat().st_size, root)
            yield name, path.read_bytes()

    try:
        return Source(list(names()), read)
    except OSError as error:
        raise unreadable(root, error) from None


def _archive(path: Path) -> Source:
    try:
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
        return _zip(path) if is_zip else _tar(path)
    except READING_ERRORS as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"Cannot read {str(error.filename or path)!r}: {error.strerror}.")
    if isinstance(error, tarfile.ReadError) and "could not be opened successfully" in str(error):
        return UserError(
            f"Expected a folder or an archive ({KINDS}) in {str(path)!r}, found another kind of file."
        )
    return UserError(f"Cannot read the archive {str(path)!r}: {reason_of(error)}; pack or download it again.")


def _zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        # Some Windows programs write backslashes.
        members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}

    def read(chosen: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(path) as archive:
            for name in chosen:
                check_bytes(name, members[name].file_size, path)
                yield name, archive.read(members[name])

    return Source(list(members), read)


def _tar(path: Path) -> Source:
    """Goes through the archive twice, for the names and for the images: cheaper than keeping what is read.

    Knowing all names first, nothing is decoded in vain, and a wrong layout shows at once.
    """
    names: list[str] = []
    with tarfile.open(path) as archive:
        for member in archive:
            if (member.issym() or member.islnk()) and not is_clutter(member.name):
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
                    check_bytes(member.name, member.size, path)
                    yield member.name, archive.extractfile(member).read()

    return Source(names, read)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises `ReadError` where the archive does not end, but breaks off.

    `tarfile` takes a damaged header for the end, and never sees the checksum behind it.
    """
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"damaged header at byte {archive.offset}")
    while archive.fileobj.read(2**20):
        pass


def is_clutter(name: str) -> bool:
    """Tells whether a path is hidden or in a hidden folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)
