"""Replaces the TLS state of a socket: the C object to which `ssl.SSLSocket` delegates.

Python's class only passes calls on to it, so a tap there is above TLS, and whatever a library asks of a played
connection (certificate, cipher, version, ALPN) is answered with what was recorded.
"""

from __future__ import annotations

import ssl
import weakref
from typing import Any

from cassette_http.cassette.model import Failure, FailureKind
from cassette_http.intercept.handshakes import keep_silence
from cassette_http.intercept.kinds import raw
from cassette_http.intercept.taps import Tap, take_tap
from cassette_http.transport.failures import incomplete_close, rebuild, send_behind_incomplete_close, want_read
from cassette_http.transport.host import NOT_NOW, read_into
from cassette_http.transport.opening import keeping_tls
from cassette_http.transport.played_tls import PlayedTLS, TLSBeforeHandshake


def _passed_on(name: str) -> Any:
    """An attribute that `ssl.SSLSocket` sets, and that belongs to the state in C."""
    return property(
        lambda self: getattr(self._delegate, name), lambda self, value: setattr(self._delegate, name, value)
    )


class SocketState:
    """The TLS state of an intercepted `ssl.SSLSocket`; `real` is the one in C, None if no handshake was made."""

    def __init__(self, tap: Tap, real: Any, sock: ssl.SSLSocket, *, is_handshake_over: bool) -> None:
        self._tap, self._real = tap, real
        self._is_handshake_over = is_handshake_over  # nothing of the handshake is left to do or to fail
        self._silence: Failure | None = None  # the peer of the played handshake never answers
        self._sock = weakref.ref(sock)
        facts = tap.board.tls_facts(tap.host.channel.origin)
        self._agreed = PlayedTLS(facts, sock.server_hostname)
        self._delegate = real
        if real is None:
            self._delegate = (
                self._agreed if is_handshake_over else TLSBeforeHandshake(facts.origin, sock.server_hostname)
            )

    context = _passed_on("context")
    session = _passed_on("session")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delegate, name)

    def become_live(self, real: Any) -> None:
        """A live handshake was made after all: from now on its connection answers."""
        self._real = self._delegate = real

    def read(self, size: int = 1024, buffer: Any = None, /) -> Any:
        if not self._is_handshake_over:
            self.do_handshake()
        return read_into(buffer, size, self._receive)

    def _receive(self, at_most: int) -> bytes:
        try:
            octets = self._tap.receive(at_most)
        except BlockingIOError:
            raise want_read() from None
        if not octets and self._tap.host.channel.is_incompletely_closed:
            raise rebuild(incomplete_close())
        return octets

    def write(self, data: Any, /) -> int:
        if not self._is_handshake_over:
            self.do_handshake()
        if self._tap.host.channel.is_incompletely_closed:
            raise rebuild(send_behind_incomplete_close())
        return self._tap.send(data)

    def pending(self) -> int:
        return self._tap.host.channel.left_of_record if self._real is None else self._real.pending()

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        self._tap.host.channel.client_closed()
        sock = self._sock()
        if self._tap.stands_in:
            self._tap.host.channel.leave()
            return raw(sock)
        plain = self._delegate.shutdown()
        if sock is not None:
            take_tap(sock)
        return plain

    def do_handshake(self) -> None:
        """Make the handshake; without this call, the first read or write makes it."""
        if self._real is None:
            self._play_handshake()
            return
        self._tap.on_closed = self._give_up_handshake
        with keeping_tls(self._tap.board, self._tap.host.channel) as keep:
            try:
                self._real.do_handshake()
                keep(self._real)
            except NOT_NOW:
                raise
            except OSError:
                self._tap.on_closed = None
                raise
        self._tap.on_closed, self._is_handshake_over = None, True

    def _play_handshake(self) -> None:
        if self._is_handshake_over:
            return
        failure = self._silence or self._tap.board.fail_connection(self._tap.host.channel.origin, FailureKind.TLS)
        if failure is not None and isinstance(rebuild(failure), TimeoutError):
            self._silence = failure
            raise want_read() if self._tap.sock.gettimeout() == 0 else rebuild(failure)
        self._is_handshake_over = True
        if failure is not None:
            raise rebuild(failure)
        self._delegate = self._agreed

    def _give_up_handshake(self) -> None:
        """The program closes during a live handshake: the peer was silent for too long."""
        keep_silence(self._tap.board, self._tap.host.channel)
