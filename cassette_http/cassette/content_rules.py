"""Secrets in a text: by the names in front of them, by their look, and inside base64 (pure).

A text is a head, a content without its codings, or the text of an error. What it is - JSON, a form, XML, events,
a page with all of them - is not asked: a pair of name and value is one wherever it stands, also in JSON that is a
string of JSON, and in a text that was cut off. A rule gives edits of the value alone, so what is around it stays.

Each rule first makes sure, cheaply, that there is a name it would answer to.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote_to_bytes

from cassette_http.cassette.field_rules import COOKIE_RULES, PARAMETER, field_edits, redact_basic, redact_credentials
from cassette_http.cassette.redaction_rules import Rules
from cassette_http.cassette.secret_names import NameKind, looks_random
from cassette_http.cassette.secret_shapes import HOST_PATHS, find_shapes, has_shape_at, runs
from cassette_http.cassette.splicing import Edit, merged, splice
from cassette_http.cassette.vault import Vault, base64_at, is_placeholder, to_base64

__all__ = ["ContentRules"]

DEEPEST = 3  # base64 or percent-encoding inside of each other
LONGEST_UNQUOTED = 1 << 16
_LONGEST_SETTINGS = 1 << 16
_LONG = 1 << 14
_SAMPLE = 1 << 10
_MOST_NAMES = 10_000


class ContentRules:
    """The rules for texts, with the vault that they hide secrets in."""

    def __init__(self, rules: Rules, vault: Vault) -> None:
        self._rules, self._vault = rules, vault
        self._ordinary: defaultdict[str, set[bytes]] = defaultdict(set)
        self._ordinary_members: set[bytes] = set()  # backwards, as they are found
        self._ordinary_runs: set[bytes] = set()  # with the octet in front of them

    # -- is it worth a look? ---------------------------------------------------------------------------------

    def has_line_of_interest(self, message: bytes) -> bool:
        """Tell whether a message has a line with the name of a secret, or a field that says to decode its content."""
        # Lines of the content count, too: they may be settings, or an echo of fields.
        names = _FIELD_NAME.findall(message, 0, _LONGEST_SETTINGS)
        place = "settings" if "fields" in self._rules.off else "fields"
        if self._ordinary[place].issuperset(names):
            return False
        return not _CODED_FIELDS.isdisjoint(map(bytes.lower, names)) or bool(self._secrets(place, names))

    def may_find(self, text: bytes, spans: list[tuple[int, int]] | None = None) -> bool:
        """Tell whether `edits` could find something; cheap, and rather too often than too seldom.

        `spans` are the runs of the text, if they are known.
        """
        backwards = _member_names(text)
        if not self._ordinary_members.issuperset(backwards):
            if self._secrets("json", [name[::-1] for name in backwards]):
                return True
            if len(self._ordinary_members) < _MOST_NAMES:
                self._ordinary_members.update(backwards)
        if b"eulav" in backwards or b"eulaV" in backwards:
            names = {*_RECORD.findall(text), *(name for _, name in _TURNED_RECORD.findall(text))}
            if self._secrets("json", names):
                return True
        if b'["' in text and self._secrets("json", _PAIR_NAME.findall(text)):
            return True
        if b"@" in text and _USERINFO.search(text):
            return True
        if b"=" in text and (
            b"<" in text
            or ((pair := _FORM_START.match(text)) and self._secrets("form", [pair[1]]))
            or self._secrets("query", _query_names(text))
            or (b'="' in text and self._secrets("fields", [name for name, _ in PARAMETER.findall(text)]))
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
            if _ASCII_IN_BASE64.match(text, start, stop):
                return True
            if has_shape_at(text, start, stop):
                is_doubtful = True
            elif len(self._ordinary_runs) < _MOST_NAMES:
                self._ordinary_runs.add(run)
        return is_doubtful and next(find_shapes(text, spans), None) is not None

    def _secrets(self, place: str, names: Iterable[bytes]) -> list[bytes]:
        """The names that are no ordinary ones."""
        # Most messages of a session have the same names.
        names = set(names).difference(self._ordinary[place])
        if not names:
            return []
        secret = {name for name in names if self._rules.kind(place, name) is not NameKind.ORDINARY}
        if len(self._ordinary[place]) < _MOST_NAMES:
            self._ordinary[place] |= names - secret
        return sorted(secret)

    # -- what is known from the start -------------------------------------------------------------------------

    def learn_environment(self, environment: Mapping[str, str]) -> None:
        """Learn the values of variables that are named as secrets, and the passwords of URLs."""
        rules = replace(self._rules, functions=())  # these do not count here, and need not be hashable
        for name, value in environment.items():
            for secret in _secrets_of_variable(rules, name, value):
                self._vault.know(secret)

    def learn_netrc(self, text: str) -> None:
        """Learn the passwords of a netrc file."""
        for found in _NETRC_PASSWORD.finditer(text):
            self._vault.know((found[1].replace('\\"', '"') if found[1] else found[2]).encode())

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
        if not has_line and not self.may_find(text) and (is_head or not any(_literal_members(text))):
            return []
        return self._found(text, is_head, is_form, is_matching, depth)

    def _found(self, text: bytes, is_head: bool, is_form: bool, is_matching: bool, depth: int) -> list[Edit]:
        """Ask all rules."""
        if is_binary(text):
            return merged(list(self._by_pattern(text)), list(self._by_shape(text, runs(text), depth)))
        found = list(self._by_pattern(text))
        found = _merged(found, self._by_json_path(text))
        found = _merged(found, self._in_json(text, is_matching))
        if is_form and is_matching:
            found = _merged(self._without_pairs(text, "form"), found)
        if is_form:
            found = _merged(found, self._in_pairs(text, "form", _FORM_PAIR, is_matching, depth))
        found = _merged(found, self._in_pairs(text, "query", _QUERY_PAIR, is_matching, depth))
        found = _merged(found, self._in_multipart(text, is_matching))
        if not is_head:
            found = _merged(found, self._in_lines(text))
            found = _merged(found, self._in_object_literals(text))
        found = _merged(found, self._in_xml(text))
        found = _merged(found, self._in_userinfo(text))
        return _merged(found, self._by_shape(text, runs(text), depth))

    def table_edits(self, text: bytes) -> list[Edit]:
        """Hide the cells of a table (CSV) below the names of secrets, which are in its first row."""
        first = text[: text.find(b"\n")] if b"\n" in text else b""
        cell = _CELLS[max(_CELLS, key=first.count)]
        names = [found["cell"].strip(b'" ') for found in cell.finditer(first)]
        kinds = [self._rules.kind("form", name) for name in names]
        edits: list[Edit] = []
        if all(kind is NameKind.ORDINARY for kind in kinds):
            return edits
        column = 0
        for found in cell.finditer(text, len(first) + 1):
            column = 0 if found["begins"] is not None else column + 1
            kind = kinds[column] if column < len(kinds) else NameKind.ORDINARY
            if kind is NameKind.ORDINARY:
                continue
            start, stop = found.span("cell")
            if found["cell"].startswith(b'"'):
                start, stop = start + 1, stop - 1
            hidden = self._hidden(kind, text[start:stop].replace(b'""', b'"'))
            if hidden is not None:
                edits.append(Edit(start, stop, hidden))
        return edits

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
        """Find secrets in the request target, which ends at `stop`; for
        matching, pairs that are secret are left out."""
        start = head.find(b"?", 0, stop) + 1
        if not start:
            return []
        query = head[start:stop]
        found = _merged([], self._in_pairs(query, "query", _FORM_PAIR, is_matching, 0))
        if is_matching:
            found = _merged(self._without_pairs(query, "query"), found)
            if found and not splice(query, found):
                return [Edit(start - 1, stop, b"")]
        return _shifted(found, start)

    def _without_pairs(self, text: bytes, place: str) -> list[Edit]:
        """Leave out the pairs whose names say that they are secret, so that a request without them is the same."""
        spans: list[tuple[int, int, bool]] = []
        at = 0
        for pair in text.split(b"&"):
            spans.append((at, at + len(pair), self._is_strong(place, pair.partition(b"=")[0])))
            at += len(pair) + 1
        kept = [start for start, _, is_secret in spans if not is_secret]
        # One "&" goes with each: the one behind, but in front where only such pairs follow.
        return [
            Edit(start, stop + 1, b"") if kept and start < kept[-1] else Edit(max(start - 1, 0), stop, b"")
            for start, stop, is_secret in spans
            if is_secret
        ]

    def _is_strong(self, place: str, name: bytes) -> bool:
        return self._rules.kind(place, name) in _STRONG

    # -- by name ---------------------------------------------------------------------------------------------

    def _in_json(self, text: bytes, is_matching: bool) -> Iterator[Edit]:
        names = {name[::-1] for name in set(_member_names(text))}
        if len(text) <= LONGEST_UNQUOTED and b'\\"' in text and b'"query"' in text:
            names.update(name for name in _UNQUOTED_NAME.findall(text))
        if b"value" in names or b"Value" in names:
            yield from self._in_records(text, is_matching)
        if b'["' in text:
            yield from self._in_lists_of_two(text)
        kinds = {name: self._rules.kind("json", name) for name in self._secrets("json", names)}
        members = [
            (found, name)
            for name, kind in kinds.items()
            for found in _member(name, kind is NameKind.WEAK).finditer(text)
            if _is_member(text, found)
        ]
        behind = 0
        for found, name in sorted(members, key=lambda each: each[0].start()):
            if found.start() < behind:
                continue
            for start, stop, kind in _values(text, found.end(), kinds[name]):
                if text[found.end()] != _BRACE:
                    behind = stop  # but members of an object have names of their own
                edit = self._json_value(text, start, stop, name, kind, is_matching)
                if edit is not None:
                    yield edit

    def _in_records(self, text: bytes, is_matching: bool) -> Iterator[Edit]:
        """Members that are written as {"name": "api_key", "value": "..."}, as in lists of fields or variables."""
        for name, start in _records(text):
            kind = self._rules.kind("json", name)
            stop = _value_end(text, start)
            if kind is not NameKind.ORDINARY and stop is not None:
                edit = self._json_value(text, start, stop, name, kind, is_matching)
                if edit is not None:
                    yield edit

    def _in_lists_of_two(self, text: bytes) -> Iterator[Edit]:
        """Members that are written as ["api_key", "..."]; but a list of names of members is one as well."""
        for pair in _PAIR.finditer(text):
            kind, value = self._rules.kind("json", pair["name"]), pair["value"]
            is_field = kind in COOKIE_RULES or kind is NameKind.CREDENTIALS
            if kind is NameKind.ORDINARY or self._rules.kind("json", value) is not NameKind.ORDINARY:
                continue
            if is_field or _MIXED.fullmatch(value) or looks_random(value.decode("latin-1")):
                edit = self._json_value(text, pair.start("value") - 1, pair.end("value") + 1, pair["name"], kind, False)
                if edit is not None:
                    yield edit

    def _json_value(
        self, text: bytes, start: int, stop: int, name: bytes, kind: NameKind, is_matching: bool
    ) -> Edit | None:
        """Hide one value: a string with its quotes, a number, or null."""
        raw = text[start:stop]
        quote = _QUOTE.match(raw)
        if quote is None:
            if is_matching and raw == b"null" and kind in _STRONG:
                return Edit(start, stop, b'"{{secret}}"')
            number = self._vault.hide_number(raw) if _is_secret_number(kind, name, raw) else raw
            return Edit(start, stop, number) if number != raw else None
        inner = (
            raw[quote.end() : -quote.end()]
            if raw.endswith(quote[0]) and len(raw) > len(quote[0])
            else raw[quote.end() :]
        )
        levels = (len(quote[1]) + 1).bit_length()
        value = inner
        for _ in range(levels):
            value = _unescaped(value)
        hidden = self._hidden(kind, value, is_matching)
        if hidden is None:
            return None
        if hidden != b"{{secret}}" and not is_placeholder(hidden):
            for _ in range(levels):
                hidden = json.dumps(hidden.decode("utf-8", "surrogateescape"), ensure_ascii=False)[1:-1].encode(
                    "utf-8", "surrogateescape"
                )
        if not inner:
            return Edit(start, stop, quote[0] + hidden + quote[0])  # an edit needs octets to take the place of
        at = start + quote.end()
        return Edit(at, at + len(inner), hidden)

    def _hidden(self, kind: NameKind, value: bytes, is_matching: bool = False) -> bytes | None:
        """What to write in the place of a value, as far as its name tells; None if it stays."""
        if is_matching and kind in _STRONG and value.strip().lower() in _NOTHING:
            return b"{{secret}}"
        if kind is NameKind.CREDENTIALS:
            hidden = redact_credentials(value, self._vault)
        elif kind in COOKIE_RULES:
            hidden = COOKIE_RULES[kind](value, self._vault)
        elif not _is_secret_value(kind, value):
            return None
        else:
            hidden = self._vault.hide(value, is_searched=_is_distinct(kind, value))
        return None if hidden == value else hidden

    def _in_pairs(
        self, text: bytes, place: str, pattern: re.Pattern[bytes], is_matching: bool, depth: int
    ) -> Iterator[Edit]:
        """Pairs of a query or a form; `place` is where its names are looked up."""
        if b"=" not in text:
            return
        is_whole = pattern is _FORM_PAIR
        names = _FORM_NAME.findall(text) if is_whole else _query_names(text)
        if not (b"%" in text or (is_whole and b"?" in text) or self._secrets(place, names)):
            return
        for pair in pattern.finditer(text):
            kind = self._rules.kind(place, pair["name"])
            raw = pair["value"] if is_whole else _without_end(pair["value"])
            start = pair.start("value")
            if kind is NameKind.ORDINARY:
                if b"%" in raw and depth < DEEPEST:
                    yield from self._percent_encoded(raw, start, is_whole, is_matching, depth)
                elif b"?" in raw and depth < DEEPEST:
                    # A URL that should have been percent-encoded, but was not.
                    inner = raw.find(b"?")
                    edits = self._in_pairs(raw[inner:], "query", _QUERY_PAIR, is_matching, depth + 1)
                    yield from _shifted(edits, start + inner)
                continue
            if pair[0][:1] == b";" and not is_whole and kind in _STRONG:
                # Behind a semicolon it may as well be a statement of a program.
                kind = NameKind.WEAK
            value = unquote_to_bytes(raw.replace(b"+", b" ") if is_whole else raw)
            hidden = self._hidden(kind, value, is_matching and is_whole)
            if hidden is not None:
                is_encoded = value != raw
                yield Edit(start, start + len(raw), quote_plus(hidden).encode() if is_encoded else hidden)

    def _percent_encoded(self, raw: bytes, start: int, is_form: bool, is_matching: bool, depth: int) -> Iterator[Edit]:
        """A value that is itself a URL or JSON: only what is secret in it is spelled anew."""
        positions: list[int] = []
        plain = bytearray()
        for token in _PERCENT_TOKEN.finditer(raw):
            positions.append(token.start())
            plain.append(int(token[1], 16) if token[1] else token[0][0])
        positions.append(len(raw))
        if is_form:
            plain = bytearray(0x20 if raw[at] == 0x2B else octet for at, octet in zip(positions, plain, strict=False))
        for edit in self.edits(bytes(plain), is_matching=is_matching, depth=depth + 1):
            yield Edit(
                start + positions[edit.start], start + positions[edit.stop], quote(edit.octets, safe="").encode()
            )

    def _in_lines(self, text: bytes) -> Iterator[Edit]:
        """Settings: a name and a value in a line of their own, as in a file .env, or fields that are echoed."""
        if b"=" not in text and b":" not in text:
            return
        if not self._secrets("settings", _LINE_NAME.findall(text, 0, _LONGEST_SETTINGS)):
            return
        for line in _LINE.finditer(text, 0, _LONGEST_SETTINGS):
            kind = self._rules.kind("settings", line["name"])
            value = line["value"].rstrip()
            if kind is NameKind.ORDINARY or not _is_setting(kind, line, value):
                continue
            if (hidden := self._hidden(kind, value)) is not None:
                yield Edit(line.start("value"), line.start("value") + len(value), hidden)

    def _in_object_literals(self, text: bytes) -> Iterator[Edit]:
        """Members whose names stand without quotes, as in scripts: {apiKey: 'abc'}."""
        for name, start, stop in _literal_members(text):
            kind = self._rules.kind("json", name)
            hidden = self._hidden(kind, text[start:stop]) if kind in _STRONG else None
            if hidden is not None:
                yield Edit(start, stop, hidden)

    def _in_multipart(self, text: bytes, is_matching: bool) -> Iterator[Edit]:
        if text.find(b"form-data", 0, _SAMPLE) < 0:
            return
        for part in _PART.finditer(text):
            kind = self._rules.kind("multipart", part["name"])
            if kind is not NameKind.ORDINARY:
                stop = text.find(b"\r\n--", part.end())
                value = text[part.end() : stop if stop >= 0 else len(text)]
                if (hidden := self._hidden(kind, value, is_matching)) is not None:
                    yield Edit(part.end(), part.end() + len(value), hidden)

    def _in_xml(self, text: bytes) -> Iterator[Edit]:
        if b"<" not in text:
            return
        if b"</" in text:
            for name in self._secrets("xml", _XML_END.findall(text)):
                for element in _element(name).finditer(text):
                    yield from self._xml_value(self._rules.kind("xml", name), element, "value")
        if b"=" not in text:
            return
        for name in self._secrets("xml", _XML_ATTRIBUTE.findall(text)):
            for attribute in _attribute(name).finditer(text):
                yield from self._xml_value(self._rules.kind("xml", name), attribute, "value")
        for tag in _FORM_TAG.finditer(text):
            called, value = _TAG_NAME.search(tag[0]), _TAG_VALUE.search(tag[0])
            if called is not None and value is not None:
                kind = self._rules.kind("form", called["value"])
                yield from _shifted(self._xml_value(kind, value, "value"), tag.start())

    def _xml_value(self, kind: NameKind, found: re.Match[bytes], group: str) -> Iterator[Edit]:
        raw = found[group]
        value = _XML_ESCAPE.sub(_xml_character, raw) if b"&" in raw else raw
        blanks = len(value) - len(value.lstrip())
        hidden = self._hidden(kind, value.strip()) if kind is not NameKind.ORDINARY else None
        if hidden is not None:
            start = found.start(group) + blanks
            yield Edit(start, start + len(raw.strip()), hidden)

    def _in_userinfo(self, text: bytes) -> Iterator[Edit]:
        if b"@" not in text or "userinfo" in self._rules.off:
            return
        for found in _USERINFO.finditer(text):
            user, password = found["user"], found["password"]
            if password:
                hidden = self._vault.hide(unquote_to_bytes(password))
                if hidden != unquote_to_bytes(password):
                    yield Edit(*found.span("password"), hidden if b"%" not in password else quote_plus(hidden).encode())
            if password in (None, b"", b"x-oauth-basic", b"x") and looks_random(user.decode("latin-1")):
                yield Edit(*found.span("user"), self._vault.hide(user))

    # -- by look ---------------------------------------------------------------------------------------------

    def _by_pattern(self, text: bytes) -> Iterator[Edit]:
        for pattern in self._rules.patterns:
            for found in pattern.finditer(text):
                group = 1 if pattern.groups else 0
                start, stop = found.span(group)
                if 0 <= start < stop and (hidden := self._vault.hide(found[group])) != found[group]:
                    yield Edit(start, stop, hidden)

    def _by_json_path(self, text: bytes) -> Iterator[Edit]:
        paths = self._rules.json_paths
        if not paths or text.lstrip()[:1] not in (b"{", b"["):
            return
        for path, start, stop in _walk_json(text):
            if any(_fits(path, each) for each in paths):
                edit = self._json_value(text, start, stop, b"", NameKind.PASSWORD, False)
                if edit is not None:
                    yield edit

    def _by_shape(self, text: bytes, spans: list[tuple[int, int]], depth: int) -> Iterator[Edit]:
        off = self._rules.off
        found = [
            Edit(start, stop, hidden)
            for start, stop, name in find_shapes(text, spans)
            if name not in off and (hidden := self._vault.hide(text[start:stop])) != text[start:stop]
        ]
        if spans and b"earer " in text and "bearer" not in off:
            found = _merged(found, self._bearer(text))
        if b"uthorization: " in text and "authorization" not in off:
            found = _merged(found, self._quoted_authorization(text))
        if depth < DEEPEST and "base64" not in off:
            found = _merged(found, self._in_base64(text, spans, depth))
        yield from found

    def _bearer(self, text: bytes) -> Iterator[Edit]:
        for found in _BEARER.finditer(text):
            token = found["token"]
            if looks_random(token.decode("latin-1")) and (hidden := self._vault.hide(token)) != token:
                yield Edit(*found.span("token"), hidden)

    def _quoted_authorization(self, text: bytes) -> Iterator[Edit]:
        """A field that is quoted in a text, as of a command."""
        for found in _QUOTED_AUTHORIZATION.finditer(text):
            if (hidden := self._hidden(NameKind.CREDENTIALS, found[1])) is not None:
                yield Edit(*found.span(1), hidden)

    def _in_base64(self, text: bytes, spans: list[tuple[int, int]], depth: int) -> Iterator[Edit]:
        behind = 0
        for start, stop in spans:
            if start < behind or not _ASCII_IN_BASE64.match(text, start, stop):
                continue
            run = base64_at(text, start)
            if run is None:
                continue
            behind, plain = run
            if is_binary(plain):
                continue
            if _BASIC.search(text, max(0, start - 6), start) and b":" in plain:
                hidden = redact_basic(text[start:behind], self._vault)
                if hidden != text[start:behind]:
                    yield Edit(start, behind, hidden)
                continue
            edits = _merged(self.edits(plain, depth=depth + 1), self._vault.occurrences(plain))
            if edits:
                yield Edit(start, behind, to_base64(splice(plain, edits), text[start:behind]))


# Most variables are the same for each cassette of a test run; but pytest keeps the name of the test in one.
@lru_cache(maxsize=1024)
def _secrets_of_variable(rules: Rules, name: str, value: str) -> tuple[bytes, ...]:
    octets = value.encode("utf-8", "surrogateescape")
    kind = rules.kind("environment", name.encode("utf-8", "surrogateescape"))
    found = [unquote_to_bytes(url["password"] or b"") for url in _USERINFO.finditer(octets)]
    # A database called "postgres" with this password would vanish from every text, so no simple words.
    if kind is not NameKind.ORDINARY and not _IS_SESSION.search(name) and _is_secret_value(kind, octets):
        found.insert(0, octets)
    return tuple([secret for secret in found if not _SIMPLE_WORD.fullmatch(secret)])


# -- fields ----------------------------------------------------------------------------------------------------

_FIELD_NAME = re.compile(rb"\n[ \t]*+(?:export[ \t]+)?([\w.-]{1,80}+)[ \t]*+[:=]")
_LINE_NAME = re.compile(rb"^[ \t]*+(?:export[ \t]+)?([\w.-]{1,80}+)[ \t]*+[:=]", re.MULTILINE)
_LINE = re.compile(
    rb"^[ \t]*+(?:export[ \t]+)?(?P<name>[\w.-]{1,80}+)[ \t]*+[:=][ \t]*+"
    rb"(?P<quote>[\"']?)(?P<value>[^\r\n\"']+)(?P=quote)",
    re.MULTILINE,
)
# A word of digits and letters that is no date.
_MIXED = re.compile(rb"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])(?![0-9]{4}-[0-9]{2}-)[^\s(){}\[\];,<>]{6,200}")
_LITERAL_COLON = re.compile(rb":[ \t]*[\"'`]")
_LONGEST_LITERAL_NAME = 64
_LITERAL_NAME = re.compile(rb"(?:^|[^\w$\"'\\.@/-])([A-Za-z_$][\w$]{2,60})[ \t]*\Z")
_LITERAL_VALUE = re.compile(rb"[^\"'`\\\r\n]{1,500}")
# A quoted cell may hold line ends.
_CELLS = {
    delimiter: re.compile(
        rb"(?:(?P<begins>^)|%b)(?P<cell>\"(?:[^\"]|\"\")*+\"|[^%b\r\n\"]*+)" % (delimiter, delimiter), re.MULTILINE
    )
    for delimiter in (b",", b";", b"\t")
}
_CODED_FIELDS = frozenset({b"transfer-encoding", b"content-encoding", b"upgrade"})

# -- texts ---------------------------------------------------------------------------------------------------


def is_binary(text: bytes) -> bool:
    """Tell, by its beginning, whether something is no text: an image, an archive."""
    sample = text[:_SAMPLE]
    if b"\0" in sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        # A character may be cut in two, and Latin-1 texts have some octets that are not UTF-8.
        return error.start < len(sample) - 3 and sum(octet > 0x7F for octet in sample) * 4 > len(sample)
    return False


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


def _shifted(edits: Iterable[Edit], by: int) -> list[Edit]:
    return [Edit(edit.start + by, edit.stop + by, edit.octets) for edit in edits]


# -- names and values ----------------------------------------------------------------------------------------

_STRONG = frozenset(NameKind) - {NameKind.ORDINARY, NameKind.WEAK}
_NOTHING = frozenset({b"", b"none", b"null", b"undefined"})
_URL = re.compile(rb"[a-z][a-z0-9+.-]*://|/", re.IGNORECASE)
_SENTENCE = re.compile(rb"[A-Z][^ ]* .*[.!?]", re.DOTALL)
_STANDS_FOR_ONE = re.compile(rb"[*x.\xe2\x80\xa2\xa6-]+|\$?\{.*\}|<.*>|\[.*\]|%\(?[\w]*\)?s", re.IGNORECASE | re.DOTALL)
_SIMPLE_WORD = re.compile(rb"[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14}")
_LONGEST_SECRET = 1 << 16
_IS_SESSION = re.compile("session", re.IGNORECASE)  # of a desktop
_NETRC_PASSWORD = re.compile(r'\bpassword\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))')


def _is_secret_value(kind: NameKind, value: bytes) -> bool:
    """Tell whether a value is one that its name may hide: no sentence, no URL, nothing that is masked already."""
    if not value.strip() or is_placeholder(value) or _STANDS_FOR_ONE.fullmatch(value) or len(value) > _LONGEST_SECRET:
        return False
    if kind is NameKind.WEAK:
        return looks_random(value.decode("latin-1"))
    if _SENTENCE.fullmatch(value):
        return False
    return kind is NameKind.PASSWORD or not _URL.match(value)


def _literal_members(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Find, in a text that is no JSON, members whose names stand without quotes: name, start and stop of the value."""
    if text.lstrip()[:1] in (b"{", b"["):
        return
    # From the colon back to the name: a search that began with names would begin at each word.
    for colon in _LITERAL_COLON.finditer(text):
        name = _LITERAL_NAME.search(text[max(0, colon.start() - _LONGEST_LITERAL_NAME) : colon.start()])
        value = _LITERAL_VALUE.match(text, colon.end()) if name is not None else None
        if name is not None and value is not None and text.startswith(colon[0][-1:], value.end()):
            yield name[1], *value.span()


