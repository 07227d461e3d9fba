"""Content codings (RFC 9110 section 8.4.1), decoded so that they can be applied again octet for octet.

Compressors have settings that cannot be seen from their output. `undo` tries the usual ones until it gets the same
octets, and returns the settings as a tag such as "gzip 6" or "gzip 9 mtime=1700000000"; `redo` uses the tag.
Other compressors than zlib, brotli and zstd (those of Go or Java, for example) cannot be imitated: `undo` returns None.
"""

from __future__ import annotations

import zlib
from typing import Any

from cassette_http.cassette.decoding import decoded, library_for

# Content that is longer when decoded stays coded: it is a decompression bomb, or too long for a reader.
LONGEST_CONTENT = 8 << 20

SLICE_OCTETS = 1 << 16
GZIP_HEAD = b"\x1f\x8b\x08\x00"  # RFC 1952 section 2.3: magic, deflate, no optional parts
UNIX = 3  # the operating system that zlib itself writes
SLOW_BROTLI, LONGEST_FOR_SLOW_BROTLI = 10, 1 << 18


def undo(coding: str, coded: bytes) -> tuple[bytes, str] | None:
    """Decode; return the content and the tag for `redo`, or None if `redo` could not give the same octets."""
    try:
        if coding in ("gzip", "x-gzip"):
            return _undo_gzip(coded)
        if coding == "deflate":
            return _undo_deflate(coded)
        if coding == "br":
            return _undo_brotli(coded)
        if coding == "zstd":
            return _undo_zstd(coded)
    except zlib.error:
        pass
    return None


def redo(tag: str, content: bytes) -> bytes:
    """Apply the coding of `tag`. Raises ValueError if there is no such tag, or the library is not installed."""
    if len(content) > LONGEST_CONTENT:
        raise ValueError(f"content of {len(content):,} octets is too long to be coded as {tag!r}")
    try:
        coding, level, *options = tag.split(" ")
        numbers = dict(option.split("=") for option in options if option != "raw")
        settings = {name: int(number) for name, number in numbers.items()}
        if coding == "gzip":
            return _gzip(content, int(level), **settings)
        if coding == "deflate":
            compressor = _deflater(int(level), raw="raw" in options, **settings)
            return compressor.compress(content) + compressor.flush()
        if coding == "br":
            if int(level) >= SLOW_BROTLI and len(content) > LONGEST_FOR_SLOW_BROTLI:
                raise ValueError(f"too long for quality {level}")
            return _brotli(content, int(level), **settings)
        if coding == "zstd":
            return _zstd(content, int(level), **settings)
    except ImportError as exc:
        raise ValueError(f"the body has the content coding {tag!r}, and {exc}") from exc
    except Exception as exc:
        # Settings come from a file that anybody may have edited; each library has its own exceptions for bad ones.
        raise ValueError(f"content cannot be coded as {tag!r} ({exc})") from exc
    raise ValueError(f"content cannot be coded as {tag!r}")


def _undo_gzip(coded: bytes) -> tuple[bytes, str] | None:
    if coded[:4] != GZIP_HEAD:
        return None
    content = _inflate(coded, 31)
    if content is None:
        return None
    mtime, extra_flags, system = int.from_bytes(coded[4:8], "little"), coded[8], coded[9]
    likely = {2: 9, 4: 1}.get(extra_flags, 6)
    settings = _search(content, coded[10:-8], likely, raw=True)
    if settings is None:
        return None
    level, mem = settings
    tag = f"gzip {level}"
    for name, value, usual in (
        ("mem", mem, 8),
        ("mtime", mtime, 0),
        ("xfl", extra_flags, _extra_flags(level)),
        ("os", system, UNIX),
    ):
        if value != usual:
            tag += f" {name}={value}"
    return content, tag


def _gzip(content: bytes, level: int, mem: int = 8, mtime: int = 0, xfl: int = -1, os: int = UNIX) -> bytes:
    compressor = _deflater(level, mem, raw=True)
    return b"".join(
        (
            GZIP_HEAD,
            mtime.to_bytes(4, "little"),
            bytes((_extra_flags(level) if xfl < 0 else xfl, os)),
            compressor.compress(content),
            compressor.flush(),
            zlib.crc32(content).to_bytes(4, "little"),
            (len(content) & 0xFFFFFFFF).to_bytes(4, "little"),
        )
    )


def _extra_flags(level: int) -> int:
    return {9: 2, 1: 4}.get(level, 0)  # RFC 1952 section 2.3.1: slowest, fastest


