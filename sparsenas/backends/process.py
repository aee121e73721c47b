"""Programs that speak for a device, whose end may be the device's."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence

from sparsenas.backends.link import Failed
from sparsenas.latency.device import Lost

# A command that takes longer has lost its device. Copying is the slowest.
_PATIENCE_SECONDS = 300

Gone = Callable[[subprocess.CompletedProcess], str]
"""Returns why the device is lost, from how a program ended; nothing where it is not."""


def run(command: Sequence[str], gone: Gone, *, data: bytes = b"") -> str:
    """Runs a program that reads `data`, and returns what it prints.

    Raises:
        Lost: where `gone` says so, or the program takes for ever.
        Failed: where it fails otherwise.
    """
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, check=False, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Lost(f"{command[0]} had no answer for {_PATIENCE_SECONDS} seconds") from None
    _check(done, gone)
    return done.stdout.decode(errors="replace")


def lines(command: Sequence[str], gone: Gone) -> Iterator[str]:
    """Runs a program and yields the lines that it prints as they come; raises what `run` does."""
    with tempfile.TemporaryFile() as said, contextlib.ExitStack() as stack:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.enter_context(contextlib.closing(process.stdout))
        for line in process.stdout:
            # What has no end was cut off.
            if line.endswith(b"\n"):
                yield line.decode(errors="replace")
        process.wait()
        said.seek(0)
        _check(subprocess.CompletedProcess(command, process.returncode, b"", said.read()), gone)


def _check(done: subprocess.CompletedProcess, gone: Gone) -> None:
    if not done.returncode:
        return
    if why := gone(done):
        raise Lost(why)
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    worst = next((line for line in said if no_space(line)), said[-1] if said else "")
    # Where the program here was killed, the device is not heard any more.
    if done.returncode < 0:
        raise Lost(f"{done.args[0]} was killed by signal {-done.returncode}")
    raise Failed(worst.strip() or f"code {done.returncode}, and nothing said")


def no_space(said: str) -> bool:
    """Returns whether a program complains of a full disk, as tar, adb and the system word it."""
    return any(words in said for words in ("No space left", "Wrote only", "ENOSPC", "Disk quota exceeded"))
