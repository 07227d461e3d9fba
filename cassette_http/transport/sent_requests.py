"""A request as far as its client has sent it: what is known of it while it is being sent. Pure."""

from __future__ import annotations

from cassette_http.cassette.model import Origin, Request
from cassette_http.wire.grammar import MEANT_FOR_REQUEST
from cassette_http.wire.head import parse_request_head
from cassette_http.wire.messages import RequestHead, field_values
from cassette_http.wire.reader import RequestReader


class WholeRequest:
    """What a reader would say of a request without a body that came in one piece; parsed only if somebody asks."""

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
    """The `octets` that were sent of a request to `origin`, and behind them of the protocol that it has changed to.

    `reader` follows the request; `via` is the proxy between, if any.
    """

    later_octets = 0  # of the new protocol after an upgrade

    def __init__(
        self, reader: RequestReader | WholeRequest, octets: bytearray | bytes, origin: Origin, via: Origin | None
    ) -> None:
        self.reader, self.octets = reader, octets
        self.origin, self._via = origin, via

    def take(self, octets: bytes) -> int:
        """Take those of the octets that belong to the request; returns how many."""
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
        """To be asked once the head is there."""
        head = self.reader.head
        assert head is not None, "nothing is decided before"
        return head

    @property
    def may_upgrade(self) -> bool:
        """The client asks for a tunnel, or offers another protocol. To be asked once the head is there."""
        if isinstance(self.reader, WholeRequest):
            return False
        return self.head.method == "CONNECT" or bool(field_values(self.head.fields, "upgrade"))

    @property
    def is_foreign(self) -> bool:
        """It is no request, and not meant for one either."""
        return self.reader.is_foreign and MEANT_FOR_REQUEST.match(self.octets) is None

    @property
    def value(self) -> Request:
        """What was sent so far, once the head is there."""
        reader = self.reader
        if isinstance(reader, WholeRequest):
            return Request(self.origin, reader.octets, b"", self._via)
        octets = memoryview(self.octets)
        head, body = bytes(octets[: reader.head_octets]), bytes(octets[reader.head_octets :])
        return Request(self.origin, head, body, self._via).with_head(self.head)
