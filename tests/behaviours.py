"""How a scripted peer may behave: what the tables of clients go through, live, recording and replaying."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cassette_http import Cassette, use_cassette
from tests.peer import Connection, Peer, Script, response

__all__ = [
    "BEHAVIOURS",
    "GET_A",
    "LONG_PATIENCE_S",
    "Asked",
    "patience_s",
    "three_times",
    "tries_patience",
    "with_causes",
    "write_cassette_of",
]

# How long clients wait for octets: where none come, and where some always do, however slow the machine is.
# Connects and handshakes always end, so clients that can tell them apart are to wait for them longer.
SHORT_PATIENCE_S, LONG_PATIENCE_S = 0.3, 10.0
_trying: set[Script] = set()

# Method, path and body of the requests that a client makes of one peer.
Asked = list[tuple[str, str, bytes | None]]


def tries_patience(script: Script) -> Script:
    """Mark a script of which some client expects more than comes. (Tornado overlooks resets within the content.)"""
    _trying.add(script)
    return script


def patience_s(script: Script) -> float:
    """How long a client of this script is to wait for octets."""
    return SHORT_PATIENCE_S if script in _trying else LONG_PATIENCE_S


def answers(octets: bytes) -> Script:
    """Answer each request with these octets; then close if the client asked for it."""

    def script(connection: Connection) -> None:
        while True:
            request = connection.read_request()
            connection.send(octets)
            if b"connection: close" in request.lower():
                return

    return script


def once(*pieces: bytes, pause_s: float = 0.0, then: str = "close") -> Script:
    """Answer one request with these pieces, then close, reset or stay silent."""

    def script(connection: Connection) -> None:
        connection.read_request()
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause_s)  # the pause of the scripted peer is what is tested
            connection.send(piece)
        if then == "reset":
            time.sleep(0.05)  # let the octets arrive: a reset discards what the client has not read
            connection.reset()
        elif then == "silence":
            connection.wait_closed()

    return tries_patience(script) if then == "silence" else script


def redirects(connection: Connection) -> None:
    while True:
        request = connection.read_request()
        target = request.split(b" ")[1]
        if target == b"/end":
            connection.send(response(b"arrived"))
        else:
            connection.send(response(b"", b"Location: /end", status=b"302 Found"))
        if b"connection: close" in request.lower():
            return


def counts(connection: Connection) -> None:
    number = 0
    while True:
        request = connection.read_request()
        number += 1
        connection.send(response(b"answer %d of this connection" % number))
        if b"connection: close" in request.lower():
            return


HEAD = b"HTTP/1.1 200 OK\r\nServer: scripted\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NO_CHUNKS = b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
NONSENSE = b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok"
GET_A = [("GET", "/a", None)]

BEHAVIOURS = [
    pytest.param(answers(response(b"hello", b"X-A: 1", b"x-a: 2")), GET_A, id="length"),
    pytest.param(answers(CHUNKED + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-T: 1\r\n\r\n"), GET_A, id="chunked"),
    pytest.param(answers(response(gzip.compress(b"text" * 50, mtime=0), b"Content-Encoding: gzip")), GET_A, id="gzip"),
    pytest.param(answers(HEAD + b"Content-Length: 5\r\n\r\n"), [("HEAD", "/a", None)], id="head"),
    pytest.param(answers(b"HTTP/1.1 204 No Content\r\n\r\n"), [("DELETE", "/a", None)], id="204"),
    pytest.param(answers(response(b"no such thing", status=b"404 Not Found")), GET_A, id="404"),
    pytest.param(answers(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"after")), GET_A, id="interim response"),
    pytest.param(once(b"HTTP/1.0 200 OK\r\n\r\nto ", b"the ", b"end", pause_s=0.02), GET_A, id="until close"),
    pytest.param(once(CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n", pause_s=0.02), GET_A, id="stream"),
    pytest.param(answers(response(b"\x00\xff" * 40000)), GET_A, id="binary"),
    pytest.param(answers(response(b"caf\xc3\xa9", b"X-Latin: caf\xe9")), GET_A, id="latin-1 field"),
    pytest.param(answers(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), GET_A, id="no reason"),
    pytest.param(answers(b"HTTP/1.1 299 Odd one\nContent-Length: 2\n\nok"), GET_A, id="lines end in LF"),
    pytest.param(tries_patience(answers(NONSENSE)), GET_A, id="malformed field"),
    pytest.param(redirects, [("GET", "/start", None)], id="redirect"),
    pytest.param(counts, [("GET", "/1", None), ("GET", "/2", None), ("GET", "/1", None)], id="kept connection"),
    pytest.param(answers(response(b"same")), [("GET", "/", None)] * 3, id="the same three times"),
    pytest.param(answers(response(b"got it")), [("POST", "/a", b'{"a": 1}'), ("PUT", "/b", b"x" * 9000)], id="bodies"),
    pytest.param(once(), GET_A, id="close before the status line"),
    pytest.param(once(b"HTTP/1.1 200 OK\r\nContent-Le"), GET_A, id="close in the head"),
    pytest.param(once(HEAD + b"Content-Length: 100\r\n\r\nonly this"), GET_A, id="truncated length"),
    pytest.param(once(CHUNKED + b"5\r\nab"), GET_A, id="truncated chunk"),
    pytest.param(
        tries_patience(once(HEAD + b"Content-Length: 100\r\n\r\npart", then="reset")), GET_A, id="reset in the content"
    ),
    pytest.param(once(then="reset"), GET_A, id="reset before the status line"),
    pytest.param(once(then="silence"), GET_A, id="time-out before the status line"),
    pytest.param(once(CHUNKED + b"3\r\nabc\r\n", then="silence"), GET_A, id="time-out in the content"),
    pytest.param(once(b"SSH-2.0-OpenSSH_9.6\r\n"), GET_A, id="garbage"),
    pytest.param(once(NO_CHUNKS, then="silence"), GET_A, id="204 that announces chunks"),
    pytest.param(once(CHUNKED + b"zz\r\nabc\r\n"), GET_A, id="garbage for a chunk size"),
]


def three_times(ask: Callable[[], Any], path: Path, *servers: Peer) -> tuple[Any, Cassette]:
    """Assert that `ask` sees the same live, recording and replaying, where nothing is connected and all is played.

    Returns what it saw, and the cassette of the replay.
    """
    live = ask()
    with use_cassette(path, "all"):
        recorded = ask()
    for server in servers:
        server.stop()
    connections = [server.connections for server in servers]
    with use_cassette(path, "none") as cassette:
        replayed = ask()
    assert recorded == live
    assert replayed == live, path.read_text()
    assert [server.connections for server in servers] == connections
    assert cassette.unplayed == []
    return live, cassette


def with_causes(error: BaseException) -> list[BaseException]:
    """An error of a library, and what it came of, down to that of the socket."""
    errors = [error]
    while (cause := errors[-1].__cause__ or errors[-1].__context__) is not None:
        if cause in errors:  # the first releases of Python 3.11 may lead in a circle
            break
        errors.append(cause)
    return errors


def write_cassette_of(path: Path, port: int, *hosts: str) -> None:
    """Write one that knows these hosts: in `new_episodes` they are dialled late, when a request has no answer."""
    known = [f"request: GET http://{host}:{port}/known\nresponse: 204 No Content\n---\n" for host in hosts]
    path.write_text("".join(["cassette: 1\n---\n", *known]))
