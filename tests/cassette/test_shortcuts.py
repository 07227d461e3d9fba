"""The shortcuts take the ordinary only, and give what the long way would have given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.format import writing
from cassette_http.cassette.format.codings import redo
from cassette_http.cassette.format.ordinary_answers import read_ordinary_answer
from cassette_http.cassette.format.reading import Unfit, _build
from cassette_http.cassette.format.yaml_format import Document, dump_header, dump_interaction, load_document, scan
from cassette_http.cassette.format.yaml_reading import UnreadableYAML, read_mapping
from cassette_http.cassette.index import line_of
from cassette_http.cassette.model import Failure, FailureKind, Header, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.shortcuts import is_plain_header, read_answer, track_of, written_beginning, written_request
from cassette_http.errors import CassetteFormatError
from cassette_http.wire.reader import RequestReader

ORIGIN = Origin("https", "api.test", 443)
GET = b"GET /users/1?full HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
LONG_JSON = json.dumps({"members": [{"id": number, "name": "x" * 20} for number in range(5)]}).encode()
COMPACT_JSON = LONG_JSON.replace(b": ", b":").replace(b", ", b",")


def document_of(recorded: Interaction) -> Document:
    data = dump_header(Header()) + b"---\n" + dump_interaction(recorded) + b"---\n"
    return scan(data, "x.yaml")[1]


def answered(track: Track, octets: bytes = GET, origin: Origin = ORIGIN) -> Track | None:
    """What the shortcut gives for a request that was recorded with this track."""
    written = written_request(origin, octets)
    assert written is not None
    return track_read(document_of(Interaction(origin, Request(origin, octets), track)), written.beginning)


def track_read(document: Document, beginning: bytes, first_line: bytes | None = None) -> Track | None:
    answer = read_answer(document, beginning, first_line)
    return None if answer is None else track_of(answer)


# ---------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    "header",
    [
        Header(),
        Header(1, "2026-11-22T17:57:05Z", "cassette-http 0.1.0, CPython 3.12.1, linux", "tests/t.py::T::test_a[x-1]"),
        Header(1, None, None, "test: a"),
        Header(1, None, None, "test #a"),
    ],
)
def test_a_header_without_quotes_is_plain(header: Header) -> None:
    written = dump_header(header)
    assert is_plain_header(written) == (b'"' not in written)


WORDS = st.builds("{}{}".format, st.sampled_from("aaa1'#"), st.text("ab1:#-'\"[]{} ", max_size=6))


@given(WORDS, WORDS, st.sampled_from(["", "other: a\n"]))
def test_a_plain_header_can_be_read(by: str, test: str, rest: str) -> None:
    octets = f"cassette: 1\nrecorded: 2026-11-22T17:57:05Z\nby: {by}\ntest: {test}\n{rest}".encode()
    if is_plain_header(octets):
        assert load_document(octets, "x", 1) == Header(1, "2026-11-22T17:57:05Z", by, test)


# ---------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(GET, id="GET"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", id="HEAD"),
        pytest.param(b"GET //a//b?c=d?e#f HTTP/1.1\r\nHost: a\r\n\r\n", id="odd target"),
        pytest.param(b"GET /http://a?b=http://c HTTP/1.1\r\nHost: a\r\n\r\n", id="URL in the path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", id="keep-alive"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="close"),
        pytest.param(b"GET / HTTP/1.1\r\nX: \xe9: #\r\nX: \r\n\r\n", id="odd fields"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", id="folded line"),
    ],
)
def test_ordinary_requests_are_written_without_being_parsed(octets: bytes) -> None:
    written = written_request(ORIGIN, octets)
    assert written is not None
    request = Request(ORIGIN, octets)
    document = document_of(Interaction(ORIGIN, request, Track((Piece(OK),))))
    assert written.line == line_of(request) == document.request_line
    assert document.octets.startswith(written.beginning + b"response: 200 OK\n")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(GET[:-1], id="head incomplete"),
        pytest.param(GET + b"G", id="something behind"),
        pytest.param(GET + GET, id="two requests"),
        pytest.param(b"\r\n" + GET, id="empty line first"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", id="body"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", id="empty body"),
        pytest.param(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunked body to come"),
        pytest.param(b"GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", id="Expect"),
        pytest.param(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", id="upgrade"),
        pytest.param(b"GET / HTTP/1.1\r\nconnection : close\r\n\r\n", id="name with a blank"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", id="HTTP/1.0"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute target"),
        pytest.param(b"GET /a: HTTP/1.1\r\nHost: a\r\n\r\n", id="colon at the end"),
        pytest.param(b"GET /a?b: HTTP/1.1\r\nHost: a\r\n\r\n", id="colon at the end of the query"),
        pytest.param(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", id="target beyond ASCII"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="LF"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\nGET / HTTP/1.1\r\n\r\n", id="head ends early"),
        pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", id="CONNECT"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n\r\n", id="empty line behind"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_requests_go_the_long_way(octets: bytes) -> None:
    assert written_request(ORIGIN, octets) is None


@pytest.mark.parametrize("origin", [Origin("http", "we ird\n", 80), Origin("http", "é.test", 80)])
def test_origins_that_are_no_part_of_a_url_go_the_long_way(origin: Origin) -> None:
    assert written_request(origin, GET) is None


heads = st.builds(
    lambda line, fields: line + b"\r\n" + b"".join(fields) + b"\r\n",
    st.sampled_from([b"GET / HTTP/1.1", b"DELETE /a?b HTTP/1.1", b"POST / HTTP/1.1"])
    | st.binary(max_size=12).map(lambda target: b"GET /" + target + b" HTTP/1.1"),
    st.lists(
        st.sampled_from([b"Host: a\r\n", b"Connection: x, close\r\n", b"Upgrade: y\r\n", b"A:b\r\n", b" c\r\n", b"\n"])
        | st.binary(max_size=12).map(lambda line: line + b"\r\n"),
        max_size=4,
    ),
)


@given(heads, st.sampled_from([ORIGIN, Origin("http", "::1", 8080), Origin("http", "a b", 80)]))
def test_what_is_written_of_any_request_is_what_its_document_begins_with(octets: bytes, origin: Origin) -> None:
    written = written_request(origin, octets)
    if written is None:
        return
    request = Request(origin, octets)
    document = document_of(Interaction(origin, request, Track((Piece(OK),))))
    assert written.line == line_of(request) == document.request_line
    assert document.octets.startswith(written.beginning + b"response: ")
    reader = RequestReader()
    assert reader.feed(octets) == len(octets)
    assert reader.is_complete
    assert not reader.expects_continue


# ---------------------------------------------------------------------- answers

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIP = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
IN_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n"
CODED = redo("gzip 6", COMPACT_JSON)
CODED_OK = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(CODED), CODED)


@pytest.mark.parametrize(
    ("octets", "is_ordinary"),
    [
        pytest.param(OK + b'{"a": "b"}', True, id="short JSON"),
        pytest.param(OK + LONG_JSON, True, id="JSON with blanks"),
        pytest.param(OK + COMPACT_JSON, True, id="JSON without"),
        pytest.param(OK + LONG_JSON + b"\n", True, id="JSON and a line end"),
        pytest.param(OK + b"text\n  indented\nlast\n", True, id="lines"),
        pytest.param(OK, True, id="no body"),
        pytest.param(OK + b"one\n\ntwo", False, id="empty line in the body"),
        pytest.param(OK + b" blank first", False, id="blank first"),
        pytest.param(OK + "a: é\n  日本語".encode(), True, id="beyond ASCII"),
        pytest.param(OK + LONG_JSON.replace(b"a", "é".encode()), True, id="JSON beyond ASCII"),
        pytest.param(OK + "é".encode(), False, id="beyond ASCII from the start"),
        pytest.param(OK + "a\x85b".encode(), False, id="NEL"),
        pytest.param(OK + b"a\xc3b\xa9", False, id="no UTF-8"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: \xe9\r\n\r\n", False, id="field beyond ASCII"),
        pytest.param(OK + b"\r\n", False, id="CR"),
        pytest.param(OK + b"\xff\xfe\x00", False, id="octets"),
        pytest.param(b"HTTP/1.1 200\r\nA: b\r\n\r\n", False, id="no reason"),
        pytest.param(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n", False, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", False, id="no fields"),
        pytest.param(CHUNKED + b"1\r\na\r\n0\r\n\r\n", True, id="chunked"),
        pytest.param(CHUNKED + b"1\r\na\r\n2\r\nb\n\r\n0\r\n\r\n", True, id="two chunks"),
        pytest.param(CHUNKED + IN_CHUNKS % (len(COMPACT_JSON), COMPACT_JSON), True, id="chunked JSON"),
        pytest.param(CHUNKED + b"0\r\n\r\n", False, id="no chunks"),
        pytest.param(CHUNKED + b"1\r\na\r\n" * 17 + b"0\r\n\r\n", False, id="many chunks"),
        pytest.param(CHUNKED + b"1\r\na\r\n0\r\nB: c\r\n\r\n", False, id="trailers"),
        pytest.param(GZIP + IN_CHUNKS % (len(CODED), CODED), True, id="coded and chunked"),
        pytest.param(CODED_OK, True, id="coded"),
        pytest.param(CODED_OK.replace(b"-Length", b"-length"), True, id="coded, another case"),
        pytest.param(CODED_OK.replace(b"Content-Length", b"X"), False, id="coded without length"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, False, id="interim"),
        pytest.param(b"junk", False, id="no HTTP"),
    ],
)
def test_answers_are_read_as_they_were_recorded(octets: bytes, is_ordinary: bool) -> None:
    track = Track((Piece(octets),))
    document = document_of(Interaction(ORIGIN, Request(ORIGIN, GET), track))
    assert answered(track) == track
    written = written_request(ORIGIN, GET)
    assert written is not None
    rest = document.octets.removeprefix(written.beginning)
    assert (read_ordinary_answer(rest) is not None) is is_ordinary


def test_octets_that_are_no_text_are_left_to_the_long_way() -> None:
    document = b"response: 200 OK\nresponse headers: |\n  A: b\nresponse body: |-\n  %b\n"
    assert read_ordinary_answer(document % "é".join("ab").encode()) is not None
    assert read_ordinary_answer(document % b"a\xc3b\xa9") is None  # "é" without what stands between


heads = st.lists(
    st.sampled_from(
        ["A: b", "A:", "A: b ", " folded", "\tfolded", "", " ", "A: \xe9", "A: b\nC: d", "A: b\rc", "A: \0", "no field"]
        + ["transfer-encoding: Chunked", "CONTENT-ENCODING: gzip", "Content-Type: text/plain; charset=latin-1"]
    ),
    max_size=4,
).map(lambda lines: "".join(line + "\r\n" for line in lines))
ends = st.sampled_from(["\r\n"] * 6 + ["", "\r", "\n", "\r\n\r\n"])
statuses = st.sampled_from(
    ["HTTP/1.1 200 OK\r\n"] * 6
    + ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 500 \r\n", "HTTP/1.1 103 Early Hints\r\n"]
    + ["HTTP/1.1 200 On\n", "HTTP/1.1 200 OK: #1\r\n", "HTTP/1.1 101 Switching Protocols\r\n"]
)
answers = st.sampled_from([LONG_JSON, COMPACT_JSON, b"", b" ", b" a\n\nb", b"a\r\nb", b"\xe9", "\x85é".encode()])
tracks = st.sampled_from(
    [Track((Piece(b""),))] * 6
    + [Track((Piece(b"", 0.0994),)), Track((Piece(b"", 0.0996),)), Track((Piece(b"", sent=0),))]
    + [
        Track((Piece(b""),), ended=True),
        Track((Piece(b""),), Failure(FailureKind.RESET)),
        Track((Piece(b""), Piece(b"x"))),
    ]
)


@given(statuses, heads, ends, answers, tracks, st.sampled_from([None, None, "last"]), st.booleans())
def test_an_answer_is_written_by_the_short_way_as_by_the_long_one(
    status: str, head: str, end: str, body: bytes, track: Track, repeat: str | None, is_put_aside: bool
) -> None:
    first = replace(track.pieces[0], octets=(status + head + end).encode("latin-1") + body)
    track = replace(track, pieces=(first, *track.pieces[1:]))
    interaction = Interaction(ORIGIN, Request(ORIGIN, GET), track, repeat=repeat)

    def put_aside(content: bytes, shown: int) -> str | None:
        return "blobs/0" if is_put_aside and shown > 20 else None

    written = writing._ordinary_answer(interaction, put_aside)
    assert written is None or written == writing._any_answer(interaction, put_aside)


@pytest.mark.parametrize("fields", ["", "Host: other\r\n", "A: b\r\n c\r\nConnection: close\r\n", "A: \xe9\r\n"])
def test_first_line_is_enough_where_fields_do_not_count(fields: str) -> None:
    written = written_request(ORIGIN, GET)
    assert written is not None
    other = f"GET /users/1?full HTTP/1.1\r\n{fields}\r\n".encode("latin-1")
    track = Track((Piece(OK + COMPACT_JSON),))
    document = document_of(Interaction(ORIGIN, Request(ORIGIN, other), track))
    assert track_read(document, written.beginning, written.first_line) == (track if fields.isascii() else None)
    with_body = document_of(Interaction(ORIGIN, Request(ORIGIN, other, b"x"), track))
    assert read_answer(with_body, written.beginning, written.first_line) is None


@pytest.mark.parametrize(
    "track",
    [
        pytest.param(Track((Piece(OK, 0.5), Piece(b"x", 0.75))), id="pieces with times"),
        pytest.param(Track((Piece(OK),), ended=True), id="ended"),
        pytest.param(Track((Piece(OK),), ended=True, close_notify=False), id="incompletely closed"),
        pytest.param(Track((Piece(OK),), Failure(FailureKind.RESET, errno="ECONNRESET")), id="failure behind octets"),
        pytest.param(Track((), Failure(FailureKind.TIMEOUT)), id="failure alone"),
    ],
)
def test_tracks_of_any_kind_are_read(track: Track) -> None:
    assert answered(track) == track


def edit(text: str, old: str, new: str) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: edit(text, "Accept: */*", "Accept: *"), id="another field"),
        pytest.param(lambda text: edit(text, "?full", "?fu"), id="another query"),
        pytest.param(lambda text: edit(text, "response:", "request body: x\nresponse:"), id="a body"),
        pytest.param(lambda text: edit(text, "response:", "  B: c\nresponse:"), id="one more field"),
        pytest.param(
            lambda text: edit(text, "response:", "request wire: {version: HTTP/1.0}\nresponse:"), id="version"
        ),
        pytest.param(lambda text: text.encode() + b"repeat: last\n", id="may be repeated"),
        pytest.param(lambda text: text.encode() + b"unknown: 1\n", id="unknown key"),
        pytest.param(lambda text: edit(text, "200 OK", "2000"), id="broken status"),
    ],
)
def test_documents_that_say_something_else_go_the_long_way(change: Callable[[str], bytes]) -> None:
    recorded = document_of(Interaction(ORIGIN, Request(ORIGIN, GET), Track((Piece(OK),))))
    written = written_request(ORIGIN, GET)
    assert written is not None
    octets = change(recorded.octets.decode())
    assert read_answer(Document(octets, 0, len(octets), None), written.beginning) is None


bodies = st.sampled_from([b"", LONG_JSON, COMPACT_JSON, '["é"]\n'.encode(), b"a\nb\n", b"a\n\n"]) | st.text(
    " \na:{}|-é", max_size=20
).map(str.encode)
coded = [CODED_OK, GZIP + IN_CHUNKS % (len(CODED), CODED), CHUNKED + b"1\r\na\r\n" + IN_CHUNKS % (1, b"b")]
insertions = st.sampled_from(
    ["", "\n", "\n\n", " ", "  ", "\n  ", "-", "#", '"', ": ", "é", "\x85", "\t", "wire: {body: ", "1", ", ", "}", "]"]
)


def read_key_by_key(octets: bytes) -> Interaction | None:
    """Read a document by PyYAML, and none of it by a shorter way; None if it is broken."""
    try:
        mapping = read_mapping(octets)
        loaded = _build(mapping.values) if mapping is not None else None
    except (UnreadableYAML, Unfit):
        return None
    assert loaded is None or isinstance(loaded, Interaction)
    return loaded


@given(bodies.map(OK.__add__) | st.sampled_from(coded), st.data())
def test_edited_documents_give_the_same_by_both_ways(octets: bytes, data: st.DataObject) -> None:
    recorded = document_of(Interaction(ORIGIN, Request(ORIGIN, GET), Track((Piece(octets),))))
    written = written_request(ORIGIN, GET)
    assert written is not None
    text = recorded.octets.decode()
    at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    octets = (text[:at] + data.draw(insertions) + text[at + cut :]).encode()
    is_whole = data.draw(st.booleans())
    first_line = None if is_whole else written.first_line
    found = track_read(Document(octets, 0, len(octets), None), written.beginning, first_line)
    loaded = read_key_by_key(octets)
    if loaded is None:
        assert found is None
        with pytest.raises(CassetteFormatError):
            load_document(octets, "x.yaml", 1)
        return
    assert load_document(octets, "x.yaml", 1) == loaded
    if found is None:
        return
    assert isinstance(loaded, Interaction)
    assert loaded.track == found
    assert loaded.request is not None
    assert loaded.request.body_octets == b""
    assert (loaded.request.method, loaded.request.url) == ("GET", Request(ORIGIN, GET).url)
    assert loaded.request == Request(ORIGIN, GET) or not is_whole


POST = b"POST /rpc?v=1 HTTP/1.1\r\nHost: api.test\r\n%b\r\n"
requests = st.one_of(
    st.sampled_from([b"{}", COMPACT_JSON, LONG_JSON, b"a=1&b=2", b"\xff\0", b"a\n\n", "é\r\n".encode()]).map(
        lambda body: Request(ORIGIN, POST % b"Content-Length: %d\r\n" % len(body), body)
    ),
    st.sampled_from(
        [
            Request(ORIGIN, POST % b"Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
            Request(ORIGIN, POST % b"Content-Encoding: gzip\r\n", gzip.compress(COMPACT_JSON, mtime=0)),
            Request(ORIGIN, b"GET http://api.test/ HTTP/1.0\r\n\r\n", via=Origin("http", "proxy.test", 8080)),
            Request(ORIGIN, b"CONNECT api.test:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
            Request(ORIGIN, b"no HTTP\r\n\r\n", b"x"),
            Request(ORIGIN, GET),
            Request(ORIGIN, b"GET / HTTP/1.1\r\n\r\n"),
        ]
    ),
)


@given(requests, bodies, st.data())
def test_documents_that_begin_as_a_request_is_written_are_of_that_request(
    request: Request, body: bytes, data: st.DataObject
) -> None:
    track = Track((Piece(OK + body),))
    recorded = document_of(Interaction(request.origin, request, track, request.via))
    beginning = written_beginning(request)
    if beginning is None:
        assert request.head_octets.count(b"\n") == 2
        return
    assert track_read(recorded, beginning) == track
    text = recorded.octets.decode()
    at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    octets = (text[:at] + data.draw(insertions) + text[at + cut :]).encode()
    found = track_read(Document(octets, 0, len(octets), None), beginning)
    loaded = read_key_by_key(octets)
    if loaded is not None:
        assert load_document(octets, "x.yaml", 1) == loaded
    if found is not None:
        assert loaded == Interaction(request.origin, request, found, request.via)


def test_long_bodies_are_compared_when_they_are_parsed() -> None:
    assert written_beginning(Request(ORIGIN, POST % b"Content-Length: 100000\r\n", b"x" * 100_000)) is None
