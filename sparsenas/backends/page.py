"""A page on loopback that measures models in the browser that opens it."""

import json
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sparsenas.backends.wasm import module, scripts
from sparsenas.latency.device import Lost

_TYPES = {
    ".html": "text/html",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".snas": "application/octet-stream",
}
_SCRIPTS = ("sparsenas.mjs", "turns.mjs", "relaxed.mjs")
# How long the page waits for work at a time, and we for the page: the longest round takes less.
_POLL_SECONDS = 20
_PATIENCE_SECONDS = 600
_MOST_BYTES = 2**24


class Page:
    """Serves the page at an address that cannot be guessed, and talks with it.

    Args:
        isa: the module that it gets; the best of the browser where left out.
    """

    def __init__(self, isa: str | None) -> None:
        # Built before a browser waits for them.
        self._modules = {name: module(name) for name in ([isa] if isa else ["wasm128", "wasm_relaxed"])}
        self._path = f"/{secrets.token_urlsafe(16)}/"
        self._models: list[bytes] = []
        self._work: queue.Queue[dict[str, Any]] = queue.Queue()
        self._said: queue.Queue[tuple[str, Any]] = queue.Queue()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = page._get(self.path)
                self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
                kind, data = found or ("text/plain", b"")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                # With these a page may read a clock of 5 us instead of 100.
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
                accepted = page._post(self.path, self.rfile.read(size))
                self.send_response(HTTPStatus.NO_CONTENT if accepted else HTTPStatus.NOT_FOUND)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing: every round is a request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}{self._path}turns_page.html"

    def give(self, models: Sequence[bytes], rounds: int) -> None:
        """Lets the page visit models in turns."""
        position = {key: i for i, key in enumerate(dict.fromkeys(map(id, models)))}
        self._models = list({id(model): model for model in models}.values())
        order = [position[id(model)] for model in models]
        files = [f"{i}.snas" for i in range(len(position))]
        self._work.put({"files": files, "order": order, "rounds": rounds})

    def next(self, what: str, alive: Callable[[], bool]) -> Any:
        """Returns what the page says next, which is a `what`.

        Raises:
            Lost: where it says something else, is gone or says nothing for long.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                kind, found = self._said.get(timeout=0.2)
            except queue.Empty:
                if not alive():
                    raise Lost("The browser ended before it was done") from None
                continue
            if kind == "error":
                raise Lost(f"The browser cannot measure: {found['message']}")
            if kind != what:
                raise Lost(f"The browser said {kind} where {what} was expected")
            return found
        raise Lost(f"The browser said nothing for {_PATIENCE_SECONDS} seconds")

    def close(self) -> None:
        """Ends the page's work and the server."""
        self._work.put({"end": True})
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _get(self, path: str) -> tuple[str, bytes] | None:
        parts = urlsplit(path)
        if not parts.path.startswith(self._path):
            return None
        name = parts.path.removeprefix(self._path)
        kind = _TYPES.get(name[name.rfind(".") :], "application/json")
        if name == "turns_page.html" or name in _SCRIPTS:
            return kind, (scripts() / name).read_bytes()
        if name == "work":
            try:
                return kind, json.dumps(self._work.get(timeout=_POLL_SECONDS)).encode()
            except queue.Empty:
                return kind, b"{}"
        if name == "program":
            relaxed = parse_qs(parts.query).get("relaxed") == ["1"] and "wasm_relaxed" in self._modules
            isa = "wasm_relaxed" if relaxed else next(iter(self._modules))
            return kind, json.dumps({"program": f"{isa}.wasm"}).encode()
        if name.removesuffix(".wasm") in self._modules:
            return kind, self._modules[name.removesuffix(".wasm")].read_bytes()
        number = name.removesuffix(".snas")
        if number.isdecimal() and int(number) < len(self._models):
            return kind, self._models[int(number)]
        return None

    def _post(self, path: str, data: bytes) -> bool:
        if not path.startswith(self._path):
            return False
        try:
            self._said.put((path.removeprefix(self._path), json.loads(data)))
        except ValueError:
            return False
        return True
