"""Reads one YAML document of unknown origin: in any style, but safely, and with limits.

PyYAML gives the events, and we build the values ourselves: building trees is where YAML parsers crash on deep nesting,
hang on merges and run code for tags. Imported only when a document needs it, as importing PyYAML takes 30 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import yaml

from cassette_http.cassette.format.scalars import octets_of, resolve

DEEPEST = 16
MOST_NODES = 100_000

CORE_TAG = "tag:yaml.org,2002:"
CORE_TAGS = {CORE_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "binary")}

# The pure Python reader is used if PyYAML was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnreadableYAML(Exception):
    """`line` counts from 0 within the document; `reason` is for the user."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


class Mapping(NamedTuple):
    """The document: its values by key, and the line of each key (from 0).

    Scalars that are direct values of the document stay text, even if they look like numbers: they are field sections
    and bodies. Deeper ones have their YAML types. `!!binary` is bytes everywhere.
    """

    values: dict[str, Any]
    lines: dict[str, int]


def read_mapping(octets: bytes) -> Mapping | None:
    """Read a document that must be a mapping; None if it is empty. Raises UnreadableYAML."""
    with yaml_events(octets) as next_event:
        return _Builder(next_event).document()


@contextmanager
def yaml_events(octets: bytes) -> Iterator[Callable[[], Any]]:
    """Yield a function that returns PyYAML's events one by one. Raises UnreadableYAML."""
    try:
        loader = _Loader(octets)
        try:
            yield loader.get_event
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        problem = " ".join(str(part) for part in (exc.context, exc.problem) if part)
        # If something is missing at the end, PyYAML names the line after the last one.
        line = min(mark.line, octets.count(b"\n")) if mark is not None else 0
        raise UnreadableYAML(line, f"this is not YAML: {problem}") from exc
    except yaml.YAMLError as exc:
        reason = getattr(exc, "reason", None) or str(exc)
        line = octets.count(b"\n", 0, getattr(exc, "position", 0) or 0)
        raise UnreadableYAML(line, f"this is not YAML: {reason}") from exc


class _Builder:
    """Builds values from events, and counts them."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        self._next_event = next_event
        self._nodes = 0
        self._lines: dict[str, int] = {}

    def document(self) -> Mapping | None:
        self._next_event()  # the start of the stream
        event = self._next_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        event = self._next_event()
        if isinstance(event, yaml.ScalarEvent) and event.value == "" and event.implicit[0]:
            return None
        if not isinstance(event, yaml.MappingStartEvent):
            raise UnreadableYAML(event.start_mark.line, "a document of a cassette is a mapping; this is something else")
        values = self._value(event, 1)
        self._next_event()  # the end of the document
        event = self._next_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise UnreadableYAML(event.start_mark.line, "a document must end with a line '---', not with '...'")
        return Mapping(values, self._lines)

    def _value(self, event: Any, depth: int) -> Any:
        line = event.start_mark.line
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnreadableYAML(line, f"the document has more than {MOST_NODES:,} nodes")
        if depth > DEEPEST:
            raise UnreadableYAML(line, f"the document is nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise UnreadableYAML(line, "anchors and aliases (& and *) are not allowed in a cassette")
        if event.tag is not None and event.tag not in CORE_TAGS:
            raise UnreadableYAML(line, f"the tag {event.tag!r} is not allowed in a cassette")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self._next_event(), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(event := self._next_event(), yaml.MappingEndEvent):
            key, line = self._key(event), event.start_mark.line
            if key in mapping:
                raise UnreadableYAML(line, f"the key {key!r} occurs twice")
            mapping[key] = self._value(self._next_event(), depth + 1)
            if depth == 1:
                self._lines[key] = line
        return mapping

    def _key(self, event: Any) -> str:
        line = event.start_mark.line
        if not isinstance(event, yaml.ScalarEvent):
            raise UnreadableYAML(line, "a key must be text, not a sequence, a mapping or an alias")
        if event.value == "<<" and event.implicit[0]:
            raise UnreadableYAML(line, "merge keys (<<) are not allowed in a cassette")
        if event.anchor is not None or event.tag not in (None, CORE_TAG + "str"):
            raise UnreadableYAML(line, "anchors and tags are not allowed at a key")
        key: str = event.value
        return key

    def _scalar(self, event: Any, depth: int) -> Any:
        text: str = event.value
        if event.tag is None:
            return resolve(text) if event.implicit[0] and depth > 2 else text
        if event.tag == CORE_TAG + "binary":
            try:
                return octets_of(text)
            except ValueError as exc:
                raise UnreadableYAML(event.start_mark.line, f"this is not base64: {exc}") from exc
        return text if event.tag == CORE_TAG + "str" or depth <= 2 else resolve(text)
