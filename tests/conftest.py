"""Fixtures that all rooms share."""

from __future__ import annotations

import functools
import gc
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.behaviours")

from tests.peer import Peer, Script, Serve, keep_alive, response  # noqa: E402  # after the line that must come before any import of the tests' own

pytest_plugins = ["pytester"]

# No test is about time: a busy machine must not fail one.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("project"), max_examples=2000)
settings.load_profile("project")

# On a CI server the default is to record nothing; the tests that are about that say so.
os.environ.pop("CI", None)

# Or each Python that a test starts, and each pytest run in this process, would compile the package again.
sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at all collected tests, each time that a test calls it."""
    gc.freeze()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Start scripted servers: `peer(script)` or `peer(script, tls=context)`; they are stopped after the test."""
    started: list[Peer] = []

    def start(script: Script, **options: object) -> Peer:
        started.append(Peer(script, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        if one.is_running:
            one.stop()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority for the tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a Peer that calls itself localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts `authority`; one for each test, as some clients change what they are given."""
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


@pytest.fixture(params=[False, True], ids=["tcp", "tls"])
def is_tls(request: pytest.FixtureRequest) -> bool:
    """A test that uses this, or what builds on it, runs over plain TCP and over TLS."""
    return bool(request.param)


@pytest.fixture
def serve(is_tls: bool, peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> Serve:
    """Start scripted servers as `peer` does: once over plain TCP, and once over TLS."""
    return functools.partial(peer, tls=server_tls if is_tls else None)


@pytest.fixture
def trust(is_tls: bool, client_tls: ssl.SSLContext) -> ssl.SSLContext | None:
    """What a client of `serve` needs: `client_tls` over TLS, nothing over plain TCP."""
    return client_tls if is_tls else None


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of `authority`, for libraries that want a file."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def counter(peer: Callable[..., Peer]) -> Peer:
    """Answers each request with its path and a number that never comes again."""
    numbers = iter(range(1, 1000))
    return peer(keep_alive(lambda request: response(b"%s %d" % (request.split(b" ")[1], next(numbers)))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a cassette is to lie: in a folder that does not exist."""
    return tmp_path / "cassettes" / "users.yaml"
