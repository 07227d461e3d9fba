"""Secrets in Protocol Buffers, also in gRPC frames: in a map after a telling name, known, or by their look (pure).

A message does not tell strings from inner messages: what has control characters, and can be read as a message to its
end, is treated as one. Each begins with its length, so all that contain a secret are written again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.cassette.secrets.names import NameKind
from cassette_http.cassette.splicing import Edit, shift, splice

IS_PROTOBUF = re.compile(r"protobuf|grpc(?!-web-text)|x-proto|connect\+proto|application/proto")
_DEEPEST = 16
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_FRAME_HEAD = 5  # the compression flag and the length


class _Field(NamedTuple):
    """A field with a length: where its key, its length and its content start, and where it stops."""

    number: int
    start: int
    length: int
    content: int
    stop: int


def texts_in_protobuf(text: bytes, media_type: str) -> list[bytes]:
    """All strings, and everything that may be one."""
    texts: list[bytes] = []
    for start, stop in _messages(text, media_type):
        texts += _leaves(text[start:stop], _DEEPEST) if stop <= len(text) else [text[start:]]
    return texts


def find_in_protobuf(
    text: bytes, media_type: str, hiding: Hiding, inner: Callable[[bytes], list[Edit]], is_matching: bool
) -> Iterator[Edit]:
    """Find secrets in the strings of a content; `inner` finds those inside a string."""

    def rewritten(message: bytes, depth: int) -> bytes:
        fields = _fields(message) or []
        edits: list[Edit] = []
        kind = NameKind.ORDINARY
        is_entry = [field.number for field in fields] == [1, 2]
        for field in fields:
            old = message[field.content : field.stop]
            if is_entry and field.number == 1:
                kind = hiding.kind("json", old)
            if field.number == 2 and kind is not NameKind.ORDINARY:
                new = hiding.instead(kind, old, is_matching)
            elif _is_message(old, depth):
                new = rewritten(old, depth - 1)
            else:
                new = splice(old, inner(old))
            if new != old:
                edits.append(Edit(field.length, field.stop, _varint(len(new)) + new))
        return splice(message, edits)

    for start, stop in _messages(text, media_type):
        if stop > len(text):
            yield from shift(inner(text[start:]), start)
            return
        new = rewritten(text[start:stop], _DEEPEST)
        if new != text[start:stop]:
            if start:
                yield Edit(start - 4, stop, len(new).to_bytes(4, "big") + new)
            else:
                yield Edit(start, stop, new)


def _messages(text: bytes, media_type: str) -> Iterator[tuple[int, int]]:
    """Where messages start and stop: the content as a whole, or those in frames, unless they are compressed.

    The last one may be cut off: its stop is then after the end.
    """
    if "grpc" not in media_type and "connect" not in media_type:
        yield 0, len(text)
        return
    at = 0
    while at + _FRAME_HEAD <= len(text):
        start = at + _FRAME_HEAD
        stop = start + int.from_bytes(text[at + 1 : start], "big")
        if text[at] == 0:
            yield start, stop
        at = stop


def _leaves(message: bytes, depth: int) -> Iterator[bytes]:
    for field in _fields(message) or ():
        content = message[field.content : field.stop]
        if _is_message(content, depth):
            yield from _leaves(content, depth - 1)
        else:
            yield content


def _is_message(content: bytes, depth: int) -> bool:
    return depth > 0 and _CONTROLS.search(content) is not None and _fields(content) is not None


def _fields(message: bytes) -> list[_Field] | None:
    """The fields that have a length; None if it is not a message."""
    found: list[_Field] = []
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        number, wire_type = key >> 3, key & 7
        length = at
        if wire_type in (_VARINT, _LENGTH):
            size, at = _read_varint(message, at)
            if wire_type == _LENGTH:
                found.append(_Field(number, start, length, at, at + size))
                at += size
        elif wire_type in (_EIGHT, _FOUR):
            at += 8 if wire_type == _EIGHT else 4
        else:
            return None
        if not number or at > len(message):
            return None
    return found


def _read_varint(octets: bytes, at: int) -> tuple[int, int]:
    """A number, and where it stops; after the end of the octets if it is cut off."""
    number = shift = 0
    while at < len(octets) and shift < 64:
        number |= (octets[at] & 0x7F) << shift
        shift += 7
        at += 1
        if octets[at - 1] < 0x80:
            return number, at
    return 0, len(octets) + 1


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*octets, number])
