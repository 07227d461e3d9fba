"""Rounds: each contestant of a table in turn, each time in a new process, so that none profits from another."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.tables import Contestant, Job, Table

__all__ = ["Result", "run_table"]

ROOT = Path(__file__).parent.parent
ROUND_LIMIT_S = 600


@dataclass
class Result:
    """The figures of one contestant, one for each round; `note` says why there are none."""

    contestant: str
    figures: list[float] = field(default_factory=list)
    note: str = ""
    has_failed: bool = False

    @property
    def minimum(self) -> float:
        return min(self.figures)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)


def run_table(table: Table, job: Job, rounds: int, tell: Callable[[str], None]) -> list[Result]:
    """Run all rounds of a table; `tell` is told what is being done."""
    results = {one.name: Result(one.name, note=_what_is_missing(one)) for one in table.contestants}
    able = [one for one in table.contestants if not results[one.name].note]
    if job.is_quick:
        # The figures mean nothing, so one process will do for all.
        tell(table.name)
        _run(table, [results[one.name] for one in able], job, "both")
        return list(results.values())
    for one in able:
        if one.prepare is not None:
            tell(f"{table.name}: preparing {one.name}")
            _run(table, [results[one.name]], job, "prepare")
    for number in range(rounds):
        for one in able:
            result = results[one.name]
            if not result.note and number < (one.rounds_at_most or rounds):
                tell(f"{table.name}: round {number + 1} of {rounds}, {one.name}")
                _run(table, [result], job, "round")
    return list(results.values())


def _what_is_missing(contestant: Contestant) -> str:
    missing = [name for name in contestant.needs if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _run(table: Table, results: list[Result], job: Job, step: str) -> None:
    """Have a process do the `step` for the contestants of these results, and note in them what it says."""
    told = {"table": table.name, "contestants": [one.contestant for one in results], "job": vars(job), "step": step}
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(told, default=str)]
    failure = ""
    replies: dict[str, dict[str, Any]] = {}
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=ROUND_LIMIT_S)
    except subprocess.TimeoutExpired:
        failure = f"took longer than {ROUND_LIMIT_S} s"
    else:
        if done.returncode:
            last_lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            failure = f"failed: {''.join(last_lines)[:200]}"
        else:
            replies = json.loads(done.stdout.splitlines()[-1])
    for result in results:
        reply = replies.get(result.contestant, {})
        result.has_failed = bool(failure)
        result.note = failure or reply.get("note", "")
        if "figure" in reply:
            result.figures.append(reply["figure"])
