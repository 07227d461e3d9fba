"""Every secret in every place: none may be left in what is written, in whatever coding.

What is looked through is all that a reader of the cassette could decode: the document, heads, contents without chunks
and codings, and base64 inside of them.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from html import escape, unescape
from urllib.parse import quote, quote_plus

import pytest

from cassette_http.cassette.decoding import decoded, encoded
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk

ORIGIN = Origin("https", "api.example.com", 443)

SECRETS = {
    "github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "stripe": "sk_live_51H8xQ2eZvKYlo2C9a8B7c6D5e4F3g2H1",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "opaque": "Zx8Qw3Rt7Yp2Lk9Mn4Vb6Cd1",
    "passphrase": "Tr0ub4dor&3 horse/battery",
    "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "uuid": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    "short": "hunter2!!",
    "unicode": "pässwörd-ünïcode-✓",
    "with a slash first": "/pTcJ5q9mGg8Rk2xWnLb+Y==",
    "with two slashes": "/mo/d476NPY4tGLtzFt9oXri/w==",
    "sentence": "Tr0ub4dor sleeps!",
    "digits": "4929123456781234567",
}

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=B"


def sent(
    target: str = "/a", *fields: str, body: bytes = b"", method: str = "POST", origin: Origin = ORIGIN
) -> Interaction:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {origin.authority}", *fields]
    if body and not any(field.startswith("Transfer-Encoding") for field in fields):
        lines.append(f"Content-Length: {len(body)}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return Interaction(origin, Request(origin, head, body), Track((Piece(b"HTTP/1.1 204 No Content\r\n\r\n"),)))


def got(body: bytes = b"", *fields: str, status: str = "200 OK", pieces: int = 1) -> Interaction:
    lines = [f"HTTP/1.1 {status}", *fields]
    if not any(field.startswith("Transfer-Encoding") for field in fields):
        lines.append(f"Content-Length: {len(body)}")
    return track(("\r\n".join(lines) + "\r\n\r\n").encode() + body, pieces)


def track(octets: bytes, pieces: int = 1) -> Interaction:
    size = -(-len(octets) // pieces)
    cut = tuple(Piece(octets[at : at + size], at / 1000) for at in range(0, len(octets), size))
    return Interaction(ORIGIN, Request(ORIGIN, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Track(cut))


def failed(kind: FailureKind, text: str, **details: object) -> Interaction:
    return Interaction(
        ORIGIN, Request(ORIGIN, b"GET /a HTTP/1.1\r\n\r\n"), Track(failure=Failure(kind, 0.0, None, text, details))
    )


def js(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def chunks(octets: bytes, size: int) -> bytes:
    return b"".join(chunk(octets[at : at + size]) for at in range(0, len(octets), size)) + last_chunk()


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def percent(text: str) -> str:
    return quote(text, safe="")


def xml(text: str) -> str:
    return text.replace("&", "&amp;")


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """A frame of a WebSocket, a whole text if nothing else is said, masked with zeros (RFC 6455 section 5.2)."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([first]) + length + bytes(4) + payload


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

