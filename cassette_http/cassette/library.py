"""The interactions of all cassettes that answer in one session, found and parsed as far as needed (pure)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import filterfalse

from cassette_http.cassette import shortcuts
from cassette_http.cassette.format.reading import Fetch
from cassette_http.cassette.format.yaml_format import Document, Documents
from cassette_http.cassette.model import Interaction, TLSFacts
from cassette_http.cassette.shortcuts import Answer
from cassette_http.errors import CassetteFormatError


class Library:
    """The interactions of several files in order, by position; of the last file, those that were read so far.

    For `request_lines` see `Document.request_line`. `facts` are those of TLS connections, each with the position of the
    next interaction.
    """

    def __init__(self) -> None:
        self.request_lines: list[bytes | None] = []
        self.facts: list[tuple[int, TLSFacts]] = []
        self._parts: list[_Part] = []
        self._unread: Iterator[_Part] = iter(())
        self._error: CassetteFormatError | None = None
        self._newest: tuple[int, Interaction] | None = None

    def __len__(self) -> int:
        return len(self.request_lines)

    def add(self, parts: Iterable[Documents], path: str, fetch: Fetch) -> None:
        """Add a file (see `scan_in_parts`), and read at least its first interaction."""
        while self.read_on():
            pass  # files that were added before come first
        self._unread = (_Part(documents, path, fetch) for documents in parts)
        while self.read_on() and not self.request_lines:
            pass

    def read_on(self) -> bool:
        """Find more interactions; False if everything has been read. Raises CassetteFormatError, each time again."""
        if self._error is not None:
            raise self._error
        try:
            part = next(self._unread, None)
            if part is not None:
                self._take(part)
        except CassetteFormatError as error:
            self._error = error
            raise
        return part is not None

    def _take(self, part: _Part) -> None:
        """Number the interactions; only documents whose first line does not tell their kind are parsed."""
        documents = part.documents
        lines = documents.request_lines
        others: set[int] = set()
        for position in [position for position, line in enumerate(lines) if line is None]:
            if position == 0 and shortcuts.is_plain_header(documents[0].octets):
                others.add(0)
                continue
            value = documents[position].load(part.path, part.fetch)
            if isinstance(value, TLSFacts):
                self.facts.append((len(self) + position - len(others), value))
            if not isinstance(value, Interaction):
                others.add(position)
        if others <= {0}:  # only the header, as in most cassettes
            part.interactions = range(len(others), len(lines))
            self.request_lines += lines[len(others) :]
        else:
            part.interactions = array("L", filterfalse(others.__contains__, range(len(lines))))
            self.request_lines += map(lines.__getitem__, part.interactions)
        self._parts.append(part)

    def _document(self, position: int) -> tuple[Document, _Part]:
        for part in self._parts:
            if position < len(part.interactions):
                return part.documents[part.interactions[position]], part
            position -= len(part.interactions)
        raise IndexError(position)

    def find_doubtful(self) -> set[int]:
        """The positions of interactions that `request_lines` may not describe completely, see `Documents`."""
        doubtful: set[int] = set()
        first = 0
        for part in self._parts:
            unclear = part.documents.find_doubtful()
            if unclear:
                doubtful |= {first + at for at, position in enumerate(part.interactions) if position in unclear}
            first += len(part.interactions)
        return doubtful

    def parse(self, position: int) -> Interaction:
        """Parse an interaction. Raises CassetteFormatError.

        The last one is cached: entries do not keep large interactions, and ask several times in a row.
        """
        newest = self._newest
        if newest is None or newest[0] != position:
            document, part = self._document(position)
            value = document.load(part.path, part.fetch)
            assert isinstance(value, Interaction), "a document that begins with a request is an interaction"
            self._newest = newest = position, value
        return newest[1]

    def read_answer(self, position: int, beginning: bytes, first_line: bytes | None) -> Answer | None:
        """The answer of an interaction whose document begins with `beginning`, see `shortcuts`."""
        return shortcuts.read_answer(self._document(position)[0], beginning, first_line)

    def read_url(self, position: int) -> bytes | None:
        """Method and URL of a request, if the first line of its document tells them."""
        document = self._document(position)[0]
        if document.request_line is None or document.is_doubtful:
            return None
        end = document.data.index(b"\n", document.start)
        return document.data[document.start + len(b"request: ") : end]


@dataclass(slots=True)
class _Part:
    documents: Documents
    path: str
    fetch: Fetch
    interactions: Sequence[int] = ()
