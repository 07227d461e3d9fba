"""Leaves the hooks on sockets and TLS in place from one test with a cassette to the next."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from cassette_http.plugin.pytest_internals import fixture_names


class LastingHooks:
    """A plugin that is registered with the first cassette of a run. During tests without one, nothing is patched."""

    def __init__(self) -> None:
        self._slot = ExitStack()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        # It runs first in the tear-down of the test, after what other plugins do there: pytest-socket restores the
        # plain `connect`, and fixtures may still send requests.
        item.addfinalizer(self._hold)
        try:
            return (yield)
        finally:
            if nextitem is None or "http_cassette" not in (fixture_names(nextitem) or ()):
                self._release()

    def pytest_sessionfinish(self) -> None:
        self._release()  # the run may have been interrupted

    def _hold(self) -> None:
        from cassette_http.intercept import hooked  # late, like the session
        from cassette_http.intercept.current import current_board

        if current_board() is None:
            return
        anew = ExitStack()
        anew.enter_context(hooked())
        self._release()
        self._slot = anew

    def _release(self) -> None:
        self._slot.close()
