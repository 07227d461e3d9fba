"""Decides where the content of a message ends (RFC 9112 section 6.3); reads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from cassette_http.wire.errors import MalformedMessage
from cassette_http.wire.grammar import CONTENT_LENGTH, OWS


class FramingKind(Enum):
    """The ways to find the end of the content of a message."""

    NONE = "no content"
    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "until the peer closes"


class Framing(NamedTuple):
    """How one message's content is framed; `length` belongs to the kind LENGTH."""

    kind: FramingKind
    length: int | None = None


NO_CONTENT = Framing(FramingKind.NONE)
CHUNKED = Framing(FramingKind.CHUNKED)
UNTIL_CLOSE = Framing(FramingKind.CLOSE)


def response_framing(status: int, fields: Iterable[tuple[str, str]], method: str) -> Framing:
    """Choose the framing of a response to `method` (RFC 9112 section 6.3, its rules in order).

    Raises MalformedMessage if Content-Length values differ: a client must not guess (rule 5).
    """
    # Rule 1: to HEAD, and with 1xx, 204 and 304, there is never content, whatever the fields say.
    if method == "HEAD" or 100 <= status < 200 or status == 204 or status == 304:
        return NO_CONTENT
    # Rule 2: after 2xx to CONNECT the connection is a tunnel, and what follows is not content.
    if method == "CONNECT" and 200 <= status < 300:
        return NO_CONTENT
    members = _members(fields)
    # Rules 3 and 4: Transfer-Encoding overrides Content-Length.
    if codings := members.get("transfer-encoding"):
        return CHUNKED if codings[-1] == "chunked" else UNTIL_CLOSE
    # Rules 5 and 6: Content-Length.
    if lengths := members.get("content-length"):
        length = _agreed_length(lengths)
        # By rule 5 an unreadable length is an error; but http.client and its tests read until the close.
        return UNTIL_CLOSE if length is None else Framing(FramingKind.LENGTH, length)
    # Rule 8 (rule 7 is about requests).
    return UNTIL_CLOSE


def request_framing(fields: Iterable[tuple[str, str]]) -> Framing:
    """Choose the framing of a request (RFC 9112 section 6.3; rules 1, 2 and 8 are about responses).

    Raises MalformedMessage if the end of the content cannot be known.
    """
    members = _members(fields)
    # Rules 3 and 4: Transfer-Encoding overrides Content-Length; a request cannot end with the connection.
    if codings := members.get("transfer-encoding"):
        if codings[-1] != "chunked":
            final = codings[-1][:60]
            raise MalformedMessage(f"a request whose final transfer coding is {final!r}, not chunked")
        return CHUNKED
    # Rules 5 and 6: Content-Length.
    if lengths := members.get("content-length"):
        length = _agreed_length(lengths)
        if length is None:
            raise MalformedMessage(f"a request with an unreadable Content-Length {lengths[0][:60]!r}")
        return Framing(FramingKind.LENGTH, length)
    # Rule 7.
    return NO_CONTENT


def is_persistent(version: str, fields: Iterable[tuple[str, str]]) -> bool:
    """Tell whether the connection may carry another message after this one (RFC 9112 section 9.3).

    A message with both Transfer-Encoding and Content-Length may be an attempt to smuggle another one, and so
    may Transfer-Encoding in HTTP/1.0: their connections end (section 6.1).
    """
    members = _members(fields)
    options = members.get("connection", ())
    if "close" in options:
        return False
    codings = members.get("transfer-encoding")
    if version >= "HTTP/1.1":
        return not (codings and "content-length" in members)
    if version != "HTTP/1.0" or codings:
        return False
    # Not in the RFC: old servers announce it by a Keep-Alive field alone, proxies by Proxy-Connection.
    return (
        "keep-alive" in options
        or bool(members.get("keep-alive"))
        or "keep-alive" in members.get("proxy-connection", ())
    )


_FRAMING_FIELDS = frozenset(["connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding"])


def _members(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect the list members (RFC 9110 section 5.6.1) of the fields that matter here, all in lower case.

    Two exceptions: an empty Content-Length counts as a member that cannot be read; and the coding "identity" (RFC 2616
    section 3.6), which servers still send together with a length, is left out.
    """
    members: dict[str, list[str]] = {}
    for name, value in fields:
        lowered = name.lower()
        if lowered in _FRAMING_FIELDS:
            stated = [member for part in value.lower().split(",") if (member := part.strip(OWS))]
            if lowered == "content-length":
                stated = stated or [""]
            elif lowered == "transfer-encoding":
                stated = [coding for coding in stated if coding != "identity"]
            members.setdefault(lowered, []).extend(stated)
    return members


def _agreed_length(members: list[str]) -> int | None:
    """The length that all members state; None if they have one value that cannot be read.

    Raises MalformedMessage if they differ. Repetitions are allowed (RFC 9110 section 8.6).
    """
    stated = {int(member) if CONTENT_LENGTH.fullmatch(member) else member for member in members}
    if len(stated) > 1:
        raise MalformedMessage(f"Content-Length values that differ: {', '.join(members)[:60]}")
    (length,) = stated
    return length if isinstance(length, int) else None
