"""What takes several requests: authentication, redirects, WebSockets, pipelining, idle connections, as libraries do."""

from __future__ import annotations

import asyncio
import http.client
import http.cookiejar
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import websockets.asyncio.client
import websockets.sync.client
import websockets.sync.server

from cassette_http import use_cassette
from tests.behaviours import three_times
from tests.peer import Connection, Peer, Serve, keep_alive, response

Seen = Any

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # aiohttp does not wait for its connections to close
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


# ---------------------------------------------------------------------- authentication

CHALLENGE = b'WWW-Authenticate: Digest realm="r", nonce="abc123", qop="auth", algorithm=MD5, opaque="xyz"'


def wants_digest(request: bytes) -> bytes:
    if b"Authorization: Digest " in request or b"authorization: Digest " in request:
        return response(b"let in")
    return response(b"who are you", CHALLENGE, status=b"401 Unauthorized")


def digest_with_requests(url: str) -> Seen:
    with requests.Session() as session:
        session.auth = requests.auth.HTTPDigestAuth("user", "pass word")
        answers = [session.get(f"{url}/{name}", timeout=5) for name in ("a", "b")]
        return [(one.status_code, one.content, [old.status_code for old in one.history]) for one in answers]


def digest_with_httpx(url: str) -> Seen:
    with httpx.Client(auth=httpx.DigestAuth("user", "pass word"), trust_env=False) as client:
        answers = [client.get(f"{url}/{name}") for name in ("a", "b")]
        return [(one.status_code, one.content, [old.status_code for old in one.history]) for one in answers]


def digest_with_async_httpx(url: str) -> Seen:
    async def ask() -> Seen:
        async with httpx.AsyncClient(auth=httpx.DigestAuth("user", "pass word"), trust_env=False) as client:
            answers = [await client.get(f"{url}/{name}") for name in ("a", "b")]
            return [(one.status_code, one.content) for one in answers]

    return asyncio.run(ask())


def digest_with_urllib(url: str) -> Seen:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, "user", "pass word")
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
    seen = []
    for name in ("a", "b"):
        with opener.open(f"{url}/{name}", timeout=5) as answer:
            seen.append((answer.status, answer.read()))
    return seen


def digest_with_aiohttp(url: str) -> Seen:
    async def ask() -> Seen:
        digest = aiohttp.DigestAuthMiddleware("user", "pass word")
        seen = []
        async with aiohttp.ClientSession(middlewares=(digest,)) as session:
            for name in ("a", "b"):
                async with session.get(f"{url}/{name}") as answer:
                    seen.append((answer.status, await answer.read()))
        return seen

    return asyncio.run(ask())


DIGESTS = [digest_with_requests, digest_with_httpx, digest_with_async_httpx, digest_with_urllib, digest_with_aiohttp]


@pytest.mark.parametrize("ask", DIGESTS, ids=lambda ask: ask.__name__)
def test_digest_authentication(ask: Callable[[str], Seen], peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(wants_digest))
    live, _ = three_times(lambda: ask(server.url), tmp_path / "digest.yaml", server)
    assert [one[:2] for one in live] == [(200, b"let in")] * 2


# ---------------------------------------------------------------------- redirects across hosts, with cookies


@pytest.fixture
def far_away(peer: Callable[..., Peer]) -> Peer:
    def tell_cookies(request: bytes) -> bytes:
        return response(b"far, with a cookie" if b"near=" in request else b"far, without cookies")

    return peer(keep_alive(tell_cookies))


@pytest.fixture
def near(peer: Callable[..., Peer], far_away: Peer) -> Peer:
    def send_away(request: bytes) -> bytes:
        if b" /back" in request:
            return response(b"near, with a cookie" if b"near=" in request else b"near, without cookies")
        target = b"Location: http://localhost:%d/far" % far_away.port
        return response(b"", target, b"Set-Cookie: near=1; Path=/", status=b"302 Found")

    return peer(keep_alive(send_away))


