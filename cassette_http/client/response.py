"""Responses: the head is read from the stream, and the content like a file.

`wire` decides what a head means and where content ends. This module reads from a buffered file, and turns errors
into those of `http.client`.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPMessage,
    IncompleteRead,
    LineTooLong,
    RemoteDisconnected,
    ResponseNotReady,
    UnknownProtocol,
)
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn, TypeAlias, TypeVar

from cassette_http.client.chunks import go_to_data, next_content, pour, read1_content
from cassette_http.client.constants import UNKNOWN, max_fields, say
from cassette_http.client.heads import Head, ordinary_head, read_head
from cassette_http.client.inbox import Inbox
from cassette_http.client.message import build_message, read_field_section, read_line
from cassette_http.client.read_ahead import ReadAhead, decode_ahead, read_ahead
from cassette_http.wire.content import ChunkedDecoder
from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage
from cassette_http.wire.grammar import MAX_INTERIM_RESPONSES, MAX_READ_OCTETS
from cassette_http.wire.head import parse_status_line

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Source: TypeAlias = Inbox | BinaryIO
T = TypeVar("T")

# A status line of another version; `wire` accepts versions with one digit on each side of the dot.
_FOREIGN_VERSION = re.compile(rb"(HTTP/[^ \t]*)[ \t]+[1-9][0-9][0-9](?![^ \t\r\n])")

# For smaller reads, what has arrived is decoded ahead; larger ones are at least as fast without that.
_MOST_OF_SMALL_READ = 32768

# What is limited: the name in `wire`, and the one in messages of http.client.
_LIMITED = {"trailers": "trailers", "chunk extension": "bytes of chunk extensions"}


class InterimResponse(NamedTuple):
    """A 1xx response that came before the final one (RFC 9110 section 15.2)."""

    status: int
    reason: str
    headers: HTTPMessage


class HTTPResponse(io.BufferedIOBase):
    """One response. Attributes that `http.client` does not have:

    - `trailers`: the fields after chunked content, once it was read;
    - `interim_responses`: the 1xx responses that were skipped.

    After 101, and after 2xx to CONNECT, `fp` reads what the peer sends in the new protocol.
    """

    __slots__ = (
        "_ahead",
        "_decoder",
        "_head",
        "_headers",
        "_is_read_by_others",
        "_is_upgrade",
        "_max_fields",
        "_method",
        "_msg",
        "_owns_stream",
        "_source",
        "_trailers",
        "chunked",
        "code",
        "debuglevel",
        "interim_responses",
        "length",
        "reason",
        "status",
        "url",
        "version",
        "will_close",
    )

    if TYPE_CHECKING:
        # For type checkers: `io.TextIOWrapper` needs it. At run time no response has one, as in `http.client`.
        @property
        def name(self) -> Any: ...

    chunked: bool
    # The same as `status`, unless a program sets one of them.
    code: int
    # How many octets of content are still missing; None if unknown, as for chunked content.
    length: int | None
    reason: str
    status: int
    version: int
    will_close: bool

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        # An inbox is read directly, but subclasses may rely on a file.
        is_direct = type(sock) is Inbox and type(self) is HTTPResponse
        self._source: Source | None = sock if is_direct else sock.makefile("rb")
        self.debuglevel = debuglevel
        self._method = method
        self.url = url
        self.interim_responses: list[InterimResponse] = []
        self._max_fields: int | None = None
        self._head: Head | None = None
        self._headers: HTTPMessage | None = None
        self._msg: Any = None
        self._trailers: HTTPMessage | None = None
        self._decoder: ChunkedDecoder | None = None
        self._ahead: ReadAhead | None = None
        self._is_upgrade = self._owns_stream = self._is_read_by_others = False
        self.version = self.status = self.reason = self.chunked = self.will_close = self.length = UNKNOWN

    # --- the head -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read the head of the final response. Does nothing if it was read before.

        Raises RemoteDisconnected if the peer closes before the first octet, BadStatusLine, UnknownProtocol,
        LineTooLong, or another HTTPException.
        """
        if self._head is not None:
            return
        self._note(self._ordinary_head() or self._read_final_head())

    def _note(self, head: Head) -> None:
        facts = head.facts
        self._head = head
        self.status = self.code = facts.status
        self.reason = facts.reason
        self.version = facts.version
        self.length = head.length
        self.chunked = facts.is_chunked
        self.will_close = facts.will_close
        self._is_upgrade = facts.is_upgrade
        if facts.is_chunked:
            self._decoder = ChunkedDecoder()

    def _ordinary_head(self) -> Head | None:
        source = self._source
        if type(source) is not Inbox or self.debuglevel > 0 or HTTPResponse._read_status is not _read_status:
            return None
        return _take_ordinary_head(source, self._method or "", max_fields(self._max_fields))

    def _read_final_head(self) -> Head:
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
                # Nothing follows, so this is the peer's final answer; that does not apply to 100.
                self.interim_responses.pop()
                break
        self.status = self.code = status
        self.reason = reason
        try:
            return read_head(version, status, reason, section, self._method or "")
        except MalformedMessage as error:
            raise HTTPException(str(error)) from error

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

        Raises IncompleteRead if the peer closes early; without chunks only if all content was asked for.
        """
        if amt is None or amt < 0:
            return self._read_all()
        ahead = self._ahead
        if ahead is not None:
            data = ahead.file.read(amt)
            if len(data) == amt:
                if self.length is not None:
                    self.length -= amt
                return data
            ahead.file.seek(-len(data), io.SEEK_CUR)
        if self._source is None:
            return self._ended()
        if self.chunked:
            return self._read_chunked(amt)
        data = _read_exactly(self._settle(), amt if self.length is None else min(amt, self.length))
        self._count(len(data), amt)
        self._look_ahead(amt)
        return data

    def _read_all(self) -> bytes:
        source = self._source if self._ahead is None else self._settle()
        if source is None:
            return self._ended()
        if self.chunked:
            return self._read_chunked(None)
        length = self.length
        if length is None:
            data: bytes = source.read()
        elif type(source) is Inbox:
            data = source.read(length)
        else:
            data = _read_exactly(source, length)
        if length is not None:
            self.length = length - len(data)
        self._close_conn()
        if self.length:
            raise IncompleteRead(data, self.length)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with content, and return the number of octets; fewer only at the end."""
        view = memoryview(buffer).cast("B")
        ahead = self._ahead
        if ahead is not None:
            count = ahead.file.readinto(view)
            if count == len(view):
                if self.length is not None:
                    self.length -= count
                return count
            ahead.file.seek(-count, io.SEEK_CUR)
        if self._source is None:
            self._ended()
            return 0
        if self.chunked:
            return self._readinto_chunked(view)
        source = self._settle()
        room = len(view) if self.length is None else min(len(view), self.length)
        count = int(source.readinto(view[:room]))
        self._count(count, len(view))
        self._look_ahead(len(view))
        return count

    def read1(self, n: int = -1, /) -> bytes:
        """Read up to `n` octets with at most one read of the stream, and from at most one chunk."""
        source = self._settle()
        if source is None:
            return self._ended()
        if self.chunked:
            return self._pull(read1_content, n) if n else b""
        wanted = n if self.length is None else self._clip(n)
        # A file would allocate the whole requested size at once.
        data: bytes = source.read1(min(wanted, MAX_READ_OCTETS))
        self._count(len(data), wanted)
        return data

    def peek(self, n: int = -1, /) -> bytes:
        """Show content that has arrived, or that one read of the stream brings; never what comes after the content."""
        source = self._settle()
        if source is None:
            return self._ended()
        missing = self._pull(go_to_data) if self.chunked else self.length
        if missing == 0:
            return b""
        most = MAX_READ_OCTETS if missing is None else min(missing, MAX_READ_OCTETS)
        # A file may show more than requested.
        data: bytes = source.peek(most)[:most]
        return data

    def __iter__(self) -> HTTPResponse:
        """The remaining lines; a closed response has none, and reads as empty as well."""
        return self

    def readline(self, limit: int | None = -1, /) -> bytes:
        """Read one line of content, at most `limit` octets."""
        if limit is None:
            limit = -1
        ahead = self._ahead
        if ahead is not None:
            line = ahead.file.readline(limit)
            if line[-1:] == b"\n" or len(line) == limit:
                if self.length is not None:
                    self.length -= len(line)
                return line
            ahead.file.seek(-len(line), io.SEEK_CUR)
        source = self._settle()
        if source is None:
            return self._ended()
        if self.chunked:
            line = self._readline_chunked(limit)
        else:
            wanted = limit if self.length is None else self._clip(limit)
            line = source.readline(wanted)
            self._count(len(line), wanted)
        self._look_ahead(len(line))
        return line

    def _look_ahead(self, count: int) -> None:
        """Read ahead, if what is there can serve more reads of `count` octets."""
        source = self._source
        if self._ahead is None and type(source) is Inbox and len(source) > 2 * count:
            chunks = self._decoder
            # Broken content is reported by the next read.
            with suppress(MalformedMessage):
                self._ahead = read_ahead(source, self.length) if chunks is None else decode_ahead(source, chunks)

    def _settle(self) -> Any:
        """Move the source to where the program has read to, and return it."""
        if self._ahead is not None:
            self._decoder = self._ahead.settle()
            self._ahead = None
        return self._source

    def _clip(self, count: int) -> int:
        assert self.length is not None
        return min(count if count >= 0 else sys.maxsize, self.length)

    def _count(self, received: int, wanted: int) -> None:
        """Note that octets of unchunked content were read, and detect the end."""
        if self.length is not None:
            self.length -= received
        if self.length == 0 or (not received and wanted):
            self._close_conn()

    def _ended(self) -> bytes:
        """The result of a read after the end: nothing, or again the error that broke the framing."""
        if self._decoder is not None and not self.closed:
            try:
                self._decoder.end()
            except (IncompleteMessage, MalformedMessage) as error:
                self._fail(error)
        return b""

    # --- chunked content ----------------------------------------------------------------------------------

    def _read_chunked(self, amt: int | None) -> bytes:
        whole = io.BytesIO()
        left = sys.maxsize if amt is None else amt
        try:
            if amt is None and isinstance(self._settle(), Inbox):
                self._pull(pour, whole)
                return whole.getvalue()
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

    def _readline_chunked(self, limit: int) -> bytes:
        # `io.IOBase.readline` exceeds a limit if the line is split between chunks.
        pieces: list[bytes] = []
        while limit:
            shown = self.peek()
            # If nothing is there, the read finds out whether the end comes too early.
            count = shown.find(b"\n") + 1 or len(shown) or 1
            piece = self.read(count if limit < 0 else min(count, limit))
            pieces.append(piece)
            if not piece or piece.endswith(b"\n"):
                break
            limit -= len(piece) if limit > 0 else 0
        return b"".join(pieces)

    def _next_content(self, most: int) -> bytes:
        """Wait for content, and return at most `most` octets of it, perhaps from several chunks; b"" at the end."""
        if self._ahead is not None:
            if content := self._ahead.file.read(most):
                return content
            self._ahead = None
        return self._pull(next_content, most, self._take_ahead if most <= _MOST_OF_SMALL_READ else Inbox.take_chunks)

    def _take_ahead(self, inbox: Inbox, decoder: ChunkedDecoder, most: int) -> bytes:
        ahead = decode_ahead(inbox, decoder)
        content = ahead.file.read(most)
        self._ahead = ahead if content else None
        return content

    def _pull(self, read: Callable[..., T], *arguments: Any) -> T:
        """Let a function of `chunks` read; note the end of the content, or raise an error if it is broken."""
        decoder = self._chunks()
        try:
            result = read(self._open_source(), decoder, *arguments)
        except (IncompleteMessage, MalformedMessage) as error:
            self._fail(error)
        if not result and decoder.remaining == 0:
            self._end_content(decoder)
        return result

    def _end_content(self, decoder: ChunkedDecoder) -> None:
        self._close_conn()
        if self._max_fields is not None and len(decoder.trailers) > self._max_fields:
            raise HTTPException(f"got more than {self._max_fields} trailers")
        for name, value in decoder.trailers:
            self.trailers.set_raw(name, value)

    def _fail(self, error: MalformedMessage | IncompleteMessage) -> NoReturn:
        """Release the stream, and raise the error of `http.client` for a broken chunked body."""
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
        """The octets that are still missing of the current chunk; None between chunks."""
        self._settle()
        return self._decoder.remaining if self._decoder is not None else None

    @chunk_left.setter
    def chunk_left(self, count: int | None) -> None:
        self._settle()
        self._decoder = ChunkedDecoder(count)

    def _safe_read(self, amt: int) -> bytes:
        """Read exactly `amt` octets of the stream, for programs that decode chunks themselves."""
        self._settle()
        data = _read_exactly(self._open_source(), amt)
        if len(data) < amt:
            raise IncompleteRead(data, amt - len(data))
        return data

    # --- the stream ---------------------------------------------------------------------------------------

    @property
    def fp(self) -> BinaryIO | None:
        """The buffered file from which the response is read; None after the end of the content."""
        self._make_file()
        # From now on only the user of the file knows how much of the content was read.
        self._is_read_by_others = self._source is not None
        return self._source  # type: ignore[return-value]  # no inbox any more

    @fp.setter
    def fp(self, file: BinaryIO | None) -> None:
        self._settle()
        self._source = file

    def _make_file(self) -> None:
        """Read from a file from now on; it keeps the descriptor open as long as it needs it."""
        source = self._settle()
        if isinstance(source, Inbox):
            self._source = source.makefile()
            if self._owns_stream:
                source.stream.close()

    def _open_source(self) -> Source:
        assert self._source is not None, "the response has ended"
        return self._source

    def _close_conn(self) -> None:
        """Release the stream; the connection can then carry the next request."""
        source = self._source if self._ahead is None else self._settle()
        self._source = None
        if isinstance(source, Inbox):
            if self._owns_stream:
                source.stream.close()
            source.is_between_responses = self._is_drained
        elif source is not None:
            source.close()

    @property
    def _is_drained(self) -> bool:
        """Whether the content was read to its end, so that another response can follow on the stream."""
        if self._is_upgrade:
            return False
        if self.length == 0 or self._is_read_by_others:
            return True
        return self._decoder is not None and self._decoder.remaining == 0

    def __del__(self) -> None:
        try:
            if self._source is None and type(self) is HTTPResponse:
                # Most responses were read to the end, and there is nothing left to close.
                return
        except AttributeError:  # __init__ failed, so there is nothing to close
            return
        super().__del__()

    def isclosed(self) -> bool:
        """Tell whether the content was read to its end, or the response closed."""
        return self._source is None

    def close(self) -> None:
        """Close the response; unread content is lost, and the connection with it."""
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
        """The fields, like `msg`; None before `begin`. They are parsed when first used."""
        if self._headers is None and self._head is not None:
            self._headers = self._head.message()
        return self._headers  # type: ignore[return-value]  # set once there is a head

    @headers.setter
    def headers(self, message: HTTPMessage) -> None:
        self._headers = message

    @property
    def msg(self) -> Any:
        """The fields, unless a program has replaced them: urllib.request puts the reason here."""
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

    def getheader(self, name: str, default: Any = None) -> Any:
        """The values of all fields called `name`, joined with ", "; if there are none, `default`.

        The items of a default that is iterable are joined as well.
        """
        if self._headers is None and self._head is not None:
            # Only as long as no program can have changed the fields.
            value = self._head.value(name)
            if value is not None:
                return value
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
        """The same as `url`: the URL or target of the request, if the caller set it."""
        return self.url

    def getcode(self) -> int:
        """The same as `status`."""
        return self.status

    def getstatus(self) -> int:
        """The same as `status`."""
        return self.status


