"""Recording: what it costs more than the same requests without a recorder."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from benchmarks.answers import item_target
from benchmarks.libraries import LIVE, NEEDS, Library
from benchmarks.recorders import RECORDERS
from benchmarks.replay import KNOWS, MODULES, ROUNDS_AT_MOST
from benchmarks.tables import Contestant, Job, Table, cpu_seconds

__all__ = ["TABLES"]

COUNT = 1000
WARM_UP = 10
NOT_RECORDING = "not recording"


def record(recorder: str | None, library: Library, path: Path, count: int, job: Job) -> None:
    """Get `count` items from the peer, into a new cassette if there is a recorder."""
    using = nullcontext() if recorder is None else RECORDERS[recorder](path, False)
    with using, library(job) as get:
        for number in range(count):
            get(item_target(number))


def per_request(recorder: str | None, library: Library, count: int, job: Job) -> float:
    """Microseconds per request of a whole session, with opening and closing the cassette."""
    count = job.scaled(count)
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        record(recorder, library, Path(folder, "warm-up.yaml"), WARM_UP, job)
        path = Path(folder, "session.yaml")
        return cpu_seconds(lambda: record(recorder, library, path, count, job)) / count * 1e6


# ---------------------------------------------------------------------- tables


def _contestant(recorder: str | None, library: str) -> Contestant:
    modules = MODULES[recorder] if recorder else ()
    return Contestant(
        recorder or NOT_RECORDING,
        partial(per_request, recorder, LIVE[library], COUNT),
        needs=(*modules, *NEEDS[library]),
        rounds_at_most=ROUNDS_AT_MOST.get(recorder or ""),
    )


def _table_of_library(library: str) -> Table:
    others = [recorder for recorder in ("vcrpy", "cassetter") if library in KNOWS[recorder]]
    return Table(
        f"recording-{library}",
        f"1,000 requests to a live peer through {'cassette_http.client' if library == 'own' else library}; per request",
        "us",
        tuple(_contestant(recorder, library) for recorder in (None, "cassette_http", *others)),
        reference="cassette_http",
        baseline=NOT_RECORDING,
        goal="60 us over not recording",
    )


def _size(count: int) -> Contestant:
    return Contestant(
        f"{count:,} requests",
        partial(per_request, "cassette_http", LIVE["http.client"], count),
        rounds_at_most=3 if count > COUNT else None,
    )


TABLES = (
    _table_of_library("http.client"),
    _table_of_library("urllib3"),
    _table_of_library("own"),
    Table(
        "recording-size",
        "recording through http.client; per request",
        "us",
        (_contestant(None, "http.client"), *(_size(count) for count in (100, 1000, 10_000))),
        reference="100 requests",
        baseline=NOT_RECORDING,
        goal="the same for all",
    ),
)
