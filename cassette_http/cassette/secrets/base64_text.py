"""Texts in base64 (RFC 4648, both alphabets) inside other texts: found, decoded and encoded again (pure)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import Error as NotBase64

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_BASE64_REST = re.compile(rb"[A-Za-z0-9+/_-]*")
_TO_STANDARD, _TO_SAFE = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


def in_base64(octets: bytes) -> dict[bytes, int]:
    """How octets in the middle of a text look in base64, in both alphabets, at each position modulo 3.

    Characters that depend on neighbours are left out. The value is the position of the rest modulo 4.
    """
    cores = {}
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(octets)) * 8 // 6
        core = b64encode(bytes(before) + octets)[first:last]
        cores[core] = cores[core.translate(_TO_SAFE)] = first
    return cores


def base64_run(
    octets: bytes, start: int, stop: int, alignment: int, is_start: bool = False
) -> tuple[int, int, bytes] | None:
    """Find the base64 text around some of its characters: where it starts and stops, and the decoded text."""
    core = start
    while start and not is_start and octets[start - 1] in _BASE64:
        start -= 1
    start += (core - alignment - start) % 4
    if start > core:
        return None  # characters before it are missing, or are written in another way
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
    """Decode a whole text of either alphabet, with or without padding; None if it is not base64."""
    text = text.translate(_TO_STANDARD).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except NotBase64:
        return None


def base64_at(octets: bytes, start: int) -> tuple[int, bytes] | None:
    """Decode the base64 text that begins at `start`: where it stops, and the decoded text."""
    run = base64_run(octets, start, start, 0, is_start=True)
    return None if run is None else run[1:]


def to_base64(text: bytes, like: bytes) -> bytes:
    """Encode with the alphabet and the padding of the text `like`."""
    coded = urlsafe_b64encode(text) if b"-" in like or b"_" in like else b64encode(text)
    is_padded = like.endswith(b"=") or len(like) % 4 == 0
    return coded if is_padded else coded.rstrip(b"=")
