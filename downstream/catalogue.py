"""Which libraries are served, from which release on, and what each needs to be tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LIBRARIES", "NEWEST", "Library", "OwnSuite", "Release", "releases"]

NEWEST = "newest"


@dataclass(frozen=True)
class OwnSuite:
    """The part of the tests in a library's source distribution that goes over the network of this machine.

    Each is run twice, with and without a cassette; what fails without one (as there is no network, say) is no concern
    of ours. `unfit` are tests that a recorder cannot leave as they are, by the reason why.

    `played` are those whose servers outlive one call of a test: in another run, each is called twice, recorded and then
    played. `unplayable` are tests for which that cannot work.
    """

    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    played: tuple[str, ...] = ()
    unplayable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Release:
    """A release to test: a version, or the newest there is; with what is needed for this one only."""

    version: str = NEWEST
    needs: tuple[str, ...] = ()
    own: OwnSuite | None = None
    # Which tests of the library's table this release cannot pass live either.
    not_in_table: str = ""


@dataclass(frozen=True)
class Library:
    """One library, by the name it is installed by. Its scenarios are in `scenarios/test_<module>.py`."""

    name: str
    module: str
    releases: tuple[Release, ...]
    needs: tuple[str, ...] = ()
    # The project's own table of behaviours that drives it: a file, and which of its tests.
    table: tuple[str, str] | None = None

    def requirements(self, release: Release) -> list[str]:
        """What to install besides `cassette_http`."""
        named = self.name if release.version == NEWEST else f"{self.name}=={release.version}"
        own = release.own.needs if release.own else ()
        return [named, *self.needs, *release.needs, *own]


def releases() -> Iterator[tuple[Library, Release]]:
    """Everything there is to test."""
    for library in LIBRARIES:
        for release in library.releases:
            yield library, release


# Before 2.0, urllib3 names no host to a TLS context if it is an IP address; a context that checks it then refuses.
NO_TLS_TO_ADDRESSES = "tls or untrusted"

LIBRARY_TABLE = "tests/intercept/test_libraries.py"

LIBRARIES = (
    Library(
        "requests",
        "requests",
        table=("tests/test_modes_agree.py", "requests"),
        releases=(
            Release("2.25.1", not_in_table=NO_TLS_TO_ADDRESSES),
            Release(
                own=OwnSuite(
                    ("tests",),
                    needs=("requests[socks]", "pytest-httpbin==2.1.0", "httpbin~=0.10.0", "pytest-mock"),
                    played=("tests/test_requests.py",),
                    unplayable=tuple(
                        (
                            f"tests/test_requests.py::TestPreparingURLs::test_different_connection_pool_for_{settings}",
                            "its TLS failures are kept with the port, and its server has another in the second call",
                        )
                        for settings in (
                            "mtls_settings",
                            "tls_settings_verify_True",
                            "tls_settings_verify_bundle_expired_cert",
                        )
                    ),
                )
            ),
        ),
    ),
    Library(
        "urllib3",
        "urllib3",
        table=(LIBRARY_TABLE, "urllib3"),
        releases=(
            Release("1.26.5", not_in_table=NO_TLS_TO_ADDRESSES),
            Release(
                "1.26.20",
                not_in_table=NO_TLS_TO_ADDRESSES,
                own=OwnSuite(
                    ("test/with_dummyserver", "test/test_connectionpool.py"),
                    needs=(
                        "cryptography==43.0.0",
                        "flaky==3.8.1",
                        "mock==5.1.0",
                        "pytest==8.3.2",
                        "pytest-freezegun",
                        "pytest-timeout==2.3.1",
                        "python-dateutil",
                        "six",
                        "tornado==6.4.1",
                        "urllib3[socks]",
                    ),
                    options=("-W", "ignore"),
                    unfit=(
                        (
                            "test/with_dummyserver/test_socketlevel.py::TestSSL::test_requesting_large_resources_via_ssl",
                            "it gets 2 GiB in one response, which a recorder has to keep",
                        ),
                    ),
                ),
            ),
            Release(
                own=OwnSuite(
                    ("test/with_dummyserver", "test/test_connectionpool.py", "test/test_response.py"),
                    needs=(
                        "anyio[trio]",
                        "h2",
                        "httpx",
                        "hypercorn",
                        "pyopenssl",
                        "pytest-socket",
                        "pytest-timeout",
                        "quart",
                        "quart-trio",
                        "urllib3[socks]",
                    ),
                    unfit=tuple(
                        (f"test/with_dummyserver/test_https.py::TestHTTPS_{version}::{test}", why)
                        for version in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3")
                        for test, why in (
                            ("test_simple[h2]", "it speaks HTTP/2, which cannot be recorded"),
                            (
                                "test_http2_probe_blocked_per_thread",
                                "it connects to an address that never answers; where that fails at once, as without a "
                                "network, one of its threads may die with a lock that the others wait for",
                            ),
                        )
                    ),
                    played=("test/with_dummyserver/test_connectionpool.py",),
                    unplayable=tuple(
                        (f"test/with_dummyserver/test_connectionpool.py::{test}", why)
                        for test, why in (
                            (
                                "TestConnectionPool::test_connection_error_retries",
                                "it looks for a free port in each call",
                            ),
                            ("TestConnectionPoolTimeouts::test_timeout", "it waits until its server is connected to"),
                            (
                                "TestConnectionPoolTimeouts::test_total_timeout",
                                "it waits until its server is connected to",
                            ),
                            ("TestRetry::", "its server counts the requests of both calls together"),
                            ("TestRetryAfter::test_redirect_after", "it sends the time of day"),
                        )
                    ),
                )
            ),
        ),
    ),
    Library(
        "httpx",
        "httpx",
        needs=("anyio", "trio"),
        table=(LIBRARY_TABLE, "httpx"),
        releases=(
            Release("0.22.0", needs=("anyio<4", "trio<0.23")),
            Release(
                own=OwnSuite(
                    ("tests",),
                    needs=("httpx[brotli,cli,http2,socks,zstd]", "chardet", "uvicorn"),
                    unfit=(
                        (
                            "tests/test_timeouts.py::test_write_timeout",
                            "its time-out of a microsecond is met by the first write or, now and then, by the second, "
                            "and then a generator that nobody closed is a warning",
                        ),
                    ),
                    played=("tests/client", "tests/test_api.py", "tests/test_timeouts.py", "tests/test_main.py"),
                ),
            ),
        ),
    ),
    Library(
        "httpcore",
        "httpcore",
        needs=("trio",),
        releases=(
            Release("0.14.7", needs=("anyio<4", "trio<0.23")),
            Release(needs=("anyio",)),
        ),
    ),
    Library(
        "aiohttp",
        "aiohttp",
        table=(LIBRARY_TABLE, "aiohttp"),
        releases=(
            Release("3.8.3"),
            Release(
                own=OwnSuite(
                    (
                        "tests/test_client_functional.py",
                        "tests/test_client_ws_functional.py",
                        "tests/test_proxy_functional.py",
                    ),
                    needs=(
                        "aiohttp[speedups]",
                        "freezegun",
                        "isal",
                        "proxy.py",
                        "pytest-codspeed",
                        "pytest-cov",
                        "pytest-mock",
                        "pytest-timeout",
                        "pytest-xdist",
                        "python-on-whales",
                        "re-assert",
                        "zlib-ng",
                    ),
                    options=("-o", "addopts=", "-m", "not dev_mode and not autobahn and not internal"),
                )
            ),
        ),
    ),
    Library(
        "boto3",
        "boto3",
        releases=(Release("1.20.0"), Release()),
    ),
    Library(
        "httplib2",
        "httplib2",
        table=(LIBRARY_TABLE, "httplib2"),
        releases=(
            Release("0.18.1"),
            Release(
                own=OwnSuite(
                    ("tests",),
                    needs=(
                        "cryptography<46",
                        "pysocks",
                        "pytest==8.2.2",
                        "pytest-cov",
                        "pytest-forked",
                        "pytest-randomly",
                        "pytest-timeout",
                        "pytest-xdist",
                    ),
                    options=("-p", "no:randomly", "--no-cov"),
                )
            ),
        ),
    ),
    Library(
        "tornado",
        "tornado",
        table=(LIBRARY_TABLE, "tornado"),
        releases=(
            Release("6.2"),
            Release(
                own=OwnSuite(
                    (
                        "tornado/test/simple_httpclient_test.py",
                        "tornado/test/websocket_test.py",
                        "tornado/test/iostream_test.py",
                        "tornado/test/tcpclient_test.py",
                        "tornado/test/httpserver_test.py",
                    ),
                    options=("-o", "python_files=*_test.py", "--quiet-logger=tornado.access"),
                    unfit=tuple(
                        (f"tornado/test/{test}", "it counts the memory that is used")
                        for test in (
                            "httpserver_test.py::GzipMemoryTest::test_gzip_bomb",
                            "simple_httpclient_test.py::SimpleHTTPClientCommonTestCase::test_streaming_decompression_bomb",
                            "simple_httpclient_test.py::SimpleHTTPClientCommonTestCase::"
                            "test_decompression_bomb_without_streaming_callback",
                        )
                    ),
                )
            ),
        ),
    ),
    Library("niquests", "niquests", releases=(Release("3.0.0"), Release())),
    Library("websockets", "websockets", releases=(Release("10.4"), Release())),
    Library(
        "anyio",
        "anyio",
        needs=("trio",),
        releases=(Release("3.7.1", needs=("trio<0.23",)), Release()),
    ),
    Library("openai", "openai", releases=(Release("1.0.0", needs=("httpx<0.28",)), Release())),
    Library("anthropic", "anthropic", releases=(Release("0.18.0", needs=("httpx<0.28",)), Release())),
    Library("stripe", "stripe", needs=("requests",), releases=(Release("5.0.0"), Release())),
    Library("google-api-python-client", "google", releases=(Release("2.0.2", needs=("setuptools<81",)), Release())),
    Library("pip", "pip", releases=(Release("22.3"), Release())),
)
