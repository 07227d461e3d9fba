"""Large bodies lie beside the cassette, in files that are named by what they hold."""

from __future__ import annotations

import gzip
import http.client
import os
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from cassette_http import CassetteFormatError, CassetteNotWritable, use_cassette
from cassette_http.cassette.blobs import BlobFolder
from cassette_http.cassette.files import Files
from cassette_http.checking import check_paths, find_orphans, redact_files
from cassette_http.cli import main
from tests.peer import LIMIT_S, Connection, Peer, Script, keep_alive, response

LARGE = random.Random(7).randbytes(3000)
TEXT = b"".join(b"line %d of a long text\n" % number for number in range(300))


def ask(server: Peer, target: str = "/", body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
    try:
        connection.request("POST" if body else "GET", target, body)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "large.yaml"


def blobs(path: Path) -> dict[str, bytes]:
    folder = path.parent / "blobs"
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


CHUNKED = b"".join(
    b"%x\r\n%b\r\n" % (len(TEXT[at : at + 1000]), TEXT[at : at + 1000]) for at in range(0, len(TEXT), 1000)
)

RESPONSES = [
    pytest.param(response(LARGE), LARGE, id="octets"),
    pytest.param(response(TEXT, b"Content-Type: text/plain"), TEXT, id="text"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED + b"0\r\nA: b\r\n\r\n", TEXT, id="chunked"
    ),
    pytest.param(
        response(gzip.compress(TEXT * 30), b"Content-Encoding: gzip"), gzip.compress(TEXT * 30), id="coded as it came"
    ),
]


@pytest.mark.parametrize(("octets", "content"), RESPONSES)
def test_large_body_gets_a_file_of_its_own(
    octets: bytes, content: bytes, peer: Callable[..., Peer], path: Path
) -> None:
    server = peer(keep_alive(lambda request: octets))
    with use_cassette(path, blob_threshold=1000):
        live = ask(server)
    name = sha256(content).hexdigest()
    assert blobs(path) == {name: content} or "gzip" in str(octets[:200])
    assert len(path.read_bytes()) < 1500
    server.stop()
    with use_cassette(path, "none") as cassette:
        assert ask(server) == live
    [interaction] = cassette.interactions
    assert interaction.track.octets == octets


def test_small_body_that_means_a_large_one_gets_a_file_too(peer: Callable[..., Peer], path: Path) -> None:
    octets = gzip.compress(b"a" * 2_000_000)
    server = peer(keep_alive(lambda request: response(octets, b"Content-Encoding: gzip")))
    with use_cassette(path):
        ask(server)
    assert len(octets) < 3000
    assert blobs(path) == {sha256(octets).hexdigest(): octets}
    with use_cassette(path, "none"):
        assert ask(server) == octets


def test_large_body_of_a_request_does_too_and_is_matched(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"thanks")))
    with use_cassette(path, blob_threshold=1000):
        ask(server, "/", LARGE)
    assert blobs(path) == {sha256(LARGE).hexdigest(): LARGE}
    with use_cassette(path, "none") as cassette:
        with pytest.raises(OSError, match="body"):
            ask(server, "/", LARGE + b"!")
        cassette.misses.clear()
        assert ask(server, "/", LARGE) == b"thanks"


@pytest.mark.parametrize("threshold", [len(LARGE), None])
def test_body_that_is_not_beyond_the_threshold_stays_in_the_cassette(
    threshold: int | None, peer: Callable[..., Peer], path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(LARGE)))
    with use_cassette(path, blob_threshold=threshold):
        ask(server)
    assert blobs(path) == {}


def test_equal_bodies_share_a_file(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(LARGE)))
    for name in ("large.yaml", "other.yaml"):
        with use_cassette(path.with_name(name), blob_threshold=1000):
            ask(server, "/1")
            ask(server, "/2")
    assert len(blobs(path)) == 1


def put_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda file: file.unlink(), "which is missing; it belongs to the cassette: restore it", id="missing"
        ),
        pytest.param(lambda file: file.write_bytes(LARGE[:-1]), "is not a file of 3,000 octets any more", id="cut off"),
        pytest.param(lambda file: file.write_bytes(LARGE[:-1] + b"!"), "whose content was changed", id="changed"),
        pytest.param(lambda file: (file.unlink(), file.mkdir()), "is not a file of 3,000 octets any more", id="folder"),
        pytest.param(put_pipe, "is not a file of 3,000 octets", id="FIFO"),
    ],
)
def test_blob_is_verified_when_it_is_read(
    change: Callable[[Path], object], reason: str, peer: Callable[..., Peer], path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(LARGE)))
    with use_cassette(path, blob_threshold=1000):
        ask(server)
    name = sha256(LARGE).hexdigest()
    change(path.parent / "blobs" / name)
    line = path.read_text().splitlines().index(f"response body: {{blob: blobs/{name}, octets: 3000}}") + 1
    before = path.read_bytes()
    with pytest.raises(CassetteFormatError, match=reason) as broken, use_cassette(path, "none"):
        ask(server)
    assert (broken.value.path, broken.value.line) == (str(path), line)
    assert path.read_bytes() == before


