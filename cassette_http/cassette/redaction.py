"""Secrets are replaced by placeholders before an interaction reaches the disk (pure).

1. *Rules* look at the fields whose names say that they carry a secret, and hand it to the vault.
2. The *vault* numbers secrets: an equal secret has the same `{{secret:n}}` as long as the redactor lives.
3. A secret of some length is then *searched* everywhere else, in targets, other fields and contents: as it
   is, percent-encoded, JSON-escaped, inside base64, and under the content codings gzip and deflate.

Only the secret's own octets change. Content-Length, chunk sizes and the borders of pieces follow.

Requests are matched in a form where all placeholders are one, `{{secret}}`: a cassette answers whatever the
secret of today is, and numbers may differ between the run that recorded and the one that replays.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from cassette_http.cassette.decoding import codings_of, decoded, encoded
from cassette_http.cassette.model import Interaction, Request, Track
from cassette_http.cassette.splicing import (
    Edit,
    chunked_trailers,
    edit_framing,
    edit_length,
    growth,
    merged,
    moved,
    recut,
    shift,
    splice,
)
from cassette_http.cassette.vault import Vault, has_placeholder, next_number, numbered_placeholders
from cassette_http.wire import content
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import NO_CONTENT, Framing, FramingKind, request_framing, response_framing
from cassette_http.wire.grammar import EMPTY_LINE
from cassette_http.wire.messages import Fields
from cassette_http.wire.reader import ResponseReader

__all__ = ["Redactor", "is_secret_name", "next_number"]

Rule: TypeAlias = Callable[[bytes, Vault], bytes]
"""Takes the value of a field, and returns it with its secrets hidden in the vault."""


class Redactor:
    """Redacts the interactions of one session, which share placeholders.

    `first` is the number of the first new placeholder; `next_number` finds it in a cassette that has some.
    Threads may share a redactor.
    """

    def __init__(self, first: int = 1) -> None:
        self._vault = Vault(first)

    def redact(self, interaction: Interaction) -> Interaction:
        """Return the interaction without secrets; the same object if there are none."""
        request, track, vault = interaction.request, interaction.track, self._vault
        octets = track.octets
        # All rules come before any search: a secret of the response may stand in the request too.
        sent = received = None
        if request is not None and _has_hint(request.head_octets, request.body_octets):
            sent = _request_parts(request)
            sent.apply_rules(vault)
        if _has_hint(octets, octets):
            received = _response_parts(octets, request)
            received.apply_rules(vault)
        if sent is None and request is not None and self._may_name(request.head_octets, request.body_octets):
            sent = _request_parts(request)
        if received is None and self._may_name(octets):
            received = _response_parts(octets, request)
        if received is not None and (edits := received.edits(vault.occurrences)):
            track = replace(track, pieces=recut(track.pieces, edits))
        if request is not None and sent is not None and (edits := sent.edits(vault.occurrences)):
            track = _with_moved_positions(track, shift(edits, -len(request.head_octets)))
            request = _edited_request(request, edits)
        track = _without_secrets_in_failure(track, vault)
        if request is interaction.request and track is interaction.track:
            return interaction
        return replace(interaction, request=request, track=track)

    def redact_request(self, request: Request) -> Request:
        """Return the form in which a request, sent or recorded, is matched; itself if nothing is secret.

        Secrets that are new are learned, as `redact` would.
        """
        vault = self._vault
        has_hint = _has_hint(request.head_octets, request.body_octets)
        if has_hint or self._may_name(request.head_octets, request.body_octets):
            parts = _request_parts(request)
            if has_hint:
                parts.apply_rules(vault)
            request = _edited_request(request, parts.edits(vault.occurrences))
        if has_placeholder(request.head_octets) or has_placeholder(request.body_octets):
            request = _edited_request(request, _request_parts(request).edits(numbered_placeholders))
        return request

    def _may_name(self, octets: bytes, body: bytes = b"") -> bool:
        """Tell whether to search a message: secrets are in plain sight, or could be under a coding."""
        vault = self._vault
        return vault.is_searching and (vault.is_in(octets) or vault.is_in(body) or _is_coded(octets))


# -- rules: fields by name -----------------------------------------------------------------------------------

_SCHEME = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(?=[^ \t])")
_COOKIE_PAIR = re.compile(rb"([^=;]+)(=[ \t]*\"?)([^;\"]*)")


def _credentials(value: bytes, vault: Vault) -> bytes:
    """Authorization: the scheme stays (RFC 9110 section 11.4), Basic stays base64 of a pair."""
    scheme = _SCHEME.match(value)
    if scheme is None:
        return value if value.lower() in _BARE_SCHEMES else vault.hide(value)
    credentials = value[scheme.end() :]
    if scheme[1].lower() == b"basic":
        return scheme[0] + _basic(credentials, vault)
    return scheme[0] + vault.hide(credentials)


_BARE_SCHEMES = frozenset({b"basic", b"bearer", b"digest", b"negotiate", b"ntlm"})


def _basic(credentials: bytes, vault: Vault) -> bytes:
    try:
        pair = _BASIC_PAIR.fullmatch(b64decode(credentials, validate=True))
    except NotBase64:
        pair = None
    if pair is None:
        return vault.hide(credentials)
    user, password = pair.groups()
    # Without a real password the user name is the secret, as with many an API key. Else it is hidden only
    # here: a name is part of too many contents.
    user = vault.hide(user, is_searched=password.lower() in _NO_PASSWORDS)
    return b64encode(user + b":" + vault.hide(password))


# The user name has no colon (RFC 7617 section 2), but a placeholder has.
_BASIC_PAIR = re.compile(rb"(\{\{secret:[0-9]+\}\}|[^:]*):(.*)", re.DOTALL)
_NO_PASSWORDS = frozenset({b"", b"x", b"api_token", b"x-oauth-basic"})


def _cookies(value: bytes, vault: Vault) -> bytes:
    """Cookie: all values but the plainly ordinary ones (RFC 6265 section 4.2.1)."""
    return _COOKIE_PAIR.sub(lambda pair: _cookie(pair, vault), value)


def _set_cookie(value: bytes, vault: Vault) -> bytes:
    """Set-Cookie: the value; the attributes behind it stay (RFC 6265 section 4.1.1)."""
    return _COOKIE_PAIR.sub(lambda pair: _cookie(pair, vault), value, count=1)


def _cookie(pair: re.Match[bytes], vault: Vault) -> bytes:
    name, equals, value = pair.groups()
    value, space = value.rstrip(b" \t"), value[len(value.rstrip(b" \t")) :]
    is_ordinary = len(value) < 8 or (value.isalpha() and value.islower())
    if is_ordinary and not _SECRET_COOKIE.search(name):
        return pair[0]
    return name + equals + vault.hide(value) + space


_SECRET_COOKIE = re.compile(rb"sess|token|auth(?!or(?!iz))|csrf|xsrf|jwt|secret|passw|sid\b|\bsid|_sid", re.IGNORECASE)


def _whole_value(value: bytes, vault: Vault) -> bytes:
    return vault.hide(value)


FIELD_RULES: dict[str, Rule] = {
    "authorization": _credentials,
    "proxy-authorization": _credentials,
    "cookie": _cookies,
    "set-cookie": _set_cookie,
}


@lru_cache(maxsize=4096)
def _rule_for(name: bytes) -> Rule | None:
    known = FIELD_RULES.get(name.decode("latin-1").lower())
    return known or (_whole_value if is_secret_name(name.decode("latin-1")) else None)


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    {"secret", "password", "passwd", "pwd", "passphrase", "credential", "credentials", "apikey", "authtoken"}
    | {"accesstoken", "jwt", "signature", "sig", "csrf", "xsrf", "csrftoken", "xsrftoken"}
    | {"session", "sessionid", "sessid"}
)
# Words that make a secret of a key; whatever an "x-...-key" is, it counts too.
_KEYS = frozenset(
    {"api", "private", "access", "subscription", "auth", "secret", "signing", "encryption", "application"}
    | {"account", "master"}
)
_NO_KEYS = frozenset({"idempotency", "cache", "surrogate", "partition", "public"})
# What is counted, described or only says where to go on is none.
_BEFORE_TOKEN = frozenset({"page", "continuation", "next", "cancel", "max", "min", "total"})
_AFTER = frozenset(
    {"type", "count", "counts", "limit", "expires", "expiry", "expiration", "ttl", "usage", "url", "uri"}
    | {"endpoint", "input"}
)


def is_secret_name(name: str) -> bool:
    """Tell whether a name says that its value is a secret; snake, kebab or camel case."""
    words = [word.lower() for word in _WORD.findall(name)]
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if after in _AFTER:
            continue
        if word in _SECRET_WORDS or (word == "token" and before not in _BEFORE_TOKEN):
            return True
        if word == "key" and (before in _KEYS or (words[0] == "x" and not after and before not in _NO_KEYS)):
            return True
    return False


# -- messages ------------------------------------------------------------------------------------------------

# Each name that a rule answers to has one of these in it: a cheap way to say no.
_HINT = re.compile(b"auth|cookie|token|secret|pass|pwd|key|sig|sess|srf|cred|jwt")
# No blank in the name: start lines are no fields. The value includes stray CRs and continuation lines.
_FIELD = re.compile(rb"^([^: \t\r\n]+)[ \t]*+:[ \t]*+([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_NO_TRAILERS = b"0\r\n\r\n"


def _lower_head(octets: bytes) -> bytes:
    end = octets.find(b"\n\r\n")
    if end < 0:
        empty_line = EMPTY_LINE.search(octets)
        end = len(octets) if empty_line is None else empty_line.end()
    return octets[:end].lower()


def _has_hint(octets: bytes, body: bytes) -> bool:
    """Tell whether a rule could find something in a message: in its head or its trailers."""
    head = _lower_head(octets)
    if _HINT.search(head):
        return True
    is_interim = head.startswith(b"http/1.1 1")  # more heads follow
    return is_interim or (b"chunked" in head and not body.endswith(_NO_TRAILERS))


def _is_coded(octets: bytes) -> bool:
    """Tell whether a chunk border or a content coding could hide a secret from a plain search."""
    head = _lower_head(octets)
    return b"chunked" in head or b"content-encoding" in head


@dataclass(slots=True)
class _Parts:
    """A message taken apart; the body is as framed, and there may be more behind it (after an upgrade)."""

    head: bytes
    body: bytes
    framing: Framing
    fields: Fields
    by_rule: list[Edit] = field(default_factory=list)

    def apply_rules(self, vault: Vault) -> None:
        """Hide what the rules find in head and trailers."""
        self.by_rule = _field_edits(self.head, vault)
        if self.framing.kind is FramingKind.CHUNKED:
            start, stop = chunked_trailers(self.body)
            self.by_rule += shift(_field_edits(self.body[start:stop], vault), len(self.head) + start)

    def edits(self, find: Callable[[bytes], list[Edit]]) -> list[Edit]:
        """Add what `find` finds in head and content, and let the framing follow.

        Positions are those of head and body together.
        """
        # A value that a rule has changed may still hold other secrets.
        first = [replace(edit, octets=splice(edit.octets, find(edit.octets))) for edit in self.by_rule]
        in_body, added = self._body_edits(find)
        if added and self.framing.kind is FramingKind.LENGTH:
            first += edit_length(self.head, added)
        return merged(first, find(self.head) + shift(in_body, len(self.head)))

    def _body_edits(self, find: Callable[[bytes], list[Edit]]) -> tuple[list[Edit], int]:
        if not self.body:
            return [], 0
        if self.framing is NO_CONTENT:
            return find(self.body), 0
        octets = content.decode(self.framing, self.body)
        edits = _coded_edits(octets, codings_of(self.fields), find)
        framed = edit_framing(self.framing, self.body, edits) if edits else []
        if self.framing.kind is FramingKind.CHUNKED:
            # Extensions and trailers, what is broken, and what is behind the message.
            return merged(framed, find(self.body)), growth(edits)
        return framed + shift(find(self.body[len(octets) :]), len(octets)), growth(edits)


def _coded_edits(octets: bytes, codings: tuple[str, ...], find: Callable[[bytes], list[Edit]]) -> list[Edit]:
    """Find secrets in content, under its content codings if they are known."""
    plain = decoded(octets, codings) if codings else None
    if plain is None:
        return find(octets)
    text, is_complete = plain
    edits = find(text)
    return [Edit(0, len(octets), encoded(splice(text, edits), codings, is_complete))] if edits else []


def _field_edits(head: bytes, vault: Vault) -> list[Edit]:
    edits = []
    for line in _FIELD.finditer(head):
        rule = _rule_for(line[1])
        if rule is not None:
            value = line[2].rstrip(b" \t\r")
            hidden = rule(value, vault)
            if hidden != value:
                edits.append(Edit(line.start(2), line.start(2) + len(value), hidden))
    return edits


def _request_parts(request: Request) -> _Parts:
    try:
        fields = request.head.fields
        return _Parts(request.head_octets, request.body_octets, request_framing(fields), fields)
    except MalformedMessage:
        return _Parts(request.head_octets, request.body_octets, NO_CONTENT, ())


def _method(request: Request | None) -> str:
    try:
        return "GET" if request is None else request.method
    except MalformedMessage:
        return "GET"


def _response_parts(octets: bytes, request: Request | None) -> _Parts:
    method = _method(request)
    reader = ResponseReader(method)
    reader.feed(octets)
    if reader.head is None:
        # Cut off in the middle of the head, or not HTTP: fields may be there all the same.
        return _Parts(octets, b"", NO_CONTENT, ())
    head, body = octets[: reader.head_octets], octets[reader.head_octets :]
    fields = reader.head.fields
    try:
        framing = response_framing(reader.head.status, fields, method)
    except MalformedMessage:
        framing = NO_CONTENT
    return _Parts(head, body, framing, fields)


def _edited_request(request: Request, edits: list[Edit]) -> Request:
    if not edits:
        return request
    border = len(request.head_octets)
    return replace(
        request,
        head_octets=splice(request.head_octets, [edit for edit in edits if edit.start < border]),
        body_octets=splice(request.body_octets, shift((edit for edit in edits if edit.start >= border), -border)),
    )


def _with_moved_positions(track: Track, edits: list[Edit]) -> Track:
    """Let pieces that came while the request was being sent follow the edits of its body."""
    if all(piece.sent is None for piece in track.pieces):
        return track
    in_body = [edit for edit in edits if edit.start >= 0]
    pieces = (
        piece if piece.sent is None else replace(piece, sent=moved(piece.sent, in_body)) for piece in track.pieces
    )
    return replace(track, pieces=tuple(pieces))


def _without_secrets_in_failure(track: Track, vault: Vault) -> Track:
    failure = track.failure
    if failure is None or not failure.text:
        return track
    octets = failure.text.encode("utf-8", "surrogateescape")
    edits = vault.occurrences(octets)
    if not edits:
        return track
    text = splice(octets, edits).decode("utf-8", "surrogateescape")
    return replace(track, failure=replace(failure, text=text))
