"""`--cassette-update`: what is recorded again, and what becomes of the old cassettes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from cassette_http.plugin import updating
from tests.peer import Peer, keep_alive, response
from tests.plugin.project import Project
from tests.plugin.test_layers import targets

# Imported here, as pytester forgets what is imported during its runs.
__all__ = ["updating"]

TESTS = """
import json

@pytest.mark.cassette
@pytest.mark.parametrize("name", ["a", "b"])
def test_price(name):
    order = json.loads(get("/orders", b"{}"))
    assert json.loads(get("/orders/" + order["id"]))["id"] == order["id"]
    assert json.loads(get("/price/" + name))["price"] > 0
"""


class Shop:
    """A server whose answers all have dates and ids; `price` is what they are about."""

    def __init__(self) -> None:
        self.price = 7
        self.asked: list[str] = []

    def __call__(self, request: bytes) -> bytes:
        target = request.split(b" ")[1].decode()
        self.asked.append(target)
        now = datetime.now(UTC)
        content: dict[str, object] = {"price": self.price, "at": now.isoformat()}
        content["id"] = str(uuid.uuid4()) if target == "/orders" else target.rpartition("/")[2]
        fields = [f"Date: {format_datetime(now, usegmt=True)}".encode(), f"X-Request-Id: {uuid.uuid4()}".encode()]
        return response(json.dumps(content).encode(), *fields)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def project(pytester: pytest.Pytester, peer: Callable[..., Peer], shop: Shop) -> Project:
    """A project that asks a shop, with two tests that were recorded."""
    project = Project(pytester, peer(keep_alive(shop)))
    project.write(TESTS)
    project.record(passed=2)
    shop.asked.clear()
    return project


def contents(project: Project) -> dict[str, bytes]:
    return {name: (project.path / "cassettes" / name).read_bytes() for name in project.cassettes()}


WORKERS = pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2")], ids=["one process", "workers"])


def run(project: Project, workers: tuple[str, ...], *arguments: str) -> pytest.RunResult:
    return project.run_alone(*workers, *arguments) if workers else project.run(*arguments)


@WORKERS
def test_all_is_recorded_again_and_no_file_changes_if_nothing_has(
    project: Project, shop: Shop, workers: tuple[str, ...]
) -> None:
    before = contents(project)
    result = run(project, workers, "--cassette-update=all")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["updated   2 as they were"])
    assert len(shop.asked) == 6
    assert contents(project) == before


def test_all_shows_what_has_changed(project: Project, shop: Shop) -> None:
    before = contents(project)
    shop.price = 8
    result = project.run("--cassette-update=all", "-k", "test_price[a]")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["updated   1 changed", "changed   cassettes/test_api/test_price[[]a[]].yaml"])
    after = contents(project)
    assert after["test_api/test_price[b].yaml"] == before["test_api/test_price[b].yaml"]
    assert b'"price": 8' in after["test_api/test_price[a].yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=2)


@WORKERS
def test_only_what_missed_is_recorded_again(project: Project, shop: Shop, workers: tuple[str, ...]) -> None:
    before = contents(project)
    project.write(TESTS + "    if name == 'a':\n        get('/more')\n")
    run(project, workers).assert_outcomes(passed=1, failed=1)
    assert shop.asked == []
    result = run(project, workers, "--cassette-update", "test_api.py")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["updated   1 changed, 1 as they were"])
    assert shop.asked == ["/more"]
    after = contents(project)
    assert after["test_api/test_price[a].yaml"].startswith(before["test_api/test_price[a].yaml"])
    assert after["test_api/test_price[b].yaml"] == before["test_api/test_price[b].yaml"]
    project.server.stop()
    project.run().assert_outcomes(passed=2)


def test_path_after_a_bare_flag_is_a_path_when_conftests_are_loaded(project: Project) -> None:
    project.write("def test_quick():\n    pass", "shop/test_quick")
    (project.path / "shop" / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--shop')")
    project.pytester.makeini("[pytest]\ntestpaths = elsewhere")
    (project.path / "elsewhere").mkdir()
    (project.path / "elsewhere" / "conftest.py").write_text("raise SystemExit('this folder was not asked for')")
    project.run("--cassette-update", "shop/test_quick.py", "--shop=x").assert_outcomes(passed=1)


def test_missing_cassettes_are_recorded_and_others_played(project: Project, shop: Shop) -> None:
    before = contents(project)
    (project.path / "cassettes/test_api/test_price[a].yaml").unlink()
    result = project.run("--cassette-update=missing")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["updated   1 new, 1 as they were"])
    assert len(shop.asked) == 3
    assert contents(project)["test_api/test_price[b].yaml"] == before["test_api/test_price[b].yaml"]


def test_missing_leaves_a_cassette_alone_that_has_not_all(project: Project, shop: Shop) -> None:
    project.write(TESTS + "    get('/more')\n")
    project.run("--cassette-update=missing").assert_outcomes(failed=2)
    assert shop.asked == []


@pytest.mark.parametrize(
    ("way", "workers"), [("failed", ()), ("all", ()), ("all", ("-p", "xdist", "-n2"))], ids=["failed", "all", "workers"]
)
def test_failing_test_leaves_its_cassette_alone(project: Project, way: str, workers: tuple[str, ...]) -> None:
    before = contents(project)
    project.write(TESTS + "    get('/more')\n    assert name == 'b'\n")
    result = run(project, workers, f"--cassette-update={way}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["updated   1 changed, 1 left alone, as their tests failed"])
    after = contents(project)
    assert after["test_api/test_price[a].yaml"] == before["test_api/test_price[a].yaml"]
    assert b"/more" in after["test_api/test_price[b].yaml"]
    assert len(after) == 2


@pytest.mark.parametrize("way", ["all", "failed", "missing"])
def test_test_that_fails_in_the_tear_down_of_another_fixture_leaves_its_cassette_alone(
    way: str, project: Project, shop: Shop
) -> None:
    project.write(
        TESTS.replace('"/price/" + name', '"/price/" + name + "?new"')
        + "\n@pytest.fixture(autouse=True)\ndef broken():\n    yield\n    raise ValueError('tear-down')\n"
        + "\n@pytest.mark.cassette\ndef test_new():\n    get('/new')\n"
    )
    before, shop.price = contents(project), 8
    result = project.run(f"--cassette-update={way}")
    assert result.parseoutcomes()["errors"] == 3
    assert contents(project) == before
    assert "left alone, as their tests failed" in result.stdout.str()


def test_failed_tear_down_leaves_the_blobs_of_the_old_cassette_alone(project: Project, shop: Shop) -> None:
    test = "@pytest.mark.cassette(blob_threshold=10)\ndef test_film(broken):\n    get('/film')\n"
    project.write(test + "@pytest.fixture\ndef broken():\n    yield\n", "test_films")
    project.record("test_films.py")
    before = contents(project)
    assert len([name for name in before if name.startswith("test_films/blobs/")]) == 1
    project.write(test + "@pytest.fixture\ndef broken():\n    yield\n    raise ValueError\n", "test_films")
    shop.price = 8
    project.run("--cassette-update=all", "test_films.py").assert_outcomes(passed=1, errors=1)
    assert contents(project) == before


TEAR_DOWN_FAILS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    raise ValueError("tear-down")
"""

