"""Turns errors of sockets and TLS into values for the cassette, and back: same class, errno and text."""

from __future__ import annotations

import errno
import functools
import socket
import ssl
import sys
from contextlib import suppress
from typing import Any

from cassette_http.cassette.model import Failure, FailureKind

_LOOKUP_NAMES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}
_TLS_CLASSES = {
    cls.__name__: cls
    for cls in (
        ssl.SSLError,
        ssl.SSLCertVerificationError,
        ssl.SSLEOFError,
        ssl.SSLZeroReturnError,
        ssl.SSLSyscallError,
    )
}
_TLS_ATTRIBUTES = ("library", "reason", "verify_code", "verify_message")

# The errors of a handshake during which the peer ended the TCP connection.
ENDED_HANDSHAKES = {"SSLEOFError", "SSLZeroReturnError"} if sys.version_info < (3, 11, 4) else {"SSLEOFError"}

# Without this note, a user whose network was down while recording would look for a problem in today's network.
NOTE = (
    "This failure was replayed from the cassette in use; nothing was connected. "
    'To ask the peer again, re-record with record mode "rewrite".'
)
NOTHING_MORE = (
    "The cassette in use has nothing more to play here: when it was recorded, the client did not read further. If the "
    "cassette was written by hand, a response without Content-Length needs the end of its connection: "
    "wire: {ends: true}"
)


def describe(kind: FailureKind, error: OSError, at_s: float = 0.0) -> Failure:
    """Turn `error` into a value. Numbers become names, because they differ between systems."""
    details: dict[str, Any] = {}
    name: str | None = None
    if isinstance(error, ssl.SSLError):
        details["class"] = type(error).__name__
        details["number"] = error.errno
        for attribute in _TLS_ATTRIBUTES:
            value = getattr(error, attribute, None)
            if value is not None and value != "":
                details[attribute] = value
    elif isinstance(error, socket.gaierror):
        name = _LOOKUP_NAMES.get(error.errno or 0)
    elif error.errno is not None:
        name = errno.errorcode.get(error.errno)
    text = error.strerror if error.errno is not None else (str(error) or None)
    return Failure(kind, at_s, name, text, details)


def rebuild(failure: Failure) -> OSError:
    """Make the error again that `describe` was given.

    It equals the live one, but has a note (PEP 678) that tells readers of the traceback that it was replayed.
    """
    error = _rebuilt(failure)
    error.add_note(NOTE)
    return error


@functools.cache
def incomplete_close() -> Failure:
    """OpenSSL's error for a TLS connection that ends without close_notify."""
    return describe(FailureKind.END, _error_of_empty_read(is_ended=True))


@functools.cache
def send_behind_incomplete_close() -> Failure:
    """OpenSSL's error for a send after such an end was read."""
    state = _state_without_records(is_ended=True)
    with suppress(ssl.SSLError):
        state.read(1)
    try:
        state.write(b"x")
    except ssl.SSLError as error:
        return describe(FailureKind.WRITE, error)
    raise AssertionError("a handshake without a peer ends nowhere")


def want_read() -> ssl.SSLError:
    """The error of a TLS object that needs more records."""
    return _tls_error(ssl.SSLWantReadError, *_arguments_of_want_read())


@functools.cache
def _arguments_of_want_read() -> tuple[object, ...]:
    return _error_of_empty_read(is_ended=False).args


def _error_of_empty_read(*, is_ended: bool) -> ssl.SSLError:
    try:
        _state_without_records(is_ended=is_ended).read(1)
    except ssl.SSLError as error:
        return error
    # Up to 3.11.3, Python lets OpenSSL 3 take such an end for a proper one, except for what resets say.
    place = str(_arguments_of_want_read()[1]).rpartition(" ")[2]
    return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, f"EOF occurred in violation of protocol {place}")


def _state_without_records(*, is_ended: bool) -> ssl.SSLObject:
    """Make a TLS object that gives the error texts of this release of OpenSSL and Python."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    nothing = ssl.MemoryBIO()
    if is_ended:
        nothing.write_eof()
    return context.wrap_bio(nothing, ssl.MemoryBIO())


def read_timed_out(*, is_tls: bool) -> TimeoutError:
    """Python's error for a read that waits longer than the time-out of its socket."""
    return TimeoutError("The read operation timed out" if is_tls else "timed out")


def silence() -> TimeoutError:
    """The error of a blocking TLS handshake whose peer does not answer."""
    return TimeoutError("The handshake operation timed out")


def _rebuilt(failure: Failure) -> OSError:
    text = failure.text or ""
    if "class" in failure.details:
        return _rebuild_tls(failure, text)
    if failure.errno is None:
        # A time-out of Python's own has a text but no number.
        return TimeoutError(text or "timed out") if failure.is_timeout else OSError(text)
    if failure.errno.startswith("EAI_"):
        return socket.gaierror(getattr(socket, failure.errno, socket.EAI_FAIL), text)
    # OSError picks its subclass by number, so it is the recorded class.
    return OSError(getattr(errno, failure.errno, errno.EIO), text)


def _tls_error(cls: type[ssl.SSLError], *args: object) -> ssl.SSLError:
    """Make an error like those of OpenSSL, which always have these attributes, even if they are None."""
    error = cls(*args)
    error.library = error.reason = None  # type: ignore[assignment]  # typeshed does not know that they may be
    return error


def _rebuild_tls(failure: Failure, text: str) -> OSError:
    cls = _TLS_CLASSES.get(failure.details["class"], ssl.SSLError)
    error = _tls_error(cls, failure.details.get("number"), text)
    for attribute in _TLS_ATTRIBUTES:
        if attribute in failure.details:
            setattr(error, attribute, failure.details[attribute])
    return error
