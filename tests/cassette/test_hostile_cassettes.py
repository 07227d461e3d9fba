"""A cassette is data: whatever it says, opening it takes little time and memory, and leaves it as it is."""

from __future__ import annotations

import http.client
import json
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http import use_cassette
from cassette_http.cassette.format.yaml_format import scan
from cassette_http.cassette.limits import LARGEST_CASSETTE_OCTETS
from cassette_http.errors import CassetteFormatError, CassetteWarning

# What is promised for anything up to the largest cassette.
LIMIT_CPU_S = 5
LIMIT_MIB = 256

FULL = LARGEST_CASSETTE_OCTETS - 4096
ONE = 15 << 20  # of a single document: almost the largest one

LINE_BREAK = re.compile(rb"\r\n|[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9]")  # YAML 1.1, section 4.2
BEGINNING = b"cassette: 1\n---\n"
ASKED = BEGINNING + b"request: GET http://api.test/\nresponse: 200 OK\n"
HEADERS = b"response headers: |\n  Content-Encoding: gzip\n"


def many(unit: bytes, octets: int) -> bytes:
    return unit * (octets // len(unit))


def wire(octets: bytes) -> bytes:
    return ASKED + b"wire: " + octets + b"\n---\n"


def body(octets: bytes, rest: bytes = b"") -> bytes:
    return ASKED + b"response body: " + octets + b"\n" + rest + b"---\n"


# What the file holds (made late, as it is large), and what is said about it; nothing if it is a cassette.
TABLE = [
    pytest.param(lambda: wire(b"[" * ONE), "nesting|nested", id="deep sequences"),
    pytest.param(lambda: wire(many(b"{a: ", ONE)), "nested deeper than 16", id="deep mappings"),
    pytest.param(lambda: wire(b"\n" + many(b"- ", ONE)), "nested deeper than 16", id="deep block sequences"),
    pytest.param(lambda: wire(b"{at: [" + many(b"1, ", ONE) + b"1]}"), "more than 100,000 nodes", id="long list"),
    pytest.param(
        lambda: wire(b"{pieces: [" + many(b"0, ", ONE) + b"1]}"), "more than 100,000 nodes", id="empty pieces"
    ),
    pytest.param(lambda: wire(b"{chunks: [1*999999999]}"), "more than 200,000 sizes", id="run of chunks"),
    pytest.param(
        lambda: (
            BEGINNING + many(b"request: GET http://a/\nresponse body: x\nwire: {pieces: [0*200000]}\n---\n", 5 << 20)
        ),
        "'response' is missing",
        id="runs of pieces",
    ),
    pytest.param(lambda: BEGINNING + many(b"a\n---\n", FULL), "is a mapping", id="tiny documents"),
    pytest.param(
        lambda: BEGINNING + many(b"request: GET http://a/\n---\n", FULL),
        "more than 100,000 documents",
        id="many documents",
    ),
    pytest.param(
        lambda: BEGINNING + many(b"request: GET http://a/\n---\n", FULL), "100,000 documents", id="tiny requests"
    ),
    pytest.param(lambda: BEGINNING + many(b"request: GET http://a/\n---\n", 99_000 * 27), None, id="most requests"),
    pytest.param(lambda: BEGINNING + many(b"a: b\n", ONE) + b"---\n", "the key 'a' occurs twice", id="a: b"),
    pytest.param(lambda: BEGINNING + b"\n" * FULL, None, id="empty lines"),
    pytest.param(lambda: BEGINNING + many(b"# comment\n", FULL), None, id="comments"),
    pytest.param(lambda: BEGINNING + b"request: GET http://a/" + b"a" * ONE + b"\n---\n", None, id="long URL"),
    pytest.param(
        lambda: BEGINNING + b"request: GET http://a/" + b"a" * FULL + b"\n---\n", "more than 16 MiB", id="longest URL"
    ),
    pytest.param(lambda: body(b'"' + many(b"\\u1234", ONE) + b'"'), None, id="long quoted text"),
    pytest.param(lambda: body(b"|+\n  a\n" + b"\n" * ONE), None, id="long text of empty lines"),
    pytest.param(lambda: body(b"|\n" + many("  ä\u2028\n".encode(), ONE)), None, id="long text with odd characters"),
    pytest.param(lambda: body(b'"' + b"a" * FULL), "more than 16 MiB", id="quote that never ends"),
    pytest.param(lambda: body(b"!!binary |\n" + many(b"  " + b"!" * 70 + b"\n", ONE)), "not base64", id="no base64"),
    pytest.param(lambda: body(b"!!binary |\n" + many(b"  " + b"A" * 72 + b"\n", ONE)), None, id="much base64"),
    pytest.param(
        lambda: body(b"|\n" + many(b"  [1, 2,\n", ONE), b"wire: {body: json compact}\n"), "is shown as it is", id="JSON"
    ),
    pytest.param(
        lambda: ASKED + HEADERS + b"response body: |\n" + many(b"  aaaaaaa\n", ONE) + b"wire: {coding: gzip 9}\n---\n",
        "too long",
        id="much to compress",
    ),
    pytest.param(
        lambda: ASKED + b"response trailers: |\n" + many(b"  A: b\n", ONE) + b"wire: {chunks: [1]}\n---\n",
        "more than 10,000 lines",
        id="trailers",
    ),
    pytest.param(
        lambda: BEGINNING + b"request: GET http://a/\ninterim:\n" + many(b"- |\n  HTTP/1.1 100 C\n", ONE) + b"---\n",
        "more than 100,000 nodes",
        id="interim responses",
    ),
    pytest.param(
        lambda: (
            BEGINNING
            + b"a: &a [x,x]\n"
            + b"".join(b"%c: &%c [*%c,*%c]\n" % (n, n, n - 1, n - 1) for n in range(98, 123))
            + b"---\n"
        ),
        "anchors and aliases",
        id="aliases of aliases",
    ),
    pytest.param(lambda: wire(b"{a: 1, <<: {b: 1}}"), "merge keys", id="merge key"),
    pytest.param(lambda: body(b"!!python/object/apply:os.system [id]"), "tag .* is not allowed", id="tag of Python"),
    pytest.param(lambda: BEGINNING + many(b"<<<<<<< a\n", FULL), "merge conflict", id="conflicts"),
    pytest.param(lambda: b'{"http_interactions": ' + b"[" * FULL, "nested", id="deep JSON of another recorder"),
    pytest.param(lambda: b"interactions:\n- " + b"[" * FULL, "nesting|nested", id="deep YAML of another recorder"),
]

# Opens each file that it is told of in a process of its own, in which all is imported already.
PROGRAM = """
import json, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from cassette_http import CassetteFormatError, use_cassette
import cassette_http.cassette.format.yaml_reading, cassette_http.convert.formats, cassette_http.session

def peak_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

for line in sys.stdin:
    if os.fork():
        os.wait()
        print(flush=True)
        continue
    signal.alarm(120)
    before, error = peak_mib(), None
    try:
        with use_cassette(line.rstrip("\\n"), "none") as cassette:
            for entry in cassette._index.entries:
                entry.interaction, entry.release()
    except CassetteFormatError as refused:
        error = [refused.path, refused.line, refused.reason]
    print(json.dumps([error, time.process_time(), peak_mib() - before]), end="", flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def open_elsewhere() -> Iterator[Callable[[Path], Any]]:
    """Open a cassette in another process: how it was refused or None, seconds of CPU, MiB at the peak."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def open_there(path: Path) -> Any:
            asked.write(f"{path}\n")
            return json.loads(answers.readline())

        yield open_there
        asked.close()
        assert process.wait(10) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is told by /proc")
@pytest.mark.parametrize(("write", "reason"), TABLE)
def test_opening_takes_little_time_and_memory(
    write: Callable[[], bytes], reason: str | None, tmp_path: Path, open_elsewhere: Callable[[Path], Any]
) -> None:
    path = tmp_path / "hostile.yaml"
    octets = write()
    path.write_bytes(octets)
    error, cpu_s, mib = open_elsewhere(path)
    assert cpu_s < LIMIT_CPU_S
    assert mib < LIMIT_MIB
    assert path.read_bytes() == octets
    if reason is None:
        assert error is None
    else:
        assert error is not None
        refused = CassetteFormatError(*error)
        assert refused.path == str(path)
        with pytest.raises(CassetteFormatError, match=reason):
            raise refused


LONG = b"9" * 100_000


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(wire(b"{chunks: [%b]}" % LONG), id="number"),
        pytest.param(body(b"x", b"wire: {coding: x%b}\n" % LONG), id="coding"),
        pytest.param(ASKED + b"repeat: %b\n---\n" % LONG, id="choice"),
        pytest.param(body(b"!!a%b x" % LONG), id="tag"),
    ],
)
def test_a_refusal_quotes_little_of_a_long_value(octets: bytes) -> None:
    document = scan(octets, "a.yaml")[1]
    with pytest.raises(CassetteFormatError, match="99 … ") as refused:
        document.load("a.yaml")
    assert len(str(refused.value)) < 1100


