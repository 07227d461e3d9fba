"""The exceptions of the client. All but ours are those of the standard library: `except http.client.X` works.

HTTPException (also called error)
├── BadStatusLine
│   └── RemoteDisconnected      also a ConnectionResetError
├── ImproperConnectionState
│   ├── CannotSendHeader
│   ├── CannotSendRequest
│   └── ResponseNotReady
├── IncompleteRead
├── InvalidURL
├── LineTooLong
├── NotConnected
├── UnimplementedFileMode
├── UnknownProtocol
└── UnknownTransferEncoding
OSError
└── TunnelError                 ours: says what the proxy answered
"""

from __future__ import annotations

from http.client import HTTPMessage


class TunnelError(OSError):
    """The proxy refused the tunnel. The text is that of `http.client`; the attributes are the proxy's answer.

    `content` is what the proxy sent with it, at most 64 KiB.
    """

    def __init__(self, status: int, reason: str, headers: HTTPMessage, content: bytes) -> None:
        super().__init__(f"Tunnel connection failed: {status} {reason}")
        self.status, self.reason, self.headers, self.content = status, reason, headers, content
