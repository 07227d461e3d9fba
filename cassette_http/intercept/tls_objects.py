"""Replaces the TLS state in C of an `ssl.SSLObject`."""

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

from cassette_http.cassette.model import Origin
from cassette_http.intercept.authorities import read_authorities
from cassette_http.intercept.carriers import HANDSHAKE_RECORD, Carrier, expected_hellos
from cassette_http.intercept.handshakes import connect_anew
from cassette_http.intercept.kinds import kind_of_context
from cassette_http.intercept.lines import Pump
from cassette_http.intercept.names import Target, target_of
from cassette_http.intercept.taps import Tap
from cassette_http.intercept.tls_records import Link, LiveRecords, PlayedRecords, Records
from cassette_http.transport.host import Host, Switchboard, octets_of, read_into
from cassette_http.transport.played_tls import PlayedTLS
from cassette_http.transport.tunnels import Tunnel

# The types of TLS records (RFC 8446 section 5.1): change_cipher_spec, alert, handshake, application_data.
RECORD_TYPES = b"\x14\x15\x16\x17"

_seeking: ContextVar[ObjectState | None] = ContextVar("cassette_http_seeking", default=None)


def take_seeker(octets: bytes) -> ObjectState | None:
    """The adopted TLS object whose first record inside the cassette `octets` are, if there is one."""
    seeker = _seeking.get()
    if seeker is None or octets[:1] not in RECORD_TYPES:
        return None
    _seeking.set(None)
    return seeker


def _leaving(below: Carrier) -> Callable[[], None]:
    """Have the carrier leave the cassette. The channel outlives the connection, and must not keep it alive."""
    method = weakref.WeakMethod(below.leave)

    def leave() -> None:
        if (still_there := method()) is not None:
            still_there()

    return leave


