"""Every file operation that the store makes, one method each, so that a test can let any of them fail.

Errors are OSError, as the system gives them. Interrupted calls are made again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep, time
from typing import Any, TypeVar

from cassette_http.system import fcntl, os

_Result = TypeVar("_Result")

# Text mode would change line ends on Windows; a FIFO must not block; children must not inherit.
_COMMON_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

READ = os.O_RDONLY | _COMMON_FLAGS
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | _COMMON_FLAGS
CREATE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _COMMON_FLAGS

LOCK_TIMEOUT_S = 10.0
LOCK_INTERVAL_S = 0.002


_UNFINISHED = re.compile(r"\.(.+)\.[0-9]+-[0-9a-f]{8}\.new")
A_DAY_S = 86_400.0


def unfinished(path: str) -> str:
    """A new name beside `path`, for what takes its place when it is whole; a process that is killed leaves it there."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.new")


def find_unfinished(folder: str) -> list[str]:
    """List the names in a folder that `unfinished` made."""
    with suppress(OSError):
        return sorted(filter(_UNFINISHED.fullmatch, os.listdir(folder)))
    return []


def drop_left_behind(path: str, files: Files) -> None:
    """Remove what processes that were killed left beside `path` a day ago or longer, so that none of them is at work.

    That a process has ended is not asked: on another machine, or in another container, its number says nothing.
    """
    folder, name = os.path.split(path)
    for left in find_unfinished(folder):
        found = _UNFINISHED.fullmatch(left)
        if found is not None and found[1] == name:
            with suppress(OSError):
                if time() - files.stat(os.path.join(folder, left)).st_mtime > A_DAY_S:
                    files.remove(os.path.join(folder, left))


class Files:
    """The file system as it is."""

    def open(self, path: str, flags: int) -> int:
        return _again(os.open, path, flags, 0o666)

    def close(self, fd: int) -> None:
        os.close(fd)

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[int]:
        fd = self.open(path, flags)
        try:
            yield fd
        finally:
            self.close(fd)

    def read(self, fd: int, count: int, offset: int) -> bytes:
        """Read at an offset; `fd` is ours alone, so that its position does not matter to others."""
        os.lseek(fd, offset, os.SEEK_SET)
        return _again(os.read, fd, count)

    def read_all(self, fd: int, count: int) -> bytes:
        """Read from the beginning, at most `count` octets; fewer if the file has no more."""
        parts: list[bytes] = []
        offset = 0
        while offset < count:
            part = self.read(fd, count - offset, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return _again(os.write, fd, data)

    def write_all(self, fd: int, data: bytes) -> None:
        """Write in as many calls as it takes, usually one."""
        view = memoryview(data)
        while view:
            view = view[self.write(fd, view) :]

    def write_whole(self, path: str, data: bytes) -> None:
        """Write a file beside its place, and put it there; a kill or a failure leaves no part of it there."""
        new = unfinished(path)
        fd = self.open(new, CREATE)
        try:
            try:
                self.write_all(fd, data)
                self.fsync(fd)
            finally:
                self.close(fd)
            self.rename(new, path)
        except BaseException:
            with suppress(OSError):
                self.remove(new)
            raise

    def truncate(self, fd: int, length: int) -> None:
        _again(os.ftruncate, fd, length)

    def fsync(self, fd: int) -> None:
        _again(os.fsync, fd)

    def fsync_folder(self, path: str) -> None:
        """Make a rename last. Windows has no descriptors of folders, and does not need it."""
        if os.name == "nt":
            return
        with self.opened(path, READ) as fd:
            self.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    def chmod(self, path: str, mode: int) -> None:
        _again(os.chmod, path, mode)

    def rename(self, source: str, target: str) -> None:
        _again(os.replace, source, target)

    def remove(self, path: str) -> None:
        os.remove(path)

    def make_folders(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def lock(self, fd: int, *, shared: bool = False) -> bool:
        """Wait for the lock of an open file; False if there is none to be had here (NFS without locks, Windows).

        Raises TimeoutError if somebody keeps it.
        """
        if fcntl is None:  # Windows; O_APPEND keeps documents apart there, without protection from torn ones of others
            return False
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                _again(fcntl.flock, fd, kind | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if monotonic() > deadline:
                    raise TimeoutError(f"another process keeps it locked for {LOCK_TIMEOUT_S:.0f} seconds") from None
                sleep(LOCK_INTERVAL_S)
            except OSError:
                return False

    def unlock(self, fd: int) -> None:
        if fcntl is not None:
            with suppress(OSError):  # closing the descriptor frees it as well
                _again(fcntl.flock, fd, fcntl.LOCK_UN)


def _again(call: Callable[..., _Result], *arguments: Any) -> _Result:
    """Make a call, again if a signal interrupts it. Python's own calls do so, but not what is put in their place."""
    while True:
        try:
            return call(*arguments)
        except InterruptedError:
            continue
