"""Secrets of all kinds in all places: none reaches the file, and what is no secret comes back unchanged."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
import string
import zlib
from base64 import b64decode, b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote_to_bytes
from xml.sax.saxutils import escape

import pytest
import yaml

from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.matching import DEFAULT_MATCH, resolve
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk
from tests.cassette.messages import ORIGIN, jwt, request, response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
MATCHING = resolve(DEFAULT_MATCH)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Made up here, so that no scanner of secrets takes this file for a leak.
_random = random.Random(7)


def made_up(pattern: str) -> str:
    """Fill "<A20>" and the like with random characters: A letters and digits, U capitals, x hex, d digits."""
    alphabets = {
        "A": string.ascii_letters + string.digits,
        "U": string.ascii_uppercase + string.digits,
        "x": "0123456789abcdef",
        "d": string.digits,
        "a": string.ascii_lowercase + string.digits,
    }

    def fill(found: re.Match[str]) -> str:
        return "".join(_random.choices(alphabets[found[1]], k=int(found[2])))

    return re.sub(r"<([AUxda])(\d+)>", fill, pattern)


KNOWN_SHAPES = {
    "github": made_up("ghp_<A36>"),
    "github, fine-grained": made_up("github_pat_<A22>_<A59>"),
    "gitlab": made_up("glpat-<A20>"),
    "slack": made_up("xoxb-<d12>-<d13>-<A24>"),
    "stripe": made_up("sk_live_<A24>"),
    "openai": made_up("sk-proj-<A40>T3BlbkFJ<A40>"),
    "anthropic": made_up("sk-ant-api03-<A93>AA"),
    "google api key": made_up("AIza<A35>"),
    "google oauth": made_up("ya29.a0<A60>"),
    "google client secret": made_up("GOCSPX-<A28>"),
    "aws key id": made_up("AKIA<U16>"),
    "azure client secret": made_up("<A3>8Q~<A34>"),
    "npm": made_up("npm_<A36>"),
    "pypi": made_up("pypi-AgEIcHlwaS5vcmc<A70>"),
    "sendgrid": made_up("SG.<A22>.<A43>"),
    "twilio": made_up("SK<x32>"),
    "hugging face": made_up("hf_<A34>"),
    "databricks": made_up("dapi<x32>"),
    "digitalocean": made_up("dop_v1_<x64>"),
    "doppler": made_up("dp.pt.<A43>"),
    "shopify": made_up("shpat_<x32>"),
    "square": made_up("sq0atp-<A22>"),
    "telegram": made_up("<d10>:AA<A33>"),
    "discord": made_up("MT<A22>.<A6>.<A38>"),
    "mailgun": made_up("key-<x32>"),
    "mailchimp": made_up("<x32>-us12"),
    "linear": made_up("lin_api_<A40>"),
    "notion": made_up("ntn_<d11><A35>"),
    "postman": made_up("PMAK-<x24>-<x34>"),
    "pulumi": made_up("pul-<x40>"),
    "sentry": made_up("sntryu_<x64>"),
    "grafana": made_up("glsa_<A32>_<x8>"),
    "vault": made_up("hvs.<A90>"),
    "terraform": made_up("<A14>.atlasv1.<A67>"),
    "1password": made_up("ops_eyJ<A250>"),
    "planetscale": made_up("pscale_tkn_<A43>"),
    "rubygems": made_up("rubygems_<x48>"),
    "grafana cloud": made_up("glc_<A60>"),
    "gitlab runner": made_up("GR1348941<A20>"),
    "airtable": made_up("pat<A14>.<x64>"),
    "supabase secret": made_up("sb_secret_<A31>"),
    "facebook page": made_up("EAAG<A120>"),
    "bitbucket": made_up("ATBB<A32>"),
    "buildkite": made_up("bkua_<x40>"),
    "circleci": made_up("CCIPAT_<A22>_<x40>"),
    "sonar": made_up("squ_<x40>"),
    "heroku": made_up("HRKU-AA<A58>"),
    "perplexity": made_up("pplx-<A48>"),
    "replicate": made_up("r8_<A37>"),
    "nvidia": made_up("nvapi-<A64>"),
    "langsmith": made_up("lsv2_pt_<x32>_<x10>"),
    "tailscale": made_up("tskey-auth-<A17>-<A32>"),
    "hubspot": made_up("pat-na1-<x8>-<x4>-<x4>-<x4>-<x12>"),
    "openshift": made_up("sha256~<A43>"),
    "mapbox": made_up("sk.eyJ<A80>.<A22>"),
    "age": made_up("AGE-SECRET-KEY-1<U58>"),
    "jwt": jwt({"sub": "7", "exp": 1}, made_up("<A43>")),
}
PEM_BODY = made_up("<A64>\n<A64>\n<A40>==")
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{PEM_BODY}\n-----END RSA PRIVATE KEY-----\n"
# Without a look of their own: these are found where a name says what they are.
OPAQUE = {"opaque": made_up("<A32>"), "odd characters": made_up('<A9>/+"&<<A9>=~é\\'), "hex": made_up("<x32>")}
HEADER_SAFE = {**KNOWN_SHAPES, "opaque": OPAQUE["opaque"], "hex": OPAQUE["hex"]}


def interaction(sent: Request, received: bytes = OK, failure: Failure | None = None) -> Interaction:
    return Interaction(ORIGIN, sent, Track((Piece(received),) if received else (), failure))


def answer(body: str, *lines: str) -> Interaction:
    return interaction(request(method="GET"), response(*lines, body=body.encode()))


def basic(secret: str) -> str:
    return b64encode(f"bob:{secret}".encode()).decode()


def multipart(secret: str) -> Interaction:
    body = (
        '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nHello\r\n'
        f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{secret}\r\n--b--\r\n'
    )
    return interaction(request("Content-Type: multipart/form-data; boundary=b", body=body.encode()))


def in_lines(secret: str) -> bytes:
    """Base64 of JSON as mails wrap it, with the secret across the end of a line."""
    return encodebytes(b" " * 40 + json.dumps({"token": secret, "of": "the server"}).encode())


def coded(coding: str, compress: Callable[[bytes], bytes]) -> Callable[[str], Interaction]:
    def place(secret: str) -> Interaction:
        body = compress(json.dumps({"a": "b" * 99, "token": secret}).encode())
        return interaction(request(), response(f"Content-Encoding: {coding}", body=body))

    return place


def chunks(secret: str) -> Interaction:
    body = json.dumps({"access_token": secret}).encode()
    middle = body.find(b":") + 8
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return interaction(request(), head + chunk(body[:middle]) + chunk(body[middle:]) + last_chunk())


def trailers(secret: str) -> Interaction:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return interaction(request(), head + chunk(b"abc") + last_chunk([("X-Auth-Token", secret)]))


JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"

IN_FIELDS: dict[str, Callable[[str], Interaction]] = {
    "Bearer": lambda s: interaction(request(f"Authorization: Bearer {s}")),
    "Digest": lambda s: interaction(request(f'Authorization: Digest username="u", response="{s}"')),
    "Proxy-Authorization of CONNECT": lambda s: interaction(
        Request(ORIGIN, f"CONNECT api.test:443 HTTP/1.1\r\nProxy-Authorization: Bearer {s}\r\n\r\n".encode())
    ),
    "Cookie": lambda s: interaction(request(f"Cookie: theme=dark; sid={s}")),
    "Set-Cookie": lambda s: interaction(request(), response(f"Set-Cookie: sid={s}; Path=/; HttpOnly")),
    "X-Api-Key": lambda s: interaction(request(f"X-Api-Key: {s}")),
    "X-Acme-Secret": lambda s: interaction(request(f"X-Acme-Secret: {s}")),
    "trailer": trailers,
    "settings": lambda s: answer(f"A=b\nexport API_KEY='{s}'\nX=y\n"),
    "trace": lambda s: answer(f"GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {s}\r\n\r\n"),
    "cookie in an echo of lists": lambda s: answer(json.dumps({"Set-Cookie": ["a=b; Path=/", f"sid={s}; Path=/"]})),
    "object with the name of a secret": lambda s: answer(json.dumps({"token": {"type": "x", "value": s}})),
    "CSV": lambda s: answer(f"id,password,note\r\n1,{s},a\r\n,x1y2z3a,\r\n", "Content-Type: text/csv"),
    "CSV with quotes": lambda s: answer(
        f'"id";"api_key"\n"a;\n""b""";"{s}"\n', "Content-Type: text/csv; header=present"
    ),
    "CSV in JSON in JSON": lambda s: answer(json.dumps({"a": json.dumps({"file": f"id,password\n1,{s}\n"})})),
    "list of name and value": lambda s: answer(json.dumps({"headers": [["Accept", "*/*"], ["X-Api-Key", s]]})),
    "bearer in an echo": lambda s: answer(json.dumps({"headers": {"Authorization": f"Bearer {s}"}})),
    "bearer in an echo of lists": lambda s: answer(json.dumps({"headers": {"X-Api-Key": [s]}})),
}
IN_ANY: dict[str, Callable[[str], Interaction]] = {
    "Basic": lambda s: interaction(request(f"Authorization: Basic {basic(s)}")),
    "userinfo": lambda s: answer(f"git clone https://bob:{quote(s, safe='')}@git.test/x"),
    "query": lambda s: interaction(request(target=f"/?page=2&api_key={quote_plus(s)}")),
    "query, name percent-encoded": lambda s: interaction(request(target=f"/?api%5Fkey={quote_plus(s)}&a=b")),
    "form": lambda s: interaction(request(FORM, body=f"a=b&password={quote_plus(s)}".encode())),
    "form with JSON": lambda s: interaction(
        request(FORM, body=f"payload={quote_plus(json.dumps({'token': s}))}".encode())
    ),
    "URL in a query": lambda s: interaction(
        request(target="/?next=" + quote(f"https://b.test/?access_token={quote_plus(s)}&c=d", safe=""))
    ),
    "JSON": lambda s: interaction(request(JSON, body=json.dumps({"user": "bob", "password": s}).encode())),
    "JSON with spaces": lambda s: answer(json.dumps({"a": {"client_secret": s}}, indent=3).replace('":', '"\t:')),
    "JSON, nested": lambda s: answer(json.dumps({"a": [{"b": {"refreshToken": s}}]})),
    "JSON, list": lambda s: answer(json.dumps({"api_keys": 1, "secrets": ["a", s], "z": [1]})),
    "JSON, not ASCII": lambda s: answer(json.dumps({"clientSecret": s}, ensure_ascii=False)),
    "JSON in JSON": lambda s: answer(json.dumps({"body": json.dumps({"token": s})})),
    "JSON in JSON in JSON": lambda s: answer(json.dumps({"x": json.dumps({"body": json.dumps({"token": s})})})),
    "GraphQL variables": lambda s: interaction(
        request(
            JSON, body=json.dumps({"query": "mutation M($p: String!) { x }", "variables": {"password": s}}).encode()
        )
    ),
    "GraphQL argument": lambda s: interaction(
        request(JSON, body=json.dumps({"query": f"mutation {{ login(password: {json.dumps(s)}) }}"}).encode())
    ),
    "XML": lambda s: answer(f'<?xml version="1.0"?><a><ns:Password type="x">{escape(s)}</ns:Password></a>'),
    "XML attribute": lambda s: answer(f'<a user="bob" password="{escape(s, {chr(34): "&quot;"})}"/>'),
    "HTML form": lambda s: answer(
        f'<input type="hidden" name="csrf_token" value="{escape(s, {chr(34): "&quot;"})}">', "Content-Type: text/html"
    ),
    "gzip": coded("gzip", gzip.compress),
    "deflate": coded("deflate", zlib.compress),
    "chunk border": chunks,
    "Location": lambda s: interaction(request(), response(f"Location: https://b.test/cb#access_token={quote_plus(s)}")),
    "Link": lambda s: interaction(
        request(), response(f'Link: <https://b.test/x?page=2&access_token={quote_plus(s)}>; rel="next"')
    ),
    "Referer": lambda s: interaction(request(f"Referer: https://b.test/?token={quote_plus(s)}")),
    "presigned URL in JSON": lambda s: answer(
        json.dumps({"url": f"https://s3.test/k?X-Amz-Date=20260101T000000Z&X-Amz-Signature={quote(s, safe='')}"})
    ),
    "presigned URL in JSON of Go": lambda s: answer(
        json.dumps({"url": f"https://s3.test/k?a=b&X-Amz-Signature={quote(s, safe='')}&c=d"}).replace("&", "\\u0026")
    ),
    "OAuth answer": lambda s: answer(json.dumps({"access_token": s, "token_type": "Bearer", "expires_in": 3600})),
    "base64 of JSON": lambda s: answer(json.dumps({"data": b64encode(json.dumps({"token": s}).encode()).decode()})),
    "base64 in lines": lambda s: answer(in_lines(s).decode()),
    "base64 in lines, in JSON": lambda s: answer(json.dumps({"content": in_lines(s).decode()})),
    "base64 in lines, sent": lambda s: interaction(
        request("Content-Type: message/rfc822", body=b"Subject: hi\r\n\r\n" + in_lines(s).replace(b"\n", b"\r\n"))
    ),
    "base64 of base64": lambda s: answer(
        b64encode(b64encode(json.dumps({"token": s}).encode()) + b" is base64 too").decode()
    ),
    "events": lambda s: answer(
        f"event: a\ndata: {json.dumps({'token': s})}\n\ndata: [DONE]\n\n", "Content-Type: text/event-stream"
    ),
    "record of name and value": lambda s: answer(json.dumps({"env": [{"name": "API_KEY", "value": s}]})),
    "record of value and name": lambda s: answer(json.dumps({"env": [{"value": s, "name": "API_KEY"}]})),
    "record with more in it": lambda s: answer(
        json.dumps([{"key": "api_key", "type": "text", "on": True, "value": s}])
    ),
    "database URL": lambda s: answer(json.dumps({"dsn": f"postgres://bob:{quote(s, safe='')}@db.test:5432/x"})),
    "failure": lambda s: interaction(
        request(target="/x"), b"", Failure(FailureKind.CONNECT, text=f"cannot reach /x?token={quote_plus(s)}: refused")
    ),
    "cut-off JSON": lambda s: answer(json.dumps({"a": 1, "token": s})[:-2]),
}
ONLY_BY_LOOK: dict[str, Callable[[str], Interaction]] = {
    "path": lambda s: interaction(request(target=f"/x/{s}/y")),
    "query with an ordinary name": lambda s: interaction(request(target=f"/?q={quote_plus(s)}")),
    "field with an ordinary name": lambda s: interaction(request(f"X-Id: {s}")),
    "text": lambda s: answer(f"Your new one is {s}, keep it safe."),
    "JSON value": lambda s: answer(json.dumps({"value": s, "text": f"first\n{s}\n"})),
    "JSON name": lambda s: answer(json.dumps({s: 1})),
    "comment of XML": lambda s: answer(f"<a><!-- {s} --></a>"),
    "base64": lambda s: answer(json.dumps({"content": b64encode(f"export X={s}\n".encode()).decode()})),
    "base64 of URLs": lambda s: answer(urlsafe_b64encode(f"export X='{s}' # ???>".encode()).decode()),
    "failure": lambda s: interaction(request(), b"", Failure(FailureKind.RESET, text=f"while sending {s}")),
}
CASES = [
    *((kind, s, place, make) for kind, s in HEADER_SAFE.items() for place, make in IN_FIELDS.items()),
    *((kind, s, place, make) for kind, s in {**KNOWN_SHAPES, **OPAQUE}.items() for place, make in IN_ANY.items()),
    *((kind, s, place, make) for kind, s in KNOWN_SHAPES.items() for place, make in ONLY_BY_LOOK.items()),
]


