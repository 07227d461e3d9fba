"""What targets and contents mean, however they are spelled (pure).

White space, the order of names, and the spelling of strings and numbers do not matter in JSON: 1, 1.0 and 1e0 are one
number (true is another value). If a name occurs twice in an object the last one counts, as for most receivers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from operator import itemgetter
from string import ascii_letters, digits
from typing import Any, TypeAlias
from urllib.parse import unquote

from cassette_http.cassette.decoding import codings_of, decoded
from cassette_http.cassette.model import Request, is_absolute

Pairs: TypeAlias = tuple[tuple[str, "str | None"], ...]
Part: TypeAlias = tuple[Pairs, bytes]

# JSON that is nested deeper is compared as octets: the parser of the standard library is recursive.
MAX_JSON_DEPTH = 100

_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(ascii_letters + digits + "-._~")  # RFC 3986 section 2.3
BOUNDARY = re.compile(r';[ \t]*boundary=("[^"]*"|[^;]*)', re.IGNORECASE)


def split_target(request: Request) -> tuple[str, str]:
    """Split the request target, in any of its four forms, into path and query (RFC 9112 section 3.2)."""
    target = request.head.target
    if request.head.method == "CONNECT":
        return target, ""
    before, _, after = target.partition("?")
    if is_absolute(target):
        before = "/" + before.partition("://")[2].partition("/")[2]
    return before, after


def same_spelling(text: str) -> str:
    """Decode what needs no percent-encoding, and write the rest in upper case (RFC 3986 section 6.2.2)."""
    return _ENCODED.sub(_spell, text) if "%" in text else text


def _spell(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def pairs_of(text: str) -> Pairs:
    """Split and decode a query or form, one character for each octet; (name, None) for a pair without "=".

    Servers read it like this, so "a%2Cb" is "a,b" here: libraries, and even releases of one library, differ in which
    they send.
    """
    if not text:
        return ()
    pieces = [piece.partition("=") for piece in text.replace("+", " ").split("&") if piece]
    if "%" in text:
        pieces = [(unquote(name, "latin-1"), equals, unquote(value, "latin-1")) for name, equals, value in pieces]
    return ordered((name, value if equals else None) for name, equals, value in pieces)


def name_as_written(name: str) -> str:
    """The name of a decoded pair as users write it in a rule: `pairs_of` has one character for each octet."""
    return name.encode("latin-1").decode("utf-8", "replace")


def ordered(pairs: Iterable[tuple[str, str | None]]) -> Pairs:
    # Sorting is stable: values of one name keep their order.
    return tuple(sorted(pairs, key=itemgetter(0)))


def meaning(request: Request) -> tuple[str, Any]:
    """Return the kind of the content and its meaning: a JSON value, Pairs, parts, or bytes."""
    content = request.coded_content
    codings = codings_of(request.head.fields)
    if codings:
        undone = decoded(content, codings)
        content = undone[0] if undone is not None and undone[1] else content
    declared = ",".join(request.values("content-type"))
    media_type = declared.partition(";")[0].strip(" \t").lower()
    # JSON is often sent without a type, or with that of a form (urllib's default): its first character decides.
    if media_type.endswith(("/json", "+json")) or content.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        value = parsed_json(content)
        if value is not _NOT_JSON:
            return "JSON", value
    if media_type == "application/x-www-form-urlencoded":
        return "form", pairs_of(content.decode("latin-1"))
    if media_type.startswith("multipart/"):
        parts = parts_of(content, declared)
        if parts is not None:
            return "multipart", parts
    return "octets", content


_NOT_JSON = object()
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPENING = b"[{"
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parsed_json(content: bytes) -> Any:
    if _is_deep(content):
        return _NOT_JSON
    try:
        return json.loads(content, parse_float=_number)
    except (ValueError, RecursionError):  # also for invalid Unicode, or a number with thousands of digits
        return _NOT_JSON


def _number(spelled: str) -> int | float:
    """Read a JSON number that has a fraction or an exponent; 1.0 is 1."""
    value = float(spelled)
    return int(value) if value.is_integer() else value


def _is_deep(content: bytes) -> bool:
    if content.count(b"[") + content.count(b"{") <= MAX_JSON_DEPTH:
        return False
    depth = deepest = 0
    for bracket in _JSON_STRING.sub(b"", content).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if bracket in _OPENING else -1
        deepest = max(deepest, depth)
    return deepest > MAX_JSON_DEPTH


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def parts_of(content: bytes, content_type: str) -> tuple[Part, ...] | None:
    """Split a multipart into its parts (RFC 2046 section 5.1.1); None if it is not well-formed.

    Lines may end in LF alone, as those of Python's email package do. A Content-ID is left out, as it is new each time
    (RFC 2045 section 7).
    """
    found = BOUNDARY.search(content_type)
    if found is None:
        return None
    boundary = b"--" + found[1].strip('" \t').encode("latin-1")
    line_end = b"\r\n" if boundary + b"\r\n" in content else b"\n"
    # The first delimiter may lack the line end before it; a preamble means nothing.
    sections = (line_end + content).split(line_end + boundary)
    if len(sections) < 2 or not sections[-1].startswith(b"--"):
        return None
    parts = []
    for section in sections[1:-1]:
        _, _, inner = section.partition(line_end)
        head, _, part = (line_end + inner).partition(line_end * 2)
        lines = (line.partition(":") for line in head.decode("latin-1").split(line_end.decode()) if line)
        fields = ((name.lower(), value.strip(" \t")) for name, _, value in lines)
        parts.append((ordered(one for one in fields if one[0] != "content-id"), part))
    return tuple(parts)


def joined(parts: Iterable[Part], content_type: str) -> bytes:
    """Join parts into a multipart again."""
    found = BOUNDARY.search(content_type)
    assert found is not None, "parts came out of a multipart with this type"
    delimiter = b"--" + found[1].strip('" \t').encode("latin-1")
    sections = []
    for fields, content in parts:
        head = "".join([f"{name}: {value}\r\n" for name, value in fields]).encode("latin-1")
        sections.append(b"%b\r\n%b\r\n%b\r\n" % (delimiter, head, content))
    return b"".join(sections) + delimiter + b"--\r\n"


_PART_NAME = re.compile(r"[; \t]name=(?:\"([^\"]*)\"|([^;\s]*))", re.IGNORECASE)


def part_name(part: Part) -> str | None:
    """The name of a part of a multipart form (RFC 7578 section 4.2)."""
    for field, value in part[0]:
        found = _PART_NAME.search(value or "") if field == "content-disposition" else None
        if found is not None:
            return found[1] or found[2]
    return None
