"""What the name of a value says about it, and what is written in its place (pure)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from cassette_http.cassette.field_rules import COOKIE_RULES, redact_credentials
from cassette_http.cassette.redaction_rules import Rules
from cassette_http.cassette.secret_names import NameKind, looks_random
from cassette_http.cassette.splicing import Edit
from cassette_http.cassette.vault import Vault, is_placeholder

__all__ = ["MIXED", "SIMPLE_WORD", "STRONG", "Hiding", "Inner", "is_secret_value"]

STRONG = frozenset(NameKind) - {NameKind.ORDINARY, NameKind.WEAK}

_MOST_NAMES = 10_000

Inner: TypeAlias = Callable[[bytes], list[Edit]]
"""Finds secrets in a text that was decoded from a part of another; nothing if that is too deep."""


class Hiding:
    """The rules of a session, with the vault that secrets are hidden in."""

    def __init__(self, rules: Rules, vault: Vault) -> None:
        self.rules, self.vault = rules, vault
        self.kind = rules.kind
        self._ordinary: defaultdict[str, set[bytes]] = defaultdict(set)

    def is_ordinary(self, place: str, names: Iterable[bytes]) -> bool:
        """Tell whether all names are known, and none of them says anything; quick."""
        return self._ordinary[place].issuperset(names)

    def secrets(self, place: str, names: Iterable[bytes]) -> list[bytes]:
        """The names that are no ordinary ones."""
        # Most messages of a session have the same names.
        names = set(names).difference(self._ordinary[place])
        if not names:
            return []
        secret = {name for name in names if self.kind(place, name) is not NameKind.ORDINARY}
        if len(self._ordinary[place]) < _MOST_NAMES:
            self._ordinary[place] |= names - secret
        return sorted(secret)

    def hidden(self, kind: NameKind, value: bytes, is_matching: bool = False) -> bytes | None:
        """What to write in the place of a value, as far as its name tells; None if it stays."""
        if is_matching and kind in STRONG and value.strip().lower() in _NOTHING:
            return b"{{secret}}"
        if kind is NameKind.CREDENTIALS:
            hidden = redact_credentials(value, self.vault)
        elif kind in COOKIE_RULES:
            hidden = COOKIE_RULES[kind](value, self.vault)
        elif not is_secret_value(kind, value):
            return None
        else:
            hidden = self.vault.hide(value, is_searched=_is_distinct(kind, value))
        return None if hidden == value else hidden


_NOTHING = frozenset({b"", b"none", b"null", b"undefined"})
_URL = re.compile(rb"[a-z][a-z0-9+.-]*://|/", re.IGNORECASE)
_SENTENCE = re.compile(rb"[A-Z][^ ]* .*[.!?]", re.DOTALL)
_STANDS_FOR_ONE = re.compile(rb"[*x.\xe2\x80\xa2\xa6-]+|\$?\{.*\}|<.*>|\[.*\]|%\(?[\w]*\)?s", re.IGNORECASE | re.DOTALL)
SIMPLE_WORD = re.compile(rb"[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}")
_LONGEST_SECRET = 1 << 16
# A word of digits and letters that is no date.
MIXED = re.compile(rb"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])(?![0-9]{4}-[0-9]{2}-)[^\s(){}\[\];,<>]{6,200}")


def is_secret_value(kind: NameKind, value: bytes) -> bool:
    """Tell whether a value is one that its name may hide: no sentence, no URL, nothing that is masked already."""
    if not value.strip() or is_placeholder(value) or _STANDS_FOR_ONE.fullmatch(value) or len(value) > _LONGEST_SECRET:
        return False
    if kind is NameKind.WEAK:
        return looks_random(value.decode("latin-1"))
    if _SENTENCE.fullmatch(value):
        return False
    return kind is NameKind.PASSWORD or not _URL.match(value)


def _is_distinct(kind: NameKind, value: bytes) -> bool:
    """Tell whether a value can be searched elsewhere: a word would be found where it is only a word."""
    return kind is NameKind.PASSWORD or not (SIMPLE_WORD.fullmatch(value) or b" " in value)
