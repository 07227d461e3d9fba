"""The cassette in use, as a program sees it: what it holds, and what became of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cassette_http.cassette.blobs import blob_names
from cassette_http.cassette.buckets import Entry
from cassette_http.cassette.explaining import Candidate, Difference, Explanation
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.reading import Fetch
from cassette_http.cassette.index import Index
from cassette_http.cassette.model import Interaction, Origin, Request
from cassette_http.cassette.modes import RecordMode, policy
from cassette_http.errors import CassetteFormatError
from cassette_http.wording import counted, number_of

# The report of a failure shows far less.
MOST_EXCHANGES = 100


@dataclass(frozen=True)
class Miss:
    """A request that was refused. `where` is the line of the user's code that sent it, as "file:line"."""

    request: Request
    where: str
    explanation: Explanation

    @property
    def message(self) -> str:
        """The message of the UnmatchedRequest."""
        return self.explanation.message

    @property
    def reason(self) -> str:
        """Why nothing answered, in a few words, such as "POST /refunds: body $.amount 1200 != 1250"."""
        return self.explanation.reason

    @property
    def nearest(self) -> tuple[Candidate, ...]:
        """The interactions that differ least, the closest one first; none if the cassette is empty."""
        return self.explanation.nearest

    @property
    def differences(self) -> tuple[Difference, ...]:
        """How the closest interaction differs; empty if it matches, but was already played."""
        return self.explanation.differences


@dataclass(frozen=True)
class LiveConnection:
    """A connection to a real peer, or the attempt to open one; `why` says what it was needed for.

    The scheme of `origin` is "tcp"; `at` is in UTC.
    """

    origin: Origin
    at: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.origin} at {self.at:%H:%M:%S}: {self.why}"


class PastExchange(NamedTuple):
    """A request and its outcome: "played", "recorded" or "refused", in which case there is no interaction.

    `number` is that of the interaction that was played. Request and interaction are redacted, as in the file.
    """

    outcome: str
    request: Request | None
    interaction: Interaction | None = None
    number: int | None = None


def _played(entry: Entry) -> PastExchange:
    return PastExchange("played", entry.interaction.request, entry.interaction, entry.number)


def _briefly(exchange: PastExchange) -> PastExchange:
    """Leave out most of a large body, as a history of them would take much memory."""
    interaction = exchange.interaction
    if interaction is None or not interaction.is_large:
        return exchange
    interaction = interaction.beginning()
    return exchange._replace(request=interaction.request, interaction=interaction)


# Functions to call for each exchange that any cassette of this process has played or recorded.
_witnesses: list[Callable[[Interaction], None]] = []


@contextmanager
def witnessing(witness: Callable[[Interaction], None]) -> Iterator[None]:
    """Call `witness` for each exchange that is played or recorded during the block, without its secrets."""
    _witnesses.append(witness)
    try:
        yield
    finally:
        _witnesses.remove(witness)


def is_witnessed() -> bool:
    return bool(_witnesses)


def notify_witnesses(interaction: Interaction) -> None:
    for witness in _witnesses:
        witness(interaction)


class Kept:
    """A recorded interaction. Of a large one, only the document is kept in memory, which names its blobs."""

    __slots__ = ("_document", "_fetch", "_interaction", "_path", "learned", "started_at_s")

    def __init__(
        self, interaction: Interaction, document: bytes, path: str, fetch: Fetch, started_at_s: float, learned: int
    ) -> None:
        has_blobs = bool(blob_names(document))
        self._document, self._path, self._fetch = (document if has_blobs else None), path, fetch
        self._interaction = None if has_blobs and interaction.is_large else interaction
        self.started_at_s = started_at_s
        self.learned = learned  # how much the redactor knew at that time

    @property
    def interaction(self) -> Interaction:
        """The interaction, read again if it is large. Raises CassetteFormatError if a blob is lost."""
        if self._interaction is not None:
            return self._interaction
        assert self._document is not None, "one of them is there"
        try:
            loaded = yaml_format.load_document(self._document, self._path, 1, self._fetch)
        except CassetteFormatError as error:
            raise CassetteFormatError(self._path, None, error.reason) from error  # the line is that of the document
        assert isinstance(loaded, Interaction), "that is what was written"
        return loaded

    @property
    def document(self) -> bytes:
        """The document as it was written."""
        if self._document is not None:
            return self._document
        assert self._interaction is not None, "one of them is there"
        return yaml_format.dump_interaction(self._interaction)


