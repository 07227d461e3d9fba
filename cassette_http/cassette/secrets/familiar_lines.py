"""Caches field lines with the result of their redaction: a session checks each line only once (pure).

The heads of one session are nearly the same, so mostly only a start line and a date have to be checked.
"""

from __future__ import annotations

import re

from cassette_http.cassette.secrets.vault import Vault
from cassette_http.cassette.splicing import Edit, shift, splice

MOST_LINES = 500
LONGEST_LINE_OCTETS = 256

# The meaning of such a line does not depend on the lines around it.
FIELD_LINE = re.compile(rb"[!-9;-~]+:[^\r\n]*")
_OF_CONTENT = re.compile(rb"content-|transfer-encoding|trailer|upgrade", re.IGNORECASE)


def is_of_content(line: bytes) -> bool:
    """Tell whether a field line says how to read the content, or depends on it."""
    return _OF_CONTENT.match(line) is not None


class FamiliarLines:
    """The lines without secrets, and the others in their redacted form.

    If a newly learned secret is in one of them, all are forgotten.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lines: set[bytes] = set()
        self._redacted: dict[bytes, bytes] = {}
        self._learned = 0

    def leave_out(self, message: bytes, learned: int) -> tuple[bytes, list[bytes], list[Edit]]:
        """Remove familiar lines from the head of a message.

        Returns the rest, its new field lines, and the edits for the familiar lines. `learned` says how much is known
        about secrets now. Nothing is removed from a head with unusual lines.
        """
        self._catch_up(learned)
        head, end, content = message.partition(b"\r\n\r\n")
        start_line, *lines = head.split(b"\r\n")
        new = [line for line in lines if line not in self._lines]
        if not all(map(FIELD_LINE.fullmatch, new)):
            return message, [], []
        edits, redacted = [], self._redacted  # a local reference, as another thread may replace it
        if not redacted.keys().isdisjoint(new):
            edits = [
                Edit(start, start + len(line), redacted[line]) for start, line in _field_lines(head) if line in redacted
            ]
            new = [line for line in new if line not in redacted]
        return b"\r\n".join([start_line, *new]) + end + content, new, edits

    def remember(self, lines: list[bytes], learned: int) -> None:
        """Nothing was found in these lines when `learned` was the state of knowledge."""
        if self._has_room(len(lines), learned):
            self._lines.update([line for line in lines if len(line) <= LONGEST_LINE_OCTETS])

    def remember_edits(self, message: bytes, edits: list[Edit], learned: int) -> None:
        """These edits removed all secrets from a message when `learned` was the state of knowledge."""
        head = message.partition(b"\r\n\r\n")[0]
        lines = _field_lines(head)
        if not self._has_room(len(lines), learned) or not all(FIELD_LINE.fullmatch(line) for _, line in lines):
            return
        for start, line in lines:
            stop = start + len(line)
            inside = [edit for edit in edits if edit.start < stop and start < edit.stop]
            is_whole = all(start <= edit.start and edit.stop <= stop for edit in inside)
            if is_of_content(line) or not is_whole or len(line) > LONGEST_LINE_OCTETS:
                continue
            if inside:
                self._redacted[line] = splice(line, shift(inside, -start))
            else:
                self._lines.add(line)

    def _catch_up(self, learned: int) -> None:
        """Continue with what is known now; another thread may know more."""
        if learned > self._learned:
            lines, redacted = self._lines.copy(), self._redacted.copy()
            if self._vault.is_new_in(b"\n".join([*lines, *redacted]), self._learned):
                lines, redacted = set(), {}
            self._lines, self._redacted, self._learned = lines, redacted, learned

    def _has_room(self, count: int, learned: int) -> bool:
        self._catch_up(learned)
        if learned != self._learned:
            return False  # more was learned in the meantime
        if len(self._lines) + len(self._redacted) + count > MOST_LINES:
            self._lines, self._redacted = set(), {}
        return True


def _field_lines(head: bytes) -> list[tuple[int, bytes]]:
    """The lines after the first one, with their positions."""
    start_line, *lines = head.split(b"\r\n")
    found, start = [], len(start_line) + 2
    for line in lines:
        found.append((start, line))
        start += len(line) + 2
    return found
