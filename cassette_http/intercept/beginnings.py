"""How a request begins, and for which host it is, as far as its first octets show (pure)."""

from __future__ import annotations

import re
from typing import Any

from cassette_http.errors import UnsupportedLibrary

# How a client begins HTTP/2 (RFC 9113 section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

REQUEST_BEGINNING = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]\r\n")
# An incomplete request line that has more than its method.
BEGUN_REQUEST_LINE = re.compile(rb"[A-Z]+ /[!-~]*(?: H?T?T?P?/?1?\.?[01]?\r?)?")
LONGEST_HEAD_SEEN = 65536
HOST_FIELD = re.compile(rb"\nHost:[ \t]*(\[[^\]\r\n]*\]|[^:\r\n]*)(?::([0-9]{1,5})(?![0-9]))?", re.IGNORECASE)


def authority_of_request(data: Any) -> tuple[str, int | None] | None:
    """The host and port of the request that `data` begins with: "" and None if it names none; None if it is no request.

    For connections that were opened before the cassette, this tells clients from servers in this process.
    """
    try:
        octets = memoryview(data).cast("B")[:LONGEST_HEAD_SEEN].tobytes()
    except TypeError:
        return None
    if not REQUEST_BEGINNING.match(octets):
        return None
    named = HOST_FIELD.search(octets)
    if named is None:
        return "", None
    return named[1].decode("latin-1").strip("[] \t").lower(), int(named[2]) if named[2] else None


def is_begun_request(octets: bytes) -> bool:
    """Tell whether these octets may be the beginning of an incomplete request line."""
    return BEGUN_REQUEST_LINE.fullmatch(octets) is not None


def refuse_http2(octets: bytes) -> None:
    """Raise UnsupportedLibrary if this begins an HTTP/2 connection, which would silently bypass the cassette."""
    if octets.startswith(PREFACE):
        raise UnsupportedLibrary(
            "HTTP/2 cannot be recorded or replayed; have the library speak HTTP/1.1 "
            "(httpx: http2=False, niquests: disable_http2=True)"
        )
