"""The channel through its own door: what it forwards, hands out, keeps and refuses. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cassette_http.cassette.index import Index
from cassette_http.cassette.library import Library
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.modes import Policy
from cassette_http.errors import UnmatchedRequest
from cassette_http.transport.channel import Channel
from cassette_http.transport.replaying import PlayedWriteFailure, Signal
from cassette_http.transport.tape import Undecided

ORIGIN = Origin("http", "api.test", 80)
GET = b"GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\n"
EXPECT = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nto the end"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
RESET = Failure(FailureKind.RESET, 100.5, "ECONNRESET")
ALERT = Failure(FailureKind.RESET, text="alert", details={"class": "SSLError", "number": 1})
UPGRADE = b"GET /a HTTP/1.1\r\nHost: api.test\r\nUpgrade: x\r\n\r\n"


class Clock:
    """A clock that a test turns."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Recorded(Library):
    """Interactions that are in no file."""

    def __init__(self, interactions: list[Interaction]) -> None:
        super().__init__()
        self._interactions = interactions
        self.request_lines = [None] * len(interactions)

    def parse(self, position: int) -> Interaction:
        return self._interactions[position]


class ListTape:
    """A cassette in memory."""

    def __init__(self, policy: Policy, recorded: list[Interaction], match: tuple[str, ...] = DEFAULT_MATCH) -> None:
        self.policy = policy
        self.keeps_pace = False
        self.most_octets: int | None = None
        self.dropped = 0
        self.let_past: list[str] = []
        matching = resolve(match)
        self.decides_at_head = not matching.needs_body
        self.kept: list[Interaction] = []
        self.amended: list[tuple[object, Track]] = []
        self.started_at_s: list[float] = []
        self._index = Index(Recorded(recorded), matching)

    def may_answer(self, host: str, port: int) -> bool:
        return self.policy.can_play

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Track | None:
        return None

    def admit(self, request: Request) -> Request | None:
        return request if "private" not in request.url else None

    def choose(self, request: Request, *, may_be_stale: bool) -> Interaction | Request | None:
        if self.admit(request) is None:
            return None
        entry = self._index.find(request, may_be_stale=may_be_stale)
        if entry is not None:
            entry.plays += 1
            return entry.interaction
        if self.policy.can_record:
            return request
        raise UnmatchedRequest(f"nothing for {request.url}")

    def expect(
        self, request: Request, fits: Callable[[Interaction], bool], is_waiting: bool
    ) -> Interaction | Undecided:
        entry = next((e for e in self._index.entries if not e.plays), None)
        if entry is None or not fits(entry.interaction):
            return Undecided.YET
        entry.plays += 1
        return entry.interaction

    def refuse(self, origin: Origin, reason: str) -> Exception:
        return UnmatchedRequest(f"a request to {origin}: {reason}")

    def let_pass(self, origin: Origin, reason: str) -> None:
        self.let_past.append(reason)

    def drop(self) -> None:
        self.dropped += 1

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        return None

    def keep_connection_failure(
        self, origin: Origin, failure: Failure, via: Origin | None, started_at_s: float | None = None
    ) -> None:
        self.kept.append(Interaction(origin, None, Track(failure=failure), via))

    def keep(self, interaction: Interaction, started_at_s: float) -> object:
        self.kept.append(interaction)
        self.started_at_s.append(started_at_s)
        return interaction

    def amend(self, kept: object, ending: Track) -> None:
        self.amended.append((kept, ending))


class TapeThatKnowsAtOnce(ListTape):
    """One that finds each answer at first sight."""

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Track | None:
        found = self.choose(Request(origin, octets), may_be_stale=may_be_stale)
        assert isinstance(found, Interaction)
        return found.track


def recording() -> tuple[Channel, ListTape, Clock]:
    tape, clock = ListTape(Policy(can_play=False, can_record=True), []), Clock()
    return Channel(ORIGIN, tape, clock), tape, clock


def replaying(*interactions: Interaction, can_record: bool = False, match: tuple[str, ...] = DEFAULT_MATCH) -> Channel:
    return Channel(ORIGIN, ListTape(Policy(can_play=True, can_record=can_record), list(interactions), match), Clock())


def interaction(request: bytes, *pieces: Piece | bytes, **ending: object) -> Interaction:
    head, _, body = request.partition(b"\r\n\r\n")
    track = Track(tuple(p if isinstance(p, Piece) else Piece(p) for p in pieces), **ending)  # type: ignore[arg-type]
    return Interaction(ORIGIN, Request(ORIGIN, head + b"\r\n\r\n", body), track)


