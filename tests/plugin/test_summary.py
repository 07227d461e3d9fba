"""What a run says about its cassettes at its end: on the terminal, as JSON and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.plugin.project import USE_PLUGIN, Project

TWO = """
@pytest.mark.cassette
def test_a():
    get("/a")

@pytest.mark.cassette
def test_b():
    {b}
"""
SWALLOW = "\n    try:\n        get({!r})\n    except OSError:\n        pass"


def summary(result: pytest.RunResult) -> list[str]:
    """The lines below the title of the summary, without the title; none if it is not there."""
    lines = iter(result.stdout.lines)
    if not any("- HTTP cassettes -" in line for line in lines):
        return []
    found = []
    for line in lines:
        if line.startswith("=") or (" in " in line and (" passed" in line or " failed" in line)) or not line:
            break
        found.append(line)
    return found


# ---------------------------------------------------------------------- the terminal


def test_run_without_cassettes_says_nothing(project: Project) -> None:
    project.write("def test_a():\n    get('/a')")
    assert summary(project.run()) == []


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-p", "xdist", "-n2"]], ids=["plain", "-q", "xdist"])
def test_run_in_which_all_was_played_says_nothing(project: Project, arguments: list[str]) -> None:
    project.write(TWO.format(b="get('/b')"))
    project.record_then_stop(passed=2)
    run = project.run_alone if "xdist" in arguments else project.run
    assert summary(run(*arguments)) == []


def test_run_that_recorded_says_how_much(project: Project) -> None:
    project.write(TWO.format(b="get('/b')"))
    lines = summary(project.run("--cassette-mode=once"))
    assert lines[0] == "2 cassettes, 0 interactions played, 0 unplayed, 2 recorded, 0 misses, 2 live connections"
    assert lines[1].startswith(f"live      tcp://127.0.0.1:{project.server.port} at ")
    assert lines[1].endswith(": everything is recorded (and 1 more)")
    assert len(lines) == 2


def test_report_term_says_the_numbers_in_any_case(project: Project) -> None:
    project.write(TWO.format(b="get('/b')"))
    project.record_then_stop(passed=2)
    assert summary(project.run("--cassette-report=term")) == [
        "2 cassettes, 2 interactions played, 0 unplayed, 0 recorded, 0 misses, 0 live connections"
    ]


@pytest.mark.parametrize("arguments", [[], ["-q", "--tb=no"], ["-p", "xdist", "-n2"]], ids=["plain", "-q", "xdist"])
def test_run_with_misses_names_them_and_the_one_command_that_repairs(project: Project, arguments: list[str]) -> None:
    project.write(TWO.format(b="get('/b')"))
    project.record(passed=2)
    project.write(TWO.format(b="get('/c')" + SWALLOW.format("/d")))
    run = project.run_alone if "xdist" in arguments else project.run
    lines = summary(run(*arguments))
    assert lines == [
        "2 cassettes, 1 interaction played, 0 unplayed, 0 recorded, 1 miss, 0 live connections",
        "missed    GET /c: path '/b' != '/c' (test_api.py:6)",
        "repair    pytest test_api.py::test_b --cassette-update=failed",
    ]
    project.run(*lines[-1].split()[2:]).assert_outcomes(passed=1)
    project.server.stop()
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("cache", "tests"),
    [
        pytest.param("cacheprovider", "--lf", id="those that failed last"),
        pytest.param("no:cacheprovider", "test_api.py", id="their modules, as pytest remembers nothing"),
    ],
)
def test_command_for_many_tests_names_them_shortly(cache: str, tests: str, project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\n@pytest.mark.parametrize('n', range(20))\n"
        f"def test_a(n):\n    pass{SWALLOW.format('/a')}"
    )
    lines = summary(project.pytester.runpytest_inprocess(*USE_PLUGIN, "-p", cache))
    assert lines == [
        "20 cassettes, 0 interactions played, 0 unplayed, 0 recorded, 20 misses, 0 live connections",
        *["missed    GET /a: there is no cassette yet (test_api.py:6)"] * 2,
        "missed    GET /a: there is no cassette yet (test_api.py:6) (and 17 more)",
        f"repair    pytest {tests} --cassette-update=failed",
    ]


def test_summary_has_at_most_twelve_lines(project: Project) -> None:
    source = "@pytest.mark.cassette\n@pytest.mark.parametrize('n', range({0}))\ndef test_{1}(n):\n    {2}\n"
    old = source.format(6, "a", "get(f'/{n}'); get('/z')") + source.format(6, "b", "get('/b')")
    project.write(old + source.format(5, "gone", "get('/')") + source.format(5, "stale", "get('/')"))
    project.record(passed=22)
    project.write(
        source.format(6, "a", "get(f'/{n}')")
        + source.format(6, "b", "get('/c')")
        + source.format(5, "stale", "pass").replace("@pytest.mark.cassette\n", "")
    )
    lines = summary(project.run("--tb=no", "-q"))
    assert [line.split()[0] for line in lines] == [
        *["12", "missed", "missed", "missed", "unplayed", "unplayed"],
        *["stale", "stale", "orphaned", "orphaned", "repair"],
    ]
    assert lines[9] == (
        "orphaned  cassettes/test_api/test_gone[1].yaml: test_api.py::test_gone[1] does not exist any more (and 3 more)"
    )


def test_tests_that_failed_are_not_asked_what_they_left_unplayed(project: Project) -> None:
    project.write(TWO.format(b="get('/b'); get('/c')"))
    project.record(passed=2)
    project.write(TWO.format(b="get('/b'); assert False; get('/c')"))
    assert summary(project.run()) == []


# ---------------------------------------------------------------------- what was not played


@pytest.fixture
def unplayed(project: Project) -> Project:
    """A project of which one test asks for less than it did."""
    project.write(TWO.format(b="get('/b'); get('/c'); get('/d'); get('/e')"))
    project.record_then_stop(passed=2)
    project.write(TWO.format(b="get('/b')"))
    return project


def test_interactions_that_were_not_played_are_named(unplayed: Project) -> None:
    result = unplayed.run()
    result.assert_outcomes(passed=2)
    url = unplayed.server.url
    assert summary(result) == [
        "2 cassettes, 2 interactions played, 3 unplayed, 0 recorded, 0 misses, 0 live connections",
        f"unplayed  cassettes/test_api/test_b.yaml: GET {url}/c, GET {url}/d and 1 more",
    ]


@pytest.mark.parametrize("how", ["line", "ini", "marker"])
def test_policy_ignore_says_nothing(unplayed: Project, how: str) -> None:
    if how == "ini":
        unplayed.pytester.makeini("[pytest]\ncassette_on_unplayed = ignore")
    if how == "marker":
        unplayed.write(TWO.format(b="get('/b')").replace("cassette\n", "cassette(on_unplayed='ignore')\n"))
    result = unplayed.run(*(["--cassette-on-unplayed=ignore"] if how == "line" else []))
    result.assert_outcomes(passed=2)
    assert summary(result) == []


def test_policy_warn_is_a_warning_at_the_test(unplayed: Project) -> None:
    result = unplayed.run("--cassette-on-unplayed=warn", "-W", "default::cassette_http.CassetteWarning")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "test_api.py::test_b",
            "*test_api.py:*: CassetteWarning: 3 of 4 interactions of cassettes/test_api/test_b.yaml were not played:*",
        ]
    )


def test_policy_warn_fails_the_test_where_warnings_are_errors(unplayed: Project) -> None:
    result = unplayed.run("--cassette-on-unplayed=warn", "-W", "error")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["to drop them: pytest test_api.py::test_b --cassette-mode=rewrite"])
    result.stdout.no_fnmatch_line("*fixtures.py:*")


@pytest.mark.parametrize("arguments", [[], ["-k", "test_b"], ["test_api.py::test_b"]], ids=["all", "-k", "one"])
def test_policy_fail_fails_the_test(unplayed: Project, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = unplayed.run("--cassette-on-unplayed=fail", *arguments)
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(
        ["ERROR test_api.py::test_b - 3 of 4 interactions of cassettes/test_api/test_b.yaml were not played: *"]
    )


@pytest.mark.parametrize("ending", ["assert False", "pytest.skip('no')", "pytest.xfail('no')"])
def test_policy_fail_is_for_tests_that_pass(unplayed: Project, ending: str) -> None:
    unplayed.write(TWO.format(b=f"get('/b'); {ending}"))
    assert "errors" not in unplayed.run("--cassette-on-unplayed=fail").parseoutcomes()


@pytest.mark.parametrize("mode", ["all", "rewrite"])
def test_modes_that_play_nothing_leave_nothing_unplayed(project: Project, mode: str) -> None:
    project.write(TWO.format(b="get('/b'); get('/c')"))
    project.record(passed=2)
    project.write(TWO.format(b="get('/b')"))
    result = project.run(f"--cassette-mode={mode}", "--cassette-on-unplayed=fail")
    result.assert_outcomes(passed=2)
    assert not any(line.startswith("unplayed") for line in summary(result))


SHARED = """
@pytest.mark.cassette("shared", mode="new_episodes", on_unplayed="fail")
class TestApi:
    def test_a(self):
        get("/a")

    def test_b(self):
        {b}
