"""What is behind an intercepted socket: a `Tap`, which runs a channel and keeps the descriptor's readiness correct.

The library keeps its own object: a real `socket.socket` with a real descriptor.
"""

from __future__ import annotations

import _socket
import errno
import functools
import os
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cassette_http.cassette.model import DEFAULT_PORTS
from cassette_http.intercept.beginnings import authority_of_request, refuse_http2
from cassette_http.intercept.carriers import HANDSHAKE_RECORD, Above, expected_hellos
from cassette_http.intercept.current import board_to_follow
from cassette_http.intercept.kinds import descriptor_of, kind_of, raw
from cassette_http.intercept.lines import PlainLine, Pump, alive
from cassette_http.intercept.names import Target, is_invented, target_of
from cassette_http.intercept.running_loop import call_when_idle, turns_to_come_back
from cassette_http.intercept.stand_ins import CAN_MOVE_WATCHERS, StandIn, put_under
from cassette_http.transport.channel import do_nothing
from cassette_http.transport.failures import rebuild
from cassette_http.transport.host import Host, Switchboard, octets_of
from cassette_http.transport.socks import as_it_is
from cassette_http.transport.tunnels import Line

_setsockopt = _socket.socket.setsockopt
_getpeername = _socket.socket.getpeername
_getsockname = _socket.socket.getsockname
_shutdown = _socket.socket.shutdown

# A client that has sent nothing for so long waits for its peer to speak first.
PATIENCE_S = 0.1

# How far one look ahead goes; a later one may go further.
PEEKED_OCTETS = 1 << 16

# Flags of a read or write, if the system has them.
OUT_OF_BAND = socket.MSG_OOB
PEEK = socket.MSG_PEEK
DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
WAITALL = getattr(socket, "MSG_WAITALL", 0)


# A dictionary with weak keys. Not that of weakref, whose methods are in Python: every send and read uses it.
_taps: dict[weakref.ref[socket.socket], Tap] = {}
_early_options: weakref.WeakKeyDictionary[socket.socket, list[tuple[Any, ...]]] = weakref.WeakKeyDictionary()


def tap_of(sock: socket.socket) -> Tap | None:
    """The tap of `sock`; None if it is not intercepted."""
    return _taps.get(weakref.ref(sock))


def tap_of_descriptor(descriptor: int) -> Tap | None:
    return next((tap for sock, tap in _tapped() if descriptor_of(sock) == descriptor), None)


def _tapped() -> list[tuple[socket.socket, Tap]]:
    return [(sock, tap) for there, tap in tuple(_taps.items()) if (sock := there()) is not None]


def note_option(sock: socket.socket, option: tuple[Any, ...]) -> None:
    """Remember an option of a socket without a tap, as it may be needed again for a new connection."""
    _early_options.setdefault(sock, []).append(option)


def put_tap(sock: socket.socket, tap: Tap) -> None:
    """Make `tap` serve `sock` from now on."""
    _taps[weakref.ref(sock, _forget)] = tap


def _forget(gone: weakref.ref[socket.socket]) -> None:
    """A program left a socket to the garbage collector: close the connection below it."""
    tap = _taps.pop(gone, None)
    if tap is not None and tap.host.line is not None and tap not in _taps.values():
        tap.host.line.close()


def take_tap(sock: socket.socket) -> Tap | None:
    """Separate `sock` from its tap."""
    return _taps.pop(weakref.ref(sock), None)


def _after_fork_in_child() -> None:
    for tap in tuple(_taps.values()):
        tap.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def timeout_of(sock: socket.socket) -> Callable[[], float | None]:
    """Return a function for the time-out of `sock` that does not keep the socket alive."""
    here = weakref.ref(sock)
    return lambda: alive(here).gettimeout()


