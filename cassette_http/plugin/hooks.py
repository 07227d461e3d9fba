"""The hooks that the plugin calls; its own parts implement them, and a conftest.py can too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cassette_http.plugin.summary import Summary
    from cassette_http.plugin.uses import Use


def pytest_cassette_opening(use: Use) -> None:
    """A cassette is about to be opened: `use.path` and `use.options` may be changed."""


def pytest_cassette_opened(use: Use) -> None:
    """A cassette is now in use: `use.cassette` is set."""


def pytest_cassette_closing(use: Use) -> None:
    """A cassette is about to be left; `use.failure` is how the test failed, None if it passed."""


def pytest_cassette_closed(use: Use) -> None:
    """A cassette was left, and its file is final; `use.facts` go into the reports of the run."""


def pytest_cassette_summary(summary: Summary) -> None:
    """The run is over: lines may be added for the terminal, for example from `summary.ledger`."""
