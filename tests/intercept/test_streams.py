"""Streams stay streams: octets reach the program when they are sent, and in replay in the same pieces."""

from __future__ import annotations

import asyncio
import http.client
import io
import select
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import trio

import cassette_http.client
from cassette_http import InvalidOption, use_cassette
from tests.behaviours import three_times
from tests.peer import LIMIT_S, Connection, Peer, Script, response

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
EVENTS = [b"data: %d\n\n" % number for number in range(4)]
PAUSE_S = 0.1


def chunk(octets: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(octets), octets)


def events(connection: Connection, taken: threading.Semaphore | None = None) -> None:
    """Send events with pauses; with `taken`, none before the client has taken the one before."""
    connection.read_request()
    connection.send(CHUNKED)
    for event in EVENTS:
        time.sleep(PAUSE_S)  # the pause of the scripted peer is what is tested
        connection.send(chunk(event) + (b"0\r\n\r\n" if event is EVENTS[-1] else b""))
        if taken is not None:
            assert taken.acquire(timeout=LIMIT_S), "the client gets an event when it is sent"


class Pieces(list[tuple[bytes, float]]):
    """The pieces that a client reads, and how long after its request; `taken` is told of each event."""

    def __init__(self, taken: threading.Semaphore) -> None:
        super().__init__()
        self._taken, self._started = taken, time.monotonic()

    def take(self, piece: bytes) -> None:
        self.append((piece, time.monotonic() - self._started))
        if b"data: " in piece:
            self._taken.release()


Read = Callable[[Peer, ssl.SSLContext, threading.Semaphore], Pieces]


def with_module(module: object) -> Read:
    def read(server: Peer, trust: ssl.SSLContext, taken: threading.Semaphore) -> Pieces:
        if server.url.startswith("https"):
            connection = module.HTTPSConnection(server.host, server.port, context=trust)  # type: ignore[attr-defined]
        else:
            connection = module.HTTPConnection(server.host, server.port)  # type: ignore[attr-defined]
        pieces = Pieces(taken)
        connection.request("GET", "/events")
        answer = connection.getresponse()
        while piece := answer.read1(1000):
            pieces.take(piece)
        connection.close()
        return pieces

    return read


def with_asyncio(server: Peer, trust: ssl.SSLContext, taken: threading.Semaphore) -> Pieces:
    pieces = Pieces(taken)

    class Reading(asyncio.Protocol):
        def __init__(self) -> None:
            self.done = asyncio.get_running_loop().create_future()
            self.lost = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            pieces.take(data)
            if data.endswith(b"0\r\n\r\n"):
                self.done.set_result(None)

        def connection_lost(self, error: Exception | None) -> None:
            self.lost.set_result(None)

    async def read() -> None:
        tls = trust if server.url.startswith("https") else None
        loop = asyncio.get_running_loop()
        transport, reading = await loop.create_connection(Reading, server.host, server.port, ssl=tls)
        transport.write(b"GET /events HTTP/1.1\r\nHost: api.test\r\n\r\n")
        await asyncio.wait_for(reading.done, 5)
        transport.close()
        await asyncio.wait_for(reading.lost, 5)  # TLS says goodbye first

    asyncio.run(read())
    return pieces


