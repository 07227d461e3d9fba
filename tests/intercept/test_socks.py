"""SOCKS proxies: what goes through them is recorded of its origin, and played where there is no proxy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp_socks
import httpx
import pytest
import requests
import socks
import trio
import urllib3.contrib.socks

from cassette_http import UnmatchedRequest, use_cassette
from tests.behaviours import three_times, with_causes
from tests.peer import Connection, Peer, Script, keep_alive, response

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # clients that fail leave their sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

USER, PASSWORD = "user-of-proxy", "password-of-proxy"
AGREEMENT_4, AGREEMENT_5 = b"\x00\x5a\x00\x50\x7f\x00\x00\x01", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"

ENDS, RESETS = object(), object()


def say(connection: Connection, answer: Any) -> None:
    """Say this, or do it; who refuses says nothing more."""
    if answer is RESETS:
        connection.reset()
    if answer in (ENDS, RESETS):
        raise ConnectionError
    connection.send(answer)
    if answer[1] not in (0, 2, 0x5A):
        connection.wait_closed()
        raise ConnectionError


def greet(connection: Connection, method: Any, login: Any, agreement: Any) -> None:
    """Answer a client as a proxy of SOCKS 4, 4a or 5."""
    if connection.read(1) == b"\x04":
        address = connection.read(7)[3:]
        connection.read_until(b"\0")
        if address.startswith(b"\0\0\0"):
            connection.read_until(b"\0")
        say(connection, AGREEMENT_4 if agreement == AGREEMENT_5 else agreement)
        return
    connection.read(connection.read(1)[0])
    say(connection, method)
    if method == b"\x05\x02":
        assert connection.read(1) == b"\x01"
        assert connection.read(connection.read(1)[0]).decode() == USER
        assert connection.read(connection.read(1)[0]).decode() == PASSWORD
        say(connection, login)
    assert connection.read(3) == b"\x05\x01\x00"
    kind = connection.read(1)[0]
    connection.read({1: 4, 4: 16}.get(kind) or connection.read(1)[0])
    connection.read(2)
    say(connection, agreement)


ECHO = keep_alive(lambda request: response(b"through: " + request.split(b" ")[1]))


def proxy(
    tls: ssl.SSLContext | None = None,
    *,
    method: Any = b"\x05\x00",
    login: Any = b"\x01\x00",
    agreement: Any = AGREEMENT_5,
    behind: Script = ECHO,
) -> Script:
    """A proxy that is itself what is behind its tunnels; `tls` is what it speaks there."""

    def script(connection: Connection) -> None:
        greet(connection, method, login, agreement)
        if tls is not None:
            connection.sock = tls.wrap_socket(connection.sock, server_side=True)
        behind(connection)

    return script


def start_proxy(peer: Callable[..., Peer], version: str, tls: ssl.SSLContext | None) -> tuple[Peer, str]:
    """Start one, and give its URL for clients that speak this version; "login" is SOCKS 5 with a password."""
    if version != "login":
        server = peer(proxy(tls))
        return server, f"{version}://127.0.0.1:{server.port}"
    server = peer(proxy(tls, method=b"\x05\x02"))
    return server, f"socks5://{USER}:{PASSWORD}@127.0.0.1:{server.port}"


def in_words(error: BaseException) -> list[str]:
    """An error and what it came of, without what differs from run to run."""
    return [f"{type(each).__name__}: {each if '0x' not in str(each) else ''}" for each in with_causes(error)]


def with_requests(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    with requests.Session() as session:
        session.proxies = {"http": via, "https": via}
        return [session.get(url, timeout=5, verify=str(ca_file)).content for url in urls]


def with_urllib3(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    with urllib3.contrib.socks.SOCKSProxyManager(via, ssl_context=trust, retries=False) as pool:
        return [pool.request("GET", url, timeout=5).data for url in urls]


def with_httpx(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    with httpx.Client(proxy=via, verify=trust, trust_env=False) as client:
        return [client.get(url).content for url in urls]


async def with_async_httpx(via: str, urls: list[str], trust: ssl.SSLContext) -> Any:
    async with httpx.AsyncClient(proxy=via, verify=trust, trust_env=False) as client:
        return [(await client.get(url)).content for url in urls]


def with_httpx_and_asyncio(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    return asyncio.run(with_async_httpx(via, urls, trust))


def with_httpx_and_trio(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    return trio.run(with_async_httpx, via, urls, trust)


def with_aiohttp(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    async def ask() -> Any:
        remote = via.startswith(("socks5h", "socks4a"))
        connector = aiohttp_socks.ProxyConnector.from_url(
            via.replace("5h", "5").replace("4a", "4"), rdns=remote, ssl=trust
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            contents = []
            for url in urls:
                async with session.get(url) as answer:
                    contents.append(await answer.read())
            return contents

    return asyncio.run(ask())


def with_pysocks(via: str, urls: list[str], trust: ssl.SSLContext, ca_file: Path) -> Any:
    scheme, _, rest = via.partition("://")
    login, _, address = rest.rpartition("@")
    user, _, password = login.partition(":")
    version = socks.SOCKS4 if scheme.startswith("socks4") else socks.SOCKS5
    host, _, port = address.partition(":")
    contents = []
    for url in urls:
        scheme_behind, _, target = url.partition("://")
        host_behind = target.partition("/")[0]
        with socks.create_connection(
            (host_behind, 443 if scheme_behind == "https" else 80),
            timeout=5,
            proxy_type=version,
            proxy_addr=host,
            proxy_port=int(port),
            proxy_rdns=scheme.endswith(("a", "h")),
            proxy_username=user or None,
            proxy_password=password or None,
        ) as plain:
            sock = trust.wrap_socket(plain, server_hostname=host_behind) if scheme_behind == "https" else plain
            with sock:
                path = target.removeprefix(host_behind)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host_behind}\r\nConnection: close\r\n\r\n".encode())
                contents.append(sock.recv(1000))
    return contents


CLIENTS: list[Callable[..., Any]] = [
    with_requests,
    with_urllib3,
    with_httpx,
    with_httpx_and_asyncio,
    with_httpx_and_trio,
    with_aiohttp,
    with_pysocks,
]
ONLY_SOCKS_5 = {with_httpx, with_httpx_and_asyncio, with_httpx_and_trio}


def clients_and_versions(*versions: str) -> pytest.MarkDecorator:
    """Each client with each version that it knows; some know only socks5://, by which the proxy looks hosts up."""
    return pytest.mark.parametrize(
        ("client", "version"),
        [
            pytest.param(client, version, id=f"{client.__name__[5:]}-{version}")
            for client in CLIENTS
            for version in versions
            if version in ("socks5", "login") or client not in ONLY_SOCKS_5
        ],
    )