# A limit is a full disk; pytest's own output is not to meet it.
DISK_IS_FULL = """
import resource

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call):
    resource.setrlimit(resource.RLIMIT_FSIZE, (10 if call.when == "teardown" else -1, -1))
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
"""


@pytest.mark.parametrize(
    ("way", "becomes"),
    [
        pytest.param("failed", "1 left alone, as their tests failed", id="what was added is cut off"),
        pytest.param("all", "1 recorded by tests that failed, as the old ones could not be put back", id="rewritten"),
    ],
)
def test_full_disk_when_the_old_cassette_is_to_be_put_back(
    way: str, becomes: str, project: Project, shop: Shop
) -> None:
    pytest.importorskip("resource", reason="limits of file sizes are those of POSIX")
    before = contents(project)
    project.write(TESTS.replace('"/price/" + name', '"/price/" + name + "?new"'))
    (project.path / "conftest.py").write_text(TEAR_DOWN_FAILS + DISK_IS_FULL)
    result = project.run(f"--cassette-update={way}", "-k", "test_price[a]")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"updated   {becomes}"])
    after = contents(project)
    assert list(after) == list(before)
    if way == "all":
        result.stdout.fnmatch_lines(["*test_price[[]a[]].yaml' cannot be written: File too large; *the failed test*"])
        assert b"?new" in after["test_api/test_price[a].yaml"]
    else:
        assert after == before


def test_link_to_a_cassette_stays_one_when_the_old_cassette_is_put_back(project: Project, shop: Shop) -> None:
    path = project.path / "cassettes/test_api/test_price[a].yaml"
    elsewhere = project.path / "elsewhere.yaml"
    path.rename(elsewhere)
    elsewhere.chmod(0o640)
    path.symlink_to(elsewhere)
    before, shop.price = elsewhere.read_bytes(), 8
    (project.path / "conftest.py").write_text(TEAR_DOWN_FAILS)
    project.run("--cassette-update=all", "-k", "test_price[a]").assert_outcomes(passed=1, errors=1)
    assert path.is_symlink()
    assert elsewhere.read_bytes() == before
    assert elsewhere.stat().st_mode & 0o777 == 0o640


