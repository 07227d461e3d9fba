"""A summary of a run's facts: the same numbers and names for the terminal and for reports in files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cassette_http.cassette.modes import RecordMode, can_play
from cassette_http.plugin.ledger import Facts, Ledger, ledger_of
from cassette_http.plugin.leftovers import Leftover, find_leftovers
from cassette_http.plugin.paths import command_that_records
from cassette_http.plugin.settings import settings


@dataclass(frozen=True)
class Unplayed:
    """Interactions of a cassette that no test of this run asked for: their number, and the first of their lines."""

    path: Path
    count: int
    lines: list[str]
    policies: frozenset[str | None]
    tests: list[str]
    is_own: bool


@dataclass
class Digest:
    """The run in numbers and names."""

    config: pytest.Config
    facts: list[Facts]
    unplayed: list[Unplayed] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)

    @property
    def cassettes(self) -> int:
        return len({each["path"] for each in self.facts})

    @property
    def misses(self) -> list[dict[str, str]]:
        """The first misses of each use; `miss_count` counts all."""
        return [miss for each in self.facts for miss in each["misses"]]

    def total(self, key: str) -> int:
        return sum(each[key] for each in self.facts)

    @property
    def unplayed_count(self) -> int:
        return sum(each.count for each in self.unplayed)

    @property
    def command(self) -> str | None:
        tests = list(dict.fromkeys(miss["test"] for miss in self.misses))
        return command_that_records(self.config, tests) if tests else None


_digest = pytest.StashKey[Digest]()


def digest_of(config: pytest.Config) -> Digest:
    if _digest not in config.stash:
        ledger = ledger_of(config)
        config.stash[_digest] = Digest(config, ledger.facts, _unplayed(ledger), _leftovers(config, ledger))
    return config.stash[_digest]


def _unplayed(ledger: Ledger) -> list[Unplayed]:
    """Check each cassette whose uses all ended well; shared ones count only if no tests were left out."""
    uses: defaultdict[str, list[Facts]] = defaultdict(list)
    for facts in ledger.facts:
        uses[facts["path"]].append(facts)
    found = []
    for path, group in uses.items():
        is_own = all(each["is_own"] for each in group)
        if not is_own and ledger.collected.get("is_chosen", True):
            continue
        if not all(each["is_well"] and can_play(RecordMode(each["mode"])) for each in group):
            continue
        played = {number for each in group for number in each["played"]}
        count = min(each["loaded"] for each in group) - len(played)
        if count <= 0:
            continue
        lines = {int(number): line for each in group for number, line in each["unplayed"].items()}
        shown = [lines[number] for number in sorted(lines) if number not in played]
        policies = frozenset(each["on_unplayed"] for each in group)
        tests = list(dict.fromkeys(each["owner"] for each in group))
        found.append(Unplayed(Path(path), count, shown, policies, tests, is_own))
    return found


def _leftovers(config: pytest.Config, ledger: Ledger) -> list[Leftover]:
    if not ledger.collected or settings(config).get("no_cassette"):
        return []
    used = [(Path(each["path"]), each["owner"]) for each in ledger.facts]
    return find_leftovers(config.rootpath, ledger.collected, used, ledger.ran, ledger.passed)
