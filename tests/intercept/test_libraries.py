"""Library x behaviour of the peer x (live, recording, replaying): each parses real octets with its own parser.

None of them is known to the package. Each driver imports its library itself, so that one can be driven where the others
are not installed. The table of `tests/test_modes_agree.py` has the standard library and requests.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.behaviours import LONG_PATIENCE_S, Asked, patience_s, three_times
from tests.intercept.nasty_peers import PEERS
from tests.peer import Peer, Script

Seen = Any
# Asks, and waits for the answers.
Asking = Callable[[], Coroutine[Any, Any, list[Seen]]]


def seen_error(error: BaseException) -> Seen:
    """Class and text, without addresses of objects."""
    return type(error).__qualname__, re.sub(r"0x[0-9a-f]+|port=[0-9]+", "", str(error))


def with_urllib3(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    import urllib3

    seen: list[Seen] = []
    tls: dict[str, Any] = {"ssl_context": trust} if url.startswith("https") else {}
    timeout = urllib3.Timeout(connect=LONG_PATIENCE_S, read=timeout_s)
    with urllib3.PoolManager(retries=False, timeout=timeout, **tls) as pool:
        for method, path, body in asked:
            try:
                answer = pool.request(method, url + path, body=body, redirect=True)
                seen.append((answer.status, answer.reason, answer.version, list(answer.headers.items()), answer.data))
            except urllib3.exceptions.HTTPError as error:
                seen.append(seen_error(error))
    return seen


def with_httpx(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    import httpx

    seen: list[Seen] = []
    timeout = httpx.Timeout(LONG_PATIENCE_S, read=timeout_s)
    with httpx.Client(verify=trust, timeout=timeout, trust_env=False, follow_redirects=True) as client:
        for method, path, body in asked:
            try:
                with client.stream(method, url + path, content=body) as answer:
                    head = (answer.status_code, answer.reason_phrase, answer.http_version, answer.headers.raw)
                    seen.append((head, answer.read(), [one.status_code for one in answer.history]))
            except httpx.HTTPError as error:
                seen.append(seen_error(error))
    return seen


def with_async_httpx(run: Callable[[Asking], list[Seen]]) -> Callable[..., list[Seen]]:
    def ask_all(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
        import httpx

        async def ask() -> list[Seen]:
            seen: list[Seen] = []
            timeout = httpx.Timeout(LONG_PATIENCE_S, read=timeout_s)
            options: Any = {"timeout": timeout, "trust_env": False, "follow_redirects": True}
            async with httpx.AsyncClient(verify=trust, **options) as client:
                for method, path, body in asked:
                    try:
                        answer = await client.request(method, url + path, content=body)
                        head = (answer.status_code, answer.reason_phrase, answer.http_version, answer.headers.raw)
                        seen.append((head, answer.content))
                    except httpx.HTTPError as error:
                        seen.append(seen_error(error))
            return seen

        return run(ask)

    return ask_all


def with_aiohttp(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    import aiohttp

    async def ask() -> list[Seen]:
        seen: list[Seen] = []
        # Behind an interim response it has no patience of this kind any more, but waits for ever.
        timeout = aiohttp.ClientTimeout(total=3 * timeout_s, sock_read=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for method, path, body in asked:
                try:
                    async with session.request(method, url + path, data=body, ssl=trust) as answer:
                        head = (answer.status, answer.reason, answer.version, answer.raw_headers)
                        seen.append((head, await answer.read()))
                except (aiohttp.ClientError, TimeoutError) as error:
                    seen.append(seen_error(error))
        return seen

    return asyncio.run(ask())


def with_httplib2(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float, ca_file: Path) -> list[Seen]:
    import httplib2

    seen: list[Seen] = []
    http = httplib2.Http(timeout=timeout_s, ca_certs=str(ca_file))
    for method, path, body in asked:
        try:
            answer, content = http.request(url + path, method, body)
            seen.append((answer.status, answer.reason, answer.version, dict(answer), content))
        except Exception as error:  # its own errors, http.client's and the socket's
            seen.append(seen_error(error))
    http.close()
    return seen


def with_tornado(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float) -> list[Seen]:
    import tornado.httpclient

    async def ask() -> list[Seen]:
        seen: list[Seen] = []
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        for method, path, body in asked:
            try:
                options: Any = {"ssl_options": trust} if url.startswith("https") else {}
                # Connect and handshake are part of its patience.
                answer = await client.fetch(
                    url + path, method=method, body=body, request_timeout=2 * timeout_s, raise_error=False, **options
                )
                error = answer.error and seen_error(answer.error)
                seen.append((answer.code, answer.reason, sorted(answer.headers.get_all()), answer.body, error))
            except Exception as error:  # its own errors and the socket's
                seen.append(seen_error(error))
        client.close()
        return seen

    return asyncio.run(ask())


def with_niquests(url: str, asked: Asked, trust: ssl.SSLContext, timeout_s: float, ca_file: Path) -> list[Seen]:
    """Brings an HTTP stack of its own, a relative of urllib3."""
    import niquests

    seen: list[Seen] = []
    with niquests.Session(disable_http2=True, disable_http3=True) as session:
        session.trust_env = False
        session.verify = str(ca_file)
        for method, path, body in asked:
            try:
                answer = session.request(method, url + path, data=body, timeout=timeout_s)
                seen.append((answer.status_code, answer.reason, list(answer.headers.items()), answer.content))
            except (niquests.RequestException, niquests.packages.urllib3.exceptions.HTTPError) as error:
                seen.append(type(error).__qualname__)
    return seen


def run_on_asyncio(ask: Asking) -> list[Seen]:
    return asyncio.run(ask())


def run_on_trio(ask: Asking) -> list[Seen]:
    import trio

    return trio.run(ask)


LIBRARIES = [
    pytest.param(with_urllib3, id="urllib3"),
    pytest.param(with_httpx, id="httpx"),
    pytest.param(with_async_httpx(run_on_asyncio), id="httpx-asyncio"),
    pytest.param(with_async_httpx(run_on_trio), id="httpx-trio"),
    pytest.param(with_aiohttp, id="aiohttp"),
    pytest.param(with_httplib2, id="httplib2"),
    pytest.param(with_tornado, id="tornado"),
    # As it is installed by default it replaces urllib3, so it is no dependency; `make test-downstream` installs it.
    *([pytest.param(with_niquests, id="niquests")] if find_spec("niquests") is not None else []),
]


@pytest.mark.usefixtures("litter")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what a library leaves behind when a peer breaks off
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("script", "asked", "is_tls"), PEERS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_library_sees_the_same_three_times(
    library: Callable[..., list[Seen]],
    script: Script,
    asked: Asked,
    is_tls: bool,
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    tmp_path: Path,
) -> None:
    server = peer(script, tls=server_tls if is_tls else None)
    arguments: list[Any] = [server.url, asked, client_tls, patience_s(script)]
    if library in (with_httplib2, with_niquests):
        arguments.append(ca_file)
    three_times(lambda: library(*arguments), tmp_path / "agree.yaml", server)