def octets_of(tape: ListTape) -> list[tuple[bytes, list[bytes]]]:
    return [
        (one.request.head_octets + one.request.body_octets, [piece.octets for piece in one.track.pieces])
        for one in tape.kept
        if one.request is not None
    ]


# ---------------------------------------------------------------------- recording


def test_response_beyond_the_limit_is_followed_to_its_end_and_dropped() -> None:
    channel, tape, _ = recording()
    tape.most_octets = 100
    for length in (1000, 10):
        channel.client_sent(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        channel.peer_sent(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length):
            channel.peer_sent(b"x")
    assert tape.dropped == 1
    assert [interaction.track.octets[-12:] for interaction in tape.kept] == [b"\r\nxxxxxxxxxx"]


def test_recording_forwards_each_octet_at_once() -> None:
    channel, tape, _ = recording()
    assert [channel.client_sent(GET[:5]), channel.client_sent(GET[5:])] == [GET[:5], GET[5:]]
    assert channel.client_reads(100) is Signal.LIVE
    channel.peer_sent(OK)
    assert octets_of(tape) == [(GET, [OK])]


def test_interaction_is_kept_before_its_last_octet_is_handed_out() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    assert tape.kept == []
    channel.peer_sent(OK[-1:])
    assert len(tape.kept) == 1


def test_pieces_are_told_apart_by_time_and_not_by_accidents_of_buffers() -> None:
    channel, tape, clock = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:10])
    channel.peer_sent(OK[10:20])
    clock.now_s += 0.5
    channel.peer_sent(OK[20:])
    assert [(piece.octets, piece.at) for piece in tape.kept[0].track.pieces] == [(OK[:20], 0.0), (OK[20:], 0.5)]


@pytest.mark.parametrize("empty", [pytest.param(b"", id="empty write")])
def test_empty_write_starts_no_request(empty: bytes) -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.client_sent(empty)
    channel.peer_sent(OK)
    channel.client_sent(empty)
    channel.client_closed()
    assert octets_of(tape) == [(GET, [OK])]


def test_two_requests_on_one_connection_are_two_interactions() -> None:
    channel, tape, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
        channel.peer_sent(OK)
    assert octets_of(tape) == [(GET, [OK]), (GET, [OK])]


def test_pipelined_requests_get_their_answers_in_order() -> None:
    channel, tape, _ = recording()
    second = GET.replace(b"/a", b"/b")
    assert channel.client_sent(GET + second) == GET + second
    channel.peer_sent(OK + OK.replace(b"ok", b"ko"))
    assert octets_of(tape) == [(GET, [OK]), (second, [OK.replace(b"ok", b"ko")])]


def test_response_to_the_close_is_complete_with_the_close() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(UNTIL_CLOSE)
    assert tape.kept == []
    channel.peer_ended()
    assert tape.kept[0].track == Track((Piece(UNTIL_CLOSE),), None, ended=True)


def test_new_request_ends_a_response_whose_end_only_the_client_saw() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(UNTIL_CLOSE)
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert octets_of(tape) == [(GET, [UNTIL_CLOSE]), (GET, [OK])]


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [
        pytest.param(b"", 0, id="before the status line"),
        pytest.param(OK[:-1], 1, id="in the content"),
        pytest.param(b"HTT", 1, id="in the status line"),
        pytest.param(CONTINUE, 1, id="after an interim response"),
    ],
)
def test_close_too_early_is_a_failure(answer: bytes, pieces: int) -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(answer)
    channel.peer_ended()
    track = tape.kept[0].track
    assert (len(track.pieces), track.failure, track.ended) == (pieces, Failure(FailureKind.END), False)


def test_reset_is_kept_at_once_with_its_time() -> None:
    channel, tape, clock = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:20])
    channel.peer_failed(Failure(FailureKind.RESET, clock.now_s + 2, "ECONNRESET", "Connection reset by peer"))
    assert tape.kept[0].track.failure == Failure(FailureKind.RESET, 2.0, "ECONNRESET", "Connection reset by peer")


def test_reset_is_met_by_each_request_that_has_no_answer() -> None:
    """A client may have taken surplus octets for an answer, and then it is the next request that meets the reset."""
    channel, tape, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
    channel.peer_failed(RESET)
    channel.client_closed()
    assert [one.track.failure for one in tape.kept] == [replace(RESET, at=0.5)] * 2
    played = replaying(*tape.kept)
    for _ in range(2):
        played.client_sent(GET)
    assert played.client_reads(100) == replace(RESET, at=0.5)


