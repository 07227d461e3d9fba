"""Requests through HTTP proxies: plain ones, tunnels, passwords."""

from __future__ import annotations

import asyncio
import base64
import functools
import gc
import http.client
import http.cookiejar
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import three_times
from tests.peer import Connection, Peer, Script, response
from tests.trusting import Trusting

Seen = Any

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # aiohttp does not wait for its connections to close
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


CREDENTIALS = b"Basic " + base64.b64encode(b"user:secret")


def proxy(server_tls: ssl.SSLContext) -> Script:
    """A proxy that wants a password, and is itself what is behind its tunnels."""

    def script(connection: Connection) -> None:
        while True:
            request = connection.read_request()
            if CREDENTIALS not in request:
                connection.send(response(b"", b'Proxy-Authenticate: Basic realm="p"', status=b"407 Who Are You"))
            elif request.startswith(b"CONNECT"):
                connection.send(b"HTTP/1.1 200 Established\r\n\r\n")
                connection.sock = server_tls.wrap_socket(connection.sock, server_side=True)
                while True:
                    connection.send(response(b"through the tunnel: " + connection.read_request().split(b" ")[1]))
            else:
                connection.send(response(b"by the proxy: " + request.split(b" ")[1]))

    return script


def proxied_with_http_client(module: Any) -> Callable[[Peer, ssl.SSLContext], Seen]:
    def ask(server: Peer, trust: ssl.SSLContext) -> Seen:
        seen: list[Seen] = []
        for fields in ({}, {"Proxy-Authorization": CREDENTIALS.decode()}):
            connection = module.HTTPSConnection(server.host, server.port, context=trust, timeout=5)
            connection.set_tunnel("localhost", 443, fields)
            try:
                connection.request("GET", "/a")
                seen.append(connection.getresponse().read())
            except OSError as error:
                seen.append(str(error))
            connection.close()
        return seen

    return ask


def proxied_with_requests(server: Peer, trust: ssl.SSLContext) -> Seen:
    seen: list[Seen] = []
    for user in ("", "user:secret@"):
        with requests.Session() as session:
            session.mount("https://", Trusting(trust))
            session.trust_env = False
            session.proxies = dict.fromkeys(("http", "https"), f"http://{user}{server.host}:{server.port}")
            for url in ("http://localhost/plain", "https://localhost/secure"):
                try:
                    answer = session.get(url, timeout=5)
                    seen.append((answer.status_code, answer.content))
                except requests.RequestException as error:
                    seen.append(type(error).__name__)
    return seen


def proxied_with_httpx(server: Peer, trust: ssl.SSLContext) -> Seen:
    seen: list[Seen] = []
    for user in ("", "user:secret@"):
        url = f"http://{user}{server.host}:{server.port}"
        with httpx.Client(proxy=url, verify=trust, trust_env=False) as client:
            for target in ("http://localhost/plain", "https://localhost/secure", "https://localhost/again"):
                try:
                    answer = client.get(target)
                    seen.append((answer.status_code, answer.content))
                except httpx.HTTPError as error:
                    seen.append((type(error).__name__, str(error)))
    return seen


def proxied_with_aiohttp(server: Peer, trust: ssl.SSLContext) -> Seen:
    async def ask() -> Seen:
        seen: list[Seen] = []
        async with aiohttp.ClientSession() as session:
            for fields in ({}, {"Proxy-Authorization": CREDENTIALS.decode()}):
                for target in ("http://localhost/plain", "https://localhost/secure", "https://localhost/again"):
                    url = f"http://{server.host}:{server.port}"
                    try:
                        async with session.get(target, proxy=url, proxy_headers=fields, ssl=trust) as answer:
                            seen.append((answer.status, await answer.read()))
                    except aiohttp.ClientError as error:
                        seen.append(type(error).__name__)
        return seen

    return asyncio.run(ask())


PROXIED = [
    pytest.param(proxied_with_http_client(http.client), id="http.client"),
    pytest.param(proxied_with_http_client(cassette_http.client), id="cassette_http.client"),
    *(pytest.param(ask, id=ask.__name__) for ask in (proxied_with_requests, proxied_with_httpx, proxied_with_aiohttp)),
]


def talkative_proxy(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 Established\r\n\r\n220 at your service\r\n")
    while True:
        connection.read_request()
        connection.send(response(b"through the tunnel"))


def tunnelled_with_module(module: Any, server: Peer) -> Seen:
    connection = module.HTTPConnection(server.host, server.port, timeout=5)
    connection.set_tunnel("localhost", 80)
    try:
        connection.request("GET", "/a")
        return connection.getresponse().read()
    except OSError as error:
        return str(error)
    finally:
        connection.close()


def tunnelled_octet_by_octet(server: Peer) -> Seen:
    with socket.create_connection((server.host, server.port), timeout=5) as sock:
        sock.sendall(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n")
        seen = b""
        while not seen.endswith(b"service\r\n"):
            seen += sock.recv(1)
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return seen, sock.recv(65536)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(functools.partial(tunnelled_with_module, http.client), id="http.client"),
        pytest.param(functools.partial(tunnelled_with_module, cassette_http.client), id="cassette_http.client"),
        pytest.param(tunnelled_octet_by_octet, id="octet by octet"),
    ],
)
def test_proxy_that_says_more_after_its_answer_to_connect(
    ask: Callable[[Peer], Seen], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(talkative_proxy)
    three_times(lambda: ask(server), tmp_path / "proxy.yaml", server)


@pytest.mark.parametrize("ask", PROXIED)
def test_proxy_that_wants_a_password(
    ask: Callable[[Peer, ssl.SSLContext], Seen],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(proxy(server_tls))
    live, cassette = three_times(lambda: ask(server, client_tls), tmp_path / "proxy.yaml", server)
    assert b"through the tunnel" in repr(live).encode()
    assert b"secret" not in cassette.path.read_bytes().replace(b"{{secret:", b"")


@pytest.mark.parametrize("ask", PROXIED)
def test_proxy_is_asked_for_a_tunnel_when_a_missing_request_needs_one(
    ask: Callable[[Peer, ssl.SSLContext], Seen],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(proxy(server_tls))
    path = tmp_path / "proxy.yaml"
    live = ask(server, client_tls)
    with use_cassette(path, "all"):
        assert ask(server, client_tls) == live
    # The tunnels are in the cassette, what goes through them is not.
    header, *documents = path.read_text().split("\n---\n")
    kept = [one for one in documents if "through the tunnel" not in one]
    path.write_text("\n---\n".join([header, *kept]))
    with use_cassette(path, "new_episodes") as cassette:
        assert ask(server, client_tls) == live
        assert cassette.recorded != []
    gc.collect()  # urllib3 leaves its tunnels open until then
    server.stop()
    with use_cassette(path, "none"):
        assert ask(server, client_tls) == live
