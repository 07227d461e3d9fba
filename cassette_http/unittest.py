"""Cassettes for unittest: `CassetteTestCase`, or the decorator `cassette` on a class or a method.

    class ApiTest(CassetteTestCase):
        def test_login(self): ...

replays `cassettes/<module>/ApiTest.test_login.yaml` beside the module. `CASSETTE_MODE=once python -m unittest` records
it. Under pytest the plugin does the same, with its own options; neither needs the other.
"""

from __future__ import annotations

import inspect
import os
import sys
import unittest
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from cassette_http.cassette.modes import RecordMode, can_play, is_build_server
from cassette_http.errors import CassetteError, CassetteWarning, InvalidOption, UnmatchedRequest
from cassette_http.plugin.naming import file_in, folder_of, name_of_test, path_of
from cassette_http.plugin.options import DECLARED, OWN, Place, checked, declared_options

if TYPE_CHECKING:
    from cassette_http.in_use import Cassette
    from cassette_http.session import use_cassette

__all__ = ["CassetteTestCase", "cassette"]

# A class of tests, or a test.
Target = TypeVar("Target", bound=Callable[..., Any])

# The equivalent of `--cassette-mode` of pytest.
MODE_VARIABLE = "CASSETTE_MODE"


class CassetteTestCase(unittest.TestCase):
    """A test case whose tests have a cassette each; in the test it is `self.cassette`.

    `cassette_options` are those of the decorator, for all tests of the class. With asynchronous tests, derive from this
    and from `unittest.IsolatedAsyncioTestCase`.
    """

    cassette: Cassette
    cassette_options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        own = checked(vars(cls).get("cassette_options", {}), Place.CONFIG, "cassette_options")
        setattr(cls, DECLARED, {**getattr(cls, DECLARED, {}), **own})

    def run(self, result: unittest.TestResult | None = None) -> Any:
        return _run(self, super().run, result)


@overload
def cassette(target: Target, /) -> Target: ...
@overload
def cassette(name: str | None = None, /, **options: Any) -> Callable[[Target], Target]: ...
def cassette(name: Any = None, /, **options: Any) -> Any:
    """Give the tests of a class, or a test, a cassette; the options are those of `@pytest.mark.cassette`.

    As in `@cassette`, `@cassette("login")`, `@cassette(match=["method", "path"])`. A name with a slash or a suffix is a
    path beside the module. Raises InvalidOption.
    """
    if inspect.isclass(name) or inspect.isfunction(name):
        return cassette()(name)
    given = checked({"name": name, **options}, Place.MARKER, "@cassette")

    def decorate(target: Any) -> Any:
        if inspect.isclass(target):
            if not issubclass(target, unittest.TestCase):
                raise InvalidOption(f"@cassette is for classes of unittest, and {target.__qualname__} is none")
            setattr(target, DECLARED, {**getattr(target, DECLARED, {}), **given})
            _take_over(target)
            return target
        return _Marked(target, given)

    return decorate


