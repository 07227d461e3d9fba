"""How options name parts of messages: "header:X-Tenant", "query:page", "$.users[*].email" (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from cassette_http.errors import InvalidOption
from cassette_http.wording import number_of

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\*)\]|\[(['\"])(.*?)\3\]")
_SPELLED_PLACES = {"header": "fields", "field": "fields", "headers": "fields"}


def json_path(path: str, option: str) -> tuple[str, ...]:
    """Split "$.users[*].email" into its steps; "*" matches any. Raises InvalidOption, which shows `option`."""
    steps: list[str] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise InvalidOption(f'{option}: a path into JSON looks like "$.users[*].email" or "$.data[0].pin"')
        steps.append(step[1] or step[2] or step[4] or "")
        at = step.end()
    if not steps:
        raise InvalidOption(f"{option}: the path is empty")
    return tuple(steps)


def place_of(given: str, places: Sequence[str], option: str) -> str:
    """Find the place in `places`; "fields" is written "header". Raises InvalidOption, which shows `option`."""
    place = given.strip().lower()
    place = _SPELLED_PLACES.get(place, place)
    if place not in places:
        shown = ["header", *(each for each in places if each != "fields")]
        raise InvalidOption(f"{option}: {no_such('place', given, shown)}")
    return place


def no_such(what: str, given: object, known: Iterable[str], meant: object = None) -> str:
    """Say that there is no `what` called `given`; suggests a near name (to `meant`, if given) and lists all."""
    shown = list(known)
    those = number_of(what.rpartition(" ")[2], 2)
    hint = did_you_mean(given if meant is None else meant, shown)
    return f"there is no {what} {given!r}{hint} (the {those} are: {', '.join(shown)})"


# Names of options here, by those that they have in other recorders.
WORDS_OF_OTHERS = {
    "match_on": "match",
    "match_requests_on": "match",
    "filter_headers": "redact",
    "filter_query_parameters": "redact",
    "filter_post_data_parameters": "redact",
    "filter_sensitive_data": "secrets",
    "before_record_request": "on_match",
    "before_record_response": "on_record",
    "ignore_hosts": "on_match",
    "ignore_localhost": "on_match",
    "allow_playback_repeats": "repeat",
    "allowed_hosts": "allow_hosts",
    "record_on_exception": "only_on_success",
}


def no_option(who: str, given: str, known: Iterable[str]) -> str:
    """Say that `who` has no option with this name; suggests the one that was meant, and lists all."""
    shown = list(known)
    mode = "mode" if "mode" in shown else "record_mode"
    meant = mode if given in ("mode", "record", "record_mode") else WORDS_OF_OTHERS.get(given, given)
    return f"{who} has no option {given!r}{did_you_mean(meant, shown)} (the options are: {', '.join(shown)})"


def did_you_mean(given: object, known: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    """A question that suggests a near name, or ""; `shown` says how names are written."""
    from difflib import get_close_matches  # late: most names exist

    near = get_close_matches(given, known, n=1) if isinstance(given, str) else []
    return f'; did you mean "{shown[near[0]] if shown else near[0]}"?' if near else ""