class ObjectState:
    """The TLS state of an intercepted `ssl.SSLObject` (`carriers.Above`); `real` is the one in C.

    It is in one of three states, which depend on `link` and its records:

        unlinked ──(its first record shows the carrier)──> live ──> played
            │                                                ^        ^
            ├──(the carrier is a stand-in)───────────────────┼────────┤
            └──(it was there before the cassette: `adopt`)───┴────────┘

    While unlinked, it passes calls to the state in C. An object may carry (`carriers.Carrier`) another one.
    `incoming` and `outgoing` are unknown for an object that was made before the cassette.
    """

    def __init__(self, context: ssl.SSLContext, real: Any, incoming: Any = None, outgoing: Any = None) -> None:
        self._context, self._incoming, self._outgoing, self._real = context, incoming, outgoing, real
        self._records: Records | None = None  # None while unlinked
        self._tunnel: Tunnel | None = None
        self._delegate: Any = real
        self._has_noted_hello = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delegate, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # SSLObject sets these: they belong to the state in C.
        if name in ("context", "session"):
            setattr(self._real, name, value)
        else:
            super().__setattr__(name, value)

    # ------------------------------------------------------------------ which socket

    def link(self, below: Carrier) -> ObjectState:
        """`below` carries the records of this object."""
        below.settle_name(self._real.server_hostname)
        lower = below.host.channel
        self._tunnel = lower.tunnel
        host = Host(below.board.open_tls_channel(lower), self._dial, below.host.timeout_s)
        host.channel.on_left = _leaving(below)
        link = Link(below.board, host, below)
        if below.stands_in:
            self._records = PlayedRecords(link, self._incoming, self._outgoing)
            self._delegate = PlayedTLS(
                below.board.tls_facts(lower.origin.over_tls), self._real.server_hostname, self._context
            )
        else:
            read_authorities(self._real.context)
            self._records = LiveRecords(link, self._real, self._incoming)
        return self

    def adopt(self, board: Switchboard, origin: Origin) -> None:
        """Continue a connection that was opened before the cassette; its next record shows its socket."""
        link = Link(board, Host(board.open_channel(origin, None), self._dial, lambda: None))
        self._records = LiveRecords(link, self._real, self._incoming, is_handshake_over=True)
        _seeking.set(self)
        if link.host.channel.can_play:
            self._be_played()
        else:
            link.host.channel.has_line = True

    def link_adopted(self, below: Tap) -> None:
        """The socket of `below` carries the next record of this adopted object."""
        self._linked.link.below, below.above = below, self
        self.host.channel.on_left = _leaving(below)
        if self.stands_in:
            below.break_off(below.host)

    def _be_played(self) -> None:
        """Play from now on. The last record of the live connection is never sent."""
        live = self._linked
        self._records = PlayedRecords(
            live.link, self._incoming, self._outgoing, is_handshake_over=live.is_handshake_over
        )
        with suppress(ssl.SSLError):
            self._real.shutdown()

    def _dial(self) -> Pump:
        link, channel = self._linked.link, self.host.channel
        if channel.via is not None and channel.via.is_tls:
            refusal = ConnectionRefusedError(
                errno.ECONNREFUSED,
                f"the tunnel through {channel.via} is only played, and none can be opened for a request that is not in "
                'the cassette; re-record all of it with record mode "rewrite"',
            )
            channel.peer_was_not_reached(refusal, None)  # not recorded, as no peer has refused
            raise refusal
        below = link.below
        target = below.target if below is not None else target_of((channel.origin.host, channel.origin.port))
        connect = functools.partial(
            connect_anew,
            link.board,
            channel,
            target,
            self._tunnel,
            functools.partial(
                kind_of_context(self._context).wrap_socket, self._context, server_hostname=self._real.server_hostname
            ),
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

    @property
    def _unlinked(self) -> Any:
        """The state in C, which verifies the peer as soon as it gets octets."""
        if self._incoming.pending:
            read_authorities(self._real.context)
        return self._real

    def do_handshake(self) -> None:
        if self._records is not None:
            self._records.do_handshake()
            return
        try:
            self._unlinked.do_handshake()
        except ssl.SSLWantReadError:
            self._note_hello()
            raise

    def _note_hello(self) -> None:
        """Note the client hello that the state in C has just made, to recognise the socket that sends it."""
        if not self._has_noted_hello:
            self._has_noted_hello = True
            hello = self._outgoing.read()
            self._outgoing.write(hello)
            expected_hellos[hello] = self.link

    def read(self, size: int = 1024, buffer: Any = None, /) -> Any:
        records = self._records
        if records is None:
            return self._unlinked.read(size) if buffer is None else self._unlinked.read(size, buffer)
        above = records.link.above
        return read_into(buffer, size, records.read if above is None else functools.partial(records.read_for, above))

    def write(self, data: Any, /) -> int:
        if self._records is None:
            return self._unlinked.write(data)  # type: ignore[no-any-return]  # the state gives an int
        link = self._records.link
        octets = octets_of(data)
        if link.below is not None and link.below.is_closed:
            if self._outgoing is not None:
                self._outgoing.write(octets)  # it cannot be sent, which the program notices when it tries to
            return len(octets)
        if link.above is None and octets[:1] == HANDSHAKE_RECORD and octets in expected_hellos:
            link.above = expected_hellos.pop(octets)(self)
        if link.above is not None:
            return link.above.send_records(octets)
        self.begin(link.host, octets)
        return self._records.write(octets)  # not the records from above, if it was live until now

    def pending(self) -> int:
        is_played = self._records is not None and self._records.are_played
        return self.host.channel.left_of_record if is_played else self._real.pending()

    def shutdown(self) -> Any:
        """The program closes first: what the peer does after that is not part of the interaction."""
        if self._records is None:
            return self._real.shutdown()
        self.host.channel.client_closed()
        return self._records.shutdown()

    # ------------------------------------------------------------------ what carries, and what is carried, ask

    @property
    def _linked(self) -> Records:
        assert self._records is not None, "asked only once the object is linked"
        return self._records

    @property
    def host(self) -> Host:
        return self._linked.link.host

    @property
    def upper(self) -> Host:
        return self._linked.link.upper

    @property
    def board(self) -> Switchboard:
        return self._linked.link.board

    @property
    def target(self) -> Target:
        return self._linked.link.carrier.target

    @property
    def stands_in(self) -> bool:
        return self._linked.are_played

    @property
    def is_closed(self) -> bool:
        return self._linked.link.carrier.is_closed

    @property
    def is_readable(self) -> bool:
        above = self._linked.link.above
        return self._linked.is_readable if above is None else above.is_readable

    def leave(self) -> None:
        self._linked.link.carrier.leave()

    def settle_name(self, said: str | None) -> None:
        """Nothing to do: behind a proxy, the request for the tunnel has named the host."""

    def begin(self, host: Host, octets: bytes) -> None:
        """The program is about to send octets through `host`, which is this object's or that of one above it."""
        link = self._linked.link
        if link.below is not None:
            link.below.begin(host, octets)
            link.board = link.below.board
            if link.below.stands_in and not self.stands_in:
                self._be_played()

    def pump(self, dial: Callable[[], socket.socket]) -> Pump:
        return self._linked.link.carrier.pump(dial)

    def show(self) -> None:
        self._linked.link.show()

    def break_off(self, host: Host) -> None:
        self._linked.link.carrier.break_off(host)

    def carry(self, records: bytes) -> int:
        return self._real.write(records)  # type: ignore[no-any-return]  # the state gives an int

    def bring(self, at_most: int) -> bytes:
        return self._real.read(at_most)  # type: ignore[no-any-return]  # the state gives octets

    def send_records(self, octets: bytes) -> int:
        return self._linked.send(octets)

    def receive_records(self, at_most: int) -> bytes:
        return self._linked.receive(at_most)

    def close(self) -> None:
        if self._linked.link.above is not None:
            self._linked.link.above.close()
        self._linked.close()
        self.host.close()
