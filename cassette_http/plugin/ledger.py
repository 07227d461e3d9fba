"""What the uses of cassettes left behind, from all processes of a run, for its reports.

Each use gives *facts*, a dictionary of what JSON knows. They travel with the report of the test that ran last, as
pytest-xdist passes on reports as they come: a worker that crashes takes no facts of other tests with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from cassette_http.plugin.collection import collection_of

Facts: TypeAlias = dict[str, Any]
"""Of one use: its `owner` (a test, or "file::fixture"), the cassette's `path` and `mode`.

`test` is the owner too, but each repetition by pytest-repeat has its own.

`is_own`: the cassette has the name of the test; `is_well`: it ended well. `loaded` interactions, of which `played`
(numbers) answered `plays` requests, and `unplayed` (number: line, the first of them) none; `on_unplayed` says what that
means. How many were `recorded`, how many `connects` there were, and the first `connections`. `miss_count` requests were
refused; the first `misses` have `reason`, `at` (the line of the program), `text`, and the `test` that has to be run to
record them.
"""

# The sections of a report that show what went over the wire have titles that begin so.
TRANSCRIPT = "HTTP transcript"

# The attribute of a report, and the key of what a worker sends at its end.
CARRIED = "cassette_http"


class Ledger:
    """Collects facts. `pending` are those of this process that no report carries yet, `facts` those of the whole run.

    `counts` are numbers that parts of the plugin keep; those of all processes are added up.
    """

    def __init__(self) -> None:
        self.pending: list[Facts] = []
        self.counts: Counter[str] = Counter()
        self.collected: dict[str, Any] = {}
        """What `Collection.summary` says; the same in all processes."""
        self.ran: set[str] = set()
        self.passed: set[str] = set()
        self.transcripts: dict[str, str] = {}
        """Of failed tests, by their ids."""
        self._facts: dict[tuple[str, str], Facts] = {}

    @property
    def facts(self) -> list[Facts]:
        """The facts of each use; of a test that ran several times, those of the last."""
        return list(self._facts.values())

    def give_to(self, report: pytest.TestReport) -> None:
        if self.pending:
            setattr(report, CARRIED, self.pending)
            self.pending = []

    def take(self, facts: list[Facts]) -> None:
        """Take in what a report carried, or a worker sent."""
        for each in facts:
            self._facts[each["test"], each["path"]] = each

    def note(self, report: pytest.TestReport) -> None:
        """Take in how a test is getting on, and what its report carries."""
        if report.when == "setup":
            self.ran.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
        if report.failed:
            for title, text in report.sections:
                if title.startswith(TRANSCRIPT):
                    self.transcripts[report.nodeid] = text
        self.take(getattr(report, CARRIED, []))

    def end(self, config: pytest.Config) -> None:
        """The run of this process is over: pass on what no report carries."""
        output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        collected = collection_of(config).summary() if self.is_used or output is not None else {}
        if output is not None:
            # What the workers have collected is the same: one of them tells it.
            tells = config.workerinput["workerid"] == "gw0"  # type: ignore[attr-defined]  # of pytest-xdist
            output[CARRIED] = [self.pending, dict(self.counts), collected if tells else {}]
        else:
            self.take(self.pending)
            self.collected = self.collected or collected
        self.pending = []

    @property
    def is_used(self) -> bool:
        return bool(self._facts or self.pending or self.counts)

    def take_from_worker(self, output: Mapping[str, Any]) -> None:
        """Take in what a worker of pytest-xdist sent at its end."""
        if CARRIED in output:
            facts, counts, collected = output[CARRIED]
            self.take(facts)
            self.counts.update(counts)
            self.collected = self.collected or collected


_ledger = pytest.StashKey[Ledger]()


def ledger_of(config: pytest.Config) -> Ledger:
    if _ledger not in config.stash:
        config.stash[_ledger] = Ledger()
    return config.stash[_ledger]
