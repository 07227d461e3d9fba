"""What the SDK of OpenAI does by itself, blocking and on asyncio: answers, streams of events, retries, errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from downstream.serving import ThreeTimes, as_json, fails_each_first_time, sends_in_chunks
from tests.peer import keep_alive

WORDS = ["Replays", " are", " streams", " too", "."]
ASKED: Any = {"model": "gpt-4", "messages": [{"role": "user", "content": "What are replays?"}]}


def piece(word: str | None) -> bytes:
    choice = {"index": 0, "delta": {"content": word} if word else {}, "finish_reason": None if word else "stop"}
    told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4", "choices": [choice]}
    return b"data: " + json.dumps(told).encode() + b"\n\n"


STREAMED = [piece(word) for word in WORDS] + [piece(None), b"data: [DONE]\n\n"]
COMPLETION = as_json(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6},
    }
)


def blocking(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-0123456789abcdef0123456789abcdef", base_url=url + "/v1", max_retries=2)


def on_loop(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk-0123456789abcdef0123456789abcdef", base_url=url + "/v1", max_retries=2)


def test_completion(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with blocking(url) as client:
            return client.chat.completions.create(**ASKED).model_dump()

    seen = three_times(keep_alive(lambda request: COMPLETION), ask)
    assert seen["choices"][0]["message"]["content"] == "".join(WORDS)


def test_stream(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with blocking(url) as client:
            stream = client.chat.completions.create(**ASKED, stream=True)
            return [one.choices[0].delta.content for one in stream]

    assert three_times(sends_in_chunks(STREAMED, b"Content-Type: text/event-stream"), ask) == [*WORDS, None]


def test_stream_on_asyncio(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with on_loop(url) as client:
                stream = await client.chat.completions.create(**ASKED, stream=True)
                return [one.choices[0].delta.content async for one in stream]

        return asyncio.run(in_loop())

    assert three_times(sends_in_chunks(STREAMED, b"Content-Type: text/event-stream"), ask) == [*WORDS, None]


def test_streams_of_several_tasks(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        async def in_loop() -> Any:
            async with on_loop(url) as client:

                async def one(number: int) -> str:
                    messages: Any = [{"role": "user", "content": f"question {number}"}]
                    stream = await client.chat.completions.create(model="gpt-4", messages=messages, stream=True)
                    return "".join([part.choices[0].delta.content or "" async for part in stream])

                return await asyncio.gather(*(one(number) for number in range(6)))

        return asyncio.run(in_loop())

    script = sends_in_chunks(STREAMED, b"Content-Type: text/event-stream")
    assert three_times(script, ask) == ["".join(WORDS)] * 6


def test_retries(three_times: ThreeTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is waited between attempts is the SDK's own business.
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def ask(url: str) -> Any:
        with blocking(url) as client:
            return client.chat.completions.create(**ASKED).choices[0].message.content

    script = fails_each_first_time(COMPLETION, status=b"429 Too Many Requests")
    assert three_times(script, ask) == "".join(WORDS)


def test_error_of_the_service(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with blocking(url) as client:
            try:
                return client.models.list()
            except openai.AuthenticationError as error:
                return error.status_code, str(error)

    refused = as_json({"error": {"message": "wrong key", "code": "invalid_api_key"}}, status=b"401 Unauthorized")
    assert three_times(keep_alive(lambda request: refused), ask)[0] == 401
