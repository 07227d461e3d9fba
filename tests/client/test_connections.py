"""The life of a connection: what it carries one after the other, when it is opened anew, tunnels, TLS."""

from __future__ import annotations

import errno
import functools
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from cassette_http import client
from cassette_http.transport import base, live
from tests.client.conftest import LIMIT_S, answering
from tests.peer import Connection, Peer, keep_alive, response

OK = b"HTTP/1.1 200 OK\r\n"


def get(connection: client.HTTPConnection, target: str = "/") -> bytes:
    connection.request("GET", target)
    return connection.getresponse().read()


def test_a_kept_connection_carries_many_requests(peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(request.split()[1])))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    assert [get(connection, f"/{number}") for number in range(5)] == [b"/%d" % number for number in range(5)]
    assert server.connections == 1
    connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", id="Connection: close"),
        pytest.param(OK + b"Connection: x, Close\r\nContent-Length: 1\r\n\r\na", id="close in a list"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", id="HTTP/1.0"),
        pytest.param(OK + b"\r\na", id="no length"),
        pytest.param(
            OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", id="two framings"
        ),
    ],
)
def test_a_connection_that_ends_with_the_response_is_opened_again(peer: Callable[..., Peer], answer: bytes) -> None:
    server = peer(answering(answer))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    for _ in range(2):
        connection.request("GET", "/")
        answered = connection.getresponse()
        assert connection.sock is None
        assert answered.fileno() >= 0
        assert answered.read() == b"a"
        with pytest.raises(ValueError, match="ended"):
            answered.fileno()
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", id="keep-alive"),
        pytest.param(b"HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 1\r\n\r\na", id="Keep-Alive field"),
        pytest.param(b"HTTP/1.0 200 OK\r\nProxy-Connection: keep-alive\r\nContent-Length: 1\r\n\r\na", id="proxy"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\n\r\n", id="chunked with trailers"),
    ],
)
def test_other_connections_are_kept(peer: Callable[..., Peer], answer: bytes) -> None:
    server = peer(answering(answer, answer))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    assert [get(connection), get(connection)] == [b"a", b"a"]
    assert server.connections == 1
    connection.close()


def test_a_response_must_be_read_before_the_next_one(connect: Any) -> None:
    connection = connect(answering(response(b"one") + response(b"two"), then_close=False))
    connection.request("GET", "/1")
    first = connection.getresponse()
    connection.request("GET", "/2")
    with pytest.raises(client.ResponseNotReady, match="Request-sent"):
        connection.getresponse()
    assert first.read() == b"one"
    assert connection.getresponse().read() == b"two"


def test_a_response_that_is_closed_unread_takes_the_one_behind_it_with_it(peer: Callable[..., Peer]) -> None:
    server = peer(answering(response(b"one") + response(b"two"), then_close=False))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    connection.request("GET", "/1")
    first = connection.getresponse()
    connection.request("GET", "/2")
    first.close()
    with pytest.raises(client.ResponseNotReady, match="Idle"):
        connection.getresponse()
    assert get(connection) == b"one"
    assert server.connections == 2
    connection.close()


def test_unasked_octets_never_answer_the_next_request(peer: Callable[..., Peer]) -> None:
    forged = response(b"forged")

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(response(b"real"), forged)
        connection.read_request()
        connection.send(response(b"too late"))

    server = peer(script)
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    assert [get(connection), get(connection)] == [b"real", b"real"]
    assert server.connections == 2
    connection.close()


