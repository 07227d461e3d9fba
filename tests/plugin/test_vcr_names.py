"""Markers, fixtures and options of pytest-recording and pytest-vcr, with our plugin in their place."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from cassette_http import vcr
from cassette_http.intercept import guard
from tests.plugin.project import Project

# What the plugin imports late is imported here, see `project`.
__all__ = ["guard", "vcr"]

MARKED = "import pytest\n@pytest.mark.vcr\ndef test_it():\n    assert get('/a') == 'answer to /a'\n"


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        pytest.param([], 0, id="none is the default"),
        pytest.param(["--record-mode=none"], 0, id="none"),
        pytest.param(["--record-mode=once"], 1, id="once"),
        pytest.param(["--record-mode=rewrite"], 1, id="rewrite"),
        pytest.param(["--vcr-record=new_episodes"], 1, id="pytest-vcr"),
        pytest.param(["--cassette-mode=all"], 1, id="our own option"),
        pytest.param(["--disable-recording"], 1, id="live"),
        pytest.param(["--disable-vcr"], 1, id="live, pytest-vcr"),
        pytest.param(["--record-mode=once", "--cassette-mode=none"], 0, id="our own option counts more"),
    ],
)
def test_options_choose_the_record_mode(arguments: list[str], passed: int, project: Project) -> None:
    project.write(MARKED)
    project.run(*arguments).assert_outcomes(passed=passed, failed=1 - passed)
    recorded = project.cassettes()
    assert len(recorded) == (0 if not passed or "--disable" in arguments[0] else 1)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param("@pytest.mark.vcr\ndef test_it():\n    get('/a')\n", "test_api/test_it.yaml", id="function"),
        pytest.param(
            "@pytest.mark.vcr\nclass TestIt:\n    def test_it(self):\n        get('/a')\n",
            "test_api/TestIt.test_it.yaml",
            id="method",
        ),
        pytest.param(
            "@pytest.mark.vcr\n@pytest.mark.parametrize('a', ['x/y:z'])\ndef test_it(a):\n    get('/a')\n",
            "test_api/test_it[x-y-z].yaml",
            id="parameter",
        ),
        pytest.param(
            "@pytest.mark.vcr\n@pytest.mark.default_cassette('named.yaml')\ndef test_it():\n    get('/a')\n",
            "test_api/named.yaml",
            id="default_cassette",
        ),
        pytest.param(
            "@pytest.fixture\ndef default_cassette_name():\n    return 'mine'\n"
            "@pytest.mark.vcr\ndef test_it():\n    get('/a')\n",
            "test_api/mine.yaml",
            id="fixture default_cassette_name",
        ),
        pytest.param(
            "@pytest.fixture\ndef vcr_cassette_dir(request):\n    return str(request.path.parent / 'cassettes/x')\n"
            "@pytest.mark.vcr\ndef test_it():\n    get('/a')\n",
            "x/test_it.yaml",
            id="fixture vcr_cassette_dir",
        ),
        pytest.param(
            "@pytest.mark.vcr(cassette_library_dir='cassettes/lib')\ndef test_it():\n    get('/a')\n",
            "lib/test_it.yaml",
            id="cassette_library_dir",
        ),
        pytest.param(
            "@pytest.mark.vcr(path_transformer=lambda path: path + '.new.yaml')\ndef test_it():\n    get('/a')\n",
            "test_api/test_it.new.yaml",
            id="path_transformer",
        ),
        pytest.param(
            "@pytest.mark.vcr(serializer='json')\ndef test_it():\n    get('/a')\n",
            "test_api/test_it.json",
            id="serializer",
        ),
        pytest.param(
            "@pytest.mark.vcr\n@pytest.mark.parametrize('a', [1], ids=['x' * 300])\ndef test_it(a):\n    get('/a')\n",
            f"test_api/test_it[{'x' * (255 - 5 - 32 - 3 - 8)}...yaml",
            id="long name",
        ),
    ],
)
def test_cassettes_are_where_pytest_recording_puts_them(source: str, name: str, project: Project) -> None:
    project.write(f"import pytest\n{source}")
    project.run("--record-mode=once").assert_outcomes(passed=1)
    (recorded,) = project.cassettes()
    if "..." in name:
        name, recorded = name.partition("...")[0], recorded.partition("...")[0]
    assert recorded == name
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_cassettes_of_pytest_vcr_are_found_beside_the_folder_of_the_module(project: Project) -> None:
    project.write(MARKED)
    project.run("--vcr-record=once").assert_outcomes(passed=1)
    assert project.cassettes() == ["test_it.yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_closest_marker_counts_more_than_the_others_and_the_fixture(project: Project) -> None:
    project.write(
        "import pytest\n"
        "pytestmark = pytest.mark.vcr(match_on=['method'], filter_query_parameters=['a'])\n"
        "@pytest.fixture(scope='module')\n"
        "def vcr_config():\n    return {'match_on': ['uri'], 'record_mode': 'once'}\n"
        "@pytest.mark.vcr(filter_query_parameters=['b'])\n"
        "def test_it():\n    get('/x?a=1&b=2')\n"
    )
    project.run().assert_outcomes(passed=1)
    (cassette,) = (project.path / "cassettes").rglob("*.yaml")
    assert f"request: GET {project.server.url}/x?a=1\n" in cassette.read_text()


def test_marker_may_say_how_old_a_cassette_may_be(project: Project) -> None:
    project.write(MARKED.replace("mark.vcr", "mark.vcr(record_mode='once', max_age='30d')"))
    project.run().assert_outcomes(passed=1)
    (cassette,) = (project.path / "cassettes").rglob("*.yaml")
    cassette.write_text(re.sub("recorded: .*", "recorded: 2020-01-01T00:00:00Z", cassette.read_text()))
    result = project.run("-Wdefault")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.yaml was recorded * days ago, and max_age is 30 days; record it again *"])


def test_suite_does_not_record_on_a_build_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    project.write(MARKED.replace("mark.vcr", "mark.vcr(record_mode='once')"))
    project.run().assert_outcomes(failed=1)
    project.run("--record-mode=once").assert_outcomes(passed=1)


def test_fixture_gives_what_tests_look_at(project: Project) -> None:
    project.write(
        "import pytest\n"
        "@pytest.mark.vcr\n"
        "def test_it(vcr, vcr_cassette, record_mode, disable_recording, vcr_markers):\n"
        "    assert vcr is vcr_cassette\n"
        "    get('/a'), get('/b', b'sent')\n"
        "    assert len(vcr) == 2\n"
        "    assert [one.method for one in vcr.requests] == ['GET', 'POST']\n"
        "    assert vcr.requests[1].body == b'sent'\n"
        "    assert vcr.responses[0]['body']['string'] == b'answer to /a'\n"
        "    assert vcr.responses[0]['status'] == {'code': 200, 'message': 'OK'}\n"
        "    assert vcr.play_count == (0 if record_mode == 'once' else 2)\n"
        "    assert vcr.all_played == (record_mode == 'none')\n"
        "    assert (disable_recording, len(vcr_markers)) == (False, 1)\n"
        "def test_unmarked(vcr):\n    assert vcr is None\n"
    )
    project.run("--record-mode=once").assert_outcomes(passed=2)
    project.run().assert_outcomes(passed=2)


def test_cassettes_of_the_marker_answer_too(project: Project) -> None:
    project.write(MARKED, "test_first")
    project.run("--record-mode=once").assert_outcomes(passed=1)
    shared = project.path / "cassettes" / "test_first" / "test_it.yaml"
    project.write(f"import pytest\n@pytest.mark.vcr({str(shared)!r}, 'missing.yaml')\ndef test_it():\n    get('/a')\n")
    project.server.stop()
    project.run("test_api.py").assert_outcomes(passed=1)


def test_what_is_filtered_is_not_on_the_disk_and_the_replay_works(project: Project) -> None:
    project.write(
        "import pytest, time\n"
        "@pytest.fixture(scope='module')\n"
        "def vcr_config():\n"
        "    return {'filter_headers': ['user-agent'], 'filter_post_data_parameters': [('at', 'AT')],\n"
        "            'match_on': ['method', 'path', 'body'], 'before_record_response': no_answer}\n"
        "def no_answer(response):\n"
        "    response['body']['string'] = response['body']['string'].replace(b'answer', b'nothing')\n"
        "    return response\n"
        "@pytest.mark.vcr\n"
        "def test_it(record_mode):\n"
        "    expected = 'answer to /a' if record_mode == 'once' else 'nothing to /a'\n"
        "    assert get('/a', f'at={time.time()}&b=c'.encode()) == expected\n"
    )
    project.run("--record-mode=once").assert_outcomes(passed=1)
    (cassette,) = (project.path / "cassettes").rglob("*.yaml")
    text = cassette.read_text()
    assert "at=AT&b=c" in text
    assert "nothing to /a" in text
    assert "User-Agent" not in text
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_bodies_are_filtered_also_if_they_are_not_matched(project: Project) -> None:
    project.write(
        "import pytest, time\n"
        "@pytest.mark.vcr(filter_post_data_parameters=['at', ('b', 'B')])\n"
        "def test_it():\n    assert get('/a', f'at={time.time()}&b=c'.encode()) == 'answer to /a'\n"
    )
    project.run("--record-mode=once").assert_outcomes(passed=1)
    (cassette,) = (project.path / "cassettes").rglob("*.yaml")
    assert "request body: |-\n  b=B\n" in cassette.read_text()
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_hosts_that_are_ignored_are_asked_live(project: Project) -> None:
    project.write(MARKED.replace("mark.vcr", "mark.vcr(ignore_localhost=True)"))
    project.run().assert_outcomes(passed=1)
    assert project.cassettes() == []


@pytest.mark.parametrize("where", ["marker", "option"])
def test_network_is_blocked(where: str, project: Project) -> None:
    marker = "@pytest.mark.block_network" if where == "marker" else ""
    project.write(
        "import pytest, socket\n"
        f"{marker}\n"
        "def test_blocked():\n"
        "    with pytest.raises(OSError, match='192.0.2.1'):\n"
        "        socket.create_connection(('192.0.2.1', 9), timeout=10)\n"
    )
    project.run(*(["--block-network"] if where == "option" else [])).assert_outcomes(passed=1)


def test_allowed_hosts_are_regular_expressions(project: Project) -> None:
    project.write(
        "import pytest, socket\n"
        "@pytest.mark.block_network(allowed_hosts=['nobo[dt]y', '192[.]0'])\n"
        "@pytest.mark.parametrize('host, error', [\n"
        "    ('nobody.invalid', 'gaierror'), ('my.nobody.invalid', 'NetworkBlocked')])\n"
        "def test_it(host, error):\n"
        "    with pytest.raises(OSError) as caught:\n"
        "        socket.getaddrinfo(host, 80)\n"
        "    assert type(caught.value).__name__ == error\n"
    )
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        pytest.param("block_network(allowed_hosts=['['])", "*hosts is not a valid regular expression*", id="hosts"),
        pytest.param("block_network('a.test')", "@pytest.mark.block_network takes allowed_hosts=*", id="arguments"),
        pytest.param("default_cassette", "@pytest.mark.default_cassette takes the name of a cassette", id="no name"),
    ],
)
def test_marker_that_cannot_be_understood_fails_the_test_with_the_reason(
    marker: str, reason: str, project: Project
) -> None:
    project.write(f"@pytest.mark.{marker}\n@pytest.mark.vcr\ndef test_it(): raise AssertionError('it ran')\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([reason])
    result.stdout.no_fnmatch_line("*Error*")


def test_what_cannot_be_kept_fails_the_test_with_the_reason(project: Project) -> None:
    project.write(MARKED.replace("mark.vcr", "mark.vcr(custom_patches=((str, 'a', 1),))"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'custom_patches' cannot be kept: no library is patched here*"])


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "workers"])
def test_unknown_keys_are_told_once_for_the_run(workers: list[str], project: Project) -> None:
    project.write(
        "import pytest\n"
        "@pytest.mark.vcr(colour='red')\n@pytest.mark.parametrize('a', range(3))\ndef test_it(a):\n    pass\n"
    )
    result = project.run(*workers)
    result.assert_outcomes(passed=3)
    assert result.stdout.str().count("vcr: 'colour' is not known here, and does nothing") == 1


def test_matchers_can_be_registered_by_the_hook_of_pytest_recording(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "def mine(one, other):\n    assert one.path[-1] == other.path[-1]\n"
        "def pytest_recording_configure(config, vcr):\n"
        "    vcr.register_matcher('mine', mine)\n    vcr.match_on = ['method', 'mine']\n"
    )
    project.write(MARKED)
    project.run("--record-mode=once").assert_outcomes(passed=1)
    project.write(MARKED.replace("'/a'", "'/very/other/a'"))
    project.server.stop()
    project.run().assert_outcomes(passed=1)


# What a suite registers to write its cassettes in a way of its own.
SERIALIZER = """
import base64, yaml

