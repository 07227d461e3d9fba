"""The interface between the client and the network: what a stream is, and the slot that holds the transport in use.

The slot is normally empty, and the client then uses plain sockets. A session with a cassette fills it. The client
asks for it at each connect, so it needs to know nothing about cassettes.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO, Literal, Protocol

from cassette_http.transport import live

Address = tuple[str, int]


class Stream(Protocol):
    """What the client needs from an open connection; a `socket.socket` is one."""

    def sendall(self, data: Any, /) -> None: ...
    def recv_into(self, buffer: Any, nbytes: int = 0, /) -> int: ...
    def makefile(self, mode: Literal["rb"], /) -> BinaryIO: ...
    def settimeout(self, timeout_s: float | None, /) -> None: ...
    def setsockopt(self, level: int, name: int, value: int, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """Opens streams. This package has two implementations: plain sockets, and cassettes.

    A stream that is not a real socket has its own `start_tls(context, server_hostname) -> Stream`. It may also have
    `receive(at_most) -> bytes`, for callers that would copy the result of `recv_into`.
    """

    def connect(
        self, address: Address, timeout_s: Any = live.DEFAULT_TIMEOUT, source_address: Address | None = None
    ) -> Stream:
        """Open a stream to `address` (host as the user wrote it). `timeout_s` as in `socket.create_connection`.

        Raises what `socket.create_connection` raises.
        """
        ...


_in_context: ContextVar[Transport | None] = ContextVar("cassette_http_transport", default=None)


class _Slot:
    """The transports in use, in the order in which they were added.

    Each context can have its own. A transport that is for everyone hides all earlier ones, because a context may have
    been copied before it was added (for example that of a test runner's event loop). Threads that were started inside
    `use_cassette` do not inherit its context, and old contexts only know transports that were removed: both get the
    last transport.
    """

    def __init__(self) -> None:
        # Replaced, never modified, because they are read without the lock.
        self.used: tuple[Transport, ...] = ()
        self.visible: tuple[Transport, ...] = ()
        self._lock = threading.Lock()
        self._all: list[tuple[Transport, bool]] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_child)

    def _begin_child(self) -> None:
        """After a fork: a thread that does not exist in the child may have held the lock."""
        self._lock = threading.Lock()
        self._look()

    def put(self, transport: Transport, is_for_everyone: bool, *, is_below: bool = False) -> None:
        with self._lock:
            self._all.insert(0 if is_below else len(self._all), (transport, is_for_everyone))
            self._look()

    def take(self, transport: Transport) -> bool:
        """Remove `transport`; return whether it was for everyone."""
        with self._lock:
            [place] = [each for each in self._all if each[0] is transport]
            self._all.remove(place)
            self._look()
        return place[1]

    def _look(self) -> None:
        everyone = [position for position, (_, is_for_everyone) in enumerate(self._all) if is_for_everyone]
        self.used = tuple([transport for transport, _ in self._all])
        self.visible = self.used[everyone[-1] if everyone else 0 :]


_slot = _Slot()


def current() -> Transport | None:
    """The transport in use here and now, or None for plain sockets.

    The client notes it with each connection, and drops a connection that another transport has opened.
    """
    visible = _slot.visible
    if not visible:
        return None
    here = _in_context.get()
    return here if here in visible else visible[-1]


def current_here() -> Transport | None:
    """The transport of this very context; None in a thread that was merely started inside the block."""
    here = _in_context.get()
    return here if here in _slot.visible else None


def was_put_here(transport: Transport) -> bool:
    """Tell whether this very context put `transport` into the slot last, even if another one has replaced it since."""
    return _in_context.get() is transport


def all_in_use() -> tuple[Transport, ...]:
    """The transports of all blocks that are open in this process."""
    return _slot.used


@contextmanager
def fill(transport: Transport, *, is_for_everyone: bool = False) -> Iterator[None]:
    """Put `transport` into the slot for this context, and for threads that have no transport of their own.

    If it `is_for_everyone`, it takes over in all other contexts too, unless they put their own into the slot later.
    """
    previous = _in_context.get()
    _in_context.set(transport)
    _slot.put(transport, is_for_everyone)
    try:
        yield
    finally:
        _slot.take(transport)
        # Not reset(token): a fixture may end in a different context than it began in, and blocks may overlap.
        if _in_context.get() is transport:
            _in_context.set(previous if previous in _slot.used else None)


@contextmanager
def fill_below(transport: Transport) -> Iterator[None]:
    """Put `transport` below all others, present and future: it serves those that have none."""
    _slot.put(transport, False, is_below=True)
    try:
        yield
    finally:
        _slot.take(transport)


@contextmanager
def set_aside(transport: Transport) -> Iterator[None]:
    """Take `transport` out of the slot for a while; it comes back above whatever was put there meanwhile."""
    is_for_everyone = _slot.take(transport)
    try:
        yield
    finally:
        _slot.put(transport, is_for_everyone)


def connect(address: Address, timeout_s: Any = live.DEFAULT_TIMEOUT, source_address: Address | None = None) -> Stream:
    """Open a stream through the transport in use (default: a plain socket)."""
    transport = current()
    if transport is None:
        return live.connect(address, timeout_s, source_address)
    return transport.connect(address, timeout_s, source_address)


def start_tls(stream: Any, context: ssl.SSLContext, server_hostname: str) -> Stream:
    """Start TLS over `stream`, which must not be used afterwards. Raises what `SSLContext.wrap_socket` raises."""
    own = getattr(stream, "start_tls", None)
    if own is None:
        return context.wrap_socket(stream, server_hostname=server_hostname)
    secured: Stream = own(context, server_hostname)
    return secured
