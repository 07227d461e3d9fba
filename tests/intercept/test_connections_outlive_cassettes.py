"""Connections that were opened before, across and after cassettes: the one in use is never bypassed."""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests

import cassette_http.client
from cassette_http import UnmatchedRequest, use_cassette
from cassette_http.transport import base
from tests.behaviours import write_cassette_of
from tests.peer import Peer, Serve, keep_alive, response

MODULES = [pytest.param(http.client, id="http.client"), pytest.param(cassette_http.client, id="cassette_http.client")]


def echo_target(request: bytes) -> bytes:
    return response(b"live " + request.split(b" ")[1])


def ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


@pytest.fixture(params=["tcp", "tls"])
def server(request: pytest.FixtureRequest, peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> Peer:
    return peer(keep_alive(echo_target), tls=server_tls if request.param == "tls" else None)


@pytest.fixture
def connect(server: Peer, client_tls: ssl.SSLContext) -> Callable[..., http.client.HTTPConnection]:
    def make(module: object) -> http.client.HTTPConnection:
        if server.url.startswith("https"):
            return module.HTTPSConnection(server.host, server.port, context=client_tls, timeout=5)  # type: ignore[attr-defined, no-any-return]
        return module.HTTPConnection(server.host, server.port, timeout=5)  # type: ignore[attr-defined, no-any-return]

    return make


@pytest.mark.parametrize("module", MODULES)
def test_connection_opened_before_is_recorded_and_then_replayed(
    module: object, server: Peer, connect: Callable[..., http.client.HTTPConnection], tmp_path: Path
) -> None:
    before = connect(module)
    assert ask(before, "/outside") == b"live /outside"
    with use_cassette(tmp_path / "one.yaml", "once") as cassette:
        assert ask(before, "/inside") == b"live /inside"
        assert [one.request.url for one in cassette.recorded if one.request] == [f"{server.url}/inside"]
    assert ask(before, "/outside") == b"live /outside"
    with use_cassette(tmp_path / "one.yaml", "none") as cassette:
        assert ask(before, "/inside") == b"live /inside"
        assert cassette.play_count == 1
    before.close()


@pytest.mark.parametrize("module", MODULES)
def test_connection_goes_from_one_cassette_to_the_next(
    module: object, server: Peer, connect: Callable[..., http.client.HTTPConnection], tmp_path: Path
) -> None:
    connection = connect(module)
    for name in ("one", "two"):
        with use_cassette(tmp_path / f"{name}.yaml", "once"):
            assert ask(connection, f"/{name}") == f"live /{name}".encode()
    connection.close()
    server.stop()
    connection = connect(module)
    for name in ("two", "one"):
        with use_cassette(tmp_path / f"{name}.yaml", "none") as cassette:
            assert ask(connection, f"/{name}") == f"live /{name}".encode()
            assert cassette.unplayed == []
    connection.close()


def test_pool_drops_its_played_connections_when_the_cassette_is_left(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(echo_target))
    with requests.Session() as session:
        with use_cassette(tmp_path / "one.yaml", "once"):
            assert session.get(server.url + "/a").content == b"live /a"
        with use_cassette(tmp_path / "one.yaml", "none"):
            assert session.get(server.url + "/a").content == b"live /a"
        seen = server.connections
        assert session.get(server.url + "/outside").content == b"live /outside"
        assert server.connections - seen <= 1


def test_eight_threads_through_one_session_record_and_replay_everything(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "threads.yaml"

    def run() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with requests.Session() as session:

            def work(number: int) -> None:
                for step in range(10):
                    name = f"/{number}/{step}"
                    found[name] = session.get(server.url + name, timeout=10).content

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        return found

    with use_cassette(path, "once") as cassette:
        recorded = run()
    assert len(cassette.recorded) == len(recorded) == 80
    server.stop()
    with use_cassette(path, "none") as cassette:
        assert run() == recorded
        assert cassette.unplayed == []


def test_each_task_gets_the_answers_of_its_own_cassette(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"never twice")))
    for name in ("one", "two"):
        text = (
            f"cassette: 1\n---\nrequest: GET {server.url}/\nresponse: 200 OK\nresponse headers: |\n"
            f"  Content-Length: 3\nresponse body: |-\n  {name}\n---\n"
        )
        (tmp_path / f"{name}.yaml").write_text(text)
    server.stop()

    async def ask_in(name: str) -> bytes:
        with use_cassette(tmp_path / f"{name}.yaml", "none"):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
            octets = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            await writer.wait_closed()
            return octets

    async def ask_both() -> tuple[bytes, bytes]:
        return await asyncio.gather(ask_in("one"), ask_in("two"))

    assert [octets[-3:] for octets in asyncio.run(ask_both())] == [b"one", b"two"]


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the connection is broken off under the loop
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_loop_with_a_connection_from_before_does_not_get_past_the_cassette(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    with use_cassette(tmp_path / "empty.yaml", "once"):
        pass

    async def bypass() -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        try:
            with use_cassette(tmp_path / "empty.yaml", "none") as cassette:
                writer.write(b"GET /bypass HTTP/1.1\r\nHost: api.test\r\n\r\n")
                assert [miss.request.head.target for miss in cassette.misses] == ["/bypass"]
                return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()

    with pytest.raises(UnmatchedRequest):
        asyncio.run(bypass())


def in_asyncio(
    client: Callable[..., AbstractAsyncContextManager[Callable[[str], Awaitable[bytes]]]],
) -> Callable[..., list[bytes]]:
    """Ask for /outside and /inside, one after the other through one client; a block is entered between them."""

    def run(server: Peer, trust: ssl.SSLContext, block: use_cassette) -> list[bytes]:
        async def ask_both() -> list[bytes]:
            async with client(server, trust) as ask:
                outside = await ask("/outside")
                with block:
                    inside = await ask("/inside")
                    inside += await ask("/inside again")
                return [outside, inside, await ask("/outside")]

        return asyncio.run(ask_both())

    return run


@asynccontextmanager
async def with_httpx(server: Peer, trust: ssl.SSLContext) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:

        async def ask(path: str) -> bytes:
            return (await client.get(server.url + path)).content

        yield ask


@asynccontextmanager
async def with_aiohttp(server: Peer, trust: ssl.SSLContext) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    async with aiohttp.ClientSession() as session:

        async def ask(path: str) -> bytes:
            async with session.get(server.url + path, ssl=trust) as answer:
                return await answer.read()

        yield ask
        await asyncio.sleep(0)


@asynccontextmanager
async def with_streams(server: Peer, trust: ssl.SSLContext) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    """One connection, which is not opened again."""
    tls = trust if server.url.startswith("https") else None
    streams = [await asyncio.open_connection(server.host, server.port, ssl=tls)]

    async def ask(path: str) -> bytes:
        for _ in range(10):  # rounds of the loop, in which it sees what is closed
            await asyncio.sleep(0)
        if streams[0][0].at_eof():
            streams[0][1].close()
            streams[0] = await asyncio.open_connection(server.host, server.port, ssl=tls)
        reader, writer = streams[0]
        target = path.replace(" ", "%20")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        return await asyncio.wait_for(reader.readexactly(int(head.rpartition(b":")[2])), 5)

    yield ask
    streams[0][1].close()


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp does not wait for its connections to close
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mode", ["all", "new_episodes", "none"])
@pytest.mark.parametrize("client", [with_httpx, with_aiohttp, with_streams], ids=["httpx", "aiohttp", "streams"])
def test_connection_of_a_loop_that_was_opened_before_is_taken_over(
    client: Callable[..., AbstractAsyncContextManager[Callable[[str], Awaitable[bytes]]]],
    mode: str,
    server: Peer,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    run = in_asyncio(client)
    path, known = tmp_path / "one.yaml", tmp_path / "known.yaml"
    write_cassette_of(known, server.port, server.host)
    expected = [b"live /outside", b"live /insidelive /inside%20again", b"live /outside"]
    if mode == "none":
        assert run(server, client_tls, use_cassette(path, "all")) == expected
    assert run(server, client_tls, use_cassette(path, mode, also=[known])) == expected
    with use_cassette(path, "none") as cassette:
        urls = [one.request.url for one in cassette.interactions if one.request]
    assert urls == [f"{server.url}/inside", f"{server.url}/inside%20again"]


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp does not wait for its connections to close
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pool_of_a_loop_does_not_carry_one_cassette_into_the_next(
    serve: Serve, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = serve(keep_alive(echo_target))
    empty = tmp_path / "empty.yaml"
    empty.write_text("cassette: 1\n---\n")

    async def ask(session: aiohttp.ClientSession, path: str) -> bytes:
        async with session.get(server.url + path, ssl=client_tls) as answer:
            return await answer.read()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            with use_cassette(tmp_path / "one.yaml", "all"):
                assert await ask(session, "/1") == b"live /1"
            with use_cassette(empty, "none") as cassette:
                with pytest.raises((aiohttp.ClientError, UnmatchedRequest)):
                    await ask(session, "/2")
                # aiohttp tries a request again that broke a connection it had used before.
                assert {miss.request.head.target for miss in cassette.misses} == {"/2"}
                cassette.misses.clear()
            with use_cassette(tmp_path / "three.yaml", "all") as cassette:
                assert await ask(session, "/3") == b"live /3"
                assert len(cassette.recorded) == 1

    asyncio.run(run())


def test_thread_that_reads_beside_the_one_that_sends_gets_what_is_played(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "duplex.yaml"

    def run() -> list[bytes]:
        seen: list[bytes] = []
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(b"GET /0 HTTP/1.1\r\nHost: api.test\r\n\r\n")
            arrived = threading.Semaphore(0)

            def read() -> None:
                for _ in range(3):
                    seen.append(sock.recv(1000))
                    arrived.release()

            thread = threading.Thread(target=read)
            thread.start()
            for number in (1, 2):
                assert arrived.acquire(timeout=5)
                sock.sendall(b"GET /%d HTTP/1.1\r\nHost: api.test\r\n\r\n" % number)
            thread.join(5)
        return seen

    with use_cassette(path, "all"):
        recorded = run()
    server.stop()
    with use_cassette(path, "none"):
        assert run() == recorded == [response(b"live /%d" % number) for number in range(3)]


def test_blocks_that_overlap_leave_no_cassette_in_use(tmp_path: Path) -> None:
    first, second = use_cassette(tmp_path / "1.yaml", "all"), use_cassette(tmp_path / "2.yaml", "all")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert base.current() is None


def test_program_may_patch_what_we_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def own_lookup(*args: object, **kwargs: object) -> object:
        return original("127.0.0.1", *args[1:], **kwargs)  # type: ignore[arg-type]

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", own_lookup)
    with use_cassette(tmp_path / "any.yaml", "all"):
        assert socket.getaddrinfo("nowhere.invalid", 80)[0][4] == ("127.0.0.1", 80)
    assert socket.getaddrinfo is own_lookup


class ObjectOverSocket:
    """TLS as libraries have it that carry the records themselves; plain TCP without a context."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.sock = socket.create_connection(("shared.test", 443 if tls else 80), timeout=5)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: ssl.SSLObject | None = None
        if tls is not None:
            self.tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname="shared.test")
            self._carry(self.tls.do_handshake)

    def ask(self) -> bytes:
        request = b"GET / HTTP/1.1\r\nHost: shared.test\r\n\r\n"
        if self.tls is None:
            self.sock.sendall(request)
            return self.sock.recv(1000)
        self.tls.write(request)
        return self._carry(lambda: self.tls.read(1000))  # type: ignore[union-attr]  # it is there

    def _carry(self, call: Callable[[], object]) -> bytes:
        while True:
            try:
                return call()  # type: ignore[return-value]  # of what is read
            except ssl.SSLWantReadError:
                self.sock.sendall(self._outgoing.read())
                self._incoming.write(self.sock.recv(1000))


def test_connection_that_went_on_to_another_cassette_is_not_closed_with_the_first(
    trust: ssl.SSLContext | None, tmp_path: Path
) -> None:
    url = f"{'https' if trust else 'http'}://shared.test/"
    cassettes = []
    for name in ("first", "other"):
        path = tmp_path / f"{name}.yaml"
        one = f"request: GET {url}\nresponse: 200 OK\nresponse headers: |\n  Content-Length: 5\nresponse body: {name}\n"
        path.write_text("cassette: 1\n---\n" + f"{one}---\n" * 2)
        cassettes.append(use_cassette(path, "none"))
    first, other = cassettes
    with first:
        connection = ObjectOverSocket(trust)
        assert connection.ask().endswith(b"first")
        other.__enter__()
        assert connection.ask().endswith(b"other")
    assert not select.select([connection.sock], [], [], 0)[0]
    assert connection.ask().endswith(b"other")
    connection.sock.close()
    other.__exit__(None, None, None)


def test_tls_object_over_a_closed_socket_is_not_answered(client_tls: ssl.SSLContext, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("cassette: 1\n---\n" + "request: GET https://shared.test/\nresponse: 200 OK\n---\n" * 2)
    with use_cassette(path, "none") as cassette:
        connection = ObjectOverSocket(client_tls)
        assert connection.ask().startswith(b"HTTP/1.1 200 OK")
        connection.sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            connection.ask()
        assert len(cassette.unplayed) == 1
