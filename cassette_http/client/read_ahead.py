"""Decodes content that has arrived before the program reads it, so that small reads are cheap."""

from __future__ import annotations

import io

from cassette_http.client.inbox import Inbox
from cassette_http.wire.content import ChunkedDecoder


class ReadAhead:
    """The content that comes next, as a `file` in memory.

    This is invisible from outside: `settle` leaves the inbox as if only what was taken from the file had been read.
    """

    __slots__ = ("_begin", "_decoder", "_inbox", "_octets", "file")

    def __init__(self, inbox: Inbox, file: io.BytesIO, octets: int, decoder: ChunkedDecoder | None) -> None:
        self.file = file
        self._begin = file.tell()
        self._inbox = inbox
        # How much was read from the inbox, and a copy of the decoder from before that; None if content is not chunked.
        self._octets = octets
        self._decoder = decoder

    def settle(self) -> ChunkedDecoder | None:
        """Put back what was not taken; return the decoder that continues from there."""
        taken = self.file.tell() - self._begin
        self._inbox.put_back(self._octets)
        if self._decoder is None:
            self._inbox.skip(taken)
        elif taken:
            self._inbox.skip_chunks(self._decoder, taken)
        return self._decoder


def read_ahead(inbox: Inbox, length: int | None) -> ReadAhead | None:
    """Read what is there of content that is not chunked; None if there is nothing.

    `length` is how much of the content is missing. Its end is not read ahead, as reading it has side effects.
    """
    most = len(inbox) if length is None else min(len(inbox), length - 1)
    return ReadAhead(inbox, inbox.lend(most), 0, None) if most > 0 else None


def decode_ahead(inbox: Inbox, decoder: ChunkedDecoder) -> ReadAhead:
    """Read what is there of chunked content, perhaps nothing.

    Raises MalformedMessage if the content is broken at its next octet.
    """
    before, origin = len(inbox), decoder.copy()
    content = inbox.take_chunks(decoder, before)
    return ReadAhead(inbox, io.BytesIO(content), before - len(inbox), origin)