def test_timeout_is_met_before_the_piece_that_a_client_read_on_for() -> None:
    channel, tape, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s, None, "timed out"))
    channel.peer_sent(OK)
    [kept] = tape.kept
    assert kept.track == Track((Piece(OK, timeouts=1),))
    played = replaying(kept)
    played.client_sent(GET)
    assert [played.client_reads(100) for _ in range(3)] == [Signal.TIMEOUT, OK, Signal.IDLE]


@pytest.mark.parametrize("ends_with", ["end", "reset"])
def test_timeout_is_met_before_the_end_that_a_client_read_on_for(ends_with: str) -> None:
    channel, tape, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s, None, "timed out"))
    if ends_with == "end":
        channel.peer_ended()
    else:
        channel.peer_failed(Failure(FailureKind.RESET, clock.now_s, "ECONNRESET", "reset"))
    [kept] = tape.kept
    assert kept.track.is_lost
    played = replaying(kept)
    played.client_sent(GET)
    ending = Signal.END if ends_with == "end" else kept.track.failure
    assert [played.client_reads(100) for _ in range(2)] == [Signal.TIMEOUT, ending]


def test_timeout_of_a_client_that_waited_for_the_word_to_go_on_is_met_once() -> None:
    track = Track((Piece(OK, timeouts=1),))
    head = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    played = replaying(Interaction(ORIGIN, Request(ORIGIN, head, b"ab"), track))
    played.client_sent(head)
    assert played.client_reads(100) is Signal.WAIT
    played.client_sent(b"ab")
    assert played.client_reads(100) == OK


def test_timeout_is_kept_if_the_client_gives_up() -> None:
    channel, tape, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s + 30, None, "timed out"))
    channel.client_closed()
    assert tape.kept[0].track.failure == Failure(FailureKind.TIMEOUT, 30.0, None, "timed out")


def test_abandoned_response_keeps_what_came() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    channel.client_closed()
    assert tape.kept[0].track == Track((Piece(OK[:-1]),))


def test_request_that_never_got_a_head_is_not_kept() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET[:7])
    channel.client_closed()
    assert tape.kept == []


def test_continue_and_answer_remember_how_far_the_client_was() -> None:
    channel, tape, clock = recording()
    channel.client_sent(EXPECT)
    channel.peer_sent(CONTINUE)
    channel.client_sent(b"body")
    clock.now_s += 1
    channel.peer_sent(OK)
    assert [(piece.octets, piece.sent) for piece in tape.kept[0].track.pieces] == [(CONTINUE, 0), (OK, None)]


def test_early_answer_is_kept_though_the_request_is_incomplete() -> None:
    channel, tape, _ = recording()
    channel.client_sent(POST + b"bo")
    channel.peer_sent(OK)
    assert [(piece.octets, piece.sent) for piece in tape.kept[0].track.pieces] == [(OK, 2)]
    channel.client_sent(b"dy")
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert [head for head, _ in octets_of(tape)] == [POST + b"bo", GET]


def test_failed_write_remembers_how_far_the_client_was() -> None:
    channel, tape, clock = recording()
    channel.client_sent(POST)
    channel.client_sent(b"bo")
    channel.peer_failed(Failure(FailureKind.WRITE, clock.now_s, "EPIPE", "Broken pipe"))
    channel.client_closed()
    assert tape.kept[0].track.failure == Failure(FailureKind.WRITE, 0.0, "EPIPE", "Broken pipe", {"sent": 2})


def test_upgraded_connection_is_one_interaction_with_octets_of_both_sides() -> None:
    channel, tape, clock = recording()
    channel.client_sent(UPGRADE)
    channel.peer_sent(SWITCH + b"hello")
    assert channel.client_sent(b"ping") == b"ping"
    clock.now_s += 1
    channel.peer_sent(b"pong")
    channel.peer_ended()
    pieces = tape.kept[0].track.pieces
    assert [(piece.octets, piece.sent) for piece in pieces] == [(SWITCH + b"hello", None), (b"pong", 4)]
    assert tape.kept[0].track.ended


