"""What stands in the place of a TLS state: the object of C that `ssl.SSLSocket` and `ssl.SSLObject` delegate to.

Both classes of Python only pass calls on to it, so a tap in its place lies above TLS, and whatever a library asks of a
played connection (certificate, cipher, version, ALPN) is answered with what was recorded.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from cassette_http.cassette.model import Failure, FailureKind, Origin
from cassette_http.intercept.taps import Pump, Tap, expected_hellos
from cassette_http.transport import live
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import rebuild
from cassette_http.transport.played_tls import PlayedTLS
from cassette_http.transport.socket_face import NOT_NOW, Host, keeping_failure, keeping_tls, octets_of, open_tunnel

__all__ = ["ObjectState", "SocketState", "TLSLine", "dial_above"]


def dial_above(
    below: Tap, channel: Channel, wrap: Callable[[Any], ssl.SSLSocket], timeout_s: float | None = None
) -> ssl.SSLSocket:
    """Make the live TLS connection for a program that believes it has one: connect, tunnel, handshake by `wrap`.

    `channel` is the one above TLS.
    """
    peer = Origin("tcp", below.target.host, below.target.port)
    below.board.note_connection(channel)
    with keeping_failure(below.board, channel, peer, FailureKind.CONNECT):
        fresh = live.connect((peer.host, peer.port), timeout_s)
    lower = below.host.channel
    if lower.tunnel_request is not None:
        try:
            open_tunnel(fresh, lower.tunnel_request)
        except OSError:
            fresh.close()
            raise
    with keeping_tls(below.board, channel) as keep:
        secured: ssl.SSLSocket = keep(wrap(fresh))
        return live.mark(secured)


class TLSLine:
    """The live side of an intercepted TLS socket: its state in C.

    `sock` is a socket of ours that the state belongs to, with a time-out that follows the program's.
    """

    def __init__(
        self,
        state: Any,
        sock: ssl.SSLSocket | None = None,
        timeout_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._state, self._sock, self._timeout_s = state, sock, timeout_s

    def send(self, data: bytes, /) -> int:
        return self._state.write(data)  # type: ignore[no-any-return]  # the state gives an int

    def sendall(self, data: Any, /) -> None:
        self._follow_timeout()
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += self._state.write(view[sent:])

    def recv_into(self, buffer: Any, /) -> int:
        self._follow_timeout()
        return self._state.read(len(buffer), buffer)  # type: ignore[no-any-return]  # the state gives an int

    def _follow_timeout(self) -> None:
        if self._sock is not None:
            self._sock.settimeout(self._timeout_s())

    def close(self) -> None:
        """Close a socket that is ours; another one is left to its owner."""
        if self._sock is not None:
            self._sock.close()


class SocketState:
    """The TLS state of an intercepted `ssl.SSLSocket`; `real` is the one in C, None if no handshake was made."""

    def __init__(self, tap: Tap, origin: Origin, real: Any, server_hostname: str | None) -> None:
        self._tap, self._real = tap, real
        self._rest = PlayedTLS(tap.board.tls_facts(origin), server_hostname) if real is None else real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def become_live(self, real: Any) -> None:
        """The handshake was made after all: from now on the connection answers for itself."""
        self._real = self._rest = real

    def read(self, size: int = 1024, buffer: Any = None, /) -> Any:
        octets = bytearray(size) if buffer is None else memoryview(buffer).cast("B")[:size]
        try:
            count = self._tap.receive_into(memoryview(octets))
        except BlockingIOError:
            raise _want_read() from None
        return bytes(octets[:count]) if buffer is None else count

    def write(self, data: Any, /) -> int:
        return self._tap.send(data)

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        self._tap.host.channel.client_closed()
        return self._rest.shutdown()

    def do_handshake(self) -> None:
        if self._real is not None:
            with keeping_tls(self._tap.board, self._tap.host.channel) as keep:
                self._real.do_handshake()
                keep(self._real)


class ObjectState:
    """The TLS state of an intercepted `ssl.SSLObject` (`taps.Above`): knows its socket after the first record.

    A loop reads the socket below and feeds the object, so that the two must agree: when something is due here, the
    stand-in below is readable and gives an octet without meaning, which wakes the loop and is thrown away here.
    """

    def __init__(self, context: ssl.SSLContext, incoming: Any, outgoing: Any, real: Any) -> None:
        self.is_played = False
        self._context, self._incoming, self._outgoing, self._real = context, incoming, outgoing, real
        self._link: tuple[Tap, Host, Origin] | None = None
        self._rest: Any = real
        self._has_told_hello = False
        self._is_shaken = False
        self._rests = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # What SSLObject sets: its own names go to the state in C.
        if name in ("context", "session"):
            setattr(self._real, name, value)
        else:
            super().__setattr__(name, value)

    # ------------------------------------------------------------------ what the library asks

    def do_handshake(self) -> None:
        if self.is_played:
            return self._shake_played()
        try:
            self._real.do_handshake()
        except ssl.SSLWantReadError:
            self._tell_hello()
            raise
        except ssl.SSLError as error:
            self._keep_handshake(error)
            raise
        self._keep_handshake(None)
        return None

    def read(self, size: int = 1024, buffer: Any = None, /) -> Any:
        if self._link is None:
            return self._real.read(size) if buffer is None else self._real.read(size, buffer)
        octets = self._read_played(size) if self.is_played else self._read_live(size)
        if buffer is None:
            return octets
        memoryview(buffer).cast("B")[: len(octets)] = octets
        return len(octets)

    def write(self, data: Any, /) -> int:
        if self._link is None:
            return self._real.write(data)  # type: ignore[no-any-return]  # the state gives an int
        below, host, _ = self._link
        octets = octets_of(data)
        below.follow_above(host)
        if not self.is_played:
            return host.send_some(self._real.write, octets)
        try:
            host.send(octets)
        finally:
            below.show()
        return len(octets)

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        if self._link is not None:
            self._link[1].channel.client_closed()
        return None if self.is_played else self._real.shutdown()

    def _shake_played(self) -> None:
        below, _, origin = self._linked()
        self._incoming.read()
        self._is_shaken = True
        failure = below.board.fail_connection(origin, FailureKind.TLS)
        below.show()
        if failure is not None:
            raise rebuild(failure)

    def _tell_hello(self) -> None:
        """Write down the client hello that the state in C has just made, so that the socket that sends it is known."""
        if not self._has_told_hello:
            self._has_told_hello = True
            hello = self._outgoing.read()
            self._outgoing.write(hello)
            expected_hellos[hello] = self.link

    def _keep_handshake(self, error: ssl.SSLError | None) -> None:
        if self._link is None:
            return
        below, host, _ = self._link
        with keeping_tls(below.board, host.channel) as keep:
            if error is not None:
                raise error
            keep(self._real)

    def _read_played(self, size: int) -> bytes:
        below, host, _ = self._linked()
        self._incoming.read()
        # What breaks the TCP connection is met by who reads the socket, not by who reads the object.
        if self._rests or not self.is_due or self.lower_failure is not None:
            self._rests = False
            if self.is_ended and self._incoming.eof:
                return self._end_played(host)
            raise _want_read()
        buffer = bytearray(size)
        try:
            count = host.receive_into(memoryview(buffer))
        finally:
            below.show()
            # One read per readiness: who drains the object would else see two pieces as one.
            self._rests = self.is_due
        return bytes(buffer[:count])

    def _end_played(self, host: Host) -> bytes:
        host.receive_into(memoryview(bytearray(1)))
        return b""

    def _read_live(self, size: int) -> bytes:
        _, host, _ = self._linked()
        try:
            octets: bytes = self._real.read(size)
        except NOT_NOW:
            raise
        except ssl.SSLError as error:
            host.peer_failed(error)
            raise
        host.peer_did(octets)
        return octets

    # ------------------------------------------------------------------ what the socket below asks

    def link(self, below: Tap) -> ObjectState:
        """The socket of `below` carries the records of this object."""
        lower = below.host.channel
        origin = lower.tls_origin

        def wrap(sock: Any) -> ssl.SSLSocket:
            return self._context.wrap_socket(sock, server_hostname=self._real.server_hostname)

        def dial() -> Pump:
            return Pump(dial_above(below, host.channel, wrap), below.show)

        host = Host(below.board.open_channel(origin, lower.via), dial, lambda: None)
        self._link = (below, host, origin)
        self.is_played = below.stands_in
        if self.is_played:
            self._rest = PlayedTLS(below.board.tls_facts(origin), self._real.server_hostname)
        return self

    @property
    def channel(self) -> Channel | None:
        return self._link[1].channel if self._link is not None else None

    @property
    def is_due(self) -> bool:
        if not self._is_shaken:
            return True
        _, host, _ = self._linked()
        has_arrived = isinstance(host.line, Pump) and host.line.has_arrived
        return has_arrived or (host.channel.is_due and not self.is_ended)

    @property
    def is_ended(self) -> bool:
        return self._is_shaken and self._linked()[1].channel.has_only_end

    @property
    def lower_failure(self) -> Failure | None:
        failure = self._linked()[1].channel.next_failure if self._is_shaken else None
        # Failures of TLS itself are met by who reads the object.
        return failure if failure is not None and "class" not in failure.details else None

    def lower_ended(self) -> None:
        self._linked()[1].peer_did(b"")

    def lower_failed(self, error: OSError) -> None:
        self._linked()[1].peer_failed(error)

    def closed(self) -> None:
        self._linked()[1].close()

    def _linked(self) -> tuple[Tap, Host, Origin]:
        assert self._link is not None, "asked only once the socket is known"
        return self._link


def _want_read() -> ssl.SSLWantReadError:
    return ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)")
