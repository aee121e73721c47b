"""This machine as a device: kernels run in this process, on cores of their own."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.latency.device import Round
from sparsenas.latency.machine import circumstances, free_cores
from sparsenas.latency.table import Kind

LOCAL = "local"

# How long a model runs at each visit, so that the median is over many runs of a small one.
_VISIT_US = 700.0
_LEAST_RUNS = 3
# Model files may take a part of the memory; packed weights and activations take as much again.
_MEMORY_SHARE = 8


class Local:
    """The kernels of one instruction set on pinned cores.

    Args:
        core: the last of the cores that are used; a free one where left out.
        threads: the most that any measurement wants, so many cores must be free.
        isa: one of `native.isas()`; that of `native.isa()` where left out.
        busy: whether to measure on cores that others use as well.

    Raises:
        UserError: where there is no free core, or no such instruction set.
    """

    kind: Kind = "measured"

    def __init__(
        self,
        *,
        name: str = LOCAL,
        core: int | None = None,
        threads: int = 1,
        isa: str | None = None,
        busy: bool = False,
    ) -> None:
        self.name = name
        if isa is not None and isa not in native.isas():
            raise UserError(
                f"This machine has no instruction set {isa!r}; it has {', '.join(native.isas())}."
            )
        self._isa = isa or native.isa()
        self._core, self._threads, self._busy = core, threads, busy
        self._before: set[int] = set()
        self._cores: list[int] = []
        self.machine: dict[str, Any] = native.cpu() | {"isa": self._isa}
        self.build = native.build_id()
        self.capacity = _memory_bytes() // _MEMORY_SHARE

    def __enter__(self) -> Self:
        # Not every operating system keeps a thread on a core.
        if hasattr(os, "sched_getaffinity"):
            self._before = os.sched_getaffinity(0)
            self._cores = free_cores(self._core, self._threads, busy=self._busy)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before:
            os.sched_setaffinity(0, self._before)

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        if self._cores:
            os.sched_setaffinity(0, set(self._cores[-threads:]))
        loaded = {
            id(model): native.Model.from_bytes(model, isa=self._isa, threads=threads) for model in models
        }
        runs = {key: _runs(model) for key, model in loaded.items()}
        order = [id(model) for model in models]
        kernels = tuple(loaded[key].layers[-1].kernel_name for key in order)
        for _ in range(count):
            us = tuple(_visit_us(loaded[key], runs[key]) for key in order)
            yield Round(us=us, kernels=kernels)

    def reconnect(self) -> None:
        """Does nothing: this machine is never lost."""

    def circumstances(self) -> dict[str, Any]:
        niceness = {"niceness": os.nice(0)} if hasattr(os, "nice") else {}
        return {"cores": self._cores, **niceness, **circumstances(self._cores[-1] if self._cores else None)}


def _memory_bytes() -> int:
    """Returns the memory of this machine, a guess where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 4 * 2**30


def _runs(model: native.Model) -> int:
    return max(_LEAST_RUNS, round(_VISIT_US / max(_visit_us(model, _LEAST_RUNS), 1e-3)))


def _visit_us(model: native.Model, runs: int) -> float:
    """Returns the lower quartile of some runs: whatever else wants the core only ever adds to some."""
    return float(np.quantile(model.measure(runs), 0.25)) * 1e6
