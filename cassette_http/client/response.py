"""Responses: the head pulled from the stream, and the content read as a file.

What a head means and where content ends is decided in `wire`; here it is pulled from a buffered file, and the
errors become those of `http.client`.
"""

from __future__ import annotations

import functools
import io
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeAlias

from cassette_http.client.constants import UNKNOWN, max_fields, say
from cassette_http.client.errors import (
    BadStatusLine,
    HTTPException,
    IncompleteRead,
    LineTooLong,
    RemoteDisconnected,
    ResponseNotReady,
    UnknownProtocol,
)
from cassette_http.client.inbox import Inbox
from cassette_http.client.message import HTTPMessage, build_message, read_field_section, read_line
from cassette_http.wire.content import ChunkedDecoder, Line
from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage
from cassette_http.wire.framing import FramingKind, is_persistent, response_framing
from cassette_http.wire.grammar import MAX_INTERIM_RESPONSES, MAX_READ_OCTETS
from cassette_http.wire.head import parse_fields, parse_status_line

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["HTTPResponse", "InterimResponse"]

Source: TypeAlias = Inbox | BinaryIO

# A status line of another version; `wire` knows those with one digit before and after the dot.
_FOREIGN_VERSION = re.compile(rb"(HTTP/[^ \t]*)[ \t]+[1-9][0-9][0-9](?![^ \t\r\n])")


@dataclass(frozen=True)
class InterimResponse:
    """A 1xx response that came before the final one (RFC 9110 section 15.2)."""

    status: int
    reason: str
    headers: HTTPMessage


