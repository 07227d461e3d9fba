"""Our client against others: small answers on a kept connection, and large ones."""

from __future__ import annotations

import http.client
import importlib
import io
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.answers import answer_to
from benchmarks.tables import Contestant, Job, Skipped, Table, cpu_seconds

__all__ = ["TABLES"]

Get = Callable[[str, bool], None]

FIELDS = {"Accept": "*/*", "User-Agent": "benchmarks/1.0"}
RAW_BUFFER_OCTETS = 1 << 20


def download(open_client: Callable[[Job, bool], Get], target: str, count: int, is_tls: bool, job: Job) -> float:
    """Get `target` again and again; returns CPU seconds for one time."""
    if is_tls and not job.tls_port:
        raise Skipped("needs trustme")
    get = open_client(job, is_tls)
    count = job.scaled(count)
    if job.is_quick:
        target = re.sub("[0-9]+$", "1", target)

    def work() -> None:
        for _ in range(count):
            get(target, False)

    for _ in range(max(1, count // 10)):
        get(target, False)
    return cpu_seconds(work) / count


def microseconds(*args: Any) -> float:
    return download(*args) * 1e6


def milliseconds(*args: Any) -> float:
    return download(*args) * 1e3


def look_at_fields(open_client: Callable[[Job, bool], Get], job: Job, is_tls: bool) -> Get:
    """The same client, for a program that also looks at a field of each response."""
    get = open_client(job, is_tls)
    return lambda target, _: get(target, True)


# ---------------------------------------------------------------------- clients


def _context(job: Job) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(job.authority))


def _with_api_of_stock(module: Any, job: Job, is_tls: bool) -> Get:
    connection = (
        module.HTTPSConnection(job.host, job.tls_port, context=_context(job))
        if is_tls
        else module.HTTPConnection(job.host, job.port)
    )

    def get(target: str, looks_at_field: bool) -> None:
        connection.request("GET", target, headers=FIELDS)
        response = connection.getresponse()
        if looks_at_field:
            assert response.getheader("Content-Type")
        assert response.status == 200
        assert response.read()

    return get


def open_own(job: Job, is_tls: bool) -> Get:
    from cassette_http import client

    return _with_api_of_stock(client, job, is_tls)


def open_stock(job: Job, is_tls: bool) -> Get:
    return _with_api_of_stock(http.client, job, is_tls)


def open_urllib3(job: Job, is_tls: bool) -> Get:
    import urllib3

    pool = urllib3.PoolManager(ca_certs=str(job.authority) if is_tls else None)
    origin = f"https://{job.host}:{job.tls_port}" if is_tls else job.origin

    def get(target: str, looks_at_field: bool) -> None:
        response = pool.request("GET", origin + target, headers=FIELDS)
        if looks_at_field:
            assert response.headers.get("Content-Type")
        assert response.status == 200
        assert response.data

    return get


def open_pycurl(job: Job, is_tls: bool) -> Get:
    import pycurl

    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in FIELDS.items()])
    if is_tls:
        handle.setopt(pycurl.CAINFO, str(job.authority))
    origin = f"https://{job.host}:{job.tls_port}" if is_tls else job.origin
    head: list[bytes] = []

    def get(target: str, looks_at_field: bool) -> None:
        content = io.BytesIO()
        handle.setopt(pycurl.URL, origin + target)
        handle.setopt(pycurl.WRITEDATA, content)
        if looks_at_field:
            head.clear()
            handle.setopt(pycurl.HEADERFUNCTION, head.append)
        handle.perform()
        if looks_at_field:
            assert next(line for line in head if line.lower().startswith(b"content-type:"))
        assert handle.getinfo(pycurl.RESPONSE_CODE) == 200
        assert content.getvalue()

    return get


