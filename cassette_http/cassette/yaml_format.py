"""The cassette file format: a stream of YAML documents, one per interaction, each closed by a line `---`.

Writing is ours, so that the text is readable, exact, and always has the same *canonical* shape:

    request: POST https://api.example.com/login      method and target URI; the target is derived from it
    origin, via, target                              only if they cannot be derived
    request headers, request body, request wire
    interim                                          heads of 1xx responses
    response, response headers, response body, response trailers
    failure, repeat
    wire                                             what the readable form does not show: chunks, codings, times, ...

Heads are Latin-1 text with LF for CRLF. What cannot be shown in this way is kept whole as `request octets` or
`response octets`. Defaults are left out.

`writing` and `reading` do that for one document; this module finds the documents in a file.
"""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from cassette_http.cassette.model import Header, Interaction, TLSFacts
from cassette_http.cassette.reading import is_canonical_beginning, load_document
from cassette_http.cassette.writing import dump_header, dump_interaction, dump_tls
from cassette_http.errors import CassetteFormatError, CassetteWarning

__all__ = [
    "BEGINNING",
    "TERMINATOR",
    "Document",
    "dump_header",
    "dump_interaction",
    "dump_tls",
    "intact_length",
    "load_document",
    "scan",
]

TERMINATOR = b"---\n"

# How a file begins that we wrote.
BEGINNING = b"cassette: 1\n"


class Document(NamedTuple):
    """One document of a file, not yet parsed.

    `request_line` is method and target URI without the query, such as "GET https://api.test/users", if the document is
    an interaction and begins in the canonical way; else None.
    """

    data: bytes
    start: int
    end: int
    request_line: str | None

    @property
    def octets(self) -> bytes:
        return self.data[self.start : self.end]

    @property
    def line(self) -> int:
        """The line of the file that the document begins in, from 1."""
        return self.data.count(b"\n", 0, self.start) + 1

    def load(self, path: str) -> Interaction | TLSFacts | Header:
        """Build what the document says. Raises CassetteFormatError, which names `path` and the line in the file."""
        try:
            return load_document(self.octets, path, 1)
        except CassetteFormatError as error:
            # Lines are counted only now: it takes a walk through the file.
            line = None if error.line is None else self.line + error.line - 1
            raise CassetteFormatError(path, line, error.reason) from error.__cause__


UTF8_BOM = b"\xef\xbb\xbf"
REQUEST = re.compile(rb"request: ([A-Za-z][!-~]* [!->@-~]+)(?:\?[!-~]*)?\n")
BOUNDARY = re.compile(rb"^---(?=[ \t\r\n]|\Z)[ \t]*\r?\n?", re.MULTILINE)
NOTHING = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)|%[^\n]*\n)*\Z")


def scan(data: bytes, path: str) -> list[Document]:
    """Find the documents of a file, the header first, without parsing them.

    A last document that is torn (see `intact_length`) is left out with a CassetteWarning. Raises CassetteFormatError
    if the file is no cassette.
    """
    _refuse_foreign(data, path)
    documents = _split(data)
    if not documents:
        return documents
    first, last = documents[0], documents[-1]
    is_torn = last.end == len(data) and not _ends_with_boundary(data) and _is_torn(last.octets)
    is_begun_header = first is last and is_torn and BEGINNING.startswith(first.octets)
    if not first.octets.startswith(BEGINNING) and not is_begun_header:
        loaded = load_document(first.octets, path, first.line)
        if not isinstance(loaded, Header):
            raise CassetteFormatError(path, first.line, "the file does not begin with 'cassette: 1'")
    if is_torn:
        documents.pop()
        warnings.warn(
            f"{path}, line {last.line}: the last document has no closing line '---', as when the program was "
            "killed while it recorded, and is left out. If it is complete, add the line '---' behind it; if not, "
            "delete it or record again (the next recording to this file removes it).",
            CassetteWarning,
            stacklevel=2,
        )
    return documents


def _split(data: bytes) -> list[Document]:
    start = first = len(UTF8_BOM) if data.startswith(UTF8_BOM) else 0
    if b"\r" in data or data.startswith(b"---", first):
        return _split_any(data, first)
    documents: list[Document] = []
    # Many thousands are made at each opening: the NamedTuple's own constructor would take a third of the time.
    find, match, append, new = data.find, REQUEST.match, documents.append, tuple.__new__
    while (end := find(b"\n---", start) + 1) > 0:
        if data[end + 3 : end + 4] != b"\n":
            return _split_any(data, first)
        found = match(data, start, end)
        if found is not None:
            append(new(Document, (data, start, end, found[1].decode("ascii"))))
        else:
            _add(documents, data, start, end)
        start = end + 4
    _add(documents, data, start, len(data))
    return documents


def _split_any(data: bytes, start: int) -> list[Document]:
    """Split at every line that YAML takes for a boundary: with blanks or CR behind it, at the beginning of the file."""
    documents: list[Document] = []
    for boundary in BOUNDARY.finditer(data, start):
        _add(documents, data, start, boundary.start())
        start = boundary.end()
    _add(documents, data, start, len(data))
    return documents


def _add(documents: list[Document], data: bytes, start: int, end: int) -> None:
    if start == end or NOTHING.match(data, start, end):
        return
    found = REQUEST.match(data, start, end)
    documents.append(Document(data, start, end, found[1].decode("ascii") if found is not None else None))


def _ends_with_boundary(data: bytes) -> bool:
    last_line = data[data.rfind(b"\n", 0, -1) + 1 :]
    return last_line.rstrip(b" \t\r\n") == b"---" and last_line.endswith(b"\n")


def _is_torn(octets: bytes) -> bool:
    """Tell whether a document without terminator is one that was not written to its end.

    That cannot be seen from a canonical one: the next lines may be missing. Others are hand-made, and whole if they can
    be parsed.
    """
    if not octets.endswith(b"\n") or is_canonical_beginning(octets):
        return True
    try:
        load_document(octets, "", 1)
    except CassetteFormatError:
        return True
    return False


def intact_length(data: bytes, path: str) -> tuple[int, bool]:
    """Say how much of a file is good, and whether a terminator is missing there before more can be appended.

    Raises CassetteFormatError if the file is no cassette: then nothing may be written to it.
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


def _refuse_foreign(data: bytes, path: str) -> None:
    """Raise CassetteFormatError if the file is something else that is easily recognised."""
    beginning = data[:4096].removeprefix(UTF8_BOM).lstrip()
    if beginning.startswith(BEGINNING) and b"\n<<<<<<<" not in data:
        return
    if not data.strip():
        raise CassetteFormatError(path, None, "the file is empty; delete it, or record to it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or beginning[1:2] == b"\0" or beginning[:1] == b"\0":
        raise CassetteFormatError(path, 1, "the file is UTF-16 or UTF-32 text, or binary; a cassette is UTF-8")
    conflict = re.search(rb"^(?:<<<<<<<|>>>>>>>)", data, re.MULTILINE)
    if conflict is not None:
        line = data.count(b"\n", 0, conflict.start()) + 1
        raise CassetteFormatError(path, line, "a merge conflict is not resolved here")
    if beginning[:1] == b"<":
        raise CassetteFormatError(path, 1, "this is an HTML or XML file, no cassette")
    if (beginning[:1] == b"{" and b'"http_interactions"' in data[:4096]) or re.search(rb"^interactions:", data, re.M):
        raise CassetteFormatError(
            path,
            1,
            "this is a cassette of VCR.py, which keeps less than a replay needs: record it again",
        )
    if b"\0" in data[:4096]:
        raise CassetteFormatError(path, 1, "this is a binary file, no cassette")
