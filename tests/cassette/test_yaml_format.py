"""The cassette file format, one document at a time: exact, readable, and safe to load."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cassette_http.cassette.decoding import library_for
from cassette_http.cassette.format import body_forms
from cassette_http.cassette.format.canonical import read_canonical
from cassette_http.cassette.format.json_layout import lay_out, undo
from cassette_http.cassette.format.reading import _build
from cassette_http.cassette.format.yaml_format import dump_header, dump_interaction, dump_tls, load_document, scan
from cassette_http.cassette.format.yaml_reading import UnreadableYAML, read_mapping
from cassette_http.cassette.model import (
    Failure,
    FailureKind,
    Header,
    Interaction,
    Origin,
    Piece,
    Request,
    TLSFacts,
    Track,
)
from cassette_http.errors import CassetteFormatError
from cassette_http.wire.chunking import Chunked, chunk, enchunk, last_chunk
from tests.cassette.any_interactions import (
    ODD_CHARACTERS,
    ORIGIN,
    REQUEST_HEAD,
    interactions,
    json_bodies,
    rounded,
    texts,
)


def interaction(
    *pieces: bytes,
    head: bytes = REQUEST_HEAD,
    body: bytes = b"",
    origin: Origin = ORIGIN,
    via: Origin | None = None,
    failure: Failure | None = None,
    ended: bool = False,
) -> Interaction:
    track = Track(tuple(map(Piece, pieces)), failure, ended)
    return Interaction(origin, Request(origin, head, body, via), track, via)


def response(body: bytes, fields: bytes = b"") -> Interaction:
    return interaction(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body)


def text_of(recorded: Interaction) -> str:
    return dump_interaction(recorded).decode()


def check(recorded: Interaction) -> str:
    """Dump and load; compare the octets, and what four readers make of the text. Return the text."""
    written = dump_interaction(recorded)
    assert written.endswith(b"\n")
    assert b"\n---" not in written
    assert not written.startswith(b"---")
    values = read_canonical(written)
    assert values is not None, written
    mapping = read_mapping(written)
    assert mapping is not None
    assert mapping.values == values
    for loader in {yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}:
        assert yaml.load(written, loader) == values
    loaded = load_document(written, "x.yaml", 1)
    assert isinstance(loaded, Interaction)
    assert loaded == rounded(recorded)
    assert dump_interaction(loaded) == written
    return written.decode()


# --- any octets ---


@given(interactions())
@example(
    Interaction(
        ORIGIN,
        Request(ORIGIN, REQUEST_HEAD),
        Track((Piece(b"HTTP/1.1 200 OK\r\n\r\n", 0.0625),), Failure(FailureKind.RESET, at=1.0)),
    )
)
def test_any_interaction_comes_back_octet_for_octet(recorded: Interaction) -> None:
    check(recorded)


@given(
    st.lists(st.sampled_from(["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n", "1", '"a"', '"b":', "null"])),
    json_bodies,
)
def test_layout_of_anything_can_be_undone(parts: list[str], body: bytes) -> None:
    text = body.decode()
    middle = len(text) // 2
    for candidate in (text, text[:middle] + "".join(parts) + text[middle:], "[" + "".join(parts) + "1" * 100):
        laid_out = lay_out(candidate)
        assert laid_out is None or undo(laid_out[0].encode(), laid_out[1]) == candidate.encode()


@given(texts, st.sampled_from([b"", b"Content-Type: application/json\r\n"]))
def test_any_text_comes_back_as_body(text: str, fields: bytes) -> None:
    check(response(text.encode(), fields))


@given(interactions(), st.data())
def test_the_strict_reader_takes_nothing_that_pyyaml_reads_in_another_way(
    recorded: Interaction, data: st.DataObject
) -> None:
    written = dump_interaction(recorded).decode()
    at = data.draw(st.integers(0, len(written)))
    cut = data.draw(st.integers(0, 3))
    inserted = data.draw(st.text(ODD_CHARACTERS + "aA1", max_size=3))
    changed = (written[:at] + inserted + written[at + cut :]).encode()
    strict = read_canonical(changed)
    if strict is not None:
        mapping = read_mapping(changed)
        assert mapping is not None
        assert mapping.values == strict
        assert list(mapping.values) == list(strict)


@given(interactions(), st.data())
def test_a_damaged_document_loads_or_gives_one_clear_error(recorded: Interaction, data: st.DataObject) -> None:
    written = bytearray(dump_interaction(recorded))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(written) - 1))
        written[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    refusals = []
    try:
        load_document(bytes(written), "x.yaml", 1)
    except CassetteFormatError as error:
        refusals.append(str(error))
    assert all(text.startswith("x.yaml, line ") for text in refusals)


# --- what a document looks like ---


def test_an_ordinary_interaction_reads_like_the_conversation() -> None:
    recorded = interaction(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n",
        b'{"id": 7, "name": "Alice"}\n',
        head=b"POST /login?next=%2F HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 7\r\n\r\n",
        body=b'{"a":1}',
    )
    assert check(recorded) == (
        "request: POST https://api.example.com/login?next=%2F\n"
        "request headers: |\n"
        "  Host: api.example.com\n"
        "  Content-Length: 7\n"
        "request body: |-\n"
        '  {"a":1}\n'
        "response: 200 OK\n"
        "response headers: |\n"
        "  Content-Type: application/json\n"
        "  Content-Length: 27\n"
        "response body: |\n"
        '  {"id": 7, "name": "Alice"}\n'
        "wire: {pieces: [71, 27]}\n"
    )


def test_a_compressed_chunked_answer_is_shown_as_what_it_means() -> None:
    value = {"items": [{"id": number, "label": f"thing number {number}", "ok": True} for number in range(3)]}
    coded = gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 9, mtime=0)
    fields = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    head = b"HTTP/1.0 200 OK\r\n" + fields + b"\r\n"
    body = chunk(coded[:50]) + chunk(coded[50:]) + last_chunk([("Checksum", "1"), ("X", "")])
    track = Track((Piece(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, 0), Piece(head + body, 0.2104)), None, True)
    recorded = Interaction(ORIGIN, Request(ORIGIN, REQUEST_HEAD), track, repeat="last")
    assert check(recorded) == (
        "request: GET https://api.example.com/users?x=1\n"
        "request headers: |\n"
        "  Host: api.example.com\n"
        "  Accept: */*\n"
        "interim:\n"
        "- |\n"
        "  HTTP/1.1 100 Continue\n"
        "response: 200 OK\n"
        "response headers: |\n"
        "  Content-Type: application/json\n"
        "  Content-Encoding: gzip\n"
        "  Transfer-Encoding: chunked\n"
        "response body: |-\n"
        "  {\n"
        '    "items": [\n'
        '      {"id": 0, "label": "thing number 0", "ok": true},\n'
        '      {"id": 1, "label": "thing number 1", "ok": true},\n'
        '      {"id": 2, "label": "thing number 2", "ok": true}\n'
        "    ]\n"
        "  }\n"
        "response trailers: |\n"
        "  Checksum: 1\n"
        "  X: \n"
        "repeat: last\n"
        f"wire: {{version: HTTP/1.0, chunks: [50, {len(coded) - 50}], coding: gzip 9{GZIP_SYSTEM}, "
        f"body: json compact, pieces: [25, {len(head + body)}], at: [0.01, 0.21], sent: [0, null], ends: true}}\n"
    )


def test_failures_are_one_line() -> None:
    reset = Failure(FailureKind.RESET, 0.15, "ECONNRESET", "Connection reset by peer")
    assert text_of(interaction(b"HTTP/1.1 200", failure=reset)).endswith(
        "response octets: |-\n  HTTP/1.1 200\n"
        "failure: {kind: reset, errno: ECONNRESET, text: Connection reset by peer, at: 0.15}\n"
    )
    stale = Failure(FailureKind.END, is_stale=True)
    assert text_of(interaction(failure=stale)).endswith("\nfailure: {kind: end, stale: true}\n")
    refused = Failure(FailureKind.CONNECT, 0.0, "ECONNREFUSED", "Connection refused")
    via = Origin("http", "proxy", 3128)
    recorded = Interaction(Origin("http", "::1", 8080), None, Track(failure=refused), via)
    assert check(recorded) == (
        "failed: http://[::1]:8080\nvia: http://proxy:3128\n"
        "failure: {kind: connect failed, errno: ECONNREFUSED, text: Connection refused}\n"
    )
    args = (1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    tls = Failure(FailureKind.TLS, 0.0, None, None, {"args": args, "verify_code": 18, "raw": b"\0", "none": None})
    assert check(Interaction(ORIGIN, None, Track(failure=tls))).endswith(
        'details: {args: [1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"], verify_code: 18, '
        'raw: !!binary "AA==", none: null}}\n'
    )


@pytest.mark.parametrize(
    ("head", "origin", "lines"),
    [
        pytest.param(b"GET / HTTP/1.1", ORIGIN, ["request: GET https://api.example.com/"], id="origin-form"),
        pytest.param(b"GET /a:8 HTTP/1.1", Origin("http", "::1", 81), ["request: GET http://[::1]:81/a:8"], id="IPv6"),
        pytest.param(b"GET /a: HTTP/1.1", ORIGIN, ['request: "GET https://api.example.com/a:"'], id="colon at the end"),
        pytest.param(b"GET /\xe9 HTTP/1.1", ORIGIN, ['request: "GET https://api.example.com/é"'], id="not ASCII"),
        pytest.param(
            b"GET http://b.test/x HTTP/1.1",
            Origin("http", "proxy", 3128),
            ["request: GET http://b.test/x", "origin: http://proxy:3128"],
            id="absolute-form",
        ),
        pytest.param(
            b"GET http://b.test/x HTTP/1.1",
            Origin("http", "b.test", 80),
            ["request: GET http://b.test/x", "target: http://b.test/x"],
            id="absolute-form to the origin itself",
        ),
        pytest.param(
            b"CONNECT b.test:443 HTTP/1.1",
            Origin("http", "proxy", 3128),
            ["request: CONNECT b.test:443", "origin: http://proxy:3128"],
            id="authority-form",
        ),
        pytest.param(
            b"OPTIONS * HTTP/1.1",
            ORIGIN,
            ["request: OPTIONS https://api.example.com/*", 'target: "*"'],
            id="asterisk-form",
        ),
        pytest.param(
            b"GET /?u=http://x/ HTTP/1.1",
            ORIGIN,
            ["request: GET https://api.example.com/?u=http://x/"],
            id="URL in the query",
        ),
        pytest.param(
            b"GET /web/2017/http://x/ HTTP/1.1",
            ORIGIN,
            ["request: GET https://api.example.com/web/2017/http://x/"],
            id="URL in the path",
        ),
        pytest.param(
            b"GET / HTTP/1.1",
            Origin("http", "a[b:c", 80),
            ["request: GET http://[a[b:c]/", 'origin: [http, "a[b:c", 80]', 'target: "/"'],
            id="a host that no URL can hold",
        ),
    ],
)
def test_the_target_uri_is_shown_with_what_cannot_be_derived_from_it(
    head: bytes, origin: Origin, lines: list[str]
) -> None:
    assert check(interaction(head=head + b"\r\n\r\n", origin=origin)).splitlines() == lines


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        pytest.param(
            b"GET / HTTP/1.1\nHost: a\n\n", "request octets: |+\n  GET / HTTP/1.1\n  Host: a\n\n", id="LF only"
        ),
        pytest.param(b"GET  /  HTTP/1.1\r\n\r\n", 'request octets: "GET  /  HTTP/1.1\\r\\n\\r\\n"\n', id="blanks"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", "request octets: !!binary |  # 6 octets\n  FgMBAgAB\n", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\r\n", 'request octets: "GET / HTTP/1.1\\r\\nA: b\\r\\n"\n', id="cut off"),
    ],
)
def test_a_malformed_request_head_is_kept_whole(head: bytes, shown: str) -> None:
    recorded = interaction(head=head, body=b"tail")
    assert check(recorded) == shown + "origin: https://api.example.com\nrequest body: |-\n  tail\n"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        pytest.param(b"HTTP/1.1 204\r\n\r\n", 'response: "204"\n', id="no reason, no blank"),
        pytest.param(b"HTTP/1.1 204 \r\n\r\n", 'response: "204 "\n', id="empty reason"),
        pytest.param(b"HTTP/1.1 500 a: b\r\n\r\n", 'response: "500 a: b"\n', id="colon in the reason"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "response: 200 OK\nresponse headers: |2\n   A: b\n", id="fold first"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nA: \x85\r\n\r\n", 'response: 200 OK\nresponse headers: "A: \\u0085\\n"\n', id="NEL"
        ),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\n\n", "response octets: |+\n  HTTP/1.1 200 OK\n  A: b\n\n", id="LF only"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nA: b\n\r\n", 'response octets: "HTTP/1.1 200 OK\\r\\nA: b\\n\\r\\n"\n', id="mixed"
        ),
        pytest.param(b"ICY 200 OK\r\n\r\n", 'response octets: "ICY 200 OK\\r\\n\\r\\n"\n', id="not HTTP"),
        pytest.param(b"garbage", "response octets: |-\n  garbage\n", id="garbage"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", "interim:\n- |\n  HTTP/1.1 100 Continue\n", id="interim only"),
        pytest.param(b"\0\1\2\xff", "response octets: !!binary |  # 4 octets\n  AAEC/w==\n", id="octets"),
    ],
)
def test_heads_of_responses(octets: bytes, shown: str) -> None:
    written = check(interaction(octets))
    assert (
        written.removeprefix("request: GET https://api.example.com/users?x=1\n").partition("Accept: */*\n")[2] == shown
    )


@pytest.mark.parametrize(
    ("body", "fields", "shown"),
    [
        pytest.param("a", "", "|-\n  a\n", id="text"),
        pytest.param("a\n", "", "|\n  a\n", id="one line end"),
        pytest.param("a\n\n\n", "", "|+\n  a\n\n\n", id="several line ends"),
        pytest.param("a\n\n\n\nb", "", "|-\n  a\n\n\n\n  b\n", id="empty lines within"),
        pytest.param(" a", "", "|2-\n   a\n", id="leading blank"),
        pytest.param("\ta", "", "|2-\n  \ta\n", id="leading tab"),
        pytest.param("\n\n a", "", "|2-\n\n\n   a\n", id="leading line ends"),
        pytest.param("a  \n  \n", "", "|\n  a  \n    \n", id="trailing blanks"),
        pytest.param("  ", "", '"  "\n', id="blanks only"),
        pytest.param("\n\n", "", '"\\n\\n"\n', id="line ends only"),
        pytest.param("---\n...\n---", "", "|-\n  ---\n  ...\n  ---\n", id="document marks"),
        pytest.param("# a\n- b: &c *d !e |\n", "", "|\n  # a\n  - b: &c *d !e |\n", id="YAML"),
        pytest.param("a\r\nb\r\n", "", "|\n  a\n  b\nwire: {body: crlf}\n", id="CRLF"),
        pytest.param("a\r\nb\n", "", '"a\\r\\nb\\n"\n', id="mixed line ends"),
        pytest.param("a\x85b", "", '"a\\u0085b"\n', id="NEL"),
        pytest.param("a\u2028b", "", '"a\\u2028b"\n', id="LS"),
        pytest.param("\ufeffa", "", '"\\ufeffa"\n', id="BOM"),
        pytest.param("a\x1b[0m" + "b" * 20, "", '"a\\u001b[0m' + "b" * 20 + '"\n', id="escape sequence"),
        pytest.param("é€\U0001f600", "", "|-\n  é€\U0001f600\n", id="UTF-8"),
        pytest.param(
            b"\xe9t\xe9",
            "Content-Type: text/plain; charset=ISO-8859-1",
            "|-\n  été\nwire: {charset: iso-8859-1}\n",
            id="Latin-1",
        ),
        pytest.param(
            b"\xe9t\xe9",
            "Content-Type: text/plain; charset=utf-7",
            "!!binary |  # text/plain, 3 octets\n  6XTp\n",
            id="odd charset",
        ),
        pytest.param(
            b"\xe9t\xe9",
            "Content-Type: " + "x" * 90 + "\xe9",
            "!!binary |  # octets of unknown type, 3 octets\n  6XTp\n",
            id="long media type that is none",
        ),
        pytest.param(
            b"\x89PNG\0", "Content-Type: image/png", "!!binary |  # image/png, 5 octets\n  iVBORwA=\n", id="image"
        ),
        pytest.param(
            "\0\0\0\1", "", "!!binary |  # octets of unknown type, 4 octets\n  AAAAAQ==\n", id="controls only"
        ),
        pytest.param(
            "one\r\n  two\n" + "x" * 90,
            "",
            '"\\\n  one\\r\\n\\\n  \\  two\\n\\\n  ' + "x" * 90 + '"\n',
            id="long quoted lines",
        ),
        pytest.param("[" * 5000 + "]" * 5000, "", "|-\n  " + "[" * 5000 + "]" * 5000 + "\n", id="deep JSON"),
        pytest.param(
            '{"a":"' + "x" * 90 + '","a":1E400,"b":[1,\t2]}',
            "",
            '|-\n  {"a":"' + "x" * 90 + '","a":1E400,"b":[1,\t2]}\n',
            id="JSON with other blanks",
        ),
        pytest.param(
            '{"a":"\\u00e9\\"{","a":1.50,"b":[' + ",".join(map(str, range(1000, 1030))) + '],"c":{}}\n',
            "",
            '|\n  {\n    "a": "\\u00e9\\"{",\n    "a": 1.50,\n    "b": [\n'
            "      1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015,\n"
            "      1016, 1017, 1018, 1019, 1020, 1021, 1022, 1023, 1024, 1025, 1026, 1027, 1028, 1029\n"
            '    ],\n    "c": {}\n  }\nwire: {body: json compact}\n',
            id="compact JSON",
        ),
        pytest.param(
            '["' + "x" * 60 + '", {"a": "' + "y" * 60 + '"}]',
            "",
            '|-\n  [\n    "' + "x" * 60 + '",\n    {"a": "' + "y" * 60 + '"}\n  ]\nwire: {body: json spaced}\n',
            id="spaced JSON",
        ),
        pytest.param(
            "[[" + "2" * 99 + ",1],[{}]]",
            "",
            "|-\n  [\n    [\n      " + "2" * 99 + ",\n      1\n    ],\n    [{}]\n  ]\nwire: {body: json compact}\n",
            id="JSON with a number that no line holds",
        ),
        pytest.param("[" + "1" * 99 + "]:", "", "|-\n  [" + "1" * 99 + "]:\n", id="JSON, and a colon behind it"),
        pytest.param("[" + "1" * 99 + ",]", "", "|-\n  [" + "1" * 99 + ",]\n", id="JSON with a comma too many"),
    ],
)
def test_bodies_are_shown_as_readable_as_is_exact(body: str | bytes, fields: str, shown: str) -> None:
    octets = body.encode() if isinstance(body, str) else body
    written = check(response(octets, f"{fields}\r\n".encode() if fields else b""))
    assert written.partition("response body: ")[2] == shown


# --- content codings ---


def _deflated(content: bytes, level: int, mem: int = 8, *, raw: bool = False) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15 if raw else 15, mem)
    return compressor.compress(content) + compressor.flush()


# What `gzip` of this Python writes as operating system, as far as it is not the usual one.
GZIP_SYSTEM = "" if gzip.compress(b"", mtime=0)[9] == 3 else f" os={gzip.compress(b'', mtime=0)[9]}"

CONTENT = b"".join(b"line %d of a text that can be compressed, but not too well: %x\n" % (i, i**5) for i in range(300))


def _huffman(window_bits: int) -> bytes:
    """Content that is coded in a way which no level gives."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, window_bits, strategy=zlib.Z_HUFFMAN_ONLY)
    return compressor.compress(CONTENT) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "coded", "tag"),
    [
        *[
            pytest.param(b"gzip", gzip.compress(CONTENT, level, mtime=1_700_000_000), None, id=f"gzip {level}")
            for level in range(10)
        ],
        pytest.param(b"x-gzip", zlib.compressobj(6, 8, 31).compress(CONTENT), "as it is", id="cut off"),
        pytest.param(b"deflate", _deflated(CONTENT, 6), "deflate 6", id="deflate"),
        pytest.param(b"deflate", _deflated(CONTENT, 1, raw=True), "deflate 1 raw", id="bare deflate"),
        pytest.param(b"deflate", _deflated(CONTENT * 9, 4, 9), "deflate 4 mem=9", id="more memory"),
        pytest.param(b"gzip", gzip.compress(b"a") + gzip.compress(b"b"), "as it is", id="two members"),
        pytest.param(b"gzip", gzip.compress(bytes(20 << 20)), "as it is", id="bomb"),
        pytest.param(b"gzip", b"not gzip at all", "as it is", id="not coded"),
        pytest.param(b"gzip", gzip.compress(CONTENT)[:20] + b"\xff" * 9, "as it is", id="broken gzip"),
        pytest.param(b"gzip", _huffman(31), "as it is", id="gzip of another program"),
        pytest.param(b"deflate", b"not deflate at all", "as it is", id="no deflate"),
        pytest.param(b"deflate", _deflated(CONTENT, 6)[:-2], "as it is", id="deflate, cut off"),
        pytest.param(b"deflate", _huffman(15), "as it is", id="deflate of another program"),
        pytest.param(b"gzip, br", gzip.compress(CONTENT), "as it is", id="two codings"),
        pytest.param(b"unknown", CONTENT, "as it is", id="unknown coding"),
    ],
)
def test_content_codings_are_undone_if_they_can_be_redone(coding: bytes, coded: bytes, tag: str | None) -> None:
    written = check(response(coded, b"Content-Encoding: " + coding + b"\r\n"))
    if tag == "as it is":
        assert "coding:" not in written.lower().replace("content-encoding:", "")
    else:
        assert f"wire: {{coding: {tag or 'gzip '}" in written
        assert "  line 7 of a text" in written


