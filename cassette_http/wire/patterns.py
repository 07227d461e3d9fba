"""Regular expressions: possessive repeats that mean the same in every release of Python, and one for many words.

Up to 3.11.4, `(?:ab?c)*+` ends after an attempt that failed in the middle (python/cpython#106052). There the repeated
part is put into an atomic group, `(?:(?>ab?c))*+`, which goes back to its beginning.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, AnyStr


def compile_atomic(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Compile `pattern` with atomic groups in its possessive repeats; if it has any, the result has no text."""
    parser, compiler = import_module("re._parser"), import_module("re._compiler")
    tree = parser.parse(pattern, int(flags))
    if not _make_atomic(tree, parser):
        return re.compile(pattern, flags)
    compiled: re.Pattern[AnyStr] = compiler.compile(tree, int(flags))
    return compiled


to_pattern = re.compile if sys.version_info >= (3, 11, 5) else compile_atomic


def any_of(beginnings: Iterable[str]) -> bytes:
    """One expression for all, grouped by the first character, so that only the few of one group are tried."""
    by_first: dict[str, list[str]] = {}
    for beginning in beginnings:
        literal = beginning[:1] if beginning[:1].isalnum() else ""
        by_first.setdefault(literal, []).append(beginning[len(literal) :])
    return "(?:{})".format("|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())).encode()


def _make_atomic(tree: Any, parser: Any) -> bool:
    is_changed = False
    for operation, argument in tree:
        for part in _parts_of(argument, parser.SubPattern):
            is_changed |= _make_atomic(part, parser)
        if operation is parser.POSSESSIVE_REPEAT and not _is_one_character(argument[2]):
            body = argument[2]
            body.data = [(parser.ATOMIC_GROUP, parser.SubPattern(body.state, body.data))]
            is_changed = True
    return is_changed


def _parts_of(argument: Any, kind: type) -> Iterator[Any]:
    if isinstance(argument, kind):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for one in argument:
            yield from _parts_of(one, kind)


def _is_one_character(tree: Any) -> bool:
    return len(tree) == 1 and str(tree[0][0]) in {"ANY", "IN", "LITERAL", "NOT_LITERAL"}
