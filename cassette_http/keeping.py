"""The record side of a board: passes interactions to hooks, redacts and writes them, and orders them at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cassette_http.cassette.blobs import blob_names
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.hooks import Hooks
from cassette_http.cassette.late_redactor import LateRedactor
from cassette_http.cassette.model import Interaction, Origin, TLSFacts, Track
from cassette_http.cassette.shortcuts import written_request
from cassette_http.cassette.store import Store
from cassette_http.in_use import Kept, Log, notify_witnesses


class Keeper:
    """Stores what a session records. Not thread-safe: the board holds its lock.

    It never raises into a client, which would take that for a connection error: `write_error` is the first error, and
    after an error of the file nothing more is written.
    """

    def __init__(self, log: Log, store: Store, redactor: LateRedactor, hooks: Hooks) -> None:
        self.write_error: Exception | None = None
        self._log, self._store, self._redactor, self._hooks = log, store, redactor, hooks
        self._amended: dict[Kept, Interaction] = {}
        self._pending_facts: dict[Origin | None, TLSFacts] = {}
        self._pid = os.getpid()

    def keep(self, interaction: Interaction, started_at_s: float) -> Kept | None:
        """Write an interaction as the hooks return it; None if they drop it, or it cannot be written."""
        with self.deferring_errors():
            admitted = self._hooks.recorded(interaction)
            if admitted is not interaction:
                # Its secrets may occur again, in what is recorded later.
                self._redactor.made.redact(interaction)
            if admitted is None:
                return None
            interaction = self._redactor.made.redact(admitted)
            document = self._dump(interaction)
            kept = self._remembered(interaction, document, started_at_s)
            self._log.keep(kept, interaction)
            self._append(*self._documents_of_facts(interaction.origin, interaction.via), document)
            notify_witnesses(interaction)
            return kept
        return None

    def amend(self, kept: Kept, ending: Track) -> None:
        """Add `ending` to the track of an interaction that was kept; the file gets it when the block ends."""
        with self.deferring_errors():
            track = kept.interaction.track
            track = replace(ending, pieces=track.pieces + ending.pieces)
            self._amended[kept] = self._redactor.made.redact(replace(kept.interaction, track=track))

    def keep_facts(self, facts: TLSFacts) -> None:
        """Write the facts about a TLS connection, as soon as something that came over it is recorded."""
        if self._hooks.on_match or self._hooks.on_record:
            self._pending_facts[facts.origin] = facts  # perhaps nothing of this origin is recorded
            return
        with self.deferring_errors():
            self._append(yaml_format.dump_tls(facts))

    def arrange(self) -> None:
        """Bring what was recorded into the order in which requests began, amended and without secrets learned late.

        Documents are appended as interactions complete, and the first ones may hold a secret that was unknown then.
        """
        with self.deferring_errors():
            if self._log.kept:
                self._arrange()

    def _arrange(self) -> None:
        kept = self._log.kept
        order = list(range(len(kept)))
        if self._pid == os.getpid():  # only in the parent of forked children
            order.sort(key=lambda position: kept[position].started_at_s)
        is_in_order = order == list(range(len(kept)))
        changed = self._changed()
        if self.write_error is not None or (is_in_order and not changed):
            return
        # Including everything after the first change: equal documents differ only in their order.
        positions = range(min(changed) if is_in_order else 0, len(kept))
        old = [kept[position].document for position in positions]
        for position, redacted in changed.items():
            kept[position] = self._remembered(redacted, self._dump(redacted), kept[position].started_at_s)
        new = [kept[at].document if at in changed else same for at, same in zip(positions, old, strict=True)]
        self._store.replace(old, new, None if is_in_order else order)
        self._store.blobs.remove((blob_names(b"".join(old)) - blob_names(b"".join(new))) & self._store.blobs.made)
        kept[:] = [kept[position] for position in order]

    def _changed(self) -> dict[int, Interaction]:
        """The interactions that must be changed in the file, by position."""
        redactor = self._redactor.made
        known = redactor.learned
        changed: dict[int, Interaction] = {}
        for position, each in enumerate(self._log.kept):
            amended = self._amended.get(each)
            if amended is None and each.learned == known:
                continue
            interaction = amended or each.interaction
            redacted = interaction if redactor.is_settled(interaction) else redactor.redact(interaction)
            if redacted is not interaction or amended is not None:
                changed[position] = redacted
        return changed

    def _dump(self, interaction: Interaction) -> bytes:
        request = interaction.request
        written = None
        if request is not None and request.via is None and not request.body_octets:
            written = written_request(request.origin, request.head_octets)
        return yaml_format.dump_interaction(interaction, self._store.put_aside, written and written.beginning)

    def _remembered(self, interaction: Interaction, document: bytes, started_at_s: float) -> Kept:
        path, fetch = str(self._store.path), self._store.blobs.fetch
        return Kept(interaction, document, path, fetch, started_at_s, self._redactor.made.learned)

    def _documents_of_facts(self, *origins: Origin | None) -> list[bytes]:
        """The documents about connections that must be written, now that something that came over them is recorded."""
        if not self._pending_facts:
            return []
        return [
            yaml_format.dump_tls(self._pending_facts.pop(origin)) for origin in origins if origin in self._pending_facts
        ]

    def _append(self, *documents: bytes) -> None:
        """Write now, so that a killed process loses nothing."""
        if self.write_error is None:
            self._store.append(*documents)

    @contextmanager
    def deferring_errors(self) -> Iterator[None]:
        """Keep the first error of the block until the cassette is left."""
        try:
            yield
        except Exception as error:
            self.write_error = self.write_error or error