"""


def test_shared_cassette_is_judged_by_what_all_its_tests_played(project: Project) -> None:
    project.write(SHARED.format(b="get('/b')"))
    project.run().assert_outcomes(passed=2)
    result = project.run()
    assert (result.ret, summary(result)) == (0, [])
    for arguments in (["-k", "test_a"], ["test_api.py::TestApi::test_a"]):
        result = project.run(*arguments)
        assert (result.ret, summary(result)) == (0, []), arguments
    project.write(SHARED.format(b="pass"))
    result = project.run()
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"unplayed  cassettes/test_api/shared.yaml: GET {project.server.url}/b" in summary(result)


def test_cassette_shared_by_modules_is_not_judged_if_only_one_of_them_is_run(project: Project) -> None:
    source = "@pytest.mark.cassette('../shared.yaml', on_unplayed='fail')\ndef test_it():\n    get('/{}')"
    modules = ["test_a.py", "test_b.py"]
    for module in modules:
        project.write(source.format(module), f"tests/{module[:-3]}")
    project.record(passed=2)
    for arguments in (["tests/test_a.py"], ["tests"], [f"tests/{module}" for module in modules]):
        result = project.run(*arguments)
        assert (result.ret, summary(result)) == (0, []), arguments


def test_named_cassette_of_one_test_is_judged_at_once(project: Project) -> None:
    source = "@pytest.mark.cassette('login', on_unplayed='fail')\ndef test_a():\n    get('/a')"
    project.write(source + "; get('/b')")
    project.record_then_stop()
    project.write(source)
    project.run().assert_outcomes(passed=1, errors=1)


# ---------------------------------------------------------------------- reports in files


@pytest.fixture
def mixed(project: Project) -> Project:
    """A project with a test that passes, one that fails, and one that misses something with awkward characters."""
    source = """
