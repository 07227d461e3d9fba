"""What is not HTTP works as without us, in every record mode."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing.connection
import select
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from cassette_http import CassetteWarning, UnmatchedRequest, UnsupportedLibrary, use_cassette
from cassette_http.wire.grammar import MAX_REQUEST_LINE_OCTETS
from tests.intercept.conftest import needs_unix_sockets
from tests.peer import Connection, Peer, Script, Serve, keep_alive, response

MODES = ["none", "once", "new_episodes", "all", "rewrite"]


@pytest.fixture(params=MODES)
def in_use(request: pytest.FixtureRequest, peer: Callable[..., Peer], tmp_path: Path) -> use_cassette:
    """A cassette with one interaction, in each of the modes."""
    path = tmp_path / "some.yaml"
    server = peer(keep_alive(lambda octets: response(b"recorded")))
    with use_cassette(path, "once"), socket.create_connection((server.host, server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        sock.recv(1000)
    return use_cassette(path, request.param)


def redis(connection: Connection) -> None:
    """The client speaks first."""
    while True:
        assert connection.read_until(b"PING\r\n") == b"*1\r\n$4\r\nPING\r\n"
        connection.send(b"+PONG\r\n")


def smtp(connection: Connection) -> None:
    """The server speaks first."""
    connection.send(b"220 mail.test ESMTP\r\n")
    connection.read_until(b"EHLO me\r\n")
    connection.send(b"250 mail.test\r\n")


def memcached(connection: Connection) -> None:
    while True:
        assert connection.read_until(b"\r\n") == b"get /key\r\n"
        connection.send(b"END\r\n")


@pytest.mark.parametrize(
    ("script", "question", "answer"),
    [
        pytest.param(redis, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", id="Redis"),
        pytest.param(memcached, b"get /key\r\n", b"END\r\n", id="memcached"),
    ],
)
def test_protocol_where_the_client_speaks_first(
    script: Script, question: bytes, answer: bytes, in_use: use_cassette, peer: Callable[..., Peer]
) -> None:
    server = peer(script)
    with in_use as cassette, socket.create_connection((server.host, server.port), timeout=5) as sock:
        for _ in range(3):
            sock.sendall(question)
            assert sock.recv(100) == answer
    assert (cassette.misses, cassette.recorded) == ([], [])


@pytest.mark.parametrize("length", [260, 261])
def test_protocol_that_begins_with_a_length_is_not_taken_for_socks(
    length: int, in_use: use_cassette, peer: Callable[..., Peer]
) -> None:
    """As that of MongoDB: length, number, number of the request that is answered, kind of message."""
    message = struct.pack("<iiii", length, 1, 0, 2013).ljust(length, b"m")

    def mongo(connection: Connection) -> None:
        assert connection.read(length) == message
        connection.send(b"answer")

    server = peer(mongo)
    with in_use as cassette, socket.create_connection((server.host, server.port), timeout=5) as sock:
        sock.sendall(message)
        assert sock.recv(100) == b"answer"
    assert (cassette.misses, cassette.recorded) == ([], [])


def test_protocol_where_the_server_speaks_first(in_use: use_cassette, peer: Callable[..., Peer]) -> None:
    server = peer(smtp)
    with in_use as cassette, socket.create_connection((server.host, server.port), timeout=5) as sock:
        assert sock.recv(100) == b"220 mail.test ESMTP\r\n"
        sock.sendall(b"EHLO me\r\n")
        assert sock.recv(100) == b"250 mail.test\r\n"
    assert (cassette.misses, cassette.recorded) == ([], [])


def test_protocol_of_an_event_loop_where_the_client_speaks_first(
    in_use: use_cassette, peer: Callable[..., Peer]
) -> None:
    server = peer(redis)

    async def talk() -> list[bytes]:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        answers = []
        for _ in range(3):
            writer.write(b"*1\r\n$4\r\nPING\r\n")
            answers.append(await asyncio.wait_for(reader.readline(), 5))
        writer.close()
        await writer.wait_closed()
        return answers

    with in_use as cassette:
        assert asyncio.run(talk()) == [b"+PONG\r\n"] * 3
    assert (cassette.misses, cassette.recorded) == ([], [])


def test_protocol_of_an_event_loop_where_the_server_speaks_first(
    in_use: use_cassette, serve: Serve, trust: ssl.SSLContext | None
) -> None:
    server = serve(smtp)

    async def talk() -> list[bytes]:
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=trust)
        answers = [await asyncio.wait_for(reader.readline(), 5)]
        writer.write(b"EHLO me\r\n")
        answers.append(await asyncio.wait_for(reader.readline(), 5))
        answers.append(await asyncio.wait_for(reader.read(), 5))
        writer.close()
        await writer.wait_closed()
        return answers

    with in_use as cassette:
        assert asyncio.run(talk()) == [b"220 mail.test ESMTP\r\n", b"250 mail.test\r\n", b""]
        assert (cassette.misses, cassette.recorded) == ([], [])


def test_error_of_a_write_that_does_not_wait_is_that_of_the_socket(peer: Callable[..., Peer], tmp_path: Path) -> None:
    has_reset = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_until(b"\r\n")
        connection.reset()
        has_reset.set()

    server = peer(script)
    address = server.host, server.port
    with use_cassette(tmp_path / "new.yaml", "once"), socket.create_connection(address, timeout=5) as sock:
        sock.setblocking(False)
        sock.send(b"*1\r\n")
        assert has_reset.wait(5)
        select.select([sock], [], [], 5)
        with pytest.raises(ConnectionError):
            sock.send(b"*1\r\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux does not wait in a write because of a flag")
def test_write_with_the_flag_not_to_wait_does_not(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(lambda connection: connection.wait_closed())
    address = server.host, server.port
    with use_cassette(tmp_path / "new.yaml", "once"), socket.create_connection(address, timeout=5) as sock:
        sock.sendall(b"*1\r\n")
        sock.settimeout(None)

        def send() -> int:
            return sock.sendmsg([bytes(1 << 16)], [], socket.MSG_DONTWAIT)

        with pytest.raises(BlockingIOError):
            sum(send() for _ in range(10_000))


def test_octets_out_of_band_stay_out_of_the_stream(in_use: use_cassette, peer: Callable[..., Peer]) -> None:
    def script(connection: Connection) -> None:
        connection.read_until(b"PING\r\n")
        select.select([], [], [connection.sock], 5)
        connection.sock.settimeout(None)  # a time-out waits for octets of the stream
        heard.append(connection.sock.recv(1, socket.MSG_OOB))
        connection.send(b"+PO")
        connection.sock.send(b"!", socket.MSG_OOB)
        connection.send(b"NG\r\n")
        connection.wait_closed()

    heard: list[bytes] = []
    server = peer(script)
    with in_use, socket.create_connection((server.host, server.port), timeout=5) as sock:
        sock.sendall(b"*1\r\n$4\r\nPING\r\n")
        sock.send(b"?", socket.MSG_OOB)
        assert sock.recv(3, socket.MSG_WAITALL) == b"+PO"
        select.select([], [], [sock], 5)
        sock.settimeout(None)
        assert sock.recv(1, socket.MSG_OOB) == b"!"
        assert sock.recv(4, socket.MSG_WAITALL) == b"NG\r\n"
    assert heard == [b"?"]


def test_wrong_arguments_of_a_write_are_refused(in_use: use_cassette, peer: Callable[..., Peer]) -> None:
    server = peer(redis)
    with in_use, socket.create_connection((server.host, server.port), timeout=5) as sock:
        wrong: list[list[Any]] = [[[object()]], [[(0, 0)]], [[], object()], [[], 0, object()]]
        for arguments in wrong:
            with pytest.raises(TypeError):
                sock.sendmsg([b"*1\r\n"], *arguments)
        sock.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert sock.recv(7) == b"+PONG\r\n"


@pytest.mark.parametrize(("port", "is_dialled"), [(80, False), (443, False), (2525, True)])
def test_peer_at_a_port_of_http_is_not_dialled_because_the_program_is_silent(
    port: int, is_dialled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cassette_http.intercept.taps.PATIENCE_S", 0)
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")

    async def wait() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(50):
            await asyncio.sleep(0)
        writer.close()

    with use_cassette(path, "none") as cassette:
        asyncio.run(wait())
    assert bool(cassette.connections) is is_dialled


@pytest.mark.parametrize("timeout_s", [0, 5], ids=["non-blocking", "blocking"])
def test_protocol_of_a_selector_where_the_server_speaks_first(
    timeout_s: int, in_use: use_cassette, peer: Callable[..., Peer]
) -> None:
    server = peer(smtp)
    with (
        in_use as cassette,
        socket.socket() as sock,
        selectors.DefaultSelector() as selector,
    ):
        sock.settimeout(timeout_s)
        # Registered before there is a connection, as some do.
        selector.register(sock, selectors.EVENT_WRITE)
        assert sock.connect_ex((server.host, server.port)) in (0, errno.EINPROGRESS)
        assert selector.select(5)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        selector.modify(sock, selectors.EVENT_READ)
        assert selector.select(5)
        assert sock.recv(100) == b"220 mail.test ESMTP\r\n"
        sock.sendall(b"EHLO me\r\n")
        assert selector.select(5)
        assert sock.recv(100) == b"250 mail.test\r\n"
        assert selector.select(5)
        assert sock.recv(100) == b""
        assert (cassette.misses, cassette.recorded) == ([], [])


def test_failed_connections_of_other_traffic_are_not_written_where_nothing_is_recorded(
    in_use: use_cassette, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(smtp)
    server.stop()
    before = (tmp_path / "some.yaml").read_bytes()
    with in_use as cassette, pytest.raises(ConnectionRefusedError), ExitStack() as stack:
        stack.enter_context(socket.create_connection((server.host, server.port), timeout=5)).recv(100)
    if not cassette.recorded:
        assert (tmp_path / "some.yaml").read_bytes() == before


@pytest.mark.parametrize("greeting", [b"", response(status=b"408 Request Timeout"), b"220 mail.test ESMTP\r\n"])
@pytest.mark.parametrize("is_blocking", [False, True], ids=["loop", "blocking"])
@pytest.mark.parametrize(("mode", "is_live"), [("none", False), ("new_episodes", True), ("all", True)])
def test_request_after_a_silence_is_refused_or_recorded(
    mode: str,
    is_live: bool,
    is_blocking: bool,
    greeting: bytes,
    serve: Serve,
    trust: ssl.SSLContext | None,
    tmp_path: Path,
) -> None:
    """A client that is slow to ask looks as one whose peer speaks first: it is dialled, and perhaps it does speak."""
    asked: list[bytes] = []
    begun = threading.Event()

    def script(connection: Connection) -> None:
        connection.send(greeting)
        begun.set()
        asked.append(connection.read_request())
        connection.send(response(b"live"))
        connection.wait_closed()

    server = serve(script)
    request = f"GET / HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode()

    async def talk() -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=trust)
        await asyncio.to_thread(begun.wait, 5)
        assert await asyncio.wait_for(reader.readexactly(len(greeting)), 5) == greeting
        writer.write(request)
        await asyncio.wait_for(reader.readuntil(b"live"), 5)
        writer.close()
        await writer.wait_closed()

    def talk_blocking() -> None:
        with socket.create_connection((server.host, server.port), timeout=0.2) as plain:
            sock = trust.wrap_socket(plain, server_hostname=server.host) if trust else plain
            with sock:
                if greeting:
                    assert sock.recv(1000) == greeting
                else:
                    with pytest.raises(TimeoutError):
                        sock.recv(1000)
                sock.settimeout(5)
                sock.sendall(request)
                assert sock.recv(1000) == response(b"live")

    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    with use_cassette(path, mode) as cassette:
        with ExitStack() as stack:
            if not is_live:
                stack.enter_context(pytest.raises(UnmatchedRequest))
            talk_blocking() if is_blocking else asyncio.run(talk())
        assert len(cassette.misses) == (not is_live)
        cassette.misses.clear()
    assert asked == [request] * is_live
    assert len(cassette.recorded) == is_live


POST = b"POST /a HTTP/1.1\r\nHost: api.test\r\n"


MALFORMED = [
    pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="lengths that differ"),
    pytest.param(POST + b"Content-Length: two\r\n\r\nab", id="unreadable length"),
    pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\nab", id="unknown coding"),
    pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nnone\r\n", id="unreadable chunk"),
    pytest.param(b"GET /a http/1.1\r\nHost: api.test\r\n\r\n", id="version in small letters"),
    pytest.param(b"GET /a HTTP/1\r\nHost: api.test\r\n\r\n", id="version without a dot"),
    pytest.param(b"GET HTTP/1.1\r\nHost: api.test\r\n\r\n", id="no target"),
    pytest.param(b" GET / HTTP/1.1\r\nHost: api.test\r\n\r\n", id="blank in front"),
    pytest.param(b"G@T / HTTP/1.1\r\nHost: api.test\r\n\r\n", id="method that is no token"),
    pytest.param(b"GET /a\r\n", id="HTTP/0.9"),
]
TOO_LONG = b"GET /" + b"a" * MAX_REQUEST_LINE_OCTETS + b" HTTP/1.1\r\nHost: api.test\r\n\r\n"


@pytest.mark.parametrize("octets", [*MALFORMED, pytest.param(TOO_LONG, id="long target")])
def test_request_that_cannot_be_followed_is_refused_where_nothing_may_be_recorded(
    octets: bytes, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"live")))
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    with (
        pytest.raises(UnmatchedRequest, match="nobody can tell its end"),
        use_cassette(path, "none") as cassette,
        socket.create_connection((server.host, server.port)) as sock,
        suppress(UnmatchedRequest),
    ):
        sock.sendall(octets)
    assert cassette.connections == []


@pytest.mark.parametrize("octets", MALFORMED)
def test_request_that_cannot_be_followed_reaches_its_server_with_a_message_where_all_is_recorded(
    octets: bytes, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def script(connection: Connection) -> None:
        assert connection.read(len(octets)) == octets
        connection.send(response(b"bad", b"Connection: close", status=b"400 Bad Request"))

    server = peer(script)

    @use_cassette(tmp_path / "malformed.yaml", "all")
    def ask() -> bytes:
        with socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(octets)
            return sock.recv(1000)

    with pytest.warns(
        CassetteWarning, match=f"request to {server.url}, and all that followed on its connection, was not"
    ):
        assert ask().startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("mode", ["none", "all"])
def test_request_after_another_protocol_is_refused_where_nothing_may_be_recorded(
    mode: str, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    asked: list[bytes] = []

    def other(connection: Connection) -> None:
        assert connection.read(3) == b"\x07\x01\x00"
        connection.send(b"\x07\x00")
        asked.append(connection.read_request())
        connection.send(response(b"live"))

    server = peer(other)
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    request = b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\n"
    with ExitStack() as stack:
        if mode == "none":
            stack.enter_context(pytest.raises(UnmatchedRequest, match="behind another protocol"))
        with use_cassette(path, mode), socket.create_connection((server.host, server.port), timeout=5) as sock:
            sock.sendall(b"\x07\x01\x00")
            assert sock.recv(10) == b"\x07\x00"
            for octets in (request, b"body"):
                with suppress(UnmatchedRequest):
                    sock.sendall(octets)
            if mode == "all":
                assert sock.recv(1000) == response(b"live")
    assert asked == [request + b"body"] * (mode == "all")


@pytest.mark.parametrize("mode", ["none", "all"])
def test_tls_of_another_module_is_refused_where_nothing_may_be_recorded(
    mode: str, peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """pyOpenSSL hands the socket's octets to its own TLS, as is done here."""
    server = peer(keep_alive(lambda request: response(b"live")), tls=server_tls)
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    state = client_tls.wrap_bio(incoming, outgoing, server_hostname=server.host)
    with suppress(ssl.SSLWantReadError):
        state.do_handshake()
    with ExitStack() as stack:
        if mode != "all":
            stack.enter_context(pytest.raises(UnmatchedRequest, match="another module than Python's ssl"))
        with use_cassette(path, mode), socket.create_connection((server.host, server.port), timeout=5) as sock:
            with suppress(UnmatchedRequest):
                sock.sendall(outgoing.read())
            if mode == "all":
                assert sock.recv(1)
    assert server.connections == (mode == "all")


