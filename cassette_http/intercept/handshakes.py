"""Live TLS handshakes: those made late, for a program that believes it is connected, and those that fail."""

from __future__ import annotations

import socket
import ssl
import weakref
from collections.abc import Callable

from cassette_http.cassette.model import FailureKind
from cassette_http.intercept.names import Target
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import silence
from cassette_http.transport.host import Switchboard, clock
from cassette_http.transport.opening import keep_failure, keeping_failure, secure
from cassette_http.transport.tunnels import Tunnel


def connect_anew(
    board: Switchboard,
    channel: Channel,
    target: Target,
    tunnel: Tunnel | None,
    wrap: Callable[[socket.socket], ssl.SSLSocket],
    timeout_s: float | None = None,
) -> ssl.SSLSocket:
    """Dial `target`, and make the live TLS connection for `channel`, whose program believes it is connected."""
    board.note_connection(channel)
    with keeping_failure(board, channel, target.peer, FailureKind.CONNECT):
        fresh = target.dial(timeout_s)
    try:
        return secure(board, channel, fresh, tunnel, lambda: wrap(fresh))
    except BaseException:
        fresh.close()
        raise


def keep_silence(board: Switchboard, channel: Channel) -> None:
    """Record that a live peer did not answer the handshake, as the program has closed during it."""
    keep_failure(board, channel, channel.origin, FailureKind.TLS, silence())


def watch_handshake(board: Switchboard, channel: Channel, owner: object) -> None:
    """Record a live handshake as unanswered if it is still in progress when the cassette is left.

    The program may have dropped it, and its `owner` with it, without closing: a cancelled task of httpx does that.
    """
    board.open_handshakes[channel] = clock()
    weakref.finalize(owner, _note_dropped, board.open_handshakes, channel).atexit = False


def _note_dropped(open_handshakes: dict[Channel, float], channel: Channel) -> None:
    if channel in open_handshakes:
        open_handshakes[channel] = clock()