# If a program has replaced one of these, its replacement must be called.
_read_status = HTTPResponse._read_status
_METHODS = (HTTPResponse.__init__, HTTPResponse.begin, HTTPResponse._read_status)


def ordinary_response(inbox: Inbox, method: str, most_fields: int | None) -> HTTPResponse | None:
    """Begin a response if its head is ordinary and has arrived completely; else do nothing and return None."""
    if (HTTPResponse.__init__, HTTPResponse.begin, HTTPResponse._read_status) != _METHODS:
        return None
    head = _take_ordinary_head(inbox, method, max_fields(most_fields))
    if head is None:
        return None
    response = HTTPResponse(inbox, 0, method)
    response._max_fields = most_fields
    response._note(head)
    return response


def _take_ordinary_head(inbox: Inbox, method: str, most_fields: int) -> Head | None:
    """Read the head if it is ordinary and has arrived completely; else read nothing and return None."""
    last = inbox.last_head
    if last is not None and last.method == method and inbox.take_if_next(last.octets):
        if last.field_lines <= most_fields:
            return last
        inbox.put_back(len(last.octets))
    octets = inbox.take_head()
    if octets is None:
        return None
    head = ordinary_head(octets, method, most_fields)
    if head is None:
        inbox.put_back(len(octets))
    else:
        inbox.last_head = head
    return head


def _read_exactly(source: Any, count: int) -> bytes:
    """Read `count` octets, fewer at the end of the stream; memory grows with what arrives."""
    if type(source) is Inbox:
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
