"""What is recorded, as values: requests, tracks, interactions (pure; no I/O, no YAML).

An *interaction* is one request and its *track*: what the peer did on the stream after that request, in order. Octets
are kept as they were on the wire. Everything readable (method, fields, content) is derived from them when needed, and
changes are written back into them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self

from cassette_http.cassette.messages import Message, fields_octets
from cassette_http.cassette.splicing import Edit, difference, recut, shift
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import NO_CONTENT, Framing, request_framing, response_framing
from cassette_http.wire.grammar import EMPTY_LINE
from cassette_http.wire.head import parse_request_head, parse_response_head
from cassette_http.wire.messages import RequestHead, ResponseHead

# An interaction with more octets is not kept in memory after use.
LARGE_OCTETS = 1 << 18

# HTTP over a Unix socket: the host is the percent-encoded path of the socket, and there is no port.
UNIX, UNIX_TLS = "http+unix", "https+unix"
DEFAULT_PORTS = {"http": 80, "https": 443, UNIX: 0, UNIX_TLS: 0}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (in lower case, IPv6 without brackets) and port (RFC 9110 section 4.3.1); or a Unix socket."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """A URL prefix, such as "https://api.example.com" or "http://[::1]:8080"."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_unix(self) -> bool:
        return self.scheme in (UNIX, UNIX_TLS)

    @property
    def is_tls(self) -> bool:
        return self.scheme in ("https", UNIX_TLS)

    @property
    def over_tls(self) -> Origin:
        """The origin of TLS over a connection to this one."""
        return Origin(UNIX_TLS if self.is_unix else "https", self.host, self.port)

    @property
    def of_connection(self) -> Origin:
        """The origin that means the connection itself, whatever it is used for."""
        return self if self.is_tls or self.is_unix else Origin("tcp", self.host, self.port)

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def target_uri(method: str, target: str, origin: Origin) -> str:
    """Build the target URI (RFC 9112 section 3.3); for CONNECT it is the authority."""
    if method == "CONNECT" or is_absolute(target):
        return target
    return str(origin) + (target if target.startswith("/") else "/" + target)


def is_absolute(target: str) -> bool:
    """Tell whether a request target is a whole URL; a path may contain one."""
    return not target.startswith("/") and "://" in target.partition("?")[0]


@dataclass(frozen=True)
class Request(Message):
    """One request as it was sent over a connection to `origin`.

    `head_octets` ends with the empty line, `body_octets` is the message body as framed on the wire (RFC 9112 section
    6). `via` is the proxy to which the connection was opened, if any; `origin` is then what is behind it.
    """

    origin: Origin
    head_octets: bytes
    body_octets: bytes = b""
    via: Origin | None = None

    def with_head(self, head: RequestHead) -> Request:
        """Set the parsed head of this request, which saves parsing it; returns itself."""
        vars(self)["head"] = head
        return self

    def with_coded_content(self, content: bytes) -> Request:
        """Set the content of this request, whose framing field was left out; returns itself."""
        vars(self)["coded_content"] = content
        return self

    @cached_property
    def head(self) -> RequestHead:
        return parse_request_head(self.head_octets)

    @property
    def method(self) -> str:
        """As it was sent: methods are case-sensitive (RFC 9110 section 9.1). Raises MalformedMessage."""
        return self.head.method

    @property
    def framing(self) -> Framing:
        return request_framing(self.head.fields)

    @cached_property
    def url(self) -> str:
        """The target URI (RFC 9112 section 3.3); for CONNECT the authority, for "OPTIONS *" the origin and "*"."""
        return target_uri(self.head.method, self.head.target, self.origin)

    def with_method(self, method: str) -> Request:
        """The same request with another method. Raises ValueError for what no request line can contain."""
        return self._with_line(f"{method} {self.head.target} {self.head.version}")

    def with_target(self, target: str) -> Request:
        """The same request with another request target (RFC 9112 section 3.2); raises ValueError like `with_method`."""
        return self._with_line(f"{self.method} {target} {self.head.version}")

    def with_url(self, url: str) -> Request:
        """The same request to another URL, with the matching Host field. Raises ValueError for an invalid URL."""
        scheme, separator, rest = url.partition("#")[0].partition("://")
        size = min([at for mark in "/?" if (at := rest.find(mark)) >= 0], default=len(rest))
        authority, path = rest[:size].rpartition("@")[2], rest[size:]
        host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
        scheme, host = scheme.lower(), (host if colon else authority).strip("[]")
        host = host if scheme in (UNIX, UNIX_TLS) else host.lower()
        if not separator or not host or (colon and not port.isdigit()) or not (colon or scheme in DEFAULT_PORTS):
            raise ValueError(f"not a URL such as https://api.example.com/users: {url!r}")
        origin = Origin(scheme, host, int(port) if colon else DEFAULT_PORTS[scheme])
        path = path if path.startswith("/") else "/" + path
        target = f"{origin}{path}" if is_absolute(self.head.target) else path
        changed = self.with_target(target)
        if origin == self.origin:
            return changed
        return replace(changed.with_field("Host", origin.authority), origin=origin)

    def _with_line(self, line: str) -> Request:
        if line.count(" ") != 2 or not line.isprintable():
            raise ValueError(f"not a valid request line: {line!r}")
        rest = self.head_octets[self.head_octets.find(b"\n") + 1 :]
        return replace(self, head_octets=line.encode("latin-1") + b"\r\n" + rest)

    def _with_first_content(self, content: bytes) -> Self:
        return replace(self.with_field("Content-Length", str(len(content))), body_octets=content) if content else self


