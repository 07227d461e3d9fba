"""The file of a cassette: what is written when, what is refused, and how a rewrite ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cassette_http import use_cassette
from cassette_http.cassette import limits
from cassette_http.cassette.format.yaml_format import MOST_DOCUMENTS, dump_header, load_document
from cassette_http.cassette.model import Header
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteFormatError, CassetteNotWritable
from tests.cassette.stores import FIRST_LINES, HEADER, append_all, document, filled, lines

# --- the plain case ---


def test_the_first_append_makes_folders_and_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.yaml"
    store = Store(path, header=HEADER)
    assert not store.exists()
    store.append(document(1))
    assert path.read_bytes() == FIRST_LINES + document(1) + b"---\n"
    assert store.exists()
    assert lines(store) == ["1"]
    store.commit()


def test_each_append_is_in_the_file_when_it_returns(path: Path) -> None:
    store = Store(path)
    for number in range(3):
        store.append(document(number))
        assert lines(Store(path)) == [str(at) for at in range(number + 1)]
    store.commit()


def test_several_documents_are_appended_together(path: Path) -> None:
    store = Store(path)
    store.append(document(1), document(2))
    store.commit()
    assert lines(store) == ["1", "2"]


def test_a_store_that_is_not_used_leaves_no_trace(tmp_path: Path, path: Path) -> None:
    Store(path).commit()
    Store(path, rewrite=True).commit()
    Store(path, rewrite=True).discard()
    assert list(tmp_path.iterdir()) == []


def test_an_append_after_close_opens_the_file_again(path: Path) -> None:
    store = Store(path)
    store.append(document(1))
    store.commit()
    store.append(document(2))
    store.commit()
    assert lines(store) == ["1", "2"]


def test_a_missing_file_is_the_callers_business(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Store(path).load()


def test_an_empty_file_counts_as_no_cassette_and_can_be_recorded_to(path: Path) -> None:
    path.touch()
    store = Store(path, header=HEADER)
    assert not store.exists()
    with pytest.raises(CassetteFormatError, match="the file is empty"):
        store.load()
    store.append(document(1))
    store.commit()
    assert path.read_bytes() == FIRST_LINES + document(1) + b"---\n"


# --- what is no cassette ---


def _load_all(store: Store) -> None:
    for found in store.load():
        load_document(found.octets, str(store.path), found.line)


@pytest.mark.parametrize(
    ("octets", "line", "reason"),
    [
        pytest.param(b"\n \n", None, "the file is empty", id="blank"),
        pytest.param(b"<!DOCTYPE html>\n<html>", 1, "HTML", id="html"),
        pytest.param(
            b"interactions:\n- request:\n    method: GET\nversion: 1\n", 1, "another recorder.*convert FILE", id="vcrpy"
        ),
        pytest.param(FIRST_LINES + b"<<<<<<< HEAD\nrequest: GET http://a/\n", 6, "merge conflict", id="conflict"),
        pytest.param("cassette: 1\n".encode("utf-16"), 1, "UTF-16", id="utf-16 with BOM"),
        pytest.param("cassette: 1\n".encode("utf-16-le"), 1, "UTF-16", id="utf-16 without BOM"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 1, "binary", id="png"),
        pytest.param(b"\x1f\x8b\x08" + bytes(range(128, 255)), 1, "not YAML", id="binary without zero"),
        pytest.param(b"cassette: 2\n---\n", 1, "'cassette' is '2'.*reads format 1 only", id="later version"),
        pytest.param(b"name: ci\non: push\n", 1, "'name' is no key|'request' is missing", id="other YAML"),
        pytest.param(b"just some text\n", 1, "is a mapping", id="text"),
        pytest.param(b"request: GET http://a/\n---\n", 1, "does not begin with 'cassette: 1'", id="no header"),
        pytest.param(b"cassette: 1\nmode: once\n---\n", 2, "'mode' is no key", id="unknown key in the header"),
        pytest.param(b"cassette: 1\n---\nrequest: [\n---\n", 4, "not YAML", id="broken document"),
    ],
)
def test_a_foreign_file_gives_one_clear_error_and_stays_as_it_is(
    path: Path, octets: bytes, line: int | None, reason: str
) -> None:
    path.write_bytes(octets)
    store = Store(path)
    with pytest.raises(CassetteFormatError, match=reason) as caught:
        _load_all(store)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert path.read_bytes() == octets


@pytest.mark.parametrize("octets", [b"<html>", b"interactions: []\nversion: 1\n", b"hello", b"a: 1\n---\n"])
def test_a_foreign_file_is_not_written_to(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)
    store = Store(path)
    with pytest.raises(CassetteFormatError):
        store.append(document(1))
    store.commit()
    assert path.read_bytes() == octets


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert Store(tmp_path).exists()
    with pytest.raises(CassetteFormatError, match="is a folder"):
        Store(tmp_path).load()
    with pytest.raises(CassetteFormatError, match="is a folder"):
        Store(tmp_path).append(document(1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_refused_without_waiting_for_a_writer(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(CassetteFormatError, match="not a regular file"):
        Store(path).load()
    with pytest.raises(CassetteFormatError, match="not a regular file"):
        Store(path).append(document(1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("is_link", [False, True], ids=["itself", "a link to it"])
def test_a_rewrite_puts_no_file_in_the_place_of_a_fifo(path: Path, is_link: bool) -> None:
    fifo = path.with_name("fifo") if is_link else path
    os.mkfifo(fifo)
    if is_link:
        path.symlink_to(fifo)
    with pytest.raises(CassetteFormatError, match="not a regular file"), use_cassette(path, "rewrite"):
        pass
    store = Store(path, rewrite=True)
    store.append(document(1))
    with pytest.raises(CassetteNotWritable, match=r"not a regular file.*; the old one stays as it is"):
        store.commit()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert set(path.parent.iterdir()) == {path, fifo}


@pytest.mark.parametrize("mode", ["none", "once", "rewrite"])
@pytest.mark.parametrize("kind", ["loop of links", "long name", "no name"])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, kind: str, mode: str) -> None:
    path = tmp_path / {"long name": "x" * 300, "no name": "a\0b"}.get(kind, "a.yaml")
    if kind == "loop of links":
        path.symlink_to(path)
    with (
        pytest.raises(CassetteFormatError, match=r"cannot be read|not a valid file name") as refused,
        use_cassette(path, mode),
    ):
        pass
    assert refused.value.path == str(path)


def test_a_file_that_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 3)
    monkeypatch.setattr(limits, "LARGEST_CASSETTE_OCTETS", 100)
    with pytest.raises(CassetteFormatError, match="too large"):
        Store(path).load()
    before = path.read_bytes()
    with pytest.raises((CassetteNotWritable, CassetteFormatError), match="too large"):
        Store(path).append(document(1))
    assert path.read_bytes() == before


def test_a_cassette_never_grows_beyond_what_can_be_loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_CASSETTE_OCTETS", 1000)
    store = Store(path)
    with pytest.raises(CassetteNotWritable, match="too large"):
        append_all(store, 100)
    store.commit()
    assert 500 < path.stat().st_size <= 1000
    assert lines(store)


def test_a_cassette_never_has_more_documents_than_can_be_loaded(path: Path) -> None:
    begun = filled(path, 1).read_bytes()  # a header and one more
    path.write_bytes(begun + b"request: GET http://a/\n---\n" * (MOST_DOCUMENTS - 4))
    store, other = Store(path), Store(path)
    store.append(document(1))
    other.append(document(2))
    before = path.read_bytes()
    with pytest.raises(CassetteNotWritable, match="at most 100,000 documents; record less into one file"):
        store.append(document(3))
    store.commit()
    other.commit()
    assert path.read_bytes() == before
    assert len(Store(path).load()) == MOST_DOCUMENTS


def test_a_conversion_never_makes_more_documents_than_can_be_loaded(path: Path) -> None:
    path.write_bytes(b"interactions: []\n")
    before = path.read_bytes()
    store = Store(path)
    store.adopt(lambda data: [dump_header(Header()), *[b"request: GET http://a/\n"] * (MOST_DOCUMENTS - 1)])
    with pytest.raises(CassetteNotWritable, match="at most 100,000 documents"):
        store.append(document(1))
    store.commit()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_rewrite_never_has_more_documents_than_can_be_loaded(path: Path) -> None:
    before = filled(path, 1).read_bytes()

    def settle(old: bytes, new: bytes) -> bytes:
        return new + b"request: GET http://a/\n---\n" * (MOST_DOCUMENTS - 1)

    store = Store(path, rewrite=True, settle=settle)
    store.append(document(1))
    with pytest.raises(CassetteNotWritable, match=r"at most 100,000 documents.*; the old one stays as it is"):
        store.commit()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# --- rewrite ---


def test_a_rewrite_replaces_the_old_cassette_at_commit(tmp_path: Path, path: Path) -> None:
    filled(path, 3)
    path.chmod(0o640)
    store = Store(path, rewrite=True, header=HEADER)
    store.append(document(7))
    assert lines(Store(path)) == ["0", "1", "2"]
    store.commit()
    assert path.read_bytes() == FIRST_LINES + document(7) + b"---\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_discarded_rewrite_keeps_the_old_cassette(tmp_path: Path, path: Path) -> None:
    before = filled(path, 3).read_bytes()
    store = Store(path, rewrite=True)
    store.append(document(7))
    store.discard()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_rewrite_that_recorded_nothing_empties_the_cassette(tmp_path: Path, path: Path) -> None:
    filled(path, 3)
    store = Store(path, rewrite=True, header=HEADER)
    store.commit()
    assert path.read_bytes() == FIRST_LINES
    assert list(tmp_path.iterdir()) == [path]


def test_a_rewrite_follows_a_link(tmp_path: Path) -> None:
    real = filled(tmp_path / "real.yaml", 1)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    store = Store(link, rewrite=True)
    store.append(document(5))
    store.commit()
    assert link.is_symlink()
    assert lines(Store(real)) == ["5"]
