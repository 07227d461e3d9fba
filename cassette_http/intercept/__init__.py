"""The transport put under other libraries, at Python's sockets and TLS; the only room that patches anything.

The hooks are in place while at least one cassette is in use, and look up which one is in use here and now.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cassette_http.intercept import loops, names, sockets, tls
from cassette_http.intercept.carriers import expected_hellos

__all__ = ["intercepting"]

_lock = threading.Lock()
_users = 0


@contextmanager
def intercepting() -> Iterator[None]:
    """Keep the hooks in place; the last user takes them out."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            for room in (names, sockets, tls):
                room.PATCHES.install()
        loops.HOOKS.install()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                loops.HOOKS.remove()
                expected_hellos.clear()
                for room in (tls, sockets, names):
                    room.PATCHES.remove()


if hasattr(os, "register_at_fork"):  # a child must not begin with hooks that are half in place
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
