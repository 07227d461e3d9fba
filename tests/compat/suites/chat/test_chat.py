import asyncio
import time

import httpx
import pytest
from conftest import BASE

pytestmark = pytest.mark.vcr


def test_answer(ask):
    assert ask("What is the capital of France?", seed=time.time()) == "Paris"


def test_deployment_does_not_matter(ask):
    assert ask("What is the capital of France?", deployment="another") == "Paris"


def test_two_turns(ask):
    assert ask("What is the capital of France?") == "Paris"
    assert ask("And of Italy?") == "Rome"


def test_repeated(ask):
    assert {ask("And of Italy?") for _ in range(3)} == {"Rome"}


@pytest.mark.vcr("models.yaml")
def test_with_another_cassette(ask):
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{BASE}/models").json() == ["small", "large"]
    assert ask("And of Italy?") == "Rome"


def test_asynchronous():
    async def run():
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{BASE}/models") for _ in range(2)))
        return [answer.json() for answer in answers]

    assert asyncio.run(run()) == [["small", "large"]] * 2


def test_stream():
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{BASE}/stream") as answer:
        assert b"".join(answer.iter_bytes()) == b"data: 1\n\ndata: 2\n\n"


def test_that_asks_something_else(ask):
    """Fails with every recorder."""
    ask("What is the capital of Spain?")
