"""What the hooks replace: the methods of Python's sockets, and of classes that replace those (gevent).

Every socket is a C socket or holds one. Calls that never wait go to the C socket, past all hooks; calls that may wait
depend on the kind of the socket.
"""

from __future__ import annotations

import _socket
import selectors
import ssl
from collections.abc import Callable
from typing import Any

from cassette_http.transport.host import Host

# Python's own classes: `gevent.monkey` may have replaced them before we were imported.
PythonSocket: Any = next(each for each in _socket.socket.__subclasses__() if each.__module__ == "socket")
PythonContext: Any = next(each for each in ssl.SSLContext.__mro__ if each.__module__ != "gevent.ssl")

_fileno = _socket.socket.fileno


class Kind:
    """How sockets of a class work below the hooks. This is the kind of Python's own sockets."""

    contexts: Any = ()
    wrap_socket: Callable[..., Any]

    def __init__(self, sockets: Any) -> None:
        self.sockets = sockets
        self.connect: Callable[..., None] = sockets.connect
        self.send: Callable[..., int] = sockets.send
        self.sendall: Callable[..., None] = sockets.sendall
        self.recv: Callable[..., bytes] = sockets.recv

    def add_tls(self, contexts: Any) -> None:
        self.contexts, self.wrap_socket = contexts, contexts.wrap_socket

    def waiting(self, sock: Any, state: Any) -> Any:
        """An object that does what the TLS state in C of `sock` does, but waits as long as the socket would."""
        return state

    def moved(self, sock: Any) -> None:
        """Called when the descriptor of `sock` stands for another file."""

    def share(self, host: Host) -> None:
        """Make `host` serve a socket of this kind, with the threads that use such sockets."""

    def is_readable(self, sock: Any) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor_of(sock), selectors.EVENT_READ)
            return bool(selector.select(0))


_pythons = Kind(PythonSocket)
_pythons.add_tls(PythonContext)
_others: list[Kind] = []


def add_kind(kind: Kind) -> None:
    """Add a kind; it replaces an earlier one of the same class."""
    _others[:] = [other for other in _others if other.sockets is not kind.sockets] + [kind]


def kind_of(sock: Any) -> Kind:
    if isinstance(sock, _socket.socket):
        return _pythons
    return next((kind for kind in _others if isinstance(sock, kind.sockets)), _pythons)


def kind_of_class(sockets: Any) -> Kind:
    return next((kind for kind in _others if issubclass(sockets, kind.sockets)), _pythons)


def kind_of_context(context: ssl.SSLContext) -> Kind:
    """The kind of the sockets that a context makes."""
    return next((kind for kind in _others if isinstance(context, kind.contexts)), _pythons)


def raw(sock: Any) -> Any:
    """The C socket of a socket of any kind."""
    return sock if isinstance(sock, _socket.socket) else sock._sock


def descriptor_of(sock: Any) -> int:
    try:
        return _fileno(sock)
    except TypeError:
        return sock._sock.fileno()  # type: ignore[no-any-return]  # an int, as all of them give
