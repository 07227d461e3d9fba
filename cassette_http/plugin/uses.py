"""A cassette in use by a test, or by a fixture of wider scope: how it is opened, watched and left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.errors import CassetteError, InvalidOption
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.options import BY_NAME, OWN, Place, checked

if TYPE_CHECKING:
    from cassette_http.board import Cassette
    from cassette_http.session import use_cassette

__all__ = ["Use", "fail", "load_parts", "marker_options", "use_of"]


@dataclass
class Use:
    """One use of the cassette at `path`, by the test `item`, or by a fixture of wider scope (`item` is None).

    `options` are those of the plugin and of `use_cassette`. `cassette` is there while it is open, and stays. `failure`
    is how the test ended; until that is known, it counts as interrupted. `facts` (of what JSON knows) go to the
    controller and into the reports; see plugin.ledger.
    """

    config: pytest.Config
    owner: str
    path: Path
    options: dict[str, Any]
    item: pytest.Item | None = None
    cassette: Cassette | None = None
    failure: BaseException | None = field(default_factory=KeyboardInterrupt)
    facts: dict[str, Any] = field(default_factory=dict)
    _session: use_cassette | None = None

    def open(self) -> Cassette:
        """Put the cassette into use. Raises CassetteError."""
        from cassette_http.session import use_cassette  # late: pytest starts without it

        load_parts(self.config, self.options)
        hook = self.config.hook
        hook.pytest_cassette_opening(use=self)
        options = {key: value for key, value in self.options.items() if key not in OWN and not BY_NAME[key].part}
        mode = options.pop("mode")
        self._session = use_cassette(self.path, mode, test=self.owner, allow_missing=True, **options)
        self.cassette = self._session.__enter__()
        hook.pytest_cassette_opened(use=self)
        return self.cassette

    def close(self) -> None:
        """Leave the cassette. Raises UnmatchedRequest for a request that was refused, and other CassetteErrors."""
        assert self._session is not None, "only what was opened is closed"
        hook = self.config.hook
        hook.pytest_cassette_closing(use=self)
        failure = self.failure
        try:
            self._session.__exit__(type(failure) if failure else None, failure, None)
        finally:
            self.facts |= {"owner": self.owner, "path": str(self.path)}
            hook.pytest_cassette_closed(use=self)
            ledger_of(self.config).pending.append(self.facts)
            self.failure = None  # it holds the frames of the test


_use = pytest.StashKey[Use]()


def use_of(item: pytest.Item) -> Use | None:
    """The use of a cassette by a test that is running; None if it has none."""
    return item.stash.get(_use, None)


def remember_use(item: pytest.Item, use: Use | None) -> None:
    """Say which cassette a test has; None when it has left it. Items live as long as the run, cassettes should not."""
    if use is not None:
        item.stash[_use] = use
    else:
        del item.stash[_use]


def load_parts(config: pytest.Config, options: Mapping[str, Any]) -> None:
    """Import and register the parts of the plugin that serve these options."""
    for name in options:
        part = BY_NAME[name].part
        if part and not config.pluginmanager.has_plugin(part):
            config.pluginmanager.register(import_module(part), part)


def marker_options(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test, its class and its module say; the closest one wins. Raises InvalidOption."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers("cassette"):
        given = dict(marker.kwargs)
        if len(marker.args) > 1 or (marker.args and "name" in given):
            raise InvalidOption(f"@pytest.mark.cassette takes one name, and got {marker.args!r}")
        if marker.args:
            given["name"] = marker.args[0]
        options = {**checked(given, Place.MARKER, "@pytest.mark.cassette"), **options}
    return options


def fail(error: CassetteError | str) -> BaseException:
    """Make the failure of a test that has no traceback: what is wrong is in the text."""
    return pytest.fail.Exception(str(error), pytrace=False)