def test_tunnel_changes_the_origin() -> None:
    channel, tape, _ = recording()
    connect = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test\r\n\r\n"
    channel.client_sent(connect)
    channel.peer_sent(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert (channel.origin, channel.via) == (Origin("http", "far.test", 443), ORIGIN)
    assert channel.tunnel is not None
    assert [one.origin for one in tape.kept] == [ORIGIN]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"*1\r\n$4\r\nPING\r\n", id="redis"),
        pytest.param(b"\x16\x03\x01\x02\x00", id="tls"),
        pytest.param(b"EHLO me\r\n", id="smtp"),
    ],
)
@pytest.mark.parametrize("can_play", [True, False])
def test_what_is_not_http_passes(octets: bytes, can_play: bool) -> None:
    tape = ListTape(Policy(can_play=can_play, can_record=not can_play), [])
    channel = Channel(ORIGIN, tape, Clock())
    forwarded = b"".join(channel.client_sent(octets[i : i + 1]) for i in range(len(octets)))
    forwarded += channel.client_sent(b"more")
    assert forwarded == octets + b"more"
    assert channel.client_reads(10) is Signal.LIVE
    channel.peer_sent(b"+PONG\r\n")
    channel.client_closed()
    assert tape.kept == []


@pytest.mark.parametrize("asked_before", [[], [GET]], ids=["first request", "second request"])
def test_response_that_nobody_asked_for_answers_the_next_request(asked_before: list[bytes]) -> None:
    channel, tape, _ = recording()
    for request in asked_before:
        channel.client_sent(request)
        channel.peer_sent(OK)
    forged = OK.replace(b"ok", b"no")
    channel.peer_sent(forged[:10])
    channel.peer_sent(forged[10:])
    for octets in (POST[:30], POST[30:], b"bo", b"dy"):
        channel.client_sent(octets)
    assert octets_of(tape)[-1] == (POST + b"body", [forged])


def test_what_comes_behind_the_next_request_is_a_piece_of_its_own() -> None:
    channel, tape, _ = recording()
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    channel.client_sent(GET)
    channel.peer_sent(hint)
    channel.client_sent(POST + b"body")
    channel.peer_sent(OK)
    assert octets_of(tape) == [(GET, [hint, OK])]


def test_what_comes_behind_further_requests_waits_for_as_many_of_them() -> None:
    """To a client that takes hints for responses, they come one request too late each, and no sooner."""
    channel, tape, _ = recording()
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    for octets in (hint, hint, OK):
        channel.client_sent(GET)
        channel.peer_sent(octets)
    assert [piece.sent for piece in tape.kept[0].track.pieces] == [None, -1, -2]
    unanswered = Interaction(ORIGIN, Request(ORIGIN, GET), Track())
    played = replaying(tape.kept[0], unanswered, unanswered)
    for octets in (hint, hint, OK):
        played.client_sent(GET)
        assert played.is_due
        assert played.client_reads(1000) == octets
        assert not played.is_due


def test_what_comes_with_a_late_response_is_no_answer_to_the_next_request() -> None:
    """A client that waits for one answer after the other has read it with that response, and drops it."""
    channel, tape, _ = recording()
    for octets in (b"HTTP/1.1 103 Early Hints\r\n\r\n", OK + b"\r\n", OK):
        channel.client_sent(GET)
        channel.peer_sent(octets)
    channel.client_closed()
    assert [[(piece.octets, piece.sent) for piece in one.track.pieces] for one in tape.kept] == [
        [(b"HTTP/1.1 103 Early Hints\r\n\r\n", None), (OK + b"\r\n", -1)],
        [(OK, -1)],
        [],
    ]


@pytest.mark.parametrize(
    ("request_", "answer", "idle_s", "noted"),
    [
        pytest.param(GET, OK, 0.5, True, id="at once"),
        pytest.param(GET, OK, 1000.0, True, id="later"),
        pytest.param(GET, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 0.5, False, id="announced"),
        pytest.param(GET[:-2] + b"Connection: close\r\n\r\n", OK, 0.5, False, id="asked for"),
        pytest.param(GET, UNTIL_CLOSE, 0.5, False, id="is the end of the content"),
    ],
)
def test_end_of_a_connection_that_was_to_be_kept_is_noted(
    request_: bytes, answer: bytes, idle_s: float, noted: bool
) -> None:
    channel, tape, clock = recording()
    channel.client_sent(request_)
    channel.peer_sent(answer)
    clock.now_s += idle_s
    channel.peer_ended()
    channel.peer_ended()
    assert tape.amended == ([(tape.kept[0], Track(ended=True))] if noted else [])


@pytest.mark.parametrize("kind", [FailureKind.RESET, FailureKind.TIMEOUT])
def test_peer_that_does_not_close_as_it_announced_is_noted(kind: FailureKind) -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET[:-2] + b"Connection: close\r\n\r\n")
    channel.peer_sent(OK)
    channel.peer_failed(replace(RESET, kind=kind))
    assert [ending.failure for _, ending in tape.amended] == [replace(RESET, kind=kind, at=0.0)]


