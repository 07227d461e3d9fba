"""Loops that the hooks on Python's sockets cannot reach by themselves. A library is hooked only if the program uses it.

- trio keeps socket methods from before the hooks: it is made to look them up anew.
- uvloop has sockets in C, where no octet can be seen: while a cassette is in use it gets connections of Python's.
- The proactor loop of Windows hands descriptors to the system, which does the rest unseen: it is refused, since it
  would get past the cassette, and cannot watch the descriptor of a connection that is only played.
"""

from __future__ import annotations

import functools
import socket
import sys
from typing import Any

from cassette_http.errors import UnsupportedLibrary
from cassette_http.intercept.adoption import is_tcp
from cassette_http.intercept.current import current_board
from cassette_http.intercept.patches import Patches

__all__ = ["install", "remove"]

_installed: dict[str, Patches] = {}


def install() -> None:
    """Hook the loops that were imported since; to be called whenever a cassette comes into use."""
    for name, make_patches in HOOKED.items():
        module = sys.modules.get(name)
        if module is not None and name not in _installed:
            _installed[name] = make_patches(module)
            _installed[name].install()


def remove() -> None:
    """Take the hooks out."""
    while _installed:
        _installed.popitem()[1].remove()


def _is_asked_for() -> bool:
    """A cassette is in use that may matter to the program."""
    board = current_board()
    return board is not None and not board.only_watches


def _trio(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module._SocketType, "_nonblocking_helper")
    async def call(self: Any, first: Any, second: Any, *rest: Any, original: Any, **kwargs: Any) -> Any:
        # Up to trio 0.22 the method comes first, and its arguments second; since then it comes behind what waits.
        return await original(self, as_hooked(first), as_hooked(second), *rest, **kwargs)

    def as_hooked(value: Any) -> Any:
        return getattr(socket.socket, getattr(value, "__name__", ""), value)

    return patches


def _uvloop(module: Any) -> Patches:
    # Only who uses uvloop has asyncio imported for it.
    from cassette_http.intercept.selector_face import is_of_selector, selector_face

    patches, loops = Patches(), module.Loop

    @patches.hook(loops, "getaddrinfo")
    async def look_up(self: Any, host: Any, port: Any, *args: Any, original: Any, **options: Any) -> Any:
        if not _is_asked_for():
            return await original(self, host, port, *args, **options)
        # As asyncio does it: by the function of the socket module, which is hooked.
        call = functools.partial(socket.getaddrinfo, host, port, *args, **options)
        return await self.run_in_executor(None, call)

    @patches.hook(loops, "create_connection")
    async def connect(
        self: Any, factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, original: Any, **options: Any
    ) -> Any:
        # A socket that the program brings along may be one that has nothing to do with the network.
        if not _is_asked_for() or (sock is not None and not is_tcp(sock)):
            return await original(self, factory, host, port, sock=sock, **options)
        return await selector_face(self).create_connection(factory, host, port, sock=sock, **options)

    @patches.hook(loops, "start_tls")
    async def start_tls(self: Any, transport: Any, *args: Any, original: Any, **options: Any) -> Any:
        if is_of_selector(transport):
            return await selector_face(self).start_tls(transport, *args, **options)
        return await original(self, transport, *args, **options)

    @patches.hook(loops, "sendfile")
    async def send_file(self: Any, transport: Any, *args: Any, original: Any, **options: Any) -> Any:
        if is_of_selector(transport):
            return await selector_face(self).sendfile(transport, *args, **options)
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


HOOKED = {"trio._socket": _trio, "uvloop": _uvloop, "asyncio.proactor_events": _proactor}
