"""Secrets in members of JSON, at any depth of strings in strings, and in dictionaries of Python (pure).

What is around a member does not matter: JSON may be cut off, or be part of a page or of lines of events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from cassette_http.cassette.secrets.hiding import MIXED, OF_FIELDS, STRONG, Hiding, is_own_name, is_prose
from cassette_http.cassette.secrets.names import SIMPLE_WORD, NameKind, looks_random
from cassette_http.cassette.secrets.placeholders import is_placeholder
from cassette_http.cassette.secrets.vault import WORDS_FOR_SECRETS
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

LONGEST_UNQUOTED = 1 << 16
LONGEST_STRING = 1 << 16


def names_of_records(text: bytes) -> list[bytes]:
    """All names in records with a name and a value."""
    return [name for name, _ in _records(text)]


def names_of_pairs(text: bytes) -> list[bytes]:
    """All names in lists of a name and a value."""
    return [pair["name"] for pair in _PAIR.finditer(text)]


def find_members(text: bytes, hiding: Hiding, is_matching: bool) -> Iterator[Edit]:
    """Find secrets by the names of members."""
    names = _member_names(text)
    if len(text) <= LONGEST_UNQUOTED and b'\\"' in text and b'"query"' in text:
        names.update(name for name in _UNQUOTED_NAME.findall(text))
    records = () if NAMES_OF_VALUES.isdisjoint(names) else _in_records(text)
    for name, start, stop in [*records, *_in_lists_of_two(text, hiding)]:
        kind = hiding.kind("json", name)
        if kind is not NameKind.ORDINARY:
            edit = _hidden_value(hiding, text, start, stop, name, kind, is_matching)
            if edit is not None:
                yield edit
    kinds = {name: hiding.kind("json", name) for name in hiding.secrets("json", names)}
    members = [
        (found, name)
        for name, kind in kinds.items()
        for found in _member(name, kind is NameKind.WEAK).finditer(text)
        if _is_member(text, found)
    ]
    behind = 0
    for found, name in sorted(members, key=lambda each: each[0].start()):
        if found.start() < behind:
            continue
        for start, stop, kind in _values(text, found.end(), kinds[name]):
            if name in _WITH_OTHER_MEANINGS and _WITH_OTHER_MEANINGS[name](text, start, stop):
                continue
            edit = _hidden_value(hiding, text, start, stop, name, kind, is_matching)
            if text[found.end()] != _BRACE and (edit is not None or not _IS_OBJECT.match(text, start)):
                behind = stop  # members of an object (which may be in a string) have names of their own
            if edit is not None:
                yield edit


def _is_token_of_language_model(text: bytes, start: int, stop: int) -> bool:
    """Tell whether a "token" is a piece of a word."""
    return _OF_LANGUAGE.match(text, stop) is not None


def _is_session_of_consul(text: bytes, start: int, stop: int) -> bool:
    """Tell whether a "Session" is the id of a lock."""
    return _OF_CONSUL.search(text, max(0, start - _LONGEST_KEY), stop + _LONGEST_KEY) is not None


def _is_beside_id(text: bytes, start: int, stop: int) -> bool:
    """Tell whether a public key or a signature follows a key id, as in TUF (The Update Framework)."""
    return _BEHIND_KEY_ID.search(text, max(0, start - 200), start) is not None


def _is_public_proof(text: bytes, start: int, stop: int) -> bool:
    """Tell whether a signature is a public proof: of a blockchain (base58), or of a language model's thoughts."""
    if _BASE58.fullmatch(text, start, stop) or _THINKING_NEXT.match(text, stop):
        return True
    if _BEHIND_DELTA.search(text, max(0, start - 100), start):
        return True
    at = text.rfind(b'"thinking', max(0, start - _LONGEST_THOUGHT), start)
    thinking = _THINKING.match(text, at) if at >= 0 else None
    end = _value_end(text, thinking.end()) if thinking is not None else None
    return end is not None and _SIGNATURE_NEXT.match(text, end, start) is not None


