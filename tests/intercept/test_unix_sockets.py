"""HTTP over Unix sockets is recorded and played; everything else that goes over them is left alone, in every mode."""

from __future__ import annotations

import array
import asyncio
import http.client
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import pytest
import requests
import requests.adapters
import trio
import urllib3.connection
import urllib3.connectionpool
import uvloop

from cassette_http import UnmatchedRequest, use_cassette
from tests.behaviours import three_times
from tests.intercept.conftest import needs_unix_sockets
from tests.peer import Connection, Peer, Script, keep_alive, response

pytestmark = [
    needs_unix_sockets,
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # clients that fail leave their sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MODES = ["none", "once", "new_episodes", "all", "rewrite"]
ECHO = keep_alive(lambda request: response(b"local: " + request.split(b" ")[1]))


@pytest.fixture
def unix_peer(peer: Callable[..., Peer], tmp_path: Path) -> Callable[[Script], Peer]:
    """Starts scripted servers on a Unix socket."""

    def start(script: Script) -> Peer:
        return peer(script, path=os.fspath(tmp_path / "Some.sock"))

    return start


def origin_of(path: str) -> str:
    return "http+unix://" + path.replace("/", "%2F")


def connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(path)
    return sock


# What docker and requests-unixsocket do.


class UnixConnection(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        self.sock = connected(self.host_of_pool)  # type: ignore[attr-defined]  # put there below


class UnixPool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def _new_conn(self) -> Any:
        connection = UnixConnection("localhost")
        connection.host_of_pool = self.path  # type: ignore[attr-defined]  # see above
        return connection


class UnixAdapter(requests.adapters.HTTPAdapter):
    def __init__(self, path: str) -> None:
        super().__init__(max_retries=0)
        self.pool = UnixPool(path)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        return self.pool

    def close(self) -> None:
        self.pool.close()
        super().close()


def with_requests(path: str, targets: list[str]) -> Any:
    with requests.Session() as session:
        session.mount("http+unix://", UnixAdapter(path))
        return [session.get(origin_of(path) + target, timeout=5).content for target in targets]


def with_http_client(path: str, targets: list[str]) -> Any:
    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = connected(path)

    connection = Connection("localhost")
    try:
        contents = []
        for target in targets:
            connection.request("GET", target)
            contents.append(connection.getresponse().read())
        return contents
    finally:
        connection.close()


def with_httpx(path: str, targets: list[str]) -> Any:
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        return [client.get(f"http://localhost{target}").content for target in targets]


async def with_async_httpx(path: str, targets: list[str]) -> Any:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path)) as client:
        return [(await client.get(f"http://localhost{target}")).content for target in targets]


def with_httpx_and_asyncio(path: str, targets: list[str]) -> Any:
    return asyncio.run(with_async_httpx(path, targets))


def with_httpx_and_trio(path: str, targets: list[str]) -> Any:
    return trio.run(with_async_httpx, path, targets)


async def with_async_aiohttp(path: str, targets: list[str]) -> Any:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        contents = []
        for target in targets:
            async with session.get(f"http://localhost{target}") as answer:
                contents.append(await answer.read())
        return contents


def with_aiohttp(path: str, targets: list[str]) -> Any:
    return asyncio.run(with_async_aiohttp(path, targets))


def with_aiohttp_and_uvloop(path: str, targets: list[str]) -> Any:
    return uvloop.run(with_async_aiohttp(path, targets))


each_client = pytest.mark.parametrize(
    "client",
    [
        pytest.param(one, id=one.__name__[5:])
        for one in (
            with_requests,
            with_http_client,
            with_httpx,
            with_httpx_and_asyncio,
            with_httpx_and_trio,
            with_aiohttp,
            with_aiohttp_and_uvloop,
        )
    ],
)
Client = Callable[[str, list[str]], Any]


def in_words(client: Client, path: str, targets: list[str]) -> Any:
    """What a client sees, also of failures."""
    try:
        return client(path, targets)
    except Exception as error:  # of another class for each library
        text = str(error)
        return type(error).__name__, text if "0x" not in text else ""


