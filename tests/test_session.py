"""`use_cassette`: what it opens, what each record mode does, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cassette_http import (
    Cassette,
    CassetteError,
    CassetteFormatError,
    CassetteNotFound,
    CassetteNotWritable,
    CassetteWarning,
    InvalidOption,
    RecordMode,
    UnmatchedRequest,
    client,
    use_cassette,
)
from tests.asking import get, get_or_none, get_with_our_client
from tests.behaviours import with_causes
from tests.peer import LIMIT_S, Connection, Peer, keep_alive, response


def targets(cassette: Cassette) -> list[str]:
    return [one.request.head.target for one in cassette.interactions if one.request is not None]


@pytest.fixture
def counter(peer: Callable[..., Peer]) -> Peer:
    """Answers each request with its path and a number that never comes again."""
    numbers = iter(range(1, 1000))
    return peer(keep_alive(lambda request: response(b"%s %d" % (request.split(b" ")[1], next(numbers)))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "users.yaml"


# ---------------------------------------------------------------------- record modes

PLAYED, RECORDED, REFUSED = "played", "recorded", "refused"

#                       the file has /old: asked /old, asked /new    no file: asked /new   in the file afterwards
MODE_TABLE = [
    (RecordMode.NONE,         PLAYED,   REFUSED,                       CassetteNotFound,     ["/old"]),
    (RecordMode.ONCE,         PLAYED,   REFUSED,                       RECORDED,             ["/old"]),
    (RecordMode.NEW_EPISODES, PLAYED,   RECORDED,                      RECORDED,             ["/old", "/new"]),
    (RecordMode.ALL,          RECORDED, RECORDED,                      RECORDED,             ["/old", "/old", "/new"]),
    (RecordMode.REWRITE,      RECORDED, RECORDED,                      RECORDED,             ["/old", "/new"]),
]  # fmt: skip


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
@pytest.mark.parametrize(("mode", "old", "new", "_missing", "kept"), MODE_TABLE)
def test_mode_decides_about_a_file_that_has_interactions(
    mode: RecordMode,
    old: str,
    new: str,
    _missing: object,
    kept: list[str],
    ask: Callable[[str], str],
    counter: Peer,
    path: Path,
) -> None:
    with use_cassette(path):
        assert ask(f"{counter.url}/old") == "/old 1"
    with use_cassette(path, mode) as cassette:
        assert ask(f"{counter.url}/old") == {PLAYED: "/old 1", RECORDED: "/old 2"}[old]
        if new == REFUSED:
            with pytest.raises(OSError, match=r"no interaction for GET .*/new"):
                ask(f"{counter.url}/new")
            assert [miss.request.url for miss in cassette.misses] == [f"{counter.url}/new"]
            cassette.misses.clear()
        else:
            ask(f"{counter.url}/new")
    with use_cassette(path, "none") as cassette:
        assert targets(cassette) == kept


@pytest.mark.parametrize(("mode", "_old", "_new", "missing", "_kept"), MODE_TABLE)
def test_mode_decides_about_a_missing_file(
    mode: RecordMode, _old: str, _new: str, missing: object, _kept: object, counter: Peer, path: Path
) -> None:
    if missing is CassetteNotFound:
        with pytest.raises(CassetteNotFound, match='to record it, run once with record_mode="once"'):
            use_cassette(path, mode).__enter__()
        assert not path.parent.exists()
        return
    with use_cassette(path, mode):
        assert get(f"{counter.url}/new") == "/new 1"
    with use_cassette(path, "none"):
        assert get(f"{counter.url}/new") == "/new 1"


def test_file_with_nothing_but_tls_facts_is_recorded_once(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"recorded")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("cassette: 1\n---\ntls: https://api.test\nversion: TLSv1.3\n---\n")
    with use_cassette(path, "once") as cassette:
        assert get(server.url) == "recorded"
    assert len(cassette.recorded) == 1


@pytest.mark.parametrize(("environment", "is_recorded"), [("true", False), ("1", False), ("false", True), ("", True)])
def test_ci_server_records_nothing_that_was_not_asked_for(
    environment: str, is_recorded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", environment)
    path = tmp_path / "users.yaml"
    if is_recorded:
        with use_cassette(path):
            pass
        assert path.exists()
    else:
        with pytest.raises(CassetteNotFound, match="record_mode"), use_cassette(path):
            pass
    with use_cassette(path, "once"):
        pass
    assert path.exists()


FIRST_REQUEST = """
import sys
import urllib.request
from cassette_http import use_cassette

