"""Numbers and names of `http.client`, and those that programs change on the package at run time."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

HTTP_PORT = 80
HTTPS_PORT = 443

# CONTINUE, OK, NOT_FOUND, ...: which of them exist depends on the version of Python.
STATUS_NAMES = dict(HTTPStatus.__members__)
responses = {status: status.phrase for status in STATUS_NAMES.values()}

# The value of a response's attributes before the head was read.
UNKNOWN: Any = "UNKNOWN"

# How much is kept of the content that a proxy sends with a refusal.
MAX_TUNNEL_CONTENT_OCTETS = 65536

_namespace: dict[str, Any] = {}


def share_namespace(namespace: dict[str, Any]) -> None:
    """Set the module on which programs change `_MAXHEADERS` and `print`, as they do on `http.client`."""
    global _namespace
    _namespace = namespace


def max_fields(chosen: int | None) -> int:
    """The limit of field lines in a head: the `chosen` one, else the current `_MAXHEADERS`."""
    limit: int = _namespace["_MAXHEADERS"] if chosen is None else chosen
    return limit


def say(*words: object) -> None:
    """Print debugging output with the package's `print`, if a program has set one."""
    show: Callable[..., None] = _namespace.get("print", print)
    show(*words)
