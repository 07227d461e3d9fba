"""Name look-ups: which host an address stands for, and answers without a network in replay."""

from __future__ import annotations

import ipaddress
import itertools
import socket
from typing import Any

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.intercept.current import current_board
from cassette_http.intercept.patches import Patches
from cassette_http.transport.failures import describe, rebuild
from cassette_http.transport.live import is_dialling

__all__ = ["PATCHES", "Target", "is_invented", "port_number", "target_of"]

PATCHES = Patches()

# More hosts than this in one process are not the traffic of a test; the oldest are then forgotten.
MAX_REMEMBERED = 4096

WELL_KNOWN_PORTS = {"http": 80, "https": 443}

_hosts: dict[tuple[str, int], tuple[str, bool]] = {}
_invented: dict[str, int] = {}
_numbers = itertools.count(1)


class Target:
    """Whom a connect to a socket address means: the `host` that was looked up, or the address itself."""

    __slots__ = ("host", "is_last", "port")

    def __init__(self, host: str, port: int, is_last: bool) -> None:
        self.host, self.port = host, port
        # The look-up gave no further address: if this one fails, the connection has failed.
        self.is_last = is_last


def target_of(address: tuple[Any, ...]) -> Target:
    """Say whom the socket address (host or IP address, port, ...) means."""
    host, port = str(address[0]), int(address[1])
    name, is_last = _hosts.get((host, port), (host, True))
    return Target(name.lower(), port, is_last)


@PATCHES.hook(socket, "getaddrinfo")
def _getaddrinfo(original: Any, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    board = current_board()
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    number = port_number(port)
    if is_dialling() or not isinstance(name, str) or number is None or _is_numeric(*args, **kwargs):
        return original(host, port, *args, **kwargs)
    if board is None:  # only watched, for the guard
        return _remembered(name, original(host, port, *args, **kwargs))
    origin = Origin("tcp", name.lower(), number)
    failure = board.fail_connection(origin, FailureKind.LOOKUP)
    if failure is not None:
        raise rebuild(failure)
    if board.policy.can_play and not _is_local(name):
        found = _invent(name, number, *args, **kwargs)
    else:
        try:
            found = original(host, port, *args, **kwargs)
        except socket.gaierror as error:
            board.keep_connection_failure(origin, describe(FailureKind.LOOKUP, error), None)
            raise
    return _remembered(name, found)


def _remembered(host: str, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Keep in mind whose addresses these are."""
    addresses = [entry[4] for entry in found]
    for address in addresses:
        _remember(address, host, is_last=address == addresses[-1])
    return found


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


def is_invented(address: tuple[Any, ...]) -> bool:
    """Nobody has this address: who dials must look the host up."""
    return str(address[0]).startswith(("198.18.", "198.19.", "100::"))


def _is_numeric(family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> bool:
    """Only an address is taken, so that nothing is looked up."""
    return bool(flags & socket.AI_NUMERICHOST)


def _remember(address: tuple[Any, ...], host: str, *, is_last: bool) -> None:
    _hosts.pop(address[:2], None)
    _hosts[address[:2]] = (host, is_last)
    while len(_hosts) > MAX_REMEMBERED:
        _hosts.pop(next(iter(list(_hosts))), None)


def _is_local(host: str) -> bool:
    """No name server is needed for this host."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def port_number(port: Any) -> int | None:
    """The number that a port or a service given to a look-up is; 0 for none, None if it is not known."""
    if isinstance(port, bytes):
        port = port.decode("ascii", "replace")
    if port is None:
        return 0
    if isinstance(port, str):
        return int(port) if port.isascii() and port.isdigit() else WELL_KNOWN_PORTS.get(port)
    return port if isinstance(port, int) else None
