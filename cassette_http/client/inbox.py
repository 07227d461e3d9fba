"""The buffer between a socket and its responses: octets that have arrived and were not read yet.

`socket.makefile` would create two objects for every response, and cannot be looked into before there is one.
The inbox belongs to the connection, so nothing that arrived is lost between two responses.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Literal

from cassette_http.client.heads import Head
from cassette_http.transport.base import Stream
from cassette_http.wire.content import ChunkedDecoder
from cassette_http.wire.grammar import MAX_READ_OCTETS

BUFFER_OCTETS = 65536
# If a peer announces that many octets or fewer, memory for them is allocated at once.
FREE_CLAIM_OCTETS = 32 << 20


class Inbox:
    """A buffer over `stream` that reads like a buffered file, and can be looked into without blocking.

    Only one response uses it at a time. It never closes the stream by itself.
    """

    __slots__ = (
        "_at",
        "_failure",
        "_octets",
        "_pending",
        "_poll",
        "_receive",
        "is_at_end",
        "is_between_responses",
        "last_head",
        "stream",
    )

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        # Whether all responses so far were read to their end; the responses set it.
        self.is_between_responses = True
        # Nothing more can be read from the stream, as it has ended or failed.
        self.is_at_end = False
        # The head of the last response, which the next one often repeats.
        self.last_head: Head | None = None
        # What has arrived; the octets from `_at` on were not read yet.
        self._octets = b""
        self._at = 0
        self._failure: OSError | None = None
        self._poll = _poll_for_input(stream)
        self._pending = stream.pending if isinstance(stream, ssl.SSLSocket) else None
        self._receive = _receiver(stream)

    def __len__(self) -> int:
        return len(self._octets) - self._at

    def readline(self, limit: int = -1) -> bytes:
        """Read up to and including LF, at most `limit` octets; less only at the end of the stream."""
        if limit < 0:
            limit = sys.maxsize
        pieces: list[bytes] = []
        while True:
            stop = min(len(self._octets), self._at + limit)
            line_end = self._octets.find(b"\n", self._at, stop) + 1
            piece = self._octets[self._at : line_end or stop]
            self._at += len(piece)
            pieces.append(piece)
            limit -= len(piece)
            if line_end or not limit or not self.fill():
                return b"".join(pieces)

    def read(self, count: int = -1) -> bytes:
        """Read exactly `count` octets, or up to the end of the stream."""
        at = self._at
        if 0 <= count <= len(self._octets) - at:
            self._at = at + count
            return self._octets[at : self._at]
        if count > BUFFER_OCTETS:
            return self._read_large(count)
        pieces = []
        while count and (piece := self.read1(count)):
            pieces.append(piece)
            if count > 0:
                count -= len(piece)
        return b"".join(pieces)

    def _read_large(self, count: int) -> bytes:
        """Read `count` octets into their final place; memory grows with what arrives, not with what was announced."""
        if count <= FREE_CLAIM_OCTETS:
            data: bytes = io.BufferedReader(_Unbuffered(self), 1).read(count)
            return data
        whole, done = io.BytesIO(), 0
        while done < count:
            room = min(count, max(MAX_READ_OCTETS, 128 * done))
            # Zeroed memory costs nothing until it is used, and the file takes it over; a file that grows by itself
            # would write the zeros at once.
            larger = io.BytesIO(bytes(room))
            with larger.getbuffer() as view:
                view[:done] = whole.getbuffer()
                whole = larger
                done += self.readinto(view[done:])
            if done < room:
                break
        whole.truncate(done)
        return whole.getvalue()

    def read1(self, count: int = -1) -> bytes:
        """Read what is there, at most `count` octets; wait only if there is nothing."""
        if not count:
            return b""
        if self._at < len(self._octets) or self.fill():
            return self._take(len(self) if count < 0 else min(count, len(self)))
        return b""

    def readinto(self, target: Any) -> int:
        """Fill `target` with octets; fewer only at the end of the stream."""
        with memoryview(target) as whole, whole.cast("B") as view:
            done = 0
            while done < len(view) and (received := self.readinto1(view[done:])):
                done += received
            return done

    def readinto1(self, view: memoryview) -> int:
        """Put octets into `view`, which is not empty; wait only if there are none. 0 at the end of the stream."""
        if self._at < len(self._octets) or (len(view) < BUFFER_OCTETS and self.fill()):
            octets = self._take(min(len(view), len(self)))
            view[: len(octets)] = octets
            return len(octets)
        if self.is_at_end:
            self._raise_failure()
            return 0
        count = self.stream.recv_into(view[:MAX_READ_OCTETS])
        self.is_at_end = not count
        return count

    def peek(self, count: int = -1) -> bytes:
        """Show what is there, at most `count` octets; wait only if there is nothing."""
        if self._at == len(self._octets):
            self.fill()
        return self._octets[self._at :] if count < 0 else self._octets[self._at : self._at + count]

    def fill(self) -> int:
        """Wait for more octets, and add them to those that are there; returns 0 at the end of the stream."""
        if self.is_at_end:
            self._raise_failure()
            return 0
        octets = self._receive(BUFFER_OCTETS)
        self.is_at_end = not octets
        rest = self._octets[self._at :]
        self._octets = rest + octets if rest else octets
        self._at = 0
        return len(octets)

    def take_if_next(self, octets: bytes) -> bool:
        """Read exactly these octets, if they come next after at most one read of the stream."""
        if self._at == len(self._octets):
            self.fill()
        if not self._octets.startswith(octets, self._at):
            return False
        self._at += len(octets)
        return True

    def take_head(self) -> bytes | None:
        """Read up to and including the first empty line (CRLF), if it is there after at most one read of the stream.

        An empty line at the very beginning does not count.
        """
        if self._at == len(self._octets):
            self.fill()
        end = self._octets.find(b"\n\r\n", self._at)
        return self._take(end + 3 - self._at) if end >= 0 else None

    def take_chunks(self, decoder: ChunkedDecoder, most: int) -> bytes:
        """Read the chunked content that is there like `decoder.take`, without waiting."""
        content, self._at = decoder.take(self._octets, self._at, len(self._octets), most)
        return content

    def take_pieces(self, decoder: ChunkedDecoder) -> list[memoryview]:
        """Like `take_chunks`, but do not join the pieces."""
        pieces, self._at = decoder.take_pieces(self._octets, self._at, len(self._octets))
        return pieces

    def skip_chunks(self, decoder: ChunkedDecoder, most: int) -> None:
        """Like `take_chunks`, but drop the content."""
        self._at = decoder.skip(self._octets, self._at, len(self._octets), most)

    def put_back(self, count: int) -> None:
        """Undo the last reads, of `count` octets in all, if nothing has arrived since."""
        self._at -= count

    def lend(self, count: int) -> io.BytesIO:
        """Show the next `count` octets, which must be there, as a file whose position is the first of them."""
        # Sharing the octets is cheaper than copying them.
        end = self._at + count
        file = io.BytesIO(self._octets if end == len(self._octets) else self._octets[:end])
        file.seek(self._at)
        return file

    def skip(self, count: int) -> None:
        """Drop the next `count` octets, which must be there."""
        self._at += count

    def has_arrivals(self) -> bool:
        """Tell whether there are octets, or (as far as can be known) something to read from the stream."""
        if self._at < len(self._octets) or self._poll(0):
            return True
        # Data that TLS has decrypted already does not show on the socket.
        return self._pending is not None and self._pending() > 0

    def makefile(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Hand everything over to a file object over the stream, for code that needs a real one."""
        file = self.stream.makefile(mode)
        if self._at == len(self._octets) and self._failure is None:
            return file
        rest = _Rest(self._take(len(self)), self._failure, file)
        self._failure = None
        return io.BufferedReader(rest)

    def look(self, wait_s: float) -> bytes | None:
        """Wait up to `wait_s` seconds for octets; return those that arrived, and keep them to be read.

        None means that nothing came; b"" that the stream has ended or is broken (which of them, the next read tells).
        """
        if self.is_at_end:
            return b""
        octets = None
        end = time.monotonic() + wait_s
        while octets is None:
            if len(self) >= BUFFER_OCTETS or not is_readable(self.stream, wait_s):
                return None
            try:
                octets = _receive_now(self.stream, BUFFER_OCTETS - len(self))
            except OSError as failure:
                self._failure, self.is_at_end = failure, True
                return b""
            wait_s = max(end - time.monotonic(), 0)
        self.is_at_end = not octets
        self._octets, self._at = self._octets[self._at :] + octets, 0
        return octets

    @property
    def failure(self) -> OSError | None:
        """The error that `look` met, and that the next read will raise."""
        return self._failure

    @property
    def is_closed_by_peer(self) -> bool:
        """`look` met the end of the stream, without an error."""
        return self.is_at_end and self._failure is None

    def _take(self, count: int) -> bytes:
        start = self._at
        self._at += count
        return self._octets[start : self._at]

    def _raise_failure(self) -> None:
        """Raise, once, the error that `look` met."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure


def _receiver(stream: Any) -> Callable[[int], bytes]:
    """Make a function that receives at most the given number of octets."""
    # Only for these types is it certain that `recv` returns what `recv_into` would.
    if type(stream) is socket.socket or type(stream) is ssl.SSLSocket:
        return stream.recv
    own: Callable[[int], bytes] | None = getattr(stream, "receive", None)
    if own is not None:
        return own
    buffer = bytearray()

    def receive(most: int) -> bytes:
        if len(buffer) < most:
            buffer.extend(bytes(most - len(buffer)))
        with memoryview(buffer) as view, view[:most] as target:
            return bytes(target[: stream.recv_into(target)])

    return receive


def _poll_for_input(stream: Any) -> Callable[[int], Any]:
    """Make a function that, called with 0, tells whether something has arrived; True if that is unknown."""
    if not isinstance(stream, socket.socket):
        return lambda wait_ms: socket_of(stream) is not None  # then `has_unasked_octets` looks
    if not hasattr(select, "poll") or stream.fileno() < 0:
        return lambda wait_ms: True
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLIN)
    return poll.poll


class _Unbuffered(io.RawIOBase):
    """Reads from an inbox. A buffered reader over it allocates the result of a read, and fills it without a copy."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        return self._inbox.readinto1(target)


