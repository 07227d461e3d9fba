"""The floors: what may import what. A new room or module needs its line in these tables."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "cassette_http"
ROOT = Path(__file__).parent.parent / PACKAGE

# A room is a folder or a module right below the package. `__init__` shows what users see, and is above what
# it exports; `__main__` is above everything.
FLOORS = {
    "errors": 0,
    "around": 0,
    "caller": 0,
    "system": 0,
    "version": 0,
    "wording": 0,
    "wire": 0,
    "cassette": 1,
    "convert": 2,
    "in_use": 2,
    "transport": 2,
    "base_board": 3,
    "board": 3,
    "keeping": 3,
    "loading": 3,
    "expiry": 3,
    "client": 3,
    "intercept": 3,
    "frozen_time": 3,
    "session": 4,
    "flight": 4,
    "vcr": 4,
    "__init__": 4,
    "plugin": 5,
    "unittest": 5,
    "pytest_plugin": 5,
    "cli": 5,
    "demo": 5,
    "checking": 5,
    "converting": 5,
    "__main__": 6,
}

# Beyond the floors: the client asks the transport, and knows nothing of cassettes.
FORBIDDEN = {"client": {"cassette", "intercept"}, "intercept": {"client"}, "wire": {"errors", "version"}}

# Rooms within a room, with the modules of the outer room that they may import.
INNER_ROOMS = {
    "cassette.format": {"decoding", "model"},
    "cassette.secrets": {"decoding", "model", "rule_notation", "splicing"},
}

# Rooms of pure logic, with those of their modules that may do I/O. What is pure serves blocking and asynchronous
# programs with one copy.
PURE_BUT_FOR: dict[str, set[str]] = {
    "wire": set(),
    "cassette": {"blobs", "files", "log_file", "store"},
    "convert": set(),
    "transport": {"base", "failures", "host", "live", "opening", "played_tls", "socket_face"},
}
DOES_IO = {
    *("_socket", "_ssl", "aiohttp", "asyncio", "fcntl", "ftplib", "glob", "http", "httpx", "io", "mmap"),
    *("multiprocessing", "os", "pathlib", "posix", "requests", "select", "selectors", "shutil", "signal"),
    *("smtplib", "socket", "socketserver", "ssl", "subprocess", "tempfile", "trio", "urllib3"),
}

# A table of names, and octets that look like a file, in packages that do I/O.
HARMLESS = {"http.HTTPStatus", "io.BytesIO"}

MODULES = sorted(path for path in ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name below the package, such as "wire.head"; a room's `__init__` has the room's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def room_of(name: str) -> str:
    return name.partition(".")[0]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> list[str]:
    """Every import of a module, those in functions and under TYPE_CHECKING too, by its full dotted name."""
    found: list[str] = []
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from room import name`: the name is a module, or it lives in the room's own module.
            found += [f"{source}.{alias.name}" for alias in node.names]
    return found


@cache
def inner_imports(path: Path) -> set[str]:
    """The modules of this package that a module imports, named as in NAMES."""
    found = set()
    for full in imports(path):
        if full == PACKAGE or full.startswith(PACKAGE + "."):
            name = full[len(PACKAGE) + 1 :]
            while name and name not in NAMES:
                name = name.rpartition(".")[0]
            found.add(name or "__init__")
    return found


def test_every_room_is_in_the_table() -> None:
    assert {room_of(name) for name in NAMES} == FLOORS.keys(), "FLOORS misses a room, or has one that is gone"


def test_every_room_of_the_special_tables_is_known() -> None:
    assert FORBIDDEN.keys() | PURE_BUT_FOR.keys() <= FLOORS.keys()
    assert {room for rooms in FORBIDDEN.values() for room in rooms} <= FLOORS.keys()
    assert {f"{room}.{module}" for room, modules in PURE_BUT_FOR.items() for module in modules} <= NAMES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down(name: str) -> None:
    room = room_of(name)
    for other in map(room_of, inner_imports(NAMES[name])):
        assert FLOORS[other] <= FLOORS[room], f"{name} imports {other}, which is on a higher floor"
        assert other not in FORBIDDEN.get(room, ()), f"{name} imports {other}"


def inner_room_of(name: str) -> str:
    """The room within a room that a module lies in, or ""."""
    return next((inner for inner in INNER_ROOMS if name == inner or name.startswith(f"{inner}.")), "")


@pytest.mark.parametrize("name", [name for name in NAMES if inner_room_of(name)])
def test_inner_rooms_import_little_of_the_room_around_them(name: str) -> None:
    inner = inner_room_of(name)
    allowed = {f"{room_of(inner)}.{module}" for module in INNER_ROOMS[inner]}
    for other in inner_imports(NAMES[name]):
        if room_of(other) == room_of(inner) and inner_room_of(other) != inner:
            assert other in allowed, f"{name} imports {other}"


def is_pure(name: str) -> bool:
    room, _, module = name.partition(".")
    return room in PURE_BUT_FOR and module not in PURE_BUT_FOR[room]


@pytest.mark.parametrize("name", [name for name in NAMES if is_pure(name)])
def test_pure_modules_do_no_io(name: str) -> None:
    for full in imports(NAMES[name]):
        top = full.partition(".")[0]
        assert top not in DOES_IO or full in HARMLESS, f"{name} is pure, and imports {top}"
    for other in inner_imports(NAMES[name]):
        assert is_pure(other) or room_of(other) not in {*PURE_BUT_FOR, "system"}, f"{name} is pure, and imports {other}"


@pytest.mark.parametrize("name", [name for name in NAMES if room_of(name) == "wire"])
def test_wire_imports_only_the_standard_library(name: str) -> None:
    assert {full.partition(".")[0] for full in imports(NAMES[name])} <= sys.stdlib_module_names | {PACKAGE}


def test_architecture_page_has_the_same_floors() -> None:
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.*?) \|", page, re.MULTILINE)
    shown = {room: int(floor) for floor, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}
    assert shown == {room: floor for room, floor in FLOORS.items() if not room.startswith("__")}


@pytest.mark.parametrize("room", sorted({name.rpartition(".")[0] for name in NAMES if "." in name}))
def test_room_says_what_each_of_its_modules_is_for(room: str) -> None:
    said = ast.get_docstring(parsed(NAMES[room])) or ""
    modules = {name.rpartition(".")[2] for name in NAMES if name.rpartition(".")[0] == room}
    assert modules - set(re.findall(r"\w+", said)) == set()


def test_no_module_imports_what_another_keeps_for_itself() -> None:
    for name, path in NAMES.items():
        for full in imports(path):
            module, _, what = full.removeprefix(f"{PACKAGE}.").rpartition(".")
            is_private = what.startswith("_") and not what.endswith("__")
            assert module not in NAMES or not is_private, f"{name} imports {what} of {module}"


def test_modules_import_each_other_in_no_circle() -> None:
    graph = {name: inner_imports(path) - {name} for name, path in NAMES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


# -- the checks themselves -----------------------------------------------------------------------------------


def test_imports_in_functions_and_for_types_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    room = tmp_path / "wire"
    room.mkdir()
    (room / "head.py").write_text(
        "import a.b\n"
        "from . import sibling\n"
        "from ..cassette.model import Request\n"
        "if TYPE_CHECKING:\n    from cassette_http import session\n"
        "def inner():\n    import socket\n"
    )
    assert set(imports(room / "head.py")) == {
        "a.b",
        "cassette_http.wire.sibling",
        "cassette_http.cassette.model.Request",
        "cassette_http.session",
        "socket",
    }
