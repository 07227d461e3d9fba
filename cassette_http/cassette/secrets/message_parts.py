"""Splits messages for redaction, and joins them again with lengths, chunks and codings that fit (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cassette_http.cassette.decoding import codings_of, decoded, encoded
from cassette_http.cassette.model import Request, Track
from cassette_http.cassette.secrets.charsets import Charset, may_be_recoded, recoded
from cassette_http.cassette.secrets.content_rules import ContentRules
from cassette_http.cassette.secrets.packed import IS_PACKED
from cassette_http.cassette.secrets.protobuf import IS_PROTOBUF
from cassette_http.cassette.secrets.websocket_frames import Frame, frames, is_websocket, messages
from cassette_http.cassette.splicing import (
    Edit,
    apportioned,
    edit_framing,
    edit_length,
    growth,
    merged,
    moved,
    outside_of_chunks,
    shift,
    splice,
)
from cassette_http.wire import content
from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.framing import NO_CONTENT, Framing, FramingKind, request_framing, response_framing
from cassette_http.wire.messages import Fields, field_values
from cassette_http.wire.reader import ResponseReader

GZIP_BEGINNING = b"\x1f\x8b\x08"


def may_need_decoding(message: bytes) -> bool:
    """Tell whether chunks, a coding or a character set could hide a secret from a look at the octets; cheap."""
    # One octet is found twenty times as fast as several, and few messages have this one.
    is_gzip = GZIP_BEGINNING[0] in message and message.find(GZIP_BEGINNING) >= 0
    # All heads end before the last empty line; many contents have no empty line. A head that is cut off says nothing.
    heads_stop = max(message.rfind(b"\n\r\n"), message.rfind(b"\n\n"))
    return is_gzip or _CODED.search(message, 0, heads_stop + 1) is not None or may_be_recoded(message)


_CODED = re.compile(
    rb"\n(?:(?:transfer-encoding|content-encoding|upgrade)[ \t]*:|content-type[ \t]*:[^\r\n]*(?:%b))"
    % b"|".join([IS_PACKED.pattern.encode(), IS_PROTOBUF.pattern.encode()]),
    re.IGNORECASE,
)


@dataclass(slots=True)
class Parts:
    """The parts of a message; the body is as framed, and more octets may follow it (after an upgrade).

    `text` is the content without framing and codings; if codings are unknown or broken, `codings` is empty.
    """

    head: bytes
    body: bytes
    framing: Framing
    fields: Fields
    codings: tuple[str, ...] = ()
    charset: Charset | None = None  # if the content is text in another set; `text` is in UTF-8
    is_complete: bool = True
    text: bytes = b""
    content_length: int = 0
    is_all_content: bool = False  # only content is in the chunks, and nothing follows them
    by_rule: list[Edit] = field(default_factory=list)
    in_text: list[Edit] = field(default_factory=list)
    frames: list[tuple[list[Frame], list[Edit]]] | None = None  # messages of a WebSocket, each with the edits of rules
    frames_end: int = 0

    def __post_init__(self) -> None:
        if self.framing is NO_CONTENT and any(map(is_websocket, field_values(self.fields, "upgrade"))):
            found, self.frames_end = frames(self.body)
            self.frames = [(message, []) for message in messages(found)]
        if self.framing.kind is FramingKind.CHUNKED:
            octets = self._out_of_chunks()
        else:
            octets = self.body if self.framing is NO_CONTENT else content.decode(self.framing, self.body)
        self.text, self.content_length = octets, len(octets)
        codings = codings_of(self.fields) if octets else ()
        if not codings and octets.startswith(GZIP_BEGINNING):
            codings = ("gzip",)  # a gzip file, or the field is missing
        plain = decoded(octets, codings) if codings else None
        if plain is not None:
            self.codings = codings
            self.text, self.is_complete = plain
        if (
            self.text
            and (recoding := recoded(self.text, ",".join(field_values(self.fields, "content-type")))) is not None
        ):
            self.text, self.charset = recoding

    def _out_of_chunks(self) -> bytes:
        decoder = content.ChunkedDecoder()
        try:
            octets, stop = decoder.take(self.body)
        except MalformedMessage:
            return b""
        self.is_all_content = decoder.remaining == 0 and decoder.is_bare and stop == len(self.body)
        return octets

    @property
    def plain_octets(self) -> bytes | None:
        """All octets of the message that must be searched, without framing and codings; None if that is not enough."""
        media_type = ",".join(field_values(self.fields, "content-type")).lower()
        if self.frames is not None or IS_PACKED.search(media_type) or IS_PROTOBUF.search(media_type):
            return None
        around = [self.body[start:stop] for start, stop in self._around_content()]
        octets = b"\n".join([self.head + self.text, *around])
        return None if octets.find(GZIP_BEGINNING) >= 0 else octets

    def apply_rules(self, rules: ContentRules, target_stop: int = 0, is_matching: bool = False) -> None:
        """Hide what the rules find in head, content and trailers of a suspect message.

        The request target ends at `target_stop` in the head.
        """
        target = rules.target_edits(self.head, target_stop, is_matching)
        in_head = rules.edits(self.head, is_head=True, is_suspect=not self.body)
        self.by_rule = merged(merged(target, rules.field_edits(self.head)), in_head)
        if self.frames is not None:
            self.frames = [(message, rules.edits(_payload(message))) for message, _ in self.frames]
        elif self.text:
            media_type = ",".join(field_values(self.fields, "content-type")).lower()
            if IS_PACKED.search(media_type) or IS_PROTOBUF.search(media_type):
                self.in_text = rules.packed_edits(self.text, media_type, is_matching)
            else:
                is_form = "x-www-form-urlencoded" in media_type
                self.in_text = rules.edits(self.text, is_form=is_form, is_matching=is_matching)
        *extensions, rest = self._around_content()
        # Joined, as a body may have as many as octets.
        text = b"\n".join([self.body[start:stop] for start, stop in extensions])
        parts = apportioned(rules.edits(text) if text else [], [stop - start for start, stop in extensions], gap=1)
        for (start, _), edits in zip(extensions, parts, strict=True):
            self.by_rule += shift(edits, len(self.head) + start)
        if text := self.body[rest[0] : rest[1]]:
            self.by_rule += shift(merged(rules.field_edits(text), rules.edits(text)), len(self.head) + rest[0])

    def _around_content(self) -> Iterator[tuple[int, int]]:
        """Where the body has something else than content: chunk extensions, then trailers and what follows."""
        if self.framing is NO_CONTENT or self.is_all_content:
            yield len(self.body), len(self.body)
        elif self.framing.kind is FramingKind.CHUNKED:
            yield from outside_of_chunks(self.body)
        else:
            yield self.content_length, len(self.body)

    def edits(self, find: Callable[[bytes], list[Edit]]) -> list[Edit]:
        """Add what `find` finds in head and content, and adapt the framing.

        Positions are those of head and body together.
        """
        first = _searched(self.by_rule, find)
        in_body, added = self._body_edits(find)
        if added and self.framing.kind is FramingKind.LENGTH:
            first += edit_length(self.head, added)
        in_head = find(self.head)
        if len(merged(first, in_head)) > len(first):
            in_head = _outside_of_grammar(self.head, in_head)
        return merged(first, in_head + shift(in_body, len(self.head)))

    def _body_edits(self, find: Callable[[bytes], list[Edit]]) -> tuple[list[Edit], int]:
        if not self.body:
            return [], 0
        if self.frames is not None:
            return [*self._frame_edits(find), *shift(find(self.body[self.frames_end :]), self.frames_end)], 0
        edits = merged(_searched(self.in_text, find), find(self.text))
        if edits and (self.codings or self.charset):
            text = splice(self.text, edits)
            if self.charset is not None:
                text = self.charset.encode(text)
            coded = encoded(text, self.codings, self.is_complete)
            edits = [Edit(0, self.content_length, coded)]
        if self.framing is NO_CONTENT:
            return edits, 0
        framed = edit_framing(self.framing, self.body, edits) if edits else []
        if self.framing.kind is FramingKind.CHUNKED:
            # Extensions and trailers, broken parts, and what follows the message.
            return merged(framed, find(self.body)), growth(edits)
        return framed + shift(find(self.body[self.content_length :]), self.content_length), growth(edits)

    def _frame_edits(self, find: Callable[[bytes], list[Edit]]) -> Iterator[Edit]:
        for message, by_rule in self.frames or ():
            edits = merged(_searched(by_rule, find), find(_payload(message)))
            parts = apportioned(edits, [len(frame.payload) for frame in message])
            for frame, inside in zip(message, parts, strict=True):
                if inside:
                    yield Edit(frame.start, frame.stop, frame.with_payload(splice(frame.payload, inside)))


def _payload(message: list[Frame]) -> bytes:
    return message[0].payload if len(message) == 1 else b"".join(frame.payload for frame in message)


# A secret may be a word of HTTP itself; a password "HTTP/1.1" must not destroy the start line.
_GRAMMAR = re.compile(
    rb"^(?:content-length|transfer-encoding|content-encoding|content-type|connection)[ \t]*:[^\n]*"
    rb"|^[^:\s]+[ \t]*:|^HTTP/[0-9.]+|[ \t]HTTP/[0-9.]+[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)


def _outside_of_grammar(head: bytes, edits: list[Edit]) -> list[Edit]:
    fixed = [found.span() for found in _GRAMMAR.finditer(head)]
    return [edit for edit in edits if all(edit.stop <= start or stop <= edit.start for start, stop in fixed)]


def _searched(edits: list[Edit], find: Callable[[bytes], list[Edit]]) -> list[Edit]:
    """Search the values that rules have inserted, as they may still contain other secrets."""
    return [Edit(edit.start, edit.stop, splice(edit.octets, find(edit.octets))) for edit in edits]


def request_parts(request: Request) -> Parts:
    try:
        fields = request.head.fields
        return Parts(request.head_octets, request.body_octets, request_framing(fields), fields)
    except MalformedMessage:
        return Parts(request.head_octets, request.body_octets, NO_CONTENT, ())


def _method(request: Request | None) -> str:
    try:
        return "GET" if request is None else request.method
    except MalformedMessage:
        return "GET"


def response_parts(track: Track, request: Request | None) -> Parts:
    """Split the answer to a request; interim responses belong to its head."""
    reader = ResponseReader("HEAD")  # does not read content
    for piece in track.pieces:
        reader.feed(piece.octets)
        if reader.has_head:
            break
    received = reader.head
    if received is None:
        # Cut off in the head, or not HTTP: it may still have fields.
        return Parts(track.octets, b"", NO_CONTENT, ())
    head, body = track.cut(reader.head_octets)
    fields = received.fields
    try:
        framing = response_framing(received.status, fields, _method(request))
    except MalformedMessage:
        framing = NO_CONTENT
    return Parts(head, body, framing, fields)


def edit_request(request: Request, edits: Sequence[Edit]) -> Request:
    """Apply edits whose positions are those of head and body together."""
    if not edits:
        return request
    border = len(request.head_octets)
    return replace(
        request,
        head_octets=splice(request.head_octets, [edit for edit in edits if edit.start < border]),
        body_octets=splice(request.body_octets, shift((edit for edit in edits if edit.start >= border), -border)),
    )


def move_positions(track: Track, edits: Iterable[Edit]) -> Track:
    """Adapt the positions of pieces that came while the request was being sent to the edits of its body."""
    if all(piece.sent is None for piece in track.pieces):
        return track
    in_body = [edit for edit in edits if edit.start >= 0]
    pieces = (
        piece if piece.sent is None else replace(piece, sent=moved(piece.sent, in_body)) for piece in track.pieces
    )
    return replace(track, pieces=tuple(pieces))
