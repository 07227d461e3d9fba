"""Paths, tests and commands for display: relative to where pytest was started, and ready to paste into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from cassette_http.system import os

# If there are more tests, the cache of the last failures is used instead of their names.
MOST_TESTS_NAMED = 3


def command_that_records(config: pytest.Config, tests: Sequence[str]) -> str:
    """The command that records what these tests missed; a cassette is not changed unless its test then passes."""
    named = " ".join(map(shlex.quote, tests))
    if len(tests) > MOST_TESTS_NAMED:
        modules = dict.fromkeys(test.partition("::")[0] for test in tests)
        named = "--lf" if config.pluginmanager.has_plugin("cacheprovider") else " ".join(map(shlex.quote, modules))
    return f"pytest {named} --cassette-update=failed"


def shown_test(config: pytest.Config, nodeid: str) -> str:
    """The id of a test relative to where pytest was started; node ids are relative to the root."""
    file, separator, rest = nodeid.partition("::")
    return shown_path(config, config.rootpath / file).replace(os.sep, "/") + separator + rest


def shown_path(config: pytest.Config, path: Path | str) -> str:
    """Shorten a path, or a "file:line"; one outside of the project is not changed."""
    # As text: a report may be written while pyfakefs has replaced the classes of pathlib.
    text, start, root = (os.fspath(each) for each in (path, config.invocation_params.dir, config.rootpath))
    is_inside = any(text == folder or text.startswith(os.path.join(folder, "")) for folder in (start, root))
    return os.path.relpath(text, start) if is_inside else text


def shown_paths(config: pytest.Config, text: str) -> str:
    """Shorten the paths in a text; a line of the short summary has no room for complete ones."""
    return text.replace(f"{config.invocation_params.dir}{os.sep}", "")
