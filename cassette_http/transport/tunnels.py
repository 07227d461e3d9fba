"""Tunnels that were only played, and that a live proxy has to open later. Does no I/O itself; the line does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from cassette_http.wire.reader import ResponseReader


class Line(Protocol):
    """The live side of a host: an open, blocking connection to the peer."""

    def send(self, data: bytes, /) -> int: ...
    def sendall(self, data: Any, /) -> None: ...
    def recv(self, at_most: int, /) -> bytes: ...
    def close(self) -> None: ...


# Makes the proxy at the end of a line open a tunnel. Raises OSError if it refuses.
Tunnel: TypeAlias = Callable[[Line], None]


def chained(first: Tunnel | None, then: Tunnel) -> Tunnel:
    """A tunnel that goes through another one."""
    if first is None:
        return then

    def open_both(line: Line) -> None:
        first(line)
        then(line)

    return open_both


def open_by_connect(request: bytes) -> Tunnel:
    """A tunnel that this request opens (RFC 9110 section 9.3.6)."""

    def open_one(line: Line) -> None:
        line.sendall(request)
        answer = ResponseReader("CONNECT")
        # Nothing that follows the head may be read.
        while not answer.is_complete and answer.malformed is None and (octet := line.recv(1)):
            answer.feed(octet)
        if not answer.is_upgrade:
            status = f"{answer.head.status} {answer.head.reason}" if answer.head else "no answer"
            raise OSError(f"Tunnel connection failed: {status}")

    return open_one
