"""The pytest plugin: gives each marked test a cassette of its own.

    @pytest.mark.cassette
    def test_login(): ...

replays `cassettes/<module>/test_login.yaml` beside the test; `pytest --cassette-mode=once` records it.

pytest calls this module; its parts are in the room `plugin`. pytest imports it at each start, even if no test has a
cassette. So the session, with its hooks into sockets and TLS, is imported by the first test that needs it, and the code
that writes reports by the first failure.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from cassette_http.plugin import hooks, short_name, vcr_names
from cassette_http.plugin.collection import collection_of
from cassette_http.plugin.fixtures import (
    cassette_config,
    cassette_dir,
    cassette_name,
    cassette_path,
    http_cassette,
    use_cassette,
)
from cassette_http.plugin.layers import are_used
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.options import Place, known_keys
from cassette_http.plugin.pytest_internals import fixture_names, put_first
from cassette_http.plugin.settings import add_options, complete_flags, settings
from cassette_http.plugin.sharing import share_with_worker, sharing_of
from cassette_http.plugin.uses import CassetteFailure, Use, declared_of, load_parts, use_of
from cassette_http.system import load_before_pyfakefs

__all__ = ["cassette_config", "cassette_dir", "cassette_name", "cassette_path", "http_cassette", "use_cassette"]

SHORT_NAME = short_name.__name__


# ---------------------------------------------------------------------- configuration


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Complete the options before they are parsed.

    All plugins are loaded at this point, including any that own the names of VCR.py's plugins.
    """
    if complete_flags(args):
        # The conftest files of the tests are about to be loaded.
        early_config.known_args_namespace.file_or_dir = parser.parse_known_args(args).file_or_dir
    result = yield
    if not _is_there(early_config.pluginmanager, vcr_names.OWNERS):
        vcr_names.add_options(parser)
    return result


def _is_there(manager: pytest.PytestPluginManager, owners: Sequence[str]) -> bool:
    """Tell whether one of these modules is an installed plugin, so that its names are not ours."""
    return any(getattr(plugin, "__name__", "") in owners for plugin in manager.get_plugins())


def pytest_configure(config: pytest.Config) -> None:
    manager = config.pluginmanager
    if not _is_there(manager, vcr_names.OWNERS):
        manager.register(vcr_names, vcr_names.__name__)
    if not _is_there(manager, short_name.OWNERS):
        manager.register(short_name, SHORT_NAME)
    if config.getoption("--disable-socket", None) is not None:  # pytest-socket is installed
        from cassette_http.plugin import restrictions

        manager.register(restrictions, restrictions.__name__)
    keys = ", ".join(f"{key}=..." for key in known_keys(Place.MARKER) if key != "name")
    config.addinivalue_line(
        "markers",
        f"cassette(name=None, *, {keys}): replay the HTTP traffic of the test from its cassette, or record it "
        "(see --cassette-mode). A name with a slash or a suffix is a path beside the test.",
    )
    given = settings(config)
    load_parts(config, {**given.ini, **given.line})
    config.pluginmanager.register(Run(config), "cassette_http.run")


# ---------------------------------------------------------------------- tests


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember all collected tests, before some are deselected."""
    collection_of(config).items = items.copy()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Add the fixture to tests that have only the marker; unmarked tests cost nothing.

    All markers are known only now: a conftest.py may add some to collected tests.
    """
    for item in session.items:
        names = fixture_names(item)
        if names is None:
            continue
        has_short_name = "cassette" in names and short_name.is_meant(item)
        is_named = "http_cassette" in names or (has_short_name and not vcr_names.serves(item))
        if is_named or item.get_closest_marker("cassette") is not None or declared_of(item) is not None:
            put_first(item, "http_cassette")
    load_before_pyfakefs()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        collection_of(item.config).deselected.add(item.path)


def pytest_cassette_closed(use: Use) -> None:
    assert use.cassette is not None, "it was opened"
    if use.cassette.misses:
        from cassette_http.plugin.report import facts_of_misses

        use.facts["misses"] = facts_of_misses(use)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember how the test ended; pytest writes its report next."""
    use = use_of(item)
    if use is None:
        return
    if call.when == "call" or call.excinfo is not None:
        use.failure = call.excinfo.value if call.excinfo is not None else None
    if call.excinfo is not None:
        from cassette_http.plugin.report import hide_our_frames

        hide_our_frames(call.excinfo.value)


# ---------------------------------------------------------------------- the run as a whole


class Run:
    """Hooks that need the configuration, which pytest does not pass to them, and those that wrap our other hooks."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add what the cassette knows to the report of a failure, and put the contents of the ledger into it."""
        report = yield
        use = use_of(item)
        if call.excinfo is not None and report.failed:
            error = call.excinfo.value
            if use is not None or are_used(self._config) or isinstance(error, CassetteFailure):
                from cassette_http.plugin.report import complete

                complete(report, error, use)
            if not {"http_cassette", "vcr_cassette"}.isdisjoint(fixture_names(item) or ()):
                from cassette_http.plugin.report import explain_wider_fixture

                explain_wider_fixture(report, item, error)
        ledger_of(item.config).give_to(report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ledger_of(self._config).note(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        share_with_worker(self._config, node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        ledger_of(self._config).take_from_worker(getattr(node, "workeroutput", {}))


@pytest.hookimpl(trylast=True)  # session fixtures have been torn down then, even if the run was interrupted
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    ledger = ledger_of(config)
    ledger.end(config)
    if not hasattr(config, "workerinput") and (ledger.is_used or settings(config).get("report")):
        from cassette_http.plugin.summary import end_run

        end_run(session)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        sharing_of(config).remove()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if ledger_of(config).is_used or settings(config).get("report"):
        from cassette_http.plugin.summary import write_summary

        write_summary(terminalreporter, config)
