"""Secrets with their numbers and placeholders, and where else they stand (pure).

A secret is searched as it is, percent-encoded, JSON-escaped and inside base64, whatever stands before and behind it
there. What is a secret is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from threading import Lock
from urllib.parse import quote_from_bytes, quote_plus

from cassette_http.cassette.splicing import Edit, merged, splice

__all__ = ["Vault", "has_placeholder", "next_number", "numbered_placeholders"]


class Vault:
    """Numbers secrets, and finds them again."""

    def __init__(self, first: int) -> None:
        self._numbers: dict[bytes, bytes] = {}
        self._next = count(first)
        self._lock = Lock()
        self._needles: dict[bytes, _Needle] = {}
        self._by_beginning: dict[bytes, list[bytes]] = {}

    def hide(self, secret: bytes, is_searched: bool = True) -> bytes:
        """Return the placeholder of a secret; what is plainly no secret, or hidden already, comes back.

        `is_searched=False` is for values that are hidden where they are, and nowhere else.
        """
        if secret.lower() in _NO_SECRETS or _IS_PLACEHOLDER.fullmatch(secret):
            return secret
        placeholder = self._numbers.get(secret)
        if placeholder is None:
            with self._lock:
                placeholder = self._numbers.get(secret)
                if placeholder is None:
                    placeholder = self._numbers[secret] = b"{{secret:%d}}" % next(self._next)
        if is_searched and secret not in self._needles and _is_searchable(secret):
            with self._lock:
                for needle in _needles(secret, placeholder):
                    # The first use of an octet string wins; so does the plain form, which comes first.
                    if self._needles.setdefault(needle.octets, needle) is needle:
                        self._by_beginning.setdefault(needle.octets[:_GRAM], []).append(needle.octets)
        return placeholder

    @property
    def is_searching(self) -> bool:
        """Whether there is a secret to search for."""
        return bool(self._needles)

    def is_in(self, octets: bytes) -> bool:
        """Tell whether a secret is in some octets; quicker than to find where."""
        return bool(self._present(octets))

    def occurrences(self, octets: bytes) -> list[Edit]:
        """Find all secrets in some octets, in any of their forms; return the edits that hide them."""
        present = sorted(self._present(octets), key=len, reverse=True)
        if not present:
            return []
        edits: list[Edit] = []
        behind = 0
        for found in re.compile(b"|".join(map(re.escape, present))).finditer(octets):
            if found.start() < behind:
                continue
            needle = self._needles[found[0]]
            edit = Edit(found.start(), found.end(), needle.placeholder)
            if needle.alignment is not None:
                run = _base64_run(octets, edit.start, edit.stop, needle.alignment)
                if run is not None and run[0] >= behind:
                    start, stop, text = run
                    if edits_inside := self.occurrences(text):
                        hidden = splice(text, edits_inside)
                        edit = Edit(start, stop, _to_base64(hidden, octets[start:stop]))
            edits.append(edit)
            behind = edit.stop
        return edits

    def _present(self, octets: bytes) -> list[bytes]:
        # A look for each needle is quick while they are few. A session whose cookie changes with every
        # response has thousands: then each position is looked up among the beginnings of all needles.
        needles = list(self._needles)
        if len(needles) <= _MANY_NEEDLES:
            return [needle for needle in needles if needle in octets]
        beginnings = self._by_beginning.keys()
        found: set[bytes] = set()
        for start in range(0, len(octets), _BLOCK):
            stop = min(start + _BLOCK, len(octets) - _GRAM + 1)
            found |= beginnings & {octets[at : at + _GRAM] for at in range(start, stop)}
        return [needle for beginning in found for needle in self._by_beginning[beginning] if needle in octets]


# -- what a secret looks like elsewhere ----------------------------------------------------------------------

_SHORTEST_SEARCHED = 8  # shorter ones would be found where they are not meant
_GRAM = _SHORTEST_SEARCHED
_MANY_NEEDLES = 500
_BLOCK = 1 << 16

# Words of protocols and defaults that stand in fields and cookies for secrets.
_NO_SECRETS = frozenset(
    {b"", b"0", b"1", b"true", b"false", b"yes", b"no", b"on", b"off", b"null", b"nil", b"none", b"undefined"}
    | {b"deleted", b"expired", b"anonymous", b"required", b"fetch"}
)
# Secrets they may be, but to replace them everywhere would take the names out of JSON and forms.
_NOT_SEARCHED = frozenset({b"password", b"username", b"x-oauth-basic", b"disabled", b"authorization"})


def _is_searchable(secret: bytes) -> bool:
    if len(secret) < _SHORTEST_SEARCHED or secret.lower() in _NOT_SEARCHED:
        return False
    # Short numbers are dates, times and ids, which must come back as they were.
    return not (secret.isdigit() and len(secret) < 16)


@dataclass(frozen=True, slots=True)
class _Needle:
    """One form of a secret; for base64 the inner characters that every text with the secret there has."""

    octets: bytes
    placeholder: bytes
    alignment: int | None = None


def _needles(secret: bytes, placeholder: bytes) -> Iterator[_Needle]:
    yield _Needle(secret, placeholder)
    quoted = quote_plus(placeholder).encode()
    for form in {quote_plus(secret), quote_from_bytes(secret, safe=""), quote_from_bytes(secret)}:
        for spelled in {form, _ESCAPE.sub(lambda found: found[0].lower(), form)} - {secret.decode("latin-1")}:
            yield _Needle(spelled.encode(), quoted)
    text = secret.decode("utf-8", "replace")
    for escaped in {json.dumps(text)[1:-1], json.dumps(text).replace("/", "\\/")[1:-1]} - {text}:
        yield _Needle(escaped.encode(), placeholder)
    for core, alignment in _in_base64(secret).items():
        yield _Needle(core, placeholder, alignment)


_ESCAPE = re.compile("%[0-9A-F]{2}")


# -- inside base64 -------------------------------------------------------------------------------------------


def _in_base64(octets: bytes) -> dict[bytes, int]:
    """What base64, of either alphabet, makes of octets in the middle of a text; for each position modulo 3.

    Characters that depend on neighbours are left out. The value is the core's position modulo 4.
    """
    cores = {}
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(octets)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            cores[encode(bytes(before) + octets)[first:last]] = first
    return cores


_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_BASE64_REST = re.compile(rb"[A-Za-z0-9+/_-]*")


def _base64_run(octets: bytes, start: int, stop: int, alignment: int) -> tuple[int, int, bytes] | None:
    """Find the base64 text around some of its characters: where it starts and stops, and what it says."""
    core = start
    while start and octets[start - 1] in _BASE64:
        start -= 1
    start += (core - alignment - start) % 4
    if start > core:
        return None  # characters in front are missing, or are written in another way
    rest = _BASE64_REST.match(octets, stop)
    assert rest is not None  # it may be empty
    stop = rest.end()
    if (stop - start) % 4 == 1:
        stop -= 1
    text = octets[start:stop].translate(_TO_STANDARD)
    padding = -len(text) % 4
    try:
        plain = b64decode(text + b"=" * padding)
    except NotBase64:
        return None
    if octets[stop : stop + padding] == b"=" * padding:
        stop += padding
    return start, stop, plain


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def _to_base64(text: bytes, like: bytes) -> bytes:
    """Encode with the alphabet and the padding of another text."""
    coded = urlsafe_b64encode(text) if b"-" in like or b"_" in like else b64encode(text)
    is_padded = like.endswith(b"=") or len(like) % 4 == 0
    return coded if is_padded else coded.rstrip(b"=")


# -- placeholders --------------------------------------------------------------------------------------------

_PLACEHOLDER = re.compile(rb"(\{\{|%7b%7b)secret(:|%3a)([0-9]{1,9})(\}\}|%7d%7d)", re.IGNORECASE)
_IS_PLACEHOLDER = re.compile(rb"\{\{secret(:[0-9]+)?\}\}")
_START = b"{{secret:"
_START_IN_BASE64 = _in_base64(_START)


def next_number(cassette: bytes) -> int:
    """Find the number behind the highest placeholder in the octets of a cassette file; 1 if there is none."""
    texts = [cassette, *(text for _, _, text in _placeholders_in_base64(cassette))]
    return 1 + max((int(found[3]) for text in texts for found in _PLACEHOLDER.finditer(text)), default=0)


def has_placeholder(octets: bytes) -> bool:
    """Tell whether there could be a placeholder, in plain sight or in base64; cheap."""
    return b"secret" in octets or any(core in octets for core in _START_IN_BASE64)


def numbered_placeholders(octets: bytes) -> list[Edit]:
    """The edits that make all placeholders one."""
    in_base64 = [
        Edit(start, stop, _to_base64(splice(text, numbered_placeholders(text)), octets[start:stop]))
        for start, stop, text in _placeholders_in_base64(octets)
    ]
    plain = [Edit(found.start(), found.end(), b"{{secret}}") for found in _PLACEHOLDER.finditer(octets)]
    return merged(in_base64, plain)


def _placeholders_in_base64(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    runs: dict[int, tuple[int, int, bytes]] = {}  # by where they stop: two placeholders may share a run
    for core, alignment in _START_IN_BASE64.items():
        at = octets.find(core)
        while at >= 0:
            run = _base64_run(octets, at, at + len(core), alignment)
            if run is not None and _START in run[2]:
                runs.setdefault(run[1], run)
            at = octets.find(core, at + len(core) if run is None else run[1])
    yield from runs.values()