def test_what_comes_after_the_client_has_given_up_is_not_noted() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.client_closed()
    channel.peer_failed(RESET)
    assert len(tape.kept) == 1
    assert not tape.amended


def test_reset_of_an_idle_connection_is_noted_and_a_timeout_is_not() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_failed(replace(RESET, kind=FailureKind.TIMEOUT))
    channel.peer_failed(RESET)
    assert [ending.failure for _, ending in tape.amended] == [replace(RESET, at=0.0)]


def test_what_a_peer_says_before_it_closes_unasked_is_noted_too() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_sent(OK)
    channel.peer_ended()
    assert [ending for _, ending in tape.amended] == [Track((Piece(OK),), ended=True)]


def test_what_a_peer_says_unasked_is_noted_when_the_client_closes() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_sent(b"x")
    channel.client_closed()
    assert [ending for _, ending in tape.amended] == [Track((Piece(b"x"),))]


def test_a_new_protocol_that_nobody_offered_is_no_end_of_http() -> None:
    channel, tape, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
        channel.peer_sent(SWITCH)
    channel.client_closed()
    assert [(one.request.head_octets, one.track.octets) for one in tape.kept if one.request] == [(GET, SWITCH)] * 2


def test_end_that_is_read_behind_a_failure_does_not_replace_it() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    channel.peer_failed(RESET)
    channel.peer_ended()
    assert [one.track.failure for one in tape.kept] == [replace(RESET, at=0.5)]
    assert tape.amended == []


def test_end_behind_the_next_request_belongs_to_that() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.client_sent(GET)
    channel.peer_ended()
    assert (len(tape.kept), tape.amended) == (2, [])


def test_peer_that_speaks_first_does_not_speak_http() -> None:
    channel, tape, _ = recording()
    channel.peer_sent(b"220 mail.test ESMTP\r\n")
    assert channel.is_transparent
    for octets in (b"EHLO me\r\n", GET):
        assert channel.client_sent(octets) == octets
    channel.peer_sent(OK)
    assert tape.kept == []


def test_peer_that_speaks_first_may_be_asked_by_http_nevertheless() -> None:
    channel, tape, _ = recording()
    channel.peer_sent(b"220 welcome\r\n")
    channel.client_sent(b"")
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert octets_of(tape) == [(GET, [OK])]


# ---------------------------------------------------------------------- replaying


def test_replay_forwards_nothing_and_hands_out_the_pieces() -> None:
    channel = replaying(interaction(GET, OK[:20], OK[20:]))
    assert channel.client_sent(GET) == b""
    assert [channel.client_reads(1000), channel.client_reads(3)] == [OK[:20], OK[20:23]]
    assert channel.client_reads(1000) == OK[23:]
    assert channel.client_reads(1000) is Signal.IDLE


def test_nothing_is_handed_out_before_the_request_is_complete() -> None:
    channel = replaying(interaction(GET, OK))
    channel.client_sent(GET[:-1])
    assert (channel.client_reads(10), channel.is_due) == (Signal.WAIT, False)
    channel.client_sent(GET[-1:])
    assert channel.is_due


@pytest.mark.parametrize(
    ("ending", "results"),
    [
        pytest.param({"ended": True}, [Signal.END] * 2, id="close"),
        pytest.param({"failure": Failure(FailureKind.END)}, [Signal.END] * 2, id="close too early"),
        pytest.param({"failure": Failure(FailureKind.RESET)}, [Failure(FailureKind.RESET), Signal.END], id="reset"),
        pytest.param({"failure": ALERT}, [ALERT] * 2, id="TLS alert"),
        pytest.param({"failure": Failure(FailureKind.TIMEOUT)}, [Failure(FailureKind.TIMEOUT)] * 2, id="time-out"),
    ],
)
def test_ending_is_played_each_time_the_client_reads(ending: dict[str, object], results: list[object]) -> None:
    channel = replaying(interaction(GET, OK[:-1], **ending))
    channel.client_sent(GET)
    assert [channel.client_reads(1000) for _ in range(3)] == [OK[:-1], *results]


