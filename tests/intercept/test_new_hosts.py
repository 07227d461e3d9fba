"""In `new_episodes`, what the cassette knows nothing of fails where and as it does without a cassette.

What it has no answer for, of hosts that it knows, fails in replay where and as it did when recorded.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
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
from tests.peer import Connection, Peer, keep_alive, response

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
    scheme, _, host = url.split("/")[:3]
    connection = (module.HTTPSConnection if scheme == "https:" else module.HTTPConnection)(host, timeout=5)
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
each_client = pytest.mark.parametrize("client", [pytest.param(one, id=one.__name__[5:]) for one in CLIENTS])


def failing(client: Callable[[str], Any], url: str) -> list[tuple[str, str]]:
    """Class and text of the error that a client meets, and of what it came of."""
    try:
        client(url)
    except Exception as error:  # of another class for each library
        return [(type(each).__name__, re.sub("0x[0-9a-f]+", "0x", str(each))) for each in with_causes(error)]
    return []


@pytest.fixture
def some_cassette(peer: Callable[..., Peer], tmp_path: Path) -> Path:
    """It knows one host."""
    path = tmp_path / "some.yaml"
    server = peer(keep_alive(lambda request: response(b"known")))
    with use_cassette(path, "all"):
        with_http_client(server.url)
    return path


@each_client
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_connection_that_fails_does_so_as_without_a_cassette(
    host: str, client: Callable[[str], Any], some_cassette: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://{host}:{unused.getsockname()[1]}/"
    live = failing(client, url)
    assert live
    with use_cassette(some_cassette, "new_episodes") as cassette:
        assert failing(client, url) == live
    assert cassette.recorded
    with use_cassette(some_cassette, "none"):
        assert failing(client, url) == live


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


def refused(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> str:
    server = peer(keep_alive(lambda request: response(b"known")))
    server.stop()
    return server.url


def not_trusted(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> str:
    return peer(keep_alive(lambda request: response(b"known")), tls=server_tls).url.replace("127.0.0.1", "localhost")


def refused_below_tls(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> str:
    return refused(peer, server_tls).replace("http:", "https:")


def not_found(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> str:
    return "http://no-such-host.invalid"


each_way_to_fail = pytest.mark.parametrize("unreached", [refused, refused_below_tls, not_trusted, not_found])


@each_client
@each_way_to_fail
def test_connection_for_a_request_of_a_known_host_that_fails_is_played_to_that_request(
    unreached: Callable[..., str],
    client: Callable[[str], Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """Its client believes that it is connected, and would do so in replay: something else may be asked there first."""
    url, path = unreached(peer, server_tls), tmp_path / "known.yaml"
    known = f"cassette: 1\n---\nrequest: GET {url}/known\nresponse: 204 No Content\n---\n"
    path.write_text(known)
    with use_cassette(path, "new_episodes") as cassette:
        recorded = failing(client, url + "/")
    assert recorded
    kept = path.read_text()
    assert kept.count("request: POST") == kept.count("failure: {") == len(cassette.recorded)
    with use_cassette(path, "none"):
        assert failing(client, url + "/") == recorded, kept


@each_client
@each_way_to_fail
def test_connection_to_a_known_host_of_which_all_was_played_fails_as_without_a_cassette(
    unreached: Callable[..., str],
    client: Callable[[str], Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    url, path = unreached(peer, server_tls) + "/", tmp_path / "played.yaml"
    live = failing(client, url)
    assert live
    path.write_text(
        f"cassette: 1\n---\nrequest: POST {url}\nrequest headers: |\n  Content-Length: 1\nrequest body: x\n"
        "response: 204 No Content\n---\n"
    )
    for mode in ("new_episodes", "none"):
        with use_cassette(path, mode):
            assert client(url) in (b"", None)
            assert failing(client, url) == live


def known_then_new_with_requests(url: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url + "/known").status_code, failing(session.get, url + "/new")


def known_then_new_with_own_client(url: str) -> Any:
    connection = cassette_http.client.HTTPConnection(url.split("/")[2], timeout=5)

    def get(path: str) -> int:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status

    try:
        return get("/known"), failing(get, "/new")
    finally:
        connection.close()


@pytest.mark.parametrize("ask", [known_then_new_with_requests, known_then_new_with_own_client])
def test_kept_connection_whose_peer_is_not_reached_any_more_breaks_at_the_request_again(
    ask: Callable[[str], Any], peer: Callable[..., Peer], server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    url, path = refused(peer, server_tls), tmp_path / "kept.yaml"
    path.write_text(f"cassette: 1\n---\nrequest: GET {url}/known\nresponse: 204 No Content\n---\n")
    with use_cassette(path, "new_episodes"):
        recorded = ask(url)
    assert recorded[1]
    with use_cassette(path, "none"):
        assert ask(url) == recorded, path.read_text()


KNOWN, NEW = "https://localhost/known", "https://localhost/new"


class TunnelsOnce:
    """A proxy that opens the first tunnel, to a server of its own, and speaks nonsense to who asks for another."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    def __call__(self, connection: Connection) -> None:
        connection.read_request()
        if connection.number > 1:
            connection.send(b"SSH-2.0-OpenSSH_9.6\r\n")
            return
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
        while True:
            connection.read_request()
            connection.send(response(b"known"))


def through_urllib3(proxy: str, trust: ssl.SSLContext) -> Any:
    with urllib3.ProxyManager(proxy, ssl_context=trust, retries=False) as pool:
        return pool.request("GET", KNOWN).data, failing(lambda url: pool.request("GET", url), NEW)


def through_httpx(proxy: str, trust: ssl.SSLContext) -> Any:
    with httpx.Client(proxy=proxy, verify=trust, trust_env=False) as client:
        return client.get(KNOWN).content, failing(client.get, NEW)


def through_httpx_and_asyncio(proxy: str, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        async with httpx.AsyncClient(proxy=proxy, verify=trust, trust_env=False) as client:
            known = await client.get(KNOWN)
            with pytest.raises(httpx.TransportError) as caught:
                await client.get(NEW)
            return known.content, [(type(each), str(each)) for each in with_causes(caught.value)]

    return asyncio.run(ask())


def through_own_client(proxy: str, trust: ssl.SSLContext) -> Any:
    connection = cassette_http.client.HTTPSConnection(proxy.removeprefix("http://"), timeout=5, context=trust)
    connection.set_tunnel("localhost")

    def get(url: str) -> bytes:
        connection.request("GET", url.removeprefix("https://localhost"))
        return connection.getresponse().read()

    try:
        return get(KNOWN), failing(get, NEW)
    finally:
        connection.close()


@pytest.mark.parametrize("client", [through_urllib3, through_httpx, through_httpx_and_asyncio, through_own_client])
def test_tunnel_that_is_not_opened_for_a_request_of_a_known_host_is_played_to_that_request(
    client: Callable[..., Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server, path = peer(TunnelsOnce(server_tls)), tmp_path / "tunnel.yaml"
    with use_cassette(path, "all"), httpx.Client(proxy=server.url, verify=client_tls, trust_env=False) as first:
        first.get(KNOWN)
    with use_cassette(path, "new_episodes"):
        recorded = client(server.url, client_tls)
    assert recorded[1]
    with use_cassette(path, "none"):
        assert client(server.url, client_tls) == recorded, path.read_text()
