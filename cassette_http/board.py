"""Answers what the transports ask of the cassette in use.

A board connects the channels, which know nothing about files, with the `cassette` room: it finds the answer to a
request, has its `Keeper` store what was recorded, and holds errors until the block ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from cassette_http.base_board import BaseBoard, ChildMessages
from cassette_http.caller import caller, has_reached_program
from cassette_http.cassette.buckets import Entry
from cassette_http.cassette.explaining import Candidate, explain_miss
from cassette_http.cassette.hooks import Hooks
from cassette_http.cassette.index import Index, line_of
from cassette_http.cassette.late_redactor import LateRedactor
from cassette_http.cassette.model import UNIX, Failure, FailureKind, Interaction, Origin, Request, TLSFacts, Track
from cassette_http.cassette.modes import Policy
from cassette_http.cassette.shortcuts import Answer, written_request
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteError, UnmatchedRequest
from cassette_http.in_use import (
    Cassette,
    Kept,
    LiveConnection,
    Log,
    Miss,
    PastExchange,
    is_witnessed,
    notify_witnesses,
)
from cassette_http.keeping import Keeper
from cassette_http.transport.channel import Channel
from cassette_http.transport.deck import Undecided
from cassette_http.transport.host import clock
from cassette_http.transport.recorded_peers import ends_within_request


class Board(BaseBoard):
    """The board of one cassette (see transport.host.Switchboard). Thread-safe."""

    only_watches = False
    most_octets: int | None = None

    def __init__(
        self,
        cassette: Cassette,
        log: Log,
        index: Index,
        store: Store,
        redactor: LateRedactor,
        hooks: Hooks,
        *,
        may: Policy,
        keeps_pace: bool,
        mode_setting: str,
    ) -> None:
        super().__init__()
        # A program that looks at its cassette takes this lock too, so a fork also waits for that.
        self._lock = index.lock
        self.cassette, self._log = cassette, log
        self.policy = may
        self.decides_at_head = not (index.matching.needs_body or hooks.on_match)
        self.keeps_pace = keeps_pace
        self._mode_setting = mode_setting
        self._hidden_error: Exception | None = None  # raised inside a client, which may have swallowed it
        self.not_recorded: list[str] = []
        """What could not be recorded, and why."""
        self._index, self._store = index, store
        self._redactor, self._hooks = redactor, hooks
        self._keeper = Keeper(log, store, redactor, hooks)
        # If something may be recorded, secrets in the fields of a request must be known.
        self._passes_over_fields = index.matching.passes_over_fields and not may.can_record
        self._answers_at_once = not (keeps_pace or redactor.restores or hooks.on_match or hooks.on_replay)
        self._pid = os.getpid()
        self._child_messages: ChildMessages | None = None

    # ------------------------------------------------------------------ forks

    def before_fork(self) -> None:
        super().before_fork()
        if self._child_messages is None:
            with suppress(OSError):  # there is no place for temporary files
                self._child_messages = ChildMessages()

    def leave(self) -> None:
        super().leave()
        if self._child_messages is not None:
            if self._pid == os.getpid():
                self.cassette.misses += self._child_messages.read()
            self._child_messages.close()
            self._child_messages = None

    # ------------------------------------------------------------------ requests

    def may_answer(self, host: str, port: int) -> bool:
        if not (self.policy.can_play and self.policy.can_record) or self._hooks.on_match:
            # Without recording, a request without an answer must come here and be refused. A hook may change the host
            # of any request.
            return self.policy.can_play
        with self._lock, self._remembering_errors():
            return self._index.may_answer(host, port)

    def answer_at_once(self, origin: Origin, octets: bytes, *, may_be_stale: bool) -> Answer | None:
        written = written_request(origin, octets) if self._answers_at_once and not is_witnessed() else None
        if written is None:
            return None
        with self._lock:
            found = self._index.find_written(
                written, passes_over_fields=self._passes_over_fields, may_be_stale=may_be_stale
            )
            if found is None:
                return None
            entry, answer = found
            entry.plays += 1
            self._log.history.append(entry)
            return answer

    def admit(self, request: Request) -> Request | None:
        if not self._hooks.on_match:
            return request
        with self._lock, self._keeper.deferring_errors():
            return self._admitted(request)
        return None  # the hook failed

    def choose(self, request: Request, *, may_be_stale: bool) -> Interaction | Request | None:
        with self._lock, self._remembering_errors():
            admitted = self._admitted(request)
            if admitted is None:
                return None
            return self._answer(admitted, may_be_stale=may_be_stale) or self._without_answer(admitted)

    def expect(
        self, request: Request, fits: Callable[[Interaction], bool], is_waiting: bool
    ) -> Interaction | Request | Undecided | None:
        with self._lock, self._remembering_errors():
            entry = self._index.find_same_head(request)
            if entry is None:
                if not (is_waiting or self._index.may_have(line_of(request), fits)):
                    return Undecided.YET  # without redaction, which takes long
                entry = self._index.find_by_head(self._compared(request), repeats=is_waiting)
            # The hook will see the request with its body when it is chosen later, so it should not see it now as well.
            if entry is not None and not fits(entry.interaction) and not (is_waiting and self._hooks.on_match):
                return Undecided.YET
            if entry is None and not is_waiting:
                return Undecided.YET
            admitted = self._admitted(request)
            if admitted is None:
                return None
            if admitted is not request:
                entry = self._index.find_by_head(self._compared(admitted), repeats=is_waiting)
            if entry is not None:
                return (self._play(entry, admitted) if fits(entry.interaction) else None) or Undecided.YET
            return self._without_answer(admitted) if is_waiting else Undecided.YET

    def _admitted(self, request: Request) -> Request | None:
        """Return the request as changed by `on_match`; learn secrets that it removes, as responses may repeat them."""
        admitted = self._hooks.asked(request)
        if admitted is not request and self.policy.can_record:
            self._redactor.made.redact_request(request)
        return admitted

    def _without_answer(self, request: Request) -> Interaction | Request:
        """Return the request if it may be recorded, else a recorded connect that timed out, as its interaction.

        Raises UnmatchedRequest if there is neither.
        """
        if self.policy.can_record:
            return request
        silence = self._silence(request.origin)
        if silence is None:
            raise self._refuse(self._redactor.made.redact_request(request))
        return replace(silence, request=request)

    def _silence(self, origin: Origin) -> Interaction | None:
        """Claim a recorded connect to `origin`, or a handshake, that timed out; None if there is none.

        If several connections were opened at once, only their use shows which one timed out. If there is only this one,
        it is not the one that timed out.
        """
        at_once = [channel for channel in self._channels if channel.origin == origin and not channel.is_closed]
        entry = self._index.find_silence(_without_userinfo(origin)) if len(at_once) > 1 else None
        met = self._play(entry, None) if entry is not None else None
        if met is None or met.track.failure is None:
            return None
        return replace(met, track=Track(failure=replace(met.track.failure, kind=FailureKind.TIMEOUT)))

    def _answer(self, request: Request, *, may_be_stale: bool) -> Interaction | None:
        """Claim the answer to `request`, skipping what a hook drops."""
        entry = self._index.find_same(request, may_be_stale=may_be_stale)
        entry = entry or self._find(self._compared(request), may_be_stale=may_be_stale)
        dropped: list[Entry] = []
        while entry is not None and entry not in dropped:
            interaction = self._play(entry, request)
            if interaction is not None:
                return interaction
            entry.is_dropped = True
            dropped.append(entry)
            entry = self._find(self._compared(request), may_be_stale=may_be_stale)
        return None

    def _find(self, compared: Request, *, may_be_stale: bool) -> Entry | None:
        entry = self._index.find(compared, may_be_stale=may_be_stale)
        if entry is None and not self.policy.can_record:
            stricter = self._redactor.made.hide_weakly_named(compared)
            entry = self._index.find(stricter, may_be_stale=may_be_stale) if stricter is not compared else None
        if entry is None and compared.body_octets:
            # If the peer broke off before it had all of the body, the rest was not recorded.
            begun = self._index.find_by_head(compared)
            if begun is not None and ends_within_request(begun.interaction):
                return begun
        return entry

    def _compared(self, request: Request) -> Request:
        """The form in which a request is compared with recorded ones."""
        return self._index.matching.strip(self._redactor.made.redact_request(request))

    def _play(self, entry: Entry, request: Request | None) -> Interaction | None:
        entry.plays += 1
        recorded = entry.interaction
        self._log.history.append(entry)
        if self._index.answers_once:
            entry.release()
        if is_witnessed():
            notify_witnesses(self._redactor.made.redact(replace(recorded, request=request)))
        if request is not None:
            self._redactor.note_sent(recorded.request, request)
            self._answers_at_once = self._answers_at_once and not self._redactor.restores
        interaction = self._redactor.restore(recorded)
        if not self._hooks.on_replay:
            return interaction
        return self._hooks.replayed(replace(interaction, request=request))

    def refuse(self, origin: Origin, reason: str) -> Exception:
        with self._lock:
            why = self._redactor.made.redact_text(reason)
            error = UnmatchedRequest(
                f"{self.cassette.path} cannot answer a request to {origin}, as {why}; "
                "only in a mode that records it is passed on, and never recorded"
            )
            self._hidden_error = self.unnoticed_error or error
            return error

    def let_pass(self, origin: Origin, reason: str) -> None:
        with self._lock:
            why = self._redactor.made.redact_text(reason)
            self.not_recorded.append(
                f"a request to {origin}, and all that followed on its connection, was not recorded, as {why}"
            )

    def drop(self) -> None:
        pass  # there is no limit

    def keep(self, interaction: Interaction, started_at_s: float = 0.0) -> Kept | None:
        with self._lock:
            if self._is_closed or not self.policy.can_record:
                return None  # a thread that outlived the block, or a connection that only passes through
            return self._keeper.keep(interaction, started_at_s)

    def amend(self, kept: object, ending: Track) -> None:
        assert isinstance(kept, Kept)
        with self._lock:
            self._keeper.amend(kept, ending)

    # ------------------------------------------------------------------ connections

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        if not self.policy.can_play:
            return None
        with self._lock, self._remembering_errors():
            entry = self._index.find_connection_failure(_without_userinfo(origin), kinds)
            interaction = self._play(entry, None) if entry is not None else None
            return interaction.track.failure if interaction is not None else None

    def knows_peer(self, host: str, port: int) -> bool:
        with self._lock, self._remembering_errors():
            return self._index.knows_peer(host, port)

    def keep_connection_failure(
        self, origin: Origin, failure: Failure, via: Origin | None, started_at_s: float | None = None
    ) -> None:
        if started_at_s is None:
            # Requests that began during a time-out come before it.
            started_at_s = clock() - (0.0 if failure.is_timeout else failure.at)
        self.keep(Interaction(_without_userinfo(origin), None, Track(failure=failure), via), started_at_s)

    def note_connection(self, channel: Channel) -> None:
        """A connection to a real peer is about to be opened for `channel`."""
        with self._lock:
            why = "everything is recorded"  # the mode may differ from the one of the test: see plugin.sharing
            if channel.newest_request is not None:
                request = self._redactor.made.redact_request(channel.newest_request)
                asked = f"{request.method} {request.url}"
                why = f"on_match lets {asked} pass" if channel.is_passing else f"no interaction for {asked}"
            elif self.policy.can_play and not channel.can_play:
                why = "nothing of it was recorded"
            elif self.policy.can_play:
                why = "it does not speak HTTP" if channel.has_spoken else "its peer speaks first"
            peer = channel.via or channel.origin
            origin = Origin(UNIX if peer.is_unix else "tcp", peer.host, peer.port)
            self.cassette.connections.append(LiveConnection(origin, datetime.now(UTC), why))

    def tls_facts(self, origin: Origin) -> TLSFacts:
        with self._lock, self._remembering_errors():
            known = self._facts_of(origin)
            if len(known) != 1 or not self._index.is_complete:
                # The connection is opened for the next recorded request; its facts were recorded before that.
                position = self._index.next_position(origin)
                known = self._facts_of(origin)
                known = [one for one in known if one[0] <= position] or known[:1]
            return known[-1][1] if known else TLSFacts(origin)

    def _facts_of(self, origin: Origin) -> list[tuple[int, TLSFacts]]:
        return [one for one in self._index.facts if one[1].origin == origin]

    def keep_tls_facts(self, facts: TLSFacts) -> None:
        with self._lock:
            known = self._facts_of(facts.origin)
            is_new = not known or known[-1][1] != facts
            if is_new and not self._is_closed and self.policy.can_record:
                self._index.facts.append((len(self._index), facts))
                self._keeper.keep_facts(facts)

    def arrange(self) -> None:
        """The block has ended: give what was recorded its final form."""
        with self._lock:
            self._keeper.arrange()

    @property
    def write_error(self) -> Exception | None:
        """The first error while something was recorded."""
        return self._keeper.write_error

    @property
    def unnoticed_error(self) -> Exception | None:
        """The first error that was raised inside a client, unless a hook raised it and the program has caught it."""
        error = self._hidden_error
        is_met = error is not None and not isinstance(error, CassetteError) and has_reached_program(error)
        return None if is_met else error

    # ------------------------------------------------------------------ private

    @contextmanager
    def _remembering_errors(self) -> Iterator[None]:
        """Remember the first error of a hook, or of a broken document, that is raised inside a client.

        Refusals are collected separately.
        """
        try:
            yield
        except UnmatchedRequest:
            raise
        except Exception as error:
            self._hidden_error = self.unnoticed_error or error
            raise

    def _refuse(self, request: Request) -> UnmatchedRequest:
        candidates = [
            Candidate(entry.number, entry.request, entry.plays > 0)
            for entry in self._index.nearest(request)
            if entry.request is not None
        ]
        silence = self._index.find_silence(_without_userinfo(request.origin))
        explanation = explain_miss(
            request,
            candidates,
            cassette=str(self.cassette.path),
            mode=self.cassette.record_mode.value,
            matching=self._index.matching,
            mode_setting=self._mode_setting,
            is_missing=not candidates and not self._store.exists(),
            has_interactions=bool(len(self._index)),
            stricter=self._redactor.made.hide_weakly_named(request),
            silent=silence.number if silence is not None else None,
        )
        miss = Miss(request, caller(), explanation)
        self.cassette.misses.append(miss)
        if self._child_messages is not None and self._pid != os.getpid():
            self._child_messages.write(miss)
        self._log.history.append(PastExchange("refused", request))
        return UnmatchedRequest(explanation.message)


def _without_userinfo(origin: Origin) -> Origin:
    """Some clients look up `user:password@host`, which contains a secret that may differ in the replay."""
    if "@" not in origin.host:
        return origin
    return replace(origin, host="{{secret}}@" + origin.host.rpartition("@")[2])
