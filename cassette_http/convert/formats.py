"""Detects which recorder a foreign cassette comes from, and reads it; one table (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cassette_http.cassette.model import Interaction
from cassette_http.cassette.rule_notation import no_such
from cassette_http.cassette.volatile import moment_of
from cassette_http.convert import cassetter, har, responses, vcr
from cassette_http.convert.exchanges import ForeignExchange, LeftOut
from cassette_http.convert.rebuilding import rebuild
from cassette_http.convert.trees import Table, Unreadable, read_json, read_yaml, table_line
from cassette_http.errors import CassetteFormatError, InvalidOption


@dataclass(frozen=True)
class Format:
    """The format of one recorder. `keys` lead to the list of its entries; `lacks` is what it never stores."""

    title: str
    keys: tuple[str, ...]
    read: Callable[[Table], ForeignExchange]
    lacks: str = ""


# By their names on the command line; `_recognise` distinguishes formats with equal keys.
FORMATS = {
    "vcr": Format("VCR.py", ("interactions",), vcr.read_exchange),
    "cassetter": Format("cassetter", ("interactions",), cassetter.read_exchange),
    "betamax": Format("Betamax", ("http_interactions",), vcr.read_exchange),
    "har": Format("HAR", ("log", "entries"), har.read_exchange),
    "responses": Format("responses", ("responses",), responses.read_exchange, "header fields and bodies of requests"),
}


@dataclass(frozen=True)
class Change:
    """A loss or change in the entry with this number, from 1; None means the file as a whole.

    It `is_loss` if an entry was left out.
    """

    number: int | None
    text: str
    is_loss: bool = False


@dataclass(frozen=True)
class Foreign:
    """A cassette of another recorder: its interactions, and what could not be converted exactly.

    `recorded` is the time of recording, if the file tells (UTC, ISO 8601). `lines` are the lines of the file where the
    interactions begin, from 1; None if unknown (JSON).
    """

    format: Format
    recorded: str | None
    interactions: tuple[Interaction, ...]
    lines: tuple[int | None, ...]
    changes: tuple[Change, ...]


def read_foreign(data: bytes, path: str, name: str | None = None) -> Foreign:
    """Read a cassette of another recorder, in the format with this name, or in the one that it looks like.

    Raises InvalidOption, and CassetteFormatError, which names `path`, the line and the reason.
    """
    if name is not None and name not in FORMATS:
        raise InvalidOption(no_such("format", name, FORMATS))
    data = data.removeprefix(b"\xef\xbb\xbf")
    is_json = _is_json(data)
    try:
        tree = _tree(data)
        format_ = FORMATS[name] if name is not None else _recognise(tree)
        entries = _entries(tree, format_)
    except Unreadable as exc:
        raise CassetteFormatError(path, exc.line, exc.reason) from exc.__cause__
    interactions: list[Interaction] = []
    lines: list[int | None] = []
    changes: list[Change] = []
    for number, entry in enumerate(entries, 1):
        try:
            if not isinstance(entry, Table):
                raise Unreadable(None, "this is no mapping")
            rebuilt = rebuild(format_.read(entry))
        except LeftOut as exc:
            changes.append(Change(number, f"left out: {exc}", is_loss=True))
        except Unreadable as exc:
            line = exc.line
            if line is None:
                line = table_line(data, format_.keys, number - 1) if is_json else getattr(entry, "line", None)
            raise CassetteFormatError(path, line, f"interaction {number} of {format_.title}: {exc.reason}") from exc
        else:
            interactions.append(rebuilt.interaction)
            lines.append(entry.line)
            changes += [Change(number, text) for text in rebuilt.changes]
    recorded = _recorded(entries, interactions)
    return Foreign(format_, recorded, tuple(interactions), tuple(lines), (*changes, *_lost(tree, format_)))


def is_another_file(data: bytes) -> bool:
    """Tell whether a file is readable, but not a cassette of a recorder that is known here."""
    try:
        _recognise(_tree(data.removeprefix(b"\xef\xbb\xbf")))
    except _Unknown:
        return True
    except Unreadable:
        # Broken. For JSON, its purpose is only known if it contains a word of a recorder.
        return _is_json(data) and b'interactions"' not in data
    return False


class _Unknown(Unreadable):
    """The file is readable, but something else."""


def _is_json(data: bytes) -> bool:
    return data.lstrip()[:1] == b"{"


def _tree(data: bytes) -> Table:
    tree = read_json(data) if _is_json(data) else read_yaml(data)
    if not isinstance(tree, Table):
        raise _Unknown(1, "this is no cassette: it must be a mapping")
    return tree


def _recognise(tree: Table) -> Format:
    for name, format_ in FORMATS.items():
        entries = _list_at(tree, format_.keys)
        if entries is not None:
            return FORMATS["cassetter"] if name == "vcr" and _is_of_cassetter(tree, entries) else format_
    raise _Unknown(1, "this is no cassette of a recorder that is known here")


def _list_at(tree: Table, keys: tuple[str, ...]) -> list[Any] | None:
    value: Any = tree
    for key in keys:
        value = value.get(key) if isinstance(value, Table) else None
    return value if isinstance(value, list) else None


def _is_of_cassetter(tree: Table, entries: list[Any]) -> bool:
    """Recognise cassetter by the status of responses, a plain number, or by keys that VCR.py does not have."""
    if "grpc_interactions" in tree or "ws_interactions" in tree:
        return True
    first = entries[0].get("response") if entries and isinstance(entries[0], Table) else None
    return isinstance(first, Table) and isinstance(first.get("status"), str | int)


def _entries(tree: Table, format_: Format) -> list[Any]:
    entries = _list_at(tree, format_.keys)
    if entries is None:
        keys = ".".join(format_.keys)
        raise Unreadable(tree.line, f"a cassette of {format_.title} has a list {keys!r}; this has none")
    return entries


def _recorded(entries: list[Table], interactions: list[Interaction]) -> str | None:
    """When the first exchange was recorded: as stated by the recorder, or else by the server's Date field."""
    stated = [entries[0].get("recorded_at"), entries[0].get("startedDateTime")] if entries else []
    if interactions and interactions[0].response is not None:
        stated.append(interactions[0].response.value("Date"))
    moments = [moment_of(text.encode("utf-8", "replace")) for text in stated if isinstance(text, str)]
    first = next((moment for moment in moments if moment is not None), None)
    return None if first is None else datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lost(tree: Table, format_: Format) -> list[Change]:
    lost = []
    for key, what in (("grpc_interactions", "gRPC"), ("ws_interactions", "WebSocket")):
        entries = tree.get(key)
        if isinstance(entries, list):
            lost += [
                Change(number, f"left out: an exchange over {what}", is_loss=True)
                for number in range(1, len(entries) + 1)
            ]
    if format_.lacks:
        lost.append(Change(None, f"{format_.title} does not keep {format_.lacks}: match without them"))
    return lost
