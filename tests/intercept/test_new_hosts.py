"""In `new_episodes`, what the cassette knows nothing of fails where and as it does without a cassette."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Callable
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
from tests.behaviours import with_causes
from tests.peer import Peer, keep_alive, response

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # clients that fail leave their sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def with_urllib3(url: str) -> Any:
    with urllib3.PoolManager(retries=urllib3.Retry(2)) as pool:
        return pool.request("POST", url, body=b"x", timeout=5).data


def with_requests(url: str) -> Any:
    return requests.post(url, data=b"x", timeout=5).content


def with_httpx(url: str) -> Any:
    return httpx.post(url, content=b"x", trust_env=False).content


async def with_async_httpx(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=b"x")).content


def with_httpx_and_asyncio(url: str) -> Any:
    return asyncio.run(with_async_httpx(url))


def with_httpx_and_trio(url: str) -> Any:
    return trio.run(with_async_httpx, url)


def with_aiohttp(url: str) -> Any:
    async def ask() -> Any:
        async with aiohttp.ClientSession() as client, client.post(url, data=b"x") as answer:
            return await answer.read()

    return asyncio.run(ask())


def with_connection(module: Any, url: str) -> Any:
    connection = module.HTTPConnection(url.split("/")[2], timeout=5)
    try:
        connection.request("POST", "/", b"x")
        return connection.getresponse().read()
    finally:
        connection.close()


def with_http_client(url: str) -> Any:
    return with_connection(http.client, url)


def with_own_client(url: str) -> Any:
    return with_connection(cassette_http.client, url)


CLIENTS = (
    with_urllib3,
    with_requests,
    with_httpx,
    with_httpx_and_asyncio,
    with_httpx_and_trio,
    with_aiohttp,
    with_http_client,
    with_own_client,
)


def chain(client: Callable[[str], Any], url: str) -> list[str]:
    """The classes of the error that a client meets, and of what it came of."""
    try:
        client(url)
    except Exception as error:  # of another class for each library
        return [type(each).__name__ for each in with_causes(error)]
    return []


@pytest.fixture
def some_cassette(peer: Callable[..., Peer], tmp_path: Path) -> Path:
    """It knows one host."""
    path = tmp_path / "some.yaml"
    server = peer(keep_alive(lambda request: response(b"known")))
    with use_cassette(path, "all"):
        with_http_client(server.url)
    return path


@pytest.mark.parametrize("client", [pytest.param(one, id=one.__name__[5:]) for one in CLIENTS])
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_connection_that_fails_does_so_as_without_a_cassette(
    host: str, client: Callable[[str], Any], some_cassette: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://{host}:{unused.getsockname()[1]}/"
    live = chain(client, url)
    assert live
    with use_cassette(some_cassette, "new_episodes") as cassette:
        assert chain(client, url) == live
    assert cassette.recorded
    with use_cassette(some_cassette, "none"):
        assert chain(client, url) == live


def test_requests_through_a_proxy_that_is_known_are_played_without_it(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    path = tmp_path / "proxied.yaml"
    server = peer(keep_alive(lambda request: response(b"through: " + request.split(b" ")[1])))

    def ask() -> bytes:
        with requests.Session() as session:
            session.trust_env = False
            return session.get("http://api.test/a", proxies={"http": server.url}, timeout=5).content

    with use_cassette(path, "new_episodes"):
        live = ask()
    server.stop()
    with use_cassette(path, "new_episodes") as cassette:
        assert ask() == live
    assert cassette.connections == []
