"""Modules that the hooks on Python's sockets cannot reach. Each is hooked only if the program imports it.

- trio keeps socket methods from before the hooks: it is made to look them up again.
- uvloop has sockets in C, whose octets cannot be seen: while a cassette is in use it uses Python's sockets.
- The proactor loop of Windows hands descriptors to the system, where nothing can be seen: it is refused, as it would
  bypass the cassette, and cannot watch the descriptor of a played connection.
- gevent has socket classes of its own, similar to Python's: they get the same hooks (`gevent_sockets`).
- eventlet's are less similar, so it is refused for the same reason.
- pyOpenSSL uses the descriptor for its own TLS, so it is refused if nothing was dialled.
- multiprocessing takes the descriptors out of its sockets, and does not speak HTTP: it is left alone.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

from cassette_http.errors import UnsupportedLibrary
from cassette_http.intercept.adoption import is_tcp
from cassette_http.intercept.current import current_board
from cassette_http.intercept.imports import ModuleHooks
from cassette_http.intercept.patches import Patches
from cassette_http.intercept.taps import tap_of
from cassette_http.transport import live


def _is_asked_for() -> bool:
    """A cassette (not only a flight recorder) is in use."""
    board = current_board()
    return board is not None and not board.only_watches


def _trio(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module._SocketType, "_nonblocking_helper")
    async def call(self: Any, first: Any, second: Any, *rest: Any, original: Any, **kwargs: Any) -> Any:
        # Up to trio 0.22 the method is the first argument; since then it is the second.
        return await original(self, as_hooked(first), as_hooked(second), *rest, **kwargs)

    def as_hooked(value: Any) -> Any:
        return getattr(socket.socket, getattr(value, "__name__", ""), value)

    return patches


def _uvloop(module: Any) -> Patches:
    # Late, as it imports asyncio, which only users of uvloop should pay for.
    from cassette_http.intercept.selector_face import is_of_selector, selector_face

    patches, loops = Patches(), module.Loop

    @patches.hook(loops, "getaddrinfo")
    async def look_up(self: Any, host: Any, port: Any, *args: Any, original: Any, **options: Any) -> Any:
        if not _is_asked_for():
            return await original(self, host, port, *args, **options)
        # Like asyncio, with the function of the socket module, which is hooked.
        call = functools.partial(socket.getaddrinfo, host, port, *args, **options)
        return await self.run_in_executor(None, call)

    @patches.hook(loops, "create_connection")
    async def connect(
        self: Any, factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, original: Any, **options: Any
    ) -> Any:
        # A socket made by the program may have nothing to do with the network.
        if not _is_asked_for() or (sock is not None and not is_tcp(sock)):
            return await original(self, factory, host, port, sock=sock, **options)
        return await selector_face(self).create_connection(factory, host, port, sock=sock, **options)

    @patches.hook(loops, "create_unix_connection")
    async def connect_unix(self: Any, *args: Any, original: Any, **options: Any) -> Any:
        if not _is_asked_for() or options.get("sock") is not None:
            return await original(self, *args, **options)
        return await selector_face(self).create_unix_connection(*args, **options)

    @patches.hook(loops, "start_tls")
    async def start_tls(self: Any, transport: Any, *args: Any, original: Any, **options: Any) -> Any:
        if is_of_selector(transport):
            return await selector_face(self).start_tls(transport, *args, **options)
        return await original(self, transport, *args, **options)

    return patches


def _proactor(module: Any) -> Patches:
    patches, loops = Patches(), module.BaseProactorEventLoop

    def refuse() -> None:
        if _is_asked_for():
            raise UnsupportedLibrary(
                "the proactor event loop of Windows cannot be recorded or replayed, as its connections are made "
                "unseen; use the other one: asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)"
            )

    @patches.hook(loops, "create_connection")
    async def connect(self: Any, *args: Any, original: Any, **options: Any) -> Any:
        refuse()
        return await original(self, *args, **options)

    @patches.hook(loops, "sock_connect")
    async def connect_socket(self: Any, sock: Any, address: Any, *, original: Any) -> Any:
        if is_tcp(sock):
            refuse()
        return await original(self, sock, address)

    return patches


def _gevent(module: Any) -> Patches:
    from cassette_http.intercept import gevent_sockets  # late, as few programs use gevent

    return gevent_sockets.hooks_on_sockets(module)


def _gevent_tls(module: Any) -> Patches:
    from cassette_http.intercept import gevent_sockets

    return gevent_sockets.hooks_on_tls(module)


def _eventlet(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module.GreenSocket, "connect")
    def connect(self: Any, address: Any, *, original: Any) -> Any:
        if _is_asked_for() and is_tcp(self.fd) and not live.is_dialling():
            raise UnsupportedLibrary(
                "eventlet's sockets cannot be recorded or replayed, as they are not Python's; run this test without "
                "eventlet's monkey patches, or without those of sockets and TLS"
            )
        return original(self, address)

    return patches


def _openssl(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module.Connection, "__init__")
    def begin(self: Any, context: Any, socket: Any = None, *, original: Any) -> None:
        tap = tap_of(socket) if socket is not None else None
        if tap is not None and tap.stands_in:
            raise UnsupportedLibrary(
                "TLS of pyOpenSSL cannot be recorded or replayed; use that of Python's ssl module "
                "(urllib3: without urllib3.contrib.pyopenssl.inject_into_urllib3())"
            )
        original(self, context, socket)

    return patches


def _multiprocessing(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module, "SocketClient")
    def connect(address: Any, *, original: Any) -> Any:
        with live.dialling():
            return original(address)

    return patches


HOOKS = ModuleHooks(
    {
        "trio._socket": _trio,
        "uvloop": _uvloop,
        "asyncio.proactor_events": _proactor,
        "gevent._socket3": _gevent,
        "gevent.ssl": _gevent_tls,
        "eventlet.greenio.base": _eventlet,
        "OpenSSL.SSL": _openssl,
        "multiprocessing.connection": _multiprocessing,
    }
)
