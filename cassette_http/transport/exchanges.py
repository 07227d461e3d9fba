"""The exchanges of a channel: each is one request of its client, and the way that it takes."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto

from cassette_http.cassette.model import Request
from cassette_http.transport.recording import Recording
from cassette_http.transport.replaying import Player
from cassette_http.transport.websockets import Pongs
from cassette_http.wire.grammar import MEANT_FOR_REQUEST
from cassette_http.wire.head import parse_request_head
from cassette_http.wire.messages import RequestHead, field_values
from cassette_http.wire.reader import RequestReader

__all__ = ["NOT_LOST", "Exchange", "Fate", "State", "WholeRequest", "newest_fate"]


class State(Enum):
    OPEN = auto()
    RECORDING = auto()
    PLAYING = auto()


@dataclass
class Fate:
    """Whether a request was lost: its sender, who may ask again, is to know that then."""

    is_lost: bool = False


NOT_LOST = Fate()

# Of the request that this thread or task has sent last.
newest_fate: ContextVar[Fate] = ContextVar("newest_fate", default=NOT_LOST)


class WholeRequest:
    """What a reader would say of a request without a body that came in one piece; parsed only if somebody asks."""

    __slots__ = ("head_octets", "octets")
    is_complete = True
    expects_continue = False
    malformed = None
    is_foreign = False

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.head_octets = len(octets)

    def feed(self, data: bytes) -> int:
        return len(data)

    @property
    def method(self) -> str:
        return self.octets[: self.octets.index(b" ")].decode("ascii")

    @property
    def head(self) -> RequestHead:
        return parse_request_head(self.octets)


class Exchange:
    """One request of the connection, and the way it takes."""

    reads_in_vain = 0  # before it was clear what answers
    later_octets = 0  # of the new protocol after an upgrade
    state = State.OPEN
    recording: Recording | None = None
    player: Player | None = None
    pongs: Pongs | None = None  # of a WebSocket that is played
    sent_at = 0.0
    may_be_stale = False  # it may meet what `Failure.is_stale` means
    is_admitted = False  # the cassette was asked in which form it is recorded
    admitted: Request | None = None  # that form, if it is another one
    lacks_body = False  # it was asked before the body was there
    is_passed = False  # it goes to the peer, and leaves no trace
    is_kept = False
    is_expected = False  # the cassette was asked whether its peer answers before the body is there
    is_tunnel = False  # a CONNECT that the proxy agreed to
    may_ask_to_close = False

    def __init__(
        self, reader: RequestReader | WholeRequest, octets: bytearray | bytes, started_at: float = 0.0
    ) -> None:
        self.reader, self.octets, self.started_at = reader, octets, started_at
        self.fate = Fate()

    @property
    def head(self) -> RequestHead:
        """To be asked once the head of the request is there."""
        head = self.reader.head
        assert head is not None, "nothing is decided before"
        return head

    @property
    def may_upgrade(self) -> bool:
        """The client asks for a tunnel, or offers another protocol. To be asked once the head is there."""
        if isinstance(self.reader, WholeRequest):
            return False
        return self.head.method == "CONNECT" or bool(field_values(self.head.fields, "upgrade"))

    @property
    def is_foreign(self) -> bool:
        """It is no request, and not meant for one either."""
        return self.reader.is_foreign and MEANT_FOR_REQUEST.match(self.octets) is None

    @property
    def sent_after_head(self) -> int:
        return len(self.octets) - self.reader.head_octets + self.later_octets

    @property
    def sent(self) -> int | None:
        """How far the client is, as Piece.sent counts it."""
        return None if self.is_over else self.sent_after_head

    @property
    def is_upgraded(self) -> bool:
        if self.recording is not None:
            return self.recording.is_upgrade
        return self.player is not None and self.player.is_upgrade

    @property
    def is_over(self) -> bool:
        """A further octet of the client belongs to the next request."""
        return self.reader.is_complete and not self.is_upgraded
