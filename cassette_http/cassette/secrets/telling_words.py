"""The words of a text that could be part of a telling name; a session judges each word once (pure).

Many texts have none, and then no rule for names finds anything in them, in whatever form names are written. In other
texts, a search for such a word can be limited to these few.
"""

from __future__ import annotations

import json
import re
from string import ascii_letters

from cassette_http.cassette.secrets.names import IN_OTHER_LETTERS, words_of_names
from cassette_http.cassette.secrets.rules import Rules
from cassette_http.cassette.secrets.shapes import blocks

_MOST_WORDS = 20_000
# With more new words in a block, it is probably not text, and judging each word takes longer than it saves.
_MOST_NEW_WORDS = 2000
_BLOCK = 1 << 16
# No name is longer; but a name may be the end of a long run of letters.
_LONGEST_WORD = 1 << 8

# Names consist of words of letters, with anything else between; "s_id" counts as one word.
_LETTERS = bytes(octet if 0x41 <= octet & ~0x20 <= 0x5A or octet == 0x5F else 0x20 for octet in range(256))
(_BACKSLASH,) = b"\\"
_NO_LETTER = re.compile(rb"[^A-Za-z_]")
# Each from its first letter that is not ASCII, which is rare.
_ENDS = sorted({word.lstrip(ascii_letters) for word in IN_OTHER_LETTERS})
_OTHER_LETTERS = re.compile("|".join(_ENDS).encode())
_ESCAPED_LETTERS = re.compile(
    b"|".join([rb"\\u00[4-7]", *(re.escape(json.dumps(end)[1:-1].encode()) for end in _ENDS)])
)


class TellingWords:
    """Remembers which words are telling, and which are not."""

    def __init__(self, rules: Rules) -> None:
        self._has_added_names = bool(rules.added)
        self._silent: set[bytes] = set()
        self._telling: set[bytes] = set()

    def words_of(self, text: bytes) -> bytes:
        """Join the words of a text that could be part of a telling name, or come before a token.

        Returns the text itself, which contains them, if searching for them is not worth it.
        """
        if self._has_added_names or text.find(b"%") >= 0:  # a name may be percent-encoded
            return text
        if not text.isascii() and _OTHER_LETTERS.search(text) is not None:
            return text
        # One octet is found fifty times as fast as two, and few texts have this one.
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
