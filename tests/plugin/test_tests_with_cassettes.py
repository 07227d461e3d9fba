"""Tests with a cassette each: where it lies, in which mode it is, and what a failure says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cassette_http.plugin.naming import MAX_NAME_CHARACTERS
from tests.plugin.project import ROOT, USE_PLUGIN, Project

# ---------------------------------------------------------------------- recording and replay

TESTS_OF_ALL_KINDS = {
    "a function": ("test_a.yaml", "@pytest.mark.cassette\ndef test_a():\n    assert get('/a') == 'answer to /a'"),
    "a fixture without marker": (
        "test_a.yaml",
        "def test_a(cassette):\n    assert get('/a') == 'answer to /a'\n    assert len(cassette) == 1",
    ),
    "the traffic of another fixture": (
        "test_a.yaml",
        "@pytest.fixture\ndef a():\n    return get('/a')\n\n"
        "@pytest.mark.cassette\ndef test_a(a):\n    assert a == 'answer to /a'",
    ),
    "a method": (
        "TestApi.test_a.yaml",
        "@pytest.mark.cassette\nclass TestApi:\n    def test_a(self):\n        assert get('/a') == 'answer to /a'",
    ),
    "a method of unittest": (
        "ApiTest.test_a.yaml",
        "import unittest\n\nclass ApiTest(unittest.TestCase):\n    @pytest.mark.cassette\n"
        "    def test_a(self):\n        self.assertEqual(get('/a'), 'answer to /a')",
    ),
    "the mark of a module": (
        "test_a.yaml",
        "pytestmark = pytest.mark.cassette\n\ndef test_a():\n    assert get('/a') == 'answer to /a'",
    ),
    "threads": (
        "test_a.yaml",
        "from concurrent.futures import ThreadPoolExecutor\n\n@pytest.mark.cassette\ndef test_a():\n"
        "    with ThreadPoolExecutor(4) as pool:\n"
        "        assert list(pool.map(get, ['/1', '/2', '/3'])) == ['answer to /1', 'answer to /2', 'answer to /3']",
    ),
    "asyncio and a thread": (
        "test_a.yaml",
        "import asyncio\n\n@pytest.mark.cassette\ndef test_a():\n"
        "    assert asyncio.run(asyncio.to_thread(get, '/a')) == 'answer to /a'",
    ),
}


@pytest.mark.parametrize(("file", "source"), TESTS_OF_ALL_KINDS.values(), ids=list(TESTS_OF_ALL_KINDS))
def test_marked_test_is_recorded_once_and_replayed_without_the_server(project: Project, file: str, source: str) -> None:
    project.write(f"{source}")
    project.record_then_stop()
    assert project.cassettes() == [f"test_api/{file}"]
    project.run().assert_outcomes(passed=1)


def test_asyncio_streams_are_recorded_and_replayed(project: Project) -> None:
    project.write(
        """
import asyncio

async def ask(path):
    host, port = BASE.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    content = await reader.readexactly(len("answer to /a"))
    writer.close()
    return content

@pytest.mark.cassette
def test_a():
    assert asyncio.run(ask("/a")) == b"answer to /a"
"""
    )
    project.record_then_stop()
    project.run().assert_outcomes(passed=1)


def test_each_parameter_has_a_cassette_and_only_those_that_are_marked(project: Project) -> None:
    project.write(
        """
@pytest.mark.parametrize("path", [pytest.param("/a", marks=pytest.mark.cassette), "/b", "/../c"])
def test_a(path, request):
    if path == "/a":
        get(path)
    assert ("http_cassette" in request.fixturenames) == (path == "/a")
"""
    )
    project.run("--cassette-mode=once").assert_outcomes(passed=3)
    assert len(project.cassettes()) == 1


def test_names_are_made_safe_and_stay_different(project: Project) -> None:
    long = "x" * 300
    project.write(
        f"""
@pytest.mark.cassette
@pytest.mark.parametrize("path", ["/a/b", "/a|b", "/../c", "/{long}", "/d."])
def test_a(path):
    get("/")
"""
    )
    project.run("--cassette-mode=once").assert_outcomes(passed=5)
    files = project.cassettes()
    assert len(files) == 5
    for file in files:
        folder, _, name = file.partition("/")
        assert folder == "test_api"
        assert not set(name) & set('<>:"/\\|?*')
        assert len(name) <= MAX_NAME_CHARACTERS + len("-01234567.yaml")
    assert project.run("--cassette-mode=none").ret == 0


def test_neither_file_nor_head_of_a_cassette_tell_a_token_that_is_a_parameter(project: Project) -> None:
    token, other = "gh" + "p_" + "a1B2c3D4e5F6" * 3, "sk_" + "live_" + "a1B2c3D4e5F6" * 3
    project.write(
        f"""
@pytest.mark.cassette
@pytest.mark.parametrize("token", ["{token}", "{other}"])
@pytest.mark.parametrize("n", [1, 2])
def test_a(token, n):
    get("/?access_token=" + token)
