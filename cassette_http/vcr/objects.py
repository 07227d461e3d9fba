"""Requests, responses and cassettes in the form that functions for VCR.py expect, converted from ours and back.

A request is an object with `method`, `uri`, `headers`, `body`; a response is a dictionary:

    {"status": {"code": 200, "message": "OK"}, "headers": {"Name": ["value"]}, "body": {"string": b"..."}, "url": ...}

Bodies have no framing, but keep their content coding. If a function does not change a message, its octets are kept;
if it does, matching octets are built, as for a foreign cassette (see `convert.rebuilding`).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from cassette_http.cassette.model import DEFAULT_PORTS, Interaction, Request
from cassette_http.convert.exchanges import ForeignExchange, LeftOut, field_pairs, octets_of
from cassette_http.convert.rebuilding import rebuild, rebuild_request
from cassette_http.convert.trees import Table, Unreadable
from cassette_http.errors import InvalidOption, UnmatchedRequest
from cassette_http.wire.messages import Fields

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette, Miss


class VcrHeaders(MutableMapping[str, Any]):
    """Fields by name in any case, with one value each, like in VCR.py: the first if there are several lines."""

    def __init__(self, values: Any = ()) -> None:
        self._store: dict[str, tuple[str, Any]] = {}
        self.update(values)

    def __getitem__(self, name: str) -> Any:
        return self._store[name.lower()][1]

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, list | tuple):
            value = value[0]
        shown = self._store.get(name.lower(), (name, None))[0]
        self._store[name.lower()] = shown, value

    def __delitem__(self, name: str) -> None:
        del self._store[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._store.values())

    def __len__(self) -> int:
        return len(self._store)

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> VcrHeaders:
        return VcrHeaders(self)


class VcrRequest:
    """A request with the attributes of VCR.py's."""

    def __init__(self, method: str, uri: str, body: Any, headers: Any) -> None:
        self.method, self.uri = method, uri
        self.body, self.headers = body, headers

    @classmethod
    def of(cls, request: Request) -> VcrRequest:
        headers = VcrHeaders()
        for name, value in request.fields:
            headers._store.setdefault(name.lower(), (name, value))
        # A request without a body has None there; but if a filter has emptied the body, the fields still describe it.
        had_body = "content-type" in headers and "content-length" in headers
        return cls(request.method, request.url, request.coded_content or (b"" if had_body else None), headers)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "headers" and not isinstance(value, VcrHeaders):
            value = VcrHeaders(value)
        elif name == "body" and isinstance(value, str):
            value = value.encode()
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<Request ({self.method}) {self.uri}>"

    @property
    def url(self) -> str:
        return self.uri

    @property
    def parsed_uri(self) -> Any:
        return urlsplit(self.uri)

    @property
    def scheme(self) -> str:
        return urlsplit(self.uri).scheme

    protocol = scheme

    @property
    def host(self) -> str | None:
        return urlsplit(self.uri).hostname

    @property
    def port(self) -> int | None:
        parts = urlsplit(self.uri)
        return DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port

    @property
    def path(self) -> str:
        return urlsplit(self.uri).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return sorted(parse_qsl(urlsplit(self.uri).query))

    def applied_to(self, request: Request) -> Request:
        """The request after the changes; `request` itself if nothing was changed. Raises InvalidOption."""
        old = VcrRequest.of(request)
        if (self.method, self.uri, self.body) == (old.method, old.uri, old.body) and self.headers == old.headers:
            return request
        fields = [pair for pair in request.fields if pair[0].lower() in {name.lower() for name in self.headers}]
        for name, value in self.headers.items():
            if name not in old.headers or old.headers[name] != value:
                fields = [pair for pair in fields if pair[0].lower() != name.lower()]
                fields += field_pairs(Table({name: value}), None)
        if urlsplit(self.uri).netloc != urlsplit(old.uri).netloc and old.headers.get("host") == self.headers.get(
            "host"
        ):
            fields = [pair for pair in fields if pair[0].lower() != "host"]
        try:
            body = octets_of(read_body(self), None)
            rebuilt = rebuild_request(self.method, self.uri, tuple(fields), body, [])
        except (LeftOut, Unreadable) as exc:
            raise InvalidOption(f"before_record_request made something of a request that is none: {exc}") from exc
        return replace(rebuilt, via=request.via)


