"""The interactions of a cassette in recorded order: parsed late, and filed by their matching keys (pure).

A bucket parses its entries in order until one answers. If there are many, it parses only those that could answer by
their URLs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from itertools import chain

from cassette_http.cassette.matching import Matching
from cassette_http.cassette.model import Interaction, Request
from cassette_http.wire.errors import MalformedMessage

# How many are parsed in search of an answer before those with other URLs are left out.
MOST_TRIED = 16


class Entry:
    """One interaction of the cassette, parsed when first needed; `plays` counts how often it has answered.

    `redact` returns the form in which requests are matched. `is_dropped`: a hook has removed it. `was_played`: it had
    answered before the cassette was rewound.
    """

    __slots__ = ("_interaction", "_parse", "_redact", "_request", "is_dropped", "number", "plays", "was_played")

    def __init__(self, number: int, parse: Callable[[int], Interaction], redact: Callable[[Request], Request]) -> None:
        self.number = number  # 1-based, as shown to users
        self.plays = 0
        self.is_dropped = self.was_played = False
        self._parse, self._redact = parse, redact
        self._interaction: Interaction | None = None
        self._request: Request | None = None

    @property
    def interaction(self) -> Interaction:
        """The parsed document; a large one is parsed each time. Raises CassetteFormatError if it is broken."""
        interaction = self._interaction
        if interaction is None:
            interaction = self._parse(self.number - 1)
            if not interaction.is_large:
                self._interaction = interaction
        return interaction

    @property
    def has_answered(self) -> bool:
        return self.plays > 0 or self.was_played

    @property
    def is_parsed(self) -> bool:
        return self._interaction is not None

    def remember(self, interaction: Interaction) -> None:
        """Use `interaction` as the parsed document."""
        self._interaction = interaction

    def release(self) -> None:
        """Forget what was parsed; it is parsed again when needed."""
        self._interaction = self._request = None

    @property
    def request(self) -> Request | None:
        """The request in the form in which it is matched, computed each time if large; None if nothing can match it.

        The connection may have failed before a request was sent, or an edit of the file has made it invalid.
        """
        request = self._request
        if request is None and _is_request((interaction := self.interaction).request):
            assert interaction.request is not None  # by `_is_request`
            request = self._redact(interaction.request)
            if not interaction.is_large:
                self._request = request
        return request


def _is_request(request: Request | None) -> bool:
    """Tell whether there is a request that matchers can read: its framing must be well-formed."""
    if request is None:
        return False
    try:
        return request.framing is not None
    except MalformedMessage:
        return False


class Queue:
    """Entries in recorded order; skips those that were played without looking at each of them again."""

    __slots__ = ("_played_up_to", "_turn", "entries")

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._played_up_to = self._turn = 0

    @property
    def first_unplayed(self) -> Entry | None:
        return next(self.unplayed(), None)

    def unplayed(self) -> Iterator[Entry]:
        entries = self.entries
        while self._played_up_to < len(entries) and entries[self._played_up_to].plays:
            self._played_up_to += 1
        return (entries[i] for i in range(self._played_up_to, len(entries)) if not entries[i].plays)

    def undropped(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if not entry.is_dropped)

    def repeated(self, repeat: str) -> Entry | None:
        """The entry that a repeat policy chooses when all were played; the last entry's own policy takes precedence."""
        if not self.entries:
            return None
        last = self.entries[-1]
        policy = last.interaction.repeat or repeat
        if policy == "last":
            return last
        return self._next_in_turn() if policy == "cycle" else None

    def _next_in_turn(self) -> Entry:
        """The first of those that were played least; all were played before, in this order."""
        entries = self.entries
        least = entries[-1].plays
        if entries[0].plays == least:
            self._turn = 0
        while entries[self._turn].plays > least:
            self._turn += 1
        return entries[self._turn]


class Bucket:
    """Entries in recorded order, filed by their matching keys as far as was needed.

    `outline` returns what the first line of an entry says about its request, None if it has no request.
    """

    def __init__(
        self, matching: Matching, entries: list[Entry], outline: Callable[[Entry], Request | None] | None = None
    ) -> None:
        self.queue = Queue(entries)
        self._matching, self._outline = matching, outline
        self._filed = 0
        self._by_key: defaultdict[Hashable, Queue] = defaultdict(lambda: Queue([]))
        # By the hash of the URL's part of the matching key.
        self._smaller: dict[int, Bucket | list[Entry]] | None = None

    def find(self, request: Request, key: Hashable, repeat: str, *, may_be_stale: bool = True) -> Entry | None:
        """The first entry that was not played yet and answers `request`; else what the policy `repeat` chooses.

        With "first" it is the first that answers, whether played or not.

        For `may_be_stale` see `Index.find`.
        """
        passed_over: Entry | None = None
        for entry in chain(self._filed_before(request, key, repeat), self._file_more(request, key)):
            if may_be_stale or not entry.interaction.track.is_stale:
                return entry
            passed_over = passed_over or entry
        if self._filed < len(self.queue.entries) and (smaller := self._smaller_bucket(request)) is not None:
            return smaller.find(request, key, repeat, may_be_stale=may_be_stale)
        return passed_over or self._repeated(request, key, repeat)

    def _filed_before(self, request: Request, key: Hashable, repeat: str) -> Iterator[Entry]:
        if key in self._by_key:
            queue = self._by_key[key]
            answering = queue.undropped() if repeat == "first" else queue.unplayed()
            yield from (entry for entry in answering if self._accepts(entry, request))

    def _file_more(self, request: Request, key: Hashable) -> Iterator[Entry]:
        """File further entries, and yield those that answer `request`, until a smaller bucket can take over."""
        entries = self.queue.entries
        tried = 0 if self._smaller is None else MOST_TRIED
        while self._filed < len(entries):
            if tried == MOST_TRIED and self._smaller_bucket(request) is not None:
                return
            tried += 1
            entry = entries[self._filed]
            self._filed += 1
            recorded = entry.request  # computed each time if the interaction is large
            if recorded is None:
                continue
            entry_key = self._matching.key(recorded)
            self._by_key[entry_key].entries.append(entry)
            if entry_key == key and not entry.plays and self._matching.accepts(request, recorded):
                yield entry
            entry.release()  # most of a large cassette is searched in vain

    def _smaller_bucket(self, request: Request) -> Bucket | None:
        """The entries that could answer by their URLs; None if the URLs cannot decide."""
        from cassette_http.cassette.secrets.placeholders import has_placeholder  # late: see `late_redactor`

        if self._outline is None or has_placeholder(request.url.encode()):
            return None  # redaction could turn other URLs into this one
        if self._smaller is None:
            self._smaller = {}
            for entry in self.queue.entries:
                if (outline := self._outline(entry)) is not None:
                    group = self._smaller.setdefault(hash(self._matching.url_key(outline)), [])
                    assert isinstance(group, list), "no bucket was asked for yet"
                    group.append(entry)
        url = hash(self._matching.url_key(request))
        found = self._smaller.get(url, [])
        if isinstance(found, list):
            found = self._smaller[url] = Bucket(self._matching, found)
        return found

    def _repeated(self, request: Request, key: Hashable, repeat: str) -> Entry | None:
        queue = self._by_key[key]
        if self._matching.filters:
            queue = Queue([entry for entry in queue.entries if self._accepts(entry, request)])
        return queue.repeated(repeat)

    def _accepts(self, entry: Entry, request: Request) -> bool:
        if not self._matching.filters:
            return True  # the entry was filed under the right key, so it need not be parsed
        return entry.request is not None and self._matching.accepts(request, entry.request)
