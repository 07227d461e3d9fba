"""Replaces functions by hooks, and restores them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any


class Patches:
    """The hooks of one module, in place while at least one user has them installed.

    A hook gets the function that it replaces as the keyword argument `original`.
    """

    def __init__(self) -> None:
        self._hooks: list[_Hook] = []
        self._lock = threading.Lock()
        self._users = 0

    def hook(self, owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the function that replaces `owner.name`, if that exists (Windows has no `sendmsg`, for example)."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            if hasattr(owner, name):
                self._hooks.append(_Hook(owner, name, function))
            return function

        return decorate

    def on_others(self, owners: Mapping[Any, Any]) -> Patches:
        """The same hooks for other owners: `owners` maps ours to them.

        Methods that they inherit from ours are hooked already.
        """
        others = Patches()
        for hook in self._hooks:
            owner = owners.get(hook.owner)
            if owner is not None and getattr(owner, hook.name, None) is not getattr(hook.owner, hook.name):
                others.hook(owner, hook.name)(hook.function)
        return others

    def install(self) -> None:
        """Install the hooks, including any that were removed by others since."""
        with self._lock:
            self._users += 1
            for hook in self._hooks:
                # The quick check comes first, as each test with a cassette comes here twice.
                if self._users == 1 or (hook.names.get(hook.name) is not hook.stand_in and hook.is_lost):
                    hook.install()

    def remove(self) -> None:
        """Remove the hooks, unless another user still has them installed."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for hook in self._hooks:
                    hook.remove()


class _Hook:
    """One replaced function. The original is looked up at each installation, as a program may patch it too."""

    def __init__(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self.owner, self.name, self.function = owner, name, function
        self.names = vars(owner)
        self._plain = getattr(owner, name)
        self._original: Any = None
        self.stand_in: Any = None
        self._replaced: Any = None
        self._is_installed = False

    def install(self) -> None:
        original = getattr(self.owner, self.name)
        if self.stand_in is None or original is not self._original:
            self._original, self.stand_in = original, self._made(original)
        # If the class inherits the method, removing the hook must not leave the base's method in the class.
        self._replaced = self.names.get(self.name)
        self._is_installed = True
        setattr(self.owner, self.name, self.stand_in)

    @property
    def is_lost(self) -> bool:
        """Someone has restored the original: plugins of pytest do that at the end of a test."""
        present = getattr(self.owner, self.name)
        return present is self._plain or present is self._original

    def _made(self, original: Any) -> Any:
        # A copy that already has the argument: saves one call for each send of the program.
        hook = self.function
        stand_in = FunctionType(hook.__code__, hook.__globals__, self.name, hook.__defaults__, hook.__closure__)
        stand_in.__kwdefaults__ = {**(hook.__kwdefaults__ or {}), "original": original}
        functools.update_wrapper(stand_in, original)  # for programs that ask for its signature, or pickle it
        if isinstance(self.owner, ModuleType):
            stand_in.__module__ = self.owner.__name__
        vars(stand_in)["hook"] = self
        return stand_in

    def remove(self) -> None:
        self._is_installed = False
        if self.names.get(self.name) is not self.stand_in:
            return  # someone has patched over the hook, and will restore it
        replaced = self._replaced
        while (hook := getattr(replaced, "hook", None)) is not None and not hook._is_installed:
            replaced = hook._replaced  # a hook over ours, which was removed before
        if replaced is None:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, replaced)
