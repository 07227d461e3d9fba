"""The response as a file: each way to read, at each border, and what the documentation shows."""

from __future__ import annotations

import gc
import http.client
import io
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from cassette_http import client
from tests.client.conftest import answering
from tests.peer import Connection, response

OK = b"HTTP/1.1 200 OK\r\n"
LINES = b"one\ntwo\r\nthree"
FRAMED = [
    pytest.param(response(LINES), id="length"),
    pytest.param(
        OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\none\ntw\r\n1\r\no\r\n7\r\n\r\nthree\r\n0\r\n\r\n", id="chunked"
    ),
    pytest.param(OK + b"Connection: close\r\n\r\n" + LINES, id="until close"),
]


@pytest.fixture(params=FRAMED)
def answered(request: pytest.FixtureRequest, connect: Any) -> client.HTTPResponse:
    connection = connect(answering(request.param))
    connection.request("GET", "/")
    whole: client.HTTPResponse = connection.getresponse()
    return whole


@pytest.fixture(params=["own buffer", "file"])
def either(request: pytest.FixtureRequest, answered: client.HTTPResponse) -> client.HTTPResponse:
    """The response as it is, and after somebody asked for its file."""
    if request.param == "file":
        assert isinstance(answered.fp, io.BufferedReader)
    return answered


def test_read_all(either: client.HTTPResponse) -> None:
    assert not either.isclosed()
    assert either.read() == LINES
    assert either.isclosed()
    assert not either.closed
    assert either.read() == either.read(5) == either.read1() == either.peek() == either.readline() == b""
    assert either.readinto(bytearray(3)) == 0
    either.close()
    assert either.closed


@pytest.mark.parametrize("amount", [-1, -5, None])
def test_a_negative_amount_is_all(either: client.HTTPResponse, amount: int | None) -> None:
    assert either.read(amount) == LINES


def test_read_nothing(either: client.HTTPResponse) -> None:
    assert either.read(0) == b""
    assert not either.isclosed()
    assert either.read() == LINES


@pytest.mark.parametrize("amount", range(1, 16))
def test_read_by_amount_comes_back_full_until_the_end(either: client.HTTPResponse, amount: int) -> None:
    pieces = list(iter(lambda: either.read(amount), b""))
    assert b"".join(pieces) == LINES
    assert {len(piece) for piece in pieces[:-1]} <= {amount}


def test_readinto_fills_across_chunks(either: client.HTTPResponse) -> None:
    buffer = bytearray(10)
    assert either.readinto(buffer) == 10
    assert bytes(buffer) == LINES[:10]
    assert either.readinto(buffer) == 4
    assert bytes(buffer[:4]) == LINES[10:]
    assert either.readinto(buffer) == 0


def test_peek_shows_content_only_and_takes_nothing(either: client.HTTPResponse) -> None:
    shown = either.peek()
    assert shown
    assert LINES.startswith(shown)
    assert LINES.startswith(either.peek(2))
    assert either.read() == LINES


def test_read1_gives_what_is_there(either: client.HTTPResponse) -> None:
    assert either.read1(0) == b""
    assert either.read1(2) == b"on"
    assert b"".join(iter(either.read1, b"")) == LINES[2:]


def test_lines(either: client.HTTPResponse) -> None:
    assert either.readline(2) == b"on"
    assert either.readline() == b"e\n"
    assert either.readline(None) == b"two\r\n"
    assert either.readlines() == [b"three"]


def test_iteration_and_text(either: client.HTTPResponse) -> None:
    assert either.readable()
    assert not either.writable()
    assert not either.seekable()
    assert list(io.TextIOWrapper(either, "ascii")) == ["one\n", "two\n", "three"]


def test_the_context_manager_closes(answered: client.HTTPResponse) -> None:
    with answered as entered:
        assert entered is answered
        assert next(iter(entered)) == b"one\n"
    assert answered.closed
    assert answered.isclosed()


@pytest.mark.parametrize("lines", [list, client.HTTPResponse.readlines], ids=["iteration", "readlines"])
def test_a_closed_response_has_no_lines(
    answered: client.HTTPResponse, lines: Callable[[client.HTTPResponse], list[bytes]]
) -> None:
    answered.close()
    assert lines(answered) == []


def test_a_program_may_put_another_file_in_place(answered: client.HTTPResponse) -> None:
    file: Any = answered.fp
    answered.fp = io.BufferedReader(file)
    assert answered.read() == LINES


