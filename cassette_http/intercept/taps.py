"""What stands behind an intercepted socket: a `Tap`, which runs a channel and keeps the descriptor's readiness true.

The object that the library holds stays its own: a real `socket.socket` with a real descriptor.
"""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from cassette_http.cassette.model import Failure, Origin
from cassette_http.intercept.current import board_to_follow
from cassette_http.intercept.names import Target
from cassette_http.intercept.stand_ins import WAKE, StandIn
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import rebuild
from cassette_http.transport.socket_face import NOT_NOW, Host, Line, Switchboard, octets_of

__all__ = [
    "Above",
    "PlainLine",
    "Pump",
    "Tap",
    "alive",
    "expected_hellos",
    "host_of_request",
    "put_adopting_tap",
    "put_tap",
    "refuse_unwatchable",
    "take_tap",
    "tap_of",
    "timeout_of",
]

Socket = TypeVar("Socket", bound=socket.socket)

# What the hooks replace, for the live side of a tap.
_sendall = socket.socket.sendall
_send = socket.socket.send
_recv_into = socket.socket.recv_into
_setsockopt = socket.socket.setsockopt
_fileno = socket.socket.fileno
_getpeername = socket.socket.getpeername
_shutdown = socket.socket.shutdown


class Above(Protocol):
    """A TLS object (`ssl.SSLObject`) whose records go through this socket."""

    is_played: bool

    @property
    def channel(self) -> Channel | None:
        """The channel above TLS."""
        ...

    @property
    def is_due(self) -> bool:
        """The program would get something if it asked the TLS object now."""
        ...

    @property
    def is_ended(self) -> bool:
        """All that is left is that the peer closes."""
        ...

    @property
    def lower_failure(self) -> Failure | None:
        """The recorded TCP connection broke, and nothing else is left."""
        ...

    def lower_ended(self) -> None:
        """The live peer closed the TCP connection."""
        ...

    def lower_failed(self, error: OSError) -> None:
        """The live TCP connection broke."""
        ...

    def closed(self) -> None:
        """The program closed the socket."""
        ...


# The first record of a TLS handshake (RFC 8446 section 5.1) tells which TLS object a socket carries.
HANDSHAKE_RECORD = b"\x16"
expected_hellos: dict[bytes, Callable[[Tap], Above]] = {}

# How a request begins, and whom it is for.
REQUEST_BEGINNING = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]\r\n")
LONGEST_HEAD_SEEN = 65536
HOST_FIELD = re.compile(rb"\nHost:[ \t]*(\[[^\]\r\n]*\]|[^:\r\n]*)", re.IGNORECASE)

# Reads that may wait for a client that does not take them.
MOST_ARRIVED = 2

_taps: weakref.WeakKeyDictionary[socket.socket, Tap] = weakref.WeakKeyDictionary()


def tap_of(sock: socket.socket) -> Tap | None:
    """The tap of `sock`, None if the socket is none of ours."""
    return _taps.get(sock)


def put_tap(sock: socket.socket, tap: Tap) -> None:
    """Let `tap` serve `sock` from now on."""
    _taps[sock] = tap


def take_tap(sock: socket.socket) -> Tap | None:
    """Part `sock` and its tap."""
    return _taps.pop(sock, None)


def _renew_taps() -> None:
    for tap in tuple(_taps.values()):
        tap.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_taps)


def alive(reference: weakref.ref[Socket]) -> Socket:
    """The socket behind a reference that is used only while one of the socket's methods runs."""
    sock = reference()
    assert sock is not None, "a socket is alive while one of its methods runs"
    return sock


