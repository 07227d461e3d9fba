"""Decoders and the chunk codec.

Each row runs pushed whole, octet by octet and with the next message behind it, and pulled.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.wire.chunking import Chunked, chunk, enchunk, last_chunk, unchunk
from cassette_http.wire.content import (
    ChunkedDecoder,
    Line,
    Octets,
    decode,
    decoder_for,
)
from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage
from cassette_http.wire.framing import CHUNKED, NO_CONTENT, UNTIL_CLOSE, Framing, FramingKind
from cassette_http.wire.grammar import MAX_LINE_OCTETS, MAX_READ_OCTETS, MAX_TRAILERS
from cassette_http.wire.messages import Fields

NEXT_MESSAGE = b"HTTP/1.1 200 Next Response Here\r\n\r\n"


def push_whole(body: bytes, decoder: ChunkedDecoder) -> bytes:
    content, position = decoder.take(body)
    assert position == len(body)
    return content


def push_octet_by_octet(body: bytes, decoder: ChunkedDecoder) -> bytes:
    contents = []
    for at in range(len(body)):
        content, position = decoder.take(body[at : at + 1])
        assert position == 1
        contents.append(content)
    return b"".join(contents)


def push_with_the_next_message_behind(body: bytes, decoder: ChunkedDecoder) -> bytes:
    before = b"what was read before"
    content, position = decoder.take(before + body + NEXT_MESSAGE, len(before))
    if decoder.want is None:
        assert position == len(before) + len(body)
        assert decoder.take(NEXT_MESSAGE) == (b"", 0)
    return content


def pull(body: bytes, decoder: ChunkedDecoder) -> bytes:
    """Read as the blocking client does: what is wanted, from a file that knows the end of the stream."""
    file = io.BytesIO(body)
    contents = []
    while (want := decoder.want) is not None:
        data = file.readline(want.limit) if isinstance(want, Line) else file.read(want.at_most)
        if not data:
            break
        contents.append(decoder.feed(data))
    assert file.read() == b""
    return b"".join(contents)


Way = Callable[[bytes, ChunkedDecoder], bytes]
WAYS = [push_whole, push_octet_by_octet, push_with_the_next_message_behind, pull]
in_all_ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.replace("_", " "))

BODIES = [
    pytest.param(b"0\r\n\r\n", b"", (), id="no chunk"),
    pytest.param(b"3\r\nabc\r\n0\r\n\r\n", b"abc", (), id="one chunk"),
    pytest.param(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", (), id="two chunks"),
    pytest.param(b"5\r\n\r\n0\r\n\r\n0\r\n\r\n", b"\r\n0\r\n", (), id="content that looks like an end"),
    pytest.param(b"B\r\n0123456789a\r\n0\r\n\r\n", b"0123456789a", (), id="upper-case size"),
    pytest.param(b"0003\r\nabc\r\n000\r\n\r\n", b"abc", (), id="leading zeros"),
    pytest.param(b"0" * 15 + b"3\r\nabc\r\n0\r\n\r\n", b"abc", (), id="16 digits"),
    pytest.param(b" \t3 \t\r\nabc\r\n0  \r\n\r\n", b"abc", (), id="OWS around the size"),
    pytest.param(
        b'3;a=b\r\nabc\r\n1 \t;c="d;e" \r\nd\r\n0;f\r\n\r\n',
        b"abcd",
        (),
        id="extensions are dropped",
    ),
    pytest.param(b"3\nabc\r\n1\nd\r\n0\n\n", b"abcd", (), id="LF alone"),
    pytest.param(b"3\r\nabc\r\n1\nd\r\n0\r\n\n", b"abcd", (), id="LF here and there"),
    pytest.param(b"0\r\nA: 1\r\nB: 2\r\n\r\n", b"", (("A", "1"), ("B", "2")), id="trailers"),
    pytest.param(b"1\r\na\r\n0\nA: 1\n\n", b"a", (("A", "1"),), id="trailers with LF alone"),
    pytest.param(b"0\r\nA: 1\r\n 2\r\nbad\r\n\r\n", b"", (("A", "1 2"),), id="unusual trailers"),
]


@in_all_ways
@pytest.mark.parametrize(("body", "content", "trailers"), BODIES)
def test_chunked_content_is_decoded(way: Way, body: bytes, content: bytes, trailers: Fields) -> None:
    decoder = ChunkedDecoder()
    assert way(body, decoder) == content
    assert decoder.want is None
    assert decoder.remaining == 0
    assert decoder.trailers == trailers
    decoder.end()


@pytest.mark.parametrize(("body", "content", "trailers"), BODIES)
def test_more_than_the_message_is_refused(body: bytes, content: bytes, trailers: Fields) -> None:
    decoder = ChunkedDecoder()
    with pytest.raises(ValueError, match="3 octets more than the message has"):
        decoder.feed(body + b"xyz")
    decoder = ChunkedDecoder()
    decoder.skip(body)
    with pytest.raises(ValueError, match="3 octets more than the message has"):
        decoder.passed(3)


def length(count: int) -> Framing:
    return Framing(FramingKind.LENGTH, count)


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        pytest.param(NO_CONTENT, b"", id="no content"),
        pytest.param(length(0), b"", id="length 0"),
        pytest.param(length(5), b"a\r\n\0b", id="length 5"),
        *(pytest.param(CHUNKED, row.values[0], id=row.id) for row in BODIES),
    ],
)
def test_skipping_finds_the_end(framing: Framing, body: bytes) -> None:
    for step in (1, len(body) or 1):
        decoder = decoder_for(framing)
        for at in range(0, len(body), step):
            assert decoder.remaining != 0
            assert decoder.skip(body[at : at + step]) == step
        assert decoder.remaining == 0
        assert decoder.skip(NEXT_MESSAGE) == 0
        decoder.end()
    decoder = decoder_for(framing)
    assert decoder.skip(b"before" + body + NEXT_MESSAGE, 6) == 6 + len(body)


@pytest.mark.parametrize(
    ("framing", "body", "content"),
    [
        pytest.param(NO_CONTENT, b"abc", b"", id="no content"),
        pytest.param(length(2), b"abc", b"ab", id="length"),
        pytest.param(length(5), b"abc", b"abc", id="torn length"),
        pytest.param(UNTIL_CLOSE, b"abc", b"abc", id="until close"),
        pytest.param(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", b"abc", id="chunked"),
        pytest.param(CHUNKED, b"3\r\nabc\r\n2\r\nd", b"abcd", id="torn chunks"),
        pytest.param(CHUNKED, b"3\r\nabc\r\nx\r\n", b"abc", id="broken behind a chunk"),
        pytest.param(CHUNKED, b"x\r\n", b"", id="broken"),
    ],
)
def test_a_whole_body_is_decoded(framing: Framing, body: bytes, content: bytes) -> None:
    assert decode(framing, body) == content


def test_content_until_the_close_has_no_other_end() -> None:
    decoder = decoder_for(UNTIL_CLOSE)
    body = b"0\r\n\r\n" + NEXT_MESSAGE
    assert decoder.skip(body) == len(body)
    assert decoder.remaining is None
    decoder.end()


TORN = [
    pytest.param(b"", b"", None, id="chunked, nothing"),
    pytest.param(b"3", b"", None, id="in a size"),
    pytest.param(b"3;a", b"", None, id="in an extension"),
    pytest.param(b"3\r", b"", None, id="in a size's line end"),
    pytest.param(b"3\r\n", b"", 3, id="before the data"),
    pytest.param(b"3\r\nab", b"ab", 1, id="in the data"),
    pytest.param(b"3\r\nabc", b"abc", None, id="behind the data"),
    pytest.param(b"3\r\nabc\r", b"abc", None, id="in the line end behind the data"),
    pytest.param(b"3\r\nabc\r\n", b"abc", None, id="before a size"),
    pytest.param(b"3\r\nabc\r\n0", b"abc", None, id="in the last size"),
    pytest.param(b"3\r\nabc\r\nA\r\nde", b"abcde", 8, id="in the second chunk"),
]


@pytest.mark.parametrize("way", [push_whole, push_octet_by_octet, pull])
@pytest.mark.parametrize(("body", "content", "missing"), TORN)
def test_a_torn_body_is_incomplete(way: Way, body: bytes, content: bytes, missing: int | None) -> None:
    decoder = ChunkedDecoder()
    assert way(body, decoder) == content
    assert decoder.remaining == missing
    with pytest.raises(IncompleteMessage) as caught:
        decoder.end()
    assert (caught.value.received, caught.value.expected) == (len(content), missing)


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_a_torn_body_of_a_known_length_is_incomplete(body: bytes) -> None:
    decoder = decoder_for(length(5))
    assert decoder.skip(body) == len(body)
    with pytest.raises(IncompleteMessage) as caught:
        decoder.end()
    assert (caught.value.received, caught.value.expected) == (len(body), 5 - len(body))


@pytest.mark.parametrize("way", [push_whole, push_octet_by_octet, pull])
@pytest.mark.parametrize(
    ("tail", "trailers"),
    [
        pytest.param(b"", (), id="nothing"),
        pytest.param(b"\r", (), id="half a line end"),
        pytest.param(b"A: 1\r\n", (("A", "1"),), id="one trailer"),
        pytest.param(b"A: 1\r\nB: 2", (("A", "1"),), id="a torn trailer is dropped"),
    ],
)
def test_a_body_is_complete_with_its_last_chunk(way: Way, tail: bytes, trailers: Fields) -> None:
    decoder = ChunkedDecoder()
    assert way(b"1\r\na\r\n0\r\n" + tail, decoder) == b"a"
    assert isinstance(decoder.want, Line)
    decoder.end()
    assert decoder.want is None
    assert decoder.trailers == trailers
    decoder.end()


BROKEN = [
    pytest.param(b"\r\n", "not a chunk size: ", id="no size"),
    pytest.param(b"x\r\n", r"not a chunk size: b'x\\r\\n'", id="no number"),
    pytest.param(b"-1\r\n", "not a chunk size: ", id="negative"),
    pytest.param(b"+1\r\n", "not a chunk size: ", id="plus sign"),
    pytest.param(b"0x1\r\n", "not a chunk size: ", id="prefix"),
    pytest.param(b"1_0\r\n", "not a chunk size: ", id="underscore"),
    pytest.param(b"1 1\r\n", "not a chunk size: ", id="two numbers"),
    pytest.param(b"\xb2\r\n", "not a chunk size: ", id="superscript"),
    pytest.param(b"\x0b1\r\n", "not a chunk size: ", id="white space that is not OWS"),
    pytest.param(b"1;a\rb\r\n", "not a chunk size: ", id="bare CR in an extension"),
    pytest.param(b"1 a=b\r\n", "not a chunk size: ", id="extension without semicolon"),
    pytest.param(b"0" * 17 + b"\r\n", "a chunk size has more than 16 digits", id="17 digits"),
    pytest.param(b"f" * 1000 + b"\r\n", "a chunk size has more than 16 digits", id="1000 digits"),
    pytest.param(b"1\r\naxx", "chunk data is not followed by CRLF: b'xx'", id="no line end behind the data"),
    pytest.param(b"1\r\na\n", r"chunk data is not followed by CRLF: b'\\n'", id="LF alone behind the data"),
    pytest.param(b"1\r\na\rx", r"chunk data is not followed by CRLF: b'\\rx'", id="CR alone behind the data"),
    pytest.param(b"1\r\nax\n", r"chunk data is not followed by CRLF: b'x\\n'", id="octet before the line end"),
    pytest.param(b"1\r\na\r\nx\r\n", "not a chunk size: ", id="second size"),
    pytest.param(b"1" * MAX_LINE_OCTETS, "a line is longer than 65536 octets", id="endless size"),
    pytest.param(b"1;" + b"a" * MAX_LINE_OCTETS, "a line is longer than 65536 octets", id="endless extension"),
    pytest.param(
        (b"1;" + b"a" * 32767 + b"\r\nx\r\n") * 3,
        "extensions of one message are longer than 65536 octets",
        id="extensions",
    ),
    pytest.param(b"0\r\nA: " + b"a" * MAX_LINE_OCTETS, "a line is longer than 65536 octets", id="endless trailer"),
    pytest.param(
        b"0\r\n" + b"A: 1\r\n" * (MAX_TRAILERS + 1),
        "a trailer section has more than 100 field lines",
        id="trailers",
    ),
]


@in_all_ways
@pytest.mark.parametrize(("body", "text"), BROKEN)
def test_a_framing_error_sticks(way: Way, body: bytes, text: str) -> None:
    decoder = ChunkedDecoder()
    with pytest.raises(MalformedMessage, match=text):  # noqa: PT012
        way(body, decoder)
        # Content before the broken place was returned first.
        way(b"0\r\n\r\n", decoder)
    for again in (
        lambda: decoder.feed(b"0\r\n\r\n"),
        lambda: decoder.take(b"0\r\n\r\n"),
        lambda: decoder.skip(b"0\r\n\r\n"),
        decoder.end,
    ):
        with pytest.raises(MalformedMessage, match=text):
            again()


def test_content_before_a_framing_error_is_handed_out_first() -> None:
    decoder = ChunkedDecoder()
    assert decoder.take(b"3\r\nabc\r\n2\r\ndexx") == (b"abcde", 15)
    with pytest.raises(MalformedMessage, match="not followed by CRLF"):
        decoder.take(b"")


def test_limits_themselves_are_allowed() -> None:
    extension = b";" + b"a" * (MAX_LINE_OCTETS - 4)
    trailers = b"A: 1\r\n" * (MAX_TRAILERS - 1) + b"A: " + b"b" * (MAX_LINE_OCTETS - 5) + b"\r\n"
    body = b"1" + extension + b"\r\na\r\n0;ab\r\n" + trailers + b"\r\n"
    decoder = ChunkedDecoder()
    assert push_whole(body, decoder) == b"a"
    assert decoder.want is None
    assert len(decoder.trailers) == MAX_TRAILERS


def test_what_is_wanted_next() -> None:
    decoder = ChunkedDecoder()
    decoder.passed(0)
    assert decoder.feed(b"") == b""
    assert decoder.want == Line(MAX_LINE_OCTETS)
    assert decoder.feed(b"2") == b""
    assert decoder.want == Line(MAX_LINE_OCTETS - 1)
    assert decoder.feed(b"00000\r\n") == b""
    assert decoder.want == Octets(MAX_READ_OCTETS)  # type: ignore[comparison-overlap]  # it is asked anew
    decoder.passed(0x200000 - 3)
    assert decoder.want == Octets(3)  # type: ignore[comparison-overlap]
    assert decoder.feed(b"ab") == b"ab"
    assert decoder.remaining == 1
    decoder.passed(1)
    assert decoder.want == Line(2)
    assert decoder.feed(b"\r") == b""
    assert decoder.want == Line(1)
    assert decoder.feed(b"\n") == b""
    assert decoder.want == Line(MAX_LINE_OCTETS)
    assert decoder.feed(b"0\r\n") == b""
    assert decoder.want == Line(MAX_LINE_OCTETS)
    assert decoder.feed(b"\r\n") == b""
    assert decoder.want is None


def test_content_fed_as_wanted_is_not_copied() -> None:
    data = b"x" * 1000
    decoder = ChunkedDecoder()
    decoder.feed(b"3e8\r\n")
    assert decoder.feed(data) is data


@pytest.mark.parametrize(("body", "content", "trailers"), BODIES)
def test_a_copy_goes_on_from_the_same_place(body: bytes, content: bytes, trailers: Fields) -> None:
    for at in range(len(body)):
        decoder = ChunkedDecoder()
        before, _ = decoder.take(body[:at])
        copy = decoder.copy()
        for each in (decoder, copy):
            assert before + each.take(body, at)[0] == content
            assert (each.remaining, each.trailers) == (0, trailers)


def test_a_bytearray_may_be_taken_from_and_changed_afterwards() -> None:
    buffer = bytearray(b"3\r\nabc\r\n0\r\n\r\nnext")
    content, position = ChunkedDecoder().take(buffer)
    del buffer[:position]
    assert content == b"abc"
    assert buffer == bytearray(b"next")


def test_a_bytearray_may_be_changed_after_a_framing_error() -> None:
    buffer = bytearray(b"3\r\nabcdef")
    decoder = ChunkedDecoder()
    assert decoder.take(buffer) == (b"abc", 9)
    buffer.clear()
    with pytest.raises(MalformedMessage):
        decoder.take(buffer)
    buffer += b"more"


@pytest.mark.parametrize(
    ("data", "octets"), [(b"", b""), (b"a", b"1\r\na\r\n"), (b"\r\n" * 8, b"10\r\n" + b"\r\n" * 8 + b"\r\n")]
)
def test_a_chunk_is_written(data: bytes, octets: bytes) -> None:
    assert chunk(data) == octets


def test_the_last_chunk_is_written_with_trailers() -> None:
    assert last_chunk() == b"0\r\n\r\n"
    assert last_chunk([("A", "1"), ("B", "\xe9")]) == b"0\r\nA: 1\r\nB: \xe9\r\n\r\n"
    with pytest.raises(ValueError, match="within a line"):
        last_chunk([("A", "1\r\n\r\n")])


@pytest.mark.parametrize(
    ("octets", "chunked"),
    [
        pytest.param(b"0\r\n\r\n", Chunked(b"", ()), id="no chunk"),
        pytest.param(b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n", Chunked(b"abc0123456789", (3, 10)), id="chunks"),
        pytest.param(b"1\r\na\r\n0\r\nA: 1\r\n\r\n", Chunked(b"a", (1,), (("A", "1"),)), id="trailers"),
    ],
)
def test_a_canonical_body_is_taken_apart_and_put_together(octets: bytes, chunked: Chunked) -> None:
    assert unchunk(octets) == chunked
    assert enchunk(chunked) == octets


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"1\r\na\r\n", id="torn"),
        pytest.param(b"1\r\na\r\n0\r\n", id="without the last line"),
        pytest.param(b"1\r\na\r\n2\r\n", id="torn behind a size"),
        pytest.param(b"1\r\na\r\n0\r\n\r\nx", id="more behind"),
        pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", id="upper case"),
        pytest.param(b"01\r\na\r\n0\r\n\r\n", id="leading zero"),
        pytest.param(b"1\r\na\r\n00\r\n\r\n", id="leading zero of the last"),
        pytest.param(b"1;b\r\na\r\n0\r\n\r\n", id="extension"),
        pytest.param(b"1 \r\na\r\n0\r\n\r\n", id="OWS"),
        pytest.param(b"1\na\r\n0\r\n\r\n", id="LF"),
        pytest.param(b"0\r\nA:1\r\n\r\n", id="trailer written in another way"),
        pytest.param(b"0\r\nbad\r\n\r\n", id="bad trailer"),
        pytest.param(b"x\r\n", id="malformed"),
    ],
)
def test_any_other_body_is_not_taken_apart(octets: bytes) -> None:
    assert unchunk(octets) is None


@pytest.mark.parametrize(
    "chunked",
    [
        pytest.param(Chunked(b"abc", (1, 1)), id="too few"),
        pytest.param(Chunked(b"abc", (4,)), id="too many"),
        pytest.param(Chunked(b"abc", (3, 0)), id="zero"),
        pytest.param(Chunked(b"abc", (4, -1)), id="negative"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(chunked: Chunked) -> None:
    with pytest.raises(ValueError, match="3 octets cannot be cut into chunks of"):
        enchunk(chunked)


PIECES = st.lists(st.binary(min_size=1, max_size=40))
TRAILERS = st.lists(st.tuples(st.text("ABC-", min_size=1), st.text("abc: \xff").map(lambda text: text.strip(" "))))


@given(PIECES, TRAILERS)
def test_taking_apart_undoes_putting_together(pieces: list[bytes], trailers: list[tuple[str, str]]) -> None:
    octets = b"".join(map(chunk, pieces)) + last_chunk(trailers)
    chunked = Chunked(b"".join(pieces), tuple(map(len, pieces)), tuple(trailers))
    assert unchunk(octets) == chunked
    assert enchunk(chunked) == octets
    assert ChunkedDecoder().take(octets) == (chunked.content, len(octets))


ODD_CHUNKS = st.builds(
    lambda data, size_form, extension, ends: b"%b%b%b%b%b" % (size_form % len(data), extension, ends[0], data, ends[1]),
    st.binary(min_size=1, max_size=20),
    st.sampled_from([b"%x", b"%X", b"0%x", b" %x ", b"%04x"]),
    st.sampled_from([b"", b";a=b", b' ; c="d"']),
    st.tuples(*[st.sampled_from([b"\r\n", b"\n"])] * 2),
)
ODD_BODIES = st.builds(
    lambda chunks, last: b"".join(chunks) + last,
    st.lists(ODD_CHUNKS),
    st.sampled_from([b"0\r\n\r\n", b"0;x\n\n", b"0\r\nA: b\r\n\r\n", b"0\r\n", b"x\r\n", b"4\r\nabcdef", b""]),
)


@given(ODD_BODIES, st.lists(st.integers(0, 200)))
def test_no_cut_changes_what_is_decoded(body: bytes, cuts: list[int]) -> None:
    def outcome(segments: list[bytes]) -> tuple[bytes, int, Fields, str]:
        decoder = ChunkedDecoder()
        content, taken = b"", 0
        try:
            for segment in segments:
                more, position = decoder.take(segment)
                content, taken = content + more, taken + position
            decoder.end()
        except (MalformedMessage, IncompleteMessage) as error:
            return content, 0, decoder.trailers, repr(error)
        return content, taken, decoder.trailers, ""

    octets = body + NEXT_MESSAGE
    borders = sorted({0, *cuts, len(octets)})
    assert outcome([octets[start:stop] for start, stop in pairwise(borders)]) == outcome([octets])


@given(ODD_BODIES, st.integers(1, 200), st.integers(1, 9), st.booleans())
def test_content_may_be_taken_by_amount(body: bytes, step: int, most: int, stops_at_chunks: bool) -> None:
    """From a buffer of which only a part is filled at first, and not beyond what was asked for."""
    buffer = body + NEXT_MESSAGE
    decoder, contents, at, stop = ChunkedDecoder(), [], 0, 0
    try:
        while decoder.want is not None and at < len(buffer):
            stop = max(at, min(stop + step, len(buffer)))
            if stops_at_chunks:
                content, at = decoder.take(buffer, at, stop, 0)
                assert content == b""
                assert decoder.remaining is not None or at == stop
            content, after = decoder.take(buffer, at, stop, most)
            assert len(content) <= most
            if len(content) == most:
                assert buffer[:after].endswith(content[-1:])
            at = after
            contents.append(content)
    except MalformedMessage as error:
        with pytest.raises(MalformedMessage, match=re.escape(str(error))):
            ChunkedDecoder().skip(buffer)
    assert b"".join(contents) == decode(CHUNKED, buffer)


def test_nothing_is_taken_after_the_amount() -> None:
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    decoder = ChunkedDecoder()
    assert decoder.take(body, 0, None, 0) == (b"", 3)
    assert decoder.take(body, 3, None, 0) == (b"", 3)
    assert decoder.take(body, 3, 5, 9) == (b"ab", 5)
    assert decoder.take(body, 5, None, 1) == (b"c", 6)
    assert decoder.take(body, 6, None, 0) == (b"", 11)
    assert decoder.take(body, 11, None, 2) == (b"de", 13)
    assert decoder.remaining is None
    assert decoder.take(body, 13, None, 1) == (b"", len(body))
    assert decoder.remaining == 0


@pytest.mark.parametrize(
    ("body", "is_bare"),
    [
        pytest.param(b"1\r\na\r\n0\r\n\r\n", True, id="chunks alone"),
        pytest.param(b"1;x\r\na\r\n0\r\n\r\n", False, id="extension"),
        pytest.param(b"1\r\na\r\n0\r\nA: b\r\n\r\n", False, id="trailer"),
    ],
)
def test_what_is_in_a_body_besides_its_content_is_known(body: bytes, is_bare: bool) -> None:
    decoder = ChunkedDecoder()
    assert decoder.take(body) == (b"a", len(body))
    assert decoder.is_bare is is_bare


def test_the_trailers_are_known_to_begin_with_the_last_chunk() -> None:
    decoder = ChunkedDecoder()
    assert not decoder.is_in_trailers
    decoder.feed(b"0\r\nA: b\r\n")
    assert decoder.is_in_trailers
    decoder.feed(b"\r\n")
    assert not decoder.is_in_trailers


def test_limit_errors_of_the_decoder_name_their_bound() -> None:
    with pytest.raises(LimitExceeded) as caught:
        ChunkedDecoder().feed(b"0" * 17 + b"\r\n")
    assert (caught.value.what, caught.value.limit) == ("chunk size", 16)