def decoded(text: bytes) -> Iterator[bytes]:
    """All that is compressed, percent-encoded or written in base64 in a text, also in lines."""
    yield re.sub(rb"(?<=[A-Za-z0-9+/]{56})(?:\\r|\\n|\s)+", b"", text)
    if re.search(b"%[0-9A-F]{2}", text):
        yield unquote_to_bytes(text.replace(b"+", b" "))
    for found in re.finditer(rb"[A-Za-z0-9+/_-]{16,}", text):
        run = found[0].translate(bytes.maketrans(b"-_", b"+/"))
        run = run[: len(run) - (len(run) % 4 == 1)]
        yield b64decode(run + b"=" * (-len(run) % 4))
    for wbits in (31, 15):
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(text, wbits)


def leaks(document: bytes, secret: str) -> list[str]:
    """Say in which forms a secret stands in a document, or in anything that can be decoded from it."""
    octets = secret.encode()
    forms = {
        "plain": octets,
        "percent": quote_plus(secret).encode(),
        "percent, all": quote(secret, safe="").encode(),
        "percent twice": quote(quote(secret, safe=""), safe="").encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "XML": escape(secret).encode(),
        "XML attribute": escape(secret, {'"': "&quot;"}).encode(),
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        "JSON, three times": json.dumps(json.dumps(json.dumps(secret)[1:-1])[1:-1])[1:-1].encode(),
    }
    for before in range(3):
        core = b64encode(bytes(before) + octets)[(before * 8 + 5) // 6 : (before + len(octets)) * 8 // 6]
        forms[f"base64, {before}"] = core
        forms[f"base64 of URLs, {before}"] = core.translate(bytes.maketrans(b"+/", b"-_"))
    texts = [document]
    for value in yaml.load(document, LOADER).values():
        texts.append(value if isinstance(value, bytes) else str(value).encode())
    for text in texts:
        texts += [each for each in decoded(text) if each not in texts]
    return [form for form, needle in forms.items() if any(needle in text for text in texts)]


def dumped(redacted: Interaction) -> bytes:
    return yaml_format.dump_interaction(redacted)


@pytest.mark.parametrize(
    ("secret", "make"), [pytest.param(s, make, id=f"{kind} in {place}") for kind, s, place, make in CASES]
)
def test_no_secret_reaches_the_file(secret: str, make: Callable[[str], Interaction]) -> None:
    recorded = make(secret)
    assert leaks(dumped(recorded), secret), "the test itself cannot see it"
    redacted = Redactor().redact(recorded)
    assert not leaks(dumped(redacted), secret)
    assert Redactor(100).redact(redacted) is redacted
    assert recorded.request is not None
    assert redacted.request is not None
    other = made_up("<A40>") if secret in (OPAQUE["opaque"], OPAQUE["hex"]) else secret
    sent = make(other).request
    assert sent is not None
    replaying = Redactor(200)
    assert MATCHING.key(replaying.redact_request(sent)) == MATCHING.key(replaying.redact_request(redacted.request))


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be"])
def test_no_secret_stays_in_a_text_of_utf_16(charset: str) -> None:
    secret = OPAQUE["opaque"]
    text = json.dumps({"name": "é", "password": secret})
    fields = [] if charset == "utf-16" else [f"Content-Type: application/json; charset={charset.upper()}"]
    redactor = Redactor()
    for body in (text, text, json.dumps({"echo": secret})):
        encoded = body.encode(charset)
        redacted = redactor.redact(interaction(request(method="GET"), response(*fields, body=encoded)))
        head, _, content = redacted.track.octets.partition(b"\r\n\r\n")
        assert content.decode(charset) == body.replace(secret, "{{secret:1}}")
        assert b"Content-Length: %d" % len(content) in head


@pytest.mark.parametrize(
    "name",
    [
        *(
            "contraseña",
            "nueva_contraseña",
            "пароль",
            "НовыйПароль",
            "hasło",
            "密码",
            "新密码",
            "パスワード",
            "비밀번호",
        ),
        *("mdp", "pAssWord", "Pw", "bindpw", "ansible_become_pass", "seed_phrase"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda name: answer(json.dumps({name: "hunter-moon"})), id="escaped"),
        pytest.param(lambda name: answer(f'{{"{name}": "hunter-moon"}}'), id="JSON"),
        pytest.param(lambda name: answer(json.dumps({"a": f'{{"{name}": "hunter-moon"}}'})), id="JSON in JSON"),
        pytest.param(lambda name: interaction(request(target=f"/?{quote(name)}=hunter-moon")), id="query"),
        pytest.param(lambda name: answer(f"a=1\n{name}=hunter-moon\n"), id="line"),
    ],
)
def test_passwords_are_known_by_their_names_in_other_spellings(name: str, make: Callable[[str], Interaction]) -> None:
    assert b"hunter-moon" not in dumped(Redactor().redact(make(name)))


@pytest.mark.parametrize("name", [r"pass\u0077ord", r"\u0070ASSWORD", r"api\u005fkey"])
def test_names_may_have_escaped_letters(name: str) -> None:
    assert b"hunter-moon" not in dumped(Redactor().redact(answer(f'{{"{name}": "hunter-moon"}}')))


@pytest.mark.parametrize(
    "text",
    [
        '{"密码": "密码", "请输入密码": "Please enter it", "пароль": "Пароль"}',
        '{"otp": "enabled", "cvc_check": "pass", "verification_code": "wrong", "country_code": "49"}',
        '{"phrase": "a turn of it", "paraphrase": "in other words", "boarding_pass": "17A"}',
    ],
)
def test_what_is_no_password_in_other_spellings_stays(text: str) -> None:
    made = answer(text)
    assert Redactor().redact(made) is made


@pytest.mark.parametrize(
    "name", ["otp", "mfa_code", "verificationCode", "cvc", "recovery_codes", "user_otp", "2fa_code"]
)
def test_codes_with_digits_are_secrets(name: str) -> None:
    assert b"482133" not in dumped(Redactor().redact(answer(json.dumps({name: "482133"}))))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"result": {"signature": made_up("<a88>").translate(str.maketrans("0lIO", "1234")), "slot": 7}}),
        json.dumps({"content": [{"type": "thinking", "thinking": "Let me see", "signature": made_up("<A120>")}]}),
    ],
)
def test_a_signature_that_vouches_for_something_stays(text: str) -> None:
    made = answer(text)
    assert Redactor().redact(made) is made