class Log:
    """What has happened while a cassette is in use; written by its board, shown by `Cassette`."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        # Played entries become a `PastExchange` only when needed.
        self.history: deque[PastExchange | Entry] = deque(maxlen=MOST_EXCHANGES)

    def keep(self, kept: Kept, interaction: Interaction) -> None:
        self.kept.append(kept)
        self.history.append(_briefly(PastExchange("recorded", interaction.request, interaction)))


class Cassette:
    """The cassette in use: what it holds, what was played and recorded, and what was missing.

    Created by `use_cassette`, with its `path` and `record_mode`. `misses` are the requests that were refused; a test
    that expects a refusal clears the list. `connections` are those that were made to real peers.
    """

    def __init__(self, path: Path, record_mode: RecordMode, index: Index, log: Log) -> None:
        self.path, self.record_mode = path, record_mode
        self.misses: list[Miss] = []
        self.connections: list[LiveConnection] = []
        self._index, self._log = index, log

    def __repr__(self) -> str:
        return (
            f"<Cassette {str(self.path)!r} {self.record_mode.value}: {len(self._index)} loaded, "
            f"{self.play_count} played, {len(self._log.kept)} recorded, {len(self.misses)} missed>"
        )

    def __len__(self) -> int:
        return len(self._index) + len(self._log.kept)

    @property
    def can_record(self) -> bool:
        """Whether a request that nothing answers is recorded."""
        return policy(self.record_mode, had_content=bool(self._index)).can_record

    @property
    def interactions(self) -> list[Interaction]:
        """All interactions: those that were in the file when it was opened, then those recorded since."""
        return [entry.interaction for entry in self._index.entries] + self.recorded

    @property
    def recorded(self) -> list[Interaction]:
        """The interactions recorded since; after the block has ended, in the order in which the requests began."""
        return [kept.interaction for kept in self._log.kept]

    @property
    def history(self) -> list[PastExchange]:
        """The last 100 exchanges in order, with only the beginning of large bodies."""
        return [_briefly(_played(one) if isinstance(one, Entry) else one) for one in self._log.history]

    @property
    def played(self) -> list[Interaction]:
        """The interactions of the file that answered at least one request."""
        return [entry.interaction for entry in self._index.made if entry.has_answered]

    @property
    def unplayed(self) -> list[Interaction]:
        """The interactions of the file that answered none."""
        return [entry.interaction for entry in self._index.entries if not entry.has_answered]

    @property
    def connects(self) -> int:
        """The number of live connections that were opened or attempted."""
        return len(self.connections)

    @property
    def plays(self) -> dict[int, int]:
        """How often the loaded interactions have answered since the last `rewind`, by their numbers from 1."""
        return {entry.number: entry.plays for entry in self._index.made if entry.plays}

    @property
    def play_count(self) -> int:
        """The number of requests that were answered from the cassette since the last `rewind`."""
        return sum(self.plays.values())

    def rewind(self) -> None:
        """Let every loaded interaction answer again. What has answered before is still none of the `unplayed`."""
        with self._index.lock:
            self._index.rewind()

    @property
    def played_numbers(self) -> list[int]:
        """The numbers of the loaded interactions that answered at least one request, from 1, in order."""
        return [entry.number for entry in self._index.made if entry.has_answered]

    def unplayed_lines(self, most: int) -> dict[int, str]:
        """The first of the loaded interactions that answered none, by number: method and URL up to the query."""
        return self._index.unplayed_lines(most)

    @property
    def unplayed_count(self) -> int:
        """The number of loaded interactions that answered no request; unlike `unplayed`, this does not parse them."""
        return len(self._index) - len(self.played_numbers)

    def describe_unplayed(self, path: str) -> str:
        """Say how many of the loaded interactions answered none, and which; `path` is how the reader calls the file."""
        lines = self.unplayed_lines(3)
        more = ", ..." if self.unplayed_count > len(lines) else ""
        what = f"{self.unplayed_count} of {counted(len(self), 'interaction')} of {path}"
        return f"{what} {number_of('was', self.unplayed_count)} not played: {', '.join(lines.values())}{more}"
