"""What the report of a failed test says: the reason in its line, what was asked and what is nearest, and the repair."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch

import pytest

from tests.plugin.project import Project

REFUND = """
import json
import os
import urllib.request


def post(path, value):
    request = urllib.request.Request(BASE + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()

@pytest.mark.cassette
def test_refund():
    post("/login", {"user": "ada", "password": "correct horse battery"})
    post("/refunds", {"currency": "EUR", "amount": AMOUNT, "lines": [1, 2, 3]})
"""

REASON = "no match: POST /refunds: body $.amount 1200 != 1250"


@pytest.fixture
def refund(project: Project) -> Project:
    """A project whose only test asks for something else than it did when it was recorded."""
    project.write(REFUND.replace("AMOUNT", "1200"))
    project.record_then_stop()
    project.write(REFUND.replace("AMOUNT", "1250"))
    return project


def test_failure_shows_request_nearest_interaction_difference_line_and_command(
    refund: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = refund.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- no match in the cassette -*",
            REASON,
            "  asked    POST http://127.0.0.1:*/refunds",
            "  at       test_api.py:17",
            "  nearest  interaction 2 of cassettes/test_api/test_refund.yaml, not played",
            "           POST http://127.0.0.1:*/refunds",
            "  differs  body: $.amount recorded 1200 != sent 1250",
            '           -  "amount": 1200,',
            '           +  "amount": 1250,',
            "to record it: pytest test_api.py::test_refund --cassette-update=failed",
            "*- HTTP transcript call -*",
            "played (1): POST http://127.0.0.1:*/login -> 200 OK",
            '    > {"user": "ada", "password": "{{secret*}}"}',
            "    < answer to /login",
            "refused: POST http://127.0.0.1:*/refunds",
            '    > {"currency": "EUR", "amount": 1250, *}',
            f"FAILED test_api.py::test_refund - {REASON}",
        ],
    )
    assert "correct horse" not in result.stdout.str().partition("no match in the cassette")[2]


def test_command_of_the_report_repairs_the_test(project: Project) -> None:
    source = "@pytest.mark.cassette\n@pytest.mark.parametrize('p', ['x y'])\ndef test_a(p):\n    get('/{0}')"
    project.write(source.format("a"))
    project.record()
    project.write(source.format("b"))
    shown = project.run().stdout.str()
    command = shown.partition("to record it: pytest ")[2].splitlines()[0]
    arguments = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    project.run(*arguments.stdout.splitlines()).assert_outcomes(passed=1)
    project.server.stop()
    project.run().assert_outcomes(passed=1)


def test_command_of_the_report_is_for_the_folder_where_pytest_was_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.pytester.makeini("[pytest]")
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')", "inner/tests/test_api")
    monkeypatch.chdir(project.path / "inner")
    result = project.run("--rootdir", str(project.path), "tests")
    result.stdout.fnmatch_lines(["to record it: pytest tests/test_api.py::test_a --cassette-update=failed"])


SAYS = {
    "swallowed": (
        "    try:\n        get('/a')\n    except OSError:\n        pass",
        "ERROR test_api.py::test_a - no match: GET /a: there is no cassette yet",
    ),
    "in the words of a library": (
        "    get('/a')",
        "FAILED test_api.py::test_a - no match: GET /a: there is no cassette yet",
    ),
    "a plan that went wrong": (
        "    try:\n        get('/a')\n    except OSError:\n        pass\n    assert 1 == 2",
        "FAILED test_api.py::test_a - no match: GET /a: there is no cassette yet; assert 1 == 2",
    ),
    "several": (
        "    for path in ('/a', '/b', '/c'):\n        try:\n            get(path)\n"
        "        except OSError:\n            pass",
        "ERROR test_api.py::test_a - no match: GET /a: there is no cassette yet (and 2 more)",
    ),
    "in a thread": (
        "    import threading\n    threading.excepthook = lambda arguments: None\n"
        "    thread = threading.Thread(target=get, args=('/a',))\n    thread.start()\n    thread.join()",
        "ERROR test_api.py::test_a - no match: GET /a: there is no cassette yet",
    ),
    "another failure": ("    assert 1 == 2", "FAILED test_api.py::test_a - assert 1 == 2"),
}


@pytest.mark.parametrize(("body", "line"), SAYS.values(), ids=list(SAYS))
def test_line_of_the_short_summary_has_the_reason(
    project: Project, body: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    project.write(f"@pytest.mark.cassette\ndef test_a():\n{body}")
    result = project.run()
    assert line in result.stdout.lines
    assert project.server.connections == 0


def test_refusals_beyond_the_third_are_counted(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\ndef test_a():\n    for number in range(5):\n"
        "        try:\n            get(f'/{number}')\n        except OSError:\n            pass"
    )
    project.run().stdout.fnmatch_lines(["no match: GET /2: there is no cassette yet", "(2 more requests were refused)"])


def test_length_that_does_not_fit_an_edited_body_is_reported(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    project.run("--cassette-mode=once").assert_outcomes(passed=1)
    path = project.path / "cassettes/test_api/test_a.yaml"
    old = path.read_text()
    assert "  answer to /a\n" in old
    path.write_text(old.replace("  answer to /a\n", "  /\n"))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["    ! Content-Length says 12 octets, and 1 are there; was the body edited[?]"])


def test_request_that_is_tried_again_is_told_once(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\ndef test_a():\n    for path in ('/a', '/a', '/b', '/a'):\n"
        "        try:\n            get(path)\n        except OSError:\n            pass"
    )
    result = project.run()
    result.stdout.fnmatch_lines(["  asked    GET */a (3 times)", "  asked    GET */b"])
    assert result.stdout.str().count("no match: GET /a: there is no cassette yet\n") == 1
    result.stdout.fnmatch_lines(["ERROR test_api.py::test_a - no match: GET /a: there is no cassette yet (and 1*"])


@pytest.mark.parametrize(("marker", "fixture"), [("cassette", "cassette"), ("vcr", "vcr")])
def test_test_that_passes_in_spite_of_a_refusal_is_told_how_to_expect_it(
    project: Project, marker: str, fixture: str
) -> None:
    source = "@pytest.mark.{0}\ndef test_a({1}):\n    with pytest.raises(OSError):\n        get('/a'){2}"
    project.write(source.format(marker, fixture, ""))
    project.run().stdout.fnmatch_lines([f"if the test expects that: {fixture}.misses.clear()"])
    project.write(source.format(marker, fixture, f"\n    {fixture}.misses.clear()"))
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["user", "cassettes/user.yaml", "cassettes/test_api/user.yaml"])
def test_cassette_with_nearly_the_name_is_shown(project: Project, name: str) -> None:
    project.write("@pytest.mark.cassette('users')\ndef test_a():\n    get('/a')")
    project.run("--cassette-mode=once").assert_outcomes(passed=1)
    project.write(f"@pytest.mark.cassette({name!r})\ndef test_a():\n    get('/a')")
    project.run().stdout.fnmatch_lines(["  hint     did you mean cassettes/test_api/users.yaml[?]"])


def test_interaction_that_was_played_already_is_told_with_what_to_do(project: Project) -> None:
    source = "@pytest.mark.cassette\ndef test_a():\n    get('/a')\n"
    project.write(source)
    project.record()
    project.write(source + "    get('/a')\n")
    project.run().stdout.fnmatch_lines(
        [
            "no match: GET /a: interaction 1 matches, but was already played",
            '  hint     each answers once; to let them answer again, set repeat="last" or repeat="cycle"',
        ]
    )


def test_failed_test_shows_its_transcript_and_a_passing_one_does_not(project: Project) -> None:
    project.write(
        """
@pytest.mark.cassette
def test_a():
    get("/a")
    assert get("/b") == "something else"

@pytest.mark.cassette
def test_b():
    get("/c")

@pytest.mark.cassette
@pytest.mark.xfail
def test_c():
    get("/d")
    assert False
"""
    )
    for mode, word in (("once", "recorded:"), ("none", "played ({}):")):
        result = project.run(f"--cassette-mode={mode}")
        result.assert_outcomes(failed=1, passed=1, xfailed=1)
        lines = [line for line in result.stdout.lines if " -> 200 OK" in line]
        assert lines == [
            f"{word.format(n)} GET {project.server.url}{path} -> 200 OK" for n, path in ((1, "/a"), (2, "/b"))
        ]


def test_transcript_is_bounded_and_shows_text_only(project: Project) -> None:
    project.write(
        r"""
import urllib.request


def post(content, media_type):
    request = urllib.request.Request(BASE + "/a", content, {"Content-Type": media_type})
    urllib.request.urlopen(request, timeout=10).close()

@pytest.mark.cassette
def test_a():
    for number in range(25):
        get(f"/{number}")
    post(b"\0\1\2\3" * 100, "image/png")
    post(b"line\n" * 50, "text/plain")
    post(b"x" * 1000, "text/plain")
    post(b"y" * 300_000, "text/plain")
    assert False
"""
    )
    result = project.run("--cassette-mode=once")
    result.assert_outcomes(failed=1)
    shown = result.stdout.str().partition("HTTP transcript call")[2]
    assert "(9 earlier ones are left out)" in shown
    assert f"{project.server.url}/9 " in shown
    assert f"{project.server.url}/8 " not in shown
    assert "    > (400 octets of image/png)" in shown
    assert "    > ... (45 more lines)" in shown
    assert max(len(line) for line in shown.splitlines()) < 160


def test_refusal_says_how_to_record_it_in_words_of_the_command_line(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    shown = project.run().stdout.str()
    assert "to record it, run with --cassette-update=failed" in shown
    assert "record_mode=" not in shown


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("<<<<<<< HEAD", "this is an unresolved merge conflict*", id="when it is opened"),
        pytest.param("response 200 OK", "this is not YAML*", id="when a request asks for it"),
    ],
)
def test_summary_names_a_broken_cassette_in_few_words(project: Project, line: str, reason: str) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    project.record_then_stop()
    cassette = project.pytester.path / "cassettes/test_api/test_a.yaml"
    cassette.write_text(cassette.read_text().replace("response: 200 OK", line))
    summary = project.run("-vv").stdout.str().partition("short test summary")[2]
    assert fnmatch(summary, f"*test_api.py::test_a - cassettes/test_api/test_a.yaml, line *: {reason}")


def test_transcript_shows_failures_of_connections(project: Project) -> None:
    project.server.stop()
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')")
    result = project.run("--cassette-mode=once")
    peer = f"tcp://127.0.0.1:{project.server.port}"
    result.stdout.fnmatch_lines([f"recorded: connect to {peer} -> connect failed"])
    result = project.run("--cassette-mode=once")
    result.stdout.fnmatch_lines(
        [
            "* a recorded failure *",
            "what failed here was recorded, and played from cassettes/test_api/test_a.yaml; nothing was connected.",
            "to ask the server again: pytest test_api.py::test_a --cassette-update=all",
            f"played (1): connect to {peer} -> connect failed",
        ]
    )


HANDMADE = """\
cassette: 1
---
request: GET {url}/a
response: 200 OK
response headers: |
  Authorization: Bearer abcdefghijklmnopqrstuvwxyz
  Content-Length: 36
response body: |-
  {{"password": "correct horse batter"}}
---
"""


def test_transcript_redacts_what_a_handmade_cassette_holds(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')\n    assert False")
    path = project.path / "cassettes/test_api/test_a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(HANDMADE.format(url=project.server.url))
    shown = project.run().stdout.str().partition("HTTP transcript call")[2]
    assert '    < {"password": "{{secret' in shown
    assert "correct horse" not in shown


# ---------------------------------------------------------------------- under all circumstances


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-q"], id="-q"),
        pytest.param(["-qq"], id="-qq"),
        pytest.param(["--tb=no"], id="--tb=no"),
        pytest.param(["--tb=line"], id="--tb=line"),
        pytest.param(["--tb=native"], id="--tb=native"),
        pytest.param(["--show-capture=no"], id="--show-capture=no"),
        pytest.param(["--color=yes"], id="--color=yes"),
        pytest.param(["-x"], id="-x"),
        pytest.param(["-p", "xdist", "-n2"], id="xdist"),
        pytest.param(["-p", "no:terminal"], id="no terminal"),
    ],
)
def test_reason_is_shown_whatever_the_options(
    refund: Project, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    if "xdist" in arguments:
        pytest.importorskip("xdist")
        result = refund.run_alone(*arguments)
    else:
        result = refund.run(*arguments)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    if "no:terminal" in arguments:
        assert text == ""
        return
    assert "Traceback" not in result.stderr.str()
    if "--tb=line" not in arguments:
        assert REASON in [line for line in result.stdout.lines if "FAILED" in line][-1]
    assert ("to record it: pytest" in text) == ("--tb=no" not in arguments)
    assert REASON in text


def test_no_color_is_kept(refund: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in refund.run_alone().stdout.str()


def test_interrupted_run_ends_as_any_other(project: Project) -> None:
    project.write(
        "@pytest.mark.cassette\ndef test_a():\n    try:\n        get('/a')\n    except OSError:\n"
        "        raise KeyboardInterrupt"
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in result.stdout.str()


def test_two_failures_at_tear_down_are_told_both(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    project.write(
        """
@pytest.fixture
def broken(cassette):
    yield
    raise RuntimeError("the fixture's own")

@pytest.mark.cassette
def test_a(broken):
    try:
        get("/a")
    except OSError:
        pass
"""
    )
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    text = result.stdout.str()
    assert "ERROR test_api.py::test_a - no match: GET /a: there is no cassette yet" in text
    assert "the fixture's own" in text
    assert "to record it: pytest test_api.py::test_a" in text


@pytest.mark.parametrize(
    "guard",
    [
        "monkeypatch.setattr(socket, 'socket', forbid)",
        "monkeypatch.setattr(socket, 'create_connection', forbid)",
        "monkeypatch.setattr(socket.socket, 'connect', forbid)",
        "monkeypatch.setattr(socket, 'socket', type('Guarded', (socket.socket,), {'__init__': forbid}))",
        "monkeypatch.setattr(socket, 'socket', type('Guarded', (socket.socket,), {'__new__': forbid}))",
    ],
)
def test_report_says_what_to_do_where_a_fixture_forbids_sockets(project: Project, guard: str) -> None:
    project.write(
        "import socket\ndef forbid(*arguments, **options):\n    raise RuntimeError('no network in tests')\n"
        f"@pytest.mark.cassette\ndef test_a(monkeypatch):\n    {guard}\n    get('/a')\n"
    )
    # In a process of its own: `socket.create_connection` closes its socket after an OSError only.
    result = project.run_alone("--cassette-mode=once")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no sockets for the cassette*", "`forbid` (test_api.py:*) stands in the place of *"])


def test_report_says_nothing_of_sockets_where_a_mock_fails_a_connect(project: Project) -> None:
    project.write(
        "import socket\nfrom unittest import mock\n@pytest.mark.cassette\ndef test_a():\n"
        "    with mock.patch.object(socket, 'create_connection', side_effect=ConnectionRefusedError('asked for')):\n"
        "        get('/a')\n"
    )
    result = project.run("--cassette-mode=once")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*no sockets for the cassette*")
