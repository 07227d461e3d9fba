"""What a cassette costs a test under pytest: every test has one of its own, and replays one request from it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from benchmarks.libraries import NEEDS
from benchmarks.tables import Contestant, Job, Table

__all__ = ["TABLES"]

TESTS = 200
EMPTY = "empty test"

HEAD = """\
import http.client
import pytest

every = pytest.mark.parametrize("number", range({tests}))

def get(number):
    {get}
"""

GET = {
    "http.client": """\
connection = http.client.HTTPConnection("{host}", {port})
    connection.request("GET", f"/api/v2/items/{{number}}")
    assert connection.getresponse().read()
    connection.close()
""",
    "urllib3": """\
import urllib3
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"http://{host}:{port}/api/v2/items/{{number}}").data
""",
}

TESTS_OF = {
    EMPTY: "@every\ndef test_item(number):\n    pass\n",
    "live peer": "@every\ndef test_item(number):\n    get(number)\n",
    "cassette_http": "@every\n@pytest.mark.cassette\ndef test_item(number):\n    get(number)\n",
    "vcrpy": """
import vcr

@every
def test_item(number):
    with vcr.use_cassette(f"cassettes/{number}.yaml"):
        get(number)
""",
    "cassetter": "@every\n@pytest.mark.vcr\ndef test_item(number):\n    get(number)\n",
}
PLUGINS = {"cassette_http": "cassette_http.pytest_plugin", "cassetter": "cassetter.pytest_plugin"}
RECORDS_BY = {"cassette_http": "--cassette-mode=once", "cassetter": "--record-mode=once"}


class Timer:
    """Takes the time from the end of the first test, which pays for what is imported late, to that of the last."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def pytest_runtest_logfinish(self) -> None:
        self.ends.append(time.process_time())

    @property
    def milliseconds(self) -> float:
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1) * 1e3


def folder_of(kind: str, library: str, job: Job) -> Path:
    return job.folder / f"pytest-{library}-{kind.replace(' ', '-')}"


def run_pytest(kind: str, library: str, job: Job, *options: str) -> Timer:
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # each contestant with its own plugin only
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.chdir(folder_of(kind, library, job))
    timer = Timer()
    plugins = ["-p", PLUGINS[kind]] if kind in PLUGINS else []
    arguments = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", *plugins, *options, "test_items.py"]
    if status := pytest.main(arguments, plugins=[timer]):
        raise RuntimeError(f"pytest ended with {status!r}")
    return timer


def prepare(kind: str, library: str, job: Job) -> None:
    """Write the tests, and have them record their cassettes."""
    folder = folder_of(kind, library, job)
    folder.mkdir()
    get = GET[library].format(host=job.host, port=job.port)
    head = HEAD.format(tests=job.scaled(TESTS), get=get)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_items.py").write_text(head + "\n" + TESTS_OF[kind])
    if kind not in (EMPTY, "live peer"):
        run_pytest(kind, library, job, *([RECORDS_BY[kind]] if kind in RECORDS_BY else []))


def per_test(kind: str, library: str, job: Job) -> float:
    return run_pytest(kind, library, job).milliseconds


def _contestant(kind: str, library: str, *needs: str) -> Contestant:
    return Contestant(
        kind, partial(per_test, kind, library), partial(prepare, kind, library), ("pytest", *NEEDS[library], *needs)
    )


def _table_of_library(library: str, *others: Contestant) -> Table:
    return Table(
        f"pytest-{library}",
        f"tests with a cassette each, one request through {library}; per test",
        "ms",
        (*(_contestant(kind, library) for kind in (EMPTY, "live peer", "cassette_http")), *others),
        reference="cassette_http",
        baseline=EMPTY,
        goal="1.8 ms over an empty test",
    )


TABLES = (
    _table_of_library("http.client", _contestant("vcrpy", "http.client", "vcr")),
    _table_of_library(
        "urllib3", _contestant("vcrpy", "urllib3", "vcr"), _contestant("cassetter", "urllib3", "cassetter")
    ),
)
