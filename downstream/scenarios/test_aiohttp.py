"""What aiohttp does by itself: its jar, streams, uploads, WebSockets, limits, expectations."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from downstream.serving import (
    SSE_EVENTS,
    ThreeTimes,
    continues,
    counting,
    echo,
    echoes_frames,
    sends_in_chunks,
)
from tests.peer import keep_alive, response

Use = Callable[[aiohttp.ClientSession, str], Awaitable[Any]]


def in_session(use: Use, **options: Any) -> Callable[[str], Any]:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            jar = aiohttp.CookieJar(unsafe=True)  # also for hosts without a name
            async with aiohttp.ClientSession(cookie_jar=jar, **options) as session:
                return await use(session, url)

        return asyncio.run(in_loop())

    return ask


async def get_json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        return await answer.json()


def test_session_keeps_its_cookies(three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        return [(await get_json(session, url + "/a?q=%C3%BC"))["cookie"] for _ in range(3)]

    assert three_times(keep_alive(echo), in_session(use)) == ["", "theme=dark", "theme=dark"]


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_stream_comes_in_its_chunks(
    is_tls: bool, three_times: ThreeTimes, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.get(url, ssl=client_tls) as answer:
            lines = [line async for line in answer.content]
        return lines, answer.connection is None

    seen = three_times(sends_in_chunks(SSE_EVENTS), in_session(use), tls=server_tls if is_tls else None)
    assert seen == (b"".join(SSE_EVENTS).splitlines(keepends=True), True)


async def generated() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def form() -> aiohttp.FormData:
    fields = aiohttp.FormData()
    fields.add_field("f", b"content", filename="name.txt")
    return fields


@pytest.mark.parametrize(
    "upload",
    [
        pytest.param({"data": lambda: {"a": "1"}}, id="form"),
        pytest.param({"json": lambda: {"a": [1, 2]}}, id="json"),
        pytest.param({"data": form}, id="multipart"),
        pytest.param({"data": generated}, id="generator"),
    ],
)
def test_upload(upload: dict[str, Any], three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, **{name: make() for name, make in upload.items()}) as answer:
            return (await answer.json())["octets"]

    assert three_times(keep_alive(echo), in_session(use)) > 0


def test_waits_until_it_may_continue(three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.put(url, data=b"x" * 50_000, expect100=True) as answer:
            return (await answer.json())["octets"]

    assert three_times(continues(echo), in_session(use)) == 50_000


def test_tasks_wait_for_a_connection(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def use(session: aiohttp.ClientSession, url: str) -> Any:
            return await asyncio.gather(*(get_json(session, f"{url}/{number}") for number in range(24)))

        async def in_loop() -> Any:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=3), cookie_jar=aiohttp.DummyCookieJar()
            ) as session:
                return await use(session, url)

        return asyncio.run(in_loop())

    assert three_times(keep_alive(echo), ask)[23]["line"] == "GET /23 HTTP/1.1"


def test_connection_is_kept(three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        seen: list[str] = []
        for _ in range(3):
            async with session.get(url) as answer:
                seen.append(await answer.text())
        return seen

    assert three_times(counting(), in_session(use)) == ["1", "2", "3"]


def test_websocket(three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.ws_connect(url) as socket:
            seen: list[Any] = []
            for text in ("one", "two", "three"):
                await socket.send_str(text)
                seen.append(await socket.receive_str())
            await socket.send_bytes(b"\0\xff")
            seen.append(await socket.receive_bytes())
            await socket.close(code=1000)
            return seen, socket.close_code

    assert three_times(echoes_frames, in_session(use)) == (["one", "two", "three", b"\0\xff"], 1000)


def test_error_of_a_status(three_times: ThreeTimes) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        try:
            async with session.get(url):
                return None
        except aiohttp.ClientResponseError as error:
            return error.status, error.message, dict(error.headers or {})

    script = keep_alive(lambda request: response(b"", b"X-Reason: full", status=b"507 Full"))
    assert three_times(script, in_session(use, raise_for_status=True))[:2] == (507, "Full")
