"""What is no secret comes back unchanged, and around a secret nothing changes but its own octets."""

from __future__ import annotations

import gzip
import json
import re
import string
from base64 import b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Interaction, Piece, Request, Track
from cassette_http.cassette.secrets.names import looks_random
from cassette_http.cassette.secrets.redaction import Redactor
from tests.cassette.messages import ORIGIN, request, response

SHA1 = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de") + bytes(range(256)) * 8
MATCHING = resolve(DEFAULT_MATCH)


def interaction(sent: Request, received: bytes) -> Interaction:
    return Interaction(ORIGIN, sent, Track((Piece(received),)))


@pytest.mark.parametrize(
    "text",
    [
        '{"token_count": 5, "tokens": 128, "max_tokens": 4096, "total_tokens": 12345678}',
        '{"token_type": "Bearer", "expires_in": 3600, "token_endpoint": "https://a.test/token"}',
        '{"next_page_token": "CAUQAA29ZkxhbmdMb25nZXJUaGFuVGhhdA", "nextToken": "abcdefgh12345678"}',
        '{"author": "anna", "keyboard": "qwertz12", "monkey": "chimpanzee7", "authority": "b", "keyword": "abcdefgh1"}',
        '{"id": "123e4567-e89b-12d3-a456-426614174000", "key": "123e4567-e89b-12d3-a456-426614174000"}',
        '{"id": 9007199254740993, "user_id": "1234567890123456", "key": 17}',
        f'{{"sha": "{SHA1}", "digest": "sha256:{SHA256}", "etag": "W/\\"{SHA1}\\""}}',
        f'{{"commit": {{"url": "https://api.test/repos/a/b/git/commits/{SHA1}"}}}}',
        '{"code": "invalid_request", "state": "open", "key": "users", "auth": true, "sig": null, "status_code": 404}',
        '{"code": "resource_not_found_error", "state": "waiting_for_confirmation", "key": "a/2026/08/img_0123.jpg"}',
        '{"session": null, "token": "", "password": false, "secret": {}, "tokens": [], "api_key": []}',
        '{"password": ["This field is required."], "token": "The token is invalid."}',
        '{"password": "********", "api_key": "[REDACTED]", "token": "${TOKEN}", "secret": "<secret>"}',
        '{"password": "FILTERED", "api_key": "REDACTED", "token": "<SANITIZED>", "secret": "masked"}',
        '{"token_url": "https://a.test/oauth/token", "secret": "https://a.test/vault/secret-of-somebody"}',
        '{"permissions": {"metadata": "read", "secrets": "write", "tokens": "read", "actions_secret": "write"}}',
        '{"node_modules/csrf-token": {"version": "7.9.0", "integrity": "sha512-' + "aB3+x/9Q" * 10 + 'aB3xyw=="}}',
        '{"node_modules/csrf": {"integrity": "sha1-' + "aB3+x/9" * 3 + 'aB3xyw=", "dev": true}}',
        '{"required": ["password", "email"], "fields": [["token", "session"], ["api_key", "name"]], "a": ["key"]}',
        '[{"name": "key", "value": 3}, {"value": "users", "key": "state"}, {"key": "token_count", "n": 1, "value": 7}]',
        '{ "a" :1.0e2 ,\t"b":[ 1 ,-0.0, 1E+5],"z":{},  "a":"\\u00e9\\/" }\r\n',
        '{"query": "query Q($first: Int!) { keys(first: $first) { code state } }", "variables": {"first": 3}}',
        '{"model": "gpt-4o-mini-2026-08-06", "id": "chatcmpl-7QyqpwdfhqwajicIEznoc6Q"}',
        '{"session_id": 123456789, "token_id": 1234567, "secret_version": 3, "token_expires_at": 1790000000}',
        '{"created": "2026-11-23T17:16:15.123456+00:00", "cursor": "bmV4dF9pdGVtXzEyMzQ1Njc4OTA="}',
        '{"data": "' + b64encode(b'{"name": "anna", "n": 7, "tags": ["a"]}').decode() + '"}',
        '{"image": "data:image/png;base64,' + b64encode(PNG).decode() + '"}',
        '{"image": "https://cdn.a.test/fGs49APw/g76IzO3UlLt0Wj2UfslYt9Qj.png", "path": "/nPwU/Q5qfr7jvhUl71or0NCu"}',
        '{"digest": "HuOA8Ifrhg0FitY31ldMQQ/nPwU/RDOJFAUwE6fWI3tSxn3HHw=="}',
        '{"id": "YCTF6TNMVLK7L4I7B73HOYY5WJO57X3KUBBVUEIK"}',
        "id,digest,name\n7,qrCJ7aLPwZgbIR2k6l62bhWqmcAR7ndHCSg=,anna\n8,cimSQpBi7zMx2hPwLGK2BeJzq94oq7Y1p7vEZ6HOg=,bob\n",
        '<li>\n  <a href="/"\n     accesskey="I">index</a></li>\n',
        "<a author='anna' key=\"users\"><keyboard>qwertz12345</keyboard><state>open</state></a>",
        '<input type="password" name="password" placeholder="Your password"><meta name="author" content="anna b.">',
        "a=1&author=anna&key=users&state=open&code=42",
        "See https://a.test/x?key=users&page=2#author=anna, and mail to bob@a.test (https://a.test/@bob).",
        "The secret of a good password is: length. Bearer of this token: anna. sk-learn-is-a-library-for-everybody",
        "const token=next(); if(a?token:b){session=e.session;password=f(x)}",
        'event: message\ndata: {"choices": [{"delta": {"content": "key"}, "index": 0}]}\n\ndata: [DONE]\n\n',
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ8mSsLkvbrIjBhTc3TjRuUHbBHM\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_secret_comes_back_unchanged(text: str) -> None:
    body = text.encode()
    form = ["Content-Type: application/x-www-form-urlencoded"] if text.startswith("a=1&") else []
    recorded = interaction(request(*form, body=body), response(body=body))
    redactor = Redactor(
        environment={"HOME": "/home/anna", "LANG": "en_US.UTF-8", "DESKTOP_SESSION": "ubuntu-wayland-7"}
    )
    assert redactor.redact(recorded) is recorded
    recorded = interaction(request(), response("Content-Encoding: gzip", body=gzip.compress(body, 9)))
    assert redactor.redact(recorded) is recorded


@pytest.mark.parametrize(
    "target",
    [
        "/?key=users",
        "/?key=users&code=42&state=open",
        "/?user[key]=users&page.state=open&filter%5Bcode%5D=42",
        "/stores?code=94107&state=CA",
        "/repos/a/b/commits/" + SHA1,
        "/users/123e4567-e89b-12d3-a456-426614174000/keys",
        "/search?q=token+secret+password&author=anna&page_token=abcdefgh12345678",
        "/x?redirect=https%3A%2F%2Fb.test%2F%3Fkey%3Dusers",
        "/services/list-of-all-services-here/and-their-tokens",
        "/bot-detection/2026/of-this-and-that-and-more",
        "/oauth/token",
    ],
)
def test_ordinary_targets_come_back_unchanged(target: str) -> None:
    recorded = interaction(request(target=target), response(f"Location: {target}", f"Link: <{target}>; rel=next"))
    assert Redactor().redact(recorded) is recorded
    assert recorded.request is not None
    assert Redactor().redact_request(recorded.request) is recorded.request


@pytest.mark.parametrize(
    "line",
    [
        f'ETag: "{SHA1}"',
        f"X-Request-Id: {UUID(int=2**127)}",
        f"Digest: SHA-256={b64encode(bytes.fromhex(SHA256)).decode()}",
        f"Content-Security-Policy: script-src 'sha256-{b64encode(bytes.fromhex(SHA256)).decode()}'",
        "Access-Control-Allow-Headers: Authorization, X-Api-Key, X-CSRF-Token",
        'WWW-Authenticate: Bearer realm="https://a.test/token", scope="repo:read"',
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
        "Idempotency-Key: 5f2b1e3c9d7a4b6f8e0c1d2a3b4c5d6e",
        "Set-Cookie: theme=dark; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/",
        'Server-Timing: cache;desc="hit", db;dur=53',
    ],
)
def test_ordinary_fields_come_back_unchanged(line: str) -> None:
    recorded = interaction(request(), response(line))
    assert Redactor().redact(recorded) is recorded


def test_ordinary_tables_come_back_unchanged() -> None:
    body = b'id,token_count,author,key\r\n1,128,"anna, b.",users\r\n2,,"password,secret",\r\n'
    recorded = interaction(request(), response("Content-Type: text/csv", body=body))
    assert Redactor().redact(recorded) is recorded


def test_images_come_back_unchanged() -> None:
    recorded = interaction(request("Content-Type: image/png", body=PNG), response("Content-Type: image/png", body=PNG))
    redactor = Redactor(environment={"API_TOKEN": "abcdefgh12345678"})
    assert redactor.redact(recorded) is recorded


def test_requests_that_differ_in_an_ordinary_value_differ_after_redaction() -> None:
    targets = ["/?key=users", "/?key=groups", "/?code=1", "/?code=2", "/?state=open", "/?state=closed"]
    keys = {MATCHING.key(Redactor().redact_request(request(target=target))) for target in targets}
    assert len(keys) == len(targets)


def test_only_the_span_of_a_secret_changes() -> None:
    body = b'{ "z" :1.0e2,\r\n\t"token":"abc\\u0041-12345678" , "a":[ 1 , 2 ]\n}\n'
    redacted = Redactor().redact(interaction(request(), response(body=body)))
    assert redacted.track.octets == response(body=body.replace(b"abc\\u0041-12345678", b"{{secret:1}}"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a1B2c3D4e5F6g7H8", True),
        ("0123456789abcdef0123456789abcdef", True),
        ("4/0AX4XfWhvZQ7yNbL2-kTq9sR", True),
        ("short1A", False),
        ("aaaaaaaaaaaaaaaaaaaaaaaa1", False),
        ("installation_access_tokens", False),
        ("someCamelCaseIdentifierName", False),
        ("2026-11-23T17:16:15Z", False),
        ("123456789012345678901234", False),
        ("123e4567-e89b-12d3-a456-426614174000", False),
        ("photos/2026/08/img_0123.jpg", False),
        ("two words 1a2b3c4d5e6f", False),
    ],
)
def test_values_that_look_random(value: str, expected: bool) -> None:
    assert looks_random(value) is expected


# -- properties ----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "token", "password", "key", "user", "api_key", "state", "Authorization", "session_id"])
VALUES = st.one_of(
    st.text(st.sampled_from(string.ascii_letters + string.digits + "-_./+= \"'\\&<>{}:%é\n"), max_size=30),
    st.sampled_from(["ghp_" + "a1B2c3D4e5" * 4, "AKIA" + "A1B2C3D4E5F6G7H8", "{{secret:3}}", "Bearer abc", SHA1]),
    st.integers(),
    st.none(),
)
JSON = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))
PLACEHOLDER = re.compile(r"\{\{secret:\d+\}\}|999999999\d{6}")


