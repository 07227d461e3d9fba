"""`block_network`: what is blocked, what is let through, and what is never touched."""

from __future__ import annotations

import _socket
import asyncio
import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import uvloop

from cassette_http import CassetteError, InvalidOption, NetworkBlocked, block_network, use_cassette
from cassette_http.intercept.guard import Kind, Outcome
from cassette_http.intercept.hosts import HostPatterns, address_of
from tests.peer import Peer, keep_alive, response

# Nobody has these (RFC 2606, RFC 5737, RFC 3849): a guard that lets them through harms nobody.
HOST, ADDRESS, ADDRESS_6 = "api.example.test", "192.0.2.1", "2001:db8::1"


def datagram(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", (address, 53))


def datagram_by_sendmsg(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"?"], [], 0, (address, 53))


def connect(address: str, family: int = socket.AF_INET) -> int:
    """Begin to connect; returns the number of the error, as there is nobody."""
    with socket.socket(family) as sock:
        sock.setblocking(False)
        return sock.connect_ex((address, 443))


def connect_below_python(address: str) -> None:
    sock = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.connect((address, 443))
    finally:
        sock.close()


async def asyncio_connect(host: str) -> None:
    await asyncio.open_connection(host, 443)


async def ask_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def ask_httpx(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)


def on_uvloop(host: str) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, host, 443))
    finally:
        loop.close()


def look_up_on_uvloop(host: str) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo(host, 443))
    finally:
        loop.close()


def in_thread(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


ATTEMPTS: dict[str, tuple[Callable[[], object], str]] = {
    "getaddrinfo": (lambda: socket.getaddrinfo(HOST, 443), f"look-up to {HOST}:443"),
    "getaddrinfo without a port": (lambda: socket.getaddrinfo(HOST.encode(), None), f"look-up of {HOST}"),
    "gethostbyname": (lambda: socket.gethostbyname(HOST), f"look-up of {HOST}"),
    "gethostbyname_ex": (lambda: socket.gethostbyname_ex(HOST), f"look-up of {HOST}"),
    "gethostbyaddr": (lambda: socket.gethostbyaddr(HOST), f"look-up of {HOST}"),
    "connect": (lambda: connect(ADDRESS), f"connect to {ADDRESS}:443"),
    "connect by name": (lambda: connect(HOST), f"connect to {HOST}:443"),
    "connect over IPv6": (lambda: connect(ADDRESS_6, socket.AF_INET6), rf"connect to \[{ADDRESS_6}\]:443"),
    "the socket below Python's": (lambda: connect_below_python(ADDRESS), f"connect to {ADDRESS}:443"),
    "sendto": (lambda: datagram(ADDRESS), f"datagram to {ADDRESS}:53"),
    "sendto a name": (lambda: datagram(HOST), f"datagram to {HOST}:53"),
    "sendmsg": (lambda: datagram_by_sendmsg(ADDRESS), f"datagram to {ADDRESS}:53"),
    "a thread": (lambda: in_thread(lambda: connect(ADDRESS)), f"connect to {ADDRESS}:443"),
    "a task": (lambda: asyncio.run(asyncio_connect(HOST)), f"look-up to {HOST}:443"),
    "a task that connects to an address": (
        lambda: asyncio.run(asyncio_connect(ADDRESS)),
        f"connect to {ADDRESS}:443",
    ),
    "uvloop": (lambda: on_uvloop(HOST), f"connect to {HOST}:443"),
    "a look-up of uvloop": (lambda: look_up_on_uvloop(HOST), f"look-up to {HOST}:443"),
    "http.client": (lambda: http.client.HTTPConnection(HOST).connect(), f"look-up to {HOST}:80"),
}


@pytest.mark.parametrize(("attempt", "what"), ATTEMPTS.values(), ids=list(ATTEMPTS))
def test_attempt_fails_and_names_what_was_tried_the_test_and_the_line(attempt: Callable[[], object], what: str) -> None:
    told = pytest.raises(NetworkBlocked, match=f"^{what} was blocked: no host is allowed\n")
    with block_network(test="test_users.py::test_login") as guard, told as caught:
        attempt()
    assert f"attempted at {__file__}:" in str(caught.value)
    assert ", in test_users.py::test_login\n" in str(caught.value)
    assert f"--cassette-allow-hosts={guard.blocked[0].host}" in str(caught.value)
    assert guard.count(guard.blocked[0].kind, Outcome.BLOCKED) == len(guard.blocked) >= 1


LIBRARIES: dict[str, Callable[[str], object]] = {
    "urllib": lambda url: urllib.request.urlopen(url, timeout=5),
    "requests": lambda url: requests.get(url, timeout=5),
    "httpx": lambda url: httpx.get(url, trust_env=False),
    "httpx, asynchronous": lambda url: asyncio.run(ask_httpx(url)),
    "aiohttp": lambda url: asyncio.run(ask_aiohttp(url)),
}


@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize("ask", LIBRARIES.values(), ids=list(LIBRARIES))
@pytest.mark.parametrize("host", [HOST, ADDRESS])
def test_library_makes_its_own_error_of_it_and_keeps_the_text(ask: Callable[[str], object], host: str) -> None:
    with block_network() as guard, pytest.raises(Exception, match=f"{host}.* was blocked|attempts failed") as caught:
        ask(f"http://{host}/")
    assert not isinstance(caught.value, CassetteError)
    assert {one.host for one in guard.blocked} == {host}


@pytest.mark.usefixtures("litter")
def test_this_machine_is_never_touched(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"near")))

    async def ask() -> bytes:
        async with aiohttp.ClientSession() as session, session.get(server.url) as answer:
            return await answer.read()

    with block_network() as guard:
        for host in ("127.0.0.1", "localhost"):
            url = server.url.replace("127.0.0.1", host)
            assert urllib.request.urlopen(url, timeout=5).read() == b"near"
        for name in ("localhost", b"localhost"):
            with socket.socket() as sock, socket.socket() as other:
                sock.connect((name, server.port))
                assert other.connect_ex((name, server.port)) == 0
        assert asyncio.run(ask()) == b"near"
        loop = uvloop.new_event_loop()
        assert loop.run_until_complete(ask()) == b"near"
        loop.close()
        ours, theirs = socket.socketpair()
        ours.sendall(b"near")
        assert theirs.recv(4) == b"near"
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            os.chdir(tmp_path)
            listener.bind("near")
            listener.listen()
            client.connect("near")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            ours_too = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours_too.sendto(b"near", receiver.getsockname())
            ours_too.close()
        socket.getaddrinfo(None, 80)
        socket.getaddrinfo(socket.gethostname(), 80, flags=socket.AI_NUMERICSERV)
        socket.getaddrinfo(ADDRESS, 443)
        ours.close()
        theirs.close()
    assert not guard.counts


