"""Cassettes whose tests were renamed, moved or deleted, and names that no file system minds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cassette_http.plugin.naming import MAX_NAME_CHARACTERS, name_of_test, safe_name
from tests.plugin.project import Project
from tests.plugin.test_summary import summary

# ---------------------------------------------------------------------- names

NAMES = [
    ("test_a.py::test_a", "test_a"),
    ("tests/test_a.py::TestA::test_a", "TestA.test_a"),
    ("test_a.py::TestA::TestInner::test_a[1]", "TestA.TestInner.test_a[1]"),
    ("test_a.py::test_a[x::y.z]", "test_a[x::y.z]"),
]


@pytest.mark.parametrize(("nodeid", "name"), NAMES)
def test_name_is_that_of_class_test_and_parameters(nodeid: str, name: str) -> None:
    assert name_of_test(nodeid) == name


UNSAFE = [
    *("test[a/b]", "test[a\\b]", "test[a:b]", 'test[a"b]', "test[a*b]", "test[a?b]", "test[<a>]", "test[a|b]"),
    *("test[\x01]", "test[\x7f]", "test[é]", "test[\ud800]", "..", ".hidden", "../up", "name.", "name ", "", "."),
    *("CON", "con", "NUL", "aux.txt", "COM1", "lpt9", "prn ", "nul.test[1]", "CONIN$"),
    *("x" * 300, "test[" + "é" * 300 + "]"),
]


@pytest.mark.parametrize("name", UNSAFE, ids=range(len(UNSAFE)))
def test_unsafe_name_is_made_safe_on_every_system(name: str) -> None:
    safe = safe_name(name)
    assert safe != name
    assert safe.isascii()
    assert not set(safe) & set('<>:"/\\|?*') | {each for each in safe if not each.isprintable()}
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert safe.partition(".")[0].strip().upper() not in {"CON", "NUL", "AUX", "COM1", "LPT9", "PRN", "CONIN$"}
    assert len(safe) <= MAX_NAME_CHARACTERS + 10


def test_different_names_stay_different() -> None:
    assert len({safe_name(name) for name in UNSAFE}) == len(UNSAFE)


@pytest.mark.parametrize("name", ["test_a", "TestA.test_a", "test_a[x y-1.5]", "console", "test[con]", "null"])
def test_safe_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


def test_long_parameters_are_recorded_and_replayed(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\n"
        "@pytest.mark.parametrize('p', ['x' * 300 + 'a', 'x' * 300 + 'b', '..', '/'])\n"
        "def test_a(p):\n    get(f'/{len(p)}')"
    )
    project.record_then_stop(passed=4)
    assert len(project.cassettes()) == 4
    project.run().assert_outcomes(passed=4)


def test_project_can_change_folder_and_name(project: Project) -> None:
    project.pytester.makeconftest(
        """
import pytest

@pytest.fixture(scope="module")
def cassette_dir(request):
    return str(request.config.rootpath / "tapes")

@pytest.fixture
def cassette_name(request, cassette_name):
    return f"{request.path.stem}: {cassette_name}"
"""
    )
    project.write("@pytest.mark.cassette\ndef test_a(cassette):\n    get('/a')")
    project.record_then_stop()
    [path] = (project.path / "tapes").iterdir()
    assert path.name == f"{safe_name('test_api: test_a')}.yaml"
    result = project.run()
    result.assert_outcomes(passed=1)
    assert summary(result) == []


# ---------------------------------------------------------------------- tests that were renamed

TEST = "@pytest.mark.cassette\ndef test_{}():\n    get('/a')\n"


def git_mv(project: Project, result: pytest.RunResult) -> None:
    """Do what the report says, with mv for git mv: the project is in no repository."""
    [command] = [line.partition("renamed? ")[2] for line in result.stdout.lines if "git mv" in line]
    subprocess.run(["sh", "-c", command.replace("git mv", "mv")], cwd=project.path, check=True)


def test_cassette_of_a_renamed_test_is_found_and_named_with_the_command(project: Project) -> None:
    project.write(TEST.format("old"))
    project.record_then_stop()
    project.write(TEST.format("new"))
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "  cassette cassettes/test_api/test_new.yaml does not exist",
            "  hint     cassettes/test_api/test_old.yaml was recorded by test_api.py::test_old, which does not *;",
            "           was it renamed? git mv cassettes/test_api/test_old.yaml cassettes/test_api/test_new.yaml",
        ]
    )
    git_mv(project, result)
    result = project.run()
    result.assert_outcomes(passed=1)
    assert summary(result) == []


def test_cassette_of_a_test_that_moved_to_another_module_is_found(project: Project) -> None:
    project.write(TEST.format("a"), "test_before")
    project.write(TEST.format("b"), "test_stays")
    project.record_then_stop(passed=2)
    (project.path / "test_before.py").rename(project.path / "test_after.py")
    result = project.run("test_after.py")
    result.stdout.fnmatch_lines(["*test_before/test_a.yaml was recorded by test_before.py::test_a, which does not*"])
    git_mv(project, result)
    project.run().assert_outcomes(passed=2)


def test_test_that_exists_is_not_taken_for_renamed(project: Project) -> None:
    project.write(TEST.format("old"))
    project.record_then_stop()
    project.write(TEST.format("old") + TEST.format("new"))
    for arguments in ([], ["test_api.py::test_new"], ["-k", "new"]):
        result = project.run(*arguments)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.no_fnmatch_line("*does not exist any more*")


INHERITED = """
from base import Base

