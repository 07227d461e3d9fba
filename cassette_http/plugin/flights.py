"""`--cassette-on-failure=DIR`: writes the traffic of failing tests as cassettes, even if they have their own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.errors import CassetteNotWritable
from cassette_http.flight import FlightRecorder
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.naming import name_of_test, safe_name
from cassette_http.plugin.paths import shown_path
from cassette_http.plugin.report import add_section
from cassette_http.plugin.settings import settings
from cassette_http.wording import counted

if TYPE_CHECKING:
    from cassette_http.plugin.summary import Summary

WRITTEN = "traffic of failed tests"


@dataclass
class _Flight:
    """The traffic of a running test; if the test is run again, that of the current attempt."""

    item: pytest.Item
    recorder: FlightRecorder
    attempt: int = 0
    has_failed: bool = False
    written: int = 0

    @property
    def path(self) -> Path:
        module, _, _ = self.item.nodeid.partition("::")
        folder = safe_name(module.removesuffix(".py").replace("/", "."))
        again = f".attempt{self.attempt}" if self.attempt > 1 else ""
        name = safe_name(name_of_test(self.item.nodeid) or self.item.name)
        return _folder(self.item.config) / folder / f"{name}{again}.yaml"

    def begin(self) -> None:
        """The test is set up, for the first time or again."""
        self.end()
        self.recorder.forget()
        self.attempt += 1
        self.has_failed, self.written = False, 0

    def end(self) -> None:
        """Write what came after the failure was reported."""
        if self.has_failed and self.recorder.count != self.written:
            self.write()

    def write(self) -> bool:
        """Write everything; False if there is nothing. Raises CassetteNotWritable."""
        self.written = self.recorder.count
        return self.recorder.write(self.path, test=self.item.nodeid)


_flight = pytest.StashKey[_Flight]()


def _folder(config: pytest.Config) -> Path:
    given = settings(config)
    start = config.invocation_params.dir if "on_failure" in given.line else config.rootpath
    return Path(start / given.get("on_failure"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with FlightRecorder() as recorder:
        flight = item.stash[_flight] = _Flight(item, recorder)
        try:
            result = yield
        finally:
            del item.stash[_flight]
    with suppress(CassetteNotWritable):  # it was reported with the failure
        flight.end()
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if _flight in item.stash:
        item.stash[_flight].begin()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _flight in item.stash:
        flight = item.stash[_flight]
        is_first = not flight.has_failed
        flight.has_failed = True
        try:
            is_written = flight.write()
        except CassetteNotWritable as error:
            add_section(report, "HTTP traffic", str(error))
        else:
            if is_written:
                add_section(report, "HTTP traffic", _text(flight))
                ledger_of(item.config).counts[WRITTEN] += is_first
    return report


def _text(flight: _Flight) -> str:
    path = shown_path(flight.item.config, flight.path)
    count, dropped = len(flight.recorder), flight.recorder.dropped
    text = f"{counted(count, 'exchange')} in {path}"
    if dropped:
        text += f" (the {dropped} before them did not fit)"
    return f'{text}\nto replay: use_cassette("{path}", record_mode="none")'


def pytest_cassette_summary(summary: Summary) -> None:
    count: Any = summary.ledger.counts[WRITTEN]
    if count:
        folder = shown_path(summary.config, _folder(summary.config))
        summary.add("traffic", [f"of {counted(count, 'failed test')} in {folder}"])
