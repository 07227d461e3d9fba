"""A TLS handshake that fails, by alert, close, reset, nonsense or silence, fails in the same way in replay."""

from __future__ import annotations

import asyncio
import selectors
import socket
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tests.behaviours import assert_same_three_times
from tests.intercept.test_tls_ends import CLIENTS, Client
from tests.peer import Connection, Peer, Script

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

    assert_same_three_times(ask, server, tmp_path / "handshake.yaml")


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
    assert_same_three_times(lambda: seen_of(lambda: client(server.port, client_tls)), server, tmp_path / "silent.yaml")


def silent_socket(port: int, trust: ssl.SSLContext) -> Any:
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.recv(1)


def silent_streams(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> None:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        with closing(writer):
            await reader.read(1)

    asyncio.run(ask())


def silent_trio(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> None:
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=trust)
        async with stream:
            await stream.receive_some(1)

    trio.run(ask)


@pytest.mark.parametrize("client", [silent_socket, silent_streams, silent_trio])
def test_refusal_before_the_first_request_is_the_same_three_times(
    client: Client, peer: Callable[..., Peer], authority: trustme.CA, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(demanding)
    authority.configure_trust(demanding)
    demanding.verify_mode = ssl.CERT_REQUIRED

    def wants_certificate(connection: Connection) -> None:
        with suppress(ssl.SSLError):
            demanding.wrap_socket(connection.sock, server_side=True)

    server = peer(wants_certificate)
    path = tmp_path / "refused.yaml"
    assert_same_three_times(lambda: seen_of(lambda: client(server.port, client_tls)), server, path)
