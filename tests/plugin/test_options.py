"""What can be said about cassettes, where, and which word counts."""

from __future__ import annotations

import inspect
import re

import pytest

from cassette_http import RecordMode, use_cassette
from cassette_http.plugin.options import OPTIONS, OWN, Place
from tests.plugin.project import ROOT, Project

# ---------------------------------------------------------------------- the table


def test_marker_takes_what_use_cassette_knows() -> None:
    known = set(inspect.signature(use_cassette.__init__).parameters) - {"self", "path", "record_mode"}
    # What the plugin itself says.
    theirs = {"test", "allow_missing", "mode_setting", "everywhere", "only_on_success", "keep_unrecorded"}
    ours = {option.name for option in OPTIONS if Place.MARKER in option.places and not option.part}
    assert ours - OWN - {"mode"} == known - theirs


def test_each_option_has_a_line_in_the_guide_that_says_where_it_may_stand() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", (ROOT / "docs/pytest.md").read_text(), re.MULTILINE)
    written = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows if name in BY_NAME}
    for name, option in BY_NAME.items():
        line = f"`{option.flag}`" if Place.LINE in option.places else ""
        ini = f"`{option.ini}`" if Place.INI in option.places else ""
        assert written[name][:2] == [line, ini], name
        places = [str(place.name).lower() for place in (Place.MARKER, Place.CONFIG) if place in option.places]
        assert written[name][2] == ", ".join(places), name
        for value in option.values.split("|") if "|" in option.values else ():
            assert f"`{value}`" in written[name][3], name
    assert list(written) == list(BY_NAME), "the guide has the order of the table"


BY_NAME = {option.name: option for option in OPTIONS}


def test_help_shows_each_option_and_each_key(project: Project) -> None:
    shown = project.run("--help").stdout.str()
    for option in OPTIONS:
        assert (option.flag in shown) == (Place.LINE in option.places)
        assert (f"  {option.ini} (" in shown) == (Place.INI in option.places)
    for mode in RecordMode:
        assert mode.value in shown
    marker = project.run("--markers").stdout.str()
    for option in OPTIONS:
        assert (f"{option.name}=" in marker) == (Place.MARKER in option.places), option.name


# ---------------------------------------------------------------------- precedence

MODE_ROWS = [
    pytest.param([], "", "", 0, id="nothing is said: none"),
    pytest.param([], "", "cassette_mode = once", 1, id="configuration"),
    pytest.param([], "mode='once'", "cassette_mode = none", 1, id="marker over configuration"),
    pytest.param(["--cassette-mode=none"], "mode='once'", "cassette_mode = once", 0, id="command line over marker"),
    pytest.param(["--cassette-mode=rewrite"], "mode='none'", "", 1, id="command line records"),
]


@pytest.mark.parametrize(("arguments", "marker", "configuration", "connections"), MODE_ROWS)
def test_mode_is_taken_from_command_line_marker_configuration(
    project: Project, arguments: list[str], marker: str, configuration: str, connections: int
) -> None:
    project.pytester.makeini(f"[pytest]\n{configuration}")
    project.write(
        f"@pytest.mark.cassette({marker})\ndef test_a(cassette):\n"
        "    try:\n        get('/a')\n    except OSError:\n        cassette.misses.clear()"
    )
    project.run(*arguments).assert_outcomes(passed=1)
    assert project.server.connections == connections


def test_command_line_offers_all_modes(project: Project) -> None:
    result = project.run("--help")
    for mode in RecordMode:
        assert mode.value in result.stdout.str()
    result = project.run("--cassette-mode=sometimes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--cassette-mode: there is no record mode 'sometimes' (the modes are: none, once,*"])


def test_wrong_mode_in_the_configuration_is_told_once(project: Project) -> None:
    project.pytester.makeini("[pytest]\ncassette_mode = onse")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cassette_mode: there is no record mode 'onse'; did you mean \"once\"?*"])


CONFIG = "@pytest.fixture{scope}\ndef cassette_config():\n    return {config}\n"

