"""What programs may do with a socket besides sending and receiving: the same live, recording and replaying."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cassette_http import use_cassette
from tests.behaviours import three_times, write_cassette_of
from tests.peer import LIMIT_S, Connection, Gone, Peer, response

REQUEST = b"GET /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n"
ANSWER = response(b"hello world")

Talk = Callable[[socket.socket, Path], object]


def answers(connection: Connection) -> None:
    while True:
        connection.read_request()
        connection.send(ANSWER)


def errors_of(*sends: Callable[[Any], object]) -> list[str]:
    """What is said of data that no socket can send."""
    said = []
    for send in sends:
        for data in ("text", None, 1, [b"list"], memoryview(b"strided")[::2]):
            with pytest.raises((TypeError, BufferError)) as caught:
                send(data)
            said.append(f"{caught.type.__name__}: {caught.value}")
    return said


def everything(sock: socket.socket) -> bytes:
    octets = b""
    while len(octets) < len(ANSWER):
        octets += sock.recv(1000)
    return octets


def peek(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    peeked = [sock.recv(4, socket.MSG_PEEK), sock.recv(8, socket.MSG_PEEK)]
    buffer = bytearray(6)
    count = sock.recv_into(buffer, 6, socket.MSG_PEEK)
    return peeked, count, buffer, everything(sock)


def wait_for_all(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    return sock.recv(len(ANSWER), socket.MSG_WAITALL)


def do_not_wait(sock: socket.socket, folder: Path) -> object:
    sock.settimeout(None)
    with pytest.raises(BlockingIOError):
        sock.recv(100, socket.MSG_DONTWAIT)
    sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        sock.recv(100, socket.MSG_DONTWAIT)  # Python waits before it makes the system's call
    sock.settimeout(5)
    sock.sendall(REQUEST)
    return everything(sock)


def send_what_is_no_octets(sock: socket.socket, folder: Path) -> object:
    before = errors_of(sock.send, sock.sendall, lambda data: sock.sendmsg([data]))
    sock.sendall(REQUEST)
    return before, everything(sock), errors_of(sock.send, sock.sendall, lambda data: sock.sendmsg([data]))


def recvfrom(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    buffer = bytearray(5)
    return sock.recvfrom(4), sock.recvfrom_into(buffer), sock.recvfrom_into(buffer, 2), buffer, sock.recv(4)


def recvmsg(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    buffers = [bytearray(3), bytearray(4)]
    octets, ancillary, _, address = sock.recvmsg(4)
    return octets, ancillary, address, sock.recvmsg_into(buffers)[0], buffers, sock.recvmsg(1000, 0)


def sendmsg(sock: socket.socket, folder: Path) -> object:
    return sock.sendmsg([REQUEST[:20], REQUEST[20:]]), everything(sock)


def sendfile(sock: socket.socket, folder: Path) -> object:
    (folder / "request").write_bytes(b"skipped" + REQUEST)
    with open(folder / "request", "rb") as file:
        sent = sock.sendfile(file, offset=7)
        return sent, file.tell(), everything(sock)


def sendfile_of_the_system(sock: socket.socket, folder: Path) -> object:
    (folder / "request").write_bytes(REQUEST)
    with open(folder / "request", "rb") as file:
        sent = os.sendfile(sock.fileno(), file.fileno(), 0, 1000)
    return sent, everything(sock)


def sendfile_of_a_loop(sock: socket.socket, folder: Path) -> object:
    (folder / "request").write_bytes(REQUEST)
    sock.setblocking(False)

    async def talk() -> object:
        loop = asyncio.get_running_loop()
        with open(folder / "request", "rb") as file:
            sent = await loop.sock_sendfile(sock, file)
        octets = b""
        while len(octets) < len(ANSWER):
            octets += await asyncio.wait_for(loop.sock_recv(sock, 1000), 5)
        return sent, octets

    return asyncio.run(talk())


def binary_file(sock: socket.socket, folder: Path) -> object:
    with sock.makefile("rwb") as file:
        file.write(REQUEST)
        file.flush()
        return file.readline(), file.read(20)


def text_file(sock: socket.socket, folder: Path) -> object:
    with sock.makefile("rw", encoding="latin-1", newline="\r\n") as file:
        file.write(REQUEST.decode().replace("\r\n", "\n"))
        file.flush()
        return file.readline(), file.readline()


def unbuffered_file(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    with sock.makefile("rb", buffering=0) as file:
        assert isinstance(file, io.RawIOBase)
        sock.close()  # the file keeps it open
        return file.read(7), file.read(3)


def copies(sock: socket.socket, folder: Path) -> object:
    copy = sock.dup()
    sock.sendall(REQUEST)
    first = copy.recv(4)
    sock.close()
    rest = copy.recv(1000)
    copy.sendall(REQUEST)
    again = everything(copy)
    copy.close()
    return first, rest, again


def detached(sock: socket.socket, folder: Path) -> object:
    family, kind, timeout_s = sock.family, sock.type, sock.gettimeout()
    with socket.socket(family, kind, fileno=sock.detach()) as fresh:
        fresh.settimeout(timeout_s)
        fresh.sendall(REQUEST)
        return sock.fileno(), everything(fresh)


def options(sock: socket.socket, folder: Path) -> object:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0,
        sock.getpeername(),
        sock.getsockname()[0],
        (sock.family, sock.type, sock.proto),
    )


def own_ports(sock: socket.socket, folder: Path) -> object:
    with socket.create_connection(sock.getpeername(), timeout=sock.gettimeout()) as other:
        ports = [one.getsockname()[1] for one in (sock, other, sock)]
        for one in (sock, other):
            one.sendall(REQUEST)
        return everything(sock), everything(other), [ports.index(port) for port in ports], 0 in ports


def connect_without_waiting(sock: socket.socket, folder: Path) -> object:
    with socket.socket() as other:
        other.setblocking(False)
        number = other.connect_ex(sock.getpeername())
        select.select([], [other], [], 5)
        error = other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        other.settimeout(sock.gettimeout())
        for one in (sock, other):
            one.sendall(REQUEST)
        return number, error, everything(sock), everything(other)


def shut_writing(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    sock.shutdown(socket.SHUT_WR)
    seen = everything(sock), sock.recv(10)
    with pytest.raises(BrokenPipeError):
        sock.send(b"more")
    return seen


def shut_both(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    octets = everything(sock)
    sock.shutdown(socket.SHUT_RDWR)
    return octets, sock.recv(10)


def read_nothing(sock: socket.socket, folder: Path) -> object:
    sock.sendall(REQUEST)
    return sock.recv(0), everything(sock)


def connect_twice(sock: socket.socket, folder: Path) -> object:
    return sock.connect_ex(sock.getpeername()) in (errno.EISCONN, 0)


TALKS = [
    *(peek, recvfrom, recvmsg, sendmsg, sendfile, binary_file, text_file, unbuffered_file, copies, detached, options),
    *(own_ports, shut_writing, shut_both, read_nothing, connect_twice, connect_without_waiting),
    *(sendfile_of_a_loop, send_what_is_no_octets),
    *([wait_for_all] if hasattr(socket, "MSG_WAITALL") else []),
    *([do_not_wait] if hasattr(socket, "MSG_DONTWAIT") else []),
    *([sendfile_of_the_system] if hasattr(os, "sendfile") else []),
]


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.__name__)
def test_socket_does_the_same_three_times(talk: Talk, peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(answers)

    def run() -> object:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            return talk(sock, tmp_path)

    live = run()
    with use_cassette(tmp_path / "one.yaml", "all") as cassette:
        assert run() == live
    requests = [one.request.head_octets for one in cassette.recorded if one.request]
    assert requests == [REQUEST] * len(requests)
    server.stop()
    with use_cassette(tmp_path / "one.yaml", "none"):
        assert run() == live


def test_end_that_the_program_makes_is_not_taken_for_one_of_the_peer(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def ask() -> object:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(REQUEST)
            octets = sock.recv(1000)
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                sock.recv(1000)
            sock.shutdown(socket.SHUT_RD)
            return octets, sock.recv(1000)

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(
            b"HTTP/1.1 200 OK\nContent-Length: 1\n\na"
        )  # programs do not agree on where such an answer ends
        connection.wait_closed()

    server = peer(script)
    three_times(ask, tmp_path / "one.yaml", server)


@pytest.mark.parametrize("is_early", [True, False], ids=["before the request", "behind the answer"])
def test_thread_that_waits_is_served_the_same_three_times(
    is_early: bool, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """It reads before another thread has sent anything, and meets the end that this one makes."""

    def ask() -> object:
        seen: list[bytes] = []
        reads, has_answer = threading.Event(), threading.Event()

        def read() -> None:
            reads.set()
            while octets := sock.recv(1000):
                seen.append(octets)
                has_answer.set()

        with socket.create_connection((server.host, server.port)) as sock:
            reader = threading.Thread(target=read, daemon=True)
            if is_early:
                reader.start()
                assert reads.wait(5)
            sock.sendall(REQUEST)
            if not is_early:
                reader.start()
            assert has_answer.wait(5)
            sock.shutdown(socket.SHUT_RDWR)
            reader.join(5)
            return b"".join(seen), reader.is_alive()

    server = peer(answers)
    three_times(ask, tmp_path / "one.yaml", server)


def wait_for_all_with_a_timeout(sock: socket.socket) -> object:
    return sock.recv(1000, socket.MSG_WAITALL), sock.recv(1000)


def look_at_the_end(sock: socket.socket) -> object:
    octets = sock.recv(1000) + sock.recv(1000)
    with pytest.raises(ConnectionResetError):
        sock.recv(1, socket.MSG_PEEK)
    return octets


@pytest.mark.skipif(not hasattr(socket, "MSG_WAITALL"), reason="this system has no such flag")
@pytest.mark.parametrize("read", [wait_for_all_with_a_timeout, look_at_the_end], ids=lambda read: read.__name__)
def test_flags_do_the_same_three_times(
    read: Callable[[socket.socket], object], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        for piece in (ANSWER[:20], ANSWER[20:-1]):
            connection.send(piece)
            time.sleep(0.05)  # pieces that come at once are one
        connection.reset()

    def ask() -> object:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(REQUEST)
            return read(sock)

    server = peer(script)
    three_times(ask, tmp_path / "one.yaml", server)


def test_error_of_a_failed_send_has_no_context(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.reset()
        has_reset.release()

    def ask() -> object:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(b"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\n")
            assert not server.is_running or has_reset.acquire(timeout=LIMIT_S)
            with pytest.raises(OSError) as caught:  # noqa: PT011  # a reset or a broken pipe, as the system likes
                sock.sendall(b"too late")
        error = caught.value
        return type(error), error.args, error.__cause__, error.__context__, error.__suppress_context__

    has_reset = threading.Semaphore(0)
    server = peer(script)
    three_times(ask, tmp_path / "one.yaml", server)


def test_sendfile_of_a_transport_does_the_same_three_times(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(answers)
    (tmp_path / "request").write_bytes(REQUEST)

    async def talk() -> object:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        with open(tmp_path / "request", "rb") as file:
            sent = await asyncio.get_running_loop().sendfile(writer.transport, file)
        octets = await asyncio.wait_for(reader.readexactly(len(ANSWER)), 5)
        writer.close()
        await writer.wait_closed()
        return sent, octets

    live = asyncio.run(talk())
    with use_cassette(tmp_path / "one.yaml", "all") as cassette:
        assert asyncio.run(talk()) == live
        assert len(cassette.recorded) == 1
    server.stop()
    with use_cassette(tmp_path / "one.yaml", "none"):
        assert asyncio.run(talk()) == live


def test_connection_ends_after_the_answer_to_a_request_that_asks_for_it(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        for _ in range(2):
            connection.read_request()
            connection.send(ANSWER)

    def ask() -> object:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(b"GET /close HTTP/1.1\r\nHost: api.test\r\n\r\n")
            first = everything(sock)
            sock.sendall(b"GET /last HTTP/1.1\r\nHost: api.test\r\nConnection: x, Close\r\n\r\n")
            return first, everything(sock), sock.recv(1)

    server = peer(script)
    three_times(ask, tmp_path / "closed.yaml", server)


# ---------------------------------------------------------------------- TLS


def made_before_connect(server: Peer, trust: ssl.SSLContext) -> object:
    with trust.wrap_socket(socket.socket(), server_hostname=server.host) as sock:
        sock.settimeout(5)
        sock.connect((server.host, server.port))
        sock.sendall(REQUEST)
        return everything(sock), sock.version(), sock.cipher(), sock.getpeercert() != {}


def handshake_by_hand(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host, do_handshake_on_connect=False) as sock:
        sock.do_handshake()
        sock.sendall(REQUEST)
        return everything(sock), sock.version(), sock.selected_alpn_protocol(), sock.session_reused


def file_over_tls(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host) as sock:
        assert sock.sendfile(io.BytesIO(REQUEST)) == len(REQUEST)
        with pytest.raises(ValueError, match="flags"):
            sock.recv_into(bytearray(10), 10, socket.MSG_PEEK)
        return everything(sock), sock.pending()


def write_and_read(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host) as sock:
        sock.do_handshake()  # a second time does nothing
        return sock.write(REQUEST), sock.read(0), sock.recv(0), everything(sock)


def read_before_the_handshake(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host, do_handshake_on_connect=False) as sock:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError) as caught:
            sock.read(1)
        sock.settimeout(5)
        return str(caught.value), sock.write(REQUEST), everything(sock), sock.version()


def send_what_is_no_octets_over_tls(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host) as sock:
        before = errors_of(sock.send, sock.sendall, sock.write)
        sock.sendall(REQUEST)
        return before, everything(sock), errors_of(sock.send, sock.sendall, sock.write)


def certificates(server: Peer, trust: ssl.SSLContext) -> object:
    plain = socket.create_connection((server.host, server.port), timeout=5)
    with trust.wrap_socket(plain, server_hostname=server.host) as sock:
        sock.sendall(REQUEST)
        octets = everything(sock)
        chain: Any = sock._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # public since Python 3.13
        own = ssl.PEM_cert_to_DER_cert(chain[0].public_bytes())
        return octets, own == sock.getpeercert(True), chain[0].get_info() == sock.getpeercert()


TLS_TALKS = [made_before_connect, handshake_by_hand, file_over_tls, write_and_read, certificates]
TLS_TALKS += [read_before_the_handshake, send_what_is_no_octets_over_tls]


@pytest.mark.parametrize("talk", TLS_TALKS, ids=lambda talk: talk.__name__)
def test_tls_socket_does_the_same_three_times(
    talk: Callable[[Peer, ssl.SSLContext], object],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(answers, tls=server_tls)
    live = talk(server, client_tls)
    with use_cassette(tmp_path / "one.yaml", "all") as cassette:
        assert talk(server, client_tls) == live
    assert [one.request.url for one in cassette.recorded if one.request] == [f"{server.url}/a"]
    write_cassette_of(tmp_path / "new.yaml", server.port, "127.0.0.1", "localhost")
    with use_cassette(tmp_path / "new.yaml", "new_episodes"):
        assert talk(server, client_tls) == live
    server.stop()
    for name in ("one", "new"):
        with use_cassette(tmp_path / f"{name}.yaml", "none"):
            assert talk(server, client_tls) == live


def test_failed_handshake_of_a_socket_made_before_connect_is_played(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(answers, tls=server_tls)

    def run() -> tuple[object, ...]:
        with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname=server.host) as sock:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                sock.connect((server.host, server.port))
            return caught.value.args, caught.value.reason, caught.value.verify_message

    three_times(run, tmp_path / "one.yaml", server)


def test_tls_that_is_ended_by_both_is_ended_in_replay_too(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    def ends_tls(connection: Connection) -> None:
        connection.read_request()
        connection.send(ANSWER)
        assert isinstance(connection.sock, ssl.SSLSocket)
        connection.sock.unwrap()  # answers the client's close_notify with its own

    server = peer(ends_tls, tls=server_tls)

    def run() -> object:
        plain = socket.create_connection((server.host, server.port), timeout=5)
        with client_tls.wrap_socket(plain, server_hostname=server.host) as sock:
            sock.sendall(REQUEST)
            octets = everything(sock)
            with sock.unwrap() as left:
                return octets, type(left), left.recv(10)

    three_times(run, tmp_path / "one.yaml", server)


# ---------------------------------------------------------------------- late dials


def test_loop_continues_while_a_missing_request_dials(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    may_shake = threading.Event()

    def shakes_late(connection: Connection) -> None:
        assert may_shake.wait(10), "the loop that should have gone on was kept waiting"
        secured = server_tls.wrap_socket(connection.sock, server_side=True)
        connection.sock = secured
        answers(connection)

    server = peer(shakes_late)
    path = tmp_path / "new.yaml"
    write_cassette_of(path, server.port, server.host)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(
            server.host, server.port, ssl=client_tls, server_hostname=server.host
        )
        writer.write(REQUEST)
        octets = await asyncio.wait_for(reader.readexactly(len(ANSWER)), 15)
        writer.close()
        await writer.wait_closed()
        return octets

    async def run() -> bytes:
        asking = asyncio.ensure_future(ask())
        while server.connections == 0:  # until the dial is under way
            await asyncio.sleep(0.001)
        may_shake.set()
        return await asking

    with use_cassette(path, "new_episodes") as cassette:
        assert asyncio.run(run()) == ANSWER
        assert len(cassette.recorded) == 1


@pytest.mark.parametrize("is_tls", [False, True], ids=["TCP", "TLS"])
def test_large_upload_of_a_loop_that_dials_late_is_sent_to_its_end(
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    upload = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000
    has_ended: list[bool] = []

    def script(connection: Connection) -> None:
        connection.read_request()
        if not is_tls:
            with pytest.raises(Gone):
                connection.read(1)
            has_ended.append(True)
        connection.send(ANSWER)

    server = peer(script, tls=server_tls if is_tls else None)
    path = tmp_path / "new.yaml"
    write_cassette_of(path, server.port, server.host)

    async def ask() -> bytes:
        trust = client_tls if is_tls else None
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=trust)
        writer.write(upload)
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        octets = await asyncio.wait_for(reader.readexactly(len(ANSWER)), 15)
        writer.close()
        return octets

    with use_cassette(path, "new_episodes") as cassette:
        assert asyncio.run(ask()) == ANSWER
        assert len(cassette.recorded) == 1
    assert has_ended == ([] if is_tls else [True])
    server.stop()
    with use_cassette(path, "none"):
        assert asyncio.run(ask()) == ANSWER


def refuse_without_waiting(address: tuple[str, int]) -> object:
    """Some ask by a second connect how the first one ended."""
    with socket.socket() as sock:
        sock.setblocking(False)
        begun = sock.connect_ex(address)
        select.select([], [sock], [], 5)
        return begun, sock.connect_ex(address)


def refuse_again(address: tuple[str, int]) -> object:
    with socket.socket() as sock:
        sock.settimeout(5)
        return sock.connect_ex(address), sock.connect_ex(address)


@pytest.mark.parametrize("connect", [refuse_without_waiting, refuse_again], ids=lambda connect: connect.__name__)
def test_refusal_is_met_the_same_three_times(
    connect: Callable[[tuple[str, int]], object], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(answers)
    server.stop()
    seen, _ = three_times(lambda: connect((server.host, server.port)), tmp_path / "refused.yaml")
    assert errno.ECONNREFUSED in seen


def test_late_dial_of_a_loop_that_fails_is_seen_as_the_failure(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(answers)
    server.stop()
    path, known = tmp_path / "new.yaml", tmp_path / "known.yaml"
    write_cassette_of(known, server.port, server.host)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(REQUEST)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()

    with use_cassette(path, "new_episodes", also=[known]), pytest.raises(ConnectionRefusedError):
        asyncio.run(ask())
    with use_cassette(path, "none"), pytest.raises(ConnectionRefusedError):
        asyncio.run(ask())


def test_options_that_were_set_before_connecting_are_reported(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(answers)

    def ask() -> object:
        with socket.socket() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.connect((server.host, server.port))
            sock.sendall(REQUEST)
            told = [
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0,
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0,
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) != 0,
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
            ]
            return told, everything(sock)

    three_times(ask, tmp_path / "options.yaml", server)


@pytest.mark.parametrize(("ended_at", "comes_at_once"), [(0.031, True), (0.2, False)])
def test_end_that_came_with_the_last_octets_is_raised_where_a_program_drains_the_socket(
    ended_at: float, comes_at_once: bool, tmp_path: Path
) -> None:
    path = tmp_path / "cut.yaml"
    path.write_text(
        "cassette: 1\n---\nrequest: GET http://127.0.0.1:9/\nresponse: 200 OK\n"
        "response headers: |\n  Content-Length: 9\nresponse body: abcd\n"
        f"failure: {{kind: end, at: {ended_at}}}\nwire: {{pieces: [40, 2], at: [0.0, 0.03]}}\n---\n"
    )
    with use_cassette(path, "none"), socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", 9))
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        drained = b""
        while not drained.endswith(b"abcd"):
            with suppress(BlockingIOError):
                drained += sock.recv(1000)
        if not comes_at_once:
            with pytest.raises(BlockingIOError):
                sock.recv(1000)
        assert sock.recv(1000) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere TCP_INFO is another thing, or nothing")
def test_state_of_tcp_is_that_of_the_recorded_connection(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"kept"))
        connection.read_request()
        connection.send(response(b"last", b"Connection: close"))

    server = peer(script)

    def ask() -> list[int]:
        states = []
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            for path in (b"/1", b"/2"):
                sock.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                while sock.recv(1000)[-4:] not in (b"kept", b"last"):
                    pass
                if path == b"/2":
                    assert select.select([sock], [], [], 5)[0]
                states.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1024)[0])
        return states

    three_times(ask, tmp_path / "state.yaml", server)


@pytest.mark.parametrize("port", [-1, 1 << 16])
def test_port_that_none_can_be_is_refused_by_the_socket_itself(port: int, tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    refused = pytest.raises(OverflowError, match="port must be 0-65535")
    with use_cassette(path, "none"), socket.socket() as sock, refused:
        sock.connect(("127.0.0.1", port))


def test_upload_that_is_broken_off_is_played_to_a_client_that_sends_all_at_once(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    # More than the buffers of both sides hold: the rest is sent when the peer has taken some.
    upload = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n" + b"x" * 16_000_000

    def breaks_off(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.reset()

    server = peer(breaks_off)

    async def ask() -> str:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upload)
        try:
            await asyncio.wait_for(reader.read(1), 5)
        except ConnectionError as error:
            return type(error).__qualname__
        finally:
            writer.transport.abort()
        return "no error"

    _, cassette = three_times(lambda: asyncio.run(ask()), tmp_path / "upload.yaml", server)
    assert len(cassette) == 1
