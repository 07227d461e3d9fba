"""The command `cassette-http`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cassette_http import __version__
from cassette_http.cli import main


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"cassette-http {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]], ids=" ".join)
def test_help_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert "usage: cassette-http" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "the following arguments are required: COMMAND", id="no command"),
        pytest.param(["demno"], "invalid choice: 'demno'", id="no such command"),
        pytest.param(["demo", "--colour"], "unrecognized arguments: --colour", id="no such option"),
    ],
)
def test_wrong_call_ends_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_cassette_that_cannot_be_written_ends_with_1_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert main(["demo", "--cassette", str(tmp_path / "file" / "demo.yaml")]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("cassette-http: ")
    assert errors.count("\n") == 1


def test_telling_the_version_imports_no_session() -> None:
    code = (
        "import sys\nfrom cassette_http.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "assert 'cassette_http.session' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, cwd=Path(__file__).parents[1])


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way")
def test_reader_that_goes_away_gets_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cassette_http", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, b"")
