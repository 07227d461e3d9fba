"""Texts that are written entirely in other characters inside a text, and can be written like that again (pure).

They consist of escapes, of hexadecimal digits, of base32, or of base64 on several lines; they are compressed or UTF-16,
and then base64; or they are the compressed part of a multipart. Other base64 on one line is left to `base64_text`,
where a search finds parts of a text as well.
"""

from __future__ import annotations

import re
import zlib
from base64 import b32decode, b32encode, b64encode
from binascii import Error as NotBase32
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from cassette_http.cassette.secrets.base64_text import base64_at, base64_run, from_base64, to_base64
from cassette_http.cassette.secrets.charsets import Charset, is_binary, recoded
from cassette_http.cassette.secrets.shapes import has_more_than_ids, joined, runs
from cassette_http.cassette.splicing import Edit, splice
from cassette_http.wire.patterns import to_pattern


class CodedText(NamedTuple):
    """A text inside a text: where it starts and stops, its plain form, and a function that writes it again."""

    start: int
    stop: int
    plain: bytes
    written: Callable[[bytes], bytes]
    is_inflated: bool = False  # it may be much longer than what was sent

    def edited(self, edits: list[Edit]) -> Edit:
        """Turn edits of the plain text into one edit of the text around it."""
        return Edit(self.start, self.stop, self.written(splice(self.plain, edits)))


def may_be_coded(octets: bytes, inside: bytes) -> bool:
    """Tell whether a text could contain a coded text; `inside` are its joined runs. Cheap."""
    if inside and (
        _CODED_RUN.search(inside) is not None
        or _WIDE.search(inside) is not None
        or (has_more_than_ids(inside) and _has_lines(octets))
    ):
        return True
    return (
        octets.find(_GZIP) >= 0
        or (_GZIP_PART[4] in octets and octets.find(_GZIP_PART) >= 0)
        or any(mark in octets and beginning.search(octets) is not None for mark, beginning in _BEGINNINGS)
    )


def coded_texts(octets: bytes, spans: list[tuple[int, int]] | None = None) -> list[CodedText]:
    """Find coded texts, in order; `spans` are the runs of the text, if known."""
    spans = runs(octets) if spans is None else spans
    inside = joined(octets, spans) if spans else b""
    if not may_be_coded(octets, inside):
        return []
    found = [*_in_lines(octets), *_in_escapes(octets), *_compressed_parts(octets), *_wide(octets)]
    starts = [each.start() for each in re.finditer(_GZIP, octets)]
    if _CODED_RUN.search(inside) is not None:
        found += _in_runs(octets, spans)
        starts += [start for start, stop in spans if _BEGINS_ZLIB.match(octets, start, stop) is not None]
    found += _compressed(octets, sorted(starts))
    behind, apart = 0, []
    for text in sorted(found, key=lambda each: each.start):
        if text.start >= behind and not is_binary(text.plain):
            apart.append(text)
            behind = text.stop
    return apart


# -- base64 on several lines --------------------------------------------------------------------------------------

# Lines as broken by mails (RFC 2045 section 6.8) and many programs; in JSON line ends are escaped, elsewhere lines may
# be indented.
_LINE_END = rb"(?:\r?\n[ \t]*+|(?:\\r)?\\n)"
_NEWLINE, _BACKSLASH = b"\n\\"
# Neither shorter nor longer ones.
_ENDS_LINE = to_pattern(
    rb"\n(?:(?<=%(digit)b{56}\n)(?<!%(digit)b{77}\n)|(?<=%(digit)b{56}\r\n)(?<!%(digit)b{77}\r\n))"
    % {b"digit": rb"[A-Za-z0-9+/]"}
)
_ENDS_ESCAPED_LINE = to_pattern(rb"\\(?<=[A-Za-z0-9+/]{56}\\)")
_LINES = to_pattern(
    rb"(?:(?<![A-Za-z0-9+/])|(?<=\\n))([A-Za-z0-9+/]{56,76}+)(%b)"
    rb"(?:[A-Za-z0-9+/]{56,76}+\2)*+(?:[A-Za-z0-9+/]{1,76}+={0,2})?" % _LINE_END
)


def _has_lines(octets: bytes) -> bool:
    # One octet is found fastest as a number.
    return (_NEWLINE in octets and _ENDS_LINE.search(octets) is not None) or (
        _BACKSLASH in octets and _ENDS_ESCAPED_LINE.search(octets) is not None
    )


def _in_lines(octets: bytes) -> Iterator[CodedText]:
    """Texts in base64 that are wrapped in lines of one width, of 56 characters or more, and padded."""
    for found in _LINES.finditer(octets) if _has_lines(octets) else ():
        line, line_end = found.groups()
        block = found[0].removesuffix(line_end)
        plain = from_base64(block.replace(line_end, b""))
        written = partial(_wrapped, width=len(line), line_end=line_end)
        if plain is not None and written(plain) == block:
            yield CodedText(found.start(), found.start() + len(block), plain, written)


def _wrapped(plain: bytes, width: int, line_end: bytes) -> bytes:
    coded = b64encode(plain)
    return line_end.join([coded[at : at + width] for at in range(0, len(coded), width)])