def resolver(name: str, address: str) -> Callable[..., Any]:
    """A name server that knows one name. The real function tells the interpreter of each look-up too."""

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        sys.audit("socket.getaddrinfo", host, port, 0, 0, 0)
        assert host == name
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    return getaddrinfo


def test_allowed_host_may_be_connected_to_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "getaddrinfo", resolver(HOST, ADDRESS))
    with block_network(allow="*.example.test") as guard:
        assert socket.getaddrinfo(HOST, 443)[0][4] == (ADDRESS, 443)
        assert connect(ADDRESS) != 0
        with pytest.raises(NetworkBlocked, match=r"allowed are \*\.example\.test\n"):
            connect("192.0.2.2")
    assert guard.counts == {
        (Kind.LOOK_UP, Outcome.ALLOWED): 1,
        (Kind.CONNECT, Outcome.ALLOWED): 1,
        (Kind.CONNECT, Outcome.BLOCKED): 1,
    }
    assert guard.count(Kind.CONNECT) == 2


def test_address_of_an_allowed_host_is_known_without_having_seen_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "getaddrinfo", resolver("db.example.test", "192.0.2.3"))
    with block_network(allow=["db.example.test"]):
        sys.audit("socket.gethostbyname", "db.example.test")  # what the interpreter says of such a look-up
        assert connect("192.0.2.3") != 0
        with pytest.raises(NetworkBlocked):
            connect("192.0.2.4")


def test_innermost_guard_decides_and_nothing_is_blocked_afterwards() -> None:
    with block_network() as outer:
        with block_network(allow=ADDRESS) as inner:
            assert connect(ADDRESS) != 0
        with pytest.raises(NetworkBlocked):
            connect(ADDRESS)
    assert connect(ADDRESS) != 0
    assert (outer.count(Kind.CONNECT), inner.count(Kind.CONNECT)) == (1, 1)


def test_guards_and_cassettes_leave_sockets_as_they_found_them(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"near")))
    before = socket.getaddrinfo, socket.socket.connect, uvloop.Loop.create_connection
    guard = block_network()
    with use_cassette(tmp_path / "a.yaml"):
        guard.__enter__()  # not nested, as fixtures of different scopes may be
        urllib.request.urlopen(server.url, timeout=5).read()
    guard.__exit__(None, None, None)
    assert (socket.getaddrinfo, socket.socket.connect, uvloop.Loop.create_connection) == before


