"""The flight recorder: what is in it, what it leaves alone, and what it writes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop

from cassette_http import CassetteNotWritable, NetworkBlocked, block_network, client, use_cassette
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Interaction
from cassette_http.flight import OVERHEAD_OCTETS, FlightRecorder
from tests.asking import get
from tests.peer import LIMIT_S, Connection, Peer, keep_alive, response


@pytest.fixture
def server(peer: Callable[..., Peer]) -> Peer:
    return peer(keep_alive(lambda request: response(b"answer to " + request.split(b" ")[1])))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "flight.yaml"


def targets(path: Path) -> list[str]:
    values = [document.load(str(path)) for document in yaml_format.scan(path.read_bytes(), str(path))]
    return [one.request.head.target for one in values if isinstance(one, Interaction) and one.request is not None]


def test_report_replays_what_went_over_the_wire(server: Peer, path: Path) -> None:
    with FlightRecorder() as flight:
        assert get(f"{server.url}/a") == "answer to /a"
        connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
        connection.request("GET", "/b")
        assert connection.getresponse().read() == b"answer to /b"
        connection.close()
    assert len(flight) == 2
    assert flight.write(path, test="test_api.py::test_a")
    assert b"\ntest: test_api.py::test_a\n" in path.read_bytes()
    server.stop()
    with use_cassette(path, "none"):
        assert get(f"{server.url}/b") == "answer to /b"
        assert get(f"{server.url}/a") == "answer to /a"


def test_nothing_is_written_where_nothing_happened(path: Path) -> None:
    with FlightRecorder() as flight:
        pass
    assert not flight.write(path)
    assert not path.parent.exists()


def test_failures_are_in_it_too(peer: Callable[..., Peer], path: Path) -> None:
    def break_off(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        connection.reset()

    broken, gone = peer(break_off), peer(keep_alive(lambda request: response()))
    gone.stop()

    def ask() -> list[str]:
        errors = []
        for url in (broken.url, gone.url):
            try:
                get(url)
            except OSError as error:
                errors.append(repr(error))
        return errors

    with FlightRecorder() as flight:
        live = ask()
    assert flight.write(path)
    with use_cassette(path, "none"):
        assert ask() == live
    assert len(live) == 2


def test_threads_and_tasks_are_in_it(server: Peer, path: Path) -> None:
    async def ask(target: str) -> None:
        async with aiohttp.ClientSession() as session, session.get(server.url + target) as answer:
            await answer.read()

    with FlightRecorder() as flight:
        threads = [threading.Thread(target=get, args=(f"{server.url}/thread",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(ask("/task"))
    assert flight.write(path)
    assert sorted(targets(path)) == ["/task", *["/thread"] * 4]


def test_traffic_with_a_cassette_is_in_it_as_the_program_saw_it(server: Peer, tmp_path: Path, path: Path) -> None:
    own = tmp_path / "own.yaml"
    with use_cassette(own):
        get(f"{server.url}/played")
    before = own.read_bytes()
    with FlightRecorder() as flight:
        get(f"{server.url}/before")
        with use_cassette(own, "new_episodes") as cassette:
            get(f"{server.url}/played", Accept="text/x-of-today")
            get(f"{server.url}/recorded")
            assert [len(cassette.played), len(cassette.recorded)] == [1, 1]
        get(f"{server.url}/after")
    assert own.read_bytes().startswith(before)
    assert flight.write(path)
    assert targets(path) == ["/before", "/played", "/recorded", "/after"]
    assert b"Accept: text/x-of-today" in path.read_bytes()


def test_cassette_that_was_open_before_stays_in_use(server: Peer, tmp_path: Path, path: Path) -> None:
    with use_cassette(tmp_path / "own.yaml") as cassette, FlightRecorder() as flight:
        get(f"{server.url}/recorded")
        thread = threading.Thread(target=get, args=(f"{server.url}/thread",))
        thread.start()
        thread.join()
        assert len(cassette.recorded) == 2
    assert flight.write(path)
    assert targets(path) == ["/recorded", "/thread"]


def test_played_failure_is_in_it(server: Peer, tmp_path: Path, path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "cassette: 1\n---\n"
        "failed: http://api.test\nfailure: {kind: connect failed, errno: ECONNREFUSED, text: no}\n---\n"
    )
    with FlightRecorder() as flight, use_cassette(own, "none"), pytest.raises(urllib.error.URLError):
        get("http://api.test/")
    assert flight.write(path)
    assert b"failed: http://api.test\n" in path.read_bytes()


def test_no_secret_is_written(peer: Callable[..., Peer], tmp_path: Path, path: Path) -> None:
    server = peer(
        keep_alive(lambda request: response(b'{"echo": "hunter2-hunter2", "access_token": "late-secret-77"}'))
    )
    own = tmp_path / "own.yaml"
    with FlightRecorder() as flight:
        get(f"{server.url}/a?note=late-secret-77", Authorization="Bearer hunter2-hunter2")
        with use_cassette(own, redact=["customer"]):
            get(f"{server.url}/b", Customer="ada-lovelace", Authorization="Bearer hunter2-hunter2")
    assert flight.write(path)
    written = path.read_bytes()
    for secret in (b"hunter2", b"late-secret", b"ada-lovelace"):
        assert secret not in written
    assert written.count(b"{{secret:") >= 6


def test_oldest_exchanges_are_dropped(server: Peer, path: Path) -> None:
    with FlightRecorder(limit_octets=5 * OVERHEAD_OCTETS) as flight:
        for number in range(20):
            get(f"{server.url}/{number}")
    assert 0 < len(flight) < 5
    assert flight.dropped == 20 - len(flight)
    assert flight.write(path)
    assert targets(path) == [f"/{number}" for number in range(flight.dropped, 20)]


def test_exchange_beyond_the_limit_is_dropped_and_reaches_the_program(peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(bytes(10 if b"/small" in request else 100_000))))
    with FlightRecorder(limit_octets=50_000) as flight:
        assert len(get(server.url)) == 100_000
        get(f"{server.url}/small")
    assert (len(flight), flight.dropped) == (1, 1)


def test_connection_of_a_pool_is_seen_by_the_recorder_of_each_block(server: Peer) -> None:
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)

    def ask() -> None:
        connection.request("GET", "/")
        connection.getresponse().read()

    ask()
    for _ in range(3):
        with FlightRecorder() as flight:
            ask()
        assert len(flight) == 1
        ask()
    connection.close()


def test_tls_is_seen_inside(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"inside")), tls=server_tls)
    with FlightRecorder() as flight, urllib.request.urlopen(server.url, context=client_tls, timeout=LIMIT_S) as answer:
        assert answer.read() == b"inside"
    assert flight.write(path)
    server.stop()
    with use_cassette(path, "none"), urllib.request.urlopen(server.url, context=client_tls) as answer:
        assert answer.read() == b"inside"


def test_what_cannot_be_recorded_passes(server: Peer) -> None:
    async def ask() -> bytes:
        async with aiohttp.ClientSession() as session, session.get(server.url) as answer:
            return await answer.read()

    loop = uvloop.new_event_loop()
    with FlightRecorder() as flight:
        assert loop.run_until_complete(ask()) == b"answer to /"
    loop.close()
    assert len(flight) == 0


def test_guard_blocks_what_is_only_watched() -> None:
    with FlightRecorder() as flight, block_network(), pytest.raises(NetworkBlocked):
        client.HTTPConnection("api.example.test", timeout=LIMIT_S).connect()
    assert len(flight) == 1


def test_folder_that_cannot_be_written_is_an_error(server: Peer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with FlightRecorder() as flight:
        get(server.url)
    with pytest.raises(CassetteNotWritable, match="cannot be written"):
        flight.write(tmp_path / "file" / "a.yaml")


def test_report_takes_the_place_of_the_one_before(server: Peer, path: Path) -> None:
    for target in ("/a", "/b"):
        with FlightRecorder() as flight:
            get(server.url + target)
        assert flight.write(path)
        assert targets(path) == [target]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_program_may_fork(server: Peer) -> None:
    with FlightRecorder() as flight:
        get(f"{server.url}/parent")
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                get(f"{server.url}/child")
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert len(flight) == 1
