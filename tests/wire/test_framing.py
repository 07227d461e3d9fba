"""The rules of RFC 9112 sections 6.3 and 9.3, row by row."""

from __future__ import annotations

import pytest

from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import (
    CHUNKED,
    NO_CONTENT,
    UNTIL_CLOSE,
    Framing,
    FramingKind,
    is_persistent,
    request_framing,
    response_framing,
)

Pairs = list[tuple[str, str]]


def length(count: int) -> Framing:
    return Framing(FramingKind.LENGTH, count)


def content_length(*values: str) -> Pairs:
    return [("Content-Length", value) for value in values]


def transfer_encoding(*values: str) -> Pairs:
    return [("transfer-encoding", value) for value in values]


@pytest.mark.parametrize("fields", [[], content_length("5"), content_length("1", "2"), transfer_encoding("chunked")])
@pytest.mark.parametrize(
    ("status", "method"),
    [
        (200, "HEAD"),
        (404, "HEAD"),
        (100, "GET"),
        (101, "GET"),
        (199, "GET"),
        (204, "GET"),
        (304, "GET"),
        (200, "CONNECT"),
        (299, "CONNECT"),
    ],
)
def test_some_responses_have_no_content_whatever_their_fields_say(status: int, method: str, fields: Pairs) -> None:
    assert response_framing(status, fields, method) == NO_CONTENT


# Rows that requests and responses share.
LENGTHS = [
    pytest.param(content_length("5"), 5, id="plain"),
    pytest.param(content_length("0"), 0, id="zero"),
    pytest.param(content_length(" \t5 "), 5, id="OWS"),
    pytest.param(content_length("5", "5"), 5, id="repeated line"),
    pytest.param(content_length("5, 5"), 5, id="repeated member"),
    pytest.param(content_length("5,,5 ,"), 5, id="empty members"),
    pytest.param(content_length("5", "05"), 5, id="same number in other digits"),
    pytest.param([*content_length("5"), *transfer_encoding("identity")], 5, id="identity is no coding"),
    pytest.param([*content_length("5"), *transfer_encoding("", " , ")], 5, id="empty list of codings"),
    pytest.param(content_length("0" * 30 + "5"), 5, id="leading zeros"),
    pytest.param(content_length("9" * 640), int("9" * 640), id="640 digits"),
]
CODINGS = [
    pytest.param(transfer_encoding("chunked"), id="chunked"),
    pytest.param(transfer_encoding("CHUNKED"), id="any case"),
    pytest.param(transfer_encoding("gzip, chunked"), id="final in a list"),
    pytest.param(transfer_encoding("gzip", "chunked"), id="final in several lines"),
    pytest.param(transfer_encoding("chunked, identity"), id="identity is passed over"),
    pytest.param([*content_length("5"), *transfer_encoding("chunked")], id="with Content-Length"),
    pytest.param([*content_length("1", "2"), *transfer_encoding("chunked")], id="with Content-Lengths that differ"),
]
OTHER_CODINGS = [
    pytest.param(transfer_encoding("gzip"), id="other coding"),
    pytest.param(transfer_encoding("chunked, gzip"), id="chunked is not final"),
    pytest.param(transfer_encoding("chunked", "gzip"), id="chunked is not in the last line"),
    pytest.param(transfer_encoding("xchunked"), id="similar name"),
    pytest.param(transfer_encoding("chunked\xa0"), id="white space that is not OWS"),
    pytest.param([*content_length("5"), *transfer_encoding("gzip")], id="with Content-Length"),
]
UNREADABLE = ["", "-1", "+5", "5_0", "0x5", "5.0", "5 5", "five", "\xb2", "5\xa0", "9" * 641]
DIFFERING = [
    pytest.param(content_length("3", "4"), id="lines"),
    pytest.param(content_length("3, 4"), id="members"),
    pytest.param(content_length("3", "x"), id="one is unreadable"),
    pytest.param(content_length("3", ""), id="one is empty"),
    pytest.param(content_length("x", "y"), id="both are unreadable"),
]


