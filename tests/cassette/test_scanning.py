"""The cassette file format, a file at a time: where its documents are, and what their first lines tell."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.format.yaml_format import dump_interaction, load_document, scan, scan_in_parts
from cassette_http.cassette.index import request_with
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Header, Interaction
from cassette_http.errors import CassetteFormatError
from tests.cassette.any_interactions import ODD_CHARACTERS, interactions

HEADER_LINES = b"cassette: 1\n---\n"


@pytest.mark.parametrize(
    ("first_line", "request_line"),
    [
        pytest.param("request: GET https://a/b", b"GET https://a/b", id="plain"),
        pytest.param("request: GET https://a/b?c=d?e", b"GET https://a/b", id="query"),
        pytest.param("request: CONNECT a:443", b"CONNECT a:443", id="authority"),
        pytest.param("request: 'GET https://a/b'", None, id="single-quoted"),
        pytest.param('request: "GET https://a/b"', None, id="double-quoted"),
        pytest.param("request:  GET https://a/b", None, id="two blanks"),
        pytest.param("request: GET https://a/b # comment", None, id="comment"),
        pytest.param("request: >-\n  GET https://a/b", None, id="folded"),
        pytest.param("response: 200 OK\nrequest: GET https://a/b", None, id="not first"),
        pytest.param("failed: https://a", None, id="connection failed"),
        pytest.param("tls: https://a", None, id="TLS"),
    ],
)
def test_request_lines_are_known_without_parsing(first_line: str, request_line: bytes | None) -> None:
    data = HEADER_LINES + first_line.encode() + b"\nrepeat: last\n---\n"
    header, document = scan(data, "x")
    assert header.request_line is None
    assert document.request_line == request_line
    assert document.octets == first_line.encode() + b"\nrepeat: last\n"
    assert document.line == 3


A_REQUEST = "request: GET http://a/\n"


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        pytest.param(f"cassette: 1\n---\n{A_REQUEST}---\n{A_REQUEST}---\n", [1, 3, 5], id="canonical"),
        pytest.param(f"---\ncassette: 1\n---\n{A_REQUEST}---\n", [2, 4], id="mark first"),
        pytest.param(f"# hello\n\n---\ncassette: 1\n---\n{A_REQUEST}---\n", [4, 6], id="comment first"),
        pytest.param(f"%YAML 1.1\n---\ncassette: 1\n---\n{A_REQUEST}---\n", [3, 5], id="directive"),
        pytest.param(f"cassette: 1\n--- # one\n{A_REQUEST}---  \n{A_REQUEST}---\n", [1, 2, 5], id="marks with more"),
        pytest.param(f"cassette: 1\n---\n\n---\n# c\n---\n{A_REQUEST}---\n", [1, 7], id="empty documents"),
        pytest.param(
            f"cassette: 1\n---\n---\n---\n{A_REQUEST}---\n---\n{A_REQUEST}---\n---\n", [1, 5, 8], id="marks in a row"
        ),
        pytest.param(f"\ufeffcassette: 1\n---\n{A_REQUEST}---\n", [1, 3], id="BOM"),
        pytest.param("cassette: 1\n---\nrequest: GET http://a/\n---\n".replace("\n", "\r\n"), [1, 3], id="CRLF"),
        pytest.param("{cassette: 1}\n--- {request: GET http://a/}\n---\n", [1, 2], id="flow style"),
        pytest.param(
            f"cassette: 1\n---\n{A_REQUEST}request body: |\n  ---\n  --- a\n---\n", [1, 3], id="marks in text"
        ),
    ],
)
def test_a_file_is_split_where_yaml_splits_it(text: str, starts: list[int]) -> None:
    documents = scan(text.encode(), "x")
    assert [document.line for document in documents] == starts
    loaded = [load_document(document.octets, "x", document.line) for document in documents]
    assert loaded[0] == Header()
    assert all(isinstance(one, Interaction) for one in loaded[1:])
    whole = [one for one in yaml.safe_load_all(text) if one is not None]
    assert len(whole) == len(documents)


def test_the_character_set_that_counts_without_one_may_be_written_by_hand() -> None:
    text = "cassette: 1\n---\nrequest: GET http://a.test/\nresponse: 200 OK\nresponse body: été\n{}---\n"
    recorded = [
        loaded
        for wire in ("", "wire: {charset: utf-8}\n")
        for document in scan(text.format(wire).encode(), "x")
        if isinstance(loaded := document.load("x"), Interaction)
    ]
    assert recorded == [recorded[0]] * 2
    assert recorded[0].track.octets.endswith("été".encode())


@pytest.mark.parametrize(
    ("lines", "is_doubtful"),
    [
        pytest.param("request headers: |\n  Host: a\n\n  origin: b\nresponse: 200 OK\n# c\n", False, id="canonical"),
        pytest.param("interim:\n- |\n  HTTP/1.1 100 Continue\nrepeat: last\n", False, id="other keys"),
        pytest.param("origin: http://b\n", True, id="origin"),
        pytest.param("via: http://b\n", True, id="via"),
        pytest.param("repeat: last\ntarget: /c\n", True, id="target"),
        pytest.param("'origin': http://b\n", True, id="quoted"),
        pytest.param('"\\x6frigin": http://b\n', True, id="escaped"),
        pytest.param("? origin\n: http://b\n", True, id="complex key"),
        pytest.param("!!str origin: http://b\n", True, id="tag"),
        pytest.param("repeat: last\rorigin: http://b\n", True, id="CR"),
        pytest.param("repeat: last\x85origin: http://b\n", True, id="NEL"),
        pytest.param("repeat: last\u2028origin: http://b\n", True, id="LS"),
    ],
)
def test_documents_may_say_more_of_a_request_than_their_line(lines: str, is_doubtful: bool) -> None:
    documents = scan(f"cassette: 1\n---\n{A_REQUEST}---\n{A_REQUEST}{lines}---\n{A_REQUEST}---\n".encode(), "x")
    assert [at for at in range(4) if at in documents.find_doubtful()] in ([2] if is_doubtful else [], [0, 1, 2, 3])
    assert (2 in documents.find_doubtful()) is is_doubtful


@given(interactions(), st.data())
def test_a_line_tells_the_request_unless_its_document_is_doubtful(recorded: Interaction, data: st.DataObject) -> None:
    text = dump_interaction(recorded).decode()
    at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    inserted = data.draw(st.text(ODD_CHARACTERS + "aA1", max_size=3) | odd_keys)
    whole = f"cassette: 1\n---\n{text[:at]}{inserted}{text[at + cut :]}\n---\n"
    with suppress(CassetteFormatError):
        documents = scan(whole.encode(), "x")
        doubtful = documents.find_doubtful()
        for position, line in enumerate(documents.request_lines):
            if line is not None and position not in doubtful and (told := request_with(line)) is not None:
                loaded = documents[position].load("x")
                assert isinstance(loaded, Interaction)
                assert loaded.request is not None
                assert MATCHING.line_key(loaded.request) == MATCHING.line_key(told)


odd_keys = st.sampled_from(
    ["\norigin: http://b\n", "\ntarget: /b\n", "\n'target': /b\n", "\x85target: /b\n", "\n", " /"]
)
MATCHING = resolve(DEFAULT_MATCH)


def documents_line_by_line(data: bytes) -> list[bytes]:
    """Split as `scan` does, but plainly."""
    documents = [b""]
    for line in data.split(b"\n"):
        rest = re.fullmatch(rb"---(?:(?=\r)|[ \t]+|\Z)\r?(.*)", line, re.DOTALL)
        if rest is None:
            documents[-1] += line + b"\n"
        else:
            documents.append(rest[1] + b"\n" if rest[1] else b"")
    return [one for one in documents if re.sub(rb"(?m)^[ \t\r]*[#%].*", b"", one).strip(b" \t\r\n")]


lines_of_files = st.sampled_from(
    [
        "---",
        "--- ",
        "---\t\r",
        "---\r",
        "--- a: b",
        "---a",
        " ---",
        "----",
        "--",
        "...",
        "",
        "\r",
        "# c",
        "%d",
        "a: b",
        "-",
    ]
    + ["request: GET http://a/", "request: GET http://a/?b", "request: GET  http://a/", "request: GET http://a/\r"]
)


@given(st.lists(lines_of_files, max_size=12), st.sampled_from(["", "\ufeff", "---\n", "# c\n---\n"]))
def test_any_lines_are_split_as_they_are_one_by_one(lines: list[str], beginning: str) -> None:
    data = "\n".join([beginning + "cassette: 1", "---", *lines, "---", ""]).encode()
    documents = scan(data, "x")
    assert [one.octets for one in documents] == documents_line_by_line(data.removeprefix("\ufeff".encode()))
    for document in documents:
        found = re.match(rb"request: (GET http://a/)(\?b)?\n", document.octets)
        assert document.request_line == (found[1] if found is not None else None)


@pytest.mark.parametrize("beginning", ["cassette: 1\n---\n", "# c\n---\n" * 100 + "cassette: 1\n---\n"])
@pytest.mark.parametrize("count", [0, 1, 62, 63, 64, 65, 1000])
@pytest.mark.parametrize("ending", ["", "# c\n---\n", "request: GET"])
@pytest.mark.filterwarnings("ignore:.*no closing line:cassette_http.CassetteWarning")
def test_parts_of_a_file_are_together_all_of_it(beginning: str, count: int, ending: str) -> None:
    data = (beginning + "".join(f"request: GET http://a/{n}\n---\n" for n in range(count)) + ending).encode()
    assert [one for part in scan_in_parts(data, "x") for one in part] == list(scan(data, "x"))


def test_what_is_wrong_with_a_whole_file_is_found_before_its_last_part() -> None:
    data = b"cassette: 1\n---\n" + b"request: GET http://a/\n---\n" * 1000
    with pytest.raises(CassetteFormatError, match="line 2003: this is an unresolved merge conflict"):
        scan_in_parts(data + b"<<<<<<< HEAD\n---\n", "x")
    with pytest.raises(CassetteFormatError, match="does not begin with 'cassette: 1'"):
        scan_in_parts(data.partition(b"---\n")[2], "x")
