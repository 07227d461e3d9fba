"""Files in base64, as images are sent to models: by chance something in them looks like any secret, but is none."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from random import Random
from urllib.parse import urlencode

import pytest

from cassette_http.cassette.model import Interaction, Piece, Track
from cassette_http.cassette.secrets.redaction import Redactor
from tests.cassette.messages import ORIGIN, request, response

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
SESSION_KEY = "4f2a91bc77de03a5c8d1"


def photograph(seed: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + Random(seed).randbytes(400_000)


def program(seed: int) -> bytes:
    """Code, addresses and much that is zero."""
    random, parts = Random(seed), [b"\x7fELF\x02\x01\x01" + bytes(57)]
    for at in range(10_000):
        parts += [random.randbytes(random.randrange(12)), at.to_bytes(8, "little"), bytes(random.randrange(16))]
    return b"".join(parts)


def wrapped(octets: bytes, width: int, line_end: str) -> str:
    text = b64encode(octets).decode()
    return line_end.join(text[at : at + width] for at in range(0, len(text), width))


WAYS: dict[str, Callable[[bytes], str]] = {
    "JSON": lambda octets: json.dumps({"url": f"data:image/png;base64,{b64encode(octets).decode()}", "detail": "high"}),
    "JSON with escaped slashes": lambda octets: json.dumps({"data": b64encode(octets).decode()}).replace("/", "\\/"),
    "JSON with lines": lambda octets: json.dumps({"content": wrapped(octets, 60, "\n"), "encoding": "base64"}),
    "JSON, for URLs": lambda octets: json.dumps({"data": urlsafe_b64encode(octets).decode()}),
    "JSON within JSON": lambda octets: json.dumps({"body": json.dumps({"data": wrapped(octets, 64, "\n")})}),
    "mail": lambda octets: "Content-Transfer-Encoding: base64\r\n\r\n" + wrapped(octets, 76, "\r\n"),
    "form": lambda octets: urlencode({"image": b64encode(octets), "size": 1}),
    "markup": lambda octets: f'<p><img alt="" src="data:image/png;base64,{b64encode(octets).decode()}"></p>',
    "style sheet": lambda octets: f"src: url(data:font/woff2;base64,{b64encode(octets).decode()})",
    "alone": lambda octets: b64encode(octets).decode(),
}


def exchange(body: str, media_type: str = "application/json") -> Interaction:
    field, octets = f"Content-Type: {media_type}", body.encode()
    return Interaction(ORIGIN, request(field, body=octets), Track((Piece(response(field, body=octets)),)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("content", [photograph, program])
def test_files_in_base64_come_back_unchanged(content: Callable[[int], bytes], way: str) -> None:
    is_form = way == "form"
    recorded = exchange(WAYS[way](content(1)), "application/x-www-form-urlencoded" if is_form else "application/json")
    redactor = Redactor(environment={})
    assert redactor.redact(recorded) is recorded
    assert recorded.request is not None
    assert redactor.redact_request(recorded.request) is recorded.request


def test_secrets_around_a_file_are_hidden() -> None:
    file = b64encode(photograph(2)).decode()
    body = json.dumps({"before": TOKEN, "file": file, "text": f"{file[:4000]} {TOKEN}", "session_key": SESSION_KEY})
    redacted = Redactor(environment={}).redact(exchange(body))
    assert redacted.request is not None
    for octets in (redacted.request.body_octets, redacted.track.octets):
        assert TOKEN.encode() not in octets
        assert SESSION_KEY.encode() not in octets
        assert file.encode() in octets


def test_a_known_secret_is_hidden_in_a_file_too() -> None:
    file = b64encode(photograph(3)).decode()
    redacted = Redactor(environment={}).redact(
        exchange(json.dumps({"session_key": SESSION_KEY, "file": f"{file[:900]}/{SESSION_KEY}/{file}"}))
    )
    assert SESSION_KEY.encode() not in redacted.track.octets


@pytest.mark.parametrize("line_end", ["\n", ""], ids=["in lines", "on one line"])
def test_a_secret_far_into_a_text_in_base64_is_hidden(line_end: str) -> None:
    text = json.dumps({"names": [f"name number {at}" for at in range(200)], "token": SESSION_KEY}).encode()
    coded = wrapped(text, 76, line_end)
    redacted = Redactor(environment={}).redact(exchange(json.dumps({"file": coded})))
    assert coded.encode() != json.loads(redacted.track.octets.partition(b"\r\n\r\n")[2])["file"].encode()
    assert coded.replace("\n", "\\n").encode() not in redacted.track.octets


def test_tokens_in_a_list_are_no_file() -> None:
    tokens = [f"AKIA{number:016d}" for number in range(10**15, 10**15 + 40)]
    redacted = Redactor(environment={}).redact(exchange("\n".join(tokens), "text/plain"))
    assert not [token for token in tokens if token.encode() in redacted.track.octets]
