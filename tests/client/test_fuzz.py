"""The fuzz target holds for its corpus, and for a bounded number of mutations; `python -m fuzz` goes on for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import __main__ as command
from fuzz.target import CORPUS, check, method_of
from tests.client.exchanges import WAYS

FILES = sorted(CORPUS.glob("*.http"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_corpus_holds(path: Path) -> None:
    for way in WAYS:
        for step in (1, 7):
            check(path.read_bytes(), method_of(path), way, step)


def test_mutations_hold() -> None:
    command.fuzz(0, examples=150)


def test_the_command_stops_and_says_what_it_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seconds", "0", "--seed", "1"]) == 0
    assert capsys.readouterr().out == "100 responses, nothing found\n"


def test_a_failure_is_kept_in_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "head-one.http").write_bytes(b"HTTP/1.1 200 OK\r\n\r\n")

    def refuse(octets: bytes, *case: object) -> None:
        assert b"\r\n\r\n" not in octets

    monkeypatch.setattr(command, "check", refuse)
    with pytest.raises(AssertionError):
        command.fuzz(0, corpus=tmp_path)
    (found,) = tmp_path.glob("head-found-*.http")
    assert b"\r\n\r\n" in found.read_bytes()
    assert method_of(found) == "HEAD"
