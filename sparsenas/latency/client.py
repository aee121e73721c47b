"""Asks a latency service: `sparsenas serve` on another machine, or this one."""

import http.client
import json
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from sparsenas.errors import UserError
from sparsenas.latency.result import Latency, LayerLatency


class Client:
    """Predictions over HTTP, on one connection that stays open.

        from sparsenas.latency import Client
        client = Client("http://127.0.0.1:8765")
        print(client.predict("0-1-2-0", space="tiny"))

    Args:
        url: of the service, without a path.
        device: which of its devices; may be left out where it has one.
        token: what a service beyond loopback asks for.
    """

    def __init__(
        self, url: str, *, device: str | None = None, token: str | None = None, timeout_s: float = 30
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"Expected the address of a service such as http://127.0.0.1:8765, found {url!r}."
            )
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(parts.hostname, parts.port, timeout=timeout_s)
        self._url, self._device = url, device
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def predict(self, network: str | Sequence[str], *, space: str | None = None) -> Latency:
        """Returns the milliseconds of a network.

        Args:
            network: its layers as text, or an architecture of `space`.
        """
        return self.predict_all([network], space=space)[0]

    def predict_all(
        self, networks: Sequence[str | Sequence[str]], *, space: str | None = None
    ) -> list[Latency]:
        """Returns the milliseconds of several networks, asked for at once."""
        if space is None:
            found = self._post({"networks": list(networks)})["networks"]
        else:
            found = self._post({"space": space, "architectures": list(networks)})["architectures"]
        return [Latency(f["ms"], f["low_ms"], f["high_ms"], tuple(f["extrapolated"])) for f in found]

    def layer(self, layer: str) -> LayerLatency:
        """Returns what a layer takes alone."""
        return self.layers([layer])[0]

    def layers(self, layers: Sequence[str]) -> list[LayerLatency]:
        """Returns what several layers take alone, asked for at once."""
        return [
            LayerLatency(
                f["us"], f["low_us"], f["high_us"], f["kernel"], f["measured"], tuple(f["extrapolated"])
            )
            for f in self._post({"layers": list(layers)})["layers"]
        ]

    def devices(self) -> list[dict[str, Any]]:
        """Returns what the service knows of its devices."""
        return self._ask("GET", "/v1/devices")["devices"]

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _post(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._device is not None:
            question["device"] = self._device
        return self._ask("POST", "/v1/latency", json.dumps(question).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body, self._headers)
                answer = self._connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError) as error:
                self._connection.close()
                # A connection that stood open for long may be gone; a new one is tried once.
                if attempt == 2 or isinstance(error, TimeoutError):
                    what = str(error) or type(error).__name__
                    raise UserError(f"No answer from the latency service {self._url}: {what}.") from None
        try:
            found = json.loads(text)
        except ValueError:
            raise UserError(f"Expected a latency service at {self._url}, found something else.") from None
        if answer.status != 200:
            raise UserError(f"The latency service {self._url} says: {found.get('error', answer.reason)}")
        return found