def _undo_deflate(coded: bytes) -> tuple[bytes, str] | None:
    # RFC 9110 section 8.4.1.2 means the zlib format; some servers send the bare data.
    try:
        content, raw = _inflate(coded, zlib.MAX_WBITS), False
    except zlib.error:
        content, raw = _inflate(coded, -zlib.MAX_WBITS), True
    if content is None:
        return None
    settings = _search(content, coded, 6, raw=raw)
    if settings is None:
        return None
    level, mem = settings
    return content, f"deflate {level}" + (" raw" if raw else "") + (f" mem={mem}" if mem != 8 else "")


def _inflate(coded: bytes, window_bits: int) -> bytes | None:
    """Decode one complete stream without a rest; None if it is not one, or too long. Raises zlib.error."""
    decompressor = zlib.decompressobj(window_bits)
    content = decompressor.decompress(coded, LONGEST_CONTENT)
    return content if decompressor.eof and not decompressor.unused_data else None


def _deflater(level: int, mem: int = 8, *, raw: bool) -> zlib._Compress:
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS, mem)


def _search(content: bytes, coded: bytes, likely: int, *, raw: bool) -> tuple[int, int] | None:
    levels = [likely] + [level for level in (6, 9, 1, 5, 4, 3, 2, 8, 7, 0) if level != likely]
    for mem in (8, 9):
        for level in levels:
            if _gives(_deflater(level, mem, raw=raw), content, coded):
                return level, mem
    return None


def _gives(compressor: zlib._Compress, content: bytes, coded: bytes) -> bool:
    """Tell whether the compressor gives `coded`; stops as soon as it does not."""
    view, at = memoryview(content), 0
    for start in range(0, len(content), SLICE_OCTETS):
        part = compressor.compress(view[start : start + SLICE_OCTETS])
        if part and not coded.startswith(part, at):
            return False
        at += len(part)
    return coded[at:] == compressor.flush()


def _undo_brotli(coded: bytes) -> tuple[bytes, str] | None:
    undone = decoded(coded, ["br"], LONGEST_CONTENT)
    if undone is None or not undone[1]:
        return None
    content = undone[0]
    for quality in (4, 5, 6, 11, 1, 2, 3, 9, 8, 7, 10, 0):
        if quality >= SLOW_BROTLI and len(content) > LONGEST_FOR_SLOW_BROTLI:
            continue
        for window in (22, 19, 18):
            if _brotli(content, quality, window) == coded:
                return content, f"br {quality}" + (f" window={window}" if window != 22 else "")
    return None


def _brotli(content: bytes, quality: int, window: int = 22) -> bytes:
    coded: bytes = _library("br").compress(content, quality=quality, lgwin=window)
    return coded


def _undo_zstd(coded: bytes) -> tuple[bytes, str] | None:
    library = library_for("zstd")
    if library is None or not hasattr(library, _OPTIONS_OF_ZSTD):
        return None
    decompressor = library.ZstdDecompressor()
    try:
        content = decompressor.decompress(coded, LONGEST_CONTENT)
    except library.ZstdError:
        return None
    if not decompressor.eof or decompressor.unused_data:
        return None
    has_checksum = coded[4] >> 2 & 1  # RFC 8878 section 3.1.1.1.1
    for level in (3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 19):
        for size in (1, 0):
            if _zstd(content, level, has_checksum, size) == coded:
                options = " checksum=1" if has_checksum else ""
                return content, f"zstd {level}{options}" + ("" if size else " size=0")
    return None


def _zstd(content: bytes, level: int, checksum: int = 0, size: int = 1) -> bytes:
    library = _library("zstd")
    names = library.CompressionParameter
    options = {
        names.compression_level: level,
        names.checksum_flag: checksum,
        names.content_size_flag: size,
    }
    if size:
        return bytes(library.compress(content, options=options))
    compressor = library.ZstdCompressor(options=options)
    return bytes(compressor.compress(content) + compressor.flush())


_OPTIONS_OF_ZSTD = "CompressionParameter"  # missing in the package 'zstandard'
_MISSING = {
    "br": "the package 'brotli' is not installed",
    "zstd": "neither Python 3.14's 'compression.zstd' nor the package 'backports.zstd' is there",
}


def _library(coding: str) -> Any:
    """The library for a coding. Raises ImportError, which says what to install."""
    library = library_for(coding)
    if library is None or (coding == "zstd" and not hasattr(library, _OPTIONS_OF_ZSTD)):
        raise ImportError(_MISSING[coding])
    return library
