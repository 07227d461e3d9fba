"""One exchange with a peer that plays octets, on a pair of real sockets: what the program got, and what came after.

Everything runs in one thread and takes no time: the peer's octets wait in the socket, arrive in steps of a chosen
size, and where a peer that stays silent would let the client run into its time-out, the time-out comes at once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["SECOND", "SURPLUS", "WAYS", "Outcome", "Then", "exchange"]

# Nobody has asked for this one.
SURPLUS = b"HTTP/1.1 200 OK\r\nX-Surplus: yes\r\nContent-Length: 7\r\n\r\nSURPLUS"
# The answer to the next request.
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECOND"

LIMIT_S = 10.0
# More than any stream of these tests has.
BUFFER_OCTETS = 1 << 20


class Then(Enum):
    """What the peer does after its octets."""

    END = "the end"
    RESET = "a reset"
    SILENCE = "silence"
    SURPLUS = "a surplus response, then the end"


class PlayedSocket(socket.socket):
    """The client's end: at most `step` octets arrive at once, and after the last one `finally_` is raised."""

    step = 1 << 20
    finally_: type[OSError] = TimeoutError

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        # Released at once, and raised without a context: an error that is kept must not keep the client's buffer.
        with memoryview(buffer) as whole, whole[: min(self.step, nbytes or len(whole))] as view:
            try:
                return super().recv_into(view)
            except BlockingIOError:
                pass
        raise self.finally_("as played")

    def setsockopt(self, *option: Any) -> None:
        pass  # those of TCP mean nothing here


@dataclass
class Outcome:
    """What a program could tell about the exchange, and about the next one on the same connection."""

    response: Any = None  # None if there was none
    facts: dict[str, Any] = field(default_factory=dict)  # those of the head, before the content was read
    fields: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""  # what was read, also before an error
    error: Exception | None = None
    is_ended: bool = False
    second: bytes | Exception | None = None
    streams: int = 1


Way = Callable[[Any], Iterator[bytes]]


def read_whole(response: Any) -> Iterator[bytes]:
    yield response.read()


def read_by_amount(response: Any) -> Iterator[bytes]:
    yield from iter(lambda: response.read(3), b"")


def read_into(response: Any) -> Iterator[bytes]:
    buffer = bytearray(5)
    while count := response.readinto(buffer):
        yield bytes(buffer[:count])


def read_what_is_there(response: Any) -> Iterator[bytes]:
    yield from iter(response.read1, b"")


def read_lines(response: Any) -> Iterator[bytes]:
    yield from iter(response.readline, b"")


WAYS: dict[str, Way] = {
    "read()": read_whole,
    "read(n)": read_by_amount,
    "readinto": read_into,
    "read1": read_what_is_there,
    "readline": read_lines,
}

FACTS = ("status", "reason", "version", "chunked", "length", "will_close")


def exchange(module: Any, octets: bytes, then: Then, way: Way, method: str = "GET", step: int = 1 << 20) -> Outcome:
    """Send a request with the client of `module`, play `octets` to it, and read the response in one way.

    Then send a second request on the same connection, unless the peer has ended it.
    """
    outcome = Outcome()
    peers: list[socket.socket] = []

    def dial(*address: Any) -> socket.socket:
        pair = socket.socketpair()
        ours, theirs = PlayedSocket(fileno=pair[0].detach()), pair[1]
        ours.setblocking(False)
        ours.step = step
        if then is Then.RESET:
            ours.finally_ = ConnectionResetError
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
        theirs.settimeout(LIMIT_S)
        peers.append(theirs)
        return ours

    connection = module.HTTPConnection("peer.example", 8080)
    connection._create_connection = dial
    try:
        connection.request(method, "peer.example:80" if method == "CONNECT" else "/first")
        peers[0].recv(65536)  # what stays unread would reset the stream when it is closed
        peers[0].sendall(octets + (SURPLUS if then is Then.SURPLUS else b""))
        if then in (Then.END, Then.SURPLUS):
            peers[0].shutdown(socket.SHUT_WR)
        _read(connection, way, outcome)
        if then in (Then.SILENCE, Then.SURPLUS):
            outcome.second = _second(connection, peers)
        outcome.streams = len(peers)
    finally:
        connection.close()
        for one in peers:
            one.close()
    return outcome


def _read(connection: Any, way: Way, outcome: Outcome) -> None:
    try:
        outcome.response = response = connection.getresponse()
        outcome.facts = {name: getattr(response, name) for name in FACTS}
        outcome.fields = response.getheaders()
        for piece in way(response):
            outcome.content += piece
        outcome.is_ended = response.isclosed()
    except Exception as error:
        # Without the frames it came through, which hold the outcome and the client's buffers.
        outcome.error = error.with_traceback(None)
        # What the documentation asks of a program: to close what has failed.
        (connection if outcome.response is None else outcome.response).close()


def _second(connection: Any, peers: list[socket.socket]) -> bytes | Exception:
    try:
        connection.request("GET", "/second")
        with suppress(OSError):  # it has said before that it would send no more
            peers[-1].sendall(SECOND)
        content: bytes = connection.getresponse().read()
    except Exception as error:
        return error
    return content
