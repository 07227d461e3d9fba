"""Where messages begin and end in a stream of octets that arrives in pieces of any size.

A reader watches one message: it parses the head, follows the content to its end and reports how many octets belonged
to the message. It keeps no content, changes nothing and never raises because of the data: what is not HTTP is
`malformed`, and then everything up to the close belongs to it. Each message needs a reader of its own, which gets what
the previous one has left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from cassette_http.wire.content import ChunkedDecoder, Decoder, decoder_for
from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage
from cassette_http.wire.framing import FramingKind, request_framing, response_framing
from cassette_http.wire.grammar import (
    EMPTY_LINE,
    MAX_HEAD_OCTETS,
    MAX_INTERIM_RESPONSES,
    MAX_LINE_OCTETS,
    MAX_REQUEST_LINE_OCTETS,
    MAX_WATCHED_FIELDS,
    ORDINARY_RESPONSE_HEAD,
    REQUEST_BEGINNING,
    RESPONSE_BEGINNING,
)
from cassette_http.wire.head import (
    outline_response_head,
    parse_request_head,
    parse_request_line,
    parse_response_head,
    parse_status_line,
)
from cassette_http.wire.messages import Fields, RequestHead, ResponseHead, field_values

# So many octets of an incomplete start line are checked: enough to recognise other protocols.
BEGINNING_OCTETS = 32
# It has room for fewer fields than MAX_WATCHED_FIELDS, so no limit needs to be checked.
LONGEST_ORDINARY_HEAD_OCTETS = 1 << 13


class RequestReader:
    """Watches one request.

    Until the head is complete, `head` is None and `head_octets` is 0; empty lines before the request line count as its
    octets. If this is not HTTP/1.x, `malformed` is the reason, and the request is never complete. `is_foreign`: it does
    not even begin like HTTP/1.x, and is another protocol.
    """

    __slots__ = (
        "_collector",
        "_decoder",
        "expects_continue",
        "head",
        "head_octets",
        "is_complete",
        "is_foreign",
        "malformed",
        "taken",
    )

    def __init__(self) -> None:
        self.head: RequestHead | None = None
        self.head_octets = 0
        self.taken = 0
        self.is_complete = False
        self.expects_continue = False
        self.malformed: str | None = None
        self.is_foreign = False
        self._collector = _HeadCollector(parse_request_line, REQUEST_BEGINNING, MAX_REQUEST_LINE_OCTETS)
        self._decoder: Decoder | None = None

    @property
    def method(self) -> str | None:
        return self.head.method if self.head is not None else None

    def feed(self, data: bytes) -> int:
        """Take octets of this request; return how many. If they are fewer than given, the request ended there."""
        if self.is_complete:
            return 0
        position = len(data)
        if self.malformed is None:
            try:
                position = self._walk(data)
            except MalformedMessage as error:
                self.malformed = str(error)
                self.is_foreign = self.head is None and not isinstance(error, LimitExceeded)
        self.taken += position
        return position

    def _walk(self, data: bytes) -> int:
        position = 0
        if self._decoder is None:
            if self._collector.is_empty and data[:1] in (b"\r", b"\n"):
                position = len(data) - len(data.lstrip(b"\r\n"))
            octets, position = self._collector.take(data, position)
            if octets is None:
                return position
            self.head = parse_request_head(octets)
            self.head_octets = self.taken + position
            if self.head.method == "PRI" and self.head.version == "HTTP/2.0":
                raise MalformedMessage("the preface of HTTP/2", octets)
            self.expects_continue = _expects_continue(self.head)
            self._decoder = decoder_for(request_framing(self.head.fields))
        position = self._decoder.skip(data, position)
        self.is_complete = self._decoder.remaining == 0
        return position


class ResponseReader:
    """Watches one response to `method`, with the interim responses before it, whose number is `interim_responses`.

    `has_head`: the final head is there. `head_octets` is where it ends, interim heads included; `framing_fields` are
    its fields that state a length or codings. `has_defects`: some of its field lines are malformed. `is_upgrade`: the
    response (101, or 2xx to CONNECT) is complete, and another protocol follows. `until_close`: only `end()` completes
    it. `truncated`: the peer closed too early; if only the trailer section was cut, the response is complete
    nevertheless, as many clients ignore that section. If this is not HTTP/1.x, `malformed` is the reason, and the
    response is never complete and never truncated.
    """

    __slots__ = (
        "_collector",
        "_decoder",
        "_head",
        "_method",
        "framing_fields",
        "has_defects",
        "head_octets",
        "interim_responses",
        "is_complete",
        "is_upgrade",
        "malformed",
        "status",
        "taken",
        "truncated",
        "until_close",
    )

    def __init__(self, method: str) -> None:
        self._method = method
        self.interim_responses = 0
        self._head: bytes | None = None
        self.head_octets = 0
        self.status = 0
        self.framing_fields: Fields = ()
        self.has_defects = False
        self.taken = 0
        self.is_complete = False
        self.is_upgrade = False
        self.until_close = False
        self.truncated = False
        self.malformed: str | None = None
        self._collector = _HeadCollector(parse_status_line, RESPONSE_BEGINNING, MAX_LINE_OCTETS)
        self._decoder: Decoder | None = None

    @property
    def has_head(self) -> bool:
        return self._head is not None

    @property
    def head(self) -> ResponseHead | None:
        """The final head, parsed at each call; None until it is complete."""
        return None if self._head is None else parse_response_head(self._head)

    @property
    def has_bare_lf(self) -> bool:
        """A line between chunks ended without CR."""
        return isinstance(self._decoder, ChunkedDecoder) and self._decoder.has_bare_lf

    def feed(self, data: bytes) -> int:
        """Take octets of this response; return how many. If they are fewer than given, the response ended there."""
        if self.is_complete:
            return 0
        position = len(data)
        if self.malformed is None:
            try:
                position = self._walk(data)
            except MalformedMessage as error:
                self.malformed = str(error)
        self.taken += position
        return position

    def end(self) -> None:
        """Note that the peer has closed."""
        if self.is_complete or self.malformed is not None:
            return
        self.truncated = not self.until_close
        with suppress(IncompleteMessage):
            if self._decoder is not None:
                self._decoder.end()
                self.is_complete = True

    def _walk(self, data: bytes) -> int:
        position = 0
        while self._decoder is None:
            octets, position = self._collector.take(data, position)
            if octets is None:
                return position
            self._take_head(octets, self.taken + position)
        position = self._decoder.skip(data, position)
        self.is_complete = self._decoder.remaining == 0
        return position

    def _take_head(self, head: bytes, end_of_head: int) -> None:
        status, fields, has_defects = outline_response_head(head)
        # 101 is final: after it the connection uses another protocol (RFC 9110 section 15.2.2).
        if 100 <= status < 200 and status != 101:
            self.interim_responses += 1
            if self.interim_responses > MAX_INTERIM_RESPONSES:
                raise LimitExceeded("interim responses", MAX_INTERIM_RESPONSES)
            return
        self._head, self.status, self.framing_fields, self.has_defects = head, status, fields, has_defects
        self.head_octets = end_of_head
        framing = response_framing(status, fields, self._method)
        self.is_upgrade = status == 101 or (self._method == "CONNECT" and 200 <= status < 300)
        self.until_close = framing.kind is FramingKind.CLOSE
        self._decoder = decoder_for(framing)


class WholeResponse:
    """A `ResponseReader` for an ordinary response that came in one piece; it is parsed only when needed."""

    __slots__ = ("_head",)
    has_head = is_complete = True
    is_upgrade = until_close = truncated = False
    malformed = None

    def __init__(self, head: bytes) -> None:
        self._head = head

    @classmethod
    def find(cls, data: bytes, method: str) -> WholeResponse | None:
        """Use `data` as the whole response to `method` if it clearly is one: a final head and content of its length."""
        found = ORDINARY_RESPONSE_HEAD.match(data, 0, LONGEST_ORDINARY_HEAD_OCTETS)
        if found is None or len(data) - found.end() != int(found[1]) or method in ("HEAD", "CONNECT"):
            return None
        return cls(found[0])

    @property
    def head(self) -> ResponseHead:
        return parse_response_head(self._head)

    def feed(self, data: bytes) -> int:
        return 0

    def end(self) -> None:
        """Note that the peer has closed, which changes nothing."""


class _HeadCollector:
    """Collects octets up to the empty line, within limits; detects early that they cannot become a head."""

    __slots__ = ("_beginning", "_kept", "_longest_line", "_parse_start_line", "_start_line_is_checked")

    def __init__(
        self, parse_start_line: Callable[[bytes], object], beginning: re.Pattern[bytes], longest_line: int
    ) -> None:
        self._parse_start_line = parse_start_line
        self._beginning = beginning
        self._longest_line = longest_line
        self._kept = bytearray()
        self._start_line_is_checked = False

    @property
    def is_empty(self) -> bool:
        return not self._kept

    def take(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """Take data[start:] up to the empty line; return the head if it is complete, and the position after it.

        Raises MalformedMessage if this is not, or cannot become, a head within the limits.
        """
        try:
            if not self._kept:
                # Heads nearly always arrive in one piece, followed by content: only the head is copied.
                if found := EMPTY_LINE.search(data, start):
                    return self._checked(data[start : found.end()]), found.end()
                self._kept += data[start:]
                self._check_beginning(0)
                return None, len(data)
            known = len(self._kept)
            self._kept += data[start:]
            if found := EMPTY_LINE.search(self._kept, max(known - 2, 0)):
                head = bytes(self._kept[: found.end()])
                self._forget()
                return self._checked(head), start + len(head) - known
            self._check_beginning(known)
            return None, len(data)
        except MalformedMessage:
            self._forget()
            raise

    def _forget(self) -> None:
        self._kept.clear()
        self._start_line_is_checked = False

    def _check_beginning(self, known: int) -> None:
        """Raise MalformedMessage if the octets, of which those from `known` on are new, cannot become a head."""
        kept = self._kept
        if kept and not self._start_line_is_checked:
            if line_end := kept.find(b"\n", known) + 1:
                self._parse_start_line(bytes(kept[:line_end]))
                self._start_line_is_checked = True
            elif not self._beginning.match(kept, 0, BEGINNING_OCTETS):
                raise MalformedMessage("not the beginning of an HTTP message", kept)
        longest = self._longest_line
        if len(kept) >= longest and b"\n" not in kept[-longest:]:
            raise LimitExceeded("line", longest)
        if len(kept) > MAX_HEAD_OCTETS:
            raise LimitExceeded("head", MAX_HEAD_OCTETS)

    def _checked(self, head: bytes) -> bytes:
        """The head itself. Raises LimitExceeded if it is too large."""
        if head.count(b"\n") - 2 > MAX_WATCHED_FIELDS:
            raise LimitExceeded("fields", MAX_WATCHED_FIELDS)
        longest = self._longest_line
        if len(head) > longest and max(map(len, head.split(b"\n"))) >= longest:
            raise LimitExceeded("line", longest)
        if len(head) > MAX_HEAD_OCTETS:
            raise LimitExceeded("head", MAX_HEAD_OCTETS)
        return head


def _expects_continue(head: RequestHead) -> bool:
    """Tell whether the client waits for an interim response (RFC 9110 section 10.1.1; HTTP/1.0 cannot)."""
    values = field_values(head.fields, "expect")
    return head.version != "HTTP/1.0" and any(value.lower() == "100-continue" for value in values)
