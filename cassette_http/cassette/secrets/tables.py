"""Secrets in tables with a row of names: cells of CSV (RFC 4180), and values of an INSERT in SQL (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.cassette.secrets.names import NameKind
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

(_BACKSLASH,) = b"\\"  # as a number, which is found much faster
_DELIMITERS = (b",", b";", b"\t")
_NAME = rb"\"?[A-Za-z_\x80-\xee][\w.\x80-\xee-]{0,60}+(?:[ ][\w.\x80-\xee-]{1,40}+){0,2}\"?"
# Only names in the first row; otherwise it is a sentence.
_ROW = rb"(?:\xef\xbb\xbf)?(?P<names>%b(?P<delimiter>[,;\t])%b(?:(?P=delimiter)%b){0,200})\r?\n" % (_NAME, _NAME, _NAME)
_FIRST_ROW = to_pattern(_ROW)
_ROW_BEHIND_HEAD = to_pattern(rb"\n\r?\n" + _ROW)
_PART_END = to_pattern(rb"\n--")
# Also in a string inside a string.
_ROW_OF_STRING = to_pattern(
    rb"\"(?P<names>%b(?P<delimiter>[,;]|\\+t)%b(?:(?P=delimiter)%b){0,200})(?:\\+r)?\\+n"
    % ((_NAME.replace(rb"\"", rb"(?:\\+\")"),) * 3)
)
# A quoted cell may contain line ends.
_CELLS = {
    delimiter: to_pattern(
        rb"(?:(?P<begins>^)|%b)(?P<cell>\"(?:[^\"]|\"\")*+\"|[^%b\r\n]*+)" % (delimiter, delimiter), re.MULTILINE
    )
    for delimiter in _DELIMITERS
}


def names_of_columns(text: bytes) -> list[bytes]:
    """All names in first rows: of the text, of contents after a head, and of strings of JSON."""
    in_strings = _ROW_OF_STRING.finditer(text) if _BACKSLASH in text and text.find(b"\\n") >= 0 else ()
    names = [name for row in [*_rows(text), *in_strings] for name in _cells(row)]
    return names + [name for insert in _inserts(text) for name in _columns(insert)]


def _rows(text: bytes) -> list[re.Match[bytes]]:
    first = _FIRST_ROW.match(text)
    return [*((first,) if first is not None else ()), *_ROW_BEHIND_HEAD.finditer(text)]


def _cells(row: re.Match[bytes]) -> list[bytes]:
    return [cell.strip(b'\\" ') for cell in row["names"].split(row["delimiter"])]


def find_cells(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find the cells in columns with telling names; a table is a text, or a part of a multipart."""
    rows = _rows(text)
    for row, stop in zip(rows, [*(row.start() for row in rows[1:]), len(text)], strict=False):
        kinds = [hiding.kind("form", name) for name in _cells(row)]
        if any(kind is not NameKind.ORDINARY for kind in kinds):
            end = _PART_END.search(text, row.end(), stop)
            yield from _find_below(row, kinds, stop if end is None else end.start(), hiding)


def _find_below(row: re.Match[bytes], kinds: list[NameKind], stop: int, hiding: Hiding) -> Iterator[Edit]:
    """Find the cells of one table; `kinds` are those of the names in its first `row`."""
    text, column = row.string, 0
    for found in _CELLS[row["delimiter"]].finditer(text, row.end(), stop):
        column = 0 if found["begins"] is not None else column + 1
        kind = kinds[column] if column < len(kinds) else NameKind.ORDINARY
        if kind is NameKind.ORDINARY:
            continue
        start, behind = found.span("cell")
        if found["cell"].startswith(b'"') and behind - start > 1:
            start, behind = start + 1, behind - 1
        hidden = hiding.hidden(kind, text[start:behind].replace(b'""', b'"'))
        if hidden is not None:
            yield Edit(start, behind, hidden)


_INSERT = to_pattern(
    rb"INSERT[ ]+(?:IGNORE[ ]+)?INTO[ ]+[\w.`\"\[\]\\]{1,120}+[ ]*+"
    rb"\((?P<columns>[^()']{3,4000}+)\)\s*+VALUES\s*+(?=\()",
    re.IGNORECASE,
)
_SQL_VALUE = to_pattern(
    rb"(?P<begins>(?:,\s*+)?\()?+\s*+[NE]?(?:'(?P<text>(?:[^'\\]|''|\\.)*+)'|[^,()']*+(?:\([^()]*+\))?+)"
    rb"\s*+(?:,(?!\s*+\()|\))",
    re.DOTALL,
)
_QUOTES = b'`"[] \\\r\n\t'


def _inserts(text: bytes) -> Iterator[re.Match[bytes]]:
    if text.find(b"VALUES") >= 0 or text.find(b"values") >= 0:
        yield from _INSERT.finditer(text)


def _columns(insert: re.Match[bytes]) -> list[bytes]:
    return [name.strip(_QUOTES) for name in insert["columns"].split(b",")]


def find_in_inserts(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find the texts that an INSERT puts into columns with telling names."""
    for insert in _inserts(text):
        kinds = [hiding.kind("form", name) for name in _columns(insert)]
        if all(kind is NameKind.ORDINARY for kind in kinds):
            continue
        at, column = insert.end(), 0
        while (found := _SQL_VALUE.match(text, at)) is not None:
            column = 0 if found["begins"] is not None else column + 1
            kind = kinds[column] if column < len(kinds) else NameKind.ORDINARY
            if found["text"] and kind is not NameKind.ORDINARY:
                hidden = hiding.hidden(kind, found["text"].replace(b"''", b"'"))
                if hidden is not None:
                    yield Edit(*found.span("text"), hidden)
            at = found.end()
