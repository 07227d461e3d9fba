"""The matchers of VCR.py, for functions of a suite that extend them.

Each takes two requests, and raises AssertionError if they differ. To use one of them unchanged, its name is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cassette_http.cassette.meaning import meaning
from cassette_http.convert.rebuilding import rebuild_request
from cassette_http.vcr.objects import VcrRequest

__all__ = ["body", "headers", "host", "method", "path", "port", "query", "raw_body", "scheme", "uri"]

TwoRequests = Callable[[VcrRequest, VcrRequest], None]


def _same(name: str, value: Callable[[VcrRequest], Any]) -> TwoRequests:
    def matcher(one: VcrRequest, other: VcrRequest) -> None:
        assert value(one) == value(other), f"{name}: {value(one)!r} != {value(other)!r}"

    matcher.__name__ = name
    return matcher


def _meaning(request: VcrRequest) -> Any:
    """The value of JSON, or the pairs of a form; otherwise the body as it is."""
    fields = tuple(request.headers.items())
    return meaning(rebuild_request(request.method, request.uri, fields, request.body or b"", []))


method = _same("method", lambda request: request.method)
uri = _same("uri", lambda request: request.uri)
scheme = _same("scheme", lambda request: request.scheme)
host = _same("host", lambda request: request.host)
port = _same("port", lambda request: request.port)
path = _same("path", lambda request: request.path)
query = _same("query", lambda request: request.query)
headers = _same("headers", lambda request: {name.lower(): value for name, value in request.headers.items()})
raw_body = _same("raw_body", lambda request: request.body)
body = _same("body", _meaning)
