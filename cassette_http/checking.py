"""Looks for secrets in existing cassettes, and removes them: `cassette-http check` and `redact`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from cassette_http.cassette import suffixes
from cassette_http.cassette.blobs import BlobFolder, blob_names, blob_sizes, needed_by_none, reference_to
from cassette_http.cassette.files import Files, find_unfinished
from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.body_forms import PutAside
from cassette_http.cassette.format.yaml_format import BEGINNING, Document, Documents, looks_foreign
from cassette_http.cassette.model import Interaction
from cassette_http.cassette.secrets.placeholders import next_number
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.cassette.store import UNCHANGED, Store
from cassette_http.convert.formats import read_foreign
from cassette_http.converting import find_foreign
from cassette_http.errors import CassetteFormatError, CassetteNotFound, CassetteNotWritable
from cassette_http.wording import shortened

LONGEST_SHOWN = 100
_MOST_KEPT_OCTETS = 1 << 26
_OCTETS_OF_OBJECTS = 1 << 11  # memory for the objects of one interaction
# Lines that depend on a body, and contain no secret themselves.
_FOLLOWING = ("Content-Length:", "wire: {")


@dataclass(frozen=True)
class Finding:
    """A secret in a cassette. `text` is the line as it would be redacted, so the secret itself is not shown."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def find_cassettes(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List the files that are named, and the cassettes in the folders that are. Raises CassetteNotFound."""
    found: list[Path] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            found += sorted(
                each for each in path.rglob("*") if each.suffix in suffixes.IN_FOLDERS and _is_cassette(each)
            )
        elif os.path.exists(path):  # False also for a name that no file can have
            found.append(path)
        else:
            raise CassetteNotFound(f"there is no file or folder {str(path)!r}")
    return list(dict.fromkeys(found))


