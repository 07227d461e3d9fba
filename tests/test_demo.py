"""`cassette-http demo`, as a user sees it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cassette_http import use_cassette
from cassette_http.demo import run_demo


def test_demo_shows_that_live_and_replay_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo.yaml"
    assert run_demo(str(path)) == 0
    shown = capsys.readouterr().out
    assert "Live and replay agree in every detail." in shown
    assert str(path) in shown
    assert "≠" not in shown
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


@pytest.mark.parametrize("columns", [80, 120])
def test_demo_fits_into_the_terminal(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    assert run_demo("demo.yaml") == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns


def test_demo_does_without_trustme_and_then_without_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)  # as where it is not installed
    assert run_demo(str(tmp_path / "demo.yaml")) == 0
    shown = capsys.readouterr().out
    assert "pip install 'cassette-http[tls]'" in shown
    assert "Live and replay agree in every detail." in shown
