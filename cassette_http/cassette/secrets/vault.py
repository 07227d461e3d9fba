"""Numbers secrets, and finds them elsewhere (pure).

A secret is searched in all its forms (`needles`), whatever is before and after it, unless it is an ordinary word.
What is a secret is decided elsewhere.
"""

from __future__ import annotations

import re
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import count
from operator import itemgetter
from urllib.parse import quote_plus

from cassette_http.cassette.secrets.base64_text import base64_run, from_base64, to_base64
from cassette_http.cassette.secrets.names import SIMPLE_WORD
from cassette_http.cassette.secrets.needles import JWT, Needle, all_needles, is_searchable, plain_needles
from cassette_http.cassette.secrets.placeholders import (
    IS_NUMBER,
    NINES,
    NUMBERED,
    has_placeholder,
    is_placeholder,
    numbered_placeholders,
    placeholder_edits,
    unified,
)
from cassette_http.cassette.secrets.shapes import is_legible, legible
from cassette_http.cassette.splicing import Edit, merged, splice

_SHORTEST_DECLARED = 4
# The length of the beginnings by which needles are found; no needle is shorter.
_GRAM = _SHORTEST_DECLARED
# As a number, that is a memory word; and a needle of this length contains a whole one, wherever it is in a text.
_SHORTEST_WITH_WORD = 2 * _GRAM - 1
# With more needles, looking up each memory word of a text is faster than searching for each needle.
_MANY_NEEDLES = 60
# With more secrets, they are searched in fewer forms, and finally not at all: a file may have a million of them.
_MANY_SECRETS = 2000
_MOST_SECRETS = 50_000
# Octets that few texts have: a needle with one of them is only searched in texts that have it.
_MARKS = frozenset(b"%\\&=QXZJqzjVWYU")
# How much is searched at once.
_BLOCK = 1 << 16
# Messages that show the beginning of a secret ("sk-ab****") are short.
_LONGEST_MESSAGE = 1 << 16

# What other recorders and logs write instead of a secret.
WORDS_FOR_SECRETS = frozenset(
    {b"redacted", b"sanitized", b"filtered", b"scrubbed", b"masked", b"censored", b"obfuscated", b"anonymized"}
)
# Words of protocols and defaults that are used in fields and cookies instead of secrets.
_NO_SECRETS = frozenset(
    {b"", b"0", b"1", b"true", b"false", b"yes", b"no", b"on", b"off", b"null", b"nil", b"none", b"undefined"}
    | {b"deleted", b"expired", b"anonymous", b"required", b"fetch", b"read", b"write"}
    | {b"include", b"same-origin", b"omit"}  # of fetch() in a browser
    | WORDS_FOR_SECRETS
)
_MASKS = (b"***", b"...", b"\xe2\x80\xa6", b"\\u2026")
_MASK = re.compile(rb"([A-Za-z0-9_-]{4,})(?:\*{3,}|\.{3}|\xe2\x80\xa6|\\u2026)([A-Za-z0-9]{0,8})")


