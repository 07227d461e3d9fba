"""The order of interactions is that of requests, whatever the order of answers, and no kill can spoil it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cassette_http import client, use_cassette
from tests.asking import get
from tests.peer import LIMIT_S, Connection, Peer, response


def requests_in(path: Path) -> list[str]:
    return [line.rpartition("/")[2] for line in path.read_text().splitlines() if line.startswith("request: ")]


class Backwards:
    """A server that answers `count` requests only when all have come, the last one first."""

    def __init__(self, peer: Callable[..., Peer], count: int) -> None:
        self._came: list[str] = []
        self._moved = threading.Condition()
        self._count, self._answered = count, 0
        self.began = threading.Semaphore(0)
        self.url = peer(self._serve).url

    def _serve(self, connection: Connection) -> None:
        name = connection.read_request().split(b" ")[1].decode().lstrip("/")
        with self._moved:
            self._came.append(name)
            self.began.release()
            place = len(self._came)
            self._moved.notify_all()
            assert self._moved.wait_for(lambda: self._answered == self._count - place, LIMIT_S)
            connection.send(response(f"answer {name}".encode()))
            connection.wait_closed()
            self._answered += 1
            self._moved.notify_all()


def ask_one_after_the_other(server: Backwards, names: str) -> None:
    """Begin each request when the one before has come to the server; answers come when all have."""
    with ThreadPoolExecutor(len(names)) as pool:
        answers = []
        for name in names:
            answers.append(pool.submit(get, f"{server.url}/{name}"))
            assert server.began.acquire(timeout=LIMIT_S)
        assert [answer.result(LIMIT_S) for answer in answers] == [f"answer {name}" for name in names]


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_interactions_stand_in_the_order_of_their_requests(
    mode: str, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    path = tmp_path / "order.yaml"
    server = Backwards(peer, 5)
    with use_cassette(path, mode) as cassette:
        ask_one_after_the_other(server, "abcde")
    assert requests_in(path) == list("abcde")
    assert [one.request.url[-1] for one in cassette.recorded if one.request] == list("abcde")
    with use_cassette(path, "none"):
        assert [get(f"{server.url}/{name}") for name in "abcde"] == [f"answer {name}" for name in "abcde"]


def test_until_the_block_ends_interactions_stand_in_the_order_of_their_answers(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    path = tmp_path / "order.yaml"
    server = Backwards(peer, 3)
    with use_cassette(path, "once"):
        ask_one_after_the_other(server, "abc")
        assert requests_in(path) == list("cba")  # what a killed process would leave


def test_what_others_have_written_stays_where_it_is(peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "order.yaml"
    with use_cassette(path, "once"):
        get(f"{Backwards(peer, 1).url}/old")
    server = Backwards(peer, 3)
    with use_cassette(path, "new_episodes"):
        ask_one_after_the_other(server, "abc")
        with path.open("ab") as file:  # another process
            file.write(b"request: GET http://api.test/other\nresponse: 200 OK\n---\n")
        get(f"{Backwards(peer, 1).url}/d")
    assert requests_in(path) == ["old", "a", "b", "c", "other", "d"]


def test_what_was_removed_meanwhile_does_not_come_back(peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "order.yaml"
    server = Backwards(peer, 3)
    with use_cassette(path, "once"):
        ask_one_after_the_other(server, "abc")
        documents = path.read_text().split("---\n")
        path.write_text("---\n".join(one for one in documents if "/b\n" not in one))
    assert requests_in(path) == ["c", "a"]


def test_recording_again_gives_the_same_order_for_concurrent_tasks(peer: Callable[..., Peer], tmp_path: Path) -> None:
    async def ask(url: str, meet: asyncio.Barrier) -> None:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split("/")[0].split(":"))
        await meet.wait()
        writer.write(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % url.rpartition("/")[2].encode())
        await reader.readuntil(b"answer")
        writer.close()

    async def ask_all(url: str) -> None:
        meet = asyncio.Barrier(6)
        await asyncio.gather(*[ask(f"{url}/{name}", meet) for name in "abcdef"])

    found = []
    for number in range(3):
        path = tmp_path / f"{number}.yaml"
        server = Backwards(peer, 6)
        with use_cassette(path, "rewrite") as cassette:
            asyncio.run(ask_all(server.url))
            begun = [one.request.url[-1] for one in cassette.recorded if one.request]
        found.append(requests_in(path))
        assert sorted(begun) == list("abcdef")
    assert found[0] == found[1] == found[2]


def test_equal_interactions_are_arranged_too(peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "order.yaml"
    server = Backwards(peer, 4)
    with use_cassette(path, "once"):
        ask_one_after_the_other(server, "abab")
    assert requests_in(path) == list("abab")


def test_pipelined_requests_stand_in_order(peer: Callable[..., Peer], tmp_path: Path) -> None:
    def script(connection: Connection) -> None:
        for name in (b"a", b"b"):
            assert connection.read_request().startswith(b"GET /" + name)
        connection.send(response(b"1"), response(b"2"))
        connection.wait_closed()

    path = tmp_path / "order.yaml"
    server = peer(script)
    with use_cassette(path, "once"):
        connection = client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        with connection.sock.makefile("rb") as file:
            assert file.read(2 * len(response(b"1"))) == response(b"1") + response(b"2")
        connection.close()
    assert requests_in(path) == ["a", "b"]
