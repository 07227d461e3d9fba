"""Leaves the hooks on sockets and TLS in place from one test with a cassette to the next."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from cassette_http.plugin.pytest_internals import fixture_names
from cassette_http.plugin.uses import use_of

__all__ = ["LastingHooks"]


class LastingHooks:
    """A plugin of its own, in use from the first cassette of a run on. Tests without one find nothing patched."""

    def __init__(self) -> None:
        self._slot = ExitStack()
        self._are_held = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        is_next_user = nextitem is not None and "http_cassette" in (fixture_names(nextitem) or ())
        if is_next_user and not self._are_held and use_of(item) is not None:
            from cassette_http.intercept import hooked  # late, as the session is

            self._slot.enter_context(hooked())
            self._are_held = True
        try:
            return (yield)
        finally:
            if not is_next_user:
                self._let_go()

    def pytest_sessionfinish(self) -> None:
        self._let_go()  # the run may have been broken off

    def _let_go(self) -> None:
        self._slot.close()
        self._are_held = False
