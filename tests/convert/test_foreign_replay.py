"""Cassettes that other recorders wrote: what a program sees in replay is what it saw live, with any client.

`recorded/` was made by `record.py`: each recorder's cassette of the same session, what each client saw live, and what
it saw when the recorder itself replayed.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cassette_http import CassetteWarning, use_cassette
from tests.convert.asking import CLIENTS, Seen
from tests.convert.server import ASKED, BASE, asked_of

FOLDER = Path(__file__).parent / "recorded"
OBSERVED: dict[str, Any] = json.loads((FOLDER / "observed.json").read_text(encoding="utf-8"))
CASSETTES = sorted(name for name in OBSERVED if not name.startswith("live "))

# Field lines that a recorder does not keep, or that spoke of a body that it did not keep as it was.
NOT_KEPT = {
    "cassetter_requests.yaml": {"set-cookie", "content-encoding", "content-length"},
    "cassetter_httpx.yaml": {"set-cookie", "content-encoding", "content-length"},
    "responses.yaml": {"set-cookie", "content-encoding", "content-length", "connection"},
    "vcr_decoded.yaml": {"content-encoding", "content-length", "transfer-encoding"},
}
# `responses` keeps no reason phrases.
KEEPS_NO_REASON = {"responses.yaml", "cassetter_requests.yaml", "cassetter_httpx.yaml"}


def options_of(cassette: str) -> dict[str, Any]:
    """Nothing is to be matched that is not in the cassette."""
    return {"match": ("method", "uri")} if cassette == "responses.yaml" else {}


def replayed(cassette: Path, client: str) -> list[Seen]:
    with use_cassette(cassette, "none", **options_of(cassette.name)):
        return [
            CLIENTS[client](method, BASE + target, fields, body)
            for method, target, fields, body in (ASKED[at] for at in asked_of(cassette.name))
        ]


def without(answer: Seen, names: set[str], *keys: str) -> Seen:
    fields = [field for field in answer["fields"] if field[0] not in names]
    return {key: value for key, value in (answer | {"fields": fields}).items() if key not in keys}


def meaning(answer: Seen) -> Seen:
    """JSON that was kept as values, and what is compressed again, comes back as other octets."""
    content = base64.b64decode(answer["content"])
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return answer | {"content": json.loads(content) if content[:1] == b"{" else content}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("cassette", CASSETTES)
def test_replay_of_a_foreign_cassette_is_what_the_program_saw_live(cassette: str, client: str) -> None:
    before = (FOLDER / cassette).read_bytes()
    answers = replayed(FOLDER / cassette, client)
    live = [OBSERVED[f"live {client}"]["answers"][at] for at in asked_of(cassette)]
    lost = NOT_KEPT.get(cassette, set())
    keys = ("reason",) if cassette in KEEPS_NO_REASON else ()
    for asked, answer, expected in zip(asked_of(cassette), answers, live, strict=True):
        if client == "http.client" and "content-encoding" in lost and ASKED[asked][1] == "/deflate":
            continue  # this client does not decode, and the recorder does not keep that there was a coding
        hidden = set(lost)
        if cassette == "responses.yaml" and all(name != "content-type" for name, _ in expected["fields"]):
            hidden.add("content-type")  # it writes one where there was none
        assert without(meaning(answer), hidden, *keys) == without(meaning(expected), hidden, *keys), ASKED[asked]
    assert (FOLDER / cassette).read_bytes() == before


# What the recorders' own replay shows of no peer, by cassette: fields that were hidden, or are out of date.
OF_THEIR_REPLAY = {
    "vcr_requests.yaml": {"transfer-encoding"},
    "vcr_urllib3.yaml": {"transfer-encoding"},
    "vcr_http_client.yaml": {"transfer-encoding"},
    "vcr_json.json": {"transfer-encoding"},
    "vcr_decoded.yaml": {"transfer-encoding"},
    "cassetter_requests.yaml": {"content-length", "transfer-encoding"},
    "cassetter_httpx.yaml": {"content-length"},
}


@pytest.mark.parametrize("cassette", [name for name in CASSETTES if OBSERVED[name]["client"] in CLIENTS])
def test_replay_of_a_foreign_cassette_is_what_its_recorder_replays(cassette: str) -> None:
    lost = OF_THEIR_REPLAY.get(cassette, set())
    keys = ("reason",) if cassette in KEEPS_NO_REASON else ()
    answers = replayed(FOLDER / cassette, OBSERVED[cassette]["client"])
    for asked, answer, expected in zip(asked_of(cassette), answers, OBSERVED[cassette]["answers"], strict=True):
        if cassette == "responses.yaml" and ASKED[asked][1] == "/latin":
            continue  # it sends UTF-8 that calls itself ISO-8859-1
        assert without(meaning(answer), lost, *keys) == without(meaning(expected), lost, *keys), ASKED[asked]


def test_interactions_that_cannot_be_replayed_are_told_when_the_cassette_is_used(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    entries = [
        {
            "request": {"method": "GET", "uri": uri, "headers": {}},
            "response": {"status": {"code": 200, "message": "OK"}},
        }
        for uri in ("http://api.test/", "wss://api.test/", "ftp://api.test/")
    ]
    path.write_text(json.dumps({"interactions": entries, "version": 1}))
    told = r"old.yaml is not replayed completely: interaction 2 left out: a URL of the scheme 'wss'.*, and 1 more$"
    with pytest.warns(CassetteWarning, match=told) as caught, use_cassette(path, "none") as cassette:
        assert len(cassette) == 1
    assert [one.filename for one in caught] == [__file__]
