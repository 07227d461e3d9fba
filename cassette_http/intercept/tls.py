"""The hooks on Python's TLS: what comes out of a context has a TLS state of ours. A played one makes no handshake."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import weakref
from typing import Any, cast

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.intercept.current import current_board
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.taps import (
    Pump,
    alive,
    host_of_request,
    put_adopting_tap,
    put_tap,
    refuse_unwatchable,
    tap_of,
    timeout_of,
)
from cassette_http.intercept.tls_states import ObjectState, SocketState, TLSLine, dial_above
from cassette_http.transport import live
from cassette_http.transport.failures import rebuild
from cassette_http.transport.socket_face import Host, Line, keeping_tls

__all__ = ["PATCHES"]

PATCHES = Patches()


@PATCHES.hook(ssl.SSLContext, "wrap_socket")
def _tapped_wrap_socket(
    original: Any,
    self: ssl.SSLContext,
    sock: socket.socket,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: str | None = None,
    session: Any = None,
) -> Any:
    rest = (do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session)
    below = tap_of(sock)
    if below is None or server_side:
        return original(self, sock, server_side, *rest)
    lower, board = below.host.channel, below.board
    origin = lower.tls_origin
    failure = board.fail_connection(origin, FailureKind.TLS)
    if failure is not None:
        sock.close()  # as wrap_socket does when a handshake fails
        raise rebuild(failure)
    channel = board.open_channel(origin, lower.via)
    secured: Any
    if not below.stands_in:
        with keeping_tls(board, channel) as keep:
            secured = original(self, sock, False, *rest)
            if do_handshake_on_connect:
                keep(secured)
        line = TLSLine(secured._sslobj)
        host = Host(channel, lambda: line, timeout_of(secured))
        host.dial()
        tap = below.hand_over(secured, host)
        secured._sslobj = SocketState(tap, origin, secured._sslobj, server_hostname)
        put_tap(secured, tap)
        return secured

    # Nobody was dialled: the handshake is left out, and done on a socket of our own if a request must be recorded.
    secured = _without_handshake(self, sock, server_hostname, suppress_ragged_eofs)
    here = weakref.ref(secured)

    def dial() -> Line:
        timeout_s = alive(here).gettimeout()
        fresh: Any = dial_above(
            below,
            tap.host.channel,
            lambda sock: original(self, sock, server_hostname=server_hostname),
            timeout_s or None,
        )
        state.become_live(fresh._sslobj)
        if timeout_s == 0:
            return Pump(fresh, tap.show)
        tap.take_descriptor(fresh)
        return TLSLine(fresh._sslobj, fresh, timeout_of(alive(here)))

    tap = below.hand_over(secured, Host(channel, dial, timeout_of(secured)))
    state = secured._sslobj = SocketState(tap, origin, None, server_hostname)
    put_tap(secured, tap)
    return secured


@PATCHES.hook(ssl.SSLContext, "wrap_bio")
def _tapped_wrap_bio(
    original: Any,
    self: ssl.SSLContext,
    incoming: Any,
    outgoing: Any,
    server_side: bool = False,
    server_hostname: str | None = None,
    session: Any = None,
) -> Any:
    made = original(self, incoming, outgoing, server_side, server_hostname, session)
    if not server_side and current_board() is not None:
        made._sslobj = ObjectState(self, incoming, outgoing, made._sslobj)
    return made


@PATCHES.hook(ssl.SSLSocket, "send")
def _tapped_send(original: Any, self: ssl.SSLSocket, data: Any, flags: int = 0) -> int:
    _adopt(self, data)
    return original(self, data, flags)  # type: ignore[no-any-return]  # the original gives an int


@PATCHES.hook(ssl.SSLSocket, "write")
def _tapped_write(original: Any, self: ssl.SSLSocket, data: Any) -> int:
    _adopt(self, data)
    return original(self, data)  # type: ignore[no-any-return]  # the original gives an int


@PATCHES.hook(ssl.SSLObject, "write")
def _tapped_object_write(original: Any, self: ssl.SSLObject, data: Any) -> int:
    state: Any = self
    is_foreign = not isinstance(state._sslobj, ObjectState) and not self.server_side
    if is_foreign and current_board() is not None and host_of_request(data) is not None:
        # Nothing tells which socket carries an object that was there before the cassette. To its pool it looks like
        # any connection that was closed while it was idle.
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return original(self, data)  # type: ignore[no-any-return]  # the original gives an int


def _adopt(sock: ssl.SSLSocket, data: Any) -> None:
    """Put a state of ours into a TLS socket that was open before the cassette, and that now begins a request."""
    board, hidden = current_board(), cast(Any, sock)
    if board is None or isinstance(hidden._sslobj, SocketState) or sock.server_side or live.is_ours(sock):
        return
    host = host_of_request(data)
    if host is None or hidden._sslobj is None:
        return
    refuse_unwatchable(sock, board)
    peer = sock.getpeername()
    origin = Origin("https", (sock.server_hostname or host or str(peer[0])).lower(), peer[1])
    tap = put_adopting_tap(sock, board, origin, TLSLine(hidden._sslobj), peer)
    hidden._sslobj = SocketState(tap, origin, hidden._sslobj, sock.server_hostname)


def _without_handshake(
    context: ssl.SSLContext, sock: socket.socket, server_hostname: str | None, suppress_ragged_eofs: bool
) -> Any:
    """Make the TLS socket that `wrap_socket` would, over the same descriptor, without a TLS state."""
    secured: Any = context.sslsocket_class.__new__(context.sslsocket_class)
    timeout_s = sock.gettimeout()
    socket.socket.__init__(secured, sock.family, sock.type, sock.proto, fileno=sock.detach())
    secured.settimeout(timeout_s)
    secured._context = context
    secured._session = None
    secured._connected = True
    secured._closed = False
    secured.server_side = False
    secured.server_hostname = server_hostname
    secured.do_handshake_on_connect = False
    secured.suppress_ragged_eofs = suppress_ragged_eofs
    return secured
