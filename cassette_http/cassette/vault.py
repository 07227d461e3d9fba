"""Secrets with their numbers and placeholders, and where else they stand (pure).

A secret is searched as it is, percent-encoded, JSON-escaped and inside base64, whatever stands before and behind it
there. What is a secret is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import Error as NotBase64
from binascii import b2a_qp
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import count
from threading import RLock
from urllib.parse import quote, quote_from_bytes, quote_plus

from cassette_http.cassette.secret_names import looks_random
from cassette_http.cassette.secret_shapes import is_legible, legible, runs
from cassette_http.cassette.splicing import Edit, merged, splice

__all__ = [
    "Vault",
    "base64_at",
    "has_placeholder",
    "is_placeholder",
    "next_number",
    "numbered_placeholders",
    "to_base64",
]


class Vault:
    """Numbers secrets, and finds them again.

    `redact_claims` takes the claims of a JWT (JSON), and returns them without what is secret in them.
    """

    def __init__(self, first: int, redact_claims: Callable[[bytes], bytes] = lambda claims: claims) -> None:
        self._placeholders: dict[bytes, bytes] = {}
        self._next = count(first)
        self._lock = RLock()
        self._needles: dict[bytes, _Needle] = {}
        self._by_beginning: dict[bytes, list[bytes]] = {}
        self._long: list[tuple[bytes, bytes]] = []  # needles that need a run, behind that
        self._short: dict[int | None, list[bytes]] = {}  # others, by an octet that few texts have
        self._by_name: dict[str, bytes] = {}
        self._redact_claims = redact_claims

    def hide(self, secret: bytes, is_searched: bool = True) -> bytes:
        """Return the placeholder of a secret; what is plainly no secret, or hidden already, comes back.

        `is_searched=False` is for values that are hidden where they are, and nowhere else.
        """
        if secret.lower() in _NO_SECRETS or is_placeholder(secret):
            return secret
        if is_searched and secret not in self._needles and _is_searchable(secret):
            self._search(secret)
        return self._placeholder(secret)

    def hide_number(self, digits: bytes) -> bytes:
        """Return a number to put in the place of a number; its last digits are those of the placeholder."""
        if _IS_NUMBER.fullmatch(digits):
            return digits
        number = _NUMBERED.fullmatch(self._placeholder(digits))
        return b"%b%06d" % (_NINES, int(number[1]) if number else 0)

    def know(self, secret: bytes) -> None:
        """Search a secret from now on; it gets its number when it is found."""
        if _is_searchable(secret) and secret not in self._needles:
            self._search(secret)

    def learn(self, secrets: Iterable[str | bytes]) -> None:
        """Search values that the user says are secret, however they look."""
        for secret in secrets:
            octets = secret.encode() if isinstance(secret, str) else secret
            if len(octets) >= _SHORTEST_DECLARED and octets not in self._needles and not is_placeholder(octets):
                self._search(octets)

    def declare(self, name: str, secret: bytes) -> None:
        """Search a secret, however short, whose placeholder is `{{secret:name}}`."""
        with self._lock:
            self._by_name[name] = secret
            self._placeholders[secret] = b"{{secret:%b}}" % name.encode()
        self.learn([secret])

    def _placeholder(self, secret: bytes) -> bytes:
        placeholder = self._placeholders.get(secret)
        if placeholder is None:
            with self._lock:
                placeholder = self._placeholders.get(secret)
                if placeholder is None:
                    placeholder = self._shaped(secret, b"{{secret:%d}}" % next(self._next))
                    self._placeholders[secret] = placeholder
        return placeholder

    def _shaped(self, secret: bytes, placeholder: bytes) -> bytes:
        """A JWT (RFC 7519) stays one that can be decoded: without its signature it opens nothing."""
        if not _JWT.fullmatch(secret):
            return placeholder
        head, *others = secret.split(b".")
        hidden = urlsafe_b64encode(placeholder).rstrip(b"=")
        claims = _from_base64(others[0]) if len(others) == 2 else None
        if claims is None or not claims.startswith(b"{"):
            return b".".join([head] + [hidden] * len(others))
        return b".".join([head, urlsafe_b64encode(self._redact_claims(claims)).rstrip(b"="), hidden])

    def _search(self, secret: bytes) -> None:
        with self._lock:
            for needle in _all_needles(secret):
                # The first use of an octet string wins; so does the plain form, which comes first.
                if self._needles.setdefault(needle.octets, needle) is needle:
                    if needle.run:
                        self._long.append((needle.run, needle.octets))
                    else:
                        mark = next((mark for mark in _MARKS if mark in needle.octets), None)
                        self._short.setdefault(mark, []).append(needle.octets)
                    self._by_beginning.setdefault(needle.octets[:_GRAM], []).append(needle.octets)

    @property
    def searched(self) -> int:
        """How many forms of secrets are searched; grows when a secret is learned."""
        return len(self._needles)

    def is_in(self, octets: bytes, spans: list[tuple[int, int]] | None = None) -> bool:
        """Tell whether a secret is in some octets; quicker than to find where. `spans` are their runs, if known."""
        return bool(self._needles) and (bool(self._present(octets, spans)) or _is_masked(octets))

    def occurrences(self, octets: bytes) -> list[Edit]:
        """Find all secrets in some octets, in any of their forms; return the edits that hide them."""
        if not self._needles:
            return []
        edits: list[Edit] = []
        present = sorted(self._present(octets), key=len, reverse=True)
        behind = 0
        for found in re.compile(b"|".join(map(re.escape, present))).finditer(octets) if present else ():
            if found.start() < behind:
                continue
            edits.append(self._edit(self._needles[found[0]], octets, found.start(), found.end(), behind))
            behind = edits[-1].stop
        if _is_masked(octets):
            edits = merged(edits, list(self._masked(octets)))
        return edits

    def unified_occurrences(self, octets: bytes) -> list[Edit]:
        """Find all secrets and all placeholders; the edits that make them one placeholder, for matching."""
        edits = self.occurrences(octets)
        if edits:
            edits = [Edit(edit.start, edit.stop, _unified(edit.octets)) for edit in edits]
        return merged(edits, numbered_placeholders(octets)) if has_placeholder(octets) else edits

    def _edit(self, needle: _Needle, octets: bytes, start: int, stop: int, behind: int) -> Edit:
        placeholder = self._placeholder(needle.secret)
        if needle.is_quoted:
            placeholder = quote_plus(placeholder).encode()
        if needle.is_beginning:
            rest = needle.secret[stop - start :]
            while rest and octets[stop : stop + 1] == rest[:1]:
                stop, rest = stop + 1, rest[1:]
        if needle.alignment is not None:
            run = _base64_run(octets, start, stop, needle.alignment)
            if run is not None and run[0] >= behind and (inside := self.occurrences(run[2])):
                return Edit(run[0], run[1], to_base64(splice(run[2], inside), octets[run[0] : run[1]]))
        return Edit(start, stop, placeholder)

    def _masked(self, octets: bytes) -> Iterator[Edit]:
        """Find secrets of which only the beginning and perhaps the end are shown, as in "sk-ab****yz"."""
        for found in _MASK.finditer(octets):
            beginning, end = found[1], found[2]
            for needle in list(self._needles.values()):
                secret = needle.secret
                if needle.octets == secret and secret.startswith(beginning) and secret.endswith(end):
                    yield Edit(found.start(), found.end(), self._placeholder(secret))
                    break

    def _present(self, octets: bytes, spans: list[tuple[int, int]] | None = None) -> list[bytes]:
        if len(octets) > _BLOCK and 0 in octets[:_BLOCK]:
            # A large binary content has little text, which is soon searched.
            texts = legible(octets)
            return [
                needle for needle in list(self._needles) if (texts if is_legible(needle) else octets).find(needle) >= 0
            ]
        # A look for each needle is quick while they are few. A session whose cookie changes with every
        # response has thousands: then each position is looked up among the beginnings of all needles.
        if len(self._needles) <= _MANY_NEEDLES:
            # Few texts have runs, percent signs or backslashes, so most forms of most secrets need no look.
            found = [
                needle
                for mark, needles in list(self._short.items())
                if mark is None or mark in octets
                for needle in list(needles)
                if octets.find(needle) >= 0  # `in` would try to make a number of it first
            ]
            spans = (runs(octets) if spans is None else spans) if self._long else []
            if spans:
                inside = b" ".join([octets[start:stop] for start, stop in spans])
                found += [
                    needle for run, needle in list(self._long) if inside.find(run) >= 0 and octets.find(needle) >= 0
                ]
            return found
        beginnings = self._by_beginning.keys()
        begun: set[bytes] = set()
        for start in range(0, len(octets), _BLOCK):
            stop = min(start + _BLOCK, len(octets) - _GRAM + 1)
            begun |= beginnings & {octets[at : at + _GRAM] for at in range(start, stop)}
        return [needle for beginning in begun for needle in self._by_beginning[beginning] if needle in octets]

    @property
    def has_declared(self) -> bool:
        """Some placeholder stands for a secret whose value is known here."""
        return bool(self._by_name)

    def declared(self, octets: bytes) -> list[Edit]:
        """The edits that put declared secrets in the place of their placeholders."""
        return _placeholder_edits(octets, lambda name: self._by_name.get(name.decode("latin-1")))


# -- what a secret looks like elsewhere ----------------------------------------------------------------------

_SHORTEST_SEARCHED = 8  # shorter ones would be found where they are not meant
_SHORTEST_DECLARED = 4
_GRAM = _SHORTEST_DECLARED
_MANY_NEEDLES = 1000
_MARKS = b"%\\&="
_BLOCK = 1 << 16
_SHORTEST_BEGINNING = 16
_LONGEST_MESSAGE = 1 << 16

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
    """One form of a secret.

    For base64 the octets are the inner characters that every text with the secret there has, and `alignment` their
    position modulo 4. `is_beginning`: the first octets, as an error message may quote them. `run` is a part that only
    long runs can hold.
    """

    octets: bytes
    secret: bytes
    is_quoted: bool = False
    alignment: int | None = None
    is_beginning: bool = False
    run: bytes = b""


# Those of the environment are made for each cassette of a test run.
@lru_cache(maxsize=128)
def _all_needles(secret: bytes) -> tuple[_Needle, ...]:
    return tuple(_needles(secret))


def _needles(secret: bytes) -> Iterator[_Needle]:
    """The plain form comes first; of the others, only those that differ from it."""
    yield _Needle(secret, secret, run=_run_of(secret))
    text = secret.decode("utf-8", "replace")
    percent = {quote_plus(secret), quote_from_bytes(secret, safe=""), quote_from_bytes(secret)}
    percent |= {quote(each, safe="") for each in percent} | {"".join(f"%{octet:02X}" for octet in secret)}
    for form in percent:
        for spelled in {form, _ESCAPE.sub(lambda found: found[0].lower(), form)} - {text}:
            yield _Needle(spelled.encode(), secret, is_quoted=True, run=_run_of(spelled.encode()))
    in_mails = b2a_qp(secret).replace(b"=\n", b"")
    for octets in (_escaped(text) | _in_other_sets(secret) | {in_mails}) - {secret}:
        yield _Needle(octets, secret, run=_run_of(octets))
    if len(secret) < _SHORTEST_SEARCHED:
        return
    for digits in (secret.hex(), secret.hex().upper()):
        yield _Needle(digits.encode(), secret, run=_run_of(digits.encode()))
    cores = {**_in_base64(json.dumps(text)[1:-1].encode()), **_in_base64(secret)}
    for core, alignment in cores.items():
        yield _Needle(core, secret, alignment=alignment, run=_run_of(core))
        # Once more, in the alphabet of most.
        for twice, again in _in_base64(core).items() if b"/" not in core else ():
            yield _Needle(twice, secret, alignment=again, run=_run_of(twice))
    # What begins with words or a general prefix says nothing; a JWT begins with its head.
    if _QUOTED_IN_PART.fullmatch(secret) and len(secret) >= _SHORTEST_BEGINNING + 8 and not _JWT.fullmatch(secret):
        beginning = secret[:_SHORTEST_BEGINNING]
        if looks_random(beginning.decode()):
            yield _Needle(beginning, secret, is_beginning=True)


def _escaped(text: str) -> set[bytes]:
    """A text with escapes: those of JSON, in strings in strings too, of XML and HTML, of programs, of mails."""
    once = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    once |= {each.replace("/", "\\/") for each in once}
    twice = {json.dumps(each)[1:-1] for each in once}
    markup = {
        escape(text, quote=False),
        escape(text),
        escape(text).replace("&#x27;", "&#39;"),
        _numbered(text, "&#{};"),
    }
    units = text.encode("utf-16-be", "surrogatepass").hex()
    every = {"".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))}
    every |= {_numbered(text, "&#x{:x};"), "".join(f"\\x{octet:02x}" for octet in text.encode())}
    every |= {each.upper().replace("\\U", "\\u").replace("\\X", "\\x").replace("&#X", "&#x") for each in every}
    forms = once | twice | {json.dumps(each)[1:-1] for each in twice} | markup | every
    return {form.encode("utf-8", "surrogatepass") for form in forms - {text}}


def _numbered(text: str, form: str) -> str:
    return "".join(form.format(ord(character)) for character in text)


def _in_other_sets(secret: bytes) -> set[bytes]:
    """What is not ASCII, in UTF-8 if it was in the set of old, and the other way round."""
    if secret.isascii():
        return set()
    try:
        return {secret.decode().encode(name, "ignore") for name in ("latin-1", "cp1252")} if len(secret) >= 8 else set()
    except UnicodeDecodeError:
        return {secret.decode("cp1252", "replace").encode()}


_QUOTED_IN_PART = re.compile(rb"[A-Za-z0-9_-]+")
_LONG_RUN = re.compile(rb"[A-Za-z0-9_+-]{20,}")
_MASKS = (b"***", b"...", b"\xe2\x80\xa6", b"\\u2026")
_MASK = re.compile(rb"([A-Za-z0-9_-]{4,})(?:\*{3,}|\.{3}|\xe2\x80\xa6|\\u2026)([A-Za-z0-9]{0,8})")


def _is_masked(octets: bytes) -> bool:
    """Tell whether a secret may be shown in part: in a message, which is short."""
    is_short = len(octets) <= _LONGEST_MESSAGE
    return is_short and max(map(octets.find, _MASKS)) >= 0 and _MASK.search(octets) is not None


def _run_of(octets: bytes) -> bytes:
    """The longest run in some octets; nothing if there is none."""
    return max(_LONG_RUN.findall(octets), key=len, default=b"")


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


def _base64_run(
    octets: bytes, start: int, stop: int, alignment: int, is_start: bool = False
) -> tuple[int, int, bytes] | None:
    """Find the base64 text around some of its characters: where it starts and stops, and what it says."""
    core = start
    while start and not is_start and octets[start - 1] in _BASE64:
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


def _from_base64(text: bytes) -> bytes | None:
    """Decode a whole text of either alphabet, with or without padding; None if it is none."""
    text = text.translate(_TO_STANDARD).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except NotBase64:
        return None


def base64_at(octets: bytes, start: int) -> tuple[int, bytes] | None:
    """Decode the base64 text that begins somewhere: where it stops, and what it says."""
    run = _base64_run(octets, start, start, 0, is_start=True)
    return None if run is None else run[1:]


def to_base64(text: bytes, like: bytes) -> bytes:
    """Encode with the alphabet and the padding of another text."""
    coded = urlsafe_b64encode(text) if b"-" in like or b"_" in like else b64encode(text)
    is_padded = like.endswith(b"=") or len(like) % 4 == 0
    return coded if is_padded else coded.rstrip(b"=")


# -- placeholders --------------------------------------------------------------------------------------------

_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{7,}(?:\.[A-Za-z0-9_-]*){2,4}")
_NINES = b"999999999"
_IS_NUMBER = re.compile(_NINES + rb"[0-9]{6}")
_NUMBERED = re.compile(rb"\{\{secret:([0-9]{1,6})\}\}")
# URLs in URLs are percent-encoded once more.
_PLACEHOLDER = re.compile(
    rb"(\{\{|(?:%(?:25){0,3}7b){2})secret(?:(?::|%(?:25){0,3}3a)([A-Za-z0-9_.-]{1,64}))?(?:\}\}|(?:%(?:25){0,3}7d){2})",
    re.IGNORECASE,
)
_START = b"{{secret"
_START_IN_BASE64 = _in_base64(_START)
# A JWT whose signature is a placeholder; nine octets of it are twelve characters.
_HIDDEN_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{7,}\.(?:[A-Za-z0-9_-]*\.){1,3}e3tzZWNyZXQ6[A-Za-z0-9_-]+")
_HIDDEN_NUMBER = re.compile(rb"(?<![0-9.])" + _NINES + rb"([0-9]{6})(?![0-9.])")


def is_placeholder(value: bytes) -> bool:
    """Tell whether a value is a placeholder, in any of the forms that one has in its place."""
    return _PLACEHOLDER.fullmatch(value) is not None or _HIDDEN_JWT.fullmatch(value) is not None


def next_number(cassette: bytes) -> int:
    """Find the number behind the highest placeholder in the octets of a cassette file; 1 if there is none."""
    texts = [cassette, *(text for _, _, text in _placeholders_in_base64(cassette))]
    names = [found[2] or b"" for text in texts for found in _PLACEHOLDER.finditer(text)]
    numbers = [int(name) for name in names if name.isdigit() and len(name) < 10]
    numbers += [int(found[1]) for found in _HIDDEN_NUMBER.finditer(cassette)]
    return 1 + max(numbers, default=0)


def has_placeholder(octets: bytes) -> bool:
    """Tell whether there could be a placeholder, in plain sight, in base64 or as a number; cheap."""
    return b"secret" in octets or _NINES in octets or any(core in octets for core in _START_IN_BASE64)


def numbered_placeholders(octets: bytes) -> list[Edit]:
    """The edits that make all placeholders one."""
    whole = [Edit(*found.span(), b"{{secret}}") for found in _HIDDEN_JWT.finditer(octets)]
    whole += [Edit(*found.span(), _NINES + b"000000") for found in _HIDDEN_NUMBER.finditer(octets)]
    return merged(
        sorted(whole, key=lambda edit: edit.start), _placeholder_edits(octets, lambda name: b"{{secret}}", b"")
    )


def _unified(octets: bytes) -> bytes:
    return b"{{secret}}" if _NUMBERED.fullmatch(octets) else splice(octets, numbered_placeholders(octets))


def _placeholder_edits(
    octets: bytes, value: Callable[[bytes], bytes | None], percent: bytes | None = None
) -> list[Edit]:
    """Put a value in the place of each placeholder; one that is percent-encoded stays so, if `percent` is None."""
    in_base64 = []
    for start, stop, text in _placeholders_in_base64(octets):
        if inside := _placeholder_edits(text, value, percent):
            in_base64.append(Edit(start, stop, to_base64(splice(text, inside), octets[start:stop])))
    plain = []
    for found in _PLACEHOLDER.finditer(octets):
        new = value(found[2] or b"")
        if new is not None:
            is_encoded = percent is None and found[1] != b"{{"
            plain.append(Edit(found.start(), found.end(), quote_plus(new).encode() if is_encoded else new))
    return merged(in_base64, [edit for edit in plain if edit.octets != octets[edit.start : edit.stop]])


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
