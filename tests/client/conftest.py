"""What the client's tests share: a connection to a scripted peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cassette_http import client
from tests.peer import Connection, Peer, Script

LIMIT_S = 10.0


@pytest.fixture
def connect(peer: Callable[..., Peer]) -> Iterator[Callable[..., client.HTTPConnection]]:
    """Open connections: `connect(script)` starts a peer and returns a connection to it; closed after the test."""
    opened: list[client.HTTPConnection] = []

    def open_connection(script: Script, **options: Any) -> client.HTTPConnection:
        server = peer(script)
        opened.append(client.HTTPConnection(server.host, server.port, timeout=LIMIT_S, **options))
        return opened[-1]

    yield open_connection
    for one in opened:
        one.close()


def answering(*responses: bytes, then_close: bool = True) -> Script:
    """A script that answers one request after the other with these octets, each sent as it stands."""

    def script(connection: Connection) -> None:
        for response in responses:
            connection.read_request()
            connection.send(response)
        if not then_close:
            connection.wait_closed()

    return script
