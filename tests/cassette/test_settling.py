"""A new recording settled into the old one: what keeps its old form, and what shows."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.yaml_format import TERMINATOR
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
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
from cassette_http.cassette.settling import appended, settled
from tests.cassette.messages import jwt

ORIGIN = Origin("https", "api.test", 443)
OLD, NEW = "2026-03-01T10:00:00Z", "2026-11-22T17:57:05Z"

A, B, C, D = (f"{digit * 8}-aaaa-4bbb-8ccc-{digit * 12}" for digit in "1234")


def request(line: str = "GET /", body: bytes = b"", *fields: str) -> Request:
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: api.test", *fields, *length, "", ""])
    return Request(ORIGIN, head.encode(), body)


def response(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def exchange(octets: bytes, asked: Request | None = None, cut: int = 0, at: float = 0.0) -> Interaction:
    pieces = [Piece(octets[:cut], 0.2)] if cut else []
    return Interaction(ORIGIN, asked or request(), Track((*pieces, Piece(octets[cut:], at))))


def cassette(recorded: str, *values: Interaction | TLSFacts) -> bytes:
    documents = [yaml_format.dump_header(Header(recorded=recorded, by="a test"))]
    for value in values:
        is_facts = isinstance(value, TLSFacts)
        documents.append(yaml_format.dump_tls(value) if is_facts else yaml_format.dump_interaction(value))  # type: ignore[arg-type]
    return b"".join(document + TERMINATOR for document in documents)


def settle(old: bytes, new: bytes, **options: Any) -> bytes:
    matching = resolve(DEFAULT_MATCH)
    return settled(old, new, "a.yaml", answers=lambda a, b: matching.key(a) == matching.key(b), **options)


# ---------------------------------------------------------------------- values of one response

SAME = {
    "nothing": (b"{}", b"{}"),
    "a UUID": (f'{{"id": "{A}"}}', f'{{"id": "{B}"}}'),
    "UUIDs in the same relation": (f'["{A}", "{B}", "{A}"]', f'["{C}", "{D}", "{C}"]'),
    "a ULID": ('{"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}', '{"id": "01BX5ZZKBKACTAV9WEVGEMMVRZ"}'),
    "a request id": ('{"requestId": "4Xd8-a"}', '{"requestId": "9Zb2-q"}'),
    "a request id in XML": ("<RequestId>4Xd8a7</RequestId>", "<RequestId>9Zb2q1</RequestId>"),
    "a short request id": ('{"request_id": "r-1"}', '{"request_id": "r-2"}'),
    "an id of the host in XML": ("<HostId>4Xd8a7</HostId>", "<HostId>9Zb2q1</HostId>"),
    "how long it took": ('{"took": 3, "elapsed_ms": 4.5}', '{"took": 17, "elapsed_ms": 5.25}'),
    "the time": ('{"now": "2026-03-01T10:00:01Z"}', '{"now": "2026-11-22T17:57:06Z"}'),
    "the time with a fraction of other length": (
        '{"now": "2026-03-01T10:00:01.5+00:00"}',
        '{"now": "2026-11-22T17:57:06.123456+00:00"}',
    ),
    "the time without a zone": ("2026-03-01 10:00:01", "2026-11-22 17:57:06"),
    "a basic time": ("20260301T100001Z", "20261122T175706Z"),
    "seconds": ('{"now": 1772359201, "x": 1}', '{"now": 1795370226, "x": 1}'),
    "seconds with a fraction": ('{"now": 1772359201.25}', '{"now": 1795370226.5}'),
    "milliseconds": ('{"now": 1772359201000}', '{"now": 1795370226000}'),
    "a day": ("as of 2026-03-01", "as of 2026-11-22"),
    "an HTTP date": ("Sun, 01 Mar 2026 10:00:01 GMT", "Sun, 22 Nov 2026 17:57:06 GMT"),
    "a time that is always as far ahead": ('{"exp": "2026-03-31T10:00:00Z"}', '{"exp": "2026-12-22T17:57:05Z"}'),
    "the next full hour": ('{"until": "2026-03-01T11:00:00Z"}', '{"until": "2026-11-22T18:00:00Z"}'),
    "a token": (
        jwt({"sub": "ada", "iat": 1772359201, "jti": A}, "{{secret:1}}"),
        jwt({"sub": "ada", "iat": 1795370226, "jti": B}, "{{secret:1}}"),
    ),
    "numbers of placeholders": (
        '{"a": "{{secret:1}}", "b": "{{secret:2}}"}',
        '{"a": "{{secret:2}}", "b": "{{secret:1}}"}',
    ),
}
OTHER = {
    "a number": ('{"count": 1}', '{"count": 2}'),
    "a name": ('{"name": "ada"}', '{"name": "bob"}'),
    "a name of an operation": ('{"operationId": "getUser"}', '{"operationId": "getUsers"}'),
    "a duration": ('{"duration": 180}', '{"duration": 181}'),
    "another key": (f'{{"id": "{A}"}}', f'{{"id": "{B}", "name": "ada"}}'),
    "UUIDs in another relation": (f'["{A}", "{B}", "{A}"]', f'["{C}", "{D}", "{D}"]'),
    "a UUID that became something else": (f'{{"id": "{A}"}}', '{"id": "none"}'),
    "a date that somebody changed": ('{"born": "1815-12-10"}', '{"born": "1815-12-11"}'),
    "a time that stood still": ('{"starts": "2026-01-01T09:00:00Z"}', '{"starts": "2026-01-01T11:00:00Z"}'),
    "a time that moved too far": ('{"ends": "2026-03-31T10:00:00Z"}', '{"ends": "2027-01-22T17:57:05Z"}'),
    "no time": ('{"at": "2026-13-01T10:00:01Z"}', '{"at": "2026-14-22T17:57:06Z"}'),
    "another spelling of the zone": ("2026-03-01T10:00:01Z", "2026-11-22T17:57:06+00:00"),
    "a number like seconds": ('{"id": 1772359201}', '{"id": 1999999999}'),
    "a claim of a token": (
        jwt({"sub": "ada", "iat": 1772359201}, "{{secret:1}}"),
        jwt({"sub": "bob", "iat": 1795370226}, "{{secret:1}}"),
    ),
    "a digest": ('{"md5": "5d41402abc4b2a76b9719d911017c592"}', '{"md5": "7d793037a0760186574b0282f2f435e7"}'),
}


def octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize(("was", "now"), SAME.values(), ids=list(SAME))
def test_recording_that_differs_in_volatile_values_keeps_every_octet(was: str, now: str) -> None:
    old = cassette(OLD, exchange(response(octets(was))))
    assert settle(old, cassette(NEW, exchange(response(octets(now))))) == old


@pytest.mark.parametrize(("was", "now"), OTHER.values(), ids=list(OTHER))
def test_real_change_shows(was: str, now: str) -> None:
    new = cassette(NEW, exchange(response(octets(now))))
    assert settle(cassette(OLD, exchange(response(octets(was)))), new) == new


FIELDS = {
    "Date": ("Date: Sun, 01 Mar 2026 10:00:00 GMT", "Date: Sun, 22 Nov 2026 17:57:05 GMT", True),
    "a Date that is no date": ("Date: yesterday", "Date: today", True),
    "Age": ("Age: 3", "Age: 31", True),
    "ETag": ('ETag: "a-1"', 'ETag: W/"b-2"', True),
    "request id": ("X-Request-Id: abc", "X-Request-Id: def", True),
    "request id of a cloud": ("x-amzn-RequestId: abc", "x-amzn-RequestId: def", True),
    "timing": ("X-Process-Time: 0.011", "X-Process-Time: 0.2", True),
    "trace": ("traceparent: 00-ab-01-00", "traceparent: 00-cd-02-00", True),
    "CF-RAY": ("CF-RAY: 230b030023ae2822-SJC", "CF-RAY: 330b030023ae2822-FRA", True),
    "Server-Timing": ("Server-Timing: db;dur=53", "Server-Timing: db;dur=7", True),
    "what is left of a limit": ("X-RateLimit-Remaining: 59", "X-RateLimit-Remaining: 58", True),
    "nothing is left of a limit": ("X-RateLimit-Remaining: 1", "X-RateLimit-Remaining: 0", False),
    "Expires of a cookie": (
        "Set-Cookie: a={{secret:1}}; Expires=Wed, 01 Apr 2026 10:00:00 GMT",
        "Set-Cookie: a={{secret:1}}; Expires=Wed, 23 Dec 2026 17:57:05 GMT",
        True,
    ),
    "Last-Modified that stood still": (
        "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT",
        "Last-Modified: Fri, 02 Jan 2026 00:00:00 GMT",
        False,
    ),
    "case of a name": ("X-Request-Id: abc", "x-request-id: abc", False),
    "Cache-Control": ("Cache-Control: max-age=60", "Cache-Control: max-age=61", False),
    "Content-Type": ("Content-Type: text/plain", "Content-Type: text/html", False),
}


@pytest.mark.parametrize(("was", "now", "is_kept"), FIELDS.values(), ids=list(FIELDS))
def test_fields_are_volatile_by_their_names(was: str, now: str, is_kept: bool) -> None:
    old, new = cassette(OLD, exchange(response(b"{}", was))), cassette(NEW, exchange(response(b"{}", now)))
    assert settle(old, new) == (old if is_kept else new)


def test_what_only_the_network_decides_does_not_show() -> None:
    old = cassette(OLD, exchange(chunked(b"one ", b"two"), cut=80, at=0.9))
    assert settle(old, cassette(NEW, exchange(chunked(b"one", b" two"), at=2.5))) == old
    assert settle(old, new := cassette(NEW, exchange(chunked(b"one", b" ten")))) == new
    coded = [response(gzip.compress(b"{}" * 99, level, mtime=level), "Content-Encoding: gzip") for level in (1, 9)]
    old = cassette(OLD, exchange(coded[0]))
    assert settle(old, cassette(NEW, exchange(coded[1]))) == old


def test_length_of_content_follows_its_volatile_values() -> None:
    old = cassette(OLD, exchange(response(b"2026-03-01T10:00:00Z")))
    assert settle(old, cassette(NEW, exchange(response(b"2026-11-22T17:57:05.25Z")))) == old


@pytest.mark.parametrize("kind", [FailureKind.RESET, FailureKind.TIMEOUT])
def test_failure_of_another_time_is_the_same_and_one_of_another_kind_is_not(kind: FailureKind) -> None:
    def failed(at: float, kind: FailureKind) -> Interaction:
        return Interaction(ORIGIN, request(), Track((), Failure(kind, at)))

    old = cassette(OLD, failed(0.1, FailureKind.RESET))
    new = cassette(NEW, failed(0.7, kind))
    assert settle(old, new) == (old if kind is FailureKind.RESET else new)


def test_renewed_certificate_is_the_same_and_another_cipher_is_not() -> None:
    def facts(number: str, cipher: str) -> TLSFacts:
        peer = {"subject": ((("commonName", "api.test"),),), "serialNumber": number, "notAfter": number}
        return TLSFacts(ORIGIN, "TLSv1.3", (cipher, "TLSv1.3", 256), None, number.encode(), peer)

    old = cassette(OLD, facts("1", "AES"), exchange(response()))
    assert settle(old, cassette(NEW, facts("2", "AES"), exchange(response()))) == old
    assert b"OTHER" in settle(old, cassette(NEW, facts("1", "OTHER"), exchange(response())))


# ---------------------------------------------------------------------- values that flow


def order(identity: str, status: str = "paid", moment: str = "2026-03-01T10:00:00Z") -> list[Interaction]:
    """A program makes an order, and asks for it by the id that it was given."""
    made = response(json.dumps({"id": identity, "made": moment}).encode(), status="201 Created")
    there = response(json.dumps({"id": identity, "status": status}).encode())
    return [exchange(made, request("POST /orders", b"{}")), exchange(there, request(f"GET /orders/{identity}"))]


def test_id_that_a_response_gave_keeps_its_old_form_in_later_requests() -> None:
    old = cassette(OLD, *order(A))
    assert settle(old, cassette(NEW, *order(B, moment="2026-11-22T17:57:05Z"))) == old


def test_id_in_an_interaction_that_changed_takes_those_along_that_gave_it() -> None:
    other = exchange(response(b'{"now": "2026-03-01T10:00:00Z"}'), request("GET /time"))
    other_now = exchange(response(b'{"now": "2026-11-22T17:57:05Z"}'), request("GET /time"))
    old = cassette(OLD, other, *order(A))
    result = settle(old, cassette(NEW, other_now, *order(B, "refunded")))
    assert A.encode() not in result
    assert result.count(B.encode()) == 3
    assert b"2026-03-01T10:00:00Z" in result  # what nothing refers to keeps its old form all the same
    assert result.startswith(b"cassette: 1\nrecorded: 2026-11-22T17:57:05Z\n")


def test_id_that_the_program_itself_has_changed_shows() -> None:
    """The program asks for another thing now; the old interaction would not answer it."""
    ask = [exchange(response(b"{}"), request(f"GET /things/{name}")) for name in (A, B)]
    new = cassette(NEW, ask[1])
    assert settle(cassette(OLD, ask[0]), new) == new


def test_id_that_no_matcher_looks_at_may_be_the_programs_own() -> None:
    ask = [exchange(response(b"{}"), request("GET /", b"", f"Idempotency-Key: {name}")) for name in (A, B)]
    old = cassette(OLD, ask[0])
    assert settle(old, cassette(NEW, ask[1])) == old


def test_boundary_of_a_multipart_is_the_programs_own() -> None:
    def upload(boundary: str) -> Interaction:
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'.encode()
        return exchange(response(), request("POST /", body, f"Content-Type: multipart/form-data; boundary={boundary}"))

    old = cassette(OLD, upload("f00d"))
    assert settle(old, cassette(NEW, upload("beef"))) == old


# ---------------------------------------------------------------------- which interactions, in which order


def poll(*states: str) -> list[Interaction]:
    return [exchange(response(state.encode()), request("GET /job")) for state in states]


def states(data: bytes) -> list[bytes]:
    loaded = [document.load("a.yaml") for document in yaml_format.scan(data, "a.yaml")]
    return [one.track.octets.partition(b"\r\n\r\n")[2] for one in loaded if isinstance(one, Interaction)]


ORDERS = {
    "one more in the middle": (["wait", "done"], ["wait", "wait", "done"]),
    "one less": (["wait", "wait", "done"], ["wait", "done"]),
    "another end": (["wait", "done"], ["wait", "failed"]),
    "all are new": (["a"], ["b", "c", "d"]),
    "none is left": (["a", "b"], []),
}


@pytest.mark.parametrize(("was", "now"), ORDERS.values(), ids=list(ORDERS))
def test_equal_requests_stay_in_the_order_of_the_new_recording(was: list[str], now: list[str]) -> None:
    result = settle(cassette(OLD, *poll(*was)), cassette(NEW, *poll(*now)))
    assert [state.decode() for state in states(result)] == now


def test_order_in_which_different_requests_ended_is_no_change() -> None:
    one, two = exchange(response(b"1"), request("GET /1")), exchange(response(b"2"), request("GET /2"))
    old = cassette(OLD, one, two)
    assert settle(old, cassette(NEW, two, one)) == old
    three = exchange(response(b"3"), request("GET /3"))
    assert states(settle(old, cassette(NEW, two, three, one))) == [b"1", b"2", b"3"]


def test_document_that_was_edited_by_hand_stays_as_it_is() -> None:
    old = cassette(OLD, exchange(response(b"1"))).replace(b"response: 200 OK", b"# as it was\nresponse: '200 OK'")
    old = old.replace(b"response body: |-\n  1\n", b"response body: '1'\nrepeat: last\n")
    assert b"repeat" in old
    assert settle(old, cassette(NEW, exchange(response(b"1")))) == old


def test_interactions_of_others_stay_if_they_shall() -> None:
    ours, theirs = exchange(response(b"1"), request("GET /1")), exchange(response(b"2"), request("GET /2"))
    changed = exchange(response(b"one"), request("GET /1"))
    old = cassette(OLD, ours, theirs)
    assert states(settle(old, cassette(NEW, changed))) == [b"one"]
    assert states(settle(old, cassette(NEW, changed), keeps_unrecorded=True)) == [b"one", b"2"]
    assert settle(old, cassette(NEW, ours), keeps_unrecorded=True) == old
    third = exchange(response(b"3"), request("GET /3"))
    assert states(settle(old, cassette(NEW, ours, third), keeps_unrecorded=True)) == [b"1", b"2", b"3"]


def test_recording_of_one_moment_is_taken_as_a_whole() -> None:
    old = cassette(OLD, exchange(response(A.encode()), request("GET /1")), exchange(response(b"2")))
    new = cassette(NEW, exchange(response(B.encode()), request("GET /1")), exchange(response(b"two")))
    assert A.encode() in settle(old, new)
    assert settle(old, new, is_one_moment=True) == new
    assert settle(old, old, is_one_moment=True) == old


def test_what_is_new_is_taken_as_it_is_where_nothing_shall_be_kept() -> None:
    old, new = (cassette(time, exchange(response(name.encode()))) for time, name in ((OLD, A), (NEW, B)))
    assert settle(old, new, keeps_volatile=False) == new


@pytest.mark.parametrize("old", [b"", b"no cassette\n", b"<html>"], ids=["missing", "text", "html"])
def test_old_file_that_is_no_cassette_is_replaced(old: bytes) -> None:
    new = cassette(NEW, exchange(response(b"1")))
    assert settle(old, new) == new


def test_many_equal_requests_are_settled_in_order() -> None:
    count = 1000
    old = cassette(OLD, *poll(*[f"{A} {number}" for number in range(count)]))
    new = cassette(NEW, *poll(*[f"{B} {number}" for number in range(count)]))
    assert settle(old, new) == old


def test_appended_documents_come_after_those_that_are_there() -> None:
    old, new = cassette(OLD, *poll("1")), cassette(NEW, *poll("2"))
    assert states(appended(old, new, "a.yaml")) == [b"1", b"2"]
    assert appended(old, new, "a.yaml").startswith(old)
    assert appended(old, cassette(NEW), "a.yaml") == old
    assert appended(b"", new, "a.yaml") == new
    assert states(appended(old.removesuffix(TERMINATOR), new, "a.yaml")) == [b"1", b"2"]
