"""A host that answers no connect: who does not wait for it gives up, and does so in replay too."""

from __future__ import annotations

import asyncio
import http.client
import selectors
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import trio
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from cassette_http import UnmatchedRequest, use_cassette
from tests.behaviours import three_times, with_causes
from tests.peer import Peer, keep_alive, response

PATIENCE_S = 0.2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue of connects is no silence")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue of connects is full, so that the system leaves further ones without an answer."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def with_selector(port: int) -> Any:
    with socket.socket() as sock, selectors.DefaultSelector() as selector:
        sock.setblocking(False)
        begun = sock.connect_ex(("127.0.0.1", port))
        selector.register(sock, selectors.EVENT_WRITE)
        return begun, selector.select(PATIENCE_S), sock.connect_ex(("127.0.0.1", port))


def with_streams(port: int) -> Any:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), PATIENCE_S))


def with_trio(port: int) -> Any:
    async def ask() -> None:
        with trio.fail_after(PATIENCE_S):
            await trio.open_tcp_stream("127.0.0.1", port)

    trio.run(ask)


def with_aiohttp(port: int) -> Any:
    async def ask() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_connect=PATIENCE_S)) as session:
            await session.get(f"http://127.0.0.1:{port}/")

    asyncio.run(ask())


def with_httpx(port: int) -> Any:
    async def ask() -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            await client.get(f"http://localhost:{port}/")

    asyncio.run(ask())


def with_tornado(port: int) -> Any:
    async def ask() -> None:
        with closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
            await client.fetch(f"http://127.0.0.1:{port}/", connect_timeout=PATIENCE_S)

    asyncio.run(ask())


def seen_by(client: Callable[[int], Any], port: int) -> Any:
    try:
        return client(port)
    except Exception as error:
        return [type(cause) for cause in with_causes(error)]


@pytest.mark.parametrize(
    "client",
    [with_selector, with_streams, with_trio, with_aiohttp, with_httpx, with_tornado],
    ids=lambda it: it.__name__,
)
def test_connect_without_an_answer_is_the_same_three_times(
    client: Callable[[int], Any], silent_port: int, tmp_path: Path
) -> None:
    live = seen_by(client, silent_port)
    with use_cassette(tmp_path / "silent.yaml"):
        recorded = seen_by(client, silent_port)
    with use_cassette(tmp_path / "silent.yaml", "none") as cassette:
        played = seen_by(client, silent_port)
    assert live == recorded == played
    assert cassette.unplayed == []


def test_connect_that_has_succeeded_when_it_is_given_up_is_no_failure(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"ok")))
    with use_cassette(tmp_path / "early.yaml"), socket.socket() as sock, selectors.DefaultSelector() as selector:
        sock.setblocking(False)
        sock.connect_ex((server.host, server.port))
        selector.register(sock, selectors.EVENT_WRITE)
        selector.select(5)
    assert "failure" not in (tmp_path / "early.yaml").read_text()


def test_who_asks_for_the_peer_learns_that_a_connect_was_refused(tmp_path: Path) -> None:
    def ask() -> int:
        with socket.socket() as sock, selectors.DefaultSelector() as selector:
            sock.setblocking(False)
            sock.connect_ex(refuses.getsockname())
            selector.register(sock, selectors.EVENT_WRITE)
            selector.select(5)
            with pytest.raises(OSError, match="not connected"):
                sock.getpeername()
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    with socket.socket() as refuses:
        refuses.bind(("127.0.0.1", 0))
        three_times(ask, tmp_path / "refused.yaml")


SILENCE = """\
cassette: 1
---
request: GET http://api.test/old
response: 200 OK
response headers: |
  Content-Length: 0
---
failed: tcp://api.test:80
failure: {kind: connect failed, text: timed out, at: 0.2}
---
"""


def test_request_that_is_not_in_the_cassette_meets_no_time_out_of_its_host(tmp_path: Path) -> None:
    path = tmp_path / "silent.yaml"
    path.write_text(SILENCE)
    connection = http.client.HTTPConnection("api.test", timeout=5)
    with (
        closing(connection),
        pytest.raises(UnmatchedRequest, match=r"interaction 2: a connection to this host had no answer in time"),
        use_cassette(path, "none"),
    ):
        connection.request("GET", "/new")


def test_request_of_one_of_several_connections_meets_the_time_out_of_its_host(tmp_path: Path) -> None:
    """They were opened at once, so that it was not clear yet which of them it is."""
    path = tmp_path / "silent.yaml"
    path.write_text(SILENCE)
    with (
        closing(http.client.HTTPConnection("api.test", timeout=5)) as first,
        closing(http.client.HTTPConnection("api.test", timeout=5)) as second,
        use_cassette(path, "none") as cassette,
    ):
        first.connect()
        second.connect()
        second.request("GET", "/new")
        with pytest.raises(TimeoutError):
            second.getresponse()
        first.request("GET", "/old")
        assert first.getresponse().status == 200
        assert cassette.unplayed == []
