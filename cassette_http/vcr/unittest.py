"""Test cases of unittest with the interface of VCR.py and `vcrpy-unittest`: each test has a cassette."""

from __future__ import annotations

import inspect
import os
import unittest
from typing import TYPE_CHECKING, Any

from cassette_http.vcr.recorder import VCR

if TYPE_CHECKING:
    from cassette_http.vcr.objects import VcrCassette


class VCRMixin:
    """Gives each test the cassette `cassettes/<Class>.<test>.yaml` beside its file, as `self.cassette`.

    The methods that begin with `_get` can be overridden; `vcr_enabled` turns everything off.
    """

    vcr_enabled = True
    cassette: VcrCassette

    def setUp(self: Any) -> None:
        super().setUp()  # type: ignore[misc]  # of the class that this is mixed into
        if self.vcr_enabled:
            used = self._get_vcr(**self._get_vcr_kwargs()).use_cassette(self._get_cassette_name())
            self.cassette = used.__enter__()
            self.addCleanup(used.__exit__, None, None, None)

    def _get_vcr(self, **options: Any) -> VCR:
        if "cassette_library_dir" not in options:
            options["cassette_library_dir"] = self._get_cassette_library_dir()
        return VCR(**options)

    def _get_vcr_kwargs(self, **options: Any) -> dict[str, Any]:
        return options

    def _get_cassette_library_dir(self) -> str:
        return os.path.join(os.path.dirname(inspect.getfile(type(self))), "cassettes")

    def _get_cassette_name(self: Any) -> str:
        return f"{type(self).__name__}.{self._testMethodName}.yaml"


class VCRTestCase(VCRMixin, unittest.TestCase):
    """A test case whose tests have a cassette each."""