def _is_setting(kind: NameKind, line: re.Match[bytes], value: bytes) -> bool:
    """Tell whether the value of a line is meant: a program has such lines as well, with names and calls there."""
    if kind in COOKIE_RULES or kind is NameKind.CREDENTIALS or looks_random(value.decode("latin-1")):
        return True
    if kind not in _STRONG:
        return False
    is_assigned = line["name"].isupper() and line[0].endswith(line["name"] + b"=" + line["value"])  # SECRET_KEY=...
    return bool(line["quote"]) or is_assigned or _MIXED.fullmatch(value) is not None


def _is_distinct(kind: NameKind, value: bytes) -> bool:
    """Tell whether a value can be searched elsewhere: a word would be found where it is only a word."""
    return kind is NameKind.PASSWORD or not (_SIMPLE_WORD.fullmatch(value) or b" " in value)


def _is_secret_number(kind: NameKind, name: bytes, digits: bytes) -> bool:
    if not digits.isdigit():
        return False
    if kind is NameKind.PASSWORD:
        return len(digits) >= 4
    # Times since 1970 and numeric ids are not meant.
    is_time = len(digits) in (10, 13) and digits.startswith((b"1", b"2"))
    is_id = name.lower().endswith((b"id", b"session"))
    return kind in _STRONG and len(digits) >= 6 and not is_time and not is_id


