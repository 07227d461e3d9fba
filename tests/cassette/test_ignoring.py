"""What does not count when requests are compared."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http import InvalidOption
from cassette_http.cassette.matching import DEFAULT_MATCH, Matching, resolve
from cassette_http.cassette.model import Origin, Request

ORIGIN = Origin("https", "api.test", 443)
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b1"


def request(target: str = "/a", *fields: str, body: bytes = b"") -> Request:
    head = "\r\n".join([f"POST {target} HTTP/1.1", *fields, f"Content-Length: {len(body)}", "", ""])
    return Request(ORIGIN, head.encode("latin-1"), body)


def key(matching: Matching, one: Request) -> object:
    return matching.key(matching.strip(one))


def part(name: str, content: str, boundary: str = "b1") -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{content}\r\n'.encode()


def form(*parts: bytes) -> Request:
    return request("/a", MULTIPART, body=b"".join(parts) + b"--b1--\r\n")


@pytest.mark.parametrize(
    ("ignore", "one", "other", "is_same"),
    [
        pytest.param("query:ts", request("/a?ts=1&b=2"), request("/a?b=2&ts=9"), True, id="pair of a query"),
        pytest.param("query:ts", request("/a?ts=1&b=2"), request("/a?b=2"), True, id="pair that may be missing"),
        pytest.param("query:ts", request("/a?ts=1"), request("/a"), True, id="only pair"),
        pytest.param("query:ts", request("/a?ts=1&b=2"), request("/a?ts=1&b=3"), False, id="other pairs count"),
        pytest.param("query:ts", request("/a?%74s=1"), request("/a?ts=9"), True, id="percent-encoded name"),
        pytest.param("query:a b", request("/a?a+b=1"), request("/a?a%20b=9"), True, id="blank in a name"),
        pytest.param(
            "query:größe", request("/a?gr%C3%B6%C3%9Fe=1"), request("/a?gr\xc3\xb6\xc3\x9fe=2"), True, id="UTF-8"
        ),
        pytest.param("query:TS", request("/a?ts=1"), request("/a?ts=9"), False, id="case of a name counts"),
        pytest.param(
            "query:ts", request("/a", FORM, body=b"ts=1"), request("/a", FORM, body=b"ts=9"), False, id="place"
        ),
        pytest.param("form:ts", request("/a", FORM, body=b"ts=1&b"), request("/a", FORM, body=b"b"), True, id="form"),
        pytest.param("header:X-Id", request("/a", "x-id: 1"), request("/a", "X-ID: 2"), True, id="header"),
        pytest.param("header:X-Id", request("/a", "x-id: 1", "b: 1"), request("/a", "b: 2"), False, id="other header"),
        pytest.param(
            "$.meta.id",
            request("/a", JSON, body=b'{"meta": {"id": 1, "v": 1.0}, "id": 1}'),
            request("/a", JSON, body=b'{"id": 1, "meta": {"v": 1, "id": 22222}}'),
            True,
            id="path into JSON",
        ),
        pytest.param(
            "json:$.meta.id",
            request("/a", JSON, body=b'{"meta": {"id": 1}, "id": 1}'),
            request("/a", JSON, body=b'{"meta": {"id": 1}, "id": 2}'),
            False,
            id="path into JSON, another member",
        ),
        pytest.param(
            "$.items[*].id",
            request("/a", JSON, body=b'{"items": [{"id": 1, "n": 1}, {"id": 2, "n": 2}]}'),
            request("/a", JSON, body=b'{"items": [{"n": 1}, {"id": 7, "n": 2}]}'),
            True,
            id="path over a list",
        ),
        pytest.param(
            "$.items[0]",
            request("/a", JSON, body=b'{"items": [1, 2]}'),
            request("/a", JSON, body=b'{"items": [9, 2]}'),
            True,
            id="member of a list",
        ),
        pytest.param(
            "json:id",
            request("/a", JSON, body=b'[{"a": {"id": 1}}, {"id": [2]}]'),
            request("/a", JSON, body=b'[{"a": {"id": 3}}, {}]'),
            True,
            id="member at any depth",
        ),
        pytest.param(
            "json:id", request("/a", body=b"not JSON id"), request("/a", body=b"not JSON if"), False, id="no JSON"
        ),
        pytest.param(
            "$.id",
            request("/a", JSON, "Content-Encoding: gzip", body=gzip.compress(b'{"id": 1}')),
            request("/a", JSON, "Content-Encoding: gzip", body=gzip.compress(b'{"id": 22}', 1)),
            True,
            id="under a content coding",
        ),
        pytest.param("multipart:id", form(part("id", "1"), part("b", "2")), form(part("b", "2")), True, id="multipart"),
        pytest.param(
            "multipart:id", form(part("id", "1"), part("b", "2")), form(part("b", "3")), False, id="other part"
        ),
        pytest.param("ts", request("/a?ts=1"), request("/a?ts=2"), True, id="name anywhere: query"),
        pytest.param("ts", request("/a", FORM, body=b"ts=1"), request("/a", FORM), True, id="name anywhere: form"),
        pytest.param(
            "ts", request("/a", body=b'{"ts": 1}'), request("/a", body=b'{"ts": 2}'), True, id="name anywhere: JSON"
        ),
        pytest.param("ts", request("/a", "TS: 1"), request("/a"), True, id="name anywhere: header"),
    ],
)
def test_what_is_ignored_does_not_count(ignore: str, one: Request, other: Request, is_same: bool) -> None:
    # The length of a content with and without what does not count is another one.
    matching = resolve([*DEFAULT_MATCH, "headers"], [ignore, "header:content-length"])
    assert (key(matching, one) == key(matching, other)) is is_same


def test_several_rules_work_together_and_functions_see_what_is_left() -> None:
    matching = resolve(["path", lambda sent: sent.url], ["query:a", "query:b"])
    assert key(matching, request("/x?a=1&c=3&b=2")) == ("/x", "https://api.test/x?c=3")


def test_nothing_ignored_gives_the_very_same_request() -> None:
    one = request("/x?a=1", JSON, body=b'{"a": 1}')
    assert resolve(DEFAULT_MATCH).strip(one) is one
    assert resolve(DEFAULT_MATCH, ["query:b", "$.b", "form:a", "header:b", "multipart:a"]).strip(one) is one


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (7, r'a rule of ignore= looks like "query:page", "header:Date" or "\$\.id", not 7'),
        ("", "a rule of ignore= looks like"),
        ("qury:page", "ignore='qury:page': there is no place 'qury'; did you mean \"query\""),
        ("$", r"ignore='\$': the path is empty"),
        ("$.a[", r"ignore='\$\.a\[': a path into JSON looks like"),
        ("query", r"ignore='query' may mean .* left out of match=, .* say where it stands, as in \"json:query\""),
        ("body", "ignore='body' may mean"),
        ("header", "ignore='header' may mean"),
        ("xml:a", r"there is no place 'xml'.*\(the places are: header, query, form, json, multipart\)"),
    ],
)
def test_rule_that_makes_no_sense_is_reported(rule: object, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        resolve(DEFAULT_MATCH, [rule])  # type: ignore[list-item]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abt"), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_VALUES, st.integers())
def test_any_value_in_an_ignored_place_is_the_same(value: object, ts: int) -> None:
    matching = resolve(DEFAULT_MATCH, ["json:t"])
    first, second = (request().with_json({"value": value, "t": each}) for each in (ts, [value]))
    assert key(matching, first) == key(matching, second)
