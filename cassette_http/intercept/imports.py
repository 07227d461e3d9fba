"""Hooks a module as soon as the program has imported it, and never before."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cassette_http.intercept.patches import Patches

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importing the real one would load tempfile, bz2, lzma, ...

_lock = threading.RLock()
_in_use: list[ModuleHooks] = []


class ModuleHooks:
    """Patches by the names of their modules; each is made when its module has been imported."""

    def __init__(self, patches: Mapping[str, Callable[[Any], Patches]]) -> None:
        self._makers = patches
        self._installed: dict[str, Patches] = {}
        self._users = 0

    def install(self) -> None:
        """Hook modules that are imported, now or later, until every caller of this has called `remove()`."""
        with _lock:
            self._users += 1
            if self._users > 1:
                return
            _in_use.append(self)
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
            for name in self._makers:
                self.hook(name, sys.modules.get(name))

    def remove(self) -> None:
        """Remove the hooks, unless another user still has them installed."""
        with _lock:
            self._users -= 1
            if self._users:
                return
            _in_use.remove(self)
            if not _in_use:
                sys.meta_path.remove(_finder)
            while self._installed:
                self._installed.popitem()[1].remove()

    def hook(self, name: str, module: Any) -> None:
        if module is not None and name in self._makers and name not in self._installed:
            self._installed[name] = self._makers[name](module)
            self._installed[name].install()

    def wants(self, name: str) -> bool:
        return name in self._makers


class _Finder:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(hooks.wants(name) for hooks in tuple(_in_use)):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _HookingLoader(spec.loader)
        return spec


class _HookingLoader(Loader):
    """Loads like another loader, and then has the module hooked."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        with _lock:
            for hooks in _in_use:
                hooks.hook(module.__name__, module)


_finder = _Finder()

if hasattr(os, "register_at_fork"):  # another thread may be importing during the fork
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
