"""A client of a language model, tested with pytest-recording and httpx, synchronous and asynchronous."""

import json
import re

import httpx
import pytest

BASE = "http://localhost:8643"


@pytest.fixture(scope="module")
def vcr_config():
    return {
        "match_on": ["method", "scheme", "host", "port", "path", "query", "prompt"],
        "before_record_request": [without_headers, without_deployment],
        "before_record_response": lambda response: (
            (response["headers"].pop("x-request-id", None) and response) or response
        ),
        "ignore_hosts": ["telemetry.example.com"],
        "allow_playback_repeats": True,
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir(request):
    return str(request.path.parent / "recorded" / request.path.stem)


def without_headers(request):
    request.headers = {"content-type": request.headers["content-type"]} if request.body else {}
    return request


def without_deployment(request):
    request.uri = re.sub("/deployments/[^/]+/", "/deployments/some/", request.uri)
    return request


def prompt(one, other):
    assert bool(one.body) == bool(other.body), "only one has a prompt"
    if not one.body:
        return
    first, second = json.loads(one.body), json.loads(other.body)
    assert first["messages"] == second["messages"], "another prompt"


def pytest_recording_configure(config, vcr):
    vcr.register_matcher("prompt", prompt)


@pytest.fixture
def ask():
    def ask(question, deployment="mine", **more):
        body = {"messages": [{"role": "user", "content": question}], **more}
        headers = {"api-key": "a-key-that-nobody-knows-0123456"}
        with httpx.Client(trust_env=False) as client:
            answer = client.post(f"{BASE}/deployments/{deployment}/chat", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]

    return ask