# -- escapes alone ------------------------------------------------------------------------------------------------


class _Escapes(NamedTuple):
    """One kind of escapes: a pattern for eight or more of them, one for a single one, and the base of its digits."""

    pattern: re.Pattern[bytes]
    digits: re.Pattern[bytes]
    base: int
    charset: str  # its numbers are units of this set


# A longer text is split into parts of so many, as each escape needs much more memory than octets.
_MOST_ESCAPES = 1 << 16


def _escapes(sign: bytes, first: bytes, digits: bytes, base: int, charset: str = "latin-1") -> _Escapes:
    """The first escape must be of a printable character. Strings in strings have more than one backslash."""
    between = rb"(?P<sign>%b)" % sign.replace(rb"\\", rb"\\{1,8}")
    pattern = rb"(?P<lead>%b)%b%b%b(?:(?P=sign)%b){6,%d}+" % (sign, first, between, digits, digits, _MOST_ESCAPES)
    unit = rb"%b(%b)" % (sign, digits.rstrip(b";"))
    return _Escapes(to_pattern(pattern), to_pattern(unit), base, charset)


_HEX = rb"[0-9A-Fa-f]"
_KINDS = (
    _escapes(rb"%", rb"[2-7]" + _HEX, _HEX + rb"{2}", 16),
    _escapes(rb"=", rb"[2-7][0-9A-F]", rb"[0-9A-F]{2}", 16),  # of a mail (RFC 2045 section 6.7)
    _escapes(rb"\\x", rb"[2-7]" + _HEX, _HEX + rb"{2}", 16),
    _escapes(rb"\\u", rb"00[2-7]" + _HEX, _HEX + rb"{4}", 16, "utf-16-be"),
    _escapes(rb"\\", rb"[01][0-7]{2}", rb"[0-3][0-7]{2}", 8),
    _escapes(rb"&#", rb"[0-9]{2,3};", rb"[0-9]{2,6};", 10, "utf-32-be"),
    _escapes(rb"&#x", rb"[2-7]" + _HEX + rb";", _HEX + rb"{2,5};", 16, "utf-32-be"),
)
# An octet with which some kinds begin, which is found at once, and a pattern for their first escapes.
_BEGINNINGS = (
    (b"%"[0], to_pattern(rb"%[2-7].%[2-7].%")),
    (b"="[0], to_pattern(rb"=[2-7].=[2-7].=")),
    (_BACKSLASH, to_pattern(rb"\\(?:x[2-7].|u00[2-7].|[01][0-7]{2})\\")),
    (b"&"[0], to_pattern(rb"&#x?[0-9a-fA-F]{2,3};&#")),
)
_WIDTHS = {"latin-1": 1, "utf-16-be": 2, "utf-32-be": 4}


def _in_escapes(octets: bytes) -> Iterator[CodedText]:
    for kind in _KINDS:
        for found in kind.pattern.finditer(octets):
            plain = _unescaped(found[0], kind)
            if plain is not None:
                yield CodedText(*found.span(), plain, partial(_escaped, like=found, kind=kind))


