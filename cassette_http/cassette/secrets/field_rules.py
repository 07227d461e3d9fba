"""Secrets in the fields of a head or a trailer section, by the names of the fields (pure)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator
from typing import TypeAlias

from cassette_http.cassette.secrets.names import NameKind, looks_random
from cassette_http.cassette.secrets.rules import Rules
from cassette_http.cassette.secrets.vault import Vault
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern

Rule: TypeAlias = Callable[[bytes, Vault], bytes]
"""Takes the value of a field, and returns it with its secrets hidden in the vault."""

# A name has no space, so start lines are not fields. The value includes stray CRs and continuation lines.
_FIELD = to_pattern(rb"^([^: \t\r\n]+)[ \t]*+:[ \t]*+([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)


def field_edits(head: bytes, rules: Rules, vault: Vault) -> list[Edit]:
    """Hide values that are secret according to the names of their fields."""
    edits: list[Edit] = []
    rule_of: dict[bytes, Rule | None] = {}  # a head may have a million lines of a few names
    for line in _FIELD.finditer(head):
        if line[1] not in rule_of:
            rule_of[line[1]] = _FIELD_RULES.get(rules.kind("fields", line[1]))
        rule = rule_of[line[1]]
        if rule is None and b'="' in line[2]:
            edits += _parameter_edits(line, rules, vault)
        elif rule is not None:
            value = line[2].rstrip(b" \t\r")
            hidden = rule(value, vault)
            if hidden != value:
                edits.append(Edit(line.start(2), line.start(2) + len(value), hidden))
    return edits


def _parameter_edits(line: re.Match[bytes], rules: Rules, vault: Vault) -> Iterator[Edit]:
    """Hide parameters with secret names in other fields, as in Authentication-Info (RFC 9110 section 11.6.3)."""
    for parameter in _PARAMETER.finditer(line[2]):
        if rules.kind("fields", parameter[1]) in (NameKind.AMBIGUOUS, NameKind.SECRET, NameKind.PASSWORD):
            hidden = vault.hide(parameter[2])
            if hidden != parameter[2]:
                start, stop = parameter.span(2)
                yield Edit(line.start(2) + start, line.start(2) + stop, hidden)


_PARAMETER = to_pattern(rb'(?:^|[ \t;,])([\w.-]{2,60})="([^"\r\n]+)"')


# -- Authorization -------------------------------------------------------------------------------------------

_SCHEME = to_pattern(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(?=[^ \t])")
_SCHEME_ALONE = to_pattern(rb"[A-Za-z]{3,12}[ ]+")  # of a program that adds the rest: "Token " + token
_BARE_SCHEMES = frozenset({b"basic", b"bearer", b"digest", b"negotiate", b"ntlm"})


def redact_credentials(value: bytes, vault: Vault) -> bytes:
    """Authorization: the scheme stays (RFC 9110 section 11.4), and Basic stays base64 of a pair."""
    scheme = _SCHEME.match(value)
    if scheme is None:
        is_bare = value.lower() in _BARE_SCHEMES or _SCHEME_ALONE.fullmatch(value) is not None
        return value if is_bare else vault.hide(value)
    credentials = value[scheme.end() :]
    if scheme[1].lower() == b"basic":
        return scheme[0] + redact_basic(credentials, vault)
    return scheme[0] + vault.hide(credentials)


def redact_basic(credentials: bytes, vault: Vault) -> bytes:
    """Base64 of user name and password."""
    try:
        pair = _BASIC_PAIR.fullmatch(b64decode(credentials, validate=True))
    except NotBase64:
        pair = None
    if pair is None:
        return vault.hide(credentials)
    user, password = pair.groups()
    # Without a real password the user name is the secret, as with many API keys. Otherwise it is hidden only here,
    # because names are part of too many contents.
    user = vault.hide(user, is_searched=password.lower() in _NO_PASSWORDS)
    return b64encode(user + b":" + vault.hide(password))


# The user name has no colon (RFC 7617 section 2), but a placeholder has.
_BASIC_PAIR = to_pattern(rb"(\{\{secret:[A-Za-z0-9_.-]+\}\}|[^:]*):(.*)", re.DOTALL)
_NO_PASSWORDS = frozenset({b"", b"x", b"api_token", b"x-oauth-basic"})

# -- cookies -------------------------------------------------------------------------------------------------

_COOKIE = to_pattern(rb"([^=]*+)(?:(=[ \t]*\"?)([^\"]*+))?+")
_MAY_BE_NAMELESS = to_pattern(rb"(?=\S*[0-9])(?!https?:)[^\s,\"]{8,}")
_SECRET_COOKIE = to_pattern(
    rb"sess|token|auth(?!or(?!iz))|csrf|xsrf|jwt|secret|passw|pwd|api.?key|private|credential|sid\b|\bsid|_sid",
    re.IGNORECASE,
)


def _cookies(value: bytes, vault: Vault) -> bytes:
    """Cookie: all values except plainly ordinary ones (RFC 6265 section 4.2.1)."""
    return b";".join([_cookie(each, vault) for each in value.split(b";")])


def _set_cookie(value: bytes, vault: Vault) -> bytes:
    """Set-Cookie: the value; the attributes after it stay (RFC 6265 section 4.1.1)."""
    cookie, semicolon, attributes = value.partition(b";")
    return _cookie(cookie, vault) + semicolon + attributes


def _cookie(cookie: bytes, vault: Vault) -> bytes:
    parts = _COOKIE.match(cookie)
    assert parts is not None  # it may be empty
    name, equals, value = parts.groups()
    if equals is None:  # browsers send a value without a name like this
        value = name.strip()
        return cookie.replace(value, vault.hide(value)) if _MAY_BE_NAMELESS.fullmatch(value) else cookie
    text = value.rstrip(b" \t")
    is_ordinary = len(text) < 8 or (text.isalpha() and text.islower())
    if is_ordinary and not _SECRET_COOKIE.search(name):
        return cookie
    return name + equals + vault.hide(text) + value[len(text) :] + cookie[parts.end() :]


# -- the rest ------------------------------------------------------------------------------------------------


def _whole_value(value: bytes, vault: Vault) -> bytes:
    return vault.hide(value)


# Of a list (RFC 9110 section 5.6.1), as in "Sec-WebSocket-Protocol: graphql, TOKEN".
_MEMBER = to_pattern(rb"[^\s,][^\r\n,]*")


def _random_members(value: bytes, vault: Vault) -> bytes:
    return _MEMBER.sub(lambda each: vault.hide(each[0]) if looks_random(each[0].decode("latin-1")) else each[0], value)


_CODE = to_pattern(rb"[0-9]{4,10}")  # as it is sent to a telephone


def _code(value: bytes, vault: Vault) -> bytes:
    return vault.hide(value) if _CODE.fullmatch(value) or looks_random(value.decode("latin-1")) else value


COOKIE_RULES: dict[NameKind, Rule] = {NameKind.COOKIE: _cookies, NameKind.SET_COOKIE: _set_cookie}
_FIELD_RULES: dict[NameKind, Rule] = {
    NameKind.WEAK: _random_members,
    NameKind.CODE: _code,
    NameKind.AMBIGUOUS: _whole_value,
    NameKind.SECRET: _whole_value,
    NameKind.PASSWORD: _whole_value,
    NameKind.CREDENTIALS: redact_credentials,
    **COOKIE_RULES,
}
