"""The hooks on Python's sockets: each asks whether the socket has a tap, and is the original if it has none."""

from __future__ import annotations

import errno
import os
import socket
import weakref
from typing import Any

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.intercept.current import current_board
from cassette_http.intercept.names import is_invented, target_of
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.taps import (
    PlainLine,
    Pump,
    Tap,
    alive,
    host_of_request,
    put_adopting_tap,
    put_tap,
    refuse_unwatchable,
    take_tap,
    tap_of,
    timeout_of,
)
from cassette_http.transport import live
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.socket_face import Host, Line, clock

__all__ = ["PATCHES"]

PATCHES = Patches()

_connect = socket.socket.connect
_getpeername = socket.socket.getpeername


# ---------------------------------------------------------------------- connecting


@PATCHES.hook(socket.socket, "connect")
def _tapped_connect(original: Any, self: socket.socket, address: Any) -> Any:
    board = current_board()
    if board is None or not _is_tcp(self) or live.is_dialling():
        return original(self, address)
    target = target_of(address)
    origin = Origin("tcp", target.host, target.port)
    here = weakref.ref(self)
    started = clock()

    def keep_failure(error: OSError) -> None:
        if target.is_last and not tap.host.channel.is_passing:
            failure = describe(FailureKind.CONNECT, error, clock() - started)
            tap.board.keep_connection_failure(origin, failure, None)

    def dial() -> Line:
        sock = alive(here)
        tap.board.note_connection(tap.host.channel)
        try:
            if not tap.stands_in and is_invented(address):
                found = socket.getaddrinfo(target.host, target.port, sock.family, socket.SOCK_STREAM)
                _connect(sock, found[0][4])
            elif not tap.stands_in:
                _connect(sock, address)
            elif sock.gettimeout() == 0:
                return Pump(live.connect((target.host, target.port)), tap.show)
            else:
                with live.connect((target.host, target.port), sock.gettimeout()) as fresh:
                    tap.take_descriptor(fresh)
        except BlockingIOError:
            raise  # a connect that is under way
        except OSError as error:
            keep_failure(error)
            raise
        return PlainLine(sock)

    def connect_ended(number: int) -> None:
        if number:
            keep_failure(OSError(number, os.strerror(number)))

    channel = board.open_channel(Origin("http", target.host, target.port), None)
    tap = Tap(self, board, Host(channel, dial, timeout_of(self)), target, address)
    failure = board.fail_connection(origin, FailureKind.CONNECT)
    if failure is not None:
        error = rebuild(failure)
        if self.gettimeout() != 0 or error.errno is None:
            raise error
        # Without waiting, a connect fails later: the loop asks for SO_ERROR when the descriptor is writable.
        tap.pending_error = error.errno
        tap.stand_in()
        put_tap(self, tap)
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
    try:
        tap.host.open()
    except BlockingIOError:
        tap.host.line = PlainLine(self)
        tap.connecting = connect_ended
        put_tap(self, tap)
        raise
    if tap.host.line is None:
        tap.stand_in()
    put_tap(self, tap)
    return None


@PATCHES.hook(socket.socket, "connect_ex")
def _tapped_connect_ex(original: Any, self: socket.socket, address: Any) -> Any:
    if current_board() is None or not _is_tcp(self) or live.is_dialling():
        return original(self, address)
    try:
        _tapped_connect(_connect, self, address)
    except TimeoutError:
        return errno.EAGAIN
    except OSError as error:
        if error.errno is None:
            raise
        return error.errno
    return 0


@PATCHES.hook(socket.socket, "getsockopt")
def _tapped_getsockopt(original: Any, self: socket.socket, level: int, name: int, *args: Any) -> Any:
    tap = tap_of(self)
    value = original(self, level, name, *args)
    if tap is None or (level, name) != (socket.SOL_SOCKET, socket.SO_ERROR):
        return value
    if tap.connecting is not None:
        told, tap.connecting = tap.connecting, None
        told(value)
    if tap.pending_error:
        value, tap.pending_error = tap.pending_error, 0
    return value


@PATCHES.hook(socket.socket, "_real_close")
def _tapped_close(original: Any, self: socket.socket, *args: Any) -> None:
    tap = take_tap(self)
    if tap is not None:
        tap.close()
    original(self, *args)