class Upside:
    def serialize(self, tree):
        return base64.b64encode(yaml.safe_dump(tree).encode()).decode()

    def deserialize(self, text):
        return yaml.safe_load(base64.b64decode(text))
"""
PERSISTER = """
from pathlib import Path
from types import SimpleNamespace

class Persister:
    @classmethod
    def load_cassette(cls, path, serializer):
        pairs = serializer.deserialize(Path(path).read_text())["interactions"]
        return [SimpleNamespace(**one["request"]) for one in pairs], [one["response"] for one in pairs]

def pytest_recording_configure(config, vcr):
    vcr.register_persister(Persister())
    vcr.register_serializer("b64", Upside())
"""
REGISTERED = """
def pytest_recording_configure(config, vcr):
    vcr.register_serializer("b64", Upside())
"""
INSTANCE = """
import pytest

@pytest.fixture(scope="module", autouse=True)
def configured(vcr):
    vcr.register_serializer("b64", Upside())
    return vcr
"""
OVERRIDDEN = """
import pytest

@pytest.fixture(scope="module")
def vcr(vcr):
    vcr.register_serializer("b64", Upside())
    return vcr

@pytest.fixture(scope="module", autouse=True)
def configured(vcr):
    pass
"""


@pytest.mark.parametrize(
    "conftest",
    [
        pytest.param(SERIALIZER + REGISTERED, id="serializer"),
        pytest.param(SERIALIZER + PERSISTER, id="persister"),
        pytest.param(SERIALIZER + INSTANCE, id="by the fixture of pytest-vcr"),
        pytest.param(SERIALIZER + OVERRIDDEN, id="in an overridden fixture of pytest-vcr"),
    ],
)
def test_cassettes_of_a_serializer_or_persister_are_read_and_recorded_again_as_ours(
    conftest: str, project: Project
) -> None:
    (project.path / "conftest.py").write_text(conftest)
    folder = project.path / "cassettes" / "test_api"
    folder.mkdir(parents=True)
    tree = (
        "interactions:\n- request: {body: null, headers: {}, method: GET, uri: '**REDACTED**'}\n"
        "  response: {body: {string: answer to /a}, headers: {}, status: {code: 200, message: OK}}\n"
    )
    old = folder / "test_it.b64"
    old.write_bytes(b64encode(tree.encode()))
    before = old.read_bytes()
    marked = MARKED.replace("mark.vcr", "mark.vcr(serializer='b64', match_on=['method'], allow_playback_repeats=True)")
    project.write(marked)
    project.run("--record-mode=none").assert_outcomes(passed=1)
    project.write(marked + "    assert get('/b', b'posted') == 'answer to /b'\n")
    project.run("--record-mode=new_episodes").assert_outcomes(passed=1)
    assert old.read_bytes() == before
    assert (folder / "test_it.yaml").read_bytes().startswith(b"cassette: 1\n")
    project.server.stop()
    project.run("--record-mode=none").assert_outcomes(passed=1)


def test_request_function_sees_what_an_old_cassette_holds_too(project: Project) -> None:
    folder = project.path / "cassettes" / "test_api"
    folder.mkdir(parents=True)
    (folder / "test_it.yaml").write_text(
        "interactions:\n- request: {body: null, headers: {}, method: GET, uri: 'http://old.test/a'}\n"
        "  response: {body: {string: answer to /a}, headers: {}, status: {code: 200, message: OK}}\nversion: 1\n"
    )
    scrubbing = "def scrub(request):\n    request.uri = '**REDACTED**'\n    return request\n"
    project.write(scrubbing + MARKED.replace("mark.vcr", "mark.vcr(before_record_request=scrub)"))
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_fixture_of_pytest_vcr_puts_cassettes_into_use(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='module', autouse=True)\ndef configured(vcr):\n"
        "    vcr.match_on = ['method', 'path']\n"
    )
    project.write(
        "def test_it(vcr):\n    with vcr.use_cassette('one.yaml') as cassette:\n"
        "        assert get('/a') == 'answer to /a'\n    assert len(cassette) == 1\n"
    )
    project.run("--vcr-record=once").assert_outcomes(passed=1)
    assert project.cassettes() == ["one.yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=1)
    project.write("def test_it(vcr):\n    with vcr.use_cassette('two.yaml'):\n        get('/a')\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["missed    GET /a: there is no cassette yet*"])


def test_fixture_of_pytest_vcr_is_configured_for_each_test(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef vcr(vcr):\n"
        "    vcr.record_mode = 'once'\n    vcr.match_on = ['method']\n    return vcr\n"
    )
    source = MARKED + "    assert vcr_cassette.play_count == {}\n"
    source = source.replace("def test_it()", "def test_it(vcr_cassette)")
    (project.path / "cassettes").mkdir()
    (project.path / "cassettes" / "other.yaml").touch()
    project.write(source.format(0))
    project.run().assert_outcomes(passed=1)
    assert project.cassettes() == ["other.yaml", "test_it.yaml"]
    project.server.stop()
    project.write(source.format(1).replace("get('/a')", "get('/b')"))
    project.run().assert_outcomes(passed=1)


def test_fixture_of_pytest_vcr_is_configured_for_a_module_that_does_not_ask_for_it(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='module')\ndef vcr_config():\n    return {'match_on': ['mine']}\n"
        "@pytest.fixture(scope='module')\ndef vcr(vcr):\n"
        "    vcr.register_matcher('mine', lambda one, other: one.path[:2] == other.path[:2])\n    return vcr\n"
    )
    project.write(MARKED)
    project.run("--vcr-record=once").assert_outcomes(passed=1)
    project.server.stop()
    project.write(MARKED.replace("get('/a')", "get('/ab')"))
    project.run().assert_outcomes(passed=1)


def test_fixture_of_pytest_vcr_needs_no_marker(project: Project) -> None:
    project.write(
        "def test_it(vcr_cassette):\n    assert get('/a') == 'answer to /a'\n    assert len(vcr_cassette) == 1\n"
        "def test_nothing(vcr):\n    assert vcr is None\n"
    )
    project.run("--vcr-record=once").assert_outcomes(passed=2)
    assert project.cassettes() == ["test_it.yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=2)


def test_failed_test_leaves_no_recording_without_record_on_exception(project: Project) -> None:
    marked = MARKED.replace("mark.vcr", "mark.vcr(record_on_exception=False)")
    project.write(marked + "    assert False\n")
    project.run("--record-mode=once").assert_outcomes(failed=1)
    assert project.cassettes() == []
    project.write(marked)
    project.run("--record-mode=once").assert_outcomes(passed=1)
    assert project.cassettes() == ["test_api/test_it.yaml"]


def test_serializer_that_fails_is_named_with_the_file(project: Project) -> None:
    (project.path / "conftest.py").write_text(SERIALIZER + REGISTERED)
    folder = project.path / "cassettes" / "test_api"
    folder.mkdir(parents=True)
    (folder / "test_it.b64").write_bytes(b64encode(b"{"))
    project.write(MARKED.replace("mark.vcr", "mark.vcr(serializer='b64')"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.b64: the serializer of the suite cannot read it: ParserError(*"])


def test_options_of_the_line_count_for_tests_that_use_our_marker(project: Project) -> None:
    project.write("import pytest\n@pytest.mark.cassette\ndef test_it():\n    assert get('/a')\n")
    project.run("--record-mode=once").assert_outcomes(passed=1)
    assert project.cassettes() == ["test_api/test_it.yaml"]
    project.run("--disable-recording").assert_outcomes(passed=1)
    project.server.stop()
    project.run().assert_outcomes(passed=1)
    project.run("--disable-vcr").assert_outcomes(failed=1)


def test_option_that_the_suite_has_itself_stays_its_own(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--record-mode', default='mine')\n"
    )
    project.write(
        "import pytest\n@pytest.mark.cassette\ndef test_it(pytestconfig):\n"
        "    assert pytestconfig.getoption('--record-mode') == 'theirs'\n"
    )
    project.run("--record-mode=theirs").assert_outcomes(passed=1)


def test_names_can_be_left_to_the_suite(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'vcr: of the suite')\n"
        "@pytest.fixture\ndef vcr():\n    return 'of the suite'\n"
    )
    project.write("import pytest\n@pytest.mark.vcr\ndef test_it(vcr):\n    assert vcr == 'of the suite'\n")
    project.run("-p", "no:cassette_http.plugin.vcr_names").assert_outcomes(passed=1)
    project.run().assert_outcomes(passed=1)


def test_secrets_are_taken_out_of_an_old_cassette_with_the_next_recording(project: Project) -> None:
    folder = project.path / "cassettes" / "test_api"
    folder.mkdir(parents=True)
    old = folder / "test_it.yaml"
    old.write_text(
        "interactions:\n- request:\n    body: null\n    headers: {Authorization: [Bearer s3cr3tT0ken99]}\n"
        f"    method: GET\n    uri: {project.server.url}/a\n"
        "  response:\n    body: {string: answer to /a}\n    headers: {}\n    status: {code: 200, message: OK}\n"
        "version: 1\n"
    )
    project.write(MARKED)
    before = old.read_bytes()
    project.run().assert_outcomes(passed=1)
    assert old.read_bytes() == before
    project.write(MARKED + "    assert get('/b') == 'answer to /b'\n")
    project.run("--record-mode=new_episodes").assert_outcomes(passed=1)
    assert "s3cr3tT0ken99" not in old.read_text()
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_test_that_uses_our_marker_has_one_cassette(project: Project) -> None:
    project.write(
        "import pytest\npytestmark = pytest.mark.vcr\n"
        "@pytest.mark.cassette('moved')\ndef test_it(vcr):\n    get('/a')\n    assert len(vcr) == 1\n"
        "def test_other():\n    get('/b')\n"
    )
    project.run("--cassette-mode=once").assert_outcomes(passed=2)
    assert project.cassettes() == ["test_api/moved.yaml", "test_api/test_other.yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=2)


def test_methods_of_unittest_have_cassettes(project: Project) -> None:
    project.write(
        "import pytest, unittest\n"
        "@pytest.mark.vcr\nclass TestIt(unittest.TestCase):\n"
        "    def test_it(self):\n        self.assertEqual(get('/a'), 'answer to /a')\n"
    )
    project.run("--record-mode=once").assert_outcomes(passed=1)
    assert project.cassettes() == ["test_api/TestIt.test_it.yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_request_that_was_swallowed_fails_the_test(project: Project) -> None:
    project.write(
        "import contextlib, pytest\n@pytest.mark.vcr\ndef test_it():\n"
        "    with contextlib.suppress(OSError):\n        get('/a')\n"
    )
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["missed    GET /a: there is no cassette yet*"])


def test_cassette_of_a_marker_that_does_not_exist_is_reported(project: Project) -> None:
    project.write("import pytest\n@pytest.mark.vcr('usres.yaml')\ndef test_it():\n    pass\n")
    result = project.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["vcr: a marker names cassettes/test_api/usres.yaml, which does not exist"])


def test_suite_of_cassetter_replays_its_cassettes(project: Project) -> None:
    folder = project.path / "cassettes" / "test_api"
    folder.mkdir(parents=True)
    recorded = Path(__file__).parents[1] / "convert" / "recorded" / "cassetter_requests.yaml"
    for name in ("test_it.yaml", "named.yaml"):
        shutil.copy(recorded, folder / name)
    project.write(
        "import pytest\nBASE = 'http://127.0.0.1:8642'\n"
        "@pytest.fixture(scope='module')\ndef vcr_config():\n"
        "    return {'filter_headers': ['x-key'], 'match_on': ['method', 'uri', 'json_body']}\n"
        "@pytest.mark.vcr\ndef test_it(cassette):\n"
        "    assert [get('/counted') for _ in range(3)] == ['time 1', 'time 2', 'time 1']\n"
        "    assert len(cassette.interactions) == 19\n"
        "@pytest.mark.vcr('named.yaml')\ndef test_named():\n    assert get('/search?q=a%20b&empty=&q=2')\n"
    )
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize("option", ["--disable-recording", "--disable-vcr"])
def test_live_tests_have_no_cassette(option: str, project: Project) -> None:
    project.write("import pytest\n@pytest.mark.vcr\ndef test_it(vcr, cassette):\n    assert vcr is cassette is None\n")
    project.run(option).assert_outcomes(passed=1)
