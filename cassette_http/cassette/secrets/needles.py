"""The forms in which a secret may occur again: plain, percent-encoded, escaped, in base64, or in part (pure)."""

from __future__ import annotations

import json
import re
from binascii import b2a_qp
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import NamedTuple
from urllib.parse import quote, quote_from_bytes, quote_plus

from cassette_http.cassette.secrets.base64_text import in_base64
from cassette_http.cassette.secrets.names import looks_random

_SHORTEST_SEARCHED = 8  # shorter ones would be found by chance
_LONGEST_SEARCHED = 1 << 16  # the forms of one of some MiB would take hundreds of MiB
_SHORTEST_BEGINNING = 16

JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{7,}(?:\.[A-Za-z0-9_-]*){2,4}")
_QUOTED_IN_PART = re.compile(rb"[A-Za-z0-9_-]+")
_ESCAPE = re.compile("%[0-9A-F]{2}")
_UNRESERVED = re.compile(rb"[A-Za-z0-9_.-]+")  # the same when percent-encoded (RFC 3986 section 2.3)

# They may be secrets, but replacing them everywhere would destroy the names in JSON and forms.
_NOT_SEARCHED = frozenset({b"password", b"username", b"x-oauth-basic", b"disabled", b"authorization"})
# Sent by tests in order to be refused; the answer uses the same words (RFC 6750 section 3.1).
_REFUSED = re.compile(
    rb"(?:invalid|expired|incorrect|wrong|bad|revoked|unknown)[ _-](?:[a-z]+[ _-])?"
    rb"(?:token|password|key|secret|credentials?|grant|client|request|code|session|signature)",
    re.IGNORECASE,
)


def is_searchable(secret: bytes) -> bool:
    if not _SHORTEST_SEARCHED <= len(secret) <= _LONGEST_SEARCHED or secret.lower() in _NOT_SEARCHED:
        return False
    if _REFUSED.fullmatch(secret):
        return False
    # Short numbers are dates, times and ids, which must not be changed.
    return not (secret.isdigit() and len(secret) < 16)


class Needle(NamedTuple):
    """One form of a secret.

    For base64, the octets are the inner characters of every text that contains the secret there, and `alignment` is
    their position modulo 4. `is_beginning`: the first octets, as an error message may quote them.
    """

    octets: bytes
    secret: bytes
    is_quoted: bool = False
    alignment: int | None = None
    is_beginning: bool = False


# Cached, as the secrets of the environment are needed for each cassette of a test run.
@lru_cache(maxsize=128)
def all_needles(secret: bytes) -> tuple[Needle, ...]:
    return tuple(_needles(secret))


def plain_needles(secret: bytes) -> Iterator[Needle]:
    """The most frequent forms: plain, percent-encoded, and in JSON."""
    yield Needle(secret, secret)
    if _UNRESERVED.fullmatch(secret):
        return
    forms = {quote_plus(secret).encode(): True, quote_from_bytes(secret, safe="").encode(): True}
    forms[json.dumps(secret.decode("utf-8", "replace"))[1:-1].encode()] = False
    for octets, is_quoted in forms.items():
        if octets != secret:
            yield Needle(octets, secret, is_quoted=is_quoted)


def _needles(secret: bytes) -> Iterator[Needle]:
    """All forms that differ from each other, the plain form first.

    Texts that consist of escapes, or base64 in base64, are decoded elsewhere, and searched as plain text.
    """
    yield Needle(secret, secret)
    text = secret.decode("utf-8", "replace")
    is_plain = _UNRESERVED.fullmatch(secret) is not None
    others = {b2a_qp(secret).replace(b"=\n", b"")}
    if not is_plain:
        percent = {quote_plus(secret), quote_from_bytes(secret, safe=""), quote_from_bytes(secret)}
        percent |= {quote(each, safe="") for each in percent} | {quote(json.dumps(text)[1:-1], safe="")}
        for form in percent:
            for spelled in {form, _ESCAPE.sub(lambda found: found[0].lower(), form)} - {text}:
                yield Needle(spelled.encode(), secret, is_quoted=True)
        others |= _escaped(text) | _in_other_sets(secret)
    for octets in others - {secret}:
        yield Needle(octets, secret)
    if len(secret) < _SHORTEST_SEARCHED:
        return
    for digits in (secret.hex(), secret.hex().upper()):
        yield Needle(digits.encode(), secret)
    cores = in_base64(secret) if is_plain else {**in_base64(json.dumps(text)[1:-1].encode()), **in_base64(secret)}
    for core, alignment in cores.items():
        yield Needle(core, secret, alignment=alignment)
    # A beginning of words or of a general prefix says nothing; the beginning of a JWT is its head.
    if _QUOTED_IN_PART.fullmatch(secret) and len(secret) >= _SHORTEST_BEGINNING + 8 and not JWT.fullmatch(secret):
        beginning = secret[:_SHORTEST_BEGINNING]
        if looks_random(beginning.decode()):
            yield Needle(beginning, secret, is_beginning=True)


# Characters that Go and .NET escape in JSON, and others do not.
_OF_GO = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})
_OF_DOTNET = str.maketrans({sign: f"\\u{ord(sign):04X}" for sign in "<>&+'`"})


def _escaped(text: str) -> set[bytes]:
    """A text with escapes: of JSON (also strings in strings), XML and HTML, programs, mails."""
    once = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    once |= {each.replace("/", "\\/") for each in once}
    twice = {json.dumps(each)[1:-1] for each in once}
    once |= {each.translate(_OF_GO) for each in once}
    once.add(json.dumps(text)[1:-1].replace('\\"', "\\u0022").translate(_OF_DOTNET))
    markup = {
        escape(text, quote=False),
        escape(text),
        escape(text).replace("&#x27;", "&#39;"),
        escape(text).replace("&#x27;", "&apos;"),
    }
    # As shells, databases and programs quote it.
    quoted = {text.replace("'", each) for each in ("''", "\\'", "'\\''")} | {text.replace("/", "\\/")}
    quoted |= {repr(text)[1:-1], repr(text.encode("utf-8", "surrogatepass"))[2:-1]}
    in_json = {json.dumps(each)[1:-1] for each in twice | markup | quoted}
    forms = once | twice | in_json | markup | quoted
    return {form.encode("utf-8", "surrogatepass") for form in forms - {text}}


def _in_other_sets(secret: bytes) -> set[bytes]:
    """Text that is not ASCII: in UTF-8 if it was in an older set, and the other way round."""
    if secret.isascii():
        return set()
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return {secret.decode("cp1252", "replace").encode()}
    # Only in sets that have all its characters.
    return {text.encode(name) for name in ("latin-1", "cp1252") if text.encode(name, "ignore").decode(name) == text}
