"""The hooks on Python's sockets: each asks whether the socket has a tap, and is the original if it has none."""

from __future__ import annotations

import errno
import os
import socket
import weakref
from typing import Any

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.intercept.adoption import adopt, dial_late, is_tcp
from cassette_http.intercept.current import current_board
from cassette_http.intercept.lines import PlainLine
from cassette_http.intercept.names import is_invented, target_of
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.running_loop import running_loop
from cassette_http.intercept.taps import Tap, put_tap, take_tap, tap_of, tap_of_descriptor, timeout_of
from cassette_http.transport import live
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.socket_face import Host, Line, clock

__all__ = ["PATCHES"]

PATCHES = Patches()

_connect = socket.socket.connect

LARGEST_PIECE_OF_FILE = 1 << 18

# Levels of options that a stand-in knows nothing of.
NETWORK_LEVELS = {socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6}


# ---------------------------------------------------------------------- connecting


@PATCHES.hook(socket.socket, "connect")
def _tapped_connect(original: Any, self: socket.socket, address: Any) -> Any:
    board = current_board()
    if board is None or not is_tcp(self) or live.is_dialling():
        return original(self, address)
    earlier = tap_of(self)
    if earlier is not None:
        return _connect_again(original, self, earlier, address)
    target = target_of(address, is_blocking=self.gettimeout() != 0)
    lookup, literal = target.lookup, (str(address[0]).lower(), int(address[1]))
    origin = Origin("tcp", target.host, target.port)
    started, began = clock(), lookup.successes

    def failed(error: OSError) -> None:
        if channel.is_passing:
            return
        failure = describe(FailureKind.CONNECT, error, clock() - started)
        lookup.connect_failed(literal, began, channel, lambda: board.keep_connection_failure(origin, failure, None))

    def dial() -> Line:
        if tap.stands_in:
            return dial_late(tap)
        sock = tap.sock
        board.note_connection(channel)
        try:
            if is_invented(address):
                found = socket.getaddrinfo(target.host, target.port, sock.family, socket.SOCK_STREAM)
                _connect(sock, found[0][4])
            else:
                _connect(sock, address)
        except BlockingIOError:
            raise  # a connect that is under way
        except OSError as error:
            failed(error)
            raise
        lookup.connect_succeeded()
        return PlainLine(sock)

    def connect_ended(number: int) -> None:
        if number:
            failed(OSError(number, os.strerror(number)))
        else:
            lookup.connect_succeeded()

    channel = board.open_channel(Origin("http", target.host, target.port), None)
    tap = Tap(self, board, Host(channel, dial, timeout_of(self)), target, address)
    failure = lookup.failure_to_play(literal, lambda: board.fail_connection(origin, FailureKind.CONNECT))
    if failure is not None:
        error = rebuild(failure)
        if self.gettimeout() != 0 or error.errno is None:
            raise error
        # Without waiting, a connect fails later: the loop asks for SO_ERROR when the descriptor is writable.
        tap.pending_error = error.errno
        tap.stand_in(was_watched=_was_watched(self))
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
        tap.stand_in(was_watched=_was_watched(self))
    put_tap(self, tap)
    return None


def _connect_again(original: Any, sock: socket.socket, tap: Tap, address: Any) -> Any:
    """Some ask by a second connect how the first one ended."""
    if tap.pending_error:
        number, tap.pending_error = tap.pending_error, 0
        raise OSError(number, os.strerror(number))
    if tap.stands_in:
        raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
    try:
        result = original(sock, address)
    except BlockingIOError:
        raise
    except OSError as error:
        _tell_connected(tap, 0 if error.errno == errno.EISCONN else error.errno or 0)
        raise
    _tell_connected(tap, 0)
    return result


def _tell_connected(tap: Tap, number: int) -> None:
    if tap.connecting is not None:
        told, tap.connecting = tap.connecting, None
        told(number)


# Sockets whose descriptor somebody asked for before they were connected: it may be known to a selector.
_asked: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _was_watched(sock: socket.socket) -> bool:
    return sock in _asked and running_loop() is None


@PATCHES.hook(socket.socket, "connect_ex")
def _tapped_connect_ex(original: Any, self: socket.socket, address: Any) -> Any:
    if current_board() is None or not is_tcp(self) or live.is_dialling():
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
    if tap is not None and tap.stands_in and level in NETWORK_LEVELS:
        values = [value for known, which, value, *_ in tap.options if (known, which) == (level, name)]
        return bytes(args[0]) if args else int(values[-1] if values else 0)
    value = original(self, level, name, *args)
    if tap is None or (level, name) != (socket.SOL_SOCKET, socket.SO_ERROR):
        return value
    _tell_connected(tap, value)
    if tap.pending_error:
        value, tap.pending_error = tap.pending_error, 0
    return value


@PATCHES.hook(socket.socket, "_real_close")
def _tapped_close(original: Any, self: socket.socket, *args: Any) -> None:
    tap = take_tap(self)
    if tap is not None:
        tap.close()
    original(self, *args)


@PATCHES.hook(socket.socket, "dup")
def _tapped_dup(original: Any, self: socket.socket) -> Any:
    copy, tap = original(self), tap_of(self)
    if tap is not None:
        tap.is_shared = True
        put_tap(copy, tap)
    return copy


# Taps of descriptors that were taken out of their sockets, to be put into others; with what the descriptor stands for,
# as a closed one may come back as another file's.
_detached: dict[int, tuple[Tap, int]] = {}