class Tap:
    """What is behind one intercepted socket. `peer` is the address to which it was connected."""

    def __init__(self, sock: socket.socket, board: Switchboard, host: Host, target: Target, peer: Any) -> None:
        self.board, self.host, self.target, self.peer = board, host, target, peer
        self._far_end = target  # differs behind a SOCKS proxy
        self.above: Above | None = None
        # Options that were set before there was a live connection.
        self.options: list[tuple[Any, ...]] = _early_options.pop(sock, [])
        self.on_connect_ended: Callable[[int], None] | None = None  # called with the errno of a connect in progress
        self.on_closed: Callable[[], None] | None = None  # called when the program closes
        self.pending_error = 0  # of a played non-blocking connect, for SO_ERROR
        self.is_refused = False  # by the played peer: the program believes that it is connecting
        self.never_connects = False  # a played connect is in progress, and never ends
        self.is_watched = sock.gettimeout() == 0  # an event loop or the like may wait for the descriptor
        self.is_shared = False  # copies of the socket exist
        self._sock = weakref.ref(sock)
        self._stand_in: StandIn | None = None
        self._empty_reads = 0  # how many of the next reads get nothing
        self._peeked = b""
        self._was_polled = False  # since the last read
        self._shut: set[int] = set()
        self._awaits_first_word = False
        host.channel.on_left, host.channel.naming = self.leave, self._name_far_end
        kind_of(sock).share(host)

    @property
    def stands_in(self) -> bool:
        """The descriptor is an end of a local pair, not a connection."""
        return self._stand_in is not None and self._stand_in.is_there

    @property
    def is_closed(self) -> bool:
        sock = self._sock()
        return sock is None or descriptor_of(sock) < 0

    @property
    def sock(self) -> socket.socket:
        """Only to be used while a method of the socket runs."""
        sock = self._sock()
        assert sock is not None, "a socket is alive while one of its methods runs"
        return sock

    # ------------------------------------------------------------------ the descriptor

    def stand_in(self, *, was_watched: bool) -> None:
        """Put an end of a local pair under the socket's descriptor, as nothing was dialled.

        `was_watched`: an event loop knew the descriptor before.
        """
        self._stand_in = StandIn(self.sock, is_watched=was_watched)
        if self.is_watched or was_watched:
            self._be_watched()

    def never_connect(self) -> None:
        """Make the stand-in look like a connect in progress: it is not writable."""
        assert self._stand_in is not None, "a connect that is played"
        self.never_connects = True
        self._stand_in.block_writes()

    def hand_over(self, sock: socket.socket, host: Host) -> Tap:
        """The tap for a TLS connection over this one, on the same descriptor."""
        tap = Tap(sock, self.board, host, self.target, self.peer)
        tap.options, tap.on_connect_ended = self.options, self.on_connect_ended
        tap._stand_in, self._stand_in = self._stand_in, None
        if tap._stand_in is not None:
            tap._stand_in.move(sock)
        tap.is_watched = self.is_watched
        tap.show()
        return tap

    def take_descriptor(self, dialled: socket.socket) -> None:
        """Put the descriptor of a live connection under the socket, instead of the local pair."""
        sock = self.sock
        self.peer = _getpeername(raw(dialled))
        put_under(sock, dialled)
        if self._stand_in is not None:
            self._stand_in.close()
            self._stand_in = None
        for option in self.options:
            _setsockopt(raw(sock), *option)

    @property
    def must_not_wait(self) -> bool:
        """Dialling here could block an event loop, or leave it watching the old descriptor."""
        self.is_watched = self.is_watched or self.sock.gettimeout() == 0
        return self.is_watched

    def pump(self, dial: Callable[[], socket.socket]) -> Pump:
        """Serve a watched socket with a connection that `dial` opens, in a thread."""
        here = weakref.ref(self)

        def wake() -> None:
            tap = here()
            if tap is not None:
                tap.show()

        sock = self.sock
        pump = Pump(dial, wake, timeout_of(sock))
        weakref.finalize(sock, pump.close).atexit = False
        return pump

    def leave(self) -> None:
        """Leave the cassette: a played connection looks closed from now on, even without the hooks.

        The client first gets the rest of a response that is being played. If that is cut off, the connection looks
        broken, so that the client does not take the part for the whole.
        """
        host, channel, sock = self._upper, self._upper.channel, self._sock()
        if not channel.is_left:
            return  # the layer above uses another cassette already, or calls this later
        if isinstance(host.line, Pump):  # without the hooks, nobody can read from it
            host.line.close()
            host.line = None
        if channel.is_mid_response and self._stand_in is None and not self.is_closed:
            self.stand_in(was_watched=self.is_watched)
        if self._stand_in is None:
            return
        if sock is None or channel.origin.is_tls:
            # The object that replaced the TLS state works without the hooks, and plays on.
            self._stand_in.leave(is_cut_short=channel.is_cut_short)
            return
        host.line = PlainLine(sock)
        rest, is_whole = channel.hand_out()
        octets, self._peeked = self._peeked + rest, b""
        self._stand_in.leave(octets, is_cut_short=not is_whole)

    def watch(self) -> None:
        """The program asks for the descriptor: from now on it shows whether something is due.

        Most blocking clients never ask, which saves the system calls.
        """
        self._was_polled = True
        if not self.is_watched or not self.host.channel.has_spoken:
            self._be_watched()

    def _be_watched(self) -> None:
        self.is_watched = True
        self.show()
        if not self._awaits_first_word and self.stands_in and not self.host.channel.has_spoken:
            self._awaits_first_word = True
            if self._may_speak_first():
                call_when_idle(PATIENCE_S, weakref.WeakMethod(self._await_first_word))

    def _may_speak_first(self) -> bool:
        origin = self.host.channel.origin
        is_web = not origin.is_unix and origin.port in DEFAULT_PORTS.values()
        return not (is_web or self.board.knows_peer(origin.host, origin.port))

    def show(self) -> None:
        """Make the stand-in readable exactly if something is due. May be called from any thread."""
        if self.is_watched and self._stand_in is not None:
            self._stand_in.show(self._is_due_now)

    def _is_due_now(self) -> bool:
        is_due = self.is_due and not self._upper.channel.is_half_closed
        if not is_due and self.board.keeps_pace:
            self._show_later()
        return is_due

    def _show_later(self) -> None:
        """Check again when the recorded pace brings the next piece."""
        due_in_s = self._upper.channel.due_in_s
        if due_in_s is not None:
            timer = threading.Timer(due_in_s, self.show)
            timer.daemon = True
            timer.start()

    def _await_first_word(self) -> None:
        """The program waits and has sent no request: if this is not HTTP, the peer must speak first."""
        host = self._upper
        is_silent = self.stands_in and not (host.channel.has_spoken or host.channel.is_left)
        if is_silent and self._may_speak_first():  # checked again, as the program may have asked for a tunnel
            host.dial()
            self.show()  # something may have come before the host had its line

    @property
    def is_ended(self) -> bool:
        """The recorded peer has closed, whether or not the program has noticed."""
        return self._upper.channel.is_closed_by_peer

    @property
    def is_due(self) -> bool:
        """A read of the stand-in would not have to wait."""
        if self._peeked or (self._shut and self._is_shut):
            return True
        if self.above is not None:
            return self.above.is_readable
        line = self.host.line
        return self.host.channel.is_due or (isinstance(line, Pump) and line.has_arrived)

    @property
    def _is_shut(self) -> bool:
        """Nothing can come any more: a peer closes after its last data, once the client has ended sending."""
        if self.host.line is not None:
            return socket.SHUT_RD in self._shut
        channel = self.host.channel
        return socket.SHUT_RD in self._shut or not (channel.is_due or channel.due_in_s)

    @property
    def _upper(self) -> Host:
        """The host that serves the program: that of the TLS object above, if there is one."""
        return self.host if self.above is None else self.above.upper

    # ------------------------------------------------------------------ octets

    def send(self, data: Any, flags: int = 0) -> int:
        """Do a `send` of the socket; returns how many octets were accepted."""
        octets = octets_of(data)
        if flags & OUT_OF_BAND:  # not a part of the stream
            return len(octets) if self.stands_in else kind_of(self.sock).send(self.sock, octets, flags)
        if self._shut and socket.SHUT_WR in self._shut:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if expected_hellos and self.above is None and octets[:1] == HANDSHAKE_RECORD and octets in expected_hellos:
            self.above = expected_hellos.pop(octets)(self)
        if self._show_stall():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self.above is not None:
            return self.above.send_records(octets)
        self.begin(self.host, octets)
        if self._far_end.others:
            named = authority_of_request(octets)
            self.settle_name(named and named[0])
        line, channel = self.host.line, self.host.channel
        can_only_record = line is not None and not (channel.can_play or channel.is_greeting(octets))
        if line is not None and can_only_record and (self.sock.gettimeout() == 0 or self._never_waits(flags)):
            return self.host.send_some(functools.partial(self._send_some, line, flags=flags), octets)
        try:
            return self.host.send(octets)
        finally:
            self._show_stall()
            self.show()

    def _show_stall(self) -> bool:
        """If the recorded peer accepts no more data, make the descriptor not writable; tell whether that is so."""
        host = self._upper
        if self._stand_in is None or not host.channel.is_upload_stalled:
            return False
        if self._stand_in.block_writes() and host.late_break is not None:
            call_when_idle(host.late_break.at, weakref.WeakMethod(self._end_stall))
        return True

    def _end_stall(self) -> None:
        """The recorded connection broke at this time: the next send gets the error."""
        self._upper.channel.is_upload_stalled = False
        if self._stand_in is not None:
            self._stand_in.allow_writes()

    def _never_waits(self, flags: int) -> bool:
        """Tell whether these flags of a system call mean that it does not wait.

        Sockets with a time-out, and all of gevent's, wait before the system call, so its flags cannot change that.
        """
        return bool(flags & DONTWAIT) and raw(self.sock).gettimeout() is None

    def _send_some(self, line: Line, octets: bytes, flags: int = 0) -> int:
        """Send what the live peer accepts at once, and note whether that was everything."""
        channel = self._upper.channel
        channel.is_upload_stalled = True
        sent = line.send(octets, flags) if isinstance(line, PlainLine) else line.send(octets)
        channel.is_upload_stalled = sent < len(octets)
        return sent

    def receive(self, at_most: int, flags: int = 0) -> bytes:
        """Do a `recv` of the socket."""
        self._was_polled = False
        if flags:
            return self._receive_with(at_most, flags)
        if self._peeked:
            return self._take_peeked(at_most)
        if self._shut and self._is_shut:
            return b""
        # One read per readiness: a client that drains the descriptor would otherwise see two pieces as one.
        sock = self._sock()
        never_waits = sock is not None and sock.gettimeout() == 0
        if never_waits and self.stands_in and (self._empty_reads or not self.is_due):
            self._empty_reads = max(0, self._empty_reads - 1)
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self.above is not None:
            return self.above.receive_records(at_most)
        try:
            may_peer_begin = self.host.channel.has_spoken or self._may_speak_first()
            return self.host.receive(at_most, may_peer_begin=may_peer_begin)
        finally:
            if self.is_watched:
                self.show()
                channel = self.host.channel
                goes_on = self._stand_in is None or not self._stand_in.is_marked or channel.goes_on
                self._empty_reads = 0 if goes_on else turns_to_come_back(breaks_next=channel.breaks_next)

    def _receive_with(self, at_most: int, flags: int) -> bytes:
        """Receive with flags of the system call."""
        if flags & OUT_OF_BAND:
            if self.stands_in:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as if none had been sent
            return kind_of(self.sock).recv(self.sock, at_most, flags)
        if self._never_waits(flags) and not self._is_readable():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if not flags & PEEK:
            octets = self.receive(at_most)
            waits_for_all = flags & WAITALL and raw(self.sock).gettimeout() is None
            with suppress(OSError):  # the octets before the error come first
                while waits_for_all and 0 < len(octets) < at_most and (more := self.receive(at_most - len(octets))):
                    octets += more
            return octets
        if not self._peeked:
            if isinstance(self.host.line, PlainLine) and (self.host.channel.needs_peer or self.above is not None):
                return self._look_at_live(at_most)
            self._peeked = self.receive(max(at_most, PEEKED_OCTETS))
            self.show()
        return self._peeked[:at_most]

    def _look_at_live(self, at_most: int) -> bytes:
        try:
            return kind_of(self.sock).recv(self.sock, at_most, PEEK)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            self._upper.peer_failed(error)  # no later call would report it
            raise

    def _take_peeked(self, at_most: int) -> bytes:
        octets, self._peeked = self._peeked[:at_most], self._peeked[at_most:]
        self.show()
        return octets

    def _is_readable(self) -> bool:
        if self.is_due:
            return True
        if self.stands_in:
            return False
        return kind_of(self.sock).is_readable(self.sock)

    def sockname(self) -> Any:
        """The program's own address."""
        sock, stand_in = self.sock, self._stand_in
        if stand_in is None or not stand_in.is_there or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return _getsockname(raw(sock))
        port = stand_in.port
        return ("::1", port, 0, 0) if sock.family == socket.AF_INET6 else ("127.0.0.1", port)

    def peername(self) -> Any:
        """The address of the peer; some programs detect a broken connection by it, before they read."""
        if self.stands_in:
            refusal = self._upper.channel.late_refusal
            if refusal is not None and refusal.errno == "ENOTCONN":
                raise rebuild(refusal)
            self._check_connected()
            return self.peer
        try:
            return _getpeername(raw(self.sock))
        except OSError as error:
            # During an exchange, a send or read has met or will meet the error; this call may only be for a log.
            if self.on_connect_ended is None and not self._upper.channel.needs_peer:
                self._upper.peer_failed(error)
            raise

    def _check_connected(self) -> None:
        if self.is_refused or self._upper.channel.is_broken:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def shutdown(self, how: int) -> None:
        """The program shuts down one or both directions of its connection."""
        if how != socket.SHUT_WR:
            self._upper.read_no_more()
        if how != socket.SHUT_RD:
            self._upper.channel.sends_no_more = True
        if not self.stands_in:
            return
        self._check_connected()
        self._shut |= {socket.SHUT_RD, socket.SHUT_WR} if how == socket.SHUT_RDWR else {how}
        if isinstance(self.host.line, Pump) and socket.SHUT_WR in self._shut:
            self.host.line.end_sending()
        self.show()

    def close(self) -> None:
        """A socket of this tap was closed; the connection closes with the last one."""
        others = [sock for sock, tap in _tapped() if tap is self] if self.is_shared else []
        if others:
            self.move(others[0])
            return
        self._look_for_end()
        if self.on_closed is not None:
            self.on_closed()
        if self.above is not None:
            self.above.close()
        self.host.close()
        if self._stand_in is not None:
            self._stand_in.close()
        if self.host.channel.on_left == self.leave:
            self.host.channel.on_left = do_nothing  # it is not needed any more, and refers to the cassette
        self.host.channel.naming = as_it_is  # likewise

    def _look_for_end(self) -> None:
        """Find out whether a client that only polled, and now closes, closes because its peer did.

        During a response, there may be more data instead; over a TLS object, that cannot be known.
        """
        channel = self._upper.channel
        is_live = not self.stands_in or isinstance(self._upper.line, Pump)
        is_open = channel.is_idle or (channel.is_recording and self.above is None)
        may_matter = not channel.is_closed and (channel.has_surplus or (self._was_polled and is_open))
        if not (is_live and may_matter and self._is_readable()):
            return
        if self.above is not None:
            self.above.upper.peer_ended()  # how it ended will never be read
            return
        self.sock.settimeout(0)
        with suppress(OSError):  # the host has noted it
            self.host.receive(1)

    def move(self, sock: socket.socket) -> None:
        """Serve `sock`, which has a copy of the descriptor."""
        if isinstance(self.host.line, PlainLine):
            self.host.line = PlainLine(sock)
        self.host.timeout_s = timeout_of(sock)
        self._sock = weakref.ref(sock)
        if self._stand_in is not None:
            self._stand_in.move(sock)

    def carry(self, records: bytes) -> int:
        """Send records of the TLS object above to the live peer."""
        sock = self.sock
        line = self.host.line or PlainLine(sock)
        if sock.gettimeout() == 0:
            return self._send_some(line, records)
        line.sendall(records)
        return len(records)

    def bring(self, at_most: int) -> bytes:
        """Receive records for the TLS object above from the live peer."""
        return (self.host.line or PlainLine(self.sock)).recv(at_most)

    def begin(self, host: Host, octets: bytes) -> None:
        """The program is about to send octets through `host`, perhaps the first of a request."""
        self.follow(host)
        if not (host.channel.has_spoken or self.board.only_watches):
            refuse_http2(octets)

    def follow(self, host: Host) -> None:
        """Change to the cassette in use where the next request is sent, as connections outlive cassettes."""
        channel, board = host.channel, board_to_follow(self.board)
        if board is None or not (channel.is_between_requests or channel.is_left):
            return
        if self._stand_in is None:
            if board.may_answer(channel.origin.host, channel.origin.port) and self.must_not_wait:
                self.break_off(host)
        elif not self.stands_in:
            self.stand_in(was_watched=self.is_watched)
            host.line = None
        self.board = board
        host.follow(board.open_channel(channel.origin, channel.via))
        host.channel.on_left = self.leave

    def break_off(self, host: Host) -> None:
        """Replace a watched live connection by a stand-in: only that can show that played octets are due."""
        sock = self.sock
        if sock.gettimeout() == 0 and not CAN_MOVE_WATCHERS:
            # To its pool it looks like a connection that was closed while idle.
            with suppress(OSError):
                _shutdown(raw(sock), socket.SHUT_RDWR)
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self.stand_in(was_watched=True)
        if host.line is not None:
            host.line.close()
            host.line = None

    def settle_name(self, said: str | None) -> None:
        """If several hosts have the address, the client says by SNI or the Host field which one it means."""
        channel, far_end = self.host.channel, self._far_end
        is_known_by_address = channel.via is None or far_end is not self.target
        if is_known_by_address and far_end.settle(said and said.lower()):
            channel.origin = replace(channel.origin, host=far_end.host)

    def _name_far_end(self, address: str, port: int) -> tuple[str, bool]:
        """Find the host for an address that a client asks a SOCKS proxy for (transport.socks.Naming)."""
        self._far_end = target_of((address, port), is_blocking=self.sock.gettimeout() != 0)
        return self._far_end.host, is_invented(address)

    def after_fork_in_child(self) -> None:
        if isinstance(self.host.line, Pump):
            self.host.line.after_fork_in_child()
        if self._stand_in is not None:
            self._stand_in.after_fork_in_child()
            self.show()