def _in_records(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Members that are written as {"name": "api_key", "value": "..."}, as in lists of fields or variables."""
    for name, start in _records(text):
        stop = _value_end(text, start)
        if stop is not None:
            yield name, start, stop


def _in_lists_of_two(text: bytes, hiding: Hiding) -> Iterator[tuple[bytes, int, int]]:
    """Members that are written as ["api_key", "..."]; but a list of member names looks the same."""
    if b"[" not in text:
        return
    for pair in _PAIR.finditer(text):
        kind, start = hiding.kind("json", pair["name"]), pair.end()
        stop = _value_end(text, start) if kind is not NameKind.ORDINARY else None
        if stop is None or not _LIST_END.match(text, stop):
            continue
        value = text[start:stop].strip(b"\\\"'")
        # A list that is a member itself is one of names, as in {"required": ["password", "email"]}.
        is_member = _BEHIND_NAME.search(text, max(0, pair.start() - 16), pair.start()) is not None
        is_name = is_member or _OF_A_FORM.fullmatch(value) or hiding.kind("json", value) is not NameKind.ORDINARY
        if kind in OF_FIELDS or not is_name or MIXED.fullmatch(value) or looks_random(value.decode("latin-1")):
            yield pair["name"], start, stop


def find_literals(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find members whose names have no quotes, in texts other than JSON, such as scripts: {apiKey: 'abc'}."""
    if _IS_JSON.match(text):
        return
    # Backwards from the colon to the name: a search that begins with names would try each word.
    for colon in _LITERAL_COLON.finditer(text):
        name = _LITERAL_NAME.search(text[max(0, colon.start() - _LONGEST_LITERAL_NAME) : colon.start()])
        if name is None or name[0].startswith(b":"):
            continue  # or it is a role of reStructuredText: ":token:`x`"
        kind, quote = hiding.kind("json", name["name"]), colon[0][-1:]
        value = _LITERAL_VALUES[quote].match(text, colon.end()) if kind in STRONG else None
        if value is None or not text.startswith(quote, value.end()) or is_own_name(name["name"], value[0]):
            continue
        if name["is_said"] is not None and SIMPLE_WORD.fullmatch(value[0]):
            continue  # 'The secret: "patience"'
        if quote == b"`" and b"${" in value[0]:
            continue  # a program fills it in
        if (hidden := hiding.hidden(kind, value[0])) is not None:
            yield Edit(*value.span(), hidden)


def find_by_path(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find the values at the JSON paths of the user."""
    paths = hiding.rules.json_paths
    if not paths or text.lstrip()[:1] not in (b"{", b"["):
        return
    for path, start, stop in walk_json(text):
        if any(_fits(path, each) for each in paths):
            edit = _hidden_value(hiding, text, start, stop, b"", NameKind.PASSWORD, False)
            if edit is not None:
                yield edit


def members_in_place_of(recorded: bytes, sent: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The values sent now in those members of JSON whose values were recorded as placeholders.

    Values that would need escapes when they are put back are left out.
    """
    values = {tuple(path): sent[start:stop] for path, start, stop in walk_json(sent)}
    for path, start, stop in walk_json(recorded):
        placeholder, value = recorded[start:stop].strip(b'"'), values.get(tuple(path), b"")
        if is_placeholder(placeholder) and _PLAIN_STRING.fullmatch(value) and not is_placeholder(value[1:-1]):
            yield placeholder, value[1:-1]


def _hidden_value(
    hiding: Hiding, text: bytes, start: int, stop: int, name: bytes, kind: NameKind, is_matching: bool
) -> Edit | None:
    """Hide one value: a string with its quotes, a number, or null."""
    raw = text[start:stop]
    quote = _QUOTE.match(raw)
    if quote is None:
        if is_matching and raw == b"null" and kind in STRONG:
            return Edit(start, stop, b'"{{secret}}"')
        number = hiding.vault.hide_number(raw) if _is_secret_number(kind, name, raw) else raw
        return Edit(start, stop, number) if number != raw else None
    inner = (
        raw[quote.end() : -quote.end()] if raw.endswith(quote[0]) and len(raw) > len(quote[0]) else raw[quote.end() :]
    )
    levels = (len(quote[1]) + 1).bit_length()
    value = inner
    for _ in range(levels):
        value = unescaped(value)
    if not is_matching and is_own_name(name, value):
        return None
    hidden = hiding.hidden(kind, value, is_matching)
    if hidden is None:
        return None
    if hidden != b"{{secret}}" and not is_placeholder(hidden):
        for _ in range(levels):
            hidden = json.dumps(hidden.decode("utf-8", "surrogateescape"), ensure_ascii=False)[1:-1].encode(
                "utf-8", "surrogateescape"
            )
    if not inner:
        return Edit(start, stop, quote[0] + hidden + quote[0])  # an edit must replace at least one octet
    at = start + quote.end()
    return Edit(at, at + len(inner), hidden)


def _is_secret_number(kind: NameKind, name: bytes, digits: bytes) -> bool:
    if not digits.isdigit():
        return False
    if kind is NameKind.PASSWORD or kind is NameKind.CODE:
        return len(digits) >= 4
    # Times since 1970 and numeric ids are not secrets.
    is_time = len(digits) in (10, 13) and digits.startswith((b"1", b"2"))
    is_id = name.lower().endswith((b"id", b"session"))
    # Language models count tokens by numbers of up to six digits.
    return kind in STRONG and len(digits) >= (7 if b"token" in name.lower() else 4) and not is_time and not is_id


# -- finding members -----------------------------------------------------------------------------------------

_BLANKED = b"|".join(sorted(WORDS_FOR_SECRETS))
_BLANK = rb"(?:\s|\\[nrt])*+"
_QUOTE = to_pattern(rb"(\\*)[\"']")
# A backslash is part of the name if it makes an escape with the "u" after it.
_EMAN_SI = rb"([\w.$@ :/\[\]#\x80-\xee-]{1,80}+(?:(?<=u)\\[\w.$@ :/\[\]#\x80-\xee-]{0,80}+){0,20}+)"
_EMAN = to_pattern(rb":\s*+[\"']\\*+" + _EMAN_SI)
_EMAN_BEFORE_EQUALS = to_pattern(rb"=:?\s*+[\"']\\*+" + _EMAN_SI)
# Things that have a name and a value: {"ParameterKey": ..., "ParameterValue": ...}.
_OF_WHAT = (b"parameter", b"output", b"variable", b"option", b"setting", b"attribute", b"header", b"field", b"env")
# "path" is for JSON Patch (RFC 6902) and SCIM (RFC 7644); a type names only passwords.
_CALLED = (
    rb"(?i:(?:%b)_?(?:name|key)|name|key|k|header|field|parameter|param|variable|property|attribute|label|id|path"
    rb"|type(?=\\*+\"\s*+:\s*+\\*+\"password\\*+\"))" % b"|".join(_OF_WHAT)
)
NAMES_OF_VALUES = frozenset(
    spelled
    for kind in (b"", b"string", b"default", b"plain", b"current", b"new", b"raw", *_OF_WHAT)
    for value in (b"value", b"val", b"v")
    for name in ((kind + b"_" + value, kind + value.title(), kind.title() + value.title()) if kind else (value,))
    for spelled in (name, name.title() if not kind else name, name.upper())
)
_VALUE = rb"(?:%b)" % b"|".join(sorted(NAMES_OF_VALUES, reverse=True))
_SKIPPED = (
    rb"(?:(?P=quote)[^\"\\]{1,40}(?P=quote)\s*+:\s*+(?:(?P=quote)[^\"\\]{0,200}(?P=quote)|[\w.-]{1,40}+)\s*+,\s*+){0,3}"
)
_RECORD = to_pattern(
    rb"\"%b(?P<quote>\\*+\")\s*+:\s*+(?P=quote)(?P<name>[^\"\\]{1,80})(?P=quote)\s*+,\s*+%b(?P=quote)%b(?P=quote)\s*+:\s*+"
    % (_CALLED, _SKIPPED, _VALUE)
)
_VALUE_OF_RECORD = to_pattern(rb"\"%b\\*+\"\s*+:\s*+(?=[\\\"\d])" % _VALUE)
_NAME_OF_RECORD = to_pattern(
    rb"\s*+,\s*+(?=(?P<quote>\\*+\"))%b(?P=quote)%b(?P=quote)\s*+:\s*+(?P=quote)(?P<name>[^\"\\]{1,80})(?P=quote)"
    % (_SKIPPED, _CALLED)
)
_PAIR = to_pattern(rb"\[\s*+(?P<quote>\\*+\")(?P<name>[\w.-]{1,80}+)(?P=quote)\s*+,\s*+(?=(?P=quote))")
_LIST_END = to_pattern(_BLANK + rb"\]")
_BEHIND_NAME = to_pattern(rb":\s*+\Z")
# Names of other members, and of what belongs to a secret.
_OF_A_FORM = to_pattern(
    rb"e-?mail|user(?:name)?|name|login|id|type|url|phone|address|role|status|title|date|time|[a-z]+(?:[_.-][a-z]+)+",
    re.IGNORECASE,
)
_FLAT_OBJECT = to_pattern(rb"\{[^{}]*+\}")
_OF_LANGUAGE = to_pattern(rb"\s*+,\s*+\\*+\"(?:logprob|prob|bytes|token_id|id|text_offset|start_offset)\\*+\"")
_THINKING = to_pattern(rb"\"thinking\\*\"\s*+:\s*+")
_THINKING_NEXT = to_pattern(rb"\s*+,\s*+\\*\"thinking\\*\"\s*+:")
_SIGNATURE_NEXT = to_pattern(rb"\s*+,\s*+\\*\"signature\\*\"\s*+:\s*+\Z")
_BEHIND_DELTA = to_pattern(rb"\"signature_delta\\*\"\s*+,\s*+\\*\"signature\\*\"\s*+:\s*+\Z")
_LONGEST_THOUGHT = 1 << 14
_BASE58 = to_pattern(rb"\\*\"[1-9A-HJ-NP-Za-km-z]{86,88}\\*\"")
_BEHIND_KEY_ID = to_pattern(
    rb"\"key_?id\\*\"\s*+:\s*+\\*\"(?:[0-9a-f]{64}|[0-9]{17,20})\\*\"\s*+,\s*+\\*\"(?:sig|key)\\*\"\s*+:\s*+\Z"
)
_OF_CONSUL = to_pattern(rb"\"(?:Lock|Modify)Index\\*\"")
_LONGEST_KEY = 300
# Names that may mean something else, which the text around the value shows.
_WITH_OTHER_MEANINGS: dict[bytes, Callable[[bytes, int, int], bool]] = {
    b"token": _is_token_of_language_model,
    b"signature": _is_public_proof,
    b"Session": _is_session_of_consul,
    b"sig": _is_beside_id,
    b"key": _is_beside_id,
}
_OBJECT_VALUE = to_pattern(
    rb"(?P<is_value>[\"'](?:[vV]al(?:ue)?|S|stringValue|current)\\*+[\"']\s*+)?:\s*+(?=\\*[\"'])"
)
_IN_NAME = to_pattern(rb"[\w$.-]")
_UNQUOTED_NAME = to_pattern(rb"\b([A-Za-z_]\w{1,60})\s*+:\s*+\\")
_BACKSLASH, _BRACE = b"\\{"
_IS_OBJECT = to_pattern(rb"\\*+\"\s*+[{\[]")
# No line ends: otherwise the quote in one field would be paired with one in another field.
_STRING_END = to_pattern(rb'(?:[^"\\\r\n]|\\.)*+')
_SCALAR = to_pattern(rb"-?[0-9][0-9.eE+-]*+|null|true|false")
_LIST_GAP = to_pattern(_BLANK + rb",?" + _BLANK)


_IS_JSON = to_pattern(rb"\s*+[\[{]\s*+[\[{\]}\"\d]")
_LITERAL_COLON = to_pattern(rb":[ \t]*[\"'`]")
_LONGEST_LITERAL_NAME = 64
_LITERAL_NAME = to_pattern(rb"(?:^|(?P<is_said>[A-Za-z] )|[^\w$\"'\\.@/-])(?P<name>[A-Za-z_$][\w$]{2,60})[ \t]*\Z")
# What is between two strings is not a string itself: "Token:", "Secret:".
_LITERAL_VALUES = {
    quote: to_pattern(rb"(?![ ,:;]*[\"'`])(?:[^%b\\\r\n]|\\.){1,500}" % quote) for quote in (b'"', b"'", b"`")
}


def _records(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Find names and where their values begin, in another member of the same object."""
    for found in _RECORD.finditer(text):
        yield found["name"], found.end()
    for value in _VALUE_OF_RECORD.finditer(text):
        stop = _value_end(text, value.end())
        name = _NAME_OF_RECORD.match(text, stop) if stop is not None else None
        if name is not None:
            yield name["name"], value.end()


def _member_names(text: bytes) -> set[bytes]:
    """All names of members, at any depth of strings in strings; of JSON, Python, PHP, Ruby and TOML."""
    # One character is found much faster than two; and backwards, a name begins with a certain character.
    backwards = text[::-1]
    names = set(_EMAN.findall(backwards))
    if b"=" in text:
        names.update(_EMAN_BEFORE_EQUALS.findall(backwards))
    return {name[::-1] for name in names}


@lru_cache(maxsize=1024)
def _member(name: bytes, is_weak: bool) -> re.Pattern[bytes]:
    """A pattern for a member with this name, up to its value; it begins with the name, which makes the search fast.

    For a weak name, a text of some length must follow.
    """
    value = rb"(?=[\[\s]*+\\*[\"'](?:[^\"'\\\s]{16}|[<\[{*]{0,3}(?i:%b)))" % _BLANKED if is_weak else b""
    sign = rb"(?:(?<=[\"'])\s*+:?=(?!=)>?|\s*+(?::|=>))"
    return to_pattern(rb"%b(\\*[\"'])?%b%b%b(?:[bu](?=[\"']))?" % (re.escape(name), sign, _BLANK, value))


def _is_member(text: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether the quotes before and after a name are the same. In GraphQL there are none."""
    at, quote = found.start(), found[1]
    if quote is not None:
        return text.endswith(quote, 0, at)
    return text[found.end() : found.end() + 1] == b"\\" and not _IN_NAME.match(text, max(0, at - 1), at)


def _values(text: bytes, at: int, kind: NameKind) -> Iterator[tuple[int, int, NameKind]]:
    """Find the value that begins at a position, or the values of a list or an object, each with its kind."""
    opening = text[at : at + 1]
    if opening == b"[":
        at += 1
        # The gap may be empty.
        while (stop := _value_end(text, at := _LIST_GAP.match(text, at).end())) is not None:  # type: ignore[union-attr]
            # Texts in lists are more often messages about a value than values.
            if not is_prose(text[at:stop].strip(b"\\\"'")) or kind in OF_FIELDS:
                yield at, stop, kind
            at = stop
    elif opening == b"{" and (inner := _FLAT_OBJECT.match(text, at)) is not None:
        for member in _OBJECT_VALUE.finditer(text, at, inner.end()):
            stop = _value_end(text, member.end())
            if stop is not None:
                yield member.end(), stop, kind if member["is_value"] else NameKind.WEAK
    elif (stop := _value_end(text, at)) is not None:
        yield at, stop, kind


def _value_end(text: bytes, at: int) -> int | None:
    """Find the end of a string (after its closing quotes, or where the text is cut off) or another scalar."""
    opening = _QUOTE.match(text, at)
    if opening is None:
        scalar = _SCALAR.match(text, at)
        return None if scalar is None else scalar.end()
    if opening[0] == b'"':
        end = _STRING_END.match(text, opening.end())
        assert end is not None  # it may be empty
        stop = end.end()
    else:
        most = opening.end() + LONGEST_STRING
        stop = text.find(opening[0], opening.end(), most)
        while stop > opening.end() and text[stop - 1] == _BACKSLASH:
            stop = text.find(opening[0], stop + 1, most)
        stop = min(most, len(text)) if stop < 0 else stop
        if b"\n" in text[opening.end() : stop]:
            return None
    if stop == len(text):
        return stop
    return stop + len(opening[0]) if text.startswith(opening[0], stop) else None


_ESCAPED_QUOTE = to_pattern(rb"\\([\"'\\])")


def unescaped(raw: bytes) -> bytes:
    """The plain text of a string of JSON, which is given without its quotes."""
    if b"\\" not in raw:
        return raw
    try:
        text: str = json.loads(b'"' + raw + b'"', strict=False)
    except ValueError:
        return _ESCAPED_QUOTE.sub(rb"\1", raw)  # as written by Python
    return text.encode("utf-8", "surrogatepass")


_DEEPEST_MEMBER = 100
_PLAIN_STRING = to_pattern(rb"\"[^\x00-\x1f\"\\<>&]{1,4096}\"")
_JSON_TOKEN = to_pattern(rb'[\s,:]*+("(?:[^"\\]|\\.)*+"|[\[\]{}]|[^\s,:\[\]{}"]++)', re.DOTALL)


def walk_json(text: bytes) -> Iterator[tuple[list[str], int, int]]:
    """Yield each scalar of JSON with its path, unless that is very long; parts that are not JSON do not matter."""
    path: list[str] = []
    counters: list[int | None] = []  # of lists; None of objects
    name: str | None = None
    for token in _JSON_TOKEN.finditer(text):
        kind = token[1][:1]
        if kind in b"]}":
            if counters:
                counters.pop()
                if path:
                    path.pop()
            continue
        if counters and counters[-1] is None and name is None and kind == b'"':
            name = unescaped(token[1][1:-1]).decode("utf-8", "replace")
            continue
        if counters and counters[-1] is not None:
            step = str(counters[-1])
            counters[-1] += 1
        else:
            step = name or ""
        name = None
        if kind in b"[{":
            if counters:
                path.append(step)
            counters.append(0 if kind == b"[" else None)
        elif len(path) < _DEEPEST_MEMBER:
            yield [*path, step], *token.span(1)


def _fits(path: list[str], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(b in ("*", a) for a, b in zip(path, pattern, strict=True))
