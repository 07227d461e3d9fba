"""Parts of a text that are written with escapes, such as strings of JSON: their plain text is searched (pure).

Only the secrets in them are written again.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from html import escape
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

# Searching a part takes as long as a short content, and a text may have as many parts as octets.
MOST_PARTS = 5000


class Escapes(NamedTuple):
    """A way to escape: a pattern for one escape, the character it stands for, and a function that writes octets."""

    pattern: re.Pattern[bytes]
    character: Callable[[re.Match[bytes]], bytes]
    written: Callable[[bytes], bytes]


def find_in_part(
    text: bytes, start: int, stop: int, escapes: Escapes, inner: Callable[[bytes], list[Edit]]
) -> Iterator[Edit]:
    """Find what `inner` finds in the plain text of a part."""
    # Where escapes begin and end, in the plain and in the written text; between them both texts are equal.
    said, written = [0], [start]
    plain: list[bytes] = []
    for found in escapes.pattern.finditer(text, start, stop):
        plain += [text[written[-1] : found.start()], escapes.character(found)]
        said += [said[-1] + len(plain[-2]), said[-1] + len(plain[-2]) + len(plain[-1])]
        written += found.span()
    plain.append(text[written[-1] : stop])
    written.append(stop)

    def place(at: int) -> int:
        nearest = bisect_right(said, at) - 1
        return min(written[nearest] + at - said[nearest], written[nearest + 1])

    for edit in inner(b"".join(plain)):
        yield Edit(place(edit.start), place(edit.stop), escapes.written(edit.octets))


# -- percent-encoded, as in a URL or a form -----------------------------------------------------------------------


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] else b" "


def _quoted(octets: bytes) -> bytes:
    return quote_from_bytes(octets, safe="").encode()


PERCENT = Escapes(to_pattern(rb"%([0-9A-Fa-f]{2})"), _octet, _quoted)
FORM = Escapes(to_pattern(rb"%([0-9A-Fa-f]{2})|\+"), _octet, _quoted)

# -- XML and HTML -------------------------------------------------------------------------------------------------

_NAMES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def _character_of_markup(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return _NAMES[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    return chr(number).encode() if number < 0xD800 or 0xE000 <= number < 0x110000 else found[0]


def _in_markup(octets: bytes) -> bytes:
    return escape(octets.decode("latin-1")).encode("latin-1")


MARKUP = Escapes(
    to_pattern(rb"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));"), _character_of_markup, _in_markup
)


def plain_markup(raw: bytes) -> bytes:
    """The plain text of a part of XML or HTML."""
    return MARKUP.pattern.sub(_character_of_markup, raw) if b"&" in raw else raw


# -- quoted-printable, as in mails (RFC 2045 section 6.7) ---------------------------------------------------------

_BREAK = rb"(?:\r?\n|(?:\\r)?\\n)"  # escaped if the mail is a string of JSON
_BEGINS_PRINTABLE = to_pattern(
    rb"quoted-printable[ \t]*+(?P<end>%b)(?:(?:(?!(?P=end))[^\n]){1,1000}+(?P=end)){0,20}+(?P=end)" % _BREAK,
    re.IGNORECASE,
)
(_EQUALS,) = b"="
_PRINTABLE_END = to_pattern(_BREAK + rb"--")


def _printable(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] else b""


def _in_printable(octets: bytes) -> bytes:
    return octets.replace(b"=", b"=3D")


SOFT_BREAK = to_pattern(rb"=[ \t]*+" + _BREAK)
PRINTABLE = Escapes(to_pattern(rb"=([0-9A-Fa-f]{2})|%b" % SOFT_BREAK.pattern), _printable, _in_printable)


def printable_parts(text: bytes) -> Iterator[tuple[int, int]]:
    """Where the bodies of parts of a mail start and stop that are quoted-printable and have escapes."""
    # Few texts have both, and an octet is found at once.
    if _EQUALS not in text or max(text.find(b"ed-printable"), text.find(b"ED-PRINTABLE")) < 0:
        return
    stop = 0
    for _ in range(MOST_PARTS):
        if (head := _BEGINS_PRINTABLE.search(text, stop)) is None:
            return
        end = _PRINTABLE_END.search(text, head.end())
        stop = len(text) if end is None else end.start()
        if text.find(b"=", head.end(), stop) >= 0:
            yield head.end(), stop


def plain_printable(raw: bytes) -> bytes:
    """The plain text of a part that is quoted-printable."""
    return PRINTABLE.pattern.sub(_printable, raw)


# -- strings of JSON ----------------------------------------------------------------------------------------------

_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _character_of_string(found: re.Match[bytes]) -> bytes:
    return chr(int(found[1], 16)).encode("utf-8", "surrogatepass") if found[1] else _CONTROLS.get(found[2], found[2])


def _in_string(octets: bytes) -> bytes:
    text = octets.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")


_STRING = Escapes(to_pattern(rb"\\(?:u([0-9a-fA-F]{4})|(.))"), _character_of_string, _in_string)
_REST = to_pattern(rb'[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+(?="|\Z)')
# An escaped line end, or the beginning of JSON inside a string.
_MARK = to_pattern(rb"\\n|\{\\(?:\"|u0022)")
(_BACKSLASH,) = b"\\"


def find_in_strings(text: bytes, inner: Callable[[bytes], list[Edit]]) -> Iterator[Edit]:
    """Find secrets in the strings of JSON that `_rich_strings` finds."""
    for start, stop in islice(_rich_strings(text), MOST_PARTS):
        yield from find_in_part(text, start, stop, _STRING, inner)


def _rich_strings(text: bytes) -> Iterator[tuple[int, int]]:
    """Where strings of JSON start and stop that have several lines, or are JSON: a file, a log, a message.

    What is around them does not matter.
    """
    # Few texts have these, and they are found at once.
    if _BACKSLASH not in text or max(map(text.find, (b"\\n", b'{\\"', b"{\\u0022"))) < 0:
        return
    behind = 0
    while (mark := _MARK.search(text, behind)) is not None:
        start = text.rfind(b'"', behind, mark.start())
        while start > behind and text[start - 1] == _BACKSLASH:
            start = text.rfind(b'"', behind, start)
        rest = _REST.match(text, start + 1) if start >= 0 else None
        if rest is not None and rest.end() > mark.start():
            yield rest.span()
            behind = rest.end() + 1
        else:
            behind = mark.end()
