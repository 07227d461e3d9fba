"""Texts in base64 (RFC 4648), of either alphabet, within other texts: found, decoded and written again (pure)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import NamedTuple

from cassette_http.cassette.splicing import Edit, splice

__all__ = ["WrappedText", "base64_at", "base64_run", "from_base64", "in_base64", "to_base64", "wrapped_texts"]

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_BASE64_REST = re.compile(rb"[A-Za-z0-9+/_-]*")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
# Lines as mails (RFC 2045 section 6.8) and many a program break them; in JSON their ends are escaped, others are
# indented.
_LINE_END = rb"(?:\r?\n[ \t]*+|(?:\\r)?\\n)"
_NEWLINE, _BACKSLASH = b"\n\\"
_ENDS_LINE = re.compile(rb"[\r\n\\](?<=[A-Za-z0-9+/]{56}.)", re.DOTALL)
_LINES = re.compile(
    rb"(?:(?<![A-Za-z0-9+/])|(?<=\\n))([A-Za-z0-9+/]{56,76}+)(%b)"
    rb"(?:[A-Za-z0-9+/]{56,76}+\2)*+(?:[A-Za-z0-9+/]{1,76}+={0,2})?" % _LINE_END
)


def in_base64(octets: bytes) -> dict[bytes, int]:
    """What base64, of either alphabet, makes of octets in the middle of a text; for each position modulo 3.

    Characters that depend on neighbours are left out. The value is the core's position modulo 4.
    """
    cores = {}
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(octets)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            cores[encode(bytes(before) + octets)[first:last]] = first
    return cores


def base64_run(
    octets: bytes, start: int, stop: int, alignment: int, is_start: bool = False
) -> tuple[int, int, bytes] | None:
    """Find the base64 text around some of its characters: where it starts and stops, and what it says."""
    core = start
    while start and not is_start and octets[start - 1] in _BASE64:
        start -= 1
    start += (core - alignment - start) % 4
    if start > core:
        return None  # characters in front are missing, or are written in another way
    rest = _BASE64_REST.match(octets, stop)
    assert rest is not None  # it may be empty
    stop = rest.end()
    if (stop - start) % 4 == 1:
        stop -= 1
    text = octets[start:stop].translate(_TO_STANDARD)
    padding = -len(text) % 4
    try:
        plain = b64decode(text + b"=" * padding)
    except NotBase64:
        return None
    if octets[stop : stop + padding] == b"=" * padding:
        stop += padding
    return start, stop, plain


def from_base64(text: bytes) -> bytes | None:
    """Decode a whole text of either alphabet, with or without padding; None if it is none."""
    text = text.translate(_TO_STANDARD).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except NotBase64:
        return None


def base64_at(octets: bytes, start: int) -> tuple[int, bytes] | None:
    """Decode the base64 text that begins somewhere: where it stops, and what it says."""
    run = base64_run(octets, start, start, 0, is_start=True)
    return None if run is None else run[1:]


def to_base64(text: bytes, like: bytes) -> bytes:
    """Encode with the alphabet and the padding of another text."""
    coded = urlsafe_b64encode(text) if b"-" in like or b"_" in like else b64encode(text)
    is_padded = like.endswith(b"=") or len(like) % 4 == 0
    return coded if is_padded else coded.rstrip(b"=")


class WrappedText(NamedTuple):
    """A text in base64 on several lines: where it starts and stops, what it says, and how it is broken."""

    start: int
    stop: int
    plain: bytes
    width: int
    line_end: bytes

    def edited(self, edits: list[Edit]) -> Edit:
        """Make edits in what it says, in one edit of the text around it."""
        coded = b64encode(splice(self.plain, edits))
        lines = [coded[at : at + self.width] for at in range(0, len(coded), self.width)]
        return Edit(self.start, self.stop, self.line_end.join(lines))


def wrapped_texts(octets: bytes) -> Iterator[WrappedText]:
    """Find the texts in base64 that are wrapped in lines of one width, of 56 characters or more, and padded."""
    # One octet is found fastest as a number.
    if not (_NEWLINE in octets or _BACKSLASH in octets) or _ENDS_LINE.search(octets) is None:
        return
    for found in _LINES.finditer(octets):
        line, line_end = found.groups()
        block = found[0].removesuffix(line_end)
        plain = from_base64(block.replace(line_end, b""))
        if plain is not None:
            text = WrappedText(found.start(), found.start() + len(block), plain, len(line), line_end)
            if text.edited([]).octets == block:
                yield text
