"""Authorities are loaded when somebody depends on them: what a context trusts or refuses is as without us."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import certifi
import httpx
import pytest
import requests
import trustme
import urllib3

import cassette_http.client
from cassette_http import use_cassette
from tests.behaviours import write_cassette_of
from tests.peer import Peer, keep_alive, response

CASSETTE = """\
cassette: 1
---
request: GET https://api.example/
response: 200 OK
response headers: |
  Content-Length: 6
response body: played
---
"""
LOADERS = ("load_verify_locations", "set_default_verify_paths")
LIMIT_S = 20.0


@pytest.fixture
def played(tmp_path: Path) -> Path:
    path = tmp_path / "played.yaml"
    path.write_text(CASSETTE)
    return path


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """Many authorities, and that of the tests."""
    path = tmp_path / "bundle.pem"
    path.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    return path


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Many authorities, without that of the tests."""
    path = tmp_path / "others.pem"
    path.write_bytes(Path(certifi.where()).read_bytes())
    return path


@contextmanager
def loading() -> Iterator[list[str]]:
    """Give the names of the functions in C by which this thread, and those it starts, load certificates."""
    loaded: list[str] = []

    def see(frame: object, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in LOADERS:
            loaded.append(function.__name__)

    threading.setprofile(see)  # anyio has a thread make its TLS objects
    sys.setprofile(see)
    try:
        yield loaded
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


def trusting_twice(path: Path) -> ssl.SSLContext:
    """The second of two contexts that trust what is in a file."""
    trusting(path)
    return trusting(path)


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(each["subject"]) for each in context.get_ca_certs()}


# ---------------------------------------------------------------------- replay


def with_requests(url: str) -> bytes:
    with requests.Session() as session:
        return session.get(url).content


def with_httpx(url: str) -> bytes:
    with httpx.Client() as client:
        return client.get(url).content


def with_async_httpx(url: str) -> bytes:
    async def ask() -> bytes:
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).content

    return asyncio.run(ask())


def with_aiohttp(url: str) -> bytes:
    async def ask() -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=ssl.create_default_context()) as answer:
            return await answer.read()

    return asyncio.run(ask())


def with_urllib3(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", url).data


def with_module(module: Any) -> Callable[[str], bytes]:
    def ask(url: str) -> bytes:
        with closing(module.HTTPSConnection("api.example")) as connection:
            connection.request("GET", "/")
            content: bytes = connection.getresponse().read()
            return content

    return ask


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(with_requests, id="requests"),
        pytest.param(with_httpx, id="httpx"),
        pytest.param(with_async_httpx, id="httpx-asyncio"),
        pytest.param(with_aiohttp, id="aiohttp"),
        pytest.param(with_urllib3, id="urllib3"),
        pytest.param(with_module(http.client), id="http.client"),
        pytest.param(with_module(cassette_http.client), id="own"),
    ],
)
def test_second_client_of_a_replay_loads_no_bundle(
    ask: Callable[[str], bytes], played: Path, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(others))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with use_cassette(played, "none"):
        ask("https://api.example/")
    with use_cassette(played, "none"), loading() as loaded:
        assert ask("https://api.example/") == b"played"
    assert not loaded


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), id="server"),
        pytest.param(lambda: type("Derived", (ssl.SSLContext,), {})(ssl.PROTOCOL_TLS_CLIENT), id="derived class"),
    ],
)
def test_contexts_of_other_kinds_load_at_once(make: Callable[[], ssl.SSLContext], played: Path, bundle: Path) -> None:
    with use_cassette(played, "none"):
        trusting(bundle)
        context = make()
        with loading() as loaded:
            context.load_verify_locations(bundle)
    assert loaded == ["load_verify_locations"]


def test_a_mode_that_only_records_loads_at_once(tmp_path: Path, bundle: Path) -> None:
    with use_cassette(tmp_path / "new.yaml", "once"):
        trusting(bundle)
        with loading() as loaded:
            trusting(bundle)
    assert loaded == ["load_verify_locations"]


