"""The cassette file format: a stream of YAML documents, one per interaction, each closed by a line `---`.

We write YAML ourselves, so that the text is readable, exact, and always has the same *canonical* form:

    request: POST https://api.example.com/login      method and target URI; the target is derived from it
    origin, via, target                              only if they cannot be derived
    request headers, request body, request wire
    interim                                          heads of 1xx responses
    response, response headers, response body, response trailers
    failure, repeat
    wire                                             what the readable form does not show: chunks, codings, times, ...

Heads are Latin-1 text with LF for CRLF. A message that cannot be shown like this is kept whole as `request octets` or
`response octets`. Defaults are left out.

`writing` and `reading` handle single documents; this module finds the documents in a file.
"""

from __future__ import annotations

import re
import warnings
from array import array
from bisect import bisect
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from typing import NamedTuple, overload

from cassette_http.cassette.format.canonical import is_canonical_beginning
from cassette_http.cassette.format.reading import LARGEST_DOCUMENT_OCTETS, Fetch, load_document
from cassette_http.cassette.format.writing import dump_header, dump_interaction, dump_tls
from cassette_http.cassette.model import Header, Interaction, TLSFacts
from cassette_http.errors import CassetteFormatError, CassetteWarning
from cassette_http.wire.patterns import to_pattern

__all__ = [
    "BEGINNING",
    "MOST_DOCUMENTS",
    "TERMINATOR",
    "Document",
    "Documents",
    "dump_header",
    "dump_interaction",
    "dump_tls",
    "intact_length",
    "load_document",
    "looks_foreign",
    "scan",
    "scan_in_parts",
    "whole_file",
]

TERMINATOR = b"---\n"

# More documents would take too long to find and search.
MOST_DOCUMENTS = 100_000

# The size of the first part of a large file, as often no more is needed; the cassette of a test is usually smaller.
DOCUMENTS_AT_FIRST = 64

# How a file that we wrote begins.
BEGINNING = b"cassette: 1\n"


class Document(NamedTuple):
    """One document of a file, not yet parsed.

    `request_line` is method and target URI without the query, such as b"GET https://api.test/users", if the document is
    an interaction and begins in the canonical form; else None.
    """

    data: bytes
    start: int
    end: int
    request_line: bytes | None

    @property
    def octets(self) -> bytes:
        return self.data[self.start : self.end]

    @property
    def line(self) -> int:
        """The line of the file where the document begins, from 1."""
        return self.data.count(b"\n", 0, self.start) + 1

    @property
    def is_doubtful(self) -> bool:
        """Whether a later line may give another target than `request_line`."""
        octets = self.octets
        return _has_odd_line_end(octets, 0, len(octets)) or DOUBTFUL_LINE.search(octets) is not None

    def load(self, path: str, fetch: Fetch | None = None) -> Interaction | TLSFacts | Header:
        """Build the value of the document. Raises CassetteFormatError, which names `path` and the line in the file.

        For `fetch` see `load_document`.
        """
        try:
            return load_document(self.octets, path, 1, fetch)
        except CassetteFormatError as error:
            # Lines are counted only for errors, as that means going through the file.
            line = None if error.line is None else self.line + error.line - 1
            raise CassetteFormatError(path, line, error.reason) from error.__cause__


