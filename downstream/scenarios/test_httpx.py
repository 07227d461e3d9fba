"""What httpx does by itself, blocking, on asyncio and on trio: streams, authentication, events, uploads, tasks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import trio

from downstream.serving import SSE_EVENTS, ThreeTimes, asks_for_digest, counting, echo, sends_in_chunks
from tests.peer import Connection, keep_alive

Run = Callable[[Callable[[], Awaitable[Any]]], Any]
on_each_loop = pytest.mark.parametrize(
    "run", [pytest.param(lambda ask: asyncio.run(ask()), id="asyncio"), pytest.param(trio.run, id="trio")]
)


def test_client_keeps_its_cookies_and_its_connection(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with httpx.Client(base_url=url) as client:
            return [client.get("/a", params={"q": "ü"}).json() for _ in range(3)], dict(client.cookies)

    told, cookies = three_times(keep_alive(echo), ask)
    assert [one["cookie"] for one in told] == ["", "theme=dark", "theme=dark"]
    assert cookies == {"theme": "dark"}


def test_digest_authentication(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        answer = httpx.get(url, auth=httpx.DigestAuth("bob", "sesame"))
        return answer.status_code, answer.text, [one.status_code for one in answer.history]

    assert three_times(keep_alive(asks_for_digest), ask) == (200, "welcome", [401])


def test_stream_comes_in_its_pieces(three_times: ThreeTimes, server_tls: ssl.SSLContext, client_tls: Any) -> None:
    def ask(url: str) -> Any:
        with httpx.Client(verify=client_tls) as client, client.stream("GET", url) as answer:
            return b"".join(answer.iter_raw()), answer.extensions["network_stream"].get_extra_info("server_addr")[1] > 0

    assert three_times(sends_in_chunks(SSE_EVENTS), ask, tls=server_tls) == (b"".join(SSE_EVENTS), True)


def generated() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    "upload",
    [
        pytest.param({"data": {"a": "1"}}, id="form"),
        pytest.param({"json": {"a": [1, 2]}}, id="json"),
        pytest.param({"files": {"f": ("name.txt", b"content")}}, id="multipart"),
        pytest.param({"content": generated}, id="generator"),
    ],
)
def test_upload(upload: dict[str, Any], three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        options = {name: value() if callable(value) else value for name, value in upload.items()}
        return httpx.post(url, **options).json()["octets"]

    assert three_times(keep_alive(echo), ask) > 0


def test_events_see_each_request(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        seen: list[Any] = []
        hooks: Any = {
            "request": [lambda request: seen.append(request.method)],
            "response": [lambda answer: seen.append(answer.status_code)],
        }
        with httpx.Client(event_hooks=hooks) as client:
            client.get(url)
            client.delete(url)
        return seen

    assert three_times(keep_alive(echo), ask) == ["GET", 200, "DELETE", 200]


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.wait_closed()


@on_each_loop
def test_read_time_out_of_a_task(run: Run, three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with httpx.AsyncClient(timeout=httpx.Timeout(5, read=0.2)) as client:
                try:
                    return (await client.get(url)).status_code
                except httpx.ReadTimeout as error:
                    return type(error).__name__, str(error)

        return run(in_loop)

    assert three_times(silent, ask)[0] == "ReadTimeout"


@on_each_loop
@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_events_of_a_server_are_streamed(
    is_tls: bool, run: Run, three_times: ThreeTimes, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with (
                httpx.AsyncClient(verify=client_tls) as client,
                client.stream("POST", url, json={"stream": True}) as answer,
            ):
                return [line async for line in answer.aiter_lines() if line.strip()]

        return run(in_loop)

    script = sends_in_chunks(SSE_EVENTS, b"Content-Type: text/event-stream")
    assert len(three_times(script, ask, tls=server_tls if is_tls else None)) == len(SSE_EVENTS)


@on_each_loop
def test_tasks_share_a_client(run: Run, three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            told: dict[int, str] = {}

            async def one(number: int) -> None:
                told[number] = (await client.get(f"{url}/{number}")).json()["line"]

            limits = httpx.Limits(max_connections=4)
            async with httpx.AsyncClient(limits=limits) as client, anyio.create_task_group() as group:
                for number in range(24):
                    group.start_soon(one, number)
            return told

        return run(in_loop)

    assert three_times(keep_alive(echo), ask)[23] == "GET /23 HTTP/1.1"


@on_each_loop
def test_upload_from_an_async_generator(run: Run, three_times: ThreeTimes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(10):
            yield b"%d" % number

    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with httpx.AsyncClient() as client:
                return (await client.post(url, content=pieces())).json()["octets"]

        return run(in_loop)

    assert three_times(keep_alive(echo), ask) == 10


@on_each_loop
def test_connection_is_kept(run: Run, three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with httpx.AsyncClient() as client:
                return [(await client.get(url)).text for _ in range(3)]

        return run(in_loop)

    assert three_times(counting(), ask) == ["1", "2", "3"]