class _Marked:
    """A method with a cassette, until its class is created, which may not support cassettes itself."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._function, self._options = function, options

    def __set_name__(self, owner: type, name: str) -> None:
        if not issubclass(owner, unittest.TestCase):
            raise InvalidOption(f"@cassette is for tests of unittest, and {owner.__qualname__} is no TestCase")
        setattr(self._function, DECLARED, self._options)
        setattr(owner, name, self._function)
        _take_over(owner)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        raise InvalidOption(f"@cassette is for methods of a TestCase, and {self._function.__qualname__} is none")


def _take_over(cls: type[unittest.TestCase]) -> None:
    """Make the tests of `cls` that ask for it run with a cassette."""
    if issubclass(cls, CassetteTestCase) or getattr(cls.run, "has_cassettes", False):
        return
    run = cls.run

    def run_with_cassette(self: unittest.TestCase, result: unittest.TestResult | None = None) -> Any:
        return _run(self, lambda result: run(self, result), result)

    run_with_cassette.has_cassettes = True  # type: ignore[attr-defined]  # read above, for derived classes
    cls.run = run_with_cassette  # type: ignore[method-assign]  # on purpose


# ---------------------------------------------------------------------- running


def _run(case: Any, run: Callable[[Any], Any], result: Any) -> Any:
    """Run a test with its cassette, by calling `run`; `result` is a TestResult, None, or a test of pytest."""
    method = getattr(case, case._testMethodName)  # documented for authors of test runners
    options = declared_options(method, type(case))
    is_skipped = any(getattr(each, "__unittest_skip__", False) for each in (method, type(case)))
    if options is None or is_skipped:
        return run(result)
    if hasattr(result, "stash"):  # pytest passes its own test as the result
        from cassette_http.plugin.uses import use_of

        use = use_of(result)
        if use is not None:  # the plugin has opened the cassette
            case.cassette = use.cassette
            return run(result)
    if result is None:
        result = case.defaultTestResult()
    try:
        opened = _Opened(case, options, result)
    except CassetteError as error:
        _report(case, result, error)
        return result
    # It is the first cleanup, so it runs last: after tearDown, and after cleanups of the test.
    case.addCleanup(opened.close)
    try:
        return run(result)
    finally:
        opened.discard()


def _report(case: unittest.TestCase, result: unittest.TestResult, error: CassetteError) -> None:
    """Make a test fail before it begins: without its cassette it would be live."""
    result.startTest(case)
    try:
        raise case.failureException(str(error)) from None
    except case.failureException:
        result.addFailure(case, sys.exc_info())
    finally:
        result.stopTest(case)


class _Opened:
    """The cassette of a test, from before `setUp` until the last cleanup."""

    def __init__(self, case: Any, options: dict[str, Any], result: unittest.TestResult) -> None:
        from cassette_http.session import use_cassette

        self._case, self._result = case, result
        self._test = _test_id(case)
        self._policy = options.get("on_unplayed")
        mode = os.environ.get(MODE_VARIABLE)
        if mode is None:
            mode = options.get("mode") if not is_build_server(os.environ) else None
        given = {key: value for key, value in options.items() if key not in OWN and key != "mode"}
        self._using: use_cassette | None = use_cassette(
            _path(case, options.get("name"), self._test),
            mode or RecordMode.NONE,
            test=self._test,
            allow_missing=True,
            mode_setting=f"{MODE_VARIABLE}={{}}",
            everywhere=True,
            **given,
        )
        case.cassette = self._cassette = self._using.__enter__()
        self._reported_before = [len(each) for each in self._outcomes()]

    def close(self) -> None:
        """Leave the cassette; a request that it refused fails the test."""
        using, self._using = self._using, None
        assert using is not None, "cleanups run once"
        reported = self._reported()
        is_well = not reported
        failure = None if is_well else self._case.failureException()
        try:
            using.__exit__(type(failure) if failure else None, failure, None)
        except UnmatchedRequest:
            pass  # reported below, even if the test has failed for another reason and swallowed the refusal
        except CassetteError as error:
            raise self._case.failureException(str(error)) from None
        # If the test has ended with a refusal, that was reported already.
        unreported = [miss for miss in self._cassette.misses if miss.message.partition("\n")[0] not in reported]
        if unreported:
            miss = unreported[0]
            mode = "new_episodes" if len(self._cassette) else "once"
            raise self._case.failureException(
                f"no match: {miss.reason}\n{miss.message}\n  (refused at {miss.where})\n"
                f"to record it: {MODE_VARIABLE}={mode} python -m unittest {self._case.id()}\n"
                "if the test expects that: self.cassette.misses.clear()"
            )
        if is_well:
            self._report_unplayed()

    def discard(self) -> None:
        """Leave a cassette that no cleanup has left, as the run was interrupted."""
        if self._using is not None:
            error = KeyboardInterrupt()
            self._using.__exit__(type(error), error, None)

    def _outcomes(self) -> list[list[Any]]:
        """All failures, errors and skips in the result, which are added as soon as they happen."""
        return [getattr(self._result, name, []) for name in ("failures", "errors", "skipped")]

    def _reported(self) -> str:
        """What was reported about this test."""
        new = [outcomes[before:] for outcomes, before in zip(self._outcomes(), self._reported_before, strict=True)]
        return "\n".join(str(text) for outcomes in new for _, text in outcomes)

    def _report_unplayed(self) -> None:
        cassette = self._cassette
        if self._policy not in ("warn", "fail") or not cassette.unplayed_count or not can_play(cassette.record_mode):
            return
        text = cassette.describe_unplayed(str(cassette.path))
        if self._policy == "fail":
            raise self._case.failureException(text)
        warnings.warn_explicit(f"{self._test}: {text}", CassetteWarning, _file(self._case).name, 1)


def _file(case: unittest.TestCase) -> Path:
    return Path(inspect.getfile(type(case)))


def _test_id(case: Any) -> str:
    """Name the test like pytest, relative to the current folder: "tests/test_api.py::ApiTest::test_login"."""
    file = _file(case)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    names = type(case).__qualname__.replace(".<locals>", "").split(".")
    return "::".join([shown.as_posix(), *names, case._testMethodName])


def _path(case: unittest.TestCase, name: str | None, test: str) -> Path:
    file = _file(case)
    return path_of(file, name) if name is not None else file_in(folder_of(file), name_of_test(test))
