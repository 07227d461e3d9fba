"""What is measured: a table has contestants, and each contestant gives one figure per round."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contestant", "Job", "Skipped", "Table", "cpu_seconds"]


class Skipped(Exception):
    """A contestant cannot take part; the text says why."""


@dataclass(frozen=True)
class Job:
    """What a contestant is told: where the peer listens, and where files may be put that last for the whole run."""

    host: str
    port: int
    tls_port: int
    authority: Path
    folder: Path
    is_quick: bool

    def scaled(self, count: int) -> int:
        """How many to do of `count`: all, or very few if it is only to be seen that the benchmark runs."""
        return max(2, count // 200) if self.is_quick else count

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Contestant:
    """One line of a table. `run` gives the figure, in the unit of the table.

    `prepare` is called once before the first round, in a process of its own. `needs` lists modules that may not be
    installed. A contestant that takes very long has `rounds_at_most`.
    """

    name: str
    run: Callable[[Job], float]
    prepare: Callable[[Job], None] | None = None
    needs: tuple[str, ...] = ()
    rounds_at_most: int | None = None


@dataclass(frozen=True)
class Table:
    """Contestants that do the same work.

    `reference` is the one that the others are compared with. If there is a `baseline`, what is compared is what a
    contestant needs beyond it. `goal` says in a few words what we want to reach.
    """

    name: str
    title: str
    unit: str
    contestants: tuple[Contestant, ...]
    reference: str
    baseline: str | None = None
    goal: str = ""

    def contestant(self, name: str) -> Contestant:
        return next(one for one in self.contestants if one.name == name)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time that this process spends on `work`, in user space and in the kernel."""
    started = time.process_time()
    work()
    return time.process_time() - started
