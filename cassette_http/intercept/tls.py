"""The hooks on Python's TLS: sockets and objects of a context get our TLS state. A played one needs no handshake."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast
from weakref import WeakKeyDictionary

from cassette_http.cassette.model import Origin
from cassette_http.intercept.adoption import lower_tap
from cassette_http.intercept.authorities import left_unread
from cassette_http.intercept.beginnings import authority_of_request
from cassette_http.intercept.current import current_board
from cassette_http.intercept.handshakes import connect_anew
from cassette_http.intercept.kinds import PythonContext, kind_of
from cassette_http.intercept.lines import TLSLine
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.taps import Tap, put_tap, take_tap, tap_of, timeout_of
from cassette_http.intercept.tls_objects import ObjectState
from cassette_http.intercept.tls_sockets import SocketState
from cassette_http.transport import live
from cassette_http.transport.channel import Channel
from cassette_http.transport.host import Host
from cassette_http.transport.opening import fail_handshake, keeping_tls
from cassette_http.transport.tunnels import Line

PATCHES = Patches()

_set_alpn_protocols = PythonContext.set_alpn_protocols

# What a context would offer without a cassette.
_offered: WeakKeyDictionary[ssl.SSLContext, list[str]] = WeakKeyDictionary()


# ---------------------------------------------------------------------- contexts


@PATCHES.hook(PythonContext, "set_alpn_protocols")
def _set_alpn_without_http2(self: ssl.SSLContext, alpn_protocols: Iterable[str], *, original: Any) -> None:
    """Make a client that speaks HTTP/2 and HTTP/1.1 agree on HTTP/1.1, which can be recorded."""
    wanted, board = list(alpn_protocols), current_board()
    offered = [protocol for protocol in wanted if protocol != "h2"]
    if not offered or offered == wanted or board is None or board.only_watches:
        _offered.pop(self, None)
        original(self, wanted)
    else:
        _offered[self] = wanted
        original(self, offered)


def offer_http2_again() -> None:
    """Restore what the program has set on contexts that outlive the cassette."""
    while _offered:
        _set_alpn_protocols(*_offered.popitem())


@PATCHES.hook(PythonContext, "wrap_socket")
def _tapped_wrap_socket(
    self: ssl.SSLContext,
    sock: socket.socket,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: str | None = None,
    session: Any = None,
    *,
    original: Any,
) -> Any:
    rest = (do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session)
    below = tap_of(sock)
    if below is None or server_side:
        return original(self, sock, server_side, *rest)
    below.settle_name(server_hostname)
    board, lower = below.board, below.host.channel
    if do_handshake_on_connect:
        try:
            fail_handshake(board, lower.origin.over_tls)
        except OSError:
            sock.close()  # like wrap_socket after a failed handshake
            raise
    channel = board.open_tls_channel(lower)
    secured: Any
    if below.stands_in:
        secured = _without_handshake(self, sock, *rest[:3])
    else:
        take_tap(sock)
        try:
            with keeping_tls(board, channel) as keep:
                secured = original(self, sock, False, *rest)
                if do_handshake_on_connect:
                    keep(secured)
        except BaseException:
            if sock.fileno() < 0:  # a failed handshake closes the connection, a wrong argument does not
                below.close()
            else:
                put_tap(sock, below)
            raise
    _put_state(secured, below, channel, secured._sslobj, is_handshake_over=do_handshake_on_connect)
    return secured


@PATCHES.hook(PythonContext, "wrap_bio")
def _tapped_wrap_bio(
    self: ssl.SSLContext,
    incoming: Any,
    outgoing: Any,
    server_side: bool = False,
    server_hostname: str | None = None,
    session: Any = None,
    *,
    original: Any,
) -> Any:
    if server_side or current_board() is None:
        return original(self, incoming, outgoing, server_side, server_hostname, session)
    with left_unread():
        made = original(self, incoming, outgoing, server_side, server_hostname, session)
    made._sslobj = ObjectState(self, made._sslobj, incoming, outgoing)
    return made


def _put_state(secured: Any, below: Tap, channel: Channel, real: Any, *, is_handshake_over: bool) -> Tap:
    """Put our TLS state into `secured`, over the connection of `below`; `real` is the one in C, if any."""
    kind = kind_of(secured)
    wrap = functools.partial(kind.wrap_socket, secured.context, server_hostname=secured.server_hostname)
    tunnel = below.host.channel.tunnel

    def dial_anew(timeout_s: float | None = None) -> ssl.SSLSocket:
        fresh = connect_anew(tap.board, tap.host.channel, tap.target, tunnel, wrap, timeout_s)
        state.become_live(kind.waiting(fresh, cast(Any, fresh)._sslobj))
        return fresh

    def dial() -> Line:
        if tap.must_not_wait:
            return tap.pump(dial_anew)
        fresh = dial_anew(tap.sock.gettimeout())
        tap.take_descriptor(fresh)
        return TLSLine(kind.waiting(fresh, cast(Any, fresh)._sslobj), fresh, timeout_of(tap.sock))

    host = Host(channel, dial, timeout_of(secured))
    if real is not None:
        real = kind.waiting(secured, real)
        host.line, channel.has_line = TLSLine(real), True
    tap = below.hand_over(secured, host)
    state = secured._sslobj = SocketState(tap, real, secured, is_handshake_over=is_handshake_over)
    put_tap(secured, tap)
    return tap


def _without_handshake(
    context: ssl.SSLContext,
    sock: socket.socket,
    do_handshake_on_connect: bool,
    suppress_ragged_eofs: bool,
    server_hostname: str | None,
) -> Any:
    """Make the same TLS socket as `wrap_socket`, over the same descriptor, but without a TLS state."""
    if context.check_hostname and not server_hostname:
        raise ValueError("check_hostname requires server_hostname")
    secured: Any = context.sslsocket_class.__new__(context.sslsocket_class)
    timeout_s = sock.gettimeout()
    kind_of(secured).sockets.__init__(secured, sock.family, sock.type, sock.proto, fileno=sock.detach())
    secured.settimeout(timeout_s)
    secured._context = context
    secured._session = secured._sslobj = None
    secured._connected = True
    secured._closed = False
    secured.server_side = False
    secured.server_hostname = server_hostname
    secured.do_handshake_on_connect = do_handshake_on_connect
    secured.suppress_ragged_eofs = suppress_ragged_eofs
    return secured


# ---------------------------------------------------------------------- sockets and objects


@PATCHES.hook(PythonContext.sslsocket_class, "do_handshake")
def _tapped_do_handshake(self: ssl.SSLSocket, *args: Any, original: Any) -> None:
    _secure_late(self)
    original(self, *args)


@PATCHES.hook(PythonContext.sslsocket_class, "send")
def _tapped_send(self: ssl.SSLSocket, data: Any, *args: Any, original: Callable[..., int], **options: Any) -> int:
    _secure_late(self)
    _adopt(self, data)
    return original(self, data, *args, **options)


@PATCHES.hook(PythonContext.sslsocket_class, "write")
def _tapped_write(self: ssl.SSLSocket, data: Any, *, original: Callable[..., int]) -> int:
    _secure_late(self)
    _adopt(self, data)
    return original(self, data)


@PATCHES.hook(ssl.SSLObject, "write")
def _tapped_object_write(self: ssl.SSLObject, data: Any, *, original: Callable[..., int]) -> int:
    hidden, board = cast(Any, self), current_board()
    if board is not None and not isinstance(hidden._sslobj, ObjectState) and not self.server_side:
        named = authority_of_request(data)
        if named is not None:
            state = ObjectState(self.context, hidden._sslobj)
            state.adopt(board, Origin("https", (self.server_hostname or named[0]).lower(), named[1] or 443))
            hidden._sslobj = state
    return original(self, data)


def _secure_late(sock: ssl.SSLSocket) -> None:
    """Put our state into a TLS socket that was made before it was connected, and is connected now."""
    below, hidden = tap_of(sock), cast(Any, sock)
    if below is None or hidden._sslobj is None or isinstance(hidden._sslobj, SocketState):
        return
    below.settle_name(sock.server_hostname)
    lower = below.host.channel
    channel = below.board.open_tls_channel(lower)
    _put_state(sock, below, channel, None if below.stands_in else hidden._sslobj, is_handshake_over=False)


def _adopt(sock: ssl.SSLSocket, data: Any) -> None:
    """Put our state into a TLS socket that was opened before the cassette, and now begins a request."""
    board, hidden = current_board(), cast(Any, sock)
    if board is None or hidden._sslobj is None or isinstance(hidden._sslobj, SocketState) or sock.server_side:
        return
    named = authority_of_request(data)
    if named is None or live.is_ours(sock):
        return
    below = lower_tap(sock, board, sock.server_hostname or named[0])
    channel = board.open_tls_channel(below.host.channel)
    tap = _put_state(sock, below, channel, hidden._sslobj, is_handshake_over=True)
    if channel.can_play and tap.is_watched:
        tap.break_off(tap.host)
