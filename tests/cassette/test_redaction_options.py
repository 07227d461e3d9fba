"""What users add, turn off, declare; what is known from the start; and the forms that placeholders take."""

from __future__ import annotations

import gzip
import html
import json
import re
import string
from base64 import b64decode, b64encode
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.placeholders import next_number
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.cassette.secrets.shapes import HOST_PATHS, PATHS, SHAPES
from cassette_http.errors import InvalidOption
from tests.cassette.messages import ORIGIN, jwt, request, response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TOKEN = "a1B2c3D4e5F6g7H8"
MATCHING = resolve(DEFAULT_MATCH)
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
MULTIPART_BODY = b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nsecret\r\n--b--\r\n'


def interaction(sent: Request | None, received: bytes = OK) -> Interaction:
    return Interaction(ORIGIN, sent, Track((Piece(received),)))


def answer(redactor: Redactor, body: str, sent: Request | None = None) -> str:
    """The redacted form of an answer's body."""
    redacted = redactor.redact(interaction(sent or request(), response(body=body.encode())))
    return redacted.track.octets.partition(b"\r\n\r\n")[2].decode()


def parts_of(token: str) -> list[bytes]:
    return [b64decode(part.translate(str.maketrans("-_", "+/")) + "===") for part in token.split(".")]


# -- rules that are added ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        pytest.param("email", '{"email": "a@b.test"}', '{"email": "{{secret:1}}"}', id="name"),
        pytest.param("json:e-mail", '{"eMail": "a@b.test"}', '{"eMail": "{{secret:1}}"}', id="name in JSON"),
        pytest.param("xml:email", "<email>a@b.test</email>", "<email>{{secret:1}}</email>", id="name in XML"),
        pytest.param(
            "$.users[*].email",
            '{"email": "x@b.test", "users": [{"email": "a@b.test"}, {"id": 1, "email":"c@b.test"}]}',
            '{"email": "x@b.test", "users": [{"email": "{{secret:1}}"}, {"id": 1, "email":"{{secret:2}}"}]}',
            id="path",
        ),
        pytest.param(
            "$[1]['a b'].pin", '[1, {"a b": {"pin": 1234}}]', '[1, {"a b": {"pin": 999999999000001}}]', id="number"
        ),
        pytest.param(
            "$.a.*", '{"a": {"b": "xyz", "c": "{}"}}', '{"a": {"b": "{{secret:1}}", "c": "{}"}}', id="any name"
        ),
        pytest.param(re.compile(r"acct_\w+"), "acct_12, acct_3", "{{secret:1}}, {{secret:2}}", id="pattern"),
        pytest.param(re.compile(r"iban: (\S+)"), "iban: DE02 x", "iban: {{secret:1}} x", id="group of a pattern"),
        pytest.param(re.compile(rb"\xff+"), "abc", "abc", id="pattern of octets"),
        pytest.param(lambda each: ["a@b.test"], "mail a@b.test!", "mail {{secret:1}}!", id="function"),
    ],
)
def test_rules_can_be_added(rule: object, before: str, after: str) -> None:
    assert answer(Redactor(redact=[rule]), before) == after  # type: ignore[list-item]


def test_rules_can_be_added_for_fields_and_targets() -> None:
    redactor = Redactor(redact=["header:X-Tenant", "query:user", "form:user", "multipart:user"])
    sent = request("X-Tenant: acme", FORM, target="/?user=anna&tenant=acme", body=b"a=b&user=bob")
    redacted = redactor.redact(interaction(sent)).request
    assert redacted is not None
    assert redacted.values("x-tenant") == ["{{secret:2}}"]
    assert redacted.head.target == "/?user={{secret:1}}&tenant=acme"
    assert redacted.content == b"a=b&user={{secret:3}}"


