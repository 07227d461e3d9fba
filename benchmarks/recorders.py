"""The recorders that are compared: how each uses a cassette, and how its cassettes come into being."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.answers import answer_to, item_target
from benchmarks.libraries import FIELDS, LIVE
from benchmarks.tables import Job

__all__ = ["PREPARE", "RECORDERS", "Recorder", "cassette_path"]

# Called with the path of the cassette, and whether it is replayed or recorded.
Recorder = Callable[[Path, bool], AbstractContextManager[Any]]


def use_ours(path: Path, replays: bool) -> AbstractContextManager[Any]:
    from cassette_http import use_cassette

    return use_cassette(path, "none" if replays else "once")


def use_vcrpy(path: Path, replays: bool) -> AbstractContextManager[Any]:
    import vcr

    context: AbstractContextManager[Any] = vcr.use_cassette(str(path), record_mode="none" if replays else "once")
    return context


def use_cassetter(path: Path, replays: bool) -> AbstractContextManager[Any]:
    import cassetter

    context: AbstractContextManager[Any] = cassetter.use_cassette(path, record_mode="none" if replays else "once")
    return context


RECORDERS: dict[str, Recorder] = {"cassette_http": use_ours, "vcrpy": use_vcrpy, "cassetter": use_cassetter}


def cassette_path(job: Job, recorder: str, count: int) -> Path:
    return job.folder / f"{recorder}-{count}.yaml"


def prepare_ours(count: int, job: Job) -> None:
    path = cassette_path(job, "cassette_http", count)
    if not path.exists():
        with use_ours(path, replays=False), LIVE["http.client"](job) as get:
            for number in range(count):
                get(item_target(number))


def prepare_vcrpy(count: int, job: Job) -> None:
    """Write the same session by the serializer of vcrpy; to record it would take minutes."""
    from vcr import request, serialize
    from vcr.serializers import yamlserializer

    path = cassette_path(job, "vcrpy", count)
    if path.exists():
        return
    requests = []
    responses = []
    for number in range(count):
        target = item_target(number)
        requests.append(request.Request("GET", job.origin + target, None, dict(FIELDS)))
        head, _, content = answer_to(target).partition(b"\r\n\r\n")
        pairs = [line.split(": ", 1) for line in head.decode("ascii").split("\r\n")[1:]]
        fields = {name: [value] for name, value in pairs}
        responses.append({"status": {"code": 200, "message": "OK"}, "headers": fields, "body": {"string": content}})
    path.write_text(serialize.serialize({"requests": requests, "responses": responses}, yamlserializer))


def prepare_cassetter(count: int, job: Job) -> None:
    """Record through urllib3, as it does not know http.client; more than 1,000 would take minutes, so those repeat."""
    path = cassette_path(job, "cassetter", count)
    if path.exists():
        return
    recorded = min(count, 1000)
    with use_cassetter(path, replays=False), LIVE["urllib3"](job) as get:
        for number in range(recorded):
            get(item_target(number))
    head, start, interactions = path.read_text().partition("interactions:\n")
    path.write_text(head + start + interactions * (count // recorded))


PREPARE: dict[str, Callable[[int, Job], None]] = {
    "cassette_http": prepare_ours,
    "vcrpy": prepare_vcrpy,
    "cassetter": prepare_cassetter,
}
