"""Secrets in members of JSON, at any depth of strings in strings, and in dictionaries of Python (pure).

What is around a member does not matter: JSON may be cut off, or stand in a page or in lines of events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from cassette_http.cassette.field_rules import COOKIE_RULES
from cassette_http.cassette.hiding import MIXED, STRONG, Hiding
from cassette_http.cassette.secret_names import NameKind, looks_random
from cassette_http.cassette.splicing import Edit
from cassette_http.cassette.vault import is_placeholder

__all__ = ["find_by_path", "find_members", "member_names", "pair_names", "record_names"]

LONGEST_UNQUOTED = 1 << 16


def find_members(text: bytes, hiding: Hiding, is_matching: bool = False) -> Iterator[Edit]:
    """Find secrets by the names of members."""
    names = {name[::-1] for name in set(member_names(text))}
    if len(text) <= LONGEST_UNQUOTED and b'\\"' in text and b'"query"' in text:
        names.update(name for name in _UNQUOTED_NAME.findall(text))
    if b"value" in names or b"Value" in names:
        yield from _in_records(text, hiding, is_matching)
    if b'["' in text:
        yield from _in_lists_of_two(text, hiding)
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
            if text[found.end()] != _BRACE:
                behind = stop  # but members of an object have names of their own
            edit = _hidden_value(hiding, text, start, stop, name, kind, is_matching)
            if edit is not None:
                yield edit


def _in_records(text: bytes, hiding: Hiding, is_matching: bool) -> Iterator[Edit]:
    """Members that are written as {"name": "api_key", "value": "..."}, as in lists of fields or variables."""
    for name, start in _records(text):
        kind = hiding.kind("json", name)
        stop = _value_end(text, start)
        if kind is not NameKind.ORDINARY and stop is not None:
            edit = _hidden_value(hiding, text, start, stop, name, kind, is_matching)
            if edit is not None:
                yield edit


def _in_lists_of_two(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Members that are written as ["api_key", "..."]; but a list of names of members is one as well."""
    for pair in _PAIR.finditer(text):
        kind, value = hiding.kind("json", pair["name"]), pair["value"]
        is_field = kind in COOKIE_RULES or kind is NameKind.CREDENTIALS
        if kind is NameKind.ORDINARY or hiding.kind("json", value) is not NameKind.ORDINARY:
            continue
        if is_field or MIXED.fullmatch(value) or looks_random(value.decode("latin-1")):
            edit = _hidden_value(
                hiding, text, pair.start("value") - 1, pair.end("value") + 1, pair["name"], kind, False
            )
            if edit is not None:
                yield edit


