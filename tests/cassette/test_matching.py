"""Which requests are the same, by named matchers and by those of users."""

from __future__ import annotations

import gzip
import json
import operator
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http import InvalidOption
from cassette_http.cassette import explaining
from cassette_http.cassette.decoding import MAX_DECODED_OCTETS
from cassette_http.cassette.matching import DEFAULT_MATCH, NAMED, fields, resolve
from cassette_http.cassette.model import Origin, Request
from cassette_http.wire.chunking import chunk, last_chunk
from tests.cassette.compared import FILE, FORM, JSON, ORIGIN, differences, multipart, post, request, same


@pytest.mark.parametrize(
    ("match", "left", "right", "expected"),
    [
        pytest.param("method", request(), request(method="GET"), True, id="same method"),
        pytest.param("method", request(), request(method="get"), False, id="methods are case-sensitive"),
        pytest.param("scheme", request(), request(origin=Origin("http", "api.test", 443)), False, id="scheme"),
        pytest.param("host", request(), request(origin=Origin("https", "b.test", 443)), False, id="host"),
        pytest.param("host", request(), request(origin=Origin("https", "api.test", 1)), True, id="not the port"),
        pytest.param("port", request(), request(origin=Origin("https", "api.test", 444)), False, id="port"),
        pytest.param("path", request("/a?b"), request("/a?c"), True, id="a path has no query"),
        pytest.param("path", request("/a/b"), request("/a/b/"), False, id="a final slash counts"),
        pytest.param("path", request("/%7ea%2f"), request("/~a%2F"), True, id="spelling of percent-encoding"),
        pytest.param("path", request("/a%2Fb"), request("/a/b"), False, id="an encoded slash is none"),
        pytest.param("path", request("/a+b"), request("/a%20b"), False, id="plus is plus in a path"),
        pytest.param("path", request("/%zz"), request("/%ZZ"), False, id="what is no percent-encoding stays"),
        pytest.param("path", request("http://api.test/a?b"), request("/a"), True, id="absolute form"),
        pytest.param("path", request("http://api.test?b"), request("/"), True, id="absolute form without path"),
        pytest.param("path", request("*", method="OPTIONS"), request("/"), False, id="asterisk form"),
        pytest.param(
            "path",
            request("a:1", method="CONNECT"),
            request("a:2", method="CONNECT"),
            False,
            id="authority form",
        ),
        pytest.param("query", request("/?a=1&b=2"), request("/?b=2&a=1"), True, id="order across names"),
        pytest.param("query", request("/?a=1&a=2"), request("/?a=2&a=1"), False, id="order within a name"),
        pytest.param("query", request("/?a"), request("/?a="), False, id="no value is not an empty one"),
        pytest.param("query", request("/?a"), request("/"), False, id="a pair without value counts"),
        pytest.param("query", request("/?"), request("/"), True, id="an empty query is none"),
        pytest.param("query", request("/?a=1&&b"), request("/?a=1&b"), True, id="nothing between ampersands"),
        pytest.param("query", request("/?a=b+c"), request("/?a=b%20c"), True, id="plus is a space in a query"),
        pytest.param("query", request("/?a=b%2bc"), request("/?a=b+c"), False, id="an encoded plus is none"),
        pytest.param("query", request("/?X-Amz-Date=1&a"), request("/?a&x-amz-date=2"), True, id="time of a signature"),
        pytest.param("query", request("/?Expires=1141889120"), request("/?Expires=1741999120"), True, id="end of one"),
        pytest.param("query", request("/?expires=soon"), request("/?expires=late"), False, id="another end"),
        pytest.param("query", request("/?se=a&sv=2026-01-01"), request("/?sv=2026-01-01&se=b"), True, id="Azure's end"),
        pytest.param("query", request("/?st=a&se=b&sv=1"), request("/?st=b&se=b&sv=1"), False, id="names as Azure's"),
        pytest.param("query", request("/?sv=2026-01-01"), request("/?sv=2026-01-02"), False, id="Azure's version"),
        pytest.param("query", request("/?a=%7e"), request("/?a=~"), True, id="spelling in a query"),
        pytest.param("query", request("/?a=b%26c"), request("/?a=b&c"), False, id="an encoded ampersand is none"),
        pytest.param("query", request("/?a=b=c"), request("/?a=b%3Dc"), True, id="values may have equals signs"),
        pytest.param("query", request("/?a%5Bb%5D=c%2Cd"), request("/?a[b]=c,d"), True, id="a decoded query"),
        pytest.param("query", request("/?a%3Db=c"), request("/?a=b%3Dc"), False, id="an equals sign in a name"),
        pytest.param("query", request("/?a=%252C"), request("/?a=%2C"), False, id="decoded once"),
        pytest.param("query", request("/?a=%C3%A9"), request("/?a=\xc3\xa9"), True, id="octets beyond ASCII"),
        pytest.param("uri", request("/?a=1&b=2"), request("/?b=2&a=1"), False, id="uri is as sent"),
        pytest.param("uri", request("/a"), request("https://api.test/a"), True, id="uri in absolute form"),
        pytest.param("headers", request("/", ("A", "1")), request("/", ("a", "1")), True, id="case of names"),
        pytest.param("headers", request("/", ("A", "x")), request("/", ("A", "X")), False, id="case of values"),
        pytest.param("headers", request("/", ("A", "1")), request("/"), False, id="a field more"),
        pytest.param(
            "headers",
            request("/", ("Content-Type", "multipart/mixed; boundary=a")),
            request("/", ("Content-Type", 'multipart/mixed; boundary="b"')),
            True,
            id="boundaries are no difference",
        ),
        pytest.param("raw_body", post(b"a"), post(b"b"), False, id="raw body"),
        pytest.param("raw_body", post(b'{"a":1}', JSON), post(b'{"a": 1}', JSON), False, id="raw is not meant"),
        pytest.param("raw_body", post(b"a" * 100), post(b"a" * 99 + b"b"), False, id="long raw bodies"),
        pytest.param("raw-body", post(b"a"), post(b"a"), True, id="hyphen in a name"),
    ],
)
def test_named_matchers(match: str, left: Request, right: Request, expected: bool) -> None:
    assert same(match, left, right) is expected


