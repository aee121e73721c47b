"""A page of ours in Chromium that computes something and says what."""

import contextlib
import json
import queue
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import unquote, urlsplit

from sparsenas.chromium import Chromium
from sparsenas.errors import UserError
from sparsenas.progress import Update

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
}
_MOST_BYTES = 2**28
_POLL_SECONDS = 0.2

# What goes wrong in the script below becomes the answer.
_PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>SparseNAS</title>
<script type="module">
const post = (path, body) => fetch(path, { method: "POST", body });
try {
  const { run } = await import("./script.js");
  const report = (done, total, what) => post("progress", JSON.stringify([done, total, what]));
  await post("answer", await run(report));
} catch (error) {
  await post("error", `${error}`);
}
</script>
"""


class Site:
    """A static server on loopback, at an address that cannot be guessed.

    Args:
        folder: what it serves.
        more: files beside those of the folder, by name; what is there too comes from here.
        folders: other folders, by the name that they have here.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        more: Mapping[str, bytes] | None = None,
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._folder, self._more, self._folders = folder, dict(more or {}), dict(folders or {})
        self._path = f"/{secrets.token_urlsafe(16)}/"
        self._said: queue.Queue[tuple[str, bytes]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = site._get(self.path)
                path = urlsplit(self.path).path
                suffix = ".html" if path.endswith("/") else PurePosixPath(path).suffix
                self.send_response(HTTPStatus.NOT_FOUND if data is None else HTTPStatus.OK)
                self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
                self.send_header("Content-Length", str(len(data or b"")))
                # With these a page may read a clock of 5 us instead of 100.
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # A page that is left no longer reads.
                    self.wfile.write(data or b"")

            def do_POST(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
                data = self.rfile.read(size)
                known = self.path.startswith(site._path)
                if known:
                    site._said.put((self.path.removeprefix(site._path), data))
                self.send_response(HTTPStatus.NO_CONTENT if known else HTTPStatus.NOT_FOUND)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}{self._path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def said(
        self, browser: Chromium, *, within_seconds: float, report: Update = lambda done, total, note: None
    ) -> bytes:
        """Returns what the page says next, progress aside.

        Args:
            within_seconds: how long it may say nothing at all.
            report: is told how far the page is.

        Raises:
            UserError: where that is an error, or the browser ends or says nothing.
        """
        until = time.monotonic() + within_seconds
        while time.monotonic() < until:
            try:
                kind, data = self._said.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if not browser.alive():
                    raise UserError("The browser ended before it was done.") from None
                continue
            if kind == "progress":
                report(*json.loads(data))
                until = time.monotonic() + within_seconds
                continue
            if kind == "error":
                raise UserError(f"The browser cannot run it: {data.decode(errors='replace')}")
            return data
        raise UserError(f"The browser said nothing for {within_seconds:.0f} seconds.")

    def _get(self, path: str) -> bytes | None:
        name = unquote(urlsplit(path).path)
        if not name.startswith(self._path):
            return None
        name = name.removeprefix(self._path) or "index.html"
        if name in self._more:
            return self._more[name]
        first, _, rest = name.partition("/")
        folder, name = (self._folders[first], rest) if first in self._folders else (self._folder, name)
        if folder is None:
            return None
        found = (folder / name).resolve()
        inside = found.is_file() and found.is_relative_to(folder.resolve())
        return found.read_bytes() if inside else None


def visit(
    script: str,
    *,
    folder: Path | None = None,
    more: Mapping[str, bytes] | None = None,
    folders: Mapping[str, Path] | None = None,
    cores: Sequence[int] = (),
    options: Sequence[str] = (),
    within_seconds: float = 120,
    report: Update = lambda done, total, note: None,
) -> bytes:
    """Runs a script in Chromium, on a page with some files beside it, and returns what it gives.

    Args:
        script: a module of JavaScript that exports `async function run(report)`, whose result is what `fetch`
            may send: a string, or an array of bytes. It may `await report(done, total, what)`.
        folder, more, folders: the files, as `Site` takes them.
        cores, options: of the browser, as `Chromium` takes them.
        within_seconds, report: as `Site.said` takes them.

    Raises:
        UserError: where there is no Chromium, or what the script throws.
    """
    files = {**(more or {}), "visit.html": _PAGE, "script.js": script.encode()}
    with (
        Site(folder, more=files, folders=folders) as site,
        Chromium(f"{site.address}visit.html", cores=cores, options=options) as browser,
    ):
        return site.said(browser, within_seconds=within_seconds, report=report)
