"""Connects of intercepted sockets: made at once, failed as recorded, or postponed until the peer is needed."""

from __future__ import annotations

import _socket
import errno
import os
import socket
import weakref
from typing import Any

from cassette_http.cassette.model import Failure, FailureKind
from cassette_http.intercept.adoption import dial_late, leave_alone
from cassette_http.intercept.kinds import kind_of, raw
from cassette_http.intercept.lines import PlainLine
from cassette_http.intercept.names import Target, UnixTarget, is_invented, target_of
from cassette_http.intercept.running_loop import running_loop
from cassette_http.intercept.taps import Tap, put_tap, timeout_of
from cassette_http.transport import live
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.host import Host, Switchboard, clock
from cassette_http.transport.tunnels import Line

_getpeername = _socket.socket.getpeername

# Sockets whose descriptor the program got before they were connected: a selector may know it.
_with_descriptor_taken: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def note_descriptor_taken(sock: socket.socket) -> None:
    """Remember that the program got the descriptor of a socket that is not connected."""
    _with_descriptor_taken.add(sock)


def connect(sock: socket.socket, board: Switchboard, address: tuple[Any, ...]) -> None:
    """Connect `sock` like its own connect, with a tap. Raises what that would raise, or what was recorded."""
    _Attempt(sock, board, address, target_of(address, is_blocking=sock.gettimeout() != 0)).make()


def connect_unix(sock: socket.socket, board: Switchboard, path: str | bytes) -> None:
    """Connect a Unix socket like its own connect. Raises what that would raise, or what was recorded.

    Most Unix sockets have nothing to do with HTTP, and are left alone. So one that the cassette does not know is
    connected, and taken over when a request begins (`adoption.adopt`).
    """
    target = UnixTarget(path)
    if board.policy.can_play and board.knows_peer(target.host, target.port):
        _Attempt(sock, board, path, target).make()
        return
    started = clock()
    try:
        kind_of(sock).connect(sock, path)
    except BlockingIOError:
        raise
    except OSError as error:
        board.keep_connection_failure(target.peer, describe(FailureKind.CONNECT, error, clock() - started), None)
        raise
    leave_alone(sock)


def connect_again(sock: socket.socket, tap: Tap, address: Any) -> None:
    """Some programs call connect a second time to learn how the first call ended."""
    if tap.pending_error:
        number, tap.pending_error = tap.pending_error, 0
        raise OSError(number, os.strerror(number))
    if tap.stands_in:
        number = errno.EALREADY if tap.never_connects else errno.EISCONN
        raise OSError(number, os.strerror(number))
    try:
        kind_of(sock).connect(sock, address)
    except BlockingIOError:
        raise
    except OSError as error:
        connect_ended(tap, 0 if error.errno == errno.EISCONN else error.errno or 0)
        raise
    connect_ended(tap, 0)


def connect_ended(tap: Tap, number: int) -> None:
    """A connect in progress has ended, with an error if `number` is not 0."""
    if tap.on_connect_ended is not None:
        on_ended, tap.on_connect_ended = tap.on_connect_ended, None
        on_ended(number)


class _Attempt:
    def __init__(self, sock: socket.socket, board: Switchboard, address: Any, target: Target) -> None:
        self._board, self._address, self._target = board, address, target
        self._lookup, self._origin = target.lookup, target.peer
        self._channel = board.open_channel(target.origin, None)
        if any(board.may_answer(host, target.port) for host in target.others):  # one of them may be meant
            self._channel.can_play = True
        self._tap = Tap(sock, board, Host(self._channel, self._dial, timeout_of(sock)), self._target, address)
        self._started, self._successes_before = clock(), self._lookup.successes

    @property
    def _literal(self) -> tuple[str, int]:
        return self._target.address, self._target.port

    def make(self) -> None:
        tap, sock = self._tap, self._tap.sock
        kinds = FailureKind.CONNECT, FailureKind.END, FailureKind.RESET
        failure = self._lookup.failure_to_play(self._literal, lambda: self._board.fail_connection(self._origin, *kinds))
        if failure is not None and failure.kind is FailureKind.CONNECT:
            self._fail_as_recorded(failure)
        elif failure is not None:
            self._lookup.connect_succeeded()
            self._channel.break_at_once(failure)
        try:
            tap.host.open()
        except BlockingIOError:
            tap.host.line = PlainLine(sock)
            tap.on_connect_ended, tap.on_closed = self._ended, self._given_up
            put_tap(sock, tap)
            raise
        if tap.host.line is None:
            self._stand_in()
        put_tap(sock, tap)
        if tap.stands_in and sock.gettimeout() == 0 and not isinstance(self._target, UnixTarget):
            raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))  # like each connect over TCP

    def _fail_as_recorded(self, failure: Failure) -> None:
        error, tap, sock = rebuild(failure), self._tap, self._tap.sock
        if sock.gettimeout() != 0 or isinstance(self._target, UnixTarget):
            raise error
        # A non-blocking connect fails later: the event loop asks for SO_ERROR when the descriptor is writable.
        tap.pending_error = error.errno or 0
        tap.is_refused = True
        self._stand_in()
        if failure.is_timeout:
            tap.never_connect()
        put_tap(sock, tap)
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))

    def _stand_in(self) -> None:
        # Event loops get the descriptor early, but watch it only from now on.
        self._tap.stand_in(was_watched=self._tap.sock in _with_descriptor_taken and running_loop() is None)

    def _dial(self) -> Line:
        if self._tap.stands_in:
            return dial_late(self._tap)
        sock = self._tap.sock
        self._board.note_connection(self._channel)
        try:
            address = self._real_address(sock.family)
            with live.dialling():  # because gevent looks up the name by itself
                kind_of(sock).connect(sock, address)
        except BlockingIOError:
            raise  # the connect is in progress
        except OSError as error:
            self._failed(error)
            raise
        self._lookup.connect_succeeded()
        return PlainLine(sock)

    def _real_address(self, family: int) -> Any:
        if not is_invented(self._target.address):
            return self._address
        found = socket.getaddrinfo(self._target.host, self._target.port, family, socket.SOCK_STREAM)
        return found[0][4]

    def _ended(self, number: int) -> None:
        """A connect in progress has ended, successfully if `number` is 0."""
        self._tap.on_closed = None
        if number:
            self._failed(OSError(number, os.strerror(number)))
        else:
            self._lookup.connect_succeeded()

    def _given_up(self) -> None:
        """The program closes the socket while a connect is in progress."""
        try:
            _getpeername(raw(self._tap.sock))
        except OSError:
            self._failed(TimeoutError("timed out"))  # with the text of a blocking connect

    def _failed(self, error: OSError) -> None:
        if self._channel.is_passing:
            return
        self._channel.has_failed = True
        failure = describe(FailureKind.CONNECT, error, clock() - self._started)
        self._lookup.connect_failed(
            self._literal,
            self._successes_before,
            self._channel,
            lambda: self._board.keep_connection_failure(self._origin, failure, None),
        )
