"""Fixtures of this room."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a cassette is to lie: in a folder that is there."""
    return tmp_path / "cassette.yaml"
