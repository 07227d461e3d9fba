"""What httplib2 does by itself: its cache, authentication, redirects, codings."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path
from typing import Any

import httplib2

from downstream.serving import ThreeTimes, asks_for_digest, counting, field_of, target_of
from tests.peer import keep_alive, response


def test_cache_asks_whether_it_is_still_right(three_times: ThreeTimes) -> None:
    def serve(request: bytes) -> bytes:
        if field_of(request, b"If-None-Match") == b'"1"':
            return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
        return response(b"content", b'ETag: "1"', b"Cache-Control: no-cache")

    def ask(url: str) -> Any:
        folder = tempfile.mkdtemp()
        http = httplib2.Http(folder)
        seen = [(answer.status, answer.fromcache, content) for answer, content in (http.request(url) for _ in range(3))]
        http.close()
        shutil.rmtree(folder)
        return seen

    assert three_times(keep_alive(serve), ask)[1:] == [(200, True, b"content")] * 2


def test_digest_authentication(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        http = httplib2.Http()
        http.add_credentials("bob", "sesame")
        answer, content = http.request(url)
        http.close()
        return answer.status, content

    assert three_times(keep_alive(asks_for_digest), ask) == (200, b"welcome")


def test_redirect_with_a_body(three_times: ThreeTimes, server_tls: Any, ca_file: Path) -> None:
    def serve(request: bytes) -> bytes:
        if target_of(request) == "/end":
            return response(gzip.compress(b"arrived", mtime=0), b"Content-Encoding: gzip")
        return response(b"", b"Location: /end", status=b"308 Permanent Redirect")

    def ask(url: str) -> Any:
        http = httplib2.Http(ca_certs=str(ca_file))
        answer, content = http.request(url + "/start", "POST", b"body", {"Content-Type": "text/plain"})
        http.close()
        return answer.status, content, answer.previous.status if answer.previous else None

    assert three_times(keep_alive(serve), ask, tls=server_tls)[:2] == (200, b"arrived")


def test_connection_is_kept(three_times: ThreeTimes) -> None:
    def ask(url: str) -> Any:
        http = httplib2.Http()
        seen = [http.request(url)[1] for _ in range(3)]
        http.close()
        return seen

    assert three_times(counting(), ask) == [b"1", b"2", b"3"]
