"""Hooks: functions of the user that see, change and drop what goes into a cassette and comes out of it."""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cassette_http import InvalidOption, UnmatchedRequest, client, use_cassette
from cassette_http.cassette.model import Interaction, Request, Response
from tests.asking import get, get_with_our_client
from tests.peer import LIMIT_S, Connection, Peer, keep_alive, response


def get_or_none(url: str) -> str | None:
    """What a program does that forgives everything."""
    with contextlib.suppress(Exception):
        return get(url)
    return None


ASK = pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])


@pytest.fixture
def server(peer: Callable[..., Peer]) -> Peer:
    """Answers with JSON that says what was asked, and how often anything was."""
    numbers = iter(range(1, 1000))

    def answer(request: bytes) -> bytes:
        value = {"asked": request.split(b" ")[1].decode(), "number": next(numbers)}
        return response(json.dumps(value).encode(), b"Content-Type: application/json", b"X-Trace: t-1")

    return peer(keep_alive(answer))


@pytest.fixture
def closed_port(server: Peer) -> int:
    server.stop()
    return server.port


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hooks.yaml"


class Calls(list[Any]):
    """Remembers the URLs of what it was given, and lets it pass."""

    def __call__(self, given: Any) -> Any:
        request = given if isinstance(given, Request) else given.request
        self.append((request.url.rpartition("/")[2], getattr(given, "response", None) is not None))
        return given


# ---------------------------------------------------------------------- how often


