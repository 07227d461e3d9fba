"""Plain TCP sockets: what the client uses when no cassette is in use, and what a recording dials."""

from __future__ import annotations

import socket
import threading

__all__ = ["DEFAULT_TIMEOUT", "connect", "is_dialling"]

# Says "the default of the socket module"; private there, but the documented meaning of an omitted timeout.
DEFAULT_TIMEOUT: object = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


class _Dialling(threading.local):
    now = False


_dialling = _Dialling()


def is_dialling() -> bool:
    """This thread is opening a connection of ours: its look-ups and connects are not to be intercepted."""
    return _dialling.now


def connect(
    address: tuple[str, int], timeout_s: object = DEFAULT_TIMEOUT, source_address: tuple[str, int] | None = None
) -> socket.socket:
    """Open a TCP connection to `address`, trying each of its addresses in turn.

    Raises socket.gaierror if the name cannot be looked up, OSError (TimeoutError) if nobody answers.
    """
    _dialling.now = True
    try:
        return socket.create_connection(address, timeout_s, source_address)  # type: ignore[arg-type]
    finally:
        _dialling.now = False
