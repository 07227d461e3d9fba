"""Bodies that are sent piece by piece, from files, and on demand."""

from __future__ import annotations

import asyncio
import http.client
import http.cookiejar
import io
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import tornado.httpclient
import urllib3

import cassette_http.client
from tests.behaviours import three_times
from tests.peer import Connection, Peer, Serve, response

Seen = Any

pytestmark = [
    pytest.mark.usefixtures("litter"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # aiohttp does not wait for its connections to close
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


PIECES = [b"first ", b"second ", b"third " * 2000]


def pieces() -> Iterator[bytes]:
    yield from PIECES


async def late_pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        await asyncio.sleep(0)
        yield piece


def open_file(path: Path) -> io.BufferedReader:
    path.write_bytes(b"".join(PIECES))
    return open(path, "rb")


def upload_with_module(module: Any) -> Callable[[str, Path], Seen]:
    def ask(url: str, path: Path) -> Seen:
        connection = module.HTTPConnection(url.partition("://")[2], timeout=5)
        seen = []
        with open_file(path) as file:
            for body in (pieces(), file):
                connection.request("POST", "/up", body, encode_chunked=True)
                seen.append(connection.getresponse().read())
        connection.close()
        return seen

    return ask


def upload_with_requests(url: str, path: Path) -> Seen:
    with open_file(path) as file, open_file(path) as part:
        bodies: list[dict[str, Any]] = [{"data": pieces()}, {"data": file}, {"files": {"name": part}}]
        # The border between the parts of a form is drawn by lot; what is between is what counts.
        return [requests.post(f"{url}/up", timeout=5, **body).status_code for body in bodies]


def upload_with_urllib3(url: str, path: Path) -> Seen:
    with open_file(path) as file, urllib3.PoolManager() as pool:
        return [pool.request("POST", f"{url}/up", body=body, timeout=5).data for body in (pieces(), file)]


def upload_with_httpx(url: str, path: Path) -> Seen:
    with open_file(path) as file, httpx.Client(trust_env=False) as client:
        bodies: list[dict[str, Any]] = [{"content": pieces()}, {"content": file}, {"files": {"name": b"file"}}]
        return [client.post(f"{url}/up", **body).status_code for body in bodies]


def upload_with_async_httpx(url: str, path: Path) -> Seen:
    async def ask() -> Seen:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(f"{url}/up", content=late_pieces())).content

    return asyncio.run(ask())


def upload_with_aiohttp(url: str, path: Path) -> Seen:
    async def ask() -> Seen:
        seen = []
        async with aiohttp.ClientSession() as session:
            with open_file(path) as file:
                for body, expects in ((late_pieces(), False), (file, False), (b"expecting", True)):
                    async with session.post(f"{url}/up", data=body, expect100=expects) as answer:
                        seen.append(await answer.read())
        return seen

    return asyncio.run(ask())


def upload_with_tornado(url: str, path: Path) -> Seen:
    async def produce(write: Callable[[bytes], Any]) -> None:
        for piece in PIECES:
            await write(piece)

    async def ask() -> Seen:
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        streamed = await client.fetch(f"{url}/up", method="POST", body_producer=produce)
        expecting = await client.fetch(f"{url}/up", method="POST", body=b"expecting", expect_100_continue=True)
        client.close()
        return streamed.body, expecting.body

    return asyncio.run(ask())


def takes_uploads(connection: Connection) -> None:
    """Tells how many octets of body came; says 100 where that is waited for."""
    while True:
        head = connection.read_until(b"\r\n\r\n")
        if b"100-continue" in head.lower():
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        fields = head.lower()
        size = 0
        if b"transfer-encoding: chunked" in fields:
            while True:
                length = int(connection.read_until(b"\r\n"), 16)
                connection.read(length + 2)
                size += length
                if not length:
                    break
        else:
            size = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
            connection.read(size)
        # S3 has no content in its answer.
        connection.send(response(b"" if b" /bucket/" in head else b"got %d" % size))


UPLOADS = [
    pytest.param(upload_with_module(http.client), id="http.client"),
    pytest.param(upload_with_module(cassette_http.client), id="cassette_http.client"),
    *(
        pytest.param(upload, id=upload.__name__)
        for upload in (
            *(upload_with_requests, upload_with_urllib3, upload_with_httpx, upload_with_async_httpx),
            *(upload_with_aiohttp, upload_with_tornado),
        )
    ),
]


@pytest.mark.parametrize("upload", UPLOADS)
def test_body_from_a_generator_from_a_file_and_on_demand(
    upload: Callable[[str, Path], Seen], peer: Callable[..., Peer], tmp_path: Path
) -> None:
    server = peer(takes_uploads)
    three_times(lambda: upload(server.url, tmp_path / "file"), tmp_path / "up.yaml", server)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:dateutil")
def test_botocore_waits_for_the_word_to_go_on(is_tls: bool, serve: Serve, ca_file: Path, tmp_path: Path) -> None:
    import botocore.config
    import botocore.session

    server = serve(takes_uploads)

    def ask() -> Seen:
        config = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=5, s3={"addressing_style": "path"})
        client = botocore.session.Session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=server.url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="wJalrXUtnFEMIK7MDENGEXAMPLEKEY",
            config=config,
            verify=str(ca_file) if is_tls else None,
        )
        seen = []
        for body in (b"some octets", open_file(tmp_path / "file")):
            answer = client.put_object(Bucket="bucket", Key="key", Body=body)
            seen.append(answer["ResponseMetadata"]["HTTPStatusCode"])
        client.close()
        return seen

    live, _ = three_times(ask, tmp_path / "s3.yaml", server)
    assert live == [200, 200]
