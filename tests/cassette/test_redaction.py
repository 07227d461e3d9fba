"""No secret is left, nothing else changes, and requests still match."""

from __future__ import annotations

import gzip
import json
import re
import time
import tracemalloc
import zlib
from base64 import b32encode, b64decode, b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable, Sequence
from http.cookies import SimpleCookie
from itertools import pairwise
from urllib.parse import quote, quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Piece, Request, Track
from cassette_http.cassette.secrets.coded_texts import coded_texts
from cassette_http.cassette.secrets.content_rules import ContentRules
from cassette_http.cassette.secrets.names import is_secret_name
from cassette_http.cassette.secrets.redaction import Redactor, next_number
from cassette_http.cassette.secrets.rules import resolve_rules
from cassette_http.cassette.secrets.vault import Vault
from cassette_http.wire.chunking import chunk, last_chunk, unchunk
from cassette_http.wire.content import decode
from cassette_http.wire.framing import response_framing
from cassette_http.wire.head import parse_response_head
from cassette_http.wire.reader import ResponseReader
from tests.cassette.messages import ORIGIN, request, response

TOKEN = "tk_Live-0123/abc+XYZ=~9"
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def chunked(*chunks: bytes, end: bytes = last_chunk()) -> bytes:
    return CHUNKED_HEAD + b"".join(map(chunk, chunks)) + end


def interaction(sent: Request | None, *pieces: bytes, failure: Failure | None = None) -> Interaction:
    track = Track(tuple(Piece(octets, at=number / 8) for number, octets in enumerate(pieces)), failure)
    return Interaction(ORIGIN, sent, track)


def bearer(token: str = TOKEN, **options: object) -> Request:
    return request(f"Authorization: Bearer {token}", **options)  # type: ignore[arg-type]


def redacted(sent: Request, received: bytes = OK) -> tuple[Request, bytes]:
    result = Redactor().redact(interaction(sent, received))
    assert result.request is not None
    return result.request, result.track.octets


def content_of(octets: bytes) -> bytes:
    reader = ResponseReader("GET")
    assert reader.feed(octets) == len(octets)
    assert reader.is_complete
    assert reader.head is not None
    framing = response_framing(reader.head.status, reader.head.fields, "GET")
    return decode(framing, octets[reader.head_octets :])


# -- fields by name ------------------------------------------------------------------------------------------


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


# -- found in a field, hidden everywhere ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["My new password", "Enter your secret", "1.2.3", "The token is mine.", "Is it mine?"]
)
@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("application/x-www-form-urlencoded", "user=ada&password={}&next=2"),
        (
            "multipart/form-data; boundary=b",
            '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{}\r\n--b--\r\n',
        ),
    ],
    ids=["form", "multipart"],
)
def test_what_is_entered_into_a_password_field_is_never_taken_for_a_remark(
    media_type: str, form: str, value: str
) -> None:
    entered = quote_plus(value) if media_type.endswith("urlencoded") else value
    sent, _ = redacted(request(f"Content-Type: {media_type}", body=form.format(entered).encode()), response())
    assert value.encode() not in unquote_to_bytes(sent.content.replace(b"+", b" "))
    assert b"{{secret:1}}" in unquote_to_bytes(sent.content)


@pytest.mark.parametrize(
    ("value", "is_hidden"),
    [
        ("Tr0ub4dor & the 3!", True),
        ("The password is required.", False),
        ("Password must have at least 8 characters.", False),
    ],
)
def test_a_sentence_below_the_name_of_a_password_is_a_remark_if_it_says_something(value: str, is_hidden: bool) -> None:
    body = json.dumps({"password": value}).encode()
    _, received = redacted(request(), response(body=body))
    assert (value.encode() not in received) is is_hidden


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(f"a {TOKEN} b {TOKEN}", "a {{secret:1}} b {{secret:1}}", id="plain"),
        pytest.param(quote(TOKEN), quote("{{secret:1}}"), id="percent-encoded but for slashes"),
        pytest.param(quote(TOKEN, safe=""), quote("{{secret:1}}"), id="percent-encoded"),
        pytest.param(quote_plus(TOKEN).lower().replace("tk_live", "tk_Live"), None, id="another secret"),
        pytest.param(re.sub("%..", lambda m: m[0].lower(), quote_plus(TOKEN)), quote("{{secret:1}}"), id="%2f"),
        pytest.param(json.dumps(TOKEN).replace("/", r"\/"), '"{{secret:1}}"', id="JSON with escaped slashes"),
        pytest.param(TOKEN[:-1], None, id="not complete"),
    ],
)
def test_a_secret_is_found_in_contents(body: str, expected: str | None) -> None:
    octets = (body if expected is None else expected).encode()
    sent, received = redacted(bearer(body=body.encode()), response(body=body.encode()))
    assert sent.content == octets
    assert received == response(body=octets)