@pytest.mark.parametrize(
    ("taken", "left", "rest"),
    [
        pytest.param(b"", None, b"onetwo", id="before the first chunk"),
        pytest.param(b"4\r\no", 3, b"netwo", id="in a chunk"),
        pytest.param(b"4\r\nonet", 0, b"wo", id="behind its data"),
        pytest.param(b"4\r\nonet\r\n", None, b"wo", id="between chunks"),
    ],
)
@pytest.mark.parametrize("module", [client, http.client], ids=["ours", "http.client"])
def test_a_program_may_read_chunks_and_say_how_far(module: Any, taken: bytes, left: int | None, rest: bytes) -> None:
    class Socket:
        def makefile(self, mode: str) -> Any:
            return io.BytesIO(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nonet\r\n2\r\nwo\r\n0\r\n\r\n")

    answered = module.HTTPResponse(Socket())
    answered.begin()
    assert answered.fp.read(len(taken)) == taken
    answered.chunk_left = left
    assert answered.read() == rest
    assert answered.isclosed()


def test_reads_never_go_beyond_the_response(connect: Any) -> None:
    connection = connect(answering(response(b"one\n") + response(b"two\n"), then_close=False))
    connection.request("GET", "/")
    first = connection.getresponse()
    connection.request("GET", "/")
    assert first.peek() == first.peek(100) == b"one\n"
    assert first.read1(100) == b"one\n"
    assert connection.getresponse().readline(100) == b"two\n"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1 << 20, 3 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_content_of_any_size_arrives_whole(connect: Any, size: int, framing: str) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]

    def script(server: Connection) -> None:
        server.read_request()
        if framing == "length":
            server.send(response(content))
        elif framing == "close":
            server.send(OK, b"\r\n", content)
        else:
            server.send(OK, b"Transfer-Encoding: chunked\r\n\r\n")
            for at in range(0, size, 8192):
                piece = content[at : at + 8192]
                server.send(b"%x\r\n" % len(piece), piece, b"\r\n")
            server.send(b"0\r\n\r\n")

    connection = connect(script)
    connection.request("GET", "/")
    assert connection.getresponse().read() == content


def test_fields_and_their_other_names(connect: Any) -> None:
    connection = connect(answering(response(b"", b"Set-Cookie: a=1", b"X: y", b"set-cookie: b=2")))
    connection.request("GET", "/")
    answered = connection.getresponse()
    assert answered.getheader("SET-COOKIE") == "a=1, b=2"
    assert answered.getheader("none") is None
    assert answered.getheader("none", "default") == "default"
    assert answered.getheader("none", ["a", "b"]) == "a, b"
    assert answered.getheader("none", 7) == 7
    assert answered.headers is answered.msg is answered.info()
    assert isinstance(answered.headers, client.HTTPMessage)
    assert answered.headers.get_payload() == ""
    assert answered.status == answered.code == answered.getcode() == answered.getstatus() == 200
    assert answered.url is answered.geturl() is None
    answered.msg = answered.reason
    assert (answered.msg, answered.headers["x"]) == ("OK", "y")
    answered.code = 404
    assert (answered.code, answered.status) == (404, 200)
    answered.headers = client.HTTPMessage()
    assert (answered.getheader("X"), answered.getheaders()) == (None, [])


def test_before_the_head_nothing_is_known() -> None:
    class Socket:
        def makefile(self, mode: str) -> Any:
            return io.BytesIO(response(b"a"))

    answered = client.HTTPResponse(Socket(), url="http://example.com/")
    assert answered.headers is None
    with pytest.raises(client.ResponseNotReady):
        answered.getheader("a")
    with pytest.raises(client.ResponseNotReady):
        answered.getheaders()
    answered.begin()
    answered.begin()
    assert (answered.read(), answered.geturl()) == (b"a", "http://example.com/")


def test_a_response_that_was_never_made_goes_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoStream:
        def makefile(self, mode: str) -> Any:
            raise OSError("no more descriptors")

    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with pytest.raises(OSError, match="no more descriptors") as caught:
        client.HTTPResponse(NoStream())
    caught.value.__traceback__ = None  # its frames hold the response
    gc.collect()
    assert unraisable == []


