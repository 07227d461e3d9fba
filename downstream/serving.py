"""Scripts for the peer that the scenarios of several libraries share."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tests.peer import Connection, Script, keep_alive, response

__all__ = [
    "SSE_EVENTS",
    "ThreeTimes",
    "as_chunks",
    "as_json",
    "asks_for_digest",
    "body_of",
    "continues",
    "counting",
    "echo",
    "echoes_frames",
    "fails_each_first_time",
    "field_of",
    "sends_in_chunks",
    "target_of",
]


class ThreeTimes(Protocol):
    """The fixture `three_times`."""

    def __call__(self, script: Script, ask: Callable[[str], Any], tls: Any = None) -> Any: ...


# ---------------------------------------------------------------------- requests


def target_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode("latin-1")


def field_of(request: bytes, name: bytes) -> bytes:
    """The value of a field, empty if there is none."""
    head = request.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n")[1:]:
        if line.partition(b":")[0].lower() == name.lower():
            return line.partition(b":")[2].strip()
    return b""


def body_of(request: bytes) -> bytes:
    """The content of a request, without its chunks."""
    body = request.partition(b"\r\n\r\n")[2]
    if field_of(request, b"Transfer-Encoding").lower() != b"chunked":
        return body
    content = b""
    while body:
        line, _, rest = body.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        content, body = content + rest[:size], rest[size + 2 :]
    return content


# ---------------------------------------------------------------------- responses


def as_json(value: Any, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    return response(json.dumps(value).encode(), b"Content-Type: application/json", *fields, status=status)


def as_chunks(pieces: Iterable[bytes], *fields: bytes) -> bytes:
    """A response with one chunk for each piece."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"Transfer-Encoding: chunked", b"", b""])
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def echo(request: bytes) -> bytes:
    """Tell what was asked, and set a cookie at first."""
    cookie = field_of(request, b"Cookie")
    told = {
        "line": request.partition(b"\r\n")[0].decode("latin-1"),
        "cookie": cookie.decode("latin-1"),
        "octets": len(body_of(request)),
    }
    return as_json(told, *([] if cookie else [b"Set-Cookie: theme=dark; Path=/"]))


def counting() -> Script:
    """Answer each request with its number on its connection: who keeps connections sees it."""

    def script(connection: Connection) -> None:
        for number in itertools.count(1):
            connection.read_request()
            connection.send(response(b"%d" % number))

    return script


def fails_each_first_time(success: bytes, status: bytes = b"503 Service Unavailable") -> Script:
    """Every second request succeeds; the others are told to come again at once."""
    numbers = itertools.count()

    def answer(request: bytes) -> bytes:
        return success if next(numbers) % 2 else as_json({"error": "again"}, b"Retry-After: 0", status=status)

    return keep_alive(answer)


def asks_for_digest(request: bytes) -> bytes:
    """Ask for digest authentication (RFC 7616); any answer to it will do."""
    if field_of(request, b"Authorization").startswith(b"Digest"):
        return response(b"welcome")
    challenge = b'WWW-Authenticate: Digest realm="r", nonce="abc", qop="auth", algorithm=MD5'
    return response(b"who is there?", challenge, status=b"401 Unauthorized")


# ---------------------------------------------------------------------- scripts

SSE_EVENTS = [b'data: {"n": %d}\n\n' % number for number in range(5)]


def sends_in_chunks(pieces: Iterable[bytes], *fields: bytes) -> Script:
    """Answer each request with a chunk for each piece, each sent by itself."""
    sent = list(pieces)

    def script(connection: Connection) -> None:
        while True:
            connection.read_request()
            connection.send(b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"Transfer-Encoding: chunked", b"", b""]))
            for piece in sent:
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")

    return script


def continues(answer: Callable[[bytes], bytes]) -> Script:
    """Say 100 Continue to who expects it, before the content is read (RFC 9110 section 10.1.1)."""

    def script(connection: Connection) -> None:
        while True:
            head = connection.read_until(b"\r\n\r\n")
            if field_of(head, b"Expect").lower() == b"100-continue":
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = connection.read(int(field_of(head, b"Content-Length") or b"0"))
            connection.send(answer(head + body))

    return script


# ---------------------------------------------------------------------- WebSocket (RFC 6455)

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = 8


def echoes_frames(connection: Connection) -> None:
    """Open a WebSocket, send each short frame back, and close when the client does."""
    request = connection.read_request()
    accepted = base64.b64encode(hashlib.sha1(field_of(request, b"Sec-WebSocket-Key") + WEBSOCKET_GUID).digest())
    connection.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
    )
    while True:
        first, length = struct.unpack("!BB", connection.read(2))
        assert length & 0x7F < 126, "the scenarios send short frames"
        mask = connection.read(4)
        masked = connection.read(length & 0x7F)
        content = bytes(octet ^ mask[place % 4] for place, octet in enumerate(masked))
        connection.send(struct.pack("!BB", first, len(content)) + content)
        if first & 0x0F == CLOSE:
            return
