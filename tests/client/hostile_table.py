"""Responses that break the rules, or keep them in ways that few expect; and what a client has to make of each.

`wrong` is the invariant that holds for all of them, whatever the peer does afterwards: the answer is right, or an
HTTPException or OSError says that there is none; and no octet of one message becomes part of another response.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from http import client as standard
from typing import Any

from tests.client.exchanges import SECOND, SURPLUS, Outcome, Then

__all__ = ["CHUNKED", "CHUNKS", "ROWS", "Kind", "Row", "wrong"]


class Kind(Enum):
    """How much of a response the octets are."""

    WHOLE = "it ends where it says"
    UNTIL_CLOSE = "it ends when the peer closes"
    CUT = "more was announced than comes"
    BROKEN = "there is no right answer"


@dataclass(frozen=True)
class Row:
    name: str
    octets: bytes
    kind: Kind
    content: bytes = b""  # all of it, or what comes before the broken place
    error: tuple[type[Exception], str] | None = None  # type, and part of the text
    fields: list[tuple[str, str]] | None = None
    trailers: list[tuple[str, str]] | None = None
    method: str = "GET"
    facts: dict[str, Any] = field(default_factory=dict)
    has_excess: bool = False  # octets behind the response, which are nobody's

    @property
    def is_short(self) -> bool:
        """Whether octets of a known length are missing, of which only read() tells."""
        return self.error is not None and "more expected" in self.error[1]

    @property
    def keeps_connection(self) -> bool:
        is_upgrade = self.facts.get("status") == 101 or self.method == "CONNECT"
        is_kept = self.kind is Kind.WHOLE and not self.facts.get("will_close")
        return is_kept and not is_upgrade and not self.has_excess


def wrong(row: Row, then: Then, way: str, outcome: Outcome) -> str | None:
    """Say which part of the invariant an outcome breaks; None if it keeps all of it."""
    error = outcome.error
    if error is not None and not isinstance(error, (standard.HTTPException, OSError)):
        return f"raises {error!r}"
    if isinstance(outcome.second, Exception):
        if not isinstance(outcome.second, (standard.HTTPException, OSError)):
            return f"the next request raises {outcome.second!r}"
    elif outcome.second not in (None, SECOND[-6:]):
        return f"the next request is answered with {outcome.second!r}"
    if row.kind is Kind.CUT and then is Then.SURPLUS:
        return None  # nobody can tell where one response ends and the other begins
    content = row.content + (SURPLUS if row.kind is Kind.UNTIL_CLOSE and then is Then.SURPLUS else b"")
    if not content.startswith(outcome.content):
        return f"{outcome.content[:60]!r} is not the content"
    if error is not None:
        return None
    if row.kind is Kind.BROKEN or (then in (Then.SILENCE, Then.RESET) and row.kind is not Kind.WHOLE):
        return f"gives {outcome.content[:60]!r} for an answer"
    if row.kind is Kind.CUT and row.error and not (row.is_short and way != "read()"):
        return f"gives {outcome.content[:60]!r} for the whole"
    if outcome.content != content:
        return f"gives {outcome.content[:60]!r} instead of {content[:60]!r}"
    if row.fields is not None and outcome.fields != row.fields:
        return f"gives the fields {outcome.fields!r}"
    if outcome.facts["status"] != row.facts.get("status", outcome.facts["status"]):
        return f"gives the status {outcome.facts['status']}"
    return None


# --- how rows are written down --------------------------------------------------------------------------------------

Fields = list[tuple[str, str]] | None

HTTP = standard.HTTPException
STATUS, INCOMPLETE, PROTOCOL = standard.BadStatusLine, standard.IncompleteRead, standard.UnknownProtocol
GONE, LONG_LINE = standard.RemoteDisconnected, standard.LineTooLong

OK = b"HTTP/1.1 200 OK\r\n"
ONE = b"Content-Length: 1\r\n\r\na"
NONE = b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
LONG = b"x" * 65537


def whole(
    name: str,
    octets: bytes,
    content: bytes = b"",
    method: str = "GET",
    fields: Fields = None,
    trailers: Fields = None,
    **facts: Any,
) -> Row:
    return Row(name, octets, Kind.WHOLE, content, None, fields, trailers, method, facts)


def until_close(name: str, octets: bytes, content: bytes, fields: Fields = None, **facts: Any) -> Row:
    return Row(name, octets, Kind.UNTIL_CLOSE, content, fields=fields, facts={"will_close": True, **facts})


def cut(
    name: str,
    octets: bytes,
    content: bytes = b"",
    error: type[Exception] | None = None,
    text: str = "",
    fields: Fields = None,
    **facts: Any,
) -> Row:
    return Row(name, octets, Kind.CUT, content, (error, text) if error is not None else None, fields, facts=facts)


def broken(name: str, octets: bytes, error: type[Exception], text: str = "", content: bytes = b"") -> Row:
    return Row(name, octets, Kind.BROKEN, content, (error, text))


def status_line(name: str, line: bytes, error: type[Exception], text: str = "") -> Row:
    """A start line that is none: what follows does not matter."""
    return broken(name, line + b"\r\n" + ONE, error, text)


def reason(name: str, line: bytes, text: str, **facts: Any) -> Row:
    """A start line that can be read."""
    return whole(name, line + ONE, b"a", reason=text, **facts)


def field_lines(name: str, lines: bytes, *fields: tuple[str, str]) -> Row:
    """Field lines before a Content-Length that must be found all the same."""
    return whole(name, OK + lines + ONE, b"a", fields=[*fields, ("Content-Length", "1")])


def length(name: str, value: bytes) -> Row:
    """A Content-Length that says 3, in some way."""
    return whole(name, OK + b"Content-Length:" + value + b"\r\n\r\nabc", b"abc", length=3)


def no_length(name: str, value: bytes) -> Row:
    """A Content-Length that says nothing; as all of http.client's users rely on it, the content is read to the end."""
    return until_close(name, OK + b"Content-Length:" + value + b"\r\n\r\nabc", b"abc", length=None)


