"""The peer of all contestants: a process that answers GET with canned octets, over TCP and TLS on loopback.

It uses sockets and no HTTP library, so that it favours no contestant; its CPU time is not counted.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.answers import answer_to

__all__ = ["HOST", "running_peer"]

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent


@contextmanager
def running_peer(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the peer; gives its ports, for TCP and for TLS (0 if trustme is not installed).

    The certificate of its authority is put into `folder` as authority.pem.
    """
    command = [sys.executable, "-m", "benchmarks.peer", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin:  # the peer ends when its input does, also if this process is killed
        port, tls_port = process.stdout.readline().split()
        yield int(port), int(tls_port)


def main(folder: Path) -> None:
    listener = socket.create_server((HOST, 0), backlog=128)
    threading.Thread(target=_accept, args=(listener, None), daemon=True).start()
    tls_port = 0
    with suppress(ImportError):
        tls_listener = socket.create_server((HOST, 0), backlog=128)
        context = _tls_context(folder)
        threading.Thread(target=_accept, args=(tls_listener, context), daemon=True).start()
        tls_port = tls_listener.getsockname()[1]
    print(listener.getsockname()[1], tls_port, flush=True)
    sys.stdin.read()


def _tls_context(folder: Path) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


def _accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, context), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            received = b""
            while octets := connection.recv(65536):
                received += octets
                if received.endswith(b"\r\n\r\n"):
                    connection.sendall(answer_to(received.split(b" ", 2)[1].decode("latin-1")))
                    received = b""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
