"""Peers that stretch the protocol or break it: what libraries meet in the wild, each with what is asked of it."""

from __future__ import annotations

import itertools
import socket
import time

import pytest

from tests.behaviours import BEHAVIOURS, CHUNKED, GET_A, HEAD, NO_CHUNKS, answers, once, tries_patience
from tests.peer import Connection, Script, response

__all__ = ["PEERS"]

GETS = [("GET", "/1", None), ("GET", "/2", None), ("GET", "/3", None)]
POST = [("POST", "/a", b"x" * 3000)]


def closes_after_announcing(connection: Connection) -> None:
    """Each connection serves one request, and says so."""
    connection.read_request()
    connection.send(response(b"the only one", b"Connection: close"))


def half_closes(connection: Connection) -> None:
    """Ends its direction behind a body without a length, and goes on listening."""
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
    connection.sock.shutdown(socket.SHUT_WR)
    connection.wait_closed()


def refuses_early(connection: Connection) -> None:
    """Answers before the body is there, and closes."""
    connection.read_until(b"\r\n\r\n")
    connection.send(response(b"too much", b"Connection: close", status=b"413 Content Too Large"))
    time.sleep(0.05)  # let the answer arrive: closing with octets unread resets


def cannot_wait(connection: Connection) -> None:
    """Answers before it was asked."""
    connection.send(response(b"whatever you ask", b"Connection: close"))
    connection.read_request()


def octet_by_octet(connection: Connection) -> None:
    connection.read_request()
    for octet in response(b"slow"):
        connection.send(bytes([octet]))


def breaks_off_second(connection: Connection) -> None:
    """The first response is whole; the second one is cut, on the same connection if the client keeps it."""
    if answers_up_to_second(connection):
        connection.send(HEAD + b"Content-Length: 50\r\n\r\ncut")


def resets_second(connection: Connection) -> None:
    if answers_up_to_second(connection):
        connection.reset()


def answers_up_to_second(connection: Connection) -> bool:
    """Answer requests up to the one for /2; False if the client wants no more on this connection."""
    while b" /2 " not in (request := connection.read_request()):
        connection.send(response(b"whole"))
        if wants_close(request):
            return False
    return True


def wants_close(request: bytes) -> bool:
    return b"connection: close" in request.lower()


def old_and_kept(connection: Connection) -> None:
    """HTTP/1.0, but the connection is kept."""
    while not wants_close(connection.read_request()):
        connection.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    connection.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")


def counts_tries(connection: Connection) -> None:
    for number in itertools.count(1):
        request = connection.read_request()
        status = b"200 OK" if number % 3 == 0 else b"503 Service Unavailable"
        connection.send(response(b"try %d" % number, b"Retry-After: 0", status=status))
        if wants_close(request):
            return


STORM = b"".join(b"HTTP/1.1 102 Processing\r\nX-N: %d\r\n\r\n" % number for number in range(20))
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def answers_late(hints: int, surplus: bytes = b"") -> Script:
    """The answer that hints announce comes when as many further requests have come, each with a hint, if they do."""

    def script(connection: Connection) -> None:
        for _ in range(hints):
            connection.read_request()
            connection.send(HINTS)
        while True:
            connection.read_request()
            connection.send(response(b"late"), surplus)

    return tries_patience(script)


CHUNKS = b"".join(b"%x\r\n%s\r\n" % (size, b"c" * size) for size in (1, 15, 16, 255, 256, 4095, 4096))
TORN = [CHUNKED[:-20], CHUNKED[-20:] + b"5", b"\r\nab", b"cde\r\n0\r", b"\n\r\n"]
TRAILERS = b"0\r\nX-Sum: 1\r\nX-Sum: 2\r\nExpires: never\r\n\r\n"

