"""Octets that have arrived on a stream and were not read yet: the buffer between a socket and its responses.

`socket.makefile` would make two objects for every response, and could not be looked into before there is one.
The inbox belongs to the connection, so nothing that arrived is lost between two responses.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import sys
import time
from typing import Any, BinaryIO, Literal

from cassette_http.transport.base import Stream
from cassette_http.wire.content import ChunkedDecoder
from cassette_http.wire.grammar import MAX_READ_OCTETS

__all__ = ["Inbox", "WithArrivals", "can_look", "has_unasked_octets", "is_readable", "wait_for_room"]

BUFFER_OCTETS = 65536


class Inbox:
    """A buffer over `stream` that reads like a buffered file, and that can be looked into without blocking.

    To be used by one response at a time. It never closes the stream on its own.
    """

    __slots__ = ("_buffer", "_end", "_failure", "_poll", "_start", "_view", "is_at_end", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.is_at_end = False
        self._buffer = bytearray(BUFFER_OCTETS)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._failure: OSError | None = None
        self._poll = _poll_for_input(stream)

    def __len__(self) -> int:
        return self._end - self._start

    def __bool__(self) -> bool:
        return True

    def readline(self, limit: int = -1) -> bytes:
        """Read up to and including LF, at most `limit` octets; less only at the end of the stream."""
        if limit < 0:
            limit = sys.maxsize
        pieces: list[bytes] = []
        while True:
            stop = min(self._end, self._start + limit)
            line_end = self._buffer.find(b"\n", self._start, stop) + 1
            piece = self._take((line_end or stop) - self._start)
            pieces.append(piece)
            limit -= len(piece)
            if line_end or not limit or not self.fill():
                return b"".join(pieces)

    def read(self, count: int = -1) -> bytes:
        """Read exactly `count` octets, or up to the end of the stream."""
        if 0 <= count <= self._end - self._start:
            return self._take(count)
        if count > BUFFER_OCTETS:
            return self._read_large(count)
        pieces = []
        while count and (piece := self.read1(count)):
            pieces.append(piece)
            if count > 0:
                count -= len(piece)
        return b"".join(pieces)

    def _read_large(self, count: int) -> bytes:
        """Read `count` octets to where they are to stay; the memory grows with what arrives, not with a claim."""
        whole, done = io.BytesIO(), 0
        while done < count:
            room = min(count, max(MAX_READ_OCTETS, 16 * done))
            # Zeroed memory costs nothing until it is used, and becomes the file's own; what a file adds to itself
            # would be filled with zeros at once.
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
        """Read what is there, at most `count` octets; wait only if nothing is."""
        if not count:
            return b""
        if self._start < self._end or self.fill():
            return self._take(self._end - self._start if count < 0 else min(count, self._end - self._start))
        return b""

    def readinto(self, target: Any) -> int:
        """Fill `target` with octets; less than all only at the end of the stream."""
        view = memoryview(target).cast("B")
        done = 0
        while done < len(view):
            if self._start == self._end and len(view) - done >= BUFFER_OCTETS:
                received = self._receive(view[done : done + MAX_READ_OCTETS])
            elif self._start < self._end or self.fill():
                received = min(len(view) - done, self._end - self._start)
                view[done : done + received] = self._view[self._start : self._start + received]
                self._start += received
            else:
                break
            if not received:
                break
            done += received
        return done

    def peek(self, count: int = -1) -> bytes:
        """Show what is there, at most `count` octets, and wait only if nothing is."""
        if self._start == self._end:
            self.fill()
        return bytes(self._view[self._start : self._end if count < 0 else min(self._end, self._start + count)])

    def fill(self) -> int:
        """Wait for more octets, to be read after those that are there; 0 at the end of the stream."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == BUFFER_OCTETS:
            rest = self._take(self._end - self._start)
            self._start, self._end = 0, len(rest)
            self._view[: self._end] = rest
        count = self._receive(self._view[self._end :] if self._end else self._view)
        self._end += count
        return count

    def take_head(self) -> bytes | None:
        """Read up to and including the first line of CRLF alone, if it is there after one read of the stream at most.

        Not if it is the very first line.
        """
        if self._start == self._end:
            self.fill()
        end = self._buffer.find(b"\n\r\n", self._start, self._end)
        return self._take(end + 3 - self._start) if end >= 0 else None

    def take_chunks(self, decoder: ChunkedDecoder, most: int) -> bytes:
        """Read what is there of chunked content as `decoder.take` does, without waiting."""
        content, self._start = decoder.take(self._buffer, self._start, self._end, most)
        return content

    def put_back(self, count: int) -> None:
        """Undo the last read, which was of so many octets."""
        self._start -= count

    def has_arrivals(self) -> bool:
        """Tell whether there are octets, or (as far as one can tell) more than silence on the stream."""
        if self._start < self._end or self._poll is None:
            return True
        return bool(self._poll.poll(0))

    def makefile(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Hand everything over to a file object over the stream, for those who need a real one."""
        file = self.stream.makefile(mode)
        if self._start == self._end and self._failure is None:
            return file
        rest = _Rest(self._take(self._end - self._start), self._failure, file)
        self._failure = None
        return io.BufferedReader(rest)

    def look(self, wait_s: float) -> bytes | None:
        """Wait up to `wait_s` seconds for octets; return those that arrived, which also remain to be read.

        None says that nothing came; b"" that the stream is at its end or broken (the next read will tell).
        """
        if self.is_at_end or self._failure is not None:
            return b""
        if self._start == self._end:
            self._start = self._end = 0
        count = None
        end = time.monotonic() + wait_s
        while count is None:
            if self._end == BUFFER_OCTETS or not is_readable(self.stream, wait_s):
                return None
            try:
                count = _receive_now(self.stream, self._view[self._end :])
            except OSError as failure:
                self._failure = failure
                return b""
            wait_s = max(end - time.monotonic(), 0)
        self.is_at_end = not count
        self._end += count
        return bytes(self._view[self._end - count : self._end])

    def _take(self, count: int) -> bytes:
        start = self._start
        self._start += count
        return bytes(self._view[start : self._start])

    def _receive(self, target: Any) -> int:
        if self._failure is not None:
            failure, self._failure, self.is_at_end = self._failure, None, True
            raise failure
        if self.is_at_end:
            return 0
        count = self.stream.recv_into(target)
        self.is_at_end = not count
        return count


def _poll_for_input(stream: Any) -> Any:
    """An object whose `poll(0)` tells whether something has arrived; None where there is no such thing."""
    if not isinstance(stream, socket.socket) or not hasattr(select, "poll") or stream.fileno() < 0:
        return None
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLIN)
    return poll


class WithArrivals:
    """What a response takes for a socket, and makes its file of, when octets have arrived before there was a file."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def makefile(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        return self._inbox.makefile(mode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox.stream, name)


class _Rest(io.RawIOBase):
    """First the octets that had arrived (and the error that was met then), then a file."""

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
            octets = self._file.read1(len(target))  # type: ignore[attr-defined]
        target[: len(octets)] = octets
        return len(octets)

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            super().close()


def can_look(stream: Any) -> bool:
    """Tell whether there is a way to know what has arrived without waiting for it.

    A stream that is not a socket brings its own `is_readable(wait_s)` for that.
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
    """Wait until a socket takes octets or has some; False after `wait_s` seconds."""
    return _wait(stream, wait_s, for_output=True)


def _wait(stream: Any, wait_s: float | None, for_output: bool) -> bool:
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    if descriptor < 0:
        return False
    if hasattr(select, "poll"):
        # Unlike select(), it serves descriptors above 1023.
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if for_output else 0))
        return bool(poll.poll(None if wait_s is None else max(wait_s, 0) * 1000))
    readable, writable, _ = select.select([descriptor], [descriptor] if for_output else [], [], wait_s)
    return bool(readable or writable)


def _receive_now(stream: Any, target: Any) -> int | None:
    """Receive from a readable stream without waiting; None if there was no content after all.

    TLS has messages of its own (session tickets) that make its socket readable.
    """
    if isinstance(stream, socket.socket) and not isinstance(stream, ssl.SSLSocket):
        return int(stream.recv_into(target))
    timeout_s = stream.gettimeout()
    stream.settimeout(0)
    try:
        return int(stream.recv_into(target))
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    finally:
        stream.settimeout(timeout_s)


def has_unasked_octets(stream: Any) -> bool:
    """Tell whether a peer has sent octets on an idle connection. Its end does not count."""
    if not isinstance(stream, socket.socket) or not is_readable(stream, 0):
        return False
    try:
        if isinstance(stream, ssl.SSLSocket):
            return bool(_receive_now(stream, bytearray(1)))
        return bool(stream.recv(1, socket.MSG_PEEK))
    except OSError:
        # The request will meet the same error, and report it as for any connection.
        return False
