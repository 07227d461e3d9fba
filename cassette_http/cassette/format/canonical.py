"""Reads *canonical* documents, which are written as we write them (`yaml_format` describes them).

It uses a few regular expressions, which are much faster than PyYAML and have the same result. None always means: not
canonical, use PyYAML.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

from cassette_http.cassette.format.body_forms import MOST_SIZES
from cassette_http.cassette.format.scalars import PLAIN, PLAIN_IN_FLOW, SAFE_ASCII, is_safe, octets_of, resolve
from cassette_http.wire.patterns import to_pattern

# The content of a document: text, octets, numbers, lists and mappings by their keys.
Values: TypeAlias = dict[str, Any]

# The keys in canonical order. "failed" replaces "request" if no request was sent.
INTERACTION_KEYS = (
    "request", "request octets", "failed", "origin", "via", "target",
    "request headers", "request body", "request trailers", "request wire",
    "interim", "response", "response octets", "response headers", "response body", "response trailers",
    "failure", "repeat", "wire",
)  # fmt: skip
TLS_KEYS = ("tls", "version", "cipher", "alpn", "certificate", "peer")
HEADER_KEYS = ("cassette", "recorded", "by", "test")
MOST_LINES = 10_000  # of trailers, and of interim responses
TIMESTAMP = to_pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

# An entry is a literal block, one line, base64, or a list of literal blocks. Repeats are possessive: no backtracking.
_LINES = r"(?:(?:  [^\n]*+)?\n)*+"
ENTRY = to_pattern(
    rf"([a-z]++(?: [a-z]++)?+):(?: \|(2?)([-+]?)\n({_LINES})"
    r'| "\\\n((?:  [^\n]*+\n)++)'
    r'| (["{\[\w][^\n]*+)\n'
    r"| !!binary \|(?:  #[^\n]*+)?\n((?:  [A-Za-z0-9+/=]++\n)++)"
    rf"|\n((?:- (?:\|2?[-+]?\n{_LINES}|\"[^\n]*+\n(?:  [^\n]*+\n)*+))++))",
    re.ASCII,
)
ITEM = to_pattern(rf'- (?:\|(2?)([-+]?)\n({_LINES})|"\\\n((?:  [^\n]*+\n)++)|("[^\n]*+)\n)')
LAST_ENTRY = to_pattern(
    rb"^(?:interim:\n(?:- .*+\n(?:(?:  .*+)?+\n)*+)*+"
    rb'|[a-z ]++: (?:\|2?[-+]?|!!binary \|.*+|"\\)\n(?:(?:  .*+)?+\n)*+)\Z',
    re.MULTILINE,
)
INTERACTION_ORDER, TLS_ORDER, HEADER_ORDER = (
    {key: position for position, key in enumerate(keys)} for keys in (INTERACTION_KEYS, TLS_KEYS, HEADER_KEYS)
)
PAIR_OF_SURROGATES = to_pattern(r"\\u[dD][89A-Fa-f]")
FLOW_SCALAR = to_pattern(
    rf"{PLAIN_IN_FLOW.pattern}|[0-9]+\*[0-9]+|-?[0-9]+(?:\.[0-9]+(?:e[-+][0-9]+)?)?|-?\.inf|\.nan", re.ASCII
)
DEEPEST_FLOW = 12

# Quoted scalars as we write them are JSON strings as well.
STRINGS = json.JSONDecoder()


def is_canonical_beginning(octets: bytes) -> bool:
    """Tell whether whole lines are canonical up to the last one; missing lines after it cannot be detected."""
    if read_canonical(octets) is not None:
        return True
    last = LAST_ENTRY.search(octets)
    return last is not None and (last.start() == 0 or read_canonical(octets[: last.start()]) is not None)


def read_canonical(octets: bytes) -> Values | None:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    if octets.translate(None, SAFE_ASCII) and not is_safe(text):
        return None
    order = INTERACTION_ORDER
    if text.startswith("tls: "):
        order = TLS_ORDER
    elif text.startswith("cassette: "):
        order = HEADER_ORDER
    values: Values = {}
    at, end, last, match_entry = 0, len(text), -1, ENTRY.match
    while at < end:
        match = match_entry(text, at)
        if match is None:
            return None
        key, indicator, chomping, block, lines, line, base64, items = match.groups()
        index = order.get(key, -1)
        if index <= last:
            return None
        last = index
        value: Any
        if block is not None:
            value = _literal(indicator, chomping, block)
        elif line is not None:
            value = _one_line(line)
        elif lines is not None:
            value = _quoted_lines(lines)
        elif base64 is not None:
            value = _octets_of(base64)
        else:
            value = _items(items)
        if value is None:
            return None
        values[key] = value
        at = match.end()
    return values or None


def _literal(indicator: str, chomping: str, block: str) -> str | None:
    if indicator:
        text = ("\n" + block).replace("\n  ", "\n")[1:]
        if not text or text.isspace():
            return None
    else:
        if block[:2] != "  " or block[2] in " \t\n":
            return None
        text = block[2:].replace("\n  ", "\n")
    if chomping == "+":
        return text
    if text[-2:] == "\n\n":
        return None
    return text[:-1] if chomping else text


def _one_line(line: str) -> Any:
    first = line[0]
    if first == '"':
        return _quoted(line)
    if first == "{" or first == "[":
        return _flow(line)
    if PLAIN.fullmatch(line) and ": " not in line and line[-1] != ":":
        return line
    return line if line == "1" or TIMESTAMP.fullmatch(line) else None


def _quoted(line: str) -> str | None:
    if PAIR_OF_SURROGATES.search(line):
        return None  # JSON's reader would join the two; in YAML they are an error
    try:
        text, end = STRINGS.raw_decode(line)
    except ValueError:
        return None
    return text if end == len(line) else None


def _quoted_lines(lines: str) -> str | None:
    """Read the lines after an opening quote and an escaped line end; the end of each line is escaped too."""
    texts: list[str] = []
    written = lines[:-1].split("\n")
    for number, line in enumerate(written, 1):
        end = "\\" if number < len(written) else '"'
        if line[-1] != end or line[2:3] in " \t":
            return None
        text = _quoted('"' + line[3 if line[2:4] == "\\ " else 2 : -1] + '"')
        if text is None:
            return None
        texts.append(text)
    return "".join(texts)


def _items(items: str) -> list[str] | None:
    texts: list[str] = []
    at = 0
    while at < len(items):
        match = ITEM.match(items, at)
        if match is None or len(texts) > MOST_LINES:
            return None
        indicator, chomping, block, lines, line = match.groups()
        if block is not None:
            text = _literal(indicator, chomping, block)
        else:
            text = _quoted_lines(lines) if lines is not None else _quoted(line)
        if text is None:
            return None
        texts.append(text)
        at = match.end()
    return texts


def _octets_of(base64: str) -> bytes | None:
    try:
        return octets_of(base64)
    except ValueError:
        return None


def _flow(line: str) -> Any:
    try:
        value, end = _flow_value(line, 0, 0)
    except (ValueError, IndexError):
        return None
    return value if end == len(line) else None


def _flow_value(text: str, at: int, depth: int) -> tuple[Any, int]:
    """Read one value as written by `scalars.flow`. Raises ValueError or IndexError if it is written differently."""
    first = text[at]
    if first == "{" or first == "[":
        return _flow_items(text, at, depth + 1)
    if first == '"':
        value, end = STRINGS.raw_decode(text, at)
        if PAIR_OF_SURROGATES.search(text, at, end):
            raise ValueError
        return value, end
    if first == "!":
        if not text.startswith('!!binary "', at):
            raise ValueError
        base64, end = STRINGS.raw_decode(text, at + 9)
        return octets_of(base64), end
    match = FLOW_SCALAR.match(text, at)
    if match is None:
        raise ValueError
    return resolve(match[0]), match.end()


def _flow_items(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > DEEPEST_FLOW:
        raise ValueError
    is_mapping = text[at] == "{"
    closer = "}" if is_mapping else "]"
    mapping: dict[str, Any] = {}
    items: list[Any] = []
    at += 1
    while text[at] != closer:
        if len(items) > MOST_SIZES or len(mapping) > MOST_SIZES:
            raise ValueError
        if is_mapping:
            match = None if text[at] == '"' else FLOW_SCALAR.match(text, at)
            key, at = STRINGS.raw_decode(text, at) if match is None else (match[0], match.end())
            if text[at : at + 2] != ": " or key in mapping:
                raise ValueError
            mapping[key], at = _flow_value(text, at + 2, depth)
        else:
            item, at = _flow_value(text, at, depth)
            items.append(item)
        if text[at : at + 2] == ", ":
            at += 2
            if text[at] == closer:
                raise ValueError
        elif text[at] != closer:
            raise ValueError
    return mapping if is_mapping else items, at + 1
