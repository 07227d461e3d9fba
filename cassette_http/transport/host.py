"""Runs a channel over one blocking connection, for our own client and for intercepted sockets of other libraries."""

from __future__ import annotations

import errno
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from struct import unpack_from
from typing import Any, Protocol

from cassette_http.cassette.model import Failure, FailureKind, Origin, TLSFacts
from cassette_http.transport.channel import Channel, Threads
from cassette_http.transport.deck import Deck
from cassette_http.transport.failures import NOTHING_MORE, describe, read_timed_out, rebuild
from cassette_http.transport.replaying import PlayedWriteFailure, Signal
from cassette_http.transport.tunnels import Line

clock = time.monotonic

# Not failures: the call would have to block.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# A peer that accepts no data for so long blocks its client before it breaks the connection.
STALL_S = 0.02


class Switchboard(Deck, Protocol):
    """A deck that also knows about connections: their failures, their TLS, and which of them are open."""

    is_left: bool
    """The cassette is no longer in use."""
    only_watches: bool
    """What cannot be recorded is passed through, not refused."""

    open_handshakes: dict[Channel, float]
    """Live TLS handshakes in progress: when they began or, if the program gave them up, when it did so."""

    def knows_peer(self, host: str, port: int) -> bool:
        """Tell whether the cassette has anything about connections to this host and port."""
        ...

    def note_connection(self, channel: Channel) -> None:
        """Note that a connection to a real peer is about to be opened for `channel`."""
        ...

    def tls_facts(self, origin: Origin) -> TLSFacts:
        """What is known about TLS connections to `origin`; empty facts if nothing is."""
        ...

    def keep_tls_facts(self, facts: TLSFacts) -> None: ...

    def open_channel(self, origin: Origin, via: Origin | None) -> Channel: ...

    def open_tls_channel(self, lower: Channel) -> Channel:
        """Open a channel for TLS over the connection of `lower`."""
        ...