def chunked(*pieces: bytes, coding: str = "") -> Request:
    lines = [JSON, ("Transfer-Encoding", "chunked")] + ([("Content-Encoding", coding)] if coding else [])
    plain = request("/", *lines, method="POST")
    return Request(ORIGIN, plain.head_octets, b"".join(map(chunk, pieces)) + last_chunk())


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param(post(b'{"a": 1, "b": 2}', JSON), post(b'{"b":2,"a":1}', JSON), True, id="order of names"),
        pytest.param(post(b"[1, 2]", JSON), post(b"[2, 1]", JSON), False, id="order of members"),
        pytest.param(post(b'{"a": 1}', JSON), post(b'{"a": 1.0}', JSON), True, id="1 is 1.0"),
        pytest.param(post(b'{"a": 100}', JSON), post(b'{"a": 1.0e2}', JSON), True, id="100 is 1.0e2"),
        pytest.param(post(b"[0]", JSON), post(b"[-0.0]", JSON), True, id="zero has no sign"),
        pytest.param(post(b"[1.5]", JSON), post(b"[1.25]", JSON), False, id="fractions"),
        pytest.param(post(b'{"a": 1}', JSON), post(b'{"a": "1"}', JSON), False, id="a number is no string"),
        pytest.param(post(b'{"a": 1}', JSON), post(b'{"a": true}', JSON), False, id="true is no number"),
        pytest.param(post(b'{"a": null}', JSON), post(b"{}", JSON), False, id="null is not missing"),
        pytest.param(post(rb'["\u00e9\/"]', JSON), post('["é/"]'.encode(), JSON), True, id="spelling of strings"),
        pytest.param(post(b'{"a":1,"a":2}', JSON), post(b'{"a":2}', JSON), True, id="last of equal names"),
        pytest.param(post(b"[1e400]", JSON), post(b"[1]", JSON), False, id="a number beyond all floats"),
        pytest.param(
            post(b"[" + b"9" * 5000 + b"]", JSON),
            post(b"[" + b"9" * 4999 + b"]", JSON),
            False,
            id="long numbers",
        ),
        pytest.param(
            post(b"[9007199254740993]", JSON),
            post(b"[9007199254740992]", JSON),
            False,
            id="large whole numbers",
        ),
        pytest.param(
            post(b'{"a":1}', ("Content-Type", "application/vnd.api+json; v=1")),
            post(b'{"a": 1}', JSON),
            True,
            id="+json",
        ),
        pytest.param(post(b'{"a":1}'), post(b' {"a": 1}'), True, id="JSON without a type"),
        pytest.param(post(b'{"a":1}', FORM), post(b'{"a": 1}', FORM), True, id="JSON that says it is a form"),
        pytest.param(post(b'{"a":1', JSON), post(b'{"a": 1', JSON), False, id="broken JSON is octets"),
        pytest.param(post(b'{"\xff":1}', JSON), post(b'{"\xff": 1}', JSON), False, id="JSON that is no Unicode"),
        pytest.param(post('{"a":1}'.encode("utf-16"), JSON), post(b'{"a":1}', JSON), True, id="JSON in UTF-16"),
        pytest.param(chunked(b'{"a"', b":1}"), post(b'{"a": 1}', JSON), True, id="chunk borders"),
        pytest.param(
            chunked(gzip.compress(b'{"a":1}'), coding="gzip"), post(b'{"a":1}', JSON), True, id="chunked gzip"
        ),
        pytest.param(chunked(), request(method="POST"), True, id="no chunks are no content"),
        pytest.param(post(b"a=1&b=2", FORM), post(b"b=2&a=1", FORM), True, id="form"),
        pytest.param(post(b"a=1&a=2", FORM), post(b"a=2&a=1", FORM), False, id="form, order within a name"),
        pytest.param(post(b"a=1&b=2"), post(b"b=2&a=1"), False, id="a form has to say so"),
        pytest.param(multipart("x", (FILE, b"1")), multipart("yy", (FILE, b"1")), True, id="multipart boundary"),
        pytest.param(multipart("x", (FILE, b"1")), multipart("x", (FILE, b"2")), False, id="multipart content"),
        pytest.param(
            multipart("x", (FILE, b"1")),
            multipart("x", (FILE + "\r\nA: b", b"1")),
            False,
            id="multipart field",
        ),
        pytest.param(
            multipart("x", (FILE, b"1"), preamble=b"for old mail\r\n"),
            multipart("y", (FILE, b"1")),
            True,
            id="multipart preamble",
        ),
        pytest.param(
            multipart("x", (FILE, b"1"), end=""),
            multipart("y", (FILE, b"1"), end=""),
            False,
            id="open multipart",
        ),
        pytest.param(
            post(b"--x\nA: b\n\n1\n--x--", ("Content-Type", "multipart/mixed; boundary=x")),
            post(b"--y\nA: b\n\n1\n--y--", ("Content-Type", "multipart/mixed; boundary=y")),
            True,
            id="multipart with bare line feeds",
        ),
        pytest.param(
            post(b"--x\nA: b\n\n1\n--x--", ("Content-Type", "multipart/mixed; boundary=x")),
            post(b"--y\nA: b\n\n2\n--y--", ("Content-Type", "multipart/mixed; boundary=y")),
            False,
            id="content of a multipart with bare line feeds",
        ),
        pytest.param(
            multipart("x", (FILE + "\r\nContent-ID: <f81d4fae+1>", b"1")),
            multipart("x", (FILE + "\r\nContent-ID: <08cc0b52+1>", b"1")),
            True,
            id="multipart with an identifier made up for each part",
        ),
        pytest.param(
            post(b"--x--", ("Content-Type", "multipart/mixed")),
            post(b"--y--", ("Content-Type", "multipart/mixed")),
            False,
            id="multipart that names no boundary",
        ),
        pytest.param(
            post(gzip.compress(b"a", 1), ("Content-Encoding", "gzip")),
            post(gzip.compress(b"a", 9), ("Content-Encoding", "X-GZIP")),
            True,
            id="gzip of any level and time",
        ),
        pytest.param(
            post(gzip.compress(b"a") + gzip.compress(b"b"), ("Content-Encoding", "gzip")),
            post(b"ab"),
            True,
            id="gzip of several members",
        ),
        pytest.param(
            post(zlib.compress(b"a"), ("Content-Encoding", "deflate")),
            post(zlib.compress(b"a")[2:-4], ("Content-Encoding", "deflate")),
            True,
            id="deflate, with and without zlib format",
        ),
        pytest.param(
            post(zlib.compress(gzip.compress(b"a")), ("Content-Encoding", "gzip, deflate")),
            post(b"a", ("Content-Encoding", "identity")),
            True,
            id="two codings",
        ),
        pytest.param(
            post(b"ab", ("Content-Encoding", "br")),
            post(b"abc", ("Content-Encoding", "br")),
            False,
            id="unknown",
        ),
        pytest.param(
            post(b"no gzip", ("Content-Encoding", "gzip")),
            post(b"no gzip at all", ("Content-Encoding", "gzip")),
            False,
            id="what is not gzip is octets",
        ),
        pytest.param(post(b""), request(), True, id="no content"),
        pytest.param(post(b"a"), request(), False, id="content and none"),
        pytest.param(post(b"\xff\x00"), post(b"\xff\x00"), True, id="octets"),
        pytest.param(post(b"a" * 1000), post(b"a" * 999 + b"b"), False, id="many octets"),
    ],
)
def test_body_is_compared_by_meaning(left: Request, right: Request, expected: bool) -> None:
    assert same("body", left, right) is expected


