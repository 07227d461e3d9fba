"""The system as it is, whatever a test has put in its place.

Cassettes are files on the disk, and played connections have descriptors, also while a test replaces functions of `os`
(`unittest.mock`), or gives all modules a file system in memory (pyfakefs). What has to get through uses the `os` that
is here: the functions as they were when this was loaded, in what is no module, so that nobody takes it for one.
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
    """Import every module of the package, if pyfakefs is there: it forgets those that are imported while it is at work.

    To be called before a cassette is opened, so that it is in time for most.
    """
    global _is_loaded
    if _is_loaded or "pyfakefs" not in sys.modules:
        return
    _is_loaded = True
    package = __name__.partition(".")[0]
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        if not module.name.endswith(".__main__"):
            with suppress(ImportError):  # one that serves a library that is not installed
                import_module(module.name)
