"""Secrets that are known from the start: in environment variables, and in a netrc file (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from cassette_http.cassette.secrets.hiding import is_secret_value
from cassette_http.cassette.secrets.names import SIMPLE_WORD, NameKind
from cassette_http.cassette.secrets.pairs import USERINFO
from cassette_http.cassette.secrets.rules import Rules

_IS_SESSION = re.compile("session", re.IGNORECASE)  # a session of a desktop
_FOLDERS = frozenset({"PWD", "OLDPWD"})  # set by each shell: the current and the previous working directory
_NETRC_PASSWORD = re.compile(r'\bpassword\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))')


# Most variables are the same for each cassette of a test run; but pytest has the name of the test in one.
@lru_cache(maxsize=1024)
def secrets_of_variable(rules: Rules, name: str, value: str) -> tuple[bytes, ...]:
    """The secrets in an environment variable: its value if the name is telling, and the passwords of URLs."""
    octets = value.encode("utf-8", "surrogateescape")
    kind = rules.kind("environment", name.encode("utf-8", "surrogateescape"))
    found = [unquote_to_bytes(url["password"] or b"") for url in USERINFO.finditer(octets)]
    # No simple words: a password "postgres" would replace this word in every text.
    is_other = _IS_SESSION.search(name) is not None or (name in _FOLDERS and value.startswith("/"))
    if kind is not NameKind.ORDINARY and not is_other and is_secret_value(kind, octets):
        found.insert(0, octets)
    return tuple([secret for secret in found if not SIMPLE_WORD.fullmatch(secret)])


def netrc_passwords(text: str) -> Iterator[bytes]:
    """The passwords in a netrc file."""
    for found in _NETRC_PASSWORD.finditer(text):
        yield (found[1].replace('\\"', '"') if found[1] else found[2]).encode()