def test_other_signatures_are_secrets() -> None:
    signature = made_up("<x64>")
    assert signature.encode() not in dumped(Redactor().redact(answer(json.dumps({"signature": signature}))))


@pytest.mark.parametrize(
    "field", ["Sec-WebSocket-Protocol: graphql, {}", "Sec-WebSocket-Protocol: {}", "Jenkins-Crumb: {}"]
)
def test_secrets_in_fields_with_weak_names_are_known_by_their_look(field: str) -> None:
    secret = made_up("<A39><d1>")
    redacted = Redactor().redact(interaction(request(field.format(secret))))
    assert field.format("{{secret:1}}").encode() in dumped(redacted)


def test_names_of_protocols_stay() -> None:
    made = interaction(request("Sec-WebSocket-Protocol: graphql-transport-ws, v10.stomp"))
    assert Redactor().redact(made) is made


STEPS = ["token", "reset-password", "password/reset", "users/invitations", "magic-link", "verify_email", "api_key"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: interaction(request(target=path)), id="target"),
        pytest.param(lambda path: answer("", f"Location: https://a.test{path}?a=b"), id="field"),
        pytest.param(lambda path: answer(json.dumps({"url": f"https://a.test{path}"})), id="JSON"),
        pytest.param(
            lambda path: answer(json.dumps({"url": f"https://a.test{path}"}).replace("/", r"\/")), id="escaped"
        ),
        pytest.param(lambda path: answer(f'<a href="https://a.test{path}/go">x</a>'), id="page"),
    ],
)
def test_a_token_in_a_path_is_known_by_the_step_in_front(step: str, make: Callable[[str], Interaction]) -> None:
    token = made_up("<A30><d1>a")
    assert token.encode() not in dumped(Redactor().redact(make(f"/v1/{step}/{token}")))


