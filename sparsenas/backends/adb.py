"""Android devices, by the program `adb`."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparsenas.backends.process import lines, run
from sparsenas.cross import tool
from sparsenas.errors import UserError

# The one folder that a shell may write and run programs from.
_FOLDER = "/data/local/tmp"
_SERIAL = re.compile(r"[\w.:\[\]][\w.:\[\]-]*")
# What adb says of itself; the rest is what a command on the device said.
_GONE = re.compile(
    r"(device .*(not found|offline|unauthorized|still authorizing)|no devices|closed|connection reset|"
    r"protocol fault|cannot connect|failed to get feature set|device disconnected)",
    re.IGNORECASE,
)


class Adb:
    """A link to `adb://SERIAL`, as `adb devices` lists it; `adb://` where there is one device.

    Raises:
        UserError: where there is no adb, or the serial number is none.
    """

    def __init__(self, url: str) -> None:
        serial = url.removeprefix("adb://").rstrip("/")
        if serial and not _SERIAL.fullmatch(serial):
            raise UserError(f"A device over adb is adb://SERIAL as `adb devices` lists it, found {url!r}.")
        self.name = f"adb://{serial}"
        adb = tool("adb", "install the Android platform tools (Debian: apt install adb)")
        self._command = [adb, *(["-s", serial] if serial else [])]

    def run(self, command: str) -> str:
        return run([*self._command, "shell", command], self._gone)

    def lines(self, command: str) -> Iterator[str]:
        return lines([*self._command, "shell", command], self._gone)

    def send(self, files: Sequence[Path], folder: str) -> None:
        run([*self._command, "push", *map(str, files), folder], self._gone)

    def folder(self) -> str:
        return _FOLDER

    def _gone(self, done: subprocess.CompletedProcess) -> str:
        """Returns why the device does not answer, or nothing where it is not the connection's fault."""
        said = done.stderr.decode(errors="replace").strip().splitlines()
        for line in reversed(said):
            if _GONE.search(line) and line.startswith(("adb:", "error:")):
                return f"Cannot reach {self.name} (unplugged?): {line.partition(':')[2].strip()}"
        return "" if said or done.stdout else f"Cannot reach {self.name} (unplugged?): it stopped answering"
