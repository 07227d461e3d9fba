"""What can be wrong with octets that claim to be HTTP.

WireError
├── MalformedMessage      the octets break the grammar; a framing error is final for its connection
│   └── LimitExceeded     they obey the grammar, but not the limits (see `grammar`)
└── IncompleteMessage     the peer closed in the middle of a message
"""

from __future__ import annotations

SHOWN_OCTETS = 60


class WireError(Exception):
    """Base class of all errors about octets in this room."""


class MalformedMessage(WireError):
    """The octets break the grammar of HTTP/1.1. The text says which rule, and shows the octets, shortened."""

    def __init__(self, what: str, octets: bytes | bytearray | None = None) -> None:
        self.what = what
        super().__init__(what if octets is None else f"{what}: {_shown(octets)}")


class LimitExceeded(MalformedMessage):
    """A limit of `grammar` was exceeded.

    `what` is "line", "head", "fields", "trailers", "interim responses", "chunk extension" or "chunk size";
    `limit` is in octets, lines, messages or digits.
    """

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(what)
        self.limit = limit
        self.args = (what, limit)  # what copying and pickling call the class with

    def __str__(self) -> str:
        return _LIMIT_TEXTS[self.what].format(self.limit)


class IncompleteMessage(WireError):
    """The peer closed before the message was complete.

    `received` is the number of content octets; `expected` is how many more were announced, None if that is unknown.
    """

    def __init__(self, received: int, expected: int | None) -> None:
        super().__init__(received, expected)
        self.received, self.expected = received, expected

    def __str__(self) -> str:
        more = "" if self.expected is None else f", {self.expected} more expected"
        return f"the peer closed in the middle of the content: {self.received} octets received{more}"


_LIMIT_TEXTS = {
    "line": "a line is longer than {} octets",
    "head": "a head is longer than {} octets",
    "fields": "a head has more than {} field lines",
    "trailers": "a trailer section has more than {} field lines",
    "interim responses": "more than {} interim responses",
    "chunk extension": "the chunk extensions of one message are longer than {} octets",
    "chunk size": "a chunk size has more than {} digits",
}


def _shown(octets: bytes | bytearray) -> str:
    """The octets as a bytes literal, cut after `SHOWN_OCTETS`."""
    if len(octets) <= SHOWN_OCTETS:
        return repr(bytes(octets))
    return f"{bytes(octets[:SHOWN_OCTETS])!r}... ({len(octets)} octets)"
