"""Secrets in sentences for people: "Your password is hunter2", "Invalid API key: 'abc'", in a page or a mail (pure).

Such sentences are about secrets more often than they contain one. So a plain word is a secret only after a colon or in
quotes, and if nothing else follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cassette_http.cassette.secrets.hiding import MIXED, STRONG, Hiding, is_own_name, is_prose
from cassette_http.cassette.secrets.names import NameKind, is_uuid, looks_random
from cassette_http.cassette.secrets.settings_lines import is_code, is_program
from cassette_http.cassette.secrets.vault import is_masked
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

# A few octets are found fast; few texts have these before a possible sentence.
_STEMS = (b"ssword", b"SSWORD", b"sswort", b"assphrase", b"oken", b"ecret", b" key", b" Key", b" KEY")
# Backwards, as a forward search would try each letter before it.
_EMAN = to_pattern(rb"[A-Za-z-]{3,30}(?: [A-Za-z-]{1,20}){0,2}(?![\w.:$&#@/-])")
_LONGEST_NAME = 80
_GAP = rb"(?:[ \t]|&nbsp;|\\[nrt]|\r?\n)"
_WORD = (
    rb"(?:is|was|are|has|been|will|be|now|set|reset|changed|updated|to|provided|supplied|given|entered"
    rb"|ist|lautet)"
)
_BEHIND = to_pattern(
    rb"(?:</[a-z]{1,10}>)?+(?:[ ]\([A-Za-z ,-]{3,30}\))?+"
    rb"(?P<said>(?:[ ]%(word)b(?=[ :=]))*+)(?P<sign>[ ]?(?:[:=](?![:=])|-(?=[ ])|\xe2\x80\x93))?+"
    rb"(?P<gap>(?:%(gap)b){0,8}+)(?P<mark>(?:<[a-z][^<>]{0,200}>|</[a-z]{1,10}>|\*\*|\\*+[\"'`]|%(gap)b){0,6}+)"
    rb"(?P<value>[^\s<>\"'`\\&]{4,200}+)(?P<is_last>[ \t]*+(?:\Z|[\r\n<\"'`]|\\[nr\"]))?+"
    % {b"word": _WORD, b"gap": _GAP}
)
# Names of algorithms and formats, lengths and times.
_OF_A_FORMAT = to_pattern(
    rb"(?:base|sha3?|utf|oauth|md|[hrep]s|aes|ed|http|ipv|rfc|blake|argon|hmac|secp|rsa|3?des|rc|uuidv?|iso|tls|ssl)-?[0-9]\S*"
    rb"|[vxps][0-9]{1,4}(?:[.-]\w+)*|[0-9]+-?(?:byte|bit|char|digit|day|hour|minute|second|[kM]i?B|ms)\S*",
    re.IGNORECASE,
)
_STRENGTH = to_pattern(rb"(?:very )?(?:weak|strong|medium|fair|good|secure|minimum|maximum|mandatory)", re.IGNORECASE)
_END = b".,:;!?)*"


def has_sentence(text: bytes, hiding: Hiding, words: bytes) -> bool:
    """Tell whether a sentence contains a secret; cheap if none is about one. `words` are the telling words."""
    stems = [stem for stem in _STEMS if stem.strip() in words]
    return next(_said(text, hiding, stems), None) is not None


def find_in_sentences(text: bytes, hiding: Hiding, at: int = 0) -> Iterator[Edit]:
    """Find secrets in sentences, from position `at` on."""
    for kind, start, stop in _said(text, hiding, at=at):
        value = text[start:stop]
        # If a known secret is shown in part, it is left to the search, which knows the rest.
        if not hiding.vault.is_in(value) and (hidden := hiding.hidden(kind, value)) is not None:
            yield Edit(start, stop, hidden)


def _said(
    text: bytes, hiding: Hiding, stems: Iterable[bytes] = _STEMS, at: int = 0
) -> Iterator[tuple[NameKind, int, int]]:
    is_of_program: bool | None = None
    for stem in stems:
        behind = at
        while (begins := text.find(stem, behind)) >= 0:
            behind = begins + len(stem)
            # Usually a quote follows, of a member of JSON.
            found = _BEHIND.match(text, behind) if text[behind : behind + 1] in _FOLLOWS else None
            if found is None or not (found["sign"] or found["mark"] or _NO_WORD.search(found["value"])):
                continue
            kind, value = _kind_in_front(text, behind, hiding), found["value"].rstrip(_END)
            if kind not in STRONG or not _is_one(kind, value, found):
                continue
            if is_of_program is None:
                is_of_program = is_program(text)
            if is_of_program:
                return
            yield kind, found.start("value"), found.start("value") + len(value)


_NO_WORD = to_pattern(rb"[0-9]|.{16}")
_FOLLOWS = frozenset({b" ", b":", b"<"})


def _kind_in_front(text: bytes, stop: int, hiding: Hiding) -> NameKind:
    """Return the kind of the words before a position: "Your new password", "next page token"."""
    words = text[max(0, stop - _LONGEST_NAME) : stop]
    if words.endswith(b"sswort"):
        return hiding.kind("settings", b"password")
    eman = _EMAN.match(words[::-1])
    name = eman[0][::-1] if eman is not None else b""
    if hiding.kind("settings", name) not in STRONG:
        return NameKind.ORDINARY
    return hiding.kind("settings", b" ".join(name.split(b" ")[-2:]))


def _is_one(kind: NameKind, value: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether what follows the name of a secret is one."""
    if len(value) < 4 or _OF_A_FORMAT.fullmatch(value) or is_masked(found["value"]):
        return False
    between = found["gap"] + found["mark"]
    if found["sign"] and not between and kind is not NameKind.PASSWORD:
        return False  # as in "arn:aws:secretsmanager:eu-west-1:1:secret:name"
    is_on_next_line = b"\n" in between or b"\\n" in between
    if is_on_next_line and (found["is_last"] is None or found["value"].endswith(b":")):
        return False  # a text whose lines follow a title
    if looks_random(value.decode("latin-1")):
        return True
    is_linked = bool(found["said"] or found["sign"])
    mark = found["mark"].strip()
    is_quoted = mark.endswith((b"'", b'"', b"`", b"*"))
    if is_uuid(value.decode("latin-1")):
        return is_linked or is_quoted
    if MIXED.fullmatch(value):
        return is_linked or is_quoted or (kind is NameKind.PASSWORD and not mark)
    if kind is not NameKind.PASSWORD or is_code(value) or is_own_name(b"password", value) or is_prose(b"a " + value):
        return False
    if value.isdigit():
        return is_linked
    is_word = len(value) >= 6 and _STRENGTH.fullmatch(value) is None
    return is_word and found["is_last"] is not None and (found["sign"] is not None or (mark != b"" and is_linked))
