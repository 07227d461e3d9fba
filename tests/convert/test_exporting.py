"""Cassettes of ours for the tools of others: what they can hold comes back as it was."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cassette_http import use_cassette
from cassette_http.cli import main
from tests.asking import get
from tests.convert.server import ASKED, BASE, asked_of
from tests.convert.test_converting import answering_new
from tests.convert.test_foreign_replay import FOLDER, OBSERVED, meaning, replayed, without
from tests.peer import Connection, Peer

SOURCE = FOLDER / "vcr_http_client.yaml"  # it has the octets as they came
OTHERS = Path(__file__).parents[2] / ".venv" / "compat" / "bin" / "python"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A cassette of ours with all that was asked of the server."""
    assert main(["convert", str(SOURCE), "--to", str(tmp_path / "ours")]) == 0
    return tmp_path / "ours" / SOURCE.name


@pytest.mark.parametrize("name", ["har", "vcr"])
@pytest.mark.parametrize("client", ["requests", "httpx"])
def test_what_is_exported_replays_as_it_did(name: str, client: str, ours: Path, tmp_path: Path) -> None:
    exported = tmp_path / SOURCE.name
    assert main(["export", str(ours), "--to", name, "-o", str(exported)]) == 0
    live = [OBSERVED[f"live {client}"]["answers"][at] for at in asked_of(SOURCE.name)]
    hidden = {"content-encoding", "transfer-encoding", "content-length", "set-cookie"}
    for at, answer, expected in zip(asked_of(SOURCE.name), replayed(exported, client), live, strict=True):
        assert without(meaning(answer), hidden) == without(meaning(expected), hidden), ASKED[at]


def test_archive_has_what_the_format_asks_for(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["export", str(ours), "--to", "har"]) == 0
    log = json.loads(capsys.readouterr().out)["log"]
    assert (log["version"], log["creator"]["name"], len(log["entries"])) == ("1.2", "cassette-http", 19)
    for entry in log["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= entry.keys()
        assert {"method", "url", "httpVersion", "cookies", "headers", "queryString"} <= entry["request"].keys()
        assert {"status", "statusText", "headers", "content", "redirectURL", "bodySize"} <= entry["response"].keys()
    latin = next(entry for entry in log["entries"] if entry["request"]["url"].endswith("/latin"))
    assert latin["response"]["content"]["encoding"] == "base64"


def test_cassette_for_vcrpy_has_its_shape(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["export", str(ours), "--to", "vcr"]) == 0
    cassette = yaml.safe_load(capsys.readouterr().out)
    assert cassette.keys() == {"interactions", "version"}
    first = cassette["interactions"][0]
    assert first["request"]["uri"] == f"{BASE}/json"
    assert first["response"]["status"] == {"code": 200, "message": "OK"}
    assert first["response"]["headers"]["Content-Type"] == ["application/json"]


@pytest.mark.skipif(not OTHERS.exists(), reason="VCR.py is not installed: make compat")
def test_vcrpy_replays_what_was_exported_for_it(ours: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported.yaml"
    assert main(["export", str(ours), "--to", "vcr", "-o", str(exported)]) == 0
    program = (
        "import json, sys, vcr\n"
        "from tests.convert.asking import CLIENTS\nfrom tests.convert.server import ASKED, BASE\n"
        "with vcr.use_cassette(sys.argv[1], record_mode='none'):\n"
        "    print(json.dumps([CLIENTS['requests'](m, BASE + t, f, b) for m, t, f, b in ASKED]))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [str(OTHERS), "-c", program, str(exported)], cwd=root, capture_output=True, text=True, check=True
    )
    hidden = {"content-encoding", "transfer-encoding", "content-length", "set-cookie"}
    answers = json.loads(done.stdout)
    for answer, expected in zip(answers, OBSERVED["live requests"]["answers"], strict=True):
        assert without(meaning(answer), hidden) == without(meaning(expected), hidden)


def test_failures_are_told_as_lost(
    tmp_path: Path, peer: Callable[..., Peer], capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    path = tmp_path / "failures.yaml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with use_cassette(path):
        for url in (peer(cut).url, f"http://127.0.0.1:{port}/"):
            with pytest.raises(Exception, match=r"IncompleteRead|refused"):
                get(url)
        get(peer(answering_new).url)
    capsys.readouterr()
    assert main(["export", str(path), "--to", "har"]) == 0
    output = capsys.readouterr()
    assert len(json.loads(output.out)["log"]["entries"]) == 2
    assert output.err == (
        "cassette-http: interactions without the failure that they ended with: 1\n"
        "cassette-http: interactions left out, as there was no response: 1\n"
    )


def test_secrets_are_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(SOURCE.read_text().replace("headers: {}", "headers: {Authorization: [Bearer s3cr3tT0ken99]}", 1))
    assert "s3cr3tT0ken99" in old.read_text()
    assert main(["export", str(old), "--to", "vcr"]) == 0
    assert "s3cr3tT0ken99" not in capsys.readouterr().out


def test_file_that_is_there_is_not_overwritten(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ours.read_bytes()
    assert main(["export", str(ours), "--to", "har", "-o", str(ours)]) == 1
    assert "cannot be written: File exists" in capsys.readouterr().err
    assert ours.read_bytes() == before


WITH_LITTLE_ROOM = """
import resource, sys
from cassette_http.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_export_that_finds_no_room_leaves_no_part_of_a_file(ours: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    command = ["export", str(ours), "--to", "har", "-o", str(tmp_path / "new.har")]
    program = [sys.executable, "-c", WITH_LITTLE_ROOM, *command]
    ended = subprocess.run(program, capture_output=True, cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert ended.returncode == 1
    assert b"new.har' cannot be written: File too large" in ended.stderr
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("arguments", [["nothing.yaml", "--to", "har"], [sys.executable, "--to", "vcr"]])
def test_what_is_no_cassette_is_not_exported(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 1
    assert capsys.readouterr().err.startswith("cassette-http: ")