"""
    )
    project.record_then_stop(passed=4)
    files = [path for path in project.pytester.path.joinpath("cassettes").rglob("*") if path.is_file()]
    assert len(files) == 4
    for told in (text for path in files for text in (path.name, path.read_text())):
        assert token not in told
        assert other not in told
        assert "test_a[1-" in told or "test_a[2-" in told
    assert project.run("--cassette-mode=none").ret == 0


@pytest.mark.parametrize(
    ("marker", "file"),
    [
        ("cassette('login')", "cassettes/test_api/login.yaml"),
        ("cassette(name='login')", "cassettes/test_api/login.yaml"),
        ("cassette('data/login.yaml')", "data/login.yaml"),
        ("cassette('data/login')", "data/login.yaml"),
        ("cassette('../login.yml')", "../login.yml"),
        ("cassette('data/login.json')", "data/login.json"),
    ],
)
def test_name_of_the_marker_says_where_the_cassette_lies(project: Project, marker: str, file: str) -> None:
    project.write(f"@pytest.mark.{marker}\ndef test_a():\n    get('/a')")
    project.record_then_stop()
    assert (project.pytester.path / file).is_file()
    project.run().assert_outcomes(passed=1)


def test_project_can_keep_its_cassettes_elsewhere(project: Project) -> None:
    project.pytester.makeconftest(
        "import pytest\n\n@pytest.fixture\ndef cassette_path(request):\n"
        "    return request.config.rootpath / 'tapes' / f'{request.node.name}.yaml'"
    )
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    project.record_then_stop()
    assert (project.pytester.path / "tapes/test_a.yaml").is_file()


def test_two_tests_may_share_a_cassette(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette('shared', mode='new_episodes')\nclass TestApi:\n"
        "    def test_a(self):\n        get('/a')\n    def test_b(self):\n        get('/b')"
    )
    project.run().assert_outcomes(passed=2)
    project.server.stop()
    assert project.cassettes() == ["test_api/shared.yaml"]
    project.run("--cassette-mode=none").assert_outcomes(passed=2)


def test_traffic_of_a_wider_fixture_belongs_to_no_test(project: Project) -> None:
    project.write(
        """
@pytest.fixture(scope="module")
def token():
    return get("/token")

@pytest.fixture
def user(token):
    return get("/user")

@pytest.mark.cassette
def test_a(user, cassette):
    assert [one.request.head.target for one in cassette.interactions] == ["/user"]
"""
    )
    project.run("--cassette-mode=once").assert_outcomes(passed=1)


def test_cassette_takes_no_memory_when_its_test_is_over(project: Project) -> None:
    project.write(
        """
import gc
import weakref

left = []

@pytest.fixture(scope="module", autouse=True)
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()

def test_a(cassette):
    get("/a")
    left.append(weakref.ref(cassette))

def test_b():
    assert left[0]() is None
