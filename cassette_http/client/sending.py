"""Outgoing requests: checks of every part, pieces of a body, the watch for an early answer."""

from __future__ import annotations

import io
import re
import ssl
import sys
import time
from collections.abc import Iterable, Iterator
from http.client import InvalidURL
from typing import Any
from urllib.parse import urlsplit

from cassette_http.client.constants import say
from cassette_http.client.inbox import Inbox, socket_of, wait_for_room
from cassette_http.transport.base import Stream
from cassette_http.wire.reader import ResponseReader

CONTINUE_WAIT_S = 1.0
# Any send buffer that has room takes this much: a watched send must not block when the peer stops reading.
SLICE_OCTETS = 16384

_METHODS_WITH_CONTENT = frozenset({"PATCH", "POST", "PUT"})

_ORDINARY_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
# Fields that change how a request is sent.
_SPECIAL_FIELDS = frozenset({"content-length", "expect", "transfer-encoding"})
_ORDINARY_NAME = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# With `python -b`, comparing str and bytes gives a warning or an error.
_WARNS_OF_BYTES = sys.flags.bytes_warning > 0

# A method is a token (RFC 9110 section 9.1); only what could break the request line is refused.
_BAD_IN_METHOD = re.compile(r"[\0-\x20\x7f]")
_BAD_IN_TARGET = re.compile(r"[\0-\x20\x7f]")
# field-name; http.client accepts more than a token, and programs rely on it.
_NAME = re.compile(rb"[^:\s\0-\x1f\x7f][^:\0-\x1f\x7f]*")
# Line ends are allowed in a field value if they fold it; other control characters except HTAB never are.
_BAD_IN_VALUE = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\n(?![ \t])|\r(?![ \t\n])")


def check_method(method: str) -> None:
    """Raise ValueError if the method would break the request line."""
    if match := _BAD_IN_METHOD.search(method):
        raise ValueError(f"method can't contain control characters. {method!r} (found at least {match.group()!r})")


def check_no_controls(part: str) -> None:
    """Raise InvalidURL if a target or host has a space or a control character."""
    if match := _BAD_IN_TARGET.search(part):
        raise InvalidURL(f"URL can't contain control characters. {part!r} (found at least {match.group()!r})")