class WithArrivals:
    """Replaces the socket when a response makes its file, if octets have arrived before that."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def makefile(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        return self._inbox.makefile(mode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox.stream, name)


class _Rest(io.RawIOBase):
    """First the octets that had arrived (and the error that was met), then a file."""

    def __init__(self, octets: bytes, failure: OSError | None, file: BinaryIO) -> None:
        self._octets, self._failure, self._file = octets, failure, file

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, target: Any) -> int:
        octets = self._octets[: len(target)]
        if octets:
            self._octets = self._octets[len(octets) :]
        elif self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        else:
            octets = self._file.read1(len(target))  # type: ignore[attr-defined]  # all buffered files have it
        target[: len(octets)] = octets
        return len(octets)

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            super().close()


def can_look(stream: Any) -> bool:
    """Tell whether it is possible to know what has arrived without waiting for it.

    For that, a stream that is not a socket has its own `is_readable(wait_s)`.
    """
    return isinstance(stream, socket.socket) or hasattr(stream, "is_readable")


def is_readable(stream: Any, wait_s: float) -> bool:
    """Tell whether something (octets, the end, an error) arrives on the stream within `wait_s` seconds."""
    own = getattr(stream, "is_readable", None)
    if own is not None:
        return bool(own(wait_s))
    pending = getattr(stream, "pending", None)
    if pending is not None and pending():
        return True
    return _wait(stream, wait_s, for_output=False)


def wait_for_room(stream: Any, wait_s: float | None) -> bool:
    """Wait until a socket accepts octets or has some; False after `wait_s` seconds."""
    return _wait(stream, wait_s, for_output=True)


def _wait(stream: Any, wait_s: float | None, for_output: bool) -> bool:
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    if descriptor < 0:
        return False
    if hasattr(select, "poll"):
        # Unlike select(), poll() works for descriptors above 1023.
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if for_output else 0))
        return bool(poll.poll(None if wait_s is None else max(wait_s, 0) * 1000))
    readable, writable, _ = select.select([descriptor], [descriptor] if for_output else [], [], wait_s)
    return bool(readable or writable)


def _receive_now(stream: Any, most: int) -> bytes | None:
    """Receive up to `most` octets from a readable stream without waiting; None if there was no content.

    TLS has messages of its own (session tickets) that make the socket readable.
    """
    target = memoryview(bytearray(most))
    if isinstance(stream, socket.socket) and not isinstance(stream, ssl.SSLSocket):
        return bytes(target[: stream.recv_into(target)])
    timeout_s = stream.gettimeout()
    stream.settimeout(0)
    try:
        return bytes(target[: stream.recv_into(target)])
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    finally:
        stream.settimeout(timeout_s)


def has_unasked_octets(stream: Any) -> bool:
    """Tell whether a peer has sent octets on an idle connection. The end of the stream does not count."""
    sock = socket_of(stream)
    if sock is None or not is_readable(sock, 0):
        return False
    try:
        if not isinstance(sock, ssl.SSLSocket):
            return bool(sock.recv(1, socket.MSG_PEEK))
        if sock.pending():
            return True
        # A TLS object that met an end without close_notify cannot send any more, so it must not meet it here.
        return bool(socket.socket.recv(sock, 1, socket.MSG_PEEK) and _receive_now(sock, 1))
    except OSError:
        # The request will meet the same error, and report it as usual.
        return False


def socket_of(stream: Any) -> socket.socket | None:
    """The socket that `stream` is, or that it currently uses (`live_socket`)."""
    return stream if isinstance(stream, socket.socket) else getattr(stream, "live_socket", None)
