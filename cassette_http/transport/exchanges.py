"""The exchanges of a channel: each is one request of the client, and how it is answered."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto

from cassette_http.cassette.model import Request
from cassette_http.transport.recording import Recording
from cassette_http.transport.replaying import Player
from cassette_http.transport.sent_requests import SentRequest


class State(Enum):
    OPEN = auto()
    RECORDING = auto()
    PLAYING = auto()


@dataclass
class Delivery:
    """Whether a request reached the peer or was lost; its sender must know that if it tries again."""

    is_lost: bool = False


DELIVERED = Delivery()

# The delivery of the last request that this thread or task sent.
newest_delivery: ContextVar[Delivery] = ContextVar("newest_delivery", default=DELIVERED)


class Exchange:
    """One request of the connection, and how it is answered; `started_at` is a time of the channel's clock."""

    state = State.OPEN
    is_first = True  # on its connection
    was_ended = False  # the client had met the end of the stream before it
    may_be_stale = False  # an interaction for which `Failure.is_stale` holds may answer it
    is_expected = False  # the cassette was asked whether the peer answers before the body is complete
    reads_in_vain = 0  # reads before it was decided what answers

    # Only if it is played.
    player: Player | None = None
    is_tunnel = False  # a CONNECT that the proxy accepted
    may_ask_to_close = False

    # Only if it is recorded.
    recording: Recording | None = None
    sent_at = 0.0
    is_admitted = False  # the cassette was asked in which form to record it
    admitted: Request | None = None  # that form, if it differs from the request
    lacks_body = False  # the cassette was asked before the body was complete
    is_passed = False  # it goes to the peer and is not recorded
    is_kept = False

    def __init__(self, request: SentRequest, started_at: float = 0.0) -> None:
        self.request, self.started_at = request, started_at
        self.delivery = Delivery()

    @property
    def sent(self) -> int | None:
        """How much of the request the client has sent, counted like Piece.sent."""
        return None if self.is_over else self.request.octets_after_head

    @property
    def is_upgraded(self) -> bool:
        if self.recording is not None:
            return self.recording.is_upgrade
        return self.player is not None and self.player.is_upgrade

    @property
    def is_over(self) -> bool:
        """The client's next octet belongs to the next request."""
        return self.request.reader.is_complete and not self.is_upgraded

    def take_upgraded(self, octets: bytes) -> bytes:
        """Take octets of the protocol after an upgrade; returns those to forward. Raises PlayedWriteFailure."""
        self.request.later_octets += len(octets)
        if self.player is not None:
            self.player.client_sent(octets)
        return octets if self.state is State.RECORDING else b""
