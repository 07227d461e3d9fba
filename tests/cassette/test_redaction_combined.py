"""Secrets x places x codings x charsets x echoes, put together by a generator: none is left in what is written.

The other tests of redaction look at one rule, or one place. Here secrets are short, plain and odd, names change from
case to case, and what was found once comes back in a later message in some other spelling.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable
from functools import cache
from itertools import cycle
from urllib.parse import quote, quote_plus

import pytest

from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.redaction import Redactor

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
        redacted = all_of(Redactor().redact(make(body, *fields)))
        return any(spelling.encode() in redacted for spelling in written(SECRETS[kind]))

    assert leaks_of(leaks) == []