def test_brotli_is_undone_where_it_is_installed() -> None:
    brotli = pytest.importorskip("brotli")
    written = check(response(brotli.compress(CONTENT, quality=5), b"Content-Encoding: br\r\n"))
    assert "wire: {coding: br 5}" in written
    for coded in (brotli.compress(CONTENT, lgwin=10), brotli.compress(CONTENT)[:-2], b"\xff" * 4):
        assert "!!binary" in check(response(coded, b"Content-Encoding: br\r\n"))


def test_zstd_is_undone_where_it_is_installed() -> None:
    zstd = library_for("zstd")
    if zstd is None:
        pytest.skip("there is no library for zstd here")
    for content in (CONTENT, b"", b"a"):
        written = check(response(zstd.compress(content), b"Content-Encoding: zstd\r\n"))
        assert "wire: {coding: zstd 3" in written
    if hasattr(zstd, "CompressionParameter"):
        compressor = zstd.ZstdCompressor()
        in_parts = compressor.compress(CONTENT) + compressor.flush()
        assert "wire: {coding: zstd 3 size=0}" in check(response(in_parts, b"Content-Encoding: zstd\r\n"))
    coded = zstd.compress(CONTENT)
    for broken in (coded[:-2], coded[:8] + b"\xff\xff", coded * 2):
        assert "!!binary" in check(response(broken, b"Content-Encoding: zstd\r\n"))


