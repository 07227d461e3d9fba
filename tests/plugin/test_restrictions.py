"""pytest-socket forbids a test with a cassette no replay, and takes no hook out; our guard keeps what it is for."""

from __future__ import annotations

import pytest

from tests.plugin.project import Project

SOCKET = ["-p", "pytest_socket"]

TESTS = """
import pytest

@pytest.fixture
def log():
    yield
    get("/log")  # by a connection of its own, when pytest-socket has cleared up

@pytest.mark.cassette
@pytest.mark.parametrize("path", ["/a", "/b"])
def test_it(path, log):
    assert get(path) == "answer to " + path
"""


@pytest.mark.parametrize(
    "options",
    [[], ["--disable-socket"], ["--disable-socket", "--allow-unix-socket"], ["--allow-hosts=192.0.2.1,example.org"]],
    ids=" ".join,
)
def test_replay_needs_no_server_whatever_is_forbidden(project: Project, options: list[str]) -> None:
    project.write(TESTS)
    project.run_alone(*SOCKET, "--cassette-mode=once", *options).assert_outcomes(passed=2)
    project.server.stop()
    project.run_alone(*SOCKET, "-W", "error", *options).assert_outcomes(passed=2)


def test_cassette_of_the_session_is_played_to_every_test(project: Project) -> None:
    project.write(
        """
import pytest

@pytest.fixture(scope="session", autouse=True)
def played(use_cassette):
    with use_cassette("all"):
        yield

@pytest.mark.parametrize("path", ["/a", "/b", "/c"])
def test_it(path):
    assert get(path) == "answer to " + path
"""
    )
    project.run_alone(*SOCKET, "--cassette-mode=once").assert_outcomes(passed=3)
    project.server.stop()
    project.run_alone(*SOCKET).assert_outcomes(passed=3)


FAR = """
import socket
import pytest

def send():
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", ("192.0.2.1", 9))

@pytest.mark.cassette
def test_with():
    send()

@pytest.mark.cassette
@pytest.mark.disable_socket
def test_marked():
    send()

def test_without():
    send()
"""


def test_what_is_forbidden_is_reported(project: Project) -> None:
    project.write(FAR)
    result = project.run_alone(*SOCKET, "--disable-socket")
    result.assert_outcomes(failed=3, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_api.py::test_with - network blocked: datagram to 192.0.2.1:9",
            "FAILED test_api.py::test_marked - network blocked: datagram to 192.0.2.1:9",
            "FAILED test_api.py::test_without - *SocketBlockedError: *",
        ]
    )


def test_test_that_may_use_sockets_is_not_guarded(project: Project) -> None:
    project.write("import pytest\n@pytest.mark.cassette\n@pytest.mark.enable_socket\ndef test_a():\n    get('/a')")
    result = project.run_alone(*SOCKET, "--disable-socket", "--cassette-mode=once")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("network *")
