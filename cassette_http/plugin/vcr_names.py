"""Runs suites of pytest-recording and pytest-vcr, with the same markers, fixtures and options.

It is active only if no plugin with these names is installed. Cassettes are found where those plugins put them:
    pytest-recording    cassettes/<module>/<Class.>test[params].yaml
    pytest-vcr          cassettes/<Class.>test[params].yaml, if there is such a file, or a folder of such files
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode
from cassette_http.errors import InvalidOption
from cassette_http.plugin.collection import without_repetition
from cassette_http.plugin.fixtures import close_for_test, open_for_test
from cassette_http.plugin.options import BY_NAME
from cassette_http.plugin.pytest_internals import (
    declared_flags,
    definitions_of,
    fixture_names,
    put_first,
    replace_fixture,
    visible_definitions,
)
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import CassetteFailure, declared_of, failing_the_test
from cassette_http.plugin.vcr_uses import (
    REMARK,
    line_of_pytest_vcr,
    merged_options,
    mode_of,
    use_of_test,
)

if TYPE_CHECKING:
    from cassette_http.plugin.summary import Summary
    from cassette_http.plugin.vcr_instance import VcrInstance
    from cassette_http.vcr.objects import VcrCassette

# The modules of the plugins that own these names.
OWNERS = ("pytest_recording.plugin", "pytest_vcr", "cassetter.pytest_plugin")

MODES = [mode.value for mode in RecordMode]
MARKERS = (
    "vcr(*cassettes, **options): replay the HTTP traffic of the test from its cassette, as VCR.py does; further "
    "cassettes answer too",
    "default_cassette(name): the name of the test's cassette",
    "block_network(allowed_hosts=None): let the test reach no other machine",
    "allowed_hosts(hosts): regular expressions of hosts that may be reached",
)

# Characters that pytest-recording replaces in file names.
UNSAFE = re.compile(r"[<>?%*:|\"'/\\]")


# ---------------------------------------------------------------------- configuration


def serves(item: pytest.Item) -> bool:
    """Tell whether the cassette of a test comes from here: it is marked with `vcr`, and does not use our own names."""
    is_marked = item.get_closest_marker("vcr") is not None
    return is_marked and not _uses_our_names(item) and item.config.pluginmanager.has_plugin(__name__)


def _uses_our_names(item: pytest.Item) -> bool:
    return item.get_closest_marker("cassette") is not None or declared_of(item) is not None


class _Synonym(argparse.Action):
    """An option of another plugin, equivalent to our option `of`, which takes precedence."""

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ours = BY_NAME[of].destination

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, flag: object = None) -> None:
        value = self.const if self.nargs == 0 else values
        setattr(namespace, self.dest, value)
        if getattr(namespace, self._ours, None) is None:
            setattr(namespace, self._ours, value)


def add_options(parser: pytest.Parser) -> None:
    """Declare the options of both plugins, except those that a conftest.py of the suite declares itself."""
    group = parser.getgroup("vcr", "HTTP cassettes, by the names of pytest-recording and pytest-vcr")
    modes: dict[str, Any] = {"action": _Synonym, "of": "mode", "choices": MODES}
    live: dict[str, Any] = {"action": _Synonym, "of": "no_cassette", "nargs": 0, "const": True, "default": False}
    declared = declared_flags(parser)
    for flag, options in (
        ("--record-mode", {**modes, "help": "record mode (pytest-recording); the default is none"}),
        ("--block-network", {"action": "store_true", "help": "let tests reach no other machine"}),
        ("--allowed-hosts", {"help": "regular expressions, with commas, of hosts that may be reached all the same"}),
        ("--disable-recording", {**live, "help": "run live, without cassettes (pytest-recording)"}),
        ("--vcr-record", {**modes, "help": "record mode (pytest-vcr), over what the suite says"}),
        ("--vcr-record-mode", {**modes, "help": "the old name of --vcr-record"}),
        ("--disable-vcr", {**live, "help": "run live, without cassettes (pytest-vcr)"}),
    ):
        if flag not in declared:
            group.addoption(flag, **options)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


class Hooks:
    def pytest_recording_configure(self, config: pytest.Config, vcr: Any) -> None:
        """A cassette is about to be opened: matchers may be registered with `vcr`."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Add the fixtures to tests that have only the marker. All markers are known only now."""
    blocks_network = session.config.getoption("--block-network", False)
    for item in session.items:
        if fixture_names(item) is None:
            continue
        _give_instance(item)
        wanted = _fixtures_with_cassette(item) if item.get_closest_marker("vcr") is not None else []
        if blocks_network or item.get_closest_marker("block_network") is not None:
            wanted.insert(0, "block_network")
        if wanted:
            put_first(item, *wanted)


