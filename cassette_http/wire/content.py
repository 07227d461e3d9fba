"""From message body to content (RFC 9112 sections 6, 7): one decoder per framing.

Decoders do no I/O. Each follows a body to its end (`skip`, `end`). The decoder for the chunked coding also returns
the content, and has two kinds of callers:

- *Pull*: read what `want` says (a line, or some octets), `feed` it; at the end of the stream call `end`.
- *Push*: pass whatever has arrived to `take`, which goes through all chunks of a buffer in one pass, and returns how
  many octets belonged to this message.

The states of the chunked coding, and what is wanted in each:

    ┌─> SIZE ──size > 0──> DATA ────> DATA_END ─┐
    │   line │             octets     line      │
    │        └──size = 0──> TRAILER ──> COMPLETE│
    │                       lines       None    │
    └───────────────────────────────────────────┘
"""

from __future__ import annotations

import sys
from copy import copy
from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeAlias

from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage
from cassette_http.wire.framing import Framing, FramingKind
from cassette_http.wire.grammar import (
    CHUNK_BORDER,
    CHUNK_SIZE_LINE,
    MAX_CHUNK_EXTENSION_OCTETS,
    MAX_CHUNK_SIZE_DIGITS,
    MAX_LINE_OCTETS,
    MAX_READ_OCTETS,
    MAX_TRAILERS,
)
from cassette_http.wire.head import parse_fields
from cassette_http.wire.messages import Fields

Buffer: TypeAlias = bytes | bytearray


class Line(NamedTuple):
    """One line up to and including its LF, but no more than `limit` octets."""

    limit: int


class Octets(NamedTuple):
    """Any number of octets from 1 to `at_most`."""

    at_most: int


class Decoder(Protocol):
    """Follows a message body to its end."""

    @property
    def remaining(self) -> int | None:
        """How many octets of the announced length, or of this chunk, are still missing; 0 at the end of the message."""
        ...

    def skip(self, data: Buffer, start: int = 0) -> int:
        """Skip the octets of `data[start:]` that belong to the message; return the position after them.

        Raises MalformedMessage, then and at each later call, if the framing is broken.
        """
        ...

    def end(self) -> None:
        """Note that the peer has closed. Raises IncompleteMessage if content is missing."""
        ...


def decoder_for(framing: Framing) -> Decoder:
    """Make the decoder for one message."""
    if framing.kind is FramingKind.CHUNKED:
        return ChunkedDecoder()
    return UntilCloseDecoder() if framing.kind is FramingKind.CLOSE else LengthDecoder(framing.length or 0)


class LengthDecoder:
    """For content of a known length (RFC 9112 section 6.2), perhaps none."""

    __slots__ = ("_length", "remaining")

    def __init__(self, length: int) -> None:
        self._length = self.remaining = length

    def skip(self, data: Buffer, start: int = 0) -> int:
        count = min(self.remaining, len(data) - start)
        self.remaining -= count
        return start + count

    def end(self) -> None:
        if self.remaining:
            raise IncompleteMessage(self._length - self.remaining, self.remaining)


class UntilCloseDecoder:
    """For responses whose content ends with the connection (RFC 9112 section 6.3, rule 8)."""

    remaining: None = None

    def skip(self, data: Buffer, start: int = 0) -> int:
        return len(data)

    def end(self) -> None:
        """This is how such content ends."""


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    COMPLETE = auto()


