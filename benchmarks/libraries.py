"""How each library gets a target over a kept connection: from the peer, and from memory.

Each function is a context manager that gives `get`, which asks for a target, checks the status, and returns the
content. The ones from memory are the library's own stack without a network below: what it costs by itself.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Any

from benchmarks.answers import answer_to
from benchmarks.tables import Job

__all__ = ["CANNED", "FIELDS", "LIVE", "MEMORY", "NEEDS", "Get", "Library"]

Get = Callable[[str], bytes]
Library = Callable[[Job], AbstractContextManager[Get]]

# What a program sends to an API; those of the library (Host, Accept-Encoding) come on top.
FIELDS = {"Accept": "application/json", "User-Agent": "benchmarks/1.0"}


def _connection_get(connection: Any) -> Get:
    """GET through an object with the API of `http.client.HTTPConnection`."""

    def get(target: str) -> bytes:
        connection.request("GET", target, headers=FIELDS)
        response = connection.getresponse()
        assert response.status == 200, response.status
        content: bytes = response.read()
        return content

    return get


@contextmanager
def stock_live(job: Job) -> Iterator[Get]:
    with closing(http.client.HTTPConnection(job.host, job.port)) as connection:
        yield _connection_get(connection)


@contextmanager
def own_live(job: Job) -> Iterator[Get]:
    from cassette_http import client

    with closing(client.HTTPConnection(job.host, job.port)) as connection:
        yield _connection_get(connection)


@contextmanager
def urllib3_live(job: Job) -> Iterator[Get]:
    import urllib3

    with urllib3.PoolManager() as pool:

        def get(target: str) -> bytes:
            response = pool.request("GET", job.origin + target, headers=FIELDS)
            assert response.status == 200, response.status
            return response.data

        yield get


@contextmanager
def requests_live(job: Job) -> Iterator[Get]:
    import requests

    with requests.Session() as session:

        def get(target: str) -> bytes:
            response = session.get(job.origin + target, headers=FIELDS)
            assert response.status_code == 200, response.status_code
            return response.content

        yield get


@contextmanager
def httpx_live(job: Job, **options: Any) -> Iterator[Get]:
    import httpx

    with httpx.Client(**options) as session:

        def get(target: str) -> bytes:
            response = session.get(job.origin + target, headers=FIELDS)
            assert response.status_code == 200, response.status_code
            return response.content

        yield get


@contextmanager
def connecting_by(module: Any, make: Callable[[], Any]) -> Iterator[None]:
    """Have `module.create_connection` give what `make` makes, which reads from memory."""
    original = module.create_connection
    module.create_connection = lambda *args, **kwargs: make()
    try:
        yield
    finally:
        module.create_connection = original


class MemorySocket:
    """What the libraries need of a socket. Each request that is sent makes its answer the next to be read."""

    def __init__(self) -> None:
        self._unread: memoryview = memoryview(b"")
        # Connection pools poll the descriptor of an idle connection: nothing ever arrives on this one.
        self._idle, self._other_end = socket.socketpair()

    def sendall(self, data: Any) -> None:
        target = bytes(data[:200]).split(b" ", 2)[1].decode("ascii")
        self._unread = memoryview(answer_to(target))

    def send(self, data: Any) -> int:
        self.sendall(data)
        return len(data)

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> io.BytesIO:
        return io.BytesIO(self._unread)

    def recv(self, bufsize: int) -> bytes:
        octets, self._unread = bytes(self._unread[:bufsize]), self._unread[bufsize:]
        return octets

    def recv_into(self, buffer: Any, nbytes: int = 0) -> int:
        octets = self.recv(nbytes or len(buffer))
        buffer[: len(octets)] = octets
        return len(octets)

    def setsockopt(self, *args: Any) -> None: ...

    def settimeout(self, timeout_s: float | None) -> None: ...

    def fileno(self) -> int:
        return self._idle.fileno()

    def close(self) -> None:
        self._idle.close()
        self._other_end.close()


class CannedSocket(socket.socket):
    """A socket as libraries have it, with the files of Python's; only what it sends and receives is in memory.

    No recorder that leaves a library its sockets can be faster.
    """

    def __init__(self) -> None:
        idle, self._other_end = socket.socketpair()  # see `MemorySocket`
        super().__init__(idle.family, idle.type, idle.proto, idle.detach())
        self._unread = b""

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._unread = answer_to(bytes(data[:200]).split(b" ", 2)[1].decode("ascii"))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        room = nbytes or len(buffer)
        octets, self._unread = self._unread[:room], self._unread[room:]
        buffer[: len(octets)] = octets
        return len(octets)

    def setsockopt(self, *args: Any) -> None: ...

    def close(self) -> None:
        super().close()
        self._other_end.close()


class MemoryTransport:
    """For our own client, which takes a transport."""

    def connect(self, *args: Any) -> Any:
        return MemorySocket()


@contextmanager
def stock_memory(job: Job, make: Callable[[], Any] = MemorySocket) -> Iterator[Get]:
    with connecting_by(socket, make), stock_live(job) as get:
        yield get


@contextmanager
def own_memory(job: Job) -> Iterator[Get]:
    from cassette_http import client

    with closing(client.HTTPConnection(job.host, job.port, transport=MemoryTransport())) as connection:
        yield _connection_get(connection)


@contextmanager
def urllib3_memory(job: Job, library: Library = urllib3_live, make: Callable[[], Any] = MemorySocket) -> Iterator[Get]:
    from urllib3.util import connection

    with connecting_by(connection, make), library(job) as get:
        yield get


@contextmanager
def requests_memory(job: Job, make: Callable[[], Any] = MemorySocket) -> Iterator[Get]:
    with urllib3_memory(job, requests_live, make) as get:
        yield get


@contextmanager
def httpx_memory(job: Job) -> Iterator[Get]:
    import httpcore
    import httpx

    class Stream(httpcore.NetworkStream):
        def __init__(self) -> None:
            self._socket = MemorySocket()

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return self._socket.recv(max_bytes)

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            if buffer:  # an empty write ends a request
                self._socket.sendall(buffer)

        def get_extra_info(self, info: str) -> Any:
            return False if info == "is_readable" else None

        def close(self) -> None:
            self._socket.close()

    class Backend(httpcore.NetworkBackend):
        def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
            return Stream()

    transport = httpx.HTTPTransport()
    transport._pool = httpcore.ConnectionPool(network_backend=Backend())
    with httpx_live(job, transport=transport) as get:
        yield get


LIVE: dict[str, Library] = {
    "http.client": stock_live,
    "requests": requests_live,
    "urllib3": urllib3_live,
    "httpx": httpx_live,
    "own": own_live,
}
MEMORY: dict[str, Library] = {
    "http.client": stock_memory,
    "requests": requests_memory,
    "urllib3": urllib3_memory,
    "httpx": httpx_memory,
    "own": own_memory,
}
# The same with Python's sockets, for the libraries that use their files.
CANNED: dict[str, Library] = {
    "http.client": partial(stock_memory, make=CannedSocket),
    "requests": partial(requests_memory, make=CannedSocket),
    "urllib3": partial(urllib3_memory, make=CannedSocket),
}
NEEDS: dict[str, tuple[str, ...]] = {
    "http.client": (),
    "requests": ("requests",),
    "urllib3": ("urllib3",),
    "httpx": ("httpx",),
    "own": (),
}
