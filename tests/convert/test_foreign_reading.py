"""What is read of a foreign cassette, and what is refused: all of it is data, and bounded."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from cassette_http import CassetteFormatError, use_cassette
from cassette_http.cassette.model import Interaction
from cassette_http.convert.formats import FORMATS, read_foreign
from cassette_http.errors import InvalidOption

RECORDED = Path(__file__).parent / "recorded"


def vcr_yaml(request: str = "", response: str = "") -> bytes:
    """A cassette of VCR.py whose parts are given as YAML in flow style; later keys count."""
    return (
        "interactions:\n"
        f"- request: {{method: GET, uri: 'http://a.test/', body: null, headers: {{}}, {(request or '{}')[1:]}\n"
        "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: x}, "
        f"{(response or '{}')[1:]}\n"
        "version: 1\n"
    ).encode()


def only(data: bytes, name: str | None = None) -> Interaction:
    (interaction,) = read_foreign(data, "old.yaml", name).interactions
    return interaction


# ---------------------------------------------------------------------- what is refused

TABLE_OF_REFUSED = [
    pytest.param("body: !!python/object/apply:os.system ['touch ran']", 2, "would run code", id="call"),
    pytest.param("body: !!python/object/new:os.system ['touch ran']", 2, "would run code", id="new"),
    pytest.param("body: !!python/object:requests.Session {}", 2, "would run code", id="object"),
    pytest.param("body: !!python/name:os.system ''", 2, "would run code", id="name"),
    pytest.param("body: !!python/module:os ''", 2, "would run code", id="module"),
    pytest.param("body: !ruby/object:Gem {}", 2, "tag '!ruby/object:Gem' is not known", id="tag of Ruby"),
    pytest.param("body: !!binary 'A'", 2, "not base64", id="broken base64"),
    pytest.param("body: *nowhere", 2, "alias .nowhere|undefined alias", id="alias of nothing"),
    pytest.param("body: &a [*a]", 2, "stands for nothing", id="alias of itself"),
    pytest.param("<<: {body: b}", 2, "merge keys", id="merge key"),
    pytest.param("body: " + "[" * 200 + "]" * 200, 2, "nested deeper than 128", id="deep"),
    pytest.param("method: [GET]", 2, "'method' must be text", id="method is a list"),
    pytest.param("uri: null", 2, "'uri' must be text", id="no URL"),
    pytest.param("headers: 7", 2, "header fields must be a mapping", id="fields are a number"),
    pytest.param("headers: {A: {b: c}}", 2, "value of a header field must be text", id="value is a mapping"),
    pytest.param("method: [", 2, "not YAML", id="no YAML"),
    pytest.param("body: {base64_string: [7]}", 2, "base64 must be text", id="base64 is a list"),
    pytest.param("body: {base64_string: YWJjZ}", 2, "not base64", id="base64 that is cut off"),
    pytest.param("[a]: b", 2, "a key must be text", id="key is a list"),
    pytest.param("body: !!python/object/new:_io.BytesIO {state: 7}", 2, "does not say what it held", id="odd file"),
]


@pytest.mark.parametrize(("request_part", "line", "reason"), TABLE_OF_REFUSED)
def test_refused_file_gives_one_clear_error_and_stays_as_it_is(
    request_part: str, line: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "old.yaml"
    data = vcr_yaml("{" + request_part + "}")
    path.write_bytes(data)
    with pytest.raises(CassetteFormatError, match=reason) as refused:
        use_cassette(path, "none").__enter__()
    assert (refused.value.path, refused.value.line) == (str(path), line)
    assert path.read_bytes() == data
    assert [one.name for one in tmp_path.iterdir()] == ["old.yaml"]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        pytest.param(vcr_yaml("", "{status: {code: many}}"), 3, "three digits, not 'many'", id="status is no number"),
        pytest.param(vcr_yaml("", "{status: {code: 70000}}"), 3, "three digits", id="status is too long"),
        pytest.param(vcr_yaml("", "{status: {code: 200, message: [a]}}"), 3, "of a status must be text", id="reason"),
        pytest.param(vcr_yaml("", "{body: {string: {a: b}}}"), 3, "a body must be text or octets", id="body"),
        pytest.param(b"interactions: 7\nversion: 1\n", 1, "no cassette of a recorder", id="entries are no list"),
        pytest.param(b"interactions:\n- 7\n", None, "interaction 1 of VCR.py: this is no mapping", id="number"),
        pytest.param(b"interactions: []\n---\na: b\n", 2, "another document", id="two documents"),
        pytest.param(b"- interactions:\n", 1, "it must be a mapping", id="a list"),
        pytest.param(b'{"interactions": [{}, {}', 1, "not JSON", id="cut off JSON"),
        pytest.param(b'{"version": 1,\n"interactions": [\n{"request": {}}]}', 3, "'response' is missing", id="JSON"),
        pytest.param(b'{"interactions": ' + b"[" * 100_000, 1, "nested deeper than 128", id="deep JSON"),
        pytest.param(b'{"a": "[]", "interactions":\n[' + b"{}," * 10**6 + b"{}]}", 2, "1,000,000 nodes", id="nodes"),
        pytest.param(b'{"interactions": [], "a": ' + b"[" * 500 + b"]" * 500 + b"}", 1, "deeper than", id="deep value"),
        pytest.param(b'{"interactions": [1' + b"0" * 5000 + b"]}", None, "JSON|mapping", id="JSON with a long number"),
        pytest.param(b'{"interactions": "\xff"}', None, "not JSON", id="JSON in no Unicode"),
        pytest.param(b"interactions:\n- request: \xff\n", 2, "not YAML", id="YAML in no Unicode"),
    ],
)
def test_broken_file_names_line_and_reason(data: bytes, line: int | None, reason: str) -> None:
    with pytest.raises(CassetteFormatError, match=reason) as refused:
        read_foreign(data, "old.yaml")
    assert line is None or refused.value.line == line


def test_aliases_count_as_much_as_what_they_stand_for() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(CassetteFormatError, match="more than 1,000,000 nodes"):
        read_foreign(("\n".join(lines) + "\ninteractions: []\n").encode(), "bomb.yaml")


@pytest.mark.parametrize(
    "part", ["body: {string: [%s]}", "headers: {A: [%s]}", "body: [%s]"], ids=["body", "fields", "list as body"]
)
def test_aliases_cannot_make_a_small_file_large(part: str) -> None:
    text = b"text: &a " + b"x" * 1_000_000 + b"\n"
    with pytest.raises(CassetteFormatError, match="what its aliases stand for, the file has over 52,428,800 char") as e:
        read_foreign(text + vcr_yaml("", "{" + part % ", ".join(["*a"] * 100) + "}"), "bomb.yaml")
    assert e.value.line == 4


def test_brackets_in_text_are_no_nodes() -> None:
    text = json.dumps({"version": 1, "interactions": [], "note": '[{,"\\' * 300_000}).encode()
    assert read_foreign(text, "old.json").interactions == ()


def test_status_text_stays_one_line() -> None:
    answer = only(vcr_yaml("", '{status: {code: 200, message: "so\\0\\r\\nX: y"}}')).response
    assert answer is not None
    assert answer.reason == "so X: y"


@pytest.mark.parametrize("path", sorted(RECORDED.iterdir()), ids=lambda path: path.name)
def test_file_that_breaks_off_is_read_or_refused_in_one_way(path: Path) -> None:
    data = path.read_bytes()
    refusals = []
    for length in range(0, min(len(data), 6000), 97):
        try:
            read_foreign(data[:length], path.name)
        except CassetteFormatError as error:
            refusals.append(str(error))
    assert refusals
    assert all(text.startswith(path.name) for text in refusals)


def test_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidOption, match="there is no format 'vrc'"):
        read_foreign(b"interactions: []\n", "old.yaml", "vrc")


@pytest.mark.parametrize("name", FORMATS)
def test_format_that_was_named_is_the_one_that_is_read(name: str) -> None:
    with pytest.raises(CassetteFormatError, match=f"a cassette of {FORMATS[name].title} has a list"):
        read_foreign(b"others: []\n", "old.yaml", name)


# ---------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("body", "content"),
    [
        pytest.param("null", b"", id="none"),
        pytest.param("'a=1&b=2'", b"a=1&b=2", id="text"),
        pytest.param("'déjà'", "déjà".encode(), id="text beyond ASCII"),
        pytest.param("!!binary AP+A", b"\0\xff\x80", id="octets"),
        pytest.param("!!python/unicode 'a'", b"a", id="text of Python 2"),
        pytest.param("!!python/str 'a'", b"a", id="octets of Python 2"),
        pytest.param("{a: '1', b: [x, y]}", b"a=1&b=x&b=y", id="form"),
        pytest.param("{a: !!binary 4pyT, b: null}", b"a=%E2%9C%93&b=", id="form of octets"),
        pytest.param("!!null ''", b"", id="none by a tag"),
        pytest.param("[a, !!binary Yg==]", b"ab", id="pieces"),
        pytest.param("!!python/tuple [a, b]", b"ab", id="tuple"),
        pytest.param("!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary YWI=, 0]}", b"ab", id="file"),
        pytest.param("!!python/object/apply:builtins.iter {args: [[a, b]], state: 0}", b"ab", id="iterator"),
        pytest.param("{string: ab}", b"ab", id="kept as a response is"),
        pytest.param("{base64_string: YWI=, encoding: utf-8}", b"ab", id="base64"),
    ],
)  # fmt: skip
def test_bodies_of_requests_are_read_in_all_their_forms(body: str, content: bytes) -> None:
    request = only(vcr_yaml(f"{{method: POST, body: {body}}}")).request
    assert request is not None
    assert request.content == content
    assert request.values("content-length") == ([str(len(content))] if content else [])


def test_form_that_was_sent_as_json_is_json() -> None:
    request = only(vcr_yaml("{method: POST, body: {a: [b]}, headers: {Content-Type: application/json}}")).request
    assert request is not None
    assert json.loads(request.content) == {"a": ["b"]}


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        pytest.param("{X: [a, b]}", [("X", "a"), ("X", "b")], id="lists"),
        pytest.param("{X: a, Y: 7, Z: null}", [("X", "a"), ("Y", "7"), ("Z", "")], id="single values"),
        pytest.param("{X: !!binary 6Q==}", [("X", "é")], id="octets"),
        pytest.param("{!!binary WA==: [a]}", [("X", "a")], id="name as octets"),
        pytest.param("{X: !!python/tuple [a]}", [("X", "a")], id="tuple"),
        pytest.param("[[X, a], [X, b]]", [("X", "a"), ("X", "b")], id="pairs"),
        pytest.param('{X: "a\\r\\n  b"}', [("X", "a b")], id="folded line"),
        pytest.param('{X: "a\\r\\nEvil: yes"}', [("X", "a Evil: yes")], id="line end does not make a field"),
        pytest.param('{"X Y": a, "": b, "Z:": c, W: d}', [("W", "d")], id="names that are none"),
        pytest.param("{X: ☕}", [("X", "\xe2\x98\x95")], id="beyond Latin-1"),
        pytest.param("null", [], id="none"),
    ],
)
def test_field_lines_are_read_in_all_their_forms(headers: str, fields: list[tuple[str, str]]) -> None:
    data = vcr_yaml("", f"{{headers: {headers}}}")
    octets = only(data).track.octets
    lines = octets.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    assert [tuple(line.split(": ", 1)) if ": " in line else (line[:-1], "") for line in lines] == [
        (name, value) for name, value in fields
    ]


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        pytest.param("HTTP://A.test", "GET / HTTP/1.1", "a.test", id="no path"),
        pytest.param("http://u:p@a.test:80/x?#f", "GET /x? HTTP/1.1", "a.test", id="user, port and fragment"),
        pytest.param("http://a.test:81/é b?q=☕", "GET /%C3%A9%20b?q=%E2%98%95 HTTP/1.1", "a.test:81", id="not ASCII"),
        pytest.param("http://a.test/%7e?a=%2f&b", "GET /%7e?a=%2f&b HTTP/1.1", "a.test", id="percent-encoded"),
        pytest.param("http://[::1]:81/", "GET / HTTP/1.1", "[::1]:81", id="IPv6"),
        pytest.param("https://bücher.test/", "GET / HTTP/1.1", "xn--bcher-kva.test", id="IDN"),
        pytest.param("**REDACTED**", "GET /**REDACTED** HTTP/1.1", "replaced.invalid", id="a word in its place"),
    ],
)  # fmt: skip
def test_request_line_and_host_are_what_a_client_sends(url: str, line: str, host: str) -> None:
    request = only(vcr_yaml(f"{{uri: {json.dumps(url)}}}")).request
    assert request is not None
    assert request.head_octets == f"{line}\r\nHost: {host}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.test/",
        "wss://a.test/",
        "http://ü..test/",
        "/x",
        "",
        "http://",
        "http://a.test:x/",
        "http://[/",
        "data:,x",
    ],
)
def test_what_is_no_http_is_left_out_and_reported(url: str) -> None:
    foreign = read_foreign(vcr_yaml(f"{{uri: {json.dumps(url)}}}"), "old.yaml")
    assert foreign.interactions == ()
    assert foreign.changes[0].text.startswith("left out: ")


@pytest.mark.parametrize("method", ["GE T", "", "CONNECT"])
def test_method_that_nobody_can_send_again_is_left_out_and_reported(method: str) -> None:
    foreign = read_foreign(vcr_yaml(f"{{method: {json.dumps(method)}}}"), "old.yaml")
    assert foreign.interactions == ()
    assert foreign.changes[0].text.startswith("left out: ")


def test_body_that_was_sent_in_chunks_is_one_chunk() -> None:
    headers = "{Transfer-Encoding: chunked, Content-Length: '9'}"
    request = only(vcr_yaml(f"{{method: POST, headers: {headers}, body: abc}}")).request
    assert request is not None
    assert request.head_octets.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b"Content-Length" not in request.head_octets
    assert request.body_octets == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("kept", "octets"),
    [
        pytest.param("{status: {code: 299}}", b"HTTP/1.1 299 \r\n", id="no reason that is known"),
        pytest.param("{status: {code: 200, message: !!binary T0s=}}", b"HTTP/1.1 200 OK\r\n", id="reason as octets"),
        pytest.param(
            "{headers: {Content-Encoding: br}, body: {string: !!binary /4D/}}", b"\xff\x80\xff", id="broken br"
        ),
        pytest.param(
            "{headers: {Content-Type: text/html; charset=iso-8859-1}, body: {string: ☕}}", "☕".encode(), id="charset"
        ),
    ],
)
def test_answers_come_as_well_as_they_were_kept(kept: str, octets: bytes) -> None:
    assert octets in only(vcr_yaml("", kept)).track.octets


def test_shared_mappings_are_read() -> None:
    data = (
        b"interactions:\n"
        b"- request: &r {method: GET, uri: 'http://a.test/', body: null, headers: &h {A: [b]}}\n"
        b"  response: &s {status: {code: 200, message: OK}, headers: *h, body: {string: x}}\n"
        b"- {request: *r, response: *s}\n"
    )
    first, second = read_foreign(data, "old.yaml").interactions
    assert first == second


def test_old_cassettes_of_httpx_are_read() -> None:
    data = vcr_yaml("", "{status_code: 404, http_version: HTTP/1.1, content: gone}")
    data = data.replace(b"status: {code: 200, message: OK}, ", b"").replace(b"body: {string: x}, ", b"")
    assert only(data).track.octets == b"HTTP/1.1 404 Not Found\r\n\r\ngone"


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    """JSON can say it anywhere in a text, and no character set can."""
    half = "\\ud800"
    entry = {
        "request": {
            "method": "POST",
            "uri": f"http://a.test/{half}?{half}",
            "body": {half: half},
            "headers": {half: half},
        },
        "response": {"status": {"code": 200, "message": half}, "headers": {"X": half}, "body": {"string": half}},
    }
    text = json.dumps({"interactions": [entry]}).replace("\\\\ud800", "\\ud800")
    assert json.loads(text)["interactions"][0]["response"]["headers"]["X"] == "\ud800"
    interaction = only(text.encode())
    assert interaction.request is not None
    assert interaction.request.head.target == "/%ED%A0%80?%ED%A0%80"
    assert interaction.track.octets.startswith(b"HTTP/1.1 200 ?\r\nX: \xed\xa0\x80\r\n")


# ---------------------------------------------------------------------- octets that fit

PLAIN = b'{"a": 1}'
LENGTH_8 = b"Content-Length: 8\r\n\r\n"
GZIPPED = gzip.compress(PLAIN, mtime=0)


def answer(method: str, status: int, headers: dict[str, str], body: bytes) -> tuple[Interaction, list[str]]:
    entry: dict[str, Any] = {
        "request": {"method": method, "uri": "http://a.test/", "body": None, "headers": {}},
        "response": {
            "status": {"code": status, "message": "Yes"},
            "headers": headers,
            "body": {"base64_string": base64.b64encode(body).decode()},
        },
    }
    foreign = read_foreign(json.dumps({"interactions": [entry]}).encode(), "old.json")
    return foreign.interactions[0], [change.text for change in foreign.changes]


@pytest.mark.parametrize(
    ("method", "status", "headers", "body", "expected", "closes"),
    [
        pytest.param("GET", 200, {"Content-Length": "8"}, PLAIN, LENGTH_8 + PLAIN, False, id="fits"),
        pytest.param(
            "GET", 200, {"A": "b", "Content-Length": "72"}, PLAIN, b"A: b\r\nContent-Length: 8\r\n\r\n" + PLAIN, False,
            id="length is corrected",
        ),
        pytest.param("GET", 200, {"A": "b"}, PLAIN, b"A: b\r\n\r\n" + PLAIN, True, id="ends with the connection"),
        pytest.param(
            "GET", 200, {"Content-Length": "0", "Connection": "close"}, b"",
            b"Content-Length: 0\r\nConnection: close\r\n\r\n", True, id="says that it closes",
        ),
        pytest.param(
            "GET", 200, {"Transfer-Encoding": "chunked"}, PLAIN,
            b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + PLAIN + b"\r\n0\r\n\r\n", False, id="one chunk",
        ),
        pytest.param(
            "GET", 200, {"Transfer-Encoding": "chunked"}, b"", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False,
            id="no chunk",
        ),
        pytest.param(
            "GET", 200, {"Transfer-Encoding": "chunked", "Content-Length": "3"}, PLAIN,
            LENGTH_8 + PLAIN, False, id="chunked with a length",
        ),
        pytest.param(
            "GET", 200, {"Transfer-Encoding": "gzip"}, PLAIN, b"\r\n" + PLAIN, True, id="other transfer coding",
        ),
        pytest.param("HEAD", 200, {"Content-Length": "9"}, b"", b"Content-Length: 9\r\n\r\n", False, id="HEAD"),
        pytest.param("HEAD", 200, {"Content-Length": "9"}, b"no", b"Content-Length: 9\r\n\r\n", False, id="HEAD, body"),
        pytest.param("GET", 204, {"Content-Length": "2"}, b"no", b"Content-Length: 2\r\n\r\n", False, id="204, body"),
        pytest.param("GET", 304, {}, b"", b"\r\n", False, id="304"),
        pytest.param(
            "GET", 200, {"Content-Encoding": "gzip", "Content-Length": str(len(GZIPPED))}, GZIPPED,
            b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIPPED) + GZIPPED, False, id="coded",
        ),
        pytest.param(
            "GET", 200, {"Content-Encoding": "gzip"}, GZIPPED[:-4],
            b"Content-Encoding: gzip\r\n\r\n" + GZIPPED[:-4], True, id="coded and cut off",
        ),
        pytest.param(
            "GET", 200, {"Content-Encoding": "br", "Content-Length": "5"}, PLAIN,
            LENGTH_8 + PLAIN, False, id="br that was decoded",
        ),
        pytest.param(
            "GET", 200, {"Content-Encoding": "zstd", "Content-Length": "5"}, PLAIN,
            LENGTH_8 + PLAIN, False, id="zstd that was decoded",
        ),
        pytest.param(
            "GET", 200, {"Content-Encoding": "br"}, b"\x0b\x02\x80hello\x03",
            b"Content-Encoding: br\r\n\r\n\x0b\x02\x80hello\x03", True, id="br",
        ),
        pytest.param(
            "GET", 200, {"Content-Encoding": "gzip", "Content-Length": "0"}, b"",
            b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", False, id="nothing to decode",
        ),
    ],
)  # fmt: skip
def test_octets_fit_the_body_that_was_kept(
    method: str, status: int, headers: dict[str, str], body: bytes, expected: bytes, closes: bool
) -> None:
    interaction, _ = answer(method, status, headers, body)
    assert interaction.track.octets == b"HTTP/1.1 %d Yes\r\n" % status + expected
    assert interaction.track.ended is closes


@pytest.mark.parametrize(("coding", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_body_that_was_kept_decoded_is_coded_again(coding: str, undo: Any) -> None:
    interaction, changes = answer("GET", 200, {"Content-Encoding": coding, "Content-Length": "1"}, PLAIN)
    head, _, body = interaction.track.octets.partition(b"\r\n\r\n")
    assert undo(body) == PLAIN
    assert head.endswith(b"Content-Encoding: %b\r\nContent-Length: %d" % (coding.encode(), len(body)))
    assert changes == [
        f"{coding} done again on a body that was kept decoded",
        "the Content-Length of a response corrected",
    ]


# ---------------------------------------------------------------------- HAR


def test_archive_of_a_browser_is_read() -> None:
    foreign = read_foreign((RECORDED / "browser.har").read_bytes(), "browser.har")
    page, basket, logo = foreign.interactions
    assert page.request is not None
    assert page.request.url == "http://shop.test/"
    head, _, chunked = page.track.octets.partition(b"\r\n\r\n")
    assert b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2" in head
    assert b"Transfer-Encoding: chunked" in head
    size, _, rest = chunked.partition(b"\r\n")
    assert gzip.decompress(rest[: int(size, 16)]) == "<p>déjà vu</p>\n".encode("latin-1")
    assert basket.request is not None
    assert basket.request.head_octets == (
        b"POST /basket?item=7 HTTP/1.1\r\nHost: api.shop.test\r\n"
        b"content-type: application/json\r\ncontent-length: 9\r\n\r\n"
    )
    assert basket.request.content == b'{"qty":1}'
    assert basket.track.octets == (
        b'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"total":1}'
    )
    assert logo.track.octets.endswith(b"\r\n\r\n\x89PNG\r\n\x1a\n")
    assert [(change.number, change.text) for change in foreign.changes] == [
        (1, "gzip done again on a body that was kept decoded"),
        (2, "HTTP/2 or later turned into HTTP/1.1"),
        (2, "Content-Encoding br dropped from a body that was kept decoded"),
        (2, "the Content-Length of a response corrected"),
        (4, "left out: a URL of the scheme 'wss', which is not HTTP"),
        (5, "left out: a request that got no answer"),
        (6, "left out: an answer whose content is not in the archive"),
    ]


def har(**request: Any) -> bytes:
    request = {"method": "POST", "url": "http://a.test/", "headers": [], **request}
    response = {"status": 200, "headers": [], "content": {"text": "x"}}
    return json.dumps({"log": {"entries": [{"request": request, "response": response}]}}).encode()


@pytest.mark.parametrize(
    ("posted", "body"),
    [
        pytest.param({"params": [{"name": "a b", "value": "1&2"}, {"name": "c"}]}, b"a+b=1%262&c=", id="form"),
        pytest.param({"text": "", "params": [{"name": "a", "value": None}]}, b"a=", id="form beside no text"),
        pytest.param({"params": None}, b"", id="neither"),
        pytest.param({"encoding": "base64", "text": "YWI="}, b"ab", id="base64"),
        pytest.param({"encoding": "base64"}, b"", id="no base64"),
    ],
)
def test_what_a_browser_posted_is_read_in_all_its_forms(posted: dict[str, Any], body: bytes) -> None:
    request = only(har(postData=posted)).request
    assert request is not None
    assert request.content == body


@pytest.mark.parametrize(
    ("request_parts", "reason"),
    [
        pytest.param({"headers": {"A": "b"}}, "'headers' must be a list of names and values", id="headers"),
        pytest.param({"postData": {"params": [7]}}, "'params' must be a list of names and values", id="form"),
        pytest.param({"postData": {"encoding": "base64", "text": 7}}, "base64 must be text", id="base64"),
    ],
)
def test_broken_archive_of_a_browser_is_refused(request_parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(CassetteFormatError, match=f"interaction 1 of HAR: {reason}"):
        read_foreign(har(**request_parts), "browser.har")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param("{type: binary, content: zz}", "no hexadecimal digits", id="digits"),
        pytest.param("{type: odd, content: a}", "of the type 'odd', which is not known here", id="type"),
        pytest.param("{type: json, content: {a: !!binary YQ==}}", "octets cannot be part of a JSON body", id="octets"),
    ],
)
def test_broken_body_of_cassetter_is_refused(body: str, reason: str) -> None:
    data = (
        f"version: 1\ninteractions:\n- request: {{method: POST, uri: 'http://a.test/', headers: {{}}, body: {body}}}\n"
        "  response: {status: 200, headers: {}, body: {type: none}}\n  recorded_at: 2026-01-01\n"
    )
    with pytest.raises(CassetteFormatError, match=f"line 3: interaction 1 of cassetter: .*{reason}"):
        read_foreign(data.encode(), "old.yaml")


# ---------------------------------------------------------------------- others


def test_exchanges_that_are_not_over_http_are_reported() -> None:
    data = (RECORDED / "cassetter_httpx.yaml").read_bytes() + (
        b"grpc_interactions:\n- request: {method: /a.B/C}\nws_interactions:\n- uri: ws://a.test/\n- uri: ws://b.test/\n"
    )
    foreign = read_foreign(data, "old.yaml")
    assert (foreign.format.title, len(foreign.interactions)) == ("cassetter", 19)
    assert [(change.number, change.text, change.is_loss) for change in foreign.changes] == [
        (1, "left out: an exchange over gRPC", True),
        (1, "left out: an exchange over WebSocket", True),
        (2, "left out: an exchange over WebSocket", True),
    ]


def test_cassettes_of_ruby_are_read() -> None:
    data = (
        b"---\nhttp_interactions:\n- request:\n    method: get\n    uri: http://a.test/data\n"
        b"    body: {encoding: US-ASCII, string: ''}\n    headers: {Accept: ['*/*']}\n"
        b"  response:\n    status: {code: 200, message: OK}\n    headers: {Content-Length: ['4']}\n"
        b"    body: {encoding: ISO-8859-1, string: 'caf\xc3\xa9'}\n    http_version: '1.1'\n"
        b"  recorded_at: Tue, 01 Nov 2011 04:58:44 GMT\nrecorded_with: VCR 2.0.0\n"
    )
    interaction = only(data)
    assert interaction.request is not None
    assert interaction.request.head_octets == b"GET /data HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n"
    assert interaction.track.octets == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncaf\xe9"


def test_a_time_that_is_half_a_character_is_no_time() -> None:
    entry = {"request": {"method": "GET", "uri": "http://a.test/"}, "response": {"status": {"code": 204}}}
    octets = json.dumps({"http_interactions": [{**entry, "recorded_at": "\ud800"}], "recorded_with": "betamax"})
    assert read_foreign(octets.encode(), "a.json").recorded is None
