"""`--cassette-prune` shows what no test needs any more, and removes it with `=apply`.

Only what this run can prove is considered: cassettes whose tests all ran and passed, and files whose header names a
test that does not exist any more, or does not use them. Nothing else is ever removed.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cassette_http.cassette.settling import without
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteError
from cassette_http.plugin.digest import Unplayed, digest_of
from cassette_http.plugin.ledger import Ledger, ledger_of
from cassette_http.plugin.leftovers import ORPHANED, Leftover, test_in_head
from cassette_http.plugin.paths import shown_path, shown_test
from cassette_http.plugin.settings import settings
from cassette_http.wording import counted


@dataclass
class _Plan:
    """What to remove: interactions by their numbers, and whole files. `errors` are about what was not removed."""

    interactions: list[tuple[Unplayed, set[int], int]]
    files: list[Leftover]
    errors: list[str]


_plan = pytest.StashKey[_Plan]()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Runs last, when all facts are in the ledger. Workers of pytest-xdist do nothing."""
    yield
    config = session.config
    if hasattr(config, "workerinput") or config.getoption("collectonly", False):
        return
    plan = config.stash[_plan] = _make_plan(config)
    if settings(config).get("prune") == "apply":
        _apply(plan)


def _make_plan(config: pytest.Config) -> _Plan:
    ledger, digest = ledger_of(config), digest_of(config)
    is_whole = _is_whole(config, ledger)
    interactions = []
    for unplayed in digest.unplayed:
        uses = [each for each in ledger.facts if Path(each["path"]) == unplayed.path]
        is_own = unplayed.is_own and test_in_head(unplayed.path) in unplayed.tests
        if (is_own or is_whole) and not any(each["recorded"] for each in uses):
            loaded = min(each["loaded"] for each in uses)
            played = {number for each in uses for number in each["played"]}
            interactions.append((unplayed, set(range(1, loaded + 1)) - played, loaded))
    files = [leftover for leftover in digest.leftovers if _have_passed(ledger, leftover.test.partition("::")[0])]
    return _Plan(interactions, files, [])


def _have_passed(ledger: Ledger, module: str) -> bool:
    """Tell whether all tests of a module ran and passed; if it does not exist, all tests of all modules."""
    names = ledger.collected.get("names", {})
    modules = [module] if module in names else names
    return {f"{each}::{name}" for each in modules for name in names[each]} <= ledger.passed


def _is_whole(config: pytest.Config, ledger: Ledger) -> bool:
    """Tell whether all tests of the project ran and passed: any of them may use a cassette named by a marker."""
    is_everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS or any(
        config.rootpath.is_relative_to((config.invocation_params.dir / argument).resolve()) for argument in config.args
    )
    return is_everything and not ledger.collected.get("is_chosen", True) and _have_passed(ledger, "")


def _apply(plan: _Plan) -> None:
    for unplayed, numbers, count in plan.interactions:
        try:
            _remove(unplayed.path, numbers, count)
        except CassetteError as error:
            plan.errors.append(str(error))
    for leftover in plan.files:
        try:
            leftover.path.unlink()
        except OSError as error:
            plan.errors.append(f"{leftover.path} cannot be removed: {error.strerror}")


def _remove(path: Path, numbers: set[int], count: int) -> None:
    Store(path, rewrite=True, settle=lambda old, new: without(old, str(path), numbers, count)).save()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _plan not in config.stash:
        return
    plan = config.stash[_plan]
    is_done = settings(config).get("prune") == "apply"
    terminalreporter.section("removed from cassettes" if is_done else "to be removed from cassettes", sep="-")
    for line in _lines(config, plan):
        terminalreporter.line(line)
    if not (plan.interactions or plan.files):
        terminalreporter.line("nothing: all that was judged is needed")
    elif not is_done:
        terminalreporter.line("to remove it: --cassette-prune=apply")
    if ledger_of(config).collected.get("is_chosen", True):
        terminalreporter.line("tests were left out: cassettes that several tests share, and files, were not judged")


def _lines(config: pytest.Config, plan: _Plan) -> Generator[str, None, None]:
    for unplayed, numbers, count in plan.interactions:
        share = f"{len(numbers)} of {counted(count, 'interaction')}"
        yield f"{shown_path(config, unplayed.path)}: {share}, which no test asks for"
        yield from (f"  {line}" for line in unplayed.lines)
        if len(numbers) > len(unplayed.lines):
            yield f"  and {len(numbers) - len(unplayed.lines)} more"
    for leftover in plan.files:
        why = "does not exist any more" if leftover.kind == ORPHANED else "does without it"
        yield f"{shown_path(config, leftover.path)}: the file, as {shown_test(config, leftover.test)} {why}"
    yield from plan.errors
