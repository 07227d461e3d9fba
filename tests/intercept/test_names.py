"""Whom a connection is for: names that share an address, and names with many addresses."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import trustme

import cassette_http.client
from cassette_http import Cassette, use_cassette
from tests.behaviours import write_cassette_of
from tests.peer import Peer, Serve, keep_alive, response

NAMES = ("one.test", "two.test", "three.test")
NOBODY = ["127.0.0.91", "127.0.0.92"]

Zone = dict[str, list[str]]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Zone:
    """Names that the name server knows, each with its addresses in the order that it gives them."""
    known: Zone = {}
    original = socket.getaddrinfo

    def ask(host: str | bytes | None, port: object, *args: object, **kwargs: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return original(host, port, *args, **kwargs)  # type: ignore[arg-type]
        return [entry for address in known[name] for entry in original(address, port, *args, **kwargs)]  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return known


@pytest.fixture
def server(peer: Callable[..., Peer]) -> Peer:
    def echo_host(request: bytes) -> bytes:
        return response(request.partition(b"Host: ")[2].partition(b"\r\n")[0].partition(b":")[0])

    return peer(keep_alive(lambda request: echo_host(request.replace(b"\r\nhost:", b"\r\nHost:"))))


def recorded_hosts(cassette: Cassette) -> list[str]:
    return [one.request.origin.host for one in cassette.interactions if one.request is not None]


# ---------------------------------------------------------------------- names that share an address

Ask = Callable[[list[str]], list[bytes]]


def with_module(module: object) -> Ask:
    def ask(authorities: list[str]) -> list[bytes]:
        connections = [module.HTTPConnection(one, timeout=5) for one in authorities]  # type: ignore[attr-defined]
        for one in connections:
            one.connect()
        for one in connections:
            one.request("GET", "/")
        contents = [one.getresponse().read() for one in connections]
        for one in connections:
            one.close()
        return contents

    return ask


def with_requests(authorities: list[str]) -> list[bytes]:
    with requests.Session() as session:
        return [session.get(f"http://{one}/", timeout=5).content for one in authorities]


def in_tasks(ask_one: Callable[[str], Awaitable[bytes]]) -> Ask:
    def ask(authorities: list[str]) -> list[bytes]:
        async def ask_all() -> list[bytes]:
            return await asyncio.gather(*map(ask_one, authorities))

        return asyncio.run(ask_all())

    return ask


async def one_with_httpx(authority: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://{authority}/")).content


async def one_with_aiohttp(authority: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(f"http://{authority}/") as answer:
        return await answer.read()


async def one_with_streams(authority: str) -> bytes:
    host, _, port = authority.rpartition(":")
    return await over_streams(host, int(port), authority)


async def over_streams(host: str, port: int, said: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET / HTTP/1.1\r\nHost: {said}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    content = await reader.readexactly(int(head.rpartition(b":")[2]))
    writer.close()
    return content


CLIENTS = [
    pytest.param(with_module(http.client), id="http.client"),
    pytest.param(with_module(cassette_http.client), id="cassette_http.client"),
    pytest.param(with_requests, id="requests"),
    pytest.param(in_tasks(one_with_httpx), id="httpx"),
    pytest.param(in_tasks(one_with_aiohttp), id="aiohttp"),
    pytest.param(in_tasks(one_with_streams), id="streams"),
]


@pytest.mark.parametrize("ask", CLIENTS)
def test_names_of_one_address_are_distinguished(ask: Ask, zone: Zone, server: Peer, tmp_path: Path) -> None:
    zone.update({name: ["127.0.0.1"] for name in NAMES})
    hosts = [*NAMES, "127.0.0.1", *NAMES]
    expected = [host.encode() for host in hosts]
    with use_cassette(tmp_path / "names.yaml", "all") as cassette:
        assert ask([f"{host}:{server.port}" for host in hosts]) == expected
        assert sorted(recorded_hosts(cassette)) == sorted(hosts)
    server.stop()
    with use_cassette(tmp_path / "names.yaml", "none"):
        assert ask([f"{host}:{server.port}" for host in hosts]) == expected


@pytest.mark.parametrize("ask", CLIENTS)
def test_names_of_one_address_are_played_when_all_of_one_was(ask: Ask, server: Peer, tmp_path: Path) -> None:
    """What may be recorded is not dialled, although the host that was looked up last has nothing left."""
    authorities = [f"{host}:{server.port}" for host in ("localhost", "127.0.0.1")]
    expected = [b"localhost", b"127.0.0.1"]
    with use_cassette(tmp_path / "names.yaml", "all"):
        assert ask(authorities) == expected
    server.stop()
    with use_cassette(tmp_path / "names.yaml", "new_episodes"):
        assert ask(authorities) == expected


@pytest.mark.parametrize("ask", CLIENTS)
def test_name_that_gets_another_address_stays_itself(ask: Ask, zone: Zone, server: Peer, tmp_path: Path) -> None:
    path = tmp_path / "moving.yaml"
    with use_cassette(path, "all") as cassette:
        for name in NAMES:  # each has had the address for a while
            zone[name] = ["127.0.0.1"]
            assert ask([f"{name}:{server.port}"]) == [name.encode()]
            zone[name] = ["127.0.0.9"]
        zone[NAMES[0]] = ["127.0.0.1"]
        assert ask([f"{NAMES[0]}:{server.port}"]) == [NAMES[0].encode()]
        assert recorded_hosts(cassette) == [*NAMES, NAMES[0]]


def test_names_of_one_address_are_distinguished_by_tls(
    zone: Zone, peer: Callable[..., Peer], authority: trustme.CA, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    server = peer(keep_alive(lambda request: response(b"secured")), tls=context)
    zone.update({name: ["127.0.0.1"] for name in NAMES})

    async def ask_one(name: str) -> bytes:
        reader, writer = await asyncio.open_connection(name, server.port, ssl=client_tls)
        # A Host field that is no help: the server name indication is.
        writer.write(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
        octets = await reader.readuntil(b"secured")
        writer.close()
        await writer.wait_closed()
        return octets

    async def ask_all() -> list[bytes]:
        return await asyncio.gather(*map(ask_one, NAMES))

    with use_cassette(tmp_path / "tls.yaml", "all") as cassette:
        assert asyncio.run(ask_all()) == [response(b"secured")] * 3
        assert sorted(recorded_hosts(cassette)) == sorted(NAMES)
    server.stop()
    with use_cassette(tmp_path / "tls.yaml", "none"):
        assert asyncio.run(ask_all()) == [response(b"secured")] * 3


# ---------------------------------------------------------------------- names with many addresses


async def one_with_happy_eyeballs(authority: str) -> bytes:
    """Tries the addresses in another order than they were given, and several at once."""
    host, _, port = authority.rpartition(":")
    found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    waiting = {asyncio.ensure_future(_try_one(entry)) for entry in reversed(found)}
    failures: list[BaseException] = []
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            if one.exception() is None:
                for other in waiting:
                    other.cancel()
                return await _ask_over(one.result(), authority)
            failures.append(one.exception() or AssertionError())
    raise failures[0]


async def _try_one(entry: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(*entry[:2])  # type: ignore[arg-type]
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, entry[4])  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


async def _ask_over(sock: socket.socket, authority: str) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, f"GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    octets = b""
    while b"\r\n\r\n" not in octets or octets.endswith(b"\r\n\r\n"):
        octets += await asyncio.wait_for(loop.sock_recv(sock, 1000), 5)
    sock.close()
    return octets.partition(b"\r\n\r\n")[2]


MORE_CLIENTS = [*CLIENTS, pytest.param(in_tasks(one_with_happy_eyeballs), id="happy eyeballs")]


@pytest.mark.parametrize(
    "addresses",
    [[*NOBODY, "127.0.0.1"], ["127.0.0.1", *NOBODY], [NOBODY[0], "127.0.0.1", NOBODY[1]]],
    ids=["last", "first", "between"],
)
@pytest.mark.parametrize("ask", MORE_CLIENTS)
def test_refused_address_is_no_failure_if_another_one_answers(
    addresses: list[str], ask: Ask, zone: Zone, server: Peer, tmp_path: Path
) -> None:
    zone["many.test"] = addresses
    with use_cassette(tmp_path / "many.yaml", "all") as cassette:
        for _ in range(2):
            assert ask([f"many.test:{server.port}"]) == [b"many.test"]
        assert [one.track.failure for one in cassette.recorded] == [None, None]
    server.stop()
    with use_cassette(tmp_path / "many.yaml", "none"):
        for _ in range(2):
            assert ask([f"many.test:{server.port}"]) == [b"many.test"]


@pytest.mark.parametrize("ask", MORE_CLIENTS)
def test_name_whose_addresses_all_refuse_fails_in_replay_too(
    ask: Ask, zone: Zone, server: Peer, tmp_path: Path
) -> None:
    zone["many.test"] = NOBODY

    def run() -> list[object]:
        errors: list[object] = []
        for _ in range(2):
            with pytest.raises(Exception, match=r"(?i)refused|failed|Multiple exceptions|All connection") as caught:
                ask([f"many.test:{server.port}"])
            # Of several failures asyncio makes one of its own; a replay knows one address only.
            errors.append(issubclass(caught.type, OSError) or caught.typename)
        return errors

    live = run()
    with use_cassette(tmp_path / "many.yaml", "all") as cassette:
        assert run() == live
        assert len(cassette.recorded) == 2
    with use_cassette(tmp_path / "many.yaml", "none") as cassette:
        assert run() == live
        assert cassette.unplayed == []


def test_client_that_tries_only_the_first_address_fails_in_replay_too(zone: Zone, server: Peer, tmp_path: Path) -> None:
    zone["many.test"] = [*NOBODY, "127.0.0.1"]

    def run() -> None:
        family, kind, *_, address = socket.getaddrinfo("many.test", server.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(address)

    with use_cassette(tmp_path / "many.yaml", "all"):
        run()
    with use_cassette(tmp_path / "many.yaml", "none"):
        run()


@pytest.mark.parametrize(("host", "port"), [("any.test", "https"), (b"any.test", b"443"), ("ANY.test", "443")])
@pytest.mark.parametrize(("family", "network"), [(socket.AF_INET, "198.18.0.0/15"), (socket.AF_INET6, "100::/64")])
def test_look_up_is_answered_with_an_address_that_nobody_has(
    host: str | bytes, port: str | bytes, family: int, network: str, tmp_path: Path
) -> None:
    with use_cassette(tmp_path / "nothing.yaml", "none", allow_missing=True):
        [(found, kind, *_, address)] = socket.getaddrinfo(host, port, family)
    assert (found, kind, address[1]) == (family, socket.SOCK_STREAM, 443)
    assert ipaddress.ip_address(address[0]) in ipaddress.ip_network(network)


def test_old_look_ups_are_answered_offline_too(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("cassette: 1\n---\n")
    with use_cassette(tmp_path / "empty.yaml", "none"):
        address = socket.gethostbyname("nowhere.invalid")
        assert socket.getaddrinfo("nowhere.invalid", 80)[0][4] == (address, 80)


@pytest.mark.parametrize("name", ["two..dots.test", "x" * 64 + ".test", "b\u00fccher..test"])
def test_name_that_no_server_is_asked_for_is_none_in_replay_either(name: str, tmp_path: Path) -> None:
    def run() -> object:
        errors: list[object] = []
        for look_up in (lambda: socket.getaddrinfo(name, 80), lambda: socket.gethostbyname(name)):
            with pytest.raises(UnicodeError) as caught:
                look_up()
            errors.append((caught.type, caught.value.args))
        # Octets are asked for as they are.
        with pytest.raises(socket.gaierror) as failed:
            socket.getaddrinfo(b"two..dots.test", 80)
        return errors, failed.value.args

    live = run()
    with use_cassette(tmp_path / "names.yaml", "all"):
        assert run() == live
    with use_cassette(tmp_path / "names.yaml", "none"):
        assert run() == live


def test_connect_ex_raises_the_error_of_a_failed_look_up(zone: Zone, tmp_path: Path) -> None:
    """It returns the number of an error only if that is one of the system."""

    def run() -> object:
        with socket.socket() as sock, pytest.raises(socket.gaierror) as failed:
            sock.connect_ex(("nobody.test", 80))
        return failed.value.args

    live = run()
    with use_cassette(tmp_path / "names.yaml", "all"):
        assert run() == live
    with use_cassette(tmp_path / "names.yaml", "none"):
        assert run() == live


# ---------------------------------------------------------------------- names of earlier cassettes


@pytest.fixture
def once_many(zone: Zone, server: Peer, tmp_path: Path) -> Peer:
    """A server whose address was that of many.test, in an earlier cassette."""
    zone["many.test"] = ["127.0.0.1"]
    with use_cassette(tmp_path / "earlier.yaml", "all"):
        assert in_tasks(one_with_streams)([f"many.test:{server.port}"]) == [b"many.test"]
    del zone["many.test"]
    return server


@pytest.mark.parametrize(
    ("said", "host"), [("other.test", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("many.test", "many.test")]
)
def test_name_of_an_earlier_cassette_counts_only_if_the_client_says_it(
    said: str, host: str, once_many: Peer, tmp_path: Path
) -> None:
    with use_cassette(tmp_path / "later.yaml", "all") as cassette:
        assert asyncio.run(over_streams("127.0.0.1", once_many.port, said)) == said.encode()
        with socket.socket() as sock:
            sock.connect(("127.0.0.1", once_many.port))
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {said}\r\n\r\n".encode())
            assert sock.recv(1000) == response(said.encode())
        assert recorded_hosts(cassette) == [host, host]


@pytest.mark.parametrize("said", ["other.test", "127.0.0.1", "many.test"])
def test_late_dial_leads_to_the_address_that_was_connected_to(said: str, once_many: Peer, tmp_path: Path) -> None:
    path = tmp_path / "later.yaml"
    write_cassette_of(path, once_many.port, "127.0.0.1", "many.test")
    with use_cassette(path, "new_episodes") as cassette:
        assert asyncio.run(over_streams("127.0.0.1", once_many.port, said)) == said.encode()
        with socket.socket() as sock:
            sock.connect(("127.0.0.1", once_many.port))
            sock.sendall(f"GET /2 HTTP/1.1\r\nHost: {said}\r\n\r\n".encode())
            assert sock.recv(1000) == response(said.encode())
        assert len(cassette.recorded) == 2


@pytest.mark.parametrize("is_blocking", [False, True], ids=["loop", "blocking"])
def test_late_dial_of_a_connection_from_before_needs_no_name(
    is_blocking: bool, serve: Serve, trust: ssl.SSLContext | None, tmp_path: Path
) -> None:
    """The Host field says a name that nobody can look up."""
    server = serve(keep_alive(lambda request: response(b"hello")))
    path = tmp_path / "later.yaml"
    write_cassette_of(path, server.port, "127.0.0.1", "localhost", "nowhere.invalid")
    request = b"GET /%%d HTTP/1.1\r\nHost: nowhere.invalid:%d\r\n\r\n" % server.port
    tls: dict[str, Any] = {"ssl": trust, "server_hostname": "localhost"} if trust else {}

    async def talk() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, **tls)
        writer.write(request % 1)
        assert await asyncio.wait_for(reader.readexactly(len(response(b"hello"))), 5) == response(b"hello")
        with use_cassette(path, "new_episodes"):
            writer.write(request % 2)
            assert await asyncio.wait_for(reader.readexactly(len(response(b"hello"))), 5) == response(b"hello")
        writer.close()

    def talk_blocking() -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain:
            sock = trust.wrap_socket(plain, server_hostname="localhost") if trust else plain
            with sock, use_cassette(path, "new_episodes"):
                sock.sendall(request % 1)
                assert sock.recv(1000) == response(b"hello")

    if is_blocking:
        talk_blocking()
    else:
        asyncio.run(talk())


def test_late_dial_tries_the_other_addresses_of_the_look_up(zone: Zone, server: Peer, tmp_path: Path) -> None:
    zone["localhost"] = [*NOBODY, "127.0.0.1"]
    path = tmp_path / "later.yaml"
    write_cassette_of(path, server.port, "localhost")
    with use_cassette(path, "new_episodes") as cassette:
        for client in (with_module(http.client), in_tasks(one_with_streams)):
            client([f"localhost:{server.port}", f"localhost:{server.port}"])
    assert [one.origin.host for one in cassette.recorded] == ["localhost"] * 4


def test_password_in_a_name_that_is_looked_up_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "userinfo.yaml"

    def ask(password: str) -> str:
        with pytest.raises(urllib.error.URLError) as caught:
            urllib.request.urlopen(f"http://bob:{password}@127.0.0.1:8080/", timeout=5)
        return str(caught.value)

    with use_cassette(path, "all"):
        recorded = ask("t0p-s3cr3t")
    assert "t0p-s3cr3t" not in path.read_text()
    with use_cassette(path, "none"):
        assert ask("an0ther") == recorded
