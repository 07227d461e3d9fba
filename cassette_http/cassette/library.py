"""The interactions of the cassettes that answer in one session, none of them parsed before it is needed (pure)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import filterfalse

from cassette_http.cassette import shortcuts
from cassette_http.cassette.format.reading import Fetch
from cassette_http.cassette.format.yaml_format import Document, Documents
from cassette_http.cassette.model import Interaction, TLSFacts
from cassette_http.cassette.shortcuts import Answer

__all__ = ["Library"]


class Library:
    """The interactions of one file after the other, by position.

    `facts` are those of their TLS connections, each with the position of the first interaction behind it.
    """

    def __init__(self) -> None:
        self.request_lines: list[bytes | None] = []
        self.facts: list[tuple[int, TLSFacts]] = []
        self._files: list[tuple[Documents, Sequence[int], str, Fetch]] = []
        self._newest: tuple[int, Interaction] | None = None

    def __len__(self) -> int:
        return len(self.request_lines)

    def add(self, documents: Documents, path: str, fetch: Fetch) -> None:
        """Add the documents of a file; only those are parsed whose first line does not tell what they are."""
        lines = documents.request_lines
        others: set[int] = set()
        for position in [position for position, line in enumerate(lines) if line is None]:
            if position == 0 and shortcuts.is_plain_header(documents[0].octets):
                others.add(0)
                continue
            value = documents[position].load(path, fetch)
            if isinstance(value, TLSFacts):
                self.facts.append((len(self) + position - len(others), value))
            if not isinstance(value, Interaction):
                others.add(position)
        interactions: Sequence[int]
        if others == {0}:  # nothing but the header, as in most cassettes
            interactions = range(1, len(lines))
            self.request_lines += lines[1:]
        else:
            interactions = array("L", filterfalse(others.__contains__, range(len(lines))))
            self.request_lines += map(lines.__getitem__, interactions)
        self._files.append((documents, interactions, path, fetch))

    def _document(self, position: int) -> tuple[Document, str, Fetch]:
        for documents, interactions, path, fetch in self._files:
            if position < len(interactions):
                return documents[interactions[position]], path, fetch
            position -= len(interactions)
        raise IndexError(position)

    def find_doubtful(self) -> set[int]:
        """The positions of interactions of which `request_lines` may not tell everything, see `Documents`."""
        doubtful: set[int] = set()
        first = 0
        for documents, interactions, _, _ in self._files:
            unclear = documents.find_doubtful()
            if unclear:
                doubtful |= {first + at for at, position in enumerate(interactions) if position in unclear}
            first += len(interactions)
        return doubtful

    def parse(self, position: int) -> Interaction:
        """Parse an interaction. Raises CassetteFormatError.

        The last one is remembered: entries do not keep large interactions, and ask several times in a row.
        """
        newest = self._newest
        if newest is None or newest[0] != position:
            document, path, fetch = self._document(position)
            value = document.load(path, fetch)
            assert isinstance(value, Interaction), "a document that begins with a request is an interaction"
            self._newest = newest = position, value
        return newest[1]

    def read_answer(self, position: int, beginning: bytes, first_line: bytes | None) -> Answer | None:
        """The answer of an interaction whose document begins like this, see `shortcuts`."""
        return shortcuts.read_answer(self._document(position)[0], beginning, first_line)

    def read_url(self, position: int) -> bytes | None:
        """Method and URL of a request, as the document says them; None if it does not begin with them."""
        document = self._document(position)[0]
        if document.request_line is None:
            return None
        end = document.data.index(b"\n", document.start)
        return document.data[document.start + len(b"request: ") : end]