@pytest.mark.parametrize(("fields", "count"), LENGTHS)
def test_content_length_is_the_length(fields: Pairs, count: int) -> None:
    assert response_framing(200, fields, "GET") == request_framing(fields) == length(count)


@pytest.mark.parametrize("fields", CODINGS)
def test_chunked_as_the_final_coding_wins(fields: Pairs) -> None:
    assert response_framing(200, fields, "GET") == request_framing(fields) == CHUNKED


@pytest.mark.parametrize("fields", OTHER_CODINGS)
def test_a_response_whose_final_coding_is_another_ends_with_the_connection(fields: Pairs) -> None:
    assert response_framing(200, fields, "GET") == UNTIL_CLOSE


@pytest.mark.parametrize("fields", OTHER_CODINGS)
def test_a_request_whose_final_coding_is_another_is_malformed(fields: Pairs) -> None:
    with pytest.raises(MalformedMessage, match=r"a request whose final transfer coding is '.*', not chunked"):
        request_framing(fields)


@pytest.mark.parametrize("value", UNREADABLE)
def test_a_response_with_an_unreadable_length_ends_with_the_connection(value: str) -> None:
    assert response_framing(200, content_length(value), "GET") == UNTIL_CLOSE


@pytest.mark.parametrize("value", UNREADABLE)
def test_a_request_with_an_unreadable_length_is_malformed(value: str) -> None:
    with pytest.raises(MalformedMessage, match="a request with an unreadable Content-Length '"):
        request_framing(content_length(value))


@pytest.mark.parametrize("fields", DIFFERING)
def test_lengths_that_differ_are_malformed(fields: Pairs) -> None:
    with pytest.raises(MalformedMessage, match="Content-Length values that differ: "):
        response_framing(200, fields, "GET")
    with pytest.raises(MalformedMessage, match="Content-Length values that differ: "):
        request_framing(fields)


def test_without_fields_a_response_ends_with_the_connection_and_a_request_with_its_head() -> None:
    assert response_framing(200, [("A", "b")], "GET") == UNTIL_CLOSE
    assert response_framing(407, [], "CONNECT") == UNTIL_CLOSE
    assert request_framing([("A", "b")]) == NO_CONTENT


@pytest.mark.parametrize(
    ("version", "fields", "persistent"),
    [
        ("HTTP/1.1", [], True),
        ("HTTP/1.1", [("Connection", "keep-alive")], True),
        ("HTTP/1.1", [("Connection", "close")], False),
        ("HTTP/1.1", [("CONNECTION", "Upgrade,  CLOSE ")], False),
        ("HTTP/1.1", [("Connection", "upgrade"), ("Connection", "close")], False),
        ("HTTP/1.1", [("Connection", "close, keep-alive")], False),
        ("HTTP/1.1", [("Connection", "closer")], True),
        ("HTTP/1.1", transfer_encoding("chunked"), True),
        ("HTTP/1.1", [*transfer_encoding("chunked"), *content_length("5")], False),
        ("HTTP/1.1", [*transfer_encoding("identity"), *content_length("5")], True),
        ("HTTP/1.2", [], True),
        ("HTTP/1.0", [], False),
        ("HTTP/1.0", [("Connection", "Keep-Alive")], True),
        ("HTTP/1.0", [("Connection", "keep-alive, close")], False),
        ("HTTP/1.0", [("Keep-Alive", "timeout=5")], True),
        ("HTTP/1.0", [("Keep-Alive", "")], False),
        ("HTTP/1.0", [("Proxy-Connection", "keep-alive")], True),
        ("HTTP/1.0", [("Proxy-Connection", "close")], False),
        ("HTTP/1.0", [("Connection", "keep-alive"), *transfer_encoding("chunked")], False),
        ("HTTP/0.9", [("Connection", "keep-alive")], False),
    ],
)
def test_persistence(version: str, fields: Pairs, persistent: bool) -> None:
    assert is_persistent(version, fields) is persistent
