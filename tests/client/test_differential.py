"""The client beside http.client and h11: the same responses give the same, but for a kept list of differences.

Each difference names its cases, and says why ours is right. One that no longer occurs fails, and so does one that
nobody has thought of, in the table of hostile responses as well as in generated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import client as standard
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cassette_http import client
from tests.client.exchanges import WAYS, Then, exchange
from tests.client.hostile_table import ROWS

h11 = pytest.importorskip("h11", minversion="0.16")

OTHERS = ("http.client", "h11")


class Seen(NamedTuple):
    """What a program sees of a response. All errors of HTTP are the same: there is no answer."""

    error: str | None = None
    status: int = 0
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    content: bytes = b""


def seen_by_client(module: Any, octets: bytes, method: str) -> Seen:
    outcome = exchange(module, octets, Then.END, WAYS["read()"], method)
    if outcome.error is not None:
        is_of_http = isinstance(outcome.error, (standard.HTTPException, OSError))
        return Seen("no answer" if is_of_http else type(outcome.error).__name__)
    facts = outcome.facts
    return Seen(None, facts["status"], facts["reason"], tuple(outcome.fields), outcome.content)


def seen_by_h11(octets: bytes, method: str) -> Seen:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "peer.example")]))
    connection.send(h11.EndOfMessage())
    arrivals, head, content = [octets, b""], None, b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(arrivals.pop(0))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif event is h11.PAUSED or isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                return Seen("no answer")
    except h11.RemoteProtocolError:
        return Seen("no answer")
    assert head is not None
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
    return Seen(None, head.status_code, head.reason.decode("latin-1"), tuple(fields), content)


def seen_by(other: str, octets: bytes, method: str) -> Seen:
    return seen_by_h11(octets, method) if other == "h11" else seen_by_client(standard, octets, method)


@dataclass(frozen=True)
class Difference:
    whose: str
    what: str  # what the other does
    why: str  # and why ours does not
    rows: tuple[str, ...]  # where, in the table of hostile responses
    varies: bool = False  # newer versions of the other do as ours

    @property
    def id(self) -> str:
        return f"{self.whose} {self.what}"


NO_NAMES = (
    *("line without colon", "the status line again", "space before the colon", "tab before the colon"),
    *("space within a name", "control character in a name", "NUL in a name", "bare CR in a name", "DEL in a name"),
    *("name in UTF-8", "name in Latin-1", "no-break space behind a name", "fold of a line that is left out"),
    "space before the colon of the coding",
)
LISTS_OF_CODINGS = (
    *("chunked, and an empty member", "chunked twice", "gzip, chunked", "gzip and chunked in two fields"),
    *("identity, chunked", "chunked, identity"),
)

DIFFERENCES = [
    # --- http.client
    Difference(
        "http.client",
        "takes a status line apart by str.split() and int()",
        "RFC 9112 section 4 has one digit on each side of the dot, three in the status, and SP between them. "
        "What others refuse or read differently must not pass for an answer.",
        (
            *("a space first", "nothing behind the dot", "two digits in the version", "three numbers in the version"),
            *("status with a leading zero", "status with a sign", "status with an underscore"),
            *("status behind no-break spaces", "status behind vertical tabs"),
        ),
    ),
    Difference(
        "http.client",
        "leaves NUL and bare CR in a reason or value",
        "RFC 9110 section 5.5 and RFC 9112 section 2.2 replace them by SP, as they can end a line or a string "
        "wherever a program writes them to.",
        (
            *("NUL in the reason", "bare CR in the reason", "NUL and bare CR around the reason", "NUL in a value"),
            *("length with NUL", "chunked with NUL"),
        ),
    ),
    Difference(
        "http.client",
        "takes a bare CR for a line end among the fields",
        "RFC 9112 section 2.2 forbids it: whoever controls one value would add fields, or end the section.",
        (
            *("bare CR does not make a field", "CR twice does not either", "CR CR LF is no empty line"),
            *("length behind a bare CR", "coding behind a bare CR"),
        ),
    ),
    Difference(
        "http.client",
        "drops all fields behind a line that is none",
        "Content-Length is often among them. One bad line does not make its neighbours bad.",
        NO_NAMES,
    ),
    Difference(
        "http.client",
        "leaves the line ends of folds in values",
        "RFC 9112 section 5.2: a user agent replaces each fold by SP. With CRLF in it, a value that is sent on "
        "becomes two fields.",
        (
            *("end within a fold", "folded value", "folded with LF", "folded before the value", "folded length"),
            *("fold that looks like a field", "fold of white space, which is no empty line", "length in a fold"),
            *("length folded in the middle", "chunked, folded in the middle", "close in a fold"),
        ),
    ),
    Difference(
        "http.client",
        "leaves white space behind values",
        "RFC 9112 section 5.1: the white space around a value is no part of it.",
        ("white space around a value", "length among white space"),
    ),
    Difference(
        "http.client",
        "counts the empty line among the 100 fields",
        "The limit is of fields, as its error says; a hundred of them are not more than a hundred.",
        ("a hundred fields",),
    ),
    Difference(
        "http.client",
        "reads lengths by int()",
        "RFC 9110 section 8.6: digits only. Where others read another length, or none, the rest would answer the "
        "next request; so the content is read to the end of the connection, which is not used again.",
        (
            *("negative zero", "signed length", "length with an underscore", "length behind a no-break space"),
            *("length behind a vertical tab", "length before NEL"),
        ),
    ),
    Difference(
        "http.client",
        "raises OverflowError for the largest numbers",
        "A peer must not be able to raise what no program expects of an HTTP client.",
        ("length of 20 digits", "a length that no memory holds", "the largest chunk", "size of 5,000 digits"),
    ),
    Difference(
        "http.client",
        "takes the first of several lengths",
        "RFC 9112 section 6.3, rule 5: if they differ, the message is invalid, and nothing may be read from it.",
        (
            *("lengths that differ", "list of other lengths", "three lengths", "a length and none"),
            *("a length and something else", "a length and a negative one"),
        ),
    ),
    Difference(
        "http.client",
        "looks for content where there is none",
        "RFC 9112 section 6.3, rules 1 and 2: what the fields say does not matter then.",
        ("204 in chunks", "304 in chunks", "CONNECT with a length", "CONNECT in chunks"),
    ),
    Difference(
        "http.client",
        "knows chunked only if it is all that the field says",
        "RFC 9112 section 6.3, rule 4: the last coding decides, in whatever list, case and white space. Else the "
        "chunks themselves are taken for content.",
        (*LISTS_OF_CODINGS, "chunked among white space", "chunked in a fold"),
    ),
    Difference(
        "http.client",
        "goes by the first Transfer-Encoding, or by the length",
        "RFC 9112 section 6.3, rules 3 and 4: the last coding decides, and the length is void.",
        ("gzip and chunked in two fields, the wrong way round", "unknown coding, and a length"),
    ),
    Difference(
        "http.client",
        "reads chunk sizes by int()",
        "RFC 9112 section 7.1: 1*HEXDIG. Otherwise a size is one thing here and another thing elsewhere.",
        (
            *("size with a sign", "negative zero as size", "size with 0x", "size with 0X", "size of 17 digits"),
            *("size behind a vertical tab", "size before a form feed", "CR twice behind the size"),
            "bare CR in an extension",
        ),
    ),
    Difference(
        "http.client",
        "takes half a size line for the last chunk",
        "RFC 9112 section 8: the message is incomplete, as more digits could have followed.",
        ("end within the last size",),
    ),
    Difference(
        "http.client",
        "reads trailers without a limit",
        "A peer would keep the client busy for ever.",
        ("too many trailers", "trailers without end"),
        varies=True,
    ),
    Difference(
        "http.client",
        "takes all 1xx but 100 for the answer",
        "RFC 9110 section 15.2: a client must be able to parse any number of them before the final response, "
        "which would else answer the next request.",
        (
            *("102 first", "103 with fields first", "199 first", "several of them", "one with a length"),
            *("one in chunks", "one that closes", "99 of them", "100 of them", "interim responses without end"),
            *("one with content", "half a line behind 103"),
        ),
    ),
    Difference(
        "http.client",
        "skips 100 without a limit",
        "A peer would keep the client busy for ever.",
        ("100 times 100",),
        varies=True,
    ),
    # --- h11
    Difference(
        "h11",
        "refuses a head that breaks off",
        "The API is that of http.client, which takes what there is, as its tests ask; there is no content then.",
        (
            *("end within the reason", "end after the status line", "end within the fields", "end within a fold"),
            "end before the empty line",
        ),
    ),
    Difference(
        "h11",
        "takes any version for HTTP/1.1",
        "Nobody knows what HTTP/2.0 in this form means; UnknownProtocol is the API's word for it.",
        ("HTTP/2.0",),
    ),
    Difference(
        "h11",
        "bounds a head as a whole, and nothing else",
        "Ours are the limits of http.client: of a line, of fields and of trailers; and of interim responses.",
        (
            *("a status line of 65,537 octets", "a line of 65,537 octets", "a hundred and one fields"),
            *("a hundred lines that fold", "too many trailers", "100 of them", "100 times 100"),
            *("too many fields in one", "too long a field in one"),
        ),
    ),
    Difference(
        "h11",
        "refuses a status line that is not quite right",
        "RFC 9112 section 4 allows to be lenient with white space; and what is wrong in a reason does no harm, "
        "once controls are gone from it.",
        (
            *("several spaces", "tabs for spaces", "NUL in the reason", "bare CR in the reason", "CR twice"),
            *("NUL and bare CR around the reason", "other separators in the reason"),
        ),
    ),
    Difference(
        "h11",
        "refuses a message for one bad field line",
        "Such lines are common, and browsers pass over them. None of these can be taken for another field.",
        (
            *NO_NAMES,
            *("empty name", "nothing but colons", "name with brackets and slashes", "fold before the first field"),
            *("CR CR LF is no empty line", "bare CR does not make a field", "CR twice does not either"),
            *("NUL in a value", "other white space around a value", "other separators are no line ends"),
            *("space before the colon of the length", "length behind a bare CR", "length behind a form feed"),
            *("a name that only looks alike", "coding behind a bare CR"),
        ),
    ),
    Difference(
        "h11",
        "writes fields anew",
        "A program sees the fields as they were sent.",
        ("length twice the same", "list of equal lengths", "chunked in upper case"),
    ),
    Difference(
        "h11",
        "compares lengths as text",
        "RFC 9110 sections 5.6.1 and 8.6: 3 and 03 are the same number, and empty members of a list do not count.",
        ("length twice the same, written differently", "list with empty members"),
    ),
    Difference(
        "h11",
        "refuses a length that cannot be read",
        "So does RFC 9112 section 6.3, rule 5; but http.client's tests demand that the content is read to the end "
        "of the connection. That is safe, as the connection is not used again.",
        (
            *("negative length", "negative zero", "signed length", "length with an underscore", "hexadecimal length"),
            *("length with a letter", "length with a fraction", "length with an exponent", "length in quotes"),
            *("length with a parameter", "two numbers", "length folded in the middle", "empty length"),
            *("length behind a no-break space", "length behind a vertical tab", "length before NEL"),
            *("length in other digits", "length in Arabic digits", "length with NUL", "length of 5,000 digits"),
        ),
    ),
    Difference(
        "h11",
        "reads lengths that do not matter",
        "RFC 9112 section 6.3: rules 1 to 4 come before rule 5.",
        (
            *("204 with lengths that differ", "HEAD with a length that cannot be read"),
            *("a coding, and a length that cannot be read", "a coding, and lengths that differ"),
        ),
    ),
    Difference(
        "h11",
        "knows no transfer coding but chunked alone",
        "RFC 9112 section 6.3, rule 4 frames these as well; the other codings are left to the program.",
        (
            *LISTS_OF_CODINGS,
            *("chunked, gzip", "gzip", "unknown coding", "chunked with a parameter", "chunked in quotes"),
            *("chunked behind a vertical tab", "chunked behind a no-break space", "chunked with NUL", "half a word"),
            *("chunked, folded in the middle", "gzip and chunked in two fields, the wrong way round"),
            *("unknown coding, and a length", "identity, and a length", "empty coding, and a length"),
        ),
    ),
    Difference(
        "h11",
        "refuses chunks with white space, or with LF alone",
        "RFC 9112 section 7.1.1 has white space around extensions, section 2.2 lets LF end a line; and servers "
        "that pad their sizes exist.",
        (
            *("extension with white space", "padded size, on the left", "LF behind the size"),
            *("LF behind the sizes and the trailers", "trailers with LF"),
        ),
    ),
    Difference(
        "h11",
        "refuses trailers that are not quite right",
        "The content is complete by then. Bad lines are left out, and the others have no say in framing.",
        (
            *("trailer that is none", "trailer with a bare CR", "trailers change no framing"),
            "an empty chunk is the last one",
        ),
    ),
    Difference(
        "h11",
        "misses the end of the trailers",
        "The content is complete with the last chunk; http.client's tests demand it.",
        ("no end behind the last chunk", "end within the trailers"),
    ),
    Difference(
        "h11",
        "takes any octets for an extension, and more digits for a size",
        "A bare CR is no part of a line (RFC 9112 section 2.2); more than 16 digits fit in no number.",
        ("bare CR in an extension", "size of 17 digits"),
    ),
    Difference(
        "h11",
        "wants a final response, and 101 only if asked for",
        "A connection that ends behind 103 has no other answer, which http.client's users see. Whether 101 was "
        "asked for is known to the program.",
        ("nothing behind 103", "101", "101 with a length", "101 behind 100"),
    ),
]

KNOWN = {(one.whose, name) for one in DIFFERENCES for name in one.rows}


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.id)
def test_each_listed_difference_occurs(difference: Difference) -> None:
    assert difference.why.endswith(".")
    rows = {row.name: row for row in ROWS}
    agreed = []
    for name in difference.rows:
        row = rows[name]
        ours = seen_by_client(client, row.octets, row.method)
        if ours == seen_by(difference.whose, row.octets, row.method):
            agreed.append(name)
    assert not agreed or difference.varies, "no longer a difference"


@pytest.mark.parametrize("other", OTHERS)
def test_there_is_no_other_difference_in_the_table(other: str) -> None:
    for row in ROWS:
        if (other, row.name) not in KNOWN:
            ours = seen_by_client(client, row.octets, row.method)
            assert ours == seen_by(other, row.octets, row.method), row.name


def test_no_difference_is_listed_twice() -> None:
    assert len(KNOWN) == sum(len(one.rows) for one in DIFFERENCES)


# --- generated responses --------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """Some octets, and with whom they cause a difference; by themselves, or next to others."""

    octets: bytes
    differs_with: tuple[str, ...] = ()


def parts(differs_with: str, *octets: bytes) -> list[Part]:
    return [Part(one, tuple(differs_with.split())) for one in octets]


STATUS_LINES = [
    *parts("", b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 None", b"HTTP/1.1 304 Same", b"HTTP/1.1 404 "),
    *parts("", b"HTTP/1.1 200", b"HTTP/1.1 500 \xe9t\xe9", b"HTTP/1.1 999 No", b"HTTP/1.1 100 Continue", b"nonsense"),
    *parts("", b"HTTP/2 200 OK", b"HTTP/1.1 20 OK", b"http/1.1 200 OK"),
    *parts("http.client", b" HTTP/1.1 200 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 0200 OK"),
    *parts("h11", b"HTTP/1.1  200  OK", b"HTTP/1.1\t200\tOK", b"HTTP/1.1 101 Switch", b"HTTP/2.0 200 OK"),
    *parts("http.client h11", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 103 Hints"),
]
FIELD_LINES = [
    *parts("", b"A: b", b"A:", b"A:b: c", b"a: \t b", b"X: \x80\xff", b"Connection: close", b"Connection: Keep-Alive"),
    *parts("", b"X-Content-Length: 1", b"Content-Length-X: 1", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    *parts("http.client", b"A: b \t", b"A: b\r\n c", b"\r\n c", b"A: b\r\n\t", b"Content-Length: 4"),
    *parts("h11", b"Content-Length: -1", b"Content-Length: x", b"A(b): c", b": nameless"),
    *parts("h11", b"A: x\x0by", b"transfer-encoding: CHUNKED"),
    *parts("http.client h11", b" folded: 1", b"content-length: 3, 3"),
    *parts("http.client h11", b"no colon", b"A : b", b"A b: c", b"A: x\0y", b"A: x\rB: y", b"Content-Length: +3"),
    *parts("http.client h11", b"Content-Length: 1_0", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: gzip"),
    *parts("http.client h11", b"Transfer-Encoding: chunked, chunked", b"Content-Length: \xb9"),
]
BODIES = [
    *parts("", b"", b"abc", b"a", b"abcdef"),
    *parts("", b"3\r\nabc\r\n0\r\n\r\n", b"1\r\na\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n", b"0\r\n\r\n", b"zz\r\n"),
    *parts("", b"3;x=y\r\nabc\r\n0;z\r\n\r\n", b"3\r\nab", b"5\r\nabc\r\n0\r\n\r\n", b"ffff\r\nabc"),
    *parts("http.client", b"+3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0"),
    *parts("h11", b"3\nabc\r\n0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n", b"0\r\nno colon\r\n\r\n"),
    *parts("http.client h11", b"3\r\nabc\n0\r\n\r\n", b"3;\r\r\nabc\r\n0\r\n\r\n"),
]


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, str, set[str]]:
    """A response, the method it answers, and with whom there may be a difference."""
    start = draw(st.sampled_from(STATUS_LINES))
    fields = draw(st.lists(st.sampled_from(FIELD_LINES), max_size=4))
    body = draw(st.sampled_from(BODIES))
    lines = [start.octets, *[field.octets for field in fields], b"", body.octets]
    others = {name for part in (start, body, *fields) for name in part.differs_with}
    names = [field.octets.partition(b":")[0].lower() for field in fields]
    if names.count(b"content-length") > 1:
        others |= {"http.client", "h11"}  # values that differ, or are equal
    if names.count(b"transfer-encoding") > 1:
        others |= {"http.client", "h11"}  # the coding twice
    if start.octets[9:12] in (b"101", b"204", b"304"):
        others |= {"http.client"}  # framing that does not matter
    return b"\r\n".join(lines), draw(st.sampled_from(["GET", "HEAD"])), others


@pytest.mark.parametrize("other", OTHERS)
def test_generated_responses_give_the_same_but_for_what_is_known_to_differ(other: str) -> None:
    counts = {"same": 0, "known": 0}

    @settings(max_examples=150, derandomize=True, database=None)
    @given(responses())
    def compare(case: tuple[bytes, str, set[str]]) -> None:
        octets, method, others = case
        ours, theirs = seen_by_client(client, octets, method), seen_by(other, octets, method)
        assert ours == theirs or other in others
        counts["same" if ours == theirs else "known"] += 1

    compare()
    assert counts["same"] > 30
    assert counts["known"] > 10


@given(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 None", b"HTTP/1.1 500 \xe9"]),
    st.lists(
        st.tuples(
            st.text("ABCabc-_123!#$%&'*+.^`|~", min_size=1, max_size=8).map("X{}".format),
            st.text(st.characters(codec="latin-1", min_codepoint=33, exclude_categories=["Cc"]), max_size=8),
        ),
        max_size=6,
    ),
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from(["GET", "HEAD"]),
)
def test_responses_that_keep_the_rules_give_the_same_everywhere(
    start: bytes, fields: list[tuple[str, str]], pieces: list[bytes], framing: str, method: str
) -> None:
    lines = [start, *[f"{name}: {value}".encode("latin-1") for name, value in fields]]
    body = b"".join(pieces)
    if framing == "length" or b" 204 " in start:
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    if method == "HEAD" or b" 204 " in start:
        body = b""
    octets = b"\r\n".join([*lines, b"", body])
    ours = seen_by_client(client, octets, method)
    assert ours.error is None
    assert ours.content == (b"" if not body else b"".join(pieces))
    assert ours == seen_by_client(standard, octets, method) == seen_by_h11(octets, method)