def test_a_coding_whose_library_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    library_for.cache_clear()  # what is missing is remembered
    request.addfinalizer(library_for.cache_clear)
    assert "!!binary" in check(response(b"\x0b\x02\x80abc\x03", b"Content-Encoding: br\r\n"))
    with pytest.raises(CassetteFormatError, match="'br 5', and the package 'brotli' is not installed"):
        load_document((ANSWERED + "wire: {coding: br 5}\n").encode(), "x", 1)


def test_lengths_follow_when_a_coded_body_was_edited() -> None:
    coded = gzip.compress(b"old", mtime=0)
    for fields, body in (
        (b"Content-Length: %d\r\n" % len(coded), coded),
        (b"Transfer-Encoding: chunked\r\n", enchunk(Chunked(coded, (5, len(coded) - 5), ()))),
    ):
        written = text_of(response(body, b"Content-Encoding: gzip\r\n" + fields))
        edited = written.replace("  old\n", "  a new text, much longer than the old one\n")
        loaded = load_document(edited.encode(), "x", 1)
        assert isinstance(loaded, Interaction)
        head, _, rest = loaded.track.octets.partition(b"\r\n\r\n")
        again = text_of(loaded)
        assert "a new text" in again
        if b"chunked" not in fields:
            assert b"Content-Length: %d" % len(rest) in head


