"""A foreign cassette becomes one of ours: by the command, and by the next recording. Nothing of it is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cassette_http import CassetteFormatError, use_cassette
from cassette_http.cassette.files import Files
from cassette_http.cassette.store import Store
from cassette_http.cli import main
from cassette_http.convert.formats import read_foreign
from tests.asking import get
from tests.convert.test_foreign_reading import RECORDED, vcr_yaml
from tests.peer import Peer, keep_alive, response

OLD = vcr_yaml("{uri: 'http://old.test/?access_token=s3cr3tT0ken99', headers: {Authorization: Bearer s3cr3tT0ken99}}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_bytes(OLD)
    return path


answering_new = keep_alive(lambda request: response(b"new"))


@pytest.mark.parametrize("mode", ["new_episodes", "all"])
def test_next_recording_keeps_what_was_there_and_takes_secrets_out(
    mode: str, path: Path, peer: Callable[..., Peer]
) -> None:
    url = peer(answering_new).url
    with use_cassette(path, mode):
        assert get(f"{url}/more") == "new"
        assert path.read_bytes().startswith(b"cassette: 1\n"), "it is in the file before the block ends"
    assert b"s3cr3tT0ken99" not in path.read_bytes()
    assert [one.name for one in path.parent.iterdir()] == ["old.yaml"]
    with use_cassette(path, "none"):
        assert get("http://old.test/?access_token=another") == "x"
        assert get(f"{url}/more") == "new"


@pytest.mark.parametrize("way", ["as it is", "converted", "recorded to"])
def test_body_that_no_document_can_hold_is_played(way: str, path: Path, peer: Callable[..., Peer]) -> None:
    large = "large body" * 1_700_000
    path.write_bytes(OLD.replace(b"{string: x}", f"{{string: '{large}'}}".encode()))
    assert len(path.read_bytes()) > len(large)
    if way == "converted":
        assert main(["convert", str(path)]) == 0
    elif way == "recorded to":
        url = peer(answering_new).url
        with use_cassette(path, "new_episodes"):
            get(url)
    with use_cassette(path, "none"):
        assert get("http://old.test/?access_token=another") == large
    assert (path.parent / "blobs").exists() == (way != "as it is")


def test_rewrite_replaces_it_on_success_only(path: Path, peer: Callable[..., Peer]) -> None:
    url = peer(answering_new).url

    @use_cassette(path, "rewrite")
    def fails() -> None:
        get(f"{url}/more")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_bytes() == OLD
    with use_cassette(path, "rewrite"):
        get(f"{url}/more")
    with use_cassette(path, "none") as cassette:
        assert len(cassette) == 1


@pytest.mark.parametrize("mode", ["none", "once", "new_episodes"])
def test_replay_does_not_change_it(mode: str, path: Path) -> None:
    with use_cassette(path, mode):
        assert get("http://old.test/?access_token=s3cr3tT0ken99") == "x"
    assert path.read_bytes() == OLD


def test_empty_one_is_recorded_again(path: Path, peer: Callable[..., Peer]) -> None:
    path.write_bytes(b"interactions: []\nversion: 1\n")
    url = peer(answering_new).url
    with use_cassette(path, "once"):
        get(f"{url}/more")
    with use_cassette(path, "none"):
        assert get(f"{url}/more") == "new"


def test_two_stores_that_adopt_one_file_lose_nothing(path: Path) -> None:
    document = b"request: GET http://new.test/\nresponse: 200 OK\n"
    stores = [Store(path) for _ in range(4)]
    for store in stores:
        store.adopt(lambda data: [b"cassette: 1\n", b"request: GET http://old.test/\nresponse: 200 OK\n"])
    threads = [threading.Thread(target=store.append, args=(document,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.commit()
    urls = [line for line in path.read_text().splitlines() if line.startswith("request:")]
    assert urls == ["request: GET http://old.test/"] + ["request: GET http://new.test/"] * 4


def test_recording_that_fails_leaves_the_foreign_file(path: Path) -> None:
    store = Store(path)

    def fails(_: bytes) -> list[bytes]:
        raise CassetteFormatError("old.yaml", 1, "changed in the meantime")

    store.adopt(fails)
    with pytest.raises(CassetteFormatError):
        store.append(b"request: GET http://new.test/\nresponse: 200 OK\n")
    store.discard()
    assert path.read_bytes() == OLD
    assert [one.name for one in path.parent.iterdir()] == ["old.yaml"]


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("name", "data", "recorded"),
    [
        pytest.param("old.yaml", vcr_yaml(), None, id="nobody says"),
        pytest.param(
            "old.yaml",
            vcr_yaml("", "{headers: {Date: ['Thu, 26 Nov 2026 08:00:05 GMT']}}"),
            "2026-11-26T08:00:05Z",
            id="the server",
        ),
        pytest.param("old.json", (RECORDED / "betamax.json").read_bytes(), "2026-11-26T", id="Betamax"),
        pytest.param("old.yaml", (RECORDED / "cassetter_httpx.yaml").read_bytes(), "2026-11-26T", id="cassetter"),
        pytest.param("old.har", (RECORDED / "browser.har").read_bytes(), "2026-11-20T10:00:00Z", id="HAR"),
    ],
)
def test_time_of_recording_is_kept_as_far_as_it_is_told(
    name: str, data: bytes, recorded: str | None, tmp_path: Path
) -> None:
    source = tmp_path / name
    source.write_bytes(data)
    assert main(["convert", str(source), "--to", str(tmp_path / "new")]) == 0
    text = (tmp_path / "new" / "old.yaml").read_text(encoding="utf-8")
    assert ("\nrecorded: " in text) == (recorded is not None)
    assert recorded is None or f"\nrecorded: {recorded}" in text


def test_clock_can_be_set_to_the_recording(tmp_path: Path) -> None:
    pytest.importorskip("time_machine")
    source = tmp_path / "old.yaml"
    source.write_bytes(vcr_yaml("", "{headers: {Date: ['Thu, 26 Nov 2020 08:00:05 GMT']}}"))
    with use_cassette(source, "none", freeze_time=True):
        get("http://a.test/")
        assert time.gmtime().tm_year == 2020


# ---------------------------------------------------------------------- secrets


def test_check_finds_secrets_in_foreign_cassettes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path.parent / "clean.yaml").write_bytes(vcr_yaml())
    for source in (path.parent, path):
        assert main(["check", str(source)]) == 4
        output = capsys.readouterr()
        assert output.out == (
            f"{path}:2: request: GET http://old.test/?access_token={{{{secret:1}}}}\n"
            f"{path}:2: Authorization: Bearer {{{{secret:1}}}}\n"
        )
        assert "cassette-http convert PATH" in output.err
    assert path.read_bytes() == OLD
    assert main(["convert", str(path)]) == 0
    assert main(["check", str(path.parent)]) == 0


# ---------------------------------------------------------------------- the command


def test_command_converts_in_place_and_takes_secrets_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"{path}: 1 interaction of VCR.py, 1 of them redacted\n1 cassette converted: 1 interaction\n"
    )
    assert path.read_bytes().startswith(b"cassette: 1\nby: ")
    assert b"s3cr3tT0ken99" not in path.read_bytes()
    with use_cassette(path, "none"):
        assert get("http://old.test/?access_token=another") == "x"


@pytest.mark.parametrize("cassette", sorted(one.name for one in RECORDED.iterdir() if one.name != "observed.json"))
def test_command_keeps_every_interaction(cassette: str, tmp_path: Path) -> None:
    source = RECORDED / cassette
    before = source.read_bytes()
    assert main(["convert", str(source), "--to", str(tmp_path)]) == 0
    assert source.read_bytes() == before
    (target,) = tmp_path.iterdir()
    assert target.name == Path(cassette).with_suffix(".yaml").name
    expected = read_foreign(before, cassette).interactions
    with use_cassette(target, "none") as converted:
        assert len(converted) == len(expected)
        for ours, theirs in zip(converted.interactions, expected, strict=True):
            assert ours.repeat == theirs.repeat
            assert ours.request is not None
            assert theirs.request is not None
            assert ours.request.url == theirs.request.url
            if b"Set-Cookie" not in theirs.track.octets:
                assert ours == theirs


def test_command_converts_a_folder_with_its_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cassettes = tmp_path / "cassettes"
    (cassettes / "test_a").mkdir(parents=True)
    (cassettes / "test_a" / "test_one.yaml").write_bytes(OLD)
    (cassettes / "test_a" / "ours.yaml").write_bytes(b"cassette: 1\n---\n")
    (cassettes / "package.json").write_text('{"name": "x", "entries": []}')
    (cassettes / "settings.json").write_text('{"entries": [1],} // no JSON at all')
    (cassettes / "api.yaml").write_text("openapi: 3.1.0\nresponses:\n  NotFound: {}\n")
    (cassettes / "archive.har").write_bytes((RECORDED / "browser.har").read_bytes())
    assert main(["convert", str(cassettes), "--to", str(tmp_path / "new")]) == 0
    made = sorted(str(one.relative_to(tmp_path / "new")) for one in (tmp_path / "new").rglob("*.yaml"))
    assert made == ["archive.yaml", "test_a/test_one.yaml"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{cassettes / 'archive.har'} -> {tmp_path / 'new' / 'archive.yaml'}: 3 interactions of HAR"
    assert "  entry 4: left out: a URL of the scheme 'wss', which is not HTTP" in out
    assert out[-1] == "2 cassettes converted: 4 interactions, 3 entries left out"


def test_commands_find_cassettes_without_a_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "top_catalog").write_bytes(OLD)
    (tmp_path / "Makefile").write_text("all:\n\techo interactions: none\n")
    (tmp_path / "large").write_bytes(b"\0" * 5000 + OLD)
    assert main(["check", str(tmp_path)]) == 4
    assert f"{tmp_path / 'top_catalog'}:" in capsys.readouterr().out
    assert main(["convert", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "large", "top_catalog"]
    assert capsys.readouterr().out.endswith("1 cassette converted: 1 interaction\n")
    with use_cassette(tmp_path / "top_catalog", "none"):
        get("http://old.test/?access_token=x")
    (tmp_path / "ours").write_bytes(
        (tmp_path / "top_catalog").read_bytes().replace(b"Bearer {{secret:1}}", b"Bearer a1b2c3d4")
    )
    assert main(["check", str(tmp_path)]) == 4


def test_command_says_that_there_is_nothing_to_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ours.yaml").write_bytes(b"cassette: 1\n---\n")
    assert main(["convert", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", f"there are no cassettes of other recorders in {tmp_path}\n")


def test_command_continues_after_a_file_that_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken, good = tmp_path / "a.yaml", tmp_path / "b.yaml"
    broken.write_bytes(b"interactions:\n- request: {}\n")
    good.write_bytes(OLD)
    assert main(["convert", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert "a.yaml, line 2: interaction 1 of VCR.py: 'response' is missing" in output.err
    assert output.out.endswith("1 cassette converted: 1 interaction; 1 file not converted\n")
    assert broken.read_bytes() == b"interactions:\n- request: {}\n"
    (tmp_path / "c.json").write_bytes(b'{"http_interactions": [{"request"')
    assert main(["convert", str(tmp_path)]) == 1
    assert "c.json, line 1: this is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("ours.yaml", b"cassette: 1\n---\n", "is already a cassette of cassette_http", id="ours"),
        pytest.param("text.yaml", b"users: []\n", "no cassette of a recorder that is known here", id="no cassette"),
        pytest.param("old.json", b'{"interactions": []}', "there is a file .* already", id="target is there"),
    ],
)
def test_command_refuses_what_it_would_spoil(
    name: str, data: bytes, message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = path.parent / name
    source.write_bytes(data)
    assert main(["convert", str(source)]) == 1
    assert (source.read_bytes(), path.read_bytes()) == (data, OLD)


KILLED_WHILE_IT_WRITES = """
import os, sys
from cassette_http.cassette.files import Files
from cassette_http.cli import main