@each_client
def test_requests_are_the_same_three_times(client: Client, unix_peer: Callable[[Script], Peer], tmp_path: Path) -> None:
    server = unix_peer(ECHO)
    path = tmp_path / "unix.yaml"
    _, cassette = three_times(lambda: client(server.host, ["/a", "/b"]), path, server)
    urls = [one.request.url for one in cassette.interactions if one.request]
    assert urls == [f"{origin_of(server.host)}/{name}" for name in ("a", "b")]
    os.unlink(server.host)
    with use_cassette(path, "none"):
        assert client(server.host, ["/a", "/b"]) == [b"local: /a", b"local: /b"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text, or no file, are Linux's")
@pytest.mark.parametrize("name", ["{}/caf\udce9 %.sock", "\0{}"], ids=["not UTF-8", "abstract"])
def test_socket_may_have_any_name(name: str, peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(ECHO, path=name.format(tmp_path))
    path = tmp_path / "unix.yaml"
    three_times(lambda: with_http_client(server.host, ["/a"]), path, server)
    with use_cassette(path, "none"):
        assert with_http_client(os.fsencode(server.host), ["/a"]) == [b"local: /a"]  # type: ignore[arg-type]


def cut_off(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")


def falls_silent(connection: Connection) -> None:
    connection.read_request()


@pytest.mark.parametrize("script", [cut_off, falls_silent])
@each_client
def test_failures_are_the_same_three_times(
    client: Client, script: Script, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    server = unix_peer(script)
    three_times(lambda: in_words(client, server.host, ["/a"]), tmp_path / "unix.yaml", server)


@each_client
def test_socket_that_nobody_listens_on_is_the_same_three_times(
    client: Client, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    path, cassette_path = os.fspath(tmp_path / "None.sock"), tmp_path / "unix.yaml"
    live = in_words(client, path, ["/a"])
    with use_cassette(cassette_path, "all"):
        assert in_words(client, path, ["/a"]) == live
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with use_cassette(cassette_path, "none") as cassette:
            assert in_words(client, path, ["/a"]) == live
    assert cassette.unplayed == []


@each_client
def test_request_that_nothing_answers_is_not_sent(
    client: Client, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    asked: list[bytes] = []

    def script(connection: Connection) -> None:
        asked.append(connection.read_request())

    server = unix_peer(script)
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    with (
        pytest.raises(UnmatchedRequest, match=r"GET http\+unix://.*%2FSome\.sock/a"),
        use_cassette(path, "none"),
        suppress(Exception),  # of another class for each library
    ):
        client(server.host, ["/a"])
    server.stop()
    assert asked == []


@each_client
def test_new_request_is_recorded_beside_those_that_are_played(
    client: Client, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    server = unix_peer(ECHO)
    path = tmp_path / "unix.yaml"
    with use_cassette(path, "new_episodes"):
        assert client(server.host, ["/a"]) == [b"local: /a"]
    with use_cassette(path, "new_episodes") as cassette:
        assert client(server.host, ["/a", "/b"]) == [b"local: /a", b"local: /b"]
    assert [one.request and one.request.head.target for one in cassette.recorded] == ["/b"]
    server.stop()
    with use_cassette(path, "none"):
        assert client(server.host, ["/a", "/b"]) == [b"local: /a", b"local: /b"]


@each_client
def test_another_path_answers_where_hosts_do_not_count(
    client: Client, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    server = unix_peer(ECHO)
    path = tmp_path / "unix.yaml"
    with use_cassette(path, "all"):
        client(server.host, ["/a"])
    server.stop()
    with use_cassette(path, "none", match=["method", "path"]):
        assert client(os.fspath(tmp_path / "Other.sock"), ["/a"]) == [b"local: /a"]


def with_httpx_tls(path: str, trust: ssl.SSLContext) -> Any:
    with httpx.Client(transport=httpx.HTTPTransport(uds=path, verify=trust)) as client:
        return [client.get(f"https://localhost{target}").content for target in ("/a", "/b")]


async def with_async_httpx_tls(path: str, trust: ssl.SSLContext) -> Any:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path, verify=trust)) as client:
        return [(await client.get(f"https://localhost{target}")).content for target in ("/a", "/b")]


async def with_streams_over_tls(path: str, trust: ssl.SSLContext) -> Any:
    contents = []
    for target in (b"/a", b"/b"):
        reader, writer = await asyncio.open_unix_connection(path, ssl=trust, server_hostname="localhost")
        try:
            writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
            contents.append(await asyncio.wait_for(reader.readuntil(target), 5))
        finally:
            writer.transport.abort()
    return contents


each_client_of_tls = pytest.mark.parametrize(
    "client",
    [
        pytest.param(with_httpx_tls, id="httpx"),
        pytest.param(lambda *args: asyncio.run(with_async_httpx_tls(*args)), id="httpx-asyncio"),
        pytest.param(lambda *args: trio.run(with_async_httpx_tls, *args), id="httpx-trio"),
        pytest.param(lambda *args: asyncio.run(with_streams_over_tls(*args)), id="asyncio"),
        pytest.param(lambda *args: uvloop.run(with_streams_over_tls(*args)), id="uvloop"),
    ],
)


@each_client_of_tls
def test_requests_over_tls_are_the_same_three_times(
    client: Callable[[str, ssl.SSLContext], Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(ECHO, path=os.fspath(tmp_path / "Some.sock"), tls=server_tls)
    path = tmp_path / "unix.yaml"
    _, cassette = three_times(lambda: client(server.host, client_tls), path, server)
    urls = [one.request.url for one in cassette.interactions if one.request]
    assert urls == [f"https+unix://{quote(server.host, safe='')}/{name}" for name in ("a", "b")]


@each_client_of_tls
@pytest.mark.parametrize("knows_path", [True, False])
def test_request_over_tls_that_nothing_answers_is_not_sent(
    client: Callable[[str, ssl.SSLContext], Any],
    knows_path: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(lambda connection: connection.wait_closed(), path=os.fspath(tmp_path / "Some.sock"), tls=server_tls)
    path = tmp_path / "other.yaml"
    known = quote(server.host if knows_path else "/other", safe="")
    path.write_text(f"cassette: 1\n---\nrequest: GET https+unix://{known}/known\nresponse: 200 OK\n---\n")
    with (
        pytest.raises(UnmatchedRequest, match=r"GET https\+unix://.*%2FSome\.sock/a"),
        use_cassette(path, "none"),
        suppress(Exception),  # of another class for each library
    ):
        client(server.host, client_tls)


def test_request_line_may_come_in_pieces(unix_peer: Callable[[Script], Peer], tmp_path: Path) -> None:
    server = unix_peer(ECHO)
    path = tmp_path / "unix.yaml"

    def ask() -> bytes:
        with connected(server.host) as sock:
            for piece in (b"GET /a HT", b"TP/1.1\r\nHost: localhost\r\n", b"\r\n"):
                sock.sendall(piece)
            return sock.recv(1000)

    three_times(ask, path, server)


def test_request_line_in_pieces_that_nothing_answers_is_not_sent(
    unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    server = unix_peer(lambda connection: connection.wait_closed())
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    with use_cassette(path, "none") as cassette, connected(server.host) as sock:
        sock.sendall(b"GET /a")
        with pytest.raises(UnmatchedRequest):
            sock.sendall(b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        cassette.misses.clear()


def test_hook_may_change_the_url(unix_peer: Callable[[Script], Peer], tmp_path: Path) -> None:
    server = unix_peer(ECHO)
    with use_cassette(
        tmp_path / "unix.yaml", "all", on_match=lambda request: request.with_url(f"{request.url}?more")
    ) as cassette:
        with_http_client(server.host, ["/a"])
    assert [one.request and one.request.url for one in cassette.recorded] == [f"{origin_of(server.host)}/a?more"]


@pytest.fixture(params=MODES)
def in_use(request: pytest.FixtureRequest, tmp_path: Path) -> use_cassette:
    """A cassette that knows another Unix socket, in each of the modes."""
    path = tmp_path / "some.yaml"
    path.write_text("cassette: 1\n---\nrequest: GET http+unix://%2Frun%2Fother.sock/a\nresponse: 200 OK\n---\n")
    return use_cassette(path, request.param)


def test_other_protocols_are_left_alone(in_use: use_cassette, unix_peer: Callable[[Script], Peer]) -> None:
    def mysql(connection: Connection) -> None:
        connection.send(b"5.7.1 greeting\n")
        assert connection.read_until(b"\n") == b"login\n"
        connection.send(b"welcome\n")
        connection.wait_closed()

    server = unix_peer(mysql)

    async def talk() -> list[bytes]:
        reader, writer = await asyncio.open_unix_connection(server.host)
        greeting = await asyncio.wait_for(reader.readline(), 5)
        writer.write(b"login\n")
        answers = [greeting, await asyncio.wait_for(reader.readline(), 5)]
        writer.close()
        return answers

    with in_use as cassette:
        with connected(server.host) as sock:
            assert sock.recv(100) == b"5.7.1 greeting\n"
            sock.sendall(b"login\n")
            assert sock.recv(100) == b"welcome\n"
        assert asyncio.run(talk()) == [b"5.7.1 greeting\n", b"welcome\n"]
    assert (cassette.misses, cassette.recorded, cassette.connections) == ([], [], [])


def test_missing_socket_of_another_protocol_fails_at_once(in_use: use_cassette, tmp_path: Path) -> None:
    with in_use, socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(os.fspath(tmp_path / "None.sock"))


def test_local_pairs_carry_requests_of_nobody(in_use: use_cassette) -> None:
    near, far = socket.socketpair()
    with in_use as cassette, near, far:
        near.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert far.recv(100) == b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        far.sendall(response(b"here"))
        assert near.recv(100) == response(b"here")
    assert (cassette.misses, cassette.recorded) == ([], [])


def test_descriptors_are_passed_as_without_a_cassette(
    in_use: use_cassette, unix_peer: Callable[[Script], Peer], tmp_path: Path
) -> None:
    received: list[int] = []
    arrived = threading.Event()

    def script(connection: Connection) -> None:
        _, ancillary, _, _ = connection.sock.recvmsg(10, socket.CMSG_LEN(4))
        received.extend(array.array("i", ancillary[0][2]))
        arrived.set()

    server = unix_peer(script)
    with in_use, connected(server.host) as sock, open(os.devnull) as file:
        socket.send_fds(sock, [b"here"], [file.fileno()])
        assert arrived.wait(5)
    assert len(received) == 1
    os.close(received[0])


@pytest.mark.parametrize("is_greeted", [True, False], ids=["server first", "client first"])
def test_other_protocols_over_tls_are_left_alone(
    is_greeted: bool,
    in_use: use_cassette,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def mysql(connection: Connection) -> None:
        if is_greeted:
            connection.send(b"5.7.1 greeting\n")
        assert connection.read_until(b"\n") == b"login\n"
        connection.send(b"welcome\n")
        connection.wait_closed()

    server = peer(mysql, path=os.fspath(tmp_path / "Some.sock"), tls=server_tls)

    async def talk() -> list[bytes]:
        reader, writer = await asyncio.open_unix_connection(server.host, ssl=client_tls, server_hostname="localhost")
        greeting = await asyncio.wait_for(reader.readline(), 5) if is_greeted else b""
        writer.write(b"login\n")
        answers = [greeting, await asyncio.wait_for(reader.readline(), 5)]
        writer.transport.abort()
        return answers

    with in_use as cassette:
        assert asyncio.run(talk()) == [b"5.7.1 greeting\n" * is_greeted, b"welcome\n"]
    assert (cassette.misses, cassette.recorded) == ([], [])
