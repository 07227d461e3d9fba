"""The API of `http.client`, over transports that can be live, recording or replaying.

`from cassette_http import client` replaces `from http import client`.

connection     connections: the states of a request, and its stream
sending        outgoing requests; tunnel: through a proxy
inbox          the buffer of what has arrived and was not read yet
response       responses: heads are read from the stream, content like a file
               heads: parsed heads; chunks: chunked content; read_ahead: content decoded before it is read
message        fields, as messages of the email package
constants      numbers and names; status_names: those of the status codes
errors         our only own error; the others are those of `http.client`
"""

from __future__ import annotations

from http.client import (
    BadStatusLine,
    CannotSendHeader,
    CannotSendRequest,
    HTTPException,
    ImproperConnectionState,
    IncompleteRead,
    InvalidURL,
    LineTooLong,
    NotConnected,
    RemoteDisconnected,
    ResponseNotReady,
    UnimplementedFileMode,
    UnknownProtocol,
    UnknownTransferEncoding,
    error,
)
from http.client import HTTPMessage as HTTPMessage  # which `import *` leaves out, as it does with http.client

from cassette_http.client import connection, constants, message
from cassette_http.client.connection import HTTPConnection, HTTPSConnection
from cassette_http.client.constants import responses
from cassette_http.client.errors import TunnelError
from cassette_http.client.response import HTTPResponse, InterimResponse
from cassette_http.client.status_names import *  # noqa: F403 - OK, NOT_FOUND, ...
from cassette_http.wire.grammar import MAX_LINE_OCTETS

__all__ = [
    "BadStatusLine",
    "CannotSendHeader",
    "CannotSendRequest",
    "HTTPConnection",
    "HTTPException",
    "HTTPResponse",
    "HTTPSConnection",
    "ImproperConnectionState",
    "IncompleteRead",
    "InterimResponse",
    "InvalidURL",
    "LineTooLong",
    "NotConnected",
    "RemoteDisconnected",
    "ResponseNotReady",
    "TunnelError",
    "UnimplementedFileMode",
    "UnknownProtocol",
    "UnknownTransferEncoding",
    "error",
    "responses",
]

# Names that `import *` leaves out, as it does with http.client.
HTTP_PORT = constants.HTTP_PORT
HTTPS_PORT = constants.HTTPS_PORT
parse_headers = message.parse_headers
# A newer Python may have more names than we do.
globals().update(constants.STATUS_NAMES)

# Private names that programs and the standard library use. The limit is read here at every response.
_MAXHEADERS = 100
_MAXLINE = MAX_LINE_OCTETS
_read_headers = message.read_field_lines
_create_https_context = connection.create_https_context

constants.share_namespace(globals())