def lengths_differ(name: str, *values: bytes) -> Row:
    lines = b"".join(b"Content-Length: " + value + b"\r\n" for value in values)
    return broken(name, OK + lines + b"\r\nabc", HTTP, "Content-Length values that differ")


def coding(name: str, value: bytes, **facts: Any) -> Row:
    """A Transfer-Encoding whose last coding is chunked."""
    octets = OK + b"Transfer-Encoding:" + value + b"\r\n\r\n1\r\na\r\n" + LAST
    return whole(name, octets, b"a", chunked=True, **facts)


def other_coding(name: str, value: bytes) -> Row:
    octets = OK + b"Transfer-Encoding:" + value + b"\r\n\r\n1\r\na\r\n" + LAST
    return until_close(name, octets, b"1\r\na\r\n0\r\n\r\n", chunked=False)


def chunks(name: str, octets: bytes, content: bytes = b"a", trailers: Fields = None) -> Row:
    return whole(name, CHUNKED + octets, content, trailers=trailers, chunked=True)


def no_size(name: str, line: bytes) -> Row:
    """A chunk size line that is none."""
    return broken(name, CHUNKED + line + b"a\r\n" + LAST, INCOMPLETE, "(0 bytes read)")


def no_data_end(name: str, octets: bytes, content: bytes = b"a") -> Row:
    """Chunk data that does not end with a line end."""
    return broken(name, CHUNKED + octets, INCOMPLETE, f"({len(content)} bytes read)", content)


# --- the table ------------------------------------------------------------------------------------------------------

