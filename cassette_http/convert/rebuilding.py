"""Builds octets that a peer could have sent from what other recorders store (pure).

Most store bodies without framing, many of them decoded, together with the original fields: so a length, a transfer
coding and a content coding may not fit any more. A client that parses the octets would fail on each. The rules:

1. There is no content where none is allowed (HEAD, 1xx, 204, 304); the fields stay, as they describe another answer.
2. A content coding is kept if the body can be decoded with it. Otherwise the body was stored decoded: gzip and deflate
   are applied again; for other codings (whose libraries may be missing) the field is dropped.
3. `Transfer-Encoding: chunked` is kept, and the body becomes one chunk; but if there is a Content-Length too, which
   only a recorder can have added, the transfer coding is dropped.
4. A Content-Length is set to the length of the body.
5. With neither, the body ends with the connection.
6. Field names and values keep their case and order, but line ends in them are removed. HTTP/2 becomes HTTP/1.1.
7. A request gets the Host and Content-Length that it must have had, and its body in the same way.

A fragment or user name in a URL is dropped, as it is never sent; characters beyond ASCII are percent-encoded. A word
in place of a URL becomes a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from cassette_http.cassette.decoding import codings_of, decoded, encoded
from cassette_http.cassette.model import DEFAULT_PORTS, Interaction, Origin, Piece, Request, Track
from cassette_http.convert.exchanges import ForeignExchange, LeftOut
from cassette_http.wire.chunking import Chunked, enchunk
from cassette_http.wire.framing import NO_CONTENT, FramingKind, is_persistent, response_framing
from cassette_http.wire.grammar import FIELD_NAME
from cassette_http.wire.head import serialise_request_head, serialise_response_head
from cassette_http.wire.messages import Fields, RequestHead, ResponseHead, field_values


@dataclass(frozen=True)
class Rebuilt:
    """An interaction, and the changes that were necessary, each as a clause for the user."""

    interaction: Interaction
    changes: tuple[str, ...]


def rebuild(exchange: ForeignExchange) -> Rebuilt:
    """Make an interaction from an exchange by the rules above. Raises LeftOut."""
    changes: list[str] = []
    if not TOKEN.fullmatch(exchange.method):
        raise LeftOut(f"{exchange.method[:20]!r} is no method")
    method = exchange.method.upper()
    if method == "CONNECT":
        raise LeftOut("the opening of a tunnel, of which other recorders do not keep what follows")
    request = rebuild_request(method, exchange.url, exchange.request_fields, exchange.request_body, changes)
    octets, ended = _response(exchange, method, changes)
    track = Track((Piece(octets),), ended=ended)
    return Rebuilt(Interaction(request.origin, request, track, repeat=exchange.repeat), tuple(dict.fromkeys(changes)))


# ---------------------------------------------------------------------- requests

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}")
# Characters allowed in a request target (RFC 3986 section 2), and those that clients send although they are not.
IN_TARGET = "!#$%&'()*+,/:;=?@[]~\"<>\\^`{|}"


# The origin of requests whose URL was replaced by a word, like a secret: they answer if no matcher looks at URLs.
NOWHERE = Origin("https", "replaced.invalid", 443)


def _split_url(url: str, changes: list[str]) -> tuple[Origin, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise LeftOut(f"{url[:60]!r} is no URL: {exc}") from None
    if url and not (parts.scheme or parts.netloc or "/" in url):
        changes.append(f"{url[:20]!r} taken for a URL at a host of its own, {NOWHERE.host}")
        return NOWHERE, "/" + quote(url, safe=IN_TARGET, errors="surrogatepass")
    if parts.scheme not in DEFAULT_PORTS:
        raise LeftOut(f"a URL of the scheme {parts.scheme[:20]!r}, which is not HTTP")
    if not host:
        raise LeftOut(f"the URL {url[:60]!r} names no host")
    target = quote(parts.path or "/", safe=IN_TARGET, errors="surrogatepass")
    # A question mark at the end is sent, but `urlsplit` loses it.
    if parts.query or url.partition("#")[0].endswith("?"):
        target += "?" + quote(parts.query, safe=IN_TARGET, errors="surrogatepass")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise LeftOut(f"the URL {url[:60]!r} names a host that cannot be looked up") from None
    return Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port), target


def rebuild_request(method: str, url: str, field_lines: Fields, body: bytes, changes: list[str]) -> Request:
    """Make the request that a client would have sent; adds necessary changes to `changes`. Raises LeftOut."""
    origin, target = _split_url(url, changes)
    fields = list(_clean(field_lines, changes))
    if not field_values(fields, "host"):
        fields.insert(0, ("Host", origin.authority))
    if _is_chunked(fields):
        fields = _without(fields, "content-length")
        body = _one_chunk(body)
    elif body or field_values(fields, "content-length"):
        fields = _with_length(_without(fields, "transfer-encoding"), len(body), changes, "a request")
    head = serialise_request_head(RequestHead(method, target, "HTTP/1.1", tuple(fields)))
    return Request(origin, head, body)


# ---------------------------------------------------------------------- responses


def _response(exchange: ForeignExchange, method: str, changes: list[str]) -> tuple[bytes, bool]:
    """The octets, and whether the peer closes the connection after them."""
    if exchange.version.upper() in ("HTTP/1.0", "HTTP/1.1"):
        version = exchange.version.upper()
    else:
        version = "HTTP/1.1"
        changes.append("HTTP/2 or later turned into HTTP/1.1")
    fields = list(_clean(exchange.fields, changes))
    body = exchange.body
    if response_framing(exchange.status, (), method) is NO_CONTENT:
        if body:
            changes.append(f"the body dropped that no answer to {method} with {exchange.status} has")
        body = b""
    else:
        fields, body = _coded(fields, body, changes)
        fields, body = _framed(fields, body, changes)
    head = ResponseHead(version, exchange.status, _reason(exchange), tuple(fields))
    framing = response_framing(exchange.status, fields, method)
    ended = framing.kind is FramingKind.CLOSE or not is_persistent(version, fields)
    return serialise_response_head(head) + body, ended


def _reason(exchange: ForeignExchange) -> str:
    if exchange.reason is not None:
        return LINE_END.sub(" ", exchange.reason.encode("utf-8", "replace").decode("latin-1")).strip(" \t")
    try:
        return HTTPStatus(exchange.status).phrase
    except ValueError:
        return ""


def _coded(fields: list[tuple[str, str]], body: bytes, changes: list[str]) -> tuple[list[tuple[str, str]], bytes]:
    """Make content codings fit the body (rule 2)."""
    codings = codings_of(tuple(fields))
    if not codings or not body or _is_coded(body, codings):
        return fields, body
    if all(coding in REDONE for coding in codings):
        changes.append(f"{', '.join(codings)} done again on a body that was kept decoded")
        return fields, encoded(body, codings)
    changes.append(f"Content-Encoding {', '.join(codings)[:40]} dropped from a body that was kept decoded")
    return _without(fields, "content-encoding"), body


REDONE = frozenset({"gzip", "x-gzip", "deflate"})
MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def _is_coded(body: bytes, codings: tuple[str, ...]) -> bool:
    plain = decoded(body, codings)
    if plain is not None and plain[1]:
        return True
    # Cut off, very large, or the library is not installed.
    last = codings[-1]
    if last in MAGIC:
        return body.startswith(MAGIC[last])
    if last == "deflate":
        return body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0  # RFC 1950 section 2.2
    try:
        body.decode()
    except UnicodeDecodeError:
        return True
    return False


def _framed(fields: list[tuple[str, str]], body: bytes, changes: list[str]) -> tuple[list[tuple[str, str]], bytes]:
    """Make the framing fit the body (rules 3 to 5)."""
    has_length = bool(field_values(fields, "content-length"))
    if field_values(fields, "transfer-encoding"):
        if _is_chunked(fields) and not has_length:
            return fields, _one_chunk(body)
        changes.append("a transfer coding dropped that does not fit the body as it was kept")
        fields = _without(fields, "transfer-encoding")
    if has_length:
        fields = _with_length(fields, len(body), changes, "a response")
    return fields, body


# ---------------------------------------------------------------------- fields and bodies


def _clean(fields: Fields, changes: list[str]) -> Iterator[tuple[str, str]]:
    for name, value in fields:
        if FIELD_NAME.fullmatch(name) is None:
            # ":authority" and the like are pseudo-fields of HTTP/2.
            if not name.startswith(":"):
                changes.append(f"a field dropped whose name {name[:20]!r} is not allowed")
            continue
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            value = value.encode("utf-8", "surrogatepass").decode("latin-1")
        yield name, LINE_END.sub(" ", value).strip(" \t")


LINE_END = re.compile(r"[ \t]*[\r\n\0]+[ \t]*")


def _is_chunked(fields: list[tuple[str, str]]) -> bool:
    codings = ",".join(field_values(fields, "transfer-encoding")).lower().split(",")
    return codings[-1].strip(" \t") == "chunked"


def _one_chunk(body: bytes) -> bytes:
    return enchunk(Chunked(body, (len(body),) if body else ()))


def _without(fields: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    return [pair for pair in fields if pair[0].lower() != name]


def _with_length(fields: list[tuple[str, str]], length: int, changes: list[str], whose: str) -> list[tuple[str, str]]:
    """Make sure that there is one correct Content-Length; if missing, it is added at the end."""
    stated = [pair for pair in fields if pair[0].lower() == "content-length"]
    if not stated:
        return [*fields, ("Content-Length", str(length))]
    if [value for _, value in stated] == [str(length)]:
        return fields
    changes.append(f"the Content-Length of {whose} corrected")
    at = fields.index(stated[0])
    rest = _without(fields[at:], "content-length")
    return [*fields[:at], (stated[0][0], str(length)), *rest]
