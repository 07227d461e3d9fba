"""What a live peer does while no request is open; it is added to the last recorded response.

A client that reads an idle connection gets it before the next request, which then may never be sent. What comes
before the first request is recorded as a failure of the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from cassette_http.cassette.model import Failure, FailureKind, Origin, Piece, Track
from cassette_http.transport.deck import Deck
from cassette_http.transport.exchanges import Exchange
from cassette_http.transport.recording import Recording
from cassette_http.transport.sent_requests import WholeRequest
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.reader import RequestReader

# A client that drains an idle connection must not fill the memory.
MOST_UNASKED_OCTETS = 1 << 16


class KeptExchange(NamedTuple):
    """What must be known of a finished exchange; not all of it, as its request may be large."""

    reader: RequestReader | WholeRequest
    recording: Recording
    token: object
    """What `Deck.keep` returned."""
    is_tls: bool

    @property
    def has_announced_end(self) -> bool:
        request = self.reader.head
        assert request is not None, "it is complete"
        return self.recording.announces_end or not is_persistent(request.version, request.fields)


class IdlePeer:
    """Watches the peer of one connection from the end of a response to the beginning of the next request."""

    def __init__(self, deck: Deck, clock: Callable[[], float]) -> None:
        self._deck, self._clock = deck, clock
        self._last: KeptExchange | None = None
        self._before: KeptExchange | None = None  # the last one when the newest request began
        # An exchange that ended with the end of TLS. If a request follows, TCP was still open.
        self._half_closed: tuple[object, Track] | None = None
        self._first_end: tuple[Failure, float] | None = None  # an end before the first request, and when it came
        self.unasked = b""
        """What came while no request was open: the next request gets it as its answer."""

    @property
    def has_surplus(self) -> bool:
        """More than the last response came with it."""
        return self._last is not None and self._last.recording.has_surplus

    def response_was_kept(self, exchange: Exchange, track: Track, token: object) -> None:
        assert exchange.recording is not None
        self._last = KeptExchange(exchange.request.reader, exchange.recording, token, exchange.request.origin.is_tls)
        if track.ended:
            self._note_end_of_tls(self._last, Track(ended=True, close_notify=track.close_notify))

    def request_begins(self) -> None:
        if self.unasked and self._last is not None:
            self._add(None, ended=False)  # the client read it before this request
        self._before, self._last = self._last, None
        if self._half_closed is not None:
            token, ending = self._half_closed
            self._half_closed = None
            self._deck.amend(token, replace(ending, fin=False))

    def request_was_none(self) -> None:
        """The client did not send HTTP: what the peer does now still follows the last response."""
        self._last = self._before

    def sent(self, octets: bytes) -> None:
        self.unasked = (self.unasked + octets)[:MOST_UNASKED_OCTETS]

    def take_unasked(self) -> bytes:
        unasked, self.unasked = self.unasked, b""
        return unasked

    def ended(self, *, close_notify: bool) -> None:
        self._add(None, ended=True, close_notify=close_notify)

    def failed(self, failure: Failure) -> None:
        is_silence = failure.kind is FailureKind.TIMEOUT
        if not is_silence or (self._last is not None and self._last.has_announced_end):
            self._add(failure, ended=False)

    def client_closed(self, unused: Origin | None, via: Origin | None) -> None:
        """`unused` is where the connection was opened to (through a proxy `via`), if nothing was sent on it."""
        if self.unasked:
            self._add(None, ended=False)  # connection pools close a connection on which they find data
        if unused is not None and self._first_end is not None:
            (failure, at), self._first_end = self._first_end, None
            self._deck.keep_connection_failure(unused, failure, via, at)

    def _add(self, failure: Failure | None, *, ended: bool, close_notify: bool = True) -> None:
        """Add to the last response how its connection ended, and what the peer sent without a request."""
        if self._last is None:
            if failure is not None or ended:
                failure = failure or Failure(FailureKind.END)
                kind = FailureKind.TLS_REFUSAL if "class" in failure.details else failure.kind
                self._first_end = replace(failure, kind=kind, at=0.0), self._clock()
            return
        last, self._last = self._last, None
        at = last.recording.last_at_s
        is_announced = last.has_announced_end and failure is None and not self.unasked
        if last.token is None or last.recording.has_ended or is_announced:
            return
        # The next read got it, whenever that was: to a player, it came with the response.
        unasked = self.take_unasked()
        pieces = (Piece(unasked, at),) if unasked else ()
        if failure is not None:
            failure = replace(failure, at=at)
        ending = Track(pieces, failure, ended, close_notify)
        self._deck.amend(last.token, ending)
        if ended:
            self._note_end_of_tls(last, ending)

    def _note_end_of_tls(self, last: KeptExchange, ending: Track) -> None:
        if last.is_tls and ending.close_notify and last.token is not None:
            self._half_closed = last.token, ending