def same_but_for_secrets(before: object, after: object) -> bool:
    """Tell whether two JSON values differ only in texts and numbers that are secret now."""
    if before == after:
        return True
    if isinstance(before, dict) and isinstance(after, dict):
        return list(before) == list(after) and all(same_but_for_secrets(before[name], after[name]) for name in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(same_but_for_secrets, before, after))
    if type(before) is type(after) and isinstance(before, str | int):
        return PLACEHOLDER.search(str(after)) is not None
    return False


@given(st.dictionaries(NAMES, JSON, max_size=4), st.booleans(), st.sampled_from([None, 0, 3]))
def test_redacted_json_is_the_same_json(value: object, is_ascii: bool, indent: int | None) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    redacted = Redactor(100).redact(interaction(request(), response(body=body)))
    head, _, after = redacted.track.octets.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(after) in head
    assert same_but_for_secrets(value, json.loads(after))


@given(st.dictionaries(NAMES, JSON, max_size=4), st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_redacting_twice_is_redacting_once(value: object, fields: list[tuple[str, object]]) -> None:
    lines = [f"X-{name}: {json.dumps(each)}" for name, each in fields]
    sent = request(*lines, target="/?token=abc&a=b", body=json.dumps(value).encode())
    once = Redactor().redact(interaction(sent, response(*lines, body=json.dumps([value, 1.5]).encode())))
    assert Redactor(1000).redact(once) is once


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.text(string.printable, max_size=60))
def test_arbitrary_octets_are_taken(octets: bytes, text: str) -> None:
    redactor = Redactor()
    once = redactor.redact(interaction(request(body=text.encode()), b"HTTP/1.1 200 OK\r\n\r\n" + octets))
    assert once.track.octets.startswith(b"HTTP/1.1 200 OK\r\n\r\n")
    assert once.request is not None
    redactor.redact_request(once.request)
