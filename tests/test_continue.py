"""Clients that wait for 100 Continue, and send no body before it: what becomes of the request is known by its head."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cassette_http import UnmatchedRequest, use_cassette
from cassette_http.cassette.model import Request
from tests.peer import LIMIT_S, Connection, Peer, response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def server(peer: Callable[..., Peer]) -> Peer:
    """Asks for the body, and answers with what came."""

    def serve(connection: Connection) -> None:
        head = connection.read_until(b"\r\n\r\n")
        connection.send(CONTINUE)
        body = connection.read(4)
        connection.send(response(head.split(b" ")[1] + b" " + body + b"\n"))

    return peer(serve)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "waiting.yaml"


def put(server: Peer, target: str) -> bytes:
    """Put "body" there, as a client does that waits for ever; return the line that is the answer."""
    with socket.create_connection((server.host, server.port), LIMIT_S) as stream, stream.makefile("rb") as file:
        stream.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert file.readline() + file.readline() == CONTINUE
        stream.sendall(b"body")
        while file.readline() != b"\r\n":
            pass
        return file.readline().rstrip()


class Rewriting(list[bytes]):
    """A hook that sends requests to version 2 where version 1 is, and remembers the bodies it was shown."""

    def __call__(self, request: Request) -> Request | None:
        self.append(request.body_octets)
        return None if "/private" in request.url else request.with_url(request.url.replace("/v2/", "/v1/"))


def recorded(path: Path) -> list[tuple[str, bytes]]:
    with use_cassette(path, "none") as cassette:
        requests = [one.request for one in cassette.interactions]
    return [(one.url.partition("/v")[2], one.body_octets) for one in requests if one is not None]


def test_a_request_whose_head_nothing_has_is_refused_before_its_body_is_there(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        put(server, "/v1/a")
    with use_cassette(path, "none") as cassette:
        with pytest.raises(UnmatchedRequest, match=r"nearest is interaction 1, path: recorded '/v1/a' != sent '/v1/b'"):
            put(server, "/v1/b")
        assert put(server, "/v1/a") == b"/v1/a body"
        with pytest.raises(UnmatchedRequest, match="already played"):
            put(server, "/v1/a")
        cassette.misses.clear()


@pytest.mark.parametrize("hook", [None, Rewriting()], ids=["no hook", "hook that changes it"])
def test_a_request_whose_head_nothing_has_is_recorded_with_its_body(
    hook: Rewriting | None, server: Peer, path: Path
) -> None:
    with use_cassette(path, "once"):
        put(server, "/v1/a")
    with use_cassette(path, "new_episodes", on_match=hook):
        assert put(server, "/v2/b") == b"/v2/b body"
    assert recorded(path) == [("1/a", b"body"), ("1/b" if hook is not None else "2/b", b"body")]
    assert hook is None or hook == [b""]
    with use_cassette(path, "none", on_match=hook):
        assert put(server, "/v2/b") == b"/v2/b body"


def test_a_request_is_played_as_the_hook_changes_it(server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        put(server, "/v1/a")
    hook = Rewriting()
    with use_cassette(path, "none", on_match=hook) as cassette:
        assert put(server, "/v2/a") == b"/v1/a body"
        assert (hook, cassette.connects) == ([b""], 0)


@pytest.mark.parametrize("mode", ["none", "new_episodes"])
@pytest.mark.parametrize("target", ["/v1/private/a", "/v1/private/b"], ids=["recorded", "not recorded"])
def test_a_request_that_the_hook_drops_goes_live(mode: str, target: str, server: Peer, path: Path) -> None:
    with use_cassette(path, "once"):
        put(server, "/v1/private/a")
    hook = Rewriting()
    with use_cassette(path, mode, on_match=hook) as cassette:
        assert put(server, target) == f"{target} body".encode()
        assert (hook, cassette.connects, cassette.play_count) == ([b""], 1, 0)
    assert recorded(path) == [("1/private/a", b"body")]


@pytest.mark.parametrize(("repeat", "answers"), [("last", "122"), ("cycle", "121")])
def test_a_request_that_comes_again_is_asked_for_its_body_again(
    repeat: str, answers: str, peer: Callable[..., Peer], path: Path
) -> None:
    numbers = iter([b"1", b"2"])

    def serve(connection: Connection) -> None:
        connection.read_until(b"\r\n\r\n")
        connection.send(CONTINUE)
        connection.read(4)
        connection.send(response(next(numbers) + b"\n"))

    server = peer(serve)
    with use_cassette(path, "once"):
        assert [put(server, "/v1/a") for _ in "12"] == [b"1", b"2"]
    with use_cassette(path, "none", repeat=repeat):
        assert [put(server, "/v1/a").decode() for _ in answers] == list(answers)


def test_a_request_whose_peer_never_asked_for_the_body_is_decided_by_the_body(
    peer: Callable[..., Peer], path: Path
) -> None:
    def serve(connection: Connection) -> None:
        connection.read_until(b"body")
        connection.send(response(b"ok"))

    silent = peer(serve)

    def put_impatiently() -> bytes:
        with socket.create_connection((silent.host, silent.port), LIMIT_S) as stream, stream.makefile("rb") as file:
            stream.sendall(b"PUT /v2/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            stream.sendall(b"body")
            return file.readline()

    hook = Rewriting()
    with use_cassette(path, "once"):
        assert put_impatiently() == b"HTTP/1.1 200 OK\r\n"
    with use_cassette(path, "none"):
        assert put_impatiently() == b"HTTP/1.1 200 OK\r\n"
    with use_cassette(path, "rewrite", on_match=hook):
        put_impatiently()
    with use_cassette(path, "none", on_match=hook):
        assert put_impatiently() == b"HTTP/1.1 200 OK\r\n"
    assert hook == [b"body", b"", b"body"]
