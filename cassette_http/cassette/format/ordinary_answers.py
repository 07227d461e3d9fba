"""Reads ordinary answers as octets: responses with a body of text or JSON, sent in the usual way (pure).

The general path (`canonical`, `reading`) has the same result, but takes twice as long.
"""

from __future__ import annotations

from cassette_http.cassette.format import codings, json_layout
from cassette_http.cassette.format.body_forms import LONGEST_LAID_OUT
from cassette_http.cassette.format.scalars import is_safe_utf8
from cassette_http.wire.chunking import Chunked, enchunk
from cassette_http.wire.patterns import to_pattern

# A literal block after its first indentation; it does not end in a space.
BLOCK = rb"[!-~][^\n]*+(?:\n  [^\n]*+)*+(?<! )"
JSON_FORMS = {form.encode(): form for form in (json_layout.COMPACT, json_layout.SPACED)}
# How a body was sent: in a few chunks, coded with gzip, and as JSON on one line.
_WIRE = rb"wire: \{%b%b(?:body: (%b))?\}\n" % (
    rb"(?:chunks: \[([1-9][0-9]{,6}+(?:, [1-9][0-9]{,6}+){,15}+)\](?:, |(?=\})))?",
    rb"(?:coding: (gzip [0-9])(?:, |(?=\})))?",
    b"|".join(JSON_FORMS),
)
# Status and fields, then perhaps a body, then perhaps how it was sent.
ANSWER = to_pattern(
    rb"response: ([0-9]{3}(?: [A-Z][A-Za-z]*+)++)\n"
    rb"response headers: \|\n  (%b)\n"
    rb"(?:response body: \|(-?)\n  (%b)\n(?:%b)?)?\Z" % (BLOCK, BLOCK, _WIRE)
)
LINE_END = ord("\n")  # Python finds numbers faster than octets


def read_ordinary_answer(octets: bytes) -> bytes | None:
    """Read the part of a document with an answer of one piece, after which the peer waited.

    None if the answer is different, or is written in another way.
    """
    found = ANSWER.match(octets)
    if found is None or not is_safe_utf8(octets):
        return None
    status, fields, chomping, body, chunks, coding, form = found.groups(b"")
    if not fields.isascii():
        return None  # fields are Latin-1
    if form and len(body) > LONGEST_LAID_OUT:
        return None
    if form:
        body = json_layout.undo(body, JSON_FORMS[form])
        if LINE_END in body:
            return None  # a line end inside a string, which would have lost its indentation
    else:
        body = body.replace(b"\n  ", b"\n")
    if body and not chomping:
        body += b"\n"
    if coding:
        try:
            body = codings.redo(coding.decode(), body)
        except ValueError:
            return None
        if not (chunks or _states_length(fields, len(body))):
            return None
    if chunks:
        sizes = tuple(map(int, chunks.split(b", ")))
        if sum(sizes) != len(body):
            return None  # it was edited
        body = enchunk(Chunked(body, sizes))
    return b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, fields.replace(b"\n  ", b"\r\n"), body)


def _states_length(fields: bytes, length: int) -> bool:
    """Tell whether the fields state this length for the body; other releases of a compressor give another one."""
    lower = fields.lower() + b"\n"
    return lower.count(b"content-length") == 1 and lower.find(b"content-length: %d\n" % length) >= 0
