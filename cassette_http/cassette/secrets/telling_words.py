"""Whether a text has a word that could be part of a telling name; a session judges each word once (pure).

Many texts have none, and then no rule that answers to a name finds anything in them, however a name is written.
"""

from __future__ import annotations

from cassette_http.cassette.secrets.names import words_of_names
from cassette_http.cassette.secrets.rules import Rules

__all__ = ["TellingWords"]

_MOST_WORDS = 20_000
# Where so many texts in a row have one, only some of the next are looked at.
_MANY_IN_VAIN = 4
_SKIPPED = 7

# Names are made of words of letters, with anything else between.
_LETTERS = bytes(octet if 0x41 <= octet & ~0x20 <= 0x5A else 0x20 for octet in range(256))


class TellingWords:
    """Remembers the words that tell nothing."""

    def __init__(self, rules: Rules) -> None:
        self._has_added_names = bool(rules.added)
        self._silent: set[bytes] = set()
        self._in_vain = 0

    def may_be_in(self, text: bytes) -> bool:
        """Tell whether a text could hold a telling name, or a word that stands in front of a token.

        True also where it does not pay to look.
        """
        if self._has_added_names or text.find(b"%") >= 0:  # a name may be percent-encoded
            return True
        if self._in_vain >= _MANY_IN_VAIN + _SKIPPED:
            self._in_vain = _MANY_IN_VAIN - 1
        if self._in_vain >= _MANY_IN_VAIN or self._tells(text.translate(_LETTERS).split()):
            self._in_vain += 1
            return True
        self._in_vain = 0
        return False

    def _tells(self, words: list[bytes]) -> bool:
        silent = self._silent
        if silent.issuperset(words):
            return False
        new = set(words).difference(silent)
        telling = words_of_names(new)
        if len(silent) + len(new) > _MOST_WORDS:
            silent.clear()
        silent |= new - telling
        return bool(telling)
