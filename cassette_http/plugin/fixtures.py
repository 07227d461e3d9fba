"""The fixtures of the plugin. `cassette_dir`, `cassette_name` and `cassette_config` can be overridden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.plugin.collection import test_of
from cassette_http.plugin.layers import LayerFactory, layers_of, leave
from cassette_http.plugin.naming import file_in, folder_of, is_path, name_of_test, path_beside, with_paths_beside
from cassette_http.plugin.options import Place, checked
from cassette_http.plugin.pytest_internals import visible_definitions
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import Use, failing_the_test, marker_options, remember_use

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette


@pytest.fixture(scope="session")
def cassette_config() -> dict[str, Any]:
    """The options of all tests that see this fixture: those of the marker, except for the name.

    Override it, with any scope, in a conftest.py, a module or a class.
    """
    return {}


@pytest.fixture(scope="module")
def cassette_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of a module's cassettes: `<test dir>/cassettes/<module>`. Override it to keep them elsewhere."""
    return folder_of(request.path)


@pytest.fixture
def cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of this test's cassette: from the marker, or `<Class.>test[params]`. Made safe for a file name later."""
    with failing_the_test(request.config):
        return _name(request.node, marker_options(request.node))


@pytest.fixture
def cassette_path(request: pytest.FixtureRequest, cassette_dir: Path, cassette_name: str) -> Path:
    """The path of this test's cassette."""
    return _path(request.node, Path(cassette_dir), cassette_name)


@pytest.fixture
def http_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """The same as `cassette`, with a name that no other plugin uses."""
    item = request.node
    overridden = _overridden_for(item)
    given = request.getfixturevalue("cassette_config") if "cassette_config" in overridden else {}
    with failing_the_test(item.config):
        marked = marker_options(item)
        options = settings(item.config).for_test(marked, checked(given, Place.CONFIG, "cassette_config"))
    if overridden - {"cassette_config"}:
        path = request.getfixturevalue("cassette_path")
    else:
        path = _path(item, folder_of(item.path), _name(item, marked))
    use = Use(item.config, test_of(item), path, with_paths_beside(request.path.parent, options), item)
    opened = open_for_test(use)
    layers = layers_of(item.config)
    layers.of_test = use
    yield opened
    layers.of_test = None
    close_for_test(use)


CONFIGURING = ("cassette_config", "cassette_dir", "cassette_name", "cassette_path")
_overridden = pytest.StashKey[frozenset[str]]()


def _overridden_for(item: pytest.Item) -> frozenset[str]:
    """Return which of our fixtures are overridden by the module or class of a test, or by its parameters.

    The others need not be requested from pytest, which takes 0.1 ms for each fixture of each test.
    """
    assert item.parent is not None, "a test is in a file"
    stash = item.parent.stash
    if _overridden not in stash:
        stash[_overridden] = frozenset(name for name in CONFIGURING if len(visible_definitions(item, name)) > 1)
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return stash[_overridden].union(parameters.keys() & CONFIGURING)


def _name(item: pytest.Item, marked: dict[str, Any]) -> str:
    return marked.get("name") or name_of_test(test_of(item))


def _path(item: pytest.Item, folder: Path, name: str) -> Path:
    if is_path(name) and name != name_of_test(test_of(item)):
        return path_beside(item.path.parent, name)
    return file_in(folder, name)


def open_for_test(use: Use) -> Cassette:
    assert use.item is not None, "a test uses it"
    opened = use.open()
    remember_use(use.item, use)
    return opened


def close_for_test(use: Use) -> None:
    assert use.item is not None, "a test uses it"
    remember_use(use.item, None)
    leave(use)


@pytest.fixture(scope="session")
def use_cassette(request: pytest.FixtureRequest) -> LayerFactory:
    """Gives fixtures of a wider scope a cassette of their own: `with use_cassette("login"): ...`.

    It is in `cassettes/<module>/login.yaml` beside the calling file, and has the options of the marker. While a test
    with a cassette runs, that is used instead.
    """
    return LayerFactory(request)
