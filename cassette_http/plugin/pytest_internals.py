"""Everything that the plugin uses of pytest beyond its public API, as there is no public way (pytest 8.1 to 9).

`fixturenames` of an item has no underscore, but no documentation either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest


def fixture_names(item: pytest.Item) -> Sequence[str] | None:
    """The fixtures that a test uses, in the order of their set-up; None if it can have none (doctests of text files).

    No hook receives them: `FixtureRequest.fixturenames` exists only while a test is set up.
    """
    names: Sequence[str] | None = getattr(item, "fixturenames", None)
    return names


def definitions_of(item: pytest.Item) -> dict[str, Sequence[pytest.FixtureDef[Any]]]:
    """The definitions of each fixture that a test uses; the last one overrides those before it.

    No hook shows fixtures, or their scopes, before they are set up.
    """
    definitions: dict[str, Sequence[pytest.FixtureDef[Any]]] = cast(Any, item)._fixtureinfo.name2fixturedefs
    return definitions


def visible_definitions(item: pytest.Item, name: str) -> Sequence[pytest.FixtureDef[Any]]:
    """The definitions of a fixture that a test would see if it requested it; as for `definitions_of`."""
    return cast(Any, item.session)._fixturemanager.getfixturedefs(name, item) or ()


def put_first(item: pytest.Item, *names: str) -> None:
    """Make a test use fixtures that it may not name, and before its others, so that those are recorded too.

    They come after those of a wider scope, which belong to no single test. The marker `usefixtures` comes too late for
    an item that was collected, and does not determine the order.
    """
    definitions = definitions_of(item)
    others = [name for name in fixture_names(item) or () if name not in names]
    is_of_test = [name not in definitions or definitions[name][-1].scope == "function" for name in others]
    index = is_of_test.index(True) if True in is_of_test else len(others)
    # A new list: the items of a parametrized test share the old one, and perhaps only some of them are marked.
    cast(Any, item).fixturenames = [*others[:index], *names, *others[index:]]


def replace_fixture(item: pytest.Item, name: str, definitions: Sequence[pytest.FixtureDef[Any]]) -> None:
    """Replace a fixture for a test, and for those of its fixtures that use it."""
    definitions_of(item)[name] = definitions
    getattr(item, "_initrequest", lambda: None)()  # some releases have copied the definitions


def declared_flags(parser: pytest.Parser) -> set[str]:
    """The command-line options that exist so far.

    Before pytest 9, a conflict with another group raises no error that could be caught.
    """
    hidden = cast(Any, parser)
    options = [option for group in (hidden._anonymous, *hidden._groups) for option in group.options]
    return {flag for option in options for flag in option.names()}
