"""WebAssembly kernels in node, as a device."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sparsenas import native
from sparsenas.backends.wasm import module, scripts
from sparsenas.bench.node import find_node
from sparsenas.errors import UserError
from sparsenas.latency.device import Lost, Round
from sparsenas.latency.machine import circumstances, free_cores
from sparsenas.latency.table import Kind


class Node:
    """Node on a core of this machine.

    Args:
        isa: wasm128 where left out, as node 20 has relaxed SIMD behind a flag only.

    Raises:
        UserError: where a tool is missing.
    """

    kind: Kind = "measured"
    capacity = 2**28

    def __init__(self, *, core: int | None = None, isa: str | None = None, busy: bool = False) -> None:
        self.name = "node"
        self._node, self._version = find_node()
        self._program = module(isa or "wasm128")
        self._core, self._busy = core, busy
        self._before: set[int] = set()
        self._cores: list[int] = []
        self._process: subprocess.Popen | None = None
        self.machine: dict[str, Any] = {}
        self.build = ""

    def __enter__(self) -> Self:
        if hasattr(os, "sched_getaffinity"):
            self._before = os.sched_getaffinity(0)
            self._cores = free_cores(self._core, 1, busy=self._busy)
        try:
            self.reconnect()
        except Lost as error:
            self.__exit__()
            raise UserError(f"{error}.") from None
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def reconnect(self) -> None:
        self._stop()
        if self._cores:
            os.sched_setaffinity(0, self._cores)
        try:
            self._process = subprocess.Popen(
                [self._node, "--no-warnings", str(scripts() / "turns_node.mjs"), str(self._program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            if self._before:
                os.sched_setaffinity(0, self._before)
        found = self._answer()
        cpu = native.cpu()
        self.machine = {**cpu, "cpu": f"{cpu['cpu']}, node {self._version}", "isa": found["isa"]}
        self.build = found["build"]

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        position = {key: i for i, key in enumerate(dict.fromkeys(map(id, models)))}
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{i}.snas" for i in range(len(position))]
            for model in models:
                files[position[id(model)]].write_bytes(model)
            order = [position[id(model)] for model in models]
            work = {"files": [str(path) for path in files], "order": order, "rounds": count}
            try:
                self._process.stdin.write(json.dumps(work) + "\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise self._lost() from None
            kernels = tuple(self._answer())
            for _ in range(count):
                yield Round(us=tuple(self._answer()), kernels=kernels)

    def circumstances(self) -> dict[str, Any]:
        return {"cores": self._cores, **circumstances(self._cores[-1] if self._cores else None)}

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise self._lost()
        return json.loads(line)

    def _lost(self) -> Lost:
        said = self._process.stderr.read().strip().splitlines() or ["it said nothing"]
        return Lost(f"node {self._version} stopped: {said[-1]}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                stream.close()
            self._process = None
