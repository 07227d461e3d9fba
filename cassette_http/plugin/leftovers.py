"""Cassettes that no test uses any more: of tests that were renamed or deleted, or that need none now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from cassette_http.cassette import suffixes
from cassette_http.cassette.format.yaml_format import BEGINNING, load_document
from cassette_http.cassette.model import Header
from cassette_http.errors import CassetteError
from cassette_http.plugin.collection import Collection
from cassette_http.plugin.naming import folder_of, is_own

HEAD_OCTETS = 4096
# With more files, an error message would take too long.
MOST_FILES = 5000

ORPHANED, STALE = "orphaned", "stale"


class Leftover(NamedTuple):
    """A cassette that was not used, and the test that recorded it; `kind` is "orphaned" (no such test) or "stale"."""

    kind: str
    path: Path
    test: str


def test_in_head(path: Path) -> str | None:
    """Read from the header of a cassette which test recorded it; None if it does not say, or is not a cassette."""
    try:
        with path.open("rb") as file:
            beginning = file.read(HEAD_OCTETS)
    except OSError:
        return None
    head, separator, _ = beginning.partition(b"\n---")
    if not separator or not head.startswith(BEGINNING.rstrip()):
        return None
    try:
        header = load_document(head + b"\n", str(path), 1)
    except CassetteError:
        return None
    return header.test if isinstance(header, Header) else None


def find_moved(path: Path, test: str, collection: Collection) -> list[Leftover]:
    """Find cassettes of tests that do not exist any more, for `test`, which has none at `path`; similar ones first."""
    folder = next((each for each in path.parents if each.name == "cassettes"), path.parent)
    found = [
        Leftover(ORPHANED, other, recorded_by)
        for other in cassettes_below(folder)
        if (recorded_by := test_in_head(other)) is not None
        and recorded_by != test
        and is_own(other, recorded_by)
        and not collection.has_test(recorded_by)
    ]
    return sorted(found, key=lambda each: _unlikeness(each.test, test))


def cassettes_below(*folders: Path) -> Iterator[Path]:
    """Files that may be cassettes, in these folders and below; a limited number."""
    for folder in folders:
        yield from (path for path in islice(folder.rglob("*"), MOST_FILES) if path.suffix in suffixes.OURS)


def _unlikeness(one: str, other: str) -> tuple[bool, bool, float]:
    module, _, name = one.partition("::")
    other_module, _, other_name = other.partition("::")
    is_elsewhere = name != other_name
    return is_elsewhere, module != other_module, -SequenceMatcher(None, name, other_name).ratio()


def find_leftovers(
    root: Path,
    collected: Mapping[str, Any],
    used: Iterable[tuple[Path, str]],
    ran: set[str],
    passed: set[str],
) -> list[Leftover]:
    """Find cassettes of tests that ran without using them.

    `collected` is `Collection.summary()`; `used` are the cassettes of this run, each with its test or fixture; `ran`
    and `passed` are node ids. Considers only modules whose tests all ran, and folders that were collected completely.
    """
    paths = {path for path, _ in used}
    folders: dict[Path, set[str]] = {}
    names = {module: set(each) for module, each in collected["names"].items()}
    for module, own in names.items():
        if all(f"{module}::{name}" in ran for name in own):
            path = root / module
            folders.setdefault(folder_of(path), set()).add(module)
    for path, test in used:
        module = test.partition("::")[0]
        if module in names and is_own(path, test):
            folders.setdefault(path.parent, set()).add(module)
    found = [
        leftover
        for folder in folders
        for path in _cassettes_in(folder)
        if path not in paths and (leftover := _judge(path, names, ran, passed)) is not None
    ]
    for folder in map(Path, collected["folders"]):
        for each in (folder / "cassettes").iterdir():
            if each.is_dir() and each not in folders:
                found += _of_deleted_modules(root, each, paths)
    return sorted(set(found))


def _cassettes_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.suffix in suffixes.OURS)


def _judge(path: Path, names: Mapping[str, set[str]], ran: set[str], passed: set[str]) -> Leftover | None:
    test = test_in_head(path)
    if test is None or not is_own(path, test):
        return None
    module, _, name = test.partition("::")
    if module not in names or not all(f"{module}::{each}" in ran for each in names[module]):
        return None
    if name not in names[module]:
        return Leftover(ORPHANED, path, test)
    return Leftover(STALE, path, test) if test in passed else None


def _of_deleted_modules(root: Path, folder: Path, used: set[Path]) -> Iterator[Leftover]:
    for path in _cassettes_in(folder):
        test = test_in_head(path)
        if path not in used and test is not None and is_own(path, test):
            module = root / test.partition("::")[0]
            if module.suffix == ".py" and not module.exists():
                yield Leftover(ORPHANED, path, test)
