"""What stands in the place of a TLS state: the object of C that `ssl.SSLSocket` and `ssl.SSLObject` delegate to.

Both classes of Python only pass calls on to it, so a tap in its place lies above TLS, and whatever a library asks of a
played connection (certificate, cipher, version, ALPN) is answered with what was recorded.
"""

from __future__ import annotations

import errno
import functools
import socket
import ssl
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from cassette_http.cassette.model import Failure, FailureKind, Origin
from cassette_http.intercept.carriers import HANDSHAKE_RECORD, Above, Carrier, expected_hellos
from cassette_http.intercept.lines import Pump
from cassette_http.intercept.names import Target, target_of
from cassette_http.intercept.stand_ins import WAKE
from cassette_http.intercept.taps import Tap, take_tap
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import incomplete_close, rebuild
from cassette_http.transport.host import NOT_NOW, Host, Switchboard, octets_of, put_into
from cassette_http.transport.opening import keep_failure, keeping_failure, keeping_tls, secure
from cassette_http.transport.played_tls import PlayedTLS

__all__ = ["ObjectState", "SocketState", "connect_anew", "take_seeker"]

# What the hooks replace.
_wrap_socket = ssl.SSLContext.wrap_socket

# What a blocking handshake says of a peer that does not answer.
SILENCE = "The handshake operation timed out"

# Usually a program reads the object each time it is woken, and is spared the system calls that hide what is due.
MOST_UNREAD_WAKES = 2

# The kinds of TLS records (RFC 8446 section 5.1): change_cipher_spec, alert, handshake, application_data.
RECORD_TYPES = b"\x14\x15\x16\x17"


def connect_anew(
    board: Switchboard,
    channel: Channel,
    target: Target,
    tunnel: bytes | None,
    wrap: Callable[[socket.socket], ssl.SSLSocket],
    timeout_s: float | None = None,
) -> ssl.SSLSocket:
    """Dial `target`, and make the live TLS connection below `channel` for a program that believes it has one."""
    board.note_connection(channel)
    peer = Origin("tcp", target.host, target.port)
    with keeping_failure(board, channel, peer, FailureKind.CONNECT):
        fresh = target.dial(timeout_s)
    try:
        return secure(board, channel, fresh, tunnel, lambda: wrap(fresh))
    except BaseException:
        fresh.close()
        raise


def keep_late_refusal(board: Switchboard, channel: Channel, error: ssl.SSLError) -> None:
    """Record a failed handshake if a live peer refuses with `error` before its client has sent a request.

    To a client, the handshake of TLS 1.3 is over before its peer has seen the certificate (RFC 8446 section 2).
    """
    if not channel.has_spoken:
        keep_failure(board, channel, channel.origin, FailureKind.TLS, error)


