"""One client connection while a cassette is in use: decides for each request, and does no I/O.

The host of a channel (a face of a socket) tells it what the client and the peer do, and acts on the results:

    client_sent(octets)   -> octets to forward to the peer (perhaps none)
    client_reads(at_most) -> octets to give to the client, or a Signal, or the Failure to raise
    peer_sent(octets), peer_ended(), peer_failed(failure)    what a live peer did
    client_closed()       the connection is over

Each request opens an exchange, which takes one of these ways:

    OPEN ──── can only record ───────────────> RECORDING ── response complete ──> kept
      │                                            ^
      ├── no interaction answers, may record ──────┘
      ├── an interaction answers ────────────> PLAYING
      ├── not for the cassette ──────────────> as RECORDING, but not kept
      ├── none answers, may not record ──────> refused: UnmatchedRequest, for this and each later call
      ├── malformed HTTP ────────────────────> refused; if recording is allowed: transparent, with a message
      └── not HTTP ──────────────────────────> transparent from then on (dropped behind a played response)

The decision is made as early as the matchers allow: with the head if none of them needs the body, else when the request
is complete. A client that waits for `100 Continue`, or that was answered before it had sent everything, would wait
forever: for these, the recorded interaction that fits the head decides.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Request, Track
from cassette_http.cassette.secrets.websocket_frames import is_websocket
from cassette_http.cassette.shortcuts import Answer, is_ordinary_request, track_of
from cassette_http.transport.deck import Deck, Undecided
from cassette_http.transport.exchanges import DELIVERED, Exchange, State, newest_delivery
from cassette_http.transport.live_peer import LivePeer
from cassette_http.transport.recorded_peers import (
    answers_early,
    is_closed_by,
    is_over_after,
    may_ask_to_close,
    may_close,
)
from cassette_http.transport.replaying import TLS_RECORD_OCTETS, Player, Signal
from cassette_http.transport.sent_requests import SentRequest, WholeRequest
from cassette_http.transport.socks import Greeting, Naming, as_it_is, socks_version
from cassette_http.transport.tunnels import Tunnel, chained, open_by_connect
from cassette_http.transport.websockets import Pongs, with_accepted_key
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.grammar import MAX_LINE_OCTETS
from cassette_http.wire.messages import field_values
from cassette_http.wire.reader import RequestReader, ResponseReader

VERSION = b" HTTP/1."

# How a TLS connection begins (RFC 8446 section 5.1). TLS of Python's ssl module is decrypted before it comes here.
TLS_HANDSHAKE = b"\x16\x03"
# How much is handed out in one piece after the cassette was left.
MOST_OCTETS = 1 << 20


def do_nothing() -> None:
    """The default of `Channel.on_left`."""


def only_piece(track: Track) -> bytes | None:
    """All that the peer sent, if it sent one piece and then waited for the next request."""
    if len(track.pieces) != 1 or track.failure is not None or track.ended:
        return None
    [piece] = track.pieces
    return None if piece.sent is not None or piece.timeouts else piece.octets


class Threads(Protocol):
    """How the client's threads are managed; the names are those of the module `threading`."""

    def get_ident(self) -> int: ...
    def RLock(self) -> Any: ...
    def Condition(self, lock: Any) -> Any: ...


