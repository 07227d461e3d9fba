"""Requests, responses and interactions as hooks see them: looked at, and changed with framing that fits."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.decoding import decoded, encoded, library_for
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Response, Track
from cassette_http.cassette.splicing import difference, splice
from cassette_http.wire.chunking import chunk, last_chunk

ORIGIN = Origin("https", "api.test", 443)


def request(*lines: str, body: bytes = b"") -> Request:
    head = "\r\n".join([*(lines or ("GET /a?b=1 HTTP/1.1", "Host: api.test")), "", ""])
    return Request(ORIGIN, head.encode("latin-1"), body)


def answer(*fields: str, body: bytes = b"", status: str = "200 OK", method: str = "GET") -> Response:
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""])
    return Response(head.encode("latin-1"), body, method)


# ---------------------------------------------------------------------- looking


def test_message_shows_what_it_says() -> None:
    one = answer("Content-Type: application/json", "A: 1", "a: 2", "Content-Length: 8", body=b'{"a": 1}')
    assert (one.status, one.reason, one.values("A"), one.value("A"), one.value("B")) == (
        200,
        "OK",
        ["1", "2"],
        "1, 2",
        None,
    )
    assert (one.content, one.text, one.json()) == (b'{"a": 1}', '{"a": 1}', {"a": 1})


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_content_is_shown_without_chunks_and_codings(coding: str) -> None:
    if coding in ("br", "zstd"):
        pytest.importorskip({"br": "brotli", "zstd": "backports.zstd"}[coding], reason="the coding needs its library")
    octets = encoded(b"plain text", [coding])
    body = chunk(octets[:4]) + chunk(octets[4:]) + last_chunk()
    one = answer("Transfer-Encoding: chunked", f"Content-Encoding: {coding}", body=body)
    assert (one.coded_content, one.content) == (octets, b"plain text")


def test_zstd_is_decoded_by_the_library_that_httpx_takes(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    zstandard = pytest.importorskip("zstandard", reason="it is one of three libraries for zstd")
    for other in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, other, None)
    library_for.cache_clear()  # what is missing is remembered
    request.addfinalizer(library_for.cache_clear)
    assert library_for("zstd") is zstandard
    octets = encoded(b"plain text", ["zstd"])
    assert decoded(octets, ["zstd"]) == (b"plain text", True)
    assert decoded(octets, ["zstd"], most=5) is None
    cut = decoded(octets[:-1], ["zstd"])
    assert cut is not None
    assert not cut[1]
    assert decoded(b"no zstd", ["zstd"]) is None


def test_text_is_read_in_its_character_set() -> None:
    one = answer("Content-Type: text/plain; charset=iso-8859-1", "Content-Length: 4", body=b"caf\xe9")
    assert one.text == "café"
    assert one.with_text("très").body_octets == b"tr\xe8s"


# ---------------------------------------------------------------------- fields

HEAD = "GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("lines", "name", "value", "expected"),
    [
        pytest.param([], "A", "1", ["A: 1"], id="first"),
        pytest.param(["B: 2"], "A", "1", ["B: 2", "A: 1"], id="new at the end"),
        pytest.param(["A: 0", "B: 2"], "a", "1", ["a: 1", "B: 2"], id="in its place"),
        pytest.param(["B: 2", "A: 0", "C: 3", "a: 9"], "A", "1", ["B: 2", "A: 1", "C: 3"], id="several become one"),
        pytest.param(["A: 0", "  folded", "B: 2"], "A", "1", ["A: 1", "B: 2"], id="folded lines go along"),
        pytest.param(["AA: 0"], "A", "1", ["AA: 0", "A: 1"], id="whole names only"),
        pytest.param(["B: 2", "A: 0", "a: 9"], "A", None, ["B: 2"], id="left out"),
        pytest.param(["B: 2"], "A", None, ["B: 2"], id="left out, and never there"),
    ],
)
def test_field_is_put_or_left_out(lines: list[str], name: str, value: str | None, expected: list[str]) -> None:
    one = request(HEAD, *lines)
    changed = one.with_field(name, value) if value is not None else one.without_field(name)
    assert changed.head_octets == "\r\n".join([HEAD, *expected, "", ""]).encode()


@pytest.mark.parametrize(("name", "value"), [("A B", "1"), ("", "1"), ("A", "1\r\nB: 2"), ("A", "\0"), ("A", "€")])
def test_what_no_field_can_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"field|latin-1"):
        request().with_field(name, value)


# ---------------------------------------------------------------------- content


@pytest.mark.parametrize(
    ("one", "fields", "body"),
    [
        pytest.param(answer("Content-Length: 3", body=b"old"), ["Content-Length: 11"], b"new content", id="length"),
        pytest.param(answer(body=b"old"), [], b"new content", id="until close"),
        pytest.param(
            answer("Transfer-Encoding: chunked", body=b"1\r\no\r\n2\r\nld\r\n0\r\nT: 1\r\n\r\n"),
            ["Transfer-Encoding: chunked"],
            b"4\r\nnew \r\n7\r\ncontent\r\n0\r\nT: 1\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            answer("Transfer-Encoding: chunked", body=b"0\r\nT: 1\r\n\r\n"),
            ["Transfer-Encoding: chunked"],
            b"b\r\nnew content\r\n0\r\nT: 1\r\n\r\n",
            id="chunked and empty",
        ),
        pytest.param(answer("Content-Length: 0"), ["Content-Length: 11"], b"new content", id="empty"),
        pytest.param(
            answer("Content-Encoding: x-own", "Content-Length: 3", body=b"old"),
            ["Content-Length: 11"],
            b"new content",
            id="unknown coding",
        ),
    ],
)
def test_content_is_replaced_with_its_framing(one: Response, fields: list[str], body: bytes) -> None:
    changed = one.with_content(b"new content")
    assert changed.content == b"new content"
    assert changed.head_octets == "\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode()
    if one.content == b"old" and "chunked" in str(fields):
        # Where the border falls is not promised; that there are chunks, and trailers, is.
        assert changed.body_octets.endswith(b"\r\n0\r\nT: 1\r\n\r\n")
    else:
        assert changed.body_octets == body


def test_content_under_a_coding_is_coded_again() -> None:
    one = answer("Content-Encoding: gzip", "Content-Length: 0").with_content(b"old")
    changed = one.with_json({"new": True})
    assert gzip.decompress(changed.body_octets) == b'{"new": true}'
    assert changed.value("Content-Length") == str(len(changed.body_octets))


def test_json_keeps_its_spacing_and_gets_a_type() -> None:
    compact = answer("Content-Type: application/vnd.api+json", "Content-Length: 7", body=b'{"a":1}')
    assert compact.with_json({"b": 2, "c": 3}).content == b'{"b":2,"c":3}'
    assert compact.with_json({"b": 2}).value("Content-Type") == "application/vnd.api+json"
    assert (
        request()
        .with_json({"b": 2})
        .head_octets.endswith(b"Content-Type: application/json\r\nContent-Length: 8\r\n\r\n")
    )


@pytest.mark.parametrize("one", [answer(status="204 No Content"), answer("Content-Length: 3", method="HEAD")])
def test_response_without_content_gets_none(one: Response) -> None:
    assert one.with_content(b"") == one
    with pytest.raises(ValueError, match="has no content"):
        one.with_content(b"new")


def test_status_is_changed_and_takes_the_content_along() -> None:
    one = answer("Content-Length: 3", body=b"old")
    assert one.with_status(404, "Not Found").head_octets == b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n"
    assert one.with_status(204).body_octets == b""
    with pytest.raises(ValueError, match="not a valid status line"):
        one.with_status(200, "OK\r\nA: 1")


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 7))
def test_any_content_can_take_the_place_of_any_other(old: bytes, new: bytes, size: int) -> None:
    body = b"".join(chunk(old[at : at + size]) for at in range(0, len(old), size)) + last_chunk()
    for one in (answer("Transfer-Encoding: chunked", body=body), answer(f"Content-Length: {len(old)}", body=old)):
        assert one.content == old
        assert one.with_content(new).content == new
    assert splice(old, difference(old, new)) == new


# ---------------------------------------------------------------------- request lines


@pytest.mark.parametrize(
    ("line", "url", "expected", "origin"),
    [
        ("GET /a HTTP/1.1", "https://api.test/b?c#d", "GET /b?c HTTP/1.1", ORIGIN),
        ("GET /a HTTP/1.1", "https://api.test?c", "GET /?c HTTP/1.1", ORIGIN),
        ("GET /a HTTP/1.1", "http://Other.test:8080/b", "GET /b HTTP/1.1", Origin("http", "other.test", 8080)),
        ("GET /a HTTP/1.1", "http://[::1]:81/b", "GET /b HTTP/1.1", Origin("http", "::1", 81)),
        ("GET https://api.test/a HTTP/1.1", "https://api.test/b", "GET https://api.test/b HTTP/1.1", ORIGIN),
    ],
)
def test_url_is_changed(line: str, url: str, expected: str, origin: Origin) -> None:
    changed = request(line, "Host: api.test").with_url(url)
    assert changed.head_octets == f"{expected}\r\nHost: {origin.authority}\r\n\r\n".encode()
    assert changed.origin == origin


@pytest.mark.parametrize(
    "url", ["/a", "api.test/a", "https://", "https://api.test:x/", "https://api.test/a b", "ftp://a/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"not a URL|not a valid request line"):
        request().with_url(url)


def test_method_is_changed() -> None:
    assert request().with_method("POST").head_octets == b"POST /a?b=1 HTTP/1.1\r\nHost: api.test\r\n\r\n"


# ---------------------------------------------------------------------- interactions


def test_changed_response_comes_in_the_pieces_of_the_old_one() -> None:
    head = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = (Piece(head, 0.1), Piece(chunk(b"data: 1\n\n"), 0.2), Piece(chunk(b"data: 2\n\n") + last_chunk(), 0.3))
    interaction = Interaction(ORIGIN, request(), Track(pieces, ended=True))
    assert interaction.response is not None
    changed = interaction.with_response(
        interaction.response.with_field("X", "1").with_content(b"data: 1\n\ndata: two\n\n")
    )
    assert [(piece.octets, piece.at) for piece in changed.track.pieces] == [
        (head[:-2] + b"X: 1\r\n\r\n", 0.1),
        (b"9\r\ndata: 1\n\n\r\n", 0.2),
        (b"b\r\ndata: two\n\n\r\n0\r\n\r\n", 0.3),
    ]
    assert changed.track.ended


def test_response_takes_the_place_of_a_failure() -> None:
    failed = Interaction(ORIGIN, request(), Track(failure=Failure(FailureKind.TIMEOUT)))
    assert failed.response is None
    changed = failed.with_response(Response.of(200, content=b"after all"))
    assert changed.response is not None
    assert (changed.response.content, changed.track.failure) == (b"after all", None)


def test_response_that_broke_off_still_does() -> None:
    track = Track((Piece(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),), Failure(FailureKind.END))
    interaction = Interaction(ORIGIN, request(), track)
    assert interaction.response is not None
    changed = interaction.with_response(interaction.response.with_content(b"the half"))
    assert changed.track.octets == b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nthe half"
    assert changed.track.failure == track.failure


def test_content_can_be_given_to_an_empty_response() -> None:
    interaction = Interaction(ORIGIN, request(), Track((Piece(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),)))
    assert interaction.response is not None
    changed = interaction.with_response(interaction.response.with_json([1]))
    assert changed.response is not None
    assert json.loads(changed.track.octets.rpartition(b"\r\n")[2]) == changed.response.json() == [1]


def test_garbage_is_no_response() -> None:
    assert Interaction(ORIGIN, request(), Track((Piece(b"garbage\r\n\r\n"),))).response is None
    assert Interaction(ORIGIN, None, Track()).response is None
