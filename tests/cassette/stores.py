"""Files of cassettes, and how they are filled."""

from __future__ import annotations

from pathlib import Path

from cassette_http.cassette.format.yaml_format import dump_interaction
from cassette_http.cassette.model import Header, Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.store import Store

__all__ = ["FIRST_LINES", "HEADER", "ORIGIN", "append_all", "document", "filled", "lines"]


ORIGIN = Origin("http", "api.test", 80)
HEADER = Header(recorded="2026-11-22T17:57:05Z", by="cassette-http", test="tests/test_x.py::test_y[1]")
FIRST_LINES = b"cassette: 1\nrecorded: 2026-11-22T17:57:05Z\nby: cassette-http\ntest: tests/test_x.py::test_y[1]\n---\n"


def document(number: int, body: bytes = b'{"a": 1}') -> bytes:
    head = b"GET /%d?q=1 HTTP/1.1\r\nHost: api.test\r\n\r\n" % number
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return dump_interaction(Interaction(ORIGIN, Request(ORIGIN, head), Track((Piece(octets),))))


def lines(store: Store) -> list[str]:
    return [line.decode().rpartition("/")[2] for line in store.load().request_lines if line is not None]


def append_all(store: Store, count: int) -> None:
    for number in range(count):
        store.append(document(number))
    store.commit()


def filled(path: Path, count: int) -> Path:
    append_all(Store(path, header=HEADER), count)
    return path
