"""A channel with the interface of a blocking socket: what our client holds while a cassette is in use."""

from __future__ import annotations

import functools
import io
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Any, BinaryIO

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.system import os
from cassette_http.transport import live
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import rebuild, send_behind_incomplete_close
from cassette_http.transport.host import Host, Switchboard, octets_of, put_into
from cassette_http.transport.opening import fail_handshake, keeping_failure, secure
from cassette_http.transport.played_tls import PlayedTLS
from cassette_http.transport.tunnels import Line


@functools.cache
def _descriptors_to_poll() -> tuple[int, int]:
    """Two descriptors for polling, shared by all played connections: one is never readable, one always."""
    # No lock, as a fork could copy it while it is held: if two threads come here first, some pipes stay open.
    idle, _ = os.pipe()  # the other end stays open
    ready, writer = os.pipe()
    os.close(writer)
    return idle, ready


class CassetteTransport:
    """The transport that `session` puts into the slot: opens streams that record and play."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board

    def connect(
        self,
        address: tuple[str, int],
        timeout_s: Any = live.DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
    ) -> SocketFace:
        """Open a stream to `address`; see `transport.base.Transport`. Dials only if nothing can be played."""
        host, port = address[0], live.port_number(address[1]) or 0
        target = Origin("tcp", host.lower(), port)
        failure = self.board.fail_connection(target, FailureKind.LOOKUP, FailureKind.CONNECT)
        if failure is not None:
            raise rebuild(failure)

        def dial() -> Any:
            self.board.note_connection(face.served)
            with keeping_failure(self.board, face.served, target, FailureKind.CONNECT):
                return live.connect(address, timeout_s, source_address)

        channel = self.board.open_channel(Origin("http", host.lower(), port), None)
        face = SocketFace(self.board, channel, dial, timeout_s)
        face.host.open()
        return face


class SocketFace:
    """Replaces a socket in our client; the names are those of `socket.socket` and `ssl.SSLSocket`."""

    def __init__(
        self,
        board: Switchboard,
        channel: Channel,
        dial: Callable[[], Line],
        timeout_s: Any = None,
        below: Host | None = None,
    ) -> None:
        self.host = Host(channel, dial, self.gettimeout, below)
        self.served = channel  # the channel for whose requests the connection is opened
        self.host.suppresses_ragged_ends = True  # the default of TLS sockets
        self.receive = self.host.receive
        self._board = board
        self._timeout_s = socket.getdefaulttimeout() if timeout_s is live.DEFAULT_TIMEOUT else timeout_s
        self._users = 1  # this object and the files made from it
        self._is_closed = False

    # ------------------------------------------------------------------ octets

    def sendall(self, data: Any, /) -> None:
        if self.host.channel.is_incompletely_closed:
            raise rebuild(send_behind_incomplete_close())
        self.host.send(octets_of(data))

    def send(self, data: Any, /) -> int:
        octets = octets_of(data)
        self.sendall(octets)
        return len(octets)

    def recv_into(self, buffer: Any, nbytes: int = 0) -> int:
        return put_into(buffer, self.receive(nbytes or memoryview(buffer).nbytes))

    def recv(self, bufsize: int, /) -> bytes:
        return self.receive(bufsize)

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> BinaryIO:
        """A file that reads the stream; the stream stays open until the file is closed too."""
        if mode != "rb":
            raise ValueError(f"invalid mode {mode!r} (only 'rb' allowed)")
        self._users += 1
        raw = _FaceIO(self)
        return raw if buffering == 0 else io.BufferedReader(raw)  # type: ignore[return-value]  # RawIOBase reads too

    # ------------------------------------------------------------------ the connection

    def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> SocketFace:
        """Start TLS over this stream, which must not be used afterwards. A played stream needs no handshake."""
        below, lower = self.host, self.host.channel
        fail_handshake(self._board, lower.origin.over_tls)

        def dial() -> Any:
            tunnel = lower.tunnel if below.line is None else None
            line: Any = below.dial()
            wrap = functools.partial(context.wrap_socket, line, server_hostname=server_hostname)
            return secure(self._board, channel, line, tunnel, wrap)

        channel = self.served = self._board.open_tls_channel(lower)
        face = SocketFace(self._board, channel, dial, self._timeout_s, below)
        if lower.can_record and below.line is not None:
            face.host.dial()
        return face

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._tls().getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        return self._tls().selected_alpn_protocol()

    def version(self) -> str | None:
        return self._tls().version()

    def cipher(self) -> tuple[str, str, int] | None:
        return self._tls().cipher()

    def settimeout(self, timeout_s: float | None, /) -> None:
        self._timeout_s = timeout_s
        if self.live_socket is not None:
            self.live_socket.settimeout(timeout_s)

    def gettimeout(self) -> float | None:
        return None if self._timeout_s is None else float(self._timeout_s)

    def setsockopt(self, level: int, name: int, value: Any, /) -> None:
        if self.live_socket is not None:
            self.live_socket.setsockopt(level, name, value)

    def fileno(self) -> int:
        """A descriptor to poll: the socket's, or one that shows whether a played read would wait."""
        if self._is_closed:
            return -1
        if self.live_socket is not None and not self.host.channel.is_due:
            return self.live_socket.fileno()
        return _descriptors_to_poll()[self.host.channel.is_due]

    @property
    def live_socket(self) -> socket.socket | None:
        """The socket to the live peer, if there is one."""
        return self.host.line  # type: ignore[return-value]  # our lines are sockets

    def is_readable(self, wait_s: float) -> bool:
        """Tell whether a read would return within `wait_s`; a played peer does nothing by itself in that time."""
        sock = self.live_socket
        if sock is None or not self.host.channel.needs_peer:
            return self.host.channel.is_due
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            return bool(selector.select(wait_s))

    def gave_up_sending(self, error: OSError) -> None:
        """The client waited in vain for `live_socket` to accept more data, and gets `error`."""
        self.host.peer_failed(error, FailureKind.WRITE)

    def shutdown(self, how: int, /) -> None:
        if how != socket.SHUT_WR:
            self.host.read_no_more()
        if self.live_socket is not None:
            self.live_socket.shutdown(how)

    def close(self) -> None:
        """Close for this user; the connection ends when the last user closes."""
        if not self._is_closed:
            self._is_closed = True
            self.release()

    def release(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.host.close()
            timeout_s = self._timeout_s
            self.host.timeout_s = lambda: timeout_s  # without a reference to this object: see `Host.close`

    def _tls(self) -> ssl.SSLSocket | PlayedTLS:
        """The object that knows about the TLS connection."""
        if isinstance(self.live_socket, ssl.SSLSocket):
            return self.live_socket
        return PlayedTLS(self._board.tls_facts(self.host.channel.origin))


class _FaceIO(io.RawIOBase):
    """The raw file below `SocketFace.makefile()`. Like a socket's, it cannot be read after a time-out."""

    def __init__(self, face: SocketFace) -> None:
        self._face: SocketFace | None = face
        self._has_timed_out = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        face = self._open_face()
        if self._has_timed_out:
            raise OSError("cannot read from timed out object")
        try:
            return face.recv_into(buffer)
        except TimeoutError:
            self._has_timed_out = True
            raise

    def fileno(self) -> int:
        return self._open_face().fileno()

    def close(self) -> None:
        super().close()
        face, self._face = self._face, None
        if face is not None:
            face.release()

    def _open_face(self) -> SocketFace:
        if self._face is None:
            raise ValueError("I/O operation on closed file")
        return self._face
