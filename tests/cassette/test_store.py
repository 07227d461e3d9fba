"""The file of a cassette: nothing is lost, nothing is damaged, whatever happens to writers, disks and readers."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cassette_http import system, use_cassette
from cassette_http.cassette import limits
from cassette_http.cassette.files import READ, Files
from cassette_http.cassette.format.yaml_format import (
    MOST_DOCUMENTS,
    dump_header,
    dump_interaction,
    dump_tls,
    load_document,
)
from cassette_http.cassette.model import (
    Failure,
    FailureKind,
    Header,
    Interaction,
    Origin,
    Piece,
    Request,
    TLSFacts,
    Track,
)
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteFormatError, CassetteNotWritable, CassetteWarning

ORIGIN = Origin("http", "api.test", 80)
HEADER = Header(recorded="2026-11-22T17:57:05Z", by="cassette-http", test="tests/test_x.py::test_y[1]")
FIRST_LINES = b"cassette: 1\nrecorded: 2026-11-22T17:57:05Z\nby: cassette-http\ntest: tests/test_x.py::test_y[1]\n---\n"


def document(number: int, body: bytes = b'{"a": 1}') -> bytes:
    head = b"GET /%d?q=1 HTTP/1.1\r\nHost: api.test\r\n\r\n" % number
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return dump_interaction(Interaction(ORIGIN, Request(ORIGIN, head), Track((Piece(octets),))))


def lines(store: Store) -> list[str]:
    return [line.decode().rpartition("/")[2] for line in store.load().request_lines if line is not None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassette.yaml"


def _append_all(store: Store, count: int) -> None:
    for number in range(count):
        store.append(document(number))
    store.commit()


def filled(path: Path, count: int) -> Path:
    _append_all(Store(path, header=HEADER), count)
    return path


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
    with pytest.raises(CassetteFormatError, match="no regular file"):
        Store(path).load()
    with pytest.raises(CassetteFormatError, match="no regular file"):
        Store(path).append(document(1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("is_link", [False, True], ids=["itself", "a link to it"])
def test_a_rewrite_puts_no_file_in_the_place_of_a_fifo(path: Path, is_link: bool) -> None:
    fifo = path.with_name("fifo") if is_link else path
    os.mkfifo(fifo)
    if is_link:
        path.symlink_to(fifo)
    with pytest.raises(CassetteFormatError, match="no regular file"), use_cassette(path, "rewrite"):
        pass
    store = Store(path, rewrite=True)
    store.append(document(1))
    with pytest.raises(CassetteNotWritable, match=r"no regular file.*; the old one stays as it is"):
        store.commit()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert set(path.parent.iterdir()) == {path, fifo}


@pytest.mark.parametrize("mode", ["none", "once", "rewrite"])
@pytest.mark.parametrize("kind", ["loop of links", "long name", "no name"])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, kind: str, mode: str) -> None:
    path = tmp_path / {"long name": "x" * 300, "no name": "a\0b"}.get(kind, "a.yaml")
    if kind == "loop of links":
        path.symlink_to(path)
    with pytest.raises(CassetteFormatError, match=r"cannot be read|no name") as refused, use_cassette(path, mode):
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
        _append_all(store, 100)
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


# --- kills ---


def _rich_document() -> bytes:
    """One document with every kind of entry: literal blocks with empty lines, quoted lines, octets, a list."""
    origin = Origin("http", "api.test", 80)
    head = b"POST /2 HTTP/1.1\r\nHost: api.test\r\n\r\n"
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    request = Request(origin, head, b"text\r and more\n" * 10)
    pieces = (Piece(octets, 0.1), Piece(b"one\n\n\n two\n\n---\n...\n\n", 0.2))
    failure = Failure(FailureKind.RESET, 0.3, "ECONNRESET", "Connection reset by peer", {"args": (1, "x")})
    return dump_interaction(Interaction(origin, request, Track(pieces, failure), repeat="last"))


def _binary_document() -> bytes:
    return document(2, bytes(range(256)) * 2)


def _tls_document() -> bytes:
    peer = {"subject": ((("commonName", "api.test"),),), "version": 3}
    return dump_tls(
        TLSFacts(ORIGIN, "TLSv1.3", ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256), "http/1.1", b"\x30\x82" * 90, peer)
    )


@pytest.mark.parametrize(
    "added", [_rich_document(), _binary_document(), _tls_document()], ids=["rich", "binary", "tls"]
)
def test_a_writer_killed_at_any_octet_costs_only_its_last_document(path: Path, added: bytes) -> None:
    filled(path, 2)
    good = path.read_bytes()
    for cut in range(1, len(added) + len(b"---")):
        path.write_bytes(good + (added + b"---\n")[:cut])
        with pytest.warns(CassetteWarning, match="has no closing line '---'"):
            assert len(Store(path).load()) == 3
        store = Store(path)
        store.append(document(3))
        store.commit()
        assert path.read_bytes() == good + document(3) + b"---\n"


@pytest.mark.parametrize("is_rewrite", [True, False], ids=["a rewrite", "a redaction"])
def test_what_a_killed_process_left_a_day_ago_is_removed(path: Path, is_rewrite: bool) -> None:
    filled(path, 2)
    left = [path.with_name(f".{name}.{at}-0a1b2c3d.new") for at, name in enumerate([path.name, path.name, "a.yaml"])]
    for each in left:
        each.write_bytes(b"cassette: 1\n---\n")
    for old in (left[0], left[2]):  # of this cassette, and of another; the second may be of a process at work
        os.utime(old, (1.0, 1.0))
    if is_rewrite:
        _append_all(Store(path, rewrite=True), 2)
    else:
        store = Store(path)
        store.replace([document(0)], [document(7)])
        store.commit()
    assert [each.exists() for each in left] == [False, True, True]


def test_a_terminator_without_its_line_end_is_completed(path: Path) -> None:
    good = filled(path, 2).read_bytes()
    path.write_bytes(good[:-1])
    assert lines(Store(path)) == ["0", "1"]
    store = Store(path)
    store.append(document(2))
    store.commit()
    assert path.read_bytes() == good + document(2) + b"---\n"


def test_a_writer_killed_within_the_header_leaves_nothing_to_replay(path: Path) -> None:
    for cut in range(1, len(FIRST_LINES) - 1):
        path.write_bytes(FIRST_LINES[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CassetteWarning)
            assert lines(Store(path)) == []
        store = Store(path, header=HEADER)
        store.append(document(3))
        store.commit()
        assert path.read_bytes() == FIRST_LINES + document(3) + b"---\n"


def test_the_warning_names_the_line_and_says_what_to_do(path: Path) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + document(1))
    line = path.read_bytes().count(b"\n", 0, -len(document(1))) + 1
    with pytest.warns(CassetteWarning, match=f"cassette.yaml, line {line}: .*add the line '---'.*record again"):
        Store(path).load()


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(b"request: GET http://api.test/7\nresponse:   200 OK  # by hand\n", id="comment"),
        pytest.param(b"{request: GET http://api.test/7, response: 200 OK}\n", id="flow style"),
        pytest.param(
            b"request: GET http://api.test/7\nresponse headers: >-\n  A: b\n\nresponse: 200 OK\n", id="folded"
        ),
    ],
)
def test_a_hand_written_last_document_needs_no_terminator(path: Path, last: bytes) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + last)
    documents = Store(path).load()
    assert len(documents) == 3
    loaded = load_document(documents[-1].octets, str(path), documents[-1].line)
    assert isinstance(loaded, Interaction)
    store = Store(path)
    store.append(document(8))
    store.commit()
    assert path.read_bytes().endswith(last + b"---\n" + document(8) + b"---\n")
    assert len(store.load()) == 4


def test_documents_of_a_killed_process_are_all_there(path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from cassette_http.cassette.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "for number in range(60):\n"
        "    store.append(b'request: GET http://api.test/%d\\nresponse: 200 OK\\n' % number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert ended.returncode != 0
    assert lines(Store(path)) == [str(number) for number in range(60)]


# --- many writers ---


def _append_many(path: str, first: int, count: int, begin: Any) -> None:
    store = Store(path, header=HEADER)
    begin.wait(30)
    for number in range(first, first + count):
        store.append(document(number))
    store.commit()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_two_processes_that_append_lose_nothing(path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    context: Any = multiprocessing.get_context(method)  # the stubs know no process of a context by name
    begin = context.Barrier(2)
    writers = [context.Process(target=_append_many, args=(str(path), first, 100, begin)) for first in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert sorted(map(int, lines(Store(path)))) == [*range(100), *range(1000, 1100)]
    assert path.read_bytes().count(b"cassette: 1") == 1


def test_sixteen_threads_that_append_lose_nothing(path: Path) -> None:
    store = Store(path)

    def run(first: int) -> None:
        for number in range(first, first + 20):
            store.append(document(number))

    threads = [threading.Thread(target=run, args=(100 * index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store.commit()
    assert len(set(lines(store))) == 320


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_appends_through_a_descriptor_of_its_own(path: Path) -> None:
    store = Store(path)
    store.append(document(0))
    # The child is forked while this process holds its lock: it must not wait for that for ever.
    with store._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
        if child == 0:
            try:
                store.append(document(1))
                store.commit()
            finally:
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.append(document(2))
    store.commit()
    assert lines(store) == ["0", "1", "2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_discarded_rewrite_drops_the_blobs_of_forked_children_too(tmp_path: Path, path: Path) -> None:
    store = Store(path, rewrite=True, blob_threshold=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
    if child == 0:
        try:
            store.append(b"a: {blob: %b, octets: 5}\n" % (store.put_aside(b"large", 5) or "").encode())
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    store.discard()
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_document_that_cannot_be_written_leaves_no_blob(tmp_path: Path, path: Path) -> None:
    store = Store(path, blob_threshold=0, files=FailingFiles("write", 2, errno.ENOSPC))
    reference = store.put_aside(b"large", 5) or ""
    assert (tmp_path / reference).read_bytes() == b"large"
    with pytest.raises(CassetteNotWritable):
        store.append(b"a: {blob: %b, octets: 5}\n" % reference.encode())
    assert list((tmp_path / "blobs").iterdir()) == []  # before the store is closed, which a forked child may never do


def test_a_file_that_was_replaced_meanwhile_is_opened_anew(tmp_path: Path, path: Path) -> None:
    store = Store(path, header=HEADER)
    store.append(document(0))
    other = filled(tmp_path / "other.yaml", 3)
    os.replace(other, path)
    store.append(document(7))
    path.unlink()
    store.append(document(8))
    store.commit()
    assert path.read_bytes() == FIRST_LINES + document(8) + b"---\n"


def test_a_lock_that_nobody_frees_is_an_error_with_a_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    files = Files()
    holder = files.open(str(path), READ)
    assert files.lock(holder)
    monkeypatch.setattr("cassette_http.cassette.files.LOCK_TIMEOUT_S", 0.01)
    assert lines(Store(path)) == ["0"]
    with pytest.raises(CassetteNotWritable, match="another process keeps it locked"):
        Store(path).append(document(1))
    files.close(holder)


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


# --- failing disks ---


class FailingFiles(Files):
    """The file system, in which the nth call of one operation fails with an error, or writes short."""

    def __init__(
        self, operation: str, nth: int, error: int, *, lasting: bool = False, short: int | None = None
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.operation, self.nth, self.error, self.lasting, self.short = operation, nth, error, lasting, short

    def _strikes(self, operation: str) -> bool:
        self.calls[operation] += 1
        count = self.calls[operation]
        return operation == self.operation and (count == self.nth or (self.lasting and count > self.nth))

    def _fail(self, operation: str) -> None:
        if self._strikes(operation):
            raise OSError(self.error, os.strerror(self.error))

    def open(self, path: str, flags: int) -> int:
        self._fail("open")
        return super().open(path, flags)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self._strikes("write"):
            if self.short is None:
                raise OSError(self.error, os.strerror(self.error))
            return super().write(fd, data[: self.short])
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._fail("fsync")
        super().fsync(fd)

    def truncate(self, fd: int, length: int) -> None:
        self._fail("truncate")
        super().truncate(fd, length)

    def rename(self, source: str, target: str) -> None:
        self._fail("rename")
        super().rename(source, target)

    def lock(self, fd: int, *, shared: bool = False) -> bool:
        if self._strikes("lock"):
            return False
        return super().lock(fd, shared=shared)


DISK_ERRORS = [pytest.param(errno.ENOSPC, id="ENOSPC"), pytest.param(errno.EIO, id="EIO")]


@pytest.mark.parametrize("error", DISK_ERRORS)
@pytest.mark.parametrize("operation", ["open", "write"])
def test_a_failing_append_raises_once_and_keeps_what_was_there(path: Path, operation: str, error: int) -> None:
    before = filled(path, 2).read_bytes()
    store = Store(path, files=FailingFiles(operation, 1, error))
    with pytest.raises(CassetteNotWritable, match=f"cassette.yaml.*{os.strerror(error)}") as caught:
        store.append(document(2))
    assert caught.value.errno == error
    store.append(document(3))  # a cassette with a gap would replay something else
    store.commit()
    assert path.read_bytes() == before
    assert store.failure is caught.value


@pytest.mark.parametrize("error", DISK_ERRORS)
@pytest.mark.parametrize("short", [0, 1, 20, 100])
def test_a_disk_that_fills_up_within_a_document_is_cut_back(path: Path, error: int, short: int) -> None:
    before = filled(path, 2).read_bytes()

    class FullDisk(FailingFiles):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            if self.calls["write"] == 0:
                self.calls["write"] += 1
                return Files.write(self, fd, data[:short])
            raise OSError(error, os.strerror(error))

    store = Store(path, files=FullDisk("write", 0, error))
    with pytest.raises(CassetteNotWritable):
        store.append(document(2))
    store.commit()
    assert path.read_bytes() == before


@pytest.mark.parametrize("short", [1, 7, 50])
def test_short_writes_are_continued(path: Path, short: int) -> None:
    files = FailingFiles("write", 1, 0, lasting=True, short=short)
    store = Store(path, header=HEADER, files=files)
    store.append(document(1))
    store.commit()
    assert path.read_bytes() == FIRST_LINES + document(1) + b"---\n"


def test_a_torn_document_that_cannot_be_cut_back_is_cut_off_by_the_next_writer(path: Path) -> None:
    before = filled(path, 2).read_bytes()

    class DyingDisk(Files):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            super().write(fd, data[:30])
            raise OSError(errno.EIO, "Input/output error")

        def truncate(self, fd: int, length: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

    store = Store(path, files=DyingDisk())
    with pytest.raises(CassetteNotWritable):
        store.append(document(2))
    store.commit()
    assert len(path.read_bytes()) == len(before) + 30
    with pytest.warns(CassetteWarning):
        assert lines(Store(path)) == ["0", "1"]
    store = Store(path)
    store.append(document(5))
    store.commit()
    assert path.read_bytes() == before + document(5) + b"---\n"


@pytest.mark.parametrize("operation", ["fsync", "rename", "write", "open"])
@pytest.mark.parametrize("error", DISK_ERRORS)
def test_a_rewrite_that_fails_keeps_the_old_cassette(tmp_path: Path, path: Path, operation: str, error: int) -> None:
    before = filled(path, 2).read_bytes()
    store = Store(path, rewrite=True, files=FailingFiles(operation, 1, error))
    with pytest.raises(CassetteNotWritable, match="the old one stays as it is"):
        _append_all(store, 1)
    store.commit()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_fsync_at_close_is_reported(path: Path) -> None:
    store = Store(path, files=FailingFiles("fsync", 1, errno.EIO))
    store.append(document(1))
    with pytest.raises(CassetteNotWritable, match="Input/output error"):
        store.commit()
    assert lines(Store(path)) == ["1"]


def test_a_file_system_without_locks_serves_as_well(path: Path) -> None:
    store = Store(path, files=FailingFiles("lock", 1, 0, lasting=True))
    store.append(document(1))
    store.append(document(2))
    store.commit()
    assert lines(store) == ["1", "2"]


@pytest.mark.parametrize("call", ["open", "read", "write", "ftruncate", "fsync", "replace"])
def test_a_call_that_a_signal_interrupts_is_made_again(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + b"request: GET http://torn")
    made = []
    real = getattr(os, call)

    def interrupted(*arguments: Any) -> Any:
        made.append(arguments)
        if len(made) == 1:
            raise InterruptedError(errno.EINTR, "Interrupted system call")
        return real(*arguments)

    monkeypatch.setattr(system.os, call, interrupted)
    store = Store(path)
    store.append(document(1))
    store.commit()
    assert lines(store) == ["0", "1"]
    store = Store(path, rewrite=True)
    store.append(document(9))
    store.commit()
    assert len(made) > 1
    assert lines(store) == ["9"]


def test_an_unreadable_file_says_so(path: Path) -> None:
    filled(path, 1)
    with pytest.raises(CassetteFormatError, match="cannot be read: Input/output error"):
        Store(path, files=FailingFiles("open", 1, errno.EIO)).load()


def test_an_exception_out_of_a_signal_handler_leaves_no_half_document(path: Path) -> None:
    before = filled(path, 1).read_bytes()

    class Interrupting(Files):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            super().write(fd, data[:40])
            raise KeyboardInterrupt

    store = Store(path, files=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        store.append(document(1))
    assert path.read_bytes() == before


@pytest.mark.parametrize("rewrite", [False, True], ids=["append", "rewrite"])
def test_documents_are_replaced_and_others_may_follow(rewrite: bool, tmp_path: Path) -> None:
    path = tmp_path / "cassette.yaml"
    store = Store(path, rewrite=rewrite)
    one, two, new, last = (b"request: GET http://api.test/%s\n" % name for name in (b"1", b"2", b"new", b"last"))
    store.append(one)
    store.append(two)
    store.replace([one], [new])
    store.append(last)
    store.commit()
    assert [document.octets for document in Store(path).load()][1:] == [new, two, last]
    assert [file.name for file in tmp_path.iterdir()] == ["cassette.yaml"]


def test_failed_replacement_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    class FullDisk(Files):
        is_full = False

        def fsync(self, fd: int) -> None:
            if self.is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().fsync(fd)

    path, files = tmp_path / "cassette.yaml", FullDisk()
    store = Store(path, files=files)
    one = b"request: GET http://api.test/1\n"
    store.append(one)
    old = path.read_bytes()
    files.is_full = True
    with pytest.raises(CassetteNotWritable, match="No space left"):
        store.replace([one], [b"request: GET http://api.test/new\n"])
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["cassette.yaml"]
