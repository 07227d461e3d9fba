"""Secrets in MessagePack and CBOR (RFC 8949): in a string after one with a telling name, or by their look (pure).

Each string begins with its length, and nothing else depends on octets, so a string is written again with its new
length. Containers count their items, so it is enough to go from item to item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.cassette.secrets.names import NameKind
from cassette_http.cassette.splicing import Edit, splice

IS_PACKED = re.compile(r"msgpack|messagepack|cbor")
# This begins JSON, whatever the type says: in MessagePack it would only be a number, in CBOR an item without an end.
BEGINS_AS_JSON = re.compile(rb"\s*[{\[]")
_LONGEST_NAME = 80


class _Text(NamedTuple):
    """A string: where it starts (with its head), where its octets start, and where it stops."""

    start: int
    octets: int
    stop: int
    written: Callable[[bytes], bytes]


def find_in_packed(
    text: bytes, is_cbor: bool, hiding: Hiding, inner: Callable[[bytes], list[Edit]], is_matching: bool
) -> Iterator[Edit]:
    """Find secrets in the strings of a content; `inner` finds those inside a string."""
    kind, name_stop = NameKind.ORDINARY, -1
    for item in _cbor_texts(text) if is_cbor else _msgpack_texts(text):
        plain = text[item.octets : item.stop]
        new = plain
        if item.start == name_stop and kind is not NameKind.ORDINARY:
            new = hiding.instead(kind, plain, is_matching)
        elif len(plain) <= _LONGEST_NAME:
            kind, name_stop = hiding.kind("json", plain), item.stop
        if new is plain:
            new = splice(plain, inner(plain))
        if new != plain:
            yield Edit(item.start, item.stop, item.written(new))


# How many octets follow the first octet of an item that is not a string.
_MSGPACK_SIZES = (
    {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
    | {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
    | {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
)
# The size of the length; for an extension, one octet more is its type.
_MSGPACK_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_MSGPACK_EXTENSIONS = frozenset({0xC7, 0xC8, 0xC9})


def _msgpack_texts(text: bytes) -> Iterator[_Text]:
    at = 0
    while at < len(text):
        first = text[at]
        if 0xA0 <= first <= 0xBF:
            octets, stop = at + 1, at + 1 + (first & 0x1F)
        elif first in _MSGPACK_LENGTHS:
            octets = at + 1 + _MSGPACK_LENGTHS[first]
            stop = octets + int.from_bytes(text[at + 1 : octets], "big") + (first in _MSGPACK_EXTENSIONS)
        else:
            at += 1 + _MSGPACK_SIZES.get(first, 0)
            continue
        if stop > len(text):
            yield _cut_off(text, at, octets)
            return
        if first not in _MSGPACK_EXTENSIONS:
            yield _Text(at, octets, stop, _msgpack_bytes if first in (0xC4, 0xC5, 0xC6) else _msgpack_text)
        at = stop


def _msgpack_text(octets: bytes) -> bytes:
    if len(octets) < 32:
        return bytes([0xA0 | len(octets)]) + octets
    return _with_length(octets, 0xD9, 0xDA, 0xDB)


def _msgpack_bytes(octets: bytes) -> bytes:
    return _with_length(octets, 0xC4, 0xC5, 0xC6)


_CBOR_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_CBOR_BYTES, _CBOR_TEXT = 2, 3


def _cbor_texts(text: bytes) -> Iterator[_Text]:
    at = 0
    while at < len(text):
        major, short = text[at] >> 5, text[at] & 0x1F
        octets = at + 1 + _CBOR_LENGTHS.get(short, 0)
        if major not in (_CBOR_BYTES, _CBOR_TEXT) or short == 0x1F:
            at = octets
            continue
        length = short if short < 24 else int.from_bytes(text[at + 1 : octets], "big")
        if (stop := octets + length) > len(text):
            yield _cut_off(text, at, octets)
            return
        yield _Text(at, octets, stop, _cbor_text if major == _CBOR_TEXT else _cbor_bytes)
        at = stop


def _cbor_text(octets: bytes) -> bytes:
    return bytes([0x60 | len(octets)]) + octets if len(octets) < 24 else _with_length(octets, 0x78, 0x79, 0x7A)


def _cbor_bytes(octets: bytes) -> bytes:
    return bytes([0x40 | len(octets)]) + octets if len(octets) < 24 else _with_length(octets, 0x58, 0x59, 0x5A)


def _cut_off(text: bytes, start: int, octets: int) -> _Text:
    """A string whose end did not arrive; its head still has the original length."""
    return _Text(start, octets, len(text), lambda new: text[start:octets] + new)


def _with_length(octets: bytes, *heads: int) -> bytes:
    """Octets after their length of one, two or four octets, preceded by the head for that size."""
    for head, size in zip(heads, (1, 2, 4), strict=True):
        if len(octets) >> (8 * size) == 0:
            return bytes([head]) + len(octets).to_bytes(size, "big") + octets
    raise ValueError("no content is as long")
