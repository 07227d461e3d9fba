"""What README.md and the guide show works: each example of Python is run, offline; commands and options exist."""

from __future__ import annotations

import re
import shlex
import shutil
import threading
import tomllib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from cassette_http import Cassette, use_cassette
from cassette_http.cassette.format import yaml_format, yaml_reading
from cassette_http.cassette.model import Interaction
from cassette_http.cli import main

# Imported here, not late: pytester forgets what is imported during its runs, and Python would then have it twice.
__all__ = ["yaml_reading"]

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOLD_OUTPUT = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


class Example(NamedTuple):
    page: Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _examples() -> list[Example]:
    examples = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 2
            examples.append(Example(page, line, fence[1], fence[2]))
    return examples


EXAMPLES = _examples()
ALL_TESTS = [one for one in EXAMPLES if one.language == "python" and "def test_" in one.text]
# Those that readers record themselves, from a server that everybody has.
OWN_SERVER = "localhost:8000"
RECORDED_TESTS = [one for one in ALL_TESTS if OWN_SERVER in one.text]
TESTS = [one for one in ALL_TESTS if one not in RECORDED_TESTS]
PROGRAMS = [one for one in EXAMPLES if one.language == "python" and one not in ALL_TESTS]
COMMANDS = [
    (one, command)
    for one in EXAMPLES
    if one.language == "shell"
    for line in one.text.splitlines()
    if (command := shlex.split(line, comments=True))
]
DOCUMENTS = [one for one in EXAMPLES if one.language == "yaml"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recordings, so that no example can change them."""
    shutil.copytree(ROOT / "cassettes", tmp_path / "cassettes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("example", PROGRAMS, ids=lambda one: one.id)
def test_program_runs_and_prints_what_is_told(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    if "import requests" in example.text:
        pytest.importorskip("requests")
    # The line numbers of errors are those of the page.
    source = "\n" * (example.line - 1) + example.text
    exec(compile(source, str(example.page), "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.splitlines() == TOLD_OUTPUT.findall(example.text)


@pytest.mark.parametrize("example", TESTS, ids=lambda one: one.id)
def test_tests_pass_offline(example: Example, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    shutil.copytree(ROOT / "cassettes", pytester.path / "cassettes")
    shutil.copytree(ROOT / "cassettes", pytester.path / "tests" / "cassettes")
    (pytester.path / "tests" / "test_users.py").write_text(example.text)
    result = pytester.runpytest_inprocess("-p", "cassette_http.pytest_plugin", "-p", "no:cacheprovider", "tests")
    result.assert_outcomes(passed=example.text.count("def test_"))


@pytest.mark.parametrize("example", RECORDED_TESTS, ids=lambda one: one.id)
def test_tests_are_recorded_and_then_need_no_server(
    example: Example, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with ThreadingHTTPServer(("localhost", 0), QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        pytester.makepyfile(test_listing=example.text.replace(OWN_SERVER, f"localhost:{server.server_port}"))
        options = ("-p", "cassette_http.pytest_plugin", "-p", "no:cacheprovider")
        try:
            pytester.runpytest_inprocess(*options, "--cassette-mode=once").assert_outcomes(passed=1)
        finally:
            server.shutdown()
            thread.join()
    assert (pytester.path / "cassettes" / "test_listing" / "test_listing.yaml").exists()
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=1)


class QuietHandler(SimpleHTTPRequestHandler):
    """What `python -m http.server` runs, without its log."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(("example", "command"), COMMANDS, ids=lambda one: getattr(one, "id", None))
def test_command_and_its_options_exist(
    example: Example, command: list[str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *arguments = command
    if program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        name, _, extra = arguments[1].rstrip("]").partition("[")
        assert (arguments[0], name) == ("install", project["name"])
        assert not extra or extra in project["optional-dependencies"]
    elif program == "pytest":
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for file in [argument for argument in arguments if argument.endswith(".py")]:
            (pytester.path / file).touch()
        run = pytester.runpytest_inprocess("-p", "cassette_http.pytest_plugin", "-p", "no:cacheprovider", *arguments)
        assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    else:
        assert program == "cassette-http"
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--help"])
        assert stopped.value.code == 0


@pytest.mark.parametrize("example", DOCUMENTS, ids=lambda one: one.id)
def test_cassette_that_is_shown_can_be_read(example: Example) -> None:
    data = example.text.encode()
    if not data.startswith(b"cassette: 1\n"):
        data = b"cassette: 1\n---\n" + data
    documents = yaml_format.scan(data, example.id)
    for document in documents[1:]:
        loaded = yaml_format.load_document(document.octets, example.id, document.line, lambda name, count: bytes(count))
        assert isinstance(loaded, Interaction)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_readme_fits_on_three_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 168


@pytest.mark.parametrize("path", sorted((ROOT / "cassettes").rglob("*.yaml")), ids=lambda path: path.name)
def test_recording_is_whole_and_names_no_machine(path: Path) -> None:
    with use_cassette(path, "none") as cassette:
        assert isinstance(cassette, Cassette)
        assert {str(one.origin) for one in cassette.interactions} == {"https://api.example.com"}
    assert "localhost" not in path.read_text(encoding="utf-8")
