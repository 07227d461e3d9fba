"""A cassette in use by a test, or by a fixture of wider scope: how it is opened, watched and left."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode, can_play
from cassette_http.errors import CassetteError, CassetteExpired, CassetteWarning, InvalidOption
from cassette_http.plugin.collection import collection_of
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.naming import is_own
from cassette_http.plugin.options import BY_NAME, OWN, Place, checked, declared_options
from cassette_http.plugin.paths import shown_path, shown_paths, shown_test
from cassette_http.plugin.sharing import sharing_of

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette
    from cassette_http.session import use_cassette

# The reports of a run show far less than that.
MOST_UNPLAYED = 20
MOST_CONNECTIONS = 10


# Options that are implemented by a part of the plugin, in hooks.
PARTS = frozenset(name for name, option in BY_NAME.items() if option.part)


class CassetteFailure(pytest.fail.Exception):  # type: ignore[misc,name-defined]  # not a class to mypy
    """A test failure caused by its cassette; it has no traceback, as its text says what is wrong.

    `reason` is for the line of the short summary, and `transcript` for a section of the report.
    """

    def __init__(self, text: str, reason: str | None = None, transcript: str = "") -> None:
        super().__init__(text, pytrace=False)
        self.reason = reason if reason is not None else text.partition("\n")[0]
        self.transcript = transcript


@contextmanager
def failing_the_test(config: pytest.Config) -> Iterator[None]:
    """Turn a CassetteError, or a warning that is an error, into a failure of the test; its text says what is wrong."""
    try:
        yield
    except (CassetteError, CassetteExpired) as error:
        raise CassetteFailure(shown_paths(config, str(error))) from None


@dataclass(eq=False, repr=False)  # each generated method costs every start of pytest a third of a millisecond
class Use:
    """One use of the cassette at `path` by a test (`item`), or by a fixture of wider scope (then it is None).

    `options` are those of the plugin and of `use_cassette`. `cassette` is set once it is opened. `failure` is how the
    test failed; until that is known, it counts as interrupted. `facts` (JSON values) go to the controller and into the
    reports; see plugin.ledger.
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
        """Open the cassette. Raises CassetteFailure."""
        with failing_the_test(self.config):
            return self._open()

    def _open(self) -> Cassette:
        if self.options.get("no_cassette"):
            return self._open_nothing()
        from cassette_http.session import use_cassette  # late: pytest starts without it

        load_parts(self.config, self.options)
        hook = self._hook
        hook.pytest_cassette_opening(use=self)
        options = {key: value for key, value in self.options.items() if key not in PARTS and key not in OWN}
        sharing = sharing_of(self.config)
        mode = sharing.mode(self.path, RecordMode.of(options.pop("mode")))
        path = self.path  # the session must not refer to this object, or only the garbage collector would free both
        options.setdefault("keep_unrecorded", lambda: sharing.is_rewritten(path))
        self._session = use_cassette(
            self.path,
            mode,
            test=self.owner,
            allow_missing=True,
            mode_setting="--cassette-update=failed",
            everywhere=True,
            **options,
        )
        self.cassette = self._session.__enter__()
        hook.pytest_cassette_opened(use=self)
        return self.cassette

    def _leaves_unplayed(self) -> bool:
        """Tell whether this test alone is responsible for what was not played: other tests may share the cassette."""
        assert self.cassette is not None, "it was opened"
        if self.item is None or not self.cassette.unplayed_count or not can_play(self.cassette.record_mode):
            return False
        tests = collection_of(self.config)
        name = marker_options(self.item).get("name")
        return self.is_own or (name is not None and not tests.is_chosen and tests.sharers(self.item, name) == 1)

    def _report_unplayed(self, cassette: Cassette) -> None:
        assert self.item is not None, "a test has ended"
        text = cassette.describe_unplayed(shown_path(self.config, self.path))
        test = shlex.quote(shown_test(self.config, self.owner))
        failure = CassetteFailure(f"{text}\nto drop them: pytest {test} --cassette-mode=rewrite")
        if self.options["on_unplayed"] == "fail":
            raise failure
        path, line, _ = self.item.location
        try:
            warnings.warn_explicit(text, CassetteWarning, path, (line or 0) + 1)
        except CassetteWarning:  # warnings are errors
            raise failure from None

    @property
    def is_own(self) -> bool:
        """The cassette is named after the test, so no other test uses it."""
        return self.item is not None and is_own(self.path, self.owner)

    @property
    def _hook(self) -> Any:
        return self.config.hook if self.item is None else self.item.ihook

    def _open_nothing(self) -> Cassette:
        from cassette_http.cassette.index import Index
        from cassette_http.cassette.library import Library
        from cassette_http.cassette.matching import resolve
        from cassette_http.in_use import Cassette, Log

        return Cassette(self.path, RecordMode.NONE, Index(Library(), resolve(())), Log())

    def paused(self) -> AbstractContextManager[None]:
        """Pause the use of the cassette."""
        return self._session.paused() if self._session is not None else nullcontext()

    def close(self) -> None:
        """Leave the cassette. Raises UnmatchedRequest for a request that was refused, and other CassetteErrors."""
        if self._session is None:
            return
        assert self.cassette is not None, "it was opened"
        hook = self._hook
        hook.pytest_cassette_closing(use=self)
        failure = self.failure
        try:
            self._session.__exit__(type(failure) if failure else None, failure, None)
            if failure is None and self.options.get("on_unplayed") in ("warn", "fail") and self._leaves_unplayed():
                self._report_unplayed(self.cassette)
        finally:
            self._session = None
            self.facts = {**facts_of(self), **self.facts}
            hook.pytest_cassette_closed(use=self)
            ledger_of(self.config).pending.append(self.facts)
            self.failure = None  # it refers to the frames of the test


