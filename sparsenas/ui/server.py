"""The server of the page: loopback only, and nothing but reading."""

import base64
import hashlib
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sparsenas.errors import UserError
from sparsenas.look import PAGE_CSS
from sparsenas.report.charts import CHARTS_CSS
from sparsenas.ui.runs import REPORT, list_runs

_HERE = Path(__file__).parent
_SCRIPT, _STYLE = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
# Names of this machine. A page of another host that has its name point here is refused.
_HOSTS = ("localhost", "127.0.0.1", "[::1]")

Answer = tuple[HTTPStatus, str, bytes, str]
"""Status, type, content and content security policy."""


class Server(ThreadingHTTPServer):
    """Serves the runs of a folder at 127.0.0.1.

    Args:
        port: 0 for any that is free.

    Raises:
        UserError: where there is no such folder, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        if not folder.is_dir():
            raise UserError(f"Expected a folder of runs, found none at {str(folder)!r}.")
        self.folder = folder
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"Cannot listen at port {port}: {error}; choose another --port.") from None
        self.address = f"http://127.0.0.1:{self.server_port}/"


def answer(folder: Path, path: str) -> Answer:
    """Returns what a path stands for: the page, the runs as JSON, or the report of one of them."""
    name = unquote(urlsplit(path).path)
    if name == "/":
        return HTTPStatus.OK, "text/html; charset=utf-8", _page().encode(), _policy()
    if name == "/runs.json":
        data = json.dumps(list_runs(folder), allow_nan=False).encode()
        return HTTPStatus.OK, "application/json", data, "default-src 'none'"
    known = {f"/{path.name}/{REPORT}": path / REPORT for path in folder.iterdir()}
    if name in known and known[name].is_file():
        # It has a policy of its own inside.
        return HTTPStatus.OK, "text/html; charset=utf-8", known[name].read_bytes(), ""
    return HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n", "default-src 'none'"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host in _HOSTS:
            status, kind, data, policy = answer(self.server.folder, self.path)
        else:
            status, kind, policy = HTTPStatus.MISDIRECTED_REQUEST, "text/plain", "default-src 'none'"
            data = b"This page is for the machine that it runs on.\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the page asks every other second."""


def _policy() -> str:
    script = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; connect-src 'self'; "
        "img-src data:"
    )


def _page() -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>Runs</title>\n'
        f'<link rel="icon" href="data:,">\n<style>\n{PAGE_CSS}{CHARTS_CSS}{_STYLE}</style>\n</head>\n<body>\n'
        "<main>\n"
        '<p class="brand"><b>SparseNAS</b> <span id="state">asking</span></p>\n<h1>Runs</h1>\n'
        '<div id="runs"></div>\n</main>\n'
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
