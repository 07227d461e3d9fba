"""The transport put under other libraries, at Python's sockets and TLS; the only room that patches anything.

The hooks are in place while at least one cassette is in use, and look up which one is in use here and now. Tests with
cassettes that follow each other leave them in place.

patches          puts functions of ours in the place of others', and takes them out again
sockets          the hooks on `socket` and `os.sendfile`: each asks whether the socket has a tap
tls              the hooks on `ssl`: what comes out of a context has a state of ours
authorities      what contexts trust is not read before something depends on it
kinds            what the hooks replace: the methods of Python's sockets, and of gevent's, which is all in green
loops            modules that need hooks of their own; selector_face: uvloop, by asyncio's transports
imports          hooks a module as soon as the program imports it

names            look-ups: whom an address stands for, answers without a network, which addresses have failed
connecting       one attempt to connect: made, failed as recorded, or put off
adoption         connections that were open before the cassette
taps             what stands behind a socket: runs a channel, knows whether something is due
stand_ins        the descriptor, where nobody was dialled: a local pair that is readable when something is due
lines            the live side: the socket itself, its TLS state, or a thread beside a loop
tls_sockets      what stands in the place of the TLS state of a socket
tls_objects      the same of a TLS object; tls_records: where its records come from; carriers: who brings them
handshakes       live handshakes that are made late, or that a peer refuses late or never answers

beginnings       whom a request is for, and whether it is HTTP/2, as far as its first octets tell
current          which board is in use here; running_loop: which loop runs here
guard            keeps a program off the network; hosts: patterns for hosts
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cassette_http.errors import UnsupportedLibrary

# The modules below keep methods of Python's class; that of eventlet (monkey_patch) has only some of them.
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
    """Keep the hooks in place for a cassette."""
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
    """Leave the hooks on sockets and TLS in place from one cassette to the next; put back those that were taken out.

    All that Python knows of a class is lost when one of its methods is replaced. Those on look-ups are put in place by
    each cassette: it must not know of names that were looked up before it.
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
    """The last one takes the hooks out."""
    loops.HOOKS.remove()
    for room in (authorities, tls, sockets):
        room.PATCHES.remove()


if hasattr(os, "register_at_fork"):  # a child must not begin with hooks that are half in place
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