_use = pytest.StashKey[Use]()


def use_of(item: pytest.Item) -> Use | None:
    return item.stash.get(_use, None)


def remember_use(item: pytest.Item, use: Use | None) -> None:
    """Note which cassette a test has; None when it was left. Items live as long as the run, cassettes should not."""
    if use is not None:
        item.stash[_use] = use
    else:
        del item.stash[_use]


def load_parts(config: pytest.Config, options: Mapping[str, Any]) -> None:
    """Import and register the parts of the plugin that implement these options."""
    for name in PARTS & options.keys():
        part = BY_NAME[name].part
        if not config.pluginmanager.has_plugin(part):
            config.pluginmanager.register(import_module(part), part)


def marker_options(item: pytest.Item) -> dict[str, Any]:
    """The options in the markers of a test, its class and its module; the closest one wins. Raises InvalidOption."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers("cassette"):
        given = dict(marker.kwargs)
        if len(marker.args) > 1 or (marker.args and "name" in given):
            raise InvalidOption(f"@pytest.mark.cassette takes one name, and got {marker.args!r}")
        if marker.args:
            given["name"] = marker.args[0]
        options = {**checked(given, Place.MARKER, "@pytest.mark.cassette"), **options}
    return {**(declared_of(item) or {}), **options}


def declared_of(item: pytest.Item) -> dict[str, Any] | None:
    """The options that a unittest class or method has from `cassette_http.unittest`; None if there are none."""
    cls = getattr(item, "cls", None)
    return declared_options(getattr(cls, item.name, None), cls) if cls is not None else None


def facts_of(use: Use) -> dict[str, Any]:
    """What the reports of the run need to know about a finished use; see plugin.ledger.Facts."""
    cassette = use.cassette
    assert cassette is not None, "it was opened"
    return {
        "owner": use.owner,
        "test": use.item.nodeid if use.item is not None else use.owner,
        "path": str(use.path),
        "mode": cassette.record_mode.value,
        "is_own": use.is_own,
        "is_well": use.failure is None and not cassette.misses,
        "loaded": len(cassette) - len(cassette.recorded),
        "plays": cassette.play_count,
        "played": cassette.played_numbers,
        "unplayed": {str(number): line for number, line in cassette.unplayed_lines(MOST_UNPLAYED).items()},
        "on_unplayed": use.options.get("on_unplayed"),
        "recorded": len(cassette.recorded),
        "connections": [str(connection) for connection in cassette.connections[:MOST_CONNECTIONS]],
        "connects": cassette.connects,
        "misses": [],
        "miss_count": len(cassette.misses),
    }
