"""The real system, whatever a test has replaced.

Cassettes are files on the disk, and played connections have descriptors, even while a test replaces functions of `os`
(`unittest.mock`), or gives all modules a file system in memory (pyfakefs). Code that needs the real system uses the
`os` of this module: it has the functions from when this was loaded, and is not a module, so that nobody replaces it.
"""

from __future__ import annotations

import pkgutil
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fcntl as fcntl
    import os as os
else:
    import os

    if not isinstance(os, ModuleType):  # what is imported now would be forgotten again, and the disk is out of reach
        raise ImportError(
            "cassette_http is imported for the first time while a test has replaced the file system (pyfakefs); "
            'write "from cassette_http import use_cassette" at the top of the file instead'
        )
    os = SimpleNamespace(**vars(os))
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None
    else:
        fcntl = SimpleNamespace(**vars(fcntl))

__all__ = ["fcntl", "is_there", "load_before_pyfakefs", "os"]


def is_there(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is a file or folder at `path`."""
    with suppress(OSError):
        os.stat(os.fspath(path))
        return True
    return False


_is_loaded = False


def load_before_pyfakefs() -> None:
    """Import every module of the package if pyfakefs is there, which forgets modules imported while it is active.

    Called before a cassette is opened, which is early enough for most.
    """
    global _is_loaded
    if _is_loaded or "pyfakefs" not in sys.modules:
        return
    _is_loaded = True
    package = __name__.partition(".")[0]
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        if not module.name.endswith(".__main__"):
            with suppress(ImportError):  # a module for a library that is not installed
                import_module(module.name)
