"""A TLS connection may end with a close_notify alert or without (RFC 9112 section 9.8): replay ends as it did live."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.streams.tls
import httpx
import pytest
import trio
import uvloop

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import three_times, write_cassette_of
from tests.peer import Connection, Peer, Script

TIMEOUT_S = 5.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"

Client = Callable[[int, ssl.SSLContext], Any]


def with_announced_end(connection: Connection) -> None:
    connection.read_request()
    connection.send(HEAD + b"until the end")
    with suppress(OSError):  # the client need not answer
        connection.sock.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket


def without_announced_end(connection: Connection) -> None:
    connection.read_request()
    connection.send(HEAD + b"until the end")


def within_content(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nnot all")


def idle(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall")
    connection.wait_closed()


def seen_by(error: BaseException) -> tuple[str, str]:
    return type(error).__qualname__, str(error)


def read_to_end(receive: Callable[[], bytes]) -> tuple[bytes, Any]:
    seen = b""
    try:
        while octets := receive():
            seen += octets
    except OSError as error:
        return seen, (seen_by(error), error.errno, getattr(error, "reason", None))
    return seen, "end"


def lenient_socket(port: int, trust: ssl.SSLContext) -> Any:
    return with_socket(port, trust, suppress_ragged_eofs=True)


def strict_socket(port: int, trust: ssl.SSLContext) -> Any:
    return with_socket(port, trust, suppress_ragged_eofs=False)


def with_socket(port: int, trust: ssl.SSLContext, **options: Any) -> Any:
    with (
        socket.create_connection(("localhost", port), timeout=TIMEOUT_S) as sock,
        trust.wrap_socket(sock, server_hostname="localhost", **options) as secured,
    ):
        secured.sendall(REQUEST)
        return read_to_end(lambda: secured.recv(65536))


def tls_object(port: int, trust: ssl.SSLContext) -> Any:
    """Carries the records itself, as those do who put TLS into TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("localhost", port), timeout=TIMEOUT_S) as sock:

        def shake() -> bool:
            secured.do_handshake()
            return True

        def carry(call: Callable[[], Any]) -> Any:
            while True:
                try:
                    result = call()
                except ssl.SSLWantReadError:
                    result = None
                if outgoing.pending:
                    sock.sendall(outgoing.read())
                if result is not None:
                    return result
                octets = sock.recv(65536)
                if octets:
                    incoming.write(octets)
                else:
                    incoming.write_eof()

        carry(shake)
        carry(lambda: secured.write(REQUEST))
        return read_to_end(lambda: carry(lambda: secured.read(65536)))


