"""The quick paths of request and response do what the general ones do, whatever is asked and answered."""

from __future__ import annotations

import io
from http import client as standard
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cassette_http import client


class Memory:
    """A stream that plays octets through `makefile`: no inbox, so everything takes the general path."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer, self.sent = answer, b""

    def connect(self, *address: Any) -> Memory:
        return self

    def sendall(self, data: Any) -> None:
        self.sent += bytes(data)

    def setsockopt(self, *option: int) -> None:
        pass

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.answer))

    def close(self) -> None:
        pass


class Pieces(Memory):
    """The same octets through `recv_into`, in pieces of a size."""

    def __init__(self, answer: bytes = b"", size: int = 1 << 20) -> None:
        super().__init__(answer)
        self.size, self.at = size, 0

    def recv_into(self, buffer: Any, count: int = 0) -> int:
        piece = self.answer[self.at : self.at + min(self.size, len(buffer))]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.answer[self.at :]))


class Turns(Pieces):
    """One answer after the other, each when it was asked for."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__()
        self.answers, self.has_ended = list(answers), False

    def connect(self, *address: Any) -> Turns:
        self.has_ended = False
        return self

    def recv_into(self, buffer: Any, count: int = 0) -> int:
        count = super().recv_into(buffer, count)
        self.has_ended = not count
        return count

    def sendall(self, data: Any) -> None:
        super().sendall(data)
        self.answer, self.at = self.answers.pop(0), 0


def outcome(module: Any, stream: Any, method: str) -> tuple[Any, ...]:
    """All that a program can tell about the response."""
    connection = module.HTTPConnection("example.com")
    connection._create_connection = stream.connect
    try:
        return exchange(connection, method)
    finally:
        connection.close()


def exchange(connection: Any, method: str) -> tuple[Any, ...]:
    try:
        connection.request(method, "/")
        response = connection.getresponse()
    except Exception as error:
        return type(error), error.args
    head = (response.status, response.reason, response.version, response.getheaders())
    facts = (response.chunked, response.length, response.will_close)
    try:
        content = response.read()
    except Exception as error:
        return *head, *facts, type(error), error.args, getattr(error, "partial", None)
    finally:
        response.close()
    return *head, *facts, content


STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 None", b"HTTP/1.1 304 Same", b"HTTP/1.1 404  Not  there "]
    + [b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switch", b"HTTP/1.1 200", b"HTTP/2 200 OK", b"nonsense", b""]
)
FIELD_LINES = st.sampled_from(
    [b"Content-Length: 3", b"content-length:5", b"Content-Length: 3, 3", b"Content-Length: 0x3", b"X-Content-Length: 1"]
    + [b"Content-Length-X: 1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Connection: close"]
    + [b"Connection: keep-alive", b"Keep-Alive: 5", b"Proxy-Connection: keep-alive", b"A: b", b"A:  b \t", b"A:"]
    + [b" folded: 1", b"\tfolded", b"no colon", b": nameless", b"A b: c", b"A: \x80\xff", b"A: x\0y", b"A: x\rB: y"]
    + [b"Content-Length:", b" 3", b"CONNECTION: x, CLOSE"]
)
LINE_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])
CONTENTS = st.sampled_from(
    [b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nT: u\r\n\r\n", b"3\r\nabcX", b"zz", b"\r\n\r\nabcdef"]
    + [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    lines = [draw(STATUS_LINES), *draw(st.lists(FIELD_LINES, max_size=5))]
    head = b"".join(line + draw(LINE_ENDS) for line in lines)
    return head + draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b""])) + draw(CONTENTS)


