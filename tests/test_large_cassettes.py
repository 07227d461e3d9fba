"""Large cassettes, which are read as far as they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cassette_http import CassetteFormatError, client, use_cassette
from tests.asking import get, get_with_our_client
from tests.peer import LIMIT_S


def an_interaction(url: str, body: str) -> str:
    return f"""\
request: GET {url}
response: 200 OK
response headers: |
  Connection: close
response body: |-
  {body}
wire: {{ends: true}}
"""


def many_interactions(*others: str) -> str:
    """A cassette of 200 answers, with other documents behind the 150th."""
    answers = [an_interaction(f"http://api.test/{n}", f"answer {n}") for n in range(200)]
    return "---\n".join(["cassette: 1\n", *answers[:150], *others, *answers[150:], ""])


def test_a_large_cassette_is_read_as_far_as_it_is_played(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(many_interactions("request : broken\n"))
    with use_cassette(path, "none"):
        assert [get(f"http://api.test/{n}") for n in range(60)] == [f"answer {n}" for n in range(60)]
    expected = rf"users\.yaml, line {3 + 150 * 8}: "
    with pytest.raises(CassetteFormatError, match=expected), use_cassette(path, "none"):
        get("http://api.test/199")
    with use_cassette(path, "none") as cassette:
        for _ in range(2):
            with pytest.raises(CassetteFormatError, match=expected):
                len(cassette)


def test_requests_to_a_large_cassette_may_come_in_any_order(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(many_interactions())
    order = [199, 3, 100, 64, 0, 63, 198]
    with use_cassette(path, "none") as cassette:
        assert [get(f"http://api.test/{n}") for n in order] == [f"answer {n}" for n in order]
    assert cassette.played_numbers == sorted(n + 1 for n in order)
    assert (len(cassette), cassette.unplayed_count) == (200, 193)


def test_a_large_cassette_answers_before_others_that_are_named_beside_it(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.write_text(many_interactions())
    others = [tmp_path / "second.yaml", tmp_path / "third.yaml"]
    for other in others:
        answers = [an_interaction(f"http://api.test/{n}", f"{other.stem} {n}") for n in (199, 200)]
        other.write_text("---\n".join(["cassette: 1\n", *answers, ""]))
    with use_cassette(path, "none", also=others):
        assert [get("http://api.test/199") for _ in range(3)] == ["answer 199", "second 199", "third 199"]
        assert [get("http://api.test/200") for _ in range(2)] == ["second 200", "third 200"]


def test_a_connection_that_failed_late_in_a_large_cassette_fails(path: Path) -> None:
    path.parent.mkdir()
    failure = "{kind: connect failed, errno: ECONNREFUSED, text: Connection refused}"
    path.write_text(many_interactions(f"failed: http://down.test\nfailure: {failure}\n"))
    for ask in (get, get_with_our_client):
        with use_cassette(path, "none"):
            assert ask("http://api.test/0") == "answer 0"
            with pytest.raises(OSError, match="refused"):
                ask("http://down.test/")


def test_tls_facts_that_lie_late_in_a_large_cassette_are_reported(path: Path) -> None:
    recorded = [("one", 1), ("two", 2), ("one", 3)]
    documents = [
        document
        for host, number in recorded
        for document in (
            f"tls: https://{host}.test\nversion: TLSv1.{number}\n",
            an_interaction(f"https://{host}.test/{number}", "secure"),
        )
    ]
    path.parent.mkdir()
    path.write_text(many_interactions(*documents))
    with use_cassette(path, "none"):
        for host, number in recorded:
            connection = client.HTTPSConnection(f"{host}.test", timeout=LIMIT_S)
            connection.connect()
            assert connection.sock.version() == f"TLSv1.{number}"
            connection.request("GET", f"/{number}")
            assert connection.getresponse().read() == b"secure"
