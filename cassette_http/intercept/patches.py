"""Puts functions of ours in the place of others', and takes them out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]


class Patches:
    """The hooks of one module. A hook gets as its first argument what it stands in for."""

    def __init__(self) -> None:
        self._hooks: list[_Hook] = []

    def hook(self, owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the function that stands in for `owner.name`."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            self._hooks.append(_Hook(owner, name, function))
            return function

        return decorate

    def install(self) -> None:
        for hook in self._hooks:
            hook.install()

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()


class _Hook:
    """One function in the place of another. The original is looked up at each installation: a program may patch too."""

    def __init__(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._owner, self._name, self._function = owner, name, function
        self._stand_in: Any = None
        self._replaced: Any = None

    def install(self) -> None:
        original, function = getattr(self._owner, self._name), self._function

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        stand_in.__name__, stand_in.__doc__ = self._name, getattr(original, "__doc__", None)
        # A method that a class inherits is taken out again, not pinned to the base's.
        self._replaced = vars(self._owner).get(self._name)
        self._stand_in = stand_in
        setattr(self._owner, self._name, stand_in)

    def remove(self) -> None:
        if vars(self._owner).get(self._name) is not self._stand_in:
            return  # somebody has patched over it, and will restore what was there
        if self._replaced is None:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._replaced)