def _fixtures_with_cassette(item: pytest.Item) -> list[str]:
    """The fixtures that open the cassette; if a suite has its own `vcr` for each test, that one does."""
    if _is_configured(item):
        return ["vcr", "vcr_cassette"]
    definitions = visible_definitions(item, "vcr")
    is_own = definitions and definitions[-1].scope == "function" and not _is_ours(definitions[-1])
    return ["vcr"] if is_own else ["vcr_cassette"]


def _is_configured(item: pytest.Item) -> bool:
    """Tell whether a suite for pytest-vcr has a `vcr` that configures the plugin's one.

    If it does that for each test, the suite could also be one for pytest-recording.
    """
    overriding = [one for one in visible_definitions(item, "vcr") if not _is_ours(one) and "vcr" in one.argnames]
    is_wide = any(one.scope != "function" for one in overriding)
    return is_wide or (bool(overriding) and _is_flat(item.path, item.config))


def _is_ours(definition: pytest.FixtureDef[Any]) -> bool:
    return getattr(definition.func, "__module__", "") == __name__


def _give_instance(item: pytest.Item) -> None:
    """If another fixture requests `vcr` in order to configure it, replace it by what pytest-vcr returns."""
    definitions = definitions_of(item)
    askers = [one for several in definitions.values() for one in several if "vcr" in one.argnames]
    if any(one.scope != "function" for one in askers) or _is_configured(item):
        others = [one for one in visible_definitions(item, "vcr") if not _is_ours(one)]
        replace_fixture(item, "vcr", [*visible_definitions(item, "vcr_instance"), *others])


def pytest_cassette_summary(summary: Summary) -> None:
    """Report once which parts of the configurations are not supported."""
    counts = summary.ledger.counts
    summary.lines += sorted(name.removeprefix(REMARK) for name in counts if name.startswith(REMARK))


# ---------------------------------------------------------------------- fixtures


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """The options of all tests that see this fixture, by the names of VCR.py. Override it."""
    return {}


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The folder of a module's cassettes. Override it to keep them elsewhere."""
    folder = request.path.parent / "cassettes"
    return str(folder if _is_flat(request.path, request.config) else folder / request.path.stem)


def _is_flat(module: Path, config: pytest.Config) -> bool:
    """Tell whether the cassettes of a module are laid out as with pytest-vcr, without a folder of their own."""
    folder = module.parent / "cassettes"
    is_found = not (folder / module.stem).is_dir() and any(folder.glob("*.yaml"))
    return is_found or line_of_pytest_vcr(config) is not None


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of the test's cassette, without a suffix unless the marker `default_cassette` has one."""
    marker = request.node.get_closest_marker("default_cassette")
    if marker is not None:
        if not marker.args:
            raise CassetteFailure("@pytest.mark.default_cassette takes the name of a cassette")
        return str(marker.args[0])
    return UNSAFE.sub("-", _name_with_class(request))


@pytest.fixture
def vcr_cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of the test's cassette, as in pytest-vcr."""
    return _name_with_class(request)


