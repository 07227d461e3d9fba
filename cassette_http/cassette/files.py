"""Every file operation of the store, one method each, so that a test can make any of them fail.

Errors are OSError, as raised by the system. Interrupted calls are repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep, time
from typing import Any, TypeVar

from cassette_http.system import fcntl, os

_Result = TypeVar("_Result")

# Text mode would change line ends on Windows; a FIFO must not block; child processes must not inherit descriptors.
_COMMON_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

READ = os.O_RDONLY | _COMMON_FLAGS
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | _COMMON_FLAGS
CREATE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _COMMON_FLAGS

LOCK_TIMEOUT_S = 10.0
LOCK_INTERVAL_S = 0.002


_UNFINISHED = re.compile(r"\.(.+)\.[0-9]+-[0-9a-f]{8}\.new")
A_DAY_S = 86_400.0


def unfinished(path: str) -> str:
    """A new name beside `path` for its successor, until that is complete; a killed process leaves it behind."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.new")


def find_unfinished(folder: str) -> list[str]:
    """List the names in a folder that `unfinished` made."""
    with suppress(OSError):
        return sorted(filter(_UNFINISHED.fullmatch, os.listdir(folder)))
    return []


def drop_left_behind(path: str, files: Files) -> None:
    """Remove what killed processes left beside `path`, if it is at least a day old, so that nobody is writing it.

    Process numbers are not checked: they mean nothing on another machine or in another container.
    """
    folder, name = os.path.split(path)
    for left in find_unfinished(folder):
        found = _UNFINISHED.fullmatch(left)
        if found is not None and found[1] == name:
            with suppress(OSError):
                if time() - files.stat(os.path.join(folder, left)).st_mtime > A_DAY_S:
                    files.remove(os.path.join(folder, left))


class Files:
    """The real file system."""

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
        """Read at an offset; `fd` is not shared, so its position does not matter to others."""
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
        """Write everything, in as many calls as necessary (usually one)."""
        view = memoryview(data)
        while view:
            view = view[self.write(fd, view) :]

    def write_whole(self, path: str, data: bytes) -> None:
        """Write a new file and move it to `path`; a kill or a failure leaves nothing incomplete there."""
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
        """Make a rename durable. Windows has no descriptors of folders, and does not need it."""
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
        """Wait for the lock of an open file; False if locks do not work here (NFS without locks, Windows).

        Raises TimeoutError if another process keeps the lock.
        """
        if fcntl is None:  # Windows; O_APPEND keeps documents apart there, but not torn ones of other processes
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
            with suppress(OSError):  # closing the descriptor unlocks it as well
                _again(fcntl.flock, fd, fcntl.LOCK_UN)


def _again(call: Callable[..., _Result], *arguments: Any) -> _Result:
    """Make a call, and repeat it if a signal interrupts it. Python's own calls do that; replacements may not."""
    while True:
        try:
            return call(*arguments)
        except InterruptedError:
            continue