def find_by_path(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find the values that paths of the user lead to."""
    paths = hiding.rules.json_paths
    if not paths or text.lstrip()[:1] not in (b"{", b"["):
        return
    for path, start, stop in _walk_json(text):
        if any(_fits(path, each) for each in paths):
            edit = _hidden_value(hiding, text, start, stop, b"", NameKind.PASSWORD, False)
            if edit is not None:
                yield edit


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
        value = _unescaped(value)
    hidden = hiding.hidden(kind, value, is_matching)
    if hidden is None:
        return None
    if hidden != b"{{secret}}" and not is_placeholder(hidden):
        for _ in range(levels):
            hidden = json.dumps(hidden.decode("utf-8", "surrogateescape"), ensure_ascii=False)[1:-1].encode(
                "utf-8", "surrogateescape"
            )
    if not inner:
        return Edit(start, stop, quote[0] + hidden + quote[0])  # an edit needs octets to take the place of
    at = start + quote.end()
    return Edit(at, at + len(inner), hidden)


def _is_secret_number(kind: NameKind, name: bytes, digits: bytes) -> bool:
    if not digits.isdigit():
        return False
    if kind is NameKind.PASSWORD:
        return len(digits) >= 4
    # Times since 1970 and numeric ids are not meant.
    is_time = len(digits) in (10, 13) and digits.startswith((b"1", b"2"))
    is_id = name.lower().endswith((b"id", b"session"))
    return kind in STRONG and len(digits) >= 6 and not is_time and not is_id


# -- finding members -----------------------------------------------------------------------------------------

_BLANK = rb"(?:\s|\\[nrt])*+"
_QUOTE = re.compile(rb"(\\*)[\"']")
_EMAN = re.compile(rb":\s*+[\"']\\*+([\w.$@ :/\[\]#-]{1,80}+)")
_RECORD = re.compile(
    rb"\"(?:name|key|header|field)\"\s*+:\s*+\"(?P<name>[^\"\\]{1,80})\"\s*+,\s*+"
    rb"(?:\"(?!value\")[^\"\\]{1,40}\"\s*+:\s*+(?:\"[^\"\\]{0,200}\"|[\w.-]{1,40}+)\s*+,\s*+){0,3}\"value\"\s*+:\s*+",
    re.IGNORECASE,
)
_TURNED_RECORD = re.compile(
    rb"\"[vV]alue\"\s*+:\s*+(?P<value>\"(?:[^\"\\]|\\.)*+\"|[\w.-]{1,40}+)\s*+,\s*+"
    rb"\"(?:[nN]ame|[kK]ey|[hH]eader|[fF]ield)\"\s*+:\s*+\"(?P<name>[^\"\\]{1,80})\"\s*+[,}]"
)
_PAIR_NAME = re.compile(rb"\[\"([\w.-]{1,80}+)\"\s*+,")
_PAIR = re.compile(rb"\[\"(?P<name>[\w.-]{1,80}+)\"\s*+,\s*+\"(?P<value>(?:[^\"\\\r\n]|\\.)*+)\"\s*+\]")
_FLAT_OBJECT = re.compile(rb"\{[^{}]*+\}")
_OBJECT_VALUE = re.compile(rb":\s*+(?=\\*[\"'][^\"'\\\s]{16})")
_IN_NAME = re.compile(rb"[\w$.-]")
_UNQUOTED_NAME = re.compile(rb"\b([A-Za-z_]\w{1,60})\s*+:\s*+\\")
_BACKSLASH, _BRACE = b"\\{"
# No line ends: else a quote of one field's value would find its fellow in another's.
_STRING_END = re.compile(rb'(?:[^"\\\r\n]|\\.)*+')
_SCALAR = re.compile(rb"-?[0-9][0-9.eE+-]*+|null|true|false")
_LIST_GAP = re.compile(_BLANK + rb",?" + _BLANK)


def _records(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Find names and, in another member of the same object, where their values begin."""
    for found in _RECORD.finditer(text):
        yield found["name"], found.end()
    for found in _TURNED_RECORD.finditer(text):
        yield found["name"], found.start("value")


def record_names(text: bytes) -> list[bytes]:
    """All names in records of a name and a value."""
    return [name for name, _ in _records(text)]


def pair_names(text: bytes) -> list[bytes]:
    """All names in lists of a name and a value."""
    return _PAIR_NAME.findall(text)


def member_names(text: bytes) -> list[bytes]:
    """All names of members, backwards, at any depth of strings in strings; of JSON, and of dictionaries of Python."""
    # One character is found much quicker than two; and backwards a name begins with what is certain.
    if b":" not in text or (b'"' not in text and b"'" not in text):
        return []
    return _EMAN.findall(text[::-1])


@lru_cache(maxsize=1024)
def _member(name: bytes, is_weak: bool) -> re.Pattern[bytes]:
    """Find the name of a member, up to its value; it begins with the name, which makes the search quick.

    A weak name needs a text of some length behind it.
    """
    value = rb"(?=[\[\s]*+\\*[\"'][^\"'\\\s]{16})" if is_weak else b""
    return re.compile(rb"%b(\\*[\"'])?%b:%b%b" % (re.escape(name), _BLANK, _BLANK, value))


def _is_member(text: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether the quotes in front of a name are those behind it. In GraphQL there are none."""
    at, quote = found.start(), found[1]
    if quote is not None:
        return text.endswith(quote, 0, at)
    return text[found.end() : found.end() + 1] == b"\\" and not _IN_NAME.match(text, max(0, at - 1), at)


def _values(text: bytes, at: int, kind: NameKind) -> Iterator[tuple[int, int, NameKind]]:
    """Find the value that begins at a position, or the values of a list or an object, and what each of them is."""
    opening = text[at : at + 1]
    if opening == b"[":
        at += 1
        while (stop := _value_end(text, at := _LIST_GAP.match(text, at).end())) is not None:  # type: ignore[union-attr]
            # Texts in lists are messages about a value more often than values.
            if b" " not in text[at:stop] or kind is NameKind.CREDENTIALS or kind in COOKIE_RULES:
                yield at, stop, kind
            at = stop
    elif opening == b"{" and (inner := _FLAT_OBJECT.match(text, at)) is not None:
        for member in _OBJECT_VALUE.finditer(text, at, inner.end()):
            stop = _value_end(text, member.end())
            if stop is not None:
                yield member.end(), stop, NameKind.WEAK
    elif (stop := _value_end(text, at)) is not None:
        yield at, stop, kind


def _value_end(text: bytes, at: int) -> int | None:
    """Find the end of a string (behind its closing quotes, or where the text was cut off) or another scalar."""
    opening = _QUOTE.match(text, at)
    if opening is None:
        scalar = _SCALAR.match(text, at)
        return None if scalar is None else scalar.end()
    if opening[0] == b'"':
        end = _STRING_END.match(text, opening.end())
        assert end is not None  # it may be empty
        stop = end.end()
    else:
        stop = text.find(opening[0], opening.end())
        while stop > opening.end() and text[stop - 1] == _BACKSLASH:
            stop = text.find(opening[0], stop + 1)
        stop = len(text) if stop < 0 else stop
        if b"\n" in text[opening.end() : stop]:
            return None
    if stop == len(text):
        return stop
    return stop + len(opening[0]) if text.startswith(opening[0], stop) else None


def _unescaped(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    try:
        text: str = json.loads(b'"' + raw + b'"', strict=False)
    except ValueError:
        return raw
    return text.encode("utf-8", "surrogatepass")


_JSON_TOKEN = re.compile(rb'[\s,:]*+("(?:[^"\\]|\\.)*+"|[\[\]{}]|[^\s,:\[\]{}"]++)', re.DOTALL)


def _walk_json(text: bytes) -> Iterator[tuple[list[str], int, int]]:
    """Go through JSON, and give each scalar with its path; without recursion, and not minding what is no JSON."""
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
            name = _unescaped(token[1][1:-1]).decode("utf-8", "replace")
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
        else:
            yield [*path, step], *token.span(1)


def _fits(path: list[str], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(b in ("*", a) for a, b in zip(path, pattern, strict=True))