@pytest.mark.parametrize("noise", ["GET /items/7 took 12ms\n", "x" * 70000 + "\n", "token_count=7\r\n"])
def test_settings_are_found_wherever_they_stand_in_a_long_text(noise: str) -> None:
    text = noise * (200_000 // len(noise)) + "{}" + noise
    _, received = redacted(request(), response(body=text.format("password: two words\nrun --token hunter\n").encode()))
    assert received == response(body=text.format("password: {{secret:1}}\nrun --token {{secret:2}}\n").encode())


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("behind", ["", "x", "xy"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("padding", [b"", b"="])
def test_a_secret_is_found_inside_base64(before: str, behind: str, encode: object, padding: bytes) -> None:
    assert callable(encode)
    text, expected = (
        encode(f"{before}{secret}{behind}\xff\xfe".encode("latin-1")) for secret in (TOKEN, "{{secret:1}}")
    )
    text, expected = (each if padding else each.rstrip(b"=") for each in (text, expected))
    sent, _ = redacted(bearer(body=b'{"data": "' + text + b'"}'))
    found = json.loads(sent.content)["data"].encode()
    decoded = b64decode(found.translate(bytes.maketrans(b"-_", b"+/")) + b"===")
    assert decoded == f"{before}{{{{secret:1}}}}{behind}\xff\xfe".encode("latin-1")


@pytest.mark.parametrize("width", [60, 64, 76])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n", "\n    "])
@pytest.mark.parametrize("before", [0, 7, 30, 57])
def test_a_secret_is_found_in_base64_that_is_wrapped_in_lines(width: int, line_end: str, before: int) -> None:
    def wrapped(text: str) -> bytes:
        coded = b64encode(text.encode()).decode()
        lines = [coded[at : at + width] for at in range(0, len(coded), width)]
        return f'{{"content": "{line_end.join([*lines, ""])}"}}'.encode()

    text = "#" * before + "\nDB_PASSWORD={}\n# and the one from before: {}\n" + "NAME=value\n" * 9
    _, received = redacted(bearer(), response(body=wrapped(text.format("hunter22", TOKEN))))
    assert received == response(body=wrapped(text.format("{{secret:2}}", "{{secret:1}}")))


@pytest.mark.parametrize(
    "page",
    [
        "<tr><td>SECRET_KEY</td>\n <td class=code><pre>{}</pre></td></tr>",
        "<dl><dt>API key:</dt><dd><code>{}</code></dd></dl>",
        "<li><strong>Access token</strong>: {}</li>",
        "<label for=x>Password</label> <span id=x>{}</span>",
    ],
)
def test_a_secret_is_found_behind_its_caption(page: str) -> None:
    _, received = redacted(request(), response(body=page.format("Zx8Qw3Rt7Yp2Lk9Mn4Vb6Cd1").encode()))
    assert received == response(body=page.format("{{secret:1}}").encode())
    of_it = response(body=page.format("required").encode() + b"<th>Token</th><th>Password</th><td>v1beta2</td>")
    assert redacted(request(), of_it)[1] == of_it


@pytest.mark.parametrize(
    "sentence",
    [
        "Your new password is {0}. Change it.",
        "Your password has been reset to {0}",
        "Incorrect API key provided: {0}. See the docs.",
        "the api key '{0}' is not valid",
        "Login with user ada and password {0}",
        "Your API key is: <b>{0}</b>",
        "<p>User: ada<br>Password: {0}</p>",
        "Here is your token:\n\n    {0}\n",
        "Ihr Passwort lautet: {0}",
    ],
)
@pytest.mark.parametrize("value", ["Zx8Qw3Rt7Yp2Lk9Mn4", "tiger-Moon-42"])
def test_a_secret_is_found_in_what_is_said_to_people(sentence: str, value: str) -> None:
    for spelled in (sentence.format(value), json.dumps({"message": sentence.format(value)})):
        _, received = redacted(request(), response(body=spelled.encode()))
        assert value.encode() not in received
        assert b"{{secret:1}}" in received


@pytest.mark.parametrize(
    "sentence",
    [
        "The password is required. Your API key is invalid. Invalid token: expired. The token is base64url-encoded.",
        "The secret key is 4096 bits, the access token is 32-byte, and the session token is v4.local.",
        "<p>Password: weak</p> <p>Password: optional</p> The password: at least 8 characters and 1 digit.",
        "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3 see next page token: CAUQAA29Zkxhb",
        "secret:\n  defaultMode: 420\n  items2:\n  - a\n",
        "Your password was changed on 2026-01-02 by user42.",
    ],
)
def test_what_is_said_about_a_secret_stays(sentence: str) -> None:
    for spelled in (sentence, json.dumps({"message": sentence})):
        assert redacted(request(), response(body=spelled.encode()))[1] == response(body=spelled.encode())


STREAMS: dict[str, Callable[[str], str]] = {
    "chat completions": lambda piece: "data: " + json.dumps({"id": "c1", "choices": [{"delta": {"content": piece}}]}),
    "messages": lambda piece: "event: x\ndata: " + json.dumps({"type": "d", "delta": {"type": "t", "text": piece}}),
    "lines": lambda piece: json.dumps({"model": "m", "response": piece, "done": False}),
    "words": lambda piece: f"data: {piece}",
}


def said(stream: str) -> str:
    """What the pieces of a stream say together."""
    pieces = re.findall(r'"(?:content|text|response)": ("(?:[^"\\]|\\.)*")', stream)
    return "".join(map(json.loads, pieces)) or "".join(re.findall("data: (.*)", stream))


@pytest.mark.parametrize("shape", STREAMS)
@pytest.mark.parametrize("size", [1, 5, 30])
@pytest.mark.parametrize(
    "text",
    [f"The key {GITHUB} is yours.", f"I know {TOKEN} already.", 'It is {"a": 1, "password": "hunter 2"}, is it?'],
    ids=["by its look", "known", "by its name"],
)
def test_a_secret_is_found_in_the_pieces_of_a_stream(shape: str, size: int, text: str) -> None:
    end = "\n" if shape == "lines" else "\n\n"
    pieces = [STREAMS[shape](text[at : at + size]) for at in range(0, len(text), size)]
    body = "".join(piece + end for piece in pieces).encode()
    _, received = redacted(bearer(), response("Content-Type: text/event-stream", body=body))
    expected = re.sub(r"ghp_\w+|tk_[^ ]+|hunter 2", "{{secret:N}}", text)
    assert re.sub(r"secret:\d", "secret:N", said(content_of(received).decode())) == expected
    assert content_of(received).count(b"\n") == body.count(b"\n")


CODED: dict[str, Callable[[bytes], bytes]] = {
    "percent": lambda text: b"".join(b"%%%02X" % octet for octet in text),
    "escapes of JSON": lambda text: b"".join(b"\\u%04x" % octet for octet in text),
    "escapes of JSON in JSON": lambda text: b"".join(b"\\\\u%04X" % octet for octet in text),
    "escapes of C": lambda text: b"".join(b"\\x%02x" % octet for octet in text),
    "octal escapes": lambda text: b"".join(b"\\%03o" % octet for octet in text),
    "HTML": lambda text: b"".join(b"&#%d;" % octet for octet in text),
    "HTML, hexadecimal": lambda text: b"".join(b"&#x%02x;" % octet for octet in text),
    "a mail": lambda text: b"".join(b"=%02X" % octet for octet in text),
    "hexadecimal digits": lambda text: text.hex().encode(),
    "base32": b32encode,
    "gzip in base64": lambda text: b64encode(zlib.compress(text, wbits=31)),
    "zlib in base64 of URLs": lambda text: urlsafe_b64encode(zlib.compress(text)),
    "UTF-16 in base64": lambda text: b64encode(text.decode().encode("utf-16-le")),
    "UTF-16 with its mark in base64": lambda text: b64encode(text.decode().encode("utf-16")),
    "big-endian UTF-16 in base64": lambda text: b64encode(text.decode().encode("utf-16-be")),
}


@pytest.mark.parametrize("code", CODED)
@pytest.mark.parametrize("text", ["see {} for more", '{{"a": 1, "password": "{}"}}'])
def test_a_secret_is_found_in_other_characters(code: str, text: str) -> None:
    body = b'{"before": [1], "doc": "' + CODED[code](text.format(GITHUB).encode()) + b'", "behind": 2}'
    sent, received = redacted(request(body=body), response(body=body))
    hidden = text.format("{{secret:1}}").encode()
    assert sent.content[24:-15] == CODED[code](hidden)
    assert received == response(body=sent.content)
    matched = [Redactor().redact_request(each) for each in (request(body=body), sent)]
    assert matched[0].content == matched[1].content


@pytest.mark.parametrize("code", CODED)
def test_other_characters_without_a_secret_come_back_unchanged(code: str) -> None:
    body = b'{"doc": "' + CODED[code](b"nothing that anybody would have to hide") + b'"}'
    assert redacted(request(body=body), response(body=body)) == (request(body=body), response(body=body))


@pytest.mark.parametrize("text", [b"Lorem ipsum dolor sit amet. " * 20, bytes(range(256)) * 3])
def test_base64_in_lines_without_a_secret_comes_back_unchanged(text: bytes) -> None:
    for body in (encodebytes(text), encodebytes(text) + b"and something else"):
        assert redacted(request(), response(body=body))[1] == response(body=body)


def test_base64_that_lacks_its_beginning_is_redacted_too() -> None:
    text = b64encode(b"\xfb" + TOKEN.encode())[2:]
    sent, _ = redacted(bearer(body=b'"' + text))
    assert sent.content.startswith(b'"{{secret:1}}')
    assert text[:8] not in sent.content


def test_a_secret_is_found_in_targets_and_other_fields() -> None:
    sent, received = redacted(
        bearer(target=f"/{TOKEN}?t={quote_plus(TOKEN)}"),
        response(f"Location: /x?t={quote_plus(TOKEN)}", f"X: {TOKEN}"),
    )
    placeholder = quote_plus("{{secret:1}}")
    assert sent.head.target == f"/{{{{secret:1}}}}?t={placeholder}"
    assert received == response(f"Location: /x?t={placeholder}", "X: {{secret:1}}")


@pytest.mark.parametrize("names", ["token", "reset-password/token", "api/access_token"])
def test_a_secret_is_found_in_a_path_behind_its_name(names: str) -> None:
    sent, _ = redacted(request(target=f"/{names}/Zx8Qw3Rt7Yp2Lk9Mn4Vb6Cd1/form"))
    assert sent.head.target == f"/{names}/{{{{secret:1}}}}/form"


@pytest.mark.parametrize(("names", "is_hidden"), [("token", True), ("reset-password", True), ("api_keys", False)])
def test_a_uuid_in_a_path_is_hidden_behind_the_name_of_one_secret_and_is_an_id_behind_that_of_many(
    names: str, is_hidden: bool
) -> None:
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    sent, _ = redacted(request(target=f"/{names}/{uuid}"))
    assert (uuid not in sent.head.target) is is_hidden


@pytest.mark.parametrize(
    "value",
    [
        "$apr1$rOioh4Wh$bVoEbEgkVLTPNXDLi0nC.1",
        "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
        "$$2y$$05$$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
        "$6$rounds=5000$usesomesill$" + "Ab0./" * 17 + "1",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b5dWRWJTmaaJObG",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    ],
)
@pytest.mark.parametrize("text", ["ada:{}\n", '{{"line": "{}"}}', "<p>{}</p>"])
def test_the_hash_of_a_password_is_hidden(value: str, text: str) -> None:
    for spelled in (value, value.replace("/", "\\/")):
        _, received = redacted(request(), response(body=text.format(spelled).encode()))
        assert received == response(body=text.format("{{secret:1}}").encode())


@pytest.mark.parametrize(("value", "is_hidden"), [("word", True), ("Password", False), ("newPassword", False)])
def test_what_is_but_the_end_of_the_word_of_a_name_is_no_name(value: str, is_hidden: bool) -> None:
    _, received = redacted(request(), response(body=json.dumps({"new_password": value}).encode()))
    assert (b"{{secret:1}}" in received) is is_hidden


@pytest.mark.parametrize("name", ["session_token", "csrfToken", "X-XSRF-TOKEN"])
def test_words_behind_the_name_of_a_token_are_one_in_a_line(name: str) -> None:
    _, received = redacted(request(), response(body=f"user: ada\n{name}: correcthorse\n".encode()))
    assert received == response(body=f"user: ada\n{name}: {{{{secret:1}}}}\n".encode())


def test_a_secret_of_a_response_is_hidden_in_its_request() -> None:
    sent, _ = redacted(request(target="/abcd1234"), response("X-Auth-Token: abcd1234"))
    assert sent.head.target == "/{{secret:1}}"


def test_a_secret_is_remembered_for_later_interactions() -> None:
    redactor = Redactor()
    redactor.redact(interaction(bearer(), OK))
    later = redactor.redact(interaction(request(), response(body=f"you sent {TOKEN}".encode())))
    assert later.track.octets == response(body=b"you sent {{secret:1}}")
    again = redactor.redact(interaction(bearer(), OK))
    assert again.request is not None
    assert again.request.values("authorization") == ["Bearer {{secret:1}}"]


def test_a_secret_is_found_in_a_field_line_that_seemed_harmless_before() -> None:
    redactor = Redactor()
    harmless = interaction(request(f"X-Reference: {TOKEN}"), response(f"X-Reference: {TOKEN}"))
    assert redactor.redact(harmless) is harmless
    assert redactor.redact(harmless) is harmless
    redactor.redact(interaction(bearer(), OK))
    result = redactor.redact(harmless)
    assert result.request is not None
    assert TOKEN.encode() not in result.request.head_octets + result.track.octets


def test_a_secret_is_found_behind_a_field_line_that_was_seen_before() -> None:
    redactor = Redactor()
    redactor.redact(interaction(request('X-Reference: {"password"'), OK))
    folded = redactor.redact(interaction(request('X-Reference: {"password"', f' :"{TOKEN}"'), OK))
    assert folded.request is not None
    assert TOKEN.encode() not in folded.request.head_octets


@pytest.mark.parametrize(
    "value", ["abc", "1234567", "12345678", "20261123170500", "password", "Authorization", "required"]
)
def test_short_values_and_common_words_are_not_searched(value: str) -> None:
    sent, _ = redacted(request(f"X-Api-Key: {value}", body=f'{{"a": "{value}"}}'.encode()))
    assert sent.content == f'{{"a": "{value}"}}'.encode()


def bombs(text: bytes, number: int) -> bytes:
    return (b64encode(gzip.compress(text)) + b" ") * number


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"H4sI" * 100_000, id="beginnings of gzip"),
        pytest.param(b"/eJwabcdefghijklmnopqrstuvwxyz" * 10_000, id="beginnings of zlib"),
        pytest.param(bombs(b"a" * 1_000_000, 1_000), id="bombs"),
        pytest.param(bombs(bombs(b"a" * 1_000_000, 700), 100), id="bombs in bombs"),
    ],
)
def test_little_that_is_sent_is_no_great_work(body: bytes) -> None:
    """What is decoded is not much longer than what was sent, and no octet of that is decoded again and again."""
    assert redacted(bearer(), response(body=body))[1] == response(body=body)
    assert sum(len(each.plain) for each in coded_texts(body)) <= max(1 << 20, 4 * len(body))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "deflate, gzip"])
