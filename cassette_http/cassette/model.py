"""What is recorded, as values: requests, tracks, interactions (pure; no I/O, no YAML).

An *interaction* is one request and its *track*: what the peer did on the stream after that request, in order. Octets
are kept as they were on the wire; everything readable (method, fields, content) is derived from them when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from cassette_http.wire import content
from cassette_http.wire.framing import request_framing
from cassette_http.wire.head import parse_request_head
from cassette_http.wire.messages import Fields, RequestHead, field_values

__all__ = [
    "Failure",
    "FailureKind",
    "Header",
    "Interaction",
    "Origin",
    "Piece",
    "Request",
    "TLSFacts",
    "Track",
]

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (lower-case, IPv6 without brackets) and port (RFC 9110 section 4.3.1)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Show as a URL prefix, such as "https://api.example.com" or "http://[::1]:8080"."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def target_uri(method: str, target: str, origin: Origin) -> str:
    """Put the target URI together (RFC 9112 section 3.3); for CONNECT that is the authority."""
    if method == "CONNECT" or "://" in target.partition("?")[0]:
        return target
    return str(origin) + (target if target.startswith("/") else "/" + target)


@dataclass(frozen=True)
class Request:
    """One request as it went over a connection to `origin`.

    `head_octets` ends with the empty line, `body_octets` is the message body as framed on the wire (RFC 9112 section
    6). `via` is the proxy that the connection was opened to, if any; `origin` is then the far end.
    """

    origin: Origin
    head_octets: bytes
    body_octets: bytes = b""
    via: Origin | None = None

    def with_head(self, head: RequestHead) -> Request:
        """Spare this request the parse of its head, which is `head`; returns itself."""
        vars(self)["head"] = head
        return self

    @cached_property
    def head(self) -> RequestHead:
        """The parsed head. Raises MalformedMessage if the octets are no request."""
        return parse_request_head(self.head_octets)

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def fields(self) -> Fields:
        return self.head.fields

    @cached_property
    def url(self) -> str:
        """The target URI (RFC 9112 section 3.3); for CONNECT the authority, for "OPTIONS *" the origin and "*"."""
        return target_uri(self.head.method, self.head.target, self.origin)

    @cached_property
    def content(self) -> bytes:
        """The body without chunk framing; content codings are not undone."""
        return content.decode(request_framing(self.head.fields), self.body_octets)

    def values(self, name: str) -> list[str]:
        """The values of the field lines called `name` (any case), in order."""
        return field_values(self.head.fields, name)


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that arrived together.

    `at` is in seconds after the request was sent. `sent` is how many octets the client had sent *after the request's
    head* when the piece came, for pieces that came before the request was complete (100 Continue, an early answer) or
    during an upgraded connection; None if the request was complete, which is the rule.
    """

    octets: bytes
    at: float = 0.0
    sent: int | None = None


class FailureKind(Enum):
    """How a stream can fail; the values are the words of the cassette format."""

    LOOKUP = "lookup failed"  # socket.gaierror
    CONNECT = "connect failed"  # OSError of connect(), also its time-out
    TLS = "tls failed"  # ssl.SSLError of the handshake
    END = "end"  # the peer closed before the message was complete
    RESET = "reset"  # OSError while reading, ECONNRESET as a rule
    TIMEOUT = "read timeout"
    WRITE = "write failed"  # OSError while sending, EPIPE as a rule


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that ended a track. `at` is in seconds after the request was sent.

    `errno` is a symbolic name such as "ECONNRESET" (numbers differ between systems; EAI_... for look-ups), `text` the
    error's own text. `details` keeps what else the exception carried (of a TLS failure: args, reason, verify_code).
    """

    kind: FailureKind
    at: float = 0.0
    errno: str | None = None
    text: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Track:
    """What the peer did: pieces in order, then perhaps a failure; `ended` if it closed the stream in good order."""

    pieces: tuple[Piece, ...] = ()
    failure: Failure | None = None
    ended: bool = False

    @property
    def octets(self) -> bytes:
        return b"".join(piece.octets for piece in self.pieces)


@dataclass(frozen=True)
class Interaction:
    """One request and its track. `request` is None when the connection failed before a request could be sent."""

    origin: Origin
    request: Request | None
    track: Track
    via: Origin | None = None
    repeat: str | None = None


@dataclass(frozen=True)
class TLSFacts:
    """What a TLS connection to `origin` agreed on; `certificate` is DER, `peer` is what `getpeercert()` returned."""

    origin: Origin
    version: str | None = None
    cipher: tuple[str, str, int] | None = None
    alpn: str | None = None
    certificate: bytes | None = None
    peer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Header:
    """The first document of a cassette: format version, time of recording (UTC, ISO 8601), tool and test."""

    version: int = 1
    recorded: str | None = None
    by: str | None = None
    test: str | None = None
