"""What other recorders store about an exchange, as values; and how the parts of their trees are read (pure)."""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cassette_http.cassette.format.body_forms import CHARSETS
from cassette_http.convert.trees import Table, Unreadable
from cassette_http.wire.messages import Fields


@dataclass(frozen=True)
class ForeignExchange:
    """A request and its answer, as another recorder stored them: bodies without framing, decoded or not.

    `reason` is None if it was not stored. `repeat` is the policy for requests whose answers were all played.
    """

    method: str
    url: str
    request_fields: Fields
    request_body: bytes
    status: int
    reason: str | None
    fields: Fields
    body: bytes
    version: str = "HTTP/1.1"
    repeat: str | None = None


class LeftOut(Exception):
    """An entry of a foreign cassette that cannot become an interaction; the text says why, for the user."""


def table_at(table: Table, key: str) -> Table:
    """The mapping at a key. Raises Unreadable."""
    value = table.get(key)
    if not isinstance(value, Table):
        raise Unreadable(table.line, f"{key!r} must be a mapping" if key in table else f"{key!r} is missing")
    return value


def text_at(table: Table, *keys: str) -> str:
    """The text at the first of the keys that exists. Raises Unreadable."""
    for key in keys:
        if isinstance(value := table.get(key), str | bytes):
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    is_there = any(key in table for key in keys)
    raise Unreadable(table.line, f"{keys[0]!r} must be text" if is_there else f"{keys[0]!r} is missing")


def status_code(value: Any, line: int | None) -> int:
    """A status of three digits. Raises Unreadable."""
    text = str(value)
    if not (len(text) == 3 and text.isascii() and text.isdigit() and text[0] != "0"):
        raise Unreadable(line, f"the status must be a number of three digits, not {text[:20]!r}")
    return int(text)


def field_pairs(value: Any, line: int | None) -> Fields:
    """Field lines, from a mapping of names to values or lists of them, or from a list of pairs. Raises Unreadable."""
    if value is None:
        return ()
    if isinstance(value, Table):
        pairs = [(name, one) for name, values in value.items() for one in _listed(values)]
    elif isinstance(value, list) and all(isinstance(item, list) and len(item) == 2 for item in value):
        pairs = [(name, one) for name, values in value for one in _listed(values)]
    else:
        raise Unreadable(line, "header fields must be a mapping from names to values")
    return tuple([(_field_text(name, line), _field_text(one, line)) for name, one in pairs])


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _field_text(value: Any, line: int | None) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise Unreadable(line, "the value of a header field must be text")


def octets_of(value: Any, line: int | None, charset: str = "utf-8") -> bytes:
    """A body that was stored as text, octets, or a list of these. Raises Unreadable."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return encoded_text(value, charset)
    if isinstance(value, list):
        return b"".join([octets_of(one, line, charset) for one in value])
    raise Unreadable(line, "a body must be text or octets")


def charset_of(content_type: str, default: str = "utf-8") -> str:
    """The character set in a Content-Type, in lower case."""
    _, found, name = content_type.lower().partition("charset=")
    return name.partition(";")[0].strip(" '\"") if found else default


def encoded_text(text: str, charset: str) -> bytes:
    """Encode text in its original character set if possible; otherwise in UTF-8."""
    name = charset.lower()
    if name in ("ascii", "us-ascii", "latin-1", "iso8859-1") or CHARSETS.fullmatch(name):
        try:
            return text.encode("latin-1" if name == "iso8859-1" else name)
        except (UnicodeError, LookupError):
            pass
    return text.encode("utf-8", "surrogatepass")


def base64_octets(value: Any, line: int | None) -> bytes:
    """Octets that were stored as base64; b"" for None. Raises Unreadable."""
    if value is None:
        return b""
    if not isinstance(value, str | bytes):
        raise Unreadable(line, "base64 must be text")
    try:
        return binascii.a2b_base64(value, strict_mode=False)
    except ValueError as exc:
        raise Unreadable(line, f"this is not base64: {exc}") from exc


def posted(value: Any, fields: Fields, line: int | None) -> bytes:
    """The body of a request: text or octets; or a form or JSON value that a library has made of it."""
    if isinstance(value, Table):
        if any(name.lower() == "content-type" and "json" in one.lower() for name, one in fields):
            return json.dumps(value).encode()
        pairs = [(name, one) for name, values in value.items() for one in _listed(values)]
        return urlencode([(name, _form_value(one, line)) for name, one in pairs], errors="surrogatepass").encode()
    return octets_of(value, line)


def _form_value(value: Any, line: int | None) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return _field_text(value, line)
