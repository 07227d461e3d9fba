"""The server whose answers the recorders of others recorded, and what was asked of it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PORT = 8642
BASE = f"http://127.0.0.1:{PORT}"

JSON = json.dumps({"name": "Ada", "langs": ["en", "fr"], "note": "naïve ☕"}, ensure_ascii=False).encode()
OCTETS = bytes(range(256)) * 2
TYPE_JSON = ("Content-Type", "application/json")


def _deflated(content: bytes) -> bytes:
    return zlib.compress(content)


ANSWERS: dict[str, tuple[int, str, list[tuple[str, str]], bytes]] = {
    "/json": (200, "OK", [TYPE_JSON], JSON),
    "/gzip": (200, "OK", [TYPE_JSON, ("Content-Encoding", "gzip")], gzip.compress(JSON, mtime=0)),
    "/deflate": (200, "OK", [TYPE_JSON, ("Content-Encoding", "deflate")], _deflated(JSON)),
    "/latin": (200, "OK", [("Content-Type", "text/plain; charset=iso-8859-1")], "déjà vu\n".encode("latin-1")),
    "/octets": (200, "OK", [("Content-Type", "application/octet-stream")], OCTETS),
    "/fields": (
        200,
        "OK",
        [("Content-Type", "text/plain"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Empty", "")],
        b"two cookies",
    ),
    "/moved": (302, "Found", [("Location", "/json")], b""),
    "/nothing": (204, "No Content", [], b""),
    "/missing": (404, "Gone Fishing", [("Content-Type", "text/plain")], b"no such page\n"),
    "/echo": (201, "Created", [TYPE_JSON], b'{"ok": true}'),
    "/search": (200, "OK", [("Content-Type", "text/plain")], b"found\r\n\r\n  two lines  \n"),
}

Ask = tuple[str, str, dict[str, str], bytes | None]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASKED: list[Ask] = [
    ("GET", "/json", {"Accept": "*/*"}, None),
    ("GET", "/gzip", {}, None),
    ("GET", "/deflate", {}, None),
    ("GET", "/chunked", {}, None),
    ("GET", "/chunked-gzip", {}, None),
    ("GET", "/latin", {}, None),
    ("GET", "/octets", {}, None),
    ("GET", "/fields", {}, None),
    ("GET", "/moved", {}, None),
    ("GET", "/nothing", {}, None),
    ("GET", "/missing", {}, None),
    ("HEAD", "/json", {}, None),
    ("GET", "/until-close", {}, None),
    ("POST", "/echo", {"Content-Type": "application/json"}, b'{"a": [1, 2]}'),
    ("POST", "/echo", FORM, b"name=Ada&lang=en+fr"),
    ("PUT", "/echo", {"Content-Type": "application/octet-stream"}, b"\x00\xff\x80"),
    ("GET", "/search?q=a%20b&empty=&q=2", {}, None),
    ("GET", "/counted", {}, None),
    ("GET", "/counted", {}, None),
]  # fmt: skip

# What a recorder cannot keep: octets that are no text (VCR.py as JSON, Betamax, responses), answers to HEAD (Betamax).
NOT_ASKED = {
    "vcr_json.json": {"/gzip", "/deflate", "/chunked-gzip", "/latin", "/octets", "PUT"},
    "betamax.json": {"/deflate", "/octets", "PUT", "HEAD"},
    "betamax_exact.json": {"PUT", "HEAD"},
    "responses.yaml": {"/octets"},
}


def asked_of(cassette: str) -> list[int]:
    """The positions in ASKED of what was recorded into a cassette."""
    left_out = NOT_ASKED.get(cassette, set())
    return [at for at, (method, target, _, _) in enumerate(ASKED) if not left_out & {method, target}]


class Handler(BaseHTTPRequestHandler):
    """Gives the answers above; without Date and Server, as these would change with each recording."""

    protocol_version = "HTTP/1.1"
    counted = 0

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        if path == "/until-close":
            self.close_connection = True
            self.head(200, "OK", [("Content-Type", "text/plain"), ("Connection", "close")])
            self.wfile.write(b"until the end")
        elif path in ("/chunked", "/chunked-gzip"):
            coding = [("Content-Encoding", "gzip")] if path == "/chunked-gzip" else []
            content = gzip.compress(JSON, mtime=0) if coding else JSON
            self.head(200, "OK", [TYPE_JSON, *coding, ("Transfer-Encoding", "chunked")])
            for piece in (content[:20], content[20:]):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/counted":
            Handler.counted += 1
            content = b"time %d" % Handler.counted
            self.head(200, "OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
            self.wfile.write(content)
        else:
            status, reason, fields, content = ANSWERS[path]
            length = [] if status == 204 else [("Content-Length", str(len(content)))]
            self.head(status, reason, [*fields, *length])
            if self.command != "HEAD":
                self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def head(self, status: int, reason: str, fields: list[tuple[str, str]]) -> None:
        self.send_response_only(status, reason)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[None]:
    Handler.counted = 0
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
