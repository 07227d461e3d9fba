"""The benchmarks run. What they measure is for `make bench`: a test that depends on time is not one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUPS = ("client", "replay", "recording", "import", "pytest")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="CPU time of other processes is not known")


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def tables_listed() -> list[str]:
    return [line.split()[0] for line in run_benchmarks("--list").stdout.splitlines()]


def test_every_table_belongs_to_a_group() -> None:
    assert {name.partition("-")[0] for name in tables_listed()} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_contestant_that_is_installed_runs(group: str, tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    done = run_benchmarks("--quick", "--json", str(written), group)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = json.loads(written.read_text())
    assert [table["table"] for table in tables] == [name for name in tables_listed() if name.startswith(group)]
    for table in tables:
        assert f"{table['table']}: {table['title']}" in done.stdout
        for result in table["results"]:
            is_skipped = result["note"].startswith(("not installed: ", "needs trustme", "not known", "cannot load it"))
            assert is_skipped or len(result["figures"]) == 1, result


def test_unknown_table_is_an_error() -> None:
    done = run_benchmarks("no-such-table")
    assert done.returncode == 2
    assert "there is no table 'no-such-table'; see --list" in done.stderr