@pytest.mark.cassette
def test_passes():
    get("/a")
    get("/b")

@pytest.mark.cassette
def test_fails():
    get("/c")
    assert {}

@pytest.mark.cassette
@pytest.mark.parametrize("mark", ["<script>&\\"'"])
def test_misses(mark):
    {}
"""
    project.write(source.format(True, "get('/<script>')"))
    project.record_then_stop(passed=3)
    project.write(source.replace('    get("/b")\n', "").format(False, f"pass{SWALLOW.format('/<b>&amp;')}"))
    return project


def load(project: Project, *arguments: str) -> dict[str, Any]:
    run = project.run_alone if "xdist" in arguments else project.run
    result = run("--cassette-report=json:out/report.json", *arguments)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report: dict[str, Any] = json.loads((project.path / "out/report.json").read_text())
    return report


@pytest.mark.parametrize("arguments", [[], ["-p", "no:terminal"], ["-p", "xdist", "-n2"]], ids=["plain", "no", "xdist"])
def test_json_report_is_complete(mixed: Project, arguments: list[str]) -> None:
    report = load(mixed, *arguments)
    url = mixed.server.url
    assert report["numbers"] == {"cassettes": 3, "played": 2, "unplayed": 1, "recorded": 0, "misses": 1, "connects": 0}
    uses = {use["owner"].partition("[")[0].partition("::")[2]: use for use in report["uses"]}
    assert uses["test_passes"]["path"] == "cassettes/test_api/test_passes.yaml"
    assert (uses["test_passes"]["is_well"], uses["test_passes"]["transcript"]) == (True, None)
    assert f"GET {url}/c -> 200 OK" in uses["test_fails"]["transcript"]
    [miss] = uses["test_misses"]["misses"]
    assert miss["reason"] == "GET /<b>&amp;: path '/<script>' != '/<b>&amp;'"
    assert miss["at"].startswith("test_api.py:")
    assert "nearest  interaction 1" in miss["text"]
    assert report["command"].startswith("pytest 'test_api.py::test_misses[")
    assert report["unplayed"] == [
        {
            "path": "cassettes/test_api/test_passes.yaml",
            "count": 1,
            "lines": [f"GET {url}/b"],
            "tests": ["test_api.py::test_passes"],
        }
    ]


class Page(HTMLParser):
    """What a browser would show, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_report_is_complete_escaped_and_needs_nothing_else(mixed: Project) -> None:
    mixed.run("--cassette-report=html:report.html")
    page = Page((mixed.path / "report.html").read_text())
    assert page.links == []
    assert not {"script", "b", "link", "img"} & set(page.tags)
    for text in (
        "GET /<b>&amp;: path '/<script>' != '/<b>&amp;'",
        "test_api.py::test_fails",
        "cassettes/test_api/test_passes.yaml",
        f"GET {mixed.server.url}/b",
        f"GET {mixed.server.url}/c -> 200 OK",
        "pytest 'test_api.py::test_misses[",
    ):
        assert text in page.text


def test_reports_can_be_several_and_named_in_the_ini_file(mixed: Project) -> None:
    mixed.pytester.makeini("[pytest]\ncassette_report = json:a.json html:b.html")
    mixed.run()
    assert (mixed.path / "a.json").exists()
    assert (mixed.path / "b.html").exists()


def test_reports_are_written_for_a_run_without_cassettes_too(project: Project) -> None:
    project.write("def test_a():\n    pass")
    project.run("--cassette-report=json:a.json,html:b.html").assert_outcomes(passed=1)
    assert json.loads((project.path / "a.json").read_text())["uses"] == []
    assert "HTTP cassettes" in Page((project.path / "b.html").read_text()).text


def test_report_that_cannot_be_written_is_told_and_hides_nothing(mixed: Project) -> None:
    (mixed.path / "out").write_text("a file in the place of the folder")
    result = mixed.run("--cassette-report=json:out/report.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the report out/report.json cannot be written: *"])
    result.stdout.fnmatch_lines(["FAILED test_api.py::test_fails*"])


@pytest.mark.parametrize("value", ["xml:a.xml", "json", "html:"])
def test_report_that_does_not_exist_is_refused(project: Project, value: str) -> None:
    result = project.run(f"--cassette-report={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*--cassette-report: there is no report '{value}' (there are: term, json:FILE, html:FILE)"]
    )
