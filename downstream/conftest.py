"""Fixtures of the scenarios: those of the project's tests, and a server that is asked three times."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from downstream.serving import ThreeTimes
from tests import behaviours
from tests.conftest import authority, ca_file, client_tls, peer, server_tls
from tests.peer import Peer, Script

__all__ = ["authority", "ca_file", "client_tls", "peer", "server_tls", "three_times"]


@pytest.fixture
def three_times(peer: Callable[..., Peer], tmp_path: Path) -> ThreeTimes:
    """Hold that `ask(url)` sees the same of a server live, recording, and replaying with the server stopped.

    Returns what was seen live, for the test to say that it was the right thing.
    """

    def check(script: Script, ask: Callable[[str], Any], tls: ssl.SSLContext | None = None) -> Any:
        server = peer(script, tls=tls)
        seen, _ = behaviours.three_times(lambda: ask(server.url), tmp_path / "three-times.yaml", server)
        return seen

    return check