@pytest.mark.parametrize("family", ["AF_INET", pytest.param("AF_UNIX", marks=needs_unix_sockets)])
def test_connections_of_multiprocessing_work_as_without_a_cassette(family: str, in_use: use_cassette) -> None:
    """Their descriptors are taken out of the sockets, to be read and written by system calls."""
    with multiprocessing.connection.Listener(family=family, authkey=b"key") as listener:

        def answer() -> None:
            with listener.accept() as connection:
                connection.send([connection.recv()])

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with in_use, multiprocessing.connection.Client(listener.address, authkey=b"key") as client:
            client.send("word")
            assert client.poll(5)
            assert client.recv() == ["word"]
        thread.join(5)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def test_http_2_is_refused_instead_of_getting_past_the_cassette(
    in_use: use_cassette, serve: Serve, trust: ssl.SSLContext | None
) -> None:
    server = serve(smtp)

    async def talk() -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=trust)
        writer.write(PREFACE)
        try:
            await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()

    with in_use, pytest.raises(UnsupportedLibrary, match=r"HTTP/1\.1"):
        asyncio.run(talk())
    with in_use, socket.create_connection((server.host, server.port), timeout=5) as sock:
        secured = trust.wrap_socket(sock, server_hostname=server.host) if trust else sock
        with secured, pytest.raises(UnsupportedLibrary, match=r"HTTP/1\.1"):
            secured.sendall(PREFACE)


