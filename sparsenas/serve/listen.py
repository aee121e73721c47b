"""The socket that the service listens at."""

import socket

from sparsenas.errors import UserError


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket.

    Raises:
        UserError: where the address is not one of this machine, or is taken.
    """
    if not 0 <= port < 1 << 16:
        raise UserError(f"A port is a number up to 65535, 0 for any that is free; found {port}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"Cannot listen at {host!r}, port {port}: {error}.") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise UserError(f"Cannot listen at {host!r}, port {port}: {error}; choose another --port.") from None
    return sock
