"""The path of a test's cassette: `<test dir>/cassettes/<module>/<Class.>test[params].yaml`, safe on all systems."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from cassette_http.cassette import suffixes

# Longer names, with suffix and hash, are too long for some file systems.
MAX_NAME_CHARACTERS = 120
# What Windows forbids in file names, what changes or hides the path, and what file systems spell in several ways.
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|[^\x00-\x7f]|^\.+|[. ]+$')
# Names of devices on Windows, with any suffix.
RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$) *(?:\.|$)", re.IGNORECASE)


def name_of_test(nodeid: str) -> str:
    """The name of a test's cassette: its node id without the file, such as "TestApi.test_a[1]"."""
    inner = nodeid.partition("::")[2]
    before, bracket, parameters = inner.partition("[")
    return before.replace("::", ".") + bracket + parameters


@lru_cache(maxsize=64)
def safe_name(name: str) -> str:
    """Make a file name for any file system; a name that had to change gets a hash, so that two never collide."""
    safe = UNSAFE.sub("_", _without_tokens(name))[:MAX_NAME_CHARACTERS] or "_"
    if RESERVED.match(safe):
        safe = f"_{safe}"
    if safe == name:
        return name
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def is_own(path: Path, test: str) -> bool:
    """Tell whether a cassette is named after the test; others are named in a marker."""
    return path.stem == safe_name(name_of_test(test))


def _without_tokens(name: str) -> str:
    """Keep tokens out of the file name if a test has one as a parameter."""
    if "[" not in name:
        return name
    # Late, as few tests have parameters, and pytest imports this at each start.
    from cassette_http.cassette.secrets.shapes import without_tokens

    return without_tokens(name, "secret")


def is_path(name: str) -> bool:
    """Tell whether a name given by the user is a path beside the test: it has a slash or a suffix."""
    return "/" in name or name.endswith(suffixes.READ)


@lru_cache(maxsize=16)
def folder_of(module: Path) -> Path:
    return module.parent / "cassettes" / safe_name(module.stem)


def path_of(module: Path, name: str) -> Path:
    """The path of the cassette `name` in a module: a path beside the module, or a file in its folder."""
    return path_beside(module.parent, name) if is_path(name) else file_in(folder_of(module), name)


def file_in(folder: Path, name: str) -> Path:
    return folder / f"{safe_name(name)}.yaml"


def path_beside(folder: Path, name: str) -> Path:
    """The path of a cassette whose name is a path relative to `folder`."""
    return folder / (name if name.endswith(suffixes.READ) else f"{name}.yaml")


def with_paths_beside(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a test, with the paths of its other cassettes made relative to `folder`."""
    if "also" not in options:
        return options
    return {**options, "also": [path_beside(folder, name) for name in options["also"]]}
