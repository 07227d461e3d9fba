"""Replaces spans of octets inside messages, and adapts lengths, chunk sizes and borders of pieces (pure).

An *edit* replaces one span. The edits of a list are sorted and do not overlap; their positions are those before any of
them was applied.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cassette_http.wire.content import ChunkedDecoder, Octets
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import Framing, FramingKind
from cassette_http.wire.patterns import to_pattern


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces the octets from `start` to `stop` by `octets`."""

    start: int
    stop: int
    octets: bytes

    def border(self, position: int) -> int:
        """How many of the new octets come before the old `position`; in proportion if that is inside the span."""
        span = self.stop - self.start
        inside = min(max(position - self.start, 0), span)
        return len(self.octets) * inside // span if span else 0


def splice(octets: bytes, edits: Sequence[Edit]) -> bytes:
    if not edits:
        return octets
    parts: list[bytes] = []
    at = 0
    for edit in edits:
        parts += (octets[at : edit.start], edit.octets)
        at = edit.stop
    parts.append(octets[at:])
    return b"".join(parts)


def growth(edits: Iterable[Edit]) -> int:
    return sum(len(edit.octets) - (edit.stop - edit.start) for edit in edits)


def merged(first: list[Edit], second: list[Edit]) -> list[Edit]:
    """Merge two lists; an edit of the second that overlaps one of the first is left out."""
    if not first:
        return second
    first = sorted(first, key=_start)
    others = []
    for edit in second:
        before = bisect_left(first, edit.stop, key=_start) - 1
        if before < 0 or first[before].stop <= edit.start:
            others.append(edit)
    return sorted(first + others, key=_start)


def _start(edit: Edit) -> int:
    return edit.start


def shift(edits: Iterable[Edit], by: int) -> list[Edit]:
    """Move the edits by `by` octets."""
    return [Edit(edit.start + by, edit.stop + by, edit.octets) for edit in edits]


def recut(pieces: Sequence[bytes], edits: Sequence[Edit]) -> list[bytes]:
    """Apply the edits to octets that are split into pieces; the borders move accordingly."""
    octets = splice(b"".join(pieces), edits)
    cut, at, end = [], 0, 0
    for piece in pieces:
        end += len(piece)
        stop = moved(end, edits)
        cut.append(octets[at:stop])
        at = stop
    return cut


def difference(old: bytes, new: bytes) -> list[Edit]:
    """The edits that turn `old` into `new`; a common beginning and end are left alone.

    An edit replaces at least one octet, if there is one, so that it can be assigned to a chunk and a piece.
    """
    if old == new:
        return []
    start = _in_common(old, new)
    end = _in_common(old[start:], new[start:], from_behind=True)
    if start + end == len(old):
        start, end = (start - 1, end) if start else (start, max(end - 1, 0))
    return [Edit(start, len(old) - end, new[start : len(new) - end])]


