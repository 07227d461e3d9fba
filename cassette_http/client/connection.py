"""Connections: the states of a request, and the stream on which it is sent.

    ┌─> Idle ──putrequest──> Request-started ──endheaders──> Request-sent ─┐
    │                        putheader                       send          │
    └─────────────────────────────getresponse──────────────────────────────┘

`close()` leads back to Idle from every state. The next request may be sent before the response to this one is read,
but its own response can only be read after that.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from http.client import CannotSendHeader, CannotSendRequest, HTTPMessage, NotConnected, ResponseNotReady
from typing import Any

from cassette_http.client import sending, tunnel
from cassette_http.client.constants import HTTP_PORT, HTTPS_PORT, say
from cassette_http.client.inbox import Inbox, WithArrivals, can_look, has_unasked_octets
from cassette_http.client.message import build_message
from cassette_http.client.response import HTTPResponse, ordinary_response
from cassette_http.transport import base
from cassette_http.transport.live import DEFAULT_TIMEOUT
from cassette_http.wire.chunking import chunk, last_chunk

# The arguments of CannotSendRequest and ResponseNotReady.
IDLE = "Idle"
REQUEST_STARTED = "Request-started"
REQUEST_SENT = "Request-sent"

Headers = Mapping[str, Any] | Iterable[tuple[str, Any]]


class HTTPConnection:
    """A connection to one server, for one request at a time. It is opened when the first request is sent.

    `host` may end with a port ("localhost:8080"); `timeout` is in seconds, for each operation of the socket.

    Arguments that `http.client` does not have: `max_response_headers` limits the fields of a response (default: the
    package's `_MAXHEADERS`); `transport` opens the streams of this connection (default: the transport in use at each
    connect). Raises InvalidURL for an invalid host or port.
    """

    # Any other attribute was set by a program, perhaps to replace a method.
    __slots__ = (
        "__dict__",
        "__response",
        "__state",
        "__weakref__",
        "_buffer",
        "_create_connection",
        "_expects_continue",
        "_follows_current",
        "_heads",
        "_inbox",
        "_is_in_body",
        "_is_shared",
        "_method",
        "_opened_by",
        "_raw_proxy_headers",
        "_stream",
        "_tunnel_headers",
        "_tunnel_host",
        "_tunnel_port",
        "_was_used",
        "_watch",
        "blocksize",
        "host",
        "max_response_headers",
        "port",
        "source_address",
        "timeout",
    )

    _http_vsn = 11
    _http_vsn_str = "HTTP/1.1"

    response_class: Callable[..., HTTPResponse] = HTTPResponse
    default_port = HTTP_PORT
    auto_open = 1
    debuglevel = 0

    def __init__(
        self,
        host: str,
        port: int | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        source_address: base.Address | None = None,
        blocksize: int = 8192,
        *,
        max_response_headers: int | None = None,
        transport: base.Transport | None = None,
    ) -> None:
        self.timeout = timeout
        self.source_address = source_address
        self.blocksize = blocksize
        self.max_response_headers = max_response_headers
        self.host, self.port = self._get_hostport(host, port)
        self._validate_host(self.host)
        # Programs that connect in their own way replace it.
        self._create_connection: Callable[..., Any] = base.connect if transport is None else transport.connect

        # A stream must not bypass a cassette that was opened after it, nor outlive the cassette it belongs to.
        self._follows_current = transport is None

        self._stream: Any = None
        self._inbox: Inbox | None = None
        # Whether a program has the socket, and so may close it while a response is being read.
        self._is_shared = False
        self._opened_by: base.Transport | None = None
        self._was_used = False

        self._heads = sending.HeadWriter()
        self._buffer: list[bytes] = []
        self._method: str | None = None
        self._expects_continue = False
        self._watch: sending.AnswerWatch | None = None
        self._is_in_body = False
        self.__response: HTTPResponse | None = None
        self.__state = IDLE

        self._tunnel_host: str | None = None
        self._tunnel_port: int | None = None
        self._tunnel_headers: dict[str, str] = {}
        self._raw_proxy_headers: list[bytes] | None = None

    def set_debuglevel(self, level: int) -> None:
        """Print what is sent and received if `level` is above 0."""
        self.debuglevel = level

    # --- the stream ---------------------------------------------------------------------------------------

    @property
    def sock(self) -> Any:
        """The socket, or the stream of the transport in use; None if there is no connection."""
        if self._stream is not None and not self._is_shared:
            self._is_shared = True
            if self.__response is not None:
                # A program that has the socket may close it; the file of a response survives that.
                self.__response._make_file()
        return self._stream

    @sock.setter
    def sock(self, stream: Any) -> None:
        self._adopt(stream)
        self._is_shared = True

    def _adopt(self, stream: Any) -> None:
        self._stream = stream
        self._inbox = Inbox(stream) if hasattr(stream, "recv_into") else None
        self._is_shared = False
        self._opened_by = base.current()
        self._was_used = False
        # A body that was being sent belonged to the previous stream.
        self._is_in_body = False
        self._watch = None

    def connect(self) -> None:
        """Connect to the server, through the proxy if `set_tunnel` named a server behind it."""
        sys.audit("http.client.connect", self, self.host, self.port)
        stream = self._create_connection((self.host, self.port), self.timeout, self.source_address)
        self._adopt(stream)
        if self._inbox is not None:
            # A response on the previous stream may be unread.
            self._inbox.is_between_responses = self.__response is None
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                self.close()
                raise
        if self._tunnel_host:
            self._tunnel()

    def close(self) -> None:
        """Close the connection, and a response on it that was not read completely."""
        self.__state = IDLE
        self._buffer.clear()
        self._is_in_body = self._expects_continue = False
        self._watch = None
        self._close_stream()

    def _close_stream(self) -> None:
        stream, self._stream, self._inbox = self._stream, None, None
        response, self.__response = self.__response, None
        try:
            if stream is not None:
                stream.close()
        finally:
            if response is not None:
                response.close()

    def _drop_unusable_stream(self) -> None:
        """Close a stream that cannot carry the next request; a new one is then opened.

        Does not call `close`, which a program may have replaced to see the connection end.
        """
        response = self.__response
        if response is not None and response.isclosed():
            self.__response = None
            if not getattr(response, "_is_drained", True):
                self._close_stream()
                return
        if self._stream is None:
            return
        is_of_other_transport = self._follows_current and self._opened_by is not base.current()
        is_idle = self._was_used and self.__response is None
        if is_of_other_transport or (is_idle and self._has_unasked_octets()):
            self._close_stream()

    def _has_unasked_octets(self) -> bool:
        """Whether the peer sent something on the idle connection: it would be taken for the next answer."""
        inbox = self._inbox
        if inbox is None or not inbox.has_arrivals():
            return False
        return len(inbox) > 0 or has_unasked_octets(self._stream)

    # --- tunnels ------------------------------------------------------------------------------------------

    def set_tunnel(self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Make `connect` ask the server, a proxy, for a tunnel to `host`; `headers` are sent with that request.

        Raises RuntimeError if the connection is already open.
        """
        if self._stream is not None:
            raise RuntimeError("Can't set up tunnel for established connection")
        self._tunnel_host, self._tunnel_port = self._get_hostport(host, port)
        self._tunnel_headers = dict(headers or {})
        # The standard library shows the added field since 3.12; it is always sent.
        if sys.version_info >= (3, 12):
            self._tunnel_headers = tunnel.with_host(self._tunnel_headers, self._tunnel_host, self._tunnel_port)

    def get_proxy_response_headers(self) -> HTTPMessage | None:
        """The fields of the proxy's answer to CONNECT, accepted or not; None if no tunnel was asked for."""
        if self._raw_proxy_headers is None:
            return None
        return build_message(b"".join(self._raw_proxy_headers))

    def _tunnel(self) -> None:
        assert self._tunnel_host is not None
        assert self._tunnel_port is not None
        headers = tunnel.with_host(self._tunnel_headers, self._tunnel_host, self._tunnel_port)
        try:
            request = tunnel.connect_request(self._tunnel_host, self._tunnel_port, headers, self._http_vsn_str)
            self.send(request)
            self._read_tunnel_answer()
        except BaseException:
            self.close()
            raise

    def _read_tunnel_answer(self) -> None:
        response = self._new_response("CONNECT")
        try:
            response.begin()
            self._raw_proxy_headers = [
                f"{name}: {value}\r\n".encode("latin-1") for name, value in response.headers.items()
            ]
            if response.status != 200:
                raise tunnel.refusal(response)
            if self._inbox is not None and len(self._inbox):
                # This cannot be from the server, which was not asked anything yet.
                raise OSError("Tunnel connection failed: octets came before the first request")
        finally:
            response.close()

    # --- requests -----------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Headers = {},  # noqa: B006 - never changed, and part of the documented signature
        *,
        encode_chunked: bool = False,
    ) -> None:
        """Send a whole request; `headers` may also be pairs, to repeat a field.

        `body` is text (sent as Latin-1), octets, a file, or an iterable of octets. A body of unknown length is sent in
        chunks, unless `headers` say how it is framed; if they contain Transfer-Encoding, `encode_chunked` makes chunks.

        Raises CannotSendRequest if the response to the previous request was not fetched; ValueError (InvalidURL for the
        URL) for parts that would break the lines of the head, before anything is sent; and what the socket raises.
        """
        if not (type(headers) is dict and self._request_quickly(method, url, body, headers)):
            self._send_request(method, url, body, headers, encode_chunked)

    def _request_quickly(self, method: str, url: str, body: Any, headers: dict[str, Any]) -> bool:
        """Do what `request` does, in one step, if neither the request nor the connection is special in any way.

        Otherwise returns False, and has done nothing: special cases and errors are left to the general path.
        """
        kind, inbox = type(self), self._inbox
        if (
            self.__state != IDLE
            or inbox is None
            or kind not in _ORDINARY_KINDS
            or (kind.send, kind.putrequest, kind.putheader, kind.endheaders, kind._http_vsn_str) != _METHODS
            or kind.debuglevel > 0
            or self.__dict__
            or self._buffer
            or self._tunnel_host
        ):
            return False
        port = None if self.port == kind.default_port else self.port
        request = self._heads.write(method, url, self.host, port, headers, body)
        if request is None:
            return False
        if inbox.is_between_responses and self._opened_by is base.current() and not inbox.has_arrivals():
            self.__response = None
        else:
            self._drop_unusable_stream()
            if self._stream is None:
                if not self.auto_open:
                    return False
                self.connect()
        self._method = method
        self.__state = REQUEST_SENT
        sys.audit("http.client.send", self, request)
        if body:
            sys.audit("http.client.send", self, body)
            request += body
        self._stream.sendall(request)
        self._is_in_body = True
        return True

    def _send_request(self, method: str, url: str, body: Any, headers: Headers, encode_chunked: bool) -> None:
        fields = list(headers.items() if hasattr(headers, "items") else headers)
        given = {name.lower() if isinstance(name, str) else name.decode("latin-1").lower() for name, _ in fields}
        self.putrequest(method, url, skip_host="host" in given, skip_accept_encoding="accept-encoding" in given)
        if "content-length" in given:
            encode_chunked = False
        elif "transfer-encoding" not in given:
            encode_chunked = False
            length = self._get_content_length(body, method)
            if length is not None:
                self.putheader("Content-Length", str(length))
            elif body is not None:
                if self.debuglevel > 0:
                    say(f"Unable to determine size of {body!r}")
                encode_chunked = True
                self.putheader("Transfer-Encoding", "chunked")
        for name, value in fields:
            self.putheader(name, value)
        if isinstance(body, str):
            body = sending.encode_text(body, "body")
        self.endheaders(body, encode_chunked=encode_chunked)

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        """Begin a request. Raises CannotSendRequest unless the response to the previous one was fetched."""
        if self.__state == IDLE:
            self._drop_unusable_stream()
        if self.__state != IDLE:
            raise CannotSendRequest(self.__state)
        self.__state = REQUEST_STARTED
        self._method = method
        self._validate_method(method)
        url = url or "/"
        self._validate_path(url)
        self._output(self._encode_request(f"{method} {url} {self._http_vsn_str}"))
        if self._http_vsn != 11:
            return
        if not skip_host:
            self.putheader("Host", sending.authority_of(url) or self._host_value())
        if not skip_accept_encoding:
            # Content is passed on as it comes, so we ask for no coding that the caller would have to undo.
            self.putheader("Accept-Encoding", "identity")

    def _host_value(self) -> bytes:
        host, port = self.host, self.port
        if self._tunnel_host:
            assert self._tunnel_port is not None
            host, port = self._tunnel_host, self._tunnel_port
        return sending.host_value(host, None if port == self.default_port else port)

    def putheader(self, header: str | bytes, *values: str | bytes | int) -> None:
        """Add a field; several values make one folded field. Raises CannotSendHeader or ValueError."""
        if self.__state != REQUEST_STARTED:
            raise CannotSendHeader
        line = sending.field_line(header, values)
        if line[:7].lower() == b"expect:" and b"100-continue" in line.lower():
            self._expects_continue = True
        self._output(line)

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """Send the head, and the body if there is one. Raises CannotSendHeader."""
        if self.__state != REQUEST_STARTED:
            raise CannotSendHeader
        self.__state = REQUEST_SENT
        self._send_output(message_body, encode_chunked=encode_chunked)

    def send(self, data: Any) -> None:
        """Send octets, a file, or an iterable of octets unchanged; connects if necessary.

        Raises NotConnected if there is no connection and `auto_open` is off.
        """
        if self._stream is None:
            if not self.auto_open:
                raise NotConnected
            self.connect()
        if self.debuglevel > 0:
            say("send:", repr(data))
        if hasattr(data, "read"):
            if self.debuglevel > 0:
                say("sending a readable")
            for block in sending.file_pieces(data, self.blocksize, self.debuglevel):
                sys.audit("http.client.send", self, block)
                self._transmit(block)
            return
        sys.audit("http.client.send", self, data)
        try:
            memoryview(data)
        except TypeError:
            if not isinstance(data, Iterable):
                raise TypeError(f"data should be a bytes-like object or an iterable, got {type(data)!r}") from None
            for piece in data:
                self._transmit(piece)
            return
        self._transmit(data)

    def _output(self, line: bytes) -> None:
        self._buffer.append(line)

    def _send_output(self, message_body: Any = None, encode_chunked: bool = False) -> None:
        head = b"\r\n".join([*self._buffer, b"", b""])
        self._buffer.clear()
        self.send(head)
        self._is_in_body = True
        if message_body is None:
            return
        is_chunked = encode_chunked and self._http_vsn == 11
        for piece in sending.body_pieces(message_body, self.blocksize, self.debuglevel):
            if not piece:
                if self.debuglevel > 0:
                    say("Zero length chunk ignored")
                continue
            self.send(chunk(memoryview(piece).tobytes()) if is_chunked else piece)
            if self._watch is not None and self._watch.is_cut_short:
                return
        if is_chunked:
            self.send(last_chunk())

    def _transmit(self, data: Any) -> None:
        """Pass octets to the stream; those of a body only until the peer has refused it."""
        # While the previous response is unread, what arrives belongs to it.
        is_watched = self._is_in_body and self.__response is None and can_look(self._stream)
        if self._inbox is None or not is_watched:
            self._stream.sendall(data)
            return
        if self._watch is None:
            self._watch = sending.AnswerWatch(self._inbox, self._method or "")
            if self._expects_continue:
                self._watch.await_continue()
        self._watch.send(data)

    # --- responses ----------------------------------------------------------------------------------------

    def getresponse(self) -> HTTPResponse:
        """Read the head of the response; the content is read from what is returned.

        Raises ResponseNotReady if no request was sent, or the previous response was not read completely. After a
        ConnectionError the connection can be used again; after another exception it must be closed.
        """
        if self.__response is not None and self.__response.isclosed():
            if not getattr(self.__response, "_is_drained", True):
                self.close()
            self.__response = None
        if self.__state != REQUEST_SENT or self.__response is not None:
            raise ResponseNotReady(self.__state)
        try:
            response = self._ordinary_response() or self._any_response()
        except ConnectionError:
            self.close()
            raise
        if self._watch is not None and self._watch.is_cut_short:
            # The peer could not tell where the next request begins.
            response.will_close = True
        self.__state = IDLE
        self._was_used = True
        self._is_in_body = self._expects_continue = False
        self._watch = None
        if response.will_close:
            self._leave_stream_to(response)
        else:
            self.__response = response
        return response

    def _ordinary_response(self) -> HTTPResponse | None:
        inbox = self._inbox
        if inbox is None or self._is_shared or self.response_class is not HTTPResponse or self.debuglevel > 0:
            return None
        response = ordinary_response(inbox, self._method or "", self.max_response_headers)
        if response is not None:
            inbox.is_between_responses = False
        return response

    def _any_response(self) -> HTTPResponse:
        response = self._new_response(self._method)
        try:
            response.begin()
        except BaseException:
            response.close()
            raise
        return response

    def _new_response(self, method: str | None) -> HTTPResponse:
        inbox, kind = self._inbox, self.response_class
        if inbox is not None:
            inbox.is_between_responses = False
        if kind is HTTPResponse and inbox is not None and not self._is_shared:
            source: Any = inbox
        else:
            # A program that has the socket may close it; the file of a response survives that.
            source = WithArrivals(inbox) if inbox is not None and len(inbox) else self._stream
        if self.debuglevel > 0:
            response = kind(source, debuglevel=self.debuglevel, method=method)
        else:
            response = kind(source, method=method)
        if self.max_response_headers is not None and isinstance(response, HTTPResponse):
            response._max_fields = self.max_response_headers
        return response

    def _leave_stream_to(self, response: HTTPResponse) -> None:
        """Close the connection while the response is still being read: its file keeps the socket open."""
        if self._inbox is not None and getattr(response, "_source", None) is self._inbox:
            response._owns_stream = True
            self._stream = self._inbox = None
        self.close()

    # --- to be overridden ---------------------------------------------------------------------------------

    def _get_hostport(self, host: str, port: int | None) -> tuple[str, int]:
        return sending.split_host_port(host, port, self.default_port)

    def _encode_request(self, request: str) -> bytes:
        return request.encode("ascii")

    def _validate_method(self, method: str) -> None:
        sending.check_method(method)

    def _validate_path(self, url: str) -> None:
        sending.check_no_controls(url)

    def _validate_host(self, host: str) -> None:
        sending.check_no_controls(host)

    @staticmethod
    def _get_content_length(body: Any, method: str) -> int | None:
        return sending.content_length(body, method)