def test_lengths_that_differ_are_kept_beside_a_coded_body() -> None:
    coded = gzip.compress(b"text", mtime=0)
    check(response(coded, b"Content-Encoding: gzip\r\nContent-Length: %d\r\nContent-Length: 9\r\n" % len(coded)))


def test_pieces_beyond_a_bound_become_one() -> None:
    count = body_forms.MOST_SIZES + 7
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    loaded = load_document(dump_interaction(interaction(head, *[b"x"] * count)), "x", 1)
    assert isinstance(loaded, Interaction)
    assert loaded.track.octets == head + b"x" * count
    assert len(loaded.track.pieces) == body_forms.MOST_SIZES
    body = b"1\r\nx\r\n" * count + b"0\r\n\r\n"
    written = dump_interaction(response(body, b"Transfer-Encoding: chunked\r\n"))
    assert b"chunks:" not in written
    assert load_document(written, "x", 1) == response(body, b"Transfer-Encoding: chunked\r\n")


def test_a_lone_surrogate_in_the_text_of_an_error_is_kept_readable() -> None:
    failure = Failure(FailureKind.RESET, 0.0, None, "no \udc80")
    loaded = load_document(dump_interaction(interaction(failure=failure)), "x", 1)
    assert isinstance(loaded, Interaction)
    assert loaded.track.failure == replace(failure, text="no \\udc80")


