"""The pings of a WebSocket client (RFC 6455 section 5.5): the payload of each is new, and a pong must bring it back."""

from __future__ import annotations

from collections import deque

from cassette_http.cassette.secrets.websocket_frames import PING, PONG, frames

__all__ = ["Pongs"]


class Pongs:
    """Lets the pongs among the `played` octets of a WebSocket answer the pings that the client sends now.

    The newest ping counts, as a pong may stand for several (section 5.5.3). Without one of the size that was recorded,
    a pong stays as it is. The first `head_octets` are those of the handshake.
    """

    def __init__(self, played: bytes, head_octets: int) -> None:
        found, _ = frames(played[head_octets:], PONG)
        # Where the payload of each pong starts and stops, as long as it was not played.
        self._pongs = deque((head_octets + pong.stop - len(pong.payload), head_octets + pong.stop) for pong in found)
        self._at = 0
        self._sent = bytearray()
        self._newest = b""

    def client_sent(self, octets: bytes) -> None:
        """The client sent `octets` of its frames, however they are cut."""
        if not self._pongs:
            return
        self._sent += octets
        pings, end = frames(self._sent, PING)
        del self._sent[:end]
        if pings:
            self._newest = pings[-1].payload

    def answering(self, octets: bytes) -> bytes:
        """Put the payload of the newest ping into the pongs among `octets`, the next that are played."""
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
