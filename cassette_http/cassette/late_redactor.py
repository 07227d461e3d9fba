"""The redactor of a session, created when it is needed (pure).

Its rules are half of the engine's import time, and most replays need none of them: a request that is sent as it was
recorded is found by its octets, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cassette_http.cassette.model import Interaction, Request
    from cassette_http.cassette.secrets.redaction import Redactor


# Marks of a value that was hidden, plainly or in a JWT.
_MARKS = (b"secret", b"eyJ")


class LateRedactor:
    """Creates `made` with the options of `Redactor`. New placeholders get other numbers than those in `used`.

    Not thread-safe: the board holds a lock.
    """

    def __init__(self, used: bytes = b"", *, secrets: Mapping[str, str | bytes], **options: Any) -> None:
        self._used, self._options = used, {**options, "secrets": secrets}
        self._has_declared = bool(secrets)

    @cached_property
    def made(self) -> Redactor:
        """The redactor. Raises InvalidOption."""
        from cassette_http.cassette.secrets.placeholders import next_number
        from cassette_http.cassette.secrets.redaction import Redactor

        used, self._used = self._used, b""
        return Redactor(next_number(used), **self._options)

    def make(self) -> None:
        """Create `made` now. Raises InvalidOption."""
        _ = self.made

    @property
    def restores(self) -> bool:
        """`restore` may change something."""
        return self._has_declared or ("made" in self.__dict__ and self.made.restores)

    def restore(self, interaction: Interaction) -> Interaction:
        """Like `Redactor.restore`."""
        return self.made.restore(interaction) if self.restores else interaction

    def note_sent(self, recorded: Request | None, sent: Request) -> None:
        """Like `Redactor.note_sent`."""
        parts = (recorded.head_octets, recorded.body_octets) if recorded is not None else ()
        if any(mark in octets for octets in parts for mark in _MARKS):
            self.made.note_sent(recorded, sent)