@ASK
@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_each_hook_runs_once_for_each_event(ask: Callable[[str], str], mode: str, server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        ask(f"{server.url}/a")
    recorded, asked, replayed = Calls(), Calls(), Calls()
    if mode == "once":
        path.unlink()
    with use_cassette(path, mode, on_record=recorded, on_match=asked, on_replay=replayed):
        for name in "aba":
            ask(f"{server.url}/{name}")
    plays = mode == "new_episodes"
    assert asked == [("a", False), ("b", False), ("a", False)]
    assert replayed == ([("a", True)] if plays else [])
    assert recorded == [(name, True) for name in ("ba" if plays else "aba")]


@pytest.mark.parametrize(("mode", "body"), [("once", b"body"), ("none", b"")], ids=["recorded", "played"])
def test_a_request_that_waits_for_100_is_shown_once_and_without_its_body_if_that_was_played(
    mode: str, body: bytes, peer: Callable[..., Peer], path: Path
) -> None:
    def serve(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        server.read(4)
        server.send(response(b"ok"))

    real = peer(serve)

    def put() -> bytes:
        connection = client.HTTPConnection(real.host, real.port, timeout=LIMIT_S)
        with contextlib.closing(connection):
            connection.request("PUT", "/a", b"body", {"Expect": "100-continue"})
            return connection.getresponse().read()

    if mode == "none":
        with use_cassette(path, "once"):
            assert put() == b"ok"
    seen: list[bytes] = []

    def remember(request: Request) -> Request:
        seen.append(request.body_octets)
        return request

    with use_cassette(path, mode, on_match=remember):
        assert put() == b"ok"
    assert seen == [body]


def test_each_hook_runs_once_when_everything_is_played(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        get(f"{server.url}/a")
        get(f"{server.url}/b")
    recorded, asked, replayed = Calls(), Calls(), Calls()
    with use_cassette(path, "none", on_record=recorded, on_match=asked, on_replay=replayed):
        get(f"{server.url}/b")
        get(f"{server.url}/a")
    assert (recorded, asked, replayed) == ([], [("b", False), ("a", False)], [("b", True), ("a", True)])


def test_hooks_run_one_at_a_time(server: Peer, path: Path) -> None:
    running: list[str] = []
    most = []

    def watch(given: Any) -> Any:
        running.append("one")
        most.append(len(running))
        running.pop()
        return given

    with use_cassette(path, on_record=watch, on_match=watch), ThreadPoolExecutor(8) as pool:
        list(pool.map(get, [f"{server.url}/{number}" for number in range(24)]))
    assert most == [1] * 48


# ---------------------------------------------------------------------- on_record


@ASK
def test_what_is_recorded_can_be_changed(ask: Callable[[str], str], server: Peer, path: Path) -> None:
    def anonymise(interaction: Interaction) -> Interaction:
        answer = interaction.response
        assert answer is not None
        value = answer.json()
        value["number"] = "ninety thousand"
        return interaction.with_response(answer.with_json(value).without_field("X-Trace"))

    with use_cassette(path, on_record=anonymise):
        assert json.loads(ask(f"{server.url}/a"))["number"] == 1
    server.stop()
    with use_cassette(path, "none"):
        assert json.loads(ask(f"{server.url}/a")) == {"asked": "/a", "number": "ninety thousand"}
    assert "X-Trace" not in path.read_text()


def test_what_is_dropped_is_not_recorded(server: Peer, path: Path) -> None:
    def successes(interaction: Interaction) -> Interaction | None:
        return interaction if "/keep" in str(interaction.request and interaction.request.url) else None

    with use_cassette(path, on_record=successes) as cassette:
        get(f"{server.url}/drop")
        get(f"{server.url}/keep")
        assert len(cassette.recorded) == 1
    assert "/drop" not in path.read_text()


def test_hook_sees_the_secrets_and_what_it_adds_is_redacted(server: Peer, path: Path) -> None:
    seen = []

    def move(interaction: Interaction) -> Interaction:
        assert interaction.request is not None
        seen.append(interaction.request.value("Authorization"))
        token = (interaction.request.value("Authorization") or "").split(" ")[1]
        request = interaction.request.with_field("X-Seen", f"it was {token}").with_field(
            "X-Api-Key", "new-S3cret-value"
        )
        return interaction.with_request(request)

    with use_cassette(path, on_record=move):
        get(f"{server.url}/a", Authorization="Bearer kR8vQ2mZx7LpT4wN")
    assert seen == ["Bearer kR8vQ2mZx7LpT4wN"]
    text = path.read_text()
    assert "kR8vQ2mZx7LpT4wN" not in text
    assert "new-S3cret-value" not in text
    assert "X-Seen: it was {{secret:" in text


def test_secret_of_a_dropped_interaction_is_known_afterwards(server: Peer, path: Path) -> None:
    def without_login(interaction: Interaction) -> Interaction | None:
        return None if interaction.request is not None and "/login" in interaction.request.url else interaction

    with use_cassette(path, on_record=without_login):
        get(f"{server.url}/login", Authorization="Bearer kR8vQ2mZx7LpT4wN")
        get(f"{server.url}/echo/kR8vQ2mZx7LpT4wN")
    assert "kR8vQ2mZx7LpT4wN" not in path.read_text()
    assert "/echo/{{secret:1}}" in path.read_text()


def test_failed_connection_goes_through_the_hooks_too(path: Path, closed_port: int) -> None:
    seen = []

    def look(interaction: Interaction) -> None:
        seen.append((interaction.request, interaction.response, interaction.track.failure))

    with use_cassette(path, on_record=look), pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{closed_port}/")
    [(request, answer, failure)] = seen
    assert (request, answer) == (None, None)
    assert failure is not None
    assert failure.errno == "ECONNREFUSED"
    assert "failed:" not in path.read_text()


# ---------------------------------------------------------------------- on_match


@pytest.mark.parametrize("becomes", ["changed", "dropped"])
@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_secret_that_a_hook_takes_out_of_a_request_is_hidden_where_it_comes_again(
    becomes: str, mode: str, peer: Callable[..., Peer], path: Path
) -> None:
    token = "c3b5e7d9f1a24c6e8b0d"
    echo = peer(keep_alive(lambda request: response(b"it was " + token.encode())))

    def without_token(request: Request) -> Request | None:
        if becomes == "dropped" and "/login" in request.url:
            return None
        return request.with_field("Authorization", "DUMMY")

    with use_cassette(path, mode, on_match=without_token):
        for target in ("/login", "/echo"):
            request = urllib.request.Request(f"{echo.url}{target}", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request) as answer:
                assert token.encode() in answer.read()
    assert b"it was {{secret:" in path.read_bytes()
    assert token.encode() not in path.read_bytes()


def without_number(request: Request) -> Request:
    return request.with_url(request.url.partition("?")[0])


@ASK
def test_changed_request_is_what_is_matched_and_recorded(ask: Callable[[str], str], server: Peer, path: Path) -> None:
    with use_cassette(path, on_match=without_number):
        assert json.loads(ask(f"{server.url}/a?number=1"))["asked"] == "/a?number=1"
    assert f"request: GET {server.url}/a\n" in path.read_text()
    server.stop()
    with use_cassette(path, "none", on_match=without_number):
        assert json.loads(ask(f"{server.url}/a?number=2"))["asked"] == "/a?number=1"


@ASK
@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all", "rewrite"])
def test_request_that_is_not_for_the_cassette_goes_live_and_leaves_no_trace(
    ask: Callable[[str], str], mode: str, server: Peer, path: Path
) -> None:
    def only_a(request: Request) -> Request | None:
        return request if request.url.endswith("/a") else None

    with use_cassette(path, "once"):
        get(f"{server.url}/a")
    before = path.read_text()
    with use_cassette(path, mode, on_match=only_a) as cassette:
        assert [json.loads(ask(f"{server.url}/health"))["number"] for _ in range(2)] == [2, 3]
    assert "/health" not in path.read_text()
    assert cassette.misses == []
    assert len(cassette.recorded) == 0
    if mode in ("none", "new_episodes"):
        assert path.read_text() == before
        assert {one.why for one in cassette.connections} == {f"on_match lets GET {server.url}/health pass"}


def test_played_and_passing_requests_share_a_connection(server: Peer, path: Path) -> None:
    def only_a(request: Request) -> Request | None:
        return request if request.url.endswith("/a") else None

    with use_cassette(path, "once"):
        get(f"{server.url}/a")
        get(f"{server.url}/a")
    with use_cassette(path, "none", on_match=only_a):
        connection = client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
        numbers = []
        for name in ("/a", "/live", "/a", "/live"):
            connection.request("GET", name)
            numbers.append(json.loads(connection.getresponse().read())["number"])
        connection.close()
    assert numbers == [1, 3, 2, 4]


@pytest.mark.parametrize("mode", ["once", "new_episodes"])
def test_tls_of_what_only_passes_leaves_no_trace(
    mode: str, peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"hello")), tls=server_tls)

    def only_a(request: Request) -> Request | None:
        return request if request.url.endswith("/a") else None

    def ask(target: str) -> bytes:
        connection = client.HTTPSConnection("127.0.0.1", server.port, timeout=LIMIT_S, context=client_tls)
        connection.request("GET", target)
        with contextlib.closing(connection):
            return connection.getresponse().read()

    with use_cassette(path, mode, on_match=only_a):
        assert ask("/health") == b"hello"
        assert not path.exists()
        assert ask("/a") == b"hello"
        text = path.read_text()
    assert text.index("tls: https://127.0.0.1") < text.index("request: GET https://127.0.0.1")
    assert "/health" not in text
    server.stop()
    with use_cassette(path, "none", on_match=only_a):
        assert ask("/a") == b"hello"


@pytest.mark.parametrize("mode", ["none", "new_episodes"])
def test_connection_that_fails_for_a_passing_request_leaves_no_trace(mode: str, path: Path, closed_port: int) -> None:
    with use_cassette(path, "once"):
        pass
    before = path.read_text()
    with use_cassette(path, mode, on_match=lambda request: None), pytest.raises(urllib.error.URLError, match="refused"):
        get(f"http://127.0.0.1:{closed_port}/")
    assert path.read_text() == before


# ---------------------------------------------------------------------- on_replay


@ASK
def test_what_is_played_can_be_changed_with_the_sent_request_at_hand(
    ask: Callable[[str], str], server: Peer, path: Path
) -> None:
    def echo(interaction: Interaction) -> Interaction:
        assert interaction.request is not None
        assert interaction.response is not None
        answer = interaction.response.with_json({"echo": interaction.request.url.rpartition("=")[2]})
        return interaction.with_response(answer)

    with use_cassette(path, "once"):
        ask(f"{server.url}/a?id=1")
    with use_cassette(path, "none", match=["method", "path"], on_replay=echo):
        assert json.loads(ask(f"{server.url}/a?id=27")) == {"echo": "27"}


def test_what_is_dropped_answers_nothing(server: Peer, path: Path) -> None:
    def not_the_first(interaction: Interaction) -> Interaction | None:
        assert interaction.response is not None
        return interaction if interaction.response.json()["number"] > 1 else None

    with use_cassette(path, "once"):
        get(f"{server.url}/a")
        get(f"{server.url}/a")
    with use_cassette(path, "none", on_replay=not_the_first) as cassette:
        assert json.loads(get(f"{server.url}/a"))["number"] == 2
        with pytest.raises(OSError, match="no further interaction"):
            get(f"{server.url}/a")
        cassette.misses.clear()
    with use_cassette(path, "none", repeat="last", on_replay=lambda interaction: None) as cassette:
        with pytest.raises(OSError, match="no further interaction"):
            get(f"{server.url}/a")
        cassette.misses.clear()


def test_another_response_can_be_made_from_nothing(server: Peer, path: Path) -> None:
    def break_down(interaction: Interaction) -> Interaction:
        return interaction.with_response(Response.of(503, "Out of Order", [("Retry-After", "7")], b"later"))

    with use_cassette(path, "once"):
        get(f"{server.url}/a")
    with use_cassette(path, "none", on_replay=break_down):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(f"{server.url}/a")
        assert (error.value.code, error.value.reason, error.value.read()) == (503, "Out of Order", b"later")
        assert error.value.headers["Retry-After"] == "7"
        error.value.close()


# ---------------------------------------------------------------------- several, and wrong ones


def test_next_one_is_tried_where_only_the_first_answers_and_is_dropped(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        first, second = get(f"{server.url}/a"), get(f"{server.url}/a")
    assert first != second

    def but_for_the_first(interaction: Interaction) -> Interaction | None:
        return interaction if interaction.response is None or interaction.response.text != first else None

    with use_cassette(path, "none", repeat="first", on_replay=but_for_the_first):
        assert [get(f"{server.url}/a") for _ in range(3)] == [second] * 3


def test_several_hooks_run_in_order(server: Peer, path: Path) -> None:
    def added(name: str) -> Callable[[Request], Request]:
        return lambda request: request.with_url(request.url + name)

    with use_cassette(path, on_match=[added("1"), added("2")]):
        get(f"{server.url}/a")
    assert f"request: GET {server.url}/a12\n" in path.read_text()


class Broken(Exception):
    """What the hook of a test raises."""


def fail(given: object) -> None:
    raise Broken("the hook is broken")


class Swallowed(OSError):
    """What urllib makes an error of its own of."""


def fail_unseen(given: object) -> None:
    raise Swallowed("the hook is broken")


@ASK
@pytest.mark.parametrize("hook", ["on_match", "on_replay"])
def test_error_of_a_hook_reaches_the_program(ask: Callable[[str], str], hook: str, server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        get(f"{server.url}/a")
    with pytest.raises(Broken), use_cassette(path, "none", **{hook: fail}):  # type: ignore[arg-type]
        ask(f"{server.url}/a")


@pytest.mark.parametrize("hook", ["on_match", "on_replay", "on_record"])
@pytest.mark.parametrize("mode", ["once", "new_episodes"])
def test_error_of_a_hook_is_raised_at_the_end_if_a_library_swallowed_it(
    hook: str, mode: str, server: Peer, path: Path
) -> None:
    if hook == "on_replay":
        mode = "none"
        with use_cassette(path, "once"):
            get(f"{server.url}/a")
    using = use_cassette(path, mode, **{hook: fail_unseen})  # type: ignore[arg-type]
    with pytest.raises(Swallowed, match="the hook is broken"), using:
        get_or_none(f"{server.url}/a")
    if hook != "on_replay":
        assert not path.exists() or "/a" not in path.read_text()


@ASK
def test_error_of_a_hook_that_the_program_has_caught_is_not_raised_again(
    ask: Callable[[str], str], server: Peer, path: Path
) -> None:
    with use_cassette(path, "once"):
        get(f"{server.url}/a")
    with use_cassette(path, "none", on_replay=fail), pytest.raises(Broken):
        ask(f"{server.url}/a")


def test_error_that_a_library_swallowed_after_one_that_the_program_caught_is_raised(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        get(f"{server.url}/a")
        get(f"{server.url}/b")
    errors = iter([Broken("seen"), Swallowed("unseen")])

    def fail_in_turn(given: object) -> None:
        raise next(errors)

    using = use_cassette(path, "none", on_replay=fail_in_turn)
    using.__enter__()
    with pytest.raises(Broken, match="seen"):
        get(f"{server.url}/a")
    get_or_none(f"{server.url}/b")
    with pytest.raises(Swallowed, match="unseen"):
        using.__exit__(None, None, None)


def test_what_a_hook_must_not_return_is_reported_although_the_program_caught_it(server: Peer, path: Path) -> None:
    using = use_cassette(path, "none", allow_missing=True, on_match=lambda request: request.url)  # type: ignore[arg-type,return-value]
    with pytest.raises(InvalidOption, match="which is not of type Request"), using:
        get_or_none(f"{server.url}/a")


def test_error_of_a_hook_keeps_the_old_cassette_when_it_is_rewritten(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        get(f"{server.url}/a")
    before = path.read_text()
    with pytest.raises(Broken), use_cassette(path, "rewrite", on_record=fail):
        get(f"{server.url}/b")
    assert path.read_text() == before


def test_error_of_the_block_is_not_replaced_by_that_of_a_hook(server: Peer, path: Path) -> None:
    with pytest.raises(ZeroDivisionError), use_cassette(path, on_record=fail):
        print(get(f"{server.url}/a"), 1 / 0)


@pytest.mark.parametrize("hook", ["on_record", "on_match", "on_replay"])
def test_what_is_no_function_is_reported_where_it_was_written(hook: str) -> None:
    with pytest.raises(InvalidOption, match=f"{hook}= takes a function, or several, not 7"):
        use_cassette("hooks.yaml", **{hook: [7]})  # type: ignore[arg-type]


def test_hook_that_returns_something_else_is_reported(server: Peer, path: Path) -> None:
    def forgets(request: Request) -> Any:
        return request.url

    expected = r"on_match: forgets returned 'http.*', which is not of type Request; return what"
    using = use_cassette(path, "none", allow_missing=True, on_match=forgets)
    with pytest.raises(InvalidOption, match=expected), using:
        get(f"{server.url}/a")


def test_refusal_is_still_a_refusal(server: Peer, path: Path) -> None:
    asked = Calls()
    with pytest.raises(UnmatchedRequest), use_cassette(path, "none", allow_missing=True, on_match=asked):
        get_with_our_client(f"{server.url}/a")
    assert asked == [("a", False)]
