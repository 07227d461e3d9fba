"""How requests differ, and what the report of a miss says."""

from __future__ import annotations

import pytest

from cassette_http.cassette.explaining import Candidate, explain_miss
from cassette_http.cassette.matching import DEFAULT_MATCH, Matching, resolve
from cassette_http.cassette.model import Origin, Request
from tests.cassette.compared import FILE, FORM, JSON, differences, multipart, post, request


@pytest.mark.parametrize(
    ("match", "recorded", "sent", "expected"),
    [
        pytest.param("method", request(), request(method="PUT"), ["method: recorded 'GET' != sent 'PUT'"], id="method"),
        pytest.param("path", request("/a?x"), request("/b?y"), ["path: recorded '/a' != sent '/b'"], id="path"),
        pytest.param(
            "query",
            request("/?page=2&x=1"),
            request("/?page=3&x=1"),
            ["query: recorded page=2 != sent page=3"],
            id="query value",
        ),
        pytest.param(
            "query",
            request("/?q=%C3%A9+%26%0A"),
            request("/?q=a%2Cb"),
            ["query: recorded q=%C3%A9 %26%0A != sent q=a,b"],
            id="encoded query",
        ),
        pytest.param(
            "query",
            request("/?a&c=1&c=2"),
            request("/?b=1&c=1"),
            [
                "query: recorded a, not sent",
                "query: recorded c=1&c=2 != sent c=1",
                "query: sent b=1, not recorded",
            ],
            id="query pairs",
        ),
        pytest.param(
            "headers",
            request("/", ("A", "1"), ("A", "2")),
            request("/", ("A", "1"), ("B", "")),
            ["headers: a recorded '1', '2' != sent '1'", "headers: b sent '', not recorded"],
            id="fields",
        ),
        pytest.param("raw_body", post(b"a"), post(b"b"), ["raw_body: recorded b'a' != sent b'b'"], id="octets"),
        pytest.param("body", post(b"a"), post(b"b"), ["body: recorded b'a' != sent b'b'"], id="octets by meaning"),
        pytest.param(
            "body",
            post(b'{"amount": 1250, "x": 1}'),
            post(b'{"amount": 1200, "x": 1}'),
            ["body: $.amount recorded 1250 != sent 1200"],
            id="JSON value",
        ),
        pytest.param(
            "body",
            post(b'{"a": [{"b c": 1}], "d": 1}'),
            post(b'{"a": [{"b c": true}, 2], "e": [1]}'),
            [
                'body: $.a[0]["b c"] recorded 1 != sent true',
                "body: $.a recorded 1 member != sent 2 members",
                "body: $.d recorded 1, not sent",
                "body: $.e sent [1], not recorded",
            ],
            id="JSON places",
        ),
        pytest.param(
            "body", post(b"[1]"), post(b'{"a": 1}'), ['body: $ recorded [1] != sent {"a":1}'], id="JSON kinds"
        ),
        pytest.param(
            "body",
            post(b"[1,2,3,4,5,6]"),
            post(b"[0,0,0,0,0,0]"),
            [f"body: $[{index}] recorded {index + 1} != sent 0" for index in range(6)],
            id="members of a list",
        ),
        pytest.param(
            "body",
            post(b"grant=refresh", FORM),
            post(b"grant=password", FORM),
            ["body: recorded grant=refresh != sent grant=password"],
            id="form",
        ),
        pytest.param(
            "body",
            post(b"a=1", FORM),
            post(b'{"a":1}'),
            ["""body: recorded form b'a=1' != sent JSON b'{"a":1}'"""],
            id="kinds",
        ),
        pytest.param("body", post(b"a"), request(), ["body: recorded octets b'a', not sent"], id="none sent"),
        pytest.param("body", request(), post(b"{}"), ["body: sent JSON b'{}', not recorded"], id="none recorded"),
        pytest.param(
            "body",
            multipart("x", (FILE, b"1"), (FILE, b"2")),
            multipart("y", (FILE + "\r\nA: b", b"3")),
            [
                'body: part "f", fields: sent a=b, not recorded',
                "body: part \"f\" recorded b'1' != sent b'3'",
                "body: recorded 2 parts != sent 1 part",
            ],
            id="multipart",
        ),
        pytest.param(
            "path",
            request("/" + "a" * 500 + "1"),
            request("/" + "a" * 500 + "2"),
            ["path: recorded …aaaaaaaaaaaaaaaaaaaa1' != sent …aaaaaaaaaaaaaaaaaaaa2'"],
            id="long values are cut where they are equal",
        ),
        pytest.param(
            "path",
            request("/a" + "b" * 500),
            request("/b" + "b" * 500),
            [f"path: recorded '/a{'b' * 56}… != sent '/b{'b' * 56}…"],
            id="long values are cut at the end",
        ),
    ],
)
def test_differences_are_explained(match: str, recorded: Request, sent: Request, expected: list[str]) -> None:
    assert differences(resolve([match]), sent, recorded) == expected


# -- the report of a miss ------------------------------------------------------------------------------------

MATCHING: Matching = resolve(DEFAULT_MATCH)


def report(sent: Request, *candidates: tuple[int, Request, bool], mode: str = "none") -> list[str]:
    given = [Candidate(*each) for each in candidates]
    explanation = explain_miss(sent, given, cassette="login.yaml", mode=mode, matching=MATCHING)
    return explanation.message.split("\n")


