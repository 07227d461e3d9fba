"""The fixture `cassette`, a shorter name of `http_cassette`; not defined if another plugin uses that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cassette_http.plugin import vcr_names
from cassette_http.plugin.pytest_internals import definitions_of

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette

# Plugins with a fixture `cassette`; that of cassetter is used by every test.
OWNERS = ("cassetter.pytest_plugin",)


def is_meant(item: pytest.Item) -> bool:
    """Tell whether the fixture `cassette` of a test is ours, or one that is based on ours."""
    for definition in reversed(definitions_of(item).get("cassette", ())):
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
