"""Messages with secrets, and what is left of them: for tests of redaction."""

from __future__ import annotations

from cassette_http.cassette.model import Failure, Interaction, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk
from cassette_http.wire.content import decode
from cassette_http.wire.framing import response_framing
from cassette_http.wire.reader import ResponseReader
from tests.cassette.messages import ORIGIN, request

__all__ = ["CHUNKED_HEAD", "GITHUB", "OK", "TOKEN", "bearer", "chunked", "content_of", "interaction", "redacted"]

TOKEN = "tk_Live-0123/abc+XYZ=~9"
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def chunked(*chunks: bytes, end: bytes = last_chunk()) -> bytes:
    return CHUNKED_HEAD + b"".join(map(chunk, chunks)) + end


def interaction(sent: Request | None, *pieces: bytes, failure: Failure | None = None) -> Interaction:
    track = Track(tuple(Piece(octets, at=number / 8) for number, octets in enumerate(pieces)), failure)
    return Interaction(ORIGIN, sent, track)


def bearer(token: str = TOKEN, **options: object) -> Request:
    return request(f"Authorization: Bearer {token}", **options)  # type: ignore[arg-type]


def redacted(sent: Request, received: bytes = OK) -> tuple[Request, bytes]:
    result = Redactor().redact(interaction(sent, received))
    assert result.request is not None
    return result.request, result.track.octets


def content_of(octets: bytes) -> bytes:
    reader = ResponseReader("GET")
    assert reader.feed(octets) == len(octets)
    assert reader.is_complete
    assert reader.head is not None
    framing = response_framing(reader.head.status, reader.head.fields, "GET")
    return decode(framing, octets[reader.head_octets :])