def test_deep_json_is_compared_as_octets() -> None:
    deep = post(b"[" * 100_000 + b"]" * 100_000, JSON)
    assert same("body", deep, post(deep.content, JSON))
    assert not same("body", deep, post(b"[" * 100_000 + b" " + b"]" * 100_000, JSON))


def test_brackets_inside_strings_are_no_depth() -> None:
    left, right = (json.dumps(["[" * 1000, '"\\['], indent=indent).encode() for indent in (None, 1))
    assert same("body", post(left, JSON), post(right, JSON))


def test_long_flat_json_is_compared_by_meaning() -> None:
    value: list[dict[str, Any]] = [{"a": []}] * 1000
    left, right = (json.dumps(value, indent=indent).encode() for indent in (None, 1))
    assert same("body", post(left, JSON), post(right, JSON))


def test_a_bomb_is_compared_as_octets() -> None:
    bomb = zlib.compressobj(1, wbits=31)
    octets = b"".join(bomb.compress(bytes(1 << 20)) for _ in range((MAX_DECODED_OCTETS >> 20) + 1)) + bomb.flush()
    gzipped = ("Content-Encoding", "gzip")
    assert same("body", post(octets, gzipped), post(octets, gzipped))
    assert not same("body", post(octets, gzipped), post(octets[:-1], gzipped))


