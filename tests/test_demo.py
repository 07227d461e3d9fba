"""`cassette-http demo`, as a user sees it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cassette_http import use_cassette
from cassette_http.demo import run_demo

HAS_TERMINALS = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals")
COLOR = re.compile(r"\033\[[0-9;]*m")


def demo_in_a_terminal(cassette: Path, **environment: str) -> str:
    """Run the command with a terminal for its output; returns what it showed."""
    terminal, output = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cassette_http", "demo", "--cassette", cassette.name],
        stdout=output,
        cwd=cassette.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUTF8": "1", **environment},
    )
    os.close(output)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other side has closed
        while octets := os.read(terminal, 65536):
            shown += octets
    os.close(terminal)
    assert process.wait(60) == 0
    return shown.decode()


def test_demo_shows_that_live_and_replay_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo.yaml"
    assert run_demo(str(path)) == 0
    shown = capsys.readouterr().out
    assert "Live and replay agree in every detail." in shown
    assert str(path) in shown
    assert "≠" not in shown
    assert not COLOR.search(shown)
    for saw in ('200 {"welcome": "ada"}', "200 gzip: Ada, Grace, Edsger", "200 chunks of 25, 31, 20", "404"):
        assert shown.count(saw) >= 2


def test_cassette_of_the_demo_holds_all_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    run_demo(str(path))
    assert "0badc0ffee" not in path.read_text()
    with use_cassette(path, "none") as cassette:
        assert [one.request.head.target for one in cassette.interactions if one.request] == [
            "/login", "/me", "/users", "/haiku", "/broken", "/slow", "/users/1", "/nobody",
        ]  # fmt: skip


def test_demo_leaves_a_file_that_exists_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    assert run_demo(str(path)) == 2
    assert capsys.readouterr().err == f"the demo writes a new file, and {path} exists\n"
    assert path.read_text() == "mine"


@HAS_TERMINALS
@pytest.mark.parametrize("columns", [80, 120])
def test_demo_fits_into_the_terminal(columns: int, tmp_path: Path) -> None:
    shown = demo_in_a_terminal(tmp_path / "demo.yaml", COLUMNS=str(columns), NO_COLOR="")
    assert COLOR.search(shown)
    for line in COLOR.sub("", shown).splitlines():
        assert len(line) <= columns


@HAS_TERMINALS
def test_no_color_is_respected(tmp_path: Path) -> None:
    assert not COLOR.search(demo_in_a_terminal(tmp_path / "demo.yaml", NO_COLOR="1"))


def test_demo_does_without_trustme_and_then_without_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)  # as where it is not installed
    assert run_demo(str(tmp_path / "demo.yaml")) == 0
    shown = capsys.readouterr().out
    assert "pip install 'cassette-http[tls]'" in shown
    assert "Live and replay agree in every detail." in shown
