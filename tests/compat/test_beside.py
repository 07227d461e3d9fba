"""Installed beside the plugins of others, ours leaves their names to them, in any order, and works as well."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.record import PLUGINS, SUITES
from tests.compat.test_suites import EXPECTED, OTHERS, run
from tests.peer import Peer, keep_alive, response

ROOT = Path(__file__).parents[2]
OURS = "cassette_http.pytest_plugin"
ALL = ("pytest_recording.plugin", "pytest_vcr", "cassetter.pytest_plugin")

pytestmark = pytest.mark.skipif(not OTHERS.exists(), reason="the plugins of others are not installed: make compat")


def loaded(theirs: str, is_ours_first: bool) -> list[str]:
    plugins = [OURS, theirs] if is_ours_first else [theirs, OURS]
    return [word for plugin in plugins for word in ("-p", plugin)]


orders = pytest.mark.parametrize("is_ours_first", [True, False], ids=["ours first", "theirs first"])


@orders
@pytest.mark.parametrize("suite", PLUGINS)
def test_suite_of_the_other_plugin_runs_as_without_us(suite: str, is_ours_first: bool, tmp_path: Path) -> None:
    folder = tmp_path / suite
    shutil.copytree(SUITES / suite, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "test_owner.py").write_text(
        "import pytest\n@pytest.mark.vcr\ndef test_owner(vcr):\n    assert type(vcr).__module__.startswith('vcr.')\n"
    )
    expected = {**EXPECTED[suite], "test_owner.py::test_owner": "PASSED"}
    plugins = loaded(PLUGINS[suite][0], is_ours_first)
    assert run(folder, *plugins, python=str(OTHERS), PYTHONPATH=str(ROOT)) == dict(sorted(expected.items()))


BOTH = """
import urllib.request
import pytest
import requests

@pytest.mark.cassette(mode="once")
def test_ours(http_cassette):
    assert urllib.request.urlopen(BASE + "/a").read() == b"answer"
    assert type(http_cassette).__module__ == "cassette_http.in_use"

@pytest.mark.vcr(record_mode="once")
def test_theirs():
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(BASE + "/b").text == "answer"

def test_without_cassette():
    assert urllib.request.urlopen(BASE + "/c").read() == b"answer"
"""


@orders
@pytest.mark.parametrize("theirs", ALL)
def test_both_record_their_own_tests_and_no_others(
    theirs: str, is_ours_first: bool, tmp_path: Path, peer: Callable[..., Peer]
) -> None:
    server = peer(keep_alive(lambda request: response(b"answer")))
    (tmp_path / "test_both.py").write_text(f"BASE = {server.url!r}\n{BOTH}")
    plugins = loaded(theirs, is_ours_first)
    outcome = run(tmp_path, *plugins, python=str(OTHERS), PYTHONPATH=str(ROOT))
    assert outcome == {
        f"test_both.py::{name}": "PASSED" for name in ("test_ours", "test_theirs", "test_without_cassette")
    }
    cassettes = {path.stem: path.read_text() for path in (tmp_path / "cassettes").rglob("*.yaml")}
    assert cassettes.keys() == {"test_ours", "test_theirs"}
    assert cassettes["test_ours"].startswith("cassette: 1\n")
    assert "interactions:" in cassettes["test_theirs"]


@orders
@pytest.mark.parametrize("theirs", ALL)
def test_options_of_the_other_plugin_are_its_own(theirs: str, is_ours_first: bool, tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    option = "--vcr-record=none" if theirs == "pytest_vcr" else "--record-mode=none"
    plugins = loaded(theirs, is_ours_first)
    assert run(tmp_path, *plugins, option, python=str(OTHERS), PYTHONPATH=str(ROOT)) == {
        "test_nothing.py::test_nothing": "PASSED"
    }
    text = subprocess.run(
        [str(OTHERS), "-m", "pytest", *plugins, "--help"],
        cwd=tmp_path,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "by the names of pytest-recording and pytest-vcr" not in text
    assert text.count(f"  {option.partition('=')[0]}=") == 1


def test_fixture_cassette_is_that_of_cassetter(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.vcr\ndef test_theirs(cassette):\n    assert type(cassette).__module__ == 'cassetter.cassette'\n"
        "def test_unmarked(cassette):\n    assert cassette is None\n"
    )
    plugins = loaded("cassetter.pytest_plugin", is_ours_first=False)
    outcome = run(tmp_path, *plugins, python=str(OTHERS), PYTHONPATH=str(ROOT))
    assert outcome == {"test_it.py::test_theirs": "PASSED", "test_it.py::test_unmarked": "PASSED"}
