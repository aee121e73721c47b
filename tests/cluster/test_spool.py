import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sparsenas.cluster import spool

RECORD = {"metrics": {"accuracy": 0.5}, "node": "here", "seconds": 1.0}


def test_first_result_stays(tmp_path):
    assert spool.commit(tmp_path, "x", 0, RECORD, None) == RECORD
    assert spool.commit(tmp_path, "x", 0, {**RECORD, "node": "there"}, None) == RECORD
    assert spool.read(spool.place(tmp_path, "x", 0)) == RECORD
    assert spool.read(spool.place(tmp_path, "x", 1)) is None
    assert os.listdir(tmp_path / "results") == ["x-0.json"]


def test_one_of_many_wins(tmp_path):
    barrier = threading.Barrier(8)

    def commit(node):
        barrier.wait()
        return spool.commit(tmp_path, "x", 0, {**RECORD, "node": str(node)}, None)

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(commit, range(8)))
    won = spool.read(spool.place(tmp_path, "x", 0))
    assert told == [won] * 8
    assert os.listdir(tmp_path / "results") == ["x-0.json"]


def test_arrays_come_before_the_result(tmp_path):
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    spool.commit(tmp_path, "x", 1, RECORD, arrays)
    (found,) = spool.load_weights(tmp_path, "x", 1).values()
    assert np.array_equal(found, arrays["w"])


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b.replace(b"0.5", b"0.6"), lambda b: b""])
def test_damaged_results_do_not_count_and_stay(tmp_path, damage):
    spool.commit(tmp_path, "x", 0, RECORD, None)
    path = spool.place(tmp_path, "x", 0)
    content = damage(path.read_bytes())
    path.write_bytes(content)
    assert spool.read(path) is None
    assert (path.parent / f".{path.name}.damaged").read_bytes() == content
    assert spool.commit(tmp_path, "x", 0, RECORD, None) == RECORD


def test_results_are_text(tmp_path):
    spool.commit(tmp_path, "x", 0, RECORD, None)
    digest, _, text = spool.place(tmp_path, "x", 0).read_text().partition(" ")
    assert len(digest) == 64
    assert json.loads(text) == RECORD


def test_full_disk_is_said(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", results], check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        with pytest.raises(spool.DiskFull, match="No room left for results in"):
            spool.commit(tmp_path, "x", 0, RECORD, {"w": np.zeros(2**20, np.uint8)})
        (results / "ballast").write_bytes(b"\0" * 65536)
        with pytest.raises(spool.DiskFull):
            spool.commit(tmp_path, "y", 0, RECORD, None)
        assert sorted(os.listdir(results)) == ["ballast"]
        (results / "ballast").unlink()
        assert spool.commit(tmp_path, "y", 0, RECORD, None) == RECORD
    finally:
        subprocess.run(["umount", results], check=True)


def test_folder_is_known_by_its_id(tmp_path):
    identity = spool.identify(tmp_path)
    assert spool.identify(tmp_path) == identity
    assert spool.is_shared(tmp_path, identity)
    (tmp_path / "other").mkdir()
    assert spool.identify(tmp_path / "other") != identity
    assert not spool.is_shared(tmp_path / "other", identity)
    assert not spool.is_shared(tmp_path / "none", identity)
