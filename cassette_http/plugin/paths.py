"""Paths and tests as they are shown: seen from where pytest was started, so that they can be pasted into a shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["shown_path", "shown_test"]


def shown_test(config: pytest.Config, nodeid: str) -> str:
    """Give the id of a test as seen from where pytest was started; node ids are seen from the root."""
    file, separator, rest = nodeid.partition("::")
    return shown_path(config, config.rootpath / file).replace(os.sep, "/") + separator + rest


def shown_path(config: pytest.Config, path: Path | str) -> str:
    """Shorten a path, or a "file:line"; one that is outside of the project stays as it is."""
    start, root = config.invocation_params.dir, config.rootpath
    if Path(path).is_relative_to(start):
        return str(Path(path).relative_to(start))
    return os.path.relpath(path, start) if Path(path).is_relative_to(root) else str(path)
