"""A process that forks while a cassette is in use: the child goes on with it, whatever other threads were doing."""

from __future__ import annotations

import functools
import http.client
import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

import cassette_http.client
from cassette_http import UnmatchedRequest, use_cassette
from tests.peer import Peer, keep_alive, response

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs fork, and a wait for a child with a bound"),
    # Later Pythons warn of exactly what is tested here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

LIMIT_S = 20.0
CHILDREN, REQUESTS, THREADS = 8, 5, 4


def echo_target(request: bytes) -> bytes:
    return response(b"live " + request.split(b" ")[1])


def in_child(work: Callable[[], None]) -> None:
    """Do `work` in a forked child; fail if that fails or does not end."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    watched = os.pidfd_open(child)
    try:
        if not select.select([watched], [], [], LIMIT_S)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child is stuck")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        os.close(watched)


def ask(module: object, server: Peer, *paths: str) -> None:
    connection = module.HTTPConnection(server.host, server.port, timeout=LIMIT_S)  # type: ignore[attr-defined]
    for path in paths:
        connection.request("GET", path)
        assert connection.getresponse().read() == b"live " + path.encode()
    connection.close()


@contextmanager
def busy_threads(server: Peer, prefix: str, rounds: int) -> Iterator[None]:
    """Threads that ask without a pause, each the same number of times in every run."""

    def work(name: str) -> None:
        with requests.Session() as session:
            for step in range(rounds):
                path = f"/{prefix}/{name}/{step}"
                assert session.get(server.url + path, timeout=LIMIT_S).content == b"live " + path.encode()

    failures: list[BaseException] = []

    def guarded(name: str) -> None:
        try:
            work(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(f"thread{number}",)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []


@pytest.mark.parametrize("module", [http.client, cassette_http.client], ids=["http.client", "cassette_http.client"])
def test_children_of_a_process_with_busy_threads_record_and_replay(
    module: object, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "forks.yaml"

    def run() -> None:
        with busy_threads(server, "parent", rounds=60):
            for number in range(CHILDREN):
                paths = [f"/child{number}/{step}" for step in range(REQUESTS)]
                in_child(functools.partial(ask, module, server, *paths))

    with use_cassette(path, "all"):
        run()
    server.stop()
    asked = sorted(
        [f"{server.url}/child{number}/{step}" for number in range(CHILDREN) for step in range(REQUESTS)]
        + [f"{server.url}/parent/thread{number}/{step}" for number in range(THREADS) for step in range(60)]
    )
    with use_cassette(path, "none") as cassette:
        assert sorted(one.request.url for one in cassette.interactions if one.request) == asked
        run()
        assert cassette.misses == []


def test_multiprocessing_records_and_replays(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "pool.yaml"

    def run() -> None:
        workers = [
            multiprocessing.get_context("fork").Process(target=ask, args=(http.client, server, f"/{number}"))
            for number in range(4)
        ]
        with busy_threads(server, "parent", rounds=10):
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(LIMIT_S)
        assert [worker.exitcode for worker in workers] == [0] * 4

    with use_cassette(path, "rewrite"):
        run()
    server.stop()
    with use_cassette(path, "none"):
        run()


@pytest.mark.parametrize("module", [http.client, cassette_http.client], ids=["http.client", "cassette_http.client"])
def test_played_connection_is_not_shared_with_a_child(
    module: object, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    with use_cassette(tmp_path / "shared.yaml", "all"):
        ask(module, server, "/0", "/parent", "/child")
    server.stop()
    with use_cassette(tmp_path / "shared.yaml", "none"):
        connection = module.HTTPConnection(server.host, server.port, timeout=LIMIT_S)  # type: ignore[attr-defined]

        def on(path: str) -> bytes:
            connection.request("GET", path)
            content: bytes = connection.getresponse().read()
            return content

        def child() -> None:
            assert on("/child") == b"live /child"
            connection.close()

        assert on("/0") == b"live /0"
        descriptor = connection.sock.fileno()
        in_child(child)
        assert select.select([descriptor], [], [], 0)[0] == []
        assert on("/parent") == b"live /parent"
        connection.close()


def test_child_that_leaves_the_block_does_not_end_the_parents_cassette(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "rewritten.yaml"
    block = use_cassette(path, "rewrite")
    with block:
        ask(http.client, server, "/before")

        def child() -> None:
            ask(http.client, server, "/child")
            block.__exit__(None, None, None)

        with busy_threads(server, "parent", rounds=30):
            in_child(child)
        ask(http.client, server, "/after")
    with use_cassette(path, "none") as cassette:
        urls = [one.request.url for one in cassette.interactions if one.request]
        assert {f"{server.url}/{name}" for name in ("before", "child", "after")} <= set(urls)
        assert len(urls) == 3 + THREADS * 30


def test_child_may_be_the_first_to_write_a_cassette_again(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "rewritten.yaml"
    with use_cassette(path, "rewrite"):
        in_child(functools.partial(ask, http.client, server, "/child"))
        ask(http.client, server, "/parent")
    with use_cassette(path, "none") as cassette:
        urls = [one.request.url for one in cassette.interactions if one.request]
    assert urls == [f"{server.url}/child", f"{server.url}/parent"]


def test_requests_that_children_miss_fail_the_block_of_their_parent(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(echo_target))
    path = tmp_path / "missed.yaml"
    with use_cassette(path, "all"):
        ask(http.client, server, "/known")
    server.stop()

    def child(number: int) -> None:
        for step in range(3):
            with suppress(UnmatchedRequest):
                ask(http.client, server, f"/unknown/{number}/{step}")

    block = use_cassette(path, "none")
    cassette = block.__enter__()
    for number in range(3):
        in_child(functools.partial(child, number))
    ask(http.client, server, "/known")
    with pytest.raises(UnmatchedRequest, match="/unknown/0/0"):
        block.__exit__(None, None, None)
    asked = [miss.request.url for miss in cassette.misses]
    assert asked == [f"{server.url}/unknown/{number}/{step}" for number in range(3) for step in range(3)]
