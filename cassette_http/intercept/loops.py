"""Loops that the hooks on Python's sockets cannot reach by themselves. A library is hooked only if the program uses it.

- trio keeps socket methods from before the hooks: it is made to look them up anew.
- uvloop has sockets in C, where no octet can be seen: it is refused, since it would get past the cassette.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from cassette_http.errors import UnsupportedLibrary
from cassette_http.intercept.current import current_board
from cassette_http.intercept.patches import Patches

__all__ = ["install", "remove"]

_installed: dict[str, Patches] = {}


def install() -> None:
    """Hook the loops that were imported since; to be called whenever a cassette comes into use."""
    for name, make_patches in (("trio._socket", _trio), ("uvloop", _uvloop)):
        module = sys.modules.get(name)
        if module is not None and name not in _installed:
            _installed[name] = make_patches(module)
            _installed[name].install()


def remove() -> None:
    """Take the hooks out."""
    while _installed:
        _installed.popitem()[1].remove()


def _trio(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module._SocketType, "_nonblocking_helper")
    async def call(original: Any, self: Any, wait: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
        return await original(self, wait, getattr(socket.socket, method.__name__, method), *args, **kwargs)

    return patches


def _uvloop(module: Any) -> Patches:
    patches = Patches()

    @patches.hook(module.Loop, "create_connection")
    async def refuse(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        board = current_board()
        if board is None or board.only_watches:
            return await original(self, *args, **kwargs)
        raise UnsupportedLibrary(
            "uvloop cannot be recorded or replayed, as its connections are made in C; "
            "run this test on the event loop of asyncio"
        )

    return patches
