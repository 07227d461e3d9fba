"""What must hold for any octets that a peer sends, and where such octets come from."""

from __future__ import annotations

import io
from http.client import HTTPException
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from cassette_http import client
from cassette_http.wire.reader import ResponseReader
from tests.client.exchanges import SECOND, WAYS, Outcome, Then, exchange

__all__ = ["CORPUS", "check", "method_of", "streams"]

CORPUS = Path(__file__).with_name("corpus")
WHOLE = 1 << 20


def method_of(path: Path) -> str:
    """The method that a file of the corpus is the answer to: its name may begin with it."""
    word = path.name.partition("-")[0].upper()
    return word if word in ("HEAD", "CONNECT") else "GET"


# --- what must hold -------------------------------------------------------------------------------------------------


def check(octets: bytes, method: str, way: str, step: int) -> None:
    """Read the response in several ways, and compare. Raises AssertionError."""
    plain = _exchange(octets, Then.END, "read()", WHOLE, method)
    in_steps = _exchange(octets, Then.END, "read()", step, method)
    assert _essence(in_steps) == _essence(plain), "how the octets arrive makes a difference"

    by_way = _exchange(octets, Then.END, way, step, method)
    from_file = _from_file(octets, way, method)
    assert _essence(from_file) == _essence(by_way), "where the octets come from makes a difference"
    if plain.error is None:
        assert (by_way.error, by_way.content) == (None, plain.content), "the way to read makes a difference"
    elif plain.response is None:
        assert _essence(by_way) == _essence(plain), "the way to read makes a difference"
    else:
        before_error = getattr(plain.error, "partial", None)
        assert before_error is None or before_error.startswith(by_way.content), "content that read() did not find"

    silent = _exchange(octets, Then.SILENCE, way, step, method)
    surplus = _exchange(octets, Then.SURPLUS, way, step, method)
    for one in (silent, surplus):
        assert one.second == SECOND[-6:] or isinstance(one.second, (HTTPException, OSError)), "a foreign answer"

    reader = ResponseReader(method)
    reader.feed(octets)
    if silent.error is None:
        assert reader.is_complete, "the client knows an end that the recorder does not"
        assert (silent.facts, silent.content) == (by_way.facts, by_way.content), "the end was needed"
        assert (surplus.error, surplus.content) == (None, silent.content), "what follows makes a difference"
    elif isinstance(silent.error, TimeoutError):
        assert not reader.is_complete, "the client waits for what the recorder does not"


def _exchange(octets: bytes, then: Then, way: str, step: int, method: str) -> Outcome:
    outcome = exchange(client, octets, then, WAYS[way], method, step)
    assert outcome.error is None or isinstance(outcome.error, (HTTPException, OSError)), repr(outcome.error)
    return outcome


class _File:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def makefile(self, mode: str) -> Any:
        return io.BufferedReader(io.BytesIO(self.octets))


def _from_file(octets: bytes, way: str, method: str) -> Outcome:
    """What a program gets that parses responses from memory."""
    outcome = Outcome()
    response = client.HTTPResponse(_File(octets), method=method)
    try:
        response.begin()
        outcome.response = response
        outcome.facts = {"status": response.status, "reason": response.reason, "will_close": response.will_close}
        outcome.fields = response.getheaders()
        for piece in WAYS[way](response):
            outcome.content += piece
    except (HTTPException, OSError) as error:
        outcome.error = error
    finally:
        response.close()
    return outcome


def _essence(outcome: Outcome) -> tuple[Any, ...]:
    """What two outcomes must have in common."""
    facts = {name: outcome.facts.get(name) for name in ("status", "reason", "will_close")}
    error = outcome.error
    trailers = outcome.response.trailers.items() if outcome.response is not None else None
    return (
        *(facts, outcome.fields, outcome.content, trailers),
        *(type(error), str(error), getattr(error, "partial", None)),
    )


# --- where the octets come from -------------------------------------------------------------------------------------

TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x85", b"\xa0", b"\xff", b":", b";", b","),
    *(b"0", b"1", b"9", b"a", b"-", b"+", b"_", b"0x", b"ffffffffffffffff", b"99999999999999999999", b"0\r\n\r\n"),
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ", b"HTTP/2 ", b" 100 ", b" 101 ", b" 103 ", b" 204 ", b" 304 "),
    *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n", b"3\r\nabc\r\n", b"5;x=y\r\nabcde\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Content-Length: 3, 3\r\n", b"Content-Length:"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding:", b"chunked"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Keep-Alive: 5\r\n", b"A: b\r\n folded\r\n", b" x\r\n"),
    *(b"A: b\r\n" * 100, b"x" * 300, b"x" * 70_000, b"1\r\na\r\n" * 100),
]


@st.composite
def streams(draw: st.DrawFn, corpus: list[tuple[bytes, str]]) -> tuple[bytes, str]:
    """A response of the corpus after some mutations, and the method it answers."""
    octets, method = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(octets)))
        end = draw(st.integers(start, min(len(octets), start + 40)))
        inserted = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(TOKENS),
                st.binary(max_size=4),
                st.just(octets[start:end] * 2),
                st.sampled_from(corpus).map(lambda one: one[0]),
            )
        )
        octets = octets[:start] + inserted + octets[end:]
    if draw(st.booleans()):
        octets = octets[: draw(st.integers(0, len(octets)))]
    return octets[:150_000], method
