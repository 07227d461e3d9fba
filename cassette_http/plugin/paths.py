"""Paths, tests and commands as they are shown: seen from where pytest was started, to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from cassette_http.system import os

# More tests than that are named by the cache of the last failures.
MOST_TESTS_NAMED = 3


def command_that_records(config: pytest.Config, tests: Sequence[str]) -> str:
    """Give the command that records what these tests missed; a cassette stays as it is unless its test then passes."""
    named = " ".join(map(shlex.quote, tests))
    if len(tests) > MOST_TESTS_NAMED:
        modules = dict.fromkeys(test.partition("::")[0] for test in tests)
        named = "--lf" if config.pluginmanager.has_plugin("cacheprovider") else " ".join(map(shlex.quote, modules))
    return f"pytest {named} --cassette-update=failed"


def shown_test(config: pytest.Config, nodeid: str) -> str:
    """Give the id of a test as seen from where pytest was started; node ids are seen from the root."""
    file, separator, rest = nodeid.partition("::")
    return shown_path(config, config.rootpath / file).replace(os.sep, "/") + separator + rest


def shown_path(config: pytest.Config, path: Path | str) -> str:
    """Shorten a path, or a "file:line"; one that is outside of the project stays as it is."""
    # As texts: a report may be written while pyfakefs has other classes in the place of those of pathlib.
    text, start, root = (os.fspath(each) for each in (path, config.invocation_params.dir, config.rootpath))
    is_inside = any(text == folder or text.startswith(os.path.join(folder, "")) for folder in (start, root))
    return os.path.relpath(text, start) if is_inside else text


def shown_paths(config: pytest.Config, text: str) -> str:
    """Shorten the paths in a text; a line of the short summary has no room for whole ones."""
    return text.replace(f"{config.invocation_params.dir}{os.sep}", "")
