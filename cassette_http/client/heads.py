"""Heads of final responses: what they say about content and connection; their fields are parsed when needed.

Servers repeat themselves, so the facts about a head are cached.
"""

from __future__ import annotations

import re
from http.client import HTTPMessage, UnknownProtocol
from typing import NamedTuple

from cassette_http.client.message import build_message
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import FramingKind, is_persistent, response_framing
from cassette_http.wire.grammar import MAX_LINE_OCTETS
from cassette_http.wire.head import parse_fields, parse_status_line


class Facts(NamedTuple):
    """What a head says about the response, its content, and the connection."""

    status: int
    reason: str
    version: int  # 10 or 11
    length: int | None  # None if unknown, as for chunked content
    is_chunked: bool
    will_close: bool
    is_upgrade: bool  # what follows is another protocol


class Head:
    """One head; `length` is that of the content, and takes precedence over the one in `facts`."""

    __slots__ = ("_values", "facts", "field_lines", "length", "method", "octets", "section")

    def __init__(self, octets: bytes, section: bytes, method: str, length: int | None, facts: Facts) -> None:
        # From the status line to the empty line; b"" if it did not come in one piece.
        self.octets = octets
        # From the first field line to the empty line.
        self.section = section
        # The method of the request.
        self.method = method
        self.length = length
        self.facts = facts
        self.field_lines = section.count(b"\n") - 1
        self._values: dict[str, str] | None = None

    def message(self) -> HTTPMessage:
        """Build the message of the fields: a new one each time, as programs may change it."""
        return build_message(self.section)

    def value(self, name: str) -> str | None:
        """The values of all fields called `name`, joined with ", "; None if there are none."""
        if self._values is None:
            values: dict[str, str] = {}
            for field, value in parse_fields(self.section)[0]:
                field = field.lower()
                values[field] = f"{values[field]}, {value}" if field in values else value
            self._values = values
        return self._values.get(name.lower())


def read_head(version: str, status: int, reason: str, section: bytes, method: str) -> Head:
    """Make a head from its parts. Raises UnknownProtocol, and MalformedMessage if it contradicts itself."""
    facts = _find_facts(version, status, reason, parse_fields(section)[0], method)
    return Head(b"", section, method, facts.length, facts)


# The lines that decide framing and persistence, perhaps some more, and all that begin with white space. For
# Content-Length in its usual form, only the digits.
_TELLING_LINE = re.compile(
    rb"\n(?:[Cc]ontent-[Ll]ength: ([0-9]{1,18})(?=\r\n)"
    rb"|((?:[\n \t]|[cC][oO][nN](?:[nN]|[tT][eE][nN][tT]-[lL])|[kK][eE][eE]|[pP][rR][oO][xX]|[tT][rR][aA][nN])[^\n]*))"
)


def ordinary_head(octets: bytes, method: str, most_fields: int) -> Head | None:
    """Make a head from all its octets, if there is nothing unusual about it; else None.

    The octets end with the first empty line (CRLF).
    """
    start = octets.find(b"\n") + 1
    telling = _TELLING_LINE.findall(octets)
    # The length differs between responses, while the meaning of the rest does not.
    lengths = [digits for digits, _ in telling if digits]
    key = (method, octets[:start], *[line for _, line in telling])
    facts = _known_facts[key] if key in _known_facts else _learn_facts(key)
    if facts is None or len(lengths) > 1 or len(octets) > MAX_LINE_OCTETS:
        return None
    length = int(lengths[0]) if lengths and facts.length else facts.length
    head = Head(octets, octets[start:], method, length, facts)
    return head if head.field_lines <= most_fields else None


_known_facts: dict[tuple[str | bytes, ...], Facts | None] = {}
_MOST_KNOWN = 256


def _learn_facts(key: tuple[str | bytes, ...]) -> Facts | None:
    """Parse and cache what heads with this method, status line and these telling lines say."""
    facts = _facts_of_ordinary(*key)  # type: ignore[arg-type]  # a method, then lines
    # A long head is unlikely to come again.
    if sum(map(len, key)) < 300:
        if len(_known_facts) >= _MOST_KNOWN:
            _known_facts.clear()
        _known_facts[key] = facts
    return facts


def _facts_of_ordinary(method: str, status_line: bytes, *telling: bytes) -> Facts | None:
    """What such heads say; an empty line stands for Content-Length. None if they need the general path."""
    if len(status_line) > MAX_LINE_OCTETS or any(line[:1] in (b"\n", b" ", b"\t") for line in telling):
        return None
    section = b"".join(line + b"\n" if line else b"Content-Length: 1\r\n" for line in telling)
    fields, _ = parse_fields(section)
    if b"" in telling and sum(name.lower() == "content-length" for name, _ in fields) > 1:
        return None
    try:
        version, status, reason = parse_status_line(status_line)
        facts = _find_facts(version, status, reason, fields, method)
    except (MalformedMessage, UnknownProtocol):
        return None
    return facts if status >= 200 or status == 101 else None


def _find_facts(version: str, status: int, reason: str, fields: list[tuple[str, str]], method: str) -> Facts:
    if version in ("HTTP/1.0", "HTTP/0.9"):
        number = 10
    elif version.startswith("HTTP/1."):
        number = 11
    else:
        raise UnknownProtocol(version)
    framing = response_framing(status, fields, method)
    is_tunnel = method == "CONNECT" and 200 <= status < 300
    # Persistence concerns further messages, and a tunnel carries none.
    ends = not is_tunnel and (framing.kind is FramingKind.CLOSE or not is_persistent(version, fields))
    length = 0 if framing.kind is FramingKind.NONE else framing.length
    is_chunked = framing.kind is FramingKind.CHUNKED
    return Facts(status, reason.strip(), number, length, is_chunked, ends, status == 101 or is_tunnel)
