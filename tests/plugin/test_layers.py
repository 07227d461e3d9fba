"""Fixtures of a wider scope: their traffic is in no test's cassette, and may have one of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugin.project import Project

FIXTURE = """
@pytest.fixture(scope="{scope}")
def token(use_cassette):
    with use_cassette("login"{options}) as tape:
        get("/log-in")
        yield tape
        get("/log-out")
"""

TESTS = """
@pytest.mark.cassette
def test_a(token):
    get("/a")

@pytest.mark.cassette
def test_b(token):
    get("/b")
"""


def targets(path: Path) -> list[str]:
    """The requests in a cassette, read as its text."""
    return re.findall(r"^request: \w+ http://[^/]+(\S+)$", path.read_text(), re.MULTILINE)


def contents(project: Project) -> dict[str, list[str]]:
    return {name: targets(project.path / "cassettes" / name) for name in project.cassettes()}


@pytest.mark.parametrize("scope", ["session", "module"])
def test_fixture_of_wider_scope_has_a_cassette_of_its_own(project: Project, scope: str) -> None:
    project.write(FIXTURE.format(scope=scope, options=""), "conftest")
    project.write(TESTS)
    project.record_then_stop(passed=2)
    assert contents(project) == {
        "conftest/login.yaml": ["/log-in", "/log-out"],
        "test_api/test_a.yaml": ["/a"],
        "test_api/test_b.yaml": ["/b"],
    }
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize("marker", ["cassette", "vcr"])
@pytest.mark.parametrize(
    ("setting_up", "told"),
    [
        (
            "@pytest.fixture(scope='session')\ndef token():\n    return get('/log-in')\n",
            "the fixture 'token' has*session:*",
        ),
        ("def setup_module():\n    get('/log-in')\n@pytest.fixture\ndef token(): ...\n", "setup_module has*module:*"),
    ],
    ids=["fixture", "function"],
)
def test_fixture_that_reaches_no_server_is_told_that_no_cassette_is_its_own(
    project: Project, marker: str, setting_up: str, told: str
) -> None:
    project.write(setting_up + f"@pytest.mark.{marker}\ndef test_a(token):\n    get('/a')\n")
    project.run("--cassette-mode=once").assert_outcomes(passed=1)
    project.server.stop()
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told, "to record it, let it ask within one of its own: with *use_cassette(*"])


def test_cassette_of_a_fixture_takes_over_between_tests(project: Project) -> None:
    project.write(
        FIXTURE.format(scope="module", options="")
        + """
@pytest.mark.cassette
def test_a(token):
    get("/a")

def test_without_a_cassette(token):
    get("/b")

@pytest.mark.cassette
def test_c(token):
    get("/c")
"""
    )
    project.record_then_stop(passed=3)
    assert contents(project) == {
        "test_api/login.yaml": ["/log-in", "/b", "/log-out"],
        "test_api/test_a.yaml": ["/a"],
        "test_api/test_c.yaml": ["/c"],
    }
    project.run().assert_outcomes(passed=3)


def test_fixture_of_wider_scope_that_is_asked_for_late_is_in_no_cassette_of_a_test(project: Project) -> None:
    project.write(
        FIXTURE.format(scope="session", options="")
        + """
@pytest.fixture(scope="session")
def settings():
    get("/settings")

@pytest.fixture(scope="module")
def bare(request):
    request.getfixturevalue("settings")
    yield get("/bare")
    get("/bare again")

@pytest.fixture
def late(request):
    return request.getfixturevalue("token")

@pytest.mark.cassette
def test_a(request, late):
    get("/1")
    request.getfixturevalue("bare")
    get("/2")

@pytest.mark.cassette
def test_b(late):
    get("/3")
""".replace("/bare again", "/bare-again")
    )
    project.record(passed=2)
    assert contents(project) == {
        "test_api/login.yaml": ["/log-in", "/settings", "/bare", "/bare-again", "/log-out"],
        "test_api/test_a.yaml": ["/1", "/2"],
        "test_api/test_b.yaml": ["/3"],
    }


def test_fixture_without_a_cassette_is_live_while_the_cassette_of_the_test_pauses(project: Project) -> None:
    project.write(
        """