def test_parse_headers_leaves_the_file_at_the_content() -> None:
    file = io.BytesIO(b"A: b\r\nbroken\r\nC: d\r\n\r\ncontent")
    message = client.parse_headers(file)
    assert message.items() == [("A", "b"), ("C", "d")]
    assert [str(defect) for defect in message.defects] == ["line 2 left out, no colon: 'broken'"]
    assert file.read() == b"content"


def test_names_are_those_of_the_standard_library() -> None:
    from http import HTTPStatus
    from http import client as standard

    assert client.NOT_FOUND is HTTPStatus.NOT_FOUND
    assert client.responses[client.NOT_FOUND] == "Not Found"
    assert (client.HTTP_PORT, client.HTTPS_PORT) == (80, 443)
    assert set(standard.__all__) <= set(client.__all__)
    for name in standard.__all__:
        own, other = getattr(client, name), getattr(standard, name)
        assert not (isinstance(other, type) and issubclass(other, Exception)) or own is other


# --- the examples of the documentation ------------------------------------------------------------------------------


def documentation(server: Connection) -> None:
    """The server that the examples talk to."""
    while True:
        request = server.read_request()
        line, _, rest = request.partition(b"\r\n")
        content = b"<html>" + b"x" * 500
        if line.startswith(b"GET /parrot.spam"):
            server.send(response(b"no", status=b"404 Not Found"))
        elif line.startswith(b"HEAD"):
            server.send(response(content)[: -len(content)])
        elif line.startswith(b"POST"):
            assert rest.endswith(b"\r\n\r\n%40number=12524&%40type=issue&%40action=show")
            server.send(response(b"Redirecting", b"Location: /issue12524", status=b"302 Found"))
        elif line.startswith(b"PUT"):
            server.send(response(rest.partition(b"\r\n\r\n")[2]))
        else:
            server.send(response(content))


def test_four_ways_to_name_a_server() -> None:
    for connection in (
        client.HTTPConnection("www.python.org"),
        client.HTTPConnection("www.python.org:80"),
        client.HTTPConnection("www.python.org", 80),
        client.HTTPConnection("www.python.org", 80, timeout=10),
    ):
        assert (connection.host, connection.port) == ("www.python.org", 80)


def test_get_whole_in_pieces_and_not_found(connect: Any) -> None:
    connection = connect(documentation)
    connection.request("GET", "/")
    first = connection.getresponse()
    assert (first.status, first.reason, len(first.read())) == (200, "OK", 506)
    connection.request("GET", "/")
    second = connection.getresponse()
    pieces = []
    while chunk := second.read(200):
        pieces.append(chunk)
    assert [len(piece) for piece in pieces] == [200, 200, 106]
    connection.request("GET", "/parrot.spam")
    third = connection.getresponse()
    assert (third.status, third.reason, third.read()) == (404, "Not Found", b"no")


def test_head_has_no_content(connect: Any) -> None:
    connection = connect(documentation)
    connection.request("HEAD", "/")
    answered = connection.getresponse()
    assert (answered.status, answered.reason, answered.getheader("content-length")) == (200, "OK", "506")
    assert answered.read() == b""
    connection.request("GET", "/parrot.spam")
    assert connection.getresponse().status == 404


def test_post_of_a_form_that_is_redirected(connect: Any) -> None:
    connection = connect(documentation)
    parameters = urlencode({"@number": 12524, "@type": "issue", "@action": "show"})
    headers = {"Content-type": "application/x-www-form-urlencoded", "Accept": "text/plain"}
    connection.request("POST", "", parameters, headers)
    answered = connection.getresponse()
    assert (answered.status, answered.reason, answered.read()) == (302, "Found", b"Redirecting")
    assert answered.getheader("location") == "/issue12524"


def test_put_of_text(connect: Any) -> None:
    connection = connect(documentation)
    connection.request("PUT", "/file", "***filecontents***")
    answered = connection.getresponse()
    assert (answered.status, answered.read()) == (200, b"***filecontents***")


def test_a_line_is_no_longer_than_its_limit_wherever_chunks_end(connect: Any) -> None:
    """`io.IOBase.readline`, and with it `http.client`, goes beyond it."""
    connection = connect(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncd\ne\r\n0\r\n\r\n"))
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert [answer.readline(3), answer.readline(3), answer.readline(3), answer.readline(3)] == [
        b"abc",
        b"d\n",
        b"e",
        b"",
    ]
