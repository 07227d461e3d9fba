"""Record modes: whether a request is played, recorded or refused (pure; one table decides).

Also the policies for repeated requests, and for the pace of a replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from cassette_http.cassette.rule_notation import no_such
from cassette_http.errors import InvalidOption


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be done with a request.

    It is played if `can_play` and an interaction matches, else recorded if `can_record`, else refused.
    """

    can_play: bool
    can_record: bool


class RecordMode(Enum):
    """What is done with a request; the values are the words users write."""

    NONE = "none"
    """Replay only; never connect. Without a file there is nothing to play: every request is refused."""

    ONCE = "once"
    """Record a new cassette, replay an old one. Without a file, or with an empty one, all is recorded."""

    NEW_EPISODES = "new_episodes"
    """Replay what is in the cassette, and append the rest to it. Without a file everything is recorded."""

    ALL = "all"
    """Record everything, replay nothing; what the file had stays in it. Without a file one is created."""

    REWRITE = "rewrite"
    """Record everything into a new file that replaces the old one on success. Without a file: as `all`."""

    @classmethod
    def of(cls, value: str | RecordMode) -> RecordMode:
        """Return the mode called `value`; case does not matter, "-" and spaces count as "_".

        The enumeration of VCR.py is accepted too (its members are strings); its "any" means `new_episodes`.
        Raises InvalidOption, which suggests the nearest name and lists all.
        """
        if isinstance(value, cls):
            return value
        word = value.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(value, str) else ""
        if word in _BY_WORD:
            return _BY_WORD[word]
        raise InvalidOption(no_such("record mode", value, [mode.value for mode in cls], meant=word))


_BY_WORD = {mode.value: mode for mode in RecordMode} | {"any": RecordMode.NEW_EPISODES}

_REPLAY = Policy(can_play=True, can_record=False)
_RECORD = Policy(can_play=False, can_record=True)
_BOTH = Policy(can_play=True, can_record=True)

#                              the file had content   it was missing or empty
_TABLE = {
    RecordMode.NONE:           (_REPLAY,              _REPLAY),
    RecordMode.ONCE:           (_REPLAY,              _RECORD),
    RecordMode.NEW_EPISODES:   (_BOTH,                _BOTH),
    RecordMode.ALL:            (_RECORD,              _RECORD),
    RecordMode.REWRITE:        (_RECORD,              _RECORD),
}  # fmt: skip


def policy(mode: RecordMode, had_content: bool) -> Policy:
    """Look up what `mode` allows. `had_content`: the cassette had interactions when it was opened."""
    return _TABLE[mode][0 if had_content else 1]


REPEAT_POLICIES = ("fail", "last", "cycle", "first")
PACES = ("fast", "recorded")


def known_policy(repeat: str) -> str:
    """Return `repeat` itself. Raises InvalidOption if there is no such policy."""
    if repeat not in REPEAT_POLICIES:
        raise InvalidOption(no_such("repeat policy", repeat, REPEAT_POLICIES))
    return repeat


def known_pace(pace: str) -> str:
    """Return `pace` itself. Raises InvalidOption if there is no such pace."""
    if pace not in PACES:
        raise InvalidOption(no_such("pace", pace, PACES))
    return pace


def is_build_server(environment: Mapping[str, str]) -> bool:
    """Tell from the environment variable CI whether recording must be requested explicitly."""
    return environment.get("CI", "").lower() in ("true", "1")


def can_play(mode: RecordMode) -> bool:
    return policy(mode, had_content=True).can_play