# -- JSON ----------------------------------------------------------------------------------------------------

_BLANK = rb"(?:\s|\\[nrt])*+"
_QUOTE = re.compile(rb"(\\*)[\"']")
_EMAN = re.compile(rb":\s*+[\"']\\*+([\w.$@ :/\[\]#-]{1,80}+)")
_RECORD = re.compile(
    rb"\"(?:name|key|header|field)\"\s*+:\s*+\"(?P<name>[^\"\\]{1,80})\"\s*+,\s*+"
    rb"(?:\"(?!value\")[^\"\\]{1,40}\"\s*+:\s*+(?:\"[^\"\\]{0,200}\"|[\w.-]{1,40}+)\s*+,\s*+){0,3}\"value\"\s*+:\s*+",
    re.IGNORECASE,
)
_TURNED_RECORD = re.compile(
    rb"\"[vV]alue\"\s*+:\s*+(?P<value>\"(?:[^\"\\]|\\.)*+\"|[\w.-]{1,40}+)\s*+,\s*+"
    rb"\"(?:[nN]ame|[kK]ey|[hH]eader|[fF]ield)\"\s*+:\s*+\"(?P<name>[^\"\\]{1,80})\"\s*+[,}]"
)
_PAIR_NAME = re.compile(rb"\[\"([\w.-]{1,80}+)\"\s*+,")
_PAIR = re.compile(rb"\[\"(?P<name>[\w.-]{1,80}+)\"\s*+,\s*+\"(?P<value>(?:[^\"\\\r\n]|\\.)*+)\"\s*+\]")
_FLAT_OBJECT = re.compile(rb"\{[^{}]*+\}")
_OBJECT_VALUE = re.compile(rb":\s*+(?=\\*[\"'][^\"'\\\s]{16})")
_IN_NAME = re.compile(rb"[\w$.-]")
_UNQUOTED_NAME = re.compile(rb"\b([A-Za-z_]\w{1,60})\s*+:\s*+\\")
_BACKSLASH, _BRACE = b"\\{"
# No line ends: else a quote of one field's value would find its fellow in another's.
_STRING_END = re.compile(rb'(?:[^"\\\r\n]|\\.)*+')
_SCALAR = re.compile(rb"-?[0-9][0-9.eE+-]*+|null|true|false")
_LIST_GAP = re.compile(_BLANK + rb",?" + _BLANK)


