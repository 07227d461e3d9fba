"""`check_paths` finds secrets in cassettes, `redact_files` takes them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cassette_http.cassette.files import Files
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Header, Interaction, Origin, Piece, Request, TLSFacts, Track
from cassette_http.cassette.store import Store
from cassette_http.checking import check_paths, redact_files
from cassette_http.cli import main
from cassette_http.errors import CassetteFormatError, CassetteNotFound, CassetteNotWritable

ORIGIN = Origin("https", "api.test", 443)
TOKEN = "a1B2c3D4e5F6g7H8"


def interaction(field: str, body: bytes = b"[]") -> Interaction:
    request = Request(ORIGIN, f"GET / HTTP/1.1\r\nHost: api.test\r\n{field}\r\n\r\n".encode())
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return Interaction(ORIGIN, request, Track((Piece(response),)))


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    path = tmp_path / "cassettes" / "login.yaml"
    store = Store(path, header=Header(test="t"))
    early = interaction("Accept: */*", b'{"you sent": "%b"}' % TOKEN.encode())
    for document in (early, interaction("Accept: text/plain"), interaction(f"Authorization: Bearer {TOKEN}")):
        store.append(yaml_format.dump_interaction(document))
    store.append(yaml_format.dump_tls(TLSFacts(ORIGIN, "TLSv1.3")))
    store.commit()
    return path


def test_findings_name_the_line_but_not_the_secret(cassette: Path) -> None:
    findings = check_paths([cassette])
    lines = cassette.read_text().splitlines()
    assert [lines[each.line - 1].strip() for each in findings] == [
        f'{{"you sent": "{TOKEN}"}}',
        f"Authorization: Bearer {TOKEN}",
    ]
    assert [str(each) for each in findings] == [
        f'{cassette}:{findings[0].line}: {{"you sent": "{{{{secret:1}}}}"}}',
        f"{cassette}:{findings[1].line}: Authorization: Bearer {{{{secret:1}}}}",
    ]


def test_folders_are_searched_for_cassettes(cassette: Path) -> None:
    (cassette.parent / "other.yaml").write_text(f"token: {TOKEN}\n")
    assert check_paths([cassette.parent.parent]) == check_paths([cassette])


def test_folders_are_searched_for_cassettes_with_the_suffix_of_another_recorder(cassette: Path) -> None:
    renamed = cassette.rename(cassette.with_suffix(".json"))
    assert {one.path for one in check_paths([renamed.parent])} == {str(renamed)}


def test_other_things_in_a_folder_do_not_matter(cassette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = check_paths([cassette])
    with (cassette.parent / "large.yaml").open("wb") as file:
        file.truncate(1 << 40)
    (cassette.parent / "loop.yaml").symlink_to("loop.yaml")
    (cassette.parent / "folder.yaml").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(cassette.parent / "fifo.yaml")
    assert check_paths([cassette.parent]) == found
    assert main(["check", str(cassette.parent)]) == 4
    assert redact_files([cassette.parent]) == {cassette: 2}
    assert main(["check", str(cassette)]) == 0
    capsys.readouterr()


def test_redacted_files_are_clean_and_otherwise_the_same(cassette: Path) -> None:
    before = cassette.read_bytes()
    cassette.chmod(0o640)
    assert redact_files([cassette.parent]) == {cassette: 2}
    after = cassette.read_bytes()
    assert after == before.replace(TOKEN.encode(), b"{{secret:1}}").replace(
        b"Content-Length: 32", b"Content-Length: 28"
    )
    assert cassette.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in cassette.parent.iterdir()] == ["login.yaml"]
    assert check_paths([cassette]) == []
    assert redact_files([cassette]) == {cassette: 0}
    assert cassette.read_bytes() == after


def test_documents_without_secrets_keep_their_octets(cassette: Path) -> None:
    by_hand = b"request:   GET https://api.test/by-hand   # kept\nresponse: 204 No Content\n---\n"
    cassette.write_bytes(cassette.read_bytes() + by_hand)
    redact_files([cassette])
    assert cassette.read_bytes().endswith(b"---\n" + by_hand)


def test_what_is_no_cassette_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("<html>")
    with pytest.raises(CassetteFormatError, match="not a cassette"):
        check_paths([tmp_path / "a.yaml"])
    with pytest.raises(CassetteNotFound, match="no file or folder"):
        check_paths([tmp_path / "none"])
    assert check_paths([tmp_path]) == []


def test_examples_of_the_project_are_clean() -> None:
    assert check_paths([Path(__file__).parent.parent / "cassettes"]) == []


# -- the commands --------------------------------------------------------------------------------------------


def test_check_shows_findings_and_ends_with_4(cassette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(cassette.parent)]) == 4
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(each) for each in check_paths([cassette])]
    assert "secrets in 2 lines" in shown.err
    assert TOKEN not in shown.out + shown.err


def test_check_continues_after_a_file_that_cannot_be_read(cassette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = cassette.with_name("a.yaml")
    broken.write_bytes(b"cassette: 1\n---\nrequest: [\n---\n")
    assert main(["check", str(cassette.parent)]) == 4
    shown = capsys.readouterr()
    assert f"cassette-http: {broken}, line " in shown.err
    assert f"{cassette}:" in shown.out
    assert main(["check", str(broken)]) == 1
    assert "no secrets" not in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_cassette_in_a_folder_that_may_not_be_read_is_not_clean(
    cassette: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cassette.chmod(0)
    (cassette.parent / "b").write_bytes(b"")
    (cassette.parent / "b").chmod(0)
    assert main(["check", str(cassette.parent)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"cassette-http: {cassette}: cannot be read: Permission denied\n")
    assert "no secrets" not in shown


def test_redact_cleans_and_check_then_ends_with_0(cassette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", str(cassette)]) == 0
    assert capsys.readouterr().out == f"{cassette}: 2 interactions redacted\n"
    assert main(["check", str(cassette)]) == 0
    assert capsys.readouterr() == ("", "no secrets in 1 cassette\n")


def test_check_names_what_a_killed_process_left_behind(cassette: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", str(cassette)]) == 0
    rewrite = Store(cassette, rewrite=True, blob_threshold=1)  # which is never committed
    content = b"a content of some length"
    reference = rewrite.blobs.put(content, len(content))
    assert reference is not None
    rewrite.append(b"request: GET http://a.test/\nresponse: 200 OK\n")
    (new,) = cassette.parent.glob(".*.new")
    blob = cassette.parent / reference
    unfinished_blob = blob.rename(blob.with_name(f".{blob.name}.17-0123abcd.new"))
    capsys.readouterr()
    for path in (cassette, cassette.parent):
        assert main(["check", str(path)]) == 0
        left = [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines() if "did not finish" in line]
        assert left == [str(new), str(unfinished_blob)]


class Stopped(Files):
    """The disk of a process that is stopped when a new file is complete, before it takes the place of the old one."""

    def rename(self, source: str, target: str) -> None:
        raise OSError

    def remove(self, path: str) -> None:
        raise OSError


def test_check_names_what_was_to_take_the_place_of_a_cassette(
    cassette: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["redact", str(cassette)]) == 0
    (old,) = [one.octets for one in Store(cassette).load() if one.octets.startswith(b"request: ")][:1]
    with pytest.raises(CassetteNotWritable):
        Store(cassette, files=Stopped()).replace([old], [old.replace(b"GET", b"PUT", 1)])
    (new,) = set(cassette.parent.iterdir()) - {cassette}
    capsys.readouterr()
    assert main(["check", str(cassette)]) == 0
    assert capsys.readouterr().err.startswith(f"{new}: left behind by a process that did not finish")


def test_check_of_a_folder_without_cassettes_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"there are no cassettes in {tmp_path}\n"


def test_check_of_nothing_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none")]) == 1
    assert "there is no file or folder" in capsys.readouterr().err
