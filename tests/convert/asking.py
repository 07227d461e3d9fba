"""Asks with one of several clients, and says what the program saw."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
import urllib3

Seen = dict[str, Any]
"""`status`, `reason`, `fields` (pairs, names in lower case, sorted), `content` (base64; decoded if the client does)."""


def seen(status: int, reason: str, fields: list[tuple[str, str]], content: bytes) -> Seen:
    pairs = sorted([[name.lower(), value] for name, value in fields])
    return {"status": status, "reason": reason, "fields": pairs, "content": base64.b64encode(content).decode()}


def with_requests(method: str, url: str, fields: Mapping[str, str], body: bytes | None) -> Seen:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, headers=dict(fields), data=body, allow_redirects=False)
        return seen(answer.status_code, answer.reason, list(answer.raw.headers.items()), answer.content)


def with_urllib3(method: str, url: str, fields: Mapping[str, str], body: bytes | None) -> Seen:
    with urllib3.PoolManager() as pool:
        answer = pool.request(method, url, headers=dict(fields), body=body, redirect=False, retries=False)
        return seen(answer.status, answer.reason or "", list(answer.headers.items()), answer.data)


def with_httpx(method: str, url: str, fields: Mapping[str, str], body: bytes | None) -> Seen:
    with httpx.Client(trust_env=False) as client:
        answer = client.request(method, url, headers=dict(fields), content=body)
        return seen(answer.status_code, answer.reason_phrase, answer.headers.multi_items(), answer.content)


def with_http_client(method: str, url: str, fields: Mapping[str, str], body: bytes | None) -> Seen:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body, dict(fields))
        answer = connection.getresponse()
        return seen(answer.status, answer.reason, answer.getheaders(), answer.read())
    finally:
        connection.close()


CLIENTS: dict[str, Callable[..., Seen]] = {
    "requests": with_requests,
    "urllib3": with_urllib3,
    "httpx": with_httpx,
    "http.client": with_http_client,
}