def test_connection_that_is_not_opened_by_itself_is_not_opened_again(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(answering(response(b"real") + b"unasked", then_close=False))
    assert get(connection) == b"real"
    monkeypatch.setattr(client.HTTPConnection, "auto_open", 0)
    with pytest.raises(client.NotConnected):
        connection.request("GET", "/")


@pytest.mark.parametrize("is_shared", [False, True], ids=["own socket", "socket that the program holds, too"])
def test_unasked_octets_that_come_later_close_the_connection(peer: Callable[..., Peer], is_shared: bool) -> None:
    servers: list[Connection] = []

    def script(connection: Connection) -> None:
        servers.append(connection)
        connection.read_request()
        connection.send(response(b"real"))
        connection.read_request()

    server = peer(script)
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    if is_shared:
        connection.connect()
        assert connection.sock.fileno() >= 0
    assert get(connection) == b"real"
    watched = connection._stream
    servers[0].send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    watched.recv(1, socket.MSG_PEEK)
    assert get(connection) == b"real"
    assert server.connections == 2
    connection.close()


@pytest.mark.parametrize("is_shared", [False, True], ids=["own socket", "socket that the program holds, too"])
def test_unasked_octets_in_the_same_tls_record_never_answer_the_next_request(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, is_shared: bool
) -> None:
    """What TLS has decrypted, and nobody has read, does not show on the socket."""

    def script(connection: Connection) -> None:
        connection.read_request()
        # A file reads the first half of it.
        connection.send(response(b"real"), response(b"x" * 12000))
        connection.wait_closed()

    server = peer(script, tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    if is_shared:
        connection.connect()
        assert connection.sock.fileno() >= 0
    assert [get(connection), get(connection)] == [b"real", b"real"]
    assert server.connections == 2
    connection.close()


def test_a_response_closed_unread_takes_its_connection_with_it(peer: Callable[..., Peer]) -> None:
    server = peer(answering(response(b"secret of the first request"), response(b"never seen"), then_close=False))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    connection.request("GET", "/1")
    connection.getresponse().close()
    assert get(connection, "/2") == b"secret of the first request"
    assert server.connections == 2
    connection.close()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}], ids=["quick", "general"])
def test_a_response_must_be_read_before_one_of_another_connection(connect: Any, headers: dict[str, str]) -> None:
    connection = connect(answering(response(b"a"), then_close=False))
    connection.request("GET", "/", headers=headers)
    first = connection.getresponse()
    old = connection.sock
    connection.connect()
    connection.request("GET", "/", headers=headers)
    with pytest.raises(client.ResponseNotReady):
        connection.getresponse()
    assert first.read() == connection.getresponse().read() == b"a"
    old.close()


def test_closing_the_connection_closes_a_response_that_is_kept_on_it(connect: Any) -> None:
    connection = connect(answering(response(b"abc"), then_close=False))
    connection.request("GET", "/")
    answered = connection.getresponse()
    connection.close()
    assert answered.closed
    assert answered.read() == b""


def test_the_socket_may_be_closed_under_a_response(connect: Any) -> None:
    connection = connect(answering(OK + b"Content-Length: 3\r\n\r\n", then_close=False))
    connection.request("GET", "/")
    answered = connection.getresponse()
    # As urllib.request does, so that the response is the last to hold the connection.
    connection.sock.close()
    connection.sock = None
    assert answered.fileno() >= 0
    answered.close()


def test_a_peer_that_vanishes_is_reported_and_the_connection_usable(peer: Callable[..., Peer]) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        if connection.number == 2:
            connection.reset()
        elif connection.number == 3:
            connection.send(response(b"a"))

    server = peer(script)
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    with pytest.raises(client.RemoteDisconnected, match="Remote end closed connection without response"):
        get(connection)
    with pytest.raises(ConnectionResetError, match="reset by peer"):
        get(connection)
    assert get(connection) == b"a"
    connection.close()


def test_a_time_out_leaves_the_connection_to_be_closed(connect: Any) -> None:
    connection = connect(lambda server: server.wait_closed())
    connection.timeout = 0.05
    connection.request("GET", "/")
    with pytest.raises(TimeoutError, match="timed out"):
        connection.getresponse()
    with pytest.raises(client.CannotSendRequest):
        connection.request("GET", "/")