def test_servers_and_datagrams_are_left_alone(in_use: use_cassette) -> None:
    with in_use, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.connect(one.getsockname())
        one.send(b"to myself")
        assert one.recv(100) == b"to myself"
        near, far = socket.socketpair()
        with near, far:
            near.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert far.recv(100) == b"GET / HTTP/1.1\r\n\r\n"


def test_hooks_are_there_only_while_a_cassette_is_in_use(tmp_path: Path) -> None:
    before = {name: vars(socket.socket).get(name) for name in ("connect", "send", "recv", "close", "getsockopt")}
    lookup = socket.getaddrinfo
    with use_cassette(tmp_path / "one.yaml"):
        with use_cassette(tmp_path / "two.yaml"):
            pass
        assert socket.getaddrinfo is not lookup
    after = {name: vars(socket.socket).get(name) for name in before}
    assert (after, socket.getaddrinfo) == (before, lookup)


def test_functions_that_a_system_does_not_have_are_not_missed(tmp_path: Path) -> None:
    program = (
        "import os; del os.sendfile\n"  # as on Windows
        "from cassette_http import use_cassette\n"
        f"with use_cassette({str(tmp_path / 'one.yaml')!r}, 'all'): pass\n"
        "print(hasattr(os, 'sendfile'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_thread_that_was_started_inside_the_block_is_offline_too(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("cassette: 1\n---\n")
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            with socket.create_connection(("api.test", 80)) as sock:
                sock.sendall(b"GET /unknown HTTP/1.1\r\nHost: api.test\r\n\r\n")
        except OSError as error:
            failures.append(error)

    with use_cassette(path, "none") as cassette:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(10)
        assert [miss.request.url for miss in cassette.misses] == ["http://api.test/unknown"]
        cassette.misses.clear()
    assert [type(error) for error in failures] == [UnmatchedRequest]
