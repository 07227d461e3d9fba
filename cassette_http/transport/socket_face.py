"""A channel with the face of a blocking socket: what our own client holds while a cassette is in use.

`Host` runs one channel over one blocking connection; it serves the intercepted sockets of other libraries too.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

from cassette_http.cassette.model import Failure, FailureKind, Origin, TLSFacts
from cassette_http.transport import live
from cassette_http.transport.channel import Channel, PlayedWriteFailure, Tape
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.played_tls import PlayedTLS
from cassette_http.transport.replaying import Signal
from cassette_http.wire.reader import ResponseReader

__all__ = [
    "NOT_NOW",
    "CassetteTransport",
    "Host",
    "Line",
    "SocketFace",
    "Switchboard",
    "clock",
    "fail_handshake",
    "keep_failure",
    "keeping_failure",
    "keeping_tls",
    "octets_of",
    "put_into",
    "secure",
]

clock = time.monotonic

# Not failures: the call would have to wait.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line(Protocol):
    """The live side of a host: an open, blocking connection to the peer."""

    def send(self, data: bytes, /) -> int: ...
    def sendall(self, data: Any, /) -> None: ...
    def recv(self, at_most: int, /) -> bytes: ...
    def close(self) -> None: ...


class Switchboard(Tape, Protocol):
    """A tape that also knows about connections: their failures, TLS, and which are open."""

    is_left: bool
    """The cassette is not in use any more."""
    only_watches: bool
    """Nobody asked for its recording, which must not matter to the program: what cannot be recorded passes."""

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        """Claim the failure that the connection to `origin` met when it was recorded, if it is due."""
        ...

    def knows_peer(self, host: str, port: int) -> bool:
        """The cassette has something that was recorded of connections to this host and port."""
        ...

    def keep_connection_failure(self, origin: Origin, failure: Failure, via: Origin | None) -> None:
        """Record it, if the mode records."""
        ...

    def note_connection(self, channel: Channel) -> None:
        """Be told that a real peer is about to be asked for a connection, for `channel`."""
        ...

    def tls_facts(self, origin: Origin) -> TLSFacts:
        """What is known of TLS connections to `origin`; empty facts if nothing is."""
        ...

    def keep_tls_facts(self, facts: TLSFacts) -> None: ...

    def open_channel(self, origin: Origin, via: Origin | None) -> Channel: ...


class Host:
    """Runs `channel` over a blocking connection: dials when it needs the peer, reports what the peer did.

    `below` is the host of the connection that this one was put over (TLS); it is closed with it.
    """

    # The client takes a TLS connection that ends without close_notify for one that ends in good order.
    suppresses_ragged_ends = False

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
        self._sender: int | None = None  # the thread that sends
        self._waiting = 0  # how many threads wait for what it brings

    def follow(self, channel: Channel) -> None:
        """Serve `channel` from now on: the client uses its connection with another cassette."""
        self.channel.client_closed()
        self.channel = channel
        channel.has_line = self.line is not None

    def open(self) -> None:
        """Dial at once if nothing can be played, so that a refused connection fails where it does without us."""
        if not self.channel.can_play:
            self.dial()

    def dial(self) -> Line:
        with self._dialling:
            if self.line is None:
                self.line = self._dial()
                self.channel.has_line = True
            return self.line

    def send(self, octets: bytes) -> None:
        """Send all octets. Raises what the peer's socket raises, what was recorded, or UnmatchedRequest."""
        try:
            with self.channel.lock:
                self._sender = threading.get_ident()
                forward = self.channel.client_sent(octets)
                if self._waiting:
                    self.channel.moved.notify_all()
        except PlayedWriteFailure as played:
            raise rebuild(played.failure) from None
        if forward:
            line = self.dial()
            try:
                line.sendall(forward)
            except OSError as error:
                self.peer_failed(error, FailureKind.WRITE)
                raise

    def send_some(self, send: Callable[[bytes], int], octets: bytes) -> int:
        """Send what the peer's socket takes at once; only for a channel that can do nothing but record."""
        try:
            sent = send(octets)
        except NOT_NOW:
            raise
        except OSError as error:
            with self.channel.lock:
                self.channel.client_sent(octets)
            self.peer_failed(error, FailureKind.WRITE)
            raise
        with self.channel.lock:
            self.channel.client_sent(octets[:sent])
        return sent

    def receive(self, at_most: int) -> bytes:
        """Receive at most so many octets; none mean that the peer closed."""
        if not at_most:
            return b""
        result = self._next(at_most)
        if isinstance(result, bytes):
            return result
        # Who reads before anything was sent does not speak HTTP; the channel becomes transparent when the peer speaks.
        is_live = self.line is not None or not self.channel.has_spoken
        if result is Signal.LIVE or (result is Signal.IDLE and is_live):
            return self._receive_live(at_most)
        if isinstance(result, Failure):
            raise rebuild(result)
        if result is Signal.END or self.timeout_s() is None:
            return b""
        # The recorded peer says nothing here: without us, this read would run into its time-out.
        raise self.timed_out()

    def _next(self, at_most: int) -> bytes | Failure | Signal:
        """What the client gets now, after the waits that the recorded pace or another sending thread asks for."""
        waits_until_s: float | None = None
        while True:
            with self.channel.lock:
                result = self.channel.client_reads(at_most)
                if isinstance(result, bytes):
                    return result
                due_in_s = self.channel.due_in_s if result is Signal.WAIT else None
                if due_in_s is None:
                    timeout_s = self.timeout_s()
                    if not self._is_read_beside(result) or timeout_s == 0:
                        return result
                    if timeout_s is not None and waits_until_s is None:
                        waits_until_s = clock() + timeout_s
                    left_s = None if waits_until_s is None else waits_until_s - clock()
                    if (left_s is not None and left_s <= 0) or not self._wait_for_sender(left_s):
                        return result
                    continue
            self._wait(due_in_s)

    def _wait_for_sender(self, timeout_s: float | None) -> bool:
        """Wait until another thread has sent something; False if the time is over."""
        self._waiting += 1
        try:
            return self.channel.moved.wait(timeout_s)
        finally:
            self._waiting -= 1

    def _is_read_beside(self, result: bytes | Failure | Signal) -> bool:
        """Another thread sends on this connection, which may bring what this one waits for."""
        return (
            (result is Signal.WAIT or result is Signal.IDLE)
            and self.line is None
            and self._sender not in (None, threading.get_ident())
        )

    def _wait(self, due_in_s: float) -> None:
        """Wait for a played piece as long as the recording did, or until the client's patience ends."""
        timeout_s = self.timeout_s()
        if timeout_s is not None and timeout_s < due_in_s:
            time.sleep(timeout_s)
            raise self.timed_out()
        time.sleep(due_in_s)

    def timed_out(self) -> OSError:
        """What a read raises when the client's patience is over."""
        if self.timeout_s() == 0:
            return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        is_tls = self.channel.origin.scheme == "https"
        return TimeoutError("The read operation timed out" if is_tls else "timed out")

    def close(self) -> None:
        """Close the connection to the peer, if there is one."""
        with self.channel.lock:
            self.channel.client_closed()
            self.channel.moved.notify_all()
        if self.line is not None:
            self.line.close()
        elif self._below is not None:
            self._below.close()

    def peer_did(self, octets: bytes) -> None:
        """The live peer sent `octets`; none means that it closed."""
        if not octets:
            self.peer_ended()
            return
        with self.channel.lock:
            self.channel.peer_sent(octets)

    def peer_ended(self, *, close_notify: bool = True) -> None:
        """The live peer closed; `close_notify` is described by `Track`."""
        with self.channel.lock:
            self.channel.peer_ended(close_notify=close_notify)

    def peer_failed(self, error: OSError, kind: FailureKind = FailureKind.RESET) -> None:
        """The live stream broke with `error`."""
        with self.channel.lock:
            self.channel.peer_failed(describe(kind, error, clock()))

    def _receive_live(self, at_most: int) -> bytes:
        line = self.dial()
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
    """Put what was received into a buffer that has room for it, as `recv_into` does."""
    memoryview(buffer).cast("B")[: len(octets)] = octets
    return len(octets)


