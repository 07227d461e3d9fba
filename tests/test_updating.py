"""Recording again: what becomes of the old cassette, and when."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cassette_http import CassetteExpired, CassetteNotWritable, InvalidOption, RecordMode, system, use_cassette
from tests.asking import get
from tests.peer import LIMIT_S, Peer, keep_alive, response


class Shop:
    """A server as they are: each answer has a date, ids and times, and `price` is what it is about."""

    def __init__(self) -> None:
        self.price, self.orders, self.is_down = 7, list[str](), False

    def __call__(self, request: bytes) -> bytes:
        if self.is_down:
            return response(b"", status=b"503 Service Unavailable")
        method, target, _ = request.split(b" ", 2)
        now = datetime.now(UTC)
        if method == b"POST":
            self.orders.append(str(uuid.uuid4()))
            content: dict[str, object] = {"id": self.orders[-1], "made": now.isoformat()}
        elif target.startswith(b"/orders/"):
            content = {"id": target.decode().rpartition("/")[2], "price": self.price, "seen": now.timestamp()}
        else:
            content = {"target": target.decode(), "price": self.price}
        date, identity = format_datetime(now, usegmt=True), uuid.uuid4().hex
        fields = [f"Date: {date}".encode(), f"X-Request-Id: {identity}".encode()]
        return response(json.dumps(content).encode(), *fields)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def server(peer: Callable[..., Peer], shop: Shop) -> Peer:
    return peer(keep_alive(shop))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "orders.yaml"


def buy(url: str) -> dict[str, object]:
    """The program under test: it makes an order, and asks for it by the id it was given."""
    made = urllib.request.Request(f"{url}/orders", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(made, timeout=LIMIT_S) as answer:
        identity = json.load(answer)["id"]
    there: dict[str, object] = json.loads(get(f"{url}/orders/{identity}"))
    assert there["id"] == identity
    return there


def folder(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_recording_again_without_a_change_leaves_the_file_as_it_was(server: Peer, path: Path) -> None:
    with use_cassette(path):
        buy(server.url)
    before, status = path.read_bytes(), path.stat()
    for _ in range(3):
        with use_cassette(path, "rewrite", keep_volatile=True) as cassette:
            buy(server.url)
            assert len(cassette.recorded) == 2
    assert path.read_bytes() == before
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert folder(path) == [path.name]


def recorded_ago(path: Path, age: timedelta) -> None:
    """Let a cassette be so old."""
    first, _, rest = path.read_text().partition("\n")
    _, _, rest = rest.partition("\n")
    at = datetime.now(UTC) - age
    path.write_text(f"{first}\nrecorded: {at:%Y-%m-%dT%H:%M:%SZ}\n{rest}")


@pytest.mark.parametrize(
    ("age", "max_age", "text"),
    [
        (timedelta(days=31), "30d", "31 days ago, and max_age is 30 days"),
        (timedelta(weeks=6), "5w", "42 days ago, and max_age is 35 days"),
        (timedelta(hours=13), "12h", "13 hours ago, and max_age is 12 hours"),
        (timedelta(days=2), timedelta(days=1), "2 days ago, and max_age is 24 hours"),
        (timedelta(hours=1), timedelta(minutes=1), "60 minutes ago, and max_age is 1 minute"),
    ],
)
@pytest.mark.parametrize("mode", ["none", "once", "new_episodes"])
def test_playing_a_cassette_that_is_too_old_is_warned_of(
    server: Peer, path: Path, mode: str, age: timedelta, max_age: str | timedelta, text: str
) -> None:
    with use_cassette(path):
        get(server.url)
    server.stop()
    recorded_ago(path, timedelta(days=89))
    with use_cassette(path, mode, max_age="90d"):
        get(server.url)
    recorded_ago(path, age)
    with pytest.warns(CassetteExpired) as told, use_cassette(path, mode, max_age=max_age):
        get(server.url)
    how = 'record it again with record_mode="rewrite", or in pytest with --cassette-update=all'
    assert str(told[0].message) == f"{path} was recorded {text}; {how}"
    assert told[0].filename == __file__


def test_a_cassette_that_is_too_old_may_be_an_error(server: Peer, path: Path) -> None:
    with use_cassette(path):
        get(server.url)
    recorded_ago(path, timedelta(days=3))
    with pytest.raises(CassetteExpired), use_cassette(path, "none", max_age="2d"):
        get(server.url)
    with use_cassette(path, "none"):  # nothing is left in use of the other
        get(server.url)


@pytest.mark.parametrize("mode", ["rewrite", "all"])
def test_recording_is_not_warned_of(server: Peer, path: Path, mode: str) -> None:
    with use_cassette(path, max_age="1h"):
        get(server.url)
    recorded_ago(path, timedelta(days=3))
    with use_cassette(path, mode, max_age="2d"):
        get(server.url)


def test_a_cassette_without_a_time_does_not_expire(server: Peer, path: Path) -> None:
    with use_cassette(path):
        get(server.url)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("recorded:")))
    with use_cassette(path, "none", max_age="1h"):
        get(server.url)


def test_rewriting_renews_all_of_a_cassette_that_is_too_old(server: Peer, path: Path) -> None:
    with use_cassette(path):
        buy(server.url)
    recorded_ago(path, timedelta(days=3))
    before = path.read_text()
    with use_cassette(path, "rewrite", keep_volatile=True, max_age="4d"):
        buy(server.url)
    assert path.read_text() == before
    with use_cassette(path, "rewrite", keep_volatile=True, max_age="2d"):
        buy(server.url)
    assert path.read_text() != before
    server.stop()
    with use_cassette(path, "none", max_age="1h"):
        buy(server.url)


@pytest.mark.parametrize("max_age", ["", "30", "30m", "-1d", "0d", 30, timedelta(0)])
def test_an_age_that_is_none_is_refused(path: Path, max_age: str | timedelta) -> None:
    with pytest.raises(InvalidOption, match='max_age takes an age such as "12h", "30d" or "4w", or a timedelta, not '):
        use_cassette(path, max_age=max_age)


def test_change_shows_and_the_cassette_replays(server: Peer, shop: Shop, path: Path) -> None:
    with use_cassette(path):
        get(f"{server.url}/time")
        buy(server.url)
    before = path.read_text()
    shop.price = 8
    with use_cassette(path, "rewrite", keep_volatile=True):
        get(f"{server.url}/time")
        buy(server.url)
    after = path.read_text()
    assert '"price": 8' in after
    assert '"price": 7' not in after
    assert shop.orders[0] in before
    assert shop.orders[0] not in after
    server.stop()
    with use_cassette(path, "none"):
        get(f"{server.url}/time")
        assert buy(server.url)["price"] == 8


def test_recording_again_shows_all_of_it_by_default(server: Peer, path: Path) -> None:
    with use_cassette(path):
        buy(server.url)
    before = path.read_bytes()
    with use_cassette(path, "rewrite"):
        buy(server.url)
    assert path.read_bytes() != before


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_new_recording_takes_the_place_of_the_old_one_only_on_success(mode: str, server: Peer, path: Path) -> None:
    with pytest.raises(ZeroDivisionError), use_cassette(path, mode, only_on_success=True):
        print(get(f"{server.url}/a"), 1 / 0)
    assert not path.exists()
    assert folder(path) == []
    with use_cassette(path, mode, only_on_success=True):
        get(f"{server.url}/a")
        assert not path.exists()
    assert folder(path) == [path.name]
    with use_cassette(path, "none"):
        get(f"{server.url}/a")


@pytest.mark.parametrize("mode", ["once", "new_episodes"])
def test_nothing_is_written_if_nothing_was_missing(
    mode: str, server: Peer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with use_cassette(path):
        get(server.url)
    opened = system.os.open

    def read_only(file: str, flags: int, *others: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), file)
        return opened(file, flags, *others)

    monkeypatch.setattr(system.os, "open", read_only)
    with use_cassette(path, mode, only_on_success=True) as cassette:
        get(server.url)
    assert cassette.play_count == 1


def test_foreign_cassette_stays_as_it_is_if_nothing_was_missing(path: Path) -> None:
    interaction = {
        "request": {"method": "GET", "uri": "http://api.test/", "body": None, "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "hello"}},
    }
    before = json.dumps({"version": 1, "interactions": [interaction]})
    path.parent.mkdir(exist_ok=True)
    path.write_text(before)
    with use_cassette(path, "new_episodes", only_on_success=True):
        assert get("http://api.test/") == "hello"
    assert path.read_text() == before


def test_what_is_missing_is_added_only_on_success(server: Peer, path: Path) -> None:
    with use_cassette(path):
        first = get(f"{server.url}/a")
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), use_cassette(path, "new_episodes", only_on_success=True):
        print(get(f"{server.url}/a"), get(f"{server.url}/b"), 1 / 0)
    assert path.read_bytes() == before
    with use_cassette(path, "new_episodes", only_on_success=True) as cassette:
        assert get(f"{server.url}/a") == first
        get(f"{server.url}/b")
        assert [len(cassette.played), len(cassette.recorded)] == [1, 1]
    assert path.read_bytes().startswith(before)
    with use_cassette(path, "none", only_on_success=True):
        get(f"{server.url}/a")
        get(f"{server.url}/b")


def test_nothing_missing_is_no_change(server: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{server.url}/a")
    before = path.stat()
    with use_cassette(path, "new_episodes", only_on_success=True):
        get(f"{server.url}/a")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_cassette_of_several_tests_keeps_what_another_one_recorded(server: Peer, shop: Shop, path: Path) -> None:
    with use_cassette(path):
        get(f"{server.url}/a")
        get(f"{server.url}/b")
    shop.price = 8
    with use_cassette(path, "rewrite", keep_volatile=True, keep_unrecorded=True):
        get(f"{server.url}/a")
    with use_cassette(path, "none"):
        assert json.loads(get(f"{server.url}/a"))["price"] == 8
        assert json.loads(get(f"{server.url}/b"))["price"] == 7


ADDER = """
import sys, urllib.request
from cassette_http import use_cassette
path, url, options = sys.argv[1], sys.argv[2], eval(sys.argv[3])
with use_cassette(path, **options):
    urllib.request.urlopen(url, timeout=10).read()
    print("recorded", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "options",
    [
        {"record_mode": "new_episodes", "only_on_success": True},
        {"record_mode": "rewrite", "keep_volatile": True, "keep_unrecorded": True},
    ],
    ids=["additions", "rewrites"],
)
@pytest.mark.parametrize("has_file", [True, False], ids=["with a file", "without a file"])
def test_processes_that_finish_at_once_lose_nothing(
    options: dict[str, object], has_file: bool, server: Peer, path: Path
) -> None:
    if has_file:
        with use_cassette(path):
            get(f"{server.url}/old")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", ADDER, str(path), f"{server.url}/{number}", repr(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "recorded\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=6 * LIMIT_S)
        assert worker.returncode == 0
    with use_cassette(path, "none"):
        for target in [*(["old"] if has_file else []), *range(4)]:
            get(f"{server.url}/{target}")
    assert folder(path) == [path.name]


