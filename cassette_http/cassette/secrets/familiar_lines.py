"""Field lines that were looked at before, and what became of them: a session looks at each of them once (pure).

The heads of one session are nearly the same, so what is left of most of them is a start line and a date.
"""

from __future__ import annotations

import re

from cassette_http.cassette.secrets.vault import Vault
from cassette_http.cassette.splicing import Edit, shift, splice

MOST_LINES = 500
LONGEST_LINE_OCTETS = 256

# What stands in such a line means the same whatever lines are around it.
FIELD_LINE = re.compile(rb"[!-9;-~]+:[^\r\n]*")
_OF_CONTENT = re.compile(rb"content-|transfer-encoding|trailer|upgrade", re.IGNORECASE)


def is_of_content(line: bytes) -> bool:
    """Tell whether a field line says how to read the content, or follows from it."""
    return _OF_CONTENT.match(line) is not None


class FamiliarLines:
    """The lines in which nothing was found, and the others as they were written.

    If a secret that is learned stands in one, all are forgotten.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lines: set[bytes] = set()
        self._redacted: dict[bytes, bytes] = {}
        self._learned = 0

    def leave_out(self, message: bytes, learned: int) -> tuple[bytes, list[bytes], list[Edit]]:
        """Take familiar lines out of the head of a message.

        Returns what remains, which field lines are new in it, and the edits of those that are familiar. `learned` is
        how much is known of secrets now. Nothing is taken out of a head with unusual lines.
        """
        self._catch_up(learned)
        head, end, content = message.partition(b"\r\n\r\n")
        start_line, *lines = head.split(b"\r\n")
        new = [line for line in lines if line not in self._lines]
        if not all(map(FIELD_LINE.fullmatch, new)):
            return message, [], []
        edits, redacted = [], self._redacted  # another thread may begin with new ones
        if not redacted.keys().isdisjoint(new):
            edits = [
                Edit(start, start + len(line), redacted[line]) for start, line in _field_lines(head) if line in redacted
            ]
            new = [line for line in new if line not in redacted]
        return b"\r\n".join([start_line, *new]) + end + content, new, edits

    def remember(self, lines: list[bytes], learned: int) -> None:
        """Nothing was found in these lines when so much was known of secrets."""
        if self._has_room(len(lines), learned):
            self._lines.update([line for line in lines if len(line) <= LONGEST_LINE_OCTETS])

    def remember_edits(self, message: bytes, edits: list[Edit], learned: int) -> None:
        """These edits took all secrets out of a message when so much was known of secrets."""
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
        """Go on with what is known now; another thread may know more."""
        if learned > self._learned:
            lines, redacted = self._lines.copy(), self._redacted.copy()
            if self._vault.is_new_in(b"\n".join([*lines, *redacted]), self._learned):
                lines, redacted = set(), {}
            self._lines, self._redacted, self._learned = lines, redacted, learned

    def _has_room(self, count: int, learned: int) -> bool:
        self._catch_up(learned)
        if learned != self._learned:
            return False  # more was learned meanwhile
        if len(self._lines) + len(self._redacted) + count > MOST_LINES:
            self._lines, self._redacted = set(), {}
        return True


def _field_lines(head: bytes) -> list[tuple[int, bytes]]:
    """The lines behind the first one, with where each begins."""
    start_line, *lines = head.split(b"\r\n")
    found, start = [], len(start_line) + 2
    for line in lines:
        found.append((start, line))
        start += len(line) + 2
    return found
