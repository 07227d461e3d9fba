"""`use_cassette` as a context manager and a decorator: where it is in use, and which one is."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import http.client
import urllib.error
import urllib.request
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cassette_http import client, use_cassette
from tests.asking import get, get_with_our_client, targets
from tests.peer import LIMIT_S, Peer


@pytest.mark.parametrize("ask", [get, get_with_our_client])
@pytest.mark.parametrize("mode", ["all", "none"])
def test_cassette_takes_no_memory_when_its_block_is_over(
    ask: Callable[[str], str], mode: str, counter: Peer, path: Path
) -> None:
    with use_cassette(path, "once"):
        ask(counter.url + "/a")
    gc.collect()
    gc.disable()  # large files would lie about until it runs
    try:
        with use_cassette(path, mode) as cassette:
            ask(counter.url + "/a")
        left = weakref.ref(cassette)
        del cassette
        assert left() is None
    finally:
        gc.enable()


def test_decorated_function_opens_the_cassette_at_each_call(counter: Peer, path: Path) -> None:
    @use_cassette(path)
    def ask(target: str, *, again: bool = False) -> str:
        """Ask."""
        return get(counter.url + target)

    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert [ask("/a"), ask("/a", again=True)] == ["/a 1", "/a 1"]


def test_decorated_coroutine_function_opens_the_cassette_at_each_call(counter: Peer, path: Path) -> None:
    @use_cassette(path)
    async def ask(target: str) -> str:
        return await asyncio.to_thread(get, counter.url + target)

    assert [asyncio.run(ask("/a")), asyncio.run(ask("/a"))] == ["/a 1", "/a 1"]


def test_decorated_generator_has_the_cassette_while_it_runs(counter: Peer, path: Path) -> None:
    @use_cassette(path)
    def ask(*names: str) -> Iterator[str]:
        for name in names:
            yield get(counter.url + name)

    assert [list(ask("/a", "/b")), list(ask("/a", "/b"))] == [["/a 1", "/b 2"]] * 2


def test_decorated_asynchronous_generator_has_the_cassette_while_it_runs(counter: Peer, path: Path) -> None:
    @use_cassette(path)
    async def ask(*names: str) -> AsyncIterator[str]:
        for name in names:
            yield await asyncio.to_thread(get, counter.url + name)

    async def collect() -> list[str]:
        return [one async for one in ask("/a", "/b")]

    assert [asyncio.run(collect()), asyncio.run(collect())] == [["/a 1", "/b 2"]] * 2


def test_decorated_fixture_function_ends_well_when_the_generator_is_closed(counter: Peer, path: Path) -> None:
    @use_cassette(path)
    def ask() -> Iterator[str]:
        yield get(f"{counter.url}/a")
        raise AssertionError("the generator is closed before")

    generator = ask()
    assert next(generator) == "/a 1"
    generator.close()  # type: ignore[attr-defined]  # it is a generator
    assert get(f"{counter.url}/a") == "/a 2"


def test_asynchronous_with_works_too(counter: Peer, path: Path) -> None:
    async def ask() -> str:
        async with use_cassette(path):
            return await asyncio.to_thread(get, f"{counter.url}/a")

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["/a 1", "/a 1"]


def test_response_that_ends_nowhere_says_so_to_who_waits_for_more(path: Path) -> None:
    written = "cassette: 1\n---\nrequest: GET http://api.test/\nresponse: 200 OK\nresponse body: hello\n"
    path.parent.mkdir()
    path.write_text(f"{written}---\n")
    with (
        use_cassette(path, "none"),
        urllib.request.urlopen("http://api.test/", timeout=5) as answer,
        pytest.raises(TimeoutError) as caught,
    ):
        answer.read()
    assert "wire: {ends: true}" in caught.value.__notes__[0]
    path.write_text(f"{written}wire: {{ends: true}}\n---\n")
    with use_cassette(path, "none"), urllib.request.urlopen("http://api.test/", timeout=5) as answer:
        assert answer.read() == b"hello"


def test_request_line_may_be_longer_than_what_servers_like(counter: Peer, path: Path) -> None:
    url = f"{counter.url}/{'a' * 200_000}"
    for _ in range(2):
        with use_cassette(path):
            assert get(url).endswith("a 1")


def test_one_object_can_be_used_again(counter: Peer, path: Path) -> None:
    using = use_cassette(path)
    for _ in range(2):
        with using:
            assert get(f"{counter.url}/a") == "/a 1"


def test_inner_cassette_takes_over_and_gives_back(counter: Peer, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "outer.yaml") as outer:
        get(f"{counter.url}/1")
        with use_cassette(tmp_path / "inner.yaml") as inner:
            get(f"{counter.url}/2")
        get(f"{counter.url}/3")
    assert (targets(outer), targets(inner)) == (["/1", "/3"], ["/2"])


def test_after_the_block_requests_are_live_again(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a")
    with use_cassette(path):
        assert get(f"{counter.url}/a") == "/a 1"
    assert get(f"{counter.url}/a") == "/a 2"
    assert get_with_our_client(f"{counter.url}/a") == "/a 3"


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_threads_started_in_the_block_use_the_cassette(ask: Callable[[str], str], counter: Peer, path: Path) -> None:
    urls = [f"{counter.url}/{number}" for number in range(20)]
    with use_cassette(path), ThreadPoolExecutor(8) as pool:
        live = list(pool.map(ask, urls))
    counter.stop()
    with use_cassette(path, "none") as cassette, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, urls)) == live
    assert cassette.unplayed == []


def test_tasks_of_one_loop_each_have_their_own_cassette(counter: Peer, tmp_path: Path) -> None:
    async def ask(name: str, meet: asyncio.Barrier) -> list[str]:
        with use_cassette(tmp_path / f"{name}.yaml") as cassette:
            await meet.wait()  # both cassettes are open now
            await asyncio.to_thread(get, f"{counter.url}/{name}")
            await meet.wait()
            return targets(cassette)

    async def both() -> tuple[list[str], list[str]]:
        meet = asyncio.Barrier(2)
        return await asyncio.gather(ask("a", meet), ask("b", meet))

    assert list(asyncio.run(both())) == [["/a"], ["/b"]]


def test_context_that_was_copied_in_a_block_knows_nothing_of_it_afterwards(counter: Peer, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "left.yaml"):
        context = contextvars.copy_context()  # as the event loop of a test runner keeps it
    with use_cassette(tmp_path / "now.yaml") as cassette:
        context.run(get, f"{counter.url}/a")
    assert targets(cassette) == ["/a"]
    assert context.run(get, f"{counter.url}/b") == "/b 2"


def test_cassette_for_everywhere_takes_over_from_open_blocks_in_all_contexts(counter: Peer, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "outer.yaml") as outer:
        context = contextvars.copy_context()
        with use_cassette(tmp_path / "test.yaml", everywhere=True) as inner:
            context.run(get, f"{counter.url}/1")
            with use_cassette(tmp_path / "innermost.yaml") as innermost:
                get(f"{counter.url}/2")
                context.run(get, f"{counter.url}/3")
            get(f"{counter.url}/4")
        context.run(get, f"{counter.url}/5")
        get(f"{counter.url}/6")
    assert [targets(each) for each in (outer, inner, innermost)] == [["/5", "/6"], ["/1", "/4"], ["/2", "/3"]]


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_paused_cassette_leaves_the_field_to_the_one_around_it(
    ask: Callable[[str], str], counter: Peer, tmp_path: Path
) -> None:
    inside = use_cassette(tmp_path / "inner.yaml")
    with use_cassette(tmp_path / "outer.yaml") as outer, inside as inner:
        ask(f"{counter.url}/1")
        with inside.paused():
            ask(f"{counter.url}/2")
        ask(f"{counter.url}/3")
    assert (targets(outer), targets(inner)) == (["/2"], ["/1", "/3"])


def test_block_that_began_while_another_was_paused_lies_below_it(counter: Peer, tmp_path: Path) -> None:
    late = use_cassette(tmp_path / "late.yaml")
    early = use_cassette(tmp_path / "early.yaml", everywhere=True)
    first = early.__enter__()
    with early.paused():
        second = late.__enter__()
        get(f"{counter.url}/1")
    get(f"{counter.url}/2")
    early.__exit__(None, None, None)
    get(f"{counter.url}/3")
    late.__exit__(None, None, None)
    assert (targets(first), targets(second)) == (["/2"], ["/1", "/3"])
    assert get(f"{counter.url}/4") == "/4 4"
    assert targets(second) == ["/1", "/3"]


@pytest.mark.parametrize("module", [client, http.client], ids=["our client", "http.client"])
def test_port_may_be_text(module: Any, counter: Peer, path: Path) -> None:
    def ask(port: Any) -> bytes:
        connection = module.HTTPConnection("localhost", port, timeout=LIMIT_S)
        connection.request("GET", "/")
        content: bytes = connection.getresponse().read()
        connection.close()
        return content

    with use_cassette(path):
        recorded = ask(str(counter.port))
    with use_cassette(path, "none"):
        assert ask(counter.port) == recorded


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_live_connections_are_counted(ask: Callable[[str], str], counter: Peer, path: Path) -> None:
    with use_cassette(path) as cassette:
        for number in range(3):
            ask(f"{counter.url}/{number}")
        assert cassette.connects == counter.connections == 3
    with use_cassette(path) as cassette:
        ask(f"{counter.url}/0")
        assert (cassette.connects, cassette.play_count, cassette.unplayed_count) == (0, 1, 2)
