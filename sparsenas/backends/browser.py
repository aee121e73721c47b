"""WebAssembly kernels in Chromium without a window, as a device: it opens a page that asks for work."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Self

from sparsenas import native
from sparsenas.backends.page import Page
from sparsenas.chromium import OPTIMISED, Chromium, find_browser
from sparsenas.errors import UserError
from sparsenas.latency.device import Lost, Round
from sparsenas.latency.machine import circumstances, free_cores
from sparsenas.latency.table import Kind


class Browser:
    """Chromium on a core of this machine.

    Args:
        isa: the best of the browser where left out.
    """

    kind: Kind = "measured"
    capacity = 2**28

    def __init__(self, *, core: int | None = None, isa: str | None = None, busy: bool = False) -> None:
        self.name = "browser"
        find_browser()
        self._isa, self._core, self._busy = isa, core, busy
        self._cores: list[int] = []
        self._page: Page | None = None
        self._process: Chromium | None = None
        self.machine: dict[str, Any] = {}
        self.build = ""

    def __enter__(self) -> Self:
        if hasattr(os, "sched_getaffinity"):
            self._cores = free_cores(self._core, 1, busy=self._busy)
        try:
            self.reconnect()
        except Lost as error:
            raise UserError(f"{error}.") from None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._process is not None:
            self._process.close()
            self._process = None

    def reconnect(self) -> None:
        self.__exit__()
        self._page = Page(self._isa)
        try:
            self._process = Chromium(self._page.address, cores=self._cores, options=[OPTIMISED])
        except BaseException:
            self.__exit__()
            raise
        try:
            found = self._page.next("hello", self._alive)
        except BaseException:
            self.__exit__()
            raise
        agent = next((word for word in found["agent"].split() if "Chrom" in word), found["agent"])
        cpu = native.cpu()
        self.machine = {**cpu, "cpu": f"{cpu['cpu']}, {agent}", "isa": found["isa"]}
        self.machine["clock_us"] = round(found["clock_us"], 3)
        self.build = found["build"]

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        self._page.give(models, count)
        kernels = tuple(self._page.next("kernels", self._alive))
        for _ in range(count):
            yield Round(us=tuple(self._page.next("round", self._alive)), kernels=kernels)
        self._page.next("done", self._alive)

    def circumstances(self) -> dict[str, Any]:
        return {"cores": self._cores, **circumstances(self._cores[-1] if self._cores else None)}

    def _alive(self) -> bool:
        return self._process is not None and self._process.alive()
