"""Client x behaviour of the peer x (live, recording, replaying): the program sees the same three times.

The peer is stopped before the replay, and counts its connections: the replay makes none.
"""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import GET_A, Asked, patience_s, three_times
from tests.intercept.nasty_peers import PEERS
from tests.peer import Connection, Peer, Script, Serve, keep_alive, response
from tests.trusting import Trusting

# What a program saw of one exchange: plain values that can be compared.
Seen = Any
Ask = Callable[[str, str, str, bytes | None, ssl.SSLContext], Seen]


# ---------------------------------------------------------------------- clients


def seen_error(error: BaseException) -> Seen:
    """Class, number and text; of an IncompleteRead also what had come."""
    return type(error).__qualname__, getattr(error, "errno", None), str(error), getattr(error, "partial", None)


def _with_http_client(module: Any) -> Callable[..., list[Seen]]:
    def ask_all(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
        scheme, _, authority = url.partition("://")
        if scheme == "https":
            connection = module.HTTPSConnection(authority, timeout=timeout_s, context=trust)
        else:
            connection = module.HTTPConnection(authority, timeout=timeout_s)
        seen: list[Seen] = []
        for method, path, body in asked:
            try:
                connection.request(method, path, body)
                answer = connection.getresponse()
                head = (answer.status, answer.reason, answer.version, answer.getheaders())
                try:
                    seen.append((head, answer.read()))
                except (OSError, module.HTTPException) as error:
                    seen.append((head, seen_error(error)))
            except (OSError, module.HTTPException) as error:
                seen.append(seen_error(error))
                connection.close()
        connection.close()
        return seen

    return ask_all


def with_urllib(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    seen: list[Seen] = []
    for method, path, body in asked:
        request = urllib.request.Request(url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s, context=trust) as answer:
                seen.append((answer.status, answer.reason, answer.headers.items(), answer.url, answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                seen.append((error.code, error.reason, error.headers.items(), error.read()))
        except (OSError, http.client.HTTPException) as error:
            seen.append(seen_error(error))
    return seen


def with_requests(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    seen: list[Seen] = []

    with requests.Session() as session:
        session.mount("https://", Trusting(trust))
        for method, path, body in asked:
            try:
                answer = session.request(method, url + path, data=body, timeout=timeout_s)
                history = [(one.status_code, one.headers.get("Location")) for one in answer.history]
                head = (answer.status_code, answer.reason, list(answer.raw.headers.items()), answer.url)
                seen.append((head, history, answer.content))
            except requests.RequestException as error:
                # The text holds the address of an object of urllib3.
                seen.append((type(error).__qualname__, str(error).partition("0x")[0], str(error).rpartition(":")[2]))
    return seen


def with_sockets(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    """A library nobody has heard of: one connection per request, read to the end."""
    seen: list[Seen] = []
    scheme, _, authority = url.partition("://")
    host, _, port = authority.rpartition(":")
    for method, path, body in asked:
        octets = b""
        try:
            sock = socket.create_connection((host, int(port)), timeout=timeout_s)
            if scheme == "https":
                sock = trust.wrap_socket(sock, server_hostname=host)
            with sock:
                length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
                head = f"{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{length}\r\n"
                sock.sendall(head.encode() + (body or b""))
                while piece := sock.recv(65536):
                    octets += piece
            seen.append(octets)
        except OSError as error:
            seen.append((octets, seen_error(error)))
    return seen


def with_asyncio(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    """The same over the streams of asyncio."""
    scheme, _, authority = url.partition("://")
    host, _, port = authority.rpartition(":")

    async def ask(method: str, path: str, body: bytes | None) -> Seen:
        octets = b""
        try:
            tls = trust if scheme == "https" else None
            reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
            length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
            head = f"{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{length}\r\n"
            try:
                writer.write(head.encode() + (body or b""))
                while piece := await asyncio.wait_for(reader.read(65536), timeout_s):
                    octets += piece
            finally:
                writer.transport.abort()
            return octets
        except OSError as error:
            return octets, seen_error(error)

    async def ask_all() -> list[Seen]:
        return [await ask(*one) for one in asked]

    return asyncio.run(ask_all())


CLIENTS = [
    pytest.param(_with_http_client(cassette_http.client), id="cassette_http.client"),
    pytest.param(_with_http_client(http.client), id="http.client"),
    pytest.param(with_urllib, id="urllib.request"),
    pytest.param(with_requests, id="requests"),
    pytest.param(with_sockets, id="sockets"),
    pytest.param(with_asyncio, id="asyncio"),
]


@pytest.mark.parametrize(("script", "asked", "is_tls"), PEERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_live_recording_and_replay_agree(
    client: Callable[..., list[Seen]],
    script: Script,
    asked: Asked,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(script, tls=server_tls if is_tls else None)
    arguments = server.url, asked, client_tls, patience_s(script)
    three_times(lambda: client(*arguments), tmp_path / "agree.yaml", server)


@pytest.mark.parametrize("client", CLIENTS)
def test_refused_connection_is_refused_in_replay(
    client: Callable[..., list[Seen]], peer: Callable[..., Peer], client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"never")))
    server.stop()
    path = tmp_path / "refused.yaml"
    live = client(server.url, GET_A, client_tls, 5)
    with use_cassette(path, "all"):
        recorded = client(server.url, GET_A, client_tls, 5)
    # Somebody listens there now, who would be asked if the replay connected.
    with socket.create_server((server.host, server.port)), use_cassette(path, "none"):
        replayed = client(server.url, GET_A, client_tls, 5)
    assert (recorded, replayed) == (live, live)


@pytest.mark.parametrize("client", CLIENTS)
def test_untrusted_certificate_is_untrusted_in_replay(
    client: Callable[..., list[Seen]], peer: Callable[..., Peer], server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"never")), tls=server_tls)
    distrust = ssl.create_default_context()
    path = tmp_path / "untrusted.yaml"
    live = client(server.url, GET_A, distrust, 5)
    with use_cassette(path, "all"):
        recorded = client(server.url, GET_A, distrust, 5)
    server.stop()
    with use_cassette(path, "none"):
        replayed = client(server.url, GET_A, distrust, 5)
    assert "CERTIFICATE_VERIFY_FAILED" in str(live)
    assert (recorded, replayed) == (live, live)


def test_octets_that_nobody_asked_our_client_for_never_answer_its_next_request(
    serve: Serve, trust: ssl.SSLContext | None, tmp_path: Path
) -> None:
    goes_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"real"))
        if connection.number == 1:
            assert goes_on.wait(5)
            connection.send(response(b"forged", status=b"408 Request Timeout"))
        connection.wait_closed()

    server = serve(script)
    path = tmp_path / "unasked.yaml"

    def ask(wait: Callable[[Any], object]) -> list[bytes]:
        options: dict[str, Any] = {"context": trust} if trust else {}
        kind = cassette_http.client.HTTPSConnection if trust else cassette_http.client.HTTPConnection
        connection = kind(server.host, server.port, timeout=5, **options)
        seen = []
        for path in ("/1", "/2"):
            connection.request("GET", path)
            seen.append(connection.getresponse().read())
            wait(connection.sock)
        connection.close()
        return seen

    def wait_for_forged(sock: Any) -> None:
        if not goes_on.is_set():
            goes_on.set()
            assert select.select([sock], [], [], 5)[0]

    with use_cassette(path, "all"):
        assert ask(wait_for_forged) == [b"real", b"real"]
    server.stop()
    with use_cassette(path, "none"):
        assert ask(lambda sock: None) == [b"real", b"real"]


@pytest.mark.parametrize("module", [http.client, cassette_http.client], ids=lambda module: module.__name__)
def test_response_that_has_timed_out_is_read_no_more(module: Any, peer: Callable[..., Peer], tmp_path: Path) -> None:
    def falls_silent(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"part and rest")[:-5])
        connection.wait_closed()

    server = peer(falls_silent)

    def ask() -> list[str]:
        connection = module.HTTPConnection(server.host, server.port, timeout=0.3)
        connection.request("GET", "/")
        answer, seen = connection.getresponse(), []
        assert connection.sock is not None  # who looks at it makes the client read a file, as http.client always does
        for _ in range(3):
            with pytest.raises(OSError, match="timed out") as raised:
                answer.read()
            seen.append(repr(raised.value))
        connection.close()
        return seen

    three_times(ask, tmp_path / "silent.yaml", server)
