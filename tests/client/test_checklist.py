"""The corners of the documented API that no other test of the client visits, and those of its later versions."""

from __future__ import annotations

import io
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest

from cassette_http import client
from cassette_http.client import status_names
from cassette_http.transport import live
from tests.client.conftest import LIMIT_S, answering
from tests.client.nowhere import Nowhere
from tests.peer import Connection, Peer, keep_alive, response

EMPTY = response()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# --- making a connection --------------------------------------------------------------------------------------------


def test_arguments_are_positional_in_this_order_and_nothing_is_dialled() -> None:
    connection = client.HTTPConnection("a.example", 81, 2.5, ("127.0.0.1", 0), 4096)
    assert (connection.host, connection.port, connection.timeout) == ("a.example", 81, 2.5)
    assert (connection.source_address, connection.blocksize) == (("127.0.0.1", 0), 4096)
    assert connection.sock is None
    plain = client.HTTPConnection("a.example")
    assert (plain.timeout, plain.source_address, plain.blocksize) == (live.DEFAULT_TIMEOUT, None, 8192)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("a.example", "a.example", 80),
        ("a.example:8080", "a.example", 8080),
        ("a.example:", "a.example", 80),
        ("[::1]:9", "::1", 9),
        ("[::1]", "::1", 80),
        ("[::1]:", "::1", 80),
    ],
)
def test_port_may_stand_behind_the_host(given: str, host: str, port: int) -> None:
    connection = client.HTTPConnection(given)
    assert (connection.host, connection.port) == (host, port)
    secure = client.HTTPSConnection(given)
    assert secure.port == (443 if port == 80 else port)


def test_timeout_and_source_address_reach_the_dial() -> None:
    for options, expected in (
        ({}, (live.DEFAULT_TIMEOUT, None)),
        ({"timeout": None}, (None, None)),
        ({"timeout": 3, "source_address": ("127.0.0.1", 0)}, (3, ("127.0.0.1", 0))),
    ):
        transport = Nowhere()
        client.HTTPConnection("a.example", transport=transport, **options).connect()
        assert transport.dialled == [(("a.example", 80), *expected)]
        assert transport.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def test_the_dialled_socket_is_bound_and_has_the_timeout(peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: EMPTY))
    connection = client.HTTPConnection(server.host, server.port, 7, ("127.0.0.2", 0))
    connection.connect()
    assert connection.sock.getsockname()[0] == "127.0.0.2"
    assert connection.sock.gettimeout() == 7
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.close()
    connection.close()
    assert connection.sock is None


