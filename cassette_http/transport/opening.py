"""Live connections being opened while a cassette is in use: how that went is kept, and played again."""

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

__all__ = ["fail_handshake", "keep_failure", "keeping_failure", "keeping_tls", "secure"]


@contextmanager
def keeping_failure(board: Switchboard, channel: Channel, peer: Origin, kind: FailureKind) -> Iterator[None]:
    """Record an OSError of the block as a failure of the connection to `peer`, and let it pass.

    A request of `channel` that only passes leaves no trace.
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
    """Record `error` as a failure of the connection to `peer`, met after so many seconds; as `keeping_failure` does."""
    if isinstance(error, socket.gaierror):
        kind = FailureKind.LOOKUP
    if not channel.is_passing:
        via = channel.via if kind in (FailureKind.TLS, FailureKind.TLS_REFUSAL) else None
        board.keep_connection_failure(peer, describe(kind, error, at_s), via)
    channel.peer_was_not_reached(error)


def fail_handshake(board: Switchboard, origin: Origin) -> None:
    """Raise the failure that the handshake with `origin` met when it was recorded, if it is due."""
    failure = board.fail_connection(origin, FailureKind.TLS)
    if failure is not None:
        raise rebuild(failure)


@contextmanager
def keeping_tls(board: Switchboard, channel: Channel) -> Iterator[Callable[[Any], None]]:
    """Record how a handshake in this block went: its failure, or what the secured socket says was agreed."""
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


def secure(
    board: Switchboard, channel: Channel, line: Line, tunnel: Tunnel | None, wrap: Callable[[], ssl.SSLSocket]
) -> ssl.SSLSocket:
    """Put live TLS over a connection of ours, for `channel`; first ask the proxy for a `tunnel`, if it needs one."""
    if tunnel is not None:
        tunnel(line)
    with keeping_tls(board, channel) as keep:
        secured = wrap()
        keep(secured)
    secured.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # it is to tell how the connection ends
    return live.mark(secured)
