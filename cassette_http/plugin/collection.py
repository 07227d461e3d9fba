"""Which tests were collected, whether they are all tests of a module, and what its source says.

Cassettes of tests that were not collected, or not run, must not be judged.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from cassette_http.plugin.pytest_internals import fixture_names

# The parameter by which pytest-repeat makes several tests of one; its values count from 0, but its ids from 1.
REPETITION = "__pytest_repeat_step_number"


def test_of(item: pytest.Item) -> str:
    """The id of a test, without its repetition by pytest-repeat."""
    return without_repetition(item, item.nodeid)


def without_repetition(item: pytest.Item, name: str) -> str:
    """Remove the repetition by pytest-repeat from a name or id of a test (`test_a[x-2-3]`)."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if REPETITION not in parameters:
        return name
    step = int(str(parameters[REPETITION])) + 1
    return re.sub(rf"-{step}-\d+\]$", "]", re.sub(rf"\[{step}-\d+\]$", "", name))


class Collection:
    """The tests of this process. `deselected` are modules of which some tests were left out (-k, -m, --deselect)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.items: list[pytest.Item] = []
        self.deselected: set[Path] = set()

    @property
    def is_chosen(self) -> bool:
        """Tell whether tests were left out: by an option, or because single tests or files were requested."""
        start = self._config.invocation_params.dir
        return (
            bool(self.deselected)
            or any("::" in argument or (start / argument).is_file() for argument in self._config.args)
            or bool(self._config.getoption("lf", False))
        )

    @cached_property
    def names(self) -> dict[str, set[str]]:
        """The names of the tests of each completely collected module, by its path from the root."""
        names: defaultdict[str, set[str]] = defaultdict(set)
        if self._config.getoption("lf", False):
            return names
        chosen = {argument.partition("::")[0] for argument in self._config.args if "::" in argument}
        start = self._config.invocation_params.dir
        partial = {*self.deselected, *((start / path).resolve() for path in chosen)}
        for item in self.items:
            if item.path not in partial:
                module, _, name = test_of(item).partition("::")
                names[module].add(name)
        return names

    def sharers(self, item: pytest.Item, name: str) -> int:
        """How many collected tests name this cassette in their markers, like `item`."""
        return sum(
            1
            for other in self.items
            if other.path.parent == item.path.parent
            and any(name in (*marker.args, marker.kwargs.get("name")) for marker in other.iter_markers("cassette"))
        )

    def has_test(self, nodeid: str) -> bool:
        """Tell whether a test exists, collected or not; True if in doubt."""
        module, _, name = nodeid.partition("::")
        if module in self.names:
            return name in self.names[module]
        path = self._config.rootpath / module
        return path.is_file() and _defines(path, name.partition("[")[0].split("::"))

    def summary(self) -> dict[str, Any]:
        """What the reporting process must know, as JSON values: only of modules with cassettes."""
        with_cassettes = {
            item.nodeid.partition("::")[0] for item in self.items if "http_cassette" in (fixture_names(item) or ())
        }
        folders = {(self._config.rootpath / module).parent for module in self.names}
        near = {folder for folder in folders if (folder / "cassettes").is_dir()}
        return {
            "names": {
                module: sorted(names)
                for module, names in self.names.items()
                if module in with_cassettes or (self._config.rootpath / module).parent in near
            },
            "folders": [] if self.is_chosen else sorted(map(str, filter(self._is_covered, near))),
            "is_chosen": self.is_chosen,
        }

    def _is_covered(self, folder: Path) -> bool:
        """Tell whether all modules of a folder were requested, by its name or by that of a folder around it."""
        start = self._config.invocation_params.dir
        return any(folder.is_relative_to((start / argument).resolve()) for argument in self._config.args)


def _defines(path: Path, names: list[str]) -> bool:
    """Tell whether a module defines a test, class by class; a class with bases may inherit it."""
    try:
        body: list[ast.stmt] = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return True
    for name in names:
        found = next((each for each in ast.walk(ast.Module(body, [])) if getattr(each, "name", None) == name), None)
        if found is None:
            return any(map(_may_define_others, body))
        if isinstance(found, ast.ClassDef) and found.bases:
            return True
        body = getattr(found, "body", [])
    return True


def _may_define_others(statement: ast.stmt) -> bool:
    """Tell whether a statement may define names that the source does not show, as `scenarios(...)` of pytest-bdd."""
    is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return is_call or (isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*")


_collection = pytest.StashKey[Collection]()


def collection_of(config: pytest.Config) -> Collection:
    if _collection not in config.stash:
        config.stash[_collection] = Collection(config)
    return config.stash[_collection]
