"""A pytest plugin for the test-suites of others: it runs each of their tests while a cassette records, or as it is.

    pytest -p downstream.wrapping --outcomes=with.json --record-into=FOLDER tests/
    pytest -p downstream.wrapping --outcomes=without.json tests/

Both write how each test ended, so that the two can be compared (`downstream.own_suites`). No test leaves this machine:
one that tries finds no network, in both runs.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cassette_http import use_cassette

LONGEST_WHY = 500

_outcomes = pytest.StashKey[dict[str, dict[str, str]]]()
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("downstream")
    group.addoption("--outcomes", type=Path, required=True, help="write how each test ended into this JSON file")
    group.addoption("--record-into", type=Path, help="run each test while a cassette in this folder records")
    group.addoption("--quiet-logger", action="append", default=[], help="keep what this logger says below CRITICAL")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_outcomes] = {}
    for name in config.getoption("--quiet-logger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.addaudithook(_stay_here)


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise what a machine without a network would, where somebody looks up or connects to another one."""
    if event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


def _is_here(host: Any) -> bool:
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    if not name or name in ("localhost", "localhost.", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    # Servers and clients that the fixtures of the test start are wrapped as well.
    folder: Path | None = item.config.getoption("--record-into")
    if folder is None:
        yield
        return
    with use_cassette(folder / f"{next(_numbers)}.yaml", "all", test=item.nodeid):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]  # a hook wrapper gets a Result
    ended = item.config.stash[_outcomes].setdefault(item.nodeid, {"outcome": "passed", "why": ""})
    if not report.passed:
        ended.update(outcome=report.outcome, why=call.excinfo.exconly()[:LONGEST_WHY] if call.excinfo else "")


def pytest_sessionfinish(session: pytest.Session) -> None:
    outcomes = session.config.stash[_outcomes]
    session.config.getoption("--outcomes").write_text(json.dumps(outcomes, indent=1, sort_keys=True))
