"""Secrets in long lists of JSON, whose elements are looked at by themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cassette.redacting import GITHUB, bearer, content_of, redacted

SECRET = "maple-Syrup9-and-Waffles"
RECORDS = [{"id": number, "title": f"record {number}", "labels": [{"name": "open"}]} for number in range(2000)]


def with_one(number: int, member: dict[str, Any]) -> list[dict[str, Any]]:
    """Many records, and a member in one of them."""
    return [{**record, **member} if at == number else record for at, record in enumerate(RECORDS)]


def hidden(document: Any, layout: str) -> bytes:
    """What is left of a document when it was redacted as an answer."""
    written = {
        "compact": json.dumps(document, separators=(",", ":")),
        "spaced": json.dumps(document),
        "on lines": "\n" + json.dumps(document, indent=2) + "\n",
        "cut off": json.dumps(document)[:-5],
    }[layout].encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return content_of(redacted(bearer(), head % len(written) + written)[1])


@pytest.mark.parametrize("layout", ["compact", "spaced", "on lines", "cut off"])
@pytest.mark.parametrize("number", [0, 1, 777, 1999])
@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"password": SECRET}, id="member"),
        pytest.param({"settings": [{"name": "api_key", "value": SECRET}]}, id="record"),
        pytest.param({"note": f"log in with\npassword: {SECRET}\nand go on"}, id="line of a string"),
        pytest.param({"url": f"https://bob:{SECRET}@example.com/"}, id="user information"),
        pytest.param({"url": f"https://example.com/?a=b&access_token={SECRET}"}, id="query"),
        pytest.param({"inner": json.dumps(with_one(5, {"password": SECRET}))}, id="list in a string"),
        pytest.param({"inner": with_one(5, {"password": SECRET})}, id="list in an element"),
    ],
)
def test_secrets_in_elements_are_hidden(member: dict[str, Any], number: int, layout: str) -> None:
    for document in (with_one(number, member), {"total": 2000, "items": with_one(number, member), "next": None}):
        left = hidden(document, layout)
        assert SECRET.encode() not in left
        assert left.count(b"{{secret:") == 1


@pytest.mark.parametrize("layout", ["compact", "spaced", "on lines", "cut off"])
@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"password": SECRET, "items": RECORDS, "more": 1}, id="in front"),
        pytest.param({"items": RECORDS, "password": SECRET, "more": 1}, id="behind"),
        pytest.param({"items": RECORDS, "password": SECRET, "others": RECORDS}, id="between"),
    ],
)
def test_secrets_around_lists_are_hidden(document: dict[str, Any], layout: str) -> None:
    assert SECRET.encode() not in hidden(document, layout)


def test_what_one_element_tells_is_hidden_in_all() -> None:
    left = hidden([{"note": SECRET}, *RECORDS, {"password": SECRET}, *RECORDS, {"note": f"({SECRET})"}], "compact")
    assert left.count(b"{{secret:") == 3
    assert SECRET.encode() not in left


def test_list_after_a_telling_name_is_not_taken_apart() -> None:
    assert SECRET.encode() not in hidden({"api_tokens": [*RECORDS, {"api_token": SECRET}], "more": 1}, "compact")


def test_all_but_secrets_stays() -> None:
    document = {"items": with_one(777, {"key": GITHUB}), "total": 2000}
    assert json.loads(hidden(document, "spaced").replace(b"{{secret:2}}", GITHUB.encode())) == document


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[{"a":' * 200_000, id="too deep"),
        pytest.param('[{"a":' * 400 + '"x"' + "}]" * 400, id="deep"),
        pytest.param('[{"a": ' + "1" * 40_000 + f'}}, {{"password": "{SECRET}"}}]', id="number that is too large"),
        pytest.param(
            '[{"a": "' + "x" * 5000 + '"}, {"a":' + '[{"a":' * 300 + "1" + "}]" * 300 + "}]", id="lists in lists"
        ),
        pytest.param("[{]" * 10_000, id="no JSON"),
    ],
)
def test_any_list_is_survived(text: str) -> None:
    body = f'[{{"password": "{SECRET}"}}, {text}'.encode()
    left = content_of(redacted(bearer(), b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)[1])
    assert SECRET.encode() not in left