def octets_of(data: Any) -> bytes:
    """What a socket would send of `data`. Raises TypeError if that is nothing; must not use up an iterator then."""
    return data if type(data) is bytes else memoryview(data).tobytes()


class _Descriptors:
    """Two descriptors that all played connections share, for those who poll: one is never readable, one always."""

    def __init__(self) -> None:
        self.idle, self._keeps_idle_open = os.pipe()
        self.ready, writer = os.pipe()
        os.close(writer)


_descriptors: _Descriptors | None = None
_descriptors_lock = threading.Lock()


def _descriptor_to_poll(*, is_due: bool) -> int:
    """A descriptor that polls as readable if `is_due`, else as idle. Shared: do not close it."""
    global _descriptors
    with _descriptors_lock:
        if _descriptors is None:
            _descriptors = _Descriptors()
    return _descriptors.ready if is_due else _descriptors.idle


class CassetteTransport:
    """The transport that `session` puts into the slot: opens streams that record and play."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board

    def connect(
        self,
        address: tuple[str, int],
        timeout_s: Any = live.DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
    ) -> SocketFace:
        """Open a stream to `address`; see `transport.base.Transport`. Dials only if nothing can be played."""
        host, port = address
        target = Origin("tcp", host.lower(), port)
        failure = self.board.fail_connection(target, FailureKind.LOOKUP, FailureKind.CONNECT)
        if failure is not None:
            raise rebuild(failure)

        def dial() -> Any:
            self.board.note_connection(channel)
            with keeping_failure(self.board, channel, target, FailureKind.CONNECT):
                return live.connect(address, timeout_s, source_address)

        channel = self.board.open_channel(Origin("http", host.lower(), port), None)
        face = SocketFace(self.board, channel, dial, timeout_s)
        face.host.open()
        return face


class SocketFace:
    """What our client holds in place of a socket; the names are those of `socket.socket` and `ssl.SSLSocket`."""

    def __init__(
        self,
        board: Switchboard,
        channel: Channel,
        dial: Callable[[], Line],
        timeout_s: Any = None,
        below: Host | None = None,
    ) -> None:
        self.host = Host(channel, dial, self.gettimeout, below)
        self.host.suppresses_ragged_ends = True  # as a TLS socket does by default
        self.receive = self.host.receive
        self._board = board
        self._timeout_s = socket.getdefaulttimeout() if timeout_s is live.DEFAULT_TIMEOUT else timeout_s
        self._users = 1  # this object and the files made from it
        self._is_closed = False

    # ------------------------------------------------------------------ octets

    def sendall(self, data: Any, /) -> None:
        self.host.send(octets_of(data))

    def send(self, data: Any, /) -> int:
        self.sendall(data)
        return len(data)

    def recv_into(self, buffer: Any, nbytes: int = 0, /) -> int:
        return put_into(buffer, self.receive(nbytes or memoryview(buffer).nbytes))

    def recv(self, bufsize: int, /) -> bytes:
        return self.receive(bufsize)

    def makefile(self, mode: str = "rb", buffering: int | None = None, /) -> BinaryIO:
        """A file that reads the stream; the stream stays open until the file is closed too."""
        if mode != "rb":
            raise ValueError(f"invalid mode {mode!r} (only 'rb' allowed)")
        self._users += 1
        raw = _FaceIO(self)
        return raw if buffering == 0 else io.BufferedReader(raw)  # type: ignore[return-value]  # RawIOBase reads too

    # ------------------------------------------------------------------ the connection

    def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> SocketFace:
        """Put TLS over this stream, which is used up. A played stream needs no handshake."""
        below, lower = self.host, self.host.channel
        fail_handshake(self._board, lower.tls_origin)

        def dial() -> Any:
            tunnel = lower.tunnel_request if below.line is None else None
            line: Any = below.dial()
            wrap = functools.partial(context.wrap_socket, line, server_hostname=server_hostname)
            return secure(self._board, channel, line, tunnel, wrap)

        channel = self._board.open_channel(lower.tls_origin, lower.via)
        face = SocketFace(self._board, channel, dial, self._timeout_s, below)
        if lower.can_record and below.line is not None:
            face.host.dial()
        return face

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._tls().getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        return self._tls().selected_alpn_protocol()

    def version(self) -> str | None:
        return self._tls().version()

    def cipher(self) -> tuple[str, str, int] | None:
        return self._tls().cipher()

    def settimeout(self, timeout_s: float | None, /) -> None:
        self._timeout_s = timeout_s
        if self.host.line is not None:
            self.host.line.settimeout(timeout_s)  # type: ignore[attr-defined]  # our lines are sockets

    def gettimeout(self) -> float | None:
        return None if self._timeout_s is None else float(self._timeout_s)

    def setsockopt(self, level: int, name: int, value: Any, /) -> None:
        if self.host.line is not None:
            self.host.line.setsockopt(level, name, value)  # type: ignore[attr-defined]  # our lines are sockets

    def fileno(self) -> int:
        """A descriptor to poll: the socket's, or one that says whether a played read would wait."""
        if self._is_closed:
            return -1
        if self.host.line is not None and not self.host.channel.is_due:
            return self.host.line.fileno()  # type: ignore[attr-defined,no-any-return]  # our lines are sockets
        return _descriptor_to_poll(is_due=self.host.channel.is_due)

    @property
    def live_socket(self) -> socket.socket | None:
        """The socket to the live peer, if there is one."""
        return self.host.line  # type: ignore[return-value]  # our lines are sockets

    def is_readable(self, wait_s: float) -> bool:
        """Tell whether a read would end within `wait_s`; a played peer does nothing on its own meanwhile."""
        if self.host.line is None or not self.host.channel.needs_peer:
            return self.host.channel.is_due
        line: Any = self.host.line
        if isinstance(line, ssl.SSLSocket) and line.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(line, selectors.EVENT_READ)
            return bool(selector.select(wait_s))

    def shutdown(self, how: int, /) -> None:
        if self.host.line is not None:
            self.host.line.shutdown(how)  # type: ignore[attr-defined]  # our lines are sockets

    def close(self) -> None:
        """Close for this user; the last one that closes ends the connection."""
        if not self._is_closed:
            self._is_closed = True
            self.release()

    def release(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.host.close()

    def _tls(self) -> ssl.SSLSocket | PlayedTLS:
        """Who answers for the TLS connection."""
        if isinstance(self.host.line, ssl.SSLSocket):
            return self.host.line
        return PlayedTLS(self._board.tls_facts(self.host.channel.origin))


class _FaceIO(io.RawIOBase):
    """The raw file below `SocketFace.makefile()`."""

    def __init__(self, face: SocketFace) -> None:
        self._face: SocketFace | None = face

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._open_face().recv_into(buffer)

    def fileno(self) -> int:
        return self._open_face().fileno()

    def close(self) -> None:
        super().close()
        face, self._face = self._face, None
        if face is not None:
            face.release()

    def _open_face(self) -> SocketFace:
        if self._face is None:
            raise ValueError("I/O operation on closed file")
        return self._face


@contextmanager
def keeping_failure(board: Switchboard, channel: Channel, peer: Origin, kind: FailureKind) -> Iterator[None]:
    """Record an OSError of the block as a failure of the connection to `peer`, and let it pass.

    A request of `channel` that only passes leaves no trace.
    """
    started = clock()
    try:
        yield
    except NOT_NOW:
        raise
    except OSError as error:
        keep_failure(board, channel, peer, kind, error, clock() - started)
        raise


def keep_failure(
    board: Switchboard, channel: Channel, peer: Origin, kind: FailureKind, error: OSError, at_s: float = 0.0
) -> None:
    """Record `error` as a failure of the connection to `peer`, met after so many seconds; as `keeping_failure` does."""
    if isinstance(error, socket.gaierror):
        kind = FailureKind.LOOKUP
    if not channel.is_passing:
        via = channel.via if kind is FailureKind.TLS else None
        board.keep_connection_failure(peer, describe(kind, error, at_s), via)


# ---------------------------------------------------------------------- TLS over a connection


def fail_handshake(board: Switchboard, origin: Origin) -> None:
    """Raise the failure that the handshake with `origin` met when it was recorded, if it is due."""
    failure = board.fail_connection(origin, FailureKind.TLS)
    if failure is not None:
        raise rebuild(failure)


@contextmanager
def keeping_tls(board: Switchboard, channel: Channel) -> Iterator[Callable[[Any], None]]:
    """Record how the handshake of `channel` in the block went: its failure, or the facts of the socket it is told."""
    origin = channel.origin

    def keep(secured: Any) -> None:
        if channel.is_passing:
            return
        certificate = secured.getpeercert(True)
        board.keep_tls_facts(
            TLSFacts(
                origin,
                secured.version(),
                secured.cipher(),
                secured.selected_alpn_protocol(),
                certificate,
                dict(secured.getpeercert(False) or {}),
            )
        )

    with keeping_failure(board, channel, origin, FailureKind.TLS):
        yield keep


def secure(
    board: Switchboard, channel: Channel, line: Line, tunnel: bytes | None, wrap: Callable[[], ssl.SSLSocket]
) -> ssl.SSLSocket:
    """Put live TLS over a connection of ours, for `channel`; first ask the proxy for a `tunnel`, if it needs one."""
    if tunnel is not None:
        open_tunnel(line, tunnel)
    with keeping_tls(board, channel) as keep:
        secured = wrap()
        keep(secured)
    secured.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # it is to tell how the connection ends
    return live.mark(secured)


def open_tunnel(line: Line, request: bytes) -> None:
    """Have the live proxy open the tunnel that its client believes to be open, as it was only played so far.

    Raises OSError if the proxy refuses.
    """
    line.sendall(request)
    answer = ResponseReader("CONNECT")
    # Not one octet of what follows the head may be read.
    while not answer.is_complete and answer.malformed is None and (octet := line.recv(1)):
        answer.feed(octet)
    if not answer.is_upgrade:
        status = f"{answer.head.status} {answer.head.reason}" if answer.head else "no answer"
        raise OSError(f"Tunnel connection failed: {status}")
