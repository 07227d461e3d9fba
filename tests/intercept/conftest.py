"""Fixtures for tests that drive libraries of others."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator

import pytest

needs_unix_sockets = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets here")


@pytest.fixture
def litter() -> Iterator[None]:
    """What a library leaves unclosed is collected here, where its warnings are forgiven, and not in another test."""
    yield
    gc.collect()
