"""How fast the latency service answers single questions over loopback."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas.errors import UserError

_CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True)
class ServiceRecord:
    """Requests a second with some connections that each wait for their answers, and what 99 of 100 take."""

    requests_per_second: float
    p99_ms: float


def bench_service(
    table: Path, layers: Sequence[str], *, core: int | None = None, requests: int = 6000
) -> ServiceRecord:
    """Starts the service in a process of its own on one core, and asks for one layer at a time.

    Args:
        layers: that are asked for in turn.
        core: of the service; the questions come from the others.

    Raises:
        UserError: where the service does not start, or an answer is wrong.
    """
    command = [sys.executable, "-m", "sparsenas", "serve", "--device", str(table), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = _port(server)
            with _apart(server.pid, core):
                asyncio.run(_ask(port, layers, len(layers)))  # What was never asked takes longer once.
                started = time.perf_counter()
                seconds = asyncio.run(_ask(port, layers, requests))
                elapsed = time.perf_counter() - started
        finally:
            server.terminate()
    return ServiceRecord(
        requests_per_second=round(len(seconds) / elapsed, 1),
        p99_ms=round(float(np.quantile(seconds, 0.99)) * 1e3, 3),
    )


@contextlib.contextmanager
def _apart(pid: int, core: int | None) -> Iterator[None]:
    """Keeps the service on one core and who asks on the others, where there are others."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    served = max(allowed) if core is None else core
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {served})
    os.sched_setaffinity(0, allowed - {served} or allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _port(server: subprocess.Popen) -> int:
    """Waits for the line that says where the service listens."""
    assert server.stdout is not None
    assert server.stderr is not None
    while line := server.stdout.readline():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise UserError(f"The service did not start: {server.stderr.read().strip()[-300:]}")


async def _ask(port: int, layers: Sequence[str], count: int) -> list[float]:
    """Returns the seconds of every question."""
    bodies = [json.dumps({"layers": [layer]}).encode() for layer in layers]
    questions = [
        b"POST /v1/latency HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]
    seconds: list[float] = []

    async def connection(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in range(first, count, _CONNECTIONS):
            started = time.perf_counter()
            writer.write(questions[i % len(questions)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            seconds.append(time.perf_counter() - started)
            if not head.startswith(b"HTTP/1.1 200") or b'"us"' not in body:
                status = head.split(b"\r\n")[0].decode("latin-1")
                raise UserError(f"The service answered {status!r} to a layer it knows.")
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection(first) for first in range(_CONNECTIONS)))
    return seconds
