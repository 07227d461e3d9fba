"""Whether a recorded peer answered, or broke off, before it had all of the request."""

from __future__ import annotations

from cassette_http.cassette.model import Interaction
from cassette_http.wire.reader import RequestReader


def answers_early(interaction: Interaction) -> bool:
    """The peer answered, or the stream failed, before the request was complete."""
    assert interaction.request is not None
    track = interaction.track
    if track.pieces and track.pieces[0].sent is not None:
        return True
    if track.pieces and track.failure is None:
        return False  # what came, came behind the whole request
    return ends_within_request(interaction)


def ends_within_request(interaction: Interaction) -> bool:
    """The client had not sent all of its request when the interaction was over."""
    assert interaction.request is not None
    request = RequestReader()
    request.feed(interaction.request.head_octets + interaction.request.body_octets)
    return not request.is_complete