def test_runs_of_equal_sizes_are_short() -> None:
    body = b"".join([chunk(b"x" * 64)] * 1200) + chunk(b"y") + last_chunk()
    written = check(response(body, b"Transfer-Encoding: chunked\r\n"))
    assert written.endswith("wire: {chunks: [64*1200, 1]}\n")


# --- header, TLS ---


def test_a_header_comes_back() -> None:
    header = Header(1, "2026-11-22T17:57:05Z", "cassette-http 0.1.0, CPython 3.12", "tests/t.py::test_a[x: #1]")
    written = dump_header(header)
    assert written.splitlines()[0] == b"cassette: 1"
    assert load_document(written, "x", 1) == header
    assert _build(_values(written)) == header
    assert load_document(dump_header(Header()), "x", 1) == Header()


def test_tls_facts_come_back() -> None:
    peer = {
        "subject": ((("commonName", "api.example.com"),),),
        "notBefore": "Jan  1 00:00:00 2026 GMT",
        "subjectAltName": (("DNS", "api.example.com"), ("IP Address", "127.0.0.1")),
        "version": 3,
    }
    cipher = ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
    facts = TLSFacts(ORIGIN, "TLSv1.3", cipher, "http/1.1", bytes(range(256)) * 4, peer)
    for some in (facts, TLSFacts(ORIGIN)):
        written = dump_tls(some)
        assert read_canonical(written) == _values(written)
        assert load_document(written, "x", 1) == some
        assert _build(_values(written)) == some


