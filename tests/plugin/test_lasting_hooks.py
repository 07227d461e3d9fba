"""What is patched stays so from one test with a cassette to the next, and no longer."""

from __future__ import annotations

import json

import pytest

from tests.plugin.project import Project

CONFTEST = """
import json
import pathlib
import socket

plain, plain_look_up = socket.socket.connect, socket.getaddrinfo
found = []

def pytest_runtest_logfinish():
    assert socket.getaddrinfo is plain_look_up
    found.append(socket.socket.connect is plain)

def pytest_unconfigure():
    found.append(socket.socket.connect is plain)
    pathlib.Path("found.json").write_text(json.dumps(found))
"""

TESTS = """
@pytest.mark.cassette
def test_a():
    get("/a")

@pytest.mark.cassette
def test_b():
    {second}

def test_c():
    get("/c")

@pytest.mark.skip
@pytest.mark.cassette
def test_d():
    pass

@pytest.mark.cassette
def test_e():
    get("/e")
"""


@pytest.mark.parametrize(
    ("second", "options", "is_plain_behind"),
    [
        pytest.param("get('/b')", "", [False, True, True, True, True, True], id="all pass"),
        pytest.param("assert False", "-x", [False, True, True], id="first failure ends the run"),
        pytest.param("raise KeyboardInterrupt", "", [False, True], id="interrupt ends the run"),
    ],
)
def test_hooks_stay_between_two_tests_with_cassettes(
    project: Project, second: str, options: str, is_plain_behind: list[bool]
) -> None:
    project.write(CONFTEST, "conftest")
    project.write(TESTS.format(second=second))
    project.run("--cassette-mode=once", *options.split())
    assert json.loads((project.path / "found.json").read_text()) == is_plain_behind