with use_cassette(sys.argv[1], record_mode=sys.argv[2]):
    known = set(sys.modules)
    urllib.request.urlopen(sys.argv[3]).read()
    sys.exit(", ".join(name for name in set(sys.modules) - known if name.startswith("cassette_http")))
"""


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_first_answer_that_is_recorded_waits_for_no_import(mode: str, counter: Peer, path: Path) -> None:
    program = [sys.executable, "-c", FIRST_REQUEST, str(path), mode, counter.url]
    told = subprocess.run(program, check=False, timeout=LIMIT_S, capture_output=True, text=True)
    assert told.stderr.strip() == ""


def test_block_without_traffic_can_be_replayed_too(path: Path) -> None:
    with use_cassette(path):
        pass
    with use_cassette(path, "none") as cassette:
        assert len(cassette) == 0


def test_block_without_traffic_makes_no_file_where_it_may_be_missing(path: Path) -> None:
    with use_cassette(path, allow_missing=True):
        pass
    assert not path.exists()


def test_exception_keeps_the_old_cassette_when_it_is_rewritten(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/old")
    old = path.read_bytes()
    with pytest.raises(ZeroDivisionError), use_cassette(path, "rewrite"):
        print(get(f"{counter.url}/new"), 1 / 0)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_missing_file_may_be_taken_for_an_empty_one(path: Path) -> None:
    with use_cassette(path, "none", allow_missing=True) as cassette:
        assert len(cassette) == 0


@pytest.mark.parametrize(
    ("repeat", "seen"),
    [
        ("last", ["/a 1", "/a 2", "/a 2"]),
        ("cycle", ["/a 1", "/a 2", "/a 1"]),
        ("first", ["/a 1", "/a 1", "/a 1"]),
    ],
)
def test_played_interactions_repeat_as_they_are_told(repeat: str, seen: list[str], counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a")
        get(f"{counter.url}/a")
    with use_cassette(path, repeat=repeat):
        assert [get(f"{counter.url}/a") for _ in range(3)] == seen


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_cassette_tells_what_was_played_recorded_and_left(ask: Callable[[str], str], counter: Peer, path: Path) -> None:
    with use_cassette(path) as cassette:
        ask(f"{counter.url}/a")
        ask(f"{counter.url}/b")
        assert len(cassette.recorded) == 2
    with use_cassette(path, "new_episodes") as cassette:
        ask(f"{counter.url}/b")
        ask(f"{counter.url}/c")
        assert cassette.play_count == 1
        assert [one.request.head.target for one in cassette.played if one.request] == ["/b"]
        assert [one.request.head.target for one in cassette.unplayed if one.request] == ["/a"]
        assert targets(cassette) == ["/a", "/b", "/c"]
        assert [(one.outcome, one.number) for one in cassette.history] == [("played", 2), ("recorded", None)]
        assert [one.interaction for one in cassette.history] == cassette.played + cassette.recorded
        assert (len(cassette), cassette.path, cassette.record_mode) == (3, path, RecordMode.NEW_EPISODES)
        assert repr(cassette).endswith("new_episodes: 2 loaded, 1 played, 1 recorded, 0 missed>")


# ---------------------------------------------------------------------- context manager and decorator


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


# ---------------------------------------------------------------------- misses


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_played_failure_has_a_note_that_says_so(ask: Callable[[str], str], path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but not listening: a connect is refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        errors = []
        for mode in ("once", "none"):
            with use_cassette(path, mode), pytest.raises(OSError, match="Connection refused") as raised:
                ask(url)
            errors.append(with_causes(raised.value)[-1])
    live, played = errors
    assert not hasattr(live, "__notes__")
    assert (type(played), played.args) == (type(live), live.args)
    assert "played from the cassette" in "\n".join(played.__notes__)


def test_unmatched_request_says_what_is_nearest_and_what_to_do(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/users/1")
    with use_cassette(path, "none") as cassette:
        with pytest.raises(UnmatchedRequest) as refused:
            get_with_our_client(f"{counter.url}/users/2")
        cassette.misses.clear()
    text = str(refused.value)
    assert text.startswith(f"{path} has no interaction for GET {counter.url}/users/2; nearest is interaction 1")
    assert "path: recorded '/users/1' != sent '/users/2'" in text
    assert 'run with record_mode="new_episodes"' in text


def test_miss_is_told_as_values(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a?page=1&ts=1")
    with use_cassette(path, "none", ignore=["query:ts"]) as cassette:
        get_or_none(f"{counter.url}/a?page=2&ts=2")
        assert get(f"{counter.url}/a?page=1&ts=3") == "/a?page=1&ts=1 1"
        [miss] = cassette.misses
        cassette.misses.clear()
    assert miss.request.url == f"{counter.url}/a?page=2&ts=2"
    assert miss.reason == "GET /a?page=2&ts=2: query page=1 != page=2"
    [difference] = miss.differences
    assert difference[:5] == ("query", "", "page=1", "page=2", "query:page")
    assert [(each.number, each.was_played) for each in miss.nearest] == [(1, False)]


def test_miss_in_a_large_cassette_finds_the_nearest_without_parsing_it_all(path: Path) -> None:
    path.parent.mkdir()
    documents = [f"request: GET http://api.test/users/{n}/posts\nresponse: 200 OK\n---\n" for n in range(2000)]
    documents[1500] = "request: GET http://api.test/users/1500/comments?page=1\nresponse: 200 OK\n---\n"
    path.write_text("cassette: 1\n---\n" + "".join(documents))
    with use_cassette(path, "none") as cassette:
        get_or_none("http://api.test/users/1500/comments?page=2")
        [miss] = cassette.misses
        cassette.misses.clear()
    assert miss.reason == "GET /users/1500/comments?page=2: query page=1 != page=2"


def test_library_in_between_keeps_the_text_of_a_refusal(path: Path) -> None:
    with use_cassette(path, "none", allow_missing=True) as cassette:
        with pytest.raises(urllib.error.URLError, match=r"to answer GET http://api\.test/users"):
            get("http://api.test/users")
        cassette.misses.clear()


def swallow(*urls: str) -> None:
    """Ask from this very file, whose line is then told."""
    for url in urls:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=LIMIT_S)


def test_swallowed_refusal_is_raised_when_the_block_ends(counter: Peer, path: Path) -> None:
    using = use_cassette(path, "none", allow_missing=True)
    with pytest.raises(UnmatchedRequest, match=r"no cassette .* to answer GET .*/a") as refused, using as cassette:
        swallow(f"{counter.url}/a")
    [miss] = cassette.misses
    assert miss.where.startswith(f"{__file__}:")
    assert f"(refused at {miss.where}, where the error was swallowed)\n" in str(refused.value)
    assert "cassette.misses.clear()" in str(refused.value)
    assert counter.connections == 0


@pytest.mark.parametrize(("count", "told"), [(2, "1 more request was refused"), (4, "3 more requests were refused")])
def test_first_of_several_refusals_tells_of_the_others(counter: Peer, path: Path, count: int, told: str) -> None:
    using = use_cassette(path, "none", allow_missing=True)
    with pytest.raises(UnmatchedRequest, match=f"swallowed; {told}"), using:
        swallow(*[f"{counter.url}/{number}" for number in range(count)])


def test_nothing_to_replay_is_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(CassetteNotFound, match="is an empty file, with nothing to replay; to record it"):
        use_cassette(path, "none").__enter__()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CassetteNotFound, match=rf"no cassette 'a.yaml' to replay \(in the folder {tmp_path}\); to"):
        use_cassette("a.yaml", "none").__enter__()
    (tmp_path / "users.yaml").touch()
    with pytest.raises(CassetteNotFound, match=r"record_mode=\"once\"; did you mean \"users.yaml\"\?"):
        use_cassette("user.yaml", "none").__enter__()


def test_exception_of_the_block_is_not_replaced_by_a_refusal(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), use_cassette(path, "none", allow_missing=True):
        print(get_or_none("http://api.test/"), 1 / 0)


def test_refusal_in_a_thread_is_raised_when_the_block_ends(path: Path) -> None:
    using = use_cassette(path, "none", allow_missing=True)
    with pytest.raises(UnmatchedRequest), using, ThreadPoolExecutor(1) as pool:
        pool.submit(get_or_none, "http://api.test/").result(LIMIT_S)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record_mode": "onse"}, "there is no record mode 'onse'; did you mean \"once\""),
        ({"record_mode": 7}, "there is no record mode 7"),
        ({"match": ["hots"]}, "there is no matcher 'hots'; did you mean \"host\""),
        ({"match": "hots"}, "there is no matcher 'hots'; did you mean \"host\""),
        ({"match": [7]}, "a matcher is a name or a function, not 7"),
        ({"redact": "$.user["}, "a path into JSON looks like"),
        ({"keep": "jvt"}, "there is no rule 'jvt' to turn off; did you mean \"jwt\""),
        ({"secrets": {"pin": 1234}}, "the secret 'pin' is a text or octets, not a value of type int"),
        ({"secrets": {"token": None}}, "the secret 'token' is a text or octets, not None; where it is not known, give"),
        ({"secrets": {"a}}b": "hush"}}, "the name of a secret is a short word"),
    ],
    ids=str,
)
def test_wrong_option_is_reported_where_it_was_written(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as wrong:
        use_cassette("users.yaml", **options)  # type: ignore[arg-type]  # that is what is tested
    assert isinstance(wrong.value, ValueError)


@pytest.mark.parametrize("path", [len, None, b"users.yaml", ""], ids=repr)
def test_what_is_no_path_is_reported(path: object) -> None:
    with pytest.raises(InvalidOption, match="use_cassette takes the path of a cassette, as in"):
        use_cassette(path)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize(
    ("option", "message"),
    [
        pytest.param({"secrets": ["hunter-2-hunter"]}, r"secrets= takes names and values, as in", id="secrets"),
        pytest.param(
            {"blob_threshold": "1k"}, "blob_threshold= takes a number of octets, not '1k'", id="blob_threshold"
        ),
    ],
)
def test_option_of_a_wrong_type_is_reported(path: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as wrong:
        use_cassette(path, **option)
    assert "hunter" not in str(wrong.value)


def test_wrong_repeat_policy_is_reported(path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"there is no repeat policy 'often' \(the policies are: fail"):
        use_cassette(path, repeat="often").__enter__()
    assert get_is_plain()


def get_is_plain() -> bool:
    """Nothing is intercepted any more."""
    return socket.getaddrinfo.__module__ == "socket"


BROKEN_FILES = [
    pytest.param(b"users: [1, 2]\n", r"users.yaml, line 1: .*", id="foreign YAML"),
    pytest.param(b"{}", r"users.yaml, line 1: ", id="JSON"),
    pytest.param(b"cassette: 9\n---\n", r"line 1: 'cassette' is '9', but .* reads format 1 only", id="from the future"),
    pytest.param(b"interactions:\n- request: {}\nversion: 1\n", "line 2: interaction 1 of VCR.py: ", id="of VCR.py"),
    pytest.param(b"<html>\n</html>\n", "this is an HTML or XML file, no cassette", id="HTML"),
    pytest.param(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n",
        "git lfs pull",
        id="pointer of Git LFS",
    ),
    pytest.param(b"\x89PNG\r\n\x1a\n\0\0", r"users\.yaml", id="a picture"),
    pytest.param(b"cassette: 1\n---\n<<<<<<< HEAD\n", "line 3: a merge conflict is not resolved here", id="conflict"),
    pytest.param(b"cassette: 1\nauthor: me\n---\n", r"users\.yaml, line 2: 'author' is no key", id="unknown key"),
]


@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all"])
@pytest.mark.parametrize(("octets", "message"), BROKEN_FILES)
def test_file_that_is_no_cassette_is_refused_and_not_touched(
    octets: bytes, message: str, mode: str, path: Path
) -> None:
    path.parent.mkdir()
    path.write_bytes(octets)
    with pytest.raises(CassetteFormatError, match=message) as broken:
        use_cassette(path, mode).__enter__()
    assert broken.value.path == str(path)
    assert path.read_bytes() == octets
    assert get_is_plain()


def test_broken_interaction_is_reported_with_its_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("cassette: 1\n---\nrequest: GET http://api.test/a\nresponse: two hundred\n---\n")
    expected = r"users\.yaml, line 4: 'response' must be a status"
    with pytest.raises(CassetteFormatError, match=expected), use_cassette(path, "none"):
        get("http://api.test/a")


def an_interaction(url: str, body: str) -> str:
    return f"""\