@PATCHES.hook(socket.socket, "fileno")
def _tapped_fileno(original: Any, self: socket.socket) -> Any:
    tap = tap_of(self)
    if tap is not None:
        tap.watch()
    return original(self)


@PATCHES.hook(socket.socket, "getpeername")
def _tapped_getpeername(original: Any, self: socket.socket) -> Any:
    tap = tap_of(self)
    return tap.peer if tap is not None and tap.stands_in else original(self)


@PATCHES.hook(socket.socket, "getsockname")
def _tapped_getsockname(original: Any, self: socket.socket) -> Any:
    tap = tap_of(self)
    if tap is None or not tap.stands_in:
        return original(self)
    return ("::1", 0, 0, 0) if self.family == socket.AF_INET6 else ("127.0.0.1", 0)


@PATCHES.hook(socket.socket, "setsockopt")
def _tapped_setsockopt(original: Any, self: socket.socket, *args: Any) -> Any:
    tap = tap_of(self)
    if tap is None or not tap.stands_in:
        return original(self, *args)
    tap.options.append(args)
    return None


@PATCHES.hook(socket.socket, "shutdown")
def _tapped_shutdown(original: Any, self: socket.socket, how: int) -> Any:
    tap = tap_of(self)
    return original(self, how) if tap is None or not tap.stands_in else None


# ---------------------------------------------------------------------- sending


def _adopt(sock: socket.socket, data: Any) -> Tap | None:
    """Give a tap to a connection that was open before the cassette, and that now begins a request; else None.

    Its host is known by the Host field: nobody saw the look-up.
    """
    board = current_board()
    if board is None or not _is_tcp(sock) or live.is_ours(sock):
        return None
    host = host_of_request(data)
    if host is None:
        return None
    refuse_unwatchable(sock, board)
    peer = _getpeername(sock)
    return put_adopting_tap(sock, board, Origin("http", host or str(peer[0]), peer[1]), PlainLine(sock), peer)


@PATCHES.hook(socket.socket, "sendall")
def _tapped_sendall(original: Any, self: socket.socket, data: Any, flags: int = 0) -> Any:
    tap = tap_of(self) or _adopt(self, data)
    if tap is None:
        return original(self, data, flags)
    view = memoryview(data).cast("B")
    while view:
        view = view[tap.send(view) :]
    return None


@PATCHES.hook(socket.socket, "send")
def _tapped_send(original: Any, self: socket.socket, data: Any, flags: int = 0) -> int:
    tap = tap_of(self) or _adopt(self, data)
    if tap is None:
        return original(self, data, flags)  # type: ignore[no-any-return]  # the original gives an int
    return tap.send(data)


@PATCHES.hook(socket.socket, "sendmsg")
def _tapped_sendmsg(original: Any, self: socket.socket, buffers: Any, *args: Any) -> int:
    buffers = list(buffers)
    tap = tap_of(self) or (_adopt(self, buffers[0]) if buffers else None)
    if tap is None:
        return original(self, buffers, *args)  # type: ignore[no-any-return]  # the original gives an int
    return tap.send(b"".join(buffers))


@PATCHES.hook(socket.socket, "sendfile")
def _tapped_sendfile(original: Any, self: socket.socket, file: Any, offset: int = 0, count: int | None = None) -> Any:
    if tap_of(self) is None:
        return original(self, file, offset, count)
    return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]  # sends by self.send


# ---------------------------------------------------------------------- receiving


@PATCHES.hook(socket.socket, "recv_into")
def _tapped_recv_into(original: Any, self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    tap = tap_of(self)
    if tap is None:
        return original(self, buffer, nbytes, flags)  # type: ignore[no-any-return]  # the original gives an int
    view = memoryview(buffer).cast("B")
    return tap.receive_into(view[:nbytes] if nbytes else view)


@PATCHES.hook(socket.socket, "recv")
def _tapped_recv(original: Any, self: socket.socket, bufsize: int, flags: int = 0) -> bytes:
    tap = tap_of(self)
    if tap is None:
        return original(self, bufsize, flags)  # type: ignore[no-any-return]  # the original gives bytes
    buffer = bytearray(bufsize)
    count = tap.receive_into(memoryview(buffer))
    return bytes(memoryview(buffer)[:count])


def _is_tcp(sock: socket.socket) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
