"""Classes of unittest with cassettes: the same under `python -m unittest` and under pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Callable

import pytest

from cassette_http import InvalidOption
from cassette_http.unittest import CassetteTestCase, cassette
from tests.plugin.project import ROOT, Project
from tests.plugin.test_layers import contents, targets

HEAD = """
import unittest

from cassette_http.unittest import CassetteTestCase, cassette
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_unittest(project: Project, mode: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests as those do who have no pytest: it cannot be imported."""
    blocked = project.path / "blocked" / "pytest"
    blocked.mkdir(parents=True, exist_ok=True)
    (blocked / "__init__.py").write_text("raise ImportError('there is no pytest here')")
    environment |= {"PYTHONPATH": os.pathsep.join([str(blocked.parent), str(ROOT)])}
    if mode:
        environment["CASSETTE_MODE"] = mode
    return subprocess.run(
        [sys.executable, "-m", "unittest", "-v", "test_api"],
        cwd=project.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_pytest(project: Project, mode: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    arguments = [f"--cassette-mode={mode}"] if mode else []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        result = project.run(*arguments)
    return subprocess.CompletedProcess([], int(result.ret), result.stdout.str(), result.stderr.str())


both = pytest.mark.parametrize("run", [run_unittest, run_pytest], ids=["unittest", "pytest"])


CLASSES = {
    "a class that derives": (
        """
class ApiTest(CassetteTestCase):
    def setUp(self):
        get("/set-up")

    def tearDown(self):
        get("/tear-down")

    def test_a(self):
        self.assertEqual(get("/a"), "answer to /a")
        self.assertLessEqual(len(self.cassette.recorded), 2)

    def test_b(self):
        self.addCleanup(get, "/cleanup")
""",
        {
            "test_api/ApiTest.test_a.yaml": ["/set-up", "/a", "/tear-down"],
            "test_api/ApiTest.test_b.yaml": ["/set-up", "/tear-down", "/cleanup"],
        },
    ),
    "a decorated class": (
        """
@cassette
class ApiTest(unittest.TestCase):
    def test_a(self):
        get("/a")

    @cassette("named")
    def test_b(self):
        get("/b")
""",
        {"test_api/ApiTest.test_a.yaml": ["/a"], "test_api/named.yaml": ["/b"]},
    ),
    "a decorated method": (
        """
class ApiTest(unittest.TestCase):
    def setUp(self):
        self.value = get("/set-up") if self.id().endswith("test_a") else None

    @cassette
    def test_a(self):
        self.assertEqual(self.cassette.path.name, "ApiTest.test_a.yaml")
        get("/a")

    def test_plain(self):
        self.assertFalse(hasattr(self, "cassette"))
""",
        {"test_api/ApiTest.test_a.yaml": ["/set-up", "/a"]},
    ),
    "an asynchronous class": (
        """
import asyncio

class ApiTest(CassetteTestCase, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        await asyncio.to_thread(get, "/set-up")

    async def test_a(self):
        self.assertEqual(await asyncio.to_thread(get, "/a"), "answer to /a")
""",
        {"test_api/ApiTest.test_a.yaml": ["/set-up", "/a"]},
    ),
    "options of a class and of its base": (
        """
class Base(CassetteTestCase):
    cassette_options = {"match": ["method", "path"]}

@cassette(repeat="last")
class ApiTest(Base):
    def test_a(self):
        get("/a?1")
        if self.cassette.played:
            get("/a?2")
""",
        {"test_api/ApiTest.test_a.yaml": ["/a?1"]},
    ),
    "a subclass of a decorated class": (
        """
@cassette
class Base(unittest.TestCase):
    def test_a(self):
        get("/a")

class ApiTest(Base):
    pass

del Base
""",
        {"test_api/ApiTest.test_a.yaml": ["/a"]},
    ),
}


@both
@pytest.mark.parametrize(("source", "recorded"), CLASSES.values(), ids=list(CLASSES))
def test_class_is_recorded_and_replayed(
    project: Project, run: Run, source: str, recorded: dict[str, list[str]]
) -> None:
    project.write(HEAD + source)
    result = run(project, "once")
    assert result.returncode == 0, result.stdout + result.stderr
    assert contents(project) == recorded
    project.server.stop()
    result = run(project)
    assert result.returncode == 0, result.stdout + result.stderr


def test_cassettes_of_one_runner_are_played_by_the_other(project: Project) -> None:
    project.write(HEAD + CLASSES["a class that derives"][0])
    assert run_unittest(project, "once").returncode == 0
    names = project.cassettes()
    heads = [(project.path / "cassettes" / name).read_text().splitlines()[3] for name in names]
    assert heads == ["test: test_api.py::ApiTest::test_a", "test: test_api.py::ApiTest::test_b"]
    project.server.stop()
    assert run_pytest(project).returncode == 0


@both
def test_refused_request_fails_the_test_although_it_was_swallowed(project: Project, run: Run) -> None:
    project.write(
        HEAD + "class ApiTest(CassetteTestCase):\n    def test_a(self):\n        try:\n            get('/a')\n"
        "        except OSError:\n            pass\n"
    )
    result = run(project)
    text = result.stdout + result.stderr
    assert result.returncode == 1
    assert "no match: GET /a: there is no cassette yet" in text
    assert "test_api.py:" in text
    assert "CASSETTE_MODE=once python -m unittest test_api.ApiTest.test_a" in text or "--cassette-update=failed" in text
    assert "ERROR" in text or "FAILED (failures=1)" in text
    assert project.server.connections == 0


def test_refused_request_that_ends_the_test_is_told_once(project: Project) -> None:
    project.write(HEAD + "class ApiTest(CassetteTestCase):\n    def test_a(self):\n        get('/a')\n")
    text = run_unittest(project).stderr
    assert "FAILED (errors=1)" in text
    assert "to record it, run with CASSETTE_MODE=once" in text


def test_refusal_that_was_swallowed_is_told_beside_another_failure(project: Project) -> None:
    project.write(
        HEAD + "class ApiTest(CassetteTestCase):\n    def test_a(self):\n        try:\n            get('/a')\n"
        "        except OSError:\n            pass\n        self.fail('of its own')\n"
    )
    text = run_unittest(project).stderr
    assert "AssertionError: of its own" in text
    assert "no match: GET /a: there is no cassette yet" in text


@both
def test_test_that_fails_keeps_the_old_cassette_when_it_is_rewritten(project: Project, run: Run) -> None:
    source = HEAD + "class ApiTest(CassetteTestCase):\n    def test_a(self):\n        get('/{}')\n        {}\n"
    project.write(source.format("old", "pass"))
    assert run(project, "once").returncode == 0
    path = project.path / "cassettes/test_api/ApiTest.test_a.yaml"
    for ending in ("self.fail()", "raise RuntimeError", "self.skipTest('no')", "raise KeyboardInterrupt"):
        project.write(source.format("new", ending))
        run(project, "rewrite")
        assert targets(path) == ["/old"], ending
    project.write(source.format("new", "pass"))
    assert run(project, "rewrite").returncode == 0
    assert targets(path) == ["/new"]


@both
def test_interactions_that_were_not_played_fail_the_test_if_it_says_so(project: Project, run: Run) -> None:
    source = f"{HEAD}@cassette(on_unplayed='fail')\nclass ApiTest(CassetteTestCase):\n    def test_a(self):\n"
    project.write(source + "        get('/a')\n        get('/b')\n")
    assert run(project, "once").returncode == 0
    project.write(source + "        get('/a')\n")
    result = run(project)
    assert result.returncode == 1
    assert "1 of 2 interactions of" in result.stdout + result.stderr


@both
@pytest.mark.parametrize("skip", ["@unittest.skip('no')", ""], ids=["class", "set-up"])
def test_skipped_test_leaves_no_cassette_open(project: Project, run: Run, skip: str) -> None:
    project.write(
        HEAD + f"{skip}\nclass ApiTest(CassetteTestCase):\n    def setUp(self):\n        self.skipTest('no')\n"
        "    def test_a(self):\n        pass\n\nclass LiveTest(unittest.TestCase):\n    def test_b(self):\n"
        "        self.assertEqual(get('/b'), 'answer to /b')\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert project.server.connections == 1


@both
def test_broken_cassette_fails_the_test_before_it_begins(project: Project, run: Run) -> None:
    project.write(HEAD + "class ApiTest(CassetteTestCase):\n    def test_a(self):\n        get('/a')\n")
    path = project.path / "cassettes/test_api/ApiTest.test_a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("cassette: 7\n---\n")
    result = run(project)
    assert result.returncode == 1
    assert "test_a.yaml, line 1: 'cassette' is '7'" in result.stdout + result.stderr
    assert project.server.connections == 0


@both
def test_build_server_records_nothing_that_was_not_asked_for_outside(project: Project, run: Run) -> None:
    project.write(
        HEAD + "@cassette(mode='once')\nclass ApiTest(unittest.TestCase):\n    def test_a(self):\n        get('/a')\n"
    )
    assert run(project, CI="true").returncode == 1
    assert project.server.connections == 0
    assert run(project, "once", CI="true").returncode == 0


def test_wrong_options_are_told_where_they_are_written() -> None:
    with pytest.raises(InvalidOption, match=r"has no option 'mdoe'; did you mean \"mode\"\?"):
        cassette(mdoe="once")
    with pytest.raises(InvalidOption, match="cassette_options has no option 'name'"):
        type("ApiTest", (CassetteTestCase,), {"cassette_options": {"name": "login"}})
    with pytest.raises(InvalidOption, match="there is no record mode 'onse'"):
        cassette("login", mode="onse")
    with pytest.raises(InvalidOption, match="is for classes of unittest"):
        cassette(type("Plain", (), {}))


def test_function_without_a_class_is_told_when_it_is_called() -> None:
    @cassette
    def test_a() -> None:
        raise AssertionError

    with pytest.raises(InvalidOption, match="is for methods of a TestCase"):
        test_a()


def test_class_of_unittest_may_have_the_marker_of_pytest(project: Project) -> None:
    source = """
import unittest

@pytest.mark.cassette(match=["method", "path"])
class ApiTest(unittest.TestCase):
    def setUp(self):
        get("/set-up?1")

    def test_a(self):
        self.assertIn("answer to /a", get("/a?1"))
"""
    project.write(source)
    project.record_then_stop()
    assert contents(project) == {"test_api/ApiTest.test_a.yaml": ["/set-up?1", "/a?1"]}
    project.write(source.replace("?1", "?2"))
    project.run().assert_outcomes(passed=1)


def test_test_case_can_be_run_by_hand(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class ApiTest(CassetteTestCase):
        def test_a(self) -> None:
            assert len(self.cassette) == 0

    monkeypatch.chdir(project.path)
    result = ApiTest("test_a").run()
    assert isinstance(result, unittest.TestResult)
    assert result.wasSuccessful(), result.failures
