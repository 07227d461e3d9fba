"""What can go wrong with a cassette: one class for each decision that a caller could take.

CassetteError
├── CassetteFormatError      the file is broken, foreign or not safe to load
├── CassetteNotFound         replay was asked for, and there is no file
├── CassetteNotWritable      the disk or the folder refused
├── InvalidOption            an argument has an invalid value
├── NetworkBlocked           a guard keeps the program off the network (also a ConnectionError)
├── UnsupportedLibrary       its traffic cannot be seen, so it would bypass the cassette
└── UnmatchedRequest         the cassette has no answer (also a ConnectionError, see there)

CassetteWarning              something was left out, and the rest can be used
└── CassetteExpired          the cassette is older than `max_age`
"""

from __future__ import annotations

__all__ = [
    "CassetteError",
    "CassetteExpired",
    "CassetteFormatError",
    "CassetteNotFound",
    "CassetteNotWritable",
    "CassetteWarning",
    "InvalidOption",
    "NetworkBlocked",
    "UnmatchedRequest",
    "UnsupportedLibrary",
]


class CassetteError(Exception):
    """Base of everything this package raises about cassettes."""


_LONGEST_REASON = 1000


class CassetteFormatError(CassetteError):
    """The file is not a valid cassette. It was not modified.

    `path` and `line` (1-based, None if it concerns the file as a whole) say where, `reason` what.
    """

    def __init__(self, path: str, line: int | None, reason: str) -> None:
        if len(reason) > _LONGEST_REASON:  # what it quotes may be as long as the file
            reason = f"{reason[: _LONGEST_REASON // 2]} … {reason[-_LONGEST_REASON // 2 :]}"
        self.path, self.line, self.reason = path, line, reason
        super().__init__(path, line, reason)

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line}"
        return f"{where}: {self.reason}"


class CassetteNotFound(CassetteError, FileNotFoundError):
    """A mode that only replays was asked for, and the cassette does not exist."""

    # FileNotFoundError would take over formatting; the message is all a reader needs.
    __str__ = Exception.__str__


class CassetteNotWritable(CassetteError, OSError):
    """The cassette could not be written; what was recorded before is still in the file."""

    __str__ = Exception.__str__


class InvalidOption(CassetteError, ValueError):
    """An option has an invalid value; the message lists the valid ones."""


class NetworkBlocked(CassetteError, ConnectionError):
    """The program attempted a look-up or a connect that `block_network` does not allow.

    Like a network failure it has an `errno`, and its message as `strerror`, which libraries show in their errors.
    """

    def __str__(self) -> str:
        return str(self.strerror)


class UnsupportedLibrary(CassetteError):
    """The connections of a library cannot be recorded or replayed; the message says what to use instead."""


class UnmatchedRequest(CassetteError, ConnectionError):
    """The cassette has no interaction for a request, and the record mode forbids a live one.

    It is a ConnectionError because it is raised inside the socket calls of HTTP libraries, which then translate it
    like any connection failure, and keep its message.
    """

    __str__ = Exception.__str__


class CassetteWarning(UserWarning):
    """A cassette is usable, but incomplete or unusual; the message says what to do."""


class CassetteExpired(CassetteWarning):
    """A cassette is played that was recorded longer ago than `max_age`; the message says how to record it again."""
