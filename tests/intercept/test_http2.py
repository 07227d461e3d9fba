"""Clients that speak HTTP/2 as well as HTTP/1.1 are recorded, and played, in HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trustme

from cassette_http import use_cassette
from cassette_http.flight import FlightRecorder
from tests.peer import Peer, keep_alive, response

BOTH = ["h2", "http/1.1"]


@pytest.fixture
def server(peer: Callable[..., Peer], authority: trustme.CA) -> Peer:
    """It would agree on HTTP/2, and knows only HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(BOTH)
    authority.issue_cert("localhost").configure_cert(context)
    return peer(keep_alive(lambda request: response(b"hello")), tls=context)


def agreed_on(server: Peer, trust: ssl.SSLContext) -> str | None:
    with (
        socket.create_connection(("localhost", server.port), timeout=5) as sock,
        trust.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        return secured.selected_alpn_protocol()


def ask_httpx(url: str, trust: ssl.SSLContext) -> tuple[str, str]:
    with httpx.Client(http2=True, verify=trust) as session:
        answer = session.get(url)
        return answer.http_version, answer.text


def ask_httpx_in_loop(url: str, trust: ssl.SSLContext) -> tuple[str, str]:
    async def ask() -> tuple[str, str]:
        async with httpx.AsyncClient(http2=True, verify=trust) as session:
            answer = await session.get(url)
            return answer.http_version, answer.text

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_httpx, ask_httpx_in_loop])
def test_client_that_offers_both_is_recorded_and_played(
    ask: Callable[[str, ssl.SSLContext], tuple[str, str]], server: Peer, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    url = f"https://localhost:{server.port}/"
    with use_cassette(tmp_path / "both.yaml", "once"):
        assert ask(url, client_tls) == ("HTTP/1.1", "hello")
    server.stop()
    with use_cassette(tmp_path / "both.yaml", "none"):
        assert ask(url, client_tls) == ("HTTP/1.1", "hello")


def test_context_that_outlives_its_cassette_offers_http_2_again(
    server: Peer, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    with use_cassette(tmp_path / "outer.yaml", "all"):
        with use_cassette(tmp_path / "inner.yaml", "all"):
            client_tls.set_alpn_protocols(BOTH)
            assert agreed_on(server, client_tls) == "http/1.1"
        assert agreed_on(server, client_tls) == "http/1.1"
    assert agreed_on(server, client_tls) == "h2"


def test_what_a_context_was_told_last_is_what_it_offers(
    server: Peer, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    with use_cassette(tmp_path / "told.yaml", "all"):
        client_tls.set_alpn_protocols(BOTH)
        client_tls.set_alpn_protocols(["http/1.1"])
    assert agreed_on(server, client_tls) == "http/1.1"


def test_client_of_http_2_alone_is_left_alone(server: Peer, client_tls: ssl.SSLContext, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "alone.yaml", "all"):
        client_tls.set_alpn_protocols(["h2"])
        assert agreed_on(server, client_tls) == "h2"


def test_flight_recorder_changes_nothing(server: Peer, client_tls: ssl.SSLContext) -> None:
    with FlightRecorder():
        client_tls.set_alpn_protocols(BOTH)
        assert agreed_on(server, client_tls) == "h2"
