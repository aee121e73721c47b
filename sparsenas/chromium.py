"""Chromium without a window, on a page of ours."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Self

from sparsenas.errors import UserError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The sandbox needs rights that containers do not have; the page is ours.
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-dev-shm-usage",
)  # fmt: skip
# Optimised code from the start: otherwise the first calls of each function are measured unoptimised.
OPTIMISED = "--js-flags=--no-liftoff"
# The same for large programs, of which a function is compiled when it is called for the first time: all of
# LiteRT.js takes minutes.
OPTIMISED_LAZILY = f"{OPTIMISED} --wasm-lazy-compilation"
_ENDS_WITHIN_SECONDS = 10


def find_browser() -> str:
    """Returns the path of Chromium; raises `UserError` where there is none."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise UserError("This needs Chromium, found none (Debian: apt install chromium).")


class Chromium:
    """A browser that shows one page until it is closed.

    Args:
        cores: that it may run on; all where left out.
        options: of the program, beside those that every page needs.
    """

    def __init__(self, address: str, *, cores: Sequence[int] = (), options: Sequence[str] = ()) -> None:
        program = find_browser()
        # What a browser leaves behind while it ends is of no interest.
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [program, *_OPTIONS, *options, f"--user-data-dir={self._profile.name}", address]
        before = os.sched_getaffinity(0) if cores else set()
        try:
            if cores:
                os.sched_setaffinity(0, cores)
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except BaseException:
            self._profile.cleanup()
            raise
        finally:
            if before:
                os.sched_setaffinity(0, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._process.kill()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()
