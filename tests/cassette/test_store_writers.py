"""Writers of one file: those that are killed, and many at once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from cassette_http.cassette.files import READ, Files
from cassette_http.cassette.format.yaml_format import dump_interaction, dump_tls, load_document
from cassette_http.cassette.model import Failure, FailureKind, Interaction, Origin, Piece, Request, TLSFacts, Track
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteNotWritable, CassetteWarning
from tests.cassette.stores import FIRST_LINES, HEADER, ORIGIN, append_all, document, filled, lines


def _rich_document() -> bytes:
    """One document with every kind of entry: literal blocks with empty lines, quoted lines, octets, a list."""
    origin = Origin("http", "api.test", 80)
    head = b"POST /2 HTTP/1.1\r\nHost: api.test\r\n\r\n"
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    request = Request(origin, head, b"text\r and more\n" * 10)
    pieces = (Piece(octets, 0.1), Piece(b"one\n\n\n two\n\n---\n...\n\n", 0.2))
    failure = Failure(FailureKind.RESET, 0.3, "ECONNRESET", "Connection reset by peer", {"args": (1, "x")})
    return dump_interaction(Interaction(origin, request, Track(pieces, failure), repeat="last"))


def _binary_document() -> bytes:
    return document(2, bytes(range(256)) * 2)


def _tls_document() -> bytes:
    peer = {"subject": ((("commonName", "api.test"),),), "version": 3}
    return dump_tls(
        TLSFacts(ORIGIN, "TLSv1.3", ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256), "http/1.1", b"\x30\x82" * 90, peer)
    )


@pytest.mark.parametrize(
    "added", [_rich_document(), _binary_document(), _tls_document()], ids=["rich", "binary", "tls"]
)
def test_a_writer_killed_at_any_octet_costs_only_its_last_document(path: Path, added: bytes) -> None:
    filled(path, 2)
    good = path.read_bytes()
    for cut in range(1, len(added) + len(b"---")):
        path.write_bytes(good + (added + b"---\n")[:cut])
        with pytest.warns(CassetteWarning, match="has no closing line '---'"):
            assert len(Store(path).load()) == 3
        store = Store(path)
        store.append(document(3))
        store.commit()
        assert path.read_bytes() == good + document(3) + b"---\n"


@pytest.mark.parametrize("is_rewrite", [True, False], ids=["a rewrite", "a redaction"])
def test_what_a_killed_process_left_a_day_ago_is_removed(path: Path, is_rewrite: bool) -> None:
    filled(path, 2)
    left = [path.with_name(f".{name}.{at}-0a1b2c3d.new") for at, name in enumerate([path.name, path.name, "a.yaml"])]
    for each in left:
        each.write_bytes(b"cassette: 1\n---\n")
    for old in (left[0], left[2]):  # of this cassette, and of another; the second may be of a process at work
        os.utime(old, (1.0, 1.0))
    if is_rewrite:
        append_all(Store(path, rewrite=True), 2)
    else:
        store = Store(path)
        store.replace([document(0)], [document(7)])
        store.commit()
    assert [each.exists() for each in left] == [False, True, True]


def test_a_terminator_without_its_line_end_is_completed(path: Path) -> None:
    good = filled(path, 2).read_bytes()
    path.write_bytes(good[:-1])
    assert lines(Store(path)) == ["0", "1"]
    store = Store(path)
    store.append(document(2))
    store.commit()
    assert path.read_bytes() == good + document(2) + b"---\n"


def test_a_writer_killed_within_the_header_leaves_nothing_to_replay(path: Path) -> None:
    for cut in range(1, len(FIRST_LINES) - 1):
        path.write_bytes(FIRST_LINES[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CassetteWarning)
            assert lines(Store(path)) == []
        store = Store(path, header=HEADER)
        store.append(document(3))
        store.commit()
        assert path.read_bytes() == FIRST_LINES + document(3) + b"---\n"


def test_the_warning_names_the_line_and_says_what_to_do(path: Path) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + document(1))
    line = path.read_bytes().count(b"\n", 0, -len(document(1))) + 1
    with pytest.warns(CassetteWarning, match=f"cassette.yaml, line {line}: .*add the line '---'.*record again"):
        Store(path).load()


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(b"request: GET http://api.test/7\nresponse:   200 OK  # by hand\n", id="comment"),
        pytest.param(b"{request: GET http://api.test/7, response: 200 OK}\n", id="flow style"),
        pytest.param(
            b"request: GET http://api.test/7\nresponse headers: >-\n  A: b\n\nresponse: 200 OK\n", id="folded"
        ),
    ],
)
def test_a_hand_written_last_document_needs_no_terminator(path: Path, last: bytes) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + last)
    documents = Store(path).load()
    assert len(documents) == 3
    loaded = load_document(documents[-1].octets, str(path), documents[-1].line)
    assert isinstance(loaded, Interaction)
    store = Store(path)
    store.append(document(8))
    store.commit()
    assert path.read_bytes().endswith(last + b"---\n" + document(8) + b"---\n")
    assert len(store.load()) == 4


def test_documents_of_a_killed_process_are_all_there(path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from cassette_http.cassette.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "for number in range(60):\n"
        "    store.append(b'request: GET http://api.test/%d\\nresponse: 200 OK\\n' % number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert ended.returncode != 0
    assert lines(Store(path)) == [str(number) for number in range(60)]


# --- many writers ---


def _append_many(path: str, first: int, count: int, begin: Any) -> None:
    store = Store(path, header=HEADER)
    begin.wait(30)
    for number in range(first, first + count):
        store.append(document(number))
    store.commit()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_two_processes_that_append_lose_nothing(path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    context: Any = multiprocessing.get_context(method)  # the stubs know no process of a context by name
    begin = context.Barrier(2)
    writers = [context.Process(target=_append_many, args=(str(path), first, 100, begin)) for first in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert sorted(map(int, lines(Store(path)))) == [*range(100), *range(1000, 1100)]
    assert path.read_bytes().count(b"cassette: 1") == 1


def test_sixteen_threads_that_append_lose_nothing(path: Path) -> None:
    store = Store(path)

    def run(first: int) -> None:
        for number in range(first, first + 20):
            store.append(document(number))

    threads = [threading.Thread(target=run, args=(100 * index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store.commit()
    assert len(set(lines(store))) == 320


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_appends_through_a_descriptor_of_its_own(path: Path) -> None:
    store = Store(path)
    store.append(document(0))
    # The child is forked while this process holds its lock: it must not wait for that for ever.
    with store._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
        if child == 0:
            try:
                store.append(document(1))
                store.commit()
            finally:
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.append(document(2))
    store.commit()
    assert lines(store) == ["0", "1", "2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_discarded_rewrite_drops_the_blobs_of_forked_children_too(tmp_path: Path, path: Path) -> None:
    store = Store(path, rewrite=True, blob_threshold=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
    if child == 0:
        try:
            store.append(b"a: {blob: %b, octets: 5}\n" % (store.put_aside(b"large", 5) or "").encode())
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    store.discard()
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_file_that_was_replaced_meanwhile_is_opened_again(tmp_path: Path, path: Path) -> None:
    store = Store(path, header=HEADER)
    store.append(document(0))
    other = filled(tmp_path / "other.yaml", 3)
    os.replace(other, path)
    store.append(document(7))
    path.unlink()
    store.append(document(8))
    store.commit()
    assert path.read_bytes() == FIRST_LINES + document(8) + b"---\n"


def test_a_lock_that_nobody_frees_is_an_error_with_a_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    files = Files()
    holder = files.open(str(path), READ)
    assert files.lock(holder)
    monkeypatch.setattr("cassette_http.cassette.files.LOCK_TIMEOUT_S", 0.01)
    assert lines(Store(path)) == ["0"]
    with pytest.raises(CassetteNotWritable, match="another process keeps it locked"):
        Store(path).append(document(1))
    files.close(holder)
