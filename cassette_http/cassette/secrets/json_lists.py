"""Splits long lists in JSON into their elements, so that each is searched by itself (pure).

A long answer is mostly a list of objects, and a secret in one of them says nothing about the others. So if something is
found in one, the others need not go through all rules.
"""

from __future__ import annotations

import json

from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.wire.patterns import to_pattern

_BLOCK = 1 << 12  # smaller elements are joined
_LONGEST_TEXT = 1 << 22  # reading builds values, which need much more memory than their octets
_MOST_IN_VAIN = 8  # lists inside of each other would be read again and again
_LONGEST_NAME = 100
_BEGINS_JSON = to_pattern(rb"\s*+(?=[\[{])")
_LIST_BEGINS = to_pattern(rb"\[\s*+(?=\{)")
_NEXT_BEGINS = to_pattern(rb"\s*+,\s*+(?=\{)")
_NAME_BEFORE = to_pattern(rb"\"([\w.-]{1,80})\"\s*:\s*\Z")
_read = json.JSONDecoder(strict=False).raw_decode


def blocks_of_lists(text: bytes, hiding: Hiding) -> list[tuple[int, int]]:
    """Where the elements of long lists of objects start and stop, joined into blocks of some KiB.

    Lists with a telling name are not split.
    """
    begins_text = _BEGINS_JSON.match(text)
    if begins_text is None or len(text) > _LONGEST_TEXT:
        return []
    characters = text.decode("latin-1")  # one for each octet
    blocks: list[tuple[int, int]] = []
    behind = in_vain = 0
    while in_vain < _MOST_IN_VAIN and (begins := _LIST_BEGINS.search(text, behind)) is not None:
        start, behind = begins.span()
        name = _NAME_BEFORE.search(text, max(0, start - _LONGEST_NAME), start)
        if hiding.telling([name[1]]) if name is not None else start > begins_text.end():
            continue
        found = _blocks(text, characters, behind)
        if len(found) > 1:
            blocks += found
        if len(found) > 1 or (found and found[0][1] - behind < _BLOCK):
            behind = found[-1][1]
        else:
            in_vain += 1
    return blocks


def _blocks(text: bytes, characters: str, at: int) -> list[tuple[int, int]]:
    """The blocks of a list whose first element begins at `at`; if the list is cut off, only whole elements."""
    blocks: list[tuple[int, int]] = []
    start = at
    while True:
        try:
            stop = _read(characters, at)[1]
        except (ValueError, RecursionError):
            return blocks
        if at > start and at - start < _BLOCK:
            blocks[-1] = start, stop
        else:
            start = at
            blocks.append((start, stop))
        following = _NEXT_BEGINS.match(text, stop)
        if following is None:
            return blocks
        at = following.end()
