"""A pytest plugin for the test-suites of others: it runs each of their tests while a cassette records, or as it is.

    pytest -p downstream.wrapping --outcomes=without.json tests/
    pytest -p downstream.wrapping --outcomes=with.json --record-into=FOLDER tests/

Both write how each test ended, so that the two can be compared. With `--twice`, each test is called twice in one
set-up, and what the first call has recorded is played to the second. No test leaves this machine: one that tries finds
no network, in each run.
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
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cassette_http import CassetteWarning, use_cassette
from cassette_http.cassette.matching import DEFAULT_MATCH
from cassette_http.cassette.secrets.rules import RULES

LONGEST_WHY = 500

_outcomes = pytest.StashKey[dict[str, dict[str, str]]]()
_is_called = pytest.StashKey[bool]()
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("downstream")
    group.addoption("--outcomes", type=Path, required=True, help="write how each test ended into this JSON file")
    group.addoption("--record-into", type=Path, help="run each test while a cassette in this folder records")
    group.addoption("--twice", action="store_true", help="call each test a second time, to play what was recorded")
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
    if folder is None or item.config.getoption("--twice"):
        yield
        return
    with use_cassette(folder / f"{next(_numbers)}.yaml", "all", test=item.nodeid):
        yield
        _leave_out_warnings()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not pyfuncitem.config.getoption("--twice") or _is_called in pyfuncitem.stash:
        return None
    pyfuncitem.stash[_is_called] = True
    folder: Path | None = pyfuncitem.config.getoption("--record-into")
    number = next(_numbers)
    for mode in ("all", "none"):
        using: Any = nullcontext()
        if folder is not None:
            # A server that the test starts itself has another port in the second call, and its secrets are looked at.
            match = [name for name in DEFAULT_MATCH if name != "port"]
            path = folder / f"{number}.yaml"
            using = use_cassette(path, mode, match=match, keep=RULES, allow_missing=True, test=pyfuncitem.nodeid)
        with using:
            pyfuncitem.ihook.pytest_pyfunc_call(pyfuncitem=pyfuncitem)
            _leave_out_warnings()
    return True


def _leave_out_warnings() -> None:
    """Let what the block is going to warn of, such as a malformed request, be no error in suites where warnings are."""
    warnings.simplefilter("ignore", CassetteWarning)


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