def test_blob_that_is_lost_while_it_is_recorded_is_told_with_the_cassette(
    peer: Callable[..., Peer], path: Path
) -> None:
    server = peer(keep_alive(lambda request: response(LARGE * 100)))  # so large that it does not stay in memory
    with use_cassette(path, blob_threshold=1000) as cassette:
        ask(server)
        (file,) = (path.parent / "blobs").iterdir()
        file.unlink()
        with pytest.raises(CassetteFormatError, match=r"large\.yaml: .* is missing") as broken:
            print(cassette.recorded)
    assert (broken.value.path, broken.value.line) == (str(path), None)


@pytest.mark.parametrize(
    "value",
    [
        "{blob: ../../etc/passwd, octets: 10}",
        "{blob: /etc/passwd, octets: 10}",
        "{blob: blobs/../blobs/" + "a" * 64 + ", octets: 10}",
        "{blob: blobs/" + "A" * 64 + ", octets: 10}",
        "{blob: blobs/" + "a" * 64 + ", octets: -1}",
        "{blob: blobs/" + "a" * 64 + ", octets: 1e3}",
        "{blob: [blobs], octets: 10}",
        "{octets: 10}",
        "{blob: blobs/" + "a" * 64 + ", octets: 10, mode: rw}",
        "{}",
    ],
)
def test_reference_that_leads_elsewhere_is_refused(value: str, path: Path) -> None:
    path.write_text(f"cassette: 1\n---\nrequest: GET http://api.test/\nresponse: 200 OK\nresponse body: {value}\n---\n")
    with (
        use_cassette(path, "none") as cassette,
        pytest.raises(CassetteFormatError, match="line 5: 'response body' has"),
    ):
        print(cassette.interactions)


def test_secret_is_taken_out_of_a_large_body(peer: Callable[..., Peer], path: Path) -> None:
    secret = b"kR8vQ2mZx7LpT4wN"
    server = peer(keep_alive(lambda request: response(TEXT + b'{"api_key": "%b"}' % secret + TEXT)))
    with use_cassette(path, blob_threshold=1000):
        assert secret in ask(server)
    [content] = blobs(path).values()
    assert secret not in content
    assert b'"api_key": "{{secret:1}}"' in content


@pytest.mark.parametrize("offset", [0, 4, 21, 39, 40])
def test_secret_across_the_parts_that_a_large_body_is_searched_in_is_found(
    offset: int, peer: Callable[..., Peer], path: Path
) -> None:
    token = b"ghp_" + b"Ab3dE6gH9jK2mN5pQ8sT" + b"1vW4xY7zA0cD3fG6"
    noise = (random.Random(7).randbytes(1 << 10) + b"\0 ") * (3 << 10)
    body = noise[: (1 << 20) - offset] + b" " + token + b" " + noise[: 1 << 20]
    server = peer(keep_alive(lambda request: response(body)))
    with use_cassette(path):
        assert ask(server) == body
    [blob] = blobs(path).values()
    assert b" {{secret:1}} " in blob
    assert token not in blob


@pytest.mark.parametrize("offset", [0, 5, 16])
@pytest.mark.parametrize(
    "secret", [pytest.param("kR8vQ2mZx7LpT4wN", id="text"), pytest.param("Schlüssel", id="not ASCII"), "5hort"]
)
def test_known_secret_is_taken_out_of_a_large_binary_body(
    secret: str, offset: int, peer: Callable[..., Peer], path: Path
) -> None:
    noise = (random.Random(7).randbytes(1 << 10) + b"\0") * (3 << 10)
    body = noise[: (1 << 20) - offset] + b"\0" + secret.encode() + b"\0" + noise
    server = peer(keep_alive(lambda request: response(body)))
    with use_cassette(path, secrets={"key": secret}):
        assert ask(server) == body
    [blob] = blobs(path).values()
    assert blob == body.replace(secret.encode(), b"{{secret:key}}")


