"""A redacted request still matches, and placeholders have numbers of their own."""

from __future__ import annotations

from base64 import b64encode
from quopri import encodestring
from urllib.parse import quote

import pytest

from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Request
from cassette_http.cassette.secrets.placeholders import next_number
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.head import parse_response_head
from tests.cassette.messages import request, response
from tests.cassette.redacting import OK, TOKEN, bearer, interaction, redacted


def test_numbers_go_on_where_the_cassette_ended() -> None:
    first, _ = redacted(bearer())
    number = next_number(first.head_octets)
    assert number == 2
    again = Redactor(number).redact(interaction(bearer(), OK))
    assert again.request is not None
    assert again.request.values("authorization") == ["Bearer {{secret:2}}"]


@pytest.mark.parametrize(
    ("cassette", "expected"),
    [
        pytest.param(b"", 1, id="empty"),
        pytest.param(b"{{secret:9}} {{secret:10}} {{secret}}", 11, id="highest, not last"),
        pytest.param(b"%7B%7Bsecret%3A4%7D%7D", 5, id="percent-encoded"),
        pytest.param(b64encode(b"{{secret:1}}:{{secret:12}}"), 13, id="Basic"),
        pytest.param(b64encode(b":{{secret:1}}"), 2, id="Basic without a user"),
    ],
)
def test_the_next_number_is_after_all_placeholders(cassette: bytes, expected: int) -> None:
    assert next_number(cassette) == expected


MATCHING = resolve([*DEFAULT_MATCH, "headers"])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(bearer(), id="field"),
        pytest.param(bearer(target=f"/{TOKEN}"), id="path"),
        pytest.param(bearer(target=f"/?t={quote(TOKEN)}"), id="query"),
        pytest.param(bearer(body=f'{{"t": "{TOKEN}"}}'.encode()), id="JSON"),
        pytest.param(bearer(body=b64encode(f'"{TOKEN}"'.encode())), id="base64"),
        pytest.param(request("Cookie: sid=abcdefgh; theme=dark"), id="cookie"),
        pytest.param(request(f"Authorization: Basic {b64encode(b'bob:hunter2!').decode()}"), id="Basic"),
        pytest.param(request(f"Authorization: Basic {b64encode(b':hunter2!').decode()}"), id="Basic, no user"),
    ],
)
def test_a_request_matches_what_was_recorded_of_it(sent: Request) -> None:
    recorder = Redactor()
    recorder.redact(interaction(bearer("another-token-before"), OK))
    recorded = recorder.redact(interaction(sent, OK)).request
    assert recorded is not None
    replayer = Redactor(first=17)
    keys = {MATCHING.key(replayer.redact_request(each)) for each in (sent, recorded)}
    assert len(keys) == 1
    assert replayer.redact_request(replayer.redact_request(sent)) == replayer.redact_request(sent)


def mail_with(secret: str) -> Request:
    text = f"Some words. \nToken: {secret}\n{'and more ' * 20}"
    head = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    return request("Content-Type: message/rfc822", body=head + encodestring(text.encode()).replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("other", [TOKEN, "short-0123", "a-much-longer-token-of-100-characters" * 3])
def test_a_mail_matches_wherever_its_lines_are_broken(other: str) -> None:
    recorded = Redactor().redact(interaction(mail_with(TOKEN), OK)).request
    assert recorded is not None
    assert b"Token: {{secret:1}}\r\n" in recorded.body_octets
    keys = {MATCHING.key(Redactor().redact_request(each)) for each in (recorded, mail_with(other))}
    assert len(keys) == 1


def test_a_request_with_another_secret_matches() -> None:
    left, right = (
        Redactor().redact_request(bearer(token, target=f"/?t={token}", body=f'{{"t": "{token}"}}'.encode()))
        for token in (TOKEN, "another-token")
    )
    assert MATCHING.key(left) == MATCHING.key(right)


@pytest.mark.parametrize(
    "spelled", [quote("/?t={{secret:3}}", safe="/?="), "/?t={{secret:3}}", "/?t=%7b%7bsecret:4%7d%7d"]
)
def test_a_placeholder_that_was_played_and_is_sent_again_matches(spelled: str) -> None:
    redactor = Redactor()
    keys = {MATCHING.key(redactor.redact_request(request(target=each))) for each in (spelled, "/?t={{secret:5}}")}
    assert len(keys) == 1


def test_other_differences_still_count() -> None:
    redactor = Redactor()
    assert MATCHING.key(redactor.redact_request(bearer(target="/a"))) != MATCHING.key(
        redactor.redact_request(bearer(target="/b"))
    )


def test_a_request_without_secrets_is_the_same_object_for_matching() -> None:
    sent = request("Cookie: theme=dark", body=b"no secret here")
    assert Redactor().redact_request(sent) is sent


def test_the_form_for_matching_keeps_its_length_true() -> None:
    sent = Redactor().redact_request(bearer(body=TOKEN.encode()))
    assert sent.content == b"{{secret}}"


def test_heads_stay_heads() -> None:
    _, received = redacted(bearer(), response("Set-Cookie: sid=abcdefgh", "X: y"))
    head = parse_response_head(received)
    assert head.fields == (("Set-Cookie", "sid={{secret:2}}"), ("X", "y"), ("Content-Length", "0"))
