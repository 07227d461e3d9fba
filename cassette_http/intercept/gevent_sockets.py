"""gevent's sockets: classes of its own, each over a C socket that never waits. They wait in gevent's hub.

They get the hooks of Python's sockets. All private names of gevent are used in this module only.
"""

from __future__ import annotations

import _socket
import os
import ssl
import time
import weakref
from collections.abc import Callable
from typing import Any

from cassette_http.intercept import sockets, tls
from cassette_http.intercept.kinds import Kind, PythonContext, PythonSocket, add_kind, kind_of_class, raw
from cassette_http.intercept.lines import alive
from cassette_http.intercept.patches import Patches
from cassette_http.transport.host import Host


class _GeventKind(Kind):
    """How gevent's sockets work below the hooks."""

    def __init__(self, classes: Any) -> None:
        super().__init__(classes)
        self.sendall = self._sendall  # gevent's own calls the `send` of the socket, which is hooked

    def _sendall(self, sock: Any, data: Any) -> None:
        timeout_s = left_s = sock.gettimeout()
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                if left_s is not None and sent and left_s <= 0:
                    raise TimeoutError("timed out")
                sent += self.send(sock, view[sent:], 0, left_s)
                left_s = None if until_s is None else until_s - time.monotonic()

    def waiting(self, sock: Any, state: Any) -> Any:
        return _WaitingState(sock, state)

    def moved(self, sock: Any) -> None:
        fileno, loop = raw(sock).fileno(), sock.hub.loop
        os.set_blocking(fileno, False)  # so that the C socket never waits
        # The loop still watches the previous file. Whoever waits for it is woken, and waits with a new watcher.
        loop.closing_fd(fileno)
        for name, events in ("_read_event", 1), ("_write_event", 2):
            if not getattr(sock, name).active:
                getattr(sock, name).close()
            setattr(sock, name, loop.io(fileno, events))

    def share(self, host: Host) -> None:
        greenlets = _Greenlets()
        host.share_among(greenlets, greenlets.sleep)

    def is_readable(self, sock: Any) -> bool:
        try:
            raw(sock).recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # the next read gets the error
        return True


class _Greenlets:
    """The names of `threading`, for greenlets, whether or not that module is patched (transport.channel.Threads)."""

    def __init__(self) -> None:
        import gevent  # late: only programs that use it come here
        from gevent import event, lock

        self.RLock, self.sleep = lock.RLock, gevent.sleep
        self._event, self._current = event.Event, gevent.getcurrent

    def get_ident(self) -> int:
        return id(self._current())

    def Condition(self, lock: Any) -> Any:
        return _Condition(lock, self._event)


class _Condition:
    """The part of `threading.Condition` that is used here."""

    def __init__(self, lock: Any, event: Callable[[], Any]) -> None:
        self._lock, self._event = lock, event
        self._waiting: list[Any] = []

    def wait(self, timeout_s: float | None = None) -> bool:
        event = self._event()
        self._waiting.append(event)
        self._lock.release()
        try:
            return bool(event.wait(timeout_s))
        finally:
            self._lock.acquire()
            self._waiting.remove(event)

    def notify_all(self) -> None:
        for event in self._waiting:
            event.set()


class _WaitingState:
    """The TLS state in C of a gevent socket, but its calls wait, so that we see their results."""

    def __init__(self, sock: Any, state: Any) -> None:
        self._sock, self._state = weakref.ref(sock), state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def read(self, *args: Any) -> Any:
        return self._when_ready(self._state.read, args, "The read operation timed out")

    def write(self, data: Any) -> Any:
        return self._when_ready(self._state.write, (data,), "timed out")

    def do_handshake(self) -> None:
        self._when_ready(self._state.do_handshake, (), "The handshake operation timed out")

    def shutdown(self) -> Any:
        return self._when_ready(self._state.shutdown, (), "timed out")

    def _when_ready(self, call: Callable[..., Any], args: tuple[Any, ...], if_late: str) -> Any:
        while True:
            try:
                return call(*args)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as not_now:
                sock = alive(self._sock)
                if sock.gettimeout() == 0:
                    raise
                event = sock._read_event if isinstance(not_now, ssl.SSLWantReadError) else sock._write_event
            sock._wait(event, timeout_exc=TimeoutError(if_late))


def hooks_on_sockets(module: Any) -> Patches:
    """The hooks on `gevent._socket3`."""
    classes = module.socket
    add_kind(_GeventKind(classes))
    patches = sockets.PATCHES.on_others({PythonSocket: classes})
    sendall = classes.sendall

    @patches.hook(classes, "sendall")
    def send_all(self: Any, *args: Any, original: Any) -> None:
        # The method of TLS sockets calls this one, which must then use `send` of the TLS socket.
        (original if getattr(self, "_sslobj", None) is None else sendall)(self, *args)

    return patches


def hooks_on_tls(module: Any) -> Patches:
    """The hooks on `gevent.ssl`."""
    kind_of_class(module.socket).add_tls(module.SSLContext)
    return tls.PATCHES.on_others({PythonContext: module.SSLContext, PythonContext.sslsocket_class: module.SSLSocket})