def _unescaped(octets: bytes, kind: _Escapes) -> bytes | None:
    width = _WIDTHS[kind.charset]
    numbers = [int(digits, kind.base) for digits in kind.digits.findall(octets)]
    units = b"".join([number.to_bytes(width, "big") for number in numbers])
    if width == 1:
        return units
    try:
        return units.decode(kind.charset, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None  # there are no such characters


def _escaped(plain: bytes, like: re.Match[bytes], kind: _Escapes) -> bytes:
    width = _WIDTHS[kind.charset]
    units = plain if width == 1 else plain.decode("utf-8", "surrogatepass").encode(kind.charset, "surrogatepass")
    numbers = [int.from_bytes(units[at : at + width], "big") for at in range(0, len(units), width)]
    end = ";" if like[0].endswith(b";") else ""
    digits = kind.digits.findall(like[0])
    least = 0 if end else len(digits[0])
    letter = {8: "o", 10: "d", 16: "X" if b"".join(digits).isupper() else "x"}[kind.base]
    written = [f"{number:0{least}{letter}}{end}".encode() for number in numbers]
    return like["lead"] + like["sign"].join(written)


# -- runs ---------------------------------------------------------------------------------------------------------

_GZIP = b"H4sI"  # the next character may be a slash, so it need not be at the beginning of a run
_ZLIB = rb"(?:eJ[w-z]|eN[o-r]|eF4|eAE)"
_HEX_DIGITS = rb"(?:[2-7]%b){8}(?:%b{2}){8,}+" % (_HEX, _HEX)  # another character may come early
_BASE32 = rb"[A-Z2-7]{20,}+"
_IS_HEX, _IS_BASE32, _BEGINS_ZLIB = map(to_pattern, (_HEX_DIGITS, _BASE32, _ZLIB))
_CODED_RUN = to_pattern(
    rb" .(?:%b|%b(?![A-Za-z0-9_+-])|%b(?![A-Za-z0-9_+-]))" % (_ZLIB, _HEX_DIGITS, _BASE32),
    re.DOTALL,
)
_MOST_INFLATED = 1 << 20  # of one text


def _in_runs(octets: bytes, spans: list[tuple[int, int]]) -> Iterator[CodedText]:
    for start, stop in spans:
        if _IS_HEX.fullmatch(octets, start, stop) is not None:
            digits = octets[start:stop]
            written = _in_small_digits if digits == digits.lower() else _in_large_digits
            yield CodedText(start, stop, bytes.fromhex(digits.decode()), written)
        elif _IS_BASE32.fullmatch(octets, start, stop) is not None:
            text = _base32(octets, start, stop)
            if text is not None:
                yield text


def _in_small_digits(plain: bytes) -> bytes:
    return plain.hex().encode()


def _in_large_digits(plain: bytes) -> bytes:
    return plain.hex().upper().encode()


# The module decodes slowly, and a genome sequence consists of such letters.
_FIRST_OF_BASE32 = 64


def _base32(octets: bytes, start: int, stop: int) -> CodedText | None:
    padding = b"=" * (-(stop - start) % 8)
    if stop - start > _FIRST_OF_BASE32 and is_binary(b32decode(octets[start : start + _FIRST_OF_BASE32])):
        return None
    try:
        plain = b32decode(octets[start:stop] + padding)
    except NotBase32:
        return None
    is_padded = octets.startswith(padding, stop)
    written = b32encode if is_padded else _unpadded_base32
    return CodedText(start, stop + len(padding) if is_padded else stop, plain, written)


def _unpadded_base32(plain: bytes) -> bytes:
    return b32encode(plain).rstrip(b"=")


# Every second octet of ASCII in UTF-16 is zero, so every second group of four characters has an "A" at both ends.
_WIDE = to_pattern(rb"A[C-H][\w+/-]A[I-Za-f][AQgw][AB][\w+/-]A[C-H][\w+/-]A")


def _wide(octets: bytes) -> Iterator[CodedText]:
    """Texts in UTF-16 and base64, like encoded commands of PowerShell."""
    behind = 0
    for found in _WIDE.finditer(octets):
        run = base64_run(octets, *found.span(), 0) if found.start() >= behind else None
        if run is None:
            continue
        start, behind, units = run
        if (text := recoded(units, "")) is not None:
            plain, charset = text
            yield CodedText(start, behind, plain, partial(_wide_in_base64, charset=charset, like=octets[start:behind]))


def _wide_in_base64(plain: bytes, charset: Charset, like: bytes) -> bytes:
    return to_base64(charset.encode(plain), like)


def _compressed(octets: bytes, starts: Iterable[int]) -> Iterator[CodedText]:
    """Texts compressed by gzip or zlib, in base64, that begin at one of `starts`; not if cut off or large.

    A few octets may expand to very many, so their total is limited too.
    """
    behind, most = 0, max(_MOST_INFLATED, 4 * len(octets))
    for start in starts:
        run = base64_at(octets, start) if start >= behind and most > 0 else None
        if run is None:
            continue
        behind, coded = run
        inflater = zlib.decompressobj(wbits=47)  # either of the two formats
        try:
            plain = inflater.decompress(coded, min(_MOST_INFLATED, most))
        except zlib.error:
            continue
        most -= len(plain)
        if inflater.eof and not inflater.unused_data:
            wbits = 31 if coded.startswith(b"\x1f\x8b") else 15
            written = partial(_deflated_in_base64, wbits=wbits, like=octets[start:behind])
            yield CodedText(start, behind, plain, written, is_inflated=True)


_GZIP_PART = b"\r\n\r\n\x1f\x8b\x08"  # after the head of a part (RFC 2046 section 5.1)
_MOST_PARTS = 100
_BLOCK = 1 << 16


def _compressed_parts(octets: bytes) -> Iterator[CodedText]:
    """Parts of a multipart that are compressed by gzip; not if cut off or large."""
    start = octets.find(_GZIP_PART)
    for _ in range(_MOST_PARTS):
        if start < 0:
            return
        start += 4
        plain, stop = _inflated(octets, start)
        if plain is not None:
            yield CodedText(start, stop, plain, partial(_deflated, wbits=31), is_inflated=True)
        start = octets.find(_GZIP_PART, stop)


def _inflated(octets: bytes, start: int) -> tuple[bytes | None, int]:
    """Decompress gzip; returns the text, and where the compressed data stops."""
    inflater, plain, at = zlib.decompressobj(wbits=31), b"", start
    try:
        while not inflater.eof and at < len(octets) and len(plain) < _MOST_INFLATED:
            block = octets[at : at + _BLOCK]
            plain += inflater.decompress(block, _MOST_INFLATED - len(plain))
            at += len(block) - len(inflater.unused_data)
            if inflater.unconsumed_tail:
                break
    except zlib.error:
        return None, start
    return (plain, at) if inflater.eof else (None, start)


def _deflated(plain: bytes, wbits: int) -> bytes:
    compressor = zlib.compressobj(wbits=wbits)
    return compressor.compress(plain) + compressor.flush()


def _deflated_in_base64(plain: bytes, wbits: int, like: bytes) -> bytes:
    return to_base64(_deflated(plain, wbits), like)
