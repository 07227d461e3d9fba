"""What stands under a socket's descriptor while nobody was dialled: one end of a local pair.

The descriptor stays a real one, so that pools, `select` and event loops can watch it: readable exactly when a read
would not have to wait.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

__all__ = ["WAKE", "StandIn"]

_fileno = socket.socket.fileno

# What makes a stand-in readable; it is nobody's octet.
WAKE = b"\0"

_numbers = itertools.count(1)


class StandIn:
    """A local pair, one end of which is under the descriptor of `sock`. Safe to use from many threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = weakref.ref(sock)
        self._lock = threading.Lock()
        self._is_marked = False
        self._far_end: socket.socket | None = None
        self._put_under(sock)

    @property
    def is_there(self) -> bool:
        return self._far_end is not None

    @property
    def is_marked(self) -> bool:
        """The descriptor is readable."""
        return self._is_marked

    def move(self, sock: socket.socket) -> None:
        """From now on it is `sock` that has the descriptor."""
        self._sock = weakref.ref(sock)

    def show(self, is_due: Callable[[], bool]) -> None:
        """Make the descriptor readable exactly if `is_due()`."""
        with self._lock:
            sock = self._sock()
            if self._far_end is None or sock is None or is_due() is self._is_marked:
                return
            if self._is_marked:
                os.read(_fileno(sock), 1)
            else:
                self._far_end.send(WAKE)
            self._is_marked = not self._is_marked

    def leave(self, *, is_cut_short: bool = False) -> None:
        """Make the descriptor look like that of a connection that its peer closed, or broke off (`is_cut_short`)."""
        with self._lock:
            if self._far_end is None:
                return
            sock = self._sock()
            if sock is not None and _fileno(sock) >= 0:
                if self._is_marked:
                    os.read(_fileno(sock), 1)
                    self._is_marked = False
                if is_cut_short:
                    # A local socket whose end is closed with octets unread reports a reset.
                    with suppress(OSError):
                        os.write(_fileno(sock), WAKE)
            self._drop()

    def close(self) -> None:
        """The program closes the socket, and its descriptor with it."""
        with self._lock:
            self._drop()

    def renew(self) -> None:
        """After a fork: a child has a pair of its own, or it would take what makes the parent's descriptor readable."""
        self._lock = threading.Lock()  # a thread that the child does not have may hold it
        sock = self._sock()
        if self._far_end is not None and sock is not None and _fileno(sock) >= 0:
            self._drop()
            self._put_under(sock)

    def _put_under(self, sock: socket.socket) -> None:
        near, self._far_end = socket.socketpair()
        _give_name(self._far_end)
        self._is_marked = False
        near.setblocking(sock.gettimeout() is None)
        os.dup2(near.fileno(), _fileno(sock), inheritable=False)
        near.close()

    def _drop(self) -> None:
        if self._far_end is not None:
            self._far_end.close()
            self._far_end = None


def _give_name(far_end: socket.socket) -> None:
    """A peer without a name is "", which libraries that expect an address stumble over once the hooks are gone."""
    if sys.platform == "linux":  # elsewhere the name would be a file
        far_end.bind(f"\0cassette-http-{os.getpid()}-{next(_numbers)}")