def download(server: Peer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
    connection.request("GET", "/")
    answer = connection.getresponse()
    while answer.read(1 << 16):
        pass
    connection.close()


def upload(server: Peer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
    connection.request("PUT", "/", (LARGE for _ in range(4000)), {"Content-Length": str(4000 * len(LARGE))})
    connection.getresponse().read()
    connection.close()


def discard_upload(link: Connection) -> None:
    link.read_until(b"\r\n\r\n")
    for _ in range(4000):
        link.read(len(LARGE))
    link.send(response(b"ok"))


@pytest.mark.parametrize(
    ("script", "transfer"),
    [
        pytest.param(keep_alive(lambda request: response(LARGE * 4000)), download, id="download"),
        pytest.param(discard_upload, upload, id="upload"),
    ],
)
def test_recording_of_a_large_body_holds_two_copies(
    script: Script, transfer: Callable[[Peer], None], peer: Callable[..., Peer], path: Path
) -> None:
    server = peer(script)
    with use_cassette(path):
        tracemalloc.start()
        try:
            transfer(server)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # What arrived, in pieces; then the body, to be searched and written.
    assert peak < 2.3 * 4000 * len(LARGE)


def test_secret_that_is_recognised_late_leaves_no_blob(peer: Callable[..., Peer], path: Path) -> None:
    secret = "kR8vQ2mZx7LpT4wN"
    server = peer(keep_alive(lambda request: response(TEXT + secret.encode())))
    with use_cassette(path, blob_threshold=1000):
        ask(server, "/1")
        assert secret.encode() in b"".join(blobs(path).values())
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
        connection.request("GET", "/2", headers={"Authorization": f"Bearer {secret}"})
        connection.getresponse().read()
        connection.close()
    assert secret.encode() not in b"".join(blobs(path).values())
    assert len(blobs(path)) == 1


def test_full_disk_is_reported_at_the_end_and_leaves_no_half_file(
    peer: Callable[..., Peer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Files, fd: int, data: bytes) -> int:
        if len(data) == len(LARGE):
            return os.write(fd, data[:100])
        raise OSError(28, "No space left on device")

    server = peer(keep_alive(lambda request: response(LARGE)))
    monkeypatch.setattr(Files, "write", write)
    using = use_cassette(path, blob_threshold=1000)
    with pytest.raises(CassetteNotWritable, match="No space left on device"), using:
        assert ask(server) == LARGE
    assert blobs(path) == {}


PROGRAM = """
import os, sys
from cassette_http.cassette.blobs import BlobFolder
from cassette_http.cassette.files import Files

class Dying(Files):
    def rename(self, source, target):
        os.kill(os.getpid(), 9)

BlobFolder(sys.argv[1], 1000, Dying()).put(b"x" * 5000, 5000)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_killed_writer_leaves_no_blob_that_is_not_whole(path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], check=False, cwd=Path(__file__).parents[1], timeout=60)
    [left] = blobs(path)
    assert left.startswith(".")
    assert list(BlobFolder(str(path), 1000, Files())) == []
    assert BlobFolder(str(path), 1000, Files()).put(b"x" * 5000, 5000) == f"blobs/{sha256(b'x' * 5000).hexdigest()}"


def test_rewriting_leaves_the_old_blob_which_check_tells(
    peer: Callable[..., Peer], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([response(LARGE), response(LARGE[::-1])])
    server = peer(keep_alive(lambda request: next(answers)))
    for _ in range(2):
        with use_cassette(path, "rewrite", blob_threshold=1000):
            ask(server)
    assert len(blobs(path)) == 2
    orphan = path.parent / "blobs" / sha256(LARGE).hexdigest()
    assert find_orphans([path]) == [orphan]
    assert check_paths([path]) == []


def test_secret_in_a_blob_is_found_and_taken_out_by_the_commands(peer: Callable[..., Peer], path: Path) -> None:
    secret = b"kR8vQ2mZx7LpT4wN"
    server = peer(keep_alive(lambda request: response(TEXT + b'{"api_key": "%b"}' % secret)))
    with use_cassette(path, blob_threshold=1000, keep=["api_key"]):
        ask(server)
    [finding] = check_paths([path])
    assert "blob: blobs/" in finding.text
    assert redact_files([path]) == {path: 1}
    assert secret not in b"".join(blobs(path).values())
    assert len(blobs(path)) == 1
    assert check_paths([path]) == []


@pytest.mark.parametrize("failing", ["the new blob", "the cassette"])
def test_redaction_on_a_full_disk_says_so_and_changes_nothing(
    failing: str,
    peer: Callable[..., Peer],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = peer(keep_alive(lambda request: response(TEXT + b'{"api_key": "kR8vQ2mZx7LpT4wN"}')))
    with use_cassette(path, blob_threshold=1000, keep=["api_key"]):
        ask(server)
    before = path.read_bytes(), blobs(path)

    def write(self: Files, fd: int, data: memoryview) -> int:
        if bytes(data).startswith(b"cassette: ") == (failing == "the cassette"):
            raise OSError(28, "No space left on device")
        return os.write(fd, data)

    monkeypatch.setattr(Files, "write", write)
    assert main(["redact", str(path)]) == 1
    assert re.fullmatch(
        r"cassette-http: .*large.yaml'? cannot be written: No space left on device; its documents stay as they are\n",
        capsys.readouterr().err,
    )
    assert (path.read_bytes(), blobs(path)) == before