def test_replay_needs_no_network_and_what_it_refuses_is_refused_by_the_cassette(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(f"cassette: 1\n---\nrequest: GET http://{HOST}/users\nresponse: 204 No Content\n---\n")
    with block_network() as guard, use_cassette(path, "none") as cassette:
        assert urllib.request.urlopen(f"http://{HOST}/users").status == 204
        with pytest.raises(urllib.error.URLError, match="has no interaction for"):
            urllib.request.urlopen(f"http://{HOST}/other")
        cassette.misses.clear()
    assert not guard.counts


def test_recording_is_let_through_and_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_socket, "getaddrinfo", resolver(HOST, ADDRESS))
    with block_network() as guard:
        with use_cassette(tmp_path / "users.yaml", "once"):
            assert socket.getaddrinfo(HOST, 443)
            assert connect(ADDRESS) != 0
            for host in (ADDRESS, "other.example.test"):
                with pytest.raises(NetworkBlocked):
                    datagram(host)
        with pytest.raises(NetworkBlocked):
            connect(ADDRESS)
    assert guard.count(Kind.CONNECT, Outcome.RECORDED) == guard.count(Kind.LOOK_UP, Outcome.RECORDED) == 1


def test_counts_are_right_when_many_threads_try() -> None:
    def attempt() -> None:
        for _ in range(50):
            with pytest.raises(NetworkBlocked):
                connect(ADDRESS)

    with block_network() as guard:
        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert guard.count(Kind.CONNECT, Outcome.BLOCKED) == len(guard.blocked) == 400


# ---------------------------------------------------------------------- patterns

PATTERNS = [
    pytest.param("example.org", ["example.org", "EXAMPLE.org."], ["www.example.org", "example.org.evil"], id="name"),
    pytest.param("*.example.org", ["a.example.org", "a.b.example.org"], ["example.org"], id="below a domain"),
    pytest.param(".example.org", ["example.org", "a.example.org"], ["badexample.org"], id="domain"),
    pytest.param("example.org:8443", ["example.org:8443", "example.org"], ["example.org:443"], id="name and port"),
    pytest.param("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "ten.example"], id="network"),
    pytest.param("10.0.0.1:80", ["10.0.0.1:80"], ["10.0.0.1:81", "10.0.0.2:80"], id="address and port"),
    pytest.param("[2001:db8::1]:80", ["2001:db8::1"], ["2001:db8::2"], id="IPv6 address and port"),
    pytest.param("2001:db8::/32", ["2001:db8::2%eth0"], ["2001:db9::2"], id="IPv6 network"),
    pytest.param("*", ["anything.example"], [], id="everything that has a name"),
    pytest.param("a.example, b.example", ["a.example", "b.example"], ["c.example"], id="a list in one text"),
]


def is_in(patterns: HostPatterns, text: str) -> bool:
    host, port = text, None
    if text.count(":") == 1:
        host, _, number = text.partition(":")
        port = int(number)
    address = address_of(host)
    return patterns.has_name(host, port) if address is None else patterns.has_address(address, port)


@pytest.mark.parametrize(("text", "inside", "outside"), PATTERNS)
def test_pattern_names_hosts(text: str, inside: list[str], outside: list[str]) -> None:
    patterns = HostPatterns(text)
    assert [one for one in inside + outside if is_in(patterns, one)] == inside


@pytest.mark.parametrize("text", ["https://example.org/", "ex ample", "", "10.0.0.0/99", "[::1", "a b"])
def test_pattern_that_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not a host; hosts are example\.org"):
        block_network(allow=[text])


@pytest.mark.parametrize("allow", [5, None, ["example.org", 5], b"example.org"], ids=repr)
def test_what_is_no_text_is_no_host(allow: Any) -> None:
    with pytest.raises(InvalidOption, match=r"hosts are given as texts, such as .*, not as"):
        block_network(allow=allow)


def test_uvloop_that_is_imported_inside_the_block_is_watched_too() -> None:
    program = (
        "import asyncio\n"
        "from cassette_http import NetworkBlocked, block_network\n"
        "with block_network():\n"
        "    import uvloop\n"
        f"    try: uvloop.run(asyncio.wait_for(asyncio.open_connection({HOST!r}, 443), 5))\n"
        "    except NetworkBlocked as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert f"connect to {HOST}:443 was blocked" in done.stdout
