"""Replaces secrets by placeholders before an interaction reaches the disk (pure).

1. *Rules* recognise a secret by its name or its look, in fields, targets and contents, and give it to the vault.
2. The *vault* numbers secrets: an equal secret has the same `{{secret:n}}` as long as the redactor exists.
3. A secret of some length is then *searched* everywhere else, in targets, other fields and contents: plain,
   percent-encoded, JSON-escaped, inside base64, and under content codings.

Only the secret's own octets change. Content-Length, chunk sizes and the borders of pieces are adapted.

For matching, all placeholders become the same, `{{secret}}`: a cassette answers whatever the secret is today, and
numbers may differ between recording and replay. Pairs of a query or a form whose names mean secrets are left out then,
as a program without a secret often does not send them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from cassette_http.cassette.model import Interaction, Request, Track
from cassette_http.cassette.secrets.coded_texts import coded_texts
from cassette_http.cassette.secrets.content_rules import ContentRules
from cassette_http.cassette.secrets.familiar_lines import FamiliarLines, is_of_content
from cassette_http.cassette.secrets.json_members import members_in_place_of
from cassette_http.cassette.secrets.message_parts import (
    Parts,
    edit_request,
    may_need_decoding,
    move_positions,
    request_parts,
    response_parts,
)
from cassette_http.cassette.secrets.pairs import sent_in_place_of
from cassette_http.cassette.secrets.placeholders import has_placeholder
from cassette_http.cassette.secrets.rules import ExtraRule, Rules, resolve_rules
from cassette_http.cassette.secrets.shapes import HOST_PATHS
from cassette_http.cassette.secrets.vault import Vault
from cassette_http.cassette.splicing import Edit, shift, splice
from cassette_http.errors import InvalidOption


@dataclass(slots=True)
class _Message:
    """A message of an exchange that is being redacted.

    If it is short, `octets` is all of it, without framing and codings if it was split into `parts`; `new` is the rest
    without familiar lines, `lines` are its field lines, and `edits` those of familiar lines. Once the rules were
    applied to it, `edits` are complete.
    """

    request: Request  # the message itself, or the request that it answers
    track: Track | None  # of a response
    octets: bytes | None = None
    new: bytes = b""
    lines: Iterable[bytes] = ()
    edits: Sequence[Edit] = ()
    parts: Parts | None = None
    is_opaque: bool = False  # a look at its octets is not enough
    is_ruled: bool = False

    @property
    def host(self) -> str:
        """The host of a request, "" for a response."""
        return self.request.origin.host if self.track is None else ""

    def take_apart(self) -> Parts:
        if self.parts is None:
            self.parts = request_parts(self.request) if self.track is None else response_parts(self.track, self.request)
        return self.parts


class Redactor:
    """Redacts the interactions of one session, which share placeholders.

    `first` is the number of the first new placeholder; `next_number` finds it for an existing cassette. For `redact`
    and `keep` see `resolve_rules`. `secrets` are values with names of their own: they become `{{secret:name}}`, and
    `restore` puts them back. Secrets in `environment` and in the text that `netrc` returns are known before anything is
    redacted.

    Threads may share a redactor. Raises InvalidOption.
    """

    def __init__(
        self,
        first: int = 1,
        *,
        redact: Iterable[ExtraRule] = (),
        keep: Iterable[str] = (),
        secrets: Mapping[str, str | bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        netrc: Callable[[], str] = str,
    ) -> None:
        self._rules = resolve_rules(redact, keep)
        self._vault = Vault(first, partial(_redact_claims, self._rules))
        self._familiar = FamiliarLines(self._vault)
        self._familiar_in_matching = FamiliarLines(self._vault)
        self._learned_pairs: set[bytes] = set()
        for name, value in (secrets or {}).items():
            self._vault.declare(*_checked(name, value))
        self._environment, self._netrc = environment, netrc
        self._knows_environment = False

    @cached_property
    def _content(self) -> ContentRules:
        """Created when needed, as most replays redact nothing. If two threads create one each, both share all data."""
        return ContentRules(self._rules, self._vault)

    def _learn_from_environment(self) -> None:
        """Learn the secrets of environment and netrc when something is redacted: most replays do not need them.

        If another thread does the same at the same time, that changes nothing.
        """
        if self._environment and "environment" not in self._rules.off:
            self._content.learn_environment(self._environment)
        if "netrc" not in self._rules.off:
            self._content.learn_netrc(self._netrc())
        self._knows_environment = True

    @property
    def learned(self) -> int:
        """Grows with each learned secret: what was redacted before may contain it, and need to be redacted again."""
        return self._vault.searched

    def redact(self, interaction: Interaction) -> Interaction:
        """Return the interaction without secrets; the same object if there are none."""
        if not self._knows_environment:
            self._learn_from_environment()
        request, track, vault = interaction.request or Request(interaction.origin, b""), interaction.track, self._vault
        for function in self._rules.functions:
            vault.learn(function(interaction))
        learned = vault.searched
        # Another copy of a large body could be too much, and a long message goes through the rules in any case.
        octets = request.head_octets + request.body_octets if len(request.body_octets) <= _LONG else None
        sent = self._message(octets, request)
        octets = track.octets if track.count_octets <= _LONG else None
        received = self._message(octets, request, track)
        if may_need_decoding(b"%b\n%b" % (sent.new, received.new)):
            self._decode(sent)
            self._decode(received)
        is_ordinary = not (sent.is_opaque or received.is_opaque) and track.failure is None
        if is_ordinary and self._is_clean(sent, received):
            self._familiar.remember([*sent.lines, *received.lines], learned)
            return _edited(interaction, sent.edits, received.edits)
        # All rules come before any search: a secret of the response may be in the request too.
        if self._is_suspect(sent):
            self._apply_rules(sent)
        if (is_ordinary and not sent.is_ruled) or self._is_suspect(received):
            self._apply_rules(received)
        track = self._without_secrets_in_failure(track)
        for message in (sent, received):
            if not (message.is_ruled or self._is_still_clean(message)):
                self._apply_rules(message)
        learned = vault.searched
        for message in (sent, received):
            if message.is_ruled:
                message.edits = edits = message.take_apart().edits(vault.occurrences)
                if message.octets is not None:
                    self._familiar.remember_edits(message.octets, edits, learned)
        if track is not interaction.track:
            interaction = replace(interaction, track=track)
        return _edited(interaction, sent.edits, received.edits)

    def is_settled(self, redacted: Interaction) -> bool:
        """Tell whether what was learned since an interaction was redacted would change nothing in it; cheap.

        If in doubt, False: a coding could hide a secret, and checking a long message takes as long as redacting it.
        """
        request, track = redacted.request, redacted.track
        if track.failure is not None or track.count_octets > _LONG:
            return False
        sent = request.head_octets + request.body_octets if request is not None else b""
        return not any(
            len(octets) > _LONG or may_need_decoding(octets) or coded_texts(octets) or self._vault.is_in(octets)
            for octets in (sent, track.octets)
        )

    def redact_request(self, request: Request) -> Request:
        """Return the form in which a request, sent or recorded, is matched; the same object if nothing is secret.

        New secrets are learned, as in `redact`.
        """
        if not self._knows_environment:
            self._learn_from_environment()
        vault = self._vault
        for function in self._rules.functions:
            vault.learn(function(Interaction(request.origin, request, Track())))
        if self._learned_pairs:
            request = self._without_learned_pairs(request)
        head, body, learned = request.head_octets, request.body_octets, vault.searched
        is_suspect = len(body) > _LONG
        edits: list[Edit] = []
        if not is_suspect:
            new, lines, edits = self._familiar_in_matching.leave_out(head + body, learned)
            is_suspect = may_need_decoding(new) or self._may_find(new, request.origin.host)
            if not (is_suspect or vault.is_in(new) or has_placeholder(new)):
                self._familiar_in_matching.remember(lines, learned)
                return edit_request(request, edits)
        if is_suspect or edits:
            parts = request_parts(request)
            self._apply_rules_to_request(parts, request, is_matching=True)
            if len(self._learned_pairs) > _MOST_PAIRS:
                self._learned_pairs = set()  # a new set, as another thread may be using the old one
            self._learned_pairs.update(self._content.pairs_to_leave_out(head[slice(*_query_span(request))]))
        else:
            parts = request_parts(request)
        learned = vault.searched
        edits = parts.edits(vault.unified_occurrences)
        self._familiar_in_matching.remember_edits(head, edits, learned)
        return edit_request(request, edits)

    def hide_weakly_named(self, request: Request) -> Request:
        """Return a redacted request in which values with weak names in the query are hidden too, whatever they are.

        A program without a key sends "key=test" where a secret was recorded. The same object if there is no such name.
        """
        edits = self._content.doubtful_edits(request.head_octets, _target_stop(request))
        return edit_request(request, edits)

    def note_sent(self, recorded: Request | None, sent: Request) -> None:
        """Note what the program sends in a pair of its query or form, or in JSON, where a placeholder was recorded.

        From now on `restore` replaces the placeholder by that: a program that sends a state or a nonce, which are new
        in each run, expects them in the answers (RFC 6749 section 10.12).
        """
        if recorded is None or not (recorded.body_octets or b"?" in recorded.head_octets):
            return
        for then, now in zip(_texts_of_pairs(recorded), _texts_of_pairs(sent), strict=True):
            if b"secret" in then or b"eyJ" in then:
                self._vault.note_sent(sent_in_place_of(then, now))
        if b"secret" in recorded.body_octets and max(len(recorded.body_octets), len(sent.body_octets)) <= _LONG:
            then, now = recorded.content, sent.content
            if then[:1] == now[:1] == b"{":
                self._vault.note_sent(members_in_place_of(then, now))

    @property
    def restores(self) -> bool:
        """`restore` may change something."""
        return self._vault.has_declared

    def restore(self, interaction: Interaction) -> Interaction:
        """Replace placeholders in what the peer sends by declared secrets, and by what was sent."""
        if not self.restores:
            return interaction
        octets = interaction.track.octets
        if not (has_placeholder(octets) or may_need_decoding(octets)):
            return interaction
        edits = response_parts(interaction.track, interaction.request).edits(self._vault.declared)
        if not edits:
            return interaction
        return replace(interaction, track=interaction.track.edited(edits))

    def redact_text(self, text: str) -> str:
        """Remove secrets from a text that is shown to users."""
        octets = text.encode("utf-8", "surrogateescape")
        edits = self._content.all_edits(octets)
        return splice(octets, edits).decode("utf-8", "surrogateescape") if edits else text

    # -- private ---------------------------------------------------------------------------------------------

    def _without_learned_pairs(self, request: Request) -> Request:
        """Leave out the pairs of the query that are secret by their names, and whose values are known."""
        start, stop = _query_span(request)
        pairs = request.head_octets[start:stop].split(b"&")
        kept = [pair for pair in pairs if pair not in self._learned_pairs]
        if len(kept) == len(pairs):
            return request
        query = b"&".join(kept)
        return edit_request(request, [Edit(start if query else start - 1, stop, query)])

    def _apply_rules_to_request(self, parts: Parts, request: Request, is_matching: bool = False) -> None:
        target_stop = _target_stop(request)
        parts.apply_rules(self._content, target_stop, is_matching)
        parts.by_rule = self._content.with_path(parts.by_rule, request.origin.host, request.head_octets, target_stop)

    def _message(self, octets: bytes | None, request: Request, track: Track | None = None) -> _Message:
        """Create the `_Message`; `octets` is None if it is long."""
        if octets is None:
            return _Message(request, track, is_opaque=True)
        return _Message(request, track, octets, *self._familiar.leave_out(octets, self._vault.searched))

    def _decode(self, message: _Message) -> None:
        """Remove chunks and codings from a message, if it has some; that may be impossible."""
        if not may_need_decoding(message.new):
            return
        plain = message.take_apart().plain_octets
        message.is_opaque = plain is None
        if plain is not None:
            message.octets = plain
            message.new, lines, message.edits = self._familiar.leave_out(plain, self._vault.searched)
            # Lines that say how the content is coded must be checked each time.
            message.lines = [line for line in lines if not is_of_content(line)]

    def _is_clean(self, sent: _Message, received: _Message) -> bool:
        """Tell whether there is nothing to hide in the new parts of an exchange.

        That is the usual case. One look at both messages is cheaper than one at each.
        """
        whole = b"%b\n%b" % (sent.new, received.new)
        return not (self._may_find(whole, sent.host) or self._vault.is_in(whole))

    def _is_suspect(self, message: _Message) -> bool:
        """Tell whether a rule could find something in the new part of a message, or a coding hide it; cheap."""
        return message.is_opaque or self._may_find(message.new, message.host)

    def _apply_rules(self, message: _Message) -> None:
        message.is_ruled = True
        if message.track is None:
            self._apply_rules_to_request(message.take_apart(), message.request)
        else:
            message.take_apart().apply_rules(self._content)

    def _is_still_clean(self, message: _Message) -> bool:
        """Tell whether nothing that was learned since is in a message that needs no rules."""
        if message.octets is None:
            return False
        new, _, message.edits = self._familiar.leave_out(message.octets, self._vault.searched)
        return new == message.new and not self._vault.is_in(new)

    def _may_find(self, message: bytes, host: str) -> bool:
        """Tell whether a rule could find something in a message. `host` is that of a request, "" for a response."""
        # The rules check a long content in the same way, so it is not done twice.
        return (
            len(message) > _LONG
            or host in HOST_PATHS
            or self._content.may_find(message)
            or (host != "" and self._content.may_find_in_path(message))
        )

    def _without_secrets_in_failure(self, track: Track) -> Track:
        failure = track.failure
        if failure is None:
            return track
        text = self.redact_text(failure.text) if failure.text else failure.text
        details = {name: self._redact_detail(value) for name, value in failure.details.items()}
        if text == failure.text and details == failure.details:
            return track
        return replace(track, failure=replace(failure, text=text, details=details))

    def _redact_detail(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, list | tuple):
            return type(value)(map(self._redact_detail, value))
        return value


def _edited(interaction: Interaction, in_request: Sequence[Edit], in_response: Sequence[Edit]) -> Interaction:
    request, track = interaction.request, interaction.track
    if in_response:
        track = track.edited(in_response)
    if in_request and request is not None:
        track = move_positions(track, shift(in_request, -len(request.head_octets)))
        request = edit_request(request, in_request)
    return replace(interaction, request=request, track=track) if in_request or in_response else interaction


_MOST_PAIRS = 1000
# Longer messages go directly through the rules, which are as fast.
_LONG = 1 << 14
_TARGET = re.compile(rb"[^ \t\r\n]+[ \t]+[^ \t\r\n]+")


def _redact_claims(rules: Rules, vault: Vault, claims: bytes) -> bytes:
    return splice(claims, ContentRules(rules, vault).all_edits(claims))


def _texts_of_pairs(request: Request) -> tuple[bytes, bytes]:
    """The query, and the content if it may be a form."""
    is_form = request.body_octets and "urlencoded" in (request.value("Content-Type") or "")
    return request.head_octets[slice(*_query_span(request))], request.content if is_form else b""


def _query_span(request: Request) -> tuple[int, int]:
    """Where the query begins and ends in the head; it may be empty."""
    stop = _target_stop(request)
    return request.head_octets.find(b"?", 0, stop) + 1 or stop, stop


def _target_stop(request: Request) -> int:
    """Where the request target ends in the head."""
    target = _TARGET.match(request.head_octets)
    return target.end() if target is not None else 0


def _checked(name: str, value: str | bytes) -> tuple[str, bytes]:
    """A secret that `secrets=` declares. Raises InvalidOption, which does not show it."""
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]{,63}", name):
        raise InvalidOption(f"the name of a secret is a short word such as api_key, with no number first, not {name!r}")
    if not isinstance(value, str | bytes) or not value:
        shown = repr(value) if value is None or not value else f"a value of type {type(value).__name__}"
        raise InvalidOption(
            f"the secret {name!r} is a text or octets, not {shown}; where it is not known, give some other text"
        )
    return name, value.encode() if isinstance(value, str) else value
