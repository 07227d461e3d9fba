"""Proxies that are reached by TLS: the TLS of the tunnel goes through that of the proxy, and is recorded and played."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import requests.adapters
import trio
import urllib3

from cassette_http import use_cassette
from tests.behaviours import three_times, with_causes
from tests.peer import Connection, Gone, Peer, Script, response

TARGET = "https://localhost:4443"


class Inner:
    """The server's side of a TLS connection that goes through another one: what a `Connection` needs of a socket."""

    def __init__(self, carrier: Any, tls: ssl.SSLContext) -> None:
        self._carrier = carrier
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._state = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._do(self._state.do_handshake)

    def recv(self, at_most: int) -> bytes:
        octets: bytes = self._do(lambda: self._state.read(at_most))
        return octets

    def sendall(self, octets: bytes) -> None:
        self._do(lambda: self._state.write(octets))

    def _do(self, call: Callable[[], Any]) -> Any:
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self._flush()
                octets = self._carrier.recv(65536)
                if not octets:
                    raise Gone from None
                self._incoming.write(octets)
            finally:
                self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._carrier.sendall(self._outgoing.read())


def proxy(tls: ssl.SSLContext) -> Script:
    """A proxy that is itself what is behind its tunnels."""

    def script(connection: Connection) -> None:
        request = connection.read_request()
        assert request.startswith(b"CONNECT localhost:4443 "), request
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inner = Connection(Inner(connection.sock, tls), connection.number)  # type: ignore[arg-type]
        while True:
            target = inner.read_request().split(b" ")[1]
            inner.send(response(b"through the tunnel: " + target, b"Server: inner"))

    return script


def with_urllib3(url: str, trust: ssl.SSLContext) -> Any:
    with urllib3.ProxyManager(url, proxy_ssl_context=trust, ssl_context=trust, retries=False) as pool:
        answers = [pool.request("GET", TARGET + path) for path in ("/a", "/b")]
        return [(answer.data, answer.headers["Server"]) for answer in answers]


def with_requests(url: str, trust: ssl.SSLContext) -> Any:
    class Adapter(requests.adapters.HTTPAdapter):
        def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
            return super().proxy_manager_for(*args, ssl_context=trust, proxy_ssl_context=trust, **options)

    with requests.Session() as session:
        session.mount("https://", Adapter())
        session.trust_env = False
        return [session.get(TARGET + path, proxies={"https": url}).content for path in ("/a", "/b")]


def with_httpx(url: str, trust: ssl.SSLContext) -> Any:
    proxied = httpx.Proxy(url, ssl_context=trust)
    with httpx.Client(proxy=proxied, verify=trust, trust_env=False) as client:
        return [client.get(TARGET + path).content for path in ("/a", "/b")]


async def ask_httpx(url: str, trust: ssl.SSLContext) -> Any:
    proxied = httpx.Proxy(url, ssl_context=trust)
    async with httpx.AsyncClient(proxy=proxied, verify=trust, trust_env=False) as client:
        return [(await client.get(TARGET + path)).content for path in ("/a", "/b")]


def with_httpx_asyncio(url: str, trust: ssl.SSLContext) -> Any:
    return asyncio.run(ask_httpx(url, trust))


def with_httpx_trio(url: str, trust: ssl.SSLContext) -> Any:
    return trio.run(ask_httpx, url, trust)


def with_aiohttp(url: str, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        connector = aiohttp.TCPConnector(ssl=trust)
        seen = []
        async with aiohttp.ClientSession(connector=connector) as session:
            for path in ("/a", "/b"):
                async with session.get(TARGET + path, proxy=url) as answer:
                    seen.append((answer.status, await answer.read()))
        return seen

    return asyncio.run(ask())


CLIENTS = [with_urllib3, with_requests, with_httpx, with_httpx_asyncio, with_httpx_trio, with_aiohttp]


@pytest.mark.parametrize("client", CLIENTS)
def test_tunnel_through_a_proxy_with_tls_is_the_same_three_times(
    client: Callable[[str, ssl.SSLContext], Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(proxy(server_tls), tls=server_tls)
    url = f"https://localhost:{server.port}"
    _, cassette = three_times(lambda: client(url, client_tls), tmp_path / "tunnel.yaml", server)
    assert [exchange.request.url for exchange in cassette.history if exchange.request][-1] == f"{TARGET}/b"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("client", [client for client in CLIENTS if client is not with_aiohttp])
def test_request_that_a_played_tunnel_cannot_carry_is_not_recorded(
    client: Callable[[str, ssl.SSLContext], Any],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(proxy(server_tls), tls=server_tls)
    url, path = f"https://localhost:{server.port}", tmp_path / "tunnel.yaml"
    with use_cassette(path, "all"):
        client(url, client_tls)
    line = f"request: GET {TARGET}/b\n"
    first, there, _ = path.read_text().partition(line)
    assert there
    path.write_text(first)
    with use_cassette(path, "new_episodes"), pytest.raises(Exception, match="only played") as refusal:
        client(url, client_tls)
    assert isinstance(with_causes(refusal.value)[-1], ConnectionRefusedError)
    assert line not in path.read_text()


def test_request_after_all_that_was_played_gets_a_live_tunnel_of_its_own(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """aiohttp opens a tunnel for each request."""
    server = peer(proxy(server_tls), tls=server_tls)
    url, path = f"https://localhost:{server.port}", tmp_path / "tunnel.yaml"
    with use_cassette(path, "all"):
        live = with_aiohttp(url, client_tls)
    first, _, _ = path.read_text().partition(f"request: GET {TARGET}/b\n")
    path.write_text(first)
    with use_cassette(path, "new_episodes") as cassette:
        assert with_aiohttp(url, client_tls) == live
    assert [exchange.request.url for exchange in cassette.recorded if exchange.request][-1] == f"{TARGET}/b"
    server.stop()
    with use_cassette(path, "none"):
        assert with_aiohttp(url, client_tls) == live
