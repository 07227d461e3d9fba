"""The examples in the documentation of http.client, against a server on loopback that answers as theirs did."""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Callable

import pytest

from cassette_http import client
from tests.client.conftest import LIMIT_S
from tests.peer import Connection, Peer, response

PAGE = b"<!doctype html>\n<html>" + b"x" * 500 + b"</html>\n"


class Site:
    """A script that serves a few resources, and keeps what was put."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.stored = b""

    def __call__(self, connection: Connection) -> None:
        while True:
            request = connection.read_request()
            self.requests.append(request)
            method, target, _ = request.split(b" ", 2)
            connection.send(self.answer(method, target, request.partition(b"\r\n\r\n")[2]))

    def answer(self, method: bytes, target: bytes, content: bytes) -> bytes:
        if method == b"HEAD":
            return response(PAGE).removesuffix(PAGE)
        if method == b"POST":
            link = b'Redirecting to <a href="https://bugs.python.org/issue12524">this</a>'
            return response(link, b"Location: https://bugs.python.org/issue12524", status=b"302 Found")
        if method == b"PUT":
            self.stored = content
            return response(status=b"201 Created")
        if target == b"/":
            return response(PAGE)
        return response(b"nothing here", status=b"404 Not Found")


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def server(peer: Callable[..., Peer], site: Site) -> Peer:
    return peer(site)


def test_equivalent_constructions() -> None:
    h1 = client.HTTPConnection("www.python.org")
    h2 = client.HTTPConnection("www.python.org:80")
    h3 = client.HTTPConnection("www.python.org", 80)
    h4 = client.HTTPConnection("www.python.org", 80, timeout=10)
    assert {(one.host, one.port) for one in (h1, h2, h3, h4)} == {("www.python.org", 80)}
    assert h4.timeout == 10


def test_get(server: Peer) -> None:
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.request("GET", "/")
    r1 = conn.getresponse()
    assert (r1.status, r1.reason) == (200, "OK")
    assert r1.read() == PAGE
    # The example goes on with the content in pieces, and then with an invalid request, on the same connection.
    conn.request("GET", "/")
    r1 = conn.getresponse()
    pieces = []
    while chunk := r1.read(200):
        pieces.append(chunk)
    assert [len(piece) for piece in pieces] == [200, 200, len(PAGE) - 400]
    assert b"".join(pieces) == PAGE
    conn.request("GET", "/parrot.spam")
    r2 = conn.getresponse()
    assert (r2.status, r2.reason) == (404, "Not Found")
    assert r2.read() == b"nothing here"
    conn.close()
    assert server.connections == 1


def test_get_with_a_field_and_over_tls(
    peer: Callable[..., Peer], site: Site, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    server = peer(site, tls=server_tls)
    host = "localhost"
    conn = client.HTTPSConnection(host, server.port, context=client_tls, timeout=LIMIT_S)
    conn.request("GET", "/", headers={"Host": host})
    r1 = conn.getresponse()
    assert (r1.status, r1.reason, r1.read()) == (200, "OK", PAGE)
    (sent,) = site.requests
    assert sent.count(b"Host: localhost\r\n") == sent.count(b"Host:") == 1
    conn.close()


def test_head(server: Peer) -> None:
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.request("HEAD", "/")
    res = conn.getresponse()
    assert (res.status, res.reason) == (200, "OK")
    data = res.read()
    assert len(data) == 0
    assert data == b""
    assert res.getheader("Content-Length") == str(len(PAGE))
    conn.close()


def test_post(server: Peer, site: Site) -> None:
    params = urllib.parse.urlencode({"@number": 12524, "@type": "issue", "@action": "show"})
    headers = {"Content-type": "application/x-www-form-urlencoded", "Accept": "text/plain"}
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.request("POST", "", params, headers)
    res = conn.getresponse()
    assert (res.status, res.reason) == (302, "Found")
    assert res.read() == b'Redirecting to <a href="https://bugs.python.org/issue12524">this</a>'
    conn.close()
    (sent,) = site.requests
    assert sent.startswith(b"POST / HTTP/1.1\r\n")
    assert b"\r\nContent-type: application/x-www-form-urlencoded\r\nAccept: text/plain\r\n\r\n" in sent
    assert sent.endswith(b"\r\n\r\n%40number=12524&%40type=issue&%40action=show")


def test_put(server: Peer, site: Site) -> None:
    body = "***filecontents***"
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.request("PUT", "/file", body)
    res = conn.getresponse()
    assert (res.status, res.reason) == (201, "Created")
    assert res.read() == b""
    assert site.stored == b"***filecontents***"
    conn.close()


def test_context_manager_and_lines(server: Peer) -> None:
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.request("GET", "/")
    with conn.getresponse() as res:
        assert list(res) == PAGE.splitlines(keepends=True)
    assert res.closed
    conn.close()


def test_request_step_by_step(server: Peer, site: Site) -> None:
    conn = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    conn.putrequest("PUT", "/file")
    conn.putheader("Content-Type", "text/plain")
    conn.putheader("Transfer-Encoding", "chunked")
    conn.endheaders([b"one", b"", b"two"], encode_chunked=True)
    assert conn.getresponse().status == 201
    assert site.stored == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    conn.close()
