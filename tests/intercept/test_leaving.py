"""What is left when a block ends: no descriptor, no thread, no hook, and to each task and thread its own cassette."""

from __future__ import annotations

import asyncio
import gc
import http.client
import inspect
import os
import pickle
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httplib2
import httpx
import pytest
import requests
import tornado.httpclient
import trio
import urllib3

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import write_cassette_of
from tests.peer import Peer, Serve, keep_alive, response
from tests.trusting import Trusting

ROUNDS, TLS_ROUNDS = 200, 50
WARM_UP = 5

Ask = Callable[[str, ssl.SSLContext], bytes]


def with_module(module: object) -> Ask:
    def ask(url: str, trust: ssl.SSLContext) -> bytes:
        scheme, _, authority = url.partition("://")
        if scheme == "https":
            connection = module.HTTPSConnection(authority, context=trust)  # type: ignore[attr-defined]
        else:
            connection = module.HTTPConnection(authority)  # type: ignore[attr-defined]
        connection.request("GET", "/a")
        content: bytes = connection.getresponse().read()
        connection.close()
        return content

    return ask


def with_urllib3(url: str, trust: ssl.SSLContext) -> bytes:
    with urllib3.PoolManager(ssl_context=trust) as pool:
        return pool.request("GET", f"{url}/a").data


def with_requests(url: str, trust: ssl.SSLContext) -> bytes:
    with requests.Session() as session:
        session.mount("https://", Trusting(trust))
        return session.get(f"{url}/a").content


def with_httpx(url: str, trust: ssl.SSLContext) -> bytes:
    with httpx.Client(verify=trust, trust_env=False) as client:
        return client.get(f"{url}/a").content


def with_async_httpx(run: Callable[[Callable[[], Awaitable[bytes]]], bytes]) -> Ask:
    def ask(url: str, trust: ssl.SSLContext) -> bytes:
        async def get() -> bytes:
            async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
                return (await client.get(f"{url}/a")).content

        return run(get)

    return ask


def with_aiohttp(url: str, trust: ssl.SSLContext) -> bytes:
    async def get() -> bytes:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/a", ssl=trust) as answer:
            content = await answer.read()
        await asyncio.sleep(0.01)  # as aiohttp's documentation asks for, so that TLS can say farewell
        return content

    return asyncio.run(get())


def with_httplib2(url: str, trust: ssl.SSLContext) -> bytes:
    http = httplib2.Http(disable_ssl_certificate_validation=True)
    content: bytes = http.request(f"{url}/a")[1]
    http.close()
    return content


def with_tornado(url: str, trust: ssl.SSLContext) -> bytes:
    async def get() -> bytes:
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        tls: dict[str, Any] = {"ssl_options": trust} if url.startswith("https") else {}
        answer = await client.fetch(f"{url}/a", **tls)
        client.close()
        return answer.body

    return asyncio.run(get())


CLIENTS = [
    pytest.param(with_module(http.client), id="http.client"),
    pytest.param(with_module(cassette_http.client), id="cassette_http.client"),
    pytest.param(with_urllib3, id="urllib3"),
    pytest.param(with_requests, id="requests"),
    pytest.param(with_httpx, id="httpx"),
    pytest.param(with_async_httpx(lambda get: asyncio.run(get())), id="httpx-asyncio"),  # type: ignore[arg-type]
    pytest.param(with_async_httpx(trio.run), id="httpx-trio"),
    pytest.param(with_aiohttp, id="aiohttp"),
    pytest.param(with_httplib2, id="httplib2"),
    pytest.param(with_tornado, id="tornado"),
]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the open descriptors as Linux shows them")
@pytest.mark.parametrize("ask", CLIENTS)
def test_replays_leave_no_descriptor_and_no_thread(
    ask: Ask, is_tls: bool, serve: Serve, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    if is_tls and ask is with_requests:
        pytest.skip("urllib3, which makes the connection, is tested; requests loads all authorities anew each time")
    server = serve(keep_alive(lambda request: response(b"hello")))
    path = tmp_path / "one.yaml"
    with use_cassette(path, "all"):
        assert ask(server.url, client_tls) == b"hello"
    server.stop()
    before = threads = 0
    for number in range(WARM_UP + (TLS_ROUNDS if is_tls else ROUNDS)):
        if number == WARM_UP:
            gc.collect()
            before, threads = descriptors(), threading.active_count()
        with use_cassette(path, "none"):
            assert ask(server.url, client_tls) == b"hello"
    gc.collect()
    assert descriptors() <= before
    assert threading.active_count() <= threads


@pytest.mark.parametrize("mode", ["all", "none"])
@pytest.mark.parametrize("ask", CLIENTS)
def test_closed_connections_are_forgotten_inside_the_block(
    ask: Ask, mode: str, peer: Callable[..., Peer], server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    """Or a long recording would keep the TLS state of each."""
    server = peer(keep_alive(lambda request: response(b"hello")), tls=server_tls)

    def ask_with_own_context() -> weakref.ref[ssl.SSLContext]:
        context = ssl.create_default_context(cafile=str(ca_file))
        assert ask(server.url, context) == b"hello"
        return weakref.ref(context)

    with use_cassette(tmp_path / "one.yaml", "all"):
        ask_with_own_context()
    with use_cassette(tmp_path / "one.yaml", mode):
        context = ask_with_own_context()
        gc.collect()
        assert context() is None


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # that is what is tested
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_that_are_never_closed_leave_no_thread(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"hello")))
    path = tmp_path / "one.yaml"
    write_cassette_of(path, server.port, server.host)

    def ask(number: int) -> None:
        sock = socket.create_connection((server.host, server.port), timeout=5)
        sock.setblocking(False)  # so that a thread has to dial
        sock.send(b"GET /%d HTTP/1.1\r\nHost: api.test\r\n\r\n" % number)
        assert select.select([sock], [], [], 5)[0]
        assert sock.recv(1000) == response(b"hello")

    before = set(threading.enumerate())

    def threads() -> list[str]:
        ours = [one for one in threading.enumerate() if one.name.startswith("cassette-http")]
        return [one.name for one in ours if one not in before]

    with use_cassette(path, "new_episodes") as cassette:
        for number in range(20):
            ask(number)
        assert len(cassette.recorded) == 20
        gc.collect()
        deadline = time.monotonic() + 10
        while threads():
            assert time.monotonic() < deadline, threads()
            time.sleep(0.01)


