"""Channels over cassettes in memory, and what is said on them."""

from __future__ import annotations

from collections.abc import Callable

from cassette_http.cassette.index import Index
from cassette_http.cassette.library import Library
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.modes import Policy
from cassette_http.errors import UnmatchedRequest
from cassette_http.transport.channel import Channel
from cassette_http.transport.deck import Undecided

__all__ = [
    "ALERT",
    "CONTINUE",
    "EXPECT",
    "GET",
    "OK",
    "ORIGIN",
    "POST",
    "RESET",
    "SWITCH",
    "UNTIL_CLOSE",
    "UPGRADE",
    "Clock",
    "ListDeck",
    "TapeThatKnowsAtOnce",
    "interaction",
    "octets_of",
    "recording",
    "replaying",
]

ORIGIN = Origin("http", "api.test", 80)
GET = b"GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\n"
EXPECT = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nto the end"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
RESET = Failure(FailureKind.RESET, 100.5, "ECONNRESET")
ALERT = Failure(FailureKind.RESET, text="alert", details={"class": "SSLError", "number": 1})
UPGRADE = b"GET /a HTTP/1.1\r\nHost: api.test\r\nUpgrade: x\r\n\r\n"


class Clock:
    """A clock that a test turns."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Recorded(Library):
    """Interactions that are in no file."""

    def __init__(self, interactions: list[Interaction]) -> None:
        super().__init__()
        self._interactions = interactions
        self.request_lines = [None] * len(interactions)

    def parse(self, position: int) -> Interaction:
        return self._interactions[position]


class ListDeck:
    """A cassette in memory."""

    def __init__(self, policy: Policy, recorded: list[Interaction], match: tuple[str, ...] = DEFAULT_MATCH) -> None:
        self.policy = policy
        self.keeps_pace = False
        self.most_octets: int | None = None
        self.dropped = 0
        self.not_recorded: list[str] = []
        matching = resolve(match)
        self.decides_at_head = not matching.needs_body
        self.kept: list[Interaction] = []
        self.amended: list[tuple[object, Track]] = []
        self.started_at_s: list[float] = []
        self._index = Index(Recorded(recorded), matching)

    def may_answer(self, host: str, port: int) -> bool:
        return self.policy.can_play

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Track | None:
        return None

    def admit(self, request: Request) -> Request | None:
        return request if "private" not in request.url else None

    def choose(self, request: Request, *, may_be_stale: bool) -> Interaction | Request | None:
        if self.admit(request) is None:
            return None
        entry = self._index.find(request, may_be_stale=may_be_stale)
        if entry is not None:
            entry.plays += 1
            return entry.interaction
        if self.policy.can_record:
            return request
        raise UnmatchedRequest(f"nothing for {request.url}")

    def expect(
        self, request: Request, fits: Callable[[Interaction], bool], is_waiting: bool
    ) -> Interaction | Undecided:
        entry = next((e for e in self._index.entries if not e.plays), None)
        if entry is None or not fits(entry.interaction):
            return Undecided.YET
        entry.plays += 1
        return entry.interaction

    def refuse(self, origin: Origin, reason: str) -> Exception:
        return UnmatchedRequest(f"a request to {origin}: {reason}")

    def let_pass(self, origin: Origin, reason: str) -> None:
        self.not_recorded.append(reason)

    def drop(self) -> None:
        self.dropped += 1

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        return None

    def keep_connection_failure(
        self, origin: Origin, failure: Failure, via: Origin | None, started_at_s: float | None = None
    ) -> None:
        self.kept.append(Interaction(origin, None, Track(failure=failure), via))

    def keep(self, interaction: Interaction, started_at_s: float) -> object:
        self.kept.append(interaction)
        self.started_at_s.append(started_at_s)
        return interaction

    def amend(self, kept: object, ending: Track) -> None:
        self.amended.append((kept, ending))


class TapeThatKnowsAtOnce(ListDeck):
    """One that finds each answer at first sight."""

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Track | None:
        found = self.choose(Request(origin, octets), may_be_stale=may_be_stale)
        assert isinstance(found, Interaction)
        return found.track


def recording() -> tuple[Channel, ListDeck, Clock]:
    deck, clock = ListDeck(Policy(can_play=False, can_record=True), []), Clock()
    return Channel(ORIGIN, deck, clock), deck, clock


def replaying(*interactions: Interaction, can_record: bool = False, match: tuple[str, ...] = DEFAULT_MATCH) -> Channel:
    return Channel(ORIGIN, ListDeck(Policy(can_play=True, can_record=can_record), list(interactions), match), Clock())


def interaction(request: bytes, *pieces: Piece | bytes, **ending: object) -> Interaction:
    head, _, body = request.partition(b"\r\n\r\n")
    track = Track(tuple(p if isinstance(p, Piece) else Piece(p) for p in pieces), **ending)  # type: ignore[arg-type]
    return Interaction(ORIGIN, Request(ORIGIN, head + b"\r\n\r\n", body), track)


def octets_of(deck: ListDeck) -> list[tuple[bytes, list[bytes]]]:
    return [
        (one.request.head_octets + one.request.body_octets, [piece.octets for piece in one.track.pieces])
        for one in deck.kept
        if one.request is not None
    ]