def asyncio_streams(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        writer.write(REQUEST)
        try:
            return await reader.read()
        finally:
            writer.transport.abort()

    return asyncio.run(ask())


def with_trio(port: int, trust: ssl.SSLContext, *, https_compatible: bool) -> Any:
    async def ask() -> Any:
        stream = await trio.open_ssl_over_tcp_stream(
            "localhost", port, ssl_context=trust, https_compatible=https_compatible
        )
        seen = b""
        try:
            await stream.send_all(REQUEST)
            while octets := await stream.receive_some():
                seen += octets
        except trio.BrokenResourceError as error:
            return seen, seen_by(error), seen_by(error.__cause__ or error)
        finally:
            await trio.aclose_forcefully(stream)
        return seen, "end"

    return trio.run(ask)


def strict_trio(port: int, trust: ssl.SSLContext) -> Any:
    return with_trio(port, trust, https_compatible=False)


def lenient_trio(port: int, trust: ssl.SSLContext) -> Any:
    return with_trio(port, trust, https_compatible=True)


def strict_anyio(port: int, trust: ssl.SSLContext) -> Any:
    async def ask() -> Any:
        stream = await anyio.connect_tcp("localhost", port, tls=True, ssl_context=trust, tls_standard_compatible=True)
        await stream.send(REQUEST)
        seen = b""
        try:
            while True:
                seen += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            return seen, type(error).__qualname__
        finally:
            await anyio.aclose_forcefully(stream)

    return anyio.run(ask)


def with_module(module: Any, port: int, trust: ssl.SSLContext) -> Any:
    connection = module.HTTPSConnection("localhost", port, context=trust, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    except http.client.IncompleteRead as error:
        return seen_by(error)
    finally:
        connection.close()


def standard_library(port: int, trust: ssl.SSLContext) -> Any:
    return with_module(http.client, port, trust)


def own_client(port: int, trust: ssl.SSLContext) -> Any:
    return with_module(cassette_http.client, port, trust)


CLIENTS = [
    lenient_socket, strict_socket, tls_object, asyncio_streams, strict_trio, lenient_trio, strict_anyio,
    standard_library, own_client,
]  # fmt: skip


@pytest.mark.parametrize("script", [with_announced_end, without_announced_end, within_content])
@pytest.mark.parametrize("client", CLIENTS)
def test_end_is_the_same_three_times(
    client: Client,
    script: Script,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(script, tls=server_tls)
    three_times(lambda: client(server.port, client_tls), tmp_path / "end.yaml", server)


def announces_the_end_within_content(connection: Connection) -> None:
    within_content(connection)
    with suppress(OSError):
        connection.sock.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket


@pytest.mark.parametrize("script", [with_announced_end, announces_the_end_within_content])
def test_streams_close_themselves_after_an_announced_end(
    script: Script,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    async def ask() -> Any:
        reader, writer = await asyncio.open_connection("localhost", server.port, ssl=client_tls)
        writer.write(REQUEST)
        try:
            return await reader.read(), writer.is_closing()
        finally:
            writer.transport.abort()

    server = peer(script, tls=server_tls)
    (_, is_closing), _ = three_times(lambda: asyncio.run(ask()), tmp_path / "closing.yaml", server)
    assert is_closing


def announces_the_end_behind_an_interim_response(connection: Connection) -> None:
    connection.read_until(b"\r\n\r\n")
    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.read(4)
    with suppress(OSError):
        connection.sock.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket


def test_end_after_an_interim_response_comes_when_the_body_was_sent(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    async def ask() -> Any:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_tls)) as session:
            with pytest.raises(aiohttp.ClientError) as caught:
                await session.post(server.url, data=b"body", expect100=True)
            return seen_by(caught.value)

    server = peer(announces_the_end_behind_an_interim_response, tls=server_tls)
    three_times(lambda: asyncio.run(ask()), tmp_path / "interim.yaml", server)


@pytest.mark.parametrize("script", [with_announced_end, without_announced_end, within_content])
@pytest.mark.parametrize("client", CLIENTS)
def test_end_is_the_same_when_the_peer_is_dialled_late(
    client: Client,
    script: Script,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(script, tls=server_tls)
    path = tmp_path / "end.yaml"
    write_cassette_of(path, server.port, "127.0.0.1", "localhost")
    live = client(server.port, client_tls)
    strictly = strict_socket(server.port, client_tls)
    with use_cassette(path, "new_episodes"):
        assert client(server.port, client_tls) == live
    with use_cassette(path, "none"):
        assert client(server.port, client_tls) == live
    with use_cassette(path, "none"):
        assert strict_socket(server.port, client_tls) == strictly


BEGINNING_OF_UPLOAD = b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
# More than buffers hold, of a body whose rest will not be sent.
UPLOAD_PIECES = 1000


def object_upload(port: int, trust: ssl.SSLContext) -> Any:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("localhost", port), timeout=TIMEOUT_S) as sock:
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        secured.write(BEGINNING_OF_UPLOAD)
        broken: list[int] = []
        for number in range(UPLOAD_PIECES):
            secured.write(bytes(1 << 14))
            try:
                sock.sendall(outgoing.read())
            except ConnectionError:
                broken.append(number)
            if len(broken) == 2:
                break
    return broken


def anyio_upload(port: int, trust: ssl.SSLContext) -> Any:
    async def send() -> None:
        stream = await anyio.connect_tcp("localhost", port, tls=True, ssl_context=trust)
        try:
            await stream.send(BEGINNING_OF_UPLOAD)
            for _ in range(UPLOAD_PIECES):
                await stream.send(bytes(1 << 14))
        finally:
            await anyio.aclose_forcefully(stream)

    with pytest.raises(anyio.BrokenResourceError):
        anyio.run(send)


@pytest.mark.parametrize("client", [object_upload, anyio_upload])
def test_broken_upload_is_raised_where_a_program_sends_the_records(
    client: Client,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def breaks_off(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.reset()

    server = peer(breaks_off, tls=server_tls)
    with use_cassette(tmp_path / "upload.yaml"):
        recorded = client(server.port, client_tls)
    server.stop()
    with use_cassette(tmp_path / "upload.yaml", "none"):
        assert client(server.port, client_tls) == recorded


@pytest.mark.parametrize("client", [lenient_socket, tls_object])
def test_read_of_an_idle_connection_times_out_three_times(
    client: Client,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.intercept.test_tls_ends.TIMEOUT_S", 0.2)
    server = peer(idle, tls=server_tls)
    three_times(lambda: client(server.port, client_tls), tmp_path / "idle.yaml", server)


def test_our_client_sends_nothing_after_an_end_that_was_not_announced(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """It meets that end while it waits for 100 Continue."""

    def closes_instead(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")

    server = peer(closes_instead, tls=server_tls)

    def ask() -> tuple[str, str]:
        connection = cassette_http.client.HTTPSConnection(
            "localhost", server.port, timeout=TIMEOUT_S, context=client_tls
        )
        with pytest.raises(ssl.SSLEOFError) as caught:
            connection.request("POST", "/", b"body", {"Expect": "100-continue"})
        connection.close()
        return seen_by(caught.value)

    three_times(ask, tmp_path / "closed.yaml", server)


def sends_by_socket(port: int, trust: ssl.SSLContext) -> object:
    with (
        socket.create_connection(("localhost", port), timeout=TIMEOUT_S) as sock,
        trust.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(REQUEST)
        seen = read_to_end(lambda: secured.recv(65536))
        with pytest.raises(OSError, match="EOF occurred") as caught:
            secured.send(b"more")
        return seen, seen_by(caught.value)


def sends_by_anyio(port: int, trust: ssl.SSLContext) -> object:
    async def ask() -> object:
        stream = await anyio.connect_tcp("localhost", port, tls=True, ssl_context=trust, tls_standard_compatible=False)
        await stream.send(REQUEST)
        seen = [octets async for octets in stream]
        with pytest.raises(anyio.EndOfStream):
            await stream.send(b"more")
        await anyio.aclose_forcefully(stream)
        return b"".join(seen)

    return anyio.run(ask)


@pytest.mark.parametrize("client", [sends_by_socket, sends_by_anyio])
def test_nothing_can_be_sent_behind_an_end_that_was_not_announced(
    client: Client, peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(without_announced_end, tls=server_tls)
    three_times(lambda: client(server.port, client_tls), tmp_path / "behind.yaml", server)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("script", "is_noted"), [(with_announced_end, False), (without_announced_end, True), (within_content, True)]
)
def test_missing_announcement_is_noted_in_the_cassette(
    client: Client,
    script: Script,
    is_noted: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """OpenSSL may have been told to hide it from some clients, as by Python up to 3.11.3."""
    may_be_hidden = is_noted and client_tls.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    server = peer(script, tls=server_tls)
    path = tmp_path / "end.yaml"
    with use_cassette(path, "all"):
        client(server.port, client_tls)
    assert ("close_notify: false" in path.read_text()) is is_noted or may_be_hidden


class Pausing(asyncio.Protocol):
    """Pauses behind what comes first."""

    def __init__(self) -> None:
        self.seen = b""
        self.paused, self.lost = (asyncio.get_running_loop().create_future() for _ in range(2))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.seen:
            self.transport.pause_reading()
            self.paused.set_result(None)
        self.seen += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(None)


async def pause(port: int, trust: ssl.SSLContext, told: str) -> tuple[Pausing, Any, list[int]]:
    """Connect, and pause; `told` of the loop's TLS is counted, as nobody else hears of what comes below."""
    transport, reader = await asyncio.get_running_loop().create_connection(Pausing, "localhost", port, ssl=trust)
    below, calls = transport._ssl_protocol, []  # type: ignore[attr-defined]  # a private name, as has to be
    original = getattr(below, told)

    def note(*args: Any) -> Any:
        calls.append(len(reader.seen))
        return original(*args)

    setattr(below, told, note)
    await asyncio.wait_for(reader.paused, 5)
    return reader, transport, calls


def test_content_that_waits_behind_a_paused_reader_is_recorded(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """The loop learns of the end of the connection before the program has read what came in front of it."""
    content = b"x" * 200_000
    is_paused = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(HEAD)
        assert is_paused.wait(5)
        connection.send(content)

    async def ask() -> bytes:
        reader, transport, ends = await pause(server.port, client_tls, "eof_received")
        is_paused.set()
        async with asyncio.timeout(5):
            while not ends:
                await asyncio.sleep(0)
        assert ends == [len(HEAD)]
        transport.resume_reading()
        await asyncio.wait_for(reader.lost, 5)
        return reader.seen

    server = peer(script, tls=server_tls)
    path = tmp_path / "paused.yaml"
    with use_cassette(path, "all"):
        assert asyncio.run(ask()) == HEAD + content
    server.stop()
    with use_cassette(path, "none"):
        assert strict_socket(server.port, client_tls)[0] == HEAD + content


def test_played_content_does_not_wake_a_paused_reader_again_and_again(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(HEAD)
        time.sleep(0.03)  # what comes at once is one piece
        connection.send(b"until the end")

    async def ask() -> tuple[bytes, list[int]]:
        reader, transport, wakes = await pause(server.port, client_tls, "buffer_updated")
        for _ in range(100):
            await asyncio.sleep(0)
        woken = list(wakes)
        transport.resume_reading()
        await asyncio.wait_for(reader.lost, 5)
        return reader.seen, woken

    server = peer(script, tls=server_tls)
    path = tmp_path / "paused.yaml"
    with use_cassette(path, "all"):
        recorded, _ = asyncio.run(ask())
    server.stop()
    with use_cassette(path, "none"):
        played, woken = asyncio.run(ask())
    assert played == recorded == HEAD + b"until the end"
    assert len(woken) < 10


def ends_tls_alone(connection: Connection) -> None:
    """Keep the TCP connection open, whatever the client does."""
    connection.read_request()
    connection.send(HEAD + b"until the end")
    connection.sock.setblocking(False)
    with suppress(ssl.SSLWantReadError):
        connection.sock.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket
    connection.sock.settimeout(TIMEOUT_S)
    with socket.fromfd(connection.sock.fileno(), connection.sock.family, connection.sock.type) as below:
        below.settimeout(TIMEOUT_S)
        with suppress(OSError):
            while below.recv(65536):
                pass


def pool_of_httpx(url: str, trust: ssl.SSLContext) -> list[object]:
    seen: list[object] = []
    with httpx.Client(verify=trust, trust_env=False, timeout=TIMEOUT_S) as client:
        for path in ("/1", "/2", "/3"):
            try:
                seen.append(client.get(url + path).content)
            except httpx.HTTPError as error:
                seen.append(seen_by(error))
    return seen


async def loop_of_httpx(url: str, trust: ssl.SSLContext) -> list[object]:
    seen: list[object] = []
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=TIMEOUT_S) as client:
        for path in ("/1", "/2", "/3"):
            try:
                seen.append((await client.get(url + path)).content)
            except httpx.HTTPError as error:
                seen.append(seen_by(error))
    return seen


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(pool_of_httpx, id="blocking"),
        pytest.param(lambda *args: asyncio.run(loop_of_httpx(*args)), id="asyncio"),
        pytest.param(lambda *args: uvloop.run(loop_of_httpx(*args)), id="uvloop"),
        pytest.param(lambda *args: trio.run(loop_of_httpx, *args), id="trio"),
    ],
)
def test_pool_that_takes_a_connection_without_tls_for_an_open_one_does_so_in_replay(
    client: Callable[[str, ssl.SSLContext], list[object]],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(ends_tls_alone, tls=server_tls)
    path = tmp_path / "half.yaml"
    three_times(lambda: client(f"https://localhost:{server.port}", client_tls), path, server)
    assert path.read_text().count("fin: false") == 1
