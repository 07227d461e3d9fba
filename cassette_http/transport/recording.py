"""Collects the track of one exchange while the peer's octets pass through. Never changes or delays them."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise

from cassette_http.cassette.model import Failure, FailureKind, Piece, Track
from cassette_http.wire.framing import is_persistent
from cassette_http.wire.grammar import CONTENT_LENGTH
from cassette_http.wire.reader import ResponseReader, WholeResponse

# Octets that arrive within this time are one piece: a border between two such reads is an accident of the kernel's
# buffers, while a server that flushes on purpose leaves more time between its pieces.
SAME_PIECE_S = 0.002


class Recording:
    """What the peer did since the request; `is_complete` when the response is.

    Status 101 ends HTTP only after a request that `may_upgrade`; after another, clients read it in different ways.
    If there are more than `most_octets`, none are kept: it `is_too_long`, and only follows the response.
    """

    def __init__(self, method: str, most_octets: int | None, *, may_upgrade: bool) -> None:
        self.is_too_long = self.has_surplus = False
        self._most_octets, self._may_upgrade = most_octets, may_upgrade
        self._method = method
        self._octets: bytes | bytearray = b""
        self._pieces: list[tuple[int, float, int | None, int]] = []  # start of each, then the attributes of `Piece`
        self.last_at_s = 0.0  # when the last octets came
        self._failure: Failure | None = None
        self._timeouts = 0  # since the last octets
        self.has_ended = False  # the peer closed or broke off: nothing follows
        self._end: Piece | None = None  # without octets: when the end came, if that matters
        self._close_notify = True

    @cached_property
    def _reader(self) -> ResponseReader | WholeResponse:
        """Follows the response. Most responses come whole, and do not need it."""
        return ResponseReader(self._method)

    @property
    def is_complete(self) -> bool:
        """Nothing more can belong to this response."""
        return self.has_ended or (self._reader.is_complete and not self.is_upgrade and not self._is_doubtful)

    @property
    def may_be_complete(self) -> bool:
        """Some clients consider the response complete, and others read on."""
        return not self.has_ended and self._reader.is_complete and self._is_doubtful

    @property
    def is_upgrade(self) -> bool:
        """The stream left HTTP (101), or is a tunnel (2xx to CONNECT)."""
        return self._may_upgrade and self._reader.is_upgrade

    @property
    def has_answer(self) -> bool:
        """At least one octet or a failure has come."""
        return bool(self._pieces) or self._failure is not None

    @property
    def follows_no_length(self) -> bool:
        """As far as we can tell, only the end of the stream can end this response."""
        return self._reader.until_close or self._reader.malformed is not None or self._is_doubtful

    @property
    def announces_end(self) -> bool:
        """The response says that its connection ends with it, or does not exclude it."""
        head = self._reader.head
        return head is None or self.follows_no_length or not is_persistent(head.version, head.fields)

    def add(self, octets: bytes, at_s: float, sent: int | None) -> int:
        """Take the octets that belong to this response; returns how many."""
        if not self._pieces and (whole := WholeResponse.find(octets, self._method)) is not None:
            self._reader = whole
            self._append(octets, at_s, sent)
            return len(octets)
        is_open = self.is_upgrade or (self._reader.is_complete and self._is_doubtful)
        taken = len(octets) if is_open else self._reader.feed(octets)
        if self.is_upgrade:
            taken = len(octets)  # what comes with the head of an upgrade is read together with it
        if taken:
            self._append(octets if taken == len(octets) else octets[:taken], at_s, sent)
        return taken

    def add_surplus(self, octets: bytes, at_s: float, sent: int | None) -> None:
        """Take octets that came with the end of the response, but after it: a client that reads on meets them."""
        self.has_surplus = True
        self._append(octets, at_s, sent)

    def end(self, at_s: float, *, close_notify: bool = True, sent: int | None = None) -> None:
        """The peer closed. That completes only a response that lasts until the close.

        For `close_notify` see `Track`, for `sent` see `Piece`.
        """
        self._drop_timeout()
        self._note_when_it_ends(at_s, sent)
        self._reader.end()
        if self._failure is None and (self._reader.truncated or not self._reader.has_head):
            self._failure = Failure(FailureKind.END, at_s)
        self.has_ended, self._close_notify = True, close_notify

    def fail(self, failure: Failure, sent: int | None = None) -> None:
        """The stream failed. A time-out is not the end: the client may read on. For `sent` see `Piece`."""
        has_failed_to_send = self._failure is not None and self._failure.kind is FailureKind.WRITE
        is_over = failure.kind not in (FailureKind.TIMEOUT, FailureKind.WRITE)
        self._timeouts += failure.kind is FailureKind.TIMEOUT
        if has_failed_to_send and not is_over:
            return  # the client has gone on: the first failure shows how far it had come
        self._failure = failure
        if is_over:
            self._note_when_it_ends(failure.at, sent)
            self.has_ended = True

    def begin_piece(self) -> None:
        """The next octets begin a new piece, as the client has acted before they came."""
        self.last_at_s = -math.inf

    def hand_over(self) -> Track:
        """Return the track, and drop its octets here: they may be half of the memory in use."""
        octets, self._octets = self._octets, b""
        if len(self._pieces) == 1:
            [(_, at_s, sent, timeouts)] = self._pieces
            pieces = [Piece(bytes(octets), at_s, sent, timeouts)]
        else:
            view, starts = memoryview(octets), [*(start for start, *_ in self._pieces), len(octets)]
            cut = [bytes(view[start:stop]) for start, stop in pairwise(starts)]
            said = [each[1:] for each in self._pieces]
            pieces = [Piece(part, *of_part) for part, of_part in zip(cut, said, strict=True)]
        if self._end is not None:
            pieces.append(self._end)
        return Track(tuple(pieces), self._failure, self.has_ended and self._failure is None, self._close_notify)

    @property
    def _is_doubtful(self) -> bool:
        reader = self._reader
        if not isinstance(reader, ResponseReader):
            return False
        return is_doubtful(reader) or (reader.is_upgrade and not self._may_upgrade)

    def _append(self, octets: bytes, at_s: float, sent: int | None) -> None:
        self._drop_timeout()
        if self._most_octets is not None and len(self._octets) + len(octets) > self._most_octets:
            self.is_too_long = True
        if self.is_too_long:
            self._octets, self._pieces = b"", [(0, at_s, sent, 0)]
            return
        timeouts, self._timeouts = self._timeouts, 0
        if not self._pieces or timeouts or at_s - self.last_at_s >= SAME_PIECE_S or self._pieces[-1][2] != sent:
            self._pieces.append((len(self._octets), at_s, sent, timeouts))
        self.last_at_s = at_s
        if not self._octets:
            self._octets = octets  # most responses come at once, and are not copied
            return
        if isinstance(self._octets, bytes):
            self._octets = bytearray(self._octets)
        self._octets += octets

    def _note_when_it_ends(self, at_s: float, sent: int | None) -> None:
        """Note when the end came if the client sent more, or waited in vain, after the last octets: it must again."""
        sent_before = self._pieces[-1][2] if self._pieces else None
        if self.is_upgrade:
            has_sent_more = (sent or 0) > (sent_before or 0)
        else:
            has_sent_more = sent is None and sent_before is not None  # the rest of its request
        if not self.has_ended and (has_sent_more or self._timeouts):
            self._end = Piece(b"", at_s, sent if has_sent_more else None, self._timeouts)

    def _drop_timeout(self) -> None:
        if self._failure is not None and self._failure.kind is FailureKind.TIMEOUT:
            self._failure = None


def is_doubtful(reader: ResponseReader) -> bool:
    """Tell whether clients parse such a response in different ways, and so disagree about where it ends."""
    if reader.has_defects or reader.has_bare_lf or len(reader.framing_fields) > 1:
        return True
    # http.client knows one number and one word; it also waits for chunks after a 204 or 304 that announces them.
    return any(
        CONTENT_LENGTH.fullmatch(value) is None
        if name.lower() == "content-length"
        else value.lower() != "chunked" or reader.status in (204, 304)
        for name, value in reader.framing_fields
    )