def test_connecting_and_sending_are_audit_events(connect: Any) -> None:
    connection = connect(keep_alive(lambda request: EMPTY))
    seen: list[tuple[Any, ...]] = []
    is_on = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if is_on and event.startswith("http.client.") and arguments[0] is connection:
            seen.append((event, *arguments[1:]))

    sys.addaudithook(hook)
    connection.blocksize = 2
    connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
    connection.putheader("Content-Length", 3)
    connection.endheaders()
    connection.send(io.BytesIO(b"abc"))
    is_on = False
    assert connection.getresponse().status == 200
    assert seen == [
        ("http.client.connect", connection.host, connection.port),
        ("http.client.send", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"),
        ("http.client.send", b"ab"),
        ("http.client.send", b"c"),
    ]


@pytest.mark.parametrize("level", ["class", "method"])
def test_debugging_can_be_switched_on_for_all(
    connect: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    connection = connect(keep_alive(lambda request: EMPTY))
    if level == "class":
        monkeypatch.setattr(client.HTTPConnection, "debuglevel", 1)
    else:
        connection.set_debuglevel(1)
    connection.request("GET", "/")
    answered = connection.getresponse()
    assert answered.debuglevel == 1
    assert capsys.readouterr().out.startswith("send: b'GET / HTTP/1.1")


def test_programs_may_put_another_print_in_place(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[object, ...]] = []
    monkeypatch.setattr(client, "print", lambda *words: said.append(words), raising=False)
    connection = connect(keep_alive(lambda request: EMPTY))
    connection.set_debuglevel(1)
    connection.request("GET", "/")
    connection.getresponse()
    assert [words[0] for words in said] == ["send:", "reply:", "header:"]


# --- sending --------------------------------------------------------------------------------------------------------


def test_file_is_read_in_blocks_of_the_size_that_is_set() -> None:
    class File(io.BytesIO):
        asked: list[int | None] = []  # noqa: RUF012

        def read(self, size: int | None = -1, /) -> bytes:
            self.asked.append(size)
            return super().read(size)

    transport = Nowhere()
    connection = client.HTTPConnection("a.example", transport=transport, blocksize=10)
    connection.blocksize = 4
    connection.request("PUT", "/", File(b"abcdef"))
    assert set(File.asked) == {4}
    assert b"".join(transport.sent).endswith(b"\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n")


def pieces() -> Iterator[bytes]:
    yield from (b"one", b"", b"two")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"onetwo", b"6\r\nonetwo\r\n0\r\n\r\n"),
        (io.BytesIO(b"onetwo"), b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (pieces(), b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (None, b""),
    ],
    ids=["buffer: one chunk", "file: one a block", "iterable: one an item", "nothing"],
)
def test_endheaders_makes_chunks_if_asked(body: Any, sent: bytes) -> None:
    transport = Nowhere()
    connection = client.HTTPConnection("a.example", transport=transport, blocksize=3)
    connection.putrequest("POST", "/")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(body, encode_chunked=True)
    assert transport.sent[0].endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b"".join(transport.sent[1:]) == sent


def test_encode_chunked_means_nothing_with_a_length() -> None:
    transport = Nowhere()
    connection = client.HTTPConnection("a.example", transport=transport)
    connection.request("POST", "/", pieces(), {"Content-Length": "6"}, encode_chunked=True)
    assert b"".join(transport.sent).endswith(b"\r\nContent-Length: 6\r\n\r\nonetwo")


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (b"ab", b"ab"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abc")[1:], b"bc"),
        (iter([b"a", b"b"]), b"ab"),
        (io.StringIO("\xe4"), b"\xe4"),
    ],
    ids=["bytes", "bytearray", "memoryview", "iterable", "text file"],
)
def test_send_takes_octets_in_any_form(data: Any, sent: bytes) -> None:
    transport = Nowhere()
    client.HTTPConnection("a.example", transport=transport).send(data)
    assert b"".join(transport.sent) == sent


def test_send_refuses_what_has_no_octets() -> None:
    with pytest.raises(TypeError, match="should be a bytes-like object or an iterable"):
        client.HTTPConnection("a.example", transport=Nowhere()).send(1)


@pytest.mark.parametrize("value", ["a\r\n b", "a\r\n\tb", "a\n b"])
def test_field_value_may_be_folded(value: str) -> None:
    transport = Nowhere()
    client.HTTPConnection("a.example", transport=transport).request("GET", "/", headers={"X": value})
    assert b"\r\nX: " + value.encode() + b"\r\n" in transport.sent[0]


def test_empty_target_is_the_root_and_an_empty_method_is_sent() -> None:
    transport = Nowhere()
    connection = client.HTTPConnection("a.example", transport=transport)
    connection.putrequest("", "")
    connection.endheaders()
    assert transport.sent[0].startswith(b" / HTTP/1.1\r\nHost: a.example\r\n")


# --- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [
        lambda answered: answered.read1(6),
        lambda answered: answered.readline(6),
        lambda answered: answered.readinto(bytearray(6)),
        lambda answered: answered.read(6),
    ],
    ids=["read1", "readline", "readinto", "read"],
)
def test_last_octet_of_a_known_length_ends_the_response(connect: Any, read: Callable[[Any], Any]) -> None:
    connection = connect(answering(response(b"abcdef"), EMPTY, then_close=False))
    connection.request("GET", "/")
    answered = connection.getresponse()
    read(answered)
    assert answered.isclosed()
    assert not answered.closed
    connection.request("GET", "/")
    assert connection.getresponse().read() == b""


def test_getallmatchingheaders_gives_lines(connect: Any) -> None:
    connection = connect(answering(response(b"", b"A: 1", b"B: 2", b"a: 3")))
    connection.request("GET", "/")
    message = connection.getresponse().headers
    assert message.get_all("A") == ["1", "3"]
    # It compares whole lines with "name:", and so finds nothing; as in http.client.
    assert message.getallmatchingheaders("A") == []


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        (b"A: " + b"x" * 65536 + b"\r\n\r\n", client.LineTooLong),
        (b"A: b\r\n" * 101 + b"\r\n", client.HTTPException),
    ],
    ids=["too long a line", "too many lines"],
)
def test_parse_headers_has_limits(section: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="got more than"):
        client.parse_headers(io.BytesIO(section))


