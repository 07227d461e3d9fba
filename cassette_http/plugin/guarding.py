"""`--cassette-block-network` and the test option: look-ups and connects to hosts that are not allowed fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.errors import InvalidOption
from cassette_http.intercept.guard import Attempt, Kind, Outcome, block_network
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.paths import shown_path
from cassette_http.plugin.report import add_section, hide_our_frames, set_reason, with_own_reason
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import CassetteFailure
from cassette_http.wording import counted

if TYPE_CHECKING:
    from cassette_http.plugin.summary import Summary
    from cassette_http.plugin.uses import Use

EVERYTHING = ("*", "0.0.0.0/0", "::/0")
GUARDED = "guarded processes"
MOST_ATTEMPTS = 10


class Guards:
    """The guards of this process: one for the run, and those of tests with different settings."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.of_run: block_network | None = None
        self._of_uses: dict[int, block_network] = {}
        self._item: pytest.Item | None = None
        self.has_failed = False
        self._blocked: list[tuple[list[Attempt], int]] = []  # lists with attempts of this test, and where those begin
        self._counted: Counter[tuple[Kind, Outcome]] = Counter()

    def begin(self, item: pytest.Item) -> None:
        if self._item is not item:
            self._item, self._blocked, self.has_failed = item, [], False
        if self.of_run is not None:
            self.of_run.test = item.nodeid
            self._blocked.append((self.of_run.blocked, len(self.of_run.blocked)))

    @property
    def blocked(self) -> list[Attempt]:
        """The attempts of this test that were blocked."""
        return [attempt for attempts, start in self._blocked for attempt in attempts[start:]]

    def open(self, use: Use) -> None:
        """Start a guard for a use whose settings differ from those of the run."""
        wanted = bool(use.options.get("block_network")), use.options.get("allow_hosts", ())
        given = settings(self._config)
        if wanted == (self.of_run is not None, given.get("allow_hosts") or ()) or (not wanted[0] and not self.of_run):
            return
        guard = block_network(wanted[1] if wanted[0] else EVERYTHING, test=use.owner)
        guard.__enter__()
        self._of_uses[id(use)] = guard
        if use.item is not None:
            self.begin(use.item)
        self._blocked.append((guard.blocked, 0))

    def close(self, use: Use) -> None:
        guard = self._of_uses.pop(id(use), None)
        if guard is not None:
            guard.__exit__(None, None, None)
            self._count(guard.counts)

    def count(self) -> None:
        """Add what the guard of the run has seen since the last call to the ledger."""
        if self.of_run is not None:
            counts = Counter(self.of_run.counts)
            self._count(counts - self._counted)
            self._counted = counts

    def _count(self, counts: Counter[tuple[Kind, Outcome]]) -> None:
        ledger = ledger_of(self._config).counts
        ledger[GUARDED] |= 1
        for (kind, outcome), number in counts.items():
            ledger[_key(kind, outcome)] += number


def _key(kind: Kind, outcome: Outcome) -> str:
    return f"{kind.value} {outcome.value}"


_guards = pytest.StashKey[Guards]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_guards] = Guards(config)
    try:
        block_network(settings(config).get("allow_hosts") or ())
    except InvalidOption as error:
        raise pytest.UsageError(f"--cassette-allow-hosts: {error}") from None


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    # The controller of pytest-xdist runs no tests, and may connect to workers on other machines.
    if settings(config).get("block_network") and not config.pluginmanager.has_plugin("dsession"):
        guards = config.stash[_guards]
        guards.of_run = block_network(settings(config).get("allow_hosts") or ())
        guards.of_run.__enter__()


def pytest_unconfigure(config: pytest.Config) -> None:
    guards = config.stash[_guards]
    if guards.of_run is not None:
        guards.of_run.__exit__(None, None, None)
        guards.of_run = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    guards = item.config.stash[_guards]
    guards.begin(item)
    try:
        return (yield)
    finally:
        guards.count()


def pytest_cassette_opened(use: Use) -> None:
    use.config.stash[_guards].open(use)


def pytest_cassette_closed(use: Use) -> None:
    use.config.stash[_guards].close(use)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Make a test fail that passed although something was blocked, as the program has swallowed the error."""
    yield
    guards = item.config.stash[_guards]
    if settings(item.config).get("on_blocked") == "fail" and guards.blocked and not guards.has_failed:
        raise CassetteFailure(f"network blocked: {guards.blocked[0]}, and the program swallowed the error")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what was blocked to the report of a failure, as libraries replace our errors by their own."""
    if call.excinfo is not None:
        hide_our_frames(call.excinfo.value)
    report = yield
    item.config.stash[_guards].has_failed |= report.failed
    blocked = item.config.stash[_guards].blocked if report.failed and call.excinfo is not None else []
    if blocked and call.excinfo is not None:
        set_reason(report, with_own_reason(f"network blocked: {blocked[0]}", report, call.excinfo.value))
        lines = [f"{attempt}\n  at {shown_path(item.config, attempt.where)}" for attempt in blocked[:MOST_ATTEMPTS]]
        if len(blocked) > MOST_ATTEMPTS:
            lines.append(f"and {len(blocked) - MOST_ATTEMPTS} more")
        hosts = ",".join(dict.fromkeys(attempt.host for attempt in blocked))
        lines.append(f"to let it through: --cassette-allow-hosts={hosts}")
        add_section(report, "blocked by the network guard", "\n".join(lines))
    return report


def pytest_cassette_summary(summary: Summary) -> None:
    counts = summary.ledger.counts
    is_asked_for = settings(summary.config).get("block_network")
    if not (is_asked_for or counts[GUARDED]):
        return
    parts = []
    for outcome in Outcome:
        numbers = [counts[_key(kind, outcome)] for kind in Kind]
        if any(numbers):
            parts.append(f"{outcome.value} {_numbers(numbers)}")
    summary.add("network", ["; ".join(parts) or _numbers([0] * len(Kind))])


def _numbers(numbers: list[Any]) -> str:
    """The numbers of look-ups, connects and datagrams; datagrams only if there were any."""
    named = [
        counted(number, kind.value)
        for kind, number in zip(Kind, numbers, strict=True)
        if number or kind is not Kind.DATAGRAM
    ]
    return ", ".join(named)
