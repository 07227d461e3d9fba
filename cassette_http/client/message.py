"""Field sections as `HTTPMessage` objects: reads their lines, and builds the message."""

from __future__ import annotations

from email.errors import InvalidHeaderDefect
from http.client import HTTPException, HTTPMessage, LineTooLong
from typing import Protocol, TypeVar, overload

from cassette_http.client.constants import max_fields
from cassette_http.wire.grammar import MAX_LINE_OCTETS
from cassette_http.wire.head import parse_fields

MessageT = TypeVar("MessageT", bound=HTTPMessage)


class LineSource(Protocol):
    """What lines can be read from."""

    def readline(self, limit: int, /) -> bytes: ...


@overload
def parse_headers(fp: LineSource) -> HTTPMessage: ...
@overload
def parse_headers(fp: LineSource, _class: type[MessageT]) -> MessageT: ...
def parse_headers(fp: LineSource, _class: type[HTTPMessage] = HTTPMessage) -> HTTPMessage:
    """Read the field lines from `fp`, which is positioned after the start line, and leave it at the content.

    Raises LineTooLong, and HTTPException if there are more fields than the limit.
    """
    return build_message(read_field_section(fp), _class)


def read_field_section(fp: LineSource, limit: int | None = None) -> bytes:
    """Read all lines up to and including the empty one, joined; see `read_field_lines`."""
    return b"".join(read_field_lines(fp, limit))


def read_field_lines(fp: LineSource, limit: int | None = None) -> list[bytes]:
    """Read all lines up to and including the empty one; the end of the stream also ends the section.

    `limit` is the number of lines, without the empty one; None means the limit of the package.
    """
    limit = max_fields(limit)
    lines: list[bytes] = []
    while True:
        line = read_line(fp, "header line")
        is_last = line in (b"\r\n", b"\n", b"")
        if len(lines) >= limit and not is_last:
            raise HTTPException(f"got more than {limit} headers")
        lines.append(line)
        if is_last:
            return lines


def read_line(fp: LineSource, what: str) -> bytes:
    """Read one line with its line end; raises LineTooLong(what) if it is longer than 64 KiB."""
    line = fp.readline(MAX_LINE_OCTETS + 1)
    if len(line) > MAX_LINE_OCTETS:
        raise LineTooLong(what)
    return line


def build_message(section: bytes, kind: type[MessageT] = HTTPMessage) -> MessageT:  # type: ignore[assignment]  # a default
    """Make a message without content from a field section; what is wrong with it goes into its `defects`."""
    fields, defects = parse_fields(section)
    message = kind()
    for name, value in fields:
        message.set_raw(name, value)
    message.set_payload("")
    message.defects.extend(InvalidHeaderDefect(defect) for defect in defects)
    return message