def test_a_miss_names_the_nearest_interaction_and_the_reason_in_its_first_line() -> None:
    recorded = request("/token", FORM, method="POST", body=b"grant=refresh")
    sent = request("/token", FORM, method="POST", body=b"grant=password")
    assert report(sent, (1, request(), True), (2, request("/users"), False), (3, recorded, True)) == [
        "login.yaml has no interaction for POST https://api.test/token; "
        "nearest is interaction 3, body: recorded grant=refresh != sent grant=password",
        "  interaction 3, already played: POST https://api.test/token",
        "    body: recorded grant=refresh != sent grant=password",
        '  if that does not matter, set ignore=["form:grant"]',
        '  record mode "none" does not record; to add it, run with record_mode="new_episodes"',
    ]


def test_a_miss_shows_a_few_differences_of_each_matcher_and_counts_the_others() -> None:
    lines = report(post(b"[0,0,0,0,0,0]"), (1, post(b"[1,2,3,4,5,6]"), False))
    assert lines[2:7] == [
        *(f"    body: $[{index}] recorded {index + 1} != sent 0" for index in range(4)),
        "    body: 2 more differences",
    ]
    lines = report(post(b"[" + b"0," * 100 + b"0]"), (1, post(b"[" + b"1," * 100 + b"1]"), False))
    assert lines[6] == "    body: at least 16 more differences"


def test_a_miss_shows_interactions_that_are_as_near_and_none_that_are_far() -> None:
    lines = report(
        request("/a", method="PUT"), (1, request("/a"), False), (2, request("/a", method="DELETE"), False),
        (3, request("/b/c"), False),
    )  # fmt: skip
    assert [line[:15] for line in lines if line.startswith("  interaction")] == ["  interaction 1", "  interaction 2"]


def test_a_miss_of_another_host_names_those_that_are_known() -> None:
    others = [request("/a", origin=Origin("https", f"{name}.test", 443)) for name in "abcde"]
    lines = report(request("/a"), *[(number, each, False) for number, each in enumerate(others, 1)])
    assert "  the cassette knows the hosts a.test, b.test, c.test and 2 more" in lines


def test_a_miss_in_an_empty_cassette_says_so() -> None:
    assert report(request("/a"), mode="once") == [
        "login.yaml has no interaction for GET https://api.test/a: it is empty",
        '  record mode "once" records into a new cassette only; to add it, run with record_mode="new_episodes"',
    ]


def test_a_miss_of_what_was_already_played_says_so() -> None:
    lines = report(request("/a"), (4, request("/a"), True))
    assert lines[0] == (
        "login.yaml has no further interaction for GET https://api.test/a; "
        "interaction 4 matches, but was already played"
    )
    assert any('repeat="last"' in line for line in lines)
    assert 'record_mode="new_episodes"' in lines[-1]


REFUND = request("/refunds", JSON, method="POST", body=b'{"amount": 1200}')


@pytest.mark.parametrize(
    ("sent", "recorded", "reason"),
    [
        pytest.param(
            request("/refunds", JSON, method="POST", body=b'{"amount": 1250}'),
            REFUND,
            "POST /refunds: body $.amount 1200 != 1250",
            id="a value",
        ),
        pytest.param(
            request("/refunds", JSON, method="POST", body=b"{}"),
            REFUND,
            "POST /refunds: body $.amount 1200, not sent",
            id="a value that is missing",
        ),
        pytest.param(request("/b?x=1"), request("/a?x=1"), "GET /b?x=1: path '/a' != '/b'", id="path"),
        pytest.param(
            request("/a"), request("/a"), "GET /a: interaction 1 matches, but was already played", id="played"
        ),
    ],
)
def test_a_miss_has_a_reason_in_a_few_words(sent: Request, recorded: Request, reason: str) -> None:
    candidates = [Candidate(1, recorded, True)]
    assert explain_miss(sent, candidates, cassette="a.yaml", mode="none", matching=MATCHING).reason == reason


def test_a_miss_without_a_cassette_tells_how_to_record_one() -> None:
    explanation = explain_miss(REFUND, [], cassette="a.yaml", mode="none", matching=MATCHING, is_missing=True)
    assert explanation.message.splitlines() == [
        "there is no cassette a.yaml to answer POST https://api.test/refunds",
        '  to record it, run with record_mode="once"',
    ]
    assert explanation.reason == "POST /refunds: there is no cassette yet"


def test_a_miss_in_an_empty_cassette_has_a_reason_too() -> None:
    explanation = explain_miss(REFUND, [], cassette="a.yaml", mode="none", matching=MATCHING)
    assert (explanation.reason, explanation.nearest) == ("POST /refunds: the cassette is empty", ())


@pytest.mark.parametrize(
    ("sent", "far", "near"),
    [
        pytest.param(request("/u/1"), request("/u/1", origin=Origin("https", "b", 1)), request("/x"), id="host"),
        pytest.param(request("/u/1"), request("/x/1/2"), request("/u/2"), id="steps of a path"),
        pytest.param(request("/u"), request("/u", method="PUT"), request("/u?a"), id="method against query"),
        pytest.param(request("/?a=1&b=2&c=3"), request("/?z"), request("/?a=1&b=2&c=4"), id="pairs of a query"),
        pytest.param(request("/a"), request("/x"), request("/a"), id="one that matches"),
    ],
)
def test_nearest_comes_first(sent: Request, far: Request, near: Request) -> None:
    assert "interaction 2" in report(sent, (1, far, False), (2, near, True))[0]


def test_very_long_targets_are_shortened() -> None:
    assert len(report(request("/" + "a" * 5000), (1, request("/" + "b" * 5000), False))[0]) < 500