def write(self, fd, data):
    os.write(fd, bytes(data)[:-100])
    os.kill(os.getpid(), 9)

Files.write = write
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("to", [[], ["--to", "new"]], ids=["in place", "to a folder"])
def test_killed_command_leaves_no_part_of_a_cassette(to: list[str], path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_IT_WRITES, "convert", path.name, *to]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(command, check=False, cwd=path.parent, env=environment, timeout=60)
    assert killed.returncode == -9
    assert path.read_bytes() == OLD
    assert not (path.parent / "new" / path.name).exists()


def test_command_on_a_full_disk_says_so_and_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(self: Files, fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Files, "write", write)
    assert main(["convert", str(path), "--to", str(path.parent / "new")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list((path.parent / "new").iterdir()) == []


def test_command_names_a_source_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "nothing")]) == 1
    assert "there is no file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        pytest.param("new_episodes", {"only_on_success": True}, id="in a side file"),
        pytest.param("rewrite", {"keep_volatile": True, "keep_unrecorded": True}, id="rewrite of a part"),
    ],
)
def test_recording_on_success_only_keeps_what_was_there(
    mode: str, options: dict[str, Any], path: Path, peer: Callable[..., Peer]
) -> None:
    url = peer(answering_new).url
    with use_cassette(path, mode, **options):
        get(f"{url}/more")
        assert path.read_bytes() == OLD
    assert b"s3cr3tT0ken99" not in path.read_bytes()
    with use_cassette(path, "none"):
        assert get("http://old.test/?access_token=another") == "x"
        assert get(f"{url}/more") == "new"


def test_file_that_has_to_be_decoded_is_kept_as_well_and_decoded_once_each_time(
    path: Path, peer: Callable[..., Peer]
) -> None:
    decoded: list[str] = []

    def decode(octets: bytes, name: str) -> bytes:
        decoded.append(name)
        return bytes(reversed(octets))

    path.write_bytes(bytes(reversed(OLD)))
    url = peer(answering_new).url
    with use_cassette(path, "new_episodes", only_on_success=True, decode=decode):
        assert get("http://old.test/?access_token=another") == "x"
        assert decoded == [str(path)], "to read it"
        get(f"{url}/more")
    assert decoded == [str(path)] * 2, "to keep it"
    with use_cassette(path, "none"):
        assert get("http://old.test/?access_token=another") == "x"
        assert get(f"{url}/more") == "new"
