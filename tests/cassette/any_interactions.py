"""Interactions of every kind, for tests of the cassette format with generated examples."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace

from hypothesis import strategies as st

from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.wire.chunking import chunk, last_chunk

ORIGIN = Origin("https", "api.example.com", 443)
REQUEST_HEAD = b"GET /users?x=1 HTTP/1.1\r\nHost: api.example.com\r\nAccept: */*\r\n\r\n"

ODD_CHARACTERS = "\0\x07\x1b\x7f\x80\x85\xa0\u2028\u2029\ud7ff\ufeff\ufffe\uffff\U0001f600\t\r\n -:#|>'\"{}[]!&*%@`\\"


def rounded(recorded: Interaction) -> Interaction:
    track = recorded.track
    pieces = tuple(replace(piece, at=round(piece.at, 3)) for piece in track.pieces)
    if len(pieces) == 1 and pieces[0].at < 0.1 and track.failure is None:
        pieces = (replace(pieces[0], at=0.0),)
    failure = track.failure and replace(track.failure, at=round(track.failure.at, 3))
    return replace(recorded, track=replace(track, pieces=pieces, failure=failure))


field_octets = st.binary(max_size=12) | st.sampled_from(
    [
        b"A: b",
        b"X-Empty:",
        b" folded",
        b"Content-Encoding: gzip",
        b"Transfer-Encoding: chunked",
        b"---",
        b"...",
        b"",
    ]
    + [
        b"Content-Type: text/plain; charset=iso-8859-1",
        b"Content-Length: 5",
        b"N: \xc3\xa9",
        b"T:\ttab",
        b"\tt: x",
    ]
)
line_ends = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n"])
counts = st.sampled_from([0, 0, 0, 2])
field_sections = st.lists(st.tuples(field_octets, line_ends), max_size=4).map(
    lambda lines: b"".join([field + end for field, end in lines])
)
request_lines = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a:b?c#d HTTP/1.0",
        b"CONNECT h:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET  / HTTP/1.1",
    ]
    + [
        b"GET http://other.test/p HTTP/1.1",
        b"G: /: HTTP/1.1",
        b"get /\xe9 HTTP/1.1",
        b"GET ?q HTTP/1.1",
        b"",
        b"GET /a: HTTP/1.1",
    ]
) | st.binary(max_size=20)
status_lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 404 ",
        b"HTTP/1.1 204",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching Protocols",
    ]
    + [b"HTTP/1.1 500 a: b #c", b"HTTP/1.1 200  x", b"HTTP/1.1 200 \xe9", b"ICY 200 OK", b"HTTP/1.1 200 1"]
) | st.binary(max_size=20)
texts = st.text(max_size=60) | st.text(ODD_CHARACTERS, max_size=20) | st.text(" \n\ta-", max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=8), inner, max_size=8),
    max_leaves=60,
)
json_bodies = st.builds(
    lambda value, separators, end: json.dumps(value, ensure_ascii=False, separators=separators).encode() + end,
    json_values,
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", ":")]),
    st.sampled_from([b"", b"\n", b"\n\n", b" "]),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    content = draw(st.binary(max_size=60) | texts.map(lambda text: text.encode()) | json_bodies)
    match draw(st.integers(0, 5)):
        case 0:
            content = gzip.compress(content, mtime=draw(st.sampled_from([0, 1_700_000_000])))
        case 1:
            content = zlib.compress(content, draw(st.integers(0, 9)))
        case 2:
            content = content.replace(b"\n", b"\r\n")
    if draw(st.booleans()):
        size = draw(st.integers(1, 40))
        parts = [content[at : at + size] for at in range(0, len(content), size)]
        trailers = draw(st.sampled_from([(), (("T", "1"),), (("T", ""), ("U", " x "))]))
        content = b"".join(map(chunk, parts)) + last_chunk(trailers)
    return content[: draw(st.sampled_from([None, None, None, 10]))]


@st.composite
def interactions(draw: st.DrawFn) -> Interaction:
    origin = draw(
        st.sampled_from([ORIGIN, Origin("http", "::1", 8080), Origin("http", "we ird\n", 80), Origin("https", "h", 80)])
    )
    via = draw(st.sampled_from([None, None, Origin("http", "proxy", 3128)]))
    failure = draw(
        st.none()
        | st.builds(
            Failure,
            st.sampled_from(FailureKind),
            st.floats(0, 100),
            st.sampled_from([None, "ECONNRESET", "true"]),
            st.none() | texts,
            st.dictionaries(
                st.text(max_size=5),
                st.none() | st.integers(-5, 5) | st.floats(allow_nan=False) | texts,
                max_size=2,
            ),
        )
    )
    repeat = draw(st.sampled_from([None, None, "last", "cycle"]))
    if failure is not None and draw(st.booleans()):
        return Interaction(origin, None, Track((), failure), via, repeat)
    head = draw(request_lines) + b"\r\n" + draw(field_sections) + b"\r\n"
    octets = b""
    for _ in range(draw(st.integers(0, 3))):
        octets += draw(status_lines) + draw(line_ends) + draw(field_sections) + b"\r\n"
    octets += draw(bodies()) if octets else draw(st.just(b"") | st.binary(max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=6))) if octets else []
    pieces = [
        Piece(octets[start:end], draw(st.floats(0, 9)), draw(st.sampled_from([None, None, 0, 7])), draw(counts))
        for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)
        if octets
    ]
    track = Track(tuple(pieces), failure, draw(st.booleans()), draw(st.booleans()), draw(st.booleans()))
    return Interaction(origin, Request(origin, head, draw(bodies()), via), track, via, repeat)
