"""What takes several requests, or more than one: authentication, proxies, uploads, upgrades, as libraries do them."""

from __future__ import annotations

import asyncio
import base64
import functools
import gc
import http.client
import http.cookiejar
import io
import socket
import ssl
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import tornado.httpclient
import urllib3
import websockets.asyncio.client
import websockets.sync.client
import websockets.sync.server

import cassette_http.client
from cassette_http import Cassette, use_cassette
from tests.peer import Connection, Peer, Script, Serve, keep_alive, response
from tests.trusting import Trusting

Seen = Any

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # aiohttp does not wait for its connections to close
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def three_times(ask: Callable[[], Seen], path: Path, *servers: Peer) -> tuple[Seen, Cassette]:
    """What was seen live, which must be what is seen recording and replaying with all servers stopped."""
    live = ask()
    with use_cassette(path, "all"):
        recorded = ask()
    for server in servers:
        server.stop()
    with use_cassette(path, "none") as cassette:
        replayed = ask()
    assert recorded == live
    assert replayed == live
    assert cassette.unplayed == []
    return live, cassette


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


# ---------------------------------------------------------------------- uploads

PIECES = [b"first ", b"second ", b"third " * 2000]


def pieces() -> Iterator[bytes]:
    yield from PIECES


async def late_pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        await asyncio.sleep(0)
        yield piece


def open_file(path: Path) -> io.BufferedReader:
    path.write_bytes(b"".join(PIECES))
    return open(path, "rb")


def upload_with_module(module: Any) -> Callable[[str, Path], Seen]:
    def ask(url: str, path: Path) -> Seen:
        connection = module.HTTPConnection(url.partition("://")[2], timeout=5)
        seen = []
        with open_file(path) as file:
            for body in (pieces(), file):
                connection.request("POST", "/up", body, encode_chunked=True)
                seen.append(connection.getresponse().read())
        connection.close()
        return seen

    return ask


def upload_with_requests(url: str, path: Path) -> Seen:
    with open_file(path) as file, open_file(path) as part:
        bodies: list[dict[str, Any]] = [{"data": pieces()}, {"data": file}, {"files": {"name": part}}]
        # The border between the parts of a form is drawn by lot; what is between is what counts.
        return [requests.post(f"{url}/up", timeout=5, **body).status_code for body in bodies]


def upload_with_urllib3(url: str, path: Path) -> Seen:
    with open_file(path) as file, urllib3.PoolManager() as pool:
        return [pool.request("POST", f"{url}/up", body=body, timeout=5).data for body in (pieces(), file)]


def upload_with_httpx(url: str, path: Path) -> Seen:
    with open_file(path) as file, httpx.Client(trust_env=False) as client:
        bodies: list[dict[str, Any]] = [{"content": pieces()}, {"content": file}, {"files": {"name": b"file"}}]
        return [client.post(f"{url}/up", **body).status_code for body in bodies]


def upload_with_async_httpx(url: str, path: Path) -> Seen:
    async def ask() -> Seen:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(f"{url}/up", content=late_pieces())).content

    return asyncio.run(ask())


def upload_with_aiohttp(url: str, path: Path) -> Seen:
    async def ask() -> Seen:
        seen = []
        async with aiohttp.ClientSession() as session:
            with open_file(path) as file:
                for body, expects in ((late_pieces(), False), (file, False), (b"expecting", True)):
                    async with session.post(f"{url}/up", data=body, expect100=expects) as answer:
                        seen.append(await answer.read())
        return seen

    return asyncio.run(ask())


def upload_with_tornado(url: str, path: Path) -> Seen:
    async def produce(write: Callable[[bytes], Any]) -> None:
        for piece in PIECES:
            await write(piece)

    async def ask() -> Seen:
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        streamed = await client.fetch(f"{url}/up", method="POST", body_producer=produce)
        expecting = await client.fetch(f"{url}/up", method="POST", body=b"expecting", expect_100_continue=True)
        client.close()
        return streamed.body, expecting.body

    return asyncio.run(ask())


def takes_uploads(connection: Connection) -> None:
    """Tells how many octets of body came; says 100 where that is waited for."""
    while True:
        head = connection.read_until(b"\r\n\r\n")
        if b"100-continue" in head.lower():
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        fields = head.lower()
        size = 0
        if b"transfer-encoding: chunked" in fields:
            while True:
                length = int(connection.read_until(b"\r\n"), 16)
                connection.read(length + 2)
                size += length
                if not length:
                    break
        else:
            size = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
            connection.read(size)
        # S3 has no content in its answer.
        connection.send(response(b"" if b" /bucket/" in head else b"got %d" % size))


UPLOADS = [
    pytest.param(upload_with_module(http.client), id="http.client"),
    pytest.param(upload_with_module(cassette_http.client), id="cassette_http.client"),
    *(
        pytest.param(upload, id=upload.__name__)
        for upload in (
            *(upload_with_requests, upload_with_urllib3, upload_with_httpx, upload_with_async_httpx),
            *(upload_with_aiohttp, upload_with_tornado),
        )
    ),
]


@pytest.mark.parametrize("upload", UPLOADS)
def test_body_from_a_generator_from_a_file_and_on_demand(
    upload: Callable[[str, Path], Seen], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(takes_uploads)
    three_times(lambda: upload(server.url, tmp_path / "file"), tmp_path / "up.yaml", server)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:dateutil")
def test_botocore_waits_for_the_word_to_go_on(is_tls: bool, serve: Serve, ca_file: Path, tmp_path: Path) -> None:
    import botocore.config
    import botocore.session

    server = serve(takes_uploads)

    def ask() -> Seen:
        config = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=5, s3={"addressing_style": "path"})
        client = botocore.session.Session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=server.url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="wJalrXUtnFEMIK7MDENGEXAMPLEKEY",
            config=config,
            verify=str(ca_file) if is_tls else None,
        )
        seen = []
        for body in (b"some octets", open_file(tmp_path / "file")):
            answer = client.put_object(Bucket="bucket", Key="key", Body=body)
            seen.append(answer["ResponseMetadata"]["HTTPStatusCode"])
        client.close()
        return seen

    live, _ = three_times(ask, tmp_path / "s3.yaml", server)
    assert live == [200, 200]


# ---------------------------------------------------------------------- proxies

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
def test_proxy_that_says_more_behind_its_answer_to_connect(
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
