"""`--cassette-block-network` and the option of a test: what is blocked, and what the run says of it."""

from __future__ import annotations

import pytest

from cassette_http.plugin import guarding
from tests.plugin.project import Project

# Imported here, as pytester forgets what is imported during its runs.
__all__ = ["guarding"]

TESTS = """
import socket

def test_near():
    assert get("/a") == "answer to /a"

def test_far():
    socket.create_connection(("api.example.test", 443))

def test_swallowed():
    try:
        socket.create_connection(("192.0.2.1", 443))
    except OSError:
        pass
"""


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])
def test_far_hosts_are_blocked_and_near_ones_are_not(project: Project, workers: tuple[str, ...]) -> None:
    path = project.write(TESTS)
    result = (project.run_alone if workers else project.run)(*workers, "--cassette-block-network")
    result.assert_outcomes(passed=2, failed=1)
    line = path.read_text().splitlines().index('    socket.create_connection(("api.example.test", 443))') + 1
    result.stdout.fnmatch_lines(
        [
            f"*attempted at *test_api.py:{line}, in test_api.py::test_far*",
            "*blocked by the network guard*",
            "look-up to api.example.test:443",
            f"  at *test_api.py:{line}",
            "to let it through: --cassette-allow-hosts=api.example.test",
            "network   blocked 1 look-up, 1 connect",
            "FAILED test_api.py::test_far - network blocked: look-up to api.example.test:443*",
        ]
    )


def test_error_that_was_swallowed_fails_the_test_where_that_was_asked_for(project: Project) -> None:
    path = project.write(TESTS)
    result = project.run("--cassette-block-network", "--cassette-on-blocked=fail")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    line = path.read_text().splitlines().index('        socket.create_connection(("192.0.2.1", 443))') + 1
    result.stdout.fnmatch_lines(
        [
            "connect to 192.0.2.1:443",
            f"  at *test_api.py:{line}",
            "ERROR test_api.py::test_swallowed - network blocked: connect to 192.0.2.1:443*",
        ]
    )


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])
def test_summary_proves_that_nothing_left_the_machine(project: Project, workers: tuple[str, ...]) -> None:
    project.write("def test_a():\n    get('/a')\n\ndef test_b():\n    pass")
    result = (project.run_alone if workers else project.run)(*workers, "--cassette-block-network")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["network   0 look-ups, 0 connects"])


def test_nothing_is_said_or_blocked_without_the_option(project: Project) -> None:
    project.write(
        "import socket\n\ndef test_a():\n    sock = socket.socket()\n    sock.setblocking(False)\n"
        "    assert isinstance(sock.connect_ex(('192.0.2.1', 443)), int)\n    sock.close()"
    )
    result = project.run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*network*")


ALLOWED = """
import socket

def attempt():
    sock = socket.socket()
    sock.setblocking(False)
    try:
        sock.connect_ex(("192.0.2.1", 443))
    finally:
        sock.close()

def send():
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", ("192.0.2.1", 53))
"""

PLACES = {
    "command line": (("--cassette-block-network", "--cassette-allow-hosts=x.test,192.0.2.0/24"), "", ""),
    "ini file": ((), "cassette_block_network = true\ncassette_allow_hosts = x.test 192.0.2.0/24", ""),
    "marker": ((), "", "@pytest.mark.cassette(block_network=True, allow_hosts=['192.0.2.1:53'])"),
    "marker over the ini file": ((), "cassette_block_network = true", "@pytest.mark.cassette(block_network=False)"),
    "hosts of a marker": (
        (),
        "cassette_block_network = true",
        "@pytest.mark.cassette(allow_hosts=['192.0.2.1'])",
    ),
}


@pytest.mark.parametrize(("arguments", "ini", "marker"), PLACES.values(), ids=list(PLACES))
def test_hosts_are_allowed_in_all_places(project: Project, arguments: tuple[str, ...], ini: str, marker: str) -> None:
    (project.path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    project.write(ALLOWED + f"\n{marker}\ndef test_a():\n    send()\n")
    project.run(*arguments).assert_outcomes(passed=1)


def test_marker_blocks_the_network_for_its_test_alone(project: Project) -> None:
    project.write(
        ALLOWED
        + """
@pytest.mark.cassette(block_network=True)
def test_a(cassette):
    with pytest.raises(OSError, match="was blocked"):
        send()

def test_b():
    attempt()

@pytest.mark.cassette(block_network=True)
def test_c():
    send()
"""
    )
    result = project.run()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*blocked by the network guard*",
            "datagram to 192.0.2.1:53",
            "network   blocked 0 look-ups, 0 connects, 2 datagrams",
            "FAILED test_api.py::test_c - network blocked: datagram to 192.0.2.1:53*",
        ]
    )


def test_command_line_is_stronger_than_the_marker(project: Project) -> None:
    project.write(ALLOWED + "\n@pytest.mark.cassette(block_network=False)\ndef test_a(cassette):\n    send()\n")
    project.run("--cassette-block-network").assert_outcomes(failed=1)


def test_replay_needs_no_network_and_recording_is_let_through(project: Project) -> None:
    (project.path / "cassettes/test_api").mkdir(parents=True)
    (project.path / "cassettes/test_api/test_a.yaml").write_text(
        "cassette: 1\n---\nrequest: GET http://api.example.test/users\nresponse: 204 No Content\n---\n"
    )
    project.write(
        "@pytest.mark.cassette\ndef test_a():\n"
        "    assert urllib.request.urlopen('http://api.example.test/users').status == 204"
    )
    result = project.run("--cassette-block-network")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["network   0 look-ups, 0 connects"])
    result = project.run("--cassette-block-network", "--cassette-mode=rewrite")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["network   recorded 1 look-up, 0 connects"])


def test_wrong_host_is_reported(project: Project) -> None:
    result = project.run("--cassette-block-network", "--cassette-allow-hosts=https://x.test/")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--cassette-allow-hosts: 'https://x.test/' is not a host*"])


def test_session_fixtures_and_collection_are_guarded(project: Project) -> None:
    project.write("import socket\n\nsocket.gethostbyname('api.example.test')\n", "test_import")
    project.write(
        "import socket\n\n@pytest.fixture(scope='session')\ndef far():\n"
        "    socket.gethostbyname('db.example.test')\n\ndef test_a(far):\n    pass",
        "test_fixture",
    )
    result = project.run("--cassette-block-network", "--continue-on-collection-errors")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*look-up of api.example.test was blocked*", "*look-up of db.example.test was blocked*"], consecutive=False
    )
