"""Which cassette is in use here and now, for the hooks."""

from __future__ import annotations

from cassette_http.transport import base
from cassette_http.transport.socket_face import CassetteTransport, Switchboard

__all__ = ["current_board"]


def current_board() -> Switchboard | None:
    """The board of the cassette in use in this context, or None."""
    transport = base.current()
    return transport.board if isinstance(transport, CassetteTransport) else None
