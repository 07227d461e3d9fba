"""Content without its content codings (RFC 9110 section 8.4.1), for looking into it (pure).

gzip and deflate always, br and zstd if a library for them is installed.

Unlike `codings`, which keeps bodies exact, this takes what any compressor wrote, and also what was cut off.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from cassette_http.wire.messages import Fields, field_values

# Cassettes come from others: a few kilobytes must not become gigabytes when somebody looks at them.
MAX_DECODED_OCTETS = 64 << 20

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_MAGIC = b"\x1f\x8b"


def codings_of(fields: Fields) -> tuple[str, ...]:
    """List the content codings in the order in which they were applied, in lower case, without "identity"."""
    members = ",".join(field_values(fields, "content-encoding")).split(",")
    return tuple(word for member in members if (word := member.strip(" \t").lower()) not in ("", "identity"))


def decoded(content: bytes, codings: Sequence[str], most: int = MAX_DECODED_OCTETS) -> tuple[bytes, bool] | None:
    """Undo `codings`, the last one first. The second value tells whether the coded data was complete.

    None if a coding is unknown, if the data is corrupt, or if the result has more than `most` octets.
    """
    is_complete = True
    for coding in reversed(codings):
        inflated = _inflated(content, coding, most)
        if inflated is None:
            return None
        content, ends = inflated
        is_complete = is_complete and ends
    return content, is_complete


def encoded(content: bytes, codings: Sequence[str], is_complete: bool = True) -> bytes:
    """Apply `codings` (those that `decoded` knows). Incomplete data lacks its end, like a body that was cut off.

    br and zstd are always complete: their libraries cannot stop in the middle.
    """
    for coding in codings:
        if coding in _LIBRARIES:
            content = library_for(coding).compress(content)
            continue
        # wbits: 31 is gzip (without name and time: the same input gives the same output), 15 is zlib.
        coder = zlib.compressobj(wbits=31 if coding in _GZIP else 15)
        content = coder.compress(content) + coder.flush(zlib.Z_FINISH if is_complete else zlib.Z_SYNC_FLUSH)
    return content


def _inflated(content: bytes, coding: str, most: int) -> tuple[bytes, bool] | None:
    if coding in _GZIP:
        return _members(content, 31, most)
    if coding == "deflate":
        # "deflate" means the zlib format, but some peers send the bare deflate stream (RFC 9110 section 8.4.1.2).
        return _members(content, 15, most) or _members(content, -15, most)
    return _from_library(coding, content, most) if coding in _LIBRARIES else None


# httpx uses the last one for zstd. It decodes, but cannot code again in the same way.
_LIBRARIES = {"br": ("brotli",), "zstd": ("compression.zstd", "backports.zstd", "zstandard")}
_STEP_OCTETS = 64  # small steps: brotli and zstandard have no limit, and a decompression bomb is small


@cache
def library_for(coding: str) -> Any:
    """The module for br or zstd; None if none is installed."""
    for name in _LIBRARIES[coding]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _from_library(coding: str, content: bytes, most: int) -> tuple[bytes, bool] | None:
    library = library_for(coding)
    if library is None:
        return None
    try:
        decoder = library.Decompressor() if coding == "br" else library.ZstdDecompressor()
        if hasattr(decoder, "needs_input"):
            plain = decoder.decompress(content, most + 1)
            return (plain, decoder.eof) if len(plain) <= most else None
        if coding == "zstd":
            decoder = decoder.decompressobj()
        take = decoder.process if coding == "br" else decoder.decompress
        parts: list[bytes] = []
        size = 0
        for start in range(0, len(content), _STEP_OCTETS):
            parts.append(take(content[start : start + _STEP_OCTETS]))
            size += len(parts[-1])
            if size > most:
                return None
            if coding == "zstd" and decoder.eof:
                break
        return b"".join(parts), decoder.is_finished() if coding == "br" else decoder.eof
    except Exception:
        # Each library has its own error class; all of them mean that the data is corrupt.
        return None


def _members(content: bytes, wbits: int, most: int) -> tuple[bytes, bool] | None:
    """Decompress one stream; for gzip also those that follow it (RFC 1952 section 2.2)."""
    parts: list[bytes] = []
    size = 0
    while True:
        coder = zlib.decompressobj(wbits)
        try:
            parts.append(coder.decompress(content, most + 1 - size))
        except zlib.error:
            return None
        size += len(parts[-1])
        if size > most:
            return None
        content = coder.unused_data
        if not (wbits == 31 and content.startswith(_GZIP_MAGIC)):
            return b"".join(parts), coder.eof