@pytest.mark.parametrize(
    ("get", "pieces", "ending"),
    [
        pytest.param(GET, [OK], {}, id="one piece"),
        pytest.param(GET, [OK[:20], OK[20:]], {}, id="two pieces"),
        pytest.param(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), [OK], {}, id="client closes"),
        pytest.param(GET, [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")], {}, id="peer closes"),
        pytest.param(GET, [OK], {"ended": True}, id="peer has closed"),
        pytest.param(GET, [OK], {"failure": Failure(FailureKind.RESET)}, id="reset"),
        pytest.param(GET, [], {"failure": Failure(FailureKind.TIMEOUT)}, id="time-out"),
    ],
)
@pytest.mark.parametrize("at_most", [7, 1000])
@pytest.mark.parametrize("is_left", [False, True])
def test_answers_found_at_first_sight_are_played_as_all_others(
    get: bytes, pieces: list[bytes], ending: dict[str, object], at_most: int, is_left: bool
) -> None:
    def seen(kind: type[ListTape]) -> list[object]:
        recorded = [interaction(get, *pieces, **ending)] * 2
        channel = Channel(ORIGIN, kind(Policy(can_play=True, can_record=False), recorded), Clock())
        steps: list[object] = []
        for _ in recorded:
            steps += [channel.client_sent(get), channel.is_due]
            if is_left:
                channel.leave()
                return [*steps, channel.is_closed_by_peer, channel.hand_out()]
            while isinstance(result := channel.client_reads(at_most), bytes):
                steps += [result, channel.is_due, channel.is_between_requests, channel.is_mid_response]
            steps += [result, channel.is_closed_by_peer, channel.next_failure]
        return steps

    assert seen(TapeThatKnowsAtOnce) == seen(ListTape)


def test_unasked_upgrade_does_not_end_a_connection_whose_client_has_asked_to_close() -> None:
    """No HTTP follows in which the peer could close; the recorded client has waited, or has given up."""
    get = GET[:-2] + b"Connection: close\r\n\r\n"
    channel = replaying(interaction(get, SWITCH))
    channel.client_sent(get)
    assert [channel.client_reads(1000) for _ in range(2)] == [SWITCH, Signal.IDLE]
    assert not channel.is_closed_by_peer


def test_silent_peer_is_not_due() -> None:
    channel = replaying(interaction(GET, failure=Failure(FailureKind.TIMEOUT)))
    channel.client_sent(GET)
    assert not channel.is_due


def test_refusal_is_repeated_for_each_later_call() -> None:
    channel = replaying(interaction(GET, OK))
    with pytest.raises(UnmatchedRequest, match="nothing for http://api"):
        channel.client_sent(GET.replace(b"/a", b"/b"))
    with pytest.raises(UnmatchedRequest):
        channel.client_reads(10)
    with pytest.raises(UnmatchedRequest):
        channel.client_sent(GET)


def test_unmatched_request_is_recorded_where_the_mode_allows_it() -> None:
    channel = replaying(interaction(GET, OK), can_record=True)
    other = GET.replace(b"/a", b"/b")
    assert channel.client_sent(other[:9]) == b""
    assert channel.client_sent(other[9:]) == other
    assert channel.needs_peer
    channel.peer_sent(OK)
    assert channel.client_sent(GET) == b""
    assert channel.client_reads(1000) == OK


def test_decision_falls_at_the_head_if_no_matcher_needs_the_body() -> None:
    channel = replaying(interaction(POST + b"body", OK), match=("method", "path"))
    channel.client_sent(POST)
    assert channel.client_reads(10) is Signal.WAIT
    channel.client_sent(b"BODY")
    assert channel.client_reads(1000) == OK


def test_continue_is_played_before_the_body_is_there() -> None:
    channel = replaying(interaction(EXPECT + b"body", Piece(CONTINUE, 0.0, 0), OK))
    channel.client_sent(EXPECT)
    assert channel.client_reads(1000) == CONTINUE
    assert channel.client_reads(1000) is Signal.WAIT
    channel.client_sent(b"body")
    assert channel.client_reads(1000) == OK


def test_body_that_a_stale_connection_did_not_take_is_taken_by_a_new_one() -> None:
    failure = Failure(FailureKind.WRITE, 0.0, "EPIPE", details={"sent": 1}, is_stale=True)
    recorded = [interaction(GET, OK), interaction(POST + b"a", failure=failure), interaction(POST + b"abcd", OK)]
    reused, new = replaying(*recorded), replaying(*recorded[1:])
    reused.client_sent(GET)
    assert reused.client_reads(100) == OK
    reused.client_sent(POST)
    with pytest.raises(PlayedWriteFailure):
        reused.client_sent(b"abcd")
    new.client_sent(POST)
    new.client_sent(b"abcd")
    assert new.client_reads(100) == OK


def test_early_answer_is_played_when_the_client_is_as_far() -> None:
    channel = replaying(interaction(POST + b"bo", Piece(OK, 0.0, 2)))
    channel.client_sent(POST)
    channel.client_sent(b"b")
    assert channel.client_reads(1000) is Signal.WAIT
    channel.client_sent(b"o")
    assert channel.client_reads(1000) == OK


def test_failed_write_is_played_where_it_failed() -> None:
    failure = Failure(FailureKind.WRITE, 0.0, "EPIPE", "Broken pipe", {"sent": 2})
    channel = replaying(interaction(POST + b"bo", OK, failure=failure))
    channel.client_sent(POST)
    with pytest.raises(PlayedWriteFailure) as caught:
        channel.client_sent(b"bo")
    assert caught.value.failure == failure


@pytest.mark.parametrize(
    ("request_octets", "pieces"),
    [
        pytest.param(POST, [], id="upload"),
        pytest.param(UPGRADE, [Piece(SWITCH)], id="upgraded connection"),
    ],
)
def test_who_reads_before_the_write_that_failed_meets_no_end(request_octets: bytes, pieces: list[Piece]) -> None:
    failure = Failure(FailureKind.WRITE, 0.0, "EPIPE", "Broken pipe", {"sent": 2})
    channel = replaying(interaction(request_octets, *pieces, failure=failure))
    channel.client_sent(request_octets)
    assert [channel.client_reads(1000) for _ in pieces] == [piece.octets for piece in pieces]
    assert (channel.client_reads(1000), channel.is_due, channel.has_only_end) == (Signal.WAIT, False, False)
    with pytest.raises(PlayedWriteFailure):
        channel.client_sent(b"bo")
    assert channel.client_reads(1000) is Signal.END


def test_upgraded_connection_is_played_in_order_of_both_sides() -> None:
    pieces = (Piece(SWITCH), Piece(b"hello", 0.0, 0), Piece(b"pong", 0.0, 4))
    channel = replaying(interaction(UPGRADE, *pieces, ended=True))
    channel.client_sent(UPGRADE)
    assert [channel.client_reads(1000) for _ in range(3)] == [SWITCH, b"hello", Signal.WAIT]
    assert channel.client_sent(b"ping") == b""
    assert [channel.client_reads(1000) for _ in range(2)] == [b"pong", Signal.END]


def test_end_of_an_upgraded_connection_waits_for_what_the_client_had_sent() -> None:
    channel, tape, _ = recording()
    channel.client_sent(UPGRADE)
    channel.peer_sent(SWITCH + b"hello")
    channel.client_sent(b"ping")
    channel.peer_ended()
    played = replaying(tape.kept[0])
    played.client_sent(UPGRADE)
    assert [played.client_reads(1000) for _ in range(2)] == [SWITCH + b"hello", Signal.WAIT]
    assert (played.is_due, played.has_only_end, played.goes_on) == (False, False, False)
    played.client_sent(b"ping")
    assert played.is_due
    assert played.client_reads(1000) is Signal.END


def test_failed_write_is_played_on_an_upgraded_connection() -> None:
    failure = Failure(FailureKind.WRITE, 0.0, "EPIPE", "Broken pipe", {"sent": 8})
    channel = replaying(interaction(UPGRADE, Piece(SWITCH), Piece(b"bye", 0.0, 0), failure=failure))
    channel.client_sent(UPGRADE)
    channel.client_sent(b"ping")
    with pytest.raises(PlayedWriteFailure):
        channel.client_sent(b"ping")


# The keys and their answers, recorded and asked for now (the first are those of RFC 6455 section 1.3).
RECORDED_KEY, ACCEPTED = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
KEY_NOW, ACCEPTED_NOW = b"AAAAAAAAAAAAAAAAAAAAAA==", b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="
HANDSHAKE = UPGRADE[:-2] + b"Sec-WebSocket-Key: " + RECORDED_KEY + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "answer_now"),
    [
        pytest.param(ACCEPTED, ACCEPTED_NOW, id="accepted"),
        pytest.param(ACCEPTED_NOW, ACCEPTED_NOW, id="another key was accepted"),
        pytest.param(b"no", b"no", id="wrong answer"),
    ],
)
@pytest.mark.parametrize("cut_at", [0, 20, -20])
def test_key_of_a_websocket_is_accepted_if_the_recorded_one_was(answer: bytes, answer_now: bytes, cut_at: int) -> None:
    def head(answer: bytes) -> bytes:
        return SWITCH[:-2] + b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n"

    recorded = head(answer)
    channel = replaying(interaction(HANDSHAKE, recorded[:cut_at], recorded[cut_at:]))
    channel.client_sent(HANDSHAKE.replace(RECORDED_KEY, KEY_NOW))
    played = b""
    while isinstance(octets := channel.client_reads(1000), bytes):
        played += octets
    assert played == head(answer_now)


