"""Replay: opening a cassette, each request after that, and the memory it takes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.answers import item_target
from benchmarks.libraries import CANNED, LIVE, MEMORY, NEEDS, Library
from benchmarks.recorders import PREPARE, RECORDERS, cassette_path
from benchmarks.tables import Contestant, Job, Skipped, Table, cpu_seconds

__all__ = ["TABLES"]

COUNT = 1000
WARM_UP = 10
# The module that each recorder needs, and the libraries that it knows.
MODULES = {"cassette_http": (), "vcrpy": ("vcr",), "cassetter": ("cassetter",)}
KNOWS = {"vcrpy": {"http.client", "requests", "urllib3", "httpx"}, "cassetter": {"requests", "urllib3", "httpx"}}
# vcrpy needs ten seconds and more for a session of 1,000.
ROUNDS_AT_MOST = {"vcrpy": 1}


def prepare(recorder: str, count: int, job: Job) -> None:
    PREPARE[recorder](job.scaled(count), job)
    PREPARE[recorder](job.scaled(WARM_UP), job)


def play(recorder: str, library: Library, count: int, requests: int, job: Job) -> None:
    """Open the cassette of `count` interactions, play the first `requests` of them in order, and close it."""
    with RECORDERS[recorder](cassette_path(job, recorder, count), True), library(job) as get:
        for number in range(requests):
            get(item_target(number))


def per_request(recorder: str, library: Library, count: int, job: Job) -> float:
    """Microseconds per request of a whole session; what happens once in a process is done before."""
    count = job.scaled(count)
    play(recorder, library, job.scaled(WARM_UP), job.scaled(WARM_UP), job)
    repeats = max(1, job.scaled(COUNT) // count)

    def work() -> None:
        for _ in range(repeats):
            play(recorder, library, count, count, job)

    return cpu_seconds(work) / (repeats * count) * 1e6


def from_memory(library: Library, job: Job) -> float:
    """Microseconds per request of the library's own stack, over canned octets."""
    count = job.scaled(COUNT)
    targets = [item_target(number) for number in range(count)]
    with library(job) as get:

        def work() -> None:
            for target in targets:
                get(target)

        work()  # makes the answers, too
        return cpu_seconds(work) / count * 1e6


def first_answer(recorder: str, library: Library, asked: int, job: Job) -> float:
    """Milliseconds from opening a cassette to an answer: its first (0), or its last (-1), which takes a look at all."""
    count = job.scaled(COUNT)
    play(recorder, library, job.scaled(WARM_UP), job.scaled(WARM_UP), job)

    def work() -> None:
        with RECORDERS[recorder](cassette_path(job, recorder, count), True), library(job) as get:
            get(item_target(asked % count))

    return cpu_seconds(work) * 1e3


def memory(recorder: str, library: Library, count: int, plays_all: bool, job: Job) -> float:
    """Megabytes at the peak, over what the process had when everything was imported."""
    count = job.scaled(count)
    play(recorder, library, job.scaled(WARM_UP), job.scaled(WARM_UP), job)
    before = _peak_megabytes()
    try:
        play(recorder, library, count, count if plays_all else 1, job)
    except Exception as error:
        if recorder == "cassette_http":
            raise
        raise Skipped(f"cannot load it: {str(error)[:60]}") from error
    return _peak_megabytes() - before


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is inherited from the parent process on Linux
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        raise Skipped("not known on this system") from None
    octets_per_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * octets_per_unit / 1024**2


# ---------------------------------------------------------------------- tables


def _recorder(recorder: str, library: str) -> Contestant:
    return Contestant(
        recorder,
        partial(per_request, recorder, LIVE[library], COUNT),
        partial(prepare, recorder, COUNT),
        (*MODULES[recorder], *NEEDS[library]),
        ROUNDS_AT_MOST.get(recorder),
    )


def _table_of_library(library: str, goal: str) -> Table:
    own_stack = "own stack over memory"
    canned = [
        Contestant("canned sockets", partial(from_memory, over_sockets), needs=NEEDS[library])
        for name, over_sockets in CANNED.items()
        if name == library
    ]
    others = [recorder for recorder in ("vcrpy", "cassetter") if library in KNOWS[recorder]]
    title = "cassette_http.client" if library == "own" else library
    return Table(
        f"replay-{library}",
        f"all of 1,000 interactions through {title}, opening included; per request",
        "us",
        (
            Contestant(own_stack, partial(from_memory, MEMORY[library]), needs=NEEDS[library]),
            *canned,
            *(_recorder(recorder, library) for recorder in ("cassette_http", *others)),
        ),
        reference=own_stack,
        goal=goal,
    )


def _opening(recorder: str, library: str, asked: int = -1) -> Contestant:
    return Contestant(
        f"{recorder}, {'cassette_http.client' if library == 'own' else library}{', its first' if asked == 0 else ''}",
        partial(first_answer, recorder, LIVE[library], asked),
        partial(prepare, recorder, COUNT),
        (*MODULES[recorder], *NEEDS[library]),
    )


def _size(count: int) -> Contestant:
    return Contestant(
        f"{count:,} interactions",
        partial(per_request, "cassette_http", LIVE["http.client"], count),
        partial(prepare, "cassette_http", count),
        rounds_at_most=3 if count > COUNT else None,
    )


def _memory(recorder: str, library: str, plays_all: bool) -> Contestant:
    return Contestant(
        f"{recorder}, {'all' if plays_all else 'one'} played",
        partial(memory, recorder, LIVE[library], 10 * COUNT, plays_all),
        partial(prepare, recorder, 10 * COUNT),
        (*MODULES[recorder], *NEEDS[library]),
        1 if recorder != "cassette_http" else 3,
    )


TABLES = (
    Table(
        "replay-open",
        "a cassette of 1,000 interactions is opened, and answers one request, that of the last if nothing is said",
        "ms",
        (
            _opening("cassette_http", "own", 0),
            _opening("cassette_http", "own"),
            _opening("cassette_http", "http.client", 0),
            _opening("cassette_http", "http.client"),
            _opening("cassette_http", "urllib3", 0),
            _opening("cassette_http", "urllib3"),
            _opening("vcrpy", "http.client"),
            _opening("vcrpy", "urllib3"),
            _opening("cassetter", "urllib3"),
        ),
        reference="cassette_http, urllib3",
        goal="2 ms",
    ),
    _table_of_library("http.client", "0.85 of its own stack over memory"),
    _table_of_library("requests", "1.4 x the best recorder"),
    _table_of_library("urllib3", "1.4 x the best recorder"),
    _table_of_library("httpx", "1.4 x the best recorder"),
    _table_of_library("own", "40 us"),
    Table(
        "replay-size",
        "all of a cassette through http.client, opening included; per request",
        "us",
        tuple(_size(count) for count in (100, 1000, 10_000)),
        reference="100 interactions",
        goal="the same for all",
    ),
    Table(
        "replay-memory",
        "peak memory over imports, with a cassette of 10,000 interactions",
        "MB",
        (
            _memory("cassette_http", "http.client", False),
            _memory("cassette_http", "http.client", True),
            _memory("vcrpy", "http.client", False),
            _memory("cassetter", "urllib3", False),
        ),
        reference="cassette_http, one played",
        goal="20 MB",
    ),
)