request: GET {url}
response: 200 OK
response headers: |
  Connection: close
response body: |-
  {body}
wire: {{ends: true}}
"""


def many_interactions(*others: str) -> str:
    """A cassette of 200 answers, with other documents behind the 150th."""
    answers = [an_interaction(f"http://api.test/{n}", f"answer {n}") for n in range(200)]
    return "---\n".join(["cassette: 1\n", *answers[:150], *others, *answers[150:], ""])


def test_a_large_cassette_is_read_as_far_as_it_is_played(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(many_interactions("request : broken\n"))
    with use_cassette(path, "none"):
        assert [get(f"http://api.test/{n}") for n in range(60)] == [f"answer {n}" for n in range(60)]
    expected = rf"users\.yaml, line {3 + 150 * 8}: "
    with pytest.raises(CassetteFormatError, match=expected), use_cassette(path, "none"):
        get("http://api.test/199")
    with use_cassette(path, "none") as cassette:
        for _ in range(2):
            with pytest.raises(CassetteFormatError, match=expected):
                len(cassette)


def test_requests_to_a_large_cassette_may_come_in_any_order(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(many_interactions())
    order = [199, 3, 100, 64, 0, 63, 198]
    with use_cassette(path, "none") as cassette:
        assert [get(f"http://api.test/{n}") for n in order] == [f"answer {n}" for n in order]
    assert cassette.played_numbers == sorted(n + 1 for n in order)
    assert (len(cassette), cassette.unplayed_count) == (200, 193)


def test_a_connection_that_failed_late_in_a_large_cassette_fails(path: Path) -> None:
    path.parent.mkdir()
    failure = "{kind: connect failed, errno: ECONNREFUSED, text: Connection refused}"
    path.write_text(many_interactions(f"failed: http://down.test\nfailure: {failure}\n"))
    for ask in (get, get_with_our_client):
        with use_cassette(path, "none"):
            assert ask("http://api.test/0") == "answer 0"
            with pytest.raises(OSError, match="refused"):
                ask("http://down.test/")


def test_tls_facts_that_lie_late_in_a_large_cassette_are_told(path: Path) -> None:
    recorded = [("one", 1), ("two", 2), ("one", 3)]
    documents = [
        document
        for host, number in recorded
        for document in (
            f"tls: https://{host}.test\nversion: TLSv1.{number}\n",
            an_interaction(f"https://{host}.test/{number}", "secure"),
        )
    ]
    path.parent.mkdir()
    path.write_text(many_interactions(*documents))
    with use_cassette(path, "none"):
        for host, number in recorded:
            connection = client.HTTPSConnection(f"{host}.test", timeout=LIMIT_S)
            connection.connect()
            assert connection.sock.version() == f"TLSv1.{number}"
            connection.request("GET", f"/{number}")
            assert connection.getresponse().read() == b"secure"


def test_folder_in_the_place_of_the_file_is_reported(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(CassetteError, match="is a folder; name a file in it"):
        use_cassette(path).__enter__()


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_unwritable_folder_is_reported_at_the_end_and_disturbs_nobody(mode: str, counter: Peer, tmp_path: Path) -> None:
    (tmp_path / "cassettes").write_text("a file in the place of the folder")
    seen = []
    using = use_cassette(tmp_path / "cassettes" / "users.yaml", mode)
    with pytest.raises(CassetteNotWritable, match=r"cannot be written: (Not a directory|File exists)"), using:
        seen += [get(f"{counter.url}/a"), get_with_our_client(f"{counter.url}/b")]
    assert seen == ["/a 1", "/b 2"]


# ---------------------------------------------------------------------- killed

KILLED = """
import sys, urllib.request
from cassette_http import use_cassette

