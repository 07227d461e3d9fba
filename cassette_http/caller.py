"""Whose line of code led here, for errors that are raised deep inside a library."""

from __future__ import annotations

import os
import sys
import sysconfig

__all__ = ["caller"]

_FOREIGN = tuple(
    folder + os.sep
    for folder in {
        os.path.dirname(__file__),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


def caller() -> str:
    """The innermost line that is neither ours, nor the standard library's, nor an installed package's."""
    frame = sys._getframe(1)
    fallback = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_FOREIGN):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        fallback, frame = frame, frame.f_back  # type: ignore[assignment]  # None ends the loop
    return f"{fallback.f_code.co_filename}:{fallback.f_lineno}"
