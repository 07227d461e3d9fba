"""Secrets in a text: by the names in front of them, by their look, and inside base64 (pure).

A text is a head, a content without its codings, or the text of an error. What it is - JSON, a form, XML, events,
a page with all of them - is not asked: a pair of name and value is one wherever it stands, also in JSON that is a
string of JSON, and in a text that was cut off. A rule gives edits of the value alone, so what is around it stays.

Each form in which a name and its value are written has a module of its own. Before any is asked, one cheap look makes
sure that there is a name, or something else, that they would answer to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cassette_http.cassette.field_rules import PARAMETER, field_edits
from cassette_http.cassette.hiding import Hiding
from cassette_http.cassette.json_members import find_by_path, find_members, member_names, pair_names, record_names
from cassette_http.cassette.looks import ASCII_IN_BASE64, find_by_look, find_by_pattern, is_binary
from cassette_http.cassette.markup import find_in_markup
from cassette_http.cassette.pairs import (
    FORM_PAIR,
    FORM_START,
    QUERY_PAIR,
    USERINFO,
    find_in_multipart,
    find_in_userinfo,
    find_pairs,
    leave_out_pairs,
    query_names,
)
from cassette_http.cassette.redaction_rules import Rules
from cassette_http.cassette.secret_shapes import HOST_PATHS, find_shapes, has_shape_at, runs
from cassette_http.cassette.settings_lines import (
    LONGEST_SETTINGS,
    find_cells,
    find_literals,
    find_settings,
    literal_members,
    netrc_passwords,
    secrets_of_variable,
)
from cassette_http.cassette.splicing import Edit, merged, shift, splice
from cassette_http.cassette.vault import Vault, is_placeholder

__all__ = ["ContentRules"]

DEEPEST = 3  # base64 or percent-encoding inside of each other
_LONG = 1 << 14
_MOST_NAMES = 10_000


class ContentRules:
    """The rules for texts, with the vault that they hide secrets in."""

    def __init__(self, rules: Rules, vault: Vault) -> None:
        self._rules, self._vault, self._hiding = rules, vault, Hiding(rules, vault)
        self._ordinary_members: set[bytes] = set()  # backwards, as they are found
        self._ordinary_runs: set[bytes] = set()  # with the octet in front of them

    # -- is it worth a look? ---------------------------------------------------------------------------------

    def has_line_of_interest(self, message: bytes) -> bool:
        """Tell whether a message has a line with the name of a secret, or a field that says to decode its content."""
        # Lines of the content count, too: they may be settings, or an echo of fields.
        names = _FIELD_NAME.findall(message, 0, LONGEST_SETTINGS)
        place = "settings" if "fields" in self._rules.off else "fields"
        if self._hiding.is_ordinary(place, names):
            return False
        return not _CODED_FIELDS.isdisjoint(map(bytes.lower, names)) or bool(self._hiding.secrets(place, names))

    def may_find(self, text: bytes, spans: list[tuple[int, int]] | None = None) -> bool:
        """Tell whether `edits` could find something; cheap, and rather too often than too seldom.

        `spans` are the runs of the text, if they are known.
        """
        backwards = member_names(text)
        if not self._ordinary_members.issuperset(backwards):
            if self._hiding.secrets("json", [name[::-1] for name in backwards]):
                return True
            if len(self._ordinary_members) < _MOST_NAMES:
                self._ordinary_members.update(backwards)
        has_values = b"eulav" in backwards or b"eulaV" in backwards
        if has_values and self._hiding.secrets("json", record_names(text)):
            return True
        if b'["' in text and self._hiding.secrets("json", pair_names(text)):
            return True
        if b"@" in text and USERINFO.search(text):
            return True
        if b"=" in text and (
            b"<" in text
            or ((pair := FORM_START.match(text)) and self._hiding.secrets("form", [pair[1]]))
            or self._hiding.secrets("query", query_names(text))
            or (b'="' in text and self._hiding.secrets("fields", [name for name, _ in PARAMETER.findall(text)]))
        ):
            return True
        if (b"<" in text and b"</" in text) or (b"\\" in text and b'\\"' in text):
            return True
        if b"%" in text and (b"%22" in text or b"%3" in text):
            return True
        if self._rules.patterns or self._rules.json_paths or b"form-data" in text:
            return True
        if b"uthorization: " in text or b"javascript" in text:
            return True
        spans = runs(text) if spans is None else spans
        return bool(spans) and self._may_be_shaped(text, spans)

    def _may_be_shaped(self, text: bytes, spans: list[tuple[int, int]]) -> bool:
        """Tell whether one of the runs of a text could be more than an id or the name of something."""
        if b"earer " in text or b"PRIVATE KEY" in text or b"Private-Lines" in text:
            return True
        is_doubtful = False
        for start, stop in spans:
            run = text[max(start - 1, 0) : stop]
            if run in self._ordinary_runs:
                continue
            if ASCII_IN_BASE64.match(text, start, stop):
                return True
            if has_shape_at(text, start, stop):
                is_doubtful = True
            elif len(self._ordinary_runs) < _MOST_NAMES:
                self._ordinary_runs.add(run)
        return is_doubtful and next(find_shapes(text, spans), None) is not None

    # -- what is known from the start -------------------------------------------------------------------------

    def learn_environment(self, environment: Mapping[str, str]) -> None:
        """Learn the values of variables that are named as secrets, and the passwords of URLs."""
        rules = replace(self._rules, functions=())  # these do not count here, and need not be hashable
        for name, value in environment.items():
            for secret in secrets_of_variable(rules, name, value):
                self._vault.know(secret)

    def learn_netrc(self, text: str) -> None:
        """Learn the passwords of a netrc file."""
        for secret in netrc_passwords(text):
            self._vault.know(secret)

    # -- all rules -------------------------------------------------------------------------------------------

    def edits(
        self, text: bytes, *, is_head: bool = False, is_form: bool = False, is_matching: bool = False, depth: int = 0
    ) -> list[Edit]:
        """Find secrets in a text, learn them, and return the edits that hide them.

        `is_head`: its lines are fields, which have rules of their own. `is_form`: the whole text is
        application/x-www-form-urlencoded. For matching, no value counts that has the name of a secret, if it is an
        empty one or none.
        """
        has_line = not is_head and (is_form or len(text) > _LONG or self.has_line_of_interest(b"\n" + text))
        if not has_line and not self.may_find(text) and (is_head or not any(literal_members(text))):
            return []
        return self._found(text, is_head, is_form, is_matching, depth)

    def _found(self, text: bytes, is_head: bool, is_form: bool, is_matching: bool, depth: int) -> list[Edit]:
        """Ask all rules."""

        def inner(text: bytes) -> list[Edit]:
            return self.edits(text, is_matching=is_matching, depth=depth + 1) if depth < DEEPEST else []

        hiding = self._hiding
        found = _merged([], find_by_pattern(text, hiding))
        if is_binary(text):
            return _merged(found, find_by_look(text, hiding, runs(text), inner))
        found = _merged(found, find_by_path(text, hiding))
        found = _merged(found, find_members(text, hiding, is_matching))
        if is_form and is_matching:
            found = _merged(leave_out_pairs(text, "form", hiding), found)
        if is_form:
            found = _merged(found, find_pairs(text, hiding, "form", FORM_PAIR, is_matching, inner))
        found = _merged(found, find_pairs(text, hiding, "query", QUERY_PAIR, is_matching, inner))
        found = _merged(found, find_in_multipart(text, hiding, is_matching))
        if not is_head:
            found = _merged(found, find_settings(text, hiding))
            found = _merged(found, find_literals(text, hiding))
        found = _merged(found, find_in_markup(text, hiding))
        found = _merged(found, find_in_userinfo(text, hiding))
        return _merged(found, find_by_look(text, hiding, runs(text), inner))

    def table_edits(self, text: bytes) -> list[Edit]:
        """Hide the cells of a table (CSV) below the names of secrets."""
        return find_cells(text, self._hiding)

    def all_edits(self, text: bytes) -> list[Edit]:
        """What the rules find, and the secrets known from elsewhere."""
        return merged(self.edits(text), self._vault.occurrences(text))

    def field_edits(self, head: bytes) -> list[Edit]:
        """Hide what the names of fields say is secret."""
        return field_edits(head, self._rules, self._vault)

    def with_path(self, edits: list[Edit], host: str, head: bytes, stop: int) -> list[Edit]:
        """Add the part of a path that is secret with some hosts, whatever it looks like."""
        pattern = HOST_PATHS.get(host)
        found = pattern.search(head, 0, stop) if pattern is not None else None
        if found is None or is_placeholder(found[1]):
            return edits
        hidden = self._vault.hide(found[1]) if found[1].strip() else b"{{secret}}"
        return merged([Edit(found.start(1), found.end(1), hidden)], edits) if hidden != found[1] else edits

    def target_edits(self, head: bytes, stop: int, is_matching: bool) -> list[Edit]:
        """Find secrets in the request target, which ends at `stop`; for matching, leave out pairs that are secret."""
        start = head.find(b"?", 0, stop) + 1
        if not start:
            return []

        def inner(text: bytes) -> list[Edit]:
            return self.edits(text, is_matching=is_matching, depth=1)

        query = head[start:stop]
        found = _merged([], find_pairs(query, self._hiding, "query", FORM_PAIR, is_matching, inner))
        if is_matching:
            found = _merged(leave_out_pairs(query, "query", self._hiding), found)
            if found and not splice(query, found):
                return [Edit(start - 1, stop, b"")]
        return shift(found, start)


_FIELD_NAME = re.compile(rb"\n[ \t]*+(?:export[ \t]+)?([\w.-]{1,80}+)[ \t]*+[:=]")
_CODED_FIELDS = frozenset({b"transfer-encoding", b"content-encoding", b"upgrade"})


def _merged(first: list[Edit], second: Iterable[Edit]) -> list[Edit]:
    """Add edits that do not overlap with the first ones, nor with each other."""
    others: list[Edit] = []
    behind = 0
    second = list(second)
    if not second:
        return first
    for edit in sorted(second, key=lambda each: (each.start, -each.stop)):
        if edit.start >= behind and edit.start < edit.stop:
            others.append(edit)
            behind = edit.stop
    return merged(first, others)
