"""A response that is read after its block: what its request was promised inside still comes, and nothing else does."""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx
import pytest
import requests
import trio
import urllib3

import cassette_http.client
from cassette_http import use_cassette
from tests.peer import Connection, Script, Serve, keep_alive, response
from tests.trusting import Trusting

Read = Callable[..., bytes]

LARGE = bytes(range(256)) * 2_400  # far more than a local pair of sockets takes
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def large(connection: Connection) -> None:
    keep_alive(lambda request: response(LARGE))(connection)


def chunked(connection: Connection) -> None:
    keep_alive(lambda request: CHUNKED + b"ea60\r\n" + LARGE[:60_000] + b"\r\n0\r\n\r\n")(connection)


def to_the_close(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE[:100_000])


class Answer(NamedTuple):
    """What a server does, and the content that its client gets."""

    script: Script
    content: bytes


ANSWERS = [
    pytest.param(Answer(large, LARGE), id="length"),
    pytest.param(Answer(chunked, LARGE[:60_000]), id="chunked"),
    pytest.param(Answer(to_the_close, LARGE[:100_000]), id="until close"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.yaml"


# ---------------------------------------------------------------------- clients that wait


@contextmanager
def with_module(module: Any, url: str, trust: ssl.SSLContext) -> Iterator[Callable[[], Read]]:
    scheme, _, authority = url.partition("://")
    if scheme == "https":
        connection = module.HTTPSConnection(authority, timeout=5, context=trust)
    else:
        connection = module.HTTPConnection(authority, timeout=5)

    def ask() -> Read:
        connection.request("GET", "/")
        return connection.getresponse().read  # type: ignore[no-any-return]  # a method of an unknown class

    yield ask
    connection.close()


@contextmanager
def with_urllib3(url: str, trust: ssl.SSLContext) -> Iterator[Callable[[], Read]]:
    with urllib3.PoolManager(ssl_context=trust, retries=False, timeout=5) as pool:
        yield lambda: pool.request("GET", url, preload_content=False).read


@contextmanager
def with_requests(url: str, trust: ssl.SSLContext) -> Iterator[Callable[[], Read]]:
    with requests.Session() as session:
        session.mount("https://", Trusting(trust))
        yield lambda: session.get(url, stream=True, timeout=5).raw.read


@contextmanager
def with_httpx(url: str, trust: ssl.SSLContext) -> Iterator[Callable[[], Read]]:
    with httpx.Client(verify=trust, trust_env=False, timeout=5) as client, ExitStack() as open_responses:

        def ask() -> Read:
            answer = open_responses.enter_context(client.stream("GET", url))
            pieces = answer.iter_bytes(1000)
            return lambda at_most=None: next(pieces) if at_most else b"".join(pieces)

        yield ask


BLOCKING = [
    pytest.param(lambda *args: with_module(http.client, *args), id="http.client"),
    pytest.param(lambda *args: with_module(cassette_http.client, *args), id="cassette_http.client"),
    pytest.param(with_urllib3, id="urllib3"),
    pytest.param(with_requests, id="requests"),
    pytest.param(with_httpx, id="httpx"),
]


@pytest.fixture(params=[False, True], ids=["alone", "inside another"])
def around(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """A cassette that is in use before and after: the hooks are there all the time."""
    with ExitStack() as stack:
        if request.param:
            (tmp_path / "around.yaml").write_text("cassette: 1\n---\n")
            stack.enter_context(use_cassette(tmp_path / "around.yaml", "none"))
        yield


@pytest.mark.usefixtures("litter", "around")
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("client", BLOCKING)
def test_rest_of_a_played_response_is_read_after_the_block(
    client: Callable[..., Any],
    answer: Answer,
    serve: Serve,
    client_tls: ssl.SSLContext,
    path: Path,
) -> None:
    server = serve(answer.script)
    with use_cassette(path, "all"), client(server.url, client_tls) as ask:
        ask()()
    asked = server.connections
    with client(server.url, client_tls) as ask:
        with use_cassette(path, "none"):
            read = ask()
            begun = read(1000)
        assert begun + read() == answer.content
        assert server.connections == asked


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("client", [with_urllib3, with_requests, with_httpx])
def test_pool_does_not_ask_again_on_a_connection_whose_response_outlived_the_block(
    client: Callable[..., Any],
    answer: Answer,
    serve: Serve,
    client_tls: ssl.SSLContext,
    path: Path,
) -> None:
    server = serve(answer.script)
    with use_cassette(path, "all"), client(server.url, client_tls) as ask:
        ask()()
    asked = server.connections
    with client(server.url, client_tls) as ask:
        with use_cassette(path, "none"):
            read = ask()
        assert read() == answer.content
        with use_cassette(path, "none"):
            assert ask()() == answer.content
        assert server.connections == asked
        assert ask()() == answer.content
        assert server.connections == asked + 1


# ---------------------------------------------------------------------- clients of loops


@asynccontextmanager
async def with_async_httpx(url: str, trust: ssl.SSLContext) -> AsyncIterator[Callable[[], AsyncIterator[bytes]]]:
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=5) as client:

        async def ask() -> AsyncIterator[bytes]:
            async with client.stream("GET", url) as answer:
                yield b""
                async for piece in answer.aiter_bytes(1000):
                    yield piece

        yield ask


@asynccontextmanager
async def with_aiohttp(url: str, trust: ssl.SSLContext) -> AsyncIterator[Callable[[], AsyncIterator[bytes]]]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:

        async def ask() -> AsyncIterator[bytes]:
            async with session.get(url, ssl=trust) as answer:
                yield b""
                async for piece in answer.content.iter_chunked(1000):
                    yield piece

        yield ask
    await asyncio.sleep(0.01)  # as aiohttp's documentation asks for, so that TLS can say farewell


LOOPS = [
    pytest.param(with_async_httpx, asyncio.run, id="httpx-asyncio"),
    pytest.param(with_async_httpx, trio.run, id="httpx-trio"),
    pytest.param(with_aiohttp, asyncio.run, id="aiohttp"),
]


@pytest.mark.usefixtures("litter", "around")
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(("client", "run"), LOOPS)
def test_rest_of_a_response_that_is_played_to_a_loop_is_read_after_the_block(
    client: Callable[..., Any],
    run: Callable[..., Any],
    answer: Answer,
    serve: Serve,
    client_tls: ssl.SSLContext,
    path: Path,
) -> None:
    server = serve(answer.script)

    async def talk() -> None:
        async with client(server.url, client_tls) as ask:
            with use_cassette(path, "all"):
                assert b"".join([piece async for piece in ask()]) == answer.content
        asked = server.connections
        async with client(server.url, client_tls) as ask:
            with use_cassette(path, "none"):
                pieces = ask()
                begun = await anext(pieces) + await anext(pieces)
            assert begun + b"".join([piece async for piece in pieces]) == answer.content
            with use_cassette(path, "none"):
                assert b"".join([piece async for piece in ask()]) == answer.content
        assert server.connections == asked

    run(talk) if run is trio.run else run(talk())


# ---------------------------------------------------------------------- how the connection ends


def read_to_end(sock: socket.socket) -> tuple[bytes, type | None]:
    octets = b""
    try:
        while piece := sock.recv(65536):
            octets += piece
    except OSError as error:
        return octets, type(error)
    return octets, None


@pytest.mark.parametrize("was_open", [False, True], ids=["opened inside", "open before"])
@pytest.mark.parametrize(
    ("recorded", "ending"),
    [
        pytest.param("", None, id="kept"),
        pytest.param("wire: {ends: true}\n", None, id="closed"),
        pytest.param("failure: {kind: reset, errno: ECONNRESET, text: reset}\n", ConnectionResetError, id="reset"),
    ],
)
def test_connection_ends_after_the_response(
    recorded: str,
    ending: type | None,
    was_open: bool,
    serve: Serve,
    client_tls: ssl.SSLContext,
    path: Path,
) -> None:
    server = serve(Connection.wait_closed)
    is_tls = server.url.startswith("https")
    authority = f"{'localhost' if is_tls else server.host}:{server.port}"
    url = f"{'https' if is_tls else 'http'}://{authority}/"
    path.write_text(
        f"cassette: 1\n---\nrequest: GET {url}\nrequest headers: |\n  Host: {authority}\nresponse: 200 OK\n"
        f"response headers: |\n  Content-Length: 5\nresponse body: hello\n{recorded}---\n"
    )
    request = f"GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()

    def connect() -> socket.socket:
        sock = socket.create_connection(("localhost", server.port), timeout=5)
        return client_tls.wrap_socket(sock, server_hostname="localhost") if is_tls else sock

    with ExitStack() as stack:
        sock = stack.enter_context(connect()) if was_open else None
        with use_cassette(path, "none", match="path"):
            sock = sock or stack.enter_context(connect())
            sock.sendall(request)
            begun = sock.recv(10)
        rest, ended = read_to_end(sock)
        assert (begun + rest, ended) == (response(b"hello"), ending)
        assert select.select([sock], [], [], 0)[0], "a pool sees that it is closed"
        with pytest.raises(OSError, match=r"pipe|reset|not in use"):
            sock.sendall(request)