def _values(written: bytes) -> dict[str, Any]:
    mapping = read_mapping(written)
    assert mapping is not None
    return mapping.values


# --- other hands ---


RICH = interaction(
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"text\n")
    + last_chunk(),
    b"\xff\0",
    head=b"POST /a?b HTTP/1.0\r\nHost: x\r\n\r\n",
    body=b"a\r\nb: #c\n",
    failure=Failure(FailureKind.RESET, 1.5, "ECONNRESET", "reset: #1", {"args": (1, 2.5, None)}),
)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as PyYAML writes"),
        pytest.param({"default_flow_style": True}, id="flow style"),
        pytest.param({"default_style": '"'}, id="double-quoted"),
        pytest.param({"default_style": "'"}, id="single-quoted"),
        pytest.param({"default_style": "|"}, id="literal"),
        pytest.param({"default_style": ">"}, id="folded"),
        pytest.param({"allow_unicode": True, "width": 30, "indent": 7, "sort_keys": False}, id="narrow"),
        pytest.param({"explicit_start": True, "explicit_end": False, "version": (1, 1)}, id="explicit start"),
    ],
)
def test_a_document_that_pyyaml_wrote_again_loads(options: dict[str, Any]) -> None:
    values = read_canonical(dump_interaction(RICH))
    if "default_style" in options:
        # A style for all scalars makes numbers text, but for those that get a tag.
        values = {key: value for key, value in (values or {}).items() if key not in ("wire", "request wire", "failure")}
    written = yaml.safe_dump(values, **options).encode()
    loaded = load_document(written, "x", 1)
    assert loaded == _build(values or {})


