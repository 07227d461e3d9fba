"""Reads foreign YAML and JSON as plain values: nothing is run, and everything has limits (pure).

The writers of foreign cassettes are not ours, so more is accepted than in our own files: aliases, and the few tags that
are used for Python objects that are text or octets. Tags that would have to run code are refused.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from cassette_http.cassette.format.yaml_reading import CORE_TAG, UnreadableYAML, yaml_events
from cassette_http.wire.patterns import to_pattern

# Other recorders need many nodes for an interaction.
MOST_NODES = 1_000_000

# Names and values of fields that most interactions have: one object for all of them.
_LONGEST_SHARED = 64
_MOST_SHARED = 10_000

# The limit of a file: the content of an alias counts each time, as if it were written there.
MOST_CHARACTERS = 50 << 20

# Bodies written as YAML or JSON add their own depth, and so do the call stacks of browsers.
DEEPEST = 128


class Unreadable(Exception):
    """`line` counts from 1, None if unknown; `reason` is for the user."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


class Table(dict[str, Any]):
    """A mapping; `line` is where it begins in the file, from 1, None if unknown (JSON)."""

    line: int | None = None


class Plain(str):
    """A YAML scalar without quotes: it may mean a number or a truth value, but is kept as written."""

    __slots__ = ()


# ---------------------------------------------------------------------- YAML

_PYTHON = CORE_TAG + "python/"
# Tags that are read as text, octets or a sequence.
_SCALARS = {CORE_TAG + name for name in ("str", "int", "float", "bool", "timestamp", "python/str", "python/unicode")}
_OCTETS = {CORE_TAG + "binary", _PYTHON + "bytes"}
_SEQUENCES = {CORE_TAG + "seq", _PYTHON + "tuple", _PYTHON + "list", _PYTHON + "object/apply:http.HTTPStatus"}
# Bodies that were open files or iterators.
_FILE = _PYTHON + "object/new:_io.BytesIO"
_ITERATOR = _PYTHON + "object/apply:builtins.iter"
_MAPPINGS = {CORE_TAG + "map", _PYTHON + "dict", _FILE, _ITERATOR}
_NULLS = {"", "~", "null", "Null", "NULL"}


def read_yaml(octets: bytes) -> Any:
    """Read a document: None, text, bytes, lists and Tables. Raises Unreadable."""
    try:
        with yaml_events(octets) as next_event:
            return _Builder(next_event).document()
    except UnreadableYAML as exc:
        raise Unreadable(exc.line + 1, exc.reason) from exc.__cause__