def test_functions_see_the_interaction() -> None:
    def numbers(each: Interaction) -> Iterable[str]:
        return re.findall("order-[0-9]+", each.request.url if each.request else "")

    redactor = Redactor(redact=[numbers])
    assert answer(redactor, "your order-7 is here", request(target="/order-7")) == "your {{secret:1}} is here"
    assert redactor.redact_request(request(target="/order-8")).head.target == "/{{secret}}"


# -- rules that are turned off -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "line"),
    [
        ("authorization", f"Authorization: Bearer {TOKEN}"),
        ("cookie", f"Cookie: sid={TOKEN}"),
        ("fields", f"X-Api-Key: {TOKEN}"),
        ("X-Api-Key", f"X-API-KEY: {TOKEN}"),
        ("x_api_key", f"X-Api-Key: {TOKEN}"),
        ("github", f"X-Id: ghp_{TOKEN * 3}"),
        ("base64", "X-Id: " + b64encode(json.dumps({"token": TOKEN}).encode()).decode()),
        ("userinfo", f"X-Id: https://bob:{TOKEN}@git.test/"),
        ("query", f"Referer: https://a.test/?token={TOKEN}"),
        ("slack-webhook", f"X-Id: /services/T0123456/B0123456/{TOKEN}abcdefgh"),
    ],
)
def test_rules_can_be_turned_off(keep: str, line: str) -> None:
    recorded = interaction(request(line))
    assert Redactor().redact(recorded) is not recorded
    assert Redactor(keep=[keep]).redact(recorded) is recorded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["cokie"]}, "there is no rule 'cokie' to turn off; did you mean \"cookie\""),
        ({"keep": ["gitub"]}, 'did you mean "github"'),
        ({"keep": [7]}, "takes names of rules, not 7"),
        ({"redact": ["heeader:X"]}, "there is no place 'heeader'; did you mean \"header\""),
        ({"redact": [7]}, "is a name, a path into JSON, a pattern or a function, not 7"),
        ({"redact": [" "]}, "is a name, a path"),
        ({"redact": ["$"]}, "the path is empty"),
        ({"redact": ["$.a[b"]}, "a path into JSON looks like"),
        ({"redact": ["header"]}, 'does not say what is secret there: give its name, as in "header:X-Tenant"'),
        ({"redact": ["query"]}, 'what is called so itself is "json:query"'),
    ],
)
def test_options_that_do_not_exist_are_named(options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(message)):
        Redactor(**options)  # type: ignore[arg-type]


# -- secrets that are known from the start -------------------------------------------------------------------


def test_values_of_the_environment_are_found_and_numbered_when_they_are() -> None:
    environment = {
        "MY_API_TOKEN": "tok-1234567890",
        "DB_PASSWORD": "correct horse battery",
        "DATABASE_URL": "postgres://bob:p%40ss-w0rd@db.test/x",
        "POSTGRES_PASSWORD": "postgres",
        "SSH_AUTH_SOCK": "/tmp/ssh-abcdefgh/agent.123",
        "DESKTOP_SESSION": "gnome-classic-7",
        "TOKEN_FILE": "/run/secrets/token-of-this",
        "PWD": "/home/bob/shop",
        "OLDPWD": "/home/bob/other",
    }
    redactor = Redactor(environment=environment)
    harmless = "postgres gnome-classic-7 /run/secrets/token-of-this /home/bob/shop /home/bob/other"
    assert answer(redactor, harmless) == harmless
    assert answer(redactor, "a p@ss-w0rd b") == "a {{secret:1}} b"
    assert answer(redactor, "?q=correct+horse+battery tok-1234567890") == "?q=%7B%7Bsecret%3A2%7D%7D {{secret:3}}"
    body = "tok-1234567890"
    assert answer(Redactor(environment=environment, keep=["environment"]), body) == body


