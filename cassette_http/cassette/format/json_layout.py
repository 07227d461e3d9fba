"""Breaks JSON text into lines of a limited width, and undoes that (pure text; no JSON value is built).

Only white space between tokens changes, so the spelling of numbers and escapes, the order of members and
duplicate names are preserved. Nothing is recursive, as foreign data may be nested to any depth.
"""

from __future__ import annotations

from cassette_http.wire.patterns import to_pattern

# The two ways in which programs write JSON on one line: '{"a":1,"b":2}' and '{"a": 1, "b": 2}'.
COMPACT, SPACED = "json compact", "json spaced"

LINE_WIDTH = 100
DEEPEST = 24  # deeper values stay on one line, as indentation grows with the square of the depth
LONGEST_TEXT = 1 << 20  # longer texts are not broken into lines: nobody reads them, and it takes time

# What JSON without white space has outside of strings; "\0" stands for a string.
OUTSIDE = to_pattern(r"[-+.\w:,\0\[\]{}]*+")
STRING = r'"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"'
STRINGS, STRINGS_IN_OCTETS = to_pattern(STRING), to_pattern(STRING.encode())
WHITE_SPACE = b" \t\n\r"
NUL, BACKSLASH = b"\0\\"  # as numbers, which Python finds fastest
OPENERS = {"}": "{", "]": "["}
BORDER = "\1"  # a temporary mark between a bracket and its content
NUMBERS = to_pattern(r"[-0-9][^\n]*+(?:\n[-0-9][^\n]*+)*+")


def lay_out(text: str) -> tuple[str, str] | None:
    """Break JSON that is too long for one line; return the lines and the name of its original form.

    White space after the value (usually a last line end) is kept. None if `text` is short, is not JSON on one
    line, or is too deep or too long to be read by people.
    """
    if not LINE_WIDTH < len(text) <= LONGEST_TEXT or text[0] not in "{[":
        return None
    value = text.rstrip(" \n")
    if value[-1] not in "}]" or "\n" in value or "\0" in value or BORDER in value:
        return None
    # Without escaped quotes, each quote begins or ends a string. One character is found faster than two.
    parts = STRINGS.split(value) if "\\" in value and '\\"' in value else value.split('"')
    outside = "\0".join(parts[::2])
    dense = "".join(outside.split())
    form = COMPACT if dense == outside else SPACED
    if OUTSIDE.fullmatch(dense) is None or (form == SPACED and dense.replace(",", ", ").replace(":", ": ") != outside):
        return None
    parts[::2] = _broken_up(dense).split("\0")
    lines = _lines('"'.join(parts).split(BORDER))
    return None if lines is None else (lines + text[len(value) :], form)


def undo(octets: bytes, form: str) -> bytes:
    """Undo the layout: the inverse of `lay_out`, on UTF-8. Raises ValueError if that is impossible."""
    if form not in (COMPACT, SPACED):
        raise ValueError(f"there is no form {form!r}, only {COMPACT!r} and {SPACED!r}")
    value = octets.rstrip(b" \n")
    if NUL in value:
        raise ValueError("JSON cannot contain NUL")
    # One octet is found twenty times as fast as two, and most texts have no backslash.
    has_escapes = BACKSLASH in value and b'\\"' in value
    parts = STRINGS_IN_OCTETS.split(value) if has_escapes else value.split(b'"')
    outside = b"\0".join(parts[::2]).translate(None, WHITE_SPACE)
    if form == SPACED:
        outside = outside.replace(b",", b", ").replace(b":", b": ")
    parts[::2] = outside.split(b"\0")
    return b'"'.join(parts) + octets[len(value) :]


def _broken_up(dense: str) -> str:
    """Put each member and element on its own line, and borders inside all brackets."""
    lines = dense.replace(",", ",\n").replace(":", ": ")
    lines = lines.replace("{", "{\1").replace("}", "\1}").replace("[", "[\1").replace("]", "\1]")
    return lines.replace("{\1\1}", "{}").replace("[\1\1]", "[]")


def _lines(parts: list[str]) -> str | None:
    """Put each member or element on its own line, unless its whole container fits on one; numbers share lines.

    `parts` are the texts between borders. None if the brackets do not match.
    """
    if not all(parts) or "\n" in parts[0]:
        return None
    # The open container: its first line, its items, and whether one of them has several lines.
    opening, items, is_wide = "", list[str](), False
    containers: list[tuple[str, list[str], bool]] = []
    for part in parts:
        last = part[-1]
        if last == "\n":
            return None  # a comma before a bracket
        if part[0] in "}]":
            closing, line_end, part = part.partition("\n")
            if not containers or closing[-1] in "{[" or opening[-1] != OPENERS[closing[0]]:
                return None
            depth, inside = len(containers) - 1, "".join(items)
            is_wide = is_wide or 2 * depth + len(opening) + len(inside) + len(closing) >= LINE_WIDTH
            inside = _indented(inside, depth + 1) if is_wide else inside.replace("\n", " ")
            whole = opening + inside + closing + line_end
            opening, items, contains_wide = containers.pop()
            items.append(whole)
            is_wide = is_wide or contains_wide
        if last in "{[" and part:
            if len(containers) == DEEPEST:
                return None
            others, line_end, first_line = part.rpartition("\n")
            if line_end:
                items.append(others + line_end)
            containers.append((opening, items, is_wide))
            opening, items, is_wide = first_line, [], False
        elif part:
            items.append(part)
    if containers or len(items) != 1 or items[0][-1] == "\n":
        return None
    return items[0]


def _indented(inside: str, depth: int) -> str:
    """The text between the brackets of a container with several lines, whose brackets are at `depth`."""
    if NUMBERS.fullmatch(inside):
        inside = _filled(inside.split("\n"), LINE_WIDTH - 2 * depth)
    return "\n  " + inside.replace("\n", "\n  ") + "\n"


def _filled(items: list[str], width: int) -> str:
    """Put as many items on each line as fit."""
    lines, line = list[str](), items[0]
    for item in items[1:]:
        if len(line) + 1 + len(item) > width:
            lines.append(line)
            line = item
        else:
            line += " " + item
    return "\n".join([*lines, line])