def refuse_to_dial() -> Line:
    """Fail like a closed connection."""
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _are_threads_greenlets() -> bool:
    """What Python calls a thread is a greenlet here, because of the monkey patches of gevent."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


class Host:
    """Runs `channel` over a blocking connection: dials when the peer is needed, and reports what the peer did.

    `below` is the host of the connection over which this one was put (TLS); both are closed together.
    """

    # The client treats a TLS connection that ends without close_notify like one that was closed properly.
    suppresses_ragged_ends = False

    # Of a client that uses greenlets.
    _threads: Threads | None = None
    _sleep: Callable[[float], object] | None = None

    def __init__(
        self,
        channel: Channel,
        dial: Callable[[], Line],
        timeout_s: Callable[[], float | None],
        below: Host | None = None,
    ) -> None:
        self.channel = channel
        self.line: Line | None = None
        self.timeout_s = timeout_s
        self._dial, self._below = dial, below
        self._dialling = threading.RLock()
        self.late_break: Failure | None = None  # of a played connection whose peer accepted no data for a while
        self._waiting = 0  # how many threads wait for data

    def follow(self, channel: Channel) -> None:
        """Serve `channel` from now on: the client now uses the connection with another cassette."""
        self.channel.client_closed()
        channel.tunnel, channel.naming = self.channel.tunnel, self.channel.naming
        self.channel = channel
        channel.has_line = self.line is not None
        if self._threads is not None:
            channel.share_among(self._threads)

    def share_among(self, threads: Threads, sleep: Callable[[float], object]) -> None:
        """Serve a client that uses another kind of threads than Python's: greenlets.

        Without us, it may wait for a silent peer until something else ends the wait, so it must be able to here too.
        """
        self._threads, self._sleep = threads, sleep
        self._dialling = threads.RLock()
        self.channel.share_among(threads)

    def open(self) -> None:
        """Dial at once if nothing can be played, so that a refused connection fails in the same place as without us."""
        if not self.channel.can_play:
            self.dial()

    def dial(self) -> Line:
        with self._dialling:
            if self.line is None:
                self.line = self._dial()
                self.channel.has_line = True
            return self.line

    def send(self, octets: bytes) -> int:
        """Send all octets, or as many as a played peer accepts from a non-blocking client; returns how many.

        Raises what the peer's socket raises, what was recorded, or UnmatchedRequest.
        """
        if self.late_break is not None:
            raise rebuild(self.late_break)
        met: PlayedWriteFailure | None = None
        try:
            with self.channel.lock:
                self.channel.sender = self.channel.get_ident()
                forward = self.channel.client_sent(octets)
                if self._waiting:
                    self.channel.moved.notify_all()
        except PlayedWriteFailure as played:
            met = played
        if met is not None:  # raised outside of the except block, the error has no context, like the live one
            if self.timeout_s() != 0 or not self._is_stall(met.failure):
                raise rebuild(met.failure)
            self.channel.is_upload_stalled = True
            # The client meets the later break only if it has something left to send.
            return max(0, len(octets) - met.surplus - (self.late_break is not None))
        if forward:
            line = self.line or self.dial()
            try:
                line.sendall(forward)
            except OSError as error:
                self.peer_failed(error, FailureKind.WRITE)
                raise
        return len(octets)

    def _is_stall(self, failure: Failure) -> bool:
        """Tell whether the recorded peer accepted no data for a while; a non-blocking client may have given up then."""
        if not failure.is_timeout and failure.at >= STALL_S:
            self.late_break = failure
        return failure.is_timeout or self.late_break is not None

    def send_some(self, send: Callable[[bytes], int], octets: bytes) -> int:
        """Send what the peer's socket accepts at once; only for a channel that can do nothing but record."""
        try:
            sent = send(octets)
        except NOT_NOW:
            raise
        except OSError as error:
            with self.channel.lock:
                self.channel.client_could_not_send(octets)
            self.peer_failed(error, FailureKind.WRITE)
            raise
        with self.channel.lock:
            self.channel.client_sent(octets[:sent])
        return sent

    def receive(self, at_most: int, *, may_peer_begin: bool = True) -> bytes:
        """Receive at most `at_most` octets; none mean that the peer closed.

        If the peer may not begin, it speaks HTTP: a read before anything was sent waits for a sending thread.
        """
        if not at_most:
            return b""
        with self.channel.lock:
            result = self._read(at_most)
        if result is Signal.WAIT or result is Signal.IDLE:
            result = self._after_waits(at_most, may_peer_begin)
        if isinstance(result, bytes):
            return result
        # A client that reads first does not speak HTTP; the channel becomes transparent when the peer sends something.
        is_live = self.line is not None or (may_peer_begin and not self.channel.has_spoken)
        if result is Signal.LIVE or (result is Signal.IDLE and is_live):
            return self._receive_live(at_most)
        if isinstance(result, Failure):
            raise rebuild(result)
        if result is Signal.END or self.timeout_s() is None:
            return b""
        # The recorded peer is silent here: without us this read would time out, or it did when recorded.
        error = self.timed_out()
        if result is Signal.IDLE and isinstance(error, TimeoutError):
            error.add_note(NOTHING_MORE)
        raise error

    def _read(self, at_most: int) -> bytes | Failure | Signal:
        """What the channel has for this client: one that waits forever, or not at all, meets no time-out."""
        while (result := self.channel.client_reads(at_most)) is Signal.TIMEOUT and not self.timeout_s():
            pass
        return result

    def _after_waits(self, at_most: int, may_peer_begin: bool) -> bytes | Failure | Signal:
        """What the client gets after waiting for the recorded pace or for another sending thread."""
        waits_until_s: float | None = None
        while True:
            with self.channel.lock:
                result = self._read(at_most)
                if isinstance(result, bytes):
                    return result
                if self.channel.reads_no_more:
                    return Signal.END
                due_in_s = self.channel.due_in_s if result is Signal.WAIT else None
                if due_in_s is None:
                    timeout_s = self.timeout_s()
                    if not self._is_read_beside(result, may_peer_begin) or timeout_s == 0:
                        return result
                    if timeout_s is not None and waits_until_s is None:
                        waits_until_s = clock() + timeout_s
                    left_s = None if waits_until_s is None else waits_until_s - clock()
                    if (left_s is not None and left_s <= 0) or not self._wait_for_sender(left_s):
                        return result
                    continue
            self._wait(due_in_s)

    def _wait_for_sender(self, timeout_s: float | None) -> bool:
        """Wait until another thread has sent something; False if the time is up."""
        self._waiting += 1
        try:
            return bool(self.channel.moved.wait(timeout_s))
        finally:
            self._waiting -= 1

    def _is_read_beside(self, result: bytes | Failure | Signal, may_peer_begin: bool) -> bool:
        """Another thread sends, or is about to, and so brings what this read waits for.

        With greenlets, something else may also end the wait.
        """
        if self.line is not None or not (result is Signal.WAIT or result is Signal.IDLE):
            return False
        sender = self.channel.sender
        if sender is None:
            return not may_peer_begin
        return self._threads is not None or sender != self.channel.get_ident() or _are_threads_greenlets()

    def _wait(self, due_in_s: float) -> None:
        """Wait for a played piece as long as in the recording, or until the client's time-out."""
        timeout_s, sleep = self.timeout_s(), self._sleep or time.sleep
        if timeout_s is not None and timeout_s < due_in_s:
            sleep(timeout_s)
            raise self.timed_out()
        sleep(due_in_s)

    def timed_out(self) -> OSError:
        """The error of a read whose time-out is over."""
        if self.timeout_s() == 0:
            return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return read_timed_out(is_tls=self.channel.origin.is_tls)

    def read_no_more(self) -> None:
        """The client has shut down its side: a waiting thread gets an end."""
        with self.channel.lock:
            self.channel.reads_no_more = True
            self.channel.moved.notify_all()

    def close(self) -> None:
        """Close the connection to the peer, if there is one."""
        with self.channel.lock:
            self.channel.client_closed()
            self.channel.moved.notify_all()
        if self.line is not None:
            self.line.close()
        elif self._below is not None:
            self._below.close()
        self._dial = refuse_to_dial  # the old function refers to this host, and so to the cassette

    def peer_did(self, octets: bytes) -> None:
        """The live peer sent `octets`; none means that it closed."""
        if not octets:
            self.peer_ended()
            return
        with self.channel.lock:
            self.channel.peer_sent(octets)

    def peer_ended(self, *, close_notify: bool = True) -> None:
        """The live peer closed; for `close_notify` see `Track`."""
        with self.channel.lock:
            self.channel.peer_ended(close_notify=close_notify)

    def peer_failed(self, error: OSError, kind: FailureKind = FailureKind.RESET) -> None:
        """The live stream broke with `error`."""
        with self.channel.lock:
            self.channel.peer_failed(describe(kind, error, clock()))

    def _receive_live(self, at_most: int) -> bytes:
        line = self.line or self.dial()
        try:
            octets = line.recv(at_most)
        except NOT_NOW:
            raise
        except ssl.SSLEOFError:
            self.peer_ended(close_notify=False)
            if self.suppresses_ragged_ends:
                return b""
            raise
        except TimeoutError as error:
            self.peer_failed(error, FailureKind.TIMEOUT)
            raise
        except OSError as error:
            self.peer_failed(error)
            raise
        self.peer_did(octets)
        return octets


def put_into(buffer: Any, octets: bytes) -> int:
    """Put received octets into a buffer that has room for them, as `recv_into` does."""
    memoryview(buffer).cast("B")[: len(octets)] = octets
    return len(octets)


def read_into(buffer: Any, size: int, receive: Callable[[int], bytes]) -> Any:
    """Do what `read` of a TLS object does: return at most `size` octets, or the number that went into `buffer`."""
    if buffer is not None:
        room = memoryview(buffer).nbytes
        size = size if 0 < size < room else room
    octets = receive(size) if size else b""
    return octets if buffer is None else put_into(buffer, octets)


def octets_of(data: Any) -> bytes:
    """What a socket would send of `data`. Raises the error of a socket if it cannot; does not consume an iterator."""
    if type(data) is bytes:
        return data
    unpack_from("", data)  # takes what a socket takes, with the same errors
    return memoryview(data).tobytes()