# What messages may look like: the same over TLS.
ODD_MESSAGES = [
    pytest.param(answers(STORM + response(b"after the storm")), GETS, id="storm of interim responses"),
    pytest.param(once(HINTS, response(b"hinted"), pause_s=0.02), GET_A, id="early hints in a piece of their own"),
    pytest.param(answers_late(1), GETS[:2], id="early hints, and the answer late"),
    pytest.param(answers_late(1, b"\r\n"), GETS[:2], id="early hints, and the answer late with a line behind it"),
    pytest.param(answers_late(2), GETS, id="early hints twice, and the answer very late"),
    pytest.param(once(CHUNKED, CHUNKS, TRAILERS, pause_s=0.02), GET_A, id="chunks of odd sizes and trailers"),
    pytest.param(
        once(*TORN, pause_s=0.02),
        GET_A,
        id="torn anywhere",
    ),
    pytest.param(octet_by_octet, GET_A, id="octet by octet"),
    pytest.param(cannot_wait, GETS[:2], id="answer before the request"),
    pytest.param(once(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"), GET_A, id="HTTP/1.0 with a length"),
    pytest.param(counts_tries, GETS * 2, id="busy two times out of three"),
    pytest.param(answers(response(b"x", b"Content-Encoding: br, gzip")), GET_A, id="coding that it is not"),
    pytest.param(answers(HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\ntwice"), GET_A, id="length twice"),
    pytest.param(
        answers(HEAD + b"Content-Length: 5\r\n" + CHUNKED[len(HEAD) :] + b"3\r\nabc\r\n0\r\n\r\n"),
        GET_A,
        id="length and chunks",
    ),
    pytest.param(tries_patience(answers(HEAD + b"Content-Length: -1\r\n\r\n")), GET_A, id="negative length"),
    pytest.param(once(HEAD + b"Content-Length: 5, 5\r\n\r\ntwice"), GET_A, id="length twice in one field"),
    pytest.param(
        once(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), GET_A, id="two transfer codings"
    ),
    pytest.param(once(CHUNKED + b"3\nabc\n0\n\n"), GET_A, id="chunk lines end in LF"),
    pytest.param(once(b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok"), GET_A, id="version that is none"),
    pytest.param(once(b"\r\n\r\n" + response(b"late")), GET_A, id="empty lines first"),
    pytest.param(once(HEAD + b"X: " + b"y" * 70000 + b"\r\nContent-Length: 2\r\n\r\nok"), GET_A, id="huge field"),
    pytest.param(once(HEAD + b"X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok"), GET_A, id="folded field"),
    pytest.param(answers(b"HTTP/1.1 304 Same\r\nContent-Length: 10\r\n\r\n"), GETS[:2], id="304 with a length"),
    pytest.param(answers(b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nhello"), GETS[:2], id="304 with content"),
    pytest.param(answers(b"HTTP/1.1 205 Reset\r\nContent-Length: 5\r\n\r\nhello"), GETS[:2], id="205 with content"),
    pytest.param(answers(response(b"asked") + response(b"forged")), GETS[:2], id="second response unasked"),
    pytest.param(answers(response(b"")[:-4] + b"\r\nContent-Encoding: gzip\r\n\r\n"), GETS[:2], id="gzip of nothing"),
    pytest.param(tries_patience(answers(NO_CHUNKS)), GETS[:2], id="204 with chunks"),
]

# How connections may end.
ODD_ENDS = [
    pytest.param(closes_after_announcing, GETS, id="close is announced each time"),
    pytest.param(half_closes, GETS, id="half-close"),
    pytest.param(refuses_early, POST, id="early refusal"),
    pytest.param(breaks_off_second, GETS[:2], id="second response is cut"),
    pytest.param(resets_second, GETS[:2], id="second request is reset"),
    pytest.param(old_and_kept, GETS, id="HTTP/1.0 and kept"),
    pytest.param(tries_patience(once(CHUNKED + b"3\r\nabc\r\n", then="reset")), GET_A, id="reset between chunks"),
    pytest.param(once(CHUNKED + b"3\r\nabc\r\n0\r\n"), GET_A, id="last line is missing"),
    pytest.param(once(HINTS, then="reset"), GET_A, id="reset behind an interim response"),
]

# Script, what is asked, and whether by TLS.
PEERS = [
    *(
        pytest.param(*row.values, is_tls, id=f"{row.id}-{'tls' if is_tls else 'tcp'}")
        for row in [*BEHAVIOURS, *ODD_ENDS]
        for is_tls in (False, True)
    ),
    *(pytest.param(*row.values, False, id=row.id) for row in ODD_MESSAGES),
]
