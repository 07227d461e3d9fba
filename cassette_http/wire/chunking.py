"""Writes chunked bodies, and takes them apart so that they can be written again (RFC 9112 section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cassette_http.wire.content import ChunkedDecoder
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.head import serialise_fields
from cassette_http.wire.messages import Fields


def chunk(data: bytes) -> bytes:
    """Write one chunk; nothing if there is no data, because an empty chunk is the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Write the end of a chunked body: the empty chunk, the trailer section, the empty line."""
    return b"0\r\n" + serialise_fields(trailers) + b"\r\n"


class Chunked(NamedTuple):
    """The parts of a chunked body; `sizes` are those of its chunks, without the last (empty) one."""

    content: bytes
    sizes: tuple[int, ...]
    trailers: Fields = ()


def unchunk(octets: bytes) -> Chunked | None:
    """Take a chunked body apart if `enchunk` makes the very same octets of it; else return None.

    It does for complete bodies without extensions, with sizes in lower-case hex digits, and with CRLF.
    """
    decoder = ChunkedDecoder()
    try:
        # The whole body is there, so each chunk is one piece.
        pieces, _ = decoder.take_pieces(octets, 0, len(octets))
    except MalformedMessage:
        return None
    if decoder.want is not None:
        return None
    chunked = Chunked(b"".join(pieces), tuple(map(len, pieces)), decoder.trailers)
    at = 0
    for part in _framed(chunked):  # not put together, as it may be large
        if not octets.startswith(part, at):
            return None
        at += len(part)
    return chunked if at == len(octets) else None


def enchunk(chunked: Chunked) -> bytes:
    """Put a chunked body together. Raises ValueError if the content cannot be cut into the sizes."""
    return b"".join(_framed(chunked))


def _framed(chunked: Chunked) -> list[bytes | memoryview]:
    if sum(chunked.sizes) != len(chunked.content) or any(size < 1 for size in chunked.sizes):
        raise ValueError(f"{len(chunked.content)} octets cannot be cut into chunks of {chunked.sizes[:10]}")
    view = memoryview(chunked.content)
    pieces: list[bytes | memoryview] = []
    at = 0
    for size in chunked.sizes:
        pieces += (b"%x\r\n" % size, view[at : at + size], b"\r\n")
        at += size
    pieces.append(last_chunk(chunked.trailers))
    return pieces
