"""Fixtures for tests that drive libraries of others."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def litter() -> Iterator[None]:
    """What a library leaves unclosed is collected here, where its warnings are forgiven, and not in another test."""
    yield
    gc.collect()
