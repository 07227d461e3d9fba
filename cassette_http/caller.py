"""Finds the line of the program that led here, for errors that are raised deep inside a library."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache


@cache
def _foreign() -> tuple[str, ...]:
    """The beginnings of paths of files that do not belong to the program."""
    import sysconfig  # late: only errors need it

    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(folder + os.sep for folder in {os.path.dirname(__file__), *folders})


def caller() -> str:
    """The innermost line that is neither ours, nor the standard library's, nor an installed package's.

    In a thread that runs only library code (look-ups of asyncio do), it is that of the main thread.
    """
    here, foreign = sys._getframe(1), _foreign()
    main = threading.main_thread().ident
    for frame in (here, sys._current_frames().get(main) if main is not None else None):
        while frame is not None:
            if not frame.f_code.co_filename.startswith(foreign):
                return f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
    return f"{here.f_code.co_filename}:{here.f_lineno}"


def has_reached_program(error: BaseException) -> bool:
    """Whether an error that was raised inside a library came out of it, so that the program has caught it.

    A traceback begins where an error was caught; if a library has swallowed or translated it, that is inside the
    library.
    """
    caught = error.__traceback__
    return caught is not None and not caught.tb_frame.f_code.co_filename.startswith(_foreign())
