"""Texts that a stream sends in pieces, one in each event or line, as language models do (pure).

A secret may begin in one event and end in another. The pieces with the same name are joined for the search. The
placeholder replaces the first part of a secret, and its other parts are left out.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from cassette_http.cassette.secrets.json_members import unescaped
from cassette_http.cassette.splicing import Edit, splice
from cassette_http.wire.patterns import to_pattern

# If a piece is longer, it is a text by itself.
_LONGEST_PIECES = 200
_LONGEST_PIECES_OF_LINES = 40
(_LINE_END,) = b"\n"  # as a number, which is found much faster
_EVENT_BEGINS = b"\ndata:"
_LINE_BEGINS = b"\n{"
_BETWEEN_LINES = to_pattern(rb"\}\r?\n\{")
_STRING = rb'"\s?:\s?"(?P<piece>(?:[^"\\\r\n]|\\.)*+)"'
_MEMBER = to_pattern(rb'"(?P<name>[\w.-]{1,40}+)' + _STRING)
# Lines are more often records, so only a few names count there.
_MEMBER_OF_LINE = to_pattern(
    rb'"(?P<name>content|text|response|delta|token|chunk|output|completion|answer|thinking|message|arguments|data)'
    + _STRING
)
_DATA = to_pattern(rb'^data:[ ]?+(?:"((?:[^"\\\r\n]|\\.)*+)"|(?!\{[^\r\n]*\}\r?$|\[DONE)([^\r\n]++))\r?$', re.MULTILINE)


class _Piece(NamedTuple):
    """Where a piece is, and its text; `is_escaped`: as a string of JSON."""

    start: int
    stop: int
    plain: bytes
    is_escaped: bool


class StreamedText:
    """A text that was joined from pieces."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = pieces
        self.plain = b"".join([piece.plain for piece in pieces])

    def edited(self, edits: Iterable[Edit], text: bytes) -> Iterator[Edit]:
        """Turn edits of the plain text into edits of `text`, which contains the pieces."""
        starts = [0, *accumulate([len(piece.plain) for piece in self._pieces])]
        inside: dict[int, list[Edit]] = {}
        for edit in edits:
            number = bisect_right(starts, edit.start) - 1
            instead = edit.octets
            while number < len(self._pieces) and starts[number] < edit.stop:
                start, stop = max(edit.start, starts[number]), min(edit.stop, starts[number + 1])
                if start < stop:
                    part = Edit(start - starts[number], stop - starts[number], instead)
                    inside.setdefault(number, []).append(part)
                    instead = b""
                number += 1
        for number, parts in inside.items():
            piece = self._pieces[number]
            new = splice(piece.plain, parts)
            yield Edit(
                piece.start, piece.stop, _escaped(new, text[piece.start : piece.stop]) if piece.is_escaped else new
            )


def _escaped(plain: bytes, like: bytes) -> bytes:
    text = plain.decode("utf-8", "surrogatepass")
    return json.dumps(text, ensure_ascii=b"\\u" in like)[1:-1].encode("utf-8", "surrogatepass")


def streamed_texts(text: bytes) -> list[StreamedText]:
    """Join the texts that are split among the events or lines of a stream."""
    if _LINE_END not in text:
        return []
    at = text.find(_EVENT_BEGINS)
    is_of_events = at >= 0 and (text.startswith(b"data:") or text.find(_EVENT_BEGINS, at + 1) >= 0)
    if not is_of_events and (text.find(_LINE_BEGINS) < 0 or _BETWEEN_LINES.search(text) is None):
        return []
    by_name: dict[bytes, list[_Piece]] = {}
    for found in (_MEMBER if is_of_events else _MEMBER_OF_LINE).finditer(text):
        by_name.setdefault(found["name"], []).append(_Piece(*found.span("piece"), found["piece"], True))
    if is_of_events:
        by_name[b""] = [
            _Piece(*found.span(1), found[1], True) if found[1] is not None else _Piece(*found.span(2), found[2], False)
            for found in _DATA.finditer(text)
        ]
    longest = _LONGEST_PIECES if is_of_events else _LONGEST_PIECES_OF_LINES
    return [
        StreamedText([_unescaped(piece) for piece in pieces])
        for pieces in by_name.values()
        if len(pieces) > 1
        and sum([len(piece.plain) for piece in pieces]) <= longest * len(pieces)
        and any(piece.plain != pieces[0].plain for piece in pieces)
    ]


def _unescaped(piece: _Piece) -> _Piece:
    return piece._replace(plain=unescaped(piece.plain)) if piece.is_escaped and b"\\" in piece.plain else piece