def test_parse_headers_makes_messages_of_a_class() -> None:
    class Message(client.HTTPMessage):
        pass

    message = client.parse_headers(io.BytesIO(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), _class=Message)
    assert type(message) is Message
    assert message.items() == [("A", "b")]
    assert not message.is_multipart()


def test_trailers_are_limited_as_fields_are(connect: Any) -> None:
    octets = CHUNKED + b"0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"
    for limit, is_enough in ((3, True), (2, False)):
        connection = connect(answering(octets), max_response_headers=limit)
        connection.request("GET", "/")
        answered = connection.getresponse()
        if is_enough:
            assert answered.read() == b""
            assert len(answered.trailers.items()) == 3
        else:
            with pytest.raises(client.HTTPException, match="got more than 2 trailers"):
                answered.read()


# --- exceptions and names -------------------------------------------------------------------------------------------


def test_exceptions_descend_from_one_another() -> None:
    assert client.error is client.HTTPException
    assert client.HTTPException.__mro__[1] is Exception
    for kind in (
        *(client.NotConnected, client.InvalidURL, client.UnknownProtocol, client.UnknownTransferEncoding),
        *(client.UnimplementedFileMode, client.IncompleteRead, client.ImproperConnectionState, client.BadStatusLine),
        *(client.LineTooLong, client.RemoteDisconnected),
    ):
        assert issubclass(kind, client.HTTPException)
    for kind in (client.CannotSendRequest, client.CannotSendHeader, client.ResponseNotReady):
        assert issubclass(kind, client.ImproperConnectionState)
    assert issubclass(client.RemoteDisconnected, (ConnectionResetError))
    assert issubclass(client.RemoteDisconnected, client.BadStatusLine)
    assert issubclass(client.TunnelError, OSError)


def test_exceptions_carry_what_they_are_about(connect: Any) -> None:
    caught: list[Any] = []
    for octets in (b"HTTP/2 200 OK\r\n\r\n", b"nonsense\r\n", response(b"abcdef")[:-2]):
        connection = connect(answering(octets))
        connection.request("GET", "/")
        with pytest.raises(client.HTTPException) as raised:
            connection.getresponse().read()
        caught.append(raised.value)
    assert (caught[0].version, caught[0].args) == ("HTTP/2", ("HTTP/2",))
    assert caught[1].line == "nonsense\r\n"
    assert (caught[2].partial, caught[2].expected) == (b"abcd", 2)
    assert repr(caught[2]) == str(caught[2]) == "IncompleteRead(4 bytes read, 2 more expected)"
    assert str(client.IncompleteRead(b"ab")) == "IncompleteRead(2 bytes read)"
    empty: Any = client.BadStatusLine("")
    assert empty.line == "''"


def test_public_names_are_the_documented_ones() -> None:
    hidden = {"HTTPMessage", "parse_headers", "HTTP_PORT", "HTTPS_PORT", "OK", "NOT_FOUND"}
    assert not hidden & set(client.__all__)
    assert all(hasattr(client, name) for name in hidden)
    assert {"InterimResponse", "TunnelError"} == set(client.__all__) - set(__import__("http.client").client.__all__)


# --- TLS ------------------------------------------------------------------------------------------------------------


def test_https_takes_its_old_arguments_by_position_too() -> None:
    assert issubclass(client.HTTPSConnection, client.HTTPConnection)
    assert client.HTTPSConnection("a.example").port == client.HTTPSConnection.default_port == 443
    with pytest.warns(DeprecationWarning), pytest.raises(FileNotFoundError):  # noqa: PT030
        client.HTTPSConnection("a.example", 443, "no-key.pem", "no-certificate.pem", 3)


def test_default_context_is_verifying_with_alpn_and_post_handshake_authentication() -> None:
    context = client.HTTPSConnection("a.example")._context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.post_handshake_auth is True
    own = ssl.create_default_context()
    own.check_hostname = False
    connection = client.HTTPSConnection("a.example", context=own)
    assert connection._context is own
    assert (own.post_handshake_auth, own.check_hostname) == (False, False)