def test_a_secret_is_found_under_content_codings(coding: str) -> None:
    body = f"a {TOKEN} b".encode()
    for each in coding.split(", "):
        body = zlib.compress(body) if each == "deflate" else gzip.compress(body)
    _, received = redacted(bearer(), response(f"Content-Encoding: {coding}", body=body))
    content = content_of(received)
    for each in reversed(coding.split(", ")):
        content = zlib.decompress(content) if each == "deflate" else gzip.decompress(content)
    assert content == b"a {{secret:1}} b"


def test_a_secret_is_found_in_gzip_that_is_cut_off() -> None:
    body = gzip.compress(TOKEN.encode() + bytes(range(256)) * 10)[:-50]
    octets = response("Content-Encoding: gzip", body=body + b"?" * 50)[:-50]
    _, received = redacted(bearer(), octets)
    head, _, coded = received.partition(b"\r\n\r\n")
    found = zlib.decompressobj(31)
    assert found.decompress(coded).startswith(b"{{secret:1}}\x00\x01\x02")
    assert not found.eof
    assert b"Content-Length: %d" % (len(coded) + 50) in head


def test_content_that_is_not_what_its_coding_says_is_searched_as_it_is() -> None:
    body = f"no gzip {TOKEN}".encode()
    _, received = redacted(bearer(), response("Content-Encoding: gzip", body=body))
    assert content_of(received) == b"no gzip {{secret:1}}"


