"""What stands before the service: who may ask, how much, and a line for whatever goes wrong."""

import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sparsenas.serve.metrics import Metrics
from sparsenas.serve.schema import MOST_BODY_BYTES

LOG = logging.getLogger("sparsenas.serve")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Names of this machine. A page of another host that has its name point here is refused.
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


class Guard:
    """Passes on what may pass, and counts it.

    Args:
        token: what everybody but `/healthz` must send; None where only this machine can ask.
        paths: those that are counted by name.
    """

    def __init__(self, app: App, *, token: str | None, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal:
                await problem(*refusal)(scope, receive, watched)
            else:
                await self._app(scope, receive, watched)
        except Exception:  # The service goes on; who asked is told, and the log has the rest.
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            await problem(500, "The service failed; its log says why.")(scope, receive, watched)
        path = scope["path"] if scope["path"] in self._paths else "other"
        self._metrics.request(path, status, time.perf_counter() - started)
        return None

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if self._token is None:
            host = headers.get(b"host", b"").decode("latin-1")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name.lower() not in _LOOPBACK:
                return 403, "This service answers this machine alone; call it by a loopback address."
        elif scope["path"] != "/healthz" and not hmac.compare_digest(
            headers.get(b"authorization", b""), self._token
        ):
            return 401, "Expected the header Authorization: Bearer TOKEN with the service's token."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            return 413, f"A body has at most {MOST_BODY_BYTES} bytes; ask in smaller batches."
        return None


def problem(status: int, line: str, headers: dict[str, str] | None = None) -> App:
    """Returns an answer that says what is wrong."""
    body = json.dumps({"error": " ".join(line.split())}).encode()
    more = dict(headers or {}) | ({"www-authenticate": "Bearer"} if status == 401 else {})

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        names = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        names += [(name.lower().encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": names})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return answer
