"""Secrets in settings and tables: lines of a name and a value, cells below a name, variables, a netrc file (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from cassette_http.cassette.field_rules import COOKIE_RULES
from cassette_http.cassette.hiding import MIXED, SIMPLE_WORD, STRONG, Hiding, is_secret_value
from cassette_http.cassette.pairs import USERINFO
from cassette_http.cassette.redaction_rules import Rules
from cassette_http.cassette.secret_names import NameKind, looks_random
from cassette_http.cassette.splicing import Edit

__all__ = ["find_cells", "find_literals", "find_settings", "literal_members", "netrc_passwords", "secrets_of_variable"]

LONGEST_SETTINGS = 1 << 16


def find_settings(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Settings: a name and a value in a line of their own, as in a file .env, or fields that are echoed."""
    if b"=" not in text and b":" not in text:
        return
    if not hiding.secrets("settings", _LINE_NAME.findall(text, 0, LONGEST_SETTINGS)):
        return
    for line in _LINE.finditer(text, 0, LONGEST_SETTINGS):
        kind = hiding.kind("settings", line["name"])
        value = line["value"].rstrip()
        if kind is NameKind.ORDINARY or not _is_setting(kind, line, value):
            continue
        if (hidden := hiding.hidden(kind, value)) is not None:
            yield Edit(line.start("value"), line.start("value") + len(value), hidden)


def _is_setting(kind: NameKind, line: re.Match[bytes], value: bytes) -> bool:
    """Tell whether the value of a line is meant: a program has such lines as well, with names and calls there."""
    if kind in COOKIE_RULES or kind is NameKind.CREDENTIALS or looks_random(value.decode("latin-1")):
        return True
    if kind not in STRONG:
        return False
    is_assigned = line["name"].isupper() and line[0].endswith(line["name"] + b"=" + line["value"])  # SECRET_KEY=...
    return bool(line["quote"]) or is_assigned or MIXED.fullmatch(value) is not None


_LINE_NAME = re.compile(rb"^[ \t]*+(?:export[ \t]+)?([\w.-]{1,80}+)[ \t]*+[:=]", re.MULTILINE)
_LINE = re.compile(
    rb"^[ \t]*+(?:export[ \t]+)?(?P<name>[\w.-]{1,80}+)[ \t]*+[:=][ \t]*+"
    rb"(?P<quote>[\"']?)(?P<value>[^\r\n\"']+)(?P=quote)",
    re.MULTILINE,
)


# -- scripts -------------------------------------------------------------------------------------------------


def find_literals(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Members whose names stand without quotes, as in scripts: {apiKey: 'abc'}."""
    for name, start, stop in literal_members(text):
        kind = hiding.kind("json", name)
        hidden = hiding.hidden(kind, text[start:stop]) if kind in STRONG else None
        if hidden is not None:
            yield Edit(start, stop, hidden)


def literal_members(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Find, in a text that is no JSON, members whose names stand without quotes: name, start and stop of the value."""
    if text.lstrip()[:1] in (b"{", b"["):
        return
    # From the colon back to the name: a search that began with names would begin at each word.
    for colon in _LITERAL_COLON.finditer(text):
        name = _LITERAL_NAME.search(text[max(0, colon.start() - _LONGEST_LITERAL_NAME) : colon.start()])
        value = _LITERAL_VALUE.match(text, colon.end()) if name is not None else None
        if name is not None and value is not None and text.startswith(colon[0][-1:], value.end()):
            yield name[1], *value.span()


_LITERAL_COLON = re.compile(rb":[ \t]*[\"'`]")
_LONGEST_LITERAL_NAME = 64
_LITERAL_NAME = re.compile(rb"(?:^|[^\w$\"'\\.@/-])([A-Za-z_$][\w$]{2,60})[ \t]*\Z")
_LITERAL_VALUE = re.compile(rb"[^\"'`\\\r\n]{1,500}")


# -- tables --------------------------------------------------------------------------------------------------

# A quoted cell may hold line ends.
_CELLS = {
    delimiter: re.compile(
        rb"(?:(?P<begins>^)|%b)(?P<cell>\"(?:[^\"]|\"\")*+\"|[^%b\r\n\"]*+)" % (delimiter, delimiter), re.MULTILINE
    )
    for delimiter in (b",", b";", b"\t")
}


def find_cells(text: bytes, hiding: Hiding) -> list[Edit]:
    """Hide the cells of a table (CSV) below the names of secrets, which are in its first row."""
    first = text[: text.find(b"\n")] if b"\n" in text else b""
    cell = _CELLS[max(_CELLS, key=first.count)]
    names = [found["cell"].strip(b'" ') for found in cell.finditer(first)]
    kinds = [hiding.kind("form", name) for name in names]
    edits: list[Edit] = []
    if all(kind is NameKind.ORDINARY for kind in kinds):
        return edits
    column = 0
    for found in cell.finditer(text, len(first) + 1):
        column = 0 if found["begins"] is not None else column + 1
        kind = kinds[column] if column < len(kinds) else NameKind.ORDINARY
        if kind is NameKind.ORDINARY:
            continue
        start, stop = found.span("cell")
        if found["cell"].startswith(b'"'):
            start, stop = start + 1, stop - 1
        hidden = hiding.hidden(kind, text[start:stop].replace(b'""', b'"'))
        if hidden is not None:
            edits.append(Edit(start, stop, hidden))
    return edits


# -- variables and files that are known from the start ---------------------------------------------------------

_IS_SESSION = re.compile("session", re.IGNORECASE)  # of a desktop
_NETRC_PASSWORD = re.compile(r'\bpassword\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))')


# Most variables are the same for each cassette of a test run; but pytest keeps the name of the test in one.
@lru_cache(maxsize=1024)
def secrets_of_variable(rules: Rules, name: str, value: str) -> tuple[bytes, ...]:
    """The secrets in a variable of the environment: its value if it is named as one, and the passwords of URLs."""
    octets = value.encode("utf-8", "surrogateescape")
    kind = rules.kind("environment", name.encode("utf-8", "surrogateescape"))
    found = [unquote_to_bytes(url["password"] or b"") for url in USERINFO.finditer(octets)]
    # A database called "postgres" with this password would vanish from every text, so no simple words.
    if kind is not NameKind.ORDINARY and not _IS_SESSION.search(name) and is_secret_value(kind, octets):
        found.insert(0, octets)
    return tuple([secret for secret in found if not SIMPLE_WORD.fullmatch(secret)])


def netrc_passwords(text: str) -> Iterator[bytes]:
    """The passwords in a netrc file."""
    for found in _NETRC_PASSWORD.finditer(text):
        yield (found[1].replace('\\"', '"') if found[1] else found[2]).encode()
