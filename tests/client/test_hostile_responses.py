"""What the client makes of responses that break the rules: one row each, read three ways."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from cassette_http import client
from tests.client.conftest import answering

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * 65537


def row(name: str, octets: bytes, expected: Any) -> Any:
    return pytest.param(octets, expected, id=name)


def content(data: bytes, **facts: Any) -> tuple[bytes, dict[str, Any]]:
    return data, facts


# Each row: what the peer sends before it closes; content and facts of the response, or an exception's type and text.
ROWS = [
    # --- start lines
    row("nothing at all", b"", (client.RemoteDisconnected, "Remote end closed connection without response")),
    row("an empty line", b"\r\n", (client.BadStatusLine, "\r\n")),
    row("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n", (client.BadStatusLine, "SSH-2.0-OpenSSH_9.6\r\n")),
    row("HTTP/0.9: the content alone", b"<html>hello</html>\r\n", (client.BadStatusLine, "<html>")),
    row("status with letters", b"HTTP/1.1 2OO OK\r\n\r\n", (client.BadStatusLine, "2OO")),
    row("status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", (client.BadStatusLine, "HTTP/1.1 20 OK")),
    row("status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", (client.BadStatusLine, "2000")),
    row("status with a sign", b"HTTP/1.1 +200 OK\r\n\r\n", (client.BadStatusLine, r"\+200")),
    row("status with an underscore", b"HTTP/1.1 2_0 OK\r\n\r\n", (client.BadStatusLine, "2_0")),
    row("status zero", b"HTTP/1.1 000 OK\r\n\r\n", (client.BadStatusLine, "000")),
    row("status in other digits", "HTTP/1.1 ²00 OK\r\n\r\n".encode("latin-1"), (client.BadStatusLine, "²00")),
    row("no status", b"HTTP/1.1\r\n\r\n", (client.BadStatusLine, "HTTP/1.1\r\n")),
    row("HTTP/2", b"HTTP/2 200 OK\r\n\r\n", (client.UnknownProtocol, "HTTP/2")),
    row("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n", (client.UnknownProtocol, "HTTP/2.0")),
    row("lower-case name", b"http/1.1 200 OK\r\n\r\n", (client.BadStatusLine, "http/1.1")),
    row("too long a status line", OK[:-2] + LONG + b"\r\n\r\n", (client.LineTooLong, "status line")),
    row("no reason", b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", content(b"a", reason="")),
    row("empty reason", b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na", content(b"a", reason="")),
    row("Latin-1 reason", b"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n", content(b"", reason="été")),
    row("a number as reason", b"HTTP/1.1 404 404\r\nContent-Length: 0\r\n\r\n", content(b"", reason="404")),
    row("several spaces", b"HTTP/1.1  200  OK\r\nContent-Length: 0\r\n\r\n", content(b"", reason="OK")),
    row("status above 599", b"HTTP/1.1 999 No\r\nContent-Length: 1\r\n\r\na", content(b"a", status=999)),
    row("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nabc", content(b"abc", version=10, will_close=True)),
    row("HTTP/1.9", b"HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n", content(b"", version=11)),
    row("LF alone everywhere", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", content(b"ok")),
    row("LF ends the head, CRLF CRLF in content", OK + b"Content-Length: 4\n\n\r\n\r\n", content(b"\r\n\r\n")),
    row("end within the status line", b"HTTP/1.1 200 O", content(b"", reason="O")),
    # --- fields
    row("end within the fields", OK + b"A: b\r\nContent-Le", content(b"", fields=[("A", "b")])),
    row("line without colon", OK + b"nonsense\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row("empty name", OK + b": x\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row("space before the colon", OK + b"A : x\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row("space within a name", OK + b"A B: x\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row("name beyond ASCII", OK + b"\xc3\xa4: x\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row(
        "bare CR does not make a field",
        OK + b"A: x\rSet-Cookie: y\r\nContent-Length: 1\r\n\r\na",
        content(b"a", fields=[("A", "x Set-Cookie: y"), ("Content-Length", "1")]),
    ),
    row(
        "NUL in a value",
        OK + b"A: x\0y\r\nContent-Length: 1\r\n\r\na",
        content(b"a", fields=[("A", "x y"), ("Content-Length", "1")]),
    ),
    row(
        "other line separators are no line ends",
        OK + b"A: x\x0b\x0c\x1c\x85y\r\nContent-Length: 0\r\n\r\n",
        content(b"", fields=[("A", "x\x0b\x0c\x1c\x85y"), ("Content-Length", "0")]),
    ),
    row(
        "folded value",
        OK + b"A: x\r\n  y\r\n\tz\r\nContent-Length: 0\r\n\r\n",
        content(b"", fields=[("A", "x y z"), ("Content-Length", "0")]),
    ),
    row("fold before the first field", OK + b" A: x\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row(
        "folded Content-Length",
        OK + b"Content-Length:\r\n 1\r\n\r\nabc",
        content(b"a", fields=[("Content-Length", "1")]),
    ),
    row(
        "order, case and duplicates are kept",
        OK + b"b: 1\r\nA: 2\r\nB: 3\r\nContent-Length: 0\r\n\r\n",
        content(b"", fields=[("b", "1"), ("A", "2"), ("B", "3"), ("Content-Length", "0")]),
    ),
    row("too long a field", OK + b"A: " + LONG + b"\r\n\r\n", (client.LineTooLong, "header line")),
    row("a hundred fields", OK + b"A: b\r\n" * 99 + b"Content-Length: 0\r\n\r\n", content(b"")),
    row(
        "more than a hundred fields",
        OK + b"A: b\r\n" * 101 + b"\r\n",
        (client.HTTPException, "got more than 100 headers"),
    ),
    row("fields without end", OK + b"A: b\r\n" * 9999, (client.HTTPException, "got more than 100 headers")),
    # --- lengths
    row("negative length", OK + b"Content-Length: -1\r\n\r\nabc", content(b"abc", will_close=True)),
    row("signed length", OK + b"Content-Length: +1\r\n\r\nabc", content(b"abc", will_close=True)),
    row("length with an underscore", OK + b"Content-Length: 1_0\r\n\r\nabc", content(b"abc", will_close=True)),
    row("hexadecimal length", OK + b"Content-Length: 0x1\r\n\r\nabc", content(b"abc", will_close=True)),
    row("length with a fraction", OK + b"Content-Length: 1.0\r\n\r\nabc", content(b"abc", will_close=True)),
    row("empty length", OK + b"Content-Length: \r\n\r\nabc", content(b"abc", will_close=True)),
    row("length of 5,000 digits", OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc", content(b"abc")),
    row("length twice the same", OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nabc", content(b"a")),
    row("list of equal lengths", OK + b"Content-Length: 1, 1\r\n\r\nabc", content(b"a")),
    row(
        "lengths that differ",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        (client.HTTPException, "Content-Length values that differ"),
    ),
    row("list of other lengths", OK + b"Content-Length: 1, 2\r\n\r\nabc", (client.HTTPException, "differ")),
    row(
        "less than the length",
        OK + b"Content-Length: 10\r\n\r\nabc",
        (client.IncompleteRead, r"IncompleteRead\(3 bytes read, 7 more expected\)"),
    ),
    row(
        "a length that no memory holds",
        OK + b"Content-Length: 1000000000000000000\r\n\r\nabc",
        (client.IncompleteRead, r"IncompleteRead\(3 bytes read, 999999999999999997 more expected\)"),
    ),
    row("no length", OK + b"\r\nabc", content(b"abc", will_close=True, length=None)),
    # --- statuses without content
    row("204 with content", b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", content(b"")),
    row("304 with content", b"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\nabc", content(b"")),
    row("204 in chunks", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", content(b"")),
    # --- transfer codings
    row("chunks", CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", content(b"abc", chunked=True)),
    row("upper-case coding", OK + b"Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", content(b"a")),
    row("gzip, chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", content(b"a")),
    row("chunked, gzip", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\nabc", content(b"abc", will_close=True)),
    row("unknown coding", OK + b"Transfer-Encoding: xchunked\r\n\r\nabc", content(b"abc", will_close=True)),
    row(
        "coding and length: the coding wins, the connection ends",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        content(b"ab", will_close=True),
    ),
    row(
        "hexadecimal sizes",
        CHUNKED + b"A\r\n0123456789\r\n00b\r\n0123456789a\r\n0\r\n\r\n",
        content(b"01234567890123456789a"),
    ),
    row("extensions", CHUNKED + b'1;a=b;c="d"\r\na\r\n0;e\r\n\r\n', content(b"a")),
    row("padded size", CHUNKED + b"1   \r\na\r\n0\r\n\r\n", content(b"a")),
    row("LF after the size", CHUNKED + b"1\na\r\n0\r\n\r\n", content(b"a")),
    row("no end after the last chunk", CHUNKED + b"1\r\na\r\n0\r\n", content(b"a")),
    row("size with a sign", CHUNKED + b"+1\r\na\r\n0\r\n\r\n", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("negative size", CHUNKED + b"-1\r\na\r\n0\r\n\r\n", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("size with 0x", CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("size with an underscore", CHUNKED + b"1_0\r\na\r\n0\r\n\r\n", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("empty size line", CHUNKED + b"\r\na\r\n0\r\n\r\n", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("size of 17 digits", CHUNKED + b"1" * 17 + b"\r\na", (client.IncompleteRead, r"\(0 bytes read\)")),
    row("data longer than its size", CHUNKED + b"1\r\nabc\r\n0\r\n\r\n", (client.IncompleteRead, r"\(1 bytes read\)")),
    row("data without line end", CHUNKED + b"1\r\na0\r\n\r\n", (client.IncompleteRead, r"\(1 bytes read\)")),
    row("end within a chunk", CHUNKED + b"2\r\nab\r\n5\r\nabc", (client.IncompleteRead, r"\(5 bytes read\)")),
    row("end after a chunk", CHUNKED + b"2\r\nab\r\n", (client.IncompleteRead, r"\(2 bytes read\)")),
    row("end within a size", CHUNKED + b"2\r\nab\r\n1", (client.IncompleteRead, r"\(2 bytes read\)")),
    row("no chunk at all", CHUNKED, (client.IncompleteRead, r"\(0 bytes read\)")),
    row("too long a size line", CHUNKED + b"1;" + LONG, (client.LineTooLong, "chunk size")),
    row(
        "extensions without end",
        CHUNKED + (b"1;" + b"x" * 60000 + b"\r\na\r\n") * 3,
        (client.HTTPException, "got more than 65536 bytes of chunk extensions"),
    ),
    row("too long a trailer", CHUNKED + b"0\r\nA: " + LONG, (client.LineTooLong, "trailer line")),
    row(
        "too many trailers",
        CHUNKED + b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        (client.HTTPException, "got more than 100 trailers"),
    ),
    # --- interim responses
    row("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", content(b"a", status=200)),
    row(
        "103 first",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        content(b"a", status=200),
    ),
    row("199 first", b"HTTP/1.1 199 What\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", content(b"a", status=200)),
    row("99 of them", b"HTTP/1.1 102 P\r\n\r\n" * 99 + OK + b"Content-Length: 0\r\n\r\n", content(b"", status=200)),
    row("interim responses without end", b"HTTP/1.1 102 P\r\n\r\n" * 9999, (client.HTTPException, "interim responses")),
    row(
        "nothing after 103", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", content(b"", status=103, fields=[("Link", "x")])
    ),
    row("nothing after 100", b"HTTP/1.1 100 Continue\r\n\r\n", (client.RemoteDisconnected, "without response")),
    row(
        "interim with a length",
        b"HTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        content(b"a"),
    ),
]


def read_whole(response: client.HTTPResponse) -> bytes:
    return response.read()


def read_into(response: client.HTTPResponse) -> bytes:
    buffer = bytearray(100)
    data = b""
    while count := response.readinto(buffer):
        data += buffer[:count]
    return data


def read_one_by_one(response: client.HTTPResponse) -> bytes:
    return b"".join(iter(lambda: response.read(1), b""))


def read_what_is_there(response: client.HTTPResponse) -> bytes:
    return b"".join(iter(response.read1, b""))


def read_lines(response: client.HTTPResponse) -> bytes:
    return b"".join(response)


WAYS = [read_whole, read_into, read_one_by_one, read_what_is_there, read_lines]


def check(get: Callable[[], client.HTTPResponse], way: Callable[[client.HTTPResponse], bytes], expected: Any) -> None:
    if isinstance(expected[0], bytes):
        data, facts = expected
        facts = dict(facts)
        response = get()
        fields = facts.pop("fields", None)
        assert {name: getattr(response, name) for name in facts} == facts
        assert fields is None or response.getheaders() == fields
        assert way(response) == data
        assert response.isclosed()
        return
    kind, text = expected
    if kind is client.IncompleteRead and way is not read_whole:
        if "more expected" in text:
            # As in http.client, only read() notices that content of a known length is missing.
            assert way(get()) == b"abc"
            return
        text = None  # what earlier reads returned is not part of the exception
    with pytest.raises(kind, match=text) as caught:
        way(get())
    assert type(caught.value) is kind


@pytest.mark.parametrize("way", [read_whole, read_one_by_one], ids=lambda way: way.__name__)
@pytest.mark.parametrize(("octets", "expected"), ROWS)
def test_over_a_socket(connect: Any, octets: bytes, expected: Any, way: Any) -> None:
    connection = connect(answering(octets))
    connection.request("GET", "/")
    check(connection.getresponse, way, expected)


class File:
    """A socket that plays octets through `makefile` alone, as programs use to parse responses from memory."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.octets))  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("octets", "expected"), ROWS)
def test_from_a_file(octets: bytes, expected: Any, way: Any) -> None:
    response = client.HTTPResponse(File(octets), method="GET")

    def begin() -> client.HTTPResponse:
        response.begin()
        return response

    try:
        check(begin, way, expected)
    finally:
        response.close()


def test_broken_chunks_raise_at_each_read(connect: Any) -> None:
    connection = connect(answering(CHUNKED + b"1\r\na\r\nzz\r\n"))
    connection.request("GET", "/")
    response = connection.getresponse()
    for partial in (b"a", b"", b""):
        with pytest.raises(client.IncompleteRead) as caught:
            response.read()
        assert caught.value.partial == partial
    response.close()
    assert response.read() == b""


def test_a_huge_claim_costs_no_memory(connect: Any) -> None:
    connection = connect(answering(OK + b"Content-Length: 99999999999\r\n\r\nabc"))
    connection.request("GET", "/")
    response = connection.getresponse()
    tracemalloc.start()
    try:
        with pytest.raises(client.IncompleteRead):
            response.read()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
