"""A peer that ends, breaks off or speaks where nothing was asked of it, and what its client sees of that."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.behaviours import three_times
from tests.peer import LIMIT_S, Connection, Peer, Script, response

REQUEST = b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# An alert of TLS (RFC 8446 section 6).
HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
KEPT = b"GET /kept HTTP/1.1\r\nHost: localhost\r\n\r\n"

Ask = Callable[[int, ssl.SSLContext | None], Any]


# Told by clients that are connected: before that, a reset fails the connect.
connected = threading.Semaphore(0)


def first(how: Callable[[Connection], None]) -> Script:
    """Do so to the first connection of two, and answer on the other one."""

    def script(connection: Connection) -> None:
        if connection.number % 2:
            assert connected.acquire(timeout=LIMIT_S)
            how(connection)
        else:
            connection.read_request()
            connection.send(response(b"hello"))

    return script


@pytest.fixture(autouse=True)
def nobody_is_connected() -> None:
    while connected.acquire(blocking=False):
        pass


def closes(connection: Connection) -> None:
    pass


def resets(connection: Connection) -> None:
    connection.reset()


def answer_of(sock: socket.socket) -> bytes:
    sock.sendall(REQUEST)
    octets = b""
    while piece := sock.recv(65536):
        octets += piece
    return octets


def with_sockets(port: int, trust: ssl.SSLContext | None) -> Any:
    def connect() -> socket.socket:
        sock = socket.create_connection(("localhost", port), timeout=LIMIT_S)
        return sock if trust is None else trust.wrap_socket(sock, server_hostname="localhost")

    with connect() as sock:
        connected.release()
        try:
            met: Any = sock.recv(65536)
        except OSError as error:
            met = type(error), error.errno
    with connect() as sock:
        return met, answer_of(sock)


def with_streams(port: int, trust: ssl.SSLContext | None) -> Any:
    async def ask() -> Any:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        connected.release()
        try:
            met: Any = await reader.read()
        except OSError as error:
            met = type(error), error.errno
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        writer.write(REQUEST)
        answer = await reader.read()
        writer.close()
        return met, answer

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [with_sockets, with_streams])
@pytest.mark.parametrize("how", [closes, resets])
@pytest.mark.parametrize("is_tls", [pytest.param(False, id="TCP"), pytest.param(True, id="TLS")])
def test_peer_that_breaks_a_fresh_connection_does_so_three_times(
    is_tls: bool,
    how: Callable[[Connection], None],
    ask: Ask,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(first(how), tls=server_tls if is_tls else None)
    trust = client_tls if is_tls else None
    three_times(lambda: ask(server.port, trust), tmp_path / "unasked.yaml", server)


def test_peer_whose_address_nobody_can_tell_has_broken_the_connection(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """urllib3-future asks for it before its first request."""

    def ask() -> Any:
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            connected.release()
            poller = select.poll()
            poller.register(sock, 0)
            assert not server.is_running or poller.poll(LIMIT_S * 1000)  # a hang-up
            with pytest.raises(OSError, match="not connected") as caught:
                sock.getpeername()
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            return caught.value.errno == errno.ENOTCONN, answer_of(sock)

    server = peer(first(resets))
    three_times(ask, tmp_path / "unasked.yaml", server)


def test_name_of_a_peer_that_is_gone_may_be_asked_for_when_a_request_has_failed(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """As `repr` does, for a log or a ResourceWarning: what is recorded is what has failed."""

    def resets_at_head(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.reset()

    server = peer(resets_at_head)

    def ask() -> Any:
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
            poller = select.poll()
            poller.register(sock, 0)
            assert not server.is_running or poller.poll(LIMIT_S * 1000)  # a hang-up
            with pytest.raises((BrokenPipeError, ConnectionResetError)) as caught:
                sock.sendall(b"body")
            assert "socket.socket" in repr(sock)
            return caught.value.errno

    three_times(ask, tmp_path / "failed.yaml", server)


def more_of_socket(port: int, trust: ssl.SSLContext | None) -> list[bytes]:
    with socket.create_connection(("localhost", port), timeout=LIMIT_S) as plain:
        sock = plain if trust is None else trust.wrap_socket(plain, server_hostname="localhost")
        with sock:
            sock.sendall(KEPT)
            answer = sock.recv(65536)
            connected.release()
            unasked = sock.recv(65536)
            return [answer, unasked, answer_of(sock)]


def more_of_streams(port: int, trust: ssl.SSLContext | None) -> list[bytes]:
    async def ask() -> list[bytes]:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        writer.write(KEPT)
        answer = await reader.read(65536)
        connected.release()
        unasked = await reader.read(65536)
        writer.write(REQUEST)
        last = await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return [answer, unasked, last]

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [more_of_socket, more_of_streams])
@pytest.mark.parametrize("is_tls", [pytest.param(False, id="TCP"), pytest.param(True, id="TLS")])
def test_what_is_read_between_two_requests_is_read_there_three_times(
    is_tls: bool,
    ask: Ask,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"asked"))
        assert connected.acquire(timeout=LIMIT_S)
        connection.send(response(b"not asked"))
        connection.read_request()
        connection.send(response(b"asked again"))

    server = peer(script, tls=server_tls if is_tls else None)
    trust = client_tls if is_tls else None
    three_times(lambda: ask(server.port, trust), tmp_path / "unasked.yaml", server)


def state_of(sock: socket.socket) -> list[Any]:
    """Whether its calls say that it is connected."""
    seen: list[Any] = []
    for call in (sock.getpeername, lambda: sock.shutdown(socket.SHUT_RDWR)):
        try:
            call()
            seen.append("connected")
        except OSError as error:
            seen.append(error.errno)
    return seen


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot"], ids=["nothing", "a part"])
def test_connection_that_broke_is_not_connected_three_times(
    begins: bytes, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(begins)
        assert connected.acquire(timeout=LIMIT_S)
        connection.reset()

    def ask() -> Any:
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            sock.sendall(KEPT)
            answer = sock.recv(65536) if begins else b""
            connected.release()
            with pytest.raises(ConnectionResetError):
                sock.recv(65536)
            return answer, state_of(sock)

    server = peer(script)
    three_times(ask, tmp_path / "broken.yaml", server)


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], ids=["silent", "answers"])
def test_peer_that_waits_for_the_end_of_its_client_does_so_three_times(
    content: bytes, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(content)
        connection.wait_closed()

    def ask() -> Any:
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            sock.sendall(KEPT)
            answer = sock.recv(65536) if content else b""
            readable, _, _ = select.select([sock], [], [], 0)
            sock.shutdown(socket.SHUT_WR)
            return answer, readable, sock.recv(65536)

    server = peer(script)
    three_times(ask, tmp_path / "waits.yaml", server)


def test_name_of_a_peer_that_has_refused_the_handshake_may_be_asked_for(
    client_tls: ssl.SSLContext, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """tornado does, for its log: the connection, which is gone by then, has failed but once."""

    def script(connection: Connection) -> None:
        connection.sock.recv(65536)
        connection.send(HANDSHAKE_FAILURE)
        assert connected.acquire(timeout=LIMIT_S)
        connection.reset()

    def refused() -> Any:
        plain = socket.create_connection((server.host, server.port), timeout=LIMIT_S)
        with client_tls.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as sock:
            with pytest.raises(ssl.SSLError) as caught:
                sock.do_handshake()
            connected.release()
            poller = select.poll()
            poller.register(sock, 0)
            assert not server.is_running or poller.poll(LIMIT_S * 1000)  # a hang-up
            with suppress(OSError):
                sock.getpeername()
            return caught.value.reason

    server = peer(script)
    three_times(lambda: [refused(), refused()], tmp_path / "refused.yaml", server)


def says_no(connection: Connection) -> None:
    connection.read_request()
    connection.send(response(b"no", status=b"400 Bad Request"))
    connection.read(len(b"more\n"))


def says_no_and_then_more(connection: Connection) -> None:
    says_no(connection)
    connection.send(b"what?\n")


@pytest.mark.parametrize(("script", "answer"), [(says_no, b""), (says_no_and_then_more, b"what?\n")])
def test_what_is_no_request_goes_nowhere_behind_a_played_response(
    script: Script, answer: bytes, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """A client that asks for an upgrade may not look whether it got one."""
    server = peer(script)

    def ask() -> list[bytes]:
        with socket.create_connection((server.host, server.port), timeout=LIMIT_S) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
            seen = [sock.recv(1000)]
            sock.sendall(b"more\n")
            while seen[-1]:
                seen.append(sock.recv(1000))
            return seen

    seen, _ = three_times(ask, tmp_path / "no.yaml", server)
    assert b"".join(seen[1:]) == answer