def test_the_switch_to_another_protocol_hands_over_the_stream(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_request()
        server.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nhello ")
        server.send(server.read(5))

    connection = connect(script)
    connection.request("GET", "/", headers={"Upgrade": "echo", "Connection": "upgrade"})
    answered = connection.getresponse()
    assert (answered.status, answered.will_close) == (101, False)
    connection.sock.sendall(b"world")
    assert answered.fp.read(11) == b"hello world"


def test_after_another_protocol_requests_go_to_a_new_connection(peer: Callable[..., Peer]) -> None:
    def script(server: Connection) -> None:
        server.read_request()
        if server.number == 1:
            server.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            server.wait_closed()
        else:
            server.send(response(b"a"))

    server = peer(script)
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    assert [get(connection), get(connection)] == [b"", b"a"]
    connection.close()


# --- transports -----------------------------------------------------------------------------------------------------


class Named:
    """A transport that dials as usual, and counts."""

    def __init__(self) -> None:
        self.dialled = 0

    def connect(self, address: base.Address, timeout_s: Any = live.DEFAULT_TIMEOUT, source_address: Any = None) -> Any:
        self.dialled += 1
        return live.connect(address, timeout_s, source_address)


def test_a_connection_follows_the_transport_in_use(peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(b"a")))
    first, second = Named(), Named()
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    get(connection)
    with base.fill(first):
        get(connection)
        get(connection)
        with base.fill(second):
            get(connection)
        get(connection)
    get(connection)
    assert (first.dialled, second.dialled, server.connections) == (2, 1, 5)
    connection.close()


def test_a_transport_of_its_own_is_independent_of_that_in_use(peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(b"a")))
    own, other = Named(), Named()
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S, transport=own)
    get(connection)
    with base.fill(other):
        get(connection)
    assert (own.dialled, other.dialled, server.connections) == (1, 0, 1)
    connection.close()


# --- tunnels and TLS ------------------------------------------------------------------------------------------------