FIELD_NAMES = (
    *("Authorization", "Proxy-Authorization", "X-Api-Key", "X-Acme-Secret", "X-Auth-Token", "Api-Key", "apikey"),
    *("X-Access-Token", "Private-Token", "X-Vault-Token", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key"),
    *("X-CSRF-Token", "X-Goog-Api-Key", "X-Shopify-Access-Token", "DD-API-KEY", "X-Figma-Token", "Client-Secret"),
)


def sent_in_field(name: str, secret: str) -> Interaction:
    return sent("/a", f"{name}: {secret}")


PLACES: dict[str, Callable[[str], Interaction]] = {
    **{f"field {name}": partial(sent_in_field, name) for name in FIELD_NAMES},
    "bearer": lambda s: sent("/a", f"Authorization: Bearer {s}"),
    "token scheme": lambda s: sent("/a", f"Authorization: Token token={s}"),
    "digest": lambda s: sent("/a", f'Authorization: Digest username="bob", realm="x", response="{s}"'),
    "basic": lambda s: sent("/a", f"Authorization: Basic {b64('bob:' + s)}"),
    "basic, token as user": lambda s: sent("/a", f"Authorization: Basic {b64(s + ':x-oauth-basic')}"),
    "oauth 1": lambda s: sent("/a", f'Authorization: OAuth oauth_token="{percent(s)}", oauth_signature="abc%3D"'),
    "sigv4": lambda s: sent("/a", f"Authorization: AWS4-HMAC-SHA256 Credential=A/20260101, Signature={s}"),
    "authentication info": lambda s: got(b"", f'Authentication-Info: nextnonce="x", token="{s}"'),
    "cookie": lambda s: sent("/a", f"Cookie: theme=dark; sid={percent(s)}"),
    "set-cookie": lambda s: got(b"", f"Set-Cookie: sid={percent(s)}; Path=/; HttpOnly"),
    "set-cookie of a redirect": lambda s: got(
        b"", "Location: /home", f"Set-Cookie: session={percent(s)}; Path=/", status="302 Found"
    ),
    "query": lambda s: sent(f"/a?access_token={percent(s)}&x=1"),
    "query with plus": lambda s: sent(f"/a?api_key={quote_plus(s)}&x=1"),
    "signature of a query": lambda s: sent(f"/a?X-Amz-Signature={percent(s)}&x=1"),
    "session token of a query": lambda s: sent(f"/b?X-Amz-Credential=A%2F20260101&X-Amz-Security-Token={percent(s)}"),
    "URL in a query": lambda s: sent(f"/go?url={percent('https://b.example.com/?token=' + percent(s))}"),
    "URL in a query, not encoded": lambda s: sent(f"/go?url=https://b.example.com/?token={percent(s)}"),
    "location, query": lambda s: got(
        b"", f"Location: https://app.example.com/cb?token={percent(s)}", status="302 Found"
    ),
    "location, fragment": lambda s: got(b"", f"Location: https://app.example.com/cb#access_token={percent(s)}&state=x"),
    "link": lambda s: got(b"", f'Link: <https://api.example.com/a?page=2&access_token={percent(s)}>; rel="next"'),
    "refresh": lambda s: got(b"", f"Refresh: 0; url=https://a.example.com/?token={percent(s)}"),
    "content-location": lambda s: got(b"", f"Content-Location: /a?token={percent(s)}"),
    "referer": lambda s: sent("/a", f"Referer: https://x.example.com/?session_id={percent(s)}"),
    "userinfo": lambda s: sent(f"https://bob:{percent(s)}@api.example.com/a", method="GET"),
    "userinfo in JSON": lambda s: got(js({"dsn": f"postgres://app:{percent(s)}@db:5432/x"}), JSON),
    "parameter of a path": lambda s: sent(f"/a;token={percent(s)}/b?c=d", method="GET"),
    "pair in a path": lambda s: sent(f"/a/token={percent(s)}/b", method="GET"),
    "URL in a path": lambda s: sent(f"/proxy/{percent(f'https://u:{percent(s)}@a.test/x')}/b", method="GET"),
    "reason phrase": lambda s: got(status=f"401 No password={percent(s)}"),
    "within a field": lambda s: got(b"", f"X-Debug: user=ada password={percent(s)}"),
    "slack path": lambda s: sent(f"/services/T0/B0/{percent(s)}", origin=Origin("https", "hooks.slack.com", 443)),
    "telegram path": lambda s: sent(f"/bot12345:{percent(s)}/getMe", origin=Origin("https", "api.telegram.org", 443)),
    "JSON": lambda s: sent("/a", JSON, body=js({"user": "bob", "password": s})),
    "JSON in ASCII": lambda s: sent("/a", JSON, body=json.dumps({"password": s}).encode()),
    "JSON without blanks": lambda s: sent("/a", JSON, body=json.dumps({"password": s}, separators=(",", ":")).encode()),
    "JSON without a type": lambda s: sent("/a", body=js({"password": s})),
    "JSON, nested": lambda s: got(js({"a": [{"b": {"client_secret": s}}]}), JSON),
    "JSON, in a list": lambda s: got(js({"tokens": [{"refresh_token": s}, {"access_token": s}]}), JSON),
    "JSON in a string": lambda s: got(js({"payload": json.dumps({"apiKey": s}, ensure_ascii=False)}), JSON),
    "JSON in a string in a string": lambda s: got(js({"p": json.dumps({"i": json.dumps({"apiKey": s})})}), JSON),
    "JSON in a form": lambda s: sent("/a", FORM, body=f"payload={quote_plus(json.dumps({'token': s}))}".encode()),
    "JSON in lines": lambda s: got(
        js({"id": 1}) + b"\n" + js({"secret": s}) + b"\n", "Content-Type: application/x-ndjson"
    ),
    "JSON, cut off": lambda s: track(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + js({"token": s})[:-2]),
    "JSON, name and value": lambda s: got(js({"name": "api_key", "value": s}), JSON),
    "JSON, echoed fields": lambda s: got(js({"headers": {"Authorization": f"Bearer {s}"}}), JSON),
    "JSON, presigned URL": lambda s: got(
        js({"u": f"https://b.s3.example.com/k?X-Amz-Signature={percent(s)}&e=1"}), JSON
    ),
    "device code": lambda s: got(js({"device_code": s, "expires_in": 1800}), JSON),
    "form in JSON": lambda s: got(js({"body": "grant_type=password&password=" + quote_plus(s)}), JSON),
    "form": lambda s: sent("/a", FORM, body=f"user=bob&password={quote_plus(s)}".encode()),
    "form, first pair": lambda s: sent("/a", FORM, body=f"password={quote_plus(s)}".encode()),
    "form that was received": lambda s: got(f"oauth_token=abc&oauth_token_secret={quote_plus(s)}".encode(), FORM),
    "multipart": lambda s: sent(
        "/a", MULTIPART, body=f'--B\r\nContent-Disposition: form-data; name="password"\r\n\r\n{s}\r\n--B--\r\n'.encode()
    ),
    "multipart, file": lambda s: sent(
        "/a",
        MULTIPART,
        body=b'--B\r\nContent-Disposition: form-data; name="f"; filename="c.json"\r\n\r\n'
        + js({"private_key": s})
        + b"\r\n--B--\r\n",
    ),
    "XML": lambda s: sent("/a", "Content-Type: text/xml", body=f"<a><Password>{xml(s)}</Password></a>".encode()),
    "SOAP": lambda s: sent(
        "/a",
        "Content-Type: application/soap+xml",
        body=f'<s:Header><wsse:Password Type="x">{xml(s)}</wsse:Password></s:Header>'.encode(),
    ),
    "XML attribute": lambda s: got(f'<login user="bob" password="{xml(s)}"/>'.encode(), "Content-Type: text/xml"),
    "XML CDATA": lambda s: got(f"<a><secret><![CDATA[{s}]]></secret></a>".encode(), "Content-Type: text/xml"),
    "JSON in XML, escaped": lambda s: got(
        f"<a>{escape(js({'token': s}).decode())}</a>".encode(), "Content-Type: text/xml"
    ),
    "XML in XML, escaped": lambda s: got(
        f"<a>{escape(f'<b><token>{xml(s)}</token></b>')}</a>".encode(), "Content-Type: text/xml"
    ),
    "call of a script": lambda s: got(
        f"localStorage.setItem('token', '{s}');".encode(), "Content-Type: text/javascript"
    ),
    "file of cookies": lambda s: got(
        f"a.test\tFALSE\t/\tTRUE\t0\tauth_token\t{percent(s)}\n".encode(), "Content-Type: text/plain"
    ),
    "UTF-16 with half a pair": lambda s: got(
        js({"a": "b", "token": s}).decode().encode("utf-16-le") + b"\0\xd8",
        "Content-Type: text/plain; charset=utf-16le",
    ),
    "item of DynamoDB": lambda s: got(js({"Item": {"password": {"S": s}}}), JSON),
    "document of Firestore": lambda s: got(js({"fields": {"password": {"stringValue": s}}}), JSON),
    "cookie with the name of a key": lambda s: sent("/a", f"Cookie: theme=dark; api_key={percent(s)}"),
    "GraphQL variables": lambda s: sent("/a", JSON, body=js({"query": "mutation {}", "variables": {"password": s}})),
    "GraphQL argument": lambda s: sent("/a", JSON, body=js({"query": f'mutation{{login(password:"{s}"){{id}}}}'})),
    "HTML form": lambda s: got(
        f'<form><input name="csrf_token" value="{xml(s)}"></form>'.encode(), "Content-Type: text/html"
    ),
    "HTML meta": lambda s: got(f'<meta name="csrf-token" content="{xml(s)}">'.encode(), "Content-Type: text/html"),
    "script": lambda s: got(f"window.cfg = {{apiKey: '{s}', debug: true}};".encode(), "Content-Type: text/javascript"),
    "settings": lambda s: got(f"DEBUG=1\nSECRET_KEY={s}\nX=2\n".encode(), "Content-Type: text/plain"),
    "settings with quotes": lambda s: got(f'password = "{s}"\n'.encode(), "Content-Type: text/plain"),
    "Dockerfile": lambda s: got(f"FROM a\nENV API_KEY {s}\nRUN b\n".encode(), "Content-Type: text/plain"),
    "Dockerfile in JSON": lambda s: got(js({"content": f"FROM a\nENV API_KEY {s}\nRUN b\n"}), JSON),
    "constant of Java": lambda s: got(
        f'class A {{\n  private static final String PASSWORD = "{s}";\n}}\n'.encode(), "Content-Type: text/plain"
    ),
    "constant with its type": lambda s: got(f'password: str = "{s}"\n'.encode(), "Content-Type: text/plain"),
    "constant of C": lambda s: got(f'#define DB_PASSWORD "{s}"\n'.encode(), "Content-Type: text/plain"),
    "statement of SQL": lambda s: got(f"CREATE USER a IDENTIFIED BY '{s}';".encode(), "Content-Type: text/plain"),
    "rows of SQL": lambda s: got(
        f"INSERT INTO `u` (`id`, `name`, `password`) VALUES (1, 'ada', '{s}'),\n(2, 'an''na', '{s}');\n".encode(),
        "Content-Type: text/plain",
    ),
    "list of YAML": lambda s: got(f"a:\n  passwords:\n  - {s}\n  - {s}\nb: 1\n".encode(), "Content-Type: text/yaml"),
    "attribute in a string of JSON": lambda s: got(
        js({"html": f'<input name="csrf_token" value="{xml(s)}"><login password="{xml(s)}"/>'}), JSON
    ),
    "cookie without a name": lambda s: sent("/a", f"Cookie: {percent(s)}1"),
    "code for a wireless network": lambda s: got(
        js({"text": f"WIFI:T:WPA;S:net;P:{s};H:false;;"}).replace(b"\\u", b""), JSON
    ),
    "Secret of Kubernetes": lambda s: got(
        js({"items": [{"data": {"a": b64(s)}, "kind": "Secret", "stringData": {"b": s}}]}), JSON
    ),
    "Secret of Kubernetes in YAML": lambda s: got(
        f"data:\n  a: {b64(s)}\nkind: Secret\n".encode(), "Content-Type: application/yaml"
    ),
    "a parameter of CloudFormation": lambda s: got(
        js({"Parameters": [{"ParameterKey": "DbPassword", "ParameterValue": s}]}), JSON
    ),
    "list of Secrets of Kubernetes": lambda s: got(js({"kind": "SecretList", "items": [{"data": {"a": s}}]}), JSON),
    "field of 1Password": lambda s: got(js({"fields": [{"id": "x", "type": "CONCEALED", "value": s}]}), JSON),
    "SecureString of AWS": lambda s: got(js({"Parameter": {"Type": "SecureString", "Value": s}}), JSON),
    "sensitive output of Terraform": lambda s: got(js({"db": {"sensitive": True, "value": s}}), JSON),
    "environment of a container": lambda s: got(
        f"env:\n- name: DB_PASSWORD\n  value: {s}\n".encode(), "Content-Type: application/yaml"
    ),
    "block of YAML": lambda s: got(f"a:\n  password: |\n    {s}\n  b: 1\n".encode(), "Content-Type: application/yaml"),
    "netrc": lambda s: got(
        f"machine a.test\n  login ada\n  password {s.replace(' ', '')}\n".encode(), "Content-Type: text/plain"
    ),
    "npmrc": lambda s: got(f"//registry.test/:_authToken={s.replace(' ', '')}\n".encode(), "Content-Type: text/plain"),
    "user of a command": lambda s: got(
        js({"run": f"curl -X POST -u 'ada:{s.replace(' ', '')}' https://a.test/"}), JSON
    ),
    "password of a command": lambda s: got(
        js({"run": f"docker login -u ada -p '{s.replace(' ', '')}' && redis-cli -a '{s.replace(' ', '')}' ping"}), JSON
    ),
    "variable of a container": lambda s: got(js({"run": f"docker run --env PASSWORD='{s}' a"}), JSON),
    "property of C#": lambda s: got(
        f'public string Password {{ get; set; }} = "{s}";\n'.encode(), "Content-Type: text/plain"
    ),
    "patch of JSON": lambda s: sent("/a", JSON, body=js([{"op": "replace", "path": "/password", "value": s}])),
    "credentials of Keycloak": lambda s: sent(
        "/a", JSON, body=js({"type": "password", "value": s, "temporary": False})
    ),
    "JSON, percent-encoded": lambda s: got(
        f'JSON.parse(decodeURIComponent("{percent(js({"password": s}).decode())}"))'.encode(),
        "Content-Type: text/plain",
    ),
    "print_r of PHP": lambda s: got(f"Array\n(\n    [password] => {s}\n)\n".encode(), "Content-Type: text/plain"),
    "JSON of AWS Secrets Manager": lambda s: got(js({"SecretString": js({"password": s}).decode()}), JSON),
    "log with times": lambda s: got(f"2026-11-26T10:00:00.12Z API_TOKEN: {s}\n".encode(), "Content-Type: text/plain"),
    "Markdown": lambda s: got(f"- **Password**: `{s}`\n".encode(), "Content-Type: text/markdown"),
    "script in a page": lambda s: got(
        f"<script>window.apiKey = '{s}';</script>".encode(), "Content-Type: text/html; charset=utf-8"
    ),
    "name of a part, with its character set": lambda s: sent(
        "/a",
        MULTIPART,
        body=f"--B\r\nContent-Disposition: form-data; name*=UTF-8''pass%77ord\r\n\r\n{s}\r\n--B--\r\n".encode(),
    ),
    "part under gzip": lambda s: sent(
        "/a",
        MULTIPART,
        body=b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.gz"\r\n\r\n'
        + gzip.compress(js({"token": s}))
        + b"\r\n--B--\r\n",
    ),
    "MessagePack": lambda s: got(
        b"\x82\xa4user\xa3bob\xa8password\xda" + len(s.encode()).to_bytes(2, "big") + s.encode(),
        "Content-Type: application/msgpack",
    ),
    "CBOR": lambda s: got(
        b"\xa2\x64user\x63bob\x68password\x78" + bytes([len(s.encode())]) + s.encode(),
        "Content-Type: application/cbor",
    ),
    "hash of Ruby": lambda s: got(f'{{:user=>"a", :password=>"{s}"}}'.encode(), "Content-Type: text/plain"),
    "variable of PowerShell": lambda s: got(f'$env:API_KEY = "{s}"\n'.encode(), "Content-Type: text/plain"),
    "variables of a script": lambda s: got(f"const apiKey = '{s}', b = 2;\n".encode(), "Content-Type: text/javascript"),
    "sign of Chinese": lambda s: got(f"password\uff1a{s}\n".encode(), "Content-Type: text/plain; charset=utf-8"),
    "repr of Python": lambda s: got(repr({"password": s}).encode(), "Content-Type: text/plain"),
    "gzip": lambda s: got(gzip.compress(js({"token": s})), JSON, "Content-Encoding: gzip"),
    "gzip twice": lambda s: got(gzip.compress(gzip.compress(js({"token": s}))), JSON, "Content-Encoding: gzip, gzip"),
    "gzip, chunked": lambda s: got(
        chunks(gzip.compress(js({"token": s})), 7), JSON, "Content-Encoding: gzip", "Transfer-Encoding: chunked"
    ),
    "gzip, cut off": lambda s: track(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(js({"token": s, "pad": "x" * 50}))[:-9]
    ),
    "gzip that no field tells": lambda s: got(
        gzip.compress(js({"token": s})), "Content-Type: application/octet-stream"
    ),
    "gzip that is sent": lambda s: sent("/a", JSON, "Content-Encoding: gzip", body=gzip.compress(js({"password": s}))),
    "deflate": lambda s: got(zlib.compress(js({"token": s})), JSON, "Content-Encoding: deflate"),
    "br": lambda s: got(encoded(js({"token": s}), ["br"]), JSON, "Content-Encoding: br"),
    "zstd": lambda s: got(encoded(js({"token": s}), ["zstd"]), JSON, "Content-Encoding: zstd"),
    "chunk borders": lambda s: got(chunks(js({"token": s}), 3), JSON, "Transfer-Encoding: chunked"),
    "chunk extensions": lambda s: got(
        b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(js({"token": s})), js({"token": s})), JSON, "Transfer-Encoding: chunked"
    ),
    "chunked upload": lambda s: sent("/a", JSON, "Transfer-Encoding: chunked", body=chunks(js({"password": s}), 5)),
    "trailer": lambda s: got(f"2\r\nhi\r\n0\r\nX-Auth-Token: {s}\r\n\r\n".encode(), "Transfer-Encoding: chunked"),
    "interim response": lambda s: track(
        f"HTTP/1.1 103 Early Hints\r\nX-Api-Key: {s}\r\n\r\nHTTP/1.1 204 None\r\n\r\n".encode()
    ),
    "events, cut in pieces": lambda s: got(
        b'data: {"access_token": "' + s.encode() + b'"}\n\n', "Content-Type: text/event-stream", pieces=9
    ),
    "events, cut in chunks": lambda s: got(
        chunks(b'event: x\ndata: {"token": "' + s.encode() + b'"}\n\n', 11), "Transfer-Encoding: chunked", pieces=7
    ),
    "WebSocket": lambda s: track(SWITCH + frame(js({"type": "auth", "token": s}))),
    "WebSocket, in fragments": lambda s: track(
        SWITCH
        + frame(js({"type": "auth", "token": s})[:22], 0x01)
        + frame(b"are you there?", 0x89)
        + frame(js({"type": "auth", "token": s})[22:], 0x80)
    ),
    "extension of a chunk": lambda s: got(f'2;token="{s}"\r\nhi\r\n0\r\n\r\n'.encode(), "Transfer-Encoding: chunked"),
    "extension of the last chunk": lambda s: got(
        f'2\r\nhi\r\n0;a;api_key="{s}"\r\n\r\n'.encode(), "Transfer-Encoding: chunked"
    ),
    "behind a chunked message": lambda s: got(
        b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + js({"token": s}), "Transfer-Encoding: chunked"
    ),
    "behind a message": lambda s: track(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" + f"HTTP/1.1 200 OK\r\nX-Auth-Token: {s}\r\n\r\n".encode()
    ),
    "base64 of JSON in a field": lambda s: sent("/a", "X-Context: " + b64(js({"user": "bob", "token": s}))),
    "base64 of JSON in JSON": lambda s: got(js({"context": b64(js({"user": "bob", "secret": s}))}), JSON),
    "base64 of JSON in a query": lambda s: sent("/a?ctx=" + percent(b64(js({"user": "bobby", "api_key": s})))),
    "claim of a JWT": lambda s: got(
        js(
            {
                "doc": b64('{"alg":"none"}').rstrip("=")
                + "."
                + b64(js({"sub": "1", "client_secret": s})).rstrip("=")
                + "."
            }
        ),
        JSON,
    ),
    "CONNECT": lambda s: sent("api.example.com:443", "Proxy-Authorization: Basic " + b64("u:" + s), method="CONNECT"),
    "command in a text": lambda s: got(
        js({"run": f"curl -H 'Authorization: Bearer {s.replace(' ', '')}' https://x"}), JSON
    ),
    "response that is no HTTP": lambda s: track(f"NOT HTTP\r\nX-Api-Key: {s}\r\n\r\n".encode()),
    "response with bare LF": lambda s: track(f"HTTP/1.1 200 OK\nX-Api-Key: {s}\nContent-Length: 0\n\n".encode()),
    "folded field": lambda s: track(f"HTTP/1.1 200 OK\r\nX-Api-Key:\r\n {s}\r\nContent-Length: 0\r\n\r\n".encode()),
    "head that breaks off": lambda s: track(f"HTTP/1.1 200 OK\r\nSet-Cookie: sid={percent(s)}".encode()),
    "text of a failure": lambda s: failed(FailureKind.RESET, f"error at https://a/?token={percent(s)}"),
    "details of a failure": lambda s: failed(FailureKind.TLS, "x", reason=f"proxy https://u:{percent(s)}@p/"),
}


