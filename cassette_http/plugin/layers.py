"""Which traffic belongs to which cassette when fixtures of a wider scope are set up during a test.

What such a fixture does belongs to no single test, so the cassette of the test is paused, even if the fixture is
requested late, by `request.getfixturevalue`. With `use_cassette` the fixture can have a cassette of its own, which is
below that of each test.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.errors import CassetteError, CassetteWarning
from cassette_http.plugin.lasting_hooks import LastingHooks
from cassette_http.plugin.naming import path_of, with_paths_beside
from cassette_http.plugin.options import Place, checked
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import Use, failing_the_test

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette


class Layers:
    """The cassette of the running test, and the fixtures of a wider scope that are being set up."""

    def __init__(self) -> None:
        self.of_test: Use | None = None
        self.requests: list[pytest.FixtureRequest] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        is_paused = bool(self.requests)
        self.requests.append(request)
        try:
            with nullcontext() if self.of_test is None or is_paused else self.of_test.paused():
                return (yield)
        finally:
            self.requests.pop()


_layers = pytest.StashKey[Layers]()


def layers_of(config: pytest.Config) -> Layers:
    """The layers of this process, which watch fixtures from the first call on."""
    if _layers not in config.stash:
        config.stash[_layers] = Layers()
        config.pluginmanager.register(config.stash[_layers], "cassette_http.layers")
        config.pluginmanager.register(LastingHooks(), "cassette_http.lasting_hooks")
    return config.stash[_layers]


def are_used(config: pytest.Config) -> bool:
    """Tell whether this process has used a cassette."""
    return _layers in config.stash


def leave(use: Use) -> None:
    """Leave the cassette of a test or a fixture, which fails if a request was refused."""
    try:
        use.close()
    except CassetteError as error:
        from cassette_http.plugin.report import failure_of  # late: most tests do not fail

        raise failure_of(use, error) from None


class Layer:
    """A cassette that a fixture uses inside a with statement: `with use_cassette("login"): ...`."""

    def __init__(self, use: Use) -> None:
        self._use = use

    def __enter__(self) -> Cassette:
        return self._use.open()

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._use.failure = error
        leave(self._use)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(cls, error, traceback)


class _CalledFor(Layer):
    """The result of calling the fixture; warns if it is never entered. `made_at` is file and line of the call."""

    _was_entered = False

    def __init__(self, use: Use, name: str, made_at: tuple[str, int]) -> None:
        super().__init__(use)
        self._name, self._made_at = name, made_at

    def __enter__(self) -> Cassette:
        self._was_entered = True
        return super().__enter__()

    def __del__(self) -> None:
        if not self._was_entered:
            call = f"use_cassette({self._name!r})"
            text = f"{call} alone puts no cassette into use: with {call}: ..."
            warnings.warn_explicit(text, CassetteWarning, *self._made_at)


class LayerFactory:
    """The value of the fixture `use_cassette`: `use_cassette(name, **options)`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._layers = layers_of(request.config)

    def __call__(self, name: str, /, **options: Any) -> Layer:
        """Make a context manager for the cassette `name`, at the path that a test in the caller's file would use.

        Options are those of the marker; `cassette_config` is used too, if its scope is wide enough.
        """
        frame = sys._getframe(1)
        file = Path(frame.f_code.co_filename)
        config = self._request.config
        with failing_the_test(config):
            given = checked({"name": name, **options}, Place.MARKER, "use_cassette")
            defaults = checked(self._defaults(), Place.CONFIG, "cassette_config")
        del given["name"]
        owner = file.relative_to(config.rootpath).as_posix() if file.is_relative_to(config.rootpath) else str(file)
        chosen = with_paths_beside(file.parent, settings(config).for_test(given, defaults))
        use = Use(config, f"{owner}::{frame.f_code.co_name}", path_of(file, name), chosen)
        return _CalledFor(use, name, (str(file), frame.f_lineno))

    def _defaults(self) -> dict[str, Any]:
        requests = self._layers.requests
        try:
            defaults: dict[str, Any] = (requests[-1] if requests else self._request).getfixturevalue("cassette_config")
        except pytest.fail.Exception:  # its scope is narrower than that of the fixture, so it is only for tests
            return {}
        return defaults