"""
    )
    # In a process of its own: what runs pytest in this one remembers all that hooks were called with.
    project.run_alone("--cassette-mode=once").assert_outcomes(passed=2)
    project.run_alone().assert_outcomes(passed=2)


def test_cassette_names_its_test(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    project.record_then_stop()
    text = (project.pytester.path / "cassettes/test_api/test_a.yaml").read_text()
    assert "test: test_api.py::test_a\n" in text


def test_parameter_names_the_cassette(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\n@pytest.mark.parametrize('cassette_name', ['one', 'two'])\n"
        "def test_a(cassette_name):\n    get('/' + cassette_name)"
    )
    project.record_then_stop(passed=2)
    assert {"one.yaml", "two.yaml"} == {path.name for path in project.pytester.path.glob("cassettes/test_api/*")}


# ---------------------------------------------------------------------- endings


@pytest.mark.parametrize(
    "ending", ["assert False", "raise KeyboardInterrupt", "pytest.skip('not today')", "pytest.xfail('known')"]
)
def test_test_that_does_not_pass_keeps_the_old_cassette_when_it_is_rewritten(project: Project, ending: str) -> None:
    source = "@pytest.mark.cassette\ndef test_a():\n    get('/{0}')\n    {1}"
    project.write(source.format("old", "pass"))
    project.run("--cassette-mode=once").assert_outcomes(passed=1)
    path = project.pytester.path / "cassettes/test_api/test_a.yaml"
    old = path.read_text()
    project.write(source.format("new", ending))
    assert "passed" not in project.run("--cassette-mode=rewrite").parseoutcomes()
    assert path.read_text() == old
    project.write(source.format("new", "pass"))
    project.run("--cassette-mode=rewrite").assert_outcomes(passed=1)
    assert "/new" in path.read_text()
    assert project.cassettes() == ["test_api/test_a.yaml"]


def test_failing_method_of_unittest_keeps_the_old_cassette_too(project: Project) -> None:
    source = (
        "import unittest\nclass ApiTest(unittest.TestCase):\n    @pytest.mark.cassette\n"
        "    def test_a(self):\n        get('/{0}')\n        self.assertTrue({1})"
    )
    project.write(source.format("old", True))
    project.run("--cassette-mode=once").assert_outcomes(passed=1)
    path = project.pytester.path / "cassettes/test_api/ApiTest.test_a.yaml"
    old = path.read_text()
    project.write(source.format("new", False))
    project.run("--cassette-mode=rewrite").assert_outcomes(failed=1)
    assert path.read_text() == old


# ---------------------------------------------------------------------- failures


def test_refused_request_fails_the_test_although_the_program_swallowed_it(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\ndef test_a():\n    try:\n        get('/a')\n    except OSError:\n        pass"
    )
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "no match: GET /a: there is no cassette yet",
            "  at       test_api.py:*",
            "to record it: pytest test_api.py::test_a --cassette-update=failed",
        ]
    )
    assert project.server.connections == 0


def test_refusal_that_a_test_expects_can_be_cleared(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\ndef test_a(cassette):\n"
        "    with pytest.raises(OSError, match='there is no cassette'):\n        get('/a')\n"
        "    [miss] = cassette.misses\n    assert miss.request.url == BASE + '/a'\n    cassette.misses.clear()"
    )
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("source", "last_line"),
    [
        pytest.param("get('/a')", "*http*client.py:*", id="a library"),
        pytest.param(
            "from cassette_http import client\n    client.HTTPConnection(BASE[7:], timeout=10).request('GET', '/a')",
            "test_api.py:*: in test_a",
            id="our client",
        ),
    ],
)
def test_traceback_of_a_refusal_does_not_lead_into_our_package(project: Project, source: str, last_line: str) -> None:
    project.write(f"@pytest.mark.cassette\ndef test_a():\n    {source}")
    result = project.run("--tb=short")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([last_line, "E   *UnmatchedRequest: *"])
    for line in result.stdout.lines:
        assert "cassette_http/transport" not in line
        assert "cassette_http/session" not in line
        assert "cassette_http/client" not in line


def test_broken_cassette_is_a_clear_error_that_names_file_and_line(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    pass")
    path = project.pytester.path / "cassettes/test_api/test_a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("cassette: 7\n---\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_a.yaml, line 1: 'cassette' is '7', but this version*"])
    result.stdout.no_fnmatch_line("*pytest_plugin.py:*")


def test_folder_that_cannot_be_written_is_a_clear_error(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    assert get('/a') == 'answer to /a'")
    (project.pytester.path / "cassettes").write_text("a file in the place of the folder")
    result = project.run("--cassette-mode=once")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the cassette *test_a.yaml' cannot be written: *"])


# ---------------------------------------------------------------------- other plugins, and the cost


def test_cassettes_are_recorded_and_replayed_by_two_processes(project: Project) -> None:
    pytest.importorskip("xdist")
    project.write(
        "@pytest.mark.cassette\n@pytest.mark.parametrize('number', range(6))\n"
        "def test_a(number):\n    assert get(f'/{number}') == f'answer to /{number}'"
    )
    for arguments in (["--cassette-mode=once"], []):
        project.run_alone("-p", "xdist", "-n2", *arguments).assert_outcomes(passed=6)
    assert len(project.cassettes()) == 6


def test_collecting_imports_neither_session_nor_yaml_nor_hooks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_modules="""
import sys

def test_plain():
    heavy = {"cassette_http.session", "cassette_http.intercept", "cassette_http.client", "yaml"}
    assert not heavy & set(sys.modules)
"""
    )
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *USE_PLUGIN, "-p", "no:cacheprovider", "-q"],
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_unmarked_test_uses_no_fixture_of_ours(project: Project) -> None:
    project.write("def test_a(request):\n    assert 'http_cassette' not in request.fixturenames")
    project.run().assert_outcomes(passed=1)


def test_fixture_of_the_project_that_has_our_name_is_left_alone(project: Project) -> None:
    project.pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef cassette():\n    return 'of cloth'")
    project.write("def test_a(cassette):\n    assert (cassette, get('/a')) == ('of cloth', 'answer to /a')")
    project.run().assert_outcomes(passed=1)
    assert project.cassettes() == []


def test_fixture_of_the_project_may_build_on_ours(project: Project) -> None:
    project.pytester.makeconftest(
        "import pytest\n\n@pytest.fixture\ndef cassette(cassette):\n    return [cassette]\n\n"
        "@pytest.fixture\ndef early():\n    import test_api\n    return test_api.get('/early')"
    )
    project.pytester.syspathinsert()
    project.write("def test_a(early, cassette):\n    get('/a')\n    assert len(cassette[0]) == 2")
    project.record_then_stop()
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("marker", ["cassette", "vcr"])
def test_marker_may_come_from_a_hook_of_the_suite(marker: str, project: Project) -> None:
    project.pytester.makeconftest(
        f"""
import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.{marker})
"""
    )
    project.write('def test_a():\n    assert get("/a") == "answer to /a"\n')
    project.record_then_stop()
    project.run().assert_outcomes(passed=1)
