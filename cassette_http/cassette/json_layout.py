"""Shows JSON text fit to width, and takes the layout away again (pure text; no JSON value is ever built).

Only white space between tokens changes, so the spelling of numbers and escapes, the order of members and
duplicate names stay as they were. Nothing recurses: the depth of foreign data is no business of our stack.
"""

from __future__ import annotations

import re
from itertools import chain

__all__ = ["COMPACT", "SPACED", "lay_out", "undo"]

# The two ways in which programs write JSON on one line: '{"a":1,"b":2}' and '{"a": 1, "b": 2}'.
COMPACT, SPACED = "json compact", "json spaced"

LINE_WIDTH = 100
DEEPEST = 24  # what is nested deeper is left on one line, as indentation grows with the square of the depth
LONGEST_TEXT = 1 << 20  # longer texts, too: nobody reads them, and each pass costs

# RFC 8259, of compact text: a member name with its colon, then a bracket or a scalar, then the comma behind it.
STRING = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
TOKEN = re.compile(rf"({STRING}:)?([\[\]{{}}]|{STRING}|[-+.\w]+)(,?)")
STRINGS = re.compile(f"({STRING})")
OPENERS = {"}": "{", "]": "["}


def lay_out(text: str) -> tuple[str, str] | None:
    """Break JSON that is too long for one line; return the lines and the name of the form that it had.

    White space after the value (a last line end, mostly) is kept. None if `text` is short, or no JSON on one
    line, or too deep or too long to be read by anybody.
    """
    if not LINE_WIDTH < len(text) <= LONGEST_TEXT or text[0] not in "{[":
        return None
    value = text.rstrip(" \n")
    tokens = _tokens(value)
    form = COMPACT
    if tokens is None:
        compact, form = _respace(value, is_spaced=False), SPACED
        if _respace(compact, is_spaced=True) != value or (tokens := _tokens(compact)) is None:
            return None
    lines = _lines(tokens)
    return None if lines is None else ("\n".join(lines) + text[len(value) :], form)


def _tokens(compact: str) -> list[tuple[str, str, str]] | None:
    """Take compact text apart; None if it is not compact, or no JSON."""
    tokens = TOKEN.findall(compact)
    # Tokens hold no white space but that in strings, so nothing is lost by putting some between them.
    return tokens if "".join(chain.from_iterable(tokens)) == compact else None


def undo(text: str, form: str) -> str:
    """Take the layout away: the inverse of `lay_out`. Raises ValueError if there is no such form."""
    if form not in (COMPACT, SPACED):
        raise ValueError(f"there is no form {form!r}, only {COMPACT!r} and {SPACED!r}")
    value = text.rstrip(" \n")
    return _respace(value, is_spaced=form == SPACED) + text[len(value) :]


def _respace(text: str, *, is_spaced: bool) -> str:
    """Remove all white space outside strings; put one blank behind each comma and colon there if `is_spaced`."""
    if '\\"' in text:
        parts = STRINGS.split(text)
        joint = "\0"
    else:
        # Each quote is the beginning or the end of a string, and what is even lies outside.
        parts = text.split('"')
        joint = '"'
    outside = "".join(joint.join(parts[::2]).split())
    if is_spaced:
        outside = outside.replace(",", ", ").replace(":", ": ")
    if joint == '"':
        between = outside.split('"')
        parts[::2] = between
        return '"'.join(parts)
    between = outside.split("\0")
    if len(between) != len(parts[::2]):
        return text
    parts[::2] = between
    return "".join(parts)


def _lines(tokens: list[tuple[str, str, str]]) -> list[str] | None:
    """Put one member or element on a line, unless the container that they are in fits on one; numbers are filled in.

    None if the brackets do not match, or if something would be lost.
    """
    # A container that is open: its first line, its items (text, or lines of a broken one), their width.
    opening, items, width = "", list[str | list[str]](), 0
    containers: list[tuple[str, list[str | list[str]], int]] = []
    for name, value, comma in tokens:
        if value in OPENERS:
            if name or not containers or opening[-1] != OPENERS[value]:
                return None
            depth = len(containers) - 1
            closing = value + comma
            whole: str | list[str]
            if not items or 2 * depth + len(opening) + width + len(closing) <= LINE_WIDTH:
                whole = opening + " ".join(items) + closing  # type: ignore[arg-type]  # broken ones are too wide
                taken = len(whole) + 1
            else:
                whole = _broken(opening, items, closing, depth)
                taken = LINE_WIDTH
            opening, items, width = containers.pop()
            items.append(whole)
            width += taken
        elif value == "{" or value == "[":
            if comma or len(containers) == DEEPEST:
                return None
            containers.append((opening, items, width))
            opening, items, width = (f"{name} {value}" if name else value), [], 0
        else:
            item = f"{name} {value}{comma}" if name else value + comma
            items.append(item)
            width += len(item) + 1
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