def _records(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Find names and, in another member of the same object, where their values begin."""
    for found in _RECORD.finditer(text):
        yield found["name"], found.end()
    for found in _TURNED_RECORD.finditer(text):
        yield found["name"], found.start("value")


def _member_names(text: bytes) -> list[bytes]:
    """All names of members, backwards, at any depth of strings in strings; of JSON, and of dictionaries of Python."""
    # One character is found much quicker than two; and backwards a name begins with what is certain.
    if b":" not in text or (b'"' not in text and b"'" not in text):
        return []
    return _EMAN.findall(text[::-1])


@lru_cache(maxsize=1024)
def _member(name: bytes, is_weak: bool) -> re.Pattern[bytes]:
    """Find the name of a member, up to its value; it begins with the name, which makes the search quick.

    A weak name needs a text of some length behind it.
    """
    value = rb"(?=[\[\s]*+\\*[\"'][^\"'\\\s]{16})" if is_weak else b""
    return re.compile(rb"%b(\\*[\"'])?%b:%b%b" % (re.escape(name), _BLANK, _BLANK, value))


def _is_member(text: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether the quotes in front of a name are those behind it. In GraphQL there are none."""
    at, quote = found.start(), found[1]
    if quote is not None:
        return text.endswith(quote, 0, at)
    return text[found.end() : found.end() + 1] == b"\\" and not _IN_NAME.match(text, max(0, at - 1), at)


def _values(text: bytes, at: int, kind: NameKind) -> Iterator[tuple[int, int, NameKind]]:
    """Find the value that begins at a position, or the values of a list or an object, and what each of them is."""
    opening = text[at : at + 1]
    if opening == b"[":
        at += 1
        while (stop := _value_end(text, at := _LIST_GAP.match(text, at).end())) is not None:  # type: ignore[union-attr]
            # Texts in lists are messages about a value more often than values.
            if b" " not in text[at:stop] or kind is NameKind.CREDENTIALS or kind in COOKIE_RULES:
                yield at, stop, kind
            at = stop
    elif opening == b"{" and (inner := _FLAT_OBJECT.match(text, at)) is not None:
        for member in _OBJECT_VALUE.finditer(text, at, inner.end()):
            stop = _value_end(text, member.end())
            if stop is not None:
                yield member.end(), stop, NameKind.WEAK
    elif (stop := _value_end(text, at)) is not None:
        yield at, stop, kind


def _value_end(text: bytes, at: int) -> int | None:
    """Find the end of a string (behind its closing quotes, or where the text was cut off) or another scalar."""
    opening = _QUOTE.match(text, at)
    if opening is None:
        scalar = _SCALAR.match(text, at)
        return None if scalar is None else scalar.end()
    if opening[0] == b'"':
        end = _STRING_END.match(text, opening.end())
        assert end is not None  # it may be empty
        stop = end.end()
    else:
        stop = text.find(opening[0], opening.end())
        while stop > opening.end() and text[stop - 1] == _BACKSLASH:
            stop = text.find(opening[0], stop + 1)
        stop = len(text) if stop < 0 else stop
        if b"\n" in text[opening.end() : stop]:
            return None
    if stop == len(text):
        return stop
    return stop + len(opening[0]) if text.startswith(opening[0], stop) else None


def _unescaped(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    try:
        text: str = json.loads(b'"' + raw + b'"', strict=False)
    except ValueError:
        return raw
    return text.encode("utf-8", "surrogatepass")


_JSON_TOKEN = re.compile(rb'[\s,:]*+("(?:[^"\\]|\\.)*+"|[\[\]{}]|[^\s,:\[\]{}"]++)', re.DOTALL)


def _walk_json(text: bytes) -> Iterator[tuple[list[str], int, int]]:
    """Go through JSON, and give each scalar with its path; without recursion, and not minding what is no JSON."""
    path: list[str] = []
    counters: list[int | None] = []  # of lists; None of objects
    name: str | None = None
    for token in _JSON_TOKEN.finditer(text):
        kind = token[1][:1]
        if kind in b"]}":
            if counters:
                counters.pop()
                if path:
                    path.pop()
            continue
        if counters and counters[-1] is None and name is None and kind == b'"':
            name = _unescaped(token[1][1:-1]).decode("utf-8", "replace")
            continue
        if counters and counters[-1] is not None:
            step = str(counters[-1])
            counters[-1] += 1
        else:
            step = name or ""
        name = None
        if kind in b"[{":
            if counters:
                path.append(step)
            counters.append(0 if kind == b"[" else None)
        else:
            yield [*path, step], *token.span(1)


def _fits(path: list[str], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(b in ("*", a) for a, b in zip(path, pattern, strict=True))


# -- queries, forms, multiparts ------------------------------------------------------------------------------

_NAME = rb"[\w.~%$\[\]*:-]{1,100}"
# "6" ends the "\\u0026" of some JSON. Backwards a name begins with what is certain, and rare.
_EMAN_YREUQ = re.compile(rb"=(%b)[ ]?[?&#;6]" % _NAME)
_FORM_START = re.compile(rb"([^=&\s]{1,200})=")
_FORM_NAME = re.compile(rb"(?:^|&)([^=&]{1,200})=")
_QUERY_PAIR = re.compile(rb"(?:[?&#;]|\\u0026)[ ]?(?P<name>%b+)=(?P<value>[^&\s\"'<>\\;#|^`]*+)" % _NAME)
_FORM_PAIR = re.compile(rb"(?:^|&)(?P<name>[^=&]{1,200})=(?P<value>[^&]*+)")
_PERCENT_TOKEN = re.compile(rb"%([0-9A-Fa-f]{2})|.", re.DOTALL)
_PART = re.compile(
    rb"content-disposition:[^\r\n]*?[ ;]name=\"?(?P<name>[^\";\r\n]+)\"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n",
    re.IGNORECASE,
)
_USERINFO = re.compile(
    rb"://(?P<user>[^/\s:@\"'<>\\?#&]{0,200}+)(?::(?P<password>[^/\s@\"'<>\\?#]{0,500}+))?@(?=[\w\[%-])", re.ASCII
)
_BEARER = re.compile(rb"[Bb]earer (?P<token>[\w.~+/-]{16,}=*)", re.ASCII)
_BASIC = re.compile(rb"[Bb]asic ")
# Within a line, as whole ones are settings; and no variable or example of one.
_QUOTED_AUTHORIZATION = re.compile(
    rb"[Aa]uthorization: ((?:[Bb]earer|[Bb]asic|[Tt]oken) (?![$<{%.\[])[^\s\"'\\<>,;)]{6,})"
)
# Text in ASCII begins each group of four characters with one of these.
_ASCII_IN_BASE64 = re.compile(rb"(?:[A-Za-f][A-Za-z0-9+/_-]{3}){5}")


def _query_names(text: bytes) -> list[bytes]:
    """All names of pairs in URLs."""
    return [name[::-1] for name in _EMAN_YREUQ.findall(text[::-1])] if b"=" in text else []


def _without_end(value: bytes) -> bytes:
    """Leave out what belongs to the sentence or the brackets around a URL; not the braces of a placeholder."""
    shorter = value.rstrip(b".,:!?)]'")
    return shorter if shorter.endswith(b"}}") and b"{{secret" in shorter else shorter.rstrip(b".,:!?)]}'")


# -- XML and HTML --------------------------------------------------------------------------------------------

_XML_END = re.compile(rb"</(?:[\w.-]{1,40}:)?([\w.-]{1,80}+)\s*>")
_XML_ATTRIBUTE = re.compile(rb"[\s:]([\w.-]{1,80}+)\s?=\s?[\"']")
_FORM_TAG = re.compile(rb"<(?:input|meta)\b[^<>]*>", re.IGNORECASE)
_TAG_NAME = re.compile(rb"\sname\s*=\s*([\"']?)(?P<value>[^\"'\s>]+)\1", re.IGNORECASE)
_TAG_VALUE = re.compile(rb"\s(?:value|content)\s*=\s*(?P<quote>[\"'])(?P<value>[^\"'<>]*)(?P=quote)", re.IGNORECASE)
_XML_ESCAPE = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_XML_NAMES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def _xml_character(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return _XML_NAMES[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    return chr(number).encode() if number < 0xD800 or 0xE000 <= number < 0x110000 else found[0]


@lru_cache(maxsize=256)
def _element(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"<(?:[\w.-]+:)?%b(?:\s[^<>]*)?(?<!/)>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\]]+)" % re.escape(name))


@lru_cache(maxsize=256)
def _attribute(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"[\s:]%b\s?=\s?(?P<quote>[\"'])(?P<value>[^\"'<>]*)(?P=quote)" % re.escape(name))
