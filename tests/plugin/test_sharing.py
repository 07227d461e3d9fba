"""One cassette for several tests of a run, in one process and in several."""

from __future__ import annotations

import pytest

from tests.plugin.project import Project
from tests.plugin.test_layers import targets

SHARED = """
pytestmark = pytest.mark.cassette("shared")

@pytest.mark.parametrize("number", range({tests}))
def test_a(number):
    assert get("/same") == "answer to /same"
    assert get(f"/{{number}}") == f"answer to /{{number}}"
"""


@pytest.mark.parametrize("mode", ["once", "new_episodes", "rewrite"])
def test_tests_that_share_a_cassette_record_it_in_one_run(project: Project, mode: str) -> None:
    project.write(SHARED.format(tests=3))
    project.run(f"--cassette-mode={mode}").assert_outcomes(passed=3)
    assert targets(project.path / "cassettes/test_api/shared.yaml") == ["/same", "/0", "/1", "/2"]
    project.server.stop()
    project.run().assert_outcomes(passed=3)


def test_mode_once_leaves_a_shared_cassette_of_an_earlier_run_alone(project: Project) -> None:
    project.write(SHARED.format(tests=2))
    project.record(passed=2)
    connections = project.server.connections
    project.write(SHARED.format(tests=3))
    project.run("--cassette-mode=once").assert_outcomes(passed=2, failed=1)
    assert project.server.connections == connections


@pytest.mark.parametrize("mode", ["once", "new_episodes", "rewrite"])
def test_workers_that_record_one_cassette_lose_nothing(project: Project, mode: str) -> None:
    pytest.importorskip("xdist")
    project.write(SHARED.format(tests=12))
    for _ in range(2 if mode == "rewrite" else 1):
        project.run_alone("-p", "xdist", "-n4", f"--cassette-mode={mode}").assert_outcomes(passed=12)
    recorded = targets(project.path / "cassettes/test_api/shared.yaml")
    assert {"/same", *(f"/{number}" for number in range(12))} == set(recorded)
    project.server.stop()
    project.run().assert_outcomes(passed=12)


def test_workers_replay_one_cassette(project: Project) -> None:
    pytest.importorskip("xdist")
    project.write(SHARED.format(tests=12))
    project.record_then_stop(passed=12)
    project.run_alone("-p", "xdist", "-n4").assert_outcomes(passed=12)


def test_each_worker_runs_the_fixture_of_the_session_and_all_record_one_cassette(project: Project) -> None:
    pytest.importorskip("xdist")
    project.write(
        """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        yield get("/log-in")
        get("/log-out")

@pytest.mark.cassette
@pytest.mark.parametrize("number", range(8))
def test_a(number, token):
    get(f"/{number}")
"""
    )
    run = ["-p", "xdist", "-n4"]
    project.run_alone(*run, "--cassette-mode=once").assert_outcomes(passed=8)
    for number in range(8):
        assert targets(project.path / f"cassettes/test_api/test_a[{number}].yaml") == [f"/{number}"]
    assert set(targets(project.path / "cassettes/test_api/login.yaml")) == {"/log-in", "/log-out"}
    assert len(project.cassettes()) == 9
    project.server.stop()
    project.run_alone(*run).assert_outcomes(passed=8)
