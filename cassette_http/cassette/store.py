"""The file of a cassette: it survives kills, full disks and other writers.

Documents are appended to a log (`log_file`). With `rewrite`, the new cassette is collected in a file beside the old
one, and only `commit` replaces the old one, with it or with what `settle` makes of the two.
"""

from __future__ import annotations

import contextlib
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cassette_http.cassette.blobs import BlobFolder, blob_names, needed_by, needed_by_none
from cassette_http.cassette.files import APPEND, READ, Files, drop_left_behind, unfinished
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.yaml_format import BEGINNING, TERMINATOR, Documents
from cassette_http.cassette.limits import irregular, refuse_too_large, refuse_too_many, too_large
from cassette_http.cassette.log_file import BOUNDARY, LogFile, length_at
from cassette_http.cassette.model import Header
from cassette_http.errors import CassetteFormatError, CassetteNotWritable
from cassette_http.system import is_there, os

UNCHANGED = "its documents stay as they are"
SHORTEST_HEADER = yaml_format.dump_header(Header()) + TERMINATOR


class Store:
    """The file at `path`. Safe for threads, processes and forks; make one for each block that uses the cassette.

    `header` begins a new file. Bodies of more than `blob_threshold` octets get files of their own (`put_aside`).
    `settle(old, new)` is called when a rewrite is committed, with the octets of both files (b"" if there is no old
    one), and returns those that the file shall have. With `only_adds`, a rewrite that recorded nothing leaves the file
    unchanged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        header: Header | None = None,
        rewrite: bool = False,
        settle: Callable[[bytes, bytes], bytes] | None = None,
        only_adds: bool = False,
        blob_threshold: int | None = None,
        files: Files | None = None,
    ) -> None:
        self.path = path if isinstance(path, Path) else Path(path)
        self.failure: CassetteNotWritable | None = None
        self._header = yaml_format.dump_header(header) + TERMINATOR if header is not None else SHORTEST_HEADER
        self._files = files or Files()
        self._owner = os.getpid()
        if "\0" in str(self.path):
            raise CassetteFormatError(str(self.path), None, "is not a valid file name")
        # It stays the same file if the program changes its working directory.
        self._target = os.path.join(os.getcwd(), self.path)
        if os.path.islink(self._target):  # and a link stays a link: what it points to is written
            self._target = os.path.realpath(self._target)
        written = self._target
        self.blobs = BlobFolder(self._target, blob_threshold, self._files)
        if rewrite:
            written = unfinished(self._target)
        self._is_rewrite, self._settle, self._only_adds = rewrite, settle, only_adds
        self._convert: Callable[[bytes], Iterable[bytes]] | None = None
        self._converts_nothing = False
        self._log = LogFile(written, str(self.path), self._header, self._files, is_new=rewrite)
        self._lock, self._pid = threading.Lock(), os.getpid()

    # --- reading ---

    def exists(self) -> bool:
        """Tell whether there is something to replay; an empty file does not count.

        It may still be an invalid cassette; `load` then says so.
        """
        try:
            status = self._files.stat(self._target)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:  # a loop of links, a name that is too long, a folder without permission
            raise CassetteFormatError(str(self.path), None, f"cannot be read: {exc.strerror}") from exc
        return not stat.S_ISREG(status.st_mode) or status.st_size > 0

    def load(self) -> Documents:
        """Read the file and find its documents. Raises FileNotFoundError, CassetteFormatError."""
        return yaml_format.scan(self.read(), str(self.path))

    def read(self) -> bytes:
        """Read the whole file. Raises FileNotFoundError; CassetteFormatError if it cannot be a cassette."""
        self._refuse_unreadable(self._files.stat(self._target))
        try:
            with self._files.opened(self._target, READ) as fd:
                # Wait until a writer has finished its document, but not forever.
                with contextlib.suppress(TimeoutError):
                    self._files.lock(fd, shared=True)
                status = self._files.fstat(fd)
                self._refuse_unreadable(status)
                return self._files.read_all(fd, status.st_size)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise CassetteFormatError(str(self.path), None, f"cannot be read: {exc.strerror}") from exc

    def refuse_irregular(self) -> None:
        """Raise CassetteFormatError if the path is not a file but something that a rewrite must not replace."""
        if self.exists() and (reason := irregular(self._files.stat(self._target).st_mode)) is not None:
            raise CassetteFormatError(str(self.path), None, reason)

    def _refuse_unreadable(self, status: os.stat_result) -> None:
        if (reason := irregular(status.st_mode) or too_large(status.st_size)) is not None:
            raise CassetteFormatError(str(self.path), None, reason)

    # --- writing ---

    def append(self, *documents: bytes) -> None:
        """Add documents (as returned by `yaml_format.dump_...`, without terminators), all of them or none.

        The first failure raises CassetteNotWritable; nothing is written after it, because a cassette with a gap would
        replay something else. Raises CassetteFormatError if the file is not a cassette, and leaves it unchanged.
        """
        with self._turn():
            if self.failure is not None:
                return
            try:
                with self._log.locked() as length:
                    foreign = self._foreign(length)
                    if foreign is None:
                        self._log.write(length, yaml_format.whole_file(documents))
                    else:
                        self._log.put_in_place(yaml_format.whole_file([*foreign, *documents]))
            except OSError as exc:
                failed = self._failed(exc)
                self._drop_blobs()  # at once, as a forked child may end without leaving the block
                raise failed from exc

    def put_aside(self, content: bytes, shown: int, consequence: str | None = None) -> str | None:
        """Store a content in its own file if it has many octets to show, and return the reference to write instead.

        Raises CassetteNotWritable, which names the `consequence` if it is not the usual one of a recording.
        """
        try:
            return self.blobs.put(content, shown) if self.failure is None else None
        except OSError as exc:
            raise self._failed(exc, consequence) from exc

    def adopt(self, convert: Callable[[bytes], Iterable[bytes]], from_nothing: bool = False) -> None:
        """Treat the file as a cassette of another recorder; the first append converts it to our format.

        `convert` gets its octets, and returns its documents, the header first. A kill leaves either the old file or the
        new one. `from_nothing`: there is no file yet, as the cassette is kept elsewhere.
        """
        self._convert, self._converts_nothing = convert, from_nothing

    def _foreign(self, length: int) -> Iterable[bytes] | None:
        """The documents of the file if it still has to be converted: another process may have done that."""
        if self._convert is None or self._is_rewrite:
            return None
        data = self._log.read(length)
        if data.startswith(BEGINNING) or not (data or self._converts_nothing):
            self._convert = None
            return None
        return self._convert(data)

    def _turn(self) -> threading.Lock:
        """The lock for the threads of this process.

        A forked child gets a lock of its own, as a thread that it does not have may hold this one; and a descriptor of
        its own, as a shared one would share the lock of the file with the parent.
        """
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
            self._log.close()
        return self._lock

    def _failed(self, exc: OSError, consequence: str | None = None) -> CassetteNotWritable:
        reason = exc.strerror or str(exc)
        if consequence is None and self._is_empty():
            consequence = "nothing was recorded"
        elif consequence is None and self._is_rewrite:
            consequence = "the old one stays as it is"
        elif consequence is None:
            consequence = "what was recorded before is in the file, this interaction and later ones are not"
        self.failure = CassetteNotWritable(
            f"the cassette {str(self.path)!r} cannot be written: {reason}; {consequence}"
        )
        self.failure.errno = exc.errno
        return self.failure

    def _is_empty(self) -> bool:
        """Tell whether there is no file, or nothing in it, as far as a failing disk says so."""
        with contextlib.suppress(CassetteFormatError):
            return not self.exists()
        return False

    def replace(self, old: Sequence[bytes], new: Sequence[bytes], order: Sequence[int] | None = None) -> None:
        """Replace the `old` documents by the `new` ones; otherwise like `append`.

        `old` are in the order in which they were appended; there may be others between them. With `order` they are also
        rearranged: it gives for each place the position in `new`. If some of the old ones have disappeared, the others
        stay where they are. Used for secrets that are found after a document with them was written, and for requests
        that were not answered in order. A kill leaves either the old file or the new one. Raises CassetteNotWritable.
        """
        with self._turn():
            if self.failure is not None:
                return
            try:
                with self._log.locked() as length:
                    self._log.put_in_place(self._replaced(self._log.read(length), old, new, order))
            except OSError as exc:
                raise self._failed(exc, UNCHANGED) from exc

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
        """Restore the octets `before` (None: remove the file), and remove blobs that nothing needs after that.

        Returns False and changes nothing if the file no longer has the octets `after`. A kill leaves one or the other.
        Raises CassetteNotWritable.
        """
        try:
            if not self.exists():
                return False
            with self._turn(), self._log.locked() as length:
                if self._log.read(length) != after:
                    return False
                if before is None:
                    self._files.remove(self._log.path)
                elif after.startswith(before):
                    self._log.truncate(len(before))
                else:
                    self._log.put_in_place(before)
            brought = blob_names(after) - blob_names(before or b"")
            self.blobs.remove(needed_by_none(brought, os.path.dirname(self._target), self._files))
            return True
        except OSError as exc:
            raise self._failed(exc, "it has what was recorded by the failed test") from exc
        finally:
            self._log.close()

    # --- the end ---

    def commit(self) -> None:
        """Finish successfully: write everything to the disk; a rewritten cassette replaces the old one.

        A rewrite that recorded nothing leaves an empty cassette if there was one before. Raises CassetteNotWritable,
        unless `append` did so before: then a rewrite is discarded.
        """
        if self.failure is not None:
            self.discard()
            return
        with self._turn():
            try:
                if self._is_rewrite and self._owner == self._pid:
                    self._finish_rewrite()
                else:
                    self._log.sync()
            except OSError as exc:
                raise self._failed(exc) from exc
            finally:
                self._log.close()
                if self._is_rewrite and self.failure is not None:
                    self._remove_new()
                self._drop_blobs()

    def save(self, *documents: bytes) -> None:
        """Append documents, and finish. Raises what `append` and `commit` raise, and then leaves nothing behind."""
        try:
            self.append(*documents)
            self.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Finish after an error: drop what a rewrite recorded. What was appended to a cassette stays."""
        with self._turn():
            if not self._is_rewrite:
                with contextlib.suppress(OSError):
                    self._log.sync()
            self._log.close()
            if self._is_rewrite and self._owner == self._pid:
                self._remove_new()
            self._drop_blobs()

    def _finish_rewrite(self) -> None:
        log = self._log
        if not log.is_open:
            # A forked child may have recorded into it.
            if not self.exists() or (self._only_adds and not is_there(log.path)):
                return
            with log.locked() as length:
                log.write(length, b"")
        if self._settle is None:
            self._take_place()
            return
        new = log.read()
        with self._old_locked() as old:
            result = self._settle(old, new)
            if result == old:
                log.close()
                self._remove_new()
                return
            refuse_too_large(len(result))
            refuse_too_many(result.count(BOUNDARY))
            if result != new:
                log.overwrite(result)
            self._take_place()

    def _take_place(self) -> None:
        self._log.sync()
        self._log.close()  # Windows can only rename closed files
        with contextlib.suppress(FileNotFoundError):
            old = self._files.stat(self._target)
            if (reason := irregular(old.st_mode)) is not None:
                raise OSError(reason)  # a rename would replace a pipe or a device by a file
            self._files.chmod(self._log.path, stat.S_IMODE(old.st_mode))
        self._files.rename(self._log.path, self._target)
        self._files.fsync_folder(os.path.dirname(self._target))
        drop_left_behind(self._target, self._files)

    @contextlib.contextmanager
    def _old_locked(self) -> Iterator[bytes]:
        """Read and lock the file to be replaced; created if missing, so that two writers use the same lock."""
        while True:
            fd = self._files.open(self._target, APPEND)
            with contextlib.ExitStack() as stack:
                stack.callback(self._files.close, fd)
                if self._files.lock(fd):
                    stack.callback(self._files.unlock, fd)
                length = length_at(self._target, fd, self._files)
                if length is not None:
                    old = self._files.read_all(fd, length)
                    if self._convert is not None and old and not old.startswith(BEGINNING):
                        old = self._header + yaml_format.whole_file(self._convert(old))
                    if os.name == "nt":
                        stack.close()  # an open file cannot be replaced on Windows
                    yield old
                    return

    def _drop_blobs(self) -> None:
        """Remove blobs that are not needed after all: their documents were discarded, not written, or keep their old
        form.
        """
        if self.failure is not None or (self._is_rewrite and self._owner == self._pid):
            self.blobs.remove(needed_by_none(self.blobs.made, os.path.dirname(self._target), self._files))

    def _remove_new(self) -> None:
        with contextlib.suppress(OSError):
            self.blobs.made |= needed_by(self._log.path, self._files)  # includes those of forked children
        with contextlib.suppress(OSError):
            self._files.remove(self._log.path)