class HTTPResponse(io.BufferedIOBase):
    """One response. Beyond the documented attributes:

    - `trailers`: the fields after chunked content, once it was read;
    - `interim_responses`: the 1xx responses that were skipped;
    - after 101, and after 2xx to CONNECT, `fp` reads what the peer sends in the new protocol.
    """

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        # An inbox is read directly, but subclasses may count on the file.
        is_direct = isinstance(sock, Inbox) and type(self) is HTTPResponse
        self._source = sock if is_direct else sock.makefile("rb")
        self.debuglevel = debuglevel
        self._method = method
        self.url = url
        self.interim_responses: list[InterimResponse] = []

    # What a response is before its head was read; on the class, as each response pays for each attribute.
    _source: Source | None = None
    _section: bytes | None = None
    _headers: HTTPMessage | None = None
    _msg: Any = None
    _trailers: HTTPMessage | None = None
    _decoder: ChunkedDecoder | None = None
    _is_upgrade = False
    _owns_stream = False
    _is_read_by_others = False
    _max_fields: int | None = None
    version: int = UNKNOWN
    status: int = UNKNOWN
    reason: str = UNKNOWN
    chunked: bool = UNKNOWN
    will_close: bool = UNKNOWN
    # The octets of content that are still missing; None if nobody knows, as for chunked content.
    length: int | None = UNKNOWN

    # --- the head -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read the head of the final response. Does nothing if that was done before.

        Raises RemoteDisconnected if the peer closes before the first octet, BadStatusLine, UnknownProtocol,
        LineTooLong, or another HTTPException.
        """
        if self._section is not None or self._begin_quickly():
            return
        version, status, reason, section = self._read_head()
        while 100 <= status < 200 and status != 101:
            if len(self.interim_responses) >= MAX_INTERIM_RESPONSES - 1:
                raise HTTPException(f"got more than {MAX_INTERIM_RESPONSES - 1} interim responses")
            self.interim_responses.append(InterimResponse(status, reason, build_message(section)))
            try:
                version, status, reason, section = self._read_head()
            except RemoteDisconnected:
                if status == 100:
                    raise
                # Nothing follows, so this is all that the peer had to say; 100 alone would be no answer.
                self.interim_responses.pop()
                break
        self._take_head(version, status, reason, section, section.split(b"\n"))

    def _begin_quickly(self) -> bool:
        """Do what `begin` does, for an ordinary head that has arrived whole; for others nothing, and False."""
        source = self._source
        if not isinstance(source, Inbox) or self.debuglevel > 0 or HTTPResponse._read_status is not _read_status:
            return False
        head = source.take_head()
        if head is None:
            return False
        status_line, *lines = head.split(b"\n")
        # A first empty line of LF alone would be the end of the head.
        is_whole = lines.index(b"") == len(lines) - 1
        if is_whole and len(lines) <= max_fields(self._max_fields) + 2 and len(status_line) < 100:
            try:
                version, status, reason = _known_status_line(status_line)
            except MalformedMessage:
                status = 0
            if status == 101 or status >= 200:
                self._take_head(version, status, reason, head[len(status_line) + 1 :], lines)
                return True
        source.put_back(len(head))
        return False

    def _take_head(self, version: str, status: int, reason: str, section: bytes, lines: list[bytes]) -> None:
        """Note what the head says; `lines` are those of its `section`."""
        self.status = status
        self.reason = reason.strip()
        self._section = section
        framing_lines = _framing_lines(lines)
        # What is long is not likely to come again.
        decide = _remembered_fate if len(framing_lines) < 200 else _fate
        try:
            fate = decide(version, status, self._method or "", framing_lines)
        except MalformedMessage as error:
            raise HTTPException(str(error)) from error
        self.version, self.length, self.chunked, self.will_close, self._is_upgrade = fate
        if self.chunked:
            self._decoder = ChunkedDecoder()

    def _read_head(self) -> tuple[str, int, str, bytes]:
        version, status, reason = self._read_status()
        section = read_field_section(self._open_source(), self._max_fields)
        if self.debuglevel > 0:
            message: HTTPMessage = build_message(section)
            for name, value in message.items():
                say("header:", name + ":", value)
        return version, status, reason.strip(), section

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line: version, status, reason."""
        line = read_line(self._open_source(), "status line")
        text = line.decode("latin-1")
        if self.debuglevel > 0:
            say("reply:", repr(text))
        if not line:
            raise RemoteDisconnected("Remote end closed connection without response")
        try:
            return parse_status_line(line)
        except MalformedMessage as error:
            if foreign := _FOREIGN_VERSION.match(line):
                raise UnknownProtocol(foreign[1].decode("latin-1")) from error
            self._close_conn()
            raise BadStatusLine(text) from error

    # --- the content --------------------------------------------------------------------------------------

    def read(self, amt: int | None = None, /) -> bytes:
        """Read all content, or up to `amt` octets.

        Raises IncompleteRead if all was asked for and the peer closes early; for chunked content always.
        """
        if self._source is None:
            return self._ended()
        if amt is not None and amt < 0:
            amt = None
        if self.chunked:
            return self._read_chunked(amt)
        if amt is None:
            return self._read_rest()
        data = _read_exactly(self._source, amt if self.length is None else min(amt, self.length))
        self._count(len(data), amt)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with content, and return the number of octets; fewer only at the end."""
        view = memoryview(buffer).cast("B")
        if self._source is None:
            self._ended()
            return 0
        if self.chunked:
            return self._readinto_chunked(view)
        room = len(view) if self.length is None else min(len(view), self.length)
        count = self._source.readinto(view[:room])  # type: ignore[union-attr]
        self._count(count, len(view))
        return int(count)

    def read1(self, n: int = -1, /) -> bytes:
        """Read up to `n` octets with at most one read of the stream, and of one chunk at most."""
        if self._source is None:
            return self._ended()
        if self.chunked:
            return self._read1_chunked(n)
        wanted = n if self.length is None else self._clip(n)
        # A file would allocate all that is asked for at once.
        data: bytes = self._source.read1(min(wanted, MAX_READ_OCTETS))  # type: ignore[union-attr]
        self._count(len(data), wanted)
        return data

    def peek(self, n: int = -1, /) -> bytes:
        """Show content that has arrived, or that one read of the stream brings; never what follows it."""
        if self._source is None:
            return self._ended()
        missing = self._chunk_left() if self.chunked else self.length
        if missing == 0:
            return b""
        most = MAX_READ_OCTETS if missing is None else min(missing, MAX_READ_OCTETS)
        # A file shows more than it is asked for.
        data: bytes = self._source.peek(most)[:most]  # type: ignore[union-attr]
        return data

    def readline(self, limit: int | None = -1, /) -> bytes:
        """Read one line of content, at most `limit` octets."""
        if self._source is None:
            return self._ended()
        if limit is None:
            limit = -1
        if self.chunked:
            return super().readline(limit)
        wanted = limit if self.length is None else self._clip(limit)
        data: bytes = self._source.readline(wanted)
        self._count(len(data), wanted)
        return data

    def _clip(self, count: int) -> int:
        assert self.length is not None
        return min(count if count >= 0 else sys.maxsize, self.length)

    def _count(self, received: int, wanted: int) -> None:
        """Note that octets of unchunked content were read, and whether that was the end."""
        if self.length is not None:
            self.length -= received
        if self.length == 0 or (not received and wanted):
            self._close_conn()

    def _read_rest(self) -> bytes:
        source, length = self._source, self.length
        data: bytes = source.read() if length is None else _read_exactly(source, length)  # type: ignore[union-attr]
        self._close_conn()
        if length is not None:
            self.length = length - len(data)
            if self.length:
                raise IncompleteRead(data, self.length)
        return data

    def _ended(self) -> bytes:
        """What a read gets after the end: nothing, or once more the error that broke the framing."""
        if self._decoder is not None and not self.closed:
            try:
                self._decoder.end()
            except (MalformedMessage, IncompleteMessage) as error:
                self._fail(error)
        return b""

    # --- chunked content ----------------------------------------------------------------------------------

    def _read_chunked(self, amt: int | None) -> bytes:
        if amt is not None and isinstance(source := self._source, Inbox):
            decoder = self._chunks()
            if 0 < amt <= (decoder.remaining or 0) and amt <= len(source):
                # A small part of a chunk that is there.
                decoder.passed(amt)
                return source.read(amt)
        whole = io.BytesIO()
        left = sys.maxsize if amt is None else amt
        try:
            while left and (content := self._next_content(left)):
                if len(content) == amt:
                    return content
                whole.write(content)
                left -= len(content)
        except IncompleteRead as error:
            raise IncompleteRead(whole.getvalue()) from error
        return whole.getvalue()

    def _readinto_chunked(self, view: memoryview) -> int:
        done = 0
        try:
            while done < len(view) and (content := self._next_content(len(view) - done)):
                view[done : done + len(content)] = content
                done += len(content)
        except IncompleteRead as error:
            raise IncompleteRead(bytes(view[:done])) from error
        return done

    def _read1_chunked(self, n: int) -> bytes:
        missing = self._chunk_left() if n else 0
        if not missing:
            return b""
        source = self._open_source()
        return self._take_chunk_data(source.read1, missing if n < 0 else min(n, missing))  # type: ignore[union-attr]

    def _next_content(self, most: int) -> bytes:
        """Wait for content, and return at most `most` octets of it, perhaps of several chunks; none at the end.

        If `most` is 0, go on only to the data of a chunk.
        """
        decoder, source = self._chunks(), self._open_source()
        if not isinstance(source, Inbox):
            # A file must not be read beyond the response, so each line is read for itself.
            left = self._chunk_left()
            return self._take_chunk_data(source.read, min(most, left)) if left else b""
        try:
            while not (content := source.take_chunks(decoder, most)):
                missing = decoder.remaining
                if missing == 0:
                    self._end_content(decoder)
                    break
                if missing and not most:
                    break
                if not source.fill():
                    self._end_early(decoder)
        except MalformedMessage as error:
            self._fail(error)
        return content

    def _take_chunk_data(self, read: Callable[[int], bytes], most: int) -> bytes:
        """Read data of this chunk, at most `most` octets."""
        decoder = self._chunks()
        data = read(min(most, MAX_READ_OCTETS))
        if data:
            decoder.passed(len(data))
        else:
            self._end_early(decoder)
        return data

    def _chunk_left(self) -> int:
        """Go on to the data of a chunk, and return how much of it is missing; 0 at the end of the content."""
        decoder, source = self._chunks(), self._source
        if not decoder.remaining:
            if isinstance(source, Inbox):
                self._next_content(0)
            else:
                self._read_lines(decoder)
        return decoder.remaining or 0

    def _read_lines(self, decoder: ChunkedDecoder) -> None:
        while isinstance(want := decoder.want, Line):
            octets = self._open_source().readline(want.limit)
            if not octets:
                self._end_early(decoder)
                continue
            try:
                decoder.feed(octets)
            except MalformedMessage as error:
                self._fail(error)
        if want is None:
            self._end_content(decoder)

    def _end_early(self, decoder: ChunkedDecoder) -> None:
        try:
            decoder.end()
        except (IncompleteMessage, MalformedMessage) as error:
            self._fail(error)

    def _end_content(self, decoder: ChunkedDecoder) -> None:
        self._close_conn()
        if self._max_fields is not None and len(decoder.trailers) > self._max_fields:
            raise HTTPException(f"got more than {self._max_fields} trailers")
        for name, value in decoder.trailers:
            self.trailers.set_raw(name, value)

    def _fail(self, error: MalformedMessage | IncompleteMessage) -> NoReturn:
        """Let go of the stream, and raise what a broken chunked body is for programs."""
        if self._source is not None:
            self._close_conn()
        if isinstance(error, LimitExceeded):
            if error.what == "line":
                raise LineTooLong("trailer line" if self._chunks().is_in_trailers else "chunk size") from error
            if error.what in _LIMITED:
                raise HTTPException(f"got more than {error.limit} {_LIMITED[error.what]}") from error
        raise IncompleteRead(b"") from error

    def _chunks(self) -> ChunkedDecoder:
        assert self._decoder is not None
        return self._decoder

    @property
    def chunk_left(self) -> int | None:
        """The octets that are still missing of the present chunk; None between chunks."""
        return self._decoder.remaining if self._decoder is not None else None

    def _safe_read(self, amt: int) -> bytes:
        """Read exactly `amt` octets of the stream, for those who decode chunks on their own."""
        data = _read_exactly(self._open_source(), amt)
        if len(data) < amt:
            raise IncompleteRead(data, amt - len(data))
        return data

    # --- the stream ---------------------------------------------------------------------------------------

    @property
    def fp(self) -> BinaryIO | None:
        """The buffered file that the response is read from; None after the end of the content."""
        self._make_file()
        # Who reads it knows better than we do how far the content was read.
        self._is_read_by_others = self._source is not None
        return self._source  # type: ignore[return-value]  # no inbox any more

    @fp.setter
    def fp(self, file: BinaryIO | None) -> None:
        self._source = file

    def _make_file(self) -> None:
        """Read from a file from now on; it keeps the descriptor open as long as it needs it."""
        source = self._source
        if isinstance(source, Inbox):
            self._source = source.makefile()
            if self._owns_stream:
                source.stream.close()

    def _open_source(self) -> Source:
        assert self._source is not None, "the response has ended"
        return self._source

    def _close_conn(self) -> None:
        """Let go of the stream; the connection may then carry the next request."""
        source, self._source = self._source, None
        if isinstance(source, Inbox):
            if self._owns_stream:
                source.stream.close()
        elif source is not None:
            source.close()

    @property
    def _is_drained(self) -> bool:
        """Whether the content was read to its end, so that a next response can follow on the stream."""
        if self._is_upgrade:
            return False
        if self._decoder is not None and self._decoder.remaining == 0:
            return True
        return self.length == 0 or self._is_read_by_others

    def __del__(self) -> None:
        # Most responses are read to the end, and there is nothing left to close.
        if self._source is not None or type(self) is not HTTPResponse:
            super().__del__()

    def isclosed(self) -> bool:
        """Tell whether the content was read to its end, or the response closed."""
        return self._source is None

    def close(self) -> None:
        """Close the response; content that was not read is lost, and with it the connection."""
        try:
            super().close()
        finally:
            if self._source is not None:
                self._close_conn()

    def fileno(self) -> int:
        """The descriptor of the stream. Raises ValueError after the end of the content."""
        if self._source is None:
            raise ValueError("the response has ended, and has let go of its connection")
        file = self._source.stream if isinstance(self._source, Inbox) else self._source
        return file.fileno()

    def readable(self) -> bool:
        return True

    # --- fields -------------------------------------------------------------------------------------------

    @property
    def headers(self) -> HTTPMessage:
        """The fields, as `msg`; None before `begin`. They are put together when somebody looks at them."""
        if self._headers is None and self._section is not None:
            self._headers = build_message(self._section)
        return self._headers  # type: ignore[return-value]

    @headers.setter
    def headers(self, message: HTTPMessage) -> None:
        self._headers = message

    @property
    def msg(self) -> Any:
        """The fields; but urllib.request puts the reason here."""
        return self.headers if self._msg is None else self._msg

    @msg.setter
    def msg(self, value: Any) -> None:
        self._msg = value

    @property
    def trailers(self) -> HTTPMessage:
        """The trailer fields, once chunked content was read to its end; empty if there are none."""
        if self._trailers is None:
            self._trailers = HTTPMessage()
        return self._trailers

    @property
    def code(self) -> int:
        """The same as `status`."""
        return self.status

    def getheader(self, name: str, default: Any = None) -> Any:
        """The values of all fields called `name`, joined with ", "; if there are none, `default`.

        The items of a default that is iterable are joined as well.
        """
        if self.headers is None:
            raise ResponseNotReady
        values: Iterable[Any] = self.headers.get_all(name) or default
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            return values
        return ", ".join(values)

    def getheaders(self) -> list[tuple[str, str]]:
        """All fields, in the order and case in which they came."""
        if self.headers is None:
            raise ResponseNotReady
        return list(self.headers.items())

    def info(self) -> HTTPMessage:
        """The same as `headers`."""
        return self.headers

    def geturl(self) -> str | None:
        """The same as `url`: the URL or target that was asked for, if whoever made the response said so."""
        return self.url

    def getcode(self) -> int:
        """The same as `status`."""
        return self.status

    def getstatus(self) -> int:
        """The same as `status`."""
        return self.status


_LIMITED = {"trailers": "trailers", "chunk extension": "bytes of chunk extensions"}


# How the lines begin that framing and persistence depend on, and folded lines.
_FRAMING_NAMES = (
    b"connection",
    b"content-length",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b" ",
    b"\t",
)
_FRAMING_INITIALS = frozenset([b"c", b"C", b"k", b"K", b"p", b"P", b"t", b"T", b" ", b"\t"])


def _framing_lines(lines: list[bytes]) -> bytes:
    """The field lines that `_fate` depends on, and perhaps others; to parse all would cost more than all the rest."""
    chosen = b"\n".join(
        [line for line in lines if line[:1] in _FRAMING_INITIALS and line.lower().startswith(_FRAMING_NAMES)]
    )
    # A folded line belongs to the line before it, whichever that is.
    return b"\n".join(lines) if b"\n " in chosen or b"\n\t" in chosen else chosen


def _fate(version: str, status: int, method: str, lines: bytes) -> tuple[int, int | None, bool, bool, bool]:
    """What a head says of the content and the connection.

    The number of the version; the length if it is known; whether the content is chunked; whether the connection
    ends with it; whether another protocol follows. Raises UnknownProtocol and MalformedMessage.
    """
    if version in ("HTTP/1.0", "HTTP/0.9"):
        number = 10
    elif version.startswith("HTTP/1."):
        number = 11
    else:
        raise UnknownProtocol(version)
    fields, _ = parse_fields(lines + b"\n")
    framing = response_framing(status, fields, method)
    is_tunnel = method == "CONNECT" and 200 <= status < 300
    # Persistence is about further messages, which a tunnel does not carry.
    ends = not is_tunnel and (framing.kind is FramingKind.CLOSE or not is_persistent(version, fields))
    length = 0 if framing.kind is FramingKind.NONE else framing.length
    return number, length, framing.kind is FramingKind.CHUNKED, ends, status == 101 or is_tunnel


# Servers repeat themselves, so what both of these say is remembered.
_known_status_line = functools.lru_cache(maxsize=256)(parse_status_line)
_remembered_fate = functools.lru_cache(maxsize=256)(_fate)

# What a program may replace, and a beginning then has to call.
_read_status = HTTPResponse._read_status


def _read_exactly(source: Any, count: int) -> bytes:
    """Read `count` octets, fewer at the end of the stream; memory grows with what arrives."""
    if isinstance(source, Inbox):
        return source.read(count)
    if not count:
        return b""
    data: bytes = source.read(min(count, MAX_READ_OCTETS))
    if len(data) == count or not data:
        return data
    whole = io.BytesIO()
    whole.write(data)
    left = count - len(data)
    while left and (data := source.read(min(left, MAX_READ_OCTETS))):
        whole.write(data)
        left -= len(data)
    return whole.getvalue()
