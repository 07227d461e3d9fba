"""Keeps a program off the network: look-ups and connects that are not allowed fail where they are made.

An audit hook is called before each look-up, connect and datagram of Python's sockets, in every thread and task, no
matter how `socket` was imported; what it raises is raised in the caller. It cannot be removed, so the first guard
installs it, and it only checks whether there is a guard. It is called for a connect to a name only after the name was
looked up, so sockets are hooked as well. uvloop, which is written in C, is hooked at the methods of its loop. Other
code in C (pycurl, clients in Rust, database drivers) and other processes are not seen.

Traffic within this machine is always allowed: loopback, Unix sockets, and the socket pairs of event loops. So is
what a cassette records, as somebody asked for that.
"""

from __future__ import annotations

import _socket
import errno
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any

from cassette_http.caller import caller
from cassette_http.errors import NetworkBlocked
from cassette_http.intercept import names
from cassette_http.intercept.current import current_board
from cassette_http.intercept.hosts import Address, HostPatterns, address_of
from cassette_http.intercept.imports import ModuleHooks
from cassette_http.intercept.patches import Patches
from cassette_http.transport.live import port_number

# Further attempts would tell the user nothing new.
MOST_ATTEMPTS_KEPT = 1000

LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


class Kind(Enum):
    """What a program tries to do; the values are shown to users."""

    LOOK_UP = "look-up"
    CONNECT = "connect"
    DATAGRAM = "datagram"


class Outcome(Enum):
    """What happened to the attempt."""

    BLOCKED = "blocked"
    ALLOWED = "allowed"
    RECORDED = "recorded"


@dataclass(frozen=True)
class Attempt:
    """One attempt to leave this machine. `host` is what was looked up, or the address; `where` is "file:line"."""

    kind: Kind
    host: str
    port: int | None
    where: str
    test: str | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind.value} of {host}" if self.port is None else f"{self.kind.value} to {host}:{self.port}"


class block_network:  # a statement in user code, as in `with block_network(...)`
    """Make look-ups, connects and datagrams of this process fail with NetworkBlocked while the block runs.

    `allow` are the hosts that are allowed nevertheless (see HostPatterns). `test` is named in the errors, and may be
    changed at any time. `blocked` lists the blocked attempts, `counts` has the number of attempts by kind and outcome.
    If blocks are nested, the innermost decides. Raises InvalidOption.
    """

    def __init__(self, allow: str | Iterable[str] | HostPatterns = (), *, test: str | None = None) -> None:
        self.allow, self.test = allow if isinstance(allow, HostPatterns) else HostPatterns(allow), test
        self.blocked: list[Attempt] = []
        self.counts: Counter[tuple[Kind, Outcome]] = Counter()
        self._allowed_names: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> block_network:
        _install()
        _guards.append(self)
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _guards.remove(self)
        _remove()

    def count(self, kind: Kind, outcome: Outcome | None = None) -> int:
        """The number of attempts of a kind."""
        return sum(number for (one, became), number in self.counts.items() if one is kind and outcome in (None, became))

    def judge(self, kind: Kind, host: str, port: int | None) -> None:
        """Count an attempt. Raises NetworkBlocked if it is not allowed."""
        address = address_of(host)
        if kind is Kind.LOOK_UP and address is not None:
            return  # no name server is asked; the connect that follows is judged
        name = host if address is None else names.host_of(host, port or 0)
        if _is_local(name) or (address is not None and (address.is_loopback or address.is_unspecified)):
            return
        outcome = self._outcome(kind, name, address, port)
        with self._lock:
            self.counts[kind, outcome] += 1
        if outcome is not Outcome.BLOCKED:
            return
        attempt = Attempt(kind, name, port, caller(), self.test)
        with self._lock:
            if len(self.blocked) < MOST_ATTEMPTS_KEPT:
                self.blocked.append(attempt)
        raise NetworkBlocked(errno.ENETUNREACH, self._explain(attempt, host))

    def _outcome(self, kind: Kind, name: str, address: Address | None, port: int | None) -> Outcome:
        if self.allow.has_name(name, port):
            self._allowed_names.add(name)
            return Outcome.ALLOWED
        if address is not None and (self.allow.has_address(address, port) or self._is_of_allowed_name(address)):
            return Outcome.ALLOWED
        board = current_board() if kind is not Kind.DATAGRAM else None
        if board is not None and board.policy.can_record and not board.only_watches:
            return Outcome.RECORDED
        return Outcome.BLOCKED

    def _is_of_allowed_name(self, address: Address) -> bool:
        """Tell whether an address belongs to an allowed name that was looked up out of our sight."""
        for name in list(self._allowed_names):
            _state.is_resting = True
            try:
                found = _socket.getaddrinfo(name, None)
            except OSError:
                continue
            finally:
                _state.is_resting = False
            if any(address_of(str(entry[4][0])) == address for entry in found):
                return True
        return False

    def _explain(self, attempt: Attempt, host: str) -> str:
        resolved = f" ({host})" if host != attempt.host else ""
        allowed = f"allowed are {self.allow}" if self.allow.texts else "no host is allowed"
        where = f"{attempt.where}, in {attempt.test}" if attempt.test is not None else attempt.where
        return (
            f"{attempt}{resolved} was blocked: {allowed}\n"
            f"  attempted at {where}\n"
            "  to need no network, replay it from a cassette; to let it through, allow the host:"
            f' --cassette-allow-hosts={attempt.host} or block_network(allow=["{attempt.host}"])'
        )


