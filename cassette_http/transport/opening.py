"""Live connections that are opened while a cassette is in use: failures and TLS facts are recorded, and replayed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cassette_http.cassette.model import FailureKind, Origin, TLSFacts
from cassette_http.transport import live
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.host import NOT_NOW, Switchboard, clock
from cassette_http.transport.tunnels import Line, Tunnel


@contextmanager
def keeping_failure(board: Switchboard, channel: Channel, peer: Origin, kind: FailureKind) -> Iterator[None]:
    """Record an OSError of the block as a failure of the connection to `peer`, and raise it again.

    Nothing is recorded if the request of `channel` only passes through.
    """
    started = clock()
    try:
        yield
    except NOT_NOW:
        raise
    except OSError as error:
        keep_failure(board, channel, peer, kind, error, clock() - started)
        raise


def keep_failure(
    board: Switchboard, channel: Channel, peer: Origin, kind: FailureKind, error: OSError, at_s: float = 0.0
) -> None:
    """Record `error`, which occurred after `at_s` seconds, as `keeping_failure` does.

    If the peer was dialled for a request of `channel`, the request has failed, not the connect: the client believes
    that it is connected, as it will in a replay.
    """
    if isinstance(error, socket.gaierror):
        kind = FailureKind.LOOKUP
    failure = describe(kind, error, at_s)
    via = channel.via if kind is FailureKind.TLS else None
    if channel.is_dialled_late:
        channel.peer_was_not_reached(error, failure)
    elif not channel.is_passing:
        board.keep_connection_failure(peer, failure, via)
        channel.has_failed = True


def fail_handshake(board: Switchboard, origin: Origin) -> None:
    """Raise the failure that was recorded for the handshake with `origin`, if it is due."""
    failure = board.fail_connection(origin, FailureKind.TLS)
    if failure is not None:
        raise rebuild(failure)


@contextmanager
def keeping_tls(board: Switchboard, channel: Channel) -> Iterator[Callable[[Any], None]]:
    """Record how the handshake in this block went: its failure, or what the secured socket says was agreed."""
    origin = channel.origin

    def keep(secured: Any) -> None:
        if channel.is_passing:
            return
        certificate = secured.getpeercert(True)
        board.keep_tls_facts(
            TLSFacts(
                origin,
                secured.version(),
                secured.cipher(),
                secured.selected_alpn_protocol(),
                certificate,
                dict(secured.getpeercert(False) or {}),
            )
        )

    with keeping_failure(board, channel, origin, FailureKind.TLS):
        yield keep


def open_tunnel(channel: Channel, line: Line, tunnel: Tunnel) -> None:
    """Have a live proxy open a tunnel that was only played. Raises OSError, and records it as the request's failure."""
    try:
        tunnel(line)
    except OSError as error:
        channel.peer_was_not_reached(error, describe(FailureKind.PROXY, error))
        raise


def secure(
    board: Switchboard, channel: Channel, line: Line, tunnel: Tunnel | None, wrap: Callable[[], ssl.SSLSocket]
) -> ssl.SSLSocket:
    """Start live TLS on a connection of ours, for `channel`; ask the proxy for a `tunnel` first, if one is needed."""
    if tunnel is not None:
        open_tunnel(channel, line, tunnel)
    with keeping_tls(board, channel) as keep:
        secured = wrap()
        keep(secured)
    secured.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # to see how the connection ends
    return live.mark(secured)
