"""How a recorded peer behaves, as far as the messages show: whether it answers early, and whether it closes."""

from __future__ import annotations

from cassette_http.cassette.model import Interaction
from cassette_http.transport.recording import is_doubtful
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.head import parse_request_head
from cassette_http.wire.messages import RequestHead
from cassette_http.wire.reader import RequestReader, ResponseReader, WholeResponse


def answers_early(interaction: Interaction) -> bool:
    """The peer answered, or the stream failed, before the request was complete."""
    assert interaction.request is not None
    track = interaction.track
    if track.pieces and track.pieces[0].sent is not None:
        return True
    if track.pieces and track.failure is None:
        return False  # everything came after the whole request
    return ends_within_request(interaction)


def ends_within_request(interaction: Interaction) -> bool:
    """The interaction was over before the client had sent all of its request."""
    assert interaction.request is not None
    request = RequestReader()
    request.feed(interaction.request.head_octets + interaction.request.body_octets)
    return not request.is_complete


def is_over_after(request: bytes, response: bytes) -> bool:
    """Tell whether an exchange ends its connection; `request` has no body, and `response` is complete."""
    may_end = may_ask_to_close(request) or may_close(response)
    return may_end and is_closed_by(parse_request_head(request), response)


def may_ask_to_close(request: bytes) -> bool:
    """Tell whether a request without a body could announce that it closes the connection."""
    return request.lower().find(b"close") >= 0


def may_close(octets: bytes) -> bool:
    """Tell whether a response could announce that it closes the connection; saves parsing most responses."""
    head = octets[: octets.find(b"\r\n\r\n") + 1].lower()
    # An interim response says nothing about the final one.
    return not head.startswith(b"http/1.1 ") or head[9:10] == b"1" or head.find(b"close") >= 0


def is_closed_by(request: RequestHead, octets: bytes) -> bool:
    """The peer would close the connection after this response (RFC 9112 section 9.3), if it is complete."""
    response = WholeResponse.find(octets, request.method) or _followed(request, octets)
    if response is None:
        return False  # the recorded client gave up on a silent peer
    if not is_persistent(request.version, request.fields):
        return True
    answer = response.head
    return answer is not None and not is_persistent(answer.version, answer.fields)


def _followed(request: RequestHead, octets: bytes) -> ResponseReader | None:
    """Read a response to its end; None if it is incomplete, or if clients disagree about where it ends."""
    response = ResponseReader(request.method)
    response.feed(octets)
    return response if response.is_complete and not (response.is_upgrade or is_doubtful(response)) else None
