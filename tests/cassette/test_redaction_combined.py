"""Secrets x places x codings x charsets x echoes, put together by a generator: none is left in what is written.

The other tests of redaction look at one rule, or one place. Here secrets are short, plain and odd, names change from
case to case, and what was found once comes back in a later message in some other spelling.
"""

from __future__ import annotations

import base64
import codecs
import csv
import gzip
import html
import io
import json
import quopri
import re
import string
import zlib
from collections.abc import Callable
from functools import cache, partial
from itertools import cycle
from urllib.parse import quote, quote_plus

import pytest

from cassette_http.cassette.decoding import encoded
from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.wire.chunking import chunk, last_chunk

ORIGIN = Origin("https", "api.test", 443)
GET = Request(ORIGIN, b"GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n")

SECRETS = {
    "word": "hunter",
    "mixed": "hunter2",
    "number": "12345",
    "two words": "correct horse",
    "many words": "correct horse battery staple",
    "random": "Zx8Qw3Rt7Yp2Lk9Mn4Vb6Cd1",
    "hex": "9f86d081884c7d659a2feaa0c55ad015",
    "odd": "p@ss/w0rd+5%&=",
    "quotes": "aB3\"cD4'eF5",
    "not ASCII": "pässwörd7",
}
SHORTEST_SEARCHED = 8
NAMES = (
    "password",
    "api_key",
    "clientSecret",
    "access_token",
    "DB_PASSWORD",
    "X-Api-Key",
    "secret",
    "private-key",
    "passwd",
)


