"""Where messages end in a stream. Rows run whole, octet by octet, and with the next message behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.wire.chunking import chunk, last_chunk
from cassette_http.wire.head import serialise_request_head, serialise_response_head
from cassette_http.wire.messages import RequestHead, ResponseHead
from cassette_http.wire.reader import RequestReader, ResponseReader, WholeResponse

BEHIND = b"HTTP/1.1 200 Next Message Here\r\n\r\n"

in_three_ways = pytest.mark.parametrize("way", ["whole", "octet by octet", "next message behind"])


def feed(reader: RequestReader | ResponseReader, octets: bytes, way: str) -> None:
    """Feed all octets, and check that the reader takes them, and nothing behind a complete message."""
    if way == "octet by octet":
        for at in range(len(octets)):
            assert not reader.is_complete
            assert reader.feed(octets[at : at + 1]) == 1
            assert reader.feed(b"") == 0
            assert reader.taken == at + 1
        return
    behind = BEHIND if way == "next message behind" else b""
    taken = reader.feed(octets + behind)
    assert taken == reader.taken == len(octets) + (0 if reader.is_complete else len(behind))
    if reader.is_complete:
        assert reader.feed(behind) == 0


REQUESTS = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, id="no content"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 18, id="no fields"),
    pytest.param(b"GET / HTTP/1.1\n\n", 16, id="LF alone"),
    pytest.param(b"GET / HTTP/1.1\r\n\n", 17, id="LF alone at the end"),
    pytest.param(b"GET / HTTP/1.1\n\r\n", 17, id="CRLF at the end only"),
    pytest.param(b"\r\n\nGET / HTTP/1.1\r\n\r\n", 21, id="empty lines before"),
    pytest.param(b"GET / HTTP/1.1\r\nbad line\r\n\r\n", 28, id="malformed field line"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\n\r\n\0", 38, id="length"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 38, id="length 0"),
    pytest.param(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: 1\r\n\r\n",
        47,
        id="chunked",
    ),
    pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 39, id="CONNECT"),
]


@in_three_ways
@pytest.mark.parametrize(("octets", "head_octets"), REQUESTS)
def test_requests_are_followed_to_their_end(octets: bytes, head_octets: int, way: str) -> None:
    reader = RequestReader()
    assert (reader.head, reader.head_octets, reader.is_complete) == (None, 0, False)
    feed(reader, octets, way)
    assert reader.is_complete
    assert reader.malformed is None
    assert reader.head_octets == head_octets
    assert reader.head is not None
    assert reader.head.version == "HTTP/1.1"


def test_a_request_is_known_at_the_end_of_its_head() -> None:
    reader = RequestReader()
    reader.feed(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n")
    assert (reader.head, reader.method) == (None, None)
    reader.feed(b"\r\n")
    assert reader.head == RequestHead("POST", "/a", "HTTP/1.1", (("Content-Length", "2"),))
    assert reader.method == "POST"
    assert not reader.is_complete
    assert reader.feed(b"abc") == 2
    assert reader.is_complete


@pytest.mark.parametrize(
    ("octets", "expects"),
    [
        pytest.param(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", True, id="yes"),
        pytest.param(b"POST / HTTP/1.1\r\nexpect: 100-CONTINUE\r\nContent-Length: 1\r\n\r\n", True, id="any case"),
        pytest.param(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", False, id="HTTP/1.0"),
        pytest.param(b"POST / HTTP/1.1\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", False, id="something else"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", False, id="nothing"),
    ],
)
def test_expectation_of_100_continue(octets: bytes, expects: bool) -> None:
    reader = RequestReader()
    reader.feed(octets)
    assert reader.expects_continue is expects
    assert not reader.is_complete


# What is no request, with the number of octets after which that is known.
NO_REQUESTS = [
    pytest.param(b"\x16\x03\x01\x02\x00\x01", 1, "not the beginning of an HTTP message", id="TLS"),
    pytest.param(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", 1, "not the beginning of an HTTP message", id="PostgreSQL"),
    pytest.param(b"*1\r\n$4\r\nPING\r\n", 3, "not the beginning of an HTTP message", id="Redis"),
    pytest.param(b"EHLO a\r\n", 8, "not a request line", id="SMTP"),
    pytest.param(b"GET /\r\n", 7, "not a request line", id="HTTP/0.9"),
    pytest.param(b" GET / HTTP/1.1\r\n", 17, "not a request line", id="SP before the method"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 18, "the preface of HTTP/2", id="HTTP/2"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", 41, "values that differ", id="lengths differ"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 38, "an unreadable Content-Length", id="bad length"),
    pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 44, "final transfer coding", id="not chunked"),
    pytest.param(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        52,
        "not a chunk size",
        id="bad chunk",
    ),
]


@in_three_ways
@pytest.mark.parametrize(("octets", "known_after", "text"), NO_REQUESTS)
def test_what_is_no_request_is_malformed_and_taken_for_ever(
    octets: bytes, known_after: int, text: str, way: str
) -> None:
    reader = RequestReader()
    feed(reader, octets, way)
    assert reader.malformed is not None
    assert not reader.is_complete
    assert reader.feed(b"more") == 4


@pytest.mark.parametrize(("octets", "known_after", "text"), NO_REQUESTS)
def test_what_is_no_request_is_found_out_early(octets: bytes, known_after: int, text: str) -> None:
    reader = RequestReader()
    for at in range(known_after - 1):
        reader.feed(octets[at : at + 1])
    assert reader.malformed is None
    reader.feed(octets[known_after - 1 : known_after])
    assert text in (reader.malformed or "")


# Responses: method, octets, offset of the end of the final head.
RESPONSES = [
    pytest.param("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 38, id="length"),
    pytest.param("GET", b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 35, id="LF alone"),
    pytest.param("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\n\r\n\n", 38, id="content of line ends"),
    pytest.param("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 47, id="chunked"),
    pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 38, id="HEAD"),
    pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n", 41, id="HEAD with any length"),
    pytest.param("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 27, id="204"),
    pytest.param("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 57, id="304"),
    pytest.param("GET", b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n", 36, id="100 before"),
    pytest.param(
        "GET",
        b"HTTP/1.1 103 E\r\nLink: a\r\n\r\n" * 3 + b"HTTP/1.1 200 O\r\nContent-Length: 1\r\n\r\nx",
        118,
        id="103 before",
    ),
    pytest.param("CONNECT", b"HTTP/1.1 407 P\r\nContent-Length: 1\r\n\r\nx", 37, id="CONNECT refused"),
]


@in_three_ways
@pytest.mark.parametrize(("method", "octets", "head_octets"), RESPONSES)
def test_responses_are_followed_to_their_end(method: str, octets: bytes, head_octets: int, way: str) -> None:
    reader = ResponseReader(method)
    assert (reader.has_head, reader.head, reader.head_octets, reader.is_complete) == (False, None, 0, False)
    feed(reader, octets, way)
    assert reader.is_complete
    assert reader.malformed is None
    assert reader.has_head
    assert reader.head is not None
    assert reader.head_octets == head_octets
    assert (reader.is_upgrade, reader.until_close, reader.truncated) == (False, False, False)
    reader.end()
    assert not reader.truncated


@in_three_ways
@pytest.mark.parametrize(
    ("method", "octets"),
    [
        pytest.param("GET", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", id="101"),
        pytest.param("CONNECT", b"HTTP/1.1 200 OK\r\n\r\n", id="CONNECT"),
        pytest.param("CONNECT", b"HTTP/1.1 299 OK\r\nContent-Length: 5\r\n\r\n", id="CONNECT with a length"),
    ],
)
def test_an_upgrade_ends_with_its_head(method: str, octets: bytes, way: str) -> None:
    reader = ResponseReader(method)
    feed(reader, octets, way)
    assert reader.is_complete
    assert reader.is_upgrade
    assert reader.interim_responses == 0


def test_interim_responses_are_counted() -> None:
    reader = ResponseReader("POST")
    reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 ")
    assert reader.interim_responses == 2
    assert reader.head is None
    reader.feed(b"200 OK\r\nContent-Length: 0\r\n\r\n")
    assert reader.head == ResponseHead("HTTP/1.1", 200, "OK", (("Content-Length", "0"),))
    assert reader.interim_responses == 2


@pytest.mark.parametrize(
    ("body", "has_one"),
    [
        pytest.param(b"1\r\na\r\n0\r\n\r\n", False, id="CRLF"),
        pytest.param(b"1\na\r\n0\r\n\r\n", True, id="behind a size"),
        pytest.param(b"1\r\na\r\n0\r\nA: 1\n\r\n", True, id="in the trailers"),
    ],
)
def test_a_bare_lf_between_chunks_is_noticed(body: bytes, has_one: bool) -> None:
    reader = ResponseReader("GET")
    reader.feed(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert (reader.is_complete, reader.has_bare_lf) == (True, has_one)


@in_three_ways
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", id="nothing"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", id="content that looks like a response"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\nabc", id="unreadable length"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", id="other coding"),
    ],
)
def test_a_response_without_a_length_is_completed_by_the_close(octets: bytes, way: str) -> None:
    reader = ResponseReader("GET")
    feed(reader, octets, way)
    assert reader.until_close
    assert not reader.is_complete
    reader.end()
    assert reader.is_complete
    assert not reader.truncated
    assert reader.feed(b"x") == 0


@in_three_ways
def test_a_body_without_its_last_line_is_completed_by_the_close(way: str) -> None:
    reader = ResponseReader("GET")
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    feed(reader, octets, way if way == "octet by octet" else "whole")
    assert not reader.is_complete
    reader.end()
    assert reader.is_complete
    assert reader.truncated


@pytest.mark.parametrize("way", ["whole", "octet by octet"])
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HT", id="in the version"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: 1\r\n", id="in the head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after an interim response"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", id="behind the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", id="in the content"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", id="in a chunk"),
    ],
)
def test_a_response_that_the_close_tears_is_truncated(octets: bytes, way: str) -> None:
    reader = ResponseReader("GET")
    feed(reader, octets, way)
    assert not reader.truncated
    reader.end()
    assert reader.truncated
    assert not reader.is_complete


NO_RESPONSES = [
    pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", 1, "not the beginning of an HTTP message", id="SSH"),
    pytest.param(b"HELO\r\n", 2, "not the beginning of an HTTP message", id="first letter fits"),
    pytest.param(b"\r\nHTTP/1.1 200 OK\r\n\r\n", 1, "not the beginning of an HTTP message", id="empty line before"),
    pytest.param(b"HTTP/1.1 OK\r\n", 13, "not a status line", id="no status"),
    pytest.param(b"HTTP/1.1 100 C\r\n\r\nnoise", 19, "not the beginning of an HTTP message", id="after an interim one"),
    pytest.param(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 x\r\n", 30, "not a status line", id="status after an interim one"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", 41, "values that differ", id="lengths differ"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 50, "not a chunk size", id="bad chunk"),
]


@in_three_ways
@pytest.mark.parametrize(("octets", "known_after", "text"), NO_RESPONSES)
def test_what_is_no_response_is_malformed_and_taken_up_to_the_close(
    octets: bytes, known_after: int, text: str, way: str
) -> None:
    reader = ResponseReader("GET")
    feed(reader, octets, way)
    assert reader.malformed is not None
    assert reader.feed(b"more") == 4
    reader.end()
    assert not reader.is_complete
    assert not reader.truncated


@pytest.mark.parametrize(("octets", "known_after", "text"), NO_RESPONSES)
def test_what_is_no_response_is_found_out_early(octets: bytes, known_after: int, text: str) -> None:
    reader = ResponseReader("GET")
    for at in range(known_after - 1):
        reader.feed(octets[at : at + 1])
    assert reader.malformed is None
    reader.feed(octets[known_after - 1 : known_after])
    assert text in (reader.malformed or "")


@pytest.mark.parametrize(
    ("make", "start_line"),
    [
        pytest.param(RequestReader, b"GET / HTTP/1.1\r\n", id="request"),
        pytest.param(lambda: ResponseReader("GET"), b"HTTP/1.1 204 N\r\n", id="response"),
    ],
)
def test_fields_are_limited_far_beyond_what_clients_take(
    make: Callable[[], RequestReader | ResponseReader], start_line: bytes
) -> None:
    watched, endless = make(), make()
    watched.feed(start_line + b"A: 1\r\n" * 5000 + b"\r\n")
    endless.feed(start_line + b"A: 1\r\n" * 5001 + b"\r\n")
    assert watched.is_complete
    assert endless.malformed == "a head has more than 5000 field lines"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", id="length"),
        pytest.param(b"HTTP/1.1 404 \r\nA: b\r\ncontent-length:0\r\nC: \xe9\r\n\r\n", id="no content, other fields"),
        pytest.param(b"HTTP/1.0 500\r\nCONTENT-LENGTH: \t1\r\n\r\n\n", id="no reason"),
    ],
)
def test_an_ordinary_response_is_known_as_a_whole(octets: bytes) -> None:
    whole, reader = WholeResponse.find(octets, "GET"), ResponseReader("GET")
    reader.feed(octets)
    assert whole is not None
    assert (whole.head, whole.is_complete, whole.feed(b"more")) == (reader.head, reader.is_complete, 0)


STATUS_LINES = [b"HTTP/1.1 200 OK", b"HTTP/1.0 404", b"HTTP/1.1 204 N", b"HTTP/1.1 100 C", b"HTTP/1.1 99 X"]
FIELD_LINES = [
    *(b"A: b", b"content-length:3", b"Content-Length: 3 ", b"Content-Length: 3, 3", b"Content-Length: +3"),
    *(b"Transfer-Encoding: chunked", b" folded", b"no colon", b"B: \0", b"C: a\rb", b"Content-Length : 3"),
]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_response_that_is_known_as_a_whole_has_nothing_unusual(line_end: bytes) -> None:
    known = []
    for status, first, second in product(STATUS_LINES, [None, *FIELD_LINES], [None, *FIELD_LINES]):
        fields = [line for line in (first, second) if line is not None]
        for content, method in product([b"", b"ab", b"abc", b"abcd"], ["GET", "HEAD", "CONNECT"]):
            octets = line_end.join([status, *fields, b"", content])
            whole = WholeResponse.find(octets, method)
            if whole is not None:
                known.append((octets, method, whole))
    assert bool(known) == (line_end == b"\r\n")
    for octets, method, whole in known:
        reader = ResponseReader(method)
        assert reader.feed(octets) == len(octets)
        assert (reader.is_complete, reader.malformed, reader.interim_responses) == (True, None, 0)
        assert (reader.is_upgrade, reader.until_close, reader.has_defects) == (False, False, False)
        assert [value for _, value in reader.framing_fields] == ["3"]
        assert whole.head == reader.head


# Streams of many messages: whatever the cuts, the messages are the same.
CONTENTS = st.binary(max_size=30)


def with_length(content: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    return (("Content-Length", str(len(content))),), content


def with_chunks(content: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    body = b"".join(chunk(content[at : at + 7]) for at in range(0, len(content), 7))
    return (("Transfer-Encoding", "chunked"),), body + last_chunk([("T", "1")])


BODIES = st.one_of(CONTENTS.map(with_length), CONTENTS.map(with_chunks))
REQUEST_STREAMS = st.lists(
    BODIES.map(lambda body: serialise_request_head(RequestHead("PUT", "/", "HTTP/1.1", body[0])) + body[1]),
    max_size=4,
)
RESPONSE_STREAMS = st.lists(
    st.tuples(st.integers(0, 2), BODIES).map(
        lambda message: (
            b"HTTP/1.1 100 C\r\n\r\n" * message[0]
            + serialise_response_head(ResponseHead("HTTP/1.1", 200, "OK", message[1][0]))
            + message[1][1]
        )
    ),
    max_size=4,
)


def read_all(readers: type[RequestReader] | type[ResponseReader], segments: list[bytes]) -> list[tuple[object, ...]]:
    """Read a stream message by message; tell of each what its reader found out."""

    def new() -> RequestReader | ResponseReader:
        return RequestReader() if readers is RequestReader else ResponseReader("GET")

    found, reader = [], new()
    for segment in segments:
        while segment:
            segment = segment[reader.feed(segment) :]
            if reader.is_complete:
                found.append((reader.head, reader.head_octets, reader.taken, reader.malformed))
                reader = new()
    return [*found, (reader.head, reader.taken)]


def cut(octets: bytes, cuts: list[int]) -> list[bytes]:
    borders = sorted({0, len(octets), *(at for at in cuts if at < len(octets))})
    return [octets[start:stop] for start, stop in pairwise(borders)]


@given(REQUEST_STREAMS, st.lists(st.integers(0, 400)))
def test_no_cut_changes_the_requests(messages: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(messages)
    found = read_all(RequestReader, cut(octets, cuts))
    assert found == read_all(RequestReader, [octets] if octets else [])
    assert [message[2] for message in found[:-1]] == [len(message) for message in messages]


@given(RESPONSE_STREAMS, st.lists(st.integers(0, 400)))
def test_no_cut_changes_the_responses(messages: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(messages)
    found = read_all(ResponseReader, cut(octets, cuts))
    assert found == read_all(ResponseReader, [octets] if octets else [])
    assert [message[2] for message in found[:-1]] == [len(message) for message in messages]


@given(
    st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK",
                b"HTTP/1.1 100 C",
                b"GET / HTTP/1.1",
                b"\r\n",
                b"\n",
                b"\r",
                b"A: b",
                b" ",
                b"\0",
                b"3",
            ]
            + [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"0\r\n\r\n"]
        )
    ).map(b"".join),
    st.lists(st.integers(0, 100)),
)
def test_readers_never_raise_and_find_the_same_in_any_cut(octets: bytes, cuts: list[int]) -> None:
    def outcome(reader: RequestReader | ResponseReader, segments: list[bytes]) -> tuple[object, ...]:
        for segment in segments:
            reader.feed(segment)
        if isinstance(reader, ResponseReader):
            reader.end()
        end = reader.taken if reader.malformed is None else len(octets)
        return reader.head, reader.head_octets, reader.is_complete, reader.malformed is None, end

    segments = cut(octets, cuts)
    assert outcome(RequestReader(), segments) == outcome(RequestReader(), [octets])
    assert outcome(ResponseReader("GET"), segments) == outcome(ResponseReader("GET"), [octets])
