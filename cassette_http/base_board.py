"""What the boards of cassettes and of flight recorders have in common: their channels, and how they handle a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from cassette_http.cassette.model import FailureKind, Origin
from cassette_http.transport import base
from cassette_http.transport.channel import Channel
from cassette_http.transport.failures import describe, silence
from cassette_http.transport.host import Switchboard, clock
from cassette_http.transport.socket_face import CassetteTransport


class BaseBoard(Switchboard):
    """Opens channels, ends them when the block ends, and waits during forks; subclasses do the rest.

    A subclass holds `_lock` while it works, and records nothing more once it `_is_closed`.
    """

    def __init__(self) -> None:
        self.is_left = False  # new channels are left at once; open ones may still record what they have
        self._is_closed = False
        self.open_handshakes: dict[Channel, float] = {}
        self._channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        self._lock = threading.RLock()

    def open_channel(self, origin: Origin, via: Origin | None) -> Channel:
        channel = Channel(origin, self, clock, via)
        with self._lock:
            self._channels.add(channel)
            is_late = self.is_left
        if is_late:  # a thread that got the cassette before the block ended
            channel.leave()
        return channel

    def open_tls_channel(self, lower: Channel) -> Channel:
        channel = self.open_channel(lower.origin.over_tls, lower.via)
        channel.can_play = channel.can_play and lower.can_play  # nothing can be played over a live connection
        if channel.can_play:
            kinds = FailureKind.TLS_REFUSAL, FailureKind.END, FailureKind.RESET
            channel.break_at_once(self.fail_connection(channel.origin, *kinds))
        return channel

    def leave(self) -> None:
        """The block ends: finish what is open."""
        with self._lock:
            self.is_left = True
            channels = list(self._channels)
        for channel in channels:  # without our lock, which a channel acquires while it holds its own
            channel.leave()
        for channel, at_s in list(self.open_handshakes.items()):
            failure = describe(FailureKind.TLS, silence())
            self.keep_connection_failure(channel.origin, failure, channel.via, at_s)
        with self._lock:
            self._is_closed = True

    def before_fork(self) -> None:
        """Wait for other threads: what they are doing would never be finished in the child."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        for channel in tuple(self._channels):
            channel.after_fork_in_child()
        self.open_handshakes.clear()
        self._lock.release()


class ChildMessages:
    """What forked children report to the process that opened the cassette, through an unnamed file that all share."""

    def __init__(self) -> None:
        # Imported here, as hardly any program forks.
        import pickle
        import tempfile

        self._pickle = pickle
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # open while the cassette is in use
        self._inode = os.fstat(self._file.fileno()).st_ino

    def write(self, message: object) -> None:
        with suppress(OSError):  # a child may close all files, and open others
            if os.fstat(self._file.fileno()).st_ino == self._inode:
                self._file.write(self._pickle.dumps(message))

    def read(self) -> Iterator[Any]:
        self._file.seek(0)
        with suppress(EOFError, self._pickle.UnpicklingError):  # a child may be killed while it writes
            while True:
                yield self._pickle.load(self._file)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


class _Fork(threading.local):
    """The boards that this thread has locked while it forks."""

    def __init__(self) -> None:
        self.held: list[BaseBoard] = []

    def begin(self) -> None:
        boards = {one.board for one in base.all_in_use() if isinstance(one, CassetteTransport)}
        for board in sorted(boards, key=id):  # in a fixed order, as two threads may fork at the same time
            assert isinstance(board, BaseBoard)
            board.before_fork()
            self.held.append(board)

    def end(self) -> None:
        while self.held:
            self.held.pop().after_fork_in_parent()

    def end_in_child(self) -> None:
        while self.held:
            self.held.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(before=_fork.begin, after_in_parent=_fork.end, after_in_child=_fork.end_in_child)
