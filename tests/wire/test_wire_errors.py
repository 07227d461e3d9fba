"""What the errors of the room say."""

from __future__ import annotations

import copy
import pickle

import pytest

from cassette_http.wire.errors import IncompleteMessage, LimitExceeded, MalformedMessage, WireError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(MalformedMessage("not a chunk size"), "not a chunk size", id="without octets"),
        pytest.param(
            MalformedMessage("not a chunk size", b"x\r\n"),
            r"not a chunk size: b'x\r\n'",
            id="octets are shown",
        ),
        pytest.param(
            MalformedMessage("no", b"a" * 100),
            f"no: b'{'a' * 60}'... (100 octets)",
            id="octets are shortened",
        ),
        pytest.param(LimitExceeded("line", 65536), "a line is longer than 65536 octets", id="limit"),
        pytest.param(
            IncompleteMessage(3, 4),
            "the peer closed in the middle of the content: 3 octets received, 4 more expected",
            id="incomplete with a length",
        ),
        pytest.param(
            IncompleteMessage(3, None),
            "the peer closed in the middle of the content: 3 octets received",
            id="incomplete without a length",
        ),
    ],
)
def test_errors_say_what_happened(error: WireError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    "error", [MalformedMessage("no", b"a"), LimitExceeded("line", 3), IncompleteMessage(1, 2)], ids=repr
)
def test_errors_survive_copying_and_pickling(error: WireError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    "what", ["line", "head", "fields", "trailers", "interim responses", "chunk extension", "chunk size"]
)
def test_each_limit_has_a_text_with_its_number(what: str) -> None:
    error = LimitExceeded(what, 4711)
    assert (error.what, error.limit) == (what, 4711)
    assert "4711" in str(error)