def ping(payload: bytes) -> bytes:
    return bytes([0x89, 0x80 | len(payload)]) + bytes(4) + payload


def pong(payload: bytes) -> bytes:
    return bytes([0x8A, len(payload)]) + payload


@pytest.mark.parametrize("at_most", [1, 3, 1000])
@pytest.mark.parametrize(
    ("pings", "played"),
    [
        pytest.param([], b"abcd", id="none"),
        pytest.param([ping(b"wxyz")], b"wxyz", id="one"),
        pytest.param([ping(b"first"[1:]), b"\x82\x81\0\0\0\0b", ping(b"wxyz")], b"wxyz", id="the newest"),
        pytest.param([bytes([octet]) for octet in ping(b"wxyz")], b"wxyz", id="in pieces"),
        pytest.param([ping(b"other size")], b"abcd", id="of another size"),
    ],
)
def test_pong_that_is_played_answers_the_newest_ping(pings: list[bytes], played: bytes, at_most: int) -> None:
    upgrade = UPGRADE.replace(b"Upgrade: x", b"Upgrade: websocket")
    data = b"\x81\x05hello"
    channel = replaying(interaction(upgrade, SWITCH + data, Piece(data + pong(b"abcd") + data, 0.0, 0)))
    channel.client_sent(upgrade)
    for octets in pings:
        channel.client_sent(octets)
    seen = b""
    while isinstance(piece := channel.client_reads(at_most), bytes):
        seen += piece
    assert seen == SWITCH + data + data + pong(played) + data