@pytest.mark.parametrize(
    "path",
    [
        "/reset/your-password-in-a-few-steps",
        "/secrets/123e4567-e89b-12d3-a456-426614174000",
        "/commit/6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "/blob/q7Xw2Kp9Zr4Tn6Vb8Ym1",
    ],
)
def test_other_steps_of_a_path_stay(path: str) -> None:
    made = answer(json.dumps({"url": f"https://a.test{path}"}))
    assert Redactor().redact(made) is made


@pytest.mark.parametrize("mark", ["~hmac={}", "%7Ehmac%3D{}"])
def test_a_signature_of_akamai_is_known_by_its_mark(mark: str) -> None:
    digits = made_up("<x64>")
    url = "https://v.test/exp=1700003600~acl=%2F*" + mark.format(digits) + "/a.m3u8"
    assert digits.encode() not in dumped(Redactor().redact(answer(url)))


@pytest.mark.parametrize("password", ["", ":", ":x-oauth-basic"])
def test_a_token_in_the_place_of_a_user_is_hidden(password: str) -> None:
    token = made_up("<A23>") + "7"  # letters alone may be words
    redacted = dumped(Redactor().redact(answer(f"git clone https://{token}{password}@git.test/x")))
    assert token.encode() not in redacted


def test_userinfo_and_paths_of_hooks_may_have_escaped_slashes() -> None:
    token = made_up("<A24>")
    urls = ["https://ada:maple-Syrup9@a.test/", f"https://hooks.slack.com/services/T0ABCDEFG/B0ABCDEFG/{token}"]
    redacted = dumped(Redactor().redact(answer(json.dumps(urls).replace("/", r"\/"))))
    assert b"maple-Syrup9" not in redacted
    assert token.encode() not in redacted


