"""Settings of the machine while it is measured."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from sparsenas import native
from sparsenas.errors import UserError

_VARIABLE = "SPARSENAS_ISA"


@contextlib.contextmanager
def instruction_set(isa: str | None) -> Iterator[str]:
    """Makes models use an instruction set inside a `with`, and yields its name.

    Args:
        isa: one of `native.isas()`; the best one where left out.

    Raises:
        UserError: where the machine does not have it.
    """
    before = os.environ.get(_VARIABLE)
    if isa is not None:
        os.environ[_VARIABLE] = isa
    try:
        yield native.isa()
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before


def cores_of(threads: int, core: int | None) -> list[int]:
    """Returns as many cores as threads, up to the one given or the last.

    Raises:
        UserError: where there are fewer.
    """
    with native.pinned(core) as last:
        if last is None:
            return [0] * threads  # Where nothing is kept on a core.
    allowed = sorted(os.sched_getaffinity(0))
    allowed = allowed[: allowed.index(last) + 1]
    if not 1 <= threads <= len(allowed):
        raise UserError(
            f"`threads` must be from 1 to {len(allowed)}, the cores up to core {last}, found {threads}."
        )
    return allowed[-threads:]


@contextlib.contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Keeps the calling thread, and what it starts, on some cores inside a `with`."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def copy_gbytes(size: int, *, repeats: int = 15) -> float:
    """Measures 10^9 bytes per second, read and written, that one core copies between two arrays.

    Args:
        size: bytes of both arrays together: they are in the innermost cache that holds so many.
    """
    a = np.zeros(max(size // 2, 4096), np.uint8)
    b = np.ones_like(a)
    # Many copies for each reading of the clock where one takes less than a microsecond.
    copies = max(1, 2**21 // a.size)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(copies):
            np.copyto(b, a)
        best = min(best, time.perf_counter() - started)
    return 2 * a.size * copies / best / 1e9
