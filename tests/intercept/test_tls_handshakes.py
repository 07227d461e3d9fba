"""A TLS handshake that fails, by alert, close, reset, nonsense or silence, fails in the same way in replay."""

from __future__ import annotations

import asyncio
import http.client
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
import trustme
import uvloop
from tornado.simple_httpclient import SimpleAsyncHTTPClient

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import three_times
from tests.intercept.test_tls_ends import CLIENTS, Client
from tests.peer import Connection, Peer, Script, response

# Fatal alerts (RFC 8446 section 6): handshake_failure and protocol_version.
REFUSES_HANDSHAKE, REFUSES_VERSION = bytes.fromhex("15030300020228"), bytes.fromhex("15030100020246")


def answers_hello(octets: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read(1)
        connection.send(octets)

    return script


def resets(connection: Connection) -> None:
    connection.read(1)
    connection.reset()


def is_silent(connection: Connection) -> None:
    connection.wait_closed()


def seen_of(ask: Callable[[], Any]) -> Any:
    """What the program sees of a failure, and of what that came of."""
    try:
        return ask()
    except Exception as error:
        seen = []
        cause: BaseException | None = error
        while cause is not None:
            seen.append((type(cause).__qualname__, str(cause), getattr(cause, "errno", None)))
            cause = cause.__cause__
        return seen


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answers_hello(b""), id="close"),
        pytest.param(resets, id="reset"),
        pytest.param(answers_hello(REFUSES_HANDSHAKE), id="alert"),
        pytest.param(answers_hello(REFUSES_VERSION), id="another version"),
        pytest.param(answers_hello(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="no TLS"),
        pytest.param(answers_hello(bytes.fromhex("160303004a0200")), id="breaks off"),
    ],
)
@pytest.mark.parametrize("client", CLIENTS)
def test_failed_handshake_is_the_same_three_times(
    client: Client, script: Script, peer: Callable[..., Peer], client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(script)

    def ask() -> Any:
        return [seen_of(lambda: client(server.port, client_tls)) for _ in range(2)]

    three_times(ask, tmp_path / "handshake.yaml", server)


def impatient_socket(port: int, trust: ssl.SSLContext) -> Any:
    with socket.create_connection(("localhost", port), timeout=0.2) as sock:
        trust.wrap_socket(sock, server_hostname="localhost")


def impatient_streams(port: int, trust: ssl.SSLContext) -> Any:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("localhost", port, ssl=trust), 0.2))


def impatient_selector(port: int, trust: ssl.SSLContext) -> Any:
    """A socket that never waits: whoever watches it gives up."""
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False) as secured,
        selectors.DefaultSelector() as selector,
    ):
        secured.setblocking(False)
        for _ in range(2):
            with pytest.raises(ssl.SSLWantReadError):
                secured.do_handshake()
        selector.register(secured, selectors.EVENT_READ)
        return selector.select(0.2)


