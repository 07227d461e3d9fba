"""Takes over connections that were opened before the cassette, when they begin a request inside it."""

from __future__ import annotations

import _socket
import socket
import weakref
from typing import Any

from cassette_http.cassette.model import FailureKind
from cassette_http.intercept.beginnings import authority_of_request, is_begun_request
from cassette_http.intercept.carriers import expected_hellos
from cassette_http.intercept.current import current_board
from cassette_http.intercept.kinds import raw
from cassette_http.intercept.lines import PlainLine
from cassette_http.intercept.names import Lookup, Target, UnixTarget
from cassette_http.intercept.taps import Tap, put_tap, timeout_of
from cassette_http.intercept.tls_objects import take_seeker
from cassette_http.transport import live
from cassette_http.transport.host import Host, Switchboard, octets_of
from cassette_http.transport.opening import keeping_failure, open_tunnel
from cassette_http.transport.tunnels import Line

_getpeername = _socket.socket.getpeername

# As plain numbers: `socket.socket` turns them into enum members, which takes longer than a send.
_family = _socket.socket.family.__get__
_type = _socket.socket.type.__get__


TCP = (socket.AF_INET, socket.AF_INET6)
LOCAL = (socket.AF_UNIX,) if hasattr(socket, "AF_UNIX") else ()
STREAMS = TCP + LOCAL


# Unix sockets that were connected inside a cassette, and have sent nothing yet.
_left_alone: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def is_stream(sock: socket.socket) -> bool:
    """Tell whether the socket may carry HTTP: TCP, or a stream between processes of this machine."""
    return _is_stream_of(sock, STREAMS)


def is_tcp(sock: socket.socket) -> bool:
    return _is_stream_of(sock, TCP)


def is_unix(sock: socket.socket) -> bool:
    """Tell whether it is a stream between processes of this machine; that includes ends of local socket pairs."""
    return _is_stream_of(sock, LOCAL)


def _is_stream_of(sock: socket.socket, families: tuple[int, ...]) -> bool:
    try:
        return _family(sock) in families and _type(sock) == socket.SOCK_STREAM
    except TypeError:
        sock = raw(sock)  # not a socket any more once it is closed
        return isinstance(sock, _socket.socket) and _is_stream_of(sock, families)


def adopt(sock: socket.socket, data: Any) -> Tap | None:
    """Make a tap for a connection that was opened before the cassette, if it now begins a request; else None.

    Its host is known from the Host field, as the look-up was not seen. If the octets begin a record of a TLS object
    that was just adopted, this socket carries it.
    """
    if live.is_ours(sock) or (board := current_board()) is None or not is_stream(sock):
        return None
    named = authority_of_request(data)
    if is_unix(sock):
        if named is None and sock in _left_alone and _may_begin_http(octets_of(data)):
            named = "", None
        _left_alone.discard(sock)
        if named is None or not _has_path(sock):
            return None
    if named is not None:
        tap = lower_tap(sock, board, named[0])
        tap.host.line, tap.host.channel.has_line = PlainLine(sock), True
        if tap.host.channel.can_play and tap.is_watched:
            tap.break_off(tap.host)
    else:
        seeker = take_seeker(bytes(memoryview(data).cast("B")[:1]))
        if seeker is None:
            return None
        tap = lower_tap(sock, board, seeker.host.channel.origin.host)
        seeker.link_adopted(tap)
    put_tap(sock, tap)
    return tap


def leave_alone(sock: socket.socket) -> None:
    """Give `sock`, which was just connected, no tap yet: what it sends first shows whether it speaks HTTP."""
    _left_alone.add(sock)


def _may_begin_http(octets: bytes) -> bool:
    """Tell whether the first octets of a connection begin a request, or the handshake of a TLS object."""
    return octets in expected_hellos or is_begun_request(octets)


def _has_path(sock: socket.socket) -> bool:
    """Tell whether it is connected to a Unix socket with a name; ends of local pairs have none."""
    try:
        return bool(_getpeername(raw(sock)))
    except OSError:
        return False  # it is not connected


def lower_tap(sock: socket.socket, board: Switchboard, host: str) -> Tap:
    """A tap for the connection of `sock`, which seems to lead to `host` ("" if unknown)."""
    peer = _getpeername(raw(sock))
    target: Target
    if is_unix(sock):
        target = UnixTarget(peer)
    else:
        address = str(peer[0])
        name = (host or address).lower()
        target = Target(name, peer[1], address, Lookup(name, [(address, peer[1])]))
    channel = board.open_channel(target.origin, None)
    tap = Tap(sock, board, Host(channel, lambda: dial_late(tap), timeout_of(sock)), target, peer)
    return tap


def dial_late(tap: Tap) -> Line:
    """Open the live connection for which a stand-in was used."""
    target = tap.target

    def connect(timeout_s: float | None = None) -> socket.socket:
        with keeping_failure(tap.board, tap.host.channel, target.peer, FailureKind.CONNECT):
            fresh = target.dial(timeout_s)
        tunnel = tap.host.channel.tunnel
        if tunnel is not None:
            try:
                open_tunnel(tap.host.channel, fresh, tunnel)
            except BaseException:
                fresh.close()
                raise
        return fresh

    tap.board.note_connection(tap.host.channel)
    if tap.must_not_wait:
        return tap.pump(connect)
    with connect(tap.sock.gettimeout()) as fresh:
        tap.take_descriptor(fresh)
    return PlainLine(tap.sock)