class ChunkedDecoder:
    """For the chunked transfer coding (RFC 9112 section 7.1). Extensions are bounded and dropped.

    With `missing`, it starts in the data of a chunk of which so many octets are missing; at its end if that is 0.
    """

    __slots__ = (
        "_error",
        "_extension_octets",
        "_line",
        "_missing",
        "_received",
        "_state",
        "_trailer_lines",
        "has_bare_lf",
        "trailers",
    )

    def __init__(self, missing: int | None = None) -> None:
        self._state = _State.SIZE if missing is None else _State.DATA if missing else _State.DATA_END
        self._missing = missing or 0  # octets of this chunk's data
        self._received = 0
        self._line = bytearray()  # the beginning of a line whose end has not arrived
        self._extension_octets = 0
        self._trailer_lines: list[bytes] = []
        self.trailers: Fields = ()
        self.has_bare_lf = False  # in its framing, where clients disagree whether it ends a line
        self._error: MalformedMessage | None = None

    @property
    def want(self) -> Line | Octets | None:
        """What to feed next; None if the content is complete."""
        if self._state is _State.COMPLETE:
            return None
        if self._state is _State.DATA:
            return Octets(min(self._missing, MAX_READ_OCTETS))
        return Line(self._line_limit() - len(self._line))

    @property
    def remaining(self) -> int | None:
        if self._state is _State.COMPLETE:
            return 0
        return self._missing if self._state is _State.DATA else None

    @property
    def is_bare(self) -> bool:
        """There was no chunk extension and no trailer so far."""
        return not (self._extension_octets or self._trailer_lines)

    def copy(self) -> ChunkedDecoder:
        """Make another decoder in the same state."""
        other = ChunkedDecoder()
        other._state = self._state
        other._missing, other._received = self._missing, self._received
        other._line = bytearray(self._line)
        other._extension_octets = self._extension_octets
        other._trailer_lines = list(self._trailer_lines)
        other.trailers, other.has_bare_lf = self.trailers, self.has_bare_lf
        other._error = self._error
        return other

    @property
    def is_in_trailers(self) -> bool:
        """The last chunk has come, but not the end of the message."""
        return self._state is _State.TRAILER

    def feed(self, data: bytes) -> bytes:
        """Take what was wanted, or a part of it, and return the content in it.

        Raises MalformedMessage as `skip` does; ValueError if `data` is more than belongs to the message.
        """
        if self._state is _State.DATA and len(data) <= self._missing:
            self._count_data(len(data))
            return data
        pieces: list[memoryview] = []
        _refuse_excess(len(data) - self._walk(data, 0, len(data), pieces))
        return b"".join(pieces)

    def take(self, data: Buffer, start: int = 0, stop: int | None = None, most: int = sys.maxsize) -> tuple[bytes, int]:
        """Take the octets of `data[start:stop]` that belong to the message; return their content, and where they end.

        It stops after `most` octets of content; with `most` = 0, before the next content. Raises MalformedMessage as
        `skip` does, but content before the error is returned first, and then the next call raises.
        """
        pieces, position = self.take_pieces(data, start, len(data) if stop is None else stop, most)
        return b"".join(pieces), position

    def take_pieces(self, data: Buffer, start: int, stop: int, most: int = sys.maxsize) -> tuple[list[memoryview], int]:
        """Like `take`, but return the content as pieces of `data`."""
        received = self._received
        pieces: list[memoryview] = []
        try:
            position = self._walk(data, start, stop, pieces, most)
        except MalformedMessage:
            if self._received == received:
                raise
            position = stop
        return pieces, position

    def skip(self, data: Buffer, start: int = 0, stop: int | None = None, most: int = sys.maxsize) -> int:
        return self._walk(data, start, len(data) if stop is None else stop, None, most)

    def passed(self, count: int) -> None:
        """Count octets that were wanted as `Octets`, and that the caller has stored itself."""
        if count > self._missing:
            _refuse_excess(count - self._missing)
        if count:  # 0 octets are allowed in any state
            self._count_data(count)

    def end(self) -> None:
        if self._error is not None:
            raise copy(self._error)
        if self._state is _State.TRAILER:
            # A body is complete with its last chunk (RFC 9112 section 8); some servers forget the rest.
            self._complete()
        elif self._state is not _State.COMPLETE:
            raise IncompleteMessage(self._received, self.remaining)

    def _walk(self, data: Buffer, at: int, stop: int, pieces: list[memoryview] | None, most: int = sys.maxsize) -> int:
        """Go through data[at:stop] until it ends, the message ends, or there were `most` octets of content.

        The content is added to `pieces`.
        """
        if self._error is not None:
            raise copy(self._error)
        enough = self._received + most
        try:
            while at < stop and self._state is not _State.COMPLETE:
                if self._state is _State.DATA or self._state is _State.DATA_END:
                    begin = at
                    at = self._take_data(data, at, stop, pieces, enough - self._received)
                    if self._received == enough and (most or self._state is _State.DATA):
                        break
                    if at > begin:
                        continue
                at = self._take_line(data, at, stop)
        except MalformedMessage as error:
            # A copy, as the error's own traceback keeps the caller's buffer alive, and its size fixed.
            self._error = copy(error)
            raise
        return at

    def _take_data(self, data: Buffer, at: int, stop: int, pieces: list[memoryview] | None, most: int) -> int:
        """Take the data of this chunk, and of further chunks while the lines between them are ordinary."""
        if self._line:
            return at  # in a line between chunks, of which only a part has arrived
        view = memoryview(data)
        size, border, next_size = self._missing, None, 0
        while True:
            if size:
                count = size if size <= most and at + size <= stop else min(most, stop - at)
                if pieces is not None:
                    pieces.append(view[at : at + count])
                at += count
                size -= count
                most -= count
                self._received += count
                if size or not most:
                    break
            # Most chunks are as long as the previous one, and comparing is much faster than matching.
            if border is not None and data.startswith(border, at, stop):
                at += len(border)
            elif match := CHUNK_BORDER.match(data, at, stop):
                border, next_size, at = match[0], int(match[1], 16), match.end()
            else:
                break
            size = next_size
            if not size:
                self._begin_chunk(0)
                return at
        self._missing = size
        self._state = _State.DATA if size else _State.DATA_END
        return at

    def _count_data(self, count: int) -> None:
        self._missing -= count
        self._received += count
        if not self._missing:
            self._state = _State.DATA_END

    def _take_line(self, data: Buffer, at: int, stop: int) -> int:
        """Take one line, or the part of it that is there; return the position after it."""
        stop = min(at + self._line_limit() - len(self._line), stop)
        line_end = data.find(b"\n", at, stop) + 1
        if not line_end:
            self._line += data[at:stop]
            if len(self._line) == self._line_limit():
                raise self._line_error()
            return stop
        line = bytes(data[at:line_end])
        if self._line:
            line = bytes(self._line) + line
            self._line.clear()
        self.has_bare_lf = self.has_bare_lf or line[-2:-1] != b"\r"
        if self._state is _State.SIZE:
            self._take_size(line)
        elif self._state is _State.TRAILER:
            self._take_trailer(line)
        elif line == b"\r\n":
            self._state = _State.SIZE
        else:  # also LF alone, which may be data of a chunk that is one octet too short
            raise MalformedMessage("chunk data is not followed by CRLF", line)
        return line_end

    def _line_limit(self) -> int:
        return 2 if self._state is _State.DATA_END else MAX_LINE_OCTETS

    def _line_error(self) -> MalformedMessage:
        if self._state is _State.DATA_END:
            return MalformedMessage("chunk data is not followed by CRLF", self._line)
        return LimitExceeded("line", MAX_LINE_OCTETS)

    def _take_size(self, line: bytes) -> None:
        match = CHUNK_SIZE_LINE.fullmatch(line)
        if match is None:
            raise MalformedMessage("not a chunk size", line)
        digits, extension = match.groups(b"")
        self._extension_octets += len(extension)
        if self._extension_octets > MAX_CHUNK_EXTENSION_OCTETS:
            raise LimitExceeded("chunk extension", MAX_CHUNK_EXTENSION_OCTETS)
        if len(digits) > MAX_CHUNK_SIZE_DIGITS:
            raise LimitExceeded("chunk size", MAX_CHUNK_SIZE_DIGITS)
        self._begin_chunk(int(digits, 16))

    def _begin_chunk(self, size: int) -> None:
        self._missing = size
        self._state = _State.DATA if size else _State.TRAILER

    def _take_trailer(self, line: bytes) -> None:
        if line in (b"\r\n", b"\n"):
            self._complete()
            return
        self._trailer_lines.append(line)
        if len(self._trailer_lines) > MAX_TRAILERS:
            raise LimitExceeded("trailers", MAX_TRAILERS)

    def _complete(self) -> None:
        fields, _ = parse_fields(b"".join(self._trailer_lines))
        self.trailers = tuple(fields)
        self._state = _State.COMPLETE


def _refuse_excess(count: int) -> None:
    if count > 0:
        raise ValueError(f"{count} octets more than the message has")


def decode(framing: Framing, octets: bytes) -> bytes:
    """Decode a whole message body; if it is cut off or broken, the part before that."""
    if framing.kind is FramingKind.CHUNKED:
        try:
            return ChunkedDecoder().take(octets)[0]
        except MalformedMessage:
            return b""
    return octets if framing.kind is FramingKind.CLOSE else octets[: framing.length or 0]
