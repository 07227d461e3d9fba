"""What niquests does by itself: a session, blocking and on asyncio, over its own urllib3."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import niquests
import pytest

from downstream.serving import SSE_EVENTS, ThreeTimes, counting, echo, sends_in_chunks
from tests.peer import keep_alive


def test_session_keeps_its_cookies(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with niquests.Session() as session:
            return [session.get(url + "/a", params={"q": "ü"}).json()["cookie"] for _ in range(3)]

    assert three_times(keep_alive(echo), ask) == ["", "theme=dark", "theme=dark"]


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_connection_is_kept(is_tls: bool, three_times: ThreeTimes, server_tls: Any, ca_file: Path) -> None:
    def ask(url: str) -> Any:
        with niquests.Session() as session:
            return [session.get(url, verify=str(ca_file)).text for _ in range(3)]

    assert three_times(counting(), ask, tls=server_tls if is_tls else None) == ["1", "2", "3"]


def test_lines_of_a_stream(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with niquests.Session() as session:
            answer = session.get(url, stream=True)
            return [line for line in answer.iter_lines() if line]

    assert len(three_times(sends_in_chunks(SSE_EVENTS), ask)) == len(SSE_EVENTS)


def test_upload_from_a_generator(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with niquests.Session() as session:
            return session.post(url, data=(b"%d" % number for number in range(10))).json()["octets"]

    assert three_times(keep_alive(echo), ask) == 10


def test_threads_share_a_session(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with niquests.Session() as session, ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda number: session.get(f"{url}/{number}").json()["line"], range(16)))

    assert three_times(keep_alive(echo), ask)[15] == "GET /15 HTTP/1.1"


if hasattr(niquests, "AsyncSession"):

    @pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
    def test_async_session(is_tls: bool, three_times: ThreeTimes, server_tls: Any, ca_file: Path) -> None:
        def ask(url: str) -> Any:
            async def in_loop() -> Any:
                async with niquests.AsyncSession() as session:
                    options: Any = {"verify": str(ca_file)}
                    first = [(await session.get(url, **options)).text for _ in range(2)]
                    return first, (await session.post(url, data=b"x" * 70_000, **options)).status_code

            return asyncio.run(in_loop())

        assert three_times(counting(), ask, tls=server_tls if is_tls else None) == (["1", "2"], 200)