@pytest.mark.parametrize(
    ("context", "offered"), [("default", "http/1.1"), ("own", None)], ids=["default context", "context of its own"]
)
def test_alpn_is_offered_by_default_only(
    peer: Callable[..., Peer],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    context: str,
    offered: str | None,
) -> None:
    server = peer(keep_alive(lambda request: EMPTY), tls=server_tls)
    if context == "default":
        # Where programs change the default of all the standard library.
        monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
        connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S)
    else:
        connection = client.HTTPSConnection("localhost", server.port, timeout=LIMIT_S, context=client_tls)
    connection.connect()
    assert connection.sock.selected_alpn_protocol() == offered
    connection.close()


def test_verification_can_be_switched_off(peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> None:
    server = peer(keep_alive(lambda request: response(b"a")), tls=server_tls)
    context = ssl._create_unverified_context()
    connection = client.HTTPSConnection("127.0.0.1", server.port, timeout=LIMIT_S, context=context)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"a"
    connection.close()


def test_other_name_than_that_of_the_certificate_is_refused(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    server = peer(keep_alive(lambda request: EMPTY), tls=server_tls)
    connection = client.HTTPSConnection("127.0.0.1", server.port, timeout=LIMIT_S, context=client_tls)
    connection.set_tunnel("other.example")
    connection._tunnel = lambda: None  # type: ignore[method-assign]
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        connection.connect()


def test_tls_in_a_tunnel_is_with_the_server_behind_it(
    peer: Callable[..., Peer], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    requests = []

    def script(proxy: Connection) -> None:
        requests.append(proxy.read_until(b"\r\n\r\n"))
        proxy.send(b"HTTP/1.1 200 Go\r\n\r\n")
        inner = Connection(server_tls.wrap_socket(proxy.sock, server_side=True), 1)
        requests.append(inner.read_until(b"\r\n\r\n"))
        inner.send(response(b"a"))
        inner.sock.close()

    server = peer(script)
    names: list[str] = []
    server_tls.sni_callback = lambda sock, name, context: names.append(name)
    connection = client.HTTPSConnection(server.host, server.port, timeout=LIMIT_S, context=client_tls)
    connection.set_tunnel("localhost")
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"a"
    connection.close()
    server_tls.sni_callback = None
    assert requests == [
        b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n",
    ]
    assert names == ["localhost"]


# --- tunnels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "headers", "request_"),
    [
        ("a.example", None, {}, b"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n"),
        ("a.example", 8080, {"hOST": "b"}, b"CONNECT a.example:8080 HTTP/1.1\r\nhOST: b\r\n\r\n"),
        ("::1", 81, {}, b"CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"),
        ("[::1]:81", None, {}, b"CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"),
        (
            "b\xfccher.example",
            81,
            {},
            b"CONNECT xn--bcher-kva.example:81 HTTP/1.1\r\nHost: xn--bcher-kva.example:81\r\n\r\n",
        ),
    ],
    ids=["default port", "own Host in any case", "IPv6", "IPv6 in brackets", "IDNA"],
)
def test_connect_request_names_the_server(
    host: str, port: int | None, headers: dict[str, str], request_: bytes
) -> None:
    transport = Nowhere(b"HTTP/1.1 200 OK\r\n\r\n")
    connection = client.HTTPConnection("proxy.example", 3128, transport=transport)
    connection.set_tunnel(host, port, headers)
    connection.connect()
    assert transport.sent == [request_]
    assert transport.dialled[0][0] == ("proxy.example", 3128)


@pytest.mark.parametrize("kind", [client.HTTPConnection, client.HTTPSConnection])
def test_limit_of_fields_is_an_argument_of_both_and_an_attribute(kind: type[client.HTTPConnection]) -> None:
    connection = kind(
        "proxy.example", max_response_headers=1, transport=Nowhere(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n")
    )
    assert connection.max_response_headers == 1
    assert kind("a.example").max_response_headers is None
    connection.set_tunnel("a.example")
    with pytest.raises(client.HTTPException, match="got more than 1 headers"):
        connection.connect()


def test_every_name_of_a_status_code_is_there_and_known_to_type_checkers() -> None:
    for name, status in HTTPStatus.__members__.items():
        assert getattr(client, name) is status
        assert getattr(status_names, name) is status
