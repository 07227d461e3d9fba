"""Record modes: names, and what each does with a request."""

from __future__ import annotations

from enum import Enum

import pytest

from cassette_http import InvalidOption
from cassette_http.cassette.modes import Policy, RecordMode, policy

REPLAY = Policy(can_play=True, can_record=False)
RECORD = Policy(can_play=False, can_record=True)
BOTH = Policy(can_play=True, can_record=True)


class ModeOfVcr(str, Enum):  # noqa: UP042  # the very way VCR.py's enumeration is made
    NEW_EPISODES = "new_episodes"
    ANY = "any"


@pytest.mark.parametrize(
    ("mode", "had_content", "expected"),
    [
        pytest.param(RecordMode.NONE, True, REPLAY, id="none replays"),
        pytest.param(RecordMode.NONE, False, REPLAY, id="none records nothing into a new cassette"),
        pytest.param(RecordMode.ONCE, True, REPLAY, id="once replays an old cassette"),
        pytest.param(RecordMode.ONCE, False, RECORD, id="once records a new cassette"),
        pytest.param(RecordMode.NEW_EPISODES, True, BOTH, id="new_episodes adds to an old cassette"),
        pytest.param(RecordMode.NEW_EPISODES, False, BOTH, id="new_episodes fills a new cassette"),
        pytest.param(RecordMode.ALL, True, RECORD, id="all plays nothing"),
        pytest.param(RecordMode.ALL, False, RECORD, id="all records a new cassette"),
        pytest.param(RecordMode.REWRITE, True, RECORD, id="rewrite plays nothing"),
        pytest.param(RecordMode.REWRITE, False, RECORD, id="rewrite records a new cassette"),
    ],
)
def test_policy_of_each_mode(mode: RecordMode, had_content: bool, expected: Policy) -> None:
    assert policy(mode, had_content) == expected


@pytest.mark.parametrize("mode", RecordMode)
def test_every_mode_is_found_by_its_value_and_by_itself(mode: RecordMode) -> None:
    assert RecordMode.of(mode.value) is mode
    assert RecordMode.of(mode) is mode


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("new-episodes", RecordMode.NEW_EPISODES, id="hyphen"),
        pytest.param("New Episodes", RecordMode.NEW_EPISODES, id="capitals and blank"),
        pytest.param(" once ", RecordMode.ONCE, id="blanks around"),
        pytest.param("any", RecordMode.NEW_EPISODES, id="VCR.py's any"),
        pytest.param(ModeOfVcr.ANY, RecordMode.NEW_EPISODES, id="member of VCR.py's enumeration, any"),
        pytest.param(ModeOfVcr.NEW_EPISODES, RecordMode.NEW_EPISODES, id="member of VCR.py's enumeration"),
    ],
)
def test_other_spellings_are_understood(given: str, expected: RecordMode) -> None:
    assert RecordMode.of(given) is expected


def test_an_unknown_mode_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidOption, match="no record mode 'new_episode'; did you mean \"new_episodes\""):
        RecordMode.of("new_episode")


@pytest.mark.parametrize("given", ["", "zzz", None, 1, True])
def test_an_unknown_mode_is_refused_with_the_list_of_all(given: str) -> None:
    with pytest.raises(InvalidOption, match=r"\(the modes are: none, once, new_episodes, all, rewrite\)"):
        RecordMode.of(given)


def test_an_unknown_mode_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no record mode"):
        RecordMode.of("nothing")
