"""In which order the fixtures of a test are set up."""

from __future__ import annotations

import pytest

__all__ = ["put_first"]


def put_first(item: pytest.Item, *names: str) -> None:
    """Let a test use fixtures, also if it does not name them, and before its others, so that those are recorded too.

    Behind those of a wider scope, which belong to no single test. pytest sorts by scope before items are collected, and
    shows scopes nowhere else.
    """
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009  # not declared on Item
    others = [name for name in getattr(item, "fixturenames") if name not in names]  # noqa: B009  # the same
    is_of_test = [name not in definitions or definitions[name][-1].scope == "function" for name in others]
    index = is_of_test.index(True) if True in is_of_test else len(others)
    # A new list: the items of a parametrized test share the old one, and not all of them may be marked.
    item.fixturenames = [*others[:index], *names, *others[index:]]  # type: ignore[attr-defined]
