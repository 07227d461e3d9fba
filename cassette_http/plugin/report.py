"""What the report of a failed test says about its cassette."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import TracebackType

import pytest

from cassette_http.errors import CassetteError, UnmatchedRequest
from cassette_http.plugin.uses import Use, fail

__all__ = ["add_sections", "failure_of", "hide_our_frames", "repair"]

PACKAGE_FOLDER = str(Path(__file__).parents[1])


def add_sections(use: Use, report: pytest.TestReport) -> None:
    """Add what was refused; the libraries between may have kept the first line of the message only, or none."""
    cassette = use.cassette
    if cassette is not None and cassette.misses and report.when == "call":
        messages = "\n".join(f"{miss.message}\n  (refused at {miss.where})" for miss in cassette.misses)
        report.sections.append(("Captured cassette call", f"{messages}\n{repair(use)}"))


def failure_of(use: Use, error: CassetteError) -> BaseException:
    """Make the failure of a test, or a fixture, that could not leave its cassette well."""
    return fail(f"{error}\n{repair(use)}" if isinstance(error, UnmatchedRequest) else error)


def repair(use: Use) -> str:
    """The command that records what was missing."""
    mode = "new_episodes" if use.cassette else "once"
    return f"  to record it: pytest {shlex.quote(use.owner)} --cassette-mode={mode}"


def hide_our_frames(error: BaseException | None) -> None:
    """Let the traceback of a refusal end where a library, or the test itself, called a socket."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, UnmatchedRequest):
            last = _last_foreign(error.__traceback__)
            if last is not None:
                last.tb_next = None
        error = error.__cause__ or error.__context__


def _last_foreign(traceback: TracebackType | None) -> TracebackType | None:
    last = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
            last = traceback
        traceback = traceback.tb_next
    return last
