"""A peer that closes a connection which it had promised to keep: the program meets the same in replay."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import trio
import urllib3

import cassette_http.client
from cassette_http import use_cassette
from tests.peer import Connection, Peer, Script, response

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


def seen_by(ask: Ask, method: str, url: str) -> list[object]:
    seen: list[object] = []
    for path in PATHS:
        try:
            seen.append(ask(method, url + path))
        except Exception as error:  # of whatever library
            seen.append(type(error))
    return seen


def with_module(module: Any, method: str, url: str) -> list[object]:
    connection = module.HTTPConnection(url.partition("//")[2], timeout=5)

    def ask(method: str, url: str) -> object:
        try:
            connection.request(method, url, b"x" * (method == "POST"))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except Exception:
            connection.close()
            raise

    seen = seen_by(ask, method, url)
    connection.close()
    return seen


def with_urllib3(method: str, url: str) -> list[object]:
    with urllib3.PoolManager(retries=False, timeout=5) as pool:

        def ask(method: str, url: str) -> object:
            answer = pool.request(method, url, body=b"x" * (method == "POST"))
            return answer.status, answer.data

        return seen_by(ask, method, url)


def with_requests(method: str, url: str) -> list[object]:
    with requests.Session() as session:

        def ask(method: str, url: str) -> object:
            answer = session.request(method, url, data=b"x" * (method == "POST"), timeout=5)
            return answer.status_code, answer.content

        return seen_by(ask, method, url)


def with_httpx(method: str, url: str) -> list[object]:
    with httpx.Client(trust_env=False) as client:

        def ask(method: str, url: str) -> object:
            answer = client.request(method, url, content=b"x" * (method == "POST"))
            return answer.status_code, answer.content

        return seen_by(ask, method, url)


async def seen_by_tasks(ask: Callable[[str], Awaitable[object]], url: str) -> list[object]:
    seen: list[object] = []
    for path in PATHS:
        try:
            seen.append(await ask(url + path))
        except Exception as error:
            seen.append(type(error))
    return seen


async def with_async_httpx(method: str, url: str) -> list[object]:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ask(url: str) -> object:
            answer = await client.request(method, url, content=b"x" * (method == "POST"))
            return answer.status_code, answer.content

        return await seen_by_tasks(ask, url)


async def with_aiohttp(method: str, url: str) -> list[object]:
    async with aiohttp.ClientSession() as session:

        async def ask(url: str) -> object:
            async with session.request(method, url, data=b"x" if method == "POST" else None) as answer:
                return answer.status, await answer.read()

        return await seen_by_tasks(ask, url)


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
@pytest.mark.parametrize("script", [closes, resets, says_more_and_closes])
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
