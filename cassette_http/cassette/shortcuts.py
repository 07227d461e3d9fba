"""The short way from the octets of an ordinary request to those of its answer (pure).

A request that is sent as it was recorded is written as it was written then: what its document begins with can be
compared as octets, and neither of them has to be parsed. Most answers are read in the same spirit. Whatever is not
ordinary gives None, and goes the long way (`writing`, `reading`), which would have given the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from cassette_http.cassette import json_layout
from cassette_http.cassette.model import Origin, Piece, Track
from cassette_http.cassette.reading import load_track
from cassette_http.cassette.scalars import SAFE_ASCII
from cassette_http.cassette.writing import fields_block, origin_text
from cassette_http.cassette.yaml_format import Document
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.head import parse_fields
from cassette_http.wire.messages import field_values

__all__ = ["WrittenRequest", "read_answer", "written_request"]

# A target that says origin, path and query in the canonical way (`REQUEST` in `yaml_format`).
REQUEST_LINE = re.compile(rb"((?:GET|HEAD|DELETE|OPTIONS) )(/[!->@-~]*)((?:\?[!-~]*)?) HTTP/1\.1\r\n")
ORDINARY_ORIGIN = re.compile("[a-z0-9.:/\\[\\]_-]+")
# Fields that give a request a body, or that let the peer speak before there is one.
UNUSUAL_FIELDS = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})
LONGEST_FIELDS_OCTETS = 4096

REQUEST_FIELDS = re.compile(rb"request headers: \|\n(?=  [!-~])")
# Status and fields, then perhaps a body, then perhaps that the body is JSON that was on one line.
STATUS = re.compile(rb"response: ([0-9]{3}(?: [A-Z][A-Za-z]*)+)\nresponse headers: \|\n(?=  [!-~])")
BODY = re.compile(rb"\nresponse body: \|(-?)\n(?=  [!-~])")
JSON_FORMS = {b"wire: {body: %b}\n" % form.encode(): form for form in (json_layout.COMPACT, json_layout.SPACED)}
LONGEST_WIRE_LINE = max(map(len, JSON_FORMS))


class WrittenRequest(NamedTuple):
    """What the document of a request begins with; `first_line` has its end, `line` is `Document.request_line`."""

    line: bytes
    first_line: bytes
    beginning: bytes


def written_request(origin: Origin, octets: bytes) -> WrittenRequest | None:
    """Write a request of no body that was sent to `origin` itself; None if it is unusual, or not complete."""
    found = REQUEST_LINE.match(octets)
    if found is None:
        return None
    method, path, query = found.groups()
    fields, prefix = _ordinary_fields(octets[found.end() :]), _ordinary_origin(origin)
    if fields is None or prefix is None or b"://" in path or (query or path).endswith(b":"):
        return None
    line = method + prefix + path
    first_line = b"request: %b%b\n" % (line, query)
    return WrittenRequest(line, first_line, first_line + fields)


@lru_cache(maxsize=256)
def _ordinary_origin(origin: Origin) -> bytes | None:
    """Write the beginning of a URL, if the origin can be read from it."""
    written = origin_text(origin)
    return written.encode() if written == str(origin) and ORDINARY_ORIGIN.fullmatch(written) else None


@lru_cache(maxsize=256)
def _ordinary_fields(section: bytes) -> bytes | None:
    """Write a field section; most requests of a session have the same one."""
    if len(section) > LONGEST_FIELDS_OCTETS or (b"\r\n" + section).find(b"\r\n\r\n") != len(section) - 2:
        return None
    fields, defects = parse_fields(section)
    if defects or not fields or not UNUSUAL_FIELDS.isdisjoint([name.lower() for name, _ in fields]):
        return None
    if not is_persistent("HTTP/1.1", fields) or "upgrade" in ",".join(field_values(fields, "connection")).lower():
        return None
    return fields_block(section.decode("latin-1"))


def read_answer(document: Document, beginning: bytes) -> Track | None:
    """Read the track of an interaction whose request was written as `beginning`; None if it is another one.

    If that is a `first_line`, the request may have any fields, and has no body.
    """
    data, start, end, _ = document
    if not data.startswith(beginning, start, end):
        return None
    at = start + len(beginning)
    if beginning.count(b"\n") == 1 and (fields := REQUEST_FIELDS.match(data, at, end)) is not None:
        at = data.find(b"\nresponse", at, end) + 1
        section = data[fields.end() : at]
        if _unindented(section, 0, len(section)) is None or section.translate(None, SAFE_ASCII):
            return None
    octets = data[at:end]
    return _ordinary_answer(octets) or load_track(octets)


def _ordinary_answer(octets: bytes) -> Track | None:
    """Read an answer of one piece, whose body is text that was sent as it is, or JSON."""
    status = STATUS.match(octets)
    if status is None or octets.translate(None, SAFE_ASCII) or b"\n  \n" in octets or octets[-1] != 0x0A:
        return None
    body_start = BODY.search(octets, status.end())
    fields = _unindented(octets, status.end(), len(octets) if body_start is None else body_start.start() + 1)
    if fields is None:
        return None
    head = b"HTTP/1.1 %b\r\n%b\r\n\r\n" % (status[1], fields.replace(b"\n", b"\r\n"))
    if body_start is None:
        return Track((Piece(head),))
    last_line = octets.rfind(b"\n", -LONGEST_WIRE_LINE - 1, -1) + 1
    form = JSON_FORMS.get(octets[last_line:])
    body = _unindented(octets, body_start.end(), len(octets) if form is None else last_line)
    if body is None:
        return None
    if not body_start[1]:
        body += b"\n"
    if form is not None:
        body = json_layout.undo(body.decode("ascii"), form).encode("ascii")
    return Track((Piece(head + body),))


def _unindented(octets: bytes, start: int, stop: int) -> bytes | None:
    """The lines of a literal block without their indentation and the last line end; None if one has none."""
    block = octets[start : stop - 1]
    lines = block.count(b"\n")
    text = block[2:].replace(b"\n  ", b"\n")
    return text if len(block) - len(text) == 2 * (lines + 1) else None