each_client = pytest.mark.parametrize("client", [pytest.param(one, id=one.__name__[5:]) for one in CLIENTS])


@pytest.mark.parametrize("scheme", ["http", "https"])
@clients_and_versions("socks5h", "socks5", "socks4a", "socks4", "login")
def test_requests_through_a_proxy_are_the_same_three_times(
    client: Callable[..., Any],
    version: str,
    scheme: str,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    tmp_path: Path,
) -> None:
    server, via = start_proxy(peer, version, server_tls if scheme == "https" else None)
    urls = [f"{scheme}://localhost/{name}" for name in ("a", "b")]

    def ask() -> Any:
        try:
            return client(via, urls, client_tls, ca_file)
        except Exception as error:
            return in_words(error)

    path = tmp_path / "socks.yaml"
    _, cassette = three_times(ask, path, server)
    assert [(one.request.url, str(one.via)) for one in cassette.interactions if one.request] == [
        (url, f"{'socks4' if version.startswith('socks4') else 'socks5'}://127.0.0.1:{server.port}") for url in urls
    ]
    assert PASSWORD not in path.read_text()
    assert USER not in path.read_text()


@pytest.mark.parametrize(
    "does",
    [
        pytest.param({"method": b"\x05\xff"}, id="no method"),
        pytest.param({"method": b"\x05\x02", "login": b"\x01\x01"}, id="login"),
        pytest.param({"method": b"\x05\x02", "login": ENDS}, id="ends at login"),
        pytest.param({"agreement": b"\x05\x01\x00\x01" + bytes(6)}, id="general failure"),
        pytest.param({"agreement": b"\x05\x05\x00\x01" + bytes(6)}, id="connection refused"),
        pytest.param({"method": ENDS}, id="ends"),
        pytest.param({"agreement": ENDS}, id="ends at request"),
        pytest.param({"agreement": RESETS}, id="resets at request"),
        pytest.param({"agreement": b"no such protocol"}, id="speaks another protocol"),
    ],
)
@each_client
def test_proxy_that_refuses_does_so_three_times(
    client: Callable[..., Any],
    does: dict[str, Any],
    peer: Callable[..., Peer],
    client_tls: ssl.SSLContext,
    ca_file: Path,
    tmp_path: Path,
) -> None:
    server = peer(proxy(**does))
    login = f"{USER}:{PASSWORD}@" if "login" in does else ""
    scheme = "socks5" if client in ONLY_SOCKS_5 else "socks5h"
    via = f"{scheme}://{login}127.0.0.1:{server.port}"

    def ask() -> Any:
        try:
            return client(via, ["http://localhost/"], client_tls, ca_file)
        except Exception as error:  # of another class for each library
            return in_words(error)

    path = tmp_path / "refused.yaml"
    _, cassette = three_times(ask, path, server)
    assert [one.request for one in cassette.interactions] == [None]
    assert PASSWORD not in path.read_text()


