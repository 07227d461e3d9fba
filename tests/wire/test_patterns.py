"""Possessive repeats that go back to where a failed attempt began, in each release of Python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from cassette_http.wire.patterns import compile_atomic, to_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        pytest.param(r"(?:ab?c)++", "aca", "ac", id="last attempt fails in its middle"),
        pytest.param(r"(?:ab?c)*+a", "acabca", "acabca", id="what follows begins there"),
        pytest.param(r"(?:[^\"\\]|\\.)*+\\", "a\\nb\\", "a\\nb\\", id="of two kinds"),
        pytest.param(r"(?:ab?c){1,2}+", "acacac", "acac", id="at most"),
        pytest.param(r"(?:ab)?+a", "aba", "aba", id="perhaps"),
        pytest.param(r"(?:x(?:ab?c)*+;)++", "xac;xaca", "xac;", id="one within another"),
        pytest.param(r"(?=(?:ab?c)++(a))|.", "aca", "", id="looking ahead"),
        pytest.param(r"(?:(a)b?c)++", "aca", "ac", id="with a group"),
        pytest.param(r"(?:ab?c)++(?P<rest>a)", "aca", "aca", id="before a group"),
        pytest.param(r"[ab]*+c", "abac", "abac", id="of single characters"),
        pytest.param(r"(?x) (?: a b? c )++ [ ]", "ac ", "ac ", id="verbose"),
    ],
)
@pytest.mark.parametrize("compiled", [to_pattern, compile_atomic])
def test_possessive_repeat(compiled: Callable[[str], re.Pattern[str]], pattern: str, text: str, matched: str) -> None:
    found = compiled(pattern).match(text)
    assert found is not None
    assert found[0] == matched


def test_what_it_has_taken_is_not_given_back() -> None:
    assert compile_atomic("(?:ab?)*+ab").match("abab") is None


def test_pattern_without_such_repeats_keeps_its_text() -> None:
    assert compile_atomic(rb"[a-z]*+", re.IGNORECASE) == re.compile(rb"[a-z]*+", re.IGNORECASE)


PROGRAM = """
import importlib, pkgutil, re, sys
from re import _parser
import cassette_http.wire.patterns as patterns

def compile(pattern, flags=0, plain=re.compile):
    changed = isinstance(pattern, (str, bytes)) and patterns._make_atomic(_parser.parse(pattern, int(flags)), _parser)
    if changed and sys._getframe(1).f_globals["__name__"].startswith("cassette_http"):
        print(sys._getframe(1).f_globals["__name__"], pattern)
    return plain(pattern, flags)

re.compile = compile
for module in pkgutil.walk_packages(sys.modules["cassette_http"].__path__, "cassette_http."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_all_patterns_that_need_it_are_made_for_each_release() -> None:
    """`to_pattern` is taken before the program counts what is compiled past it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
