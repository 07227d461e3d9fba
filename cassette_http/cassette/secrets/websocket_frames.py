"""Reads the frames of a WebSocket (RFC 6455 section 5.2) (pure).

Compressed messages (RFC 7692) are left alone: their content depends on earlier ones.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

PING, PONG = frozenset({0x9}), frozenset({0xA})

_CONTINUATION = 0x0
_DATA = frozenset({_CONTINUATION, 0x1, 0x2})  # the others are text and binary
_MASKED = 0x80


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, from `start` to `stop`; `payload` is unmasked, `mask` is empty if there is none."""

    start: int
    stop: int
    first_octet: int
    mask: bytes
    payload: bytes

    def with_payload(self, payload: bytes) -> bytes:
        """The frame with another payload and the same mask."""
        bit = _MASKED if self.mask else 0
        if len(payload) < 126:
            length = bytes([bit | len(payload)])
        elif len(payload) < 1 << 16:
            length = bytes([bit | 126]) + len(payload).to_bytes(2, "big")
        else:
            length = bytes([bit | 127]) + len(payload).to_bytes(8, "big")
        return bytes([self.first_octet]) + length + self.mask + _masked(payload, self.mask)


def is_websocket(upgrade: str) -> bool:
    """Tell by the Upgrade field whether frames follow a head."""
    return upgrade.strip(" \t").lower() == "websocket"


def frames(octets: bytes | bytearray, opcodes: Container[int] = _DATA) -> tuple[list[Frame], int]:
    """List the readable frames of one kind, without compressed ones; and return where the complete ones end."""
    found: list[Frame] = []
    at = end = 0
    while at + 2 <= len(octets):
        start, first, second = at, octets[at], octets[at + 1]
        at += 2
        size = second & 0x7F
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(octets[at : at + width], "big")
            at += width
        mask = bytes(octets[at : at + 4]) if second & _MASKED else b""
        at += len(mask)
        stop = at + size
        if stop > len(octets):
            break
        if not first & 0x70 and first & 0x0F in opcodes:
            found.append(Frame(start, stop, first, mask, _masked(octets[at:stop], mask)))
        at = end = stop
    return found, end


def messages(found: Iterable[Frame]) -> list[list[Frame]]:
    """Group the data frames that are parts of one message (RFC 6455 section 5.4)."""
    parts: list[list[Frame]] = []
    for frame in found:
        if parts and frame.first_octet & 0x0F == _CONTINUATION:
            parts[-1].append(frame)
        else:
            parts.append([frame])
    return parts


def _masked(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Apply a mask, or remove it (RFC 6455 section 5.3)."""
    if not mask or not payload:
        return bytes(payload)
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
