"""Files and folders appear whole or not at all."""

import os
import stat

import pytest

from sparsenas import files
from sparsenas.errors import UserError


def test_a_folder_has_its_files_and_scripts_may_be_executed(tmp_path):
    size = files.write_folder(tmp_path / "made", {"a.txt": b"one", "deep/b.sh": b"#!/bin/sh\n"})
    assert size == 13
    assert (tmp_path / "made" / "a.txt").read_bytes() == b"one"
    assert os.access(tmp_path / "made" / "deep" / "b.sh", os.X_OK)
    assert not os.access(tmp_path / "made" / "a.txt", os.X_OK)


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_made_beside_gets_its_name_in_the_end(folder, tmp_path):
    path = tmp_path / "out"
    for content in (b"first", b"second"):
        with files.beside(path) as place:
            if folder:
                files.write_folder(place, {"a": content})
            else:
                files.write(place, content)
            assert not path.exists() or content == b"second"
        assert (path / "a" if folder else path).read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    readable = stat.S_IROTH | (stat.S_IXOTH if folder else 0)
    assert path.stat().st_mode & readable == readable


def test_nothing_remains_of_what_fails(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def fail():
        with files.beside(path) as place:
            files.write(place, b"new")
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write .*out"), files.beside(tmp_path / "file" / "out"):
        pass
