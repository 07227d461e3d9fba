"""The flight recorder: keeps the traffic of a program in memory, and writes it to a cassette only on request.

It is meant for tests without cassettes. If one fails, its traffic is available; if it passes, nothing has been
redacted, written or read.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from cassette_http.base_board import BaseBoard
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Request, TLSFacts, Track
from cassette_http.cassette.modes import Policy
from cassette_http.cassette.secrets.placeholders import next_number
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.cassette.store import Store
from cassette_http.in_use import witnessing
from cassette_http.intercept import intercepting
from cassette_http.session import netrc_text, new_header
from cassette_http.transport import base
from cassette_http.transport.channel import Channel
from cassette_http.transport.deck import Undecided
from cassette_http.transport.socket_face import CassetteTransport

LIMIT_OCTETS = 16 << 20

# Roughly what an interaction takes in addition to its octets.
OVERHEAD_OCTETS = 1000


class FlightRecorder:
    """Keeps the latest `limit_octets` of HTTP traffic while its block runs, both live traffic and that of cassettes.

    Cassettes in use play and record as usual. May be written at any time.
    """

    def __init__(self, limit_octets: int = LIMIT_OCTETS) -> None:
        self._board = _Board(limit_octets)
        self._transport = CassetteTransport(self._board)
        self._slots = ExitStack()

    def __len__(self) -> int:
        return len(self._board.kept)

    @property
    def dropped(self) -> int:
        """The number of exchanges that were dropped."""
        return self._board.dropped

    @property
    def count(self) -> int:
        """The number of all exchanges, including the dropped ones."""
        return len(self) + self.dropped

    def forget(self) -> None:
        self._board.forget()

    def __enter__(self) -> FlightRecorder:
        # Left in this order: the slot, then the connections, and only then the hooks, so that nothing bypasses them.
        self._slots.enter_context(intercepting())
        self._slots.enter_context(witnessing(self._board.take))
        self._slots.callback(self._board.leave)
        self._slots.enter_context(base.fill_below(self._transport))
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._slots.close()

    def write(self, path: str | os.PathLike[str], *, test: str | None = None) -> bool:
        """Write what is kept to a cassette, redacted; replaces the file. Returns False if there is nothing to write.

        Raises CassetteNotWritable.
        """
        interactions, facts = self._board.contents()
        if not interactions:
            return False
        used = b"\n".join(octets for one in interactions for octets in _octets_of(one))
        redactor = Redactor(next_number(used), environment=os.environ, netrc=netrc_text)
        learned = -1
        while learned != redactor.learned:  # a secret may be recognised only in a later one
            learned = redactor.learned
            interactions = [redactor.redact(one) for one in interactions]
        documents = [*map(yaml_format.dump_tls, facts), *map(yaml_format.dump_interaction, interactions)]
        Store(Path(path), header=new_header(test), rewrite=True).save(*documents)
        return True


def _octets_of(interaction: Interaction) -> list[bytes]:
    request = interaction.request
    sent = [request.head_octets, request.body_octets] if request is not None else []
    return sent + [piece.octets for piece in interaction.track.pieces]


class _Board(BaseBoard):
    """The board of a flight recorder: keeps everything, plays nothing."""

    policy = Policy(can_play=False, can_record=True)
    decides_at_head = True
    keeps_pace = False
    only_watches = True

    def __init__(self, limit_octets: int) -> None:
        super().__init__()
        self.kept: deque[tuple[int, Interaction]] = deque()
        self.dropped = 0
        self._limit_octets, self._octets = limit_octets, 0
        self.most_octets: int | None = limit_octets
        self._facts: dict[Origin, TLSFacts] = {}

    def take(self, interaction: Interaction) -> None:
        """Keep what was sent and received, or played; drop the oldest exchanges if necessary."""
        size = OVERHEAD_OCTETS + sum(map(len, _octets_of(interaction)))
        with self._lock:
            if self._is_closed:
                return
            self.kept.append((size, interaction))
            self._octets += size
            while self._octets > self._limit_octets:
                self._octets -= self.kept.popleft()[0]
                self.dropped += 1

    def forget(self) -> None:
        with self._lock:
            self.kept.clear()
            self.dropped = self._octets = 0

    def contents(self) -> tuple[list[Interaction], list[TLSFacts]]:
        with self._lock:
            return [one for _, one in self.kept], list(self._facts.values())

    # ------------------------------------------------------------------ what is asked

    def may_answer(self, host: str, port: int) -> bool:
        return False

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> None:
        return None

    def admit(self, request: Request) -> Request | None:
        return request

    def choose(self, request: Request, *, may_be_stale: bool) -> Interaction | Request | None:
        return request

    def expect(self, request: Request, fits: Callable[[Interaction], bool], is_waiting: bool) -> Undecided:
        return Undecided.YET

    def refuse(self, origin: Origin, reason: str) -> Exception:
        raise AssertionError("nothing is refused where everything may be recorded")

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        return None

    def knows_peer(self, host: str, port: int) -> bool:
        return False

    def tls_facts(self, origin: Origin) -> TLSFacts:
        return TLSFacts(origin)

    # ------------------------------------------------------------------ what is told

    def let_pass(self, origin: Origin, reason: str) -> None:
        pass  # nobody asked for its recording

    def drop(self) -> None:
        with self._lock:
            self.dropped += 1

    def keep(self, interaction: Interaction, started_at_s: float = 0.0) -> None:
        self.take(interaction)

    def amend(self, kept: object, ending: Track) -> None:
        raise AssertionError("what is kept here stays as it is")

    def keep_connection_failure(
        self, origin: Origin, failure: Failure, via: Origin | None, started_at_s: float | None = None
    ) -> None:
        self.take(Interaction(origin, None, Track(failure=failure), via))

    def keep_tls_facts(self, facts: TLSFacts) -> None:
        with self._lock:
            self._facts[facts.origin] = facts

    def note_connection(self, channel: Channel) -> None:
        pass