def test_failing_test_that_was_never_recorded_gets_no_cassette(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_a():\n    get('/a')\n    assert 0\n", "test_new")
    project.run("--cassette-update=missing", "test_new.py").assert_outcomes(failed=1)
    assert not (project.path / "cassettes/test_new").exists() or not any(
        (project.path / "cassettes/test_new").iterdir()
    )


def test_test_that_passes_when_it_is_run_again_is_recorded_once(project: Project) -> None:
    project.write(
        """
attempts = []

@pytest.mark.cassette
def test_flaky():
    attempts.append(1)
    get(f"/attempt/{len(attempts)}")
    assert len(attempts) == 3
""",
        "test_flaky",
    )
    for way in ("failed", "all", "missing"):
        for path in project.path.glob("cassettes/test_flaky/*"):
            path.unlink()
        result = project.run_alone(
            "-p", "pytest_rerunfailures", "--reruns=3", f"--cassette-update={way}", "test_flaky.py"
        )
        result.stdout.fnmatch_lines(["*1 passed, 2 rerun*"])
        assert targets(project.path / "cassettes/test_flaky/test_flaky.yaml") == ["/attempt/3"]


SHARED = """
import json

pytestmark = pytest.mark.cassette("shared")

@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_price(name):
    assert json.loads(get("/price/" + name))["price"] > 0
    assert json.loads(get("/same"))["price"] > 0
"""


@WORKERS
def test_tests_that_share_a_cassette_update_their_parts_of_it(
    project: Project, shop: Shop, workers: tuple[str, ...]
) -> None:
    project.write(SHARED, "test_shared")
    project.record("test_shared.py", passed=4)
    path = project.path / "cassettes/test_shared/shared.yaml"
    before, order = path.read_bytes(), targets(path)
    run(project, workers, "--cassette-update=all", "test_shared.py").assert_outcomes(passed=4)
    assert path.read_bytes() == before
    shop.price = 8
    some = [f"test_shared.py::test_price[{name}]" for name in "ab"]
    run(project, workers, "--cassette-update=all", *some).assert_outcomes(passed=2)
    assert targets(path) == order
    assert path.read_bytes().count(b'"price": 8') == 3
    project.server.stop()
    run(project, workers, "test_shared.py").assert_outcomes(passed=4)


def test_fixture_of_wider_scope_is_updated_too(project: Project, shop: Shop) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def token(use_cassette):
    with use_cassette("login"):
        yield get("/log-in")

def test_a(token):
    pass
""",
        "test_login",
    )
    project.record("test_login.py")
    path = project.path / "cassettes/test_login/login.yaml"
    before = path.read_bytes()
    project.run("--cassette-update=all", "test_login.py").assert_outcomes(passed=1)
    assert path.read_bytes() == before
    shop.price = 8
    project.run("--cassette-update=all", "test_login.py").assert_outcomes(passed=1)
    assert b'"price": 8' in path.read_bytes()


CI_TABLE = {
    "on the command line": (("--cassette-update=all",), "", True),
    "in addopts": ((), "addopts = --cassette-update=all", False),
    "in the ini file": ((), "cassette_update = all", False),
}


@WORKERS
@pytest.mark.parametrize(("arguments", "ini", "is_recorded"), CI_TABLE.values(), ids=list(CI_TABLE))
def test_build_server_updates_only_what_the_command_line_asks_for(
    project: Project,
    shop: Shop,
    workers: tuple[str, ...],
    arguments: tuple[str, ...],
    ini: str,
    is_recorded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project.path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    monkeypatch.setenv("CI", "true")
    run(project, workers, *arguments).assert_outcomes(passed=2)
    assert bool(shop.asked) is is_recorded
    monkeypatch.delenv("CI")
    run(project, workers, *arguments).assert_outcomes(passed=2)
    assert shop.asked


def test_wrong_value_is_reported(project: Project) -> None:
    result = project.run("--cassette-update=al")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no way to update cassettes 'al'; did you mean \"all\"?*"])


def test_record_mode_beside_it_is_refused(project: Project) -> None:
    result = project.run("--cassette-update", "--cassette-mode=once")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--cassette-update and --cassette-mode both say what is recorded*"])


def test_unplayed_interactions_do_not_keep_a_test_from_being_updated(project: Project, shop: Shop) -> None:
    project.write(TESTS.replace('"/price/"', '"/newprice/"'))
    project.run("--cassette-update", "--cassette-on-unplayed=fail").assert_outcomes(passed=2)
    assert sorted(shop.asked) == ["/newprice/a", "/newprice/b"]


def test_rewrite_keeps_volatile_values_where_it_is_told_to(project: Project, tmp_path: Path) -> None:
    before = contents(project)
    (project.path / "pytest.ini").write_text("[pytest]\ncassette_keep_volatile = true\n")
    project.run("--cassette-mode=rewrite").assert_outcomes(passed=2)
    assert contents(project) == before


@pytest.mark.parametrize(
    ("filter", "outcome"),
    [("-Wdefault", {"passed": 2, "warnings": 2}), ("-Werror::cassette_http.CassetteExpired", {"errors": 2})],
)
def test_cassettes_that_are_too_old_are_reported_until_they_are_updated(
    project: Project, filter: str, outcome: dict[str, int]
) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\ncassette_max_age = 30d\n")
    for cassette in project.path.glob("cassettes/*/*.yaml"):
        cassette.write_text(re.sub("recorded: .*", "recorded: 2020-01-01T00:00:00Z", cassette.read_text()))
    result = project.run(filter)
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(
        ["*test_price*.yaml was recorded * days ago, and max_age is 30 days; record it again with *"]
    )
    project.run("--cassette-update=all").assert_outcomes(passed=2)
    project.run(filter).assert_outcomes(passed=2)
