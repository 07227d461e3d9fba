"""What tornado's client does by itself: callbacks, producers, expectations, limits, WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import tornado.httpclient
import tornado.websocket

from downstream.serving import SSE_EVENTS, ThreeTimes, continues, echo, echoes_frames, sends_in_chunks
from tests.peer import keep_alive, response


def with_client(use: Callable[[Any, str], Awaitable[Any]], **options: Any) -> Callable[[str], Any]:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            client = tornado.httpclient.AsyncHTTPClient(force_instance=True, **options)
            try:
                return await use(client, url)
            finally:
                client.close()

        return asyncio.run(in_loop())

    return ask


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_callbacks_get_lines_and_pieces(
    is_tls: bool, three_times: ThreeTimes, server_tls: Any, client_tls: Any
) -> None:
    async def use(client: Any, url: str) -> Any:
        lines: list[str] = []
        pieces: list[bytes] = []
        await client.fetch(
            url,
            header_callback=lines.append,
            streaming_callback=pieces.append,
            **({"ssl_options": client_tls} if is_tls else {}),
        )
        return lines, b"".join(pieces)  # how many pieces there are depends on how busy the loop is

    lines, content = three_times(sends_in_chunks(SSE_EVENTS), with_client(use), tls=server_tls if is_tls else None)
    assert lines[0] == "HTTP/1.1 200 OK\r\n"
    assert content == b"".join(SSE_EVENTS)


def test_producer_of_a_body_waits_until_it_may_continue(three_times: ThreeTimes) -> None:
    async def produce(write: Any) -> None:
        await write(b"x" * 1000)
        await write(b"y" * 1000)

    async def use(client: Any, url: str) -> Any:
        answer = await client.fetch(
            url,
            method="PUT",
            headers={"Content-Length": "2000"},
            body_producer=produce,
            expect_100_continue=True,
        )
        return answer.body

    assert b'"octets": 2000' in three_times(continues(echo), with_client(use))


def test_body_over_the_limit(three_times: ThreeTimes) -> None:
    async def use(client: Any, url: str) -> Any:
        try:
            return (await client.fetch(url)).code
        except tornado.httpclient.HTTPError as error:
            return error.code, str(error)

    script = keep_alive(lambda request: response(b"x" * 2000))
    assert three_times(script, with_client(use, max_body_size=1000))[0] in (599, 413)


def test_tasks_queue_for_the_client(three_times: ThreeTimes) -> None:
    async def use(client: Any, url: str) -> Any:
        answers = await asyncio.gather(*(client.fetch(f"{url}/{number}") for number in range(16)))
        return [answer.body for answer in answers]

    assert b"GET /15 " in three_times(keep_alive(echo), with_client(use, max_clients=3))[15]


def test_websocket(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            socket = await tornado.websocket.websocket_connect(url.replace("http", "ws", 1))
            seen: list[Any] = []
            for text in ("one", "two"):
                await socket.write_message(text)
                seen.append(await socket.read_message())
            socket.close(1000)
            seen.append(await socket.read_message())
            return seen, socket.close_code

        return asyncio.run(in_loop())

    assert three_times(echoes_frames, ask) == (["one", "two", None], 1000)
