"""What requests does by itself: sessions, authentication, streams, uploads, retries, threads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import Retry

from downstream.serving import (
    SSE_EVENTS,
    ThreeTimes,
    asks_for_digest,
    counting,
    echo,
    fails_each_first_time,
    sends_in_chunks,
)
from tests.peer import keep_alive, response


def test_session_keeps_its_cookies_and_its_connection(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session:
            return [session.get(url + "/a", params={"q": "ü"}).json() for _ in range(3)], dict(session.cookies)

    told, cookies = three_times(keep_alive(echo), ask)
    assert [one["cookie"] for one in told] == ["", "theme=dark", "theme=dark"]
    assert cookies == {"theme": "dark"}


def test_digest_authentication(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        answer = requests.get(url, auth=HTTPDigestAuth("bob", "sesame"))
        return answer.status_code, answer.text, [one.status_code for one in answer.history]

    assert three_times(keep_alive(asks_for_digest), ask) == (200, "welcome", [401])


def test_lines_of_a_stream(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.get(url, stream=True) as answer:
            return list(answer.iter_lines(chunk_size=None))

    assert len(three_times(sends_in_chunks(SSE_EVENTS), ask)) == 2 * len(SSE_EVENTS)


def generated() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    "upload",
    [
        pytest.param({"data": {"a": "1", "b": "2"}}, id="form"),
        pytest.param({"json": {"a": [1, 2]}}, id="json"),
        pytest.param({"files": {"f": ("name.txt", b"content")}}, id="multipart"),
        pytest.param({"data": generated}, id="generator"),
        pytest.param({"data": lambda: io.BytesIO(b"x" * 100_000)}, id="file"),
    ],
)
def test_upload(upload: dict[str, Any], three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        options = {name: value() if callable(value) else value for name, value in upload.items()}
        return requests.post(url, **options).json()["octets"]

    assert three_times(keep_alive(echo), ask) > 0


def test_retries_of_the_adapter(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
            return session.get(url).text

    assert three_times(fails_each_first_time(response(b"at last")), ask) == "at last"


def test_own_authority_and_redirect_to_another_host(three_times: ThreeTimes, server_tls: Any, ca_file: Path) -> None:
    def ask(url: str) -> Any:
        answer = requests.get(url + "/start", verify=str(ca_file))
        return answer.text, [one.headers["Location"] for one in answer.history]

    def redirect(request: bytes) -> bytes:
        port = request.partition(b"Host: ")[2].partition(b"\r\n")[0].rpartition(b":")[2]
        if b"GET /end " in request:
            return response(b"arrived")
        return response(b"", b"Location: https://localhost:" + port + b"/end", status=b"307 Temporary Redirect")

    assert three_times(keep_alive(redirect), ask, tls=server_tls)[0] == "arrived"


def test_threads_share_a_session(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session, ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda number: session.get(f"{url}/{number}").json()["line"], range(40)))

    assert three_times(keep_alive(echo), ask)[39] == "GET /39 HTTP/1.1"


def test_connection_is_kept(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session:
            return [session.get(url).text for _ in range(3)]

    assert three_times(counting(), ask) == ["1", "2", "3"]
