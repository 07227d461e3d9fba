"""A program that uses the whole public API of the client. Never run: `mypy --strict` must be content with it."""

from __future__ import annotations

import io
import socket
import ssl
import sys
from array import array
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, assert_type

from cassette_http import client
from cassette_http.client import (
    BadStatusLine,
    CannotSendHeader,
    CannotSendRequest,
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    ImproperConnectionState,
    IncompleteRead,
    InterimResponse,
    InvalidURL,
    LineTooLong,
    NotConnected,
    RemoteDisconnected,
    ResponseNotReady,
    TunnelError,
    UnknownProtocol,
)


def connections() -> list[HTTPConnection]:
    return [
        HTTPConnection("www.python.org"),
        HTTPConnection("www.python.org:80"),
        HTTPConnection("www.python.org", 80, 10, ("", 0), 8192),
        HTTPConnection("www.python.org", 80, timeout=None, source_address=None, blocksize=1024),
        HTTPConnection("www.python.org", max_response_headers=1000),
        HTTPSConnection("www.python.org"),
        HTTPSConnection("www.python.org", 443, timeout=1.5, context=ssl.create_default_context(), blocksize=1),
    ]


def bodies() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def requests(connection: HTTPConnection) -> None:
    connection.set_debuglevel(0)
    connection.set_tunnel("a.example", 443, {"Proxy-Authorization": "Basic x"})
    connection.request("GET", "/")
    connection.request("POST", "/", "text", {"Content-Type": "text/plain"})
    for body in (
        b"a",
        bytearray(b"a"),
        memoryview(b"a"),
        array("B", b"a"),
        io.BytesIO(b"a"),
        io.StringIO("a"),
        bodies(),
    ):
        connection.request("PUT", "/", body, {"X": "y"}, encode_chunked=False)
    connection.request("GET", "/", headers=[("Accept", "text/plain"), ("Accept", "text/html")])
    connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
    connection.putheader("Content-Length", 6)
    connection.putheader(b"X", "a", b"b", 3)
    connection.endheaders()
    connection.endheaders(b"a", encode_chunked=True)
    connection.send(b"one")
    connection.send(io.BytesIO(b"two"))
    connection.connect()
    connection.close()
    assert_type(connection.host, str)
    assert_type(connection.port, int)
    assert_type(connection.max_response_headers, int | None)
    fields = connection.get_proxy_response_headers()
    if fields is not None:
        assert_type(fields.get("Via"), str | None)
    connection.response_class = HTTPResponse
    connection.auto_open = 0


def responses(connection: HTTPConnection) -> bytes:
    response = connection.getresponse()
    assert_type(response, HTTPResponse)
    assert_type(response.status, int)
    assert_type(response.reason, str)
    assert_type(response.version, int)
    assert_type(response.debuglevel, int)
    assert_type(response.closed, bool)
    assert_type(response.isclosed(), bool)
    assert_type(response.fileno(), int)
    assert_type(response.getcode(), int)
    assert_type(response.url, str | None)
    assert_type(response.geturl(), str | None)
    assert_type(response.length, int | None)
    assert_type(response.will_close, bool)
    assert_type(response.getheaders(), list[tuple[str, str]])
    text: str | None = response.getheader("Content-Type")
    default: str = response.getheader("Content-Type", "text/plain")
    cookies = response.headers.get_all("Set-Cookie")
    assert_type(response.headers, client.HTTPMessage)
    assert_type(response.info(), client.HTTPMessage)
    assert_type(response.trailers, client.HTTPMessage)
    assert_type(response.interim_responses, list[InterimResponse])
    for interim in response.interim_responses:
        print(interim.status, interim.reason, interim.headers["Link"])
    while chunk := response.read(200):
        assert_type(chunk, bytes)
    assert_type(response.readinto(bytearray(10)), int)
    assert_type(response.read1(), bytes)
    assert_type(response.peek(1), bytes)
    assert_type(response.readline(), bytes)
    assert_type(response.readlines(), list[bytes])
    lines = io.TextIOWrapper(response, "utf-8").readlines()
    for line in response:
        assert_type(line, bytes)
    with response as entered:
        assert_type(entered, HTTPResponse)
    print(text, default, cookies, lines)
    return response.read()


def errors(connection: HTTPConnection) -> str:
    try:
        responses(connection)
    except RemoteDisconnected as error:
        return str(error)
    except IncompleteRead as error:
        assert_type(error.partial, bytes)
        assert_type(error.expected, int | None)
    except (BadStatusLine, UnknownProtocol) as error:
        return str(error.args)
    except (CannotSendHeader, CannotSendRequest, ResponseNotReady, ImproperConnectionState):
        return "state"
    except (InvalidURL, LineTooLong, NotConnected):
        return "request"
    except (HTTPException, client.error):
        return "other"
    except TunnelError as error:
        assert_type(error.status, int)
        assert_type(error.content, bytes)
        return error.headers["Proxy-Authenticate"]
    return ""


class Subclass(HTTPConnection):
    """What other libraries do."""

    debuglevel = 1

    def connect(self) -> None:
        self.sock = socket.create_connection((self.host, self.port))

    def request(self, method: str, url: str, body: Any = None, headers: Any = {}, **options: Any) -> None:  # noqa: B006
        super().request(method, url, body, headers, **options)


class Response(HTTPResponse):
    def begin(self) -> None:
        super().begin()
        self.reason = self.reason.upper()


def names() -> None:
    phrase: str = client.responses[HTTPStatus.NOT_FOUND]
    print(phrase, client.HTTP_PORT, client.HTTPS_PORT)
    status: HTTPStatus = client.NOT_FOUND
    print(status.phrase, client.OK == 200, client.IM_A_TEAPOT, client.EARLY_HINTS.value)
    if sys.version_info >= (3, 13):
        print(client.CONTENT_TOO_LARGE.description)
    message = client.parse_headers(io.BytesIO(b"A: b\r\n\r\n"))
    assert_type(message, client.HTTPMessage)
    assert_type(client.parse_headers(io.BytesIO(b""), _class=Message), Message)


class Message(client.HTTPMessage):
    pass


def from_a_socket(sock: socket.socket) -> int:
    response = HTTPResponse(sock, debuglevel=0, method="GET", url="http://a.example/")
    response.begin()
    return response.status
