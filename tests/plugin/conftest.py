"""Fixtures of the tests of the pytest plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.peer import Peer, keep_alive, response
from tests.plugin.project import Project


@pytest.fixture(autouse=True)
def _without_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that happen to be installed take longer to import than a run takes."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture(autouse=True)
def _without_stale_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled module is not told from a source that a test has changed within the same second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def project(pytester: pytest.Pytester, peer: Callable[..., Peer]) -> Project:
    """A project whose server answers each request with its path."""

    def answer(request: bytes) -> bytes:
        return response(b"answer to " + request.split(b" ")[1])

    return Project(pytester, peer(keep_alive(answer)))