PLACES = [
    pytest.param({}, "none", id="nothing is said"),
    pytest.param({"ini": "once"}, "once", id="ini"),
    pytest.param({"ini": "once", "config": "new_episodes"}, "new_episodes", id="fixture over ini"),
    pytest.param({"config": "new_episodes", "marker": "all"}, "all", id="marker over fixture"),
    pytest.param({"marker": "all", "line": "rewrite"}, "rewrite", id="command line over marker"),
    pytest.param({"ini": "once", "config": "all", "marker": "all", "line": "none"}, "none", id="all of them"),
]


@pytest.mark.parametrize("scope", ["", "(scope='module')", "(scope='session')"])
@pytest.mark.parametrize(("said", "mode"), PLACES)
def test_command_line_counts_before_marker_before_fixture_before_ini(
    project: Project, said: dict[str, str], mode: str, scope: str
) -> None:
    project.pytester.makeini(f"[pytest]\ncassette_mode = {said.get('ini', '')}")
    config = CONFIG.format(scope=scope, config={"mode": said["config"]} if "config" in said else {})
    marker = f"mode={said['marker']!r}" if "marker" in said else ""
    (project.path / "cassettes/test_api").mkdir(parents=True)
    (project.path / "cassettes/test_api/test_a.yaml").write_text("cassette: 1\n---\n")
    project.write(
        f"{config}\n@pytest.mark.cassette({marker})\ndef test_a(cassette):\n"
        f"    assert cassette.record_mode.value == {mode!r}"
    )
    arguments = [f"--cassette-mode={said['line']}"] if "line" in said else []
    project.run(*arguments).assert_outcomes(passed=1)