class Vault:
    """Numbers secrets, and finds them again.

    `redact_claims` gets the vault and the claims of a JWT (JSON), and returns them without secrets.
    """

    def __init__(self, first: int, redact_claims: Callable[[Vault, bytes], bytes] = lambda _, claims: claims) -> None:
        self._placeholders: dict[bytes, bytes] = {}
        self._next = count(first)
        self._lock = threading.RLock()
        self._needles: dict[bytes, Needle] = {}
        self._in_order: list[bytes] = []  # the octets of needles, in the order in which they were learned
        self._searched = 0
        self._lengths: dict[bytes, list[int]] = {}  # of needles, by their beginning; the longest first
        self._words: set[int] = set()  # memory words that begin in the first octets of needles
        self._declared: set[bytes] = set()  # declared by the user, so they are hidden anywhere
        self._tiny: list[Needle] = []  # declared ones that are too short to contain a memory word
        self._secrets: dict[bytes, list[bytes]] = {}  # by their beginning
        self._by_marks: dict[frozenset[int], list[bytes]] = {}  # by their octets that few texts have
        self._by_name: dict[bytes, bytes] = {}
        self._sent_for: dict[bytes, bytes] = {}  # by placeholders that are JWTs
        self._redact_claims = redact_claims

    def hide(self, secret: bytes, is_searched: bool = True) -> bytes:
        """Return the placeholder of a secret; a value that is plainly no secret, or already hidden, stays as it is.

        `is_searched=False` is for values that are hidden where they are, and nowhere else.
        """
        if secret.lower().strip(b"<>[]") in _NO_SECRETS or is_placeholder(secret):
            return secret
        if is_searched and secret not in self._needles and is_searchable(secret):
            self._search(secret)
        return self._placeholder(secret)

    def hide_number(self, digits: bytes) -> bytes:
        """Return a number to write instead of a number; its last digits are those of the placeholder."""
        if IS_NUMBER.fullmatch(digits):
            return digits
        number = NUMBERED.fullmatch(self._placeholder(digits))
        return b"%b%06d" % (NINES, int(number[1]) if number else 0)

    def know(self, secret: bytes) -> None:
        """Search a secret from now on; it gets its number when it is found."""
        if is_searchable(secret) and secret not in self._needles:
            self._search(secret)

    def learn(self, secrets: Iterable[str | bytes]) -> None:
        """Search values that the user declares secret, whatever they look like."""
        for secret in secrets:
            octets = secret.encode() if isinstance(secret, str) else secret
            if len(octets) >= _SHORTEST_DECLARED and not is_placeholder(octets):
                self._declared.add(octets)
                if octets not in self._needles:
                    self._search(octets)

    def declare(self, name: str, secret: bytes) -> None:
        """Search a secret, however short, whose placeholder is `{{secret:name}}`."""
        with self._lock:
            self._by_name[name.encode()] = secret
            self._placeholders[secret] = b"{{secret:%b}}" % name.encode()
        self.learn([secret])

    def note_sent(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Make `declared` replace placeholders by values, each by its own; the newest value counts."""
        for placeholder, value in values:
            numbered = NUMBERED.fullmatch(placeholder)
            if numbered is not None:
                self._by_name[numbered[1]] = value
            elif placeholder.startswith(b"eyJ"):
                self._sent_for[placeholder] = value

    def _placeholder(self, secret: bytes) -> bytes:
        placeholder = self._placeholders.get(secret)
        if placeholder is None:
            with self._lock:
                placeholder = self._placeholders.get(secret)
                if placeholder is None:
                    placeholder = self._shaped(secret, b"{{secret:%d}}" % next(self._next))
                    self._placeholders[secret] = placeholder
        return placeholder

    def _shaped(self, secret: bytes, placeholder: bytes) -> bytes:
        """A JWT (RFC 7519) remains one that can be decoded: without its signature it opens nothing."""
        if not JWT.fullmatch(secret):
            return placeholder
        head, *others = secret.split(b".")
        hidden = urlsafe_b64encode(placeholder).rstrip(b"=")
        claims = from_base64(others[0]) if len(others) == 2 else None
        if claims is None or not claims.startswith(b"{"):
            return b".".join([head] + [hidden] * len(others))
        return b".".join([head, urlsafe_b64encode(self._redact_claims(self, claims)).rstrip(b"="), hidden])

    def _search(self, secret: bytes) -> None:
        with self._lock:
            self._searched += 1
            if self._searched > _MOST_SECRETS:
                return
            self._secrets.setdefault(secret[:_GRAM], []).append(secret)
            for needle in all_needles(secret) if self._searched <= _MANY_SECRETS else plain_needles(secret):
                # If two secrets share a form, the first one counts; and so does the plain form, which comes first.
                if self._needles.setdefault(needle.octets, needle) is needle:
                    self._in_order.append(needle.octets)
                    self._file(needle)

    def _file(self, needle: Needle) -> None:
        if len(self._needles) <= _MANY_NEEDLES:  # with more needles, these are not used
            self._by_marks.setdefault(_MARKS.intersection(needle.octets), []).append(needle.octets)
        if len(needle.octets) < _SHORTEST_WITH_WORD:
            self._tiny.append(needle)
        else:
            first = needle.octets[:_SHORTEST_WITH_WORD]
            self._words.update(memoryview(b"".join([first[at : at + _GRAM] for at in range(_GRAM)])).cast("I"))
        lengths = self._lengths.setdefault(needle.octets[:_GRAM], [])
        if len(needle.octets) not in lengths:
            lengths.append(len(needle.octets))
            lengths.sort(reverse=True)

    @property
    def searched(self) -> int:
        """How many forms of secrets are searched; grows when a secret is learned."""
        return len(self._in_order)

    def is_new_in(self, octets: bytes, searched: int) -> bool:
        """Tell whether secrets learned since `searched` may be in some octets; always True if they are long."""
        return (
            len(octets) > _LONGEST_MESSAGE
            or is_masked(octets)
            or any(octets.find(needle) >= 0 for needle in self._in_order[searched:])
        )

    def is_in(self, octets: bytes) -> bool:
        """Tell whether a secret is in some octets; faster than finding where."""
        if len(self._needles) > _MANY_NEEDLES:
            return next(self._positions(octets), None) is not None or is_masked(octets)
        return bool(self._needles) and (bool(self._present(octets)) or is_masked(octets))

    def occurrences(self, octets: bytes) -> list[Edit]:
        """Find all secrets in some octets, in all their forms; return the edits that hide them."""
        if not self._needles or NUMBERED.fullmatch(octets):
            return []
        edits: list[Edit] = []
        behind = 0
        for start, needle in self._positions(octets):
            is_meant = needle.secret in self._declared or not _is_piece_of_word(needle, octets, start)
            if start >= behind and is_meant:
                edits.append(self._edit(needle, octets, start, start + len(needle.octets), behind))
                behind = edits[-1].stop
        if is_masked(octets):
            edits = merged(edits, list(self._masked(octets)))
        return edits

    def unified_occurrences(self, octets: bytes) -> list[Edit]:
        """Find all secrets and placeholders; return the edits that make them one placeholder, for matching."""
        edits = self.occurrences(octets)
        if edits:
            edits = [Edit(edit.start, edit.stop, unified(edit.octets)) for edit in edits]
        return merged(edits, numbered_placeholders(octets)) if has_placeholder(octets) else edits

    def _edit(self, needle: Needle, octets: bytes, start: int, stop: int, behind: int) -> Edit:
        placeholder = self._placeholder(needle.secret)
        if needle.is_quoted:
            placeholder = quote_plus(placeholder).encode()
        if needle.is_beginning:
            rest = needle.secret[stop - start :]
            while rest and octets[stop : stop + 1] == rest[:1]:
                stop, rest = stop + 1, rest[1:]
        if needle.alignment is not None:
            run = base64_run(octets, start, stop, needle.alignment)
            if run is not None and run[0] >= behind and (inside := self.occurrences(run[2])):
                return Edit(run[0], run[1], to_base64(splice(run[2], inside), octets[run[0] : run[1]]))
        return Edit(start, stop, placeholder)

    def _masked(self, octets: bytes) -> Iterator[Edit]:
        """Find secrets of which only the beginning and perhaps the end are shown, as in "sk-ab****yz"."""
        for found in _MASK.finditer(octets):
            beginning, end = found[1], found[2]
            for secret in list(self._secrets.get(beginning[:_GRAM], ())):
                if secret.startswith(beginning) and secret.endswith(end):
                    yield Edit(found.start(), found.end(), self._placeholder(secret))
                    break

    def _positions(self, octets: bytes) -> Iterator[tuple[int, Needle]]:
        """Where needles are, in order; if several begin in one place, the longest."""
        if len(self._needles) > _MANY_NEEDLES:
            if not self._tiny:
                yield from self._looked_up(octets)
                return
            tiny = [(at.start(), each) for each in self._tiny for at in re.finditer(re.escape(each.octets), octets)]
            yield from merge(self._looked_up(octets), sorted(tiny, key=itemgetter(0)), key=itemgetter(0))
            return
        present = sorted(self._present(octets), key=len, reverse=True)
        for found in re.compile(b"|".join(map(re.escape, present))).finditer(octets) if present else ():
            yield found.start(), self._needles[found[0]]

    def _looked_up(self, octets: bytes) -> Iterator[tuple[int, Needle]]:
        """Look up each memory word of a text: a cookie that changes with every response gives thousands of needles."""
        words, known = memoryview(octets)[: len(octets) // _GRAM * _GRAM].cast("I"), self._words
        for block in range(0, len(words), _BLOCK):
            for number in [at for at, word in enumerate(words[block : block + _BLOCK], block) if word in known]:
                yield from self._needles_at(octets, range(max(0, number * _GRAM - _GRAM + 1), number * _GRAM + 1))

    def _needles_at(self, octets: bytes, starts: Iterable[int]) -> Iterator[tuple[int, Needle]]:
        for at in starts:
            for length in self._lengths.get(octets[at : at + _GRAM], ()):
                if (needle := self._needles.get(octets[at : at + length])) is not None:
                    yield at, needle
                    break

    def _present(self, octets: bytes) -> list[bytes]:
        if len(octets) > _BLOCK and 0 in octets[:_BLOCK]:
            # A large binary content has little text, which is searched fast.
            texts = legible(octets)
            return [
                needle for needle in list(self._needles) if (texts if is_legible(needle) else octets).find(needle) >= 0
            ]
        # Most texts lack some of these octets, so many forms of most secrets need no search.
        there = {mark for mark in _MARKS if mark in octets}
        return [
            needle
            for marks, needles in list(self._by_marks.items())
            if marks <= there
            for needle in list(needles)
            if octets.find(needle) >= 0  # `in` would try to make a number of it first
        ]

    @property
    def has_declared(self) -> bool:
        """There are placeholders whose values are known here."""
        return bool(self._by_name or self._sent_for)

    def declared(self, octets: bytes) -> list[Edit]:
        """The edits that replace placeholders by declared secrets."""
        found = placeholder_edits(octets, self._by_name.get)
        for placeholder, value in self._sent_for.items():
            whole = re.compile(re.escape(placeholder)).finditer(octets)
            found = merged([Edit(*each.span(), value) for each in whole], found)
        return found


def _is_piece_of_word(needle: Needle, octets: bytes, start: int) -> bool:
    """Tell whether a password that is a word is part of a longer word, as "postgres" in "postgresql"."""
    if needle.octets != needle.secret or not SIMPLE_WORD.fullmatch(needle.octets):
        return False
    stop = start + len(needle.octets)
    is_behind = _WORD_AT_END.search(octets, max(0, start - _LONGEST_ESCAPE), start) is not None
    return is_behind or _OF_WORD.match(octets, stop) is not None


_OF_WORD = re.compile(rb"[A-Za-z0-9_-]")
# The end of an escape of JSON or a URL does not count.
_WORD_AT_END = re.compile(rb"(?<!%[0-9A-Fa-f])(?<!\\u[0-9A-Fa-f]{3})(?<!\\x[0-9A-Fa-f])(?<!\\)[A-Za-z0-9_-]\Z")
_LONGEST_ESCAPE = 6


def is_masked(octets: bytes) -> bool:
    """Tell whether a secret may be shown in part: in a message, which is short."""
    if len(octets) > _LONGEST_MESSAGE:
        return False
    # One octet is found twenty times as fast as several, and few texts have these.
    marks = [mask for mask in _MASKS if mask[0] in octets]
    return max(map(octets.find, marks), default=-1) >= 0 and _MASK.search(octets) is not None