def test_passwords_of_netrc_are_found() -> None:
    netrc = (
        'machine a.test login bob password s3cret-word\nmachine b.test\n  login x\n  password "with \\"quotes\\" 1"\n'
    )
    assert answer(Redactor(netrc=lambda: netrc), 's3cret-word, with "quotes" 1') == "{{secret:1}}, {{secret:2}}"
    assert answer(Redactor(netrc=lambda: netrc, keep=["netrc"]), "s3cret-word") == "s3cret-word"


def test_declared_secrets_have_names_and_come_back_in_replay() -> None:
    redactor = Redactor(secrets={"key": "k-42", "pin": b"0007"})
    body = b'{"key_of": "k-42", "b": "' + b64encode(b'{"long enough": "k-42"}') + b'", "?x=0007": 1}'
    recorded = interaction(request(target="/k-42"), response("Content-Encoding: gzip", body=gzip.compress(body)))
    redacted = redactor.redact(recorded)
    assert redacted.request is not None
    assert redacted.request.head.target == "/{{secret:key}}"
    assert b"k-42" not in gzip.decompress(redacted.track.octets.partition(b"\r\n\r\n")[2])
    restored = Redactor(secrets={"key": "k-43", "pin": "0008"}).restore(redacted)
    head, _, content = restored.track.octets.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(content) in head
    assert json.loads(gzip.decompress(content))["key_of"] == "k-43"
    assert b"?x=0008" in gzip.decompress(content)
    untouched = interaction(request(), response(body=b"abc"))
    assert redactor.restore(untouched) is untouched


# -- secrets that are known late, or shown in part -----------------------------------------------------------


def test_a_secret_learned_late_is_found_when_earlier_interactions_are_redacted_again() -> None:
    redactor = Redactor()
    early = redactor.redact(interaction(request(target=f"/users/{TOKEN}")))
    before = redactor.learned
    assert redactor.redact(early) is early
    redactor.redact(interaction(request(f"Authorization: Bearer {TOKEN}")))
    assert redactor.learned > before
    again = redactor.redact(early).request
    assert again is not None
    assert again.head.target == "/users/{{secret:1}}"


@pytest.mark.parametrize(
    "shown",
    ["a1B2****g7H8", "a1B2c3...", "a1B2c3D4\u2026", "a1B2c3D4e5F6g7H8", "a1B2c3D4e5F6g7H8i9J0"],
)
def test_a_secret_that_is_shown_in_part_is_hidden(shown: str) -> None:
    redactor = Redactor()
    redactor.redact(interaction(request(f"Authorization: Bearer {TOKEN}i9J0k1L2g7H8")))
    assert answer(redactor, f"Incorrect API key provided: {shown}.") == "Incorrect API key provided: {{secret:1}}."
    assert answer(redactor, "Incorrect API key provided: b1B2****g7H8.").endswith("b1B2****g7H8.")


# -- placeholders that are valid in their place --------------------------------------------------------------


def test_a_redacted_jwt_can_be_decoded() -> None:
    token = jwt({"sub": "7", "exp": 1790000000, "client_secret": TOKEN})
    redactor = Redactor()
    body = answer(redactor, json.dumps({"access_token": token, "expires_in": 60}))
    played = json.loads(body)["access_token"]
    head, claims, signature = parts_of(played)
    assert json.loads(head)["alg"] == "HS256"
    assert json.loads(claims) == {"sub": "7", "exp": 1790000000, "client_secret": "{{secret:2}}"}
    assert signature == b"{{secret:1}}"
    assert next_number(body.encode()) == 3
    sent = request(f"Authorization: Bearer {token}", body=token.encode())
    redacted = redactor.redact(interaction(sent)).request
    assert redacted is not None
    assert redacted.values("authorization") == [f"Bearer {played}"]
    assert answer(Redactor(9), body) == body
    other = request(body=jwt({"sub": "8"}).encode())
    played_again = request(body=played.encode())
    keys = {MATCHING.key(Redactor().redact_request(each)) for each in (sent, other, played_again, redacted)}
    assert len(keys) == 1