CLIENTS = [
    pytest.param(with_module(cassette_http.client), id="cassette_http.client"),
    pytest.param(with_module(http.client), id="http.client"),
    pytest.param(with_asyncio, id="asyncio"),
]


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("read", CLIENTS)
def test_pieces_arrive_as_they_are_sent_and_are_played_fast_or_at_the_recorded_pace(
    read: Read,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    taken = threading.Semaphore(0)
    server = peer(partial(events, taken=taken), tls=server_tls if is_tls else None)
    path = tmp_path / "events.yaml"
    with use_cassette(path, "all"):
        recorded = read(server, client_tls, taken)
    server.stop()
    with use_cassette(path, "none"):
        fast = read(server, client_tls, taken)
    with use_cassette(path, "none", pace="recorded"):
        paced = read(server, client_tls, taken)

    def shown(pieces: Pieces) -> list[bytes]:
        return [piece for piece, _ in pieces]

    assert shown(fast) == shown(paced) == shown(recorded)
    assert len(recorded) >= len(EVENTS)
    # However slow the machine is, none may come before its time.
    times = [at for piece, at in paced if b"data: " in piece]
    assert all(at > PAUSE_S * number for number, at in enumerate(times, 1))
    assert fast[-1][1] < PAUSE_S * len(EVENTS)


def test_recorded_pace_ends_with_the_patience_of_the_client(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(events)
    path = tmp_path / "events.yaml"
    with use_cassette(path, "all"):
        with_module(http.client)(server, ssl.create_default_context(), threading.Semaphore())
    server.stop()
    with use_cassette(path, "none", pace="recorded"):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
        connection.request("GET", "/events")
        with connection.getresponse() as answer:
            connection.sock.settimeout(PAUSE_S / 4)
            with pytest.raises(TimeoutError):
                answer.read()
        connection.close()


def closes_later(connection: Connection) -> None:
    connection.read_request()
    time.sleep(PAUSE_S)


def resets_later(connection: Connection) -> None:
    connection.read_request()
    connection.send(CHUNKED + chunk(b"first"))
    time.sleep(PAUSE_S)
    connection.reset()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("script", [closes_later, resets_later])
@pytest.mark.parametrize("run", [lambda ask: asyncio.run(ask()), trio.run], ids=["asyncio", "trio"])
def test_connection_breaks_at_the_recorded_pace_too(
    run: Callable[..., str],
    script: Script,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(script, tls=server_tls if is_tls else None)
    path = tmp_path / "breaks.yaml"

    async def ask() -> str:
        async with httpx.AsyncClient(verify=client_tls, trust_env=False) as client:
            with pytest.raises(httpx.HTTPError) as raised:
                await client.get(server.url)
        return repr(raised.value)

    with use_cassette(path, "all"):
        recorded = run(ask)
    server.stop()
    with use_cassette(path, "none", pace="recorded"):
        assert run(ask) == recorded


def test_client_of_a_stream_is_not_kept_waiting_by_the_recorder(peer: Callable[..., Peer], tmp_path: Path) -> None:
    seen = threading.Event()

    def wait_for_the_client(connection: Connection) -> None:
        connection.read_request()
        connection.send(CHUNKED + chunk(b"first"))
        assert seen.wait(5), "the first chunk did not reach the client before the second was sent"
        connection.send(chunk(b"second") + b"0\r\n\r\n")

    server = peer(wait_for_the_client)
    with use_cassette(tmp_path / "stream.yaml", "all"):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read1() == b"first"
        seen.set()
        assert answer.read() == b"second"
        connection.close()


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_task_whose_reads_are_tasks_of_their_own_gets_one_piece_at_a_time(
    is_tls: bool, peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    taken = threading.Semaphore(0)
    server = peer(partial(events, taken=taken), tls=server_tls if is_tls else None)

    async def read() -> list[bytes]:
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=client_tls if is_tls else None)
        writer.write(b"GET /events HTTP/1.1\r\nHost: api.test\r\n\r\n")
        pieces: list[bytes] = []
        while not pieces or not pieces[-1].endswith(b"0\r\n\r\n"):
            reading = asyncio.create_task(reader.read(1000))
            await asyncio.wait([reading])  # as `asyncio.wait_for` does before Python 3.12
            pieces.append(reading.result())
            if b"data: " in pieces[-1]:
                taken.release()
        writer.transport.abort()
        return pieces

    pieces, _ = three_times(lambda: asyncio.run(read()), tmp_path / "events.yaml", server)
    assert pieces[-len(EVENTS) :] == [chunk(event) for event in EVENTS[:-1]] + [chunk(EVENTS[-1]) + b"0\r\n\r\n"]


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("break_off", [Connection.close, Connection.reset])
def test_program_that_yields_between_lines_has_read_them_all_when_the_stream_breaks(
    break_off: Script,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    lines = [b"line %d\n" % number for number in range(20)]
    taken = threading.Semaphore(0)

    def breaks_off_later(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + b"".join(lines))
        assert taken.acquire(timeout=LIMIT_S), "the client reads all lines"
        time.sleep(PAUSE_S)  # the pause of the scripted peer is what is tested
        break_off(connection)

    async def ask() -> list[bytes]:
        seen: list[bytes] = []

        async def take_all(answer: aiohttp.ClientResponse) -> None:
            async for line in answer.content:
                seen.append(line)
                await asyncio.sleep(0)
                if line == lines[-1]:
                    taken.release()

        async with aiohttp.ClientSession() as session, session.get(server.url, ssl=client_tls) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await take_all(answer)
        return seen

    server = peer(breaks_off_later, tls=server_tls if is_tls else None)
    seen, _ = three_times(lambda: asyncio.run(ask()), tmp_path / "broken.yaml", server)
    assert seen == lines


def test_unknown_pace_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"no pace 'slow'.*fast, recorded"):
        use_cassette(tmp_path / "any.yaml", pace="slow")


@pytest.mark.parametrize("module", [http.client, cassette_http.client])
def test_client_that_reads_on_after_a_time_out_meets_it_three_times(
    module: Any, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    has_timed_out = threading.Semaphore(0)

    def waits_for_the_time_out(connection: Connection) -> None:
        connection.read_request()
        has_timed_out.acquire(timeout=LIMIT_S)
        connection.send(response(b"late"))

    server = peer(waits_for_the_time_out)

    def ask() -> list[object]:
        connection = module.HTTPConnection(server.host, server.port, timeout=0.1)
        seen: list[object] = []
        connection.request("GET", "/")
        while True:
            try:
                seen.append(connection.getresponse().read())
            except TimeoutError as error:
                seen.append(str(error))
                has_timed_out.release()
                connection.sock.settimeout(LIMIT_S)
            else:
                connection.close()
                return seen

    three_times(ask, tmp_path / "late.yaml", server)
    with use_cassette(tmp_path / "late.yaml", "none"):
        connection = module.HTTPConnection(server.host, server.port)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"late", "who waits for ever meets no time-out"
        connection.close()


def test_stream_of_our_client_reads_like_a_socket(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def breaks_off(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")
        connection.wait_closed()

    server = peer(breaks_off)

    def ask() -> list[object]:
        connection = cassette_http.client.HTTPConnection(server.host, server.port, timeout=0.2)
        connection.connect()
        sock = connection.sock
        version = bytearray(9)
        seen: list[object] = [sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), sock.recv(5)]
        seen += [sock.recv_into(version, nbytes=3), version]
        with pytest.raises(ValueError, match=r"^invalid mode 'xyz'"):
            sock.makefile("xyz")
        raw = sock.makefile("rb", buffering=0)
        with io.BufferedReader(raw) as file:
            seen += [file.fileno() >= 0, *(file.readline() for _ in range(3)), file.read(5)]
            for _ in range(2):
                with pytest.raises(OSError, match="timed out") as caught:
                    raw.readinto(bytearray(1))
                seen.append((caught.type, str(caught.value)))
        with pytest.raises(ValueError, match="I/O operation on closed file"):
            raw.fileno()
        connection.close()
        return seen

    three_times(ask, tmp_path / "like a socket.yaml", server)


async def talk_until_end(port: int, trust: ssl.SSLContext | None) -> list[object]:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
    seen: list[object] = [(await reader.readuntil(b"\r\n\r\n"))[:12]]
    writer.write(b"one")
    seen.append(await reader.readexactly(3))
    with pytest.raises(TimeoutError):  # the peer waits for what comes next
        await asyncio.wait_for(reader.read(1), 0.2)
    writer.write(b"two")
    seen.append(await asyncio.wait_for(reader.read(1), LIMIT_S))
    writer.transport.abort()
    return seen


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_peer_that_leaves_without_an_answer_leaves_the_same_words(
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def leaves_at_second_word(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
        connection.send(connection.read(3))
        connection.read(3)

    server = peer(leaves_at_second_word, tls=server_tls if is_tls else None)
    trust = client_tls if is_tls else None
    three_times(lambda: asyncio.run(talk_until_end(server.port, trust)), tmp_path / "leaves.yaml", server)


def test_first_octets_after_an_upgrade_come_in_one_piece_with_its_head(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    """What a client has read with the head, a further read does not get."""

    def speaks_at_once(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nhello")
        connection.wait_closed()

    talkative = peer(speaks_at_once)

    def ask() -> list[object]:
        connection = http.client.HTTPConnection("localhost", talkative.port, timeout=LIMIT_S)
        connection.request("GET", "/", headers={"Connection": "upgrade", "Upgrade": "raw"})
        answer = connection.getresponse()
        assert connection.sock is not None
        readable, _, _ = select.select([connection.sock], [], [], 0)
        connection.close()
        return [answer.status, len(readable)]

    three_times(ask, tmp_path / "upgrade.yaml", talkative)


def test_piece_comes_apart_from_the_end_that_cuts_the_trailers_later(peer: Callable[..., Peer], tmp_path: Path) -> None:
    import tornado.httpclient

    def cuts_the_trailers(connection: Connection) -> None:
        connection.read_request()
        connection.send(CHUNKED + chunk(b"all") + b"0\r\nX")
        time.sleep(PAUSE_S)  # the pause of the scripted peer is what is tested

    async def ask() -> list[object]:
        seen: list[object] = []
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        with pytest.raises(tornado.httpclient.HTTPError) as caught:
            await client.fetch(server.url, streaming_callback=seen.append)
        client.close()
        return [*seen, str(caught.value)]

    server = peer(cuts_the_trailers)
    (piece, _), _ = three_times(lambda: asyncio.run(ask()), tmp_path / "cut.yaml", server)
    assert piece == b"all"
