"""Puts the transport under other libraries, at Python's sockets and TLS; the only room that patches anything.

The hooks are in place while at least one cassette is in use, and look up the current one on each call. They stay in
place from one test with a cassette to the next.

patches          installs and removes hooks
sockets          the hooks on `socket` and `os.sendfile`: each asks whether the socket has a tap
tls              the hooks on `ssl`: sockets and objects made by a context get our TLS state
authorities      trusted certificates are not loaded before something depends on them
kinds            the methods below the hooks: those of Python's sockets and of gevent's (gevent_sockets)
loops            modules that need hooks of their own; selector_face: uvloop, through asyncio's transports
imports          hooks a module as soon as the program imports it

names            look-ups: which host an address stands for, answers without a network, failed addresses
connecting       one attempt to connect: made, failed as recorded, or put off
adoption         takes over connections that were open before the cassette
taps             the tap behind a socket: runs a channel, knows whether something is due
stand_ins        a local socket pair in place of a connection, readable when something is due
lines            the live side: the socket itself, its TLS state, or a thread beside an event loop
tls_sockets      replaces the TLS state of a socket
tls_objects      the same for TLS objects; tls_records: the source of their records; carriers: the sockets below
handshakes       live handshakes that are made late, or that a peer refuses late or never answers

beginnings       the host that a request is for, and whether it is HTTP/2, from its first octets
current          the board in use here; running_loop: the event loop that runs here
guard            keeps a program off the network; hosts: host patterns
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cassette_http.errors import UnsupportedLibrary

# The modules below keep methods of Python's class; eventlet's class (after monkey_patch) has only some of them.
if not hasattr(socket.socket, "shutdown"):
    raise UnsupportedLibrary(
        f"{socket.socket!r} has taken the place of Python's socket.socket, and cannot be recorded or replayed; "
        "run this test without the monkey patches of sockets, as in eventlet.monkey_patch(socket=False)"
    )

from cassette_http.intercept import authorities, loops, names, sockets, tls
from cassette_http.intercept.carriers import expected_hellos

__all__ = ["hooked", "intercepting"]

_lock = threading.Lock()
_cassettes = 0


@contextmanager
def intercepting() -> Iterator[None]:
    """Keep the hooks installed for a cassette."""
    global _cassettes
    with _lock:
        _cassettes += 1
        names.install()
        _hook()
    try:
        yield
    finally:
        with _lock:
            _cassettes -= 1
            if _cassettes == 0:
                expected_hellos.clear()
                tls.offer_http2_again()
            _unhook()
            names.remove()


@contextmanager
def hooked() -> Iterator[None]:
    """Leave the hooks on sockets and TLS in place from one cassette to the next, and restore any that were removed.

    Replacing a method discards what Python has cached about its class. The hooks on look-ups are not included: each
    cassette installs them, as it must not know of names that were looked up before it.
    """
    with _lock:
        _hook()
    try:
        yield
    finally:
        with _lock:
            _unhook()


def _hook() -> None:
    for room in (sockets, tls, authorities):
        room.PATCHES.install()
    loops.HOOKS.install()


def _unhook() -> None:
    """The last user removes the hooks."""
    loops.HOOKS.remove()
    for room in (authorities, tls, sockets):
        room.PATCHES.remove()


if hasattr(os, "register_at_fork"):  # a child must not begin with hooks that are only partly installed
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