def split_host_port(host: str, port: int | str | None, default_port: int) -> tuple[str, int]:
    """Split "host:port", and remove the brackets of an IPv6 address. Raises InvalidURL."""
    if port is None:
        name, colon, digits = host.rpartition(":")
        if not colon or "]" in digits:
            port = default_port
        else:
            if digits and not re.fullmatch("[0-9]+", digits):
                raise InvalidURL(f"nonnumeric port: '{digits}'")
            host, port = name, int(digits or default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, port  # type: ignore[return-value]  # a port that was given stays as it is


def host_value(host: str, port: int | None) -> bytes:
    """Write the value of a Host field; the scope of an IPv6 address is left out, as it means nothing to the peer."""
    octets = encode_host(host)
    if b":" in octets:
        octets = b"[" + octets.partition(b"%")[0].rstrip(b"]").lstrip(b"[") + b"]"
    # A port from settings or a URL may still be text, which sockets accept.
    return octets if port is None else b"%s:%s" % (octets, str(port).encode("ascii"))


def encode_host(host: str) -> bytes:
    """Write a host name in ASCII, with IDNA if necessary."""
    try:
        return host.encode("ascii")
    except UnicodeEncodeError:
        return host.encode("idna")


def authority_of(url: str) -> bytes:
    """The Host for an absolute target, without user information; b"" if the target is not absolute."""
    if not url.startswith("http"):
        return b""
    authority = urlsplit(url)[1].rpartition("@")[2]
    return encode_host(authority)


def field_line(name: str | bytes, values: Iterable[str | bytes | int]) -> bytes:
    """Write a field line without its line end; several values are folded into one. Raises ValueError."""
    name_octets = name.encode("ascii") if isinstance(name, str) else name
    if not _NAME.fullmatch(name_octets):
        raise ValueError(f"Invalid header name {name_octets!r}")
    encoded = []
    for value in values:
        if isinstance(value, str):
            octets = value.encode("latin-1")
        elif isinstance(value, int):
            octets = b"%d" % value
        else:
            octets = value
        if _BAD_IN_VALUE.search(octets):
            raise ValueError(f"Invalid header value {octets!r}")
        encoded.append(octets)
    return name_octets + b": " + b"\r\n\t".join(encoded)


class HeadWriter:
    """Writes the heads of ordinary requests at once, with the same result as line by line.

    Programs repeat themselves, so the last fields are cached; per connection, as they may be secret.
    """

    __slots__ = ("_behind_length", "_fields", "_up_to_length")

    def __init__(self) -> None:
        self._fields: tuple[Any, ...] = ()
        self._up_to_length = self._behind_length = ""

    def write(
        self, method: str, url: str, host: str, port: int | None, headers: dict[Any, Any], body: bytes | None
    ) -> bytes | None:
        """Write a head with its empty line; None if the request is not ordinary. No `port` means the default port."""
        if method not in _ORDINARY_METHODS or type(url) is not str or url[:1] != "/":
            return None
        if not url.isascii() or not url.isprintable() or " " in url:
            return None
        length = ""
        if body is not None:
            if type(body) is not bytes or len(body) > SLICE_OCTETS:
                return None
            length = f"Content-Length: {len(body)}\r\n"
        elif method in _METHODS_WITH_CONTENT:
            length = "Content-Length: 0\r\n"
        fields = (host, port, *headers.items())
        if _WARNS_OF_BYTES or fields != self._fields:
            lines = _ordinary_lines(host, port, headers)
            if lines is None:
                return None
            self._up_to_length, self._behind_length = lines
            self._fields = fields
        return f"{method} {url} HTTP/1.1\r\n{self._up_to_length}{length}{self._behind_length}".encode("latin-1")


def _ordinary_lines(host: str, port: int | None, headers: dict[Any, Any]) -> tuple[str, str] | None:
    """Write the fields before Content-Length, and those after it with the empty line; None if one is special."""
    given = set()
    lines = []
    for name, value in headers.items():
        # Forbidden characters are never printable. Some allowed ones are not printable either: they take the long way.
        if type(name) is not str or type(value) is not str or not value.isprintable():
            return None
        given.add(name.lower())
        if not _ORDINARY_NAME.fullmatch(name):
            return None
        lines.append(f"{name}: {value}\r\n")
    if not given.isdisjoint(_SPECIAL_FIELDS):
        return None
    before = "" if "accept-encoding" in given else "Accept-Encoding: identity\r\n"
    behind = "".join(lines) + "\r\n"
    try:
        behind.encode("latin-1")
        if "host" not in given:
            before = field_line("Host", [host_value(host, port)]).decode("ascii") + "\r\n" + before
    except ValueError:
        return None
    return before, behind


def encode_text(text: str, what: str) -> bytes:
    """Encode text as Latin-1, the charset of every str. Raises UnicodeEncodeError with advice."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        advice = (
            f"{what.title()} ({text[error.start : error.end]!r:.20}) is not valid Latin-1. "
            f"Use {what}.encode('utf-8') if you want to send it encoded in UTF-8."
        )
        raise UnicodeEncodeError(error.encoding, error.object, error.start, error.end, advice) from None


def content_length(body: Any, method: str) -> int | None:
    """The octets of a body; None if unknown, or if there is no body and the method expects none."""
    if body is None:
        return 0 if method.upper() in _METHODS_WITH_CONTENT else None
    if hasattr(body, "read"):
        return None
    try:
        return memoryview(body).nbytes
    except TypeError:
        return len(body) if isinstance(body, str) else None


def body_pieces(body: Any, blocksize: int, debuglevel: int) -> Iterator[Any]:
    """Split a body: a file into blocks, an iterable into its items, a buffer not at all. Raises TypeError."""
    if hasattr(body, "read"):
        if debuglevel > 0:
            say("reading a readable")
        return file_pieces(body, blocksize, debuglevel)
    try:
        memoryview(body)
    except TypeError:
        try:
            items: Iterator[Any] = iter(body)
        except TypeError:
            raise TypeError(f"message_body should be a bytes-like object or an iterable, got {type(body)!r}") from None
        return items
    return iter((body,))


def file_pieces(file: Any, blocksize: int, debuglevel: int) -> Iterator[bytes]:
    """Read a file in blocks; text is encoded as Latin-1."""
    is_text = isinstance(file, io.TextIOBase)
    if is_text and debuglevel > 0:
        say("encoding file using iso-8859-1")
    while block := file.read(blocksize):
        yield block.encode("latin-1") if is_text else block


class AnswerWatch:
    """Watches the inbox while a body is being sent, for an answer that makes the rest of it pointless.

    RFC 9112 section 9.5 asks clients to stop when an error comes early, RFC 9110 section 10.1.1 to wait for
    100 (Continue) if they announced that. What arrives stays in the inbox, and is read like any response.
    """

    def __init__(self, inbox: Inbox, method: str) -> None:
        # Whether the rest of the body is not sent; the connection cannot carry another request then.
        self.is_cut_short = False
        self._inbox = inbox
        self._reader = ResponseReader(method)
        self._is_first = True

    def await_continue(self) -> None:
        """Wait for 100 (Continue) or a final answer; not for long, as many servers never send it."""
        end = time.monotonic() + CONTINUE_WAIT_S
        while not (self._reader.interim_responses or self._reader.has_head or self._reader.malformed):
            left_s = end - time.monotonic()
            if left_s <= 0 or not self._look(left_s):
                return
        self.is_cut_short = self._reader.has_head

    def send(self, data: Any) -> None:
        """Send octets of a body, or drop them after a refusal.

        A peer that refuses and closes breaks the pipe: that is not an error if its answer can be read.
        """
        view = memoryview(data).cast("B")
        stream = self._inbox.stream
        try:
            while len(view) > 0:
                if not self._is_first or len(view) > SLICE_OCTETS:
                    self._wait_for_room(stream)
                    self._look(0)
                    if self._inbox.failure is not None:
                        raise self._inbox.failure  # the system reports only once what broke the connection
                    # After a success the server may go on reading. A peer that has closed its side answers no more,
                    # and a TLS object that met an end without close_notify cannot send.
                    if self._reader.status >= 300 or self._inbox.is_closed_by_peer:
                        self.is_cut_short = True
                if self.is_cut_short:
                    return
                self._is_first = False
                stream.sendall(view[:SLICE_OCTETS])
                view = view[SLICE_OCTETS:]
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            if not self._finds_answer():
                raise
            self.is_cut_short = True

    def _wait_for_room(self, stream: Stream) -> None:
        sock = socket_of(stream)
        if sock is not None:
            timeout_s = sock.gettimeout()
            if timeout_s != 0 and not wait_for_room(sock, timeout_s):
                error = TimeoutError("timed out")
                if sock is not stream:
                    stream.gave_up_sending(error)  # type: ignore[attr-defined]  # streams over another socket have it
                raise error

    def _finds_answer(self) -> bool:
        """Read what the peer sent before it broke the connection."""
        while not (self._reader.has_head or self._reader.malformed):
            if not self._look(0):
                return False
        return self._reader.has_head

    def _look(self, wait_s: float) -> bytes | None:
        octets = self._inbox.look(wait_s)
        if octets:
            self._reader.feed(octets)
        return octets
