"""An append-only log of documents in one file: each append is one `write` under a lock, and repairs torn ends.

The owner of a log lets one thread at a time use it, and decides what a failure means.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator

from cassette_http.cassette.files import APPEND, CREATE, Files, drop_left_behind, unfinished
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.yaml_format import BEGINNING, MOST_DOCUMENTS, TERMINATOR
from cassette_http.cassette.limits import irregular, refuse_too_large, refuse_too_many, too_large
from cassette_http.errors import CassetteFormatError
from cassette_http.system import os

# How a file ends unless a writer was stopped in the middle of a document.
ENDING = b"\n" + TERMINATOR
BOUNDARY = ENDING[:-1]


class LogFile:
    """The file at `path`, opened when first needed. Raises OSError, and CassetteFormatError, which calls it `name`.

    `header` begins a new file, and includes its terminator. `is_new`: this process or a forked child must create it.
    """

    def __init__(self, path: str, name: str, header: bytes, files: Files, *, is_new: bool) -> None:
        self.path = path
        self._name, self._header, self._files = name, header, files
        self._maker = os.getpid() if is_new else None
        self._fd: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._successor: tuple[int, int] | None = None  # descriptor and length of the file that replaced it
        self._good_length = 0  # up to here the file is as we left it
        self._counted_octets = self._counted_documents = 0  # from the beginning of the file
        self._needs_sync = False

    @property
    def is_open(self) -> bool:
        return self._fd is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Open the file if necessary, and lock it; it is certainly still the one at the path. Yields its length."""
        while True:
            fd = self._fd if self._fd is not None else self._open()
            is_locked = self._files.lock(fd)
            try:
                length = length_at(self.path, fd, self._files)
                if length is not None:
                    yield length
                    return
            finally:
                if is_locked:
                    self._files.unlock(fd)
                if self._successor is not None:
                    self._follow(*self._successor)
            # Somebody replaced or removed the file, and with it what we wrote so far.
            self.close()

    def _open(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            status = self._files.stat(self.path)
            if (reason := irregular(status.st_mode) or too_large(status.st_size)) is not None:
                raise CassetteFormatError(self._name, None, reason)
        # After it was created, a child process may have replaced the file (see `put_in_place`).
        flags = CREATE if self._maker == os.getpid() else APPEND
        try:
            fd = self._files.open(self.path, flags)
        except FileExistsError:  # a forked child was the first to write
            fd = self._files.open(self.path, APPEND)
        except FileNotFoundError:
            self._files.make_folders(os.path.dirname(self.path))
            fd = self._files.open(self.path, flags)
        self._fd, self._good_length, self._maker = fd, 0, None
        return fd

    @property
    def _descriptor(self) -> int:
        assert self._fd is not None, "asked once the file is open"
        return self._fd

    def read(self, length: int | None = None) -> bytes:
        """Read `length` octets from the beginning of the open file, or all."""
        fd = self._descriptor
        return self._files.read_all(fd, self._files.fstat(fd).st_size if length is None else length)

    def write(self, length: int, data: bytes) -> None:
        """Append whole documents to the locked file, which has `length` octets: all of them or none."""
        fd = self._descriptor
        if length != self._good_length or not length:
            length, data = self._repair(fd, length, data)
        refuse_too_large(length + len(data))
        new_documents = (b"\n" + data).count(BOUNDARY)
        if length + len(data) > MOST_DOCUMENTS * len(ENDING):  # small files need not be counted
            self._count(fd, length)
            refuse_too_many(self._counted_documents + new_documents)
        try:
            self._files.write_all(fd, data)
        except BaseException:
            # Also if a signal handler raises an exception: half a document must not stay.
            with contextlib.suppress(OSError):
                self._files.truncate(fd, length)
            raise
        self._good_length = length + len(data)
        self._needs_sync = True
        if length == self._counted_octets:
            self._counted_octets = self._good_length
            self._counted_documents += new_documents

    def _count(self, fd: int, length: int) -> None:
        """Count the documents of the file; those that were counted before are not counted again."""
        if length == self._counted_octets:
            return
        if length < self._counted_octets:
            self._counted_octets = self._counted_documents = 0
        start = max(self._counted_octets - 1, 0)  # includes the line end before a boundary
        self._counted_documents += self._files.read(fd, length - start, start).count(BOUNDARY)
        self._counted_octets = length

    def _repair(self, fd: int, length: int, data: bytes) -> tuple[int, bytes]:
        """Check what others have written: cut off a torn document, add a missing header or terminator."""
        if length and not (
            self._files.read(fd, len(BEGINNING), 0) == BEGINNING
            and self._files.read(fd, len(ENDING), max(length - len(ENDING), 0)) == ENDING
        ):
            if (reason := too_large(length)) is not None:
                raise CassetteFormatError(self._name, None, reason)
            good, needs_terminator = yaml_format.intact_length(self._files.read_all(fd, length), self._name)
            if good < length:
                self._files.truncate(fd, good)
                length = good
            if needs_terminator:
                data = TERMINATOR + data
        return length, data if length else self._header + data

    def put_in_place(self, data: bytes) -> None:
        """Write another file, and replace the locked one with it. A kill leaves either the old file or the new one.

        Later writes append to the new file.
        """
        refuse_too_many(data.count(BOUNDARY))
        new = unfinished(self.path)
        fd = self._files.open(new, CREATE)
        try:
            self._files.write_all(fd, data)
            self._files.fsync(fd)
            self._files.chmod(new, stat.S_IMODE(self._files.stat(self.path).st_mode))
            self._files.rename(new, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.close(fd)
            with contextlib.suppress(OSError):
                self._files.remove(new)
            raise
        self._successor = fd, len(data)
        drop_left_behind(self.path, self._files)

    def _follow(self, fd: int, length: int) -> None:
        self.close()
        self._fd, self._good_length, self._needs_sync = fd, length, True

    def overwrite(self, data: bytes) -> None:
        """Replace the content by `data`. A kill leaves any part of it, so only for a file that nobody reads yet."""
        self._needs_sync = True
        self._files.truncate(self._descriptor, 0)
        self._files.write_all(self._descriptor, data)

    def truncate(self, length: int) -> None:
        """Cut off the end of the locked file."""
        self._files.truncate(self._descriptor, length)

    def sync(self) -> None:
        if self._fd is not None and self._needs_sync:
            self._files.fsync(self._fd)

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._forget()
            with contextlib.suppress(OSError):
                self._files.close(fd)


def length_at(path: str, fd: int, files: Files) -> int | None:
    """The length of an open file, if it is still the one at the path."""
    try:
        there = files.stat(path)
    except FileNotFoundError:
        return None
    here = files.fstat(fd)
    return here.st_size if os.path.samestat(here, there) else None
