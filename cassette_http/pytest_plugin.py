"""The pytest plugin: a marked test has a cassette of its own.

    @pytest.mark.cassette
    def test_login(): ...

replays `cassettes/<module>/test_login.yaml` beside the test; `pytest --cassette-mode=once` records it.

pytest imports this module at each start, also where no test has a cassette: the session, with its hooks into sockets
and TLS, is imported by the first test that needs it.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode
from cassette_http.errors import CassetteError, InvalidOption, UnmatchedRequest

if TYPE_CHECKING:
    from cassette_http.board import Cassette

__all__ = ["cassette", "cassette_path"]

MODES = [mode.value for mode in RecordMode]
MARKER_OPTIONS = ("name", "mode", "match", "repeat")
PATH_SUFFIXES = (".yaml", ".yml")

# Longer names do not fit into every file system together with the suffix and a hash.
MAX_NAME_CHARACTERS = 120
# What Windows forbids in file names, and what would lead elsewhere.
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]|^\.+|[. ]+$')

PACKAGE_FOLDER = str(Path(__file__).parent)

_opened = pytest.StashKey["Cassette"]()
_failure = pytest.StashKey["BaseException | None"]()


# ---------------------------------------------------------------------- configuration


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cassette", "HTTP cassettes")
    group.addoption(
        "--cassette-mode",
        choices=MODES,
        help="record mode of all cassettes, over what markers and configuration say (default: none, replay only)",
    )
    parser.addini("cassette_mode", "record mode of cassettes: " + ", ".join(MODES), default="none")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cassette(name=None, *, mode=None, match=None, repeat=None): replay the HTTP traffic of the test from its "
        "cassette, or record it (see --cassette-mode). A name with a slash or a suffix is a path beside the test.",
    )
    try:
        RecordMode.of(config.getini("cassette_mode"))
    except InvalidOption as error:
        raise pytest.UsageError(f"cassette_mode: {error}") from None


# ---------------------------------------------------------------------- fixtures


def pytest_itemcollected(item: pytest.Item) -> None:
    """A marker is enough: such a test uses the fixture without naming it, and unmarked ones pay nothing."""
    names = getattr(item, "fixturenames", None)
    if names is None or ("cassette" not in names and item.get_closest_marker("cassette") is None):
        return
    # Before the other fixtures of the test, so that their traffic is recorded too; behind those of a wider scope, which
    # belong to no single test. pytest sorts by scope before this hook is called, and shows scopes nowhere else.
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009  # not declared on Item
    others = [name for name in names if name != "cassette"]
    is_of_test = [name not in definitions or definitions[name][-1].scope == "function" for name in others]
    index = is_of_test.index(True) if True in is_of_test else len(others)
    # A new list: the items of a parametrized test share the old one, and not all of them may be marked.
    item.fixturenames = [*others[:index], "cassette", *others[index:]]  # type: ignore[attr-defined]


@pytest.fixture
def cassette_path(request: pytest.FixtureRequest) -> Path:
    """Where the cassette of this test lies: `<test dir>/cassettes/<module>/<Class.>test[params].yaml`.

    Override it in a conftest.py to keep cassettes elsewhere.
    """
    name = _marker_options(request.node).get("name")
    folder = request.path.parent
    if name is not None and ("/" in name or name.endswith(PATH_SUFFIXES)):
        return folder / (name if name.endswith(PATH_SUFFIXES) else f"{name}.yaml")
    own_name = request.node.name if request.cls is None else f"{request.cls.__qualname__}.{request.node.name}"
    return folder / "cassettes" / request.path.stem / f"{_safe(name or own_name)}.yaml"


@pytest.fixture
def cassette(request: pytest.FixtureRequest, cassette_path: Path) -> Iterator[Cassette]:
    """The cassette of this test, in use from set-up to tear-down. A request that it refused fails the test."""
    from cassette_http.session import use_cassette  # late: see the module's docstring

    item = request.node
    options = _marker_options(item)
    options.pop("name", None)
    from_marker = options.pop("mode", None)
    mode = request.config.getoption("--cassette-mode") or from_marker or request.config.getini("cassette_mode")
    try:
        using = use_cassette(cassette_path, mode, test=item.nodeid, allow_missing=True, **options)
        opened = using.__enter__()
    except CassetteError as error:
        raise _failure_without_traceback(str(error)) from None
    # Who interrupts the run gets no report of the test: until there is one, it has not ended well.
    item.stash[_opened], item.stash[_failure] = opened, KeyboardInterrupt()
    yield opened
    failure = item.stash[_failure]
    # Items live as long as the test run; what an error and a cassette hold should not.
    del item.stash[_opened], item.stash[_failure]
    try:
        using.__exit__(type(failure) if failure else None, failure, None)
    except UnmatchedRequest as error:
        raise _failure_without_traceback(f"{error}\n{_repair(item, opened)}") from None
    except CassetteError as error:
        raise _failure_without_traceback(str(error)) from None


def _marker_options(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test, its class and its module say; the closest one wins. Fails the test if it is wrong."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers("cassette"):
        given = dict(marker.kwargs)
        if len(marker.args) > 1 or (marker.args and "name" in given):
            pytest.fail(f"@pytest.mark.cassette takes one name, and got {marker.args!r}", pytrace=False)
        if marker.args:
            given["name"] = marker.args[0]
        for key in given:
            if key not in MARKER_OPTIONS:
                known = ", ".join(MARKER_OPTIONS)
                pytest.fail(f"@pytest.mark.cassette has no option {key!r} (the options are: {known})", pytrace=False)
        options = {**{key: value for key, value in given.items() if value is not None}, **options}
    name = options.get("name")
    if name is not None and (not isinstance(name, str) or not name.strip("./ ")):
        pytest.fail(
            f"the name of a cassette is a text, such as 'login' or 'data/login.yaml', not {name!r}", pytrace=False
        )
    return options


def _safe(name: str) -> str:
    """Make a file name for any file system; a name that had to change gets a hash, so that two never meet."""
    safe = UNSAFE.sub("_", name)
    if not safe.isascii():
        safe = re.sub(r"[^\x00-\x7f]", "_", safe)
    safe = safe[:MAX_NAME_CHARACTERS]
    if safe == name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


# ---------------------------------------------------------------------- reports


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember how the test ended. Before pytest writes its report of a failure, add what the cassette has to say."""
    if _opened not in item.stash:
        return
    if call.when == "call" or call.excinfo is not None:
        item.stash[_failure] = call.excinfo.value if call.excinfo is not None else None
    if call.excinfo is None:
        return
    _hide_our_frames(call.excinfo.value)
    opened = item.stash[_opened]
    if opened.misses and call.when == "call":
        # The libraries between may have kept the first line of the message only, or none.
        messages = "\n".join(f"{miss.message}\n  (refused at {miss.where})" for miss in opened.misses)
        item.add_report_section("call", "cassette", f"{messages}\n{_repair(item, opened)}")


def _failure_without_traceback(text: str) -> BaseException:
    return pytest.fail.Exception(text, pytrace=False)


def _repair(item: pytest.Item, opened: Cassette) -> str:
    mode = "new_episodes" if len(opened) else "once"
    return f"  to record it: pytest {shlex.quote(item.nodeid)} --cassette-mode={mode}"


def _hide_our_frames(error: BaseException | None) -> None:
    """Let the traceback of a refusal end where a library, or the test itself, called a socket."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, UnmatchedRequest):
            last = _last_foreign(error.__traceback__)
            if last is not None:
                last.tb_next = None
        error = error.__cause__ or error.__context__


def _last_foreign(traceback: TracebackType | None) -> TracebackType | None:
    last = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
            last = traceback
        traceback = traceback.tb_next
    return last
