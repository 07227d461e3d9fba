"""`--cassette-on-failure`: what tests that fail leave behind, and what others do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cassette_http import use_cassette
from cassette_http.plugin import flights
from tests.plugin.project import Project
from tests.plugin.test_layers import targets

# Imported here, as pytester forgets what is imported during its runs.
__all__ = ["flights"]

FLAG = "--cassette-on-failure=traffic"

TESTS = """
def test_passes():
    get("/passes")

def test_fails():
    get("/fails/1")
    get("/fails/2")
    assert not "as it should"

def test_fails_without_traffic():
    assert 0

@pytest.fixture
def session():
    get("/set-up")
    yield
    get("/tear-down")

@pytest.mark.parametrize("name", ["a/b", "ä"])
def test_names(session, name):
    assert name == "ä"

@pytest.mark.xfail
def test_fails_as_expected():
    get("/expected")
    assert 0
"""


def reports(project: Project) -> dict[str, list[str]]:
    folder = project.path / "traffic"
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): targets(path) for path in sorted(found)}


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])
def test_only_tests_that_fail_leave_their_traffic(project: Project, workers: tuple[str, ...]) -> None:
    project.write(TESTS)
    result = (project.run_alone if workers else project.run)(*workers, FLAG)
    result.assert_outcomes(passed=2, failed=3, xfailed=1)
    found = reports(project)
    [odd] = [name for name in found if "test_names" in name]
    assert re.fullmatch(r"test_api/test_names\[a_b\]-[0-9a-f]{8}\.yaml", odd)
    assert found == {"test_api/test_fails.yaml": ["/fails/1", "/fails/2"], odd: ["/set-up", "/tear-down"]}
    result.stdout.fnmatch_lines(
        [
            "*HTTP traffic*",
            "2 exchanges in traffic/test_api/test_fails.yaml",
            'to replay: use_cassette("traffic/test_api/test_fails.yaml", record_mode="none")',
            "*HTTP cassettes*",
            "traffic   of 2 failed tests in traffic",
        ]
    )
    project.server.stop()
    with use_cassette(project.path / "traffic/test_api/test_fails.yaml", "none") as cassette:
        assert len(cassette) == 2
        cassette.misses.clear()


def test_nothing_is_left_and_told_where_all_pass(project: Project) -> None:
    project.write("def test_a():\n    get('/a')")
    result = project.run(FLAG)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*HTTP*")
    assert reports(project) == {}


def test_test_with_a_cassette_leaves_what_it_played_and_recorded(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/played')")
    project.record()
    own = project.path / "cassettes/test_api/test_a.yaml"
    before = own.read_bytes()
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/played')\n    get('/recorded')\n    assert 0")
    project.run(FLAG, "--cassette-update").assert_outcomes(failed=1)
    assert reports(project) == {"test_api/test_a.yaml": ["/played", "/recorded"]}
    assert own.read_bytes() == before


def test_replay_is_not_disturbed(project: Project) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        yield get("/log-in")

@pytest.mark.cassette
def test_a(token):
    get("/a")

def test_b(token):
    get("/late")
"""
    )
    project.record_then_stop(passed=2)
    project.run(FLAG).assert_outcomes(passed=2)
    assert reports(project) == {}


def test_each_attempt_leaves_its_own_traffic(project: Project) -> None:
    project.write(
        """
attempts = []

def test_flaky():
    attempts.append(1)
    get(f"/attempt/{len(attempts)}")
    assert len(attempts) == 3
"""
    )
    result = project.run_alone("-p", "pytest_rerunfailures", "--reruns=3", FLAG)
    result.stdout.fnmatch_lines(["*1 passed, 2 rerun*"])
    assert reports(project) == {
        "test_api/test_flaky.yaml": ["/attempt/1"],
        "test_api/test_flaky.attempt2.yaml": ["/attempt/2"],
    }


def test_no_secret_is_in_it(project: Project) -> None:
    project.write("def test_a():\n    get('/a?api_key=q9Xv27LmZr4TkW81')\n    assert 0")
    project.run(FLAG)
    [path] = (project.path / "traffic").rglob("*.yaml")
    assert b"q9Xv27LmZr4TkW81" not in path.read_bytes()
    assert b"{{secret:1}}" in path.read_bytes() or b"secret%3A1" in path.read_bytes()


def test_ini_file_names_a_folder_of_the_project(project: Project) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\ncassette_on_failure = traffic\n")
    project.write("def test_a():\n    get('/a')\n    assert 0", "tests/test_a")
    project.run("tests").assert_outcomes(failed=1)
    assert reports(project) == {"tests.test_a/test_a.yaml": ["/a"]}


def test_folder_that_cannot_be_written_costs_no_report(project: Project) -> None:
    (project.path / "traffic").write_text("a file")
    project.write("def test_a():\n    get('/a')\n    assert 'the reason' == ''")
    result = project.run(FLAG)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the reason*", "*HTTP traffic*", "*cannot be written*"])


def test_import_of_the_recorder_waits_for_the_option(project: Project) -> None:
    project.write("import sys\ndef test_a():\n    assert 'cassette_http.flight' not in sys.modules")
    project.run_alone().assert_outcomes(passed=1)


def test_path_is_absolute_outside_of_the_project(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    project.write("def test_a():\n    get('/a')\n    assert 0")
    result = project.run(f"--cassette-on-failure={folder}")
    result.stdout.fnmatch_lines([f"1 exchange in {folder}/test_api/test_a.yaml"])