class TestApi(Base):
    pass
"""


def test_test_that_is_inherited_is_not_taken_for_deleted(project: Project) -> None:
    project.write("class Base:\n    @pytest.mark.cassette\n    def test_old(self):\n        get('/a')", "base")
    project.write(INHERITED)
    project.pytester.syspathinsert()
    project.record_then_stop()
    project.write(INHERITED + "\n@pytest.mark.cassette\ndef test_new():\n    get('/a')".replace("get", "1/0 or "))
    result = project.run("test_api.py::test_new")
    result.stdout.no_fnmatch_line("*does not exist any more*")


MAKER = """
import pytest

def make_tests(names):
    @pytest.mark.cassette
    def test_made():
        get("/a")
    names["test_made"] = test_made
"""


def test_test_that_a_call_makes_is_not_taken_for_deleted(project: Project) -> None:
    project.write(MAKER, "maker")
    project.write("from maker import make_tests\nmake_tests(globals())")
    project.pytester.syspathinsert()
    project.record_then_stop()
    project.write(TEST.format("new"), "test_new")
    result = project.run("test_new.py")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*does not exist any more*")


# ---------------------------------------------------------------------- cassettes that nothing used

PAIR = TEST.format("a") + TEST.format("b")
ORPHAN = "orphaned  cassettes/test_api/test_b.yaml: test_api.py::test_b does not exist any more"


@pytest.fixture
def deleted(project: Project) -> Project:
    """A project in which a test was deleted."""
    project.write(PAIR)
    project.write(TEST.format("c"), "test_other")
    project.record_then_stop(passed=3)
    project.write(TEST.format("a") + "\ndef test_plain():\n    pass\n")
    return project


@pytest.mark.parametrize("arguments", [[], ["test_api.py"], ["-p", "xdist", "-n2"]], ids=["all", "its module", "xdist"])
def test_cassette_of_a_deleted_test_is_named(deleted: Project, arguments: list[str]) -> None:
    result = (deleted.run_alone if "xdist" in arguments else deleted.run)(*arguments)
    assert ORPHAN in summary(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "not plain"],
        ["test_api.py::test_a"],
        ["test_other.py"],
        ["--deselect", "test_api.py::test_plain"],
        ["--no-cassette"],
    ],
    ids=" ".join,
)
def test_run_of_some_tests_says_nothing_of_the_cassettes_of_others(deleted: Project, arguments: list[str]) -> None:
    assert summary(deleted.run(*arguments)) == []


@pytest.mark.parametrize("option", ["-x", "--lf"])
def test_run_that_ended_early_says_nothing(deleted: Project, option: str) -> None:
    broken = TEST.format("a").replace("get('/a')", "assert False") + "\ndef test_plain():\n    pass\n"
    deleted.write(broken)
    deleted.run("-p", "cacheprovider", "test_api.py")
    result = deleted.run("-p", "cacheprovider", option, "test_api.py")
    result.assert_outcomes(failed=1)
    assert ORPHAN not in summary(result)


def test_cassette_of_a_test_that_passes_without_it_is_stale(project: Project) -> None:
    project.write(PAIR)
    project.record_then_stop(passed=2)
    project.write(TEST.format("a") + "\ndef test_b():\n    pass\n")
    assert "stale     cassettes/test_api/test_b.yaml: test_api.py::test_b passes without it" in summary(project.run())


@pytest.mark.parametrize("ending", ["pytest.skip('no')", "assert False"])
def test_cassette_of_a_test_that_did_not_pass_is_not_stale(project: Project, ending: str) -> None:
    project.write(PAIR)
    project.record_then_stop(passed=2)
    project.write(TEST.format("a") + f"\ndef test_b():\n    {ending}\n")
    assert summary(project.run()) == []


def test_cassettes_of_a_deleted_module_are_named_if_its_folder_was_asked_for(project: Project) -> None:
    project.write(TEST.format("a"), "tests/test_gone")
    project.write(TEST.format("b"), "tests/test_stays")
    project.record_then_stop(passed=2)
    (project.path / "tests/test_gone.py").unlink()
    line = "orphaned  tests/cassettes/test_gone/test_a.yaml: tests/test_gone.py::test_a does not exist any more"
    assert line in summary(project.run())
    assert line in summary(project.run("tests"))
    assert summary(project.run("tests/test_stays.py")) == []


def test_named_cassettes_and_those_of_fixtures_are_no_orphans(project: Project) -> None:
    source = """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        yield get("/log-in")

@pytest.mark.cassette("shared")
def test_{}(token):
    get("/a")

@pytest.mark.cassette
def test_b():
    get("/b")
"""
    project.write(source.format("old"))
    project.record_then_stop(passed=2)
    project.write(source.format("new"))
    result = project.run()
    result.assert_outcomes(passed=2)
    assert summary(result) == []
    assert summary(project.run("-k", "test_b")) == []


def test_files_that_are_no_cassettes_are_left_alone(project: Project) -> None:
    project.write(TEST.format("a"))
    project.record_then_stop()
    folder = Path(project.path / "cassettes/test_api")
    (folder / "notes.yaml").write_text("a: 1\n")
    (folder / "broken.yaml").write_text("cassette: 1\n\x00")
    (folder / "headless.yaml").write_text("cassette: 1\n---\n")
    assert summary(project.run()) == []