def test_a_secret_is_hidden_in_the_text_of_a_failure() -> None:
    failure = Failure(FailureKind.TLS, 0.5, text=f"no route to {TOKEN}", details={"a": 1})
    result = Redactor().redact(interaction(bearer(), failure=failure))
    assert result.track.failure == Failure(FailureKind.TLS, 0.5, text="no route to {{secret:1}}", details={"a": 1})


@pytest.mark.parametrize("label", ["Contraseña", "Passwort bestätigen", "パスワード", "密码", "Mot de passe oublié ?"])
def test_the_label_of_a_password_stays_in_any_language(label: str) -> None:
    for is_ascii in (True, False):
        labels = json.dumps({"login": {"password": label, "token": label}}, ensure_ascii=is_ascii)
        assert redacted(request(), response(body=labels.encode()))[1] == response(body=labels.encode())


@pytest.mark.parametrize("password", ["ひみつのことば", "密码密码密码12", "contraseña—12", "✓✓✓a✓✓✓"])
def test_a_secret_in_any_letters_is_hidden_and_nothing_else(password: str) -> None:
    body = json.dumps({"password": password, "count": 12, "text": "a b 1"}, ensure_ascii=False)
    _, received = redacted(request(), response(body=body.encode()))
    assert received == response(body=body.replace(password, "{{secret:1}}").encode())


