"""Disks that fail, in any of their calls."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cassette_http import system
from cassette_http.cassette.files import Files
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteFormatError, CassetteNotWritable, CassetteWarning
from tests.cassette.stores import FIRST_LINES, HEADER, append_all, document, filled, lines


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
        append_all(store, 1)
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


def test_a_document_that_cannot_be_written_leaves_no_blob(tmp_path: Path, path: Path) -> None:
    store = Store(path, blob_threshold=0, files=FailingFiles("write", 2, errno.ENOSPC))
    reference = store.put_aside(b"large", 5) or ""
    assert (tmp_path / reference).read_bytes() == b"large"
    with pytest.raises(CassetteNotWritable):
        store.append(b"a: {blob: %b, octets: 5}\n" % reference.encode())
    assert list((tmp_path / "blobs").iterdir()) == []  # before the store is closed, which a forked child may never do
