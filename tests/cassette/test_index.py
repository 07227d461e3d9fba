"""The look-up: recorded order, repeat policies, and as little parsing as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.buckets import MOST_TRIED
from cassette_http.cassette.index import Index, line_of
from cassette_http.cassette.library import Library
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.shortcuts import Answer
from cassette_http.errors import InvalidOption

ORIGIN = Origin("http", "api.test", 80)


def request(target: str, body: bytes = b"") -> Request:
    head = f"POST {target} HTTP/1.1\r\nHost: api.test\r\nContent-Length: {len(body)}\r\n\r\n"
    return Request(ORIGIN, head.encode(), body)


def interaction(asked: Request, answer: bytes = b"") -> Interaction:
    return Interaction(asked.origin, asked, Track((Piece(answer),)))


class Counting(Library):
    """Interactions that count how often they were parsed. They are found `at_once` by so many; None: all."""

    def __init__(self, *interactions: Interaction, has_lines: bool = True, at_once: int | None = None) -> None:
        super().__init__()
        self.parsed: list[int] = []
        self.doubtful: set[int] = set()
        self._interactions, self._at_once = interactions, at_once
        self._lines = [line_of(one.request) if has_lines and one.request else None for one in interactions]
        self.request_lines = self._lines[:at_once]

    def read_on(self) -> bool:
        known = len(self.request_lines)
        self.request_lines += self._lines[known : known + (self._at_once or 0)]
        return len(self.request_lines) > known

    def find_doubtful(self) -> set[int]:
        return self.doubtful

    def read_url(self, position: int) -> bytes | None:
        asked = self._interactions[position].request
        return f"{asked.method} {asked.url}".encode() if asked is not None and self.request_lines[position] else None

    def read_answer(self, position: int, beginning: bytes, first_line: bytes | None) -> Answer | None:
        return None

    def parse(self, position: int) -> Interaction:
        self.parsed.append(position)
        return self._interactions[position]

    def index(self, repeat: str = "fail", match: tuple[str | Callable[..., bool], ...] = DEFAULT_MATCH) -> Index:
        return Index(self, resolve(match), repeat)


def play(index: Index, asked: Request) -> bytes | None:
    entry = index.find_same(asked) or index.find(asked)
    if entry is None:
        return None
    entry.plays += 1
    return entry.interaction.track.octets


def test_equal_requests_are_answered_in_recorded_order_and_once() -> None:
    index = Counting(*(interaction(request("/a"), b"%d" % n) for n in range(3))).index()
    assert [play(index, request("/a")) for _ in range(4)] == [b"0", b"1", b"2", None]


def test_order_of_other_requests_does_not_matter() -> None:
    recorded = [interaction(request(f"/{name}"), name.encode()) for name in "aba"]
    index = Counting(*recorded).index()
    assert [play(index, request(target)) for target in ("/b", "/a", "/a", "/b")] == [b"b", b"a", b"a", None]


def test_body_tells_requests_of_one_url_apart() -> None:
    recorded = [interaction(request("/rpc", b'{"id": %d}' % n), b"%d" % n) for n in range(5)]
    index = Counting(*recorded).index()
    assert [play(index, request("/rpc", b'{"id":%d}' % n)) for n in (3, 0, 4)] == [b"3", b"0", b"4"]


@pytest.mark.parametrize(
    ("repeat", "answers"),
    [
        pytest.param("fail", [b"0", b"1", None, None, None], id="fail"),
        pytest.param("last", [b"0", b"1", b"1", b"1", b"1"], id="last"),
        pytest.param("cycle", [b"0", b"1", b"0", b"1", b"0"], id="cycle"),
        pytest.param("first", [b"0", b"0", b"0", b"0", b"0"], id="first"),
    ],
)
def test_repeat_policy_says_what_comes_after_the_last(repeat: str, answers: list[bytes | None]) -> None:
    index = Counting(*(interaction(request("/a"), b"%d" % n) for n in range(2))).index(repeat)
    assert [play(index, request("/a")) for _ in range(5)] == answers


@pytest.mark.parametrize("count", [4, MOST_TRIED + 4])
def test_first_one_of_many_answers_each_time(count: int) -> None:
    recorded = [interaction(request("/rpc", b"%d" % (n % (count - 2))), b"%d" % n) for n in range(count)]
    index = Counting(*recorded).index("first")
    for _ in range(3):
        assert [play(index, request("/rpc", b"%d" % n)) for n in (0, 1, count - 3)] == [b"0", b"1", b"%d" % (count - 3)]


@pytest.mark.parametrize("repeat", ["fail", "last", "cycle", "first"])
@pytest.mark.parametrize("has_lines", [True, False])
def test_rewound_index_answers_as_it_did_before(repeat: str, has_lines: bool) -> None:
    recorded = [interaction(request(f"/{n % 2}"), b"%d" % n) for n in range(2 * MOST_TRIED)]
    index = Counting(*recorded, has_lines=has_lines).index(repeat)
    asked = [request("/0"), request("/1"), *[request("/0")] * (MOST_TRIED + 2)]
    before = [play(index, one) for one in asked]
    index.rewind()
    assert index.may_answer("api.test", 80)
    assert [entry.plays for entry in index.made if entry.has_answered] == [0] * sum(
        entry.has_answered for entry in index.entries
    )
    assert [play(index, one) for one in asked] == before


def test_interaction_may_have_a_repeat_policy_of_its_own() -> None:
    index = Counting(replace(interaction(request("/a"), b"again"), repeat="last")).index()
    assert [play(index, request("/a")) for _ in range(3)] == [b"again"] * 3


def test_unknown_repeat_policy_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(InvalidOption, match=r"'often'.*fail, last, cycle"):
        Counting().index("often")


def test_request_line_that_is_spelled_in_another_way_is_found() -> None:
    index = Counting(interaction(request("/%7euser"), b"found")).index()
    assert play(index, request("/~user")) == b"found"


def test_a_request_that_nothing_answers_is_told_from_the_others_by_their_lines() -> None:
    documents = Counting(*(interaction(request(f"/{n}?page=1"), b"%d" % n) for n in range(1000)))
    index = documents.index()
    assert play(index, request("/other")) is None
    assert documents.parsed == []
    assert play(index, request("/70%30")) is None
    assert set(documents.parsed) == {700}


@pytest.mark.parametrize(("repeat", "answers"), [("fail", [b"700", None]), ("last", [b"700", b"700"])])
def test_of_many_with_one_path_hardly_more_than_those_with_the_query_are_parsed(
    repeat: str, answers: list[bytes | None]
) -> None:
    documents = Counting(*(interaction(request(f"/list?page={n}&size=9"), b"%d" % n) for n in range(1000)))
    index = documents.index(repeat)
    asked = request("/list?size=9&page=%3700")
    assert [play(index, asked), play(index, asked)] == answers
    assert play(index, request("/list?size=9&page=300")) == b"300"
    assert len(set(documents.parsed)) < 30


def test_of_many_with_one_path_those_with_secrets_are_found() -> None:
    recorded = [interaction(request(f"/list?key=k{n}"), b"%d" % n) for n in range(40)]
    documents = Counting(*recorded)

    def redact(one: Request) -> Request:
        return replace(one, head_octets=one.head_octets.replace(b"=k30 ", b"={{secret}} "))

    index = Index(documents, resolve(DEFAULT_MATCH), redact=redact)
    assert play(index, request("/list?key=k29")) == b"29"
    assert play(index, request("/list?key={{secret}}")) == b"30"


def test_an_interaction_whose_line_is_not_all_is_found_by_what_its_document_says() -> None:
    moved = replace(request("/b"), origin=Origin("http", "elsewhere.test", 80))
    documents = Counting(interaction(request("/a"), b"a"), interaction(moved, b"b"), interaction(request("/c"), b"c"))
    documents.request_lines[1] = (
        b"POST http://api.test/a"  # and then, say: "origin: http://elsewhere.test", "target: /b"
    )
    documents.doubtful = {1}
    index = documents.index()
    assert play(index, moved) == b"b"
    assert set(documents.parsed) == {1}


def test_a_path_with_a_secret_is_looked_for_everywhere() -> None:
    recorded = [interaction(request("/bot{{secret:1}}/me"), b"me"), interaction(request("/bot1234:abcd/me"), b"raw")]
    documents = Counting(*recorded)

    def redact(one: Request) -> Request:
        return replace(one, head_octets=one.head_octets.replace(b":1}}", b"}}").replace(b"1234:abcd", b"{{secret}}"))

    index = Index(documents, resolve(DEFAULT_MATCH), redact=redact)
    asked = request("/bot{{secret}}/me")
    assert [play(index, asked) for _ in range(3)] == [b"me", b"raw", None]


spellings = st.sampled_from(
    ["/~a", "/%7ea", "/%7Ea", "/a?x=1", "/a?x=%31", "/a", "/a?", "/b/", "/%62/", "/{{secret:1}}"]
)


@given(
    st.lists(spellings, max_size=8) | st.lists(spellings, min_size=20, max_size=40),
    st.lists(spellings, max_size=8),
    st.sampled_from([DEFAULT_MATCH, ("method",), ("path", "query"), ("host", "path", lambda one: one.head.target)]),
    st.booleans(),
    st.integers(1, 9),
)
def test_what_answers_is_what_a_walk_through_all_would_find(
    recorded: list[str], asked: list[str], match: tuple[str | Callable[..., Any], ...], has_lines: bool, at_once: int
) -> None:
    interactions = [interaction(request(target), b"%d" % number) for number, target in enumerate(recorded)]
    matching = resolve(match)
    index = Index(Counting(*interactions, has_lines=has_lines, at_once=at_once), matching)
    left = list(enumerate(interactions))
    for target in asked:
        sent = request(target)
        fitting = [one for one in left if one[1].request and matching.key(one[1].request) == matching.key(sent)]
        # One that is spelled in the same way comes first.
        fitting.sort(key=lambda one: has_lines and line_of(one[1].request or sent) != line_of(sent))
        same = index.find_same(sent)
        entry = index.find(sent)
        assert same in (None, entry)
        assert (entry.number - 1 if entry else None) == (fitting[0][0] if fitting else None)
        if entry is not None:
            entry.plays += 1
            left.remove(fitting[0])


def test_request_that_comes_again_and_again_is_looked_for_no_further_than_its_answer() -> None:
    documents = Counting(*(interaction(request("/jobs/7"), b"%d" % n) for n in range(100)), at_once=3)
    index = documents.index()
    for number in range(5):
        entry = index.find_same(request("/jobs/7"))
        assert entry is not None
        assert entry.interaction.track.octets == b"%d" % number
        entry.plays += 1
    assert len(documents.request_lines) == 6


def test_nobody_plays_while_a_program_looks_at_all_of_the_cassette() -> None:
    """Nor can a fork come in between, which holds the lock as well."""
    is_free: list[bool] = []

    class Watched(Counting):
        def read_on(self) -> bool:
            other = Thread(target=lambda: is_free.append(index.lock.acquire(blocking=False)))
            other.start()
            other.join()
            return super().read_on()

    index = Watched(interaction(request("/a"))).index()
    assert len(index) == 1
    assert is_free == [False]


def test_documents_without_a_known_request_line_are_found() -> None:
    recorded = [interaction(request("/a"), b"a"), interaction(request("/b"), b"b")]
    index = Counting(*recorded, has_lines=False).index()
    assert [play(index, request("/b")), play(index, request("/a"))] == [b"b", b"a"]


def test_filter_of_the_user_decides_among_those_that_match() -> None:
    recorded = [interaction(request("/a"), b"first"), interaction(request("/a"), b"second")]
    index = Counting(*recorded).index(match=("path", lambda sent, one: one is recorded[1].request))
    assert play(index, request("/a")) == b"second"


def test_playing_in_recorded_order_parses_each_document_once() -> None:
    documents = Counting(*(interaction(request(f"/{n % 10}", b"%d" % n), b"%d" % n) for n in range(1000)))
    index = documents.index()
    answers = [play(index, request(f"/{n % 10}", b"%d" % n)) for n in range(1000)]
    assert answers == [b"%d" % n for n in range(1000)]
    assert documents.parsed == list(range(1000))


def test_one_answer_parses_one_document() -> None:
    documents = Counting(*(interaction(request(f"/{n}"), b"%d" % n) for n in range(1000)))
    assert play(documents.index(), request("/700")) == b"700"
    assert documents.parsed == [700]


def refused(origin: Origin) -> Interaction:
    return Interaction(origin, None, Track(failure=Failure(FailureKind.CONNECT, errno="ECONNREFUSED")))


def test_failed_connection_comes_before_the_request_that_was_recorded_after_it() -> None:
    tcp = Origin("tcp", "api.test", 80)
    index = Counting(refused(tcp), interaction(request("/a"))).index()
    first = index.find_connection_failure(tcp, (FailureKind.CONNECT,))
    assert first is not None
    first.plays += 1
    assert index.find_connection_failure(tcp, (FailureKind.CONNECT,)) is None


def test_failed_connection_waits_for_the_request_that_was_recorded_before_it() -> None:
    tcp = Origin("tcp", "api.test", 80)
    index = Counting(interaction(request("/a"), b"a"), refused(tcp)).index()
    assert index.find_connection_failure(tcp, (FailureKind.CONNECT,)) is None
    assert play(index, request("/a")) == b"a"
    assert index.find_connection_failure(tcp, (FailureKind.CONNECT,)) is not None
    assert index.find_connection_failure(Origin("tcp", "other.test", 80), (FailureKind.CONNECT,)) is None


def test_request_whose_body_is_not_there_finds_the_next_of_its_line() -> None:
    recorded = [interaction(request("/a", b"%d" % n), b"%d" % n) for n in range(2)]
    index = Counting(*recorded).index()
    head_only = Request(ORIGIN, request("/a", b"1").head_octets)
    found = index.find_by_head(head_only)
    assert found is not None
    assert found.number == 1
    found.plays += 1
    found = index.find_by_head(head_only)
    assert found is not None
    assert found.number == 2
    assert index.find_by_head(request("/other")) is None


def test_request_whose_body_is_not_there_is_distinguished_by_its_query() -> None:
    index = Counting(*(interaction(request(f"/o?part={n}", b"%d" % n)) for n in (1, 2))).index()
    found = index.find_by_head(Request(ORIGIN, request("/o?part=2", b"2").head_octets))
    assert found is not None
    assert found.number == 2
    assert index.find_by_head(Request(ORIGIN, request("/o?part=3", b"3").head_octets)) is None


@pytest.mark.parametrize(
    ("target", "may_have"),
    [
        pytest.param("/early?part=3", True, id="one with this line fits"),
        pytest.param("/late", False, id="none fits"),
        pytest.param("/token/1234", True, id="its line may be compared in another form"),
    ],
)
def test_a_look_at_the_line_tells_what_a_head_cannot_find(target: str, may_have: bool) -> None:
    targets = {"/early?part=1": b"late", "/early?part=2": b"early", "/late": b"late"}
    index = Counting(*[interaction(request(one, b"body"), answer) for one, answer in targets.items()]).index()
    assert index.may_have(line_of(request(target)), lambda one: one.track.octets == b"early") is may_have


def test_a_look_at_the_line_is_a_short_one() -> None:
    library = Counting(*[interaction(request("/a", b"%d" % n)) for n in range(100)])
    assert library.index().may_have(line_of(request("/a")), lambda one: False)
    assert len(library.parsed) < 20


def test_failed_tls_in_a_tunnel_is_found_by_whom_it_leads_to() -> None:
    far, proxy = Origin("https", "api.test", 443), Origin("http", "proxy.test", 3128)
    failed = Interaction(far, None, Track(failure=Failure(FailureKind.TLS, text="no TLS")), via=proxy)
    index = Counting(failed).index()
    assert index.find_connection_failure(far, (FailureKind.TLS,)) is not None
    assert index.find_connection_failure(Origin("tcp", "proxy.test", 3128), (FailureKind.CONNECT,)) is None
    assert index.find_connection_failure(Origin("https", "proxy.test", 3128), (FailureKind.TLS,)) is None
