"""Fields by name: what of them is hidden, and what stays."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from http.cookies import SimpleCookie

import pytest

from cassette_http.cassette.secrets.names import is_secret_name
from tests.cassette.messages import request, response
from tests.cassette.redacting import redacted


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("Authorization: Bearer abc", "Authorization: Bearer {{secret:1}}", id="Bearer"),
        pytest.param("authorization:Token  abc", "authorization:Token  {{secret:1}}", id="white space stays"),
        pytest.param("Authorization: abc", "Authorization: {{secret:1}}", id="no scheme"),
        pytest.param("Authorization: Negotiate", "Authorization: Negotiate", id="only a scheme"),
        pytest.param("Authorization: ", "Authorization: ", id="empty"),
        pytest.param(
            'Authorization: Digest username="u", response="r"',
            "Authorization: Digest {{secret:1}}",
            id="Digest",
        ),
        pytest.param(
            "Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature=c",
            "Authorization: AWS4-HMAC-SHA256 {{secret:1}}",
            id="SigV4",
        ),
        pytest.param("Proxy-Authorization: Bearer abc", "Proxy-Authorization: Bearer {{secret:1}}", id="proxy"),
        pytest.param("Authorization: Basic ?!", "Authorization: Basic {{secret:1}}", id="Basic that is not base64"),
        pytest.param("X-Api-Key: abc", "X-Api-Key: {{secret:1}}", id="API key"),
        pytest.param("X-Acme-Secret: abc", "X-Acme-Secret: {{secret:1}}", id="secret"),
        pytest.param("PRIVATE-TOKEN: abc", "PRIVATE-TOKEN: {{secret:1}}", id="token"),
        pytest.param("X-CSRF-Token: Fetch", "X-CSRF-Token: Fetch", id="a word of a protocol"),
        pytest.param("X-Api-Key: {{secret:7}}", "X-Api-Key: {{secret:7}}", id="redacted already"),
        pytest.param("X-Token: a\r\n b", "X-Token: {{secret:1}}", id="continuation line"),
        pytest.param("X-Token: a\rb", "X-Token: {{secret:1}}", id="bare CR"),
        pytest.param("X-Token : a", "X-Token : {{secret:1}}", id="blank before the colon"),
        pytest.param("Cookie: sid=abc", "Cookie: sid={{secret:1}}", id="cookie that says it is a session"),
        pytest.param("Cookie: theme=dark", "Cookie: theme=dark", id="short ordinary cookie"),
        pytest.param("Cookie: layout=comfortable", "Cookie: layout=comfortable", id="cookie of small letters"),
        pytest.param("Cookie: a=Abcdefgh", "Cookie: a={{secret:1}}", id="cookie of unknown kind"),
        pytest.param("Cookie: logged_in_session=1", "Cookie: logged_in_session=1", id="session flag"),
        pytest.param("Cookie: author=anna", "Cookie: author=anna", id="an author is no authorization"),
        pytest.param("Cookie: president=anna", "Cookie: president=anna", id="a president is no sid"),
        pytest.param(
            'Cookie: a=b;  PHPSESSID="q"; c; X=12345678a ;d=',
            'Cookie: a=b;  PHPSESSID="{{secret:1}}"; c; X={{secret:2}} ;d=',
            id="only values change",
        ),
        pytest.param("Cookie: tokenA=x; tokenB=x", "Cookie: tokenA={{secret:1}}; tokenB={{secret:1}}", id="equal"),
        pytest.param("Accept: token", "Accept: token", id="other fields stay"),
    ],
)
def test_fields_of_requests(line: str, expected: str) -> None:
    sent = request(line)
    assert redacted(sent)[0].head_octets == sent.head_octets.replace(line.encode(), expected.encode())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("Set-Cookie: sid=abc", "Set-Cookie: sid={{secret:1}}", id="value"),
        pytest.param(
            "Set-Cookie: sid=abc; Path=/auth; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly",
            "Set-Cookie: sid={{secret:1}}; Path=/auth; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly",
            id="attributes stay",
        ),
        pytest.param("Set-Cookie: sid=; Max-Age=0", "Set-Cookie: sid=; Max-Age=0", id="empty value"),
        pytest.param("Set-Cookie: sid=deleted", "Set-Cookie: sid=deleted", id="deleted"),
        pytest.param("Set-Cookie: theme=dark", "Set-Cookie: theme=dark", id="ordinary"),
        pytest.param("X-Auth-Token: abc", "X-Auth-Token: {{secret:1}}", id="token"),
        pytest.param("X-RateLimit-Remaining-Tokens: 128", "X-RateLimit-Remaining-Tokens: 128", id="counter"),
        pytest.param('ETag: "0123456789abcdef"', 'ETag: "0123456789abcdef"', id="etag"),
        pytest.param("Vary: Cookie, Authorization", "Vary: Cookie, Authorization", id="names in a value"),
    ],
)
def test_fields_of_responses(line: str, expected: str) -> None:
    assert redacted(request(), response(line))[1] == response(expected)


def test_a_redacted_set_cookie_is_a_cookie() -> None:
    _, octets = redacted(request(), response('Set-Cookie: sid="abc def"; Path=/; Secure'))
    (line,) = re.findall(rb"Set-Cookie: (.*)\r\n", octets)
    cookie = SimpleCookie(line.decode())
    assert cookie["sid"].value == "{{secret:1}}"
    assert cookie["sid"]["path"] == "/"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        pytest.param("bob:hunter2", "{{secret:1}}:{{secret:2}}", id="user and password"),
        pytest.param("sk_live_1:", "{{secret:1}}:", id="key as user"),
        pytest.param(":hunter2", ":{{secret:1}}", id="password alone"),
        pytest.param("bob:a:b", "{{secret:1}}:{{secret:2}}", id="colon in the password"),
        pytest.param("{{secret:3}}:{{secret:4}}", "{{secret:3}}:{{secret:4}}", id="redacted already"),
    ],
)
def test_basic_stays_base64_of_a_pair(credentials: str, expected: str) -> None:
    sent, _ = redacted(request(f"Authorization: Basic {b64encode(credentials.encode()).decode()}"))
    (value,) = sent.values("authorization")
    assert b64decode(value.removeprefix("Basic "), validate=True).decode() == expected


def test_a_user_name_is_not_searched_but_the_password_is() -> None:
    credentials = b64encode(b"bob.smith:correct-horse").decode()
    sent, _ = redacted(request(f"Authorization: Basic {credentials}", body=b"bob.smith correct-horse"))
    assert sent.content == b"bob.smith {{secret:2}}"


def test_a_key_given_as_user_name_is_searched() -> None:
    credentials = b64encode(b"sk_live_1234:").decode()
    sent, _ = redacted(request(f"Authorization: Basic {credentials}", body=b"key sk_live_1234"))
    assert sent.content == b"key {{secret:1}}"


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization-Token", "access_token", "refreshToken", "id_token", "client_secret", "clientSecret"),
        *("password", "passwd", "pwd", "api_key", "apiKey", "apikey", "X-API-KEY", "api-key", "X-Acme-Key"),
        *(
            "X-Hub-Signature-256",
            "X-Amz-Signature",
            "session",
            "session_id",
            "sessionid",
            "X-CSRFToken",
        ),
        *(
            "csrf",
            "xsrf-token",
            "credential",
            "private_key",
            "SecretAccessKey",
            "SessionToken",
            "AWSSecretKey",
        ),
        *(
            "Ocp-Apim-Subscription-Key",
            "DD-APPLICATION-KEY",
            "X-Vault-Token",
            "PRIVATE-TOKEN",
            "x-goog-api-key",
        ),
        *(
            "passwords",
            "api_keys",
            "privateKeys",
            "access_tokens",
            "cookies",
            "pass_phrase",
            "sess_id",
            "code_verifier",
        ),
        *(
            "PGPASSWORD",
            "mypassword",
            "appsecret",
            "identitytoken",
            "sharedaccesskey",
            "aspsessionid",
            "preSharedKey",
            "accountkey",
        ),
        *("user[x-acme-key]", "spring.datasource.x-acme-key", "user[bearer]"),
        *("X-Authorization", "HTTP_AUTHORIZATION", "X-Forwarded-Authorization", "authHeader", "HTTP_COOKIE", "user_pw"),
        *("http.request.header.authorization", "response.headers.cookie"),
        *("X-JFrog-Art-Api", "X-Honeycomb-Team", "Fastly-Key", "rspauth", "cnonce"),
        *("passwort", "neues_kennwort", "motDePasse", "contrasena", "senha", "wachtwoord"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("token_count", "tokens", "token_type", "next_page_token", "nextPageToken", "author", "keyboard"),
        *("monkey", "key", "Sec-WebSocket-Key", "Idempotency-Key", "X-Idempotency-Key", "X-Cache-Key"),
        *("Surrogate-Key", "signal", "design", "assignment", "possession", "Signature-Input", "Content-Type"),
        *("", "-", "X-RateLimit-Limit-Tokens", "secretary", "X-Request-Id", "public_key", "Keep-Alive"),
        *("nextpagetoken", "completion_tokens", "csrf-param", "csrfHeaderName", "password_hint", "sessions", "tokenId"),
        *("LockToken", "update_token", "revisionToken"),
        *("payment_authorization", "authorization_type", "cookieName", "passthrough", "bypass", "password_reset_url"),
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)
