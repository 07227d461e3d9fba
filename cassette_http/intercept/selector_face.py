"""Connections with Python's sockets for a loop that has its own in C (uvloop), so that the hooks see them.

asyncio's selector transports, its TLS and its connecting code are pure Python, and use a loop only to watch descriptors
and to call back. The face looks like such a loop to them, and passes all that on to the loop that runs.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import selectors
import weakref
from collections.abc import Callable
from typing import Any

# What the running loop does itself.
PASSED_ON = (
    *("call_soon", "call_later", "call_at", "time", "create_future", "create_task", "run_in_executor", "getaddrinfo"),
    *("add_reader", "remove_reader", "add_writer", "remove_writer", "call_exception_handler", "get_debug"),
    *("is_closed", "is_running"),
)


class _Face(asyncio.SelectorEventLoop):
    """What a selector transport needs to know of its loop."""

    def __init__(self, loop: Any) -> None:
        # This loop never runs, so it needs no selector and no self-pipe.
        self._passes_to = loop
        self._transports: Any = weakref.WeakValueDictionary()
        self._selector = selectors.SelectSelector()  # used by the repr() of transports
        self._debug = False

    def _add_reader(self, descriptor: Any, callback: Callable[..., Any], *args: Any) -> None:
        self._passes_to.add_reader(descriptor, callback, *args)

    def _remove_reader(self, descriptor: Any) -> bool:
        return bool(self._passes_to.remove_reader(descriptor))

    def _add_writer(self, descriptor: Any, callback: Callable[..., Any], *args: Any) -> None:
        self._passes_to.add_writer(descriptor, callback, *args)

    def _remove_writer(self, descriptor: Any) -> bool:
        return bool(self._passes_to.remove_writer(descriptor))

    def __del__(self) -> None:
        """There is nothing to close."""


def _passing_on(name: str) -> Callable[..., Any]:
    def call(self: _Face, *args: Any, **options: Any) -> Any:
        return getattr(self._passes_to, name)(*args, **options)

    return call


for _name in PASSED_ON:
    setattr(_Face, _name, _passing_on(_name))


def selector_face(loop: Any) -> asyncio.SelectorEventLoop:
    """The face of a loop: used to make connections, never run."""
    return _Face(loop)


def is_of_selector(transport: Any) -> bool:
    """The transport was made by a face."""
    lower = getattr(transport, "_ssl_protocol", None)
    known = transport if lower is None else getattr(lower, "_transport", None)
    return isinstance(known, asyncio.selector_events._SelectorTransport)  # type: ignore[attr-defined]  # private
