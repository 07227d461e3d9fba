"""The hooks on Python's sockets: each looks for the tap of its socket, and calls the original if there is none.

They are used for other kinds of sockets too (`gevent_sockets`).
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cassette_http.intercept.adoption import adopt, is_stream, is_tcp, is_unix
from cassette_http.intercept.connecting import (
    connect,
    connect_again,
    connect_ended,
    connect_unix,
    note_descriptor_taken,
)
from cassette_http.intercept.current import current_board
from cassette_http.intercept.kinds import PythonSocket, kind_of
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.taps import Tap, note_option, put_tap, take_tap, tap_of, tap_of_descriptor
from cassette_http.transport import live
from cassette_http.transport.host import octets_of, put_into

PATCHES = Patches()

_setsockopt = _socket.socket.setsockopt
_getsockopt = _socket.socket.getsockopt

LARGEST_PIECE_OF_FILE = 1 << 18

# Some connection pools use this option of Linux to check a connection: the first octet is its state.
TCP_INFO = socket.TCP_INFO if sys.platform == "linux" else None
ESTABLISHED, CLOSE_WAIT = b"\x01", b"\x08"

# Levels of options that a local socket pair does not support.
NETWORK_LEVELS = {socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6}


# ---------------------------------------------------------------------- connecting


@PATCHES.hook(PythonSocket, "connect")
def _tapped_connect(self: socket.socket, address: Any, *, original: Any) -> Any:
    board = current_board()
    if board is None or live.is_dialling():
        return original(self, address)
    if is_unix(self) and isinstance(address, str | bytes):
        return connect_unix(self, board, address)
    if not is_tcp(self) or not _is_well_formed(address):
        return original(self, address)
    tap = tap_of(self)
    return connect(self, board, address) if tap is None else connect_again(self, tap, address)


@PATCHES.hook(PythonSocket, "connect_ex")
def _tapped_connect_ex(self: socket.socket, address: Any, *, original: Any) -> Any:
    if current_board() is None or not is_stream(self) or live.is_dialling():
        return original(self, address)
    try:
        _tapped_connect(self, address, original=kind_of(self).connect)
    except TimeoutError:
        return errno.EAGAIN
    except OSError as error:
        if error.errno is None or isinstance(error, socket.gaierror):
            raise
        return error.errno
    return 0


def _is_well_formed(address: Any) -> bool:
    """Tell whether it is an Internet address; others are left to the socket, which refuses them."""
    if not isinstance(address, tuple) or len(address) < 2:
        return False
    port = address[1]
    return isinstance(port, int) and 0 <= port < 1 << 16


@PATCHES.hook(PythonSocket, "getsockopt")
def _tapped_getsockopt(self: socket.socket, level: int, name: int, *args: Any, original: Any) -> Any:
    tap = tap_of(self)
    if tap is not None and tap.stands_in:
        given = [option for option in tap.options if option[:2] == (level, name)]
        if given or level in NETWORK_LEVELS:
            alike = _socket.socket(self.family, self.type, self.proto)
            try:
                for option in given:
                    _setsockopt(alike, *option)
                value = _getsockopt(alike, level, name, *args)
            finally:
                alike.close()
            if (level, name) == (socket.IPPROTO_TCP, TCP_INFO) and isinstance(value, bytes):
                return (CLOSE_WAIT if tap.is_ended else ESTABLISHED) + value[1:]
            return value
    value = original(self, level, name, *args)
    if tap is None or (level, name) != (socket.SOL_SOCKET, socket.SO_ERROR):
        return value
    connect_ended(tap, value)
    if tap.pending_error:
        value, tap.pending_error = tap.pending_error, 0
    return value


@PATCHES.hook(PythonSocket, "_real_close")
def _tapped_close(self: socket.socket, *args: Any, original: Any) -> None:
    tap = take_tap(self)
    if tap is not None:
        tap.close()
    original(self, *args)


@PATCHES.hook(PythonSocket, "dup")
def _tapped_dup(self: socket.socket, *, original: Any) -> Any:
    copy, tap = original(self), tap_of(self)
    if tap is not None:
        tap.is_shared = True
        put_tap(copy, tap)
    return copy


# Taps whose descriptor was detached from its socket, to be put into another; with the identity of its file, as a number
# can be used again for another file once it is closed.
_detached: dict[int, tuple[Tap, int]] = {}


@PATCHES.hook(PythonSocket, "detach")
def _tapped_detach(self: socket.socket, *, original: Any) -> int:
    descriptor: int = original(self)
    tap = take_tap(self)
    if tap is not None:
        with suppress(OSError):  # a loop in C has closed it
            _detached[descriptor] = tap, os.fstat(descriptor).st_ino
    return descriptor


@PATCHES.hook(PythonSocket, "__init__")
def _tapped_init(
    self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None, *, original: Any
) -> None:
    original(self, family, type, proto, fileno)
    if fileno is None or not _detached:
        return
    tap, file = _detached.pop(fileno, (None, 0))
    if tap is not None and os.fstat(fileno).st_ino == file:
        tap.move(self)
        put_tap(self, tap)


@PATCHES.hook(PythonSocket, "fileno")
def _tapped_fileno(self: socket.socket, *, original: Any) -> Any:
    tap = tap_of(self)
    if tap is not None:
        tap.watch()
    elif is_stream(self):
        note_descriptor_taken(self)
    return original(self)


@PATCHES.hook(PythonSocket, "getpeername")
def _tapped_getpeername(self: socket.socket, *, original: Any) -> Any:
    tap = tap_of(self)
    return original(self) if tap is None else tap.peername()


@PATCHES.hook(PythonSocket, "getsockname")
def _tapped_getsockname(self: socket.socket, *, original: Any) -> Any:
    tap = tap_of(self)
    return original(self) if tap is None else tap.sockname()


@PATCHES.hook(PythonSocket, "setsockopt")
def _tapped_setsockopt(self: socket.socket, *args: Any, original: Any) -> Any:
    tap = tap_of(self)
    if tap is not None and tap.stands_in:
        tap.options.append(args)
        return None
    if tap is None and is_stream(self) and current_board() is not None:
        note_option(self, args)
    return original(self, *args)


@PATCHES.hook(PythonSocket, "shutdown")
def _tapped_shutdown(self: socket.socket, how: int, *, original: Any) -> Any:
    tap = tap_of(self)
    if tap is not None:
        tap.shutdown(how)
    return None if tap is not None and tap.stands_in else original(self, how)


# ---------------------------------------------------------------------- sending


@PATCHES.hook(PythonSocket, "sendall")
def _tapped_sendall(self: socket.socket, data: Any, flags: int = 0, *, original: Any) -> Any:
    tap = tap_of(self) or adopt(self, data)
    if tap is None:
        return original(self, data, flags)
    rest = octets_of(data)
    while rest:
        rest = rest[tap.send(rest, flags) :]
    return None


@PATCHES.hook(PythonSocket, "send")
def _tapped_send(
    self: socket.socket, data: Any, flags: int = 0, *args: Any, original: Callable[..., int], **options: Any
) -> int:
    tap = tap_of(self) or adopt(self, data)
    if tap is None:
        return original(self, data, flags, *args, **options)
    return tap.send(data, flags)


@PATCHES.hook(PythonSocket, "sendmsg")
def _tapped_sendmsg(
    self: socket.socket, buffers: Any, ancdata: Any = (), flags: int = 0, *address: Any, original: Callable[..., int]
) -> int:
    buffers = list(buffers)
    tap = tap_of(self) or (adopt(self, buffers[0]) if buffers else None)
    if tap is None:
        return original(self, buffers, ancdata, flags, *address)
    if ancdata or flags or address:
        original(self, [], ancdata, flags, *address)  # sends nothing, but raises if they are wrong
    return tap.send(b"".join(map(octets_of, buffers)), flags)


@PATCHES.hook(PythonSocket, "sendfile")
def _tapped_sendfile(
    self: socket.socket, file: Any, offset: int = 0, count: int | None = None, *, original: Any
) -> Any:
    if tap_of(self) is None:
        return original(self, file, offset, count)
    return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]  # sends by self.send


@PATCHES.hook(os, "sendfile")
def _tapped_sendfile_of_system(
    out_fd: int, in_fd: int, offset: Any, count: int, *args: Any, original: Callable[..., int]
) -> int:
    tap = tap_of_descriptor(out_fd)
    if tap is None:
        return original(out_fd, in_fd, offset, count, *args)
    size = min(count, LARGEST_PIECE_OF_FILE)
    octets = os.read(in_fd, size) if offset is None else os.pread(in_fd, size, offset)
    return tap.send(octets) if octets else 0


# ---------------------------------------------------------------------- receiving


@PATCHES.hook(PythonSocket, "recv_into")
def _tapped_recv_into(
    self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0, *, original: Callable[..., int]
) -> int:
    tap = tap_of(self)
    if tap is None or not 0 <= nbytes <= (room := memoryview(buffer).nbytes):
        return original(self, buffer, nbytes, flags)
    return put_into(buffer, tap.receive(nbytes or room, flags))


@PATCHES.hook(PythonSocket, "recv")
def _tapped_recv(self: socket.socket, bufsize: int, flags: int = 0, *, original: Callable[..., bytes]) -> bytes:
    tap = tap_of(self)
    if tap is None or bufsize < 0:
        return original(self, bufsize, flags)
    return tap.receive(bufsize, flags)


# On a connection these are recv() by other names: they report no sender. Subclasses build one on the other.


@PATCHES.hook(PythonSocket, "recvfrom")
def _tapped_recvfrom(self: socket.socket, bufsize: int, flags: int = 0, *, original: Any) -> Any:
    tap = tap_of(self)
    return original(self, bufsize, flags) if tap is None else (tap.receive(bufsize, flags), None)


@PATCHES.hook(PythonSocket, "recvfrom_into")
def _tapped_recvfrom_into(self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0, *, original: Any) -> Any:
    tap = tap_of(self)
    if tap is None:
        return original(self, buffer, nbytes, flags)
    return put_into(buffer, tap.receive(nbytes or memoryview(buffer).nbytes, flags)), None


@PATCHES.hook(PythonSocket, "recvmsg")
def _tapped_recvmsg(self: socket.socket, bufsize: int, ancbufsize: int = 0, flags: int = 0, *, original: Any) -> Any:
    tap = tap_of(self)
    if tap is None:
        return original(self, bufsize, ancbufsize, flags)
    return tap.receive(bufsize, flags), [], 0, None


@PATCHES.hook(PythonSocket, "recvmsg_into")
def _tapped_recvmsg_into(self: socket.socket, buffers: Any, *args: int, original: Any) -> Any:
    tap = tap_of(self)
    if tap is None:
        return original(self, buffers, *args)
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    octets = tap.receive(sum(map(len, views)), args[1] if len(args) > 1 else 0)
    rest = octets
    for view in views:
        taken = min(len(view), len(rest))
        view[:taken], rest = rest[:taken], rest[taken:]
    return len(octets), [], 0, None
