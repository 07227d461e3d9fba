"""Where the records of a TLS object (`ssl.SSLObject`) come from and go to: a live peer, or a played one.

An event loop reads the carrier and feeds the object, so the two must agree. When a played peer has something due, the
stand-in below is readable and gives one meaningless octet, which wakes the loop and which the object throws away.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from cassette_http.cassette.model import Failure, FailureKind
from cassette_http.errors import UnmatchedRequest
from cassette_http.intercept.carriers import Above, Carrier
from cassette_http.intercept.handshakes import watch_handshake
from cassette_http.intercept.lines import Pump
from cassette_http.intercept.running_loop import turns_to_come_back
from cassette_http.intercept.stand_ins import WAKE
from cassette_http.transport.failures import (
    ENDED_HANDSHAKES,
    incomplete_close,
    rebuild,
    send_behind_incomplete_close,
    silence,
    want_read,
)
from cassette_http.transport.host import NOT_NOW, Host, Switchboard
from cassette_http.transport.opening import keeping_tls

# Most programs read the object each time they are woken; that saves the system calls to make it look idle.
MOST_UNREAD_WAKES = 2


@dataclass
class Link:
    """What a TLS object knows about its connection: its host, what carries its records, and which object it carries.

    `below` is unknown until the next record if the connection was opened before the cassette.
    """

    board: Switchboard
    host: Host
    below: Carrier | None = None
    above: Above | None = None

    @property
    def carrier(self) -> Carrier:
        assert self.below is not None, "records come by a carrier that is known"
        return self.below

    @property
    def upper(self) -> Host:
        """The host that serves the program, above all TLS."""
        return self.host if self.above is None else self.above.upper

    def show(self) -> None:
        """Make the stand-in below readable exactly if something is due."""
        if self.below is not None:
            self.below.show()


class Records(Protocol):
    """The records of one TLS object: the object reads and writes content, its carrier octets."""

    are_played: bool
    is_handshake_over: bool
    link: Link

    @property
    def is_readable(self) -> bool:
        """The program would get something if it read the carrier and then the object."""
        ...

    def do_handshake(self) -> None: ...
    def read(self, at_most: int) -> bytes: ...
    def read_for(self, above: Above, at_most: int) -> bytes:
        """Octets for the object above, which this one carries."""
        ...

    def write(self, octets: bytes) -> int: ...
    def shutdown(self) -> Any: ...
    def send(self, records: bytes) -> int: ...
    def receive(self, at_most: int) -> bytes: ...
    def close(self) -> None: ...


class LiveRecords:
    """Records of a live peer, made and read by the TLS state in C, `real`, which takes them from `incoming`."""

    are_played = False

    def __init__(self, link: Link, real: Any, incoming: Any, *, is_handshake_over: bool = False) -> None:
        self.is_handshake_over = is_handshake_over
        self.link, self._real, self._incoming = link, real, incoming
        self._is_closed_below = False  # the peer closed the TCP connection
        if not is_handshake_over:
            watch_handshake(link.board, link.host.channel, self)

    @property
    def is_readable(self) -> bool:
        channel = self.link.host.channel
        return not self.is_handshake_over or channel.is_due or channel.has_only_end

    def do_handshake(self) -> None:
        try:
            self._real.do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._keep_handshake(error)
            raise
        self._keep_handshake(None)

    def _keep_handshake(self, error: OSError | None) -> None:
        if self.is_handshake_over:
            return
        self.is_handshake_over = True
        self.link.board.open_handshakes.pop(self.link.host.channel, None)
        with keeping_tls(self.link.board, self.link.host.channel) as keep:
            if error is not None:
                raise error
            keep(self._real)

    def read(self, at_most: int) -> bytes:
        host = self.link.host
        try:
            octets: bytes = self._real.read(at_most)
        except NOT_NOW:
            if self._is_closed_below:
                host.peer_ended(close_notify=False)
            raise
        except ssl.SSLEOFError:
            host.peer_ended(close_notify=False)
            raise
        except ssl.SSLError as error:
            host.peer_failed(error)
            raise
        host.peer_did(octets)
        return octets

    def read_for(self, above: Above, at_most: int) -> bytes:
        try:
            return above.receive_records(at_most)
        except NOT_NOW:
            if self._is_closed_below:
                above.upper.peer_ended(close_notify=False)
            raise

    def write(self, octets: bytes) -> int:
        return self.link.host.send_some(self._real.write, octets)

    def shutdown(self) -> Any:
        return self._real.shutdown()

    def send(self, records: bytes) -> int:
        try:
            return self.link.carrier.carry(records)
        except NOT_NOW:
            raise
        except OSError as error:
            self._carrier_failed(error, FailureKind.WRITE)
            raise

    def receive(self, at_most: int) -> bytes:
        try:
            records = self.link.carrier.bring(at_most)
        except (*NOT_NOW, InterruptedError):
            raise
        except ssl.SSLEOFError:
            self._is_closed_below = True
            raise
        except OSError as error:
            self._carrier_failed(error, FailureKind.RESET)
            raise
        # What ends here is known when all records have been read.
        self._is_closed_below = not records
        return records

    def close(self) -> None:
        """If the handshake is not over: the peer has gone away, or was silent for too long."""
        if self.is_handshake_over:
            return
        if not self._is_closed_below:
            self._carrier_failed(silence(), FailureKind.TIMEOUT)
            return
        self._incoming.write_eof()
        with suppress(ssl.SSLError):
            self.do_handshake()

    def _carrier_failed(self, error: OSError, kind: FailureKind) -> None:
        """The TCP connection broke with `error`."""
        if self.is_handshake_over:
            self.link.upper.peer_failed(error, kind)
            return
        with suppress(type(error)):
            self._keep_handshake(error)


class PlayedRecords:
    """Records of a played peer: in fact there are none, only meaningless octets that show when something is due.

    The program puts what it reads from the carrier into `incoming`, and sends what it finds in `outgoing`; both are
    None for an object that was made before the cassette.
    """

    are_played = True

    def __init__(self, link: Link, incoming: Any, outgoing: Any, *, is_handshake_over: bool = False) -> None:
        self.is_handshake_over = is_handshake_over
        self.link, self._incoming, self._outgoing = link, incoming, outgoing
        self._broken_handshake: Failure | None = None  # the recorded failure
        self._ahead = b""  # content that a read of the carrier has waited for
        self._has_given_end = False  # to a reader of the carrier
        self._has_read_end = False  # the object has returned it
        self._empty_reads = 0  # how many of the next reads get nothing: one read per readiness
        self._broken_write: OSError | None = None  # TCP accepts no more: raised when records are sent
        self._unread_wakes = 0  # how many waking octets the carrier gave since the object was last read

    # ------------------------------------------------------------------ what the object asks

    def do_handshake(self) -> None:
        self._incoming.read()
        if not self.is_handshake_over:
            self.is_handshake_over = True
            origin = self.link.host.channel.origin
            self._broken_handshake = self.link.board.fail_connection(origin, FailureKind.TLS)
        self.link.show()
        failure = self._broken_handshake
        if failure is None:
            return
        # What breaks or ends the TCP connection is met by reads of the socket: the object only reports WANT_READ.
        is_met_below = failure.details.get("class") in (None, *ENDED_HANDSHAKES)
        if is_met_below and not self._incoming.eof:
            raise want_read()
        raise rebuild(failure)

    def read(self, at_most: int) -> bytes:
        self._throw_wakes_away()
        has_paused, self._unread_wakes = self._unread_wakes >= MOST_UNREAD_WAKES, 0
        if has_paused:
            self.link.show()
        if self._ahead:
            octets, self._ahead = self._ahead, b""
            return octets
        # What breaks the TCP connection is met by reads of the socket, not by reads of the object.
        if self.link.host.channel.is_left:
            self._empty_reads = 0  # the carrier will not wake the program again
        if self._empty_reads or not self._is_due or self._lower_failure is not None or self._has_broken_line:
            self._empty_reads = max(0, self._empty_reads - 1)
            is_ended = self._has_given_end or self._knows_end or self.link.host.channel.is_half_closed
            if is_ended and not self._is_due:
                return self._read_end()
            raise want_read()
        try:
            octets = self.link.host.receive(at_most)
            self._has_read_end = not octets
            return octets
        finally:
            self.link.show()
            # A client that drains the object would otherwise see two pieces as one.
            channel = self.link.host.channel
            goes_on = not (self._is_due or self._is_ended) or channel.is_left or channel.is_within_read
            self._empty_reads = 0 if goes_on else turns_to_come_back(breaks_next=channel.breaks_next)

    def _read_end(self) -> bytes:
        """What the state in C does at the end, once all records have been read."""
        try:
            self.link.host.receive(1)
        except ssl.SSLEOFError:
            if self._knows_end:
                raise
            raise want_read() from None
        if not self.link.host.channel.is_incompletely_closed:
            return b""
        # It asks for more records, unless it knows that there are none.
        raise rebuild(incomplete_close()) if self._knows_end else want_read()

    def read_for(self, above: Above, at_most: int) -> bytes:
        self._throw_wakes_away()
        # A client that reads until nothing is left must come back when the socket shows that something is due.
        if self._empty_reads:
            self._empty_reads = 0
            raise want_read()
        self._empty_reads = 1
        return above.receive_records(at_most)

    def write(self, octets: bytes) -> int:
        host = self.link.host
        if self._knows_end and host.channel.is_incompletely_closed:
            raise rebuild(send_behind_incomplete_close())
        self._has_given_end = False
        try:
            host.send(octets)
        except (UnmatchedRequest, ssl.SSLError):
            raise
        except OSError as error:
            if self._outgoing is None:
                raise
            self._broken_write = error
        finally:
            self.link.show()
        if self._outgoing is not None and (host.channel.is_upload_stalled or self._broken_write is not None):
            self._outgoing.write(octets)  # the program gets the error when it sends the records
        return len(octets)

    def shutdown(self) -> Any:
        return None

    def _throw_wakes_away(self) -> None:
        if self._incoming is not None:
            self._incoming.read()

    @property
    def _knows_end(self) -> bool:
        """The program has met the end of the carrier, and the object knows it."""
        return self._incoming is not None and bool(self._incoming.eof)

    # ------------------------------------------------------------------ what the carrier asks

    @property
    def is_readable(self) -> bool:
        # A program that was woken and does not read has paused: what is due waits for it.
        return (self._is_due or self._is_ended) and self._unread_wakes < MOST_UNREAD_WAKES

    def send(self, records: bytes) -> int:
        self.link.show()
        late_break = self.link.host.late_break
        if self._broken_write is None and late_break is not None:
            self._broken_write = rebuild(late_break)
        if self._broken_write is not None:
            raise self._broken_write
        return len(records)

    def receive(self, at_most: int) -> bytes:
        if self.link.above is not None:
            return self.link.above.receive_records(at_most)
        broken = self._lower_failure
        if broken is not None and not self._empty_reads:
            raise rebuild(broken)
        if self._has_broken_line:
            self.link.host.receive(1)  # raises the error that broke it
        if self._is_ended and not (self._is_due or self._empty_reads):
            self._has_given_end = True
            return b""
        if not (self._is_due or self._empty_reads) and self.link.host.timeout_s() != 0:
            if self._broken_handshake is not None:
                raise self.link.carrier.host.timed_out()
            return self._wait()
        self._unread_wakes += 1
        if self._unread_wakes == MOST_UNREAD_WAKES:
            self.link.show()
        return WAKE

    def _wait(self) -> bytes:
        """Make a blocking read of the carrier wait if nothing is due, like a wait for records."""
        try:
            self._ahead = self.link.host.receive(1)
        except TimeoutError:
            raise self.link.carrier.host.timed_out() from None
        self._has_given_end = not self._ahead
        return WAKE if self._ahead else b""

    def close(self) -> None:
        pass  # nothing waits for it

    # ------------------------------------------------------------------ what is left of the recording

    @property
    def _is_due(self) -> bool:
        if not self.is_handshake_over:
            return True
        host = self.link.host
        if self._broken_handshake is not None:
            is_due = self._lower_failure is not None
        else:
            is_due = host.channel.is_due or (isinstance(host.line, Pump) and host.line.has_arrived)
        return is_due and not (self._is_ended or host.channel.is_half_closed)

    @property
    def _is_ended(self) -> bool:
        """Only the end of the peer's TCP connection is left."""
        channel, line = self.link.host.channel, self.link.host.line
        is_cut_off = isinstance(line, Pump) and line.is_cut_off
        if self._broken_handshake is not None:
            is_cut_off = self._broken_handshake.details.get("class") in ENDED_HANDSHAKES
        has_only_end = channel.has_only_end and not channel.ends_without_fin
        # An end that TLS announces comes as a record first.
        is_announced = channel.announces_end and not self._has_read_end
        return self.is_handshake_over and (is_cut_off or (has_only_end and not is_announced))

    @property
    def _has_broken_line(self) -> bool:
        """The live peer that was dialled late was not reached, or its TCP connection broke."""
        line = self.link.host.line
        # The channel knows it before the line says so.
        return isinstance(line, Pump) and (line.is_broken or self.link.host.channel.is_unreachable)

    @property
    def _lower_failure(self) -> Failure | None:
        """The recorded TCP connection broke, and nothing else is left."""
        failure = self._broken_handshake or (self.link.host.channel.next_failure if self.is_handshake_over else None)
        # Failures of TLS itself are met by reads of the object, and silence by none.
        if failure is None or "class" in failure.details or isinstance(rebuild(failure), TimeoutError):
            return None
        return failure
