"""Whether the connection outlives a played exchange, by what its messages say (RFC 9112 section 9.3)."""

from __future__ import annotations

from cassette_http.cassette.model import Track
from cassette_http.transport.recording import is_doubtful
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.messages import RequestHead
from cassette_http.wire.reader import ResponseReader

__all__ = ["is_closed_by", "may_ask_to_close", "may_close"]


def may_ask_to_close(request: bytes) -> bool:
    """Tell whether a request without a body could announce the end of its connection."""
    return request.lower().find(b"close") >= 0


def may_close(octets: bytes) -> bool:
    """Tell whether a response could announce the end of its connection; spares most a parse."""
    head = octets[: octets.find(b"\r\n\r\n") + 1].lower()
    # An interim response says nothing about the final one.
    return not head.startswith(b"http/1.1 ") or head[9:10] == b"1" or head.find(b"close") >= 0


def is_closed_by(request: RequestHead, track: Track) -> bool:
    """The peer would close the connection after this response (RFC 9112 section 9.3), which came completely."""
    response = ResponseReader(request.method)
    response.feed(track.octets)
    answer = response.head
    if answer is None or not response.is_complete or is_doubtful(response):
        return False  # the recorded client gave up on a peer that was silent
    return not all(is_persistent(head.version, head.fields) for head in (request, answer))