def read_body(request: Any) -> Any:
    """The body of a request, which a function may have replaced by an open file."""
    return request.body.read() if hasattr(request.body, "read") else request.body


def response_dict(interaction: Interaction) -> dict[str, Any] | None:
    """The response of an interaction; None if there is none."""
    response = interaction.response
    if response is None:
        return None
    headers: dict[str, list[str]] = {}
    for name, value in response.fields:
        headers.setdefault(name, []).append(value)
    request = interaction.request
    return {
        "status": {"code": response.status, "message": response.reason},
        "headers": headers,
        "body": {"string": response.coded_content},
        # VCR.py has it only with aiohttp, but functions use it.
        "url": None if request is None else request.url,
    }


def with_response_dict(interaction: Interaction, changed: dict[str, Any]) -> Interaction:
    """The interaction with the response in a dictionary; unchanged if that was not changed.

    Raises InvalidOption if the dictionary is not a valid response any more.
    """
    if changed == response_dict(interaction) or interaction.request is None:
        return interaction
    request = interaction.request
    try:
        status, body = changed["status"], changed["body"]
        exchange = ForeignExchange(
            request.method,
            request.url,
            request.fields,
            request.coded_content,
            int(status["code"]),
            status.get("message"),
            _pairs(changed["headers"]),
            octets_of(body.get("string") if isinstance(body, dict) else body, None),
        )
        rebuilt = rebuild(exchange).interaction
    except (KeyError, TypeError, ValueError, AttributeError, LeftOut, Unreadable) as exc:
        raise InvalidOption(f"before_record_response made something of a response that is none: {exc!r}") from exc
    return replace(interaction, track=rebuilt.track)


def _pairs(headers: Any) -> Fields:
    return field_pairs(Table({name: _listed(value) for name, value in dict(headers).items()}), None)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class VcrCassette:
    """A cassette in use, with those attributes of VCR.py's that tests use."""

    rewound = True
    inject = False

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def __len__(self) -> int:
        return len(self._cassette)

    def __repr__(self) -> str:
        return repr(self._cassette)

    def __iter__(self) -> Iterator[VcrRequest]:
        return iter(self.requests)

    def __contains__(self, request: Any) -> bool:
        """Whether a request with this method and URL still has an answer that was not played."""
        asked, played = (request.method, request.uri), self.play_counts
        return any((one.method, one.uri) == asked and not played[at] for at, one in enumerate(self.requests))

    @property
    def cassette(self) -> Cassette:
        """Our cassette behind it."""
        return self._cassette

    @property
    def misses(self) -> list[Miss]:
        """The refused requests, for a test that expects a refusal and clears them; VCR.py has no such list."""
        return self._cassette.misses

    @property
    def path(self) -> str:
        return str(self._cassette.path)

    _path = path

    @property
    def record_mode(self) -> str:
        return self._cassette.record_mode.value

    @property
    def play_count(self) -> int:
        return self._cassette.play_count

    @property
    def play_counts(self) -> Counter[int]:
        """How often each interaction has answered, by its place in `requests`."""
        return Counter({number - 1: plays for number, plays in self._cassette.plays.items()})

    @property
    def all_played(self) -> bool:
        return len(self.play_counts) == len(self)

    def rewind(self) -> None:
        self._cassette.rewind()

    @property
    def dirty(self) -> bool:
        return bool(self._cassette.recorded)

    @property
    def write_protected(self) -> bool:
        """Nothing may be recorded: every request must be in the cassette."""
        return not self._cassette.can_record

    @property
    def data(self) -> list[tuple[VcrRequest, dict[str, Any]]]:
        pairs = [(one.request, response_dict(one)) for one in self._cassette.interactions]
        return [(VcrRequest.of(one), answer) for one, answer in pairs if one is not None and answer is not None]

    @property
    def requests(self) -> list[VcrRequest]:
        return [request for request, _ in self.data]

    @property
    def responses(self) -> list[dict[str, Any]]:
        return [copy.deepcopy(response) for _, response in self.data]

    def responses_of(self, request: Any) -> list[dict[str, Any]]:
        """The responses to requests with this method and URL. Raises UnmatchedRequest if there is none."""
        asked = (request.method, request.uri)
        found = [copy.deepcopy(response) for one, response in self.data if (one.method, one.uri) == asked]
        if not found:
            raise UnmatchedRequest(f"{self.path} has no interaction for {request.method} {request.uri}")
        return found
