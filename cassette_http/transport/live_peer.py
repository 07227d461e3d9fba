"""The record side of a channel: turns what a live peer does into tracks, and gives complete ones to the cassette.

What the peer does while requests are open belongs to the oldest one whose response is incomplete. `idle_peer` handles
what it does between two requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin
from cassette_http.transport.deck import Deck
from cassette_http.transport.exchanges import Exchange
from cassette_http.transport.idle_peer import IdlePeer
from cassette_http.transport.recording import Recording


class LivePeer:
    """The live peer of one connection. `exchanges` are the open ones of its channel, the oldest first."""

    def __init__(self, exchanges: deque[Exchange], deck: Deck, clock: Callable[[], float]) -> None:
        self.idle = IdlePeer(deck, clock)
        self._exchanges, self._deck, self._clock = exchanges, deck, clock
        self._is_out_of_step = False  # the client took another response for one that is still to come
        self._has_left_client = False

    @property
    def may_end_response(self) -> bool:
        """The response that is being received may be one that only the end of the stream ends."""
        recording = self._exchanges[0].recording if self._exchanges else None
        return recording is not None and recording.has_answer and recording.follows_no_length

    # ------------------------------------------------------------------ what the client does

    def client_sent(self, exchange: Exchange) -> None:
        """The client has sent more of a request, which is forwarded to the peer."""
        exchange.sent_at = self._clock()
        if exchange.recording is not None:
            self._keep_if_complete(exchange)
        elif (method := exchange.request.reader.method) is not None:
            may_upgrade = exchange.request.may_upgrade
            exchange.recording = Recording(method, self._deck.most_octets, may_upgrade=may_upgrade)

    def client_goes_on(self, exchange: Exchange, recording: Recording) -> None:
        if recording.has_answer and recording.follows_no_length:
            # The client found the end of a response that has no end by our reading: it knows better.
            self._exchanges.remove(exchange)
            self.keep(exchange)
            return
        # A client that takes an interim response for the final one has not read further.
        self._is_out_of_step = self._is_out_of_step or recording.has_answer
        recording.begin_piece()

    def client_gave_up_sending(self) -> None:
        """The client had more to send, but the peer accepted nothing for too long."""
        newest = self._exchanges[-1] if self._exchanges else None
        if newest is not None and newest.recording is not None and not newest.recording.has_answer:
            self._fail(newest, newest.recording, Failure(FailureKind.WRITE, self._clock(), text="timed out"))

    def client_closed(self, unused: Origin | None, via: Origin | None) -> None:
        """Record what unfinished exchanges have so far; for `unused` and `via` see `IdlePeer.client_closed`."""
        self._has_left_client = True
        if not self._exchanges:
            self.idle.client_closed(unused, via)
        while self._exchanges:
            exchange = self._exchanges.popleft()
            if exchange.recording is not None:
                self.keep(exchange)

    # ------------------------------------------------------------------ what the peer does

    def sent(self, octets: bytes) -> Exchange | None:
        """The peer sent `octets`. Returns the exchange of a CONNECT that it has just accepted, if any."""
        at = self._clock()
        opened: Exchange | None = None
        while octets and self._exchanges:
            exchange = self._exchanges[0]
            recording = exchange.recording
            if recording is None:
                return opened
            further = len(self._exchanges) - 1
            sent = -further if self._is_out_of_step and further else exchange.sent
            taken = recording.add(octets, at - exchange.sent_at, sent)
            octets = octets[taken:]
            # A client that waits for each answer before its next request drops what it has read after this one.
            reads_one_by_one = self._is_out_of_step or not further
            if octets and recording.is_complete and not exchange.is_kept and reads_one_by_one:
                recording.add_surplus(octets, at - exchange.sent_at, sent)
                octets = b""
            if recording.is_upgrade and exchange.request.reader.method == "CONNECT":
                opened = exchange
            self._keep_if_complete(exchange)
            if not taken and exchange in self._exchanges:
                return opened
        self.idle.sent(octets)
        return opened

    def ended(self, *, close_notify: bool) -> None:
        """The peer closed the stream; for `close_notify` see `Track`."""
        if not self._exchanges:
            self.idle.ended(close_notify=close_notify)
        at = self._clock()
        while self._exchanges and (recording := self._exchanges[0].recording) is not None:
            exchange = self._exchanges.popleft()
            recording.end(at - exchange.sent_at, close_notify=close_notify, sent=exchange.sent)
            self.keep(exchange)

    def failed(self, failure: Failure) -> None:
        """The stream failed; `failure.at` is an absolute time of the clock."""
        if not self._exchanges:
            if failure.kind in (FailureKind.RESET, FailureKind.TIMEOUT):
                self.idle.failed(failure)
            return
        # A reset breaks all open exchanges: the client may have taken something else for the first answer.
        open_ones = list(self._exchanges)
        met = open_ones[-1:] if failure.kind is FailureKind.WRITE else open_ones[:1]
        for exchange in open_ones if failure.kind is FailureKind.RESET else met:
            if exchange.recording is not None:
                self._fail(exchange, exchange.recording, failure)

    def _fail(self, exchange: Exchange, recording: Recording, failure: Failure) -> None:
        details = failure.details
        if failure.kind is FailureKind.WRITE:
            details = {**details, "sent": exchange.request.octets_after_head}
        at = max(0.0, failure.at - exchange.sent_at)
        recording.fail(Failure(failure.kind, at, failure.errno, failure.text, details), exchange.sent)
        self._keep_if_complete(exchange)

    # ------------------------------------------------------------------ what is kept

    def _keep_if_complete(self, exchange: Exchange) -> None:
        recording = exchange.recording
        if recording is None:
            return
        if recording.is_upgrade and exchange.request.reader.method == "CONNECT":
            self._exchanges.remove(exchange)
            self.keep(exchange)
        elif recording.is_complete:
            # An early answer is recorded at once, but the rest of the request may still come.
            self.keep(exchange)
            if exchange.request.is_complete:
                self._exchanges.remove(exchange)

    def keep(self, exchange: Exchange) -> None:
        """Have the deck store the recording, unless it was stored before."""
        recording = exchange.recording
        assert recording is not None
        if exchange.is_kept:
            return
        exchange.is_kept = True
        if recording.is_too_long:
            self._deck.drop()
            return
        request = exchange.admitted or exchange.request.value
        if exchange.admitted is not None and exchange.lacks_body:
            request = replace(request, body_octets=exchange.request.value.body_octets)
        admitted = request if exchange.is_admitted else self._deck.admit(request)
        if admitted is None or exchange.is_passed:
            return
        track = recording.hand_over()
        exchange.delivery.is_lost = track.is_lost
        if track.is_lost and exchange.may_be_stale:
            track = track.of_stale()
        interaction = Interaction(admitted.origin, admitted, track, admitted.via)
        kept = self._deck.keep(interaction, exchange.started_at)
        if not self._has_left_client:
            self.idle.response_was_kept(exchange, track, kept)
