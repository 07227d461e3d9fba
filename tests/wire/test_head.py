"""Start lines and field sections, from octets and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.head import (
    FRAMING_FIELDS,
    outline_response_head,
    parse_fields,
    parse_request_head,
    parse_response_head,
    serialise_fields,
    serialise_request_head,
    serialise_response_head,
)
from cassette_http.wire.messages import RequestHead, ResponseHead, field_values

# Heads that are read and written: octets, head.
REQUEST_HEADS = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", RequestHead("GET", "/", "HTTP/1.1", ()), id="no fields"),
    pytest.param(
        b"POST http://a/b?c HTTP/1.0\r\nHost: a\r\nX-Empty: \r\nx-DUP: 1\r\nX-dup: 2\r\n\r\n",
        RequestHead(
            "POST",
            "http://a/b?c",
            "HTTP/1.0",
            (("Host", "a"), ("X-Empty", ""), ("x-DUP", "1"), ("X-dup", "2")),
        ),
        id="order, case and duplicates stay",
    ),
    pytest.param(b"M-SEARCH * HTTP/1.1\r\n\r\n", RequestHead("M-SEARCH", "*", "HTTP/1.1", ()), id="extension method"),
    pytest.param(
        b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        RequestHead("GET", "/\xc3\xa9", "HTTP/1.1", ()),
        id="Latin-1 target",
    ),
    pytest.param(
        b"GET /a b HTTP/1.1\r\n\r\n",
        RequestHead("GET", "/a b", "HTTP/1.1", ()),
        id="white space in the target",
    ),
    pytest.param(
        b"GET /a HTTP/1.0 HTTP/1.1\r\n\r\n",
        RequestHead("GET", "/a HTTP/1.0", "HTTP/1.1", ()),
        id="the last version counts",
    ),
]
RESPONSE_HEADS = [
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", ResponseHead("HTTP/1.1", 200, "OK", ()), id="no fields"),
    pytest.param(b"HTTP/1.1 200 \r\n\r\n", ResponseHead("HTTP/1.1", 200, "", ()), id="empty reason"),
    pytest.param(
        b"HTTP/1.0 404 Pas trouv\xe9\r\nX: \xff\r\n\r\n",
        ResponseHead("HTTP/1.0", 404, "Pas trouv\xe9", (("X", "\xff"),)),
        id="Latin-1",
    ),
    pytest.param(
        b"HTTP/1.1 999 Not: a field\r\n\r\n",
        ResponseHead("HTTP/1.1", 999, "Not: a field", ()),
        id="any status",
    ),
]


@pytest.mark.parametrize(("octets", "head"), REQUEST_HEADS)
def test_request_heads_are_read(octets: bytes, head: RequestHead) -> None:
    assert parse_request_head(octets) == head


@pytest.mark.parametrize(("octets", "head"), REQUEST_HEADS)
def test_request_heads_are_written(octets: bytes, head: RequestHead) -> None:
    assert serialise_request_head(head) == octets


@pytest.mark.parametrize(("octets", "head"), RESPONSE_HEADS)
def test_response_heads_are_read(octets: bytes, head: ResponseHead) -> None:
    assert parse_response_head(octets) == head


@pytest.mark.parametrize(("octets", "head"), RESPONSE_HEADS)
def test_response_heads_are_written(octets: bytes, head: ResponseHead) -> None:
    assert serialise_response_head(head) == octets


@pytest.mark.parametrize(
    ("octets", "start"),
    [
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", ("GET", "/"), id="LF line ends"),
        pytest.param(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/"), id="empty line before"),
        pytest.param(b"\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/"), id="empty lines before"),
        pytest.param(b"GET  \t /  HTTP/1.1 \r\nHost: a\r\n\r\n", ("GET", "/"), id="more white space"),
        pytest.param(b"GET /a\rb\0c HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/a b c"), id="controls"),
    ],
)
def test_sloppy_request_lines_are_understood(octets: bytes, start: tuple[str, str]) -> None:
    assert parse_request_head(octets) == RequestHead(*start, "HTTP/1.1", (("Host", "a"),))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"HTTP/1.1 200 OK\n", "OK", id="LF line end"),
        pytest.param(b"HTTP/1.1 200 OK \t\r\n", "OK", id="OWS behind the reason"),
        pytest.param(b"HTTP/1.1 200 \r\0OK\0\r\n", "OK", id="controls around the reason"),
        pytest.param(b"HTTP/1.1 200\r\n", "", id="no SP behind the status"),
        pytest.param(b"HTTP/1.1  200  OK\r\n", "OK", id="two SP"),
        pytest.param(b"HTTP/1.1\t200\tOK\r\n", "OK", id="HTAB"),
        pytest.param(b"HTTP/1.1 200 O\rK\0\r\n", "O K", id="controls"),
        pytest.param(b"HTTP/1.1 200 \x85\xa0\r\n", "\x85\xa0", id="no white space but SP and HTAB"),
    ],
)
def test_sloppy_status_lines_are_understood(line: bytes, reason: str) -> None:
    assert parse_response_head(line + b"\r\n") == ResponseHead("HTTP/1.1", 200, reason, ())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"GET /",
        b"GET / HTTP/1",
        b"GET / HTTP/11.1",
        b"GET / http/1.1",
        b"GET /HTTP/1.1",
        b"GET HTTP/1.1",
        b" GET / HTTP/1.1",
        b"G\xc9T / HTTP/1.1",
        b"G:T / HTTP/1.1",
        b"GET / HTTP/1.\xb2",
        b"HTTP/1.1 200 OK",
    ],
)
def test_what_is_no_request_line_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage, match="not a request line: b'"):
        parse_request_head(line + b"\r\nHost: a\r\n\r\n" if line.strip() else line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 099 Low",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 -20 OK",
        b"HTTP/1.1 2_0 OK",
        b"HTTP/1.1 \xb2\xb2\xb2 OK",
        b" HTTP/1.1 200 OK",
        b"HTTP 200 OK",
        b"ICY 200 OK",
        b"http/1.1 200 OK",
    ],
)
def test_what_is_no_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage, match="not a status line: b'"):
        parse_response_head(line + b"\r\n\r\n")


# Field sections: octets, fields, parts of the defects' texts.
SECTIONS = [
    pytest.param(b"", [], [], id="nothing"),
    pytest.param(b"A: 1\r\nB: 2\r\n", [("A", "1"), ("B", "2")], [], id="ordinary"),
    pytest.param(b"A:1\r\nB:\t 2 \t\r\nC: \r\nD:\r\n", [("A", "1"), ("B", "2"), ("C", ""), ("D", "")], [], id="OWS"),
    pytest.param(b"A: b: c\r\n", [("A", "b: c")], [], id="colon in the value"),
    pytest.param(b"A: \x85b\xa0\r\n", [("A", "\x85b\xa0")], [], id="no white space but SP and HTAB"),
    pytest.param(b"A: b\x0b\x0c\x1c\x1d\x1ec\r\n", [("A", "b\x0b\x0c\x1c\x1d\x1ec")], [], id="no line end but LF"),
    pytest.param(b"A: \x01\x7f\r\n", [("A", "\x01\x7f")], [], id="harmless controls stay"),
    pytest.param(b"a[b]/{c}@d: 1\r\n", [("a[b]/{c}@d", "1")], [], id="visible characters in the name"),
    pytest.param(b"A: 1\nB: 2\r\nC: 3\n", [("A", "1"), ("B", "2"), ("C", "3")], [], id="LF alone"),
    pytest.param(b"A: 1\r\nB: 2", [("A", "1"), ("B", "2")], [], id="no line end at the end"),
    pytest.param(b"A: 1\r\n\r\nB: 2\r\n", [("A", "1")], [], id="the empty line ends it"),
    pytest.param(b"\r\nA: 1\r\n", [], [], id="the empty line ends it at once"),
    pytest.param(b"A: 1\n\nB: 2\r\n\r\n", [("A", "1")], [], id="the empty line may be LF alone"),
    pytest.param(b"A: b\r\n c\r\n \t d\r\nE: f\r\n", [("A", "b c d"), ("E", "f")], [], id="folds"),
    pytest.param(b"A: \r\n b\r\n", [("A", "b")], [], id="fold before the value"),
    pytest.param(b"A: b\r\n \r\nC: d\r\n", [("A", "b"), ("C", "d")], [], id="fold of nothing"),
    pytest.param(b"A: b\n\tc\n", [("A", "b c")], [], id="folds with LF alone"),
    pytest.param(b"A: b\r\n C: d\r\n", [("A", "b C: d")], [], id="fold that looks like a field"),
    pytest.param(b" a\r\nB: c\r\n", [("B", "c")], ["line 1 left out, folded line"], id="fold of no field"),
    pytest.param(b"A: 1\r\nb\r\nC: 2\r\n", [("A", "1"), ("C", "2")], ["line 2 left out, no colon: 'b'"], id="no colon"),
    pytest.param(
        b"A: 1\r\nb\r\n c: d\r\nC: 2\r\n",
        [("A", "1"), ("C", "2")],
        ["line 2 left out"],
        id="fold of a bad line",
    ),
    pytest.param(b": 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid field name"], id="empty name"),
    pytest.param(b"A : 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid"], id="SP behind the name"),
    pytest.param(b"A b: 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid"], id="SP in the name"),
    pytest.param(b"A\0: 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid"], id="NUL in the name"),
    pytest.param(b"A\rB: 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid"], id="CR in the name"),
    pytest.param(b"\xc4: 1\r\nB: 2\r\n", [("B", "2")], ["line 1 left out, no valid"], id="no US-ASCII in the name"),
    pytest.param(b"A: b\rC: d\r\n", [("A", "b C: d")], ["bare CR or NUL in the value of A"], id="bare CR"),
    pytest.param(b"A: b\r\r\n", [("A", "b")], ["bare CR or NUL in the value of A"], id="CR CR LF"),
    pytest.param(b"A: b\0c\r\n", [("A", "b c")], ["bare CR or NUL in the value of A"], id="NUL"),
    pytest.param(b"A: b\r\n c\0d\r\n", [("A", "b c d")], ["bare CR or NUL in the value of A"], id="NUL in a fold"),
    pytest.param(b"x" * 50 + b"\r\n", [], ["line 1 left out, no colon: '" + "x" * 40 + "...'"], id="long line"),
]


@pytest.mark.parametrize("empty_line", [b"", b"\r\n", b"\n"], ids=["without end", "CRLF", "LF"])
@pytest.mark.parametrize(("section", "fields", "defects"), SECTIONS)
def test_field_sections_are_read(
    section: bytes, fields: list[tuple[str, str]], defects: list[str], empty_line: bytes
) -> None:
    got, got_defects = parse_fields(section + empty_line)
    assert got == fields
    assert len(got_defects) == len(defects)
    assert all(part in text for part, text in zip(defects, got_defects, strict=True))


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        pytest.param(RequestHead("GET", "/\r\nX: 1", "HTTP/1.1", ()), r"'GET /\\r\\nX: 1 HTTP/1.1'", id="target"),
        pytest.param(RequestHead("GET", "/", "HTTP/1.1", (("A", "b\nC: d"),)), r"'A: b\\nC: d'", id="value"),
        pytest.param(RequestHead("GET", "/", "HTTP/1.1", (("A\r", "b"),)), r"'A\\r: b'", id="name"),
        pytest.param(RequestHead("GET", "/", "HTTP/1.1", (("A", "\0"),)), r"'A: \\x00'", id="NUL"),
    ],
)
def test_a_line_that_would_break_in_two_is_not_written(head: RequestHead, shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        serialise_request_head(head)


def test_values_of_a_field_are_found_in_any_case_and_in_order() -> None:
    fields = (("A", "1"), ("b", "2"), ("a", "3"))
    assert field_values(fields, "a") == field_values(fields, "A") == ["1", "3"]


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1)
TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")).map(lambda text: text.strip(" \t"))
FIELDS = st.lists(st.tuples(NAMES, TEXTS)).map(tuple)
METHODS = st.text("ABCXYZabc!#$%&'*+-.^_`|~09", min_size=1)
TARGETS = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\r\n\0"), min_size=1)


@given(st.builds(RequestHead, METHODS, TARGETS, st.sampled_from(["HTTP/1.1", "HTTP/1.0"]), FIELDS))
def test_reading_undoes_writing_of_request_heads(head: RequestHead) -> None:
    assert parse_request_head(serialise_request_head(head)) == head


@given(st.builds(ResponseHead, st.just("HTTP/1.1"), st.integers(100, 999), TEXTS, FIELDS, st.just(())))
def test_reading_undoes_writing_of_response_heads(head: ResponseHead) -> None:
    assert parse_response_head(serialise_response_head(head)) == head


@given(st.lists(st.sampled_from([b"A", b"bc", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"\xff"])).map(b"".join))
def test_any_section_gives_fields_that_can_be_written_and_read_again(section: bytes) -> None:
    fields, _ = parse_fields(section)
    assert parse_fields(serialise_fields(fields)) == (fields, [])


FRAMING_PARTS = [b"Content-Length", b"TRANSFER-encoding", b"X-Content-Length", b":", b" ", b"\t", b"5", b"\0", b"\xff"]
LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\n\r\n"]


@given(st.lists(st.sampled_from(FRAMING_PARTS + LINE_ENDS)).map(b"".join))
def test_an_outline_says_of_any_section_what_the_whole_head_says(section: bytes) -> None:
    octets = b"HTTP/1.1 200 OK\r\n" + section + b"\r\n\r\n"
    head = parse_response_head(octets)
    framing_fields = tuple(field for field in head.fields if field[0].lower() in FRAMING_FIELDS)
    assert outline_response_head(octets) == (200, framing_fields, bool(head.defects))


@given(FIELDS)
def test_the_fast_way_gives_what_the_careful_way_gives(fields: tuple[tuple[str, str], ...]) -> None:
    section = serialise_fields(fields)
    # Lines that end in LF alone are no longer ordinary.
    assert parse_fields(section) == parse_fields(section.replace(b"\r\n", b"\n"))