def test_keys_stay_small_for_large_bodies() -> None:
    for body in (b"a" * 10_000, json.dumps(["a"] * 10_000).encode(), b"a=b&" * 10_000):
        for match in ("body", "raw_body"):
            assert len(repr(resolve([match]).key(post(body, FORM)))) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(json_values, json_values)
def test_json_is_equal_exactly_if_its_values_are(left: Any, right: Any) -> None:
    def spelled(value: Any, indent: int | None) -> Request:
        return post(
            json.dumps({"value": value}, indent=indent, ensure_ascii=indent is None).encode("utf-8", "surrogatepass"),
            JSON,
        )

    assert same("body", spelled(left, None), spelled(left, 2))
    if json.dumps(left, sort_keys=True) != json.dumps(right, sort_keys=True) and left != right:
        assert not same("body", spelled(left, None), spelled(right, None))


def test_rule_that_an_explanation_gives_is_written_as_people_write_the_name() -> None:
    recorded, sent = request("/?gr%C3%B6%C3%9Fe=1"), request("/?gr%C3%B6%C3%9Fe=2")
    (difference,) = explaining.differences(resolve("query"), sent, recorded)
    assert difference.rule == "query:größe"
    ignoring = resolve("query", difference.rule)
    assert ignoring.key(ignoring.strip(sent)) == ignoring.key(ignoring.strip(recorded))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "=", "=1", "=2"]))), st.randoms())
def test_a_query_is_the_same_in_any_order_that_keeps_each_names_values(pairs: Any, random: Any) -> None:
    names = [name for name, _ in pairs]
    random.shuffle(names)
    values = {name: iter([value for given, value in pairs if given == name]) for name in names}
    shuffled = [(name, next(values[name])) for name in names]
    left, right = ("/?" + "&".join(name + value for name, value in each) for each in (pairs, shuffled))
    assert same("query", request(left), request(right))


