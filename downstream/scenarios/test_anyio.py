"""Streams of anyio and trio: clients that nobody has heard of are built on these."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio
from anyio.streams.tls import TLSStream

from downstream.serving import SSE_EVENTS, ThreeTimes, sends_in_chunks

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"\r\n0\r\n\r\n"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_stream_of_anyio(is_tls: bool, loop: str, three_times: ThreeTimes, server_tls: Any, client_tls: Any) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            stream: Any = await anyio.connect_tcp("localhost", port_of(url))
            if is_tls:
                stream = await TLSStream.wrap(
                    stream, hostname="localhost", ssl_context=client_tls, standard_compatible=False
                )
            async with stream:
                await stream.send(REQUEST)
                received = b""
                with anyio.fail_after(10):
                    while not received.endswith(END):
                        received += await stream.receive()
            return received

        return anyio.run(in_loop, backend=loop)

    received = three_times(sends_in_chunks(SSE_EVENTS), ask, tls=server_tls if is_tls else None)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_stream_of_trio(is_tls: bool, three_times: ThreeTimes, server_tls: Any, client_tls: Any) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            stream: Any = await trio.open_tcp_stream("localhost", port_of(url))
            if is_tls:
                stream = trio.SSLStream(stream, client_tls, server_hostname="localhost", https_compatible=True)
            async with stream:
                await stream.send_all(REQUEST)
                received = b""
                with trio.fail_after(10):
                    while not received.endswith(END):
                        received += await stream.receive_some()
            return received

        return trio.run(in_loop)

    received = three_times(sends_in_chunks(SSE_EVENTS), ask, tls=server_tls if is_tls else None)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