def redirects_with_requests(url: str) -> Seen:
    with requests.Session() as session:
        return [session.get(url + path, timeout=5).content for path in ("/away", "/back")]


def redirects_with_httpx(url: str) -> Seen:
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        return [client.get(url + path).content for path in ("/away", "/back")]


def redirects_with_urllib(url: str) -> Seen:
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    return [opener.open(url + path, timeout=5).read() for path in ("/away", "/back")]


def redirects_with_aiohttp(url: str) -> Seen:
    async def ask() -> Seen:
        seen = []
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            for path in ("/away", "/back"):
                async with session.get(url + path) as answer:
                    seen.append(await answer.read())
        return seen

    return asyncio.run(ask())


REDIRECTS = [redirects_with_requests, redirects_with_httpx, redirects_with_urllib, redirects_with_aiohttp]


@pytest.mark.parametrize("ask", REDIRECTS, ids=lambda ask: ask.__name__)
def test_redirect_to_another_host_and_cookies(
    ask: Callable[[str], Seen], near: Peer, far_away: Peer, tmp_path: Path
) -> None:
    live, _ = three_times(lambda: ask(near.url), tmp_path / "away.yaml", near, far_away)
    assert live == [b"far, without cookies", b"near, with a cookie"]


# ---------------------------------------------------------------------- WebSockets


def websocket_in_threads(url: str, trust: ssl.SSLContext | None) -> Seen:
    with websockets.sync.client.connect(url, ssl=trust, proxy=None) as socket:
        seen: list[Seen] = [socket.recv(timeout=5)]
        for message in ("one", b"\x00\x01" * 40000, "three"):
            socket.send(message)
            seen.append(socket.recv(timeout=5))
        seen.append(socket.ping().wait(5))
    return [*seen, socket.close_code]


def websocket_in_tasks(url: str, trust: ssl.SSLContext | None) -> Seen:
    async def talk() -> Seen:
        async with websockets.asyncio.client.connect(url, ssl=trust, proxy=None) as socket:
            seen: list[Seen] = [await asyncio.wait_for(socket.recv(), 5)]
            for message in ("one", b"\x00\x01" * 40000, "three"):
                await socket.send(message)
                seen.append(await asyncio.wait_for(socket.recv(), 5))
            await asyncio.wait_for(await socket.ping(), 5)
        return [*seen, socket.close_code]

    return asyncio.run(talk())


def websocket_with_aiohttp(url: str, trust: ssl.SSLContext | None) -> Seen:
    async def talk() -> Seen:
        async with aiohttp.ClientSession() as session, session.ws_connect(url, ssl=trust or True) as socket:
            seen: list[Seen] = [(await socket.receive(5)).data]
            for message in ("one", "two"):
                await socket.send_str(message)
                seen.append((await socket.receive(5)).data)
        return [*seen, socket.close_code]

    return asyncio.run(talk())


WEBSOCKETS = [websocket_in_threads, websocket_in_tasks, websocket_with_aiohttp]


