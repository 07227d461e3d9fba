"""A field line is looked at once in a session; what is written is the same as if each was looked at anew."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor

ORIGIN = Origin("http", "api.example.com", 80)
TOKEN = b"Zx81kq0PwmVt5uYr2LsB"
OTHER = b"q7TnE4hGm0cXaW9dKf3v"
# A line that is folded is unusual: of such a head all is looked at.
UNUSUAL = b"X-Folded: a\r\n b"

# The field that says so is familiar soon, and what it is about is not.
DEFLATED = zlib.compress(b'{"echo": "' + TOKEN + b'"}')
IN_CHUNKS = b"c\r\n" + TOKEN[:12] + b"\r\n8\r\n" + TOKEN[12:] + b"\r\n0\r\n\r\n"
IN_EBCDIC = TOKEN.decode().encode("cp037")

SENT = (
    b"Host: api.example.com",
    b"Accept: application/json",
    b"Authorization: Bearer " + TOKEN,
    b"Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U=",
    b"Cookie: sid=" + OTHER + b"; theme=dark",
    b"Cookie: theme=dark",
    b"X-Api-Key: " + OTHER,
    b"X-Echo: " + TOKEN,
    b"Referer: http://api.example.com/?access_token=" + OTHER + b"&page=2",
)
RECEIVED = (
    b"Content-Type: application/json",
    b"Content-Type: text/plain; charset=cp037",
    b"Content-Encoding: deflate",
    b"Transfer-Encoding: chunked",
    b"Server: nginx",
    b"Set-Cookie: theme=dark; Path=/",
    b"Set-Cookie: sid=" + TOKEN + b"; Path=/; HttpOnly",
    b"Location: /callback?code=" + OTHER,
    b"X-Echo: " + OTHER,
    b"X-Request-Id: 4a84eb038d1fd9b7",
)
BODIES = (
    b"",
    b'{"id": 1}',
    b'{"password": "correct horse"}',
    b'{"echo": "' + TOKEN + b'"}',
    DEFLATED,
    IN_CHUNKS,
    IN_EBCDIC,
)

# What some of them mean depends on others.
PAIRS = (
    *(b"page=2", b"", b"token", b"api_key=", b"token=" + TOKEN, b"token={{secret:1}}", b"api_key=" + OTHER),
    *(b"q=" + TOKEN, b"code=a1B2c3", b"state=xyz", b"nonce=q1w2e3r4", b"timestamp=1700000000"),
    *(b"id_token=maple", b"oauth_token=maple", b"signature=abc123", b"X-Amz-Signature=0f1e2d3c"),
)

exchanges = st.tuples(
    st.builds(
        lambda path, pairs: path + b"?" + b"&".join(pairs) if pairs else path,
        st.sampled_from([b"/", b"/items", b"/tokens/" + OTHER]),
        st.lists(st.sampled_from(PAIRS), max_size=3),
    ),
    st.lists(st.sampled_from(SENT), max_size=5),
    st.lists(st.sampled_from(RECEIVED), max_size=5),
    st.sampled_from(BODIES),
)


def redacted(redactor: Redactor, exchange: tuple[bytes, list[bytes], list[bytes], bytes], last: bytes) -> bytes:
    """What is written of an exchange whose heads end with the line `last`, and that sends what it gets."""
    target, sent, received, body = exchange
    lines = [b"POST %b HTTP/1.1" % target, *sent, *received[:2], b"Content-Length: %d" % len(body), last]
    answer = [b"HTTP/1.1 200 OK", *received, b"Content-Length: %d" % len(body), last]
    request = Request(ORIGIN, b"\r\n".join(lines) + b"\r\n\r\n", body)
    track = Track((Piece(b"\r\n".join(answer) + b"\r\n\r\n" + body),))
    written = redactor.redact(Interaction(ORIGIN, request, track))
    assert written.request is not None
    octets = written.request.head_octets + written.request.body_octets + written.track.octets
    return octets.replace(last, b"")


def matched(redactor: Redactor, exchange: tuple[bytes, list[bytes], list[bytes], bytes], last: bytes) -> bytes:
    """The form in which a request is matched whose head ends with the line `last`, and whose body is that."""
    target, sent, received, body = exchange
    lines = [b"POST %b HTTP/1.1" % target, *sent, *received, b"Content-Length: %d" % len(body), last]
    request = redactor.redact_request(Request(ORIGIN, b"\r\n".join(lines) + b"\r\n\r\n", body))
    return (request.head_octets + request.body_octets).replace(last, b"")


@given(st.lists(exchanges, min_size=3, max_size=12))
def test_what_is_matched_does_not_depend_on_what_was_looked_at_before(
    session: list[tuple[bytes, list[bytes], list[bytes], bytes]],
) -> None:
    quick, thorough = Redactor(), Redactor()
    for exchange in session * 2:
        assert matched(quick, exchange, b"X-Plain: a") == matched(thorough, exchange, UNUSUAL)


@given(st.lists(exchanges, min_size=3, max_size=12))
def test_what_is_written_does_not_depend_on_what_was_looked_at_before(
    session: list[tuple[bytes, list[bytes], list[bytes], bytes]],
) -> None:
    # Where a rule could find anything, each message is taken apart.
    quick, thorough = Redactor(), Redactor(redact=[re.compile("no such text")])
    for exchange in session * 2:
        assert redacted(quick, exchange, b"X-Plain: a") == redacted(thorough, exchange, UNUSUAL)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        pytest.param(b"Content-Type: application/json", b'{"echo": "' + TOKEN + b'"}', id="plain"),
        pytest.param(b"Content-Encoding: deflate", DEFLATED, id="deflated"),
        pytest.param(b"Transfer-Encoding: chunked", IN_CHUNKS, id="in chunks"),
        pytest.param(b"Content-Type: text/plain; charset=cp037", IN_EBCDIC, id="in another character set"),
    ],
)
def test_no_secret_is_left_where_its_lines_are_familiar(line: bytes, body: bytes) -> None:
    redactor = Redactor()
    exchange = (b"/", list(SENT), [b"Set-Cookie: sid=" + TOKEN, line], body)
    first, *others = [redacted(redactor, exchange, b"X-Plain: a") for _ in range(4)]
    assert others == [first] * 3
    for secret in (TOKEN, OTHER, body):
        assert secret not in first


def redacted_answer(redactor: Redactor, body: bytes, *fields: bytes) -> bytes:
    request = Request(ORIGIN, b"\r\n".join([b"GET / HTTP/1.1", b"Host: api.example.com", *fields, b"", b""]))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    redacted = redactor.redact(Interaction(ORIGIN, request, Track((Piece(head + body),))))
    assert redacted.request is not None
    return redacted.request.head_octets + redacted.track.octets


def test_secrets_are_found_however_many_lines_names_and_words_were_seen() -> None:
    """What is remembered of them is forgotten at some number: here, of each."""
    redactor = Redactor()
    for number in range(12):
        first, last = 2000 * number, 2000 * (number + 1)
        fields = [b"X-%d: %d" % (each, each) for each in range(first, last, 40)]
        names = b", ".join(b'"n%x": 1' % each for each in range(first, last))
        words = b"\n".join(b"word%x other%x" % (each, each) for each in range(first, last))
        secret = b"mint-Tea%d" % number
        for body in (b'{%b, "password": "%b"}' % (names, secret), words + b"\nthe password: %b\n" % secret):
            written = redacted_answer(redactor, body, *fields, b"X-Api-Key: %b" % secret)
            assert secret not in written
            assert written.count(b"{{secret:%d}}" % (number + 1)) == 2


def test_secrets_are_found_again_however_many_are_known() -> None:
    redactor = Redactor()
    secrets = [b"maple/Syrup%d+" % number for number in range(2100)]
    for start in range(0, len(secrets), 100):
        known = b", ".join(b'{"token": "%b"}' % secret for secret in secrets[start : start + 100])
        redacted_answer(redactor, b"[" + known + b"]")
    for secret in (secrets[0], secrets[-1]):
        percent_encoded = secret.replace(b"/", b"%2F").replace(b"+", b"%2B")
        written = redacted_answer(redactor, b"it is %b, %b\n" % (secret, percent_encoded))
        assert b"Syrup" not in written