def test_large_bodies_lie_in_no_more_files_than_before(server: Peer, shop: Shop, path: Path) -> None:
    with use_cassette(path, blob_threshold=10):
        buy(server.url)
    before = sorted(os.listdir(path.parent / "blobs"))
    assert len(before) == 2
    with use_cassette(path, "rewrite", keep_volatile=True, blob_threshold=10):
        buy(server.url)
    with pytest.raises(ZeroDivisionError), use_cassette(path, "rewrite", blob_threshold=10):
        print(buy(server.url), 1 / 0)
    assert sorted(os.listdir(path.parent / "blobs")) == before
    shop.price = 8
    with use_cassette(path, "rewrite", keep_volatile=True, blob_threshold=10):
        buy(server.url)
    with use_cassette(path, "none"):
        assert buy(server.url)["price"] == 8


def test_old_cassette_that_cannot_be_replaced_stays(server: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{server.url}/a")
    moved, before = path.with_name("moved.yaml"), path.read_bytes()

    def record_while_somebody_puts_a_folder_there() -> None:
        with use_cassette(path, "rewrite", keep_volatile=True):
            get(f"{server.url}/b")
            path.rename(moved)
            path.mkdir()

    with pytest.raises(CassetteNotWritable, match="the old one stays as it is"):
        record_while_somebody_puts_a_folder_there()
    assert moved.read_bytes() == before
    assert folder(path) == ["moved.yaml", path.name]


def test_broken_old_cassette_is_replaced(server: Peer, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("no cassette\n")
    with use_cassette(path, "rewrite", keep_volatile=True):
        get(f"{server.url}/a")
    with use_cassette(path, RecordMode.NONE) as cassette:
        get(f"{server.url}/a")
    assert cassette.play_count == 1


def test_refused_request_is_no_success(server: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{server.url}/a")
    before = path.read_bytes()
    with contextlib.suppress(OSError), use_cassette(path, "once", only_on_success=True):
        get(f"{server.url}/b")
    assert path.read_bytes() == before


def test_cassette_of_another_recorder_is_converted_when_something_is_added(server: Peer, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(
        "interactions:\n- request:\n    body: null\n    headers: {}\n    method: GET\n"
        f"    uri: {server.url}/old\n  response:\n    body: {{string: old}}\n    headers: {{}}\n"
        "    status: {code: 200, message: OK}\nversion: 1\n"
    )
    before = path.read_bytes()
    with use_cassette(path, "new_episodes", only_on_success=True):
        assert get(f"{server.url}/old") == "old"
    assert path.read_bytes() == before
    with use_cassette(path, "new_episodes", only_on_success=True):
        get(f"{server.url}/new")
    assert path.read_bytes().startswith(b"cassette: 1\n")
    with use_cassette(path, "none"):
        assert get(f"{server.url}/old") == "old"
        get(f"{server.url}/new")