def test_recorded_pace_holds_each_piece_back_until_its_time() -> None:
    recorded = interaction(GET, Piece(OK[:20], 1.0), Piece(OK[20:], 3.0), failure=Failure(FailureKind.RESET, 4.0))
    tape, clock = ListTape(Policy(can_play=True, can_record=False), [recorded]), Clock()
    tape.keeps_pace = True
    channel = Channel(ORIGIN, tape, clock)
    channel.client_sent(GET)
    seen = []
    for _ in range(3):
        assert (channel.client_reads(100), channel.is_due) == (Signal.WAIT, False)
        assert channel.due_in_s is not None
        clock.now_s += channel.due_in_s
        seen.append((clock.now_s - 100.0, channel.client_reads(100)))
    assert seen == [(1.0, OK[:20]), (3.0, OK[20:]), (4.0, Failure(FailureKind.RESET, 4.0))]


@pytest.mark.parametrize("kind", [FailureKind.END, FailureKind.RESET])
def test_end_is_not_there_before_its_time(kind: FailureKind) -> None:
    failure = Failure(kind, 2.0)
    tape, clock = ListTape(Policy(can_play=True, can_record=False), [interaction(GET, failure=failure)]), Clock()
    tape.keeps_pace = True
    channel = Channel(ORIGIN, tape, clock)
    channel.client_sent(GET)
    assert not channel.is_closed_by_peer
    assert channel.next_failure is None
    clock.now_s += 2.0
    assert channel.is_closed_by_peer == (kind is FailureKind.END)
    assert channel.next_failure == (failure if kind is FailureKind.RESET else None)


def test_left_connection_looks_closed() -> None:
    channel = replaying(interaction(GET, OK))
    channel.client_sent(GET)
    assert channel.client_reads(1000) == OK
    channel.leave()
    assert (channel.is_due, channel.client_reads(10)) == (True, Signal.END)


def test_left_connection_still_has_what_its_client_was_promised() -> None:
    channel = replaying(interaction(GET, OK[:20], OK[20:]))
    channel.client_sent(GET)
    assert channel.client_reads(5) == OK[:5]
    channel.leave()
    assert (channel.is_due, channel.client_reads(1000)) == (True, OK[5:20])
    with pytest.raises(BrokenPipeError):
        channel.client_sent(GET)
    assert channel.hand_out() == (OK[20:], True)


def test_left_live_connection_becomes_transparent() -> None:
    channel, tape, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.leave()
    assert channel.client_sent(GET) == GET
    channel.peer_sent(OK)
    assert len(tape.kept) == 1
