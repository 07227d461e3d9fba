"""Programs with gevent, whose sockets are not Python's: in processes of their own (greenlets.py)."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peer import LIMIT_S, Connection, Peer, Script, response

pytest.importorskip("gevent", reason="gevent is not made for this system")

ORDERS = ["patched before", "patched after", "not patched"]


def peer_of_greenlets() -> Script:
    """Answers by the path of the request."""
    is_released = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        while True:
            path = connection.read_request().split(b" ")[1]
            match path:
                case b"/reset":
                    connection.reset()
                    return
                case b"/silent":
                    connection.wait_closed()
                    return
                case b"/half":
                    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
                    connection.wait_closed()
                    return
                case b"/stream":
                    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                    assert is_released.acquire(timeout=LIMIT_S)
                    connection.send(b"6\r\nsecond\r\n0\r\n\r\n")
                    continue
                case b"/held":
                    assert is_released.acquire(timeout=LIMIT_S)
                case b"/release":
                    is_released.release()
            connection.send(response(b"live " + path))

    return script


def proxy_of_greenlets(server_tls: ssl.SSLContext) -> Script:
    """A proxy that is itself what is behind its tunnels."""

    def script(connection: Connection) -> None:
        assert connection.read_request().startswith(b"CONNECT")
        connection.send(b"HTTP/1.1 200 Established\r\n\r\n")
        connection.sock = server_tls.wrap_socket(connection.sock, server_side=True)
        while True:
            connection.send(response(b"by the tunnel " + connection.read_request().split(b" ")[1]))

    return script


def database(connection: Connection) -> None:
    connection.send(b"ready")
    connection.read_until(b"\n")
    connection.send(b"1 row\n")


def write_cassette(path: Path, *requests: str) -> None:
    """Write one that knows these hosts; in `new_episodes` they are dialled late, when a request has no answer."""
    documents = [f"{request}response: 204 No Content\n---\n" for request in requests]
    path.write_text("".join(["cassette: 1\n---\n", *documents]))


@pytest.mark.parametrize("order", ORDERS)
def test_programs_with_gevent_see_the_same_each_time(
    order: str, peer: Callable[..., Peer], server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(ca_file.read_bytes())
    plain, secure = peer(peer_of_greenlets()), peer(peer_of_greenlets(), tls=server_tls)
    proxy, other = peer(proxy_of_greenlets(server_tls)), peer(database)
    known = [f"request: GET {one.url.replace('127.0.0.1', 'localhost')}/known\n" for one in (plain, secure)]
    write_cassette(tmp_path / "late.yaml", *known)
    write_cassette(tmp_path / "names.yaml", "request: GET http://api.test/known\n")
    ports = [str(one.port) for one in (plain, secure, proxy, other)]
    command = [sys.executable, "-m", "tests.intercept.greenlets", order, str(tmp_path), *ports]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def told() -> Any:
            return json.loads(program.stdout.readline())  # type: ignore[union-attr]

        live = told()
        assert not [name for name, seen in live["live"].items() if str(seen).startswith("failed")]
        recorded = told()
        assert recorded["recorded"] == live["live"]
        assert recorded["other"] == live["other"] == ["ready", "1 row\n"]
        assert told() == {"recorded_late": live["live"], "interactions": recorded["interactions"]}
        assert told() == live
        of_each = told()
        for one in (plain, secure, proxy, other):
            one.stop()
        program.stdin.write("\n")
        program.stdin.flush()
        assert told()["played"] == live["live"]
        assert told()["played"] == live["live"]
        assert told() == {"of_a_name_that_nobody_has": "HTTP/1.1 204 No Content\r\n\r\n"}
        assert told() == {"of_each": [one.replace("1 ", "0 ", 1) for one in of_each["of_each"]]}
        assert "/not-recorded" in told()["unmatched"]
    assert program.returncode == 0
