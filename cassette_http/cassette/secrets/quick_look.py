"""A quick look at a text: whether any rule could find something in it (pure).

Most messages contain no secret, and must not pay for all rules. Rules react to a name, a token or a coding. All names
before a colon or an equals sign are found in two passes, in whatever form they are written, and names that were seen
before cost almost nothing. If the result is no, that is certain; if it is yes, it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from cassette_http.cassette.secrets.archives import has_archive
from cassette_http.cassette.secrets.charsets import is_binary
from cassette_http.cassette.secrets.coded_texts import coded_texts, may_be_coded
from cassette_http.cassette.secrets.escaped_parts import plain_printable, printable_parts
from cassette_http.cassette.secrets.hiding import STRONG, Hiding
from cassette_http.cassette.secrets.json_members import NAMES_OF_VALUES, names_of_pairs, names_of_records
from cassette_http.cassette.secrets.looks import is_basic, texts_in_base64
from cassette_http.cassette.secrets.markup import completed, names_in_markup
from cassette_http.cassette.secrets.names import NameKind
from cassette_http.cassette.secrets.pairs import USERINFO, find_behind_steps, texts_of_parts
from cassette_http.cassette.secrets.sentences import has_sentence
from cassette_http.cassette.secrets.settings_lines import ACCESSORS, NAME_BACKWARDS, names_in_lines, with_narrow_signs
from cassette_http.cassette.secrets.shapes import (
    blocks,
    find_in_runs,
    has_beginning,
    has_secret_in_place,
    has_words_in_front,
    joined,
    may_be_base64,
    runs,
    runs_and_base64,
    without_base64,
)
from cassette_http.cassette.secrets.streamed_texts import streamed_texts
from cassette_http.cassette.secrets.tables import names_of_columns
from cassette_http.cassette.secrets.telling_objects import has_telling_object
from cassette_http.cassette.secrets.telling_words import TellingWords
from cassette_http.cassette.secrets.vault import WORDS_FOR_SECRETS
from cassette_http.wire.patterns import to_pattern

DEEPEST = 3  # levels of base64 or percent-encoding inside of each other
_LONG = 1 << 14
_AT, _BRACKET, _EQUALS, _LESS_THAN, _PERCENT = b"@[=<%"  # as numbers, which are found thirty times as fast
_BLOCK, _LONGEST_NAME = 1 << 18, 1 << 8
_NEXT = _BLOCK - _LONGEST_NAME

# Backwards, a name begins with a certain character, and a search for one octet is the fastest.
_BEFORE_COLON = to_pattern(rb":\s*+[\"'`]?\\*+" + NAME_BACKWARDS.replace(b"~", b"#~"))
_BEFORE_SIGN = to_pattern(rb"=:?\s*+" + ACCESSORS + rb"\]?[\"'`]?\\*+" + NAME_BACKWARDS)
_PART_NAME = to_pattern(rb"ame\*?\s?=\s?(?:[\w-]*'[\w-]*'|\"?)([^\";\r\n]{1,200})")
_BEHIND_ESCAPE = to_pattern(rb"[^%](?<!%.)|%(?=%)", re.DOTALL)
_ENCODED = to_pattern(rb"%(?:25)*(?:0[ADad]|2[0-9A-Fa-f]|3|5|7)")


class QuickLook:
    """Looks at texts, and remembers which names are ordinary."""

    def __init__(self, hiding: Hiding) -> None:
        self._hiding = hiding
        self._words = TellingWords(hiding.rules)

    def may_find(self, text: bytes, depth: int = 0) -> bool:
        """Tell whether a rule could find something."""
        rules = self._hiding.rules
        if rules.patterns or rules.json_paths:
            return True
        if has_archive(text):
            return depth < DEEPEST
        if len(text) > _LONG and is_binary(text):
            return self._may_have_token(text, text, runs(text), depth) or (
                depth < DEEPEST and any(self.may_find(text[slice(*span)], depth + 1) for span in texts_of_parts(text))
            )
        spans, in_base64 = runs_and_base64(text)
        outside = without_base64(text, in_base64)
        words = self._words.words_of(outside)
        return (
            (words != b"" and self._may_have_name(outside, words, depth))
            or (_AT in outside and USERINFO.search(outside) is not None)
            or self._may_have_token(text, words, spans, depth)
            or (depth < DEEPEST and any(self._is_in(each.plain, depth + 1) for each in streamed_texts(text)))
            or (
                depth < DEEPEST
                and any(self._is_in(plain_printable(text[slice(*span)]), depth + 1) for span in printable_parts(text))
            )
        )

    def _may_have_name(self, text: bytes, words: bytes, depth: int) -> bool:
        """Check names in all forms; the other checks here need a word that `words_of_names` chooses.

        `words` are the telling words of the text.
        """
        before_colons, before_signs = _names_in_front(with_narrow_signs(text))
        has_records = not NAMES_OF_VALUES.isdisjoint(before_colons)
        telling = self._hiding.telling(before_colons | before_signs)
        return bool(
            (telling and self._has_value(text, telling))
            or self._tells(names_in_lines(text, words))
            or (has_records and self._tells(names_of_records(text)))
            or (_BRACKET in text and self._tells(names_of_pairs(text)))
            or (_LESS_THAN in text and self._hiding.telling(names_in_markup(completed(text))))
            or (_EQUALS in text and b"form-data" in text and self._hiding.telling(_PART_NAME.findall(text)))
            or self._tells(names_of_columns(text))
            or has_sentence(text, self._hiding, words)
            or (
                _PERCENT in text
                and depth < DEEPEST
                and _ENCODED.search(text)
                and self.may_find(_unquoted(text), depth + 1)
            )
        )

    def _tells(self, names: list[bytes]) -> bool:
        return bool(names) and bool(self._hiding.telling(names))

    def _has_value(self, text: bytes, telling: dict[bytes, NameKind]) -> bool:
        """Tell whether a name has a value that could be hidden: after a weak name, it must look random.

        But a weak name may be the end of a strong one ("Api:Key"), or a code that is exchanged for a token.
        """
        is_oauth = b"grant_type=" in text or (b"code=" in text and b"state=" in text)
        return is_oauth or any(
            kind in STRONG or b":" + name in text or _weak(name).search(text) for name, kind in telling.items()
        )

    def _may_have_token(self, text: bytes, words: bytes, spans: list[tuple[int, int]], depth: int) -> bool:
        """`words` are the telling words of the text, and `spans` its runs."""
        inside = joined(text, spans) if spans else b""
        is_one = (
            has_words_in_front(text, words)
            or has_secret_in_place(text, words)
            or (words != b"" and has_telling_object(text, words))
        )
        if inside:
            is_one = (
                is_one
                or (has_beginning(inside) and next(find_in_runs(text, spans), None) is not None)
                or (may_be_base64(inside) and self._may_be_in_base64(text, spans, depth))
                or (inside.find(b" /") >= 0 and next(find_behind_steps(text, spans, self._hiding), None) is not None)
            )
        return is_one or (may_be_coded(text, inside) and self._may_be_in_codes(text, spans, depth))

    def _may_be_in_codes(self, text: bytes, spans: list[tuple[int, int]], depth: int) -> bool:
        """Tell whether a text in other characters could contain a secret."""
        return depth < DEEPEST and any(
            self._is_in(coded.plain, DEEPEST if coded.is_inflated else depth + 1) for coded in coded_texts(text, spans)
        )

    def _is_in(self, plain: bytes, depth: int) -> bool:
        """Tell whether the plain form of an inner text may contain a secret, known or not."""
        return self.may_find(plain, depth) or self._hiding.vault.is_in(plain)

    def _may_be_in_base64(self, text: bytes, spans: Iterable[tuple[int, int]], depth: int) -> bool:
        if depth >= DEEPEST:
            return False
        texts = list(texts_in_base64(text, [start for start, _ in spans]))
        # One look at all of them is cheaper than one at each.
        return any(is_basic(text, start) for start, _, _ in texts) or (
            bool(texts) and self._is_in(b"\n\n".join([plain for _, _, plain in texts]), depth + 1)
        )


def _unquoted(text: bytes) -> bytes:
    """Percent-decode a form, in parts, as each escape temporarily needs much more memory than octets."""
    parts = blocks(text, _LONG, _BEHIND_ESCAPE)
    return b"".join([unquote_to_bytes(part.replace(b"+", b" ")) for _, part in parts])


def _names_in_front(text: bytes) -> tuple[set[bytes], set[bytes]]:
    """All names before a colon, and those before an equals sign."""
    before_colons, before_signs = set[bytes](), set[bytes]()
    for at in range(0, len(text), _NEXT):  # in parts, so that a large text is not copied
        backwards = text[max(0, at - _LONGEST_NAME) : at + _NEXT][::-1]
        before_colons.update(_BEFORE_COLON.findall(backwards))
        before_signs.update(_BEFORE_SIGN.findall(backwards))
    return {name[::-1] for name in before_colons}, {name[::-1] for name in before_signs}


@lru_cache(maxsize=256)
def _weak(name: bytes) -> re.Pattern[bytes]:
    word = name.rpartition(b" ")[2].lstrip(b"nrt")
    others = rb"(?:[\w.-]{1,40}+,[ \t]*+){0,3}"  # in a field with a list
    value = rb"(?:[\w+/=.~:%%-]{16}|[<\[{*%%\w]{0,6}(?i:%b))" % b"|".join(sorted(WORDS_FOR_SECRETS))
    return to_pattern(rb"%b[\"'`\\]*+\s*+:?[:=]>?[\s\[\"'`\\]*+(?:%b%b|n?[ ]*+- )" % (re.escape(word), others, value))
