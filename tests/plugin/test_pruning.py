"""`--cassette-prune`: what is shown, what is removed, and what never is."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from cassette_http.cassette.files import Files
from cassette_http.plugin import pruning
from tests.plugin.project import Project
from tests.plugin.test_layers import targets

# Imported here, as pytester forgets what is imported during its runs.
__all__ = ["pruning"]

BEFORE = """
@pytest.mark.cassette
def test_a():
    get("/a/1")
    get("/a/2")
    get("/a/3")

@pytest.mark.cassette
def test_gone():
    get("/gone")

@pytest.mark.cassette
def test_stale():
    get("/stale")

@pytest.mark.cassette("shared")
@pytest.mark.parametrize("number", [1, 2])
def test_shared(number):
    get(f"/shared/{number}")
    get(f"/shared/{number}/more")
"""

AFTER = """
@pytest.mark.cassette
def test_a():
    get("/a/2")

def test_stale():
    pass

@pytest.mark.cassette("shared")
@pytest.mark.parametrize("number", [1, 2])
def test_shared(number):
    get(f"/shared/{number}")
"""


@pytest.fixture
def changed(project: Project) -> Project:
    """A project whose tests need less than they did, and files that belong to nobody."""
    project.write(BEFORE)
    project.record(passed=5)
    project.write(AFTER)
    for name in ("notes.yaml", "by_hand.yaml"):
        (project.path / "cassettes/test_api" / name).write_text("cassette: 1\n---\n")
    (project.path / "cassettes/test_api/picture.png").write_bytes(b"\x89PNG")
    project.server.stop()
    return project


def contents(project: Project) -> dict[str, list[str]]:
    return {path: targets(project.path / "cassettes" / path) for path in project.cassettes() if path.endswith(".yaml")}


UNTOUCHED = {
    "test_api/by_hand.yaml": [],
    "test_api/notes.yaml": [],
    "test_api/shared.yaml": ["/shared/1", "/shared/1/more", "/shared/2", "/shared/2/more"],
    "test_api/test_a.yaml": ["/a/1", "/a/2", "/a/3"],
    "test_api/test_gone.yaml": ["/gone"],
    "test_api/test_stale.yaml": ["/stale"],
}
PRUNED = {
    "test_api/by_hand.yaml": [],
    "test_api/notes.yaml": [],
    "test_api/shared.yaml": ["/shared/1", "/shared/2"],
    "test_api/test_a.yaml": ["/a/2"],
}


@pytest.mark.parametrize("flag", ["--cassette-prune", "--cassette-prune=show"])
def test_what_is_not_needed_is_shown_and_stays(changed: Project, flag: str) -> None:
    result = changed.run(flag, "test_api.py" if flag.endswith("show") else ".")
    result.assert_outcomes(passed=4)
    shared = [] if flag.endswith("show") else ["cassettes/test_api/shared.yaml: 2 of 4 interactions, *"]
    result.stdout.fnmatch_lines(
        [
            "*to be removed from cassettes*",
            "cassettes/test_api/test_a.yaml: 2 of 3 interactions, which no test asks for",
            "  GET http://*/a/1",
            "  GET http://*/a/3",
            *shared,
            "cassettes/test_api/test_gone.yaml: the file, as test_api.py::test_gone does not exist any more",
            "cassettes/test_api/test_stale.yaml: the file, as test_api.py::test_stale does without it",
            "to remove it: --cassette-prune=apply",
        ]
    )
    assert contents(changed) == UNTOUCHED


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])
def test_what_is_not_needed_is_removed_where_that_is_asked_for(changed: Project, workers: tuple[str, ...]) -> None:
    kept = (changed.path / "cassettes/test_api/test_a.yaml").read_bytes()
    result = (changed.run_alone if workers else changed.run)(*workers, "--cassette-prune=apply")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*removed from cassettes*"])
    result.stdout.no_fnmatch_line("*cassette-prune=apply*")
    assert contents(changed) == PRUNED
    documents = kept.split(b"---\n")
    assert (changed.path / "cassettes/test_api/test_a.yaml").read_bytes() == b"---\n".join(
        [documents[0], documents[2], b""]
    )
    assert (changed.path / "cassettes/test_api/picture.png").exists()
    changed.run().assert_outcomes(passed=4)
    result = changed.run("--cassette-prune=apply")
    result.stdout.fnmatch_lines(["nothing: all that was judged is needed"])
    assert contents(changed) == PRUNED


# What of PRUNED happens when not all of it can be known.
PARTIAL: dict[str, tuple[list[str], str, set[str]]] = {
    "-k": (["-k", "stale"], "", set()),
    "a test by its id": (["test_api.py::test_a"], "", {"test_a"}),
    "one test of two that share": (["test_api.py::test_shared[1]"], "", set()),
    "-x behind a failure": (
        ["-x"],
        AFTER + "\ndef test_at_the_end():\n    assert 0\n\ndef test_never_reached():\n    pass\n",
        {"test_a"},
    ),
    "a test that fails": ([], AFTER.replace('get("/a/2")', 'get("/a/2")\n    assert 0'), set()),
    "a test that skips": (
        [],
        AFTER.replace('get(f"/shared/{number}")', 'get(f"/shared/{number}") if number == 1 else pytest.skip("no")'),
        {"test_a"},
    ),
    "a test that is skipped": (
        [],
        AFTER.replace(
            "def test_shared(number):",
            "def test_shared(number, request):\n    pass\n\n@pytest.mark.skip\n@pytest.mark.cassette('shared')\n"
            "def test_skipped():",
        ).replace('get(f"/shared/{number}")', "pass"),
        {"test_a"},
    ),
    "another file": (["test_other.py"], "", set()),
    "no run": (["--collect-only"], "", set()),
    "no cassettes": (["--no-cassette"], AFTER + "def test_nothing():\n    pass\n", set()),
}


@pytest.mark.parametrize(("arguments", "source", "pruned"), PARTIAL.values(), ids=list(PARTIAL))
def test_only_what_was_run_and_passed_is_judged(
    changed: Project, arguments: list[str], source: str, pruned: set[str]
) -> None:
    if source:
        changed.write(source)
    changed.write("def test_other():\n    pass\n", "test_other")
    changed.run("--cassette-prune=apply", *arguments)
    after = contents(changed)
    for name, before in UNTOUCHED.items():
        is_pruned = Path(name).stem in pruned
        assert after.get(name) == (PRUNED.get(name) if is_pruned else before), name


def test_mode_that_records_is_not_judged_by(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/1')\n    get('/2')")
    project.record()
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/2')\n    get('/3')")
    project.run("--cassette-prune=apply", "--cassette-mode=new_episodes").assert_outcomes(passed=1)
    assert sorted(targets(project.path / "cassettes/test_api/test_a.yaml")) == ["/1", "/2", "/3"]
    project.run("--cassette-prune=apply").assert_outcomes(passed=1)
    assert sorted(targets(project.path / "cassettes/test_api/test_a.yaml")) == ["/2", "/3"]


def test_what_cannot_be_removed_is_reported_and_stays(changed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Files, "rename", refuse)
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, **options: refuse() if path.suffix == ".yaml" else unlink(path, **options)
    )
    result = changed.run("--cassette-prune=apply")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_a.yaml* cannot be written: Permission denied*",
            "*test_gone.yaml cannot be removed: Permission denied",
            "*test_stale.yaml cannot be removed: Permission denied",
        ]
    )
    assert contents(changed) == UNTOUCHED


def test_wrong_value_is_reported(project: Project) -> None:
    result = project.run("--cassette-prune=all")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no way to prune cassettes 'all'*"])