def impatient_tornado(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        with closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
            return await client.fetch(f"https://localhost:{port}/", ssl_options=trust, connect_timeout=0.2)

    asyncio.run(ask())


@pytest.mark.parametrize("client", [impatient_socket, impatient_streams, impatient_selector, impatient_tornado])
def test_silence_in_the_handshake_is_the_same_three_times(
    client: Client, peer: Callable[..., Peer], client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(is_silent)
    three_times(lambda: seen_of(lambda: client(server.port, client_tls)), tmp_path / "silent.yaml", server)


def test_silent_handshake_among_others_is_met_by_the_same_request(
    peer: Callable[..., Peer], authority: trustme.CA, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)

    def answers_the_others(connection: Connection) -> None:
        if connection.number == 2:
            is_silent(connection)
        with suppress(OSError):
            connection.sock = serving.wrap_socket(connection.sock, server_side=True)
            connection.send(response(connection.read_request().split()[1], b"Connection: close"))

    server = peer(answers_the_others)

    async def ask(path: str) -> object:
        reader, writer = await asyncio.open_connection("localhost", server.port, ssl=client_tls)
        with closing(writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return await reader.read()

    async def ask_at_once() -> list[object]:
        asked = [asyncio.wait_for(ask(path), 0.5) for path in ("/1", "/2", "/3")]
        return [repr(seen) for seen in await asyncio.gather(*asked, return_exceptions=True)]

    with use_cassette(tmp_path / "among.yaml"):
        recorded = asyncio.run(ask_at_once())
    server.stop()
    with use_cassette(tmp_path / "among.yaml", record_mode="none") as cassette:
        played = asyncio.run(ask_at_once())
    assert played == recorded
    assert recorded.count("TimeoutError()") == 1
    assert cassette.unplayed == []


def silent_socket(port: int, trust: ssl.SSLContext) -> Any:
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        return ["handshake made", seen_of(lambda: secured.recv(1))]


def silent_streams(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        with closing(writer):
            try:
                return await reader.read(1)
            except ssl.SSLError as error:
                return ["handshake made", str(error)]

    return asyncio.run(ask())


def silent_trio(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=trust)
        async with stream:
            await stream.do_handshake()
            try:
                return await stream.receive_some(1)
            except trio.BrokenResourceError as error:
                return ["handshake made", str(error.__cause__)]

    return trio.run(ask)


@pytest.fixture
def demanding(peer: Callable[..., Peer], authority: trustme.CA) -> Peer:
    """A server that wants a certificate of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def wants_certificate(connection: Connection) -> None:
        with suppress(ssl.SSLError):
            context.wrap_socket(connection.sock, server_side=True)

    return peer(wants_certificate)


@pytest.mark.parametrize("client", [silent_socket, silent_streams, silent_trio])
def test_refusal_before_the_first_request_is_the_same_three_times(
    client: Client, demanding: Peer, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def ask() -> Any:
        seen.append(client(demanding.port, client_tls))
        return seen[-1]

    three_times(ask, tmp_path / "refused.yaml", demanding)
    assert "CERTIFICATE_REQUIRED" in str(seen[0])
    assert seen[0][0] == "handshake made"


def test_refusal_is_raised_where_a_program_sends_before_it_comes(
    demanding: Peer, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    path = tmp_path / "refused.yaml"
    with use_cassette(path, "all"):
        silent_socket(demanding.port, client_tls)
    demanding.stop()

    def ask(connection: Any) -> None:
        with closing(connection):
            connection.request("GET", "/")
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                connection.getresponse()

    async def ask_in_loop() -> None:
        reader, writer = await asyncio.open_connection("localhost", demanding.port, ssl=client_tls)
        with closing(writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                await reader.read()

    with use_cassette(path, "none"):
        ask(http.client.HTTPSConnection("localhost", demanding.port, timeout=5, context=client_tls))
    with use_cassette(path, "none"):
        ask(cassette_http.client.HTTPSConnection("localhost", demanding.port, timeout=5, context=client_tls))
    with use_cassette(path, "none"):
        asyncio.run(ask_in_loop())


def test_request_that_a_reset_connection_does_not_take_is_the_same_three_times(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """The object of TLS takes it; it is the socket below that breaks."""
    was_reset = threading.Semaphore(0)

    def breaks_off(connection: Connection) -> None:
        connection.reset()
        was_reset.release()

    server = peer(breaks_off, tls=server_tls)

    async def ask() -> Any:
        stream = await trio.open_ssl_over_tcp_stream("localhost", server.port, ssl_context=client_tls)
        async with stream:
            await stream.do_handshake()
            assert not server.is_running or was_reset.acquire(timeout=5)
            with pytest.raises(trio.BrokenResourceError) as raised:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return str(raised.value.__cause__)

    three_times(lambda: trio.run(ask), tmp_path / "reset.yaml", server)


async def retries_with_httpx(url: str, trust: ssl.SSLContext) -> Any:
    """Give the first request up; httpx does not close the connection of its handshake."""
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=5) as client:
        with anyio.move_on_after(0.3) as patience:
            await client.get(url)
        return patience.cancelled_caught, (await client.get(url)).content


async def cancels_task_of_httpx(url: str, trust: ssl.SSLContext) -> Any:
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=5) as client:
        task = asyncio.create_task(client.get(url))  # keeps all that it has, as long as it is there
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        return (await client.get(url)).content, task.cancelled()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda *args: asyncio.run(retries_with_httpx(*args)), id="asyncio"),
        pytest.param(lambda *args: asyncio.run(cancels_task_of_httpx(*args)), id="task of asyncio"),
        pytest.param(lambda *args: uvloop.run(retries_with_httpx(*args)), id="uvloop"),
        pytest.param(lambda *args: trio.run(retries_with_httpx, *args), id="trio"),
    ],
)
def test_handshake_that_is_given_up_without_a_close_is_not_answered_in_replay(
    run: Callable[..., Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def answers_every_other(connection: Connection) -> None:
        if connection.number % 2:
            connection.wait_closed()
            return
        connection.sock = server_tls.wrap_socket(connection.sock, server_side=True)
        connection.read_request()
        connection.send(response(b"at last"))

    server = peer(answers_every_other)
    path = tmp_path / "given_up.yaml"
    url = f"https://localhost:{server.port}/"
    with use_cassette(path):
        recorded = run(url, client_tls)
    server.stop()
    with use_cassette(path, "none") as cassette:
        assert run(url, client_tls) == recorded
    assert b"at last" in recorded
    assert True in recorded
    assert cassette.unplayed == []
