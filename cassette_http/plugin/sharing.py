"""Cassettes that several tests of one run record, one after the other or in several processes (pytest-xdist).

Record modes depend on what the file contained when it was opened. With several tests per cassette, that must mean: when
the run began. So the first test that records a cassette leaves a mark, which tells later ones that the content comes
from this run. Marks are in memory, and for several processes in a folder that they share.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cassette_http.cassette.modes import RecordMode
from cassette_http.system import is_there, os

BEGUN, REWRITTEN = "begun", "rewritten"

# The key for the folder in what the controller sends to its workers.
FOLDER = "cassette_http_marks"


class Sharing:
    """The marks of this run; `folder` is where processes share them."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._marks: set[tuple[str, str]] = set()

    def mode(self, path: Path, mode: RecordMode) -> RecordMode:
        """Return the mode in which the cassette must be opened now, so that the run as a whole acts as in `mode`."""
        if mode is not RecordMode.ONCE:
            return mode
        has_content = is_there(path) and os.stat(path).st_size > 0
        # In this order, as the mark is written before the content.
        if self._has(BEGUN, path):
            return RecordMode.NEW_EPISODES
        if has_content:
            return mode
        if not self._mark(BEGUN, path):
            return RecordMode.NEW_EPISODES
        # Another process may write before this one opens the file: that must not turn recording off here.
        return mode if self.folder is None else RecordMode.ALL

    def is_rewritten(self, path: Path) -> bool:
        """Tell whether this was asked before: only the first rewrite of a run drops what an earlier run recorded."""
        return not self._mark(REWRITTEN, path)

    def remove(self) -> None:
        """The run is over, here and in all workers."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _has(self, kind: str, path: Path) -> bool:
        if (kind, str(path)) in self._marks:
            return True
        return self.folder is not None and is_there(self._file(kind, path))

    def _mark(self, kind: str, path: Path) -> bool:
        """Leave a mark; False if another process was faster."""
        if (kind, str(path)) in self._marks:
            return False
        self._marks.add((kind, str(path)))
        if self.folder is None:
            return True
        try:
            os.close(os.open(self._file(kind, path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    def _file(self, kind: str, path: Path) -> Path:
        assert self.folder is not None, "processes share a folder"
        return self.folder / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.{kind}"


_sharing = pytest.StashKey[Sharing]()


def sharing_of(config: pytest.Config) -> Sharing:
    if _sharing not in config.stash:
        given = getattr(config, "workerinput", {}).get(FOLDER)
        config.stash[_sharing] = Sharing(Path(given) if given else None)
    return config.stash[_sharing]


def share_with_worker(config: pytest.Config, given: dict[str, Any]) -> None:
    """Tell a worker of pytest-xdist where marks are shared."""
    sharing = sharing_of(config)
    if sharing.folder is None:
        sharing.folder = Path(tempfile.mkdtemp(prefix="cassette-http-"))
    given[FOLDER] = str(sharing.folder)
