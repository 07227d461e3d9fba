"""The interface between TLS objects and what carries their records, and how they find each other."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from cassette_http.intercept.lines import Pump
from cassette_http.intercept.names import Target
from cassette_http.transport.host import Host, Switchboard


class Above(Protocol):
    """A TLS object (`ssl.SSLObject`) whose records go through a carrier."""

    @property
    def upper(self) -> Host:
        """The host that serves the program, above all TLS."""
        ...

    @property
    def is_readable(self) -> bool:
        """The program would get something if it read the carrier and then the TLS object."""
        ...

    def send_records(self, octets: bytes) -> int: ...
    def receive_records(self, at_most: int) -> bytes: ...
    def close(self) -> None: ...


class Carrier(Protocol):
    """Carries the records of a TLS object: a socket, or another TLS object (behind a proxy that speaks TLS)."""

    @property
    def board(self) -> Switchboard: ...
    @property
    def host(self) -> Host: ...
    @property
    def target(self) -> Target: ...
    @property
    def stands_in(self) -> bool: ...
    @property
    def is_closed(self) -> bool:
        """The program has closed the socket."""
        ...

    def leave(self) -> None: ...
    def settle_name(self, said: str | None) -> None: ...
    def begin(self, host: Host, octets: bytes) -> None: ...
    def pump(self, dial: Callable[[], socket.socket]) -> Pump: ...
    def show(self) -> None: ...
    def break_off(self, host: Host) -> None: ...
    def carry(self, records: bytes) -> int:
        """Send records to the live peer; returns how many octets were accepted."""
        ...

    def bring(self, at_most: int) -> bytes:
        """Receive records from the live peer; none mean that it closed."""
        ...


# The first record of a TLS handshake (RFC 8446 section 5.1) shows which TLS object a carrier belongs to.
HANDSHAKE_RECORD = b"\x16"
expected_hellos: dict[bytes, Callable[[Carrier], Above]] = {}
