"""Clients go on with the same pool or session after what a peer, or they themselves, broke off or left unfinished."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import pytest
import requests
import trio
import urllib3

from tests.behaviours import SHORT_PATIENCE_S, three_times
from tests.peer import Connection, Script, Serve, response

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # clients that fail leave their sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Trust = ssl.SSLContext | None
Seen = list[Any]


def noted(seen: Seen, error: Exception) -> None:
    seen.append((type(error).__name__, str(error)))


# ---------------------------------------------------------------------- streams of events that break off

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ATTEMPTS = 3


def events(then: str) -> Script:
    """Send two events, behind the last one that the client knows, and end in this way."""

    def script(connection: Connection) -> None:
        while True:
            head = connection.read_request().lower()
            first = int(head.partition(b"last-event-id: ")[2].partition(b"\r\n")[0] or b"0") + 1
            connection.send(EVENTS)
            for number in (first, first + 1):
                event = b"id: %d\ndata: x\n\n" % number
                connection.send(b"%x\r\n%s\r\n" % (len(event), event))
            if then == "end":
                connection.send(b"0\r\n\r\n")
                continue
            if then == "torn":
                connection.send(b"5\r\nid: ")
            return

    return script


def last_id(lines: Iterable[str]) -> dict[str, str]:
    """What a client says of the events that it has got."""
    known = [line[4:] for line in lines if line.startswith("id: ")]
    return {"Last-Event-ID": known[-1]} if known else {}


def events_with_requests(url: str, trust: Trust, ca_file: Path) -> Seen:
    seen: Seen = []
    lines: list[str] = []
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(ca_file)
        for _ in range(ATTEMPTS):
            try:
                with session.get(url, headers=last_id(lines), stream=True, timeout=10) as answer:
                    lines += answer.iter_lines(decode_unicode=True)
            except requests.RequestException as error:
                noted(seen, error)
    return [lines, seen]


def events_with_httpx(url: str, trust: Trust, ca_file: Path) -> Seen:
    seen: Seen = []
    lines: list[str] = []
    with httpx.Client(verify=trust or True, trust_env=False, timeout=10) as client:
        for _ in range(ATTEMPTS):
            try:
                with client.stream("GET", url, headers=last_id(lines)) as answer:
                    for line in answer.iter_lines():
                        lines.append(line)
            except httpx.HTTPError as error:
                noted(seen, error)
    return [lines, seen]


async def events_with_async_httpx(url: str, trust: Trust) -> Seen:
    seen: Seen = []
    lines: list[str] = []
    async with httpx.AsyncClient(verify=trust or True, trust_env=False, timeout=10) as client:
        for _ in range(ATTEMPTS):
            try:
                async with client.stream("GET", url, headers=last_id(lines)) as answer:
                    async for line in answer.aiter_lines():
                        lines.append(line)
            except httpx.HTTPError as error:
                noted(seen, error)
    return [lines, seen]


def events_with_httpx_asyncio(url: str, trust: Trust, ca_file: Path) -> Seen:
    return asyncio.run(events_with_async_httpx(url, trust))


def events_with_httpx_trio(url: str, trust: Trust, ca_file: Path) -> Seen:
    return trio.run(events_with_async_httpx, url, trust)


def events_with_aiohttp(url: str, trust: Trust, ca_file: Path) -> Seen:
    async def ask() -> Seen:
        seen: Seen = []
        lines: list[str] = []
        async with aiohttp.ClientSession() as session:
            for _ in range(ATTEMPTS):
                try:
                    async with session.get(url, headers=last_id(lines), ssl=trust or True) as answer:
                        async for line in answer.content:
                            lines.append(line.decode().rstrip("\n"))
                except aiohttp.ClientError as error:
                    noted(seen, error)
        return [lines, seen]

    return asyncio.run(ask())


OF_EVENTS = [
    events_with_requests,
    events_with_httpx,
    events_with_httpx_asyncio,
    events_with_httpx_trio,
    events_with_aiohttp,
]


@pytest.mark.parametrize("client", OF_EVENTS, ids=lambda client: client.__name__)
@pytest.mark.parametrize("then", ["end", "cut", "torn"])
def test_stream_of_events_that_is_asked_for_again_from_the_last_one(
    client: Callable[[str, Trust, Path], Seen], then: str, serve: Serve, trust: Trust, ca_file: Path, tmp_path: Path
) -> None:
    server = serve(events(then))
    three_times(lambda: client(server.url, trust, ca_file), tmp_path / "events.yaml", server)


# ---------------------------------------------------------------------- requests that are given up


def unfinished(connection: Connection) -> None:
    """Answer requests for `/good`; begin to answer others, and say no more."""
    while True:
        target = connection.read_request().split(b" ")[1]
        if target == b"/good":
            connection.send(response(b"good"))
            continue
        if target == b"/part":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        connection.wait_closed()
        return


GIVEN_UP = ["/good", "/part", "/none", "/good"]


async def cancelled_with_httpx(url: str, trust: Trust) -> Seen:
    seen: Seen = []
    async with httpx.AsyncClient(verify=trust or True, trust_env=False) as client:
        for path in GIVEN_UP:
            with anyio.move_on_after(10 if path == "/good" else SHORT_PATIENCE_S) as scope:
                async with client.stream("GET", url + path) as answer:
                    async for piece in answer.aiter_raw():
                        seen.append(piece)
            seen.append(scope.cancelled_caught)
    return seen


def cancelled_with_httpx_asyncio(url: str, trust: Trust) -> Seen:
    return asyncio.run(cancelled_with_httpx(url, trust))


def cancelled_with_httpx_trio(url: str, trust: Trust) -> Seen:
    return trio.run(cancelled_with_httpx, url, trust)


def cancelled_with_aiohttp(url: str, trust: Trust) -> Seen:
    async def ask() -> Seen:
        sent = asyncio.Semaphore(0)

        async def note_sent(*_: object) -> None:
            sent.release()

        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(note_sent)
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:

            async def get(path: str) -> bytes:
                async with session.get(url + path, ssl=trust or True) as answer:
                    return await answer.read()

            tasks = [asyncio.create_task(get(path)) for path in ("/none", "/part", "/none")]
            for _ in tasks:  # what is given up before it is sent is not recorded
                await sent.acquire()
            seen: Seen = [await get("/good")]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return [*seen, [task.cancelled() for task in tasks], await get("/good")]

    return asyncio.run(ask())


def timed_out_with_urllib3(url: str, trust: Trust) -> Seen:
    seen: Seen = []
    with urllib3.PoolManager(ssl_context=trust, retries=False) as pool:
        for path in GIVEN_UP:
            try:
                seen.append(pool.request("GET", url + path, timeout=10 if path == "/good" else SHORT_PATIENCE_S).data)
            except urllib3.exceptions.HTTPError as error:
                seen.append(type(error).__name__)
    return seen


GIVING_UP = [
    cancelled_with_httpx_asyncio,
    cancelled_with_httpx_trio,
    cancelled_with_aiohttp,
    timed_out_with_urllib3,
]


@pytest.mark.parametrize("client", GIVING_UP, ids=lambda client: client.__name__)
def test_client_that_gives_up_requests_asks_on(
    client: Callable[[str, Trust], Seen], serve: Serve, trust: Trust, tmp_path: Path
) -> None:
    server = serve(unfinished)
    three_times(lambda: client(server.url, trust), tmp_path / "given-up.yaml", server)


# ---------------------------------------------------------------------- more requests than connections


def mixed(connection: Connection) -> None:
    """Answer, and end the connection as the path says."""
    while True:
        target = connection.read_request().split(b" ")[1]
        if target == b"/eof":
            return
        if target == b"/cut":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
            return
        connection.send(response(target, *[b"Connection: close"] if target == b"/close" else []))
        if target == b"/close":
            return


MIXED = ["/1", "/close", "/2", "/eof", "/3", "/cut", "/4"]


def crowded_with_urllib3(url: str, trust: Trust) -> Seen:
    with urllib3.PoolManager(ssl_context=trust, maxsize=1, block=True, retries=False) as pool:

        def get(path: str) -> object:
            try:
                return pool.request("GET", url + path, timeout=10).data
            except urllib3.exceptions.HTTPError as error:
                return type(error).__name__

        with ThreadPoolExecutor(len(MIXED)) as threads:
            return list(threads.map(get, MIXED))


async def crowded_with_httpx(url: str, trust: Trust) -> Seen:
    seen: dict[str, object] = {}
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(verify=trust or True, trust_env=False, limits=limits, timeout=10) as client:

        async def get(path: str) -> None:
            try:
                seen[path] = (await client.get(url + path)).content
            except httpx.HTTPError as error:
                seen[path] = type(error).__name__

        async with anyio.create_task_group() as tasks:
            for path in MIXED:
                tasks.start_soon(get, path)
    return [seen[path] for path in MIXED]


def crowded_with_httpx_asyncio(url: str, trust: Trust) -> Seen:
    return asyncio.run(crowded_with_httpx(url, trust))


def crowded_with_httpx_trio(url: str, trust: Trust) -> Seen:
    return trio.run(crowded_with_httpx, url, trust)


def crowded_with_aiohttp(url: str, trust: Trust) -> Seen:
    async def ask() -> Seen:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:

            async def get(path: str) -> object:
                try:
                    async with session.get(url + path, ssl=trust or True) as answer:
                        return await answer.read()
                except aiohttp.ClientError as error:
                    return type(error).__name__

            return await asyncio.gather(*map(get, MIXED))

    return asyncio.run(ask())


CROWDED = [crowded_with_urllib3, crowded_with_httpx_asyncio, crowded_with_httpx_trio, crowded_with_aiohttp]


@pytest.mark.parametrize("client", CROWDED, ids=lambda client: client.__name__)
def test_requests_that_wait_for_the_only_connection(
    client: Callable[[str, Trust], Seen], serve: Serve, trust: Trust, tmp_path: Path
) -> None:
    server = serve(mixed)
    three_times(lambda: client(server.url, trust), tmp_path / "crowded.yaml", server)


# ---------------------------------------------------------------------- a login that belongs to its connection


def knows_who_is_there(connection: Connection) -> None:
    """Want three steps on one connection, and then none, as NTLM does."""
    steps = 0
    while True:
        request = connection.read_request().lower()
        said = request.partition(b"authorization: ntlm step")[2][:1]
        if steps < 2 and said != b"%d" % (steps + 1):
            connection.send(response(b"who", b"WWW-Authenticate: NTLM", status=b"401 Unauthorized"))
            continue
        steps += 1
        if steps == 1:
            connection.send(response(b"and", b"WWW-Authenticate: NTLM more", status=b"401 Unauthorized"))
        else:
            connection.send(response(b"let in by step %d" % min(steps, 3)))


def test_login_of_several_steps_on_one_connection(serve: Serve, ca_file: Path, tmp_path: Path) -> None:
    server = serve(knows_who_is_there)

    def ask() -> Seen:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(ca_file)
            steps: list[dict[str, str]] = [{}, {"Authorization": "NTLM step1"}, {"Authorization": "NTLM step2"}, {}, {}]
            answers = [session.post(server.url, data=b"body", headers=step, timeout=10) for step in steps]
            return [(answer.status_code, answer.text) for answer in answers]

    three_times(ask, tmp_path / "login.yaml", server)
