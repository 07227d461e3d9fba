"""Cassettes of cassetter, as YAML (pure).

    version: 1
    interactions:
    - request: {method, uri, headers, body: {type: json | text | binary | none, content}}
      response: {status: 200, headers, body: {type, content}}
      recorded_at: ...

Bodies are kept decoded; JSON as YAML, octets as hexadecimal digits. A cassette that is replayed begins again when all
answers of a request were played.
"""

from __future__ import annotations

import binascii
import json
from typing import Any

from cassette_http.cassette.format.scalars import resolve
from cassette_http.convert.exchanges import (
    ForeignExchange,
    charset_of,
    encoded_text,
    field_pairs,
    status_code,
    table_at,
    text_at,
)
from cassette_http.convert.trees import Plain, Table, Unreadable
from cassette_http.wire.messages import Fields, field_values


def read_exchange(entry: Table) -> ForeignExchange:
    """Read one entry of `interactions`. Raises Unreadable."""
    request, response = table_at(entry, "request"), table_at(entry, "response")
    request_fields = field_pairs(request.get("headers"), request.line)
    fields = field_pairs(response.get("headers"), response.line)
    return ForeignExchange(
        text_at(request, "method"),
        text_at(request, "uri"),
        request_fields,
        _body(request, request_fields),
        status_code(response.get("status"), response.line),
        None,
        fields,
        _body(response, fields),
        repeat="cycle",
    )


def _body(message: Table, fields: Fields) -> bytes:
    if message.get("body") is None:
        return b""
    body = table_at(message, "body")
    kind, content = body.get("type"), body.get("content")
    if kind == "json":
        return _json_octets(_value(content), fields)
    if kind == "text" and isinstance(content, str):
        return encoded_text(content, charset_of(";".join(field_values(fields, "content-type"))))
    if kind == "binary" and isinstance(content, str):
        try:
            return binascii.a2b_hex(content)
        except ValueError as exc:
            raise Unreadable(body.line, f"these are no hexadecimal digits: {exc}") from exc
    if kind == "none" or content is None:
        return b""
    raise Unreadable(body.line, f"the body is of the type {kind!r}, which is not known here")


def _value(content: Any) -> Any:
    if isinstance(content, Plain):
        return int(content) if content.lstrip("-").isdecimal() and len(content) < 4000 else resolve(content)
    if isinstance(content, list):
        return [_value(item) for item in content]
    if isinstance(content, Table):
        return {name: _value(item) for name, item in content.items()}
    if isinstance(content, bytes):
        raise Unreadable(None, "octets cannot be part of a JSON body")
    return content


def _json_octets(value: Any, fields: Fields) -> bytes:
    """Write JSON in the usual form whose length is the stated one; very likely it was received like that."""
    lengths = field_values(fields, "content-length")
    ways = [
        json.dumps(value, ensure_ascii=is_ascii, separators=separators).encode("utf-8", "surrogatepass")
        for separators in ((",", ":"), (", ", ": "))
        for is_ascii in (False, True)
    ]
    return next((octets for octets in ways if [str(len(octets))] == lengths), ways[0])