@given(answers(), st.sampled_from(["GET", "HEAD", "POST"]))
@example(b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\nabc", "GET")
@example(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n", "GET")
@example(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100 + b"\r\n", "GET")
@example(b"HTTP/1.1 200 OK\r\n\r\nabc", "GET")
@example(b"HTTP/1.1 200 " + b"O" * 70000 + b"\r\n\r\n", "GET")
@example(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 65530 + b"\r\nContent-Length: 1\r\n\r\na", "GET")
def test_responses_are_the_same_however_they_arrive(answer: bytes, method: str) -> None:
    expected = outcome(client, Memory(answer), method)
    for size in (1 << 20, 1, 7):
        assert outcome(client, Pieces(answer, size), method) == expected


@given(st.lists(answers(), min_size=2, max_size=4), st.data())
@example(
    [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"], None
)
@example(
    [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nabcde"], None
)
@example([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] * 3, None)
def test_what_was_answered_before_changes_nothing(several: list[bytes], data: Any) -> None:
    """A connection remembers heads; each response is the same as it would be without any before it."""
    if data is not None:
        # The same again, but for a line.
        lines = several[0].split(b"\n")
        lines[data.draw(st.integers(0, len(lines) - 1))] = data.draw(FIELD_LINES) + b"\r"
        several += [several[0], b"\n".join(lines)]
    methods = [data.draw(st.sampled_from(["GET", "GET", "HEAD"])) for _ in several] if data else ["GET"] * len(several)
    connection = client.HTTPConnection("example.com")
    stream = Turns(*several)
    connection._create_connection = stream.connect
    for answer, method in zip(several, methods, strict=True):
        seen = exchange(connection, method)
        assert seen == outcome(client, Memory(answer), method)
        if isinstance(seen[0], type) or stream.has_ended:
            connection.close()
    connection.close()


READS = st.one_of(
    st.tuples(st.sampled_from(["read", "readinto"]), st.integers(0, 12)),
    st.tuples(st.just("readline"), st.integers(-1, 6)),
    st.tuples(st.sampled_from(["chunk_left", "peek", "read1"]), st.just(0)),
)


def step(response: Any, way: str, count: int) -> Any:
    if way == "readinto":
        buffer = bytearray(count)
        return bytes(buffer[: response.readinto(buffer)])
    if way == "chunk_left":
        return response.chunk_left
    if way == "peek":
        return response.peek()[:1]
    if way == "read1":
        return response.read1(3)
    return getattr(response, way)(count)


def story(stream: Any, reads: list[tuple[str, int]], then: str) -> list[Any]:
    """What a program gets that reads content in pieces, and then the rest in one of some ways."""
    connection = client.HTTPConnection("example.com")
    connection._create_connection = stream.connect
    connection.request("GET", "/")
    response = connection.getresponse()
    found: list[Any] = []
    try:
        for way, count in reads:
            found += [step(response, way, count), response.length, response.isclosed()]
        if then == "fp":
            # The octets of the stream that come next, not those of the content.
            found.append(response.fp and response.fp.read())
        elif then == "close":
            response.close()
            found.append(response._is_drained)
        elif then == "lines":
            found += list(response)
        else:
            found += [response.read(), response.trailers.items()]
    except Exception as error:
        found += [type(error), error.args, getattr(error, "partial", None)]
    finally:
        response.close()
        connection.close()
    return found


LINES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"def\n", b"0\r\n"]), max_size=12).map(b"".join)


@given(
    st.lists(LINES.filter(bool), max_size=6),
    st.sampled_from([b"", b"0\r\n\r\n", b"0\r\nT: u\r\n\r\n", b"0\r\n", b"zz\r\n", b"5\r\nab", b"0\r\n\r\nsurplus\n"]),
    st.sampled_from(["chunked", "length", "close"]),
    st.lists(READS, max_size=8),
    st.sampled_from(["read", "lines", "fp", "close"]),
)
def test_content_read_ahead_is_content_read_piece_by_piece(
    chunks: list[bytes], end: bytes, framing: str, reads: list[tuple[str, int]], then: str
) -> None:
    if framing == "chunked":
        head, body = b"Transfer-Encoding: chunked", b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks) + end
    else:
        body = b"".join(chunks)
        head = b"Content-Length: %d" % len(body) if framing == "length" else b"A: b"
        body += end if framing == "length" else b""
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body
    expected = story(Memory(answer), reads, then)
    assert story(Pieces(answer), reads, then) == expected
    if not {way for way, _ in reads} & {"peek", "read1"}:
        for size in (1, 40):
            assert story(Pieces(answer, size), reads, then) == expected


ORDINARY_FIELDS = st.sampled_from([b"A: b", b"B:  c \t", b"X: \x80\xff", b"Date: Mon", b"Connection: keep-alive"])


@given(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 404 Not Found", b"HTTP/1.1 204 No Content", b"HTTP/1.1 500 "]),
    st.lists(ORDINARY_FIELDS, max_size=5),
    st.binary(max_size=50),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from(["GET", "HEAD"]),
)
def test_the_standard_library_sees_the_same_in_every_proper_response(
    status: bytes, fields: list[bytes], content: bytes, framing: str, method: str
) -> None:
    lines = [status, *fields]
    body = content
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(content))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
    if method == "HEAD" or b" 204 " in status:
        body = b""
    answer = b"\r\n".join([*lines, b"", body])

    expected = outcome(standard, Memory(answer), method)
    seen = outcome(client, Pieces(answer), method)
    # The standard library keeps trailing white space of values, and calls a response without content chunked.
    trimmed = [(name, value.strip(" \t")) for name, value in expected[3]]
    assert seen[:3] == expected[:3]
    assert seen[3] == trimmed
    assert seen[-1] == expected[-1]


def sent(stream: Memory, *request: Any) -> tuple[Any, ...]:
    """What two equal requests on one connection put on the wire; the second can be quick."""
    connection = client.HTTPConnection("example.com", 8080)
    connection._create_connection = stream.connect
    try:
        connection.connect()
        connection.request(*request)
    except Exception as error:
        return type(error), str(error), stream.sent
    finally:
        connection.close()
    return (stream.sent,)


TEXT = st.text(
    st.sampled_from("abcXYZ/:%?=&-_ \t\r\n\0\x7f\x80\xa0\xad\xff\u20ac") | st.characters(max_codepoint=300), max_size=8
)
NAMES = st.sampled_from(
    [
        "Host",
        "accept-encoding",
        "Content-Length",
        "Expect",
        "Transfer-Encoding",
        "X",
        "X-Y",
        "A B",
        "A:",
        "",
        "A\r",
        "Ä",
    ]
)
VALUES = st.one_of(TEXT, st.integers(0, 9), st.binary(max_size=3))


@given(
    st.sampled_from(["GET", "POST", "PUT", "get", "HEAD", "FOO", "", "A B", "A\n"]),
    TEXT | TEXT.map("/{}".format) | st.sampled_from(["*", "http://a.example/", ""]),
    st.one_of(st.none(), st.binary(max_size=5), st.text("ab\u20ac", max_size=3), st.just(b"x" * 20000)),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_requests_are_the_same_however_they_are_put_together(
    method: str, url: str, body: Any, headers: dict[str, Any]
) -> None:
    request = (method, url, body, headers)
    assert sent(Pieces(), *request) == sent(Memory(), *request)