def test_an_encrypted_jwt_keeps_five_parts() -> None:
    token = jwt({}).replace(".", ".a1B2c3D4e5F6.", 1) + ".a1B2c3D4e5F6g7H8"
    assert len(token.split(".")) == 5
    played = answer(Redactor(), token)
    assert parts_of(played)[1:] == [b"{{secret:1}}"] * 4


def test_each_of_many_secrets_is_found_wherever_it_occurs_again() -> None:
    secrets = [f"{number:x}-Pa55&w0rd" for number in range(100, 200)]
    redactor = Redactor()
    answer(redactor, json.dumps([{"password": each} for each in secrets]))
    for number, each in enumerate(secrets, 1):
        placeholder = f"{{{{secret:{number}}}}}"
        in_base64 = b64encode(f"it is {each}".encode()).decode()
        *found, last = answer(redactor, f"{each} {quote(each)} {each.encode().hex()} {in_base64}").split(" ")
        assert found == [placeholder, quote(placeholder), placeholder]
        assert b64decode(last).decode() == f"it is {placeholder}"


def test_short_declared_secrets_are_found_among_many_others() -> None:
    redactor = Redactor(secrets={"pin": "4711", "code": "08/15"})
    answer(redactor, json.dumps([{"password": f"{number:x}-Pa55&w0rd"} for number in range(100, 200)]))
    for before in range(9):
        assert answer(redactor, "x" * before + "4711,08/15") == "x" * before + "{{secret:pin}},{{secret:code}}"


AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.mark.parametrize(
    ("before", "secret", "behind"),
    [
        pytest.param('{"keys": [{"keyName": "key1", "value": "', AZURE_KEY, '", "permissions": "FULL"}]}', id="Azure"),
        pytest.param("AccountName=a;AccountKey=", AZURE_KEY, ";EndpointSuffix=core.test", id="Azure, connection"),
        pytest.param(
            '{"name": "projects/7/secrets/x/versions/1", "payload": {"data": "',
            "c2VjcmV0LW9mLWFsbC1zZWNyZXRz",
            '", "dataCrc32c": "17"}}',
            id="Google",
        ),
        pytest.param("db.test:5432:shop:ada:", "a-Password-of-16", "\n", id="file of passwords for PostgreSQL"),
    ],
)
def test_values_that_only_their_place_tells_are_found(before: str, secret: str, behind: str) -> None:
    assert answer(Redactor(), before + secret + behind) == before + "{{secret:1}}" + behind


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        pytest.param(b"\x83\xa4user\xa3ada\xa5token\xa8a1b2c3d4\xa1n\x07", "application/msgpack", id="MessagePack"),
        pytest.param(b"\xa3\x64user\x63ada\x65token\x68a1b2c3d4\x61n\x07", "application/cbor", id="CBOR"),
    ],
)
def test_a_packed_string_says_how_long_its_placeholder_is(packed: bytes, text: str) -> None:
    lengths = {"application/msgpack": (b"\xa8", b"\xac"), "application/cbor": (b"\x68", b"\x6c")}[text]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {text}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    request = Request(ORIGIN, b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
    redacted = Redactor().redact(Interaction(ORIGIN, request, Track((Piece(head + packed),))))
    content = redacted.track.octets.partition(b"\r\n\r\n")[2]
    assert content == packed.replace(lengths[0] + b"a1b2c3d4", lengths[1] + b"{{secret:1}}")


def test_a_packed_request_is_answered_with_another_secret() -> None:
    def packed(secret: bytes) -> Request:
        body = b"\x81\xa8password" + bytes([0xA0 | len(secret)]) + secret
        head = b"POST / HTTP/1.1\r\nContent-Type: application/msgpack\r\nContent-Length: %d\r\n\r\n" % len(body)
        return Request(ORIGIN, head, body)

    forms = {Redactor().redact_request(packed(each)).body_octets for each in (b"hunter22", b"{{secret:17}}", b"other")}
    assert len(forms) == 1


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_private_keys_keep_their_frame(kind: str, line_end: str) -> None:
    lines = [f"-----BEGIN {kind}-----", TOKEN * 4, TOKEN * 3 + "==", f"-----END {kind}-----", ""]
    hidden = [lines[0], "{{secret:1}}", *lines[-2:]]
    assert answer(Redactor(), line_end.join(lines)) == line_end.join(hidden)
    in_json = json.dumps({"pem": line_end.join(lines)})
    assert answer(Redactor(), in_json) == json.dumps({"pem": line_end.join(hidden)})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_private_key_of_putty_is_hidden_and_its_public_one_is_not(line_end: str) -> None:
    def written(lines: str) -> str:
        public = ["PuTTY-User-Key-File-2: ssh-rsa", "Public-Lines: 1", "AAAAB3NzaC1yc2EAAAABJQ=="]
        return line_end.join([*public, "Private-Lines: 2", *lines.split(), "Private-MAC: 0123456789abcdef", ""])

    assert answer(Redactor(), written("AAAAgQDjvF3xyzQWERTYabcd efghijk0mnop==")) == written("{{secret:1}}")


UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param(
            f"https://a.webhook.office.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/{'0a' * 16}/{UUID}",
            "0a0a",
            id="Teams",
        ),
        pytest.param("https://hooks.zapier.com/hooks/catch/1234567/abc12de/", "abc12de", id="Zapier"),
        pytest.param("https://hook.eu1.make.com/" + "a1b2z3d4" * 4, "a1b2z3d4", id="Make"),
        pytest.param('{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko"}', "AyM1SysPpbyDfgZl", id="symmetric JWK"),
        pytest.param('{"d": "AyM1SysPpbyDfgZld3umj1qzKObwVMko", "kty": "EC"}', "AyM1SysPpbyDfgZl", id="private JWK"),
        pytest.param(
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAi4AAAA3aWYtbW9kbntzaWdue3JzYS1wa2Nz\n"
            "---- END SSH2 ENCRYPTED PRIVATE KEY ----\n",
            "P2/56wAAAi4AAAA",
            id="SSH2",
        ),
    ],
)
def test_secrets_are_found_by_what_is_around_them(text: str, secret: str) -> None:
    doubled = text.replace('"', '""')
    for body in (text, json.dumps({"text": text}), f"<p>{html.escape(text)}</p>", f'id,text\n1,"{doubled}"\n'):
        octets = Redactor().redact(interaction(request(), response(body=body.encode()))).track.octets
        assert b"{{secret:1}}" in octets
        assert secret.encode() not in octets


def test_a_number_stays_a_number() -> None:
    redactor = Redactor()
    body = answer(redactor, '{"password": 12345678, "session_token":123456789012 ,"n": 1.0e2}')
    assert body == '{"password": 999999999000001, "session_token":999999999000002 ,"n": 1.0e2}'
    assert answer(redactor, '{"password": "12345678"}') == '{"password": "{{secret:1}}"}'
    assert next_number(body.encode()) == 3
    keys = {
        MATCHING.key(Redactor().redact_request(request(JSON, body=each.encode())))
        for each in ('{"password": 1234}', '{"password": 999999999000007}')
    }
    assert len(keys) == 1


def test_credentials_in_json_are_redacted_as_those_of_fields() -> None:
    pair = b64encode(b"bob:correct-horse").decode()
    redactor = Redactor()
    redacted = redactor.redact(interaction(request(f"Authorization: Basic {pair}"))).request
    assert redacted is not None
    echo = json.loads(answer(redactor, json.dumps({"Authorization": f"Basic {pair}", "Cookie": "theme=dark; sid=abc"})))
    assert echo == {"Authorization": redacted.values("authorization")[0], "Cookie": "theme=dark; sid={{secret:3}}"}