# ---------------------------------------------------------------------- the hook

_guards: list[block_network] = []
_lock = threading.Lock()
_is_hooked = False
_sockets = Patches()


class _State(threading.local):
    is_resting = False
    """This thread makes a look-up for the guard itself."""


_state = _State()


def _of_host(args: tuple[Any, ...]) -> tuple[Any, Any]:
    return args[0], args[1] if len(args) > 1 else None


def _of_address(args: tuple[Any, ...]) -> tuple[Any, Any]:
    """The host and port that a socket is to reach; no host if it is not IP."""
    sock, address = args[0], args[1]
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
        return None, None
    return address[0], address[1]


_EVENTS: dict[str, tuple[Kind, Callable[[tuple[Any, ...]], tuple[Any, Any]]]] = {
    "socket.getaddrinfo": (Kind.LOOK_UP, _of_host),
    "socket.gethostbyname": (Kind.LOOK_UP, _of_host),
    "socket.gethostbyaddr": (Kind.LOOK_UP, _of_host),
    "socket.connect": (Kind.CONNECT, _of_address),
    "socket.sendto": (Kind.DATAGRAM, _of_address),
    "socket.sendmsg": (Kind.DATAGRAM, _of_address),
}


def _audit(event: str, args: tuple[Any, ...]) -> None:
    """Handle one audit event of the interpreter: there are thousands, so other events are left at once."""
    if not _guards or event not in _EVENTS or _state.is_resting:
        return
    kind, read = _EVENTS[event]
    _judge(kind, *read(args))


def _judge(kind: Kind, host: Any, port: Any) -> None:
    guards = _guards[-1:]
    if isinstance(host, bytes | bytearray):
        host = host.decode("utf-8", "replace")
    if guards and isinstance(host, str):  # None is this machine, and anything else is a mistake of the program
        guards[0].judge(kind, host, port_number(port) or None)


def _install() -> None:
    global _is_hooked
    with _lock:
        # Look-ups are hooked so that errors can name the host instead of its address.
        names.install()
        _sockets.install()
        if not _is_hooked:
            sys.addaudithook(_audit)
            _is_hooked = True
        _uvloop.install()


def _remove() -> None:
    with _lock:
        _sockets.remove()
        names.remove()
        _uvloop.remove()


@_sockets.hook(socket.socket, "connect")
def _connect(self: socket.socket, address: Any, *, original: Any) -> Any:
    return _judged_by_name(Kind.CONNECT, original, self, address, address)


@_sockets.hook(socket.socket, "connect_ex")
def _connect_ex(self: socket.socket, address: Any, *, original: Any) -> Any:
    return _judged_by_name(Kind.CONNECT, original, self, address, address)


@_sockets.hook(socket.socket, "sendto")
def _sendto(self: socket.socket, *args: Any, original: Any) -> Any:
    return _judged_by_name(Kind.DATAGRAM, original, self, args[-1] if args else None, *args)


def _judged_by_name(kind: Kind, original: Any, sock: socket.socket, address: Any, *args: Any) -> Any:
    """Judge a connect to a name before it is looked up; the audit hook judges connects to addresses."""
    host, port = _of_address((sock, address))
    is_played = kind is Kind.CONNECT and _is_for_cassette()
    if not isinstance(host, str) or address_of(host) is not None or is_played:
        return original(sock, *args)
    _judge(kind, host, port)
    _state.is_resting = True
    try:
        return original(sock, *args)
    finally:
        _state.is_resting = False


def _is_for_cassette() -> bool:
    """Tell whether a cassette may play this connect; otherwise it is judged when it is dialled."""
    board = current_board()
    return board is not None and not board.only_watches


def _loops_in_c(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module.Loop, "create_connection")
    async def create_connection(
        self: Any, factory: Any, host: Any = None, port: Any = None, *, original: Any, **kw: Any
    ) -> Any:
        if not _is_for_cassette():
            _judge(Kind.CONNECT, host, port)
        return await original(self, factory, host, port, **kw)

    @patches.hook(module.Loop, "sock_connect")
    async def sock_connect(self: Any, sock: Any, address: Any, *, original: Any) -> Any:
        if not _is_for_cassette():
            _judge(Kind.CONNECT, *_of_address((sock, address)))
        return await original(self, sock, address)

    @patches.hook(module.Loop, "getaddrinfo")
    async def getaddrinfo(self: Any, host: Any, port: Any, *, original: Any, **kw: Any) -> Any:
        if not _is_for_cassette():
            _judge(Kind.LOOK_UP, host, port)
        return await original(self, host, port, **kw)

    return patches


_uvloop = ModuleHooks({"uvloop": _loops_in_c})


def _is_local(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name in LOCAL_NAMES or name.endswith(".localhost") or name == _own_name()


def _own_name() -> str:
    return socket.gethostname().lower()
