"""The canned answers: what the peer says to a request target, octet by octet."""

from __future__ import annotations

import functools
import json
import random

__all__ = ["answer_to", "item_target"]

MEGABYTE = 1_000_000
CHUNK_OCTETS = 8192

# Twelve field lines with Content-Length, as an ordinary server behind a proxy sends them.
SMALL_FIELDS = """\
Date: Mon, 23 Nov 2026 10:00:00 GMT
Server: nginx/1.24.0
Content-Type: application/octet-stream
Connection: keep-alive
Cache-Control: private, max-age=0, must-revalidate
ETag: "5f3c9a7e41b2d"
Last-Modified: Sun, 22 Nov 2026 08:12:31 GMT
Vary: Accept-Encoding, Origin
X-Request-Id: 7f8d0c52-1b6c-4f0e-9a53-2f1f4e7b8d10
X-Frame-Options: DENY
Strict-Transport-Security: max-age=31536000; includeSubDomains
"""

FIRST_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Tony", "Margaret")
LAST_NAMES = ("Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Allen", "Hoare", "Hamilton")
WORDS = ("cassette", "track", "reel", "wire", "octet", "chunk", "trailer", "origin", "gateway", "tunnel")


def item_target(number: int) -> str:
    """The target of one of the JSON answers; each number has its own."""
    return f"/api/v2/items/{number}?expand=owner,tags"


@functools.lru_cache(maxsize=20_000)
def answer_to(target: str) -> bytes:
    """The whole answer to GET `target`: /small, /large/<megabytes>, /chunked/<megabytes>, or that of an item.

    Those of many megabytes consist of lines.
    """
    kind, _, rest = target.lstrip("/").partition("/")
    if kind == "small":
        return _answer(SMALL_FIELDS, "Content-Length: 1000", b"x" * 1000)
    if kind == "large":
        octets = int(rest) * MEGABYTE
        return _answer(SMALL_FIELDS, f"Content-Length: {octets}", _lines(octets))
    if kind == "chunked":
        return _answer(SMALL_FIELDS, "Transfer-Encoding: chunked", _chunked(_lines(int(rest) * MEGABYTE)))
    if kind == "api":
        return _item(int(rest.rpartition("/")[2].partition("?")[0]))
    return _answer(SMALL_FIELDS, "Content-Length: 0", b"", "404 Not Found")


def _answer(fields: str, framing: str, body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\n{fields}{framing}\n\n"
    return head.replace("\n", "\r\n").encode("ascii") + body


def _lines(octets: int) -> bytes:
    return b"".join([b"x" * 79 + b"\n"] * (octets // 80))


def _chunked(content: bytes) -> bytes:
    pieces = [content[start : start + CHUNK_OCTETS] for start in range(0, len(content), CHUNK_OCTETS)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _item(number: int) -> bytes:
    """What a REST API says about one item: compact JSON of about 1 KB, never the same twice."""
    chance = random.Random(number)
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    value = {
        "id": number,
        "uuid": f"{chance.getrandbits(128):032x}",
        "name": f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}",
        "description": " ".join(chance.choice(WORDS) for _ in range(40)) + ".",
        "price": round(chance.uniform(1, 500), 2),
        "currency": "EUR",
        "in_stock": chance.random() < 0.7,
        "rating": None if chance.random() < 0.2 else round(chance.uniform(1, 5), 1),
        "tags": chance.sample(WORDS, 4),
        "owner": {
            "id": chance.randrange(10_000),
            "name": f"{first} {last}",
            "email": f"{first}.{last}@example.com".lower(),
            "url": f"https://api.example.com/v2/users/{chance.randrange(10_000)}",
        },
        "dimensions": [{"axis": axis, "millimetres": chance.randrange(1, 900)} for axis in "xyz"],
        "created_at": f"2026-0{chance.randrange(1, 9)}-1{chance.randrange(10)}T08:3{chance.randrange(10)}:00Z",
        "links": {"self": f"/api/v2/items/{number}", "next": f"/api/v2/items/{number + 1}"},
    }
    content = json.dumps(value, separators=(",", ":")).encode()
    fields = f"""\
Date: Mon, 23 Nov 2026 10:{number // 60 % 60:02}:{number % 60:02} GMT
Server: nginx/1.24.0
Content-Type: application/json; charset=utf-8
Connection: keep-alive
Cache-Control: private, max-age=0
ETag: W/"{chance.getrandbits(64):016x}"
Vary: Accept, Accept-Encoding
X-RateLimit-Remaining: {5000 - number % 5000}
X-Request-Id: {chance.getrandbits(64):016x}
"""
    return _answer(fields, f"Content-Length: {len(content)}", content)
