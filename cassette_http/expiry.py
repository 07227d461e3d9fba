"""How old a cassette may become before it should be recorded again, and the warning that says so."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

from cassette_http.cassette.format.yaml_format import Documents
from cassette_http.errors import InvalidOption
from cassette_http.loading import recorded_at
from cassette_http.wording import counted

HOW_TO_RENEW = 'record it again with record_mode="rewrite", or in pytest with --cassette-update=all'

_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def known_age(value: Any) -> float | None:
    """Check the value of `max_age`, and return it in seconds; None for no limit. Raises InvalidOption."""
    if value is None:
        return None
    found = _AGE.fullmatch(value) if isinstance(value, str) else None
    age = int(found[1]) * _UNITS[found[2]] if found is not None else value
    if not isinstance(age, timedelta) or age <= timedelta():
        raise InvalidOption(f'max_age takes an age such as "12h", "30d" or "4w", or a timedelta, not {value!r}')
    return age.total_seconds()


def expiry_of(documents: Documents, path: str, max_age_s: float | None) -> str | None:
    """Say how much too old a cassette is; None if it is not, or does not say when it was recorded."""
    recorded_at_s = recorded_at(documents, path) if max_age_s is not None else None
    if recorded_at_s is None or max_age_s is None or (age_s := time.time() - recorded_at_s) <= max_age_s:
        return None
    return f"was recorded {_shown(age_s)} ago, and max_age is {_shown(max_age_s)}"


def _shown(seconds: float) -> str:
    for unit, unit_s in (("day", 86400), ("hour", 3600)):
        if seconds >= 2 * unit_s:
            return counted(int(seconds // unit_s), unit)
    return counted(int(seconds // 60), "minute")