def js(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def row(*cells: str, delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue()


def mail(text: str) -> str:
    """A mail whose text is quoted-printable (RFC 2045 section 6.7), so that lines may be broken in a value."""
    head = "Subject: Hello\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\n"
    lines = quopri.encodestring(text.encode(), quotetabs=False).decode()
    # Short lines, as the break should come within each secret.
    short = re.sub(r"(?m)((?:=[0-9A-F]{2}|[^=\n]){7})(?=[^\n])", r"\1=\n", lines.replace("=\n", ""))
    return head + short.replace("\n", "\r\n")


# How a name and its value are written in a text.
FORMS: dict[str, Callable[[str, str], str]] = {
    "line": lambda n, s: f"user: bob\n{n}: {s}\nport: 17\n",
    "line, alone": lambda n, s: f"{n}: {s}",
    "line, =": lambda n, s: f"user = bob\n{n} = {s}\nport = 17\n",
    "line, no blanks": lambda n, s: f"user=bob\r\n{n}={s}\r\nport=17\r\n",
    "line, =>": lambda n, s: f"user => bob\n{n} => {s}\n",
    "line, indented": lambda n, s: f"login:\n    user: bob\n    {n}: {s}\n",
    "line, list": lambda n, s: f"- user: bob\n- {n}: {s}\n",
    "line, quoted": lambda n, s: f'user: "bob"\n{n}: {js(s)}\n',
    "line, name in quotes": lambda n, s: f'"user": "bob"\n"{n}": {js(s)}\n',
    "line, comment": lambda n, s: f"# user: bob\n# {n}: {s}\n",
    "line, name of words": lambda n, s: f"User Name: bob\nClient Secret: {s}\n",
    "export": lambda n, s: f"export USER=bob\nexport {n.upper().replace('-', '_')}={js(s)}\n",
    "ini": lambda n, s: f"[login]\nuser=bob\n{n}={s}\n",
    "toml": lambda n, s: f'[login]\nuser = "bob"\n{n} = {js(s)}\n',
    "CSV": lambda n, s: row("id", n, "note") + row("1", s, "x") + row("2", "", "y"),
    "CSV, last": lambda n, s: row("id", "user", n) + row("1", "bob", s),
    "CSV, semicolons": lambda n, s: row("id", n, "note", delimiter=";") + row("1", s, "x", delimiter=";"),
    "TSV": lambda n, s: row("id", n, "note", delimiter="\t") + row("1", s, "x", delimiter="\t"),
    "JSON": lambda n, s: js({"user": "bob", n: s}),
    "JSON, ASCII": lambda n, s: json.dumps({"user": "bob", n: s}),
    "JSON, indented": lambda n, s: json.dumps({"user": "bob", "a": [{n: s}]}, indent=2),
    "JSON, list of one": lambda n, s: js({n: [s]}),
    "JSON, object": lambda n, s: js({n: {"value": s}}),
    "JSON, list of two": lambda n, s: js({"headers": [["Accept", "*/*"], [n, s]]}),
    "JSON, flat list of two": lambda n, s: js([n, s]),
    "JSON, record": lambda n, s: js([{"name": "user", "value": "bob"}, {"name": n, "value": s}]),
    "JSON, key": lambda n, s: js([{"key": n, "value": s}]),
    "JSON, turned record": lambda n, s: js([{"value": s, "name": n}]),
    "JSON, capital record": lambda n, s: js({"Parameters": [{"Name": n, "Type": "String", "Value": s}]}),
    "JSON in JSON": lambda n, s: js({"body": js({n: s})}),
    "JSON in JSON in JSON": lambda n, s: js({"x": js({"body": js({n: s})})}),
    "record in JSON in JSON": lambda n, s: js({"body": js([{"name": n, "value": s}])}),
    "turned record in JSON in JSON": lambda n, s: js({"body": js([{"value": s, "name": n}])}),
    "list of two in JSON in JSON": lambda n, s: js({"body": js([[n, s]])}),
    "line in JSON": lambda n, s: js({"text": f"user: bob\n{n}: {s}\nport: 17"}),
    "string of JSON": lambda n, s: js({"env": ["USER=bob", f"{n}={s}"]}),
    "string of JSON, colon": lambda n, s: js({"headers": ["Accept: */*", f"{n}: {s}"]}),
    "JSONP": lambda n, s: f"callback({js({n: s})});",
    "JSON lines": lambda n, s: js({"id": 1}) + "\n" + js({n: s}) + "\n",
    "events": lambda n, s: f"event: a\ndata: {js({n: s})}\n\n",
    "events, text": lambda n, s: f"event: a\ndata: {n}={quote(s)}\n\n",
    "Python": lambda n, s: repr({"user": "bob", n: s}),
    "Ruby": lambda n, s: "{" + f'"user" => "bob", "{n}" => {js(s)}' + "}",
    "log": lambda n, s: f"2026-11-26T10:00:00Z INFO login user=bob {n}={js(s) if ' ' in s or chr(34) in s else s} ok\n",
    "log, quoted": lambda n, s: f'time="2026-11-26" level=info {n}={js(s)} msg="login"\n',
    "query in a text": lambda n, s: f"GET https://a.test/x?{n}={quote(s, safe='')}&page=2 gave 404",
    "fragment": lambda n, s: f"see https://a.test/x#{n}={quote(s, safe='')}&page=2",
    "form": lambda n, s: f"user=bob&{n}={quote_plus(s)}&page=2",
    "form, in brackets": lambda n, s: f"user[name]=bob&user[{n}]={quote_plus(s)}",
    "form, all encoded": lambda n, s: f"user=bob&{n}=" + "".join(f"%{octet:02X}" for octet in s.encode()),
    "URL in a query": lambda n, s: (
        "https://a.test/?next=" + quote(f"https://b.test/?{n}={quote(s, safe='')}&x=1", safe="")
    ),
    "JSON in a query": lambda n, s: "https://a.test/?q=" + quote(json.dumps({n: s}), safe=""),
    "XML": lambda n, s: f"<a><user>bob</user><{n}>{html.escape(s, quote=False)}</{n}></a>",
    "XML, attribute": lambda n, s: f'<a user="bob" {n}="{html.escape(s)}"/>',
    "XML, name and value": lambda n, s: f'<property name="{n}" value="{html.escape(s)}"/>',
    "XML, key": lambda n, s: f'<add key="{n}" value="{html.escape(s)}"/>',
    "XML, named element": lambda n, s: f'<a><param name="{n}">{html.escape(s, quote=False)}</param></a>',
    "XML, member": lambda n, s: (
        f"<member><name>{n}</name><value><string>{html.escape(s, quote=False)}</string></value></member>"
    ),
    "property list": lambda n, s: f"<dict><key>{n}</key><string>{html.escape(s, quote=False)}</string></dict>",
    "CDATA": lambda n, s: f"<a><{n}><![CDATA[{s}]]></{n}></a>",
    "comment of XML": lambda n, s: f"<a><!-- {n}: {s} --></a>",
    "HTML input": lambda n, s: f'<form><input type="hidden" name="{n}" value="{html.escape(s)}"></form>',
    "HTML input, turned": lambda n, s: f"<form><input value='{html.escape(s)}' name='{n}' type='hidden'></form>",
    "HTML textarea": lambda n, s: f'<form><textarea name="{n}">{html.escape(s, quote=False)}</textarea></form>',
    "HTML data": lambda n, s: f'<div data-{n.lower()}="{html.escape(s)}"></div>',
    "HTML, JSON in an attribute": lambda n, s: f'<div data-props="{html.escape(js({"a": {n: s}}))}"></div>',
    "HTML, script": lambda n, s: f"<script>window.x = {js({n: s})};</script>",
    "HTML, link": lambda n, s: f'<a href="/x?page=2&amp;{n}={quote(s, safe="")}">next</a>',
    "command": lambda n, s: f"login --user bob --{n.lower()}={js(s)} --port 17",
    "option, alone": lambda n, s: f"--{n.lower()} {js(s)}",
    "options in JSON": lambda n, s: js({"args": ["--user", "bob", f"--{n.lower()}", s]}),
    "subscript": lambda n, s: f"$config['user'] = 'bob';\n$config['{n}'] = {js(s)};\n",
    "script, whole": lambda n, s: f"{{user: 'bob', apiKey: `{s}`}}",
    "JSON, short record": lambda n, s: js([{"k": n, "v": s}]),
    "bytes of Python": lambda n, s: "{'user': b'bob', '" + n + "': b" + repr(s) + "}",
    "within a sentence": lambda n, s: f"user: bob, {n}: {s}, port: 17",
    "HTML input, bare": lambda n, s: (
        f"<input name={n} value={html.escape(s) if s.isalnum() else repr(html.escape(s))}>"
    ),
    "HTML input, of the kind": lambda n, s: f'<form><input type="password" value="{html.escape(s)}"></form>',
    "toml, name in quotes": lambda n, s: f'[login]\n"user" = "bob"\n"{n}" = {js(s)}\n',
    "SQL": lambda n, s: f'UPDATE u SET "user" = \'bob\', "{n}" = {js(s)} WHERE "id" = 17;',
    "JSON text sequence": lambda n, s: f'\x1e{{"id": 1}}\n\x1e{js({n: s})}\n',
    "mail": lambda n, s: mail(f"user: bob\n{n}: {s}\n"),
    "two mails": lambda n, s: mail("user: bob\nx = y\n") + "\r\n" + mail(f"{n}: {s}\n"),
    "mail in JSON": lambda n, s: js({"mail": mail(f'<a href="/reset?{n}={quote(s, safe="")}">{"new " * 16}</a>')}),
    "mail in base64": lambda n, s: js({"raw": base64.urlsafe_b64encode(mail(f"{n}: {s}\n").encode()).decode()}),
    "hexadecimal digits": lambda n, s: js({"x": js({n: s}).encode().hex()}),
    "connection string, first": lambda n, s: f"Password={s.replace(';', '')};User Id=bob;Server=db.test;Port=17",
    "connection string": lambda n, s: f"Server=db.test;User Id=bob;Password={s.replace(';', '')};Port=17",
}


def written(text: str) -> set[str]:
    """How a secret may be spelled in a text."""
    escaped = {json.dumps(text)[1:-1], js(text)[1:-1]}
    for _ in range(2):
        escaped |= {js(each)[1:-1] for each in escaped}
    return {
        *(text, quote(text), quote(text, safe=""), quote_plus(text), quote(quote(text, safe=""), safe="")),
        *(html.escape(text), html.escape(text, quote=False), html.escape(js(text))[6:-6], row(text).strip('\n"')),
        *escaped,
        "".join(f"%{octet:02X}" for octet in text.encode()),
    }


def got(body: bytes, *fields: str) -> Interaction:
    head = "\r\n".join(["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]).encode()
    return Interaction(ORIGIN, GET, Track((Piece(head + body),)))


def sent(body: bytes, *fields: str) -> Interaction:
    head = "\r\n".join(["POST /a HTTP/1.1", "Host: api.test", *fields, f"Content-Length: {len(body)}", "", ""]).encode()
    return Interaction(ORIGIN, Request(ORIGIN, head, body), Track((Piece(b"HTTP/1.1 204 No Content\r\n\r\n"),)))


def content(interaction: Interaction) -> bytes:
    request, response = interaction.request, interaction.response
    assert request is not None
    assert response is not None
    return request.content + response.content


def all_of(interaction: Interaction) -> bytes:
    assert interaction.request is not None
    octets = interaction.request.head_octets + interaction.request.body_octets + interaction.track.octets
    return octets + content(interaction)


@cache
def cases() -> list[tuple[str, str, str]]:
    """Each form with each secret, and names in turn."""
    names = cycle(NAMES)
    return [(form, next(names), kind) for form in FORMS for kind in SECRETS]


def leaks_of(check: Callable[[str, str, str], bool]) -> list[str]:
    return [f"{form}, {name}, {kind}" for form, name, kind in cases() if check(form, name, kind)]


@pytest.mark.parametrize("make", [got, sent])
@pytest.mark.parametrize("fields", [(), ("Content-Type: text/plain",)], ids=["no type", "plain"])
def test_no_secret_is_left_in_any_form(make: Callable[..., Interaction], fields: tuple[str, ...]) -> None:
    def leaks(form: str, name: str, kind: str) -> bool:
        body = FORMS[form](name, SECRETS[kind]).encode()
        redactor = Redactor()
        redacted = all_of(redactor.redact(make(body, *fields)))
        # A part that is left would be as bad, and then the whole would not be known again.
        if len(SECRETS[kind]) >= SHORTEST_SEARCHED:
            redacted += content(redactor.redact(got(js({"echo": SECRETS[kind]}).encode())))
        return any(spelling.encode() in redacted for spelling in written(SECRETS[kind]))

    assert leaks_of(leaks) == []


# -- codings and character sets ------------------------------------------------------------------------------

FEW = ("line", "JSON", "JSON in JSON", "JSON, record", "form", "XML", "HTML input", "CSV", "log", "URL in a query")
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: encoded(body, ["br"]),
    "zstd": lambda body: encoded(body, ["zstd"]),
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
}


def chunked(body: bytes, size: int) -> bytes:
    return b"".join(chunk(body[at : at + size]) for at in range(0, len(body), size)) + last_chunk()


def framed(body: bytes, coding: str, size: int) -> Interaction:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return Interaction(ORIGIN, GET, Track((Piece(head + chunked(CODINGS[coding](body), size)),)))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("form", FEW)
def test_no_secret_is_left_under_a_coding(form: str, coding: str) -> None:
    if coding in ("br", "zstd"):
        pytest.importorskip({"br": "brotli", "zstd": "backports.zstd"}[coding], reason="the coding needs its library")
    for (kind, secret), name, size in zip(SECRETS.items(), cycle(NAMES), cycle((1, 7, 4096)), strict=False):
        body = FORMS[form](name, secret).encode()
        sent_in_codings = sent(CODINGS[coding](body), f"Content-Encoding: {coding}")
        for interaction in (framed(body, coding, size), sent_in_codings):
            redacted = content(Redactor().redact(interaction))
            plain = Interaction(ORIGIN, GET, Track((Piece(b"HTTP/1.1 200 OK\r\n\r\n" + redacted),)))
            assert not any(each.encode() in all_of(plain) for each in written(secret)), kind


def all_charsets() -> list[str]:
    """Every character set of texts that Python knows, and that can write what the tests write."""
    import encodings.aliases

    names = set()
    for name in sorted(set(encodings.aliases.aliases.values())):
        try:
            if not codecs.lookup(name)._is_text_encoding:
                continue
            if string.printable.encode(name).decode(name) == string.printable:
                names.add(name)
        except (LookupError, UnicodeError):
            continue
    return sorted(names - {"idna", "punycode", "mbcs", "oem", "unicode_escape", "raw_unicode_escape", "undefined"})


@pytest.mark.parametrize("charset", all_charsets())
def test_no_secret_is_left_in_a_declared_charset(charset: str) -> None:
    for form in ("line", "JSON in JSON", "form", "XML"):
        for (kind, secret), name in zip(SECRETS.items(), cycle(NAMES), strict=False):
            text = FORMS[form](name, secret) + "ü ж 日"
            octets = text.encode(charset, "ignore")
            if octets.decode(charset, "ignore").encode(charset, "ignore") != octets:
                continue  # it has more than one way to write this
            redactor = Redactor()
            first = redactor.redact(got(octets, f"Content-Type: text/plain; charset={charset}"))
            assert first.response is not None
            shown = first.response.content.decode(charset)
            kept = secret.encode(charset, "ignore").decode(charset)
            assert not any(each in shown for each in written(kept)), (form, kind, shown)
            head = first.response.head_octets.decode()
            assert f"Content-Length: {len(first.response.content)}\r\n" in head
            if len(kept) >= 8 and kept == secret:
                echo = redactor.redact(got(js({"echo": secret}).encode()))
                assert not any(each.encode() in content(echo) for each in written(secret)), (form, kind)


@pytest.mark.parametrize(
    "charset",
    ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1", "cp1252", "shift_jis"],
)
def test_no_secret_is_left_in_a_charset_that_is_not_declared(charset: str) -> None:
    for form in FEW:
        for (kind, secret), name in zip(SECRETS.items(), cycle(NAMES), strict=False):
            if kind == "not ASCII" and charset == "shift_jis":
                continue
            octets = FORMS[form](name, secret).encode(charset) + "日本語".encode(charset, "ignore")
            redacted = content(Redactor().redact(got(octets)))
            assert not any(each.encode(charset, "ignore") in redacted for each in written(secret)), (form, kind)
            assert not any(each.encode(charset, "ignore")[2:] in redacted for each in written(secret)), (form, kind)


# -- echoes --------------------------------------------------------------------------------------------------


def base64_of(text: str, encode: Callable[[bytes], bytes] = base64.b64encode, before: str = "") -> str:
    return encode((before + text).encode()).decode()


def every(text: str, form: str) -> str:
    return "".join(form.format(octet) for octet in text.encode())


ECHOES: dict[str, Callable[[str], str]] = {
    "plain": lambda s: f"you sent {s}, thank you",
    "percent": lambda s: f"/x?q={quote(s, safe='')}",
    "percent, small": lambda s: f"/x?q={quote(s, safe='').lower()}" if s.islower() else quote(s, safe=""),
    "percent, plus": quote_plus,
    "percent, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "percent, every octet": lambda s: every(s, "%{:02X}"),
    "percent, every octet, small": lambda s: every(s, "%{:02x}"),
    "JSON": lambda s: json.dumps({"x": s}),
    "JSON, UTF-8": lambda s: js({"x": s}),
    "JSON, slashes": lambda s: json.dumps({"x": s}).replace("/", "\\/"),
    "JSON in JSON": lambda s: json.dumps({"x": json.dumps({"y": s})}),
    "JSON in JSON in JSON": lambda s: json.dumps({"x": json.dumps({"y": json.dumps({"z": s})})}),
    "JSON, every character": lambda s: "".join(f"\\u{ord(character):04x}" for character in s),
    "JSON, every character, large": lambda s: "".join(f"\\u{ord(character):04X}" for character in s),
    "XML": lambda s: f"<a>{html.escape(s, quote=False)}</a>",
    "HTML": lambda s: f'<a b="{html.escape(s)}">',
    "HTML in JSON": lambda s: json.dumps({"x": html.escape(s)}),
    "HTML, every character": lambda s: "".join(f"&#{ord(character)};" for character in s),
    "HTML, every character, hex": lambda s: "".join(f"&#x{ord(character):x};" for character in s),
    "hex": lambda s: s.encode().hex(),
    "hex, large": lambda s: s.encode().hex().upper(),
    "hex in a text": lambda s: "ab" + ("x=" + s).encode().hex() + "cd",
    "escapes of C": lambda s: every(s, "\\x{:02x}"),
    **{
        f"base64, {name}, {len(before)} in front": partial(base64_of, encode=encode, before=before)
        for name, encode in {"standard": base64.b64encode, "of URLs": base64.urlsafe_b64encode}.items()
        for before in ("", "a", "ab")
    },
    "base64, no padding": lambda s: base64_of(s).rstrip("="),
    "base64 of base64": lambda s: base64_of(base64_of(s)),
    "base64 of JSON": lambda s: base64_of(json.dumps({"x": s})),
    "base64, percent-encoded": lambda s: quote(base64_of(s + "!"), safe=""),
    "base32": lambda s: base64.b32encode(f"token={s}".encode()).decode(),
    "base32, no padding": lambda s: base64.b32encode(f"token={s}".encode()).decode().rstrip("="),
    "gzip in base64": lambda s: base64.b64encode(gzip.compress(s.encode())).decode(),
    "gzip in base64 of URLs": lambda s: base64.urlsafe_b64encode(gzip.compress(s.encode())).decode().rstrip("="),
    "octal escapes": lambda s: every(s, "\\{:03o}"),
    "word of a mail": lambda s: f"=?utf-8?Q?{every(s, '={:02X}')}?=",
    "string of a shell": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "string of a database": lambda s: "'" + s.replace("'", "''") + "'",
    "octets of Python": lambda s: repr(s.encode()),
    "JSON, percent-encoded": lambda s: quote(json.dumps({"x": s})),
    "escapes of C, in JSON": lambda s: json.dumps({"x": every(s, "\\x{:02x}")}),
    "escapes of JavaScript, in JSON": lambda s: json.dumps({"x": "".join(f"\\u{ord(each):04x}" for each in s)}),
    "data URL": lambda s: f"data:text/plain;base64,{base64_of(s)}",
    "quoted-printable": lambda s: quopri.encodestring(s.encode()).decode(),
    "Latin-1": lambda s: s.encode("latin-1").decode("latin-1"),
}
ECHOED = {kind: secret for kind, secret in SECRETS.items() if len(secret) >= SHORTEST_SEARCHED}


def seen_in(text: str, echo: str, secret: str) -> bool:
    """Tell whether an echo, or a part of it that nobody would miss, is still there."""
    core = ECHOES[echo](secret)[3:-3] if "base64" in echo or echo == "data URL" else ECHOES[echo](secret)
    return core in text or secret in text


@pytest.mark.parametrize("echo", ECHOES)
def test_no_secret_comes_back_in_another_spelling(echo: str) -> None:
    for kind, secret in ECHOED.items():
        spelled, charset = ECHOES[echo](secret), "latin-1" if echo == "Latin-1" else "utf-8"
        body = spelled.encode(charset)
        redactor = Redactor()
        redactor.redact(sent(js({"password": secret}).encode()))
        messages = [got(body), sent(body), got(gzip.compress(body), "Content-Encoding: gzip")]
        messages += [got(b"", f"X-Echo: {spelled}")] if "\n" not in spelled and spelled.isascii() else []
        for message in messages:
            redacted = redactor.redact(message)
            texts = content(redacted) + redacted.track.octets
            assert not seen_in(texts.decode(charset, "replace"), echo, secret), kind
