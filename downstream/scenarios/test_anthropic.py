"""What the SDK of Anthropic does by itself, blocking and on asyncio: streams of named events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic

from downstream.serving import ThreeTimes, sends_in_chunks

WORDS = ["Replays", " are", " streams", " too", "."]
ASKED: Any = {
    "model": "claude-3",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "What are replays?"}],
    "stream": True,
}


def named(name: str, **told: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **told})}\n\n".encode()


MESSAGE: dict[str, Any] = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "claude-3",
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
STREAMED = [
    named("message_start", message=MESSAGE),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    *(named("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS),
    named("content_block_stop", index=0),
    named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 5}),
    named("message_stop"),
]
SCRIPT_FIELDS = b"Content-Type: text/event-stream; charset=utf-8"


def words_of(events: list[Any]) -> list[str]:
    return [one.delta.text for one in events if one.type == "content_block_delta"]


def test_stream(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with anthropic.Anthropic(api_key="sk-ant-0123456789abcdef", base_url=url) as client:
            events = list(client.messages.create(**ASKED))
        return [one.type for one in events], words_of(events)

    assert three_times(sends_in_chunks(STREAMED, SCRIPT_FIELDS), ask)[1] == WORDS


def test_stream_on_asyncio(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with anthropic.AsyncAnthropic(api_key="sk-ant-0123456789abcdef", base_url=url) as client:
                events = [one async for one in await client.messages.create(**ASKED)]
            return [one.type for one in events], words_of(events)

        return asyncio.run(in_loop())

    assert three_times(sends_in_chunks(STREAMED, SCRIPT_FIELDS), ask)[1] == WORDS
