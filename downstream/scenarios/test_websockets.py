"""The clients of websockets, on asyncio and, where the release has one, on threads."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

import pytest
import websockets

from downstream.serving import ThreeTimes, echoes_frames
from tests.peer import keep_alive, response


def to_websocket(url: str) -> str:
    return url.replace("http", "ws", 1) + "/live"


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_messages_go_both_ways(is_tls: bool, three_times: ThreeTimes, server_tls: Any, client_tls: Any) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            options: Any = {"ssl": client_tls} if is_tls else {}
            async with websockets.connect(to_websocket(url), compression=None, **options) as socket:
                seen: list[Any] = []
                for message in ("one", "two", b"\0\xff"):
                    await socket.send(message)
                    seen.append(await socket.recv())
            return seen, socket.close_code

        return asyncio.run(in_loop())

    seen = three_times(echoes_frames, ask, tls=server_tls if is_tls else None)
    assert seen == (["one", "two", b"\0\xff"], 1000)


def test_handshake_is_refused(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            try:
                await websockets.connect(to_websocket(url))
            except websockets.InvalidHandshake as error:
                return type(error).__name__, str(error)

        return asyncio.run(in_loop())

    script = keep_alive(lambda request: response(b"not here", status=b"403 Forbidden"))
    assert "403" in three_times(script, ask)[1]


if importlib.util.find_spec("websockets.sync") is not None:

    @pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
    def test_messages_go_both_ways_without_a_loop(
        is_tls: bool, three_times: ThreeTimes, server_tls: Any, client_tls: Any
    ) -> None:
        from websockets.sync.client import connect

        def ask(url: str) -> Any:
            options: Any = {"ssl": client_tls} if is_tls else {}
            with connect(to_websocket(url), compression=None, **options) as socket:
                seen: list[Any] = []
                for message in ("one", "two"):
                    socket.send(message)
                    seen.append(socket.recv(timeout=5))
            return seen

        assert three_times(echoes_frames, ask, tls=server_tls if is_tls else None) == ["one", "two"]