def find_with_foreign(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List the files of `find_cassettes`, and the cassettes of other recorders in the folders."""
    named = list(paths)
    others = [source for path in named if os.path.isdir(path) for source, _ in find_foreign(path)]
    return list(dict.fromkeys([*find_cassettes(named), *others]))


def _is_cassette(path: Path) -> bool:
    """Tell whether a file in a folder begins like a cassette; folders contain other files, too.

    One that cannot be read may be a cassette with secrets, if its name says so.
    """
    try:
        if not path.is_file():
            return False  # opening a pipe would wait for its other end
        with path.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return path.suffix in suffixes.OURS


def check_paths(paths: Iterable[str | os.PathLike[str]]) -> list[Finding]:
    """Find what would be redacted today in cassettes, and folders of them; nothing is written.

    Raises CassetteNotFound and CassetteFormatError.
    """
    findings: list[Finding] = []
    for path in find_with_foreign(paths):
        store = Store(path)
        if looks_foreign(store.read()):
            findings += _findings_of_others(store)
            continue
        line, at = 1, 0  # of the last document: they are in order
        for document, old, new in _redacted(store, _named):
            line += document.data.count(b"\n", at, document.start)
            at = document.start
            findings += _findings(document, line, old, new, str(path))
    return findings


def _findings_of_others(store: Store) -> Iterator[Finding]:
    """Find secrets in a cassette of another recorder; the lines are those where its interactions begin."""
    foreign = read_foreign(store.read(), str(store.path))
    interactions, lines = foreign.interactions, foreign.lines
    for number, interaction, redacted in _with_secrets(Redactor(), len(interactions), interactions.__getitem__):
        old, new = map(yaml_format.dump_interaction, (interaction, redacted))
        before = set(old.decode().splitlines())
        for text in new.decode().splitlines():
            if text not in before and not text.lstrip().startswith(_FOLLOWING):
                yield Finding(str(store.path), lines[number] or 1, shortened(text.strip(), LONGEST_SHOWN))


def _with_secrets(
    redactor: Redactor, count: int, load: Callable[[int], Interaction | None]
) -> Iterator[tuple[int, Interaction, Interaction]]:
    """Yield the number of each interaction with secrets, with and without them; `load` may return None.

    All are checked first: a secret that is recognised in a later one may be in an earlier one.
    """
    clean: dict[int, int] = {}  # the state of `learned` when nothing was found
    # Those with secrets are kept up to some total size, but always the first of them.
    kept: dict[int, tuple[Interaction, int]] = {}
    room_octets = _MOST_KEPT_OCTETS
    for number in range(count):
        if (interaction := load(number)) is None:
            continue
        if (redacted := redactor.redact(interaction)) is interaction:
            clean[number] = redactor.learned
            continue
        room_octets -= redacted.track.count_octets + _OCTETS_OF_OBJECTS
        if room_octets > 0 or not kept:
            kept[number] = redacted, redactor.learned
    for number in range(count):
        if clean.get(number) == redactor.learned or (interaction := load(number)) is None:
            continue
        redacted, learned = kept.pop(number, (interaction, 0))
        if redacted is interaction or (learned != redactor.learned and not redactor.is_settled(redacted)):
            redacted = redactor.redact(interaction)
        if redacted is not interaction:
            yield number, interaction, redacted


def redact_files(paths: Iterable[str | os.PathLike[str]]) -> dict[Path, int]:
    """Redact cassettes in place; return how many documents of each were changed. Other documents keep their octets.

    Raises CassetteNotFound, CassetteFormatError and CassetteNotWritable.
    """
    changed: dict[Path, int] = {}
    for path in find_cassettes(paths):
        store = Store(path, blob_threshold=0)
        put = partial(store.put_aside, consequence=UNCHANGED)
        try:
            texts = [(document.octets, new) for document, _, new in _redacted(store, put)]
            if texts:
                old, new = zip(*texts, strict=True)
                store.replace(old, new)
                store.commit()
                store.blobs.remove(needed_by_none(blob_names(b"".join(old)), str(path.parent), Files()))
        except CassetteNotWritable:
            store.discard()
            raise
        changed[path] = len(texts)
    return changed


def find_orphans(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List the blobs beside cassettes that none of the cassettes there needs."""
    orphans: list[Path] = []
    for folder in dict.fromkeys([path.parent for path in find_cassettes(paths)]):
        blobs = BlobFolder(str(folder / "any"), None, Files())
        unneeded = needed_by_none(set(blobs), str(folder), Files())
        orphans += [Path(blobs.path) / name for name in sorted(unneeded)]
    return orphans


def find_left_behind(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List the unfinished files beside cassettes and their blobs.

    They were left by processes that were killed while they wrote, or are being written now.
    """
    folders = [path if os.path.isdir(path) else path.parent for path in map(Path, paths)]
    inner = [Path(root) for folder in folders for root, _, _ in os.walk(folder)]
    return [folder / name for folder in dict.fromkeys(inner) for name in find_unfinished(str(folder))]


def _load(store: Store) -> Documents:
    try:
        return store.load()
    except OSError as error:
        raise CassetteFormatError(str(store.path), None, f"cannot be read: {error.strerror}") from error


def _redacted(store: Store, put: PutAside) -> Iterator[tuple[Document, bytes, bytes]]:
    """Yield the document of each interaction with secrets, its canonical form, and the form without secrets.

    `put` returns the reference for a body in a blob.
    """
    documents, path = _load(store), str(store.path)
    redactor = Redactor(next_number(documents[0].data) if documents else 1)

    def load(number: int) -> Interaction | None:
        value = documents[number].load(path, store.blobs.fetch)
        return value if isinstance(value, Interaction) else None

    for number, interaction, redacted in _with_secrets(redactor, len(documents), load):
        document = documents[number]
        least = min(blob_sizes(document.octets), default=None)
        old = yaml_format.dump_interaction(interaction, _putting(_named, least))
        new = yaml_format.dump_interaction(redacted, _putting(put, least))
        if new != old:
            yield document, old, new


def _named(content: bytes, shown: int) -> str:
    """Only name a blob, without writing it."""
    return reference_to(content)


def _putting(put: PutAside, least: int | None) -> PutAside:
    """Use blobs for bodies about as large as those that were in blobs before; placeholders change their length."""
    return lambda content, shown: put(content, shown) if least is not None and len(content) > least // 2 else None


def _findings(document: Document, first_line: int, old: bytes, new: bytes, path: str) -> Iterator[Finding]:
    """Name the lines that differ, in a document that begins in `first_line` of its file.

    A body may be laid out differently without its secrets; then its first line is named.
    """
    before, after = old.decode().splitlines(), new.decode().splitlines()
    lines = document.octets.decode("utf-8", "replace").splitlines()
    first_at = {line: len(lines) - number for number, line in enumerate(reversed(lines), 1)}
    is_same_shape = len(before) == len(after)
    for number, (was, is_now) in enumerate(zip_longest(before, after, fillvalue="")):
        if was == is_now or was.lstrip().startswith(_FOLLOWING):
            continue
        # The file may have been edited by hand; so the line is searched in it, if possible.
        at = first_at.get(was, min(number, max(len(lines) - 1, 0)))
        yield Finding(path, first_line + at, shortened(is_now.strip(), LONGEST_SHOWN))
        if not is_same_shape:
            return
