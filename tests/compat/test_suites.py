"""Suites that were written for pytest-recording and pytest-vcr, run as they are, with the cassettes that VCR.py wrote.

The outcome of each test is that of the plugin that it was written for (`record.py` keeps those in outcomes.json).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.record import PLUGINS, SUITES, outcomes

EXPECTED: dict[str, dict[str, str]] = json.loads((SUITES / "outcomes.json").read_text(encoding="utf-8"))
OTHERS = Path(__file__).parents[2] / ".venv" / "compat" / "bin" / "python"
NO_PORT_IS_OPEN = "localhost:8643"  # nobody listens there: what is not replayed fails


def run(suite: Path, *arguments: str, python: str = sys.executable, **environment: str) -> dict[str, str]:
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-q", "--tb=short", *arguments],
        cwd=suite,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return outcomes(done.stdout) or {"nothing ran": done.stdout + done.stderr}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.yaml")}


@pytest.fixture(params=PLUGINS)
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a suite, away from our own configuration."""
    folder = tmp_path / str(request.param)
    shutil.copytree(SUITES / str(request.param), folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_suite_runs_unchanged_with_the_same_outcome_of_each_test(suite: Path) -> None:
    before = contents(suite)
    assert run(suite, "-p", "cassette_http.pytest_plugin") == EXPECTED[suite.name]
    assert contents(suite) == before


def test_suite_runs_unchanged_after_its_cassettes_were_converted(suite: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "cassette_http", "convert", str(suite)], check=True)
    assert done.returncode == 0
    assert all(octets.startswith(b"cassette: 1\n") for octets in contents(suite).values())
    assert run(suite, "-p", "cassette_http.pytest_plugin") == EXPECTED[suite.name]


@pytest.mark.parametrize("suite", ["issues", "weather"], indirect=True)  # one for each plugin
def test_suite_runs_unchanged_in_two_workers(suite: Path) -> None:
    arguments = ("-p", "xdist", "-n", "2", "-p", "cassette_http.pytest_plugin")
    assert run(suite, *arguments) == EXPECTED[suite.name]


@pytest.mark.skipif(not OTHERS.exists(), reason="the plugins of others are not installed: make compat")
def test_suite_has_these_outcomes_with_the_plugin_that_it_was_written_for(suite: Path) -> None:
    assert run(suite, "-p", PLUGINS[suite.name][0], python=str(OTHERS)) == EXPECTED[suite.name]
