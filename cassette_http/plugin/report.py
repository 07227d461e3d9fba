"""What the report of a failed test says about its cassette: a one-line reason; then what, why, and how to repair it."""

from __future__ import annotations

import inspect
import re
import shlex
import socket
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FunctionType
from typing import Any

import pytest

from cassette_http.errors import CassetteError, CassetteFormatError, NetworkBlocked, UnmatchedRequest
from cassette_http.in_use import Cassette, Miss
from cassette_http.plugin.collection import collection_of
from cassette_http.plugin.ledger import TRANSCRIPT
from cassette_http.plugin.leftovers import cassettes_below, find_moved
from cassette_http.plugin.paths import command_that_records, shown_path, shown_paths, shown_test
from cassette_http.plugin.pytest_internals import definitions_of
from cassette_http.plugin.transcript import content_difference, transcript
from cassette_http.plugin.uses import CassetteFailure, Use
from cassette_http.system import is_there, os
from cassette_http.transport.failures import NOTE

PACKAGE_FOLDER = str(Path(__file__).parents[1])

NEEDS_SOCKETS = """\
{} stands in the place of Python's sockets, and a replay needs some that are connected to nothing.
instead of it, for tests with a cassette: pytest --cassette-block-network"""

PLAYED_FAILURE = """\
what failed here was recorded, and played from {}; nothing was connected.
to ask the server again: pytest {} --cassette-update=all"""

NO_TESTS_OWN = """\
{name} has the scope of a {scope}: what it asks belongs to no single test, and is in no test's cassette.
to record it, let it ask within one of its own: {remedy}"""

# The fixture that pytest creates for setUpClass, setup_module and the like.
METHOD = re.compile(r"_(?:unittest|xunit)_(\w+?)_fixture")

MOST_MISSES = 3
MOST_DIFFERENCES = 6
MOST_MOVED = 2


# ---------------------------------------------------------------------- failures of ours


def failure_of(use: Use, error: CassetteError) -> CassetteFailure:
    """Make the failure of a test or fixture whose cassette has an error when it is left."""
    if not isinstance(error, UnmatchedRequest):
        return CassetteFailure(shown_paths(use.config, str(error)))
    assert use.cassette is not None, "it was opened"
    cassette = use.cassette
    text = "\n".join([*_misses(use, cassette), f"if the test expects that: {_fixture_of(use)}.misses.clear()"])
    return CassetteFailure(text, _reason(cassette), _transcript(cassette))


def _fixture_of(use: Use) -> str:
    """The name of the cassette fixture in a test."""
    markers = {marker.name for marker in use.item.iter_markers()} if use.item is not None else set()
    return "vcr" if "vcr" in markers and "cassette" not in markers else "cassette"


def _reason(cassette: Cassette) -> str:
    misses = [miss for miss, _ in _distinct(cassette.misses)]
    more = f" (and {len(misses) - 1} more)" if len(misses) > 1 else ""
    return f"no match: {_reason_of(cassette, misses[0])}{more}"


def _reason_of(cassette: Cassette, miss: Miss) -> str:
    """The reason of a miss; a missing file is more important than that nothing is in it."""
    if miss.nearest or is_there(cassette.path):
        return miss.reason
    return f"{miss.reason.rpartition(': ')[0]}: there is no cassette yet"


# ---------------------------------------------------------------------- reports of pytest


def complete(report: pytest.TestReport, error: BaseException, use: Use | None) -> None:
    """Add what the cassette knows to the report of a failure. pytest has made its traceback already."""
    ours = _find(error, CassetteFailure)
    if ours is not None:
        set_reason(report, ours.reason)
        if ours.transcript:
            report.sections.append((f"{TRANSCRIPT} {report.when}", ours.transcript))
    if use is None or use.cassette is None:
        return
    cassette = use.cassette
    if cassette.misses and ours is None:
        set_reason(report, with_own_reason(_reason(cassette), report, error))
        add_section(report, "no match in the cassette", "\n".join(_misses(use, cassette)))
    elif (broken := _find(error, CassetteFormatError)) is not None:
        set_reason(report, shown_paths(use.config, str(broken)))
    elif any(NOTE in getattr(each, "__notes__", ()) for each in _causes(error)):
        test = shlex.quote(_test_to_run(use))
        text = PLAYED_FAILURE.format(shown_path(use.config, cassette.path), test)
        add_section(report, "a recorded failure", text)
    if (guard := _socket_guard(error)) is not None:
        place = shown_path(use.config, f"{guard.co_filename}:{guard.co_firstlineno}")
        add_section(report, "no sockets for the cassette", NEEDS_SOCKETS.format(f"`{guard.co_name}` ({place})"))
    if text := _transcript(cassette):
        report.sections.append((f"{TRANSCRIPT} {report.when}", text))