@pytest.mark.parametrize("talk", WEBSOCKETS, ids=lambda talk: talk.__name__)
def test_websocket(
    talk: Callable[[str, ssl.SSLContext | None], Seen],
    is_tls: bool,
    trust: ssl.SSLContext | None,
    server_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def echo(socket: websockets.sync.server.ServerConnection) -> None:
        socket.send("welcome")
        for message in socket:
            socket.send(message)

    tls = server_tls if is_tls else None
    with websockets.sync.server.serve(echo, "127.0.0.1", 0, ssl=tls) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"{'wss' if is_tls else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}/chat"
        live = talk(url, trust)
        with use_cassette(tmp_path / "chat.yaml", "all"):
            assert talk(url, trust) == live
        server.shutdown()
        thread.join(10)
    with use_cassette(tmp_path / "chat.yaml", "none"):
        assert talk(url, trust) == live


# ---------------------------------------------------------------------- addresses


def test_addresses_of_version_6(peer: Callable[..., Peer], tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    try:
        server = peer(keep_alive(lambda request: response(request.split(b" ")[1])), host="::1")
    except OSError:
        pytest.skip("there is no IPv6 loopback here")

    def ask() -> Seen:
        async def ask_in_task() -> Seen:
            async with httpx.AsyncClient(trust_env=False) as client, aiohttp.ClientSession() as session:
                one = (await client.get(f"{server.url}/httpx")).content
                async with session.get(f"{server.url}/aiohttp") as answer:
                    return one, await answer.read()

        with urllib.request.urlopen(f"{server.url}/urllib", timeout=5) as answer:
            content = answer.read()
        return content, requests.get(f"{server.url}/requests", timeout=5).content, asyncio.run(ask_in_task())

    live, cassette = three_times(ask, tmp_path / "six.yaml", server)
    assert live == (b"/urllib", b"/requests", (b"/httpx", b"/aiohttp"))
    hosts = {one.request.url for one in cassette.interactions if one.request}
    assert all(url.startswith(f"http://[::1]:{server.port}/") for url in hosts)


# ---------------------------------------------------------------------- pipelining


def test_pipelined_requests(serve: Serve, trust: ssl.SSLContext | None, tmp_path: Path) -> None:
    server = serve(keep_alive(lambda request: response(b"answer to " + request.split(b" ")[1])))
    many = b"".join(b"GET /%d HTTP/1.1\r\nHost: api.test\r\n\r\n" % number for number in range(5))
    expected = b"".join(response(b"answer to /%d" % number) for number in range(5))

    def ask() -> bytes:
        sock = socket.create_connection((server.host, server.port), timeout=5)
        if trust:
            sock = trust.wrap_socket(sock, server_hostname=server.host)
        with sock:
            sock.sendall(many)
            octets = b""
            while len(octets) < len(expected):
                octets += sock.recv(10000)
            return octets

    live, cassette = three_times(ask, tmp_path / "pipelined.yaml", server)
    assert live == expected
    assert len(cassette) == 5


# ---------------------------------------------------------------------- idle connections


def idle_with_requests(url: str, wait_closed: Callable[[], None]) -> Seen:
    seen = []
    with requests.Session() as session:
        for path in ("/1", "/2"):
            seen.append(session.get(url + path, timeout=5).content)
            wait_closed()
    return seen


def idle_with_httpx(url: str, wait_closed: Callable[[], None]) -> Seen:
    seen = []
    with httpx.Client(trust_env=False) as client:
        for path in ("/1", "/2"):
            seen.append(client.get(url + path).content)
            wait_closed()
    return seen


def idle_with_async_httpx(url: str, wait_closed: Callable[[], None]) -> Seen:
    async def ask() -> Seen:
        seen = []
        async with httpx.AsyncClient(trust_env=False) as client:
            for path in ("/1", "/2"):
                seen.append((await client.get(url + path)).content)
                wait_closed()
        return seen

    return asyncio.run(ask())


def idle_with_aiohttp(url: str, wait_closed: Callable[[], None]) -> Seen:
    async def ask() -> Seen:
        seen = []
        async with aiohttp.ClientSession() as session:
            for path in ("/1", "/2"):
                async with session.get(url + path) as answer:
                    seen.append(await answer.read())
                wait_closed()
                await asyncio.sleep(0)
        return seen

    return asyncio.run(ask())


IDLE = [idle_with_requests, idle_with_httpx, idle_with_async_httpx, idle_with_aiohttp]


@pytest.mark.parametrize("ask", IDLE, ids=lambda ask: ask.__name__)
def test_peer_that_closes_idle_connections(
    ask: Callable[[str, Callable[[], None]], Seen], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    closed = threading.Event()

    def close_after_one(connection: Connection) -> None:
        request = connection.read_request()
        connection.send(response(request.split(b" ")[1]))
        connection.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = peer(close_after_one)

    def wait_closed() -> None:
        if server.is_running:
            assert closed.wait(5)
            closed.clear()

    live, _ = three_times(lambda: ask(server.url, wait_closed), tmp_path / "idle.yaml", server)
    assert live == [b"/1", b"/2"]
