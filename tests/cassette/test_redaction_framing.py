"""Lengths, chunks and pieces follow what is hidden, in every kind of message."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.model import Interaction, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk, unchunk
from tests.cassette.messages import ORIGIN, request, response
from tests.cassette.redacting import CHUNKED_HEAD, OK, TOKEN, bearer, chunked, content_of, interaction, redacted


def test_lengths_of_requests_follow() -> None:
    sent, _ = redacted(bearer(body=TOKEN.encode()))
    assert sent.values("content-length") == ["12"]
    assert sent.body_octets == b"{{secret:1}}"


def test_a_chunked_request_is_chunked_again() -> None:
    plain = request(f"Authorization: Bearer {TOKEN}", "Transfer-Encoding: chunked")
    sent, _ = redacted(Request(ORIGIN, plain.head_octets, chunk(b"a " + TOKEN.encode()) + last_chunk()))
    assert sent.content == b"a {{secret:1}}"
    assert sent.body_octets == chunk(b"a {{secret:1}}") + last_chunk()


def split(octets: bytes, *at: int) -> list[bytes]:
    borders = [0, *sorted(at), len(octets)]
    return [octets[start:stop] for start, stop in pairwise(borders) if start < stop]


@given(st.lists(st.integers(1, 200), max_size=6), st.lists(st.integers(1, 60), max_size=6))
def test_any_chunks_and_pieces_keep_the_content(cuts: list[int], sizes: list[int]) -> None:
    body = b"abc " + TOKEN.encode() + b" def " + TOKEN.encode() + b" ghi"
    octets = chunked(*split(body, *(size for size in sizes if size < len(body))))
    pieces = split(octets, *(cut for cut in cuts if cut < len(octets)))
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert content_of(result.track.octets) == b"abc {{secret:1}} def {{secret:1}} ghi"
    assert unchunk(result.track.octets.partition(b"\r\n\r\n")[2])
    assert len(result.track.pieces) <= len(pieces)
    assert all(piece.octets for piece in result.track.pieces)


@given(st.lists(st.integers(1, 200), max_size=6))
def test_any_pieces_keep_the_octets(cuts: list[int]) -> None:
    octets = response(body=b"abc " + TOKEN.encode() + b" def")
    pieces = split(octets, *(cut for cut in cuts if cut < len(octets)))
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert result.track.octets == response(body=b"abc {{secret:1}} def")
    assert result.track.pieces[0].at == 0
    assert [piece.at for piece in result.track.pieces] == sorted(piece.at for piece in result.track.pieces)


def test_pieces_that_hold_no_secret_stay_as_they_are() -> None:
    pieces = split(response(body=b"12345678" + TOKEN.encode() + b"12345678"), 10, 50, 85)
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert [piece.octets[-8:] for piece in result.track.pieces] != []
    assert len(result.track.pieces) == len(pieces)
    assert result.track.pieces[0].octets == pieces[0]
    assert result.track.pieces[-1].octets.endswith(b"12345678")


def test_pieces_that_came_while_the_request_was_sent_follow_it() -> None:
    body = b"abc" + TOKEN.encode() + b"def"
    pieces = (Piece(b"HTTP/1.1 100 Go\r\n\r\n", sent=0), Piece(OK, sent=len(body) - 1), Piece(b"", sent=None))
    result = Redactor().redact(Interaction(ORIGIN, bearer(body=body), Track(pieces)))
    assert [piece.sent for piece in result.track.pieces] == [0, len("abc{{secret:1}}def") - 1, None]


def test_a_chunk_within_a_secret_never_becomes_the_last_one() -> None:
    octets = chunked(*(TOKEN[index : index + 1].encode() for index in range(len(TOKEN))))
    assert content_of(redacted(bearer(), octets)[1]) == b"{{secret:1}}"


def test_chunk_extensions_and_trailers_stay() -> None:
    size = f"{len(TOKEN):X};a=b\r\n".encode()
    octets = CHUNKED_HEAD + size + TOKEN.encode() + b"\r\n0\r\nX: 1\r\n\r\n"
    _, received = redacted(bearer(), octets)
    assert received == CHUNKED_HEAD + b"c;a=b\r\n{{secret:1}}\r\n0\r\nX: 1\r\n\r\n"


def test_secrets_in_trailers_are_hidden() -> None:
    octets = chunked(b"abc", end=last_chunk([("X-Signature", "abc"), ("X", TOKEN)]))
    _, received = redacted(bearer(), octets)
    assert received == chunked(b"abc", end=last_chunk([("X-Signature", "{{secret:2}}"), ("X", "{{secret:1}}")]))


def test_a_chunk_of_more_than_one_read_follows() -> None:
    long = b"word " * 300_000
    _, received = redacted(bearer(), chunked(long + TOKEN.encode() + long, b"b"))
    assert received == chunked(long + b"{{secret:1}}" + long, b"b")


def test_a_chunk_that_is_cut_off_keeps_what_is_missing() -> None:
    octets = CHUNKED_HEAD + b"64\r\n" + TOKEN.encode() + b"abc"
    _, received = redacted(bearer(), octets)
    missing = 0x64 - len(TOKEN) - 3
    assert received.endswith(b"\r\n\r\n%x\r\n{{secret:1}}abc" % (12 + 3 + missing))


def test_a_length_that_is_cut_off_keeps_what_is_missing() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + TOKEN.encode()
    _, received = redacted(bearer(), octets)
    assert received == b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{{secret:1}}" % (100 - len(TOKEN) + 12)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n%s", id="until close"),
        pytest.param(b"HTTP/1.1 200 OK\nX: %s\n\n%s", id="LF alone"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: %s", id="cut off in the head"),
        pytest.param(b"HTTP/1.1 103 A\r\nX: %s\r\n\r\nHTTP/1.1 204 B\r\nX: %s\r\n\r\n", id="interim"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n%s", id="upgrade"),
        pytest.param(b"HTTP/1.1 204 OK\r\n\r\n%s", id="octets behind the message"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na%s", id="octets behind a length"),
        pytest.param(CHUNKED_HEAD + b"0\r\n\r\n%s", id="octets behind chunks"),
        pytest.param(CHUNKED_HEAD + b"zz\r\n%s", id="broken chunks"),
        pytest.param(CHUNKED_HEAD + b"1\r\na\r\nzz\r\n%s0\r\n\r\n", id="broken chunks with an end"),
        pytest.param(CHUNKED_HEAD + b"1\r\na%s", id="chunk that does not end where it should"),
        pytest.param(CHUNKED_HEAD + b"1\r\na\r\n%s", id="size line that does not end"),
        pytest.param(CHUNKED_HEAD + b"1;%s\r\na\r\n0;%s\r\n\r\n", id="chunk extensions"),
        pytest.param(CHUNKED_HEAD + b"0\r\nX: %s", id="trailer that is cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n%s", id="two lengths"),
        pytest.param(b"SSH-2.0 %s", id="not HTTP"),
        pytest.param(b"%s", id="nothing else"),
    ],
)
def test_secrets_are_hidden_in_every_kind_of_response(octets: bytes) -> None:
    received = redacted(bearer(), octets.replace(b"%s", TOKEN.encode()))[1]
    assert received == octets.replace(b"%s", b"{{secret:1}}")


def test_fields_of_interim_responses_are_redacted() -> None:
    octets = b"HTTP/1.1 103 X\r\nX-Token: a\r\n\r\nHTTP/1.1 200 OK\r\nX-Token: b\r\n\r\n"
    assert redacted(request(), octets)[1] == octets.replace(b": a", b": {{secret:1}}").replace(
        b": b", b": {{secret:2}}"
    )


def test_a_head_that_is_cut_off_is_redacted() -> None:
    assert redacted(request(), b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=ab")[1].endswith(b"sid={{secret:1}}")


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        pytest.param("application/json", '{"a": 1, "password": "%s", "b": 2}', id="JSON"),
        pytest.param("application/json", r'{"a": "{\"password\": \"%s\", \"b\": 2}"}', id="JSON in JSON"),
        pytest.param("application/x-www-form-urlencoded", "a=1&password=%s&b=2", id="form"),
        pytest.param("text/event-stream", 'data: {"password": "%s"}\n\n', id="events"),
        pytest.param("text/yaml", "a: 1\npassword: %s\nb: 2\n", id="YAML"),
        pytest.param("text/csv", "name,password\nada,%s\n", id="CSV"),
        pytest.param("text/xml", "<?xml version='1.0'?><a><x:password>%s</x:password></a>", id="XML"),
        pytest.param("text/xml", '<a b="1" password="%s"/>', id="attribute"),
        pytest.param("text/html", '<form><input type="password" name="p" value="%s"></form>', id="HTML"),
    ],
)
def test_no_part_of_a_secret_is_left_where_a_content_is_cut_off(media_type: str, content: str) -> None:
    planted, secret = content.replace("%s", "kJ8sQ2vXz9LmW4t").encode(), b"kJ8sQ2vXz9LmW4t"
    for stop in range(planted.index(secret) + 6, len(planted)):
        octets = response(f"Content-Type: {media_type}", body=planted)[: stop - len(planted)]
        received = redacted(request(), octets)[1]
        assert secret[:6] not in received
        assert b"{{secret:1}}" in received


def test_a_request_that_is_not_http_is_searched() -> None:
    redactor = Redactor()
    redactor.redact(interaction(bearer(), OK))
    result = redactor.redact(interaction(Request(ORIGIN, b"QUIT " + TOKEN.encode(), b""), b"BYE"))
    assert result.request == Request(ORIGIN, b"QUIT {{secret:1}}", b"")


def test_a_start_line_is_no_field() -> None:
    sent = request(target="/token:abc")
    assert redacted(sent)[0] is sent
