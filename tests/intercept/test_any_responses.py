"""Whatever a peer answers, however hostile: live, recording and replaying, a program sees the same."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cassette_http import client, use_cassette
from fuzz.target import CORPUS, method_of, streams
from tests.client.exchanges import FACTS, WAYS, Way
from tests.peer import Connection, Peer

# Tunnels have tests of their own: behind their answers the peer is another one.
RESPONSES = [
    (path.read_bytes(), method_of(path)) for path in sorted(CORPUS.glob("*.http")) if method_of(path) != "CONNECT"
]
# A peer may be slower than the short one on a busy machine, and then what differs is tried again.
PATIENCES_S = (0.2, 3.0)

Exchange = tuple[tuple[bytes, str], Way, bool]
EXCHANGES = st.lists(
    st.tuples(streams(RESPONSES), st.sampled_from(list(WAYS.values())), st.booleans()), min_size=1, max_size=3
)


def talk(module: Any, server: Peer, exchanges: list[Exchange], patience_s: float) -> list[Any]:
    """Make the requests, on one connection as long as it lasts; returns what a program can tell of the answers."""
    connection = module.HTTPConnection(server.host, server.port, timeout=patience_s)
    seen: list[Any] = []
    for number, ((_, method), way, ends) in enumerate(exchanges):
        try:
            connection.request(method, f"/{number}")
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            seen.append(facts_of(error))
            connection.close()
            continue
        content = b""
        seen.append(([getattr(response, name) for name in FACTS], response.getheaders()))
        # Who reads on behind the end, or behind an error, gets something too.
        for read in (way, way, WAYS["read()"]):
            try:
                for piece in read(response):
                    content += piece
            except (OSError, http.client.HTTPException) as error:
                seen.append(facts_of(error))
                ends = True  # what has failed is to be closed, says the documentation
        seen.append((content, response.isclosed()))
        response.close()
        if ends:
            connection.close()
    connection.close()
    return seen


def facts_of(error: BaseException) -> Any:
    return type(error), error.args, str(error), repr(error.__cause__), repr(error.__context__)


@pytest.mark.parametrize("module", [http.client, client], ids=["http.client", "cassette_http.client"])
def test_any_responses_are_the_same_three_times(
    module: Any, peer: Callable[..., Peer], tmp_path_factory: pytest.TempPathFactory
) -> None:
    @settings(max_examples=30, derandomize=True, database=None, phases=[Phase.generate])
    @given(EXCHANGES)
    def agree(exchanges: list[Exchange]) -> None:
        def script(connection: Connection) -> None:
            while True:
                request = connection.read_until(b"\r\n\r\n")
                number = int(request.split(b" ")[1][1:])
                (octets, _), _, ends = exchanges[number]
                connection.send(octets)
                if ends:
                    return

        for patience_s in PATIENCES_S:
            path: Path = tmp_path_factory.mktemp("any") / "one.yaml"
            server = peer(script)
            live = talk(module, server, exchanges, patience_s)
            with use_cassette(path, "all"):
                recorded = talk(module, server, exchanges, patience_s)
            server.stop()
            with use_cassette(path, "none"):
                replayed = talk(module, server, exchanges, patience_s)
            if live == recorded == replayed:
                return
        assert recorded == live
        assert replayed == live, path.read_text()

    agree()
