"""Plays a track: hands out its pieces, then its ending. Does no I/O and never waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from cassette_http.cassette.model import Failure, FailureKind, Piece, Track
from cassette_http.transport.recording import SAME_PIECE_S
from cassette_http.transport.sent_requests import SentRequest
from cassette_http.transport.websockets import Pongs

BREAKS = (FailureKind.END, FailureKind.RESET)
# The most that one TLS record holds (RFC 8446 section 5.1).
TLS_RECORD_OCTETS = 1 << 14
# As much as event loops read at once: a client that drains a socket must get a part of a large piece before its end.
MOST_AT_ONCE = 1 << 18


class Signal(Enum):
    """What a reading client gets instead of octets."""

    LIVE = "read the peer yourself, and report what it did"
    WAIT = "nothing is due before the client has sent more"
    IDLE = "no request is open, and nothing follows"
    END = "the peer closed the stream"
    TIMEOUT = "a read that waits times out here, and the next one may not"


class PlayedWriteFailure(Exception):
    """The recorded client could not send any further here; the host raises `failure` as an OSError.

    `surplus` is the number of octets that were not sent.
    """

    def __init__(self, failure: Failure, surplus: int) -> None:
        self.failure, self.surplus = failure, surplus
        super().__init__(failure, surplus)


class Player:
    """Plays one track, as the answer to `request`.

    A piece is released only when the client has sent as much as when the piece came. With a `clock` the recorded pace
    is kept too; without one, the peer is as fast as the client. If pieces come `in_records` of TLS, a read ends where
    a record does. After an upgrade to WebSocket, `pongs` answer the pings of the client.
    """

    _sent_at_s = 0.0
    _next = 0
    _offset = 0
    reads_in_vain = 0  # since the last octets, including the time-outs that were recorded there
    is_broken = False  # the client has met the failure that broke the connection
    _is_left = False
    further_requests = 0  # begun after this one, without waiting for its response

    def __init__(
        self,
        track: Track,
        request: SentRequest,
        *,
        is_upgrade: bool = False,
        in_records: bool = False,
        clock: Callable[[], float] | None = None,
        pongs: Pongs | None = None,
    ) -> None:
        self.track, self._pieces, self._in_records = track, track.pieces, in_records
        self._request, self._pongs = request, pongs
        self._with_octets = len(track.pieces) - (bool(track.pieces) and not track.pieces[-1].octets)
        self.is_upgrade = is_upgrade
        self._clock = clock

    @property
    def is_drained(self) -> bool:
        """All pieces have been handed out; only the ending is left."""
        return self._next >= self._with_octets

    @property
    def is_within_piece(self) -> bool:
        """A piece was handed out in part, and the rest is ready: a client that drains the stream need not wait."""
        return self._offset > 0

    @property
    def is_within_read(self) -> bool:
        """The same, for a client that drains what an event loop has read of the stream."""
        return self._offset % MOST_AT_ONCE > 0

    @property
    def left_of_record(self) -> int:
        """How many octets are left of a TLS record that was partly handed out."""
        taken = self._offset % TLS_RECORD_OCTETS
        return min(TLS_RECORD_OCTETS - taken, len(self._pieces[self._next].octets) - self._offset) if taken else 0

    @property
    def has_ending(self) -> bool:
        """The recorded peer closed, broke off or fell silent after its last piece."""
        return self._ending() is not Signal.IDLE

    @property
    def ends_with_last_piece(self) -> bool:
        """The peer closed or broke off together with its last octets: the next read gets the end at once."""
        if not (self.is_drained and self._with_octets):
            return False
        failure = self.track.failure
        if failure is None:
            return self.track.ended
        return failure.kind in BREAKS and failure.at - self._pieces[self._with_octets - 1].at < SAME_PIECE_S

    @property
    def next_ending(self) -> Failure | Signal | None:
        """The ending, if the next read gets it."""
        return self._ending() if self.is_drained and self.is_released and not self.due_in_s else None

    def client_sent(self, later_octets: bytes = b"") -> None:
        """The client has sent octets of the request, or `later_octets` after an upgrade.

        Recorded times count from the last of these calls. Raises PlayedWriteFailure.
        """
        if self._clock is not None:
            self._sent_at_s = self._clock()
        if self._pongs is not None:
            self._pongs.client_sent(later_octets)
        failure = self._met_by_send
        surplus = self._request.octets_after_head - failure.details.get("sent", 0) if failure is not None else -1
        if failure is not None and surplus >= 0:
            self.is_broken |= failure.kind is FailureKind.WRITE and not failure.is_timeout
            raise PlayedWriteFailure(failure, surplus)

    def close(self) -> None:
        """The cassette is left: close where the recorded peer kept the connection open, and stop keeping the pace."""
        self._clock, self._is_left = None, True
        self._pieces = self._pieces[: max(self._next, self._with_octets)]
        if self.track.failure is None:
            self.track = replace(self.track, ended=True)

    @property
    def due_in_s(self) -> float:
        """How many seconds the recorded peer still needs for what comes next; 0 if there is no need to wait."""
        if self._clock is None:
            return 0.0
        coming: Piece | Failure | None = self.track.failure
        if self._next < len(self._pieces):
            coming = self._pieces[self._next]
        return max(0.0, self._sent_at_s + coming.at - self._clock()) if coming is not None else 0.0

    @property
    def is_released(self) -> bool:
        """The client has sent enough for what comes next: a piece, or the end."""
        if self._next == len(self._pieces):
            return self.has_ending and not self._breaks_later
        needed = self._pieces[self._next].sent
        if needed is not None and needed < 0:
            return self.further_requests >= -needed
        is_complete = self._request.is_complete
        if is_complete and not self.is_upgrade:
            return True
        return is_complete if needed is None else self._request.octets_after_head >= needed

    @property
    def is_due(self) -> bool:
        if self.is_drained and self._is_timeout:
            return False
        return self.is_released and not self.due_in_s

    def read(self, at_most: int) -> bytes | Failure | Signal:
        """The next octets of the piece that is due, at most `at_most`; after the last piece the ending."""
        if self._clock is not None and self.due_in_s:
            return Signal.WAIT
        if self._next == len(self._pieces):
            if self._breaks_later:
                return Signal.WAIT
            ending = self._ending()
            # The system reports once what broke a connection, then only its end. TLS repeats its own errors.
            if isinstance(ending, Failure) and ending.kind is FailureKind.RESET and "class" not in ending.details:
                self.is_broken = True
            return ending
        if not self.is_released:
            self.reads_in_vain += 1
            return Signal.WAIT
        piece = self._pieces[self._next]
        if self.reads_in_vain < piece.timeouts and self._clock is None and not self._is_left:
            self.reads_in_vain += 1
            return Signal.TIMEOUT
        if not piece.octets:  # it only says when the end came
            self._next, self.reads_in_vain = self._next + 1, 0
            return self.read(at_most)
        octets = piece.octets
        if self._in_records:
            at_most = min(at_most, TLS_RECORD_OCTETS - self._offset % TLS_RECORD_OCTETS)
        taken = octets[self._offset : self._offset + at_most] if self._offset or at_most < len(octets) else octets
        self._offset += len(taken)
        if self._offset == len(octets):
            self._next, self._offset, self.reads_in_vain = self._next + 1, 0, 0
        return taken if self._pongs is None else self._pongs.answering(taken)

    @property
    def _breaks_later(self) -> bool:
        """A send met the end when it was recorded: a client that looked for an early answer before found nothing."""
        failure = self._met_by_send if self.is_upgrade or not self._request.is_complete else None
        return failure is not None and self._request.octets_after_head < failure.details.get("sent", 0)

    @property
    def _met_by_send(self) -> Failure | None:
        failure = self.track.failure
        is_met = failure is not None and (failure.kind is FailureKind.WRITE or "sent" in failure.details)
        return failure if is_met else None

    @property
    def _is_timeout(self) -> bool:
        failure = self.track.failure
        return failure is not None and failure.kind in (FailureKind.TIMEOUT, FailureKind.WRITE) and failure.is_timeout

    def _ending(self) -> Failure | Signal:
        failure = self.track.failure
        if failure is None:
            return Signal.END if self.track.ended else Signal.IDLE
        if self._is_timeout:
            return Signal.WAIT if failure.kind is FailureKind.WRITE else failure  # each read words a time-out itself
        return Signal.END if self.is_broken or failure.kind in (FailureKind.END, FailureKind.WRITE) else failure
