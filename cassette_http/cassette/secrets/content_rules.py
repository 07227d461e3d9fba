"""Secrets in a text: by the names before them, by their look, and inside base64 (pure).

A text is a head, a content without its codings, or the text of an error. Its format does not matter (JSON, a form, XML,
events, a page with all of them): a pair of name and value counts wherever it is, also in JSON inside a string of
JSON, and in a text that was cut off. A rule gives edits of the value alone, so everything around it stays.

Each form in which a name and its value are written has a module of its own. Before any of them runs, one cheap look
makes sure that there is a name, or something else, for which they have a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from operator import attrgetter
from urllib.parse import unquote_to_bytes

from cassette_http.cassette.secrets.archives import is_archive, rewritten_archive
from cassette_http.cassette.secrets.charsets import is_binary
from cassette_http.cassette.secrets.environment import netrc_passwords, secrets_of_variable
from cassette_http.cassette.secrets.escaped_parts import (
    PRINTABLE,
    SOFT_BREAK,
    find_in_part,
    find_in_strings,
    printable_parts,
)
from cassette_http.cassette.secrets.field_rules import field_edits
from cassette_http.cassette.secrets.hiding import Hiding, Inner
from cassette_http.cassette.secrets.json_lists import blocks_of_lists
from cassette_http.cassette.secrets.json_members import find_by_path, find_literals, find_members
from cassette_http.cassette.secrets.looks import find_by_look, find_by_pattern, find_in_stream
from cassette_http.cassette.secrets.markup import find_in_markup
from cassette_http.cassette.secrets.packed import BEGINS_AS_JSON, find_in_packed
from cassette_http.cassette.secrets.pairs import (
    FORM_PAIR,
    QUERY_PAIR,
    find_behind_steps,
    find_in_multipart,
    find_in_path,
    find_in_percent_encoded,
    find_in_userinfo,
    find_pairs,
    has_encoded_sign,
    has_file,
    hide_doubtful_pairs,
    is_left_out_alone,
    leave_out_pairs,
    names_in_path,
    texts_of_parts,
)
from cassette_http.cassette.secrets.placeholders import has_placeholder, is_placeholder, unifying
from cassette_http.cassette.secrets.protobuf import IS_PROTOBUF, find_in_protobuf, texts_in_protobuf
from cassette_http.cassette.secrets.quick_look import DEEPEST, QuickLook
from cassette_http.cassette.secrets.rules import Rules
from cassette_http.cassette.secrets.sentences import find_in_sentences
from cassette_http.cassette.secrets.settings_lines import find_in_head, find_in_lines
from cassette_http.cassette.secrets.shapes import HOST_PATHS, runs
from cassette_http.cassette.secrets.tables import find_cells, find_in_inserts
from cassette_http.cassette.secrets.telling_objects import find_in_objects
from cassette_http.cassette.secrets.vault import Vault
from cassette_http.cassette.splicing import Edit, apportioned, merged, shift, splice

BLOCK_OCTETS = 1 << 16
"""A long text is checked in blocks of this size before its lines are searched, which takes ten times as long."""

_LONG = 1 << 14
_PERCENT = b"%"[0]


class ContentRules:
    """The rules for texts, with the vault in which they hide secrets."""

    def __init__(self, rules: Rules, vault: Vault) -> None:
        self._rules, self._vault, self._hiding = rules, vault, Hiding(rules, vault)
        self.may_find = QuickLook(self._hiding).may_find

    def may_find_in_path(self, head: bytes) -> bool:
        """Tell whether a name comes before a value in the path of a request; cheap."""
        if self._hiding.telling(names_in_path(head)):
            return True
        stop = head.find(b"\n")
        return _PERCENT in head and has_encoded_sign(head, stop) and self.may_find(unquote_to_bytes(head[:stop]))

    # -- what is known from the start -------------------------------------------------------------------------

    def learn_environment(self, environment: Mapping[str, str]) -> None:
        """Learn the values of variables with telling names, and the passwords of URLs."""
        rules = replace(self._rules, functions=())  # not used here, and perhaps not hashable
        for name, value in environment.items():
            for secret in secrets_of_variable(rules, name, value):
                self._vault.know(secret)

    def learn_netrc(self, text: str) -> None:
        """Learn the passwords of a netrc file."""
        for secret in netrc_passwords(text):
            self._vault.know(secret)

    # -- all rules -------------------------------------------------------------------------------------------

    def edits(
        self,
        text: bytes,
        *,
        is_head: bool = False,
        is_form: bool = False,
        is_matching: bool = False,
        is_suspect: bool = False,
        depth: int = 0,
    ) -> list[Edit]:
        """Find secrets in a text, learn them, and return the edits that hide them.

        `is_head`: its lines are fields, which have rules of their own. `is_form`: the whole text is
        application/x-www-form-urlencoded. `is_suspect`: the quick look was made before. For matching, a value with a
        telling name that is empty or null counts as a secret too.
        """
        if not (is_suspect or self.may_find(text)):
            return []
        find = partial(self._found, is_head=is_head, is_form=is_form, is_matching=is_matching, depth=depth)
        is_whole = len(text) <= _LONG or is_form or self._rules.patterns or self._rules.json_paths
        blocks = [] if is_whole else blocks_of_lists(text, self._hiding)
        return self._edits_apart(text, blocks, find) if blocks else find(text)

    def _edits_apart(
        self, text: bytes, blocks: list[tuple[int, int]], find: Callable[[bytes], list[Edit]]
    ) -> list[Edit]:
        """Find secrets in some blocks of a text, and in what is around them, each separately."""
        starts, stops = zip(*blocks, strict=True)
        around = list(zip((0, *stops), (*starts, len(text)), strict=True))
        text_around = b"\n".join([text[start:stop] for start, stop in around])
        edits = find(text_around) if self.may_find(text_around) else []
        parts = [*apportioned(edits, [stop - start for start, stop in around], gap=1)]
        parts += [find(block) if self.may_find(block) else [] for block in (text[slice(*span)] for span in blocks)]
        moved = [shift(part, start) for (start, _), part in zip([*around, *blocks], parts, strict=True)]
        return sorted(chain.from_iterable(moved), key=attrgetter("start"))

    def packed_edits(self, text: bytes, media_type: str, is_matching: bool) -> list[Edit]:
        """Find secrets in MessagePack, CBOR or Protocol Buffers, learn them, and return the edits that hide them."""
        learned = self._vault.searched
        edits = self._packed_edits(text, media_type, is_matching)
        # A secret that was learned may also be before its name, where only the rules correct lengths.
        return edits if self._vault.searched == learned else self._packed_edits(text, media_type, is_matching)

    def _packed_edits(self, text: bytes, media_type: str, is_matching: bool) -> list[Edit]:
        hiding = self._hiding

        def inner(text: bytes) -> list[Edit]:
            edits = self.all_edits(text)
            return unifying(text, edits) if is_matching else edits

        if IS_PROTOBUF.search(media_type) is None:
            if BEGINS_AS_JSON.match(text):
                return self.edits(text, is_matching=is_matching)
            return _merged([], find_in_packed(text, "cbor" in media_type, hiding, inner, is_matching))
        texts = texts_in_protobuf(text, media_type)
        if not texts:
            return self.edits(text, is_matching=is_matching)  # another format, such as JSON
        together = b"\n".join(texts)
        # One look at all of them is cheaper than one at each.
        may_find = hiding.telling(texts) or self.may_find(together) or self._vault.is_in(together)
        if not (may_find or (is_matching and has_placeholder(together))):
            return []
        return _merged([], find_in_protobuf(text, media_type, hiding, inner, is_matching))

    def _found(self, text: bytes, is_head: bool, is_form: bool, is_matching: bool, depth: int) -> list[Edit]:
        """Apply all rules, to parts that are quoted-printable separately: a line may be broken within a value there."""

        def inner(text: bytes, *, is_last: bool = False) -> list[Edit]:
            deeper = DEEPEST if is_last else depth + 1
            return self.edits(text, is_matching=is_matching, depth=deeper) if depth < DEEPEST else []

        def inner_or_known(text: bytes) -> list[Edit]:
            return merged(inner(text), self._vault.occurrences(text))

        printable = [*printable_parts(text)] if depth < DEEPEST else []
        in_printable = [edit for span in printable for edit in find_in_part(text, *span, PRINTABLE, inner_or_known)]
        if is_matching:  # where lines are broken depends on the length of the secret
            in_printable += [Edit(*each.span(), b"") for span in printable for each in SOFT_BREAK.finditer(text, *span)]
        if printable:
            text = splice(text, [Edit(start, stop, b" " * (stop - start)) for start, stop in printable])
        in_codes = inner if depth < DEEPEST else None
        hiding = self._hiding
        spans = runs(text)
        if is_archive(text) and in_codes is not None:
            new = rewritten_archive(text, partial(self._hidden_in_member, inner=inner))
            return [Edit(0, len(text), new)] if new != text else []
        by_look = find_by_look(text, hiding, spans, in_codes)
        if is_binary(text) or has_file(text):
            parts = texts_of_parts(text) if in_codes is not None else ()
            in_parts = (shift(inner(text[start:stop]), start) for start, stop in parts)
            return _first_of(find_by_pattern(text, hiding), chain.from_iterable(in_parts), by_look)
        if is_head:
            in_lines = [find_in_head(text, hiding), find_in_sentences(text, hiding, text.find(b"\n") + 1)]
        else:
            spans_of_lines = self._lines_to_search(text)
            in_lines = [
                find_cells(text, hiding),
                find_in_inserts(text, hiding),
                chain.from_iterable(find_in_lines(text, hiding, *span) for span in spans_of_lines),
                find_literals(text, hiding),
                find_in_sentences(text, hiding),
                find_in_stream(text, hiding, inner),
            ]

        return _first_of(
            leave_out_pairs(text, "form", hiding) if is_form and is_matching else (),
            find_by_pattern(text, hiding),
            find_by_path(text, hiding),
            find_in_objects(text, hiding, is_matching),
            find_members(text, hiding, is_matching),
            find_pairs(text, hiding, "form", FORM_PAIR, is_matching, inner) if is_form else (),
            find_pairs(text, hiding, "query", QUERY_PAIR, is_matching, inner),
            find_in_percent_encoded(text, inner),
            find_in_multipart(text, hiding, is_matching),
            *in_lines,
            find_in_markup(text, hiding, inner),
            find_in_strings(text, inner),
            find_behind_steps(text, spans, hiding),
            find_in_userinfo(text, hiding),
            by_look,
            in_printable,
        )

    def _hidden_in_member(self, content: bytes, is_of_package: bool, inner: Inner) -> bytes:
        known = self._vault.occurrences
        return splice(content, known(content) if is_of_package else merged(inner(content), known(content)))

    def _lines_to_search(self, text: bytes) -> Iterator[tuple[int, int]]:
        """The parts of a text, in whole lines, in which a rule could find something."""
        start = 0
        while start < len(text):
            stop = len(text) if len(text) - start <= BLOCK_OCTETS else text.find(b"\n", start + BLOCK_OCTETS) + 1
            stop = stop or len(text)
            if stop - start == len(text) or self.may_find(text[start:stop]):
                yield start, stop
            start = stop

    def all_edits(self, text: bytes) -> list[Edit]:
        """What the rules find, and the secrets known from elsewhere."""
        return merged(self.edits(text), self._vault.occurrences(text))

    def field_edits(self, head: bytes) -> list[Edit]:
        """Hide what is secret according to the names of fields."""
        return field_edits(head, self._rules, self._vault)

    def with_path(self, edits: list[Edit], host: str, head: bytes, stop: int) -> list[Edit]:
        """Add the part of a path that is secret with some hosts, whatever it looks like."""
        pattern = HOST_PATHS.get(host)
        found = pattern.search(head, 0, stop) if pattern is not None else None
        if found is None or is_placeholder(found[1]):
            return edits
        hidden = self._vault.hide(found[1]) if found[1].strip() else found[1]
        # Here, even a value that is plainly no secret is treated as one.
        return merged([Edit(*found.span(1), b"{{secret}}" if hidden == found[1] else hidden)], edits)

    def target_edits(self, head: bytes, stop: int, is_matching: bool) -> list[Edit]:
        """Find secrets in the request target, which ends at `stop`; for matching, leave out pairs that are secret."""

        def inner(text: bytes, *, is_last: bool = False) -> list[Edit]:
            return self.edits(text, is_matching=is_matching, depth=DEEPEST if is_last else 1)

        start = head.find(b"?", 0, stop) + 1
        in_path = _merged([], find_in_path(head, start or stop, self._hiding, inner))
        if not start:
            return in_path
        query = head[start:stop]
        found = _merged([], find_pairs(query, self._hiding, "query", FORM_PAIR, is_matching, inner))
        if is_matching:
            found = _merged(leave_out_pairs(query, "query", self._hiding), found)
            if found and not splice(query, found):
                return [*in_path, Edit(start - 1, stop, b"")]
        return in_path + shift(found, start)

    def pairs_to_leave_out(self, query: bytes) -> list[bytes]:
        """The pairs of a query that are left out for matching, whatever is around them."""
        pairs = query.split(b"&") if not self._rules.patterns else []  # a pattern may match several pairs
        return [pair for pair in pairs if is_left_out_alone(pair, self._hiding)]

    def doubtful_edits(self, head: bytes, stop: int) -> list[Edit]:
        """Hide values with weak names in the query of the request target, which ends at `stop`."""
        start = head.find(b"?", 0, stop) + 1
        return shift(hide_doubtful_pairs(head[start:stop], self._hiding), start) if start else []


def _first_of(*rules: Iterable[Edit]) -> list[Edit]:
    """The edits of several rules; an edit that overlaps one of an earlier rule is dropped. Rules run one by one."""
    found: list[Edit] = []
    for rule in rules:
        found = _merged(found, rule)
    return found


def _merged(first: list[Edit], second: Iterable[Edit]) -> list[Edit]:
    """Add edits that overlap neither the first ones nor each other."""
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