class SocketState:
    """The TLS state of an intercepted `ssl.SSLSocket`; `real` is the one in C, None if no handshake was made."""

    def __init__(self, tap: Tap, real: Any, sock: ssl.SSLSocket, *, is_shaken: bool) -> None:
        self._tap, self._real = tap, real
        self._is_shaken = is_shaken  # nothing of the handshake is left to be done, or to be met
        self._silence: Failure | None = None  # the peer of the played handshake never answers
        self._sock = weakref.ref(sock)
        facts = tap.board.tls_facts(tap.host.channel.origin)
        self._rest = PlayedTLS(facts, sock.server_hostname) if real is None else real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def become_live(self, real: Any) -> None:
        """The handshake was made after all: from now on the connection answers for itself."""
        self._real = self._rest = real

    def read(self, size: int = 1024, buffer: Any = None, /) -> Any:
        if self._real is None:
            self._shake_played()
        try:
            octets = self._tap.receive(size)
        except BlockingIOError:
            raise _want_read() from None
        except (*NOT_NOW, ssl.SSLEOFError):
            raise
        except ssl.SSLError as error:
            if not self._tap.stands_in:
                keep_late_refusal(self._tap.board, self._tap.host.channel, error)
            raise
        if size and not octets and self._tap.host.channel.is_incompletely_closed:
            raise rebuild(incomplete_close())
        return octets if buffer is None else put_into(buffer, octets)

    def write(self, data: Any, /) -> int:
        if self._real is None:
            self._shake_played()
        return self._tap.send(data)

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        self._tap.host.channel.client_closed()
        sock = self._sock()
        if self._tap.stands_in:
            self._tap.host.channel.leave()
            return sock
        plain = self._rest.shutdown()
        if sock is not None:
            take_tap(sock)
        return plain

    def do_handshake(self) -> None:
        if self._real is None:
            self._shake_played()
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
        self._tap.on_closed = None

    def _shake_played(self) -> None:
        if self._is_shaken:
            return
        failure = self._silence or self._tap.board.fail_connection(self._tap.host.channel.origin, FailureKind.TLS)
        if failure is not None and isinstance(rebuild(failure), TimeoutError):
            self._silence = failure
            raise _want_read() if self._tap.sock.gettimeout() == 0 else rebuild(failure)
        self._is_shaken = True
        if failure is not None:
            raise rebuild(failure)

    def _give_up_handshake(self) -> None:
        """The program closes in the middle of a live handshake: the peer was silent for too long."""
        channel = self._tap.host.channel
        keep_failure(self._tap.board, channel, channel.origin, FailureKind.TLS, TimeoutError(SILENCE))


_seeking: ContextVar[ObjectState | None] = ContextVar("cassette_http_seeking", default=None)


def take_seeker(octets: bytes) -> ObjectState | None:
    """The adopted TLS object whose first record inside the cassette these octets are; None if they are none."""
    seeker = _seeking.get()
    if seeker is None or octets[:1] not in RECORD_TYPES:
        return None
    _seeking.set(None)
    return seeker