@pytest.mark.parametrize(
    "field",
    [
        "X-Error: invalid api key: {}",
        'WWW-Authenticate: Bearer error_description="The token {} expired"',
    ],
)
def test_a_secret_in_what_a_field_says_is_known_by_its_look(field: str) -> None:
    secret = made_up("<A31><d1>")
    assert secret.encode() not in dumped(Redactor().redact(answer("", field.format(secret))))


def test_a_pair_in_a_field_may_end_with_a_semicolon() -> None:
    redacted = Redactor().redact(answer("", "X-Debug: password=maple-Syrup9; user=bob"))
    assert b"X-Debug: password={{secret:1}}; user=bob" in redacted.track.octets


def test_a_short_token_after_its_scheme_is_hidden_wherever_it_is() -> None:
    recorded = answer("they sent Bearer Zk3v9QpL1xT8mR5w today")
    assert b"Bearer {{secret:1}} today" in Redactor().redact(recorded).track.octets


@pytest.mark.parametrize("scheme", ["Bearer", "Token"])
def test_a_field_of_credentials_may_be_quoted_within_a_line(scheme: str) -> None:
    redacted = Redactor().redact(answer(f"call it with Authorization: {scheme} maple-Syrup9 or so"))
    assert f"Authorization: {scheme} {{{{secret:1}}}} or so".encode() in redacted.track.octets


