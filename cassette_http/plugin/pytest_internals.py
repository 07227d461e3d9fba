"""All that the plugin asks of pytest beyond its public API: nothing public tells these things, as of pytest 8.1 to 9.

`fixturenames` of an item has no underscore, but no documentation either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest


def fixture_names(item: pytest.Item) -> Sequence[str] | None:
    """The fixtures that a test uses, in the order of their set-up; None if it can have none (doctests of text files).

    No hook is told of them: `FixtureRequest.fixturenames` is there only while a test is set up.
    """
    names: Sequence[str] | None = getattr(item, "fixturenames", None)
    return names


def definitions_of(item: pytest.Item) -> dict[str, Sequence[pytest.FixtureDef[Any]]]:
    """The definitions of each fixture that a test uses; the last one counts, and overrides those before.

    No hook shows fixtures, nor their scopes, before they are set up.
    """
    definitions: dict[str, Sequence[pytest.FixtureDef[Any]]] = cast(Any, item)._fixtureinfo.name2fixturedefs
    return definitions


def visible_definitions(item: pytest.Item, name: str) -> Sequence[pytest.FixtureDef[Any]]:
    """The definitions of a fixture that a test would see if it asked for it; as for `definitions_of`."""
    where: pytest.Item | str = item if pytest.version_tuple >= (8, 1) else item.nodeid
    return cast(Any, item.session)._fixturemanager.getfixturedefs(name, where) or ()


def put_first(item: pytest.Item, *names: str) -> None:
    """Let a test use fixtures, also if it does not name them, and before its others, so that those are recorded too.

    Behind those of a wider scope, which belong to no single test. The marker `usefixtures` comes too late for an item
    that was collected, and says nothing about the order.
    """
    definitions = definitions_of(item)
    others = [name for name in fixture_names(item) or () if name not in names]
    is_of_test = [name not in definitions or definitions[name][-1].scope == "function" for name in others]
    index = is_of_test.index(True) if True in is_of_test else len(others)
    # A new list: the items of a parametrized test share the old one, and not all of them may be marked.
    cast(Any, item).fixturenames = [*others[:index], *names, *others[index:]]


def replace_fixture(item: pytest.Item, name: str, definitions: Sequence[pytest.FixtureDef[Any]]) -> None:
    """Let a fixture be another one for a test, and for the fixtures of the test that ask for it."""
    definitions_of(item)[name] = definitions
    getattr(item, "_initrequest", lambda: None)()  # some releases have copied the definitions


def declared_flags(parser: pytest.Parser) -> set[str]:
    """The options of the command line that there are so far.

    Before pytest 9 no error that could be caught tells of a conflict with another group.
    """
    hidden = cast(Any, parser)
    options = [option for group in (hidden._anonymous, *hidden._groups) for option in group.options]
    return {flag for option in options for flag in option.names()}
