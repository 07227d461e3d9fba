"""The fixture `cassette`, which is `http_cassette` by a shorter name; not there where another plugin has that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cassette_http.plugin import vcr_names

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette

__all__ = ["cassette", "is_meant", "is_taken"]

# Modules of plugins with a fixture `cassette`; that of cassetter is used by every test.
OWNERS = frozenset({"cassetter.pytest_plugin"})


def is_taken(manager: pytest.PytestPluginManager) -> bool:
    """Tell whether a plugin is there that has the name."""
    return any(getattr(plugin, "__name__", "") in OWNERS for plugin in manager.get_plugins())


def is_meant(item: pytest.Item) -> bool:
    """Tell whether a test that asks for the fixture `cassette` gets ours, or one that is built on ours."""
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.get("cassette", ())  # noqa: B009  # not declared
    for definition in reversed(definitions):
        if getattr(definition.func, "__module__", "") == __name__:
            return True
        if "cassette" not in definition.argnames:
            return False
    return False


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Cassette | None:
    """The cassette of this test, in use from set-up to tear-down. A request that it refused fails the test."""
    if vcr_names.serves(request.node):
        theirs = request.getfixturevalue("vcr_cassette")
        return None if theirs is None else theirs.cassette
    ours: Cassette = request.getfixturevalue("http_cassette")
    return ours
