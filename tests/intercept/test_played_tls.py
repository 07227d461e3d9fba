"""What a program asks a TLS connection about itself is answered in replay as it was live."""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3

from cassette_http import client, use_cassette
from tests.behaviours import answers, three_times
from tests.peer import Connection, Peer, keep_alive, response

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def told_by(secured: Any, trust: ssl.SSLContext) -> list[Any]:
    """The answers of an `SSLSocket` or an `SSLObject`."""
    return [
        secured.context is trust,
        secured.server_hostname,
        secured.server_side,
        secured.version(),
        secured.cipher(),
        secured.selected_alpn_protocol(),
        secured.getpeercert(),
        secured.getpeercert(True),
        secured.compression(),
    ]


def ask_blocking(port: int, trust: ssl.SSLContext) -> list[Any]:
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(REQUEST)
        secured.recv(65536)
        return told_by(secured, trust)


def ask_loop(port: int, trust: ssl.SSLContext) -> list[Any]:
    async def ask() -> list[Any]:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        writer.write(REQUEST)
        await reader.readline()
        told = told_by(writer.get_extra_info("ssl_object"), trust)
        writer.transport.abort()
        return told

    return asyncio.run(ask())


def ask_without_handshake(port: int, trust: ssl.SSLContext) -> list[Any]:
    """The first write makes it."""
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False) as secured,
    ):
        secured.sendall(REQUEST)
        secured.recv(65536)
        return told_by(secured, trust)


def ask_in_parts(port: int, trust: ssl.SSLContext) -> list[Any]:
    with (
        socket.create_connection(("localhost", port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False) as secured,
    ):
        told = [secured.version(), secured.cipher(), secured.pending()]
        with pytest.raises(ValueError, match="handshake not done yet"):
            secured.getpeercert()
        secured.do_handshake()
        secured.sendall(REQUEST)
        nothing = secured.recv_into(bytearray())
        return [told, nothing, secured.recv(5), secured.pending(), secured.recv(65536), *told_by(secured, trust)]


def ask_object_in_parts(port: int, trust: ssl.SSLContext) -> list[Any]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("localhost", port), timeout=5) as sock:

        def carry(act: Callable[..., Any], *args: Any) -> Any:
            while True:
                try:
                    done = act(*args)
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
                else:
                    sock.sendall(outgoing.read())
                    return done

        told = [secured.version(), secured.cipher(), secured.pending()]
        carry(secured.do_handshake)
        carry(secured.write, REQUEST)
        nothing = secured.read(3, bytearray())
        return [told, nothing, carry(secured.read, 5), secured.pending(), carry(secured.read), *told_by(secured, trust)]


@pytest.mark.parametrize(
    "ask",
    [ask_blocking, ask_loop, ask_without_handshake, ask_in_parts, ask_object_in_parts],
    ids=lambda ask: ask.__name__,
)
def test_played_connection_tells_what_the_live_one_did(
    ask: Callable[[int, ssl.SSLContext], list[Any]],
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    server = peer(keep_alive(lambda request: response(b"hello")), tls=server_tls)
    three_times(lambda: ask(server.port, client_tls), tmp_path / "tls.yaml", server)


def test_name_that_is_to_be_checked_must_be_said(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"hello")), tls=server_tls)

    def ask() -> object:
        with socket.create_connection(("localhost", server.port), timeout=5) as sock:
            with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
                client_tls.wrap_socket(sock)
            with client_tls.wrap_socket(sock, server_hostname="localhost") as secured:
                secured.sendall(REQUEST)
                return secured.recv(65536)

    three_times(ask, tmp_path / "unnamed.yaml", server)


@pytest.mark.parametrize("host", ["api.example", "192.0.2.1", "[2001:db8::1]"])
def test_certificate_of_which_the_cassette_says_nothing_names_the_host(host: str, tmp_path: Path) -> None:
    path = tmp_path / "by-hand.yaml"
    path.write_text(f"cassette: 1\n---\nrequest: GET https://{host}/\nresponse: 200 OK\nresponse body: hello\n---\n")
    trust = ssl.create_default_context()
    trust.check_hostname = False  # urllib3 compares the name itself then; botocore has it so
    with use_cassette(path, "none"), urllib3.PoolManager(ssl_context=trust, retries=False) as pool:
        assert pool.request("GET", f"https://{host}/").data == b"hello"


def test_stream_of_our_client_tells_what_the_live_one_did(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(b"hello")), tls=server_tls)

    def ask() -> list[Any]:
        connection = client.HTTPSConnection("localhost", server.port, context=client_tls, timeout=5)
        connection.request("GET", "/")
        content = connection.getresponse().read()
        sock: Any = connection.sock
        told = [
            sock.version(),
            sock.cipher(),
            sock.selected_alpn_protocol(),
            sock.getpeercert(),
            sock.getpeercert(True),
        ]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        return [content, *told, sock.gettimeout()]

    three_times(ask, tmp_path / "ours.yaml", server)


