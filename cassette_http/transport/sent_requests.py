"""A request as far as the client has sent it. Pure."""

from __future__ import annotations

from cassette_http.cassette.model import Origin, Request
from cassette_http.wire.grammar import MEANT_FOR_REQUEST
from cassette_http.wire.head import parse_request_head
from cassette_http.wire.messages import RequestHead, field_values
from cassette_http.wire.reader import RequestReader


class WholeRequest:
    """The interface of a reader for a request without a body that came in one piece; parsed only on demand."""

    __slots__ = ("head_octets", "octets")
    is_complete = True
    expects_continue = False
    malformed = None
    is_foreign = False

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.head_octets = len(octets)

    def feed(self, data: bytes) -> int:
        return len(data)

    @property
    def method(self) -> str:
        return self.octets[: self.octets.index(b" ")].decode("ascii")

    @property
    def head(self) -> RequestHead:
        return parse_request_head(self.octets)


class SentRequest:
    """The `octets` of a request to `origin` that were sent so far.

    `reader` follows the request; `via` is the proxy between, if any.
    """

    later_octets = 0  # sent in the new protocol after an upgrade

    def __init__(
        self, reader: RequestReader | WholeRequest, octets: bytearray | bytes, origin: Origin, via: Origin | None
    ) -> None:
        self.reader, self.octets = reader, octets
        self.origin, self._via = origin, via

    def take(self, octets: bytes) -> int:
        """Take the octets that belong to the request; returns how many."""
        taken = self.reader.feed(octets)
        self.octets += octets[:taken]
        return taken

    @property
    def is_complete(self) -> bool:
        return self.reader.is_complete

    @property
    def octets_after_head(self) -> int:
        return len(self.octets) - self.reader.head_octets + self.later_octets

    @property
    def head(self) -> RequestHead:
        """Only to be used once the head is complete."""
        head = self.reader.head
        assert head is not None, "nothing is decided before"
        return head

    @property
    def may_upgrade(self) -> bool:
        """The client asks for a tunnel, or offers another protocol. Only to be used once the head is complete."""
        if isinstance(self.reader, WholeRequest):
            return False
        return self.head.method == "CONNECT" or bool(field_values(self.head.fields, "upgrade"))

    @property
    def is_foreign(self) -> bool:
        """It is not HTTP, and not an attempt at it either."""
        return self.reader.is_foreign and MEANT_FOR_REQUEST.match(self.octets) is None

    @property
    def value(self) -> Request:
        """The request as far as it was sent. Only to be used once the head is complete."""
        reader = self.reader
        if isinstance(reader, WholeRequest):
            return Request(self.origin, reader.octets, b"", self._via)
        octets = memoryview(self.octets)
        head, body = bytes(octets[: reader.head_octets]), bytes(octets[reader.head_octets :])
        return Request(self.origin, head, body, self._via).with_head(self.head)
