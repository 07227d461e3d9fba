"""The key of a WebSocket handshake (RFC 6455 section 4): each one has its own, which the peer must accept."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

from cassette_http.cassette.model import Interaction
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.messages import RequestHead, field_values

__all__ = ["with_accepted_key"]

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPTED_KEY = re.compile(rb"\nSec-WebSocket-Accept:[ \t]*([^\r\n \t]+)", re.IGNORECASE)


def with_accepted_key(interaction: Interaction, sent: RequestHead) -> Interaction:
    """Accept the key of this WebSocket handshake in place of the recorded one's.

    A peer that did not accept that one, as far as the cassette tells, does not accept this one either.
    """
    request, track = interaction.request, interaction.track
    assert request is not None, "it was matched"
    keys, recorded_keys = (field_values(fields, "sec-websocket-key") for fields in (sent.fields, request.fields))
    accepted = ACCEPTED_KEY.search(track.octets)
    if not keys or accepted is None or (recorded_keys and accepted[1] != accepted_key(recorded_keys[0])):
        return interaction
    return replace(interaction, track=track.edited([Edit(*accepted.span(1), accepted_key(keys[0]))]))


def accepted_key(key: str) -> bytes:
    """The answer of a peer that accepts `key` (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode("latin-1") + WEBSOCKET_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)
