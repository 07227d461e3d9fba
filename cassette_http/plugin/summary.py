"""The summary about cassettes at the end of a run; empty if there is nothing to report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import pytest

from cassette_http.plugin.digest import Digest, digest_of
from cassette_http.plugin.ledger import Ledger, ledger_of
from cassette_http.plugin.leftovers import ORPHANED, STALE
from cassette_http.plugin.paths import shown_path, shown_test
from cassette_http.plugin.report_files import write_report
from cassette_http.plugin.settings import settings
from cassette_http.wording import counted

# Including the title.
MOST_LINES = 12
WIDTH = 9


class Summary:
    """The lines to write before pytest's own last line.

    Parts of the plugin add theirs in `pytest_cassette_summary`, and may set another repair `command`.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.ledger: Ledger = ledger_of(config)
        self.digest: Digest = digest_of(config)
        self.command = self.digest.command
        self.lines: list[str] = []

    def add(self, what: str, items: Sequence[str], most: int = 1, count: int | None = None) -> None:
        """Add a line for each of the first items; the last line says how many are left out."""
        left_out = (len(items) if count is None else count) - most
        for number, item in enumerate(items[:most], 1):
            more = f" (and {left_out} more)" if number == most and left_out > 0 else ""
            self.lines.append(f"{what:{WIDTH}} {item}{more}")


def end_run(session: pytest.Session) -> None:
    """Write the report files, and judge cassettes that several tests share, which is only possible now."""
    config = session.config
    unplayed = digest_of(config).unplayed
    if session.exitstatus == pytest.ExitCode.OK and any(
        "fail" in each.policies and not each.is_own for each in unplayed
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    for word in settings(config).get("report") or ():
        kind, _, file = word.partition(":")
        if file:
            try:
                write_report(config, kind, config.invocation_params.dir / file)
            except OSError as error:
                # An exception here would suppress pytest's own output.
                print(f"ERROR: the report {file} cannot be written: {error.strerror}", file=sys.stderr)
                session.exitstatus = pytest.ExitCode.USAGE_ERROR


def write_summary(terminal: pytest.TerminalReporter, config: pytest.Config) -> None:
    summary = Summary(config)
    _add_lines(summary)
    config.hook.pytest_cassette_summary(summary=summary)
    is_asked_for = "term" in (settings(config).get("report") or ())
    digest = summary.digest
    if not (summary.lines or digest.total("recorded") or digest.total("connects") or is_asked_for):
        return
    lines = [_numbers(digest), *summary.lines]
    if summary.command is not None:
        lines = [*lines[: MOST_LINES - 2], f"{'repair':{WIDTH}} {summary.command}"]
    terminal.section("HTTP cassettes", sep="-", red=bool(digest.misses))
    for line in lines[: MOST_LINES - 1]:
        terminal.line(line)


def _numbers(digest: Digest) -> str:
    parts = [
        counted(digest.cassettes, "cassette"),
        f"{counted(digest.total('plays'), 'interaction')} played",
        f"{digest.unplayed_count} unplayed",
        f"{digest.total('recorded')} recorded",
        counted(digest.total("miss_count"), "miss"),
        counted(digest.total("connects"), "live connection"),
    ]
    return ", ".join(parts)


def _add_lines(summary: Summary) -> None:
    config, digest = summary.config, summary.digest
    missed = [f"{miss['reason']} ({miss['at']})" for miss in digest.misses]
    summary.add("missed", missed, 3, digest.total("miss_count"))
    shown = [each for each in digest.unplayed if "ignore" not in each.policies]
    summary.add(
        "unplayed",
        [f"{shown_path(config, each.path)}: {_some(each.lines, each.count)}" for each in shown],
        2,
    )
    connections = [connection for each in digest.facts for connection in each["connections"]]
    summary.add("live", connections, 1, digest.total("connects"))
    for kind, why in ((STALE, "passes without it"), (ORPHANED, "does not exist any more")):
        found = [each for each in digest.leftovers if each.kind == kind]
        summary.add(
            kind, [f"{shown_path(config, each.path)}: {shown_test(config, each.test)} {why}" for each in found], 2
        )


def _some(lines: Iterable[str], count: int) -> str:
    shown = list(lines)[:2]
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    return ", ".join(shown) + more
