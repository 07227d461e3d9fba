"""Coroutine tests, as pytest-asyncio, anyio and pytest-trio run them: each request is in the cassette of its test."""

from __future__ import annotations

import json

import pytest

from tests.plugin.project import Project
from tests.plugin.test_layers import contents
from tests.plugin.test_summary import summary

CLIENT = """
import httpx

async def ask(path):
    async with httpx.AsyncClient(base_url=BASE) as client:
        answer = await client.get(path)
    assert answer.text == f"answer to {path}"
    return answer.text
"""

ASYNCIO = """
import asyncio

import pytest_asyncio

pytestmark = [pytest.mark.cassette, pytest.mark.asyncio(loop_scope="module")]

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def token(use_cassette):
    async with use_cassette("login"):
        yield await ask("/log-in")
        await ask("/log-out")

@pytest_asyncio.fixture(loop_scope="module")
async def user(token):
    yield await ask("/user")
    await ask("/user-gone")

@pytest.mark.parametrize("name", ["a", "b"])
async def test_one(user, name):
    await asyncio.gather(ask(f"/{name}"), asyncio.create_task(ask(f"/{name}-too")))

async def test_two(cassette):
    await ask("/c")
    assert len(cassette) == 1

@pytest.mark.asyncio
async def test_loop_of_its_own():
    await ask("/d")
"""

ANYIO = """
pytestmark = [pytest.mark.cassette, pytest.mark.anyio]

@pytest.fixture(scope="module")
async def token(use_cassette):
    async with use_cassette("login", mode="all"):
        yield await ask("/log-in")

@pytest.fixture
async def user():
    return await ask("/user")

async def test_one(user, anyio_backend_name):
    await ask("/a")

async def test_two():
    await ask("/b")
"""

TRIO = """
import trio

@pytest.fixture
async def user():
    yield await ask("/user")
    await ask("/user-gone")

@pytest.mark.trio
@pytest.mark.cassette
async def test_one(user):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "/a")

@pytest.mark.trio
@pytest.mark.cassette
async def test_two():
    await ask("/b")
"""

KINDS = {
    "pytest-asyncio": (
        "pytest_asyncio",
        "pytest_asyncio.plugin",
        ASYNCIO,
        {
            "login": ["/log-in", "/log-out"],
            "test_one[a]": ["/user", "/a", "/a-too", "/user-gone"],
            "test_one[b]": ["/user", "/b", "/b-too", "/user-gone"],
            "test_two": ["/c"],
            "test_loop_of_its_own": ["/d"],
        },
    ),
    "anyio": (
        "anyio",
        "anyio",
        ANYIO,
        {
            **{f"test_one[{backend}]": ["/user", "/a"] for backend in ("asyncio", "trio")},
            **{f"test_two[{backend}]": ["/b"] for backend in ("asyncio", "trio")},
        },
    ),
    "pytest-trio": (
        "pytest_trio",
        "pytest_trio.plugin",
        TRIO,
        {"test_one": ["/user", "/a", "/user-gone"], "test_two": ["/b"]},
    ),
}


@pytest.mark.parametrize(("module", "plugin", "source", "recorded"), KINDS.values(), ids=list(KINDS))
def test_coroutine_tests_are_recorded_and_replayed(
    project: Project, module: str, plugin: str, source: str, recorded: dict[str, list[str]]
) -> None:
    pytest.importorskip(module)
    pytest.importorskip("httpx")
    if module == "anyio":
        pytest.importorskip("trio")
    project.write(CLIENT + source)
    tests = len([name for name in recorded if name.startswith("test_")])
    result = project.run_alone("-p", plugin, "--cassette-mode=once")
    result.assert_outcomes(passed=tests)
    found = {name.removeprefix("test_api/").removesuffix(".yaml"): each for name, each in contents(project).items()}
    assert {name: sorted(each) for name, each in found.items()} == {
        name: sorted(each) for name, each in recorded.items()
    }
    project.server.stop()
    result = project.run_alone("-p", plugin)
    result.assert_outcomes(passed=tests)
    assert summary(result) == []


def test_refusal_in_a_task_that_nobody_waits_for_fails_the_test(project: Project) -> None:
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("httpx")
    project.write(
        CLIENT
        + """
import asyncio

@pytest.mark.asyncio
@pytest.mark.cassette
async def test_a():
    task = asyncio.create_task(ask("/a"))
    await asyncio.wait([task])
    task.exception()
"""
    )
    result = project.run_alone("-p", "pytest_asyncio.plugin")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["no match: GET /a: there is no cassette yet", "  at       test_api.py:*"])
    assert project.server.connections == 0


def test_test_that_is_repeated_has_one_cassette(project: Project) -> None:
    pytest.importorskip("pytest_repeat")
    project.write(
        """
@pytest.mark.cassette
def test_a():
    get("/a")

@pytest.mark.parametrize("name", ["1-2", "x"])
@pytest.mark.vcr
def test_b(name):
    get("/b")
"""
    )
    often = ["-p", "pytest_repeat", "--count=2", "--cassette-report=term"]
    project.run_alone(*often, "--cassette-mode=once").assert_outcomes(passed=6)
    assert contents(project) == {
        "test_api/test_a.yaml": ["/a"],
        "test_api/test_b[1-2].yaml": ["/b"],
        "test_api/test_b[x].yaml": ["/b"],
    }
    project.server.stop()
    for arguments, count in ((often, 6), (["--cassette-report=term"], 3)):
        result = project.run_alone(*arguments)
        result.assert_outcomes(passed=count)
        assert summary(result) == [
            f"3 cassettes, {count} interactions played, 0 unplayed, 0 recorded, 0 misses, 0 live connections"
        ]


def test_each_repetition_of_a_test_has_its_part_in_the_reports(project: Project) -> None:
    pytest.importorskip("pytest_repeat")
    project.write(
        """
runs = []

@pytest.mark.cassette
def test_a():
    runs.append(1)
    get("/a")
    assert len(runs) == 2
"""
    )
    arguments = ["-p", "pytest_repeat", "--count=3", "--cassette-mode=once", "--cassette-report=json:out.json"]
    project.run_alone(*arguments).assert_outcomes(passed=1, failed=2)
    uses = json.loads((project.path / "out.json").read_text())["uses"]
    assert [use["is_well"] for use in uses] == [False, True, False]
    assert ["GET" in (use["transcript"] or "") for use in uses] == [True, False, True]


def test_test_that_is_run_again_has_its_cassette_anew(project: Project) -> None:
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        """
runs = []

@pytest.mark.cassette
def test_a():
    runs.append(1)
    get("/a")
    assert len(runs) > 2
"""
    )
    again = ["-p", "pytest_rerunfailures", "--reruns=3"]
    project.run_alone(*again, "--cassette-mode=once").assert_outcomes(passed=1)
    assert contents(project) == {"test_api/test_a.yaml": ["/a"]}
    project.server.stop()
    result = project.run_alone(*again, "--cassette-report=term")
    result.assert_outcomes(passed=1)
    assert summary(result) == ["1 cassette, 1 interaction played, 0 unplayed, 0 recorded, 0 misses, 0 live connections"]
