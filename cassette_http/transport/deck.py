"""The interface of what plays and records for a channel: the boards of cassettes and of flight recorders."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Request, Track
from cassette_http.cassette.modes import Policy
from cassette_http.cassette.shortcuts import Answer


class Undecided(Enum):
    """Whether a request is played or recorded depends on its body, which has not arrived yet."""

    YET = auto()


class Deck(Protocol):
    """Plays and records for channels: what a channel can ask of the cassette in use."""

    policy: Policy
    decides_at_head: bool
    keeps_pace: bool
    """Pieces are played at the pace at which they were recorded, not at once."""
    most_octets: int | None
    """Longer responses are dropped; None if there is no limit."""

    def may_answer(self, host: str, port: int) -> bool:
        """Tell whether a request to this host and port could be played; False only if none can."""
        ...

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Answer | None:
        """Claim the answer to a whole request to `origin` by a simple look-up; if None, ask `choose`."""
        ...

    def admit(self, request: Request) -> Request | None:
        """Return the form in which `request` is recorded, or None if it is not. Asked once for each request."""
        ...

    def choose(self, request: Request, *, may_be_stale: bool) -> Interaction | Request | None:
        """Admit `request`, and claim the interaction that answers it.

        If a request is returned, record it in that form; None means to pass it to the peer unrecorded. Raises
        UnmatchedRequest if nothing answers and recording is not allowed. For `may_be_stale` see `Index.find`.
        """
        ...

    def expect(
        self, request: Request, fits: Callable[[Interaction], bool], is_waiting: bool
    ) -> Interaction | Request | Undecided | None:
        """Claim the next interaction with the head of a request whose body is not complete yet, if it `fits`.

        `is_waiting`: the client waits for 100 Continue, and may send no body before. If then no body could make an
        interaction the answer, the result is that of `choose`.
        """
        ...

    def refuse(self, origin: Origin, reason: str) -> Exception:
        """Return the error for a request to `origin` that can be neither followed nor recorded, for this `reason`."""
        ...

    def let_pass(self, origin: Origin, reason: str) -> None:
        """Note that a request to `origin` cannot be followed, for this `reason`, and is passed on unrecorded."""
        ...

    def drop(self) -> None:
        """Note that a response was too long to be kept."""
        ...

    def keep(self, interaction: Interaction, started_at_s: float) -> object:
        """Store a recorded interaction, whose request began at `started_at_s` of the channel's clock.

        Returns a token for `amend`; None if nothing was stored.
        """
        ...

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        """Claim the failure that was recorded for the connection to `origin`, if it is due."""
        ...

    def keep_connection_failure(
        self, origin: Origin, failure: Failure, via: Origin | None, started_at_s: float | None = None
    ) -> None:
        """Record it, if the mode records. Requests begun before `started_at_s`, a time of the clock, come first."""
        ...

    def amend(self, kept: object, ending: Track) -> None:
        """Add what came after a stored interaction, before the connection was used again."""
        ...
