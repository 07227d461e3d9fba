"""What the terminal says about the cassettes of a run, at its end: nothing, if there is nothing to say."""

from __future__ import annotations

import pytest

from cassette_http.plugin.ledger import Ledger, ledger_of

__all__ = ["Summary", "write_summary"]

MOST_LINES = 12


class Summary:
    """The lines to be written. Parts of the plugin add theirs in `pytest_cassette_summary`."""

    def __init__(self, config: pytest.Config, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        self.lines: list[str] = []


def write_summary(terminal: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the summary below a title of its own."""
    summary = Summary(config, ledger_of(config))
    config.hook.pytest_cassette_summary(summary=summary)
    if summary.lines:
        terminal.section("HTTP cassettes", sep="-")
        for line in summary.lines[:MOST_LINES]:
            terminal.line(line)
