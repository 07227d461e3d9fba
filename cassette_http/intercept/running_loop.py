"""The event loop that runs in this thread, if any."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

# The loop counts as idle after so many turns in which nothing else happened.
IDLE_TICKS = 10
# A program reads again after at most so many turns, even if a task of its own does each read (`asyncio.wait_for` in
# Python 3.11). A break takes from some streams what they have buffered: the program may need a few turns per line.
TURNS_TO_COME_BACK, TURNS_TO_READ_ALL = 3, 200


def call_when_idle(delay_s: float, method: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Call once after `delay_s`, as soon as an event loop that runs here has nothing else to do.

    Idleness is counted in turns of the loop, not in time: on a busy machine everything in a loop is late.
    """

    def call(ticks: int = IDLE_TICKS) -> None:
        if ticks and loop is not None:
            loop.call_soon(call, ticks - 1)
            return
        function = method()
        if function is not None:
            function()

    loop = running_loop()
    if loop is not None:
        loop.call_later(delay_s, call)
        return
    timer = threading.Timer(delay_s, call)
    timer.daemon = True
    timer.start()


def running_loop() -> Any:
    """The asyncio-like event loop that runs in this thread, or None. Does not import asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio._get_running_loop() if asyncio is not None else None


def turns_to_come_back(*, breaks_next: bool) -> int:
    """In how many turns a program is back for more, after it was given a piece; 1 if no loop runs here.

    A piece that comes earlier lies behind the one before in the buffer of a stream, and the program sees both as one.
    """
    if running_loop() is None:
        return 1
    return TURNS_TO_READ_ALL if breaks_next else TURNS_TO_COME_BACK
