"""httpcore by itself, below httpx: its pool, its trace, its connection states."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore
import pytest
import trio

from downstream.serving import SSE_EVENTS, ThreeTimes, counting, sends_in_chunks

Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def test_pool_says_what_its_connections_do(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with httpcore.ConnectionPool() as pool:
            answers = [pool.request("GET", url).content for _ in range(3)]
            return answers, [repr(one).partition(",")[2] for one in pool.connections]

    answers, connections = three_times(counting(), ask)
    assert answers == [b"1", b"2", b"3"]
    assert len(connections) == 1


def test_stream_has_its_chunks(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with httpcore.ConnectionPool() as pool, pool.stream("GET", url + "/") as answer:
            return answer.status, answer.headers, b"".join(answer.iter_stream())

    status, _, content = three_times(sends_in_chunks(SSE_EVENTS), ask)
    assert (status, content) == (200, b"".join(SSE_EVENTS))


@pytest.mark.parametrize(
    "run", [pytest.param(lambda ask: asyncio.run(ask()), id="asyncio"), pytest.param(trio.run, id="trio")]
)
def test_async_pool(run: Run, three_times: ThreeTimes, server_tls: Any, client_tls: Any) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with httpcore.AsyncConnectionPool(ssl_context=client_tls) as pool:
                return [(await pool.request("GET", url + "/")).content for _ in range(3)]

        return run(in_loop)

    assert three_times(counting(), ask, tls=server_tls) == [b"1", b"2", b"3"]
