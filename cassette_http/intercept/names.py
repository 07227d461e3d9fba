"""Name look-ups: which host an address stands for, and answers without a network in replay."""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from cassette_http.cassette.model import UNIX, Failure, FailureKind, Origin
from cassette_http.intercept.current import current_board
from cassette_http.intercept.imports import ModuleHooks
from cassette_http.intercept.patches import Patches
from cassette_http.transport import live
from cassette_http.transport.channel import Channel, do_nothing
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.host import Switchboard

PATCHES = Patches()

# A test does not come near these limits (per process, and per address); beyond them the oldest are forgotten.
MAX_REMEMBERED = 4096
MAX_NAMES = 16

Address = tuple[str, int]


class Lookup:
    """The result of looking up `host` (lower case), and what happened to connects to it.

    `board` is that of the cassette in which it was looked up.
    """

    def __init__(self, host: str, addresses: Iterable[Address], board: Switchboard | None = None) -> None:
        self.host, self.addresses = host, frozenset(addresses)
        self._board = weakref.ref(board) if board is not None else None
        self.successes = 0
        self._failed: set[Address] = set()
        self._is_kept = False  # the failure of all addresses was recorded
        self._pending: Callable[[], None] | None = None
        self._played: Failure | None = None

    @property
    def is_recent(self) -> bool:
        """Its cassette is still in use. Later another host may have the address or its port."""
        board = self._board() if self._board is not None else None
        return board is not None and not board.is_left

    def connect_failed(self, address: Address, began: int, channel: Channel, keep: Callable[[], None]) -> None:
        """Have the failure recorded by `keep()` if no other address succeeds.

        `began` is the value of `successes` when the connect began; `channel` tells when the cassette is left.
        """
        if began != self.successes:
            return  # another address was faster
        self._failed.add(address)
        self._forget_pending()
        if self._failed >= self.addresses:
            self._is_kept = True
            self._failed.clear()
            keep()
        elif not self._is_kept:  # otherwise the address is tried again
            self._pending = channel.on_left = keep
            self._channel = channel  # keeps it alive until then

    def connect_succeeded(self) -> None:
        self.successes += 1
        self._is_kept = False
        self._failed.clear()
        self._forget_pending()

    def settle(self) -> None:
        """No further address will be tried."""
        pending = self._pending
        self._failed.clear()
        self._forget_pending()
        if pending is not None:
            pending()

    def _forget_pending(self) -> None:
        if self._pending is not None:
            self._pending, self._channel.on_left = None, do_nothing
            del self._channel

    def failure_to_play(self, address: Address, claim: Callable[[], Failure | None]) -> Failure | None:
        """The failure of a connect to `address`: if one address has failed, the others of the look-up fail too."""
        if address in self._failed or not self._failed:
            self._failed.clear()
            self._played = claim()
        if self._played is not None:
            self._failed.add(address)
        return self._played


# The latest look-up of a thread or greenlet: a blocking client connects right after it.
_latest: ContextVar[Lookup | None] = ContextVar("cassette_http_latest_lookup", default=None)
_lookups: dict[Address, dict[str, Lookup]] = {}
_invented: dict[str, int] = {}
_numbers = itertools.count(1)


@dataclass
class Target:
    """Where a connect to `address` leads: the `host` that was looked up, or the address itself.

    `others` are hosts that have the same address; what the client sends (SNI, the Host field) decides.
    """

    host: str
    port: int
    address: str
    lookup: Lookup
    others: frozenset[str] = frozenset()

    @property
    def origin(self) -> Origin:
        return Origin("http", self.host, self.port)

    @property
    def peer(self) -> Origin:
        return self.origin.of_connection

    def settle(self, said: str | None) -> bool:
        """Accept the client's statement which host it means; returns whether it differs from the assumed one."""
        others, self.others = self.others, frozenset()
        if said is None or said == self.host or said not in others:
            return False
        self.host = said
        return True

    def dial(self, timeout_s: float | None = None) -> socket.socket:
        """Open our own connection instead of the program's. Raises what `live.connect` raises.

        It uses the same address, whichever hosts have it, or else another one of the look-up, as
        the client has not seen them fail.
        """
        if is_invented(self.address):
            return live.connect((self.host, self.port), timeout_s)
        others = sorted({host for host, _ in self.lookup.addresses} - {self.address})
        for address in (self.address, *others):
            try:
                return live.connect((address, self.port), timeout_s)
            except OSError as error:
                failure = error
        raise failure


class UnixTarget(Target):
    """A Unix socket; `path` is its address."""

    def __init__(self, path: str | bytes) -> None:
        host = quote(os.fsencode(path) if isinstance(path, str) else path, safe="")  # a path need not be UTF-8
        super().__init__(host, 0, host, Lookup(host, [(host, 0)]))
        self._path = path

    @property
    def origin(self) -> Origin:
        return Origin(UNIX, self.host, self.port)

    def dial(self, timeout_s: float | None = None) -> socket.socket:
        return live.connect_unix(self._path, timeout_s)


