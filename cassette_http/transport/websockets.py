"""Changes what is different in each WebSocket conversation: the accepted key, and the payload of pongs (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from dataclasses import replace

from cassette_http.cassette.model import Interaction
from cassette_http.cassette.secrets.websocket_frames import PING, PONG, frames
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.messages import RequestHead, field_values

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPTED_KEY = re.compile(rb"\nSec-WebSocket-Accept:[ \t]*([^\r\n \t]+)", re.IGNORECASE)


def with_accepted_key(interaction: Interaction, sent: RequestHead) -> Interaction:
    """Accept the key of this WebSocket handshake instead of the recorded key.

    If the recorded peer did not accept the recorded key, as far as the cassette shows, this one is not accepted either.
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


class Pongs:
    """Makes the pongs among the `played` octets of a WebSocket answer the pings that the client sends now.

    The newest ping counts, as one pong may answer several (section 5.5.3). A pong whose size is not that of the ping
    stays as it is. The first `head_octets` are the handshake.
    """

    def __init__(self, played: bytes, head_octets: int) -> None:
        found, _ = frames(played[head_octets:], PONG)
        # Where the payload of each pong that was not played yet starts and stops.
        self._pongs = deque((head_octets + pong.stop - len(pong.payload), head_octets + pong.stop) for pong in found)
        self._at = 0
        self._sent = bytearray()
        self._newest = b""

    def client_sent(self, octets: bytes) -> None:
        """The client sent `octets` of its frames, cut anywhere."""
        if not self._pongs:
            return
        self._sent += octets
        pings, end = frames(self._sent, PING)
        del self._sent[:end]
        if pings:
            self._newest = pings[-1].payload

    def answering(self, octets: bytes) -> bytes:
        """Put the payload of the newest ping into the pongs in `octets`, which are played next."""
        start, stop = self._at, self._at + len(octets)
        self._at = stop
        while self._pongs and self._pongs[0][0] < stop:
            first, last = self._pongs[0]
            if last - first == len(self._newest):
                before, behind = max(first, start), min(last, stop)
                payload = self._newest[before - first : behind - first]
                octets = octets[: before - start] + payload + octets[behind - start :]
            if last > stop:
                break
            self._pongs.popleft()
        return octets