@each_client
def test_request_that_nothing_answers_reaches_no_proxy(
    client: Callable[..., Any], peer: Callable[..., Peer], client_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    server = peer(proxy())
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    scheme = "socks5" if client in ONLY_SOCKS_5 else "socks5h"
    with (
        pytest.raises(UnmatchedRequest, match=r"GET http://api\.test/"),
        use_cassette(path, "none"),
        suppress(Exception),  # of another class for each library
    ):
        client(f"{scheme}://127.0.0.1:{server.port}", ["http://api.test/"], client_tls, ca_file)
    assert server.connections == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@clients_and_versions("socks5", "login", "socks4a")
def test_tunnel_that_was_played_is_opened_for_a_new_request(
    client: Callable[..., Any],
    version: str,
    scheme: str,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    tmp_path: Path,
) -> None:
    server, via = start_proxy(peer, version, server_tls if scheme == "https" else None)
    urls = [f"{scheme}://localhost/{name}" for name in ("a", "b")]
    path = tmp_path / "some.yaml"
    with use_cassette(path, "new_episodes"):
        client(via, urls[:1], client_tls, ca_file)
    with use_cassette(path, "new_episodes") as cassette:
        first, second = client(via, urls, client_tls, ca_file)
    assert (b"through: /a" in first, b"through: /b" in second) == (True, True)
    assert [one.request and one.request.url for one in cassette.recorded] == [urls[1]]
    server.stop()
    with use_cassette(path, "none") as cassette:
        assert client(via, urls, client_tls, ca_file) == [first, second]


@pytest.mark.parametrize("client", [with_requests, with_aiohttp])
def test_address_that_nobody_has_is_not_asked_of_a_live_proxy(
    client: Callable[..., Any], peer: Callable[..., Peer], client_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    """Look-ups of hosts that are known are answered with such addresses: the proxy is to look the name up."""
    asked: list[bytes] = []

    def script(connection: Connection) -> None:
        connection.read(3)
        connection.send(b"\x05\x00")
        asked.append(connection.read(5 + len("api.test") + 2))
        connection.send(AGREEMENT_5)
        ECHO(connection)

    server = peer(script)
    path = tmp_path / "new.yaml"
    path.write_text("cassette: 1\n---\nrequest: GET http://api.test/b\nresponse: 200 OK\n---\n")
    with use_cassette(path, "new_episodes") as cassette:
        via = f"socks5://127.0.0.1:{server.port}"
        assert client(via, ["http://api.test/a"], client_tls, ca_file) == [b"through: /a"]
    assert asked == [b"\x05\x01\x00\x03\x08api.test\x00\x50"]
    assert [one.request and one.request.url for one in cassette.recorded] == ["http://api.test/a"]


@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all"])
def test_other_protocols_go_through_a_proxy_in_every_mode(mode: str, peer: Callable[..., Peer], tmp_path: Path) -> None:
    def smtp(connection: Connection) -> None:
        connection.send(b"220 mail.test ESMTP\r\n")
        connection.read_until(b"EHLO me\r\n")
        connection.send(b"250 mail.test\r\n")

    server = peer(proxy(behind=smtp))
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    with (
        use_cassette(path, mode) as cassette,
        socks.create_connection(
            ("mail.test", 25), timeout=5, proxy_type=socks.SOCKS5, proxy_addr="127.0.0.1", proxy_port=server.port
        ) as sock,
    ):
        assert sock.recv(100) == b"220 mail.test ESMTP\r\n"
        sock.sendall(b"EHLO me\r\n")
        assert sock.recv(100) == b"250 mail.test\r\n"
    assert (cassette.misses, cassette.recorded) == ([], [])


@pytest.mark.parametrize("mode", ["none", "all"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param([b"\x05\x01\x01"], id="login by GSSAPI"),
        pytest.param([b"\x05\x01\x00", b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"], id="listener"),
    ],
)
def test_what_is_not_understood_is_refused_where_nothing_may_be_recorded(
    said: list[bytes], mode: str, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        for octets in said:
            connection.read(len(octets))
            connection.send(octets[:1] + octets[-1:])

    server = peer(script)
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")

    def talk() -> list[bytes]:
        answers = []
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            for octets in said:
                sock.sendall(octets)
                answers.append(sock.recv(100))
        return answers

    if mode == "none":
        with pytest.raises(UnmatchedRequest, match="SOCKS"), use_cassette(path, mode):
            talk()
        assert server.connections == 0
    else:
        with use_cassette(path, mode) as cassette:
            assert talk() == [octets[:1] + octets[-1:] for octets in said]
        assert cassette.recorded == []
