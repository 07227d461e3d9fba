"""The readable form of a message body, and how to get its exact octets back.

A body is decoded layer by layer; each layer leaves a tag that says how to encode it again:

    octets on the wire --chunks--> coded content --coding--> content --charset--> text --form--> text to show

A layer is decoded only if encoding it again gives exactly the same octets. The result is text, or octets if it cannot
be shown as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from cassette_http.cassette.format import codings, json_layout
from cassette_http.cassette.format.scalars import is_safe
from cassette_http.wire.chunking import Chunked, enchunk, unchunk
from cassette_http.wire.messages import Fields
from cassette_http.wire.patterns import to_pattern

# The longest list of sizes in a document: a few octets of a hostile one must not become gigabytes.
MOST_SIZES = 200_000

# Undoing a layout takes twenty times as much memory.
LONGEST_LAID_OUT = 4 << 20
# A few coded octets may mean many, and a document must stay small enough to be read.
LONGEST_UNDONE = 4 << 20

# Text whose lines end in CRLF (mostly multipart) is shown with LF.
CRLF_LINES = "crlf"

CONTENT_CODING = to_pattern(r"^content-encoding:[ \t]*([a-z0-9-]+)[ \t]*\r?$", re.MULTILINE)
CONTENT_LENGTH = to_pattern(r"^content-length:[ \t]*([0-9]+)[ \t]*\r?$", re.MULTILINE)
CONTENT_TYPE = to_pattern(r"^content-type:[ \t]*+([!-~]++(?: [!-~]++)*+)[ \t]*+\r?$", re.MULTILINE)
CHARSET = to_pattern(r"charset=\"?([a-z0-9_-]+)")

# The names come from peers and from files: only plain character sets, not every codec that Python has.
CHARSETS = to_pattern(
    r"iso-8859-[0-9]{1,2}|windows-125[0-8]|utf-16-?[lb]e|koi8-[ru]|shift_jis|euc-jp|euc-kr|gb2312|gbk|gb18030|big5"
)

# Text may have some control characters (they are escaped); if more than one in ten is odd, octets are shown.
ODD_SHARE = 10
SAMPLE_CHARACTERS = 1 << 14


@dataclass(frozen=True, slots=True)
class BodyForm:
    """A decoded body: what to show (text or octets), and the tags of its layers."""

    value: str | bytes
    chunks: tuple[int, ...] | None = None
    coding: str | None = None
    charset: str | None = None
    form: str | None = None
    trailers: Fields = ()
    blob: str | None = None
    """The reference, if the octets were put into a blob; they are not shown then."""


PutAside: TypeAlias = Callable[[bytes, int], "str | None"]


def put_nothing_aside(content: bytes, shown: int) -> None:
    """The default `put_aside`: all bodies are shown."""


def take_apart(octets: bytes, fields: str, put_aside: PutAside = put_nothing_aside) -> BodyForm:
    """Find the most readable exact form of a body; `fields` are the field lines of its message, in lower case.

    `put_aside` gets the octets without chunks, and how many octets would be shown; it may store them elsewhere.
    """
    chunks: tuple[int, ...] | None = None
    coding: str | None = None
    charset: str | None = None
    trailers: Fields = ()
    if "chunked" in fields:
        chunked = unchunk(octets)
        if chunked is not None and len(chunked.sizes) <= MOST_SIZES:
            octets, chunks, trailers = chunked.content, chunked.sizes, chunked.trailers
    blob = put_aside(octets, len(octets))
    if blob is not None:
        return BodyForm(octets, chunks, trailers=trailers, blob=blob)
    if "content-encoding" in fields:
        found = CONTENT_CODING.search(fields)
        # The reader adapts each length that does not fit the coded octets (see `put_together`), so all must fit.
        lengths = CONTENT_LENGTH.findall(fields)
        if found is not None and all(length == str(len(octets)) for length in lengths):
            undone = codings.undo(found[1], octets)
            if undone is not None and (blob := put_aside(octets, len(undone[0]))) is not None:
                return BodyForm(octets, chunks, trailers=trailers, blob=blob)
            if undone is not None and len(undone[0]) <= LONGEST_UNDONE:
                octets, coding = undone
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        charset, decoded = _decode(octets, fields)
        if decoded is None:
            return BodyForm(octets, chunks, coding, trailers=trailers)
        text = decoded
    shown, form = _show(text)
    if shown is None:
        return BodyForm(octets, chunks, coding, trailers=trailers)
    return BodyForm(shown, chunks, coding, charset, form, trailers)


def _decode(octets: bytes, fields: str) -> tuple[str | None, str | None]:
    media_type = CONTENT_TYPE.search(fields)
    found = CHARSET.search(media_type[1]) if media_type is not None else None
    if found is not None and CHARSETS.fullmatch(found[1]):
        try:
            text = octets.decode(found[1])
            if text.encode(found[1]) == octets:
                return found[1], text
        except (UnicodeError, LookupError):
            pass
    return None, None


def _show(text: str) -> tuple[str | None, str | None]:
    if is_safe(text):
        laid_out = json_layout.lay_out(text) if len(text) <= LONGEST_LAID_OUT // 2 else None
        return laid_out if laid_out is not None and len(laid_out[0]) <= LONGEST_LAID_OUT else (text, None)
    if "\r\n" in text:
        lines = text.replace("\r\n", "\n")
        if lines.replace("\n", "\r\n") == text and is_safe(lines):
            return lines, CRLF_LINES
    return (text if _is_mostly_text(text) else None), None


@cache
def _odd() -> re.Pattern[str]:
    """What texts rarely contain; compiled late, as sets of characters beyond Latin-1 take long."""
    return to_pattern("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def _is_mostly_text(text: str) -> bool:
    sample = text[:SAMPLE_CHARACTERS]
    return len(_odd().findall(sample)) * ODD_SHARE <= len(sample)


def text_of(octets: bytes) -> str | None:
    """The octets as text, unchanged; None if they do not look like text."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return text if _is_mostly_text(text) else None


