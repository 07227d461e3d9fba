"""The file of a cassette: an append-only log that survives kills, full disks and other writers.

A document is appended by one `write` under a file lock; what a killed writer left torn is cut off before. `rewrite`
collects the new cassette in a file beside the old one, and only `commit` puts it in its place, or what `settle` makes
of the two.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cassette_http.cassette.blobs import BlobFolder, blob_names
from cassette_http.cassette.files import APPEND, CREATE, READ, Files
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.yaml_format import BEGINNING, MOST_DOCUMENTS, TERMINATOR, Documents
from cassette_http.cassette.model import Header
from cassette_http.errors import CassetteFormatError, CassetteNotWritable

__all__ = ["LARGEST_CASSETTE_OCTETS", "Store", "needed_by_none"]

LARGEST_CASSETTE_OCTETS = 50 * 1024 * 1024

# How a file ends that nobody left in the middle of a document.
ENDING = b"\n" + TERMINATOR
BOUNDARY = ENDING[:-1]


class Store:
    """The file at `path`. Safe for threads, processes and forks; make one per block that uses the cassette.

    `header` opens a new file. Bodies of more than `blob_threshold` octets get files of their own (`put_aside`). With
    `sync`, each document is on the disk itself, not only with the system, when `append` returns. `settle(old, new)`
    gets the octets of both files (of the old one none, if it is missing) when a rewrite is committed, and returns those
    that the file shall have.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        header: Header | None = None,
        rewrite: bool = False,
        settle: Callable[[bytes, bytes], bytes] | None = None,
        sync: bool = False,
        blob_threshold: int | None = None,
        files: Files | None = None,
    ) -> None:
        self.path = Path(path)
        self.failure: CassetteNotWritable | None = None
        self._header = yaml_format.dump_header(header or Header()) + TERMINATOR
        self._sync = sync
        self._files = files or Files()
        self._owner = os.getpid()
        if "\0" in str(self.path):
            raise CassetteFormatError(str(self.path), None, "is no name that a file can have")
        # It stays the same file if the program changes its folder.
        self._target = os.path.join(os.getcwd(), self.path)
        if os.path.islink(self._target):  # and a link stays a link: what it points to is written
            self._target = os.path.realpath(self._target)
        self._written = self._target
        self.blobs = BlobFolder(self._target, blob_threshold, self._files)
        if rewrite:
            folder, name = os.path.split(self._target)
            self._written = os.path.join(folder, f".{name}.{self._owner}-{secrets.token_hex(4)}.new")
        self._is_rewrite, self._settle = rewrite, settle
        self._has_begun = False
        self._convert: Callable[[bytes], Iterable[bytes]] | None = None
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._fd: int | None = None
        self._good_length = 0
        self._counted_octets = self._counted_documents = 0  # from the beginning of the file
        self._needs_sync = False

    # --- reading ---

    def exists(self) -> bool:
        """Tell whether there is something to replay; an empty file counts as none.

        It may still be no cassette: then `load` says what it is.
        """
        try:
            status = self._files.stat(self._target)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:  # a loop of links, a name that is too long, a folder that must not be read
            raise CassetteFormatError(str(self.path), None, f"cannot be read: {exc.strerror}") from exc
        return not stat.S_ISREG(status.st_mode) or status.st_size > 0

    def load(self) -> Documents:
        """Read the file and find its documents. Raises FileNotFoundError, CassetteFormatError."""
        return yaml_format.scan(self.read(), str(self.path))

    def read(self) -> bytes:
        """Read the whole file. Raises FileNotFoundError; CassetteFormatError if it cannot be a cassette."""
        self._refuse_unreadable(self._files.stat(self._target))
        try:
            fd = self._files.open(self._target, READ)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise CassetteFormatError(str(self.path), None, f"cannot be read: {exc.strerror}") from exc
        try:
            # Wait for a writer to end its document, but not for ever.
            with contextlib.suppress(TimeoutError):
                self._files.lock(fd, shared=True)
            status = self._files.fstat(fd)
            self._refuse_unreadable(status)
            return self._files.read_all(fd, status.st_size)
        except OSError as exc:
            raise CassetteFormatError(str(self.path), None, f"cannot be read: {exc.strerror}") from exc
        finally:
            self._files.close(fd)

    def refuse_irregular(self) -> None:
        """Raise CassetteFormatError if something else than a file is in its place, which a rewrite must not replace."""
        if self.exists() and (reason := _irregular(self._files.stat(self._target))) is not None:
            raise CassetteFormatError(str(self.path), None, reason)

    def _refuse_unreadable(self, status: os.stat_result) -> None:
        if (reason := _irregular(status)) is not None:
            raise CassetteFormatError(str(self.path), None, reason)
        if status.st_size > LARGEST_CASSETTE_OCTETS:
            raise CassetteFormatError(str(self.path), None, _too_large(status.st_size))

    # --- writing ---

    def append(self, *documents: bytes) -> None:
        """Add documents (as `yaml_format.dump_...` gives them, without terminators), all of them or none.

        The first failure raises CassetteNotWritable; after it nothing is written any more, as a cassette with a gap
        would replay something else. CassetteFormatError if the file is no cassette; it is left as it is.
        """
        if self._pid != os.getpid():
            self._leave_parent()
        with self._lock:
            if self.failure is not None:
                return
            try:
                with self._locked() as (fd, length):
                    foreign = self._foreign(fd, length)
                    if foreign is None:
                        self._write(fd, length, yaml_format.whole_file(documents))
                        return
                    fd, length = self._put_in_place(yaml_format.whole_file([*foreign, *documents]))
                self._close()
                self._fd, self._good_length, self._needs_sync = fd, length, True
            except OSError as exc:
                raise self._failed(exc) from exc

    def put_aside(self, content: bytes, shown: int) -> str | None:
        """Give a content a file of its own if there are many octets to show, and the reference to write instead.

        Raises CassetteNotWritable.
        """
        try:
            return self.blobs.put(content, shown) if self.failure is None else None
        except OSError as exc:
            raise self._failed(exc) from exc

    def adopt(self, convert: Callable[[bytes], Iterable[bytes]]) -> None:
        """Take the file for a cassette of another recorder; the first append makes one of ours of it.

        `convert` gets its octets, and returns its documents, the header first. A kill leaves the old file or the new
        one.
        """
        self._convert = convert

    def _foreign(self, fd: int, length: int) -> Iterable[bytes] | None:
        """The documents of the file if it is still to be converted: another process may have done so."""
        if self._convert is None or self._is_rewrite:
            return None
        data = self._files.read_all(fd, length)
        if data.startswith(BEGINNING) or not data:
            self._convert = None
            return None
        return self._convert(data)

    def _leave_parent(self) -> None:
        """After a fork: the descriptor shares its lock with the parent's, and another thread may hold ours."""
        inherited = self._fd
        self._forget()
        if inherited is not None:
            with contextlib.suppress(OSError):
                self._files.close(inherited)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        """Open the file if need be, and lock it; make sure that it is still the one at the path.

        Gives its descriptor and its length.
        """
        while True:
            fd = self._fd if self._fd is not None else self._open()
            is_locked = self._files.lock(fd)
            try:
                length = self._length_at(self._written, fd)
                if length is not None:
                    yield fd, length
                    return
            finally:
                if is_locked:
                    self._files.unlock(fd)
            # Somebody replaced or removed the file; what we wrote so far is gone by their will.
            self._close()

    def _open(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            self._refuse_unreadable(self._files.stat(self._written))
        # Once begun, the new file may have been replaced by a child of ours (see `replace`).
        is_new = self._is_rewrite and not self._has_begun and self._owner == os.getpid()
        flags = CREATE if is_new else APPEND
        try:
            fd = self._files.open(self._written, flags)
        except FileExistsError:  # a forked child was the first to write
            fd = self._files.open(self._written, APPEND)
        except FileNotFoundError:
            self._files.make_folders(os.path.dirname(self._written))
            fd = self._files.open(self._written, flags)
        self._fd, self._good_length, self._has_begun = fd, 0, True
        return fd

    def _length_at(self, path: str, fd: int) -> int | None:
        """The length of an open file, if it is the one at the path."""
        try:
            there = self._files.stat(path)
        except FileNotFoundError:
            return None
        here = self._files.fstat(fd)
        return here.st_size if os.path.samestat(here, there) else None

    def _write(self, fd: int, length: int, data: bytes) -> None:
        if length != self._good_length or not length:
            length, data = self._repair(fd, length, data)
        if length + len(data) > LARGEST_CASSETTE_OCTETS:
            raise OSError(_too_large(length + len(data)))
        new_documents = (b"\n" + data).count(BOUNDARY)
        if length + len(data) > MOST_DOCUMENTS * len(ENDING):  # small files need not be counted
            self._count(fd, length)
            _refuse_too_many(self._counted_documents + new_documents)
        try:
            self._write_all(fd, data)
            if self._sync:
                self._files.fsync(fd)
        except BaseException:
            # Also when a signal handler raises in the middle: no half document stays.
            with contextlib.suppress(OSError):
                self._files.truncate(fd, length)
            raise
        self._good_length = length + len(data)
        self._needs_sync = True
        if length == self._counted_octets:
            self._counted_octets = self._good_length
            self._counted_documents += new_documents

    def _count(self, fd: int, length: int) -> None:
        """Count the documents of the file, of which most were counted before."""
        if length == self._counted_octets:
            return
        if length < self._counted_octets:
            self._counted_octets = self._counted_documents = 0
        start = max(self._counted_octets - 1, 0)  # the line end in front of a boundary
        self._counted_documents += self._files.read(fd, length - start, start).count(BOUNDARY)
        self._counted_octets = length

    def _repair(self, fd: int, length: int, data: bytes) -> tuple[int, bytes]:
        """Look at what others left: cut off a torn document, write a missing header or terminator."""
        if length and not (
            self._files.read(fd, len(BEGINNING), 0) == BEGINNING
            and self._files.read(fd, len(ENDING), max(length - len(ENDING), 0)) == ENDING
        ):
            if length > LARGEST_CASSETTE_OCTETS:
                raise CassetteFormatError(str(self.path), None, _too_large(length))
            good, needs_terminator = yaml_format.intact_length(self._files.read_all(fd, length), str(self.path))
            if good < length:
                self._files.truncate(fd, good)
                length = good
            if needs_terminator:
                data = TERMINATOR + data
        return length, data if length else self._header + data

    def _failed(self, exc: OSError, consequence: str | None = None) -> CassetteNotWritable:
        reason = exc.strerror or str(exc)
        if consequence is None and self._is_rewrite:
            consequence = "the old one stays as it is"
        elif consequence is None:
            consequence = "what was recorded before is in the file, this interaction and later ones are not"
        self.failure = CassetteNotWritable(
            f"the cassette {str(self.path)!r} cannot be written: {reason}; {consequence}"
        )
        self.failure.errno = exc.errno
        return self.failure

    def replace(self, old: Sequence[bytes], new: Sequence[bytes], order: Sequence[int] | None = None) -> None:
        """Put `new` documents in the place of `old` ones, all as for `append`.

        A kill leaves the old file or the new one. `old` are in the order in which they were appended; others may lie
        between. With `order` they are arranged anew: it gives the position in `new` of each that is to stand there. If
        some of the old ones are not there any more, the others stay where they are. For secrets that are recognised
        only after a document with them was written, and for requests that were not answered in turn. Raises
        CassetteNotWritable.
        """
        if self._pid != os.getpid():
            self._leave_parent()
        with self._lock:
            if self.failure is not None:
                return
            try:
                with self._locked() as (fd, length):
                    data = self._files.read_all(fd, length)
                    fd, length = self._put_in_place(self._replaced(data, old, new, order))
                self._close()
                self._fd, self._good_length, self._needs_sync = fd, length, True
            except OSError as exc:
                raise self._failed(exc, "its documents stay as they are") from exc

    def _replaced(self, data: bytes, old: Sequence[bytes], new: Sequence[bytes], order: Sequence[int] | None) -> bytes:
        places: list[tuple[int, int, int]] = []  # start, stop, position in `old`
        documents = yaml_format.scan(data, str(self.path))
        behind = len(documents)
        for position in range(len(old) - 1, -1, -1):
            at = next((at for at in range(behind - 1, -1, -1) if documents[at].octets == old[position]), None)
            if at is not None:
                behind = at
                places.append((documents[at].start, documents[at].end, position))
        if order is not None and len(places) == len(old):
            places = [(start, stop, order[position]) for start, stop, position in places]
        parts, at = [], 0
        for start, stop, position in reversed(places):
            parts += [data[at:start], new[position]]
            at = stop
        return b"".join([*parts, data[at:]])

    def revert(self, before: bytes | None, after: bytes) -> bool:
        """Let the file have again the octets that it had (None: be missing), and drop the blobs that only it needs now.

        False, and it stays as it is, if it does not have those of `after` any more. A kill leaves one or the other.
        Raises CassetteNotWritable.
        """
        try:
            if not self.exists():
                return False
            with self._lock, self._locked() as (fd, length):
                if self._files.read_all(fd, length) != after:
                    return False
                if before is None:
                    self._files.remove(self._written)
                elif after.startswith(before):
                    self._files.truncate(fd, len(before))
                else:
                    self._files.close(self._put_in_place(before)[0])
            brought = blob_names(after) - blob_names(before or b"")
            self.blobs.remove(needed_by_none(brought, os.path.dirname(self._target), self._files))
            return True
        except OSError as exc:
            raise self._failed(exc, "it has what was recorded by the failed test") from exc
        finally:
            self._close()

    def _put_in_place(self, data: bytes) -> tuple[int, int]:
        """Write another file, and let it take the place of the one at the path; give its descriptor and length."""
        _refuse_too_many(data.count(BOUNDARY))
        new = f"{self._written}.{secrets.token_hex(4)}"
        fd = self._files.open(new, CREATE)
        try:
            self._write_all(fd, data)
            self._files.fsync(fd)
            self._files.chmod(new, stat.S_IMODE(self._files.stat(self._written).st_mode))
            self._files.rename(new, self._written)
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.close(fd)
            with contextlib.suppress(OSError):
                self._files.remove(new)
            raise
        return fd, len(data)

    def _write_all(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._files.write(fd, view) :]

    # --- the end ---

    def commit(self) -> None:
        """Finish well: bring everything to the disk; a rewritten cassette takes the place of the old one.

        A rewrite that recorded nothing leaves an empty cassette if there was one before. Raises CassetteNotWritable,
        unless `append` did so already: then a rewrite is discarded.
        """
        if self._pid != os.getpid():
            self._leave_parent()
        if self.failure is not None:
            self.discard()
            return
        with self._lock:
            try:
                if self._is_rewrite and self._owner == self._pid:
                    self._replace()
                elif self._fd is not None and self._needs_sync:
                    self._files.fsync(self._fd)
            except OSError as exc:
                raise self._failed(exc) from exc
            finally:
                self._close()
                if self._is_rewrite and self.failure is not None:
                    self._remove_new()
                self._drop_blobs()

    close = commit

    def discard(self) -> None:
        """Finish badly: drop what a rewrite recorded. What was appended to a cassette stays."""
        if self._pid != os.getpid():
            self._leave_parent()
        with self._lock:
            if self._fd is not None and self._needs_sync and not self._is_rewrite:
                with contextlib.suppress(OSError):
                    self._files.fsync(self._fd)
            self._close()
            if self._is_rewrite and self._owner == self._pid:
                self._remove_new()
                self._drop_blobs()

    def _replace(self) -> None:
        if self._fd is None:
            if not self.exists():
                return
            with self._locked() as (fd, length):
                self._write(fd, length, b"")
        assert self._fd is not None
        if self._settle is None:
            self._take_place(self._fd)
            return
        new = self._files.read_all(self._fd, self._files.fstat(self._fd).st_size)
        with self._old_locked() as old:
            result = self._settle(old, new)
            if result == old:
                self._close()
                self._remove_new()
                return
            if len(result) > LARGEST_CASSETTE_OCTETS:
                raise OSError(_too_large(len(result)))
            _refuse_too_many(result.count(BOUNDARY))
            if result != new:
                self._files.truncate(self._fd, 0)
                self._write_all(self._fd, result)
            self._take_place(self._fd)

    def _take_place(self, fd: int) -> None:
        self._files.fsync(fd)
        self._close()  # Windows renames closed files only
        with contextlib.suppress(FileNotFoundError):
            old = self._files.stat(self._target)
            if (reason := _irregular(old)) is not None:
                raise OSError(reason)  # a rename would put a file in the place of a pipe, or of a device
            self._files.chmod(self._written, stat.S_IMODE(old.st_mode))
        self._files.rename(self._written, self._target)
        self._files.fsync_folder(os.path.dirname(self._target))

    @contextlib.contextmanager
    def _old_locked(self) -> Iterator[bytes]:
        """Read and lock the file that is to be replaced; it is made if it is missing, so that two writers meet."""
        while True:
            fd = self._files.open(self._target, APPEND)
            with contextlib.ExitStack() as stack:
                stack.callback(self._files.close, fd)
                if self._files.lock(fd):
                    stack.callback(self._files.unlock, fd)
                length = self._length_at(self._target, fd)
                if length is not None:
                    old = self._files.read_all(fd, length)
                    if self._convert is not None and old and not old.startswith(BEGINNING):
                        old = self._header + yaml_format.whole_file(self._convert(old))
                    if os.name == "nt":
                        stack.close()  # an open file cannot be replaced there
                    yield old
                    return

    def _drop_blobs(self) -> None:
        """Remove blobs that a rewrite made in vain: for documents that were discarded, or that keep their old form."""
        if self._is_rewrite:
            self.blobs.remove(needed_by_none(self.blobs.made, os.path.dirname(self._target), self._files))

    def _remove_new(self) -> None:
        with contextlib.suppress(OSError):
            self._files.remove(self._written)

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._good_length, self._needs_sync = 0, False
            self._counted_octets = self._counted_documents = 0
            with contextlib.suppress(OSError):
                self._files.close(fd)


def needed_by_none(names: set[str], folder: str, files: Files) -> set[str]:
    """Those blobs that no file in a folder needs; none of them if a file there cannot be read.

    A cassette may have any suffix, and one that another process is about to put into place counts as well.
    """
    unneeded = set(names)
    try:
        for name in os.listdir(folder) if unneeded else ():
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                status = files.stat(path)
                if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_CASSETTE_OCTETS:
                    fd = files.open(path, READ)
                    try:
                        unneeded -= blob_names(files.read_all(fd, status.st_size))
                    finally:
                        files.close(fd)
    except OSError:
        return set()
    return unneeded


def _irregular(status: os.stat_result) -> str | None:
    """Why what is there is no file; None if it is one."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        return "is a folder; name a file in it"
    return None if kind == stat.S_IFREG else "is no regular file (but a pipe, a socket or a device)"


def _too_large(octets: int) -> str:
    return (
        f"a cassette of {octets / 2**20:,.0f} MiB is too large, the limit is {LARGEST_CASSETTE_OCTETS / 2**20:.0f} MiB;"
        " record less into one file"
    )


def _refuse_too_many(documents: int) -> None:
    if documents > MOST_DOCUMENTS:
        raise OSError(f"a cassette has at most {MOST_DOCUMENTS:,} documents; record less into one file")
