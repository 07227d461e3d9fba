"""Requests and responses in few words, for tests of what is kept of them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

from cassette_http.cassette.model import Origin, Request

__all__ = ["ORIGIN", "jwt", "request", "response"]

ORIGIN = Origin("https", "api.test", 443)


def request(
    *lines: str, target: str = "/", body: bytes = b"", method: str = "POST", origin: Origin = ORIGIN
) -> Request:
    """A request with these field lines, and a Content-Length if it has a body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {origin.host}", *lines, *length, "", ""])
    return Request(origin, head.encode("latin-1"), body)


def response(*lines: str, body: bytes = b"") -> bytes:
    """A response with these field lines, and a Content-Length."""
    head = "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("latin-1") + body


def jwt(claims: object, signature: str = "c2lnbmF0dXJl" * 3) -> str:
    """A token that says `claims` (RFC 7519)."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims)]
    return ".".join([*(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), signature])
