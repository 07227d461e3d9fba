"""The value of pytest-vcr's fixture `vcr` if a fixture of a module configures it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cassette_http.plugin.layers import Layer
from cassette_http.plugin.vcr_uses import CONFIGURED, file_name, make_use
from cassette_http.vcr.objects import VcrCassette
from cassette_http.vcr.settings import VcrSettings


class VcrInstance(VcrSettings):
    """Replaces the object `VCR` of a module, which can also open cassettes."""

    def __init__(self, request: pytest.FixtureRequest, config: dict[str, Any], folder: str) -> None:
        super().__init__()
        self._request, self._config, self._folder = request, config, folder

    @contextmanager
    def use_cassette(self, path: str | os.PathLike[str], **options: Any) -> Iterator[VcrCassette]:
        merged = {**self._config, **self._settings(), **options}
        place = Path(merged.get("cassette_library_dir") or self._folder, file_name(os.fspath(path), merged))
        owner = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        with Layer(make_use(self._request, self, merged, place, [], owner)) as cassette:
            yield VcrCassette(cassette)


def make_instance(request: pytest.FixtureRequest, config: dict[str, Any], folder: str) -> VcrInstance:
    """Make the object that tests of a module configure; their cassettes follow it from now on."""
    instance = VcrInstance(request, config, folder)
    request.node.stash[CONFIGURED] = instance
    return instance
