"""Start lines and field sections (RFC 9112 sections 2 to 5): from octets to heads, and back.

Reading is as tolerant as http.client: LF alone ends a line, folded lines are unfolded, and a field line that
cannot be understood is left out without an effect on others. Limits are checked where the octets are collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.grammar import (
    FIELD_LINE,
    FIELD_NAME,
    FRAMING_LINE,
    ORDINARY_SECTION,
    OWS,
    REQUEST_LINE,
    STATUS_LINE,
)
from cassette_http.wire.messages import Fields, RequestHead, ResponseHead

FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding"})


def parse_request_head(octets: bytes) -> RequestHead:
    """Parse a head from its request line to its empty line.

    Empty lines before it are passed over (RFC 9112 section 2.2). Raises MalformedMessage if the first line is
    no request line; malformed field lines are left out.
    """
    line, _, section = octets.lstrip(b"\r\n").partition(b"\n")
    method, target, version = parse_request_line(line)
    fields, _ = parse_fields(section)
    return RequestHead(method, target, version, tuple(fields))


def parse_response_head(octets: bytes) -> ResponseHead:
    """Parse a head from its status line to its empty line.

    Raises MalformedMessage if the first line is no status line; malformed field lines are left out.
    """
    line, _, section = octets.partition(b"\n")
    version, status, reason = parse_status_line(line)
    fields, defects = parse_fields(section)
    return ResponseHead(version, status, reason, tuple(fields), tuple(defects))


def outline_response_head(octets: bytes) -> tuple[int, Fields, bool]:
    """Parse only the parts of a response head that decide where the response ends: its status and framing fields.

    The third value is True if a field line has defects. The results and errors are those of `parse_response_head`, in a
    third of the time.
    """
    line, _, section = octets.partition(b"\n")
    status = _status(line)
    text = section.decode("latin-1")
    if ORDINARY_SECTION.fullmatch(text):
        return status, tuple([(name, value.rstrip(OWS)) for name, value in FRAMING_LINE.findall(text)]), False
    fields, defects = parse_fields(section)
    return status, tuple([field for field in fields if field[0].lower() in FRAMING_FIELDS]), bool(defects)


@lru_cache(maxsize=64)
def _status(line: bytes) -> int:
    """The status in a status line; cached, as servers repeat theirs. Raises MalformedMessage if it is none."""
    return parse_status_line(line)[1]


def parse_request_line(line: bytes) -> tuple[str, str, str]:
    """Split a request line, with or without its line end, into method, target and version.

    Raises MalformedMessage if it is none.
    """
    match = REQUEST_LINE.fullmatch(_without_line_end(line.decode("latin-1")))
    if match is None:
        raise MalformedMessage("not a request line", line)
    method, target, version = match.groups()
    return method, _without_controls(target), version


def parse_status_line(line: bytes) -> tuple[str, int, str]:
    """Split a status line, with or without its line end, into version, status and reason (perhaps empty).

    Raises MalformedMessage if it is none.
    """
    match = STATUS_LINE.fullmatch(_without_line_end(line.decode("latin-1")))
    if match is None:
        raise MalformedMessage("not a status line", line)
    version, status, reason = match.groups("")
    return version, int(status), _without_controls(reason).strip(OWS)


def parse_fields(section: bytes) -> tuple[list[tuple[str, str]], list[str]]:
    """Parse a field section, with or without its empty line, into names with values, and defects.

    Names and values are Latin-1, in the order, case and number sent; OWS around a value is removed. A fold becomes one
    SP, as do bare CR and NUL in a value. A line without a usable name is left out. Every change except unfolding is
    described in the defects. Never raises.
    """
    text = section.decode("latin-1")
    fields: list[tuple[str, str]] = FIELD_LINE.findall(text)
    field_lines = text.count("\n")
    if text.endswith("\n\r\n") or text == "\r\n":
        field_lines -= 1
    if field_lines != len(fields) or (text and text[-1] != "\n"):
        return _parse_unusual_fields(text)
    if " \r\n" in text or "\t\r\n" in text:
        fields = [(name, value.rstrip(OWS)) for name, value in fields]
    return fields, []


def _parse_unusual_fields(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Do what `parse_fields` does for any text, one line at a time."""
    found: list[tuple[str, list[str]]] = []
    defects: list[str] = []
    folds: list[str] | None = None  # the parts of the value that a folded line is added to
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line:
            break
        if line[0] in OWS:
            if folds is None:
                defects.append(_left_out(number, "folded line without a field before it", line))
            else:
                folds.append(line.strip(OWS))
            continue
        name, colon, value = line.partition(":")
        if colon and FIELD_NAME.fullmatch(name):
            folds = [value.strip(OWS)]
            found.append((name, folds))
            continue
        # The folds of a line that is left out must not be added to the field before it.
        folds = []
        defects.append(_left_out(number, "no valid field name" if colon else "no colon", line))

    fields = []
    for name, parts in found:
        value = " ".join(parts)
        cleaned = _without_controls(value)
        if cleaned != value:
            defects.append(f"bare CR or NUL in the value of {name}")
        fields.append((name, cleaned.strip(OWS)))
    return fields, defects


def serialise_request_head(head: RequestHead) -> bytes:
    """Write a head, with its empty line. Raises ValueError if a part of it would break its line."""
    return _serialise(f"{head.method} {head.target} {head.version}", head.fields)


def serialise_response_head(head: ResponseHead) -> bytes:
    """Write a head, with its empty line. Raises ValueError if a part of it would break its line."""
    return _serialise(f"{head.version} {head.status:03} {head.reason}", head.fields)


def serialise_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Write field lines, without an empty line. Raises ValueError if a field would break its line."""
    return "".join([_checked(f"{name}: {value}") for name, value in fields]).encode("latin-1")


def _serialise(start_line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    return _checked(start_line).encode("latin-1") + serialise_fields(fields) + b"\r\n"


def _checked(line: str) -> str:
    """The line with its line end; a line end within it would let one field pass for two."""
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError(f"CR, LF or NUL within a line: {line!r}")
    return line + "\r\n"


def _without_line_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _without_controls(text: str) -> str:
    """Replace what could be taken for the end of a line or a string (RFC 9112 section 2.2, 9110 section 5.5)."""
    return text.replace("\r", " ").replace("\0", " ")


def _left_out(number: int, reason: str, line: str) -> str:
    shown = line if len(line) <= 40 else line[:40] + "..."
    return f"line {number} left out, {reason}: {shown!r}"