def tunnel_then(answer: bytes, status: bytes = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n") -> Any:
    def script(server: Connection) -> None:
        requests.append(server.read_until(b"\r\n\r\n"))
        server.send(status)
        requests.append(server.read_until(b"\r\n\r\n"))
        server.send(answer)

    requests: list[bytes] = []
    script.requests = requests  # type: ignore[attr-defined]
    return script


def test_a_tunnel_is_asked_for_once_and_then_used(connect: Any) -> None:
    script = tunnel_then(response(b"a"))
    connection = connect(script)
    connection.set_tunnel("target.example", 8080, {"Proxy-Authorization": "Basic x"})
    assert connection.get_proxy_response_headers() is None
    assert get(connection) == b"a"
    assert script.requests == [
        b"CONNECT target.example:8080 HTTP/1.1\r\nProxy-Authorization: Basic x\r\nHost: target.example:8080\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: target.example:8080\r\nAccept-Encoding: identity\r\n\r\n",
    ]
    assert connection.get_proxy_response_headers()["via"] == "x"
    with pytest.raises(RuntimeError, match="established connection"):
        connection.set_tunnel("other.example")


def test_a_tunnel_that_is_opened_again_is_asked_for_on_its_own_connection(connect: Any) -> None:
    script = tunnel_then(response(b"a"))
    connection = connect(script)
    connection.set_tunnel("far.example", 444)
    connection.request("POST", "/", b"body")
    first = connection.sock
    assert first.recv(1 << 16)  # the peer has got the request
    connection.connect()
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    assert connection.getresponse().read() == b"a"
    first.close()
    assert sorted(request.split(b" ")[0] for request in script.requests) == [b"CONNECT", b"CONNECT", b"GET", b"POST"]


def test_a_refused_tunnel_tells_what_the_proxy_said(connect: Any) -> None:
    refusal = b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nlogin"
    connection = connect(tunnel_then(b"", refusal))
    connection.set_tunnel("target.example")
    with pytest.raises(OSError, match=r"^Tunnel connection failed: 407 Who are you$") as caught:
        connection.request("GET", "/")
    assert isinstance(caught.value, client.TunnelError)
    assert (caught.value.status, caught.value.content) == (407, b"login")
    assert caught.value.headers["proxy-authenticate"] == "Basic"
    assert connection.get_proxy_response_headers()["proxy-authenticate"] == "Basic"
    assert connection.sock is None


@pytest.mark.parametrize("host", ["a\rb", "a\nb", "a b", "a\0b", "a\u00a0b"], ids=ascii)
def test_control_characters_never_reach_the_proxy(connect: Any, host: str) -> None:
    script = tunnel_then(b"")
    connection = connect(script)
    connection.set_tunnel(host)
    with pytest.raises(ValueError, match="Tunnel host can't contain control characters"):
        connection.connect()
    with pytest.raises(ValueError, match=r"control characters|Invalid header value"):
        connection.request("GET", "/")
    connection.close()
    connection.set_tunnel("target.example", headers={"X": "a\r\nB: c"})
    with pytest.raises(ValueError, match="Invalid header value"):
        connection.connect()
    assert script.requests == []


def test_octets_between_tunnel_and_tls_are_refused(connect: Any, peer: Any) -> None:
    script = tunnel_then(b"", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    server = peer(script)
    connection = client.HTTPSConnection(server.host, server.port, timeout=LIMIT_S)
    connection.set_tunnel("target.example")
    with pytest.raises(OSError, match="octets came before"):
        connection.request("GET", "/")
    assert connection.sock is None


def test_requests_over_tls(peer: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = peer(keep_alive(lambda request: response(request.split()[1])), tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    assert [get(connection, f"/{number}") for number in range(3)] == [b"/0", b"/1", b"/2"]
    assert server.connections == 1
    connection.close()


def test_an_untrusted_certificate_is_refused_by_default(peer: Any, server_tls: ssl.SSLContext) -> None:
    server = peer(keep_alive(lambda request: response()), tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        connection.request("GET", "/")
    assert connection.sock is None


def test_a_large_body_over_tls_arrives_whole(peer: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    server = peer(keep_alive(lambda request: response(request.partition(b"\r\n\r\n")[2])), tls=server_tls)
    connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    body = bytes(range(256)) * 4096
    connection.request("POST", "/", body)
    assert connection.getresponse().read() == body
    connection.close()


def test_the_documented_arguments_of_https_are_accepted() -> None:
    with pytest.warns(DeprecationWarning, match="use a custom context instead"):
        connection = client.HTTPSConnection("example.com", check_hostname=False)
    assert not connection._context.check_hostname
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="check_hostname needs"):  # noqa: PT030
        client.HTTPSConnection("example.com", context=context, check_hostname=True)


# --- what programs do with the parts --------------------------------------------------------------------------------


def test_who_decodes_chunks_from_the_file_keeps_the_connection(peer: Callable[..., Peer]) -> None:
    answer = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    server = peer(keep_alive(lambda request: answer))
    connection = client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    for _ in range(2):
        connection.request("GET", "/")
        answered = connection.getresponse()
        # As urllib3 does.
        assert answered.fp is not None
        assert answered.fp.readline() == b"3\r\n"
        assert answered._safe_read(5) == b"abc\r\n"
        assert [answered.fp.readline(), answered.fp.readline()] == [b"0\r\n", b"\r\n"]
        answered.close()
    assert server.connections == 1
    connection.close()


def test_octets_that_the_stream_lacks_are_incomplete(connect: Any) -> None:
    connection = connect(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab"))
    connection.request("GET", "/")
    answered = connection.getresponse()
    with pytest.raises(client.IncompleteRead) as caught:
        answered._safe_read(10)
    assert (caught.value.partial, caught.value.expected) == (b"3\r\nab", 5)


def test_a_connection_is_dropped_without_the_close_of_a_subclass(peer: Callable[..., Peer]) -> None:
    closed = []

    class Subclass(client.HTTPConnection):
        def close(self) -> None:
            closed.append(self)
            super().close()

    server = peer(answering(response(b"a") + b"unasked", response(b"b"), then_close=False))
    connection = Subclass(server.host, server.port, timeout=LIMIT_S)
    assert [get(connection), get(connection)] == [b"a", b"a"]
    assert (server.connections, closed) == (2, [])
    connection.close()


@pytest.mark.parametrize("name", ["putrequest", "putheader", "endheaders", "send", "_send_output", "_encode_request"])
def test_what_a_subclass_overrides_is_called(connect: Any, name: str) -> None:
    calls = []

    def override(self: client.HTTPConnection, *arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return getattr(client.HTTPConnection, name)(self, *arguments, **options)

    plain = connect(keep_alive(lambda request: response(b"a")))
    connection = type("Subclass", (client.HTTPConnection,), {name: override})(plain.host, plain.port, timeout=LIMIT_S)
    for _ in range(2):
        calls.clear()
        assert get(connection) == b"a"
        assert calls
    connection.close()


@pytest.mark.parametrize("name", ["putrequest", "putheader", "endheaders", "send"])
def test_what_a_program_replaces_is_called(connect: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    connection = connect(keep_alive(lambda request: response(b"a")))
    get(connection)
    original = getattr(client.HTTPConnection, name)
    calls = 0

    def counting(self: client.HTTPConnection, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(self, *arguments, **options)

    monkeypatch.setattr(connection, name, functools.partial(counting, connection))
    get(connection)
    assert calls
    monkeypatch.delattr(connection, name)
    calls = 0
    monkeypatch.setattr(client.HTTPConnection, name, counting)
    get(connection)
    assert calls


@pytest.mark.parametrize("name", ["__init__", "begin", "_read_status"])
def test_what_a_program_replaces_in_responses_is_called(
    connect: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = getattr(client.HTTPResponse, name)
    calls = []

    def counting(self: client.HTTPResponse, *arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return original(self, *arguments, **options)

    monkeypatch.setattr(client.HTTPResponse, name, counting)
    assert get(connect(keep_alive(lambda request: response(b"a")))) == b"a"
    assert calls == [name]


def test_another_class_of_responses_is_used(connect: Any) -> None:
    class Shouting(client.HTTPResponse):
        def _read_status(self) -> tuple[str, int, str]:
            version, status, reason = super()._read_status()
            return version, status, reason.upper()

    connection = connect(answering(response(b"a", status=b"200 Fine"), response(b"b", status=b"200 Fine")))
    connection.response_class = Shouting
    for content in (b"a", b"b"):
        connection.request("GET", "/")
        answered = connection.getresponse()
        assert (answered.reason, answered.read()) == ("FINE", content)


def test_another_class_of_responses_sees_octets_that_came_early(connect: Any) -> None:
    def script(server: Connection) -> None:
        server.read_until(b"\r\n\r\n")
        server.send(response(b"no", status=b"417 Expectation Failed"))
        server.wait_closed()

    peers = []

    class Response(client.HTTPResponse):
        def __init__(self, sock: Any, **options: Any) -> None:
            peers.append(sock.getpeername())
            super().__init__(sock, **options)

    connection = connect(script)
    connection.response_class = Response
    connection.request("PUT", "/", b"body", {"Expect": "100-continue"})
    answered = connection.getresponse()
    assert answered.fileno() >= 0
    assert (answered.status, answered.read()) == (417, b"no")
    assert peers == [("127.0.0.1", connection.port)]


def test_another_class_of_responses_reads_a_large_body_in_parts(connect: Any) -> None:
    class Response(client.HTTPResponse):
        pass

    content = bytes(range(256)) * (5 << 11)  # several times what is read at once
    connection = connect(answering(response(content)))
    connection.response_class = Response
    assert get(connection) == content


def test_a_socket_of_the_programs_own_is_used() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = client.HTTPConnection("example.com")
        connection.sock = ours
        theirs.sendall(response(b"a"))
        assert get(connection) == b"a"
        assert theirs.recv(100).startswith(b"GET / HTTP/1.1\r\nHost: example.com\r\n")
        assert connection.sock is ours
        connection.close()


def test_a_socket_without_nodelay_is_used_all_the_same() -> None:
    class Rigid:
        def __init__(self, number: int) -> None:
            self.number, self.is_closed = number, False

        def setsockopt(self, *option: int) -> None:
            raise OSError(self.number, "no")

        def close(self) -> None:
            self.is_closed = True

    for number, is_closed in ((errno.ENOPROTOOPT, False), (errno.EBADF, True)):
        stream = Rigid(number)
        connection = client.HTTPConnection("example.com")
        connection._create_connection = lambda *address, stream=stream: stream
        if is_closed:
            with pytest.raises(OSError, match="no"):
                connection.connect()
        else:
            connection.connect()
        assert stream.is_closed is is_closed
