"""Every system call that the store makes fails once, or from then on: what was promised is there all the same."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cassette_http import system
from cassette_http.cassette.blobs import blob_names
from cassette_http.cassette.format.yaml_format import dump_interaction
from cassette_http.cassette.model import Header, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteNotWritable, CassetteWarning

pytest.importorskip("fcntl", reason="locks are made in another way here")

ORIGIN = Origin("http", "api.test", 80)
LARGE = b"large " * 100
CALLS = ("open", "read", "write", "ftruncate", "fsync", "replace", "chmod", "flock")


def interaction(name: str, body: bytes = b"{}") -> Interaction:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return Interaction(ORIGIN, Request(ORIGIN, f"GET /{name} HTTP/1.1\r\n\r\n".encode()), Track((Piece(octets),)))


class Faults:
    """Lets the call number `nth` fail (of all in CALLS together), and with `lasting` all that follow."""

    def __init__(self, nth: int, error: int, *, lasting: bool = False, written: int | None = None) -> None:
        self.nth, self.error, self.lasting, self.written = nth, error, lasting, written
        self.made = 0
        self.hit: str | None = None

    def call(self, name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        self.made += 1
        if self.made == self.nth or (self.lasting and self.made > self.nth):
            self.hit = self.hit or name
            if name == "write" and self.written is not None and self.made == self.nth:
                return real(arguments[0], bytes(arguments[1])[: self.written] or b"")
            raise OSError(self.error, os.strerror(self.error))
        return real(*arguments)

    @contextmanager
    def injected(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in CALLS:
                module: Any = system.fcntl if name == "flock" else system.os
                real = getattr(module, name)
                patch.setattr(module, name, lambda *args, name=name, real=real: self.call(name, real, *args))
            yield


class Run:
    """One recording: what it appended without an error, in which form it may be found, and what it raised."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.error: CassetteNotWritable | None = None

    def record(self, path: Path, *, rewrite: bool) -> None:
        store = Store(path, header=Header(), rewrite=rewrite, blob_threshold=300)
        try:
            documents = []
            for name, body in (("a", b"{}"), ("b", LARGE), ("c", b"{}")):
                documents.append(dump_interaction(interaction(name, body), store.put_aside))
                store.append(documents[-1])
                if store.failure is None:
                    self.kept.append(name)
            changed = [dump_interaction(interaction("a2")), *documents[1:]]
            store.replace(documents, changed, [2, 0, 1])
            store.commit()
        except CassetteNotWritable as failed:
            self.error = failed
            store.discard()


def names_in(path: Path) -> list[str]:
    """The interactions that can be read; each blob that they need is verified."""
    store = Store(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CassetteWarning)
        documents = store.load()[1:]
    loaded = [document.load(str(path), store.blobs.fetch) for document in documents]
    return [one.request.url.rpartition("/")[2] for one in loaded if isinstance(one, Interaction) and one.request]


@pytest.mark.parametrize("rewrite", [False, True], ids=["append", "rewrite"])
@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        pytest.param(errno.ENOSPC, False, id="ENOSPC once"),
        pytest.param(errno.ENOSPC, True, id="ENOSPC from then on"),
        pytest.param(errno.EIO, False, id="EIO once"),
        pytest.param(errno.EIO, True, id="EIO from then on"),
        pytest.param(errno.EINTR, False, id="EINTR"),  # if it came always, the call would be made for ever
    ],
)
def test_whichever_call_fails_nothing_is_lost(
    error: int, lasting: bool, rewrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = set()
    for nth in range(1, 200):
        path = tmp_path / f"{nth}" / "cassette.yaml"
        before = Store(path)
        before.append(dump_interaction(interaction("old")))
        before.commit()
        old = path.read_bytes()
        run, faults = Run(), Faults(nth, error, lasting=lasting)
        with faults.injected(monkeypatch):
            run.record(path, rewrite=rewrite)
        assert_promises_are_kept(path, old, run, rewrite=rewrite, is_broken=lasting)
        if error == errno.EINTR:
            assert run.error is None
        if faults.hit is None:
            assert run.error is None
            assert names_in(path) == (["c", "a2", "b"] if rewrite else ["old", "c", "a2", "b"])
            break
        hit.add(faults.hit)
    assert faults.hit is None, "the loop has reached the end of the recording"
    assert nth > 25
    assert hit >= {"open", "write", "fsync", "replace", "flock"}


def assert_promises_are_kept(path: Path, old: bytes, run: Run, *, rewrite: bool, is_broken: bool) -> None:
    if rewrite and run.error is not None and path.read_bytes() == old:
        pass  # the old cassette stays until the new one is whole
    else:
        found = [name.rstrip("2") for name in names_in(path)]
        assert found[: 0 if rewrite else 1] == ([] if rewrite else ["old"])
        assert set(run.kept) <= set(found)
    left = {file.name for file in path.parent.iterdir()} - {"cassette.yaml", "blobs"}
    assert not left or is_broken
    blobs = path.parent / "blobs"
    assert is_broken or not blobs.exists() or {file.name for file in blobs.iterdir()} <= blob_names(path.read_bytes())


def test_disk_that_is_full_at_any_octet_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = dump_interaction(interaction("new"))
    for written in range(len(document) + len("---\n")):
        path = tmp_path / f"{written}.yaml"
        Store(path).append(dump_interaction(interaction("old")))
        before = path.read_bytes()
        store = Store(path)
        real = os.write
        sizes = iter([written])

        def full(fd: int, data: Any, real: Any = real, sizes: Any = sizes) -> int:
            size = next(sizes, None)
            if size is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(real(fd, bytes(data)[:size]))

        with monkeypatch.context() as patch:
            patch.setattr(system.os, "write", full)
            with pytest.raises(CassetteNotWritable, match="No space left"):
                store.append(document)
            store.commit()
        assert path.read_bytes() == before
        assert names_in(path) == ["old"]
