"""The types of the public API: a program that is written with them passes a strict check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(Path(__file__).parent.glob("*_user.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_passes_a_strict_check(program: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_wrong_program_does_not_pass(tmp_path: Path) -> None:
    """The package says that it has types; without that, nothing would be checked."""
    program = tmp_path / "wrong.py"
    program.write_text("from cassette_http import client\n\nclient.HTTPConnection(80).request('GET')\n")
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert 'Argument 1 to "HTTPConnection" has incompatible type "int"' in done.stdout
    assert 'Missing positional argument "url"' in done.stdout
