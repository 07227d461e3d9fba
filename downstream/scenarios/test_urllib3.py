"""What urllib3 does by itself: pools, retries, streams, proxies."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3

from cassette_http import use_cassette
from downstream.serving import (
    SSE_EVENTS,
    ThreeTimes,
    counting,
    echo,
    fails_each_first_time,
    field_of,
    sends_in_chunks,
    target_of,
)
from tests.peer import Connection, Peer, keep_alive, response


def test_retries_are_counted(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with urllib3.PoolManager() as pool:
            answer = pool.request("GET", url, retries=urllib3.Retry(4, status_forcelist=[503]))
            assert answer.retries is not None
            return answer.data, [one.status for one in answer.retries.history]

    assert three_times(fails_each_first_time(response(b"at last")), ask) == (b"at last", [503])


def test_streams_in_chunks(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with urllib3.PoolManager() as pool:
            answer = pool.request("GET", url, preload_content=False)
            pieces = list(answer.read_chunked())
            answer.release_conn()
            return pieces, pool.request("GET", url).data

    pieces, whole = three_times(sends_in_chunks(SSE_EVENTS), ask)
    assert pieces == SSE_EVENTS
    assert whole == b"".join(SSE_EVENTS)


def test_pool_keeps_its_connection(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with urllib3.connection_from_url(url, maxsize=1) as pool:
            answers = [pool.request("GET", "/").data for _ in range(5)]
            return answers, pool.num_connections, pool.num_requests

    assert three_times(counting(), ask) == ([b"1", b"2", b"3", b"4", b"5"], 1, 5)


def test_threads_wait_for_a_connection_of_the_pool(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with urllib3.connection_from_url(url, maxsize=2, block=True) as pool, ThreadPoolExecutor(8) as threads:
            return list(threads.map(lambda number: pool.request("GET", f"/{number}").data, range(32)))

    assert b"GET /31 " in three_times(keep_alive(echo), ask)[31]


def test_body_from_a_generator(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with urllib3.PoolManager() as pool:
            pieces = (b"%d" % number for number in range(10))
            return pool.urlopen("POST", url, body=pieces, headers={"Transfer-Encoding": "chunked"}, chunked=True).data

    assert b'"octets": 10' in three_times(keep_alive(echo), ask)


def test_untrusted_certificate(three_times: ThreeTimes, server_tls: ssl.SSLContext) -> None:
    def ask(url: str) -> Any:
        with urllib3.PoolManager(retries=False, ssl_context=ssl.create_default_context()) as pool:
            try:
                return pool.request("GET", url.replace("127.0.0.1", "localhost")).status
            except urllib3.exceptions.SSLError as error:
                return str(error)

    assert "CERTIFICATE_VERIFY_FAILED" in three_times(keep_alive(echo), ask, tls=server_tls)


def test_proxy_tunnel_that_asks_for_a_password(
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    def tunnel(connection: Connection) -> None:
        request = connection.read_request()
        if not field_of(request, b"Proxy-Authorization"):
            connection.send(response(b"", status=b"407 Proxy Authentication Required"))
            return
        assert target_of(request) == "localhost:1"
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.sock = server_tls.wrap_socket(connection.sock, server_side=True)
        keep_alive(echo)(connection)

    proxy = peer(tunnel)

    def ask() -> Any:
        seen: list[Any] = []
        for headers in ({}, urllib3.make_headers(proxy_basic_auth="bob:sesame")):
            with urllib3.ProxyManager(proxy.url, proxy_headers=headers, ssl_context=client_tls, retries=False) as pool:
                try:
                    seen.append(pool.request("GET", "https://localhost:1/inside").data)
                except urllib3.exceptions.HTTPError as error:
                    seen.append(str(error))
        return seen

    live = ask()
    assert "407" in live[0]
    assert b"/inside" in live[1]
    with use_cassette(tmp_path / "tunnel.yaml", "all"):
        recorded = ask()
    proxy.stop()
    with use_cassette(tmp_path / "tunnel.yaml", "none"):
        replayed = ask()
    assert (recorded, replayed) == (live, live)