@dataclass(frozen=True)
class Response(Message):
    """The final response of an interaction; interim ones are not included.

    `request_method` is the method of its request, which decides whether there is content.
    """

    head_octets: bytes
    body_octets: bytes = b""
    request_method: str = "GET"

    @classmethod
    def of(
        cls, status: int = 200, reason: str = "OK", fields: Iterable[tuple[str, str]] = (), content: bytes = b""
    ) -> Response:
        """Make a response with a matching Content-Length. Raises ValueError for what no head can contain."""
        lines = b"".join([fields_octets(name, value) for name, value in fields])
        head = _status_line("HTTP/1.1", status, reason) + lines + b"Content-Length: 0\r\n\r\n"
        return cls(head).with_content(content)

    @cached_property
    def head(self) -> ResponseHead:
        return parse_response_head(self.head_octets)

    @property
    def status(self) -> int:
        """The status code. Raises MalformedMessage."""
        return self.head.status

    @property
    def reason(self) -> str:
        """The reason phrase, which may be empty (RFC 9112 section 4). Raises MalformedMessage."""
        return self.head.reason

    @property
    def framing(self) -> Framing:
        return response_framing(self.head.status, self.head.fields, self.request_method)

    def with_status(self, status: int, reason: str = "") -> Response:
        """The same response with another status; one without content (204, 304) drops the content.

        Raises ValueError for what no status line can contain.
        """
        rest = self.head_octets[self.head_octets.find(b"\n") + 1 :]
        changed = replace(self, head_octets=_status_line(self.head.version, status, reason) + rest)
        return replace(changed, body_octets=b"") if changed.framing is NO_CONTENT else changed

    def _with_first_content(self, content: bytes) -> Self:
        if content:
            raise ValueError(f"a response {self.status} to {self.request_method} has no content")
        return self


def _status_line(version: str, status: int, reason: str) -> bytes:
    line = f"{version} {status:03} {reason}"
    if not 100 <= status <= 999 or not line.replace("\t", " ").isprintable():
        raise ValueError(f"not a valid status line: {line!r}")
    return line.encode("latin-1") + b"\r\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that arrived together.

    `at` is in seconds after the request was sent. `sent` is None if the request was complete when the piece came, which
    is the usual case. For pieces that came earlier (100 Continue, an early answer), or during an upgraded connection,
    it is the number of octets that the client had sent *after the request's head*. It is -n if the client had begun n
    further requests, because it had taken an interim response for the final one. `timeouts` is the number of reads that
    had timed out before the piece came.
    """

    octets: bytes
    at: float = 0.0
    sent: int | None = None
    timeouts: int = 0


class FailureKind(Enum):
    """How a stream can fail; the values are words of the cassette format."""

    LOOKUP = "lookup failed"  # socket.gaierror
    CONNECT = "connect failed"  # OSError of connect(), including its time-out
    PROXY = "proxy failed"  # a SOCKS proxy refused, or broke off before it agreed
    TLS = "tls failed"  # ssl.SSLError of the handshake
    TLS_REFUSAL = "tls refused"  # ssl.SSLError after the handshake, before the first request
    END = "end"  # the peer closed before the message was complete
    RESET = "reset"  # OSError while reading, usually ECONNRESET
    TIMEOUT = "read timeout"
    WRITE = "write failed"  # OSError while sending, usually EPIPE


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that ended a track. `at` is in seconds after the request was sent.

    `errno` is a symbolic name such as "ECONNRESET" (numbers differ between systems; EAI_... for look-ups), `text` the
    error's own text. `details` has what else the exception contained (for TLS failures: args, reason, verify_code).
    `is_stale`: the connection had served requests before, and the client had not just lost a request in the same way.
    """

    kind: FailureKind
    at: float = 0.0
    errno: str | None = None
    text: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_stale: bool = False

    @property
    def is_timeout(self) -> bool:
        """The client's own time-out: Python's has a text but no number."""
        return self.errno is None and (self.kind is FailureKind.TIMEOUT or "timed out" in (self.text or ""))


