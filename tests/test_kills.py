"""Nothing is lost when a recording process is killed: what the program had read completely is in the cassette.

`CASSETTE_KILLS=50 pytest tests/test_kills.py` kills more often than a test run needs.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from cassette_http import CassetteWarning, use_cassette
from tests.peer import LIMIT_S, Connection, Gone, Peer, response

KILLS = int(os.environ.get("CASSETTE_KILLS", "1"))
MOST_ANSWERS = 150

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")

# Each asks for /worker/0, /worker/1 and so on, and says so when it has read an answer completely.
PROGRAM = """
import asyncio, sys, threading
from cassette_http import client, use_cassette

library, path, url, workers, mode = sys.argv[1:]
workers = int(workers)
host, port = url.removeprefix("http://").split(":")
told = threading.Lock()

def tell(target):
    with told:
        print(target, flush=True)

def urllib_(target):
    import urllib.request
    with urllib.request.urlopen(url + target) as answer:
        return answer.read()

def ours(target, state=threading.local()):
    if not hasattr(state, "connection"):
        state.connection = client.HTTPConnection(host, int(port))
    state.connection.request("GET", target)
    return state.connection.getresponse().read()

def requests_(target, state=threading.local()):
    import requests
    if not hasattr(state, "session"):
        state.session = requests.Session()
    return state.session.get(url + target).content

def httpx_(target, state=threading.local()):
    import httpx
    if not hasattr(state, "session"):
        state.session = httpx.Client()
    return state.session.get(url + target).content

def work(ask, worker):
    for number in range(10_000):
        target = f"/{worker}/{number}"
        assert ask(target).decode().strip() == target
        tell(target)

async def aiohttp_(worker):
    import aiohttp
    async with aiohttp.ClientSession() as session:
        for number in range(10_000):
            target = f"/{worker}/{number}"
            async with session.get(url + target) as answer:
                assert (await answer.text()).strip() == target
            tell(target)

async def all_aiohttp():
    await asyncio.gather(*[aiohttp_(worker) for worker in range(workers)])

with use_cassette(path, mode):
    if library == "aiohttp":
        asyncio.run(all_aiohttp())
    else:
        ask = {"urllib": urllib_, "ours": ours, "requests": requests_, "httpx": httpx_}[library]
        threads = [threading.Thread(target=work, args=(ask, worker)) for worker in range(workers)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
"""


def answer_for_ever(connection: Connection) -> None:
    chance = random.Random(connection.number)
    with contextlib.suppress(Gone, OSError):
        while True:
            target = connection.read_request().split(b" ")[1]
            connection.send(response(target + b" " * chance.randrange(3000)))


@pytest.mark.parametrize(
    ("library", "workers"),
    [("urllib", 1), ("ours", 1), ("ours", 8), ("requests", 1), ("requests", 4), ("httpx", 1), ("aiohttp", 4)],
)
def test_killed_at_any_moment_loses_nothing_that_was_read(
    library: str, workers: int, peer: Callable[..., Peer], tmp_path: Path
) -> None:
    if library not in ("urllib", "ours"):
        pytest.importorskip(library)
    chance = random.Random(f"{library} {workers}")
    for attempt in range(KILLS):
        path = tmp_path / f"{attempt}.yaml"
        server = peer(answer_for_ever)
        read = record_and_kill(library, workers, path, server, after=chance.randrange(1, MOST_ANSWERS))
        assert_is_in(path, read)


def record_and_kill(library: str, workers: int, path: Path, server: Peer, after: int, mode: str = "once") -> list[str]:
    """Kill the recording process some answers after it has begun; give the targets whose answers it had read."""
    command = [sys.executable, "-c", PROGRAM, library, str(path), server.url, str(workers), mode]
    read: list[str] = []
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # A process that hangs, or ends by itself, must not let the test wait for ever.
        watch = threading.Timer(6 * LIMIT_S, process.kill)
        watch.start()
        for line in process.stdout:
            read.append(line.decode().strip())
            if len(read) == after:
                process.kill()
        watch.cancel()
    assert process.returncode == -signal.SIGKILL
    assert len(read) >= after
    return read


def test_process_killed_while_it_rewrites_keeps_the_old_cassette(peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("cassette: 1\n---\nrequest: GET http://api.test/\nresponse: 204 No Content\n---\n")
    old = path.read_bytes()
    record_and_kill("urllib", 1, path, peer(answer_for_ever), after=3, mode="rewrite")
    assert path.read_bytes() == old


def assert_is_in(path: Path, read: list[str]) -> None:
    """Find each answer in the cassette, whole; besides those only what was read while the process was dying."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CassetteWarning)  # the last document may be torn
        with use_cassette(path, "none") as cassette:
            answers = {
                one.request.head.target: one.response.content.decode().strip()
                for one in cassette.interactions
                if one.request is not None and one.response is not None
            }
    assert answers == {target: target for target in answers}
    assert set(read) <= answers.keys()


def test_many_processes_that_are_killed_lose_nothing_in_their_common_cassette(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    path = tmp_path / "common.yaml"
    server = peer(answer_for_ever)
    found: list[list[str]] = []
    processes = []
    for _ in range(8):
        command = [sys.executable, "-c", PROGRAM, "ours", str(path), server.url, "1", "all"]
        processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE))
    try:
        # Each is killed after another number of answers, while the others go on.
        for number, process in enumerate(processes):
            assert process.stdout is not None
            read = [process.stdout.readline().decode().strip() for _ in range(3 + 5 * number)]
            process.kill()
            found.append(read + [line.decode().strip() for line in process.stdout])
    finally:
        for process in processes:
            process.kill()
            process.wait(LIMIT_S)
            assert process.stdout is not None
            process.stdout.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CassetteWarning)
        with use_cassette(path, "none") as cassette:
            targets = [one.request.head.target for one in cassette.interactions if one.request is not None]
    for target in {target for read in found for target in read}:
        # Every process asks for the same: each of them has its own interaction in the file.
        assert targets.count(target) >= sum(target in read for read in found)


@pytest.mark.parametrize("library", ["urllib", "ours"])
def test_interrupted_program_keeps_what_it_had_read(library: str, peer: Callable[..., Peer], tmp_path: Path) -> None:
    path = tmp_path / "interrupted.yaml"
    server = peer(answer_for_ever)
    program = PROGRAM.replace("threads = [", "work(ask, 0); threads = [")
    command = [sys.executable, "-c", program, library, str(path), server.url, "1", "once"]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        read = [process.stdout.readline().decode().strip() for _ in range(20)]
        process.send_signal(signal.SIGINT)
        read += [line.decode().strip() for line in process.stdout]
        assert process.wait(LIMIT_S) == -signal.SIGINT
    with warnings.catch_warnings():
        warnings.simplefilter("error", CassetteWarning)  # no document is torn by a mere exception
        assert_is_in(path, read)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
