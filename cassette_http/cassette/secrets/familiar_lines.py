"""Field lines that were looked at before, and hold no secret: a session looks at each of them once (pure).

The heads of one session are nearly the same, so what is left of most of them is a start line and a date.
"""

from __future__ import annotations

import re

__all__ = ["FamiliarLines"]

MOST_LINES = 1000
LONGEST_LINE_OCTETS = 256

# What stands in such a line means the same whatever lines are around it.
FIELD_LINE = re.compile(rb"[!-9;-~]+:[^\r\n]*")


class FamiliarLines:
    """The lines in which nothing was found. A secret that is learned may stand in one, so then all are forgotten."""

    def __init__(self) -> None:
        self._lines: set[bytes] = set()
        self._learned = 0

    def leave_out(self, message: bytes, learned: int) -> tuple[bytes, list[bytes]]:
        """Take familiar lines out of the head of a message; return what remains, and which field lines are new in it.

        `learned` is how much is known of secrets now. Nothing is taken out of a head with unusual lines.
        """
        if learned != self._learned:
            self._lines, self._learned = set(), learned
        head, end, content = message.partition(b"\r\n\r\n")
        start_line, *lines = head.split(b"\r\n")
        new = [line for line in lines if line not in self._lines]
        if not all(map(FIELD_LINE.fullmatch, new)):
            return message, []
        return b"\r\n".join([start_line, *new]) + end + content, new

    def remember(self, lines: list[bytes], learned: int) -> None:
        """Nothing was found in these lines when so much was known of secrets."""
        if learned != self._learned:
            return  # another thread has learned more meanwhile
        if len(self._lines) + len(lines) > MOST_LINES:
            self._lines = set()
        self._lines.update([line for line in lines if len(line) <= LONGEST_LINE_OCTETS])
