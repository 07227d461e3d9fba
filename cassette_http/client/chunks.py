"""Chunked content, read from an inbox or from a file. If it is broken, the errors are those of `wire`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from cassette_http.client.inbox import Inbox
from cassette_http.wire.content import ChunkedDecoder, Line
from cassette_http.wire.grammar import MAX_READ_OCTETS


def pour(inbox: Inbox, decoder: ChunkedDecoder, whole: io.BytesIO) -> None:
    """Read all content into `whole`, piece by piece."""
    while True:
        if pieces := inbox.take_pieces(decoder):
            whole.writelines(pieces)
        elif decoder.remaining == 0:
            return
        elif not inbox.fill():
            decoder.end()


def next_content(
    source: Inbox | BinaryIO,
    decoder: ChunkedDecoder,
    most: int,
    take: Callable[[Inbox, ChunkedDecoder, int], bytes] = Inbox.take_chunks,
) -> bytes:
    """Wait for content, and return at most `most` octets of it, perhaps from several chunks; b"" at the end."""
    if not isinstance(source, Inbox):
        left = go_to_data(source, decoder)
        return _passed(decoder, source.read(min(most, left, MAX_READ_OCTETS))) if left else b""
    while not (content := take(source, decoder, most)) and decoder.remaining != 0:
        if not source.fill():
            decoder.end()
    return content


def read1_content(source: Inbox | BinaryIO, decoder: ChunkedDecoder, most: int) -> bytes:
    """Return content of one chunk, with at most one read of the stream; a negative `most` means no limit."""
    left = go_to_data(source, decoder)
    if not left:
        return b""
    read1: Callable[[int], bytes] = source.read1  # type: ignore[union-attr]  # as of all buffered files
    return _passed(decoder, read1(min(left if most < 0 else min(left, most), MAX_READ_OCTETS)))


def go_to_data(source: Inbox | BinaryIO, decoder: ChunkedDecoder) -> int:
    """Go on to the data of a chunk, and return how much of it is missing; 0 at the end of the content."""
    while (left := decoder.remaining) is None:
        if isinstance(source, Inbox):
            source.take_chunks(decoder, 0)
            if decoder.remaining is None and not source.fill():
                decoder.end()
            continue
        # A file must not be read beyond the response, so lines are read one by one.
        want = decoder.want
        assert isinstance(want, Line), "between chunks"
        if octets := source.readline(want.limit):
            decoder.feed(octets)
        else:
            decoder.end()
    return left


def _passed(decoder: ChunkedDecoder, data: bytes) -> bytes:
    """Note that data of a chunk was read; no data means that the stream ended too early."""
    if data:
        decoder.passed(len(data))
    else:
        decoder.end()
    return data