# ---------------------------------------------------------------------- mutations

GOOD = (
    BEGINNING
    + b"""tls: https://api.test
version: TLSv1.3
cipher: [TLS_AES_256_GCM_SHA384, TLSv1.3, 256]
certificate: !!binary |
  MIIBAg==
---
request: POST https://api.test/a?b=c
request headers: |
  Host: api.test
  Content-Length: 7
request body: |-
  {"a":1}
request wire: {version: HTTP/1.0}
interim:
- |
  HTTP/1.1 103 Early Hints
  A: b
response: 200 OK
response headers: |
  Content-Encoding: gzip
  Transfer-Encoding: chunked
response body: |-
  {
    "id": 7
  }
response trailers: |
  A: b
failure: {kind: reset, errno: ECONNRESET, text: "Connection reset", at: 0.3, details: {args: [1, x]}}
repeat: last
wire: {body: json compact, coding: gzip 6, chunks: [20, 7], pieces: [100, 50], at: [0.1, 0.2], sent: [null, 3]}
---
failed: https://api.test
failure: {kind: connect failed, errno: ECONNREFUSED}
---
request octets: "GET / HTTP/1.1\\r\\nA:\\r b\\r\\n\\r\\n"
origin: http://api.test
response octets: !!binary |
  AAEC
---
"""
)
TOKENS = [
    *(
        b"---\n",
        b"...\n",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"&a ",
        b"*a",
        b"!!python/name:os.system ",
        b"!!binary ",
        b"<<: ",
        b"? ",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b"|",
        b">",
        b"#",
        b"%YAML 1.1\n",
        b": ",
        b"- ",
        b"\0",
        b"\xff",
        b"\xe2\x80\xa8",
    ),
    *(
        b"cassette: 2\n",
        b"request: GET /\n",
        b"1*999999999",
        b"-1",
        b"1e999",
        b".nan",
        b"~",
        b"blob: ../x",
        b"\xef\xbb\xbf",
    ),
    *(
        b"9" * 5000,
        b"\\u0000",
        b"\\ud800",
        b"{blob: blobs/" + b"a" * 64 + b", octets: 1}",
        b"gzip 99",
        b"chunked",
        b"\x85",
    ),
]


