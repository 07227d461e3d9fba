"""Loops that need hooks of their own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from asyncio.proactor_events import BaseProactorEventLoop
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
import httpx
import pytest

from cassette_http import UnsupportedLibrary, use_cassette
from tests.behaviours import write_cassette_of
from tests.peer import Peer, Serve, keep_alive, response

Seen = TypeVar("Seen")

uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this system")


def on_uvloop(main: Callable[[], Awaitable[Seen]]) -> Seen:
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def with_streams(server: Peer, trust: ssl.SSLContext) -> list[bytes]:
    tls = trust if server.url.startswith("https") else None
    reader, writer = await asyncio.open_connection(server.host, server.port, ssl=tls)
    seen = []
    for path in ("a", "b"):
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
        seen.append(await asyncio.wait_for(reader.readuntil(f"live /{path}".encode()), 5))
    writer.close()
    await writer.wait_closed()
    return seen


async def with_start_tls(server: Peer, trust: ssl.SSLContext) -> list[bytes]:
    """TLS put over a connection that is there, as behind a proxy."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    if server.url.startswith("https"):
        await writer.start_tls(trust, server_hostname=server.host)
    writer.write(f"GET /a HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
    seen = await asyncio.wait_for(reader.readuntil(b"live /a"), 5)
    writer.close()
    return [seen]


async def with_httpx(server: Peer, trust: ssl.SSLContext) -> list[bytes]:
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
        return [(await client.get(f"{server.url}/{path}")).content for path in ("a", "b", "a")]


async def with_aiohttp(server: Peer, trust: ssl.SSLContext) -> list[bytes]:
    seen = []
    async with aiohttp.ClientSession() as session:
        for path in ("a", "b", "a"):
            async with session.get(f"{server.url}/{path}", ssl=trust) as answer:
                seen.append(await answer.read())
    return seen


UVLOOP_CLIENTS = [with_streams, with_start_tls, with_httpx, with_aiohttp]


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp does not wait for its connections to close
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ask", UVLOOP_CLIENTS, ids=lambda ask: ask.__name__)
def test_uvloop_sees_the_same_three_times(
    ask: Callable[..., Awaitable[list[bytes]]],
    serve: Serve,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = serve(keep_alive(lambda request: response(b"live " + request.split(b" ")[1])))

    def run() -> list[bytes]:
        return on_uvloop(lambda: ask(server, client_tls))

    live = run()
    with use_cassette(tmp_path / "one.yaml", "all") as cassette:
        assert run() == live
        assert len(cassette.recorded) == len(live)
    write_cassette_of(tmp_path / "new.yaml", server.port, "127.0.0.1", "localhost")
    with use_cassette(tmp_path / "new.yaml", "new_episodes"):
        assert run() == live
    assert run() == live  # without a cassette again
    server.stop()
    for name in ("one", "new"):
        with use_cassette(tmp_path / f"{name}.yaml", "none"):
            assert run() == live


def test_uvloop_meets_the_recorded_failures(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(
        keep_alive(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\npart")
    )

    async def ask() -> list[str]:
        seen = []
        async with httpx.AsyncClient(trust_env=False, timeout=0.3) as client:
            for host in (f"{server.host}:{server.port}", "nowhere.invalid", f"127.0.0.93:{server.port}"):
                try:
                    await client.get(f"http://{host}/")
                except httpx.HTTPError as error:
                    seen.append(f"{type(error).__name__}: {error}")
        return seen

    with use_cassette(tmp_path / "one.yaml", "all"):
        recorded = on_uvloop(ask)
    assert [one.partition(":")[0] for one in recorded] == ["ReadTimeout", "ConnectError", "ConnectError"]
    server.stop()
    with use_cassette(tmp_path / "one.yaml", "none"):
        assert on_uvloop(ask) == recorded


def test_uvloop_still_serves_and_talks_to_local_sockets(tmp_path: Path) -> None:
    async def talk() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_unix_server(answer, tmp_path / "socket")
        async with server:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
            writer.write(b"GET / HTTP/1.1\r\n")
            line = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            return line

    with use_cassette(tmp_path / "any.yaml", "all") as cassette:
        assert on_uvloop(talk) == b"GET / HTTP/1.1\r\n"
        assert cassette.recorded == []


def test_uvloop_keeps_to_itself_what_no_cassette_is_for(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """A server and its TLS, and sockets that are connected; and uvloop sends no files, over whatever transport."""

    async def talk() -> list[bytes]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"go on\n")
            await writer.start_tls(server_tls)
            writer.write(await reader.readline())
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            with (tmp_path / "file").open("w+b") as file, pytest.raises(NotImplementedError):
                await asyncio.get_running_loop().sendfile(writer.transport, file)
            writer.write(b"begin\n")
            seen = [await asyncio.wait_for(reader.readline(), 5)]
            await writer.start_tls(client_tls, server_hostname="localhost")
            writer.write(b"secured\n")
            seen.append(await asyncio.wait_for(reader.readline(), 5))
            writer.close()
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=near)
        far.sendall(b"local\n")
        seen.append(await asyncio.wait_for(reader.readline(), 5))
        writer.close()
        far.close()
        return seen

    with use_cassette(tmp_path / "any.yaml", "all"):
        assert on_uvloop(talk) == [b"go on\n", b"secured\n", b"local\n"]


class Proactor(BaseProactorEventLoop):
    """As much of the loop of Windows as there is on every system: all that is asked of it is to connect."""

    def __init__(self) -> None:
        pass

    def __del__(self) -> None:
        pass

    async def sock_connect(self, sock: socket.socket, address: object) -> None:
        raise AssertionError("a proactor was asked to connect")


@pytest.mark.parametrize(
    "connect",
    [
        lambda loop, sock: BaseProactorEventLoop.create_connection(loop, asyncio.Protocol, "api.test", 80),
        lambda loop, sock: BaseProactorEventLoop.sock_connect(loop, sock, ("192.0.2.1", 80)),
    ],
    ids=["create_connection", "sock_connect"],
)
def test_proactor_is_refused_while_a_cassette_is_in_use(
    connect: Callable[[object, socket.socket], Awaitable[object]], tmp_path: Path
) -> None:
    with (
        socket.socket() as sock,
        use_cassette(tmp_path / "any.yaml", "all"),
        pytest.raises(UnsupportedLibrary, match="SelectorEventLoop"),
    ):
        asyncio.run(connect(Proactor(), sock))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("package", "client"),
    [
        ("uvloop", "uvloop.run(main())"),
        ("trio", "trio.run(main)"),
    ],
)
def test_loop_that_is_imported_inside_the_block_is_hooked_too(
    package: str, client: str, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    pytest.importorskip(package)
    server = peer(keep_alive(lambda request: response(b"live")))
    program = (
        "from cassette_http import use_cassette\n"
        "async def main():\n"
        "    async with httpx.AsyncClient(trust_env=False) as client:\n"
        f"        print((await client.get('{server.url}/')).text)\n"
        f"with use_cassette({str(tmp_path / 'one.yaml')!r}, MODE) as cassette:\n"
        f"    import httpx, {package}\n"
        f"    {client}\n"
    )

    def run(mode: str) -> str:
        command = [sys.executable, "-c", program.replace("MODE", repr(mode))]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert run("all") == "live\n"
    server.stop()
    assert run("none") == "live\n"


def test_sockets_that_have_taken_the_place_of_pythons_are_refused_in_plain_words() -> None:
    """Those of eventlet have not all methods of Python's."""
    program = (
        "import socket\n"
        "class GreenSocket: pass\n"
        "socket.socket = GreenSocket\n"
        "import cassette_http\n"
        "try: cassette_http.use_cassette\n"
        "except cassette_http.UnsupportedLibrary as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "GreenSocket" in done.stdout
    assert "monkey patches" in done.stdout


def test_pyopenssl_over_a_played_connection_is_refused(tmp_path: Path) -> None:
    openssl = pytest.importorskip("OpenSSL.SSL")
    (tmp_path / "empty.yaml").write_text("cassette: 1\n---\n")
    with (
        use_cassette(tmp_path / "empty.yaml", "none"),
        socket.create_connection(("127.0.0.1", 1)) as sock,
        pytest.raises(UnsupportedLibrary, match="pyOpenSSL"),
    ):
        openssl.Connection(openssl.Context(openssl.TLS_CLIENT_METHOD), sock)


@pytest.mark.parametrize("module", ["trio", "uvloop", "requests", "httpx", "aiohttp", "urllib3"])
def test_no_library_is_imported_only_to_hook_it(module: str, tmp_path: Path) -> None:
    program = (
        "import sys; from cassette_http import UnsupportedLibrary, use_cassette\n"
        f"with use_cassette({str(tmp_path / 'any.yaml')!r}, 'all'): pass\n"
        f"print({module!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
