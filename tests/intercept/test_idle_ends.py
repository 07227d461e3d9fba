"""A peer that closes a connection which it had promised to keep: the program meets the same in replay."""

from __future__ import annotations

import asyncio
import contextvars
import http.client
import select
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import trio
import urllib3

import cassette_http.client
from cassette_http import RecordMode, use_cassette
from tests.behaviours import three_times
from tests.peer import Connection, Peer, Script, keep_alive, response

PATHS = ("/1", "/2", "/3")
SURPLUS = response(status=b"408 Request Timeout")

Ask = Callable[[str, str], Any]


def closes(connection: Connection) -> None:
    connection.read_request()
    connection.send(response(b"ok"))


def resets(connection: Connection) -> None:
    connection.read_request()
    connection.send(response(b"ok"))
    connection.reset()


def says_more_and_closes(connection: Connection) -> None:
    connection.read_request()
    connection.send(response(b"ok"), SURPLUS)


def says_what_may_be_content_and_closes(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


def seen_by(ask: Ask, method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    seen: list[object] = []
    for path in paths:
        try:
            seen.append(ask(method, url + path))
        except Exception as error:  # of whatever library
            seen.append(type(error))
    return seen


def with_module(module: Any, method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    connection = module.HTTPConnection(url.partition("//")[2], timeout=5)

    def ask(method: str, url: str) -> object:
        try:
            connection.request(method, url, b"x" * (method == "POST"))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except Exception:
            connection.close()
            raise

    seen = seen_by(ask, method, url, paths)
    connection.close()
    return seen


def with_urllib3(method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    with urllib3.PoolManager(retries=False, timeout=5) as pool:

        def ask(method: str, url: str) -> object:
            answer = pool.request(method, url, body=b"x" * (method == "POST"))
            return answer.status, answer.data

        return seen_by(ask, method, url, paths)


def with_requests(method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    with requests.Session() as session:

        def ask(method: str, url: str) -> object:
            answer = session.request(method, url, data=b"x" * (method == "POST"), timeout=5)
            return answer.status_code, answer.content

        return seen_by(ask, method, url, paths)


def with_httpx(method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    with httpx.Client(trust_env=False) as client:

        def ask(method: str, url: str) -> object:
            answer = client.request(method, url, content=b"x" * (method == "POST"))
            return answer.status_code, answer.content

        return seen_by(ask, method, url, paths)


async def seen_by_tasks(
    ask: Callable[[str], Awaitable[object]], url: str, paths: Iterable[str] = PATHS
) -> list[object]:
    seen: list[object] = []
    for path in paths:
        try:
            seen.append(await ask(url + path))
        except Exception as error:
            seen.append(type(error))
    return seen


async def with_async_httpx(method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ask(url: str) -> object:
            answer = await client.request(method, url, content=b"x" * (method == "POST"))
            return answer.status_code, answer.content

        return await seen_by_tasks(ask, url, paths)


async def with_aiohttp(method: str, url: str, paths: Iterable[str] = PATHS) -> list[object]:
    async with aiohttp.ClientSession() as session:

        async def ask(url: str) -> object:
            async with session.request(method, url, data=b"x" if method == "POST" else None) as answer:
                return answer.status, await answer.read()

        return await seen_by_tasks(ask, url, paths)


CLIENTS = [
    pytest.param(lambda *args: with_module(http.client, *args), id="http.client"),
    pytest.param(lambda *args: with_module(cassette_http.client, *args), id="cassette_http.client"),
    pytest.param(with_urllib3, id="urllib3"),
    pytest.param(with_requests, id="requests"),
    pytest.param(with_httpx, id="httpx"),
    pytest.param(lambda *args: asyncio.run(with_async_httpx(*args)), id="httpx-asyncio"),
    pytest.param(lambda *args: trio.run(with_async_httpx, *args), id="httpx-trio"),
    pytest.param(lambda *args: asyncio.run(with_aiohttp(*args)), id="aiohttp"),
]


# httpx leaves the body of a request that it could not send to the end.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("script", [closes, resets, says_more_and_closes, says_what_may_be_content_and_closes])
@pytest.mark.parametrize("client", CLIENTS)
def test_replay_ends_as_the_recording_did(
    client: Callable[[str, str], list[object]],
    script: Script,
    method: str,
    peer: Callable[..., Peer],
    tmp_path: Path,
) -> None:
    """What a program meets live may depend on who is faster; the replay is to be like the recording."""
    server = peer(script)
    path = tmp_path / "idle.yaml"
    with use_cassette(path, "all"):
        recorded = client(method, server.url)
    server.stop()
    with use_cassette(path, "none"):
        assert client(method, server.url) == recorded


def asked_until_it_is_gone(server: Peer) -> Iterator[str]:
    yield "/1"
    server.stop()
    yield "/2"
    yield "/3"


@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize("modes", [("all", "none"), ("new_episodes", "new_episodes")], ids="-".join)
@pytest.mark.parametrize("client", CLIENTS)
def test_peer_that_is_gone_after_an_idle_time_refuses_in_replay(
    client: Callable[..., list[object]], modes: tuple[RecordMode, RecordMode], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """A pool that has dropped the idle connection cannot make another one."""
    path = tmp_path / "gone.yaml"
    server = peer(keep_alive(lambda _: response(b"ok")))
    with use_cassette(path, modes[0]):
        recorded = client("GET", server.url, asked_until_it_is_gone(server))
    assert recorded[0] == (200, b"ok")
    with use_cassette(path, modes[1]):
        assert client("GET", server.url) == recorded


@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize("backend", ["waiting", "asyncio", "trio"])
def test_replay_of_tls_ends_as_the_recording_did(
    backend: str, peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """A client that only polls sees that records have come, which may be octets or the end."""
    server = peer(says_more_and_closes, tls=server_tls)

    async def in_tasks() -> list[object]:
        async with httpx.AsyncClient(verify=client_tls, trust_env=False) as client:

            async def ask(url: str) -> object:
                return (await client.get(url)).content

            return await seen_by_tasks(ask, server.url)

    def client() -> list[object]:
        if backend == "asyncio":
            return asyncio.run(in_tasks())
        if backend == "trio":
            return trio.run(in_tasks)
        with httpx.Client(verify=client_tls, trust_env=False) as waiting:
            return seen_by(lambda method, url: waiting.request(method, url).content, "GET", server.url)

    path = tmp_path / "idle.yaml"
    with use_cassette(path, "all"):
        recorded = client()
    server.stop()
    with use_cassette(path, "none"):
        assert client() == recorded


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "ends"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_connection_that_is_given_back_within_a_response_is_not_used_again(
    goes_on: bool,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """What its client has not read shows when its pool polls it."""
    large = response(b"x" * 1_000_000)

    def script(connection: Connection) -> None:
        if b" /large " not in connection.read_request():
            connection.send(response(b"ok"))
        elif goes_on:
            connection.send(large)
            connection.wait_closed()
        else:
            connection.send(large[:100])

    server = peer(script, tls=server_tls if is_tls else None)

    def ask() -> list[object]:
        with urllib3.PoolManager(retries=False, timeout=5, ssl_context=client_tls) as pool:
            answer = pool.request("GET", server.url + "/large", preload_content=False)
            seen: list[object] = [answer.status, answer.read(5)]
            if not goes_on:
                is_readable(answer.connection)
            answer.release_conn()
            return [*seen, pool.request("GET", server.url + "/small").data]

    three_times(ask, tmp_path / "given back.yaml", server)


def is_readable(connection: Any) -> None:
    """Wait until the end has come."""
    ready, _, _ = select.select([connection.sock], [], [], 5)
    assert ready


def is_stale_after_one(connection: Connection) -> None:
    """The first two do not answer their second request."""
    for number in range(4):
        connection.read_request()
        if number and connection.number <= 2:
            return
        connection.send(response(b"ok"))


def ask_in_tasks(url: str, steps: list[tuple[str, int]]) -> dict[str, list[object]]:
    """Two connections are there when tasks send requests, each by the connection with this number."""
    pool = [http.client.HTTPConnection(url.partition("//")[2], timeout=5) for _ in range(4)]
    tasks = {task: contextvars.copy_context() for task, _ in steps}
    seen: dict[str, list[object]] = {task: [] for task in tasks}

    def ask(connection: http.client.HTTPConnection) -> object:
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except http.client.RemoteDisconnected as error:
            connection.close()
            return type(error)

    for connection in pool[:2]:
        assert ask(connection) == b"ok"
    for task, number in steps:
        seen[task].append(tasks[task].run(ask, pool[number - 1]))
    for connection in pool:
        connection.close()
    return seen


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("a", 1), ("a", 3), ("b", 2), ("b", 4)], id="on a new connection"),
        pytest.param([("a", 1), ("a", 2), ("b", 2), ("b", 3)], id="on another old connection"),
    ],
)
def test_who_asks_again_after_a_loss_does_not_get_that_of_another_task(
    steps: list[tuple[str, int]], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(is_stale_after_one)
    path = tmp_path / "stale.yaml"
    with use_cassette(path, "all"):
        recorded = ask_in_tasks(server.url, [("a", 1), ("b", 2), ("a", 3), ("b", 4)])
    server.stop()
    assert recorded["a"] == recorded["b"] == [http.client.RemoteDisconnected, b"ok"]
    with use_cassette(path, "none"):
        assert ask_in_tasks(server.url, steps) == recorded


def test_losses_that_one_task_meets_in_a_row_are_played_in_a_row(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(is_stale_after_one)
    path = tmp_path / "stale.yaml"
    steps = [("a", 1), ("a", 2), ("a", 3)]
    with use_cassette(path, "all"):
        recorded = ask_in_tasks(server.url, steps)
    server.stop()
    assert recorded["a"] == [http.client.RemoteDisconnected, http.client.RemoteDisconnected, b"ok"]
    with use_cassette(path, "none"):
        assert ask_in_tasks(server.url, steps) == recorded


def test_end_is_added_to_the_one_of_equal_interactions_that_it_followed(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    path = tmp_path / "idle.yaml"

    async def ask(*, until_it_ends: bool) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        assert await reader.readexactly(len(response(b"ok"))) == response(b"ok")
        if until_it_ends:
            assert await reader.read() == b""
        writer.close()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"ok"))
        if connection.number != 2:
            connection.wait_closed()

    server = peer(script)
    with use_cassette(path, "all"):
        for number in (1, 2, 3):
            asyncio.run(ask(until_it_ends=number == 2))
    with use_cassette(path, "none") as cassette:
        assert [interaction.track.ended for interaction in cassette.interactions] == [False, True, False]


def test_end_is_added_when_the_recording_ends(peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "idle.yaml"

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        assert await reader.readexactly(len(response(b"ok"))) == response(b"ok")
        assert path.read_text().endswith("response body: |-\n  ok\n---\n")
        assert await reader.read() == b""
        writer.close()

    server = peer(closes)
    with use_cassette(path, "all"):
        asyncio.run(ask())
    assert path.read_text().endswith("response body: |-\n  ok\nwire: {ends: true}\n---\n")
