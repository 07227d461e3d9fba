"""Records the cassettes in `recorded/` with the recorders of others, and what a program sees when they replay them.

Run with a Python that has them: `make compat`, then `.venv/compat/bin/python -m tests.convert.record`.
The tests need none of them: they read what this left behind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import aiohttp
import betamax
import cassetter
import requests
import responses
import vcr
from responses._recorder import Recorder

from tests.convert.asking import CLIENTS, seen
from tests.convert.server import ASKED, BASE, asked_of, serving

FOLDER = Path(__file__).parent / "recorded"


def ask_all(client: Callable[..., Any], cassette: str = "") -> list[Any]:
    asked = [ASKED[at] for at in asked_of(cassette)]
    return [client(method, BASE + target, fields, body) for method, target, fields, body in asked]


def with_aiohttp(method: str, url: str, fields: dict[str, str], body: bytes | None) -> Any:
    async def ask() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=fields, data=body, allow_redirects=False) as answer,
        ):
            return seen(answer.status, answer.reason or "", list(answer.headers.items()), await answer.read())

    return asyncio.run(ask())


def ask_with_betamax(path: Path, mode: str, **options: Any) -> list[Any]:
    options["match_requests_on"] = ["method", "uri", "body"]
    answers = []
    with requests.Session() as session:
        session.trust_env = False
        recorder = betamax.Betamax(session, cassette_library_dir=str(path.parent), default_cassette_options=options)
        with recorder.use_cassette(path.stem, record=mode):
            for method, target, fields, body in [ASKED[at] for at in asked_of(path.name)]:
                answer = session.request(method, BASE + target, headers=fields, data=body, allow_redirects=False)
                pairs = list(answer.raw.headers.items())
                answers.append(seen(answer.status_code, answer.reason, pairs, answer.content))
    return answers


def recorded_by_vcr(path: Path, mode: str, **options: Any) -> AbstractContextManager[Any]:
    serializer = "json" if path.suffix == ".json" else "yaml"
    used: AbstractContextManager[Any] = vcr.use_cassette(str(path), record_mode=mode, serializer=serializer, **options)
    return used


def recorded_by_cassetter(path: Path, mode: str) -> AbstractContextManager[Any]:
    used: AbstractContextManager[Any] = cassetter.use_cassette(str(path), record_mode=mode)
    return used


def record_responses(path: Path) -> list[Any]:
    recorder = Recorder()
    with serving(), recorder:
        ask_all(CLIENTS["requests"], path.name)
        recorder.dump_to_file(path)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock._add_from_file(path)
        return ask_all(CLIENTS["requests"], path.name)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    observed: dict[str, Any] = {}
    for client, ask in CLIENTS.items():
        with serving():
            observed[f"live {client}"] = {"client": client, "answers": ask_all(ask)}
    jobs: list[tuple[str, str, Callable[..., Any], dict[str, Any]]] = [
        ("vcr_requests.yaml", "requests", recorded_by_vcr, {}),
        ("vcr_urllib3.yaml", "urllib3", recorded_by_vcr, {}),
        ("vcr_httpx.yaml", "httpx", recorded_by_vcr, {}),
        ("vcr_http_client.yaml", "http.client", recorded_by_vcr, {}),
        ("vcr_decoded.yaml", "requests", recorded_by_vcr, {"decode_compressed_response": True}),
        ("vcr_aiohttp.yaml", "aiohttp", recorded_by_vcr, {}),
        ("vcr_json.json", "requests", recorded_by_vcr, {}),
        ("cassetter_requests.yaml", "requests", recorded_by_cassetter, {}),
        ("cassetter_httpx.yaml", "httpx", recorded_by_cassetter, {}),
    ]
    for name, client, using, options in jobs:
        path = FOLDER / name
        path.unlink(missing_ok=True)
        ask = with_aiohttp if client == "aiohttp" else CLIENTS[client]
        with serving(), using(path, "once", **options):
            ask_all(ask, name)
        with using(path, "none", **options):
            observed[name] = {"client": client, "answers": ask_all(ask, name)}
    for name, options in (("betamax.json", {}), ("betamax_exact.json", {"preserve_exact_body_bytes": True})):
        path = FOLDER / name
        path.unlink(missing_ok=True)
        with serving():
            ask_with_betamax(path, "once", **options)
        observed[name] = {"client": "requests", "answers": ask_with_betamax(path, "none", **options)}
    observed["responses.yaml"] = {"client": "requests", "answers": record_responses(FOLDER / "responses.yaml")}
    (FOLDER / "observed.json").write_text(json.dumps(observed, indent=1, ensure_ascii=False) + "\n")
    for name, one in observed.items():
        print(f"{name}: {len(one['answers'])} answers")


if __name__ == "__main__":
    main()