# ---------------------------------------------------------------------- to each its own


def own_cassettes(folder: Path, url: str, count: int) -> list[Path]:
    paths = [folder / f"{number}.yaml" for number in range(count)]
    for number, path in enumerate(paths):
        one = (
            f"request: GET {url}/\nresponse: 200 OK\nresponse headers: |\n"
            f"  Content-Length: 3\nresponse body: |-\n  n{number:02}\n---\n"
        )
        path.write_text("cassette: 1\n---\n" + one * 10)
    return paths


URL = "https://shared.test"


def test_eight_threads_through_one_session_have_a_cassette_each(tmp_path: Path) -> None:
    paths = own_cassettes(tmp_path, URL, 8)
    found: dict[int, set[bytes]] = {}
    begin = threading.Barrier(8)

    with requests.Session() as session:

        def work(number: int) -> None:
            with use_cassette(paths[number], "none"):
                begin.wait(10)
                found[number] = {session.get(f"{URL}/", timeout=10).content for _ in range(10)}

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == {number: {b"n%02d" % number} for number in range(8)}


async def through_httpx(work: Callable[[Callable[[], Awaitable[bytes]], int], Awaitable[None]]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ask() -> bytes:
            return (await client.get(f"{URL}/")).content

        await asyncio.gather(*(work(ask, number) for number in range(8)))


async def through_aiohttp(work: Callable[[Callable[[], Awaitable[bytes]], int], Awaitable[None]]) -> None:
    async with aiohttp.ClientSession() as session:

        async def ask() -> bytes:
            async with session.get(f"{URL}/") as answer:
                return await answer.read()

        await asyncio.gather(*(work(ask, number) for number in range(8)))


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp does not wait for its connections to close
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("through", [through_httpx, through_aiohttp], ids=["httpx", "aiohttp"])
def test_eight_tasks_through_one_client_have_a_cassette_each(
    through: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    paths = own_cassettes(tmp_path, URL, 8)
    found: dict[int, set[bytes]] = {}
    all_done = asyncio.Event()

    async def work(ask: Callable[[], Awaitable[bytes]], number: int) -> None:
        with use_cassette(paths[number], "none"):
            found[number] = {await ask() for _ in range(10)}
            # Connections look closed when their cassette is left, also to a task that is just about to use one.
            if len(found) == 8:
                all_done.set()
            await asyncio.wait_for(all_done.wait(), 20)

    asyncio.run(through(work))  # type: ignore[arg-type]
    assert found == {number: {b"n%02d" % number} for number in range(8)}


# ---------------------------------------------------------------------- hooks


def hooked() -> dict[str, object]:
    """All that could be hooked, as it is now."""
    owners: list[object] = [socket, socket.socket, ssl.SSLContext, ssl.SSLSocket, ssl.SSLObject, os]
    owners += [asyncio.BaseEventLoop, trio.socket.SocketType]
    return {f"{owner!r}.{name}": value for owner in owners for name, value in vars(owner).items() if callable(value)}


def test_nothing_stays_patched_when_the_last_cassette_is_left(tmp_path: Path) -> None:
    before = hooked()
    with use_cassette(tmp_path / "1.yaml", "all"):
        with use_cassette(tmp_path / "2.yaml", "all"):
            assert hooked() != before
        assert hooked() != before
    assert hooked() == before


@pytest.mark.parametrize(
    "find",
    [
        pytest.param(lambda: socket.getaddrinfo, id="getaddrinfo"),
        pytest.param(lambda: socket.gethostbyname, id="gethostbyname"),
        pytest.param(lambda: ssl.SSLContext.wrap_socket, id="wrap_socket"),
    ],
)
def test_hooked_functions_look_like_the_originals(find: Callable[[], Any], tmp_path: Path) -> None:
    def look() -> object:
        function = find()
        try:
            signature: object = inspect.signature(function)
        except ValueError as error:  # some in C have none
            signature = type(error)
        return signature, function.__name__, function.__doc__, pickle.loads(pickle.dumps(function)) is function

    before = look()
    with use_cassette(tmp_path / "one.yaml", "once"):
        assert look() == before


def test_sockets_that_are_none_of_ours_cost_one_look_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of sockets is what event loops talk to themselves with: all that is asked is whether it is ours."""
    near, far = socket.socketpair()
    with near, far, use_cassette(tmp_path / "any.yaml", "all"):
        from cassette_http.intercept import current

        def fail() -> None:
            raise AssertionError("the cassette was asked for a socket that it has nothing to do with")

        monkeypatch.setattr(current, "current_board", fail)
        near.sendall(b"octets")
        assert far.recv(10) == b"octets"
        near.send(b"more")
        assert far.recv_into(bytearray(4)) == 4
