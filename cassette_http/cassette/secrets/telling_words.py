"""The words of a text that could be part of a telling name; a session judges each word once (pure).

Many texts have none, and then no rule that answers to a name finds anything in them, however a name is written. In
others, what is looked for with such a word in it is soon missed among these few.
"""

from __future__ import annotations

import json
import re
from string import ascii_letters

from cassette_http.cassette.secrets.names import IN_OTHER_LETTERS, words_of_names
from cassette_http.cassette.secrets.rules import Rules
from cassette_http.cassette.secrets.shapes import blocks

_MOST_WORDS = 20_000
# With more new words in a block, a text is hardly made of words, and to judge each takes longer than it saves.
_MOST_NEW_WORDS = 2000
_BLOCK = 1 << 16
# No name is longer; but a name may be what a long run of letters ends with.
_LONGEST_WORD = 1 << 8

# Names are made of words of letters, with anything else between; "s_id" is one.
_LETTERS = bytes(octet if 0x41 <= octet & ~0x20 <= 0x5A or octet == 0x5F else 0x20 for octet in range(256))
(_BACKSLASH,) = b"\\"
_NO_LETTER = re.compile(rb"[^A-Za-z_]")
# Each from its first letter that is not in ASCII, which is rare.
_ENDS = sorted({word.lstrip(ascii_letters) for word in IN_OTHER_LETTERS})
_OTHER_LETTERS = re.compile("|".join(_ENDS).encode())
_ESCAPED_LETTERS = re.compile(
    b"|".join([rb"\\u00[4-7]", *(re.escape(json.dumps(end)[1:-1].encode()) for end in _ENDS)])
)


class TellingWords:
    """Remembers which words tell something, and which nothing."""

    def __init__(self, rules: Rules) -> None:
        self._has_added_names = bool(rules.added)
        self._silent: set[bytes] = set()
        self._telling: set[bytes] = set()

    def words_of(self, text: bytes) -> bytes:
        """Put together the words of a text that could be of a telling name, or stand in front of a token.

        The text itself, which has them as well, where it does not pay to find out.
        """
        if self._has_added_names or text.find(b"%") >= 0:  # a name may be percent-encoded
            return text
        if not text.isascii() and _OTHER_LETTERS.search(text) is not None:
            return text
        # One octet is found fifty times as quickly as two, and few texts have this one.
        if _BACKSLASH in text and text.find(b"\\u") >= 0 and _ESCAPED_LETTERS.search(text) is not None:
            return text
        telling: set[bytes] = set()
        for _, block in blocks(text, _BLOCK, _NO_LETTER):
            found = block.translate(_LETTERS).split()
            if not self._silent.issuperset(found):
                new = set(found).difference(self._silent)
                if len(new) > _MOST_NEW_WORDS:
                    return text
                telling |= self._chosen(new)
        return b"\n".join(telling)

    def _chosen(self, words: set[bytes]) -> set[bytes]:
        if self._telling.issuperset(words):
            return words
        new = {word[-_LONGEST_WORD:] for word in words}
        telling = words_of_names(new)
        if len(self._silent) + len(self._telling) + len(new) > _MOST_WORDS:
            self._silent.clear()
            self._telling.clear()
        self._silent |= new - telling
        self._telling |= telling
        return telling
