"""`freeze_time`: tests that are replayed run at the time of their recording."""

from __future__ import annotations

import re
import time

import pytest

from cassette_http import frozen_time
from tests.plugin.project import Project

# Imported here, as pytester forgets what is imported during its runs.
__all__ = ["frozen_time"]

TESTS = """
import asyncio
import os
import time

def year():
    return time.gmtime().tm_year

@pytest.mark.cassette(freeze_time=True)
def test_frozen():
    get("/a")
    assert year() == int(os.environ["YEAR"])

@pytest.mark.cassette(freeze_time=True)
def test_waits():
    async def wait():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    get("/a")
    with pytest.raises(TimeoutError):
        asyncio.run(wait())

@pytest.mark.cassette
def test_not_frozen():
    get("/a")
    assert year() > 2025

def test_behind():
    assert year() > 2025
"""


def let_time_pass(project: Project) -> None:
    """Make the recordings older than they are."""
    for path in (project.path / "cassettes").rglob("*.yaml"):
        text = re.sub(r"^recorded: .*$", "recorded: 2020-02-29T12:00:00Z", path.read_text(), flags=re.MULTILINE)
        path.write_text(text)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])
def test_marked_test_runs_at_the_time_of_its_recording(
    project: Project, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(TESTS)
    monkeypatch.setenv("YEAR", str(time.gmtime().tm_year))
    project.record_then_stop(passed=4)
    let_time_pass(project)
    monkeypatch.setenv("YEAR", "2020")
    (project.run_alone if workers else project.run)(*workers).assert_outcomes(passed=4)


def test_ini_file_freezes_the_time_of_all_tests(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(TESTS)
    monkeypatch.setenv("YEAR", "2020")
    project.run("--cassette-mode=once")
    let_time_pass(project)
    (project.path / "pytest.ini").write_text("[pytest]\ncassette_freeze_time = true\n")
    project.run("-k", "not_frozen").assert_outcomes(failed=1)


def test_cassette_without_a_time_fails_with_what_to_do(project: Project) -> None:
    project.write("@pytest.mark.cassette(freeze_time=True)\ndef test_a():\n    pass")
    folder = project.path / "cassettes/test_api"
    folder.mkdir(parents=True)
    (folder / "test_a.yaml").write_text("cassette: 1\n---\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_a.yaml, line 1: freeze_time needs the time of recording*"])


def test_missing_library_fails_the_test_with_what_to_install(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassette_http.frozen_time.find_spec", lambda name: None)
    project.write("@pytest.mark.cassette(freeze_time=True)\ndef test_a():\n    pass")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*freeze_time needs the library time-machine*pip install 'cassette-http[[]time[]]'*"])
