"""The live side of an intercepted socket (`transport.host.Line`)."""

from __future__ import annotations

import _socket
import errno
import selectors
import socket
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from cassette_http.intercept.kinds import kind_of, raw
from cassette_http.system import os
from cassette_http.transport.failures import read_timed_out
from cassette_http.transport.host import NOT_NOW

Socket = TypeVar("Socket", bound=socket.socket)

_shutdown = _socket.socket.shutdown

# How many reads may wait for a client that does not take them.
MOST_ARRIVED = 2


def alive(reference: weakref.ref[Socket]) -> Socket:
    """The socket behind a reference, which is only used while a method of the socket runs."""
    sock = reference()
    assert sock is not None, "a socket is alive while one of its methods runs"
    return sock


class PlainLine:
    """The live side of an intercepted TCP socket: the socket itself, through its original methods."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = weakref.ref(sock)  # the tap must not keep the socket alive
        self._kind = kind_of(sock)

    def send(self, data: bytes, flags: int = 0, /) -> int:
        return self._kind.send(alive(self._sock), data, flags)

    def sendall(self, data: Any, /) -> None:
        self._kind.sendall(alive(self._sock), data)

    def recv(self, at_most: int, /) -> bytes:
        return self._kind.recv(alive(self._sock), at_most)

    def close(self) -> None:
        """Do nothing: the socket belongs to the program."""


class TLSLine:
    """The live side of an intercepted TLS socket: its TLS state in C.

    `sock` is our own socket below that state, if there is one; its time-out follows the program's.
    """

    def __init__(
        self,
        state: Any,
        sock: ssl.SSLSocket | None = None,
        timeout_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._state, self._sock, self._timeout_s = state, sock, timeout_s

    def send(self, data: bytes, /) -> int:
        return self._state.write(data)  # type: ignore[no-any-return]  # the state gives an int

    def sendall(self, data: Any, /) -> None:
        self._follow_timeout()
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += self._state.write(view[sent:])

    def recv(self, at_most: int, /) -> bytes:
        self._follow_timeout()
        return self._state.read(at_most)  # type: ignore[no-any-return]  # the state gives bytes

    def _follow_timeout(self) -> None:
        if self._sock is not None:
            self._sock.settimeout(self._timeout_s())

    def close(self) -> None:
        """Close our own socket; any other belongs to the program."""
        if self._sock is not None:
            self._sock.close()


class Pump:
    """The live side of a watched socket that was dialled late: the stand-in keeps its descriptor.

    A thread dials, sends and reads, and calls `wake` when something has arrived, so an event loop is never blocked.
    `timeout_s` says how long the program's reads wait.
    """

    def __init__(
        self, dial: Callable[[], socket.socket], wake: Callable[[], None], timeout_s: Callable[[], float | None]
    ) -> None:
        self._wake, self._timeout_s = wake, timeout_s
        self._outgoing: deque[memoryview] = deque()
        self._arrived: deque[bytes | OSError] = deque()
        self._moved = threading.Condition()
        self._connection: socket.socket | None = None
        self._ends_sending = self._has_ended = self._is_closed = False
        # Wakes the thread while it waits for its connection.
        self._bell, self._button = socket.socketpair()
        for end in (self._bell, self._button):
            end.setblocking(False)
        threading.Thread(target=self._run, args=[[dial]], name="cassette-http-pump", daemon=True).start()

    # ------------------------------------------------------------------ what the program does

    @property
    def has_arrived(self) -> bool:
        return bool(self._arrived)

    @property
    def is_cut_off(self) -> bool:
        """The next event is the end of a TLS connection without close_notify."""
        return bool(self._arrived) and isinstance(self._arrived[0], ssl.SSLEOFError)

    @property
    def is_broken(self) -> bool:
        """The next event is an error of TCP, or of its connect."""
        next_one = self._arrived[0] if self._arrived else b""
        return isinstance(next_one, OSError) and not isinstance(next_one, ssl.SSLError)

    def send(self, data: bytes, /) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: Any, /) -> None:
        with self._moved:
            self._outgoing.append(memoryview(bytes(data)))
        self._ring()

    def recv(self, at_most: int, /) -> bytes:
        with self._moved:
            timeout_s = self._timeout_s()
            if not self._moved.wait_for(lambda: self._arrived, timeout_s):
                if timeout_s == 0:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                raise read_timed_out(is_tls=isinstance(self._connection, ssl.SSLSocket))
            octets = self._arrived[0]
            if isinstance(octets, OSError):
                raise octets
            if at_most < len(octets):
                octets, self._arrived[0] = octets[:at_most], octets[at_most:]
            elif octets:  # the end of the stream is kept there
                self._arrived.popleft()
        self._ring()
        return octets

    def end_sending(self) -> None:
        self._ends_sending = True
        self._ring()

    def close(self) -> None:
        """Close the connection, once everything that can be sent was sent; this ends the thread."""
        self._is_closed = True
        self._ring()

    def after_fork_in_child(self) -> None:
        """After a fork, the thread and the connection belong to the parent."""
        self._moved = threading.Condition()
        for one in (self._connection, self._bell, self._button):
            if one is not None:
                one.close()
        self._arrived.append(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def _ring(self) -> None:
        # Not while the thread closes it: another file may get the descriptor.
        with self._moved, suppress(OSError):  # it has been rung already, or the thread is gone
            self._button.send(b"\0")

    # ------------------------------------------------------------------ what the thread does

    def _run(self, dial: list[Callable[[], socket.socket]]) -> None:
        try:
            # `dial` refers to the program's socket, so it must not be kept longer than needed.
            with dial.pop()() as self._connection:
                self._connection.setblocking(False)
                self._carry(self._connection)
        except OSError as error:
            self._arrive(error)
        finally:
            with self._moved:
                self._bell.close()
                self._button.close()

    def _carry(self, connection: socket.socket) -> None:
        """Send and read until the program closes. Raises what breaks the connection."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            watched = 0
            while not (self._is_closed and not self._outgoing):
                events = self._send(connection) | self._receive(connection)
                if events != watched:
                    if watched:
                        selector.unregister(connection)
                    if events:
                        selector.register(connection, events)
                    watched = events
                if self._is_closed and not events & selectors.EVENT_WRITE:
                    return
                selector.select()
                with suppress(BlockingIOError):
                    while self._bell.recv(4096):
                        pass

    def _send(self, connection: socket.socket) -> int:
        """Send what the peer accepts; returns the event to wait for before more can be sent."""
        while self._outgoing:
            try:
                sent = connection.send(self._outgoing[0])
            except ssl.SSLWantReadError:
                return selectors.EVENT_READ
            except NOT_NOW:
                return selectors.EVENT_WRITE
            if not sent:
                return selectors.EVENT_WRITE  # TLS of gevent reports it like this
            with self._moved:
                rest = self._outgoing.popleft()[sent:]
                if rest:
                    self._outgoing.appendleft(rest)
        if self._ends_sending:
            self._ends_sending = False
            _shutdown(raw(connection), socket.SHUT_WR)
        return 0

    def _receive(self, connection: socket.socket) -> int:
        """Read what there is; returns the event to wait for before there is more."""
        # Does not read ahead of the client: what it does not take stays with the peer.
        while not self._has_ended and len(self._arrived) < MOST_ARRIVED:
            try:
                octets = connection.recv(65536)
            except ssl.SSLWantWriteError:
                return selectors.EVENT_WRITE
            except NOT_NOW:
                return selectors.EVENT_READ
            self._has_ended = not octets
            self._arrive(octets)
        return 0

    def _arrive(self, octets: bytes | OSError) -> None:
        with self._moved:
            self._arrived.append(octets)
            self._moved.notify_all()
        self._wake()