def test_many_secrets_are_still_found() -> None:
    redactor = Redactor()
    tokens = [f"{number:x}-token-{number * 7919:x}" for number in range(300)]
    for token in tokens:
        redactor.redact(interaction(bearer(token), OK))
    text = " ".join(tokens) * 300
    result = redactor.redact(interaction(request(), response(body=text.encode())))
    assert (
        content_of(result.track.octets)
        == " ".join(f"{{{{secret:{number}}}}}" for number in range(1, 301)).encode() * 300
    )


@pytest.mark.parametrize("unit", [b"ghp_", b"WIFI:S:a;"], ids=["a token", "codes for a wireless network"])
def test_what_begins_like_a_secret_again_and_again_takes_little_memory_and_time(unit: bytes) -> None:
    body = unit * (500_000 // len(unit))
    tracemalloc.start()
    try:
        before = time.process_time()
        Redactor().redact(interaction(request(), response(body=body)))
        took_s = time.process_time() - before
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took_s < 10
    assert peak < 20 << 20


def test_nothing_of_a_large_body_is_kept() -> None:
    redactor, exchange = Redactor(), interaction(request(), response(body=b"x" * 500_000))
    redactor.redact(interaction(request(), OK))
    tracemalloc.start()
    try:
        redactor.redact(exchange)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


def test_a_long_text_of_escapes_takes_little_memory() -> None:
    escapes = b"\\u0061" * 300_000
    tracemalloc.start()
    try:
        result = Redactor().redact(interaction(request(), response(body=escapes + b" token=" + TOKEN.encode())))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content_of(result.track.octets) == escapes + b" token={{secret:1}}"
    assert peak < 50 << 20


# -- the framing follows -------------------------------------------------------------------------------------


def test_lengths_of_requests_follow() -> None:
    sent, _ = redacted(bearer(body=TOKEN.encode()))
    assert sent.values("content-length") == ["12"]
    assert sent.body_octets == b"{{secret:1}}"


def test_a_chunked_request_is_chunked_again() -> None:
    plain = request(f"Authorization: Bearer {TOKEN}", "Transfer-Encoding: chunked")
    sent, _ = redacted(Request(ORIGIN, plain.head_octets, chunk(b"a " + TOKEN.encode()) + last_chunk()))
    assert sent.content == b"a {{secret:1}}"
    assert sent.body_octets == chunk(b"a {{secret:1}}") + last_chunk()


def split(octets: bytes, *at: int) -> list[bytes]:
    borders = [0, *sorted(at), len(octets)]
    return [octets[start:stop] for start, stop in pairwise(borders) if start < stop]


@given(st.lists(st.integers(1, 200), max_size=6), st.lists(st.integers(1, 60), max_size=6))
def test_any_chunks_and_pieces_keep_the_content(cuts: list[int], sizes: list[int]) -> None:
    body = b"abc " + TOKEN.encode() + b" def " + TOKEN.encode() + b" ghi"
    octets = chunked(*split(body, *(size for size in sizes if size < len(body))))
    pieces = split(octets, *(cut for cut in cuts if cut < len(octets)))
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert content_of(result.track.octets) == b"abc {{secret:1}} def {{secret:1}} ghi"
    assert unchunk(result.track.octets.partition(b"\r\n\r\n")[2])
    assert len(result.track.pieces) <= len(pieces)
    assert all(piece.octets for piece in result.track.pieces)


@given(st.lists(st.integers(1, 200), max_size=6))
def test_any_pieces_keep_the_octets(cuts: list[int]) -> None:
    octets = response(body=b"abc " + TOKEN.encode() + b" def")
    pieces = split(octets, *(cut for cut in cuts if cut < len(octets)))
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert result.track.octets == response(body=b"abc {{secret:1}} def")
    assert result.track.pieces[0].at == 0
    assert [piece.at for piece in result.track.pieces] == sorted(piece.at for piece in result.track.pieces)


def test_pieces_that_hold_no_secret_stay_as_they_are() -> None:
    pieces = split(response(body=b"12345678" + TOKEN.encode() + b"12345678"), 10, 50, 85)
    result = Redactor().redact(interaction(bearer(), *pieces))
    assert [piece.octets[-8:] for piece in result.track.pieces] != []
    assert len(result.track.pieces) == len(pieces)
    assert result.track.pieces[0].octets == pieces[0]
    assert result.track.pieces[-1].octets.endswith(b"12345678")


def test_pieces_that_came_while_the_request_was_sent_follow_it() -> None:
    body = b"abc" + TOKEN.encode() + b"def"
    pieces = (Piece(b"HTTP/1.1 100 Go\r\n\r\n", sent=0), Piece(OK, sent=len(body) - 1), Piece(b"", sent=None))
    result = Redactor().redact(Interaction(ORIGIN, bearer(body=body), Track(pieces)))
    assert [piece.sent for piece in result.track.pieces] == [0, len("abc{{secret:1}}def") - 1, None]


def test_a_chunk_within_a_secret_never_becomes_the_last_one() -> None:
    octets = chunked(*(TOKEN[index : index + 1].encode() for index in range(len(TOKEN))))
    assert content_of(redacted(bearer(), octets)[1]) == b"{{secret:1}}"


def test_chunk_extensions_and_trailers_stay() -> None:
    size = f"{len(TOKEN):X};a=b\r\n".encode()
    octets = CHUNKED_HEAD + size + TOKEN.encode() + b"\r\n0\r\nX: 1\r\n\r\n"
    _, received = redacted(bearer(), octets)
    assert received == CHUNKED_HEAD + b"c;a=b\r\n{{secret:1}}\r\n0\r\nX: 1\r\n\r\n"


def test_secrets_in_trailers_are_hidden() -> None:
    octets = chunked(b"abc", end=last_chunk([("X-Signature", "abc"), ("X", TOKEN)]))
    _, received = redacted(bearer(), octets)
    assert received == chunked(b"abc", end=last_chunk([("X-Signature", "{{secret:2}}"), ("X", "{{secret:1}}")]))


def test_a_chunk_that_is_cut_off_keeps_what_is_missing() -> None:
    octets = CHUNKED_HEAD + b"64\r\n" + TOKEN.encode() + b"abc"
    _, received = redacted(bearer(), octets)
    missing = 0x64 - len(TOKEN) - 3
    assert received.endswith(b"\r\n\r\n%x\r\n{{secret:1}}abc" % (12 + 3 + missing))


def test_a_length_that_is_cut_off_keeps_what_is_missing() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + TOKEN.encode()
    _, received = redacted(bearer(), octets)
    assert received == b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{{secret:1}}" % (100 - len(TOKEN) + 12)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n%s", id="until close"),
        pytest.param(b"HTTP/1.1 200 OK\nX: %s\n\n%s", id="LF alone"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: %s", id="cut off in the head"),
        pytest.param(b"HTTP/1.1 103 A\r\nX: %s\r\n\r\nHTTP/1.1 204 B\r\nX: %s\r\n\r\n", id="interim"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n%s", id="upgrade"),
        pytest.param(b"HTTP/1.1 204 OK\r\n\r\n%s", id="octets behind the message"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na%s", id="octets behind a length"),
        pytest.param(CHUNKED_HEAD + b"0\r\n\r\n%s", id="octets behind chunks"),
        pytest.param(CHUNKED_HEAD + b"zz\r\n%s", id="broken chunks"),
        pytest.param(CHUNKED_HEAD + b"1\r\na\r\nzz\r\n%s0\r\n\r\n", id="broken chunks with an end"),
        pytest.param(CHUNKED_HEAD + b"1\r\na%s", id="chunk that does not end where it should"),
        pytest.param(CHUNKED_HEAD + b"1\r\na\r\n%s", id="size line that does not end"),
        pytest.param(CHUNKED_HEAD + b"1;%s\r\na\r\n0;%s\r\n\r\n", id="chunk extensions"),
        pytest.param(CHUNKED_HEAD + b"0\r\nX: %s", id="trailer that is cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n%s", id="two lengths"),
        pytest.param(b"SSH-2.0 %s", id="not HTTP"),
        pytest.param(b"%s", id="nothing else"),
    ],
)
def test_secrets_are_hidden_in_every_kind_of_response(octets: bytes) -> None:
    received = redacted(bearer(), octets.replace(b"%s", TOKEN.encode()))[1]
    assert received == octets.replace(b"%s", b"{{secret:1}}")


def test_fields_of_interim_responses_are_redacted() -> None:
    octets = b"HTTP/1.1 103 X\r\nX-Token: a\r\n\r\nHTTP/1.1 200 OK\r\nX-Token: b\r\n\r\n"
    assert redacted(request(), octets)[1] == octets.replace(b": a", b": {{secret:1}}").replace(
        b": b", b": {{secret:2}}"
    )


def test_a_head_that_is_cut_off_is_redacted() -> None:
    assert redacted(request(), b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=ab")[1].endswith(b"sid={{secret:1}}")


def test_a_request_that_is_not_http_is_searched() -> None:
    redactor = Redactor()
    redactor.redact(interaction(bearer(), OK))
    result = redactor.redact(interaction(Request(ORIGIN, b"QUIT " + TOKEN.encode(), b""), b"BYE"))
    assert result.request == Request(ORIGIN, b"QUIT {{secret:1}}", b"")


def test_a_start_line_is_no_field() -> None:
    sent = request(target="/token:abc")
    assert redacted(sent)[0] is sent


# -- nothing to hide -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clean",
    [
        pytest.param(interaction(request(body=b"abc"), response(body=b"abc")), id="plain"),
        pytest.param(interaction(request("Cookie: theme=dark"), response("Vary: Cookie")), id="names only"),
        pytest.param(interaction(request(), chunked(b"abc")), id="chunked"),
        pytest.param(interaction(request(), chunked(b"abc", end=last_chunk([("A", "b")]))), id="trailers"),
        pytest.param(interaction(None, failure=Failure(FailureKind.CONNECT, text="refused")), id="no request"),
        pytest.param(interaction(request(), b""), id="no response"),
        pytest.param(interaction(bearer("{{secret:1}}"), OK), id="redacted already"),
    ],
)
@pytest.mark.parametrize("others", [(), (bearer(),)], ids=["first", "after a secret"])
def test_an_interaction_without_secrets_is_the_same_object(clean: Interaction, others: Sequence[Request]) -> None:
    redactor = Redactor()
    for other in others:
        redactor.redact(interaction(other, OK))
    assert redactor.redact(clean) is clean


def test_redacting_twice_changes_nothing_more() -> None:
    octets = response("Set-Cookie: sid=abcdefgh", body=b64encode(TOKEN.encode()))
    once = Redactor().redact(interaction(bearer(target=f"/{TOKEN}"), octets))
    assert Redactor().redact(once) is once


# -- numbers -------------------------------------------------------------------------------------------------


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
def test_the_next_number_is_behind_all_placeholders(cassette: bytes, expected: int) -> None:
    assert next_number(cassette) == expected


# -- matching ------------------------------------------------------------------------------------------------

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


# -- the look in advance -------------------------------------------------------------------------------------

fragments = st.lists(
    st.sampled_from(
        ['"api_key": "', '{"name": "Password", "value": "', '"code":"', "token=", "; token=", "&secret=", "\\u0026sig="]
        + ["a1B2c3D4e5F6g7H8i9J0", GITHUB, "128b2f330c5c7fd0a6a3a4506513270e", "X-RateLimit-Left"]
        + [
            "https://hooks.slack.com/services/",
            "T0ABCDEF/B0ABCDEF/",
            "Bearer ",
            "Authorization: ",
            "Basic ",
            "x:",
            "://",
        ]
        + [b64encode(b'{"password": "a1B2c3D4e5F6"}').decode(), "user:hunter22@host", "-----BEGIN PRIVATE KEY-----"]
        + [
            "password: ",
            "two words",
            " --token ",
            " => ",
            '["secret", "',
            '<param name="api_key">',
            "&quot;token&quot;:&quot;",
        ]
        + [
            "Jwt:Key",
            "<name>",
            "</name><value>",
            "%22%3A%22",
            "\\nsecret=",
            "Client Secret",
            "Server=a;",
            ";Pwd=",
            "a,token\n",
        ]
        + ["\n", "\r\n", '"', "}", " ", "/", "?", "#", "<token>", "</token>", "%3D", "%22", '\\"', "a_long_name_of_it"]
    )
    | st.from_regex("[A-Za-z0-9_+-]{18,24}", fullmatch=True),
    max_size=7,
)


@given(fragments)
def test_what_is_not_worth_a_look_has_no_secret(parts: list[str]) -> None:
    text = "".join(parts).encode()
    quick, thorough = (ContentRules(resolve_rules(), Vault(1)) for _ in range(2))
    assert quick.edits(text) == thorough._found(text, False, False, False, 0)
    assert quick.edits(text) == quick._found(text, False, False, False, 0)  # also from what it has learned to pass over
