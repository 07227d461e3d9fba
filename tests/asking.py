"""Programs that ask for a URL, with a library and with our client; for tests that are about something else."""

from __future__ import annotations

import contextlib
import urllib.request

from cassette_http import Cassette, client
from tests.peer import LIMIT_S

__all__ = ["get", "get_or_none", "get_with_our_client", "targets"]


def get(url: str, **fields: str) -> str:
    request = urllib.request.Request(url, headers=fields)
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def get_or_none(url: str) -> str | None:
    """What a program does that has a plan B."""
    with contextlib.suppress(OSError):
        return get(url)
    return None


def get_with_our_client(url: str) -> str:
    authority, _, path = url.removeprefix("http://").partition("/")
    connection = client.HTTPConnection(authority, timeout=LIMIT_S)
    try:
        connection.request("GET", f"/{path}")
        return str(connection.getresponse().read().decode())
    finally:
        connection.close()


def targets(cassette: Cassette) -> list[str]:
    """What was asked for, of all that a cassette holds."""
    return [one.request.head.target for one in cassette.interactions if one.request is not None]