class Channel:
    """The decisions for one connection to `origin`; `via` is the proxy between, if any."""

    def __init__(self, origin: Origin, deck: Deck, clock: Callable[[], float], via: Origin | None = None) -> None:
        self.origin, self.via = origin, via
        # If a request may be answered without the peer, it need not be dialled yet.
        self.can_play = deck.may_answer(origin.host, origin.port)
        self.can_record = deck.policy.can_record

        # What the host tells.
        self.share_among(threading)
        self.sender: int | None = None  # the thread that sends
        self.has_line = False  # the peer was dialled
        self.has_failed = False  # the connection failed, and that was recorded
        self.is_upload_stalled = False  # the peer, live or played, accepts no more data at present
        # The client has shut down a direction: an end that follows is not the peer's own doing.
        self.reads_no_more = self.sends_no_more = False
        self.naming: Naming = as_it_is
        self.on_left: Callable[[], None] = do_nothing

        # What the host follows.
        self.has_spoken = False  # the client has sent something
        self.is_transparent = False
        self.is_closed = False  # by the client
        self.is_left = False  # the cassette is no longer in use
        self.is_cut_short = False  # the cassette was left during an exchange with a live peer
        self.is_unreachable = False  # no TCP connection could be made to the peer when it was dialled late
        # The failure of a recorded peer that accepted the connection, but took no request.
        self.late_refusal: Failure | None = None
        self.tunnel: Tunnel | None = None  # once a proxy has accepted one

        self._deck, self._clock = deck, clock
        self._greeting: Greeting | None = None  # of a SOCKS proxy, until its answer was read
        self._begun: deque[Exchange] = deque()
        self._settled: Exchange | None = None  # the last one, played to its end, once the client has sent more
        # A request and its answer of one piece, which is not read yet.
        self._answer: tuple[bytes, bytes] | None = None
        self._refusal: Exception | None = None
        self._ended = False
        self._live_peer = LivePeer(self._begun, deck, clock)

    def share_among(self, threads: Threads) -> None:
        """Let the client send and receive in different threads of this kind."""
        self._threads = threads
        self.get_ident = threads.get_ident
        # Not held while waiting for a peer.
        self.lock = threads.RLock()
        # Notified of everything that may end the wait of a reading thread.
        self.moved = threads.Condition(self.lock)

    @property
    def _exchanges(self) -> deque[Exchange]:
        """Those that are not over. An answer that was found at once becomes one here, as its details are needed."""
        if self._answer is not None:
            self._look_closer()
        return self._begun

    def _look_closer(self) -> None:
        """Turn what was answered at once into an exchange, if there is such an answer."""
        if self._answer is None:
            return
        with self.lock:
            answer, self._answer = self._answer, None
            if answer is not None:  # another thread may have read it
                self._play_whole(*answer)

    @property
    def _player(self) -> Player | None:
        """Plays the response that the client reads now or next."""
        exchanges = self._exchanges
        return exchanges[0].player if exchanges else None

    def after_fork_in_child(self) -> None:
        """After a fork: a thread that is not in the child may hold the lock; the parent records the open exchanges."""
        self.share_among(self._threads)
        for exchange in self._exchanges:
            exchange.is_kept = True

    @property
    def is_passing(self) -> bool:
        """The newest request goes to the live peer without being recorded."""
        return bool(self._exchanges) and self._exchanges[-1].is_passed

    @property
    def is_dialled_late(self) -> bool:
        """If the peer is dialled now, it is for a request whose client believes that it is connected."""
        return bool(self._exchanges) and self._exchanges[-1].recording is not None

    @property
    def newest_request(self) -> Request | None:
        """The request that is being sent, or was sent last, as far as it has come; None before its head is complete."""
        if not self._exchanges or self._exchanges[-1].request.reader.head is None:
            return None
        return self._exchanges[-1].request.value

    @property
    def is_between_requests(self) -> bool:
        """The client's next octet begins a request."""
        return not (self.is_transparent or self._greeting) and (not self._exchanges or self._exchanges[-1].is_over)

    def is_greeting(self, octets: bytes) -> bool:
        """These octets of the client are for a SOCKS proxy, and may have to be changed for it."""
        return self._greeting is not None or not (self.has_spoken or socks_version(octets) is None)

    @property
    def is_mid_response(self) -> bool:
        """A response has begun to play, or is about to, and has not been handed out completely."""
        player = self._player
        return player is not None and not player.is_drained

    @property
    def has_surplus(self) -> bool:
        """More than the response may have come with it, so it matters if the peer has closed behind it."""
        if not self._exchanges:
            return self._live_peer.idle.has_surplus
        recording = self._exchanges[0].recording
        return recording is not None and recording.may_be_complete

    @property
    def is_idle(self) -> bool:
        """All requests so far have been answered."""
        return self.has_spoken and not (self.is_transparent or self._exchanges)

    @property
    def needs_peer(self) -> bool:
        """The client is waiting for a live peer."""
        if self._greeting is not None:
            return not self._greeting.is_played
        return self.is_transparent or self.is_recording

    @property
    def is_recording(self) -> bool:
        """The response that the client reads or waits for comes from a live peer."""
        return bool(self._exchanges) and self._exchanges[0].state is State.RECORDING

    @property
    def is_due(self) -> bool:
        """A played read would not have to wait; False while a live peer has to be read."""
        if self._refusal is not None or self._ended or self._answer is not None or self.late_refusal is not None:
            return True
        if self._greeting is not None:
            return self._greeting.is_due
        if not self._exchanges:
            return False
        player = self._exchanges[0].player
        return player is not None and player.is_due and not (self.is_upload_stalled and player.is_drained)

    @property
    def due_in_s(self) -> float | None:
        """In how many seconds the recorded pace brings the next piece; None if time alone does not bring one."""
        player = self._player if self._refusal is None else None
        return player.due_in_s or None if player is not None and player.is_released else None

    @property
    def has_only_end(self) -> bool:
        """Only the end of the stream is left to hand out."""
        if self._refusal is not None or self._answer is not None:
            return False
        player = self._player
        if player is None:
            return self._ended and not self._exchanges
        return player.next_ending is Signal.END

    @property
    def is_closed_by_peer(self) -> bool:
        """The end of the stream has come, or comes next."""
        return self._ended or self.has_only_end

    @property
    def is_broken(self) -> bool:
        """The client has met the failure that broke the played connection, so it is no longer connected."""
        return bool(self._begun) and (player := self._begun[0].player) is not None and player.is_broken

    @property
    def is_within_read(self) -> bool:
        """A piece was handed out in part, and an event loop would have read more of it with that."""
        player = self._player if self._answer is None else None
        return player is not None and player.is_within_read

    @property
    def left_of_record(self) -> int:
        """How many octets are left of a played TLS record that was partly handed out."""
        player = self._begun[0].player if self._begun else None
        return player.left_of_record if player is not None else 0

    @property
    def goes_on(self) -> bool:
        """The next data came together with the octets handed out last, or has to be read from a live peer."""
        player = self._player
        if player is None:
            return self.needs_peer
        is_within_piece = player.is_within_piece and self._answer is None
        return is_within_piece or (player.ends_with_last_piece and player.is_released) or self.needs_peer

    @property
    def is_incompletely_closed(self) -> bool:
        """The end of the stream was handed out, and had come without a close_notify alert of TLS."""
        player = self._player if self._ended else None
        return player is not None and not player.track.close_notify

    @property
    def announces_end(self) -> bool:
        """The next end was recorded with a close_notify alert of TLS."""
        player = self._player
        if player is None or not player.track.close_notify:
            return False
        failure = player.track.failure
        return player.track.ended or (failure is not None and failure.kind is FailureKind.END)

    @property
    def ends_without_fin(self) -> bool:
        """The end of the stream, past or future, is only that of TLS: the TCP connection stays open."""
        player = self._player
        return player is not None and not player.track.fin

    @property
    def is_half_closed(self) -> bool:
        """The end of TLS alone was handed out."""
        return self._ended and self.ends_without_fin

    @property
    def next_failure(self) -> Failure | None:
        """The failure that the next read would raise; None if something else comes first."""
        player = self._player if self._refusal is None else None
        if player is None:
            return None if self._ended else self.late_refusal
        ending = player.next_ending
        return ending if isinstance(ending, Failure) else None

    @property
    def breaks_next(self) -> bool:
        """All data has been handed out, and then the peer broke off, or ended within a message."""
        player = self._player if self._answer is None else None
        return player is not None and player.is_drained and player.track.failure is not None

    # ------------------------------------------------------------------ what the client does

    def client_sent(self, octets: bytes) -> bytes:
        """Take octets that the client sends; returns those to forward to the peer now.

        Raises UnmatchedRequest when they complete a request that nothing answers.
        """
        if self.is_transparent and not self._begins_late(octets):
            return octets
        if self._refusal is not None:
            raise self._refusal
        if self.is_left:
            raise BrokenPipeError(errno.EPIPE, "the cassette that played this connection is not in use any more")
        if self.late_refusal is not None:
            return b""
        if octets and self.can_play and self._is_answered_at_once(octets):
            return b""
        forward = b""
        if not self.has_spoken or self._greeting is not None:
            forward, octets = self._greet(octets)
        while octets and not self.is_transparent:  # an empty write starts no request: h11 ends messages with one
            exchange = self._open_exchange(octets)
            if exchange.is_upgraded:
                return forward + exchange.take_upgraded(octets)
            taken = exchange.request.take(octets)
            forward += self._advance(exchange, octets[:taken])
            octets = octets[taken:]
        return forward + octets

    def client_could_not_send(self, octets: bytes) -> None:
        """Take octets of the client that the peer did not accept, perhaps after blocking the client for some time."""
        stalled = self._exchanges[-1] if self._exchanges and not self._exchanges[-1].is_over else None
        sent_at = stalled.sent_at if stalled is not None else 0.0
        self.client_sent(octets)
        if stalled is not None:
            stalled.sent_at = sent_at

    def client_reads(self, at_most: int) -> bytes | Failure | Signal:
        """What a client gets that reads at most `at_most` octets now. Raises an earlier refusal again."""
        if self.is_transparent:
            return Signal.LIVE
        if self._refusal is not None:
            raise self._refusal
        if self.late_refusal is not None and not self.is_left:
            return Signal.END if self._ended else self.late_refusal
        if self._answer is not None:
            request, octets = self._answer
            if len(octets) <= at_most:
                self._answer = None
                self._ended = is_over_after(request, octets)
                return octets
        if self._greeting is not None:
            return self._read_greeting(self._greeting, at_most)
        while self._exchanges:
            exchange = self._exchanges[0]
            if exchange.state is State.RECORDING:
                return Signal.LIVE
            if exchange.player is None:
                exchange.reads_in_vain += 1
                return Signal.WAIT
            result = exchange.player.read(at_most)
            if result is not Signal.IDLE:
                self._note_end(exchange, exchange.player, result)
                return result
            if not exchange.is_over:
                return Signal.WAIT
            self._exchanges.popleft()
        return Signal.END if self._ended else Signal.IDLE

    def break_at_once(self, failure: Failure | None) -> None:
        """Play a peer that took no request: whatever the client sends, it gets `failure`."""
        self.late_refusal = failure
        self._ended = failure is not None and failure.kind is FailureKind.END

    def client_closed(self) -> None:
        """The connection is over: record what unfinished exchanges have so far, and what came without a request."""
        self.is_closed = True
        is_unused = not (self._exchanges or self.has_spoken or self.is_transparent or self.is_left or self.has_failed)
        is_in_greeting = self.via is not None and not self.origin.is_tls  # of a proxy, which is recorded by itself
        if self.is_upload_stalled:
            self._live_peer.client_gave_up_sending()
        self._live_peer.client_closed(self.origin.of_connection if is_unused and not is_in_greeting else None, self.via)

    def peer_was_not_reached(self, error: OSError, failure: Failure | None) -> None:
        """Record `failure`, if there is one, as the result of the newest request, for which the peer was dialled.

        The client believes that it is connected, and gets `error` whatever it does next.
        """
        with self.lock:
            if not self.is_dialled_late:
                return
            exchange = self._exchanges.pop()
            if failure is not None and exchange.recording is not None:
                details = failure.details
                if self.sender == self.get_ident():  # else another thread dials, and the failure is met by a read
                    details = {**details, "sent": exchange.request.octets_after_head}
                exchange.recording.fail(replace(failure, details=details))
                self._live_peer.keep(exchange)
            self._refusal, self.is_unreachable = error, failure is None or "class" not in failure.details  # of TLS

    def leave(self) -> None:
        """Leave the cassette while the connection is open: for its client it looks closed from now on.

        The client can still read the rest of a response that is being played.
        A connection to a live peer becomes transparent instead.
        """
        with self.lock:
            was_live = self.has_line or self.needs_peer or not self.can_play
            is_mid_response = self.is_mid_response
            promised = [one for one in self._exchanges if one.player is not None]
            self.is_cut_short = any(one.state is State.RECORDING for one in self._exchanges)
            self.client_closed()
            self.is_left = True
            self._greeting = None
            if was_live and not is_mid_response:
                self.is_transparent = True
            else:
                self._begun.extend(promised)
                self._ended = True
                for exchange in promised:
                    assert exchange.player is not None
                    exchange.player.close()
            self.moved.notify_all()
        self.on_left()

    def hand_out(self) -> tuple[bytes, bool]:
        """Return what the client still gets after the cassette was left, and False if that cuts off a response.

        From then on the channel decides nothing.
        """
        pieces: list[bytes] = []
        with self.lock:
            result: bytes | Failure | Signal = Signal.END
            while self._refusal is None and isinstance(result := self.client_reads(MOST_OCTETS), bytes):
                pieces.append(result)
            is_whole = not (self.is_cut_short or self.is_mid_response or isinstance(result, Failure))
            self.is_transparent = True
        return b"".join(pieces), is_whole

    # ------------------------------------------------------------------ what a live peer does

    def peer_sent(self, octets: bytes) -> None:
        """The peer sent `octets`, which the client gets next."""
        if self._greeting is not None:
            octets = self._greeting.peer_sent(octets)
            self._end_greeting(self._greeting)
            if not octets or self.is_transparent:
                return
        if not (self.has_spoken or self._live_peer.idle.unasked or octets.startswith(b"HTTP/")):
            self.is_transparent = True  # not HTTP, where the client speaks first
            return
        self._look_closer()
        opened = self._live_peer.sent(octets)
        if opened is not None:
            self._enter_tunnel(opened.request)

    def peer_ended(self, *, close_notify: bool = True) -> None:
        """The peer closed the stream; for `close_notify` see `Track`."""
        if self.reads_no_more or (self.sends_no_more and not self._live_peer.may_end_response):
            return
        if self._greeting is not None:
            self._greeting.peer_failed(None)
            self._end_greeting(self._greeting)
        self._look_closer()
        self._live_peer.ended(close_notify=close_notify)

    def peer_failed(self, failure: Failure) -> None:
        """The stream failed; `failure.at` is an absolute time of the channel's clock."""
        if self._greeting is not None:
            self._greeting.peer_failed(failure)
            self._end_greeting(self._greeting)
        self._look_closer()
        self._live_peer.failed(failure)

    # ------------------------------------------------------------------ inside

    def _greet(self, octets: bytes) -> tuple[bytes, bytes]:
        """Follow what a client says to a SOCKS proxy; returns what to forward, and the octets for the tunnel."""
        greeting = self._greeting
        if greeting is None:
            version = socks_version(octets)
            if version is None:
                return b"", octets
            greeting = Greeting(version, self.origin, self._deck, self._clock, self.naming, is_played=self.can_play)
            self._greeting, self.has_spoken = greeting, True
        if greeting.far_end is not None:
            return b"", octets
        forward, octets = greeting.client_sent(octets)
        if greeting.far_end is not None:
            self.via, self.origin = greeting.proxy, greeting.far_end
            self.has_spoken = False
            if greeting.is_played:
                self.tunnel = chained(self.tunnel, greeting.tunnel)
        self._end_greeting(greeting)
        return forward, octets

    def _end_greeting(self, greeting: Greeting) -> None:
        if greeting.is_lost and greeting.is_played:
            raise self._refuse(
                "it uses a part of SOCKS that is not understood (a login of another kind, or a listener)"
            )
        self.is_transparent = self.is_transparent or greeting.is_lost
        if greeting.is_lost or greeting.is_over:
            self._greeting = None
            if not greeting.is_played:
                self.tunnel = chained(self.tunnel, greeting.tunnel)

    def _read_greeting(self, greeting: Greeting, at_most: int) -> bytes | Failure | Signal:
        if not greeting.is_played:
            return Signal.LIVE
        result = greeting.client_reads(at_most)
        self._ended = result is Signal.END
        self._end_greeting(greeting)
        return result

    def _begins_late(self, octets: bytes) -> bool:
        """Tell whether a client speaks HTTP although its peer spoke first, in another protocol.

        If recording is not allowed, a request that follows other talk of the client is refused.
        """
        if self.is_left or not octets or (self.has_spoken and self.can_record):
            return False
        reader = RequestReader()
        if octets.find(VERSION, 0, MAX_LINE_OCTETS) > 0:
            reader.feed(octets)
        if reader.head is not None:
            self.is_transparent = False
            if self.has_spoken:
                raise self._refuse("it comes behind another protocol")
        self.has_spoken = True
        return not self.is_transparent

    def _refuse(self, reason: str) -> Exception:
        self._refusal = self._deck.refuse(self.origin, reason)
        return self._refusal

    def _is_answered_at_once(self, octets: bytes) -> bool:
        """Play the answer to an ordinary request that came whole, if the cassette finds it by a simple look-up."""
        if self._answer is not None or self._begun:
            exchanges = self._exchanges
            if exchanges[-1].is_over:
                self._settle(exchanges[-1])
            if exchanges:
                return False
        if self.via is not None:
            return False
        answer = self._deck.answer_at_once(self.origin, octets, may_be_stale=self._may_be_stale)
        if answer is None:
            return False
        self.has_spoken = True
        self._ended = False
        piece = answer if isinstance(answer, bytes) else only_piece(answer)
        if piece is not None and (len(piece) <= TLS_RECORD_OCTETS or not self.origin.is_tls):
            self._answer = octets, piece
            if newest_delivery.get() is not DELIVERED:
                newest_delivery.set(DELIVERED)
        else:
            self._play_whole(octets, answer)
        return True

    def _play_whole(self, request: bytes, answer: Answer) -> None:
        exchange = Exchange(SentRequest(WholeRequest(request), request, self.origin, self.via))
        exchange.may_ask_to_close = may_ask_to_close(request)
        newest_delivery.set(exchange.delivery)
        self._begun.append(exchange)
        self._play_track(exchange, track_of(answer))

    @property
    def _may_be_stale(self) -> bool:
        """An interaction for which `Failure.is_stale` holds may answer the next request."""
        is_idle = self._answer is None and not self._begun
        return self.has_spoken and is_idle and not newest_delivery.get().is_lost

    def _open_exchange(self, octets: bytes) -> Exchange:
        """The exchange to which the next octets of the client belong, or at least the first of them."""
        exchanges = self._exchanges
        if exchanges:
            last = exchanges[-1]
            if not last.is_over:
                return last
            self._settle(last)
            for earlier in self._exchanges:
                if earlier.player is not None:
                    earlier.player.further_requests += 1
        may_be_stale, is_first, was_ended = self._may_be_stale, not self.has_spoken, self._ended
        self.has_spoken = True
        self._ended = False
        self._live_peer.idle.request_begins()
        if not self.can_play and is_ordinary_request(octets):
            request = SentRequest(WholeRequest(octets), b"", self.origin, self.via)
        else:
            request = SentRequest(RequestReader(), bytearray(), self.origin, self.via)
        exchange = Exchange(request, self._clock())
        exchange.may_be_stale, exchange.is_first, exchange.was_ended = may_be_stale, is_first, was_ended
        newest_delivery.set(exchange.delivery)
        exchanges.append(exchange)
        return exchange

    def _note_end(self, exchange: Exchange, player: Player, result: bytes | Failure | Signal) -> None:
        """Determine whether the played connection is closed after what the client has got."""
        if not isinstance(result, bytes):
            self._ended = self._ended or result is Signal.END or isinstance(result, Failure)
        elif player.is_drained and not (player.has_ending or exchange.is_tunnel) and exchange.is_over:
            may_end = exchange.may_ask_to_close or may_close(player.track.pieces[0].octets)
            self._ended = may_end and is_closed_by(exchange.request.head, player.track.octets)
            if not self._ended:
                self._exchanges.popleft()  # nothing more belongs to it

    def _settle(self, exchange: Exchange) -> None:
        """A new request begins: end the exchange before it, unless its response is still to come (pipelining)."""
        if exchange.recording is not None:
            self._live_peer.client_goes_on(exchange, exchange.recording)
        elif exchange.player is not None and exchange.player.is_drained:
            self._exchanges.remove(exchange)
            self._settled = exchange

    def _advance(self, exchange: Exchange, octets: bytes) -> bytes:
        """Decide, if that is possible yet; returns what to forward of `octets`, the newest octets of the request."""
        request = exchange.request
        if request.reader.malformed is not None:
            if not request.is_foreign:
                reason = f"nobody can tell its end, {request.reader.malformed}"
                if not self.can_record:
                    raise self._refuse(reason)
                self._deck.let_pass(self.origin, reason)
            elif not self.can_record and request.octets.startswith(TLS_HANDSHAKE):
                raise self._refuse("its TLS is made by another module than Python's ssl, such as pyOpenSSL")
            self._exchanges.remove(exchange)
            if request.is_foreign and not (exchange.is_first or self.has_line or self.tunnel):
                self._go_back(exchange)
                return b""
            self._live_peer.idle.request_was_none()
            self.is_transparent = True
            return octets if exchange.state is State.RECORDING else bytes(request.octets)
        if exchange.player is not None:
            exchange.player.client_sent()
            return b""
        if exchange.state is State.OPEN:
            if not self.can_play:
                exchange.state = State.RECORDING
            elif not self._choose(exchange):
                return b""
            else:
                octets = bytes(request.octets)
        if exchange.state is not State.RECORDING:
            return b""
        self._live_peer.client_sent(exchange)
        if self._live_peer.idle.unasked and request.is_complete:
            self.peer_sent(self._live_peer.idle.take_unasked())
        return octets

    def _go_back(self, exchange: Exchange) -> None:
        """Let the client meet what follows its last response: what it sent is no request, and its peer is played."""
        self._ended = exchange.was_ended
        if self._settled is not None:
            self._exchanges.append(self._settled)

    def _choose(self, exchange: Exchange) -> bool:
        """Decide between playing and recording; False if it is too early to decide."""
        reader = exchange.request.reader
        if reader.head is None:
            return False
        is_early = not (reader.is_complete or self._deck.decides_at_head)
        if is_early and exchange.is_expected:
            return False
        exchange.is_expected = True
        request = exchange.request.value
        takes_stale = exchange.may_be_stale or reader.expects_continue

        def fits(interaction: Interaction) -> bool:
            return answers_early(interaction) and (takes_stale or not interaction.track.is_stale)

        try:
            if is_early:
                answer = self._deck.expect(request, fits, reader.expects_continue)
            else:
                answer = self._deck.choose(request, may_be_stale=exchange.may_be_stale)
        except Exception as refusal:
            self._refusal = refusal
            raise
        if answer is Undecided.YET:
            return False
        if isinstance(answer, Interaction):
            self._play(exchange, answer)
            return True
        exchange.state = State.RECORDING
        exchange.is_admitted, exchange.is_passed = True, answer is None
        exchange.admitted = answer if answer is not request else None
        exchange.lacks_body = not reader.is_complete
        return True

    def _play(self, exchange: Exchange, interaction: Interaction) -> None:
        head = exchange.request.head
        is_upgrade, pongs = False, None
        if exchange.request.may_upgrade:
            response = ResponseReader(head.method)
            head_octets = response.feed(interaction.track.octets)
            exchange.is_tunnel = response.is_upgrade and head.method == "CONNECT"
            is_upgrade = response.is_upgrade and not exchange.is_tunnel
            if is_upgrade:
                interaction = with_accepted_key(interaction, head)
                if any(map(is_websocket, field_values(head.fields, "upgrade"))):
                    pongs = Pongs(interaction.track.octets, head_octets)
        exchange.may_ask_to_close = not is_persistent(head.version, head.fields)
        self._play_track(exchange, interaction.track, is_upgrade, pongs)

    def _play_track(
        self, exchange: Exchange, track: Track, is_upgrade: bool = False, pongs: Pongs | None = None
    ) -> None:
        self._settled = None
        exchange.state = State.PLAYING
        exchange.delivery.is_lost = track.is_lost
        exchange.player = Player(
            track,
            exchange.request,
            is_upgrade=is_upgrade,
            in_records=self.origin.is_tls,
            clock=self._clock if self._deck.keeps_pace else None,
            pongs=pongs,
        )
        exchange.player.reads_in_vain = exchange.reads_in_vain
        if exchange.is_tunnel:
            self._enter_tunnel(exchange.request)
        exchange.player.client_sent()

    def _enter_tunnel(self, request: SentRequest) -> None:
        """From here on the octets go to the host named by CONNECT. If TLS follows, another channel takes over."""
        host, _, port = request.head.target.rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else 80
        far_end = Origin("http", host.strip("[]").lower(), number)
        self.tunnel = chained(self.tunnel, open_by_connect(bytes(request.octets)))
        self.via, self.origin = self.origin, far_end
