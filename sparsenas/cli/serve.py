"""sparsenas serve: predictions over HTTP."""

import ipaddress
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console
from sparsenas.errors import UserError
from sparsenas.latency.library import LOCAL

TOKEN = "SPARSENAS_TOKEN"
_LEAST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class Options:
    """Answers questions about latencies over HTTP: POST /v1/latency, GET /v1/devices, /docs.

    Without `--host` only this machine can ask. Beyond it a token is required, in the environment variable
    SPARSENAS_TOKEN or a file; it is sent as it is, so that a network that others read needs a proxy with TLS.

    Attributes:
        device: `local`, tables that come with the package, or tables' files; a file that is replaced is
            read again.
        threads: how many share a layer.
        host: the address to listen at.
        port: 0 for any that is free.
        token_file: a file that holds the token.
    """

    device: tuple[str, ...] = (LOCAL,)
    threads: int = 1
    host: str = "127.0.0.1"
    port: int = 8765
    token_file: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="serve")
    token = _token(options)
    if not options.device:
        raise UserError("`--device` must name at least one device, found none.")
    try:
        import uvicorn

        from sparsenas.serve.app import make_app
    except ImportError as error:
        raise UserError(
            f"The service needs packages that are not installed ({error}): pip install 'sparsenas[serve]'."
        ) from None
    from sparsenas.serve.listen import listen
    from sparsenas.serve.served import open_devices

    served = open_devices(options.device, threads=options.threads)
    app = make_app(served, {name: find_space(name) for name in known_spaces()}, token=token)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    with listen(options.host, options.port) as sock:
        port = sock.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        console().print(
            f"Serving {', '.join(served)} at http://{host}:{port}, described at http://{host}:{port}/docs"
        )
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            limit_concurrency=512,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
            server_header=False,
            ws="none",
        )
        uvicorn.Server(config).run(sockets=[sock])


def _token(options: Options) -> str | None:
    """Returns the token that questions must bring; raises `UserError` where there must be one."""
    token = os.environ.get(TOKEN, "")
    if options.token_file is not None:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UserError(f"Cannot read the token file {str(options.token_file)!r}: {error}.") from None
    if not token:
        if _is_loopback(options.host):
            return None
        raise UserError(
            f"Beyond this machine the service needs a token: set {TOKEN} or give --token-file, or leave out "
            f"--host {options.host}."
        )
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"A token has at least {_LEAST_TOKEN} printable characters and no space.")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
