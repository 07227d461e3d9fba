"""The filters of VCR.py, for its options and for functions of suites that call them.

Each changes the request or response that it is given, and returns it. Replacements are names, which are removed, or
pairs of a name and its new value: a text, None, or a function of `key`, `value` and `request` that returns one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

from cassette_http.cassette.decoding import codings_of, decoded
from cassette_http.vcr.objects import VcrRequest

__all__ = [
    "decode_response",
    "remove_headers",
    "remove_post_data_parameters",
    "remove_query_parameters",
    "replace_body_parameters",
    "replace_headers",
    "replace_post_data_parameters",
    "replace_query_parameters",
]

Replacement: TypeAlias = Any
Replacements: TypeAlias = "Iterable[str | tuple[str, Replacement]]"


def replace_headers(request: VcrRequest, replacements: Replacements) -> VcrRequest:
    for name, replacement in _by_name(replacements).items():
        if name in request.headers:
            value = _replaced(replacement, name, request.headers.pop(name), request)
            if value is not None:
                request.headers[name] = value
    return request


def replace_query_parameters(request: VcrRequest, replacements: Replacements) -> VcrRequest:
    filters, pairs = _by_name(replacements), []
    for name, value in request.query:
        new = _replaced(filters[name], name, value, request) if name in filters else value
        if new is not None:
            pairs.append((name, new))
    request.uri = urlunsplit(urlsplit(request.uri)._replace(query=urlencode(pairs)))
    return request


def replace_body_parameters(request: VcrRequest, replacements: Replacements, recursive: bool = False) -> VcrRequest:
    """Replace members of JSON (`recursive`: at any depth), parts of a multipart body, or parameters of a form."""
    filters, body = _by_name(replacements), request.body
    if not isinstance(body, bytes) or not body:
        return request
    media_type = str(request.headers.get("Content-Type", ""))
    if media_type == "application/json":
        try:
            value = json.loads(body)
        except ValueError:
            return request
        request.body = json.dumps(_replace_members(value, filters, request, recursive)).encode()
    elif boundary := re.match(r'multipart/form-data\b.*boundary="?([^";]+)', media_type, re.IGNORECASE):
        request.body = _replace_parts(body, boundary[1].encode(), filters, request)
    else:
        request.body = _replace_form(body, filters, request)
    return request


def replace_post_data_parameters(
    request: VcrRequest, replacements: Replacements, recursive: bool = False
) -> VcrRequest:
    return replace_body_parameters(request, replacements, recursive) if request.method == "POST" else request


# Names alone are removed, so one function does both.
remove_headers, remove_query_parameters = replace_headers, replace_query_parameters
remove_post_data_parameters = replace_post_data_parameters


def decode_response(response: dict[str, Any]) -> dict[str, Any]:
    """Decode the content, unless its coding is unknown, and remove the field that names it."""
    headers, body = response["headers"], response["body"]
    codings = codings_of(tuple([(name, value) for name, values in headers.items() for value in values]))
    done = decoded(body["string"], codings) if codings else None
    if done is not None:
        names = {name.lower(): name for name in headers}
        del headers[names["content-encoding"]]
        body["string"] = done[0]
        headers[names.get("content-length", "Content-Length")] = [str(len(done[0]))]
    return response


def _by_name(given: Replacements) -> dict[str, Replacement]:
    pairs: list[Any] = [one if isinstance(one, tuple | list) else (one, None) for one in given]
    return dict(pairs)


def _replaced(replacement: Replacement, key: str, value: Any, request: VcrRequest) -> Any:
    return replacement(key=key, value=value, request=request) if callable(replacement) else replacement


def _replace_members(value: Any, filters: Mapping[str, Replacement], request: VcrRequest, is_deep: bool) -> Any:
    if isinstance(value, list):
        return [_replace_members(item, filters, request, is_deep) for item in value] if is_deep else value
    if not isinstance(value, dict):
        return value
    replaced = {}
    for name, member in value.items():
        if name in filters:
            new = _replaced(filters[name], name, member, request)
            if new is not None:
                replaced[name] = new
        else:
            replaced[name] = _replace_members(member, filters, request, is_deep) if is_deep else member
    return replaced


def _replace_form(body: bytes, filters: Mapping[str, Replacement], request: VcrRequest) -> bytes:
    pieces = []
    for piece in body.split(b"&"):
        name, equals, value = piece.partition(b"=")
        written = name.decode("utf-8", "replace")
        key = written if written in filters else unquote_plus(written)
        if equals and key in filters:
            new = _replaced(filters[key], key, value.decode("utf-8", "replace"), request)
            if new is None:
                continue
            piece = name + b"=" + str(new).encode()
        pieces.append(piece)
    return b"&".join(pieces)


def _replace_parts(body: bytes, boundary: bytes, filters: Mapping[str, Replacement], request: VcrRequest) -> bytes:
    first, *parts = body.split(b"--" + boundary)
    kept = [first]
    for part in parts:
        head, separator, content = part.partition(b"\r\n\r\n")
        named = re.search(rb';\s*name="([^"]*)"', head)
        key = named[1].decode("utf-8", "replace") if named is not None else ""
        if separator and key in filters:
            value = content.removesuffix(b"\r\n")
            new = _replaced(filters[key], key, value.decode("utf-8", "replace"), request)
            if new is None:
                continue
            part = head + separator + str(new).encode() + content[len(value) :]
        kept.append(part)
    return (b"--" + boundary).join(kept)