def test_no_read_gives_more_than_a_record(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(answers(response(b"x" * 50000)), tls=server_tls)

    def ask() -> list[int]:
        with (
            socket.create_connection(("localhost", server.port), timeout=5) as sock,
            client_tls.wrap_socket(sock, server_hostname="localhost") as secured,
        ):
            secured.sendall(REQUEST)
            return [len(octets) for octets in iter(lambda: secured.recv(65536), b"")]

    three_times(ask, tmp_path / "records.yaml", server)


def test_a_read_that_would_wait_says_so_in_the_same_words(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = peer(answers(response(b"hello")), tls=server_tls)

    def ask() -> object:
        with (
            socket.create_connection(("localhost", server.port), timeout=5) as sock,
            client_tls.wrap_socket(sock, server_hostname="localhost") as secured,
        ):
            secured.sendall(REQUEST.replace(b"Connection: close\r\n", b""))
            secured.recv(65536)
            secured.setblocking(False)
            # The first read takes what else the live handshake has brought, such as tickets.
            for _ in range(2):
                with pytest.raises(ssl.SSLWantReadError) as caught:
                    secured.recv(1)
            return caught.value.args, str(caught.value)

    three_times(ask, tmp_path / "waiting.yaml", server)


def test_each_connection_tells_what_its_own_agreed_on(
    peer: Callable[..., Peer], authority: trustme.CA, tmp_path: Path
) -> None:
    """The server gets another certificate, and other protocols."""

    def certified(*protocols: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    contexts = [certified("http/1.1"), certified(), certified("http/1.1")]
    wanted = iter([*contexts, *contexts])

    def choose(sock: ssl.SSLObject, name: str, offered: ssl.SSLContext) -> None:
        sock.context = next(wanted)

    first = certified()
    first.sni_callback = choose
    server = peer(keep_alive(lambda request: response(b"hello")), tls=first)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trust.set_alpn_protocols(["http/1.1"])
    _, cassette = three_times(
        lambda: [ask_blocking(server.port, trust) for _ in contexts], tmp_path / "tls.yaml", server
    )
    assert cassette.path.read_text().count("\ntls: ") == len(contexts)


@pytest.mark.parametrize("at_most", [10000, 65536])
def test_read_ends_with_a_record(
    at_most: int,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    answer = response(b"x" * 40000)

    def ask() -> list[int]:
        with (
            socket.create_connection(("localhost", server.port), timeout=5) as sock,
            client_tls.wrap_socket(sock, server_hostname="localhost") as secured,
        ):
            secured.sendall(REQUEST)
            sizes = [len(secured.recv(at_most))]
            while sum(sizes) < len(answer):
                sizes.append(len(secured.recv(65536)))
            return sizes

    server = peer(answers(answer), tls=server_tls)
    _, cassette = three_times(ask, tmp_path / "records.yaml", server)
    assert len(cassette) == 1


def test_drain_of_a_large_piece_need_not_wait(client_tls: ssl.SSLContext, tmp_path: Path) -> None:
    content = "x" * 500_000
    path = tmp_path / "large.yaml"
    path.write_text(
        f"cassette: 1\n---\nrequest: GET https://localhost/\nresponse: 200 OK\n"
        f"response headers: |\n  Content-Length: {len(content)}\nresponse body: {content}\n---\n"
    )
    with (
        use_cassette(path, "none"),
        socket.create_connection(("localhost", 443)) as sock,
        client_tls.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(REQUEST)
        secured.setblocking(False)
        octets = 0
        while octets < len(content):
            octets += len(secured.recv(65536))  # an SSLWantReadError fails this test


def test_time_out_of_a_missing_request_on_a_polled_connection_has_the_words_of_tls(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    def answer_one(connection: Connection) -> None:
        if b" /a " in connection.read_request():
            connection.send(response(b"one"))
        connection.wait_closed()

    server = peer(answer_one, tls=server_tls)
    connection = http.client.HTTPSConnection(server.host, server.port, context=client_tls, timeout=0.2)

    def ask(path: str) -> bytes:
        connection.request("GET", path)
        return connection.getresponse().read()

    with use_cassette(tmp_path / "one.yaml", "all"):
        assert ask("/a") == b"one"
        connection.close()
    with use_cassette(tmp_path / "one.yaml", "new_episodes"):
        assert ask("/a") == b"one"
        select.select([connection.sock], [], [], 0)  # as a pool looks whether it is idle
        with pytest.raises(TimeoutError, match="The read operation timed out"):
            ask("/b")
        connection.close()
