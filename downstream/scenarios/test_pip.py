"""The libraries inside pip: copies that nobody can import under the names they have elsewhere."""

from __future__ import annotations

from typing import Any

from pip._internal.network.session import PipSession
from pip._vendor import requests

from downstream.serving import ThreeTimes, counting, echo
from tests.peer import keep_alive, response


def test_vendored_requests(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session:
            return [session.get(url + "/a").json()["cookie"] for _ in range(2)]

    assert three_times(keep_alive(echo), ask) == ["", "theme=dark"]


def test_vendored_connection_is_kept(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        with requests.Session() as session:
            return [session.get(url).text for _ in range(3)]

    assert three_times(counting(), ask) == ["1", "2", "3"]


def test_index_of_packages(three_times: ThreeTimes) -> None:
    page = b'<!DOCTYPE html><html><body><a href="a-1.0.tar.gz">a-1.0.tar.gz</a></body></html>'

    def ask(url: str) -> Any:
        session = PipSession(retries=2)
        answer = session.get(url + "/simple/a/", headers={"Accept": "text/html"})
        session.close()
        return answer.status_code, answer.content

    assert three_times(keep_alive(lambda request: response(page, b"Content-Type: text/html")), ask) == (200, page)
