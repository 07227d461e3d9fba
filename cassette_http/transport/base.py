"""The seam between the client and the octets: what a stream is, and the slot that says who opens them.

The slot is empty as a rule, and the client then talks to plain sockets. A session with a cassette fills it; the
client asks at each connect, so that it never knows about cassettes.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO, Literal, Protocol

from cassette_http.transport import live

__all__ = ["Address", "Stream", "Transport", "all_in_use", "connect", "current", "current_here", "fill", "start_tls"]

Address = tuple[str, int]


class Stream(Protocol):
    """What the client needs of an open connection; a `socket.socket` is one."""

    def sendall(self, data: Any, /) -> None: ...
    def recv_into(self, buffer: Any, nbytes: int = 0, /) -> int: ...
    def makefile(self, mode: Literal["rb"], /) -> BinaryIO: ...
    def settimeout(self, timeout_s: float | None, /) -> None: ...
    def setsockopt(self, level: int, name: int, value: int, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """Opens streams. Two implementations live in this package: plain sockets, and cassettes.

    A stream that is not a real socket brings its own `start_tls(context, server_hostname) -> Stream`.
    """

    def connect(
        self, address: Address, timeout_s: Any = live.DEFAULT_TIMEOUT, source_address: Address | None = None
    ) -> Stream:
        """Open a stream to `address` (host as the user wrote it). `timeout_s` as in `socket.create_connection`.

        Raises what `socket.create_connection` raises.
        """
        ...


_in_context: ContextVar[Transport | None] = ContextVar("cassette_http_transport", default=None)
# Threads that were started inside `use_cassette` do not inherit its context: they find the process-wide transport.
_in_process: list[Transport] = []


def current() -> Transport | None:
    """The transport in use here and now, or None for plain sockets.

    The client stamps each connection with it, and leaves a connection that another one has opened.
    """
    return _in_context.get() or (_in_process[-1] if _in_process else None)


def current_here() -> Transport | None:
    """The transport of this very context; None in a thread that was only started inside the block."""
    return _in_context.get()


def all_in_use() -> tuple[Transport, ...]:
    """The transports of all blocks that are open in this process."""
    return tuple(_in_process)


@contextmanager
def fill(transport: Transport) -> Iterator[None]:
    """Put `transport` into the slot for this context, and for threads that have no transport of their own."""
    previous = _in_context.get()
    _in_context.set(transport)
    _in_process.append(transport)
    try:
        yield
    finally:
        _in_process.remove(transport)
        # Not reset(token): a fixture may end in another context than it began in, and blocks may overlap.
        if _in_context.get() is transport:
            _in_context.set(previous if previous in _in_process else None)


def connect(address: Address, timeout_s: Any = live.DEFAULT_TIMEOUT, source_address: Address | None = None) -> Stream:
    """Open a stream through the transport in use (default: a plain socket)."""
    transport = current()
    if transport is None:
        return live.connect(address, timeout_s, source_address)
    return transport.connect(address, timeout_s, source_address)


def start_tls(stream: Any, context: ssl.SSLContext, server_hostname: str) -> Stream:
    """Put TLS over `stream`; the stream given is used up. Raises what `SSLContext.wrap_socket` raises."""
    own = getattr(stream, "start_tls", None)
    if own is None:
        return context.wrap_socket(stream, server_hostname=server_hostname)
    secured: Stream = own(context, server_hostname)
    return secured
