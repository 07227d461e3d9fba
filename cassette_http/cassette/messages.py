"""What requests and responses have in common: reading and changing their fields and content (pure).

Messages are values. Each `with_...` returns a changed copy; lengths, chunks and content codings follow the new content.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from cassette_http.cassette.decoding import codings_of, decoded, encoded
from cassette_http.cassette.splicing import difference, edit_framing, edit_length, growth, splice
from cassette_http.wire import content as wire_content
from cassette_http.wire.chunking import Chunked, enchunk, unchunk
from cassette_http.wire.framing import NO_CONTENT, Framing, FramingKind
from cassette_http.wire.grammar import EMPTY_LINE, FIELD_NAME
from cassette_http.wire.messages import Fields, RequestHead, ResponseHead, field_values

_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_-]+)", re.IGNORECASE)


class Message(ABC):
    """A message by its octets: `head_octets` ends with the empty line, `body_octets` is framed as on the wire."""

    head_octets: bytes
    body_octets: bytes

    @property
    @abstractmethod
    def head(self) -> RequestHead | ResponseHead:
        """The parsed head. Raises MalformedMessage."""

    @property
    @abstractmethod
    def framing(self) -> Framing:
        """How the end of the content is found. Raises MalformedMessage."""

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def fields(self) -> Fields:
        """Pairs of name and value, in order, as they are on the wire. Raises MalformedMessage."""
        return self.head.fields

    def values(self, name: str) -> list[str]:
        """The values of the field lines called `name` (any case), in order."""
        return field_values(self.fields, name)

    def value(self, name: str) -> str | None:
        """The value of the field called `name`: its lines joined by commas (RFC 9110 section 5.3), or None."""
        values = self.values(name)
        return ", ".join(values) if values else None

    @cached_property
    def coded_content(self) -> bytes:
        """The body without chunk framing; content codings are not undone."""
        return wire_content.decode(self.framing, self.body_octets)

    @cached_property
    def content(self) -> bytes:
        """The content: without chunk framing, and without those content codings that are known here."""
        codings = codings_of(self.fields)
        undone = decoded(self.coded_content, codings) if codings else None
        return self.coded_content if undone is None else undone[0]

    @property
    def text(self) -> str:
        """The content as text, in the character set that Content-Type names, or UTF-8."""
        return self.content.decode(self._charset, "replace")

    def json(self) -> Any:
        """The value of JSON content. Raises ValueError if it is not JSON."""
        return json.loads(self.content)

    # -- changing --------------------------------------------------------------------------------------------

    def with_field(self, name: str, value: str) -> Self:
        """Set the field called `name` to one line, at the place of its first one or at the end.

        Raises ValueError for what no field line can contain.
        """
        return self._with_octets(_with_field(self.head_octets, name, value), self.body_octets)

    def without_field(self, name: str) -> Self:
        """Remove all lines of the field called `name`."""
        return self._with_octets(_with_field(self.head_octets, name, None), self.body_octets)

    def with_content(self, content: bytes) -> Self:
        """Replace the content. It is given in the form of `content`: codings are applied again.

        A coding that is unknown here is removed from the fields. Raises ValueError if the message cannot have content.
        """
        message = self
        codings = codings_of(self.fields)
        if codings and decoded(self.coded_content, codings) is None:
            message = self.without_field("Content-Encoding")
        elif codings:
            content = encoded(content, codings)
        if message.framing is NO_CONTENT:
            return message._with_first_content(content)
        old, body, framing = message.coded_content, message.body_octets, message.framing
        if framing.kind is FramingKind.CHUNKED and not old:
            taken_apart = unchunk(body)
            trailers = taken_apart.trailers if taken_apart is not None else ()
            sizes = (len(content),) if content else ()
            return message._with_octets(message.head_octets, enchunk(Chunked(content, sizes, trailers)))
        edits = difference(old, content)
        head = message.head_octets
        if framing.kind is FramingKind.LENGTH:
            head = splice(head, edit_length(head, growth(edits)))
        return message._with_octets(head, splice(body, edit_framing(framing, body, edits)))

    def with_text(self, text: str) -> Self:
        """Replace the content by text, in the character set that Content-Type names, or UTF-8."""
        return self.with_content(text.encode(self._charset))

    def with_json(self, value: Any) -> Self:
        """Replace the content by a JSON value; written without spaces if the old content had none."""
        is_compact = b'":' in self.content and b'": ' not in self.content
        octets = json.dumps(value, ensure_ascii=False, separators=(",", ":") if is_compact else None).encode()
        message = self if self.values("Content-Type") else self.with_field("Content-Type", "application/json")
        return message.with_content(octets)

    # -- private ---------------------------------------------------------------------------------------------

    def _with_octets(self, head: bytes, body: bytes) -> Self:
        return replace(self, head_octets=head, body_octets=body)  # type: ignore[type-var]  # they are data classes

    @abstractmethod
    def _with_first_content(self, content: bytes) -> Self:
        """Add content to a message whose framing says that it has none."""

    @property
    def _charset(self) -> str:
        found = _CHARSET.search(self.value("Content-Type") or "")
        return found[1] if found is not None else "utf-8"


def fields_octets(name: str, value: str) -> bytes:
    """Write one field line. Raises ValueError for what no field line can contain."""
    if not FIELD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid field name")
    if re.search("[\r\n\0]", value):
        raise ValueError(f"a field value cannot contain line ends: {value!r}")
    return f"{name}: {value}\r\n".encode("latin-1")


def _with_field(head: bytes, name: str, value: str | None) -> bytes:
    line = b"" if value is None else fields_octets(name, value)
    start = head.find(b"\n") + 1
    # Folded lines belong to the line above (RFC 9112 section 5.2).
    named = re.compile(rb"^%b[ \t]*:[^\n]*\n(?:[ \t]+[^\s][^\n]*\n)*" % re.escape(name.encode()), re.I | re.M)
    first = named.search(head, start)
    if first is None:
        end = EMPTY_LINE.search(head)
        at = end.start() + 1 if end is not None else len(head)
        return head[:at] + line + head[at:]
    return head[: first.start()] + line + named.sub(b"", head[first.end() :])