def test_context_is_like_any_other(played: Path, bundle: Path) -> None:
    with use_cassette(played, "none"):
        context, plain = trusting_twice(bundle), ssl.create_default_context(cadata=bundle.read_text())
    assert isinstance(context, ssl.SSLContext)
    assert (type(context).__module__, type(context).__qualname__) == ("ssl", "SSLContext")
    told = (context.verify_mode, context.check_hostname, context.verify_flags, context.options, context.protocol)
    assert told == (plain.verify_mode, plain.check_hostname, plain.verify_flags, plain.options, plain.protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert context.verify_mode is ssl.CERT_NONE


# ---------------------------------------------------------------------- questions, and errors


@pytest.mark.parametrize("is_over", [False, True], ids=["inside", "after the block"])
def test_context_tells_what_it_trusts(is_over: bool, played: Path, bundle: Path) -> None:
    plain = trusting(bundle)
    with use_cassette(played, "none"):
        asked_first, counted_first = trusting_twice(bundle), trusting_twice(bundle)
        if not is_over:
            assert subjects(asked_first) == subjects(plain)
            assert counted_first.cert_store_stats() == plain.cert_store_stats()
    assert subjects(asked_first) == subjects(plain)
    assert counted_first.cert_store_stats() == plain.cert_store_stats()
    assert type(asked_first) is type(counted_first) is ssl.SSLContext


def test_authorities_add_up(played: Path, bundle: Path, others: Path, authority: trustme.CA) -> None:
    with use_cassette(played, "none"):
        trusting(bundle)
        context = trusting_twice(others)
        context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
        context.load_verify_locations(bundle)
    assert subjects(context) == subjects(trusting(bundle))


@pytest.mark.parametrize("is_changed", [False, True], ids=["same environment", "other environment"])
def test_defaults_are_those_of_the_moment(
    is_changed: bool, played: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        return  # the defaults are those of the system
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with use_cassette(played, "none"):
        ssl.create_default_context()
        with loading() as loaded:
            context = ssl.create_default_context()
        if is_changed:
            monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
            monkeypatch.setenv("SSL_CERT_DIR", "")
    assert not loaded
    assert subjects(context) == subjects(trusting(bundle))


def test_changed_file_is_loaded_again(played: Path, bundle: Path, others: Path) -> None:
    before, after = subjects(trusting(bundle)), subjects(trusting(others))
    with use_cassette(played, "none"):
        old = trusting_twice(bundle)
        times = os.stat(bundle)
        bundle.write_bytes(others.read_bytes())
        os.utime(bundle, ns=(times.st_atime_ns, times.st_mtime_ns))
        new = trusting(bundle)
    assert subjects(new) == after
    assert subjects(old) == before


def test_file_may_be_gone_when_it_is_read(played: Path, bundle: Path) -> None:
    plain = trusting(bundle)
    with use_cassette(played, "none"):
        context = trusting_twice(bundle)
        bundle.unlink()
    assert subjects(context) == subjects(plain)


def error_of(path: Path) -> tuple[object, ...]:
    with pytest.raises(OSError, match=r"PEM|No such file") as caught:
        trusting(path)
    return type(caught.value), *caught.value.args


def break_pem(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\nMII", b"\n!!!"))


@pytest.mark.parametrize("spoil", [pytest.param(Path.unlink, id="missing"), pytest.param(break_pem, id="bad PEM")])
def test_error_of_a_file_is_raised_at_once(spoil: Callable[[Path], None], played: Path, bundle: Path) -> None:
    with use_cassette(played, "none"):
        trusting_twice(bundle)
        spoil(bundle)
        errors = [error_of(bundle) for _ in range(2)]
    assert errors == [error_of(bundle)] * 2


@pytest.mark.parametrize("given", [{}, {"cafile": 3}, {"cafile": "no\0path"}, {"cadata": ""}], ids=repr)
def test_wrong_argument_is_reported_at_once(given: dict[str, Any], played: Path) -> None:
    def load() -> tuple[object, ...]:
        with pytest.raises((TypeError, ValueError)) as caught:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**given)
        return type(caught.value), str(caught.value)

    with use_cassette(played, "none"):
        inside = load()
    assert inside == load()


# ---------------------------------------------------------------------- live handshakes


def ask_blocking(port: int, path: str, trust: ssl.SSLContext) -> bytes:
    with closing(http.client.HTTPSConnection("localhost", port, context=trust, timeout=LIMIT_S)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


def ask_late(port: int, path: str, trust: ssl.SSLContext) -> bytes:
    """Through a TLS socket that is made before it is connected."""
    with trust.wrap_socket(socket.socket(), server_hostname="localhost") as secured:
        secured.settimeout(LIMIT_S)
        secured.connect(("localhost", port))
        secured.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        return secured.recv(65536).partition(b"\r\n\r\n")[2]


def ask_loop(port: int, path: str, trust: ssl.SSLContext) -> bytes:
    async def ask() -> bytes:
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=LIMIT_S) as client:
            return (await client.get(f"https://localhost:{port}{path}")).content

    return asyncio.run(ask())


CLIENTS = [
    pytest.param(ask_blocking, id="blocking"),
    pytest.param(ask_late, id="connected late"),
    pytest.param(ask_loop, id="asyncio"),
]
Ask = Callable[[int, str, ssl.SSLContext], bytes]


@pytest.fixture
def server(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> Peer:
    return peer(keep_alive(lambda request: response(b"live")), tls=server_tls)


@pytest.mark.parametrize("knows_peer", [False, True], ids=["new peer", "known peer"])
@pytest.mark.parametrize("ask", CLIENTS)
def test_handshake_inside_a_cassette_verifies_the_peer(
    ask: Ask, knows_peer: bool, server: Peer, played: Path, bundle: Path, others: Path
) -> None:
    if knows_peer:
        write_cassette_of(played, server.port)
    with use_cassette(played, "new_episodes"):
        trusted, strange = trusting_twice(bundle), trusting_twice(others)
        assert ask(server.port, "/new", trusted) == b"live"
        with pytest.raises((ssl.SSLError, httpx.ConnectError), match="certificate verify failed"):
            ask(server.port, "/other", strange)


@pytest.mark.parametrize("ask", CLIENTS)
def test_handshake_after_the_block_verifies_the_peer(
    ask: Ask, server: Peer, played: Path, bundle: Path, others: Path
) -> None:
    with use_cassette(played, "none"):
        trusted, strange = trusting_twice(bundle), trusting_twice(others)
    assert ask(server.port, "/", trusted) == b"live"
    with pytest.raises((ssl.SSLError, httpx.ConnectError), match="certificate verify failed"):
        ask(server.port, "/", strange)


def test_object_that_outlives_the_block_verifies_the_peer(
    server: Peer, played: Path, bundle: Path, others: Path
) -> None:
    def shake(made: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        with socket.create_connection(("localhost", server.port), timeout=LIMIT_S) as sock:
            while True:
                try:
                    made.do_handshake()
                    return
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))

    with use_cassette(played, "none"):
        made = []
        for path in (bundle, others):
            bios = ssl.MemoryBIO(), ssl.MemoryBIO()
            made.append((trusting_twice(path).wrap_bio(*bios, server_hostname="localhost"), *bios))
    shake(*made[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(*made[1])


def test_nested_cassettes_agree(server: Peer, played: Path, bundle: Path, tmp_path: Path) -> None:
    with use_cassette(played, "none"):
        context = trusting_twice(bundle)
        with use_cassette(tmp_path / "inner.yaml", "once"):
            assert ask_blocking(server.port, "/", context) == b"live"
        with loading() as loaded:
            trusting(bundle)
    assert not loaded
    with loading() as loaded:
        trusting(bundle)
    assert loaded == ["load_verify_locations"]


def test_threads_share_a_context(server: Peer, played: Path, bundle: Path) -> None:
    threads = 8
    together = threading.Barrier(threads, timeout=LIMIT_S)
    with use_cassette(played, "none"):
        context = trusting_twice(bundle)

    def ask(_: int) -> bytes:
        together.wait()
        return ask_blocking(server.port, "/", context)

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(ask, range(threads))) == [b"live"] * threads