def test_comments_and_windows_line_ends_load() -> None:
    written = "# a comment\n" + text_of(RICH).replace("\nresponse:", "\n# another\n\nresponse:")
    assert load_document(written.encode(), "x", 1) == rounded(RICH)
    assert load_document(written.replace("\n", "\r\n").encode(), "x", 1) == rounded(RICH)


ANSWERED = "request: GET http://a/\nresponse: 200 OK\nresponse body: a\n"


def _nested(count: int) -> str:
    return "wire: " + "{a: " * count + "1" + "}" * count


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param("request: &a GET http://a/\n", 1, "anchors", id="anchor"),
        pytest.param("request: GET http://a/\nvia: *a\n", 2, "anchors|undefined alias", id="alias"),
        pytest.param("request: GET http://a/\nwire: {<<: {a: 1}}\n", 2, "merge keys", id="merge key"),
        pytest.param("request: !!python/object/apply:os.system [ls]\n", 1, "tag .* not allowed", id="python tag"),
        pytest.param("request: !mine a\n", 1, "tag .* not allowed", id="local tag"),
        pytest.param("request: GET http://a/\nrequest: GET http://b/\n", 2, "occurs twice", id="duplicate key"),
        pytest.param("request: GET http://a/\nwire: {at: [], at: []}\n", 2, "occurs twice", id="duplicate key within"),
        pytest.param("request: GET http://a/\nx y: 1\n", 2, "'x y' is no key.*known are request", id="unknown key"),
        pytest.param(
            "request: GET http://a/\n\nwire: {size: 1}\n", 3, "'wire' has an unknown key 'size'", id="unknown tag"
        ),
        pytest.param("? [a]\n: b\n", 1, "a key must be text", id="complex key"),
        pytest.param("[" * 50_000, 1, ".", id="50,000 brackets"),
        pytest.param("request: " + "[" * 20 + "]" * 20, 1, "deeper than 16", id="deep sequence"),
        pytest.param(_nested(30), 1, "deeper than 16", id="deep mapping"),
        pytest.param("- a\n- b\n", 1, "is a mapping", id="sequence"),
        pytest.param("request: GET http://a/\nwire: 1\n", 2, "must be a mapping", id="wire is a number"),
        pytest.param("request: GET http://a/\nresponse: 200 OK\nwire: {chunks: [0]}\n", 3, "no size", id="empty chunk"),
        pytest.param("request: GET http://a/\nwire: {chunks: [9*999999999]}\n", 2, "no size", id="too many chunks"),
        pytest.param("request: GET http://a/\nwire: {chunks: [true]}\n", 2, "no size", id="chunk of true"),
        pytest.param("request: GET http://a/\nwire: {at: [x]}\n", 2, "no list of numbers", id="time is text"),
        pytest.param("request: GET http://a/\nwire: {sent: [x]}\n", 2, "no list of numbers", id="sent is text"),
        pytest.param("request: GET http://a/\nwire: {timeouts: 7}\n", 2, "no list of numbers", id="one time-out"),
        pytest.param("request: GET http://a/\nwire: {ends: 7}\n", 2, "neither true nor false", id="end"),
        pytest.param("request: GET http://a/\nwire: {chunks: 7}\n", 2, "no list of sizes", id="one chunk"),
        pytest.param("tls: https://a\npeer: 7\n", 2, "must be a mapping", id="peer of TLS"),
        pytest.param(
            ANSWERED + "response trailers: |\n" + "  a: b\n" * 10_001 + "wire: {chunks: [1]}\n",
            4,
            "more than 10,000 lines",
            id="trailers",
        ),
        *(
            pytest.param(
                ANSWERED + f"response trailers: |\n  a: b\n  {line}\nwire: {{chunks: [1]}}\n",
                4,
                "'name: value'",
                id=line,
            )
            for line in ("c:d", "c", ": d")
        ),
        pytest.param(
            ANSWERED.replace("body: a", 'body: "{\\0}"') + "wire: {body: json compact}\n",
            3,
            "cannot contain NUL",
            id="NUL in JSON",
        ),
        pytest.param("request: GET http://a\n", 1, "has no path", id="no path"),
        pytest.param("failed: tcp://a\nfailure: {kind: end}\n", 1, "needs a port", id="no port"),
        pytest.param(
            "&a request: GET http://a/\n", 1, "anchors and tags are not allowed at a key", id="anchor at a key"
        ),
        pytest.param("request: GET http://a/\nwire: {version: HTTP/2}\n", 2, "no HTTP/x.y", id="version"),
        pytest.param(ANSWERED + "wire: {coding: rot13 6}\n", 3, "rot13", id="coding"),
        pytest.param(ANSWERED + "wire: {coding: gzip 6 mem=99}\n", 3, "gzip 6 mem=99", id="setting"),
        pytest.param(ANSWERED + "wire: {charset: zip}\n", 3, "not supported", id="charset"),
        pytest.param(ANSWERED + "wire: {body: xml}\n", 3, "no form 'xml'", id="form"),
        pytest.param(
            "request: GET http://a/\nresponse body: a\n", 1, "'response' is missing", id="body without response"
        ),
        pytest.param("request: GET http://a/\nresponse: fine\n", 2, "must be a status", id="no status"),
        pytest.param("request: GET http://a/\nresponse: [200]\n", 2, "must be text", id="status is a list"),
        pytest.param("request: GET http://a/\nrequest body: [a]\n", 2, "text or !!binary", id="body is a list"),
        pytest.param("request: GET http://a/\ninterim: 100\n", 2, "list of texts", id="interim is a number"),
        pytest.param(
            "request: GET http://a/\nrequest body: {blob: ../a, octets: 1}\n", 2, "is not as {blob", id="path of a blob"
        ),
        pytest.param(
            f"request: GET http://a/\nrequest body: {{blob: blobs/{64 * 'a'}, octets: 1}}\n",
            2,
            "not known here where that is",
            id="blob of a document alone",
        ),
        pytest.param("request: GET /a\n", 1, "no origin", id="no origin"),
        pytest.param("request: GET http://a:65536/\n", 1, "a port above 65535", id="port that is too large"),
        pytest.param('request: "GET http://a/ b"\n', 1, "without other blanks", id="blank in the URL"),
        pytest.param('request: "GET http://a/\\r\\nX: y"\n', 1, "without other blanks", id="second line in the URL"),
        pytest.param("response: 200 OK\n", 1, "'request' is missing", id="no request"),
        pytest.param("failed: http://a\n", 1, "needs 'failure'", id="failed without failure"),
        pytest.param("failed: http://a\nresponse: 200 OK\n", 2, "beside 'failed'", id="failed with response"),
        pytest.param("request: GET http://a/\nfailure: {kind: sulking}\n", 2, "kinds are lookup failed", id="kind"),
        pytest.param(
            "request: GET http://a/\nfailure: {kind: end, stale: 1}\n", 2, "neither true nor false", id="stale"
        ),
        pytest.param(
            "request: GET http://a/\nfailure: {kind: reset, errno: 104}\n", 2, "ECONNRESET", id="errno is a number"
        ),
        pytest.param("request: GET http://a/\nrepeat: often\n", 2, "fail, last, cycle", id="repeat"),
        pytest.param("request: GET http://a/\nrequest body: !!binary 'a'\n", 2, "not base64", id="base64"),
        pytest.param(
            "request: GET http://a/\nrequest headers: 'A: €'\n", 2, "beyond Latin-1", id="character in a head"
        ),
        pytest.param(
            "request: GET http://a/\n...\nrequest: GET http://a/\n", 3, "not YAML|must end with", id="two documents"
        ),
        pytest.param("request: GET http://a/\n...\n---\na: b\n", 3, "not with", id="end of a document by dots"),
        pytest.param("request: GET http://a/\nresponse: 200 OK\n\tx: 1\n", 3, "not YAML", id="tab"),
        pytest.param("tls: https://a\ncipher: x\n", 2, "must be a list", id="cipher"),
        pytest.param("cassette: 9\n", 1, "reads format 1 only", id="later version"),
        pytest.param("# nothing\n", 1, "is empty", id="comment only"),
    ],
)
def test_a_bad_document_gives_one_error_with_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(CassetteFormatError, match=reason) as caught:
        load_document(text.encode(), "dir/x.yaml", 41)
    assert (caught.value.path, caught.value.line) == ("dir/x.yaml", 40 + line)


def test_octets_that_are_no_utf8_are_an_error_with_a_line() -> None:
    with pytest.raises(CassetteFormatError, match="not YAML") as caught:
        load_document(b"request: GET http://a/\nresponse: 200 \xff\n", "x.yaml", 10)
    assert caught.value.line in (10, 11)


def test_too_many_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassette_http.cassette.format.yaml_reading.MOST_NODES", 1000)
    with pytest.raises(UnreadableYAML, match="more than 1,000 nodes"):
        read_mapping(b"wire: [" + b"1, " * 1000 + b"1]\n")


def test_a_file_that_pyyaml_wrote_again_loads() -> None:
    data = dump_header(Header(1, "2026-11-22T17:57:05Z", "x")) + b"".join(
        b"---\n" + dump_interaction(one) for one in (RICH, RICH)
    )
    again = yaml.safe_dump_all(yaml.safe_load_all(data), allow_unicode=True).encode()
    header, *others = [load_document(found.octets, "x", found.line) for found in scan(again, "x")]
    assert isinstance(header, Header)
    assert others == [rounded(RICH), rounded(RICH)]
