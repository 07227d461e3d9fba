"""The transport put under other libraries, at Python's sockets and TLS; the only room that patches anything.

The hooks are in place while at least one cassette is in use, and look up which one is in use here and now. Tests with
cassettes that follow each other leave them in place.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cassette_http.intercept import loops, names, sockets, tls
from cassette_http.intercept.carriers import expected_hellos

__all__ = ["hooked", "intercepting"]

_lock = threading.Lock()
_holders = _cassettes = 0


@contextmanager
def intercepting() -> Iterator[None]:
    """Keep the hooks in place for a cassette."""
    global _cassettes
    with _lock:
        _cassettes += 1
        names.PATCHES.install()
        _hook()
    try:
        yield
    finally:
        with _lock:
            _cassettes -= 1
            if _cassettes == 0:
                expected_hellos.clear()
            _unhook()
            names.PATCHES.remove()


@contextmanager
def hooked() -> Iterator[None]:
    """Leave the hooks on sockets and TLS in place from one cassette to the next.

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
    global _holders
    _holders += 1
    if _holders == 1:
        for room in (sockets, tls):
            room.PATCHES.install()
    loops.HOOKS.install()


def _unhook() -> None:
    """The last one takes the hooks out."""
    global _holders
    _holders -= 1
    if _holders == 0:
        loops.HOOKS.remove()
        for room in (tls, sockets):
            room.PATCHES.remove()


if hasattr(os, "register_at_fork"):  # a child must not begin with hooks that are half in place
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
