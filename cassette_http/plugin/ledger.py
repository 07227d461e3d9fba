"""The facts about all uses of cassettes in a run, from all its processes, for the reports.

*Facts* are a dictionary of JSON values for each use. They travel with the report of the test that ran last, because
pytest-xdist passes on reports at once: if a worker crashes, the facts of other tests are not lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from cassette_http.plugin.collection import collection_of

Facts: TypeAlias = dict[str, Any]
"""Of one use: its `owner` (a test, or "file::fixture"), the cassette's `path` and `mode`.

`test` is the owner too, but differs for each repetition by pytest-repeat.

`is_own`: the cassette is named after the test; `is_well`: the use ended well. `loaded` is the number of interactions
in the file; those in `played` (numbers) answered `plays` requests, and those in `unplayed` (number: line, the first
of them) none; `on_unplayed` is the policy for that. Numbers of interactions that were `recorded`, and of `connects`;
the first `connections`. `miss_count` requests were refused; the first `misses` have `reason`, `at` (the line of the
program), `text`, and the `test` to run in order to record them.
"""

# The titles of the report sections with HTTP traffic begin like this.
TRANSCRIPT = "HTTP transcript"

# The attribute of a report, and the key in the final data of a worker.
CARRIED = "cassette_http"


class Ledger:
    """Collects facts. `pending` are those of this process that are not in a report yet, `facts` those of the whole run.

    `counts` are numbers of parts of the plugin; those of all processes are added up.
    """

    def __init__(self) -> None:
        self.pending: list[Facts] = []
        self.counts: Counter[str] = Counter()
        self.collected: dict[str, Any] = {}
        """The result of `Collection.summary`; the same in all processes."""
        self.ran: set[str] = set()
        self.passed: set[str] = set()
        self.transcripts: dict[str, str] = {}
        """The transcripts of failed tests, by their ids."""
        self._facts: dict[tuple[str, str], Facts] = {}

    @property
    def facts(self) -> list[Facts]:
        """The facts of each use; if a test ran several times, those of the last run."""
        return list(self._facts.values())

    def give_to(self, report: pytest.TestReport) -> None:
        if self.pending:
            setattr(report, CARRIED, self.pending)
            self.pending = []

    def take(self, facts: list[Facts]) -> None:
        """Add facts from a report or a worker."""
        for each in facts:
            self._facts[each["test"], each["path"]] = each

    def note(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test phase, and take the facts in its report."""
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
        """The run of this process is over: pass on what is in no report."""
        output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        collected = collection_of(config).summary() if self.is_used or output is not None else {}
        if output is not None:
            # All workers have collected the same, so one of them reports it.
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
        """Take the final data of a worker of pytest-xdist."""
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