def _in_common(one: bytes, other: bytes, *, from_behind: bool = False) -> int:
    """Count the common octets at one end by bisection: comparing single octets is slow in Python."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if from_behind:
            is_same = one[len(one) - middle : len(one) - least] == other[len(other) - middle : len(other) - least]
        else:
            is_same = one[least:middle] == other[least:middle]
        least, most = (middle, most) if is_same else (least, middle - 1)
    return least


def moved(position: int, edits: Iterable[Edit]) -> int:
    """Where a position is after the edits; in proportion if it is inside one."""
    new = position
    for edit in edits:
        if edit.start >= position:
            break
        new += edit.border(position) - (min(position, edit.stop) - edit.start)
    return new


# -- framing -------------------------------------------------------------------------------------------------

_LENGTH_LINE = to_pattern(rb"^content-length[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_DIGITS = to_pattern(rb"[0-9]+")
_EXTENSION = to_pattern(rb';((?:[^;"\r\n]|"(?:[^"\\\r\n]|\\.)*"?)*+)')
_HEX_DIGITS = to_pattern(rb"[0-9A-Fa-f]+")


def edit_length(head: bytes, added: int) -> list[Edit]:
    """Add `added` to the Content-Length of a head."""
    return [
        Edit(number.start(), number.end(), b"%d" % (int(number[0]) + added))
        for line in _LENGTH_LINE.finditer(head)
        for number in _DIGITS.finditer(head, line.start(1), line.end(1))
    ]


def edit_framing(framing: Framing, body: bytes, edits: Sequence[Edit]) -> list[Edit]:
    """Turn edits of the content into edits of the message body, including chunk sizes."""
    if framing.kind is not FramingKind.CHUNKED:
        return list(edits)
    framed: list[Edit] = []
    chunks = _walk(body)[0]
    parts = apportioned(edits, [chunk.stop - chunk.start for chunk in chunks])
    for chunk, inside in zip(chunks, parts, strict=True):
        size = chunk.size + growth(inside)
        if inside and size:
            digits = _HEX_DIGITS.search(body, chunk.line)
            assert digits is not None  # otherwise the decoder would have refused the chunk
            framed.append(Edit(digits.start(), digits.end(), b"%x" % size))
            framed += shift(inside, chunk.start)
        elif inside:
            # A chunk without data would end the body.
            framed.append(Edit(chunk.line, chunk.behind, b""))
    return framed


def chunked_trailers(body: bytes) -> tuple[int, int]:
    """Find the trailer section of a chunked body: where it starts and stops.

    If there is none, because the body is broken or cut off, it is empty and at the end of the chunks.
    """
    return _walk(body)[1]


def outside_of_chunks(body: bytes) -> Iterator[tuple[int, int]]:
    """Find what a chunked body contains besides its content: each chunk extension, then the rest, with start and stop.

    The rest is the trailers and everything after them, or after chunks that are broken.
    """
    chunks, (trailers, _) = _walk(body)
    lines = [(chunk.line, chunk.start) for chunk in chunks]
    lines.append((body.rfind(b"\n", 0, max(trailers - 1, 0)) + 1, trailers))
    for line, stop in lines:
        if body.find(b";", line, stop) >= 0:
            yield from (extension.span(1) for extension in _EXTENSION.finditer(body, line, stop))
    yield trailers, len(body)


def apportioned(edits: Sequence[Edit], lengths: Iterable[int], gap: int = 0) -> Iterator[list[Edit]]:
    """Divide the edits of joined octets among their parts, given the lengths of the parts and the gap between them.

    The positions become those in the part. An edit across a border is divided in proportion.
    """
    at = first = 0
    for length in lengths:
        stop = at + length
        while first < len(edits) and edits[first].stop <= at:
            first += 1
        part: list[Edit] = []
        each = first
        while each < len(edits) and edits[each].start < stop:
            edit = edits[each]
            start, end = max(edit.start, at), min(edit.stop, stop)
            if start < end:
                part.append(Edit(start - at, end - at, edit.octets[edit.border(start) : edit.border(end)]))
            each += 1
        yield part
        at = stop + gap


@dataclass(slots=True)
class _Chunk:
    """Where a chunk is in its body: its size line, the data received, and the octets after its line end."""

    line: int
    start: int
    stop: int
    behind: int
    size: int


def _walk(body: bytes) -> tuple[list[_Chunk], tuple[int, int]]:
    """Find the chunks and the trailer section."""
    decoder = ChunkedDecoder()
    chunks: list[_Chunk] = []
    at = line = 0
    trailers: int | None = None
    with suppress(MalformedMessage):
        while at < len(body) and (want := decoder.want) is not None:
            if isinstance(want, Octets):
                size, stop = decoder.remaining or 0, min(at + want.at_most, len(body))
                decoder.passed(stop - at)
                if chunks and chunks[-1].stop == at:
                    chunks[-1].stop = chunks[-1].behind = stop  # more of a chunk that is larger than one read
                else:
                    chunks.append(_Chunk(line, at, stop, stop, size))
                at = stop
                continue
            stop = body.find(b"\n", at, at + want.limit) + 1
            if not stop:
                break
            decoder.feed(body[at:stop])
            if chunks and chunks[-1].stop == at:
                chunks[-1].behind = stop
            elif trailers is None:
                line = at
                if not isinstance(decoder.want, Octets):
                    trailers = stop
            at = stop
    return chunks, (at if trailers is None else trailers, at)
