"""Which cassette is in use here and now, for the hooks."""

from __future__ import annotations

from cassette_http.transport import base
from cassette_http.transport.host import Switchboard
from cassette_http.transport.socket_face import CassetteTransport


def current_board() -> Switchboard | None:
    """The board of the cassette in use in this context, or None."""
    return _board_of(base.current())


def board_to_follow(board: Switchboard) -> Switchboard | None:
    """The board to which a connection that was opened with `board` must change for its next request; None to stay.

    A pooled connection follows the task or thread that uses it, if that has a cassette of its own. Otherwise it stays
    with its cassette as long as that is in use.
    """
    here = _board_of(base.current_here())
    if here is None and board.is_left:
        here = current_board()
    return here if here is not board else None


def _board_of(transport: base.Transport | None) -> Switchboard | None:
    return transport.board if isinstance(transport, CassetteTransport) else None