# -- putting together ----------------------------------------------------------------------------------------


def test_the_default_matchers_exist_and_need_the_body() -> None:
    matching = resolve(DEFAULT_MATCH)
    assert [name for name, _ in matching.keys] == [
        "method",
        "scheme",
        "host",
        "port",
        "path",
        "query",
        "body",
    ]
    assert matching.needs_body


@pytest.mark.parametrize("name", sorted(set(NAMED) - {"body", "raw_body"}))
def test_matchers_of_the_head_do_not_need_the_body(name: str) -> None:
    assert not resolve([name]).needs_body


def test_one_name_needs_no_list() -> None:
    assert resolve("method") == resolve(["method"])


def test_nothing_to_match_matches_everything() -> None:
    matching = resolve([])
    assert matching.key(request("/a")) == matching.key(request("/b")) == ()
    assert matching.accepts(request("/a"), request("/b"))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        InvalidOption, match=r"no matcher 'metod'; did you mean \"method\"\? \(the matchers are: method, "
    ):
        resolve(["metod"])


def test_what_is_no_matcher_is_refused() -> None:
    with pytest.raises(InvalidOption, match="a name or a function, not 1"):
        resolve([1])  # type: ignore[list-item]


def first_step(sent: Request) -> str:
    return sent.head.target.split("/")[1]


def test_a_function_of_one_parameter_is_a_key() -> None:
    matching = resolve([first_step])
    assert matching.key(request("/a/b")) == matching.key(request("/a/c")) == ("a",)
    assert differences(matching, request("/b"), request("/a")) == ["first_step: recorded 'a' != sent 'b'"]
    assert matching.needs_body


def test_a_function_may_say_that_it_does_not_need_the_body() -> None:
    def only_head(sent: Request) -> str:
        return sent.method

    only_head.needs_body = False  # type: ignore[attr-defined]
    assert not resolve([only_head]).needs_body


def test_parameters_with_defaults_do_not_count() -> None:
    def step(sent: Request, number: int = 1) -> str:
        return sent.head.target.split("/")[number]

    assert resolve([step]).key(request("/a")) == ("a",)


def test_callables_written_in_c_are_taken_as_keys() -> None:
    assert resolve([operator.attrgetter("head.method")]).key(request()) == ("GET",)


def test_functions_of_equal_names_do_not_hide_each_other() -> None:
    matching = resolve(["path", lambda sent: 1, lambda sent: sent.head.target])
    assert matching.key(request("/a")) == ("/a", 1, "/a")
    assert len(differences(matching, request("/a"), request("/b"))) == 2


def test_a_key_that_cannot_be_looked_up_is_refused_by_name() -> None:
    matching = resolve([lambda sent: sent.values("a")])
    with pytest.raises(InvalidOption, match=r"the matcher <lambda> returned \[\], which cannot be looked up"):
        matching.key(request())


def test_a_function_of_two_parameters_is_a_filter() -> None:
    def is_longer(sent: Request, recorded: Request) -> bool:
        return len(sent.head.target) > len(recorded.head.target)

    matching = resolve(["method", is_longer])
    assert matching.key(request("/a")) == ("GET",)
    assert matching.accepts(request("/aa"), request("/a"))
    assert not matching.accepts(request("/a"), request("/aa"))
    assert differences(matching, request("/a"), request("/aa")) == ["is_longer: not accepted"]


def test_a_filter_may_use_assertions() -> None:
    def asserting(sent: Request, recorded: Request) -> None:
        assert sent.method == recorded.method, "another method"

    matching = resolve([asserting])
    assert matching.accepts(request(), request())
    assert not matching.accepts(request(), request(method="PUT"))
    (line,) = differences(matching, request(), request(method="PUT"))
    assert line.startswith("asserting: another method")


def test_single_fields_can_be_matched() -> None:
    matching = resolve([fields("Accept", "X-Version")])
    assert matching.key(request("/", ("accept", "a"))) == matching.key(request("/", ("Accept", "a"), ("B", "c")))
    assert matching.key(request("/", ("accept", "a"))) != matching.key(request("/", ("Accept", "b")))
    assert not matching.needs_body
    assert differences(matching, request(), request("/", ("Accept", "b"))) == [
        "fields('Accept', 'X-Version'): accept recorded 'b', not sent"
    ]
