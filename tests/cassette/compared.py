"""Requests that are compared with each other."""

from __future__ import annotations

from cassette_http.cassette import explaining
from cassette_http.cassette.matching import Matching, resolve
from cassette_http.cassette.model import Origin, Request

__all__ = ["FILE", "FORM", "JSON", "ORIGIN", "differences", "multipart", "post", "request", "same"]


ORIGIN = Origin("https", "api.test", 443)
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def request(
    target: str = "/",
    *lines: tuple[str, str],
    method: str = "GET",
    body: bytes = b"",
    origin: Origin = ORIGIN,
) -> Request:
    head = f"{method} {target} HTTP/1.1\r\nHost: {origin.authority}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return Request(origin, (head + "\r\n").encode("latin-1"), body)


def post(body: bytes, *lines: tuple[str, str]) -> Request:
    return request("/", *lines, method="POST", body=body)


def differences(matching: Matching, sent: Request, recorded: Request) -> list[str]:
    return [str(each) for each in explaining.differences(matching, sent, recorded)]


def same(match: str, left: Request, right: Request) -> bool:
    matching = resolve([match])
    is_same = matching.key(left) == matching.key(right)
    assert is_same == (hash(matching.key(left)) == hash(matching.key(right)))
    assert is_same == (not differences(matching, left, right))
    return is_same


def multipart(boundary: str, *parts: tuple[str, bytes], end: str = "--", preamble: bytes = b"") -> Request:
    body = preamble
    for head, content in parts:
        body += f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    body += f"--{boundary}{end}\r\n".encode()
    return post(body, ("Content-Type", f"multipart/form-data; boundary={boundary}"))


FILE = 'Content-Disposition: form-data; name="f"'
