"""Finds the interaction that answers a request: a dictionary look-up at any size, parsing as little as possible (pure).

The documents of a cassette are put into buckets by their request lines, which can be read without parsing. A request
whose line is spelled differently (percent-encoding, matchers that ignore the host) is found in larger buckets, which
are keyed by what the matchers see of the lines.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable
from functools import cached_property
from itertools import islice

from cassette_http.cassette.buckets import MOST_TRIED, Bucket, Entry, Queue
from cassette_http.cassette.explaining import most_alike
from cassette_http.cassette.format.reading import USUAL_VERSION, Unfit, resolve_target
from cassette_http.cassette.library import Library
from cassette_http.cassette.matching import Matching
from cassette_http.cassette.model import DEFAULT_PORTS, UNIX, FailureKind, Interaction, Origin, Request
from cassette_http.cassette.modes import known_policy
from cassette_http.cassette.shortcuts import Answer, WrittenRequest, track_of, written_beginning
from cassette_http.wire.messages import RequestHead

# To explain why a request has no answer, at most so many interactions are compared with it in detail.
MOST_NEAREST = 100
URL_BEGINNING = re.compile(rb"(?!CONNECT )[^ ]+ ([^:/]+://[^/]+)/")
# Failures that a connection can meet behind a proxy.
BEHIND_PROXY = frozenset({FailureKind.PROXY, FailureKind.TLS, FailureKind.TLS_REFUSAL})
# Failures of TCP, or of the TLS over it.
BREAKS = (FailureKind.END, FailureKind.RESET)
OF_CONNECTIONS = frozenset({FailureKind.CONNECT, FailureKind.TLS})


class Index:
    """The interactions of one cassette. Not thread-safe: the caller holds `lock` to play.

    Reading on takes the lock too, for programs that look at their cassette meanwhile.
    """

    def __init__(
        self,
        library: Library,
        matching: Matching,
        repeat: str = "fail",
        redact: Callable[[Request], Request] = lambda request: request,
    ) -> None:
        """`library` has read its first interaction already; it reads on when more are needed."""
        self._library, self._redact = library, redact
        self.facts = library.facts
        self._read_answer = library.read_answer  # used for each request
        self.matching, self._repeat = matching, known_policy(repeat)
        self.answers_once = repeat == "fail"
        # The shortcuts consider only what was not played yet.
        self._has_shortcuts = repeat != "first" and not matching.filters
        # Entries are made when needed: most of a large cassette often is not.
        self._made: dict[int, Entry] = {}
        self._lines = library.request_lines
        self.is_complete = False
        self.lock = threading.RLock()
        self._known: dict[bytes | None, int | list[int]] = {}
        self._passed: dict[bytes, int] = {}  # for lines that occur several times: how many were played already
        self._filed = self._played_up_to = 0
        # Position and origin of the first unplayed request.
        self._next_outlined: tuple[int, Origin | None] = -1, None
        self._file_lines()
        self._buckets: dict[bytes, Bucket] = {}
        self._larger_buckets: dict[tuple[Hashable, ...], Bucket] = {}

    def _find_more(self) -> bool:
        """Read on; False if everything has been read."""
        if self.is_complete:
            return False
        with self.lock:
            has_more = self._library.read_on()
            self._file_lines()
            self.is_complete = not has_more
        return has_more

    def _file_lines(self) -> None:
        first, self._filed = self._filed, len(self._lines)
        self._known.update(zip(islice(self._lines, first, None), range(first, self._filed), strict=True))
        if len(self._known) == self._filed:
            return
        known: dict[bytes | None, int | list[int]] = {}  # rebuilt, as some lines occur several times
        for position, line in enumerate(self._lines):
            there = known.setdefault(line, position)
            if isinstance(there, list):
                there.append(position)
            elif there != position:
                known[line] = [there, position]
        self._known = known

    def _find_all(self) -> None:
        while self._find_more():
            pass

    @property
    def _positions(self) -> dict[bytes | None, int | list[int]]:
        """Where each line occurs in the whole cassette."""
        self._find_all()
        return self._known

    def __len__(self) -> int:
        self._find_all()
        return len(self._lines)

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def entries(self) -> list[Entry]:
        """All entries, in recorded order."""
        return self._entries(range(len(self)))

    @property
    def made(self) -> list[Entry]:
        """The entries that were made so far; no others can have been played."""
        return [self._made[position] for position in sorted(self._made)]

    def _entries(self, positions: Iterable[int]) -> list[Entry]:
        return [self._made.get(position) or self._make(position) for position in positions]

    def _make(self, position: int) -> Entry:
        entry = self._made[position] = Entry(position + 1, self._library.parse, self._redact)
        return entry

    def _bucket(self, line: bytes) -> Bucket | None:
        bucket = self._buckets.get(line)
        if bucket is None and line in self._positions:
            entries = self._entries(_listed(self._positions[line]))
            bucket = self._buckets[line] = self._bucket_of(entries)
        return bucket

    def _bucket_of(self, entries: list[Entry]) -> Bucket:
        return Bucket(self.matching, entries, None if self.matching.ignores else self._outline)

    def _outline(self, entry: Entry) -> Request | None:
        position = entry.number - 1
        line = self._library.read_url(position)
        outline = request_with(line) if line is not None else None
        if outline is None:
            outline = entry.request
            entry.release()  # as in `Bucket`
        return outline

    def _first_unplayed(self, line: bytes) -> Entry | None:
        """The first interaction with this request line that was not played yet; reads no further than that."""
        while True:
            position = self._known.get(line)
            if isinstance(position, list):
                position = self._behind_played(line, position)
            if position is not None:
                entry = self._made.get(position) or self._make(position)
                if not entry.plays:
                    return entry
            if not self._find_more():
                return None

    def _behind_played(self, line: bytes, positions: list[int]) -> int:
        """The first of these positions whose entry was not played yet, or the last one."""
        at = self._passed.get(line, 0)
        while at < len(positions) - 1 and positions[at] in self._made and self._made[positions[at]].plays:
            at += 1
        self._passed[line] = at
        return positions[at]

    def _next_origin(self) -> Origin | None:
        """The origin of the first request that was not played yet; None if its first line does not tell."""
        position = self._played_up_to
        while position in self._made and self._made[position].plays:
            position += 1
        self._played_up_to = position
        while position == len(self._lines):
            if not self._find_more():
                return None
        if self._next_outlined[0] != position:  # cached, as each connection asks several times
            line = self._library.read_url(position)
            outline = request_with(line) if line is not None else None
            self._next_outlined = position, outline.origin if outline is not None else None
        return self._next_outlined[1]

    def _comes_next(self, host: str, port: int) -> bool:
        """Tell whether a request to this host and port certainly comes next, while the file is not fully read."""
        origin = self._next_origin() if not self.is_complete else None
        return origin is not None and (origin.host, origin.port) == (host, port)

    def rewind(self) -> None:
        """Let every entry answer again, as if none had been played."""
        for entry in self._made.values():
            entry.was_played, entry.plays = entry.has_answered, 0
        # All of these skip what was played.
        self._passed.clear()
        self._buckets.clear()
        self._larger_buckets.clear()
        for cached in ("_peers", "_everything"):
            self.__dict__.pop(cached, None)
        self._played_up_to = 0

    def find_written(
        self, written: WrittenRequest, *, passes_over_fields: bool, may_be_stale: bool
    ) -> tuple[Entry, Answer] | None:
        """What `find_same` finds, and its answer, if its document begins with `written`; nothing is parsed.

        With `passes_over_fields`, its fields may differ. None does not mean that there is no entry.
        """
        entry = self._first_unplayed(written.line) if self._has_shortcuts else None
        first_line = written.first_line if passes_over_fields else None
        answer = self._read_answer(entry.number - 1, written.beginning, first_line) if entry is not None else None
        if entry is None or answer is None:
            return None
        is_stale = not isinstance(answer, bytes) and answer.is_stale
        return None if is_stale and not may_be_stale else (entry, answer)

    def find_same(self, request: Request, *, may_be_stale: bool = True) -> Entry | None:
        """The entry that answers `request` now, if it was recorded with exactly the same octets.

        `request` is the one that was sent, not its redacted form. None does not mean that there is no entry.
        """
        entry = self._first_unplayed(line_of(request)) if self._has_shortcuts else None
        if entry is None:
            return None
        if not entry.is_parsed and (beginning := written_beginning(request)) is not None:
            answer = self._read_answer(entry.number - 1, beginning, None)
            track = track_of(answer) if answer is not None else None
            if track is not None and (may_be_stale or not track.is_stale):
                interaction = Interaction(request.origin, request, track, request.via)
                if self.answers_once or not interaction.is_large:
                    entry.remember(interaction)
                return entry
        is_same = entry.interaction.request == request and (may_be_stale or not entry.interaction.track.is_stale)
        return entry if is_same else None

    def find(self, request: Request, *, may_be_stale: bool = True) -> Entry | None:
        """The entry that answers `request`, given in its redacted form. Does not mark it as played.

        Without `may_be_stale`, failures that only a stale connection meets come last (see `Failure.is_stale`).
        """
        key = self.matching.key(request)
        bucket = self._bucket(line_of(request))
        entry = bucket.find(request, key, self._repeat, may_be_stale=may_be_stale) if bucket is not None else None
        if entry is None and (larger := self._larger_bucket(request)) is not bucket:
            entry = larger.find(request, key, self._repeat, may_be_stale=may_be_stale)
        return entry

    def find_same_head(self, request: Request) -> Entry | None:
        """What `find_by_head` finds, if it was recorded with exactly the same head; `request` is the one that was sent.

        None does not mean that there is no entry.
        """
        entry = self._first_unplayed(line_of(request))
        recorded = entry.interaction.request if entry is not None else None
        if recorded is None or recorded.head_octets != request.head_octets:
            return None
        return entry if (recorded.origin, recorded.via) == (request.origin, request.via) else None

    def may_have(self, line: bytes, fits: Callable[[Interaction], bool]) -> bool:
        """Tell whether the result of `find_by_head` could satisfy `fits`, for a request with this line."""
        bucket = self._bucket(line)
        if bucket is None:
            return True  # redaction changes the line
        unplayed = list(islice(bucket.queue.unplayed(), MOST_TRIED))
        return len(unplayed) == MOST_TRIED or any(fits(entry.interaction) for entry in unplayed)

    def find_by_head(self, request: Request, *, repeats: bool = False) -> Entry | None:
        """The first unplayed entry whose head matches, for a request whose body is not complete yet.

        With `repeats`, if none is left, the repeat policy chooses among those that were played.
        """
        key = self.matching.head_key(request)
        queue = (self._bucket(line_of(request)) or self._larger_bucket(request)).queue
        fitting = (
            entry
            for entry in (queue.entries if repeats else queue.unplayed())
            if (recorded := entry.request) is not None and self.matching.head_key(recorded) == key
        )
        if not repeats:
            return next(fitting, None)
        found = Queue(list(fitting))
        return found.first_unplayed or found.repeated(self._repeat)

    def find_connection_failure(self, origin: Origin, kinds: tuple[FailureKind, ...]) -> Entry | None:
        """The failure that the next connection to `origin` meets, unless a request to it comes first.

        Behind a proxy, TLS failures belong to the connection, while TCP only connects client and proxy.
        """
        if self._comes_next(origin.host, origin.port) or None not in self._positions:
            return None  # every document that was not read yet begins with a request line
        asked = origin.host, origin.port
        for entry in self.entries:
            if entry.plays:
                continue
            interaction = entry.interaction
            failure, served = interaction.track.failure, interaction.origin
            is_served = (served.host, served.port) == asked and (
                interaction.via is None or BEHIND_PROXY.intersection(kinds)
            )
            if is_served and interaction.request is None and failure is not None and failure.kind in kinds:
                is_there = failure.kind not in BREAKS or served.is_tls == origin.is_tls
                return entry if is_there else None
            if is_served or peer_of(interaction) == asked:
                return None
        return None

    def find_silence(self, origin: Origin) -> Entry | None:
        """A recorded connect or TLS handshake with `origin` that timed out and was not played yet."""
        for entry in self._entries(_listed(self._positions.get(None, []))):
            failure = entry.interaction.track.failure
            is_silence = failure is not None and failure.kind in OF_CONNECTIONS and failure.is_timeout
            served = entry.interaction.origin
            if is_silence and not entry.plays and (served.host, served.port) == (origin.host, origin.port):
                return entry
        return None

    def knows_peer(self, host: str, port: int) -> bool:
        """Tell whether the cassette has anything for this host and port, including connections to them (a proxy)."""
        if self._comes_next(host, port):
            return True
        if port == DEFAULT_PORTS[UNIX] and not self.matching.distinguishes_hosts:
            return any(known == port for _, known in self._peers)  # paths of sockets often differ between runs
        return (host, port) in self._peers

    def may_answer(self, host: str, port: int) -> bool:
        """Tell whether requests to this host and port could have an answer; False only if none can."""
        if not self.matching.distinguishes_hosts or self._comes_next(host, port):
            return True
        positions = self._peers.get((host, port), [])
        while self.answers_once and positions and positions[-1] in self._made and self._made[positions[-1]].plays:
            positions.pop()
        return bool(positions)

    @cached_property
    def _peers(self) -> dict[tuple[str, int], list[int]]:
        """The positions of requests and connections for each host and port; empty lists if all were played.

        Raises CassetteFormatError if a document is broken.
        """
        beginnings: dict[bytes, list[int]] = {}  # by the origin in the line
        for line, found in self._positions.items():
            beginning = URL_BEGINNING.match(line) if line is not None else None
            positions = beginnings.setdefault(beginning[1] if beginning is not None else b"", [])
            positions += _listed(found)
        peers: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        doubtful = self._doubtful
        for url, positions in beginnings.items():
            outline = request_with(b"GET " + url + b"/")
            if outline is not None:
                peers[outline.origin.host, outline.origin.port] += positions
                positions = [position for position in positions if position in doubtful]
            for position in positions:
                [entry] = self._entries([position])
                origin = entry.interaction.origin
                for peer in {(origin.host, origin.port), peer_of(entry.interaction)}:
                    peers[peer].append(position)
        for positions in peers.values():
            positions.sort()
        return dict(peers)

    def next_position(self, origin: Origin) -> int:
        """The position of the first unplayed request to `origin`, as far as request lines tell; else the end."""
        if self._next_origin() == origin:
            return self._played_up_to
        beginning = f"{origin}/".encode()
        return min(
            [
                position
                for line, found in self._positions.items()
                if line is not None and line.partition(b" ")[2].startswith(beginning)
                for position in _listed(found)
                if position not in self._made or not self._made[position].plays
            ],
            default=len(self),
        )

    def nearest(self, request: Request) -> list[Entry]:
        """The entries whose request lines are most like that of `request`: all if the cassette is small."""
        positions: list[int] = []
        for line in most_alike(self._positions, line_of(request)):
            if len(positions) >= MOST_NEAREST:
                break
            found = self._positions[line]
            positions += _listed(found)
        return self._entries(sorted(positions[:MOST_NEAREST]))

    def unplayed_lines(self, most: int) -> dict[int, str]:
        """The request lines (see `line_of`) of the first entries that were not played, by their numbers."""
        played = {position for position, entry in self._made.items() if entry.has_answered}
        lines = {
            position: line
            for line, found in self._positions.items()
            for position in _listed(found)
            if position not in played
        }
        shown = [(position + 1, lines[position]) for position in sorted(lines)[:most]]
        return {number: line.decode() if line is not None else f"interaction {number}" for number, line in shown}

    def _larger_bucket(self, request: Request) -> Bucket:
        """The interactions whose request line matches that of `request`, in any spelling."""
        from cassette_http.cassette.secrets.placeholders import has_placeholder  # late: see `late_redactor`

        line = line_of(request)
        if has_placeholder(line):
            return self._everything  # redaction could turn other lines into this one
        line_key = self.matching.line_key(request)
        bucket = self._larger_buckets.get(line_key)
        if bucket is None:
            positions = self._by_line_key.get(line_key, [])
            own = self._bucket(line)
            is_own = own is not None and len(own.queue.entries) == len(positions)
            bucket = own if own is not None and is_own else self._bucket_of(self._entries(positions))
            self._larger_buckets[line_key] = bucket
        return bucket

    @cached_property
    def _everything(self) -> Bucket:
        return self._bucket_of(self.entries)

    @cached_property
    def _doubtful(self) -> Container[int]:
        return self._library.find_doubtful()

    @cached_property
    def _by_line_key(self) -> dict[tuple[Hashable, ...], list[int]]:
        """The positions of all requests. Raises CassetteFormatError if a document that must be parsed is broken."""
        doubtful = self._doubtful
        by_key: defaultdict[tuple[Hashable, ...], list[int]] = defaultdict(list)
        for line, found in self._positions.items():
            request = request_with(line) if line is not None else None
            for position in _listed(found):
                outline = request
                if outline is None or position in doubtful:
                    outline = self._entries([position])[0].request
                if outline is not None:
                    by_key[self.matching.line_key(outline)].append(position)
        for positions in by_key.values():
            positions.sort()
        return by_key


def request_with(line: bytes) -> Request | None:
    """A request for which `line_of` returns `line` (which may also have a query); None if that is not simple."""
    method, _, url = line.decode().partition(" ")
    if method == "CONNECT":
        return None
    try:
        origin, target = resolve_target(method, url, None, None)
    except Unfit:
        return None
    return Request(origin, b"").with_head(RequestHead(method, target, USUAL_VERSION, ()))


def line_of(request: Request) -> bytes:
    """Method and URL up to the query, as at the beginning of a request's document."""
    return f"{request.method} {request.url.partition('?')[0]}".encode()


def peer_of(interaction: Interaction) -> tuple[str, int]:
    peer = interaction.via or interaction.origin
    return peer.host, peer.port


def _listed(positions: int | list[int]) -> list[int]:
    return positions if isinstance(positions, list) else [positions]