@PATCHES.hook(socket.socket, "detach")
def _tapped_detach(original: Any, self: socket.socket) -> int:
    descriptor: int = original(self)
    tap = take_tap(self)
    if tap is not None:
        _detached[descriptor] = tap, os.fstat(descriptor).st_ino
    return descriptor


@PATCHES.hook(socket.socket, "__init__")
def _tapped_init(
    original: Any, self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
) -> None:
    original(self, family, type, proto, fileno)
    if fileno is None or not _detached:
        return
    tap, file = _detached.pop(fileno, (None, 0))
    if tap is not None and os.fstat(fileno).st_ino == file:
        tap.move(self)
        put_tap(self, tap)


@PATCHES.hook(socket.socket, "fileno")
def _tapped_fileno(original: Any, self: socket.socket) -> Any:
    tap = tap_of(self)
    if tap is not None:
        tap.watch()
    elif is_tcp(self):
        _asked.add(self)
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
    if tap is None or not tap.stands_in:
        return original(self, how)
    tap.shutdown(how)
    return None


# ---------------------------------------------------------------------- sending


@PATCHES.hook(socket.socket, "sendall")
def _tapped_sendall(original: Any, self: socket.socket, data: Any, flags: int = 0) -> Any:
    tap = tap_of(self) or adopt(self, data)
    if tap is None:
        return original(self, data, flags)
    view = memoryview(data).cast("B")
    while view:
        view = view[tap.send(view) :]
    return None


@PATCHES.hook(socket.socket, "send")
def _tapped_send(original: Any, self: socket.socket, data: Any, flags: int = 0) -> int:
    tap = tap_of(self) or adopt(self, data)
    if tap is None:
        return original(self, data, flags)  # type: ignore[no-any-return]  # the original gives an int
    return tap.send(data)


@PATCHES.hook(socket.socket, "sendmsg")
def _tapped_sendmsg(original: Any, self: socket.socket, buffers: Any, *args: Any) -> int:
    buffers = list(buffers)
    tap = tap_of(self) or (adopt(self, buffers[0]) if buffers else None)
    if tap is None:
        return original(self, buffers, *args)  # type: ignore[no-any-return]  # the original gives an int
    return tap.send(b"".join(buffers))


@PATCHES.hook(socket.socket, "sendfile")
def _tapped_sendfile(original: Any, self: socket.socket, file: Any, offset: int = 0, count: int | None = None) -> Any:
    if tap_of(self) is None:
        return original(self, file, offset, count)
    return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]  # sends by self.send


@PATCHES.hook(os, "sendfile")
def _tapped_sendfile_of_system(original: Any, out_fd: int, in_fd: int, offset: Any, count: int, *args: Any) -> int:
    tap = tap_of_descriptor(out_fd)
    if tap is None:
        return original(out_fd, in_fd, offset, count, *args)  # type: ignore[no-any-return]  # the original gives an int
    size = min(count, LARGEST_PIECE_OF_FILE)
    octets = os.read(in_fd, size) if offset is None else os.pread(in_fd, size, offset)
    return tap.send(octets) if octets else 0


# ---------------------------------------------------------------------- receiving


@PATCHES.hook(socket.socket, "recv_into")
def _tapped_recv_into(original: Any, self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    tap = tap_of(self)
    if tap is None:
        return original(self, buffer, nbytes, flags)  # type: ignore[no-any-return]  # the original gives an int
    view = memoryview(buffer).cast("B")
    return tap.receive_into(view[:nbytes] if nbytes else view, flags)


@PATCHES.hook(socket.socket, "recv")
def _tapped_recv(original: Any, self: socket.socket, bufsize: int, flags: int = 0) -> bytes:
    tap = tap_of(self)
    if tap is None:
        return original(self, bufsize, flags)  # type: ignore[no-any-return]  # the original gives bytes
    buffer = bytearray(bufsize)
    count = tap.receive_into(memoryview(buffer), flags)
    return bytes(memoryview(buffer)[:count])


# On a connection, these say of the sender what recv() does: nothing.


@PATCHES.hook(socket.socket, "recvfrom")
def _tapped_recvfrom(original: Any, self: socket.socket, bufsize: int, flags: int = 0) -> Any:
    return original(self, bufsize, flags) if tap_of(self) is None else (self.recv(bufsize, flags), None)


@PATCHES.hook(socket.socket, "recvfrom_into")
def _tapped_recvfrom_into(original: Any, self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
    if tap_of(self) is None:
        return original(self, buffer, nbytes, flags)
    return self.recv_into(buffer, nbytes, flags), None


@PATCHES.hook(socket.socket, "recvmsg")
def _tapped_recvmsg(original: Any, self: socket.socket, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> Any:
    if tap_of(self) is None:
        return original(self, bufsize, ancbufsize, flags)
    return self.recv(bufsize, flags), [], 0, None


@PATCHES.hook(socket.socket, "recvmsg_into")
def _tapped_recvmsg_into(original: Any, self: socket.socket, buffers: Any, *args: int) -> Any:
    tap = tap_of(self)
    if tap is None:
        return original(self, buffers, *args)
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    octets = bytearray(sum(map(len, views)))
    count = tap.receive_into(memoryview(octets), args[1] if len(args) > 1 else 0)
    rest = memoryview(octets)[:count]
    for view in views:
        taken = min(len(view), len(rest))
        view[:taken], rest = rest[:taken], rest[taken:]
    return count, [], 0, None
