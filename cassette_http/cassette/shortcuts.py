"""The fast path from the octets of an ordinary request to those of its answer (pure).

A request that is sent again as it was recorded is written in the same way: the beginning of its document can be
compared as octets, and nothing has to be parsed. Most answers are read in a similar way. Anything that is not ordinary
gives None, and takes the general path (`writing`, `reading`), which has the same result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from cassette_http.cassette.format.canonical import TIMESTAMP
from cassette_http.cassette.format.ordinary_answers import BLOCK, read_ordinary_answer
from cassette_http.cassette.format.reading import load_track
from cassette_http.cassette.format.scalars import SAFE_ASCII
from cassette_http.cassette.format.writing import dump_request, fields_block, origin_text
from cassette_http.cassette.format.yaml_format import Document
from cassette_http.cassette.model import Origin, Piece, Request, Track
from cassette_http.wire.head import parse_fields
from cassette_http.wire.messages import field_values
from cassette_http.wire.patterns import to_pattern

# A target with path and query in the canonical form (`REQUEST` in `yaml_format`).
REQUEST_LINE = to_pattern(rb"((?:GET|HEAD|DELETE|OPTIONS) )(/[!->@-~]*+)((?:\?[!-~]*+)?)(?<!:) HTTP/1\.1\r\n")
ORDINARY_ORIGIN = to_pattern("[a-z0-9.:/\\[\\]_-]+")
# Fields that give a request a body, or that let the peer answer before the body is complete.
UNUSUAL_FIELDS = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})
LONGEST_FIELDS_OCTETS = 4096
LONGEST_BODY_OCTETS = 1 << 16

REQUEST_FIELDS = to_pattern(rb"request headers: \|\n  %b\n" % BLOCK)
# Text as we write it without quotes: after a colon comes no space, and after a space neither a space nor "#".
_WORDS = rb"[A-Za-z](?:[!-9;-~]|:(?=[!-~])| (?=[!\"$-~]))*+"
PLAIN_HEADER = to_pattern(
    rb"cassette: 1\n(?:recorded: %b\n)?(?:by: %b\n)?(?:test: %b\n)?" % (TIMESTAMP.pattern.encode(), _WORDS, _WORDS)
)


# What a peer sent, if it was one piece and the peer then waited for the next request; else a track.
Answer: TypeAlias = bytes | Track


class WrittenRequest(NamedTuple):
    """The beginning of a request's document; `first_line` includes its line end, `line` is `Document.request_line`."""

    line: bytes
    first_line: bytes
    beginning: bytes


def is_plain_header(octets: bytes) -> bool:
    """Tell whether a document is a valid header in its usual form."""
    return PLAIN_HEADER.fullmatch(octets) is not None


def is_ordinary_request(octets: bytes) -> bool:
    """Tell whether octets are a complete request without a body, whose client then only waits for the response."""
    found = REQUEST_LINE.match(octets)
    return found is not None and _ordinary_fields(octets[found.end() :]) is not None


def written_request(origin: Origin, octets: bytes) -> WrittenRequest | None:
    """Write a request without a body that was sent to `origin` itself; None if it is unusual or incomplete."""
    found = REQUEST_LINE.match(octets)
    if found is None:
        return None
    method, path, query = found.groups()
    fields, prefix = _ordinary_fields(octets[found.end() :]), _ordinary_origin(origin)
    if fields is None or prefix is None:
        return None
    line = method + prefix + path
    first_line = b"request: %b%b\n" % (line, query)
    return WrittenRequest(line, first_line, first_line + fields)


@lru_cache(maxsize=256)
def _ordinary_origin(origin: Origin) -> bytes | None:
    """Write the beginning of a URL; None if the origin could not be read back from it."""
    written = origin_text(origin)
    return written.encode() if written == str(origin) and ORDINARY_ORIGIN.fullmatch(written) else None


@lru_cache(maxsize=256)
def _ordinary_fields(section: bytes) -> bytes | None:
    """Write a field section; cached, as most requests of a session have the same one."""
    if len(section) > LONGEST_FIELDS_OCTETS or (b"\r\n" + section).find(b"\r\n\r\n") != len(section) - 2:
        return None
    fields, defects = parse_fields(section)
    if defects or not fields or not UNUSUAL_FIELDS.isdisjoint([name.lower() for name, _ in fields]):
        return None
    if "upgrade" in ",".join(field_values(fields, "connection")).lower():
        return None
    return fields_block(section.decode("latin-1"))


def written_beginning(request: Request) -> bytes | None:
    """Write the beginning of the document of any request; None if that takes long, or gives only one line."""
    if len(request.body_octets) > LONGEST_BODY_OCTETS:
        return None
    beginning = dump_request(request)
    return beginning if beginning.count(b"\n") > 1 else None


def read_answer(document: Document, beginning: bytes, first_line: bytes | None = None) -> Answer | None:
    """Read the answer of an interaction whose request was written as `beginning`; None if it has another request.

    With a `first_line`, the request may have other fields, and has no body.
    """
    data, start, end, _ = document
    if data.startswith(beginning, start, end):
        at = start + len(beginning)
    elif first_line is not None and data.startswith(first_line, start, end):
        at = start + len(first_line)
        fields = REQUEST_FIELDS.match(data, at, end)
        if fields is not None:
            if fields[0].translate(None, SAFE_ASCII):
                return None
            at = fields.end()
    else:
        return None
    octets = data[at:end]
    return read_ordinary_answer(octets) or load_track(octets)


def track_of(answer: Answer) -> Track:
    return Track((Piece(answer),)) if isinstance(answer, bytes) else answer