def target_of(address: tuple[Any, ...], *, is_blocking: bool = False) -> Target:
    """The target of a socket address (host or IP address, port, ...); `is_blocking`: the connect blocks."""
    literal: Address = (str(address[0]).lower(), int(address[1]))
    latest = _latest.get()
    if is_blocking and latest is not None and latest.is_recent and not latest.addresses.isdisjoint(_keys(literal)):
        return Target(latest.host, literal[1], literal[0], latest)
    known = _known(literal)
    recent = [one for one in known.values() if one.is_recent or is_invented(literal[0])]
    lookup = recent[-1] if recent else Lookup(literal[0], [literal])
    others = frozenset({*known, literal[0]} - {lookup.host})
    return Target(lookup.host, literal[1], literal[0], lookup, others)


def host_of(address: str, port: int) -> str:
    """The host that last had the address in a look-up, however long ago; the address itself if there is none."""
    known = _known((address.lower(), port))
    return next(reversed(known), address)


def _known(address: Address) -> dict[str, Lookup]:
    return next((_lookups[key] for key in _keys(address) if key in _lookups), {})


def _keys(address: Address) -> tuple[Address, Address]:
    """The keys of an address in `_lookups`: also without its port, as look-ups may leave it out."""
    return address, (address[0], 0)


@PATCHES.hook(socket, "getaddrinfo")
def _getaddrinfo(host: Any, port: Any, *args: Any, original: Any, **kwargs: Any) -> Any:
    board = current_board()
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    number = live.port_number(port)
    if live.is_dialling() or not isinstance(name, str) or number is None or _is_numeric(*args, **kwargs):
        return original(host, port, *args, **kwargs)
    if board is None:  # hooked only for the network guard
        return _remembered(name, original(host, port, *args, **kwargs), None)
    if isinstance(host, str):
        _refuse_what_is_no_name(host)
    origin = Origin("tcp", name.lower(), number)
    failure = board.fail_connection(origin, FailureKind.LOOKUP)
    if failure is not None:
        raise rebuild(failure)
    # A look-up without a port may be for any connection.
    may_be_played = board.policy.can_play and (not number or board.may_answer(name.lower(), number))
    if may_be_played and not _is_local(name.lower()):
        found = _invent(name, number, *args, **kwargs)
    else:
        try:
            found = original(host, port, *args, **kwargs)
        except socket.gaierror as error:
            board.keep_connection_failure(origin, describe(FailureKind.LOOKUP, error), None)
            raise
    return _remembered(name, found, board)


@PATCHES.hook(socket, "gethostbyname")
def _gethostbyname(host: Any, *, original: Any) -> Any:
    if current_board() is None or live.is_dialling():
        return original(host)
    return socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]


def _refuse_what_is_no_name(host: str) -> None:
    """Raise what a look-up raises for an invalid name: one with a label that is empty or too long."""
    labels = host.removesuffix(".").split(".")
    if not host.isascii() or not all(0 < len(label) < 64 for label in labels):
        host.encode("idna")  # imports the codec only for such names


def _invent(
    host: str, port: int, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[tuple[Any, ...]]:
    """Answer a look-up without asking: with an address that nobody has (RFC 2544, RFC 6666)."""
    if host.lower() not in _invented:
        _invented[host.lower()] = next(_numbers)
    number = _invented[host.lower()]
    kind = type or socket.SOCK_STREAM
    name = host if flags & socket.AI_CANONNAME else ""
    if family == socket.AF_INET6:
        return [(socket.AF_INET6, kind, proto or socket.IPPROTO_TCP, name, (f"100::{number:x}", port, 0, 0))]
    address = f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return [(socket.AF_INET, kind, proto or socket.IPPROTO_TCP, name, (address, port))]


def is_invented(address: str) -> bool:
    """Nobody has this address: to dial, the host must be looked up."""
    return address.startswith(("198.18.", "198.19.", "100::"))


def _is_numeric(family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> bool:
    """The program accepts only a numeric address, so nothing is looked up."""
    return bool(flags & socket.AI_NUMERICHOST)


def _remembered(host: str, found: list[tuple[Any, ...]], board: Switchboard | None) -> list[tuple[Any, ...]]:
    """Remember which host has these addresses."""
    lookup = Lookup(host.lower(), {(str(entry[4][0]).lower(), int(entry[4][1])) for entry in found}, board)
    _latest.set(lookup)
    for address in lookup.addresses:
        known = _lookups.pop(address, {})
        earlier = known.pop(lookup.host, None)
        if earlier is not None:
            earlier.settle()
        _lookups[address] = dict(list(known.items())[1 - MAX_NAMES :]) | {lookup.host: lookup}
    while len(_lookups) > MAX_REMEMBERED:
        _lookups.pop(next(iter(list(_lookups))), None)
    return found


@lru_cache(maxsize=256)
def _is_local(host: str) -> bool:
    """This host needs no name server."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


# gevent has its own look-ups, made by its resolver.
_of_others = ModuleHooks(
    {name: lambda module: PATCHES.on_others({socket: module}) for name in ("gevent.socket", "gevent._socketcommon")}
)


def install() -> None:
    """Hook look-ups, until every caller of this has called `remove()`."""
    PATCHES.install()
    _of_others.install()


def remove() -> None:
    _of_others.remove()
    PATCHES.remove()
