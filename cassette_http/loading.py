"""What a session reads: our own cassettes, and those of other recorders, which it converts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cassette_http.cassette.blobs import BlobsInMemory
from cassette_http.cassette.format.reading import Fetch
from cassette_http.cassette.format.yaml_format import BEGINNING, Documents, looks_foreign, scan_in_parts
from cassette_http.cassette.hooks import Hooks
from cassette_http.cassette.model import Header
from cassette_http.cassette.modes import RecordMode, is_build_server
from cassette_http.cassette.rule_notation import did_you_mean
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteFormatError, CassetteNotFound, CassetteWarning
from cassette_http.system import is_there

if TYPE_CHECKING:
    from cassette_http.cassette.secrets.redaction import Redactor
    from cassette_http.frozen_time import FrozenTime


class Loaded(NamedTuple):
    """A cassette that was read: its parts (see `scan_in_parts`), and what fetches its large bodies.

    It `is_foreign` if another recorder has written it.
    """

    parts: Iterator[Documents]
    fetch: Fetch
    is_foreign: bool = False


class Loader:
    """Reads cassettes according to the options of a session; for `decode` see `use_cassette`."""

    def __init__(self, decode: Callable[[bytes, str], bytes] | None, hooks: Hooks) -> None:
        self._decode, self._hooks = decode, hooks

    def load(self, store: Store, mode: RecordMode, *, allow_missing: bool = False) -> Loaded:
        """Read a cassette, unless `mode` replaces it. Raises CassetteFormatError; in mode "none" CassetteNotFound."""
        nothing = Loaded(iter(()), store.blobs.fetch)
        if mode is RecordMode.REWRITE:
            store.refuse_irregular()
            return nothing
        data = self.decoded(store.read() if store.exists() else b"", store.path)
        if data:
            if looks_foreign(data):
                return self._load_foreign(data, str(store.path))
            return Loaded(scan_in_parts(data, str(store.path)), store.blobs.fetch)
        if mode is RecordMode.NONE and not allow_missing:
            raise _not_found(store.path)
        return nothing

    def decoded(self, data: bytes, path: Path) -> bytes:
        """The octets of a file, or those of a cassette of a known recorder, made by `decode`.

        It is only called without octets if its attribute `finds_missing` says that it may find a cassette elsewhere.
        """
        if self._decode is None or data.startswith(BEGINNING):
            return data
        return self._decode(data, str(path)) if data or getattr(self._decode, "finds_missing", False) else b""

    def _load_foreign(self, data: bytes, path: str) -> Loaded:
        # Late, as it imports PyYAML, which our own cassettes do not need.
        from cassette_http.convert.documents import as_documents
        from cassette_http.convert.formats import read_foreign

        foreign = read_foreign(data, path)
        if lost := [change for change in foreign.changes if change.is_loss]:
            first = f"interaction {lost[0].number} {lost[0].text}"
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            warnings.warn(f"{path} is not replayed completely: {first}{more}", CassetteWarning, stacklevel=5)
        if self._hooks.on_match:
            # In our own cassettes, this hook has been applied already.
            asked = [(one, self._hooks.asked(one.request)) for one in foreign.interactions if one.request]
            kept = tuple([replace(one, request=request) for one, request in asked if request is not None])
            foreign = replace(foreign, interactions=kept)
        large = BlobsInMemory()
        return Loaded(iter([as_documents(foreign, path, large.put)]), large.fetch, is_foreign=True)

    def converted(self, data: bytes, redactor: Redactor, store: Store, header: Header) -> list[bytes]:
        """The documents of a cassette of another recorder, without secrets: the file in `store` becomes ours.

        `data` is decoded already; `header` gets the time of its recording.
        """
        from cassette_http.convert.documents import redacted_documents
        from cassette_http.convert.formats import read_foreign

        foreign = read_foreign(data, str(store.path))
        return redacted_documents(foreign, redactor, replace(header, recorded=foreign.recorded), store.blobs.put)


def _not_found(path: Path) -> CassetteNotFound:
    reason = f"there is no cassette {str(path)!r} to replay"
    if is_there(path):
        reason = f"the cassette {str(path)!r} is an empty file, with nothing to replay"
    elif not path.is_absolute():
        reason += f" (in the folder {os.getcwd()})"
    why = ", which is not the default where CI=true" if is_build_server(os.environ) else ""
    try:
        names = os.listdir(path.parent)
    except OSError:
        names = []
    # By their stems, as any two names with the same suffix would be similar.
    others = {os.path.splitext(name)[0]: name for name in names if name != path.name}
    near = did_you_mean(path.stem, others, shown=others)
    return CassetteNotFound(f'{reason}; to record it, run once with record_mode="once"{why}{near}')


def recorded_at(documents: Documents, path: str) -> float | None:
    """When a cassette was recorded, in seconds since 1970; None if its header has no time, or if it is empty."""
    from cassette_http.cassette.volatile import time_of  # late, as few sessions ask for it

    head = documents[0].load(path) if documents else None
    return time_of(head) if isinstance(head, Header) else None


def time_of_recording(documents: Documents, path: str) -> FrozenTime | None:
    """The clock to set; None if there is nothing to play. Raises CassetteFormatError if the header has no time."""
    if not documents:
        return None
    from cassette_http.frozen_time import FrozenTime  # late, as few sessions set the clock

    recorded = recorded_at(documents, path)
    if recorded is None:
        raise CassetteFormatError(
            path, 1, "freeze_time needs the time of recording; add a line such as 'recorded: 2026-11-22T17:57:05Z'"
        )
    return FrozenTime(recorded)
