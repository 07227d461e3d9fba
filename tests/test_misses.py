"""Requests that a cassette cannot answer: what is said of them, and when."""

from __future__ import annotations

import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cassette_http import CassetteNotFound, UnmatchedRequest, use_cassette
from tests.asking import get, get_or_none, get_with_our_client
from tests.behaviours import with_causes
from tests.peer import LIMIT_S, Peer


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


def fail_without_cause(url: str) -> None:
    """Fail as anyio does, whose error hides the one of the socket."""
    try:
        get(url)
    except OSError:
        raise ZeroDivisionError from None


def test_error_that_ends_the_block_has_a_note_of_a_refusal_that_it_does_not_show(counter: Peer, path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as raised, use_cassette(path, "none", allow_missing=True):
        fail_without_cause(f"{counter.url}/a")
    [note] = raised.value.__notes__
    assert note.startswith(f"UnmatchedRequest: there is no cassette {path} to answer GET {counter.url}/a")
    with pytest.raises(OSError, match="there is no cassette") as shown, use_cassette(path, "none", allow_missing=True):
        get(f"{counter.url}/a")
    assert not hasattr(shown.value, "__notes__")


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
    with pytest.raises(CassetteNotFound, match=r'is an empty file, .* with record_mode="once"$'):
        use_cassette(path, "none").__enter__()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CassetteNotFound, match=rf"no cassette 'a.yaml' to replay \(in the folder {tmp_path}\); to"):
        use_cassette("a.yaml", "none").__enter__()
    (tmp_path / "b.yaml").touch()
    with pytest.raises(CassetteNotFound, match=r"record_mode=\"once\"$"):
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


def test_a_miss_where_only_connections_failed_does_not_call_the_cassette_empty(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "cassette: 1\n---\nfailed: tcp://other.test:80\n"
        "failure: {kind: connect failed, errno: ECONNREFUSED, text: Connection refused}\n---\n"
    )
    with use_cassette(tmp_path / "one.yaml", "none") as cassette:
        with pytest.raises(UnmatchedRequest, match="it has no requests, only connections that failed"):
            get_with_our_client("http://api.test/a")
        cassette.misses.clear()
