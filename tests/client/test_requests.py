"""What the client puts on the wire, octet by octet, over real sockets."""

from __future__ import annotations

import array
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cassette_http import client
from tests.client.nowhere import Nowhere
from tests.peer import Connection, response

EMPTY = response()


class Recorder:
    """A script that keeps each request and answers it with an empty response."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, connection: Connection) -> None:
        while True:
            self.requests.append(connection.read_request())
            connection.send(EMPTY)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def generate() -> Iterator[bytes]:
    yield b"one"
    yield b""
    yield b"two"


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
ONE_CHUNK = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"

BODIES = [
    pytest.param("GET", None, {}, b"\r\n", id="no body, none expected"),
    pytest.param("POST", None, {}, b"Content-Length: 0\r\n\r\n", id="no body, but one expected"),
    pytest.param("patch", None, {}, b"Content-Length: 0\r\n\r\n", id="the same in lower case"),
    pytest.param("GET", b"", {}, b"Content-Length: 0\r\n\r\n", id="empty body"),
    pytest.param("POST", b"abc", {}, b"Content-Length: 3\r\n\r\nabc", id="bytes"),
    pytest.param("POST", "gr\xfcn", {}, b"Content-Length: 4\r\n\r\ngr\xfcn", id="text, as Latin-1"),
    pytest.param("POST", bytearray(b"abc"), {}, b"Content-Length: 3\r\n\r\nabc", id="bytearray"),
    pytest.param("POST", memoryview(b"abc"), {}, b"Content-Length: 3\r\n\r\nabc", id="memoryview"),
    pytest.param("POST", array.array("H", [0x6161]), {}, b"Content-Length: 2\r\n\r\naa", id="array"),
    pytest.param("POST", io.BytesIO(b"onetwo"), {}, ONE_CHUNK % (6, b"onetwo"), id="file"),
    pytest.param("POST", io.StringIO("gr\xfcn"), {}, ONE_CHUNK % (4, b"gr\xfcn"), id="text file"),
    pytest.param("POST", generate(), {}, CHUNKED, id="generator"),
    pytest.param("POST", [b"one", b"two"], {}, CHUNKED, id="list"),
    pytest.param("POST", generate(), {"Content-Length": "6"}, b"Content-Length: 6\r\n\r\nonetwo", id="known length"),
    pytest.param(
        "POST", ONE_CHUNK[30:] % (1, b"a"), {"Transfer-Encoding": "chunked"}, ONE_CHUNK % (1, b"a"), id="own chunks"
    ),
]


@pytest.mark.parametrize(("method", "body", "headers", "end"), BODIES)
def test_each_kind_of_body_is_framed(
    connect: Any, recorder: Recorder, method: str, body: Any, headers: dict[str, str], end: bytes
) -> None:
    connection = connect(recorder)
    connection.request("HEAD", "/warm-up")
    connection.getresponse().read()
    connection.request(method, "/", body, headers)
    connection.getresponse().read()
    host = f"{connection.host}:{connection.port}".encode()
    start = method.encode() + b" / HTTP/1.1\r\nHost: " + host + b"\r\nAccept-Encoding: identity\r\n"
    assert recorder.requests[1] == start + end


def test_encode_chunked_makes_chunks_of_a_body_whose_coding_the_caller_announced(
    connect: Any, recorder: Recorder
) -> None:
    connection = connect(recorder)
    connection.request("POST", "/", [b"one", b"two"], {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    connection.getresponse().read()
    assert recorder.requests[0].endswith(CHUNKED)


def test_fields_keep_their_order_case_and_number(connect: Any, recorder: Recorder) -> None:
    connection = connect(recorder)
    for headers in ({"b": "1", "A": "2", "host": "h", "ACCEPT-encoding": "gzip"}, [("b", "1"), ("A", "2"), ("b", 3)]):
        connection.request("GET", "/", headers=headers)
        connection.getresponse().read()
    assert recorder.requests[0] == b"GET / HTTP/1.1\r\nb: 1\r\nA: 2\r\nhost: h\r\nACCEPT-encoding: gzip\r\n\r\n"
    assert recorder.requests[1].endswith(b"\r\nb: 1\r\nA: 2\r\nb: 3\r\n\r\n")


def test_low_level_calls_make_the_same_request(connect: Any, recorder: Recorder) -> None:
    connection = connect(recorder)
    connection.putrequest("POST", "/x", skip_host=True, skip_accept_encoding=True)
    connection.putheader("A", "1", b"2", 3)
    connection.putheader("Content-Length", 6)
    connection.endheaders()
    connection.send(b"one")
    connection.send(io.BytesIO(b"two"))
    assert connection.getresponse().read() == b""
    assert recorder.requests == [b"POST /x HTTP/1.1\r\nA: 1\r\n\t2\r\n\t3\r\nContent-Length: 6\r\n\r\nonetwo"]


HOSTS = [
    ("example.com", None, b"example.com"),
    ("example.com:80", None, b"example.com"),
    ("example.com", 8080, b"example.com:8080"),
    ("example.com", "8080", b"example.com:8080"),
    ("[::1]:8080", None, b"[::1]:8080"),
    ("::1", 80, b"[::1]"),
    ("fe80::1%eth0", 80, b"[fe80::1]"),
    ("bücher.example", None, b"xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("host", "port", "expected"), HOSTS)
def test_host_field_names_the_server(host: str, port: Any, expected: bytes) -> None:
    transport = Nowhere()
    connection = client.HTTPConnection(host, port, transport=transport)
    connection.request("GET", "/")
    assert b"\r\nHost: " + expected + b"\r\n" in transport.sent[0]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://other.example/x", b"other.example"),
        ("http://user:secret@other.example:81/", b"other.example:81"),
        ("http://[::1]/", b"[::1]"),
    ],
)
def test_host_field_comes_from_an_absolute_target(target: str, expected: bytes) -> None:
    transport = Nowhere()
    connection = client.HTTPConnection("proxy.example", transport=transport)
    connection.request("GET", target)
    assert b"\r\nHost: " + expected + b"\r\n" in transport.sent[0]


CONTROLS = ["\r", "\n", "\r\n", "\0", "\x7f", "\x1f"]


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("is_warm", [False, True], ids=["first request", "second request"])
def test_control_characters_raise_before_anything_is_sent(
    connect: Any, recorder: Recorder, control: str, is_warm: bool
) -> None:
    bad = f"a{control}b"
    attempts: list[tuple[type[Exception], tuple[str, str], dict[str, Any]]] = [
        (ValueError, (f"GET{control}", "/"), {}),
        (client.InvalidURL, ("GET", f"/{bad}"), {}),
        (client.InvalidURL, ("GET", "/a b"), {}),
        (ValueError, ("GET", "/"), {"headers": {bad: "x"}}),
        (ValueError, ("GET", "/"), {"headers": {"X": bad}}),
        (ValueError, ("GET", "/"), {"headers": {"X": bad.encode()}}),
        (ValueError, ("GET", "/"), {"headers": {"X:": "x"}}),
        (UnicodeEncodeError, ("GET", "/ä"), {}),
        (UnicodeEncodeError, ("GET", "/"), {"headers": {"X": "€"}}),
        (UnicodeEncodeError, ("POST", "/"), {"body": "€"}),
    ]
    connection = connect(recorder)
    for kind, arguments, options in attempts:
        if is_warm:
            connection.request("GET", "/")
            connection.getresponse().read()
        before = len(recorder.requests)
        with pytest.raises(kind):
            connection.request(*arguments, **options)
        connection.close()
        assert len(recorder.requests) == before


@pytest.mark.parametrize("control", [*CONTROLS, " "], ids=ascii)
def test_control_characters_in_a_host_raise(control: str) -> None:
    with pytest.raises(client.InvalidURL, match="control characters"):
        client.HTTPConnection(f"a{control}b")


@pytest.mark.parametrize("port", ["abc", "+80", " 80", "8_0", "\uff18\uff10", "80 "])
def test_ports_are_digits(port: str) -> None:
    with pytest.raises(client.InvalidURL, match="nonnumeric port"):
        client.HTTPConnection(f"example.com:{port}")


def test_small_requests_are_one_segment_and_one_event_per_part(connect: Any, recorder: Recorder) -> None:
    connection = connect(recorder)
    connection.request("GET", "/")
    connection.getresponse().read()
    events = []
    hook_is_on = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if hook_is_on and event == "http.client.send" and arguments[0] is connection:
            events.append(arguments[1])

    sys.addaudithook(hook)
    connection.request("POST", "/", b"abc")
    hook_is_on = False
    connection.getresponse().read()
    assert [event[:4] for event in events] == [b"POST", b"abc"]


def test_debugging_output_shows_both_directions(
    connect: Any, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = connect(recorder)
    connection.set_debuglevel(1)
    connection.request("GET", "/x")
    connection.getresponse().read()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("send: b'GET /x HTTP/1.1")
    assert lines[1:] == ["reply: 'HTTP/1.1 200 OK\\r\\n'", "header: Content-Length: 0"]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        pytest.param(io.BytesIO(b"x"), [" a readable"], id="octets"),
        pytest.param(io.StringIO("x"), [" a readable", "encoding file using iso-8859-1"], id="text"),
    ],
)
def test_debugging_output_tells_how_a_file_is_sent(
    body: Any, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    transport = Nowhere()
    connection = client.HTTPConnection("peer.example", transport=transport)
    connection.set_debuglevel(1)
    connection.send(body)
    connection.putrequest("POST", "/")
    body.seek(0)
    connection.endheaders(body)
    printed = [line for line in capsys.readouterr().out.splitlines() if "send:" not in line]
    assert printed == ["sending" + lines[0], *lines[1:], "reading" + lines[0], *lines[1:]]


def test_states_follow_one_another(connect: Any, recorder: Recorder) -> None:
    connection = connect(recorder)
    with pytest.raises(client.ResponseNotReady, match="Idle"):
        connection.getresponse()
    with pytest.raises(client.CannotSendHeader):
        connection.putheader("A", "b")
    with pytest.raises(client.CannotSendHeader):
        connection.endheaders()
    connection.putrequest("GET", "/")
    with pytest.raises(client.CannotSendRequest, match="Request-started"):
        connection.request("GET", "/")
    connection.endheaders()
    with pytest.raises(client.CannotSendRequest, match="Request-sent"):
        connection.request("GET", "/")
    assert connection.getresponse().read() == b""
    connection.close()
    connection.auto_open = 0
    with pytest.raises(client.NotConnected):
        connection.request("GET", "/")


def test_text_that_is_not_latin1_is_explained() -> None:
    with pytest.raises(UnicodeEncodeError, match=r"Body \('€'\) is not valid Latin-1. Use body.encode\('utf-8'\)"):
        client.HTTPConnection("a", transport=Nowhere()).request("POST", "/", "a€")


@pytest.mark.parametrize("body", [42, object()], ids=["number", "object"])
def test_a_body_of_another_type_is_refused(body: Any) -> None:
    with pytest.raises(TypeError, match="should be a bytes-like object or an iterable"):
        client.HTTPConnection("a", transport=Nowhere()).request("POST", "/", body)
