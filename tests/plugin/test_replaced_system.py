"""A cassette is recorded and played while the test has put something else in the place of the file system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.plugin.project import Project

# Each raises, as where the program under test is to meet an error of its disk.
REPLACED = (
    "builtins.open",
    "fcntl.flock",
    "io.open",
    "os.chmod",
    "os.dup2",
    "os.fsync",
    "os.getcwd",
    "os.getpid",
    "os.listdir",
    "os.makedirs",
    "os.open",
    "os.path.exists",
    "os.remove",
    "os.replace",
    "os.stat",
    "os.urandom",
    "pathlib.Path.exists",
    "pathlib.Path.open",
    "pathlib.Path.read_text",
    "time.monotonic",
    "time.sleep",
)


def test_functions_that_a_test_replaces(project: Project) -> None:
    project.write(
        f"""
from unittest import mock

@pytest.mark.parametrize("name", {REPLACED!r})
@pytest.mark.cassette
def test_replaced(name):
    with mock.patch(name, side_effect=OSError("a disk that fails")):
        assert get("/first") == "answer to /first"
        assert get("/second") == "answer to /second"
"""
    )
    project.run_alone("--cassette-mode=once").assert_outcomes(passed=len(REPLACED))
    project.server.stop()
    project.run_alone().assert_outcomes(passed=len(REPLACED))


FAKE_FILES = """
import asyncio
from pyfakefs.fake_filesystem_unittest import TestCase
from cassette_http import use_cassette

def write_and_ask(path):
    with open("/of the test", "w") as file:
        file.write("kept")
    assert get(path) == "answer to " + path
    assert open("/of the test").read() == "kept"

@pytest.mark.cassette
def test_marked(fs):
    write_and_ask("/marked")

def test_opened_after_the_fake_began(fs, http_cassette):
    write_and_ask("/later")
    assert len(http_cassette) == 1

def test_used_within(fs):
    with use_cassette("cassettes/within.yaml", record_mode=MODE):
        write_and_ask("/within")

def test_event_loop(fs):
    async def ask():
        reader, writer = await asyncio.open_connection(*BASE[7:].split(":"))
        writer.write(b"GET /loop HTTP/1.1\\r\\nHost: " + BASE[7:].encode() + b"\\r\\nConnection: close\\r\\n\\r\\n")
        octets = await reader.read()
        writer.close()
        return octets

    with use_cassette("cassettes/loop.yaml", record_mode=MODE):
        assert asyncio.run(ask()).startswith(b"HTTP/1.1 200 ")

class TestOfUnittest(TestCase):
    def setUp(self):
        self.setUpPyfakefs()

    @use_cassette("cassettes/unittest.yaml", record_mode=MODE)
    def test_decorated(self):
        write_and_ask("/decorated")
"""


def test_file_system_in_memory(project: Project) -> None:
    pytest.importorskip("pyfakefs")
    plugin = ("-p", "pyfakefs.pytest_plugin")
    project.write('MODE = "once"' + FAKE_FILES)
    project.run_alone(*plugin, "--cassette-mode=once").assert_outcomes(passed=5)
    expected = ["loop.yaml", "test_api/test_marked.yaml", "test_api/test_opened_after_the_fake_began.yaml"]
    assert project.cassettes() == [*expected, "unittest.yaml", "within.yaml"]
    project.server.stop()
    project.write('MODE = "none"' + FAKE_FILES)
    project.run_alone(*plugin).assert_outcomes(passed=5)


def test_report_of_a_miss_beside_a_file_system_in_memory(project: Project) -> None:
    """It is written while the fake is there, and tells of the cassette on the disk."""
    pytest.importorskip("pyfakefs")
    source = "@pytest.mark.cassette\ndef test_asked(fs):\n    get({path!r})"
    project.write(source.format(path="/recorded"))
    plugin = ("-p", "pyfakefs.pytest_plugin")
    project.run_alone(*plugin, "--cassette-mode=once").assert_outcomes(passed=1)
    project.write(source.format(path="/other"))
    result = project.run_alone(*plugin)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nearest*interaction 1 of cassettes/test_api/test_asked.yaml*"])


def test_first_import_within_a_file_system_in_memory_says_what_to_do() -> None:
    pytest.importorskip("pyfakefs")
    program = (
        "from pyfakefs.fake_filesystem_unittest import Patcher\n"
        "with Patcher():\n"
        "    try: from cassette_http import use_cassette\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert 'write "from cassette_http import use_cassette" at the top of the file instead' in done.stdout
