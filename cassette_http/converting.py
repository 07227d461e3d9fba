"""Converts cassettes of other recorders to ours, and ours to other formats: `cassette-http convert` and `export`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cassette_http.cassette import suffixes
from cassette_http.cassette.files import Files
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.model import Header, Interaction
from cassette_http.cassette.secrets.placeholders import next_number
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.cassette.store import Store
from cassette_http.convert.documents import redacted_documents
from cassette_http.convert.exporting import Exported, export
from cassette_http.convert.formats import Change, Foreign, is_another_file, read_foreign
from cassette_http.errors import CassetteFormatError, CassetteNotFound, CassetteNotWritable
from cassette_http.version import __version__
from cassette_http.wording import counted, number_of

MOST_NUMBERS_SHOWN = 8


@dataclass(frozen=True)
class Converted:
    """A converted cassette: source, target, content, and the number of interactions with secrets."""

    source: Path
    target: Path
    foreign: Foreign
    redacted: int

    @property
    def left_out(self) -> int:
        """How many entries of the file were left out."""
        return sum(change.is_loss for change in self.foreign.changes)

    def __str__(self) -> str:
        count = len(self.foreign.interactions)
        to = "" if self.target == self.source else f" -> {self.target}"
        redacted = f", {self.redacted} of them redacted" if self.redacted else ""
        first = f"{self.source}{to}: {counted(count, 'interaction')} of {self.foreign.format.title}{redacted}"
        return "\n".join([first, *_lines(self.foreign.changes)])


def _lines(changes: Iterable[Change]) -> Iterator[str]:
    numbers: dict[str, list[int]] = {}
    for change in changes:
        numbers.setdefault(change.text, []).extend([change.number] if change.number is not None else [])
    for text, those in numbers.items():
        if not those:
            yield f"  {text}"
            continue
        shown = ", ".join(map(str, those[:MOST_NUMBERS_SHOWN])) + (", ..." if len(those) > MOST_NUMBERS_SHOWN else "")
        yield f"  {number_of('entry', len(those))} {shown}: {text}"


def total(converted: Iterable[Converted], failed: int) -> str:
    """Describe in one line what was done with all files."""
    files = list(converted)
    count = sum(len(one.foreign.interactions) for one in files)
    left_out = sum(one.left_out for one in files)
    parts = f"{counted(len(files), 'cassette')} converted: {counted(count, 'interaction')}"
    if left_out:
        parts += f", {counted(left_out, 'entry')} left out"
    return parts + (f"; {counted(failed, 'file')} not converted" if failed else "")


def find_foreign(path: str | os.PathLike[str], to: str | os.PathLike[str] | None = None) -> list[tuple[Path, Path]]:
    """List the given file, or the foreign cassettes in a folder, each with the path to write to.

    That is the file itself, or one beside it if its suffix is not .yaml; or a file in the folder `to`, with the same
    subfolders as in the source. Raises CassetteNotFound.
    """
    named = Path(path)
    if os.path.isdir(named):
        sources = sorted(each for each in named.rglob("*") if each.suffix in suffixes.IN_FOLDERS and _is_foreign(each))
        base = named
    elif os.path.exists(named):
        sources, base = [named], named.parent
    else:
        raise CassetteNotFound(f"there is no file or folder {str(path)!r}")
    return [(source, _target(source, base, to)) for source in sources]


def _is_foreign(path: Path) -> bool:
    try:
        if not path.is_file() or not (path.suffix or _begins_as_one(path)):
            return False
        data = Store(path).read()
        return yaml_format.looks_foreign(data) and (path.suffix == ".har" or not is_another_file(data))
    except (CassetteFormatError, OSError):
        return False  # folders contain other files, too


def _begins_as_one(path: Path) -> bool:
    """Tell by the first octets whether a file could be a cassette; folders may contain large files."""
    with path.open("rb") as file:
        return b"interactions" in file.read(1 << 9)


def _target(source: Path, base: Path, to: str | os.PathLike[str] | None) -> Path:
    target = source if to is None else Path(to) / source.relative_to(base)
    return target if not target.suffix or target.suffix in suffixes.OURS else target.with_suffix(".yaml")


def convert_file(source: Path, target: Path, name: str | None) -> Converted:
    """Convert one file to a cassette of ours at `target`; `name` is its format, if that is not to be guessed.

    It replaces `source` if both are the same; otherwise `target` must not exist. Raises CassetteFormatError and
    CassetteNotWritable.
    """
    try:
        data = Store(source).read()
    except OSError as error:
        raise CassetteFormatError(str(source), None, f"cannot be read: {error.strerror}") from error
    if data.startswith(yaml_format.BEGINNING):
        raise CassetteFormatError(str(source), 1, "this is already a cassette of cassette_http; it stays as it is")
    foreign = read_foreign(data, str(source), name)
    redactor = Redactor()
    by = f"cassette-http {__version__}, from a cassette of {foreign.format.title}"
    header = Header(recorded=foreign.recorded, by=by)
    is_in_place = source == target
    store = Store(target, header=header, rewrite=not is_in_place)  # a kill leaves no part of a file
    documents = redacted_documents(foreign, redactor, header, store.put_aside)
    redacted = sum(redactor.redact(interaction) is not interaction for interaction in foreign.interactions)
    if is_in_place:
        store.adopt(lambda _: documents)
    elif store.exists():
        raise CassetteNotWritable(f"{str(source)!r} is not converted: there is a file {str(target)!r} already")
    store.save(*([] if is_in_place else documents[1:]))
    return Converted(source, target, foreign, redacted)


def export_file(source: str | os.PathLike[str], name: str, output: str | os.PathLike[str] | None) -> Exported:
    """Export a cassette, ours or foreign, for other tools: as "har" or "vcr", to a new file if `output` is given.

    Raises CassetteNotFound, CassetteFormatError and CassetteNotWritable.
    """
    path = Path(source)
    if not os.path.exists(path):
        raise CassetteNotFound(f"there is no file {str(path)!r}")
    store = Store(path)
    data, header = store.read(), Header()
    if yaml_format.looks_foreign(data):
        foreign = read_foreign(data, str(path))
        interactions, header = list(foreign.interactions), Header(recorded=foreign.recorded)
    else:
        values = [document.load(str(path), store.blobs.fetch) for document in yaml_format.scan(data, str(path))]
        interactions = [value for value in values if isinstance(value, Interaction)]
        header = next((value for value in values if isinstance(value, Header)), header)
    redactor = Redactor(next_number(data))
    for interaction in interactions:  # a secret may be recognised only in a later one
        redactor.redact(interaction)
    exported = export(header, map(redactor.redact, interactions), name)
    if output is not None:
        try:
            if os.path.lexists(output):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            Files().write_whole(os.path.abspath(output), exported.text.encode())
        except OSError as error:
            raise CassetteNotWritable(f"{os.fspath(output)!r} cannot be written: {error.strerror}") from error
    return exported
