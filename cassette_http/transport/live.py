"""Plain sockets: used by the client when no cassette is in use, and by recordings to reach the real peer."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

WELL_KNOWN_PORTS = {"http": 80, "https": 443}

Socket = TypeVar("Socket", bound=socket.socket)

# Means "the default of the socket module". Private there, but it is the documented meaning of an omitted timeout.
DEFAULT_TIMEOUT: object = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


# Connections that a recording opens itself: their traffic must not be mistaken for that of a library.
_ours: weakref.WeakSet[socket.socket] = weakref.WeakSet()


_is_dialling = ContextVar("cassette_http_is_dialling", default=False)  # per thread or greenlet


def is_dialling() -> bool:
    """This thread is opening a connection of ours, whose look-ups and connects must not be intercepted."""
    return _is_dialling.get()


def connect(
    address: tuple[str, int], timeout_s: object = DEFAULT_TIMEOUT, source_address: tuple[str, int] | None = None
) -> socket.socket:
    """Open a TCP connection to `address`, trying each of its addresses in turn.

    Raises socket.gaierror if the name cannot be looked up, OSError (TimeoutError) if nobody answers.
    """
    with dialling():
        connection = socket.create_connection(address, timeout_s, source_address)  # type: ignore[arg-type]  # the stubs do not know the default
    return mark(connection)


def connect_unix(path: str | bytes, timeout_s: float | None = None) -> socket.socket:
    """Open a connection to a Unix socket. Raises OSError if nobody answers."""
    connection = mark(socket.socket(socket.AF_UNIX))
    connection.settimeout(timeout_s)
    try:
        with dialling():
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def dialling() -> Iterator[None]:
    """Do not intercept the look-ups and connects that this thread makes in the block."""
    token = _is_dialling.set(True)
    try:
        yield
    finally:
        _is_dialling.reset(token)


def mark(connection: Socket) -> Socket:
    """Remember that `connection` (perhaps TLS over one of ours) is ours, and not a library's."""
    _ours.add(connection)
    return connection


def is_ours(connection: socket.socket) -> bool:
    return connection in _ours


def port_number(port: Any) -> int | None:
    """The number of a port or service name, as look-ups accept them; 0 for no port, None if the name is unknown."""
    if isinstance(port, bytes):
        port = port.decode("ascii", "replace")
    if port is None:
        return 0
    if isinstance(port, str):
        return int(port) if port.isascii() and port.isdigit() else WELL_KNOWN_PORTS.get(port)
    return port if isinstance(port, int) else None