def test_the_start_line_is_no_sentence() -> None:
    made = interaction(request(target="/?page=1&q=password"))
    assert Redactor().redact(made) is made


def test_a_code_that_is_sent_for_a_token_is_one_however_short() -> None:
    body = "grant_type=authorization_code&code=short-17&client_id=abc"
    assert b"short-17" not in dumped(Redactor().redact(interaction(request(FORM, body=body.encode()))))


@pytest.mark.parametrize("name", ["file", "key"])
def test_a_private_key_in_a_form_is_one_though_it_has_no_escapes_but_those_of_lines(name: str) -> None:
    lines = [made_up("<A64>") for _ in range(3)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    pairs = f"a=1&{name}={quote_plus(key)}"
    made = interaction(request(FORM, target=f"/?{pairs}", method="POST", body=pairs.encode()))
    written = dumped(Redactor().redact(made))
    assert not [line for line in lines if line.encode() in written]
    assert written.count(b"-----BEGIN+PRIVATE+KEY-----%0A") == 2


def test_a_code_in_a_field_is_hidden() -> None:
    made = interaction(request("X-GitHub-OTP: 482133"), response("X-GitHub-OTP: required; app"))
    redacted = Redactor().redact(made)
    assert redacted.request is not None
    assert b"X-GitHub-OTP: {{secret:1}}\r\n" in redacted.request.head_octets
    assert b"X-GitHub-OTP: required; app\r\n" in redacted.track.octets


@pytest.mark.parametrize("ampersand", ["&", "&amp;", "\\u0026"])
def test_a_code_beside_a_state_is_one_however_short(ampersand: str) -> None:
    url = f"https://app.test/cb?code=a1B2c3{ampersand}state=xyz"
    made = interaction(request(target="/cb?code=a1B2c3&state=xyz"), response(f"Location: {url}", body=url.encode()))
    written = dumped(Redactor().redact(made))
    assert b"a1B2c3" not in written
    assert b"xyz" not in written


def test_the_value_of_a_cookie_is_hidden_if_no_script_may_read_it() -> None:
    jar = [{"name": "sid", "value": "ab12", "httpOnly": True}, {"name": "lang", "value": "en12", "httpOnly": False}]
    redacted = Redactor().redact(answer(json.dumps({"cookies": jar})))
    assert redacted.track.octets == answer(json.dumps({"cookies": jar}).replace("ab12", "{{secret:1}}")).track.octets