def open_raw(job: Job, is_tls: bool) -> Get:
    """What nobody can beat: send the octets, and receive as many as the answer has, without looking at them."""
    stream = socket.create_connection((job.host, job.tls_port if is_tls else job.port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if is_tls:
        stream = _context(job).wrap_socket(stream, server_hostname=job.host)
    fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    buffer = bytearray(RAW_BUFFER_OCTETS)
    prepared: dict[str, tuple[bytes, int]] = {}

    def get(target: str, looks_at_field: bool) -> None:
        if target not in prepared:
            request = f"GET {target} HTTP/1.1\r\nHost: {job.host}\r\n{fields}\r\n".encode("ascii")
            prepared[target] = request, len(answer_to(target))
        request, left = prepared[target]
        stream.sendall(request)
        while left > 0:
            left -= stream.recv_into(buffer)

    return get


# ---------------------------------------------------------------------- ways to read


def read_by_amount(amount: int, response: Any) -> None:
    while response.read(amount):
        pass


def read_into(response: Any) -> None:
    buffer = bytearray(8192)
    while response.readinto(buffer):
        pass


def read_lines(response: Any) -> None:
    for _ in response:
        pass


def open_to_read(module_name: str, read: Callable[[Any], None], job: Job, is_tls: bool) -> Get:
    """A client with the API of the standard library, whose responses are read in one way."""
    module = importlib.import_module(module_name)
    connection = module.HTTPConnection(job.host, job.port)

    def get(target: str, looks_at_field: bool) -> None:
        connection.request("GET", target, headers=FIELDS)
        # The standard library does not notice the end of lines of a known length.
        with connection.getresponse() as response:
            read(response)

    return get


# ---------------------------------------------------------------------- tables


def _contestants(
    figure: Callable[..., float], target: str, count: int, *, is_tls: bool = False, looks_at_field: bool = False
) -> tuple[Contestant, ...]:
    def contestant(name: str, open_client: Callable[[Job, bool], Get], needs: tuple[str, ...] = ()) -> Contestant:
        if looks_at_field:
            open_client = partial(look_at_fields, open_client)
        return Contestant(name, partial(figure, open_client, target, count, is_tls), needs=needs)

    return (
        contestant("raw socket loop", open_raw),
        contestant("cassette_http.client", open_own),
        contestant("http.client", open_stock),
        contestant("urllib3", open_urllib3, ("urllib3",)),
        contestant("pycurl", open_pycurl, ("pycurl",)),
    )


WAYS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "read8192": ("read(8192)", partial(read_by_amount, 8192)),
    "read100": ("read(100)", partial(read_by_amount, 100)),
    "readinto": ("readinto() a buffer of 8 KB", read_into),
    "lines": ("iteration over lines of 80 octets", read_lines),
}
FRAMINGS = {"chunked": "in chunks of 8 KB", "large": "with Content-Length"}


def _reading_tables() -> Iterator[Table]:
    """Content in pieces, in each framing and way."""
    for kind, framing in FRAMINGS.items():
        for name, (title, read) in WAYS.items():
            yield Table(
                f"client-{kind}-{name}",
                f"GET of 1 MB {framing}, through {title}",
                "ms",
                tuple(
                    Contestant(
                        module, partial(milliseconds, partial(open_to_read, module, read), f"/{kind}/1", 50, False)
                    )
                    for module in ("cassette_http.client", "http.client")
                ),
                reference="http.client",
                goal="as http.client",
            )


TABLES = (
    Table(
        "client-small",
        "GET of 12 fields and 1 KB on a kept connection; status and content are used",
        "us",
        _contestants(microseconds, "/small", 5000),
        reference="http.client",
        goal="4 x http.client; 0.45 of the raw socket loop; ahead of pycurl",
    ),
    Table(
        "client-fields",
        "the same, and one field is looked at",
        "us",
        _contestants(microseconds, "/small", 5000, looks_at_field=True),
        reference="http.client",
    ),
    Table(
        "client-tls",
        "GET of 12 fields and 1 KB on a kept TLS connection",
        "us",
        _contestants(microseconds, "/small", 3000, is_tls=True),
        reference="http.client",
        goal="2.8 x http.client",
    ),
    Table(
        "client-chunked",
        "GET of 10 MB in chunks of 8 KB",
        "ms",
        _contestants(milliseconds, "/chunked/10", 20),
        reference="http.client",
        goal="1.7 x http.client",
    ),
    Table(
        "client-10MB",
        "GET of 10 MB with Content-Length",
        "ms",
        _contestants(milliseconds, "/large/10", 40),
        reference="http.client",
        goal="as http.client",
    ),
    Table(
        "client-100MB",
        "GET of 100 MB with Content-Length",
        "ms",
        _contestants(milliseconds, "/large/100", 5),
        reference="http.client",
        goal="as http.client",
    ),
    *_reading_tables(),
)
