"""A peer that does not read: a client that never waits in a send gives up in replay as it did live."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import select
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import trio

import cassette_http.client
from cassette_http import use_cassette
from cassette_http.cassette.model import FailureKind
from tests.behaviours import three_times
from tests.peer import LIMIT_S, Connection, Peer, response

# More than all buffers between client and peer hold.
BODY = bytes(7_000_000)
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY)
PATIENCE_S = 0.3

Client = Callable[[str, ssl.SSLContext], Any]


def does_not_read(connection: Connection) -> None:
    """Until the test stops the peer: it would not see the end behind what it has not read."""
    poller = select.poll()
    poller.register(connection.sock, 0)
    poller.poll(LIMIT_S * 1000)


async def ask_httpx(url: str, trust: ssl.SSLContext) -> Any:
    timeout = httpx.Timeout(LIMIT_S, write=PATIENCE_S)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=timeout) as client:
        try:
            return await client.post(url, content=BODY)
        except httpx.TimeoutException as error:
            return type(error)


async def ask_streams(url: str, trust: ssl.SSLContext) -> Any:
    parts = httpx.URL(url)
    context = trust if parts.scheme == "https" else None
    _, writer = await asyncio.open_connection(parts.host, parts.port, ssl=context)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(HEAD)
            for start in range(0, len(BODY), 50_000):
                writer.write(BODY[start : start + 50_000])
                await writer.drain()
        return "all was sent"
    except TimeoutError:
        return "stalled"
    finally:
        writer.transport.abort()


def with_httpx_on_asyncio(url: str, trust: ssl.SSLContext) -> Any:
    return asyncio.run(ask_httpx(url, trust))


def with_httpx_on_trio(url: str, trust: ssl.SSLContext) -> Any:
    return trio.run(ask_httpx, url, trust)


def with_streams(url: str, trust: ssl.SSLContext) -> Any:
    return asyncio.run(ask_streams(url, trust))


def with_selector(url: str, _: ssl.SSLContext) -> Any:
    """Sends what is taken; then the descriptor is neither readable nor writable."""
    parts = httpx.URL(url)
    with (
        socket.create_connection((parts.host, parts.port), timeout=5) as sock,
        selectors.DefaultSelector() as selector,
    ):
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        rest = HEAD + BODY
        while rest and selector.select(PATIENCE_S):
            rest = rest[sock.send(rest) :]
        return bool(rest)


def with_module(module: Any) -> Client:
    """Waits for the response although it could not send all."""

    def ask(url: str, trust: ssl.SSLContext) -> Any:
        parts = httpx.URL(url)
        connection = module.HTTPConnection(parts.host, parts.port, timeout=PATIENCE_S)
        if parts.scheme == "https":
            connection = module.HTTPSConnection(parts.host, parts.port, timeout=PATIENCE_S, context=trust)
        pieces = [BODY[start : start + 100_000] for start in range(0, len(BODY), 100_000)]
        said = []
        try:
            for act in (lambda: connection.request("POST", "/", pieces), connection.getresponse):
                with pytest.raises(TimeoutError) as caught:
                    act()
                said.append(str(caught.value).partition("\n")[0])
        finally:
            connection.close()
        return said

    return ask


# httpx leaves the body of a request that it could not send to the end.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize(
    ("client", "is_tls"),
    [
        pytest.param(with_httpx_on_asyncio, False, id="httpx-asyncio"),
        pytest.param(with_httpx_on_asyncio, True, id="httpx-asyncio, TLS"),
        pytest.param(with_httpx_on_trio, False, id="httpx-trio"),
        pytest.param(with_httpx_on_trio, True, id="httpx-trio, TLS"),
        pytest.param(with_streams, False, id="streams"),
        pytest.param(with_streams, True, id="streams, TLS"),
        pytest.param(with_selector, False, id="selector"),
        pytest.param(with_module(http.client), False, id="http.client"),
        pytest.param(with_module(http.client), True, id="http.client, TLS"),
        pytest.param(with_module(cassette_http.client), False, id="ours"),
        pytest.param(with_module(cassette_http.client), True, id="ours, TLS"),
    ],
)
def test_upload_that_nobody_reads_is_stalled_three_times(
    client: Client,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(does_not_read, tls=server_tls if is_tls else None)
    url = server.url.replace(server.host, "localhost")
    _, cassette = three_times(lambda: client(url, client_tls), tmp_path / "held.yaml", server)
    [played] = cassette.played
    assert played.track.failure is not None
    assert (played.track.failure.kind, played.track.failure.is_timeout) == (FailureKind.WRITE, True)


class BreaksOffAfterNextRequest:
    """Takes the head of an upload, and breaks that connection when its client asks for something else."""

    def __init__(self) -> None:
        self.meeting = threading.Barrier(2)

    def __call__(self, connection: Connection) -> None:
        is_upload = connection.read_until(b"\r\n\r\n").startswith(b"POST")
        self.meeting.wait(LIMIT_S)
        if is_upload:
            connection.reset()
        self.meeting.wait(LIMIT_S)
        if not is_upload:
            connection.send(response(b"meanwhile"))


async def give_up_with_aiohttp(url: str) -> Any:
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await session.post(url, data=BODY)
            said = "answered"
        except TimeoutError:  # the transport goes on sending what it holds
            said = "gave up"
        except aiohttp.ClientError as error:
            said = repr(error)
        async with session.get(url) as answer:
            return said, await answer.read()


# aiohttp would rather have a file, and ends before its transport has met what broke it.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("litter")
def test_upload_that_breaks_after_its_client_gave_up_breaks_after_that_again(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(BreaksOffAfterNextRequest())
    _, cassette = three_times(lambda: asyncio.run(give_up_with_aiohttp(server.url)), tmp_path / "gave up.yaml", server)
    [failure] = [one.track.failure for one in cassette.played if one.track.failure is not None]
    assert (failure.kind, failure.is_timeout) == (FailureKind.WRITE, False)


def test_upload_that_breaks_while_it_is_stalled_breaks_three_times(peer: Callable[..., Peer], tmp_path: Path) -> None:
    is_stalled = threading.Event()

    def breaks_off(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        assert is_stalled.wait(LIMIT_S)
        connection.reset()

    server = peer(breaks_off)

    def ask() -> str:
        is_stalled.clear()
        with (
            socket.create_connection((server.host, server.port), timeout=5) as sock,
            selectors.DefaultSelector() as selector,
        ):
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_WRITE)
            rest = HEAD + BODY
            while rest:
                if not selector.select(PATIENCE_S):
                    is_stalled.set()
                    assert selector.select(LIMIT_S), "the upload is stalled for ever"
                try:
                    rest = rest[sock.send(rest) :]
                except OSError as error:
                    return repr(error)
        return "all was sent"

    seen, _ = three_times(ask, tmp_path / "held.yaml", server)
    assert seen == repr(RESET)


def resets_within_upload(connection: Connection) -> None:
    connection.read_until(b"\r\n\r\n")
    connection.reset()


def post_with_ours(port: int, trust: ssl.SSLContext | None = None) -> OSError | None:
    if trust is None:
        connection = cassette_http.client.HTTPConnection("localhost", port, timeout=LIMIT_S)
    else:
        connection = cassette_http.client.HTTPSConnection("localhost", port, timeout=LIMIT_S, context=trust)
    try:
        connection.request("POST", "/", BODY)
        return None
    except OSError as error:
        return error
    finally:
        connection.close()


def test_upload_of_our_client_breaks_off_three_times(peer: Callable[..., Peer], tmp_path: Path) -> None:
    """It looks for an early answer while it sends, and so may meet in a read what broke the connection."""
    server = peer(resets_within_upload)
    three_times(lambda: repr(post_with_ours(server.port)), tmp_path / "ours.yaml", server)


RESET = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
RESET_IN_CASSETTE = "errno: ECONNRESET, text: Connection reset by peer, details: {sent: 900000}"
BROKEN_TLS = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
BROKEN_TLS_IN_CASSETTE = (
    "text: EOF occurred in violation of protocol, details: {class: SSLEOFError, number: 8, sent: 900000}"
)


@pytest.mark.parametrize(
    ("scheme", "broken", "written"),
    [
        pytest.param("http", RESET, RESET_IN_CASSETTE, id="TCP"),
        pytest.param("https", BROKEN_TLS, BROKEN_TLS_IN_CASSETTE, id="TLS"),
    ],
)
def test_upload_of_our_client_breaks_in_the_send_that_has_met_it(
    scheme: str, broken: OSError, written: str, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """Where it looks for an early answer before that, there is none."""
    path = tmp_path / "broken.yaml"
    path.write_text(
        f"cassette: 1\n---\nrequest: POST {scheme}://localhost:5000/\n"
        f"request headers: |\n  Host: localhost:5000\n  Content-Length: {len(BODY)}\n"
        f"failure: {{kind: write failed, {written}}}\n---\n"
    )
    with use_cassette(path, "none"):
        met = post_with_ours(5000, client_tls if scheme == "https" else None)
    assert repr(met) == repr(broken)