class Documents(Sequence[Document]):
    """The documents of a file, in order, made when needed: a large cassette has many thousands.

    `borders` holds start and end of each in turn, `request_lines` the values of `Document.request_line`.
    """

    __slots__ = ("_borders", "data", "request_lines")

    def __init__(self, data: bytes, borders: Sequence[int], request_lines: list[bytes | None]) -> None:
        self.data, self.request_lines = data, request_lines
        self._borders = array("Q", borders)

    def __len__(self) -> int:
        return len(self.request_lines)

    @overload
    def __getitem__(self, at: int) -> Document: ...
    @overload
    def __getitem__(self, at: slice) -> Documents: ...
    def __getitem__(self, at: int | slice) -> Document | Documents:
        if isinstance(at, slice):
            first, behind, step = at.indices(len(self))
            assert step == 1, "documents are in order"
            return Documents(self.data, self._borders[2 * first : 2 * behind], self.request_lines[first:behind])
        line = self.request_lines[at]
        if at < 0:
            at += len(self)
        return Document(self.data, self._borders[2 * at], self._borders[2 * at + 1], line)

    def find_doubtful(self) -> Container[int]:
        if not self:
            return ()
        start, end = self._borders[0], self._borders[-1]
        if _has_odd_line_end(self.data, start, end):
            return range(len(self))
        found = {bisect(self._borders, line.start()) for line in DOUBTFUL_LINE.finditer(self.data, start, end)}
        return {border // 2 for border in found if border % 2}


# Keys that change the target: `origin`, `target`, `via`. Any key that is not certainly another one counts.
DOUBTFUL_LINE = to_pattern(rb"\n[^a-np-suw-z0-9 \n#-]")
ODD_LINE_END = to_pattern(rb"\r(?!\n)|\xc2\x85|\xe2\x80[\xa8\xa9]")


def _has_odd_line_end(octets: bytes, start: int, end: int) -> bool:
    # Quick checks first: most cassettes are pure ASCII.
    return (b"\r" in octets or not octets.isascii()) and ODD_LINE_END.search(octets, start, end) is not None


UTF8_BOM = b"\xef\xbb\xbf"
_BOUNDARY = rb"---(?:\n|[ \t]++\r?\n?|\r\n?|\Z)"
BOUNDARY = to_pattern(_BOUNDARY)
# Boundaries with nothing between them, and the `Document.request_line` of the document after them. It is missing if the
# line is longer than any real one, because matching it would need several times its size.
NEXT_BOUNDARIES = to_pattern(
    rb"\n%b(?:%b)*+(?=request: ([A-Za-z][!-~]{,40}+ [!->@-~]{1,65536}+)(?:\?[!-~]*+)?\n|)" % (_BOUNDARY, _BOUNDARY)
)
NOTHING = to_pattern(rb"(?:[ \t\r\n]++|#[^\n]*+|%[^\n]*+\n)*+\Z")


def scan(data: bytes, path: str) -> Documents:
    """Find the documents of a file, the header first, without parsing them.

    A torn last document (see `intact_length`) is left out with a CassetteWarning. Raises CassetteFormatError if the
    file is not a cassette.
    """
    _refuse_foreign(data, path)
    (documents,) = _split(data, path, MOST_DOCUMENTS + 1)
    if not documents:
        return documents
    last = documents[-1]
    is_torn = last.end == len(data) and not _ends_with_boundary(data) and _is_torn(last.octets)
    if not (is_torn and len(documents) == 1 and BEGINNING.startswith(last.octets)):
        _require_header(documents[0], path)
    if is_torn:
        warnings.warn(
            f"{path}, line {last.line}: the last document has no closing line '---', as when the program was "
            "killed while it recorded, and is left out. If it is complete, add the line '---' behind it; if not, "
            "delete it or record again (the next recording to this file removes it).",
            CassetteWarning,
            stacklevel=2,
        )
        return documents[:-1]
    return documents


def scan_in_parts(data: bytes, path: str) -> Iterator[Documents]:
    """Find the same as `scan`, but only as far as is needed.

    Errors of the whole file are raised at once; too many documents, when the limit is reached.
    """
    if not _ends_with_boundary(data):  # the last document may be torn, or foreign
        return iter([scan(data, path)])
    _refuse_foreign(data, path)
    parts = filter(len, _split(data, path, DOCUMENTS_AT_FIRST))
    first = next(parts, None)
    if first is None:
        return parts
    _require_header(first[0], path)
    return chain([first], parts)


def _require_header(first: Document, path: str) -> None:
    if not first.octets.startswith(BEGINNING) and not isinstance(load_document(first.octets, path, first.line), Header):
        raise CassetteFormatError(path, first.line, "the file does not begin with 'cassette: 1'")


def _split(data: bytes, path: str, count: int) -> Iterator[Documents]:
    """Split at every line that is a boundary in YAML, and leave out empty documents.

    The first part has `count` boundaries, each later one twice as many as the one before.
    """
    start = len(UTF8_BOM) if data.startswith(UTF8_BOM) else 0
    if (boundary := BOUNDARY.match(data, start)) is not None:
        start = boundary.end()
    boundaries = NEXT_BOUNDARIES.finditer(data, start)
    line: bytes | None = None  # of the document at `start`
    found, is_last = 0, False
    while not is_last:
        starts, ends, lines = [start], list[int](), [line]
        for boundary in islice(boundaries, count):
            ends.append(boundary.start() + 1)
            starts.append(boundary.end())
            lines.append(boundary[1])
        found += len(ends)
        if found > MOST_DOCUMENTS:
            reason = f"has more than {MOST_DOCUMENTS:,} documents; record less into one file"
            raise CassetteFormatError(path, None, reason)
        is_last = len(ends) < count
        if is_last:
            ends.append(len(data))
        else:
            start, line = starts.pop(), lines.pop()
        holds = [line is not None or not NOTHING.match(data, starts[at], ends[at]) for at, line in enumerate(lines)]
        borders = [0] * 2 * sum(holds)
        borders[::2], borders[1::2] = compress(starts, holds), compress(ends, holds)
        yield Documents(data, borders, list(compress(lines, holds)))
        count *= 2


def _ends_with_boundary(data: bytes) -> bool:
    last_line = data[data.rfind(b"\n", 0, -1) + 1 :]
    return last_line.rstrip(b" \t\r\n") == b"---" and last_line.endswith(b"\n")


def _is_torn(octets: bytes) -> bool:
    """Tell whether a document without a terminator was not written completely.

    For a canonical one that cannot be known, as its last lines may be missing. Others were written by hand, and are
    complete if they can be parsed.
    """
    if len(octets) > LARGEST_DOCUMENT_OCTETS:
        return False  # we do not write documents of this size
    if not octets.endswith(b"\n") or is_canonical_beginning(octets):
        return True
    try:
        load_document(octets, "", 1, lambda reference, count: b"")
    except CassetteFormatError:
        return True
    return False


def intact_length(data: bytes, path: str) -> tuple[int, bool]:
    """Return how much of a file is intact, and whether a terminator must be added before appending.

    Raises CassetteFormatError if the file is not a cassette: then nothing may be written to it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CassetteWarning)
        documents = scan(data, path)
    if not documents:
        return 0, False
    end = documents[-1].end
    terminator = BOUNDARY.match(data, end)
    if terminator is not None and terminator[0].endswith(b"\n"):
        return terminator.end(), False
    return end, True


def whole_file(documents: Iterable[bytes]) -> bytes:
    return b"".join([document + TERMINATOR for document in documents])


FOREIGN_YAML = to_pattern(rb"^(?:interactions|http_interactions|responses):", re.MULTILINE)
TOML = to_pattern(rb"(?:\s*+#[^\n]*+\n)*+\s*+(?:\[\[?[\w.]++\]|[\w.-]++ *+= )")
FOREIGN_JSON = to_pattern(rb'"(?:interactions|http_interactions|entries)"[ \t\r\n]*:')


def looks_foreign(data: bytes) -> bool:
    """Tell from its octets whether a file could be a cassette of another recorder that `convert` supports."""
    if data.startswith(BEGINNING):
        return False
    beginning = data[:4096].removeprefix(UTF8_BOM).lstrip()
    if beginning.startswith(b"{"):
        return FOREIGN_JSON.search(data) is not None
    return not beginning.startswith((BEGINNING, b"<")) and FOREIGN_YAML.search(data) is not None


def _refuse_foreign(data: bytes, path: str) -> None:
    """Raise CassetteFormatError if the file is something else that is easily recognised."""
    beginning = data[:4096].removeprefix(UTF8_BOM).lstrip()
    # One octet is found twenty times as fast as several, and most cassettes have no "<".
    if beginning.startswith(BEGINNING) and (b"<" not in data or b"\n<<<<<<<" not in data):
        return
    if not data.strip():
        raise CassetteFormatError(path, None, "the file is empty; delete it, or record to it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or beginning[1:2] == b"\0" or beginning[:1] == b"\0":
        raise CassetteFormatError(path, 1, "the file is UTF-16 or UTF-32 text, or binary; a cassette is UTF-8")
    conflict = re.search(rb"^(?:<<<<<<<|>>>>>>>)", data, re.MULTILINE)
    if conflict is not None:
        line = data.count(b"\n", 0, conflict.start()) + 1
        raise CassetteFormatError(path, line, "this is an unresolved merge conflict; choose one side, or re-record")
    if beginning.startswith(b"version https://git-lfs.github.com/"):
        raise CassetteFormatError(
            path, 1, "this is a Git LFS pointer, not the cassette itself; to fetch it: git lfs pull"
        )
    if beginning[:1] == b"<":
        raise CassetteFormatError(path, 1, "this is an HTML or XML file, not a cassette")
    if looks_foreign(data):
        raise CassetteFormatError(
            path, 1, "this is a cassette of another recorder; to convert it: cassette-http convert FILE"
        )
    if b"\0" in data[:4096]:
        raise CassetteFormatError(path, 1, "this is a binary file, not a cassette")
    if TOML.match(data):
        raise CassetteFormatError(
            path, 1, "this is TOML, which is not read; if cassetter wrote it: cassetter convert FOLDER NEW --to yaml"
        )
