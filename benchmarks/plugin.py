"""What a cassette costs a test under pytest: every test has one of its own, and replays one request from it.

Over HTTPS each test makes its client anew, as fixtures do, and each client loads what it trusts: the authorities of
certifi, and that of the peer.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.libraries import NEEDS
from benchmarks.tables import Contestant, Job, Skipped, Table

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

# The name of a table, behind "pytest-", and what its tests do.
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
    "https-requests": """\
import requests
    with requests.Session() as session:
        assert session.get(f"https://{host}:{tls_port}/api/v2/items/{{number}}").content
""",
    "https-httpx": """\
import httpx
    with httpx.Client() as client:
        assert client.get(f"https://{host}:{tls_port}/api/v2/items/{{number}}").content
""",
    "https-urllib3": """\
import urllib3
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"https://{host}:{tls_port}/api/v2/items/{{number}}").data
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
# Where requests, and Python's ssl and httpx, look for what they trust.
TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
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


def folder_of(kind: str, work: str, job: Job) -> Path:
    return job.folder / f"pytest-{work}-{kind.replace(' ', '-')}"


def run_pytest(kind: str, work: str, job: Job, *options: str) -> Timer:
    import pytest

    for name in TRUST:
        os.environ[name] = str(folder_of(kind, work, job) / "trusted.pem")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # each contestant with its own plugin only
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.chdir(folder_of(kind, work, job))
    sys.modules.pop("test_items", None)  # that of another contestant, in a quick run
    timer = Timer()
    plugins = ["-p", PLUGINS[kind]] if kind in PLUGINS else []
    arguments = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", *plugins, *options, "test_items.py"]
    if status := pytest.main(arguments, plugins=[timer]):
        raise RuntimeError(f"pytest ended with {status!r}")
    return timer


def prepare(kind: str, work: str, job: Job) -> None:
    """Write the tests, and have them record their cassettes."""
    is_tls = work.startswith("https-")
    if is_tls and not job.tls_port:
        raise Skipped("needs trustme, for a certificate")
    folder = folder_of(kind, work, job)
    folder.mkdir()
    get = GET[work].format(host=job.host, port=job.port, tls_port=job.tls_port)
    head = HEAD.format(tests=job.scaled(TESTS), get=get)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_items.py").write_text(head + "\n" + TESTS_OF[kind])
    if is_tls:
        import certifi

        (folder / "trusted.pem").write_bytes(Path(certifi.where()).read_bytes() + job.authority.read_bytes())
    if kind not in (EMPTY, "live peer"):
        run_pytest(kind, work, job, *([RECORDS_BY[kind]] if kind in RECORDS_BY else []))


def per_test(kind: str, work: str, job: Job) -> float:
    return run_pytest(kind, work, job).milliseconds


def _contestant(kind: str, work: str, *needs: str) -> Contestant:
    library, is_tls = work.removeprefix("https-"), work.startswith("https-")
    needed = ("pytest", *NEEDS[library], *(["certifi"] if is_tls else []), *needs)
    return Contestant(kind, partial(per_test, kind, work), partial(prepare, kind, work), needed)


def _table(work: str, title: str, *others: tuple[str, str]) -> Table:
    """`others`: further contestants, and the module that each needs."""
    kinds = [(EMPTY,), ("live peer",), ("cassette_http",), *others]
    return Table(
        f"pytest-{work}",
        f"tests with a cassette each, {title}; per test",
        "ms",
        tuple(_contestant(kind, work, *needs) for kind, *needs in kinds),
        reference="cassette_http",
        baseline=EMPTY,
        goal="1.8 ms over an empty test" if work in NEEDS else "",
    )


VCRPY, CASSETTER = ("vcrpy", "vcr"), ("cassetter", "cassetter")
TABLES = (
    _table("http.client", "one request through http.client", VCRPY),
    _table("urllib3", "one request through urllib3", VCRPY, CASSETTER),
    *(
        _table(f"https-{library}", f"one request over HTTPS through a new client of {library}", VCRPY, CASSETTER)
        for library in ("requests", "httpx", "urllib3")
    ),
)