def without_frames(octets: bytes) -> bytes:
    """What the messages on an upgraded connection say, if their mask is one of zeros."""
    return re.sub(rb"[\x00-\x02\x80-\x8f](?:[\x80-\xfd]|\xfe..)\0{4}", b"", octets, flags=re.DOTALL)


def octets_to_read(interaction: Interaction) -> Iterator[bytes]:
    """All that could be decoded of an interaction."""
    octets = [yaml_format.dump_interaction(interaction), interaction.track.octets]
    messages = [interaction.request, interaction.response]
    octets += [part for one in messages if one is not None for part in (one.head_octets, one.body_octets, one.content)]
    for each in octets:
        yield each
        yield without_frames(each)
        yield each.replace(b"\0", b"")
        yield unescape(unescape(each.decode("latin-1"))).encode("latin-1", "replace")
        if (start := each.find(b"\x1f\x8b\x08")) >= 0 and (plain := decoded(each[start:], ["gzip"])) is not None:
            yield plain[0]
        for run in re.finditer(rb"[A-Za-z0-9+/_-]{16,}", each):
            text = run[0].translate(bytes.maketrans(b"-_", b"+/"))
            yield base64.b64decode(text[: len(text) // 4 * 4])


def spellings(secret: str) -> set[bytes]:
    texts = {secret, percent(secret), quote_plus(secret), json.dumps(secret)[1:-1], xml(secret)}
    return {text.encode() for text in texts}


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_left_in_its_place(place: str) -> None:
    if place in ("br", "zstd"):
        pytest.importorskip({"br": "brotli", "zstd": "backports.zstd"}[place], reason="the coding needs its library")
    for name, secret in SECRETS.items():
        redacted = Redactor().redact(PLACES[place](secret))
        for octets in octets_to_read(redacted):
            assert not any(spelling in octets for spelling in spellings(secret)), f"{name}: {octets[-200:]!r}"


ORDINARY = [
    pytest.param(got(b"password: must have 8 characters\ntoken: required\n", "Content-Type: text/plain"), id="prose"),
    pytest.param(got(js({"user_code": "E0042", "country_code": "NL"}), JSON), id="codes"),
    pytest.param(got(b"session: 2026-01-05T10:00Z\n", "Content-Type: text/plain"), id="date behind a name"),
    pytest.param(got(b"const f = (token: string) => { type: 'text' };", "Content-Type: text/javascript"), id="script"),
    pytest.param(got(b"<p>a: 'b'</p>", "Content-Type: text/html"), id="page"),
    pytest.param(got(gzip.compress(js({"id": 7})), "Content-Type: application/gzip"), id="file under gzip"),
    pytest.param(got(b"", 'WWW-Authenticate: Bearer realm="x", error="invalid_token"'), id="challenge"),
    pytest.param(got(b"", 'Content-Disposition: attachment; filename="token.txt"'), id="file name"),
    pytest.param(sent("/go?url=https://b.example.com/?page=2"), id="URL in a query"),
    pytest.param(
        got(js({"run": "curl -H 'Authorization: Bearer $TOKEN' https://x"}), JSON), id="variable in a command"
    ),
    pytest.param(
        got(js({"run": "curl -H 'Authorization: Bearer <token>' https://x"}), JSON), id="example in a command"
    ),
]


@pytest.mark.parametrize("interaction", ORDINARY)
def test_ordinary_data_comes_back_octet_by_octet(interaction: Interaction) -> None:
    assert Redactor().redact(interaction) is interaction