class ObjectState:
    """The TLS state of an intercepted `ssl.SSLObject` (`carriers.Above`): knows its carrier after the first record.

    A loop reads the socket below and feeds the object, so that the two must agree: when something is due here, the
    stand-in below is readable and gives an octet without meaning, which wakes the loop and is thrown away here.
    An object may be the carrier (`carriers.Carrier`) of another one in the same way.

    `incoming` and `outgoing` are unknown for an object that was there before the cassette.
    """

    def __init__(self, context: ssl.SSLContext, real: Any, incoming: Any = None, outgoing: Any = None) -> None:
        self._is_played = False
        self._context, self._incoming, self._outgoing, self._real = context, incoming, outgoing, real
        self.above: Above | None = None
        self._below: Carrier | None = None
        self._host: Host | None = None
        self._board: Switchboard | None = None
        self._tunnel: bytes | None = None
        self._rest: Any = real
        self._has_told_hello = False
        self._is_shaken = False  # the handshake is over
        self._broken_handshake: Failure | None = None  # the played one
        self._has_told_end = False
        self._unread_wakes = 0
        self._ahead = b""  # was waited for by who read the carrier
        self._is_closed_below = False  # a live peer closed the TCP connection
        self._rests = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # What SSLObject sets: its own names go to the state in C.
        if name in ("context", "session"):
            setattr(self._real, name, value)
        else:
            super().__setattr__(name, value)

    # ------------------------------------------------------------------ which socket

    def link(self, below: Carrier) -> ObjectState:
        """`below` carries the records of this object."""
        below.settle_name(self._real.server_hostname)
        lower = below.host.channel
        self._below, self._board, self._tunnel = below, below.board, lower.tunnel_request
        self._host = Host(below.board.open_channel(lower.tls_origin, lower.via), self._dial, below.host.timeout_s)
        self._host.channel.on_left = below.leave
        if below.stands_in:
            self._is_played = True
            self._rest = PlayedTLS(below.board.tls_facts(lower.tls_origin), self._real.server_hostname, self._context)
        return self

    def adopt(self, board: Switchboard, origin: Origin) -> None:
        """Go on with a connection that was open before the cassette; its socket shows itself by the next record."""
        self._board, self._is_shaken = board, True
        self._host = Host(board.open_channel(origin, None), self._dial, lambda: None)
        _seeking.set(self)
        if board.policy.can_play:
            self._break_off()
        else:
            self._host.channel.has_line = True

    def link_adopted(self, below: Tap) -> None:
        """The socket of `below` carries the next record of this adopted object."""
        self._below, below.above = below, self
        self.host.channel.on_left = below.leave
        if self._is_played:
            below.break_off(below.host)

    def _break_off(self) -> None:
        """Be played from now on. The last record of the live connection goes nowhere."""
        self._is_played = True
        with suppress(ssl.SSLError):
            self._real.shutdown()

    def _dial(self) -> Pump:
        below, channel = self._below, self.host.channel
        if channel.via is not None and channel.via.scheme == "https":
            raise ConnectionRefusedError(
                errno.ECONNREFUSED,
                f"the tunnel through {channel.via} is only played, and none can be opened for a request that is not in "
                'the cassette; record all of it anew, in record mode "rewrite"',
            )
        target = below.target if below is not None else target_of((channel.origin.host, channel.origin.port))
        connect = functools.partial(
            connect_anew,
            self.board,
            channel,
            target,
            self._tunnel,
            functools.partial(_wrap_socket, self._context, server_hostname=self._real.server_hostname),
        )
        if below is not None:
            return below.pump(connect)
        here = weakref.ref(self)

        def wake() -> None:
            state = here()
            if state is not None:
                state.show()

        return Pump(connect, wake, lambda: 0.0)

    # ------------------------------------------------------------------ what the library asks

    def do_handshake(self) -> None:
        if self._is_played:
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
        if self._host is None:
            return self._real.read(size) if buffer is None else self._real.read(size, buffer)
        if self.above is not None:
            octets = self._read_records(self.above, size)
        else:
            octets = self._read_played(size) if self._is_played else self._read_live(size)
        return octets if buffer is None else put_into(buffer, octets)

    def write(self, data: Any, /) -> int:
        if self._host is None:
            return self._real.write(data)  # type: ignore[no-any-return]  # the state gives an int
        octets = octets_of(data)
        if self._below is not None and self._below.is_closed:
            return len(octets)  # its records will not find their way, which the program meets when it sends them
        if self.above is None and octets[:1] == HANDSHAKE_RECORD and octets in expected_hellos:
            self.above = expected_hellos.pop(octets)(self)
        if self.above is not None:
            return self.above.send_records(octets)
        self.begin(self.host, octets)
        if not self._is_played:
            return self._host.send_some(self._real.write, octets)
        self._has_told_end = False
        try:
            self._host.send(octets)
        finally:
            self.show()
        if self._host.channel.is_held_up and self._outgoing is not None:
            self._outgoing.write(octets)  # the program meets it when it sends the records
        return len(octets)

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        if self._host is not None:
            self._host.channel.client_closed()
        return None if self._is_played else self._real.shutdown()

    def _shake_played(self) -> None:
        self._incoming.read()
        if not self._is_shaken:
            self._is_shaken = True
            self._broken_handshake = self.board.fail_connection(self.host.channel.origin, FailureKind.TLS)
        self.show()
        failure = self._broken_handshake
        if failure is None:
            return
        # What breaks the TCP connection, or ends it, is met by who reads the socket: the object only wants to read.
        is_met_below = failure.details.get("class") in (None, ssl.SSLEOFError.__name__)
        if is_met_below and not self._incoming.eof:
            raise _want_read()
        raise rebuild(failure)

    def _tell_hello(self) -> None:
        """Write down the client hello that the state in C has just made, so that the socket that sends it is known."""
        if not self._has_told_hello:
            self._has_told_hello = True
            hello = self._outgoing.read()
            self._outgoing.write(hello)
            expected_hellos[hello] = self.link

    def _keep_handshake(self, error: OSError | None) -> None:
        if self._host is None or self._is_shaken:
            return
        self._is_shaken = True
        with keeping_tls(self.board, self._host.channel) as keep:
            if error is not None:
                raise error
            keep(self._real)

    def _carrier_failed(self, error: OSError, kind: FailureKind) -> None:
        """The live TCP connection broke with `error`."""
        if self._is_shaken:
            self.upper.peer_failed(error, kind)
            return
        with suppress(type(error)):
            self._keep_handshake(error)

    def _give_up_handshake(self) -> None:
        """The program closes in the middle of a live handshake: the peer has gone away, or was silent for too long."""
        if not self._is_closed_below:
            self._carrier_failed(TimeoutError(SILENCE), FailureKind.TIMEOUT)
            return
        self._incoming.write_eof()
        with suppress(ssl.SSLError):
            self.do_handshake()

    def _read_played(self, size: int) -> bytes:
        if self._incoming is not None:
            self._incoming.read()
        has_paused, self._unread_wakes = self._unread_wakes >= MOST_UNREAD_WAKES, 0
        if has_paused:
            self.show()
        if self._ahead:
            octets, self._ahead = self._ahead, b""
            return octets
        # What breaks the TCP connection is met by who reads the socket, not by who reads the object.
        if self._rests or not self._is_due or self._lower_failure is not None:
            self._rests = False
            if (self._has_told_end or self._is_told_end) and not self._is_due:
                return self._read_end()
            raise _want_read()
        try:
            return self.host.receive(size)
        finally:
            self.show()
            # One read per readiness: who drains the object would else see two pieces as one.
            channel = self.host.channel
            self._rests = self._is_due and not (channel.is_left or channel.is_within_piece)

    def _read_end(self) -> bytes:
        """What the state in C does at the end, once all records were read."""
        try:
            self.host.receive(1)
        except ssl.SSLEOFError:
            if self._is_told_end:
                raise
            raise _want_read() from None
        if not self.host.channel.is_incompletely_closed:
            return b""
        # It looks for more records, unless it is told that there are none.
        raise rebuild(incomplete_close()) if self._is_told_end else _want_read()

    @property
    def _is_told_end(self) -> bool:
        """Who reads the carrier has met its end, and said so."""
        return self._incoming is not None and bool(self._incoming.eof)

    def _read_live(self, size: int) -> bytes:
        try:
            octets: bytes = self._real.read(size)
        except NOT_NOW:
            if self._is_closed_below:
                self.host.peer_ended(close_notify=False)
            raise
        except ssl.SSLEOFError:
            self.host.peer_ended(close_notify=False)
            raise
        except ssl.SSLError as error:
            keep_late_refusal(self.board, self.host.channel, error)
            self.host.peer_failed(error)
            raise
        self.host.peer_did(octets)
        return octets

    def _read_records(self, above: Above, size: int) -> bytes:
        """What the object above gets of its carrier."""
        if self._is_played:
            if self._incoming is not None:
                self._incoming.read()
            # Who reads until nothing is left is to come back by the socket, which is what shows that something is due.
            if self._rests:
                self._rests = False
                raise _want_read()
            self._rests = True
        try:
            return above.receive_records(size)
        except NOT_NOW:
            if self._is_closed_below:
                above.upper.peer_ended(close_notify=False)
            raise

    # ------------------------------------------------------------------ what carries, and what is carried, ask

    @property
    def host(self) -> Host:
        assert self._host is not None, "asked only once the carrier is known"
        return self._host

    @property
    def upper(self) -> Host:
        return self.host if self.above is None else self.above.upper

    @property
    def board(self) -> Switchboard:
        assert self._board is not None, "asked only once the carrier is known"
        return self._board

    @property
    def target(self) -> Target:
        return self._carrier.target

    @property
    def stands_in(self) -> bool:
        return self._is_played

    @property
    def is_closed(self) -> bool:
        return self._carrier.is_closed

    def leave(self) -> None:
        """The cassette is left."""
        self._carrier.leave()

    @property
    def is_readable(self) -> bool:
        if self.above is not None:
            return self.above.is_readable
        # A program that is woken and does not read has paused: what is due waits for it.
        return (self._is_due or self._is_ended) and self._unread_wakes < MOST_UNREAD_WAKES

    def settle_name(self, said: str | None) -> None:
        """Behind a proxy the request for the tunnel has named the host."""

    def begin(self, host: Host, octets: bytes) -> None:
        """The program is about to send octets through `host`, which is this object's or one above it."""
        below = self._below
        if below is not None:
            below.begin(host, octets)
            self._board = below.board
            if below.stands_in and not self._is_played:
                self._break_off()

    def pump(self, dial: Callable[[], socket.socket]) -> Pump:
        return self._carrier.pump(dial)

    def show(self) -> None:
        if self._below is not None:
            self._below.show()

    def break_off(self, host: Host) -> None:
        self._carrier.break_off(host)

    def carry(self, records: bytes) -> int:
        return self._real.write(records)  # type: ignore[no-any-return]  # the state gives an int

    def bring(self, at_most: int) -> bytes:
        return self._real.read(at_most)  # type: ignore[no-any-return]  # the state gives octets

    def close(self) -> None:
        if self.above is not None:
            self.above.close()
        if not (self._is_played or self._is_shaken):
            self._give_up_handshake()
        self.host.close()

    def send_records(self, octets: bytes) -> int:
        below = self._carrier
        if self._is_played:
            below.show()
            return len(octets)
        try:
            return below.carry(octets)
        except NOT_NOW:
            raise
        except OSError as error:
            self._carrier_failed(error, FailureKind.WRITE)
            raise

    def receive_records(self, at_most: int) -> bytes:
        if self._is_played and self.above is not None:
            return self.above.receive_records(at_most)
        if self._is_played:
            broken = self._lower_failure
            if broken is not None:
                raise rebuild(broken)
            if self._is_ended and not self._is_due:
                self._has_told_end = True
                return b""
            if not self._is_due and self.host.timeout_s() != 0:
                if self._broken_handshake is not None:
                    raise self._carrier.host.timed_out()
                return self._wait()
            self._unread_wakes += 1
            if self._unread_wakes == MOST_UNREAD_WAKES:
                self.show()
            return WAKE
        try:
            records = self._carrier.bring(at_most)
        except (*NOT_NOW, InterruptedError):
            raise
        except ssl.SSLEOFError:
            self._is_closed_below = True
            raise
        except OSError as error:
            self._carrier_failed(error, FailureKind.RESET)
            raise
        # What ends by this is known when all records were read.
        self._is_closed_below = not records
        return records

    def _wait(self) -> bytes:
        """Let a blocking read of the carrier wait as it would for records, where nothing is due."""
        try:
            self._ahead = self.host.receive(1)
        except TimeoutError:
            raise self._carrier.host.timed_out() from None
        self._has_told_end = not self._ahead
        return WAKE if self._ahead else b""

    @property
    def _carrier(self) -> Carrier:
        assert self._below is not None, "records come by a carrier that is known"
        return self._below

    @property
    def _is_due(self) -> bool:
        if not self._is_shaken:
            return True
        if self._is_ended:
            return False
        if self._broken_handshake is not None:
            return self._lower_failure is not None
        return self.host.channel.is_due or (isinstance(self.host.line, Pump) and self.host.line.has_arrived)

    @property
    def _is_ended(self) -> bool:
        """All that is left is that the peer closes."""
        line = self.host.line
        is_cut_off = isinstance(line, Pump) and line.is_cut_off
        if self._broken_handshake is not None:
            is_cut_off = self._broken_handshake.details.get("class") == ssl.SSLEOFError.__name__
        return self._is_shaken and (is_cut_off or self.host.channel.has_only_end)

    @property
    def _lower_failure(self) -> Failure | None:
        """The recorded TCP connection broke, and nothing else is left."""
        failure = self._broken_handshake or (self.host.channel.next_failure if self._is_shaken else None)
        # Failures of TLS itself are met by who reads the object, and silence is met by nobody.
        if failure is None or "class" in failure.details or isinstance(rebuild(failure), TimeoutError):
            return None
        return failure


def _want_read() -> ssl.SSLWantReadError:
    return ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)")
