"""Shows JSON text fit to width, and takes the layout away again (pure text; no JSON value is ever built).

Only white space between tokens changes, so the spelling of numbers and escapes, the order of members and
duplicate names stay as they were. Nothing recurses: the depth of foreign data is no business of our stack.
"""

from __future__ import annotations

import re

__all__ = ["COMPACT", "SPACED", "lay_out", "undo"]

# The two ways in which programs write JSON on one line: '{"a":1,"b":2}' and '{"a": 1, "b": 2}'.
COMPACT, SPACED = "json compact", "json spaced"

LINE_WIDTH = 100
DEEPEST = 24  # what is nested deeper is left on one line, as indentation grows with the square of the depth
LONGEST_TEXT = 1 << 20  # longer texts, too: nobody reads them, and each pass costs

# What stands outside of strings in JSON without white space; "\0" is for a string.
OUTSIDE = re.compile(r"[-+.\w:,\0\[\]{}]*+")
STRINGS = re.compile(r'"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"')
STRINGS_IN_OCTETS = re.compile(STRINGS.pattern.encode())
WHITE_SPACE = b" \t\n\r"
OPENERS = {"}": "{", "]": "["}


def lay_out(text: str) -> tuple[str, str] | None:
    """Break JSON that is too long for one line; return the lines and the name of the form that it had.

    White space after the value (a last line end, mostly) is kept. None if `text` is short, or no JSON on one
    line, or too deep or too long to be read by anybody.
    """
    if not LINE_WIDTH < len(text) <= LONGEST_TEXT or text[0] not in "{[":
        return None
    value = text.rstrip(" \n")
    if "\n" in value or "\0" in value:
        return None
    # Without escaped quotes, each is the beginning or the end of a string.
    parts = STRINGS.split(value) if '\\"' in value else value.split('"')
    outside = "\0".join(parts[::2])
    dense = "".join(outside.split())
    form = COMPACT if dense == outside else SPACED
    if OUTSIDE.fullmatch(dense) is None or (form == SPACED and dense.replace(",", ", ").replace(":", ": ") != outside):
        return None
    parts[::2] = _broken_up(dense).split("\0")
    lines = _lines('"'.join(parts).split("\n"))
    return None if lines is None else ("\n".join(lines) + text[len(value) :], form)


def undo(octets: bytes, form: str) -> bytes:
    """Take the layout away: the inverse of `lay_out`, on UTF-8. Raises ValueError if that is impossible."""
    if form not in (COMPACT, SPACED):
        raise ValueError(f"there is no form {form!r}, only {COMPACT!r} and {SPACED!r}")
    value = octets.rstrip(b" \n")
    if b"\0" in value:
        raise ValueError("in JSON there is no NUL")
    # One octet is found twenty times as fast as two, and most texts have none of these.
    has_escapes = b"\\" in value and b'\\"' in value
    parts = STRINGS_IN_OCTETS.split(value) if has_escapes else value.split(b'"')
    outside = b"\0".join(parts[::2]).translate(None, WHITE_SPACE)
    if form == SPACED:
        outside = outside.replace(b",", b", ").replace(b":", b": ")
    parts[::2] = outside.split(b"\0")
    return b'"'.join(parts) + octets[len(value) :]


def _broken_up(dense: str) -> str:
    """Put each bracket, member and element on a line of its own, but empty containers on one."""
    lines = dense.replace(",", ",\n").replace(":", ": ")
    lines = lines.replace("{", "{\n").replace("}", "\n}").replace("[", "[\n").replace("]", "\n]")
    return lines.replace("{\n\n}", "{}").replace("[\n\n]", "[]")


def _lines(tokens: list[str]) -> list[str] | None:
    """Put one member or element on a line, unless the container that they are in fits on one; numbers are filled in.

    None if the brackets do not match.
    """
    if not all(tokens):
        return None
    # A container that is open: its first line, its items (text, or lines of a broken one), their width.
    opening, items, width = "", list[str | list[str]](), 0
    containers: list[tuple[str, list[str | list[str]], int]] = []
    for token in tokens:
        first, last = token[0], token[-1]
        if last == "{" or last == "[":
            if len(containers) == DEEPEST:
                return None
            containers.append((opening, items, width))
            opening, items, width = token, [], 0
        elif first == "}" or first == "]":
            if not containers or opening[-1] != OPENERS[first]:
                return None
            depth = len(containers) - 1
            whole: str | list[str]
            if 2 * depth + len(opening) + width + len(token) <= LINE_WIDTH:
                whole = opening + " ".join(items) + token  # type: ignore[arg-type]  # broken ones are too wide
                taken = len(whole) + 1
            else:
                whole = _broken(opening, items, token, depth)
                taken = LINE_WIDTH
            opening, items, width = containers.pop()
            items.append(whole)
            width += taken
        else:
            items.append(token)
            width += len(token) + 1
    if containers or len(items) != 1:
        return None
    return [items[0]] if isinstance(items[0], str) else items[0]


def _broken(opening: str, items: list[str | list[str]], closing: str, depth: int) -> list[str]:
    outer, inner = "  " * depth, "  " * (depth + 1)
    lines = [outer + opening]
    if all(item[0] in "-0123456789" for item in items):
        line = inner
        for item in items:
            assert isinstance(item, str)
            if len(line) + len(item) > LINE_WIDTH:
                lines.append(line[:-1])
                line = inner
            line += item + " "
        lines.append(line[:-1])
    else:
        for item in items:
            if isinstance(item, str):
                lines.append(inner + item)
            else:
                lines += item
    lines.append(outer + closing)
    return lines
