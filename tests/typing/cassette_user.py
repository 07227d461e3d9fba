"""Programs and tests with cassettes. Never run: `mypy --strict` must be content with them."""

from __future__ import annotations

import re
import unittest
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

import pytest

from cassette_http import (
    Cassette,
    CassetteError,
    CassetteFormatError,
    Interaction,
    Miss,
    RecordMode,
    Request,
    Response,
    UnmatchedRequest,
    block_network,
    use_cassette,
)
from cassette_http.cassette.matching import DEFAULT_MATCH, fields
from cassette_http.flight import FlightRecorder
from cassette_http.plugin.layers import LayerFactory
from cassette_http.plugin.uses import Use
from cassette_http.unittest import CassetteTestCase, cassette


def without_server(interaction: Interaction) -> Interaction | None:
    if interaction.response is None or interaction.response.status == 503:
        return None
    return interaction.with_response(interaction.response.without_field("Server").with_json({"name": "Ada"}))


def as_version_one(request: Request) -> Request | None:
    return request.with_url(request.url.replace("/v2/", "/v1/"))


def path(request: Request) -> str:
    return request.head.target


def same_tenant(sent: Request, recorded: Request) -> bool:
    return sent.values("X-Tenant") == recorded.values("X-Tenant")


def blocks() -> None:
    with use_cassette("users.yaml") as one:
        assert_type(one, Cassette)
        assert_type(one.play_count, int)
        assert_type(one.misses, list[Miss])
        assert_type(one.interactions, list[Interaction])
        assert_type(one.interactions[0].response, Response | None)
        assert_type(one.path, Path)
        assert_type(one.misses[0].reason, str)
    with use_cassette(
        Path("users.yaml"),
        record_mode=RecordMode.NONE,
        match=[*DEFAULT_MATCH, fields("Accept"), path, same_tenant],
        ignore="$.meta.id",
        repeat="last",
        redact=["iban", re.compile("acct_.*"), lambda interaction: ["a secret"]],
        keep=["jwt"],
        secrets={"account": "1234"},
        on_record=without_server,
        on_match=[as_version_one],
        on_replay=[without_server],
        also=["others.yaml", Path("more.yaml")],
    ):
        pass
    with block_network(allow=["*.internal"]) as guard, FlightRecorder(limit_octets=1000) as flight:
        print(guard.blocked[0], len(flight))
    flight.write("users.yaml")
    try:
        print(use_cassette("users.yaml"))
    except UnmatchedRequest as error:
        print(error.errno)
    except CassetteFormatError as error:
        assert_type(error.line, int | None)
    except CassetteError as error:
        print(error)


async def asynchronous_block() -> None:
    async with use_cassette("users.yaml") as one:
        assert_type(one, Cassette)


@use_cassette("users.yaml")
def name(number: int) -> str:
    return str(number)


@use_cassette("users.yaml", "none")
async def coroutine(number: int) -> str:
    return str(number)


@use_cassette("users.yaml")
def names() -> Iterator[str]:
    yield "Ada"


@use_cassette("users.yaml")
async def asynchronous_names() -> AsyncIterator[str]:
    yield "Ada"


async def decorated() -> None:
    assert_type(name(1), str)
    assert_type(await coroutine(number=1), str)
    assert_type(names(), Iterator[str])
    assert_type(asynchronous_names(), AsyncIterator[str])


# ---------------------------------------------------------------------- pytest and unittest


@pytest.fixture(scope="session")
def token(use_cassette: LayerFactory) -> Iterator[str]:
    with use_cassette("login", match=["method", "path"]) as one:
        yield str(one.play_count)


@pytest.mark.cassette("users", match=["method", "path"])
def test_users(cassette: Cassette, token: str) -> None:
    assert cassette.play_count == len(token)


def pytest_cassette_opening(use: Use) -> None:
    use.options["ignore"] = ["query:ts"]


@cassette
class UsersTest(CassetteTestCase):
    def test_own(self) -> None:
        assert_type(self.cassette, Cassette)

    @cassette
    def test_bare(self) -> None: ...

    @cassette("users", repeat="last")
    def test_named(self) -> None: ...


@cassette(match=["method", "path"])
class OtherTest(unittest.TestCase): ...


assert_type(UsersTest("test_own").test_named(), None)
assert_type(OtherTest(), OtherTest)