def _name_with_class(request: pytest.FixtureRequest) -> str:
    name = without_repetition(request.node, request.node.name)
    return name if request.cls is None else f"{request.cls.__name__}.{name}"


@pytest.fixture
def vcr_markers(request: pytest.FixtureRequest) -> list[pytest.Mark]:
    return list(request.node.iter_markers("vcr"))


@pytest.fixture(scope="session")
def record_mode(request: pytest.FixtureRequest) -> str:
    """The record mode of the command line, or "none"."""
    return str(settings(request.config).line.get("mode", "none"))


@pytest.fixture(scope="session")
def disable_recording(request: pytest.FixtureRequest) -> bool:
    """Whether tests run live, without cassettes."""
    return bool(settings(request.config).line.get("no_cassette"))


@pytest.fixture
def allowed_hosts(request: pytest.FixtureRequest) -> list[str] | None:
    """Regular expressions for the hosts that a test may reach although its network is blocked."""
    marker = request.node.get_closest_marker("block_network")
    given = (
        (marker.kwargs.get("allowed_hosts") if marker is not None else None)
        or request.config.getoption("--allowed-hosts", None)
        or request.getfixturevalue("vcr_config").get("allowed_hosts")
    )
    return given.split(",") if isinstance(given, str) else given


@pytest.fixture
def block_network(request: pytest.FixtureRequest, vcr_markers: list[pytest.Mark]) -> Iterator[None]:
    """Prevent the test from reaching other machines, unless it records."""
    marker = request.node.get_closest_marker("block_network")
    if marker is not None and (marker.args or marker.kwargs.keys() - {"allowed_hosts"}):
        raise CassetteFailure("@pytest.mark.block_network takes allowed_hosts=[...], and nothing else")
    is_wanted = marker is not None or request.config.getoption("--block-network", False)
    is_recording = bool(vcr_markers) and mode_of(request, merged_options(request, vcr_markers)) != "none"
    if not is_wanted or is_recording:
        yield
        return
    from cassette_http.intercept.guard import block_network as blocking  # late: few tests need it
    from cassette_http.intercept.hosts import HostExpressions

    try:
        allowed = HostExpressions(request.getfixturevalue("allowed_hosts") or ())
    except InvalidOption as error:
        raise CassetteFailure(str(error)) from None
    with blocking(allowed, test=request.node.nodeid):
        yield


@pytest.fixture
def vcr_cassette(
    request: pytest.FixtureRequest, vcr_markers: list[pytest.Mark], vcr_cassette_dir: str, disable_recording: bool
) -> Iterator[VcrCassette | None]:
    """The cassette of the test, in use; None if tests run without cassettes."""
    if disable_recording:
        yield None
        return
    from cassette_http.vcr.objects import VcrCassette  # late: pytest starts without them

    if _uses_our_names(request.node):
        # A test that uses our names, in a module or class that does not.
        yield VcrCassette(request.getfixturevalue("http_cassette"))
        return
    with failing_the_test(request.config):
        use = use_of_test(request, vcr_markers, vcr_cassette_dir)
    yield VcrCassette(open_for_test(use))
    close_for_test(use)


@pytest.fixture
def vcr(request: pytest.FixtureRequest, vcr_markers: list[pytest.Mark]) -> VcrCassette | None:
    """The cassette of a test that is marked with `vcr`, by its name in pytest-recording."""
    return request.getfixturevalue("vcr_cassette") if vcr_markers else None


@pytest.fixture(scope="module")
def vcr_instance(request: pytest.FixtureRequest, vcr_config: dict[str, Any], vcr_cassette_dir: str) -> VcrInstance:
    """What pytest-vcr calls `vcr`: it can be configured, for all tests of a module."""
    from cassette_http.plugin.vcr_instance import make_instance  # late: pytest starts without it

    return make_instance(request, vcr_config, vcr_cassette_dir)