def content_type(fields: str) -> str | None:
    """The media type in field lines (in lower case), without parameters."""
    found = CONTENT_TYPE.search(fields) if "content-type" in fields else None
    return found[1].partition(";")[0].strip() if found is not None else None


def put_together(form: BodyForm) -> bytes:
    """Encode the layers again. Raises ValueError if a tag does not exist, or does not fit the text.

    A body that was edited by hand is complete too: its chunks follow its length.
    """
    value = form.value
    if isinstance(value, str):
        if form.form == CRLF_LINES:
            value = value.replace("\n", "\r\n")
        elif form.form is not None:
            if len(value) > LONGEST_LAID_OUT:
                raise ValueError(f"JSON of more than {LONGEST_LAID_OUT:,} characters is shown as it is")
            value = json_layout.undo(value.encode(), form.form).decode()
        if form.charset not in (None, "utf-8") and CHARSETS.fullmatch(str(form.charset)) is None:
            raise ValueError(
                f"the character set {form.charset!r} is not supported here; write the text in UTF-8, or !!binary"
            )
        value = value.encode(form.charset or "utf-8")
    if form.coding is not None:
        value = codings.redo(form.coding, value)
    if form.chunks is not None:
        value = enchunk(Chunked(value, fit(form.chunks, len(value)), form.trailers))
    return value


def fit(sizes: Sequence[int], total: int) -> tuple[int, ...]:
    """Cut or extend a list of sizes at its end until the sum is `total`."""
    rest = total - sum(sizes)
    if not rest:
        return tuple(sizes)
    if rest > 0:
        return (*sizes[:-1], sizes[-1] + rest) if sizes else (rest,)
    fitted: list[int] = []
    for size in sizes:
        if total <= 0:
            break
        fitted.append(min(size, total))
        total -= size
    return tuple(fitted)