@dataclass(frozen=True, slots=True)
class Track:
    """What the peer did: pieces in order, then perhaps a failure; `ended` if it closed the stream without an error.

    `close_notify` is False if it closed a TLS connection without the alert that announces the end, an incomplete close
    (RFC 9112 section 9.8): most clients ignore that, strict ones get an error. `fin` is False if it ended only TLS: for
    clients that look only at the socket, the connection is still open.
    """

    pieces: tuple[Piece, ...] = ()
    failure: Failure | None = None
    ended: bool = False
    close_notify: bool = True
    fin: bool = True

    @property
    def octets(self) -> bytes:
        return b"".join(piece.octets for piece in self.pieces)

    @property
    def count_octets(self) -> int:
        return sum([len(piece.octets) for piece in self.pieces])

    def cut(self, at: int) -> tuple[bytes, bytes]:
        """Return its octets in two parts; never joins all of them, as they may take much memory."""
        before, behind = [], []
        for piece in self.pieces:
            if at:
                before.append(piece.octets[:at])
            if at < len(piece.octets):
                behind.append(memoryview(piece.octets)[at:] if at else piece.octets)
            at -= min(at, len(piece.octets))
        return b"".join(before), b"".join(behind)

    @property
    def is_lost(self) -> bool:
        """The connection broke before the first octet of the response."""
        return self.failure is not None and not (self.count_octets or self.failure.is_timeout)

    @property
    def is_stale(self) -> bool:
        """Its connection was closed, perhaps while idle: the client may send the request again on another one."""
        return self.failure is not None and self.failure.is_stale

    def of_stale(self) -> Track:
        """The same track, marked as one of a stale connection."""
        return replace(self, failure=self.failure and replace(self.failure, is_stale=True))

    def edited(self, edits: Sequence[Edit]) -> Track:
        """Apply the edits to its octets; a piece that becomes empty is dropped."""
        cut = recut([piece.octets for piece in self.pieces], edits)
        pieces = zip(self.pieces, cut, strict=True)
        return replace(self, pieces=tuple([replace(old, octets=new) for old, new in pieces if new or not old.octets]))


@dataclass(frozen=True)
class Interaction:
    """One request and its track. `request` is None if the connection failed before a request could be sent.

    `origin` is where the connection led to, `via` the proxy between. `repeat` decides what a repeated request gets
    ("fail", "last" or "cycle"); None leaves that to the cassette.
    """

    origin: Origin
    request: Request | None
    track: Track
    via: Origin | None = None
    repeat: str | None = None

    @property
    def is_large(self) -> bool:
        """It has more octets than should stay in memory for long."""
        sent = len(self.request.body_octets) if self.request is not None else 0
        return sent + self.track.count_octets > LARGE_OCTETS

    def beginning(self) -> Interaction:
        """The same with only the first octets of each body, for display."""
        request, pieces, left = self.request, [], LARGE_OCTETS
        if request is not None:
            request = replace(request, body_octets=request.body_octets[:LARGE_OCTETS])
        for piece in self.track.pieces:
            pieces.append(replace(piece, octets=piece.octets[:left]))
            left = max(0, left - len(piece.octets))
        return replace(self, request=request, track=replace(self.track, pieces=tuple(pieces)))

    @cached_property
    def response(self) -> Response | None:
        """The final response of the track; None if its head is missing, or is not HTTP."""
        span = _final_head(self.track.octets)
        if span is None:
            return None
        method = self.request.method if self.request is not None else "GET"
        head, body = self.track.cut(span[1])
        return Response(head[span[0] :], body, method)

    def with_request(self, request: Request) -> Interaction:
        """The same interaction with another request."""
        return replace(self, origin=request.origin, via=request.via, request=request)

    def with_response(self, response: Response) -> Interaction:
        """The same interaction with another response; unchanged parts keep their times.

        If there was no response because of a failure, the failure is dropped.
        """
        octets = self.track.octets
        span, old = _final_head(octets), self.response
        if span is None or old is None:
            return replace(self, track=Track((Piece(response.head_octets + response.body_octets),)))
        head = difference(old.head_octets, response.head_octets)
        body = difference(old.body_octets, response.body_octets)
        if not old.body_octets and response.body_octets:
            head, body = [Edit(0, len(old.head_octets), response.head_octets + response.body_octets)], []
        return replace(self, track=self.track.edited(shift(head, span[0]) + shift(body, span[1])))


def _final_head(octets: bytes) -> tuple[int, int] | None:
    """Find where the head of the final response starts and stops."""
    start = 0
    while (empty := EMPTY_LINE.search(octets, start)) is not None:
        try:
            head = parse_response_head(octets[start : empty.end()])
        except MalformedMessage:
            return None
        if head.status >= 200 or head.status == 101:
            return start, empty.end()
        start = empty.end()
    return None


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
