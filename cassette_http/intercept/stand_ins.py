"""The local socket pair whose one end replaces a connection while nobody was dialled.

It is a real descriptor, so pools, `select` and event loops can watch it: it is readable exactly when a read would not
have to wait.
"""

from __future__ import annotations

import _socket
import itertools
import re
import select
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cassette_http.cassette.files import READ, Files
from cassette_http.intercept.kinds import Kind, descriptor_of, kind_of, raw
from cassette_http.system import os

_send = _socket.socket.send

# Python's own in C, which has no hooks; most tests make a pair for each connection.
_pair: Callable[[], tuple[_socket.socket, _socket.socket]] = getattr(_socket, "socketpair", socket.socketpair)

# Makes a stand-in readable; it is never handed out.
WAKE = b"\0"

# Data to fill its buffers with.
FILLING = bytes(1 << 16)

# An event loop that watches a descriptor goes on to watch its old file after another one was put there.
CAN_MOVE_WATCHERS = sys.platform == "linux"
MOST_OF_FDINFO = 1 << 20
WATCHED = re.compile(r"^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)", re.MULTILINE)

_numbers = itertools.count(1)
# The range that systems use for clients (RFC 6335 section 6).
_ports = itertools.cycle(range(49152, 65536))


class StandIn:
    """A local socket pair, one end of which has the descriptor of `sock`. Thread-safe.

    `is_watched`: an event loop may know the descriptor already.
    """

    def __init__(self, sock: socket.socket, *, is_watched: bool) -> None:
        self.port = next(_ports)
        """The port that the connection gives as its own."""

        self._sock = weakref.ref(sock)
        self._lock = threading.Lock()
        self._is_marked = False
        self._far_end: _socket.socket | None = None
        self._put_under(sock, is_watched)

    @property
    def is_there(self) -> bool:
        return self._far_end is not None

    @property
    def is_marked(self) -> bool:
        """The descriptor is readable."""
        return self._is_marked

    def move(self, sock: socket.socket) -> None:
        """The descriptor now belongs to `sock`."""
        self._sock = weakref.ref(sock)

    def show(self, is_due: Callable[[], bool]) -> None:
        """Make the descriptor readable exactly if `is_due()`."""
        with self._lock:
            sock = self._sock()
            if self._far_end is None or sock is None or is_due() is self._is_marked:
                return
            if self._is_marked:
                os.read(descriptor_of(sock), 1)
            else:
                _send(self._far_end, WAKE)
            self._is_marked = not self._is_marked

    def block_writes(self) -> bool:
        """Make the descriptor not writable, by filling all buffers.

        Returns whether it was writable.
        """
        was_writable = False
        with self._lock:
            sock = self._sock()
            with suppress(BlockingIOError):
                while self._far_end is not None and sock is not None:
                    _send(raw(sock), FILLING)
                    was_writable = True
        return was_writable

    def allow_writes(self) -> None:
        """Make it writable again."""
        with self._lock, suppress(BlockingIOError):
            if self._far_end is not None:
                self._far_end.setblocking(False)
                while self._far_end.recv(len(FILLING)):
                    pass

    def leave(self, octets: bytes = b"", *, is_cut_short: bool = False) -> None:
        """Turn it into a connection whose peer sent `octets`, then closed, or broke off if `is_cut_short`."""
        with self._lock:
            if self._far_end is None:
                return
            far_end, self._far_end = self._far_end, None
            sock = self._sock()
            if sock is not None and descriptor_of(sock) >= 0:
                if self._is_marked:
                    os.read(descriptor_of(sock), 1)
                    self._is_marked = False
                if is_cut_short:
                    # A local socket whose end is closed with unread octets reports a reset.
                    with suppress(OSError):
                        os.write(descriptor_of(sock), WAKE)
                octets = octets[_send_now(far_end, octets) :]
        if octets:
            rest = kind_of(sock), far_end, octets
            threading.Thread(target=_send_rest, args=rest, name="cassette-http-rest", daemon=True).start()
        else:
            far_end.close()

    def close(self) -> None:
        """The program closes the socket, and with it the descriptor."""
        with self._lock:
            self._drop()

    def after_fork_in_child(self) -> None:
        """After a fork: make a new pair, or the child would take what makes the parent's descriptor readable."""
        self._lock = threading.Lock()  # a thread that is not in the child may hold the old one
        sock = self._sock()
        if self._far_end is not None and sock is not None and descriptor_of(sock) >= 0:
            self._drop()
            self._put_under(sock, is_watched=False)

    def _put_under(self, sock: socket.socket, is_watched: bool) -> None:
        near, self._far_end = _pair()
        _give_name(self._far_end)
        self._is_marked = False
        near.setblocking(sock.gettimeout() is None)
        put_under(sock, near, is_watched=is_watched)
        near.close()

    def _drop(self) -> None:
        if self._far_end is not None:
            self._far_end.close()
            self._far_end = None


def _send_now(far_end: _socket.socket, octets: bytes) -> int:
    far_end.setblocking(False)
    sent = 0
    with suppress(BlockingIOError), memoryview(octets) as view:
        while sent < len(view):
            sent += _send(far_end, view[sent:])
    return sent


def _send_rest(kind: Kind, far_end: _socket.socket, octets: bytes) -> None:
    """Send the rest as fast as the program reads, then close."""
    with kind.sockets(fileno=far_end.detach()) as end, suppress(OSError):  # the program has closed
        end.setblocking(True)
        kind.sendall(end, octets)


def put_under(sock: socket.socket, fresh: _socket.socket, *, is_watched: bool = False) -> None:
    """Put a copy of the descriptor of `fresh` under `sock`, which closes the connection of `sock`."""
    if is_watched and CAN_MOVE_WATCHERS and raw(sock) is sock:
        with _watching_anew(descriptor_of(sock)):
            os.dup2(descriptor_of(fresh), descriptor_of(sock), inheritable=False)
    else:
        os.dup2(descriptor_of(fresh), descriptor_of(sock), inheritable=False)
        kind_of(sock).moved(sock)


@contextmanager
def _watching_anew(descriptor: int) -> Iterator[None]:
    """Make all epoll objects of this process that watch the descriptor watch the file it has after the block."""
    watchers = [(select.epoll.fromfd(os.dup(number)), events) for number, events in list(_watchers_of(descriptor))]
    for watcher, _ in watchers:
        watcher.unregister(descriptor)
    try:
        yield
    finally:
        for watcher, events in watchers:
            watcher.register(descriptor, events)
            watcher.close()


def _watchers_of(descriptor: int) -> Iterator[tuple[int, int]]:
    """The epoll objects that watch `descriptor` under its own number, each with its events."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") != "anon_inode:[eventpoll]":
                continue
            text = _read(f"/proc/self/fdinfo/{name}")
        except OSError:  # closed meanwhile
            continue
        for watched, events, data in WATCHED.findall(text):
            # Python puts an int into the 64 bits of data.
            if int(watched) == int(data, 16) & 0xFFFFFFFF == descriptor:
                yield int(name), int(events, 16)


def _read(path: str) -> str:
    files = Files()
    fd = files.open(path, READ)
    try:
        return files.read(fd, MOST_OF_FDINFO, 0).decode()
    finally:
        files.close(fd)


def _give_name(far_end: _socket.socket) -> None:
    """Without a name the peer's address is "", which breaks libraries that expect an address without the hooks."""
    if sys.platform == "linux":  # elsewhere the name would be a file
        far_end.bind(f"\0cassette-http-{os.getpid()}-{next(_numbers)}")
