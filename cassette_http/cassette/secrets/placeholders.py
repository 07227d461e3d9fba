"""Placeholders, `{{secret:1}}`, in all the forms in which they are written (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote_plus

from cassette_http.cassette.secrets.base64_text import base64_run, in_base64, to_base64
from cassette_http.cassette.secrets.coded_texts import coded_texts
from cassette_http.cassette.splicing import Edit, merged, splice

NINES = b"999999999"
IS_NUMBER = re.compile(NINES + rb"[0-9]{6}")
NUMBERED = re.compile(rb"\{\{secret:([0-9]{1,6})\}\}")
# URLs in URLs are percent-encoded once more.
_PLACEHOLDER = re.compile(
    rb"(\{\{|(?:%(?:25){0,3}7b){2})secret(?:(?::|%(?:25){0,3}3a)([A-Za-z0-9_.-]{1,64}))?(?:\}\}|(?:%(?:25){0,3}7d){2})",
    re.IGNORECASE,
)
_DEEPEST = 5  # the deepest nesting in which secrets are found
_START = b"{{secret"
_START_IN_BASE64 = in_base64(_START)
# A JWT whose signature is a placeholder; nine octets of it are twelve characters.
_HIDDEN_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{7,}\.(?:[A-Za-z0-9_-]*\.){1,3}e3tzZWNyZXQ6[A-Za-z0-9_-]+")
_HIDDEN_NUMBER = re.compile(rb"(?<![0-9.])" + NINES + rb"([0-9]{6})(?![0-9.])")


def is_placeholder(value: bytes) -> bool:
    """Tell whether a value is a placeholder, in any form."""
    return _PLACEHOLDER.fullmatch(value) is not None or _HIDDEN_JWT.fullmatch(value) is not None


def next_number(cassette: bytes) -> int:
    """Find the number after the highest placeholder in the octets of a cassette file; 1 if there is none."""
    texts = [cassette, *(text for _, _, text in _placeholders_in_base64(cassette))]
    texts += [text.plain for text in coded_texts(cassette)]
    names = [found[2] or b"" for text in texts for found in _PLACEHOLDER.finditer(text)]
    numbers = [int(name) for name in names if name.isdigit() and len(name) < 10]
    numbers += [int(found[1]) for found in _HIDDEN_NUMBER.finditer(cassette)]
    return 1 + max(numbers, default=0)


def has_placeholder(octets: bytes, depth: int = 0) -> bool:
    """Tell whether there could be a placeholder: plain, in base64 or as a number; cheap."""
    return (
        b"secret" in octets
        or NINES in octets
        or any(core in octets for core in _START_IN_BASE64)
        or (depth < _DEEPEST and any(has_placeholder(text.plain, depth + 1) for text in coded_texts(octets)))
    )


def numbered_placeholders(octets: bytes, depth: int = 0) -> list[Edit]:
    """The edits that make all placeholders the same."""
    whole = [Edit(*found.span(), b"{{secret}}") for found in _HIDDEN_JWT.finditer(octets)]
    whole += [Edit(*found.span(), NINES + b"000000") for found in _HIDDEN_NUMBER.finditer(octets)]
    others = [Edit(*found.span(), b"{{secret}}") for found in _PLACEHOLDER.finditer(octets)]
    return merged(whole, merged(_edits_in_codes(octets, numbered_placeholders, depth), _changing(others, octets)))


def unified(octets: bytes) -> bytes:
    return b"{{secret}}" if NUMBERED.fullmatch(octets) else splice(octets, numbered_placeholders(octets))


def unifying(octets: bytes, edits: list[Edit]) -> list[Edit]:
    """The edit that makes all placeholders the same, including those of `edits`; none if it changes nothing."""
    new = unified(splice(octets, edits))
    return [Edit(0, len(octets), new)] if new != octets else []


def placeholder_edits(octets: bytes, value: Callable[[bytes], bytes | None], depth: int = 0) -> list[Edit]:
    """Replace each placeholder for which there is a value; percent-encoding is kept."""
    plain = []
    for found in _PLACEHOLDER.finditer(octets):
        new = value(found[2] or b"")
        if new is not None:
            plain.append(Edit(*found.span(), new if found[1] == b"{{" else quote_plus(new).encode()))
    in_base64 = _edits_in_codes(octets, lambda text, deeper: placeholder_edits(text, value, deeper), depth)
    return merged(in_base64, _changing(plain, octets))


def _changing(edits: list[Edit], octets: bytes) -> list[Edit]:
    return [edit for edit in edits if edit.octets != octets[edit.start : edit.stop]]


def _edits_in_codes(octets: bytes, edits_of: Callable[[bytes, int], list[Edit]], depth: int) -> list[Edit]:
    """Edit texts in base64, or in other characters, inside a text; nesting is limited."""
    if depth >= _DEEPEST:
        return []
    in_others = [text.edited(inside) for text in coded_texts(octets) if (inside := edits_of(text.plain, depth + 1))]
    in_one = [
        Edit(start, stop, to_base64(splice(text, inside), octets[start:stop]))
        for start, stop, text in _placeholders_in_base64(octets)
        if (inside := edits_of(text, depth + 1))
    ]
    return merged(in_others, in_one)


def _placeholders_in_base64(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    runs: dict[int, tuple[int, int, bytes]] = {}  # by their ends, as two placeholders may share a run
    for core, alignment in _START_IN_BASE64.items():
        at = octets.find(core)
        while at >= 0:
            run = base64_run(octets, at, at + len(core), alignment)
            if run is not None and _START in run[2]:
                runs.setdefault(run[1], run)
            at = octets.find(core, at + len(core) if run is None else run[1])
    yield from runs.values()