class HTTPSConnection(HTTPConnection):
    """A connection over TLS; by default the certificate and the host name are verified."""

    __slots__ = ("_context", "cert_file", "key_file")

    default_port = HTTPS_PORT

    def __init__(
        self,
        host: str,
        port: int | None = None,
        key_file: str | None = None,
        cert_file: str | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        source_address: base.Address | None = None,
        *,
        context: ssl.SSLContext | None = None,
        check_hostname: bool | None = None,
        blocksize: int = 8192,
        max_response_headers: int | None = None,
        transport: base.Transport | None = None,
    ) -> None:
        super().__init__(
            host,
            port,
            timeout,
            source_address,
            blocksize,
            max_response_headers=max_response_headers,
            transport=transport,
        )
        if key_file is not None or cert_file is not None or check_hostname is not None:
            warnings.warn(
                "key_file, cert_file and check_hostname are deprecated, use a custom context instead.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.key_file, self.cert_file = key_file, cert_file
        if context is None:
            context = create_https_context(self._http_vsn)
        if check_hostname is None:
            check_hostname = context.check_hostname
        if check_hostname and context.verify_mode == ssl.CERT_NONE:
            raise ValueError("check_hostname needs a SSL context with either CERT_OPTIONAL or CERT_REQUIRED")
        if cert_file is not None or key_file is not None:
            context.load_cert_chain(cert_file, key_file)  # type: ignore[arg-type]  # which refuses None
            if context.post_handshake_auth is not None:
                context.post_handshake_auth = True
        context.check_hostname = check_hostname
        self._context = context

    def connect(self) -> None:
        """Connect to the server and start TLS on the connection, or in the tunnel."""
        super().connect()
        try:
            stream = base.start_tls(self._stream, self._context, self._tunnel_host or self.host)
        except BaseException:
            self.close()
            raise
        self._adopt(stream)


# What a subclass or a program may replace; `request` must then call the replacement.
_ORDINARY_KINDS = frozenset({HTTPConnection, HTTPSConnection})
_METHODS = (
    HTTPConnection.send,
    HTTPConnection.putrequest,
    HTTPConnection.putheader,
    HTTPConnection.endheaders,
    HTTPConnection._http_vsn_str,
)


def create_https_context(http_version: int) -> ssl.SSLContext:
    # The name that programs replace to change the default of the whole standard library (PEP 476).
    context = ssl._create_default_https_context()
    if http_version == 11:
        context.set_alpn_protocols(["http/1.1"])
    if context.post_handshake_auth is not None:
        context.post_handshake_auth = True
    return context
