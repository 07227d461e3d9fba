"""A project with tests, a server that they ask, and runs of pytest over them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cassette_http import session
from cassette_http.cassette.format import yaml_reading
from cassette_http.plugin import report, summary
from tests.peer import Peer

# What the plugin imports late is imported here: pytester forgets what is imported during its runs, and Python would
# then have these modules, and their classes, twice.
__all__ = ["USE_PLUGIN", "Project", "report", "session", "summary", "yaml_reading"]

ROOT = Path(__file__).parents[2]

USE_PLUGIN = ["-p", "cassette_http.pytest_plugin"]

GET = """\
import urllib.request

def get(path, data=None):
    with urllib.request.urlopen(BASE + path, data, timeout=10) as answer:
        return answer.read().decode()
"""


class Project:
    """A folder with tests that ask one server."""

    def __init__(self, pytester: pytest.Pytester, server: Peer) -> None:
        self.pytester, self.server = pytester, server
        self.path = pytester.path

    def write(self, source: str, name: str = "test_api") -> Path:
        """Write a module of tests; it has BASE, the server's URL, `get(path)`, and pytest if it speaks of that."""
        path = self.path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        imported = "import pytest" if "pytest." in source else ""
        path.write_text(f"BASE = {self.server.url!r}\n{imported}\n{GET}\n{source}\n", encoding="utf-8")
        return path

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process."""
        run = [*USE_PLUGIN, "-p", "no:cacheprovider", *arguments]
        return self.pytester.runpytest_inprocess(*run, no_reraise_ctrlc=True)

    def run_alone(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in a process of its own; what it needs besides is named by `-p`."""
        return self.pytester.run(sys.executable, "-m", "pytest", *USE_PLUGIN, "-p", "no:cacheprovider", *arguments)

    def cassettes(self) -> list[str]:
        """The files below the folder `cassettes`."""
        folder = self.path / "cassettes"
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def record(self, *arguments: str, passed: int = 1) -> None:
        self.run("--cassette-mode=once", *arguments).assert_outcomes(passed=passed)

    def record_then_stop(self, *arguments: str, passed: int = 1) -> None:
        """Record, and let no later run reach the server."""
        self.record(*arguments, passed=passed)
        self.server.stop()
