"""`cassette-http demo`: records a session against a server of its own, stops it, replays, and compares."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cassette_http import client
from cassette_http.cassette.modes import RecordMode
from cassette_http.errors import CassetteError
from cassette_http.session import use_cassette
from cassette_http.wording import shortened

USERS = [
    {"id": number, "name": name, "admin": number == 1} for number, name in enumerate(["Ada", "Grace", "Edsger"], 1)
]
HAIKU = [b"bytes fall down the wire\n", b"each in its own time and place\n", b"now they fall again\n"]

# The time-out of the program for an answer that never comes. Only the recording waits that long.
PATIENCE_S = 0.3
MOST_LINES_OF_A_DOCUMENT = 16
BASE64 = re.compile(r"(: !!binary \|.*\n)(?:  .*\n)+")


# ---------------------------------------------------------------------- the server


class _Api(http.server.BaseHTTPRequestHandler):
    """A small API: a login with a cookie, JSON, gzip, a stream, a 404, a broken answer, and one that never comes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        routes: dict[str, Callable[[], None]] = {
            "/users": lambda: self._json(USERS, coding="gzip"),
            "/users/1": lambda: self._json(USERS[0]),
            "/me": self._me,
            "/haiku": self._stream,
            "/broken": self._break_off,
            "/slow": self._say_nothing,
        }
        routes.get(self.path.partition("?")[0], self._missing)()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        user = json.loads(self.rfile.read(length)).get("user")
        self._json({"welcome": user}, fields={"Set-Cookie": f"session=5ecre7-{user}-0badc0ffee; Path=/; Secure"})

    def version_string(self) -> str:
        return "demo"

    def log_message(self, format: str, *args: object) -> None:
        """Write no log: the demo shows what matters."""

    def _json(self, value: object, status: int = 200, coding: str = "", fields: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        if coding:
            content = gzip.compress(content, mtime=0)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if coding:
            self.send_header("Content-Encoding", coding)
        for name, field in (fields or {}).items():
            self.send_header(name, field)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _me(self) -> None:
        is_known = "session=" in self.headers.get("Cookie", "")
        self._json({"logged in": is_known}, 200 if is_known else 401)

    def _missing(self) -> None:
        self._json({"error": f"no {self.path}"}, 404)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in HAIKU:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(0.05)  # a real pause, which the cassette records
        self.wfile.write(b"0\r\n\r\n")

    def _break_off(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"the first few of a thousand octets")
        self.close_connection = True

    def _say_nothing(self) -> None:
        self.rfile.read(1)  # until the client times out and closes
        self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""


def _tls() -> tuple[ssl.SSLContext, ssl.SSLContext] | tuple[None, None]:
    """TLS for the server, and for clients that trust it; None without the optional package for certificates."""
    try:
        import trustme
    except ImportError:
        return None, None
    authority = trustme.CA()
    serving, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(serving)
    authority.configure_trust(trust)
    return serving, trust


@contextmanager
def _serving(tls: ssl.SSLContext | None) -> Iterator[tuple[str, int]]:
    """Run the API on loopback; yields its host and port."""
    with _Server(("127.0.0.1", 0), _Api) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield "localhost", server.server_address[1]
        finally:
            server.shutdown()


# ---------------------------------------------------------------------- the program under test


@dataclass(frozen=True)
class _Step:
    """One step of the recorded program, and what it saw."""

    client: str
    what: str
    saw: str


def _session(host: str, port: int, trust: ssl.SSLContext | None) -> list[_Step]:
    """The program: knows nothing about cassettes, and reports what it saw."""
    return [*_with_client(host, port, trust), *_with_urllib(_origin(host, port, trust), trust)]


def _origin(host: str, port: int, trust: ssl.SSLContext | None) -> str:
    return f"{'http' if trust is None else 'https'}://{host}:{port}"


def _with_client(host: str, port: int, trust: ssl.SSLContext | None) -> Iterator[_Step]:
    if trust is None:
        connection = client.HTTPConnection(host, port, timeout=PATIENCE_S)
    else:
        connection = client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=trust)

    def ask(method: str, path: str, body: str | None = None, **fields: str) -> client.HTTPResponse:
        connection.request(method, path, body, fields)
        return connection.getresponse()

    def step(what: str, saw: str) -> _Step:
        return _Step("cassette_http.client", what, saw)

    answer = ask("POST", "/login", json.dumps({"user": "ada"}))
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    yield step("POST /login", f"{answer.status} {answer.read().decode()}")
    answer = ask("GET", "/me", Cookie=cookie)
    yield step("GET /me", f"{answer.status} {answer.read().decode()}")
    answer = ask("GET", "/users")
    coded = answer.read()
    names = ", ".join(user["name"] for user in json.loads(gzip.decompress(coded)))
    yield step("GET /users", f"{answer.status} gzip: {names}")
    answer = ask("GET", "/haiku")
    chunks = [str(len(chunk)) for chunk in iter(answer.read1, b"")]
    yield step("GET /haiku", f"{answer.status} chunks of {', '.join(chunks)}")
    for path in ("/broken", "/slow"):
        try:
            saw = ask("GET", path).read().decode()
        except client.HTTPException as error:
            saw = str(error)
        except OSError as error:
            saw = repr(error)
        yield step(f"GET {path}", saw)
        connection.close()