@pytest.fixture(scope="module")
def bare():
    return get("/bare")

@pytest.mark.cassette
def test_a(request, cassette):
    assert request.getfixturevalue("bare") == "answer to /bare"
    assert len(cassette) == 0
"""
    )
    project.run().assert_outcomes(passed=1)
    assert project.server.connections == 1


def test_request_that_the_cassette_of_a_fixture_refused_is_an_error_with_line_and_command(project: Project) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        try:
            get("/log-in")
        except OSError:
            pass
        yield

def test_a(token):
    pass
"""
    )
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "no match: GET /log-in: there is no cassette yet",
            "  at       test_api.py:6",
            "  cassette cassettes/test_api/login.yaml does not exist",
            "to record it: pytest test_api.py::test_a --cassette-update=failed",
            "ERROR test_api.py::test_a - no match: GET /log-in: there is no cassette yet",
        ]
    )
    assert project.server.connections == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [("login", "tests/cassettes/conftest/login.yaml"), ("../data/login", "data/login.yaml"), ("a.yml", "tests/a.yml")],
)
def test_name_of_a_fixtures_cassette_is_seen_from_its_file(project: Project, name: str, file: str) -> None:
    project.write(FIXTURE.replace('"login"', f'"{name}"').format(scope="session", options=""), "tests/conftest")
    project.write("def test_a(token):\n    pass", "tests/inner/test_api")
    project.record()
    path = project.path / file
    assert targets(path) == ["/log-in", "/log-out"]
    assert "test: tests/conftest.py::token\n" in path.read_text()


def test_options_of_a_fixtures_cassette_have_the_precedence_of_a_marker(project: Project) -> None:
    project.write(
        "@pytest.fixture(scope='session')\ndef cassette_config():\n"
        "    return {'mode': 'none', 'match': ['path']}\n" + FIXTURE.format(scope="module", options=", mode='all'"),
        "conftest",
    )
    project.write("def test_a(token):\n    assert token.record_mode.value == 'all'")
    project.run().assert_outcomes(passed=1)
    project.write("def test_a(token):\n    assert token.record_mode.value == 'rewrite'")
    project.run("--cassette-mode=rewrite").assert_outcomes(passed=1)


def test_cassette_config_of_a_narrower_scope_is_not_for_a_wider_fixture(project: Project) -> None:
    project.write(FIXTURE.format(scope="session", options=""), "conftest")
    project.write("@pytest.fixture\ndef cassette_config():\n    return {'mode': 'all'}\n" + TESTS)
    project.write("@pytest.fixture\ndef cassette_config():\n    return {'mode': 'all'}\n" + TESTS)
    project.record_then_stop(passed=2)
    project.run("--cassette-mode=none").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("'login', mdoe='once'", "use_cassette has no option 'mdoe'; did you mean \"mode\"?*"),
        ("7", "the name of a cassette is a text, such as 'login' or 'data/login.yaml', not 7"),
        ("'login', match=['hots']", "there is no matcher 'hots'; did you mean \"host\"?*"),
    ],
)
def test_wrong_call_of_the_factory_is_a_clear_error(project: Project, call: str, message: str) -> None:
    project.write(f"def test_a(use_cassette):\n    with use_cassette({call}):\n        pass")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*layers.py:*")


def test_cassette_that_nothing_enters_is_reported(project: Project) -> None:
    project.write("def test_a(use_cassette):\n    use_cassette('login')\n    get('/a')")
    result = project.run("-Wdefault")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*CassetteWarning: use_cassette('login') alone puts no cassette into use: with *"])


def test_coroutine_may_use_the_factory_too(project: Project) -> None:
    project.write(
        """
import asyncio

async def ask(use_cassette):
    async with use_cassette("login") as tape:
        await asyncio.to_thread(get, "/a")
        return len(tape)

def test_a(use_cassette):
    assert asyncio.run(ask(use_cassette)) == 1
"""
    )
    project.record_then_stop()
    project.run().assert_outcomes(passed=1)
