"""Exports our cassettes for the tools of others: as a HAR 1.2 archive, or as a cassette of VCR.py (pure).

Both know an exchange as a request and its answer, decoded and in one piece. What they cannot hold is reported.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from cassette_http.cassette.model import Header, Interaction, Request, Response
from cassette_http.version import __version__
from cassette_http.wire.messages import Fields


@dataclass(frozen=True)
class Exported:
    """A file for other tools: its text, the number of its interactions, and each kind of loss with its number."""

    text: str
    count: int
    losses: dict[str, int]


def export(header: Header, interactions: Iterable[Interaction], name: str) -> Exported:
    """Write interactions in the format with this name (see WRITERS)."""
    losses: Counter[str] = Counter()
    exchanges: list[tuple[Interaction, Request, Response]] = []
    for interaction in interactions:
        request, response = interaction.request, interaction.response
        if request is None or response is None:
            losses["left out, as there was no response"] += 1
            continue
        if response.status == 101 or request.method == "CONNECT":
            losses["left out, as no HTTP comes behind them"] += 1
            continue
        if interaction.track.failure is not None:
            losses["without the failure that they ended with"] += 1
        exchanges.append((interaction, request, response))
    return Exported(WRITERS[name](header, exchanges), len(exchanges), dict(losses))


Exchanges = list[tuple[Interaction, Request, Response]]


def _decoded(message: Request | Response) -> tuple[Fields, bytes]:
    """The fields and the content of a message without content codings and framing; the length is that of the result."""
    content = message.content
    dropped = {"transfer-encoding"} | ({"content-encoding"} if content != message.coded_content else set())
    fields = [(name, value) for name, value in message.fields if name.lower() not in dropped]
    if content or not isinstance(message, Response):
        fields = [(name, str(len(content)) if name.lower() == "content-length" else value) for name, value in fields]
    return tuple(fields), content


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


# ---------------------------------------------------------------------- VCR.py


def _as_vcr(header: Header, exchanges: Exchanges) -> str:
    entries = []
    for _, request, response in exchanges:
        fields, content = _decoded(response)
        sent = request.coded_content
        entries.append(
            {
                "request": {
                    "body": (_text(sent) or sent) if sent else None,
                    "headers": _by_name(request.fields),
                    "method": request.method,
                    "uri": request.url,
                },
                "response": {
                    "body": {"string": _text(content) if _text(content) is not None else content},
                    "headers": _by_name(fields),
                    "status": {"code": response.status, "message": response.reason},
                },
            }
        )
    text: str = yaml.safe_dump({"interactions": entries, "version": 1}, allow_unicode=True, width=120)
    return text


def _by_name(fields: Fields) -> dict[str, list[str]]:
    """Field values by name; lines whose names differ only in case are one field."""
    named: dict[str, tuple[str, list[str]]] = {}
    for name, value in fields:
        named.setdefault(name.lower(), (name, []))[1].append(value)
    return dict(named.values())


# ---------------------------------------------------------------------- HAR


def _as_har(header: Header, exchanges: Exchanges) -> str:
    entries = [_entry(header, *exchange) for exchange in exchanges]
    creator = {"name": "cassette-http", "version": __version__}
    return json.dumps({"log": {"version": "1.2", "creator": creator, "entries": entries}}, indent=1, ensure_ascii=False)


def _entry(header: Header, interaction: Interaction, request: Request, response: Response) -> dict[str, Any]:
    fields, content = _decoded(response)
    pieces = interaction.track.pieces
    first, last = (pieces[0].at * 1000, pieces[-1].at * 1000) if pieces else (0.0, 0.0)
    return {
        "startedDateTime": header.recorded or "1970-01-01T00:00:00Z",
        "time": last,
        "request": {
            "method": request.method,
            "url": request.url,
            "httpVersion": request.head.version,
            "cookies": [],
            "headers": _named(request.fields),
            "queryString": _named(tuple(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))),
            "headersSize": len(request.head_octets),
            "bodySize": len(request.body_octets),
            **_post_data(request),
        },
        "response": {
            "status": response.status,
            "statusText": response.reason,
            "httpVersion": response.head.version,
            "cookies": [],
            "headers": _named(fields),
            "content": _content(response, content),
            "redirectURL": response.value("Location") or "",
            "headersSize": len(response.head_octets),
            "bodySize": len(response.body_octets),
        },
        "cache": {},
        "timings": {"send": 0, "wait": first, "receive": last - first},
    }


def _named(fields: Fields) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields]


def _post_data(request: Request) -> dict[str, Any]:
    content = request.coded_content
    if not content:
        return {}
    text = _text(content)
    media_type = request.value("Content-Type") or "application/octet-stream"
    if text is not None:
        return {"postData": {"mimeType": media_type, "text": text}}
    # The format has no place for octets that are not text, but allows tools to add keys of their own.
    encoded = b64encode(content).decode("ascii")
    return {"postData": {"mimeType": media_type, "text": encoded, "_encoding": "base64"}}


def _content(response: Response, content: bytes) -> dict[str, Any]:
    media_type = response.value("Content-Type") or "application/octet-stream"
    described = {"size": len(content), "mimeType": media_type}
    if not content:
        return described
    text = _text(content)
    # Text in another character set would be misread.
    if text is not None and "charset=" not in media_type.lower().replace("charset=utf-8", ""):
        return {**described, "text": text}
    return {**described, "text": b64encode(content).decode("ascii"), "encoding": "base64"}


WRITERS: dict[str, Callable[[Header, Exchanges], str]] = {"har": _as_har, "vcr": _as_vcr}
