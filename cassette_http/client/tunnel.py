"""Tunnels through a proxy: the CONNECT request, and what the answer means (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from http.client import HTTPException

from cassette_http.client.constants import MAX_TUNNEL_CONTENT_OCTETS
from cassette_http.client.errors import TunnelError
from cassette_http.client.response import HTTPResponse
from cassette_http.client.sending import encode_host, field_line, host_value

_CONTROLS = re.compile(rb"[\0-\x20\x7f]")


def with_host(headers: Mapping[str, str], host: str, port: int) -> dict[str, str]:
    """The fields for CONNECT; HTTP/1.1 requires a Host."""
    fields = dict(headers)
    if not any(name.lower() == "host" for name in fields):
        fields["Host"] = host_value(host, port).decode("ascii")
    return fields


def connect_request(host: str, port: int, headers: Mapping[str, str], version: str) -> bytes:
    """Write the head of a CONNECT request.

    Raises ValueError, before anything is sent, if one of its parts would break its line.
    """
    lines = [b"CONNECT %s %s" % (_authority(host, port), version.encode("ascii"))]
    lines += [field_line(name, [value]) for name, value in headers.items()]
    return b"\r\n".join([*lines, b"", b""])


def refusal(response: HTTPResponse) -> TunnelError:
    """Make the exception for a proxy's refusal, with the content that came with it.

    Content that lasts until the connection closes is left out, as the proxy may keep it open.
    """
    content = b""
    if response.chunked or response.length:
        # The caller must be told of the refusal even if its content cannot be read.
        with contextlib.suppress(HTTPException, OSError):
            content = response.read(MAX_TUNNEL_CONTENT_OCTETS)
    return TunnelError(response.status, response.reason, response.headers, content)


def _authority(host: str, port: int) -> bytes:
    # Checked after IDNA, which turns some characters into spaces.
    octets = encode_host(host)
    if _CONTROLS.search(octets):
        raise ValueError(f"Tunnel host can't contain control characters {host!r}")
    return host_value(octets.decode("ascii"), port)
