"""The other side of a test: a server on loopback that sends exactly the octets a test writes down, when it says so.

No HTTP library is involved. Every wait has a bound, and an error in a script fails the test that started it.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

LIMIT_S = 10.0


class Gone(Exception):
    """The client closed its side."""


class Connection:
    """One accepted connection, from the server's side."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock, self.number, self._buffer = sock, number, b""

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and including `mark`."""
        while mark not in self._buffer:
            self._more()
        end = self._buffer.index(mark) + len(mark)
        return self._take(end)

    def read(self, octets: int) -> bytes:
        """Read exactly so many octets."""
        while len(self._buffer) < octets:
            self._more()
        return self._take(octets)

    def read_request(self) -> bytes:
        """Read one request, with the body that its fields announce; returns all its octets."""
        head = self.read_until(b"\r\n\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = b""
            while True:
                size_line = self.read_until(b"\r\n")
                body += size_line + self.read(int(size_line.split(b";")[0], 16))
                body += self.read_until(b"\r\n")
                if size_line.startswith(b"0"):
                    return head + body
        return head + self.read(int(fields.get(b"content-length", b"0")))

    def send(self, *pieces: bytes) -> None:
        self.sock.sendall(b"".join(pieces))

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close so that the client gets ECONNRESET."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self.sock, ssl.SSLSocket):
            socket.socket(fileno=self.sock.detach()).close()
        else:
            self.sock.close()

    def wait_closed(self) -> None:
        """Say nothing until the client closes."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def _more(self) -> None:
        octets = self.sock.recv(65536)
        if not octets:
            raise Gone
        self._buffer += octets

    def _take(self, octets: int) -> bytes:
        taken, self._buffer = self._buffer[:octets], self._buffer[octets:]
        return taken


Script: TypeAlias = Callable[[Connection], None]
Serve: TypeAlias = Callable[[Script], "Peer"]


class Peer:
    """Runs `script` for every connection, each in a thread of its own, and closes the connection after it."""

    def __init__(
        self, script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", path: str | None = None
    ) -> None:
        """`path`: listen on a Unix socket there."""
        self.connections = 0
        self.is_running = True
        self.errors: list[BaseException] = []
        self._script, self._tls = script, tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.host: str
        self.port: int
        if path is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(128)
            self.host, self.port = path, 0
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, 0), family=family, backlog=128)
            self.host, self.port = self._listener.getsockname()[:2]
        self._start(self._accept)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def stop(self) -> None:
        """Stop listening (a connect is then refused), drop all connections, and fail on an error in the script."""
        self.is_running = False
        # shutdown() wakes the accept() that is waiting, close() alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):  # the client was faster
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "a script did not end"
        if self.errors:
            raise self.errors[0]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(LIMIT_S)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, number)
        try:
            if self._tls is not None:
                secured = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                connection.sock = secured
                with self._lock:
                    if not self.is_running:
                        raise Gone
                    self._open.add(secured)  # which `stop` can shut down in the middle of the handshake, too
                secured.do_handshake()
            self._script(connection)
        except (Gone, OSError):
            pass  # the client went away, or the test stopped the peer
        except BaseException as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open -= {sock, connection.sock}
            connection.sock.close()
            sock.close()


def keep_alive(answer: Callable[[bytes], bytes]) -> Script:
    """A script that answers each request of a connection with what `answer(request octets)` returns."""

    def script(connection: Connection) -> None:
        while True:
            connection.send(answer(connection.read_request()))

    return script


def response(content: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with Content-Length."""
    length = b"Content-Length: %d" % len(content)
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, length, b"", content])