path, url, mode = sys.argv[1:]
with use_cassette(path, mode):
    for number in range(1000):
        with urllib.request.urlopen(f"{url}/{number}", timeout=60) as answer:
            answer.read()
"""


# A busy machine takes its time to start a process and to import what it needs.
START_LIMIT_S = 60.0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
@pytest.mark.parametrize("answered", [1, 7])
def test_killed_process_leaves_what_it_had_read(answered: int, peer: Callable[..., Peer], path: Path) -> None:
    is_waiting = threading.Event()

    def script(connection: Connection) -> None:
        number = int(connection.read_request().split(b" ")[1][1:])
        if number == answered:
            is_waiting.set()
            connection.wait_closed()
        else:
            connection.send(response(b"answer %d" % number))

    server = peer(script)
    command = [sys.executable, "-c", KILLED, str(path), server.url, "once"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        assert is_waiting.wait(START_LIMIT_S)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(LIMIT_S)
    server.stop()
    with use_cassette(path, "none") as cassette:
        assert [get(f"{server.url}/{number}") for number in range(answered)] == [
            f"answer {number}" for number in range(answered)
        ]
        assert len(cassette) == answered
        with pytest.raises(OSError, match="no interaction"):
            get(f"{server.url}/{answered}")
        cassette.misses.clear()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_process_killed_while_it_rewrites_keeps_the_old_cassette(peer: Callable[..., Peer], path: Path) -> None:
    is_waiting = threading.Event()

    def script(connection: Connection) -> None:
        number = int(connection.read_request().split(b" ")[1][1:])
        if number == 3:
            is_waiting.set()
            connection.wait_closed()
        else:
            connection.send(response(b"answer %d" % number))

    server = peer(script)
    with use_cassette(path):
        get(f"{server.url}/0")
    old = path.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), server.url, "rewrite"], cwd=Path(__file__).parents[1]
    )
    try:
        assert is_waiting.wait(START_LIMIT_S)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(LIMIT_S)
    assert path.read_bytes() == old


def test_torn_document_is_left_out_with_a_warning_and_removed_by_the_next_recording(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a")
        get(f"{counter.url}/b")
    path.write_bytes(path.read_bytes()[:-30])
    using = use_cassette(path, "new_episodes")
    with pytest.warns(CassetteWarning, match="the last document has no closing line"):
        cassette = using.__enter__()
    assert targets(cassette) == ["/a"]
    get(f"{counter.url}/c")
    using.__exit__(None, None, None)
    with use_cassette(path, "none") as cassette:
        assert targets(cassette) == ["/a", "/c"]


# ---------------------------------------------------------------------- secrets


def test_secret_that_is_recognised_late_is_taken_out_of_what_was_written_before(
    peer: Callable[..., Peer], path: Path
) -> None:
    secret = "kR8vQ2mZx7LpT4wN"
    server = peer(keep_alive(lambda request: response(b"your reference: " + secret.encode())))
    with use_cassette(path, "once"):
        get(f"{server.url}/reference")
        assert secret in path.read_text()
        urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/me", headers={"Authorization": f"Bearer {secret}"})
        ).close()
    assert secret not in path.read_text()
    assert "your reference: {{secret:1}}" in path.read_text()
    server.stop()
    with use_cassette(path, "none"):
        assert get(f"{server.url}/reference") == "your reference: {{secret:1}}"


@pytest.mark.parametrize("key", ["kQ9w3Vx7-another-one-0123456789", "test", "", "XXXXXXXXXXXXXXXXXXXX", "a%20b"])
@pytest.mark.parametrize("ask", [get, get_with_our_client])
def test_key_that_was_a_secret_may_be_any_when_it_is_played(
    ask: Callable[[str], str], key: str, counter: Peer, path: Path
) -> None:
    with use_cassette(path, "once"):
        ask(f"{counter.url}/maps?key=kR8vQ2mZx7LpT4wN3y&q=a&state=Zb7Qw2Lk9Vx4Rt6P")
        ask(f"{counter.url}/maps?key=users&q=a")
    assert "kR8vQ2mZx7LpT4wN3y" not in path.read_text()
    with use_cassette(path, "none"):
        assert ask(f"{counter.url}/maps?key={key}&q=a&state=x").endswith(" 1")
        assert ask(f"{counter.url}/maps?key=users&q=a").endswith(" 2")
    reason = "nearest is interaction 1, query: recorded q=a != sent q=b"
    with pytest.raises(UnmatchedRequest, match=reason), use_cassette(path, "none"), contextlib.suppress(OSError):
        ask(f"{counter.url}/maps?key={key}&q=b&state=x")
    with use_cassette(path, "new_episodes"):
        assert ask(f"{counter.url}/maps?key=orders&q=a&state=x").endswith(" 3")


def test_declared_secret_is_restored_in_replay(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"you are " + request.split(b" ")[1][1:])))
    with use_cassette(path, "once", secrets={"who": "the-very-same-person"}):
        assert get(f"{server.url}/the-very-same-person") == "you are the-very-same-person"
    assert "the-very-same-person" not in path.read_text()
    server.stop()
    with use_cassette(path, "none", secrets={"who": "another-person-altogether"}):
        assert get(f"{server.url}/another-person-altogether") == "you are another-person-altogether"


def test_secrets_of_the_environment_are_known_from_the_start(
    peer: Callable[..., Peer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_TOKEN", "zX9-plain-looking-value-41")
    server = peer(keep_alive(lambda request: response(b"zX9-plain-looking-value-41")))
    with use_cassette(path, "once"):
        get(server.url)
    assert "zX9-plain-looking-value-41" not in path.read_text()


def test_rules_for_secrets_can_be_added_and_turned_off(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b'{"badge": "blue-42-horse", "password": "swordfish-9"}')))
    with use_cassette(path, "once", redact=["json:badge"], keep=["password"]):
        get(server.url)
    assert '"badge": "{{secret:1}}", "password": "swordfish-9"' in path.read_text()
    with pytest.raises(InvalidOption):
        use_cassette(path, keep=["no such rule"])


def test_other_cassettes_answer_too_and_are_only_read(path: Path, tmp_path: Path, peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(request.split(b" ")[1])))
    others = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for other in others:
        with use_cassette(other):
            get(f"{server.url}/{other.stem}")
    before = [other.read_bytes() for other in others]
    with use_cassette(path, "new_episodes", also=others) as cassette:
        assert [get(f"{server.url}/{name}") for name in "abc"] == ["/a", "/b", "/c"]
        assert (cassette.play_count, len(cassette.recorded)) == (2, 1)
    assert [other.read_bytes() for other in others] == before
    server.stop()
    with use_cassette(path, "none", also=others) as cassette:
        assert [get(f"{server.url}/{name}") for name in "cba"] == ["/c", "/b", "/a"]
        assert cassette.unplayed == []


def test_other_cassette_that_is_not_there_is_an_error(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CassetteNotFound, match="nothing"):
        use_cassette(path, "once", also=tmp_path / "nothing.yaml").__enter__()