def test_a_secret_that_is_a_word_of_http_leaves_the_head_alone() -> None:
    received = response("Connection: keep-alive", "X-Echo: keep-alive", body=b'{"password": "keep-alive"}')
    redacted = Redactor().redact(interaction(request("Connection: keep-alive"), received))
    assert redacted.request is not None
    assert redacted.request.values("connection") == ["keep-alive"]
    assert b"Connection: keep-alive\r\nX-Echo: {{secret:1}}\r\n" in redacted.track.octets


def test_failures_are_redacted_with_their_details() -> None:
    url = f"https://a.test/?api_key={TOKEN}"
    failure = Failure(FailureKind.TLS, text=f"cannot open {url}.", details={"args": ["x", url], "verify_code": 1})
    redacted = Redactor().redact(Interaction(ORIGIN, None, Track(failure=failure))).track.failure
    assert redacted is not None
    assert redacted.text == "cannot open https://a.test/?api_key={{secret:1}}."
    assert redacted.details == {"args": ["x", "https://a.test/?api_key={{secret:1}}"], "verify_code": 1}


# -- WebSockets ----------------------------------------------------------------------------------------------

UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")


def frame(payload: bytes, mask: bytes = b"", first: int = 0x81) -> bytes:
    bit = 0x80 if mask else 0
    length = len(payload)
    if length < 126:
        size = bytes([bit | length])
    else:
        size = bytes([bit | 126]) + length.to_bytes(2) if length < 1 << 16 else bytes([bit | 127]) + length.to_bytes(8)
    masked = bytes(octet ^ mask[at % 4] for at, octet in enumerate(payload)) if mask else payload
    return bytes([first]) + size + mask + masked


def test_messages_of_a_websocket_are_redacted_and_stay_frames() -> None:
    mask = b"\x01\x02\x03\xff"
    long = b"x" * 120 + b" "
    sent = [json.dumps({"token": TOKEN}).encode(), b"ping", b""]
    received = [long + TOKEN.encode(), json.dumps({"token": TOKEN}).encode(), b"z" * 300]
    received.append(b"ab " * 30_000 + TOKEN.encode())
    request_head = request(*UPGRADE).head_octets
    response_head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    torn = b"\x81\x7e"

    def conversation(sent: list[bytes], received: list[bytes]) -> Interaction:
        upgraded = Request(ORIGIN, request_head, b"".join(frame(each, mask) for each in sent))
        octets = response_head + frame(b"", first=0x89) + b"".join(map(frame, received)) + torn
        return interaction(upgraded, octets)

    def hidden(texts: list[bytes]) -> list[bytes]:
        return [text.replace(TOKEN.encode(), b"{{secret:1}}") for text in texts]

    redactor = Redactor()
    assert redactor.redact(conversation(sent, received)) == conversation(hidden(sent), hidden(received))
    clean = conversation([b"a"], [b"b", b"\xff\x00" * 9])
    assert redactor.redact(clean) is clean
    compressed = interaction(request(*UPGRADE), response_head + frame(TOKEN.encode(), first=0xC1))
    assert redactor.redact(compressed) is compressed


@pytest.mark.parametrize("name", ["private_key", "key", "tls_secret"])
def test_a_private_key_keeps_its_first_and_last_line_whatever_its_name(name: str) -> None:
    key = "".join(string.ascii_letters[at % 52] for at in range(0, 64 * 7, 7))
    pem = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
    body = answer(Redactor(), json.dumps({"type": "service_account", name: pem.format(key)}))
    assert json.loads(body)[name] == pem.format("{{secret:1}}")
    assert answer(Redactor(9), body) == body
    keys = [
        MATCHING.key(Redactor().redact_request(request(JSON, body=json.dumps({name: value}).encode())))
        for value in (pem.format(key), pem.format(key[::-1]), pem.format("{{secret:1}}"))
    ]
    assert keys[1:] == keys[:-1]


