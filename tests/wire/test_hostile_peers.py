"""Input that is made to cost time or memory ends early, with a clear word, in linear time.

No clocks: what is checked is the bound that is named and how much a reader keeps. Quadratic work would make
a row take minutes.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from cassette_http.wire.content import ChunkedDecoder, LengthDecoder, decoder_for
from cassette_http.wire.errors import LimitExceeded, MalformedMessage
from cassette_http.wire.framing import UNTIL_CLOSE, request_framing, response_framing
from cassette_http.wire.grammar import MAX_REQUEST_LINE_OCTETS
from cassette_http.wire.head import parse_fields, parse_request_line, parse_status_line
from cassette_http.wire.reader import RequestReader, ResponseReader

MEGABYTE = 1 << 20
START = b"HTTP/1.1 200 OK\r\n"
CHUNKED_START = START + b"Transfer-Encoding: chunked\r\n\r\n"


def pieces(octets: bytes, size: int = 65536) -> Iterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]


ENDLESS = [
    pytest.param(b"HTTP/1.1 200 " + b"a" * 10 * MEGABYTE, "a line is longer than 65536 octets", id="reason"),
    pytest.param(START + b"a" * 10 * MEGABYTE, "a line is longer than 65536 octets", id="field name"),
    pytest.param(START + b"a:" + b" " * 10 * MEGABYTE, "a line is longer than 65536 octets", id="white space"),
    pytest.param(START + b"\r" * 10 * MEGABYTE, "a line is longer than 65536 octets", id="bare CR"),
    pytest.param(START + b"A: b\r\n" * 2_000_000, "a head is longer than 8388608 octets", id="fields"),
    pytest.param(START + b"A: b\r\n" * 5001 + b"\r\n", "a head has more than 5000 field lines", id="5001 fields"),
    pytest.param(START + (b"A: " + b"b" * 65000 + b"\r\n") * 150 + b"\r\n", "a head is longer than", id="long fields"),
    pytest.param(
        START + b"A: " + b"b" * 65532 + b"\r\n\r\n",
        "a line is longer than 65536 octets",
        id="one octet too long",
    ),
    pytest.param(START + b"A: b\r\n" + b" c\r\n" * 10_000 + b"\r\n", "a head has more than 5000 field", id="folds"),
    pytest.param(b"HTTP/1.1 100 C\r\n\r\n" * 101, "more than 100 interim responses", id="interim responses"),
    pytest.param(CHUNKED_START + b"1" * 10 * MEGABYTE, "a line is longer than 65536 octets", id="chunk size"),
    pytest.param(CHUNKED_START + b"0;" + b"a" * 65600, "a line is longer than 65536 octets", id="chunk extension"),
    pytest.param(
        CHUNKED_START + b"1;a\r\nx\r\n" * 1_000_000,
        "chunk extensions of one message are longer",
        id="extensions",
    ),
    pytest.param(CHUNKED_START + b"0\r\n" + b"A: b\r\n" * 101, "a trailer section has more than 100", id="trailers"),
    pytest.param(CHUNKED_START + b"f" * 17 + b"\r\n", "a chunk size has more than 16 digits", id="17 digits"),
]


@pytest.mark.parametrize("size", [65536, 1 << 30], ids=["in pieces", "in one piece"])
@pytest.mark.parametrize(("octets", "text"), ENDLESS)
def test_endless_input_is_given_up(octets: bytes, text: str, size: int) -> None:
    reader = ResponseReader("GET")
    for piece in pieces(octets, size):
        assert reader.feed(piece) == len(piece)
    assert text in (reader.malformed or "")


def test_endless_input_is_given_up_octet_by_octet() -> None:
    for start in (b"GET /", b"GET / HTTP/1.1\r\nA: ", b"a"):
        reader = RequestReader()
        reader.feed(start + b"a" * (MAX_REQUEST_LINE_OCTETS - 100))
        while reader.malformed is None:
            reader.feed(b"a")
        assert reader.malformed == "a line is longer than 1048576 octets"
        assert reader.taken <= MAX_REQUEST_LINE_OCTETS + len(start)


def test_endless_empty_lines_before_a_request_are_not_kept() -> None:
    reader = RequestReader()
    tracemalloc.start()
    try:
        for _ in range(100):
            reader.feed(b"\r\n" * 32768)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    reader.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert reader.is_complete


def test_nothing_is_kept_of_what_is_malformed_or_content() -> None:
    garbage, content, chunks = ResponseReader("GET"), ResponseReader("GET"), ResponseReader("GET")
    content.feed(START + b"Content-Length: %d\r\n\r\n" % (100 * MEGABYTE))
    chunks.feed(CHUNKED_START)
    garbage.feed(START)
    piece, one_chunk = b"a" * MEGABYTE, b"100000\r\n" + b"a" * MEGABYTE + b"\r\n"
    tracemalloc.start()
    try:
        for _ in range(20):
            garbage.feed(piece)
            content.feed(piece)
            chunks.feed(one_chunk)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    assert garbage.malformed is not None
    assert content.taken > 20 * MEGABYTE
    assert chunks.malformed is None


def test_large_content_is_followed_without_a_copy() -> None:
    reader = ResponseReader("GET")
    reader.feed(START + b"Content-Length: %d\r\n\r\n" % (5 * MEGABYTE))
    data = b"a" * (5 * MEGABYTE)
    tracemalloc.start()
    try:
        assert reader.feed(data) == len(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.is_complete
    assert peak < 10_000


def test_very_many_chunks_of_one_octet_are_decoded() -> None:
    body = b"1\r\na\r\n" * 200_000 + b"0\r\n\r\n"
    decoder = ChunkedDecoder()
    assert sum(len(decoder.take(piece)[0]) for piece in pieces(body)) == 200_000
    assert decoder.want is None


@pytest.mark.parametrize("size", [b"7fffffffffffffff", b"8000000000000000", b"ffffffffffffffff"])
def test_huge_sizes_announce_much_and_allocate_nothing(size: bytes) -> None:
    for body in (size + b"\r\nabc", b"1\r\na\r\n" + size + b"\r\nabc"):
        decoder = ChunkedDecoder()
        assert decoder.take(body)[0].endswith(b"abc")
        assert decoder.remaining == int(size, 16) - 3
    reader = ResponseReader("GET")
    reader.feed(START + b"Content-Length: %d\r\n\r\n" % int(b"7fffffffffffffff", 16))
    assert reader.feed(b"abc") == 3


def test_a_long_number_is_not_converted() -> None:
    fields = [("Content-Length", "1" * 60_000)]
    assert response_framing(200, fields, "GET") == UNTIL_CLOSE
    with pytest.raises(MalformedMessage) as caught:
        request_framing(fields)
    assert len(str(caught.value)) < 200


def test_long_lists_of_members_are_read() -> None:
    assert isinstance(decoder_for(response_framing(200, [("Content-Length", "5," * 500_000)], "GET")), LengthDecoder)
    with pytest.raises(MalformedMessage) as caught:
        response_framing(200, [("Content-Length", ",".join(map(str, range(10_000))))], "GET")
    assert len(str(caught.value)) < 200


LONG = 100_000


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"G" * LONG, id="method"),
        pytest.param(b"GET " + b" " * LONG, id="white space"),
        pytest.param(b"GET /" + b" a" * LONG, id="words"),
        pytest.param(b"GET /" + b" " * LONG + b"HTTP/1.1x", id="white space before the version"),
        pytest.param(b"GET /" + b" HTTP/1.1" * 50_000 + b"x", id="versions"),
        pytest.param(b"GET / HTTP/1.1" + b" " * LONG + b"x", id="white space behind the version"),
        pytest.param(b"HTTP/1.1 200x" + b" " * LONG, id="status"),
        pytest.param(b"HTTP/1.1 " + b"\t " * LONG, id="white space before the status"),
    ],
)
def test_long_start_lines_cost_linear_time(line: bytes) -> None:
    with pytest.raises(MalformedMessage) as request:
        parse_request_line(line)
    with pytest.raises(MalformedMessage) as response:
        parse_status_line(line)
    assert len(str(request.value)) < 300
    assert len(str(response.value)) < 300


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(b"a" * LONG, id="name"),
        pytest.param(b"a:" + b" " * LONG + b"\0", id="white space"),
        pytest.param(b"a: " + b"b\r" * LONG, id="bare CR"),
        pytest.param(b"a: b\r\n" + b" c\r\n" * LONG, id="folds"),
        pytest.param(b"a: b\r\n" + b" \r\n" * LONG, id="empty folds"),
        pytest.param(b"a\r\n" * LONG, id="lines without colon"),
        pytest.param(b":\n" * LONG, id="lines without name"),
        pytest.param(b"\r" * LONG + b"\n", id="CR"),
    ],
)
def test_long_sections_cost_linear_time(section: bytes) -> None:
    fields, defects = parse_fields(section)
    assert len(fields) <= 1
    assert all(len(defect) < 300 for defect in defects)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"1" + b" " * 65_000 + b"x\n", id="white space behind the size"),
        pytest.param(b" " * 65_000 + b"\n", id="white space alone"),
        pytest.param(b"1;" + b"\r" * 65_000 + b"\n", id="CR"),
    ],
)
def test_long_size_lines_are_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage, match="not a chunk size"):
        ChunkedDecoder().feed(line)


def test_a_line_without_end_is_given_up_when_it_is_too_long_and_not_later() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"1;" + b"a" * 65533)
    with pytest.raises(LimitExceeded, match="a line is longer than 65536 octets"):
        decoder.feed(b"a")
