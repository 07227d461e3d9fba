"""Records the cassettes of the suites with the plugins that they were written for, and the outcome of each test.

make compat, then .venv/compat/bin/python -m tests.compat.record
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

SUITES = Path(__file__).parent / "suites"
ISSUES = [
    {"number": 1, "title": "First", "owner": "ada@corp.test"},
    {"number": 2, "title": "Second", "owner": "x@corp.test"},
]
CAPITALS = {"What is the capital of France?": "Paris", "And of Italy?": "Rome"}

# The plugin that each suite was written for, and how it is told to record.
PLUGINS = {
    "issues": ("pytest_recording.plugin", "--record-mode=once"),
    "chat": ("pytest_recording.plugin", "--record-mode=once"),
    "weather": ("pytest_vcr", "--vcr-record=once"),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        path = parts.path
        status, reason, fields = 200, "OK", [("Content-Type", "application/json"), ("X-Request-Id", "7f3a")]
        value: Any
        if path == "/repos/demo/issues" and self.command == "POST":
            status, reason, value = 201, "Created", {"number": 3, **json.loads(body), "owner": "ada@corp.test"}
        elif path == "/repos/demo/issues":
            value = ISSUES
        elif path.startswith("/repos/demo/issues/"):
            value = {**ISSUES[0], **json.loads(body)}
        elif path == "/compressed":
            value = {"compressed": True}
        elif path.endswith("/chat"):
            question = json.loads(body)["messages"][-1]["content"]
            value = {"choices": [{"message": {"role": "assistant", "content": CAPITALS.get(question, "?")}}]}
        elif path == "/models":
            value = ["small", "large"]
        elif path == "/forecast":
            value = {"cities": query["city"], "degrees": 21.5}
        elif path == "/stations":
            value = [{"id": 1}, {"id": 2}]
        elif path.startswith("/stations/"):
            value = {"id": 1, "name": "Harbour"}
        elif path == "/login":
            value = {"welcome": parse_qs(body.decode())["user"][0]}
        elif path == "/broken":
            status, reason, value = 503, "Try Later", {"retry": True}
        else:
            status, reason, value = 404, "Not Here", {"error": path}
        content = json.dumps(value).encode()
        if path == "/stream":
            status, reason, content, fields = (
                200,
                "OK",
                b"data: 1\n\ndata: 2\n\n",
                [("Content-Type", "text/event-stream")],
            )
        if path == "/compressed":
            content = gzip.compress(content, mtime=0)
            fields.append(("Content-Encoding", "gzip"))
        self.send_response_only(status, reason)
        for name, field in [*fields, ("Content-Length", str(len(content)))]:
            self.send_header(name, field)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[None]:
    server = ThreadingHTTPServer(("localhost", 8643), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def run(suite: str, folder: Path, *arguments: str) -> dict[str, str]:
    """Run the suite in a folder with its plugin; give the outcome of each test."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        PLUGINS[suite][0],
        "-p",
        "no:cacheprovider",
        "-rA",
        "-q",
        "--tb=no",
    ]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return outcomes(done.stdout) or {"nothing ran": done.stdout + done.stderr}


def outcomes(output: str) -> dict[str, str]:
    """The outcomes that `pytest -rA` writes, by test."""
    found = {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED", "ERROR"):
            found[rest.partition(" - ")[0]] = word
    return dict(sorted(found.items()))


def forget_the_last_answer(folder: Path) -> None:
    """A test that shall fail in replay asks for more than its cassette has."""
    (path,) = folder.rglob("*test_that_asks*.yaml")
    cassette = yaml.safe_load(path.read_text())
    cassette["interactions"].pop()
    path.write_text(yaml.dump(cassette))


def main() -> None:
    outcome = {}
    for suite, (_, option) in PLUGINS.items():
        with tempfile.TemporaryDirectory() as temporary:
            # Away from our own configuration of pytest.
            folder = Path(temporary) / suite
            shutil.copytree(SUITES / suite, folder, ignore=shutil.ignore_patterns("*.yaml", "__pycache__"))
            with serving():
                print(suite, "recorded:", run(suite, folder, option))
                for path in folder.rglob("test_asynchronous.yaml"):  # a cassette that another test takes along
                    shutil.copy(path, path.with_name("models.yaml"))
                    path.with_name("test_with_another_cassette.yaml").unlink()
                    run(suite, folder, "--record-mode=new_episodes", "-k", "another_cassette")
            forget_the_last_answer(folder)
            outcome[suite] = run(suite, folder)
            print(suite, "replayed:", outcome[suite])
            for path in folder.rglob("*.yaml"):
                target = SUITES / suite / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    (SUITES / "outcomes.json").write_text(json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
