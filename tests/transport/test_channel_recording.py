"""The channel through its own door, while it records: what it forwards and keeps. No I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.modes import Policy
from cassette_http.transport.channel import Channel
from cassette_http.transport.replaying import Signal
from tests.transport.channels import (
    CONTINUE,
    EXPECT,
    GET,
    OK,
    ORIGIN,
    POST,
    RESET,
    SWITCH,
    UNTIL_CLOSE,
    UPGRADE,
    Clock,
    ListDeck,
    octets_of,
    recording,
    replaying,
)


def test_response_beyond_the_limit_is_followed_to_its_end_and_dropped() -> None:
    channel, deck, _ = recording()
    deck.most_octets = 100
    for length in (1000, 10):
        channel.client_sent(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        channel.peer_sent(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length):
            channel.peer_sent(b"x")
    assert deck.dropped == 1
    assert [interaction.track.octets[-12:] for interaction in deck.kept] == [b"\r\nxxxxxxxxxx"]


def test_recording_forwards_each_octet_at_once() -> None:
    channel, deck, _ = recording()
    assert [channel.client_sent(GET[:5]), channel.client_sent(GET[5:])] == [GET[:5], GET[5:]]
    assert channel.client_reads(100) is Signal.LIVE
    channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [OK])]


def test_interaction_is_kept_before_its_last_octet_is_handed_out() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    assert deck.kept == []
    channel.peer_sent(OK[-1:])
    assert len(deck.kept) == 1


def test_pieces_are_distinguished_by_time_and_not_by_accidents_of_buffers() -> None:
    channel, deck, clock = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:10])
    channel.peer_sent(OK[10:20])
    clock.now_s += 0.5
    channel.peer_sent(OK[20:])
    assert [(piece.octets, piece.at) for piece in deck.kept[0].track.pieces] == [(OK[:20], 0.0), (OK[20:], 0.5)]


@pytest.mark.parametrize("empty", [pytest.param(b"", id="empty write")])
def test_empty_write_starts_no_request(empty: bytes) -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.client_sent(empty)
    channel.peer_sent(OK)
    channel.client_sent(empty)
    channel.client_closed()
    assert octets_of(deck) == [(GET, [OK])]


def test_two_requests_on_one_connection_are_two_interactions() -> None:
    channel, deck, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
        channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [OK]), (GET, [OK])]


def test_pipelined_requests_get_their_answers_in_order() -> None:
    channel, deck, _ = recording()
    second = GET.replace(b"/a", b"/b")
    assert channel.client_sent(GET + second) == GET + second
    channel.peer_sent(OK + OK.replace(b"ok", b"ko"))
    assert octets_of(deck) == [(GET, [OK]), (second, [OK.replace(b"ok", b"ko")])]


def test_response_to_the_close_is_complete_with_the_close() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(UNTIL_CLOSE)
    assert deck.kept == []
    channel.peer_ended()
    assert deck.kept[0].track == Track((Piece(UNTIL_CLOSE),), None, ended=True)


def test_new_request_ends_a_response_whose_end_only_the_client_saw() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(UNTIL_CLOSE)
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [UNTIL_CLOSE]), (GET, [OK])]


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
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(answer)
    channel.peer_ended()
    track = deck.kept[0].track
    assert (len(track.pieces), track.failure, track.ended) == (pieces, Failure(FailureKind.END), False)


def test_reset_is_kept_at_once_with_its_time() -> None:
    channel, deck, clock = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:20])
    channel.peer_failed(Failure(FailureKind.RESET, clock.now_s + 2, "ECONNRESET", "Connection reset by peer"))
    assert deck.kept[0].track.failure == Failure(FailureKind.RESET, 2.0, "ECONNRESET", "Connection reset by peer")


def test_reset_is_met_by_each_request_that_has_no_answer() -> None:
    """A client may have taken surplus octets for an answer, and then it is the next request that meets the reset."""
    channel, deck, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
    channel.peer_failed(RESET)
    channel.client_closed()
    assert [one.track.failure for one in deck.kept] == [replace(RESET, at=0.5)] * 2
    played = replaying(*deck.kept)
    for _ in range(2):
        played.client_sent(GET)
    assert played.client_reads(100) == replace(RESET, at=0.5)


def test_timeout_is_met_before_the_piece_that_a_client_read_on_for() -> None:
    channel, deck, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s, None, "timed out"))
    channel.peer_sent(OK)
    [kept] = deck.kept
    assert kept.track == Track((Piece(OK, timeouts=1),))
    played = replaying(kept)
    played.client_sent(GET)
    assert [played.client_reads(100) for _ in range(3)] == [Signal.TIMEOUT, OK, Signal.IDLE]


@pytest.mark.parametrize("ends_with", ["end", "reset"])
def test_timeout_is_met_before_the_end_that_a_client_read_on_for(ends_with: str) -> None:
    channel, deck, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s, None, "timed out"))
    if ends_with == "end":
        channel.peer_ended()
    else:
        channel.peer_failed(Failure(FailureKind.RESET, clock.now_s, "ECONNRESET", "reset"))
    [kept] = deck.kept
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
    channel, deck, clock = recording()
    channel.client_sent(GET)
    channel.peer_failed(Failure(FailureKind.TIMEOUT, clock.now_s + 30, None, "timed out"))
    channel.client_closed()
    assert deck.kept[0].track.failure == Failure(FailureKind.TIMEOUT, 30.0, None, "timed out")


def test_abandoned_response_keeps_what_came() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    channel.client_closed()
    assert deck.kept[0].track == Track((Piece(OK[:-1]),))


def test_request_that_never_got_a_head_is_not_kept() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET[:7])
    channel.client_closed()
    assert deck.kept == []


def test_continue_and_answer_remember_how_far_the_client_was() -> None:
    channel, deck, clock = recording()
    channel.client_sent(EXPECT)
    channel.peer_sent(CONTINUE)
    channel.client_sent(b"body")
    clock.now_s += 1
    channel.peer_sent(OK)
    assert [(piece.octets, piece.sent) for piece in deck.kept[0].track.pieces] == [(CONTINUE, 0), (OK, None)]


def test_early_answer_is_kept_though_the_request_is_incomplete() -> None:
    channel, deck, _ = recording()
    channel.client_sent(POST + b"bo")
    channel.peer_sent(OK)
    assert [(piece.octets, piece.sent) for piece in deck.kept[0].track.pieces] == [(OK, 2)]
    channel.client_sent(b"dy")
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert [head for head, _ in octets_of(deck)] == [POST + b"bo", GET]


def test_what_follows_an_early_answer_while_the_request_goes_on_is_not_kept() -> None:
    channel, deck, _ = recording()
    channel.client_sent(POST + b"bo")
    channel.peer_sent(OK)
    channel.peer_sent(b"more")
    channel.client_sent(b"dy" + GET)
    channel.peer_sent(OK)
    assert [pieces for _, pieces in octets_of(deck)] == [[OK], [OK]]


def test_failed_write_remembers_how_far_the_client_was() -> None:
    channel, deck, clock = recording()
    channel.client_sent(POST)
    channel.client_sent(b"bo")
    channel.peer_failed(Failure(FailureKind.WRITE, clock.now_s, "EPIPE", "Broken pipe"))
    channel.client_closed()
    assert deck.kept[0].track.failure == Failure(FailureKind.WRITE, 0.0, "EPIPE", "Broken pipe", {"sent": 2})


def test_upgraded_connection_is_one_interaction_with_octets_of_both_sides() -> None:
    channel, deck, clock = recording()
    channel.client_sent(UPGRADE)
    channel.peer_sent(SWITCH + b"hello")
    assert channel.client_sent(b"ping") == b"ping"
    clock.now_s += 1
    channel.peer_sent(b"pong")
    channel.peer_ended()
    pieces = deck.kept[0].track.pieces
    assert [(piece.octets, piece.sent) for piece in pieces] == [(SWITCH + b"hello", None), (b"pong", 4)]
    assert deck.kept[0].track.ended


AGREES_5, AGREES_4 = b"\x05\0" + b"\x05\0\0\x01" + bytes(6), b"\0\x5a" + bytes(6)


@pytest.mark.parametrize("size", [1, 5, 100])
@pytest.mark.parametrize(
    ("first", "asks", "agrees", "host"),
    [
        pytest.param(b"\x05\x01\0", b"\x05\x01\0\x03\x08far.test\0\x50", AGREES_5, "far.test", id="name"),
        pytest.param(b"\x05\x01\0", b"\x05\x01\0\x01\x0a\0\0\x01\0\x50", AGREES_5, "10.0.0.1", id="IPv4"),
        pytest.param(b"\x05\x01\0", b"\x05\x01\0\x04" + bytes(15) + b"\x01\0\x50", AGREES_5, "::1", id="IPv6"),
        pytest.param(b"\x04\x01\0\x50\0\0\0\x01me\0far.test\0", b"", AGREES_4, "far.test", id="SOCKS 4a"),
    ],
)
def test_client_that_does_not_wait_for_its_socks_proxy_is_followed(
    first: bytes, asks: bytes, agrees: bytes, host: str, size: int
) -> None:
    channel, deck, _ = recording()
    rest = asks + GET
    forwarded = channel.client_sent(first)
    for at in range(0, len(rest), size):
        forwarded += channel.client_sent(rest[at : at + size])
    channel.peer_sent(agrees + OK)
    assert forwarded == first + asks + GET
    assert octets_of(deck) == [(GET, [OK])]
    assert deck.kept[0].origin == Origin("http", host, 80)
    assert deck.kept[0].via == Origin(f"socks{first[0]}", ORIGIN.host, ORIGIN.port)


def test_tunnel_changes_the_origin() -> None:
    channel, deck, _ = recording()
    connect = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test\r\n\r\n"
    channel.client_sent(connect)
    channel.peer_sent(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert (channel.origin, channel.via) == (Origin("http", "far.test", 443), ORIGIN)
    assert channel.tunnel is not None
    assert [one.origin for one in deck.kept] == [ORIGIN]


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
    deck = ListDeck(Policy(can_play=can_play, can_record=not can_play), [])
    channel = Channel(ORIGIN, deck, Clock())
    forwarded = b"".join(channel.client_sent(octets[i : i + 1]) for i in range(len(octets)))
    forwarded += channel.client_sent(b"more")
    assert forwarded == octets + b"more"
    assert channel.client_reads(10) is Signal.LIVE
    channel.peer_sent(b"+PONG\r\n")
    channel.client_closed()
    assert deck.kept == []


def test_response_that_comes_before_any_request_answers_the_first() -> None:
    channel, deck, _ = recording()
    forged = OK.replace(b"ok", b"no")
    channel.peer_sent(forged[:10])
    channel.peer_sent(forged[10:])
    for octets in (POST[:30], POST[30:], b"bo", b"dy"):
        channel.client_sent(octets)
    assert octets_of(deck)[-1] == (POST + b"body", [forged])


def test_what_is_read_between_two_requests_follows_the_first_response() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_sent(b"not asked for")
    channel.client_sent(POST + b"body")
    channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [OK]), (POST + b"body", [OK])]
    assert deck.amended == [(deck.kept[0], Track((Piece(b"not asked for"),)))]


def test_what_comes_after_the_next_request_is_a_piece_of_its_own() -> None:
    channel, deck, _ = recording()
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    channel.client_sent(GET)
    channel.peer_sent(hint)
    channel.client_sent(POST + b"body")
    channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [hint, OK])]


def test_what_comes_after_further_requests_waits_for_as_many_of_them() -> None:
    """To a client that takes hints for responses, they come one request too late each, and no sooner."""
    channel, deck, _ = recording()
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    for octets in (hint, hint, OK):
        channel.client_sent(GET)
        channel.peer_sent(octets)
    assert [piece.sent for piece in deck.kept[0].track.pieces] == [None, -1, -2]
    unanswered = Interaction(ORIGIN, Request(ORIGIN, GET), Track())
    played = replaying(deck.kept[0], unanswered, unanswered)
    for octets in (hint, hint, OK):
        played.client_sent(GET)
        assert played.is_due
        assert played.client_reads(1000) == octets
        assert not played.is_due


def test_what_comes_with_a_late_response_is_no_answer_to_the_next_request() -> None:
    """A client that waits for one answer after the other has read it with that response, and drops it."""
    channel, deck, _ = recording()
    for octets in (b"HTTP/1.1 103 Early Hints\r\n\r\n", OK + b"\r\n", OK):
        channel.client_sent(GET)
        channel.peer_sent(octets)
    channel.client_closed()
    assert [[(piece.octets, piece.sent) for piece in one.track.pieces] for one in deck.kept] == [
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
    channel, deck, clock = recording()
    channel.client_sent(request_)
    channel.peer_sent(answer)
    clock.now_s += idle_s
    channel.peer_ended()
    channel.peer_ended()
    assert deck.amended == ([(deck.kept[0], Track(ended=True))] if noted else [])


@pytest.mark.parametrize("kind", [FailureKind.RESET, FailureKind.TIMEOUT])
def test_peer_that_does_not_close_as_it_announced_is_noted(kind: FailureKind) -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET[:-2] + b"Connection: close\r\n\r\n")
    channel.peer_sent(OK)
    channel.peer_failed(replace(RESET, kind=kind))
    assert [ending.failure for _, ending in deck.amended] == [replace(RESET, kind=kind, at=0.0)]


def test_what_comes_after_the_client_has_given_up_is_not_noted() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.client_closed()
    channel.peer_failed(RESET)
    assert len(deck.kept) == 1
    assert not deck.amended


def test_reset_of_an_idle_connection_is_noted_and_a_timeout_is_not() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_failed(replace(RESET, kind=FailureKind.TIMEOUT))
    channel.peer_failed(RESET)
    assert [ending.failure for _, ending in deck.amended] == [replace(RESET, at=0.0)]


def test_what_a_peer_says_before_it_closes_unasked_is_noted_too() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_sent(OK)
    channel.peer_ended()
    assert [ending for _, ending in deck.amended] == [Track((Piece(OK),), ended=True)]


def test_what_a_peer_says_unasked_is_noted_when_the_client_closes() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.peer_sent(b"x")
    channel.client_closed()
    assert [ending for _, ending in deck.amended] == [Track((Piece(b"x"),))]


def test_a_new_protocol_that_nobody_offered_is_no_end_of_http() -> None:
    channel, deck, _ = recording()
    for _ in range(2):
        channel.client_sent(GET)
        channel.peer_sent(SWITCH)
    channel.client_closed()
    assert [(one.request.head_octets, one.track.octets) for one in deck.kept if one.request] == [(GET, SWITCH)] * 2


def test_end_that_is_read_after_a_failure_does_not_replace_it() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK[:-1])
    channel.peer_failed(RESET)
    channel.peer_ended()
    assert [one.track.failure for one in deck.kept] == [replace(RESET, at=0.5)]
    assert deck.amended == []


def test_end_after_the_next_request_belongs_to_that() -> None:
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.client_sent(GET)
    channel.peer_ended()
    assert (len(deck.kept), deck.amended) == (2, [])


def test_peer_that_speaks_first_does_not_speak_http() -> None:
    channel, deck, _ = recording()
    channel.peer_sent(b"220 mail.test ESMTP\r\n")
    assert channel.is_transparent
    for octets in (b"EHLO me\r\n", GET):
        assert channel.client_sent(octets) == octets
    channel.peer_sent(OK)
    assert deck.kept == []


def test_peer_that_speaks_first_may_be_asked_by_http_nevertheless() -> None:
    channel, deck, _ = recording()
    channel.peer_sent(b"220 welcome\r\n")
    channel.client_sent(b"")
    channel.client_sent(GET)
    channel.peer_sent(OK)
    assert octets_of(deck) == [(GET, [OK])]
