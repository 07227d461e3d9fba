"""Sets the clock to the time of recording, for programs that depend on it: signatures, expiring tokens, caches.

`time-machine` sets the clocks that tell the time, but not `time.monotonic`, so that time-outs and event loops work.
The clock continues to run, so that a program which waits for a certain time does not wait forever. A cassette only says
when its recording began, so the clock is advanced when a played response was later: a token must not have been issued
in the future.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from cassette_http.cassette.model import Interaction
from cassette_http.cassette.volatile import moment_of
from cassette_http.errors import InvalidOption

# A server whose clock is further off tells nothing about the recording.
MOST_AHEAD_S = 3600.0

_DATE = re.compile(rb"\r\ndate:[ \t]*([^\r\n]*)", re.IGNORECASE)


def require_time_machine() -> None:
    """Raise InvalidOption if the library that sets the clock is missing."""
    if find_spec("time_machine") is None:
        raise InvalidOption(
            "freeze_time needs the library time-machine, which is not installed: pip install 'cassette-http[time]'"
        )


class FrozenTime:
    """The clock, as it was from `moment_s` (seconds since 1970) on."""

    def __init__(self, moment_s: float) -> None:
        # The second is all that is known; its end is no time before any of what happened first.
        self._begin_s = moment_s + 1
        self._traveller: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the clock at that time, and let it go on from there."""
        import time_machine

        with time_machine.travel(self._begin_s, tick=True) as self._traveller:
            yield

    def advance(self, interaction: Interaction) -> Interaction:
        """Put the clock forward to the Date of a response that is about to be played; returns the interaction."""
        found = _DATE.search(interaction.track.octets)
        date_s = moment_of(found[1]) if found is not None else None
        if date_s is not None and datetime.now(UTC).timestamp() < date_s < self._begin_s + MOST_AHEAD_S:
            self._traveller.move_to(date_s)
        return interaction