# -- matching: the same secret, another one, and none --------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(lambda s: request(f"Authorization: Bearer {s}") if s else request(), id="field"),
        pytest.param(lambda s: request(target=f"/?a=b&api_key={s or ''}"), id="query"),
        pytest.param(lambda s: request(target="/?a=b" + (f"&api_key={s}" if s else "")), id="query, left out"),
        pytest.param(lambda s: request(target=f"/?code_challenge={s}&code_challenge_method=S256"), id="PKCE"),
        pytest.param(lambda s: request(target=f"/?api_key={s}" if s else "/"), id="query, only this"),
        pytest.param(lambda s: request(target="/?" + (f"token={s}&" if s else "") + "a=b"), id="query, first"),
        pytest.param(lambda s: request(FORM, body=f"password={s}&a=b&token={s}".encode() if s else b"a=b"), id="form"),
        pytest.param(lambda s: request(JSON, body=json.dumps({"a": 1, "token": s}).encode()), id="JSON, null"),
        pytest.param(lambda s: request(JSON, body=json.dumps({"a": 1, "token": s or ""}).encode()), id="JSON, empty"),
        pytest.param(lambda s: request(JSON, body=json.dumps({"a": 1, "token": str(s)}).encode()), id="JSON, None"),
        pytest.param(
            lambda s: request(
                JSON,
                body=json.dumps({"kind": "Secret", "data": {"a": b64encode((s or "").encode()).decode()}}).encode(),
            ),
            id="Secret of Kubernetes",
        ),
        pytest.param(
            lambda s: request(MULTIPART, body=MULTIPART_BODY.replace(b"secret", (s or "").encode())), id="multipart"
        ),
        pytest.param(
            lambda s: request(target=f"/bot{s or ''}/getMe", origin=Origin("https", "api.telegram.org", 443)), id="path"
        ),
    ],
)
def test_requests_match_with_any_secret_and_with_none(sent) -> None:  # type: ignore[no-untyped-def]
    recorded = Redactor().redact(interaction(sent(TOKEN))).request
    assert recorded is not None
    assert TOKEN.encode() not in recorded.head_octets + recorded.body_octets
    redactor = Redactor(9)
    others = [sent(secret) for secret in ("x9Y8w7V6u5T4s3R2", "XXXXXXXX", "********", "<token>", "REDACTED", None)]
    keys = {MATCHING.key(redactor.redact_request(each)) for each in (recorded, *others)}
    assert len(keys) == 1
    assert MATCHING.key(redactor.redact_request(request(target="/other?a=b"))) not in keys


@pytest.mark.parametrize("word", ["REDACTED", "<FILTERED>", "[masked]"])
def test_what_another_recorder_wrote_after_a_name_that_says_little_stands_for_any_secret(word: str) -> None:
    def key(value: str) -> object:
        sent = request(JSON, target=f"/a?key={quote(value)}", body=json.dumps({"key": value}).encode())
        return MATCHING.key(Redactor().redact_request(sent))

    assert key(word) == key(TOKEN)
    assert key(word) != key("users")


def test_hosts_with_secret_paths_have_shapes_of_their_own() -> None:
    assert len(HOST_PATHS) <= len(PATHS)
    assert len(SHAPES) >= 40


@pytest.mark.parametrize(("coding", "library"), [("br", "brotli"), ("zstd", "backports.zstd")])
def test_a_secret_is_found_under_codings_of_other_libraries(coding: str, library: str) -> None:
    compressor = pytest.importorskip(library)
    body = compressor.compress(json.dumps({"token": TOKEN}).encode())
    redacted = Redactor().redact(interaction(request(), response(f"Content-Encoding: {coding}", body=body)))
    head, _, content = redacted.track.octets.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(content) in head
    assert compressor.decompress(content) == b'{"token": "{{secret:1}}"}'
