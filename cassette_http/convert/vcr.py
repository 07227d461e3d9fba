"""Cassettes of VCR.py, version 1, as YAML and JSON, and those of Betamax and Ruby's VCR (pure).

    interactions:
    - request: {method, uri, body, headers}
      response: {status: {code, message}, headers, body: {string}}
    version: 1

Header fields are lists by name, in older files single values. Bodies are text or octets, and those of requests
whatever a library had been given: None, a form, a file. Old ones of httpx have `status_code` and `content`.
Betamax calls the list `http_interactions`; its bodies name their `encoding`, or are a `base64_string`.
"""

from __future__ import annotations

from typing import Any

from cassette_http.convert.exchanges import (
    ForeignExchange,
    base64_octets,
    field_pairs,
    octets_of,
    posted,
    status_code,
    table_at,
    text_at,
)
from cassette_http.convert.trees import Table, Unreadable


def read_exchange(entry: Table) -> ForeignExchange:
    """Read one entry of `interactions`. Raises Unreadable."""
    request, response = table_at(entry, "request"), table_at(entry, "response")
    status: Any = response.get("status_code")
    reason: Any = None
    if status is None:
        kept = response.get("status")
        status, reason = (kept.get("code"), kept.get("message")) if isinstance(kept, Table) else (kept, None)
    request_fields = field_pairs(request.get("headers"), request.line)
    return ForeignExchange(
        text_at(request, "method"),
        text_at(request, "uri", "url"),
        request_fields,
        _posted(request.get("body"), request_fields, request.line),
        status_code(status, response.line),
        _text_or_none(reason, response.line),
        field_pairs(response.get("headers"), response.line),
        _body(response),
    )


def _posted(body: Any, fields: Any, line: int | None) -> bytes:
    if isinstance(body, Table) and ("string" in body or "base64_string" in body):
        return _kept(body)
    return posted(body, fields, line)


def _body(response: Table) -> bytes:
    body = response.get("body", response.get("content"))
    return _kept(body) if isinstance(body, Table) else octets_of(body, response.line)


def _kept(body: Table) -> bytes:
    if body.get("base64_string") is not None:
        return base64_octets(body["base64_string"], body.line)
    charset = body.get("encoding")
    return octets_of(body.get("string"), body.line, charset if isinstance(charset, str) else "utf-8")


def _text_or_none(value: Any, line: int | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise Unreadable(line, "the message of a status must be text")
