"""The exchanges of a channel: each is one request of its client, and the way that it takes."""

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
    """Whether a request reached its peer or was lost, as its sender has to know if it tries again."""

    is_lost: bool = False


DELIVERED = Delivery()

# That of the last request that this thread or task has sent.
newest_delivery: ContextVar[Delivery] = ContextVar("newest_delivery", default=DELIVERED)


class Exchange:
    """One request of the connection, and the way it takes; begun at a time of the channel's clock."""

    state = State.OPEN
    may_be_stale = False  # it may meet what `Failure.is_stale` means
    is_expected = False  # the cassette was asked whether its peer answers before the body is there
    reads_in_vain = 0  # before it was clear what answers

    # Of one that is played.
    player: Player | None = None
    is_tunnel = False  # a CONNECT that the proxy agreed to
    may_ask_to_close = False

    # Of one that is recorded.
    recording: Recording | None = None
    sent_at = 0.0
    is_admitted = False  # the cassette was asked in which form it is recorded
    admitted: Request | None = None  # that form, if it is another one
    lacks_body = False  # it was asked before the body was there
    is_passed = False  # it goes to the peer, and leaves no trace
    is_kept = False

    def __init__(self, request: SentRequest, started_at: float = 0.0) -> None:
        self.request, self.started_at = request, started_at
        self.delivery = Delivery()

    @property
    def sent(self) -> int | None:
        """How far the client is, as Piece.sent counts it."""
        return None if self.is_over else self.request.octets_after_head

    @property
    def is_upgraded(self) -> bool:
        if self.recording is not None:
            return self.recording.is_upgrade
        return self.player is not None and self.player.is_upgrade

    @property
    def is_over(self) -> bool:
        """A further octet of the client belongs to the next request."""
        return self.request.reader.is_complete and not self.is_upgraded

    def take_upgraded(self, octets: bytes) -> bytes:
        """Take octets of the protocol behind an upgrade; returns those to forward. Raises PlayedWriteFailure."""
        self.request.later_octets += len(octets)
        if self.player is not None:
            self.player.client_sent(octets)
        return octets if self.state is State.RECORDING else b""
