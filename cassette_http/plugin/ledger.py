"""What the uses of cassettes left behind, from all processes of a run, for its reports.

Each use gives *facts*, a dictionary of what JSON knows. They travel with the report of the test that ran last, as
pytest-xdist passes on reports as they come: a worker that crashes takes no facts of other tests with it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import pytest

__all__ = ["Facts", "Ledger", "ledger_of"]

Facts: TypeAlias = dict[str, Any]

# The attribute of a report, and the key of what a worker sends at its end.
CARRIED = "cassette_http"


class Ledger:
    """Collects facts. `pending` are those of this process that no report carries yet, `facts` those of the whole run.

    `counts` are numbers that parts of the plugin keep; those of all processes are added up.
    """

    def __init__(self) -> None:
        self.pending: list[Facts] = []
        self.counts: Counter[str] = Counter()
        self._facts: dict[tuple[str, str], Facts] = {}

    @property
    def facts(self) -> list[Facts]:
        """The facts of each use; of a test that ran several times, those of the last."""
        return list(self._facts.values())

    def give_to(self, report: pytest.TestReport) -> None:
        """Let `report` carry what is pending."""
        if self.pending:
            setattr(report, CARRIED, self.pending)
            self.pending = []

    def take(self, facts: list[Facts]) -> None:
        """Take in what a report carried, or a worker sent."""
        for each in facts:
            self._facts[each["owner"], each["path"]] = each

    def end(self, config: pytest.Config) -> None:
        """The run of this process is over: pass on what no report carries."""
        output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        if output is not None:
            output[CARRIED] = [self.pending, dict(self.counts)]
        else:
            self.take(self.pending)
        self.pending = []


_ledger = pytest.StashKey[Ledger]()


def ledger_of(config: pytest.Config) -> Ledger:
    """The ledger of this process."""
    return config.stash.setdefault(_ledger, Ledger())


def take_from_report(config: pytest.Config, report: pytest.TestReport) -> None:
    """Take in what a report carries, on the process that all reports reach."""
    carried = getattr(report, CARRIED, None)
    if carried is not None:
        ledger_of(config).take(carried)


def take_from_worker(config: pytest.Config, output: dict[str, Any]) -> None:
    """Take in what a worker of pytest-xdist sent at its end."""
    if CARRIED in output:
        facts, counts = output[CARRIED]
        ledger_of(config).take(facts)
        ledger_of(config).counts.update(counts)
