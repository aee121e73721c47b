"""The other end of worker.py: finds the Python that has an engine, and talks to it."""

import contextlib
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sparsenas
from sparsenas.bench.machine import on_cores

WORKER = Path(__file__).with_name("worker.py")
# Where `make peers` puts the one engine that needs an older numpy, beside the package in a checkout.
DEEPSPARSE = Path(sparsenas.__file__).resolve().parents[1] / ".venv-deepsparse" / "bin" / "python"
# Engines take long to prepare a large network, or may never come back.
_ANSWER_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs networks, ours or another.

    Attributes:
        module: what is imported.
        model: the kind of model file that it reads.
        zeros: whether it computes faster where weights are zero, on a processor with AVX.
        install: how to get it.
    """

    module: str
    model: str
    zeros: bool
    install: str


_EXTRA = "`make peers`, or pip install 'sparsenas[peers]'"
OURS = "sparsenas"
ENGINES = {
    OURS: Engine(module="sparsenas", model="snas", zeros=True, install="pip install ."),
    "onnxruntime": Engine(module="onnxruntime", model="onnx", zeros=False, install=_EXTRA),
    "openvino": Engine(module="openvino", model="onnx", zeros=False, install=_EXTRA),
    "litert": Engine(module="ai_edge_litert", model="tflite", zeros=False, install=_EXTRA),
    "deepsparse": Engine(module="deepsparse", model="onnx", zeros=True, install="`make peers`"),
}
PEERS = tuple(name for name in ENGINES if name != OURS)


class EngineError(Exception):
    """An engine that cannot do what it is asked: one line that says why. Others go on without it."""


def find_python(engine: str) -> Path:
    """Returns the Python that an engine is installed for.

    Raises:
        EngineError: where there is none, with how to install it.
    """
    if importlib.util.find_spec(ENGINES[engine].module) is not None:
        return Path(sys.executable)
    if engine == "deepsparse" and DEEPSPARSE.exists():
        return DEEPSPARSE
    raise EngineError(f"{engine} is left out, it is not installed: {ENGINES[engine].install}")


def find_pythons(engines: Iterable[str], note: Callable[[str], None]) -> dict[str, Path]:
    """Returns the Python that each engine is installed for, and notes the ones that are not."""
    found = {}
    for engine in engines:
        try:
            found[engine] = find_python(engine)
        except EngineError as error:
            note(str(error))
    return found


@dataclass(frozen=True, eq=False)
class Timing:
    """Some runs: float64 [runs].

    Attributes:
        seconds: of each.
        core_seconds: how long each had a core, all threads together.
    """

    seconds: np.ndarray
    core_seconds: np.ndarray


class Worker:
    """An engine with a model in a process of its own on some cores, which ends with the `with` block.

    Args:
        program: what runs there.
        patience: seconds that an answer may take; any time if None.

    Attributes:
        version: of the engine.

    Raises:
        EngineError: where it does not start or cannot read the model.
    """

    def __init__(
        self,
        engine: str,
        model: Path,
        cores: Sequence[int],
        *,
        python: Path,
        program: Path = WORKER,
        patience: float | None = _ANSWER_SECONDS,
    ) -> None:
        self._engine, self._patience = engine, patience
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (its standard error, closed with it)
        self._unread = b""
        command = [str(python), str(program), engine, str(model), str(len(cores))]
        # All threads that it will ever have.
        with on_cores(cores):
            # Out of reach of Ctrl-C, which ends this process, which ends the others.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
                start_new_session=True,
            )  # fmt: skip
        try:
            self.version: str = self._answer()["version"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            # What was written to a process that is gone cannot be flushed.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def compute(self, images: Path, outputs: Path) -> np.ndarray:
        """Returns the outputs of images: float32 [N * outputs]. Both go through files, .npy."""
        self.ask({"compute": str(images), "to": str(outputs)})
        return np.load(outputs, allow_pickle=False)

    def run(self, times: int) -> Timing:
        """Runs so many times on the last images."""
        answer = self.ask({"run": times})
        return Timing(np.array(answer["seconds"]), np.array(answer["core_seconds"]))

    def peak_mb(self) -> float | None:
        """Returns the most memory that the process has had, in 2^20 bytes, where that is known."""
        return self.ask({"memory": True})["peak_mb"]

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Returns the program's answer to a message, a line each.

        Raises:
            EngineError: where the answer is a complaint, late, or none.
        """
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._stopped() from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        asked = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left = None if self._patience is None else self._patience - (time.monotonic() - asked)
                if not selector.select(left):
                    raise EngineError(f"{self._engine} did not answer within {self._patience:.0f} s")
                part = os.read(self._process.stdout.fileno(), 1 << 16)
                if not part:
                    raise self._stopped()
                self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(f"{self._engine}: {answer['error']}")
        return answer

    def _stopped(self) -> EngineError:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return EngineError(f"{self._engine} stopped with code {code}: {lines[-1].strip()}")
