"""`freeze_time`: a replay happens at the time of the recording."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from cassette_http import CassetteFormatError, InvalidOption, use_cassette
from tests.peer import LIMIT_S, Peer, keep_alive, response

KEY = "k" * 32
RECORDED = datetime(2024, 2, 29, 12, 0, 5, tzinfo=UTC)


def issue(second: float) -> str:
    """A token that its server issued so many seconds after the recording began, for a minute."""
    moment = int(RECORDED.timestamp() + second)
    return jwt.encode({"iat": moment, "exp": moment + 60}, KEY, algorithm="HS256")


def exchange(target: str, second: int, content: str) -> str:
    date = datetime.fromtimestamp(RECORDED.timestamp() + second, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return (
        f"request: GET http://api.test{target}\nresponse: 200 OK\nresponse headers: |\n  Date: {date}\n"
        f"  Content-Length: {len(content)}\nresponse body: {content}\n---\n"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "login.yaml"
    path.write_text(
        "cassette: 1\nrecorded: 2024-02-29T12:00:05Z\n---\n"
        + exchange("/token", 1, issue(1))
        + exchange("/later", 40, issue(40))
    )
    return path


def get(target: str) -> str:
    with urllib.request.urlopen(f"http://api.test{target}", timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def now_s() -> float:
    """Seconds after the recording began."""
    return time.time() - RECORDED.timestamp()


def test_tokens_are_valid_when_they_are_replayed(path: Path) -> None:
    with use_cassette(path, "none", freeze_time=True):
        assert 0 <= now_s() < 30
        assert jwt.decode(get("/token"), KEY, algorithms=["HS256"])
        assert jwt.decode(get("/later"), KEY, algorithms=["HS256"])
        assert 40 <= now_s() < 70
    assert abs(now_s()) > 1e7


def test_token_has_expired_without_it(path: Path) -> None:
    with use_cassette(path, "none"), pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(get("/token"), KEY, algorithms=["HS256"])


def test_time_is_the_same_for_all_who_ask(path: Path) -> None:
    seen: list[datetime] = []
    with use_cassette(path, "none", freeze_time=True):
        thread = threading.Thread(target=lambda: seen.append(datetime.now(UTC)))
        thread.start()
        thread.join()
        seen += [datetime.now(UTC), datetime.fromtimestamp(time.time_ns() / 1e9, UTC)]
        seen.append(datetime.fromisoformat(time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())))
        zone = time.tzname
    assert all(abs((one - RECORDED).total_seconds()) < 30 for one in seen)
    assert zone == time.tzname


def test_what_measures_time_goes_on(path: Path) -> None:
    async def wait() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with use_cassette(path, "none", freeze_time=True):
        with pytest.raises(TimeoutError):
            asyncio.run(wait())
        deadline = time.time() + 0.01
        while time.time() < deadline:
            pass


def test_recording_happens_now(peer: Callable[..., Peer], tmp_path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"now")))
    path = tmp_path / "new.yaml"
    started = time.time()
    for mode in ("once", "new_episodes", "rewrite"):
        with use_cassette(path, mode, freeze_time=True):
            urllib.request.urlopen(server.url, timeout=LIMIT_S).read()
            assert started <= time.time() < started + 60


def test_cassette_that_is_missing_has_no_time(tmp_path: Path) -> None:
    with use_cassette(tmp_path / "none.yaml", "none", freeze_time=True, allow_missing=True):
        assert abs(now_s()) > 1e7


@pytest.mark.parametrize("head", ["cassette: 1\n", "cassette: 1\nrecorded: yesterday\n"], ids=["no time", "no date"])
def test_cassette_without_a_time_is_an_error(head: str, path: Path) -> None:
    path.write_text(f"{head}---\n" + exchange("/token", 0, "x"))
    with pytest.raises(CassetteFormatError, match="line 1: freeze_time needs the time of recording"):
        use_cassette(path, "none", freeze_time=True).__enter__()


def test_date_of_a_server_that_is_far_off_does_not_move_the_clock(path: Path) -> None:
    path.write_text("cassette: 1\nrecorded: 2024-02-29T12:00:05Z\n---\n" + exchange("/token", 86_400, "x"))
    with use_cassette(path, "none", freeze_time=True):
        get("/token")
        assert now_s() < 30


def test_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassette_http.frozen_time.find_spec", lambda name: None)
    with pytest.raises(InvalidOption, match=r"needs the library time-machine.*pip install 'cassette-http\[time\]'"):
        use_cassette(path, "none", freeze_time=True)