START_LINES = [
    cut("nothing at all", b"", b"", GONE, "Remote end closed connection without response"),
    cut("end within the version", b"HTTP/1.", b"", STATUS, "HTTP/1."),
    cut("end within the status", b"HTTP/1.1 20", b"", STATUS, "HTTP/1.1 20"),
    cut("end within the reason", b"HTTP/1.1 200 O", reason="O"),
    cut("end after the status line", OK, reason="OK"),
    status_line("an empty line first", b"\r\nHTTP/1.1 200 OK", STATUS, "\r\n"),
    status_line("LF first", b"\nHTTP/1.1 200 OK", STATUS, "\n"),
    status_line("a space first", b" HTTP/1.1 200 OK", STATUS, " HTTP/1.1"),
    status_line("a byte order mark first", b"\xef\xbb\xbfHTTP/1.1 200 OK", STATUS, "\xef\xbb\xbf"),
    status_line("UTF-16", "HTTP/1.1 200 OK".encode("utf-16"), STATUS),
    status_line("no HTTP", b"SSH-2.0-OpenSSH_9.6", STATUS, "SSH-2.0-OpenSSH_9.6\r\n"),
    status_line("SMTP, which looks similar", b"220 mail.example ESMTP", STATUS, "220 mail"),
    status_line("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28", STATUS, "\x15\x03\x01"),
    status_line("a frame of HTTP/2", b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04", STATUS),
    status_line("a request", b"GET / HTTP/1.1", STATUS, "GET /"),
    status_line("HTTP/0.9: the content alone", b"<html>hello</html>", STATUS, "<html>"),
    status_line("another protocol's name", b"ICY 200 OK", STATUS, "ICY"),
    status_line("the name in lower case", b"http/1.1 200 OK", STATUS, "http/1.1"),
    status_line("the name misspelt", b"HTP/1.1 200 OK", STATUS, "HTP"),
    status_line("NUL in the name", b"HT\0P/1.1 200 OK", STATUS, "HT\0P"),
    status_line("no version", b"HTTP/ 200 OK", PROTOCOL, "HTTP/"),
    status_line("no slash", b"HTTP 200 OK", STATUS, "HTTP 200"),
    status_line("no dot in the version", b"HTTP/11 200 OK", PROTOCOL, "HTTP/11"),
    status_line("nothing behind the dot", b"HTTP/1. 200 OK", PROTOCOL, "HTTP/1."),
    status_line("two digits in the version", b"HTTP/1.10 200 OK", PROTOCOL, "HTTP/1.10"),
    status_line("a sign in the version", b"HTTP/+1.1 200 OK", PROTOCOL, "HTTP/+1.1"),
    status_line("three numbers in the version", b"HTTP/1.1.1 200 OK", PROTOCOL, "HTTP/1.1.1"),
    status_line("HTTP/2", b"HTTP/2 200 OK", PROTOCOL, "HTTP/2"),
    status_line("HTTP/2.0", b"HTTP/2.0 200 OK", PROTOCOL, "HTTP/2.0"),
    status_line("HTTP/3", b"HTTP/3 200", PROTOCOL, "HTTP/3"),
    status_line("no status", b"HTTP/1.1", STATUS, "HTTP/1.1\r\n"),
    status_line("a reason instead of the status", b"HTTP/1.1 OK", STATUS, "OK"),
    status_line("no space before the status", b"HTTP/1.1200 OK", STATUS),
    status_line("no space behind the status", b"HTTP/1.1 200OK", STATUS, "200OK"),
    status_line("status with letters", b"HTTP/1.1 2OO OK", STATUS, "2OO"),
    status_line("status of two digits", b"HTTP/1.1 20 OK", STATUS, "HTTP/1.1 20 OK"),
    status_line("status of four digits", b"HTTP/1.1 2000 OK", STATUS, "2000"),
    status_line("status of three hundred digits", b"HTTP/1.1 " + b"2" * 300 + b" OK", STATUS, "222"),
    status_line("status with a leading zero", b"HTTP/1.1 0200 OK", STATUS, "0200"),
    status_line("status zero", b"HTTP/1.1 000 OK", STATUS, "000"),
    status_line("status 099", b"HTTP/1.1 099 OK", STATUS, "099"),
    status_line("status with a sign", b"HTTP/1.1 +200 OK", STATUS, "+200"),
    status_line("negative status", b"HTTP/1.1 -200 OK", STATUS, "-200"),
    status_line("status with an underscore", b"HTTP/1.1 2_00 OK", STATUS, "2_00"),
    status_line("status with a fraction", b"HTTP/1.1 200.0 OK", STATUS, "200.0"),
    status_line("status with NUL", b"HTTP/1.1 200\0 OK", STATUS, "200\0"),
    status_line("status in other digits", "HTTP/1.1 ²00 OK".encode("latin-1"), STATUS, "²00"),
    status_line("status in Arabic digits", "HTTP/1.1 ٢٠٠ OK".encode(), STATUS),
    status_line("status behind no-break spaces", b"HTTP/1.1\xa0200\xa0OK", STATUS),
    status_line("status behind vertical tabs", b"HTTP/1.1\x0b200\x0bOK", STATUS),
    broken("a status line of 65,537 octets", OK[:-2] + b"K" * (65537 - len(OK)) + b"\r\n" + ONE, LONG_LINE, "status"),
    broken("a line without end", b"H" * 100_000, LONG_LINE, "status line"),
    broken("a page of 100 KB without a line", b"<html>" + b"x" * 100_000, LONG_LINE, "status line"),
    reason("a status line of 65,536 octets", OK[:-2] + b"K" * (65536 - len(OK)) + b"\r\n", "O" + "K" * 65520),
    reason("no reason", b"HTTP/1.1 200\r\n", ""),
    reason("empty reason", b"HTTP/1.1 200 \r\n", ""),
    reason("Latin-1 reason", b"HTTP/1.1 200 \xe9t\xe9\r\n", "été"),
    reason("a number as reason", b"HTTP/1.1 404 404\r\n", "404", status=404),
    reason("several spaces", b"HTTP/1.1  200   OK \r\n", "OK"),
    reason("tabs for spaces", b"HTTP/1.1\t200\tOK\r\n", "OK"),
    reason("NUL in the reason", b"HTTP/1.1 200 O\0K\r\n", "O K"),
    reason("bare CR in the reason", b"HTTP/1.1 200 O\rSet-Cookie: x\r\n", "O Set-Cookie: x"),
    reason("NUL and bare CR around the reason", b"HTTP/1.1 200 \r\0OK\0\r\n", "OK"),
    reason("CR twice", b"HTTP/1.1 200 OK\r\r\n", "OK"),
    reason("other separators in the reason", b"HTTP/1.1 200 a\x0b\x0c\x1c\x85b\r\n", "a\x0b\x0c\x1c\x85b"),
    reason("status 299", b"HTTP/1.1 299 Fine\r\n", "Fine", status=299),
    reason("status 600", b"HTTP/1.1 600 Odd\r\n", "Odd", status=600),
    reason("status 999", b"HTTP/1.1 999 No\r\n", "No", status=999),
    reason("HTTP/1.9", b"HTTP/1.9 200 OK\r\n", "OK", version=11),
    reason("HTTP/1.0", b"HTTP/1.0 200 OK\r\n", "OK", version=10, will_close=True),
    reason("HTTP/0.9 with a head", b"HTTP/0.9 200 OK\r\n", "OK", version=10, will_close=True),
    until_close("HTTP/1.0 without a length", b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc", version=10),
    whole("LF alone everywhere", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok"),
    whole("LF ends the head, CRLF CRLF in the content", OK + b"Content-Length: 4\n\n\r\n\r\n", b"\r\n\r\n"),
    whole("LF before the CRLF that ends the head", b"HTTP/1.1 200 OK\nContent-Length: 2\n\r\nok", b"ok"),
]

FIELDS = [
    cut("end within the fields", OK + b"A: b\r\nContent-Le", fields=[("A", "b")]),
    cut("end within a fold", OK + b"A: b\r\n c", fields=[("A", "b c")]),
    cut("end before the empty line", OK + b"Content-Length: 0\r\n", fields=[("Content-Length", "0")]),
    field_lines("line without colon", b"nonsense\r\n"),
    field_lines("the status line again", OK),
    field_lines("empty name", b": x\r\n"),
    field_lines("nothing but colons", b":::\r\n"),
    field_lines("space before the colon", b"A : x\r\n"),
    field_lines("tab before the colon", b"A\t: x\r\n"),
    field_lines("space within a name", b"A B: x\r\n"),
    field_lines("control character in a name", b"A\x01B: x\r\n"),
    field_lines("NUL in a name", b"A\0: x\r\n"),
    field_lines("bare CR in a name", b"A\rB: x\r\n"),
    field_lines("DEL in a name", b"A\x7f: x\r\n"),
    field_lines("name in UTF-8", b"\xc3\xa4: x\r\n"),
    field_lines("name in Latin-1", b"\xe4: x\r\n"),
    field_lines("no-break space behind a name", b"A\xa0: x\r\n"),
    field_lines("name with brackets and slashes", b"a[0]/(b): x\r\n", ("a[0]/(b)", "x")),
    field_lines("name of 60,000 octets", b"A" * 60000 + b": x\r\n", ("A" * 60000, "x")),
    field_lines("empty value", b"A:\r\nB: \t \r\n", ("A", ""), ("B", "")),
    field_lines("no space before the value", b"A:b\r\n", ("A", "b")),
    field_lines("colons in a value", b"A: b: c:\r\n", ("A", "b: c:")),
    field_lines("white space around a value", b"A: \t b \t \r\n", ("A", "b")),
    field_lines("other white space around a value", b"A: \x0b\xa0b\x85\x0c\r\n", ("A", "\x0b\xa0b\x85\x0c")),
    field_lines("value in Latin-1", b"A: \xe4\xff\x80\r\n", ("A", "\xe4\xff\x80")),
    field_lines("value in UTF-8", "A: ä\r\n".encode(), ("A", "Ã¤")),
    field_lines("bare CR does not make a field", b"A: x\rSet-Cookie: y\r\n", ("A", "x Set-Cookie: y")),
    field_lines("CR twice does not either", b"A: x\r\rSet-Cookie: y\r\r\n", ("A", "x  Set-Cookie: y")),
    field_lines("LF does", b"A: x\nSet-Cookie: y\n", ("A", "x"), ("Set-Cookie", "y")),
    field_lines("NUL in a value", b"A: x\0y\r\n", ("A", "x y")),
    field_lines("ESC in a value", b"A: x\x1b[2Jy\r\n", ("A", "x\x1b[2Jy")),
    field_lines("other separators are no line ends", b"A: x\x0b\x0c\x1c\x1d\x85y\r\n", ("A", "x\x0b\x0c\x1c\x1d\x85y")),
    field_lines("those of Unicode neither", "A: x\u2028y\r\n".encode(), ("A", "x\xe2\x80\xa8y")),
    field_lines("folded value", b"A: x\r\n  y\r\n\tz\r\n", ("A", "x y z")),
    field_lines("folded with LF", b"A: x\n y\n", ("A", "x y")),
    field_lines("folded before the value", b"A:\r\n x\r\n", ("A", "x")),
    field_lines("fold that looks like a field", b"A: x\r\n Set-Cookie: y\r\n", ("A", "x Set-Cookie: y")),
    field_lines("fold of white space, which is no empty line", b"A: x\r\n \r\n\t\r\n", ("A", "x")),
    field_lines("fold of a line that is left out", b"nonsense\r\n folded: x\r\n"),
    field_lines("fold before the first field", b" A: x\r\n"),
    field_lines("CR CR LF is no empty line", b"\r\r\nA: x\r\n", ("A", "x")),
    field_lines("order, case and duplicates are kept", b"b: 1\r\nA: 2\r\nB: 3\r\n", ("b", "1"), ("A", "2"), ("B", "3")),
    field_lines("two cookies", b"Set-Cookie: a=1\r\nset-cookie: b\r\n", ("Set-Cookie", "a=1"), ("set-cookie", "b")),
    field_lines("a line of 65,536 octets", b"A: " + b"x" * 65531 + b"\r\n", ("A", "x" * 65531)),
    broken("a line of 65,537 octets", OK + b"A: " + b"x" * 65532 + b"\r\n" + ONE, LONG_LINE, "header line"),
    broken("a field without end", OK + b"A: " + LONG, LONG_LINE, "header line"),
    field_lines("a hundred fields", b"A: b\r\n" * 99, *[("A", "b")] * 99),
    broken("a hundred and one fields", OK + b"A: b\r\n" * 100 + ONE, HTTP, "got more than 100 headers"),
    broken("a hundred lines that fold", OK + b"A: b\r\n" + b" c\r\n" * 100 + ONE, HTTP, "got more than 100 headers"),
    broken("a hundred lines that are none", OK + b"nonsense\r\n" * 100 + ONE, HTTP, "got more than 100 headers"),
    broken("fields without end", OK + b"A: b\r\n" * 9999, HTTP, "got more than 100 headers"),
]

LENGTHS = [
    length("length", b" 3"),
    length("length without a space", b"3"),
    length("length among white space", b" \t3\t "),
    length("length with leading zeros", b" 0000000000000000003"),
    length("folded length", b"\r\n 3"),
    length("length twice the same", b" 3\r\ncontent-length: 3"),
    length("length twice the same, written differently", b" 3\r\nCONTENT-LENGTH: 03"),
    length("list of equal lengths", b" 3, 3,3"),
    length("list with empty members", b" ,3, ,"),
    no_length("negative length", b" -1"),
    no_length("negative zero", b" -0"),
    no_length("signed length", b" +1"),
    no_length("length with an underscore", b" 1_0"),
    no_length("hexadecimal length", b" 0x1"),
    no_length("length with a letter", b" 1a"),
    no_length("length with a fraction", b" 1.0"),
    no_length("length with an exponent", b" 1e0"),
    no_length("length in quotes", b' "1"'),
    no_length("length with a parameter", b" 1;x"),
    no_length("two numbers", b" 1 1"),
    no_length("length folded in the middle", b" 1\r\n 0"),
    no_length("empty length", b" "),
    no_length("length behind a no-break space", b" \xa01"),
    no_length("length behind a vertical tab", b" \x0b1"),
    no_length("length before NEL", b" 1\x85"),
    no_length("length in other digits", b" \xb9"),
    no_length("length in Arabic digits", " ٣".encode()),
    no_length("length with NUL", b" 1\x002"),
    no_length("length of 5,000 digits", b" " + b"9" * 5000),
    until_close("length in the name of another field", OK + b"X-Content-Length: 1\r\n\r\nabc", b"abc"),
    until_close("space before the colon of the length", OK + b"Content-Length : 1\r\n\r\nabc", b"abc"),
    until_close("length in a fold", OK + b"A: b\r\n Content-Length: 1\r\n\r\nabc", b"abc"),
    until_close("length behind a bare CR", OK + b"A: b\rContent-Length: 1\r\n\r\nabc", b"abc"),
    until_close("length behind a form feed", OK + b"A: b\x0cContent-Length: 1\r\n\r\nabc", b"abc"),
    until_close("a name that only looks alike", OK + b"Content\xadLength: 1\r\n\r\nabc", b"abc"),
    until_close("no length", OK + b"\r\nabc", b"abc", length=None),
    until_close("no length, nothing", OK + b"\r\n", b"", length=None),
    lengths_differ("lengths that differ", b"1", b"2"),
    lengths_differ("list of other lengths", b"1, 2"),
    lengths_differ("three lengths", b"3", b"3", b"2"),
    lengths_differ("a length and none", b"3", b""),
    lengths_differ("a length and something else", b"3", b"+3"),
    lengths_differ("a length and a negative one", b"-3", b"3"),
    cut("less than the length", OK + b"Content-Length: 10\r\n\r\nabc", b"abc", INCOMPLETE, "7 more expected"),
    cut(
        "length of 20 digits",
        OK + b"Content-Length: 18446744073709551617\r\n\r\nabc",
        b"abc",
        INCOMPLETE,
        "18446744073709551614 more expected",
    ),
    cut("nothing of the length", OK + b"Content-Length: 10\r\n\r\n", b"", INCOMPLETE, "10 more expected"),
    cut(
        "a gigabyte announced, ten octets sent",
        OK + b"Content-Length: 1000000000\r\n\r\n0123456789",
        b"0123456789",
        INCOMPLETE,
        "(10 bytes read, 999999990 more expected)",
    ),
    cut(
        "a length that no memory holds",
        OK + b"Content-Length: 9223372036854775808\r\n\r\nabc",
        b"abc",
        INCOMPLETE,
        "(3 bytes read, 9223372036854775805 more expected)",
    ),
]

NO_CONTENT = [
    whole("204 with content", b"HTTP/1.1 204 No\r\n" + NONE, status=204, length=0),
    whole("204 with a length", b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", status=204, length=0),
    whole("204 with lengths that differ", b"HTTP/1.1 204 No\r\nContent-Length: 1, 2\r\n\r\n", status=204),
    whole("204 in chunks", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", status=204),
    whole("204 without fields", b"HTTP/1.1 204 No\r\n\r\n", status=204, will_close=False),
    whole("304 with a length", b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", status=304, length=0),
    whole("304 in chunks", b"HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n", status=304),
    whole("205 with content", b"HTTP/1.1 205 Reset\r\n" + ONE, b"a", status=205),
    whole("HEAD", OK + b"Content-Length: 9\r\n\r\n", method="HEAD", status=200, length=0),
    whole("HEAD without a length", OK + b"\r\n", method="HEAD", will_close=False),
    whole("HEAD in chunks", CHUNKED, method="HEAD", status=200),
    whole("HEAD with a length that cannot be read", OK + b"Content-Length: x\r\n\r\n", method="HEAD"),
    whole("HEAD in HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD", will_close=True),
    whole("CONNECT", b"HTTP/1.1 200 Go\r\n\r\n", method="CONNECT", status=200),
    whole("CONNECT with a length", b"HTTP/1.1 200 Go\r\nContent-Length: 9\r\n\r\n", method="CONNECT"),
    whole("CONNECT in chunks", CHUNKED, method="CONNECT"),
]

# None of this belongs to the response, and it must answer no later request.
EXCESS = [
    whole("304 with content", b"HTTP/1.1 304 Same\r\nContent-Length: 3\r\n\r\nabc", will_close=False, status=304),
    whole("HEAD with content", OK + b"Content-Length: 3\r\n\r\nabc", method="HEAD", status=200),
    whole("HEAD with chunks", CHUNKED + b"3\r\nabc\r\n" + LAST, method="HEAD", status=200),
    whole("more than the length", OK + b"Content-Length: 1\r\n\r\nabc", b"a"),
    whole("content behind the last chunk", CHUNKED + b"1\r\na\r\n" + LAST + b"abc", b"a"),
    whole("CRLF behind the content", OK + ONE + b"\r\n", b"a"),
]
NO_CONTENT += [replace(row, has_excess=True) for row in EXCESS]

CODINGS = [
    coding("chunked", b" chunked"),
    coding("chunked without a space", b"chunked"),
    coding("chunked in upper case", b" CHUNKED"),
    coding("chunked among white space", b" \tchunked\t "),
    coding("chunked in a fold", b"\r\n chunked"),
    coding("chunked, and an empty member", b" ,chunked, "),
    coding("chunked twice", b" chunked, chunked"),
    coding("gzip, chunked", b" gzip, chunked"),
    coding("gzip and chunked in two fields", b" gzip\r\nTransfer-Encoding: chunked"),
    coding("identity, chunked", b" identity, chunked"),
    coding("chunked, identity", b" chunked, identity"),
    coding("a coding, and a length", b" chunked\r\nContent-Length: 1", will_close=True),
    coding("a length, and a coding", b" chunked\r\nContent-Length: 999", will_close=True),
    coding("a coding, and a length that cannot be read", b" chunked\r\nContent-Length: x", will_close=True),
    coding("a coding, and lengths that differ", b" chunked\r\nContent-Length: 1, 2", will_close=True),
    whole(
        "chunked in HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + LAST,
        b"a",
        chunked=True,
        will_close=True,
    ),
    other_coding("chunked, gzip", b" chunked, gzip"),
    other_coding("gzip", b" gzip"),
    other_coding("unknown coding", b" xchunked"),
    other_coding("chunked with a parameter", b" chunked;q=1"),
    other_coding("chunked in quotes", b' "chunked"'),
    other_coding("chunked behind a vertical tab", b" \x0bchunked"),
    other_coding("chunked behind a no-break space", b" \xa0chunked"),
    other_coding("chunked with NUL", b" chunk\0ed"),
    other_coding("chunked, folded in the middle", b" chun\r\n ked"),
    other_coding("half a word", b" chunk"),
    other_coding("gzip and chunked in two fields, the wrong way round", b" chunked\r\nTransfer-Encoding: gzip"),
    other_coding("unknown coding, and a length", b" xchunked\r\nContent-Length: 1"),
    whole("identity, and a length", OK + b"Transfer-Encoding: identity\r\n" + ONE, b"a", chunked=False, length=1),
    whole("empty coding, and a length", OK + b"Transfer-Encoding:\r\n" + ONE, b"a", chunked=False, length=1),
    whole("space before the colon of the coding", OK + b"Transfer-Encoding : chunked\r\n" + ONE, b"a", chunked=False),
    whole("coding behind a bare CR", OK + b"A: b\rTransfer-Encoding: chunked\r\n" + ONE, b"a", chunked=False),
]

CHUNKS = [
    chunks("chunks", b"1\r\na\r\n2\r\nbc\r\n" + LAST, b"abc"),
    chunks("no content", LAST, b""),
    chunks("hexadecimal sizes", b"A\r\n0123456789\r\n00b\r\n0123456789a\r\n" + LAST, b"01234567890123456789a"),
    chunks("size of 16 digits", b"0000000000000001\r\na\r\n" + LAST),
    chunks("last chunk of many zeros", b"1\r\na\r\n0000\r\n\r\n"),
    chunks("extensions", b'1;a=b;c="d"\r\na\r\n0;e\r\n\r\n'),
    chunks("extension with white space", b"1 ; a = b \r\na\r\n" + LAST),
    chunks("extension that is empty", b"1;\r\na\r\n" + LAST),
    chunks("extension with NUL and more", b"1;\0\xff\x0b\r\na\r\n" + LAST),
    chunks("extensions of 65,000 octets", b"1;" + b"x" * 65000 + b"\r\na\r\n" + LAST),
    chunks("padded size", b"1   \r\na\r\n" + LAST),
    chunks("padded size, on the left", b" \t1\r\na\r\n" + LAST),
    chunks("LF behind the size", b"1\na\r\n" + LAST),
    chunks("LF behind the sizes and the trailers", b"1\na\r\n0\n\n"),
    chunks("data that looks like chunks", b"5\r\n0\r\n\r\n\r\n" + LAST, b"0\r\n\r\n"),
    chunks("data that looks like a response", b"%x\r\n%b\r\n" % (len(SURPLUS), SURPLUS) + LAST, SURPLUS),
    chunks("two hundred chunks", b"1\r\na\r\n" * 200 + LAST, b"a" * 200),
    chunks("trailers", b"1\r\na\r\n0\r\nA: b\r\na: c\r\n\r\n", b"a", [("A", "b"), ("a", "c")]),
    chunks("a hundred trailers", b"1\r\na\r\n0\r\n" + b"A: b\r\n" * 100 + b"\r\n", b"a", [("A", "b")] * 100),
    chunks("trailer that is folded", b"0\r\nA: b\r\n c\r\n\r\n", b"", [("A", "b c")]),
    chunks("trailer that is none", b"0\r\nnonsense\r\nA: b\r\n\r\n", b"", [("A", "b")]),
    chunks("trailer with a bare CR", b"0\r\nA: b\rC: d\r\n\r\n", b"", [("A", "b C: d")]),
    chunks("trailers with LF", b"0\nA: b\n\n", b"", [("A", "b")]),
    chunks(
        "trailers change no framing",
        b"1\r\na\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n",
        b"a",
        [("Content-Length", "9"), ("Transfer-Encoding", "gzip"), ("Connection", "close")],
    ),
    whole("trailers are no fields", CHUNKED + b"0\r\nA: b\r\n\r\n", fields=[("Transfer-Encoding", "chunked")]),
    chunks("an empty chunk is the last one", b"1\r\na\r\n0\r\n5\r\nhello\r\n\r\n", b"a", []),
    no_size("no size", b"\r\n"),
    no_size("no size, but an extension", b";a=b\r\n"),
    no_size("size with a sign", b"+1\r\n"),
    no_size("negative size", b"-1\r\n"),
    no_size("negative zero as size", b"-0\r\n"),
    no_size("size with 0x", b"0x1\r\n"),
    no_size("size with 0X", b"0X1\r\n"),
    no_size("size with an underscore", b"1_0\r\n"),
    no_size("size with h", b"1h\r\n"),
    no_size("size with a fraction", b"1.0\r\n"),
    no_size("size in quotes", b'"1"\r\n'),
    no_size("size of other letters", b"g\r\n"),
    no_size("size in other digits", b"\xb9\r\n"),
    no_size("size in Arabic digits", "٢\r\n".encode()),
    no_size("size behind a vertical tab", b"\x0b1\r\n"),
    no_size("size behind a no-break space", b"\xa01\r\n"),
    no_size("size before a form feed", b"1\x0c\r\n"),
    no_size("size with NUL", b"1\0\r\n"),
    no_size("two sizes", b"1 1\r\n"),
    no_size("size with a comma", b"1,1\r\n"),
    no_size("bare CR behind the size", b"1\ra\r\n"),
    no_size("CR twice behind the size", b"1\r\r\n"),
    no_size("bare CR in an extension", b"1;a\rb\r\n"),
    no_size("empty line first", b"\r\n1\r\n"),
    no_size("a head instead of a size", OK),
    no_size("size of 17 digits", b"00000000000000001\r\n"),
    no_size("size of 5,000 digits", b"1" * 5000 + b"\r\n"),
    no_data_end("data longer than its size", b"1\r\nabc\r\n" + LAST),
    no_data_end("data without line end", b"1\r\na0\r\n\r\n"),
    no_data_end("LF alone behind the data", b"1\r\na\n" + LAST),
    no_data_end("data of one octet less than its size", b"2\r\na\r\n" + LAST, b"a\r"),
    no_data_end("CR alone behind the data", b"1\r\na\r1\r\nb\r\n" + LAST),
    no_data_end("CR twice behind the data", b"1\r\na\r\r\n" + LAST),
    no_data_end("a space behind the data", b"1\r\na \r\n" + LAST),
    no_data_end("an empty line too many", b"1\r\na\r\n\r\n1\r\nb\r\n" + LAST),
    no_data_end("a bad size behind good chunks", b"1\r\na\r\n2\r\nbc\r\nzz\r\n" + LAST, b"abc"),
    cut("no chunk at all", CHUNKED, b"", INCOMPLETE, "(0 bytes read)"),
    cut("end within a chunk", CHUNKED + b"2\r\nab\r\n5\r\nabc", b"ababc", INCOMPLETE, "(5 bytes read)"),
    cut("end behind the data", CHUNKED + b"2\r\nab", b"ab", INCOMPLETE, "(2 bytes read)"),
    cut("end behind a chunk", CHUNKED + b"2\r\nab\r\n", b"ab", INCOMPLETE, "(2 bytes read)"),
    cut("end within a size", CHUNKED + b"2\r\nab\r\n1", b"ab", INCOMPLETE, "(2 bytes read)"),
    cut("end within the last size", CHUNKED + b"2\r\nab\r\n0", b"ab", INCOMPLETE, "(2 bytes read)"),
    cut("no end behind the last chunk", CHUNKED + b"1\r\na\r\n0\r\n", b"a"),
    cut("end within the trailers", CHUNKED + b"1\r\na\r\n0\r\nA: b\r\n", b"a"),
    cut("the largest chunk", CHUNKED + b"FFFFFFFFFFFFFFFF\r\nabc", b"abc", INCOMPLETE, "(3 bytes read)"),
    cut("a chunk of 2 GB", CHUNKED + b"80000000\r\nabc", b"abc", INCOMPLETE, "(3 bytes read)"),
    broken("too long a size line", CHUNKED + b"1;" + LONG, LONG_LINE, "chunk size"),
    broken("a size without end", CHUNKED + b"1" * 100_000, LONG_LINE, "chunk size"),
    broken(
        "extensions without end",
        CHUNKED + (b"1;" + b"x" * 30000 + b"\r\na\r\n") * 4,
        HTTP,
        "got more than 65536 bytes of chunk extensions",
        b"aa",
    ),
    broken("too long a trailer", CHUNKED + b"0\r\nA: " + LONG, LONG_LINE, "trailer line"),
    broken("too many trailers", CHUNKED + b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n", HTTP, "got more than 100 trailers"),
    broken("trailers without end", CHUNKED + b"0\r\n" + b"A: b\r\n" * 9999, HTTP, "got more than 100 trailers"),
]


def after(*lines: bytes) -> bytes:
    """Interim responses with these status lines, and the final one behind them."""
    return b"".join(b"HTTP/1.1 " + line + b"\r\n\r\n" for line in lines) + OK + ONE


INTERIM = [
    whole("100 first", after(b"100 Continue"), b"a", status=200),
    whole("102 first", after(b"102 Processing"), b"a", status=200),
    whole("103 with fields first", after(b"103 Early Hints\r\nLink: x\r\nLink: y"), b"a", status=200),
    whole("199 first", after(b"199 What"), b"a", status=200),
    whole("several of them", after(b"100 Continue", b"103 Hints", b"103 Hints"), b"a", status=200),
    whole("one of HTTP/1.0", b"HTTP/1.0 100 Continue\r\n\r\n" + OK + ONE, b"a", status=200),
    whole("one with LF", b"HTTP/1.1 100 Continue\n\n" + OK + ONE, b"a", status=200),
    whole("one with a length", after(b"102 P\r\nContent-Length: 9"), b"a", status=200),
    whole("one in chunks", after(b"102 P\r\nTransfer-Encoding: chunked"), b"a", status=200),
    whole("one that closes", after(b"103 P\r\nConnection: close"), b"a", status=200, will_close=False),
    whole("99 of them", after(*[b"102 P"] * 99), b"a", status=200),
    broken("100 of them", after(*[b"102 P"] * 100), HTTP, "interim responses"),
    broken("100 times 100", after(*[b"100 Continue"] * 100), HTTP, "interim responses"),
    broken("interim responses without end", b"HTTP/1.1 102 P\r\n\r\n" * 3000, HTTP, "interim responses"),
    broken("one with content", b"HTTP/1.1 102 P\r\nContent-Length: 3\r\n\r\nabc\r\n" + OK + ONE, STATUS, "abc"),
    broken("garbage behind one", b"HTTP/1.1 100 Continue\r\n\r\ngarbage\r\n\r\n", STATUS, "garbage"),
    broken("an empty line behind one", b"HTTP/1.1 100 Continue\r\n\r\n\r\n" + OK + ONE, STATUS, "\r\n"),
    broken("too many fields in one", after(b"103 P" + b"\r\nA: b" * 101), HTTP, "got more than 100 headers"),
    broken("too long a field in one", after(b"103 P\r\nA: " + LONG), LONG_LINE, "header line"),
    cut("nothing behind 100", b"HTTP/1.1 100 Continue\r\n\r\n", b"", GONE, "without response"),
    cut("nothing behind 103", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", b"", fields=[("Link", "x")], status=103),
    cut("half a line behind 103", b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1", b"", STATUS, "HTTP/1"),
    whole("101", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", status=101),
    whole("101 with a length", b"HTTP/1.1 101 Switching\r\nContent-Length: 9\r\n\r\n", status=101),
    whole("101 behind 100", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching\r\n\r\n", status=101),
]


def kept(name: str, version: bytes, lines: bytes, is_kept: bool) -> Row:
    """A response with a length, after which the connection can be used again, or not."""
    return whole(name, version + b" 200 OK\r\n" + lines + ONE, b"a", will_close=not is_kept)


CONNECTIONS = [
    kept("close", b"HTTP/1.1", b"Connection: close\r\n", False),
    kept("close in a list", b"HTTP/1.1", b"Connection: x, Close\r\n", False),
    kept("close in a second field", b"HTTP/1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
    kept("close, and keep-alive", b"HTTP/1.1", b"Connection: close, keep-alive\r\n", False),
    kept("a word that contains close", b"HTTP/1.1", b"Connection: disclosed\r\n", True),
    kept("close in a fold", b"HTTP/1.1", b"Connection: x,\r\n close\r\n", False),
    kept("HTTP/1.0 with keep-alive", b"HTTP/1.0", b"Connection: Keep-Alive\r\n", True),
    kept("HTTP/1.0 with close and keep-alive", b"HTTP/1.0", b"Connection: close, keep-alive\r\n", False),
    kept("HTTP/1.0 with another option", b"HTTP/1.0", b"Connection: keep\r\n", False),
    until_close("no length, and keep-alive", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc", b"abc"),
]

ROWS = START_LINES + FIELDS + LENGTHS + NO_CONTENT + CODINGS + CHUNKS + INTERIM + CONNECTIONS