class PlainLine:
    """The live side of an intercepted TCP socket: the socket itself, by its original methods."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = weakref.ref(sock)  # the tap must not keep the socket alive

    def send(self, data: bytes, /) -> int:
        return _send(alive(self._sock), data)

    def sendall(self, data: Any, /) -> None:
        _sendall(alive(self._sock), data)

    def recv_into(self, buffer: Any, /) -> int:
        return _recv_into(alive(self._sock), buffer)

    def close(self) -> None:
        """Leave the socket to its owner."""


class Pump:
    """The live side of a non-blocking socket that was dialled late, when a loop was watching the stand-in already.

    A thread reads the peer and calls `wake`; the stand-in stays under the socket.
    """

    def __init__(self, connection: socket.socket, wake: Callable[[], None]) -> None:
        connection.setblocking(False)
        self._connection, self._wake = connection, wake
        # One thread at a time may use a TLS state.
        self._use = threading.Lock()
        self._arrived: deque[bytes | OSError] = deque()
        self._has_room = threading.Condition()
        self._is_closed = False
        threading.Thread(target=self._run, name="cassette-http-pump", daemon=True).start()

    @property
    def has_arrived(self) -> bool:
        return bool(self._arrived)

    def send(self, data: bytes, /) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: Any, /) -> None:
        view = memoryview(data)
        while view:
            try:
                with self._use:
                    sent = self._connection.send(view)
            except NOT_NOW:
                self._await(selectors.EVENT_WRITE)
            else:
                view = view[sent:]

    def recv_into(self, buffer: Any, /) -> int:
        if not self._arrived:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        octets = self._arrived[0]
        if isinstance(octets, OSError):
            raise octets
        count = min(len(octets), len(buffer))
        buffer[:count] = octets[:count]
        if count < len(octets):
            self._arrived[0] = octets[count:]
        elif octets:  # the end of the stream stays there
            with self._has_room:
                self._arrived.popleft()
                self._has_room.notify()
        return count

    def close(self) -> None:
        """Close the connection, which ends the thread."""
        with self._has_room:
            self._is_closed = True
            self._has_room.notify()
        with suppress(OSError):  # the peer was faster
            _shutdown(self._connection, socket.SHUT_RDWR)
        self._connection.close()

    def _run(self) -> None:
        octets: bytes | OSError = b"-"
        while octets and isinstance(octets, bytes) and not self._is_closed:
            try:
                with self._use:
                    octets = self._connection.recv(65536)
            except NOT_NOW:
                with suppress(OSError, ValueError):  # closed meanwhile
                    self._await(selectors.EVENT_READ)
                continue
            except OSError as error:
                octets = error
            with self._has_room:
                # Not to read ahead of the client: what it does not take stays with the peer.
                self._has_room.wait_for(lambda: len(self._arrived) < MOST_ARRIVED or self._is_closed)
                self._arrived.append(octets)
            self._wake()

    def _await(self, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, event)
            selector.select()


def refuse_unwatchable(sock: socket.socket, board: Switchboard) -> None:
    """Break off a live connection that a loop is watching, if it would now have to carry played octets.

    Nothing could make its descriptor readable when they are due. To its pool it looks like any connection that was
    closed while it was idle. Raises ConnectionResetError.
    """
    if sock.gettimeout() == 0 and board.policy.can_play:
        with suppress(OSError):
            _shutdown(sock, socket.SHUT_RDWR)
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def host_of_request(data: Any) -> str | None:
    """The host that a request is for, if `data` begins with one: "" if it does not say; None if it is none.

    Tells the next request of a connection that was open before the cassette from what a server in this process sends.
    """
    try:
        octets = memoryview(data).cast("B")[:LONGEST_HEAD_SEEN].tobytes()
    except TypeError:
        return None
    if not REQUEST_BEGINNING.match(octets):
        return None
    named = HOST_FIELD.search(octets)
    return named[1].decode("latin-1").strip("[]").lower() if named is not None else ""


def put_adopting_tap(sock: socket.socket, board: Switchboard, origin: Origin, line: Line, peer: tuple[Any, ...]) -> Tap:
    """Give a tap to a live connection that was open before the cassette."""
    host = Host(board.open_channel(origin, None), lambda: line, timeout_of(sock))
    host.dial()
    tap = Tap(sock, board, host, Target(origin.host, origin.port, is_last=True), peer)
    put_tap(sock, tap)
    return tap


def timeout_of(sock: socket.socket) -> Callable[[], float | None]:
    """Tell the time-out of `sock`, without keeping it alive."""
    here = weakref.ref(sock)
    return lambda: alive(here).gettimeout()


class Tap:
    """What stands behind one intercepted socket. `peer` is the address that it was connected to."""

    def __init__(
        self, sock: socket.socket, board: Switchboard, host: Host, target: Target, peer: tuple[Any, ...]
    ) -> None:
        self.board, self.host, self.target, self.peer = board, host, target, peer
        self.above: Above | None = None
        self.options: list[tuple[Any, ...]] = []  # set before there was a connection to set them on
        self.connecting: Callable[[int], None] | None = None  # to be told how a non-blocking connect ended
        self.pending_error = 0  # of a played non-blocking connect, for SO_ERROR
        self._sock = weakref.ref(sock)
        self._stand_in: StandIn | None = None
        self._rests = False
        self._is_watched = sock.gettimeout() == 0
        host.channel.on_left = self.leave

    @property
    def stands_in(self) -> bool:
        """The descriptor is an end of a local pair, not a connection."""
        return self._stand_in is not None and self._stand_in.is_there

    # ------------------------------------------------------------------ the descriptor

    def stand_in(self) -> None:
        """Put an end of a local pair under the socket's descriptor, as nobody was dialled."""
        self._stand_in = StandIn(alive(self._sock))

    def hand_over(self, sock: socket.socket, host: Host) -> Tap:
        """The tap for the connection that was put over this one (TLS), on the same descriptor."""
        tap = Tap(sock, self.board, host, self.target, self.peer)
        tap.options = self.options
        tap._stand_in, self._stand_in = self._stand_in, None
        if tap._stand_in is not None:
            tap._stand_in.move(sock)
        tap._is_watched = self._is_watched
        tap.show()
        return tap

    def take_descriptor(self, dialled: socket.socket) -> None:
        """Put the descriptor of a live connection under the socket, where the pair stood in."""
        sock = alive(self._sock)
        self.peer = _getpeername(dialled)
        os.dup2(_fileno(dialled), _fileno(sock), inheritable=False)
        if self._stand_in is not None:
            self._stand_in.close()
            self._stand_in = None
        for option in self.options:
            _setsockopt(sock, *option)

    def leave(self) -> None:
        """The cassette is left: a connection that was only played now looks closed, also when the hooks are gone.

        One that has not yet played all of a response looks broken, as its client must not take the part for the whole.
        """
        if self._stand_in is not None:
            self._stand_in.leave(is_cut_short=self.host.channel.is_cut_short)

    def watch(self) -> None:
        """Somebody asks for the descriptor: from now on it shows whether something is due.

        Most blocking clients never ask, and are spared the system calls.
        """
        self._is_watched = True
        self.show()

    def show(self) -> None:
        """Make the stand-in readable exactly if something is due. Called from any thread."""
        if self._is_watched and self._stand_in is not None:
            self._stand_in.show(self._is_due_now)

    def _is_due_now(self) -> bool:
        is_due = self.is_due
        if not is_due:
            self._show_later()
        return is_due

    def _show_later(self) -> None:
        """Come back when the recorded pace brings the next piece."""
        channel = self.above.channel if self.above is not None else self.host.channel
        due_in_s = channel.due_in_s if channel is not None else None
        if due_in_s is not None:
            timer = threading.Timer(due_in_s, self.show)
            timer.daemon = True
            timer.start()

    @property
    def is_due(self) -> bool:
        """A read of the stand-in would not have to wait."""
        if self.above is not None:
            return self.above.is_due or self.above.is_ended
        line = self.host.line
        return self.host.channel.is_due or (isinstance(line, Pump) and line.has_arrived)

    # ------------------------------------------------------------------ octets

    def send(self, data: Any) -> int:
        """Send what a `send` of the socket would; returns how much it took."""
        sock = alive(self._sock)
        octets = octets_of(data)
        if self.above is None and octets[:1] == HANDSHAKE_RECORD and octets in expected_hellos:
            self.above = expected_hellos.pop(octets)(self)
        if self.above is not None:
            if not self.above.is_played:
                return self._send_below_tls(sock, octets)
            self.show()
            return len(octets)
        self._follow(sock, self.host)
        line = self.host.line
        if line is not None and sock.gettimeout() == 0 and not self.host.channel.can_play:
            return self.host.send_some(line.send, octets)
        try:
            self.host.send(octets)
        finally:
            self.show()
        return len(octets)

    def receive_into(self, view: memoryview) -> int:
        """Receive what a `recv_into` of the socket would."""
        sock = alive(self._sock)
        # One read per readiness: who drains a descriptor would else see two pieces as one.
        if sock.gettimeout() == 0 and self.stands_in and (self._rests or not self.is_due):
            self._rests = False
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self.above is not None:
            return self._receive_below_tls(self.above, sock, view)
        try:
            return self.host.receive_into(view)
        finally:
            self.show()
            self._rests = self._stand_in is not None and self._stand_in.is_marked

    def close(self) -> None:
        if self.above is not None:
            self.above.closed()
        self.host.close()
        if self._stand_in is not None:
            self._stand_in.close()

    def renew(self) -> None:
        """After a fork, in the child."""
        if self._stand_in is not None:
            self._stand_in.renew()
            self.show()

    def follow_above(self, host: Host) -> None:
        """The same as for a plain socket, for `host`, which serves the TLS object above this one."""
        self._follow(alive(self._sock), host)

    def _follow(self, sock: socket.socket, host: Host) -> None:
        """Change to the cassette of whoever sends the next request (connections outlive cassettes)."""
        channel = host.channel
        if not (channel.is_between_requests or channel.is_left):
            return
        board = board_to_follow(self.board)
        if board is None:
            return
        if self._stand_in is None:
            refuse_unwatchable(sock, board)
        elif not self.stands_in:
            self.stand_in()
        self.board = board
        host.follow(board.open_channel(channel.origin, channel.via))
        self.host.channel.on_left = self.leave

    # ------------------------------------------------------------------ records of a TLS object above

    def _send_below_tls(self, sock: socket.socket, octets: bytes) -> int:
        if sock.gettimeout() == 0:
            return _send(sock, octets)
        _sendall(sock, octets)
        return len(octets)

    def _receive_below_tls(self, above: Above, sock: socket.socket, view: memoryview) -> int:
        if above.is_played:
            broken = above.lower_failure
            if broken is not None:
                raise rebuild(broken)
            if above.is_ended and not above.is_due:
                return 0
            view[:1] = WAKE
            return 1
        try:
            count = _recv_into(sock, view)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError as error:
            above.lower_failed(error)
            raise
        if not count:
            above.lower_ended()
        return count
