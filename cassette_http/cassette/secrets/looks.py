"""Secrets that are recognised by how they look, or by a pattern of the user; also inside base64 (pure)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from cassette_http.cassette.secrets.base64_text import base64_at, to_base64
from cassette_http.cassette.secrets.charsets import is_binary
from cassette_http.cassette.secrets.coded_texts import coded_texts
from cassette_http.cassette.secrets.field_rules import redact_basic
from cassette_http.cassette.secrets.hiding import Hiding, Inner
from cassette_http.cassette.secrets.names import NameKind, looks_random
from cassette_http.cassette.secrets.shapes import find_shapes
from cassette_http.cassette.secrets.streamed_texts import streamed_texts
from cassette_http.cassette.splicing import Edit, merged, splice


def find_by_pattern(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find what matches the patterns of the user."""
    for pattern in hiding.rules.patterns:
        for found in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            start, stop = found.span(group)
            if 0 <= start < stop and (hidden := hiding.vault.hide(found[group])) != found[group]:
                yield Edit(start, stop, hidden)


def find_by_look(text: bytes, hiding: Hiding, spans: list[tuple[int, int]], inner: Inner | None) -> Iterator[Edit]:
    """Find tokens, keys and credentials; `spans` are the runs of the text, `inner` looks into base64."""
    off = hiding.rules.off
    found = [
        Edit(start, stop, hidden)
        for start, stop, name in find_shapes(text, spans)
        if name not in off and (hidden := hiding.vault.hide(text[start:stop])) != text[start:stop]
    ]
    if b"earer " in text and "bearer" not in off:
        found = merged(found, list(_bearer(text, hiding)))
    if b"uthorization: " in text and "authorization" not in off:
        found = merged(found, list(_quoted_authorization(text, hiding)))
    if inner is not None and "base64" not in off:
        found = merged(found, _in_codes(text, hiding, spans, inner))
    yield from found


def find_in_stream(text: bytes, hiding: Hiding, inner: Inner) -> Iterator[Edit]:
    """Find secrets that are split among the events or lines of a stream."""
    for streamed in streamed_texts(text):
        plain = streamed.plain
        if edits := merged(inner(plain), hiding.vault.occurrences(plain)):
            yield from streamed.edited(edits, text)


def _bearer(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    for found in _BEARER.finditer(text):
        token = found["token"]
        if looks_random(token.decode("latin-1")) and (hidden := hiding.vault.hide(token)) != token:
            yield Edit(*found.span("token"), hidden)


def _quoted_authorization(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """A field that is quoted in a text, for example in a command."""
    for found in _QUOTED_AUTHORIZATION.finditer(text):
        if (hidden := hiding.hidden(NameKind.CREDENTIALS, found[1])) is not None:
            yield Edit(*found.span(1), hidden)


def _in_codes(text: bytes, hiding: Hiding, spans: list[tuple[int, int]], inner: Inner) -> list[Edit]:
    blocks = coded_texts(text, spans)
    found: list[Edit] = []
    for block in blocks:
        if edits := merged(inner(block.plain, is_last=block.is_inflated), hiding.vault.occurrences(block.plain)):
            found.append(block.edited(edits))
    # A part of a block is not a whole secret; after an odd number of borders, a run is inside of a block.
    borders = [border for block in blocks for border in (block.start, block.stop)]
    outside = [start for start, _ in spans if bisect_right(borders, start) % 2 == 0]
    return merged(found, list(_in_base64(text, hiding, outside, inner)))


def texts_in_base64(text: bytes, starts: Iterable[int]) -> Iterator[tuple[int, int, bytes]]:
    """Texts in base64 that begin where runs begin: where they start and stop, and the decoded text."""
    behind = 0
    for start in starts:
        if start >= behind and _ASCII_IN_BASE64.match(text, start) and (run := base64_at(text, start)) is not None:
            behind, plain = run
            if not is_binary(plain):
                yield start, behind, plain


def is_basic(text: bytes, start: int) -> bool:
    """Tell whether credentials begin at a position, after their scheme."""
    return text[max(0, start - 6) : start] in (b"Basic ", b"basic ")


def _in_base64(text: bytes, hiding: Hiding, starts: Iterable[int], inner: Inner) -> Iterator[Edit]:
    for start, stop, plain in texts_in_base64(text, starts):
        old = new = text[start:stop]
        if is_basic(text, start) and b":" in plain:
            new = redact_basic(old, hiding.vault)
        elif edits := merged(inner(plain), hiding.vault.occurrences(plain)):
            new = to_base64(splice(plain, edits), old)
        if new != old:
            yield Edit(start, stop, new)


# In a field, the rule for the field applies, which may be off.
_BEARER = re.compile(rb"(?<!uthorization: )[Bb]earer (?P<token>[\w.~+/-]{16,}=*)", re.ASCII)
# Within a line, as whole lines are settings; and not a variable or an example.
_QUOTED_AUTHORIZATION = re.compile(
    rb"[Aa]uthorization: ((?:[Bb]earer|[Bb]asic|[Tt]oken) (?![$<{%.\[])[^\s\"'\\<>,;)]{6,})"
)
# ASCII text in base64 has one of these at the beginning of each group of four characters.
_ASCII_IN_BASE64 = re.compile(rb"(?:[A-Za-f][A-Za-z0-9+/_-]{3}){5}")
