"""A transport that leads nowhere."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["Nowhere"]


class Nowhere:
    """Keeps what is asked of it and what is sent, piece by piece, and plays one answer; it is its own stream."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.dialled: list[tuple[Any, ...]] = []
        self.sent: list[bytes] = []
        self.options: list[tuple[int, ...]] = []

    def connect(self, address: tuple[str, int], timeout_s: Any = None, source_address: Any = None) -> Any:
        self.dialled.append((address, timeout_s, source_address))
        return self

    def sendall(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.answer))

    def close(self) -> None:
        pass