def _with_urllib(base: str, trust: ssl.SSLContext | None) -> Iterator[_Step]:
    for path in ("/users/1", "/nobody"):
        try:
            with urllib.request.urlopen(base + path, timeout=10, context=trust) as answer:
                saw = f"{answer.status} {answer.read().decode()}"
        except urllib.error.HTTPError as error:
            with error:
                saw = f"{error.code} {error.read().decode()}"
        yield _Step("urllib.request", f"GET {path}", saw)


# ---------------------------------------------------------------------- the demo


def run_demo(cassette: str | None) -> int:
    """Record, stop the server, replay, compare; returns the exit code.

    Writes `cassette`, which must not exist, or a file in a new folder.
    """
    if cassette and os.path.lexists(cassette):
        print(f"the demo writes a new file, and {cassette} exists", file=sys.stderr)
        return 2
    path = Path(cassette) if cassette else Path(tempfile.mkdtemp(prefix="cassette-http-demo-")) / "demo.yaml"
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    serving, trust = _tls()

    with _serving(serving) as (host, port):
        print(f"\n1  Recording a session with {_origin(host, port, trust)}")
        if trust is None:
            print("   without TLS: for that, pip install 'cassette-http[tls]'")
        started = time.perf_counter()
        with use_cassette(path, RecordMode.REWRITE) as recorded:
            live = _session(host, port, trust)
        print(f"   {len(recorded.recorded)} interactions in {_milliseconds(started)}")

    print("\n2  The server is stopped; replaying the session from the cassette")
    _check_nobody_listens(host, port)
    started = time.perf_counter()
    with use_cassette(path, RecordMode.NONE) as played:
        replayed = _session(host, port, trust)
    print(f"   {played.play_count} interactions in {_milliseconds(started)}, no connection")

    print("\n3  What the program saw")
    _show_side_by_side(live, replayed, width)
    print("\n4  The cassette, a text file")
    print(f"   {path}  ({path.stat().st_size:,} octets)\n")
    _show_documents(path.read_text(encoding="utf-8"), 4, width)
    print(f"\nLive and replay {'agree in every detail' if live == replayed else 'differ'}.")
    return 0 if live == replayed else 1


def _check_nobody_listens(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return
    raise CassetteError(f"the demo's server on port {port} is still there: the replay would prove nothing")


def _milliseconds(started: float) -> str:
    return f"{1000 * (time.perf_counter() - started):.0f} ms"


def _show_side_by_side(live: list[_Step], replayed: list[_Step], width: int) -> None:
    what_width = max(len(step.what) for step in live)
    saw_width = (width - what_width - 11) // 2
    print(f"     {'':{what_width}}  {'live':{saw_width}}   replay")
    client_now = ""
    for one, other in zip(live, replayed, strict=True):
        if one.client != client_now:
            client_now = one.client
            print(f"   with {client_now}")
        left, right = (shortened(step.saw, saw_width) for step in (one, other))
        print(f"     {one.what:{what_width}}  {left:{saw_width}} {'=' if one == other else '≠'} {right}")


def _show_documents(cassette: str, count: int, width: int) -> None:
    """Print the first documents of a cassette, without base64, which nobody can read."""
    documents = BASE64.sub(r"\1  …\n", cassette).split("---\n")[:-1]
    for document in documents[:count]:
        lines = document.splitlines()
        for line in lines[:MOST_LINES_OF_A_DOCUMENT]:
            print(f"   {shortened(line, width - 3)}")
        if len(lines) > MOST_LINES_OF_A_DOCUMENT:
            print(f"     … {len(lines) - MOST_LINES_OF_A_DOCUMENT} lines")
        print("   ---")
    if len(documents) > count:
        print(f"   … {len(documents) - count} documents")
