"""What the client makes of responses that break the rules: each row of the table, however it arrives and is read."""

from __future__ import annotations

import io
import itertools
import signal
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from cassette_http import client
from tests.client.conftest import answering
from tests.client.exchanges import SURPLUS, WAYS, Outcome, Then, exchange
from tests.client.hostile_table import CHUNKED, CHUNKS, ROWS, Kind, Row, wrong

LIMIT_S = 20
MAX_GROWTH_OCTETS = 64 << 20

ROW = pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
WAY = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    """Nothing that a peer sends may keep the client busy for ever."""
    is_possible = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not is_possible:
        yield
        return

    def stop(*event: Any) -> None:
        raise AssertionError(f"the client did not come back within {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def expected_error(row: Row, then: Then, way: str) -> tuple[type[Exception], str] | None:
    """What the client has to raise, and part of its text; None for an answer."""
    if row.kind is Kind.WHOLE:
        return None
    if row.kind is Kind.BROKEN:
        return row.error
    if then is Then.RESET:
        return ConnectionResetError, "as played"
    if then is Then.SILENCE:
        return TimeoutError, "as played"
    # As in http.client, only read() notices that content of a known length is missing.
    return None if row.is_short and way != "read()" else row.error


def check(row: Row, then: Then, way: str, outcome: Outcome) -> None:
    """The outcome is not just right, but exactly the one in the table."""
    expected, error = expected_error(row, then, way), outcome.error
    if expected is None:
        assert error is None, repr(error)
        assert outcome.is_ended
        surplus = SURPLUS if row.kind is Kind.UNTIL_CLOSE and then is Then.SURPLUS else b""
        assert outcome.content == row.content + surplus
        assert {name: outcome.facts[name] for name in row.facts} == row.facts
        assert row.fields is None or outcome.fields == row.fields
        assert row.trailers is None or outcome.response.trailers.items() == row.trailers
        return
    kind, text = expected
    assert type(error) is kind, repr(error)
    if kind is not client.IncompleteRead:
        assert text in str(error)
    elif way == "read()":
        # What an earlier read has returned is not part of the exception.
        assert text in str(error)
        assert isinstance(error, client.IncompleteRead)
        assert error.partial == row.content


@ROW
def test_response_is_read_right_and_followed_by_nothing_foreign(row: Row) -> None:
    small = 1 if len(row.octets) < 4096 else 1009
    for way, then, step in itertools.product(WAYS, Then, (sys.maxsize, small)):
        outcome = exchange(client, row.octets, then, WAYS[way], row.method, step)
        assert wrong(row, then, way, outcome) is None, (way, then, step)
        if row.kind is Kind.CUT and then is Then.SURPLUS:
            continue
        check(row, then, way, outcome)
        if then in (Then.SILENCE, Then.SURPLUS):
            assert outcome.second == b"SECOND", (way, then, step)
        if then is Then.SILENCE:
            assert outcome.streams == (1 if row.keeps_connection else 2), (way, step)


@ROW
def test_response_over_tcp(connect: Any, row: Row) -> None:
    connection = connect(answering(row.octets))
    outcome = Outcome()
    try:
        connection.request(row.method, "peer.example:80" if row.method == "CONNECT" else "/")
        response = outcome.response = connection.getresponse()
        outcome.facts = {name: getattr(response, name) for name in row.facts}
        outcome.fields = response.getheaders()
        outcome.content = response.read()
        outcome.is_ended = response.isclosed()
    except Exception as error:
        outcome.error = error
    check(row, Then.END, "read()", outcome)


class File:
    """A socket that plays octets through `makefile` alone, as programs use to parse responses from memory."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.octets))


@ROW
def test_response_from_a_file(row: Row) -> None:
    for way, read in WAYS.items():
        outcome = Outcome()
        response = outcome.response = client.HTTPResponse(File(row.octets), method=row.method)
        try:
            response.begin()
            outcome.facts = {name: getattr(response, name) for name in row.facts}
            outcome.fields = response.getheaders()
            outcome.content = b"".join(read(response))
            outcome.is_ended = response.isclosed()
        except Exception as error:
            outcome.error = error
        finally:
            response.close()
        check(row, Then.END, way, outcome)


# --- wherever a response breaks off ---------------------------------------------------------------------------------

MESSAGE = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n"
)
CONTENT = b"abc0123456789"


@WAY
@pytest.mark.parametrize("then", [Then.END, Then.RESET, Then.SILENCE], ids=lambda then: then.value)
def test_cut_at_any_octet_the_response_is_whole_or_an_error(then: Then, way: str) -> None:
    for position in range(len(MESSAGE)):
        outcome = exchange(client, MESSAGE[:position], then, WAYS[way])
        assert CONTENT.startswith(outcome.content)
        if then is Then.END and outcome.error is None and outcome.facts["status"] == 200:
            # The end may be missing behind the head, which is then all there is, and behind the last chunk.
            assert outcome.content == CONTENT or outcome.facts["chunked"] is False
        elif then is Then.END:
            assert outcome.error is None or isinstance(outcome.error, client.HTTPException)
        else:
            assert type(outcome.error) is (TimeoutError if then is Then.SILENCE else ConnectionResetError)
            assert outcome.second in (None, b"SECOND")


@WAY
def test_in_steps_of_any_size_the_response_is_the_same(way: str) -> None:
    for step in range(1, len(MESSAGE) + 1):
        outcome = exchange(client, MESSAGE, Then.SURPLUS, WAYS[way], step=step)
        assert (outcome.content, outcome.error, outcome.second) == (CONTENT, None, b"SECOND")
        assert outcome.response.trailers.items() == [("Sum", "1")]
        assert [one.status for one in outcome.response.interim_responses] == [103]


# --- what stays broken, and what it costs ---------------------------------------------------------------------------


def test_broken_chunks_raise_at_each_read(connect: Any) -> None:
    connection = connect(answering(CHUNKED + b"1\r\na\r\nzz\r\n"))
    connection.request("GET", "/")
    response = connection.getresponse()
    for partial in (b"a", b"", b""):
        with pytest.raises(client.IncompleteRead) as caught:
            response.read()
        assert caught.value.partial == partial
    response.close()
    assert response.read() == b""


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in CHUNKS if row.kind is Kind.BROKEN])
def test_an_error_in_the_content_is_final(row: Row) -> None:
    for first, second in itertools.product(WAYS.values(), repeat=2):
        response = client.HTTPResponse(File(row.octets), method=row.method)
        response.begin()
        for read in (first, second):
            with pytest.raises(client.HTTPException):
                b"".join(read(response))
        response.close()


@WAY
@pytest.mark.parametrize(
    "name",
    [
        "a gigabyte announced, ten octets sent",
        "a length that no memory holds",
        "a chunk of 2 GB",
        "the largest chunk",
        "length of 5,000 digits",
        "size of 5,000 digits",
        "extensions without end",
        "trailers without end",
        "interim responses without end",
    ],
)
def test_a_claim_costs_no_memory(name: str, way: str) -> None:
    (row,) = [row for row in ROWS if row.name == name]
    tracemalloc.start()
    try:
        exchange(client, row.octets, Then.END, WAYS[way])
        assert tracemalloc.get_traced_memory()[1] < MAX_GROWTH_OCTETS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a gigabyte announced, ten octets sent", "a chunk of 2 GB"])
def test_a_large_buffer_to_read_into_is_filled_with_what_comes(name: str) -> None:
    (row,) = [row for row in ROWS if row.name == name]
    buffer = bytearray(4 << 20)

    def into_one(response: Any) -> Iterator[bytes]:
        yield bytes(buffer[: response.readinto(buffer)])

    outcome = exchange(client, row.octets, Then.END, into_one)
    assert outcome.content == row.content or isinstance(outcome.error, client.IncompleteRead)


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\x1c", "\x85", "\xa0"], ids=ascii)
def test_white_space_of_any_kind_around_a_reason_is_gone(space: str) -> None:
    octets = f"HTTP/1.1 200 {space}OK{space}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    for step in (1, sys.maxsize):
        assert exchange(client, octets, Then.END, WAYS["read()"], step=step).facts["reason"] == "OK", step