def _transcript(cassette: Cassette) -> str:
    try:
        return transcript(cassette.history)
    except CassetteError as error:  # the file is broken or has changed since; the report must not be lost for that
        return f"(cannot be shown: {error})"


def with_own_reason(reason: str, report: pytest.TestReport, error: BaseException) -> str:
    """Append the test's own reason to ours, unless it is only the refusal, in the words of a library."""
    crash = getattr(report.longrepr, "reprcrash", None)
    own = crash.message.partition("\n")[0] if crash is not None else ""
    is_refusal = _find(error, (UnmatchedRequest, NetworkBlocked)) is not None or "has no interaction for" in own
    return reason if is_refusal or not own else f"{reason}; {own}"


def set_reason(report: pytest.TestReport, reason: str) -> None:
    """Change what the short summary shows after the test's name."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = reason


def add_section(report: pytest.TestReport, title: str, text: str) -> None:
    """Add to the failure itself: unlike captured output, that is also shown with --show-capture=no."""
    add: Any = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text, "-")
    else:
        report.sections.append((title, text))


# ---------------------------------------------------------------------- what was refused


def _distinct(misses: list[Miss]) -> list[tuple[Miss, int]]:
    """The misses that differ, and how often each occurred: libraries and programs try again."""
    times = Counter((miss.message, miss.where) for miss in misses)
    first = {(miss.message, miss.where): miss for miss in reversed(misses)}
    return [(first[said], count) for said, count in times.items()]


def _misses(use: Use, cassette: Cassette) -> Iterator[str]:
    misses = _distinct(cassette.misses)
    for miss, times in misses[:MOST_MISSES]:
        yield from _miss_lines(use, cassette, miss, times)
    left_out = sum(times for _, times in misses[MOST_MISSES:])
    if left_out > 0:
        yield f"({left_out} more requests were refused)"
    yield f"to record it: {repair(use)}"


def _miss_lines(use: Use, cassette: Cassette, miss: Miss, times: int) -> Iterator[str]:
    path = shown_path(use.config, cassette.path)
    yield f"no match: {_reason_of(cassette, miss)}"
    yield f"  asked    {miss.request.method} {miss.request.url}" + (f" ({times} times)" if times > 1 else "")
    yield f"  at       {shown_path(use.config, miss.where)}"
    if not miss.nearest:
        yield f"  cassette {path} {'is empty' if is_there(cassette.path) else 'does not exist'}"
        yield from _moved_lines(use)
        yield from _near_lines(use)
        return
    nearest = miss.nearest[0]
    yield f"  nearest  interaction {nearest.number} of {path}, {'already' if nearest.was_played else 'not'} played"
    yield f"           {nearest.request.method} {nearest.request.url}"
    for difference in miss.differences[:MOST_DIFFERENCES]:
        yield f"  differs  {difference}"
    if len(miss.differences) > MOST_DIFFERENCES:
        yield f"           ({len(miss.differences) - MOST_DIFFERENCES} more differences)"
    if any(difference.matcher in ("body", "raw_body") for difference in miss.differences):
        for line in content_difference(nearest.request, miss.request):
            yield f"           {line}"
    for hint in miss.explanation.hints:
        yield f"  hint     {hint}"


def _moved_lines(use: Use) -> Iterator[str]:
    """Name the cassettes of tests that were renamed, or moved to another module."""
    if use.item is None or not use.is_own or is_there(use.path):
        return
    for moved in find_moved(use.path, use.owner, collection_of(use.config))[:MOST_MOVED]:
        old, new = shown_path(use.config, moved.path), shown_path(use.config, use.path)
        yield f"  hint     {old} was recorded by {moved.test}, which does not exist any more;"
        folder = "" if is_there(use.path.parent) else f"mkdir -p {shlex.quote(os.path.dirname(new))} && "
        yield f"           was it renamed? {folder}git mv {shlex.quote(old)} {shlex.quote(new)}"


def _near_lines(use: Use) -> Iterator[str]:
    """Name a cassette whose name is similar to the one in the marker."""
    if use.item is None or use.is_own or is_there(use.path):
        return
    there = {path.name: path for path in cassettes_below(use.item.path.parent / "cassettes", use.path.parent)}
    for name in get_close_matches(use.path.name, there, n=1, cutoff=0.8):
        yield f"  hint     did you mean {shown_path(use.config, there[name])}?"


def facts_of_misses(use: Use) -> list[dict[str, str]]:
    """What the reports of the run say about each refused request."""
    cassette = use.cassette
    assert cassette is not None, "it was opened"
    return [
        {
            "reason": _reason_of(cassette, miss),
            "at": shown_path(use.config, miss.where),
            "text": "\n".join(_miss_lines(use, cassette, miss, times)),
            "test": _test_to_run(use),
        }
        for miss, times in _distinct(cassette.misses)[:MOST_MISSES]
    ]


def repair(use: Use) -> str:
    """The command that records what was missing, to be pasted into a shell where pytest was started."""
    return command_that_records(use.config, [_test_to_run(use)])


def _test_to_run(use: Use) -> str:
    """The test of this use, for the command line; for a fixture, the running test that needs it."""
    if use.item is not None:
        return shown_test(use.config, use.owner)
    return shown_test(use.config, os.environ.get("PYTEST_CURRENT_TEST", f"{use.owner} ").rpartition(" ")[0])


# ---------------------------------------------------------------------- fixtures of a wider scope


def explain_wider_fixture(report: pytest.TestReport, item: pytest.Item, error: BaseException) -> None:
    """Explain why the cassette of a test did not answer a fixture that could not reach its server."""
    if _find(error, (ConnectionError, socket.gaierror, TimeoutError)) is None:
        return
    codes = {frame.f_code for each in _causes(error) for frame, _ in walk_tb(each.__traceback__)}
    for name, definitions in definitions_of(item).items():
        for one in definitions:
            function = inspect.unwrap(getattr(one.func, "__func__", one.func))
            if one.scope != "function" and getattr(function, "__code__", None) in codes:
                method = METHOD.match(name)
                shown = method[1] if method is not None else f"the fixture {name!r}"
                remedy = "with cassette_http.use_cassette(path): ..."
                if method is None:
                    remedy = f"with use_cassette({name!r}): ..., by the fixture use_cassette"
                text = NO_TESTS_OWN.format(name=shown, scope=one.scope, remedy=remedy)
                add_section(report, "not in the cassette", text)
                return


# ---------------------------------------------------------------------- tracebacks


def _find(error: BaseException | None, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    return next((each for each in _causes(error) if isinstance(each, kind)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        waiting += [each.__context__, each.__cause__]


def _socket_guard(error: BaseException) -> CodeType | None:
    """The function that raised `error`, if a fixture put it in `socket` in order to forbid connections."""
    functions: list[Any] = [socket.socket, socket.create_connection, socket.getaddrinfo]
    if isinstance(socket.socket, type):
        # The one of pytest-socket is a __new__.
        functions += [getattr(each, "__func__", each) for each in vars(socket.socket).values()]
    replaced = {each.__code__ for each in functions if isinstance(each, FunctionType)}
    raising = (frame.f_code for each in _causes(error) for frame, _ in [*walk_tb(each.__traceback__)][-1:])
    not_guards = (PACKAGE_FOLDER, str(socket.__file__))
    return next((code for code in raising if code in replaced and not code.co_filename.startswith(not_guards)), None)


def hide_our_frames(error: BaseException | None) -> None:
    """Remove our frames from the traceback of a refusal: it ends where a library or the test called a socket."""
    traceback = getattr(_find(error, (UnmatchedRequest, NetworkBlocked)), "__traceback__", None)
    while traceback is not None:
        following = traceback.tb_next
        while following is not None and following.tb_frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
            following = following.tb_next
        traceback.tb_next = following
        traceback = following
