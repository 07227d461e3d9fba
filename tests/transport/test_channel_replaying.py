"""The channel through its own door, while it plays: what it hands out and refuses. No I/O."""

from __future__ import annotations

import pytest

from cassette_http.cassette.model import Failure, FailureKind, Piece
from cassette_http.cassette.modes import Policy
from cassette_http.errors import UnmatchedRequest
from cassette_http.transport.channel import Channel
from cassette_http.transport.replaying import PlayedWriteFailure, Signal
from tests.transport.channels import (
    ALERT,
    CONTINUE,
    EXPECT,
    GET,
    OK,
    ORIGIN,
    POST,
    SWITCH,
    UPGRADE,
    Clock,
    ListDeck,
    TapeThatKnowsAtOnce,
    interaction,
    recording,
    replaying,
)


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
    def seen(kind: type[ListDeck]) -> list[object]:
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

    assert seen(TapeThatKnowsAtOnce) == seen(ListDeck)


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
    channel, deck, _ = recording()
    channel.client_sent(UPGRADE)
    channel.peer_sent(SWITCH + b"hello")
    channel.client_sent(b"ping")
    channel.peer_ended()
    played = replaying(deck.kept[0])
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
    deck, clock = ListDeck(Policy(can_play=True, can_record=False), [recorded]), Clock()
    deck.keeps_pace = True
    channel = Channel(ORIGIN, deck, clock)
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
    deck, clock = ListDeck(Policy(can_play=True, can_record=False), [interaction(GET, failure=failure)]), Clock()
    deck.keeps_pace = True
    channel = Channel(ORIGIN, deck, clock)
    channel.client_sent(GET)
    assert not channel.is_closed_by_peer
    assert channel.next_failure is None
    clock.now_s += 2.0
    assert channel.is_closed_by_peer == (kind is FailureKind.END)
    assert channel.next_failure == (failure if kind is FailureKind.RESET else None)


class Proxies:
    """A line to proxies that agree to everything, octet by octet."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[bytes] = []
        self._answers = b"".join(answers)

    def send(self, data: bytes, /) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes, /) -> None:
        self.asked.append(bytes(data))

    def recv(self, at_most: int, /) -> bytes:
        octets, self._answers = self._answers[:at_most], self._answers[at_most:]
        return octets

    def close(self) -> None:
        pass


def test_tunnel_that_was_played_through_two_proxies_is_opened_through_both() -> None:
    connect = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test\r\n\r\n"
    accepted = b"HTTP/1.1 200 Connection established\r\n\r\n"
    methods, asks = b"\x05\x01\0", b"\x05\x01\0\x03\x08api.test\0\x50"
    agrees = b"\x05\0", b"\x05\0\0\x01" + bytes(6)
    channel = replaying(interaction(connect, accepted), can_record=True)
    for sent, answer in ((methods, agrees[0]), (asks, agrees[1]), (connect, accepted)):
        assert channel.client_sent(sent) == b""
        assert channel.client_reads(1000) == answer
    assert channel.tunnel is not None
    proxies = Proxies(*agrees, accepted, b"of the peer")
    channel.tunnel(proxies)
    assert proxies.asked == [methods, asks, connect]
    assert proxies.recv(100) == b"of the peer"
    with pytest.raises(OSError, match="opens no tunnel: connection refused"):
        channel.tunnel(Proxies(agrees[0], b"\x05\x05\0\x01" + bytes(6)))
    with pytest.raises(OSError, match="asks for a login"):
        channel.tunnel(Proxies(b"\x05\x02"))
    with pytest.raises(OSError, match="Tunnel connection failed: 403 Forbidden"):
        channel.tunnel(Proxies(*agrees, b"HTTP/1.1 403 Forbidden\r\n\r\n"))


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
    channel, deck, _ = recording()
    channel.client_sent(GET)
    channel.peer_sent(OK)
    channel.leave()
    assert channel.client_sent(GET) == GET
    channel.peer_sent(OK)
    assert len(deck.kept) == 1