class _Builder:
    """Builds values from events. An alias counts as much as its content, so a small file cannot become large."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        self._next_event = next_event
        self._nodes = self._characters = 0
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._shared: dict[str, Plain | None] = dict.fromkeys(_NULLS)

    def document(self) -> Any:
        self._next_event()  # the start of the stream
        if isinstance(self._next_event(), yaml.StreamEndEvent):
            return None
        value = self._value(self._next_event(), 1)
        self._next_event()  # the end of the document
        event = self._next_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise Unreadable(event.start_mark.line + 1, "another document begins here; a cassette of others has one")
        return value

    def _count(self, nodes: int, characters: int, event: Any) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MOST_NODES:
            raise _too_many(event.start_mark.line + 1)
        if self._characters > MOST_CHARACTERS:
            line = event.start_mark.line + 1
            raise Unreadable(line, f"with what its aliases stand for, the file has over {MOST_CHARACTERS:,} characters")

    def _value(self, event: Any, depth: int) -> Any:
        if type(event) is yaml.ScalarEvent and event.anchor is None and depth <= DEEPEST:
            # Most are of this kind, and a file may have a million.
            self._count(1, len(event.value), event)
            return self._scalar(event)
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise _too_deep(line)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise Unreadable(line, f"the alias *{event.anchor} stands for nothing, or for what it is part of")
            value, nodes, characters = self._anchors[event.anchor]
            self._count(nodes, characters, event)
            return value
        nodes, characters = self._nodes, self._characters
        self._count(1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0, event)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(event, line, depth)
        else:
            value = self._mapping(event, line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes - nodes, self._characters - characters
        return value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is None:
            return self._plain(text) if event.implicit[0] else text
        line = event.start_mark.line + 1
        if event.tag in _OCTETS:
            try:
                return binascii.a2b_base64(text.encode("ascii"))
            except ValueError as exc:
                raise Unreadable(line, f"this is not base64: {exc}") from exc
        if event.tag == CORE_TAG + "null":
            return None
        if event.tag not in _SCALARS:
            raise _refused(event.tag, line)
        return text

    def _plain(self, text: str) -> Plain | None:
        if text in self._shared:
            return self._shared[text]
        value = Plain(text)
        if len(text) <= _LONGEST_SHARED and len(self._shared) < _MOST_SHARED:
            self._shared[text] = value
        return value

    def _sequence(self, event: Any, line: int, depth: int) -> Any:
        if event.tag is not None and event.tag not in _SEQUENCES:
            raise _refused(event.tag, line)
        items = []
        while not isinstance(inner := self._next_event(), yaml.SequenceEndEvent):
            items.append(self._value(inner, depth + 1))
        return items[0] if items and event.tag is not None and event.tag.endswith("HTTPStatus") else items

    def _mapping(self, event: Any, line: int, depth: int) -> Any:
        if event.tag is not None and event.tag not in _MAPPINGS:
            raise _refused(event.tag, line)
        table = Table()
        table.line = line
        while not isinstance(inner := self._next_event(), yaml.MappingEndEvent):
            key = self._value(inner, depth + 1)
            if isinstance(key, bytes):
                key = key.decode("latin-1")
            if key is not None and not isinstance(key, str):
                raise Unreadable(inner.start_mark.line + 1, "a key must be text")
            if key == "<<" and isinstance(key, Plain):
                raise Unreadable(inner.start_mark.line + 1, "merge keys (<<) are not read")
            table["null" if key is None else str(key)] = self._value(self._next_event(), depth + 1)
        if event.tag == _FILE:
            return _first(table.get("state"), line)
        return _first(table.get("args"), line) if event.tag == _ITERATOR else table


def _first(values: Any, line: int) -> Any:
    """The content of a Python object, a file or an iterator: the first value among its arguments."""
    if not isinstance(values, list):
        raise Unreadable(line, "this object of Python does not say what it held")
    return values[0] if values else b""


def _too_many(line: int) -> Unreadable:
    return Unreadable(line, f"the file has more than {MOST_NODES:,} nodes")


def _too_deep(line: int) -> Unreadable:
    return Unreadable(line, f"this is nested deeper than {DEEPEST} levels")


def _refused(tag: str, line: int) -> Unreadable:
    if tag.startswith(_PYTHON):
        return Unreadable(
            line, f"the tag !!{tag.removeprefix(CORE_TAG)} would run code of Python, which no cassette is allowed to"
        )
    return Unreadable(line, f"the tag {tag!r} is not known here")


# ---------------------------------------------------------------------- JSON

_DECODER = json.JSONDecoder(object_hook=Table)
_SPACE = to_pattern(r"[ \t\r\n]*")
# A bracket or a comma outside of strings, with everything before it.
_MARK = to_pattern(r'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{},])', re.DOTALL)


def read_json(octets: bytes) -> Any:
    """Read a JSON text; mappings become Tables without a line (see `table_line`). Raises Unreadable."""
    try:
        text = octets.decode(json.detect_encoding(octets), "surrogatepass")
        _refuse_unbounded(text)
        return json.loads(text, object_hook=Table)
    except json.JSONDecodeError as exc:
        raise Unreadable(exc.lineno, f"this is not JSON: {exc.msg}") from exc
    except ValueError as exc:  # invalid Unicode, or a number with thousands of digits
        raise Unreadable(None, f"this is not JSON: {exc}") from exc


def _refuse_unbounded(text: str) -> None:
    """Raise Unreadable if a text has too many values, or too deep ones, before any is built."""
    nodes = depth = at = 0
    while (mark := _MARK.match(text, at)) is not None:
        at = mark.end()
        if mark[1] in "]}":
            depth -= 1
            continue
        nodes += 1
        depth += mark[1] != ","
        if nodes > MOST_NODES or depth > DEEPEST:
            line = text.count("\n", 0, at) + 1
            raise _too_many(line) if nodes > MOST_NODES else _too_deep(line)


def table_line(octets: bytes, keys: tuple[str, ...], position: int) -> int | None:
    """Find the line of an entry of a list in a valid JSON text; `keys` lead to the list."""
    text = octets.decode("utf-8-sig", "replace")
    at = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # matches everywhere
    for key in keys:
        at = next((start for name, start in _members(text, at) if name == key), -1)
        if at < 0:
            return None
    for index, (_, start) in enumerate(_members(text, at)):
        if index == position:
            return text.count("\n", 0, start) + 1
    return None


def _members(text: str, at: int) -> Iterator[tuple[str | None, int]]:
    """Yield the names (None in an array) and the positions of the values of the object or array at `at`."""

    def after_space(at: int) -> int:
        return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches everywhere

    is_object = text[at : at + 1] == "{"
    if not is_object and text[at : at + 1] != "[":
        return
    at = after_space(at + 1)
    while text[at : at + 1] not in ("}", "]", ""):
        name = None
        if is_object:
            name, at = _DECODER.raw_decode(text, at)
            at = after_space(after_space(at) + 1)
        yield name, at
        _, at = _DECODER.raw_decode(text, at)
        at = after_space(at)
        if text[at : at + 1] == ",":
            at = after_space(at + 1)
