"""Puts functions of ours in the place of others', and takes them out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]


class Patches:
    """The hooks of one module. A hook gets the original as its first argument.

    Originals are looked up when this object is made: a hook that calls another one finds the true original.
    """

    def __init__(self) -> None:
        self._hooks: list[tuple[Any, str, Any, bool]] = []

    def hook(self, owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the function that stands in for `owner.name`."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            original = getattr(owner, name)

            def stand_in(*args: Any, **kwargs: Any) -> Any:
                return function(original, *args, **kwargs)

            stand_in.__name__, stand_in.__doc__ = name, getattr(original, "__doc__", None)
            # Methods that a class inherits are removed from it again, not pinned to the base's.
            is_own = not isinstance(owner, type) or name in vars(owner)
            self._hooks.append((owner, name, (stand_in, original), is_own))
            return function

        return decorate

    def install(self) -> None:
        for owner, name, (stand_in, _), _ in self._hooks:
            setattr(owner, name, stand_in)

    def remove(self) -> None:
        for owner, name, (_, original), is_own in self._hooks:
            if is_own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
