"""Devices over ssh, by the program `ssh` with the settings that the user has for it."""

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sparsenas.backends.process import lines, run
from sparsenas.cross import tool
from sparsenas.errors import UserError

# Nobody is there to type a password; a connection that says nothing for 15 seconds is lost.
_OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=3",
)  # fmt: skip
# The exit code of ssh itself.
_NO_CONNECTION = 255


class Ssh:
    """A link to `ssh://[USER@]HOST[:PORT]`.

    Raises:
        UserError: where that is not what the URL looks like, or there is no ssh.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = parts.hostname or ""
        if not host or host.startswith("-") or parts.path.strip("/") or parts.query or parts.password:
            raise UserError(f"A device over ssh is ssh://[USER@]HOST[:PORT], found {url!r}.")
        self.name = url.rstrip("/")
        user = ["-l", parts.username] if parts.username else []
        ports = ["-p", str(port)] if port else []
        ssh = tool("ssh", "install OpenSSH (Debian: apt install openssh-client)")
        self._command = [ssh, *_OPTIONS, *user, *ports, host]

    def run(self, command: str) -> str:
        return run([*self._command, command], self._gone)

    def lines(self, command: str) -> Iterator[str]:
        return lines([*self._command, command], self._gone)

    def send(self, files: Sequence[Path], folder: str) -> None:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for file in files:
                archive.add(file, arcname=file.name)
        run([*self._command, f"tar xof - -C {folder}"], self._gone, data=data.getvalue())

    def folder(self) -> str:
        return "${TMPDIR:-/tmp}"

    def _gone(self, done: subprocess.CompletedProcess) -> str:
        """Returns why there is no connection, or nothing where it is not the connection's fault."""
        if done.returncode != _NO_CONNECTION:
            return ""
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["the connection broke"]
        return f"Cannot reach {self.name}: {said[-1].strip().rstrip('.')}"