def test_closest_marker_counts_option_by_option(project: Project) -> None:
    project.write(
        """
pytestmark = pytest.mark.cassette(mode="all", match=["query"], repeat="last")

@pytest.mark.cassette(mode="new_episodes")
class TestApi:
    @pytest.mark.cassette(match=["method", "path"])
    def test_a(self, cassette):
        assert cassette.record_mode.value == "new_episodes"
        get("/a?1")
        assert len(cassette.recorded) <= 1
        if cassette.played:
            get("/a?2")
"""
    )
    project.run().assert_outcomes(passed=1)
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_fixture_in_a_class_is_for_the_tests_of_the_class(project: Project) -> None:
    project.write(
        """
@pytest.mark.cassette
class TestA:
    @pytest.fixture(scope="class")
    def cassette_config(self):
        return {"mode": "all"}

    def test_a(self, cassette):
        assert cassette.record_mode.value == "all"

@pytest.mark.cassette
def test_b(cassette):
    assert cassette.record_mode.value == "none"
"""
    )
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize("said", ["ini", "marker", "config"])
def test_build_server_records_nothing_that_the_command_line_does_not_ask_for(
    project: Project, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    project.pytester.makeini(f"[pytest]\ncassette_mode = {'once' if said == 'ini' else 'none'}")
    config = CONFIG.format(scope="", config={"mode": "once"} if said == "config" else {})
    marker = "mode='once'" if said == "marker" else ""
    project.write(f"{config}\n@pytest.mark.cassette({marker})\ndef test_a():\n    get('/a')")
    project.run().assert_outcomes(failed=1)
    assert project.server.connections == 0
    project.run("--cassette-mode=once").assert_outcomes(passed=1)


@pytest.mark.parametrize("how", ["--no-cassette", "ini"])
def test_run_without_cassettes_is_live_and_writes_nothing(project: Project, how: str) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        return get("/log-in")

@pytest.mark.cassette(mode="all", on_unplayed="fail")
def test_a(cassette, token):
    assert get("/a") == "answer to /a"
    assert (len(cassette), cassette.play_count, cassette.misses) == (0, 0, [])
"""
    )
    if how == "ini":
        project.pytester.makeini("[pytest]\nno_cassette = true")
    project.run(*([] if how == "ini" else [how])).assert_outcomes(passed=1)
    assert project.server.connections == 2
    assert project.cassettes() == []


def test_lists_in_the_ini_file_are_words(project: Project) -> None:
    project.pytester.makeini("[pytest]\ncassette_match = method, path\ncassette_keep = cookie\ncassette_repeat = last")
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a?1')")
    project.record_then_stop()
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a?2'); get('/a?3')")
    project.run().assert_outcomes(passed=1)


def test_pyproject_file_may_say_it_too(project: Project) -> None:
    project.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\ncassette_mode = 'once'\ncassette_match = ['method', 'path']\nno_cassette = false"
    )
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a?1')")
    project.run().assert_outcomes(passed=1)
    assert project.cassettes() == ["test_api/test_a.yaml"]


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "cassette_repeat = often",
            "*cassette_repeat: there is no repeat policy 'often' (the policies are: fail, last, cycle, first)",
        ),
        ("cassette_pace = slow", "*cassette_pace: there is no pace 'slow' (the paces are: fast, recorded)"),
        (
            "cassette_on_unplayed = warm",
            "*cassette_on_unplayed: there is no policy for unplayed interactions 'warm'; did you*",
        ),
        ("cassette_match = method, hots", "*cassette_match: there is no matcher 'hots'; did you mean \"host\"?*"),
        ("cassette_ignore = qurey:ts", "*cassette_ignore: ignore='qurey:ts': there is no place 'qurey'; did you*"),
        ("cassette_ignore = $.", "*cassette_ignore: ignore='$.': a path into JSON looks like \"$.users*"),
        ("cassette_keep = cokie", "*cassette_keep: there is no rule 'cokie' to turn off; did you mean \"cookie\"?*"),
    ],
)
def test_wrong_word_in_the_ini_file_is_told_once(project: Project, line: str, message: str) -> None:
    project.pytester.makeini(f"[pytest]\n{line}")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


WRONG_MARKERS = [
    (
        "cassette(nmae='x')",
        "@pytest.mark.cassette has no option 'nmae'; did you mean \"name\"? (the options are: name, *",
    ),
    ("cassette('a', 'b')", "@pytest.mark.cassette takes one name, and got ('a', 'b')"),
    ("cassette('a', name='b')", "@pytest.mark.cassette takes one name, and got ('a',)"),
    ("cassette(7)", "the name of a cassette is a text, such as 'login' or 'data/login.yaml', not 7"),
    ("cassette('data/')", "the name of a cassette is a text, such as 'login' or 'data/login.yaml', not 'data/'"),
    ("cassette('..')", "the name of a cassette is a text, such as 'login' or 'data/login.yaml', not '..'"),
    ("cassette(mode='onse')", "there is no record mode 'onse'; did you mean \"once\"?*"),
    ("cassette(match=['hots'])", "there is no matcher 'hots'; did you mean \"host\"?*"),
    ("cassette(match='hots')", "there is no matcher 'hots'; did you mean \"host\"?*"),
    ("cassette(repeat='often')", "there is no repeat policy 'often' (the policies are: fail, last, cycle, first)"),
    ("cassette(pace='recordd')", "there is no pace 'recordd'; did you mean \"recorded\"?*"),
    ("cassette(freeze_time='yes')", "freeze_time takes True or False, not 'yes'"),
    ("cassette(max_age='30')", 'max_age takes an age such as "12h", "30d" or "4w", or a timedelta, not \'30\''),
    ("cassette(allow_hosts=5)", 'allow_hosts takes hosts, such as ["*.internal"], not 5'),
    ("cassette(ignore_hosts=['a'])", "@pytest.mark.cassette has no option 'ignore_hosts'; did you mean \"on_match\"?*"),
    ("cassette(record_mode='once')", "@pytest.mark.cassette has no option 'record_mode'; did you mean \"mode\"?*"),
]


@pytest.mark.parametrize(("marker", "message"), WRONG_MARKERS, ids=[marker for marker, _ in WRONG_MARKERS])
def test_wrong_marker_is_a_clear_error_without_traceback(project: Project, marker: str, message: str) -> None:
    project.write(f"@pytest.mark.{marker}\ndef test_a():\n    pass")
    result = project.run()
    result.assert_outcomes(errors=1)
    shown = message.replace("[", "[[]")
    result.stdout.fnmatch_lines([shown, f"ERROR test_api.py::test_a - {shown[:30]}*"])
    result.stdout.no_fnmatch_line("*Error*Error*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py:*")
