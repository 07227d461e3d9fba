"""Large bodies are kept in files of their own beside the cassette, named by their content: `blobs/<sha256>`.

Each is written before the document that names it, verified when it is read, and never changed.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator
from hashlib import sha256

from cassette_http.cassette.files import READ, Files
from cassette_http.cassette.limits import LARGEST_CASSETTE_OCTETS
from cassette_http.system import os

FOLDER = "blobs"
LARGEST_BLOB_OCTETS = 1 << 32
# A document with a larger body could be too large to read.
LARGEST_SHOWN_OCTETS = 4 << 20

_REFERENCE = re.compile(rb"\{blob: blobs/([0-9a-f]{64}), octets: ([0-9]{1,12})\}")


def blob_names(data: bytes) -> set[str]:
    """The names of the blobs that a cassette or a document refers to."""
    if data.find(b"{blob: ") < 0:
        return set()
    return {name.decode("ascii") for name, _ in _REFERENCE.findall(data)}


def blob_sizes(data: bytes) -> list[int]:
    return [int(octets) for _, octets in _REFERENCE.findall(data)]


def reference_to(content: bytes) -> str:
    """What a document contains instead of a content that is in a blob."""
    return f"{FOLDER}/{sha256(content).hexdigest()}"


class BlobFolder:
    """The folder `blobs` beside the cassette at `path`.

    It gets bodies of more than `threshold` octets; if that is None, only those that are too large for a document.
    """

    def __init__(self, path: str, threshold: int | None, files: Files) -> None:
        self.path = os.path.join(os.path.dirname(path), FOLDER)
        self.made: set[str] = set()
        """The names of blobs that did not exist before."""
        self._threshold = min(threshold if threshold is not None else LARGEST_SHOWN_OCTETS, LARGEST_SHOWN_OCTETS)
        self._files = files

    def put(self, content: bytes, shown: int) -> str | None:
        """Store a content if it has many octets to show, and return the reference to write instead. Raises OSError."""
        if shown <= self._threshold:
            return None
        reference = reference_to(content)
        name = reference.rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError):
            if self._files.stat(os.path.join(self.path, name)).st_size == len(content):
                return reference
        self._files.make_folders(self.path)
        self._files.write_whole(os.path.join(self.path, name), content)
        self.made.add(name)
        return reference

    def fetch(self, reference: str, octets: int) -> bytes:
        """Read the content of a blob of `octets` octets. Raises ValueError, which says what is wrong."""
        name = reference.rpartition("/")[2]
        path = os.path.join(self.path, name)
        try:
            status = self._files.stat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size != octets or octets > LARGEST_BLOB_OCTETS:
                raise ValueError(f"lies in {path}, which is not a file of {octets:,} octets any more; {_REPAIR}")
            with self._files.opened(path, READ) as fd:
                content = self._files.read_all(fd, octets)
        except FileNotFoundError:
            raise ValueError(f"lies in {path}, which is missing; {_REPAIR}") from None
        except OSError as error:
            raise ValueError(f"lies in {path}, which cannot be read: {error.strerror}") from error
        if sha256(content).hexdigest() != name:
            raise ValueError(f"lies in {path}, whose content was changed; {_REPAIR}")
        return content

    def remove(self, names: set[str]) -> None:
        """Remove blobs, if they exist."""
        for name in names:
            with contextlib.suppress(OSError):
                self._files.remove(os.path.join(self.path, name))

    def __iter__(self) -> Iterator[str]:
        """The names of the blobs in the folder."""
        with contextlib.suppress(OSError):
            yield from sorted(name for name in os.listdir(self.path) if re.fullmatch("[0-9a-f]{64}", name))


class BlobsInMemory:
    """The same in memory, for cassettes that are only read and, like those of others, contain their large bodies."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def put(self, content: bytes, shown: int) -> str | None:
        """Store a content that is too large for a document, and return the reference to it."""
        if shown <= LARGEST_SHOWN_OCTETS:
            return None
        reference = reference_to(content)
        self._contents[reference] = content
        return reference

    def fetch(self, reference: str, octets: int) -> bytes:
        """Return a content that was stored."""
        return self._contents[reference]


_REPAIR = "it belongs to the cassette: restore it, or record again"


def needed_by_none(names: set[str], folder: str, files: Files) -> set[str]:
    """Return those blobs that no file in a folder needs; an empty set if a file there cannot be read.

    Files of any suffix count, as cassettes may have any, and so do files that another process is writing.
    """
    unneeded = set(names)
    try:
        for name in os.listdir(folder) if unneeded else ():
            with contextlib.suppress(FileNotFoundError):
                unneeded -= needed_by(os.path.join(folder, name), files)
    except OSError:
        return set()
    return unneeded


def needed_by(path: str, files: Files) -> set[str]:
    """The blobs that a file needs; none if it cannot be a cassette. Raises OSError."""
    status = files.stat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_CASSETTE_OCTETS:
        return set()
    with files.opened(path, READ) as fd:
        return blob_names(files.read_all(fd, status.st_size))
