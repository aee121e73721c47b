"""Workers answer as worker.py says, and a worker that fails says why in one line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sparsenas.bench.peers import process
from sparsenas.bench.peers.process import OURS, WORKER, EngineError, Worker, find_python
from sparsenas.export.network import random_network, reference
from sparsenas.export.onnx import to_onnx
from sparsenas.export.snas import to_bytes
from sparsenas.networks.catalog import REFERENCES

HERE = Path(sys.executable)
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
CORE = max(CORES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network as model.snas, an image as image.npy and what it makes of that as expected.npy."""
    folder = tmp_path_factory.mktemp("worker")
    network = random_network(REFERENCES["mobilenet_v1"].layers(width=0.25, side=32, classes=5), seed=0)
    image = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    (folder / "model.snas").write_bytes(to_bytes(network))
    np.save(folder / "image.npy", image)
    np.save(folder / "expected.npy", reference(network, image)[0])
    return folder


@pytest.fixture(scope="module")
def worker(folder):
    with Worker(OURS, folder / "model.snas", [CORE], python=HERE) as worker:
        yield worker


def test_a_worker_computes_runs_and_knows_its_memory(worker, folder):
    found = worker.compute(folder / "image.npy", folder / "outputs.npy")
    np.testing.assert_allclose(found, np.load(folder / "expected.npy"), atol=1e-5)
    timing = worker.run(7)
    assert timing.seconds.shape == timing.core_seconds.shape == (7,)
    assert (timing.seconds > 0).all()
    # One thread has at most the time that passes, but for the distance of the two clocks.
    assert timing.core_seconds.sum() < 1.1 * timing.seconds.sum() + 1e-4
    peak = worker.peak_mb()
    assert peak is None or 10 < peak < 1000


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_every_thread_of_a_worker_stays_on_its_cores(worker):
    for task in Path(f"/proc/{worker._process.pid}/task").iterdir():
        assert f"Cpus_allowed_list:\t{CORE}\n" in (task / "status").read_text()
    assert os.sched_getaffinity(0) == CORES


def test_a_worker_goes_on_after_a_message_it_does_not_know(worker, folder):
    worker.compute(folder / "image.npy", folder / "outputs.npy")
    with pytest.raises(EngineError, match="sparsenas: ValueError: expected compute, run or memory, found"):
        worker.ask({"dance": True})
    assert worker.run(1).seconds.shape == (1,)


def test_a_worker_is_spoken_to_in_lines(folder):
    messages = [{"run": 1}, {"compute": str(folder / "image.npy"), "to": str(folder / "o.npy")}, {"run": 2}]
    done = subprocess.run(
        [sys.executable, WORKER, OURS, folder / "model.snas", "1"],
        input="\n".join(map(json.dumps, messages)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    hello, early, computed, ran = map(json.loads, done.stdout.splitlines())
    assert set(hello) == {"version"}
    assert early == {"error": "ValueError: expected an image to compute before runs"}
    assert computed == {}
    assert [len(seconds) for seconds in ran.values()] == [2, 2]
    assert (folder / "o.npy").exists()


def test_onnxruntime_prints_into_no_message(folder, tmp_path):
    pytest.importorskip("onnx", reason="needs packages: pip install 'sparsenas[peers]'")
    pytest.importorskip("onnxruntime", reason="needs packages: pip install 'sparsenas[peers]'")
    network = random_network(REFERENCES["mobilenet_v1"].layers(width=0.25, side=32, classes=5), seed=0)
    (tmp_path / "model.onnx").write_bytes(to_onnx(network))
    with Worker("onnxruntime", tmp_path / "model.onnx", [CORE], python=HERE) as worker:
        found = worker.compute(folder / "image.npy", tmp_path / "outputs.npy")
    np.testing.assert_allclose(found, np.load(folder / "expected.npy"), atol=1e-5)


def test_a_model_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "model.snas").write_bytes(b"no model")
    with pytest.raises(EngineError, match=r"^sparsenas: UserError: Model .*expected.*$"):
        Worker(OURS, tmp_path / "model.snas", [CORE], python=HERE)


def test_a_worker_that_dies_says_its_last_words(folder):
    with Worker(OURS, folder / "model.snas", [CORE], python=HERE) as worker:
        worker._process.kill()
        with pytest.raises(EngineError, match="sparsenas stopped with code -9: it said nothing"):
            worker.run(1)


def test_a_worker_that_does_not_answer_is_given_up(folder, monkeypatch):
    with Worker(OURS, folder / "model.snas", [CORE], python=HERE) as worker:
        worker.compute(folder / "image.npy", folder / "outputs.npy")
        monkeypatch.setattr(worker, "_patience", 0.05)
        started = time.monotonic()
        with pytest.raises(EngineError, match="did not answer within 0 s"):
            worker.run(10**6)
    assert time.monotonic() - started < 5


def test_a_missing_engine_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "DEEPSPARSE", tmp_path / "none")
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="openvino is left out, it is not installed: `make peers`, or pip"):
        find_python("openvino")
    with pytest.raises(EngineError, match="deepsparse is left out, it is not installed: `make peers`"):
        find_python("deepsparse")
    (tmp_path / "none").touch()
    assert find_python("deepsparse") == tmp_path / "none"