@given(st.data())
def test_whatever_is_done_to_a_cassette_is_read_or_refused_in_one_way(data: st.DataObject) -> None:
    octets = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(octets)))
        stop = data.draw(st.integers(start, min(len(octets), start + 40)))
        kind = data.draw(st.sampled_from(["token", "remove", "repeat", "octets", "cut"]))
        if kind == "token":
            octets[start:start] = data.draw(st.sampled_from(TOKENS))
        elif kind == "remove":
            del octets[start:stop]
        elif kind == "repeat":
            octets[start:start] = octets[start:stop]
        elif kind == "octets":
            octets[start:stop] = data.draw(st.binary(max_size=8))
        else:
            del octets[start:]
    assert_is_read_or_refused(bytes(octets))


def test_every_line_may_be_missing_twice_or_elsewhere() -> None:
    lines = GOOD.splitlines(keepends=True)
    chance = random.Random(5)
    for at, line in enumerate(lines):
        without = lines[:at] + lines[at + 1 :]
        elsewhere = chance.randrange(len(without))
        for changed in (without, [*lines[:at], line, *lines[at:]], [*without[:elsewhere], line, *without[elsewhere:]]):
            assert_is_read_or_refused(b"".join(changed))


VALUES = [b"[a]", b"{a: b}", b"[[]]", b"~", b"7", b".nan", b"true", b"''", b"-1e999", b'"\\0"', b"!!binary AA=="]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.decode())
def test_every_key_may_have_a_value_of_another_type(value: bytes) -> None:
    for found in re.finditer(rb"(?<=: )(?=([^,{}\[\]\n]+(?=[,}\n])|[\[{].*))", GOOD):
        assert_is_read_or_refused(GOOD[: found.start()] + value + GOOD[found.end(1) :])


@pytest.mark.parametrize(
    "request_of_file",
    [
        b"origin: http://api.test\nrequest octets: ''\n",
        b"origin: http://api.test\nrequest octets: |\n  no request\n",
        b"request: GET http://api.test/a\nrequest body: a\nrequest headers: |\n  Content-Length: x\n",
        b"request: GET http://api.test/a\nrequest body: a\nrequest headers: |\n  Content-Length: 1, 2\n",
        b"request: GET http://api.test/a\nrequest body: a\nrequest headers: |\n  Transfer-Encoding: gzip\n",
    ],
    ids=["nothing", "a word", "no length", "two lengths", "unknown transfer coding"],
)
def test_a_request_that_is_none_answers_no_other(request_of_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    good = b"request: GET http://api.test/a\nresponse: 204 No Content\nresponse headers: |\n  A: b\n"
    path.write_bytes(BEGINNING + request_of_file + b"response: 200 OK\n---\n" + good + b"---\n")
    with use_cassette(path, "none", ignore=["query:a"]):
        connection = http.client.HTTPConnection("api.test")
        connection.request("GET", "/a?a=1")
        assert connection.getresponse().status == 204
        connection.close()


def assert_is_read_or_refused(octets: bytes) -> None:
    refused = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CassetteWarning)
        try:
            for document in scan(octets, "changed.yaml"):
                document.load("changed.yaml")
        except CassetteFormatError as error:
            refused = error
    if refused is not None:
        assert (refused.path, bool(refused.reason)) == ("changed.yaml", True)
        assert refused.line is None or 1 <= refused.line <= len(LINE_BREAK.findall(octets)) + 1
