"""Answers that come before the request is complete: 100 (Continue), refusals, interim responses."""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from cassette_http import client
from tests.client.conftest import LIMIT_S, answering
from tests.peer import Connection, Gone, Peer, response

EXPECT = {"Expect": "100-continue"}
LARGE = bytes(4 << 20)


def test_the_body_waits_for_100(connect: Any) -> None:
    events = []

    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.read(1)
        events.append("no body yet")
        server.sock.settimeout(LIMIT_S)
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert server.read(4) == b"body"
        server.send(response(b"thanks"))

    connection = connect(script)
    connection.request("PUT", "/", b"body", EXPECT)
    answered = connection.getresponse()
    assert answered.read() == b"thanks"
    assert [interim.status for interim in answered.interim_responses] == [100]
    assert events == ["no body yet"]


def test_the_body_is_sent_when_nothing_comes(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cassette_http.client.sending.CONTINUE_WAIT_S", 0.05)

    def script(server: Connection) -> None:
        server.read_request()
        server.send(response(b"thanks"))

    connection = connect(script)
    connection.request("PUT", "/", b"body", EXPECT)
    assert connection.getresponse().read() == b"thanks"


def test_a_body_is_not_sent_on_to_a_peer_that_closed_its_side_of_tls_without_a_word(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        with socket.socket(fileno=os.dup(server.sock.fileno())) as below:
            below.shutdown(socket.SHUT_WR)
            below.settimeout(LIMIT_S)
            while below.recv(65536):
                pass

    server = peer(script, tls=server_tls)
    connection = client.HTTPSConnection(server.host, server.port, timeout=LIMIT_S, context=client_tls)
    connection.request("PUT", "/", LARGE)
    with pytest.raises(client.RemoteDisconnected):
        connection.getresponse()
    connection.close()


def test_a_final_answer_instead_of_100_stops_the_body(connect: Any) -> None:
    rest: queue.Queue[bytes] = queue.Queue()

    def script(server: Connection) -> None:
        if server.number == 1:
            server.read_until(b"\r\n\r\n")
            server.send(response(b"no", status=b"417 Expectation Failed"))
            rest.put(server.sock.recv(100))
        else:
            server.read_request()
            server.send(response(b"yes"))

    connection = connect(script)
    connection.request("PUT", "/", b"body", EXPECT)
    answered = connection.getresponse()
    assert (answered.status, answered.read(), answered.will_close) == (417, b"no", True)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"yes"
    assert rest.get(timeout=LIMIT_S) == b""


def test_a_body_sent_by_the_program_waits_as_well(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert server.read(4) == b"body"
        server.send(response(b"thanks"))

    connection = connect(script)
    connection.putrequest("PUT", "/")
    connection.putheader("Content-Length", 4)
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    connection.send(b"body")
    assert connection.getresponse().read() == b"thanks"


@pytest.mark.parametrize("chunked", [False, True], ids=["one buffer", "generator"])
def test_a_refusal_that_comes_while_a_large_body_is_sent_is_readable(connect: Any, chunked: bool) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.read(1000)
        server.send(response(b"too much", b"Connection: close", status=b"413 Content Too Large"))
        # Closing with octets unread makes the kernel reset the connection.

    connection = connect(script)
    connection.request("POST", "/", iter([LARGE] * 3) if chunked else LARGE)
    answered = connection.getresponse()
    assert (answered.status, answered.read()) == (413, b"too much")


def test_over_tls_the_same_holds(peer: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    def script(server: Connection) -> None:
        request = server.read_until(b"\r\n\r\n")
        if request.startswith(b"PUT"):
            # The session tickets of TLS 1.3 are on their way as well, and are no answer.
            server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert server.read(4) == b"body"
            server.send(response(b"thanks"))
            request = server.read_until(b"\r\n\r\n")
        assert request.startswith(b"POST")
        server.send(response(b"too much", status=b"413 Content Too Large"))
        server.wait_closed()

    server = peer(script, tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    connection.request("PUT", "/", b"body", EXPECT)
    assert connection.getresponse().read() == b"thanks"
    connection.request("POST", "/", (LARGE for _ in range(20)))
    answered = connection.getresponse()
    assert (answered.status, answered.read()) == (413, b"too much")
    assert server.connections == 1
    connection.close()


def test_unasked_octets_over_tls_never_answer_the_next_request(
    peer: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    goes_on = threading.Event()

    def script(server: Connection) -> None:
        server.read_request()
        server.send(response(b"real"))
        if server.number == 1:
            assert goes_on.wait(LIMIT_S)
            server.send(response(b"forged"))
        server.wait_closed()

    server = peer(script, tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"real"
    goes_on.set()
    assert select.select([connection._stream], [], [], LIMIT_S)[0]
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"real"
    assert server.connections == 2
    connection.close()


def test_request_on_a_tls_connection_that_ended_without_close_notify_is_disconnected(
    peer: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def script(server: Connection) -> None:
        server.read_request()
        server.send(response(b"real"))
        socket.socket(fileno=server.sock.detach()).close()

    server = peer(script, tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"real"
    assert select.select([connection._stream], [], [], LIMIT_S)[0]
    connection.request("GET", "/")
    with pytest.raises(client.RemoteDisconnected):
        connection.getresponse()


def test_who_asks_for_the_file_gets_what_came_early_and_then_the_rest(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nabc")
        goes_on.wait(LIMIT_S)
        server.send(b"def")

    goes_on = threading.Event()
    connection = connect(script)
    connection.request("PUT", "/", b"body", EXPECT)
    answered = connection.getresponse()
    assert answered.fp.peek() == b"abc"
    goes_on.set()
    assert answered.read() == b"abcdef"


def test_a_refusal_stops_the_body_even_if_the_peer_reads_no_more(connect: Any) -> None:
    is_over = threading.Event()

    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(response(b"no", status=b"403 Forbidden"))
        assert is_over.wait(LIMIT_S)

    connection = connect(script)
    connection.request("POST", "/", (LARGE for _ in range(20)))
    assert connection.getresponse().status == 403
    is_over.set()


def test_success_before_the_end_does_not_stop_the_body(connect: Any) -> None:
    def script(server: Connection) -> None:
        head = server.read_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreading")
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        assert server.read(length) == LARGE
        server.read_request()
        server.send(response(b"next"))

    connection = connect(script)
    connection.request("POST", "/", LARGE)
    assert connection.getresponse().read() == b"reading"
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"next"


@pytest.mark.parametrize("kind", [client.HTTPResponse, type("Response", (client.HTTPResponse,), {})])
def test_a_reset_behind_an_early_answer_is_met_by_its_reader(connect: Any, kind: type[client.HTTPResponse]) -> None:
    is_answered, is_read_on, is_reset = threading.Event(), threading.Event(), threading.Event()

    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        is_answered.set()
        assert is_read_on.wait(LIMIT_S)
        server.reset()
        is_reset.set()

    def body() -> Iterator[bytes]:
        yield b"begun"
        assert is_answered.wait(LIMIT_S)
        yield b"goes on, as the peer may read on after a success"
        is_read_on.set()
        assert is_reset.wait(LIMIT_S)
        yield b"is not sent any more"

    connection = connect(script)
    connection.response_class = kind
    connection.request("POST", "/", body())
    with connection.getresponse() as answered:
        assert (answered.status, answered.read(2)) == (200, b"ok")
        with pytest.raises(ConnectionResetError):
            answered.read()


def test_a_broken_pipe_without_an_answer_is_raised(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.reset()

    connection = connect(script)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.request("POST", "/", (LARGE for _ in range(20)))
    with pytest.raises(ConnectionError):
        connection.getresponse()


def test_interim_responses_are_kept(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_request()
        server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n")
        server.send(b"HTTP/1.1 102 Processing\r\n\r\n", response(b"done"))

    connection = connect(script)
    connection.request("GET", "/")
    answered = connection.getresponse()
    assert answered.read() == b"done"
    assert [(one.status, one.reason, one.headers.get_all("link")) for one in answered.interim_responses] == [
        (103, "Early Hints", ["</a>", "</b>"]),
        (102, "Processing", None),
    ]


def test_trailers_are_there_after_the_content(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_request()
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\nsum: 2\r\n\r\n")

    connection = connect(script)
    connection.request("GET", "/")
    answered = connection.getresponse()
    assert answered.trailers.items() == []
    assert answered.read() == b"abc"
    assert answered.trailers.get_all("SUM") == ["1", "2"]
    assert isinstance(answered.trailers, client.HTTPMessage)


def test_the_limit_of_fields_can_be_chosen(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = b"A: b\r\n" * 150
    script_octets = b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 1\r\n\r\na"

    def script(server: Connection) -> None:
        server.read_request()
        server.send(script_octets)

    connection = connect(script, max_response_headers=151)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"a"
    connection = connect(script, max_response_headers=10)
    connection.request("GET", "/")
    with pytest.raises(client.HTTPException, match="got more than 10 headers"):
        connection.getresponse()
    connection = connect(answering(*2 * [b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 1\r\n\r\na"]))
    for limit, is_allowed in ((2, True), (1, False)):
        connection.max_response_headers = limit
        connection.request("GET", "/")
        with nullcontext() if is_allowed else pytest.raises(client.HTTPException, match="got more than 1 headers"):
            assert connection.getresponse().read() == b"a"
    monkeypatch.setattr(client, "_MAXHEADERS", 1000)
    connection = connect(script)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"a"


def test_any_final_answer_instead_of_100_stops_the_body(connect: Any) -> None:
    def script(server: Connection) -> None:
        request = server.read_until(b"\r\n\r\n")
        server.send(response(b"known already") if request.startswith(b"PUT") else response(b"next"))
        if request.startswith(b"PUT"):
            with pytest.raises(Gone):
                server.read(1)

    connection = connect(script)
    connection.request("PUT", "/", b"body", EXPECT)
    answered = connection.getresponse()
    assert (answered.status, answered.read(), answered.will_close) == (200, b"known already", True)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"next"


def test_content_that_is_still_unread_is_no_answer(connect: Any) -> None:
    refusal_in_content = response(b"not meant", status=b"403 Forbidden")

    def script(server: Connection) -> None:
        server.read_request()
        server.send(response(refusal_in_content))
        server.read_until(b"\r\n\r\n")
        assert server.read(len(LARGE)) == LARGE
        server.send(response(b"second"))

    connection = connect(script)
    connection.request("GET", "/")
    first = connection.getresponse()
    connection.request("POST", "/", LARGE)
    assert first.read() == refusal_in_content
    assert connection.getresponse().read() == b"second"
